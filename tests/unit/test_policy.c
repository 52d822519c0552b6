/* SPDX-License-Identifier: MIT */
#include "policy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include <postern/clock.h>
#include <postern/str.h>

static void test_rule(void **state)
{
    struct fixture *fixture;
    const struct rule *rule;

    (void)state;
    fixture = fixture_new("\nrule unknown-mailbox {\n"
                          "    note \"all \" \"of\" ' it'; owner \"joe\";\n"
                          "    reply 550 5.1.1 \"<%{rcpt}>: User \"\n \"unknown\";\n"
                          "    when helo == x; share 10%; until 2026-12-31; on_fault defer;\n"
                          "    late; local; }\n"
                          "rule two { when true; accept; observe; }\n"
                          "rule three { when helo == y; quarantine \"why\"; }\n"
                          "rule four { when helo == y; header \"X-A: b\"; }\n");
    assert_non_null(fixture->policy);
    assert_int_equal(fixture->policy->rule_count, 4);
    rule = fixture->policy->rules;
    assert_string_equal(rule->name, "unknown-mailbox");
    assert_string_equal(rule->file, "test.conf");
    assert_int_equal(rule->line, 2);
    assert_int_equal(rule->outcome, OUTCOME_REPLY);
    assert_int_equal(rule->code, 550);
    assert_int_equal(rule->enhanced[0], 5);
    assert_int_equal(rule->enhanced[1], 1);
    assert_int_equal(rule->enhanced[2], 1);
    assert_string_equal(rule->text, "<%{rcpt}>: User unknown");
    assert_int_equal(rule->text_at.line, 4);
    assert_string_equal(rule->note, "all of it");
    assert_string_equal(rule->owner, "joe");
    assert_int_equal(rule->share, 10);
    assert_int_equal(rule->until, 20261231);
    assert_true(rule->on_fault_defer && rule->late && rule->local && !rule->observe);
    assert_int_equal(rule[1].outcome, OUTCOME_ACCEPT);
    assert_true(rule[1].observe);
    assert_int_equal(rule[1].share, 100);
    assert_int_equal(rule[2].outcome, OUTCOME_QUARANTINE);
    assert_string_equal(rule[2].text, "why");
    assert_int_equal(rule[3].outcome, OUTCOME_HEADER);
    assert_string_equal(rule[3].text, "X-A: b");
    policy_bind_text(fixture->policy, 2, "compiled");
    assert_string_equal(rule[2].compiled, "compiled");
    fixture_free(fixture);
}

struct error_row {
    const char *text;
    const char *message;
};

static const struct error_row error_rows[] = {
    {"rule { when true; accept; }", "expected the name of the rule, found '{'"},
    {"rule a:b { when true; accept; }", "'a:b' cannot be the name of a rule"},
    {"rule a when true;", "expected '{'"},
    {"rule a { when true; accept; } rule a { when false; accept; }",
     "there is a rule 'a' already, at test.conf:1"},
    {"rule a { when true; }", "rule 'a' has no outcome"},
    {"rule a { accept; }", "rule 'a' has no condition; write 'when true;'"},
    {"rule a { when true; accept }", "expected ';', found '}'"},
    {"rule a { when true; accept;", "rule 'a' has no closing '}'"},
    {"rule a {\n    when true; accept;\n\nrule b { when true; accept; }\nrule c { when true; "
     "accept; }",
     "test.conf:1:6: error: rule 'a' has no closing '}'"},
    {"rule a { when true; reply 550 5.7.1 \"x; }\nrule b { when true; accept; }",
     "the string has no closing \" on its line"},
    {"rule a { when true;\n rule b; accept; }", "'rule' cannot stand in a rule"},
    {"rule a { when true; REJECT; }", "'REJECT' cannot stand in a rule; to refuse, write: reply"},
    {"rule a { when true; when false; accept; }", "rule 'a' has 'when' twice"},
    {"rule a { when true; accept; accept; }", "rule 'a' has 'accept' twice"},
    {"rule a { when true; accept; reply 550 5.1.1 \"x\"; }",
     "rule 'a' has two outcomes, 'accept' and 'reply'"},
    {"rule a { when true; acept; }", "'acept' cannot stand in a rule; did you mean 'accept'?"},
    {"rule a { when true; discard; }", "'discard' cannot stand in a rule"},
    {"rule a { when true; \"accept\"; }", "expected a statement or '}'"},
    {"rule a { when true; reply 55 5.1.1 \"x\"; }", "'55' is no reply code"},
    {"rule a { when true; reply 250 2.1.1 \"x\"; }", "'250' is no reply code"},
    {"rule a { when true; reply 600 5.1.1 \"x\"; }", "'600' is no reply code"},
    {"rule a { when true; reply 5500 5.1.1 \"x\"; }", "'5500' is no reply code"},
    {"rule a { when true; reply 550 \"x\"; }", "expected an enhanced status code such as 5.1.1"},
    {"rule a { when true; reply 550 5.1 \"x\"; }", "'5.1' is no enhanced status code"},
    {"rule a { when true; reply 550 5.01.1 \"x\"; }", "'5.01.1' is no enhanced status code"},
    {"rule a { when true; reply 550 5.1.1000 \"x\"; }", "'5.1.1000' is no enhanced status code"},
    {"rule a { when true; reply 550 5.1.1.1 \"x\"; }", "'5.1.1.1' is no enhanced status code"},
    {"rule a { when true; reply 550 2.1.1 \"x\"; }", "'2.1.1' is no enhanced status code"},
    {"rule a { when true; reply 550 5.1.1; }", "expected the reply's text in quotes"},
    {"rule a { when true; quarantine; }", "expected the reason in quotes"},
    {"rule a { when true; header; }", "expected \"Name: value\""},
    {"rule a { when true; accept; share 0%; }", "'0%' is no share"},
    {"rule a { when true; accept; share 101%; }", "'101%' is no share"},
    {"rule a { when true; accept; share 10; }", "'10' is no share"},
    {"rule a { when true; accept; until 2026-02-30; }", "'2026-02-30' is no date"},
    {"rule a { when true; accept; on_fault accept; }", "on_fault can only be 'defer'"},
    {"rule a { when true; header \"X-A: b\"; on_fault defer; }",
     "'on_fault defer' has no place in it"},
    {"rule listed { when true; accept; } disable lsted;",
     "there is no rule 'lsted'; did you mean 'listed'?"},
    {"observe nothing;", "there is no rule 'nothing'"},
};

static void test_errors(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(error_rows) / sizeof(error_rows[0]); i++) {
        struct fixture *fixture = fixture_new(error_rows[i].text);

        if (fixture->policy != NULL)
            fail_msg("%s was taken", error_rows[i].text);
        if (strstr(fixture->messages, error_rows[i].message) == NULL ||
            diag_errors(fixture->diag) != 1)
            fail_msg("%s: %s", error_rows[i].text, fixture->messages);
        fixture_free(fixture);
    }
}

/* Errors in several rules, and several in one, are all shown, each once. */
static void test_all_errors(void **state)
{
    struct fixture *fixture;

    (void)state;
    fixture = fixture_new("rule a { when helo = x; reply 55 5.1.1 \"x\"; shar 10%; }\n"
                          "rule b { when rcpt.status == unknown; reply 550 5.1.1 \"x\"; }\n"
                          "rule c { when nonsense; accept }\n"
                          "disable a;\n"
                          "rule d { when client.ip in nowhere; accept; }\n");
    assert_null(fixture->policy);
    assert_int_equal(diag_errors(fixture->diag), 6);
    assert_int_equal(diag_warnings(fixture->diag), 0);
    fixture_free(fixture);
}

static void test_disable_observe(void **state)
{
    struct fixture *fixture;

    (void)state;
    fixture = fixture_new("disable b; observe c;\n"
                          "rule a { when helo == x; reply 550 5.1.1 \"x\"; }\n"
                          "rule b { when helo == y; reply 550 5.1.1 \"x\"; }\n"
                          "rule c { when helo == z; reply 550 5.1.1 \"x\"; }\n"
                          "observe c; disable b;\n");
    assert_non_null(fixture->policy);
    assert_int_equal(fixture->policy->rule_count, 2);
    assert_int_equal(fixture->policy->rules[1].index, 1);
    assert_string_equal(fixture->policy->rules[1].name, "c");
    assert_int_equal(fixture->modes[0], RULE_ENFORCES);
    assert_int_equal(fixture->modes[1], RULE_OBSERVES);
    fixture_free(fixture);
    /* A disabled rule keeps its errors to be mended, but its condition counts as used. */
    fixture = fixture_new("disable b; condition k { true }\n"
                          "rule a { when helo == x; reply 550 5.1.1 \"x\"; }\n"
                          "rule b { when k and rcpt.status == unknown; reply 550 5.1.1 \"x\"; }\n");
    assert_non_null(fixture->policy);
    assert_int_equal(diag_warnings(fixture->diag), 0);
    assert_int_equal(fixture->policy->rule_count, 1);
    fixture_free(fixture);
}

static void test_modes(void **state)
{
    struct fixture *fixture;
    struct mode_inputs inputs = {.today = 20261231, .sender_domain = ""};

    (void)state;
    fixture = fixture_new("rule a { when helo == a; reply 550 5.1.1 \"x\"; }\n"
                          "rule b { when helo == b; reply 550 5.1.1 \"x\"; local; }\n"
                          "rule c { when helo == c; accept; }\n"
                          "rule d { when helo == d; reply 550 5.1.1 \"x\"; until 2026-12-31; }\n"
                          "rule e { when helo == e; quarantine \"x\"; observe; }\n");
    assert_non_null(fixture->policy);
    policy_modes(fixture->policy, &inputs, fixture->modes);
    assert_memory_equal(fixture->modes, "\2\2\2\2\1", 5);
    inputs.today = 20270101;
    policy_modes(fixture->policy, &inputs, fixture->modes);
    assert_memory_equal(fixture->modes, "\2\2\2\0\1", 5);
    inputs.local = true;
    policy_modes(fixture->policy, &inputs, fixture->modes);
    assert_memory_equal(fixture->modes, "\0\2\2\0\1", 5);
    fixture_free(fixture);
}

/* A share is one of (rule, client network, sender domain), and about as large as it says. */
static void test_share(void **state)
{
    struct fixture *fixture;
    struct mode_inputs inputs = {.today = 20260701};
    unsigned enforced[3] = {0};
    unsigned same = 0;
    uint8_t before[3];
    char text[32];
    unsigned i, j;

    (void)state;
    fixture = fixture_new("rule a { when true; header \"X-A: b\"; share 10%; }\n"
                          "rule b { when true; header \"X-A: b\"; share 10%; }\n"
                          "rule c { when true; header \"X-A: b\"; share 100%; }\n");
    assert_non_null(fixture->policy);
    for (i = 0; i < 10000; i++) {
        snprintf(text, sizeof(text), "10.%u.%u.1", i / 256, i % 256);
        assert_true(addr_parse(text, &inputs.client));
        inputs.sender_domain = i % 2 ? "example.org" : "example.net";
        policy_modes(fixture->policy, &inputs, fixture->modes);
        for (j = 0; j < 3; j++)
            enforced[j] += fixture->modes[j] == RULE_ENFORCES;
        same += fixture->modes[0] == RULE_ENFORCES && fixture->modes[1] == RULE_ENFORCES;
        memcpy(before, fixture->modes, sizeof(before));
        inputs.client.bytes[3] = 200;
        policy_modes(fixture->policy, &inputs, fixture->modes);
        assert_memory_equal(before, fixture->modes, sizeof(before));
    }
    assert_in_range(enforced[0], 800, 1200);
    assert_in_range(enforced[1], 800, 1200);
    assert_int_equal(enforced[2], 10000);
    /* The shares of two rules have nothing to do with each other. */
    assert_in_range(same, 50, 200);
    fixture_free(fixture);
}

static void test_share_ipv6(void **state)
{
    struct fixture *fixture;
    struct mode_inputs inputs = {.today = 20260701, .sender_domain = "example.org"};
    unsigned changed = 0;
    unsigned i;

    (void)state;
    fixture = fixture_new("rule a { when true; header \"X-A: b\"; share 50%; }\n");
    assert_non_null(fixture->policy);
    for (i = 0; i < 100; i++) {
        uint8_t before;

        assert_true(addr_parse("2001:db8::1", &inputs.client));
        inputs.client.bytes[7] = (uint8_t)i;
        policy_modes(fixture->policy, &inputs, fixture->modes);
        before = fixture->modes[0];
        inputs.client.bytes[8] = 7;
        policy_modes(fixture->policy, &inputs, fixture->modes);
        assert_int_equal(fixture->modes[0], before);
        inputs.client.bytes[7] ^= 1;
        policy_modes(fixture->policy, &inputs, fixture->modes);
        changed += fixture->modes[0] != before;
    }
    assert_in_range(changed, 20, 80);
    fixture_free(fixture);
}

static void test_print(void **state)
{
    struct fixture *fixture;
    char *text;
    size_t size;
    FILE *out;

    (void)state;
    fixture = fixture_new(
        "rule trusted { when client.ip in trusted or auth.user != \"\"; accept; }\n"
        "rule dmarc { when dmarc.result == fail; reply 550 5.7.26 \"x\"; late; share 5%; }\n"
        "rule listed { when dnsbl.score >= 3; reply 554 5.7.1 \"x\"; owner \"joe\";\n"
        "    until 2026-12-31; }\n"
        "rule last { when true; header \"X-A: b\"; observe; }\n");
    assert_non_null(fixture->policy);
    out = open_memstream(&text, &size);
    policy_print(fixture->policy, out);
    policy_print(NULL, out);
    fclose(out);
    assert_string_equal(text, "trusted (test.conf:1): accept\n"
                              "    decided by rcpt\n"
                              "    needs client.ip in trusted, auth.user\n"
                              "dmarc (test.conf:2): reply 550 5.7.26, for 5% of the mail\n"
                              "    speaks at message, for dmarc.result\n"
                              "    needs dmarc.result\n"
                              "listed (test.conf:3): reply 554 5.7.1, until 2026-12-31\n"
                              "    speaks at message, held there by 'dmarc'\n"
                              "    needs dnsbl.score\n"
                              "    owner joe\n"
                              "last (test.conf:5): header, observes only\n"
                              "    decided by message\n"
                              "    needs nothing\n");
    free(text);
    fixture_free(fixture);
}

/* Names are found by hashing: ten thousand rules are no trouble. */
static void test_many_rules(void **state)
{
    struct str text = {NULL, 0, 0};
    struct fixture *fixture;
    int i;

    (void)state;
    for (i = 0; i < 10000; i++)
        str_add_format(&text,
                       "rule r%d { when c%d and helo matches '^x%d$'; reply 550 5.1.1 \"x\"; }\n"
                       "condition c%d { sender.domain in { a%d.example, b.example } }\n"
                       "observe r%d;\n",
                       i, i, i, i, i, i);
    fixture = fixture_new(str_text(&text));
    assert_non_null(fixture->policy);
    assert_int_equal(fixture->policy->rule_count, 10000);
    assert_int_equal(fixture->policy->derived_count, 10000);
    fixture_free(fixture);
    str_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rule),       cmocka_unit_test(test_errors),
        cmocka_unit_test(test_all_errors), cmocka_unit_test(test_disable_observe),
        cmocka_unit_test(test_modes),      cmocka_unit_test(test_share),
        cmocka_unit_test(test_share_ipv6), cmocka_unit_test(test_print),
        cmocka_unit_test(test_many_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
