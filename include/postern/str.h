/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_STR_H
#define POSTERN_STR_H

#include <stdarg.h>
#include <stddef.h>

/*
 * A growable string.  data is NUL-terminated whenever it is not NULL; the zero-initialised
 * struct is an empty string.  Owned by the caller; not for use from several threads.
 */
struct str {
    char *data;
    size_t length;
    size_t room;
};

/* Frees the text and leaves an empty string behind. */
void str_free(struct str *str);

/* Makes the string empty, keeps its memory. */
void str_clear(struct str *str);

void str_add(struct str *str, const char *text);
void str_add_bytes(struct str *str, const char *bytes, size_t length);
void str_add_char(struct str *str, char c);
void str_add_format(struct str *str, const char *format, ...) __attribute__((format(printf, 2, 3)));
void str_add_vformat(struct str *str, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* A new text, never NULL; the caller frees it. */
char *str_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The text as a C string: "" for an empty string, never NULL.  Valid until the next change. */
const char *str_text(const struct str *str);

#endif
