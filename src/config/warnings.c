/* SPDX-License-Identifier: MIT */
#include "config_private.h"

#include <postern/table.h>

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

static bool has_block(const struct block_head *head, const char *name)
{
    for (; head != NULL; head = head->next)
        if (strcmp(head->name, name) == 0)
            return true;
    return false;
}

/* The fact whose values are names of blocks: of which ones; NULL for other facts. */
static const struct block_head *names_of(const struct config *config, const char *fact,
                                         const char **keyword)
{
    static const char *const lists[] = {
        "dnsbl.lists",        "dnsbl.name",        "rhsbl.helo.lists", "rhsbl.helo.name",
        "rhsbl.sender.lists", "rhsbl.sender.name", "rhsbl.from.lists", "rhsbl.from.name"};

    *keyword = "listen";
    if (strcmp(fact, "listener") == 0)
        return config->listens != NULL ? &config->listens->head : NULL;
    *keyword = NULL;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        if (strcmp(fact, lists[i]) == 0)
            *keyword = "dnsbl";
    return *keyword != NULL ? config_blocks(config, *keyword) : NULL;
}

/* A name of a block that there is not: the test is never true. */
static void warn_of_names(struct reading *reading, const struct policy *policy,
                          const struct rule *rule, const struct cond *cond)
{
    const char *keyword;
    const struct block_head *head;

    for (size_t i = 0; i < cond->part_count; i++)
        warn_of_names(reading, policy, rule, cond->parts[i]);
    if (cond->kind != COND_TEST)
        return;
    head = names_of(&reading->all->config, policy->layout->slots[cond->slot].name, &keyword);
    for (size_t i = 0; i < cond->operand_count && keyword != NULL; i++)
        if (cond->operands[i].text[0] != '\0' && !has_block(head, cond->operands[i].text))
            diag_warning(reading->diag, &cond->at,
                         "rule '%s' asks for '%s', but there is no %s block of that name",
                         rule->name, cond->operands[i].text, keyword);
}

/* The derived fact in SLOT, or NULL for other facts.  They stand in one row, behind the others. */
static const struct derived *derived_of(const struct policy *policy, slot_t slot)
{
    if (policy->derived_count == 0 || slot < policy->derived[0].slot ||
        slot - policy->derived[0].slot >= policy->derived_count)
        return NULL;
    return &policy->derived[slot - policy->derived[0].slot];
}

/* Clients have addresses, senders and recipients have names: a table of the other kind finds
 * nobody. */
static void warn_of_kinds(struct reading *reading, const struct policy *policy,
                          const struct rule *rule, const struct cond *cond)
{
    for (size_t i = 0; i < cond->part_count; i++)
        warn_of_kinds(reading, policy, rule, cond->parts[i]);
    const struct derived *derived = cond->kind == COND_TEST ? derived_of(policy, cond->slot) : NULL;
    if (derived == NULL || derived->table == NULL || derived->subject == SLOT_NONE)
        return;
    const struct slot *subject = &policy->layout->slots[derived->subject];
    const struct table *table = config_table(&reading->all->config, derived->table);
    bool address = subject->type == FACT_IP;
    if (table == NULL || table_could_hold(table, address) ||
        (!address && subject->type != FACT_DOMAIN && subject->type != FACT_ADDRESS))
        return;
    diag_warning(reading->diag, &cond->at,
                 "rule '%s' looks for '%s' in table '%s', which has %s only, so it is never found",
                 rule->name, subject->name, derived->table,
                 address ? "names" : "addresses and networks");
}

/* %{help} is empty then, and the sentence around it says nothing. */
static void warn_of_help(struct reading *reading, const struct rule *rule)
{
    if (rule->text == NULL || strstr(rule->text, "%{help}") == NULL ||
        reading->all->config.help_url[0] != '\0')
        return;
    diag_warning(reading->diag, &rule->text_at,
                 "rule '%s' shows %%{help}, but help_url is not set, so that nothing stands there",
                 rule->name);
}

void config_warn(struct reading *reading, const struct policy *policy)
{
    warn_of_hostname(reading, policy);
    for (size_t i = 0; i < policy->rule_count; i++) {
        warn_of_names(reading, policy, &policy->rules[i], policy->rules[i].when);
        warn_of_kinds(reading, policy, &policy->rules[i], policy->rules[i].when);
        warn_of_help(reading, &policy->rules[i]);
    }
}
