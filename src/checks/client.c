/* SPDX-License-Identifier: MIT */
#include "checks_private.h"

#include <postern/arena.h>
#include <postern/domain.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/*
 * The client and the session: who connects, under which name, how it is authenticated.
 *
 * The name is forward-confirmed by our own lookups (RFC 8601 2.7.3, iprev): PTR, then the addresses
 * of each name.  What the MTA says of the client's name is never taken for confirmed: whoever
 * reaches the milter socket can say it.
 */
enum client_fact {
    CLIENT_IP,
    CLIENT_LOCAL,
    LISTENER,
    MTA_DAEMON,
    CLIENT_PTR,
    CLIENT_NAME,
    CLIENT_RDNS,
    TLS_VERSION,
    AUTH_USER,
    AUTH_TYPE,
};
enum rdns { RDNS_PASS, RDNS_FAIL, RDNS_NONE, RDNS_TEMPERROR };

/* RFC 8601 2.7.3: a limit on the names is reasonable; a PTR set may be anything its owner likes. */
enum { NAMES_MAX = 10 };

static const struct fact_row facts[] = {
    [CLIENT_IP] = {"client.ip", FACT_IP, STAGE_CONNECT, SCOPE_CONNECTION, NULL,
                   "address of the client"},
    [CLIENT_LOCAL] = {"client.local", FACT_BOOL, STAGE_CONNECT, SCOPE_CONNECTION, NULL,
                      "whether the mail was handed in by a program on this host"},
    [LISTENER] = {"listener", FACT_TEXT, STAGE_CONNECT, SCOPE_CONNECTION, NULL,
                  "name of the listen block"},
    [MTA_DAEMON] = {"mta.daemon", FACT_TEXT, STAGE_CONNECT, SCOPE_CONNECTION, NULL,
                    "name of the MTA's daemon ({daemon_name})"},
    [CLIENT_PTR] = {"client.ptr", FACT_DOMAIN, STAGE_CONNECT, SCOPE_CONNECTION, NULL,
                    "name that the client's address claims (PTR), not confirmed"},
    [CLIENT_NAME] = {"client.name", FACT_DOMAIN, STAGE_CONNECT, SCOPE_CONNECTION, NULL,
                     "forward-confirmed name of the client, or empty"},
    [CLIENT_RDNS] = {"client.rdns", FACT_WORD, STAGE_CONNECT, SCOPE_CONNECTION,
                     "pass fail none temperror!",
                     "pass: a PTR name leads back to the address; none: there is no PTR"},
    [TLS_VERSION] = {"tls.version", FACT_TEXT, STAGE_MAIL, SCOPE_TRANSACTION, NULL,
                     "version of TLS, or empty"},
    [AUTH_USER] = {"auth.user", FACT_TEXT, STAGE_MAIL, SCOPE_TRANSACTION, NULL,
                   "name of the authenticated user, or empty"},
    [AUTH_TYPE] = {"auth.type", FACT_TEXT, STAGE_MAIL, SCOPE_TRANSACTION, NULL,
                   "SASL mechanism, or empty"},
};

static void start_connection(struct probe_run *run)
{
    const struct inputs *inputs = run->inputs;

    probe_set(run, CLIENT_IP, value_ip(inputs->client));
    probe_set(run, CLIENT_LOCAL, value_bool(inputs->local));
    probe_set_text(run, LISTENER, inputs->listener);
    probe_set_text(run, MTA_DAEMON, inputs->daemon);
    probe_finish(run);
}

static void start_session(struct probe_run *run)
{
    const struct inputs *inputs = run->inputs;

    probe_set_text(run, TLS_VERSION, inputs->tls_version);
    probe_set_text(run, AUTH_USER, inputs->auth_user);
    probe_set_text(run, AUTH_TYPE, inputs->auth_type);
    probe_finish(run);
}

/* ---- reverse DNS ---- */

enum name_state { NAME_PENDING, NAME_CONFIRMED, NAME_DIFFERS, NAME_FAULT };

struct rdns_work {
    bool has_ptr;      /* the PTR question is answered */
    const char *claim; /* what the MTA says; canonical, "" when it says nothing */
    const char
        *names[NAMES_MAX]; /* sorted, so that the result does not hang on the order of answers */
    enum name_state states[NAMES_MAX];
    size_t count;
    bool more; /* names that are not tried, any of which might lead back */
};

static void conclude_rdns(struct probe_run *run, enum rdns rdns, const char *name)
{
    const struct rdns_work *work = run->work;

    if (name[0] != '\0')
        probe_set_text(run, CLIENT_PTR, name);
    else if (work->count > 0)
        probe_set_text(run, CLIENT_PTR, work->names[0]);
    else if (work->claim[0] != '\0' || work->has_ptr)
        probe_set_text(run, CLIENT_PTR, work->claim);
    else
        probe_set_fault(run, CLIENT_PTR);
    if (rdns == RDNS_TEMPERROR)
        probe_set_fault(run, CLIENT_NAME);
    else
        probe_set_text(run, CLIENT_NAME, name);
    probe_set_word(run, CLIENT_RDNS, rdns);
    probe_finish(run);
}

/* The first confirmed name in their order decides; before it is known, a later one does not. */
static void settle_rdns(struct probe_run *run, bool time_is_up)
{
    const struct rdns_work *work = run->work;
    bool fault = work->more;
    size_t i;

    for (i = 0; i < work->count; i++) {
        if (work->states[i] == NAME_CONFIRMED) {
            conclude_rdns(run, RDNS_PASS, work->names[i]);
            return;
        }
        if (work->states[i] == NAME_PENDING && !time_is_up)
            return;
        if (work->states[i] != NAME_DIFFERS)
            fault = true;
    }
    conclude_rdns(run, fault ? RDNS_TEMPERROR : RDNS_FAIL, "");
}

static void got_address(struct probe_run *run, const struct dns_answer *answer, uintptr_t tag)
{
    struct rdns_work *work = run->work;
    enum name_state state = answer->status == DNS_FAULT ? NAME_FAULT : NAME_DIFFERS;
    size_t i;

    for (i = 0; i < answer->count; i++)
        if (addr_equal(&answer->records[i].addr, &run->inputs->client))
            state = NAME_CONFIRMED;
    work->states[tag] = state;
    settle_rdns(run, false);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names that are domain names, sorted, each once, at most NAMES_MAX. */
static void collect_names(struct probe_run *run, const struct dns_answer *answer)
{
    struct rdns_work *work = run->work;
    const char **names = arena_alloc(run->scratch, (answer->count + 1) * sizeof(names[0]));
    char domain[DOMAIN_SIZE];
    size_t count = 0;
    size_t i;

    for (i = 0; i < answer->count; i++) {
        const char *name = answer->records[i].name;

        if (domain_canonical(name, strlen(name), domain))
            names[count++] = arena_strdup(run->arena, domain);
    }
    qsort(names, count, sizeof(names[0]), compare_names);
    for (i = 0; i < count && !work->more; i++) {
        if (i > 0 && strcmp(names[i], names[i - 1]) == 0)
            continue;
        if (work->count == NAMES_MAX)
            work->more = true;
        else
            work->names[work->count++] = names[i];
    }
}

static void got_ptr(struct probe_run *run, const struct dns_answer *answer, uintptr_t tag)
{
    struct rdns_work *work = run->work;
    bool ipv4 = run->inputs->client.family == ADDR_IPV4;
    size_t i;

    (void)tag;
    if (answer->status == DNS_FAULT) {
        conclude_rdns(run, RDNS_TEMPERROR, "");
        return;
    }
    work->has_ptr = true;
    if (answer->status != DNS_FOUND) {
        conclude_rdns(run, RDNS_NONE, "");
        return;
    }
    collect_names(run, answer);
    if (work->count == 0)
        settle_rdns(run, false);
    for (i = 0; i < work->count; i++)
        probe_ask(run, work->names[i], ipv4 ? DNS_A : DNS_AAAA, got_address, i);
}

/* Postfix says "unknown", or the address in brackets, for a client without a name. */
static const char *claimed_name(struct probe_run *run)
{
    const char *ptr = run->inputs->client_ptr;
    char domain[DOMAIN_SIZE];

    if (strcasecmp(ptr, "unknown") == 0 || !domain_canonical(ptr, strlen(ptr), domain))
        return "";
    return arena_strdup(run->arena, domain);
}

static void start_rdns(struct probe_run *run)
{
    const struct addr *client = &run->inputs->client;
    struct rdns_work *work = arena_alloc(run->scratch, sizeof(*work));
    char reversed[ADDR_REVERSE_SIZE];

    if (run->inputs->local || client->family == ADDR_NONE) {
        probe_finish_absent(run);
        return;
    }
    work->claim = claimed_name(run);
    run->work = work;
    probe_ask(run,
              arena_join(run->scratch, addr_reverse(client, reversed), ".",
                         client->family == ADDR_IPV4 ? "in-addr.arpa" : "ip6.arpa"),
              DNS_PTR, got_ptr, 0);
}

/* A name that is confirmed already is a name, whatever the missing answers would say. */
static void expire_rdns(struct probe_run *run)
{
    const struct rdns_work *work = run->work;

    if (work->has_ptr)
        settle_rdns(run, true);
    else
        conclude_rdns(run, RDNS_TEMPERROR, "");
}

enum client_probe { PROBE_CONNECTION, PROBE_RDNS, PROBE_SESSION };

static const struct probe probes[] = {
    [PROBE_CONNECTION] = {.name = "client",
                          .stage = STAGE_CONNECT,
                          .scope = SCOPE_CONNECTION,
                          .first = CLIENT_IP,
                          .count = CLIENT_PTR - CLIENT_IP,
                          .instant = true,
                          .start = start_connection},
    [PROBE_RDNS] = {.name = "rdns",
                    .stage = STAGE_CONNECT,
                    .scope = SCOPE_CONNECTION,
                    .first = CLIENT_PTR,
                    .count = TLS_VERSION - CLIENT_PTR,
                    .start = start_rdns,
                    .expire = expire_rdns},
    [PROBE_SESSION] = {.name = "session",
                       .stage = STAGE_MAIL,
                       .scope = SCOPE_TRANSACTION,
                       .first = TLS_VERSION,
                       .count = COUNT_OF(facts) - TLS_VERSION,
                       .instant = true,
                       .start = start_session},
};

static const char *cost(void *state, const struct probe *probe, struct arena *arena)
{
    (void)state;
    (void)arena;
    return probe == &probes[PROBE_RDNS] ? "2 DNS questions (1 for the PTR, 1 for each name in it)"
                                        : NULL;
}

const struct check check_client = {
    .name = "client",
    .help = "the client, its name and its session",
    .facts = facts,
    .fact_count = COUNT_OF(facts),
    .probes = probes,
    .probe_count = COUNT_OF(probes),
    .cost = cost,
};
