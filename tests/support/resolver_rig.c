/* SPDX-License-Identifier: MIT */
#include "resolver_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <postern/arena.h>

struct rig *rig_new(struct nsd *nsd, const struct resolver_options *options)
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

void rig_free(struct rig *rig)
{
    resolver_free(rig->resolver);
    loop_free(rig->loop);
    if (rig->nsd)
        nsd_stop(rig->nsd);
    free(rig);
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
