/* SPDX-License-Identifier: MIT */
#include "engine_private.h"

#include <ctype.h>
#include <string.h>

/*
 * A configuration snapshot as the engine uses it: which probe sets which slot, how long each slot
 * lives, where the tables of derived facts are.  Made once per snapshot, shared by its sessions.
 */
enum { KEY_MAX = 64 };

static enum span_kind span_of_scope(enum scope scope, enum stage stage)
{
    if (scope == SCOPE_RECIPIENT)
        return SPAN_RECIPIENT;
    if (scope != SCOPE_CONNECTION || stage > STAGE_HELO)
        return SPAN_TRANSACTION;
    return stage == STAGE_HELO ? SPAN_HELO : SPAN_CONNECTION;
}

static void wire_probe(struct wiring *wiring, size_t check_index, const struct probe *probe,
                       uint32_t stream)
{
    const struct config_schema *schema = wiring->config->schema;
    const struct check *check = schema->checks[check_index];
    struct wired_probe *wired = &wiring->probes[wiring->probe_count];
    void *state = wiring->config->check_states[check_index];

    *wired = (struct wired_probe){
        .check = check,
        .probe = probe,
        .state = state,
        .check_slot = schema->first_slot[check_index],
        .first = schema->first_slot[check_index] + probe->first,
        .span = span_of_scope(probe->scope, probe->stage),
        .used = check->used == NULL || check->used(state, probe),
        .stream = probe->stage == STAGE_MESSAGE ? stream : NOBODY,
    };
    wired->time_key = arena_printf(wiring->arena, "time.%s", probe->name);
    if (wired->span == SPAN_RECIPIENT)
        wired->place = (uint32_t)wiring->recipient_probes++;
    else
        wired->place = (uint32_t)wiring->session_probes++;
    for (unsigned i = 0; i < probe->count; i++) {
        wiring->probe_of[wired->first + i] = (uint32_t)wiring->probe_count;
        wiring->span_of[wired->first + i] = (uint8_t)wired->span;
    }
    wiring->probe_count++;
}

static uint32_t wire_stream(struct wiring *wiring, size_t check_index)
{
    const struct check_stream *stream = wiring->config->schema->checks[check_index]->stream;

    if (stream == NULL)
        return NOBODY;
    wiring->streams[wiring->stream_count] =
        (struct wired_stream){.stream = stream, .state = wiring->config->check_states[check_index]};
    return (uint32_t)wiring->stream_count++;
}

static void wire_probes(struct wiring *wiring)
{
    const struct config_schema *schema = wiring->config->schema;
    size_t count = 0;

    for (size_t i = 0; i < schema->check_count; i++)
        count += schema->checks[i]->probe_count;
    wiring->probes = arena_alloc(wiring->arena, count * sizeof(struct wired_probe));
    wiring->streams = arena_alloc(wiring->arena, schema->check_count * sizeof(struct wired_stream));
    for (size_t i = 0; i < schema->check_count; i++) {
        uint32_t stream = wire_stream(wiring, i);
        for (size_t j = 0; j < schema->checks[i]->probe_count; j++)
            wire_probe(wiring, i, &schema->checks[i]->probes[j], stream);
    }
}

static void wire_derived(struct wiring *wiring)
{
    const struct policy *policy = wiring->policy;

    wiring->tables = arena_alloc(wiring->arena, policy->derived_count * sizeof(struct table *));
    for (size_t i = 0; i < policy->derived_count; i++) {
        const struct derived *derived = &policy->derived[i];
        wiring->derived_of[derived->slot] = (uint32_t)i;
        if (derived->table != NULL)
            wiring->tables[i] = config_table(wiring->config, derived->table);
        /* A subject that is a derived fact itself stands earlier. */
        if (derived->subject != SLOT_NONE)
            wiring->root_of[derived->slot] = wiring->root_of[derived->subject];
    }
    /* A derived fact lives as long as what it rests on. */
    for (size_t i = 0; i < policy->derived_count; i++) {
        slot_t slot = policy->derived[i].slot;
        bool header = wiring->derived_of[wiring->root_of[slot]] != NOBODY;
        wiring->span_of[slot] = header ? SPAN_TRANSACTION : wiring->span_of[wiring->root_of[slot]];
    }
}

/* The key of a slot in records: its name, where runs of what a key cannot hold are one '_'. */
static const char *slot_key(struct arena *arena, const char *name)
{
    char key[KEY_MAX + 1];
    size_t length = 0;

    for (; *name != '\0' && length < KEY_MAX; name++) {
        if (isalnum((unsigned char)*name) || *name == '.' || *name == '-')
            key[length++] = *name;
        else if (length > 0 && key[length - 1] != '_')
            key[length++] = '_';
    }
    while (length > 0 && key[length - 1] == '_')
        length--;
    return arena_strndup(arena, key, length);
}

struct wiring *wiring_new(struct config *config)
{
    static const char *const shown[] = {"client.ip", "client.name", "helo",
                                        "sender",    "rcpt",        "listener"};
    struct arena *arena = arena_new();
    struct wiring *wiring = arena_alloc(arena, sizeof(*wiring));
    size_t slots = config->policy->layout->count;

    atomic_init(&wiring->refs, 1);
    wiring->arena = arena;
    wiring->config = config_ref(config);
    wiring->policy = config->policy;
    wiring->layout = config->policy->layout;
    wiring->probe_of = arena_alloc(arena, slots * sizeof(uint32_t));
    wiring->derived_of = arena_alloc(arena, slots * sizeof(uint32_t));
    wiring->span_of = arena_alloc(arena, slots);
    wiring->key_of = arena_alloc(arena, slots * sizeof(const char *));
    wiring->root_of = arena_alloc(arena, slots * sizeof(slot_t));
    for (size_t i = 0; i < slots; i++) {
        const struct slot *slot = &wiring->layout->slots[i];
        wiring->probe_of[i] = wiring->derived_of[i] = NOBODY;
        wiring->root_of[i] = (slot_t)i;
        wiring->span_of[i] = (uint8_t)span_of_scope(slot->scope, slot->stage);
        wiring->key_of[i] = slot_key(arena, slot->name);
    }
    wire_probes(wiring);
    wire_derived(wiring);
    wire_order(wiring);
    wire_texts(wiring);
    wire_results(wiring);
    wire_needs(wiring);
    wiring->delimiter = config_text(config, "recipients", "delimiter");
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
        wiring->shown[i] = layout_find(wiring->layout, shown[i]);
    return wiring;
}

struct wiring *wiring_ref(struct wiring *wiring)
{
    atomic_fetch_add_explicit(&wiring->refs, 1, memory_order_relaxed);
    return wiring;
}

void wiring_unref(struct wiring *wiring)
{
    if (wiring == NULL || atomic_fetch_sub_explicit(&wiring->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (wiring->engine != NULL)
        engine_wiring_gone(wiring->engine, wiring);
    config_unref(wiring->config);
    arena_free(wiring->arena);
}
