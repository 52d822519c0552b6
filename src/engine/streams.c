/* SPDX-License-Identifier: MIT */
#include "engine_private.h"

/*
 * The message as it passes by.  Its streams have an arena of their own and are fed without the
 * session's lock: hashing a body must not hold up the loop's thread, which may bring an answer for
 * the session meanwhile.
 */
struct open_stream {
    bool open;
    void *stream;
};

struct message {
    struct arena *arena;
    struct inputs inputs; /* as the streams see them */
    bool header_over;
    struct open_stream streams[];
};

/* ---- which ---- */

static void want(struct engine_session *session, const struct recipient *recipient)
{
    const struct wiring *wiring = session->wiring;

    session_mark_needed(session, recipient);
    for (slot_t slot = 0; slot < wiring->layout->count; slot++) {
        uint32_t probe = wiring->probe_of[wiring->root_of[slot]];
        if (session->needed[slot] && probe != NOBODY && wiring->probes[probe].stream != NOBODY)
            session->tx.message->streams[wiring->probes[probe].stream].open = true;
    }
}

static bool all_wanted(const struct engine_session *session)
{
    for (size_t i = 0; i < session->wiring->stream_count; i++)
        if (!session->tx.message->streams[i].open)
            return false;
    return true;
}

static void open_wanted(struct engine_session *session)
{
    const struct wiring *wiring = session->wiring;
    struct message *message = session->tx.message;

    for (size_t i = 0; i < wiring->stream_count; i++)
        if (message->streams[i].open)
            message->streams[i].stream =
                wiring->streams[i].stream->open(wiring->streams[i].state, &message->inputs,
                                                message->arena, session->engine->options.dns);
}

void streams_open(struct engine_session *session)
{
    struct transaction *tx = &session->tx;
    size_t count = session->wiring->stream_count;
    struct arena *arena;

    if (!tx->open || tx->message != NULL || count == 0)
        return;
    session_take_last(session);
    arena = arena_new_for(MESSAGE_TYPICAL);
    tx->message = arena_alloc(arena, sizeof(*tx->message) + count * sizeof(struct open_stream));
    tx->message->arena = arena;
    tx->message->inputs = session->inputs;
    /* Nothing is decided about a message whose recipients were all refused. */
    if (tx->over || (tx->taken == NULL && tx->refused_count > 0))
        return;
    if (tx->taken == NULL)
        want(session, NULL);
    for (const struct recipient *r = tx->taken; r != NULL && !all_wanted(session); r = r->next)
        want(session, r);
    open_wanted(session);
}

bool stream_open(const struct engine_session *session, uint32_t number, void **stream)
{
    const struct message *message = session->tx.message;

    if (message == NULL || !message->streams[number].open)
        return false;
    *stream = message->streams[number].stream;
    return true;
}

/* ---- feeding ---- */

void streams_header(struct engine_session *session, const char *name, const char *value)
{
    const struct message *message = session->tx.message;

    for (size_t i = 0; message != NULL && i < session->wiring->stream_count; i++)
        if (message->streams[i].stream != NULL)
            session->wiring->streams[i].stream->header(message->streams[i].stream, name, value);
}

void streams_eoh(struct engine_session *session)
{
    struct message *message = session->tx.message;

    if (message == NULL || message->header_over)
        return;
    message->header_over = true;
    for (size_t i = 0; i < session->wiring->stream_count; i++)
        if (message->streams[i].stream != NULL && session->wiring->streams[i].stream->eoh != NULL)
            session->wiring->streams[i].stream->eoh(message->streams[i].stream);
}

void streams_chunk(struct engine_session *session, const unsigned char *bytes, size_t length)
{
    const struct message *message = session->tx.message;

    streams_eoh(session);
    for (size_t i = 0; message != NULL && i < session->wiring->stream_count; i++)
        if (message->streams[i].stream != NULL && session->wiring->streams[i].stream->body)
            session->wiring->streams[i].stream->chunk(message->streams[i].stream, bytes, length);
}

bool streams_want_body(const struct engine_session *session)
{
    const struct message *message = session->tx.message;

    for (size_t i = 0; message != NULL && i < session->wiring->stream_count; i++) {
        const struct check_stream *stream = session->wiring->streams[i].stream;
        void *open = message->streams[i].stream;
        if (open != NULL && stream->body &&
            (!message->header_over || stream->wants_body == NULL || stream->wants_body(open)))
            return true;
    }
    return false;
}

void streams_close(struct engine_session *session)
{
    struct message *message = session->tx.message;

    session->tx.message = NULL;
    if (message == NULL)
        return;
    for (size_t i = 0; i < session->wiring->stream_count; i++)
        if (message->streams[i].stream != NULL && session->wiring->streams[i].stream->close != NULL)
            session->wiring->streams[i].stream->close(message->streams[i].stream);
    arena_free(message->arena);
}
