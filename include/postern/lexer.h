/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_LEXER_H
#define POSTERN_LEXER_H

#include <postern/diag.h>

struct arena;

/*
 * The configuration language's words.  One lexer serves the file and the conditions in it.
 * Bare words are runs of letters, digits and . _ - / : @ * % + [ ] ~ ? & ; strings stand in double
 * quotes with \" and \\ as the only escapes (any other backslash is itself, so that "a\nb" holds
 * the two characters that a reply's text wants there); raw strings stand in single quotes without
 * any.  A string ends on its own line.  A # outside strings begins a comment.  Lines end with LF or
 * CRLF.
 *
 * What is no text (NULs, control characters, bytes that are not UTF-8) is an error with its place;
 * characters outside ASCII may stand in strings and comments only.  A lexer belongs to one thread.
 */
enum token_kind {
    TOKEN_END,    /* end of input */
    TOKEN_WORD,   /* bare word */
    TOKEN_STRING, /* "..." , escapes resolved */
    TOKEN_RAW,    /* '...' */
    TOKEN_OPEN,   /* { */
    TOKEN_CLOSE,  /* } */
    TOKEN_LEFT,   /* ( */
    TOKEN_RIGHT,  /* ) */
    TOKEN_SEMICOLON,
    TOKEN_COMMA,
    TOKEN_EQ, /* == */
    TOKEN_NE, /* != */
    TOKEN_LT,
    TOKEN_LE,
    TOKEN_GT,
    TOKEN_GE,
    TOKEN_BAD, /* already reported */
};

struct token {
    enum token_kind kind;
    struct place at;
    const char *text; /* WORD, STRING, RAW: NUL-terminated, in the arena; else the symbol itself */
    size_t length;
};

enum { TOKEN_MAX = 65536 }; /* a longer word or string is an error */

struct lexer;

/* A lexer over SOURCE, which must outlive all tokens.  Tokens' texts go to ARENA. */
struct lexer *lexer_new(const struct source *source, struct arena *arena, struct diag *diag);
void lexer_free(struct lexer *lexer);

/* Looks at the next token, or at the one behind it, without taking it; takes the next one. At the
 * end of input TOKEN_END comes again and again. */
const struct token *lexer_peek(struct lexer *lexer);
const struct token *lexer_peek2(struct lexer *lexer);
struct token lexer_next(struct lexer *lexer);

/* Takes the next token if it is of KIND. */
bool lexer_accept(struct lexer *lexer, enum token_kind kind);

/* Takes a token of KIND or reports "expected WHAT" at the place (right behind the last token where
 * the next one stands on another line) and takes nothing. */
bool lexer_expect(struct lexer *lexer, enum token_kind kind, const char *what);

/* After an error: goes past the end of the statement, which is its ';', or its whole { } block with
 * a ';' behind it, or just before a '}' that closes what is around it.  Where lexer_expect() has
 * just missed a
 * ';' at the end of a line, the statement counts as ended there.  Takes nothing at a '}' or at the
 * end of input: a parser's loop over the top level has to take a stray '}' itself. */
void lexer_skip_statement(struct lexer *lexer);

/* Whether the next token begins a statement that stands outside of all braces only (include, table,
 * condition, rule, disable, listen, dnsbl), at the beginning of a line: inside of braces it tells
 * that a '}' above is missing. */
bool lexer_at_statement(struct lexer *lexer);

/* The place right behind the last token that was taken. */
struct place lexer_behind(const struct lexer *lexer);

/* "';'", "'{'", "a word" ... for messages. */
const char *token_kind_name(enum token_kind kind);

/* Whether the token is a bare word with this text. */
bool token_is(const struct token *token, const char *word);

/* Whether TEXT could stand as one bare word (not empty, none but the bytes above). */
bool lexer_is_bare_word(const char *text);

struct diag *lexer_diag(struct lexer *lexer);
struct arena *lexer_arena(struct lexer *lexer);

#endif
