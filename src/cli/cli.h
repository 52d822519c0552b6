/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_CLI_H
#define POSTERN_CLI_H

#include <postern/config.h>
#include <postern/resolver.h>

#include <stddef.h>
#include <stdio.h>

/* Exit codes of every subcommand. */
enum { EXIT_DONE = 0, EXIT_TROUBLE = 1, EXIT_USAGE = 2 };

#define DEFAULT_CONFIG "/etc/postern/postern.conf"

/*
 * Subcommands as tables.  The parser, the help, the completion of shells and the manual's lint all
 * read the same rows; main() reads the command line into the subcommand's struct before it runs.
 */
enum cli_type {
    CLI_FLAG,  /* stands alone -> bool */
    CLI_VALUE, /* with an argument; the last one counts -> const char * */
    CLI_LIST,  /* with an argument, may be repeated -> struct cli_list */
};

struct cli_list {
    const char **items;
    size_t count;
};

/* What shells may complete: words separated by blanks, or one of these; NULL where nobody knows. */
#define CLI_FILES  "@file"
#define CLI_TABLES "@table"
#define CLI_CODES  "@code"

struct cli_option {
    const char *name; /* without the dashes */
    char letter;      /* the short form; '\0': none */
    enum cli_type type;
    const char *argument; /* its name in the help; NULL for a flag */
    const char *choices;  /* what the argument may be, as above */
    const char *fallback; /* of a CLI_VALUE; NULL: none */
    size_t offset;        /* of the member in the subcommand's struct */
    const char *help;     /* one sentence or two, without the full stop */
};

#define CLI_OPTIONS(rows) .options = (rows), .option_count = sizeof(rows) / sizeof((rows)[0])

/* The row that nearly every subcommand has; TYPE has a member `config`. */
#define CLI_CONFIG(type)                                                                           \
    {                                                                                              \
        "config", 'c', CLI_VALUE, "FILE", CLI_FILES, DEFAULT_CONFIG, offsetof(type, config),       \
            "the configuration"                                                                    \
    }

struct command {
    const char *name;
    const char *arguments; /* behind the name, for the usage; " | " stands between two forms */
    const char *summary;   /* one line without the full stop */
    const struct cli_option *options;
    size_t option_count;
    const char *choices; /* what the first word behind the options may be */
    const char *more;    /* what further words may be */
    unsigned min_words, max_words;
    size_t size; /* of the struct that the options are read into */
    /* OPTIONS is that struct; WORDS are the words behind the options, with a NULL at the end.
     * Returns an exit code. */
    int (*run)(const struct command *command, void *options, char **words);
};

enum { CLI_MANY = 1000000 }; /* max_words without a limit */

extern const struct command command_serve, command_check, command_explain, command_table,
    command_code;

/* All of them, in the order of the help. */
extern const struct command *const cli_commands[];
extern const size_t cli_command_count;

/* The subcommand of this name, or NULL. */
const struct command *cli_find(const char *name);

/* Runs COMMAND on its command line (ARGV[0] is its name): reads the options, answers --help, and
 * tells what is wrong with the line.  Returns an exit code. */
int cli_run(const struct command *command, int argc, char **argv);

/* The help of one subcommand. */
void cli_print_help(const struct command *command, FILE *out);

/* One line that says what is wrong, the usage, and where more is told, on stderr.  EXIT_USAGE. */
int cli_usage(const struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Prints what the last of WORDS, the words behind `postern` up to the cursor, could become: a
 * candidate a line, behind a tab what it is; the line "@file" where a file is asked for. */
void cli_complete(int count, char **words, FILE *out);

/* What all subcommands need of the checks; lives until the process ends. */
struct config_schema *cli_schema(void);

/* Loads PATH and prints its messages to stderr.  NULL after errors.  LOOKS_ONLY: nothing is changed
 * on disk, as a command that only tells must not. */
struct config *cli_load(const char *path, bool looks_only);

/* Whether the front can serve the listen blocks; what it cannot is printed to stderr. */
bool cli_check_front(const struct config *config);

/* Writes TEXT with control characters and 8-bit bytes as question marks, as in replies: what
 * senders and DNS lists say reaches no terminal as it is. */
void cli_put_clean(const char *text, FILE *out);

/* A resolver as the configuration wants it; NULL and a text in *error (to be freed). */
struct resolver *cli_resolver(const struct config *config, struct loop *loop, char **error);

#endif
