/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_TEST_ARC_SEAL_H
#define POSTERN_TEST_ARC_SEAL_H

struct arena;

/*
 * A sealer as RFC 8617 5.1 has it, and worse ones: puts a set of ARC fields on top of a message.
 */
struct seal_key;

/* TYPE is "rsa" or "ed25519"; BITS is for RSA.  Free it with seal_key_free(). */
struct seal_key *seal_key_new(const char *type, unsigned bits);
void seal_key_free(struct seal_key *key);

/* "v=DKIM1; k=rsa; p=...".  Lives as long as the key. */
const char *seal_key_record(const struct seal_key *key);

/* Members that are NULL or 0 have the defaults in brackets. */
struct seal {
    unsigned instance; /* [1] */
    const struct seal_key *key;
    const char *domain;         /* [example.org] */
    const char *selector;       /* [s] */
    const char *results;        /* ["mx.DOMAIN; dmarc=pass header.from=author.example"] */
    const char *cv;             /* ["none" for the first, else "pass"] */
    const char *canon;          /* ["relaxed/relaxed"] */
    const char *fields;         /* h= ["from:subject:date"] */
    const char *algorithm;      /* a=, what is done is up to the key */
    const char *signature_tags; /* more of them, "; l=3" [""] */
    const char *seal_tags;      /* [""] */
    const char *body_hash;      /* bh=, instead of the right one */
};

/* MESSAGE with the set on top: "Name: value\n" with folded lines, "\n", and the body, whose lines
 * are signed with CRLF.  In ARENA. */
const char *arc_seal(struct arena *arena, const char *message, const struct seal *seal);

#endif
