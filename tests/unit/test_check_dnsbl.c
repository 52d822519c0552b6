/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <postern/arena.h>
#include <postern/log.h>

#include "../../src/checks/checks_private.h"
#include "probe_bench.h"

#define LENGTH(rows) (sizeof(rows) / sizeof((rows)[0]))

enum { ANSWERS_MAX = 12 };

/* The client in most rows is 192.0.2.99; its name in the zone Z: */
#define IN(zone) "99.2.0.192." zone

static const char nothing[] = "score=0 name= reason= code= lists= faults=0";

static struct inputs client(const char *address)
{
    struct inputs inputs = bench_inputs();

    if (!addr_parse(address, &inputs.client))
        fail_msg("%s is no address", address);
    return inputs;
}

/* The facts must not hang on the order in which answers come. */
static void expect(struct bench *bench, size_t row, const char *probe, const struct inputs *inputs,
                   const char *facts)
{
    int last_first;

    for (last_first = 0; last_first < 2; last_first++) {
        const char *found = bench_run(bench, probe, inputs, last_first != 0);

        if (strcmp(found, facts) != 0)
            fail_msg("row %zu%s:\n  found    %s\n  expected %s\n  asked %s", row,
                     last_first ? " (answers reversed)" : "", found, facts, bench_asked(bench));
    }
}

static struct bench *new_bench(const char *config)
{
    struct bench *bench = bench_new(&check_dnsbl, NULL, config, NULL);

    assert_string_equal(bench_problems(bench), "");
    return bench;
}

/* Lists without test entries, so that the rows below are about answers only. */
#define ZEN  "dnsbl zen { zone zen.test; listed 127.0.0.2-11; weight 3; probe none; }\n"
#define COP  "dnsbl cop { zone cop.test; listed 127.0.0.2; weight 2; probe none; }\n"
#define GOOD "dnsbl good { zone good.test; listed 127.0.*.1-3; weight -2; probe none; }\n"

static void test_score(void **state)
{
    static const struct {
        const char *config;
        struct bench_answer dns[ANSWERS_MAX];
        const char *facts;
    } rows[] = {
        {ZEN COP GOOD, {{0}}, nothing},
        {ZEN COP GOOD, {{IN("zen.test"), DNS_A, "!nodata"}}, nothing},
        {ZEN COP GOOD,
         {{IN("zen.test"), DNS_A, "127.0.0.4"}, {IN("zen.test"), DNS_TXT, "see z/99"}},
         "score=3 name=zen reason=see z/99 code=127.0.0.4 lists=zen faults=0"},
        /* Several codes: the least of those that count. */
        {ZEN,
         {{IN("zen.test"), DNS_A, "127.0.0.200, 127.0.0.10, 127.0.0.4"}},
         "score=3 name=zen reason= code=127.0.0.4 lists=zen faults=0"},
        /* A code of a sublist that is not configured is no listing. */
        {COP, {{IN("cop.test"), DNS_A, "127.0.0.10, 127.0.0.11"}}, nothing},
        {ZEN COP,
         {{IN("zen.test"), DNS_A, "127.0.0.2"},
          {IN("zen.test"), DNS_TXT, "zen says"},
          {IN("cop.test"), DNS_A, "127.0.0.2"},
          {IN("cop.test"), DNS_TXT, "cop says"}},
         "score=5 name=zen reason=zen says code=127.0.0.2 lists=zen, cop faults=0"},
        /* The heaviest, wherever it stands. */
        {COP ZEN,
         {{IN("zen.test"), DNS_A, "127.0.0.3"},
          {IN("zen.test"), DNS_TXT, "zen says"},
          {IN("cop.test"), DNS_A, "127.0.0.2"},
          {IN("cop.test"), DNS_TXT, "cop says"}},
         "score=5 name=zen reason=zen says code=127.0.0.3 lists=cop, zen faults=0"},
        /* The first of equals. */
        {"dnsbl a { zone a.test; listed 127.0.0.2; probe none; }"
         "dnsbl b { zone b.test; listed 127.0.0.2; probe none; }",
         {{IN("a.test"), DNS_A, "127.0.0.2"},
          {IN("b.test"), DNS_A, "127.0.0.2"},
          {IN("b.test"), DNS_TXT, "b says"}},
         "score=2 name=a reason= code=127.0.0.2 lists=a, b faults=0"},
        /* A list of good senders is never the reason for a refusal. */
        {ZEN GOOD,
         {{IN("good.test"), DNS_A, "127.0.5.2"}, {IN("good.test"), DNS_TXT, "good"}},
         "score=-2 name= reason= code= lists=good faults=0"},
        {GOOD ZEN,
         {{IN("good.test"), DNS_A, "127.0.5.2"}, {IN("zen.test"), DNS_A, "127.0.0.2"}},
         "score=1 name=zen reason= code=127.0.0.2 lists=good, zen faults=0"},
        {"dnsbl note { zone n.test; listed 127.0.0.2; weight 0; probe none; }",
         {{IN("n.test"), DNS_A, "127.0.0.2"}},
         "score=0 name= reason= code= lists=note faults=0"},
        {"dnsbl mute { zone m.test; listed 127.0.0.2; reason no; probe none; }",
         {{IN("m.test"), DNS_A, "127.0.0.2"}, {IN("m.test"), DNS_TXT, "psst"}},
         "score=1 name=mute reason= code=127.0.0.2 lists=mute faults=0"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        struct bench *bench = new_bench(rows[i].config);
        struct inputs inputs = client("192.0.2.99");

        bench_dns(bench, rows[i].dns);
        expect(bench, i, "dnsbl", &inputs, rows[i].facts);
        bench_free(bench);
    }
}

/* What is no answer of a list is a fault, and a fault is never a listing. */
static void test_faults(void **state)
{
    static const struct {
        const char *config;
        struct bench_answer dns[ANSWERS_MAX];
        const char *facts;
    } rows[] = {
        {ZEN,
         {{IN("zen.test"), DNS_A, "!fault"}},
         "score=~0..3 name=~ reason=~ code=~ lists=~ faults=1"},
        {ZEN,
         {{IN("zen.test"), DNS_A, "!silent"}},
         "score=~0..3 name=~ reason=~ code=~ lists=~ faults=1"},
        /* The open resolver, the excess of queries, the misspelt zone. */
        {ZEN,
         {{IN("zen.test"), DNS_A, "127.255.255.254"}},
         "score=~0..3 name=~ reason=~ code=~ lists=~ faults=1"},
        {ZEN,
         {{IN("zen.test"), DNS_A, "127.255.255.255"}},
         "score=~0..3 name=~ reason=~ code=~ lists=~ faults=1"},
        {ZEN,
         {{IN("zen.test"), DNS_A, "127.255.255.252"}},
         "score=~0..3 name=~ reason=~ code=~ lists=~ faults=1"},
        /* ... even where someone configured everything. */
        {"dnsbl all { zone zen.test; listed 127.*.*.*; weight 3; probe none; }",
         {{IN("zen.test"), DNS_A, "127.255.255.254"}},
         "score=~0..3 name=~ reason=~ code=~ lists=~ faults=1"},
        /* The domain has lapsed and a parking page answers for all names. */
        {ZEN,
         {{IN("zen.test"), DNS_A, "198.51.100.7"}},
         "score=~0..3 name=~ reason=~ code=~ lists=~ faults=1"},
        /* "Query refused", "you are blocked". */
        {ZEN,
         {{IN("zen.test"), DNS_A, "127.0.0.1"}},
         "score=~0..3 name=~ reason=~ code=~ lists=~ faults=1"},
        {GOOD,
         {{IN("good.test"), DNS_A, "127.0.0.255"}},
         "score=~-2..0 name= reason= code= lists=~ faults=1"},
        /* One odd record spoils the answer. */
        {ZEN,
         {{IN("zen.test"), DNS_A, "127.0.0.2, 127.255.255.254"}},
         "score=~0..3 name=~ reason=~ code=~ lists=~ faults=1"},
        /* What is certain stays certain: 3 at least, and no list is heavier. */
        {ZEN COP,
         {{IN("zen.test"), DNS_A, "127.0.0.2"},
          {IN("zen.test"), DNS_TXT, "zen says"},
          {IN("cop.test"), DNS_A, "!fault"}},
         "score=~3..5 name=zen reason=zen says code=127.0.0.2 lists=~zen faults=1"},
        /* The heavier one is in fault: who lists the client is known, who weighs most is not. */
        {ZEN COP,
         {{IN("zen.test"), DNS_A, "!fault"},
          {IN("cop.test"), DNS_A, "127.0.0.2"},
          {IN("cop.test"), DNS_TXT, "cop says"}},
         "score=~2..5 name=~cop reason=~cop says code=~127.0.0.2 lists=~cop faults=1"},
        /* The first of equals is in fault; the second would not be named. */
        {"dnsbl a { zone a.test; listed 127.0.0.2; probe none; }"
         "dnsbl b { zone b.test; listed 127.0.0.2; probe none; }",
         {{IN("a.test"), DNS_A, "!fault"}, {IN("b.test"), DNS_A, "127.0.0.2"}},
         "score=~1..2 name=~b reason=~ code=~127.0.0.2 lists=~b faults=1"},
        {"dnsbl a { zone a.test; listed 127.0.0.2; probe none; }"
         "dnsbl b { zone b.test; listed 127.0.0.2; probe none; }",
         {{IN("a.test"), DNS_A, "127.0.0.2"}, {IN("b.test"), DNS_A, "!fault"}},
         "score=~1..2 name=a reason= code=127.0.0.2 lists=~a faults=1"},
        /* A list of good senders in fault could still clear the client. */
        {ZEN GOOD,
         {{IN("zen.test"), DNS_A, "127.0.0.2"}, {IN("good.test"), DNS_A, "!silent"}},
         "score=~1..3 name=zen reason= code=127.0.0.2 lists=~zen faults=1"},
        {ZEN COP GOOD,
         {{IN("zen.test"), DNS_A, "!fault"},
          {IN("cop.test"), DNS_A, "!silent"},
          {IN("good.test"), DNS_A, "198.51.100.7"}},
         "score=~-2..5 name=~ reason=~ code=~ lists=~ faults=3"},
        {"dnsbl note { zone n.test; listed 127.0.0.2; weight 0; probe none; }",
         {{IN("n.test"), DNS_A, "!fault"}},
         "score=0 name= reason= code= lists=~ faults=1"},
        /* The text cannot be had; the listing stands. */
        {ZEN,
         {{IN("zen.test"), DNS_A, "127.0.0.2"}, {IN("zen.test"), DNS_TXT, "!fault"}},
         "score=3 name=zen reason=~ code=127.0.0.2 lists=zen faults=0"},
        {ZEN,
         {{IN("zen.test"), DNS_A, "127.0.0.2"}, {IN("zen.test"), DNS_TXT, "!silent"}},
         "score=3 name=zen reason=~ code=127.0.0.2 lists=zen faults=0"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        struct bench *bench = new_bench(rows[i].config);
        struct inputs inputs = client("192.0.2.99");

        bench_dns(bench, rows[i].dns);
        expect(bench, i, "dnsbl", &inputs, rows[i].facts);
        bench_free(bench);
    }
}

/* A dead list must not speak, not even before the first of its tests by the clock. */
static void test_untried(void **state)
{
    static const char config[] = "dnsbl zen { zone zen.test; listed 127.0.0.2-11; weight 3; }"
                                 "dnsbl cop { zone cop.test; listed 127.0.0.2; probe none; }";
    static const struct {
        struct bench_answer dns[ANSWERS_MAX];
        const char *facts;
    } rows[] = {
        {{{IN("zen.test"), DNS_A, "127.0.0.2"}, {"2.0.0.127.zen.test", DNS_A, "127.0.0.4"}},
         "score=3 name=zen reason= code=127.0.0.2 lists=zen faults=0"},
        {{{"2.0.0.127.zen.test", DNS_A, "127.0.0.4"}}, nothing},
        /* Lists the world. */
        {{{IN("zen.test"), DNS_A, "127.0.0.2"},
          {"1.0.0.127.zen.test", DNS_A, "127.0.0.2"},
          {"2.0.0.127.zen.test", DNS_A, "127.0.0.2"}},
         nothing},
        {{{IN("zen.test"), DNS_A, "198.51.100.7"},
          {"1.0.0.127.zen.test", DNS_A, "198.51.100.7"},
          {"2.0.0.127.zen.test", DNS_A, "198.51.100.7"}},
         nothing},
        /* Refuses to serve this resolver. */
        {{{IN("zen.test"), DNS_A, "127.255.255.254"},
          {"1.0.0.127.zen.test", DNS_A, "127.255.255.254"},
          {"2.0.0.127.zen.test", DNS_A, "127.255.255.254"}},
         nothing},
        /* Lists this client, but not its own test entry. */
        {{{IN("zen.test"), DNS_A, "127.0.0.2"}}, nothing},
        /* Whether it is alive cannot be found out. */
        {{{IN("zen.test"), DNS_A, "127.0.0.2"}, {"2.0.0.127.zen.test", DNS_A, "!fault"}},
         "score=~0..3 name=~ reason=~ code=~ lists=~ faults=1"},
        {{{IN("zen.test"), DNS_A, "127.0.0.2"}, {"2.0.0.127.zen.test", DNS_A, "!silent"}},
         "score=~0..3 name=~ reason=~ code=~ lists=~ faults=1"},
        {{{IN("zen.test"), DNS_A, "127.0.0.2"},
          {"2.0.0.127.zen.test", DNS_A, "!silent"},
          {"1.0.0.127.zen.test", DNS_A, "127.0.0.2"}},
         nothing},
        {{{IN("zen.test"), DNS_A, "127.0.0.2"},
          {"2.0.0.127.zen.test", DNS_A, "!silent"},
          {IN("cop.test"), DNS_A, "127.0.0.2"},
          {IN("cop.test"), DNS_TXT, "cop says"}},
         "score=~1..4 name=~cop reason=~cop says code=~127.0.0.2 lists=~cop faults=1"},
        /* No listing needs no test. */
        {{{IN("zen.test"), DNS_A, "!noname"}, {"2.0.0.127.zen.test", DNS_A, "!fault"}}, nothing},
    };
    struct inputs inputs = client("192.0.2.99");
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        int last_first;

        /* A list that is tried is not tried again: a bench for each run. */
        for (last_first = 0; last_first < 2; last_first++) {
            struct bench *bench = new_bench(config);
            const char *found;

            bench_dns(bench, rows[i].dns);
            found = bench_run(bench, "dnsbl", &inputs, last_first != 0);
            if (strcmp(found, rows[i].facts) != 0)
                fail_msg("row %zu, %d:\n  found    %s\n  expected %s", i, last_first, found,
                         rows[i].facts);
            bench_free(bench);
        }
    }
}

static void test_questions(void **state)
{
    static const char shared[] =
        "dnsbl sbl { zone zen.test; listed 127.0.0.2-3; weight 4; probe none; }"
        "dnsbl pbl { zone ZEN.test.; listed 127.0.0.10-11; weight 1; probe none; }";
    static const char names[] =
        "dnsbl dbl { zone dbl.test; listed 127.0.1.2-199; ask helo sender.domain; probe none; }";
    static const char no_ipv6[] =
        "dnsbl zen { zone zen.test; listed 127.0.0.2; ipv6 no; probe none; }";
    static const struct {
        const char *config, *probe, *client, *helo, *sender;
        bool local;
        const char *asked;
    } rows[] = {
        {ZEN COP, "dnsbl", "192.0.2.99", "", "", false,
         "A 99.2.0.192.zen.test, A 99.2.0.192.cop.test"},
        /* A zone is asked once. */
        {shared, "dnsbl", "192.0.2.99", "", "", false, "A 99.2.0.192.zen.test"},
        /* The example of RFC 5782 2.4. */
        {ZEN, "dnsbl", "2001:db8:1:2:3:4:567:89ab", "", "", false,
         "A b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.zen.test"},
        {no_ipv6, "dnsbl", "2001:db8:1:2:3:4:567:89ab", "", "", false, ""},
        {no_ipv6, "dnsbl", "::ffff:192.0.2.99", "", "", false, "A 99.2.0.192.zen.test"},
        /* Nobody lists these. */
        {ZEN, "dnsbl", "127.0.0.1", "", "", false, ""},
        {ZEN, "dnsbl", "10.1.2.3", "", "", false, ""},
        {ZEN, "dnsbl", "172.16.0.1", "", "", false, ""},
        {ZEN, "dnsbl", "172.31.255.255", "", "", false, ""},
        {ZEN, "dnsbl", "172.32.0.1", "", "", false, "A 1.0.32.172.zen.test"},
        {ZEN, "dnsbl", "192.168.3.4", "", "", false, ""},
        {ZEN, "dnsbl", "169.254.3.4", "", "", false, ""},
        {ZEN, "dnsbl", "::1", "", "", false, ""},
        {ZEN, "dnsbl", "fd00::1", "", "", false, ""},
        {ZEN, "dnsbl", "fe80::1", "", "", false, ""},
        {ZEN, "dnsbl", NULL, "", "", false, ""},
        {ZEN, "dnsbl", "192.0.2.99", "", "", true, ""},
        /* Names. */
        {names, "dnsbl", "192.0.2.99", "mail.example.org", "", false, ""},
        {names, "rhsbl_helo", "192.0.2.99", "Mail.Example.ORG.", "", false,
         "A mail.example.org.dbl.test"},
        {names, "rhsbl_helo", "192.0.2.99", "[192.0.2.99]", "", false, ""},
        {names, "rhsbl_helo", "192.0.2.99", "192.0.2.99", "", false, ""},
        {names, "rhsbl_helo", "192.0.2.99", "localhost", "", false, ""},
        {names, "rhsbl_helo", "192.0.2.99", "", "", false, ""},
        {names, "rhsbl_helo", "192.0.2.99", "no..name", "", false, ""},
        {names, "rhsbl_helo", "192.0.2.99", "mail.example.org", "", true, ""},
        {names, "rhsbl_sender", "192.0.2.99", "", "<a@Example.NET>", false,
         "A example.net.dbl.test"},
        {names, "rhsbl_sender", "192.0.2.99", "", "<a@[192.0.2.1]>", false, ""},
        {names, "rhsbl_sender", "192.0.2.99", "", "<a@localhost>", false, ""},
        {names, "rhsbl_sender", "192.0.2.99", "", "<a>", false, ""},
        {names, "rhsbl_sender", "192.0.2.99", "", "<>", false, ""},
    };
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        struct arena *arena = arena_new();
        struct bench *bench = new_bench(rows[i].config);
        struct inputs inputs = bench_inputs();

        if (rows[i].client != NULL)
            inputs.client = client(rows[i].client).client;
        inputs.helo = rows[i].helo;
        inputs.local = rows[i].local;
        inputs.sender = mailbox_parse(arena, rows[i].sender);
        expect(bench, i, rows[i].probe, &inputs, nothing);
        if (strcmp(bench_asked(bench), rows[i].asked) != 0)
            fail_msg("row %zu:\n  asked    %s\n  expected %s", i, bench_asked(bench),
                     rows[i].asked);
        bench_free(bench);
        arena_free(arena);
    }
}

/* A name that is too long for the DNS with its zone is listed by nobody, and not asked. */
static void test_long_names(void **state)
{
    struct bench *bench = new_bench(
        "dnsbl long { zone dbl.test; listed 127.0.0.2; weight 3; ask helo; probe none; }");
    struct inputs inputs = bench_inputs();
    char helo[DNS_NAME_MAX + 1];
    size_t length;

    (void)state;
    bench_dns(bench, NULL);
    for (length = 243; length <= 245; length++) {
        size_t i;

        for (i = 0; i < length; i++)
            helo[i] = i % 50 == 49 ? '.' : 'a';
        helo[length] = '\0';
        inputs.helo = helo;
        expect(bench, length, "rhsbl_helo", &inputs, nothing);
        /* With the zone and the dot: 252, 253, 254. */
        assert_int_equal(bench_asked(bench)[0] != '\0', length <= 244);
    }
    bench_free(bench);
}

/* Two blocks of one zone: each sees its own codes, and 127.0.0.1 is a code where one of them names
 * it. */
static void test_shared(void **state)
{
    static const char config[] =
        "dnsbl black { zone k.test; listed 127.0.0.2; weight 4; probe none; }"
        "dnsbl white { zone k.test; listed 127.0.0.1; weight -3; probe none; }"
        "dnsbl other { zone k.test; listed 127.0.0.9; ask helo; probe none; }";
    static const struct {
        struct bench_answer dns[ANSWERS_MAX];
        const char *facts;
    } rows[] = {
        {{{IN("k.test"), DNS_A, "127.0.0.2"}, {IN("k.test"), DNS_TXT, "black"}},
         "score=4 name=black reason=black code=127.0.0.2 lists=black faults=0"},
        {{{IN("k.test"), DNS_A, "127.0.0.1"}, {IN("k.test"), DNS_TXT, "white"}},
         "score=-3 name= reason= code= lists=white faults=0"},
        {{{IN("k.test"), DNS_A, "127.0.0.2, 127.0.0.1"}},
         "score=1 name=black reason= code=127.0.0.2 lists=black, white faults=0"},
        {{{IN("k.test"), DNS_A, "127.0.0.9"}}, nothing},
        {{{IN("k.test"), DNS_A, "!fault"}}, "score=~-3..4 name=~ reason=~ code=~ lists=~ faults=2"},
    };
    struct inputs inputs = client("192.0.2.99");
    struct bench *bench = new_bench(config);
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        bench_dns(bench, rows[i].dns);
        expect(bench, i, "dnsbl", &inputs, rows[i].facts);
    }
    bench_free(bench);
}

static void test_names(void **state)
{
    static const char config[] =
        "dnsbl dbl { zone dbl.test; listed 127.0.1.2-199; ask helo sender.domain; weight 3;"
        " probe none; }";
    static const struct bench_answer dns[] = {
        {"spam.example.dbl.test", DNS_A, "127.0.1.2"},
        {"spam.example.dbl.test", DNS_TXT, "spam.example is listed"},
        {"ip.example.dbl.test", DNS_A, "127.0.1.255"},
        {0},
    };
    static const struct {
        const char *probe, *name, *facts;
    } rows[] = {
        {"rhsbl_helo", "spam.example",
         "score=3 name=dbl reason=spam.example is listed code=127.0.1.2 lists=dbl faults=0"},
        {"rhsbl_sender", "spam.example",
         "score=3 name=dbl reason=spam.example is listed code=127.0.1.2 lists=dbl faults=0"},
        {"rhsbl_helo", "ham.example", "score=0 name= reason= code= lists= faults=0"},
        {"rhsbl_sender", "ip.example", "score=~0..3 name=~ reason=~ code=~ lists=~ faults=1"},
    };
    struct bench *bench = new_bench(config);
    struct arena *arena = arena_new();
    size_t i;

    (void)state;
    bench_dns(bench, dns);
    for (i = 0; i < LENGTH(rows); i++) {
        struct inputs inputs = bench_inputs();
        const char *address = arena_printf(arena, "<a@%s>", rows[i].name);

        if (strcmp(rows[i].probe, "rhsbl_helo") == 0)
            inputs.helo = rows[i].name;
        else
            inputs.sender = mailbox_parse(arena, address);
        expect(bench, i, rows[i].probe, &inputs, rows[i].facts);
    }
    assert_false(bench_used(bench, "dnsbl"));
    assert_true(bench_used(bench, "rhsbl_helo"));
    assert_true(bench_used(bench, "rhsbl_sender"));
    arena_free(arena);
    bench_free(bench);
}

/* The author's domain is another check's fact. */
static void test_author(void **state)
{
    static const struct fact_row from_domain = {"from.domain", FACT_DOMAIN, STAGE_MESSAGE,
                                                SCOPE_MESSAGE, NULL,        ""};
    static const struct bench_answer dns[] = {
        {"spam.example.dbl.test", DNS_A, "127.0.1.2"},
        {"spam.example.dbl.test", DNS_TXT, "spam.example is listed"},
        {0},
    };
    static const struct {
        const char *domain, *asked, *facts;
    } rows[] = {
        {"spam.example", "A spam.example.dbl.test, TXT spam.example.dbl.test",
         "score=3 name=dbl reason=spam.example is listed code=127.0.1.2 lists=dbl faults=0"},
        {"ham.example", "A ham.example.dbl.test", "score=0 name= reason= code= lists= faults=0"},
        {"localhost", "", "score=0 name= reason= code= lists= faults=0"},
        {"", "", "score=0 name= reason= code= lists= faults=0"},
        {"!fault", "", "score=~.. name=~ reason=~ code=~ lists=~ faults=~.."},
    };
    struct bench *bench =
        new_bench("dnsbl dbl { zone dbl.test; listed 127.0.1.2-199; ask from.domain; weight 3;"
                  " probe none; }");
    struct inputs inputs = client("192.0.2.99");
    size_t i;

    (void)state;
    bench_dns(bench, dns);
    assert_true(bench_used(bench, "rhsbl_from"));
    assert_false(bench_used(bench, "rhsbl_sender"));
    for (i = 0; i < LENGTH(rows); i++) {
        bench_give(bench, &from_domain, rows[i].domain);
        assert_string_equal(bench_run(bench, "rhsbl_from", &inputs, false), rows[i].facts);
        assert_string_equal(bench_asked(bench), rows[i].asked);
    }
    inputs.local = true;
    bench_give(bench, &from_domain, "spam.example");
    bench_run(bench, "rhsbl_from", &inputs, false);
    assert_string_equal(bench_asked(bench), "");
    bench_free(bench);
}

/* The answers of all lists, for those who tell them later. */
static void test_answers(void **state)
{
    static const struct bench_answer rows[][4] = {
        {{0}},
        {{IN("zen.test"), DNS_A, "127.0.0.9, 127.0.0.4"}, {IN("good.test"), DNS_A, "127.0.5.2"}},
        {{IN("cop.test"), DNS_A, "127.0.0.2"}, {IN("good.test"), DNS_A, "!fault"}},
    };
    static const char *const expected[] = {"", "list=zen code=127.0.0.4; list=good code=127.0.5.2",
                                           "~list=cop code=127.0.0.2"};
    struct bench *bench = new_bench(ZEN COP GOOD);
    struct inputs inputs = bench_inputs();

    (void)state;
    assert_true(addr_parse("192.0.2.99", &inputs.client));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bench_dns(bench, rows[i]);
        bench_run(bench, "dnsbl", &inputs, false);
        assert_string_equal(bench_fact(bench, "dnsbl.answers"), expected[i]);
    }
    bench_free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_score),      cmocka_unit_test(test_faults),
        cmocka_unit_test(test_untried),    cmocka_unit_test(test_questions),
        cmocka_unit_test(test_long_names), cmocka_unit_test(test_shared),
        cmocka_unit_test(test_names),      cmocka_unit_test(test_author),
        cmocka_unit_test(test_answers),
    };

    /* What is set aside on the way is logged, which is no matter of these tests. */
    log_open("test", LOG_LEVEL_ERROR, 0, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
