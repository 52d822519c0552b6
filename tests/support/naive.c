/* SPDX-License-Identifier: MIT */
#include "naive.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- one test on one value ---- */

static bool is_fault(const struct naive_fact *fact, const char *value)
{
    if (fact->type == 'n')
        return strstr(value, "..") != NULL;
    if (fact->own_fault != NULL && strcmp(value, fact->own_fault) == 0)
        return true;
    return strcmp(value, "!") == 0;
}

static bool texts_equal(const struct naive_fact *fact, const char *a, const char *b)
{
    if (fact->type == 'd' || fact->type == 's')
        return strcasecmp(a, b) == 0;
    return strcmp(a, b) == 0;
}

static bool value_equals(const struct naive_fact *fact, const char *value, const char *operand)
{
    if (fact->type == 'i' && operand[strlen(operand) - 1] == '.')
        return strncmp(value, operand, strlen(operand)) == 0;
    return texts_equal(fact, value, operand);
}

static bool set_has(const struct naive_fact *fact, const char *set, const char *item)
{
    char copy[64];
    char *save, *part;

    strcpy(copy, set);
    for (part = strtok_r(copy, ",", &save); part != NULL; part = strtok_r(NULL, ",", &save)) {
        if (texts_equal(fact, part, item))
            return true;
    }
    return false;
}

static bool number_holds(enum naive_op op, long number, const struct naive_cond *cond)
{
    long bound = atol(cond->operands[0]);
    int i;

    switch (op) {
    case OP_LT:
        return number < bound;
    case OP_LE:
        return number <= bound;
    case OP_GT:
        return number > bound;
    case OP_GE:
        return number >= bound;
    default:
        for (i = 0; i < cond->operand_count; i++) {
            if (number == atol(cond->operands[i]))
                return true;
        }
        return false;
    }
}

/* Tries every number that it may be, of those that can make a difference. */
static char number_test(const struct naive_cond *cond, const char *value)
{
    const char *dots = strstr(value, "..");
    long low = -50;
    long high = 50;
    bool some = false;
    bool all = true;
    bool ordered =
        cond->op != OP_EQ && cond->op != OP_NE && cond->op != OP_IN && cond->op != OP_NOT_IN;
    bool holds;
    long number;

    if (dots == NULL) {
        low = high = atol(value);
    } else {
        if (dots != value)
            low = atol(value);
        if (dots[2] != '\0')
            high = atol(dots + 2);
    }
    if (ordered) {
        bool at_low = number_holds(cond->op, low, cond);
        bool at_high = number_holds(cond->op, high, cond);

        if (at_low != at_high)
            return 'X';
        return at_low ? 'T' : 'F';
    }
    for (number = low; number <= high; number++) {
        holds = number_holds(cond->op, number, cond);
        some = some || holds;
        all = all && holds;
    }
    if (!some)
        return 'F';
    return low == high && all ? 'T' : 'X';
}

static bool names_own_fault(const struct naive_fact *fact, const struct naive_cond *cond)
{
    int i;

    for (i = 0; fact->own_fault != NULL && i < cond->operand_count; i++) {
        if (strcmp(cond->operands[i], fact->own_fault) == 0)
            return true;
    }
    return false;
}

static char negate(char truth)
{
    if (truth == 'T')
        return 'F';
    if (truth == 'F')
        return 'T';
    return truth;
}

static char test(const struct naive_fact *fact, const struct naive_cond *cond, const char *value)
{
    char truth = 'F';
    int i;

    if (fact->type == 'n') {
        truth = number_test(cond, value);
    } else if (is_fault(fact, value)) {
        truth = names_own_fault(fact, cond) ? 'T' : 'X';
    } else if (cond->op == OP_IS) {
        truth = strcmp(value, "yes") == 0 ? 'T' : 'F';
    } else {
        for (i = 0; i < cond->operand_count; i++) {
            if (fact->type == 's' ? set_has(fact, value, cond->operands[i])
                                  : value_equals(fact, value, cond->operands[i]))
                truth = 'T';
        }
    }
    return cond->op == OP_NE || cond->op == OP_NOT_IN ? negate(truth) : truth;
}

/* ---- conditions ---- */

static char eval(const struct naive_case *c, const struct naive_cond *cond, naive_values values,
                 int recipient, int now)
{
    const struct naive_fact *fact;
    bool any_true = false, any_false = false, any_open = false, any_fault = false;
    const char *value;
    int i;

    switch (cond->op) {
    case OP_TRUE:
        return 'T';
    case OP_FALSE:
        return 'F';
    case OP_NOT:
        return negate(eval(c, cond->parts[0], values, recipient, now));
    case OP_AND:
    case OP_OR:
        for (i = 0; i < cond->part_count; i++) {
            char part = eval(c, cond->parts[i], values, recipient, now);

            any_true = any_true || part == 'T';
            any_false = any_false || part == 'F';
            any_open = any_open || part == 'O';
            any_fault = any_fault || part == 'X';
        }
        if (cond->op == OP_AND && any_false)
            return 'F';
        if (cond->op == OP_OR && any_true)
            return 'T';
        if (any_open)
            return 'O';
        if (any_fault)
            return 'X';
        return cond->op == OP_AND ? 'T' : 'F';
    default:
        fact = &c->facts[cond->fact];
        value = values[cond->fact][fact->recipient ? recipient : 0];
        if (value == NULL || fact->stage > now)
            return 'O';
        return test(fact, cond, value);
    }
}

/* ---- rules ---- */

struct naive_outcome naive_decide(const struct naive_case *c, naive_values values, int recipient,
                                  int now)
{
    struct naive_outcome outcome = {.kind = 'N', .rule = -1, .fault_rule = -1};
    int exemption_in_fault = -1;
    int i;

    for (i = 0; i < c->rule_count; i++) {
        const struct naive_rule *rule = &c->rules[i];
        char truth;

        if (rule->over || (c->local_submission && rule->outcome == 'R' && !rule->local))
            continue;
        truth = eval(c, rule->when, values, recipient, now);
        if (rule->observe) {
            if (truth == 'T')
                outcome.observed |= 1U << i;
        } else if (rule->outcome == 'H') {
            if (truth == 'T')
                outcome.headers |= 1U << i;
        } else if (truth == 'O') {
            outcome.kind = 'O';
            return outcome;
        } else if (truth == 'T') {
            outcome.kind = rule->outcome;
            outcome.rule = i;
            if (rule->outcome == 'R' && rule->code >= 500 && exemption_in_fault >= 0) {
                outcome.kind = 'D';
                outcome.fault_rule = exemption_in_fault;
            }
            return outcome;
        } else if (truth == 'X') {
            if (rule->on_fault_defer) {
                outcome.kind = 'D';
                outcome.rule = i;
                outcome.fault_rule = i;
                return outcome;
            }
            if ((rule->outcome == 'A' || rule->outcome == 'Q') && exemption_in_fault < 0)
                exemption_in_fault = i;
        }
    }
    return outcome;
}

char naive_may_say(const struct naive_case *c, int stage)
{
    if (stage == AT_MESSAGE)
        return 'a';
    if (stage == AT_MAIL)
        return c->speak_at_mail ? 'r' : '5';
    /* Postfix would keep a local submission that is refused at RCPT for ever. */
    if (stage == AT_RCPT && !c->local_submission)
        return 'r';
    return '-';
}

bool naive_said(const struct naive_case *c, const struct naive_outcome *outcome, char may_say)
{
    if (may_say == '5')
        return outcome->kind == 'R' && c->rules[outcome->rule].code == 521;
    if (may_say == 'r')
        return outcome->kind == 'R' || outcome->kind == 'D';
    if (may_say == 'a')
        return outcome->kind == 'R' || outcome->kind == 'D' || outcome->kind == 'Q';
    return false;
}

/* ---- certainty ---- */

static bool has_headers(const struct naive_case *c)
{
    int i;

    for (i = 0; i < c->rule_count; i++) {
        if (c->rules[i].outcome == 'H' && !c->rules[i].observe && !c->rules[i].over)
            return true;
    }
    return false;
}

static bool alike(const struct naive_case *c, const struct naive_outcome *a,
                  const struct naive_outcome *b, char may_say)
{
    bool said_a = naive_said(c, a, may_say);
    bool said_b = naive_said(c, b, may_say);
    bool refused = a->kind == 'R' || a->kind == 'D';

    if (said_a != said_b)
        return false;
    if (said_a && (a->kind != b->kind || a->rule != b->rule))
        return false;
    if (may_say == 'a' && has_headers(c) && !refused)
        return a->kind == b->kind && a->rule == b->rule && a->headers == b->headers;
    return true;
}

static bool uses(const struct naive_cond *cond, int fact)
{
    int i;

    if (cond->op >= OP_IS)
        return cond->fact == fact;
    for (i = 0; i < cond->part_count; i++) {
        if (uses(cond->parts[i], fact))
            return true;
    }
    return false;
}

static bool is_used(const struct naive_case *c, int fact)
{
    int i;

    for (i = 0; i < c->rule_count; i++) {
        if (!c->rules[i].over && uses(c->rules[i].when, fact))
            return true;
    }
    return false;
}

int naive_certain(const struct naive_case *c, naive_values values, int recipient, int now,
                  long limit)
{
    const char **pending[NAIVE_FACTS];
    int fact_of[NAIVE_FACTS], chosen[NAIVE_FACTS] = {0};
    struct naive_outcome first = {0};
    naive_values guess;
    char may_say = naive_may_say(c, now);
    bool any = false;
    int count = 0;
    long ways = 1;
    int i;

    memcpy(guess, values, sizeof(guess));
    for (i = 0; i < c->fact_count; i++) {
        int who = c->facts[i].recipient ? recipient : 0;
        int possible = 0;

        if (c->facts[i].stage > now || guess[i][who] != NULL || !is_used(c, i))
            continue;
        pending[count] = &guess[i][who];
        fact_of[count++] = i;
        while (c->facts[i].values[possible] != NULL)
            possible++;
        ways *= possible;
        if (ways > limit)
            return -1;
    }
    for (;;) {
        struct naive_outcome outcome;

        for (i = 0; i < count; i++)
            *pending[i] = c->facts[fact_of[i]].values[chosen[i]];
        outcome = naive_decide(c, guess, recipient, now);
        if (!any)
            first = outcome;
        else if (!alike(c, &first, &outcome, may_say))
            return 0;
        any = true;
        for (i = 0; i < count; i++) {
            if (c->facts[fact_of[i]].values[++chosen[i]] != NULL)
                break;
            chosen[i] = 0;
        }
        if (i == count)
            return 1;
    }
}

/* ---- a transaction ---- */

int naive_rank(const struct naive_case *c, const struct naive_outcome *outcome)
{
    if (outcome->kind == 'Q')
        return 1;
    if (outcome->kind == 'D')
        return 2;
    if (outcome->kind == 'R')
        return c->rules[outcome->rule].code >= 500 ? 3 : 2;
    return 0;
}

static struct naive_event said_at(int stage, int recipient, const struct naive_outcome *outcome)
{
    struct naive_event event = {stage, recipient, outcome->kind, outcome->rule};

    return event;
}

/* The end of the message, for the recipients that were taken. */
static int play_message(const struct naive_case *c, const bool *taken, struct naive_event *event)
{
    struct naive_outcome outcomes[NAIVE_RECIPIENTS], *spoken = NULL;
    char mixed = c->mixed == 'L' && c->local_submission ? 'S' : c->mixed;
    int least = 9, most = -1, wanted;
    naive_values values;
    int i;

    memcpy(values, c->final, sizeof(values));
    for (i = 0; i < c->recipients; i++) {
        if (!taken[i])
            continue;
        outcomes[i] = naive_decide(c, values, i, AT_MESSAGE);
        if (naive_rank(c, &outcomes[i]) < least)
            least = naive_rank(c, &outcomes[i]);
        if (naive_rank(c, &outcomes[i]) > most)
            most = naive_rank(c, &outcomes[i]);
    }
    if (mixed == 'L' && least != most) {
        *event = (struct naive_event){AT_MESSAGE, -1, 'S', -1};
        return 1;
    }
    wanted = mixed == 'l' ? least : most;
    for (i = 0; i < c->recipients; i++) {
        if (taken[i] && naive_rank(c, &outcomes[i]) == wanted &&
            (spoken == NULL || outcomes[i].rule < spoken->rule))
            spoken = &outcomes[i];
    }
    if (!naive_said(c, spoken, 'a'))
        return 0;
    *event = said_at(AT_MESSAGE, -1, spoken);
    return 1;
}

int naive_play(const struct naive_case *c, struct naive_event events[NAIVE_EVENTS])
{
    bool taken[NAIVE_RECIPIENTS] = {false};
    struct naive_outcome outcome;
    naive_values values;
    int count = 0;
    int left = 0;
    int i;

    memcpy(values, c->final, sizeof(values));
    outcome = naive_decide(c, values, 0, AT_MAIL);
    if (naive_said(c, &outcome, naive_may_say(c, AT_MAIL))) {
        events[0] = said_at(AT_MAIL, -1, &outcome);
        return 1;
    }
    for (i = 0; i < c->recipients; i++) {
        outcome = naive_decide(c, values, i, AT_RCPT);
        taken[i] = !naive_said(c, &outcome, naive_may_say(c, AT_RCPT));
        if (taken[i])
            left++;
        else
            events[count++] = said_at(AT_RCPT, i, &outcome);
    }
    if (left > 0)
        count += play_message(c, taken, &events[count]);
    return count;
}
