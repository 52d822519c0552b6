/* SPDX-License-Identifier: MIT */
#include "engine_private.h"

#include <string.h>

#include <postern/str.h>

/*
 * The record of a verdict: always the same keys in the same order, then what applies, then every
 * fact that was known, then the time that lookups took.
 */
enum { HEAD_FIELDS = 14, OPTIONAL_FIELDS = 6, LIST_MAX = 1000 };

struct writer {
    struct engine_session *session;
    const struct record_what *what;
    struct record *record;
};

static void put(struct writer *writer, const char *key, const char *value)
{
    writer->record->fields[writer->record->count++] =
        (struct audit_field){key, value != NULL ? value : ""};
}

/* What grows on the heap ends in the arena of the record. */
static const char *keep(struct writer *writer, struct str *text)
{
    const char *kept = "";

    if (text->length > 0)
        kept = arena_strndup(writer->session->speech, text->data, text->length);
    str_free(text);
    return kept;
}

static void list_add(struct str *list, const char *item)
{
    if (list->length > LIST_MAX)
        return;
    if (list->length > 0)
        str_add_char(list, ',');
    str_add(list, item);
}

static const char *rule_names(struct writer *writer, const uint8_t *flags)
{
    const struct policy *policy = writer->session->wiring->policy;
    struct str list = {0};

    for (size_t i = 0; flags != NULL && i < policy->rule_count; i++)
        if (flags[i])
            list_add(&list, policy->rules[i].name);
    return keep(writer, &list);
}

static const struct recipient *next_recipient(const struct record_what *what,
                                              const struct recipient *recipient)
{
    return what->one ? NULL : recipient->next;
}

static const char *recipient_names(struct writer *writer)
{
    const struct record_what *what = writer->what;
    struct str list = {0};

    if (what->rcpt != NULL)
        return what->rcpt;
    if (what->recipients != NULL && next_recipient(what, what->recipients) == NULL)
        return what->recipients->mailbox.sent;
    for (const struct recipient *r = what->recipients; r != NULL; r = next_recipient(what, r))
        list_add(&list, r->mailbox.sent);
    return keep(writer, &list);
}

/* ---- lookups ---- */

/* Calls EACH for every run whose facts the record shows. */
static void each_run(struct writer *writer,
                     void (*each)(struct writer *writer, const struct run *run, void *arg),
                     void *arg)
{
    const struct record_what *what = writer->what;

    for (int i = 0; i < SESSION_SPANS; i++)
        for (const struct run *run = writer->session->spans[i].runs; run != NULL; run = run->next)
            if (!run->forgotten)
                each(writer, run, arg);
    for (const struct recipient *r = what->recipients; r != NULL; r = next_recipient(what, r))
        for (const struct run *run = r->span.runs; run != NULL; run = run->next)
            each(writer, run, arg);
}

static void note_late(struct writer *writer, const struct run *run, void *arg)
{
    uint8_t *late = arg;

    if (run->late)
        late[run->wired - writer->session->wiring->probes] = 1;
}

static void note_time(struct writer *writer, const struct run *run, void *arg)
{
    int64_t *times = arg;
    int64_t *time = &times[run->wired - writer->session->wiring->probes];
    int64_t took = run->finished ? run->took : clock_us() - run->started;

    if (!run->wired->probe->instant && took >= *time)
        *time = took;
}

static const char *late_names(struct writer *writer)
{
    const struct wiring *wiring = writer->session->wiring;
    uint8_t *late = arena_alloc(writer->session->speech, wiring->probe_count);
    struct str list = {0};

    each_run(writer, note_late, late);
    for (size_t i = 0; i < wiring->probe_count; i++)
        if (late[i])
            list_add(&list, wiring->probes[i].probe->name);
    return keep(writer, &list);
}

static void put_times(struct writer *writer)
{
    const struct wiring *wiring = writer->session->wiring;
    struct arena *arena = writer->session->speech;
    int64_t *times = arena_alloc(arena, wiring->probe_count * sizeof(times[0]));

    for (size_t i = 0; i < wiring->probe_count; i++)
        times[i] = -1;
    each_run(writer, note_time, times);
    for (size_t i = 0; i < wiring->probe_count; i++)
        if (times[i] >= 0)
            put(writer, wiring->probes[i].time_key,
                times[i] < 1000 ? "0" : arena_number(arena, times[i] / 1000));
}

/* ---- facts ---- */

/* The value as one recipient has it, or NULL when it is not known. */
static const char *show_one(struct writer *writer, const struct recipient *recipient, slot_t number,
                            bool *fault)
{
    const struct engine_session *session = writer->session;
    const struct value *value = session_cell(session, recipient, number);

    if (value == NULL || value->state == VALUE_OPEN)
        return NULL;
    *fault |= value->state == VALUE_FAULT;
    return value_show(session->speech, &session->wiring->layout->slots[number], value);
}

/* The value as it is shown, or NULL when it is not known for any recipient.  Recipients that differ
 * are listed in the order of `rcpt`. */
static const char *show(struct writer *writer, slot_t number, bool *fault)
{
    const struct record_what *what = writer->what;
    const struct recipient *recipient = what->recipients;
    const char *first = show_one(writer, recipient, number, fault);
    struct str list = {0};
    bool differs = false, known = first != NULL;

    if (writer->session->wiring->layout->slots[number].scope != SCOPE_RECIPIENT ||
        recipient == NULL || next_recipient(what, recipient) == NULL)
        return first;
    first = known ? first : "";
    str_add(&list, first);
    while ((recipient = next_recipient(what, recipient)) != NULL && list.length <= LIST_MAX) {
        const char *text = show_one(writer, recipient, number, fault);
        known |= text != NULL;
        text = text != NULL ? text : "";
        differs |= strcmp(first, text) != 0;
        str_add_char(&list, ',');
        if (list.length <= LIST_MAX)
            str_add(&list, text);
    }
    if (differs)
        first = arena_strdup(writer->session->speech, str_text(&list));
    str_free(&list);
    return known ? first : NULL;
}

/* Whether the head of the record shows the fact already; an empty value is told from one that was
 * never asked for. */
static bool in_head(const struct wiring *wiring, slot_t slot, bool fault)
{
    for (size_t i = 0; i < sizeof(wiring->shown) / sizeof(wiring->shown[0]); i++)
        if (wiring->shown[i] == slot)
            return !fault;
    return false;
}

/* Facts that this configuration never looks for are absent, not known. */
static bool is_unused(const struct wiring *wiring, slot_t slot)
{
    uint32_t probe = wiring->probe_of[slot];

    return probe != NOBODY && !wiring->probes[probe].used;
}

/* The names of facts in fault go before the facts. */
static void put_facts(struct writer *writer)
{
    const struct wiring *wiring = writer->session->wiring;
    struct audit_field *faults = &writer->record->fields[writer->record->count];
    struct str list = {0};

    put(writer, "faults", "");
    for (slot_t slot = 0; slot < wiring->layout->count; slot++) {
        bool fault = false;
        const char *text = is_unused(wiring, slot) ? NULL : show(writer, slot, &fault);
        if (text == NULL)
            continue;
        if (fault)
            list_add(&list, wiring->key_of[slot]);
        if (!in_head(wiring, slot, fault))
            put(writer, wiring->key_of[slot], text);
    }
    faults->value = keep(writer, &list);
}

static const char *client_name(struct writer *writer)
{
    const struct engine_session *session = writer->session;
    slot_t slot = session->wiring->shown[1];
    const struct value *value = slot != SLOT_NONE ? session_cell(session, NULL, slot) : NULL;

    return value != NULL && value->state == VALUE_KNOWN ? value->text : "";
}

/* ---- the record ---- */

static void put_head(struct writer *writer)
{
    const struct engine_session *session = writer->session;
    const struct record_what *what = writer->what;
    struct arena *arena = session->speech;

    put(writer, "id", session->tx.id);
    put(writer, "verdict",
        session->observe && strcmp(what->verdict, "accept") != 0 && what->rcpt == NULL
            ? arena_printf(arena, "would-%s", what->verdict)
            : what->verdict);
    put(writer, "stage", stage_name(what->stage));
    put(writer, "rule", what->rule);
    put(writer, "at",
        what->at != NULL ? arena_printf(arena, "%s:%u", what->at->file, what->at->line) : "");
    put(writer, "reply", what->reply);
    put(writer, "client", session->client_text);
    put(writer, "name", client_name(writer));
    put(writer, "helo", session->inputs.helo);
    put(writer, "sender", session->inputs.sender.sent);
    put(writer, "rcpt", recipient_names(writer));
    put(writer, "qid", session->tx.qid);
    put(writer, "listener", session->listener);
    put(writer, "observed", rule_names(writer, what->observed));
}

static void put_optional(struct writer *writer, const char *key, const char *value)
{
    if (value != NULL && value[0] != '\0')
        put(writer, key, value);
}

void record_add(struct engine_session *session, const struct record_what *what)
{
    const struct wiring *wiring = session->wiring;
    struct arena *arena = session->speech;
    size_t room = HEAD_FIELDS + OPTIONAL_FIELDS + wiring->layout->count + wiring->probe_count;
    struct writer writer = {.session = session, .what = what};

    if (session->engine->options.audit == NULL && session->engine->options.recorded == NULL)
        return;
    writer.record = arena_alloc(arena, sizeof(*writer.record));
    writer.record->fields = arena_alloc(arena, room * sizeof(writer.record->fields[0]));
    put_head(&writer);
    put_optional(&writer, "marked", rule_names(&writer, what->marked));
    put_optional(&writer, "mixed", what->mixed);
    put_optional(&writer, "fault", what->fault);
    put_optional(&writer, "late", late_names(&writer));
    if (what->stage == STAGE_MESSAGE && session->tx.claim_count > 0)
        put(&writer, "forged", arena_number(arena, (int64_t)session->tx.claim_count));
    put_facts(&writer);
    put_times(&writer);
    *session->record_tail = writer.record;
    session->record_tail = &writer.record->next;
}

void records_send(struct engine *engine, const struct record *records)
{
    for (; records != NULL; records = records->next) {
        if (engine->options.recorded != NULL)
            engine->options.recorded(engine->options.arg, records->fields, records->count);
        if (engine->options.audit != NULL)
            audit_write(engine->options.audit, records->fields, records->count);
    }
}
