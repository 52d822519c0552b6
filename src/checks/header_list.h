/* SPDX-License-Identifier: MIT */
#ifndef CHECKS_HEADER_LIST_H
#define CHECKS_HEADER_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

/*
 * The header of one message, kept because a signature names its fields only when all have gone by.
 * Bounded: what comes after the limits is left out and `cut` tells so.
 */
enum { HEADER_FIELDS_MAX = 1000, HEADER_BYTES_MAX = 1024 * 1024 };

struct header_field {
    const char *name;   /* as sent, perhaps with white space behind */
    const char *value;  /* all behind the colon */
    size_t name_length; /* without that white space */
    size_t length;      /* of value */
    uint32_t hash;      /* of the name in lower case */
};

struct header_list {
    struct arena *arena;
    struct header_field *fields; /* in the order of the message */
    size_t count, room;
    size_t bytes;
    bool cut;
};

/* An empty list whose fields will be kept in ARENA. */
void header_list_init(struct header_list *list, struct arena *arena);

/* Copies one more field. */
void header_list_add(struct header_list *list, const char *name, const char *value);

/* The length of a name as sent, without the white space that may stand behind it. */
size_t header_name_length(const char *name);

/* Whether the field has this name, without case. */
bool header_is(const struct header_field *field, const char *name);

/* Marks in NAMED (one for each field) those whose name is one of NAMES, which have ':' between
 * them, and perhaps others. */
void header_list_mark(const struct header_list *list, const char *names, bool *named);

/* Takes the fields that a signature names, one by one, each name's from the bottom up (RFC 6376
 * 5.4.2).  USED holds list->count marks, false before the first call.  The next field of the name
 * of LENGTH bytes, or NULL when there is none left. */
const struct header_field *header_list_take(const struct header_list *list, bool *used,
                                            const char *name, size_t length);

#endif
