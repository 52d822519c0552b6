/* SPDX-License-Identifier: MIT */
#include "from_header.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <postern/arena.h>
#include <postern/domain.h>
#include <postern/mailbox.h>

enum { LITERAL_MAX = 64 }; /* octets, brackets and all */

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,    /* an atom or a piece of one, an encoded word */
    TOKEN_QUOTED,  /* "...", quotes and all */
    TOKEN_LITERAL, /* [...] behind an '@' */
    TOKEN_MARK,    /* one of < > @ . , ; : */
};

struct token {
    enum token_kind kind;
    char mark; /* TOKEN_MARK */
    const char *at;
    size_t length;
    bool spaced; /* white space stands before it */
    bool apart;  /* white space or a comment does */
};

struct reader {
    struct arena *arena;
    struct from_header *from;
    const char *next, *end; /* what has not been read */
    const char *behind;     /* the end of the token before the current one */
    bool quotes;            /* '"' means something: all of them so far were closed */
    const char *torn;       /* the first '(' that is never closed: from there on none counts */
    struct token token;
    /* The words that would be the local part if an '@' came next, unquoted. */
    char *local;
    size_t local_length;
    const char *local_at; /* where they begin; NULL when there are none */
    bool after_dot;
    char *domain; /* room for reading a domain */
    char name[DOMAIN_SIZE];
    bool angled;   /* this mailbox has an address in brackets, and that could be read */
    bool shadowed; /* it has one without, which does not stand behind TORN */
    bool unclear;
};

/* ---- tokens ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_mark(char c)
{
    return c != '\0' && strchr("<>@.,;:", c) != NULL;
}

/* Behind the closing CLOSE of what begins at AT; NULL when it is never closed.  Comments nest. */
static const char *find_close(const char *at, const char *end, char open, char close)
{
    size_t depth = 0;

    for (; at < end; at++) {
        if (*at == '\\' && at + 1 < end)
            at++;
        else if (*at == open && (depth == 0 || open != close))
            depth++;
        else if (*at == close && --depth == 0)
            return at + 1;
    }
    return NULL;
}

/* White space and comments.  One that is never closed is none. */
static void skip_space(struct reader *reader, struct token *token)
{
    const char *close;

    for (; reader->next < reader->end; reader->next++) {
        if (*reader->next == '(' && reader->torn == NULL) {
            close = find_close(reader->next, reader->end, '(', ')');
            token->apart = true;
            if (close != NULL) {
                reader->next = close - 1;
                continue;
            }
            reader->torn = reader->next;
        }
        if (!is_blank(*reader->next) && *reader->next != '(' && *reader->next != ')')
            break;
        token->spaced = token->apart = true;
    }
}

/* RFC 2047 2: =?charset?encoding?text?=.  NULL when there is none at AT. */
static const char *find_encoded_end(const char *at, const char *end)
{
    unsigned marks = 0;

    if (end - at < 2 || at[0] != '=' || at[1] != '?')
        return NULL;
    for (at += 2; at < end && !is_blank(*at); at++) {
        if (*at != '?')
            continue;
        if (++marks == 3)
            return at + 1 < end && at[1] == '=' ? at + 2 : NULL;
    }
    return NULL;
}

static const char *find_literal_end(const char *at, const char *end)
{
    size_t length = (size_t)(end - at);
    const char *close = memchr(at, ']', length < LITERAL_MAX ? length : LITERAL_MAX);

    return close != NULL ? close + 1 : NULL;
}

static const char *find_word_end(const struct reader *reader, const char *at)
{
    for (at++; at < reader->end; at++) {
        if (is_blank(*at) || is_mark(*at) || *at == ')' || *at == '(')
            break;
        if (*at == '"' && reader->quotes)
            break;
    }
    return at;
}

/* In a DOMAIN there are literals, but no encoded words. */
static void advance(struct reader *reader, bool domain)
{
    struct token token = {.kind = TOKEN_WORD};
    const char *close = NULL;

    reader->behind = reader->next;
    skip_space(reader, &token);
    token.at = reader->next;
    if (reader->next == reader->end) {
        token.kind = TOKEN_END;
    } else if (is_mark(*reader->next)) {
        token.kind = TOKEN_MARK;
        token.mark = *reader->next;
        reader->next++;
    } else if (*reader->next == '"' && reader->quotes) {
        close = find_close(reader->next, reader->end, '"', '"');
        reader->quotes = close != NULL;
        token.kind = close != NULL ? TOKEN_QUOTED : TOKEN_WORD;
    } else if (*reader->next == '[' && domain) {
        close = find_literal_end(reader->next, reader->end);
        if (close != NULL)
            token.kind = TOKEN_LITERAL;
    } else if (!domain) {
        close = find_encoded_end(reader->next, reader->end);
    }
    if (close != NULL)
        reader->next = close;
    else if (token.kind == TOKEN_WORD)
        reader->next = find_word_end(reader, reader->next);
    token.length = (size_t)(reader->next - token.at);
    reader->token = token;
}

static bool is_at(const struct reader *reader, char mark)
{
    return reader->token.kind == TOKEN_MARK && reader->token.mark == mark;
}

static bool ends_element(const struct reader *reader)
{
    return reader->token.kind == TOKEN_END || is_at(reader, ',') || is_at(reader, ';');
}

/* ---- the words before an '@' ---- */

static void forget_local(struct reader *reader)
{
    reader->local_length = 0;
    reader->local_at = NULL;
    reader->after_dot = false;
}

/* Words that only stand side by side are a display name; the last of them could yet be a local
 * part. */
static void keep_local(struct reader *reader)
{
    const struct token *token = &reader->token;
    bool dot = token->kind == TOKEN_MARK;
    size_t i;

    if (token->apart && !dot && !reader->after_dot)
        forget_local(reader);
    if (reader->local_at == NULL)
        reader->local_at = token->at;
    reader->after_dot = dot;
    for (i = 0; i < token->length; i++) {
        if (token->kind == TOKEN_QUOTED && token->at[i] == '"')
            continue;
        if (token->kind == TOKEN_QUOTED && token->at[i] == '\\')
            i++;
        reader->local[reader->local_length++] = token->at[i];
    }
}

/* ---- addresses ---- */

static void add_author(struct from_header *from, struct from_author author)
{
    if (from->count > 0 && strcmp(author.domain, from->authors[0].domain) != 0)
        from->several_domains = true;
    if (from->count < FROM_AUTHORS_KEPT)
        from->authors[from->count] = author;
    from->count++;
}

/* Reads what stands behind an '@' into reader->domain; the token behind it becomes the current one.
 * Returns its length, 0 for none, and sets *literal. */
static size_t read_domain_text(struct reader *reader, bool *literal)
{
    size_t length = 0;
    bool dot = true; /* a label may come */

    advance(reader, true);
    *literal = reader->token.kind == TOKEN_LITERAL;
    if (*literal) {
        length = reader->token.length;
        memcpy(reader->domain, reader->token.at, length);
        advance(reader, false);
        return length;
    }
    while (is_at(reader, '.') || (reader->token.kind == TOKEN_WORD && dot)) {
        dot = is_at(reader, '.');
        memcpy(reader->domain + length, reader->token.at, reader->token.length);
        length += reader->token.length;
        advance(reader, true);
    }
    return length;
}

/* Whether the address could as well go on with the current token. */
static bool is_torn(const struct reader *reader, bool angle)
{
    const struct token *token = &reader->token;

    if (ends_element(reader) || is_at(reader, '>'))
        return false;
    if (angle || is_at(reader, '@'))
        return true;
    return !token->spaced && !is_at(reader, '<') && !is_at(reader, ':');
}

/* The author LOCAL@DOMAIN; the LENGTH octets of the domain stand in reader->domain. */
static struct from_author make_author(struct reader *reader, size_t length, bool literal)
{
    struct arena *arena = reader->arena;
    struct from_author author = {.sent = "", .address = "", .domain = ""};
    const char *local, *shown;

    if (!literal && domain_canonical(reader->domain, length, reader->name))
        author.domain = reader->name;
    else if (!literal)
        return author;
    if (reader->from->count >= FROM_AUTHORS_KEPT) /* it will only be counted */
        return author;
    local = arena_strndup(arena, reader->local, reader->local_length);
    if (literal)
        shown = arena_strndup(arena, reader->domain, length);
    else
        shown = author.domain = arena_strdup(arena, reader->name);
    author.address = mailbox_format(arena, local, shown);
    return author;
}

/* At an '@': reads the domain and counts the author.  An '@' with nothing behind it is no second
 * author to an address in brackets. */
static void read_address(struct reader *reader, bool angle)
{
    const char *at = reader->local_at != NULL ? reader->local_at : reader->token.at;
    bool good = reader->local_at != NULL;
    struct from_author author = {.sent = "", .address = "", .domain = ""};
    bool literal;
    size_t length;

    if (!angle && (reader->torn == NULL || reader->token.at < reader->torn))
        reader->shadowed = true;
    length = read_domain_text(reader, &literal);
    if (length == 0 && reader->angled && !is_torn(reader, angle)) {
        forget_local(reader);
        return;
    }
    while (is_torn(reader, angle)) {
        good = false;
        advance(reader, false);
    }
    if (good)
        author = make_author(reader, length, literal);
    if (!good || (!literal && author.domain[0] == '\0'))
        reader->from->bad = true;
    else if (angle)
        reader->angled = true;
    if (reader->from->count < FROM_AUTHORS_KEPT)
        author.sent = arena_strndup(reader->arena, at, (size_t)(reader->behind - at));
    add_author(reader->from, author);
    forget_local(reader);
}

/* RFC 5322 4.4: <@hop,@hop:local@domain>; the hops mean nothing. */
static void skip_route(struct reader *reader)
{
    while (reader->token.kind != TOKEN_END && !is_at(reader, ':') && !is_at(reader, '>'))
        advance(reader, false);
    if (is_at(reader, ':'))
        advance(reader, false);
}

/* At a '<': what is in brackets is the address, and what seemed to be one before it was the display
 * name: BEFORE is the state without that.  But who takes a comment that is never closed to reach to
 * the end sees only the one before it.  Returns whether there was an address. */
static bool read_angle(struct reader *reader, const struct from_header *before)
{
    advance(reader, false);
    forget_local(reader);
    if (is_at(reader, '@'))
        skip_route(reader);
    for (; !ends_element(reader) && !is_at(reader, '>') && !is_at(reader, '<');
         advance(reader, false)) {
        if (is_at(reader, '@')) {
            *reader->from = *before;
            if (reader->shadowed && reader->torn != NULL)
                reader->unclear = true;
            read_address(reader, true);
            return true;
        }
        if (is_at(reader, ':')) /* <mailto:john@example.org> */
            forget_local(reader);
        else
            keep_local(reader);
    }
    forget_local(reader);
    return false;
}

/* One mailbox, up to the comma or what else ends it.  Returns whether there was anything. */
static bool read_element(struct reader *reader)
{
    struct from_header before = *reader->from;
    bool bracketed = false;
    bool any = false;

    reader->angled = reader->shadowed = false;
    forget_local(reader);
    for (; !ends_element(reader) && !is_at(reader, ':'); any = true) {
        if (is_at(reader, '@')) {
            read_address(reader, false);
        } else if (is_at(reader, '<')) {
            if (bracketed)
                before = *reader->from;
            bracketed |= read_angle(reader, &before);
        } else {
            if (is_at(reader, '>'))
                forget_local(reader);
            else
                keep_local(reader);
            advance(reader, false);
        }
    }
    return any;
}

static void read_field(struct reader *reader)
{
    size_t count = reader->from->count;
    bool group = false; /* begun, and nothing but addresses and blanks in it so far */

    advance(reader, false);
    for (;;) {
        size_t before = reader->from->count;
        bool any = read_element(reader);

        if (is_at(reader, ':'))
            group = true;
        else if (any && reader->from->count == before)
            group = false;
        if (reader->token.kind == TOKEN_END)
            break;
        advance(reader, false);
    }
    /* RFC 6854: a group without members is a From field of no author. */
    if (reader->from->count == count && !group)
        reader->from->bad = true;
}

void from_header_add(struct from_header *from, struct arena *arena, const char *text, size_t length)
{
    struct reader reader = {
        .arena = arena, .from = from, .next = text, .end = text + length, .quotes = true};

    from->fields++;
    if (length > FROM_FIELD_MAX) {
        from->too_big = from->unclear = true;
        return;
    }
    /* Some readers would stop at the NUL. */
    reader.unclear = memchr(text, '\0', length) != NULL;
    reader.local = xmalloc(length + 1);
    reader.domain = xmalloc(length + 1);
    read_field(&reader);
    free(reader.local);
    free(reader.domain);
    if (reader.unclear)
        from->bad = from->unclear = true;
}

const char *from_header_domain(const struct from_header *from)
{
    if (from->count == 0 || from->several_domains || from->unclear)
        return "";
    return from->authors[0].domain;
}

bool from_header_is(const char *name)
{
    return strncasecmp(name, "From", 4) == 0 && name[4 + strspn(name + 4, " \t")] == '\0';
}
