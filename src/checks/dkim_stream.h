/* SPDX-License-Identifier: MIT */
#ifndef CHECKS_DKIM_STREAM_H
#define CHECKS_DKIM_STREAM_H

#include <postern/check.h>

#include "dkim_verify.h"

/*
 * A message as it passes the DKIM check: its header is kept, since a signature may name any field
 * of it, and its body is hashed.  The keys are asked for as soon as a signature tells where they
 * are. What is kept is bounded whatever the message.
 */
struct dkim_state {
    size_t max_signatures;
    unsigned min_key_bits;
    struct dkim_verifier *verifier;
    struct key_store *keys;
};

enum { CANONS = 2 };

struct dkim_stream {
    const struct dkim_state *state;
    struct arena *arena;
    struct dns *dns;
    struct header_list header;
    size_t seen; /* DKIM-Signature fields */
    /* Those that are tried, and as many that cannot be, in the order of the message. */
    struct dkim_signature *signatures;
    size_t count, tried;
    bool more;   /* there are further ones, which were not even read */
    size_t read; /* fields of the header that were looked at for signatures */
    unsigned char (*digests)[HEADER_HASH_SIZE];
    bool header_over, body_over;
    struct body_hash *body[CANONS]; /* NULL: no signature needs it */
    unsigned char body_digest[CANONS][BODY_HASH_SIZE];
    uint64_t body_length[CANONS];
};

/* Its `stream` is a struct dkim_stream, its state a struct dkim_state. */
extern const struct check_stream dkim_stream;

/* The message is over: digests and lengths are there for the signatures with RESULT_NONE.  May be
 * called again. */
void dkim_stream_end(struct dkim_stream *stream);

#endif
