/* SPDX-License-Identifier: MIT */
#ifndef CHECKS_PRIVATE_H
#define CHECKS_PRIVATE_H

#include <postern/check.h>

/*
 * What the checks share among themselves.
 */

#define CHECK(name) extern const struct check check_##name;
#include "checks.def"
#undef CHECK

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Sets all facts of the probe to what a fact that does not apply is, and finishes it. */
void probe_finish_absent(struct probe_run *run);

/* ---- whether mail can be sent to a domain: RFC 5321 5.1 and RFC 7505 ---- */

/* The words of a FACT_WORD that tells it, in the order of the enum. */
#define DOMAIN_STATUS_WORDS "exists missing null_mx temperror!"
enum domain_status { DOMAIN_EXISTS, DOMAIN_MISSING, DOMAIN_NULL_MX, DOMAIN_TEMPERROR };

/* Finds out by MX, then by A and AAAA side by side, sets fact NUMBER, which is the probe's only
 * one, and finishes the probe.  DOMAIN is canonical; "" (no domain, or an address literal) exists
 * without a question.  Uses run->work. */
void domain_status_start(struct probe_run *run, const char *domain, unsigned number);

/* ---- the `recipients` block, which also says which domains are ours ---- */
struct recipients_block {
    struct block_head head;
    const char *domains, *local, *known, *moved; /* names of tables; NULL when not set */
    int64_t shrink_guard;                        /* percent */
    const char *delimiter;                       /* NULL or "": no address extensions */
};

/* The table of our domains; NULL when none is configured. */
struct table *recipients_domains(const struct check_site *site);

#endif
