/* SPDX-License-Identifier: MIT */
#include "dnsbl_health.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <postern/arena.h>
#include <postern/log.h>

enum { ZONES_STEP = 8 };

static const int64_t good_interval_ms = 15 * 60 * 1000;
static const int64_t bad_interval_ms = 60 * 1000;

#define ZERO_NIBBLES ".0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"

/* RFC 5782 5: 127.0.0.2 (mapped in lists of IPv6 addresses) and TEST must be listed, 127.0.0.1 and
 * INVALID must not. */
static const struct test_entry {
    unsigned kind;
    const char *asked, *shown;
    bool listed;
} entries[] = {
    {DNSBL_TEST_IP, "2.0.0.127", "127.0.0.2", true},
    {DNSBL_TEST_IP, "1.0.0.127", "127.0.0.1", false},
    {DNSBL_TEST_IP6, "2.0.0.0.0.0.f.7.f.f.f.f" ZERO_NIBBLES, "::ffff:7f00:2", true},
    {DNSBL_TEST_IP6, "1.0.0.0.0.0.f.7.f.f.f.f" ZERO_NIBBLES, "::ffff:7f00:1", false},
    {DNSBL_TEST_NAME, "test", "TEST", true},
    {DNSBL_TEST_NAME, "invalid", "INVALID", false},
};

enum { ENTRIES = sizeof(entries) / sizeof(entries[0]) };
static_assert((int)ENTRIES == (int)DNSBL_TESTS_MAX, "room for all test entries");

struct zone {
    const char *label;
    struct dnsbl_ranges own;
    const struct test_entry *tests[DNSBL_TESTS_MAX];
    const char *names[DNSBL_TESTS_MAX];
    size_t test_count;
    /* Under the lock: */
    enum dnsbl_state state;
    bool fault;     /* the last trial could not be finished, and the log says so */
    bool under_way; /* a trial of the tick */
    int64_t due;    /* of the next one */
};

struct dnsbl_health {
    atomic_uint references;
    pthread_mutex_t lock;
    struct arena *arena;
    struct zone *zones;
    size_t count;
};

/* ---- the zones ---- */

struct dnsbl_health *dnsbl_health_new(void)
{
    struct dnsbl_health *health = xcalloc(1, sizeof(*health));

    atomic_init(&health->references, 1);
    pthread_mutex_init(&health->lock, NULL);
    health->arena = arena_new();
    return health;
}

void dnsbl_health_unref(struct dnsbl_health *health)
{
    if (health == NULL ||
        atomic_fetch_sub_explicit(&health->references, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_destroy(&health->lock);
    arena_free(health->arena);
    free(health->zones);
    free(health);
}

size_t dnsbl_health_add(struct dnsbl_health *health, const char *name, const char *label,
                        unsigned tests, const struct dnsbl_ranges *own)
{
    struct dnsbl_range *ranges = arena_alloc(health->arena, own->count * sizeof(*ranges));
    struct zone *zone;
    size_t i;

    if (health->count % ZONES_STEP == 0)
        health->zones = xrealloc(health->zones, (health->count + ZONES_STEP) * sizeof(*zone));
    zone = &health->zones[health->count];
    *zone = (struct zone){.label = arena_strdup(health->arena, label)};
    for (i = 0; i < own->count; i++)
        ranges[i] = own->items[i];
    zone->own = (struct dnsbl_ranges){ranges, own->count};
    for (i = 0; i < ENTRIES; i++) {
        if ((tests & entries[i].kind) == 0)
            continue;
        zone->tests[zone->test_count] = &entries[i];
        zone->names[zone->test_count++] =
            arena_printf(health->arena, "%s.%s", entries[i].asked, name);
    }
    /* A list without test entries is taken at its word. */
    zone->state = zone->test_count == 0 ? DNSBL_ALIVE : DNSBL_UNTRIED;
    return health->count++;
}

enum dnsbl_state dnsbl_health_state(struct dnsbl_health *health, size_t zone)
{
    enum dnsbl_state state;

    pthread_mutex_lock(&health->lock);
    state = health->zones[zone].state;
    pthread_mutex_unlock(&health->lock);
    return state;
}

/* ---- one trial ---- */

size_t dnsbl_health_tests(const struct dnsbl_health *health, size_t zone)
{
    return health->zones[zone].test_count;
}

const char *dnsbl_health_test_name(const struct dnsbl_health *health, size_t zone, size_t test)
{
    return health->zones[zone].names[test];
}

void dnsbl_health_take(const struct dnsbl_health *health, size_t zone_number,
                       struct dnsbl_trial *trial, size_t test, const struct dns_answer *answer)
{
    const struct zone *zone = &health->zones[zone_number];
    const struct test_entry *entry = zone->tests[test];
    const struct addr *odd = dnsbl_codes_odd(&zone->own, answer);
    char code[ADDR_TEXT_SIZE];

    if (answer->status == DNS_FAULT) {
        trial->tests[test] = DNSBL_TEST_FAULT;
        /* What the resolver says is not shown: it may name the zone, and with it the key. */
        if (trial->problem[0] == '\0')
            snprintf(trial->problem, sizeof(trial->problem),
                     "its test entry %s cannot be looked up", entry->shown);
        return;
    }
    if (odd == NULL && (answer->status == DNS_FOUND) == entry->listed) {
        trial->tests[test] = DNSBL_TEST_GOOD;
        return;
    }
    trial->tests[test] = DNSBL_TEST_WRONG;
    if (odd != NULL)
        snprintf(trial->problem, sizeof(trial->problem),
                 "it answers %s for %s, which is no listing", addr_format(odd, code), entry->shown);
    else
        snprintf(trial->problem, sizeof(trial->problem),
                 entry->listed ? "it does not list %s, which every list lists"
                               : "it lists %s, which no list lists",
                 entry->shown);
}

enum dnsbl_test dnsbl_health_result(const struct dnsbl_health *health, size_t zone,
                                    const struct dnsbl_trial *trial)
{
    size_t seen[DNSBL_TEST_FAULT + 1] = {0};
    size_t i;

    for (i = 0; i < health->zones[zone].test_count; i++)
        seen[trial->tests[i]]++;
    if (seen[DNSBL_TEST_WRONG] > 0)
        return DNSBL_TEST_WRONG;
    if (seen[DNSBL_TEST_OPEN] > 0)
        return DNSBL_TEST_OPEN;
    return seen[DNSBL_TEST_FAULT] > 0 ? DNSBL_TEST_FAULT : DNSBL_TEST_GOOD;
}

/* Notes RESULT in the locked zone. */
static void note(struct zone *zone, enum dnsbl_test result, const char *problem)
{
    switch (result) {
    case DNSBL_TEST_GOOD:
        if (zone->state == DNSBL_ASIDE)
            log_info("dnsbl %s answers its test entries again and is taken back", zone->label);
        else if (zone->fault)
            log_info("dnsbl %s answers its test entries again", zone->label);
        zone->state = DNSBL_ALIVE;
        zone->fault = false;
        break;
    case DNSBL_TEST_WRONG:
        if (zone->state != DNSBL_ASIDE)
            log_error(
                "dnsbl %s is SET ASIDE and counts for nothing until it heals: %s; look at its "
                "zone and at the resolver that asks it, or say 'probe none' if it has no "
                "test entries",
                zone->label, problem);
        zone->state = DNSBL_ASIDE;
        zone->fault = false;
        break;
    case DNSBL_TEST_FAULT:
        if (!zone->fault)
            log_warning("dnsbl %s could not be tested and stays as it is: %s", zone->label,
                        problem);
        zone->fault = true;
        break;
    case DNSBL_TEST_OPEN:
        break;
    }
}

/* A zone's first test entry holds its whole name. */
static bool same_zone(const struct zone *a, const struct zone *b)
{
    if (a->test_count == 0 || a->test_count != b->test_count || strcmp(a->label, b->label) != 0)
        return false;
    for (size_t i = 0; i < a->test_count; i++)
        if (strcmp(a->names[i], b->names[i]) != 0)
            return false;
    return true;
}

void dnsbl_health_inherit(struct dnsbl_health *health, struct dnsbl_health *from)
{
    pthread_mutex_lock(&from->lock);
    for (size_t i = 0; i < health->count; i++) {
        for (size_t j = 0; j < from->count; j++) {
            if (!same_zone(&health->zones[i], &from->zones[j]))
                continue;
            health->zones[i].state = from->zones[j].state;
            health->zones[i].fault = from->zones[j].fault;
        }
    }
    pthread_mutex_unlock(&from->lock);
}

void dnsbl_health_learn(struct dnsbl_health *health, size_t zone, const struct dnsbl_trial *trial)
{
    enum dnsbl_test result = dnsbl_health_result(health, zone, trial);

    pthread_mutex_lock(&health->lock);
    note(&health->zones[zone], result, trial->problem);
    pthread_mutex_unlock(&health->lock);
}

/* ---- trials by the clock ---- */

struct flight;

struct flight_test {
    struct flight *flight;
    size_t number;
};

/* A trial whose questions are in flight. */
struct flight {
    struct dnsbl_health *health;
    size_t zone;
    int64_t started;
    size_t missing; /* under the lock of health */
    struct dnsbl_trial trial;
    struct flight_test tests[DNSBL_TESTS_MAX];
};

/* All answers are in.  A trial counts whole, so that one slow wrong answer is not logged twice. */
static void land(struct flight *flight)
{
    struct dnsbl_health *health = flight->health;
    struct zone *zone = &health->zones[flight->zone];
    enum dnsbl_test result = dnsbl_health_result(health, flight->zone, &flight->trial);

    pthread_mutex_lock(&health->lock);
    note(zone, result, flight->trial.problem);
    zone->under_way = false;
    zone->due = flight->started + (result == DNSBL_TEST_GOOD ? good_interval_ms : bad_interval_ms);
    pthread_mutex_unlock(&health->lock);
    free(flight);
    dnsbl_health_unref(health);
}

static void got_test(void *arg, const struct dns_answer *answer)
{
    struct flight_test *test = arg;
    struct flight *flight = test->flight;
    bool last;

    pthread_mutex_lock(&flight->health->lock);
    dnsbl_health_take(flight->health, flight->zone, &flight->trial, test->number, answer);
    last = --flight->missing == 0;
    pthread_mutex_unlock(&flight->health->lock);
    if (last)
        land(flight);
}

static void take_off(struct dnsbl_health *health, size_t zone, struct dns *dns, int64_t now)
{
    struct flight *flight = xcalloc(1, sizeof(*flight));
    size_t count = health->zones[zone].test_count;
    size_t i;

    atomic_fetch_add_explicit(&health->references, 1, memory_order_relaxed);
    flight->health = health;
    flight->zone = zone;
    flight->started = now;
    flight->missing = count;
    for (i = 0; i < count; i++)
        flight->tests[i] = (struct flight_test){flight, i};
    /* The flight is gone once its last answer is there, which may be before dns_ask() returns. */
    for (i = 0; i < count; i++) {
        struct flight_test *test = &flight->tests[i];
        struct dns_query *query;
        const struct dns_answer *answer =
            dns_ask(dns, health->zones[zone].names[i], DNS_A, 0, got_test, test, &query);

        if (answer != NULL) {
            got_test(test, answer);
            dns_answer_unref(answer);
        }
    }
}

void dnsbl_health_tick(struct dnsbl_health *health, struct dns *dns, int64_t now)
{
    size_t i;

    for (i = 0; i < health->count; i++) {
        struct zone *zone = &health->zones[i];
        bool due;

        pthread_mutex_lock(&health->lock);
        due = zone->test_count > 0 && !zone->under_way && now >= zone->due;
        if (due)
            zone->under_way = true;
        pthread_mutex_unlock(&health->lock);
        if (due)
            take_off(health, i, dns, now);
    }
}
