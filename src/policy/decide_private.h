/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_DECIDE_PRIVATE_H
#define POSTERN_DECIDE_PRIVATE_H

#include <postern/decide.h>

/* No fact that comes later changes a condition whose possible truths are SET: it is true, false or
 * in fault. */
static inline bool is_decided(unsigned set)
{
    return set == TRUTH_TRUE || set == TRUTH_FALSE || set == TRUTH_FAULT;
}

/* Whether the rule ends the walk where it is true. */
static inline bool is_final(const struct rule *rule, const uint8_t *modes)
{
    return modes[rule->index] == RULE_ENFORCES && rule->outcome != OUTCOME_HEADER;
}

/* Whether the rule, in fault, softens what is below it. */
static inline bool is_exemption(const struct rule *rule)
{
    return rule->outcome == OUTCOME_ACCEPT || rule->outcome == OUTCOME_QUARANTINE;
}

static inline bool is_permanent(const struct rule *rule)
{
    return rule->outcome == OUTCOME_REPLY && rule->code >= 500;
}

#endif
