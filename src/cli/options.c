/* SPDX-License-Identifier: MIT */
#include "cli.h"

#include <postern/arena.h>
#include <postern/words.h>

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* The command line of a subcommand, read and explained from its rows. */

enum {
    ROWS_MAX = 48,
    LONG_BASE = 256,  /* getopt_long's value for the long form of row 0 */
    LINE_WIDTH = 80,  /* of the help */
    HELP_COLUMN = 24, /* where the texts of the options begin */
};

/* ---- help ---- */

/* TEXT from column COLUMN on, folded at blanks. */
static void print_folded(const char *text, size_t column, FILE *out)
{
    size_t at = column;
    while (*text != '\0') {
        size_t length = strcspn(text, " ");
        if (at > column && at + 1 + length > LINE_WIDTH) {
            fprintf(out, "\n%*s", (int)column, "");
            at = column;
        } else if (at > column) {
            fputc(' ', out);
            at++;
        }
        fprintf(out, "%.*s", (int)length, text);
        at += length;
        text += length + strspn(text + length, " ");
    }
    fputc('\n', out);
}

/* Where the next form begins, behind a "|" that stands outside brackets; NULL at the end. */
static const char *next_form(const char *form)
{
    int depth = 0;
    for (; *form != '\0'; form++) {
        depth += *form == '[' ? 1 : *form == ']' ? -1 : 0;
        if (depth == 0 && strncmp(form, " | ", 3) == 0)
            return form + 3;
    }
    return NULL;
}

/* The usage, a line for each form of it. */
static void print_usage(const struct command *command, FILE *out)
{
    struct arena *arena = arena_new();
    const char *head = "usage:";
    for (const char *form = command->arguments, *next; form != NULL; form = next) {
        next = next_form(form);
        size_t length = next != NULL ? (size_t)(next - form) - 3 : strlen(form);
        size_t column = (size_t)fprintf(out, "%-6s postern %s ", head, command->name);
        print_folded(arena_strndup(arena, form, length), column, out);
        head = "";
    }
    arena_free(arena);
}

static void print_option(const char *name, char letter, const char *argument, const char *help,
                         FILE *out)
{
    int width =
        letter != '\0' ? fprintf(out, "  -%c, --%s", letter, name) : fprintf(out, "  --%s", name);
    if (argument != NULL)
        width += fprintf(out, " %s", argument);
    if (width + 2 > HELP_COLUMN)
        fprintf(out, "\n%*s", HELP_COLUMN, "");
    else
        fprintf(out, "%*s", HELP_COLUMN - width, "");
    print_folded(help, HELP_COLUMN, out);
}

void cli_print_help(const struct command *command, FILE *out)
{
    struct arena *arena = arena_new();
    print_usage(command, out);
    fputc('\n', out);
    print_folded(arena_printf(arena, "%s.", command->summary), 0, out);
    fputc('\n', out);
    for (size_t i = 0; i < command->option_count; i++) {
        const struct cli_option *row = &command->options[i];
        const char *text = row->fallback != NULL && row->fallback[0] != '\0'
                               ? arena_printf(arena, "%s; default: %s", row->help, row->fallback)
                               : row->help;
        print_option(row->name, row->letter, row->argument, text, out);
    }
    print_option("help", 'h', NULL, "this text", out);
    arena_free(arena);
}

int cli_usage(const struct command *command, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "postern %s: ", command->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    print_usage(command, stderr);
    fprintf(stderr, "(postern help %s tells more)\n", command->name);
    return EXIT_USAGE;
}

/* ---- reading ---- */

struct reader {
    const struct command *command;
    void *into;
    char letters[2 * ROWS_MAX + 4]; /* as getopt wants them */
    struct option longs[ROWS_MAX + 2];
};

static void prepare(struct reader *reader)
{
    const struct command *command = reader->command;
    char *letter = reader->letters;
    *letter++ = ':'; /* tells a missing argument from an unknown option */
    *letter++ = 'h';
    for (size_t i = 0; i < command->option_count; i++) {
        const struct cli_option *row = &command->options[i];
        reader->longs[i] =
            (struct option){row->name, row->type != CLI_FLAG, NULL, LONG_BASE + (int)i};
        if (row->letter == '\0')
            continue;
        *letter++ = row->letter;
        if (row->type != CLI_FLAG)
            *letter++ = ':';
    }
    reader->longs[command->option_count] = (struct option){"help", no_argument, NULL, 'h'};
}

static void *member(struct reader *reader, const struct cli_option *row)
{
    return (char *)reader->into + row->offset;
}

static void set_defaults(struct reader *reader)
{
    for (size_t i = 0; i < reader->command->option_count; i++) {
        const struct cli_option *row = &reader->command->options[i];
        if (row->type == CLI_VALUE)
            *(const char **)member(reader, row) = row->fallback;
    }
}

static void take(struct reader *reader, const struct cli_option *row, const char *value)
{
    struct cli_list *list;
    switch (row->type) {
    case CLI_FLAG:
        *(bool *)member(reader, row) = true;
        break;
    case CLI_VALUE:
        *(const char **)member(reader, row) = value;
        break;
    case CLI_LIST:
        list = member(reader, row);
        list->items = xrealloc(list->items, (list->count + 1) * sizeof(list->items[0]));
        list->items[list->count++] = value;
        break;
    }
}

static const struct cli_option *row_of(const struct command *command, int option)
{
    if (option >= LONG_BASE)
        return &command->options[option - LONG_BASE];
    for (size_t i = 0; i < command->option_count; i++)
        if (command->options[i].letter == option)
            return &command->options[i];
    return NULL;
}

/* WORD is what getopt stumbled over. */
static int unknown_option(const struct command *command, const char *word)
{
    const char *names[ROWS_MAX + 1];
    size_t count = 0;
    if (strncmp(word, "--", 2) != 0)
        return cli_usage(command, "there is no option -%c", optopt);
    for (; count < command->option_count; count++)
        names[count] = command->options[count].name;
    names[count++] = "help";
    size_t length = strcspn(word + 2, "=");
    struct arena *arena = arena_new();
    const char *name = arena_strndup(arena, word + 2, length);
    const char *near = words_nearest(name, names, count);
    if (optopt != 0)
        cli_usage(command, "option --%s takes no argument", name);
    else if (near != NULL && strcmp(near, name) != 0)
        cli_usage(command, "there is no option '--%s'; did you mean '--%s'?", name, near);
    else
        cli_usage(command, "there is no option '--%s', or it is short for several", name);
    arena_free(arena);
    return EXIT_USAGE;
}

/* Returns -1 when all is read, else an exit code. */
static int read_options(struct reader *reader, int argc, char **argv)
{
    const struct command *command = reader->command;
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, reader->letters, reader->longs, NULL)) != -1) {
        if (option == 'h') {
            cli_print_help(command, stdout);
            return EXIT_DONE;
        }
        if (option == '?')
            return unknown_option(command, argv[optind - 1]);
        if (option == ':')
            return cli_usage(command, "option %s needs an argument", argv[optind - 1]);
        take(reader, row_of(command, option), optarg);
    }
    unsigned words = (unsigned)(argc - optind);
    if (words > command->max_words)
        return cli_usage(command, "'%s' is one word too many",
                         argv[optind + (int)command->max_words]);
    if (words < command->min_words)
        return cli_usage(command, words == 0 ? "something is missing" : "a word is missing");
    return -1;
}

static void free_lists(struct reader *reader)
{
    for (size_t i = 0; i < reader->command->option_count; i++)
        if (reader->command->options[i].type == CLI_LIST)
            free(((struct cli_list *)member(reader, &reader->command->options[i]))->items);
}

int cli_run(const struct command *command, int argc, char **argv)
{
    struct reader reader = {.command = command, .into = xcalloc(1, command->size + 1)};
    prepare(&reader);
    set_defaults(&reader);
    int result = read_options(&reader, argc, argv);
    if (result < 0)
        result = command->run(command, reader.into, argv + optind);
    free_lists(&reader);
    free(reader.into);
    return result;
}
