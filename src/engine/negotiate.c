/* SPDX-License-Identifier: MIT */
#include "engine_private.h"

#include <string.h>

/*
 * What the MTA is asked for, compiled from the policy: the stages that are sent, those that are
 * replied to, what of a message is sent, the macros, the changes.
 */

/* ---- what is looked for ---- */

/* What looking for a fact takes. */
static void need_fact(struct wiring *wiring, slot_t slot)
{
    slot_t root = wiring->root_of[slot];
    const struct slot *fact = &wiring->layout->slots[root];
    uint32_t probe = wiring->probe_of[root];
    struct wired_probe *wired = probe != NOBODY ? &wiring->probes[probe] : NULL;

    if (fact->stage == STAGE_DATA)
        wiring->needs.stages[STAGE_DATA] = ASKED_SILENT;
    if (wiring->derived_of[root] != NOBODY) {
        wiring->needs.headers = true;
    } else if (strcmp(fact->name, "received.count") == 0) {
        wiring->needs.headers = true;
    } else if (strcmp(fact->name, "message.size") == 0) {
        wiring->sizes = wiring->needs.headers = wiring->needs.body = true;
    } else if (wired != NULL && wired->used && !wired->wanted) {
        wired->wanted = true;
        if (wired->stream != NOBODY) {
            wiring->needs.headers = true;
            wiring->needs.body |= wiring->streams[wired->stream].stream->body;
        }
        for (size_t i = 0; i < wired->behind_count; i++)
            need_fact(wiring, wired->behind[i]);
    }
}

static bool has_ended(const struct rule *rule, int32_t today)
{
    return rule->until != 0 && rule->until < today;
}

static void need_facts(struct wiring *wiring, int32_t today)
{
    const struct policy *policy = wiring->policy;

    for (size_t i = 0; i < policy->rule_count; i++) {
        const struct rule *rule = &policy->rules[i];
        for (size_t j = 0; j < rule->slot_count && !has_ended(rule, today); j++)
            need_fact(wiring, rule->slots[j]);
    }
    for (size_t i = 0; i < wiring->text_count; i++) {
        const struct rule *rule = &policy->rules[wiring->texts[i].rule];
        for (size_t j = 0; j < wiring->texts[i].count && !rule->observe && !has_ended(rule, today);
             j++)
            need_fact(wiring, wiring->texts[i].slots[j]);
    }
    for (size_t i = 0; i < wiring->shown_count; i++)
        need_fact(wiring, wiring->shown_slots[i]);
}

/* ---- where a verdict can fall ---- */

/* Whether the rule can speak when all facts up to STAGE are known, whatever they are. */
static bool rule_speaks(const struct policy *policy, const struct rule *rule, enum stage stage)
{
    static const struct view nothing_known;
    unsigned truths = decide_condition(policy->layout, rule->when, &nothing_known, stage);
    bool replies = rule->outcome == OUTCOME_REPLY && (truths & TRUTH_TRUE) != 0;

    if (stage == STAGE_MAIL && policy->speak_at != STAGE_MAIL)
        return replies && rule->code == 521;
    return replies || (rule->on_fault_defer && (truths & TRUTH_FAULT) != 0);
}

static bool can_speak(const struct policy *policy, enum stage stage, int32_t today)
{
    for (size_t i = 0; i < policy->rule_count; i++) {
        const struct rule *rule = &policy->rules[i];
        if (!rule->observe && !has_ended(rule, today) && rule_speaks(policy, rule, stage))
            return true;
    }
    return false;
}

/* Recipients whose policies differ may be split at RCPT. */
static bool tells_recipients_apart(const struct policy *policy, int32_t today)
{
    for (size_t i = 0; i < policy->rule_count; i++)
        if (policy->rules[i].uses_recipient && !has_ended(&policy->rules[i], today))
            return true;
    return false;
}

/* Whether lookups begin at a stage from FROM to TO. */
static bool starts_lookups(const struct wiring *wiring, enum stage from, enum stage to)
{
    for (size_t i = 0; i < wiring->probe_count; i++) {
        const struct wired_probe *wired = &wiring->probes[i];
        if (wired->wanted && !wired->probe->instant && wired->probe->stage >= from &&
            wired->probe->stage <= to)
            return true;
    }
    return false;
}

static enum asked reply_if(bool needed)
{
    return needed ? ASKED_REPLY : ASKED_SILENT;
}

/* Postfix keeps what needs no reply in its buffer until something does: where lookups begin, a
 * reply is asked for although it says nothing, so that they have a head start.  Those of HELO begin
 * with MAIL, which follows at once.  Records name the client, HELO, sender and recipients whatever
 * the policy is, so that these stages are always sent. */
static void need_stages(struct wiring *wiring, int32_t today)
{
    const struct policy *policy = wiring->policy;
    enum asked *stages = wiring->needs.stages;

    stages[STAGE_CONNECT] = reply_if(starts_lookups(wiring, STAGE_CONNECT, STAGE_CONNECT));
    stages[STAGE_HELO] = ASKED_SILENT;
    stages[STAGE_MAIL] = reply_if(can_speak(policy, STAGE_MAIL, today) ||
                                  starts_lookups(wiring, STAGE_HELO, STAGE_MAIL));
    stages[STAGE_RCPT] =
        reply_if(can_speak(policy, STAGE_RCPT, today) || tells_recipients_apart(policy, today));
    stages[STAGE_MESSAGE] = ASKED_REPLY;
}

/* ---- macros ---- */

static bool is_wanted(const struct wiring *wiring, const char *fact)
{
    slot_t slot = layout_find(wiring->layout, fact);

    return slot != SLOT_NONE && wiring->probe_of[slot] != NOBODY &&
           wiring->probes[wiring->probe_of[slot]].wanted;
}

/* A list takes the place of the MTA's own, so that all that is used must be named. */
static void need_macros(struct wiring *wiring, int32_t today)
{
    const char **macros = wiring->needs.macros;

    for (int stage = 0; stage < STAGE_COUNT; stage++)
        macros[stage] = "";
    macros[STAGE_CONNECT] = arena_printf(wiring->arena, "%s{daemon_name}%s",
                                         wiring->config->hostname[0] == '\0' ? "j " : "",
                                         is_wanted(wiring, "client.ptr") ? " {client_ptr}" : "");
    /* The queue's id is for records of verdicts; Postfix has none before the first recipient. */
    macros[STAGE_MAIL] = can_speak(wiring->policy, STAGE_MAIL, today)
                             ? "i {mail_addr} {auth_authen} {auth_type} {tls_version}"
                             : "{mail_addr} {auth_authen} {auth_type} {tls_version}";
    macros[STAGE_RCPT] = "i {rcpt_mailer} {rcpt_host} {rcpt_addr}";
    macros[STAGE_MESSAGE] = "i";
}

/* ---- all ---- */

void wire_needs(struct wiring *wiring)
{
    const struct policy *policy = wiring->policy;
    int32_t today = clock_day(clock_wall());

    for (size_t i = 0; i < policy->rule_count; i++)
        wiring->needs.holds |= policy->rules[i].outcome == OUTCOME_QUARANTINE &&
                               !policy->rules[i].observe && !has_ended(&policy->rules[i], today);
    need_facts(wiring, today);
    need_stages(wiring, today);
    need_macros(wiring, today);
    /* Fields that rules add replace those of the same name, which are counted as they pass by. */
    wiring->needs.changes = policy->has_headers || wiring->results != NULL || wiring->removes;
    wiring->needs.headers |= policy->has_headers;
}

struct engine_needs engine_needs(const struct engine_session *session)
{
    struct engine_needs needs = session->wiring->needs;

    if (session->engine->options.everything)
        needs.headers = needs.body = true;
    return needs;
}

struct engine_needs engine_needs_of(struct config *config, struct arena *arena)
{
    struct wiring *wiring = wiring_new(config);
    struct engine_needs needs = wiring->needs;

    for (int stage = 0; stage < STAGE_COUNT; stage++)
        needs.macros[stage] = arena_strdup(arena, needs.macros[stage]);
    wiring_unref(wiring);
    return needs;
}
