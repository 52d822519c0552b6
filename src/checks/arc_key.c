/* SPDX-License-Identifier: MIT */
#include "arc_key.h"

#include <postern/arena.h>

#include "dkim_scan.h"

enum { KEYS_MAX = 4 }; /* records of one name that are tried */

static const char *try_record(struct key_store *store, const struct dns_record *record,
                              const struct arc_signature *signature, const unsigned char *digest,
                              struct arena *arena)
{
    enum key_type type = signature->algorithm == ARC_RSA_SHA256 ? KEY_RSA : KEY_ED25519;
    struct dkim_key key;
    unsigned bits;

    dkim_key_read(&key, record->text, record->length, arena);
    if (key.problem != NULL)
        return arena_printf(arena, "the key %s", key.problem);
    if (key.type != type)
        return "the key is of another type";
    switch (key_verify(store, type, key.bytes, key.length, ARC_KEY_BITS_MIN, digest,
                       signature->bytes, signature->length, &bits)) {
    case KEY_GOOD:
        return NULL;
    case KEY_SHORT:
        return arena_printf(arena, "the key is too short (%u bits)", bits);
    case KEY_LONG:
        return "the key is too long";
    case KEY_UNREADABLE:
        return "the key is not readable";
    case KEY_NO_MATCH:
        break;
    }
    return "the signature does not verify";
}

const char *arc_key_verify(struct key_store *store, const struct dns_answer *answer,
                           const struct arc_signature *signature,
                           const unsigned char digest[BODY_HASH_SIZE], struct arena *arena)
{
    const char *problem = "there is no key";
    size_t i;

    /* RFC 6376 6.1.2: where there are several keys, any one will do. */
    for (i = 0; i < answer->count && i < KEYS_MAX && problem != NULL; i++)
        problem = try_record(store, &answer->records[i], signature, digest, arena);
    return problem;
}
