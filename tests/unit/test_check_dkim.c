/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>

#include <postern/arena.h>
#include <postern/str.h>

#include "../../src/checks/checks_private.h"
#include "dkim_signer.h"
#include "probe_bench.h"

#define LENGTH(rows) (sizeof(rows) / sizeof((rows)[0]))
#define KEY          "sel._domainkey.example.org"

/* One key of each kind for all tests: they take time to make. */
static const char *const header[] = {
    "From: Joe <joe@example.org>",
    "To: a@example.net,\n\tb@example.net ,\n  c@example.net",
    "Subject:  a  subject \t ",
    "Date: Mon, 1 Jan 2024 00:00:00 +0000",
    NULL,
};

static struct bench *new_bench(const char *config)
{
    struct bench *bench = bench_new(&check_dkim, NULL, config, NULL);

    assert_string_equal(bench_problems(bench), "");
    return bench;
}

static void feed_field(struct bench *bench, const char *field)
{
    size_t length = strcspn(field, ":");
    char *name = strndup(field, length);

    bench_header(bench, name, field + length + 1);
    free(name);
}

static void feed_header(struct bench *bench, const char *const *signatures,
                        const char *const *fields)
{
    static struct inputs inputs;

    inputs = bench_inputs();
    bench_stream(bench, &inputs);
    for (; *signatures != NULL; signatures++)
        bench_header(bench, "DKIM-Signature", *signatures);
    for (; *fields != NULL; fields++)
        feed_field(bench, *fields);
    bench_eoh(bench);
}

static const char *run(struct bench *bench, bool last_first)
{
    struct inputs inputs = bench_inputs();

    bench_run(bench, "dkim", &inputs, last_first);
    return bench_fact(bench, "dkim.result");
}

/* Feeds a message with one signature and returns the result. */
static const char *result_of(struct bench *bench, const char *signature, const char *const *fields,
                             const char *body, size_t length)
{
    const char *signatures[] = {signature, NULL};

    feed_header(bench, signatures, fields);
    if (length > 0)
        bench_chunk(bench, body, length);
    return run(bench, false);
}

static void expect(struct bench *bench, const char *what, size_t row, const char *fact,
                   const char *expected)
{
    const char *found = bench_fact(bench, fact);

    if (strcmp(found, expected) != 0)
        fail_msg("%s, row %zu: %s is\n  %s, not\n  %s\n  rows %s", what, row, fact, found, expected,
                 bench_fact(bench, "dkim.signatures"));
}

/* ---- what is signed passes, however it comes ---- */

static const char *const canons[] = {"simple/simple", "simple/relaxed", "relaxed/simple",
                                     "relaxed/relaxed"};

static const struct {
    const char *text;
    size_t length;
} bodies[] = {
#define BODY(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
    BODY(""),
    BODY("\r\n"),
    BODY("\r\n\r\n\r\n"),
    BODY("one line\r\n"),
    BODY("one  line \t \r\n\r\n \t\r\n\r\nand another  \r\n\r\n\r\n"),
    BODY("\r\n\r\nblank lines first\r\n"),
    BODY("8 bit: \303\274 \377\376\200\r\n"),
    BODY("a\0b \0\r\n\0\0\r\n"),
    BODY("dots\r\n.\r\n..\r\n"),
    BODY("  leading\r\n\ttabs\r\n"),
};

static void test_bodies(void **state)
{
    const struct signers *fixture = *state;
    struct bench_answer dns[] = {{KEY, DNS_TXT, signer_record(fixture->rsa)}, {0}};
    struct bench *bench = new_bench("");
    size_t i, j;

    bench_dns(bench, dns);
    for (i = 0; i < LENGTH(canons); i++)
        for (j = 0; j < LENGTH(bodies); j++) {
            const char *value = signer_by_library(fixture->rsa, "example.org", canons[i], header,
                                                  bodies[j].text, bodies[j].length);

            result_of(bench, value, header, bodies[j].text, bodies[j].length);
            expect(bench, canons[i], j, "dkim.result", "pass");
            expect(bench, canons[i], j, "dkim.domains", "example.org");
            expect(bench, canons[i], j, "dkim.count", "1");
            expect(bench, canons[i], j, "dkim.reason", "");
            expect(bench, canons[i], j, "dkim.signatures",
                   "domain=example.org selector=sel algorithm=rsa-sha256 bits=2048 result=pass");
        }
    bench_free(bench);
}

/* A body that lost its last CRLF on the way is the body that was signed. */
static void test_no_last_line_end(void **state)
{
    const struct signers *fixture = *state;
    struct bench_answer dns[] = {{KEY, DNS_TXT, signer_record(fixture->rsa)}, {0}};
    struct bench *bench = new_bench("");
    size_t i;

    bench_dns(bench, dns);
    for (i = 0; i < LENGTH(canons); i++) {
        const char *value =
            signer_by_library(fixture->rsa, "example.org", canons[i], header, "a\r\nb\r\n", 6);

        result_of(bench, value, header, "a\r\nb", 4);
        expect(bench, canons[i], i, "dkim.result", "pass");
        result_of(bench, value, header, "a\r\nb\r\n\r\n\r\n", 10);
        expect(bench, canons[i], i, "dkim.result", "pass");
        result_of(bench, value, header, "a\r\nb\r\nc", 7);
        expect(bench, canons[i], i, "dkim.result", "fail");
    }
    bench_free(bench);
}

static void test_splits(void **state)
{
    static const char body[] = "a \r\n\r\n \t b\r\nc  d\r\n\r\n\r\ne\r\n\r\n";
    const struct signers *fixture = *state;
    struct bench_answer dns[] = {{KEY, DNS_TXT, signer_record(fixture->rsa)}, {0}};
    struct bench *bench = new_bench("");
    size_t length = sizeof(body) - 1;
    size_t i, split, size;

    bench_dns(bench, dns);
    for (i = 0; i < LENGTH(canons); i++) {
        const char *signatures[] = {
            signer_by_library(fixture->rsa, "example.org", canons[i], header, body, length), NULL};

        for (split = 0; split <= length; split++) {
            feed_header(bench, signatures, header);
            bench_chunk(bench, body, split);
            bench_chunk(bench, body + split, length - split);
            run(bench, false);
            expect(bench, canons[i], split, "dkim.result", "pass");
        }
        for (size = 1; size < 6; size++) {
            feed_header(bench, signatures, header);
            for (split = 0; split < length; split += size)
                bench_chunk(bench, body + split, length - split < size ? length - split : size);
            run(bench, false);
            expect(bench, canons[i], size, "dkim.result", "pass");
        }
    }
    bench_free(bench);
}

static void test_changes(void **state)
{
    static const char body[] = "Hello\r\n";
    static const struct {
        const char *canon;
        const char *const fields[6];
        const char *body;
        const char *result, *reason;
    } rows[] = {
#define UNCHANGED header[0], header[1], header[2], header[3]
        {"relaxed/relaxed",
         {"From: Joe <joe@example.org>", NULL},
         body,
         "fail",
         "the signature of example.org does not fit the header or the key"},
        {"relaxed/relaxed",
         {"from:Joe\n <joe@example.org>", "TO: a@example.net,\n b@example.net ,\tc@example.net",
          "Subject: a subject", "Date: Mon, 1 Jan 2024 00:00:00 +0000", "X-New: 1"},
         body,
         "pass",
         ""},
        {"simple/simple",
         {"From: Joe <joe@example.org>", "To: a@example.net,\n b@example.net ,\n  c@example.net",
          "Subject:  a  subject \t ", "Date: Mon, 1 Jan 2024 00:00:00 +0000"},
         body,
         "fail",
         "the signature of example.org does not fit the header or the key"},
        {"simple/simple",
         {"From: Joe <joe@example.org>", "To: a@example.net,\n\tb@example.net ,\n  c@example.net",
          "Subject:  a  subject \t ", "Date: Mon, 1 Jan 2024 00:00:00 +0000"},
         "Hello \r\n",
         "fail",
         "the signature of example.org does not fit the body, which was changed"},
        {"relaxed/relaxed",
         {"From: Joe <joe@example.org>", "To: a@example.net,\n\tb@example.net ,\n  c@example.net",
          "Subject:  a  subject \t ", "Date: Mon, 1 Jan 2024 00:00:00 +0000"},
         "Hello \r\n",
         "pass",
         ""},
        {"relaxed/relaxed",
         {"From: Joe <joe@example.org>", "To: a@example.net,\n\tb@example.net ,\n  c@example.net",
          "Subject:  a  subject \t ", "Date: Mon, 1 Jan 2024 00:00:00 +0000"},
         "Hello\r\nfooter\r\n",
         "fail",
         "the signature of example.org does not fit the body, which was changed"},
    };
    const struct signers *fixture = *state;
    struct bench_answer dns[] = {{KEY, DNS_TXT, signer_record(fixture->rsa)}, {0}};
    struct bench *bench = new_bench("");
    size_t i;

    bench_dns(bench, dns);
    for (i = 0; i < LENGTH(rows); i++) {
        const char *value = signer_by_library(fixture->rsa, "example.org", rows[i].canon, header,
                                              body, strlen(body));

        result_of(bench, value, rows[i].fields, rows[i].body, strlen(rows[i].body));
        expect(bench, "changes", i, "dkim.result", rows[i].result);
        expect(bench, "changes", i, "dkim.reason", rows[i].reason);
        expect(bench, "changes", i, "dkim.domains",
               strcmp(rows[i].result, "pass") == 0 ? "example.org" : "");
    }
    bench_free(bench);
}

/* ---- signatures as libraries do not make them ---- */

#define SIGNED " v=1; a=rsa-sha256; bh=@BH; b=@B; "
#define FROM   "From: Joe <joe@example.org>"

static void test_by_hand(void **state)
{
    static const struct {
        const char *value;
        const char *const fields[5]; /* signed, in this order */
        const char *result, *row;
    } rows[] = {
        {SIGNED "d=example.org; s=sel; h=from",
         {FROM},
         "pass",
         "domain=example.org selector=sel algorithm=rsa-sha256 bits=2048 result=pass"},
        /* Folding and white space wherever RFC 6376 allows them. */
        {"\n\tv = 1 ;a\n = rsa-sha256;\n bh= @BH\n ; b\t=\n @B\n ; d = example.org;s=sel;h=\n "
         "From :\n Subject;",
         {FROM, "Subject: s"},
         "pass",
         "domain=example.org selector=sel algorithm=rsa-sha256 bits=2048 result=pass"},
        /* RFC 8616: U-labels are hashed as they stand and asked for as A-labels. */
        {SIGNED "d=b\303\274cher.example; s=s\303\251l; h=from; i=J\303\266@mx.B\303\274cher."
                "example",
         {FROM},
         "pass",
         "domain=xn--bcher-kva.example selector=xn--sl-bja algorithm=rsa-sha256 bits=2048 "
         "result=pass"},
        {SIGNED "d=EXAMPLE.org.; s=SEL; h=from",
         {FROM},
         "pass",
         "domain=example.org selector=sel algorithm=rsa-sha256 bits=2048 result=pass"},
        {SIGNED "d=example.org; s=20240101; h=from",
         {FROM},
         "pass",
         "domain=example.org selector=20240101 algorithm=rsa-sha256 bits=2048 result=pass"},
        /* From the bottom up, and no more than there are. */
        {SIGNED "d=example.org; s=sel; h=from:received:received:received:from",
         {FROM, "Received: 2", "Received: 1"},
         "pass",
         "domain=example.org selector=sel algorithm=rsa-sha256 bits=2048 result=pass"},
        {SIGNED "d=example.org; s=sel; h=from:received",
         {FROM, "Received: 1"},
         "fail",
         "domain=example.org selector=sel algorithm=rsa-sha256 bits=2048 result=fail reason=does "
         "not fit the header or the key"},
        /* More names than fields, and all of them taken. */
        {SIGNED "d=example.org; s=sel; h=from:subject:received:received:from:x:y:z",
         {FROM, "Subject: s", "Received: 2", "Received: 1"},
         "pass",
         "domain=example.org selector=sel algorithm=rsa-sha256 bits=2048 result=pass"},
        {SIGNED "d=example.org; s=sel; h=from; xb=1; B=2; z=From:a|b; i=a=3Db@example.org",
         {FROM},
         "pass",
         "domain=example.org selector=sel algorithm=rsa-sha256 bits=2048 result=pass"},
        {SIGNED "d=example.org; s=sel; h=from; l=7; t=1700000000; q=x/y:dns/txt; c=simple",
         {FROM},
         "pass",
         "domain=example.org selector=sel algorithm=rsa-sha256 bits=2048 result=pass"},
        {SIGNED "d=example.org; s=sel; h=from; l=6",
         {FROM},
         "policy",
         "domain=example.org selector=sel algorithm=rsa-sha256 bits=2048 result=policy "
         "reason=leaves the end of the body unsigned"},
        {SIGNED "d=example.org; s=sel; h=from; l=0",
         {FROM},
         "policy",
         "domain=example.org selector=sel algorithm=rsa-sha256 bits=2048 result=policy "
         "reason=leaves the end of the body unsigned"},
        {SIGNED "d=example.org; s=sel; h=from; l=8",
         {FROM},
         "fail",
         "domain=example.org selector=sel algorithm=rsa-sha256 bits=2048 result=fail reason=signs "
         "more body than there is"},
        {SIGNED "d=example.org; s=sel; h=from; x=99999999999",
         {FROM},
         "pass",
         "domain=example.org selector=sel algorithm=rsa-sha256 bits=2048 result=pass"},
        {SIGNED "d=example.org; s=sel; h=from; t=1000; x=2000",
         {FROM},
         "policy",
         "domain=example.org selector=sel algorithm=rsa-sha256 result=policy reason=has expired"},
        {SIGNED "d=example.org; s=sel; h=from; t=99999999999",
         {FROM},
         "policy",
         "domain=example.org selector=sel algorithm=rsa-sha256 result=policy reason=is dated in "
         "the future"},
        {SIGNED "d=example.org; s=sel; h=from; t=1000",
         {FROM},
         "pass",
         "domain=example.org selector=sel algorithm=rsa-sha256 bits=2048 result=pass"},
    };
    static const char *const fields[] = {"Received: 1", "Received: 2", "Subject: s", FROM, NULL};
    static const char body[] = "Hello\r\n";
    const struct signers *fixture = *state;
    const char *record = signer_record(fixture->rsa);
    struct bench_answer dns[] = {{KEY, DNS_TXT, record},
                                 {"20240101._domainkey.example.org", DNS_TXT, record},
                                 {"xn--sl-bja._domainkey.xn--bcher-kva.example", DNS_TXT, record},
                                 {0}};
    struct bench *bench = new_bench("");
    size_t i;

    bench_dns(bench, dns);
    for (i = 0; i < LENGTH(rows); i++) {
        const char *value =
            signer_by_hand(fixture->rsa, rows[i].value, rows[i].fields, body, strlen(body));

        result_of(bench, value, fields, body, strlen(body));
        expect(bench, "by hand", i, "dkim.result", rows[i].result);
        expect(bench, "by hand", i, "dkim.signatures", rows[i].row);
    }
    bench_free(bench);
}

/* Signatures that sign signatures: the fields that they name are there whatever becomes of them. */
static void test_signed_signatures(void **state)
{
    static const char broken[] = " v=1; this is none";
    static const char *const fields[] = {FROM, NULL};
    const struct signers *fixture = *state;
    const char *covered = arena_printf(fixture->arena, "DKIM-Signature:%s", broken);
    const char *both[] = {FROM, covered, NULL};
    struct bench_answer dns[] = {{KEY, DNS_TXT, signer_record(fixture->rsa)}, {0}};
    struct bench *bench = new_bench("");
    const char *signatures[] = {signer_by_hand(fixture->rsa,
                                               SIGNED "d=example.org; s=sel; h=from:dkim-signature",
                                               both, "", 0),
                                broken, NULL};

    bench_dns(bench, dns);
    feed_header(bench, signatures, fields);
    assert_string_equal(run(bench, false), "pass");
    expect(bench, "signed signatures", 0, "dkim.count", "2");
    signatures[1] = " v=1; this is changed";
    feed_header(bench, signatures, fields);
    assert_string_equal(run(bench, false), "fail");
    bench_free(bench);
}

/* ---- keys ---- */

static void test_keys(void **state)
{
    const struct signers *fixture = *state;
    const char *rsa = signer_key(fixture->rsa);
    struct arena *arena = fixture->arena;
#define RECORD(...) arena_printf(arena, __VA_ARGS__)
    const struct {
        const char *record;
        const char *result, *reason;
    } rows[] = {
        {RECORD("v=DKIM1; p=%s", rsa), "pass", ""},
        {RECORD("p=%s", rsa), "pass", ""},
        {RECORD(" v = DKIM1 ; k = rsa ; n = a note; p = %s ;", rsa), "pass", ""},
        {RECORD("p=%.40s \t%s; s=*; h=sha1:sha256; t=", rsa, rsa + 40), "pass", ""},
        {RECORD("p=%s; s=tlsrpt:email", rsa), "pass", ""},
        {RECORD("p=%s", signer_bare_key(fixture->rsa)), "pass", ""},
        {RECORD("p=%s; t=y", rsa), "pass", ""},
        {RECORD("p=%s; t=s", rsa), "permerror", "has a key that is not for subdomains"},
        {RECORD("p=%s; v=DKIM1", rsa), "permerror", "has a key that is of an unknown version"},
        {RECORD("v=DKIM2; p=%s", rsa), "permerror", "has a key that is of an unknown version"},
        {RECORD("v=dkim1; p=%s", rsa), "permerror", "has a key that is of an unknown version"},
        {RECORD("k=dsa; p=%s", rsa), "permerror", "has a key that is of an unknown type"},
        {RECORD("k=ed25519; p=%s", rsa), "permerror", "has a key of another type"},
        {RECORD("s=other; p=%s", rsa), "permerror", "has a key that is not for e-mail"},
        {RECORD("h=sha1; p=%s", rsa), "permerror", "has a key that is not for SHA-256"},
        {"v=DKIM1; p=", "permerror", "has a key that is revoked"},
        {"v=DKIM1; k=rsa", "permerror", "has a key that is no key record"},
        {"v=spf1 -all", "permerror", "has a key that is of an unknown version"},
        {"", "permerror", "has a key that is no key record"},
        {"p=!!!!", "permerror", "has a key that is no base64"},
        {"p=AAAA", "permerror", "has a key that cannot be read"},
        {RECORD("p=%s", signer_key(fixture->ed25519)), "permerror",
         "has a key that cannot be read"},
        {RECORD("p=%sAAAA", rsa), "permerror", "has a key that cannot be read"},
        {RECORD("p=%s=", rsa), "permerror", "has a key that is no base64"},
        {RECORD("p=%s", signer_key(fixture->other)), "fail", "does not fit the header or the key"},
        {RECORD("p=%s; t=y", signer_key(fixture->other)), "neutral",
         "does not fit the header or the key (its domain is testing)"},
        {RECORD("p=%s; t=s:y", rsa), "neutral",
         "has a key that is not for subdomains (its domain is testing)"},
        {RECORD("p=%s", signer_key(fixture->small)), "fail", "has a key of only 512 bits"},
        {RECORD("p=%s", signer_fake_key(arena, 0, 17)), "fail", "has a key of only 0 bits"},
        {RECORD("p=%s", signer_fake_key(arena, 1, 17)), "fail", "has a key of only 1 bits"},
        {RECORD("p=%s", signer_fake_key(arena, 1023, 17)), "fail", "has a key of only 1023 bits"},
        {RECORD("p=%s", signer_fake_key(arena, 2048, 17)), "fail",
         "does not fit the header or the key"},
        {RECORD("p=%s", signer_fake_key(arena, 8192, 17)), "fail",
         "does not fit the header or the key"},
        {RECORD("p=%s", signer_fake_key(arena, 8193, 17)), "fail",
         "has a key of 8193 bits, too costly"},
        {RECORD("p=%s", signer_fake_key(arena, 60000, 17)), "fail",
         "has a key of 60000 bits, too costly"},
        {RECORD("p=%s", signer_fake_key(arena, 3072, 3000)), "fail",
         "has a key of 3072 bits, too costly"},
        {"!noname", "permerror", "has no key"},
        {"!nodata", "permerror", "has no key"},
        {"!fault", "~temperror", "has a key that cannot be fetched now: SERVFAIL"},
        {"!silent", "~temperror", "has a key that did not come in time"},
    };
    static const char *const fields[] = {FROM, NULL};
    const char *value = signer_by_hand(
        fixture->rsa, SIGNED "d=example.org; s=sel; h=from; i=@mx.example.org", fields, "", 0);
    struct bench *bench = new_bench("");
    size_t i;

    for (i = 0; i < LENGTH(rows); i++) {
        struct bench_answer dns[] = {{KEY, DNS_TXT, rows[i].record}, {0}};
        bool good = strcmp(rows[i].result, "pass") == 0;
        bool fault = rows[i].result[0] == '~';

        bench_dns(bench, dns);
        result_of(bench, value, fields, "", 0);
        expect(bench, rows[i].record, i, "dkim.result", rows[i].result);
        expect(bench, rows[i].record, i, "dkim.domains", good ? "example.org" : fault ? "~" : "");
        expect(bench, rows[i].record, i, "dkim.reason",
               good ? ""
                    : arena_printf(arena, "%sthe signature of example.org %s", fault ? "~" : "",
                                   rows[i].reason));
    }
    bench_free(bench);
}

static void test_key_options(void **state)
{
    static const char *const fields[] = {FROM, NULL};
    const struct signers *fixture = *state;
    struct bench_answer dns[] = {{KEY, DNS_TXT, signer_record(fixture->other)}, {0}};
    const char *value =
        signer_by_hand(fixture->other, SIGNED "d=example.org; s=sel; h=from", fields, "", 0);
    struct bench *bench = new_bench("dkim { min_key_bits 1025; }");

    bench_dns(bench, dns);
    assert_string_equal(result_of(bench, value, fields, "", 0), "fail");
    bench_free(bench);
    bench = new_bench("dkim { min_key_bits 1024; }");
    bench_dns(bench, dns);
    assert_string_equal(result_of(bench, value, fields, "", 0), "pass");
    bench_free(bench);
}

static void test_ed25519(void **state)
{
    static const char *const fields[] = {FROM, NULL};
    const struct signers *fixture = *state;
    const char *key = signer_key(fixture->ed25519);
    const struct {
        const char *record, *result;
    } rows[] = {
        {signer_record(fixture->ed25519), "pass"},
        {arena_printf(fixture->arena, "p=%s", key), "permerror"}, /* it says rsa */
        {signer_record(fixture->rsa), "permerror"},
        {"k=ed25519; p=AAAA", "permerror"},
        {"k=ed25519; p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "fail"},
        /* SubjectPublicKeyInfo, as some publish it. */
        {arena_printf(fixture->arena, "k=ed25519; p=MCowBQYDK2VwAyEA%s", key), "permerror"},
    };
    const char *value = signer_by_hand(
        fixture->ed25519, " v=1; a=ed25519-sha256; d=example.org; s=sel; h=from; bh=@BH; b=@B",
        fields, "", 0);
    struct bench *bench = new_bench("");
    size_t i;

    for (i = 0; i < LENGTH(rows); i++) {
        struct bench_answer dns[] = {{KEY, DNS_TXT, rows[i].record}, {0}};

        bench_dns(bench, dns);
        result_of(bench, value, fields, "", 0);
        expect(bench, rows[i].record, i, "dkim.result", rows[i].result);
    }
    bench_free(bench);
}

/* Several records of one name: any may do, the first four are tried. */
static const struct dns_answer *answer_many(void *arg, const char *name, enum dns_type type)
{
    const char *const *texts = arg;
    struct dns_record records[8];
    struct dns_answer draft = {
        .status = DNS_FOUND, .type = type, .name = name, .problem = "", .records = records};

    for (; texts[draft.count] != NULL; draft.count++)
        records[draft.count] = (struct dns_record){
            .name = "", .text = texts[draft.count], .length = strlen(texts[draft.count])};
    return dns_answer_new(&draft);
}

static void test_many_records(void **state)
{
    static const char *const fields[] = {FROM, NULL};
    const struct signers *fixture = *state;
    const char *good = signer_record(fixture->rsa);
    const char *other = signer_record(fixture->other);
    const char *testing = arena_printf(fixture->arena, "%s; t=y", other);
    const struct {
        const char *records[7];
        const char *result;
    } rows[] = {
        {{other, good}, "pass"},
        {{good, other}, "pass"},
        {{"v=spf1 -all", "p=", good}, "pass"},
        {{"v=spf1 -all", other}, "fail"},
        {{"v=spf1 -all", "p="}, "permerror"},
        {{other, testing}, "neutral"},
        {{other, other, other, other, good}, "fail"},
    };
    const char *value =
        signer_by_hand(fixture->rsa, SIGNED "d=example.org; s=sel; h=from", fields, "", 0);
    struct bench *bench = new_bench("");
    size_t i;

    for (i = 0; i < LENGTH(rows); i++) {
        bench_dns_by(bench, answer_many, (void *)(uintptr_t)rows[i].records);
        result_of(bench, value, fields, "", 0);
        expect(bench, "many records", i, "dkim.result", rows[i].result);
    }
    bench_free(bench);
}

/* ---- several signatures ---- */

static void test_several(void **state)
{
    static const char *const fields[] = {FROM, NULL};
    const struct signers *fixture = *state;
    const char *rsa = signer_record(fixture->rsa);
    const char *other = signer_record(fixture->other);
#define A "a._domainkey.example.org"
#define B "b._domainkey.example.net"
    const struct {
        const char *a, *b;
        const char *result, *domains, *reason;
    } rows[] = {
        {rsa, rsa, "pass", "example.org, example.net", ""},
        {rsa, other, "pass", "example.org", ""},
        {other, rsa, "pass", "example.net", ""},
        {"!fault", rsa, "pass", "~example.net", ""},
        {rsa, "!silent", "pass", "~example.org", ""},
        {"!fault", other, "~temperror", "~",
         "~the signature of example.org has a key that cannot be fetched now: SERVFAIL"},
        {"!noname", "!fault", "~temperror", "~",
         "~the signature of example.net has a key that cannot be fetched now: SERVFAIL"},
        {"!silent", "!silent", "~temperror", "~",
         "~the signature of example.org has a key that did not come in time"},
        {other, "!noname", "fail", "",
         "the signature of example.org does not fit the header or the key"},
        {"!noname", other, "fail", "",
         "the signature of example.net does not fit the header or the key"},
        {"!noname", "p=", "permerror", "", "the signature of example.org has no key"},
    };
    const char *signatures[] = {
        signer_by_hand(fixture->rsa, SIGNED "d=example.org; s=a; h=from", fields, "", 0),
        signer_by_hand(fixture->rsa, SIGNED "d=example.net; s=b; h=from", fields, "", 0), NULL};
    struct bench *bench = new_bench("");
    size_t i;
    int last_first;

    for (i = 0; i < LENGTH(rows); i++) {
        struct bench_answer dns[] = {{A, DNS_TXT, rows[i].a}, {B, DNS_TXT, rows[i].b}, {0}};

        bench_dns(bench, dns);
        for (last_first = 0; last_first < 2; last_first++) {
            feed_header(bench, signatures, fields);
            run(bench, last_first != 0);
            expect(bench, "several", i, "dkim.result", rows[i].result);
            expect(bench, "several", i, "dkim.domains", rows[i].domains);
            expect(bench, "several", i, "dkim.reason", rows[i].reason);
            expect(bench, "several", i, "dkim.count", "2");
        }
        assert_string_equal(bench_asked(bench), "TXT " A ", TXT " B);
        assert_string_equal(bench_warmed(bench), "TXT " A ", TXT " B);
    }
    bench_free(bench);
}

/* The first that can be read are tried, the others counted; each key is asked for once. */
static void test_limit(void **state)
{
    static const char *const fields[] = {FROM, NULL};
    enum { MANY = 500 };
    const struct signers *fixture = *state;
    struct bench_answer dns[] = {{A, DNS_TXT, signer_record(fixture->rsa)},
                                 {KEY, DNS_TXT, signer_record(fixture->other)},
                                 {0}};
    const char *good =
        signer_by_hand(fixture->rsa, SIGNED "d=example.org; s=a; h=from", fields, "", 0);
    const char *bad =
        signer_by_hand(fixture->rsa, SIGNED "d=example.org; s=sel; h=from", fields, "", 0);
    const char *signatures[MANY + 1];
    struct bench *bench = new_bench("dkim { max_signatures 3; }");
    size_t place, i;

    bench_dns(bench, dns);
    for (place = 0; place < 5; place++) {
        for (i = 0; i < MANY; i++)
            signatures[i] = i == place ? good : bad;
        signatures[MANY] = NULL;
        feed_header(bench, signatures, fields);
        assert_string_equal(run(bench, false), place < 3 ? "pass" : "fail");
        expect(bench, "limit", place, "dkim.count", "500");
        assert_string_equal(bench_asked(bench), place == 0  ? "TXT " A ", TXT " KEY
                                                : place < 3 ? "TXT " KEY ", TXT " A
                                                            : "TXT " KEY);
    }
    /* Those that cannot be read take no place. */
    for (i = 0; i < MANY; i++)
        signatures[i] = i == 400 ? good : " v=1; a=rsa-sha256";
    feed_header(bench, signatures, fields);
    assert_string_equal(run(bench, false), "pass");
    expect(bench, "limit", 5, "dkim.signatures",
           "algorithm=unknown result=neutral reason=has no d=; "
           "algorithm=unknown result=neutral reason=has no d=; "
           "algorithm=unknown result=neutral reason=has no d=;"
           " domain=example.org selector=a algorithm=rsa-sha256 bits=2048 result=pass");
    bench_free(bench);
}

/* ---- headers that are none ---- */

static void test_no_signature(void **state)
{
    static const char *const none[] = {NULL};
    static const char nothing[] = "result=none domains= count=0 reason=";
    struct bench *bench = new_bench("");
    struct inputs inputs = bench_inputs();

    (void)state;
    /* No message was seen at all. */
    assert_string_equal(bench_run(bench, "dkim", &inputs, false), nothing);
    feed_header(bench, none, header);
    bench_chunk(bench, "body\r\n", 6);
    assert_string_equal(bench_run(bench, "dkim", &inputs, false), nothing);
    assert_string_equal(bench_asked(bench), "");
    feed_header(bench, none, none);
    assert_string_equal(bench_run(bench, "dkim", &inputs, false), nothing);
    bench_free(bench);
}

/* Nothing of this may do more harm than to fail; asan watches. */
static void test_hostile(void **state)
{
    const struct signers *fixture = *state;
    struct arena *arena = fixture->arena;
    char *long_text = arena_alloc(arena, 20001);
    char *colons = arena_alloc(arena, 3001);
    size_t i;

    memset(long_text, 'a', 20000);
    memset(colons, ':', 3000);
#define WITH(...) arena_printf(arena, SIGNED "d=example.org; s=sel; " __VA_ARGS__)
    const struct {
        const char *value, *result;
    } rows[] = {
        {"", "neutral"},
        {" ", "neutral"},
        {";;;;", "neutral"},
        {"b=", "neutral"},
        {WITH("h=from; i=%.300s@example.org", long_text), "neutral"},
        {WITH("h=from; i=@example.org="), "neutral"},
        {WITH("h=from; i==@example.org"), "neutral"},
        {WITH("h=from; i==4@example.org"), "neutral"},
        {WITH("h=from; i==zz@example.org"), "neutral"},
        {WITH("h=from; i=example.org"), "neutral"},
        {WITH("h=from; i=@example.com"), "neutral"},
        {WITH("h=from; z=%s", long_text), "neutral"},
        {WITH("h=from:dkim-signature:dkim-signature:dkim-signature"), "pass"},
        {WITH("h=from:from:from:from:subject:to:to:to:date"), "pass"},
        {WITH("h=from:%s", colons), "neutral"},
        {WITH("h=from:%.300s", colons), "pass"},
        {WITH("h=:"), "neutral"},
        {WITH("h=subject"), "neutral"},
        {WITH("h=from:%.4000s", long_text), "pass"},
        {WITH("h=from:%.4200s", long_text), "pass"},
        {WITH("h=from; l=18446744073709551614"), "neutral"},
        {WITH("h=from; l=999999999999999999"), "fail"},
        {WITH("h=from; l=-1"), "neutral"},
        {WITH("h=from; x=1; t=2"), "neutral"},
        {WITH("h=from; t=9999999999999999999999"), "neutral"},
        {WITH("h=from; q=dns"), "neutral"},
        {WITH("h=from; c=x/y"), "neutral"},
        {WITH("h=from; \001=2"), "neutral"},
        {WITH("h=from; n=\177"), "neutral"},
        {WITH("h=from; s=sel"), "neutral"},
        {" v=1; a=rsa-sha1; d=example.org; s=sel; h=from; bh=AAAA; b=AAAA", "fail"},
        {" v=1; a=rsa-sha512; d=example.org; s=sel; h=from; bh=AAAA; b=AAAA", "neutral"},
        {" v=1; a=rsa-sha256; d=example.org; s=sel; h=from; bh=AAAA; b=AAAA", "neutral"},
        {" v=1; a=rsa-sha256; d=; s=sel; h=from; bh=@BH; b=@B", "neutral"},
        {" v=1; a=rsa-sha256; d=..; s=sel; h=from; bh=@BH; b=@B", "neutral"},
        {" v=1; a=rsa-sha256; d=example.org; s=; h=from; bh=@BH; b=@B", "neutral"},
        {" v=1; a=rsa-sha256; d=example.org; s=a b; h=from; bh=@BH; b=@B", "neutral"},
        {arena_printf(arena, " v=1; a=rsa-sha256; d=%.240s.org; s=sel; h=from; bh=@BH; b=@B",
                      long_text),
         "neutral"},
        {" v=2; a=rsa-sha256; d=example.org; s=sel; h=from; bh=@BH; b=@B", "neutral"},
    };
    static const char *const fields[] = {FROM, NULL};
    static const char *const no_from[] = {"Subject: s", NULL};
    static const char *const odd[] = {" : x", "From", "a;b: c", "\001: x", FROM, NULL};
    struct bench_answer dns[] = {{KEY, DNS_TXT, signer_record(fixture->rsa)}, {0}};
    struct bench *bench = new_bench("");

    bench_dns(bench, dns);
    for (i = 0; i < LENGTH(rows); i++) {
        const char *value = strstr(rows[i].value, "@B;") != NULL
                                ? signer_by_hand(fixture->rsa, rows[i].value, fields, "", 0)
                                : rows[i].value;

        result_of(bench, value, fields, "", 0);
        expect(bench, rows[i].value, i, "dkim.result", rows[i].result);
        result_of(bench, value, no_from, "", 0);
        assert_string_not_equal(bench_fact(bench, "dkim.result"), "pass");
        const char *signatures[] = {value, NULL};

        feed_header(bench, signatures, no_from + 1); /* nothing but signatures */
        assert_string_not_equal(run(bench, false), "pass");
        struct inputs inputs = bench_inputs();

        bench_stream(bench, &inputs);
        bench_header(bench, "DKIM-Signature", value);
        for (size_t j = 0; odd[j] != NULL; j++)
            bench_header(bench, odd[j], odd[j]);
        bench_eoh(bench);
        assert_string_not_equal(run(bench, false), "none");
    }
    bench_free(bench);
}

/* Headers that are too long are not judged in part. */
static void test_long_header(void **state)
{
    static const char *const fields[] = {FROM, NULL};
    const struct signers *fixture = *state;
    struct bench_answer dns[] = {{KEY, DNS_TXT, signer_record(fixture->rsa)}, {0}};
    const char *value =
        signer_by_hand(fixture->rsa, SIGNED "d=example.org; s=sel; h=from", fields, "", 0);
    struct bench *bench = new_bench("");
    struct inputs inputs = bench_inputs();
    size_t i;
    int behind;

    bench_dns(bench, dns);
    for (behind = 0; behind < 2; behind++) {
        bench_stream(bench, &inputs);
        if (!behind)
            bench_header(bench, "DKIM-Signature", value);
        feed_field(bench, FROM);
        for (i = 0; i < 20000; i++)
            bench_header(bench, "X-Field", " something that fills the header");
        if (behind)
            bench_header(bench, "DKIM-Signature", value);
        bench_eoh(bench);
        assert_string_equal(run(bench, false), "policy");
        expect(bench, "long header", (size_t)behind, "dkim.count", "1");
    }
    bench_free(bench);
}

/* ---- what dkimpy signs ---- */

static size_t decode(const char *text, unsigned char *out)
{
    size_t length = strlen(text);
    int got = EVP_DecodeBlock(out, (const unsigned char *)text, (int)length);

    assert_true(got >= 0);
    while (length > 0 && text[length - 1] == '=') {
        length--;
        got--;
    }
    return (size_t)got;
}

/* Header fields with CRLF become what an MTA gives: without their ends, folded with LF. */
static void feed_message(struct bench *bench, char *message, size_t length)
{
    struct inputs inputs = bench_inputs();
    char *end = message + length;
    char *body = memmem(message, length, "\r\n\r\n", 4);
    struct str field = {0};

    assert_non_null(body);
    bench_stream(bench, &inputs);
    for (char *c = message; c < body + 2; c++) {
        if (*c == '\r')
            continue;
        if (*c == '\n' && c[1] != ' ' && c[1] != '\t') {
            feed_field(bench, str_text(&field));
            str_clear(&field);
        } else {
            str_add_char(&field, *c);
        }
    }
    str_free(&field);
    bench_eoh(bench);
    for (body += 4; body < end; body += 4096)
        bench_chunk(bench, body, end - body < 4096 ? (size_t)(end - body) : 4096);
}

static void test_dkimpy(void **state)
{
    enum { KEYS_MAX = 4 };
    FILE *pipe = popen("/usr/bin/python3 tests/support/dkimpy_messages.py", "r");
    struct arena *arena = arena_new();
    struct bench *bench = new_bench("");
    struct bench_answer dns[KEYS_MAX + 1] = {{0}};
    size_t keys = 0;
    size_t cases = 0;
    char *line = NULL;
    size_t room = 0;
    char *name = NULL;
    char *result = NULL;
    ssize_t length;

    (void)state;
    assert_non_null(pipe);
    while ((length = getline(&line, &room, pipe)) > 0) {
        char *value = strchr(line, ' ');

        line[length - 1] = '\0';
        if (value == NULL) {
            bench_dns(bench, dns);
            run(bench, false);
            expect(bench, name, cases++, "dkim.result", result);
            memset(dns, 0, sizeof(dns));
            keys = 0;
            continue;
        }
        *value++ = '\0';
        if (strcmp(line, "name") == 0) {
            name = arena_strdup(arena, value);
        } else if (strcmp(line, "result") == 0) {
            result = arena_strdup(arena, value);
        } else if (strcmp(line, "key") == 0) {
            char *record = strchr(value, ' ');

            assert_true(keys < KEYS_MAX);
            *record++ = '\0';
            dns[keys++] = (struct bench_answer){arena_strdup(arena, value), DNS_TXT,
                                                arena_strdup(arena, record)};
        } else {
            char *message = arena_alloc(arena, strlen(value));

            feed_message(bench, message, decode(value, (unsigned char *)message));
        }
    }
    free(line);
    assert_int_equal(pclose(pipe), 0);
    assert_true(cases > 70);
    bench_free(bench);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),       cmocka_unit_test(test_no_last_line_end),
        cmocka_unit_test(test_splits),       cmocka_unit_test(test_changes),
        cmocka_unit_test(test_by_hand),      cmocka_unit_test(test_signed_signatures),
        cmocka_unit_test(test_keys),         cmocka_unit_test(test_key_options),
        cmocka_unit_test(test_ed25519),      cmocka_unit_test(test_many_records),
        cmocka_unit_test(test_several),      cmocka_unit_test(test_limit),
        cmocka_unit_test(test_no_signature), cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_long_header),  cmocka_unit_test(test_dkimpy),
    };
    return cmocka_run_group_tests(tests, signers_set_up, signers_tear_down);
}
