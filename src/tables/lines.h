/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_TABLE_LINES_H
#define POSTERN_TABLE_LINES_H

#include "table_backend.h"

/*
 * Text files line by line, read whole.  Empty lines and lines that begin with '#' are passed over.
 * A byte order mark at the start of a line is not there.
 */
struct lines {
    char *data;
    size_t length;
    size_t next;
    unsigned number; /* physical lines so far */
    bool logical;    /* a line that begins with blanks goes on with the one before, as in Postfix's
                        tables */
    struct table_report *report;
};

struct line {
    char *text; /* NUL-terminated, no NUL before its end, without its line end and blanks behind;
                   the caller may write into it */
    size_t length;
    unsigned number; /* of its first physical line, from 1 */
};

/* Reads the file.  False with the reason in REPORT. */
bool lines_open(struct lines *lines, int fd, bool logical, struct table_report *report);
void lines_close(struct lines *lines);

/* The next line; false at the end.  Lines that no table can hold (a NUL, too long) are reported and
 * passed over. */
bool lines_next(struct lines *lines, struct line *line);

/* Skips blanks (space and tab). */
char *lines_skip(char *text);

/* Cuts the first word off TEXT, which then holds the word alone, and returns what comes behind the
 * blanks after it,
 * "" for nothing. */
char *lines_split(char *text);

#endif
