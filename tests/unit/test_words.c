/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <postern/arena.h>
#include <postern/words.h>

#define LENGTH(rows) (sizeof(rows) / sizeof((rows)[0]))

static void test_nearest(void **state)
{
    static const char *const words[] = {
        "spf.result", "spf.domain", "dkim.result", "dmarc.result", NULL,   "pass", "fail",
        "softfail",   "temperror",  "permerror",   "none",         "rcpt", "on",   "x",
    };
    static const struct {
        const char *wrong, *nearest; /* NULL: none */
    } rows[] = {
        {"spf.reslt", "spf.result"},
        {"spf.rseult", "spf.result"},
        {"SPF.Result", "spf.result"},
        {"spf.results", "spf.result"},
        {"spf.domian", "spf.domain"},
        {"dkm.result", "dkim.result"},
        {"dmark.result", "dmarc.result"},
        {"pas", "pass"},
        {"psas", "pass"},
        {"fial", "fail"},
        {"temperor", "temperror"},
        {"tempfail", NULL},
        {"perm-error", "permerror"},
        {"nnoe", "none"},
        {"rctp", "rcpt"},
        {"no", "on"},
        {"sender.domain", NULL},
        {"y", NULL},
        {"", NULL},
        {"zzzz", NULL},
        {"quarantine", NULL},
        {"spf.result.spf.result.spf.result.spf.result.spf.result.spf.result.spf", NULL},
    };
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        const char *got = words_nearest(rows[i].wrong, words, LENGTH(words));
        const char *want = rows[i].nearest;

        if (strcmp(got != NULL ? got : "-", want != NULL ? want : "-") != 0)
            fail_msg("%s gives %s", rows[i].wrong, got != NULL ? got : "nothing");
    }
    assert_null(words_nearest("pass", NULL, 0));
}

static void test_nearest_takes_the_best_and_then_the_first(void **state)
{
    static const char *const words[] = {"sender.names", "sender.named", "sender.name"};

    (void)state;
    assert_string_equal(words_nearest("sender.nam", words, 3), "sender.name");
    assert_string_equal(words_nearest("sender.namex", words, 2), "sender.names");
}

static void test_split(void **state)
{
    static const struct {
        const char *text;
        size_t count;
        const char *words[4];
    } rows[] = {
        {"pass fail none", 3, {"pass", "fail", "none"}},
        {"pass", 1, {"pass"}},
        {"", 0, {NULL}},
        {"   ", 0, {NULL}},
        {" a  b ", 2, {"a", "b"}},
        {"a b c d", 4, {"a", "b", "c", "d"}},
        {"a b c d e f", 4, {"a", "b", "c", "d"}},
    };
    struct arena *arena = arena_new();
    const char *words[5];
    size_t i, j;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        words[4] = "untouched";
        assert_int_equal(words_split(arena, rows[i].text, words, 4), rows[i].count);
        for (j = 0; j < rows[i].count; j++)
            assert_string_equal(words[j], rows[i].words[j]);
        assert_string_equal(words[4], "untouched");
    }
    assert_int_equal(words_split(arena, "a b", words, 0), 0);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_nearest_takes_the_best_and_then_the_first),
        cmocka_unit_test(test_split),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
