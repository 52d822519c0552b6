/* SPDX-License-Identifier: MIT */
#include <postern/decide.h>

#include "decide_private.h"

/* Recipients side by side: whether they can share one message, and what is said to all of them. */

/* What one recipient's conditions are seen against. */
struct seen {
    const struct policy *policy;
    const struct layout *layout;
    const struct view *view;
    const uint8_t *modes;
    enum stage now;
};

static unsigned truth(const struct seen *seen, const struct cond *cond)
{
    return decide_condition(seen->layout, cond, seen->view, seen->now);
}

/* Whether what remains of COND, undecided for both, is the same for both. */
static bool same_remainder(const struct seen *a, const struct seen *b, const struct cond *cond)
{
    bool fault_in_a = false;
    bool fault_in_b = false;
    size_t i;

    if (cond->kind == COND_TEST)
        return a->layout->slots[cond->slot].scope != SCOPE_RECIPIENT;
    for (i = 0; i < cond->part_count; i++) {
        unsigned in_a = truth(a, cond->parts[i]);
        unsigned in_b = truth(b, cond->parts[i]);

        if (is_decided(in_a) != is_decided(in_b))
            return false;
        if (is_decided(in_a)) {
            /* The whole being undecided, these are neutral in it or in fault. */
            fault_in_a = fault_in_a || in_a == TRUTH_FAULT;
            fault_in_b = fault_in_b || in_b == TRUTH_FAULT;
        } else if (!same_remainder(a, b, cond->parts[i])) {
            return false;
        }
    }
    return fault_in_a == fault_in_b;
}

/* One recipient's way through the rules: from one that is not certainly passed to the next. */
struct path {
    struct seen seen;
    size_t next;
    bool softened; /* an exemption above is in fault */
    bool ended;    /* with an outcome as strict as RANK; else RULE is undecided */
    int rank;      /* as verdict_rank() has it */
    const struct rule *rule;
};

static int rank_of(const struct rule *rule, bool softened)
{
    if (rule->outcome == OUTCOME_REPLY)
        return is_permanent(rule) && !softened ? 3 : 2;
    return rule->outcome == OUTCOME_QUARANTINE ? 1 : 0;
}

static void path_step(struct path *path)
{
    const struct policy *policy = path->seen.policy;

    while (path->next < policy->rule_count) {
        const struct rule *rule = &policy->rules[path->next++];
        unsigned set;

        if (!is_final(rule, path->seen.modes))
            continue;
        set = truth(&path->seen, rule->when);
        if (set == TRUTH_FALSE)
            continue;
        if (set == TRUTH_FAULT && !rule->on_fault_defer) {
            path->softened = path->softened || is_exemption(rule);
            continue;
        }
        path->rule = rule;
        path->ended = is_decided(set);
        path->rank = set == TRUTH_FAULT ? 2 : rank_of(rule, path->softened);
        return;
    }
    path->ended = true;
    path->rank = 0;
}

bool decide_same_policy(const struct policy *policy, const struct view *a, const struct view *b,
                        const uint8_t *modes, enum stage now)
{
    struct path one = {.seen = {policy, policy->layout, a, modes, now}};
    struct path two = {.seen = {policy, policy->layout, b, modes, now}};

    for (;;) {
        path_step(&one);
        path_step(&two);
        if (one.ended && two.ended)
            return one.rank == two.rank;
        if (one.ended || two.ended || one.rule != two.rule)
            return false;
        if (is_permanent(one.rule) && one.softened != two.softened)
            return false;
        if (!same_remainder(&one.seen, &two.seen, one.rule->when))
            return false;
    }
}

struct mixed_verdict decide_mixed(const struct policy *policy, const struct verdict *verdicts,
                                  size_t count, enum mixed mixed)
{
    struct mixed_verdict result = {.differs = false};
    int best = verdict_rank(policy, &verdicts[0]);
    size_t i;

    for (i = 1; i < count; i++) {
        int rank = verdict_rank(policy, &verdicts[i]);
        bool better = mixed == MIXED_LENIENT ? rank < best : rank > best;

        if (rank != best)
            result.differs = true;
        if (better || (rank == best && verdicts[i].rule < verdicts[result.speaker].rule)) {
            best = rank;
            result.speaker = i;
        }
    }
    result.split = result.differs && mixed == MIXED_LATE;
    return result;
}
