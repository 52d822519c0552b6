/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <postern/arena.h>
#include <postern/str.h>

#include "../../src/checks/checks_private.h"
#include "dkim_signer.h"
#include "probe_bench.h"

/* Messages with more signatures than are tried, signatures of domains that are testing, and what is
 * told of each signature. */

#define LENGTH(rows) (sizeof(rows) / sizeof((rows)[0]))
#define SIGNED       " v=1; a=rsa-sha256; bh=@BH; b=@B; h=from; "
#define FROM         "From: Joe <joe@a.bank.example>"

static struct bench *new_bench(const char *config)
{
    struct bench *bench = bench_new(&check_dkim, NULL, config, NULL);

    assert_string_equal(bench_problems(bench), "");
    return bench;
}

/* Feeds the signatures, then the From field (NULL: none), and returns the result. */
static const char *run(struct bench *bench, const char *const *signatures, const char *from)
{
    struct inputs inputs = bench_inputs();

    bench_stream(bench, &inputs);
    for (; *signatures != NULL; signatures++)
        bench_header(bench, "DKIM-Signature", *signatures);
    if (from != NULL)
        bench_header(bench, "From", from + strlen("From:"));
    bench_eoh(bench);
    bench_run(bench, "dkim", &inputs, false);
    return bench_fact(bench, "dkim.result");
}

static const char *signature_of(const struct signers *fixture, const char *from, const char *domain,
                                const char *tags)
{
    const char *fields[] = {from, NULL};

    return signer_by_hand(fixture->rsa,
                          arena_printf(fixture->arena, SIGNED "d=%s; s=sel; %s", domain, tags),
                          fields, "", 0);
}

/* ---- which are tried ---- */

enum { JUNK = 40 };

/* Signatures of strangers, and one of SIGNER at PLACE among them; three are tried. */
static const char *among(struct bench *bench, const struct signers *fixture, const char *from,
                         const char *signer, const char *junk, size_t place)
{
    const char *signatures[JUNK + 2] = {NULL};
    const char *bad = signature_of(fixture, "From: other", junk, "");
    size_t i;

    for (i = 0; i <= JUNK; i++)
        signatures[i] = i == place ? signature_of(fixture, from, signer, "") : bad;
    return run(bench, signatures, from);
}

static void test_kin_first(void **state)
{
    static const struct {
        const char *from, *signer, *junk;
        const char *result; /* where the signature comes last of all */
    } rows[] = {
        {FROM, "a.bank.example", "junk.example", "pass"},
        {FROM, "bank.example", "junk.example", "pass"},
        {FROM, "x.y.a.bank.example", "junk.example", "pass"},
        {FROM, "b.bank.example", "junk.example", "pass"},
        {FROM, "example", "junk.example", "pass"},
        /* The same before those above and below, these before its cousins, and these before all. */
        {FROM, "a.bank.example", "bank.example", "pass"},
        {FROM, "bank.example", "b.bank.example", "pass"},
        {FROM, "c.bank.example", "b.junk.example", "pass"},
        {FROM, "b.bank.example", "bank.example", "permerror"},
        {FROM, "a.bank.example", "a.bank.example", "permerror"},
        /* Strangers in their order. */
        {FROM, "list.example", "junk.example", "permerror"},
        {FROM, "list.example.net", "junk.example", "permerror"},
        /* One author, or none is preferred. */
        {"From: x@junk.example, joe@bank.example", "bank.example", "junk.example", "permerror"},
        {"From: nobody:;", "bank.example", "junk.example", "permerror"},
        {"From: Joe", "bank.example", "junk.example", "permerror"},
        {"From: joe@localhost", "localhost", "junk.example", "pass"},
    };
    const struct signers *fixture = *state;
    const char *record = signer_record(fixture->rsa);
    struct bench *bench = new_bench("dkim { max_signatures 3; }");
    size_t i;

    for (i = 0; i < LENGTH(rows); i++) {
        const char *name = arena_printf(fixture->arena, "sel._domainkey.%s", rows[i].signer);
        bool same = strcmp(rows[i].signer, rows[i].junk) == 0;
        const char *text = same ? "p=" : record;
        struct bench_answer dns[] = {{name, DNS_TXT, text}, {0}};
        const char *result;

        bench_dns(bench, dns);
        result = among(bench, fixture, rows[i].from, rows[i].signer, rows[i].junk, JUNK);
        if (strcmp(result, rows[i].result) != 0)
            fail_msg("row %zu: %s, %s", i, result, bench_fact(bench, "dkim.signatures"));
        assert_string_equal(bench_fact(bench, "dkim.count"), "41");
        if (same)
            continue;
        /* Among the first ones each is tried. */
        result = among(bench, fixture, rows[i].from, rows[i].signer, rows[i].junk, 1);
        if (strcmp(rows[i].junk, "bank.example") != 0 || rows[i].signer[0] == 'a')
            assert_string_equal(result, "pass");
    }
    bench_free(bench);
}

/* They are told in the order of the message, the limit holds, and each key is asked for once. */
static void test_order(void **state)
{
    const struct signers *fixture = *state;
    const char *record = signer_record(fixture->rsa);
    struct bench_answer dns[] = {{"sel._domainkey.bank.example", DNS_TXT, record},
                                 {"sel._domainkey.a.bank.example", DNS_TXT, record},
                                 {0}};
    const char *signatures[] = {
        signature_of(fixture, FROM, "one.example", ""),
        signature_of(fixture, FROM, "bank.example", ""),
        " v=1; nonsense",
        signature_of(fixture, FROM, "two.example", ""),
        signature_of(fixture, FROM, "three.example", ""),
        signature_of(fixture, FROM, "a.bank.example", ""),
        signature_of(fixture, FROM, "a.bank.example", ""),
        NULL,
    };
    struct bench *bench = new_bench("dkim { max_signatures 3; }");

    bench_dns(bench, dns);
    assert_string_equal(run(bench, signatures, FROM), "pass");
    assert_string_equal(bench_fact(bench, "dkim.domains"), "bank.example, a.bank.example");
    assert_string_equal(bench_fact(bench, "dkim.count"), "7");
    assert_string_equal(bench_cell(bench, "dkim.signatures", 0, "domain"), "bank.example");
    assert_string_equal(bench_cell(bench, "dkim.signatures", 1, "result"), "neutral");
    assert_string_equal(bench_cell(bench, "dkim.signatures", 2, "domain"), "a.bank.example");
    assert_string_equal(bench_cell(bench, "dkim.signatures", 3, "domain"), "a.bank.example");
    assert_string_equal(bench_cell(bench, "dkim.signatures", 4, "domain"), "");
    assert_string_equal(bench_asked(bench),
                        "TXT sel._domainkey.bank.example, TXT sel._domainkey.a.bank.example");
    /* The first are asked for as they come, the others once the author is known. */
    assert_string_equal(bench_warmed(bench),
                        "TXT sel._domainkey.one.example, TXT sel._domainkey.bank.example, "
                        "TXT sel._domainkey.two.example, TXT sel._domainkey.a.bank.example, "
                        "TXT sel._domainkey.a.bank.example");
    /* Without an author the first ones are tried. */
    assert_string_equal(run(bench, signatures, NULL), "fail");
    assert_string_equal(bench_fact(bench, "dkim.domains"), "");
    bench_free(bench);
}

/* ---- domains that are testing: RFC 6376 3.6.1 ---- */

static void test_testing(void **state)
{
    const struct signers *fixture = *state;
    struct arena *arena = fixture->arena;
    const char *testing = arena_printf(arena, "p=%s; t=y", signer_key(fixture->rsa));
    const char *serious = arena_printf(arena, "p=%s", signer_key(fixture->rsa));
    const char *old = signature_of(fixture, FROM, "bank.example", "x=1000");
    const char *early = signature_of(fixture, FROM, "bank.example", "t=99999999999");
    static const char sha1[] = " v=1; a=rsa-sha1; d=bank.example; s=sel; h=from; bh=AAAA; b=AAAA";
    static const char old_reason[] = "the signature of bank.example has expired";
    static const char sha1_reason[] = "the signature of bank.example is made with SHA-1, which "
                                      "does not count any more";
#define ALSO(reason, what) arena_printf(arena, "%s (%s)", reason, what)
    const struct {
        const char *signature, *record, *result, *reason;
    } rows[] = {
        {old, serious, "policy", old_reason},
        {old, testing, "neutral", ALSO(old_reason, "its domain is testing")},
        {old, "!noname", "policy", old_reason},
        {old, "p=", "policy", old_reason},
        {old, "p=; t=y", "neutral", ALSO(old_reason, "its domain is testing")},
        {old, "v=spf1 t=y", "policy", old_reason},
        {old, "!fault", "neutral",
         ALSO(old_reason, "and has a key that cannot be fetched now: SERVFAIL")},
        {old, "!silent", "neutral", ALSO(old_reason, "and has a key that did not come in time")},
        {early, serious, "policy", "the signature of bank.example is dated in the future"},
        {early, testing, "neutral",
         "the signature of bank.example is dated in the future (its domain is testing)"},
        {sha1, serious, "fail", sha1_reason},
        {sha1, testing, "neutral", ALSO(sha1_reason, "its domain is testing")},
        {sha1, "!fault", "neutral",
         ALSO(sha1_reason, "and has a key that cannot be fetched now: SERVFAIL")},
        {signature_of(fixture, FROM, "bank.example", "l=5"), testing, "neutral",
         "the signature of bank.example signs more body than there is (its domain is testing)"},
        {signature_of(fixture, FROM, "bank.example", ""),
         arena_printf(arena, "p=%s; t=y", signer_key(fixture->small)), "neutral",
         "the signature of bank.example has a key of only 512 bits (its domain is testing)"},
        {signature_of(fixture, FROM, "bank.example", ""), testing, "pass", ""},
    };
    struct bench *bench = new_bench("");
    size_t i;

    for (i = 0; i < LENGTH(rows); i++) {
        struct bench_answer dns[] = {{"sel._domainkey.bank.example", DNS_TXT, rows[i].record}, {0}};
        const char *signatures[] = {rows[i].signature, NULL};
        const char *result;

        bench_dns(bench, dns);
        result = run(bench, signatures, FROM);
        if (strcmp(result, rows[i].result) != 0)
            fail_msg("row %zu: %s", i, result);
        assert_string_equal(bench_fact(bench, "dkim.reason"), rows[i].reason);
        assert_string_equal(bench_asked(bench), "TXT sel._domainkey.bank.example");
    }
    bench_free(bench);
}

/* A header that is too long hides nothing of it. */
static void test_testing_long_header(void **state)
{
    const struct signers *fixture = *state;
    struct inputs inputs = bench_inputs();
    struct bench_answer dns[] = {{"sel._domainkey.bank.example", DNS_TXT, "p=; t=y"}, {0}};
    struct bench *bench = new_bench("");

    bench_dns(bench, dns);
    bench_stream(bench, &inputs);
    bench_header(bench, "DKIM-Signature", signature_of(fixture, FROM, "bank.example", ""));
    for (int i = 0; i < 1000; i++)
        bench_header(bench, "X-Field", " x");
    bench_eoh(bench);
    bench_run(bench, "dkim", &inputs, false);
    assert_string_equal(bench_fact(bench, "dkim.result"), "neutral");
    bench_free(bench);
}

/* ---- what is told of each ---- */

static void test_cells(void **state)
{
    const struct signers *fixture = *state;
    const char *record =
        arena_printf(fixture->arena, "%s; n=odd\303\274", signer_record(fixture->rsa));
    struct bench_answer dns[] = {{"sel._domainkey.bank.example", DNS_TXT, record},
                                 {"sel._domainkey.revoked.example", DNS_TXT, "v=DKIM1; p="},
                                 {0}};
    const char *good = signature_of(fixture, FROM, "bank.example", "i=j=C3=A9@x.bank.example");
    const char *signatures[] = {
        good,
        signature_of(fixture, FROM, "absent.example", ""),
        " v=1; a=rsa-sha256; d=revoked.example; s=sel; h=from; b= QUFB QUFB QUFB QUI=; "
        "bh=MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=",
        " v=1; a=rsa-sha256; d=revoked.example; s=sel; h=from; b=QUFBQUFBQUFBQUI=AAAA",
        " v=1; d=revoked.example; s=sel; b=short",
        " nonsense",
        NULL};
    const char *b = strstr(good, " b=") + 3;
    struct bench *bench = new_bench("");
    static const char *const rows[][5] = {
        {"result", "pass", "permerror", "permerror", "neutral"},
        {"identity", "j=C3=A9@x.bank.example", "@absent.example", "@revoked.example",
         "@revoked.example"},
    };
    size_t i, j;

    bench_dns(bench, dns);
    run(bench, signatures, FROM);
    for (i = 0; i < LENGTH(rows); i++)
        for (j = 0; j < 4; j++)
            assert_string_equal(bench_cell(bench, "dkim.signatures", j, rows[i][0]),
                                rows[i][j + 1]);
    /* The record as it is in the DNS, printable. */
    assert_string_equal(bench_cell(bench, "dkim.signatures", 0, "key"),
                        arena_printf(fixture->arena, "%s; n=odd??", signer_record(fixture->rsa)));
    assert_string_equal(bench_cell(bench, "dkim.signatures", 1, "key"), "");
    assert_string_equal(bench_cell(bench, "dkim.signatures", 2, "key"), "v=DKIM1; p=");
    /* RFC 6008: eight characters of b=, or as many as it takes. */
    assert_memory_equal(bench_cell(bench, "dkim.signatures", 0, "b"), b, 8);
    assert_int_equal(strlen(bench_cell(bench, "dkim.signatures", 0, "b")), 8);
    assert_string_equal(bench_cell(bench, "dkim.signatures", 2, "b"), "QUFBQUFBQUFBQUI=");
    assert_string_equal(bench_cell(bench, "dkim.signatures", 3, "b"), "QUFBQUFBQUFBQUI=A");
    assert_string_equal(bench_cell(bench, "dkim.signatures", 4, "b"), "short");
    assert_string_equal(bench_cell(bench, "dkim.signatures", 5, "b"), "");
    bench_free(bench);
}

/* A record has room for the ten that are tried, and says how many it leaves out. */
static void test_brief(void **state)
{
    enum { MANY = 30 };
    const struct signers *fixture = *state;
    const char *signatures[MANY + 1] = {NULL};
    struct bench *bench = new_bench("dkim { max_signatures 30; }");
    const char *text;
    size_t shown = 0;

    for (int i = 0; i < MANY; i++)
        signatures[i] =
            signature_of(fixture, FROM, arena_printf(fixture->arena, "signer%d.example", i), "");
    bench_dns(bench, NULL);
    run(bench, signatures, FROM);
    text = bench_fact(bench, "dkim.signatures");
    assert_true(strlen(text) < 1000);
    assert_string_equal(bench_cell(bench, "dkim.signatures", MANY - 1, "domain"),
                        "signer29.example");
    for (const char *at = text; (at = strstr(at, "domain=")) != NULL; at++)
        shown++;
    assert_true(shown >= 9);
    assert_non_null(strstr(text, arena_printf(fixture->arena, "; %zu more", MANY - shown)));
    bench_free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kin_first), cmocka_unit_test(test_order),
        cmocka_unit_test(test_testing),   cmocka_unit_test(test_testing_long_header),
        cmocka_unit_test(test_cells),     cmocka_unit_test(test_brief),
    };

    return cmocka_run_group_tests(tests, signers_set_up, signers_tear_down);
}
