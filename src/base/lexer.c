/* SPDX-License-Identifier: MIT */
#include <postern/lexer.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <postern/arena.h>
#include <postern/str.h>

struct lexer {
    const struct source *source;
    struct arena *arena;
    struct diag *diag;
    size_t pos;
    size_t line_start; /* where the current line begins in the text */
    uint32_t line;
    struct token look[2];
    unsigned looked;       /* how many of them are filled */
    struct place last_end; /* right behind the last token that was taken */
    bool moved;            /* a token was taken since the last lexer_skip_statement() */
    bool ends_at_line;     /* the last error was a ';' missing at the end of a line */
    struct str text;       /* of the string being read */
};

static const char *const kind_names[] = {
    [TOKEN_END] = "end of file", [TOKEN_WORD] = "a word",       [TOKEN_STRING] = "a string",
    [TOKEN_RAW] = "a string",    [TOKEN_OPEN] = "'{'",          [TOKEN_CLOSE] = "'}'",
    [TOKEN_LEFT] = "'('",        [TOKEN_RIGHT] = "')'",         [TOKEN_SEMICOLON] = "';'",
    [TOKEN_COMMA] = "','",       [TOKEN_EQ] = "'=='",           [TOKEN_NE] = "'!='",
    [TOKEN_LT] = "'<'",          [TOKEN_LE] = "'<='",           [TOKEN_GT] = "'>'",
    [TOKEN_GE] = "'>='",         [TOKEN_BAD] = "something bad",
};

const char *token_kind_name(enum token_kind kind)
{
    assert((size_t)kind < sizeof(kind_names) / sizeof(kind_names[0]));
    return kind_names[kind];
}

bool lexer_at_statement(struct lexer *lexer)
{
    static const char *const words[] = {"include", "table",  "condition", "rule",
                                        "disable", "listen", "dnsbl"};
    const struct token *token = lexer_peek(lexer);

    for (size_t i = 0; token->at.column == 1 && i < sizeof(words) / sizeof(words[0]); i++)
        if (token_is(token, words[i]))
            return true;
    return false;
}

bool token_is(const struct token *token, const char *word)
{
    return token->kind == TOKEN_WORD && strcmp(token->text, word) == 0;
}

struct diag *lexer_diag(struct lexer *lexer)
{
    return lexer->diag;
}

struct arena *lexer_arena(struct lexer *lexer)
{
    return lexer->arena;
}

/* ---- bytes ---- */

/* The byte AHEAD of the current one; -1 past the end. */
static int byte_at(const struct lexer *lexer, size_t ahead)
{
    size_t pos = lexer->pos + ahead;
    return pos < lexer->source->length ? (unsigned char)lexer->source->text[pos] : -1;
}

static bool is_word_byte(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c > 0 && strchr("._-/:@*%+[]~?&", c) != NULL);
}

bool lexer_is_bare_word(const char *text)
{
    if (text[0] == '\0')
        return false;
    while (is_word_byte((unsigned char)*text))
        text++;
    return *text == '\0';
}

/* Bytes with which a token or a comment can begin, and blanks. */
static bool is_known_byte(int c)
{
    return is_word_byte(c) || (c > 0 && strchr(" \t\r\n\"'{}();,=!<>#", c) != NULL);
}

/* The length of the UTF-8 character at TEXT, 0 when it is none (RFC 3629 section 4). */
static size_t utf8_length(const char *text, size_t left)
{
    const unsigned char *s = (const unsigned char *)text;
    unsigned char low = 0x80, high = 0xbf;
    size_t length;

    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        length = 2;
    else if (s[0] >= 0xe0 && s[0] <= 0xef)
        length = 3;
    else if (s[0] >= 0xf0 && s[0] <= 0xf4)
        length = 4;
    else
        return 0;
    /* Overlong forms, surrogates and what lies past U+10FFFF. */
    if (s[0] == 0xe0)
        low = 0xa0;
    else if (s[0] == 0xed)
        high = 0x9f;
    else if (s[0] == 0xf0)
        low = 0x90;
    else if (s[0] == 0xf4)
        high = 0x8f;
    if (left < length || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++) {
        if (s[i] < 0x80 || s[i] > 0xbf)
            return 0;
    }
    return length;
}

/* ---- places ---- */

static struct place place_at(const struct lexer *lexer, size_t pos, size_t width)
{
    return (struct place){
        .source = lexer->source,
        .line = lexer->line,
        .column = (uint32_t)(pos - lexer->line_start) + 1,
        .width = (uint32_t)width,
    };
}

static struct token bad_token(const struct place *at)
{
    return (struct token){.kind = TOKEN_BAD, .at = *at, .text = "", .length = 0};
}

static void new_line(struct lexer *lexer)
{
    lexer->line++;
    lexer->line_start = lexer->pos;
}

/* Goes to the end of the line, which is not taken. */
static void skip_line(struct lexer *lexer)
{
    const char *text = lexer->source->text + lexer->pos;
    size_t left = lexer->source->length - lexer->pos;
    const char *end = left == 0 ? NULL : memchr(text, '\n', left);
    size_t length = end == NULL ? left : (size_t)(end - text);

    /* Other bytes do no harm in a comment; a NUL stands there only when the file is damaged. */
    const char *nul = length == 0 ? NULL : memchr(text, '\0', length);
    if (nul != NULL) {
        struct place at = place_at(lexer, lexer->pos + (size_t)(nul - text), 1);
        diag_error(lexer->diag, &at, "NUL byte in a comment; the file is damaged or no text");
    }
    lexer->pos += length;
}

static void skip_blanks(struct lexer *lexer)
{
    for (;;) {
        int c = byte_at(lexer, 0);
        if (c == '\n') {
            lexer->pos++;
            new_line(lexer);
        } else if (c == ' ' || c == '\t' || (c == '\r' && byte_at(lexer, 1) == '\n')) {
            lexer->pos++;
        } else if (c == '#') {
            skip_line(lexer);
        } else {
            return;
        }
    }
}

/* ---- tokens ---- */

static struct token read_word(struct lexer *lexer)
{
    size_t start = lexer->pos;

    while (is_word_byte(byte_at(lexer, 0)))
        lexer->pos++;
    size_t length = lexer->pos - start;
    struct place at = place_at(lexer, start, length);
    if (length > TOKEN_MAX) {
        diag_error(lexer->diag, &at, "word of %zu bytes; the limit is %d", length, TOKEN_MAX);
        return bad_token(&at);
    }
    return (struct token){
        .kind = TOKEN_WORD,
        .at = at,
        .text = arena_strndup(lexer->arena, lexer->source->text + start, length),
        .length = length,
    };
}

/* Says what cannot stand in a string at POS, where a character of LENGTH bytes begins (0: no
 * character). */
static void report_string_byte(struct lexer *lexer, size_t pos, size_t length)
{
    struct place at = place_at(lexer, pos, 1);
    int c = (unsigned char)lexer->source->text[pos];

    if (length == 0)
        diag_error(lexer->diag, &at, "byte 0x%02x is not UTF-8; write the file in UTF-8", c);
    else
        diag_error(lexer->diag, &at, "control character 0x%02x in a string", c);
}

/* A string ends on its own line: a forgotten quote then costs one statement, not the file. */
static struct token read_string(struct lexer *lexer, char quote)
{
    size_t start = lexer->pos++;
    bool bad = false;

    str_clear(&lexer->text);
    for (;;) {
        int c = byte_at(lexer, 0);
        if (c == -1 || c == '\n' || (c == '\r' && byte_at(lexer, 1) == '\n')) {
            struct place at = place_at(lexer, start, lexer->pos - start);
            diag_error(lexer->diag, &at, "the string has no closing %c on its line", quote);
            return bad_token(&at);
        }
        if (c == quote)
            break;
        int next = byte_at(lexer, 1);
        if (quote == '"' && c == '\\' && (next == '"' || next == '\\'))
            lexer->pos++;
        const char *text = lexer->source->text + lexer->pos;
        size_t length = utf8_length(text, lexer->source->length - lexer->pos);
        bool control = length == 1 && (*text == 0x7f || (*text < ' ' && *text != '\t'));
        if ((length == 0 || control) && !bad) {
            report_string_byte(lexer, lexer->pos, length);
            bad = true;
        }
        if (length == 0)
            length = 1;
        if (!bad && lexer->text.length <= TOKEN_MAX)
            str_add_bytes(&lexer->text, text, length);
        lexer->pos += length;
    }
    lexer->pos++;
    struct place at = place_at(lexer, start, lexer->pos - start);
    if (!bad && lexer->text.length > TOKEN_MAX) {
        diag_error(lexer->diag, &at, "string of more than %d bytes", TOKEN_MAX);
        bad = true;
    }
    if (bad)
        return bad_token(&at);
    return (struct token){
        .kind = quote == '"' ? TOKEN_STRING : TOKEN_RAW,
        .at = at,
        .text = arena_strndup(lexer->arena, str_text(&lexer->text), lexer->text.length),
        .length = lexer->text.length,
    };
}

/* A run of bytes that begin nothing: one message for all of them. */
static struct token read_unknown(struct lexer *lexer)
{
    size_t start = lexer->pos;
    const char *text = lexer->source->text + start;
    int c = (unsigned char)*text;
    size_t length = utf8_length(text, lexer->source->length - start);

    do {
        lexer->pos++;
    } while (byte_at(lexer, 0) != -1 && !is_known_byte(byte_at(lexer, 0)));
    struct place at = place_at(lexer, start, lexer->pos - start);
    if (c == '\0') {
        diag_error(lexer->diag, &at, "NUL byte; the file is damaged or no text");
        /* What comes behind it is noise: UTF-16 has one at every second place. */
        lexer->pos = lexer->source->length;
    } else if (length == 0 && start == 0 && (c == 0xff || c == 0xfe)) {
        diag_error(lexer->diag, &at, "this is UTF-16; save the file in UTF-8");
        lexer->pos = lexer->source->length;
    } else if (length == 0)
        diag_error(lexer->diag, &at, "byte 0x%02x is not UTF-8; write the file in UTF-8", c);
    else if (length == 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        diag_error(lexer->diag, &at, "byte order mark; save the file without it");
    else if (length == 3 && memcmp(text, "\xe2\x80", 2) == 0 && (text[2] & 0xf8) == 0x98)
        diag_error(lexer->diag, &at, "typographic quote; strings stand in plain \" or '");
    else if (length > 1)
        diag_error(lexer->diag, &at, "character outside ASCII; it may stand only in a string");
    else if (c < ' ' || c == 0x7f)
        diag_error(lexer->diag, &at, "control character 0x%02x", c);
    else if (c == '|')
        diag_error(lexer->diag, &at, "unexpected '|'; conditions are joined with 'or'");
    else
        diag_error(lexer->diag, &at, "unexpected '%c'; a text with it stands in quotes", c);
    return bad_token(&at);
}

static struct token symbol(struct lexer *lexer, enum token_kind kind, const char *text)
{
    size_t start = lexer->pos;

    lexer->pos += strlen(text);
    return (struct token){
        .kind = kind,
        .at = place_at(lexer, start, strlen(text)),
        .text = text,
        .length = strlen(text),
    };
}

static struct token bad_symbol(struct lexer *lexer, size_t length, const char *remedy)
{
    struct place at = place_at(lexer, lexer->pos, length);
    const char *symbol = lexer->source->text + lexer->pos;

    diag_error(lexer->diag, &at, "unexpected '%.*s'; %s", (int)length, symbol, remedy);
    lexer->pos += length;
    return bad_token(&at);
}

/* A word may hold the byte, but none is made of these two alone. */
static bool is_double_ampersand(const struct lexer *lexer)
{
    return byte_at(lexer, 0) == '&' && byte_at(lexer, 1) == '&' && !is_word_byte(byte_at(lexer, 2));
}

static struct token read_token(struct lexer *lexer)
{
    skip_blanks(lexer);
    bool equal = byte_at(lexer, 0) != -1 && byte_at(lexer, 1) == '=';
    int c = byte_at(lexer, 0);

    switch (c) {
    case -1:
        return symbol(lexer, TOKEN_END, "");
    case '{':
        return symbol(lexer, TOKEN_OPEN, "{");
    case '}':
        return symbol(lexer, TOKEN_CLOSE, "}");
    case '(':
        return symbol(lexer, TOKEN_LEFT, "(");
    case ')':
        return symbol(lexer, TOKEN_RIGHT, ")");
    case ';':
        return symbol(lexer, TOKEN_SEMICOLON, ";");
    case ',':
        return symbol(lexer, TOKEN_COMMA, ",");
    case '<':
        return equal ? symbol(lexer, TOKEN_LE, "<=") : symbol(lexer, TOKEN_LT, "<");
    case '>':
        return equal ? symbol(lexer, TOKEN_GE, ">=") : symbol(lexer, TOKEN_GT, ">");
    case '=':
        return equal ? symbol(lexer, TOKEN_EQ, "==")
                     : bad_symbol(lexer, 1, "equality is '==', and options take no '='");
    case '!':
        return equal ? symbol(lexer, TOKEN_NE, "!=")
                     : bad_symbol(lexer, 1, "negation is 'not', inequality '!='");
    case '"':
    case '\'':
        return read_string(lexer, (char)c);
    default:
        if (is_double_ampersand(lexer))
            return bad_symbol(lexer, 2, "conditions are joined with 'and'");
        return is_word_byte(c) ? read_word(lexer) : read_unknown(lexer);
    }
}

/* ---- the parser's view ---- */

struct lexer *lexer_new(const struct source *source, struct arena *arena, struct diag *diag)
{
    struct lexer *lexer = xcalloc(1, sizeof(*lexer));

    *lexer = (struct lexer){.source = source, .arena = arena, .diag = diag, .line = 1};
    lexer->last_end = place_at(lexer, 0, 1);
    return lexer;
}

void lexer_free(struct lexer *lexer)
{
    if (lexer == NULL)
        return;
    str_free(&lexer->text);
    free(lexer);
}

const struct token *lexer_peek(struct lexer *lexer)
{
    if (lexer->looked == 0)
        lexer->look[lexer->looked++] = read_token(lexer);
    return &lexer->look[0];
}

const struct token *lexer_peek2(struct lexer *lexer)
{
    lexer_peek(lexer);
    if (lexer->looked == 1)
        lexer->look[lexer->looked++] = read_token(lexer);
    return &lexer->look[1];
}

struct token lexer_next(struct lexer *lexer)
{
    struct token token = *lexer_peek(lexer);

    lexer->look[0] = lexer->look[1];
    lexer->looked--;
    lexer->moved = true;
    lexer->ends_at_line = false;
    lexer->last_end = token.at;
    lexer->last_end.column += token.at.width;
    lexer->last_end.width = 1;
    return token;
}

bool lexer_accept(struct lexer *lexer, enum token_kind kind)
{
    if (lexer_peek(lexer)->kind != kind)
        return false;
    lexer_next(lexer);
    return true;
}

bool lexer_expect(struct lexer *lexer, enum token_kind kind, const char *what)
{
    const struct token *found = lexer_peek(lexer);

    if (lexer_accept(lexer, kind))
        return true;
    bool other_line = found->at.line != lexer->last_end.line;
    if (found->kind == TOKEN_BAD)
        return false; /* it was reported when it was read */
    if (found->kind == TOKEN_END)
        diag_error(lexer->diag, &lexer->last_end, "expected %s, found the end of the file", what);
    else if (other_line)
        diag_error(lexer->diag, &lexer->last_end, "expected %s", what);
    else if (found->kind == TOKEN_WORD)
        diag_error(lexer->diag, &found->at, "expected %s, found '%s'", what, found->text);
    else
        diag_error(lexer->diag, &found->at, "expected %s, found %s", what,
                   token_kind_name(found->kind));
    lexer->ends_at_line = kind == TOKEN_SEMICOLON && other_line && lexer->moved;
    return false;
}

struct place lexer_behind(const struct lexer *lexer)
{
    return lexer->last_end;
}

/* Whether a statement can go on with this token behind a '}': `when x in { a, b } and y;`. */
static bool continues_condition(const struct token *token)
{
    return token->kind == TOKEN_RIGHT || token->kind == TOKEN_COMMA || token_is(token, "and") ||
           token_is(token, "or");
}

void lexer_skip_statement(struct lexer *lexer)
{
    size_t depth = 0;
    bool done = lexer->ends_at_line;

    while (!done) {
        enum token_kind kind = lexer_peek(lexer)->kind;
        if (kind == TOKEN_END || (kind == TOKEN_CLOSE && depth == 0))
            break;
        lexer_next(lexer);
        if (kind == TOKEN_OPEN) {
            depth++;
        } else if (kind == TOKEN_CLOSE && --depth == 0) {
            done = !continues_condition(lexer_peek(lexer));
            lexer_accept(lexer, TOKEN_SEMICOLON);
        } else if (kind == TOKEN_SEMICOLON && depth == 0) {
            done = true;
        }
    }
    lexer->ends_at_line = false;
    lexer->moved = false;
}
