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

/* ---- scores ---- */

/* The member of BLOCK that the option NAME fills, or NULL. */
static const void *member_of(const struct option_block *kind, const struct block_head *block,
                             const char *name)
{
    const struct option_row *row = options_find(kind, name);
    return row != NULL ? (const char *)(const void *)block + row->offset : NULL;
}

static bool asks_about(const struct option_list *ask, const char *subject)
{
    for (size_t i = 0; i < ask->count; i++)
        if (strcmp(ask->items[i], subject) == 0)
            return true;
    return false;
}

/* The largest sum that the lists asked about SUBJECT can come to; -1 when there is none. */
static int64_t largest_score(const struct config_all *all, const char *subject)
{
    int64_t sum = -1;
    for (size_t i = 1; i < all->kind_count; i++) {
        const struct kind_blocks *kind = &all->kinds[i];
        if (strcmp(kind->kind->kind, "dnsbl") != 0)
            continue;
        for (const struct block_head *block = kind->first; block != NULL; block = block->next) {
            const int64_t *weight = member_of(kind->kind, block, "weight");
            const struct option_list *ask = member_of(kind->kind, block, "ask");
            if (weight == NULL || ask == NULL || !asks_about(ask, subject))
                continue;
            sum = (sum < 0 ? 0 : sum) + (*weight > 0 ? *weight : 0);
        }
    }
    return sum;
}

/* A score that no lists of the site can come to.  Where no list is asked at all, the rule is one of
 * those that wait for lists, as the shipped ones do. */
static void warn_of_scores(struct reading *reading, const struct policy *policy,
                           const struct rule *rule, const struct cond *cond)
{
    static const struct {
        const char *fact, *subject;
    } scores[] = {
        {"dnsbl.score", "client.ip"},
        {"rhsbl.helo.score", "helo"},
        {"rhsbl.sender.score", "sender.domain"},
        {"rhsbl.from.score", "from.domain"},
    };
    for (size_t i = 0; i < cond->part_count; i++)
        warn_of_scores(reading, policy, rule, cond->parts[i]);
    if (cond->kind != COND_TEST || cond->operand_count != 1 ||
        (cond->test != TEST_GE && cond->test != TEST_GT && cond->test != TEST_EQ))
        return;
    int64_t least = cond->operands[0].number;
    const char *fact = policy->layout->slots[cond->slot].name;
    for (size_t i = 0; i < sizeof(scores) / sizeof(scores[0]); i++) {
        if (strcmp(fact, scores[i].fact) != 0)
            continue;
        int64_t largest = largest_score(reading->all, scores[i].subject);
        if (largest >= 0 && (cond->test == TEST_GT ? least >= largest : least > largest))
            diag_warning(reading->diag, &cond->at,
                         "rule '%s' waits for a %s that is never reached: the lists that are asked "
                         "about %s weigh %lld together; see weight in the dnsbl blocks",
                         rule->name, fact, scores[i].subject, (long long)largest);
    }
}

void config_warn(struct reading *reading, const struct policy *policy)
{
    warn_of_hostname(reading, policy);
    for (size_t i = 0; i < policy->rule_count; i++) {
        warn_of_names(reading, policy, &policy->rules[i], policy->rules[i].when);
        warn_of_kinds(reading, policy, &policy->rules[i], policy->rules[i].when);
        warn_of_scores(reading, policy, &policy->rules[i], policy->rules[i].when);
        warn_of_help(reading, &policy->rules[i]);
    }
}
