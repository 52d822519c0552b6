/* SPDX-License-Identifier: MIT */
#ifndef DMARC_WALK_H
#define DMARC_WALK_H

#include "dmarc_record.h"

#include <postern/dns.h>
#include <postern/domain.h>

struct arena;

/*
 * The DNS tree walk (RFC 9989 4.10): from a domain up to the top of the tree, in at most eight
 * questions, for the records that tell its policy and its organizational domain.
 *
 * A state machine that asks nothing itself: dmarc_walk_next() names the question, and
 * dmarc_walk_take() is told the answer.  Pure.
 */
enum {
    DMARC_QUERIES_MAX = 8,
    DMARC_NAME_SIZE = DOMAIN_SIZE + 7 /* with "_dmarc." before it */
};

/* What the DNS says at one name. */
struct dmarc_answer {
    enum dns_status status;
    unsigned count;             /* DMARC records there */
    struct dmarc_record record; /* where there is exactly one */
    const char *text;           /* of that one */
    const char *problem;        /* DNS_FAULT: why, else "" */
};

/* RFC 9989 4.10: TXT records that are no DMARC records do not count.  The texts, of which
 * that of a record may be cut short, live in ARENA. */
struct dmarc_answer dmarc_answer_read(struct arena *arena, const struct dns_answer *answer);

struct dmarc_found {
    const char *domain; /* a part of walk->domain */
    struct dmarc_record record;
    const char *text;
};

struct dmarc_walk {
    char domain[DOMAIN_SIZE];
    const char *target; /* the domain to be asked about; NULL when the walk is over */
    bool fault;         /* a question could not be answered: the rest is not known */
    unsigned count;
    struct dmarc_found found[DMARC_QUERIES_MAX]; /* longest name first */
};

/* Begins a walk at DOMAIN (canonical, not empty).  The struct is not to be moved. */
void dmarc_walk_init(struct dmarc_walk *walk, const char *domain);

/* The name whose TXT records are wanted next, written to NAME; NULL when the walk is over. */
const char *dmarc_walk_next(const struct dmarc_walk *walk, char name[DMARC_NAME_SIZE]);

/* The answer to that question. */
void dmarc_walk_take(struct dmarc_walk *walk, const struct dmarc_answer *answer);

/* Of a walk that is over, and not in fault: the organizational domain (RFC 9989 4.10.2), a part of
 * walk->domain. */
const char *dmarc_walk_organization(const struct dmarc_walk *walk);

/* Of a walk that is over: the record whose policy holds for walk->domain (RFC 9989 4.10.1), or NULL
 * when there is none.  In a walk in fault, only what is at walk->domain itself is certain: NULL
 * then means that nothing is known. */
const struct dmarc_found *dmarc_walk_policy(const struct dmarc_walk *walk);

#endif
