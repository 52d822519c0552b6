/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <postern/arena.h>

#include "../../src/checks/checks_private.h"
#include "probe_bench.h"

/*
 * The facts of the SPF check: which identity, what is told of the result, what happens when the DNS
 * or the time fails.  What RFC 7208 says of records is test_spf_suite.c, what strangers do with
 * them test_spf_hostile.c.
 */
#define LENGTH(rows) (sizeof(rows) / sizeof((rows)[0]))

enum { ROWS = 10 };

static struct inputs client(struct arena *arena, const char *ip, const char *helo, const char *path)
{
    struct inputs inputs = bench_inputs();

    assert_true(addr_parse(ip, &inputs.client));
    inputs.helo = helo;
    inputs.sender = mailbox_parse(arena, path);
    return inputs;
}

static struct bench *new_bench(void)
{
    return bench_new(&check_spf, NULL, "hostname mx.example.net;", NULL);
}

/* Each row, with the answers in either order. */
static void test_mail(void **state)
{
    static const struct {
        const char *ip, *path;
        struct bench_answer dns[ROWS];
        const char *facts;
    } rows[] = {
        /* the term that decided, and the way to it */
        {"192.0.2.3",
         "<bob@Example.ORG>",
         {{"example.org", DNS_TXT, "v=spf1 a/24 include:a.example.org -all"},
          {"example.org", DNS_A, "198.51.100.1"},
          {"a.example.org", DNS_TXT, "v=spf1 redirect=b.example.org"},
          {"b.example.org", DNS_TXT, "v=spf1 ip4:192.0.2.0/24 -all"}},
         "result=pass domain=example.org mechanism=ip4:192.0.2.0/24 "
         "path=include:a.example.org > redirect=b.example.org > ip4:192.0.2.0/24 "
         "explanation= lookups=3 problem="},
        {"192.0.2.3",
         "<bob@example.org>",
         {{"example.org", DNS_TXT, "v=spf1 include:a.example.org ~mx -all"},
          {"a.example.org", DNS_TXT, "v=spf1 ip4:198.51.100.0/24 -all"},
          {"example.org", DNS_MX, "10 mx1.example.org, 20 mx2.example.org"},
          {"mx1.example.org", DNS_A, "198.51.100.1"},
          {"mx2.example.org", DNS_A, "198.51.100.2, 192.0.2.3"}},
         "result=softfail domain=example.org mechanism=~mx path=~mx explanation= lookups=2 "
         "problem="},
        {"192.0.2.3",
         "<bob@example.org>",
         {{"example.org", DNS_TXT, "v=spf1 include:a.example.org"},
          {"a.example.org", DNS_TXT, "v=spf1 ip4:198.51.100.0/24 -all"}},
         "result=neutral domain=example.org mechanism=default path=default explanation= lookups=1 "
         "problem="},
        /* RFC 7208 5.5 takes these for no match; a refusal must not rest on them. */
        {"192.0.2.3",
         "<bob@example.org>",
         {{"example.org", DNS_TXT, "v=spf1 ptr -all"},
          {"3.2.0.192.in-addr.arpa", DNS_PTR, "!fault"}},
         "result=~temperror domain=example.org mechanism=~-all path=~-all explanation=~ "
         "lookups=~1..10 "
         "problem=~PTR 3.2.0.192.in-addr.arpa: SERVFAIL"},
        {"192.0.2.3",
         "<bob@example.org>",
         {{"example.org", DNS_TXT, "v=spf1 ptr ~all"},
          {"3.2.0.192.in-addr.arpa", DNS_PTR, "h.example.org, h.example.net"},
          {"h.example.org", DNS_A, "!fault"},
          {"h.example.net", DNS_A, "192.0.2.3"}},
         "result=softfail domain=example.org mechanism=~all path=~all explanation= lookups=1 "
         "problem=~A h.example.org: SERVFAIL"},
        {"192.0.2.3",
         "<bob@example.org>",
         {{"example.org", DNS_TXT, "v=spf1 exists:%{p}.x.example.org -all"},
          {"3.2.0.192.in-addr.arpa", DNS_PTR, "!fault"}},
         "result=~temperror domain=example.org mechanism=~-all path=~-all explanation=~ "
         "lookups=~1..10 "
         "problem=~PTR 3.2.0.192.in-addr.arpa: SERVFAIL"},
        {"192.0.2.3",
         "<bob@example.org>",
         {{"example.org", DNS_TXT, "v=spf1 ptr include:none.example.org -all"},
          {"3.2.0.192.in-addr.arpa", DNS_PTR, "!fault"}},
         "result=~temperror domain=example.org mechanism=~ "
         "path=~include:none.example.org explanation=~ lookups=~2..10 "
         "problem=~PTR 3.2.0.192.in-addr.arpa: SERVFAIL"},
        {"192.0.2.3",
         "<bob@example.org>",
         {{"example.org", DNS_TXT, "v=spf1 ptr ip4:192.0.2.3 -all"},
          {"3.2.0.192.in-addr.arpa", DNS_PTR, "!fault"}},
         "result=pass domain=example.org mechanism=ip4:192.0.2.3 path=ip4:192.0.2.3 explanation= "
         "lookups=1 problem="},
        {"192.0.2.3",
         "<bob@example.org>",
         {{"example.org", DNS_TXT, "v=spf1 -ptr -all"},
          {"3.2.0.192.in-addr.arpa", DNS_PTR, "h.example.net, h.example.org"},
          {"h.example.net", DNS_A, "!fault"},
          {"h.example.org", DNS_A, "192.0.2.3"}},
         "result=fail domain=example.org mechanism=-ptr path=-ptr explanation= lookups=1 problem="},
        {"2001:db8::3",
         "<bob@example.org>",
         {{"example.org", DNS_TXT, "v=spf1 ptr -all"},
          {"3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", DNS_PTR,
           "x.example.com, m.example.org"},
          {"m.example.org", DNS_AAAA, "2001:db8::3"}},
         "result=pass domain=example.org mechanism=ptr path=ptr explanation= lookups=1 problem="},
        /* explanations: of the record that fails, not of one that is included */
        {"192.0.2.3",
         "<bob@example.org>",
         {{"example.org", DNS_TXT, "v=spf1 -include:a.example.org exp=%{l}.why.%{d}"},
          {"a.example.org", DNS_TXT, "v=spf1 +all exp=wrong.example.org"},
          {"bob.why.example.org", DNS_TXT, "%{i} of %{o}, says %{r}"}},
         "result=fail domain=example.org mechanism=+all path=-include:a.example.org > +all "
         "explanation=192.0.2.3 of example.org, says mx.example.net lookups=1 problem="},
        {"192.0.2.3",
         "<bob@example.org>",
         {{"example.org", DNS_TXT, "v=spf1 -all exp=why.example.org"},
          {"why.example.org", DNS_TXT, "!fault"}},
         "result=fail domain=example.org mechanism=-all path=-all explanation= lookups=0 problem="},
        {"192.0.2.3",
         "<bob@example.org>",
         {{"example.org", DNS_TXT, "v=spf1 -all exp=why.example.org"},
          {"why.example.org", DNS_TXT, "!silent"}},
         "result=fail domain=example.org mechanism=-all path=-all explanation= lookups=0 problem="},
        {"192.0.2.3",
         "<bob@example.org>",
         {{"example.org", DNS_TXT, "v=spf1 -all exp=why.example.org"},
          {"why.example.org", DNS_TXT, "from %{p}"},
          {"3.2.0.192.in-addr.arpa", DNS_PTR, "a.example.com, b.example.org"},
          {"a.example.com", DNS_A, "192.0.2.3"},
          {"b.example.org", DNS_A, "192.0.2.3"}},
         "result=fail domain=example.org mechanism=-all path=-all explanation=from b.example.org "
         "lookups=0 problem="},
        /* none */
        {"192.0.2.3",
         "<bob@example.org>",
         {{0}},
         "result=none domain=example.org mechanism= path= explanation= lookups=0 problem="},
        {"192.0.2.3",
         "<bob@example.org>",
         {{"example.org", DNS_TXT, "v=spf10 -all"}},
         "result=none domain=example.org mechanism= path= explanation= lookups=0 problem="},
        {"192.0.2.3",
         "<bob@localhost>",
         {{"localhost", DNS_TXT, "v=spf1 -all"}},
         "result=none domain=localhost mechanism= path= explanation= lookups=0 problem="},
        {"192.0.2.3",
         "<bob@[192.0.2.3]>",
         {{0}},
         "result=none domain= mechanism= path= explanation= lookups=0 problem="},
        {"192.0.2.3",
         "bob",
         {{0}},
         "result=none domain= mechanism= path= explanation= lookups=0 problem="},
        /* RFC 7208 2.4: postmaster at the HELO identity */
        {"192.0.2.3",
         "<>",
         {{"helo.example.com", DNS_TXT, "v=spf1 exists:%{l}.%{o} -all"},
          {"postmaster.helo.example.com", DNS_A, "127.0.0.2"}},
         "result=pass domain=helo.example.com mechanism=exists:%{l}.%{o} path=exists:%{l}.%{o} "
         "explanation= lookups=1 problem="},
        /* errors */
        {"192.0.2.3",
         "<bob@example.org>",
         {{"example.org", DNS_TXT, "!fault"}},
         "result=~temperror domain=example.org mechanism=~ path=~ explanation=~ lookups=~0..10 "
         "problem=~TXT example.org: SERVFAIL"},
        {"192.0.2.3",
         "<bob@example.org>",
         {{"example.org", DNS_TXT, "!silent"}},
         "result=~temperror domain=example.org mechanism=~ path=~ explanation=~ lookups=~0..10 "
         "problem=~time is up"},
        {"192.0.2.3",
         "<bob@example.org>",
         {{"example.org", DNS_TXT, "v=spf1 include:a.example.org -all"},
          {"a.example.org", DNS_TXT, "v=spf1 mx -all"},
          {"a.example.org", DNS_MX, "10 b.example.org"},
          {"b.example.org", DNS_A, "!fault"}},
         "result=~temperror domain=example.org mechanism=~ "
         "path=~include:a.example.org > mx explanation=~ lookups=~2..10 "
         "problem=~A b.example.org: SERVFAIL"},
        {"192.0.2.3",
         "<bob@example.org>",
         {{"example.org", DNS_TXT, "v=spf1 mx -all"},
          {"example.org", DNS_MX, "10 a.example.org, 20 b.example.org"},
          {"a.example.org", DNS_A, "!silent"},
          {"b.example.org", DNS_A, "192.0.2.3"}},
         "result=~temperror domain=example.org mechanism=~ path=~mx explanation=~ lookups=~1..10 "
         "problem=~time is up"},
        {"192.0.2.3",
         "<bob@example.org>",
         {{"example.org", DNS_TXT, "v=spf1 include:a.example.org -all"},
          {"a.example.org", DNS_TXT, "v=spf1 ip4:192.0.2.300 -all"}},
         "result=permerror domain=example.org mechanism= path=include:a.example.org explanation= "
         "lookups=1 problem=a.example.org: 'ip4:192.0.2.300' not an IPv4 network"},
        {"192.0.2.3",
         "<bob@example.org>",
         {{"example.org", DNS_TXT, "v=spf1 ~all a:\xc3\xb6.example"}},
         "result=permerror domain=example.org mechanism= path= explanation= lookups=0 "
         "problem=example.org: 'a:??.example' holds a byte that is not visible ASCII"},
        {"192.0.2.3",
         "<bob@example.org>",
         {{"example.org", DNS_TXT, "v=spf1 redirect=a.example.org"}},
         "result=permerror domain=example.org mechanism= path=redirect=a.example.org explanation= "
         "lookups=1 problem='redirect=a.example.org' leads to no SPF record"},
        {"192.0.2.3",
         "<bob@example.org>",
         {{"example.org", DNS_TXT, "v=spf1 a:a.example mx:b.example exists:c.example -all"}},
         "result=permerror domain=example.org mechanism= path=exists:c.example explanation= "
         "lookups=3 problem=more than 2 terms ask for what does not exist"},
        /* RFC 8616 4 */
        {"192.0.2.3",
         "<b\xc3\xb6"
         "b@b\xc3\xbc"
         "cher.example>",
         {{"xn--bcher-kva.example", DNS_TXT,
           "v=spf1 exists:%{l}.example include:%{s}.example a:%{l1r-}.example exists:%{o} -all"},
          {"xn--bcher-kva.example", DNS_A, "127.0.0.2"}},
         "result=pass domain=xn--bcher-kva.example mechanism=exists:%{o} path=exists:%{o} "
         "explanation= lookups=4 problem="},
        {"192.0.2.3",
         "<b\xc3\xb6"
         "b@example.org>",
         {{"example.org", DNS_TXT, "v=spf1 redirect=%{l}.example.org"}},
         "result=permerror domain=example.org mechanism= path=redirect=%{l}.example.org "
         "explanation= lookups=1 problem='redirect=%{l}.example.org' leads to no SPF record"},
        /* IPv4-mapped addresses are IPv4; loopback has no privilege */
        {"::ffff:192.0.2.3",
         "<bob@example.org>",
         {{"example.org", DNS_TXT, "v=spf1 ip6:::ffff:0:0/96 ?ip4:192.0.2.3 -all"}},
         "result=neutral domain=example.org mechanism=?ip4:192.0.2.3 path=?ip4:192.0.2.3 "
         "explanation= lookups=0 problem="},
        {"127.0.0.1",
         "<bob@example.org>",
         {{"example.org", DNS_TXT, "v=spf1 a -all"}, {"example.org", DNS_A, "192.0.2.1"}},
         "result=fail domain=example.org mechanism=-all path=-all explanation= lookups=1 problem="},
        {"::1",
         "<bob@example.org>",
         {{"example.org", DNS_TXT, "v=spf1 -all"}},
         "result=fail domain=example.org mechanism=-all path=-all explanation= lookups=0 problem="},
    };
    struct bench *bench = new_bench();
    struct arena *arena = arena_new();
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows) * 3; i++) {
        struct inputs inputs = client(arena, rows[i / 3].ip, "helo.example.com", rows[i / 3].path);
        const char *found;

        bench_dns(bench, rows[i / 3].dns);
        bench_dns_at_once(bench, i % 3 == 2);
        found = bench_run(bench, "spf", &inputs, i % 3 == 1);
        if (strcmp(found, rows[i / 3].facts) != 0)
            fail_msg("row %zu:\n  found    %s\n  expected %s", i / 3, found, rows[i / 3].facts);
    }
    arena_free(arena);
    bench_free(bench);
}

static void test_helo(void **state)
{
    static const struct {
        const char *helo;
        struct bench_answer dns[ROWS];
        const char *facts;
    } rows[] = {
        {"Mail.Example.ORG",
         {{"mail.example.org", DNS_TXT, "v=spf1 exists:%{l}.%{o} -all"},
          {"postmaster.mail.example.org", DNS_A, "127.0.0.2"}},
         "helo=pass"},
        {"mail.example.org", {{"mail.example.org", DNS_TXT, "v=spf1 -all"}}, "helo=fail"},
        {"mail.example.org", {{"mail.example.org", DNS_TXT, "!fault"}}, "helo=~temperror"},
        {"mail.example.org", {{"mail.example.org", DNS_TXT, "!silent"}}, "helo=~temperror"},
        {"mail.example.org", {{"mail.example.org", DNS_TXT, "v=spf1 x"}}, "helo=permerror"},
        {"mail.example.org", {{0}}, "helo=none"},
        {"mail", {{"mail", DNS_TXT, "v=spf1 -all"}}, "helo=none"},
        {"[192.0.2.3]", {{0}}, "helo=none"},
        {"192.0.2.3", {{0}}, "helo=none"},
        {"", {{0}}, "helo=none"},
    };
    struct bench *bench = new_bench();
    struct arena *arena = arena_new();
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        struct inputs inputs = client(arena, "192.0.2.3", rows[i].helo, "");

        bench_dns(bench, rows[i].dns);
        assert_string_equal(bench_run(bench, "spf_helo", &inputs, false), rows[i].facts);
    }
    arena_free(arena);
    bench_free(bench);
}

/* The sender's result never comes from the HELO identity. */
static void test_apart(void **state)
{
    static const struct bench_answer dns[] = {
        {"helo.example.com", DNS_TXT, "v=spf1 +all"},
        {"example.org", DNS_TXT, "v=spf1 -all"},
        {0},
    };
    struct bench *bench = new_bench();
    struct arena *arena = arena_new();
    struct inputs inputs = client(arena, "192.0.2.3", "helo.example.com", "<bob@example.org>");

    (void)state;
    bench_dns(bench, dns);
    assert_string_equal(bench_run(bench, "spf_helo", &inputs, false), "helo=pass");
    bench_run(bench, "spf", &inputs, false);
    assert_string_equal(bench_fact(bench, "spf.result"), "fail");
    assert_string_equal(bench_fact(bench, "spf.domain"), "example.org");
    arena_free(arena);
    bench_free(bench);
}

/* What was handed in on this host has no client that a domain could permit. */
static void test_local(void **state)
{
    static const char absent[] =
        "result=none domain= mechanism= path= explanation= lookups=0 problem=";
    struct bench *bench = new_bench();
    struct arena *arena = arena_new();
    struct inputs inputs = client(arena, "127.0.0.1", "localhost", "<bob@example.org>");

    (void)state;
    inputs.local = true;
    assert_string_equal(bench_run(bench, "spf", &inputs, false), absent);
    assert_string_equal(bench_run(bench, "spf_helo", &inputs, false), "helo=none");
    inputs.local = false;
    inputs.client.family = ADDR_NONE;
    assert_string_equal(bench_run(bench, "spf", &inputs, false), absent);
    assert_string_equal(bench_asked(bench), "");
    assert_string_not_equal(bench_cost(bench, "spf"), "");
    arena_free(arena);
    bench_free(bench);
}

/* Each question is asked once; of what is not needed yet, what the record alone tells. */
static void test_questions(void **state)
{
    static const struct bench_answer dns[] = {
        {"example.org", DNS_TXT, "v=spf1 a mx a exists:x.example.org include:example.com -all"},
        {"example.org", DNS_A, "192.0.2.1"},
        {"example.org", DNS_MX, "10 example.org, 20 mx.example.org"},
        {"mx.example.org", DNS_A, "192.0.2.2"},
        {"x.example.org", DNS_A, "127.0.0.2"},
        {0},
    };
    struct bench *bench = new_bench();
    struct arena *arena = arena_new();
    struct inputs inputs = client(arena, "192.0.2.3", "helo.example.com", "<bob@example.org>");

    (void)state;
    bench_dns(bench, dns);
    bench_run(bench, "spf", &inputs, false);
    assert_string_equal(bench_fact(bench, "spf.path"), "exists:x.example.org");
    assert_string_equal(bench_asked(bench), "TXT example.org, A example.org, MX example.org, "
                                            "TXT example.com, A mx.example.org, A x.example.org");
    arena_free(arena);
    bench_free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mail),      cmocka_unit_test(test_helo),
        cmocka_unit_test(test_apart),     cmocka_unit_test(test_local),
        cmocka_unit_test(test_questions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
