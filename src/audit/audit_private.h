/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_AUDIT_PRIVATE_H
#define POSTERN_AUDIT_PRIVATE_H

#include <postern/audit.h>

#include <time.h>

/* ---- sinks.c: where records go; used by the writer thread alone once they are open ---- */

/* A record as it waits in the queue: one block of memory. */
struct queued {
    struct queued *next;
    struct timespec when;
    size_t count;
    struct audit_field fields[];
};

struct sinks;

/* NULL and a text in *error (to be freed) when a file cannot be opened or a word is none of the
 * sinks'. */
struct sinks *sinks_open(const struct audit_options *options, char **error);
void sinks_close(struct sinks *sinks);

/* Writes one record to every sink; returns to how many it could not be written.  Waits at most two
 * seconds for a syslog daemon that does not read. */
unsigned sinks_write(struct sinks *sinks, const struct queued *record);

#endif
