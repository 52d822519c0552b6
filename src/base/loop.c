/* SPDX-License-Identifier: MIT */
#include <postern/loop.h>

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/thread.h>

#include <postern/arena.h>

struct work {
    loop_fn *fn;
    void *arg;
};

struct batch {
    struct work *items;
    size_t count;
    size_t room;
};

enum timer_state { TIMER_SET, TIMER_FIRED, TIMER_CANCELLED };

/*
 * A timer lives in one of two lists of its loop: those that are set, or those that were cancelled.
 * Cancelled timers are freed on the loop's thread only, because libevent may be on its way into
 * timer_fired() with the pointer in its hand at the moment of the cancellation.
 */
struct loop_timer {
    struct event event;
    struct loop *loop;
    loop_fn *fn;
    void *arg;
    struct loop_timer *next;
    struct loop_timer **link; /* what points to this timer */
    enum timer_state state;
};

struct loop {
    pthread_t thread;
    struct event_base *base;
    struct event wake;
    int wake_fd;
    struct batch spare; /* the loop's thread only */

    pthread_mutex_t mutex; /* guards what follows; never held while a loop_fn runs */
    struct batch posted;
    struct loop_timer *timers;
    struct loop_timer *cancelled;
    size_t cancelled_count;
};

/* How many cancelled timers may lie about before the thread is woken just to free them, and how
 * much room for posted work is kept once it was needed. */
enum { CANCELLED_MAX = 256, KEPT_ROOM = 4096 };

static void list_add(struct loop_timer **list, struct loop_timer *timer)
{
    timer->next = *list;
    if (timer->next != NULL)
        timer->next->link = &timer->next;
    timer->link = list;
    *list = timer;
}

static void list_remove(struct loop_timer *timer)
{
    *timer->link = timer->next;
    if (timer->next != NULL)
        timer->next->link = timer->link;
}

static void list_free(struct loop_timer *timer)
{
    struct loop_timer *next;

    for (; timer != NULL; timer = next) {
        next = timer->next;
        free(timer);
    }
}

static void wake(struct loop *loop)
{
    uint64_t one = 1;
    ssize_t written;

    /* Refused only when the counter is full, and then the thread is awake already. */
    do
        written = write(loop->wake_fd, &one, sizeof(one));
    while (written < 0 && errno == EINTR);
}

/* Frees the timers cancelled so far.  Between two callbacks of libevent nobody holds them. */
static void free_cancelled(struct loop *loop)
{
    struct loop_timer *list;

    pthread_mutex_lock(&loop->mutex);
    list = loop->cancelled;
    loop->cancelled = NULL;
    loop->cancelled_count = 0;
    pthread_mutex_unlock(&loop->mutex);
    list_free(list);
}

/* Runs what was posted before the call; returns whether there was any.  What is posted meanwhile
 * wakes the loop again, so that timers and sockets get their turn in between. */
static bool run_posted(struct loop *loop)
{
    struct batch batch;
    size_t i;

    pthread_mutex_lock(&loop->mutex);
    batch = loop->posted;
    loop->posted = loop->spare;
    pthread_mutex_unlock(&loop->mutex);
    for (i = 0; i < batch.count; i++)
        batch.items[i].fn(batch.items[i].arg);
    loop->spare = (struct batch){0};
    if (batch.room <= KEPT_ROOM)
        loop->spare = (struct batch){.items = batch.items, .room = batch.room};
    else
        free(batch.items);
    return batch.count != 0;
}

static void woken(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;
    uint64_t count;
    ssize_t got = read(fd, &count, sizeof(count));

    (void)got;
    (void)what;
    free_cancelled(loop);
    run_posted(loop);
}

static void *loop_main(void *arg)
{
    struct loop *loop = arg;

    event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY);
    while (run_posted(loop))
        continue;
    return NULL;
}

static void stop(void *arg)
{
    struct loop *loop = arg;

    event_base_loopbreak(loop->base);
}

/* Timers are set from other threads while callbacks run here: libevent's cached time would be that
 * of the last wait, and they would fire early. */
static struct event_base *base_new(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (config != NULL && event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME) == 0)
        base = event_base_new_with_config(config);
    if (config != NULL)
        event_config_free(config);
    return base;
}

static void *no_loop(struct loop *loop, int error)
{
    if (loop->base != NULL)
        event_base_free(loop->base);
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    free(loop);
    errno = error;
    return NULL;
}

struct loop *loop_new(void)
{
    struct loop *loop = xcalloc(1, sizeof(*loop));
    sigset_t all, before;
    int error;

    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->wake_fd < 0)
        return no_loop(loop, errno);
    if (evthread_use_pthreads() != 0 || (loop->base = base_new()) == NULL)
        return no_loop(loop, ENOMEM);
    if (event_assign(&loop->wake, loop->base, loop->wake_fd, EV_READ | EV_PERSIST, woken, loop) !=
            0 ||
        event_add(&loop->wake, NULL) != 0)
        return no_loop(loop, ENOMEM);
    pthread_mutex_init(&loop->mutex, NULL);
    /* Signals are for the thread that waits for them, never for this one. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&loop->thread, NULL, loop_main, loop);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        pthread_mutex_destroy(&loop->mutex);
        return no_loop(loop, error);
    }
    return loop;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    assert(!loop_is_here(loop));
    loop_post(loop, stop, loop);
    pthread_join(loop->thread, NULL);
    /* The base reads the events it still holds: it goes before the timers. */
    event_base_free(loop->base);
    list_free(loop->timers);
    list_free(loop->cancelled);
    free(loop->posted.items);
    free(loop->spare.items);
    close(loop->wake_fd);
    pthread_mutex_destroy(&loop->mutex);
    free(loop);
}

void loop_post(struct loop *loop, loop_fn *fn, void *arg)
{
    struct batch *posted = &loop->posted;

    pthread_mutex_lock(&loop->mutex);
    if (posted->count == posted->room) {
        posted->room = posted->room != 0 ? 2 * posted->room : 64;
        posted->items = xrealloc(posted->items, posted->room * sizeof(*posted->items));
    }
    posted->items[posted->count++] = (struct work){fn, arg};
    /* One wake for many posts: whoever comes first rings, the rest rides along. */
    if (posted->count == 1)
        wake(loop);
    pthread_mutex_unlock(&loop->mutex);
}

bool loop_is_here(const struct loop *loop)
{
    return pthread_equal(pthread_self(), loop->thread) != 0;
}

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}

static void timer_fired(evutil_socket_t fd, short what, void *arg)
{
    struct loop_timer *timer = arg;
    struct loop *loop = timer->loop;
    bool cancelled;

    (void)fd;
    (void)what;
    pthread_mutex_lock(&loop->mutex);
    cancelled = timer->state == TIMER_CANCELLED;
    if (!cancelled) {
        timer->state = TIMER_FIRED;
        list_remove(timer);
    }
    pthread_mutex_unlock(&loop->mutex);
    /* A cancelled timer waits in its list to be freed. */
    if (cancelled)
        return;
    timer->fn(timer->arg);
    free(timer);
}

struct loop_timer *loop_timer_start(struct loop *loop, unsigned ms, loop_fn *fn, void *arg)
{
    struct loop_timer *timer = xcalloc(1, sizeof(*timer));
    struct timeval wait = {.tv_sec = (time_t)(ms / 1000),
                           .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

    timer->loop = loop;
    timer->fn = fn;
    timer->arg = arg;
    evtimer_assign(&timer->event, loop->base, timer_fired, timer);
    pthread_mutex_lock(&loop->mutex);
    list_add(&loop->timers, timer);
    /* Under our mutex, so that the timer cannot fire and be freed before it is all set. */
    if (evtimer_add(&timer->event, &wait) != 0) {
        pthread_mutex_unlock(&loop->mutex);
        abort(); /* libevent refuses only when malloc does */
    }
    pthread_mutex_unlock(&loop->mutex);
    return timer;
}

bool loop_timer_cancel(struct loop_timer *timer)
{
    struct loop *loop = timer->loop;
    bool in_time;

    pthread_mutex_lock(&loop->mutex);
    assert(timer->state != TIMER_CANCELLED);
    in_time = timer->state == TIMER_SET;
    if (in_time) {
        timer->state = TIMER_CANCELLED;
        list_remove(timer);
        list_add(&loop->cancelled, timer);
        /* The plain event_del(3) would wait for a callback that is running, and that one may be
         * waiting for the lock our caller holds. */
        event_del_noblock(&timer->event);
        if (++loop->cancelled_count == CANCELLED_MAX)
            wake(loop);
    }
    pthread_mutex_unlock(&loop->mutex);
    return in_time;
}
