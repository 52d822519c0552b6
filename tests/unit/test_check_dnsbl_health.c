/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../src/checks/checks_private.h"
#include "../../src/checks/dnsbl_health.h"
#include "probe_bench.h"

#define LENGTH(rows) (sizeof(rows) / sizeof((rows)[0]))

enum { MINUTE = 60 * 1000 };

static const struct dnsbl_range two = {{127, 0, 0, 2}, {127, 0, 0, 11}};
static const struct dnsbl_ranges own = {&two, 1};

/* ---- the log ---- */

/* What goes to standard error is kept for the test to count. */
struct log_capture {
    int saved;
    FILE *file;
    char text[8192];
};

static void capture_start(struct log_capture *capture)
{
    capture->file = tmpfile();
    assert_non_null(capture->file);
    fflush(stderr);
    capture->saved = dup(STDERR_FILENO);
    dup2(fileno(capture->file), STDERR_FILENO);
}

static const char *capture_stop(struct log_capture *capture)
{
    ssize_t length;

    dup2(capture->saved, STDERR_FILENO);
    close(capture->saved);
    length = pread(fileno(capture->file), capture->text, sizeof(capture->text) - 1, 0);
    capture->text[length < 0 ? 0 : length] = '\0';
    fclose(capture->file);
    return capture->text;
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;

    for (; (text = strstr(text, part)) != NULL; text += strlen(part))
        count++;
    return count;
}

/* ---- rows ---- */

static struct bench *new_bench(void)
{
    struct bench *bench = bench_new(&check_dnsbl, NULL, "", NULL);

    assert_string_equal(bench_problems(bench), "");
    return bench;
}

static void tick(struct bench *bench, struct dnsbl_health *health, int64_t now, bool at_once,
                 const struct bench_answer *dns)
{
    bench_dns(bench, dns);
    dnsbl_health_tick(health, bench_struct_dns(bench, at_once), now);
    bench_deliver(bench);
}

static void test_verdicts(void **state)
{
    static const struct {
        unsigned tests;
        struct bench_answer dns[5];
        enum dnsbl_state state;
        const char *log; /* "": nothing */
    } rows[] = {
        {DNSBL_TEST_IP, {{"2.0.0.127.z.test", DNS_A, "127.0.0.2"}}, DNSBL_ALIVE, ""},
        /* Any code of a listing will do. */
        {DNSBL_TEST_IP, {{"2.0.0.127.z.test", DNS_A, "127.0.0.99"}}, DNSBL_ALIVE, ""},
        {DNSBL_TEST_IP,
         {{"2.0.0.127.z.test", DNS_A, "127.0.0.2, 127.0.0.4"},
          {"1.0.0.127.z.test", DNS_A, "!nodata"}},
         DNSBL_ALIVE,
         ""},
        /* Emptied. */
        {DNSBL_TEST_IP, {{0}}, DNSBL_ASIDE, "does not list 127.0.0.2"},
        {DNSBL_TEST_IP,
         {{"2.0.0.127.z.test", DNS_A, "!nodata"}},
         DNSBL_ASIDE,
         "does not list 127.0.0.2"},
        /* Lists the world. */
        {DNSBL_TEST_IP,
         {{"2.0.0.127.z.test", DNS_A, "127.0.0.2"}, {"1.0.0.127.z.test", DNS_A, "127.0.0.2"}},
         DNSBL_ASIDE,
         "lists 127.0.0.1"},
        /* A wildcard in a lapsed domain. */
        {DNSBL_TEST_IP,
         {{"2.0.0.127.z.test", DNS_A, "198.51.100.7"}, {"1.0.0.127.z.test", DNS_A, "198.51.100.7"}},
         DNSBL_ASIDE,
         "answers 198.51.100.7"},
        /* Refuses this resolver. */
        {DNSBL_TEST_IP,
         {{"2.0.0.127.z.test", DNS_A, "127.255.255.254"}},
         DNSBL_ASIDE,
         "answers 127.255.255.254"},
        {DNSBL_TEST_IP,
         {{"2.0.0.127.z.test", DNS_A, "127.0.0.1"}},
         DNSBL_ASIDE,
         "answers 127.0.0.1"},
        /* What cannot be found out changes nothing. */
        {DNSBL_TEST_IP,
         {{"2.0.0.127.z.test", DNS_A, "!fault"}},
         DNSBL_UNTRIED,
         "could not be tested"},
        {DNSBL_TEST_IP,
         {{"2.0.0.127.z.test", DNS_A, "127.0.0.2"}, {"1.0.0.127.z.test", DNS_A, "!fault"}},
         DNSBL_UNTRIED,
         "could not be tested"},
        /* One wrong answer is enough, whatever the other. */
        {DNSBL_TEST_IP,
         {{"2.0.0.127.z.test", DNS_A, "!fault"}, {"1.0.0.127.z.test", DNS_A, "127.0.0.2"}},
         DNSBL_ASIDE,
         "lists 127.0.0.1"},
        /* Names. */
        {DNSBL_TEST_NAME, {{"test.z.test", DNS_A, "127.0.0.2"}}, DNSBL_ALIVE, ""},
        {DNSBL_TEST_NAME, {{0}}, DNSBL_ASIDE, "does not list TEST"},
        {DNSBL_TEST_NAME,
         {{"test.z.test", DNS_A, "127.0.0.2"}, {"invalid.z.test", DNS_A, "127.0.0.2"}},
         DNSBL_ASIDE,
         "lists INVALID"},
        {DNSBL_TEST_IP | DNSBL_TEST_NAME,
         {{"2.0.0.127.z.test", DNS_A, "127.0.0.2"}, {"test.z.test", DNS_A, "127.0.0.2"}},
         DNSBL_ALIVE,
         ""},
        {DNSBL_TEST_IP | DNSBL_TEST_NAME,
         {{"2.0.0.127.z.test", DNS_A, "127.0.0.2"}},
         DNSBL_ASIDE,
         "does not list TEST"},
        /* Nothing to test. */
        {0, {{0}}, DNSBL_ALIVE, ""},
    };
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows) * 2; i++) {
        struct bench *bench = new_bench();
        struct dnsbl_health *health = dnsbl_health_new();
        struct log_capture capture;
        const char *log;

        assert_int_equal(dnsbl_health_add(health, "z.test", "zen", rows[i / 2].tests, &own), 0);
        capture_start(&capture);
        tick(bench, health, 0, i % 2 == 0, rows[i / 2].dns);
        log = capture_stop(&capture);
        if (dnsbl_health_state(health, 0) != rows[i / 2].state)
            fail_msg("row %zu: state %d, %s", i / 2, (int)dnsbl_health_state(health, 0), log);
        if (rows[i / 2].log[0] == '\0' ? log[0] != '\0' : strstr(log, rows[i / 2].log) == NULL)
            fail_msg("row %zu: log '%s'", i / 2, log);
        dnsbl_health_unref(health);
        bench_free(bench);
    }
}

/* When a list is asked, what it becomes, and that each change is one line in the log. */
static void test_course(void **state)
{
    static const struct bench_answer good[] = {{"2.0.0.127.z.test", DNS_A, "127.0.0.2"}, {0}};
    static const struct bench_answer dead[] = {{0}};
    static const struct bench_answer fault[] = {{"2.0.0.127.z.test", DNS_A, "!fault"}, {0}};
    static const struct {
        int64_t now; /* in minutes */
        const struct bench_answer *dns;
        bool asked;
        enum dnsbl_state state;
        const char *log;
    } rows[] = {
        {0, good, true, DNSBL_ALIVE, ""},
        {1, dead, false, DNSBL_ALIVE, ""},
        {14, dead, false, DNSBL_ALIVE, ""},
        {15, good, true, DNSBL_ALIVE, ""},
        {30, dead, true, DNSBL_ASIDE, "SET ASIDE"},
        {30, dead, false, DNSBL_ASIDE, ""},
        {31, dead, true, DNSBL_ASIDE, ""},
        {32, fault, true, DNSBL_ASIDE, "could not be tested"},
        {33, fault, true, DNSBL_ASIDE, ""},
        {34, good, true, DNSBL_ALIVE, "taken back"},
        {35, good, false, DNSBL_ALIVE, ""},
        {49, fault, true, DNSBL_ALIVE, "could not be tested"},
        {50, good, true, DNSBL_ALIVE, "answers its test entries again"},
        {65, good, true, DNSBL_ALIVE, ""},
    };
    struct bench *bench = new_bench();
    struct dnsbl_health *health = dnsbl_health_new();
    size_t i;

    (void)state;
    dnsbl_health_add(health, "z.test", "zen", DNSBL_TEST_IP, &own);
    assert_int_equal(dnsbl_health_state(health, 0), DNSBL_UNTRIED);
    for (i = 0; i < LENGTH(rows); i++) {
        struct log_capture capture;
        const char *log;

        capture_start(&capture);
        tick(bench, health, rows[i].now * MINUTE, false, rows[i].dns);
        log = capture_stop(&capture);
        if ((bench_asked(bench)[0] != '\0') != rows[i].asked)
            fail_msg("row %zu: asked '%s'", i, bench_asked(bench));
        if (dnsbl_health_state(health, 0) != rows[i].state)
            fail_msg("row %zu: state %d", i, (int)dnsbl_health_state(health, 0));
        if (count_of(log, "\n") != (rows[i].log[0] != '\0') || strstr(log, rows[i].log) == NULL)
            fail_msg("row %zu: log '%s'", i, log);
    }
    dnsbl_health_unref(health);
    bench_free(bench);
}

/* A reload tests at once, but says again only what has changed; other zones begin anew. */
static void test_inherit(void **state)
{
    static const struct bench_answer dead[] = {{0}};
    static const struct bench_answer good[] = {{"2.0.0.127.z.test", DNS_A, "127.0.0.2"}, {0}};
    static const struct {
        const char *zone, *label;
        const struct bench_answer *dns;
        enum dnsbl_state inherited, after;
        const char *log;
    } rows[] = {
        {"z.test", "zen", dead, DNSBL_ASIDE, DNSBL_ASIDE, ""},
        {"z.test", "zen", good, DNSBL_ASIDE, DNSBL_ALIVE, "taken back"},
        {"z.test", "other", dead, DNSBL_UNTRIED, DNSBL_ASIDE, "SET ASIDE"},
        {"y.test", "zen", dead, DNSBL_UNTRIED, DNSBL_ASIDE, "SET ASIDE"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        struct bench *bench = new_bench();
        struct dnsbl_health *before = dnsbl_health_new(), *health = dnsbl_health_new();
        struct log_capture capture;
        const char *log;

        dnsbl_health_add(before, "z.test", "zen", DNSBL_TEST_IP, &own);
        dnsbl_health_add(health, "unrelated.test", "unrelated", 0, &own);
        dnsbl_health_add(health, rows[i].zone, rows[i].label, DNSBL_TEST_IP, &own);
        capture_start(&capture);
        tick(bench, before, 0, false, dead);
        assert_int_equal(count_of(capture_stop(&capture), "SET ASIDE"), 1);
        dnsbl_health_inherit(health, before);
        assert_int_equal(dnsbl_health_state(health, 1), rows[i].inherited);
        capture_start(&capture);
        tick(bench, health, 0, false, rows[i].dns);
        log = capture_stop(&capture);
        assert_int_equal(dnsbl_health_state(health, 1), rows[i].after);
        if (count_of(log, "\n") != (rows[i].log[0] != '\0') || strstr(log, rows[i].log) == NULL)
            fail_msg("row %zu: log '%s'", i, log);
        dnsbl_health_unref(before);
        dnsbl_health_unref(health);
        bench_free(bench);
    }
}

/* A trial that is under way is not started again; one that a session made counts as well. */
static void test_overlap(void **state)
{
    static const struct bench_answer good[] = {{"2.0.0.127.z.test", DNS_A, "127.0.0.2"}, {0}};
    struct bench *bench = new_bench();
    struct dnsbl_health *health = dnsbl_health_new();
    struct dnsbl_trial trial = {0};

    (void)state;
    dnsbl_health_add(health, "z.test", "zen", DNSBL_TEST_IP, &own);
    bench_dns(bench, good);
    dnsbl_health_tick(health, bench_struct_dns(bench, false), 0);
    assert_string_equal(bench_asked(bench), "A 2.0.0.127.z.test, A 1.0.0.127.z.test");
    dnsbl_health_tick(health, bench_struct_dns(bench, false), 20 * MINUTE);
    assert_string_equal(bench_asked(bench), "");
    assert_int_equal(dnsbl_health_state(health, 0), DNSBL_UNTRIED);

    dnsbl_health_learn(health, 0, &trial); /* open: nothing is learned */
    assert_int_equal(dnsbl_health_state(health, 0), DNSBL_UNTRIED);
    trial.tests[0] = trial.tests[1] = DNSBL_TEST_GOOD;
    dnsbl_health_learn(health, 0, &trial);
    assert_int_equal(dnsbl_health_state(health, 0), DNSBL_ALIVE);

    bench_deliver(bench);
    assert_int_equal(dnsbl_health_state(health, 0), DNSBL_ALIVE);
    dnsbl_health_unref(health);
    bench_free(bench);
}

/* The configuration goes while questions are in flight. */
static void test_late(void **state)
{
    static const struct bench_answer good[] = {{"2.0.0.127.z.test", DNS_A, "127.0.0.2"}, {0}};
    struct bench *bench = new_bench();
    struct dnsbl_health *health = dnsbl_health_new();

    (void)state;
    dnsbl_health_add(health, "z.test", "zen", DNSBL_TEST_IP, &own);
    bench_dns(bench, good);
    dnsbl_health_tick(health, bench_struct_dns(bench, false), 0);
    dnsbl_health_unref(health);
    bench_deliver(bench); /* touches freed memory if nobody held it */
    bench_free(bench);
}

struct sharing {
    struct dnsbl_health *health;
    size_t odd; /* how often the state was none of the three */
};

static void *share(void *arg)
{
    struct sharing *sharing = arg;
    struct dnsbl_trial trial = {.tests = {DNSBL_TEST_WRONG}, .problem = "of the test"};
    int i;

    for (i = 0; i < 500; i++) {
        enum dnsbl_state found = dnsbl_health_state(sharing->health, 0);

        if (found != DNSBL_UNTRIED && found != DNSBL_ALIVE && found != DNSBL_ASIDE)
            sharing->odd++;
        dnsbl_health_learn(sharing->health, 0, &trial);
    }
    return NULL;
}

/* Sessions learn and look while the tick tries; a sanitizer sees what is not locked. */
static void test_threads(void **state)
{
    static const struct bench_answer good[] = {{"2.0.0.127.z.test", DNS_A, "127.0.0.2"}, {0}};
    struct bench *bench = new_bench();
    struct sharing sharing = {.health = dnsbl_health_new()};
    struct log_capture capture;
    pthread_t thread;
    int i;

    (void)state;
    dnsbl_health_add(sharing.health, "z.test", "zen", DNSBL_TEST_IP, &own);
    bench_dns(bench, good);
    capture_start(&capture);
    assert_int_equal(pthread_create(&thread, NULL, share, &sharing), 0);
    for (i = 0; i < 500; i++)
        dnsbl_health_tick(sharing.health, bench_struct_dns(bench, true), (int64_t)i * 15 * MINUTE);
    pthread_join(thread, NULL);
    dnsbl_health_tick(sharing.health, bench_struct_dns(bench, true), (int64_t)i * 15 * MINUTE);
    capture_stop(&capture);
    assert_int_equal(sharing.odd, 0);
    assert_int_equal(dnsbl_health_state(sharing.health, 0), DNSBL_ALIVE);
    dnsbl_health_unref(sharing.health);
    bench_free(bench);
}

/* What is set aside is neither asked nor counted, and is no fault; what heals counts again. */
static void test_effect(void **state)
{
    static const char config[] = "dnsbl zen { zone z.test; listed 127.0.0.2; weight 3; }";
    static const struct bench_answer alive[] = {
        {"2.0.0.127.z.test", DNS_A, "127.0.0.2"}, {"99.2.0.192.z.test", DNS_A, "127.0.0.2"}, {0}};
    static const struct bench_answer world[] = {{"2.0.0.127.z.test", DNS_A, "127.0.0.2"},
                                                {"1.0.0.127.z.test", DNS_A, "127.0.0.2"},
                                                {"99.2.0.192.z.test", DNS_A, "127.0.0.2"},
                                                {0}};
    struct bench *bench = bench_new(&check_dnsbl, NULL, config, NULL);
    struct inputs inputs = bench_inputs();

    (void)state;
    assert_true(addr_parse("192.0.2.99", &inputs.client));
    bench_dns(bench, world);
    bench_tick(bench, true);
    assert_string_equal(bench_run(bench, "dnsbl", &inputs, false),
                        "score=0 name= reason= code= lists= faults=0");
    assert_string_equal(bench_asked(bench), "");
    bench_free(bench);

    bench = bench_new(&check_dnsbl, NULL, config, NULL);
    bench_dns(bench, alive);
    bench_tick(bench, false);
    bench_deliver(bench);
    assert_string_equal(bench_run(bench, "dnsbl", &inputs, false),
                        "score=3 name=zen reason= code=127.0.0.2 lists=zen faults=0");
    /* Its test entries are answered: they are not asked again. */
    assert_string_equal(bench_asked(bench), "A 99.2.0.192.z.test, TXT 99.2.0.192.z.test");
    bench_free(bench);
}

/* `probe` says which test entries there are; blocks that share a zone share them. */
static void test_which(void **state)
{
    static const struct {
        const char *config, *asked;
    } rows[] = {
        {"dnsbl a { zone z.test; listed 127.0.0.2; }", "A 2.0.0.127.z.test, A 1.0.0.127.z.test"},
        {"dnsbl a { zone z.test; listed 127.0.0.2; ask helo sender.domain; }",
         "A test.z.test, A invalid.z.test"},
        {"dnsbl a { zone z.test; listed 127.0.0.2; ask client.ip helo; }",
         "A 2.0.0.127.z.test, A 1.0.0.127.z.test, A test.z.test, A invalid.z.test"},
        {"dnsbl a { zone z.test; listed 127.0.0.2; probe name; }",
         "A test.z.test, A invalid.z.test"},
        {"dnsbl a { zone z.test; listed 127.0.0.2; ask helo; probe ip; }",
         "A 2.0.0.127.z.test, A 1.0.0.127.z.test"},
        {"dnsbl a { zone z.test; listed 127.0.0.2; probe none; }", ""},
        {"dnsbl a { zone z.test; listed 127.0.0.2; }"
         "dnsbl b { zone z.test; listed 127.0.0.3; ask helo; }",
         "A 2.0.0.127.z.test, A 1.0.0.127.z.test, A test.z.test, A invalid.z.test"},
        {"dnsbl a { zone z.test; listed 127.0.0.2; }"
         "dnsbl b { zone z.test; listed 127.0.0.3; probe none; }",
         "A 2.0.0.127.z.test, A 1.0.0.127.z.test"},
    };
    static const struct bench_answer good[] = {
        {"2.0.0.127.z.test", DNS_A, "127.0.0.2"}, {"test.z.test", DNS_A, "127.0.0.2"}, {0}};
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        struct bench *bench = bench_new(&check_dnsbl, NULL, rows[i].config, NULL);

        assert_string_equal(bench_problems(bench), "");
        bench_tick(bench, false);
        if (strcmp(bench_asked(bench), rows[i].asked) != 0)
            fail_msg("row %zu: asked '%s'", i, bench_asked(bench));
        bench_dns(bench, good);
        bench_deliver(bench);
        bench_free(bench);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts), cmocka_unit_test(test_course),
        cmocka_unit_test(test_inherit),  cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_late),     cmocka_unit_test(test_effect),
        cmocka_unit_test(test_which),    cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
