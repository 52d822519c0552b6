/* SPDX-License-Identifier: MIT */
#include "cli.h"
#include "term.h"

#include <postern/arena.h>
#include <postern/check.h>
#include <postern/front.h>

#include <pthread.h>
#include <stdio.h>

struct config_schema *cli_schema(void)
{
    static struct config_schema schema;
    if (schema.layout == NULL) {
        struct arena *arena = arena_new(); /* for the life of the process */
        slot_t *first = arena_alloc(arena, checks_count * sizeof(first[0]));
        schema.checks = checks_all;
        schema.check_count = checks_count;
        schema.layout = checks_layout(arena, first);
        schema.first_slot = first;
    }
    return &schema;
}

struct config *cli_load(const char *path, bool looks_only)
{
    struct diag *diag = diag_new();
    cli_schema()->looks_only = looks_only;
    struct config *config = config_load(path, cli_schema(), diag);
    diag_print_styled(diag, term_diag_style(stderr), stderr);
    if (config == NULL)
        fprintf(stderr, "postern: %s: %u error%s\n", path, diag_errors(diag),
                diag_errors(diag) == 1 ? "" : "s");
    diag_free(diag);
    return config;
}

bool cli_check_front(const struct config *config)
{
    struct diag *diag = diag_new();
    bool good = front_check(config, diag);
    diag_print_styled(diag, term_diag_style(stderr), stderr);
    diag_free(diag);
    return good;
}

void cli_put_clean(const char *text, FILE *out)
{
    for (; *text != '\0'; text++)
        fputc(*text < ' ' || *text > '~' ? '?' : *text, out);
}

struct resolver *cli_resolver(const struct config *config, struct loop *loop, char **error)
{
    const struct resolver_block *block = config->resolver;
    struct resolver_options options = {
        .servers = block->servers.items,
        .server_count = block->servers.count,
        .recursive = block->recursive,
        .dnssec = block->dnssec,
        .timeout_ms = (unsigned)block->timeout,
        .cache_bytes = (size_t)block->cache,
    };
    return resolver_new(loop, &options, error);
}
