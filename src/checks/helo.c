/* SPDX-License-Identifier: MIT */
#include "checks_private.h"

#include <postern/arena.h>
#include <postern/domain.h>
#include <postern/table.h>

#include <string.h>

/*
 * The name in HELO or EHLO, as a name.  RFC 5321 4.1.4: that it does not belong to the client is no
 * reason to refuse mail, so nothing is asked about it here.
 */
enum helo_fact { HELO, HELO_DOMAIN, HELO_KIND };
enum helo_kind { KIND_NAME, KIND_LITERAL, KIND_BARE, KIND_INVALID, KIND_OURS };

static const struct fact_row facts[] = {
    /* Names of hosts have no case, whatever is sent. */
    [HELO] = {"helo", FACT_LOCAL_PART, STAGE_HELO, SCOPE_CONNECTION, NULL,
              "the name in HELO or EHLO as it was sent; compared without case"},
    [HELO_DOMAIN] = {"helo.domain", FACT_DOMAIN, STAGE_HELO, SCOPE_CONNECTION, NULL,
                     "the same as a domain name; empty for literals and what is no name"},
    [HELO_KIND] =
        {"helo.kind", FACT_WORD, STAGE_HELO, SCOPE_CONNECTION, "name literal bare invalid ours",
         "name: has a dot; literal: [192.0.2.1]; bare: has none; invalid: no name at all; "
         "ours: our hostname or one of our domains.  A client without HELO: name"},
};

struct helo_state {
    const char *hostname; /* canonical; "" when not configured */
    struct table *ours;   /* NULL: not configured */
};

static bool is_literal(const char *helo)
{
    size_t length = strlen(helo);
    struct addr addr;

    return length > 2 && helo[0] == '[' && helo[length - 1] == ']' && addr_parse(helo, &addr);
}

static void set_kind(struct probe_run *run, const char *domain)
{
    const struct helo_state *state = run->state;
    const char *helo = run->inputs->helo;
    struct table_key key = {
        .kind = TABLE_KEY_DOMAIN, .text = domain, .local = "", .domain = "", .delimiter = ""};
    enum table_status status = TABLE_ABSENT;
    enum helo_kind kind;

    if (domain[0] != '\0' && strcmp(domain, state->hostname) == 0)
        status = TABLE_FOUND;
    else if (domain[0] != '\0' && state->ours != NULL)
        status = table_find(state->ours, &key, run->arena).status;
    if (status == TABLE_UNAVAILABLE) {
        probe_set_fault(run, HELO_KIND);
        return;
    }
    if (status == TABLE_FOUND)
        kind = KIND_OURS;
    else if (domain[0] != '\0')
        kind = domain_labels(domain) > 1 ? KIND_NAME : KIND_BARE;
    else if (is_literal(helo))
        kind = KIND_LITERAL;
    else
        kind = helo[0] == '\0' ? KIND_NAME : KIND_INVALID;
    probe_set_word(run, HELO_KIND, kind);
}

static void start(struct probe_run *run)
{
    const char *helo = run->inputs->helo;
    char domain[DOMAIN_SIZE];

    domain_canonical(helo, strlen(helo), domain);
    probe_set_text(run, HELO, helo);
    probe_set_text(run, HELO_DOMAIN, arena_strdup(run->arena, domain));
    set_kind(run, domain);
    probe_finish(run);
}

static void *open_helo(const struct check_site *site)
{
    struct helo_state *state = arena_alloc(site->arena, sizeof(*state));
    char hostname[DOMAIN_SIZE];

    domain_canonical(site->hostname, strlen(site->hostname), hostname);
    state->hostname = arena_strdup(site->arena, hostname);
    state->ours = recipients_domains(site);
    return state;
}

static const struct probe probes[] = {
    {.name = "helo",
     .stage = STAGE_HELO,
     .scope = SCOPE_CONNECTION,
     .first = HELO,
     .count = COUNT_OF(facts),
     .instant = true,
     .start = start},
};

const struct check check_helo = {
    .name = "helo",
    .help = "the name in HELO or EHLO",
    .facts = facts,
    .fact_count = COUNT_OF(facts),
    .probes = probes,
    .probe_count = COUNT_OF(probes),
    .open = open_helo,
};
