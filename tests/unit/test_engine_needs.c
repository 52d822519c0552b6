/* SPDX-License-Identifier: MIT */
#include "engine_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <postern/arena.h>
#include <postern/str.h>

/* What the MTA is asked for, stage by stage: 'r' replied to, 's' silent, '-' not sent; then h and b
 * for header and body, c and q for changes of the header and quarantine. */
struct row {
    const char *what, *config, *asked;
};

static const struct row rows[] = {
    /* Nothing is decided at all: the client, HELO, sender and recipients are for records. */
    {"no rule", "", "ssss-r"},
    {"a rule about recipients costs nothing of the message",
     "rule r { when rcpt.local == nobody; reply 550 5.1.1 \"r\"; }", "sssr-r"},
    {"a lookup of the client gets a head start",
     "rule r { when t.client > 2; reply 554 5.7.1 \"r\"; }", "rssr-r"},
    {"a lookup of the HELO begins with MAIL", "rule r { when t.helo > 2; reply 554 5.7.1 \"r\"; }",
     "ssrr-r"},
    {"a lookup of the sender", "rule r { when t.sender > 2; reply 550 5.7.1 \"r\"; }", "ssrr-r"},
    {"one that only a text shows",
     "rule r { when rcpt.local == nobody; reply 550 5.7.1 \"%{t.reason}\"; }", "rssr-r"},
    {"one by way of a table",
     "table t { x; } rule r { when t.reason in t; reply 550 5.7.1 \"r\"; }", "rssr-r"},
    {"an observing rule looks things up",
     "rule r { when t.client > 2; observe; reply 554 5.7.1 \"r\"; }", "rsss-r"},
    {"a rule that is over asks for nothing",
     "rule r { when t.client > 2; until 2001-01-01; reply 554 5.7.1 \"r\"; }", "ssss-r"},
    {"a reply at MAIL", "speak_at mail; rule r { when sender.local == a; reply 550 5.7.1 \"r\"; }",
     "ssrr-r"},
    {"521 is said at MAIL", "rule r { when client.ip in { 192.0.2.1 }; reply 521 5.3.2 \"r\"; }",
     "ssrr-r"},
    {"a fault speaks, too",
     "rule r { when rcpt.domain_status == missing; accept; on_fault defer; }", "sssr-r"},
    {"only the message", "rule r { when t.message > 2; reply 550 5.7.1 \"r\"; }", "ssss-r"},
    {"perhaps before the message",
     "rule r { when t.message > 2 or rcpt.local == x; reply 550 5.7.1 \"r\"; }", "sssr-r"},
    {"never before the message",
     "rule r { when t.message > 2 and client.local; reply 550 5.7.1 \"r\"; }", "ssss-r"},
    {"recipients that may be split",
     "rule r { when t.message > 2 and rcpt.local == x; reply 550 5.7.1 \"r\"; }", "sssr-r"},
    {"the header", "rule r { when header('X') == \"y\"; reply 550 5.7.1 \"r\"; }", "ssss-rh"},
    {"the body", "rule r { when message.size > 9; quarantine \"r\"; }", "ssss-rhbq"},
    {"a stream without the body", "rule r { when s.seen == \"\"; quarantine \"r\"; observe; }",
     "ssss-rh"},
    {"a field to be added", "rule r { when sender.local == a; header \"X-A: b\"; }", "ssss-rhc"},
    {"results to be added", "results { add spf; remove_forged no; }", "ssrs-rc"},
    {"forged results to be removed", "results { remove_forged yes; }", "ssss-rhc"},
};

static const char *asked(struct arena *arena, const struct engine_needs *needs)
{
    struct str text = {0};
    const char *result;

    for (int stage = 0; stage < STAGE_COUNT; stage++)
        str_add_char(&text, "-sr"[needs->stages[stage]]);
    str_add(&text, needs->headers ? "h" : "");
    str_add(&text, needs->body ? "b" : "");
    str_add(&text, needs->changes ? "c" : "");
    str_add(&text, needs->holds ? "q" : "");
    result = arena_strdup(arena, str_text(&text));
    str_free(&text);
    return result;
}

static void asks_for_what_is_needed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig *rig = rig_new(&(struct rig_options){0}, rows[i].config);
        struct engine_session *session = engine_open(rig_engine(rig), "mx");
        struct config *config = engine_config(rig_engine(rig));
        struct arena *arena = arena_new();
        struct engine_needs needs = engine_needs(session);
        struct engine_needs planned = engine_needs_of(config, arena);

        print_message("row %zu: %s\n", i, rows[i].what);
        assert_string_equal(asked(arena, &needs), rows[i].asked);
        assert_string_equal(asked(arena, &planned), rows[i].asked);
        for (int stage = 0; stage < STAGE_COUNT; stage++)
            assert_string_equal(needs.macros[stage], planned.macros[stage]);
        config_unref(config);
        arena_free(arena);
        engine_close(session);
        rig_free(rig);
    }
}

static void asks_for_macros(void **state)
{
    static const struct {
        const char *config;
        enum stage stage;
        const char *macros;
    } lists[] = {
        {"", STAGE_CONNECT, "{daemon_name}"},
        {"rule r { when client.rdns == fail; reply 550 5.7.25 \"r\"; }", STAGE_CONNECT,
         "{daemon_name} {client_ptr}"},
        {"", STAGE_HELO, ""},
        {"", STAGE_MAIL, "{mail_addr} {auth_authen} {auth_type} {tls_version}"},
        {"speak_at mail; rule r { when sender.local == a; reply 550 5.7.1 \"r\"; }", STAGE_MAIL,
         "i {mail_addr} {auth_authen} {auth_type} {tls_version}"},
        {"", STAGE_RCPT, "i {rcpt_mailer} {rcpt_host} {rcpt_addr}"},
        {"", STAGE_DATA, ""},
        {"", STAGE_MESSAGE, "i"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        struct rig *rig = rig_new(&(struct rig_options){0}, lists[i].config);
        struct engine_session *session = engine_open(rig_engine(rig), "mx");
        struct engine_needs needs = engine_needs(session);

        assert_string_equal(needs.macros[lists[i].stage], lists[i].macros);
        engine_close(session);
        rig_free(rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_for_what_is_needed),
        cmocka_unit_test(asks_for_macros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
