/* SPDX-License-Identifier: MIT */
#include "rig_streams.h"

#include <stdlib.h>
#include <string.h>

#include <postern/arena.h>
#include <postern/str.h>

/* Another support file stands in for the engine with functions of these names; the engine's are
 * meant here. */
#pragma weak probe_ask
#pragma weak probe_look_up
#pragma weak probe_set
#pragma weak probe_set_text
#pragma weak probe_set_fault
#pragma weak probe_finish
#pragma weak probe_value

/* ---- what passed by ---- */

struct watcher {
    struct str seen;
    size_t body;
    struct dns *dns;
};

static void *watch(void *state, const struct inputs *inputs, struct arena *arena, struct dns *dns)
{
    struct watcher *watcher = xcalloc(1, sizeof(*watcher));

    (void)state;
    watcher->dns = dns;
    str_add_format(&watcher->seen, "from %s", arena_strdup(arena, inputs->sender.address));
    return watcher;
}

static void see_header(void *stream, const char *name, const char *value)
{
    struct watcher *watcher = stream;

    str_add_format(&watcher->seen, "|%s:%s", name, value);
    if (strcmp(name, "Warm") == 0)
        stream_warm(watcher->dns, value + 1, DNS_A);
}

static void see_eoh(void *stream)
{
    str_add(&((struct watcher *)stream)->seen, "|eoh");
}

static void see_chunk(void *stream, const unsigned char *bytes, size_t length)
{
    struct watcher *watcher = stream;

    str_add_format(&watcher->seen, "|%zu", length);
    watcher->body += length > 0 ? bytes[length - 1] : 0;
}

static void end_watch(void *stream)
{
    str_free(&((struct watcher *)stream)->seen);
    free(stream);
}

static void show_seen(struct probe_run *run)
{
    const struct watcher *watcher = run->stream;

    probe_set_text(run, run->probe->first, arena_strdup(run->arena, str_text(&watcher->seen)));
    probe_finish(run);
}

/* ---- what waits for others ---- */

enum { S_SEEN, S_AFTER, S_LAST };

static const struct fact_row s_facts[] = {
    {"s.seen", FACT_TEXT, STAGE_MESSAGE, SCOPE_MESSAGE, NULL, "what passed by"},
    {"s.after", FACT_TEXT, STAGE_MESSAGE, SCOPE_MESSAGE, NULL, "facts of others"},
    {"s.last", FACT_NUMBER, STAGE_MESSAGE, SCOPE_MESSAGE, NULL, "number after all others"},
};

static void show_others(struct probe_run *run)
{
    static const char *const names[] = {"t.message", "t.sender", "unknown.fact"};
    struct str text = {0};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct slot *slot;
        const struct value *value = probe_value(run, names[i], &slot);
        str_add_format(&text, "%s%s%s=%s", i > 0 ? " " : "", value->state == VALUE_FAULT ? "~" : "",
                       slot->name,
                       value->state == VALUE_FAULT ? "" : value_show(run->arena, slot, value));
    }
    probe_set_text(run, S_AFTER, arena_strdup(run->arena, str_text(&text)));
    str_free(&text);
    probe_finish(run);
}

static void got_last(struct probe_run *run, const struct dns_answer *answer, uintptr_t tag)
{
    (void)tag;
    if (answer->status == DNS_FOUND)
        probe_set(run, S_LAST, value_number(answer->records[0].addr.bytes[3]));
    probe_finish(run);
}

static void ask_last(struct probe_run *run)
{
    probe_ask(run, "last.test", DNS_A, got_last, 0);
}

static const char *const others[] = {"t.message", "t.sender", "unknown.fact", NULL};
static const char *const after[] = {"s.after", NULL};

#define PROBE(NAME, FACT, START)                                                                   \
    .name = NAME, .stage = STAGE_MESSAGE, .scope = SCOPE_MESSAGE, .first = FACT, .count = 1,       \
    .start = START

static const struct probe s_probes[] = {
    {PROBE("s-last", S_LAST, ask_last), .after = after},
    {PROBE("s-after", S_AFTER, show_others), .after = others},
    {PROBE("s-seen", S_SEEN, show_seen)},
};

static const struct check_stream s_stream = {
    .open = watch, .header = see_header, .eoh = see_eoh, .chunk = see_chunk, .close = end_watch};

const struct check rig_s_check = {
    .name = "s",
    .help = "headers, and facts of others",
    .facts = s_facts,
    .fact_count = sizeof(s_facts) / sizeof(s_facts[0]),
    .probes = s_probes,
    .probe_count = sizeof(s_probes) / sizeof(s_probes[0]),
    .stream = &s_stream,
};

/* ---- the body ---- */

static const struct fact_row b_facts[] = {
    {"b.seen", FACT_TEXT, STAGE_MESSAGE, SCOPE_MESSAGE, NULL, "what passed by"},
};

static const struct probe b_probes[] = {{PROBE("b-seen", 0, show_seen)}};

static const struct check_stream b_stream = {.body = true,
                                             .open = watch,
                                             .header = see_header,
                                             .eoh = see_eoh,
                                             .chunk = see_chunk,
                                             .close = end_watch};

const struct check rig_b_check = {
    .name = "b",
    .help = "bodies",
    .facts = b_facts,
    .fact_count = 1,
    .probes = b_probes,
    .probe_count = 1,
    .stream = &b_stream,
};
