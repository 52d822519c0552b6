/* SPDX-License-Identifier: MIT */
#include "policy_private.h"

/* The plan: from which stage on each rule can be decided, and what it needs for that. */

enum constant cond_constant(const struct cond *cond)
{
    enum constant dominant = cond->kind == COND_AND ? CONSTANT_FALSE : CONSTANT_TRUE;
    bool varies = false;
    size_t i;

    switch (cond->kind) {
    case COND_TRUE:
        return CONSTANT_TRUE;
    case COND_FALSE:
        return CONSTANT_FALSE;
    case COND_TEST:
        return CONSTANT_NOT;
    case COND_NOT:
        switch (cond_constant(cond->parts[0])) {
        case CONSTANT_TRUE:
            return CONSTANT_FALSE;
        case CONSTANT_FALSE:
            return CONSTANT_TRUE;
        case CONSTANT_NOT:
            return CONSTANT_NOT;
        }
        break;
    case COND_AND:
    case COND_OR:
        break;
    }
    for (i = 0; i < cond->part_count; i++) {
        enum constant part = cond_constant(cond->parts[i]);

        if (part == dominant)
            return dominant;
        varies = varies || part == CONSTANT_NOT;
    }
    if (varies)
        return CONSTANT_NOT;
    return dominant == CONSTANT_TRUE ? CONSTANT_FALSE : CONSTANT_TRUE;
}

/* The slots of one rule after the other. */
struct collector {
    struct arena *arena;
    const struct layout *layout;
    uint32_t *taken_by; /* per slot: the rule that took it last, counted from 1 */
    uint32_t rule;
    slot_t *slots; /* of this rule; room for all there are */
    size_t count;
};

/* Parts that constants decide need no facts. */
static void collect(struct collector *collector, const struct cond *cond)
{
    size_t i;

    if (cond->kind == COND_TEST) {
        if (collector->taken_by[cond->slot] != collector->rule) {
            collector->taken_by[cond->slot] = collector->rule;
            collector->slots[collector->count++] = cond->slot;
        }
        return;
    }
    if (cond_constant(cond) != CONSTANT_NOT)
        return;
    for (i = 0; i < cond->part_count; i++)
        collect(collector, cond->parts[i]);
}

static void plan_facts(struct collector *collector, struct rule *rule)
{
    slot_t *slots;
    size_t i;

    collector->rule = rule->index + 1;
    collector->count = 0;
    collect(collector, rule->when);
    slots = arena_alloc(collector->arena, collector->count * sizeof(*slots));
    for (i = 0; i < collector->count; i++) {
        const struct slot *slot = &collector->layout->slots[collector->slots[i]];

        slots[i] = collector->slots[i];
        if ((enum stage)slot->stage > rule->own_stage)
            rule->own_stage = slot->stage;
        if (slot->scope == SCOPE_RECIPIENT)
            rule->uses_recipient = true;
    }
    rule->slots = slots;
    rule->slot_count = collector->count;
}

bool plan_ended(const struct rule *rule, int32_t today)
{
    return rule->until != 0 && rule->until < today;
}

bool plan_holds(const struct rule *rule, int32_t today)
{
    return rule->outcome != OUTCOME_HEADER && !rule->observe && !plan_ended(rule, today);
}

const struct slot *plan_later(const struct policy *policy, const struct rule *rule,
                              enum stage stage)
{
    size_t i;

    for (i = 0; i < rule->slot_count; i++) {
        const struct slot *slot = &policy->layout->slots[rule->slots[i]];

        if ((enum stage)slot->stage > stage)
            return slot;
    }
    return NULL;
}

/* HOLDER: the rule above that is decided last, or NULL. */
static void plan_speaks(const struct policy *policy, struct rule *rule, const struct rule *holder)
{
    bool is_521 = rule->outcome == OUTCOME_REPLY && rule->code == 521;

    rule->held_by = -1;
    rule->speaks = is_521 ? STAGE_MAIL : policy->speak_at;
    if (rule->own_stage > rule->speaks)
        rule->speaks = rule->own_stage;
    if (rule->outcome == OUTCOME_QUARANTINE || rule->outcome == OUTCOME_HEADER)
        rule->speaks = STAGE_MESSAGE;
    if (holder != NULL && holder->own_stage > rule->speaks) {
        rule->speaks = holder->own_stage;
        rule->held_by = (int)holder->index;
    }
}

void plan(struct arena *arena, struct policy *policy, struct rule *rules, int32_t today)
{
    struct collector collector = {.arena = arena, .layout = policy->layout};
    const struct rule *holder = NULL;
    size_t i;

    collector.taken_by = arena_alloc(arena, policy->layout->count * sizeof(*collector.taken_by));
    collector.slots = arena_alloc(arena, policy->layout->count * sizeof(*collector.slots));
    for (i = 0; i < policy->rule_count; i++) {
        struct rule *rule = &rules[i];

        rule->index = (uint32_t)i;
        plan_facts(&collector, rule);
        plan_speaks(policy, rule, holder);
        if (plan_holds(rule, today) && (holder == NULL || rule->own_stage > holder->own_stage))
            holder = rule;
        if (plan_ended(rule, today))
            continue;
        if (!rule->observe) {
            if (rule->outcome == OUTCOME_REPLY && rule->code == 521)
                policy->has_521 = true;
            if (rule->outcome == OUTCOME_HEADER)
                policy->has_headers = true;
        }
    }
}
