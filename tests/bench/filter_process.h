/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_BENCH_FILTER_PROCESS_H
#define POSTERN_BENCH_FILTER_PROCESS_H

#include "mta.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What the filter's processes have used so far. */

/* Nanoseconds of processor time of all their threads, ended ones too. */
static inline int64_t cpu_of(const struct options *options)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < options->pid_count; i++) {
        clockid_t clock;
        struct timespec spent;
        if (clock_getcpuclockid(options->pids[i], &clock) != 0 || clock_gettime(clock, &spent) != 0)
            continue; /* gone, which the next reply that does not come will tell */
        sum += (int64_t)spent.tv_sec * 1000000000 + spent.tv_nsec;
    }
    return sum;
}

/* kB in memory; what several processes share is divided among them. */
static inline long rss_of(const struct options *options)
{
    long rss = 0;
    for (unsigned i = 0; i < options->pid_count; i++) {
        char path[64];
        char line[256];
        bool alone = options->pid_count == 1;
        snprintf(path, sizeof(path), "/proc/%d/%s", (int)options->pids[i],
                 alone ? "status" : "smaps_rollup");
        FILE *file = fopen(path, "r");
        while (file != NULL && fgets(line, sizeof(line), file) != NULL)
            if (strncmp(line, alone ? "VmRSS:" : "Pss:", alone ? 6 : 4) == 0)
                rss += strtol(strchr(line, ':') + 1, NULL, 10);
        if (file != NULL)
            fclose(file);
    }
    return rss;
}

#endif
