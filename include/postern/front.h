/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_FRONT_H
#define POSTERN_FRONT_H

#include <postern/engine.h>

/*
 * The front on libmilter: one listener a process, since libmilter's socket is global.  libmilter
 * runs in a thread of its own; the signals of the process are never its business.
 */
struct front;

/* Opens the socket of LISTEN: a stale unix socket is replaced, a live one never; owner, group and
 * permissions are set before the MTA can connect.  NULL with a sentence in *error (to be freed)
 * that names the remedy. Once per process. */
struct front *front_open(struct engine *engine, const struct listen_options *listen, char **error);

/* Starts to serve in a thread that blocks all signals.  The process's main thread must have
 * handlers for HUP, INT and TERM and never block them: a signal that it does not take ends
 * libmilter.  -1 when no thread could be started. */
int front_start(struct front *front);

/* Whether libmilter ended on its own (an error, which it logged). */
bool front_ended(const struct front *front);

/* Transactions under way. */
unsigned front_busy(const struct front *front);

/* Stops: waits up to GRACE_MS for transactions under way, then ends libmilter and its thread,
 * removes the unix socket and closes the sessions that are still open.  False when a callback did
 * not come back in time: the engine then still has sessions, and the process should exit without
 * freeing it.  NULL is fine.  The front may not be used any more. */
bool front_close(struct front *front, unsigned grace_ms);

/* Whether SOCKET can be served by this front; else a sentence (constant) that says why not.  For
 * `postern check`. */
const char *front_refuses(const struct listen_options *listen);

#endif
