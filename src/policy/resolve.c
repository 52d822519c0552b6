/* SPDX-License-Identifier: MIT */
#include "policy_private.h"

#include <string.h>

#include <postern/words.h>

/* How many conditions may stand between a rule and the facts. */
enum { CHAIN_MAX = 100 };

/* Counts nodes and depth of a condition as a tree.  What a reference was replaced with has been
 * counted. */
static void measure(struct cond *cond)
{
    uint64_t nodes = 1;
    unsigned depth = 0;
    size_t i;

    if (cond->reference != NULL)
        return;
    for (i = 0; i < cond->part_count; i++) {
        /* Parts are made here, and shared only from below a reference. */
        struct cond *part = (struct cond *)(uintptr_t)cond->parts[i];

        measure(part);
        nodes += part->nodes;
        if (part->depth > depth)
            depth = part->depth;
    }
    cond->nodes = nodes > COND_NODES_MAX ? COND_NODES_MAX + 1 : (uint32_t)nodes;
    cond->depth = depth + 1;
}

static bool too_large(struct policy_builder *builder, const struct reading_cond *cond,
                      const struct place *at)
{
    measure(cond->when);
    if (cond->when->nodes > COND_NODES_MAX) {
        builder_error(builder, at,
                      "with the conditions it uses, this condition has more than %d parts; put "
                      "long lists into tables",
                      COND_NODES_MAX);
        return true;
    }
    if (cond->when->depth > COND_DEPTH_MAX) {
        builder_error(builder, at,
                      "with the conditions it uses, this condition is nested more than %d deep",
                      COND_DEPTH_MAX);
        return true;
    }
    return false;
}

static bool resolve_references(struct policy_builder *builder, struct reading_cond *cond,
                               const struct place *at, unsigned chain);

/* The condition behind a reference, resolved itself; NULL after an error. */
static const struct cond *find_target(struct policy_builder *builder,
                                      const struct reference *reference, unsigned chain)
{
    const char *name = reference->node->reference;
    uint32_t number = name_index_find(builder->condition_names, name);
    struct named_cond *named;

    if (number == NAME_NONE) {
        builder_error(builder, &reference->at, "unknown fact or condition '%s'%s", name,
                      builder_nearest(builder, name, true));
        return NULL;
    }
    named = (struct named_cond *)builder->conditions.items + number;
    named->used = true;
    if (named->visit == VISIT_UNDER_WAY || chain == CHAIN_MAX) {
        builder_error(builder, &reference->at,
                      named->visit == VISIT_UNDER_WAY
                          ? "condition '%s' uses itself"
                          : "condition '%s' stands at the end of a chain of too many conditions",
                      name);
        return NULL;
    }
    if (named->visit == VISIT_NOT_YET) {
        named->visit = VISIT_UNDER_WAY;
        if (named->cond.when != NULL &&
            !resolve_references(builder, &named->cond, &named->at, chain + 1))
            named->cond.when = NULL;
        named->visit = VISIT_DONE;
    }
    return named->cond.when;
}

/* Puts conditions in the place of their names.  False after an error, here or in a condition that
 * is used. */
static bool resolve_references(struct policy_builder *builder, struct reading_cond *cond,
                               const struct place *at, unsigned chain)
{
    bool good = true;
    size_t i;

    for (i = 0; i < cond->references; i++) {
        const struct reference *reference =
            (struct reference *)builder->references.items + cond->first_reference + i;
        const struct cond *target = find_target(builder, reference, chain);
        struct cond *node = reference->node;

        if (target == NULL) {
            good = false;
            continue;
        }
        *node = (struct cond){
            .kind = target->kind,
            .at = node->at,
            .parts = target->parts,
            .part_count = target->part_count,
            .test = target->test,
            .slot = target->slot,
            .operands = target->operands,
            .operand_count = target->operand_count,
            .reference = node->reference,
            .nodes = target->nodes,
            .depth = target->depth,
        };
    }
    return good && !too_large(builder, cond, at);
}

static void resolve_conditions(struct policy_builder *builder)
{
    struct named_cond *named = builder->conditions.items;
    struct rule_entry *entries = builder->rules.items;
    struct reading_cond *loose = builder->loose.items;
    size_t i;

    for (i = 0; i < builder->loose.count; i++)
        resolve_references(builder, &loose[i], &loose[i].when->at, 0);

    for (i = 0; i < builder->rules.count; i++) {
        if (entries[i].cond.when != NULL &&
            !resolve_references(builder, &entries[i].cond, &entries[i].rule.at, 0)) {
            entries[i].complete = false;
            builder->rule_lost = true;
        }
        entries[i].rule.when = entries[i].cond.when;
    }
    for (i = 0; i < builder->conditions.count; i++) {
        if (named[i].visit == VISIT_NOT_YET && named[i].cond.when != NULL) {
            named[i].visit = VISIT_UNDER_WAY;
            resolve_references(builder, &named[i].cond, &named[i].at, 0);
            named[i].visit = VISIT_DONE;
        }
    }
    for (i = 0; i < builder->conditions.count; i++) {
        if (!named[i].used && named[i].cond.when != NULL)
            builder_warning(builder, &named[i].at, "no rule uses the condition '%s'",
                            named[i].name);
    }
}

static void resolve_tables(struct policy_builder *builder, const struct policy_names *names)
{
    const struct derived *derived = builder->derived.items;
    const struct place *places = builder->derived_at.items;
    struct name_index *reported = name_index_new(builder->arena, 0);
    size_t i;

    for (i = 0; i < builder->derived.count; i++) {
        const char *table = derived[i].table;
        const char *nearest;

        if (table == NULL || names->table_known(names->arg, table) ||
            !name_index_add(reported, table, 0))
            continue;
        nearest = names->table_nearest != NULL ? names->table_nearest(names->arg, table) : NULL;
        if (nearest != NULL)
            builder_error(builder, &places[i], "unknown table '%s'; did you mean '%s'?", table,
                          nearest);
        else
            builder_error(builder, &places[i], "unknown table '%s'; define it: table %s { ... }",
                          table, table);
    }
}

/* The rule that `disable` or `observe` names, or NULL after an error. */
static struct rule_entry *find_rule(struct policy_builder *builder, const struct token *name)
{
    struct rule_entry *entries = builder->rules.items;
    uint32_t number = name_index_find(builder->rule_names, name->text);
    const char **words, *nearest;
    size_t i;

    if (number != NAME_NONE)
        return number < builder->rules.count ? &entries[number] : NULL;
    words = arena_alloc(builder->arena, builder->rules.count * sizeof(*words));
    for (i = 0; i < builder->rules.count; i++)
        words[i] = entries[i].rule.name;
    nearest = words_nearest(name->text, words, builder->rules.count);
    if (strcmp(name->text, "*") == 0 || strcmp(name->text, "all") == 0)
        builder_error(builder, &name->at,
                      "there is no rule '%s'; 'mode observe;' in the listen block lets all rules "
                      "only observe",
                      name->text);
    else if (nearest != NULL)
        builder_error(builder, &name->at, "there is no rule '%s'; did you mean '%s'?", name->text,
                      nearest);
    else
        builder_error(builder, &name->at, "there is no rule '%s'", name->text);
    return NULL;
}

void resolve(struct policy_builder *builder, const struct policy_names *names)
{
    const struct token *disabled = builder->disabled.items;
    const struct token *observed = builder->observed.items;
    struct rule_entry *entry;
    size_t i;

    resolve_conditions(builder);
    resolve_tables(builder, names);
    for (i = 0; i < builder->disabled.count; i++) {
        entry = find_rule(builder, &disabled[i]);
        if (entry != NULL)
            entry->disabled = true;
    }
    for (i = 0; i < builder->observed.count; i++) {
        entry = find_rule(builder, &observed[i]);
        if (entry != NULL)
            entry->rule.observe = true;
    }
}
