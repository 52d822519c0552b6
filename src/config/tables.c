/* SPDX-License-Identifier: MIT */
#include "config_private.h"

#include <postern/table.h>

#include <stdlib.h>

static void add_entry(struct reading *reading, struct table_statement *table, size_t *room,
                      const struct token *token)
{
    if (table->count == *room) {
        size_t more = *room == 0 ? 16 : *room * 2;
        const char **entries = arena_alloc(reading->arena, more * sizeof(entries[0]));
        struct place *places = arena_alloc(reading->arena, more * sizeof(places[0]));
        if (table->count > 0) {
            memcpy(entries, table->entries, table->count * sizeof(entries[0]));
            memcpy(places, table->places, table->count * sizeof(places[0]));
        }
        table->entries = entries;
        table->places = places;
        *room = more;
    }
    table->entries[table->count] = token->text;
    table->places[table->count++] = token->at;
}

/* "{ ENTRY; ENTRY; }", the '{' taken. */
static void parse_entries(struct reading *reading, struct lexer *lexer,
                          struct table_statement *table)
{
    size_t room = 0;
    while (!lexer_accept(lexer, TOKEN_CLOSE)) {
        const struct token *token = lexer_peek(lexer);
        if (token->kind == TOKEN_END || lexer_at_statement(lexer)) {
            diag_error(reading->diag, &table->at, "table '%s' has no closing '}'", table->name);
            return;
        }
        if (token->kind == TOKEN_WORD || token->kind == TOKEN_STRING) {
            struct token entry = lexer_next(lexer);
            add_entry(reading, table, &room, &entry);
            if (lexer_peek(lexer)->kind == TOKEN_CLOSE || lexer_accept(lexer, TOKEN_SEMICOLON))
                continue;
            token = lexer_peek(lexer);
            if (token->kind == TOKEN_WORD || token->kind == TOKEN_STRING)
                diag_error(
                    reading->diag, &token->at,
                    "expected ';' behind the entry, found '%s'; entries with values stand in "
                    "a file: table %s file:PATH;",
                    token->text, table->name);
            else
                lexer_expect(lexer, TOKEN_SEMICOLON, "';' behind the entry");
        } else if (token->kind != TOKEN_BAD) {
            diag_error(reading->diag, &token->at, "expected a network, an address or a name");
        }
        lexer_skip_statement(lexer);
    }
}

/* Where the table of this name, which there is, was written first. */
static const struct place *place_of_table(const struct reading *reading, const char *name)
{
    size_t i = 0;
    while (strcmp(reading->tables[i].name, name) != 0)
        i++;
    return &reading->tables[i].at;
}

void config_parse_table(struct reading *reading, struct lexer *lexer, const struct token *head)
{
    struct token name = lexer_next(lexer);
    if (name.kind != TOKEN_WORD) {
        if (name.kind != TOKEN_BAD)
            diag_error(reading->diag, &name.at,
                       "expected a name after table: table NAME { ... } or table NAME TYPE:FILE;");
        lexer_skip_statement(lexer);
        return;
    }
    struct table_statement table = {.name = name.text, .at = name.at};
    if (lexer_accept(lexer, TOKEN_OPEN)) {
        parse_entries(reading, lexer, &table);
    } else {
        struct token spec = lexer_next(lexer);
        if (spec.kind != TOKEN_WORD && spec.kind != TOKEN_STRING) {
            if (spec.kind != TOKEN_BAD)
                diag_error(reading->diag, &spec.at, "expected '{' or TYPE:FILE, such as file:%s",
                           name.text);
            lexer_skip_statement(lexer);
            return;
        }
        table.spec = spec.text;
        table.spec_at = spec.at;
        if (!lexer_expect(lexer, TOKEN_SEMICOLON, "';'"))
            lexer_skip_statement(lexer);
    }
    if (map_get(reading->table_names, name.text) != NULL) {
        const struct place *first = place_of_table(reading, name.text);
        diag_error(reading->diag, &name.at, "there is a table '%s' already, in line %u of %s",
                   name.text, first->line, first->source->path);
        return;
    }
    (void)head;
    if (reading->table_count == reading->table_room) {
        reading->table_room = reading->table_room == 0 ? 16 : reading->table_room * 2;
        reading->tables =
            xrealloc(reading->tables, reading->table_room * sizeof(reading->tables[0]));
    }
    reading->tables[reading->table_count++] = table;
    map_set(reading->table_names, name.text, (void *)(uintptr_t)name.text);
}

void config_open_tables(struct reading *reading, const char *base_dir)
{
    struct config_all *all = reading->all;
    struct config_table *opened =
        arena_alloc(reading->arena, (reading->table_count + 1) * sizeof(opened[0]));
    size_t count = 0;
    for (size_t i = 0; i < reading->table_count; i++) {
        const struct table_statement *from = &reading->tables[i];
        struct table *table =
            from->spec == NULL
                ? table_open_inline(from->name, from->entries, from->places, from->count,
                                    reading->diag)
                : table_open(from->name, from->spec, base_dir, &from->spec_at, reading->diag);
        if (table == NULL)
            continue;
        opened[count].name = from->name;
        opened[count].table = table;
        opened[count].at = from->at;
        map_set(all->tables_by_name, from->name, table);
        count++;
    }
    all->config.tables = opened;
    all->config.table_count = count;
}
