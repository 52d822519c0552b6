/* SPDX-License-Identifier: MIT */
#include "engine_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- one outcome for all recipients ---- */

#define SPLIT_MESSAGE                                                                              \
    "451 4.5.3 The recipients of this message have different policies, please try again later: "   \
    "they will be taken one by one (ref ID)"
#define SPLIT_RECIPIENT                                                                            \
    "452 4.5.3 This recipient has another policy than the first one, please send to it in a "      \
    "transaction of its own (ref ID)"
#define STRICT "rule strict { when t.rcpt == 1 and t.message == 5; reply 550 5.7.1 \"strict\"; } "

static const struct rig_answer mixed_dns[] = {{"strict.rcpt.test", DNS_A, "127.0.0.1"},
                                              {"slow.rcpt.test", DNS_A, "hold 127.0.0.1"},
                                              {"message.test", DNS_A, "127.0.0.5"},
                                              {0}};

struct mixed_row {
    const char *what, *mixed, *rules, *first, *second, *said, *word;
};

static const struct mixed_row mixed_rows[] = {
    {"late", "late", STRICT, "strict", "other", SPLIT_MESSAGE, "late"},
    {"late, the other way round", "late", STRICT, "other", "strict", SPLIT_MESSAGE, "late"},
    {"late, all alike", "late", STRICT, "strict", "strict", "550 5.7.1 strict (ref ID)", NULL},
    {"late, none refused", "late", STRICT, "other", "another", "continue", NULL},
    {"strictest", "strictest", STRICT, "other", "strict", "550 5.7.1 strict (ref ID)", "strictest"},
    {"lenient", "lenient", STRICT, "strict", "other", "continue", "lenient"},
    {"lenient, all alike", "lenient", STRICT, "strict", "strict", "550 5.7.1 strict (ref ID)",
     NULL},
    {"two ways to refuse are alike", "late",
     STRICT "rule all { when t.message == 5; reply 554 5.6.0 \"all\"; }", "other", "strict",
     "550 5.7.1 strict (ref ID)", NULL},
    {"accepted for one", "late",
     "rule role { when rcpt.local == postmaster; accept; }"
     "rule all { when t.message == 5; reply 554 5.6.0 \"all\"; }",
     "postmaster", "other", SPLIT_MESSAGE, "late"},
};

static void one_answer_for_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(mixed_rows) / sizeof(mixed_rows[0]); i++) {
        const struct mixed_row *row = &mixed_rows[i];
        char config[512], path[64];
        struct rig *rig;
        struct engine_session *session;
        const char *mixed;

        print_message("row %zu: %s\n", i, row->what);
        snprintf(config, sizeof(config), "mixed_recipients %s; %s", row->mixed, row->rules);
        rig = rig_new(&(struct rig_options){.dns = mixed_dns}, config);
        session = rig_session(rig);
        rig_mail(rig, session, "<a@example.com>");
        snprintf(path, sizeof(path), "<%s@example.org>", row->first);
        assert_string_equal(rig_rcpt(rig, session, path), "continue");
        snprintf(path, sizeof(path), "<%s@example.org>", row->second);
        assert_string_equal(rig_rcpt(rig, session, path), "continue");
        assert_string_equal(rig_message(rig, session), row->said);
        assert_int_equal(rig_records(rig), 1);
        mixed = rig_field(rig, 0, "mixed");
        if (row->word == NULL)
            assert_null(mixed);
        else
            assert_memory_equal(mixed + 1, row->word, strlen(row->word));
        engine_close(session);
        rig_free(rig);
    }
}

/* The attempt after a 451 4.5.3 is split at RCPT: what differs from the first recipient goes
 * elsewhere. */
static void splits_the_next_attempt(void **state)
{
    struct rig *rig = rig_new(&(struct rig_options){.dns = mixed_dns}, STRICT);
    struct engine_session *session = rig_session(rig);
    struct addr neighbour;

    (void)state;
    rig_mail(rig, session, "<a@example.com>");
    rig_rcpt(rig, session, "<strict@example.org>");
    rig_rcpt(rig, session, "<other@example.org>");
    assert_string_equal(rig_message(rig, session), SPLIT_MESSAGE);
    assert_string_equal(rig_field(rig, 0, "rule"), "postern:split");
    assert_string_equal(rig_field(rig, 0, "verdict"), "defer");
    assert_string_equal(rig_field(rig, 0, "mixed"), "\"late <strict@example.org>=reject:strict "
                                                    "<other@example.org>=accept\"");
    engine_end(session);
    engine_close(session);

    /* From another host of the network; the sender in another case. */
    session = engine_open(rig_engine(rig), "mx");
    assert_true(addr_parse("192.0.2.200", &neighbour));
    engine_connect(session, &neighbour, NULL, NULL, false, NULL);
    rig_mail(rig, session, "<A@Example.COM>");
    assert_string_equal(rig_rcpt(rig, session, "<other@example.org>"), "continue");
    assert_string_equal(rig_rcpt(rig, session, "<strict@example.org>"), SPLIT_RECIPIENT);
    assert_string_equal(rig_field(rig, 1, "rule"), "postern:split");
    assert_string_equal(rig_field(rig, 1, "rcpt"), "strict@example.org");
    assert_string_equal(rig_rcpt(rig, session, "<another@example.org>"), "continue");
    /* A recipient whose facts are on their way is waited for: its policy hangs on them. */
    engine_rcpt(session, "<slow@example.org>");
    rig_start(rig, session, STAGE_RCPT);
    assert_null(rig_spoken(rig));
    rig_release(rig);
    assert_string_equal(rig_wait(rig), SPLIT_RECIPIENT);
    assert_string_equal(rig_message(rig, session), "continue");
    assert_string_equal(rig_field(rig, 3, "rcpt"), "other@example.org,another@example.org");
    engine_end(session);

    /* Another sender of that network is not split. */
    rig_mail(rig, session, "<b@example.com>");
    assert_string_equal(rig_rcpt(rig, session, "<other@example.org>"), "continue");
    assert_string_equal(rig_rcpt(rig, session, "<strict@example.org>"), "continue");
    engine_close(session);
    rig_free(rig);
}

static void splits_five_a_session(void **state)
{
    struct rig *rig = rig_new(&(struct rig_options){.dns = mixed_dns}, STRICT);
    struct engine_session *session = rig_session(rig);

    (void)state;
    rig_mail(rig, session, "<a@example.com>");
    rig_rcpt(rig, session, "<strict@example.org>");
    rig_rcpt(rig, session, "<other@example.org>");
    assert_string_equal(rig_message(rig, session), SPLIT_MESSAGE);
    rig_mail(rig, session, "<a@example.com>");
    assert_string_equal(rig_rcpt(rig, session, "<other@example.org>"), "continue");
    for (int i = 0; i < 5; i++)
        assert_string_equal(rig_rcpt(rig, session, "<strict@example.org>"), SPLIT_RECIPIENT);
    assert_string_equal(rig_rcpt(rig, session, "<strict@example.org>"), "continue");
    assert_string_equal(rig_message(rig, session), "550 5.7.1 strict (ref ID)");
    assert_memory_equal(rig_field(rig, 6, "mixed"), "\"strictest ", 11);
    engine_close(session);
    rig_free(rig);
}

static void never_splits_its_own(void **state)
{
    struct rig *rig = rig_new(&(struct rig_options){.dns = mixed_dns},
                              "rule strict { when t.rcpt == 1 and t.message == 5; local; reply 550 "
                              "5.7.1 \"strict\"; }");
    struct engine_session *session = rig_session(rig);
    struct addr client;

    (void)state;
    engine_mail(session, "<a@example.com>", "joe", "PLAIN");
    rig_stage(rig, session, STAGE_MAIL);
    rig_rcpt(rig, session, "<strict@example.org>");
    rig_rcpt(rig, session, "<other@example.org>");
    assert_string_equal(rig_message(rig, session), "550 5.7.1 strict (ref ID)");
    engine_close(session);

    session = engine_open(rig_engine(rig), "mx");
    assert_true(addr_parse("127.0.0.1", &client));
    engine_connect(session, &client, "localhost", "", true, "");
    rig_mail(rig, session, "a@example.com");
    rig_rcpt(rig, session, "strict@example.org");
    rig_rcpt(rig, session, "other@example.org");
    assert_string_equal(rig_message(rig, session), "550 5.7.1 strict (ref ID)");
    engine_close(session);
    rig_free(rig);
}

/* More recipients than anybody sends to, and no more memory for them. */
static void takes_so_many_recipients_and_no_more(void **state)
{
    enum { LIMIT = 5000 };
    struct rig *rig = rig_new(&(struct rig_options){.dns = mixed_dns}, STRICT);
    struct engine_session *session = rig_session(rig);

    (void)state;
    rig_mail(rig, session, "<a@example.com>");
    for (int i = 0; i < LIMIT; i++)
        assert_string_equal(rig_rcpt(rig, session, "<strict@example.org>"), "continue");
    for (int i = 0; i < 2; i++)
        assert_memory_equal(rig_rcpt(rig, session, "<strict@example.org>"), "452 4.5.3 Too many",
                            18);
    assert_string_equal(rig_field(rig, 0, "rule"), "postern:busy");
    assert_string_equal(rig_message(rig, session), "550 5.7.1 strict (ref ID)");
    assert_true(strlen(rig_field(rig, 2, "rcpt")) < 1010);
    engine_close(session);
    rig_free(rig);
}

/* What the MTA takes without waiting for a reply is not recorded as refused. */
static void records_no_refusal_that_nobody_hears(void **state)
{
    enum { LIMIT = 5000 };
    struct rig *rig =
        rig_new(&(struct rig_options){0},
                "rule all { when header('Subject') != \"\"; reply 550 5.7.1 \"all\"; }");
    struct engine_session *session = rig_session(rig);

    (void)state;
    assert_int_equal(engine_needs(session).stages[STAGE_RCPT], ASKED_SILENT);
    rig_mail(rig, session, "<a@example.com>");
    for (int i = 0; i < LIMIT + 2; i++)
        assert_string_equal(rig_rcpt(rig, session, "<b@example.org>"), "continue");
    assert_int_equal(rig_records(rig), 0);
    assert_string_equal(rig_message(rig, session), "550 5.7.1 all (ref ID)");
    assert_string_equal(rig_field(rig, 0, "rule"), "all");
    engine_close(session);
    rig_free(rig);
}

/* ---- local submissions, observing ---- */

static void local_submissions_meet_local_rules_at_the_end(void **state)
{
    struct rig *rig =
        rig_new(&(struct rig_options){0},
                "speak_at mail;"
                "rule all { when sender.local == a; reply 550 5.7.1 \"all\"; }"
                "rule ours { when sender.local == b; local; reply 550 5.7.1 \"ours\"; }");
    struct engine_session *session = engine_open(rig_engine(rig), "mx");
    struct addr client;

    (void)state;
    assert_true(addr_parse("127.0.0.1", &client));
    engine_connect(session, &client, "localhost", "", true, "");
    for (int i = 0; i < 2; i++) {
        assert_string_equal(rig_mail(rig, session, i == 0 ? "a@example.com" : "b@example.com"),
                            "continue");
        assert_string_equal(rig_rcpt(rig, session, "c@example.org"), "continue");
        assert_string_equal(rig_message(rig, session),
                            i == 0 ? "continue" : "550 5.7.1 ours (ref ID)");
        engine_end(session);
    }
    engine_close(session);
    rig_free(rig);
}

static void observe_mode_refuses_nothing(void **state)
{
    struct rig *rig = rig_new(&(struct rig_options){.dns = mixed_dns, .listen_mode = "observe"},
                              "rule gone { when rcpt.local == gone; reply 550 5.1.1 \"gone\"; }"
                              "rule mark { when true; header \"X-Mark: yes\"; }" STRICT);
    struct engine_session *session = rig_session(rig);

    (void)state;
    for (int i = 0; i < 2; i++) {
        rig_forget_records(rig);
        rig_mail(rig, session, "<a@example.com>");
        assert_string_equal(rig_rcpt(rig, session, "<gone@example.org>"), "continue observed");
        assert_string_equal(rig_field(rig, 0, "verdict"), "would-reject");
        assert_string_equal(rig_field(rig, 0, "reply"), "\"550 5.1.1 gone (ref ID)\"");
        assert_string_equal(rig_rcpt(rig, session, "<strict@example.org>"), "continue");
        /* Nothing is split, the second time either. */
        assert_string_equal(rig_rcpt(rig, session, "<other@example.org>"), "continue");
        assert_string_equal(rig_message(rig, session), "continue observed");
        assert_string_equal(rig_field(rig, 1, "verdict"), "would-defer");
        assert_string_equal(rig_field(rig, 1, "rule"), "postern:split");
        /* The one that would have been refused is not there any more. */
        assert_string_equal(rig_field(rig, 1, "rcpt"), "strict@example.org,other@example.org");
        assert_int_equal(rig_records(rig), 2);
    }
    engine_close(session);
    rig_free(rig);
}

/* ---- what else is done with a message ---- */

static void marks_and_holds(void **state)
{
    struct rig *rig = rig_new(&(struct rig_options){.dns = mixed_dns},
                              "rule mark { when t.message >= 3; header \"X-Mark: %{t.message} \"; }"
                              "rule seen { when t.message >= 4; observe; reply 550 5.7.1 \"x\"; }"
                              "rule not { when t.message >= 9; observe; reply 550 5.7.1 \"x\"; }"
                              "rule hold { when t.message == 5; quarantine \"hold %{t.message}\"; }"
                              "rule below { when true; header \"X-Below: yes\"; }");
    struct engine_session *session = rig_session(rig);

    (void)state;
    rig_mail(rig, session, "<a@example.com>");
    rig_rcpt(rig, session, "<b@example.org>");
    assert_string_equal(rig_message(rig, session), "quarantine hold 5; X-Mark: 5 ");
    assert_string_equal(rig_field(rig, 0, "verdict"), "quarantine");
    assert_string_equal(rig_field(rig, 0, "rule"), "hold");
    assert_string_equal(rig_field(rig, 0, "observed"), "seen");
    assert_string_equal(rig_field(rig, 0, "marked"), "mark");
    assert_string_equal(rig_field(rig, 0, "qid"), "4XyZ");
    engine_close(session);
    rig_free(rig);
}

static void accepted_no_leaves_them_out(void **state)
{
    struct rig *rig = rig_new(
        &(struct rig_options){.dns = mixed_dns, .audit = "accepted no;"},
        "rule seen { when sender.local == watched; observe; reply 550 5.7.1 \"x\"; }" STRICT);
    struct engine_session *session = rig_session(rig);

    (void)state;
    rig_mail(rig, session, "<a@example.com>");
    rig_rcpt(rig, session, "<b@example.org>");
    assert_string_equal(rig_message(rig, session), "continue");
    assert_int_equal(rig_records(rig), 0);
    rig_mail(rig, session, "<watched@example.com>");
    rig_rcpt(rig, session, "<b@example.org>");
    rig_message(rig, session);
    assert_int_equal(rig_records(rig), 1);
    rig_mail(rig, session, "<a@example.com>");
    rig_rcpt(rig, session, "<strict@example.org>");
    rig_message(rig, session);
    assert_int_equal(rig_records(rig), 2);
    engine_close(session);
    rig_free(rig);
}

/* ---- derived facts ---- */

struct derived_row {
    const char *condition, *sender, *rcpt;
    bool is_true;
};

static const struct derived_row derived_rows[] = {
    {"client.ip in nets", "a@example.com", "b@example.org", true},
    {"client.ip in names", "a@example.com", "b@example.org", false},
    {"sender.domain in names", "a@example.com", "b@example.org", true},
    {"sender.domain in names", "a@below.example.net", "b@example.org", true},
    {"sender.domain in names", "a@example.net.example", "b@example.org", false},
    {"sender.domain in names", "", "b@example.org", false},
    {"sender in names", "friend@example.edu", "b@example.org", true},
    {"sender in names", "FRIEND@Example.edu", "b@example.org", true},
    {"sender in names", "foe@example.edu", "b@example.org", false},
    {"sender in names", "\"x@example.com\"@example.edu", "b@example.org", false},
    {"sender in names", "\"a@example.com\"", "b@example.org", false},
    {"rcpt in names", "a@example.edu", "friend@example.edu", true},
    {"rcpt in names", "a@example.edu", "friend+list@example.edu", true},
    {"rcpt in names", "a@example.edu", "friendly@example.edu", false},
    {"sender.domain in gone", "a@example.com", "b@example.org", false},
    {"not sender.domain in gone", "a@example.com", "b@example.org", false},
    {"sender.domain matches '^ex.*\\.com$'", "a@example.com", "b@example.org", true},
    {"sender.domain matches '^ex.*\\.com$'", "a@example.org", "b@example.org", false},
    {"helo matches '^$'", "a@example.org", "b@example.org", false},
    {"lookup(values, sender) == \"gold\"", "rich@example.com", "b@example.org", true},
    {"lookup(values, sender) == \"\"", "poor@example.com", "b@example.org", true},
    {"lookup(gone, sender) == \"\"", "poor@example.com", "b@example.org", false},
    {"header('Subject') == \"Hello,\tworld\"", "a@example.com", "b@example.org", true},
    {"header('SUBJECT') matches 'second'", "a@example.com", "b@example.org", false},
    {"header('Missing') == \"\"", "a@example.com", "b@example.org", true},
    {"message.size == 1298 and received.count == 1", "a@example.com", "b@example.org", true},
};

static void finds_derived_facts(void **state)
{
    static const char tables[] =
        "table nets { 192.0.2.0/24; } table names { example.com; .example.net; "
        "friend@example.edu; } table gone file:gone; table values file:values; "
        "table ours { example.edu; } recipients { delimiter \"+\"; } "
        "rule r { when %s; late; reply 550 5.7.1 \"yes\"; }";

    (void)state;
    for (size_t i = 0; i < sizeof(derived_rows) / sizeof(derived_rows[0]); i++) {
        const struct derived_row *row = &derived_rows[i];
        char config[1024], path[128];
        struct rig *rig;
        struct engine_session *session;
        const char *said;

        print_message("row %zu: %s with <%s> <%s>\n", i, row->condition, row->sender, row->rcpt);
        snprintf(config, sizeof(config), tables, row->condition);
        rig = rig_new(&(struct rig_options){.values = "rich@example.com gold\n"}, config);
        session = rig_session(rig);
        snprintf(path, sizeof(path), "<%s>", row->sender);
        assert_string_equal(rig_mail(rig, session, path), "continue");
        snprintf(path, sizeof(path), "<%s>", row->rcpt);
        said = rig_rcpt(rig, session, path);
        if (strcmp(said, "continue") == 0)
            said = rig_message(rig, session);
        assert_string_equal(said, row->is_true ? "550 5.7.1 yes (ref ID)" : "continue");
        engine_close(session);
        rig_free(rig);
    }
}

/* ---- records ---- */

static void nothing_from_outside_forges_a_record(void **state)
{
    struct rig *rig =
        rig_new(&(struct rig_options){0}, "rule r { when true; reply 550 5.7.1 \"%{helo}\"; }");
    struct engine_session *session = rig_session(rig);
    const char *line;

    (void)state;
    engine_helo(session, "x\" verdict=accept\r\nid=FORGED verdict=accept \\");
    rig_stage(rig, session, STAGE_HELO);
    rig_mail(rig, session, "<a b=c@example.com>");
    rig_rcpt(rig, session, "<\"b verdict=accept\"@example.org>");
    line = rig_record(rig, 0);
    assert_null(strpbrk(line, "\r\n"));
    assert_string_equal(rig_field(rig, 0, "verdict"), "reject");
    assert_string_equal(rig_field(rig, 0, "helo"),
                        "\"x\\\" verdict=accept\\x0d\\x0aid=FORGED verdict=accept \\\\\"");
    assert_string_equal(rig_field(rig, 0, "rcpt"), "\"\\\"b verdict=accept\\\"@example.org\"");
    assert_string_equal(rig_field(rig, 0, "client"), "192.0.2.1");
    engine_close(session);
    rig_free(rig);
}

static void records_what_the_mta_refused(void **state)
{
    struct rig *rig = rig_new(&(struct rig_options){0}, "rule r { when true; accept; }");
    struct engine_session *session = rig_session(rig);

    (void)state;
    rig_mail(rig, session, "<a@example.com>");
    engine_mta_refused(session, "<b@example.org>", "5.1.1", "User unknown in local table");
    assert_int_equal(rig_records(rig), 1);
    assert_string_equal(rig_field(rig, 0, "verdict"), "mta-reject");
    assert_string_equal(rig_field(rig, 0, "rule"), "mta");
    assert_string_equal(rig_field(rig, 0, "stage"), "rcpt");
    assert_string_equal(rig_field(rig, 0, "rcpt"), "b@example.org");
    assert_string_equal(rig_field(rig, 0, "reply"), "\"5.1.1 User unknown in local table\"");
    engine_mta_refused(session, "<b@example.org>", "", "550 5.1.1 User unknown");
    assert_string_equal(rig_field(rig, 1, "reply"), "\"550 5.1.1 User unknown\"");
    assert_string_equal(rig_rcpt(rig, session, "<c@example.org>"), "continue");
    assert_string_equal(rig_message(rig, session), "continue");
    assert_string_equal(rig_field(rig, 2, "rcpt"), "c@example.org");
    assert_string_equal(rig_field(rig, 2, "rcpt.count"), "0");
    engine_close(session);
    rig_free(rig);
}

/* Who was refused by the MTA gets nothing, whether the MTA told of it or not. */
static void nobody_is_left(void **state)
{
    struct rig *rig = rig_new(&(struct rig_options){0},
                              "rule r { when rcpt == b@example.org; reply 550 5.7.1 \"no\"; }");
    struct engine_session *session = rig_session(rig);

    (void)state;
    for (int told = 0; told < 2; told++) {
        rig_mail(rig, session, "<a@example.com>");
        if (told)
            engine_mta_refused(session, "<b@example.org>", "5.1.1", "User unknown");
        rig_stage(rig, session, STAGE_DATA);
        assert_string_equal(rig_message(rig, session), "continue");
        assert_int_equal(rig_records(rig), told);
    }
    engine_close(session);
    rig_free(rig);
}

static void keys_come_in_one_order(void **state)
{
    static const char head[] = "id verdict stage rule at reply client name helo sender rcpt qid "
                               "listener observed ";
    struct rig *rig = rig_new(&(struct rig_options){.dns = mixed_dns}, STRICT);
    struct engine_session *session = rig_session(rig);
    char keys[2048] = "";

    (void)state;
    rig_mail(rig, session, "<>");
    rig_rcpt(rig, session, "<strict@example.org>");
    rig_message(rig, session);
    for (const char *c = rig_record(rig, 0); *c != '\0';) {
        size_t key = strcspn(c, "=");
        strncat(keys, c, key);
        strcat(keys, " ");
        c += key + 1;
        c = *c == '"' ? strchr(c + 1, '"') + 1 : c + strcspn(c, " ");
        c += *c == ' ';
    }
    assert_memory_equal(keys, head, strlen(head));
    assert_non_null(strstr(keys, " faults client.local "));
    assert_non_null(strstr(keys, " time.t-rcpt time.t-message "));
    assert_string_equal(rig_field(rig, 0, "sender"), "\"\"");
    engine_close(session);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_answer_for_all),
        cmocka_unit_test(splits_the_next_attempt),
        cmocka_unit_test(splits_five_a_session),
        cmocka_unit_test(never_splits_its_own),
        cmocka_unit_test(takes_so_many_recipients_and_no_more),
        cmocka_unit_test(records_no_refusal_that_nobody_hears),
        cmocka_unit_test(local_submissions_meet_local_rules_at_the_end),
        cmocka_unit_test(observe_mode_refuses_nothing),
        cmocka_unit_test(marks_and_holds),
        cmocka_unit_test(accepted_no_leaves_them_out),
        cmocka_unit_test(finds_derived_facts),
        cmocka_unit_test(nothing_from_outside_forges_a_record),
        cmocka_unit_test(records_what_the_mta_refused),
        cmocka_unit_test(nobody_is_left),
        cmocka_unit_test(keys_come_in_one_order),
    };

    return cmocka_run_group_tests_name("engine_message", tests, NULL, NULL);
}
