/* SPDX-License-Identifier: MIT */
#include <postern/arena.h>
#include <postern/audit.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define PREFIX "Nov 22 05:15:23 mx postern[24]: "

static const struct {
    const char *line;
    size_t count;
    const char *key, *value; /* of the last field */
} rows[] = {
    {"id=ABC234 verdict=reject", 2, "verdict", "reject"},
    {"id=ABC234 reply=\"550 5.1.1 no\"", 2, "reply", "550 5.1.1 no"},
    {"id=ABC234 helo=\"a\\\"b\\\\c\\x0ad\"", 2, "helo", "a\"b\\c\nd"},
    {"id=ABC234 helo=\"\"", 2, "helo", ""},
    {"id=ABC234 rule=\n", 2, "rule", ""},
    {PREFIX "id=ABC234 verdict=accept\n", 2, "verdict", "accept"},
    {"2026-11-22T05:15:23.041+00:00 postern[24]: id=ABC234 stage=rcpt", 2, "stage", "rcpt"},
    {PREFIX "info: table users: 2 entries", 0, NULL, NULL},
    /* A recipient that Postfix refuses and tells of. */
    {"Nov 22 05:15:23 mx postfix/smtpd[7]: NOQUEUE: reject: <x=]: id=ABC234 verdict=accept "
     "y=\"@example.org>: User unknown; to=<\"x=]: id=ABC234 verdict=accept y=\\\"\"@example.org> "
     "helo=<x>",
     0, NULL, NULL},
    {"verdict=reject id=ABC234", 0, NULL, NULL},
    {"id=ABC234 helo=\"never ends", 0, NULL, NULL},
    {"id=ABC234 broken", 0, NULL, NULL},
    {"", 0, NULL, NULL},
};

static void test_rows(void **state)
{
    struct arena *arena = arena_new();
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct audit_field fields[8];
        size_t count = audit_parse(arena, rows[i].line, fields, 8);
        if (count != rows[i].count)
            fail_msg("row %zu: %zu fields", i, count);
        if (count == 0)
            continue;
        assert_string_equal(fields[0].key, "id");
        assert_string_equal(fields[0].value, "ABC234");
        assert_string_equal(fields[count - 1].key, rows[i].key);
        assert_string_equal(fields[count - 1].value, rows[i].value);
    }
    arena_free(arena);
}

/* What is written is read back, whatever bytes it has. */
static void test_round_trip(void **state)
{
    struct arena *arena = arena_new();
    uint32_t random = 42;
    (void)state;
    for (int round = 0; round < 20000; round++) {
        char value[40];
        random = random * 1664525 + 1013904223;
        size_t length = (random >> 16) % (sizeof(value) - 1);
        for (size_t i = 0; i < length; i++) {
            random = random * 1664525 + 1013904223;
            /* Mostly what has a meaning in a record. */
            value[i] = (random >> 8) % 3 == 0 ? "\"\\ =x\n]:"[(random >> 16) % 8]
                                              : (char)(1 + (random >> 16) % 255);
        }
        value[length] = '\0';
        const struct audit_field out[] = {{"id", "ABC234"}, {"helo", value}, {"rule", value}};
        struct audit_field in[8];
        arena_reset(arena);
        const char *line = audit_line(arena, out, 3);
        assert_int_equal(audit_parse(arena, line, in, 8), 3);
        assert_string_equal(in[1].value, value);
        assert_string_equal(in[2].value, value);
        /* No more fields than there is room for. */
        assert_int_equal(audit_parse(arena, line, in, 2), 2);
    }
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
