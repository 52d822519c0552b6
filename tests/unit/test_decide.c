/* SPDX-License-Identifier: MIT */
#include "policy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

/* One decision: the facts so far, the stage, what may be said there, and the verdict. */
struct row {
    const char *facts;
    enum stage now;
    enum speak speak;
    const char *verdict;
};

static void check_rows(const char *text, const struct row *rows, size_t count)
{
    struct fixture *fixture = fixture_new(text);
    size_t i;

    if (fixture->policy == NULL)
        fail_msg("%s", fixture->messages);
    for (i = 0; i < count; i++) {
        struct verdict verdict;
        const char *found;

        fixture_clear(fixture);
        fixture_set(fixture, rows[i].facts);
        verdict =
            decide(fixture->policy, &fixture->view, fixture->modes, rows[i].now, rows[i].speak);
        found = fixture_verdict(fixture, &verdict);
        if (strcmp(found, rows[i].verdict) != 0)
            fail_msg("row %zu (%s at %s): %s, not %s", i, rows[i].facts, stage_name(rows[i].now),
                     found, rows[i].verdict);
    }
    fixture_free(fixture);
}

#define CHECK(text, rows) check_rows(text, rows, sizeof(rows) / sizeof((rows)[0]))

static const char site[] =
    "rule trusted { when client.ip in trusted; accept; }\n"
    "rule unknown { when rcpt.status == unknown; reply 550 5.1.1 \"x\"; }\n"
    "rule down { when rcpt.status == unavailable; reply 451 4.3.0 \"x\"; }\n"
    "rule role { when rcpt.local in { postmaster, abuse }; accept; }\n"
    "rule listed { when dnsbl.score >= 3; reply 554 5.7.1 \"x\"; }\n"
    "rule spf { when spf.result == fail; reply 550 5.7.23 \"x\"; on_fault defer; }\n"
    "rule dmarc { when dmarc.result == fail; reply 550 5.7.26 \"x\"; }\n";

#define GOOD                                                                                       \
    "client.ip_in_trusted=no rcpt.status=known rcpt.local=joe dnsbl.score=0 spf.result=pass "

static void test_site(void **state)
{
    static const struct row rows[] = {
        {"", STAGE_CONNECT, SPEAK_NOTHING, "open"},
        {"client.ip_in_trusted=yes", STAGE_CONNECT, SPEAK_NOTHING, "accept trusted"},
        /* Without a 521 in the policy nothing is waited for at MAIL. */
        {"", STAGE_MAIL, SPEAK_521, "open"},
        {"client.ip_in_trusted=no", STAGE_MAIL, SPEAK_REPLIES, "open"},
        {GOOD, STAGE_RCPT, SPEAK_REPLIES, "open"},
        {GOOD "dmarc.result=pass", STAGE_MESSAGE, SPEAK_ALL, "none"},
        {GOOD "dmarc.result=fail", STAGE_MESSAGE, SPEAK_ALL, "reply dmarc"},
        {GOOD "rcpt.status=unknown", STAGE_RCPT, SPEAK_REPLIES, "reply unknown"},
        {GOOD "rcpt.status=unavailable", STAGE_RCPT, SPEAK_REPLIES, "reply down"},
        /* Waiting: the exemption may yet be true. */
        {"rcpt.status=unknown", STAGE_RCPT, SPEAK_REPLIES, "wait"},
        {"client.ip_in_trusted=yes", STAGE_RCPT, SPEAK_REPLIES, "accept trusted"},
        {GOOD "dnsbl.score=5 rcpt.local=abuse", STAGE_RCPT, SPEAK_REPLIES, "accept role"},
        {GOOD "dnsbl.score=5", STAGE_RCPT, SPEAK_REPLIES, "reply listed"},
        {GOOD "dnsbl.score=2..4", STAGE_RCPT, SPEAK_REPLIES, "open"},
        {GOOD "dnsbl.score=2..4 spf.result=fail", STAGE_RCPT, SPEAK_REPLIES, "reply spf"},
        {GOOD "dnsbl.score=? spf.result=fail", STAGE_RCPT, SPEAK_REPLIES, "wait"},
        /* In fault. */
        {GOOD "client.ip_in_trusted=! rcpt.status=unknown", STAGE_RCPT, SPEAK_REPLIES,
         "fault unknown by trusted"},
        {GOOD "client.ip_in_trusted=! rcpt.status=unavailable", STAGE_RCPT, SPEAK_REPLIES,
         "reply down"},
        {GOOD "client.ip_in_trusted=! rcpt.local=! dnsbl.score=5", STAGE_RCPT, SPEAK_REPLIES,
         "fault listed by trusted"},
        {GOOD "spf.result=temperror", STAGE_RCPT, SPEAK_REPLIES, "fault spf by spf"},
        {GOOD "spf.result=temperror dnsbl.score=3", STAGE_RCPT, SPEAK_REPLIES, "reply listed"},
        {GOOD "dmarc.result=temperror", STAGE_MESSAGE, SPEAK_ALL, "none"},
    };

    (void)state;
    CHECK(site, rows);
}

/* All that can come at RCPT goes on, and below it all is open until the message: nobody waits for
 * the list. */
static void test_no_wait(void **state)
{
    static const char text[] =
        "rule listed { when dnsbl.score >= 3 and client.ip in trusted; accept; }\n"
        "rule dmarc { when dmarc.result == fail; reply 550 5.7.26 \"x\"; }\n";
    static const struct row rows[] = {
        {"", STAGE_RCPT, SPEAK_REPLIES, "open"},
        {"", STAGE_MESSAGE, SPEAK_ALL, "wait"},
        {"dnsbl.score=5", STAGE_MESSAGE, SPEAK_ALL, "wait"},
        {"dmarc.result=pass", STAGE_MESSAGE, SPEAK_ALL, "open"},
        {"dnsbl.score=2", STAGE_MESSAGE, SPEAK_ALL, "wait"},
        {"dnsbl.score=2 dmarc.result=fail", STAGE_MESSAGE, SPEAK_ALL, "reply dmarc"},
        {"dnsbl.score=..2 dmarc.result=fail", STAGE_MESSAGE, SPEAK_ALL, "reply dmarc"},
        {"dnsbl.score=..3 client.ip_in_trusted=yes dmarc.result=fail", STAGE_MESSAGE, SPEAK_ALL,
         "fault dmarc by listed"},
    };

    (void)state;
    CHECK(text, rows);
}

static void test_521(void **state)
{
    static const char text[] = "rule vip { when sender.domain == a.example; accept; }\n"
                               "rule bad { when helo == x; reply 550 5.7.1 \"x\"; }\n"
                               "rule closed { when dnsbl.score > 9; reply 521 5.3.2 \"x\"; }\n";
    static const struct row rows[] = {
        {"sender.domain=b.example helo=y dnsbl.score=10", STAGE_MAIL, SPEAK_521, "reply closed"},
        {"sender.domain=b.example helo=x dnsbl.score=10", STAGE_MAIL, SPEAK_521, "reply bad"},
        {"sender.domain=b.example helo=x", STAGE_MAIL, SPEAK_521, "reply bad"},
        {"sender.domain=b.example helo=y", STAGE_MAIL, SPEAK_521, "wait"},
        {"helo=y dnsbl.score=10", STAGE_MAIL, SPEAK_521, "wait"},
        {"helo=x", STAGE_MAIL, SPEAK_521, "open"},
        {"helo=x", STAGE_MAIL, SPEAK_REPLIES, "wait"},
        {"helo=y dnsbl.score=3", STAGE_MAIL, SPEAK_521, "open"},
        {"sender.domain=! helo=y dnsbl.score=10", STAGE_MAIL, SPEAK_521, "fault closed by vip"},
    };

    (void)state;
    CHECK(text, rows);
}

/* Rules that do not speak hold nothing back and soften nothing. */
static void test_observers(void **state)
{
    static const char text[] = "rule watch { when client.ip in trusted; accept; observe; }\n"
                               "rule mark { when client.name == a.example; header \"X-A: b\"; }\n"
                               "rule gone { when client.local; accept; until 2020-01-01; }\n"
                               "rule bad { when helo == x; reply 550 5.7.1 \"x\"; }\n";
    static const struct row rows[] = {
        {"helo=x", STAGE_RCPT, SPEAK_REPLIES, "reply bad"},
        {"helo=x client.ip_in_trusted=! client.name=!", STAGE_RCPT, SPEAK_REPLIES, "reply bad"},
        {"helo=x client.ip_in_trusted=yes client.local=yes", STAGE_RCPT, SPEAK_REPLIES,
         "reply bad"},
        {"helo=x", STAGE_MESSAGE, SPEAK_ALL, "reply bad"},
        {"helo=y", STAGE_MESSAGE, SPEAK_ALL, "wait"},
        {"helo=y client.name=!", STAGE_MESSAGE, SPEAK_ALL, "none"},
        {"helo=y client.name=b.example", STAGE_MESSAGE, SPEAK_ALL, "none"},
    };

    (void)state;
    CHECK(text, rows);
}

/* With header rules, whether the walk was ended by an accept matters at the end of the message. */
static void test_headers(void **state)
{
    static const char text[] = "rule vip { when client.ip in trusted; accept; }\n"
                               "rule mark { when client.name == a.example; header \"X-A: b\"; }\n";
    static const char without[] = "rule vip { when client.ip in trusted; accept; }\n";
    static const struct row rows[] = {
        {"client.name=b.example", STAGE_MESSAGE, SPEAK_ALL, "wait"},
        {"client.ip_in_trusted=yes", STAGE_MESSAGE, SPEAK_ALL, "accept vip"},
        {"client.ip_in_trusted=no", STAGE_MESSAGE, SPEAK_ALL, "wait"},
        {"client.ip_in_trusted=no client.name=a.example", STAGE_MESSAGE, SPEAK_ALL, "none"},
        {"", STAGE_RCPT, SPEAK_REPLIES, "open"},
    };
    static const struct row rows_without[] = {
        {"", STAGE_MESSAGE, SPEAK_ALL, "open"},
        {"client.ip_in_trusted=no", STAGE_MESSAGE, SPEAK_ALL, "none"},
    };

    (void)state;
    CHECK(text, rows);
    CHECK(without, rows_without);
}

static void test_quarantine(void **state)
{
    static const char text[] = "rule odd { when helo == x; quarantine \"q\"; }\n"
                               "rule bad { when dnsbl.score >= 3; reply 550 5.7.1 \"x\"; }\n"
                               "rule busy { when client.rate > 9; reply 450 4.7.1 \"x\"; }\n";
    static const struct row rows[] = {
        {"helo=x", STAGE_RCPT, SPEAK_REPLIES, "quarantine odd"},
        {"dnsbl.score=0 client.rate=0", STAGE_RCPT, SPEAK_REPLIES, "open"},
        {"dnsbl.score=0 client.rate=0", STAGE_MESSAGE, SPEAK_ALL, "wait"},
        {"helo=! dnsbl.score=5 client.rate=0", STAGE_MESSAGE, SPEAK_ALL, "fault bad by odd"},
        {"helo=! dnsbl.score=0 client.rate=10", STAGE_MESSAGE, SPEAK_ALL, "reply busy"},
    };

    (void)state;
    CHECK(text, rows);
}

/* Which exemption is in fault is not worth waiting for; the topmost that can be is named. */
static void test_fault_rule(void **state)
{
    static const char text[] =
        "rule one { when client.local and client.ip in trusted; accept; }\n"
        "rule two { when client.name == a.example; accept; }\n"
        "rule bad { when helo == x; reply 550 5.7.1 \"x\"; on_fault defer; }\n";
    static const struct row rows[] = {
        {"client.local=! client.ip_in_trusted=yes client.name=! helo=x", STAGE_RCPT, SPEAK_REPLIES,
         "fault bad by one"},
        {"client.local=! client.name=! helo=x", STAGE_RCPT, SPEAK_REPLIES, "fault bad by one"},
        {"client.local=no client.name=! helo=x", STAGE_RCPT, SPEAK_REPLIES, "fault bad by two"},
        {"client.local=! client.name=b.example helo=x", STAGE_RCPT, SPEAK_REPLIES, "wait"},
        {"client.local=no client.name=! helo=!", STAGE_RCPT, SPEAK_REPLIES, "fault bad by bad"},
    };

    (void)state;
    CHECK(text, rows);
}

static void test_verdict_speaks(void **state)
{
    static const char text[] = "rule a { when client.local; accept; }\n"
                               "rule b { when helo == x; reply 521 5.3.2 \"x\"; }\n"
                               "rule c { when client.rate > 1; reply 450 4.7.1 \"x\"; }\n";
    static const struct {
        struct verdict verdict;
        const char *speaks; /* under 521, replies, all */
        int rank;
    } rows[] = {
        {{true, VERDICT_NONE, -1, -1}, "---", 0},  {{true, VERDICT_OPEN, -1, -1}, "---", 0},
        {{true, VERDICT_ACCEPT, 0, -1}, "---", 0}, {{true, VERDICT_QUARANTINE, 0, -1}, "--y", 1},
        {{true, VERDICT_REPLY, 1, -1}, "yyy", 3},  {{true, VERDICT_REPLY, 2, -1}, "-yy", 2},
        {{true, VERDICT_FAULT, 1, 0}, "-yy", 2},   {{false, VERDICT_REPLY, 1, -1}, "---", 3},
    };
    struct fixture *fixture = fixture_new(text);
    size_t i;
    int speak;

    (void)state;
    assert_non_null(fixture->policy);
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_false(verdict_speaks(fixture->policy, &rows[i].verdict, SPEAK_NOTHING));
        for (speak = 0; speak < 3; speak++)
            assert_int_equal(
                verdict_speaks(fixture->policy, &rows[i].verdict, (enum speak)(SPEAK_521 + speak)),
                rows[i].speaks[speak] == 'y');
        assert_int_equal(verdict_rank(fixture->policy, &rows[i].verdict), rows[i].rank);
    }
    fixture_free(fixture);
}

/* ---- needs ---- */

static void check_needs(struct fixture *fixture, enum stage now, bool waited, const char *expected)
{
    const struct layout *layout = fixture->policy->layout;
    uint8_t needed[64] = {0};
    char names[256] = "";
    size_t i;

    assert_true(layout->count <= sizeof(needed));
    decide_needs(fixture->policy, &fixture->view, fixture->modes, now, waited, needed);
    for (i = 0; i < layout->count; i++) {
        if (needed[i]) {
            strcat(names, names[0] != '\0' ? ", " : "");
            strcat(names, layout->slots[i].name);
        }
    }
    assert_string_equal(names, expected);
}

static void test_needs(void **state)
{
    struct fixture *fixture;

    (void)state;
    fixture = fixture_new(
        "rule watch { when client.name == x.example; accept; observe; }\n"
        "rule vip { when client.ip in trusted and helo == x; accept; }\n"
        "rule mark { when message.size > 1; header \"X-A: b\"; }\n"
        "rule bad { when dnsbl.score > 1 or (client.local and spf.result == fail);\n"
        "    reply 550 5.7.1 \"x\"; }\n"
        "rule watch-too { when auth.user == x; accept; observe; }\n"
        "rule last { when sender.domain == a.example; reply 550 5.7.1 \"x\"; on_fault defer; }\n"
        "rule never { when true; accept; }\n"
        "rule below { when client.ptr == x.example; reply 550 5.7.1 \"x\"; }\n");
    assert_non_null(fixture->policy);
    check_needs(fixture, STAGE_CONNECT, true,
                "client.local, dnsbl.score, helo, sender.domain, spf.result, message.size, "
                "client.ip in trusted");
    check_needs(fixture, STAGE_CONNECT, false,
                "client.name, client.local, dnsbl.score, helo, auth.user, sender.domain, "
                "spf.result, message.size, client.ip in trusted");
    fixture_set(fixture, "client.ip_in_trusted=no client.local=no");
    check_needs(fixture, STAGE_CONNECT, true, "dnsbl.score, sender.domain, message.size");
    fixture_set(fixture, "dnsbl.score=5");
    check_needs(fixture, STAGE_CONNECT, true, "message.size");
    check_needs(fixture, STAGE_CONNECT, false, "client.name, message.size");
    fixture_set(fixture, "dnsbl.score=0..5");
    check_needs(fixture, STAGE_CONNECT, true, "sender.domain, message.size");
    fixture_set(fixture, "client.local=!");
    check_needs(fixture, STAGE_CONNECT, true, "sender.domain, spf.result, message.size");
    fixture_set(fixture, "spf.result=fail sender.domain=!");
    check_needs(fixture, STAGE_CONNECT, false, "client.name, auth.user, message.size");
    fixture_set(fixture, "client.ip_in_trusted=yes helo=x");
    check_needs(fixture, STAGE_CONNECT, true, "");
    fixture_free(fixture);
}

/* ---- marks ---- */

static void check_marks(struct fixture *fixture, const char *expected)
{
    uint8_t fired[16] = {0}, headers[16] = {0};
    char found[17] = "";
    size_t i;

    decide_marks(fixture->policy, &fixture->view, fixture->modes, STAGE_MESSAGE, fired, headers);
    for (i = 0; i < fixture->policy->rule_count; i++)
        found[i] = fired[i] ? 'o' : headers[i] ? 'h' : '-';
    assert_string_equal(found, expected);
    decide_marks(fixture->policy, &fixture->view, fixture->modes, STAGE_MESSAGE, NULL, NULL);
}

static void test_marks(void **state)
{
    struct fixture *fixture;

    (void)state;
    fixture =
        fixture_new("rule a { when helo == x; accept; observe; }\n"
                    "rule b { when helo == x; header \"X-A: b\"; }\n"
                    "rule c { when client.local; accept; }\n"
                    "rule d { when helo == x; reply 550 5.7.1 \"x\"; observe; }\n"
                    "rule e { when helo == x; header \"X-A: b\"; observe; }\n"
                    "rule f { when dnsbl.score > 1; reply 550 5.7.1 \"x\"; on_fault defer; }\n"
                    "rule g { when helo == x; header \"X-A: b\"; }\n");
    assert_non_null(fixture->policy);
    fixture_set(fixture, "helo=x client.local=no dnsbl.score=0");
    check_marks(fixture, "oh-oo-h");
    fixture_set(fixture, "dnsbl.score=!");
    check_marks(fixture, "oh-oo--");
    fixture_set(fixture, "client.local=!");
    check_marks(fixture, "oh-oo--");
    fixture_set(fixture, "client.local=yes");
    check_marks(fixture, "oh-----");
    fixture_set(fixture, "client.local=?");
    check_marks(fixture, "oh-----");
    fixture_set(fixture, "client.local=no dnsbl.score=1 helo=!");
    check_marks(fixture, "-------");
    fixture_free(fixture);
    /* A rule that is either false or in fault ends no walk: it is not waited for, nor in the way.
     */
    fixture = fixture_new(
        "rule a { when client.name == x.example and dnsbl.score > 1; reply 550 5.7.1 \"x\"; }\n"
        "rule b { when client.name == x.example and dnsbl.score > 1; accept; }\n"
        "rule c { when helo == x; header \"X-A: b\"; }\n"
        "rule d { when client.name == x.example and dnsbl.score > 1; quarantine \"x\";\n"
        "    on_fault defer; }\n"
        "rule e { when helo == x; header \"X-A: b\"; }\n");
    assert_non_null(fixture->policy);
    fixture_set(fixture, "helo=x client.name=! dnsbl.score=?");
    check_marks(fixture, "--h--");
    fixture_set(fixture, "dnsbl.score=0");
    check_marks(fixture, "--h-h");
    fixture_free(fixture);
}

/* ---- message policies ---- */

static void test_same_policy(void **state)
{
    static const char text[] =
        "rule role { when rcpt.local == abuse; accept; }\n"
        "rule gone { when rcpt.local == gone; reply 550 5.1.1 \"x\"; }\n"
        "rule gone-too { when rcpt.local == gone2; reply 550 5.1.1 \"x\"; }\n"
        "rule vip { when rcpt.local == vip; accept; }\n"
        "rule strict { when rcpt in users and dmarc.result == fail; reply 550 5.7.26 \"x\"; }\n"
        "rule spf { when spf.result == fail and (rcpt.domain == a.example or message.size > 9);\n"
        "    reply 550 5.7.23 \"x\"; }\n"
        "rule watch { when rcpt.local == x; accept; observe; }\n";
#define SPF "spf.result=fail "
#define A   "rcpt.domain=a.example "
#define B   "rcpt.domain=b.example "
#define IN  "rcpt_in_users=yes "
#define OUT "rcpt_in_users=no "
    static const struct {
        const char *both, *one, *two;
        bool same;
    } rows[] = {
        {SPF, A IN "rcpt.local=x", A IN "rcpt.local=y", true},
        {SPF, A IN "rcpt.local=x", A OUT "rcpt.local=x", false},
        {SPF, A OUT "rcpt.local=x", B OUT "rcpt.local=x", false},
        {SPF, B OUT "rcpt.local=x", B OUT "rcpt.local=x", true},
        {"spf.result=pass ", A OUT "rcpt.local=x", B OUT "rcpt.local=x", true},
        /* Without SPF yet, it may turn out either way. */
        {"", A OUT "rcpt.local=x", B OUT "rcpt.local=x", false},
        {"", A OUT "rcpt.local=x", A OUT "rcpt.local=x", true},
        /* Ends. */
        {SPF, A IN "rcpt.local=abuse", B OUT "rcpt.local=vip", true},
        {SPF, A IN "rcpt.local=gone", B OUT "rcpt.local=gone2", true},
        {SPF, A IN "rcpt.local=gone", B OUT "rcpt.local=vip", false},
        {SPF, A IN "rcpt.local=vip", A IN "rcpt.local=x", false},
        {"spf.result=pass ", A OUT "rcpt.local=vip", A OUT "rcpt.local=x", true},
        /* Faults: a 5xx below an exemption in fault is no longer one. */
        {SPF, A IN "rcpt.local=!", A IN "rcpt.local=x", false},
        {SPF, A IN "rcpt.local=!", A IN "rcpt.local=!", true},
        {SPF, A "rcpt_in_users=! rcpt.local=x", A "rcpt_in_users=! rcpt.local=x", true},
        {SPF, A "rcpt_in_users=! rcpt.local=x", A OUT "rcpt.local=x", false},
        {SPF, "rcpt.domain=! " OUT "rcpt.local=x", B OUT "rcpt.local=x", false},
        /* Not known yet. */
        {SPF, A "rcpt.local=x", A "rcpt.local=x", false},
    };
    struct fixture *fixture = fixture_new(text);
    size_t i;

    (void)state;
    if (fixture->policy == NULL)
        fail_msg("%s", fixture->messages);
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct value other[16] = {{0}};
        struct view two = fixture->view;
        size_t count = fixture->policy->layout->scope_count[SCOPE_RECIPIENT];

        assert_true(count <= 16);
        fixture_clear(fixture);
        fixture_set(fixture, rows[i].both);
        fixture_set(fixture, rows[i].two);
        memcpy(other, fixture->values[SCOPE_RECIPIENT], count * sizeof(other[0]));
        memset(fixture->values[SCOPE_RECIPIENT], 0, count * sizeof(other[0]));
        fixture_set(fixture, rows[i].one);
        two.scope[SCOPE_RECIPIENT] = other;
        if (decide_same_policy(fixture->policy, &fixture->view, &two, fixture->modes, STAGE_RCPT) !=
                rows[i].same ||
            decide_same_policy(fixture->policy, &two, &fixture->view, fixture->modes, STAGE_RCPT) !=
                rows[i].same)
            fail_msg("row %zu: %s / %s", i, rows[i].one, rows[i].two);
    }
    fixture_free(fixture);
}

/* ---- recipients together ---- */

static void test_mixed(void **state)
{
    static const char text[] = "rule a { when client.local; accept; }\n"
                               "rule b { when helo == x; reply 550 5.7.1 \"x\"; }\n"
                               "rule c { when client.rate > 1; reply 450 4.7.1 \"x\"; }\n"
                               "rule d { when helo == y; quarantine \"x\"; }\n"
                               "rule e { when helo == z; reply 554 5.7.1 \"x\"; }\n";
    /* Verdicts: - none, and the rules' letters; f a fault of rule e. */
    static const struct {
        const char *verdicts;
        int late, strictest, lenient; /* the speaker; -1 split */
        bool differs;
    } rows[] = {
        {"-", 0, 0, 0, false},     {"a", 0, 0, 0, false},    {"a-", 1, 1, 1, false},
        {"-a", 0, 0, 0, false},    {"be", 0, 0, 0, false},   {"eb", 1, 1, 1, false},
        {"bb", 0, 0, 0, false},    {"ab", -1, 1, 0, true},   {"ba", -1, 0, 1, true},
        {"cb", -1, 1, 0, true},    {"cf", 0, 0, 0, false},   {"fc", 1, 1, 1, false},
        {"-d", -1, 1, 0, true},    {"dca", -1, 1, 2, true},  {"cdebd", -1, 3, 1, true},
        {"ebad-", -1, 1, 4, true}, {"ffbe", -1, 2, 0, true},
    };
    struct fixture *fixture = fixture_new(text);
    size_t i, j;

    (void)state;
    assert_non_null(fixture->policy);
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct verdict verdicts[8];
        struct mixed_verdict late, strictest, lenient;
        size_t count = strlen(rows[i].verdicts);

        for (j = 0; j < count; j++) {
            static const enum verdict_kind kinds[] = {VERDICT_ACCEPT, VERDICT_REPLY, VERDICT_REPLY,
                                                      VERDICT_QUARANTINE, VERDICT_REPLY};
            char letter = rows[i].verdicts[j];

            verdicts[j] = (struct verdict){true, VERDICT_NONE, -1, -1};
            if (letter == 'f')
                verdicts[j] = (struct verdict){true, VERDICT_FAULT, 4, 0};
            else if (letter != '-')
                verdicts[j] = (struct verdict){true, kinds[letter - 'a'], letter - 'a', -1};
        }
        late = decide_mixed(fixture->policy, verdicts, count, MIXED_LATE);
        strictest = decide_mixed(fixture->policy, verdicts, count, MIXED_STRICTEST);
        lenient = decide_mixed(fixture->policy, verdicts, count, MIXED_LENIENT);
        if (late.split != (rows[i].late < 0) || late.differs != rows[i].differs ||
            (!late.split && late.speaker != (size_t)rows[i].late) || strictest.split ||
            strictest.speaker != (size_t)rows[i].strictest || lenient.split ||
            lenient.speaker != (size_t)rows[i].lenient || lenient.differs != rows[i].differs)
            fail_msg("%s: late %zu, strictest %zu, lenient %zu", rows[i].verdicts, late.speaker,
                     strictest.speaker, lenient.speaker);
    }
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_site),        cmocka_unit_test(test_no_wait),
        cmocka_unit_test(test_521),         cmocka_unit_test(test_observers),
        cmocka_unit_test(test_headers),     cmocka_unit_test(test_quarantine),
        cmocka_unit_test(test_fault_rule),  cmocka_unit_test(test_verdict_speaks),
        cmocka_unit_test(test_needs),       cmocka_unit_test(test_marks),
        cmocka_unit_test(test_same_policy), cmocka_unit_test(test_mixed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
