/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <postern/arena.h>

#include "../../src/checks/dkim_scan.h"
#include "../../src/checks/dkim_verify.h"

#define LENGTH(rows) (sizeof(rows) / sizeof((rows)[0]))
#define NOW          1700000000

/* 32 octets in base64 */
#define HASH "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

static const char *const results[] = {"none",    "pass",      "fail",     "policy",
                                      "neutral", "temperror", "permerror"};

/* "none: d=.. s=.. i=.. key=.. a=.. c=.. l=.. h=.." and " plain" */
static const char *show(struct arena *arena, const struct dkim_signature *s)
{
    if (s->result != RESULT_NONE)
        return arena_printf(arena, "%s: %s", results[s->result], s->reason);
    return arena_printf(arena, "%s %s %s%s %s %s/%s %lld %s %zu%s", s->domain, s->selector,
                        s->identity, s->exact ? "" : " (sub)", s->algorithm_name,
                        s->header_canon == CANON_RELAXED ? "relaxed" : "simple",
                        s->body_canon == CANON_RELAXED ? "relaxed" : "simple",
                        (long long)s->body_limit, s->names, s->length, s->plain ? " plain" : "");
}

static void test_signatures(void **state)
{
#define START "v=1; a=rsa-sha256; bh=" HASH "; b=AAAA; "
#define BASE  START "d=example.org; s=sel; h=from"
    static const struct {
        const char *value, *expected;
    } rows[] = {
        {BASE, "example.org sel @example.org rsa-sha256 simple/simple -1 from 3 plain"},
        {" " BASE ";", "example.org sel @example.org rsa-sha256 simple/simple -1 from 3 plain"},
        {BASE " ;\n ", "example.org sel @example.org rsa-sha256 simple/simple -1 from 3 plain"},
        {BASE ";;", "neutral: is no list of tags"},
        {BASE "; c=relaxed; l=12",
         "example.org sel @example.org rsa-sha256 relaxed/simple 12 from 3 plain"},
        {BASE "; c=simple/relaxed; unknown=x y",
         "example.org sel @example.org rsa-sha256 simple/relaxed -1 from 3 plain"},
        {BASE "; c=relaxed/", "neutral: has an unknown canonicalization"},
        {BASE " : To :\n\tsubject",
         "example.org sel @example.org rsa-sha256 simple/simple -1 from:To:subject 3 plain"},
        {START "d=Example.ORG; s=Sel; h=FROM; i=joe@Mx.Example.Org",
         "example.org sel joe@Mx.Example.Org (sub) rsa-sha256 simple/simple -1 FROM 3 plain"},
        {START "d=example.org; s=a.b; h=from; i=@example.org",
         "example.org a.b @example.org rsa-sha256 simple/simple -1 from 3 plain"},
        /* What libopendkim would see otherwise. */
        {BASE "; i=a=20b@example.org",
         "example.org sel a=20b@example.org rsa-sha256 simple/simple -1 from 3"},
        {BASE "; i=\"a@b\"@example.org",
         "example.org sel \"a@b\"@example.org rsa-sha256 simple/simple -1 from 3"},
        {BASE ":dkim-signature",
         "example.org sel @example.org rsa-sha256 simple/simple -1 from:dkim-signature 3"},
        {BASE ":dkim-\n signature",
         "example.org sel @example.org rsa-sha256 simple/simple -1 from:dkim-signature 3"},
        {BASE "; xb=1", "example.org sel @example.org rsa-sha256 simple/simple -1 from 3"},
        {BASE "; H=to", "example.org sel @example.org rsa-sha256 simple/simple -1 from 3"},
        {"v=1; a=rsa-sha256; bh=" HASH "; b =AAAA; d=example.org; s=sel; h=from",
         "example.org sel @example.org rsa-sha256 simple/simple -1 from 3"},
        {BASE "; n=\303\274", "example.org sel @example.org rsa-sha256 simple/simple -1 from 3"},
        {BASE "; t=5", "example.org sel @example.org rsa-sha256 simple/simple -1 from 3"},
        {BASE "; t=1699999999; x=1700000001",
         "example.org sel @example.org rsa-sha256 simple/simple -1 from 3 plain"},
        {BASE "; x=1699999701",
         "example.org sel @example.org rsa-sha256 simple/simple -1 from 3 plain"},
        {BASE "; x=1699999699", "policy: has expired"},
        {BASE "; t=1700086400",
         "example.org sel @example.org rsa-sha256 simple/simple -1 from 3 plain"},
        {BASE "; t=1700086401", "policy: is dated in the future"},
        {BASE "; t=7; x=7", "neutral: expires before it was made"},
        {BASE "; t=", "neutral: has a t= or x= that is no time"},
        {BASE "; x=1e9", "neutral: has a t= or x= that is no time"},
        {BASE "; q=dns/txt",
         "example.org sel @example.org rsa-sha256 simple/simple -1 from 3 plain"},
        {BASE "; q=http", "neutral: has its key elsewhere than in the DNS"},
        {BASE "; l=", "neutral: has an l= that is no length"},
        {BASE "; i=", "neutral: has an i= without a domain"},
        {BASE "; i=a@", "neutral: has an i= without a domain"},
        {BASE "; i=a=@example.org", "neutral: has an i= that is not well quoted"},
        {BASE "; i=a=4@example.org", "neutral: has an i= that is not well quoted"},
        {BASE "; i=a=4a@example.org", "neutral: has an i= that is not well quoted"},
        {BASE "; i=@example.org=", "neutral: has an i= that is not well quoted"},
        {BASE "; i=@notexample.org", "neutral: has an i= that is not of its domain"},
        {START "d=mx.example.org; s=sel; h=from; i=@example.org",
         "neutral: has an i= that is not of its domain"},
        {START "s=sel; h=from", "neutral: has no d="},
        {START "d=example.org; h=from", "neutral: has no s="},
        {START "d=example.org; s=a..b; h=from", "neutral: has an s= that is no selector"},
        {START "d=192.0.2.1; s=sel; h=from", "neutral: has a d= that is no domain name"},
        {START "d=example.org; s=sel", "neutral: has no h="},
        {START "d=example.org; s=sel; h=fromx:to", "neutral: does not sign the From field"},
        {"v=1; a=rsa-sha256; d=example.org; s=sel; h=from; bh=" HASH, "neutral: has no b="},
        {"v=1; a=rsa-sha256; d=example.org; s=sel; h=from; bh=" HASH "; b=",
         "neutral: has a b= that is no base64"},
        {"v=1; a=rsa-sha256; d=example.org; s=sel; h=from; b=AAAA; bh=AAAA",
         "neutral: has no bh= that is a SHA-256"},
        {"v=1; a=rsa-sha256; d=example.org; s=sel; h=from; b=AAAA",
         "neutral: has no bh= that is a SHA-256"},
        {"v=2; d=example.org; s=sel", "neutral: is of an unknown version"},
        {"d=example.org; s=sel", "neutral: is of an unknown version"},
        {"v=1; d=example.org; s=sel", "neutral: has no a="},
        {"v=1; d=example.org; s=sel; a=x", "neutral: is of an unknown algorithm"},
        {"v=1; d=example.org; s=sel; a=rsa-sha1",
         "fail: is made with SHA-1, which does not count any more"},
        {"d=example.org; d=example.org", "neutral: is no list of tags"},
        {"d", "neutral: is no list of tags"},
        {"", "neutral: is no list of tags"},
    };
    struct arena *arena = arena_new();
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        struct header_list header;
        struct dkim_signature signature;
        const char *shown;

        header_list_init(&header, arena);
        header_list_add(&header, "DKIM-Signature", rows[i].value);
        dkim_signature_read(&signature, &header, 0, NOW, arena);
        shown = show(arena, &signature);
        if (strcmp(shown, rows[i].expected) != 0)
            fail_msg("row %zu: %s\n  gives    %s\n  expected %s", i, rows[i].value, shown,
                     rows[i].expected);
    }
    arena_free(arena);
}

/* The value of b= is cut out with all white space around it (RFC 6376 3.7). */
static void test_place_of_b(void **state)
{
    static const char value[] =
        " v=1; a=rsa-sha256; d=example.org; s=sel; h=from; bh=" HASH "; b=\n AA\n\tAA ; t=1";
    struct arena *arena = arena_new();
    struct header_list header;
    struct dkim_signature signature;

    (void)state;
    header_list_init(&header, arena);
    header_list_add(&header, "DKIM-Signature", value);
    dkim_signature_read(&signature, &header, 0, NOW, arena);
    assert_int_equal(signature.result, RESULT_NONE);
    assert_int_equal(signature.length, 3);
    assert_int_equal(signature.b_length, strlen("\n AA\n\tAA "));
    assert_memory_equal(value + signature.b_start, "\n AA\n\tAA ", signature.b_length);
    arena_free(arena);
}

static void test_keys(void **state)
{
    static const struct {
        const char *text, *problem;
        enum key_type type;
        bool testing, exact;
    } rows[] = {
        {"p=AAAA", NULL, KEY_RSA, false, false},
        {"v=DKIM1; k=RSA; p=AAAA; t=y:s", NULL, KEY_RSA, true, true},
        {"k=ed25519; p=AAAA; t= s ; s=email : x", NULL, KEY_ED25519, false, true},
        {"v=DKIM1; p=AA AA; t=ys", NULL, KEY_RSA, false, false},
        {"v=DKIM1; p=; t=y", "is revoked", KEY_RSA, true, false},
        {"p=AAAA; p=AAAA", "is no key record", KEY_RSA, false, false},
        {"p=AAAA; v=DKIM1", "is of an unknown version", KEY_RSA, false, false},
        {"v=DKIM1 p=AAAA", "is of an unknown version", KEY_RSA, false, false},
        {"v=DKIM1", "is no key record", KEY_RSA, false, false},
        {"p=====", "is no base64", KEY_RSA, false, false},
        {"s=; p=AAAA", "is not for e-mail", KEY_RSA, false, false},
        {"h=sha512; p=AAAA", "is not for SHA-256", KEY_RSA, false, false},
        {"k=; p=AAAA", "is of an unknown type", KEY_RSA, false, false},
    };
    struct arena *arena = arena_new();
    struct dkim_key key;
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        dkim_key_read(&key, rows[i].text, strlen(rows[i].text), arena);
        if (strcmp(key.problem != NULL ? key.problem : "",
                   rows[i].problem != NULL ? rows[i].problem : "") != 0)
            fail_msg("%s: %s", rows[i].text, key.problem != NULL ? key.problem : "no problem");
        assert_int_equal(key.type, rows[i].type);
        assert_int_equal(key.testing, rows[i].testing);
        assert_int_equal(key.exact, rows[i].exact);
    }
    dkim_key_read(&key, "p=AAAA\0", 7, arena);
    assert_string_equal(key.problem, "is no key record");
    arena_free(arena);
}

/* ---- the two ways to hash a header ---- */

/* Both ways give the same digests, libopendkim takes what is said to be plain, and nothing else. */
static void test_digests(void **state)
{
    static const char *const fields[] = {
        "Received: by a.example;\n\tMon, 1 Jan 2024 00:00:00 +0000",
        "Received:by b.example",
        "From: Joe <joe@example.org>",
        "TO : a@example.net,\n\tb@example.net \t,\n  c@example.net\n ",
        "Subject:  \303\274ber \t 8 bit  ",
        "X-Empty:",
        "X-Blank:  ",
    };
    static const char *const names[] = {
        "from",
        "From:To:Subject:X-Empty:X-Blank:Received:Received",
        "received:from:received:received:from:from:nothing:to",
        "from:x-empty:x-blank:to:subject:received:received:a:b:c:d:e:f:g:h",
        "::from::",
    };
    static const char *const canons[] = {"simple", "relaxed", "relaxed/relaxed"};
    enum { SIGNATURES = LENGTH(names) * LENGTH(canons) };
    struct arena *arena = arena_new();
    struct dkim_verifier *verifier = dkim_verifier_new();
    struct header_list header;
    struct dkim_signature signatures[SIGNATURES + 1];
    unsigned char library[SIGNATURES + 1][HEADER_HASH_SIZE];
    unsigned char own[HEADER_HASH_SIZE];
    bool taken[SIGNATURES + 1];
    size_t i, j;
    size_t count = 0;

    (void)state;
    header_list_init(&header, arena);
    for (i = 0; i < LENGTH(names); i++)
        for (j = 0; j < LENGTH(canons); j++)
            header_list_add(&header, "DKIM-Signature",
                            arena_printf(arena,
                                         " v=1; a=rsa-sha256; c=%s;\n\td=example.org; s=sel;\n "
                                         "h=%s; bh=" HASH ";\n\tb=AAAA\n AAAA; t=1600000000",
                                         canons[j], names[i]));
    header_list_add(&header, "DKIM-Signature", BASE "; n=\303\274");
    for (i = 0; i < LENGTH(fields); i++) {
        size_t length = strcspn(fields[i], ":");

        header_list_add(&header, arena_strndup(arena, fields[i], length), fields[i] + length + 1);
    }
    for (count = 0; count < LENGTH(signatures); count++) {
        dkim_signature_read(&signatures[count], &header, count, NOW, arena);
        assert_int_equal(signatures[count].result, RESULT_NONE);
    }
    dkim_header_digests_library(verifier, &header, signatures, count, library, taken, arena);
    for (i = 0; i < SIGNATURES; i++) {
        assert_true(signatures[i].plain);
        assert_true(taken[i]);
        dkim_header_digest_own(&header, &signatures[i], own, arena);
        if (memcmp(own, library[i], sizeof(own)) != 0)
            fail_msg("h=%s: the digests differ", signatures[i].names);
    }
    assert_false(signatures[SIGNATURES].plain);
    assert_false(taken[SIGNATURES]);
    dkim_verifier_free(verifier);
    arena_free(arena);
}

/* Headers about which libopendkim is mistaken are not for it. */
static void test_odd_headers(void **state)
{
    static const struct {
        const char *name, *value;
        bool taken;
    } rows[] = {
        {"Subject", " text", true},
        {"Subject ", " text", true},
        {"Subject\t", " text", false},
        {"Subject", " vertical\vtab", false},
        {"Subject", " form\ffeed", false},
        {"Subject", " bare\rCR", false},
        {"", " no name", true},
    };
    struct dkim_verifier *verifier = dkim_verifier_new();
    struct arena *arena = arena_new();
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        struct header_list header;
        struct dkim_signature signature;
        unsigned char library[1][HEADER_HASH_SIZE];
        unsigned char own[HEADER_HASH_SIZE];
        bool taken;

        header_list_init(&header, arena);
        header_list_add(&header, "DKIM-Signature", BASE "::subject; c=relaxed");
        header_list_add(&header, rows[i].name, rows[i].value);
        dkim_signature_read(&signature, &header, 0, NOW, arena);
        dkim_header_digests_library(verifier, &header, &signature, 1, library, &taken, arena);
        dkim_header_digest_own(&header, &signature, own, arena);
        if (taken != rows[i].taken || (taken && memcmp(own, library[0], sizeof(own)) != 0))
            fail_msg("row %zu: taken %d", i, taken);
    }
    dkim_verifier_free(verifier);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signatures),  cmocka_unit_test(test_place_of_b),
        cmocka_unit_test(test_keys),        cmocka_unit_test(test_digests),
        cmocka_unit_test(test_odd_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
