/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <postern/arena.h>
#include <postern/str.h>

#include "../../src/checks/spf_grammar.h"
#include "../../src/checks/spf_macro.h"

#define LENGTH(rows) (sizeof(rows) / sizeof((rows)[0]))

static const char *kind_name(enum spf_kind kind)
{
    static const char *const names[] = {
        [SPF_KIND_ALL] = "all", [SPF_KIND_INCLUDE] = "include", [SPF_KIND_A] = "a",
        [SPF_KIND_MX] = "mx",   [SPF_KIND_PTR] = "ptr",         [SPF_KIND_IP4] = "ip4",
        [SPF_KIND_IP6] = "ip6", [SPF_KIND_EXISTS] = "exists",   [SPF_KIND_REDIRECT] = "redirect",
        [SPF_KIND_EXP] = "exp", [SPF_KIND_OTHER] = "other",
    };
    return names[kind];
}

static void show_term(struct str *out, const struct spf_term *term)
{
    char text[ADDR_TEXT_SIZE];

    if (out->length > 0)
        str_add_char(out, ' ');
    if (term->qualifier != 0)
        str_add_char(out, term->qualifier);
    str_add(out, kind_name(term->kind));
    if (term->kind == SPF_KIND_IP4 || term->kind == SPF_KIND_IP6)
        str_add_format(out, ":%s/%u", addr_format(&term->net.addr, text), term->net.bits);
    if (term->spec_length > 0)
        str_add_format(out, "(%.*s)", (int)term->spec_length, term->spec);
    if (term->bits4 != 32 || term->bits6 != 128)
        str_add_format(out, "/%u/%u", term->bits4, term->bits6);
}

/* "+a(example.org)/24/128 -all"; after a syntax error "! " and what it is. */
static const char *read_record(struct arena *arena, const char *text, size_t length)
{
    struct str out = {0};
    struct spf_scan scan;
    struct spf_term term;
    enum spf_scan_result result;
    const char *copy;

    if (!spf_is_record(text, length))
        return "no record";
    spf_scan_begin(&scan, text, length);
    while ((result = spf_scan_next(&scan, &term)) == SPF_SCAN_TERM)
        show_term(&out, &term);
    if (result == SPF_SCAN_BAD)
        copy = arena_printf(arena, "! %.*s %s", (int)term.length, term.text, scan.problem);
    else
        copy = arena_strdup(arena, str_text(&out));
    str_free(&out);
    return copy;
}

static void test_records(void **state)
{
    static const struct {
        const char *record, *terms;
    } rows[] = {
        {"v=spf1", ""},
        {"V=SPF1 ", ""},
        {"v=spf1   -all  ", "-all"},
        {"v=spf10 -all", "no record"},
        {"v=spf1\t-all", "no record"},
        {" v=spf1 -all", "no record"},
        {"v=spf", "no record"},
        {"v=spf2.0/pra -all", "no record"},
        {"v=spf1 ALL ?All ~all +all", "+all ?all ~all +all"},
        {"v=spf1 all:", "! all: takes no argument"},
        {"v=spf1 all/8", "! all/8 takes no argument"},
        {"v=spf1 -all.", "! -all. takes no argument"},
        {"v=spf1 --all", "! --all unknown mechanism"},
        {"v=spf1 -", "! - unknown mechanism"},
        {"v=spf1 al", "! al unknown mechanism"},
        {"v=spf1 ip5:192.0.2.1", "! ip5:192.0.2.1 unknown mechanism"},
        {"v=spf1 -all\tx", "! -all\tx holds a byte that is not visible ASCII"},
        {"v=spf1 a\xc3\xb6 -all", "! a\xc3\xb6 holds a byte that is not visible ASCII"},
        {"v=spf1 -all \x7f", "! \x7f holds a byte that is not visible ASCII"},
        /* a, mx */
        {"v=spf1 a", "+a"},
        {"v=spf1 ?a/24", "?a/24/128"},
        {"v=spf1 a//64", "+a/32/64"},
        {"v=spf1 a/0//0", "+a/0/0"},
        {"v=spf1 mx/24//64", "+mx/24/64"},
        {"v=spf1 a:example.org", "+a(example.org)"},
        {"v=spf1 a:example.org./24//64", "+a(example.org.)/24/64"},
        {"v=spf1 MX:foo:bar/baz.example.com", "+mx(foo:bar/baz.example.com)"},
        {"v=spf1 mx:%{d/}", "+mx(%{d/})"},
        {"v=spf1 a/24/64", "! a/24/64 bad prefix length"},
        {"v=spf1 a//64/24", "! a//64/24 not understood behind the name"},
        {"v=spf1 a///64", "! a///64 not understood behind the name"},
        {"v=spf1 a/33", "! a/33 bad prefix length"},
        {"v=spf1 a/024", "! a/024 bad prefix length"},
        {"v=spf1 a//129", "! a//129 bad prefix length"},
        {"v=spf1 a//0128", "! a//0128 bad prefix length"},
        {"v=spf1 a/99999999999999999999", "! a/99999999999999999999 bad prefix length"},
        {"v=spf1 a/", "! a/ not understood behind the name"},
        {"v=spf1 a:", "! a: lacks a domain"},
        {"v=spf1 a:/24", "! a:/24 lacks a domain"},
        {"v=spf1 a=example.org", "other(example.org)"},
        {"v=spf1 -a=example.org", "! -a=example.org not understood behind the name"},
        {"v=spf1 a:example.org/24.", "! a:example.org/24. bad domain"},
        /* domain-spec */
        {"v=spf1 a:museum", "! a:museum bad domain"},
        {"v=spf1 a:museum.", "! a:museum. bad domain"},
        {"v=spf1 a:.museum", "+a(.museum)"},
        {"v=spf1 a:111.222.33.44", "! a:111.222.33.44 bad domain"},
        {"v=spf1 a:abc.123", "! a:abc.123 bad domain"},
        {"v=spf1 a:abc.1-3", "+a(abc.1-3)"},
        {"v=spf1 a:abc.1c3", "+a(abc.1c3)"},
        {"v=spf1 a:abc.-c", "! a:abc.-c bad domain"},
        {"v=spf1 a:abc.c-", "! a:abc.c- bad domain"},
        {"v=spf1 a:abc.c_d", "! a:abc.c_d bad domain"},
        {"v=spf1 a:abc.com..", "! a:abc.com.. bad domain"},
        {"v=spf1 a:example.com:8080", "! a:example.com:8080 bad domain"},
        {"v=spf1 a:foo.example.xn--zckzah", "+a(foo.example.xn--zckzah)"},
        {"v=spf1 a:%{d}", "+a(%{d})"},
        {"v=spf1 a:%%", "+a(%%)"},
        {"v=spf1 a:%{d}com", "! a:%{d}com bad domain"},
        {"v=spf1 a:%{d}.com", "+a(%{d}.com)"},
        {"v=spf1 a:%{d}.", "! a:%{d}. bad domain"},
        {"v=spf1 a:%", "! a:% bad domain"},
        {"v=spf1 a:x%y.com", "! a:x%y.com bad domain"},
        {"v=spf1 a:%{c}.com", "! a:%{c}.com bad domain"},
        {"v=spf1 a:%{r}.com", "! a:%{r}.com bad domain"},
        {"v=spf1 a:%{T}.com", "! a:%{T}.com bad domain"},
        /* include, exists, ptr */
        {"v=spf1 include:_spf.example.org", "+include(_spf.example.org)"},
        {"v=spf1 include", "! include lacks a domain"},
        {"v=spf1 include:", "! include: lacks a domain"},
        {"v=spf1 include:example.org/24", "! include:example.org/24 bad domain"},
        {"v=spf1 exists/24", "! exists/24 not understood behind the name"},
        {"v=spf1 exists:%{ir}.x.org", "+exists(%{ir}.x.org)"},
        {"v=spf1 ptr", "+ptr"},
        {"v=spf1 ptr:", "! ptr: lacks a domain"},
        {"v=spf1 ptr/0", "! ptr/0 not understood behind the name"},
        /* networks */
        {"v=spf1 ip4:192.0.2.1", "+ip4:192.0.2.1/32"},
        {"v=spf1 ip4:192.0.2.77/24", "+ip4:192.0.2.0/24"},
        {"v=spf1 ip4:0.0.0.0/0", "+ip4:0.0.0.0/0"},
        {"v=spf1 ip4", "! ip4 lacks a network"},
        {"v=spf1 ip4:", "! ip4: lacks a network"},
        {"v=spf1 ip4/24", "! ip4/24 lacks a network"},
        {"v=spf1 ip4=192.0.2.1", "other(192.0.2.1)"},
        {"v=spf1 ip4:192.0.2", "! ip4:192.0.2 not an IPv4 network"},
        {"v=spf1 ip4:192.0.2.01", "! ip4:192.0.2.01 not an IPv4 network"},
        {"v=spf1 ip4:192.0.2.256", "! ip4:192.0.2.256 not an IPv4 network"},
        {"v=spf1 ip4:192.0.2.1:25", "! ip4:192.0.2.1:25 not an IPv4 network"},
        {"v=spf1 ip4:192.0.2.1/33", "! ip4:192.0.2.1/33 bad prefix length"},
        {"v=spf1 ip4:192.0.2.1/032", "! ip4:192.0.2.1/032 bad prefix length"},
        {"v=spf1 ip4:192.0.2.1//32", "! ip4:192.0.2.1//32 bad prefix length"},
        {"v=spf1 ip4:192.0.2.1/", "! ip4:192.0.2.1/ bad prefix length"},
        {"v=spf1 ip4:2001:db8::1", "! ip4:2001:db8::1 not an IPv4 network"},
        {"v=spf1 ip6:2001:db8::1", "+ip6:2001:db8::1/128"},
        {"v=spf1 ip6:2001:DB8::1/32", "+ip6:2001:db8::/32"},
        {"v=spf1 ip6:::/0", "+ip6:::/0"},
        {"v=spf1 ip6:::1.1.1.1", "+ip6:::101:101/128"},
        {"v=spf1 ip6:192.0.2.1", "! ip6:192.0.2.1 not an IPv6 network"},
        {"v=spf1 ip6:2001:db8::1/129", "! ip6:2001:db8::1/129 bad prefix length"},
        {"v=spf1 ip6:[2001:db8::1]", "! ip6:[2001:db8::1] not an IPv6 network"},
        {"v=spf1 ip6::CAFE::BABE", "! ip6::CAFE::BABE not an IPv6 network"},
        {"v=spf1 ip6:2001:0db8:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001",
         "! ip6:2001:0db8:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001 not an IPv6 network"},
        /* modifiers */
        {"v=spf1 redirect=_spf.example.org", "redirect(_spf.example.org)"},
        {"v=spf1 REDIRECT=%{d2} -all", "redirect(%{d2}) -all"},
        {"v=spf1 exp=e.example.org redirect=x.example.org",
         "exp(e.example.org) redirect(x.example.org)"},
        {"v=spf1 redirect:example.org", "! redirect:example.org unknown mechanism"},
        {"v=spf1 +redirect=example.org", "! +redirect=example.org unknown mechanism"},
        {"v=spf1 redirect=", "! redirect= bad domain"},
        {"v=spf1 exp=", "! exp= bad domain"},
        {"v=spf1 exp=%{c}.example.org", "! exp=%{c}.example.org bad domain"},
        {"v=spf1 exp=a.org exp=a.org", "! exp=a.org stands twice"},
        {"v=spf1 redirect=a.org all redirect=b.org", "! redirect=b.org stands twice"},
        {"v=spf1 x-y_z.1=%{s}%%/:= -all", "other(%{s}%%/:=) -all"},
        {"v=spf1 moo= -all", "other -all"},
        {"v=spf1 moo=%a", "! moo=%a bad macro"},
        {"v=spf1 1up=x", "! 1up=x unknown mechanism"},
        {"v=spf1 =x", "! =x unknown mechanism"},
    };
    struct arena *arena = arena_new();
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        const char *found = read_record(arena, rows[i].record, strlen(rows[i].record));

        if (strcmp(found, rows[i].terms) != 0)
            fail_msg("row %zu: %s\n  found    %s\n  expected %s", i, rows[i].record, found,
                     rows[i].terms);
    }
    assert_string_equal(read_record(arena, "v=spf1 a:b.org\0 -all", 20),
                        "! a:b.org holds a byte that is not visible ASCII");
    assert_string_equal(read_record(arena, "v=spf1\0-all", 11), "no record");
    arena_free(arena);
}

static const struct spf_macro_values values = {
    .client = {.family = ADDR_IPV4, .bytes = {192, 0, 2, 3}},
    .local = "strong-bad",
    .sender_domain = "email.example.com",
    .domain = "email.example.com",
    .helo = "mx.example.com",
    .receiver = "mail.example.net",
    .validated = "mx.example.org",
    .now = 1000000000,
};

/* Most are the examples of RFC 7208 7.4. */
static void test_names(void **state)
{
    static const struct {
        const char *spec, *name;
    } rows[] = {
        {"%{s}", "strong-bad@email.example.com"},
        {"%{o}", "email.example.com"},
        {"%{d}", "email.example.com"},
        {"%{d4}", "email.example.com"},
        {"%{d3}", "email.example.com"},
        {"%{d2}", "example.com"},
        {"%{d1}", "com"},
        {"%{dr}", "com.example.email"},
        {"%{d2r}", "example.email"},
        {"%{d127}", "email.example.com"},
        {"%{d99999999999999999999R}", "com.example.email"},
        {"%{l}", "strong-bad"},
        {"%{l-}", "strong.bad"},
        {"%{lr}", "strong-bad"},
        {"%{lr-}", "bad.strong"},
        {"%{l1r-}", "strong"},
        {"%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"},
        {"%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"},
        {"%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"},
        {"%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"},
        {"%{S}", "strong-bad%40email.example.com"},
        {"%{h}.%{P1}", "mx.example.com.org"},
        {"a%%b%_c%-d.org", "a%b c%20d.org"},
        {"example.org.", "example.org"},
        {"%{o}.", "email.example.com"},
        {"%{s1@}", NULL},
        {"%{d0}", NULL},
        {"%{d00}", NULL},
        {"%{d2r2}", NULL},
        {"%{d", NULL},
        {"%{", NULL},
        {"%{}", NULL},
        {"%{x}", NULL},
        {"%d", NULL},
        {"%", NULL},
    };
    struct arena *arena = arena_new();
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        size_t length = strlen(rows[i].spec);
        bool valid = spf_macro_valid(rows[i].spec, length, SPF_MACRO_TERM);

        if (valid != (rows[i].name != NULL))
            fail_msg("row %zu: %s is%s valid", i, rows[i].spec, valid ? "" : " not");
        if (valid)
            assert_string_equal(spf_macro_name(arena, rows[i].spec, length, &values), rows[i].name);
    }
    arena_free(arena);
}

static void test_ipv6(void **state)
{
    struct spf_macro_values ipv6 = values;
    struct arena *arena = arena_new();

    (void)state;
    assert_true(addr_parse("2001:db8::cb01", &ipv6.client));
    assert_string_equal(spf_macro_name(arena, "%{ir}.%{v}._spf.%{d2}", 21, &ipv6),
                        "1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2."
                        "ip6._spf.example.com");
    assert_string_equal(spf_macro_text(arena, "%{c}", 4, &ipv6), "2001:db8::cb01");
    arena_free(arena);
}

/* RFC 7208 7.3: cut from the left, label by label, to 253. */
static void test_long_names(void **state)
{
    struct arena *arena = arena_new();
    struct str spec = {0};
    const char *name;
    unsigned i;

    (void)state;
    for (i = 0; i < 50; i++)
        str_add(&spec, "123456789.");
    str_add(&spec, "example.org");
    name = spf_macro_name(arena, spec.data, spec.length, &values);
    assert_int_equal(strlen(name), 24 * 10 + 11);
    assert_string_equal(name + 240, "example.org");
    /* Exactly 253, with and without a trailing dot, is not cut. */
    str_clear(&spec);
    for (i = 0; i < 24; i++)
        str_add(&spec, "123456789.");
    str_add(&spec, "ab.example.org");
    assert_int_equal(spec.length, 254);
    assert_int_equal(strlen(spf_macro_name(arena, spec.data + 1, 253, &values)), 253);
    assert_int_equal(strlen(spf_macro_name(arena, spec.data, 254, &values)), 254 - 10);
    str_add(&spec, ".");
    assert_int_equal(strlen(spf_macro_name(arena, spec.data + 1, 254, &values)), 253);
    assert_int_equal(strlen(spf_macro_name(arena, spec.data, 255, &values)), 254 - 10);
    /* A label that is too long leaves nothing. */
    str_clear(&spec);
    for (i = 0; i < 300; i++)
        str_add(&spec, "x");
    assert_string_equal(spf_macro_name(arena, spec.data, spec.length, &values), "");
    /* Many macros: only the end of what they come to is made. */
    str_clear(&spec);
    for (i = 0; i < 16000; i++)
        str_add(&spec, "%{s}");
    str_add(&spec, ".%{o}");
    name = spf_macro_name(arena, spec.data, spec.length, &values);
    assert_true(strlen(name) <= 253);
    assert_string_equal(name + strlen(name) - 23, "e.com.email.example.com");
    str_free(&spec);
    arena_free(arena);
}

static void test_explanations(void **state)
{
    static const struct {
        const char *text, *expanded;
    } rows[] = {
        {"See %{c} and %{r}, %{t}.", "See 192.0.2.3 and mail.example.net, 1000000000."},
        {"http://%{d}/why.html?s=%{S}&i=%{I}",
         "http://email.example.com/why.html?s=strong-bad%40email.example.com&i=192.0.2.3"},
        {"%{p}%_100%%", "mx.example.org 100%"},
        {"", ""},
        {"\xef\xbb\xbf", NULL},
        {"tab\t", NULL},
        {"%{x}", NULL},
        {"100%", NULL},
    };
    struct spf_macro_values odd = values;
    struct arena *arena = arena_new();
    struct str text = {0};
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        size_t length = strlen(rows[i].text);
        bool valid = spf_macro_valid(rows[i].text, length, SPF_MACRO_EXPLANATION);

        assert_int_equal(valid, rows[i].expanded != NULL);
        if (valid)
            assert_string_equal(spf_macro_text(arena, rows[i].text, length, &values),
                                rows[i].expanded);
    }
    for (i = 0; i < 10000; i++)
        str_add(&text, "%{o}");
    assert_int_equal(strlen(spf_macro_text(arena, text.data, text.length, &values)),
                     SPF_EXPLANATION_MAX);
    odd.local = "b\xc3\xb6"
                "b";
    assert_null(spf_macro_text(arena, "%{l}", 4, &odd));
    assert_string_equal(spf_macro_text(arena, "%{L}", 4, &odd), "b%C3%B6b");
    str_free(&text);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),      cmocka_unit_test(test_names),
        cmocka_unit_test(test_ipv6),         cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_explanations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
