/* SPDX-License-Identifier: MIT */
#include "checks_private.h"

#include <postern/arena.h>

/* What has been learned of one domain while the probe runs. */
struct domain_status_work {
    const char *domain;
    unsigned number;  /* the fact to set */
    unsigned pending; /* address questions without an answer */
    bool fault;       /* one of them could not be answered */
};

static void conclude(struct probe_run *run, enum domain_status status)
{
    const struct domain_status_work *work = run->work;

    probe_set_word(run, work->number, status);
    probe_finish(run);
}

static void got_address(struct probe_run *run, const struct dns_answer *answer, uintptr_t tag)
{
    struct domain_status_work *work = run->work;

    (void)tag;
    work->pending--;
    if (answer->status == DNS_FOUND) {
        conclude(run, DOMAIN_EXISTS);
        return;
    }
    if (answer->status == DNS_FAULT)
        work->fault = true;
    if (work->pending == 0)
        conclude(run, work->fault ? DOMAIN_TEMPERROR : DOMAIN_MISSING);
}

/* RFC 7505 3: exactly one MX record, with preference 0 and a zero-length exchange.  Next to other
 * records, or with another preference, the RFC gives "." no meaning: such a domain merely exists.
 */
static bool is_null_mx(const struct dns_answer *answer)
{
    return answer->count == 1 && answer->records[0].preference == 0 &&
           answer->records[0].name[0] == '\0';
}

static void got_mx(struct probe_run *run, const struct dns_answer *answer, uintptr_t tag)
{
    struct domain_status_work *work = run->work;

    (void)tag;
    switch (answer->status) {
    case DNS_FOUND:
        conclude(run, is_null_mx(answer) ? DOMAIN_NULL_MX : DOMAIN_EXISTS);
        return;
    case DNS_NO_NAME: /* RFC 8020: then there are no addresses either */
        conclude(run, DOMAIN_MISSING);
        return;
    case DNS_FAULT: /* an address would not tell whether there is a null MX */
        conclude(run, DOMAIN_TEMPERROR);
        return;
    case DNS_NO_DATA:
        break;
    }
    /* RFC 5321 5.1: without an MX the addresses of the domain itself are the implicit MX. */
    work->pending = 2;
    probe_ask(run, work->domain, DNS_A, got_address, 0);
    probe_ask(run, work->domain, DNS_AAAA, got_address, 0);
}

void domain_status_start(struct probe_run *run, const char *domain, unsigned number)
{
    struct domain_status_work *work = arena_alloc(run->arena, sizeof(*work));

    work->domain = domain;
    work->number = number;
    run->work = work;
    if (domain[0] == '\0')
        conclude(run, DOMAIN_EXISTS);
    else
        probe_ask(run, domain, DNS_MX, got_mx, 0);
}
