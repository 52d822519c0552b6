/* SPDX-License-Identifier: MIT */
#include "engine_private.h"

#include <string.h>

/*
 * What is looked up: the facts that undecided parts of rules need, and those that the texts of such
 * rules show.
 */

/* The fact that has to be found out before a derived one can be computed. */
static slot_t root_of(const struct wiring *wiring, slot_t slot)
{
    uint32_t number;

    while ((number = wiring->derived_of[slot]) != NOBODY &&
           wiring->policy->derived[number].subject != SLOT_NONE)
        slot = wiring->policy->derived[number].subject;
    return slot;
}

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
    slot_t root = root_of(wiring, slot);

    if (!is_open(session, recipient, slot))
        return false;
    if (!is_open(session, recipient, root))
        return true;
    if (wiring->probe_of[root] == NOBODY)
        return wiring->layout->slots[root].stage <= session->stage;
    return is_due(session, recipient, &wiring->probes[wiring->probe_of[root]]);
}

void session_touch(struct engine_session *session, struct recipient *recipient)
{
    if (recipient == NULL) {
        session->changed = true;
    } else if (!recipient->touched) {
        recipient->touched = true;
        recipient->next_touched = session->touched;
        session->touched = recipient;
    }
}

static void touch_slot(struct engine_session *session, struct recipient *recipient, slot_t slot)
{
    bool theirs = session->wiring->layout->slots[slot].scope == SCOPE_RECIPIENT;

    session_touch(session, theirs ? recipient : NULL);
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
    touch_slot(session, recipient, slot);
    return true;
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
        touch_slot(session, recipient, slot);
        return true;
    }
    wired = &wiring->probes[wiring->probe_of[slot]];
    if (run_of(session, recipient, wired) != NULL)
        return false;
    run_start(session, recipient, wired);
    return true;
}

bool session_expire(struct engine_session *session, struct recipient *recipient, slot_t slot)
{
    const struct wiring *wiring = session->wiring;
    slot_t root = root_of(wiring, slot);
    struct run *run = NULL;

    if (!session_pending(session, recipient, slot))
        return false;
    if (is_open(session, recipient, root) && wiring->probe_of[root] != NOBODY)
        run = run_of(session, recipient, &wiring->probes[wiring->probe_of[root]]);
    if (run != NULL && !run->finished) {
        run_expire(run);
    } else {
        *session_cell(session, recipient, slot) = value_fault(&wiring->layout->slots[slot]);
        touch_slot(session, recipient, slot);
    }
    return true;
}

/* ---- needs ---- */

/* Rules that are not decided may come to speak: what their texts show is looked up beside what they
 * test. */
static void add_texts(struct engine_session *session)
{
    const struct wiring *wiring = session->wiring;

    memset(session->texts, 0, wiring->layout->count);
    for (size_t i = 0; i < wiring->policy->rule_count; i++) {
        const struct rule *rule = &wiring->policy->rules[i];
        const slot_t *slots;
        size_t count, j = 0;

        if (session->modes[i] != RULE_ENFORCES || rule->compiled == NULL)
            continue;
        while (j < rule->slot_count && !session->needed[rule->slots[j]])
            j++;
        if (j == rule->slot_count)
            continue;
        count = template_slots(rule->compiled, &slots);
        for (j = 0; j < count; j++)
            session->texts[slots[j]] = 1;
    }
    for (size_t i = 0; i < wiring->layout->count; i++)
        session->needed[i] |= session->texts[i];
}

static void fetch_needed(struct engine_session *session, struct recipient *recipient)
{
    const struct wiring *wiring = session->wiring;
    const struct view view = session_view(session, recipient);

    if (session->engine->options.everything) {
        memset(session->needed, 1, wiring->layout->count);
    } else {
        memset(session->needed, 0, wiring->layout->count);
        decide_needs(wiring->policy, &view, session->modes, session->stage, false, session->needed);
        add_texts(session);
    }
    for (slot_t slot = 0; slot < wiring->layout->count; slot++)
        if (session->needed[slot])
            session_fetch(session, recipient, slot);
}

static void start_instant(struct engine_session *session, struct recipient *recipient)
{
    const struct wiring *wiring = session->wiring;

    for (size_t i = 0; i < wiring->probe_count; i++) {
        const struct wired_probe *wired = &wiring->probes[i];
        if (wired->probe->instant && is_due(session, recipient, wired) &&
            run_of(session, recipient, wired) == NULL)
            run_start(session, recipient, wired);
    }
}

/* What was learnt about the session concerns everybody: at the end of the message all recipients,
 * before it the one given last. */
static void advance_all(struct engine_session *session)
{
    struct transaction *tx = &session->tx;

    start_instant(session, tx->last);
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

/* Each round starts a probe or sets a fact, so there are no more rounds than probes and facts. */
void session_advance(struct engine_session *session)
{
    while (run_ready(session) || session->changed || session->touched != NULL) {
        bool idle = !session->connected || session->tx.over;

        session->unsettled |= !idle;
        if (session->changed) {
            session->changed = false;
            if (!idle)
                advance_all(session);
        } else if (session->touched != NULL) {
            advance_one(session);
        }
    }
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
