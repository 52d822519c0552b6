/* SPDX-License-Identifier: MIT */
#ifndef SPF_RECORD_H
#define SPF_RECORD_H

#include <postern/dns.h>

#include "spf_grammar.h"

struct arena;

/*
 * An SPF record, read for one client: what an evaluation can come to, and nothing else.  Networks
 * that do not hold the client are left out, what stands behind a term that matches for certain too,
 * and of the terms that ask the DNS one more is kept than a check may use.  So a record of 64 KB
 * becomes a dozen steps.
 */
enum {
    SPF_TERMS_MAX = 10, /* RFC 7208 4.6.4: terms that ask the DNS, over all records of a check */
    SPF_STEPS_MAX = SPF_TERMS_MAX + 2,
    SPF_SHOWN_MAX = 200, /* of a term's text, for people */
};

enum spf_step_kind {
    SPF_STEP_MATCH,   /* ip4 or ip6 that holds the client, or all */
    SPF_STEP_DEFAULT, /* nothing matched: neutral (RFC 7208 4.7) */
    SPF_STEP_TERM,    /* a term that asks the DNS */
};

struct spf_step {
    enum spf_step_kind kind;
    struct spf_term term; /* its texts are copies */
    const char *shown;    /* the term for people: "-all", "include:example.net", "default" */
};

enum spf_record_status {
    SPF_RECORD_GOOD,
    SPF_RECORD_NONE,    /* there is no SPF record */
    SPF_RECORD_SEVERAL, /* RFC 7208 4.5: a permerror */
    SPF_RECORD_BAD,     /* syntax error */
};

struct spf_record {
    enum spf_record_status status;
    const char *problem; /* what is wrong, for people; "" */
    size_t count;
    struct spf_step steps[SPF_STEPS_MAX];
    const char *exp; /* domain-spec of exp=, or NULL */
    size_t exp_length;
};

/* The SPF record among the TXT records of ANSWER (DNS_FOUND), copied into ARENA. */
const struct spf_record *spf_record_read(struct arena *arena, const struct dns_answer *answer,
                                         const struct addr *client);

#endif
