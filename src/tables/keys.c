/* SPDX-License-Identifier: MIT */
#include "keys.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <postern/arena.h>
#include <postern/domain.h>
#include <postern/mailbox.h>

char *key_fold(char to[static KEY_MAX + 1], const char *text, size_t length)
{
    size_t i;

    if (length > KEY_MAX)
        length = KEY_MAX;
    for (i = 0; i < length; i++)
        to[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
    to[length] = '\0';
    return to;
}

static bool refuse(char problem[static 128], const char *text)
{
    snprintf(problem, 128, "%s", text);
    return false;
}

/* ".example.org" and "@example.org": the mark, then a domain. */
static bool parse_marked(const char *text, size_t length, enum key_class class, struct key *key,
                         char problem[static 128])
{
    char domain[DOMAIN_SIZE];

    if (!domain_canonical(text + 1, length - 1, domain))
        return refuse(problem, "is no domain name");
    key->class = class;
    snprintf(key->text, sizeof(key->text), "%c%s", text[0], domain);
    return true;
}

/* A local part in quotes, as table_key.local has it: without those it does not need. */
static void unquote(char local[static KEY_MAX + 1])
{
    struct arena *arena = arena_new();
    const char *sent = arena_printf(arena, "%s@example.org", local);
    struct mailbox mailbox = mailbox_parse(arena, sent);

    if (mailbox.well_formed && strlen(mailbox.local) <= KEY_MAX)
        key_fold(local, mailbox.local, strlen(mailbox.local));
    arena_free(arena);
}

static bool parse_mailbox(const char *text, size_t length, const char *at, struct key *key,
                          char problem[static 128])
{
    char local[KEY_MAX + 1], domain[DOMAIN_SIZE] = "";
    size_t before = (size_t)(at - text);
    size_t after = length - before - 1;

    if (after != 0 && !domain_canonical(at + 1, after, domain))
        return refuse(problem, at[1] == '[' ? "has an address literal in place of a domain"
                                            : "has no domain name behind its '@'");
    key_fold(local, text, before);
    if (local[0] == '"')
        unquote(local);
    if (strlen(local) + 1 + strlen(domain) > KEY_MAX)
        return refuse(problem, "is too long");
    key->class = domain[0] != '\0' ? KEY_MAILBOX : KEY_USER_AT;
    size_t used = strlen(local);
    memcpy(key->text, local, used);
    key->text[used] = '@';
    memcpy(key->text + used + 1, domain, strlen(domain) + 1);
    return true;
}

/* One to three octets: the first parts of an IPv4 address. */
static bool is_octets(const char *text)
{
    unsigned groups = 0;

    for (;;) {
        size_t digits = strspn(text, "0123456789");
        if (digits == 0 || digits > 3 || (digits > 1 && text[0] == '0'))
            return false;
        unsigned value = 0;
        for (size_t i = 0; i < digits; i++)
            value = value * 10 + (unsigned)(text[i] - '0');
        if (value > 255 || ++groups > 3)
            return false;
        text += digits;
        if (*text == '\0')
            return true;
        if (*text++ != '.')
            return false;
    }
}

/* One to seven groups of hexadecimal digits with colons between them, and perhaps one behind. */
static bool is_groups(const char *text)
{
    unsigned groups = 0;

    for (;;) {
        size_t digits = strspn(text, "0123456789abcdef");
        if (digits == 0 || digits > 4 || ++groups > 7)
            return false;
        text += digits;
        if (*text == '\0')
            return true;
        if (*text++ != ':')
            return false;
        if (*text == '\0')
            return true;
    }
}

/* Addresses, networks and what looks like one.  *KNOWN is false for all else. */
static bool parse_numbers(struct key *key, bool *known, char problem[static 128])
{
    char *text = key->text;
    bool digits = text[strspn(text, "0123456789.")] == '\0' && strchr(text, '.') != NULL;
    bool slash = strchr(text, '/') != NULL && text[strspn(text, "0123456789abcdef:./")] == '\0';
    bool colon = strchr(text, ':') != NULL && text[strspn(text, "0123456789abcdef:")] == '\0';
    char form[ADDR_TEXT_SIZE];
    bool host_bits;

    *known = true;
    if (net_parse(text, &key->net, &host_bits)) {
        bool single = key->net.bits == (key->net.addr.family == ADDR_IPV4 ? 32 : 128);
        addr_format(&key->net.addr, form);
        if (host_bits) {
            snprintf(problem, 128, "has bits set behind its length: write %s/%u", form,
                     key->net.bits);
            return false;
        }
        key->class = single ? KEY_ADDR : KEY_NET;
        if (single)
            snprintf(text, KEY_MAX + 1, "%s", form);
        else
            snprintf(text, KEY_MAX + 1, "%s/%u", form, key->net.bits);
        return true;
    }
    key->class = KEY_PREFIX;
    if (slash)
        return refuse(problem, "is no network");
    if (colon)
        return is_groups(text) || refuse(problem, "is no IP address");
    if (digits)
        return is_octets(text) || refuse(problem, "is no IP address");
    *known = false;
    return true;
}

bool key_parse(const char *text, size_t length, struct key *key, char problem[static 128])
{
    char domain[DOMAIN_SIZE];
    bool known;

    problem[0] = '\0';
    if (length == 0)
        return refuse(problem, "is empty");
    if (length > KEY_MAX)
        return refuse(problem, "is too long");
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return refuse(problem, "holds a control character");
    }
    const char *at = memrchr(text, '@', length);
    if (at == text && length == 1)
        return refuse(problem, "has nothing beside its '@'");
    if (at != NULL && at != text)
        return parse_mailbox(text, length, at, key, problem);
    if (at != NULL)
        return parse_marked(text, length, KEY_AT_DOMAIN, key, problem);
    if (text[0] == '.')
        return parse_marked(text, length, KEY_PARENT, key, problem);

    key_fold(key->text, text, length);
    if (!parse_numbers(key, &known, problem))
        return false;
    if (known)
        return true;
    /* A single label may as well be the name of a user: it is not turned into an A-label. */
    key->class = KEY_TEXT;
    if (domain_canonical(text, length, domain)) {
        key->class = KEY_DOMAIN;
        if (memchr(text, '.', length) != NULL)
            memcpy(key->text, domain, strlen(domain) + 1);
    }
    return true;
}

size_t key_base_length(const char *local, const char *delimiter)
{
    size_t length = strlen(local);
    size_t base = strcspn(local, delimiter);

    if (base == 0 || base == length || mailbox_is_reserved(local))
        return length;
    if (strchr(delimiter, '-') != NULL) {
        if (strncasecmp(local, "owner-", 6) == 0)
            return length;
        if (length > 8 && strcasecmp(local + length - 8, "-request") == 0)
            return length;
    }
    return base;
}

static const char *fold(struct arena *arena, const char *text, size_t length)
{
    char *copy = arena_strndup(arena, text, length);

    for (char *c = copy; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    }
    return copy;
}

/* One walk under way. */
struct walk {
    struct arena *arena;
    key_probe_fn *probe;
    void *arg;
    const char *local; /* lower case */
    const char *base;  /* without its extension, or NULL when it has none */
    const char *domain;
};

static bool try(const struct walk *walk, enum probe_form form, const char *text)
{
    return walk->probe(walk->arg, form, text, NULL);
}

static bool try_domains(const struct walk *walk)
{
    const char *dot = walk->domain;

    if (*dot == '\0')
        return false;
    if (try(walk, PROBE_DOMAIN, walk->domain))
        return true;
    while ((dot = strchr(dot + 1, '.')) != NULL) {
        if (dot[1] != '\0' && try(walk, PROBE_PARENT, dot))
            return true;
    }
    return false;
}

static bool try_mailboxes(const struct walk *walk)
{
    if (walk->domain[0] == '\0' || walk->local[0] == '\0')
        return false;
    return try(walk, PROBE_MAILBOX, arena_join(walk->arena, walk->local, "@", walk->domain)) ||
           (walk->base != NULL &&
            try(walk, PROBE_MAILBOX, arena_join(walk->arena, walk->base, "@", walk->domain)));
}

/* A quoted local part with an '@' or a '.' in front must not meet the entry of another domain or
 * address. */
static bool user_is_plain(const char *user)
{
    return user[0] != '\0' && user[0] != '.' && strchr(user, '@') == NULL;
}

static bool try_users(const struct walk *walk, enum probe_form form)
{
    const char *users[2] = {walk->local, walk->base};

    for (size_t i = 0; i < 2; i++) {
        if (users[i] == NULL || !user_is_plain(users[i]))
            continue;
        if (try(walk, form,
                form == PROBE_USER ? users[i] : arena_printf(walk->arena, "%s@", users[i])))
            return true;
    }
    return false;
}

static void walk_address(const struct table_key *key, struct walk *walk)
{
    size_t base = key_base_length(key->local, key->delimiter);

    walk->local = fold(walk->arena, key->local, strlen(key->local));
    walk->base = walk->local[base] == '\0' ? NULL : arena_strndup(walk->arena, walk->local, base);
    walk->domain = key->domain;
    if (key->kind == TABLE_KEY_RECIPIENT) {
        if (try_mailboxes(walk) || (key->bare_user && try_users(walk, PROBE_USER)))
            return;
        if (key->domain[0] != '\0')
            try(walk, PROBE_AT_DOMAIN, arena_printf(walk->arena, "@%s", key->domain));
        return;
    }
    /* Postfix's smtpd_null_access_lookup_key. */
    if (key->local[0] == '\0' && key->domain[0] == '\0') {
        try(walk, PROBE_TEXT, "<>");
        return;
    }
    if (try_mailboxes(walk) || try_domains(walk))
        return;
    /* access(5) has no such key, but who writes one means it. */
    if (key->domain[0] != '\0' &&
        try(walk, PROBE_AT_DOMAIN, arena_printf(walk->arena, "@%s", key->domain)))
        return;
    try_users(walk, PROBE_USER_AT);
}

static void walk_whole(const struct table_key *key, struct walk *walk)
{
    bool address = key->kind == TABLE_KEY_ADDRESS || key->kind == TABLE_KEY_RECIPIENT;

    if (!address)
        try(walk, key->kind == TABLE_KEY_DOMAIN ? PROBE_DOMAIN : PROBE_TEXT, key->text);
    else if (key->local[0] == '\0' && key->domain[0] == '\0')
        try(walk, PROBE_TEXT, "<>");
    else if (key->domain[0] == '\0')
        try(walk, PROBE_USER, key->local);
    else
        try(walk, PROBE_MAILBOX, arena_join(walk->arena, key->local, "@", key->domain));
}

void keys_walk(const struct table_key *key, bool whole, struct arena *arena, key_probe_fn *probe,
               void *arg)
{
    struct walk walk = {.arena = arena, .probe = probe, .arg = arg};
    char text[ADDR_TEXT_SIZE];

    if (key->kind == TABLE_KEY_ADDR) {
        if (key->addr.family != ADDR_NONE)
            probe(arg, PROBE_ADDR, addr_format(&key->addr, text), &key->addr);
    } else if (whole) {
        walk_whole(key, &walk);
    } else if (key->kind == TABLE_KEY_TEXT) {
        try(&walk, PROBE_TEXT, fold(arena, key->text, strlen(key->text)));
    } else if (key->kind == TABLE_KEY_DOMAIN) {
        walk.domain = fold(arena, key->text, strlen(key->text));
        try_domains(&walk);
    } else {
        walk_address(key, &walk);
    }
}
