/* SPDX-License-Identifier: MIT */
#include "engine_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PTR  "1.2.0.192.in-addr.arpa"
#define NAME "client.example"
#define ADDED                                                                                      \
    "; Authentication-Results: mx.example.org;\n    iprev=pass policy.iprev=192.0.2.1 "            \
    "(client.example)"

static const struct rig_answer dns[] = {
    {PTR, DNS_PTR, NAME}, {NAME, DNS_A, "192.0.2.1"}, {"message.test", DNS_A, "127.0.0.5"}, {0}};

struct row {
    const char *what, *config, *mode, *user;
    const char *headers[8]; /* name, value */
    const char *said;
    bool asks; /* for headers */
};

static const struct row rows[] = {
    {"no block",
     "",
     NULL,
     NULL,
     {"Authentication-Results", " mx.example.org; spf=pass"},
     "continue",
     false},
    {"results", "results { add iprev; }", NULL, NULL, {0}, "continue" ADDED, true},
    {"another name",
     "results { add iprev; authserv_id example.net; }",
     NULL,
     NULL,
     {0},
     "continue; Authentication-Results: example.net;\n    iprev=pass policy.iprev=192.0.2.1 "
     "(client.example)",
     true},
    {"forged ones go, from the last to the first, others stay",
     "results { add iprev; }",
     NULL,
     NULL,
     {"Authentication-Results", " mx.example.org; spf=pass", "authentication-results",
      " example.net; spf=pass", "AUTHENTICATION-RESULTS", " MX.Example.Org; spf=pass"},
     "continue" ADDED "; -Authentication-Results 3; -Authentication-Results 1",
     true},
    {"forged ones stay",
     "results { add iprev; remove_forged no; }",
     NULL,
     NULL,
     {"Authentication-Results", " mx.example.org; spf=pass"},
     "continue" ADDED,
     false},
    {"only forged ones",
     "results { remove_forged yes; }",
     NULL,
     NULL,
     {"Received-SPF", " pass (x) receiver=mx.example.org;", "Received-SPF",
      " pass (x) receiver=example.net;", "Authentication-Results", " mx.example.org; none"},
     "continue; -Authentication-Results 1; -Received-SPF 1",
     true},
    {"beside the fields of rules",
     "results { add iprev; } rule mark { when true; header \"X-Mark: yes\"; }",
     NULL,
     NULL,
     {"X-Mark", " no"},
     "continue" ADDED "; X-Mark: yes",
     true},
    {"a message that is held",
     "results { add iprev; } rule hold { when true; quarantine \"q\"; }",
     NULL,
     NULL,
     {0},
     "quarantine q" ADDED,
     true},
    {"a message that is accepted early",
     "results { add iprev; } rule ok { when client.ip == 192.0.2.1; accept; }",
     NULL,
     NULL,
     {0},
     "continue" ADDED,
     true},
    {"a message that is refused",
     "results { add iprev; } rule no { when t.message == 5; reply 550 5.7.1 \"no\"; }",
     NULL,
     NULL,
     {"Authentication-Results", " mx.example.org; none"},
     "550 5.7.1 no (ref ID)",
     true},
    {"observing only",
     "results { add iprev; }",
     "observe",
     NULL,
     {"Authentication-Results", " mx.example.org; none"},
     "continue observed",
     true},
    {"an authenticated client: nothing is added",
     "results { add iprev; }",
     NULL,
     "joe",
     {"Authentication-Results", " mx.example.org; none"},
     "continue; -Authentication-Results 1",
     true},
};

static const char *transact(struct rig *rig, const struct row *row)
{
    struct engine_session *session = rig_session(rig);
    const char *said;

    assert_int_equal(engine_needs(session).headers, row->asks);
    assert_false(engine_needs(session).body);
    /* The second message of a session is like the first. */
    for (int i = 0; i < 2; i++) {
        engine_mail(session, "<a@example.com>", row->user, NULL);
        rig_stage(rig, session, STAGE_MAIL);
        rig_rcpt(rig, session, "<b@example.org>");
        rig_stage(rig, session, STAGE_DATA);
        for (const char *const *header = row->headers; header[0] != NULL; header += 2)
            engine_header(session, header[0], header[1]);
        said = rig_stage(rig, session, STAGE_MESSAGE);
    }
    engine_close(session);
    return said;
}

static void adds_and_removes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        struct rig *rig =
            rig_new(&(struct rig_options){.dns = dns, .listen_mode = row->mode}, row->config);

        print_message("row %zu: %s\n", i, row->what);
        assert_string_equal(transact(rig, row), row->said);
        /* The record tells how many there were, whatever became of them. */
        if (strstr(row->said, "; -") != NULL)
            assert_string_equal(rig_field(rig, 0, "forged"),
                                strstr(strstr(row->said, "; -") + 1, "; -") != NULL ? "2" : "1");
        rig_free(rig);
    }
}

/* Each removal makes the MTA walk the whole header. */
static void removes_so_many_and_no_more(void **state)
{
    static const struct {
        const char *name, *value;
        unsigned count;
        bool busy;
    } crowds[] = {
        {"Authentication-Results", " mx.example.org; none", 200, false},
        {"Authentication-Results", " mx.example.org; none", 201, true},
        {"Authentication-Results", " example.net; none", 201, false},
        {"x-mark", " no", 200, false},
        {"x-mark", " no", 201, true},
        {"X-Mar", " no", 201, false},
        {"X-Other", " no", 201, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(crowds) / sizeof(crowds[0]); i++) {
        struct rig *rig = rig_new(&(struct rig_options){.dns = dns},
                                  "results { remove_forged yes; } "
                                  "rule mark { when true; header \"X-Mark: yes\"; } "
                                  "rule other { when false; header \"X-Other: yes\"; }");
        struct engine_session *session = rig_session(rig);
        const char *said;

        rig_mail(rig, session, "<a@example.com>");
        rig_rcpt(rig, session, "<b@example.org>");
        rig_stage(rig, session, STAGE_DATA);
        for (unsigned j = 0; j < crowds[i].count; j++)
            engine_header(session, crowds[i].name, crowds[i].value);
        said = rig_stage(rig, session, STAGE_MESSAGE);
        assert_int_equal(strncmp(said, "451 4.3.0 ", 10) == 0, crowds[i].busy);
        assert_int_equal(strncmp(said, "continue; ", 10) == 0, !crowds[i].busy);
        if (crowds[i].busy) {
            assert_string_equal(rig_field(rig, 0, "rule"), "postern:busy");
            assert_string_equal(rig_field(rig, 0, "verdict"), "defer");
        }
        engine_close(session);
        rig_free(rig);
    }
}

/* What is shown is waited for, but not longer than the budget. */
static void waits_for_what_is_shown(void **state)
{
    static const struct rig_answer slow[] = {
        {PTR, DNS_PTR, "hold client.example"}, {NAME, DNS_A, "192.0.2.1"}, {0}};
    static const struct rig_answer silent[] = {{PTR, DNS_PTR, "silent"}, {0}};
    static const struct row row = {.headers = {0}, .asks = true};
    struct rig *rig = rig_new(&(struct rig_options){.dns = slow}, "results { add iprev; }");
    struct engine_session *session = rig_session(rig);

    (void)state;
    rig_mail(rig, session, "<a@example.com>");
    rig_rcpt(rig, session, "<b@example.org>");
    rig_start(rig, session, STAGE_MESSAGE);
    assert_null(rig_spoken(rig));
    rig_release(rig);
    assert_string_equal(rig_wait(rig), "continue" ADDED);
    engine_close(session);
    rig_free(rig);
    rig = rig_new(&(struct rig_options){.dns = silent, .budget = "message 50ms;"},
                  "results { add iprev; }");
    assert_string_equal(transact(rig, &row),
                        "continue; Authentication-Results: mx.example.org;\n    iprev=temperror "
                        "policy.iprev=192.0.2.1");
    assert_string_equal(rig_field(rig, 0, "late"), "rdns");
    rig_free(rig);
}

static void tells_of_lists_of_good_senders(void **state)
{
    static const struct rig_answer answers[] = {
        {"1.2.0.192.wl.test", DNS_A, "127.0.5.2"}, {"1.2.0.192.bl.test", DNS_A, "127.0.0.2"}, {0}};
    static const struct row row = {.asks = true};
    struct rig *rig =
        rig_new(&(struct rig_options){.dns = answers},
                "dnsbl bl { zone bl.test; listed 127.0.0.2; weight 3; probe none; } "
                "dnsbl wl { zone wl.test; listed 127.0.*.1-3; weight -2; probe none; reason no; } "
                "dnsbl wl2 { zone other.test; listed 127.0.*.1-3; weight -2; probe none; } "
                "results { add dnswl; }");

    (void)state;
    assert_string_equal(transact(rig, &row),
                        "continue; Authentication-Results: mx.example.org;\n"
                        "    dnswl=pass dns.zone=wl.test policy.ip=127.0.5.2;\n"
                        "    dnswl=none dns.zone=other.test");
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adds_and_removes),
        cmocka_unit_test(removes_so_many_and_no_more),
        cmocka_unit_test(waits_for_what_is_shown),
        cmocka_unit_test(tells_of_lists_of_good_senders),
    };

    return cmocka_run_group_tests_name("engine_results", tests, NULL, NULL);
}
