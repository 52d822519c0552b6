/* SPDX-License-Identifier: MIT */
#include <postern/decide.h>

#include <string.h>

#include "decide_private.h"

/* What a decision looks at. */
struct sight {
    const struct policy *policy;
    const struct layout *layout;
    const struct view *view;
    const uint8_t *modes;
    enum stage now;
};

/* ---- tests ---- */

static unsigned truth_of(bool yes)
{
    return yes ? TRUTH_TRUE : TRUTH_FALSE;
}

/* A number in fault lies somewhere in its interval; a known one is an interval of one. */
static unsigned test_number(const struct cond *test, int64_t low, int64_t high)
{
    int64_t bound = test->operands[0].number;
    bool at_low, at_high;
    size_t i;

    switch (test->test) {
    case TEST_LT:
        at_low = low < bound;
        at_high = high < bound;
        break;
    case TEST_LE:
        at_low = low <= bound;
        at_high = high <= bound;
        break;
    case TEST_GT:
        at_low = low > bound;
        at_high = high > bound;
        break;
    case TEST_GE:
        at_low = low >= bound;
        at_high = high >= bound;
        break;
    default: /* TEST_EQ, TEST_IN */
        for (i = 0; i < test->operand_count; i++) {
            if (test->operands[i].number >= low && test->operands[i].number <= high)
                return low == high ? TRUTH_TRUE : TRUTH_FAULT;
        }
        return TRUTH_FALSE;
    }
    return at_low == at_high ? truth_of(at_low) : TRUTH_FAULT;
}

static bool names_number(const struct cond *test, int64_t number)
{
    size_t i;

    for (i = 0; i < test->operand_count; i++) {
        if (test->operands[i].number == number)
            return true;
    }
    return false;
}

/* Operands are sorted in the order in which facts of this type are compared. */
static bool names_text(const struct cond *test, enum fact_type type, const char *text)
{
    size_t low = 0;
    size_t high = test->operand_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *operand = test->operands[middle].text;
        int order = type == FACT_TEXT ? strcmp(text, operand) : strcasecmp(text, operand);

        if (order == 0)
            return true;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

static bool names_ip(const struct cond *test, const struct addr *ip)
{
    size_t i;

    for (i = 0; i < test->operand_count; i++) {
        if (net_contains(&test->operands[i].net, ip))
            return true;
    }
    return false;
}

static bool names_member(const struct cond *test, const struct text_set *set)
{
    size_t i;

    for (i = 0; i < set->count; i++) {
        if (names_text(test, FACT_SET, set->items[i]))
            return true;
    }
    return false;
}

static unsigned test_known(const struct cond *test, const struct slot *slot,
                           const struct value *value)
{
    switch ((enum fact_type)slot->type) {
    case FACT_BOOL:
        if (test->test == TEST_TRUE)
            return truth_of(value->low != 0);
        return truth_of(names_number(test, value->low));
    case FACT_NUMBER:
        return test_number(test, value->low, value->high);
    case FACT_TEXT:
    case FACT_DOMAIN:
    case FACT_LOCAL_PART:
    case FACT_ADDRESS:
        return truth_of(names_text(test, slot->type, value->text));
    case FACT_IP:
        return truth_of(names_ip(test, &value->ip));
    case FACT_WORD:
        return truth_of(names_number(test, value->word));
    case FACT_SET:
        return truth_of(names_member(test, &value->set));
    case FACT_ROWS:
        break;
    }
    return TRUTH_FAULT;
}

static bool names_own_fault(const struct cond *test, const struct slot *slot)
{
    return slot->type == FACT_WORD && slot->fault_word < slot->word_count &&
           names_number(test, slot->fault_word);
}

/* NULL where the scope is not open. */
static const struct value *value_of(const struct sight *sight, const struct slot *slot)
{
    const struct value *values = sight->view->scope[slot->scope];

    return values != NULL ? &values[slot->index] : NULL;
}

static unsigned test_truth(const struct sight *sight, const struct cond *test)
{
    const struct slot *slot = &sight->layout->slots[test->slot];
    const struct value *value = value_of(sight, slot);

    switch (value != NULL ? (enum value_state)value->state : VALUE_OPEN) {
    case VALUE_OPEN:
        if ((enum stage)slot->stage > sight->now)
            return TRUTH_OPEN;
        /* Should it end in fault, a test that names its fault word sees a value. */
        return TRUTH_TRUE | TRUTH_FALSE | (names_own_fault(test, slot) ? 0 : TRUTH_FAULT);
    case VALUE_KNOWN:
        return test_known(test, slot, value);
    case VALUE_FAULT:
        if (slot->type == FACT_NUMBER)
            return test_number(test, value->low, value->high);
        return names_own_fault(test, slot) ? TRUTH_TRUE : TRUTH_FAULT;
    }
    return TRUTH_FAULT;
}

/* ---- conditions ---- */

static unsigned truth_not(unsigned set)
{
    return (set & (TRUTH_FAULT | TRUTH_OPEN)) | (set & TRUTH_FALSE ? TRUTH_TRUE : 0) |
           (set & TRUTH_TRUE ? TRUTH_FALSE : 0);
}

/* Every `x and y` with x of A and y of B. */
static unsigned truth_and(unsigned a, unsigned b)
{
    const unsigned solid = TRUTH_TRUE | TRUTH_FAULT;
    const unsigned not_false = TRUTH_TRUE | TRUTH_FAULT | TRUTH_OPEN;
    unsigned result = ((a | b) & TRUTH_FALSE) | (a & b & TRUTH_TRUE);

    if (b == TRUTH_TRUE)
        return a;
    if ((a & TRUTH_OPEN && b & not_false) || (b & TRUTH_OPEN && a & not_false))
        result |= TRUTH_OPEN;
    if ((a & TRUTH_FAULT && b & solid) || (b & TRUTH_FAULT && a & solid))
        result |= TRUTH_FAULT;
    return result;
}

static unsigned truth_or(unsigned a, unsigned b)
{
    if (b == TRUTH_FALSE)
        return a;
    return truth_not(truth_and(truth_not(a), truth_not(b)));
}

/* The parser bounds how deep conditions are nested. */
static unsigned truth(const struct sight *sight, const struct cond *cond)
{
    unsigned set;
    size_t i;

    switch (cond->kind) {
    case COND_TRUE:
        return TRUTH_TRUE;
    case COND_FALSE:
        return TRUTH_FALSE;
    case COND_NOT:
        return truth_not(truth(sight, cond->parts[0]));
    case COND_AND:
        set = TRUTH_TRUE;
        for (i = 0; i < cond->part_count && set != TRUTH_FALSE; i++)
            set = truth_and(truth(sight, cond->parts[i]), set);
        return set;
    case COND_OR:
        set = TRUTH_FALSE;
        for (i = 0; i < cond->part_count && set != TRUTH_TRUE; i++)
            set = truth_or(truth(sight, cond->parts[i]), set);
        return set;
    case COND_TEST:
        return test_truth(sight, cond);
    }
    return TRUTH_FAULT;
}

unsigned decide_condition(const struct layout *layout, const struct cond *condition,
                          const struct view *view, enum stage now)
{
    const struct sight sight = {.layout = layout, .view = view, .now = now};

    return truth(&sight, condition);
}

/* ---- rules ---- */

static struct sight look(const struct policy *policy, const struct view *view, const uint8_t *modes,
                         enum stage now)
{
    return (struct sight){policy, policy->layout, view, modes, now};
}

/* What the rule's condition is, as far as it is known. */
static unsigned rule_truth(const struct sight *sight, const struct rule *rule)
{
    uint8_t *settled = rule->uses_recipient || sight->view->settled == NULL
                           ? NULL
                           : &sight->view->settled[rule->index];
    unsigned set;

    if (settled != NULL && *settled != 0)
        return *settled;
    set = truth(sight, rule->when);
    if (settled != NULL && is_decided(set))
        *settled = (uint8_t)set;
    return set;
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

        if (is_final(rule, modes)) {
            pass_final(&walk, rule, rule_truth(&sight, rule));
        } else if (walk.exact && modes[i] == RULE_ENFORCES) {
            unsigned set = rule_truth(&sight, rule);

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

/* A test is decided once its fact is known, or known to be in fault. */
static void mark_test(const struct sight *sight, const struct cond *test, uint8_t *needed)
{
    const struct value *value = value_of(sight, &sight->layout->slots[test->slot]);

    if (value == NULL || value->state == VALUE_OPEN)
        needed[test->slot] = 1;
}

/* COND is not decided, or a test. */
static void mark_needs(const struct sight *sight, const struct cond *cond, uint8_t *needed)
{
    size_t i;

    if (cond->kind == COND_TEST)
        mark_test(sight, cond, needed);
    for (i = 0; i < cond->part_count; i++) {
        const struct cond *part = cond->parts[i];

        if (part->kind == COND_TEST || !is_decided(truth(sight, part)))
            mark_needs(sight, part, needed);
    }
}

void decide_needs(const struct policy *policy, const struct view *view, const uint8_t *modes,
                  enum stage now, bool waited, uint8_t *needed)
{
    const struct sight sight = look(policy, view, modes, now);
    size_t i;

    for (i = 0; i < policy->rule_count; i++) {
        const struct rule *rule = &policy->rules[i];
        unsigned set;

        if (modes[i] == RULE_OFF || (waited && modes[i] != RULE_ENFORCES))
            continue;
        set = rule_truth(&sight, rule);
        if (!is_decided(set))
            mark_needs(&sight, rule->when, needed);
        if (is_final(rule, modes) && !passes(rule, set))
            return;
    }
}

/* Whether a final rule whose condition can be any of SET may be where the walk ends.  One that is
 * either false or in fault need not be known any better. */
static bool may_end(const struct rule *rule, unsigned set)
{
    return (set & (TRUTH_TRUE | TRUTH_OPEN)) != 0 ||
           ((set & TRUTH_FAULT) != 0 && rule->on_fault_defer);
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
        set = rule_truth(&sight, rule);
        if (is_final(rule, modes)) {
            if (may_end(rule, set))
                return;
        } else if (set == TRUTH_TRUE) {
            if (modes[i] == RULE_OBSERVES && fired != NULL)
                fired[i] = 1;
            if (modes[i] == RULE_ENFORCES && headers != NULL)
                headers[i] = 1;
        }
    }
}

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
