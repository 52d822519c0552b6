/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_TEST_RESOLVER_RIG_H
#define POSTERN_TEST_RESOLVER_RIG_H

#include <stdatomic.h>

#include <postern/loop.h>
#include <postern/resolver.h>

#include "nsd.h"

/* A resolver on a loop of its own, and the server it asks. */
struct rig {
    struct nsd *nsd; /* may be NULL */
    struct loop *loop;
    struct resolver *resolver;
};

/* Takes the server over.  OPTIONS may be NULL; servers are filled in when NSD is given.  Ends the
 * program when the resolver cannot be made. */
struct rig *resolver_rig_new(struct nsd *nsd, const struct resolver_options *options);

/* Resolver, loop, server. */
void resolver_rig_free(struct rig *rig);

/* Asks for the address of PREFIXNUMBER.wild.test and waits. */
enum dns_status rig_ask(struct rig *rig, const char *prefix, int number, unsigned timeout_ms);

/* Asks for new names for MS milliseconds, some at a time, as mail that comes in does.  True when
 * all were faults, and in time. */
bool rig_endure(struct rig *rig, const char *prefix, unsigned timeout_ms, int64_t ms);

/* The servers are back.  True when an answer comes within five seconds, and from then on always. */
bool rig_recover(struct rig *rig, const char *prefix, unsigned timeout_ms);

/* What came back of one question, by seen_note() as its done. */
struct seen {
    struct dns_query *query;
    atomic_int calls;
    enum dns_status status;
    char problem[32];
};

void seen_note(void *arg, const struct dns_answer *answer);

/* Waits until it was called; ends the program after 20 s. */
void seen_wait(struct seen *seen);

/* By how much this build is slower than a plain one; for upper bounds of time. */
int slow(void);

#endif
