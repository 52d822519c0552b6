/* SPDX-License-Identifier: MIT */
#include "engine_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void send_message(struct engine_session *session)
{
    static const unsigned char body[1000] = "x";

    engine_header(session, "Received", " from a by b");
    engine_header(session, "Warm", " warm.test");
    engine_header(session, "Subject", " Hello,\n\tworld ");
    engine_eoh(session);
    engine_body(session, body, 1000);
    engine_body(session, body, 234);
}

static const char *transact(struct rig *rig, struct engine_session *session, const char *sender)
{
    rig_mail(rig, session, sender);
    rig_rcpt(rig, session, "<b@example.org>");
    rig_stage(rig, session, STAGE_DATA);
    send_message(session);
    return rig_stage(rig, session, STAGE_MESSAGE);
}

/* ---- what is opened, what passes by ---- */

struct row {
    const char *what, *rules;
    bool headers, body; /* asked of the MTA */
    const char *said;
    unsigned warmed; /* streams that saw the header */
};

#define BODY "|1000|234"

static const struct row rows[] = {
    {"no rule about messages", "rule r { when t.sender == 9; reply 550 5.7.1 \"r\"; }", false,
     false, "continue", 0},
    {"a fact of a message that takes nothing of it",
     "rule r { when t.message == 9; reply 550 5.7.1 \"r\"; }", false, false, "continue", 0},
    {"the header", "rule r { when s.seen != \"\"; quarantine \"%{s.seen}\"; }", true, false,
     "quarantine from a@example.com|Received: from a by b|Warm: warm.test|Subject: Hello,??world "
     "|eoh",
     1},
    {"the body", "rule r { when b.seen matches '\\|eoh\\|1000\\|234$'; reply 550 5.7.1 \"r\"; }",
     true, true, "550 5.7.1 r (ref ID)", 1},
    {"both", "rule r { when b.seen == \"\" or s.seen == \"\"; reply 550 5.7.1 \"r\"; }", true, true,
     "continue", 2},
    {"a table that asks for it",
     "table t { x; } rule r { when s.seen in t; reply 550 5.7.1 \"r\"; }", true, false, "continue",
     1},
    {"an observing rule", "rule r { when s.seen == \"\"; observe; reply 550 5.7.1 \"r\"; }", true,
     false, "continue", 1},
    {"a rule that is over",
     "rule r { when b.seen == \"\"; until 2001-01-01; reply 550 5.7.1 \"r\"; }", false, false,
     "continue", 0},
    {"a rule that cannot be true for this sender",
     "rule r { when sender.local == z and b.seen != \"\"; late; reply 550 5.7.1 \"r\"; }", true,
     true, "continue", 0},
    {"below an accepting rule",
     "rule ok { when sender.local == a; accept; } "
     "rule r { when b.seen != \"\"; reply 550 5.7.1 \"r\"; }",
     true, true, "continue", 0},
    {"only its text shows it", "rule r { when sender.local == a; header \"X-Seen: %{s.seen}\"; }",
     true, false,
     "continue; X-Seen: from a@example.com|Received: from a by b|Warm: warm.test|Subject: Hello,??"
     "world |eoh",
     1},
    {"only the text of a reply shows it",
     "rule r { when t.message == 0; reply 550 5.7.1 \"%{s.seen}\"; }", true, false,
     "550 5.7.1 from a@example.com|Received: from a by b|Warm: warm.test|Subject: Hello,??world "
     "|eoh (ref ID)",
     1},
    {"only its text shows it, and another text shows what it tests",
     "rule q { when true; header \"X-Number: %{t.message}\"; } "
     "rule r { when t.message == 0; reply 550 5.7.1 \"%{s.seen}\"; }",
     true, false,
     "550 5.7.1 from a@example.com|Received: from a by b|Warm: warm.test|Subject: Hello,??world "
     "|eoh (ref ID)",
     1},
    {"the text of a rule that is not true",
     "rule r { when sender.local == z; header \"X-Seen: %{s.seen}\"; }", true, false, "continue",
     0},
    {"number of hops", "rule r { when received.count == 1; reply 554 5.4.6 \"r\"; }", true, false,
     "554 5.4.6 r (ref ID)", 0},
    {"size", "rule r { when message.size == 1300; reply 552 5.3.4 \"r\"; }", true, true,
     "552 5.3.4 r (ref ID)", 0},
    {"a header field",
     "rule r { when header('Subject') == \"Hello,\tworld\"; reply 550 5.7.1 \"r\"; }", true, false,
     "550 5.7.1 r (ref ID)", 0},
    {"by way of what waits for it", "rule r { when s.last == 7; reply 550 5.7.1 \"r\"; }", true,
     false, "550 5.7.1 r (ref ID)", 1},
};

static void opens_what_is_needed(void **state)
{
    static const struct rig_answer dns[] = {
        {"warm.test", DNS_A, "hold 127.0.0.1"}, {"last.test", DNS_A, "127.0.0.7"}, {0}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        struct rig *rig = rig_new(&(struct rig_options){.dns = dns}, row->rules);
        struct engine_session *session = rig_session(rig);
        struct engine_needs needs = engine_needs(session);

        print_message("row %zu: %s\n", i, row->what);
        assert_int_equal(needs.headers, row->headers);
        assert_int_equal(needs.body, row->body);
        for (unsigned again = 1; again <= 2; again++) {
            assert_string_equal(transact(rig, session, "<a@example.com>"), row->said);
            assert_int_equal(rig_asked(rig, "warm.test", DNS_A), again * row->warmed);
        }
        engine_close(session);
        /* Nobody waits for what was warmed: it comes when it comes. */
        rig_release(rig);
        assert_true(rig_settle(rig));
        rig_free(rig);
    }
}

/* The end of the header is told once, before the body, also by an MTA that leaves it out. */
static void tells_the_end_of_the_header(void **state)
{
    struct rig *rig = rig_new(&(struct rig_options){0},
                              "rule r { when b.seen != \"\"; quarantine \"%{b.seen}\"; }");
    struct engine_session *session = rig_session(rig);

    (void)state;
    for (int i = 0; i < 3; i++) {
        rig_mail(rig, session, "<>");
        rig_rcpt(rig, session, "<b@example.org>");
        if (i > 0)
            engine_header(session, "A", " b");
        if (i > 1)
            engine_body(session, (const unsigned char *)"x", 1);
        assert_string_equal(rig_stage(rig, session, STAGE_MESSAGE),
                            i == 0   ? "quarantine from |eoh"
                            : i == 1 ? "quarantine from |A: b|eoh"
                                     : "quarantine from |A: b|eoh|1");
    }
    /* One that ends in the middle. */
    rig_mail(rig, session, "<>");
    rig_rcpt(rig, session, "<b@example.org>");
    engine_header(session, "A", " b");
    engine_end(session);
    rig_mail(rig, session, "<>");
    rig_rcpt(rig, session, "<b@example.org>");
    engine_header(session, "A", " b");
    engine_close(session);
    rig_free(rig);
}

/* ---- probes that wait for others ---- */

struct after_row {
    const char *what, *sender, *message; /* answers; NULL: none */
    const char *after;                   /* s.after as the record shows it */
};

static const struct after_row after_rows[] = {
    {"known at once", "!127.0.0.4", "!127.0.0.5", "\"t.message=5 t.sender=4 =\""},
    {"known later", "127.0.0.4", "127.0.0.5", "\"t.message=5 t.sender=4 =\""},
    {"no such name", NULL, NULL, "\"t.message=0 t.sender=0 =\""},
    {"in fault", "fault", "!fault", "\"~t.message= ~t.sender= =\""},
    {"one of them silent", "silent", "127.0.0.5", "\"t.message=5 ~t.sender= =\""},
    {"both silent", "silent", "silent", "\"~t.message= ~t.sender= =\""},
};

static void waits_for_others(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(after_rows) / sizeof(after_rows[0]); i++) {
        const struct after_row *row = &after_rows[i];
        const struct rig_answer dns[] = {
            {"a.sender.test", DNS_A, row->sender != NULL ? row->sender : "none"},
            {"message.test", DNS_A, row->message != NULL ? row->message : "none"},
            {"last.test", DNS_A, "!127.0.0.7"},
            {0}};
        struct rig *rig =
            rig_new(&(struct rig_options){.dns = dns, .budget = "message 200ms;"},
                    "rule r { when s.last == 7; reply 550 5.7.1 \"%{s.last} %{s.after}\"; }");
        struct engine_session *session = rig_session(rig);

        print_message("row %zu: %s\n", i, row->what);
        rig_mail(rig, session, "<a@example.com>");
        /* What it waits for is under way as soon as it can be. */
        assert_int_equal(rig_asked(rig, "a.sender.test", DNS_A), 2);
        rig_rcpt(rig, session, "<b@example.org>");
        rig_stage(rig, session, STAGE_DATA);
        assert_int_equal(rig_asked(rig, "message.test", DNS_A), 0);
        assert_int_equal(rig_asked(rig, "last.test", DNS_A), 0);
        send_message(session);
        assert_memory_equal(rig_stage(rig, session, STAGE_MESSAGE), "550 5.7.1 7 ", 12);
        assert_string_equal(rig_field(rig, 0, "s.after"), row->after);
        assert_int_equal(rig_asked(rig, "last.test", DNS_A), 1);
        engine_close(session);
        rig_free(rig);
    }
}

/* When time is up in the chain's last link, it is that link which is in fault. */
static void the_last_one_is_late(void **state)
{
    static const struct rig_answer dns[] = {{"last.test", DNS_A, "silent"}, {0}};
    struct rig *rig =
        rig_new(&(struct rig_options){.dns = dns, .budget = "message 50ms;"},
                "rule r { when s.last == 7; on_fault defer; reply 550 5.7.1 \"r\"; }");
    struct engine_session *session = rig_session(rig);

    (void)state;
    assert_memory_equal(transact(rig, session, "<a@example.com>"), "451 4.4.3", 9);
    assert_string_equal(rig_field(rig, 0, "late"), "s-last");
    assert_string_equal(rig_field(rig, 0, "faults"), "s.last");
    engine_close(session);
    rig_free(rig);
}

static void finds_all_for_explain(void **state)
{
    static const struct rig_answer dns[] = {
        {"last.test", DNS_A, "127.0.0.7"}, {"a.sender.test", DNS_A, "127.0.0.4"}, {0}};
    struct rig *rig = rig_new(&(struct rig_options){.dns = dns, .everything = true}, "");
    struct engine_session *session = rig_session(rig);

    (void)state;
    assert_true(engine_needs(session).headers && engine_needs(session).body);
    assert_string_equal(transact(rig, session, "<a@example.com>"), "continue");
    assert_string_equal(rig_field(rig, 0, "s.last"), "7");
    assert_string_equal(rig_field(rig, 0, "s.after"), "\"t.message=0 t.sender=4 =\"");
    assert_non_null(strstr(rig_field(rig, 0, "b.seen"), "|eoh|1000|234"));
    engine_close(session);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_what_is_needed),  cmocka_unit_test(tells_the_end_of_the_header),
        cmocka_unit_test(waits_for_others),      cmocka_unit_test(the_last_one_is_late),
        cmocka_unit_test(finds_all_for_explain),
    };

    return cmocka_run_group_tests_name("engine_streams", tests, NULL, NULL);
}
