/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_TABLE_BACKEND_H
#define POSTERN_TABLE_BACKEND_H

#include <time.h>

#include <postern/str.h>
#include <postern/table.h>

/*
 * The private side of the tables.  The front (table.c, refresh.c) opens and watches files, holds
 * the image in force, guards its size and walks the keys; a backend turns an open file into an
 * immutable image and answers for one key at a time.  No backend knows another one.
 */

/* Which of a lookup's keys is being tried. */
enum probe_form {
    PROBE_TEXT,      /* as it is */
    PROBE_ADDR,      /* an IP address, canonical text and value */
    PROBE_DOMAIN,    /* example.org */
    PROBE_PARENT,    /* .example.org, of a name below it */
    PROBE_MAILBOX,   /* user@example.org */
    PROBE_USER,      /* user */
    PROBE_USER_AT,   /* user@ */
    PROBE_AT_DOMAIN, /* @example.org */
};

struct table_probe {
    enum probe_form form;
    const char *text;        /* lower case, unless the backend takes whole keys */
    const struct addr *addr; /* PROBE_ADDR; else NULL */
    time_t now;              /* for entries that expire */
    struct arena *arena;     /* for the answer */
};

/* What is wrong with a file, all of it up to a limit: "PATH:LINE: text" lines. */
struct table_report {
    const char *path;
    struct str text;
    unsigned errors;
    bool incomplete; /* the file may still be being written: the last line has no end */
};

/* Each adds one error; LINE counts from 1. */
void report_line(struct table_report *report, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void report_file(struct table_report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Whether so much is wrong that reading on would help nobody. */
bool report_full(const struct table_report *report);

/* Takes one line of a text file: its key as it was written, and read. */
struct key;
typedef void table_line_fn(void *arg, unsigned line, const char *written, const struct key *key);

struct table_backend {
    const char *name;
    bool takes_file; /* the argument is the path of a file, which the front watches */
    const char
        *suffix; /* what the map's file is called behind the argument, as Postfix has it; or NULL */
    bool whole_keys; /* asked for the first key of a lookup only, in the case in which it came */

    /* Whether the last good image stays in force when the guard refuses a new one; otherwise the
     * table is unavailable then. */
    bool keeps_last;

    /* Reads the open regular file FD into a new image.  NULL with the reasons in REPORT.  Backends
     * without a file have none. */
    void *(*load)(int fd, struct table_report *report);
    void (*free)(void *image);

    /* Answers for one key.  FOUND: sets key and value, in the probe's arena; UNAVAILABLE: sets
     * problem. From any thread. */
    enum table_status (*find)(const void *image, const struct table_probe *probe,
                              struct table_answer *answer);

    /* Entries that have not expired by TODAY; NULL when the backend cannot count. */
    size_t (*count)(const void *image, int32_t today);

    /* Calls EACH with the key of every entry, expired or not ("" where entries have no key of their
     * own), for counts per domain.  NULL when the backend cannot. */
    void (*each)(const void *image, void (*each)(void *arg, const char *key), void *arg);

    /* Reads the open regular file FD line by line and calls EACH with those that are entries.  NULL
     * where a file has no keys to be told by line. */
    void (*each_line)(int fd, table_line_fn *each, void *arg);
};

extern const struct table_backend table_backend_inline;
extern const struct table_backend table_backend_file;
extern const struct table_backend table_backend_cidr;
extern const struct table_backend table_backend_regex;
extern const struct table_backend table_backend_passwd;
extern const struct table_backend table_backend_lmdb;

/* The image of an inline table.  NULL with errors in DIAG. */
void *inline_load(const char *const *entries, const struct place *places, size_t count,
                  struct diag *diag);

#endif
