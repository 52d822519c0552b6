/* SPDX-License-Identifier: MIT */
#include "dkim_stream.h"

#include <string.h>
#include <strings.h>

#include <postern/arena.h>
#include <postern/clock.h>

static void *open_stream(void *state, const struct inputs *inputs, struct arena *arena,
                         struct dns *dns)
{
    struct dkim_stream *stream = arena_alloc(arena, sizeof(*stream));

    (void)inputs;
    stream->state = state;
    stream->arena = arena;
    stream->dns = dns;
    header_list_init(&stream->header, arena);
    return stream;
}

static bool is_signature(const char *name)
{
    static const char field[] = "DKIM-Signature";
    size_t length = strlen(field);

    return strncasecmp(name, field, length) == 0 &&
           name[length + strspn(name + length, " \t")] == '\0';
}

static void take_signature(struct dkim_stream *stream)
{
    size_t limit = stream->state->max_signatures;
    struct dkim_signature *signature;

    if (stream->tried == limit)
        return;
    if (stream->signatures == NULL)
        stream->signatures = arena_alloc(stream->arena, 2 * limit * sizeof(*signature));
    signature = &stream->signatures[stream->count];
    dkim_signature_read(signature, &stream->header, stream->header.count - 1, clock_wall(),
                        stream->arena);
    if (signature->result == RESULT_NONE) {
        stream->tried++;
        stream->count++;
        stream_warm(stream->dns, signature->key_name, DNS_TXT);
    } else if (stream->count - stream->tried < limit) {
        stream->count++;
    }
}

static void take_field(void *arg, const char *name, const char *value)
{
    struct dkim_stream *stream = arg;

    header_list_add(&stream->header, name, value);
    if (!is_signature(name))
        return;
    stream->seen++;
    if (!stream->header.cut)
        take_signature(stream);
}

/* A signature may name any field, so that nothing can be said of a header that is not there whole.
 */
static void end_header(void *arg)
{
    struct dkim_stream *stream = arg;
    size_t i;

    if (stream->header_over)
        return;
    stream->header_over = true;
    for (i = 0; i < stream->count && stream->header.cut; i++) {
        if (stream->signatures[i].result != RESULT_NONE)
            continue;
        stream->signatures[i].result = RESULT_POLICY;
        stream->signatures[i].reason = "is in a header that is too long";
    }
    stream->digests = arena_alloc(stream->arena, stream->count * HEADER_HASH_SIZE);
    dkim_header_digests(stream->state->verifier, &stream->header, stream->signatures, stream->count,
                        stream->digests, stream->arena);
    for (i = 0; i < stream->count; i++) {
        enum canon canon = stream->signatures[i].body_canon;

        if (stream->signatures[i].result == RESULT_NONE && stream->body[canon] == NULL)
            stream->body[canon] = body_hash_new(canon);
    }
}

static void take_chunk(void *arg, const unsigned char *bytes, size_t length)
{
    struct dkim_stream *stream = arg;
    size_t canon;

    end_header(stream);
    for (canon = 0; canon < CANONS; canon++)
        if (stream->body[canon] != NULL)
            body_hash_add(stream->body[canon], bytes, length);
}

void dkim_stream_end(struct dkim_stream *stream)
{
    size_t canon;

    end_header(stream);
    if (stream->body_over)
        return;
    stream->body_over = true;
    for (canon = 0; canon < CANONS; canon++)
        if (stream->body[canon] != NULL)
            stream->body_length[canon] =
                body_hash_end(stream->body[canon], stream->body_digest[canon]);
}

static void close_stream(void *arg)
{
    struct dkim_stream *stream = arg;
    size_t canon;

    for (canon = 0; canon < CANONS; canon++)
        body_hash_free(stream->body[canon]);
}

const struct check_stream dkim_stream = {
    .body = true,
    .open = open_stream,
    .header = take_field,
    .eoh = end_header,
    .chunk = take_chunk,
    .close = close_stream,
};
