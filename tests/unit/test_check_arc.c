/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <postern/arena.h>
#include <postern/str.h>

#include "../../src/checks/checks_private.h"
#include "arc_sample.h"
#include "arc_seal.h"
#include "probe_bench.h"

static const char message[] = "Received: from a.example by b.example;\n\tThu, 1 Jan 2026\n"
                              "From: Author <a@author.example>\n"
                              "Subject:  a  folded\n\tsubject \n"
                              "To: list@example.org\n"
                              "Date: Thu, 1 Jan 2026 00:00:00 +0000\n"
                              "\n"
                              "Hello  world \n"
                              "\n"
                              "two\tthree\n"
                              "\n";

/* What all tests share: keys, and a place for texts. */
struct stage_props {
    struct arena *arena;
    struct seal_key *rsa, *other, *small, *ed25519;
};

static int set_up(void **state)
{
    struct stage_props *props = xcalloc(1, sizeof(*props));

    props->arena = arena_new();
    props->rsa = seal_key_new("rsa", 1024);
    props->other = seal_key_new("rsa", 2048);
    props->small = seal_key_new("rsa", 768);
    props->ed25519 = seal_key_new("ed25519", 0);
    *state = props;
    return 0;
}

static int tear_down(void **state)
{
    struct stage_props *props = *state;

    seal_key_free(props->rsa);
    seal_key_free(props->other);
    seal_key_free(props->small);
    seal_key_free(props->ed25519);
    arena_free(props->arena);
    free(props);
    return 0;
}

/* The text with the first OLD, which is there, changed to NEW. */
static const char *change(struct arena *arena, const char *text, const char *old, const char *new)
{
    const char *at = strstr(text, old);

    assert_non_null(at);
    return arena_printf(arena, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
}

/* Feeds the message and runs both probes; "RESULT oldest=NUMBER". */
static const char *run(struct stage_props *props, struct bench *bench, const char *text,
                       bool last_first)
{
    struct inputs inputs = bench_inputs();
    const char *result;

    bench_message(bench, &inputs, text);
    bench_run(bench, "arc", &inputs, last_first);
    result = arena_printf(props->arena, "%s sealers=%s dmarc=%s reason=%s",
                          bench_fact(bench, "arc.result"), bench_fact(bench, "arc.sealers"),
                          bench_fact(bench, "arc.dmarc_passed"), bench_fact(bench, "arc.reason"));
    bench_run(bench, "arc_oldest", &inputs, last_first);
    return arena_printf(props->arena, "%s oldest=%s", result, bench_fact(bench, "arc.oldest_pass"));
}

static void check(struct stage_props *props, const char *config, const struct bench_answer *dns,
                  const char *text, const char *expected)
{
    int last_first;

    for (last_first = 0; last_first < 2; last_first++) {
        struct bench *bench = bench_new(&check_arc, NULL, config, NULL);

        assert_string_equal(bench_problems(bench), "");
        bench_dns(bench, dns);
        assert_string_equal(run(props, bench, text, last_first), expected);
        bench_free(bench);
    }
}

/* Seals by one.example, two.example and three.example, the text unchanged. */
static const char *chain_of(struct stage_props *props, unsigned count)
{
    static const char *const domains[] = {"One.example", "two.example", "three.example"};
    const char *text = message;
    unsigned i;

    for (i = 1; i <= count; i++) {
        struct seal seal = {
            .instance = i,
            .key = i == 2 ? props->ed25519 : props->rsa,
            .domain = domains[i - 1],
            .canon = i == 2 ? "simple/simple" : NULL,
            .results = i == 1 ? NULL : "mx.x.example; dmarc=fail header.from=author.example"};

        text = arc_seal(props->arena, text, &seal);
    }
    return text;
}

#define KEYS(props)                                                                                \
    {"s._domainkey.one.example", DNS_TXT, seal_key_record((props)->rsa)},                          \
        {"s._domainkey.two.example", DNS_TXT, seal_key_record((props)->ed25519)},                  \
    {                                                                                              \
        "s._domainkey.three.example", DNS_TXT, seal_key_record((props)->rsa)                       \
    }

static void test_valid(void **state)
{
    struct stage_props *props = *state;
    const struct bench_answer dns[] = {KEYS(props), {0}};
    struct bench *bench = bench_new(&check_arc, NULL, "", NULL);
    struct inputs inputs = bench_inputs();

    check(props, "", dns, message, "none sealers= dmarc=no reason= oldest=0");
    check(props, "", dns, chain_of(props, 1), "pass sealers=one.example dmarc=no reason= oldest=0");
    check(props, "", dns, chain_of(props, 2),
          "pass sealers=two.example, one.example dmarc=no reason= oldest=0");
    check(props, "", dns, chain_of(props, 3),
          "pass sealers=three.example, two.example, one.example dmarc=no reason= oldest=0");

    /* what is asked, and that it was asked before */
    bench_dns(bench, dns);
    bench_message(bench, &inputs, chain_of(props, 3));
    assert_string_equal(bench_warmed(bench),
                        "TXT s._domainkey.three.example, TXT s._domainkey.two.example, "
                        "TXT s._domainkey.one.example");
    bench_run(bench, "arc", &inputs, false);
    assert_string_equal(bench_asked(bench),
                        "TXT s._domainkey.three.example, TXT s._domainkey.two.example, "
                        "TXT s._domainkey.one.example");
    assert_non_null(strstr(bench_fact(bench, "arc.sets"), "two.example"));
    bench_message(bench, &inputs, message);
    assert_string_equal(bench_warmed(bench), "");
    bench_run(bench, "arc", &inputs, false);
    assert_string_equal(bench_asked(bench), "");
    bench_free(bench);

    /* without a stream: not even a header was sent */
    bench = bench_new(&check_arc, NULL, "", NULL);
    assert_string_equal(bench_run(bench, "arc_oldest", &inputs, false), "oldest_pass=0");
    bench_run(bench, "arc", &inputs, false);
    assert_string_equal(bench_fact(bench, "arc.result"), "none");
    bench_free(bench);
}

/* A chain that another implementation has made, and found good. */
static void test_foreign(void **state)
{
    static const struct bench_answer dns[] = {
        {"sel._domainkey.lists.example", DNS_TXT, arc_sample_key},
        {"sel2._domainkey.relay.example", DNS_TXT, arc_sample_key},
        {0}};
    struct stage_props *props = *state;

    check(props, "table t { .lists.example; relay.example; } arc { sealers t; }", dns, arc_sample,
          "pass sealers=relay.example, lists.example dmarc=yes reason= oldest=2");
    check(props, "", dns, change(props->arena, arc_sample, "Hello", "hello"),
          "fail sealers= dmarc=no reason=ARC-Message-Signature i=2 of relay.example: the body has "
          "been changed oldest=0");
    check(props, "", dns, change(props->arena, arc_sample, "[list]", "[List]"),
          "fail sealers= dmarc=no reason=ARC-Message-Signature i=2 of relay.example: the signature "
          "does not verify oldest=0");
    check(props, "", dns, change(props->arena, arc_sample, "dmarc=fail", "dmarc=pass"),
          "fail sealers= dmarc=no reason=ARC-Seal i=2 of relay.example: the signature does not "
          "verify oldest=0");
    /* The newest seal covers all that came before it. */
    check(props, "", dns, change(props->arena, arc_sample, "spf=pass", "spf=fail"),
          "fail sealers= dmarc=no reason=ARC-Seal i=2 of relay.example: the signature does not "
          "verify oldest=0");
    /* What the relaxed form leaves alone may change. */
    check(props, "", dns, change(props->arena, arc_sample, "Hello  world ", "Hello\t\tworld"),
          "pass sealers=relay.example, lists.example dmarc=no reason= oldest=2");
}

static void test_changed(void **state)
{
    struct stage_props *props = *state;
    struct arena *arena = props->arena;
    const struct bench_answer dns[] = {KEYS(props), {0}};
    const char *sealed = chain_of(props, 3);
    const char *below = chain_of(props, 1);
    const struct {
        const char *text, *expected;
    } rows[] = {
        {change(arena, sealed, "Subject:  a", "Subject: b"),
         "fail sealers= dmarc=no reason=ARC-Message-Signature i=3 of three.example: the signature "
         "does not verify oldest=0"},
        {change(arena, sealed, "To: list", "To: other"), /* not signed */
         "pass sealers=three.example, two.example, one.example dmarc=no reason= oldest=0"},
        {change(arena, sealed, "Subject:  a  folded\n\tsubject \n",
                "SUBJECT: a\n folded subject\n"),
         "pass sealers=three.example, two.example, one.example dmarc=no reason= oldest=3"},
        {change(arena, sealed, "two\t", "two  "), /* two.example signed in the simple form */
         "pass sealers=three.example, two.example, one.example dmarc=no reason= oldest=3"},
        {change(arena, below, "\n\ntwo", "\n\none"),
         "fail sealers= dmarc=no reason=ARC-Message-Signature i=1 of One.example: the body has "
         "been changed oldest=0"},
        {change(arena, sealed, " i=2; a=ed25519-sha256; cv=pass",
                " i=2; a=ed25519-sha256; cv=fail"),
         "fail sealers= dmarc=no reason=ARC-Seal i=2 of two.example: wrong cv= oldest=0"},
        {change(arena, sealed, "ARC-Seal: i=1;", "X-Seal: i=1;"),
         "fail sealers= dmarc=no reason=no ARC-Seal i=1 oldest=0"},
        {change(arena, sealed, "ARC-Seal: i=1;", "ARC-Seal: i=2;"),
         "fail sealers= dmarc=no reason=two fields ARC-Seal i=2 oldest=0"},
        {change(arena, sealed, "h=from:subject:date;", "h=from:date;"),
         "fail sealers= dmarc=no reason=ARC-Message-Signature i=3 of three.example: the signature "
         "does not verify oldest=0"},
        {arena_printf(arena, "From: b@evil.example\n%s", sealed), /* the lowest is the signed one */
         "pass sealers=three.example, two.example, one.example dmarc=no reason= oldest=0"},
        {change(arena, sealed, "\n\nHello", "\nFrom: b@evil.example\n\nHello"),
         "fail sealers= dmarc=no reason=ARC-Message-Signature i=3 of three.example: the signature "
         "does not verify oldest=0"},
        {"ARC-Seal: x\n\n", "fail sealers= dmarc=no reason=ARC-Seal without a valid i= oldest=0"},
    };
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        const char *expected = rows[i].expected;

        if (strstr(expected, "One") != NULL)
            expected = change(arena, expected, "One", "one");
        check(props, "", dns, rows[i].text, expected);
    }
}

/* What is known to be wrong is a failure whatever the DNS says; what the DNS does not tell is
 * none. */
static void test_keys(void **state)
{
    struct stage_props *props = *state;
    struct arena *arena = props->arena;
    const char *good = seal_key_record(props->rsa);
    const char *p = strstr(good, "p=");
    const char *wrong_version = arena_printf(arena, "v=DKIM2; %s", p);
    const struct {
        const char *first, *second; /* keys of one.example and two.example */
        const char *expected;
    } rows[] = {
        {good, seal_key_record(props->other),
         "pass sealers=two.example, one.example dmarc=yes reason="},
        {p, seal_key_record(props->other),
         "pass sealers=two.example, one.example dmarc=yes reason="},
        {"!fault", seal_key_record(props->other),
         "~temperror sealers=~ dmarc=~ reason=~ARC-Seal i=1 of one.example: key "
         "s._domainkey.one.example: SERVFAIL"},
        {good, "!fault",
         "~temperror sealers=~ dmarc=~ reason=~ARC-Message-Signature i=2 of two.example: key "
         "s._domainkey.two.example: SERVFAIL"},
        {"!silent", seal_key_record(props->other),
         "~temperror sealers=~ dmarc=~ reason=~ARC-Seal i=1 of one.example: key "
         "s._domainkey.one.example: no answer in time"},
        {"!silent", "!noname",
         "fail sealers= dmarc=no reason=ARC-Message-Signature i=2 of two.example: there is no key"},
        {"!nodata", "!fault",
         "fail sealers= dmarc=no reason=ARC-Seal i=1 of one.example: there is no key"},
        {"!noname", seal_key_record(props->other),
         "fail sealers= dmarc=no reason=ARC-Seal i=1 of one.example: there is no key"},
        {seal_key_record(props->other), seal_key_record(props->other),
         "fail sealers= dmarc=no reason=ARC-Seal i=1 of one.example: the signature does not "
         "verify"},
        {seal_key_record(props->ed25519), seal_key_record(props->other),
         "fail sealers= dmarc=no reason=ARC-Seal i=1 of one.example: the key is of another type"},
        {"v=DKIM1; p=", seal_key_record(props->other),
         "fail sealers= dmarc=no reason=ARC-Seal i=1 of one.example: the key is revoked"},
        {wrong_version, seal_key_record(props->other),
         "fail sealers= dmarc=no reason=ARC-Seal i=1 of one.example: the key is of an unknown "
         "version"},
        {"v=DKIM1; p=QUJD", seal_key_record(props->other),
         "fail sealers= dmarc=no reason=ARC-Seal i=1 of one.example: the key is not readable"},
        {seal_key_record(props->small), seal_key_record(props->other),
         "fail sealers= dmarc=no reason=ARC-Seal i=1 of one.example: the key is too short (768 "
         "bits)"},
    };
    const struct seal first = {.key = props->rsa, .domain = "one.example"};
    const struct seal second = {.instance = 2, .key = props->other, .domain = "two.example"};
    const char *sealed = arc_seal(arena, arc_seal(arena, message, &first), &second);
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        const struct bench_answer dns[] = {
            {"s._domainkey.one.example", DNS_TXT, rows[i].first},
            {"s._domainkey.two.example", DNS_TXT, rows[i].second},
            {0},
        };

        check(props, "table t { one.example; two.example; } arc { sealers t; }", dns, sealed,
              arena_printf(arena, "%s oldest=%s", rows[i].expected,
                           rows[i].expected[0] == '~' ? "~.." : "0"));
    }
}

/* Sealers that go wrong in a way that their keys cannot mend. */
static void test_hostile(void **state)
{
    struct stage_props *props = *state;
    const struct bench_answer dns[] = {
        {"s._domainkey.example.org", DNS_TXT, seal_key_record(props->rsa)}, {0}};
    const struct bench_answer small[] = {
        {"s._domainkey.example.org", DNS_TXT, seal_key_record(props->small)}, {0}};
    const char *names = "from";
    unsigned i;

    for (i = 0; i < 400; i++)
        names = arena_printf(props->arena, "%s:x%u", names, i);

    const struct {
        struct seal seal;
        const char *reason; /* NULL: passes */
    } rows[] = {
        {{.key = props->rsa}, NULL},
        {{.key = props->rsa, .canon = "simple/simple"}, NULL},
        {{.key = props->rsa, .canon = "simple"}, NULL},
        {{.key = props->rsa, .canon = "relaxed/simple"}, NULL},
        {{.key = props->rsa, .canon = "simple/relaxed"}, NULL},
        {{.key = props->rsa, .fields = "from:from:subject:subject:x-none"}, NULL},
        {{.key = props->rsa, .signature_tags = "; t=1; x=2; unknown=\xc3\xa4"}, NULL},
        {{.key = props->rsa, .fields = "subject:date"}, "From is not signed"},
        {{.key = props->rsa, .fields = "from:arc-seal"}, "ARC-Seal is signed"},
        {{.key = props->rsa, .fields = names}, "too many fields in h="},
        {{.key = props->rsa, .algorithm = "rsa-sha1"}, "ARC-Seal i=1: rsa-sha1 is not secure"},
        {{.key = props->rsa, .algorithm = "ed25519-sha256"}, "the key is of another type"},
        {{.key = props->small}, "the key is too short (768 bits)"},
        {{.key = props->rsa, .signature_tags = "; l=0"}, "only a part of the body is signed"},
        {{.key = props->rsa, .signature_tags = "; l=9999"}, "only a part of the body is signed"},
        {{.key = props->rsa, .signature_tags = "; l=26"}, NULL}, /* all of it */
        {{.key = props->rsa, .body_hash = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="},
         "the body has been changed"},
        {{.key = props->rsa, .seal_tags = "; h=from"}, "ARC-Seal i=1: h= in a seal"},
        {{.key = props->rsa, .seal_tags = "; s=s"}, "ARC-Seal without a valid i="},
        {{.key = props->rsa, .seal_tags = "; = "}, "ARC-Seal without a valid i="},
        {{.key = props->rsa, .cv = "pass"}, "ARC-Seal i=1 of example.org: wrong cv="},
        {{.key = props->rsa, .cv = "fail"}, "example.org found the chain broken"},
        {{.key = props->rsa, .domain = "org"}, "there is no key"},
        {{.key = props->rsa, .domain = "-"}, "there is no key"},
        {{.key = props->rsa, .domain = "."}, "ARC-Seal i=1: bad d="},
        {{.key = props->rsa, .selector = "a/b"}, "ARC-Seal i=1: bad s="},
    };

    for (i = 0; i < COUNT_OF(rows); i++) {
        struct bench *bench = bench_new(&check_arc, NULL, "", NULL);
        const char *got;

        bench_dns(bench, rows[i].seal.key == props->small ? small : dns);
        got = run(props, bench, arc_seal(props->arena, message, &rows[i].seal), false);
        if (rows[i].reason == NULL
                ? strcmp(got, "pass sealers=example.org dmarc=no reason= oldest=0") != 0
                : strncmp(got, "fail sealers= dmarc=no ", 23) != 0 ||
                      strstr(got, rows[i].reason) == NULL)
            fail_msg("row %u: %s", i, got);
        bench_free(bench);
    }
}

/* Whose word counts. */
static void test_trust(void **state)
{
    static const struct {
        const char *first, *second; /* what one.example and two.example recorded */
        const char *sealers;
        const char *passed;
    } rows[] = {
        {"dmarc=pass", "dmarc=fail", "one.example; two.example;", "yes"},
        {"dmarc=fail", "dmarc=pass", "one.example; two.example;", "yes"},
        {"dmarc=fail", "dmarc=fail", "one.example; two.example;", "no"},
        {"none", "none", "one.example; two.example;", "no"},
        {"dmarc=pass; dmarc=fail", "none", "one.example; two.example;", "no"},
        {"spf=fail (dmarc=pass)", "none", "one.example; two.example;", "no"},
        {"dmarc=pass (no end", "none", "one.example; two.example;", "no"},
        /* a stranger has had the message since */
        {"dmarc=pass", "dmarc=pass", "one.example;", "no"},
        /* a stranger had it before; what the newest saw is what counts */
        {"dmarc=pass", "dmarc=pass", "two.example;", "yes"},
        {"dmarc=pass", "dmarc=fail", "two.example;", "no"},
        {"dmarc=pass", "dmarc=pass", "three.example;", "no"},
        {"dmarc=pass", "dmarc=pass", ".example;", "yes"},
        {"dmarc=pass", "dmarc=pass", NULL, "~"},
        {"dmarc=fail", "dmarc=fail", NULL, "no"},
    };
    struct stage_props *props = *state;
    struct arena *arena = props->arena;
    const struct bench_answer dns[] = {KEYS(props), {0}};
    const struct bench_answer faults[] = {{"s._domainkey.one.example", DNS_TXT, "!fault"},
                                          {"s._domainkey.two.example", DNS_TXT, "!fault"},
                                          {0}};
    size_t i;

    for (i = 0; i < COUNT_OF(rows); i++) {
        struct seal first = {.key = props->rsa,
                             .domain = "one.example",
                             .results = arena_printf(arena, "mx; %s", rows[i].first)};
        struct seal second = {.instance = 2,
                              .key = props->ed25519,
                              .domain = "two.example",
                              .results = arena_printf(arena, "mx; %s", rows[i].second)};
        const char *sealed = arc_seal(arena, arc_seal(arena, message, &first), &second);
        const char *config =
            rows[i].sealers == NULL
                ? "table t file:/nonexistent/sealers; arc { sealers t; }"
                : arena_printf(arena, "table t { %s } arc { sealers t; }", rows[i].sealers);
        struct bench *bench = bench_new(&check_arc, NULL, config, NULL);

        bench_dns(bench, dns);
        run(props, bench, sealed, false);
        run(props, bench, sealed, true);
        bench_message(bench, &(struct inputs){0}, sealed);
        bench_run(bench, "arc", &(struct inputs){0}, false);
        if (strcmp(bench_fact(bench, "arc.dmarc_passed"), rows[i].passed) != 0)
            fail_msg("row %zu: %s", i, bench_fact(bench, "arc.dmarc_passed"));
        /* What is false in any case stays so when the keys cannot be had. */
        bench_dns(bench, faults);
        bench_message(bench, &(struct inputs){0}, sealed);
        bench_run(bench, "arc", &(struct inputs){0}, false);
        if (strcmp(bench_fact(bench, "arc.dmarc_passed"),
                   strcmp(rows[i].passed, "no") == 0 ? "no" : "~") != 0)
            fail_msg("row %zu with faults: %s", i, bench_fact(bench, "arc.dmarc_passed"));
        bench_free(bench);
    }
}

static void test_limits(void **state)
{
    struct stage_props *props = *state;
    const struct bench_answer dns[] = {
        {"s._domainkey.example.org", DNS_TXT, seal_key_record(props->ed25519)}, {0}};
    const char *text = message;
    unsigned i;

    for (i = 1; i <= 51; i++) {
        struct seal seal = {.instance = i, .key = props->ed25519};

        text = arc_seal(props->arena, text, &seal);
        if (i == 3)
            check(props, "arc { max_sets 2; }", dns, text,
                  "fail sealers= dmarc=no reason=more than 2 sets oldest=0");
        if (i == 50)
            check(props, "", dns, text, "pass sealers=example.org dmarc=no reason= oldest=0");
    }
    check(props, "", dns, text, "fail sealers= dmarc=no reason=more than 50 sets oldest=0");

    struct str large = {0};

    for (i = 0; i < 1001; i++)
        str_add(&large, "X: y\n");
    str_add(&large, message);
    check(props, "", dns, str_text(&large), "none sealers= dmarc=no reason= oldest=0");
    str_add(&large, "");
    check(props, "", dns, arena_printf(props->arena, "ARC-Seal: i=1\n%s", str_text(&large)),
          "fail sealers= dmarc=no reason=the header is too large oldest=0");
    str_free(&large);
}

static void test_config(void **state)
{
    static const struct {
        const char *config;
        const char *cost; /* NULL: refused */
    } rows[] = {
        {"", "1 to 51 DNS questions where there is a chain"},
        {"arc { max_sets 5; }", "1 to 6 DNS questions where there is a chain"},
        {"arc { }", "1 to 51 DNS questions where there is a chain"},
        {"arc { max_sets 0; }", NULL},
        {"arc { max_sets 51; }", NULL},
        {"arc { seal yes; }", NULL},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        struct bench *bench = bench_new(&check_arc, NULL, rows[i].config, NULL);

        if ((bench_problems(bench)[0] != '\0') != (rows[i].cost == NULL))
            fail_msg("row %zu: %s", i, bench_problems(bench));
        if (rows[i].cost != NULL)
            assert_string_equal(bench_cost(bench, "arc"), rows[i].cost);
        bench_free(bench);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),   cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_changed), cmocka_unit_test(test_keys),
        cmocka_unit_test(test_hostile), cmocka_unit_test(test_trust),
        cmocka_unit_test(test_limits),  cmocka_unit_test(test_config),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
