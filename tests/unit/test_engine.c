/* SPDX-License-Identifier: MIT */
#include "engine_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- what is said at MAIL and RCPT, in rows ---- */

#define LISTED "rule listed { when t.client >= 3; reply 554 5.7.1 \"Listed %{t.client}\"; } "
#define HELD   "hold 127.0.0.5"

struct row {
    const char *what, *rules, *client, *sender, *rcpt; /* answers; NULL: none */
    const char *at_mail, *at_rcpt;                     /* what is said; NULL: it waits */
};

static const struct row rows[] = {
    {"a client rule speaks at RCPT", LISTED, "127.0.0.5", NULL, NULL, "continue",
     "554 5.7.1 Listed 5 (ref ID)"},
    {"an answer known at once", LISTED, "!127.0.0.5", NULL, NULL, "continue",
     "554 5.7.1 Listed 5 (ref ID)"},
    {"nothing listed", LISTED, "127.0.0.2", NULL, NULL, "continue", "continue"},
    {"no such name", LISTED, NULL, NULL, NULL, "continue", "continue"},
    {"in fault: no 5xx", LISTED, "fault", NULL, NULL, "continue", "continue"},
    {"nothing is waited for at MAIL, but at RCPT", LISTED, HELD, NULL, NULL, "continue", NULL},
    {"speak_at mail", "speak_at mail; " LISTED, "127.0.0.5", NULL, NULL,
     "554 5.7.1 Listed 5 (ref ID)", "continue"},
    {"speak_at mail waits at MAIL", "speak_at mail; " LISTED, HELD, NULL, NULL, NULL, "continue"},
    {"521 speaks at MAIL", "rule closed { when true; reply 521 5.3.2 \"No mail here\"; }", NULL,
     NULL, NULL, "521 5.3.2 No mail here (ref ID)", "continue"},
    {"521 is waited for at MAIL",
     "rule closed { when t.client == 5; reply 521 5.3.2 \"No mail here\"; }", HELD, NULL, NULL,
     NULL, "continue"},
    {"only a 521 is waited for at MAIL",
     "rule closed { when t.sender == 1; reply 521 5.3.2 \"No mail here\"; } " LISTED, HELD,
     "127.0.0.2", NULL, "continue", NULL},
    {"the first true rule speaks",
     "rule one { when t.sender == 4; reply 550 5.7.1 \"one\"; } "
     "rule two { when t.client >= 3; reply 550 5.7.1 \"two\"; }",
     "127.0.0.5", "127.0.0.4", NULL, "continue", "550 5.7.1 one (ref ID)"},
    {"a pending rule holds back those below",
     "rule one { when t.sender == 4; reply 550 5.7.1 \"one\"; } "
     "rule two { when t.client >= 3; reply 550 5.7.1 \"two\"; }",
     "127.0.0.5", "hold 127.0.0.4", NULL, "continue", NULL},
    {"a pending rule below does not matter",
     "rule one { when t.sender == 4; reply 550 5.7.1 \"one\"; } "
     "rule two { when t.client >= 3; reply 550 5.7.1 \"two\"; }",
     HELD, "127.0.0.4", NULL, "continue", "550 5.7.1 one (ref ID)"},
    {"a pending part does not matter",
     "rule one { when t.sender == 4 or t.client == 1; reply 550 5.7.1 \"one\"; } ", HELD,
     "127.0.0.4", NULL, "continue", "550 5.7.1 one (ref ID)"},
    {"an accepting rule above", "rule ok { when t.sender == 4; accept; } " LISTED, "127.0.0.5",
     "127.0.0.4", NULL, "continue", "continue"},
    {"an accepting rule in fault above", "rule ok { when t.sender == 4; accept; } " LISTED,
     "127.0.0.5", "fault", NULL, "continue",
     "451 4.4.3 Temporary failure: what decides about this message could not be found out, please "
     "try again later (ref ID)"},
    {"on_fault defer", "rule one { when t.sender == 4; on_fault defer; reply 550 5.7.1 \"one\"; }",
     NULL, "fault", NULL, "continue",
     "451 4.4.3 Temporary failure: what decides about this message could not be found out, please "
     "try again later (ref ID)"},
    {"an observing rule is not waited for",
     "rule o { when t.client == 5; observe; reply 550 5.7.1 "
     "\"o\"; } rule two { when t.rcpt == 2; reply 550 5.7.1 \"two\"; }",
     HELD, NULL, "127.0.0.2", "continue", "550 5.7.1 two (ref ID)"},
    {"a text waits for what it shows",
     "rule one { when t.sender == 4; reply 550 5.7.1 \"client %{t.client}\"; }", HELD, "127.0.0.4",
     NULL, "continue", NULL},
    {"a 4xx", "rule one { when t.rcpt == 4; reply 450 4.2.1 \"later %{id}\"; }", NULL, NULL,
     "fault", "continue", "continue"},
    {"own host name",
     "rule one { when t.rcpt == 4; reply 550 5.2.1 \"%{hostname} %{rcpt} %{rule}\"; }", NULL, NULL,
     "127.0.0.4", "continue", "550 5.2.1 mx.example.org B@example.org one (ref ID)"},
};

static void check_stage(struct rig *rig, struct engine_session *session, enum stage stage,
                        const char *expected)
{
    rig_start(rig, session, stage);
    if (expected != NULL) {
        assert_string_equal(rig_wait(rig), expected);
        return;
    }
    /* Held answers come when they are released, not before. */
    assert_null(rig_spoken(rig));
    rig_release(rig);
    rig_wait(rig);
}

static void says_what_rules_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        const struct rig_answer dns[] = {
            {"client.test", DNS_A, row->client != NULL ? row->client : "none"},
            {"a.sender.test", DNS_A, row->sender != NULL ? row->sender : "none"},
            {"b.rcpt.test", DNS_A, row->rcpt != NULL ? row->rcpt : "none"},
            {0},
        };
        struct rig *rig = rig_new(&(struct rig_options){.dns = dns}, row->rules);
        struct engine_session *session = rig_session(rig);

        print_message("row %zu: %s\n", i, row->what);
        engine_mail(session, "<a@example.com>", NULL, NULL);
        check_stage(rig, session, STAGE_MAIL, row->at_mail);
        engine_rcpt(session, "<B@example.org>");
        check_stage(rig, session, STAGE_RCPT, row->at_rcpt);
        engine_close(session);
        rig_free(rig);
    }
}

/* ---- waiting ---- */

static void a_released_answer_speaks(void **state)
{
    static const struct rig_answer dns[] = {
        {"client.test", DNS_A, HELD}, {"client.test", DNS_TXT, "hold because of you"}, {0}};
    struct rig *rig =
        rig_new(&(struct rig_options){.dns = dns},
                "rule r { when t.client == 5; reply 554 5.7.1 \"%{t.client} %{t.reason}\"; }");
    struct engine_session *session = rig_session(rig);

    (void)state;
    /* Both are under way since the connection: what a text shows is asked beside what the rule
     * tests. */
    assert_int_equal(rig_asked(rig, "client.test", DNS_A), 1);
    assert_int_equal(rig_asked(rig, "client.test", DNS_TXT), 1);
    rig_mail(rig, session, "<a@example.com>");
    engine_rcpt(session, "<b@example.org>");
    rig_start(rig, session, STAGE_RCPT);
    assert_null(rig_spoken(rig));
    rig_release(rig);
    assert_string_equal(rig_wait(rig), "554 5.7.1 5 because of you (ref ID)");
    engine_close(session);
    rig_free(rig);
}

static void asks_only_what_is_needed(void **state)
{
    static const struct rig_answer dns[] = {
        {"client.test", DNS_A, "127.0.0.1"}, {"a.sender.test", DNS_A, "!127.0.0.1"}, {0}};
    struct rig *rig = rig_new(&(struct rig_options){.dns = dns},
                              "rule one { when t.sender == 4 and t.rcpt == 1; accept; } "
                              "rule two { when false and t.client == 1; accept; } "
                              "rule three { when t.sender == 1; accept; } "
                              "rule four { when t.message == 1; quarantine \"q\"; }");
    struct engine_session *session = rig_session(rig);

    (void)state;
    rig_mail(rig, session, "<a@example.com>");
    rig_rcpt(rig, session, "<b@example.org>");
    rig_message(rig, session);
    assert_int_equal(rig_asked(rig, "client.test", DNS_A), 0);
    assert_int_equal(rig_asked(rig, "a.sender.test", DNS_A), 2);
    assert_int_equal(rig_asked(rig, "b.rcpt.test", DNS_A), 0);
    assert_int_equal(rig_asked(rig, "message.test", DNS_A), 0);
    engine_close(session);
    rig_free(rig);
}

/* ---- when time is up ---- */

static void says_451_when_time_is_up(void **state)
{
    static const struct rig_answer dns[] = {
        {"a.sender.test", DNS_A, "silent"}, {"client.test", DNS_A, "silent"}, {0}};
    struct rig *rig =
        rig_new(&(struct rig_options){.dns = dns, .budget = "mail 10s; rcpt 100ms; message 10s;"},
                "rule one { when t.sender == 4; on_fault defer; reply 550 5.7.1 \"one\"; }"
                "rule two { when t.client == 4; reply 550 5.7.1 \"two\"; }");
    struct engine_session *session = rig_session(rig);

    (void)state;
    rig_mail(rig, session, "<a@example.com>");
    assert_string_equal(rig_rcpt(rig, session, "<b@example.org>"),
                        "451 4.4.3 Temporary failure: what decides about this message could not be "
                        "found out, please try again later (ref ID)");
    assert_string_equal(rig_field(rig, 0, "verdict"), "defer");
    assert_string_equal(rig_field(rig, 0, "rule"), "postern:fault");
    assert_string_equal(rig_field(rig, 0, "at"), "postern.conf:2");
    assert_string_equal(rig_field(rig, 0, "fault"), "one");
    /* The client's lookup below the rule that speaks goes on: nobody waits for it. */
    assert_string_equal(rig_field(rig, 0, "late"), "t-sender");
    assert_string_equal(rig_field(rig, 0, "faults"), "t.sender");
    assert_null(rig_field(rig, 0, "t.client"));
    engine_close(session);
    rig_free(rig);
}

static void no_5xx_rests_on_a_partial_sum(void **state)
{
    static const struct rig_answer dns[] = {{"client.test", DNS_A, "silent"}, {0}};
    struct rig *rig = rig_new(
        &(struct rig_options){.dns = dns, .budget = "mail 10s; rcpt 50ms; message 10s;"}, LISTED);
    struct engine_session *session = rig_session(rig);

    (void)state;
    rig_mail(rig, session, "<a@example.com>");
    assert_string_equal(rig_rcpt(rig, session, "<b@example.org>"), "continue");
    assert_string_equal(rig_message(rig, session), "continue");
    assert_string_equal(rig_field(rig, 0, "verdict"), "accept");
    assert_string_equal(rig_field(rig, 0, "t.client"), "0..10");
    assert_string_equal(rig_field(rig, 0, "faults"), "t.client");
    assert_string_equal(rig_field(rig, 0, "late"), "t-client");
    engine_close(session);
    rig_free(rig);
}

/* What could not be found out for one transaction is looked for again in the next. */
static void faults_are_forgotten(void **state)
{
    static const struct rig_answer dns[] = {{"client.test", DNS_A, "!fault"}, {0}};
    struct rig *rig =
        rig_new(&(struct rig_options){.dns = dns},
                "rule r { when t.client == 5; on_fault defer; reply 550 5.7.1 \"r\"; }");
    struct engine_session *session = rig_session(rig);

    (void)state;
    rig_mail(rig, session, "<a@example.com>");
    assert_memory_equal(rig_rcpt(rig, session, "<b@example.org>"), "451 4.4.3", 9);
    assert_int_equal(rig_asked(rig, "client.test", DNS_A),
                     2); /* at the connection and for the transaction */
    rig_answer(rig, 0, "!127.0.0.5");
    assert_memory_equal(rig_rcpt(rig, session, "<c@example.org>"), "451 4.4.3", 9);
    assert_string_equal(rig_field(rig, 1, "faults"), "t.client");
    rig_mail(rig, session, "<a@example.com>");
    assert_string_equal(rig_rcpt(rig, session, "<b@example.org>"), "550 5.7.1 r (ref ID)");
    rig_mail(rig, session, "<a@example.com>");
    assert_string_equal(rig_rcpt(rig, session, "<b@example.org>"), "550 5.7.1 r (ref ID)");
    assert_int_equal(rig_asked(rig, "client.test", DNS_A),
                     3); /* a known fact of the connection stays */
    engine_close(session);
    rig_free(rig);
}

/* ---- what lives how long ---- */

static void a_new_helo_replaces_the_old_one(void **state)
{
    static const struct rig_answer dns[] = {
        {"name.helo.test", DNS_A, "silent"}, {"other.helo.test", DNS_A, "127.0.0.7"}, {0}};
    struct rig *rig =
        rig_new(&(struct rig_options){.dns = dns},
                "rule r { when t.helo == 7; reply 550 5.7.1 \"%{helo} %{t.helo}\"; }");
    struct engine_session *session = rig_session(rig);

    (void)state;
    assert_int_equal(rig_asked(rig, "name.helo.test", DNS_A), 2);
    rig_mail(rig, session, "<a@example.com>");
    assert_true(engine_id(session)[0] != '\0');
    engine_helo(session, "other");
    assert_string_equal(engine_id(session), "");
    rig_mail(rig, session, "<a@example.com>");
    assert_string_equal(rig_rcpt(rig, session, "<b@example.org>"), "550 5.7.1 other 7 (ref ID)");
    assert_int_equal(rig_in_flight(rig), 0);
    engine_close(session);
    rig_free(rig);
}

static void a_new_mail_ends_the_old_transaction(void **state)
{
    static const struct rig_answer dns[] = {
        {"a.sender.test", DNS_A, "127.0.0.4"}, {"b.sender.test", DNS_A, "127.0.0.5"}, {0}};
    struct rig *rig = rig_new(&(struct rig_options){.dns = dns},
                              "rule r { when t.sender == 5; reply 550 5.7.1 \"%{rcpt.count}\"; }");
    struct engine_session *session = rig_session(rig);
    char first[16];

    (void)state;
    rig_mail(rig, session, "<a@example.com>");
    strcpy(first, engine_id(session));
    assert_int_equal(strlen(first), 6);
    assert_int_equal(strspn(first, "23456789ABCDEFGHJKMNPQRSTUVWXYZ"), 6);
    assert_string_equal(rig_rcpt(rig, session, "<b@example.org>"), "continue");
    assert_string_equal(rig_rcpt(rig, session, "<c@example.org>"), "continue");
    rig_mail(rig, session, "<b@example.com>");
    assert_string_not_equal(engine_id(session), first);
    assert_string_equal(rig_rcpt(rig, session, "<b@example.org>"), "550 5.7.1 0 (ref ID)");
    engine_end(session);
    assert_string_equal(engine_id(session), "");
    engine_close(session);
    rig_free(rig);
}

static void refused_recipients_do_not_count(void **state)
{
    static const struct rig_answer dns[] = {{"bad.rcpt.test", DNS_A, "127.0.0.1"}, {0}};
    struct rig *rig = rig_new(&(struct rig_options){.dns = dns},
                              "rule r { when t.rcpt == 1; reply 550 5.1.1 \"%{rcpt.count}\"; }");
    struct engine_session *session = rig_session(rig);

    (void)state;
    rig_mail(rig, session, "<a@example.com>");
    assert_string_equal(rig_rcpt(rig, session, "<bad@example.org>"), "550 5.1.1 0 (ref ID)");
    assert_string_equal(rig_rcpt(rig, session, "<b@example.org>"), "continue");
    assert_string_equal(rig_rcpt(rig, session, "<bad@example.org>"), "550 5.1.1 1 (ref ID)");
    assert_string_equal(rig_rcpt(rig, session, "<c@example.org>"), "continue");
    assert_string_equal(rig_rcpt(rig, session, "<bad@example.org>"), "550 5.1.1 2 (ref ID)");
    assert_string_equal(rig_message(rig, session), "continue");
    assert_string_equal(rig_field(rig, 3, "rcpt"), "b@example.org,c@example.org");
    assert_string_equal(rig_field(rig, 3, "rcpt.count"), "0,1");
    engine_close(session);
    rig_free(rig);
}

static void no_helo_at_all(void **state)
{
    struct rig *rig = rig_new(&(struct rig_options){0},
                              "rule r { when helo == \"\"; reply 550 5.7.1 \"no HELO\"; }");
    struct engine_session *session = engine_open(rig_engine(rig), "mx");

    (void)state;
    engine_connect(session, NULL, NULL, NULL, false, NULL);
    assert_string_equal(rig_stage(rig, session, STAGE_CONNECT), "continue");
    rig_mail(rig, session, "<>");
    assert_string_equal(rig_rcpt(rig, session, "<b@example.org>"), "550 5.7.1 no HELO (ref ID)");
    engine_close(session);
    rig_free(rig);
}

/* A session keeps the configuration it began with. */
static void a_new_configuration_is_for_new_sessions(void **state)
{
    struct rig *rig =
        rig_new(&(struct rig_options){0}, "rule r { when true; reply 550 5.7.1 \"old\"; }");
    struct engine_session *old = rig_session(rig), *new;
    struct config *config = engine_config(rig_engine(rig));

    (void)state;
    assert_ptr_equal(engine_session_config(old), config);
    config_unref(config);
    rig_configure(rig, "rule r { when true; reply 550 5.7.1 \"new\"; }");
    engine_tick(rig_engine(rig));
    new = rig_session(rig);
    rig_mail(rig, old, "<a@example.com>");
    assert_string_equal(rig_rcpt(rig, old, "<b@example.org>"), "550 5.7.1 old (ref ID)");
    rig_mail(rig, new, "<a@example.com>");
    assert_string_equal(rig_rcpt(rig, new, "<b@example.org>"), "550 5.7.1 new (ref ID)");
    engine_close(old);
    engine_close(new);
    rig_free(rig);
}

static void write_names(const char *path, const char *names)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(names, file);
    assert_int_equal(fclose(file), 0);
}

/* A session keeps its configuration, not what was in the files of its tables. */
static void tables_of_old_sessions_are_refreshed(void **state)
{
    char path[] = "/tmp/postern-names-XXXXXX";
    char text[160];
    struct rig *rig;
    struct engine_session *old, *older;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    write_names(path, "a@example.org\n");
    snprintf(text, sizeof(text),
             "table known file:%s; rule r { when rcpt not in known; reply 550 5.1.1 \"no\"; }",
             path);
    rig = rig_new(&(struct rig_options){0}, text);
    older = rig_session(rig);
    rig_configure(rig, text);
    old = rig_session(rig);
    rig_configure(rig, text);
    rig_mail(rig, old, "<a@example.com>");
    assert_string_equal(rig_rcpt(rig, old, "<new@example.org>"), "550 5.1.1 no (ref ID)");
    write_names(path, "a@example.org\nnew@example.org\n");
    engine_tick(rig_engine(rig));
    engine_close(older);
    engine_tick(rig_engine(rig));
    rig_mail(rig, old, "<a@example.com>");
    assert_string_equal(rig_rcpt(rig, old, "<new@example.org>"), "continue");
    engine_close(old);
    engine_tick(rig_engine(rig));
    rig_free(rig);
    unlink(path);
}

static void everything_is_found_out(void **state)
{
    static const struct rig_answer dns[] = {
        {"client.test", DNS_A, "127.0.0.1"},   {"name.helo.test", DNS_A, "127.0.0.2"},
        {"a.sender.test", DNS_A, "127.0.0.3"}, {"b.rcpt.test", DNS_A, "127.0.0.4"},
        {"message.test", DNS_A, "127.0.0.5"},  {0}};
    struct rig *rig = rig_new(&(struct rig_options){.dns = dns, .everything = true},
                              "rule r { when true; accept; }");
    struct engine_session *session = rig_session(rig);

    (void)state;
    rig_mail(rig, session, "<a@example.com>");
    rig_rcpt(rig, session, "<b@example.org>");
    assert_string_equal(rig_message(rig, session), "continue");
    assert_string_equal(rig_field(rig, 0, "rule"), "r");
    assert_string_equal(rig_field(rig, 0, "t.client"), "1");
    assert_string_equal(rig_field(rig, 0, "t.helo"), "2");
    assert_string_equal(rig_field(rig, 0, "t.sender"), "3");
    assert_string_equal(rig_field(rig, 0, "t.rcpt"), "4");
    assert_string_equal(rig_field(rig, 0, "t.message"), "5");
    assert_string_equal(rig_field(rig, 0, "message.size"), "1298");
    assert_string_equal(rig_field(rig, 0, "received.count"), "1");
    engine_close(session);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_rules_say),
        cmocka_unit_test(a_released_answer_speaks),
        cmocka_unit_test(asks_only_what_is_needed),
        cmocka_unit_test(says_451_when_time_is_up),
        cmocka_unit_test(no_5xx_rests_on_a_partial_sum),
        cmocka_unit_test(faults_are_forgotten),
        cmocka_unit_test(a_new_helo_replaces_the_old_one),
        cmocka_unit_test(a_new_mail_ends_the_old_transaction),
        cmocka_unit_test(refused_recipients_do_not_count),
        cmocka_unit_test(no_helo_at_all),
        cmocka_unit_test(a_new_configuration_is_for_new_sessions),
        cmocka_unit_test(tables_of_old_sessions_are_refreshed),
        cmocka_unit_test(everything_is_found_out),
    };

    return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
