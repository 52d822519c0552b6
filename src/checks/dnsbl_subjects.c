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
static const char *target_client(const struct inputs *inputs, struct arena *arena)
{
    char reversed[ADDR_REVERSE_SIZE];

    if (inputs->local || !is_public(&inputs->client))
        return NULL;
    return arena_strdup(arena, addr_reverse(&inputs->client, reversed));
}

/* RFC 5782 3.  A name list asked for an address or a name without a dot lists it, if only to say
 * that the question makes no sense. */
static const char *target_name(struct arena *arena, const char *name)
{
    char domain[DOMAIN_SIZE];

    if (!domain_canonical(name, strlen(name), domain) || domain_labels(domain) < 2)
        return NULL;
    return arena_strdup(arena, domain);
}

static const char *target_helo(const struct inputs *inputs, struct arena *arena)
{
    return inputs->local ? NULL : target_name(arena, inputs->helo);
}

static const char *target_sender(const struct inputs *inputs, struct arena *arena)
{
    return inputs->local ? NULL : target_name(arena, inputs->sender.domain);
}

const struct dnsbl_subject dnsbl_subjects[SUBJECT_COUNT] = {
    [SUBJECT_CLIENT] = {"client.ip", false, target_client},
    [SUBJECT_HELO] = {"helo", true, target_helo},
    [SUBJECT_SENDER] = {"sender.domain", true, target_sender},
};
