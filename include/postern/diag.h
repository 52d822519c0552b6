/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_DIAG_H
#define POSTERN_DIAG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*
 * What is wrong with what the administrator wrote: all errors and warnings of a run, each with
 * file, line, column, the line itself and a caret.
 */
struct source {
    const char *path; /* as it was named */
    const char *text; /* the whole file; not NUL-terminated where the file holds NULs */
    size_t length;
};

struct place {
    const struct source *source; /* NULL: no place is known */
    uint32_t line;               /* from 1 */
    uint32_t column;             /* from 1, in bytes */
    uint32_t width;              /* bytes to underline; 0 as 1 */
};

struct diag;

struct diag *diag_new(void);
void diag_free(struct diag *diag);

/* Each adds one message.  AT may be NULL.  The text is one sentence without a full stop, naming the
 * remedy where there is one; what is not printable in it is shown as '?', and a huge one is cut.
 * After 100 errors further ones are only counted, and so are warnings after 100.  The source need
 * not outlive the call. */
void diag_error(struct diag *diag, const struct place *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void diag_warning(struct diag *diag, const struct place *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

unsigned diag_errors(const struct diag *diag);
unsigned diag_warnings(const struct diag *diag);

/* Writes all messages, errors before warnings, each kind in the order in which they came:
 *   FILE:LINE:COLUMN: error: TEXT
 *       the line
 *         ^~~~
 * Bytes of the line that are not printable are shown as '?'; a tab stays a tab in both lines. */
void diag_print(const struct diag *diag, FILE *out);

/* What stands around the parts of a message, on a terminal with colours. */
struct diag_style {
    const char *place, *error, *warning, *caret; /* before them */
    const char *end;                             /* behind each */
};
void diag_print_styled(const struct diag *diag, const struct diag_style *style, FILE *out);

/* Message I (from 0, errors first) as one line "FILE:LINE:COLUMN: error: TEXT", for logs; NULL past
 * the end.  Lives as long as DIAG. */
const char *diag_line(const struct diag *diag, unsigned i);

/* Whether message I is an error; false past the end. */
bool diag_is_error(const struct diag *diag, unsigned i);

#endif
