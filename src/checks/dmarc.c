/* SPDX-License-Identifier: MIT */
#include "checks_private.h"
#include "dmarc_work.h"
#include "from_header.h"

#include <string.h>

#include <postern/arena.h>

/*
 * DMARC (RFC 9989): whether SPF or DKIM vouch for the domain that the reader of the message sees as
 * its author's, and what that domain asks to be done where they do not.
 *
 * A walk from the author's domain finds policy and organizational domain.  Then each domain that
 * SPF or DKIM vouch for, or could not say whether they do, is held against it; only one at or below
 * the author's organizational domain can be aligned, so only such a one is walked from.  `fail` is
 * said only where nothing that is unknown could still make it a pass.
 */
/* ---- what SPF and DKIM say ---- */

static const char *last_label(const char *domain)
{
    const char *dot = strrchr(domain, '.');

    return dot != NULL ? dot + 1 : domain;
}

/* Whether DMARC_DOMAIN is aligned (RFC 9989 4.4), as far as that can be told without a walk from
 * it: *walk says that one is needed. */
static enum truth align(const struct dmarc_work *work, const char *domain, bool dkim, bool *walk)
{
    const struct dmarc_record *record = work->policy != NULL ? &work->policy->record : NULL;

    *walk = false;
    if (strcmp(domain, work->domain) == 0)
        return YES;
    if (record != NULL && (dkim ? record->strict_dkim : record->strict_spf))
        return NO;
    if (work->author.fault) /* an organizational domain that both share ends with the same label */
        return strcmp(last_label(domain), last_label(work->domain)) == 0 ? UNKNOWN : NO;
    if (work->author.count == 0 || !domain_within(domain, dmarc_walk_organization(&work->author)))
        return NO;
    *walk = true;
    return UNKNOWN;
}

static void add_identity(struct probe_run *run, const char *text, bool dkim, bool passes)
{
    struct dmarc_work *work = run->work;
    struct dmarc_identity identity = {.dkim = dkim, .passes = passes};
    char domain[DOMAIN_SIZE];
    bool walk;

    if (!domain_canonical(text, strlen(text), domain))
        return;
    identity.aligned = align(work, domain, dkim, &walk);
    if (identity.aligned == NO)
        return;
    if (work->identity_count == IDENTITIES_MAX) {
        if (dkim)
            work->dkim_unknown = true;
        else
            work->spf_unknown = true;
        return;
    }
    if (walk) {
        identity.walk = arena_alloc(run->arena, sizeof(*identity.walk));
        dmarc_walk_init(identity.walk, domain);
    }
    work->identities[work->identity_count++] = identity;
}

static bool word_is(const struct slot *slot, const struct value *value, const char *word)
{
    return value->state == VALUE_KNOWN && value->word < slot->word_count &&
           strcmp(slot->words[value->word], word) == 0;
}

static void take_spf(struct probe_run *run)
{
    struct dmarc_work *work = run->work;
    const struct slot *slot;
    const struct value *result = probe_value(run, "spf.result", &slot);
    const struct value *domain = probe_value(run, "spf.domain", NULL);
    const struct value *problem = probe_value(run, "spf.problem", NULL);
    bool certain = result->state == VALUE_KNOWN && problem->state != VALUE_FAULT;

    if (certain && !word_is(slot, result, "pass"))
        return;
    if (domain->state == VALUE_FAULT)
        work->spf_unknown = true;
    else
        add_identity(run, domain->text, false, certain);
}

/* The signatures that could not be verified, one by one.  False when nothing is known of them. */
static bool take_open_signatures(struct probe_run *run)
{
    const struct slot *slot;
    const struct value *rows = probe_value(run, "dkim.signatures", &slot);
    int domain = slot->type == FACT_ROWS ? slot_word(slot, "domain") : -1;
    int result = slot->type == FACT_ROWS ? slot_word(slot, "result") : -1;
    size_t i;

    if (rows->state != VALUE_KNOWN || domain < 0 || result < 0)
        return false;
    for (i = 0; i + slot->word_count <= rows->set.count; i += slot->word_count)
        if (strcmp(rows->set.items[i + (size_t)result], "temperror") == 0)
            add_identity(run, rows->set.items[i + (size_t)domain], true, false);
    return true;
}

static void take_dkim(struct probe_run *run)
{
    struct dmarc_work *work = run->work;
    const struct value *result = probe_value(run, "dkim.result", NULL);
    const struct value *passing = probe_value(run, "dkim.domains", NULL);
    size_t i;

    for (i = 0; i < passing->set.count; i++)
        add_identity(run, passing->set.items[i], true, true);
    if (!take_open_signatures(run) &&
        (passing->state == VALUE_FAULT || result->state == VALUE_FAULT))
        work->dkim_unknown = true;
}

/* ---- walking ---- */

enum { TAG_EXISTENCE = LOOKUPS_MAX };

static void proceed(struct probe_run *run);

static void take_answer(struct probe_run *run, const struct dns_answer *answer, uintptr_t tag)
{
    struct dmarc_work *work = run->work;

    if (tag == TAG_EXISTENCE) { /* RFC 9989 3.2.13: any answer but NXDOMAIN shows that it exists */
        if (answer->status != DNS_FAULT)
            work->exists = answer->status == DNS_NO_NAME ? NO : YES;
    } else {
        work->lookups[tag].answer = dmarc_answer_read(run->arena, answer);
        work->lookups[tag].answered = true;
    }
}

static void got(struct probe_run *run, const struct dns_answer *answer, uintptr_t tag)
{
    struct dmarc_work *work = run->work;

    work->pending--;
    take_answer(run, answer, tag);
    proceed(run);
}

static void ask(struct probe_run *run, const char *name, enum dns_type type, uintptr_t tag)
{
    struct dmarc_work *work = run->work;
    const struct dns_answer *answer = probe_look_up(run, name, type, got, tag);

    if (answer != NULL)
        take_answer(run, answer, tag);
    else
        work->pending++;
    dns_answer_unref(answer);
}

/* The lookup of NAME, which is begun when no walk has asked for it before. */
static const struct dmarc_lookup *look_up(struct probe_run *run, const char *name)
{
    struct dmarc_work *work = run->work;
    struct dmarc_lookup *lookup;
    size_t i;

    for (i = 0; i < work->lookup_count; i++)
        if (strcmp(work->lookups[i].name, name) == 0)
            return &work->lookups[i];
    lookup = &work->lookups[work->lookup_count++];
    lookup->name = arena_strdup(run->arena, name);
    ask(run, lookup->name, DNS_TXT, i);
    return lookup;
}

/* As far as there are answers.  Whether the walk is over. */
static bool walk_on(struct probe_run *run, struct dmarc_walk *walk)
{
    char name[DMARC_NAME_SIZE];

    while (dmarc_walk_next(walk, name) != NULL) {
        const struct dmarc_lookup *lookup = look_up(run, name);

        if (!lookup->answered)
            return false;
        dmarc_walk_take(walk, &lookup->answer);
    }
    return true;
}

static void author_is_over(struct probe_run *run)
{
    struct dmarc_work *work = run->work;

    work->author_over = true;
    work->policy = dmarc_walk_policy(&work->author);
    take_spf(run);
    take_dkim(run);
    /* What lies below a name shows that the name exists (RFC 8020). */
    if (work->lookups[0].answer.status != DNS_NO_NAME) {
        work->exists = YES;
    } else if (dmarc_asks_existence(work)) {
        ask(run, work->domain, DNS_A, TAG_EXISTENCE);
    }
}

static void settle(const struct dmarc_work *work, struct dmarc_identity *identity)
{
    if (!identity->walk->fault)
        identity->aligned = strcmp(dmarc_walk_organization(identity->walk),
                                   dmarc_walk_organization(&work->author)) == 0
                                ? YES
                                : NO;
    identity->walk = NULL;
}

static void proceed(struct probe_run *run)
{
    struct dmarc_work *work = run->work;
    size_t i;

    if (!work->author_over) {
        if (!walk_on(run, &work->author))
            return;
        author_is_over(run);
    }
    for (i = 0; i < work->identity_count; i++) {
        struct dmarc_identity *identity = &work->identities[i];

        if (identity->walk != NULL && walk_on(run, identity->walk))
            settle(work, identity);
    }
    if (work->pending == 0)
        dmarc_conclude(run);
}

static void start(struct probe_run *run)
{
    const struct value *domain = probe_value(run, "from.domain", NULL);
    struct dmarc_work *work;

    if (domain->state == VALUE_FAULT) {
        probe_finish(run);
        return;
    }
    if (domain->text[0] == '\0' || run->inputs->local) {
        probe_finish_absent(run);
        return;
    }
    work = arena_alloc(run->arena, sizeof(*work));
    work->domain = domain->text;
    work->exists = UNKNOWN;
    dmarc_walk_init(&work->author, work->domain);
    run->work = work;
    proceed(run);
}

/* What SPF and DKIM say counts even where nothing is known of the author's domain by then: a pass
 * of the very same domain holds under any record. */
static void expire(struct probe_run *run)
{
    struct dmarc_work *work = run->work;

    if (!work->author_over) {
        work->author.fault = true;
        work->author.target = NULL;
        author_is_over(run);
    }
    dmarc_conclude(run);
}

/* ---- the header as it passes by ---- */

/* The questions of the walks are asked side by side as soon as the author is known, not one after
 * the other: a walk goes up to the top unless a record ends it, which is rare. */
struct warmer {
    struct arena *arena;
    struct dns *dns;
    const char *sender; /* domain of the envelope sender; "" for none */
    bool done;
};

static void *open_warmer(void *state, const struct inputs *inputs, struct arena *arena,
                         struct dns *dns)
{
    struct warmer *warmer = arena_alloc(arena, sizeof(*warmer));

    (void)state;
    warmer->arena = arena;
    warmer->dns = dns;
    warmer->sender = inputs->sender.domain;
    warmer->done = inputs->local;
    return warmer;
}

/* The walk from DOMAIN as it goes where there are no records, up to KNOWN, from which another one
 * goes.  What is said at the top level has nearly always been asked before. */
static void warm_walk(const struct warmer *warmer, const char *domain, const char *known)
{
    static const struct dmarc_answer nothing = {.status = DNS_NO_NAME, .text = "", .problem = ""};
    struct dmarc_walk walk;
    char name[DMARC_NAME_SIZE];

    dmarc_walk_init(&walk, domain);
    while (dmarc_walk_next(&walk, name) != NULL && !domain_within(known, walk.target)) {
        if (walk.target == walk.domain || domain_labels(walk.target) > 1)
            stream_warm(warmer->dns, name, DNS_TXT);
        dmarc_walk_take(&walk, &nothing);
    }
}

/* Whether both lie below the same domain of two labels: the sender's is likely to be aligned. */
static bool are_kin(const char *author, const char *sender)
{
    const char *top = author;

    while (domain_labels(top) > 2)
        top = domain_parent(top);
    return domain_labels(top) == 2 && domain_within(sender, top);
}

static void take_field(void *stream, const char *name, const char *value)
{
    struct warmer *warmer = stream;
    struct from_header from = {0};
    const char *domain;

    if (warmer->done || !from_header_is(name))
        return;
    warmer->done = true;
    from_header_add(&from, warmer->arena, value, strlen(value));
    domain = from_header_domain(&from);
    if (domain[0] == '\0')
        return;
    warm_walk(warmer, domain, "");
    if (are_kin(domain, warmer->sender))
        warm_walk(warmer, warmer->sender, domain);
}

static const struct check_stream stream = {.open = open_warmer, .header = take_field};

/* ---- the check ---- */

static const char *const after[] = {"from.domain", "spf.result",   "spf.domain",      "spf.problem",
                                    "dkim.result", "dkim.domains", "dkim.signatures", NULL};

static const struct probe probes[] = {
    {.name = "dmarc",
     .stage = STAGE_MESSAGE,
     .scope = SCOPE_MESSAGE,
     .first = 0,
     .count = DMARC_FACTS,
     .after = after,
     .start = start,
     .expire = expire},
};

static const char *cost(void *state, const struct probe *probe, struct arena *arena)
{
    (void)state;
    (void)probe;
    (void)arena;
    return "1 to 8 DNS questions, as many again for each domain that may be aligned";
}

const struct check check_dmarc = {
    .name = "dmarc",
    .help = "DMARC of the author's domain",
    .facts = dmarc_fact_rows,
    .fact_count = DMARC_FACTS,
    .probes = probes,
    .probe_count = COUNT_OF(probes),
    .stream = &stream,
    .cost = cost,
};
