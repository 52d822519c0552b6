/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_DNS_QUESTIONS_H
#define POSTERN_DNS_QUESTIONS_H

#include <stdatomic.h>

#include <event2/event_struct.h>

#include <postern/resolver.h>

#include "cache.h"
#include "upstream.h"

/*
 * The questions in flight, each with those who wait for it.  A question goes to the servers once,
 * however many wait; each waiter has a deadline of its own, and a question whose waiters have all
 * gone is let finish, since its answer fills the cache.
 *
 * libunbound doubles its patience with a server each time that is silent, up to minutes, and then
 * does not ask it for a while: names whose own servers are dead make it give up a forwarder that is
 * well, and a forwarder that comes back is not noticed.  So when a question to forwarders has gone
 * unanswered for some seconds, the next ones go to a new upstream that knows nothing of this, and
 * the old one ends when nobody waits for it any more.
 *
 * All functions are for the loop's thread only, unless they say otherwise.
 */
struct questions;
struct question;

enum query_state { QUERY_WAITS, QUERY_ANSWERED, QUERY_CANCELLED };

/* One waiter.  Whoever moves the state on from QUERY_WAITS, the loop's thread or the canceller, has
 * won. */
struct dns_query {
    struct questions *questions;
    struct question *question;
    struct dns_query *next, **link; /* the question's waiters */
    struct event timer;
    atomic_int state; /* enum query_state */
    dns_done *done;
    void *arg;
    int64_t deadline; /* clock_ms() */
    struct cache_key key;
};

/* Written on the loop's thread, read from any. */
struct questions_counters {
    atomic_uint_fast64_t shared, sent, faults, timeouts, in_flight;
    atomic_uint_fast64_t waiting; /* queries, from query_new() to their end */
};

/* The cache and the setup are borrowed.  NULL and a text in *error (to be freed) when the upstream
 * cannot be used. */
struct questions *questions_new(struct event_base *base, const struct upstream_setup *setup,
                                struct cache *cache, char **error);

/* Answers everybody "shutting down", then ends. */
void questions_free(struct questions *questions);

/* A waiter; from any thread.  NULL when too many wait. */
struct dns_query *query_new(struct questions *questions, const struct cache_key *key,
                            int64_t deadline, dns_done *done, void *arg);

/* Frees a query that was handed to nobody; from any thread. */
void query_free(struct dns_query *query);

/* True: done will not be called.  From any thread. */
bool query_cancel(struct dns_query *query);

/* Takes the query over: done is called once unless it is cancelled, then the query is freed. */
void questions_ask(struct questions *questions, struct dns_query *query);

/* From any thread. */
const struct questions_counters *questions_counters(const struct questions *questions);

#endif
