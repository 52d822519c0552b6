/* SPDX-License-Identifier: MIT */
#ifndef DNSBL_LISTS_H
#define DNSBL_LISTS_H

#include "dnsbl_codes.h"
#include "dnsbl_health.h"

#include <postern/check.h>

/*
 * The `dnsbl NAME { }` blocks as they were configured, and the zones behind them.
 */

/* What a list can be asked about: a row of dnsbl_subjects, six facts and a probe each, and a bit of
 * dnsbl_list.asks. */
enum dnsbl_subject_number {
    SUBJECT_CLIENT,
    SUBJECT_HELO,
    SUBJECT_SENDER,
    SUBJECT_FROM,
    SUBJECT_COUNT
};

struct dnsbl_subject {
    const char *word; /* in `ask`: "client.ip" */
    bool is_name;     /* a domain name; else an address */
    /* Sets *target to what is put before the zone, in the arena; leaves it when there is nothing to
     * ask about.  False when that could not be found out. */
    bool (*target)(const struct probe_run *run, const char **target);
};

extern const struct dnsbl_subject dnsbl_subjects[SUBJECT_COUNT];

/* One block. */
struct dnsbl_list {
    const char *name;
    size_t zone;
    struct dnsbl_ranges listed;
    int64_t weight;
    unsigned asks; /* bits 1 << subject */
    bool ipv6, reason;
};

struct dnsbl_zone {
    const char *name;        /* canonical, key and all: never to be shown */
    const char *key;         /* "" when there is none */
    struct dnsbl_ranges own; /* what the blocks that share it name as listed */
};

struct dnsbl_lists {
    const struct dnsbl_list *lists; /* in file order */
    size_t count;
    const struct dnsbl_zone *zones; /* each once, however many blocks share it */
    size_t zone_count;
    struct dnsbl_health *health; /* zones by the same number */
};

extern const struct option_block dnsbl_option_blocks[1];

/* Builds the lists of a configuration; reports what is wrong to site->diag. */
struct dnsbl_lists *dnsbl_lists_open(const struct check_site *site);

/* Lets go of what does not live in the arena.  NULL is fine. */
void dnsbl_lists_close(struct dnsbl_lists *lists);

#endif
