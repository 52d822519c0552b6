/* SPDX-License-Identifier: MIT */
#ifndef CHECKS_ARC_SET_H
#define CHECKS_ARC_SET_H

#include "dkim_canon.h"
#include "header_list.h"

/*
 * The sets of an Authenticated Received Chain as they stand in the header: collected, and held
 * against the structure that RFC 8617 5.2 asks for.  No cryptography here, and no DNS.
 */
enum { ARC_SETS_MAX = 50 }; /* RFC 8617 4.2.1 */

enum arc_part {
    ARC_RESULTS,   /* ARC-Authentication-Results */
    ARC_SIGNATURE, /* ARC-Message-Signature */
    ARC_SEAL,      /* ARC-Seal */
    ARC_PARTS,
};

enum arc_algorithm { ARC_RSA_SHA256, ARC_ED25519_SHA256 };

enum arc_cv { ARC_CV_NONE, ARC_CV_PASS, ARC_CV_FAIL };

/* What a message signature or a seal says. */
struct arc_signature {
    const struct header_field *field;
    const char *problem;  /* why it cannot be good whatever its key says; NULL: nothing */
    const char *domain;   /* d=, canonical; "" when it is none */
    const char *selector; /* s=, as written, printable; "" */
    const char *key_name; /* where the key is: "selector._domainkey.domain"; "" with a problem */
    enum arc_algorithm algorithm;
    const unsigned char *bytes; /* b= */
    size_t length;
    const char *b; /* the text of b= in the field, which is not signed */
    size_t b_length;
    enum arc_cv cv; /* seals */
    /* message signatures */
    enum canon header_canon, body_canon;
    const unsigned char *body_hash; /* BODY_HASH_SIZE bytes */
    int64_t body_limit;             /* l=; -1 for none */
    const char *fields;             /* h=, without white space */
};

struct arc_set {
    const struct header_field *part[ARC_PARTS];
    const char *results; /* what follows the instance in ARC-Authentication-Results */
    struct arc_signature signature, seal;
};

enum arc_shape {
    ARC_ABSENT, /* no field of ARC at all */
    ARC_BROKEN, /* never to be mended by keys: see reason */
    ARC_WHOLE,  /* what remains are the signatures */
};

struct arc_chain {
    enum arc_shape shape;
    const char *reason; /* BROKEN */
    unsigned count;     /* of sets; set I of the RFC is sets[I - 1] */
    struct arc_set *sets;
};

/* Whether a field of this name belongs to a chain. */
bool arc_is_field(const char *name);

/* Reads the chain that is in HEADER, of at most MAX_SETS sets.  A header that was cut is a broken
 * chain where SEEN says that some field of ARC went by.  Points into HEADER; the rest is in
 * ARENA. */
void arc_chain_read(struct arc_chain *chain, const struct header_list *header, bool seen,
                    unsigned max_sets, struct arena *arena);

#endif
