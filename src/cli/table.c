/* SPDX-License-Identifier: MIT */
#include "cli.h"

#include <postern/arena.h>
#include <postern/domain.h>
#include <postern/log.h>
#include <postern/mailbox.h>
#include <postern/table.h>

#include <stdio.h>
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

/* The kind that a key looks like, unless one was named. */
static int kind_of(const char *key, const char *word)
{
    struct addr addr;
    if (word == NULL) {
        if (strchr(key, '@') != NULL)
            return TABLE_KEY_ADDRESS;
        return addr_parse(key, &addr) ? TABLE_KEY_ADDR : TABLE_KEY_DOMAIN;
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].word, word) == 0)
            return (int)kinds[i].kind;
    return -1;
}

static struct table_key key_of(struct arena *arena, const char *text, enum table_key_kind kind,
                               const char *delimiter)
{
    struct table_key key = {.kind = kind, .text = text, .local = "", .domain = ""};
    key.delimiter = delimiter;
    if (kind == TABLE_KEY_ADDRESS || kind == TABLE_KEY_RECIPIENT) {
        struct mailbox mailbox = mailbox_parse(arena, text);
        key.local = mailbox.local;
        key.domain = mailbox.domain;
        key.bare_user = mailbox.domain[0] == '\0';
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
static bool look_up(struct table *table, const char *text, enum table_key_kind kind,
                    const char *delimiter)
{
    struct arena *arena = arena_new();
    struct table_key key = key_of(arena, text, kind, delimiter);
    struct table_answer answer = table_find(table, &key, arena);
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
    arena_free(arena);
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

static int with_config(const struct config *config, const struct table_options *options,
                       char **words)
{
    struct table *table = config_table(config, words[0]);
    if (table == NULL) {
        fprintf(stderr, "postern: %s has no table '%s'\n", options->config, words[0]);
        return EXIT_TROUBLE;
    }
    if (options->accept)
        return accept_size(table);
    int result = EXIT_DONE;
    for (char **word = words + 1; *word != NULL; word++) {
        int kind = kind_of(*word, options->kind);
        if (!look_up(table, *word, (enum table_key_kind)kind, options->delimiter))
            result = EXIT_TROUBLE;
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
    if (kind_of("", options->kind) < 0)
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
     "look KEY up as address, recipient, domain, ip or text; default: what it looks like"},
    {"delimiter", '\0', CLI_VALUE, "CHARS", NULL, "", offsetof(struct table_options, delimiter),
     "characters that begin an address extension"},
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
