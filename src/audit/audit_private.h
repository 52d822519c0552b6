/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_AUDIT_PRIVATE_H
#define POSTERN_AUDIT_PRIVATE_H

#include <postern/audit.h>

#include <time.h>

/* ---- sinks.c: where records go; used by the writer thread alone once they are open ---- */

/* A record as it waits in the queue: one block of memory. */
struct queued {
    struct queued *next;
    size_t size; /* of the block */
    struct timespec when;
    const char *line; /* while it is written */
    bool failed;      /* a sink did not take it */
    size_t count;
    struct audit_field fields[];
};

struct sinks;

/* NULL and a text in *error (to be freed) when a file cannot be opened or a word is none of the
 * sinks'. */
struct sinks *sinks_open(const struct audit_options *options, char **error);
void sinks_close(struct sinks *sinks);

/* Writes the first COUNT records of a list to every sink, and notes in each whether it failed.
 * Waits at most two seconds for a reader that does not read. */
void sinks_write(struct sinks *sinks, struct queued *records, size_t count);

#endif
