/* SPDX-License-Identifier: MIT */
#include "engine_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/*
 * What is asked of the DNS, when, and what is not asked any more.
 */
static const char signature[] = " v=1; a=rsa-sha256; d=d.example; s=sel; h=from;\n"
                                "\tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA";

/* Lookups begin with the command that tells their subject; nothing waits for them before a verdict
 * can fall. */
static void begins_with_the_command(void **state)
{
    static const struct rig_answer dns[] = {{"client.test", DNS_A, "hold 127.0.0.1"},
                                            {"name.helo.test", DNS_A, "hold 127.0.0.1"},
                                            {"a.sender.test", DNS_A, "hold 127.0.0.1"},
                                            {"b.rcpt.test", DNS_A, "hold 127.0.0.1"},
                                            {"sel._domainkey.d.example", DNS_TXT, "hold v=DKIM1"},
                                            {"message.test", DNS_A, "hold 127.0.0.1"},
                                            {0}};
    struct rig *rig = rig_new(
        &(struct rig_options){.dns = dns},
        "rule r { when t.client > 2 or t.helo > 2 or t.sender > 2 or t.rcpt > 2 or t.message > 2 "
        "or dkim.result == fail; reply 550 5.7.1 \"r\"; }");
    struct engine_session *session = engine_open(rig_engine(rig), "mx");

    (void)state;
    engine_connect(session, NULL, NULL, NULL, false, NULL);
    assert_int_equal(rig_asked(rig, "client.test", DNS_A), 1);
    assert_string_equal(rig_stage(rig, session, STAGE_CONNECT), "continue");
    assert_int_equal(rig_asked(rig, "name.helo.test", DNS_A), 0);
    engine_helo(session, "name");
    assert_int_equal(rig_asked(rig, "name.helo.test", DNS_A), 2);
    assert_string_equal(rig_stage(rig, session, STAGE_HELO), "continue");
    engine_mail(session, "<a@example.com>", NULL, NULL);
    assert_int_equal(rig_asked(rig, "a.sender.test", DNS_A), 2);
    assert_string_equal(rig_stage(rig, session, STAGE_MAIL), "continue");
    engine_rcpt(session, "<b@example.org>");
    assert_int_equal(rig_asked(rig, "b.rcpt.test", DNS_A), 2);
    rig_start(rig, session, STAGE_RCPT);
    assert_null(rig_spoken(rig));
    rig_release(rig);
    assert_string_equal(rig_wait(rig), "continue");
    rig_stage(rig, session, STAGE_DATA);
    engine_header(session, "From", " a@d.example");
    assert_int_equal(rig_asked(rig, "sel._domainkey.d.example", DNS_TXT), 0);
    engine_header(session, "DKIM-Signature", signature);
    assert_int_equal(rig_asked(rig, "sel._domainkey.d.example", DNS_TXT), 1);
    assert_int_equal(rig_asked(rig, "message.test", DNS_A), 0);
    engine_close(session);
    rig_release(rig);
    assert_true(rig_settle(rig));
    rig_free(rig);
}

/* SPF of this sender takes two questions, the second when the first is answered. */
static const struct rig_answer chain[] = {
    {"client.test", DNS_A, "hold 127.0.0.9"},
    {"example.com", DNS_TXT, "hold v=spf1 include:next.example -all"},
    {"next.example", DNS_TXT, "v=spf1 ip4:192.0.2.1 -all"},
    {"a.sender.test", DNS_A, "127.0.0.1"},
    {0}};

#define SPF "rule s { when spf.result == fail; reply 550 5.7.23 \"s\"; }"

/* What is asked of a sender under rules above that rule about SPF.  The client's number is 9, known
 * only after SPF has begun. */
static const struct {
    const char *what, *rules;
    unsigned first, next;
} rows[] = {
    {"nothing is decided", "", 1, 1},
    {"a rule above may be true", "rule l { when t.client > 2; reply 554 5.7.1 \"l\"; }", 1, 0},
    {"it is not", "rule l { when t.client > 12; reply 554 5.7.1 \"l\"; }", 1, 1},
    {"an exemption", "rule l { when t.client > 2; accept; }", 1, 0},
    {"it only observes", "rule l { when t.client > 2; observe; reply 554 5.7.1 \"l\"; }", 1, 1},
    {"it shows SPF", "rule l { when t.client > 2; reply 554 5.7.1 \"%{spf.result}\"; }", 1, 1},
    {"it is for some recipients",
     "rule l { when t.client > 2 and rcpt.local == b; reply 554 5.7.1 \"l\"; }", 1, 1},
    {"results are added", "results { add spf; } rule l { when t.client > 2; accept; }", 1, 1},
    {"decided before", "rule l { when sender.local == a; accept; }", 0, 0},
    {"another sender", "rule l { when sender.local == z; accept; }", 1, 1},
    {"a part of its condition is false",
     "rule l { when sender.local == z and t.sender > 2; reply 550 5.7.1 \"l\"; }", 1, 1},
};

static void a_decided_rule_stops_the_rest(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char rules[512];
        struct rig *rig;
        struct engine_session *session;

        print_message("row %zu: %s\n", i, rows[i].what);
        snprintf(rules, sizeof(rules), "%s" SPF, rows[i].rules);
        rig = rig_new(&(struct rig_options){.dns = chain}, rules);
        session = rig_session(rig);
        assert_string_equal(rig_mail(rig, session, "<a@example.com>"), "continue");
        assert_int_equal(rig_asked(rig, "example.com", DNS_TXT), rows[i].first);
        assert_int_equal(rig_asked(rig, "a.sender.test", DNS_A), 0);
        rig_release(rig);
        assert_true(rig_settle(rig));
        assert_int_equal(rig_asked(rig, "next.example", DNS_TXT), rows[i].next);
        engine_close(session);
        rig_free(rig);
    }
}

/* What was dropped is asked again when another transaction needs it. */
static void what_was_dropped_can_be_needed_again(void **state)
{
    static const struct rig_answer dns[] = {{"a.sender.test", DNS_A, "hold 127.0.0.9"},
                                            {"name.helo.test", DNS_A, "hold 127.0.0.5"},
                                            {"z.sender.test", DNS_A, "127.0.0.1"},
                                            {0}};
    struct rig *rig = rig_new(&(struct rig_options){.dns = dns},
                              "rule x { when t.sender > 2; accept; }"
                              "rule h { when t.helo > 2; reply 550 5.7.1 \"%{t.helo}\"; }");
    struct engine_session *session = rig_session(rig);

    (void)state;
    assert_int_equal(rig_asked(rig, "name.helo.test", DNS_A), 2);
    rig_mail(rig, session, "<a@example.com>");
    rig_answer(rig, 1, "127.0.0.5");
    rig_release(rig);
    assert_true(rig_settle(rig));
    assert_string_equal(rig_rcpt(rig, session, "<b@example.org>"), "continue");
    engine_end(session);
    rig_mail(rig, session, "<z@example.com>");
    assert_string_equal(rig_rcpt(rig, session, "<b@example.org>"), "550 5.7.1 5 (ref ID)");
    assert_int_equal(rig_asked(rig, "name.helo.test", DNS_A), 4);
    engine_close(session);
    rig_free(rig);
}

/* The end of a transaction ends its lookups, and no others. */
static void ends_with_the_transaction(void **state)
{
    static const struct rig_answer dns[] = {{"client.test", DNS_A, "silent"},
                                            {"a.sender.test", DNS_A, "silent"},
                                            {"b.rcpt.test", DNS_A, "silent"},
                                            {0}};
    struct rig *rig = rig_new(
        &(struct rig_options){.dns = dns},
        "rule r { when t.client > 2 or t.sender > 2 or t.rcpt > 2; reply 550 5.7.1 \"r\"; }");
    struct engine_session *session = rig_session(rig);

    (void)state;
    rig_mail(rig, session, "<a@example.com>");
    engine_rcpt(session, "<b@example.org>");
    assert_int_equal(rig_in_flight(rig), 5);
    engine_end(session);
    assert_int_equal(rig_in_flight(rig), 1);
    engine_close(session);
    assert_int_equal(rig_in_flight(rig), 0);
    rig_free(rig);
}

/* Bodies are wanted as long as somebody looks at them. */
static void tells_when_the_body_is_of_no_use(void **state)
{
    static const struct {
        const char *rules, *signature;
        bool wanted;
    } bodies[] = {
        {"rule r { when dkim.result == fail; reply 550 5.7.1 \"r\"; }", signature, true},
        {"rule r { when dkim.result == fail; reply 550 5.7.1 \"r\"; }", NULL, false},
        {"rule r { when dkim.result == fail; reply 550 5.7.1 \"r\"; }", " v=1; a=nonsense", false},
        {"rule r { when arc.result == fail; reply 550 5.7.1 \"r\"; }", signature, false},
        {"rule r { when message.size > 9; reply 550 5.7.1 \"r\"; }", NULL, true},
        {"rule r { when b.seen == \"\"; reply 550 5.7.1 \"r\"; }", NULL, true},
        {"rule r { when s.seen == \"\"; reply 550 5.7.1 \"r\"; }", NULL, false},
        {"rule ok { when sender.local == a; accept; }"
         "rule r { when dkim.result == fail; reply 550 5.7.1 \"r\"; }",
         signature, false},
        {"", NULL, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct rig *rig = rig_new(&(struct rig_options){0}, bodies[i].rules);
        struct engine_session *session = rig_session(rig);

        print_message("row %zu: %s\n", i, bodies[i].rules);
        rig_mail(rig, session, "<a@example.com>");
        rig_rcpt(rig, session, "<b@example.org>");
        engine_header(session, "From", " a@d.example");
        if (bodies[i].signature != NULL)
            engine_header(session, "DKIM-Signature", bodies[i].signature);
        engine_eoh(session);
        assert_int_equal(engine_wants_body(session), bodies[i].wanted);
        engine_body(session, (const unsigned char *)"x\r\n", 3);
        assert_int_equal(engine_wants_body(session), bodies[i].wanted);
        engine_close(session);
        assert_true(rig_settle(rig));
        rig_free(rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_with_the_command),
        cmocka_unit_test(a_decided_rule_stops_the_rest),
        cmocka_unit_test(what_was_dropped_can_be_needed_again),
        cmocka_unit_test(ends_with_the_transaction),
        cmocka_unit_test(tells_when_the_body_is_of_no_use),
    };

    return cmocka_run_group_tests_name("engine prefetch", tests, NULL, NULL);
}
