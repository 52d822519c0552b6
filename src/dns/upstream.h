/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_DNS_UPSTREAM_H
#define POSTERN_DNS_UPSTREAM_H

#include <postern/dns.h>

#include "servers.h"

struct event_base;

/*
 * libunbound on an event base: sends questions to the servers, again when they are silent, and
 * validates. It has no deadline of its own worth the name; the waiters bring theirs.  Everything
 * here is for the loop's thread only.
 */
struct upstream;

/* What to ask, and how. */
struct upstream_setup {
    bool recursive; /* the root servers and on */
    bool dnssec;
    char *trust_anchor;     /* file; NULL without dnssec */
    struct servers servers; /* the forwarders, unless recursive */
};

/* One question; lives in the asker's memory until done was called. */
struct upstream_ask {
    const char *name; /* as names_read() writes it */
    enum dns_type type;
    /* The answer is borrowed for the call; ask may be freed in it. */
    void (*done)(struct upstream_ask *ask, const struct dns_answer *answer);
    /* Set by upstream_start(). */
    struct upstream *upstream;
    struct upstream_ask *newer, *older; /* of those that are open */
    int64_t started;                    /* clock_ms() */
};

/* NULL and a text in *error (to be freed) when libunbound or the trust anchor cannot be used. */
struct upstream *upstream_open(struct event_base *base, const struct upstream_setup *setup,
                               char **error);

/* Calls done of every question that is still open, with some fault.  Not from within a done. */
void upstream_close(struct upstream *upstream);

/* Starts the question; done is called exactly once, perhaps inside this call. */
void upstream_start(struct upstream *upstream, struct upstream_ask *ask);

/* Since when the oldest open question waits, clock_ms(); INT64_MAX when none is open. */
int64_t upstream_waits_since(const struct upstream *upstream);

#endif
