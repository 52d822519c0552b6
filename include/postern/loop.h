/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_LOOP_H
#define POSTERN_LOOP_H

#include <stdbool.h>

struct event_base;

/*
 * An event loop (libevent) on a thread of its own: the resolver lives on it, and the engine's
 * deadlines.  Work that is posted runs on the loop's thread, in order.
 */
struct loop;
struct loop_timer;

typedef void loop_fn(void *arg);

/* Starts the thread.  NULL when the machine refuses (errno set).  All signals are blocked in it.
 * Not from several threads at once: libevent sets up its locking here. */
struct loop *loop_new(void);

/* Runs what was already posted (and what that posts in turn), stops the thread, waits for it,
 * frees.  Not from the loop's thread.  Timers that are still set never fire; their memory is freed,
 * so nobody cancels them afterwards.  loop_free(NULL) is fine. */
void loop_free(struct loop *loop);

/* Runs FN(ARG) on the loop's thread soon, after what was posted before it; never inside this call.
 * From any thread; does not block. */
void loop_post(struct loop *loop, loop_fn *fn, void *arg);

/* True when called on the loop's thread. */
bool loop_is_here(const struct loop *loop);

/* The libevent base; only for use on the loop's thread. */
struct event_base *loop_base(struct loop *loop);

/* Calls FN(ARG) once on the loop's thread after MS milliseconds.  From any thread.  The loop owns
 * the timer.  FN may run before this call has returned: a caller that keeps the pointer to cancel
 * it starts the timer with its own lock held, the one FN takes. */
struct loop_timer *loop_timer_start(struct loop *loop, unsigned ms, loop_fn *fn, void *arg);

/* Stops the timer and gives up the pointer.  True: FN was not and will not be called.  False: it
 * was called, or is about to be; the timer frees itself.  After FN has begun the pointer is dead,
 * so the caller serialises this call with FN by a lock of its own (FN takes it, and clears its copy
 * of the pointer).  From any thread; never blocks on FN. */
bool loop_timer_cancel(struct loop_timer *timer);

#endif
