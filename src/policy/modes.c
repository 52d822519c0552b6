/* SPDX-License-Identifier: MIT */
#include <postern/policy.h>

#include <string.h>

#include <postern/hash.h>

/* The networks that belong to one client: mail comes back from another address of a farm, mostly
 * nearby. */
enum { SHARE_BITS_IPV4 = 24, SHARE_BITS_IPV6 = 64 };

static bool in_share(const struct rule *rule, const struct mode_inputs *inputs)
{
    struct addr net;
    const char *domain = inputs->sender_domain != NULL ? inputs->sender_domain : "";
    uint64_t hash;

    if (rule->share >= 100)
        return true;
    net = addr_mask(&inputs->client,
                    inputs->client.family == ADDR_IPV4 ? SHARE_BITS_IPV4 : SHARE_BITS_IPV6);
    hash = hash_bytes(rule->name, strlen(rule->name) + 1, 0);
    hash = hash_bytes(&net.family, sizeof(net.family), hash);
    hash = hash_bytes(net.bytes, sizeof(net.bytes), hash);
    hash = hash_bytes(domain, strlen(domain), hash);
    return hash % 100 < rule->share;
}

void policy_modes(const struct policy *policy, const struct mode_inputs *inputs, uint8_t *modes)
{
    size_t i;

    for (i = 0; i < policy->rule_count; i++) {
        const struct rule *rule = &policy->rules[i];

        modes[i] = RULE_ENFORCES;
        if ((rule->until != 0 && rule->until < inputs->today) ||
            (inputs->local && rule->outcome == OUTCOME_REPLY && !rule->local))
            modes[i] = RULE_OFF;
        else if (rule->observe || !in_share(rule, inputs))
            modes[i] = RULE_OBSERVES;
    }
}
