/* SPDX-License-Identifier: MIT */
#include "engine_private.h"

#include <stdlib.h>
#include <string.h>

/*
 * What lives how long: the values, texts and lookups of the connection, its HELO, the transaction
 * and each recipient.
 */

struct view session_view(const struct engine_session *session, const struct recipient *recipient)
{
    struct view view;

    for (int i = 0; i < SCOPE_COUNT; i++)
        view.scope[i] = session->values[i];
    view.scope[SCOPE_RECIPIENT] = recipient != NULL ? recipient->values : NULL;
    view.settled = session->settled;
    return view;
}

struct span *session_span(struct engine_session *session, struct recipient *recipient,
                          enum span_kind kind)
{
    return kind == SPAN_RECIPIENT ? &recipient->span : &session->spans[kind];
}

void session_fill_absent(struct engine_session *session, struct recipient *recipient,
                         enum span_kind kind)
{
    const struct wiring *wiring = session->wiring;

    for (size_t i = 0; i < wiring->probe_count; i++) {
        const struct wired_probe *wired = &wiring->probes[i];
        if (wired->used || wired->span != kind)
            continue;
        for (unsigned j = 0; j < wired->probe->count; j++)
            *session_cell(session, recipient, wired->first + j) =
                value_absent(&wiring->layout->slots[wired->first + j]);
    }
}

void session_clear_span(struct engine_session *session, enum span_kind kind)
{
    const struct wiring *wiring = session->wiring;

    span_cancel(&session->spans[kind]);
    session->spans[kind].runs = NULL;
    session->spans[kind].inputs = NULL;
    for (size_t i = 0; i < wiring->probe_count; i++)
        if (wiring->probes[i].span == kind)
            session->runs[wiring->probes[i].place] = NULL;
    for (slot_t slot = 0; slot < wiring->layout->count; slot++) {
        struct value *cell =
            wiring->span_of[slot] == kind ? session_cell(session, NULL, slot) : NULL;
        if (cell != NULL)
            *cell = (struct value){0};
    }
    arena_reset(session->spans[kind].arena);
    memset(session->settled, 0, wiring->policy->rule_count);
}

static bool probe_in_fault(const struct engine_session *session, const struct wired_probe *wired)
{
    for (unsigned i = 0; i < wired->probe->count; i++)
        if (session_cell(session, NULL, wired->first + i)->state == VALUE_FAULT)
            return true;
    return false;
}

void session_forget_faults(struct engine_session *session)
{
    const struct wiring *wiring = session->wiring;

    for (size_t i = 0; i < wiring->probe_count; i++) {
        const struct wired_probe *wired = &wiring->probes[i];
        if (wired->span > SPAN_HELO || session->runs[wired->place] == NULL ||
            !session->runs[wired->place]->finished || !probe_in_fault(session, wired))
            continue;
        for (unsigned j = 0; j < wired->probe->count; j++)
            *session_cell(session, NULL, wired->first + j) = (struct value){0};
        session->runs[wired->place]->forgotten = true;
        session->runs[wired->place] = NULL;
    }
    /* A derived fact is in fault when its subject is, or when its table cannot be read; one that
     * rests on a value of a fact in part known goes with it. */
    for (size_t i = 0; i < wiring->policy->derived_count; i++) {
        const struct derived *derived = &wiring->policy->derived[i];
        struct value *cell;
        if (derived->subject == SLOT_NONE || wiring->span_of[derived->slot] > SPAN_HELO)
            continue;
        cell = session_cell(session, NULL, derived->slot);
        if (cell->state == VALUE_FAULT ||
            session_cell(session, NULL, derived->subject)->state == VALUE_OPEN)
            *cell = (struct value){0};
    }
    memset(session->settled, 0, wiring->policy->rule_count);
}

struct arena *session_arena(struct engine_session *session)
{
    for (int i = 0; i < SPARE_ARENAS; i++) {
        struct arena *arena = session->spare[i];
        session->spare[i] = NULL;
        if (arena != NULL)
            return arena;
    }
    return arena_new();
}

void session_spare(struct engine_session *session, struct arena *arena)
{
    for (int i = 0; i < SPARE_ARENAS; i++) {
        if (session->spare[i] != NULL)
            continue;
        arena_reset(arena);
        session->spare[i] = arena;
        return;
    }
    arena_free(arena);
}

struct recipient *recipient_new(struct engine_session *session, const char *path)
{
    const struct wiring *wiring = session->wiring;
    struct arena *arena = session_arena(session);
    struct recipient *recipient = arena_alloc(arena, sizeof(*recipient));

    recipient->span.arena = arena;
    recipient->mailbox = mailbox_parse(arena, path);
    recipient->values =
        arena_alloc(arena, wiring->layout->scope_count[SCOPE_RECIPIENT] * sizeof(struct value));
    recipient->runs = arena_alloc(arena, wiring->recipient_probes * sizeof(recipient->runs[0]));
    session_fill_absent(session, recipient, SPAN_RECIPIENT);
    return recipient;
}

/* Something may have been learnt about it by the very decision that ended it. */
static void untouch(struct engine_session *session, const struct recipient *recipient)
{
    struct recipient **link = &session->touched;

    while (recipient->touched && *link != NULL && *link != recipient)
        link = &(*link)->next_touched;
    if (recipient->touched && *link != NULL)
        *link = recipient->next_touched;
}

void recipient_free(struct engine_session *session, struct recipient *recipient)
{
    if (recipient == NULL)
        return;
    untouch(session, recipient);
    span_cancel(&recipient->span);
    session_spare(session, recipient->span.arena);
}
