/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_WORDS_H
#define POSTERN_WORDS_H

#include <stddef.h>

struct arena;

/*
 * The nearest right word for an error message: "unknown fact 'spf.reslt'; did you mean ...".
 */

/* The word of WORDS (COUNT entries, NULL entries are passed over) nearest to WRONG by edit distance
 * (case does not count, transpositions count once; the first of equals), or NULL when none is near
 * enough to be worth proposing: one slip in 2 to 4 letters, two in 5 to 7, three in more.  Pure. */
const char *words_nearest(const char *wrong, const char *const *words, size_t count);

/* Splits TEXT at spaces into words, copied to the arena; returns how many it put into WORDS.  Never
 * an empty word; what comes after LIMIT words is left out. */
size_t words_split(struct arena *arena, const char *text, const char **words, size_t limit);

#endif
