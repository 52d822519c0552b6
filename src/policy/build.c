/* SPDX-License-Identifier: MIT */
#include "policy_private.h"

/* The rules that could be read and are not disabled, in order. */
static struct rule *take_rules(struct policy_builder *builder, struct policy *policy)
{
    const struct rule_entry *entries = builder->rules.items;
    struct rule *rules = arena_alloc(builder->arena, builder->rules.count * sizeof(*rules));
    size_t i;

    for (i = 0; i < builder->rules.count; i++) {
        if (entries[i].complete && !entries[i].disabled)
            rules[policy->rule_count++] = entries[i].rule;
    }
    policy->rules = rules;
    return rules;
}

struct policy *policy_build(struct policy_builder *builder, const struct policy_names *names,
                            enum stage speak_at, enum mixed mixed, int32_t today)
{
    struct policy *policy = arena_alloc(builder->arena, sizeof(*policy));
    struct rule *rules;

    resolve(builder, names);
    policy->layout = builder->layout;
    policy->derived = builder->derived.items;
    policy->derived_count = builder->derived.count;
    policy->speak_at = speak_at;
    policy->mixed = mixed;
    rules = take_rules(builder, policy);
    plan(builder->arena, policy, rules, today);
    plan_lint(builder, policy, today);
    if (!builder->failed)
        return policy;
    policy_fini(policy);
    return NULL;
}

void policy_fini(struct policy *policy)
{
    size_t i;

    if (policy == NULL)
        return;
    for (i = 0; i < policy->derived_count; i++)
        pattern_free(policy->derived[i].pattern);
    policy->derived_count = 0;
}

void policy_bind_tables(struct policy *policy, uint32_t (*index)(void *arg, const char *table),
                        void *arg)
{
    /* The arrays were made by policy_build(); they are constant only for those who share the
     * policy. */
    struct derived *derived = (struct derived *)(uintptr_t)policy->derived;
    size_t i;

    for (i = 0; i < policy->derived_count; i++) {
        if (derived[i].table != NULL)
            derived[i].table_index = index(arg, derived[i].table);
    }
}

void policy_bind_text(struct policy *policy, size_t rule, const void *compiled)
{
    struct rule *rules = (struct rule *)(uintptr_t)policy->rules;

    rules[rule].compiled = compiled;
}
