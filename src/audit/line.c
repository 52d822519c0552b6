/* SPDX-License-Identifier: MIT */
#include "audit_private.h"

#include <stdlib.h>
#include <string.h>

#include <postern/arena.h>

/* One record as one line that nothing from outside can forge. */
enum { VALUE_MAX = 1000 };

/* What a byte is in a value: p as it is; q as it is, but only in quotes; e with a backslash before
 * it; x by its number.  A text of 256, so that it can be checked by eye. */
static const char kinds[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                            /* !"#$%&'()*+,-./0123456789:;<=>? */
                            "qqeqqpqqqqqppppppppppppppppqpppq"
                            /* @A-Z[\]^_ */
                            "pppppppppppppppppppppppppppqeqqp"
                            /* `a-z{|}~ and DEL */
                            "qppppppppppppppppppppppppppqqqqx"
                            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
_Static_assert(sizeof(kinds) == 256 + 1, "one for each byte");

static char kind_of(char byte)
{
    return kinds[(unsigned char)byte];
}

/* Writes the byte at AT; returns behind it. */
static char *add_odd(char *at, char byte)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char number = (unsigned char)byte;

    *at++ = '\\';
    if (kind_of(byte) == 'x') {
        *at++ = 'x';
        *at++ = digits[number >> 4];
        *at++ = digits[number & 15];
    } else {
        *at++ = byte;
    }
    return at;
}

static char *add_quoted(char *at, const char *value, size_t length, bool cut)
{
    *at++ = '"';
    for (size_t i = 0; i < length; i++) {
        char kind = kind_of(value[i]);
        if (kind == 'x' || kind == 'e')
            at = add_odd(at, value[i]);
        else
            *at++ = value[i];
    }
    for (int dots = 0; cut && dots < 3; dots++)
        *at++ = '.';
    *at++ = '"';
    return at;
}

static char *add_value(char *at, const char *value)
{
    size_t length = 0;

    for (; length <= VALUE_MAX && kind_of(value[length]) == 'p'; length++)
        at[length] = value[length];
    if (length > 0 && length <= VALUE_MAX && value[length] == '\0' && value[0] != '=')
        return at + length;
    length += strnlen(value + length, VALUE_MAX + 1 - length);
    return add_quoted(at, value, length > VALUE_MAX ? VALUE_MAX : length, length > VALUE_MAX);
}

/* The most that a field takes with all around it: each byte of the value by its number. */
static size_t field_room(const struct audit_field *field)
{
    const size_t around = sizeof(" =\"...\"");

    return strlen(field->key) + 4 * strnlen(field->value, VALUE_MAX + 1) + around;
}

size_t audit_line_room(const struct audit_field *fields, size_t count)
{
    size_t room = 1;

    for (size_t i = 0; i < count; i++)
        room += field_room(&fields[i]);
    return room;
}

char *audit_line_write(char *at, const struct audit_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            *at++ = ' ';
        at = stpcpy(at, fields[i].key);
        *at++ = '=';
        at = add_value(at, fields[i].value);
    }
    *at = '\0';
    return at;
}

const char *audit_line(struct arena *arena, const struct audit_field *fields, size_t count)
{
    char *line = xmalloc(audit_line_room(fields, count));
    const char *end = audit_line_write(line, fields, count);
    const char *result = arena_strndup(arena, line, (size_t)(end - line));

    free(line);
    return result;
}
