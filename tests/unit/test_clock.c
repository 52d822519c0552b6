/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include <postern/clock.h>

#define LENGTH(rows) (sizeof(rows) / sizeof((rows)[0]))

static void test_monotonic(void **state)
{
    struct timespec pause = {.tv_nsec = 2000000};
    int64_t us = clock_us();
    int64_t ms = clock_ms();
    int i;

    (void)state;
    for (i = 0; i < 1000; i++) {
        int64_t now = clock_us();

        assert_true(now >= us);
        us = now;
    }
    nanosleep(&pause, NULL);
    assert_true(clock_us() >= us + 2000);
    assert_true(clock_ms() >= ms + 2);
    /* Both count from the same moment. */
    ms = clock_ms();
    us = clock_us();
    assert_true(us / 1000 >= ms);
    assert_true(clock_ms() >= us / 1000);
}

static void test_wall(void **state)
{
    time_t before = time(NULL);
    time_t now = clock_wall();

    (void)state;
    assert_true(now >= before - 1);
    assert_true(now <= time(NULL) + 1);
}

static void test_day_is_local(void **state)
{
    static const struct {
        const char *zone;
        time_t when;
        int32_t day;
    } rows[] = {
        {"UTC0", 0, 19700101},
        {"UTC0", 1798675199, 20261230},
        {"UTC0", 1798675200, 20261231},
        {"UTC0", 1798761599, 20261231},
        {"UTC0", 1798761600, 20270101},
        {"UTC0", 1709164800, 20240229},
        /* One hour east and five west of Greenwich. */
        {"CET-1", 1798761599, 20270101},
        {"EST5", 1798761600, 20261231},
    };
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        assert_int_equal(setenv("TZ", rows[i].zone, 1), 0);
        tzset();
        assert_int_equal(clock_day(rows[i].when), rows[i].day);
    }
}

static void test_parse_day(void **state)
{
    static const struct {
        const char *text;
        int32_t day;
    } rows[] = {
        {"2026-12-31", 20261231}, {"2026-01-01", 20260101}, {"2024-02-29", 20240229},
        {"2000-02-29", 20000229}, {"9999-12-31", 99991231}, {"2026-04-30", 20260430},
        {"2025-02-29", -1},       {"1900-02-29", -1},       {"2026-04-31", -1},
        {"2026-00-10", -1},       {"2026-13-10", -1},       {"2026-10-00", -1},
        {"2026-10-32", -1},       {"0000-01-01", -1},       {"26-12-31", -1},
        {"2026-1-1", -1},         {"2026/12/31", -1},       {"20261231", -1},
        {"2026-12-31 ", -1},      {" 2026-12-31", -1},      {"2026-12-3x", -1},
        {"2026-12--1", -1},       {"+026-12-31", -1},       {"", -1},
        {"tomorrow", -1},
    };
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        if (clock_parse_day(rows[i].text) != rows[i].day)
            fail_msg("%s gives %d", rows[i].text, clock_parse_day(rows[i].text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_monotonic),
        cmocka_unit_test(test_wall),
        cmocka_unit_test(test_day_is_local),
        cmocka_unit_test(test_parse_day),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
