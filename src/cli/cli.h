/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_CLI_H
#define POSTERN_CLI_H

#include <postern/config.h>
#include <postern/resolver.h>

#include <stdio.h>

/* Exit codes of every subcommand. */
enum { EXIT_DONE = 0, EXIT_TROUBLE = 1, EXIT_USAGE = 2 };

#define DEFAULT_CONFIG "/etc/postern/postern.conf"

struct command {
    const char *name;
    const char *arguments; /* behind the name, for the usage line */
    const char *summary;   /* one line */
    const char *help;      /* the options, a line each */
    int (*run)(const struct command *command, int argc, char **argv);
};

extern const struct command command_serve, command_check, command_explain, command_table;

/* "usage: postern NAME ARGUMENTS", the summary and the options; returns EXIT_DONE for --help, else
 * EXIT_USAGE (then on stderr). */
int cli_help(const struct command *command);
int cli_usage(const struct command *command);

/* What all subcommands need of the checks; lives until the process ends. */
struct config_schema *cli_schema(void);

/* Loads PATH and prints its messages to stderr.  NULL after errors.  LOOKS_ONLY: nothing is changed
 * on disk, as a command that only tells must not. */
struct config *cli_load(const char *path, bool looks_only);

/* Writes TEXT with control characters and 8-bit bytes as question marks, as in replies: what
 * senders and DNS lists say reaches no terminal as it is. */
void cli_put_clean(const char *text, FILE *out);

/* A resolver as the configuration wants it; NULL and a text in *error (to be freed). */
struct resolver *cli_resolver(const struct config *config, struct loop *loop, char **error);

#endif
