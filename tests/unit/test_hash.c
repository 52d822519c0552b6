/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <postern/hash.h>

#define LENGTH(rows) (sizeof(rows) / sizeof((rows)[0]))

static void test_fnv(void **state)
{
    /* Published test values of FNV-1a, 64 bits. */
    static const struct {
        const char *text;
        uint64_t hash;
    } rows[] = {
        {"", UINT64_C(0xcbf29ce484222325)},
        {"a", UINT64_C(0xaf63dc4c8601ec8c)},
        {"foobar", UINT64_C(0x85944171f73967e8)},
    };
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        assert_true(hash_bytes(rows[i].text, strlen(rows[i].text), 0) == rows[i].hash);
        assert_true(hash_bytes(rows[i].text, strlen(rows[i].text), 1) != rows[i].hash);
    }
}

static void test_siphash(void **state)
{
    /* The test vectors of SipHash-2-4: key 00..0f, messages 00..length-1. */
    static const struct {
        size_t length;
        uint64_t hash;
    } rows[] = {
        {0, UINT64_C(0x726fdb47dd0e0e31)},  {1, UINT64_C(0x74f839c593dc67fd)},
        {7, UINT64_C(0xab0200f58b01d137)},  {8, UINT64_C(0x93f5f5799a932462)},
        {15, UINT64_C(0xa129ca6149be45e5)}, {63, UINT64_C(0x958a324ceb064572)},
    };
    unsigned char key[16], message[64];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(key); i++)
        key[i] = (unsigned char)i;
    for (i = 0; i < sizeof(message); i++)
        message[i] = (unsigned char)i;
    for (i = 0; i < LENGTH(rows); i++)
        assert_true(hash_keyed(key, message, rows[i].length) == rows[i].hash);
}

static void test_secret(void **state)
{
    static const unsigned char zeroes[16] = {0};

    (void)state;
    assert_true(hash_secret("abc", 3) == hash_secret("abc", 3));
    assert_true(hash_secret("abc", 3) != hash_secret("abd", 3));
    assert_true(hash_secret("abc", 3) != hash_secret("abc", 2));
    assert_true(hash_secret("abc", 3) != hash_keyed(zeroes, "abc", 3));
}

static void test_small_map(void **state)
{
    struct map *map = map_new(0);
    char key[] = "example.org";
    int one, two;

    (void)state;
    assert_int_equal(map_count(map), 0);
    assert_null(map_get(map, "example.org"));
    assert_null(map_set(map, "example.org", &one));
    assert_null(map_set(map, "", &two));
    assert_ptr_equal(map_get(map, key), &one);
    assert_ptr_equal(map_get(map, ""), &two);
    assert_null(map_get(map, "example.or"));
    assert_null(map_get(map, "Example.org"));
    assert_ptr_equal(map_set(map, key, &two), &one);
    assert_ptr_equal(map_get(map, "example.org"), &two);
    assert_int_equal(map_count(map), 2);
    map_free(map);
    map_free(NULL);
}

enum { MANY = 100000 };

static void mark(const char *key, void *value, void *arg)
{
    char(*keys)[24] = arg;
    size_t i = (size_t)((char *)value - (char *)keys) / sizeof(keys[0]);

    assert_ptr_equal(key, keys[i]);
    assert_int_not_equal(keys[i][sizeof(keys[0]) - 1], 'x');
    keys[i][sizeof(keys[0]) - 1] = 'x';
}

static void check_many(size_t expected)
{
    struct map *map = map_new(expected);
    char(*keys)[24] = calloc(MANY, sizeof(keys[0]));
    char absent[24];
    size_t i;

    assert_non_null(keys);
    for (i = 0; i < MANY; i++) {
        snprintf(keys[i], sizeof(keys[i]), "user%zu@x.org", i);
        assert_null(map_set(map, keys[i], keys[i]));
    }
    assert_int_equal(map_count(map), MANY);
    for (i = 0; i < MANY; i++) {
        assert_ptr_equal(map_get(map, keys[i]), keys[i]);
        snprintf(absent, sizeof(absent), "none%zu@x.org", i);
        assert_null(map_get(map, absent));
    }
    map_each(map, mark, keys);
    for (i = 0; i < MANY; i++)
        assert_int_equal(keys[i][sizeof(keys[0]) - 1], 'x');
    map_free(map);
    free(keys);
}

static void test_many_entries(void **state)
{
    (void)state;
    check_many(0);
    check_many(MANY / 2);
    check_many(MANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fnv),          cmocka_unit_test(test_siphash),
        cmocka_unit_test(test_secret),       cmocka_unit_test(test_small_map),
        cmocka_unit_test(test_many_entries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
