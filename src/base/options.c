/* SPDX-License-Identifier: MIT */
#include <postern/options.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <postern/arena.h>

#include "option_values.h"

enum { ROWS_MAX = 64 }; /* block_head.set has a bit for each */

static void *member(void *block, const struct option_row *row)
{
    return (char *)block + row->offset;
}

/* ---- defaults ---- */

static void set_list(struct arena *arena, struct option_list *list, const char *text)
{
    size_t limit = strlen(text) / 2 + 1;

    list->items = arena_alloc(arena, (limit + 1) * sizeof(*list->items));
    list->count = words_split(arena, text, list->items, limit);
    list->places = arena_alloc(arena, (list->count + 1) * sizeof(*list->places));
}

/* A fallback that does not fit its own row is our mistake. */
static void set_default(struct arena *arena, const struct option_row *row, void *dest)
{
    const char *text = row->fallback;

    if (text == NULL)
        return;
    if (row->type == OPTION_LIST) {
        set_list(arena, dest, text);
    } else if (option_is_text(row->type)) {
        size_t length = strlen(text);
        bool quoted = length >= 2 && text[0] == '"' && text[length - 1] == '"';
        *(const char **)dest =
            quoted ? arena_strndup(arena, text + 1, length - 2) : arena_strdup(arena, text);
    } else {
        int64_t number;
        bool fits = option_read_scalar(arena, row, text, &number) == NULL;
        assert(fits);
        (void)fits;
        option_store_scalar(row, number, dest);
    }
}

void *options_defaults(const struct option_block *kind, struct arena *arena)
{
    void *block = arena_alloc(arena, kind->size);

    assert(kind->row_count <= ROWS_MAX && kind->size >= sizeof(struct block_head));
    ((struct block_head *)block)->name = "";
    for (size_t i = 0; i < kind->row_count; i++)
        set_default(arena, &kind->rows[i], member(block, &kind->rows[i]));
    return block;
}

/* ---- values ---- */

static bool is_text(const struct token *token)
{
    return token->kind == TOKEN_WORD || token->kind == TOKEN_STRING || token->kind == TOKEN_RAW;
}

/* A list while it grows. */
struct growing {
    const char **items;
    struct place *places;
    size_t count;
    size_t room;
};

static void grow(struct growing *list, const struct token *token)
{
    if (list->count == list->room) {
        list->room = list->room == 0 ? 16 : 2 * list->room;
        list->items = xrealloc(list->items, list->room * sizeof(*list->items));
        list->places = xrealloc(list->places, list->room * sizeof(*list->places));
    }
    list->items[list->count] = token->text;
    list->places[list->count++] = token->at;
}

/* "{ a; b; }"; a ';' behind it is taken too. */
static bool read_braced(struct lexer *lexer, struct growing *list)
{
    lexer_next(lexer);
    while (!lexer_accept(lexer, TOKEN_CLOSE)) {
        if (!is_text(lexer_peek(lexer)))
            return lexer_expect(lexer, TOKEN_WORD, "a value or '}'");
        struct token token = lexer_next(lexer);
        grow(list, &token);
        if (!lexer_expect(lexer, TOKEN_SEMICOLON, "';' behind each value"))
            return false;
    }
    lexer_accept(lexer, TOKEN_SEMICOLON);
    return true;
}

const struct option_row *options_find(const struct option_block *kind, const char *name)
{
    for (size_t i = 0; i < kind->row_count; i++) {
        if (strcmp(kind->rows[i].name, name) == 0)
            return &kind->rows[i];
    }
    return NULL;
}

/* Whether TOKEN begins the next option: where a ';' was forgotten, a list would swallow it in
 * silence. */
static bool begins_option(const struct option_block *kind, const struct token *token, uint32_t line)
{
    return kind != NULL && token->kind == TOKEN_WORD && token->at.line != line &&
           options_find(kind, token->text) != NULL;
}

/* "a b c;" */
static bool read_plain(struct lexer *lexer, const struct option_block *kind, struct growing *list)
{
    uint32_t line = lexer_peek(lexer)->at.line;

    if (!is_text(lexer_peek(lexer)))
        return lexer_expect(lexer, TOKEN_WORD, "at least one value");
    while (is_text(lexer_peek(lexer)) && !begins_option(kind, lexer_peek(lexer), line)) {
        struct token token = lexer_next(lexer);
        line = token.at.line;
        grow(list, &token);
    }
    if (lexer_peek(lexer)->kind == TOKEN_COMMA) {
        diag_error(lexer_diag(lexer), &lexer_peek(lexer)->at,
                   "values of a list stand side by side, without commas");
        return false;
    }
    return lexer_expect(lexer, TOKEN_SEMICOLON, "';'");
}

static bool read_list(struct lexer *lexer, const struct option_block *kind,
                      struct option_list *dest)
{
    struct arena *arena = lexer_arena(lexer);
    struct growing list = {0};
    bool braced = lexer_peek(lexer)->kind == TOKEN_OPEN;
    bool good = braced ? read_braced(lexer, &list) : read_plain(lexer, kind, &list);

    if (good) {
        const char **items = arena_alloc(arena, (list.count + 1) * sizeof(*items));
        struct place *places = arena_alloc(arena, (list.count + 1) * sizeof(*places));
        if (list.count > 0) {
            memcpy(items, list.items, list.count * sizeof(*items));
            memcpy(places, list.places, list.count * sizeof(*places));
        }
        *dest = (struct option_list){.items = items, .count = list.count, .places = places};
    }
    free(list.items);
    free(list.places);
    return good;
}

static bool read_text(struct lexer *lexer, const struct option_row *row, const char **dest)
{
    bool table = row->type == OPTION_TABLE;
    const struct token *token = lexer_peek(lexer);

    if (table ? token->kind != TOKEN_WORD : !is_text(token))
        return lexer_expect(lexer, TOKEN_WORD, table ? "the name of a table" : "a word or string");
    *dest = lexer_next(lexer).text;
    return lexer_expect(lexer, TOKEN_SEMICOLON, "';'");
}

static bool read_scalar(struct lexer *lexer, const struct option_row *row, void *dest)
{
    struct arena *arena = lexer_arena(lexer);
    int64_t number;

    if (lexer_peek(lexer)->kind != TOKEN_WORD)
        return lexer_expect(lexer, TOKEN_WORD, option_scalar_wanted(arena, row));
    struct token token = lexer_next(lexer);
    const char *problem = option_read_scalar(arena, row, token.text, &number);
    if (problem != NULL) {
        diag_error(lexer_diag(lexer), &token.at, "%s: %s", row->name, problem);
        return false;
    }
    if (!lexer_expect(lexer, TOKEN_SEMICOLON, "';'"))
        return false;
    option_store_scalar(row, number, dest);
    return true;
}

/* KIND: the block around it, or NULL. */
static bool parse_value(struct lexer *lexer, const struct option_block *kind,
                        const struct option_row *row, void *dest)
{
    bool good;

    if (row->type == OPTION_LIST)
        good = read_list(lexer, kind, dest);
    else if (option_is_text(row->type))
        good = read_text(lexer, row, dest);
    else
        good = read_scalar(lexer, row, dest);
    if (!good)
        lexer_skip_statement(lexer);
    return good;
}

bool options_parse_value(struct lexer *lexer, const struct option_row *row, void *dest)
{
    return parse_value(lexer, NULL, row, dest);
}

/* ---- blocks ---- */

struct reader {
    struct lexer *lexer;
    const struct option_block *kind;
    struct block_head *block;
    struct place places[ROWS_MAX]; /* where each row was set first */
};

static void report_unknown(const struct reader *reader, const struct token *name)
{
    const struct option_block *kind = reader->kind;
    const char *names[ROWS_MAX];

    for (size_t i = 0; i < kind->row_count; i++)
        names[i] = kind->rows[i].name;
    const char *nearest = words_nearest(name->text, names, kind->row_count);
    if (nearest != NULL)
        diag_error(lexer_diag(reader->lexer), &name->at,
                   "unknown option '%s' of '%s'; did you mean '%s'?", name->text, kind->kind,
                   nearest);
    else
        diag_error(lexer_diag(reader->lexer), &name->at, "unknown option '%s' of '%s'", name->text,
                   kind->kind);
}

static void read_row(struct reader *reader)
{
    struct lexer *lexer = reader->lexer;

    if (lexer_peek(lexer)->kind != TOKEN_WORD) {
        lexer_expect(lexer, TOKEN_WORD, "the name of an option or '}'");
        lexer_skip_statement(lexer);
        return;
    }
    struct token name = lexer_next(lexer);
    const struct option_row *row = options_find(reader->kind, name.text);
    if (row == NULL) {
        report_unknown(reader, &name);
        lexer_skip_statement(lexer);
        return;
    }
    size_t index = (size_t)(row - reader->kind->rows);
    uint64_t bit = (uint64_t)1 << index;
    if (reader->block->set & bit) {
        diag_error(lexer_diag(lexer), &name.at, "'%s' is set twice; first in line %u%s", row->name,
                   (unsigned)reader->places[index].line,
                   row->type == OPTION_LIST ? "; put all values into one statement" : "");
        lexer_skip_statement(lexer);
        return;
    }
    /* A value that does not fit counts as set too: "needs" would be noise after the error. */
    reader->block->set |= bit;
    reader->places[index] = name.at;
    parse_value(lexer, reader->kind, row, member(reader->block, row));
}

static void keep_places(const struct reader *reader)
{
    size_t size = reader->kind->row_count * sizeof(struct place);
    struct place *places = arena_alloc(lexer_arena(reader->lexer), size);

    memcpy(places, reader->places, size);
    reader->block->places = places;
}

static void report_missing(const struct reader *reader)
{
    const struct option_block *kind = reader->kind;
    const struct block_head *block = reader->block;

    for (size_t i = 0; i < kind->row_count; i++) {
        const struct option_row *row = &kind->rows[i];
        if (!row->required || (block->set & (uint64_t)1 << i))
            continue;
        if (block->name[0] != '\0')
            diag_error(lexer_diag(reader->lexer), &block->at, "%s '%s' needs '%s' (%s)", kind->kind,
                       block->name, row->name, row->help);
        else
            diag_error(lexer_diag(reader->lexer), &block->at, "%s needs '%s' (%s)", kind->kind,
                       row->name, row->help);
    }
}

void *options_parse_block(struct lexer *lexer, const struct option_block *kind,
                          const struct token *head, const char *name)
{
    struct diag *diag = lexer_diag(lexer);
    unsigned errors = diag_errors(diag);
    struct reader reader = {
        .lexer = lexer, .kind = kind, .block = options_defaults(kind, lexer_arena(lexer))};

    reader.block->name = name != NULL ? arena_strdup(lexer_arena(lexer), name) : "";
    reader.block->at = head->at;
    if (!lexer_expect(lexer, TOKEN_OPEN, "'{'")) {
        lexer_skip_statement(lexer);
        return reader.block;
    }
    while (lexer_peek(lexer)->kind != TOKEN_CLOSE && lexer_peek(lexer)->kind != TOKEN_END &&
           !lexer_at_statement(lexer))
        read_row(&reader);
    keep_places(&reader);
    bool closed = lexer_accept(lexer, TOKEN_CLOSE);
    if (!closed)
        diag_error(diag, &head->at, "the block of this '%s' has no closing '}'", kind->kind);
    else
        report_missing(&reader);
    if (diag_errors(diag) == errors && kind->check != NULL)
        kind->check(reader.block, lexer_arena(lexer), diag);
    return reader.block;
}

const char *options_format(struct arena *arena, const struct option_row *row, const void *block)
{
    const void *source = (const char *)block + row->offset;

    if (row->type == OPTION_LIST)
        return option_format_list(arena, source);
    if (option_is_text(row->type))
        return option_format_text(arena, *(const char *const *)source);
    return option_format_scalar(arena, row, source);
}
