/* SPDX-License-Identifier: MIT */
#include "engine_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <postern/arena.h>
#include <postern/session.h>
#include <postern/str.h>

/* Every fact here is known at once, so that DONE is called inside the call. */
static void keep(void *arg, const struct session_answer *answer)
{
    *(const struct session_answer **)arg = answer;
}

struct row {
    const char *what, *config;
    bool leading; /* the MTA sends the blank behind the colon */
    const char *headers[10];
    const char *changes; /* "-Name 2", "+Name:value", "hold reason", "," between them */
};

static const struct row rows[] = {
    {"values as they are",
     "rule r { when s.seen != \"\"; quarantine \"%{s.seen}\"; }",
     true,
     {"A", " b", "C", "d", "E", "  f"},
     "hold from a@example.com|A: b|C:d|E: f|eoh"},
    {"an MTA that took the blank away",
     "rule r { when s.seen != \"\"; quarantine \"%{s.seen}\"; }",
     false,
     {"A", "b", "C", "d"},
     "hold from a@example.com|A: b|C: d|eoh"},
    {"a field that rules add replaces all of its name",
     "rule r { when true; header \"X-A: new\"; } rule q { when true; header \"X-B: new\"; }",
     true,
     {"x-a", " 1", "Other", " 2", "X-A", " 3"},
     "-X-A 2,-X-A 1,+X-B: new,+X-A: new"},
    {"results stand above, and replace only their own",
     "results { add iprev; authserv_id me.example; } rule r { when true; header \"X-A: new\"; }",
     true,
     {"Authentication-Results", " me.example; none", "Authentication-Results",
      " other.example; none", "Authentication-Results", " me.example; none", "X-A", " 1"},
     "-X-A 1,-Authentication-Results 3,-Authentication-Results 1,+X-A: new,"
     "+Authentication-Results: me.example;\n    iprev=permerror policy.iprev=192.0.2.1"},
    {"a rule that replaces all results",
     "results { add iprev; authserv_id me.example; } "
     "rule r { when true; header \"Authentication-Results: mine\"; }",
     false,
     {"Authentication-Results", "me.example; none", "Authentication-Results",
      "other.example; none"},
     "-Authentication-Results 2,-Authentication-Results 1,+Authentication-Results:mine,"
     "+Authentication-Results:me.example;\n    iprev=permerror policy.iprev=192.0.2.1"},
};

static const char *describe(struct arena *arena, const struct session_answer *answer)
{
    struct str text = {0};
    const char *result;

    for (size_t i = 0; i < answer->change_count; i++) {
        const struct session_change *change = &answer->changes[i];
        if (i > 0)
            str_add_char(&text, ',');
        if (change->kind == CHANGE_DELETE)
            str_add_format(&text, "-%s %u", change->name, change->index);
        else if (change->kind == CHANGE_INSERT)
            str_add_format(&text, "+%s:%s", change->name, change->value);
        else
            str_add_format(&text, "hold %s", change->value);
    }
    result = arena_strdup(arena, str_text(&text));
    str_free(&text);
    return result;
}

static const char *transact(struct arena *arena, struct session *session, const struct row *row)
{
    static const char *const mail[] = {"<a@example.com>", NULL};
    static const char *const rcpt[] = {"<b@example.org>", NULL};
    const struct session_answer *answer = NULL;

    session_mail(session, mail, NULL, keep, &answer);
    assert_int_equal(answer->verb, SESSION_CONTINUE);
    session_rcpt(session, rcpt, NULL, keep, &answer);
    assert_int_equal(answer->verb, SESSION_CONTINUE);
    session_data(session, NULL, keep, &answer);
    for (const char *const *header = row->headers; header[0] != NULL; header += 2)
        session_header(session, header[0], header[1]);
    session_eoh(session, NULL);
    session_body(session, (const unsigned char *)"x", 1);
    answer = NULL;
    session_eom(session, NULL, keep, &answer);
    assert_non_null(answer);
    assert_int_equal(answer->verb, SESSION_CONTINUE);
    return describe(arena, answer);
}

static void changes_messages(void **state)
{
    static const struct rig_answer dns[] = {{"1.2.0.192.in-addr.arpa", DNS_PTR, "!none"}, {0}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig *rig = rig_new(&(struct rig_options){.dns = dns}, rows[i].config);
        struct session *session = session_open(rig_engine(rig), "mx");
        const struct session_answer *answer = NULL;
        struct arena *arena = arena_new();
        struct addr client;

        print_message("row %zu: %s\n", i, rows[i].what);
        session_leading_space(session, rows[i].leading);
        assert_true(addr_parse("192.0.2.1", &client));
        session_connect(session, "client.example", &client, 4711, NULL, keep, &answer);
        session_helo(session, "client.example", NULL, keep, &answer);
        /* Fields are counted anew for each message. */
        for (int again = 0; again < 2; again++)
            assert_string_equal(transact(arena, session, &rows[i]), rows[i].changes);
        session_close(session);
        arena_free(arena);
        rig_free(rig);
    }
}

/* However many names the rules add: of each, what came with the message goes. */
static void replaces_every_name(void **state)
{
    enum { NAMES = 300, NAME_SIZE = 16 };
    static char names[NAMES][NAME_SIZE];
    struct str config = {0};
    const struct session_answer *answer = NULL;
    unsigned removed = 0;

    (void)state;
    for (int i = 0; i < NAMES; i++) {
        snprintf(names[i], NAME_SIZE, "X-Mark-%d", i);
        str_add_format(&config, "rule r%d { when true; header \"%s: ours\"; }\n", i, names[i]);
    }
    struct rig *rig = rig_new(&(struct rig_options){0}, str_text(&config));
    struct session *session = session_open(rig_engine(rig), "mx");
    static const char *const path[] = {"<a@example.com>", NULL};

    session_connect(session, "localhost", NULL, 0, NULL, keep, &answer);
    session_helo(session, "client.example", NULL, keep, &answer);
    session_mail(session, path, NULL, keep, &answer);
    session_rcpt(session, path, NULL, keep, &answer);
    session_data(session, NULL, keep, &answer);
    for (int i = 0; i < NAMES; i++)
        session_header(session, names[i], " forged");
    session_eom(session, NULL, keep, &answer);
    for (size_t i = 0; i < answer->change_count; i++)
        removed += answer->changes[i].kind == CHANGE_DELETE;
    assert_int_equal(removed, NAMES);
    session_close(session);
    rig_free(rig);
    str_free(&config);
}

/* ---- addresses that only the MTA can read ---- */

static const char *meant(void *arg, const char *name)
{
    return strcmp(name, "{mail_addr}") == 0 || strcmp(name, "{rcpt_addr}") == 0 ? arg : NULL;
}

/* What the client says, what the MTA takes it for, what counts and is shown. */
static const struct {
    const char *said, *meant, *counts;
} addresses[] = {
    {"<a@example.com>", "x@other.example", "a@example.com"},
    {"<a@example.com(c)>", "a@example.com", "a@example.com"},
    {"<A <a@example.com>>", "a@example.com", "a@example.com"},
    {"<a@own.example(@other.example>", "a@own.example", "a@own.example"},
    {"<a%example.com>", "a@example.com", "a@example.com"},
    {"<a@ example.com>", "a@[192.0.2.1]", "a@[192.0.2.1]"},
    {"<(c)>", "", ""},
    {"< >", "<>", ""},
    /* Odd, but read alike, and as it was sent. */
    {"<A..b@example.com>", "\"a..b\"@example.com", "A..b@example.com"},
    /* The MTA's own domain is none that was said. */
    {"<root>", "root@mta.example", "root"},
    /* An MTA that does not tell, or no better. */
    {"<a@example.com(c)>", NULL, "a@example.com(c)"},
    {"<a@example.com(c)>", "a", "a@example.com(c)"},
    {"<>", "x@other.example", ""},
};

static void reads_addresses(void **state)
{
    struct rig *rig = rig_new(&(struct rig_options){0},
                              "rule r { when true; reply 550 5.1.1 \"%{sender} %{rcpt} %{id}\"; }");
    struct session *session = session_open(rig_engine(rig), "mx");
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        const char *const argv[] = {addresses[i].said, NULL};
        const struct session_macros macros = {meant, (void *)(uintptr_t)addresses[i].meant};
        const struct session_answer *answer = NULL;
        const char *shown;

        session_mail(session, argv, &macros, keep, &answer);
        session_rcpt(session, argv, &macros, keep, &answer);
        shown = arena_printf(arena, "%s %s %s", addresses[i].counts, addresses[i].counts,
                             engine_id(session_engine(session)));
        shown += strspn(shown, " ");
        if (answer->verb != SESSION_REPLY || strcmp(answer->lines[0], shown) != 0)
            fail_msg("row %zu: %s, not %s", i,
                     answer->verb == SESSION_REPLY ? answer->lines[0] : "", shown);
        session_abort(session);
    }
    arena_free(arena);
    session_close(session);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_messages),
        cmocka_unit_test(replaces_every_name),
        cmocka_unit_test(reads_addresses),
    };

    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
