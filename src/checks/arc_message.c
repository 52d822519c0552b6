/* SPDX-License-Identifier: MIT */
#include "arc_message.h"

#include <string.h>

#include <postern/arena.h>

static void *stream_open(void *state, const struct inputs *inputs, struct arena *arena,
                         struct dns *dns)
{
    struct arc_message *message = arena_alloc(arena, sizeof(*message));

    (void)inputs;
    message->state = state;
    message->arena = arena;
    message->dns = dns;
    header_list_init(&message->header, arena);
    return message;
}

static void stream_header(void *stream, const char *name, const char *value)
{
    struct arc_message *message = stream;

    if (message->read)
        return;
    message->seen |= arc_is_field(name);
    header_list_add(&message->header, name, value);
}

/* The keys of what decides: all seals and the newest message signature. */
static void warm(const struct arc_message *message)
{
    const struct arc_chain *chain = &message->chain;
    const char *last = chain->sets[chain->count - 1].signature.key_name;
    unsigned i;

    stream_warm(message->dns, last, DNS_TXT);
    for (i = chain->count; i-- > 0;) {
        const char *name = chain->sets[i].seal.key_name;

        /* A sealer often signs all it does with one key. */
        if (strcmp(name, last) != 0)
            stream_warm(message->dns, name, DNS_TXT);
        last = name;
    }
}

static void stream_eoh(void *stream)
{
    struct arc_message *message = stream;
    unsigned i;

    if (message->read)
        return;
    message->read = true;
    arc_chain_read(&message->chain, &message->header, message->seen, message->state->max_sets,
                   message->arena);
    if (message->chain.shape != ARC_WHOLE ||
        message->chain.sets[message->chain.count - 1].signature.problem != NULL)
        return;
    for (i = 0; i < message->chain.count; i++) {
        const struct arc_signature *signature = &message->chain.sets[i].signature;

        if (signature->problem == NULL && message->hash[signature->body_canon] == NULL)
            message->hash[signature->body_canon] = body_hash_new(signature->body_canon);
    }
    warm(message);
}

static bool stream_wants_body(void *stream)
{
    const struct arc_message *message = stream;

    return message->hash[CANON_SIMPLE] != NULL || message->hash[CANON_RELAXED] != NULL;
}

static void stream_chunk(void *stream, const unsigned char *bytes, size_t length)
{
    struct arc_message *message = stream;
    unsigned i;

    for (i = 0; i < ARC_CANONS; i++)
        if (message->hash[i] != NULL)
            body_hash_add(message->hash[i], bytes, length);
}

static void stream_close(void *stream)
{
    struct arc_message *message = stream;
    unsigned i;

    for (i = 0; i < ARC_CANONS; i++) {
        body_hash_free(message->hash[i]);
        message->hash[i] = NULL;
    }
}

void arc_message_end(struct arc_message *message)
{
    unsigned i;

    stream_eoh(message);
    if (message->over)
        return;
    message->over = true;
    for (i = 0; i < ARC_CANONS; i++)
        if (message->hash[i] != NULL)
            message->body_length[i] = body_hash_end(message->hash[i], message->body[i]);
    stream_close(message);
}

const struct check_stream arc_stream = {
    .body = true,
    .open = stream_open,
    .header = stream_header,
    .eoh = stream_eoh,
    .chunk = stream_chunk,
    .wants_body = stream_wants_body,
    .close = stream_close,
};
