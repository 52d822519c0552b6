/* SPDX-License-Identifier: MIT */
#ifndef SPF_KNOWN_H
#define SPF_KNOWN_H

#include <postern/dns.h>

#include "spf_record.h"

/*
 * What the DNS has told one SPF check so far.  An evaluation is run again and again until it finds
 * all its answers here.  Of an answer is kept, in the arena of the check, only what an evaluation
 * can use, so that 64 KB from a stranger do not stay.
 */
enum spf_ask {
    SPF_ASK_RECORD,      /* TXT: the SPF record in it */
    SPF_ASK_EXPLANATION, /* TXT: the only record */
    SPF_ASK_A,
    SPF_ASK_AAAA,
    SPF_ASK_MX,
    SPF_ASK_PTR,
};

enum {
    SPF_HOSTS_MAX = 10, /* RFC 7208 4.6.4: hosts of one mx, names of the client */
    SPF_AHEAD_MAX = 10, /* questions asked before the evaluation has come to them, in all */
    /* Terms with their hosts, the first record, the client's names, the explanation: an evaluation
     * cannot ask more than this. */
    SPF_KNOWN_MAX = 1 + SPF_TERMS_MAX * (1 + SPF_HOSTS_MAX) + 1 + SPF_HOSTS_MAX + 1 + SPF_AHEAD_MAX,
};

struct spf_answer {
    enum spf_ask ask;
    const char *name;
    bool wanted;   /* the evaluation has come to it */
    bool answered; /* only then the rest */
    enum dns_status status;
    const char *problem;      /* DNS_FAULT: "TXT example.org: SERVFAIL"; else "" */
    size_t count;             /* of records in the DNS's answer */
    const struct addr *addrs; /* A, AAAA: count of them */
    size_t name_count;        /* MX, PTR: the first names that are not the root */
    const char *names[SPF_HOSTS_MAX];
    const struct spf_record *record; /* never NULL for SPF_ASK_RECORD, unless DNS_FAULT */
    const char *text;                /* explanation: the record, when there is one only, or NULL */
    size_t length;
};

struct spf_known {
    struct arena *arena;
    struct addr client;
    size_t count;
    size_t ahead; /* of them were new when they were asked ahead */
    struct spf_answer *answers[SPF_KNOWN_MAX];
};

/* The entry for a question that the evaluation has come to; a new one, not answered, when it was
 * not there.  NAME must live as long as KNOWN. */
const struct spf_answer *spf_known_want(struct spf_known *known, enum spf_ask ask,
                                        const char *name);

/* The same for a question that it may come to; NULL when no more are to be asked ahead. */
const struct spf_answer *spf_known_ahead(struct spf_known *known, enum spf_ask ask,
                                         const char *name);

/* Whether a question that the evaluation has come to has no answer. */
bool spf_known_lacks(const struct spf_known *known);

/* Takes the answer to question NUMBER.  Nothing of ANSWER is borrowed. */
void spf_known_take(struct spf_known *known, size_t number, const struct dns_answer *answer);

enum dns_type spf_ask_type(enum spf_ask ask);

#endif
