/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <postern/clock.h>

#include "nsd.h"
#include "resolver_rig.h"

enum { BIG_TEXT = 10000, MANY_RECORDS = 600, STRING_MAX = 250 };

static const char records[] =
    "a.test. A 192.0.2.1\n"
    "a.test. AAAA 2001:db8::1\n"
    "c1.test. CNAME c2.test.\n"
    "c2.test. CNAME C3.test.\n"
    "c3.test. CNAME a.test.\n"
    "lost.test. CNAME nix.test.\n"
    "mail.example. MX 20 b.mail.example.\n"
    "mail.example. MX 10 A.Mail.example.\n"
    "null.example. MX 0 .\n"
    "txt.example. TXT \"v=spf1 \" \"-all\"\n"
    "*.wild.test. A 192.0.2.2\n"
    "zero.test. 0 A 192.0.2.3\n"
    "odd\\032name.test. A 192.0.2.4\n"
    "back\\\\slash.test. A 192.0.2.5\n"
    "1.2.0.192.in-addr.arpa. PTR host.test.\n"
    "1.0.0.10.in-addr.arpa. PTR Host.test.\n"
    "1.1.168.192.in-addr.arpa. PTR host.test.\n"
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR host.test.\n"
    "router.home.arpa. A 192.0.2.6\n";

/* The records above, a TXT of 10 kB and a name with more addresses than are taken. */
static struct nsd *start_nsd(unsigned port)
{
    static char zone[sizeof(records) + BIG_TEXT * 2 + MANY_RECORDS * 64];
    size_t at = (size_t)sprintf(zone, "%sbig.test. TXT", records);

    for (int i = 0; i < BIG_TEXT; i++)
        at += (size_t)sprintf(zone + at, "%s%c%s", i % STRING_MAX == 0 ? " \"" : "", 'a' + i % 26,
                              i % STRING_MAX == STRING_MAX - 1 ? "\"" : "");
    zone[at++] = '\n';
    for (int i = 0; i < MANY_RECORDS; i++)
        at += (size_t)sprintf(zone + at, "many.test. A 10.9.%d.%d\n", i / 256, i % 256);
    return nsd_start(zone, port);
}

static int set_up(void **state)
{
    *state = resolver_rig_new(start_nsd(0), NULL);
    return 0;
}

static int tear_down(void **state)
{
    resolver_rig_free(*state);
    return 0;
}

static const struct {
    const char *name;
    enum dns_type type;
    enum dns_status status;
    size_t count;
    const char *data; /* of the first record */
} rows[] = {
    {"a.test", DNS_A, DNS_FOUND, 1, "192.0.2.1"},
    {"A.Test.", DNS_AAAA, DNS_FOUND, 1, "2001:db8::1"},
    {"a.test", DNS_MX, DNS_NO_DATA, 0, ""},
    {"nix.test", DNS_A, DNS_NO_NAME, 0, ""},
    {"c1.test", DNS_A, DNS_FOUND, 1, "192.0.2.1"},
    {"c1.test", DNS_CNAME, DNS_FOUND, 1, "c2.test"},
    {"c2.test", DNS_CNAME, DNS_FOUND, 1, "c3.test"},
    {"c1.test", DNS_TXT, DNS_NO_DATA, 0, ""},
    {"lost.test", DNS_A, DNS_NO_NAME, 0, ""},
    {"mail.example", DNS_MX, DNS_FOUND, 2, NULL},
    {"null.example", DNS_MX, DNS_FOUND, 1, ""},
    {"txt.example", DNS_TXT, DNS_FOUND, 1, "v=spf1 -all"},
    {"big.test", DNS_TXT, DNS_FOUND, 1, NULL},
    {"many.test", DNS_A, DNS_FOUND, DNS_RECORDS_MAX, NULL},
    {"x.wild.test", DNS_A, DNS_FOUND, 1, "192.0.2.2"},
    {"odd name.test", DNS_A, DNS_FOUND, 1, "192.0.2.4"},
    {"back\\slash.test", DNS_A, DNS_FOUND, 1, "192.0.2.5"},
    {"1.2.0.192.in-addr.arpa", DNS_PTR, DNS_FOUND, 1, "host.test"},
    {"1.0.0.10.in-addr.arpa", DNS_PTR, DNS_FOUND, 1, "host.test"},
    {"1.1.168.192.in-addr.arpa.", DNS_PTR, DNS_FOUND, 1, "host.test"},
    {"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", DNS_PTR, DNS_FOUND,
     1, "host.test"},
    {"router.home.arpa", DNS_A, DNS_FOUND, 1, "192.0.2.6"},
    {"", DNS_A, DNS_NO_NAME, 0, ""},
    {".", DNS_MX, DNS_NO_NAME, 0, ""},
    {"a..test", DNS_A, DNS_NO_NAME, 0, ""},
    {"label-of-64-octets-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.test", DNS_A, DNS_NO_NAME,
     0, ""},
};

static const char *data_of(const struct dns_answer *answer, char text[ADDR_TEXT_SIZE])
{
    if (answer->count == 0)
        return "";
    if (answer->type == DNS_A || answer->type == DNS_AAAA)
        return addr_format(&answer->records[0].addr, text);
    return answer->type == DNS_TXT ? answer->records[0].text : answer->records[0].name;
}

static void finds(void **state)
{
    struct rig *rig = *state;
    char text[ADDR_TEXT_SIZE];

    /* Once from the servers, once from the cache. */
    for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
        size_t row = i / 2;
        const struct dns_answer *answer =
            resolver_wait(rig->resolver, rows[row].name, rows[row].type, 0);

        if (answer->status != rows[row].status || answer->count != rows[row].count ||
            (rows[row].data && strcmp(data_of(answer, text), rows[row].data) != 0))
            fail_msg("%s %s: %s %s, %zu records, %s", rows[row].name, dns_type_name(rows[row].type),
                     dns_status_name(answer->status), answer->problem, answer->count,
                     data_of(answer, text));
        assert_int_equal(answer->type, rows[row].type);
        assert_false(answer->secure);
        dns_answer_unref(answer);
    }
}

static void whole_records(void **state)
{
    struct rig *rig = *state;
    const struct dns_answer *answer = resolver_wait(rig->resolver, "big.test", DNS_TXT, 0);

    /* Cut short over UDP, whole over TCP. */
    assert_int_equal(answer->records[0].length, BIG_TEXT);
    for (int i = 0; i < BIG_TEXT; i++)
        assert_int_equal(answer->records[0].text[i], 'a' + i % 26);
    dns_answer_unref(answer);

    answer = resolver_wait(rig->resolver, "mail.example", DNS_MX, 0);
    for (size_t i = 0; i < 2; i++) {
        bool first = answer->records[i].preference == 10;

        assert_int_equal(answer->records[i].preference, first ? 10 : 20);
        assert_string_equal(answer->records[i].name, first ? "a.mail.example" : "b.mail.example");
    }
    dns_answer_unref(answer);
}

static const struct dns_answer *ask(struct rig *rig, const char *name, enum dns_type type,
                                    unsigned timeout_ms, struct seen *seen)
{
    return dns_ask(resolver_dns(rig->resolver), name, type, timeout_ms, seen_note, seen,
                   &seen->query);
}

static void cached(void **state)
{
    struct rig *rig = *state;
    struct resolver_counters before, after;
    struct seen seen = {0};

    resolver_flush(rig->resolver);
    dns_answer_unref(resolver_wait(rig->resolver, "a.test", DNS_A, 0));
    dns_answer_unref(resolver_wait(rig->resolver, "nix.test", DNS_A, 0));
    resolver_count(rig->resolver, &before);
    assert_int_equal(before.cached, 2);
    nsd_signal(rig->nsd, SIGSTOP);

    const struct dns_answer *answer = ask(rig, "A.TEST.", DNS_A, 0, &seen);

    assert_non_null(answer);
    assert_int_equal(answer->status, DNS_FOUND);
    /* The zone says 300 s. */
    assert_in_range(answer->expires - clock_ms(), 250 * 1000, 300 * 1000);
    dns_answer_unref(answer);
    answer = ask(rig, "nix.test", DNS_A, 0, &seen);
    assert_non_null(answer);
    assert_int_equal(answer->status, DNS_NO_NAME);
    /* The SOA says 60 s. */
    assert_in_range(answer->expires - clock_ms(), 30 * 1000, 60 * 1000);
    dns_answer_unref(answer);
    nsd_signal(rig->nsd, SIGCONT);

    resolver_count(rig->resolver, &after);
    assert_int_equal(after.hits - before.hits, 2);
    assert_int_equal(after.questions - before.questions, 2);
    assert_int_equal(after.sent, before.sent);

    /* A TTL of 0 is for those who asked, and nobody else. */
    for (int i = 0; i < 2; i++)
        dns_answer_unref(resolver_wait(rig->resolver, "zero.test", DNS_A, 0));
    resolver_count(rig->resolver, &before);
    assert_int_equal(before.sent - after.sent, 2);
    assert_int_equal(seen.calls, 0);
}

/* Some wait little and some long for the same silent server; it comes back in between. */
static void shared_with_deadlines(void **state)
{
    enum { WAITERS = 20, SHORT_MS = 150, LONG_MS = 8000 };
    struct rig *rig = *state;
    struct seen seen[WAITERS] = {{0}};
    struct resolver_counters before, after;
    int64_t start = clock_ms();

    resolver_count(rig->resolver, &before);
    nsd_signal(rig->nsd, SIGSTOP);
    for (int i = 0; i < WAITERS; i++)
        assert_null(ask(rig, "shared.wild.test", DNS_A, i % 2 ? SHORT_MS : LONG_MS, &seen[i]));
    for (int i = 1; i < WAITERS; i += 2) {
        seen_wait(&seen[i]);
        assert_string_equal(seen[i].problem, "time-out");
    }
    assert_in_range(clock_ms() - start, SHORT_MS - 10, SHORT_MS + 250 * slow());
    for (int i = 0; i < WAITERS; i += 2)
        assert_int_equal(seen[i].calls, 0);
    nsd_signal(rig->nsd, SIGCONT);
    for (int i = 0; i < WAITERS; i += 2) {
        seen_wait(&seen[i]);
        assert_int_equal(seen[i].status, DNS_FOUND);
    }
    resolver_count(rig->resolver, &after);
    assert_int_equal(after.sent - before.sent, 1);
    assert_int_equal(after.shared - before.shared, WAITERS - 1);
    assert_int_equal(after.timeouts - before.timeouts, WAITERS / 2);
}

static void cancelled(void **state)
{
    struct rig *rig = *state;
    struct seen gone = {0}, stays = {0}, soon = {0};

    nsd_signal(rig->nsd, SIGSTOP);
    assert_null(ask(rig, "cancel.wild.test", DNS_A, 200, &gone));
    assert_null(ask(rig, "cancel.wild.test", DNS_A, 8000, &stays));
    assert_null(ask(rig, "cancel2.wild.test", DNS_A, 200, &soon));
    assert_true(dns_cancel(resolver_dns(rig->resolver), gone.query));
    assert_true(dns_cancel(resolver_dns(rig->resolver), soon.query));
    usleep(300 * 1000);
    nsd_signal(rig->nsd, SIGCONT);
    seen_wait(&stays);
    assert_int_equal(stays.status, DNS_FOUND);
    assert_int_equal(gone.calls, 0);
    assert_int_equal(soon.calls, 0);
}

/* done asks again: a chain of questions, all on the loop's thread. */
struct chain {
    struct rig *rig;
    struct seen seen;
    int left;
    bool cached;
};

static void chain_done(void *arg, const struct dns_answer *answer)
{
    struct chain *chain = arg;
    struct dns_query *query;
    char name[64];

    if (!loop_is_here(chain->rig->loop) || chain->left-- == 0) {
        seen_note(&chain->seen, answer);
        return;
    }
    snprintf(name, sizeof(name), "chain%d.wild.test", chain->left);
    answer = dns_ask(resolver_dns(chain->rig->resolver), name, DNS_A, 0, chain_done, chain, &query);
    chain->cached |= answer != NULL;
    dns_answer_unref(answer);
}

static void chained(void **state)
{
    enum { LENGTH = 50 };
    struct chain chain = {.rig = *state, .left = LENGTH};
    struct dns_query *query;

    assert_null(dns_ask(resolver_dns(chain.rig->resolver), "chain.wild.test", DNS_A, 0, chain_done,
                        &chain, &query));
    seen_wait(&chain.seen);
    assert_int_equal(chain.seen.status, DNS_FOUND);
    assert_int_equal(chain.left, -1);
    assert_false(chain.cached);
}

/* Far more names than may be in flight, and silent servers: everybody gets an answer, once and in
 * time. */
static void too_many(void **state)
{
    enum { NAMES = 5000, LIMIT = 4096, WAIT_MS = 1500 };
    struct rig *rig = *state;
    struct seen *seen = test_calloc(NAMES, sizeof(*seen));
    struct resolver_counters counters;
    int refused = 0;
    char name[64];
    int64_t start = clock_ms();

    nsd_signal(rig->nsd, SIGSTOP);
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof(name), "flood%d.wild.test", i);
        assert_null(ask(rig, name, DNS_A, WAIT_MS, &seen[i]));
    }
    for (int i = 0; i < NAMES; i++) {
        seen_wait(&seen[i]);
        assert_int_equal(seen[i].status, DNS_FAULT);
        refused += strcmp(seen[i].problem, "too many questions") == 0;
    }
    assert_in_range(clock_ms() - start, WAIT_MS - 10, WAIT_MS + 1500 * slow());
    assert_int_equal(refused, NAMES - LIMIT);
    resolver_count(rig->resolver, &counters);
    assert_in_range(counters.in_flight, 1, LIMIT);
    nsd_signal(rig->nsd, SIGCONT);
    /* They were let finish, and no one is answered twice. */
    for (int i = 0; i < 200 && counters.in_flight > 0; i++) {
        usleep(50 * 1000);
        resolver_count(rig->resolver, &counters);
    }
    assert_int_equal(counters.in_flight, 0);
    for (int i = 0; i < NAMES; i++)
        assert_int_equal(seen[i].calls, 1);
    test_free(seen);
}

enum { THREADS = 4, ASKS = 1500, NAMES_SHARED = 200 };

/* Asks and cancels as a transaction does: under a lock that done takes as well. */
struct worker {
    struct rig *rig;
    unsigned seed;
    pthread_mutex_t lock;
    struct dns_query *query; /* under lock; NULL when none is open */
    int answers, cancels, wrong;
};

static void worker_done(void *arg, const struct dns_answer *answer)
{
    struct worker *worker = arg;

    pthread_mutex_lock(&worker->lock);
    worker->query = NULL;
    worker->answers++;
    worker->wrong += answer->status == DNS_FAULT;
    pthread_mutex_unlock(&worker->lock);
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct dns *dns = resolver_dns(worker->rig->resolver);
    char name[64];

    for (int i = 0; i < ASKS; i++) {
        snprintf(name, sizeof(name), "t%d.%s.test", rand_r(&worker->seed) % NAMES_SHARED,
                 i % 3 ? "wild" : "nix");
        pthread_mutex_lock(&worker->lock);
        const struct dns_answer *answer =
            dns_ask(dns, name, DNS_A, 8000, worker_done, worker, &worker->query);
        bool open = !answer;

        worker->answers += !open;
        pthread_mutex_unlock(&worker->lock);
        dns_answer_unref(answer);
        if (open && i % 4 == 0) {
            pthread_mutex_lock(&worker->lock);
            if (worker->query && dns_cancel(dns, worker->query)) {
                worker->cancels++;
                worker->query = NULL;
            }
            pthread_mutex_unlock(&worker->lock);
        }
        for (int spins = 0; open && spins < 100 * 1000; spins++) {
            pthread_mutex_lock(&worker->lock);
            open = worker->query != NULL;
            pthread_mutex_unlock(&worker->lock);
            if (open)
                usleep(100);
        }
        if (i % 100 == 0)
            resolver_flush(worker->rig->resolver);
    }
    return NULL;
}

static void many_threads(void **state)
{
    struct worker workers[THREADS];
    pthread_t ids[THREADS];

    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.rig = *state, .seed = i + 1};
        pthread_mutex_init(&workers[i].lock, NULL);
        assert_int_equal(pthread_create(&ids[i], NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(ids[i], NULL);
        pthread_mutex_destroy(&workers[i].lock);
        assert_int_equal(workers[i].answers + workers[i].cancels, ASKS);
        assert_int_equal(workers[i].wrong, 0);
    }
}

/* done asks once more while the resolver ends, and gets its fault at once. */
struct last {
    struct rig *rig;
    struct seen seen;
    char again[32];
};

static void last_done(void *arg, const struct dns_answer *answer)
{
    struct last *last = arg;
    struct dns_query *query;
    const struct dns_answer *again =
        dns_ask(resolver_dns(last->rig->resolver), "again.wild.test", DNS_A, 0, NULL, NULL, &query);

    strncpy(last->again, again ? again->problem : "none", sizeof(last->again) - 1);
    dns_answer_unref(again);
    seen_note(&last->seen, answer);
}

static void shuts_down(void **state)
{
    enum { OPEN = 50 };
    struct rig *rig = resolver_rig_new(start_nsd(0), NULL);
    struct last last[OPEN] = {{0}};
    struct dns_query *query;
    struct seen cancelled_one = {0};
    char name[64];

    (void)state;
    nsd_signal(rig->nsd, SIGSTOP);
    assert_null(ask(rig, "gone.wild.test", DNS_A, 0, &cancelled_one));
    assert_true(dns_cancel(resolver_dns(rig->resolver), cancelled_one.query));
    for (int i = 0; i < OPEN; i++) {
        last[i].rig = rig;
        snprintf(name, sizeof(name), "open%d.wild.test", i / 2);
        assert_null(
            dns_ask(resolver_dns(rig->resolver), name, DNS_A, 8000, last_done, &last[i], &query));
    }
    resolver_rig_free(rig);
    for (int i = 0; i < OPEN; i++) {
        assert_int_equal(last[i].seen.calls, 1);
        assert_string_equal(last[i].seen.problem, "shutting down");
        assert_string_equal(last[i].again, "shutting down");
    }
    assert_int_equal(cancelled_one.calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds),        cmocka_unit_test(whole_records),
        cmocka_unit_test(cached),       cmocka_unit_test(shared_with_deadlines),
        cmocka_unit_test(cancelled),    cmocka_unit_test(chained),
        cmocka_unit_test(many_threads), cmocka_unit_test(too_many),
        cmocka_unit_test(shuts_down),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
