/* SPDX-License-Identifier: MIT */
#include "upstream.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unbound-event.h>
#include <unbound.h>

#include <postern/arena.h>
#include <postern/clock.h>
#include <postern/str.h>

#include "answer.h"
#include "names.h"
#include "packet.h"

struct upstream {
    struct ub_ctx *ctx;
    struct upstream_ask *newest, *oldest; /* open questions */
};

struct option {
    const char *name, *value;
};

static const struct option options_always[] = {
    /* With the default of 16 sockets a slow server holds up everybody else. */
    {"outgoing-range:", "512"},
    {"num-queries-per-thread:", "4096"},
    {"outgoing-num-tcp:", "64"},
    /* What is known of a server that fell silent is forgotten soon: by default it is left alone for
     * 15 minutes. */
    {"infra-host-ttl:", "5"},
    {"outbound-msg-retry:", "5"},
    /* A server that answers from its cache within a millisecond may need seconds where it has to
     * look further.  With the default of 50 ms its patience is used up after 1.6 s, and the
     * question is a fault before its own time-out. */
    {"infra-cache-min-rtt:", "250"},
    /* Answers are kept by the cache in front.  A message cache behind it would keep SERVFAIL for
     * five seconds and outlive a flush. */
    {"msg-cache-size:", "0"},
    {"msg-cache-slabs:", "1"},
    /* It would be looked for there once for each name above the one that is asked for. */
    {"harden-below-nxdomain:", "no"},
    {"rrset-cache-size:", "8m"},
    {"cache-max-ttl:", "86400"},
    {"cache-max-negative-ttl:", "300"},
    {"serve-expired:", "no"},
    {"prefetch:", "no"},
    {"rrset-roundrobin:", "no"},
    /* Reverse zones of private and documentation networks belong to the site's own servers, which
     * cannot sign them. */
    {"unblock-lan-zones:", "yes"},
    {"insecure-lan-zones:", "yes"},
    {"domain-insecure:", "test."},
    {"domain-insecure:", "home.arpa."},
    {"do-not-query-localhost:", "no"},
};

/* Zones that libunbound would answer from what it has built in. */
static const char *const zones_open[] = {"test.", "home.arpa."};

/* Whether a line of the zone file holds a DS or DNSKEY record.  libunbound takes a file without one
 * for an order to validate nothing. */
static bool is_anchor(char *line)
{
    static const char blanks[] = " \t\r\n";
    char *rest = NULL;

    line[strcspn(line, ";")] = '\0';
    for (const char *word = strtok_r(line, blanks, &rest); word;
         word = strtok_r(NULL, blanks, &rest))
        if (strcasecmp(word, "DS") == 0 || strcasecmp(word, "DNSKEY") == 0)
            return true;
    return false;
}

/* NULL, or what is wrong with the file. */
static char *check_anchor(const char *path)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    bool found = false;

    if (!file)
        return str_printf("trust anchor %s: %s (Debian has it in the package dns-root-data)", path,
                          strerror(errno));
    while (!found && getline(&line, &room, file) >= 0)
        found = is_anchor(line);
    free(line);
    fclose(file);
    return found ? NULL
                 : str_printf("trust anchor %s holds neither a DS nor a DNSKEY record", path);
}

static char *set_options(struct ub_ctx *ctx, const struct option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int problem = ub_ctx_set_option(ctx, options[i].name, options[i].value);

        if (problem)
            return str_printf("libunbound refuses %s %s: %s", options[i].name, options[i].value,
                              ub_strerror(problem));
    }
    return NULL;
}

static char *set_dnssec(struct ub_ctx *ctx, const struct upstream_setup *setup)
{
    const struct option module = {"module-config:",
                                  setup->dnssec ? "validator iterator" : "iterator"};
    char *problem = set_options(ctx, &module, 1);

    if (!problem && setup->dnssec)
        problem = check_anchor(setup->trust_anchor);
    if (!problem && setup->dnssec && ub_ctx_add_ta_file(ctx, setup->trust_anchor) != 0)
        problem = str_printf("libunbound refuses the trust anchor %s", setup->trust_anchor);
    return problem;
}

/* NULL, or what went wrong.  The zones come last: to add one ends the setting of options. */
static char *set_up(struct ub_ctx *ctx, const struct upstream_setup *setup)
{
    size_t forwarders = setup->recursive ? 0 : setup->servers.count;
    char *problem =
        set_options(ctx, options_always, sizeof(options_always) / sizeof(struct option));

    if (!problem)
        problem = set_dnssec(ctx, setup);
    for (size_t i = 0; i < forwarders && !problem; i++)
        if (ub_ctx_set_fwd(ctx, setup->servers.texts[i]) != 0)
            problem = str_printf("libunbound refuses the server %s", setup->servers.texts[i]);
    for (size_t i = 0; i < sizeof(zones_open) / sizeof(zones_open[0]) && !problem; i++) {
        int refused = ub_ctx_zone_add(ctx, zones_open[i], "nodefault");

        if (refused && setup->dnssec)
            problem =
                str_printf("libunbound does not start: %s (is the trust anchor %s well formed?)",
                           ub_strerror(refused), setup->trust_anchor);
        else if (refused)
            problem = str_printf("libunbound does not start: %s", ub_strerror(refused));
    }
    return problem;
}

struct upstream *upstream_open(struct event_base *base, const struct upstream_setup *setup,
                               char **error)
{
    struct ub_ctx *ctx = ub_ctx_create_event(base);

    if (!ctx) {
        *error = str_printf("libunbound does not start");
        return NULL;
    }
    /* It would write to standard error. */
    ub_ctx_debugout(ctx, NULL);

    char *problem = set_up(ctx, setup);

    if (problem) {
        ub_ctx_delete(ctx);
        *error = problem;
        return NULL;
    }
    struct upstream *upstream = xcalloc(1, sizeof(*upstream));

    upstream->ctx = ctx;
    return upstream;
}

void upstream_close(struct upstream *upstream)
{
    ub_ctx_delete(upstream->ctx);
    free(upstream);
}

static void finish(struct upstream_ask *ask, const struct dns_answer *answer)
{
    struct upstream *upstream = ask->upstream;

    *(ask->newer ? &ask->newer->older : &upstream->newest) = ask->older;
    *(ask->older ? &ask->older->newer : &upstream->oldest) = ask->newer;
    ask->done(ask, answer);
    dns_answer_unref(answer);
}

static void answered(void *arg, int rcode, void *packet, int length, int security, char *why,
                     int limited)
{
    enum { BOGUS = 1, SECURE = 2, WHY_MAX = 200, MS = 1000 };
    struct upstream_ask *ask = arg;
    int64_t now = clock_ms(), soon = now + (int64_t)PACKET_FAULT_TTL_S * MS;

    (void)limited;
    if (rcode != 0) {
        finish(ask, answer_fault(ask->name, ask->type, packet_rcode_name((unsigned)rcode), soon));
    } else if (security == BOGUS) {
        /* Bogus data comes along with RCODE 0: this is looked at before the data. */
        char problem[WHY_MAX];

        snprintf(problem, sizeof(problem), "bogus: %s", why ? why : "validation failed");
        finish(ask, answer_fault(ask->name, ask->type, problem, soon));
    } else {
        finish(ask, packet_answer(ask->name, ask->type, packet, packet ? (size_t)length : 0,
                                  security == SECURE, now));
    }
}

void upstream_start(struct upstream *upstream, struct upstream_ask *ask)
{
    enum { CLASS_IN = 1 };
    char name[NAMES_ESCAPED_SIZE];

    ask->upstream = upstream;
    ask->started = clock_ms();
    ask->newer = NULL;
    ask->older = upstream->newest;
    *(upstream->newest ? &upstream->newest->newer : &upstream->oldest) = ask;
    upstream->newest = ask;

    names_escape(ask->name, name);
    int problem =
        ub_resolve_event(upstream->ctx, name, (int)ask->type, CLASS_IN, ask, answered, NULL);

    if (problem)
        finish(ask, answer_fault(ask->name, ask->type, ub_strerror(problem), clock_ms()));
}

int64_t upstream_waits_since(const struct upstream *upstream)
{
    return upstream->oldest ? upstream->oldest->started : INT64_MAX;
}
