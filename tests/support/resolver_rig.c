/* SPDX-License-Identifier: MIT */
#include "resolver_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <postern/arena.h>
#include <postern/clock.h>

struct rig *resolver_rig_new(struct nsd *nsd, const struct resolver_options *options)
{
    struct rig *rig = xcalloc(1, sizeof(*rig));
    struct resolver_options own = {.cache_bytes = 4 << 20};
    const char *server = nsd ? nsd_server(nsd) : NULL;
    char *error = NULL;

    if (options)
        own = *options;
    if (nsd) {
        own.servers = &server;
        own.server_count = 1;
    }
    rig->nsd = nsd;
    rig->loop = loop_new();
    rig->resolver = resolver_new(rig->loop, &own, &error);
    if (rig->resolver)
        return rig;
    fprintf(stderr, "resolver_new: %s\n", error);
    exit(1);
}

void resolver_rig_free(struct rig *rig)
{
    resolver_free(rig->resolver);
    loop_free(rig->loop);
    if (rig->nsd)
        nsd_stop(rig->nsd);
    free(rig);
}

enum dns_status rig_ask(struct rig *rig, const char *prefix, int number, unsigned timeout_ms)
{
    char name[64];

    snprintf(name, sizeof(name), "%s%d.wild.test", prefix, number);
    const struct dns_answer *answer = resolver_wait(rig->resolver, name, DNS_A, timeout_ms);
    enum dns_status status = answer->status;

    dns_answer_unref(answer);
    return status;
}

static void ignore(void *arg, const struct dns_answer *answer)
{
    (void)arg;
    (void)answer;
}

/* Starts questions whose answers do not matter: a busy resolver loses patience sooner. */
static void crowd(struct rig *rig, const char *prefix, int round, unsigned timeout_ms)
{
    enum { CROWD = 10 };
    struct dns_query *query;
    char name[64];

    for (int i = 0; i < CROWD; i++) {
        snprintf(name, sizeof(name), "%s%d-%d.wild.test", prefix, round, i);
        dns_answer_unref(
            dns_ask(resolver_dns(rig->resolver), name, DNS_A, timeout_ms, ignore, NULL, &query));
    }
}

bool rig_endure(struct rig *rig, const char *prefix, unsigned timeout_ms, int64_t ms)
{
    enum { PAUSE_US = 200 * 1000, LATE_MS = 250 };
    int64_t start = clock_ms();

    for (int i = 0; clock_ms() - start < ms; i++) {
        crowd(rig, prefix, i, timeout_ms);
        int64_t asked = clock_ms();
        enum dns_status status = rig_ask(rig, prefix, i, timeout_ms);
        int64_t took = clock_ms() - asked;

        if (status != DNS_FAULT || took - (int64_t)timeout_ms > LATE_MS * slow()) {
            fprintf(stderr, "%s%d: %s after %d ms\n", prefix, i, dns_status_name(status),
                    (int)took);
            return false;
        }
        usleep(PAUSE_US);
    }
    return true;
}

bool rig_recover(struct rig *rig, const char *prefix, unsigned timeout_ms)
{
    enum { RECOVERY_MS = 5000, GOOD = 20, PAUSE_US = 50 * 1000 };
    int64_t start = clock_ms();
    int tries = 0;

    while (rig_ask(rig, prefix, tries++, timeout_ms) != DNS_FOUND) {
        if (clock_ms() - start > RECOVERY_MS) {
            fprintf(stderr, "%s: no answer for %d ms\n", prefix, RECOVERY_MS);
            return false;
        }
        usleep(PAUSE_US);
    }
    for (int i = 0; i < GOOD; i++) {
        if (rig_ask(rig, prefix, tries + i, timeout_ms) != DNS_FOUND) {
            fprintf(stderr, "%s: a fault after %d answers\n", prefix, i);
            return false;
        }
    }
    return true;
}

void seen_note(void *arg, const struct dns_answer *answer)
{
    struct seen *seen = arg;

    seen->status = answer->status;
    strncpy(seen->problem, answer->problem, sizeof(seen->problem) - 1);
    atomic_fetch_add(&seen->calls, 1);
}

void seen_wait(struct seen *seen)
{
    enum { TRIES = 20 * 1000, WAIT_US = 1000 };

    for (int i = 0; i < TRIES * slow(); i++) {
        if (atomic_load(&seen->calls) > 0)
            return;
        usleep(WAIT_US);
    }
    fprintf(stderr, "a question was never answered\n");
    exit(1);
}

int slow(void)
{
    const char *text = getenv("POSTERN_SLOW");
    int factor = text ? atoi(text) : 1;

    return factor > 1 ? factor : 1;
}
