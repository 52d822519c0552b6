/* SPDX-License-Identifier: MIT */
#include "engine_private.h"

#include <assert.h>
#include <stdlib.h>

#include <postern/dns.h>

/*
 * Probes under way and their questions.  A question in flight holds a reference to its session, so
 * that a late answer finds it alive; whether anybody still waits for the answer is in
 * question->run.
 */
struct question {
    struct engine_session *session;
    struct run *run;               /* NULL: nobody waits any more */
    struct question *next, **link; /* among the questions of the run */
    probe_got *got;
    uintptr_t tag;
    struct dns_query *query;         /* in flight, or */
    const struct dns_answer *answer; /* known at once */
    struct question *next_ready;
};

static void unlink_question(struct question *question)
{
    *question->link = question->next;
    if (question->next != NULL)
        question->next->link = question->link;
    question->run = NULL;
}

static void drop_questions(struct run *run)
{
    struct question *question = run->questions;
    struct question *next;

    run->questions = NULL;
    for (; question != NULL; question = next) {
        next = question->next;
        question->run = NULL;
        /* One whose answer was known at once is freed by run_ready(), one whose callback is about
         * to come, by that. */
        if (question->answer == NULL &&
            dns_cancel(run->session->engine->options.dns, question->query)) {
            session_unref(question->session);
            free(question);
        }
    }
}

static void end_run(struct run *run)
{
    run->finished = true;
    run->took = clock_us() - run->started;
    run->session->going--;
    run->span->going--;
    drop_questions(run);
}

/* On the loop's thread. */
static void answered(void *arg, const struct dns_answer *answer)
{
    struct question *question = arg;
    struct engine_session *session = question->session;
    struct run *run;

    session_enter(session);
    run = question->run;
    if (run != NULL) {
        unlink_question(question);
        question->got(&run->pub, answer, question->tag);
        session_leave(session);
    } else {
        session_quit(session);
    }
    free(question);
    session_unref(session);
}

/* Asks; its answer may be known at once. */
static struct question *ask(struct run *run, const char *name, enum dns_type type, probe_got *got,
                            uintptr_t tag)
{
    struct engine_session *session = run->session;
    struct question *question = xcalloc(1, sizeof(*question));

    question->session = session_ref(session);
    question->run = run;
    question->got = got;
    question->tag = tag;
    question->next = run->questions;
    question->link = &run->questions;
    if (question->next != NULL)
        question->next->link = &question->next;
    run->questions = question;
    question->answer =
        dns_ask(session->engine->options.dns, name, type, 0, answered, question, &question->query);
    return question;
}

void probe_ask(struct probe_run *pub, const char *name, enum dns_type type, probe_got *got,
               uintptr_t tag)
{
    struct run *run = (struct run *)(void *)pub;
    struct engine_session *session = run->session;
    struct question *question;

    if (run->finished)
        return;
    question = ask(run, name, type, got, tag);
    if (question->answer == NULL)
        return;
    *session->ready_tail = question;
    session->ready_tail = &question->next_ready;
}

const struct dns_answer *probe_look_up(struct probe_run *pub, const char *name, enum dns_type type,
                                       probe_got *got, uintptr_t tag)
{
    struct run *run = (struct run *)(void *)pub;
    const struct dns_answer *answer;
    struct question *question;

    if (run->finished)
        return NULL;
    question = ask(run, name, type, got, tag);
    answer = question->answer;
    if (answer == NULL)
        return NULL;
    unlink_question(question);
    session_unref(question->session);
    free(question);
    return answer;
}

bool run_ready(struct engine_session *session)
{
    struct question *question = session->ready;

    if (question == NULL)
        return false;
    while ((question = session->ready) != NULL) {
        struct run *run = question->run;
        session->ready = question->next_ready;
        if (session->ready == NULL)
            session->ready_tail = &session->ready;
        if (run != NULL) {
            unlink_question(question);
            question->got(&run->pub, question->answer, question->tag);
        }
        dns_answer_unref(question->answer);
        free(question);
        session_unref(session);
    }
    return true;
}

/* ---- what probes say ---- */

static slot_t slot_of(const struct run *run, unsigned number)
{
    assert(number >= run->wired->probe->first &&
           number < run->wired->probe->first + run->wired->probe->count);
    return run->wired->check_slot + number;
}

/* The first value stands: a fact that a rule may have used does not change. */
void probe_set(struct probe_run *pub, unsigned number, struct value value)
{
    struct run *run = (struct run *)(void *)pub;
    struct value *cell = session_cell(run->session, run->recipient, slot_of(run, number));

    if (run->finished || cell->state != VALUE_OPEN)
        return;
    *cell = value;
    session_learnt(run->session, run->recipient, slot_of(run, number));
}

void probe_set_word(struct probe_run *run, unsigned number, unsigned word)
{
    probe_set(run, number, value_word(probe_slot(run, number), word));
}

void probe_set_text(struct probe_run *run, unsigned number, const char *text)
{
    probe_set(run, number, value_text(text));
}

void probe_set_fault(struct probe_run *run, unsigned number)
{
    probe_set(run, number, value_fault(probe_slot(run, number)));
}

const struct slot *probe_slot(const struct probe_run *pub, unsigned number)
{
    const struct run *run = (const struct run *)(const void *)pub;

    return &run->session->wiring->layout->slots[slot_of(run, number)];
}

static bool waits_for(const struct wired_probe *wired, slot_t slot)
{
    for (size_t i = 0; i < wired->behind_count; i++)
        if (wired->behind[i] == slot)
            return true;
    return false;
}

const struct value *probe_value(const struct probe_run *pub, const char *name,
                                const struct slot **slot)
{
    static const struct slot unknown = {.name = "", .type = FACT_TEXT};
    static const struct value absent = {.state = VALUE_KNOWN, .text = ""};
    const struct run *run = (const struct run *)(const void *)pub;
    const struct layout *layout = run->session->wiring->layout;
    slot_t found = layout_find(layout, name);
    const struct value *value = &absent;

    if (found != SLOT_NONE) {
        assert(waits_for(run->wired, found));
        value = session_cell(run->session, run->recipient, found);
        assert(value->state != VALUE_OPEN);
    }
    if (slot != NULL)
        *slot = found != SLOT_NONE ? &layout->slots[found] : &unknown;
    return value;
}

void probe_finish(struct probe_run *pub)
{
    struct run *run = (struct run *)(void *)pub;
    const struct probe *probe = run->wired->probe;

    if (run->finished)
        return;
    for (unsigned i = 0; i < probe->count; i++) {
        slot_t slot = slot_of(run, probe->first + i);
        if (session_cell(run->session, run->recipient, slot)->state == VALUE_OPEN)
            probe_set_fault(pub, probe->first + i);
    }
    end_run(run);
}

/* ---- beginning and end ---- */

/* A probe sees what belongs to its facts' span: what is younger may end before the probe does. */
static struct inputs inputs_for(const struct engine_session *session,
                                const struct recipient *recipient, enum span_kind span)
{
    static const struct mailbox nobody = {
        .sent = "", .address = "", .local = "", .domain = "", .literal = ""};
    struct inputs inputs = session->inputs;

    inputs.recipient = recipient != NULL ? recipient->mailbox : nobody;
    inputs.recipients_taken = session->tx.taken_count;
    if (span == SPAN_CONNECTION || span == SPAN_HELO) {
        inputs.sender = nobody;
        inputs.auth_user = inputs.auth_type = "";
    }
    if (span == SPAN_CONNECTION)
        inputs.helo = "";
    return inputs;
}

/* They change with events only.  A connection may see a million of them: where nobody looks any
 * more, new ones take the place of the old. */
static const struct inputs *share_inputs(const struct engine_session *session,
                                         const struct recipient *recipient, struct span *span,
                                         enum span_kind kind)
{
    if (span->inputs == NULL || span->seen != session->events) {
        if (span->inputs == NULL || span->going > 0)
            span->inputs = arena_alloc(span->arena, sizeof(*span->inputs));
        *span->inputs = inputs_for(session, recipient, kind);
        span->seen = session->events;
    }
    return span->inputs;
}

/* Lookups of a connection may be over for hours before it ends. */
static struct arena *scratch_of(struct span *span, enum span_kind kind)
{
    if (kind >= SPAN_TRANSACTION)
        return span->arena;
    if (span->scratch == NULL)
        span->scratch = arena_new_for(SCRATCH_TYPICAL);
    return span->scratch;
}

void span_rest(struct span *span)
{
    if (span->going > 0)
        return;
    arena_free(span->scratch);
    span->scratch = NULL;
}

static struct run **place_of(const struct engine_session *session,
                             const struct recipient *recipient, const struct wired_probe *wired)
{
    return wired->span == SPAN_RECIPIENT ? &recipient->runs[wired->place]
                                         : &session->runs[wired->place];
}

struct run *run_of(const struct engine_session *session, const struct recipient *recipient,
                   const struct wired_probe *wired)
{
    return *place_of(session, recipient, wired);
}

bool run_may_start(const struct engine_session *session, const struct recipient *recipient,
                   const struct wired_probe *wired)
{
    for (size_t i = 0; i < wired->after_count; i++) {
        const struct value *cell = session_cell(session, recipient, wired->after[i]);
        if (cell == NULL || cell->state == VALUE_OPEN)
            return false;
    }
    return true;
}

/* A forgotten run of the probe makes room for the next one, of which a long session may have one in
 * each transaction. */
static struct run *room_for_run(struct span *span, const struct wired_probe *wired)
{
    for (struct run **link = &span->runs; *link != NULL; link = &(*link)->next) {
        struct run *run = *link;
        if (!run->forgotten || !run->finished || run->wired != wired)
            continue;
        *link = run->next;
        *run = (struct run){0};
        return run;
    }
    return arena_alloc(span->arena, sizeof(struct run));
}

void run_start(struct engine_session *session, struct recipient *recipient,
               const struct wired_probe *wired)
{
    struct span *span = session_span(session, recipient, wired->span);
    struct run *run = room_for_run(span, wired);

    run->session = session;
    run->wired = wired;
    run->recipient = wired->span == SPAN_RECIPIENT ? recipient : NULL;
    run->span = span;
    run->pub = (struct probe_run){
        .probe = wired->probe,
        .state = wired->state,
        .inputs = share_inputs(session, run->recipient, span, wired->span),
        .arena = span->arena,
        .scratch = scratch_of(span, wired->span),
    };
    run->next = span->runs;
    span->runs = run;
    *place_of(session, recipient, wired) = run;
    run->started = clock_us();
    session->going++;
    span->going++;
    /* A message that was not looked at says nothing about itself. */
    if (wired->stream != NOBODY && !stream_open(session, wired->stream, &run->pub.stream))
        probe_finish(&run->pub);
    else
        wired->probe->start(&run->pub);
    assert(run->finished || !wired->probe->instant);
}

void run_expire(struct run *run)
{
    if (run->finished)
        return;
    run->late = true;
    if (run->wired->probe->expire != NULL)
        run->wired->probe->expire(&run->pub);
    probe_finish(&run->pub);
}

void run_drop(struct run *run)
{
    end_run(run);
    run->forgotten = true;
    *place_of(run->session, run->recipient, run->wired) = NULL;
}

void span_cancel(struct span *span)
{
    for (struct run *run = span->runs; run != NULL; run = run->next) {
        if (!run->finished)
            end_run(run);
    }
}
