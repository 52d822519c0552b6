/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_AUDIT_PRIVATE_H
#define POSTERN_AUDIT_PRIVATE_H

#include <postern/audit.h>

#include <time.h>

/* ---- line.c: what audit_line() is made of ---- */

/* What the line of these fields takes at most, with its NUL. */
size_t audit_line_room(const struct audit_field *fields, size_t count);
/* Writes the line to AT; returns where its NUL is. */
char *audit_line_write(char *at, const struct audit_field *fields, size_t count);

/* ---- sinks.c: where records go; used by the writer thread alone once they are open ---- */

/* A record as it waits in the queue: one block of memory. */
struct queued {
    struct queued *next;
    size_t size; /* of the block */
    struct timespec when;
    const char *line;
    size_t length; /* of the line */
    bool failed;   /* a sink did not take it */
    size_t count;  /* of the fields; 0 where no sink wanted them */
    struct audit_field fields[];
};

struct sinks;

/* NULL and a text in *error (to be freed) when a file cannot be opened or a word is none of the
 * sinks'. */
struct sinks *sinks_open(const struct audit_options *options, char **error);
void sinks_close(struct sinks *sinks);

/* Whether one of them takes more of a record than its line. */
bool sinks_want_fields(const struct sinks *sinks);

/* Writes the first COUNT records of a list to every sink, and notes in each whether it failed.
 * Waits at most two seconds for a reader that does not read. */
void sinks_write(struct sinks *sinks, struct queued *records, size_t count);

#endif
