/* SPDX-License-Identifier: MIT */
#ifndef DMARC_WORK_H
#define DMARC_WORK_H

#include "dmarc_walk.h"

#include <postern/check.h>

/*
 * The DMARC check under way: dmarc.c finds out, dmarc_facts.c says what that means.
 */
enum dmarc_fact {
    DMARC_RESULT,
    DMARC_POLICY,
    DMARC_DOMAIN,
    DMARC_TESTING,
    DMARC_ALIGNED,
    DMARC_RECORD,
    DMARC_QUERIES,
    DMARC_DKIM_AUTHOR,
    DMARC_FACTS
};

/* Domains that are walked from beside the author's, at most.  Nobody but the author's organization
 * has signatures that pass below its domain. */
enum { IDENTITIES_MAX = 12, LOOKUPS_MAX = (IDENTITIES_MAX + 1) * DMARC_QUERIES_MAX };

enum truth { NO, YES, UNKNOWN };

/* A domain for which SPF or DKIM vouch. */
struct dmarc_identity {
    bool dkim;   /* else SPF */
    bool passes; /* else it could not be found out whether it does */
    enum truth aligned;
    struct dmarc_walk *walk; /* NULL: not needed */
};

struct dmarc_lookup {
    const char *name;
    bool answered;
    struct dmarc_answer answer;
};

struct dmarc_work {
    const char *domain; /* of the author */
    struct dmarc_walk author;
    bool author_over;
    const struct dmarc_found *policy; /* NULL: none, or author.fault */
    enum truth exists;                /* the author's domain does */
    struct dmarc_identity identities[IDENTITIES_MAX];
    size_t identity_count;
    bool spf_unknown, dkim_unknown; /* beside what the identities say */
    struct dmarc_lookup lookups[LOOKUPS_MAX];
    size_t lookup_count;
    unsigned pending; /* questions without an answer */
};

extern const struct fact_row dmarc_fact_rows[DMARC_FACTS];

/* Sets all facts of the probe, whose run->work is a struct dmarc_work, and finishes it.  What has
 * no answer by now could not be found out. */
void dmarc_conclude(struct probe_run *run);

/* Whether it matters that the author's domain exists: sp or np holds for it, and they differ. */
bool dmarc_asks_existence(const struct dmarc_work *work);

#endif
