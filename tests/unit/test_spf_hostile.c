/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include <postern/arena.h>
#include <postern/str.h>

#include "../../src/checks/spf_guard.h"

/*
 * Records as the field has them, longer than libspf2 can hold, and records that are made to cost
 * time, memory or the process.  Each comes to its right result within bounds that do not depend on
 * the record: questions, runs, bytes.
 */
#define LENGTH(rows) (sizeof(rows) / sizeof((rows)[0]))

enum {
    AHEAD_MAX = 10,                  /* questions asked before the evaluation comes to them */
    QUESTIONS_MAX = 133 + AHEAD_MAX, /* what RFC 7208 4.6.4 lets a check ask at most, and these */
    ROUNDS_MAX = 40,
    MEMORY_MAX = 4 << 20,
};

/* Fills in what the DNS says of NAME: one TXT record in TEXT, or records in the draft. */
typedef void dns_source(struct dns_answer *draft, struct dns_record *records, struct str *text);

struct outcome {
    struct spf_verdict verdict;
    size_t questions, rounds, memory;
    size_t longest; /* name that was asked */
    struct arena *arena;
};

static void give(struct spf_guard *guard, size_t number, dns_source *source, size_t *longest)
{
    static struct dns_record records[DNS_RECORDS_MAX];
    struct dns_answer draft = {.status = DNS_NO_NAME, .problem = "", .records = records};
    const struct dns_answer *answer;
    struct str text = {0};

    draft.name = spf_guard_question(guard, number, &draft.type);
    if (strlen(draft.name) > *longest)
        *longest = strlen(draft.name);
    memset(records, 0, sizeof(records));
    source(&draft, records, &text);
    if (text.length > 0 && draft.type == DNS_TXT) {
        draft.count = 1;
        records[0] = (struct dns_record){.text = text.data, .length = text.length};
    }
    if (draft.count > 0)
        draft.status = DNS_FOUND;
    answer = dns_answer_new(&draft);
    spf_guard_answer(guard, number, answer);
    dns_answer_unref(answer);
    str_free(&text);
}

static struct outcome check(const char *ip, dns_source *source)
{
    struct spf_subject subject = {.local = "bob",
                                  .domain = "example.org",
                                  .helo = "helo.example.com",
                                  .receiver = "mx.example.net",
                                  .now = 1000000000};
    struct outcome outcome = {.arena = arena_new()};
    struct spf_guard *guard;
    size_t done = 0;

    assert_true(addr_parse(ip, &subject.client));
    guard = spf_guard_new(outcome.arena, &subject, NULL, NULL);
    while (!spf_guard_run(guard, 0)) {
        outcome.questions = spf_guard_question_count(guard);
        assert_true(outcome.questions > done && outcome.questions <= QUESTIONS_MAX);
        assert_true(++outcome.rounds < ROUNDS_MAX);
        for (; done < outcome.questions; done++)
            give(guard, done, source, &outcome.longest);
    }
    outcome.verdict = *spf_guard_verdict(guard);
    outcome.memory = arena_used(outcome.arena);
    assert_true(outcome.memory < MEMORY_MAX);
    assert_true(outcome.longest <= DNS_NAME_MAX);
    return outcome;
}

static void expect(const char *what, const char *ip, dns_source *source, enum spf_word word,
                   const char *path, const char *problem)
{
    struct outcome outcome = check(ip, source);

    if (outcome.verdict.word != word || strcmp(outcome.verdict.path, path) != 0 ||
        strcmp(outcome.verdict.problem, problem) != 0)
        fail_msg("%s, %s: found %u, '%s', '%s'", what, ip, outcome.verdict.word,
                 outcome.verdict.path, outcome.verdict.problem);
    arena_free(outcome.arena);
}

static bool is_first(const struct dns_answer *draft)
{
    return strcmp(draft->name, "example.org") == 0;
}

/* ---- long records ---- */

static void networks4(struct dns_answer *draft, struct dns_record *records, struct str *text)
{
    (void)records;
    if (!is_first(draft))
        return;
    str_add(text, "v=spf1");
    for (unsigned i = 1; i <= 80; i++)
        str_add_format(text, " ip4:198.51.%u.0/24", i);
    str_add(text, " -all");
}

static void networks6(struct dns_answer *draft, struct dns_record *records, struct str *text)
{
    (void)records;
    if (!is_first(draft))
        return;
    str_add(text, "v=spf1");
    for (unsigned i = 1; i <= 30; i++)
        str_add_format(text, " ip6:2001:db8:1234:5678:9abc:def0:%x::/112", i);
    str_add(text, " ~all");
}

/* Twelve includes of which each holds one network; the name says which. */
static void includes(struct dns_answer *draft, struct dns_record *records, struct str *text)
{
    unsigned number = 0;

    (void)records;
    if (sscanf(draft->name, "include-number-%u", &number) == 1) {
        str_add_format(text, "v=spf1 ip4:198.51.100.%u -all", number);
    } else if (is_first(draft)) {
        str_add(text, "v=spf1");
        for (unsigned i = 1; i <= 12; i++)
            str_add_format(text, " include:include-number-%02u.with-a-rather-long-name.example.org",
                           i);
        str_add(text, " -all");
    }
}

static void test_long_records(void **state)
{
    (void)state;
    expect("80 ip4", "198.51.1.1", networks4, SPF_WORD_PASS, "ip4:198.51.1.0/24", "");
    expect("80 ip4", "198.51.80.255", networks4, SPF_WORD_PASS, "ip4:198.51.80.0/24", "");
    expect("80 ip4", "198.51.81.1", networks4, SPF_WORD_FAIL, "-all", "");
    expect("30 ip6", "2001:db8:1234:5678:9abc:def0:1e:1", networks6, SPF_WORD_PASS,
           "ip6:2001:db8:1234:5678:9abc:def0:1e::/112", "");
    expect("30 ip6", "2001:db8:1234:5678:9abc:def0:1f:1", networks6, SPF_WORD_SOFTFAIL, "~all", "");
    expect("30 ip6", "198.51.80.1", networks6, SPF_WORD_SOFTFAIL, "~all", "");
    expect("12 includes", "198.51.100.1", includes, SPF_WORD_PASS,
           "include:include-number-01.with-a-rather-long-name.example.org > ip4:198.51.100.1", "");
    expect("12 includes", "198.51.100.10", includes, SPF_WORD_PASS,
           "include:include-number-10.with-a-rather-long-name.example.org > ip4:198.51.100.10", "");
    expect("12 includes", "198.51.100.11", includes, SPF_WORD_PERMERROR,
           "include:include-number-11.with-a-rather-long-name.example.org",
           "more than 10 terms ask the DNS");
}

/* ---- trees ---- */

/* Four includes with two or three terms each: 12 or 16 terms, though no record has more than 4. */
static void tree(struct dns_answer *draft, struct dns_record *records, struct str *text)
{
    static const struct dns_record found = {.addr = {.family = ADDR_IPV4, .bytes = {10, 0, 0, 1}}};

    if (is_first(draft))
        str_add(text, "v=spf1 include:a.example.org include:b.example.org include:c.example.org "
                      "include:d.example.org -all");
    else if (draft->type == DNS_TXT)
        str_add(text, "v=spf1 a:x.example.org a:y.example.org ip4:192.0.2.0/24 -all");
    else
        records[draft->count++] = found;
}

/* Each record includes itself and nine more. */
static void bush(struct dns_answer *draft, struct dns_record *records, struct str *text)
{
    (void)records;
    str_add(text, "v=spf1");
    for (unsigned i = 0; i < 10; i++)
        str_add_format(text, " include:%u.%.100s", i, draft->name);
}

static void thousand(struct dns_answer *draft, struct dns_record *records, struct str *text)
{
    (void)records;
    if (!is_first(draft)) {
        str_add(text, "v=spf1 -all");
        return;
    }
    str_add(text, "v=spf1");
    for (unsigned i = 0; i < 1000; i++)
        str_add_format(text, " include:i%u.example.org", i);
    str_add(text, " ip4:192.0.2.3 -all");
}

static void chain(struct dns_answer *draft, struct dns_record *records, struct str *text)
{
    unsigned number = 0;

    (void)records;
    if (sscanf(draft->name, "i%u.", &number) != 1)
        number = 0;
    str_add_format(text, "v=spf1 include:i%u.example.org -all", (number + 1) % 1000);
}

static void redirects(struct dns_answer *draft, struct dns_record *records, struct str *text)
{
    (void)draft;
    (void)records;
    str_add(text, "v=spf1 redirect=example.org");
}

static void expect_limit(const char *what, dns_source *source, size_t questions)
{
    struct outcome outcome = check("192.0.2.3", source);

    if (outcome.verdict.word != SPF_WORD_PERMERROR ||
        strcmp(outcome.verdict.problem, "more than 10 terms ask the DNS") != 0 ||
        outcome.verdict.lookups != 10 || outcome.questions > questions)
        fail_msg("%s: found %u, '%s', %u terms, %zu questions", what, outcome.verdict.word,
                 outcome.verdict.problem, outcome.verdict.lookups, outcome.questions);
    arena_free(outcome.arena);
}

static void test_trees(void **state)
{
    (void)state;
    expect("tree", "192.0.2.3", tree, SPF_WORD_PASS, "include:a.example.org > ip4:192.0.2.0/24",
           "");
    expect("tree", "198.51.100.1", tree, SPF_WORD_PERMERROR,
           "include:d.example.org > a:x.example.org", "more than 10 terms ask the DNS");
    expect_limit("bush", bush, 11 + AHEAD_MAX);
    expect_limit("thousand", thousand, 11);
    expect_limit("chain", chain, 11);
    expect_limit("redirects", redirects, 1);
}

/* ---- macros ---- */

/* Each level would make the name 50 times as long. */
static void bomb(struct dns_answer *draft, struct dns_record *records, struct str *text)
{
    (void)draft;
    (void)records;
    str_add(text, "v=spf1 include:");
    for (unsigned i = 0; i < 50; i++)
        str_add(text, "%{d}.");
    str_add(text, "%{d}");
}

/* 64 KB of macros in ten terms. */
static void carpet(struct dns_answer *draft, struct dns_record *records, struct str *text)
{
    (void)records;
    if (!is_first(draft))
        return;
    str_add(text, "v=spf1");
    for (unsigned i = 0; i < 10; i++) {
        str_add(text, " ?exists:");
        for (unsigned j = 0; j < 1600; j++)
            str_add(text, "%{S}");
        str_add_format(text, ".x%u.%%{d}", i);
    }
    str_add(text, " -all");
}

/* Compiled by libspf2, the text of this explanation runs over the end of its buffer. */
static void killer(struct dns_answer *draft, struct dns_record *records, struct str *text)
{
    (void)records;
    if (is_first(draft)) {
        str_add(text, "v=spf1 -all exp=exp.example.org");
        return;
    }
    for (unsigned i = 0; i < 42; i++)
        str_add(text, "%{d}x");
    str_add(text, "%{d}AA");
    assert_int_equal(text->length, 216);
}

/* The same in a term of 3,856 bytes. */
static void killer_term(struct dns_answer *draft, struct dns_record *records, struct str *text)
{
    (void)records;
    if (!is_first(draft))
        return;
    str_add(text, "v=spf1 ");
    str_add(text, "exists:%{d}");
    while (text->length < 3856)
        str_add(text, "xxxx.yyyy.zzzzzzzz.wwwwwwwwwwwwww.%{o}%{o}");
    str_add(text, " ?all");
}

static void test_macros(void **state)
{
    struct outcome outcome;

    (void)state;
    outcome = check("192.0.2.3", killer);
    assert_int_equal(outcome.verdict.word, SPF_WORD_FAIL);
    assert_int_equal(strlen(outcome.verdict.explanation), 43 * strlen("example.org") + 42 + 2);
    assert_int_equal(strncmp(outcome.verdict.explanation, "example.orgxexample.orgx", 24), 0);
    arena_free(outcome.arena);
    outcome = check("192.0.2.3", killer_term);
    assert_int_equal(outcome.verdict.word, SPF_WORD_NEUTRAL);
    assert_int_equal(outcome.verdict.lookups, 1);
    arena_free(outcome.arena);
    expect_limit("bomb", bomb, 11);
    outcome = check("192.0.2.3", carpet);
    assert_int_equal(outcome.verdict.word, SPF_WORD_PERMERROR);
    assert_string_equal(outcome.verdict.problem, "more than 2 terms ask for what does not exist");
    assert_int_equal(outcome.questions, 4);
    arena_free(outcome.arena);
}

/* ---- big answers ---- */

/* Records of 64 KB that lead from one to the next, with 30,000 terms each. */
static void big_chain(struct dns_answer *draft, struct dns_record *records, struct str *text)
{
    unsigned number = 0;

    (void)records;
    if (sscanf(draft->name, "i%u.", &number) != 1)
        number = 0;
    str_add(text, "v=spf1");
    if (number % 2 == 0)
        for (unsigned i = 0; i < 5400; i++)
            str_add(text, " ip4:8.8.8.8");
    str_add_format(text, " include:i%u.example.org", number + 1);
    while (text->length < 64990)
        str_add(text, " a");
}

/* 500 records of 20 KB, 10 MB in all, and the one that counts. */
static void big_set(struct dns_answer *draft, struct dns_record *records, struct str *text)
{
    static char filler[20000];

    (void)text;
    if (!is_first(draft))
        return;
    memset(filler, 'x', sizeof(filler) - 1);
    for (unsigned i = 0; i < 501; i++)
        records[draft->count++] = (struct dns_record){.text = filler, .length = 19999};
    records[250] = (struct dns_record){.text = "v=spf1 ip4:192.0.2.3 -all", .length = 25};
}

static void big_explanation(struct dns_answer *draft, struct dns_record *records, struct str *text)
{
    (void)records;
    str_add(text, is_first(draft) ? "v=spf1 -all exp=exp.example.org" : "no");
    while (!is_first(draft) && text->length < 65000)
        str_add(text, " %{c} %{S}");
}

/* A loop of aliases is a fault of the DNS. */
static void alias_loop(struct dns_answer *draft, struct dns_record *records, struct str *text)
{
    (void)records;
    if (is_first(draft)) {
        str_add(text, "v=spf1 ip4:198.51.100.1 ptr:loop.example.org include:loop.example.org -all");
        return;
    }
    draft->status = DNS_FAULT;
    draft->problem = "SERVFAIL";
}

/* As much as a check may ask: nine mx with ten hosts each, and the client's names, of which it has
 * 300 and ten count. */
static void hosts(struct dns_answer *draft, struct dns_record *records, struct str *text)
{
    static char names[300][32];
    unsigned count = draft->type == DNS_PTR ? 300 : 10;

    if (is_first(draft) && draft->type == DNS_TXT) {
        str_add(text, "v=spf1 ptr");
        for (unsigned i = 0; i < 9; i++)
            str_add_format(text, " mx:m%u.example.org", i);
        str_add(text, " -all");
    }
    if (draft->type == DNS_A)
        records[draft->count++] =
            (struct dns_record){.addr = {.family = ADDR_IPV4, .bytes = {10, 0, 0, 1}}};
    if (draft->type != DNS_MX && draft->type != DNS_PTR)
        return;
    for (unsigned i = 0; i < count; i++) {
        snprintf(names[i], sizeof(names[i]), "h%u.%.10s", i, draft->name);
        records[draft->count++] = (struct dns_record){.name = names[i]};
    }
}

static void too_many_hosts(struct dns_answer *draft, struct dns_record *records, struct str *text)
{
    if (draft->type == DNS_TXT)
        str_add(text, "v=spf1 mx -all");
    for (unsigned i = 0; draft->type == DNS_MX && i < 11; i++)
        records[draft->count++] = (struct dns_record){.name = "mx.example.org"};
}

static void test_big_answers(void **state)
{
    struct outcome outcome;

    (void)state;
    expect_limit("big chain", big_chain, 11 + AHEAD_MAX);
    expect("big set", "192.0.2.3", big_set, SPF_WORD_PASS, "ip4:192.0.2.3", "");
    expect("big set", "192.0.2.4", big_set, SPF_WORD_FAIL, "-all", "");
    expect("alias loop", "192.0.2.3", alias_loop, SPF_WORD_TEMPERROR, "include:loop.example.org",
           "TXT loop.example.org: SERVFAIL");
    outcome = check("192.0.2.3", big_explanation);
    assert_int_equal(outcome.verdict.word, SPF_WORD_FAIL);
    assert_int_equal(strlen(outcome.verdict.explanation), 1000);
    arena_free(outcome.arena);
    outcome = check("192.0.2.3", hosts);
    assert_int_equal(outcome.verdict.word, SPF_WORD_FAIL);
    assert_int_equal(outcome.verdict.lookups, 10);
    assert_int_equal(outcome.questions, 1 + 1 + 10 + 9 + 90);
    arena_free(outcome.arena);
    expect("11 hosts", "192.0.2.3", too_many_hosts, SPF_WORD_PERMERROR, "mx",
           "'mx' has more than 10 hosts");
}

/* ---- asking ahead ---- */

/* Terms that ask behind one another, records within records; macros and ptr are not asked ahead. */
static void ahead(struct dns_answer *draft, struct dns_record *records, struct str *text)
{
    if (is_first(draft) && draft->type == DNS_TXT)
        str_add(text,
                "v=spf1 a include:in.example.org ptr exists:%{i}.example.org mx:mx.example.org "
                "a redirect=to.example.org");
    else if (strcmp(draft->name, "in.example.org") == 0)
        str_add(text, "v=spf1 include:deep.example.org a:x.example.org -all a:y.example.org");
    else if (draft->type == DNS_A)
        records[draft->count++] =
            (struct dns_record){.addr = {.family = ADDR_IPV4, .bytes = {192, 0, 2, 3}}};
}

static void asked(const struct spf_guard *guard, size_t from, const char *questions)
{
    struct str text = {0};

    for (size_t i = from; i < spf_guard_question_count(guard); i++) {
        enum dns_type type;
        const char *name = spf_guard_question(guard, i, &type);

        str_add_format(&text, "%s%s %s", i > from ? ", " : "", dns_type_name(type), name);
    }
    assert_string_equal(str_text(&text), questions);
    str_free(&text);
}

/* What is asked ahead is waited for when the evaluation has come to it, and not before. */
static void test_ahead(void **state)
{
    struct spf_subject subject = {.client = {.family = ADDR_IPV4, .bytes = {192, 0, 2, 3}},
                                  .local = "bob",
                                  .domain = "example.org",
                                  .helo = "",
                                  .receiver = ""};
    struct arena *arena = arena_new();
    struct spf_guard *guard = spf_guard_new(arena, &subject, NULL, NULL);
    size_t longest = 0;

    (void)state;
    assert_false(spf_guard_run(guard, 0));
    asked(guard, 0, "TXT example.org");
    give(guard, 0, ahead, &longest);
    assert_false(spf_guard_waits(guard));
    assert_false(spf_guard_run(guard, 0));
    asked(guard, 1, "A example.org, TXT in.example.org, MX mx.example.org, TXT to.example.org");
    assert_true(spf_guard_waits(guard));
    give(guard, 2, ahead, &longest);
    assert_true(spf_guard_waits(guard));
    give(guard, 1, ahead, &longest);
    assert_false(spf_guard_waits(guard));
    assert_true(spf_guard_run(guard, 0));
    assert_string_equal(spf_guard_verdict(guard)->mechanism, "a");

    /* The first term does not match: the included record is there already. */
    guard = spf_guard_new(arena, &subject, NULL, NULL);
    assert_false(spf_guard_run(guard, 0));
    give(guard, 0, ahead, &longest);
    assert_false(spf_guard_run(guard, 0));
    give(guard, 2, ahead, &longest);
    give(guard, 1, networks4, &longest);
    assert_false(spf_guard_waits(guard));
    assert_false(spf_guard_run(guard, 0));
    asked(guard, 5, "TXT deep.example.org, A x.example.org");
    assert_true(spf_guard_waits(guard));
    arena_free(arena);
}

/* ---- time ---- */

static void test_deadline(void **state)
{
    struct spf_subject subject = {.client = {.family = ADDR_IPV4, .bytes = {192, 0, 2, 3}},
                                  .local = "",
                                  .domain = "example.org",
                                  .helo = "",
                                  .receiver = ""};
    struct arena *arena = arena_new();
    struct spf_guard *guard = spf_guard_new(arena, &subject, NULL, NULL);
    size_t longest = 0;

    (void)state;
    assert_false(spf_guard_run(guard, 0));
    give(guard, 0, chain, &longest);
    assert_false(spf_guard_run(guard, SPF_DEADLINE_MS));
    give(guard, 1, chain, &longest);
    assert_true(spf_guard_run(guard, SPF_DEADLINE_MS + 1));
    assert_int_equal(spf_guard_verdict(guard)->word, SPF_WORD_TEMPERROR);
    assert_string_equal(spf_guard_verdict(guard)->problem, "time is up");
    assert_string_equal(spf_guard_verdict(guard)->path, "include:i1.example.org");
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_long_records), cmocka_unit_test(test_trees),
        cmocka_unit_test(test_macros),       cmocka_unit_test(test_big_answers),
        cmocka_unit_test(test_deadline),     cmocka_unit_test(test_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
