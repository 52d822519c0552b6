/* SPDX-License-Identifier: MIT */
#include "checks_private.h"

#include <postern/arena.h>
#include <postern/domain.h>
#include <postern/table.h>

#include <string.h>
#include <strings.h>

/*
 * The recipient: whether the domain is ours, whether the mailbox is there, whether it has moved,
 * and whether a domain that is not ours takes mail.
 *
 * An address without a domain is one of our first domain, which the table of our domains names, or
 * else of the host (RFC 5321 4.1.1.3 for <postmaster>; Postfix takes others, too); so is one at an
 * address literal that is ours.
 */
enum recipient_fact {
    RCPT,
    RCPT_LOCAL,
    RCPT_DOMAIN,
    RCPT_COUNT,
    RCPT_STATUS,
    RCPT_MOVED_TO,
    RCPT_DOMAIN_STATUS,
};
enum rcpt_status { RCPT_KNOWN, RCPT_UNKNOWN, RCPT_MOVED, RCPT_FOREIGN, RCPT_UNAVAILABLE };

static const struct fact_row facts[] = {
    [RCPT] = {"rcpt", FACT_ADDRESS, STAGE_RCPT, SCOPE_RECIPIENT, NULL, "the recipient"},
    [RCPT_LOCAL] = {"rcpt.local", FACT_LOCAL_PART, STAGE_RCPT, SCOPE_RECIPIENT, NULL,
                    "local part of the recipient"},
    [RCPT_DOMAIN] = {"rcpt.domain", FACT_DOMAIN, STAGE_RCPT, SCOPE_RECIPIENT, NULL,
                     "domain of the recipient; empty for address literals"},
    [RCPT_COUNT] = {"rcpt.count", FACT_NUMBER, STAGE_RCPT, SCOPE_RECIPIENT, NULL,
                    "recipients taken before this one"},
    [RCPT_STATUS] = {"rcpt.status", FACT_WORD, STAGE_RCPT, SCOPE_RECIPIENT,
                     "known unknown moved foreign unavailable!",
                     "what our tables say of the mailbox; foreign: the domain is not ours"},
    [RCPT_MOVED_TO] = {"rcpt.moved_to", FACT_ADDRESS, STAGE_RCPT, SCOPE_RECIPIENT, NULL,
                       "new address of a mailbox that has moved; empty when it is not disclosed"},
    [RCPT_DOMAIN_STATUS] = {"rcpt.domain_status", FACT_WORD, STAGE_RCPT, SCOPE_RECIPIENT,
                            DOMAIN_STATUS_WORDS,
                            "whether the recipient's domain takes mail, by MX, A and AAAA; exists "
                            "for our own"},
};

static const struct option_row rows[] = {
    {.name = "domains",
     .type = OPTION_TABLE,
     .offset = offsetof(struct recipients_block, domains),
     .help = "table of our domains; recipients elsewhere are foreign"},
    {.name = "local",
     .type = OPTION_TABLE,
     .offset = offsetof(struct recipients_block, local),
     .help = "table of the domains where an entry without a domain is a mailbox too"},
    {.name = "known",
     .type = OPTION_TABLE,
     .offset = offsetof(struct recipients_block, known),
     .help = "table of the mailboxes that there are"},
    {.name = "moved",
     .type = OPTION_TABLE,
     .offset = offsetof(struct recipients_block, moved),
     .help = "table of the mailboxes that have moved, with the new address where it may be told"},
    {.name = "shrink_guard",
     .type = OPTION_PERCENT,
     .fallback = "20%",
     .maximum = 100,
     .offset = offsetof(struct recipients_block, shrink_guard),
     .help = "refuse a new table that is smaller by more than this in any one domain; 0%: never"},
    {.name = "delimiter",
     .type = OPTION_TEXT,
     .offset = offsetof(struct recipients_block, delimiter),
     .help = "characters that begin an address extension, as Postfix's recipient_delimiter"},
};

static const struct option_block blocks[] = {
    {.kind = "recipients",
     .rows = rows,
     .row_count = COUNT_OF(rows),
     .size = sizeof(struct recipients_block),
     .help = "the tables that say which recipients there are"},
};

struct recipient_state {
    const char *home; /* the domain of addresses without one; "" when none is known */
    struct table *domains, *local, *known, *moved; /* NULL: not configured */
    const char *delimiter;
};

/* ---- the address itself ---- */

/* Whether the client left the domain out: "root", but not "root@" nor "root@no..name". */
static bool has_no_domain(const struct probe_run *run)
{
    const struct mailbox *rcpt = &run->inputs->recipient;

    return rcpt->local[0] != '\0' &&
           strcmp(rcpt->address, mailbox_format(run->arena, rcpt->local, "")) == 0;
}

static const char *domain_of(const struct probe_run *run)
{
    const struct recipient_state *state = run->state;
    const struct mailbox *rcpt = &run->inputs->recipient;

    return has_no_domain(run) ? state->home : rcpt->domain;
}

static void start_recipient(struct probe_run *run)
{
    const struct mailbox *rcpt = &run->inputs->recipient;
    const char *domain = domain_of(run);
    struct value address = value_text(rcpt->address);

    if (has_no_domain(run))
        address.text = mailbox_format(run->arena, rcpt->local, domain);
    address.shown = rcpt->sent;
    probe_set(run, RCPT, address);
    probe_set_text(run, RCPT_LOCAL, rcpt->local);
    probe_set_text(run, RCPT_DOMAIN, domain);
    probe_set(run, RCPT_COUNT, value_number(run->inputs->recipients_taken));
    probe_finish(run);
}

/* ---- what the tables say ---- */

static enum table_status find_domain(struct table *table, const char *domain, struct arena *arena)
{
    struct table_key key = {
        .kind = TABLE_KEY_DOMAIN, .text = domain, .local = "", .domain = "", .delimiter = ""};

    return domain[0] == '\0' ? TABLE_ABSENT : table_find(table, &key, arena).status;
}

/* Whether the recipient's domain is ours.  postmaster@[192.0.2.1] is, where the address stands in
 * the table of our domains.  Without that table all domains are. */
static enum table_status domain_is_ours(struct probe_run *run)
{
    const struct recipient_state *state = run->state;
    const struct mailbox *rcpt = &run->inputs->recipient;
    struct table_key key = {
        .kind = TABLE_KEY_ADDR, .text = "", .local = "", .domain = "", .delimiter = ""};

    if (state->domains == NULL || has_no_domain(run))
        return TABLE_FOUND;
    if (rcpt->literal[0] == '\0')
        return find_domain(state->domains, rcpt->domain, run->arena);
    if (!addr_parse(rcpt->literal, &key.addr))
        return TABLE_ABSENT;
    return table_find(state->domains, &key, run->arena).status;
}

/* The new address, where the entry is exactly one that every client can be told: RFC 6531 3.7.4 has
 * non-ASCII ones only for sessions with SMTPUTF8. */
static const char *disclosed(struct arena *arena, const char *value)
{
    struct mailbox mailbox = mailbox_parse(arena, value);
    const char *at;

    if (!mailbox.well_formed || (mailbox.domain[0] == '\0' && mailbox.literal[0] == '\0'))
        return "";
    for (at = mailbox.address; *at != '\0'; at++)
        if ((unsigned char)*at >= 0x80)
            return "";
    return mailbox.address;
}

/* RCPT_MOVED with *moved_to, RCPT_KNOWN, RCPT_UNKNOWN or RCPT_UNAVAILABLE.  A mailbox that has
 * moved is moved, whatever else is unavailable; while that cannot be found out no other status is
 * certain, not even of a mailbox that still stands in the other table. */
static enum rcpt_status find_mailbox(struct probe_run *run, const char **moved_to)
{
    const struct recipient_state *state = run->state;
    const struct mailbox *rcpt = &run->inputs->recipient;
    const char *domain = rcpt->domain[0] != '\0' ? rcpt->domain : state->home;
    enum table_status local = TABLE_ABSENT;
    struct table_answer moved = {.status = TABLE_ABSENT};
    struct table_answer known = {.status = TABLE_FOUND};
    struct table_key key = {.kind = TABLE_KEY_RECIPIENT,
                            .text = "",
                            .local = rcpt->local,
                            .domain = domain,
                            .delimiter = state->delimiter};

    if (state->local != NULL)
        local = find_domain(state->local, domain, run->arena);
    key.bare_user = local == TABLE_FOUND;
    if (state->moved != NULL)
        moved = table_find(state->moved, &key, run->arena);
    if (moved.status == TABLE_FOUND) {
        *moved_to = disclosed(run->arena, moved.value);
        return RCPT_MOVED;
    }
    if (moved.status == TABLE_UNAVAILABLE || local == TABLE_UNAVAILABLE)
        return RCPT_UNAVAILABLE;
    if (state->known != NULL)
        known = table_find(state->known, &key, run->arena);
    if (known.status == TABLE_UNAVAILABLE)
        return RCPT_UNAVAILABLE;
    /* Postfix takes mail for these in its local domains whatever its maps say, and what asks
     * whether an address of the site is there asks for the sender of its bounces and of its probes.
     */
    if (known.status == TABLE_ABSENT && local == TABLE_FOUND && mailbox_is_reserved(rcpt->local))
        return RCPT_KNOWN;
    return known.status == TABLE_FOUND ? RCPT_KNOWN : RCPT_UNKNOWN;
}

/* RFC 5321 4.5.1: postmaster of the host itself is there, whatever the tables say. */
static bool is_host_postmaster(const struct probe_run *run)
{
    const struct mailbox *rcpt = &run->inputs->recipient;

    return rcpt->domain[0] == '\0' && strcasecmp(rcpt->local, "postmaster") == 0;
}

static void start_status(struct probe_run *run)
{
    enum table_status ours = domain_is_ours(run);
    enum rcpt_status status = RCPT_UNAVAILABLE;
    const char *moved_to = "";

    if (ours == TABLE_ABSENT)
        status = RCPT_FOREIGN;
    else if (ours == TABLE_FOUND && is_host_postmaster(run))
        status = RCPT_KNOWN;
    else if (ours == TABLE_FOUND)
        status = find_mailbox(run, &moved_to);
    if (status != RCPT_UNAVAILABLE)
        probe_set_text(run, RCPT_MOVED_TO, moved_to);
    probe_set_word(run, RCPT_STATUS, status);
    probe_finish(run);
}

/* ---- DNS ---- */

static void start_domain(struct probe_run *run)
{
    const struct recipient_state *state = run->state;
    enum table_status ours = TABLE_ABSENT;

    /* Without a table of our domains any of them could be someone else's: DNS tells. */
    if (state->domains != NULL || has_no_domain(run))
        ours = domain_is_ours(run);
    if (ours == TABLE_UNAVAILABLE) {
        probe_set_fault(run, RCPT_DOMAIN_STATUS);
        probe_finish(run);
        return;
    }
    domain_status_start(run, ours == TABLE_FOUND ? "" : run->inputs->recipient.domain,
                        RCPT_DOMAIN_STATUS);
}

/* ---- opening ---- */

static const struct recipients_block *recipients_block(const struct check_site *site)
{
    return (const struct recipients_block *)(const void *)site->blocks(site, "recipients");
}

static struct table *table_of(const struct check_site *site, const char *name)
{
    return name != NULL && name[0] != '\0' ? site->table(site, name) : NULL;
}

struct table *recipients_domains(const struct check_site *site)
{
    const struct recipients_block *block = recipients_block(site);

    return block != NULL ? table_of(site, block->domains) : NULL;
}

static bool has_domain(struct table *table, const char *domain)
{
    const struct table_key key = {.kind = TABLE_KEY_DOMAIN, .text = domain, .delimiter = ""};
    struct arena *arena = arena_new();
    bool found = table_find(table, &key, arena).status == TABLE_FOUND;

    arena_free(arena);
    return found;
}

/* The domains of the shipped example belong to nobody (RFC 2606): with them, all that the site
 * takes mail for is foreign. */
static void warn_of_example(const struct check_site *site, const struct recipients_block *block,
                            struct table *domains)
{
    if (domains != NULL && has_domain(domains, "example.org") && has_domain(domains, "example.net"))
        diag_warning(
            site->diag, &block->head.at,
            "table %s still has the domains of the example; write those that you take mail "
            "for there, or their recipients count as foreign",
            block->domains);
}

static void warn_of_lines(const struct check_site *site, const struct recipients_block *block,
                          struct table *table, enum table_key_kind kind, bool bare_user)
{
    if (table == NULL)
        return;
    const struct table_vain vain = table_vain_lines(table, kind, bare_user, site->arena);
    if (vain.count > 0)
        diag_warning(site->diag, &block->head.at,
                     "table %s: %zu line%s can match no %s, the first at %s:%u: '%s'; write %s",
                     table_name(table), vain.count, vain.count == 1 ? "" : "s",
                     kind == TABLE_KEY_DOMAIN ? "domain" : "recipient", vain.path, vain.line,
                     vain.key,
                     kind == TABLE_KEY_DOMAIN ? "example.org, or .example.org for all below it"
                     : bare_user ? "user@example.org, user, or @example.org for all of the domain"
                                 : "user@example.org, or @example.org for all of the domain");
}

/* It takes the files to be read once more, which a daemon is spared. */
static void warn_of_all_lines(const struct check_site *site, const struct recipients_block *block,
                              const struct recipient_state *state)
{
    bool bare_user = state->local != NULL;

    warn_of_lines(site, block, state->domains, TABLE_KEY_DOMAIN, false);
    if (state->local != state->domains)
        warn_of_lines(site, block, state->local, TABLE_KEY_DOMAIN, false);
    if (state->known != state->domains)
        warn_of_lines(site, block, state->known, TABLE_KEY_RECIPIENT, bare_user);
    if (state->moved != state->domains && state->moved != state->known)
        warn_of_lines(site, block, state->moved, TABLE_KEY_RECIPIENT, bare_user);
}

/* Each table once.  Domains that are lost make mail for them foreign, or their bare users unknown,
 * as surely as mailboxes that are lost.  A host without mailboxes is suspicious, one where nobody
 * has moved is not. */
static void guard_tables(const struct recipient_state *state, const struct table_guard *guard)
{
    enum { MOVED = 3 };
    struct table *const tables[] = {state->known, state->domains,
                                    state->local, [MOVED] = state->moved};

    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        bool seen = tables[i] == NULL;
        struct table_guard own = *guard;

        for (size_t j = 0; j < i; j++)
            seen |= tables[j] == tables[i];
        own.may_begin_empty = i == MOVED;
        if (!seen)
            table_guard(tables[i], &own);
    }
}

static void *open_recipient(const struct check_site *site)
{
    const struct recipients_block *block = recipients_block(site);
    struct recipient_state *state = arena_alloc(site->arena, sizeof(*state));
    char hostname[DOMAIN_SIZE];

    domain_canonical(site->hostname, strlen(site->hostname), hostname);
    state->home = arena_strdup(site->arena, hostname);
    state->delimiter = "";
    if (block == NULL)
        return state;
    const struct table_guard guard = {.state_dir = site->state_dir,
                                      .shrink_percent = (unsigned)block->shrink_guard,
                                      .read_only = site->looks_only};
    if (block->delimiter != NULL)
        state->delimiter = block->delimiter;
    state->domains = table_of(site, block->domains);
    warn_of_example(site, block, state->domains);
    if (state->domains != NULL && table_first_domain(state->domains) != NULL)
        state->home = table_first_domain(state->domains);
    state->local = table_of(site, block->local);
    state->known = table_of(site, block->known);
    state->moved = table_of(site, block->moved);
    guard_tables(state, &guard);
    if (site->looks_only)
        warn_of_all_lines(site, block, state);
    return state;
}

enum recipient_probe { PROBE_RECIPIENT, PROBE_STATUS, PROBE_DOMAIN };

static const struct probe probes[] = {
    [PROBE_RECIPIENT] = {.name = "rcpt",
                         .stage = STAGE_RCPT,
                         .scope = SCOPE_RECIPIENT,
                         .first = RCPT,
                         .count = RCPT_STATUS - RCPT,
                         .instant = true,
                         .start = start_recipient},
    [PROBE_STATUS] = {.name = "rcpt_tables",
                      .stage = STAGE_RCPT,
                      .scope = SCOPE_RECIPIENT,
                      .first = RCPT_STATUS,
                      .count = RCPT_DOMAIN_STATUS - RCPT_STATUS,
                      .start = start_status},
    [PROBE_DOMAIN] = {.name = "rcpt_dns",
                      .stage = STAGE_RCPT,
                      .scope = SCOPE_RECIPIENT,
                      .first = RCPT_DOMAIN_STATUS,
                      .count = 1,
                      .start = start_domain},
};

/* Without any table every recipient is known. */
static bool used(void *memory, const struct probe *probe)
{
    const struct recipient_state *state = memory;

    return probe != &probes[PROBE_STATUS] || state->domains != NULL || state->known != NULL ||
           state->moved != NULL;
}

static const char *cost(void *memory, const struct probe *probe, struct arena *arena)
{
    const struct recipient_state *state = memory;
    int tables = (state->domains != NULL) + (state->local != NULL) + (state->known != NULL) +
                 (state->moved != NULL);

    if (probe == &probes[PROBE_STATUS])
        return tables == 1 ? "1 table" : arena_printf(arena, "%d tables", tables);
    if (probe != &probes[PROBE_DOMAIN])
        return NULL;
    return state->domains != NULL ? "1 table; 1 to 3 DNS questions for a domain that is not ours"
                                  : "1 to 3 DNS questions";
}

const struct check check_recipient = {
    .name = "recipient",
    .help = "the recipient, its mailbox and its domain",
    .facts = facts,
    .fact_count = COUNT_OF(facts),
    .blocks = blocks,
    .block_count = COUNT_OF(blocks),
    .probes = probes,
    .probe_count = COUNT_OF(probes),
    .open = open_recipient,
    .used = used,
    .cost = cost,
};
