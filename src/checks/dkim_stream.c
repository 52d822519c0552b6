/* SPDX-License-Identifier: MIT */
#include "dkim_stream.h"

#include <string.h>
#include <strings.h>

#include <postern/arena.h>
#include <postern/clock.h>
#include <postern/domain.h>

#include "from_header.h"

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

/* Keeps a signature unless there are too many of its kind, and sees to its key. */
static void keep(struct dkim_stream *stream, const struct dkim_signature *signature)
{
    size_t limit = stream->state->max_signatures;

    if (signature->result == RESULT_NONE)
        stream->tried++;
    else if (stream->count - stream->tried == limit)
        return;
    stream->signatures[stream->count++] = *signature;
    if (dkim_signature_asks(signature) && signature->field >= stream->read)
        stream_warm(stream->dns, signature->key_name, DNS_TXT);
}

static void read_signature(struct dkim_stream *stream, size_t field,
                           struct dkim_signature *signature)
{
    dkim_signature_read(signature, &stream->header, field, clock_wall(), stream->arena);
}

/* The first ones are tried unless the author's domain turns up behind them. */
static void take_signature(struct dkim_stream *stream)
{
    size_t limit = stream->state->max_signatures;
    struct dkim_signature signature;

    if (stream->tried == limit) {
        stream->more = true;
        return;
    }
    if (stream->signatures == NULL)
        stream->signatures = arena_alloc(stream->arena, 2 * limit * sizeof(signature));
    read_signature(stream, stream->header.count - 1, &signature);
    keep(stream, &signature);
    stream->read = stream->header.count;
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

/* ---- which are tried, where there are too many ---- */

/* How a signer may be to the author's domain. */
enum kin { KIN_SAME, KIN_LINE, KIN_COUSIN, KIN_NONE };

static const char *last_two_labels(const char *domain)
{
    while (domain_labels(domain) > 2)
        domain = domain_parent(domain);
    return domain;
}

static enum kin kin_of(const char *signer, const char *author)
{
    if (strcmp(signer, author) == 0)
        return KIN_SAME;
    if (domain_within(signer, author) || domain_within(author, signer))
        return KIN_LINE;
    return strcmp(last_two_labels(signer), last_two_labels(author)) == 0 ? KIN_COUSIN : KIN_NONE;
}

static const char *author_domain(const struct dkim_stream *stream)
{
    struct from_header from = {0};
    size_t i;

    for (i = 0; i < stream->header.count; i++)
        if (from_header_is(stream->header.fields[i].name))
            from_header_add(&from, stream->arena, stream->header.fields[i].value,
                            stream->header.fields[i].length);
    return from_header_domain(&from);
}

/* Marks those of COUNT signatures that are tried: the nearer the signer is to the author's domain,
 * the sooner, so that none that DMARC asks for is passed over for others that stand before it. */
static void choose(const struct dkim_signature *signatures, size_t count, const char *author,
                   size_t limit, bool *chosen)
{
    size_t tried = 0;
    size_t i;

    for (int kin = KIN_SAME; kin <= KIN_NONE; kin++)
        for (i = 0; i < count && tried < limit; i++)
            if (signatures[i].result == RESULT_NONE &&
                kin_of(signatures[i].domain, author) == (enum kin)kin) {
                chosen[i] = true;
                tried++;
            }
}

static void choose_again(struct dkim_stream *stream)
{
    const char *author = author_domain(stream);
    struct dkim_signature *all;
    bool *chosen;
    size_t count = 0;
    size_t i;

    if (author[0] == '\0')
        return;
    all = arena_alloc(stream->arena, stream->seen * sizeof(*all));
    chosen = arena_alloc(stream->arena, stream->seen * sizeof(*chosen));
    for (i = 0; i < stream->header.count; i++)
        if (is_signature(stream->header.fields[i].name))
            read_signature(stream, i, &all[count++]);
    choose(all, count, author, stream->state->max_signatures, chosen);
    stream->count = stream->tried = 0;
    for (i = 0; i < count; i++)
        if (all[i].result != RESULT_NONE || chosen[i])
            keep(stream, &all[i]);
}

/* ---- the end of the header ---- */

/* A signature may name any field, so that nothing can be said of a header that is not there whole.
 */
static void end_header(void *arg)
{
    struct dkim_stream *stream = arg;
    size_t i;

    if (stream->header_over)
        return;
    stream->header_over = true;
    if (stream->more && !stream->header.cut)
        choose_again(stream);
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

/* Without a signature that can be tried there is nothing to hash. */
static bool wants_body(void *arg)
{
    const struct dkim_stream *stream = arg;

    return stream->body[CANON_SIMPLE] != NULL || stream->body[CANON_RELAXED] != NULL;
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
    .wants_body = wants_body,
    .close = close_stream,
};
