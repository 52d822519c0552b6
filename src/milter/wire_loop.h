/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_MILTER_WIRE_LOOP_H
#define POSTERN_MILTER_WIRE_LOOP_H

#include <postern/engine.h>

/*
 * A thread that serves connections of MTAs: as many as there are, none of which can hold up the
 * others.  A connection stays with its thread.  One that waits for an answer of the engine, for the
 * rest of a packet or for room in its socket costs no thread, and a silent one little memory.
 */
struct wire_loop;
struct loop;

struct wire_times {
    unsigned idle_ms; /* for the next command */
    unsigned part_ms; /* for the rest of a packet, and for room in the socket for a reply */
};

/* NULL when no thread could be started.  A connection that is asked to come from an MTA that says
 * nothing for a time is closed. */
struct wire_loop *wire_loop_new(struct engine *engine, const struct wire_times *times);

/* The connections of all loops have gone (wire_loop_count()). NULL is fine. */
void wire_loop_free(struct wire_loop *loop);

/* Serves FD, which is then the loop's, as one of listen block LISTENER (borrowed for the life of
 * the loop).  Any thread. */
void wire_loop_adopt(struct wire_loop *loop, int fd, const char *listener);

/* Connections, and transactions under way.  Any thread. */
unsigned wire_loop_count(const struct wire_loop *loop);
unsigned wire_loop_busy(const struct wire_loop *loop);

/* From now on connections end as soon as no transaction is under way in them.  Any thread. */
void wire_loop_finish(struct wire_loop *loop);
/* All connections end now, their transactions are dropped; sessions whose answer is on its way end
 * when it comes, and are counted until then.  Any thread. */
void wire_loop_drop(struct wire_loop *loop);

/* The thread's event loop, for what else it is to do. */
struct loop *wire_loop_events(const struct wire_loop *loop);

#endif
