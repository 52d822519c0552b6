/* SPDX-License-Identifier: MIT */
#include "cli.h"

#include <postern/arena.h>
#include <postern/domain.h>
#include <postern/log.h>
#include <postern/mailbox.h>
#include <postern/table.h>
#include <postern/words.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `postern table`: asks a table as the daemon would, or takes a shrunken one as right. */

struct table_options {
    const char *config, *kind, *delimiter;
    bool accept;
};

static const struct {
    const char *word;
    enum table_key_kind kind;
} kinds[] = {
    {"address", TABLE_KEY_ADDRESS}, {"recipient", TABLE_KEY_RECIPIENT},
    {"domain", TABLE_KEY_DOMAIN},   {"ip", TABLE_KEY_ADDR},
    {"text", TABLE_KEY_TEXT},
};

/* The kind of this name; -1 where there is none. */
static int kind_named(const char *word)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].word, word) == 0)
            return (int)kinds[i].kind;
    return -1;
}

static bool is_recipients(const struct config *config, const char *table)
{
    return strcmp(config_text(config, "recipients", "known"), table) == 0 ||
           strcmp(config_text(config, "recipients", "moved"), table) == 0;
}

/* How the daemon would ask TABLE for KEY, as far as KEY shows it. */
static enum table_key_kind kind_of(const struct config *config, const char *table, const char *key)
{
    struct addr addr;
    if (is_recipients(config, table))
        return TABLE_KEY_RECIPIENT;
    if (strchr(key, '@') != NULL)
        return TABLE_KEY_ADDRESS;
    return addr_parse(key, &addr) ? TABLE_KEY_ADDR : TABLE_KEY_DOMAIN;
}

/* Whether recipients in this domain may stand in tables by their local part alone. */
static bool is_local(const struct config *config, const char *domain, struct arena *arena)
{
    struct table *local = config_table(config, config_text(config, "recipients", "local"));
    struct table_key key = {
        .kind = TABLE_KEY_DOMAIN, .text = domain, .local = "", .domain = "", .delimiter = ""};
    if (domain[0] == '\0')
        return true;
    return local != NULL && table_find(local, &key, arena).status == TABLE_FOUND;
}

static struct table_key key_of(const struct config *config, struct arena *arena, const char *text,
                               enum table_key_kind kind)
{
    struct table_key key = {.kind = kind, .text = text, .local = "", .domain = ""};
    if (kind == TABLE_KEY_ADDRESS || kind == TABLE_KEY_RECIPIENT) {
        struct mailbox mailbox = mailbox_parse(arena, text);
        key.local = mailbox.local;
        key.domain = mailbox.domain;
        key.bare_user = is_local(config, mailbox.domain, arena);
    } else if (kind == TABLE_KEY_DOMAIN) {
        char *name = arena_alloc(arena, DOMAIN_SIZE);
        if (domain_canonical(text, strlen(text), name))
            key.text = name;
    } else if (kind == TABLE_KEY_ADDR) {
        addr_parse(text, &key.addr);
    }
    return key;
}

/* Prints the answer; whether there was one. */
static bool look_up(struct table *table, const char *text, const struct table_key *key,
                    struct arena *arena)
{
    struct table_answer answer = table_find(table, key, arena);
    switch (answer.status) {
    case TABLE_FOUND:
        printf("%s: found as %s%s%s\n", text, answer.key, answer.value[0] != '\0' ? ": " : "",
               answer.value);
        break;
    case TABLE_ABSENT:
        printf("%s: not found\n", text);
        break;
    case TABLE_UNAVAILABLE:
        printf("%s: no answer: %s\n", text, answer.problem);
        break;
    }
    return answer.status == TABLE_FOUND;
}

static int accept_size(struct table *table)
{
    struct arena *arena = arena_new();
    const char *problem = NULL;
    int result = table_accept(table, &problem, arena);
    if (result != 0)
        fprintf(stderr, "postern: table %s: %s\n", table_name(table), problem);
    else
        printf("table %s: its present size is right from now on; a running daemon sees it within "
               "seconds\n",
               table_name(table));
    arena_free(arena);
    return result == 0 ? EXIT_DONE : EXIT_TROUBLE;
}

static int no_table(const struct config *config, const char *name)
{
    const char **words = xcalloc(config->table_count + 1, sizeof(words[0]));
    for (size_t i = 0; i < config->table_count; i++)
        words[i] = config->tables[i].name;
    const char *near = words_nearest(name, words, config->table_count);
    fprintf(stderr, "postern: %s has no table '%s'%s%s%s\n", config->path, name,
            near != NULL ? "; did you mean '" : "", near != NULL ? near : "",
            near != NULL ? "'?" : "");
    free(words);
    return EXIT_TROUBLE;
}

static int with_config(const struct config *config, const struct table_options *options,
                       char **words)
{
    struct table *table = config_table(config, words[0]);
    if (table == NULL)
        return no_table(config, words[0]);
    if (options->accept)
        return accept_size(table);
    int result = EXIT_DONE;
    for (char **word = words + 1; *word != NULL; word++) {
        struct arena *arena = arena_new();
        enum table_key_kind kind = options->kind != NULL
                                       ? (enum table_key_kind)kind_named(options->kind)
                                       : kind_of(config, words[0], *word);
        struct table_key key = key_of(config, arena, *word, kind);
        key.delimiter = options->delimiter != NULL ? options->delimiter
                                                   : config_text(config, "recipients", "delimiter");
        if (!look_up(table, *word, &key, arena))
            result = EXIT_TROUBLE;
        arena_free(arena);
    }
    return result;
}

static int run_table(const struct command *command, void *memory, char **words)
{
    const struct table_options *options = memory;
    if (options->accept && words[1] != NULL)
        return cli_usage(command, "--accept takes one table and no key");
    if (!options->accept && words[1] == NULL)
        return cli_usage(command, "a KEY to look up is missing");
    if (options->kind != NULL && kind_named(options->kind) < 0)
        return cli_usage(command, "--as takes address, recipient, domain, ip or text, not '%s'",
                         options->kind);
    log_open("postern", LOG_LEVEL_WARNING, 1, 0);
    struct config *config = cli_load(options->config, !options->accept);
    if (config == NULL)
        return EXIT_TROUBLE;
    int result = with_config(config, options, words);
    config_unref(config);
    return result;
}

static const struct cli_option rows[] = {
    CLI_CONFIG(struct table_options),
    {"as", '\0', CLI_VALUE, "KIND", "address recipient domain ip text", NULL,
     offsetof(struct table_options, kind),
     "look KEY up as address, recipient, domain, ip or text; default: recipient in the tables of "
     "recipients, in others what it looks like"},
    {"delimiter", '\0', CLI_VALUE, "CHARS", NULL, NULL, offsetof(struct table_options, delimiter),
     "characters that begin an address extension; default: those of the recipients block"},
    {"accept", '\0', CLI_FLAG, NULL, NULL, NULL, offsetof(struct table_options, accept),
     "the present size of the guarded table NAME is right"},
};

const struct command command_table = {
    .name = "table",
    .arguments = "[-c FILE] [--as KIND] [--delimiter CHARS] NAME KEY... | [-c FILE] --accept NAME",
    .summary = "Looks keys up in a table as the daemon would, or accepts a table that has shrunk",
    CLI_OPTIONS(rows),
    .choices = CLI_TABLES,
    .min_words = 1,
    .max_words = CLI_MANY,
    .size = sizeof(struct table_options),
    .run = run_table,
};
