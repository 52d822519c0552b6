/* SPDX-License-Identifier: MIT */
#include "engine_private.h"

#include <string.h>

#include <postern/log.h>

/*
 * Deciding a stage: the outcome that all facts of the stages so far give, as soon as what is still
 * pending cannot change it.
 */

bool stage_may_split(const struct engine_session *session)
{
    return !session->inputs.local && session->inputs.auth_user[0] == '\0';
}

/* A local submission is never refused at RCPT, where Postfix would keep it in its queue for ever,
 * and at MAIL nothing is known that is not known at the end of the message. */
enum speak stage_speak(const struct engine_session *session, enum stage stage)
{
    const struct policy *policy = session->wiring->policy;

    if (stage == STAGE_MESSAGE)
        return SPEAK_ALL;
    if (session->inputs.local)
        return SPEAK_NOTHING;
    if (stage == STAGE_RCPT || (stage == STAGE_MAIL && policy->speak_at == STAGE_MAIL))
        return SPEAK_REPLIES;
    return stage == STAGE_MAIL && policy->has_521 ? SPEAK_521 : SPEAK_NOTHING;
}

unsigned stage_budget(const struct engine_session *session, enum stage stage)
{
    const struct budget_block *budget = session->wiring->config->budget;

    if (stage <= STAGE_MAIL)
        return (unsigned)budget->mail;
    return (unsigned)(stage == STAGE_RCPT ? budget->rcpt : budget->message);
}

/* ---- when time is up ---- */

static struct verdict decide_now(const struct engine_session *session,
                                 const struct recipient *recipient)
{
    const struct view view = session_view(session, recipient);
    enum stage stage = session->wait.stage;

    return decide(session->wiring->policy, &view, session->modes, stage,
                  stage_speak(session, stage));
}

/* Ends lookups in the order of the rules that wait for them, only as many as it takes: what matters
 * not before a later stage may go on. */
static bool expire_for(struct engine_session *session, struct recipient *recipient)
{
    const struct wiring *wiring = session->wiring;
    bool expired = false;

    if (decide_now(session, recipient).certain)
        return false;
    session_mark_waited(session, recipient, session->wait.stage);
    for (size_t i = 0; i < wiring->policy->rule_count; i++) {
        const struct rule *rule = &wiring->policy->rules[i];
        if (session->modes[i] != RULE_ENFORCES)
            continue;
        for (size_t j = 0; j < rule->slot_count; j++) {
            slot_t slot = rule->slots[j];
            if (!session->needed[slot] || !session_expire(session, recipient, slot))
                continue;
            expired = true;
            /* Derived facts follow their subjects. */
            while (run_ready(session) || session_fetch(session, recipient, slot))
                continue;
            if (decide_now(session, recipient).certain)
                return true;
        }
    }
    return expired;
}

static bool expire_waited(struct engine_session *session)
{
    bool expired = false;

    if (session->wait.stage != STAGE_MESSAGE)
        return expire_for(session, session->wait.stage == STAGE_RCPT ? session->tx.last : NULL);
    for (struct recipient *r = session->tx.taken; r != NULL; r = r->next)
        expired |= !r->decided && expire_for(session, r);
    return expired;
}

void stage_expire(struct engine_session *session)
{
    /* What ends may let others begin. */
    if (session->engine->options.everything)
        while (session_expire_all(session))
            session_advance(session);
    else if (session->tx.open && !session->tx.over)
        expire_waited(session);
}

bool stage_give_up(struct engine_session *session, struct verdict *verdict)
{
    /* When nothing is under way any more, nothing can come of waiting. */
    if (!session->wait.expired && session->going > 0)
        return false;
    session->wait.expired = true;
    if (expire_waited(session))
        return false;
    if (session_expire_all(session))
        return false;
    log_error("transaction %s: no outcome at %s although all facts are known", session->tx.id,
              stage_name(session->wait.stage));
    *verdict =
        (struct verdict){.certain = true, .kind = VERDICT_FAULT, .rule = -1, .fault_rule = -1};
    return true;
}

/* ---- replies ---- */

struct template_values stage_texts(struct engine_session *session, const struct view *view,
                                   const char *rule)
{
    const struct config *config = session->wiring->config;

    return (struct template_values){
        .layout = session->wiring->layout,
        .view = view,
        .id = session->tx.id,
        .hostname = config->hostname[0] != '\0' ? config->hostname : session->mta_hostname,
        .help = config->help_url,
        .rule = rule,
    };
}

bool stage_slots_known(struct engine_session *session, struct recipient *recipient,
                       const slot_t *slots, size_t count)
{
    bool known = true;

    for (size_t i = 0; i < count; i++) {
        if (session->wait.expired)
            session_expire(session, recipient, slots[i]);
        else if (session_fetch(session, recipient, slots[i]))
            known = false;
        else
            known &= !session_pending(session, recipient, slots[i]);
    }
    return known;
}

bool stage_texts_known(struct engine_session *session, struct recipient *recipient,
                       const struct rule *rule)
{
    const slot_t *slots;
    size_t count = template_slots(rule->compiled, &slots);

    return stage_slots_known(session, recipient, slots, count);
}

const struct reply *stage_reply(struct engine_session *session, const struct recipient *recipient,
                                const struct verdict *verdict)
{
    const struct view view = session_view(session, recipient);
    struct arena *arena = session->speech;
    struct template_values values;
    const struct rule *rule;

    if (verdict->kind != VERDICT_REPLY)
        return own_reply(arena, OWN_FAULT, session->tx.id);
    rule = &session->wiring->policy->rules[verdict->rule];
    values = stage_texts(session, &view, rule->name);
    return reply_new(arena, rule->code, rule->enhanced,
                     template_expand(arena, rule->compiled, &values),
                     template_shows_id(rule->compiled) ? NULL : session->tx.id);
}

/* ---- MAIL and RCPT ---- */

/* The reply of a stage that speaks, with its record. */
static void say(struct engine_session *session, const struct recipient *recipient,
                const struct reply *reply, struct record_what *what)
{
    const struct policy *policy = session->wiring->policy;
    const struct view view = session_view(session, recipient);
    uint8_t *fired = arena_alloc(session->speech, policy->rule_count);

    decide_marks(policy, &view, session->modes, session->wait.stage, fired, NULL);
    session->action.kind = session->observe ? ACTION_CONTINUE : ACTION_REPLY;
    session->action.observed = session->observe;
    session->action.reply = reply;
    session->action.rule = what->rule;
    session->action.fired = fired;
    what->verdict = reply->code >= 500 ? "reject" : "defer";
    what->stage = session->wait.stage;
    what->reply = reply_oneline(session->speech, reply);
    what->recipients = recipient;
    what->one = true;
    what->observed = fired;
    record_add(session, what);
}

void stage_name_rule(const struct policy *policy, const struct verdict *verdict,
                     struct record_what *what)
{
    what->rule = "";
    if (verdict->rule >= 0) {
        what->at = &policy->rules[verdict->rule];
        what->rule = what->at->name;
    }
    if (verdict->kind == VERDICT_FAULT) {
        int fault = verdict->fault_rule >= 0 ? verdict->fault_rule : verdict->rule;
        what->rule = own_rule(OWN_FAULT);
        what->fault = fault >= 0 ? policy->rules[fault].name : NULL;
    }
}

/* Whether recipient facts that a later decision needs are still on their way. */
static bool recipient_pending(struct engine_session *session, const struct recipient *recipient)
{
    const struct wiring *wiring = session->wiring;

    session_mark_waited(session, recipient, STAGE_RCPT);
    for (slot_t slot = 0; slot < wiring->layout->count; slot++)
        if (session->needed[slot] && wiring->layout->slots[slot].scope == SCOPE_RECIPIENT &&
            session_pending(session, recipient, slot))
            return true;
    return false;
}

/* Whether the recipient is to be sent in a transaction of its own. */
static bool splits_off(struct engine_session *session, const struct recipient *recipient)
{
    const struct transaction *tx = &session->tx;
    struct view first, view;

    if (!tx->split || tx->taken == NULL || session->splits >= SPLITS_MAX)
        return false;
    first = session_view(session, tx->taken);
    view = session_view(session, recipient);
    if (decide_same_policy(session->wiring->policy, &first, &view, session->modes, STAGE_RCPT))
        return false;
    session->splits++;
    return true;
}

static bool refuse_recipient(struct engine_session *session, struct recipient *recipient,
                             enum own_reply which)
{
    struct record_what what = {.rule = own_rule(which)};

    say(session, recipient, own_reply(session->speech, which, session->tx.id), &what);
    return true;
}

/* One more recipient than there is room for.  Where no reply is heard at RCPT, because no rule
 * tells recipients apart, or where none may be given, the others speak for it. */
static bool crowd_out(struct engine_session *session, struct recipient *recipient)
{
    if (session->wiring->needs.stages[STAGE_RCPT] == ASKED_REPLY && !session->inputs.local)
        return refuse_recipient(session, recipient, OWN_BUSY);
    recipient->refused = true;
    return true;
}

static bool settle_recipient(struct engine_session *session, struct recipient *recipient)
{
    if (session->tx.split && !session->wait.expired && recipient_pending(session, recipient) &&
        session->going > 0)
        return false;
    if (splits_off(session, recipient))
        return refuse_recipient(session, recipient, OWN_SPLIT_RECIPIENT);
    session_take_last(session);
    return true;
}

static bool settle_command(struct engine_session *session, struct recipient *recipient)
{
    const struct policy *policy = session->wiring->policy;
    struct verdict verdict = decide_now(session, recipient);
    struct record_what what = {0};

    if (!verdict.certain && !stage_give_up(session, &verdict))
        return false;
    session->action.verdict = verdict;
    if (!verdict_speaks(policy, &verdict, stage_speak(session, session->wait.stage)))
        return recipient == NULL || settle_recipient(session, recipient);
    if (verdict.kind == VERDICT_REPLY &&
        !stage_texts_known(session, recipient, &policy->rules[verdict.rule]))
        return false;
    stage_name_rule(policy, &verdict, &what);
    say(session, recipient, stage_reply(session, recipient, &verdict), &what);
    return true;
}

/* What was refused, or would have been, is over: its lookups are dropped. */
static void after_command(struct engine_session *session, struct recipient *recipient)
{
    if (session->action.kind == ACTION_CONTINUE && !session->action.observed)
        return;
    if (recipient == NULL) {
        session->tx.over = true;
        span_cancel(&session->spans[SPAN_TRANSACTION]);
    } else {
        recipient->refused = true;
        session->tx.refused_count++;
        span_cancel(&recipient->span);
    }
}

bool stage_settle(struct engine_session *session)
{
    struct transaction *tx = &session->tx;
    enum stage stage = session->wait.stage;
    struct recipient *recipient = stage == STAGE_RCPT ? tx->last : NULL;
    bool settled;

    session->action = (struct action){.kind = ACTION_CONTINUE,
                                      .verdict = {.certain = true, .rule = -1, .fault_rule = -1},
                                      .rule = ""};
    if (session->engine->options.everything && !session->wait.expired && session->going > 0)
        return false;
    if (!tx->open || tx->over || (stage == STAGE_RCPT && (recipient == NULL || recipient->taken)))
        return true;
    if (stage == STAGE_MESSAGE)
        return stage_settle_message(session);
    if (recipient != NULL && tx->taken_count >= RECIPIENTS_MAX)
        settled = crowd_out(session, recipient);
    else if (stage_speak(session, stage) == SPEAK_NOTHING)
        settled = true;
    else
        settled = settle_command(session, recipient);
    if (settled)
        after_command(session, recipient);
    return settled;
}
