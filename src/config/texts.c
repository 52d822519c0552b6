/* SPDX-License-Identifier: MIT */
#include "config_private.h"

#include <postern/reply.h>

/* The texts of rules become templates here, since policy knows nothing of replies. */

/* A text may show only what is known where its rule speaks. */
static void check_stages(struct reading *reading, const struct rule *rule,
                         const struct template *tmpl)
{
    const struct layout *layout = reading->all->config.policy->layout;
    const slot_t *slots;
    size_t count = template_slots(tmpl, &slots);
    for (size_t i = 0; i < count; i++) {
        const struct slot *slot = &layout->slots[slots[i]];
        if (slot->stage > (uint8_t)rule->speaks)
            diag_error(reading->diag, &rule->text_at,
                       "rule '%s' speaks at %s, but its text shows %%{%s}, which is known only "
                       "from %s on",
                       rule->name, stage_name(rule->speaks), slot->name,
                       stage_name((enum stage)slot->stage));
    }
}

/* "Name: value" with a name that RFC 5322 2.2 allows. */
static bool header_text_valid(const char *text)
{
    size_t i = 0;
    while (text[i] > 32 && text[i] < 127 && text[i] != ':')
        i++;
    return i > 0 && text[i] == ':';
}

static void compile(struct reading *reading, struct policy *policy, const struct rule *rule)
{
    if (rule->outcome == OUTCOME_ACCEPT)
        return;
    if (rule->outcome == OUTCOME_HEADER && !header_text_valid(rule->text)) {
        diag_error(reading->diag, &rule->text_at,
                   "a header is written \"Name: value\", with a name without blanks");
        return;
    }
    if (rule->outcome != OUTCOME_REPLY && strstr(rule->text, "\\n") != NULL) {
        diag_error(reading->diag, &rule->text_at,
                   "only the text of a reply may have several lines");
        return;
    }
    const struct template *tmpl =
        template_compile(reading->arena, reading->all->config.policy->layout, rule->text,
                         &rule->text_at, reading->diag);
    policy_bind_text(policy, rule->index, tmpl);
    if (tmpl == NULL)
        return;
    check_stages(reading, rule, tmpl);
    if (rule->outcome == OUTCOME_REPLY)
        reply_lint(reading->diag, &rule->text_at, rule->name, rule->code, rule->enhanced,
                   rule->speaks, rule->uses_recipient);
}

void config_compile_texts(struct reading *reading, struct policy *policy)
{
    for (size_t i = 0; i < policy->rule_count; i++)
        compile(reading, policy, &policy->rules[i]);
}
