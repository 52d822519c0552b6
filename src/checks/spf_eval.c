/* SPDX-License-Identifier: MIT */
#include "spf_eval.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include <postern/arena.h>
#include <postern/domain.h>

/* ---- what ends a run ---- */

bool spf_eval_stopped(const struct spf_guard *guard)
{
    return guard->missing || guard->forced;
}

void spf_eval_force(struct spf_guard *guard, enum spf_word word, const char *problem)
{
    if (spf_eval_stopped(guard))
        return;
    guard->forced = true;
    guard->verdict.word = word;
    guard->verdict.problem = problem;
}

/* Tells of the question that was added, if there is one more than before. */
static void tell(struct spf_guard *guard, size_t before)
{
    if (guard->known.count > before && guard->ask != NULL)
        guard->ask(guard->ask_arg, guard, before);
}

const struct spf_answer *spf_eval_look_up(struct spf_guard *guard, enum spf_ask ask,
                                          const char *name)
{
    const size_t asked = guard->known.count;
    const struct spf_answer *answer = spf_known_want(&guard->known, ask, name);

    tell(guard, asked);
    if (answer->answered)
        return answer;
    guard->missing = true;
    return NULL;
}

const struct spf_answer *spf_eval_look_ahead(struct spf_guard *guard, enum spf_ask ask,
                                             const char *name)
{
    const size_t asked = guard->known.count;
    const struct spf_answer *answer = spf_known_ahead(&guard->known, ask, name);

    tell(guard, asked);
    return answer != NULL && answer->answered ? answer : NULL;
}

/* Counted once a term: RFC 7208 4.6.4 speaks of terms whose questions bring nothing.  Those about
 * the client's own names are not counted: the domain has no hand in them. */
static void count_void(struct spf_guard *guard)
{
    if (guard->void_counted)
        return;
    guard->void_counted = true;
    if (++guard->voids > SPF_VOIDS_MAX)
        spf_eval_force(guard, SPF_WORD_PERMERROR, "more than 2 terms ask for what does not exist");
}

enum spf_ask spf_eval_address(const struct spf_guard *guard)
{
    return guard->subject->client.family == ADDR_IPV4 ? SPF_ASK_A : SPF_ASK_AAAA;
}

/* ---- terms ---- */

const struct spf_answer *spf_eval_ask(struct spf_guard *guard, enum spf_ask ask, const char *name)
{
    const struct spf_answer *answer;

    if (name[0] == '\0') {
        count_void(guard);
        return NULL;
    }
    answer = spf_eval_look_up(guard, ask, name);
    if (answer == NULL)
        return NULL;
    if (answer->status == DNS_FAULT)
        spf_eval_force(guard, SPF_WORD_TEMPERROR, answer->problem);
    else if (answer->status != DNS_FOUND)
        count_void(guard);
    return answer->status == DNS_FOUND && !spf_eval_stopped(guard) ? answer : NULL;
}

void spf_eval_enter(struct spf_guard *guard, const struct spf_frame *frame,
                    const struct spf_step *step)
{
    guard->frame = frame;
    guard->step = step;
    guard->mx = NULL;
    guard->void_counted = false;
    if (step->kind != SPF_STEP_TERM)
        return;
    if (guard->terms == SPF_TERMS_MAX)
        spf_eval_force(guard, SPF_WORD_PERMERROR, "more than 10 terms ask the DNS");
    else
        guard->terms++;
}

/* ---- the client's validated names (RFC 7208 5.5) ---- */

struct names {
    size_t count;
    const char *names[SPF_HOSTS_MAX];
    const char *problem; /* a question that failed, so that there may be more names; "" */
};

static bool holds_client(const struct spf_guard *guard, const struct spf_answer *answer)
{
    size_t i;

    for (i = 0; i < answer->count; i++)
        if (addr_equal(&answer->addrs[i], &guard->subject->client))
            return true;
    return false;
}

/* False: an answer is missing.  What the DNS fails to tell is skipped. */
static bool validated_names(struct spf_guard *guard, struct names *names)
{
    const struct addr *client = &guard->subject->client;
    char reversed[ADDR_REVERSE_SIZE];
    const char *name = arena_printf(guard->arena, "%s.%s", addr_reverse(client, reversed),
                                    client->family == ADDR_IPV4 ? "in-addr.arpa" : "ip6.arpa");
    const struct spf_answer *ptr = spf_eval_look_up(guard, SPF_ASK_PTR, name);
    size_t i;

    names->count = 0;
    names->problem = ptr != NULL && ptr->status == DNS_FAULT ? ptr->problem : "";
    for (i = 0; ptr != NULL && i < ptr->name_count; i++) {
        const struct spf_answer *answer =
            spf_eval_look_up(guard, spf_eval_address(guard), ptr->names[i]);

        if (answer != NULL && answer->status == DNS_FAULT)
            names->problem = answer->problem;
        if (answer != NULL && holds_client(guard, answer))
            names->names[names->count++] = ptr->names[i];
    }
    return !spf_eval_stopped(guard);
}

static void note_doubt(struct spf_guard *guard, const struct names *names)
{
    if (names->problem[0] != '\0')
        guard->doubt = names->problem;
}

/* NAME is PARENT or lies below it; neither need be canonical. */
static bool is_within(const char *name, const char *parent)
{
    size_t length = strlen(name);
    size_t tail = strlen(parent);

    if (tail == 0 || tail > length || strcasecmp(name + length - tail, parent) != 0)
        return false;
    return tail == length || name[length - tail - 1] == '.';
}

bool spf_eval_ptr(struct spf_guard *guard, const char *domain)
{
    struct names names;
    size_t i;

    if (!validated_names(guard, &names))
        return false;
    for (i = 0; i < names.count; i++)
        if (is_within(names.names[i], domain))
            return true;
    note_doubt(guard, &names);
    return false;
}

/* RFC 7208 7.3, letter p: the domain itself, else a name below it, else any. */
static const char *pick_name(const struct names *names, const char *domain)
{
    size_t i;

    for (i = 0; i < names->count; i++)
        if (strcasecmp(names->names[i], domain) == 0)
            return names->names[i];
    for (i = 0; i < names->count; i++)
        if (is_within(names->names[i], domain))
            return names->names[i];
    return names->count > 0 ? names->names[0] : "unknown";
}

/* ---- macros ---- */

/* What the macros of TEXT stand for in the record of DOMAIN. False: an answer is missing. */
static bool macro_values(struct spf_guard *guard, const char *text, size_t length,
                         const char *domain, struct spf_macro_values *values)
{
    const struct spf_subject *subject = guard->subject;
    struct names names;

    *values = (struct spf_macro_values){
        .client = subject->client,
        /* RFC 7208 4.3 */
        .local = subject->local[0] != '\0' ? subject->local : "postmaster",
        .sender_domain = subject->domain,
        .domain = domain,
        .helo = subject->helo[0] != '\0' ? subject->helo : "unknown",
        .receiver = subject->receiver[0] != '\0' ? subject->receiver : "unknown",
        .validated = "unknown",
        .now = subject->now,
    };
    if (!spf_macro_uses(text, length, "p"))
        return true;
    if (!validated_names(guard, &names))
        return false;
    note_doubt(guard, &names);
    values->validated = pick_name(&names, domain);
    return true;
}

const char *spf_eval_target(struct spf_guard *guard)
{
    const struct spf_term *term = &guard->step->term;
    struct spf_macro_values values;

    if (term->spec_length == 0)
        return guard->frame->domain;
    if (!macro_values(guard, term->spec, term->spec_length, guard->frame->domain, &values))
        return NULL;
    return spf_macro_name(guard->arena, term->spec, term->spec_length, &values);
}

bool spf_eval_hopeless(const struct spf_guard *guard)
{
    const struct spf_term *term = &guard->step->term;

    return guard->odd_local && spf_macro_uses(term->spec, term->spec_length, "ls");
}

/* ---- records ---- */

const struct spf_record *spf_eval_first(struct spf_guard *guard)
{
    const char *domain = guard->subject->domain;
    const struct spf_answer *answer;

    /* RFC 7208 4.3: no domain, or a name of one label only. */
    if (domain_labels(domain) < 2) {
        spf_eval_force(guard, SPF_WORD_NONE, "");
        return NULL;
    }
    answer = spf_eval_look_up(guard, SPF_ASK_RECORD, domain);
    if (answer == NULL)
        return NULL;
    if (answer->status == DNS_FAULT)
        spf_eval_force(guard, SPF_WORD_TEMPERROR, answer->problem);
    else if (answer->record->status == SPF_RECORD_NONE)
        spf_eval_force(guard, SPF_WORD_NONE, "");
    else if (answer->record->status != SPF_RECORD_GOOD)
        spf_eval_force(guard, SPF_WORD_PERMERROR,
                       arena_printf(guard->arena, "%s: %s", domain, answer->record->problem));
    return spf_eval_stopped(guard) ? NULL : answer->record;
}

const struct spf_record *spf_eval_included(struct spf_guard *guard, const char *domain)
{
    const struct spf_answer *answer = NULL;

    if (domain == NULL)
        return NULL;
    if (domain[0] != '\0')
        answer = spf_eval_look_up(guard, SPF_ASK_RECORD, domain);
    if (spf_eval_stopped(guard))
        return NULL;
    if (answer != NULL && answer->status == DNS_FAULT)
        spf_eval_force(guard, SPF_WORD_TEMPERROR, answer->problem);
    else if (answer == NULL || answer->record->status == SPF_RECORD_NONE)
        spf_eval_force(
            guard, SPF_WORD_PERMERROR,
            arena_printf(guard->arena, "'%s' leads to no SPF record", guard->step->shown));
    else if (answer->record->status != SPF_RECORD_GOOD)
        spf_eval_force(guard, SPF_WORD_PERMERROR,
                       arena_printf(guard->arena, "%s: %s", domain, answer->record->problem));
    return spf_eval_stopped(guard) ? NULL : answer->record;
}

/* ---- what is told of it ---- */

const char *spf_eval_path(const struct spf_guard *guard)
{
    const char *path = guard->step != NULL ? guard->step->shown : "";
    const struct spf_frame *frame;

    for (frame = guard->frame; frame != NULL && frame->parent != NULL; frame = frame->parent)
        path = arena_join(guard->arena, frame->by->shown, " > ", path);
    return path;
}

/* RFC 7208 6.2: a fail is explained by the record that the failing term stands in: the first one,
 * or where redirects led to from it, never one that was included. */
void spf_eval_find_exp(struct spf_guard *guard)
{
    const struct spf_frame *owner = guard->frame;
    const struct spf_frame *frame;

    for (frame = guard->frame; frame->parent != NULL; frame = frame->parent)
        if (frame->by->term.kind == SPF_KIND_INCLUDE)
            owner = frame->parent;
    guard->exp = owner->record->exp;
    guard->exp_length = owner->record->exp_length;
    guard->exp_domain = owner->domain;
}

bool spf_eval_explain(struct spf_guard *guard)
{
    const struct spf_answer *answer;
    struct spf_macro_values values;
    const char *text;

    if (guard->odd_local && spf_macro_uses(guard->exp, guard->exp_length, "ls"))
        return true;
    if (!macro_values(guard, guard->exp, guard->exp_length, guard->exp_domain, &values))
        return false;
    text = spf_macro_name(guard->arena, guard->exp, guard->exp_length, &values);
    answer = text[0] != '\0' ? spf_eval_look_up(guard, SPF_ASK_EXPLANATION, text) : NULL;
    if (answer == NULL)
        return !guard->missing;
    if (answer->text == NULL ||
        !spf_macro_valid(answer->text, answer->length, SPF_MACRO_EXPLANATION))
        return true;
    if (!macro_values(guard, answer->text, answer->length, guard->exp_domain, &values))
        return false;
    text = spf_macro_text(guard->arena, answer->text, answer->length, &values);
    if (text != NULL)
        guard->verdict.explanation = text;
    return true;
}
