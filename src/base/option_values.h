/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_OPTION_VALUES_H
#define POSTERN_OPTION_VALUES_H

#include <postern/options.h>
#include <postern/words.h>

/* How the value of one option is written: from text to value and back.  Pure but for the arena. */

/* OPTION_TEXT and OPTION_TABLE, whose member is a pointer to text. */
bool option_is_text(enum option_type type);

/* Reads TEXT as the row's type wants it, which is no text and no list; OPTION_BOOL as 0 or 1.  NULL
 * when it fits, else what is wrong with it. */
const char *option_read_scalar(struct arena *arena, const struct option_row *row, const char *text,
                               int64_t *number);
void option_store_scalar(const struct option_row *row, int64_t number, void *dest);

/* What the row wants, for "expected ...". */
const char *option_scalar_wanted(struct arena *arena, const struct option_row *row);

/* As it would be written in the file; texts in quotes where they need them. */
const char *option_format_scalar(struct arena *arena, const struct option_row *row,
                                 const void *source);
const char *option_format_text(struct arena *arena, const char *text);
const char *option_format_list(struct arena *arena, const struct option_list *list);

#endif
