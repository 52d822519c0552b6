/* SPDX-License-Identifier: MIT */
#include "policy_private.h"

#include <string.h>

/* What is wrong with a policy although each of its rules can be read. */
struct lint {
    struct policy_builder *builder;
    const struct policy *policy;
    int32_t today;
};

static bool replies(const struct rule *rule)
{
    return rule->outcome == OUTCOME_REPLY;
}

static bool needs(const struct rule *rule, slot_t slot)
{
    size_t i;

    for (i = 0; i < rule->slot_count; i++) {
        if (rule->slots[i] == slot)
            return true;
    }
    return false;
}

/* ---- fault words ---- */

/* Whether NAME has the part WORD: "rate" in "client.rate". */
static bool has_part(const char *name, const char *word)
{
    size_t length = strlen(word);

    for (;;) {
        size_t part = strcspn(name, ".");

        if (part == length && strncmp(name, word, length) == 0)
            return true;
        if (name[part] == '\0')
            return false;
        name += part + 1;
    }
}

/* Senders try again for days and then send a bounce: a 4xx that stays true is a refusal that nobody
 * sees in time. */
static void lint_deferral(struct lint *lint, const struct rule *rule)
{
    const struct layout *layout = lint->policy->layout;
    size_t i;

    if (!replies(rule) || rule->code >= 500 ||
        plan_fault_word(layout, rule->when, SLOT_NONE, false, -1) != NULL)
        return;
    for (i = 0; i < rule->slot_count; i++) {
        const char *name = layout->slots[rule->slots[i]].name;

        if (has_part(name, "faults") || has_part(name, "rate") || has_part(name, "age"))
            return;
    }
    builder_warning(lint->builder, &rule->at,
                    "rule '%s' answers %d, but nothing in its condition passes with time, so the "
                    "mail comes back to its sender days late; 5xx would say so at once",
                    rule->name, rule->code);
}

/* Mail for a mailbox of which nothing is known must not simply be taken. */
static void lint_unavailable(struct lint *lint)
{
    const struct policy *policy = lint->policy;
    slot_t status = layout_find(policy->layout, "rcpt.status");
    const struct rule *tester = NULL;
    bool covered = false;
    const struct slot *fact;
    size_t i;

    if (status == SLOT_NONE || lint->builder->rule_lost)
        return;
    fact = &policy->layout->slots[status];
    if (fact->type != FACT_WORD || fact->fault_word == fact->word_count)
        return;
    for (i = 0; i < policy->rule_count; i++) {
        const struct rule *rule = &policy->rules[i];

        if (!replies(rule) || plan_ended(rule, lint->today) || !needs(rule, status))
            continue;
        if (tester == NULL || (tester->observe && !rule->observe))
            tester = rule;
    }
    for (i = 0; tester != NULL && i < policy->rule_count; i++) {
        const struct rule *rule = &policy->rules[i];

        if (!replies(rule) || plan_ended(rule, lint->today) || !needs(rule, status) ||
            (rule->observe && !tester->observe))
            continue;
        if (rule->on_fault_defer ||
            plan_fault_word(policy->layout, rule->when, status, false, 0) != NULL)
            covered = true;
    }
    if (tester != NULL && !covered)
        builder_error(lint->builder, &tester->at,
                      "rule '%s' tests %s, but no rule says what happens when it is '%s'; add one: "
                      "when %s == %s; reply 451 4.3.0 \"...\";",
                      tester->name, fact->name, fact->words[fact->fault_word], fact->name,
                      fact->words[fact->fault_word]);
}

/* ---- stages ---- */

/* Postfix closes the session on a 521 (it is about the host, not about one recipient). */
static void lint_521(struct lint *lint, const struct rule *rule)
{
    const struct policy *policy = lint->policy;
    const struct slot *later;
    size_t i;

    if (!replies(rule) || rule->code != 521)
        return;
    later = plan_later(policy, rule, STAGE_MAIL);
    if (later != NULL) {
        builder_error(lint->builder, &rule->at,
                      "rule '%s' answers 521, which ends the session and must be certain by MAIL, "
                      "but '%s' is known only at %s; answer 550 or 554",
                      rule->name, later->name, stage_name(later->stage));
        return;
    }
    for (i = 0; i < rule->index; i++) {
        const struct rule *above = &policy->rules[i];

        later = plan_later(policy, above, STAGE_MAIL);
        if (later == NULL || !plan_holds(above, lint->today))
            continue;
        builder_error(lint->builder, &rule->at,
                      "rule '%s' answers 521, which ends the session and must be certain by MAIL, "
                      "but rule '%s' (%s) above it needs '%s', known only at %s; put it above that "
                      "rule, or answer 550 or 554",
                      rule->name, above->name, place_text(lint->builder->arena, &above->at),
                      later->name, stage_name(later->stage));
        return;
    }
}

static bool known_by_rcpt(const struct layout *layout, const struct cond *cond)
{
    size_t i;

    if (cond->kind == COND_TEST)
        return layout->slots[cond->slot].stage <= STAGE_RCPT;
    for (i = 0; i < cond->part_count; i++) {
        if (!known_by_rcpt(layout, cond->parts[i]))
            return false;
    }
    return true;
}

/* Without `not` in it. */
static bool is_positive(const struct cond *cond)
{
    size_t i;

    if (cond->kind == COND_NOT)
        return false;
    for (i = 0; i < cond->part_count; i++) {
        if (!is_positive(cond->parts[i]))
            return false;
    }
    return true;
}

/* Whether a part that must be true is known by RCPT and picks some mail out: all other mail is then
 * released there. */
static bool has_guard(const struct layout *layout, const struct cond *cond)
{
    size_t i;

    if (cond->kind != COND_AND)
        return cond_constant(cond) == CONSTANT_NOT && known_by_rcpt(layout, cond) &&
               is_positive(cond);
    for (i = 0; i < cond->part_count; i++) {
        if (has_guard(layout, cond->parts[i]))
            return true;
    }
    return false;
}

/* A rule that could refuse one recipient at RCPT, or a client before its message is sent. */
static bool is_early_reply(const struct lint *lint, const struct rule *rule)
{
    return replies(rule) && plan_holds(rule, lint->today) && rule->own_stage <= STAGE_RCPT &&
           cond_constant(rule->when) != CONSTANT_FALSE;
}

static void lint_holder(struct lint *lint, const struct rule *holder)
{
    const struct policy *policy = lint->policy;
    struct arena *arena = lint->builder->arena;
    const struct rule *held = NULL;
    const struct slot *later;
    const char *others = "";
    size_t count = 0;
    size_t i;

    if (!plan_holds(holder, lint->today) || holder->own_stage <= STAGE_RCPT || holder->late ||
        has_guard(policy->layout, holder->when))
        return;
    for (i = holder->index + 1; i < policy->rule_count; i++) {
        if (!is_early_reply(lint, &policy->rules[i]))
            continue;
        if (held == NULL)
            held = &policy->rules[i];
        count++;
    }
    if (held == NULL)
        return;
    if (count > 1)
        others = arena_printf(arena, " and %zu more", count - 1);
    later = plan_later(policy, holder, STAGE_RCPT);
    builder_error(
        lint->builder, &holder->at,
        "rule '%s' needs '%s', known only at the end of the message, and so holds rule "
        "'%s' (%s)%s below it, which could refuse at RCPT; move it down, put what is known "
        "by RCPT in front (when sender.domain in TABLE and ...), make two rules of it, or "
        "say 'late;' in it",
        holder->name, later->name, held->name, place_text(arena, &held->at), others);
}

/* ---- rules without effect ---- */

static bool always_true(const struct lint *lint, const struct rule *rule)
{
    return plan_holds(rule, lint->today) && rule->until == 0 && rule->share == 100 &&
           cond_constant(rule->when) == CONSTANT_TRUE;
}

/* Reply rules do not meet local submissions unless they say so: those reach the rules below a reply
 * that is always given. */
static void lint_silent(struct lint *lint)
{
    const struct rule *end = NULL;       /* nothing gets past it */
    const struct rule *end_of_mx = NULL; /* only local submissions do */
    size_t i;

    for (i = 0; i < lint->policy->rule_count; i++) {
        const struct rule *rule = &lint->policy->rules[i];
        const struct rule *above = end;

        if (above == NULL && replies(rule) && !rule->local)
            above = end_of_mx;
        if (plan_ended(rule, lint->today))
            builder_warning(lint->builder, &rule->at,
                            "rule '%s' ended on %04d-%02d-%02d and can never speak", rule->name,
                            rule->until / 10000, rule->until / 100 % 100, rule->until % 100);
        else if (cond_constant(rule->when) == CONSTANT_FALSE)
            builder_warning(lint->builder, &rule->at,
                            "rule '%s' can never speak: its condition is always false", rule->name);
        else if (above != NULL)
            builder_warning(lint->builder, &rule->at,
                            "rule '%s' can never speak: rule '%s' (%s) above it is always true",
                            rule->name, above->name, place_text(lint->builder->arena, &above->at));
        if (!always_true(lint, rule))
            continue;
        if (end == NULL && (!replies(rule) || rule->local))
            end = rule;
        if (end_of_mx == NULL)
            end_of_mx = rule;
    }
}

/* Of how many steps of comparison the longest policy is worth: some milliseconds. */
enum { STEPS_MAX = 500000 };

/* The first rule that decides all mail for which RULE is true; NULL where none is seen. */
static const struct rule *find_shadow(const struct lint *lint, const struct rule *rule,
                                      unsigned *steps)
{
    const struct rule *above = lint->policy->rules;

    for (; above != rule && *steps != 0; above++) {
        bool meets_all = !replies(above) || above->local || (replies(rule) && !rule->local);

        if (plan_holds(above, lint->today) && above->until == 0 && above->share == 100 &&
            meets_all && cond_implies(lint->policy->layout, rule->when, above->when, steps) &&
            cond_constant(above->when) == CONSTANT_NOT)
            return above;
    }
    return NULL;
}

/* Mostly a copy, or the wrong order: score >= 5 below score >= 3. */
static void lint_shadows(struct lint *lint)
{
    unsigned steps = STEPS_MAX;

    for (size_t i = 1; i < lint->policy->rule_count; i++) {
        const struct rule *rule = &lint->policy->rules[i];
        const struct rule *above;

        if (plan_ended(rule, lint->today) || cond_constant(rule->when) != CONSTANT_NOT)
            continue;
        above = find_shadow(lint, rule, &steps);
        if (above != NULL)
            builder_warning(lint->builder, &rule->at,
                            "rule '%s' can never speak: wherever it is true, rule '%s' (%s) above "
                            "it is true, too",
                            rule->name, above->name, place_text(lint->builder->arena, &above->at));
    }
}

/* A PTR record says whatever its owner writes; client.name is what the forward lookup has
 * confirmed. */
static void lint_ptr(struct lint *lint, const struct rule *rule)
{
    const struct policy *policy = lint->policy;
    slot_t ptr = layout_find(policy->layout, "client.ptr");
    size_t registry = policy->layout->count - policy->derived_count;
    size_t i;

    if (rule->outcome != OUTCOME_ACCEPT || ptr == SLOT_NONE)
        return;
    for (i = 0; i < rule->slot_count; i++) {
        slot_t slot = rule->slots[i];

        while (slot != SLOT_NONE && slot >= registry)
            slot = policy->derived[slot - registry].subject;
        if (slot != ptr)
            continue;
        builder_warning(lint->builder, &rule->at,
                        "rule '%s' exempts by client.ptr, which the client claims itself; use "
                        "client.name",
                        rule->name);
        return;
    }
}

void plan_lint(struct policy_builder *builder, const struct policy *policy, int32_t today)
{
    struct lint lint = {builder, policy, today};
    size_t i;

    if (policy->rule_count == 0 && !builder->failed && diag_errors(builder->diag) == 0)
        builder_warning(builder, NULL, "there is no rule: nothing is ever refused");
    for (i = 0; i < policy->rule_count; i++) {
        const struct rule *rule = &policy->rules[i];

        plan_lint_faults(builder, policy, rule, today);
        lint_deferral(&lint, rule);
        lint_521(&lint, rule);
        lint_holder(&lint, rule);
        lint_ptr(&lint, rule);
    }
    lint_unavailable(&lint);
    lint_silent(&lint);
    lint_shadows(&lint);
}
