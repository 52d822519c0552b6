/* SPDX-License-Identifier: MIT */
#include "config_private.h"

#include <postern/clock.h>
#include <postern/table.h>
#include <postern/words.h>

#include <assert.h>
#include <stdlib.h>

/* The snapshot: made whole or not at all, shared by reference count. */

static struct config_all *all_of(struct config *config)
{
    return (struct config_all *)(void *)config;
}

static const struct config_all *all_of_const(const struct config *config)
{
    return (const struct config_all *)(const void *)config;
}

/* ---- what checks see ---- */

struct site {
    struct check_site site; /* first */
    const struct config *config;
};

static const struct config *site_config(const struct check_site *site)
{
    return ((const struct site *)(const void *)site)->config;
}

static const struct block_head *site_blocks(const struct check_site *site, const char *kind)
{
    return config_blocks(site_config(site), kind);
}

static struct table *site_table(const struct check_site *site, const char *name)
{
    return name == NULL ? NULL : config_table(site_config(site), name);
}

static void open_checks(struct reading *reading, const char *base_dir)
{
    struct config *config = &reading->all->config;
    const struct config_schema *schema = config->schema;
    config->check_states = arena_alloc(reading->arena, (schema->check_count + 1) * sizeof(void *));
    struct site *site = arena_alloc(reading->arena, sizeof(*site));
    site->config = config;
    site->site = (struct check_site){
        .arena = reading->arena,
        .hostname = config->hostname,
        .base_dir = base_dir,
        .state_dir = config->state_dir,
        .looks_only = schema->looks_only,
        .blocks = site_blocks,
        .table = site_table,
        .diag = reading->diag,
    };
    for (size_t i = 0; i < schema->check_count; i++)
        if (schema->checks[i]->open != NULL)
            config->check_states[i] = schema->checks[i]->open(&site->site);
}

/* ---- reading ---- */

static void add_kind(struct config_all *all, const struct option_block *kind)
{
    struct kind_blocks *to = &all->kinds[all->kind_count++];
    to->kind = kind;
    to->names = map_new(8);
}

static void collect_kinds(struct config_all *all, const struct config_schema *schema)
{
    size_t cores;
    const struct option_block *core = config_core_blocks(&cores);
    size_t count = cores;
    for (size_t i = 0; i < schema->check_count; i++)
        count += schema->checks[i]->block_count;
    all->kinds = arena_alloc(all->config.arena, count * sizeof(all->kinds[0]));
    for (size_t i = 0; i < cores; i++)
        add_kind(all, &core[i]);
    for (size_t i = 0; i < schema->check_count; i++)
        for (size_t j = 0; j < schema->checks[i]->block_count; j++)
            add_kind(all, &schema->checks[i]->blocks[j]);
}

/* A kind without a name stands there with its defaults when it was not written. */
static void fill_defaults(struct config_all *all)
{
    for (size_t i = 1; i < all->kind_count; i++) {
        struct kind_blocks *kind = &all->kinds[i];
        if (kind->first == NULL && !kind->kind->named)
            kind->first = kind->last = options_defaults(kind->kind, all->config.arena);
    }
}

static const void *core_block(const struct config_all *all, const char *kind)
{
    return config_blocks(&all->config, kind);
}

static void take_core(struct config_all *all)
{
    struct config *config = &all->config;
    const struct globals *globals = all->globals;
    config->hostname = globals->hostname != NULL ? globals->hostname : "";
    config->help_url = globals->help_url != NULL ? globals->help_url : "";
    config->state_dir = globals->state_dir;
    config->front = globals->front;
    config->speak_at = globals->speak_at;
    config->mixed = globals->mixed;
    config->listens = core_block(all, "listen");
    config->resolver = core_block(all, "resolver");
    config->budget = core_block(all, "budget");
    config->audit = core_block(all, "audit");
    config->log = core_block(all, "log");
    config->results = core_block(all, "results");
}

static bool table_known(void *arg, const char *name)
{
    const struct reading *reading = arg;
    return map_get(reading->table_names, name) != NULL;
}

static const char *table_nearest(void *arg, const char *name)
{
    const struct reading *reading = arg;
    const char **words = xcalloc(reading->table_count + 1, sizeof(words[0]));
    for (size_t i = 0; i < reading->table_count; i++)
        words[i] = reading->tables[i].name;
    const char *near = words_nearest(name, words, reading->table_count);
    free(words);
    return near;
}

/* Options that name tables can be held against them only when all tables were read. */
static void check_table_option(struct reading *reading, const struct block_head *block,
                               const struct option_row *row, size_t index)
{
    const struct place *at = block->places != NULL ? &block->places[index] : &block->at;
    const char *name;
    memcpy(&name, (const char *)block + row->offset, sizeof(name));
    if (name == NULL || table_known(reading, name))
        return;
    const char *near = table_nearest(reading, name);
    if (near != NULL)
        diag_error(reading->diag, at,
                   "%s names a table '%s', which there is not; did you mean '%s'?", row->name, name,
                   near);
    else
        diag_error(reading->diag, at,
                   "%s names a table '%s', which there is not; define it: table %s file:PATH; or "
                   "table %s { ... }",
                   row->name, name, name, name);
}

static void check_table_options(struct reading *reading)
{
    for (size_t i = 0; i < reading->all->kind_count; i++) {
        const struct kind_blocks *kind = &reading->all->kinds[i];
        for (const struct block_head *block = kind->first; block != NULL; block = block->next)
            for (size_t j = 0; j < kind->kind->row_count; j++)
                if (kind->kind->rows[j].type == OPTION_TABLE)
                    check_table_option(reading, block, &kind->kind->rows[j], j);
    }
}

static void build_policy(struct reading *reading)
{
    struct config *config = &reading->all->config;
    const struct policy_names names = {table_known, table_nearest, reading};
    struct policy *policy =
        policy_build(reading->builder, &names, config->speak_at == 0 ? STAGE_MAIL : STAGE_RCPT,
                     (enum mixed)config->mixed, clock_day(clock_wall()));
    config->policy = policy;
    /* Never without a word: a daemon that runs must not take what is no policy. */
    if (policy == NULL && diag_errors(reading->diag) == 0)
        diag_error(reading->diag, NULL, "%s: the rules cannot be used", config->path);
    if (policy != NULL)
        config_compile_texts(reading, policy);
    if (policy != NULL && diag_errors(reading->diag) == 0)
        config_warn(reading, policy);
}

/* What can be done only when all files are read. */
static void finish(struct reading *reading)
{
    struct config *config = &reading->all->config;
    const char *slash = strrchr(config->path, '/');
    const char *base_dir =
        slash == NULL ? "."
                      : arena_strndup(reading->arena, config->path, (size_t)(slash - config->path));
    fill_defaults(reading->all);
    take_core(reading->all);
    config_check_names(reading);
    check_table_options(reading);
    config_open_tables(reading, base_dir);
    build_policy(reading);
    if (diag_errors(reading->diag) == 0)
        open_checks(reading, base_dir);
}

struct config *config_load(const char *path, const struct config_schema *schema, struct diag *diag)
{
    struct arena *arena = arena_new();
    struct config_all *all = arena_alloc(arena, sizeof(*all));
    struct config *config = &all->config;
    config->arena = arena;
    config->path = arena_strdup(arena, path);
    config->schema = schema;
    atomic_init(&all->references, 1);
    all->tables_by_name = map_new(16);
    collect_kinds(all, schema);
    all->globals = options_defaults(all->kinds[0].kind, arena);

    struct reading reading = {.all = all, .arena = arena, .diag = diag};
    reading.table_names = map_new(16);
    reading.builder = policy_builder_new(arena, schema->layout, diag);
    char *real = realpath(path, NULL);
    reading.stack[reading.depth++] = arena_strdup(arena, real != NULL ? real : path);
    free(real);
    reading.global_places =
        arena_alloc(arena, all->kinds[0].kind->row_count * sizeof(reading.global_places[0]));
    all->globals->head.places = reading.global_places;
    config_read_file(&reading, path, NULL);
    if (!reading.too_new)
        finish(&reading);
    config->version = reading.version;
    map_free(reading.table_names);
    free(reading.tables);
    if (diag_errors(diag) > 0) {
        config_unref(config);
        return NULL;
    }
    return config;
}
/* ---- using ---- */

struct config *config_ref(struct config *config)
{
    atomic_fetch_add_explicit(&all_of(config)->references, 1, memory_order_relaxed);
    return config;
}

void config_unref(struct config *config)
{
    if (config == NULL)
        return;
    struct config_all *all = all_of(config);
    if (atomic_fetch_sub_explicit(&all->references, 1, memory_order_acq_rel) != 1)
        return;
    if (config->check_states != NULL)
        for (size_t i = 0; i < config->schema->check_count; i++)
            if (config->schema->checks[i]->close != NULL)
                config->schema->checks[i]->close(config->check_states[i]);
    for (size_t i = 0; i < config->table_count; i++)
        table_unref(config->tables[i].table);
    if (config->policy != NULL)
        policy_fini((struct policy *)(uintptr_t)config->policy);
    for (size_t i = 0; i < all->kind_count; i++)
        map_free(all->kinds[i].names);
    map_free(all->tables_by_name);
    arena_free(config->arena);
}

struct table *config_table(const struct config *config, const char *name)
{
    return map_get(all_of_const(config)->tables_by_name, name);
}

const struct block_head *config_blocks(const struct config *config, const char *kind)
{
    const struct config_all *all = all_of_const(config);
    for (size_t i = 1; i < all->kind_count; i++)
        if (strcmp(all->kinds[i].kind->kind, kind) == 0)
            return all->kinds[i].first;
    return NULL;
}

const char *config_text(const struct config *config, const char *kind, const char *option)
{
    const struct config_all *all = all_of_const(config);
    for (size_t i = 1; i < all->kind_count; i++) {
        const struct option_row *row = options_find(all->kinds[i].kind, option);
        const char *text;
        if (strcmp(all->kinds[i].kind->kind, kind) != 0 || all->kinds[i].first == NULL ||
            row == NULL)
            continue;
        assert(row->type == OPTION_TEXT || row->type == OPTION_TABLE);
        memcpy(&text, (const char *)all->kinds[i].first + row->offset, sizeof(text));
        return text != NULL ? text : "";
    }
    return "";
}

void config_inherit(struct config *config, const struct config *before)
{
    /* A file that is bad at this moment does not cost a table its last good image. */
    for (size_t i = 0; i < config->table_count; i++) {
        struct table *old = config_table(before, config->tables[i].name);
        if (old != NULL)
            table_inherit(config->tables[i].table, old);
    }
    assert(config->schema == before->schema);
    for (size_t i = 0; i < config->schema->check_count; i++)
        if (config->schema->checks[i]->inherit != NULL)
            config->schema->checks[i]->inherit(config->check_states[i], before->check_states[i]);
}

void config_refresh(struct config *config)
{
    for (size_t i = 0; i < config->table_count; i++)
        table_refresh(config->tables[i].table);
}
