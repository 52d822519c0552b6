/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/checks/checks_private.h"
#include "probe_bench.h"

enum { ANSWERS_MAX = 8 };

/* What the other checks bring. */
#define RESULTS "none neutral pass fail softfail temperror! permerror"
static const struct fact_row from_domain = {"from.domain", FACT_DOMAIN, STAGE_MESSAGE,
                                            SCOPE_MESSAGE, NULL,        ""};
static const struct fact_row spf_result = {"spf.result",      FACT_WORD, STAGE_MAIL,
                                           SCOPE_TRANSACTION, RESULTS,   ""};
static const struct fact_row spf_domain = {"spf.domain",      FACT_DOMAIN, STAGE_MAIL,
                                           SCOPE_TRANSACTION, NULL,        ""};
static const struct fact_row dkim_result = {"dkim.result",
                                            FACT_WORD,
                                            STAGE_MESSAGE,
                                            SCOPE_MESSAGE,
                                            "none pass fail policy neutral temperror! permerror",
                                            ""};
static const struct fact_row dkim_domains = {"dkim.domains", FACT_SET, STAGE_MESSAGE,
                                             SCOPE_MESSAGE,  NULL,     ""};
static const struct fact_row dkim_signatures = {
    "dkim.signatures", FACT_ROWS, STAGE_MESSAGE, SCOPE_MESSAGE, "domain selector result", ""};

struct row {
    const char *from;
    const char *spf;  /* "pass bounce.example.org"; NULL: none */
    const char *dkim; /* result and passing domains: "pass a.example, b.example"; NULL: none */
    struct bench_answer at[ANSWERS_MAX];
    const char *facts; /* result, policy, domain, aligned, author */
    const char *asked; /* without "TXT _dmarc."; NULL: not looked at */
};

#define TXT(name, text)                                                                            \
    {                                                                                              \
        "_dmarc." name, DNS_TXT, text                                                              \
    }
#define P       "v=DMARC1; p=reject"
#define EXAMPLE TXT("example.com", P)

/* clang-format off */
static const struct row rows[] = {
    /* No author, no record. */
    {"", "pass example.com", "pass example.com", {EXAMPLE}, "none none - none no", ""},
    {"example.com", "pass example.com", NULL, {{0}}, "none none example.com spf no", "example.com com"},
    {"example.com", NULL, "pass mail.example.com", {{0}}, "none none example.com none no", "example.com com"},
    {"example.com", NULL, "pass example.com", {{0}}, "none none example.com dkim yes", "example.com com"},

    /* Alignment, relaxed. */
    {"example.com", "pass example.com", NULL, {EXAMPLE}, "pass reject example.com spf no", "example.com com"},
    {"example.com", "pass bounce.example.com", NULL, {EXAMPLE}, "pass reject example.com spf no",
     "example.com com bounce.example.com"},
    {"example.com", NULL, "pass example.com", {EXAMPLE}, "pass reject example.com dkim yes", "example.com com"},
    {"example.com", "pass example.com", "pass mail.example.com", {EXAMPLE},
     "pass reject example.com both yes", "example.com com mail.example.com"},
    {"example.com", "fail example.com", "pass list.test", {EXAMPLE},
     "fail reject example.com none no", "example.com com"},
    {"example.com", "softfail example.com", "fail", {EXAMPLE}, "fail reject example.com none no", NULL},
    {"example.com", "permerror example.com", "permerror", {EXAMPLE}, "fail reject example.com none no", NULL},
    {"example.com", "neutral example.com", "neutral", {EXAMPLE}, "fail reject example.com none no", NULL},
    {"example.com", NULL, "policy", {EXAMPLE}, "fail reject example.com none no", NULL},
    {"example.com", NULL, NULL, {EXAMPLE}, "fail reject example.com none no", "example.com com"},
    {"mail.example.com", NULL, "pass example.com", {EXAMPLE}, "pass reject example.com dkim yes",
     "mail.example.com example.com com"},
    {"a.example.com", NULL, "pass b.example.com", {EXAMPLE}, "pass reject example.com dkim yes",
     "a.example.com example.com com b.example.com"},
    {"example.com", NULL, "pass list.test, Example.COM", {EXAMPLE}, "pass reject example.com dkim yes", NULL},

    /* What has passed for aligned elsewhere, and is not: parents, suffixes, names of one letter. */
    {"example.com", NULL, "pass com", {EXAMPLE}, "fail reject example.com none no", "example.com com"},
    {"example.com", "pass com", NULL, {EXAMPLE}, "fail reject example.com none no", NULL},
    {"example.co.uk", NULL, "pass co.uk", {TXT("example.co.uk", P)},
     "fail reject example.co.uk none no", "example.co.uk co.uk uk"},
    {"alice.com", NULL, "pass x.com", {TXT("alice.com", P)}, "fail reject alice.com none no", NULL},
    {"alice.com", NULL, "pass b.com", {TXT("alice.com", P)}, "fail reject alice.com none no", NULL},
    {"alice.co.uk", NULL, "pass b.co.uk", {TXT("alice.co.uk", P)}, "fail reject alice.co.uk none no", NULL},
    {"a.com", NULL, "pass bob.com", {TXT("a.com", P)}, "fail reject a.com none no", NULL},
    {"alice.github.test", NULL, "pass github.test", {TXT("alice.github.test", P)},
     "fail reject alice.github.test none no", NULL},
    {"example.com", NULL, "pass notexample.com", {EXAMPLE}, "fail reject example.com none no", "example.com com"},
    {"example.com", NULL, "pass example.com.evil.test", {EXAMPLE}, "fail reject example.com none no", NULL},
    /* A public suffix says so, and is a domain of its own. */
    {"example.com", NULL, "pass com", {EXAMPLE, TXT("com", P "; psd=y")},
     "fail reject example.com none no", "example.com com"},
    {"com", NULL, "pass example.com", {TXT("com", P "; psd=y")}, "fail reject com none no",
     "com example.com"},
    /* An organization below the one in the way. */
    {"example.com", NULL, "pass mail.dept.example.com", {EXAMPLE, TXT("dept.example.com", P "; psd=n")},
     "fail reject example.com none no", "example.com com mail.dept.example.com dept.example.com"},
    {"dept.example.com", NULL, "pass example.com", {EXAMPLE, TXT("dept.example.com", P "; psd=n")},
     "fail reject dept.example.com none no", "dept.example.com"},
    {"dept.example.com", NULL, "pass mail.dept.example.com", {EXAMPLE, TXT("dept.example.com", P "; psd=n")},
     "pass reject dept.example.com dkim yes", "dept.example.com mail.dept.example.com"},

    /* Alignment, strict. */
    {"example.com", NULL, "pass mail.example.com", {TXT("example.com", P "; adkim=s")},
     "fail reject example.com none no", "example.com com"},
    {"example.com", "pass bounce.example.com", NULL, {TXT("example.com", P "; aspf=s")},
     "fail reject example.com none no", "example.com com"},
    {"example.com", "pass bounce.example.com", NULL, {TXT("example.com", P "; adkim=s")},
     "pass reject example.com spf no", NULL},
    {"example.com", "pass example.com", "pass example.com", {TXT("example.com", P "; adkim=s; aspf=s")},
     "pass reject example.com both yes", "example.com com"},
    {"a.example.com", NULL, "pass example.com", {TXT("example.com", P "; adkim=s")},
     "fail reject example.com none no", NULL},

    /* Which policy. */
    {"a.example.com", NULL, NULL, {TXT("example.com", "v=DMARC1; p=reject; sp=none"),
                                   TXT("a.example.com", "!nodata")},
     "fail none example.com none no", NULL},
    {"a.example.com", NULL, NULL, {TXT("example.com", "v=DMARC1; p=none; sp=quarantine"),
                                   TXT("a.example.com", "v=DMARC1; p=reject; sp=none")},
     "fail reject example.com none no", NULL},
    {"a.example.com", NULL, NULL, {TXT("example.com", "v=DMARC1; p=none; np=reject"),
                                   TXT("a.example.com", "!nodata")},
     "fail none example.com none no", "a.example.com example.com com"},
    {"a.example.com", NULL, NULL, {TXT("example.com", "v=DMARC1; p=none; np=reject")},
     "fail reject example.com none no", "a.example.com example.com com A:a.example.com"},
    {"a.example.com", NULL, NULL, {TXT("example.com", "v=DMARC1; p=none; np=reject"),
                                   {"a.example.com", DNS_A, "!nodata"}},
     "fail none example.com none no", "a.example.com example.com com A:a.example.com"},
    {"a.example.com", NULL, NULL, {TXT("example.com", "v=DMARC1; p=none; np=reject"),
                                   {"a.example.com", DNS_A, "192.0.2.1"}},
     "fail none example.com none no", NULL},
    {"a.example.com", NULL, NULL, {TXT("example.com", "v=DMARC1; p=none; np=reject"),
                                   {"a.example.com", DNS_A, "!fault"}},
     "fail ~ example.com none no", NULL},
    {"a.example.com", NULL, NULL, {TXT("example.com", "v=DMARC1; p=none; np=reject"),
                                   {"a.example.com", DNS_A, "!silent"}},
     "fail ~ example.com none no", NULL},
    {"example.com", NULL, NULL, {TXT("example.com", "v=DMARC1; p=none; sp=reject; np=reject")},
     "fail none example.com none no", "example.com com"},
    {"example.com", NULL, NULL, {TXT("com", "v=DMARC1; p=none; sp=quarantine; psd=y")},
     "fail quarantine example.com none no", NULL},
    {"example.com", NULL, NULL, {TXT("com", "v=DMARC1; p=none; sp=none; np=reject; psd=y")},
     "fail reject example.com none no", "example.com com A:example.com"},
    {"example.com", NULL, NULL, {TXT("example.com", P "; t=y")}, "fail quarantine example.com none no", NULL},
    {"a.example.com", NULL, NULL, {TXT("example.com", P "; sp=quarantine; t=y")},
     "fail none example.com none no", NULL},
    {"a.example.com", NULL, NULL, {TXT("example.com", "v=DMARC1; p=none; np=quarantine; t=y")},
     "fail none example.com none no", "a.example.com example.com com"},
    {"example.com", "pass example.com", NULL, {TXT("example.com", "v=DMARC1; p=maybe")},
     "permerror none example.com spf no", NULL},
    {"example.com", NULL, NULL, {TXT("example.com", "v=DMARC1; rua=mailto:d@example.com")},
     "fail none example.com none no", NULL},

    /* The record could not be found out. */
    {"example.com", NULL, NULL, {TXT("example.com", "!fault")}, "~temperror ~ ~ none no", "example.com"},
    {"example.com", NULL, NULL, {TXT("example.com", "!silent")}, "~temperror ~ ~ none no", "example.com"},
    {"example.com", "pass mail.example.com", NULL, {TXT("example.com", "!fault")},
     "~temperror ~ ~ ~none no", "example.com"},
    {"example.com", "pass bounce.test", "pass list.test", {TXT("example.com", "!fault")},
     "~temperror ~ ~ none no", "example.com"},
    {"example.com", NULL, "pass example.com", {TXT("example.com", "!fault")},
     "pass ~ ~ dkim yes", "example.com"},
    {"example.com", NULL, "pass example.com", {TXT("example.com", "!silent")},
     "pass ~ ~ dkim yes", "example.com"},
    {"a.example.com", NULL, NULL, {TXT("example.com", "!fault")}, "~temperror ~ ~ none no", NULL},
    /* The policy is known, the organization is not. */
    {"example.com", NULL, NULL, {EXAMPLE, TXT("com", "!fault")}, "fail reject ~ none no", NULL},
    {"example.com", NULL, "pass list.test", {EXAMPLE, TXT("com", "!fault")}, "fail reject ~ none no", NULL},
    {"example.com", NULL, "pass mail.example.com", {EXAMPLE, TXT("com", "!fault")},
     "~temperror reject ~ ~none ~", "example.com com"},
    {"example.com", NULL, "pass example.com", {EXAMPLE, TXT("com", "!silent")},
     "pass reject ~ dkim yes", NULL},
    {"example.com", NULL, "pass mail.example.com", {TXT("example.com", P "; adkim=s"), TXT("com", "!fault")},
     "fail reject ~ none no", NULL},
    /* The organization of the other domain is not. */
    {"example.com", NULL, "pass mail.example.com", {EXAMPLE, TXT("mail.example.com", "!fault")},
     "~temperror reject example.com ~none ~", NULL},
    {"example.com", "pass example.com", "pass mail.example.com", {EXAMPLE, TXT("mail.example.com", "!silent")},
     "pass reject example.com ~spf ~", NULL},

    /* SPF could not be found out. */
    {"example.com", "temperror example.com", NULL, {EXAMPLE}, "~temperror reject example.com ~none no", NULL},
    {"example.com", "temperror bounce.example.com", NULL, {EXAMPLE}, "~temperror reject example.com ~none no", NULL},
    {"example.com", "!fault !fault", NULL, {EXAMPLE}, "~temperror reject example.com ~none no", NULL},
    {"example.com", "temperror example.com", "pass example.com", {EXAMPLE},
     "pass reject example.com ~dkim yes", NULL},
    {"example.com", "temperror example.com", NULL, {{0}}, "none none example.com ~none no", NULL},
    /* Whatever it is, it would not be aligned: nobody gets out of it by a domain that is broken. */
    {"example.com", "temperror evil.test", NULL, {EXAMPLE}, "fail reject example.com none no", NULL},
    {"example.com", "temperror mail.example.com", NULL, {TXT("example.com", P "; aspf=s")},
     "fail reject example.com none no", NULL},

    /* DKIM could not be found out. */
    {"example.com", NULL, "temperror", {EXAMPLE}, "~temperror reject example.com ~none ~", NULL},
    {"example.com", NULL, "!fault !fault", {EXAMPLE}, "~temperror reject example.com ~none ~", NULL},
    {"example.com", NULL, "pass !fault", {EXAMPLE}, "~temperror reject example.com ~none ~", NULL},
    {"example.com", "pass example.com", "temperror", {EXAMPLE}, "pass reject example.com ~spf ~", NULL},
};
/* clang-format on */

/* "pass example.org": the result, and what is behind the blank. */
static void give(struct bench *bench, const struct fact_row *result, const struct fact_row *domain,
                 const char *text)
{
    char copy[256];
    char *rest;

    strcpy(copy, text != NULL ? text : "none");
    rest = copy + strcspn(copy, " ");
    if (*rest != '\0')
        *rest++ = '\0';
    bench_give(bench, result, copy);
    bench_give(bench, domain, rest);
}

/* The names of "TXT _dmarc.a, A b" as "a A:b". */
static const char *short_names(const char *asked, char out[1024])
{
    size_t used = 0;

    while (*asked != '\0') {
        if (used > 0)
            out[used++] = ' ';
        if (strncmp(asked, "TXT _dmarc.", 11) == 0) {
            asked += 11;
        } else {
            out[used++] = 'A';
            out[used++] = ':';
            asked += 2;
        }
        while (*asked != '\0' && *asked != ',')
            out[used++] = *asked++;
        asked += strspn(asked, ", ");
    }
    out[used] = '\0';
    return out;
}

static const char *facts_of(struct bench *bench, char out[256])
{
    const char *domain = bench_fact(bench, "dmarc.domain");

    snprintf(out, 256, "%s %s %s %s %s", bench_fact(bench, "dmarc.result"),
             bench_fact(bench, "dmarc.policy"), domain[0] != '\0' ? domain : "-",
             bench_fact(bench, "dmarc.aligned"), bench_fact(bench, "dkim.author"));
    return out;
}

static void test_rows(void **state)
{
    struct bench *bench = bench_new(&check_dmarc, NULL, "", NULL);
    struct inputs inputs = bench_inputs();
    char out[1024];
    size_t i;
    int order;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        bench_give(bench, &from_domain, rows[i].from);
        give(bench, &spf_result, &spf_domain, rows[i].spf);
        give(bench, &dkim_result, &dkim_domains, rows[i].dkim);
        bench_dns(bench, rows[i].at);
        for (order = 0; order < 3; order++) {
            bench_dns_at_once(bench, order == 0);
            bench_run(bench, "dmarc", &inputs, order == 2);
            if (strcmp(facts_of(bench, out), rows[i].facts) != 0)
                print_error("row %zu: %s\n", i, rows[i].from);
            assert_string_equal(facts_of(bench, out), rows[i].facts);
        }
        if (rows[i].asked != NULL &&
            strcmp(short_names(bench_asked(bench), out), rows[i].asked) != 0)
            print_error("row %zu: %s\n", i, rows[i].from);
        if (rows[i].asked != NULL)
            assert_string_equal(short_names(bench_asked(bench), out), rows[i].asked);
    }
    bench_free(bench);
}

/* An SPF result that rests on a name of the client's that could not be looked up could be a pass.
 */
static void test_doubt(void **state)
{
    static const struct fact_row spf_problem = {"spf.problem",     FACT_TEXT, STAGE_MAIL,
                                                SCOPE_TRANSACTION, NULL,      ""};
    static const struct bench_answer dns[] = {EXAMPLE, {0}};
    struct bench *bench = bench_new(&check_dmarc, NULL, "", NULL);
    struct inputs inputs = bench_inputs();
    char out[1024];

    (void)state;
    bench_give(bench, &from_domain, "example.com");
    bench_give(bench, &spf_result, "softfail");
    bench_give(bench, &spf_domain, "example.com");
    bench_give(bench, &spf_problem, "");
    bench_dns(bench, dns);
    bench_run(bench, "dmarc", &inputs, false);
    assert_string_equal(facts_of(bench, out), "fail reject example.com none no");
    bench_give(bench, &spf_problem, "!fault");
    bench_run(bench, "dmarc", &inputs, false);
    assert_string_equal(facts_of(bench, out), "~temperror reject example.com ~none no");
    bench_give(bench, &spf_result, "pass");
    bench_give(bench, &spf_problem, "");
    bench_run(bench, "dmarc", &inputs, false);
    assert_string_equal(facts_of(bench, out), "pass reject example.com spf no");
    bench_free(bench);
}

/* With the signatures one by one, it is known which of them could not be verified. */
static void test_signatures(void **state)
{
    static const struct bench_answer answers[] = {EXAMPLE, {0}};
    static const struct {
        const char *dkim, *signatures, *facts;
    } cases[] = {
        {"temperror", "example.com, s, temperror", "~temperror reject example.com ~none ~"},
        {"temperror", "mail.example.com, s, temperror", "~temperror reject example.com ~none ~"},
        {"temperror", "evil.test, s, temperror", "fail reject example.com none no"},
        {"pass evil.test", "evil.test, s, pass, example.com, s, temperror",
         "~temperror reject example.com ~none ~"},
        {"pass example.com", "evil.test, s, temperror, example.com, s, pass",
         "pass reject example.com dkim yes"},
        {"fail", "example.com, s, fail", "fail reject example.com none no"},
        {"!fault !fault", "!fault", "~temperror reject example.com ~none ~"},
        /* Some were not looked at. */
        {"temperror !fault", "!fault", "~temperror reject example.com ~none ~"},
    };
    struct bench *bench = bench_new(&check_dmarc, NULL, "", NULL);
    struct inputs inputs = bench_inputs();
    char out[256];
    size_t i;

    (void)state;
    bench_dns(bench, answers);
    bench_give(bench, &from_domain, "example.com");
    for (i = 0; i < COUNT_OF(cases); i++) {
        give(bench, &dkim_result, &dkim_domains, cases[i].dkim);
        bench_give(bench, &dkim_signatures, cases[i].signatures);
        bench_run(bench, "dmarc", &inputs, false);
        if (strcmp(facts_of(bench, out), cases[i].facts) != 0)
            print_error("case %zu\n", i);
        assert_string_equal(facts_of(bench, out), cases[i].facts);
    }
    bench_free(bench);
}

/* Without SPF, DKIM, or both in the program. */
static void test_alone(void **state)
{
    static const struct bench_answer answers[] = {EXAMPLE, {0}};
    struct bench *bench = bench_new(&check_dmarc, NULL, "", NULL);
    struct inputs inputs = bench_inputs();
    char out[256];

    (void)state;
    bench_dns(bench, answers);
    bench_give(bench, &from_domain, "example.com");
    bench_run(bench, "dmarc", &inputs, false);
    assert_string_equal(facts_of(bench, out), "fail reject example.com none no");
    give(bench, &spf_result, &spf_domain, "pass example.com");
    bench_run(bench, "dmarc", &inputs, false);
    assert_string_equal(facts_of(bench, out), "pass reject example.com spf no");
    inputs.local = true; /* there is no client to vouch for */
    bench_run(bench, "dmarc", &inputs, false);
    assert_string_equal(facts_of(bench, out), "none none - none no");
    assert_string_equal(bench_asked(bench), "");
    inputs.local = false;
    bench_give(bench, &from_domain, "!fault");
    bench_run(bench, "dmarc", &inputs, false);
    assert_string_equal(facts_of(bench, out), "~temperror ~ ~ ~ ~");
    bench_free(bench);
}

static void test_explanation(void **state)
{
    static const struct bench_answer answers[] = {TXT("example.com", P "; t=y"),
                                                  TXT("com", "!nodata"),
                                                  TXT("mail.example.com", "!fault"),
                                                  {0}};
    struct bench *bench = bench_new(&check_dmarc, NULL, "", NULL);
    struct inputs inputs = bench_inputs();

    (void)state;
    bench_dns(bench, answers);
    bench_give(bench, &from_domain, "example.com");
    give(bench, &dkim_result, &dkim_domains, "pass mail.example.com");
    bench_run(bench, "dmarc", &inputs, false);
    assert_string_equal(bench_fact(bench, "dmarc.testing"), "yes");
    assert_string_equal(bench_fact(bench, "dmarc.record"), P "; t=y");
    assert_string_equal(bench_fact(bench, "dmarc.queries"),
                        "name=_dmarc.example.com answer=found record=" P "; t=y; "
                        "name=_dmarc.com answer=no data; "
                        "name=_dmarc.mail.example.com answer=fault: SERVFAIL");
    bench_free(bench);
}

/* However many signatures pass, there is an end to walking; what is not walked is not known. */
static void test_many(void **state)
{
    static const struct bench_answer answers[] = {EXAMPLE, {0}};
    struct bench *bench = bench_new(&check_dmarc, NULL, "", NULL);
    struct inputs inputs = bench_inputs();
    char domains[2048] = "";
    char out[256];
    int i;

    (void)state;
    for (i = 0; i < 40; i++)
        sprintf(domains + strlen(domains), "%sa%d.x.y.evil.test", i > 0 ? ", " : "", i);
    bench_dns(bench, answers);
    bench_give(bench, &from_domain, "example.com");
    bench_give(bench, &dkim_result, "pass");
    bench_give(bench, &dkim_domains, domains);
    bench_run(bench, "dmarc", &inputs, false);
    assert_string_equal(facts_of(bench, out), "fail reject example.com none no");
    assert_string_equal(bench_asked(bench), "TXT _dmarc.example.com, TXT _dmarc.com");
    domains[0] = '\0';
    for (i = 0; i < 40; i++)
        sprintf(domains + strlen(domains), "%sa%d.example.com", i > 0 ? ", " : "", i);
    bench_give(bench, &dkim_domains, domains);
    bench_run(bench, "dmarc", &inputs, false);
    assert_string_equal(facts_of(bench, out), "pass reject example.com dkim yes");
    bench_free(bench);
}

/* The walks are asked for while the message is still coming: that of the author, and that of a
 * sender that may be aligned. */
static void test_warm(void **state)
{
    static const struct {
        const char *sender, *message, *asked;
    } cases[] = {
        {"", "To: x\nFrom: John <john@Example.COM>\nFrom: y@evil.test\n", "TXT _dmarc.example.com"},
        {"example.com", "From: a@example.com\n", "TXT _dmarc.example.com"},
        {"example.org", "From: a@example.com\n", "TXT _dmarc.example.com"},
        {"b.example.com", "From: a@example.com\n",
         "TXT _dmarc.example.com, TXT _dmarc.b.example.com"},
        {"example.com", "From: a@news.example.com\n",
         "TXT _dmarc.news.example.com, TXT _dmarc.example.com"},
        {"c.b.example.com", "From: a@news.example.com\n",
         "TXT _dmarc.news.example.com, TXT _dmarc.example.com, TXT _dmarc.c.b.example.com, "
         "TXT _dmarc.b.example.com"},
        {"example.com", "From: a@com\n", "TXT _dmarc.com"},
        {"", "From: x@a.b.c.d.e.f.g.h.i.j.example.com\n",
         "TXT _dmarc.a.b.c.d.e.f.g.h.i.j.example.com, TXT _dmarc.f.g.h.i.j.example.com, "
         "TXT _dmarc.g.h.i.j.example.com, TXT _dmarc.h.i.j.example.com, "
         "TXT _dmarc.i.j.example.com, TXT _dmarc.j.example.com, TXT _dmarc.example.com"},
        {"", "From: a@example.com, b@example.org\n", ""},
        {"", "From: nobody\n", ""},
        {"", "Subject: x\n", ""},
    };
    struct bench *bench = bench_new(&check_dmarc, NULL, "", NULL);
    struct inputs inputs = bench_inputs();
    size_t i;

    (void)state;
    assert_false(check_dmarc.stream->body);
    for (i = 0; i < COUNT_OF(cases); i++) {
        inputs.sender.domain = cases[i].sender;
        bench_message(bench, &inputs, cases[i].message);
        assert_string_equal(bench_warmed(bench), cases[i].asked);
    }
    bench_free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),        cmocka_unit_test(test_doubt),
        cmocka_unit_test(test_signatures),  cmocka_unit_test(test_alone),
        cmocka_unit_test(test_explanation), cmocka_unit_test(test_many),
        cmocka_unit_test(test_warm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
