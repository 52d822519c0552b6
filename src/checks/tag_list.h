/* SPDX-License-Identifier: MIT */
#ifndef CHECKS_TAG_LIST_H
#define CHECKS_TAG_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

/*
 * Lists of tags, "a=rsa-sha256; d=example.org; ..." (RFC 6376 3.2), as signatures, seals and key
 * records have them.  Pure; safe from any thread.
 */
enum { TAGS_MAX = 64 };

struct tag {
    const char *name;
    size_t name_length;
    const char *value; /* without the white space around it, but with what stands within */
    size_t value_length;
    const char *raw; /* all between '=' and ';' */
    size_t raw_length;
};

/* Points into the text that was read, which must outlive it. */
struct tag_list {
    struct tag tags[TAGS_MAX];
    size_t count;
};

/* Reads LENGTH bytes.  False when they are no list of tags: a name that is none, a tag without '=',
 * two of one name, an empty tag before the last ';', a control character, more than TAGS_MAX tags,
 * nothing at all.  Bytes with the 8th bit are taken as UTF-8 (RFC 8616). LF alone folds a line as
 * CRLF does. */
bool tag_list_read(struct tag_list *list, const char *text, size_t length);

/* The tag of this name (names differ in case), or NULL. */
const struct tag *tag_find(const struct tag_list *list, const char *name);

/* The value without any white space, in the arena; "" where TAG is NULL. */
const char *tag_text(const struct tag *tag, struct arena *arena);

/* Whether the value is WORD, without case. False where TAG is NULL. */
bool tag_is(const struct tag *tag, const char *word);

/* Whether one of the words of the value, which are separated by ':', is WORD, without case.  False
 * where TAG is NULL. */
bool tag_lists(const struct tag *tag, const char *word);

/* The value as a number of 1 to DIGITS (at most 18) digits; -1 when it is none. */
int64_t tag_number(const struct tag *tag, unsigned digits);

/* Decodes a value in base64, white space within passed over, into the arena.  False when it is
 * none: another character, padding that does not fit; TAG NULL.  An empty value is 0 bytes. */
bool tag_base64(const struct tag *tag, struct arena *arena, const unsigned char **bytes,
                size_t *length);

#endif
