/* SPDX-License-Identifier: MIT */
#include "engine_private.h"

#include <string.h>

#include <postern/str.h>

/*
 * The end of the message: one answer for all recipients together.
 */
struct outcome {
    struct verdict *verdicts; /* per recipient, in order */
    struct recipient **recipients;
    size_t count;
    uint8_t *fired, *marked; /* per rule */
    struct recipient *
        *marked_by; /* per rule: the first recipient for whom the header rule is true */
};

static bool decide_one(struct engine_session *session, const struct recipient *recipient,
                       struct verdict *verdict)
{
    const struct view view = session_view(session, recipient);

    *verdict = decide(session->wiring->policy, &view, session->modes, STAGE_MESSAGE, SPEAK_ALL);
    return verdict->certain || stage_give_up(session, verdict);
}

/* What is certain stays so: each attempt goes on where the last one stopped. */
static bool decide_all(struct engine_session *session)
{
    struct transaction *tx = &session->tx;

    for (; tx->undecided != NULL; tx->undecided = tx->undecided->next) {
        if (!decide_one(session, tx->undecided, &tx->undecided->verdict))
            return false;
        tx->undecided->decided = true;
    }
    return true;
}

/* The verdicts side by side. */
static bool collect(struct engine_session *session, struct outcome *outcome)
{
    const struct transaction *tx = &session->tx;
    struct recipient *recipient = tx->taken;

    if (!decide_all(session))
        return false;
    outcome->count = tx->taken_count;
    outcome->verdicts = arena_alloc(session->speech, outcome->count * sizeof(outcome->verdicts[0]));
    outcome->recipients =
        arena_alloc(session->speech, outcome->count * sizeof(outcome->recipients[0]));
    for (size_t i = 0; i < outcome->count; i++, recipient = recipient->next) {
        outcome->verdicts[i] = recipient->verdict;
        outcome->recipients[i] = recipient;
    }
    return true;
}

static bool any(const uint8_t *flags, size_t count)
{
    return count > 0 && memchr(flags, 1, count) != NULL;
}

/* Rules that observe and rules that mark the message, for any of its recipients. */
static void find_marks(struct engine_session *session, struct outcome *outcome)
{
    const struct policy *policy = session->wiring->policy;
    size_t rules = policy->rule_count;
    uint8_t *one = arena_alloc(session->speech, 2 * rules);

    outcome->fired = arena_alloc(session->speech, rules);
    outcome->marked = arena_alloc(session->speech, rules);
    outcome->marked_by = arena_alloc(session->speech, rules * sizeof(outcome->marked_by[0]));
    for (size_t i = 0; i < outcome->count; i++) {
        const struct view view = session_view(session, outcome->recipients[i]);
        memset(one, 0, 2 * rules);
        decide_marks(policy, &view, session->modes, STAGE_MESSAGE, one, one + rules);
        for (size_t j = 0; j < rules; j++) {
            outcome->fired[j] |= one[j] != 0;
            if (one[rules + j] != 0 && !outcome->marked[j]) {
                outcome->marked[j] = 1;
                outcome->marked_by[j] = outcome->recipients[i];
            }
        }
    }
}

static const char *expand(struct engine_session *session, const struct recipient *recipient,
                          const struct rule *rule)
{
    const struct view view = session_view(session, recipient);
    const struct template_values values = stage_texts(session, &view, rule->name);
    char *text = (char *)(uintptr_t)template_expand(session->speech, rule->compiled, &values);

    /* Reasons and header values are one line. */
    for (char *c = text; (c = strpbrk(c, "\r\n")) != NULL;)
        *c = ' ';
    return text;
}

static void add_headers(struct engine_session *session, const struct outcome *outcome)
{
    const struct policy *policy = session->wiring->policy;
    struct header_change *changes =
        arena_alloc(session->speech, (policy->rule_count + 2) * sizeof(struct header_change));

    session->action.headers = changes;
    results_add(session, changes);
    results_remove(session);
    for (size_t i = 0; i < policy->rule_count; i++) {
        const char *text, *colon;
        if (!outcome->marked[i])
            continue;
        text = expand(session, outcome->marked_by[i], &policy->rules[i]);
        colon = strchr(text, ':');
        if (colon == NULL)
            continue;
        changes[session->action.header_count].name =
            arena_strndup(session->speech, text, (size_t)(colon - text));
        colon += 1 + strspn(colon + 1, " \t");
        changes[session->action.header_count++].value = colon;
    }
}

static const char *verdict_word(const struct policy *policy, const struct verdict *verdict)
{
    switch (verdict->kind) {
    case VERDICT_REPLY:
        return policy->rules[verdict->rule].code >= 500 ? "reject" : "defer";
    case VERDICT_FAULT:
        return "defer";
    case VERDICT_QUARANTINE:
        return "quarantine";
    case VERDICT_NONE:
    case VERDICT_OPEN:
    case VERDICT_ACCEPT:
        break;
    }
    return "accept";
}

/* "late <a@example.org>=reject:dmarc <b@example.org>=accept" */
static const char *describe_mixed(struct engine_session *session, const struct outcome *outcome,
                                  enum mixed mixed)
{
    static const char *const words[] = {
        [MIXED_LATE] = "late", [MIXED_STRICTEST] = "strictest", [MIXED_LENIENT] = "lenient"};
    const struct policy *policy = session->wiring->policy;
    struct str text = {0};
    const char *result;

    str_add(&text, words[mixed]);
    for (size_t i = 0; i < outcome->count && text.length < 1000; i++) {
        struct record_what what = {0};
        stage_name_rule(policy, &outcome->verdicts[i], &what);
        str_add_format(&text, " <%s>=%s", outcome->recipients[i]->mailbox.sent,
                       verdict_word(policy, &outcome->verdicts[i]));
        if (what.rule[0] != '\0')
            str_add_format(&text, ":%s", what.rule);
    }
    result = arena_strdup(session->speech, str_text(&text));
    str_free(&text);
    return result;
}

/* All texts that are going to be shown must be known, or as known as they get. */
static bool texts_known(struct engine_session *session, const struct outcome *outcome,
                        const struct mixed_verdict *mixed)
{
    const struct policy *policy = session->wiring->policy;
    const struct verdict *verdict = &outcome->verdicts[mixed->speaker];
    bool known = true;

    if (mixed->split)
        return true;
    if (verdict->rule >= 0 &&
        (verdict->kind == VERDICT_REPLY || verdict->kind == VERDICT_QUARANTINE))
        known = stage_texts_known(session, outcome->recipients[mixed->speaker],
                                  &policy->rules[verdict->rule]);
    for (size_t i = 0; i < policy->rule_count; i++)
        if (outcome->marked[i])
            known &= stage_texts_known(session, outcome->marked_by[i], &policy->rules[i]);
    if (verdict->kind != VERDICT_REPLY && verdict->kind != VERDICT_FAULT)
        known &= results_known(session);
    return known;
}

static void say_own(struct engine_session *session, enum own_reply which, struct record_what *what)
{
    session->action.reply = own_reply(session->speech, which, session->tx.id);
    what->rule = own_rule(which);
    what->at = NULL;
    what->fault = NULL;
    what->verdict = "defer";
}

/* What is said: a reply, a quarantine, or nothing. */
static void say_message(struct engine_session *session, const struct outcome *outcome,
                        const struct mixed_verdict *mixed, struct record_what *what)
{
    const struct policy *policy = session->wiring->policy;
    const struct verdict *verdict = &outcome->verdicts[mixed->speaker];
    const struct recipient *speaker = outcome->recipients[mixed->speaker];
    struct action *action = &session->action;

    action->verdict = *verdict;
    stage_name_rule(policy, verdict, what);
    what->verdict = verdict_word(policy, verdict);
    what->reply = "";
    if (mixed->split) {
        say_own(session, OWN_SPLIT_MESSAGE, what);
        if (!session->observe)
            split_note(session->engine->split, &session->inputs.client,
                       session->inputs.sender.address, clock_ms(), SPLIT_DAY_MS);
    } else if (verdict->kind == VERDICT_REPLY || verdict->kind == VERDICT_FAULT) {
        action->reply = stage_reply(session, speaker, verdict);
    } else if (results_crowded(session, outcome->marked)) {
        say_own(session, OWN_CROWDED, what);
    } else if (verdict->kind == VERDICT_QUARANTINE) {
        action->reason = expand(session, speaker, &policy->rules[verdict->rule]);
        action->kind = ACTION_QUARANTINE;
        what->reply = action->reason;
    }
    action->rule = what->rule;
    if (action->reply != NULL) {
        action->kind = ACTION_REPLY;
        what->reply = reply_oneline(session->speech, action->reply);
    } else {
        add_headers(session, outcome);
    }
}

static void observe_only(struct action *action)
{
    action->observed =
        action->kind != ACTION_CONTINUE || action->header_count + action->removal_count > 0;
    action->kind = ACTION_CONTINUE;
    action->headers = NULL;
    action->removals = NULL;
    action->header_count = action->removal_count = 0;
}

bool stage_settle_message(struct engine_session *session)
{
    const struct policy *policy = session->wiring->policy;
    const struct audit_block *audit = session->wiring->config->audit;
    struct record_what what = {.stage = STAGE_MESSAGE, .recipients = session->tx.taken};
    struct outcome outcome = {0};
    struct mixed_verdict mixed;
    enum mixed rule = policy->mixed;

    /* Every recipient was refused, or would have been, by us or by the MTA, which does not always
     * tell: there is nobody whom the message could reach. */
    if (session->tx.taken == NULL)
        return true;
    if (!collect(session, &outcome))
        return false;
    /* Who was asked to split and did not, or must never be, gets the strictest answer. */
    if (rule == MIXED_LATE && (session->tx.split || !stage_may_split(session)))
        rule = MIXED_STRICTEST;
    mixed = decide_mixed(policy, outcome.verdicts, outcome.count, rule);
    find_marks(session, &outcome);
    if (!texts_known(session, &outcome, &mixed))
        return false;
    say_message(session, &outcome, &mixed, &what);
    if (mixed.differs)
        what.mixed = describe_mixed(session, &outcome, rule);
    what.observed = outcome.fired;
    session->action.fired = outcome.fired;
    what.marked = outcome.marked;
    /* What an observing rule saw is recorded in any case: that is what it is there for. */
    if (session->action.kind != ACTION_CONTINUE || audit == NULL || audit->accepted ||
        any(outcome.fired, policy->rule_count))
        record_add(session, &what);
    if (session->observe)
        observe_only(&session->action);
    session->tx.over = true;
    span_cancel(&session->spans[SPAN_TRANSACTION]);
    for (struct recipient *r = session->tx.taken; r != NULL; r = r->next)
        span_cancel(&r->span);
    return true;
}
