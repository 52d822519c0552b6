/* SPDX-License-Identifier: MIT */
#include "policy_private.h"

#include <string.h>

/* A 5xx must not rest on something that could not be found out, neither because a condition is true
 * then nor because one is not. */

static bool refuses(const struct rule *rule)
{
    return rule->outcome == OUTCOME_REPLY && rule->code >= 500;
}

struct lint {
    struct policy_builder *builder;
    const struct policy *policy;
    int32_t today;
};

const struct cond *plan_fault_word(const struct layout *layout, const struct cond *cond,
                                   slot_t slot, bool negated, int wanted)
{
    const struct cond *found = NULL;
    const struct slot *fact;
    size_t i;

    if (cond->kind == COND_TEST) {
        fact = &layout->slots[cond->slot];
        if (fact->type != FACT_WORD || (slot != SLOT_NONE && slot != cond->slot) ||
            (wanted >= 0 && negated != (wanted == 1)))
            return NULL;
        for (i = 0; i < cond->operand_count; i++) {
            if (fact->fault_word < fact->word_count && cond->operands[i].number == fact->fault_word)
                return cond;
        }
        return NULL;
    }
    if (cond_constant(cond) != CONSTANT_NOT)
        return NULL;
    if (cond->kind == COND_NOT)
        negated = !negated;
    for (i = 0; i < cond->part_count && found == NULL; i++)
        found = plan_fault_word(layout, cond->parts[i], slot, negated, wanted);
    return found;
}

/* Whether a test of a number is true when the number is 0. */
static bool holds_at_zero(const struct cond *test)
{
    size_t i;

    for (i = 0; i < test->operand_count; i++) {
        int64_t number = test->operands[i].number;

        if (test->test == TEST_LT   ? number > 0
            : test->test == TEST_LE ? number >= 0
            : test->test == TEST_GT ? number < 0
            : test->test == TEST_GE ? number <= 0
                                    : number == 0)
            return true;
    }
    return false;
}

/* A test in COND that wants something to be in fault: `dnsbl.faults > 0`.  NEGATED: whether
 * COND stands under a `not`. */
static const struct cond *find_fault_count(const struct layout *layout, const struct cond *cond,
                                           bool negated)
{
    static const char ending[] = ".faults";
    const struct cond *found = NULL;
    size_t i;

    if (cond->kind == COND_TEST) {
        const struct slot *fact = &layout->slots[cond->slot];
        size_t length = strlen(fact->name);

        if (fact->type != FACT_NUMBER || length < strlen(ending) ||
            strcmp(fact->name + length - strlen(ending), ending) != 0)
            return NULL;
        return holds_at_zero(cond) == negated ? cond : NULL;
    }
    if (cond_constant(cond) != CONSTANT_NOT)
        return NULL;
    if (cond->kind == COND_NOT)
        negated = !negated;
    for (i = 0; i < cond->part_count && found == NULL; i++)
        found = find_fault_count(layout, cond->parts[i], negated);
    return found;
}

/* A condition like `spf.result == temperror` is true, but says only that something could not be
 * found out. */
static void lint_refusal_in_fault(struct lint *lint, const struct rule *rule)
{
    const struct layout *layout = lint->policy->layout;
    const struct cond *test;
    const struct slot *fact;

    if (!refuses(rule))
        return;
    test = find_fault_count(layout, rule->when, false);
    if (test != NULL) {
        builder_error(lint->builder, &rule->at,
                      "rule '%s' refuses for good (%d) because of '%s', which only counts what "
                      "could not be found out; answer 4xx, or test '%s == 0'",
                      rule->name, rule->code, layout->slots[test->slot].name,
                      layout->slots[test->slot].name);
        return;
    }
    test = plan_fault_word(layout, rule->when, SLOT_NONE, false, 0);
    if (test == NULL)
        return;
    fact = &layout->slots[test->slot];
    builder_error(
        lint->builder, &rule->at,
        "rule '%s' refuses for good (%d) when '%s' is '%s', which only says that it could "
        "not be found out; answer 4xx",
        rule->name, rule->code, fact->name, fact->words[fact->fault_word]);
}

/* What a condition can be while the fact SLOT, a word, is in fault. */
struct outlook {
    bool can_hold, can_fail; /* neither: the condition is in fault itself */
};

static struct outlook in_fault(const struct layout *layout, const struct cond *cond, slot_t slot)
{
    bool is_or = cond->kind == COND_OR;
    struct outlook outlook = {!is_or, is_or};
    struct outlook part;
    size_t i;

    if (cond->kind == COND_TEST) {
        if (cond->slot != slot)
            return (struct outlook){true, true};
        return (struct outlook){plan_fault_word(layout, cond, slot, false, 0) != NULL, false};
    }
    if (cond->kind == COND_NOT) {
        part = in_fault(layout, cond->parts[0], slot);
        return (struct outlook){part.can_fail, part.can_hold};
    }
    if (cond->kind != COND_AND && cond->kind != COND_OR)
        return (struct outlook){cond->kind == COND_TRUE, cond->kind == COND_FALSE};
    for (i = 0; i < cond->part_count; i++) {
        part = in_fault(layout, cond->parts[i], slot);
        outlook.can_hold =
            is_or ? outlook.can_hold || part.can_hold : outlook.can_hold && part.can_hold;
        outlook.can_fail =
            is_or ? outlook.can_fail && part.can_fail : outlook.can_fail || part.can_fail;
    }
    return outlook;
}

/* Whether a rule above REFUSAL defers the mail when SLOT is in fault. */
static bool is_deferred_above(const struct lint *lint, const struct rule *refusal, slot_t slot)
{
    size_t i;

    for (i = 0; i < refusal->index; i++) {
        const struct rule *rule = &lint->policy->rules[i];

        if (rule->outcome == OUTCOME_REPLY && !refuses(rule) && plan_holds(rule, lint->today) &&
            rule->share == 100 && (rule->local || !refusal->local) &&
            plan_fault_word(lint->policy->layout, rule->when, slot, false, 0) != NULL)
            return true;
    }
    return false;
}

/* The first rule below RULE that refuses for good what gets past RULE while SLOT is in fault. */
static const struct rule *find_refusal_below(const struct lint *lint, const struct rule *rule,
                                             slot_t slot)
{
    const struct policy *policy = lint->policy;
    bool only_local = false;
    size_t i;

    for (i = rule->index + 1; i < policy->rule_count; i++) {
        const struct rule *below = &policy->rules[i];

        if (!plan_holds(below, lint->today))
            continue;
        if (refuses(below) && (below->local || !only_local) &&
            in_fault(policy->layout, below->when, slot).can_hold &&
            !is_deferred_above(lint, below, slot))
            return below;
        if (cond_constant(below->when) != CONSTANT_TRUE || below->until != 0 || below->share != 100)
            continue;
        if (below->outcome != OUTCOME_REPLY || below->local)
            return NULL;
        only_local = true;
    }
    return NULL;
}

/* `spf.result != temperror` is simply false in a fault, and no longer a fault: a refusal below its
 * rule would then rest on it. */
static void lint_exemption_in_fault(struct lint *lint, const struct rule *rule)
{
    const struct layout *layout = lint->policy->layout;
    size_t i;

    if (!plan_holds(rule, lint->today) || refuses(rule))
        return;
    for (i = 0; i < rule->slot_count; i++) {
        slot_t slot = rule->slots[i];
        const struct slot *fact = &layout->slots[slot];
        const struct rule *below;

        if (plan_fault_word(layout, rule->when, slot, false, 1) == NULL ||
            !in_fault(layout, rule->when, slot).can_fail)
            continue;
        below = find_refusal_below(lint, rule, slot);
        if (below == NULL)
            continue;
        builder_error(lint->builder, &rule->at,
                      "rule '%s' does not speak when '%s' is '%s', and so rule '%s' (%s) below it "
                      "refuses for good (%d) what only could not be found out; add a rule above "
                      "them: when %s == %s; reply 451 4.3.0 \"...\";",
                      rule->name, fact->name, fact->words[fact->fault_word], below->name,
                      place_text(lint->builder->arena, &below->at), below->code, fact->name,
                      fact->words[fact->fault_word]);
        return;
    }
}

void plan_lint_faults(struct policy_builder *builder, const struct policy *policy,
                      const struct rule *rule, int32_t today)
{
    struct lint lint = {builder, policy, today};

    lint_refusal_in_fault(&lint, rule);
    lint_exemption_in_fault(&lint, rule);
}
