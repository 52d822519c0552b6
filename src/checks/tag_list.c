/* SPDX-License-Identifier: MIT */
#include "tag_list.h"

#include <string.h>
#include <strings.h>

#include <postern/arena.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Takes the white space at both ends off the span. */
static void trim(const char **text, size_t *length)
{
    while (*length > 0 && is_space(**text)) {
        (*text)++;
        (*length)--;
    }
    while (*length > 0 && is_space((*text)[*length - 1]))
        (*length)--;
}

/* RFC 6376 3.2: tag-name = ALPHA *ALNUMPUNC. */
static bool name_is_good(const char *name, size_t length)
{
    size_t i;

    if (length == 0 || !is_alpha(name[0]))
        return false;
    for (i = 1; i < length; i++)
        if (!is_alpha(name[i]) && !is_digit(name[i]) && name[i] != '_')
            return false;
    return true;
}

static bool value_is_good(const char *value, size_t length)
{
    size_t i;

    for (i = 0; i < length; i++)
        if (!is_space(value[i]) && ((unsigned char)value[i] < 0x20 || value[i] == 0x7f))
            return false;
    return true;
}

static bool name_is(const struct tag *tag, const char *name, size_t length)
{
    return tag->name_length == length && memcmp(tag->name, name, length) == 0;
}

/* Reads one tag without its ';'. */
static bool add_tag(struct tag_list *list, const char *text, size_t length)
{
    const char *equals = memchr(text, '=', length);
    struct tag *tag = &list->tags[list->count];
    size_t i;

    if (equals == NULL || list->count == TAGS_MAX)
        return false;
    tag->name = text;
    tag->name_length = (size_t)(equals - text);
    trim(&tag->name, &tag->name_length);
    tag->raw = equals + 1;
    tag->raw_length = (size_t)(text + length - tag->raw);
    tag->value = tag->raw;
    tag->value_length = tag->raw_length;
    trim(&tag->value, &tag->value_length);
    if (!name_is_good(tag->name, tag->name_length) || !value_is_good(tag->value, tag->value_length))
        return false;
    for (i = 0; i < list->count; i++)
        if (name_is(&list->tags[i], tag->name, tag->name_length))
            return false;
    list->count++;
    return true;
}

bool tag_list_read(struct tag_list *list, const char *text, size_t length)
{
    list->count = 0;
    for (;;) {
        const char *end = memchr(text, ';', length);
        const char *tag = text;
        size_t tag_length = end != NULL ? (size_t)(end - text) : length;

        if (end == NULL) {
            trim(&tag, &tag_length);
            if (tag_length == 0)
                return list->count > 0;
            return add_tag(list, text, length);
        }
        if (!add_tag(list, text, tag_length))
            return false;
        length -= tag_length + 1;
        text = end + 1;
    }
}

const struct tag *tag_find(const struct tag_list *list, const char *name)
{
    size_t length = strlen(name);
    size_t i;

    for (i = 0; i < list->count; i++)
        if (name_is(&list->tags[i], name, length))
            return &list->tags[i];
    return NULL;
}

const char *tag_text(const struct tag *tag, struct arena *arena)
{
    char *text;
    size_t length = 0;
    size_t i;

    if (tag == NULL)
        return "";
    text = arena_alloc(arena, tag->value_length + 1);
    for (i = 0; i < tag->value_length; i++)
        if (!is_space(tag->value[i]))
            text[length++] = tag->value[i];
    text[length] = '\0';
    return text;
}

bool tag_is(const struct tag *tag, const char *word)
{
    return tag != NULL && tag->value_length == strlen(word) &&
           strncasecmp(tag->value, word, tag->value_length) == 0;
}

bool tag_lists(const struct tag *tag, const char *word)
{
    const char *rest = tag != NULL ? tag->value : NULL;
    size_t left = tag != NULL ? tag->value_length : 0;

    while (rest != NULL) {
        const char *colon = memchr(rest, ':', left);
        const char *item = rest;
        size_t length = colon != NULL ? (size_t)(colon - rest) : left;

        left -= colon != NULL ? length + 1 : length;
        rest = colon != NULL ? colon + 1 : NULL;
        trim(&item, &length);
        if (length == strlen(word) && strncasecmp(item, word, length) == 0)
            return true;
    }
    return false;
}

int64_t tag_number(const struct tag *tag, unsigned digits)
{
    int64_t number = 0;
    size_t i;

    if (tag == NULL || tag->value_length == 0 || tag->value_length > digits)
        return -1;
    for (i = 0; i < tag->value_length; i++) {
        if (!is_digit(tag->value[i]))
            return -1;
        number = number * 10 + (tag->value[i] - '0');
    }
    return number;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (is_digit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool tag_base64(const struct tag *tag, struct arena *arena, const unsigned char **bytes,
                size_t *length)
{
    unsigned char *out;
    unsigned bits = 0;
    size_t digits = 0;
    size_t padding = 0;
    size_t i;

    *length = 0;
    if (tag == NULL)
        return false;
    *bytes = out = arena_alloc(arena, tag->value_length / 4 * 3 + 3);
    for (i = 0; i < tag->value_length; i++) {
        char c = tag->value[i];

        if (is_space(c))
            continue;
        if (c == '=') {
            padding++;
            continue;
        }
        int digit = base64_digit(c);

        if (digit < 0 || padding > 0)
            return false;
        bits = bits << 6 | (unsigned)digit;
        if (++digits % 4 != 1)
            out[(*length)++] = (unsigned char)(bits >> (2 * (3 - (digits - 1) % 4)));
    }
    /* Padding may be left out, but what is there must fit. */
    return digits % 4 != 1 && (padding == 0 || (digits + padding) % 4 == 0) && padding <= 2;
}
