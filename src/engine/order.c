/* SPDX-License-Identifier: MIT */
#include "engine_private.h"

#include <string.h>

/*
 * What rests on what: probes that wait for the facts of others, texts that show facts.
 */

/* ---- probes that wait for others ---- */

static void check_after(const struct wiring *wiring, const struct wired_probe *wired, slot_t slot)
{
    /* What a probe waits for is there no later than its own inputs, and lives no less long. */
    assert(wiring->probe_of[slot] != NOBODY);
    assert(wiring->layout->slots[slot].stage <= (uint8_t)wired->probe->stage);
    assert(wiring->span_of[slot] <= (uint8_t)wired->span);
}

/* The facts that it names and that this program knows. */
static void name_after(struct wiring *wiring, struct wired_probe *wired)
{
    const char *const *names = wired->probe->after;
    size_t count = 0;
    slot_t *slots;

    while (names != NULL && names[count] != NULL)
        count++;
    slots = arena_alloc(wiring->arena, count * sizeof(slots[0]));
    for (size_t i = 0; i < count; i++) {
        slot_t slot = layout_find(wiring->layout, names[i]);
        if (slot == SLOT_NONE)
            continue;
        check_after(wiring, wired, slot);
        slots[wired->after_count++] = slot;
        wiring->leads[slot] = 1;
    }
    wired->after = slots;
}

/* Marks all that PROBE rests on.  A chain that is longer than there are probes is a circle. */
static void mark_behind(const struct wiring *wiring, const struct wired_probe *wired, size_t depth,
                        uint8_t *marked)
{
    assert(depth <= wiring->probe_count);
    for (size_t i = 0; i < wired->after_count; i++) {
        slot_t slot = wired->after[i];
        if (marked[slot])
            continue;
        mark_behind(wiring, &wiring->probes[wiring->probe_of[slot]], depth + 1, marked);
        marked[slot] = 1;
    }
}

static void list_late(struct wiring *wiring)
{
    slot_t *late = arena_alloc(wiring->arena, wiring->layout->count * sizeof(late[0]));

    for (slot_t slot = 0; slot < wiring->layout->count; slot++) {
        uint32_t probe = wiring->probe_of[wiring->root_of[slot]];
        if (probe != NOBODY && wiring->probes[probe].behind_count > 0)
            late[wiring->late_count++] = slot;
    }
    wiring->late = late;
}

void wire_order(struct wiring *wiring)
{
    size_t slots = wiring->layout->count;
    uint8_t *marked = arena_alloc(wiring->arena, slots);

    wiring->leads = arena_alloc(wiring->arena, slots);
    for (size_t i = 0; i < wiring->policy->derived_count; i++)
        if (wiring->policy->derived[i].subject != SLOT_NONE)
            wiring->leads[wiring->policy->derived[i].subject] = 1;
    for (size_t i = 0; i < wiring->probe_count; i++)
        name_after(wiring, &wiring->probes[i]);
    for (size_t i = 0; i < wiring->probe_count; i++) {
        struct wired_probe *wired = &wiring->probes[i];
        slot_t *behind;
        if (wired->after_count == 0)
            continue;
        memset(marked, 0, slots);
        mark_behind(wiring, wired, 0, marked);
        behind = arena_alloc(wiring->arena, slots * sizeof(behind[0]));
        for (slot_t slot = 0; slot < slots; slot++)
            if (marked[slot])
                behind[wired->behind_count++] = slot;
        wired->behind = behind;
    }
    list_late(wiring);
}

/* ---- texts ---- */

void wire_texts(struct wiring *wiring)
{
    const struct policy *policy = wiring->policy;

    wiring->texts = arena_alloc(wiring->arena, policy->rule_count * sizeof(struct wired_text));
    for (size_t i = 0; i < policy->rule_count; i++) {
        const struct rule *rule = &policy->rules[i];
        struct wired_text text = {.rule = (uint32_t)i};
        if (rule->compiled != NULL)
            text.count = template_slots(rule->compiled, &text.slots);
        if (text.count > 0)
            wiring->texts[wiring->text_count++] = text;
    }
}
