/* SPDX-License-Identifier: MIT */
#ifndef CHECKS_DKIM_VERIFY_H
#define CHECKS_DKIM_VERIFY_H

#include <stdbool.h>

#include "dkim_scan.h"

struct arena;

/*
 * The SHA-256 over the header that each signature signs (RFC 6376 3.7), by libopendkim, which is
 * behind this interface.
 *
 * Of libopendkim only the reading and hashing of headers is asked for.  Its body hash needs ten
 * times as long as ours and keeps a line without white space whole, its verification decodes the
 * key anew each time; both are left out, and with them its DNS.  What it cannot read as the RFC
 * wants it (RFC 8616 names, fields about which it is mistaken) is hashed by this module itself.
 */
struct dkim_verifier;

enum { HEADER_HASH_SIZE = 32 };

/* Never NULL.  One for all threads. */
struct dkim_verifier *dkim_verifier_new(void);
void dkim_verifier_free(struct dkim_verifier *verifier);

/* Hashes the header for each of COUNT signatures that have RESULT_NONE; the order is that of the
 * header.  DIGESTS has room for COUNT.  Never blocks; any thread. */
void dkim_header_digests(struct dkim_verifier *verifier, const struct header_list *header,
                         const struct dkim_signature *signatures, size_t count,
                         unsigned char (*digests)[HEADER_HASH_SIZE], struct arena *arena);

/* The same for one signature without libopendkim. */
void dkim_header_digest_own(const struct header_list *header,
                            const struct dkim_signature *signature,
                            unsigned char digest[HEADER_HASH_SIZE], struct arena *arena);

/* The same for those signatures that are plain, by libopendkim alone.  TAKEN[i] tells for which it
 * has found a digest. */
void dkim_header_digests_library(struct dkim_verifier *verifier, const struct header_list *header,
                                 const struct dkim_signature *signatures, size_t count,
                                 unsigned char (*digests)[HEADER_HASH_SIZE], bool *taken,
                                 struct arena *arena);

#endif
