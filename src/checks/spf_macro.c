/* SPDX-License-Identifier: MIT */
#include "spf_macro.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include <postern/arena.h>
#include <postern/dns.h>
#include <postern/str.h>

/* RFC 7208 7.3 asks for at least 127; no value has more parts than this. */
enum { PARTS_MAX = 100000 };

/* ---- reading ---- */

static bool is_letter(char c)
{
    return c != '\0' && strchr("slodipvhcrt", tolower((unsigned char)c)) != NULL;
}

static bool is_delimiter(char c)
{
    return c != '\0' && strchr(".-+,/_=", c) != NULL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* What follows "%{", up to and with the "}". */
static size_t read_braces(const char *text, size_t length, struct spf_unit *unit)
{
    size_t i = 0;

    if (length == 0 || !is_letter(text[0]))
        return 0;
    unit->letter = (char)tolower((unsigned char)text[0]);
    unit->escape = isupper((unsigned char)text[0]) != 0;
    for (i = 1; i < length && is_digit(text[i]); i++)
        if (unit->parts < PARTS_MAX)
            unit->parts = unit->parts * 10 + (unsigned)(text[i] - '0');
    /* RFC 7208 7.3: if a number is given, it is not zero. */
    if (i > 1 && unit->parts == 0)
        return 0;
    if (i < length && (text[i] == 'r' || text[i] == 'R')) {
        unit->reverse = true;
        i++;
    }
    unit->delimiters = text + i;
    while (i < length && is_delimiter(text[i]))
        i++;
    unit->delimiter_count = (size_t)(text + i - unit->delimiters);
    return i < length && text[i] == '}' ? i + 1 : 0;
}

size_t spf_unit_read(const char *text, size_t length, struct spf_unit *unit)
{
    size_t used;

    *unit = (struct spf_unit){.literal = text, .literal_length = 1};
    if (text[0] != '%')
        return 1;
    if (length < 2)
        return 0;
    unit->macro = true;
    switch (text[1]) {
    case '%':
        return 2;
    case '_':
        unit->literal = " ";
        return 2;
    case '-':
        unit->literal = "%20";
        unit->literal_length = 3;
        return 2;
    case '{':
        used = read_braces(text + 2, length - 2, unit);
        return used > 0 ? used + 2 : 0;
    default:
        return 0;
    }
}

bool spf_macro_valid(const char *text, size_t length, enum spf_macro_use use)
{
    char least = use == SPF_MACRO_EXPLANATION ? ' ' : '!';
    struct spf_unit unit;
    size_t used;

    for (; length > 0; text += used, length -= used) {
        used = spf_unit_read(text, length, &unit);
        if (used == 0 || (!unit.macro && (text[0] < least || text[0] > '~')))
            return false;
        if (use != SPF_MACRO_EXPLANATION && unit.letter != '\0' &&
            strchr("crt", unit.letter) != NULL)
            return false;
    }
    return true;
}

bool spf_macro_uses(const char *text, size_t length, const char *letters)
{
    struct spf_unit unit;
    size_t used;

    for (; length > 0; text += used, length -= used) {
        used = spf_unit_read(text, length, &unit);
        if (used == 0)
            return false;
        if (unit.letter != '\0' && strchr(letters, unit.letter) != NULL)
            return true;
    }
    return false;
}

/* ---- values ---- */

/* RFC 7208 7.3: IPv6 as nibbles with dots between them. */
static void add_dotted(struct str *out, const struct addr *client)
{
    char text[ADDR_TEXT_SIZE];
    unsigned i;

    if (client->family == ADDR_IPV4) {
        str_add(out, addr_format(client, text));
        return;
    }
    for (i = 0; i < 16; i++)
        str_add_format(out, "%s%X.%X", i > 0 ? "." : "", client->bytes[i] >> 4,
                       client->bytes[i] & 15);
}

static void add_value(struct str *out, char letter, const struct spf_macro_values *values)
{
    char text[ADDR_TEXT_SIZE];

    switch (letter) {
    case 's':
        str_add_format(out, "%s@%s", values->local, values->sender_domain);
        break;
    case 'l':
        str_add(out, values->local);
        break;
    case 'o':
        str_add(out, values->sender_domain);
        break;
    case 'd':
        str_add(out, values->domain);
        break;
    case 'i':
        add_dotted(out, &values->client);
        break;
    case 'p':
        str_add(out, values->validated);
        break;
    case 'v':
        str_add(out, values->client.family == ADDR_IPV4 ? "in-addr" : "ip6");
        break;
    case 'h':
        str_add(out, values->helo);
        break;
    case 'c':
        str_add(out, addr_format(&values->client, text));
        break;
    case 'r':
        str_add(out, values->receiver);
        break;
    case 't':
        str_add_format(out, "%" PRId64, values->now);
        break;
    }
}

/* ---- transformers ---- */

static bool splits(const struct spf_unit *unit, char c)
{
    if (unit->delimiter_count == 0)
        return c == '.';
    return memchr(unit->delimiters, c, unit->delimiter_count) != NULL;
}

static size_t count_parts(const struct spf_unit *unit, const char *value)
{
    size_t count = 1;

    for (; *value != '\0'; value++)
        count += splits(unit, *value);
    return count;
}

/* RFC 3986 2.3: unreserved characters stand for themselves. */
static void add_byte(struct str *out, const struct spf_unit *unit, char c)
{
    bool plain = is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                 (c != '\0' && strchr("-._~", c) != NULL);

    if (unit->escape && !plain)
        str_add_format(out, "%%%02X", (unsigned)(unsigned char)c);
    else
        str_add_char(out, c);
}

/* The parts from START on, with dots between them. */
static void add_parts(struct str *out, const struct spf_unit *unit, const char *start)
{
    for (; *start != '\0'; start++)
        add_byte(out, unit, splits(unit, *start) ? '.' : *start);
}

/* The parts before END, the last first. */
static void add_reversed(struct str *out, const struct spf_unit *unit, const char *value,
                         const char *end)
{
    for (;;) {
        const char *start = end;
        const char *c;

        while (start > value && !splits(unit, start[-1]))
            start--;
        for (c = start; c < end; c++)
            add_byte(out, unit, *c);
        if (start == value)
            return;
        add_byte(out, unit, '.');
        end = start - 1;
    }
}

/* RFC 7208 7.3: split, then reverse, then keep the right-hand parts, then join with dots. */
static void add_transformed(struct str *out, const struct spf_unit *unit, const char *value)
{
    size_t count = count_parts(unit, value);
    size_t keep = unit->parts > 0 && unit->parts < count ? unit->parts : count;
    const char *at = value;
    size_t passed;

    if (unit->reverse) {
        for (passed = 0; *at != '\0'; at++)
            if (splits(unit, *at) && ++passed == keep)
                break;
        add_reversed(out, unit, value, at);
    } else {
        for (passed = 0; passed < count - keep; at++)
            passed += splits(unit, *at);
        add_parts(out, unit, at);
    }
}

static void add_unit(struct str *out, const struct spf_unit *unit,
                     const struct spf_macro_values *values)
{
    struct str value = {0};

    if (unit->letter == '\0') {
        str_add_bytes(out, unit->literal, unit->literal_length);
        return;
    }
    add_value(&value, unit->letter, values);
    add_transformed(out, unit, str_text(&value));
    str_free(&value);
}

/* ---- names and texts ---- */

/* Only the right end of a name counts, so only so many units of it are looked at.  Nearly each
 * gives a byte, and one byte more than a name may have is enough to see that it is too long. */
enum { TAIL_UNITS = 320, TAIL_BYTES = DNS_NAME_MAX + 2 };

struct tail {
    char bytes[TAIL_BYTES];
    size_t start; /* of what is filled, up to the end */
};

/* Puts the end of TEXT, as much as there is room for, before what is there. */
static void put_before(struct tail *tail, const char *text, size_t length)
{
    size_t take = length < tail->start ? length : tail->start;

    tail->start -= take;
    if (take > 0)
        memcpy(tail->bytes + tail->start, text + length - take, take);
}

static void expand_tail(struct tail *tail, const char *spec, size_t length,
                        const struct spf_macro_values *values)
{
    struct spf_unit units[TAIL_UNITS];
    struct str piece = {0};
    size_t count = 0;
    size_t used;
    size_t i;

    for (; length > 0; spec += used, length -= used) {
        used = spf_unit_read(spec, length, &units[count % TAIL_UNITS]);
        if (used == 0)
            break;
        count++;
    }
    for (i = 0; i < count && i < TAIL_UNITS && tail->start > 0; i++) {
        str_clear(&piece);
        add_unit(&piece, &units[(count - 1 - i) % TAIL_UNITS], values);
        put_before(tail, str_text(&piece), piece.length);
    }
    str_free(&piece);
}

const char *spf_macro_name(struct arena *arena, const char *spec, size_t length,
                           const struct spf_macro_values *values)
{
    struct tail tail = {.start = TAIL_BYTES};
    const char *name;
    size_t left;

    expand_tail(&tail, spec, length, values);
    name = tail.bytes + tail.start;
    left = TAIL_BYTES - tail.start;
    if (left > 0 && name[left - 1] == '.')
        left--;
    while (left > DNS_NAME_MAX) {
        const char *dot = memchr(name, '.', left);

        if (dot == NULL)
            return "";
        left -= (size_t)(dot + 1 - name);
        name = dot + 1;
    }
    return arena_strndup(arena, name, left);
}

const char *spf_macro_text(struct arena *arena, const char *text, size_t length,
                           const struct spf_macro_values *values)
{
    struct str out = {0};
    const char *copy = NULL;
    struct spf_unit unit;
    size_t used;
    size_t i;

    for (; length > 0 && out.length < SPF_EXPLANATION_MAX; text += used, length -= used) {
        used = spf_unit_read(text, length, &unit);
        if (used == 0)
            break;
        add_unit(&out, &unit, values);
    }
    if (out.length > SPF_EXPLANATION_MAX)
        out.length = SPF_EXPLANATION_MAX;
    for (i = 0; i < out.length; i++)
        if (out.data[i] < ' ' || out.data[i] > '~')
            break;
    if (i == out.length)
        copy = arena_strndup(arena, out.length > 0 ? out.data : "", out.length);
    str_free(&out);
    return copy;
}
