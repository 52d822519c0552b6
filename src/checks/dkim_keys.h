/* SPDX-License-Identifier: MIT */
#ifndef CHECKS_DKIM_KEYS_H
#define CHECKS_DKIM_KEYS_H

#include <stddef.h>

/*
 * Public keys as DKIM and ARC publish them, and what they say of a signature over a SHA-256
 * (RFC 6376 3.3.2, RFC 8301, RFC 8463).  Reading an RSA key and verifying with it for the
 * first time takes twice as long as any further time, so that read keys are kept: by what they are,
 * so that a key that was changed is another one.  Never blocks; safe from any thread.
 */
enum key_type { KEY_RSA, KEY_ED25519 };

enum key_verdict {
    KEY_GOOD,       /* the signature was made with the key over this digest */
    KEY_NO_MATCH,   /* it was not */
    KEY_UNREADABLE, /* no key of this type */
    KEY_SHORT,      /* fewer bits than wanted */
    KEY_LONG,       /* more than KEY_BITS_MAX bits, or an exponent that takes too long */
};

enum {
    KEY_BITS_MAX = 8192,
    KEY_EXPONENT_BITS_MAX = 64, /* RFC 6376 8.13 */
    KEY_DIGEST_SIZE = 32,
};

struct key_store;

/* Never NULL; key_store_free(NULL) is fine. */
struct key_store *key_store_new(void);
void key_store_free(struct key_store *store);

/* Whether the SIGNATURE is of KEY (p=, decoded: RSA as SubjectPublicKeyInfo or RSAPublicKey,
 * Ed25519 as 32 octets) over DIGEST.  *bits becomes the size of the key, 0 when it cannot be read.
 * MIN_BITS is for RSA only. */
enum key_verdict key_verify(struct key_store *store, enum key_type type, const unsigned char *key,
                            size_t key_length, unsigned min_bits,
                            const unsigned char digest[KEY_DIGEST_SIZE],
                            const unsigned char *signature, size_t length, unsigned *bits);

#endif
