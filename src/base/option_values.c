/* SPDX-License-Identifier: MIT */
#include "option_values.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <postern/arena.h>
#include <postern/str.h>

enum { CHOICES_MAX = 32, OCTAL_MAX = 07777 };

struct unit {
    const char *name;
    int64_t factor;
};

/* Each from the largest to the smallest, as a value is printed with the first that divides it. */
static const struct unit durations[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};
static const struct unit sizes[] = {
    {"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"", 1}, {NULL, 0},
};

bool option_is_text(enum option_type type)
{
    return type == OPTION_TEXT || type == OPTION_TABLE;
}

/* Reads the whole number at the start of TEXT; *REST is what follows.  False without one, or when
 * it does not fit. */
static bool read_number(const char *text, int base, int64_t *number, const char **rest)
{
    const char *digits = text[0] == '-' ? text + 1 : text;
    char *end;

    if (digits[0] < '0' || digits[0] > '9')
        return false;
    errno = 0;
    intmax_t value = strtoimax(text, &end, base);
    if (errno != 0 || value < INT64_MIN || value > INT64_MAX)
        return false;
    *number = value;
    *rest = end;
    return true;
}

static bool read_with_unit(const char *text, const struct unit *units, int64_t *number)
{
    const char *rest;
    int64_t count;

    if (!read_number(text, 10, &count, &rest) || count < 0)
        return false;
    for (; units->name != NULL; units++) {
        if (strcmp(rest, units->name) == 0)
            return !__builtin_mul_overflow(count, units->factor, number);
    }
    *number = 0;
    return count == 0 && rest[0] == '\0'; /* nothing is nothing in any unit */
}

static const char *format_with_unit(struct arena *arena, const struct unit *units, int64_t number)
{
    while (number == 0 ? units[1].name != NULL : number % units->factor != 0)
        units++;
    return arena_printf(arena, "%" PRId64 "%s", number / units->factor, units->name);
}

static const char *format_number(struct arena *arena, enum option_type type, int64_t number)
{
    switch (type) {
    case OPTION_DURATION:
        return number == 0 ? "0s" : format_with_unit(arena, durations, number);
    case OPTION_SIZE:
        return format_with_unit(arena, sizes, number);
    case OPTION_PERCENT:
        return arena_printf(arena, "%" PRId64 "%%", number);
    case OPTION_OCTAL:
        return arena_printf(arena, "0%" PRIo64, (uint64_t)number);
    default:
        return arena_printf(arena, "%" PRId64, number);
    }
}

static size_t split_choices(struct arena *arena, const struct option_row *row, const char **choices)
{
    size_t count = words_split(arena, row->words, choices, CHOICES_MAX);
    assert(count > 0 && count < CHOICES_MAX);
    return count;
}

const char *option_scalar_wanted(struct arena *arena, const struct option_row *row)
{
    const char *choices[CHOICES_MAX];
    struct str list = {0};

    switch (row->type) {
    case OPTION_BOOL:
        return "yes or no";
    case OPTION_NUMBER:
        return "a whole number";
    case OPTION_PERCENT:
        return "a percentage like 20%";
    case OPTION_DURATION:
        return "a duration with its unit: ms, s, m, h or d";
    case OPTION_SIZE:
        return "a size in bytes, or with K, M or G behind it";
    case OPTION_OCTAL:
        return "file permissions in octal like 0660";
    default:
        break;
    }
    assert(row->type == OPTION_WORD);
    size_t count = split_choices(arena, row, choices);
    for (size_t i = 0; i < count; i++)
        str_add_format(&list, "%s%s", i == 0 ? "" : i + 1 < count ? ", " : " or ", choices[i]);
    const char *wanted = arena_strdup(arena, str_text(&list));
    str_free(&list);
    return wanted;
}

static const char *read_word(struct arena *arena, const struct option_row *row, const char *text,
                             int64_t *index)
{
    const char *choices[CHOICES_MAX];
    size_t count = split_choices(arena, row, choices);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, choices[i]) == 0) {
            *index = (int64_t)i;
            return NULL;
        }
    }
    const char *nearest = words_nearest(text, choices, count);
    if (nearest != NULL)
        return arena_printf(arena, "unknown word '%s'; did you mean '%s'?", text, nearest);
    return arena_printf(arena, "expected %s, not '%s'", option_scalar_wanted(arena, row), text);
}

/* The number alone, its form only. */
static bool read_form(enum option_type type, const char *text, int64_t *number)
{
    const char *rest;

    switch (type) {
    case OPTION_BOOL:
        *number = strcmp(text, "yes") == 0;
        return *number || strcmp(text, "no") == 0;
    case OPTION_NUMBER:
        return read_number(text, 10, number, &rest) && rest[0] == '\0';
    case OPTION_PERCENT:
        return read_number(text, 10, number, &rest) && strcmp(rest, "%") == 0;
    case OPTION_DURATION:
        return read_with_unit(text, durations, number);
    case OPTION_SIZE:
        return read_with_unit(text, sizes, number);
    default:
        assert(type == OPTION_OCTAL);
        return read_number(text, 8, number, &rest) && rest[0] == '\0';
    }
}

const char *option_read_scalar(struct arena *arena, const struct option_row *row, const char *text,
                               int64_t *number)
{
    int64_t minimum = row->minimum;
    int64_t maximum = row->maximum;

    if (row->type == OPTION_WORD)
        return read_word(arena, row, text, number);
    if (!read_form(row->type, text, number))
        return arena_printf(arena, "expected %s, not '%s'", option_scalar_wanted(arena, row), text);
    if (minimum == 0 && maximum == 0) {
        minimum = row->type == OPTION_NUMBER ? INT64_MIN : 0;
        maximum = row->type == OPTION_PERCENT ? 100
                  : row->type == OPTION_OCTAL ? OCTAL_MAX
                                              : INT64_MAX;
    }
    if (row->type != OPTION_BOOL && (*number < minimum || *number > maximum)) {
        const char *low = format_number(arena, row->type, minimum);
        if (maximum == INT64_MAX)
            return arena_printf(arena, "%s is out of range, which is %s or more", text, low);
        return arena_printf(arena, "%s is out of range, which is %s to %s", text, low,
                            format_number(arena, row->type, maximum));
    }
    return NULL;
}

void option_store_scalar(const struct option_row *row, int64_t number, void *dest)
{
    if (row->type == OPTION_BOOL)
        *(bool *)dest = number != 0;
    else
        *(int64_t *)dest = number;
}

const char *option_format_scalar(struct arena *arena, const struct option_row *row,
                                 const void *source)
{
    if (row->type == OPTION_BOOL)
        return *(const bool *)source ? "yes" : "no";
    int64_t number = *(const int64_t *)source;
    if (row->type != OPTION_WORD)
        return format_number(arena, row->type, number);
    const char *choices[CHOICES_MAX];
    size_t count = split_choices(arena, row, choices);
    assert(number >= 0 && (size_t)number < count);
    (void)count;
    return choices[number];
}

static void add_text(struct str *out, const char *text)
{
    if (lexer_is_bare_word(text)) {
        str_add(out, text);
        return;
    }
    str_add_char(out, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            str_add_char(out, '\\');
        str_add_char(out, *text);
    }
    str_add_char(out, '"');
}

const char *option_format_text(struct arena *arena, const char *text)
{
    struct str out = {0};

    add_text(&out, text != NULL ? text : "");
    const char *written = arena_strdup(arena, str_text(&out));
    str_free(&out);
    return written;
}

const char *option_format_list(struct arena *arena, const struct option_list *list)
{
    struct str out = {0};

    /* An empty list can only be written in braces. */
    if (list->count == 0)
        str_add(&out, "{ }");
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0)
            str_add_char(&out, ' ');
        add_text(&out, list->items[i]);
    }
    const char *written = arena_strdup(arena, str_text(&out));
    str_free(&out);
    return written;
}
