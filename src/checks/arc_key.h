/* SPDX-License-Identifier: MIT */
#ifndef CHECKS_ARC_KEY_H
#define CHECKS_ARC_KEY_H

#include <postern/dns.h>

#include "arc_set.h"
#include "dkim_keys.h"

/* A signature or seal held against its key record. */

enum { ARC_KEY_BITS_MIN = 1024 }; /* RFC 8301 3.2 */

/* Whether a record of ANSWER, which is DNS_FOUND of TXT, verifies the signature over DIGEST.  NULL,
 * or why not.  Of several records the first few are tried.  ARENA for scratch. */
const char *arc_key_verify(struct key_store *store, const struct dns_answer *answer,
                           const struct arc_signature *signature,
                           const unsigned char digest[BODY_HASH_SIZE], struct arena *arena);

#endif
