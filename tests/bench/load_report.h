/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_BENCH_LOAD_REPORT_H
#define POSTERN_BENCH_LOAD_REPORT_H

#include "mta.h"

#include <stdio.h>

/* What bench_milter_load prints at its end: one JSON object. */

static inline void print_histogram(const char *name, const struct histogram *histogram)
{
    printf("\"%s\": {\"count\": %llu, \"p50_us\": %.1f, \"p95_us\": %.1f, \"p99_us\": %.1f, "
           "\"max_us\": %.1f}",
           name, (unsigned long long)histogram->count, (double)histogram_at(histogram, 0.5) / 1e3,
           (double)histogram_at(histogram, 0.95) / 1e3, (double)histogram_at(histogram, 0.99) / 1e3,
           (double)histogram->most / 1e3);
}

static inline void print_waits(const char *name, const int64_t *waits, unsigned count)
{
    printf(",\n \"%s\": [", name);
    for (unsigned i = 0; i < count; i++)
        printf("%s%.1f", i > 0 ? ", " : "", (double)waits[i] / 1e3);
    printf("]");
}

static inline void print_report(const struct load *load)
{
    unsigned messages = load->done - load->warm_done;
    double seconds = (double)(load->ended - load->started) / 1e9;
    double count = messages > 0 ? messages : 1;
    double cpu_ns = (double)(load->cpu_ended - load->cpu_started);

    printf("{\"connections\": %u, \"per_connection\": %u, \"messages\": %u, \"seconds\": %.3f,\n",
           load->options.connections, load->options.per_connection, messages, seconds);
    printf(" \"messages_per_second\": %.1f, \"replies_per_message\": %.2f,\n", messages / seconds,
           (double)load->replies / count);
    printf(" \"cpu_us_per_message\": %.2f, \"cpu_share\": %.3f,\n", cpu_ns / 1e3 / count,
           cpu_ns / 1e9 / seconds);
    printf(" \"accepted\": %llu, \"refused\": %llu, \"deferred\": %llu, \"rcpt_refused\": %llu, "
           "\"broken\": %llu, \"unexpected\": %llu,\n",
           (unsigned long long)load->accepted, (unsigned long long)load->refused,
           (unsigned long long)load->deferred, (unsigned long long)load->rcpt_refused,
           (unsigned long long)load->broken, (unsigned long long)load->unexpected);
    printf(" \"idle\": %u, \"rss_idle_kb\": %ld, \"rss_kb\": %ld, \"steps\": \"0x%x\",\n",
           load->options.idle, load->rss_idle, load->rss, load->negotiated);
    printf(" \"stages\": {");
    for (int step = 0; step < STEP_COUNT; step++) {
        if (load->latency[step].count == 0)
            continue;
        print_histogram(steps[step].name, &load->latency[step]);
        printf(",\n  ");
    }
    print_histogram("message", &load->message);
    printf(",\n  ");
    print_histogram("session", &load->session);
    printf(",\n  ");
    print_histogram("wait", &load->wait);
    printf("}");
    if (load->options.each) {
        print_waits("waits_us", load->waits, load->options.messages);
        print_waits("envelope_waits_us", load->envelope_waits, load->options.messages);
    }
    printf("}\n");
}

#endif
