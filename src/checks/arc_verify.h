/* SPDX-License-Identifier: MIT */
#ifndef CHECKS_ARC_VERIFY_H
#define CHECKS_ARC_VERIFY_H

#include "arc_set.h"

/*
 * What the signatures of a chain are about: the hashes over the header.  Pure but for OpenSSL.
 */

/* The hashes of all seals, set by set, one pass over the fields for all of them (RFC 8617 5.1.1):
 * CHAIN is ARC_WHOLE.  In ARENA. */
const unsigned char (*arc_seal_digests(const struct arc_chain *chain,
                                       struct arena *arena))[BODY_HASH_SIZE];

/* The hash over the header that a message signature without a problem is about (RFC 6376 3.7).
 * False when h= names too many fields.  ARENA for scratch. */
bool arc_signature_digest(const struct arc_signature *signature, const struct header_list *header,
                          struct arena *arena, unsigned char digest[BODY_HASH_SIZE]);

/* Holds the hash of the body and its canonical length against bh= and l=.  NULL, or what is
 * wrong. */
const char *arc_body_problem(const struct arc_signature *signature,
                             const unsigned char digest[BODY_HASH_SIZE], uint64_t length);

#endif
