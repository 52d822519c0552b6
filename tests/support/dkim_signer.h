/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_TEST_DKIM_SIGNER_H
#define POSTERN_TEST_DKIM_SIGNER_H

#include <stddef.h>

struct arena;

/*
 * Signs messages for tests, with none of the code that is tested: by libopendkim, and by hand where
 * a signature has to be as no library makes it.
 */
struct signer;

/* A new key: "rsa2048", "rsa1024", "rsa512", "ed25519".  Texts that it gives live in ARENA. */
struct signer *signer_new(struct arena *arena, const char *kind);
void signer_free(struct signer *signer);

/* p= of the key's record; RSA as SubjectPublicKeyInfo, or as RSAPublicKey. */
const char *signer_key(const struct signer *signer);
const char *signer_bare_key(const struct signer *signer);
/* "v=DKIM1; k=rsa; p=..." */
const char *signer_record(const struct signer *signer);

/* The p= of an RSA key of BITS bits (0: modulus 0) and an exponent of EXPONENT_BITS bits that
 * nobody has the other half of. */
const char *signer_fake_key(struct arena *arena, unsigned bits, unsigned exponent_bits);

/* The value of a DKIM-Signature field for d=DOMAIN, s=sel, by libopendkim, with its leading blank,
 * folded with LF.  FIELDS are "Name: value", folded with LF, up to NULL; all are signed. CANON is
 * "relaxed/simple".  RSA only. */
const char *signer_by_library(const struct signer *signer, const char *domain, const char *canon,
                              const char *const *fields, const char *body, size_t length);

/* The same by hand, simple/simple.  VALUE is the field's value with @BH where the body's hash is to
 * stand and @B where the signature is; FIELDS are those that it signs, in their order. */
const char *signer_by_hand(const struct signer *signer, const char *value,
                           const char *const *fields, const char *body, size_t length);

/* A group's keys, of each kind one: set up and torn down as cmocka's group fixture, *state. */
struct signers {
    struct arena *arena;
    struct signer *rsa, *other, *small, *ed25519; /* RSA of 2048, 1024 and 512 bits */
};
int signers_set_up(void **state);
int signers_tear_down(void **state);

#endif
