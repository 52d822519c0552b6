/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_BENCH_LOAD_OPTIONS_H
#define POSTERN_BENCH_LOAD_OPTIONS_H

#include "mta.h"

#include <getopt.h>
#include <stdlib.h>
#include <sys/un.h>

/* The command line of bench_milter_load. */

static const struct option long_options[] = {
    {"socket", required_argument, NULL, 's'},
    {"pid", required_argument, NULL, 'p'},
    {"connections", required_argument, NULL, 'c'},
    {"idle", required_argument, NULL, 'i'},
    {"per-connection", required_argument, NULL, 'k'},
    {"warmup", required_argument, NULL, 'w'},
    {"messages", required_argument, NULL, 'm'},
    {"seconds", required_argument, NULL, 't'},
    {"think", required_argument, NULL, 'T'},
    {"recipients", required_argument, NULL, 'r'},
    {"headers", required_argument, NULL, 'h'},
    {"body", required_argument, NULL, 'b'},
    {"clients", required_argument, NULL, 'C'},
    {"senders", required_argument, NULL, 'S'},
    {"users", required_argument, NULL, 'u'},
    {"unknown", required_argument, NULL, 'U'},
    {"round-trip", required_argument, NULL, 'R'},
    {"pipelined", no_argument, NULL, 'P'},
    {"each", no_argument, NULL, 'E'},
    {"flush", no_argument, NULL, 'f'},
    {"mail", required_argument, NULL, 'M'},
    {"expect", required_argument, NULL, 'e'},
    {NULL, 0, NULL, 0},
};

static inline int usage(void)
{
    fputs("usage: bench_milter_load --socket PATH [OPTION...]\n"
          "  --pid PID[,PID...]  of the filter, for its processor time and memory\n"
          "  --connections N     that work side by side (1); 0: only the idle ones\n"
          "  --idle N            further ones, held open after HELO (0)\n"
          "  --per-connection N  messages on a connection; 0: all on one (0)\n"
          "  --warmup N          messages before the measured ones (0)\n"
          "  --messages N        at most (no limit)\n"
          "  --seconds S         at most (5)\n"
          "  --think MS          pause before each command (0)\n"
          "  --round-trip MS     of the SMTP client: pause before each of its commands (0)\n"
          "  --pipelined         MAIL, RCPT and DATA in one round trip\n"
          "  --each              --messages different ones, each sent once, and its waiting told\n"
          "  --flush             send each command at once, as Sendmail does\n"
          "  --recipients N --headers N --body BYTES     of a message (1, 12, 8192)\n"
          "  --clients N --senders N --users N           that are different (200, 200, 100000)\n"
          "  --unknown PERCENT   of recipients that do not exist (0)\n"
          "  --mail FOLDER       messages from files, each on a connection of its own\n"
          "  --expect TEXT       that stands in a header field added to each message\n",
          stderr);
    return 2;
}

static inline bool take_pids(struct options *options)
{
    char *at = optarg;
    for (options->pid_count = 0; options->pid_count < PID_MAX; at++) {
        long pid = strtol(at, &at, 10);
        if (pid <= 0)
            return false;
        options->pids[options->pid_count++] = (pid_t)pid;
        if (*at != ',')
            return *at == '\0';
    }
    return false;
}

static inline bool take(struct options *options, int letter)
{
    const struct {
        char letter;
        unsigned *number;
    } numbers[] = {
        {'c', &options->connections}, {'i', &options->idle},     {'k', &options->per_connection},
        {'w', &options->warmup},      {'m', &options->messages}, {'r', &options->recipients},
        {'h', &options->headers},     {'b', &options->body},     {'C', &options->clients},
        {'S', &options->senders},     {'u', &options->users},    {'U', &options->unknown},
    };
    if (letter == 'f' || letter == 'P' || letter == 'E') {
        *(letter == 'f'   ? &options->flush
          : letter == 'P' ? &options->pipelined
                          : &options->each) = true;
        return true;
    }
    if (letter == 'p')
        return take_pids(options);
    if (letter == 's') {
        options->socket = optarg;
        return strlen(optarg) < sizeof(((struct sockaddr_un *)0)->sun_path);
    }
    if (letter == 'M') {
        options->mail = optarg;
        options->per_connection = 1;
        return true;
    }
    if (letter == 'e') {
        options->expect[options->expect_count % EXPECT_MAX] = optarg;
        return ++options->expect_count <= EXPECT_MAX;
    }
    char *end = NULL;
    double value = optarg != NULL ? strtod(optarg, &end) : -1;
    if (end == NULL || *end != '\0' || value < 0 || value > 1e9)
        return false;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (numbers[i].letter == letter)
            *numbers[i].number = (unsigned)value;
    if (letter == 't')
        options->seconds = value;
    else if (letter == 'T')
        options->think = value;
    else if (letter == 'R')
        options->round_trip = value;
    return letter != '?';
}

#endif
