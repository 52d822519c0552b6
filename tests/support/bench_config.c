/* SPDX-License-Identifier: MIT */
#include "bench_config.h"

#include <assert.h>
#include <string.h>

#include <postern/arena.h>
#include <postern/table.h>

enum { TABLES_MAX = 8, KINDS_MAX = 4, ENTRIES_MAX = 16 };

struct bench_config {
    struct check_site site;
    const struct option_block *kinds[KINDS_MAX];
    struct block_head *blocks[KINDS_MAX]; /* of each kind */
    size_t kind_count;
    struct table *tables[TABLES_MAX];
    size_t table_count;
};

static const struct bench_config *config_of(const struct check_site *site)
{
    return (const struct bench_config *)(const void *)((const char *)site -
                                                       offsetof(struct bench_config, site));
}

static const struct block_head *site_blocks(const struct check_site *site, const char *kind)
{
    const struct bench_config *config = config_of(site);
    size_t i;

    for (i = 0; i < config->kind_count; i++)
        if (strcmp(config->kinds[i]->kind, kind) == 0)
            return config->blocks[i];
    return NULL;
}

static struct table *site_table(const struct check_site *site, const char *name)
{
    const struct bench_config *config = config_of(site);
    size_t i;

    for (i = 0; i < config->table_count; i++)
        if (strcmp(table_name(config->tables[i]), name) == 0)
            return config->tables[i];
    return NULL;
}

static void read_table(struct bench_config *config, struct lexer *lexer)
{
    struct token name = lexer_next(lexer);
    struct token token = lexer_next(lexer);
    const char *entries[ENTRIES_MAX];
    struct place places[ENTRIES_MAX];
    size_t count = 0;
    struct table *table;

    if (token.kind != TOKEN_OPEN) {
        table =
            table_open(name.text, token.text, config->site.base_dir, &token.at, config->site.diag);
        lexer_expect(lexer, TOKEN_SEMICOLON, "';'");
    } else {
        while ((token = lexer_next(lexer)).kind != TOKEN_CLOSE) {
            assert(token.kind == TOKEN_WORD || token.kind == TOKEN_STRING);
            assert(count < ENTRIES_MAX);
            places[count] = token.at;
            entries[count++] = token.text;
            lexer_expect(lexer, TOKEN_SEMICOLON, "';'");
        }
        table = table_open_inline(name.text, entries, places, count, config->site.diag);
    }
    assert(table != NULL && config->table_count < TABLES_MAX);
    config->tables[config->table_count++] = table;
}

static void read_block(struct bench_config *config, struct lexer *lexer, const struct token *head)
{
    struct block_head **link;
    struct block_head *block;
    const char *name = "";
    size_t i;

    for (i = 0; i < config->kind_count; i++)
        if (token_is(head, config->kinds[i]->kind))
            break;
    assert(i < config->kind_count);
    if (config->kinds[i]->named)
        name = lexer_next(lexer).text;
    block = options_parse_block(lexer, config->kinds[i], head, name);
    for (link = &config->blocks[i]; *link != NULL; link = &(*link)->next) {
    }
    *link = block;
}

static void read_text(struct bench_config *config, const char *text)
{
    struct source *source = arena_alloc(config->site.arena, sizeof(*source));
    struct lexer *lexer;
    size_t i;

    *source = (struct source){"test.conf", text, strlen(text)};
    lexer = lexer_new(source, config->site.arena, config->site.diag);
    while (lexer_peek(lexer)->kind != TOKEN_END) {
        struct token head = lexer_next(lexer);

        if (token_is(&head, "table")) {
            read_table(config, lexer);
        } else if (token_is(&head, "hostname")) {
            config->site.hostname = lexer_next(lexer).text;
            lexer_expect(lexer, TOKEN_SEMICOLON, "';'");
        } else {
            read_block(config, lexer, &head);
        }
    }
    lexer_free(lexer);
    for (i = 0; i < config->kind_count; i++)
        if (config->blocks[i] == NULL && !config->kinds[i]->named)
            config->blocks[i] = options_defaults(config->kinds[i], config->site.arena);
}

struct bench_config *bench_config_read(struct arena *arena, const struct check *const *checks,
                                       size_t check_count, const char *text, const char *base_dir)
{
    struct bench_config *config = arena_alloc(arena, sizeof(*config));
    size_t i, j;

    config->site = (struct check_site){.arena = arena,
                                       .hostname = "",
                                       .base_dir = base_dir != NULL ? base_dir : ".",
                                       .blocks = site_blocks,
                                       .table = site_table,
                                       .diag = diag_new()};
    for (i = 0; i < check_count; i++) {
        for (j = 0; j < checks[i]->block_count; j++) {
            assert(config->kind_count < KINDS_MAX);
            config->kinds[config->kind_count++] = &checks[i]->blocks[j];
        }
    }
    read_text(config, text);
    return config;
}

void bench_config_close(struct bench_config *config)
{
    size_t i;

    for (i = 0; i < config->table_count; i++)
        table_unref(config->tables[i]);
    diag_free(config->site.diag);
}

const struct check_site *bench_config_site(const struct bench_config *config)
{
    return &config->site;
}
