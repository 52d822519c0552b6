/* SPDX-License-Identifier: MIT */
#include "random_policy.h"

#include <assert.h>
#include <string.h>

const struct naive_fact random_facts[RANDOM_FACTS] = {
    {"client.local", 'b', AT_CONNECT, false, NULL, {"yes", "no", "!"}},
    {"dnsbl.score",
     'n',
     AT_CONNECT,
     false,
     NULL,
     {"0", "1", "2", "3", "4", "5", "0..3", "3..4", "2..", ".."}},
    {"client.name", 'd', AT_CONNECT, false, NULL, {"", "a.example", "b.example", "c.example", "!"}},
    {"client.ip",
     'i',
     AT_CONNECT,
     false,
     NULL,
     {"192.0.2.1", "192.0.2.9", "198.51.100.1", "203.0.113.5", "!"}},
    {"client.ip in trusted", 'b', AT_CONNECT, false, NULL, {"yes", "no", "!"}},
    {"helo", 't', AT_HELO, false, NULL, {"", "x", "X", "y", "z", "!"}},
    {"helo.kind", 'w', AT_HELO, false, NULL, {"name", "literal", "bare", "invalid", "!"}},
    {"spf.result", 'w', AT_MAIL, false, "temperror", {"none", "pass", "fail", "temperror"}},
    {"sender.domain", 'd', AT_MAIL, false, NULL, {"", "a.example", "b.example", "c.example", "!"}},
    {"lookup(users, sender)", 't', AT_MAIL, false, NULL, {"", "x", "X", "y", "z", "!"}},
    {"rcpt.status",
     'w',
     AT_RCPT,
     true,
     "unavailable",
     {"known", "unknown", "moved", "unavailable"}},
    {"rcpt.domain", 'd', AT_RCPT, true, NULL, {"", "a.example", "b.example", "c.example", "!"}},
    {"rcpt in users", 'b', AT_RCPT, true, NULL, {"yes", "no", "!"}},
    {"dmarc.result", 'w', AT_MESSAGE, false, "temperror", {"none", "pass", "fail", "temperror"}},
    {"dkim.domains",
     's',
     AT_MESSAGE,
     false,
     NULL,
     {"", "a.example", "b.example", "A.example,c.example", "!"}},
    {"message.size",
     'n',
     AT_MESSAGE,
     false,
     NULL,
     {"0", "1", "2", "3", "4", "5", "1..2", "2..5", "..2", ".."}},
    {"header('subject') matches 'x'", 'b', AT_MESSAGE, false, NULL, {"yes", "no", "!"}},
};

/* ---- chance ---- */

static uint64_t random_next(struct random_policy *policy)
{
    uint64_t z = policy->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

int random_below(struct random_policy *policy, int limit)
{
    return (int)(random_next(policy) % (uint64_t)limit);
}

bool random_chance(struct random_policy *policy, int percent)
{
    return random_below(policy, 100) < percent;
}

/* ---- conditions ---- */

static struct naive_cond *new_part(struct random_policy *policy, enum naive_op op)
{
    struct naive_cond *cond = &policy->parts[policy->part_count++];

    assert(policy->part_count < RANDOM_PARTS);
    memset(cond, 0, sizeof(*cond));
    cond->op = op;
    return cond;
}

static void choose_operands(struct random_policy *policy, struct naive_cond *cond, int count)
{
    static const char *const numbers[] = {"1", "2", "3", "4"};
    static const char *const texts[] = {"x", "X", "y"};
    static const char *const domains[] = {"a.example", "B.example", "c.Example"};
    static const char *const nets[] = {"192.0.2.1", "192.0.2.", "198.51.100.1"};
    const struct naive_fact *fact = &random_facts[cond->fact];
    bool one = cond->op == OP_EQ || cond->op == OP_NE;
    int i;

    cond->operand_count = count;
    for (i = 0; i < count; i++) {
        switch (fact->type) {
        case 'n':
            cond->operands[i] = numbers[random_below(policy, 4)];
            break;
        case 't':
            cond->operands[i] = texts[random_below(policy, 3)];
            break;
        case 'i':
            cond->operands[i] = nets[one ? 0 : random_below(policy, 3)];
            break;
        case 'w':
            cond->operands[i] = fact->values[random_below(policy, 4)];
            if (strcmp(cond->operands[i], "!") == 0)
                i--;
            break;
        default:
            cond->operands[i] = domains[random_below(policy, 3)];
            break;
        }
    }
}

static int choose_fact(struct random_policy *policy)
{
    int tries;

    for (tries = 0; tries < 40; tries++) {
        int fact = random_below(policy, RANDOM_FACTS);

        if (policy->once && policy->used[fact])
            continue;
        policy->used[fact] = true;
        return fact;
    }
    return -1;
}

static struct naive_cond *random_test(struct random_policy *policy)
{
    static const enum naive_op of_numbers[] = {OP_EQ, OP_NE, OP_LT, OP_LE,
                                               OP_GT, OP_GE, OP_IN, OP_NOT_IN};
    static const enum naive_op of_texts[] = {OP_EQ, OP_NE, OP_IN, OP_NOT_IN};
    static const enum naive_op of_sets[] = {OP_HAS, OP_IN, OP_NOT_IN};
    int fact = choose_fact(policy);
    struct naive_cond *cond = new_part(policy, OP_TRUE);
    int i;

    if (fact < 0)
        return cond;
    cond->fact = fact;
    switch (random_facts[fact].type) {
    case 'b':
        cond->op = OP_IS;
        return cond;
    case 'n':
        cond->op = of_numbers[random_below(policy, 8)];
        break;
    case 's':
        cond->op = of_sets[random_below(policy, 3)];
        break;
    default:
        cond->op = of_texts[random_below(policy, 4)];
        break;
    }
    choose_operands(policy, cond,
                    cond->op == OP_IN || cond->op == OP_NOT_IN ? 1 + random_below(policy, 2) : 1);
    for (i = 0; i < cond->operand_count; i++) {
        if (random_facts[fact].own_fault != NULL &&
            strcmp(cond->operands[i], random_facts[fact].own_fault) == 0)
            policy->own_fault = true;
    }
    return cond;
}

static struct naive_cond *random_cond(struct random_policy *policy, int depth)
{
    struct naive_cond *cond;
    int i;

    if (depth == 0 || random_chance(policy, 45))
        return random_chance(policy, 3)
                   ? new_part(policy, random_chance(policy, 50) ? OP_TRUE : OP_FALSE)
                   : random_test(policy);
    if (random_chance(policy, 15)) {
        cond = new_part(policy, OP_NOT);
        cond->part_count = 1;
    } else {
        cond = new_part(policy, random_chance(policy, 50) ? OP_AND : OP_OR);
        cond->part_count = 2 + random_below(policy, 2);
    }
    for (i = 0; i < cond->part_count; i++)
        cond->parts[i] = random_cond(policy, depth - 1);
    return cond;
}

/* ---- as text ---- */

static void write_operand(struct str *out, const struct naive_cond *cond, int i)
{
    const char *operand = cond->operands[i];

    str_add(out, operand);
    if (random_facts[cond->fact].type == 'i' && operand[strlen(operand) - 1] == '.')
        str_add(out, "0/24");
}

static void write_test(struct str *out, const struct naive_cond *cond)
{
    static const char *const signs[] = {[OP_EQ] = "==", [OP_NE] = "!=", [OP_LT] = "<",
                                        [OP_LE] = "<=", [OP_GT] = ">",  [OP_GE] = ">="};
    const char *name = random_facts[cond->fact].name;
    int i;

    if (cond->op == OP_IS) {
        str_add(out, name);
    } else if (cond->op == OP_HAS) {
        str_add_format(out, "\"%s\" in %s", cond->operands[0], name);
    } else if (cond->op == OP_IN || cond->op == OP_NOT_IN) {
        str_add_format(out, "%s%s in { ", name, cond->op == OP_IN ? "" : " not");
        for (i = 0; i < cond->operand_count; i++) {
            str_add(out, i != 0 ? ", " : "");
            write_operand(out, cond, i);
        }
        str_add(out, " }");
    } else {
        str_add_format(out, "%s %s ", name, signs[cond->op]);
        write_operand(out, cond, 0);
    }
}

static void write_cond(struct random_policy *policy, struct str *out, const struct naive_cond *cond)
{
    struct str inner = {NULL, 0, 0};
    int i;

    if (cond->op == OP_TRUE || cond->op == OP_FALSE) {
        str_add(out, cond->op == OP_TRUE ? "true" : "false");
        return;
    }
    if (cond->op >= OP_IS) {
        write_test(out, cond);
        return;
    }
    if (cond->op == OP_NOT)
        str_add(&inner, "not ");
    for (i = 0; i < cond->part_count; i++) {
        if (i != 0)
            str_add(&inner, cond->op == OP_AND ? " and " : " or ");
        /* `and` binds more tightly than `or`, `not` than both. */
        enum naive_op op = cond->parts[i]->op;
        bool bare = op >= OP_IS || (op == OP_NOT && random_chance(policy, 50)) ||
                    (op == OP_AND && cond->op == OP_OR && random_chance(policy, 50));
        str_add(&inner, bare ? "" : "(");
        write_cond(policy, &inner, cond->parts[i]);
        str_add(&inner, bare ? "" : ")");
    }
    if (random_chance(policy, 10) && cond->op != OP_NOT) {
        str_add_format(&policy->text, "condition c%d { %s }\n", policy->named, str_text(&inner));
        str_add_format(out, "(c%d)", policy->named++);
    } else {
        str_add(out, str_text(&inner));
    }
    str_free(&inner);
}

static void write_rule(struct random_policy *policy, int number)
{
    const struct naive_rule *rule = &policy->naive.rules[number];
    struct str *out = &policy->rules;

    str_add_format(out, "rule r%d { when ", number);
    write_cond(policy, out, rule->when);
    if (rule->outcome == 'A')
        str_add(out, "; accept; late;");
    else if (rule->outcome == 'Q')
        str_add(out, "; quarantine \"q\"; late;");
    else if (rule->outcome == 'H')
        str_add(out, "; header \"X-H: h\"; late;");
    else
        str_add_format(out, "; reply %d %d.7.1 \"t\"; late;", rule->code, rule->code / 100);
    str_add_format(out, "%s%s%s%s }\n", rule->observe ? " observe;" : "",
                   rule->local ? " local;" : "", rule->on_fault_defer ? " on_fault defer;" : "",
                   rule->over ? " until 2020-01-01;" : "");
}

/* ---- rules that postern check does not refuse ---- */

static int latest_stage(const struct naive_cond *cond)
{
    int latest = cond->op >= OP_IS ? random_facts[cond->fact].stage : AT_CONNECT;
    int i;

    for (i = 0; i < cond->part_count; i++) {
        int stage = latest_stage(cond->parts[i]);

        latest = stage > latest ? stage : latest;
    }
    return latest;
}

/* A 5xx may not be said because a test names its fact's fault word. */
static bool rests_on_fault(const struct naive_cond *cond, bool negated)
{
    bool flips = cond->op == OP_NOT || cond->op == OP_NE || cond->op == OP_NOT_IN;
    int i;

    for (i = 0; i < cond->operand_count; i++) {
        if (random_facts[cond->fact].own_fault != NULL && negated == flips &&
            strcmp(cond->operands[i], random_facts[cond->fact].own_fault) == 0)
            return true;
    }
    for (i = 0; i < cond->part_count; i++) {
        if (rests_on_fault(cond->parts[i], negated != flips))
            return true;
    }
    return false;
}

/* A final rule that a test of a fault word keeps silent: what is below it may not say 5xx. */
static bool is_silenced_by_fault(const struct naive_rule *rule)
{
    return rule->outcome != 'H' && !rule->observe && !rule->over && rule->code < 500 &&
           rests_on_fault(rule->when, true);
}

static int random_code(struct random_policy *policy, const struct naive_cond *when, bool early)
{
    if (rests_on_fault(when, false) || random_chance(policy, 25))
        return 451;
    return early && latest_stage(when) <= AT_MAIL && random_chance(policy, 40) ? 521 : 550;
}

static struct naive_cond *status_unavailable(struct random_policy *policy)
{
    struct naive_cond *cond = new_part(policy, OP_EQ);

    while (strcmp(random_facts[cond->fact].name, "rcpt.status") != 0)
        cond->fact++;
    if (policy->used[cond->fact])
        policy->once = false;
    cond->operands[0] = "unavailable";
    cond->operand_count = 1;
    return cond;
}

static void random_rules(struct random_policy *policy)
{
    struct naive_case *naive = &policy->naive;
    int count = 1 + random_below(policy, 7);
    bool early = true, silenced = false;
    int i;

    for (i = 0; i < count; i++) {
        struct naive_rule *rule = &naive->rules[naive->rule_count++];

        rule->when = random_cond(policy, 1 + random_below(policy, 3));
        rule->outcome = "RRRRRRAAAQHH"[random_below(policy, 12)];
        rule->observe = random_chance(policy, 12);
        rule->local = random_chance(policy, 25);
        rule->over = random_chance(policy, 4);
        rule->on_fault_defer = rule->outcome != 'H' && random_chance(policy, 20);
        if (rule->outcome == 'R')
            rule->code = silenced ? 451 : random_code(policy, rule->when, early);
        if (is_silenced_by_fault(rule))
            silenced = true;
        if (rule->outcome != 'H' && latest_stage(rule->when) > AT_MAIL)
            early = false;
    }
    for (i = 0; i < RANDOM_FACTS; i++) {
        if (policy->used[i] && strcmp(random_facts[i].name, "rcpt.status") == 0) {
            naive->rules[naive->rule_count++] = (struct naive_rule){
                .when = status_unavailable(policy), .outcome = 'R', .code = 451};
            break;
        }
    }
    for (i = 0; i < naive->rule_count; i++)
        write_rule(policy, i);
    str_add(&policy->text, str_text(&policy->rules));
}

void random_policy_make(struct random_policy *policy, uint64_t seed)
{
    struct naive_case *naive = &policy->naive;
    int i, j;

    random_policy_free(policy);
    policy->state = seed;
    policy->once = random_chance(policy, 40);
    naive->facts = random_facts;
    naive->fact_count = RANDOM_FACTS;
    naive->speak_at_mail = random_chance(policy, 40);
    naive->mixed = "LSl"[random_below(policy, 3)];
    naive->local_submission = random_chance(policy, 15);
    naive->recipients = 1 + random_below(policy, NAIVE_RECIPIENTS);
    for (i = 0; i < RANDOM_FACTS; i++) {
        int count = 0;

        while (random_facts[i].values[count] != NULL)
            count++;
        for (j = 0; j < NAIVE_RECIPIENTS; j++)
            naive->final[i][j] = random_facts[i].values[random_below(policy, count)];
    }
    random_rules(policy);
}

void random_policy_free(struct random_policy *policy)
{
    str_free(&policy->text);
    str_free(&policy->rules);
    memset(policy, 0, sizeof(*policy));
}
