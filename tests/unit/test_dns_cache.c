/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/dns/answer.h"
#include "../../src/dns/cache.h"

enum { LATER = 1000, ROOM = 1 << 20 };

static const struct dns_answer *make(const char *name, enum dns_type type, int64_t expires)
{
    return dns_answer_new(&(struct dns_answer){
        .status = DNS_NO_DATA, .name = name, .type = type, .expires = expires});
}

static void put(struct cache *cache, const char *name, enum dns_type type, int64_t expires,
                int64_t now)
{
    const struct dns_answer *answer = make(name, type, expires);
    struct cache_key key;

    assert_true(cache_key_init(&key, name, type));
    cache_put(cache, &key, answer, now);
    dns_answer_unref(answer);
}

/* When the cached answer expires; -1 when there is none. */
static int64_t find(struct cache *cache, const char *name, enum dns_type type, int64_t now)
{
    struct cache_key key;

    assert_true(cache_key_init(&key, name, type));
    const struct dns_answer *answer = cache_find(cache, &key, now, true);
    int64_t expires = answer ? answer->expires : -1;

    dns_answer_unref(answer);
    return expires;
}

static void keeps(void **state)
{
    struct cache *cache = cache_new(ROOM);
    struct cache_counters counters;

    (void)state;
    put(cache, "a.example", DNS_A, LATER, 0);
    put(cache, "a.example", DNS_MX, LATER + 1, 0);
    assert_int_equal(find(cache, "a.example", DNS_A, 0), LATER);
    assert_int_equal(find(cache, "A.Example.", DNS_MX, 0), LATER + 1);
    assert_int_equal(find(cache, "a.example", DNS_TXT, 0), -1);
    assert_int_equal(find(cache, "b.example", DNS_A, 0), -1);
    put(cache, "a.example", DNS_A, LATER + 2, 0);
    assert_int_equal(find(cache, "a.example", DNS_A, 0), LATER + 2);
    cache_count(cache, &counters);
    assert_int_equal(counters.asked, 5);
    assert_int_equal(counters.hits, 3);
    assert_int_equal(counters.entries, 2);
    cache_flush(cache);
    assert_int_equal(find(cache, "a.example", DNS_MX, 0), -1);
    cache_count(cache, &counters);
    assert_int_equal(counters.entries, 0);
    assert_int_equal(counters.bytes, 0);
    cache_free(cache);
}

static void expires(void **state)
{
    struct cache *cache = cache_new(ROOM);
    struct cache_counters counters;

    (void)state;
    put(cache, "a.example", DNS_A, LATER, 0);
    assert_int_equal(find(cache, "a.example", DNS_A, LATER - 1), LATER);
    assert_int_equal(find(cache, "a.example", DNS_A, LATER), -1);
    cache_count(cache, &counters);
    assert_int_equal(counters.entries, 0);
    put(cache, "b.example", DNS_A, LATER, LATER);
    assert_int_equal(find(cache, "b.example", DNS_A, 0), -1);
    cache_free(cache);
}

/* Many more than fit: the bound holds, and what is asked for all the time stays. */
static void bounded(void **state)
{
    enum { BOUND = 256 * 1024, MANY = 20000 };
    struct cache *cache = cache_new(BOUND);
    struct cache_counters counters;
    char name[64];
    int kept = 0;

    (void)state;
    put(cache, "hot.example", DNS_A, LATER, 0);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "n%d.example", i);
        put(cache, name, DNS_A, LATER, 0);
        assert_int_equal(find(cache, "hot.example", DNS_A, 0), LATER);
        cache_count(cache, &counters);
        assert_true(counters.bytes <= BOUND);
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "n%d.example", i);
        kept += find(cache, name, DNS_A, 0) == LATER;
    }
    assert_int_equal(kept + 1, counters.entries);
    /* Most of the room is used, by the newest. */
    assert_true(counters.bytes > BOUND * 9 / 10);
    assert_int_equal(find(cache, name, DNS_A, 0), LATER);
    assert_int_equal(find(cache, "n0.example", DNS_A, 0), -1);
    cache_free(cache);
}

static void too_large(void **state)
{
    static char text[40000];
    struct dns_record record = {.text = text, .length = sizeof(text)};
    struct dns_answer draft = {.status = DNS_FOUND,
                               .name = "a.example",
                               .type = DNS_TXT,
                               .expires = LATER,
                               .count = 1,
                               .records = &record};
    const struct dns_answer *answer = dns_answer_new(&draft);
    struct cache *small = cache_new(16 * 20000), *nothing = cache_new(0);
    struct cache_key key;

    (void)state;
    assert_true(cache_key_init(&key, "a.example", DNS_TXT));
    cache_put(small, &key, answer, 0);
    cache_put(nothing, &key, answer, 0);
    assert_int_equal(find(small, "a.example", DNS_TXT, 0), -1);
    put(nothing, "a.example", DNS_A, LATER, 0);
    assert_int_equal(find(nothing, "a.example", DNS_A, 0), -1);
    assert_true(answer_bytes(answer) >= sizeof(text));
    dns_answer_unref(answer);
    cache_free(small);
    cache_free(nothing);
}

enum { THREADS = 4, ROUNDS = 20000, NAMES = 500 };

static void *use(void *arg)
{
    struct cache *cache = arg;
    char name[64];

    for (int i = 0; i < ROUNDS; i++) {
        snprintf(name, sizeof(name), "n%d.example", i * 7919 % NAMES);
        if (i % 3 == 0)
            put(cache, name, DNS_A, i % 100 + 1, 0);
        else if (find(cache, name, DNS_A, i % 100) > 100)
            return arg;
        if (i % 5000 == 0)
            cache_flush(cache);
    }
    return NULL;
}

static void threads(void **state)
{
    struct cache *cache = cache_new(64 * 1024);
    pthread_t ids[THREADS];
    struct cache_counters counters;

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&ids[i], NULL, use, cache), 0);
    for (int i = 0; i < THREADS; i++) {
        void *wrong;

        pthread_join(ids[i], &wrong);
        assert_null(wrong);
    }
    cache_flush(cache);
    cache_count(cache, &counters);
    assert_int_equal(counters.bytes, 0);
    assert_int_equal(counters.entries, 0);
    cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps),     cmocka_unit_test(expires), cmocka_unit_test(bounded),
        cmocka_unit_test(too_large), cmocka_unit_test(threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
