/* SPDX-License-Identifier: MIT */
#include "checks_private.h"

/*
 * The envelope sender, and whether its domain could ever receive the bounce that a refusal causes.
 */
enum sender_fact { SENDER, SENDER_LOCAL, SENDER_DOMAIN, SENDER_NULL, SENDER_DOMAIN_STATUS };

static const struct fact_row facts[] = {
    [SENDER] = {"sender", FACT_ADDRESS, STAGE_MAIL, SCOPE_TRANSACTION, NULL,
                "envelope sender; empty for the null reverse-path"},
    [SENDER_LOCAL] = {"sender.local", FACT_LOCAL_PART, STAGE_MAIL, SCOPE_TRANSACTION, NULL,
                      "local part of the envelope sender"},
    [SENDER_DOMAIN] =
        {"sender.domain", FACT_DOMAIN, STAGE_MAIL, SCOPE_TRANSACTION, NULL,
         "domain of the envelope sender; empty without one, and for address literals"},
    [SENDER_NULL] = {"sender.null", FACT_BOOL, STAGE_MAIL, SCOPE_TRANSACTION, NULL,
                     "whether the sender is the null reverse-path"},
    [SENDER_DOMAIN_STATUS] = {"sender.domain_status", FACT_WORD, STAGE_MAIL, SCOPE_TRANSACTION,
                              DOMAIN_STATUS_WORDS,
                              "whether the sender's domain takes mail, by MX, A and AAAA"},
};

static void start_sender(struct probe_run *run)
{
    const struct mailbox *sender = &run->inputs->sender;
    struct value address = value_text(sender->address);

    address.shown = sender->sent;
    probe_set(run, SENDER, address);
    probe_set_text(run, SENDER_LOCAL, sender->local);
    probe_set_text(run, SENDER_DOMAIN, sender->domain);
    probe_set(run, SENDER_NULL, value_bool(sender->null));
    probe_finish(run);
}

/* RFC 7505 4.2: the null reverse-path has no domain that could be asked. */
static void start_domain(struct probe_run *run)
{
    domain_status_start(run, run->inputs->sender.domain, SENDER_DOMAIN_STATUS);
}

enum sender_probe { PROBE_SENDER, PROBE_DOMAIN };

static const struct probe probes[] = {
    [PROBE_SENDER] = {.name = "sender",
                      .stage = STAGE_MAIL,
                      .scope = SCOPE_TRANSACTION,
                      .first = SENDER,
                      .count = SENDER_DOMAIN_STATUS - SENDER,
                      .instant = true,
                      .start = start_sender},
    [PROBE_DOMAIN] = {.name = "sender_dns",
                      .stage = STAGE_MAIL,
                      .scope = SCOPE_TRANSACTION,
                      .first = SENDER_DOMAIN_STATUS,
                      .count = 1,
                      .start = start_domain},
};

static const char *cost(void *state, const struct probe *probe, struct arena *arena)
{
    (void)state;
    (void)arena;
    return probe == &probes[PROBE_DOMAIN] ? "1 to 3 DNS questions" : NULL;
}

const struct check check_sender = {
    .name = "sender",
    .help = "the envelope sender and its domain",
    .facts = facts,
    .fact_count = COUNT_OF(facts),
    .probes = probes,
    .probe_count = COUNT_OF(probes),
    .cost = cost,
};
