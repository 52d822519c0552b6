/* SPDX-License-Identifier: MIT */
#include <postern/decide.h>

#include <string.h>

/* What a condition is seen against. */
struct sight {
    const struct layout *layout;
    const struct view *view;
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
    }
    return TRUTH_FAULT;
}

static bool names_own_fault(const struct cond *test, const struct slot *slot)
{
    return slot->type == FACT_WORD && slot->fault_word < slot->word_count &&
           names_number(test, slot->fault_word);
}

static unsigned test_truth(const struct sight *sight, const struct cond *test)
{
    const struct slot *slot = &sight->layout->slots[test->slot];
    const struct value *values = sight->view->scope[slot->scope];
    const struct value *value = values != NULL ? &values[slot->index] : NULL;

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
    const struct sight sight = {layout, view, now};

    return truth(&sight, condition);
}
