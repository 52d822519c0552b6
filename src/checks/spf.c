/* SPDX-License-Identifier: MIT */
#include "checks_private.h"

#include <string.h>

#include <postern/arena.h>
#include <postern/clock.h>
#include <postern/domain.h>

#include "spf_guard.h"

/*
 * SPF (RFC 7208): whether the sender's domain lets this client send mail in its name.  The HELO
 * identity and the MAIL FROM identity are checked apart, and one is never taken for the other.
 */
enum { LOOKUPS_MAX = 10 /* RFC 7208 4.6.4 */ };

enum spf_fact {
    SPF_HELO,
    SPF_RESULT,
    SPF_DOMAIN,
    SPF_MECHANISM,
    SPF_PATH,
    SPF_EXPLANATION,
    SPF_LOOKUPS,
    SPF_PROBLEM,
};

/* In the order of enum spf_word. */
#define SPF_WORDS "none neutral pass fail softfail temperror! permerror"

static const struct fact_row facts[] = {
    [SPF_HELO] = {"spf.helo", FACT_WORD, STAGE_HELO, SCOPE_CONNECTION, SPF_WORDS,
                  "SPF result of the name in HELO or EHLO"},
    [SPF_RESULT] = {"spf.result", FACT_WORD, STAGE_MAIL, SCOPE_TRANSACTION, SPF_WORDS,
                    "SPF result of the envelope sender; for the null reverse-path of "
                    "postmaster at the name in HELO"},
    [SPF_DOMAIN] = {"spf.domain", FACT_DOMAIN, STAGE_MAIL, SCOPE_TRANSACTION, NULL,
                    "domain that spf.result is about; empty when there is none"},
    [SPF_MECHANISM] = {"spf.mechanism", FACT_TEXT, STAGE_MAIL, SCOPE_TRANSACTION, NULL,
                       "term of the SPF record that decided, as written; default when none "
                       "matched; empty for none and permerror"},
    [SPF_PATH] = {"spf.path", FACT_TEXT, STAGE_MAIL, SCOPE_TRANSACTION, NULL,
                  "the includes and redirects that led to this term, and the term"},
    [SPF_EXPLANATION] = {"spf.explanation", FACT_TEXT, STAGE_MAIL, SCOPE_TRANSACTION, NULL,
                         "of a fail, what the sender's domain says about it (exp=), or empty"},
    [SPF_LOOKUPS] = {"spf.lookups", FACT_NUMBER, STAGE_MAIL, SCOPE_TRANSACTION, NULL,
                     "terms of the SPF records that asked the DNS, of which 10 are allowed"},
    [SPF_PROBLEM] = {"spf.problem", FACT_TEXT, STAGE_MAIL, SCOPE_TRANSACTION, NULL,
                     "what is wrong with the records, or which DNS question failed"},
};

struct spf_work {
    struct spf_subject subject;
    struct spf_guard *guard;
    int64_t started; /* clock_ms() */
    void (*conclude)(struct probe_run *run, const struct spf_verdict *verdict);
};

/* ---- results as facts ---- */

/* RFC 7208 5.5 takes a client whose name cannot be looked up for one without a name.  No refusal
 * may rest on a fault of the DNS, so that what would be a fail is a temporary error here, and so is
 * a record that was found to be broken only because the name did not match before. */
static enum spf_word word_of(const struct spf_verdict *verdict)
{
    bool refuses = verdict->word == SPF_WORD_FAIL || verdict->word == SPF_WORD_PERMERROR;

    return refuses && verdict->doubt[0] != '\0' ? SPF_WORD_TEMPERROR : verdict->word;
}

static void conclude_helo(struct probe_run *run, const struct spf_verdict *verdict)
{
    probe_set_word(run, SPF_HELO, word_of(verdict));
    probe_finish(run);
}

/* A text that could not be found out still shows what is known of it. */
static void set_text(struct probe_run *run, unsigned number, const char *text, bool fault)
{
    struct value value = value_text(text);

    if (fault)
        value.state = VALUE_FAULT;
    probe_set(run, number, value);
}

static void conclude_mail(struct probe_run *run, const struct spf_verdict *verdict)
{
    const struct spf_work *work = run->work;
    bool fault = word_of(verdict) == SPF_WORD_TEMPERROR;

    probe_set_word(run, SPF_RESULT, word_of(verdict));
    probe_set_text(run, SPF_DOMAIN, work->subject.domain);
    set_text(run, SPF_MECHANISM, verdict->mechanism, fault);
    set_text(run, SPF_PATH, verdict->path, fault);
    set_text(run, SPF_EXPLANATION, verdict->explanation, fault);
    /* The record goes on behind the question that failed. */
    if (fault && verdict->lookups < LOOKUPS_MAX)
        probe_set(run, SPF_LOOKUPS, value_interval(verdict->lookups, LOOKUPS_MAX));
    else
        probe_set(run, SPF_LOOKUPS, value_number(verdict->lookups));
    if (verdict->doubt[0] != '\0') /* which DMARC has to know of */
        set_text(run, SPF_PROBLEM, verdict->doubt, true);
    else
        set_text(run, SPF_PROBLEM, verdict->problem, fault);
    probe_finish(run);
}

/* ---- the check under way ---- */

static void go_on(struct probe_run *run);

static void got(struct probe_run *run, const struct dns_answer *answer, uintptr_t tag)
{
    struct spf_work *work = run->work;

    spf_guard_answer(work->guard, tag, answer);
    if (!spf_guard_waits(work->guard))
        go_on(run);
}

static void ask(void *arg, struct spf_guard *guard, size_t number)
{
    struct probe_run *run = arg;
    enum dns_type type;
    const char *name = spf_guard_question(guard, number, &type);
    const struct dns_answer *answer = probe_look_up(run, name, type, got, number);

    if (answer != NULL)
        spf_guard_answer(guard, number, answer);
    dns_answer_unref(answer);
}

static void go_on(struct probe_run *run)
{
    struct spf_work *work = run->work;

    if (spf_guard_run(work->guard, clock_ms() - work->started))
        work->conclude(run, spf_guard_verdict(work->guard));
}

/* Texts of the verdict will live in ARENA. */
static void start(struct probe_run *run, struct spf_work *work, struct arena *arena)
{
    const struct inputs *inputs = run->inputs;
    const char *hostname = run->state;

    if (inputs->local || inputs->client.family == ADDR_NONE) {
        probe_finish_absent(run);
        return;
    }
    work->subject.client = inputs->client;
    work->subject.helo = inputs->helo;
    work->subject.receiver = hostname;
    work->subject.now = clock_wall();
    work->guard = spf_guard_new(arena, &work->subject, ask, run);
    work->started = clock_ms();
    run->work = work;
    go_on(run);
}

static const char *helo_domain(struct probe_run *run, struct arena *arena)
{
    char domain[DOMAIN_SIZE];

    domain_canonical(run->inputs->helo, strlen(run->inputs->helo), domain);
    return arena_strdup(arena, domain);
}

/* Nothing stays but a word. */
static void start_helo(struct probe_run *run)
{
    struct spf_work *work = arena_alloc(run->scratch, sizeof(*work));

    work->conclude = conclude_helo;
    work->subject.local = "";
    work->subject.domain = helo_domain(run, run->scratch);
    start(run, work, run->scratch);
}

/* RFC 7208 2.4: the null reverse-path stands for postmaster at the HELO identity. */
static void start_mail(struct probe_run *run)
{
    const struct mailbox *sender = &run->inputs->sender;
    struct spf_work *work = arena_alloc(run->arena, sizeof(*work));

    work->conclude = conclude_mail;
    work->subject.local = sender->local;
    work->subject.domain = sender->null ? helo_domain(run, run->arena) : sender->domain;
    start(run, work, run->arena);
}

static void expire(struct probe_run *run)
{
    struct spf_work *work = run->work;

    spf_guard_expire(work->guard);
    work->conclude(run, spf_guard_verdict(work->guard));
}

/* ---- the check ---- */

static void *open_spf(const struct check_site *site)
{
    return arena_strdup(site->arena, site->hostname);
}

static const struct probe probes[] = {
    {.name = "spf_helo",
     .stage = STAGE_HELO,
     .scope = SCOPE_CONNECTION,
     .first = SPF_HELO,
     .count = 1,
     .start = start_helo,
     .expire = expire},
    {.name = "spf",
     .stage = STAGE_MAIL,
     .scope = SCOPE_TRANSACTION,
     .first = SPF_RESULT,
     .count = COUNT_OF(facts) - SPF_RESULT,
     .start = start_mail,
     .expire = expire},
};

static const char *cost(void *state, const struct probe *probe, struct arena *arena)
{
    (void)state;
    (void)probe;
    (void)arena;
    return "1 DNS question and up to 10 terms that ask more";
}

const struct check check_spf = {
    .name = "spf",
    .help = "whether the client may send in the name of the sender's domain",
    .facts = facts,
    .fact_count = COUNT_OF(facts),
    .probes = probes,
    .probe_count = COUNT_OF(probes),
    .open = open_spf,
    .cost = cost,
};
