/* SPDX-License-Identifier: MIT */
#include "spf_grammar.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "checks_private.h"
#include "spf_macro.h"

static const char version[] = "v=spf1";
enum { VERSION_LENGTH = sizeof(version) - 1 };

enum spec { SPEC_NONE, SPEC_OPTIONAL, SPEC_REQUIRED, SPEC_NETWORK };

/* What may follow the name of a mechanism. */
static const struct mechanism {
    const char *name;
    enum spf_kind kind;
    enum spec spec;
    bool prefix; /* dual-cidr-length */
} mechanisms[] = {
    {"all", SPF_KIND_ALL, SPEC_NONE, false},
    {"include", SPF_KIND_INCLUDE, SPEC_REQUIRED, false},
    {"a", SPF_KIND_A, SPEC_OPTIONAL, true},
    {"mx", SPF_KIND_MX, SPEC_OPTIONAL, true},
    {"ptr", SPF_KIND_PTR, SPEC_OPTIONAL, false},
    {"ip4", SPF_KIND_IP4, SPEC_NETWORK, false},
    {"ip6", SPF_KIND_IP6, SPEC_NETWORK, false},
    {"exists", SPF_KIND_EXISTS, SPEC_REQUIRED, false},
};

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alphanum(char c)
{
    return is_alpha(c) || is_digit(c);
}

/* ---- domain-spec ---- */

/* Letters, digits and inner dashes, not digits alone. */
static bool is_toplabel(const char *text, size_t length)
{
    bool digits = true;
    size_t i;

    if (length == 0 || !is_alphanum(text[0]) || !is_alphanum(text[length - 1]))
        return false;
    for (i = 0; i < length; i++) {
        if (!is_alphanum(text[i]) && text[i] != '-')
            return false;
        if (!is_digit(text[i]))
            digits = false;
    }
    return !digits;
}

/* domain-end: "." toplabel [ "." ], where no macro is part of it. */
static bool is_domain_end(const char *text, size_t length)
{
    const char *dot;

    if (length > 0 && text[length - 1] == '.')
        length--;
    dot = memrchr(text, '.', length);
    return dot != NULL && is_toplabel(dot + 1, (size_t)(text + length - dot - 1));
}

bool spf_domain_spec_valid(const char *text, size_t length)
{
    const char *literals = text; /* behind the last macro */
    const char *end = text + length;
    struct spf_unit unit;
    const char *at;
    size_t used;

    if (length == 0 || !spf_macro_valid(text, length, SPF_MACRO_TERM))
        return false;
    for (at = text; at < end; at += used) {
        used = spf_unit_read(at, (size_t)(end - at), &unit);
        if (unit.macro)
            literals = at + used;
    }
    return literals == end || is_domain_end(literals, (size_t)(end - literals));
}

/* ---- numbers behind slashes ---- */

/* How many digits TEXT ends with. */
static size_t trailing_digits(const char *text, size_t length)
{
    size_t count = 0;

    while (count < length && is_digit(text[length - 1 - count]))
        count++;
    return count;
}

/* No leading zeros, 0 to MOST. */
static bool read_bits(const char *digits, size_t count, unsigned most, uint8_t *bits)
{
    unsigned number = 0;
    size_t i;

    if (count == 0 || count > 3 || (count > 1 && digits[0] == '0'))
        return false;
    for (i = 0; i < count; i++)
        number = number * 10 + (unsigned)(digits[i] - '0');
    *bits = (uint8_t)number;
    return number <= most;
}

/* Takes a dual-cidr-length off the end: [ "/" ip4 ] [ "//" ip6 ].  What is left of *length does
 * not matter when it returns false. */
static bool take_prefixes(const char *text, size_t *length, struct spf_term *term)
{
    size_t digits = trailing_digits(text, *length);
    size_t before = *length - digits;

    if (digits > 0 && before >= 2 && text[before - 1] == '/' && text[before - 2] == '/') {
        if (!read_bits(text + before, digits, 128, &term->bits6))
            return false;
        *length = before - 2;
        digits = trailing_digits(text, *length);
        before = *length - digits;
    }
    if (digits > 0 && before >= 1 && text[before - 1] == '/') {
        if (!read_bits(text + before, digits, 32, &term->bits4))
            return false;
        *length = before - 1;
    }
    return true;
}

/* ---- terms ---- */

/* ip4-network and ip6-network with their prefix length: inet_pton() is as strict as RFC 7208 5.6
 * (no leading zeros, no parts left out). */
static const char *read_network(struct spf_term *term, const char *text, size_t length)
{
    bool ipv4 = term->kind == SPF_KIND_IP4;
    const char *slash = memchr(text, '/', length);
    size_t address = slash != NULL ? (size_t)(slash - text) : length;
    char copy[ADDR_TEXT_SIZE] = "";
    struct addr addr = {.family = ipv4 ? ADDR_IPV4 : ADDR_IPV6};

    if (address < sizeof(copy))
        memcpy(copy, text, address);
    if (inet_pton(ipv4 ? AF_INET : AF_INET6, copy, addr.bytes) != 1)
        return ipv4 ? "not an IPv4 network" : "not an IPv6 network";
    term->net.bits = ipv4 ? 32 : 128;
    if (slash != NULL &&
        !read_bits(slash + 1, length - address - 1, ipv4 ? 32 : 128, &term->net.bits))
        return "bad prefix length";
    term->net.addr = addr_mask(&addr, term->net.bits);
    return "";
}

/* REST is what stands behind the name of a mechanism. */
static const char *read_arguments(struct spf_term *term, const struct mechanism *mechanism,
                                  const char *rest, size_t length)
{
    if (mechanism->spec == SPEC_NONE)
        return length == 0 ? "" : "takes no argument";
    if (mechanism->spec == SPEC_NETWORK)
        return length > 1 && rest[0] == ':' ? read_network(term, rest + 1, length - 1)
                                            : "lacks a network";
    if (mechanism->prefix && !take_prefixes(rest, &length, term))
        return "bad prefix length";
    if (length == 0)
        return mechanism->spec == SPEC_OPTIONAL ? "" : "lacks a domain";
    if (rest[0] != ':')
        return "not understood behind the name";
    if (!spf_domain_spec_valid(rest + 1, length - 1))
        return length == 1 ? "lacks a domain" : "bad domain";
    term->spec = rest + 1;
    term->spec_length = length - 1;
    return "";
}

static const char *read_mechanism(struct spf_term *term)
{
    const char *name = term->text;
    size_t length = term->length;
    size_t count = 0;
    size_t i;

    term->qualifier = '+';
    if (strchr("+-~?", name[0]) != NULL) {
        term->qualifier = name[0];
        name++;
        length--;
    }
    while (count < length && is_alphanum(name[count]))
        count++;
    for (i = 0; i < COUNT_OF(mechanisms); i++) {
        if (strlen(mechanisms[i].name) != count ||
            strncasecmp(mechanisms[i].name, name, count) != 0)
            continue;
        term->kind = mechanisms[i].kind;
        return read_arguments(term, &mechanisms[i], name + count, length - count);
    }
    return "unknown mechanism";
}

/* RFC 7208 6: redirect and exp at most once each. */
static const char *read_known_modifier(struct spf_term *term, enum spf_kind kind, bool *seen)
{
    term->kind = kind;
    if (*seen)
        return "stands twice";
    *seen = true;
    return spf_domain_spec_valid(term->spec, term->spec_length) ? "" : "bad domain";
}

/* NAME is how long the name before the "=" is. */
static const char *read_modifier(struct spf_scan *scan, struct spf_term *term, size_t name)
{
    term->spec = term->text + name + 1;
    term->spec_length = term->length - name - 1;
    if (name == strlen("redirect") && strncasecmp(term->text, "redirect", name) == 0)
        return read_known_modifier(term, SPF_KIND_REDIRECT, &scan->redirect);
    if (name == strlen("exp") && strncasecmp(term->text, "exp", name) == 0)
        return read_known_modifier(term, SPF_KIND_EXP, &scan->exp);
    term->kind = SPF_KIND_OTHER;
    return spf_macro_valid(term->spec, term->spec_length, SPF_MACRO_TERM) ? "" : "bad macro";
}

/* The length of a modifier's name when TEXT begins as a modifier, else 0. */
static size_t modifier_name(const char *text, size_t length)
{
    size_t count = 0;

    if (!is_alpha(text[0]))
        return 0;
    while (count < length && (is_alphanum(text[count]) || strchr("-_.", text[count]) != NULL))
        count++;
    return count < length && text[count] == '=' ? count : 0;
}

/* ---- records ---- */

bool spf_is_record(const char *text, size_t length)
{
    return length >= VERSION_LENGTH && strncasecmp(text, version, VERSION_LENGTH) == 0 &&
           (length == VERSION_LENGTH || text[VERSION_LENGTH] == ' ');
}

void spf_scan_begin(struct spf_scan *scan, const char *text, size_t length)
{
    *scan = (struct spf_scan){.next = text + VERSION_LENGTH, .end = text + length, .problem = ""};
}

enum spf_scan_result spf_scan_next(struct spf_scan *scan, struct spf_term *term)
{
    const char *end;
    size_t name;

    *term = (struct spf_term){.bits4 = 32, .bits6 = 128};
    while (scan->next < scan->end && *scan->next == ' ')
        scan->next++;
    term->text = scan->next;
    if (scan->next == scan->end)
        return SPF_SCAN_END;
    for (end = scan->next; end < scan->end && *end != ' '; end++)
        if (*end < '!' || *end > '~')
            scan->problem = "holds a byte that is not visible ASCII";
    term->length = (size_t)(end - scan->next);
    scan->next = end;
    if (scan->problem[0] != '\0')
        return SPF_SCAN_BAD;
    name = modifier_name(term->text, term->length);
    scan->problem = name > 0 ? read_modifier(scan, term, name) : read_mechanism(term);
    return scan->problem[0] == '\0' ? SPF_SCAN_TERM : SPF_SCAN_BAD;
}
