/* SPDX-License-Identifier: MIT */
#include "engine_rig.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/*
 * Sessions on many threads while answers and deadlines come from the loop's thread; sessions that
 * end while answers are on their way.  ThreadSanitizer and AddressSanitizer look on.
 */
enum { THREADS = 8, SESSIONS = 60 };

static const char RULES[] =
    "rule one { when t.client == 9 or t.helo == 9; reply 550 5.7.1 \"%{t.client} %{t.reason}\"; } "
    "rule two { when t.sender == 9 and t.rcpt == 9; on_fault defer; reply 550 5.7.1 \"two\"; } "
    "rule three { when t.rcpt == 4; reply 550 5.1.1 \"three %{rcpt}\"; } "
    "rule four { when t.message == 5 and t.rcpt == 5; reply 550 5.7.1 \"four\"; } "
    "rule five { when s.last == 9 or b.seen == \"\"; reply 550 5.7.1 \"five\"; } "
    "results { add spf iprev; }";

static const struct rig_answer answers[] = {
    {"client.test", DNS_A, "127.0.0.1"},
    {"client.test", DNS_TXT, "!reason"},
    {"h0.helo.test", DNS_A, "!127.0.0.1"},
    {"h1.helo.test", DNS_A, "127.0.0.1"},
    {"h2.helo.test", DNS_A, "silent"},
    {"s1.sender.test", DNS_A, "127.0.0.9"},
    {"s2.sender.test", DNS_A, "fault"},
    {"r1.rcpt.test", DNS_A, "127.0.0.4"},
    {"r2.rcpt.test", DNS_A, "!127.0.0.5"},
    {"r3.rcpt.test", DNS_A, "127.0.0.9"},
    {"message.test", DNS_A, "127.0.0.5"},
    {"last.test", DNS_A, "127.0.0.9"},
    {0},
};

/* The caller's side of a stage: DONE comes exactly once. */
struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t done;
    unsigned calls;
    char said[256];
};

struct worker {
    pthread_t thread;
    struct rig *rig;
    unsigned number;
    atomic_uint *replies;
};

static void done(void *arg, const struct action *action)
{
    struct waiter *waiter = arg;

    pthread_mutex_lock(&waiter->lock);
    waiter->calls++;
    if (action->kind == ACTION_REPLY)
        snprintf(waiter->said, sizeof(waiter->said), "%d %s", action->reply->code,
                 action->reply->lines[0]);
    else
        strcpy(waiter->said, "continue");
    pthread_cond_signal(&waiter->done);
    pthread_mutex_unlock(&waiter->lock);
}

static void wait_for(struct waiter *waiter)
{
    pthread_mutex_lock(&waiter->lock);
    while (waiter->calls == 0)
        pthread_cond_wait(&waiter->done, &waiter->lock);
    if (waiter->calls != 1)
        abort();
    waiter->calls = 0;
    pthread_mutex_unlock(&waiter->lock);
}

static void stage(struct engine_session *session, enum stage at, struct waiter *waiter)
{
    engine_stage(session, at, done, waiter);
    wait_for(waiter);
}

/* One session in one of many ways, by SEED. */
static unsigned one_session(struct rig *rig, unsigned seed, struct waiter *waiter)
{
    struct engine_session *session = engine_open(rig_engine(rig), "mx");
    struct addr client;
    char text[64];
    unsigned replies = 0;

    addr_parse("192.0.2.1", &client);
    engine_connect(session, &client, "", "", false, "");
    if (seed % 11 == 0)
        goto out;
    snprintf(text, sizeof(text), "h%u", seed % 3);
    engine_helo(session, text);
    stage(session, STAGE_HELO, waiter);
    for (unsigned i = 0; i < 2; i++) {
        snprintf(text, sizeof(text), "<s%u@example.com>", (seed + i) % 3);
        engine_mail(session, text, NULL, NULL);
        stage(session, STAGE_MAIL, waiter);
        for (unsigned j = 0; j < 3; j++) {
            snprintf(text, sizeof(text), "<r%u@example.org>", (seed + j) % 5);
            engine_rcpt(session, text);
            if (seed % 13 == j) {
                /* The client is gone while the stage waits. */
                engine_stage(session, STAGE_RCPT, done, waiter);
                engine_close(session);
                wait_for(waiter);
                return replies;
            }
            stage(session, STAGE_RCPT, waiter);
            replies += strcmp(waiter->said, "continue") != 0;
        }
        if (seed % 7 == 0)
            continue;
        engine_header(session, "Subject", " hello");
        engine_header(session, "Authentication-Results", " mx.example.org; none");
        engine_header(session, "Warm", " warm.test");
        for (int j = 0; j < 20; j++)
            engine_body(session, (const unsigned char *)text, sizeof(text));
        engine_stage(session, STAGE_MESSAGE, done, waiter);
        if (seed % 17 == 0)
            engine_end(session);
        wait_for(waiter);
        if (seed % 5 != 0)
            engine_end(session);
    }
out:
    engine_close(session);
    return replies;
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct waiter waiter = {.lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};

    for (unsigned i = 0; i < SESSIONS; i++)
        atomic_fetch_add(worker->replies,
                         one_session(worker->rig, worker->number * SESSIONS + i, &waiter));
    return NULL;
}

static void sessions_on_many_threads(void **state)
{
    struct rig *rig = rig_new(
        &(struct rig_options){.dns = answers, .budget = "mail 20ms; rcpt 20ms; message 20ms;"},
        RULES);
    struct worker workers[THREADS];
    atomic_uint replies = 0;

    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.rig = rig, .number = i, .replies = &replies};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < 20; i++) {
        rig_configure(rig, RULES);
        engine_tick(rig_engine(rig));
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    assert_true(atomic_load(&replies) > THREADS * SESSIONS / 4);
    rig_free(rig);
}

/* Every moment at which a session can end under a lookup. */
static void sessions_end_under_their_lookups(void **state)
{
    struct rig *rig = rig_new(&(struct rig_options){.dns = answers}, RULES);

    (void)state;
    for (int i = 0; i < 300; i++) {
        struct engine_session *session = engine_open(rig_engine(rig), "mx");
        struct addr client;

        addr_parse("192.0.2.1", &client);
        engine_connect(session, &client, "", "", false, "");
        if (i % 3 > 0)
            engine_helo(session, "h1");
        if (i % 3 > 1)
            engine_mail(session, "<s1@example.com>", NULL, NULL);
        engine_close(session);
    }
    rig_free(rig);
}

static void done_is_called_when_the_session_ends(void **state)
{
    struct rig *rig = rig_new(&(struct rig_options){.dns = answers}, RULES);
    struct waiter waiter = {.lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct engine_session *session = rig_session(rig);
        engine_helo(session, "h2");
        engine_mail(session, "<s0@example.com>", NULL, NULL);
        engine_rcpt(session, "<r0@example.org>");
        engine_stage(session, STAGE_RCPT, done, &waiter);
        if (i == 0)
            engine_end(session);
        engine_close(session);
        wait_for(&waiter);
        assert_string_equal(waiter.said, "continue");
    }
    rig_free(rig);
}

/* A caller may end its session from inside DONE. */
static void close_inside(void *arg, const struct action *action)
{
    struct engine_session **session = arg;

    assert_int_equal(action->kind, ACTION_CONTINUE);
    engine_close(*session);
    *session = NULL;
}

static void a_session_ends_inside_done(void **state)
{
    struct rig *rig = rig_new(&(struct rig_options){.dns = answers}, RULES);
    struct engine_session *session = rig_session(rig);

    (void)state;
    engine_stage(session, STAGE_HELO, close_inside, &session);
    assert_null(session);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_on_many_threads),
        cmocka_unit_test(sessions_end_under_their_lookups),
        cmocka_unit_test(done_is_called_when_the_session_ends),
        cmocka_unit_test(a_session_ends_inside_done),
    };

    return cmocka_run_group_tests_name("engine_races", tests, NULL, NULL);
}
