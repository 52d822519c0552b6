/* SPDX-License-Identifier: MIT */
#include "cli.h"

#include <postern/version.h>

#include <stdio.h>
#include <string.h>

static const struct command *const commands[] = {&command_serve, &command_check, &command_explain,
                                                 &command_table};
enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

static void print_help(FILE *out)
{
    fputs("postern: a mail policy daemon beside Postfix or Sendmail\n\nusage:\n", out);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  postern %s %s\n      %s\n", commands[i]->name, commands[i]->arguments,
                commands[i]->summary);
    fputs("  postern --version\n  postern --help\n\n"
          "'postern COMMAND --help' tells the options of a command.\n"
          "Exit status: 0 done, 1 found trouble, 2 used wrongly.\n",
          out);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        puts("postern " POSTERN_VERSION);
        return EXIT_DONE;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(argv[1], commands[i]->name) == 0)
            return commands[i]->run(commands[i], argc - 1, argv + 1);
    fprintf(stderr, "postern: there is no command '%s'; see postern --help\n", argv[1]);
    return EXIT_USAGE;
}
