/* SPDX-License-Identifier: MIT */
#include <postern/mailbox.h>

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include <postern/addr.h>
#include <postern/arena.h>
#include <postern/domain.h>

/* A stretch of bytes inside the text that is being read. */
struct span {
    const char *at;
    size_t length;
};

static struct span span_from(struct span span, size_t skip)
{
    return (struct span){span.at + skip, span.length - skip};
}

/* RFC 5321 4.1.2 and RFC 5322 3.2.3; RFC 6531 3.3 adds all of UTF-8. */
static bool is_atext(unsigned char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c >= 0x80)
        return true;
    return c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL;
}

/* RFC 3629 4: no overlong forms, no surrogates, nothing above U+10FFFF. */
static bool is_utf8(const char *text, size_t length)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t i = 0;
    size_t more;

    while (i < length) {
        unsigned char c = at[i++];
        unsigned char low = 0x80;
        unsigned char high = 0xbf;

        if (c < 0x80)
            continue;
        if (c < 0xc2 || c > 0xf4)
            return false;
        more = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
        if (c == 0xe0)
            low = 0xa0;
        if (c == 0xed)
            high = 0x9f;
        if (c == 0xf0)
            low = 0x90;
        if (c == 0xf4)
            high = 0x8f;
        for (; more > 0; more--, i++, low = 0x80, high = 0xbf) {
            if (i == length || at[i] < low || at[i] > high)
                return false;
        }
    }
    return true;
}

static bool is_dot_string(const char *text, size_t length)
{
    bool in_atom = false;
    size_t i;

    for (i = 0; i < length; i++) {
        if (text[i] == '.' && !in_atom)
            return false;
        if (text[i] != '.' && !is_atext((unsigned char)text[i]))
            return false;
        in_atom = text[i] != '.';
    }
    return in_atom && is_utf8(text, length);
}

static bool is_quoted_string(const char *text, size_t length)
{
    size_t i;

    if (length < 2 || text[0] != '"' || text[length - 1] != '"')
        return false;
    for (i = 1; i < length - 1; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c < 0x20 || c == 0x7f || c == '"')
            return false;
        /* A backslash quotes one printable ASCII character, which is not the closing quote. */
        if (c == '\\' && (++i == length - 1 || text[i] < 0x20 || text[i] > 0x7e))
            return false;
    }
    return is_utf8(text, length);
}

/* Where C first (or, with LAST, last) stands outside quotes and not behind a backslash; the length
 * when it does not.  A quote that is never closed is a character like any other. */
static size_t find_bare(struct span span, char c, bool last)
{
    size_t found = span.length;
    size_t opened = 0;
    bool quoted = false;
    bool heed_quotes = true;
    size_t i;

    for (i = 0; i < span.length; i++) {
        if (span.at[i] == '\\') {
            i++;
        } else if (span.at[i] == '"' && heed_quotes) {
            quoted = !quoted;
            opened = i;
        } else if (span.at[i] == c && !quoted) {
            found = i;
            if (!last)
                break;
        }
        if (quoted && i + 1 >= span.length) {
            heed_quotes = quoted = false;
            i = opened;
        }
    }
    return found;
}

/* What stands in angle brackets.  The grammar wants them around all of it. */
static struct span strip_angles(struct span span, bool *good)
{
    size_t open = find_bare(span, '<', false);
    struct span inner = span;

    if (open < span.length) {
        inner = span_from(span, open + 1);
        *good = *good && open == 0 && inner.length != 0 && inner.at[inner.length - 1] == '>';
    }
    if (inner.length != 0 && inner.at[inner.length - 1] == '>') {
        inner.length--;
        *good = *good && open == 0;
    } else if (open < span.length) {
        const char *close = memrchr(inner.at, '>', inner.length);

        if (close != NULL)
            inner.length = (size_t)(close - inner.at);
    }
    return inner;
}

/* Spaces around an address are no part of it, and not allowed there. */
static struct span strip_space(struct span span, bool *good)
{
    while (span.length != 0 && (span.at[0] == ' ' || span.at[0] == '\t')) {
        span = span_from(span, 1);
        *good = false;
    }
    while (span.length != 0 &&
           (span.at[span.length - 1] == ' ' || span.at[span.length - 1] == '\t')) {
        span.length--;
        *good = false;
    }
    return span;
}

/* RFC 5321 4.1.2, A-d-l: "@one,@two:", to be accepted and ignored. */
static struct span strip_route(struct span span, bool *good)
{
    char name[DOMAIN_SIZE];
    const char *colon, *comma;
    size_t length;

    while (span.length != 0 && span.at[0] == '@') {
        colon = memchr(span.at, ':', span.length);
        if (colon == NULL) {
            *good = false;
            break;
        }
        comma = memchr(span.at, ',', (size_t)(colon - span.at));
        length = (size_t)((comma != NULL ? comma : colon) - span.at);
        if (!domain_canonical(span.at + 1, length - 1, name))
            *good = false;
        span = span_from(span, length + 1);
        /* Behind a comma there is another hop, behind the colon the mailbox. */
        if ((comma != NULL) != (span.length != 0 && span.at[0] == '@'))
            *good = false;
    }
    return span;
}

/* Without its quotes and backslashes. */
static const char *unquote(struct arena *arena, struct span span)
{
    char *text = arena_alloc(arena, span.length + 1);
    size_t used = 0;
    size_t i;

    for (i = 0; i < span.length; i++) {
        if (span.at[i] == '"')
            continue;
        if (span.at[i] == '\\' && i + 1 < span.length)
            i++;
        text[used++] = span.at[i];
    }
    return text;
}

/* RFC 5321 4.1.3: "[192.0.2.1]" or "[IPv6:2001:db8::1]"; no other tag was ever registered. */
static const char *read_literal(struct arena *arena, const char *text, bool *good)
{
    char canonical[ADDR_TEXT_SIZE];
    struct addr addr;
    bool tagged = strncasecmp(text, "[IPv6:", 6) == 0;

    if (!addr_parse(text, &addr)) {
        *good = false;
        return text;
    }
    if (!tagged && strchr(text, ':') != NULL)
        *good = false;
    return arena_printf(arena, addr.family == ADDR_IPV6 ? "[IPv6:%s]" : "[%s]",
                        addr_format(&addr, canonical));
}

static void read_domain(struct arena *arena, struct span span, struct mailbox *mailbox)
{
    const char *raw = arena_strndup(arena, span.at, span.length);
    const char *shown = raw;
    char name[DOMAIN_SIZE];

    if (span.length >= 2 && raw[0] == '[' && raw[span.length - 1] == ']') {
        mailbox->literal = shown = read_literal(arena, raw, &mailbox->well_formed);
    } else if (domain_canonical(raw, span.length, name)) {
        mailbox->domain = shown = arena_strdup(arena, name);
    } else {
        mailbox->well_formed = false;
    }
    mailbox->address = mailbox_format(arena, mailbox->local, shown);
    /* "root@" must not pass for the local "root". */
    if (span.length == 0)
        mailbox->address = arena_printf(arena, "%s@", mailbox->address);
}

/* TEXT, of which the middle is left out where it is too long: an MTA may well take an address with
 * a local part of two thousand octets, and its domain counts for us as it does there. */
static struct span shorten(struct arena *arena, const char *text, bool *good)
{
    size_t length = strnlen(text, MAILBOX_MAX + 1);
    const char *at = length > MAILBOX_MAX ? strrchr(text, '@') : NULL;
    size_t tail = at != NULL ? strlen(at) : 0;
    char *copy;

    if (length > MAILBOX_MAX) {
        *good = false;
        length = MAILBOX_MAX;
    }
    copy = arena_strndup(arena, text, length);
    if (tail > 0 && tail <= MAILBOX_MAX / 2)
        memcpy(copy + length - tail, at, tail + 1); /* with its NUL */
    return (struct span){copy, length};
}

struct mailbox mailbox_parse(struct arena *arena, const char *text)
{
    struct mailbox mailbox = {
        .sent = "", .address = "", .local = "", .domain = "", .literal = "", .well_formed = true};
    struct span span = shorten(arena, text, &mailbox.well_formed);
    size_t at;

    span = strip_angles(strip_space(span, &mailbox.well_formed), &mailbox.well_formed);
    mailbox.sent = arena_strndup(arena, span.at, span.length);
    /* A local program may hand over an empty sender without brackets. */
    if (span.length == 0) {
        mailbox.null = mailbox.well_formed;
        return mailbox;
    }
    span = strip_route(strip_space(span, &mailbox.well_formed), &mailbox.well_formed);
    at = find_bare(span, '@', true);
    mailbox.local = unquote(arena, (struct span){span.at, at});
    if (!is_dot_string(span.at, at) && !is_quoted_string(span.at, at))
        mailbox.well_formed = false;
    if (at < span.length) {
        read_domain(arena, span_from(span, at + 1), &mailbox);
        return mailbox;
    }
    /* RFC 5321 4.1.1.3: only postmaster has no domain. */
    if (strcasecmp(mailbox.local, "postmaster") != 0)
        mailbox.well_formed = false;
    mailbox.address = mailbox_format(arena, mailbox.local, "");
    return mailbox;
}

static const char *quote(struct arena *arena, const char *local)
{
    char *text = arena_alloc(arena, 2 * strlen(local) + 3);
    size_t used = 0;

    text[used++] = '"';
    for (; *local != '\0'; local++) {
        if (*local == '"' || *local == '\\')
            text[used++] = '\\';
        text[used++] = *local;
    }
    text[used++] = '"';
    return text;
}

const char *mailbox_format(struct arena *arena, const char *local, const char *domain)
{
    if (local[0] == '\0' && domain[0] == '\0')
        return "";
    if (!is_dot_string(local, strlen(local)))
        local = quote(arena, local);
    if (domain[0] == '\0')
        return local;
    return arena_join(arena, local, "@", domain);
}

bool mailbox_is_reserved(const char *local)
{
    static const char *const names[] = {"postmaster", "mailer-daemon", "double-bounce"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcasecmp(local, names[i]) == 0)
            return true;
    return false;
}
