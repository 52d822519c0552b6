/* SPDX-License-Identifier: MIT */
#ifndef CHECKS_ARC_MESSAGE_H
#define CHECKS_ARC_MESSAGE_H

#include <postern/check.h>

#include "arc_set.h"

/*
 * A message as it passes by, for the arc check: its header is kept, its body is hashed, and what
 * the chain will need of the DNS is asked for as soon as the header is over.  A message without a
 * chain costs the copy of its header.
 */
enum arc_result { ARC_RESULT_NONE, ARC_RESULT_PASS, ARC_RESULT_FAIL, ARC_RESULT_TEMPERROR };

struct arc_state {
    struct table *sealers;  /* whose seals are trusted; NULL: nobody's */
    struct key_store *keys; /* owned */
    unsigned max_sets;
};

enum { ARC_CANONS = 2 }; /* ways to see a body: enum canon */

struct arc_message {
    const struct arc_state *state;
    struct arena *arena;
    struct dns *dns;
    struct header_list header;
    bool seen; /* some field of ARC */
    bool read; /* the header is over, and chain is filled in */
    bool over; /* so is the body */
    struct arc_chain chain;
    struct body_hash *hash[ARC_CANONS]; /* NULL where no message signature asks for it */
    unsigned char body[ARC_CANONS][BODY_HASH_SIZE]; /* once it is over */
    uint64_t body_length[ARC_CANONS];
    enum arc_result result; /* for the other probe, once the first has found it */
};

/* Makes a struct arc_message; the check's state is a struct arc_state. */
extern const struct check_stream arc_stream;

/* The message is over: the chain and the hashes of the body are there.  May be called again. */
void arc_message_end(struct arc_message *message);

#endif
