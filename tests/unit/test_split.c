/* SPDX-License-Identifier: MIT */
#include "../../src/engine/engine_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct addr address(const char *text)
{
    struct addr addr;

    assert_true(addr_parse(text, &addr));
    return addr;
}

struct row {
    const char *client, *sender;
    int64_t now;
    bool known;
};

/* Noted at 1,000 for 500: 192.0.2.7 a@example.com, 2001:db8:1:2::7 a@example.com, 192.0.2.7 "". */
static const struct row rows[] = {
    {"192.0.2.7", "a@example.com", 1000, true},
    {"192.0.2.250", "A@EXAMPLE.com", 1499, true},
    {"192.0.2.7", "a@example.com", 1500, false},
    {"192.0.3.7", "a@example.com", 1000, false},
    {"192.0.2.7", "b@example.com", 1000, false},
    {"192.0.2.7", "", 1000, true},
    {"2001:db8:1:2:ffff::", "a@example.com", 1000, true},
    {"2001:db8:1:3::7", "a@example.com", 1000, false},
};

static void remembers_networks_and_senders(void **state)
{
    struct split_memory *memory = split_new(10);
    struct addr v4 = address("192.0.2.7"), v6 = address("2001:db8:1:2::7");

    (void)state;
    split_note(memory, &v4, "a@example.com", 1000, 500);
    split_note(memory, &v6, "a@example.com", 1000, 500);
    split_note(memory, &v4, "", 1000, 500);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct addr client = address(rows[i].client);
        if (split_known(memory, &client, rows[i].sender, rows[i].now) != rows[i].known)
            fail_msg("row %zu", i);
    }
    split_free(memory);
}

static const char *sender_of(int number)
{
    static char text[32];

    snprintf(text, sizeof(text), "s%d@example.com", number);
    return text;
}

static void the_oldest_makes_room(void **state)
{
    enum { ROOM = 100, ALL = 1000 };
    struct split_memory *memory = split_new(ROOM);
    struct addr client = address("192.0.2.7");

    (void)state;
    for (int i = 0; i < ALL; i++) {
        split_note(memory, &client, sender_of(i), i, ALL);
        assert_true(split_count(memory) <= ROOM);
    }
    for (int i = 0; i < ALL; i++)
        assert_int_equal(split_known(memory, &client, sender_of(i), ALL - 1), i >= ALL - ROOM);
    split_free(memory);
}

static void what_is_over_is_forgotten(void **state)
{
    struct split_memory *memory = split_new(10);
    struct addr client = address("192.0.2.7");

    (void)state;
    for (int i = 0; i < 5; i++)
        split_note(memory, &client, sender_of(i), i, 100);
    /* Noted again: it lasts longer, and is counted once. */
    split_note(memory, &client, sender_of(4), 50, 100);
    assert_int_equal(split_count(memory), 5);
    split_expire(memory, 101);
    assert_int_equal(split_count(memory), 3);
    assert_false(split_known(memory, &client, sender_of(1), 99));
    assert_true(split_known(memory, &client, sender_of(2), 101));
    assert_true(split_known(memory, &client, sender_of(4), 149));
    split_expire(memory, 1000);
    assert_int_equal(split_count(memory), 0);
    split_free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remembers_networks_and_senders),
        cmocka_unit_test(the_oldest_makes_room),
        cmocka_unit_test(what_is_over_is_forgotten),
    };

    return cmocka_run_group_tests_name("split", tests, NULL, NULL);
}
