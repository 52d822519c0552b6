/* SPDX-License-Identifier: MIT */
#include "engine_rig.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <postern/arena.h>

/*
 * What sessions hold, by the allocator's own account.  The sanitizers' allocators keep none.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { COUNTED = 0 };
#else
enum { COUNTED = 1 };
#endif

/* Allocations of this thread, counted where the allocator is glibc's own. */
static _Thread_local size_t allocations;

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
void *__libc_malloc(size_t size);                /* NOLINT: glibc's names */
void *__libc_calloc(size_t count, size_t size);  /* NOLINT */
void *__libc_realloc(void *memory, size_t size); /* NOLINT */

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    allocations++;
    return __libc_realloc(memory, size);
}
#endif

enum { MESSAGES = 20, ALLOCATIONS_MAX = 8 };
enum { IDLE = 500, IDLE_MAX = 13 * 512, CHUNK = 65535, BODY_MAX = 512 * 1024 };

static size_t held(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static const char lists[] =
    "dnsbl a { zone a.test; listed 127.0.0.2; weight 3; probe none; }"
    "dnsbl b { zone b.test; listed 127.0.0.2; weight 3; ask helo sender.domain; probe none; }"
    "rule l { when dnsbl.score >= 3; reply 554 5.7.1 \"%{dnsbl.reason}\"; }"
    "rule h { when rhsbl.helo.score >= 3; reply 554 5.7.1 \"%{rhsbl.helo.reason}\"; }"
    "rule s { when spf.helo == fail or spf.result == fail; reply 550 5.7.23 \"%{client.name}\"; }"
    "rule d { when dmarc.result == fail; reply 550 5.7.26 \"%{dkim.reason}\"; }"
    "rule m { when message.size > 1000000000; reply 552 5.3.4 \"too large\"; }";

static const struct rig_answer dns[] = {{"name.example", DNS_TXT, "!v=spf1 ip4:192.0.2.1 -all"},
                                        {"2.0.0.127.a.test", DNS_A, "!127.0.0.2"},
                                        {0}};

/* Thousands of sessions say nothing for minutes: connected, greeted, with all answers there. */
static void idle_sessions_are_small(void **state)
{
    static struct engine_session *sessions[IDLE];
    struct rig *rig = rig_new(&(struct rig_options){.dns = dns}, lists);
    size_t before, after;

    (void)state;
    for (size_t i = 0; i < IDLE; i++)
        engine_close(rig_session(rig));
    for (size_t i = 0; i < IDLE; i++)
        sessions[i] = rig_session(rig);
    assert_true(rig_settle(rig));
    after = held();
    for (size_t i = 0; i < IDLE; i++)
        engine_close(sessions[i]);
    /* The test's DNS remembers what it was asked. */
    before = held();
    print_message("%zu octets each\n", (after - before) / IDLE);
    if (COUNTED)
        assert_in_range((after - before) / IDLE, 1, IDLE_MAX);
    rig_free(rig);
}

/* Whatever the size, a message costs the same while it passes. */
static void messages_cost_the_same_whatever_their_size(void **state)
{
    static const size_t sizes[] = {64 * 1024, 100 * 1024 * 1024};
    static const char signature[] =
        " v=1; a=rsa-sha256; c=%s; d=d.example; s=sel; h=from;\n"
        "\tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAAAAAAAAAAAAAA";
    static unsigned char chunk[CHUNK];
    struct rig *rig = rig_new(&(struct rig_options){.dns = dns}, lists);
    struct engine_session *session = rig_session(rig);
    struct arena *arena = arena_new();
    size_t most[2] = {0, 0};

    (void)state;
    memset(chunk, 'x', sizeof(chunk));
    for (size_t i = 70; i < sizeof(chunk); i += 72)
        memcpy(&chunk[i], "\r\n", 2);
    for (size_t i = 0; i < 2; i++) {
        size_t before;
        rig_mail(rig, session, "<a@name.example>");
        assert_string_equal(rig_rcpt(rig, session, "<b@example.org>"), "continue");
        rig_stage(rig, session, STAGE_DATA);
        engine_header(session, "From", " a@d.example");
        engine_header(session, "DKIM-Signature", arena_printf(arena, signature, "relaxed/relaxed"));
        engine_header(session, "DKIM-Signature", arena_printf(arena, signature, "simple/simple"));
        before = held();
        for (size_t sent = 0; sent < sizes[i]; sent += sizeof(chunk)) {
            engine_body(session, chunk, sizeof(chunk));
            if (held() - before > most[i])
                most[i] = held() - before;
        }
        assert_string_equal(rig_stage(rig, session, STAGE_MESSAGE), "continue");
        engine_end(session);
    }
    print_message("%zu octets, %zu octets\n", most[0], most[1]);
    assert_in_range(most[1], 0, BODY_MAX);
    assert_string_equal(rig_field(rig, 1, "dkim.count"), "2");
    assert_string_equal(rig_field(rig, 1, "spf.result"), "pass");
    arena_free(arena);
    engine_close(session);
    rig_free(rig);
}

static void ignore(void *arg, const struct action *action)
{
    assert_int_equal(action->kind, ACTION_CONTINUE);
    ++*(unsigned *)arg;
}

/* A message to a known recipient, whose client and sender are known, too. */
static void small_messages_allocate_little(void **state)
{
    struct rig *rig = rig_new(&(struct rig_options){.audit = "accepted no;"},
                              "table ours { example.org; } recipients { domains ours; }"
                              "rule u { when rcpt.status == unknown; reply 550 5.1.1 \"u\"; }"
                              "rule d { when rcpt.status == unavailable; reply 451 4.3.0 \"d\"; }"
                              "rule t { when client.ip in ours or helo == bad; accept; }");
    struct engine_session *session = rig_session(rig);
    size_t most = 0;
    unsigned said = 0;

    (void)state;
    for (int i = 0; i < MESSAGES; i++) {
        size_t before = allocations;
        engine_mail(session, "<a@name.example>", NULL, NULL);
        engine_stage(session, STAGE_MAIL, ignore, &said);
        engine_rcpt(session, "<b@example.org>");
        engine_stage(session, STAGE_RCPT, ignore, &said);
        engine_stage(session, STAGE_MESSAGE, ignore, &said);
        engine_end(session);
        if (i > 0 && allocations - before > most)
            most = allocations - before;
    }
    print_message("%zu allocations\n", most);
    assert_int_equal(said, 3 * MESSAGES);
    assert_in_range(most, 0, ALLOCATIONS_MAX);
    engine_close(session);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_sessions_are_small),
        cmocka_unit_test(small_messages_allocate_little),
        cmocka_unit_test(messages_cost_the_same_whatever_their_size),
    };

    return cmocka_run_group_tests_name("engine memory", tests, NULL, NULL);
}
