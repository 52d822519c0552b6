/* SPDX-License-Identifier: MIT */
#include "questions.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include <postern/arena.h>
#include <postern/clock.h>
#include <postern/log.h>

#include "answer.h"

enum {
    QUESTIONS_MAX = 4096, /* in flight; more than libunbound takes on */
    QUERIES_MAX = 65536,  /* waiting, over all questions */
    BUCKETS = 1024,
    SILENT_MS = 3000, /* libunbound has sent four times by then */
    RETRY_MS = 1000,  /* after an upstream could not be opened */
};

/* An upstream and those who wait for its answers. */
struct generation {
    struct upstream *upstream;
    struct generation *older;
    size_t waiters;
    bool closing;
};

struct question {
    struct upstream_ask ask;
    struct questions *questions;
    struct generation *generation;
    struct question *next, **link; /* the bucket */
    struct dns_query *waiters;
    struct cache_key key;
};

struct questions {
    struct event_base *base;
    const struct upstream_setup *setup;
    struct cache *cache;
    struct questions_counters counters;
    struct generation *current; /* and behind it the older ones that somebody waits for */
    int64_t open_next;          /* not before; clock_ms() */
    struct question *buckets[BUCKETS];
};

static void count(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void count_down(atomic_uint_fast64_t *counter)
{
    atomic_fetch_sub_explicit(counter, 1, memory_order_relaxed);
}

struct dns_query *query_new(struct questions *questions, const struct cache_key *key,
                            int64_t deadline, dns_done *done, void *arg)
{
    if (atomic_fetch_add_explicit(&questions->counters.waiting, 1, memory_order_relaxed) >=
        QUERIES_MAX) {
        count_down(&questions->counters.waiting);
        return NULL;
    }
    struct dns_query *query = xmalloc(sizeof(*query));

    query->questions = questions;
    query->question = NULL;
    atomic_init(&query->state, QUERY_WAITS);
    query->done = done;
    query->arg = arg;
    query->deadline = deadline;
    query->key = *key;
    return query;
}

void query_free(struct dns_query *query)
{
    count_down(&query->questions->counters.waiting);
    free(query);
}

static bool settle(struct dns_query *query, enum query_state state)
{
    int waits = QUERY_WAITS;

    return atomic_compare_exchange_strong(&query->state, &waits, (int)state);
}

bool query_cancel(struct dns_query *query)
{
    return settle(query, QUERY_CANCELLED);
}

/* Ends a query that is in no list. */
static void query_end(struct dns_query *query, const struct dns_answer *answer)
{
    if (settle(query, QUERY_ANSWERED))
        query->done(query->arg, answer);
    query_free(query);
}

static void query_fault(struct dns_query *query, const char *problem)
{
    const struct dns_answer *answer =
        answer_fault(query->key.name, query->key.type, problem, clock_ms());

    query_end(query, answer);
    dns_answer_unref(answer);
}

static void waiter_remove(struct dns_query *query)
{
    *query->link = query->next;
    if (query->next)
        query->next->link = query->link;
    query->question->generation->waiters--;
    event_del(&query->timer);
}

static void waiter_timed_out(evutil_socket_t fd, short events, void *arg)
{
    struct dns_query *query = arg;

    (void)fd;
    (void)events;
    waiter_remove(query);
    if (atomic_load(&query->state) == QUERY_WAITS)
        count(&query->questions->counters.timeouts);
    query_fault(query, "time-out");
}

static void waiter_add(struct question *question, struct dns_query *query, int64_t wait_ms)
{
    enum { MS = 1000 };
    struct timeval wait = {.tv_sec = (time_t)(wait_ms / MS),
                           .tv_usec = (suseconds_t)(wait_ms % MS * MS)};

    query->question = question;
    query->next = question->waiters;
    if (query->next)
        query->next->link = &query->next;
    query->link = &question->waiters;
    question->waiters = query;
    question->generation->waiters++;
    evtimer_assign(&query->timer, question->questions->base, waiter_timed_out, query);
    /* libevent refuses only when malloc does. */
    if (evtimer_add(&query->timer, &wait) != 0)
        abort();
}

static void answer_waiters(struct question *question, const struct dns_answer *answer)
{
    /* From the head each time: what is told may make another waiter give up.  One that has ended
     * is off the list. */
    while (question->waiters) {
        struct dns_query *query = question->waiters;

        waiter_remove(query); /* NOLINT(clang-analyzer-unix.Malloc) */
        query_end(query, answer);
    }
}

static struct question **bucket_of(struct questions *questions, const struct cache_key *key)
{
    return &questions->buckets[key->hash % BUCKETS];
}

/* One of the current upstream: an older one may have lost its patience. */
static struct question *question_find(struct questions *questions, const struct cache_key *key)
{
    struct question *question = *bucket_of(questions, key);

    while (question &&
           (question->generation != questions->current || question->key.hash != key->hash ||
            question->key.type != key->type || strcmp(question->key.name, key->name) != 0))
        question = question->next;
    return question;
}

static void question_free(struct question *question)
{
    *question->link = question->next;
    if (question->next)
        question->next->link = question->link;
    count_down(&question->questions->counters.in_flight);
    free(question);
}

/* What the waiters do in their done cannot touch the question: what they ask comes to us later,
 * through the loop. */
static void question_answered(struct upstream_ask *ask, const struct dns_answer *answer)
{
    struct question *question = (struct question *)((char *)ask - offsetof(struct question, ask));
    struct questions *questions = question->questions;

    if (!question->generation->closing) {
        if (answer->status == DNS_FAULT)
            count(&questions->counters.faults);
        cache_put(questions->cache, &question->key, answer, clock_ms());
        answer_waiters(question, answer);
    }
    question_free(question);
}

static struct question *question_new(struct questions *questions, const struct cache_key *key)
{
    struct question *question = xmalloc(sizeof(*question));

    question->questions = questions;
    question->generation = questions->current;
    question->waiters = NULL;
    question->key = *key;
    question->ask = (struct upstream_ask){
        .name = question->key.name, .type = key->type, .done = question_answered};
    question->link = bucket_of(questions, key);
    question->next = *question->link;
    if (question->next)
        question->next->link = &question->next;
    *question->link = question;
    count(&questions->counters.in_flight);
    return question;
}

static bool open_generation(struct questions *questions, char **error)
{
    struct upstream *upstream = upstream_open(questions->base, questions->setup, error);

    if (!upstream)
        return false;
    struct generation *generation = xcalloc(1, sizeof(*generation));

    generation->upstream = upstream;
    generation->older = questions->current;
    questions->current = generation;
    return true;
}

/* Nobody waits any more; the questions themselves end within. */
static void close_generation(struct generation *generation)
{
    generation->closing = true;
    upstream_close(generation->upstream);
    free(generation);
}

/* Opens a new upstream when the current one has had no answer for long.  With recursion the silence
 * is that of some server somewhere, and what libunbound knows of the others is worth keeping. */
static void renew(struct questions *questions, int64_t now)
{
    char *error = NULL;
    int64_t since = upstream_waits_since(questions->current->upstream);

    if (questions->setup->recursive || since > now - SILENT_MS || now < questions->open_next)
        return;
    if (open_generation(questions, &error)) {
        log_debug("resolver: a question has gone unanswered for %lld ms; asking anew",
                  (long long)(now - since));
        return;
    }
    log_warning("resolver: %s", error);
    free(error);
    questions->open_next = now + RETRY_MS;
}

/* Ends the older upstreams that nobody waits for. */
static void sweep(struct questions *questions)
{
    struct generation **link = &questions->current->older;

    while (*link) {
        struct generation *generation = *link;

        if (generation->waiters > 0) {
            link = &generation->older;
        } else {
            *link = generation->older;
            close_generation(generation);
        }
    }
}

void questions_ask(struct questions *questions, struct dns_query *query)
{
    int64_t now = clock_ms();
    renew(questions, now);
    sweep(questions);
    /* The answer may have come since the asker looked. */
    const struct dns_answer *answer = cache_find(questions->cache, &query->key, now, false);
    struct question *question = question_find(questions, &query->key);

    if (answer || atomic_load(&query->state) == QUERY_CANCELLED) {
        query_end(query, answer);
        dns_answer_unref(answer);
    } else if (query->deadline <= now) {
        count(&questions->counters.timeouts);
        query_fault(query, "time-out");
    } else if (question) {
        count(&questions->counters.shared);
        waiter_add(question, query, query->deadline - now);
    } else if (atomic_load(&questions->counters.in_flight) >= QUESTIONS_MAX) {
        query_fault(query, "too many questions");
    } else {
        count(&questions->counters.sent);
        question = question_new(questions, &query->key);
        waiter_add(question, query, query->deadline - now);
        upstream_start(questions->current->upstream, &question->ask);
    }
}

const struct questions_counters *questions_counters(const struct questions *questions)
{
    return &questions->counters;
}

struct questions *questions_new(struct event_base *base, const struct upstream_setup *setup,
                                struct cache *cache, char **error)
{
    struct questions *questions = xcalloc(1, sizeof(*questions));

    questions->base = base;
    questions->setup = setup;
    questions->cache = cache;
    if (open_generation(questions, error))
        return questions;
    free(questions);
    return NULL;
}

static void answer_shutting_down(struct question *question)
{
    const struct dns_answer *answer =
        answer_fault(question->key.name, question->key.type, "shutting down", clock_ms());

    answer_waiters(question, answer);
    dns_answer_unref(answer);
}

void questions_free(struct questions *questions)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct question *question = questions->buckets[i]; question; question = question->next)
            answer_shutting_down(question);
    while (questions->current) {
        struct generation *generation = questions->current;

        questions->current = generation->older;
        close_generation(generation);
    }
    free(questions);
}
