/* SPDX-License-Identifier: MIT */
#include "policy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

/* One rule each, below each other: where it can be decided, where it speaks, and who holds it
 * there. */
struct stage_row {
    const char *rule;
    enum stage own, speaks;
    const char *held_by; /* NULL: nobody */
};

static void check_stages(const struct stage_row *rows, size_t count, enum stage speak_at)
{
    char text[4096] = "";
    struct fixture *fixture;
    size_t i;

    for (i = 0; i < count; i++) {
        strcat(text, rows[i].rule);
        strcat(text, "\n");
    }
    fixture = fixture_new_at(text, speak_at, 20260701);
    if (fixture->policy == NULL)
        fail_msg("%s", fixture->messages);
    for (i = 0; i < count; i++) {
        const struct rule *rule = &fixture->policy->rules[i];
        const char *held_by =
            rule->held_by >= 0 ? fixture->policy->rules[rule->held_by].name : "nobody";

        if (rule->own_stage != rows[i].own || rule->speaks != rows[i].speaks ||
            strcmp(held_by, rows[i].held_by != NULL ? rows[i].held_by : "nobody") != 0)
            fail_msg("%s: own %s, speaks %s, held by %s", rows[i].rule, stage_name(rule->own_stage),
                     stage_name(rule->speaks), held_by);
    }
    fixture_free(fixture);
}

static void test_stages(void **state)
{
    static const struct stage_row at_rcpt[] = {
        {"rule a { when client.ip in trusted; accept; }", STAGE_CONNECT, STAGE_RCPT, NULL},
        {"rule b { when true; reply 521 5.3.2 \"x\"; until 2026-12-31; }", STAGE_CONNECT,
         STAGE_MAIL, NULL},
        {"rule c { when spf.result == fail and helo == x; reply 550 5.7.1 \"x\"; }", STAGE_MAIL,
         STAGE_RCPT, NULL},
        {"rule d { when dmarc.result == fail; header \"X-A: b\"; }", STAGE_MESSAGE, STAGE_MESSAGE,
         NULL},
        {"rule e { when dmarc.result == fail; accept; observe; }", STAGE_MESSAGE, STAGE_MESSAGE,
         NULL},
        {"rule f { when rcpt in users and dmarc.result == fail; reply 550 5.7.1 \"x\"; }",
         STAGE_MESSAGE, STAGE_MESSAGE, NULL},
        {"rule g { when helo == x; reply 550 5.7.1 \"x\"; }", STAGE_HELO, STAGE_MESSAGE, "f"},
        {"rule h { when helo == x; quarantine \"x\"; }", STAGE_HELO, STAGE_MESSAGE, NULL},
        {"rule i { when header('X') == \"y\"; reply 550 5.7.1 \"x\"; }", STAGE_MESSAGE,
         STAGE_MESSAGE, NULL},
    };
    static const struct stage_row at_mail[] = {
        {"rule a { when client.ip in trusted; accept; }", STAGE_CONNECT, STAGE_MAIL, NULL},
        {"rule b { when helo == x; reply 550 5.7.1 \"x\"; }", STAGE_HELO, STAGE_MAIL, NULL},
        {"rule c { when rcpt.local == abuse; accept; }", STAGE_RCPT, STAGE_RCPT, NULL},
        {"rule d { when helo == y; reply 550 5.7.1 \"x\"; }", STAGE_HELO, STAGE_RCPT, "c"},
        {"rule e { when rcpt in users; accept; }", STAGE_RCPT, STAGE_RCPT, NULL},
        {"rule f { when true or dmarc.result == fail; header \"X-A: b\"; }", STAGE_CONNECT,
         STAGE_MESSAGE, NULL},
        {"rule g { when helo == z and (false and dmarc.result == fail or true); accept; }",
         STAGE_HELO, STAGE_RCPT, "c"},
    };

    (void)state;
    check_stages(at_rcpt, sizeof(at_rcpt) / sizeof(at_rcpt[0]), STAGE_RCPT);
    check_stages(at_mail, sizeof(at_mail) / sizeof(at_mail[0]), STAGE_MAIL);
}

static void test_slots(void **state)
{
    struct fixture *fixture;
    const struct rule *rule;

    (void)state;
    fixture =
        fixture_new("condition c { helo == x or (client.local and true) }\n"
                    "rule a { when c and c and rcpt in users and (true or spf.result == fail);"
                    " accept; }\n"
                    "rule b { when helo == y; accept; }\n");
    assert_non_null(fixture->policy);
    rule = fixture->policy->rules;
    assert_int_equal(rule[0].slot_count, 3);
    assert_int_equal(rule[0].slots[0], layout_find(fixture->policy->layout, "helo"));
    assert_int_equal(rule[0].slots[1], layout_find(fixture->policy->layout, "client.local"));
    assert_int_equal(rule[0].slots[2], layout_find(fixture->policy->layout, "rcpt in users"));
    assert_true(rule[0].uses_recipient);
    assert_int_equal(rule[1].slot_count, 1);
    assert_false(rule[1].uses_recipient);
    fixture_free(fixture);
}

static void test_summary(void **state)
{
    static const struct {
        const char *text;
        bool has_521, has_headers;
    } rows[] = {
        {"rule a { when helo == x; reply 550 5.7.1 \"x\"; }", false, false},
        {"rule a { when helo == x; reply 521 5.7.1 \"x\"; }", true, false},
        {"rule a { when helo == x; reply 521 5.7.1 \"x\"; observe; }", false, false},
        {"rule a { when helo == x; header \"X-A: b\"; }", false, true},
        {"rule a { when header('X') matches 'y'; accept; }", false, false},
        {"rule a { when dmarc.result == fail; accept; observe; }", false, false},
        {"rule a { when dmarc.result == fail; accept; until 2020-01-01; }", false, false},
        {"rule a { when dmarc.result == fail; accept; } disable a;", false, false},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture *fixture = fixture_new(rows[i].text);
        const struct policy *policy = fixture->policy;

        assert_non_null(policy);
        if (policy->has_521 != rows[i].has_521 || policy->has_headers != rows[i].has_headers)
            fail_msg("%s", rows[i].text);
        fixture_free(fixture);
    }
}

struct message_row {
    const char *text;
    const char *message; /* NULL: none */
};

static void check_messages(const struct message_row *rows, size_t count, bool refused)
{
    size_t i;

    for (i = 0; i < count; i++) {
        struct fixture *fixture = fixture_new(rows[i].text);
        unsigned found = refused ? diag_errors(fixture->diag) : diag_warnings(fixture->diag);

        if (rows[i].message == NULL ? found != 0
                                    : strstr(fixture->messages, rows[i].message) == NULL)
            fail_msg("%s: %s", rows[i].text, fixture->messages);
        if ((fixture->policy == NULL) != (refused && rows[i].message != NULL))
            fail_msg("%s: %s", rows[i].text, fixture->messages);
        if (rows[i].message != NULL && found != 1)
            fail_msg("%s: %u messages\n%s", rows[i].text, found, fixture->messages);
        fixture_free(fixture);
    }
}

#define UNKNOWN     "rule unknown { when rcpt.status == unknown; reply 550 5.1.1 \"x\"; } "
#define UNAVAILABLE "rule down { when rcpt.status == unavailable; reply 451 4.3.0 \"x\"; } "
#define LISTED      "rule listed { when dnsbl.score >= 3; reply 554 5.7.1 \"x\"; } "
#define CLOSED      "rule closed { when helo == x; reply 521 5.3.2 \"x\"; } "
#define FAIL        "rule dmarc { when dmarc.result == fail"
#define REPLY       "; reply 550 5.7.26 \"x\"; "

/* ---- what is refused ---- */

static void test_521(void **state)
{
    static const struct message_row rows[] = {
        {CLOSED, NULL},
        {"rule a { when client.ip in trusted; accept; } " CLOSED, NULL},
        {"rule a { when rcpt in users; reply 521 5.3.2 \"x\"; }",
         "rule 'a' answers 521, which ends the session and must be certain by MAIL, but 'rcpt in "
         "users' is known only at rcpt"},
        {"rule a { when dmarc.result == fail; reply 521 5.3.2 \"x\"; }",
         "'dmarc.result' is known only at message"},
        {"rule role { when rcpt.local == abuse; accept; } " CLOSED,
         "rule 'closed' answers 521, which ends the session and must be certain by MAIL, but rule "
         "'role' (test.conf:1) above it needs 'rcpt.local', known only at rcpt"},
        {CLOSED "rule role { when rcpt.local == abuse; accept; }", NULL},
        {"rule role { when rcpt.local == abuse; accept; observe; } " CLOSED, NULL},
        {"rule role { when rcpt.local == abuse; header \"X-A: b\"; } " CLOSED, NULL},
        {"rule role { when rcpt.local == abuse; accept; until 2020-01-01; } " CLOSED, NULL},
        {"rule role { when rcpt.local == abuse; accept; } " CLOSED "disable role;", NULL},
        {"rule role { when true or rcpt.local == abuse; accept; until 2027-01-01; } " CLOSED, NULL},
    };

    (void)state;
    check_messages(rows, sizeof(rows) / sizeof(rows[0]), true);
}

static void test_unavailable(void **state)
{
    static const struct message_row rows[] = {
        {UNKNOWN UNAVAILABLE, NULL},
        {UNAVAILABLE, NULL},
        {UNKNOWN, "rule 'unknown' tests rcpt.status, but no rule says what happens when it is "
                  "'unavailable'; add one: when rcpt.status == unavailable; reply 451 4.3.0"},
        {UNKNOWN "rule down { when rcpt.status == unavailable; reply 451 4.3.0 \"x\"; observe; }",
         "no rule says what happens"},
        {UNKNOWN UNAVAILABLE "observe down; observe unknown;", NULL},
        {UNKNOWN "observe unknown;", "rule 'unknown' tests rcpt.status"},
        {UNKNOWN UNAVAILABLE "disable down;", "rule 'unknown' tests rcpt.status"},
        {UNKNOWN "rule down { when rcpt.status == unavailable; accept; }",
         "rule 'unknown' tests rcpt.status"},
        {UNKNOWN "rule x { when rcpt.status != unavailable and helo == x; reply 451 4.3.0 \"x\"; }",
         "rule 'unknown' tests rcpt.status"},
        {UNKNOWN "rule x { when rcpt.status in { moved, unavailable }; reply 451 4.3.0 \"x\"; }",
         NULL},
        {"condition gone { not rcpt.status == known } "
         "rule x { when gone; reply 550 5.1.1 \"x\"; on_fault defer; }",
         NULL},
        {"rule x { when rcpt.status == known; accept; }", NULL},
        {"rule x { when rcpt.status == known; header \"X-A: b\"; }", NULL},
    };

    (void)state;
    check_messages(rows, sizeof(rows) / sizeof(rows[0]), true);
}

static void test_held(void **state)
{
    static const struct message_row rows[] = {
        {FAIL REPLY "} " LISTED,
         "rule 'dmarc' needs 'dmarc.result', known only at the end of the message, and so holds "
         "rule 'listed' (test.conf:1) below it, which could refuse at RCPT"},
        {FAIL REPLY "} " LISTED CLOSED "disable closed;",
         "holds rule 'listed' (test.conf:1) below"},
        {FAIL REPLY "} " LISTED UNAVAILABLE UNKNOWN, "'listed' (test.conf:1) and 2 more below it"},
        {LISTED FAIL REPLY "}", NULL},
        {FAIL REPLY "late; } " LISTED, NULL},
        {FAIL "; accept; } " LISTED, "holds rule 'listed'"},
        {FAIL "; quarantine \"x\"; } " LISTED, "holds rule 'listed'"},
        {FAIL "; header \"X-A: b\"; } " LISTED, NULL},
        {FAIL REPLY "observe; } " LISTED, NULL},
        {FAIL REPLY "until 2020-01-01; } " LISTED, NULL},
        {FAIL REPLY "} " LISTED "observe listed;", NULL},
        {FAIL REPLY "} rule x { when helo == x; accept; }", NULL},
        {FAIL REPLY "} rule x { when message.size > 9; reply 552 5.3.4 \"x\"; }", NULL},
        /* guards */
        {FAIL " and sender.domain in ours" REPLY "} " LISTED, NULL},
        {FAIL " and spf.result == fail" REPLY "} " LISTED, NULL},
        {FAIL " and spf.result != fail" REPLY "} " LISTED, "holds rule 'listed'"},
        {FAIL " and not sender.domain in ours" REPLY "} " LISTED, "holds rule 'listed'"},
        {FAIL " and (client.local or sender.domain in ours)" REPLY "} " LISTED, NULL},
        {FAIL " and (client.local or not sender.domain in ours)" REPLY "} " LISTED,
         "holds rule 'listed'"},
        {FAIL " and (client.local or message.size > 1)" REPLY "} " LISTED, "holds rule 'listed'"},
        {FAIL " or sender.domain in ours" REPLY "} " LISTED, "holds rule 'listed'"},
        {FAIL " and true" REPLY "} " LISTED, "holds rule 'listed'"},
        {"condition g { helo == x and rcpt.local == abuse } " FAIL " and g" REPLY "} " LISTED,
         NULL},
    };

    (void)state;
    check_messages(rows, sizeof(rows) / sizeof(rows[0]), true);
}

static void test_refusal_in_fault(void **state)
{
    static const struct message_row rows[] = {
        {"rule x { when spf.result == temperror; reply 550 5.7.1 \"x\"; }",
         "rule 'x' refuses for good (550) when 'spf.result' is 'temperror'"},
        {"rule x { when spf.result in { fail, temperror }; reply 550 5.7.1 \"x\"; }",
         "refuses for good (550)"},
        {"rule x { when helo == x and not (spf.result != temperror); reply 550 5.7.1 \"x\"; }",
         "refuses for good (550)"},
        {"rule x { when spf.result == temperror; reply 451 4.7.1 \"x\"; }", NULL},
        {"rule x { when spf.result == temperror; accept; }", NULL},
        {"rule x { when spf.result != temperror and helo == x; reply 550 5.7.1 \"x\"; }", NULL},
        {"rule x { when spf.result == permerror; reply 550 5.7.1 \"x\"; }", NULL},
        {"rule x { when dnsbl.faults > 0; reply 550 5.7.1 \"x\"; }",
         "rule 'x' refuses for good (550) because of 'dnsbl.faults'"},
        {"rule x { when dnsbl.faults >= 1 and helo == x; reply 554 5.7.1 \"x\"; }",
         "refuses for good (554) because of 'dnsbl.faults'"},
        {"rule x { when dnsbl.faults != 0; reply 550 5.7.1 \"x\"; }", "because of 'dnsbl.faults'"},
        {"rule x { when not dnsbl.faults < 1; reply 550 5.7.1 \"x\"; }",
         "because of 'dnsbl.faults'"},
        {"condition c { dnsbl.faults in { 1, 2 } } rule x { when c; reply 550 5.7.1 \"x\"; }",
         "because of 'dnsbl.faults'"},
        {"rule x { when dnsbl.faults > 0; reply 451 4.7.1 \"x\"; }", NULL},
        {"rule x { when dnsbl.faults > 0; accept; }", NULL},
        {"rule x { when dnsbl.faults == 0 and helo == x; reply 550 5.7.1 \"x\"; }", NULL},
        {"rule x { when dnsbl.faults < 1 and helo == x; reply 550 5.7.1 \"x\"; }", NULL},
        {"rule x { when not dnsbl.faults > 0 and helo == x; reply 550 5.7.1 \"x\"; }", NULL},
    };

    (void)state;
    check_messages(rows, sizeof(rows) / sizeof(rows[0]), true);
}

#define NO    " rule no { when true; reply 550 5.7.1 \"x\"; }"
#define LATER "rule later { when spf.result == temperror; reply 451 4.7.24 \"x\"; } "

static void test_exemption_in_fault(void **state)
{
    static const struct message_row rows[] = {
        {"rule ok { when spf.result != temperror; accept; }" NO,
         "rule 'ok' does not speak when 'spf.result' is 'temperror', and so rule 'no' "
         "(test.conf:1) below it refuses for good (550) what only could not be found out; add a "
         "rule above them: when spf.result == temperror; reply 451"},
        {"rule ok { when not (spf.result == temperror); accept; }" NO, "and so rule 'no'"},
        {"rule ok { when spf.result not in { fail, temperror } and helo == x; accept; }" NO,
         "and so rule 'no'"},
        {"rule ok { when spf.result == pass and spf.result != temperror; accept; }" NO,
         "and so rule 'no'"},
        {"rule ok { when spf.result != temperror; quarantine \"x\"; late; }" NO,
         "and so rule 'no'"},
        {"rule ok { when spf.result != temperror; accept; } "
         "rule no { when helo == x and spf.result == fail or helo == y; reply 550 5.7.1 \"x\"; }",
         "and so rule 'no'"},
        /* Somebody defers it. */
        {LATER "rule ok { when spf.result != temperror; accept; }" NO, NULL},
        {"rule ok { when spf.result != temperror; accept; } " LATER NO, NULL},
        {LATER "observe later; rule ok { when spf.result != temperror; accept; }" NO,
         "and so rule 'no'"},
        {"rule ok { when spf.result != temperror; accept; }" NO " " LATER, "and so rule 'no'"},
        {"rule d { when dmarc.result == temperror; reply 451 4.7.1 \"x\"; late; } "
         "rule ok { when spf.result != temperror; accept; }" NO,
         "and so rule 'no'"},
        /* Nothing is refused because of it. */
        {"rule ok { when spf.result == pass; accept; }" NO, NULL},
        {"rule ok { when spf.result == temperror; accept; }" NO, NULL},
        {"rule ok { when spf.result == pass or spf.result != temperror; accept; }" NO, NULL},
        {"rule ok { when spf.result != temperror; accept; observe; }" NO, NULL},
        {"rule ok { when spf.result != temperror; accept; }" NO " observe no;", NULL},
        {"rule ok { when spf.result != temperror; header \"X-A: b\"; }" NO, NULL},
        {"rule ok { when spf.result != temperror; accept; } "
         "rule no { when spf.result == fail; reply 550 5.7.1 \"x\"; }",
         NULL},
        {"rule ok { when spf.result != temperror; accept; } "
         "rule no { when spf.result != temperror; reply 550 5.7.1 \"x\"; }",
         NULL},
        {"rule x { when spf.result != temperror and helo == x; reply 550 5.7.1 \"x\"; }" NO, NULL},
        {NO " rule ok { when spf.result != temperror; accept; local; }", NULL},
        {"rule ok { when spf.result != temperror; accept; } rule all { when true; accept; }" NO,
         NULL},
    };

    (void)state;
    check_messages(rows, sizeof(rows) / sizeof(rows[0]), true);
}

/* ---- what is warned of ---- */

static void test_no_rule(void **state)
{
    static const struct message_row rows[] = {
        {"", "there is no rule: nothing is ever refused"},
        {CLOSED "disable closed;", "there is no rule"},
        {CLOSED, NULL},
    };

    (void)state;
    check_messages(rows, sizeof(rows) / sizeof(rows[0]), false);
}

static void test_silent_rules(void **state)
{
    static const struct message_row rows[] = {
        {LISTED, NULL},
        {"rule x { when false; reply 550 5.7.1 \"x\"; }",
         "rule 'x' can never speak: its condition is always false"},
        {"rule x { when helo == x and not true; accept; }", "its condition is always false"},
        {"rule x { when helo == x; accept; until 2026-06-30; }",
         "rule 'x' ended on 2026-06-30 and can never speak"},
        {"rule x { when helo == x; accept; until 2026-07-01; }", NULL},
        {"rule x { when true; accept; } " LISTED,
         "rule 'listed' can never speak: rule 'x' (test.conf:1) above it is always true"},
        {"rule x { when true; accept; observe; } " LISTED, NULL},
        {"rule x { when true; header \"X-A: b\"; } " LISTED, NULL},
        {"rule x { when true; accept; until 2026-12-31; } " LISTED, NULL},
        {"rule x { when true; reply 550 5.7.1 \"x\"; share 50%; } " LISTED, NULL},
        {"rule x { when true; reply 521 5.3.2 \"x\"; } " LISTED, "rule 'listed' can never speak"},
        /* Local submissions do not meet it. */
        {"rule x { when true; reply 521 5.3.2 \"x\"; } rule y { when helo == x; accept; }", NULL},
        {"rule x { when true; reply 550 5.3.2 \"x\"; local; } rule y { when helo == x; accept; }",
         "rule 'y' can never speak"},
        {"rule x { when true; reply 550 5.3.2 \"x\"; } "
         "rule y { when helo == x; reply 550 5.7.1 \"x\"; local; }",
         NULL},
    };

    (void)state;
    check_messages(rows, sizeof(rows) / sizeof(rows[0]), false);
}

#define X(condition) "rule x { when " condition "; accept; } "
#define Y(condition) "rule y { when " condition "; reply 550 5.7.1 \"y\"; }"
#define SHADOWED                                                                                   \
    "rule 'y' can never speak: wherever it is true, rule 'x' (test.conf:1) above it is true, too"

static void test_shadows(void **state)
{
    static const struct message_row rows[] = {
        {X("helo == a") Y("helo == a"), SHADOWED},
        {X("sender.local == A") Y("sender.local == a and client.local"), SHADOWED},
        {X("helo == a and client.local") Y("helo == a"), NULL},
        {X("helo == a or client.local") Y("helo == a"), SHADOWED},
        {X("helo == a") Y("helo == a or client.local"), NULL},
        {X("helo == a or helo == b") Y("helo in { b, a }"), NULL}, /* not seen */
        {X("helo in { b, a, c }") Y("helo == a or helo == b"), SHADOWED},
        {X("helo in { b, a }") Y("helo in { a, b, c }"), NULL},
        {X("not helo in { a, b }") Y("not helo in { a, b, c }"), SHADOWED},
        {X("not helo in { a, b, c }") Y("not helo in { a, b }"), NULL},
        {X("not helo == a") Y("not (helo == a or client.local)"), SHADOWED},
        {X("helo == a") Y("not helo == a"), NULL},
        {X("dnsbl.score >= 3") Y("dnsbl.score >= 5"), SHADOWED},
        {X("dnsbl.score >= 5") Y("dnsbl.score >= 3"), NULL},
        {X("dnsbl.score > 3") Y("dnsbl.score >= 4"), SHADOWED},
        {X("dnsbl.score > 4") Y("dnsbl.score >= 4"), NULL},
        {X("dnsbl.score <= 3") Y("dnsbl.score < 4"), SHADOWED},
        {X("dnsbl.score < 3") Y("dnsbl.score <= 3"), NULL},
        {X("dnsbl.score < 3") Y("dnsbl.score == 2"), SHADOWED},
        {X("dnsbl.score < 3") Y("dnsbl.score > 1"), NULL},
        {X("dnsbl.score == 2") Y("dnsbl.score >= 2"), NULL},
        {X("dnsbl.score > 9223372036854775806") Y("dnsbl.score >= 9223372036854775807"), SHADOWED},
        {X("client.ip in { 192.0.2.0/24 }") Y("client.ip == 192.0.2.1"), SHADOWED},
        {X("client.ip in { 192.0.2.0/24 }") Y("client.ip in { 192.0.0.0/16 }"), NULL},
        {X("client.ip in { 0.0.0.0/0 }") Y("client.ip == 2001:db8::1"), NULL},
        {X("client.ip in trusted") Y("client.ip in trusted and helo == a"), SHADOWED},
        {X("client.ip in trusted") Y("sender in trusted"), NULL},
        {X("spf.result in { fail, softfail }") Y("spf.result == fail"), SHADOWED},
        {"condition c { helo == a } " X("c") Y("client.local and c"), SHADOWED},
        /* Who does not decide hides nothing. */
        {"rule x { when helo == a; accept; observe; } " Y("helo == a"), NULL},
        {"rule x { when helo == a; accept; share 50%; } " Y("helo == a"), NULL},
        {"rule x { when helo == a; accept; until 2026-12-31; } " Y("helo == a"), NULL},
        {"rule x { when helo == a; header \"X-A: b\"; } " Y("helo == a"), NULL},
        {X("helo == a") Y("helo == a") "disable x;", NULL},
        /* Local submissions meet no reply. */
        {"rule x { when helo == a; reply 550 5.7.1 \"x\"; } " Y("helo == a"), SHADOWED},
        {"rule x { when helo == a; reply 550 5.7.1 \"x\"; } rule y { when helo == a; accept; }",
         NULL},
    };

    (void)state;
    check_messages(rows, sizeof(rows) / sizeof(rows[0]), false);
}

static void test_deferrals(void **state)
{
    static const struct message_row rows[] = {
        {"rule x { when helo == x; reply 450 4.7.1 \"x\"; }",
         "rule 'x' answers 450, but nothing in its condition passes with time"},
        {"rule x { when true; reply 450 4.3.2 \"x\"; }", "passes with time"},
        {"rule x { when dnsbl.score >= 3; reply 450 4.7.1 \"x\"; }", "passes with time"},
        {"rule x { when spf.result == fail; reply 450 4.7.1 \"x\"; }", "passes with time"},
        {"rule x { when spf.result == temperror; reply 451 4.7.24 \"x\"; }", NULL},
        {"rule x { when spf.result not in { pass, temperror }; reply 451 4.7.24 \"x\"; }", NULL},
        {"rule x { when dnsbl.faults > 0 and helo == x; reply 451 4.7.1 \"x\"; }", NULL},
        {"rule x { when client.rate > 100; reply 450 4.7.1 \"x\"; }", NULL},
    };

    (void)state;
    check_messages(rows, sizeof(rows) / sizeof(rows[0]), false);
}

static void test_claims(void **state)
{
    static const struct message_row rows[] = {
        {"rule x { when client.ptr in trusted; accept; }",
         "rule 'x' exempts by client.ptr, which the client claims itself; use client.name"},
        {"rule x { when client.ptr == a.example; accept; }", "exempts by client.ptr"},
        {"condition c { client.ptr matches 'x' } rule x { when c; accept; }",
         "exempts by client.ptr"},
        {"rule x { when lookup(users, client.ptr) == \"x\"; accept; }", "exempts by client.ptr"},
        {"rule x { when client.name in trusted; accept; }", NULL},
        {"rule x { when client.ptr matches 'dyn'; reply 550 5.7.1 \"x\"; }", NULL},
    };

    (void)state;
    check_messages(rows, sizeof(rows) / sizeof(rows[0]), false);
}

static void test_unused(void **state)
{
    static const struct message_row rows[] = {
        {"condition c { helo == x } rule x { when c; accept; }", NULL},
        {"condition c { helo == x } " CLOSED, "no rule uses the condition 'c'"},
        {"condition c { helo == x } condition d { c } rule x { when d; accept; }", NULL},
    };

    (void)state;
    check_messages(rows, sizeof(rows) / sizeof(rows[0]), false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stages),
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_521),
        cmocka_unit_test(test_unavailable),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_refusal_in_fault),
        cmocka_unit_test(test_silent_rules),
        cmocka_unit_test(test_shadows),
        cmocka_unit_test(test_deferrals),
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_unused),
        cmocka_unit_test(test_exemption_in_fault),
        cmocka_unit_test(test_no_rule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
