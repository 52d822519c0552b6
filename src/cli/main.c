/* SPDX-License-Identifier: MIT */
#include "cli.h"

#include <postern/version.h>
#include <postern/words.h>

#include <string.h>

const struct command *const cli_commands[] = {&command_serve, &command_check, &command_explain,
                                              &command_table, &command_code};
const size_t cli_command_count = sizeof(cli_commands) / sizeof(cli_commands[0]);

const struct command *cli_find(const char *name)
{
    for (size_t i = 0; i < cli_command_count; i++)
        if (strcmp(cli_commands[i]->name, name) == 0)
            return cli_commands[i];
    return NULL;
}

static void print_help(FILE *out)
{
    fputs("postern: a mail policy daemon beside Postfix or Sendmail\n\nusage:\n", out);
    for (size_t i = 0; i < cli_command_count; i++)
        fprintf(out, "  postern %s %s\n      %s\n", cli_commands[i]->name,
                cli_commands[i]->arguments, cli_commands[i]->summary);
    fputs("  postern --version\n  postern --help\n\n"
          "'postern help COMMAND' tells the options of a command.\n"
          "Exit status: 0 done, 1 found trouble, 2 used wrongly.\n",
          out);
}

static int unknown_command(const char *name)
{
    const char *names[16];
    size_t count = 0;
    for (; count < cli_command_count && count < sizeof(names) / sizeof(names[0]); count++)
        names[count] = cli_commands[count]->name;
    const char *near = words_nearest(name, names, count);
    fputs("postern: there is no command '", stderr);
    cli_put_clean(name, stderr);
    if (near != NULL)
        fprintf(stderr, "'; did you mean '%s'? See postern --help\n", near);
    else
        fputs("'; see postern --help\n", stderr);
    return EXIT_USAGE;
}

/* `postern help [COMMAND]`; WORDS end with a NULL. */
static int help(char **words)
{
    const struct command *command = words[0] != NULL ? cli_find(words[0]) : NULL;
    if (words[0] == NULL)
        print_help(stdout);
    else if (command == NULL)
        return unknown_command(words[0]);
    else
        cli_print_help(command, stdout);
    return EXIT_DONE;
}

int main(int argc, char **argv)
{
    const char *first = argc > 1 ? argv[1] : NULL;
    if (first == NULL) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0 || strcmp(first, "help") == 0)
        return help(argv + 2);
    if (strcmp(first, "--version") == 0 || strcmp(first, "-V") == 0) {
        puts("postern " POSTERN_VERSION);
        return EXIT_DONE;
    }
    if (strcmp(first, "--complete") == 0) {
        cli_complete(argc - 2, argv + 2, stdout);
        return EXIT_DONE;
    }
    const struct command *command = cli_find(first);
    return command != NULL ? cli_run(command, argc - 1, argv + 1) : unknown_command(first);
}
