/* SPDX-License-Identifier: MIT */
#include <postern/resolver.h>

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include <postern/arena.h>
#include <postern/clock.h>
#include <postern/loop.h>
#include <postern/str.h>

#include "answer.h"
#include "cache.h"
#include "questions.h"
#include "servers.h"
#include "upstream.h"

enum { TIMEOUT_DEFAULT_MS = 3000, TIMEOUT_MAX_MS = 30 * 1000 };

struct resolver {
    struct dns dns; /* first: ask and cancel are handed it */
    struct loop *loop;
    struct cache *cache;
    struct upstream_setup setup;
    struct questions
        *questions; /* the pointer is fixed, what it points to is the loop's thread's */
    unsigned timeout_ms;
    atomic_uint_fast64_t refused; /* questions with a name that cannot be asked */
    pthread_mutex_t lock;
    bool closing; /* under lock */
};

/* A thread that waits until another has done something. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool open; /* under lock */
};

static void gate_init(struct gate *gate)
{
    pthread_mutex_init(&gate->lock, NULL);
    pthread_cond_init(&gate->opened, NULL);
    gate->open = false;
}

static void gate_open(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    /* Under the lock: the waiter's stack holds the gate, and it is gone once the waiter runs. */
    pthread_cond_signal(&gate->opened);
    pthread_mutex_unlock(&gate->lock);
}

static void gate_wait(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    while (!gate->open)
        pthread_cond_wait(&gate->opened, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    pthread_cond_destroy(&gate->opened);
    pthread_mutex_destroy(&gate->lock);
}

static void start_query(void *arg)
{
    struct dns_query *query = arg;

    questions_ask(query->questions, query);
}

/* Hands the query to the loop's thread.  False when the resolver is being ended: what is posted
 * from then on would come too late. */
static bool post_query(struct resolver *resolver, struct dns_query *query)
{
    pthread_mutex_lock(&resolver->lock);
    bool open = !resolver->closing;

    if (open)
        loop_post(resolver->loop, start_query, query);
    pthread_mutex_unlock(&resolver->lock);
    return open;
}

static const struct dns_answer *no_such_name(const char *name, enum dns_type type)
{
    return dns_answer_new(&(struct dns_answer){
        .status = DNS_NO_NAME, .type = type, .name = name, .expires = clock_ms()});
}

static const struct dns_answer *ask(struct dns *dns, const char *name, enum dns_type type,
                                    unsigned timeout_ms, dns_done *done, void *arg,
                                    struct dns_query **query)
{
    struct resolver *resolver = (struct resolver *)dns;
    struct cache_key key;
    int64_t now = clock_ms();

    if (!cache_key_init(&key, name, type)) {
        atomic_fetch_add_explicit(&resolver->refused, 1, memory_order_relaxed);
        return no_such_name(name, type);
    }
    const struct dns_answer *answer = cache_find(resolver->cache, &key, now, true);

    if (answer)
        return answer;
    if (timeout_ms == 0)
        timeout_ms = resolver->timeout_ms;
    if (timeout_ms > TIMEOUT_MAX_MS)
        timeout_ms = TIMEOUT_MAX_MS;
    *query = query_new(resolver->questions, &key, now + timeout_ms, done, arg);
    if (!*query)
        return answer_fault(key.name, type, "too many questions", now);
    if (post_query(resolver, *query))
        return NULL;
    query_free(*query);
    *query = NULL;
    return answer_fault(key.name, type, "shutting down", now);
}

static bool cancel(struct dns *dns, struct dns_query *query)
{
    (void)dns;
    return query_cancel(query);
}

static const struct dns_ops resolver_ops = {.ask = ask, .cancel = cancel};

/* What resolver_new() and resolver_free() have done on the loop's thread. */
struct job {
    struct gate gate;
    struct resolver *resolver;
    char *error;
};

static void open_job(void *arg)
{
    struct job *job = arg;
    struct resolver *resolver = job->resolver;

    resolver->questions =
        questions_new(loop_base(resolver->loop), &resolver->setup, resolver->cache, &job->error);
    gate_open(&job->gate);
}

static void close_job(void *arg)
{
    struct job *job = arg;

    questions_free(job->resolver->questions);
    gate_open(&job->gate);
}

static void run_job(struct job *job, loop_fn *fn)
{
    assert(!loop_is_here(job->resolver->loop));
    gate_init(&job->gate);
    loop_post(job->resolver->loop, fn, job);
    gate_wait(&job->gate);
}

static void release(struct resolver *resolver)
{
    cache_free(resolver->cache);
    free(resolver->setup.trust_anchor);
    pthread_mutex_destroy(&resolver->lock);
    free(resolver);
}

static int take_named(const struct resolver_options *options, struct servers *servers, char **error)
{
    struct str problem = {0};

    if (options->recursive && options->server_count > 0) {
        str_add(&problem, "servers are named and recursion is asked for: it is one or the other");
        *error = problem.data;
        return -1;
    }
    return servers_from_list(servers, options->servers, options->server_count, error);
}

int resolver_check(const struct resolver_options *options, char **error)
{
    struct servers servers;

    *error = NULL;
    return take_named(options, &servers, error);
}

static int choose_servers(const struct resolver_options *options, struct servers *servers,
                          char **error)
{
    if (options->recursive || options->server_count > 0)
        return take_named(options, servers, error);
    return servers_from_file(
        servers, options->resolv_conf ? options->resolv_conf : "/etc/resolv.conf", error);
}

struct resolver *resolver_new(struct loop *loop, const struct resolver_options *options,
                              char **error)
{
    static const char anchor[] = "/usr/share/dns/root.key";
    struct upstream_setup setup = {.recursive = options->recursive, .dnssec = options->dnssec};

    *error = NULL;
    if (choose_servers(options, &setup.servers, error) != 0)
        return NULL;
    if (options->dnssec)
        setup.trust_anchor = xstrdup(options->trust_anchor ? options->trust_anchor : anchor);

    struct resolver *resolver = xcalloc(1, sizeof(*resolver));

    resolver->dns.ops = &resolver_ops;
    resolver->loop = loop;
    resolver->cache = cache_new(options->cache_bytes);
    resolver->setup = setup;
    resolver->timeout_ms = options->timeout_ms ? options->timeout_ms : TIMEOUT_DEFAULT_MS;
    pthread_mutex_init(&resolver->lock, NULL);

    struct job job = {.resolver = resolver};

    run_job(&job, open_job);
    if (!resolver->questions) {
        *error = job.error;
        release(resolver);
        return NULL;
    }
    return resolver;
}

void resolver_free(struct resolver *resolver)
{
    if (!resolver)
        return;
    pthread_mutex_lock(&resolver->lock);
    resolver->closing = true;
    pthread_mutex_unlock(&resolver->lock);
    /* What was posted before runs before: no query is left behind. */
    run_job(&(struct job){.resolver = resolver}, close_job);
    release(resolver);
}

struct dns *resolver_dns(struct resolver *resolver)
{
    return &resolver->dns;
}

struct reply {
    struct gate gate;
    const struct dns_answer *answer;
};

static void reply_done(void *arg, const struct dns_answer *answer)
{
    struct reply *reply = arg;

    reply->answer = dns_answer_ref(answer);
    gate_open(&reply->gate);
}

const struct dns_answer *resolver_wait(struct resolver *resolver, const char *name,
                                       enum dns_type type, unsigned timeout_ms)
{
    struct reply reply;
    struct dns_query *query;

    assert(!loop_is_here(resolver->loop));
    gate_init(&reply.gate);
    /* The reply may be there before dns_ask() returns. */
    const struct dns_answer *answer =
        dns_ask(&resolver->dns, name, type, timeout_ms, reply_done, &reply, &query);

    if (answer)
        gate_open(&reply.gate);
    /* The deadline of the question ends this wait. */
    gate_wait(&reply.gate);
    return answer ? answer : reply.answer;
}

void resolver_count(const struct resolver *resolver, struct resolver_counters *counters)
{
    const struct questions_counters *from = questions_counters(resolver->questions);
    struct cache_counters cache;

    cache_count(resolver->cache, &cache);
    *counters = (struct resolver_counters){
        .questions = cache.asked + atomic_load(&resolver->refused),
        .hits = cache.hits,
        .shared = atomic_load(&from->shared),
        .sent = atomic_load(&from->sent),
        .faults = atomic_load(&from->faults),
        .timeouts = atomic_load(&from->timeouts),
        .in_flight = atomic_load(&from->in_flight),
        .cached = cache.entries,
        .cached_bytes = cache.bytes,
    };
}

void resolver_flush(struct resolver *resolver)
{
    cache_flush(resolver->cache);
}
