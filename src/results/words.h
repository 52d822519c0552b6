/* SPDX-License-Identifier: MIT */
#ifndef RESULTS_WORDS_H
#define RESULTS_WORDS_H

#include <postern/str.h>

/*
 * A header field's value, word by word.  A line is ended before a word that would make it longer
 * than 77 columns; what follows begins with four blanks.
 */
struct folded {
    struct str text;
    size_t column;
};

/* What stands before the value on its first line ("Received-SPF: ") counts for COLUMN. */
void folded_start(struct folded *folded, size_t column);

/* A word as it is, behind a blank. */
void folded_word(struct folded *folded, const char *word);

/* The next word begins a new line. */
void folded_break(struct folded *folded);

/* TEXT, which comes from outside and has no blanks, in parentheses; cleaned and cut. */
void folded_comment(struct folded *folded, const char *text);

/* KEY=VALUE, or with an empty KEY only VALUE, where VALUE comes from outside: quoted when it is no
 * token (RFC 2045 5.1, but with what RFC 8601 2.2 allows: an '@'), cleaned and cut.  END (";" or
 * "") stands behind it. */
void folded_pair(struct folded *folded, const char *key, const char *value, const char *end);

#endif
