/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <event2/event.h>

#include <postern/clock.h>
#include <postern/loop.h>

enum { THREADS = 8, POSTS = 10000, TIMERS = 2000 };

/* cmocka's assertions belong to the test's own thread; on the loop's thread we count. */

struct poster {
    struct loop *loop;
    pthread_t thread;
    int sent;
    int got;
    int out_of_order;
    int elsewhere;
    struct {
        struct poster *poster;
        int number;
    } posts[POSTS];
};

static void receive(void *arg)
{
    struct {
        struct poster *poster;
        int number;
    } post;

    memcpy(&post, arg, sizeof(post));
    if (post.number != post.poster->got)
        post.poster->out_of_order++;
    if (!loop_is_here(post.poster->loop))
        post.poster->elsewhere++;
    post.poster->got++;
}

static void *send_posts(void *arg)
{
    struct poster *poster = arg;
    int i;

    for (i = 0; i < POSTS; i++) {
        poster->posts[i].poster = poster;
        poster->posts[i].number = i;
        loop_post(poster->loop, receive, &poster->posts[i]);
    }
    return NULL;
}

static void test_posts_from_many_threads(void **state)
{
    struct poster *posters = calloc(THREADS, sizeof(*posters));
    struct loop *loop = loop_new();
    int i;

    (void)state;
    assert_non_null(posters);
    assert_non_null(loop);
    assert_false(loop_is_here(loop));
    for (i = 0; i < THREADS; i++) {
        posters[i].loop = loop;
        assert_int_equal(pthread_create(&posters[i].thread, NULL, send_posts, &posters[i]), 0);
    }
    for (i = 0; i < THREADS; i++)
        pthread_join(posters[i].thread, NULL);
    /* What was posted before the end is run, all of it. */
    loop_free(loop);
    for (i = 0; i < THREADS; i++) {
        assert_int_equal(posters[i].got, POSTS);
        assert_int_equal(posters[i].out_of_order, 0);
        assert_int_equal(posters[i].elsewhere, 0);
    }
    free(posters);
}

/* Something the loop's thread says to the test's, with a limit on the wait. */
struct signal_box {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int count;
};

#define SIGNAL_BOX                                                                                 \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0                                     \
    }

static void raise_box(void *arg)
{
    struct signal_box *box = arg;

    pthread_mutex_lock(&box->mutex);
    box->count++;
    pthread_cond_signal(&box->changed);
    pthread_mutex_unlock(&box->mutex);
}

static void wait_box(struct signal_box *box, int count)
{
    struct timespec limit;
    int error = 0;

    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 60;
    pthread_mutex_lock(&box->mutex);
    while (box->count < count && error == 0)
        error = pthread_cond_timedwait(&box->changed, &box->mutex, &limit);
    pthread_mutex_unlock(&box->mutex);
    assert_int_equal(error, 0);
}

static void sleep_50_ms(void *arg)
{
    struct timespec pause = {.tv_nsec = 50000000};

    raise_box(arg);
    nanosleep(&pause, NULL);
}

struct chain {
    struct loop *loop;
    int left;
    int inside; /* a post that runs inside loop_post() would nest */
    int nested;
    struct signal_box box;
};

static void next_link(void *arg)
{
    struct chain *chain = arg;

    if (chain->inside++ != 0)
        chain->nested++;
    if (--chain->left > 0)
        loop_post(chain->loop, next_link, chain);
    else
        raise_box(&chain->box);
    chain->inside--;
}

static void test_posts_from_the_loop_itself(void **state)
{
    struct chain chain = {.left = 1000, .box = SIGNAL_BOX};
    struct signal_box busy = SIGNAL_BOX;

    (void)state;
    chain.loop = loop_new();
    assert_non_null(chain.loop);
    loop_post(chain.loop, next_link, &chain);
    wait_box(&chain.box, 1);
    assert_int_equal(chain.nested, 0);
    /* What posted work posts is run as well, even when the end has begun: the loop sleeps while the
     * chain and the end are posted behind each other. */
    chain.left = 1000;
    loop_post(chain.loop, sleep_50_ms, &busy);
    wait_box(&busy, 1);
    loop_post(chain.loop, next_link, &chain);
    loop_free(chain.loop);
    assert_int_equal(chain.left, 0);
    assert_int_equal(chain.box.count, 2);
}

struct order {
    struct signal_box box;
    char text[16];
};

struct order_timer {
    struct order *order;
    char letter;
};

static void note_letter(void *arg)
{
    struct order_timer *timer = arg;
    size_t length = strlen(timer->order->text);

    timer->order->text[length] = timer->letter;
    raise_box(&timer->order->box);
}

static void test_timers_fire_in_order(void **state)
{
    struct order order = {.box = SIGNAL_BOX};
    struct order_timer timers[4] = {{&order, 'a'}, {&order, 'b'}, {&order, 'c'}, {&order, 'd'}};
    struct loop *loop = loop_new();
    int64_t begin = clock_ms();

    (void)state;
    assert_non_null(loop);
    loop_timer_start(loop, 1200, note_letter, &timers[3]);
    loop_timer_start(loop, 300, note_letter, &timers[1]);
    loop_timer_start(loop, 600, note_letter, &timers[2]);
    loop_timer_start(loop, 0, note_letter, &timers[0]);
    wait_box(&order.box, 4);
    /* libevent reads a clock of some milliseconds' grain. */
    assert_true(clock_ms() - begin >= 1200 - 20);
    assert_string_equal(order.text, "abcd");
    loop_free(loop);
}

/* A timer set while the loop is busy counts from the call, not from when the loop last looked. */
static void test_timer_set_while_the_loop_is_busy(void **state)
{
    struct signal_box busy = SIGNAL_BOX;
    struct signal_box box = SIGNAL_BOX;
    struct timespec pause = {.tv_nsec = 40000000};
    struct loop *loop = loop_new();
    int64_t begin;

    (void)state;
    assert_non_null(loop);
    loop_post(loop, sleep_50_ms, &busy);
    wait_box(&busy, 1);
    nanosleep(&pause, NULL);
    begin = clock_ms();
    loop_timer_start(loop, 100, raise_box, &box);
    wait_box(&box, 1);
    assert_true(clock_ms() - begin >= 100 - 20);
    loop_free(loop);
}

static void test_unfired_timers_die_with_the_loop(void **state)
{
    struct signal_box box = SIGNAL_BOX;
    struct loop *loop = loop_new();
    int i;

    (void)state;
    assert_non_null(loop);
    for (i = 0; i < 1000; i++) {
        struct loop_timer *timer = loop_timer_start(loop, 3600000, raise_box, &box);

        if (i % 2 == 0)
            assert_true(loop_timer_cancel(timer));
    }
    loop_free(loop);
    assert_int_equal(box.count, 0);
    loop_free(NULL);
}

/* A deadline as the engine keeps it: a lock, a pointer that the deadline clears, a reference each
 * for the canceller and the timer.  The tallies show that exactly one of the two came first. */
struct deadline {
    pthread_mutex_t mutex;
    struct loop_timer *timer;
    atomic_int references;
    bool fired;
    bool cancelled;
    struct tally *tally;
};

struct tally {
    struct loop *loop;
    pthread_t thread;
    unsigned seed;
    atomic_int fired;
    atomic_int cancelled;
    atomic_int too_late; /* loop_timer_cancel() said false: fn was about to be called */
    atomic_int both;
};

static void release(struct deadline *deadline)
{
    if (atomic_fetch_sub(&deadline->references, 1) != 1)
        return;
    if (deadline->fired == deadline->cancelled)
        atomic_fetch_add(&deadline->tally->both, 1);
    pthread_mutex_destroy(&deadline->mutex);
    free(deadline);
}

static void deadline_fired(void *arg)
{
    struct deadline *deadline = arg;

    pthread_mutex_lock(&deadline->mutex);
    deadline->timer = NULL;
    deadline->fired = true;
    atomic_fetch_add(&deadline->tally->fired, 1);
    pthread_mutex_unlock(&deadline->mutex);
    release(deadline);
}

static void deadline_cancel(struct deadline *deadline)
{
    bool in_time = false;

    pthread_mutex_lock(&deadline->mutex);
    if (deadline->timer != NULL) {
        in_time = loop_timer_cancel(deadline->timer);
        deadline->timer = NULL;
        deadline->cancelled = in_time;
        if (in_time)
            atomic_fetch_add(&deadline->tally->cancelled, 1);
        else
            atomic_fetch_add(&deadline->tally->too_late, 1);
    }
    pthread_mutex_unlock(&deadline->mutex);
    if (in_time)
        release(deadline);
}

static void *race_deadlines(void *arg)
{
    struct tally *tally = arg;
    struct timespec pause = {0};
    int i;

    for (i = 0; i < TIMERS; i++) {
        struct deadline *deadline = calloc(1, sizeof(*deadline));

        if (deadline == NULL)
            abort();
        pthread_mutex_init(&deadline->mutex, NULL);
        atomic_init(&deadline->references, 2);
        deadline->tally = tally;
        pthread_mutex_lock(&deadline->mutex);
        deadline->timer = loop_timer_start(tally->loop, (unsigned)i % 3, deadline_fired, deadline);
        pthread_mutex_unlock(&deadline->mutex);
        /* Sometimes at once, sometimes about when it fires. */
        tally->seed = tally->seed * 1664525 + 1013904223;
        pause.tv_nsec = (long)(tally->seed >> 16) % 3 * 300000;
        if (i % 4 == 0)
            nanosleep(&pause, NULL);
        deadline_cancel(deadline);
        release(deadline);
    }
    return NULL;
}

static void test_timers_cancelled_from_many_threads(void **state)
{
    struct tally *tallies = calloc(THREADS, sizeof(*tallies));
    struct signal_box box = SIGNAL_BOX;
    struct loop *loop = loop_new();
    int fired = 0, cancelled = 0;
    int i;

    (void)state;
    assert_non_null(tallies);
    assert_non_null(loop);
    for (i = 0; i < THREADS; i++) {
        tallies[i].loop = loop;
        tallies[i].seed = (unsigned)i + 1;
        assert_int_equal(pthread_create(&tallies[i].thread, NULL, race_deadlines, &tallies[i]), 0);
    }
    for (i = 0; i < THREADS; i++)
        pthread_join(tallies[i].thread, NULL);
    /* Those that were too late to cancel have fired when a later timer has. */
    loop_timer_start(loop, 100, raise_box, &box);
    wait_box(&box, 1);
    loop_free(loop);
    for (i = 0; i < THREADS; i++) {
        assert_int_equal(tallies[i].both, 0);
        assert_int_equal(tallies[i].fired + tallies[i].cancelled, TIMERS);
        assert_true(tallies[i].too_late <= tallies[i].fired);
        fired += tallies[i].fired;
        cancelled += tallies[i].cancelled;
    }
    /* The race was one: both sides won sometimes. */
    assert_true(fired > 0);
    assert_true(cancelled > 0);
    free(tallies);
}

struct look {
    struct loop *loop;
    struct signal_box box;
    sigset_t blocked;
    struct event_base *base;
};

static void look_around(void *arg)
{
    struct look *look = arg;

    pthread_sigmask(SIG_SETMASK, NULL, &look->blocked);
    look->base = loop_base(look->loop);
    raise_box(&look->box);
}

static void test_signals_are_blocked_there_only(void **state)
{
    static const int signals[] = {SIGTERM, SIGHUP, SIGINT, SIGUSR1, SIGPIPE, SIGCHLD};
    struct look look = {.box = SIGNAL_BOX};
    sigset_t before, after;
    size_t i;

    (void)state;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    look.loop = loop_new();
    assert_non_null(look.loop);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    loop_post(look.loop, look_around, &look);
    wait_box(&look.box, 1);
    assert_non_null(look.base);
    for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        assert_int_equal(sigismember(&look.blocked, signals[i]), 1);
        assert_int_equal(sigismember(&after, signals[i]), sigismember(&before, signals[i]));
    }
    loop_free(look.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_posts_from_many_threads),
        cmocka_unit_test(test_posts_from_the_loop_itself),
        cmocka_unit_test(test_timers_fire_in_order),
        cmocka_unit_test(test_timer_set_while_the_loop_is_busy),
        cmocka_unit_test(test_unfired_timers_die_with_the_loop),
        cmocka_unit_test(test_timers_cancelled_from_many_threads),
        cmocka_unit_test(test_signals_are_blocked_there_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
