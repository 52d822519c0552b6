/* SPDX-License-Identifier: MIT */
#ifndef CHECKS_DKIM_SCAN_H
#define CHECKS_DKIM_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dkim_canon.h"
#include "dkim_keys.h"
#include "header_list.h"

/*
 * Reads DKIM-Signature fields and key records (RFC 6376 3.5 and 3.6.1, with RFC 8301, 8463 and
 * 8616) and judges all that can be judged without a key.  No cryptography and no DNS here.
 */

/* RFC 8601 2.7.1; the words of the fact dkim.result, in its order. */
enum dkim_result {
    RESULT_NONE, /* of a signature: nothing speaks against it yet */
    RESULT_PASS,
    RESULT_FAIL,
    RESULT_POLICY,  /* not acceptable to us: expired, data behind l=, ... */
    RESULT_NEUTRAL, /* not to be understood, or failed while its domain is only testing */
    RESULT_TEMPERROR,
    RESULT_PERMERROR,
    RESULT_COUNT,
};

enum {
    DKIM_FIELD_MAX = 16 * 1024, /* octets of a DKIM-Signature field */
    DKIM_NAMES_MAX = 512,       /* fields that h= names */
    DKIM_IDENTITY_MAX = 255,    /* octets of i= */
    DKIM_FUTURE_MAX = 86400,    /* seconds that t= may be ahead of our clock */
    DKIM_EXPIRED_MAX = 300,     /* seconds that x= may be behind it */
};

struct dkim_signature {
    size_t field; /* its place in the header */
    enum dkim_result result;
    const char *reason;         /* constant or in the arena; "" */
    const char *domain;         /* d=, canonical; "" when it is none */
    const char *selector;       /* s=, canonical; "" when it is none */
    const char *identity;       /* i=, or "@" and d=; what does not print is '?' */
    const char *key_name;       /* where the key is; "" when that is not known */
    const char *algorithm_name; /* one of ours, or "unknown" */
    enum key_type key_type;
    enum canon header_canon, body_canon;
    const char *names;              /* h= without white space */
    int64_t body_limit;             /* l=; -1 for none */
    bool exact;                     /* whether the domain of i= is d= itself */
    const unsigned char *body_hash; /* bh=, BODY_HASH_SIZE octets */
    const unsigned char *bytes;     /* b= */
    size_t length;
    const char *b_text; /* b= as written, printable, without white space; "" */
    /* Where all between the '=' and the ';' of b= stands in the field's value. */
    size_t b_start, b_length;
    /* Whether libopendkim reads and hashes the field as the RFC says: plain ASCII, nothing that it
     * would see otherwise than we do. */
    bool plain;
};

/* Reads the field at place NUMBER of HEADER; NOW is in seconds since 1970.  With RESULT_NONE all
 * members are set; with another result the signature cannot be good whatever its key says, and what
 * could not be read is "" or 0.  What is pointed to is in HEADER or ARENA. */
void dkim_signature_read(struct dkim_signature *signature, const struct header_list *header,
                         size_t number, int64_t now, struct arena *arena);

/* Whether the key is of interest: the signature may be good, or is bad in a way that counts against
 * it unless its key says that the domain is testing (RFC 6376 3.6.1). */
bool dkim_signature_asks(const struct dkim_signature *signature);

struct dkim_key {
    const char *problem; /* constant: why it is no use, "is revoked"; NULL: nothing */
    enum key_type type;
    const unsigned char *bytes; /* p= */
    size_t length;
    bool testing; /* t=y */
    bool exact;   /* t=s */
};

/* Reads LENGTH octets of a TXT record.  The flags are set, where they could be read, with a problem
 * too. */
void dkim_key_read(struct dkim_key *key, const char *text, size_t length, struct arena *arena);

#endif
