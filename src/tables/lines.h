/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_TABLE_LINES_H
#define POSTERN_TABLE_LINES_H

#include "table_backend.h"

/*
 * Text files line by line, read whole.  Empty lines and lines that begin with '#' are passed over.
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

/*
 * if ... endif of Postfix's cidr and regular-expression tables.  The rules between are held in one
 * array; an `if` rule knows the index of the rule behind its `endif`.
 */
enum { NEST_MAX = 64 };

struct nest {
    size_t rules[NEST_MAX];
    unsigned lines[NEST_MAX];
    unsigned depth;
};

/* Whether TEXT begins with the keyword WORD ("if", "endif"), in any case, and no letter or digit
 * behind it. */
bool nest_keyword(const char *text, const char *word);

/* Notes an `if`, which becomes rule RULE.  False with an error in REPORT when they are too deep. */
bool nest_open(struct nest *nest, size_t rule, unsigned line, struct table_report *report);

/* Takes an `endif`: returns the rule of its `if`; SIZE_MAX with an error in REPORT when there is
 * none. */
size_t nest_close(struct nest *nest, unsigned line, struct table_report *report);

/* At the end of the file: reports what was left open. */
void nest_end(const struct nest *nest, struct table_report *report);

#endif
