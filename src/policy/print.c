/* SPDX-License-Identifier: MIT */
#include <postern/policy.h>

static void print_outcome(const struct rule *rule, FILE *out)
{
    switch (rule->outcome) {
    case OUTCOME_ACCEPT:
        fputs("accept", out);
        break;
    case OUTCOME_REPLY:
        fprintf(out, "reply %d %d.%d.%d", rule->code, rule->enhanced[0], rule->enhanced[1],
                rule->enhanced[2]);
        break;
    case OUTCOME_QUARANTINE:
        fputs("quarantine", out);
        break;
    case OUTCOME_HEADER:
        fputs("header", out);
        break;
    }
    if (rule->observe)
        fputs(", observes only", out);
    else if (rule->share < 100)
        fprintf(out, ", for %u%% of the mail", rule->share);
    if (rule->until != 0)
        fprintf(out, ", until %04d-%02d-%02d", rule->until / 10000, rule->until / 100 % 100,
                rule->until % 100);
}

static void print_stage(const struct policy *policy, const struct rule *rule, FILE *out)
{
    const struct rule *holder = rule->held_by >= 0 ? &policy->rules[rule->held_by] : NULL;
    const char *verb = "speaks at ";
    size_t named = 0;
    size_t i;

    if (rule->observe || rule->outcome == OUTCOME_ACCEPT)
        verb = "decided by ";
    else if (rule->outcome == OUTCOME_HEADER)
        verb = "added at ";
    fprintf(out, "    %s%s", verb, stage_name(rule->speaks));
    if (holder != NULL) {
        fprintf(out, ", held there by '%s'", holder->name);
    } else if (rule->own_stage == rule->speaks) {
        for (i = 0; i < rule->slot_count; i++) {
            const struct slot *slot = &policy->layout->slots[rule->slots[i]];

            if ((enum stage)slot->stage == rule->own_stage)
                fprintf(out, "%s%s", named++ == 0 ? ", for " : ", ", slot->name);
        }
    }
    fputc('\n', out);
}

void policy_print(const struct policy *policy, FILE *out)
{
    size_t i, j;

    for (i = 0; policy != NULL && i < policy->rule_count; i++) {
        const struct rule *rule = &policy->rules[i];

        fprintf(out, "%s (%s:%u): ", rule->name, rule->file, rule->line);
        print_outcome(rule, out);
        fputc('\n', out);
        print_stage(policy, rule, out);
        fputs("    needs ", out);
        for (j = 0; j < rule->slot_count; j++)
            fprintf(out, "%s%s", j != 0 ? ", " : "", policy->layout->slots[rule->slots[j]].name);
        fputs(rule->slot_count == 0 ? "nothing\n" : "\n", out);
        if (rule->owner != NULL)
            fprintf(out, "    owner %s\n", rule->owner);
        if (rule->note != NULL)
            fprintf(out, "    note %s\n", rule->note);
    }
}
