/* SPDX-License-Identifier: MIT */
#include <postern/help.h>

#include <stdint.h>
#include <string.h>

/*
 * Lines of UTF-8 for terminals.  The C library knows widths only in a locale of UTF-8, which a
 * container often lacks; the few ranges that the texts use are these.
 */

struct range {
    uint32_t first, last;
};

/* Wide (East Asian Width W and F of Unicode). */
static const struct range wide[] = {
    {0x1100, 0x115f}, {0x2e80, 0x303e}, {0x3041, 0x33ff}, {0x3400, 0x4dbf},
    {0x4e00, 0x9fff}, {0xa000, 0xa4cf}, {0xac00, 0xd7a3}, {0xf900, 0xfaff},
    {0xfe30, 0xfe4f}, {0xff00, 0xff60}, {0xffe0, 0xffe6}, {0x20000, 0x3fffd},
};

/* Marks that stand on the character before, and characters that only direct. */
static const struct range none[] = {
    {0x0300, 0x036f}, {0x0610, 0x061a}, {0x064b, 0x065f}, {0x0670, 0x0670},
    {0x200b, 0x200f}, {0x202a, 0x202e}, {0x2066, 0x2069},
};

/* No line begins with these wide characters ... */
static const uint32_t closing[] = {0x3001, 0x3002, 0x300b, 0x300d, 0x300f, 0x3011, 0xff01,
                                   0xff09, 0xff0c, 0xff1a, 0xff1b, 0xff1f, 0x2019, 0x201d};
/* ... and none ends with these. */
static const uint32_t opening[] = {0x300a, 0x300c, 0x300e, 0x3010, 0xff08, 0x2018, 0x201c};

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static bool in_ranges(uint32_t character, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (character >= ranges[i].first && character <= ranges[i].last)
            return true;
    }
    return false;
}

static bool is_one_of(uint32_t character, const uint32_t *characters, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (character == characters[i])
            return true;
    }
    return false;
}

/* The character at TEXT, which does not end there; a byte that is no UTF-8 stands for itself. */
static size_t take(const char *text, uint32_t *character)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t length = bytes[0] < 0xc0 ? 1 : bytes[0] < 0xe0 ? 2 : bytes[0] < 0xf0 ? 3 : 4;

    *character = bytes[0];
    if (length == 1)
        return 1;
    *character &= 0x7fU >> length;
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            *character = bytes[0];
            return 1;
        }
        *character = *character << 6 | (bytes[i] & 0x3f);
    }
    return length;
}

static bool is_wide(uint32_t character)
{
    return in_ranges(character, wide, COUNT(wide));
}

static size_t width_of(uint32_t character)
{
    if (character == '`' || in_ranges(character, none, COUNT(none)))
        return 0;
    return is_wide(character) ? 2 : 1;
}

size_t help_columns(const char *text, size_t length)
{
    size_t columns = 0;
    uint32_t character;

    for (size_t i = 0; i < length;) {
        i += take(text + i, &character);
        columns += width_of(character);
    }
    return columns;
}

/* Whether a line may end between two characters that have no blank between them. */
static bool may_break(uint32_t before, uint32_t after)
{
    if (!is_wide(before) && !is_wide(after))
        return false;
    return !is_one_of(after, closing, COUNT(closing)) &&
           !is_one_of(before, opening, COUNT(opening)) && after != ')' && before != '(';
}

static size_t skip_blanks(const char *text, size_t at)
{
    return at + strspn(text + at, " ");
}

size_t help_line(const char *text, size_t width, size_t *next)
{
    size_t at = 0, columns = 0, end = 0;
    uint32_t before = 0, character;

    *next = 0;
    while (text[at] != '\0' && text[at] != '\n') {
        size_t length = take(text + at, &character);
        /* A ` belongs to the word that it opens or closes, and is nothing to the eye. */
        if (character == ' ' && before != ' ') {
            end = at;
            *next = skip_blanks(text, at);
        } else if (before != 0 && before != ' ' && character != '`' &&
                   may_break(before, character)) {
            end = at;
            *next = at;
        }
        if (character != ' ' && columns + width_of(character) > width && at > 0) {
            if (*next == 0)
                *next = end = at;
            return end;
        }
        columns += width_of(character);
        if (character != '`')
            before = character;
        at += length;
    }
    *next = text[at] == '\n' ? at + 1 : at;
    return at;
}
