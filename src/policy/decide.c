/* SPDX-License-Identifier: MIT */
#include <postern/decide.h>

#include <string.h>

/* What a decision looks at. */
struct sight {
    const struct policy *policy;
    const struct layout *layout;
    const struct view *view;
    const uint8_t *modes;
    enum stage now;
};

/* True, false or in fault: no fact that comes later changes it. */
static bool decided(unsigned set)
{
    return set == TRUTH_TRUE || set == TRUTH_FALSE || set == TRUTH_FAULT;
}

/* ---- rules ---- */

static unsigned truth(const struct sight *sight, const struct cond *cond)
{
    return decide_condition(sight->layout, cond, sight->view, sight->now);
}

static struct sight look(const struct policy *policy, const struct view *view, const uint8_t *modes,
                         enum stage now)
{
    return (struct sight){policy, policy->layout, view, modes, now};
}

static bool is_final(const struct sight *sight, size_t rule)
{
    return sight->modes[rule] == RULE_ENFORCES &&
           sight->policy->rules[rule].outcome != OUTCOME_HEADER;
}

static bool is_exemption(const struct rule *rule)
{
    return rule->outcome == OUTCOME_ACCEPT || rule->outcome == OUTCOME_QUARANTINE;
}

static bool is_permanent(const struct rule *rule)
{
    return rule->outcome == OUTCOME_REPLY && rule->code >= 500;
}

/* Whether the walk may get past a final rule whose condition can be any of SET. */
static bool passes(const struct rule *rule, unsigned set)
{
    return (set & (TRUTH_FALSE | TRUTH_OPEN)) != 0 ||
           ((set & TRUTH_FAULT) != 0 && !rule->on_fault_defer);
}

/* The verdict of a rule that is true; SOFTENED: an exemption above it is in fault, else -1. */
static struct verdict verdict_of(const struct rule *rule, int softened)
{
    struct verdict verdict = {
        .certain = true, .kind = VERDICT_ACCEPT, .rule = (int)rule->index, .fault_rule = -1};

    if (rule->outcome == OUTCOME_QUARANTINE)
        verdict.kind = VERDICT_QUARANTINE;
    else if (rule->outcome == OUTCOME_REPLY)
        verdict.kind = VERDICT_REPLY;
    if (softened >= 0 && is_permanent(rule)) {
        verdict.kind = VERDICT_FAULT;
        verdict.fault_rule = softened;
    }
    return verdict;
}

static struct verdict verdict_plain(enum verdict_kind kind, int rule)
{
    return (struct verdict){.certain = true, .kind = kind, .rule = rule, .fault_rule = rule};
}

/* ---- the walk ---- */

struct walk {
    const struct sight *sight;
    enum speak speak;
    bool exact;    /* what is not spoken must be certain too: header rules depend on it */
    bool plain;    /* the walk may have come here with no exemption in fault above */
    bool softened; /* ... or with one: */
    int softened_by;
    bool any; /* some outcome is possible: */
    struct verdict seen;
    bool differs; /* two are possible that are not alike */
    bool headers_unsure;
};

static bool refuses(const struct verdict *verdict)
{
    return verdict->kind == VERDICT_REPLY || verdict->kind == VERDICT_FAULT;
}

bool verdict_speaks(const struct policy *policy, const struct verdict *verdict, enum speak speak)
{
    if (!verdict->certain)
        return false;
    switch (speak) {
    case SPEAK_NOTHING:
        return false;
    case SPEAK_521:
        return verdict->kind == VERDICT_REPLY && policy->rules[verdict->rule].code == 521;
    case SPEAK_REPLIES:
        return refuses(verdict);
    case SPEAK_ALL:
        return refuses(verdict) || verdict->kind == VERDICT_QUARANTINE;
    }
    return false;
}

static void add_outcome(struct walk *walk, struct verdict verdict)
{
    struct verdict *seen = &walk->seen;
    bool said;

    if (!walk->any) {
        walk->any = true;
        *seen = verdict;
        return;
    }
    said = verdict_speaks(walk->sight->policy, &verdict, walk->speak);
    if (seen->kind == verdict.kind && seen->rule == verdict.rule) {
        if (verdict.fault_rule < seen->fault_rule)
            seen->fault_rule = verdict.fault_rule;
    } else if (said || verdict_speaks(walk->sight->policy, seen, walk->speak) || walk->exact) {
        walk->differs = true;
    } else {
        *seen = verdict_plain(VERDICT_OPEN, -1);
    }
}

static void pass_final(struct walk *walk, const struct rule *rule, unsigned set)
{
    if (set & TRUTH_TRUE) {
        if (walk->plain)
            add_outcome(walk, verdict_of(rule, -1));
        if (walk->softened)
            add_outcome(walk, verdict_of(rule, walk->softened_by));
    }
    if (set & TRUTH_OPEN)
        add_outcome(walk, verdict_plain(VERDICT_OPEN, -1));
    if (set & TRUTH_FAULT && rule->on_fault_defer)
        add_outcome(walk, verdict_plain(VERDICT_FAULT, (int)rule->index));
    else if (set & TRUTH_FAULT && is_exemption(rule)) {
        if (!walk->softened)
            walk->softened_by = (int)rule->index;
        walk->softened = true;
        walk->plain = walk->plain && (set & TRUTH_FALSE);
        return;
    }
    if (!(set & TRUTH_FALSE) && !(set & TRUTH_FAULT && !rule->on_fault_defer))
        walk->plain = walk->softened = false;
}

static bool enforces_headers(const struct sight *sight)
{
    size_t i;

    if (!sight->policy->has_headers)
        return false;
    for (i = 0; i < sight->policy->rule_count; i++) {
        if (sight->policy->rules[i].outcome == OUTCOME_HEADER && sight->modes[i] == RULE_ENFORCES)
            return true;
    }
    return false;
}

struct verdict decide(const struct policy *policy, const struct view *view, const uint8_t *modes,
                      enum stage now, enum speak speak)
{
    const struct sight sight = look(policy, view, modes, now);
    struct walk walk = {.sight = &sight, .speak = speak, .plain = true};
    size_t i;

    walk.exact = speak == SPEAK_ALL && enforces_headers(&sight);
    for (i = 0; i < policy->rule_count && !walk.differs && (walk.plain || walk.softened); i++) {
        const struct rule *rule = &policy->rules[i];

        if (is_final(&sight, i)) {
            pass_final(&walk, rule, truth(&sight, rule->when));
        } else if (walk.exact && modes[i] == RULE_ENFORCES) {
            unsigned set = truth(&sight, rule->when);

            if (set & TRUTH_TRUE && set != TRUTH_TRUE)
                walk.headers_unsure = true;
        }
    }
    if (!walk.differs && (walk.plain || walk.softened))
        add_outcome(&walk, verdict_plain(VERDICT_NONE, -1));
    if (walk.differs || (walk.headers_unsure && !refuses(&walk.seen)))
        return (struct verdict){
            .certain = false, .kind = VERDICT_OPEN, .rule = -1, .fault_rule = -1};
    return walk.seen;
}

/* ---- what is still needed ---- */

static void mark_needs(const struct sight *sight, const struct cond *cond, uint8_t *needed)
{
    size_t i;

    if (decided(truth(sight, cond)))
        return;
    if (cond->kind == COND_TEST)
        needed[cond->slot] = 1;
    for (i = 0; i < cond->part_count; i++)
        mark_needs(sight, cond->parts[i], needed);
}

void decide_needs(const struct policy *policy, const struct view *view, const uint8_t *modes,
                  enum stage now, bool waited, uint8_t *needed)
{
    const struct sight sight = look(policy, view, modes, now);
    size_t i;

    for (i = 0; i < policy->rule_count; i++) {
        const struct rule *rule = &policy->rules[i];

        if (modes[i] == RULE_OFF || (waited && modes[i] != RULE_ENFORCES))
            continue;
        mark_needs(&sight, rule->when, needed);
        if (is_final(&sight, i) && !passes(rule, truth(&sight, rule->when)))
            return;
    }
}

void decide_marks(const struct policy *policy, const struct view *view, const uint8_t *modes,
                  enum stage now, uint8_t *fired, uint8_t *headers)
{
    const struct sight sight = look(policy, view, modes, now);
    size_t i;

    for (i = 0; i < policy->rule_count; i++) {
        const struct rule *rule = &policy->rules[i];
        unsigned set;

        if (modes[i] == RULE_OFF)
            continue;
        set = truth(&sight, rule->when);
        if (is_final(&sight, i)) {
            if (set != TRUTH_FALSE && !(set == TRUTH_FAULT && !rule->on_fault_defer))
                return;
        } else if (set == TRUTH_TRUE) {
            if (modes[i] == RULE_OBSERVES && fired != NULL)
                fired[i] = 1;
            if (modes[i] == RULE_ENFORCES && headers != NULL)
                headers[i] = 1;
        }
    }
}

/* ---- message policies of two recipients ---- */

/* Whether what remains of COND, undecided for both, is the same for both. */
static bool same_remainder(const struct sight *a, const struct sight *b, const struct cond *cond)
{
    bool fault_in_a = false;
    bool fault_in_b = false;
    size_t i;

    if (cond->kind == COND_TEST)
        return a->layout->slots[cond->slot].scope != SCOPE_RECIPIENT;
    for (i = 0; i < cond->part_count; i++) {
        unsigned in_a = truth(a, cond->parts[i]);
        unsigned in_b = truth(b, cond->parts[i]);

        if (decided(in_a) != decided(in_b))
            return false;
        if (decided(in_a)) {
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
    struct sight sight;
    size_t next;
    int softened;
    bool ended; /* VERDICT is the end of the way; else RULE is undecided: */
    const struct rule *rule;
    struct verdict verdict;
};

static void path_step(struct path *path)
{
    const struct policy *policy = path->sight.policy;

    for (; path->next < policy->rule_count; path->next++) {
        const struct rule *rule = &policy->rules[path->next];
        unsigned set;

        if (!is_final(&path->sight, path->next))
            continue;
        set = truth(&path->sight, rule->when);
        if (set == TRUTH_FAULT && !rule->on_fault_defer) {
            if (is_exemption(rule) && path->softened < 0)
                path->softened = (int)rule->index;
        } else if (set != TRUTH_FALSE) {
            path->rule = rule;
            path->ended = decided(set);
            path->verdict = set == TRUTH_FAULT ? verdict_plain(VERDICT_FAULT, (int)rule->index)
                                               : verdict_of(rule, path->softened);
            path->next++;
            return;
        }
    }
    path->ended = true;
    path->verdict = verdict_plain(VERDICT_NONE, -1);
}

bool decide_same_policy(const struct policy *policy, const struct view *a, const struct view *b,
                        const uint8_t *modes, enum stage now)
{
    struct path one = {.sight = look(policy, a, modes, now), .softened = -1};
    struct path two = {.sight = look(policy, b, modes, now), .softened = -1};

    for (;;) {
        path_step(&one);
        path_step(&two);
        if (one.ended && two.ended)
            return verdict_rank(policy, &one.verdict) == verdict_rank(policy, &two.verdict);
        if (one.ended || two.ended || one.rule != two.rule)
            return false;
        if (is_permanent(one.rule) && (one.softened < 0) != (two.softened < 0))
            return false;
        if (!same_remainder(&one.sight, &two.sight, one.rule->when))
            return false;
    }
}

/* ---- recipients together ---- */

int verdict_rank(const struct policy *policy, const struct verdict *verdict)
{
    switch (verdict->kind) {
    case VERDICT_NONE:
    case VERDICT_OPEN:
    case VERDICT_ACCEPT:
        return 0;
    case VERDICT_QUARANTINE:
        return 1;
    case VERDICT_FAULT:
        return 2;
    case VERDICT_REPLY:
        return is_permanent(&policy->rules[verdict->rule]) ? 3 : 2;
    }
    return 0;
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
