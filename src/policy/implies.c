/* SPDX-License-Identifier: MIT */
#include "policy_private.h"

#include <string.h>
#include <strings.h>

/*
 * Whether one condition is true wherever another is, as far as their form shows it.
 *
 * Each step holds in both directions: where the lower one is true the upper one is true, and where
 * the upper one is false the lower one is false.  So it may be taken through `not`, and holds with
 * facts that are open or in fault as well.
 */
struct pair {
    const struct layout *layout;
    unsigned *steps;
};

static bool same_text(enum fact_type type, const char *a, const char *b)
{
    return type == FACT_TEXT ? strcmp(a, b) == 0 : strcasecmp(a, b) == 0;
}

/* Whether all values of LOWER are values of UPPER. */
static bool covers(enum fact_type type, const struct operand *upper, const struct operand *lower)
{
    switch (type) {
    case FACT_BOOL:
    case FACT_NUMBER:
    case FACT_WORD:
        return upper->number == lower->number;
    case FACT_IP:
        return upper->net.bits <= lower->net.bits &&
               upper->net.addr.family == lower->net.addr.family &&
               net_contains(&upper->net, &lower->net.addr);
    case FACT_TEXT:
    case FACT_DOMAIN:
    case FACT_LOCAL_PART:
    case FACT_ADDRESS:
    case FACT_SET:
        return same_text(type, upper->text, lower->text);
    case FACT_ROWS:
        break;
    }
    return false;
}

static bool covers_all(struct pair *pair, enum fact_type type, const struct cond *upper,
                       const struct cond *lower)
{
    for (size_t i = 0; i < lower->operand_count; i++) {
        size_t j = 0;
        while (j < upper->operand_count &&
               !covers(type, &upper->operands[j], &lower->operands[i])) {
            if (*pair->steps == 0)
                return false;
            --*pair->steps;
            j++;
        }
        if (j == upper->operand_count)
            return false;
    }
    return true;
}

/* The numbers for which the test is true, where they have no gap; both ends belong to them. */
static bool range_of(const struct cond *test, int64_t *low, int64_t *high)
{
    int64_t number = test->operand_count == 1 ? test->operands[0].number : 0;

    *low = INT64_MIN;
    *high = INT64_MAX;
    if (test->operand_count != 1)
        return false;
    if (test->test == TEST_GE || test->test == TEST_EQ || test->test == TEST_IN)
        *low = number;
    else if (test->test == TEST_GT)
        *low = number < INT64_MAX ? number + 1 : number;
    if (test->test == TEST_LE || test->test == TEST_EQ || test->test == TEST_IN)
        *high = number;
    else if (test->test == TEST_LT)
        *high = number > INT64_MIN ? number - 1 : number;
    return true;
}

static bool is_among(enum test_kind test)
{
    return test == TEST_EQ || test == TEST_IN;
}

static bool test_implies(struct pair *pair, const struct cond *lower, const struct cond *upper)
{
    enum fact_type type = (enum fact_type)pair->layout->slots[upper->slot].type;
    int64_t low, high, lowest, highest;

    if (lower->slot != upper->slot)
        return false;
    if (upper->test == TEST_TRUE || lower->test == TEST_TRUE)
        return upper->test == lower->test;
    if ((is_among(upper->test) && is_among(lower->test)) ||
        (upper->test == TEST_HAS && lower->test == TEST_HAS))
        return covers_all(pair, type, upper, lower);
    return type == FACT_NUMBER && range_of(upper, &lowest, &highest) &&
           range_of(lower, &low, &high) && lowest <= low && high <= highest;
}

static bool implies(struct pair *pair, const struct cond *lower, const struct cond *upper);

static bool any_part(struct pair *pair, const struct cond *lower, const struct cond *upper,
                     bool parts_of_upper)
{
    const struct cond *whole = parts_of_upper ? upper : lower;

    for (size_t i = 0; i < whole->part_count; i++)
        if (implies(pair, parts_of_upper ? lower : whole->parts[i],
                    parts_of_upper ? whole->parts[i] : upper))
            return true;
    return false;
}

static bool all_parts(struct pair *pair, const struct cond *lower, const struct cond *upper,
                      bool parts_of_upper)
{
    const struct cond *whole = parts_of_upper ? upper : lower;

    for (size_t i = 0; i < whole->part_count; i++)
        if (!implies(pair, parts_of_upper ? lower : whole->parts[i],
                     parts_of_upper ? whole->parts[i] : upper))
            return false;
    return true;
}

static bool implies(struct pair *pair, const struct cond *lower, const struct cond *upper)
{
    if (*pair->steps == 0)
        return false;
    --*pair->steps;
    if (upper->kind == COND_TRUE || lower->kind == COND_FALSE)
        return true;
    if (lower->kind == COND_OR)
        return all_parts(pair, lower, upper, false);
    if (upper->kind == COND_AND)
        return all_parts(pair, lower, upper, true);
    if (lower->kind == COND_TEST && upper->kind == COND_TEST)
        return test_implies(pair, lower, upper);
    if (lower->kind == COND_NOT && upper->kind == COND_NOT)
        return implies(pair, upper->parts[0], lower->parts[0]);
    return (lower->kind == COND_AND && any_part(pair, lower, upper, false)) ||
           (upper->kind == COND_OR && any_part(pair, lower, upper, true));
}

bool cond_implies(const struct layout *layout, const struct cond *lower, const struct cond *upper,
                  unsigned *steps)
{
    struct pair pair = {layout, steps};

    return implies(&pair, lower, upper);
}
