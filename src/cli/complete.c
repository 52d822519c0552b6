/* SPDX-License-Identifier: MIT */
#include "cli.h"

#include <postern/arena.h>
#include <postern/help.h>
#include <postern/log.h>
#include <postern/table.h>
#include <postern/words.h>

#include <string.h>

/*
 * `postern --complete WORD...`: what shells ask while a command line is being written.  The answers
 * come from the rows that the parser reads, so that a shell can know no other options than postern.
 */
struct line {
    const struct command *command;
    const char *config; /* the file that -c named, else the default */
    unsigned words;     /* behind the options, so far */
    bool no_options;    /* "--" was there */
};

/* The row that WORD ("-c", "--config", not "--config=x") names, or NULL. */
static const struct cli_option *row_named(const struct command *command, const char *word)
{
    for (size_t i = 0; i < command->option_count; i++) {
        const struct cli_option *row = &command->options[i];
        if (word[0] == '-' && word[1] == '-' ? strcmp(word + 2, row->name) == 0
                                             : word[1] == row->letter && word[2] == '\0')
            return row;
    }
    return NULL;
}

/* Goes over a word that is complete; returns the row whose argument comes next, or NULL. */
static const struct cli_option *pass(struct line *line, const char *word)
{
    if (line->no_options || word[0] != '-' || word[1] == '\0') {
        line->words++;
        return NULL;
    }
    if (strcmp(word, "--") == 0) {
        line->no_options = true;
        return NULL;
    }
    const struct cli_option *row = row_named(line->command, word);
    if (strncmp(word, "--config=", 9) == 0)
        line->config = word + 9;
    return row != NULL && row->type != CLI_FLAG ? row : NULL;
}

static void offer(const char *candidate, const char *start, const char *help, FILE *out)
{
    if (strncmp(candidate, start, strlen(start)) != 0)
        return;
    fputs(candidate, out);
    if (help != NULL)
        fprintf(out, "\t%s", help);
    fputc('\n', out);
}

static void offer_tables(const char *path, const char *start, FILE *out)
{
    struct diag *diag = diag_new(); /* what is wrong with the file is not asked here */
    log_open("postern", LOG_LEVEL_ERROR, 0, 0);
    cli_schema()->looks_only = true;
    struct config *config = config_load(path, cli_schema(), diag);
    for (size_t i = 0; config != NULL && i < config->table_count; i++)
        offer(config->tables[i].name, start, table_type(config->tables[i].table), out);
    config_unref(config);
    diag_free(diag);
}

static void offer_codes(const char *start, FILE *out)
{
    const struct help_language *language = &help_languages[0];
    for (size_t i = 0; i < language->entry_count; i++)
        offer(language->entries[i].key, start, language->entries[i].fields[HELP_TITLE], out);
}

static void offer_choices(const struct line *line, const char *choices, const char *start,
                          FILE *out)
{
    const char *words[256];
    if (choices == NULL)
        return;
    if (strcmp(choices, CLI_FILES) == 0) {
        fputs(CLI_FILES "\n", out);
        return;
    }
    if (strcmp(choices, CLI_TABLES) == 0) {
        offer_tables(line->config, start, out);
        return;
    }
    if (strcmp(choices, CLI_CODES) == 0) {
        offer_codes(start, out);
        return;
    }
    struct arena *arena = arena_new();
    size_t count = words_split(arena, choices, words, sizeof(words) / sizeof(words[0]));
    for (size_t i = 0; i < count; i++)
        offer(words[i], start, NULL, out);
    arena_free(arena);
}

static void offer_options(const struct command *command, const char *start, FILE *out)
{
    struct arena *arena = arena_new();
    for (size_t i = 0; i < command->option_count; i++)
        offer(arena_printf(arena, "--%s", command->options[i].name), start,
              command->options[i].help, out);
    offer("--help", start, "how the subcommand is used", out);
    arena_free(arena);
}

static void offer_commands(const char *start, bool all, FILE *out)
{
    for (size_t i = 0; i < cli_command_count; i++)
        offer(cli_commands[i]->name, start, cli_commands[i]->summary, out);
    if (!all)
        return;
    offer("help", start, "Tells the options of a command", out);
    if (start[0] == '-') {
        offer("--help", start, "the commands", out);
        offer("--version", start, "the version", out);
    }
}

void cli_complete(int count, char **words, FILE *out)
{
    const char *last = count > 0 ? words[count - 1] : "";
    if (count <= 1 || strcmp(words[0], "help") == 0) {
        if (count <= 2)
            offer_commands(last, count <= 1, out);
        return;
    }
    struct line line = {.command = cli_find(words[0]), .config = DEFAULT_CONFIG};
    const struct cli_option *row = NULL;
    if (line.command == NULL)
        return;
    for (int i = 1; i < count - 1; i++) {
        if (row != NULL && strcmp(row->name, "config") == 0)
            line.config = words[i];
        row = row != NULL ? NULL : pass(&line, words[i]);
    }
    if (row != NULL)
        offer_choices(&line, row->choices, last, out);
    else if (last[0] == '-' && !line.no_options)
        offer_options(line.command, last, out);
    else if (line.words < line.command->max_words)
        offer_choices(&line, line.words == 0 ? line.command->choices : line.command->more, last,
                      out);
}
