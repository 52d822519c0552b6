/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <postern/domain.h>

#define LENGTH(rows) (sizeof(rows) / sizeof((rows)[0]))

#define LABEL63 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"
#define LABEL61 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffg"
#define NAME253 LABEL63 "." LABEL63 "." LABEL63 "." LABEL61

static void test_canonical(void **state)
{
    /* NULL: no domain name. */
    static const struct {
        const char *text, *canonical;
    } rows[] = {
        {"example.org", "example.org"},
        {"EXAMPLE.Org", "example.org"},
        {"example.org.", "example.org"},
        {"localhost", "localhost"},
        {"_dmarc.Example.ORG", "_dmarc.example.org"},
        {"my_host.example.org", "my_host.example.org"},
        {"a-b.example.org", "a-b.example.org"},
        {"-a-.example.org", "-a-.example.org"},
        {"3com.com", "3com.com"},
        {"1.2.0.192.in-addr.arpa", "1.2.0.192.in-addr.arpa"},
        {"xn--mnchen-3ya.example", "xn--mnchen-3ya.example"},
        {"XN--MNCHEN-3YA.example", "xn--mnchen-3ya.example"},
        {"m\xc3\xbcnchen.example", "xn--mnchen-3ya.example"},
        {"M\xc3\x9cNCHEN.Example.", "xn--mnchen-3ya.example"},
        {"mu\xcc\x88nchen.example", "xn--mnchen-3ya.example"},
        /* Nontransitional: sharp s is no double s (RFC 5894 7.2). */
        {"fa\xc3\x9f.example", "xn--fa-hia.example"},
        /* UTS 46 maps the ideographic full stop and fullwidth letters. */
        {"\xef\xbd\x81\xe3\x80\x82"
         "example",
         "a.example"},
        {"_dmarc.m\xc3\xbcnchen.example", "_dmarc.xn--mnchen-3ya.example"},
        {"\xe4\xbe\x8b\xe5\xad\x90.test", "xn--fsqu00a.test"},
        {LABEL63 ".org", LABEL63 ".org"},
        {NAME253, NAME253},
        {NAME253 ".", NAME253},
        {"", NULL},
        {".", NULL},
        {"..", NULL},
        {".example.org", NULL},
        {"example..org", NULL},
        {"example.org..", NULL},
        {"a" LABEL63 ".org", NULL},
        {NAME253 "h", NULL},
        {"a." NAME253, NULL},
        {"192.0.2.1", NULL},
        {"192.0.2.1.", NULL},
        {"12345", NULL},
        {"[192.0.2.1]", NULL},
        {"2001:db8::1", NULL},
        {"exa mple.org", NULL},
        {" example.org", NULL},
        {"example.org ", NULL},
        {"example.org\n", NULL},
        {"ex@mple.org", NULL},
        {"example.org/x", NULL},
        {"*.example.org", NULL},
        {"a%b.example.org", NULL},
        {"\"example.org\"", NULL},
        {"exa\x7fmple.org", NULL},
        /* No UTF-8: a lone byte, a cut sequence, an overlong form, a surrogate. */
        {"m\xfcnchen.example", NULL},
        {"m\xc3", NULL},
        {"m\xc0\xaf.example", NULL},
        {"m\xed\xa0\x80.example", NULL},
        {"m\xc3\xbcnchen..example", NULL},
        {"m\xc3\xbcn chen.example", NULL},
        {"m\xc3\xbcn@chen.example", NULL},
        /* Fullwidth digits and dots are an address in disguise. */
        {"\xef\xbc\x91.\xef\xbc\x92.\xef\xbc\x93.\xef\xbc\x94", NULL},
        /* A right-to-left override is no letter. */
        {"m\xe2\x80\xae.example", NULL},
    };
    char out[DOMAIN_SIZE], again[DOMAIN_SIZE];
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        memset(out, 'x', sizeof(out));
        if (domain_canonical(rows[i].text, strlen(rows[i].text), out) !=
            (rows[i].canonical != NULL))
            fail_msg("row %zu: %s gives '%s'", i, rows[i].text, out);
        assert_string_equal(out, rows[i].canonical != NULL ? rows[i].canonical : "");
        if (rows[i].canonical == NULL)
            continue;
        assert_true(domain_canonical(out, strlen(out), again));
        assert_string_equal(again, out);
    }
}

static void test_length_counts(void **state)
{
    char long_text[20000];
    char out[DOMAIN_SIZE];

    (void)state;
    assert_true(domain_canonical("example.org>", 11, out));
    assert_string_equal(out, "example.org");
    assert_false(domain_canonical("a\0b.example", 11, out));
    assert_false(domain_canonical("\xc3\xbc\0b.example", 12, out));
    memset(long_text, 'a', sizeof(long_text));
    assert_false(domain_canonical(long_text, sizeof(long_text), out));
    memset(long_text, 0xc3, sizeof(long_text));
    assert_false(domain_canonical(long_text, sizeof(long_text), out));
}

static void test_within(void **state)
{
    static const struct {
        const char *name, *parent;
        bool within;
    } rows[] = {
        {"example.org", "example.org", true},
        {"a.example.org", "example.org", true},
        {"a.b.example.org", "example.org", true},
        {"badexample.org", "example.org", false},
        {"example.org", "a.example.org", false},
        {"org", "example.org", false},
        {"example.org", "org", true},
        {"example.org", "", false},
        {"", "", false},
        {"", "org", false},
        {"example.org.net", "example.org", false},
    };
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        if (domain_within(rows[i].name, rows[i].parent) != rows[i].within)
            fail_msg("row %zu: %s within %s", i, rows[i].name, rows[i].parent);
    }
}

static void test_parent_and_labels(void **state)
{
    (void)state;
    assert_string_equal(domain_parent("a.example.org"), "example.org");
    assert_string_equal(domain_parent("example.org"), "org");
    assert_null(domain_parent("org"));
    assert_null(domain_parent(""));
    assert_int_equal(domain_labels(""), 0);
    assert_int_equal(domain_labels("org"), 1);
    assert_int_equal(domain_labels("a.example.org"), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_length_counts),
        cmocka_unit_test(test_within),
        cmocka_unit_test(test_parent_and_labels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
