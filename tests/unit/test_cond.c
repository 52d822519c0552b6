/* SPDX-License-Identifier: MIT */
#include "policy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <postern/str.h>

/* A condition, the facts it is seen against at the end of the message, and what it can be: T, F, O,
 * X. */
struct row {
    const char *condition;
    const char *facts;
    const char *truth;
};

static const struct row rows[] = {
    {"true", "", "T"},
    {"false", "", "F"},
    {"not true", "", "F"},
    {"not not true", "", "T"},
    {"client.local", "client.local=yes", "T"},
    {"client.local", "client.local=no", "F"},
    {"client.local == false", "client.local=no", "T"},
    {"client.local != yes", "client.local=no", "T"},
    {"client.local", "client.local=!", "X"},
    {"client.local", "", "TFX"},

    /* words */
    {"spf.result == fail", "spf.result=fail", "T"},
    {"spf.result == \"fail\"", "spf.result=fail", "T"},
    {"spf.result != fail", "spf.result=fail", "F"},
    {"spf.result in { fail, softfail }", "spf.result=softfail", "T"},
    {"spf.result not in { fail, softfail }", "spf.result=softfail", "F"},
    {"not spf.result in { fail }", "spf.result=pass", "T"},
    {"spf.result == temperror", "spf.result=temperror", "T"},
    {"spf.result != temperror", "spf.result=temperror", "F"},
    {"spf.result in { fail, temperror }", "spf.result=temperror", "T"},
    {"spf.result == fail", "spf.result=temperror", "X"},
    {"spf.result != pass", "spf.result=temperror", "X"},
    {"spf.result in { fail, softfail }", "spf.result=temperror", "X"},
    {"spf.result == permerror", "spf.result=permerror", "T"},
    {"spf.result == temperror", "spf.result=!", "T"},
    {"helo.kind == name", "helo.kind=!", "X"},
    {"spf.result == fail", "", "TFX"},
    {"spf.result == temperror", "", "TF"},

    /* numbers and intervals */
    {"dnsbl.score >= 3", "dnsbl.score=3", "T"},
    {"dnsbl.score > 3", "dnsbl.score=3", "F"},
    {"dnsbl.score < 3", "dnsbl.score=2", "T"},
    {"dnsbl.score <= 2", "dnsbl.score=2", "T"},
    {"dnsbl.score == -2", "dnsbl.score=-2", "T"},
    {"dnsbl.score in { 1, 2 }", "dnsbl.score=2", "T"},
    {"dnsbl.score in { 1, 2 }", "dnsbl.score=3", "F"},
    {"dnsbl.score >= 3", "dnsbl.score=3..6", "T"},
    {"dnsbl.score >= 3", "dnsbl.score=1..2", "F"},
    {"dnsbl.score >= 3", "dnsbl.score=1..3", "X"},
    {"dnsbl.score < 3", "dnsbl.score=..2", "T"},
    {"dnsbl.score > 3", "dnsbl.score=4..", "T"},
    {"dnsbl.score <= 3", "dnsbl.score=!", "X"},
    {"dnsbl.score == 7", "dnsbl.score=1..6", "F"},
    {"dnsbl.score != 7", "dnsbl.score=1..6", "T"},
    {"dnsbl.score == 2", "dnsbl.score=1..6", "X"},
    {"dnsbl.score in { 0, 7 }", "dnsbl.score=1..6", "F"},
    {"dnsbl.score in { 0, 6 }", "dnsbl.score=1..6", "X"},

    /* texts, with and without case */
    {"helo == \"Mail\"", "helo=Mail", "T"},
    {"helo == mail", "helo=Mail", "F"},
    {"helo in { b, a, B }", "helo=B", "T"},
    {"helo in { b, a }", "helo=B", "F"},
    {"sender.domain == Example.ORG", "sender.domain=example.org", "T"},
    {"sender.domain == \"example.org.\"", "sender.domain=example.org", "T"},
    {"sender.domain == \"b\xc3\xbc"
     "cher.example\"",
     "sender.domain=xn--bcher-kva.example", "T"},
    {"sender.local in { Postmaster, ABUSE }", "sender.local=postMASTER", "T"},
    {"sender == \"A@Example.org\"", "sender=a@example.org", "T"},
    {"sender.domain in { z.example, a.example, m.example }", "sender.domain=m.example", "T"},
    {"sender.domain in { z.example, a.example, m.example }", "sender.domain=n.example", "F"},
    {"auth.user != \"\"", "auth.user=joe", "T"},
    {"auth.user == \"\"", "auth.user=!", "X"},

    /* addresses and networks */
    {"client.ip == 192.0.2.1", "client.ip=192.0.2.1", "T"},
    {"client.ip == 192.0.2.1", "client.ip=192.0.2.2", "F"},
    {"client.ip in { 192.0.2.0/24, 2001:db8::/32 }", "client.ip=192.0.2.77", "T"},
    {"client.ip in { 192.0.2.0/24, 2001:db8::/32 }", "client.ip=2001:db8:1::1", "T"},
    {"client.ip in { 192.0.2.0/24, 2001:db8::/32 }", "client.ip=192.0.3.1", "F"},
    {"client.ip in { 0.0.0.0/0 }", "client.ip=2001:db8::1", "F"},

    /* sets */
    {"\"a.example\" in dkim.domains", "dkim.domains=b.example,A.Example", "T"},
    {"a.example in dkim.domains", "dkim.domains=b.example", "F"},
    {"a.example not in dkim.domains", "dkim.domains=b.example", "T"},
    {"dkim.domains in { a.example, c.example }", "dkim.domains=b.example,c.example", "T"},
    {"dkim.domains in { a.example }", "dkim.domains=", "F"},
    {"dkim.domains in { a.example }", "dkim.domains=!", "X"},

    /* derived facts */
    {"client.ip in trusted", "client.ip_in_trusted=yes", "T"},
    {"client.ip not in trusted", "client.ip_in_trusted=yes", "F"},
    {"client.ip in trusted", "client.ip_in_trusted=!", "X"},
    {"client.name matches '^dsl'", "client.name_matches_'^dsl'=yes", "T"},
    {"lookup(users, sender) == \"x\"", "lookup(users,_sender)=x", "T"},
    {"header('List-Id') != \"\"", "header('list-id')=x", "T"},

    /* and, or, not */
    {"true or client.local and false", "client.local=!", "T"},
    {"(true or client.local) and false", "client.local=!", "F"},
    {"not client.local and false", "client.local=!", "F"},
    {"client.local and true", "client.local=!", "X"},
    {"client.local or true", "client.local=!", "T"},
    {"client.local or false", "client.local=!", "X"},
    {"not client.local", "client.local=!", "X"},
    {"client.local and helo == x", "client.local=!", "FX"},
    {"client.local or helo == x", "client.local=!", "TX"},
    {"client.local and helo == x", "client.local=no", "F"},
    {"client.local and not client.local", "", "TFX"},
};

static void truth_text(unsigned set, char *text)
{
    if (set & TRUTH_TRUE)
        *text++ = 'T';
    if (set & TRUTH_FALSE)
        *text++ = 'F';
    if (set & TRUTH_FAULT)
        *text++ = 'X';
    if (set & TRUTH_OPEN)
        *text++ = 'O';
    *text = '\0';
}

static struct fixture *one_rule(const char *condition)
{
    struct str text = {NULL, 0, 0};
    struct fixture *fixture;

    str_add_format(&text, "rule r { when %s; header \"X-A: b\"; }", condition);
    fixture = fixture_new(str_text(&text));
    /* Only messages point into the text, and they are written. */
    str_free(&text);
    return fixture;
}

static void check_row(const struct row *row, enum stage now)
{
    struct fixture *fixture = one_rule(row->condition);
    char truth[8];

    if (fixture->policy == NULL)
        fail_msg("%s", fixture->messages);
    fixture_set(fixture, row->facts);
    truth_text(decide_condition(fixture->policy->layout, fixture->policy->rules[0].when,
                                &fixture->view, now),
               truth);
    if (strcmp(truth, row->truth) != 0)
        fail_msg("%s with %s is %s, not %s", row->condition, row->facts, truth, row->truth);
    fixture_free(fixture);
}

static void test_truth(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_row(&rows[i], STAGE_MESSAGE);
}

/* At MAIL: what comes at RCPT and later is open, what is missing of MAIL is pending. */
static void test_open(void **state)
{
    static const struct row open_rows[] = {
        {"rcpt.status == unknown", "", "O"},
        {"not rcpt.status == unknown", "", "O"},
        {"rcpt.status == unknown and false", "", "F"},
        {"rcpt.status == unknown or true", "", "T"},
        {"rcpt.status == unknown and client.local", "client.local=!", "O"},
        {"rcpt.status == unknown or client.local", "client.local=!", "O"},
        {"rcpt.status == unknown and client.local", "client.local=no", "F"},
        {"rcpt.status == unknown and client.local", "", "FO"},
        {"rcpt.status == unknown or client.local", "", "TO"},
        {"spf.result == pass", "", "TFX"},
        {"message.size > 1", "message.size=2", "T"},
        {"message.size == 2K", "message.size=2048", "T"},
        {"message.size >= 10M", "message.size=10485760", "T"},
        {"message.size >= 10M", "message.size=10485759", "F"},
        {"message.size in { 1, 1G }", "message.size=1073741824", "T"},
        {"header('X') == \"\"", "", "O"},
        {"rcpt in users", "", "O"},
        {"sender in users", "", "TFX"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(open_rows) / sizeof(open_rows[0]); i++)
        check_row(&open_rows[i], STAGE_MAIL);
}

struct error_row {
    const char *condition;
    const char *message; /* part of it */
};

static const struct error_row error_rows[] = {
    {"spf.reslt == fail", "unknown fact 'spf.reslt'; did you mean 'spf.result'?"},
    {"spf.reslt in { a, b } and true", "unknown fact 'spf.reslt'"},
    {"spf.reslt matches 'x'", "unknown fact 'spf.reslt'"},
    {"xyzzy", "unknown fact or condition 'xyzzy'; postern-policy(7) lists the facts"},
    {"client_address == 192.0.2.1", "unknown fact 'client_address'; did you mean 'client.ip'?"},
    {"true AND false", "'AND' is written in small letters: and"},
    {"true and NOT false", "'NOT' is written in small letters: not"},
    {"(true Or false) and true", "'Or' is written in small letters: or"},
    {"subject matches 'x'", "header fields are asked for as in header('Subject') matches 'x'"},
    {"header.from == x", "header fields are asked for as in header('Subject') matches 'x'"},
    {"client.locl", "unknown fact or condition 'client.locl'; did you mean 'client.local'?"},
    {"client.ip == 3", "'client.ip' is an IP address, and '3' is no address"},
    {"client.ip == 192.0.2.0/24", "write 'client.ip in { 192.0.2.0/24 }'"},
    {"client.ip matches '^192'", "patterns match texts only; write 'in { NETWORK }'"},
    {"rcpt.status < known", "'<' compares numbers only, and 'rcpt.status' is a word"},
    {"sender >= \"a@b.example\"", "'>=' compares numbers only, and 'sender' is an address"},
    {"spf.result == fial", "'spf.result' is never 'fial'; did you mean 'fail'?"},
    {"spf.result == foo", "it is one of none, pass, fail, softfail, temperror, permerror"},
    {"spf.result in { pass, foo }", "'spf.result' is never 'foo'"},
    {"spf.result in trusted", "is a word and cannot be looked up in a table"},
    {"spf.result matches 'x'", "patterns match texts only"},
    {"spf.result", "says neither true nor false"},
    {"dnsbl.score", "says neither true nor false"},
    {"message.size > 10m", "sizes may be written as 64K, 10M or 1G"},
    {"message.size > 10KB", "cannot be compared with '10KB'"},
    {"message.size > M", "cannot be compared with 'M'"},
    {"message.size > 9223372036854775807K", "cannot be compared with"},
    {"dnsbl.score >= three", "'dnsbl.score' is a number and cannot be compared with 'three'"},
    {"dnsbl.score >= 3x", "cannot be compared with '3x'"},
    {"dnsbl.score == 99999999999999999999", "cannot be compared"},
    {"dnsbl.score in trusted", "is a number and cannot be looked up in a table"},
    {"client.local == maybe", "'client.local' is true or false, not 'maybe'"},
    {"client.local in { true }", NULL},
    {"sender.domain == \"no domain\"", "is no domain name"},
    {"sender.domain in { .example.org }", "can stand in a table only"},
    {"sender == \"@example.org\"", "is not local@domain"},
    {"sender.domain == rcpt.domain", "'rcpt.domain' is a fact"},
    {"sender.domain in dkim.domains", "'dkim.domains' is a fact"},
    {"dkim.domains == \"a.example\"", "'dkim.domains' is a set; write '\"x\" in dkim.domains'"},
    {"dkim.domains matches 'x'", "patterns match texts only"},
    {"\"x\" in sender.domain", "'sender.domain' is no set; write 'sender.domain == \"x\"'"},
    {"\"x\" in trusted", "unknown fact 'trusted'"},
    {"\"x\" == helo", "expected 'in' and a set fact"},
    {"client.name matches 'a(b'", "bad regular expression at its character 4"},
    {"client.ip in trustd", "unknown table 'trustd'; did you mean 'trusted'?"},
    {"lookup(nowhere, sender) == \"x\"", "unknown table 'nowhere'"},
    {"lookup(users, spf.result) == \"x\"", "cannot be looked up in a table"},
    {"lookup(users sender) == \"x\"", "expected ',' and a fact"},
    {"lookup(users, sendr) == \"x\"", "unknown fact 'sendr'; did you mean 'sender'?"},
    {"header('X Y') == \"\"", "'X Y' is no name of a header field"},
    {"header('') == \"\"", "the name of a header field is missing"},
    {"header(", "expected the name of a header field"},
    {"client.ip in { }", "expected a value"},
    {"client.ip in { 192.0.2.1 192.0.2.2 }", "expected ',' or '}'"},
    {"client.ip in { 192.0.2.1", "expected ',' or '}'"},
    {"(true", "expected 'and', 'or' or ')'"},
    {"true)", "expected ';'"},
    {"true true", "expected ';'"},
    {"true and", "expected a condition"},
    {"and true", "expected a condition"},
    {"not", "expected a condition"},
    {"", "expected a condition"},
    {"helo ==", "expected a value"},
    {"helo = x", "equality is '=='"},
    {"helo == x && helo == y", "unexpected '&&'; conditions are joined with 'and'"},
    {"client.local && helo == y", "conditions are joined with 'and'"},
    {"helo contains x", "'contains' is no comparison; write: matches 'REGEX'"},
    {"spf.result is fail", "'is' is no comparison; equality is '=='"},
    {"dnsbl.score + received.count >= 3", "'+' is no comparison; facts are not added up"},
    {"auth.user above x", "expected ==, !=, <, <=, >, >=, in, not in or matches, found 'above'"},
    {"client.ip in 192.0.2.0/24",
     "one network stands in braces, too: 'client.ip in { 192.0.2.0/24 }'"},
    {"client.ip not in 2001:db8::1", "'client.ip in { 2001:db8::1 }'"},
};

static void test_errors(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(error_rows) / sizeof(error_rows[0]); i++) {
        const struct error_row *row = &error_rows[i];
        struct fixture *fixture = one_rule(row->condition);

        if (row->message == NULL) {
            if (fixture->policy == NULL)
                fail_msg("%s: %s", row->condition, fixture->messages);
        } else if (fixture->policy != NULL) {
            fail_msg("%s was taken", row->condition);
        } else if (strstr(fixture->messages, row->message) == NULL) {
            fail_msg("%s: %s", row->condition, fixture->messages);
        } else if (strstr(fixture->messages, "^") == NULL) {
            fail_msg("%s: no place", row->condition);
        }
        fixture_free(fixture);
    }
}

/* One run shows all errors of a condition, and of those behind it. */
static void test_all_errors(void **state)
{
    struct fixture *fixture;

    (void)state;
    fixture =
        fixture_new("rule a { when spf.result == fial or (helo < x and nonsense == 1); accept; }\n"
                    "rule b { when client.ip in { 1.2.3.4, x }; accept; }\n");
    assert_null(fixture->policy);
    assert_int_equal(diag_errors(fixture->diag), 4);
    assert_non_null(strstr(fixture->messages, "test.conf:1:29: error"));
    assert_non_null(strstr(fixture->messages, "test.conf:2:39: error"));
    fixture_free(fixture);
}

static void test_warnings(void **state)
{
    static const struct error_row warnings[] = {
        {"client.ip in { 192.0.2.1/24 }", "'192.0.2.1/24' stands for the network 192.0.2.0/24"},
        {"sender == example.org", "'example.org' has no '@'"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(warnings) / sizeof(warnings[0]); i++) {
        struct fixture *fixture = one_rule(warnings[i].condition);

        assert_non_null(fixture->policy);
        assert_non_null(strstr(fixture->messages, warnings[i].message));
        fixture_free(fixture);
    }
}

/* N times "OPEN", then INNER, then N times "CLOSE". */
static struct fixture *nested(int n, const char *open, const char *inner, const char *close)
{
    struct str text = {NULL, 0, 0};
    struct fixture *fixture;
    int i;

    for (i = 0; i < n; i++)
        str_add(&text, open);
    str_add(&text, inner);
    for (i = 0; i < n; i++)
        str_add(&text, close);
    fixture = one_rule(str_text(&text));
    str_free(&text);
    return fixture;
}

static void test_nesting(void **state)
{
    struct fixture *fixture;

    (void)state;
    fixture = nested(100, "(", "true", ")");
    assert_non_null(fixture->policy);
    fixture_free(fixture);
    fixture = nested(101, "(", "true", ")");
    assert_null(fixture->policy);
    assert_non_null(strstr(fixture->messages, "nested more than 100 deep"));
    fixture_free(fixture);
    fixture = nested(99, "not ", "true", "");
    assert_non_null(fixture->policy);
    fixture_free(fixture);
    fixture = nested(200000, "not ", "true", "");
    assert_null(fixture->policy);
    assert_non_null(strstr(fixture->messages, "nested more than 100 deep"));
    fixture_free(fixture);
    fixture = nested(60, "not (true or client.local and ", "true", ")");
    assert_null(fixture->policy);
    assert_non_null(strstr(fixture->messages, "nested more than 100 deep"));
    fixture_free(fixture);
}

/* Conditions that use others twice each grow as fast as one can wish. */
static void test_expansion(void **state)
{
    struct str text = {NULL, 0, 0};
    struct fixture *fixture;
    int i;

    (void)state;
    str_add(&text, "condition c0 { client.local or helo == x }\n");
    for (i = 1; i <= 60; i++)
        str_add_format(&text, "condition c%d { c%d and c%d }\n", i, i - 1, i - 1);
    str_add(&text, "rule r { when c60; accept; }\n");
    fixture = fixture_new(str_text(&text));
    assert_null(fixture->policy);
    assert_non_null(strstr(fixture->messages, "more than 20000 parts"));
    assert_int_equal(diag_errors(fixture->diag), 1);
    fixture_free(fixture);
    str_clear(&text);
    for (i = 0; i < 3000; i++)
        str_add_format(&text, "condition c%d { c%d }\n", i, i + 1);
    str_add(&text, "condition c3000 { true }\nrule r { when c0; accept; }\n");
    fixture = fixture_new(str_text(&text));
    assert_null(fixture->policy);
    assert_non_null(strstr(fixture->messages, "a chain of too many conditions"));
    fixture_free(fixture);
    str_free(&text);
}

static void test_named(void **state)
{
    struct fixture *fixture;
    char truth[8];

    (void)state;
    fixture = fixture_new("rule r { when not (a or client.local) and b; header \"X-A: b\"; }\n"
                          "condition a { b and helo == x; }\n"
                          "condition b { spf.result == fail }\n");
    assert_non_null(fixture->policy);
    fixture_set(fixture, "spf.result=fail helo=y client.local=no");
    truth_text(decide_condition(fixture->policy->layout, fixture->policy->rules[0].when,
                                &fixture->view, STAGE_MESSAGE),
               truth);
    assert_string_equal(truth, "T");
    fixture_set(fixture, "helo=x");
    truth_text(decide_condition(fixture->policy->layout, fixture->policy->rules[0].when,
                                &fixture->view, STAGE_MESSAGE),
               truth);
    assert_string_equal(truth, "F");
    fixture_free(fixture);
}

static void test_named_errors(void **state)
{
    static const struct error_row named[] = {
        {"condition a { b }\ncondition b { a }\nrule r { when a; accept; }",
         "condition 'a' uses itself"},
        {"condition a { a }", "condition 'a' uses itself"},
        {"condition a { true }\ncondition a { true }",
         "there is a condition 'a' already, at test.conf:1"},
        {"condition helo { true }", "'helo' is a fact; give the condition another name"},
        {"condition and { true }", "cannot be the name of a condition"},
        {"condition a:b { true }", "cannot be the name of a condition"},
        {"condition { true }", "expected the name of the condition"},
        {"condition a true;", "expected '{'"},
        {"condition a { true } }", "no statement"},
        {"condition a { true true }", "expected 'and', 'or' or '}'"},
        {"condition forwarded { true }\nrule r { when forwardd; accept; }",
         "unknown fact or condition 'forwardd'; did you mean 'forwarded'?"},
        {"condition a { true }\nrule r { when a == 1; accept; }",
         "'a' is a condition and can only stand alone"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        struct fixture *fixture = fixture_new(named[i].condition);

        /* The fixture itself finds what is left over. */
        if (diag_errors(fixture->diag) == 0 || strstr(fixture->messages, named[i].message) == NULL)
            fail_msg("%s: %s", named[i].condition, fixture->messages);
        fixture_free(fixture);
    }
}

static void test_derived(void **state)
{
    struct fixture *fixture;
    const struct policy *policy;
    const struct derived *derived;

    (void)state;
    fixture = fixture_new(
        "rule a { when rcpt in users or rcpt in users; header \"X-A: b\"; }\n"
        "rule b { when header('Subject') matches '^RE: \\d+$'; header \"X-A: b\"; }\n"
        "rule c { when sender matches '^x@' or header('SUBJECT') == \"x\"; header \"X-A: b\"; }\n");
    policy = fixture->policy;
    assert_non_null(policy);
    assert_int_equal(policy->derived_count, 4);
    assert_int_equal(policy->layout->count, fixture->facts->count + 4);
    derived = policy->derived;
    assert_int_equal(derived[0].kind, DERIVED_IN_TABLE);
    assert_string_equal(derived[0].table, "users");
    assert_int_equal(derived[0].subject, layout_find(policy->layout, "rcpt"));
    assert_int_equal(policy->layout->slots[derived[0].slot].scope, SCOPE_RECIPIENT);
    assert_int_equal(policy->layout->slots[derived[0].slot].stage, STAGE_RCPT);
    assert_int_equal(derived[1].kind, DERIVED_HEADER);
    assert_string_equal(derived[1].header, "Subject");
    assert_int_equal(derived[1].subject, SLOT_NONE);
    assert_int_equal(policy->layout->slots[derived[1].slot].stage, STAGE_MESSAGE);
    assert_int_equal(derived[2].subject, derived[1].slot);
    assert_int_equal(pattern_match(derived[2].pattern, "RE: 12"), 1);
    assert_int_equal(pattern_match(derived[2].pattern, "Re: 12"), 0);
    assert_int_equal(pattern_match(derived[2].pattern, "RE: 12\n"), 0);
    assert_int_equal(pattern_match(derived[3].pattern, "X@example.org"), 1);
    fixture_free(fixture);
}

static uint32_t table_number(void *arg, const char *table)
{
    (void)arg;
    return (uint32_t)strlen(table);
}

static void test_bind_tables(void **state)
{
    struct fixture *fixture;

    (void)state;
    fixture = fixture_new("rule a { when rcpt in users and lookup(trusted, client.ip) != \"\";"
                          " header \"X-A: b\"; }\n");
    assert_non_null(fixture->policy);
    policy_bind_tables(fixture->policy, table_number, NULL);
    assert_int_equal(fixture->policy->derived[0].table_index, 5);
    assert_int_equal(fixture->policy->derived[1].table_index, 7);
    fixture_free(fixture);
}

/* A pattern that would take for ever ends at its limit, and says so. */
static void test_pattern_limit(void **state)
{
    struct fixture *fixture;

    (void)state;
    fixture = one_rule("client.name matches '^(a+)+(b+)+$'");
    assert_non_null(fixture->policy);
    assert_int_equal(pattern_match(fixture->policy->derived[0].pattern, "AAAABB"), 1);
    assert_int_equal(
        pattern_match(fixture->policy->derived[0].pattern,
                      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbx"),
        -1);
    assert_int_equal(pattern_match(fixture->policy->derived[0].pattern, "\xff\xfe"), 0);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truth),        cmocka_unit_test(test_open),
        cmocka_unit_test(test_errors),       cmocka_unit_test(test_all_errors),
        cmocka_unit_test(test_warnings),     cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_expansion),    cmocka_unit_test(test_named),
        cmocka_unit_test(test_named_errors), cmocka_unit_test(test_derived),
        cmocka_unit_test(test_bind_tables),  cmocka_unit_test(test_pattern_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
