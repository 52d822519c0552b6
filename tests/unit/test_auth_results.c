/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <postern/arena.h>
#include <postern/str.h>

#include "../../src/checks/auth_results.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* "id | method=result(reason) type.name=value ... | ..." */
static const char *show(struct arena *arena, const struct auth_results *results)
{
    struct str out = {0};
    const char *text;
    size_t i, j;

    str_add(&out, results->id);
    for (i = 0; i < results->count; i++) {
        const struct auth_result *result = &results->results[i];

        str_add_format(&out, " | %s=%s", result->method, result->result);
        if (result->reason[0] != '\0')
            str_add_format(&out, "(%s)", result->reason);
        for (j = 0; j < result->property_count; j++)
            str_add_format(&out, " %s.%s=%s", result->properties[j].type,
                           result->properties[j].name, result->properties[j].value);
    }
    text = arena_strdup(arena, str_text(&out));
    str_free(&out);
    return text;
}

static void test_read(void **state)
{
    static const struct {
        const char *text;
        bool good;
        const char *shown;
    } rows[] = {
        /* RFC 8601 appendix B, and what large receivers write */
        {" example.org 1; none", true, "example.org"},
        {" example.com;\n  spf=pass smtp.mailfrom=example.net", true,
         "example.com | spf=pass smtp.mailfrom=example.net"},
        {" example.com; auth=pass (cram-md5)\n smtp.auth=sender@example.net; spf=pass "
         "smtp.mailfrom=example.net",
         true,
         "example.com | auth=pass smtp.auth=sender@example.net | spf=pass "
         "smtp.mailfrom=example.net"},
        {" foo.example.net (foobar) 1 (baz);\n    dkim (Because I like it) / 1 (One yay) = (wait "
         "for it) fail\n      policy (A dot can go here) . (like that) expired\n      (this "
         "surprised me) = (as I wasn't expecting it) 1362471462",
         true, "foo.example.net | dkim=fail policy.expired=1362471462"},
        {"mx.google.com;\n dkim=pass header.i=@a.example header.s=s header.b=\"ab/c=\";\n spf=pass "
         "(google.com: domain of x+y=z@a.example designates 192.0.2.1 as permitted sender) "
         "smtp.mailfrom=\"x+y=z@a.example\";\n dmarc=pass (p=REJECT sp=REJECT dis=NONE) "
         "header.from=a.example",
         true,
         "mx.google.com | dkim=pass header.i=@a.example header.s=s header.b=ab/c= | spf=pass "
         "smtp.mailfrom=x+y=z@a.example | dmarc=pass header.from=a.example"},
        {" spf=pass (sender IP is 192.0.2.1)\n smtp.mailfrom=a.example; dkim=none (message not "
         "signed)\n header.d=none;dmarc=pass action=none\n header.from=a.example;compauth=pass "
         "reason=100",
         true,
         " | spf=pass smtp.mailfrom=a.example | dkim=none header.d=none | dmarc=pass .action=none "
         "header.from=a.example | compauth=pass(100)"},
        {"x; DKIM=Pass reason=\"good; dmarc=pass\" Header.D=A.example", true,
         "x | dkim=pass(good; dmarc=pass) header.d=A.example"},
        {"\"quoted \\\"id\\\"\" 1; spf=none", true, "quoted \"id\" | spf=none"},
        {"x; spf=pass smtp.mailfrom=\"a;b\"@c.example; dkim=none", true,
         "x | spf=pass smtp.mailfrom=a;b@c.example | dkim=none"},
        /* hidden in comments and quotes */
        {"x; spf=fail (; dmarc=pass)", true, "x | spf=fail"},
        {"x; spf=fail (a (b) ; dmarc=pass \\) ; dmarc=pass)", true, "x | spf=fail"},
        {"x; spf=fail reason=\"; dmarc=pass\"", true, "x | spf=fail(; dmarc=pass)"},
        {"x; spf=fail foo\"; dmarc=pass\"", true, "x | spf=fail"},
        {"x \"; dmarc=pass\"; spf=fail", true, "x | spf=fail"},
        {"x (; dmarc=pass); spf=fail", true, "x | spf=fail"},
        /* broken ones */
        {"", true, ""},
        {" ", true, ""},
        {";;;", true, ""},
        {"x", true, "x"},
        {"x;", true, "x"},
        {"x; =pass", true, "x"},
        {"x; dmarc", true, "x"},
        {"x; dmarc=", true, "x"},
        {"x; dmarc==pass", true, "x"},
        {"x; dmarc=pass@y", true, "x"},
        {"x; dmarc=\"pass\"", true, "x"},
        {"x; dmarc.x=pass", true, "x"},
        {"x; spf=pass junk; dmarc=pass", true, "x | spf=pass | dmarc=pass"},
        {"x; spf=pass a.b; dmarc=pass", true, "x | spf=pass | dmarc=pass"},
        {"x; spf=pass a.=1 dmarc=pass", true, "x | spf=pass a.=1 .dmarc=pass"},
        {"x; spf=pass (no end; dmarc=pass", false, "x"},
        {"x; spf=pass reason=\"no end; dmarc=pass", false, "x"},
        {"x; spf=pass; dkim=pass (", false, "x | spf=pass"},
        {"(no end x; spf=pass", false, ""},
        {"\"no end", false, "no end"},
        {"x; spf=pass (a\\", false, "x"},
        {"x; spf=pass reason=\"a\\", false, "x"},
    };
    struct arena *arena = arena_new();
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        struct auth_results results;
        bool good = auth_results_read(arena, rows[i].text, &results);

        if (good != rows[i].good || strcmp(show(arena, &results), rows[i].shown) != 0)
            fail_msg("row %zu: %d '%s', not '%s'", i, good, show(arena, &results), rows[i].shown);
        assert_false(results.cut);
    }
    arena_free(arena);
}

static void test_say(void **state)
{
    static const struct {
        const char *text;
        bool said;
    } rows[] = {
        {"x; dmarc=pass", true},
        {"x; spf=fail; DMARC=PASS (p=none)", true},
        {"x; dmarc=fail", false},
        {"x; none", false},
        {"x; spf=pass", false},
        {"x; dmarc=pass; dmarc=fail", false},
        {"x; dmarc=fail; dmarc=pass", false},
        {"x; dmarc=pass; dmarc=pass", true},
        {"x; xdmarc=pass", false},
        {"x; dmarc=passed", false},
        {"x; spf=fail (dmarc=pass)", false},
        {"dmarc=pass", true},
        {"x dmarc=pass", false},
    };
    struct arena *arena = arena_new();
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        struct auth_results results;

        assert_true(auth_results_read(arena, rows[i].text, &results));
        if (auth_results_say(&results, "dmarc", "pass") != rows[i].said)
            fail_msg("row %zu: '%s'", i, rows[i].text);
    }
    arena_free(arena);
}

static void test_claim(void **state)
{
    static const struct {
        const char *text, *id;
        bool ours;
    } rows[] = {
        {" mx.example.org; spf=pass", "mx.example.org", true},
        {"mx.example.org", "mx.example.org", true},
        {"\n\tMX.Example.ORG\n; none", "mx.example.org", true},
        {"mx.example.org 99; none", "mx.example.org", true},
        {"mx.example.org.; none", "mx.example.org", true},
        {"\"mx.example.org\"; none", "mx.example.org", true},
        {"\"mx.\\example.org\"; none", "mx.example.org", true},
        {"(x) mx.example.org(y); none", "mx.example.org", true},
        {"(a \\) (b) c) mx.example.org; none", "mx.example.org", true},
        {"mx.example.org(no end", "mx.example.org", true},
        {"\"mx.example.org", "mx.example.org", true},
        {"mx.example.org/1; none", "mx.example.org", true},
        {"mx.example.org@evil.example; none", "mx.example.org", true},
        {"mx.example.org spf=pass", "mx.example.org", true},
        {"b\xc3\xbc"
         "cher.example; none",
         "xn--bcher-kva.example", true},
        {"xn--bcher-kva.example; none",
         "b\xc3\xbc"
         "cher.example",
         true},
        {"my host; none", "my", true}, /* an id need not be a domain */
        {"example.org; none", "mx.example.org", false},
        {"xmx.example.org; none", "mx.example.org", false},
        {"mx.example.org.evil.example; none", "mx.example.org", false},
        {"(mx.example.org) evil.example; none", "mx.example.org", false},
        {"evil.example; mx.example.org", "mx.example.org", false},
        {"spf=pass; mx.example.org", "mx.example.org", false},
        {"", "mx.example.org", false},
        {";", "mx.example.org", false},
        {"", "", false},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++)
        if (auth_results_claim(rows[i].text, rows[i].id) != rows[i].ours)
            fail_msg("row %zu: '%s'", i, rows[i].text);
}

static void test_instance(void **state)
{
    static const struct {
        const char *text;
        unsigned instance;
        const char *rest;
    } rows[] = {
        {" i=1; mx; none", 1, "mx; none"},
        {"i=50;x", 50, "x"},
        {"\n\t(a) i (b) = (c) 07 (d) ; x", 7, "x"},
        {"i=1", 0, NULL},
        {"i=;x", 0, NULL},
        {"i=100;x", 0, NULL},
        {"i=0;x", 0, NULL},
        {"i=-1;x", 0, NULL},
        {"i=1x;x", 0, NULL},
        {"I=1;x", 0, NULL},
        {"x; i=1;", 0, NULL},
        {"(i=1;", 0, NULL},
        {"", 0, NULL},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        const char *rest = NULL;
        unsigned instance = auth_results_instance(rows[i].text, &rest);

        if (instance != rows[i].instance)
            fail_msg("row %zu: %u", i, instance);
        if (instance != 0)
            assert_string_equal(rest, rows[i].rest);
    }
}

/* However many there are, what is kept is bounded, and the rest is not silently left out. */
static void test_limits(void **state)
{
    struct arena *arena = arena_new();
    struct auth_results results;
    struct str text = {0};
    size_t i;

    (void)state;
    str_add(&text, "x");
    for (i = 0; i < AUTH_RESULTS_MAX; i++)
        str_add(&text, "; dkim=pass \"a\" b");
    assert_true(auth_results_read(arena, str_text(&text), &results));
    assert_int_equal(results.count, AUTH_RESULTS_MAX);
    assert_false(results.cut);
    for (i = 0; i < 20000; i++)
        str_add(&text, "; dkim=fail \"a\" b");
    arena_reset(arena);
    assert_true(auth_results_read(arena, str_text(&text), &results));
    assert_int_equal(results.count, AUTH_RESULTS_MAX);
    assert_true(results.cut);
    assert_in_range(arena_used(arena), 1, 4 * text.length + 100 * sizeof(*results.results));
    str_clear(&text);
    str_add(&text, "x; dkim=pass");
    for (i = 0; i < AUTH_PROPERTIES_MAX + 1; i++)
        str_add(&text, " header.d=x");
    str_add(&text, "; spf=pass");
    assert_true(auth_results_read(arena, str_text(&text), &results));
    assert_int_equal(results.count, 2);
    assert_int_equal(results.results[0].property_count, AUTH_PROPERTIES_MAX);
    assert_true(results.cut);
    str_clear(&text);
    for (i = 0; i < 100000; i++)
        str_add_char(&text, '(');
    assert_false(auth_results_read(arena, str_text(&text), &results));
    str_free(&text);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),   cmocka_unit_test(test_say),
        cmocka_unit_test(test_claim),  cmocka_unit_test(test_instance),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
