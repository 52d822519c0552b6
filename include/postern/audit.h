/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_AUDIT_H
#define POSTERN_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

/*
 * The audit record: one line of key=value per verdict and per accepted message, always the same
 * keys in the same order, written so that nothing from outside can forge a key or a line.
 */
struct audit_field {
    const char *key; /* one word of [A-Za-z0-9._-], never from outside */
    const char *value;
};

/* One line "key=value key="two words" ...".  A value is quoted unless it is a run of
 * [A-Za-z0-9.:@/_+<>%,=-] that does not begin with '=' or is empty (then ""); inside quotes " and
 * \ are escaped with \, bytes outside 0x20-0x7e are \xNN; cut at 1,000 bytes with "...". */
const char *audit_line(struct arena *arena, const struct audit_field *fields, size_t count);

/* Reads a record back from a line of syslog or of a file: at most ROOM fields, strings in ARENA.
 * Returns how many; 0 for a line that is no record.  The line end is no part of the record. */
size_t audit_parse(struct arena *arena, const char *line, struct audit_field *fields, size_t room);

/* The sinks: syslog (facility mail, level info), the journal (fields POSTERN_KEY beside the line as
 * MESSAGE), files (each line "2026-11-22T04:20:00.123+01:00 IDENT[PID]: " and the record; mode
 * 0640).  A writer thread of its own and a bounded queue: audit_write() never blocks; a record that
 * cannot be queued or written is counted. */
struct audit;

struct audit_options {
    const char *const *to; /* "syslog", "journal", "file:PATH" */
    size_t to_count;
    const char *ident;
};

struct audit_counters {
    uint64_t written, failed, dropped;
};

/* NULL with a text in *error (to be freed) when a file cannot be opened. */
struct audit *audit_open(const struct audit_options *options, char **error);

/* Writes what is queued, then closes; waits at most eight seconds for a place that takes nothing,
 * and says in the log what was lost. */
void audit_close(struct audit *audit);

/* Queues one record, for which nothing of FIELDS is kept, and which is written within some 30 ms
 * unless a sink hangs.  From any thread; never blocks. */
void audit_write(struct audit *audit, const struct audit_field *fields, size_t count);

/* Opens files anew (after a rotation) before the next record is written, and takes new options.  -1
 * and *error when the new files cannot be opened; the old ones go on. */
int audit_reopen(struct audit *audit, const struct audit_options *options, char **error);

void audit_count(const struct audit *audit, struct audit_counters *counters);

#endif
