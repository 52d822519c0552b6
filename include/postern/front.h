/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_FRONT_H
#define POSTERN_FRONT_H

#include <postern/diag.h>
#include <postern/engine.h>

/*
 * What stands between the MTA and the engine: one of two fronts, as `front` in the configuration
 * says.  `wire` speaks the milter protocol itself, on any number of sockets; `libmilter` leaves
 * that to the library, which has one socket a process.  Both behave alike towards the MTA.
 */
struct front;

/* One of them; a constant. */
struct front_kind {
    const char *name;
    bool many;  /* several listen blocks */
    bool allow; /* it sees who connects */
    struct front *(*open)(struct engine *engine, const struct listen_options *listens,
                          char **error);
    int (*start)(struct front *front);
    bool (*ended)(const struct front *front);
    unsigned (*busy)(const struct front *front);
    bool (*close)(struct front *front, unsigned grace_ms);
};

/* What a front's own struct begins with. */
struct front {
    const struct front_kind *kind;
};

extern const struct front_kind front_wire, front_libmilter;

/* Whether the front of CONFIG can serve its listen blocks; what it cannot is reported to DIAG. */
bool front_check(const struct config *config, struct diag *diag);

/* The path of a unix socket; NULL for other sockets.  Points into LISTEN. */
const char *front_unix_path(const struct listen_options *listen);

/* Opens the sockets of the configuration, which front_check() has passed: a stale unix socket is
 * replaced, a live one never; owner, group and permissions are set before the MTA can connect.
 * NULL with a sentence in *error (to be freed) that names the remedy.  Once per process. */
struct front *front_open(struct engine *engine, const struct config *config, char **error);

/* Starts to serve in threads that block all signals.  The process's main thread must have handlers
 * for HUP, INT and TERM and never block them: a signal that it does not take ends libmilter.  -1
 * when no thread could be started; the front is then to be closed. */
int front_start(struct front *front);

/* Whether the front ended on its own (an error, which it logged). */
bool front_ended(const struct front *front);

/* Transactions under way. */
unsigned front_busy(const struct front *front);

/* Stops: waits up to GRACE_MS for transactions under way, then ends all sessions and threads and
 * removes the unix sockets.  False when something did not come back in time: the engine then still
 * has sessions, and the process should exit without freeing it.  NULL is fine.  The front may not
 * be used any more. */
bool front_close(struct front *front, unsigned grace_ms);

#endif
