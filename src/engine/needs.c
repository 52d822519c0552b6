/* SPDX-License-Identifier: MIT */
#include "engine_private.h"

#include <string.h>

/*
 * What is looked up: the facts that undecided parts of rules need, and those that the texts of such
 * rules show.
 */

static bool is_open(const struct engine_session *session, const struct recipient *recipient,
                    slot_t slot)
{
    const struct value *cell = session_cell(session, recipient, slot);

    return cell != NULL && cell->state == VALUE_OPEN;
}

/* Whether the inputs of the probe are there. */
static bool is_due(const struct engine_session *session, const struct recipient *recipient,
                   const struct wired_probe *wired)
{
    if (!wired->used || wired->probe->stage > session->stage)
        return false;
    if (wired->span == SPAN_RECIPIENT && (recipient == NULL || recipient->refused))
        return false;
    return wired->span < SPAN_TRANSACTION || (session->tx.open && !session->tx.over);
}

bool session_pending(const struct engine_session *session, const struct recipient *recipient,
                     slot_t slot)
{
    const struct wiring *wiring = session->wiring;
    slot_t root = wiring->root_of[slot];

    if (!is_open(session, recipient, slot))
        return false;
    if (!is_open(session, recipient, root))
        return true;
    if (wiring->probe_of[root] == NOBODY)
        return wiring->layout->slots[root].stage <= session->stage;
    return is_due(session, recipient, &wiring->probes[wiring->probe_of[root]]);
}

/* Finding a fact out never calls for another lookup that was not called for before: what is not
 * decided yet is looked up from the beginning, and knowing more only leaves less to be decided.  So
 * only what was waiting for the fact has to be looked at again. */
void session_learnt(struct engine_session *session, struct recipient *recipient, slot_t slot)
{
    const struct wiring *wiring = session->wiring;

    session->unsettled = session->learnt = true;
    if (!wiring->leads[slot])
        return;
    if (wiring->layout->slots[slot].scope != SCOPE_RECIPIENT) {
        session->changed = true;
    } else if (!recipient->touched) {
        recipient->touched = true;
        recipient->next_touched = session->touched;
        session->touched = recipient;
    }
}

/* A derived fact whose chain of subjects is known up to it. */
static bool find_derived(struct engine_session *session, struct recipient *recipient, slot_t slot)
{
    uint32_t number = session->wiring->derived_of[slot];
    slot_t subject = session->wiring->policy->derived[number].subject;

    if (subject == SLOT_NONE) {
        if (session->stage < STAGE_MESSAGE)
            return false;
    } else if (is_open(session, recipient, subject)) {
        return session_fetch(session, recipient, subject);
    }
    derived_find(session, recipient, number);
    session_learnt(session, recipient, slot);
    return true;
}

static bool fetch_after(struct engine_session *session, struct recipient *recipient,
                        const struct wired_probe *wired)
{
    bool started = false;

    for (size_t i = 0; i < wired->after_count; i++)
        started |= session_fetch(session, recipient, wired->after[i]);
    return started;
}

bool session_fetch(struct engine_session *session, struct recipient *recipient, slot_t slot)
{
    const struct wiring *wiring = session->wiring;
    const struct wired_probe *wired;

    if (!session_pending(session, recipient, slot))
        return false;
    if (wiring->derived_of[slot] != NOBODY)
        return find_derived(session, recipient, slot);
    if (wiring->probe_of[slot] == NOBODY) {
        *session_cell(session, recipient, slot) = value_fault(&wiring->layout->slots[slot]);
        session_learnt(session, recipient, slot);
        return true;
    }
    wired = &wiring->probes[wiring->probe_of[slot]];
    if (run_of(session, recipient, wired) != NULL)
        return false;
    if (!run_may_start(session, recipient, wired))
        return fetch_after(session, recipient, wired);
    run_start(session, recipient, wired);
    return true;
}

/* The run of a probe whose time is up; one that only waits for others begins with what they know by
 * now, since that alone may settle it. */
static struct run *run_at_last(struct engine_session *session, struct recipient *recipient,
                               const struct wired_probe *wired)
{
    if (run_of(session, recipient, wired) == NULL && wired->after_count > 0) {
        for (size_t i = 0; i < wired->after_count; i++)
            session_expire(session, recipient, wired->after[i]);
        run_start(session, recipient, wired);
        run_ready(session);
    }
    return run_of(session, recipient, wired);
}

bool session_expire(struct engine_session *session, struct recipient *recipient, slot_t slot)
{
    const struct wiring *wiring = session->wiring;
    slot_t root = wiring->root_of[slot];
    struct run *run = NULL;

    if (!session_pending(session, recipient, slot))
        return false;
    if (is_open(session, recipient, root) && wiring->probe_of[root] != NOBODY) {
        run = run_at_last(session, recipient, &wiring->probes[wiring->probe_of[root]]);
        /* It had never begun, and knew at once. */
        if (!is_open(session, recipient, root))
            return true;
    }
    if (run != NULL && !run->finished) {
        run_expire(run);
    } else {
        *session_cell(session, recipient, slot) = value_fault(&wiring->layout->slots[slot]);
        session_learnt(session, recipient, slot);
    }
    return true;
}

/* ---- needs ---- */

/* Whether a rule above ends the walk for certain. */
static bool is_cut_off(const struct engine_session *session, const struct view *view, uint32_t rule)
{
    const struct policy *policy = session->wiring->policy;

    for (uint32_t i = 0; i < rule; i++)
        if (session->modes[i] == RULE_ENFORCES && policy->rules[i].outcome != OUTCOME_HEADER &&
            decide_condition(policy->layout, policy->rules[i].when, view, session->stage) ==
                TRUTH_TRUE)
            return true;
    return false;
}

/* Whether the rule may come to speak, as far as that can be told without effort: it is not decided,
 * or true. */
static bool may_speak(const struct engine_session *session, const struct view *view, uint32_t index)
{
    const struct policy *policy = session->wiring->policy;
    const struct rule *rule = &policy->rules[index];

    for (size_t i = 0; i < rule->slot_count; i++)
        if ((session->needed[rule->slots[i]] & 1) != 0)
            return true;
    return decide_condition(policy->layout, rule->when, view, session->stage) == TRUTH_TRUE &&
           !is_cut_off(session, view, index);
}

/* What the texts of such rules show is looked up beside what they test. */
static void mark_texts(struct engine_session *session, const struct recipient *recipient,
                       const struct view *view)
{
    const struct wiring *wiring = session->wiring;

    for (size_t i = 0; i < wiring->text_count; i++) {
        const struct wired_text *text = &wiring->texts[i];
        size_t j = 0;
        while (j < text->count && !is_open(session, recipient, text->slots[j]))
            j++;
        if (j == text->count || session->modes[text->rule] != RULE_ENFORCES ||
            !may_speak(session, view, text->rule))
            continue;
        /* Not the 1 of what conditions test: texts call for no texts. */
        for (; j < text->count; j++)
            session->needed[text->slots[j]] |= 2;
    }
}

/* Needing a fact means needing what its probe waits for. */
static void mark_behind(struct engine_session *session)
{
    const struct wiring *wiring = session->wiring;
    uint32_t marked = NOBODY;

    for (size_t i = 0; i < wiring->late_count; i++) {
        slot_t slot = wiring->late[i];
        uint32_t probe = wiring->probe_of[wiring->root_of[slot]];
        /* The facts of a probe stand side by side. */
        if (!session->needed[slot] || probe == marked)
            continue;
        marked = probe;
        for (size_t j = 0; j < wiring->probes[probe].behind_count; j++)
            session->needed[wiring->probes[probe].behind[j]] |= 2;
    }
}

void session_mark_needed(struct engine_session *session, const struct recipient *recipient)
{
    const struct wiring *wiring = session->wiring;
    const struct view view = session_view(session, recipient);

    session->marked = true;
    session->marked_event = session->events;
    session->marked_for = recipient;
    if (session->engine->options.everything) {
        memset(session->needed, 1, wiring->layout->count);
        return;
    }
    memset(session->needed, 0, wiring->layout->count);
    decide_needs(wiring->policy, &view, session->modes, session->stage, false, session->needed);
    mark_texts(session, recipient, &view);
    if (results_wanted(session))
        for (size_t i = 0; i < wiring->shown_count; i++)
            session->needed[wiring->shown_slots[i]] |= 2;
    mark_behind(session);
}

void session_mark_waited(struct engine_session *session, const struct recipient *recipient,
                         enum stage stage)
{
    const struct wiring *wiring = session->wiring;
    const struct view view = session_view(session, recipient);

    session->marked = false;
    memset(session->needed, 0, wiring->layout->count);
    decide_needs(wiring->policy, &view, session->modes, stage, true, session->needed);
}

/* Whether a lookup for the fact could begin now. */
static bool may_fetch(const struct engine_session *session, const struct recipient *recipient,
                      slot_t slot)
{
    const struct wiring *wiring = session->wiring;
    slot_t root = wiring->root_of[slot];
    uint32_t probe = wiring->probe_of[root];

    if (!session_pending(session, recipient, slot))
        return false;
    return !is_open(session, recipient, root) || probe == NOBODY ||
           run_of(session, recipient, &wiring->probes[probe]) == NULL;
}

/* Within an event what is needed gets only less: where nothing of what was needed can be begun,
 * there is no more to it. */
static bool has_all(const struct engine_session *session, const struct recipient *recipient)
{
    if (!session->marked || session->marked_event != session->events ||
        session->marked_for != recipient)
        return false;
    for (slot_t slot = 0; slot < session->wiring->layout->count; slot++)
        if (session->needed[slot] && may_fetch(session, recipient, slot))
            return false;
    return true;
}

static void fetch_needed(struct engine_session *session, struct recipient *recipient)
{
    const struct wiring *wiring = session->wiring;

    if (has_all(session, recipient))
        return;
    session_mark_needed(session, recipient);
    for (slot_t slot = 0; slot < wiring->layout->count; slot++)
        if (session->needed[slot])
            session_fetch(session, recipient, slot);
}

static void start_instant(struct engine_session *session, struct recipient *recipient)
{
    const struct wiring *wiring = session->wiring;

    for (size_t i = 0; i < wiring->probe_count; i++) {
        const struct wired_probe *wired = &wiring->probes[i];
        void *stream;
        if (!wired->probe->instant || !is_due(session, recipient, wired) ||
            run_of(session, recipient, wired) != NULL ||
            !run_may_start(session, recipient, wired) ||
            (wired->stream != NOBODY && !stream_open(session, wired->stream, &stream)))
            continue;
        run_start(session, recipient, wired);
    }
}

/* What was learnt about the session concerns everybody: at the end of the message all recipients,
 * before it the one given last. */
static void advance_all(struct engine_session *session)
{
    struct transaction *tx = &session->tx;

    start_instant(session, tx->last);
    /* What these found is seen by what follows. */
    session->changed = false;
    if (session->stage == STAGE_MESSAGE && tx->taken != NULL)
        for (struct recipient *r = tx->taken; r != NULL; r = r->next)
            fetch_needed(session, r);
    else
        fetch_needed(session, tx->last);
}

/* What was learnt about one recipient concerns no other: with a thousand of them and an answer for
 * each, all else would take a million steps. */
static void advance_one(struct engine_session *session)
{
    struct recipient *recipient = session->touched;

    session->touched = recipient->next_touched;
    recipient->touched = false;
    if (session->stage == STAGE_MESSAGE || recipient == session->tx.last)
        fetch_needed(session, recipient);
}

static bool is_needed(const struct engine_session *session, const struct wired_probe *wired)
{
    const struct wiring *wiring = session->wiring;

    for (slot_t slot = 0; slot < wiring->layout->count; slot++) {
        uint32_t probe = wiring->probe_of[wiring->root_of[slot]];
        if (session->needed[slot] && probe != NOBODY && &wiring->probes[probe] == wired)
            return true;
    }
    return false;
}

/* A rule that was decided meanwhile may have made lookups needless: what they would ask next is not
 * asked.  What is not needed for a recipient of whom nothing is known is needed for none.  While a
 * stage waits, the texts it is about to speak may need more than that. */
static void drop_needless(struct engine_session *session)
{
    session->learnt = false;
    if (session->going == 0 || session->wait.active || !session->connected || session->tx.over)
        return;
    session_mark_needed(session, NULL);
    for (int i = 0; i < SESSION_SPANS; i++)
        for (struct run *run = session->spans[i].runs; run != NULL; run = run->next)
            if (!run->finished && !is_needed(session, run->wired))
                run_drop(run);
}

/* Each round starts a probe or sets a fact, so there are no more rounds than probes and facts. */
void session_advance(struct engine_session *session)
{
    while (run_ready(session) || session->changed || session->touched != NULL) {
        bool idle = !session->connected || session->tx.over;

        if (session->changed) {
            session->changed = false;
            if (!idle)
                advance_all(session);
        } else if (session->touched != NULL) {
            advance_one(session);
        }
    }
    if (session->learnt)
        drop_needless(session);
}

/* ---- lookups under way ---- */

static bool expire_span(struct span *span)
{
    bool going = false;

    for (struct run *run = span->runs; run != NULL; run = run->next) {
        going |= !run->finished;
        run_expire(run);
    }
    return going;
}

bool session_expire_all(struct engine_session *session)
{
    bool going = false;

    for (int i = 0; i < SESSION_SPANS; i++)
        going |= expire_span(&session->spans[i]);
    for (struct recipient *r = session->tx.taken; r != NULL; r = r->next)
        going |= expire_span(&r->span);
    if (session->tx.last != NULL)
        going |= expire_span(&session->tx.last->span);
    return going;
}
