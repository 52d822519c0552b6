/* SPDX-License-Identifier: MIT */
#include <postern/str.h>

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <postern/arena.h>

enum { FIRST_ROOM = 240 };

/* Room for MORE bytes and the NUL. */
static void reserve(struct str *str, size_t more)
{
    size_t room = str->room != 0 ? str->room : FIRST_ROOM;

    if (more < str->room - str->length)
        return;
    /* Half of the address space is more than any text can have. */
    assert(more < SIZE_MAX / 4 && str->length < SIZE_MAX / 4);
    while (room < str->length + more + 1)
        room *= 2;
    if (room != str->room) {
        str->data = xrealloc(str->data, room);
        str->room = room;
    }
}

void str_free(struct str *str)
{
    free(str->data);
    *str = (struct str){0};
}

void str_clear(struct str *str)
{
    str->length = 0;
    if (str->data != NULL)
        str->data[0] = '\0';
}

void str_add_bytes(struct str *str, const char *bytes, size_t length)
{
    reserve(str, length);
    if (length != 0)
        memcpy(str->data + str->length, bytes, length);
    str->length += length;
    str->data[str->length] = '\0';
}

void str_add(struct str *str, const char *text)
{
    str_add_bytes(str, text, strlen(text));
}

void str_add_char(struct str *str, char c)
{
    reserve(str, 1);
    str->data[str->length++] = c;
    str->data[str->length] = '\0';
}

void str_add_vformat(struct str *str, const char *format, va_list args)
{
    va_list again;
    int length;

    /* Most additions are short: the first try is usually the last. */
    reserve(str, FIRST_ROOM);
    va_copy(again, args);
    length = vsnprintf(str->data + str->length, str->room - str->length, format, again);
    va_end(again);
    assert(length >= 0);
    if ((size_t)length >= str->room - str->length) {
        reserve(str, (size_t)length);
        length = vsnprintf(str->data + str->length, str->room - str->length, format, args);
    }
    str->length += (size_t)length;
}

void str_add_format(struct str *str, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    str_add_vformat(str, format, args);
    va_end(args);
}

char *str_printf(const char *format, ...)
{
    struct str text = {0};
    va_list args;

    va_start(args, format);
    str_add_vformat(&text, format, args);
    va_end(args);
    return text.data;
}

const char *str_text(const struct str *str)
{
    return str->data != NULL ? str->data : "";
}
