/* SPDX-License-Identifier: MIT */
#include "engine_private.h"

#include <stdlib.h>
#include <string.h>

/*
 * A session's lock, references, beginning and end.
 */

void inputs_without_transaction(struct inputs *inputs)
{
    static const struct mailbox nobody = {
        .sent = "", .address = "", .local = "", .domain = "", .literal = ""};

    inputs->sender = nobody;
    inputs->auth_user = inputs->auth_type = "";
    inputs->message_size = 0;
    inputs->received_count = 0;
}

struct engine_session *session_new(struct engine *engine, struct wiring *wiring,
                                   const char *listener)
{
    struct engine_session *session = xcalloc(1, sizeof(*session));
    struct arena *arena;

    session->engine = engine;
    session->wiring = wiring;
    atomic_init(&session->refs, 1);
    pthread_mutex_init(&session->lock, NULL);
    pthread_cond_init(&session->recorded, NULL);
    for (int i = 0; i < SESSION_SPANS; i++)
        session->spans[i].arena =
            i == SPAN_TRANSACTION ? arena_new_for(TRANSACTION_TYPICAL) : arena_new();
    session->scratch = arena_new();
    session->speech = arena_new_for(SPEECH_TYPICAL);
    session->ready_tail = &session->ready;
    session->record_tail = &session->records;
    session->tx.qid = "";
    arena = session->spans[SPAN_CONNECTION].arena;
    session->listener = arena_strdup(arena, listener != NULL ? listener : "");
    session->mta_hostname = session->client_text = "";
    session->inputs = (struct inputs){.client_ptr = "",
                                      .listener = session->listener,
                                      .daemon = "",
                                      .helo = "",
                                      .tls_version = ""};
    inputs_without_transaction(&session->inputs);
    session->values[SCOPE_CONNECTION] =
        arena_alloc(arena, wiring->layout->scope_count[SCOPE_CONNECTION] * sizeof(struct value));
    session->runs = arena_alloc(arena, wiring->session_probes * sizeof(session->runs[0]));
    session->modes = arena_alloc(arena, wiring->policy->rule_count);
    session->needed = arena_alloc(arena, wiring->layout->count);
    session->settled = arena_alloc(arena, wiring->policy->rule_count);
    session_fill_absent(session, NULL, SPAN_CONNECTION);
    session_fill_absent(session, NULL, SPAN_HELO);
    session->observe = engine_observes(engine, wiring, session->listener);
    return session;
}

struct engine_session *session_ref(struct engine_session *session)
{
    atomic_fetch_add_explicit(&session->refs, 1, memory_order_relaxed);
    return session;
}

void session_unref(struct engine_session *session)
{
    struct engine *engine = session->engine;

    if (atomic_fetch_sub_explicit(&session->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (int i = 0; i < SESSION_SPANS; i++) {
        arena_free(session->spans[i].arena);
        arena_free(session->spans[i].scratch);
    }
    for (int i = 0; i < SPARE_ARENAS; i++)
        arena_free(session->spare[i]);
    arena_free(session->scratch);
    arena_free(session->speech);
    pthread_cond_destroy(&session->recorded);
    pthread_mutex_destroy(&session->lock);
    wiring_unref(session->wiring);
    free(session);
    engine_session_gone(engine);
}

void session_enter(struct engine_session *session)
{
    session_ref(session);
    pthread_mutex_lock(&session->lock);
}

void session_quit(struct engine_session *session)
{
    pthread_mutex_unlock(&session->lock);
    session_unref(session);
}
