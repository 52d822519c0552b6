/* SPDX-License-Identifier: MIT */
#include "tag_list.h"

#include <string.h>
#include <strings.h>

#include <postern/arena.h>

static bool is_space(char c)
{
    /* Few characters go past the first test. */
    return (unsigned char)c <= ' ' && (c == ' ' || c == '\t' || c == '\r' || c == '\n');
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
        if (value[i] == 0x7f || ((unsigned char)value[i] < 0x20 && !is_space(value[i])))
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

/* What a byte below 128 is in base64: its digit, or one of these. */
enum { DIGITS = 64, PD = DIGITS, /* padding */ SP, /* white space */ NO /* nothing */ };

/* clang-format off */
static const unsigned char base64_kinds[128] = {
    NO, NO, NO, NO, NO, NO, NO, NO, NO, SP, SP, NO, NO, SP, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    SP, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, 62, NO, NO, NO, 63, /*  !"#$%&'()*+,-./ */
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, NO, NO, NO, PD, NO, NO, /* 0-9:;<=>? */
    NO,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, /* @A-O */
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, NO, NO, NO, NO, NO, /* P-Z[\]^_ */
    NO, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, /* `a-o */
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, NO, NO, NO, NO, NO, /* p-z{|}~ */
};
/* clang-format on */

static unsigned char base64_kind(char c)
{
    return (unsigned char)c < sizeof(base64_kinds) ? base64_kinds[(unsigned char)c] : NO;
}

/* The leading groups of four digits, without anything between them; returns how many characters
 * that is. This is most of a key. */
static size_t whole_groups(const char *text, size_t length, unsigned char *out)
{
    size_t i;

    for (i = 0; i + 4 <= length; i += 4, out += 3) {
        const unsigned char *four = (const unsigned char *)text + i;
        unsigned a, b, c, d;

        if ((four[0] | four[1] | four[2] | four[3]) >= sizeof(base64_kinds))
            break;
        a = base64_kinds[four[0]];
        b = base64_kinds[four[1]];
        c = base64_kinds[four[2]];
        d = base64_kinds[four[3]];
        if ((a | b | c | d) >= DIGITS)
            break;
        out[0] = (unsigned char)(a << 2 | b >> 4);
        out[1] = (unsigned char)(b << 4 | c >> 2);
        out[2] = (unsigned char)(c << 6 | d);
    }
    return i;
}

bool tag_base64(const struct tag *tag, struct arena *arena, const unsigned char **bytes,
                size_t *length)
{
    unsigned char *out;
    unsigned bits = 0;
    size_t digits = 0;
    size_t padding = 0;
    size_t i = 0;

    *length = 0;
    if (tag == NULL)
        return false;
    *bytes = out = arena_alloc(arena, tag->value_length / 4 * 3 + 3);
    while (i < tag->value_length) {
        unsigned char kind;

        if (digits % 4 == 0 && padding == 0) {
            size_t whole = whole_groups(tag->value + i, tag->value_length - i, out + *length);

            i += whole;
            *length += whole / 4 * 3;
            if (i == tag->value_length)
                break;
        }
        kind = base64_kind(tag->value[i++]);
        if (kind == SP)
            continue;
        if (kind == PD) {
            padding++;
            continue;
        }
        if (kind == NO || padding > 0)
            return false;
        bits = bits << 6 | kind;
        if (++digits % 4 != 1)
            out[(*length)++] = (unsigned char)(bits >> (2 * (3 - (digits - 1) % 4)));
    }
    /* Padding may be left out, but what is there must fit. */
    return digits % 4 != 1 && (padding == 0 || (digits + padding) % 4 == 0) && padding <= 2;
}
