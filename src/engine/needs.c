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
    session->changed = true;
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
        session->changed = true;
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
    if (run != NULL && !run->finished)
        run_expire(run);
    else
        *session_cell(session, recipient, slot) = value_fault(&wiring->layout->slots[slot]);
    session->changed = true;
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

static bool fetch_needed(struct engine_session *session, struct recipient *recipient)
{
    const struct wiring *wiring = session->wiring;
    const struct view view = session_view(session, recipient);
    bool found = false;

    if (session->engine->options.everything) {
        memset(session->needed, 1, wiring->layout->count);
    } else {
        memset(session->needed, 0, wiring->layout->count);
        decide_needs(wiring->policy, &view, session->modes, session->stage, false, session->needed);
        add_texts(session);
    }
    for (slot_t slot = 0; slot < wiring->layout->count; slot++)
        if (session->needed[slot])
            found |= session_fetch(session, recipient, slot);
    return found;
}

static bool start_instant(struct engine_session *session, struct recipient *recipient)
{
    const struct wiring *wiring = session->wiring;
    bool started = false;

    for (size_t i = 0; i < wiring->probe_count; i++) {
        const struct wired_probe *wired = &wiring->probes[i];
        if (!wired->probe->instant || !is_due(session, recipient, wired) ||
            run_of(session, recipient, wired) != NULL)
            continue;
        run_start(session, recipient, wired);
        started = true;
    }
    return started;
}

/* Each round starts a probe or sets a fact, so there are no more rounds than probes and facts. */
void session_advance(struct engine_session *session)
{
    while (run_ready(session) || session->changed) {
        bool found;

        session->changed = false;
        if (!session->connected || session->tx.over)
            continue;
        session->unsettled = true;
        found = start_instant(session, session->tx.last);
        if (session->stage == STAGE_MESSAGE && session->tx.taken != NULL)
            for (struct recipient *r = session->tx.taken; r != NULL; r = r->next)
                found |= fetch_needed(session, r);
        else
            found |= fetch_needed(session, session->tx.last);
        session->changed |= found;
    }
}

/* ---- lookups under way ---- */

static bool expire_span(struct span *span, bool look_only)
{
    bool going = false;

    for (struct run *run = span->runs; run != NULL; run = run->next) {
        if (run->finished)
            continue;
        going = true;
        if (!look_only)
            run_expire(run);
    }
    return going;
}

static bool expire_spans(struct engine_session *session, bool look_only)
{
    bool going = false;

    for (int i = 0; i < SESSION_SPANS; i++)
        going |= expire_span(&session->spans[i], look_only);
    for (struct recipient *r = session->tx.taken; r != NULL; r = r->next)
        if (session->stage == STAGE_MESSAGE)
            going |= expire_span(&r->span, look_only);
    if (session->tx.last != NULL)
        going |= expire_span(&session->tx.last->span, look_only);
    return going;
}

bool session_idle(struct engine_session *session)
{
    return !expire_spans(session, true);
}

void session_expire_all(struct engine_session *session)
{
    if (expire_spans(session, false))
        session->changed = true;
}
