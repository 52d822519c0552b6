/* SPDX-License-Identifier: MIT */
#include "dnsbl_lists.h"

#include <string.h>

#include <postern/arena.h>
#include <postern/domain.h>

/* RFC 1918, RFC 4193 and link-local addresses: no public list can know them. */
static const struct net private_nets[] = {
    {{ADDR_IPV4, {10}}, 8},        {{ADDR_IPV4, {172, 16}}, 12}, {{ADDR_IPV4, {192, 168}}, 16},
    {{ADDR_IPV4, {169, 254}}, 16}, {{ADDR_IPV6, {0xfc}}, 7},     {{ADDR_IPV6, {0xfe, 0x80}}, 10},
};

static bool is_public(const struct addr *addr)
{
    size_t i;

    for (i = 0; i < sizeof(private_nets) / sizeof(private_nets[0]); i++)
        if (net_contains(&private_nets[i], addr))
            return false;
    return addr->family != ADDR_NONE && !addr_is_loopback(addr);
}

/* RFC 5782 2.1 and 2.4 */
static bool target_client(const struct probe_run *run, const char **target)
{
    const struct inputs *inputs = run->inputs;
    char reversed[ADDR_REVERSE_SIZE];

    if (!inputs->local && is_public(&inputs->client))
        *target = arena_strdup(run->scratch, addr_reverse(&inputs->client, reversed));
    return true;
}

/* RFC 5782 3.  A name list asked for an address or a name without a dot lists it, if only to say
 * that the question makes no sense. */
static bool target_name(const struct probe_run *run, const char *name, const char **target)
{
    char domain[DOMAIN_SIZE];

    if (!run->inputs->local && domain_canonical(name, strlen(name), domain) &&
        domain_labels(domain) >= 2)
        *target = arena_strdup(run->scratch, domain);
    return true;
}

static bool target_helo(const struct probe_run *run, const char **target)
{
    return target_name(run, run->inputs->helo, target);
}

static bool target_sender(const struct probe_run *run, const char **target)
{
    return target_name(run, run->inputs->sender.domain, target);
}

static bool target_from(const struct probe_run *run, const char **target)
{
    const struct value *domain = probe_value(run, "from.domain", NULL);

    return domain->state == VALUE_KNOWN && target_name(run, domain->text, target);
}

const struct dnsbl_subject dnsbl_subjects[SUBJECT_COUNT] = {
    [SUBJECT_CLIENT] = {"client.ip", false, target_client},
    [SUBJECT_HELO] = {"helo", true, target_helo},
    [SUBJECT_SENDER] = {"sender.domain", true, target_sender},
    [SUBJECT_FROM] = {"from.domain", true, target_from},
};
