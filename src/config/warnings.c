/* SPDX-License-Identifier: MIT */
#include "config_private.h"

/* What rules ask of the rest of the configuration. */

/* Whether the condition looks for WORD of the fact in SLOT. */
static bool names_word(const struct cond *cond, slot_t slot, int64_t word)
{
    for (size_t i = 0; i < cond->part_count; i++)
        if (names_word(cond->parts[i], slot, word))
            return true;
    if (cond->kind != COND_TEST || cond->slot != slot)
        return false;
    for (size_t i = 0; i < cond->operand_count; i++)
        if (cond->operands[i].number == word)
            return true;
    return false;
}

static int64_t word_of(const struct slot *slot, const char *word)
{
    for (size_t i = 0; i < slot->word_count; i++)
        if (strcmp(slot->words[i], word) == 0)
            return (int64_t)i;
    return -1;
}

/* Who says our own name at HELO is known only where that name is. */
static void warn_of_hostname(struct reading *reading, const struct policy *policy)
{
    slot_t slot = layout_find(policy->layout, "helo.kind");
    if (slot == SLOT_NONE || reading->all->config.hostname[0] != '\0')
        return;
    int64_t ours = word_of(&policy->layout->slots[slot], "ours");
    for (size_t i = 0; i < policy->rule_count; i++) {
        const struct rule *rule = &policy->rules[i];
        if (!names_word(rule->when, slot, ours))
            continue;
        diag_warning(reading->diag, &rule->at,
                     "rule '%s' asks whether helo.kind is 'ours', but hostname is not set, so that "
                     "a client which says this host's name is not recognised; add hostname NAME;",
                     rule->name);
        return;
    }
}

void config_warn(struct reading *reading, const struct policy *policy)
{
    warn_of_hostname(reading, policy);
}
