/* SPDX-License-Identifier: MIT */
#include "checks_private.h"

#include <string.h>

#include <postern/arena.h>

#include "arc_key.h"
#include "arc_message.h"
#include "arc_trust.h"
#include "arc_verify.h"

/*
 * The Authenticated Received Chain (RFC 8617): what those who forwarded the message say of it, and
 * whether that can be believed.  Verified, never added to.
 *
 * RFC 8617 5.2.1 makes DNS trouble a permanent failure.  Here it is a fault, so that no refusal
 * rests on it; a chain of which something is wrong whatever the DNS says has failed all the same.
 */
enum arc_fact { RESULT, SEALERS, DMARC_PASSED, REASON, SETS, OLDEST_PASS };

static const struct fact_row facts[] = {
    [RESULT] = {"arc.result", FACT_WORD, STAGE_MESSAGE, SCOPE_MESSAGE, "none pass fail temperror!",
                "whether the chain of the message's forwarders is whole"},
    [SEALERS] = {"arc.sealers", FACT_SET, STAGE_MESSAGE, SCOPE_MESSAGE, NULL,
                 "domains that sealed a chain that passes"},
    [DMARC_PASSED] = {"arc.dmarc_passed", FACT_BOOL, STAGE_MESSAGE, SCOPE_MESSAGE, NULL,
                      "whether DMARC passed for a sealer that we trust, with all that came after"},
    [REASON] = {"arc.reason", FACT_TEXT, STAGE_MESSAGE, SCOPE_MESSAGE, NULL,
                "why the chain does not pass"},
    [SETS] = {"arc.sets", FACT_ROWS, STAGE_MESSAGE, SCOPE_MESSAGE,
              "instance sealer selector result reason", "the sets of the chain, the newest first"},
    [OLDEST_PASS] = {"arc.oldest_pass", FACT_NUMBER, STAGE_MESSAGE, SCOPE_MESSAGE, NULL,
                     "oldest set since which the message is unchanged; 0 when all are"},
};

enum { SETS_COLUMNS = 5 };

struct arc_block {
    struct block_head head;
    const char *sealers; /* name of a table; NULL when not set */
    int64_t max_sets;
};

static const struct option_row rows[] = {
    {.name = "sealers",
     .type = OPTION_TABLE,
     .offset = offsetof(struct arc_block, sealers),
     .help = "table of the domains whose seals we trust"},
    {.name = "max_sets",
     .type = OPTION_NUMBER,
     .fallback = "50",
     .minimum = 1,
     .maximum = ARC_SETS_MAX,
     .offset = offsetof(struct arc_block, max_sets),
     .help = "a chain with more sets than this fails"},
};

static const struct option_block blocks[] = {
    {.kind = "arc",
     .rows = rows,
     .row_count = COUNT_OF(rows),
     .size = sizeof(struct arc_block),
     .help = "how the chain of a message's forwarders is judged (RFC 8617)"},
};

/* ---- signatures and their keys ---- */

static bool same_key(const struct arc_signature *one, const struct arc_signature *other)
{
    return strcmp(one->key_name, other->key_name) == 0;
}

enum trial_state { TRIAL_PENDING, TRIAL_GOOD, TRIAL_BAD, TRIAL_FAULT };

struct trial {
    const struct arc_signature *signature;
    enum trial_state state;
    const char *reason; /* BAD, FAULT */
    unsigned char digest[BODY_HASH_SIZE];
};

typedef void conclude_fn(struct probe_run *run);

struct work {
    conclude_fn *conclude;
    struct trial *trials;
    unsigned count;
    unsigned questions; /* without an answer */
};

/* The answer to the question that trial TAG asked serves all trials with the same key. */
static void got_key(struct probe_run *run, const struct dns_answer *answer, uintptr_t tag)
{
    const struct arc_message *message = run->stream;
    struct work *work = run->work;
    const struct arc_signature *asked = work->trials[tag].signature;
    unsigned i;

    for (i = (unsigned)tag; i < work->count; i++) {
        struct trial *trial = &work->trials[i];

        if (trial->state != TRIAL_PENDING || !same_key(trial->signature, asked))
            continue;
        trial->reason = NULL;
        if (answer->status == DNS_FAULT)
            trial->reason =
                arena_printf(run->arena, "key %s: %s", asked->key_name, answer->problem);
        else if (answer->status == DNS_FOUND)
            trial->reason = arc_key_verify(message->state->keys, answer, trial->signature,
                                           trial->digest, run->arena);
        else
            trial->reason = "there is no key";
        trial->state = answer->status == DNS_FAULT ? TRIAL_FAULT
                       : trial->reason == NULL     ? TRIAL_GOOD
                                                   : TRIAL_BAD;
    }
    if (--work->questions == 0)
        work->conclude(run);
}

/* Asks for each key once.  Concludes at once when there is none to ask for. */
static void ask_keys(struct probe_run *run)
{
    struct work *work = run->work;
    bool *asks = arena_alloc(run->arena, work->count * sizeof(*asks));
    unsigned i, j;

    for (i = 0; i < work->count; i++) {
        for (j = 0; j < i; j++)
            if (asks[j] && same_key(work->trials[i].signature, work->trials[j].signature))
                break;
        asks[i] = j == i && work->trials[i].state == TRIAL_PENDING;
        work->questions += asks[i];
    }
    if (work->questions == 0) {
        work->conclude(run);
        return;
    }
    for (i = 0; i < work->count; i++)
        if (asks[i])
            probe_ask(run, work->trials[i].signature->key_name, DNS_TXT, got_key, i);
}

/* What has no answer when time is up could not be found out. */
static void expire(struct probe_run *run)
{
    struct work *work = run->work;
    unsigned i;

    for (i = 0; i < work->count; i++)
        if (work->trials[i].state == TRIAL_PENDING) {
            work->trials[i].state = TRIAL_FAULT;
            work->trials[i].reason = arena_printf(run->arena, "key %s: no answer in time",
                                                  work->trials[i].signature->key_name);
        }
    work->conclude(run);
}

/* Everything about a message signature but its key. */
static void prepare_signature(struct probe_run *run, struct trial *trial,
                              const struct arc_signature *signature)
{
    const struct arc_message *message = run->stream;

    trial->signature = signature;
    trial->reason = signature->problem;
    if (trial->reason == NULL)
        trial->reason = arc_body_problem(signature, message->body[signature->body_canon],
                                         message->body_length[signature->body_canon]);
    if (trial->reason == NULL &&
        !arc_signature_digest(signature, &message->header, run->arena, trial->digest))
        trial->reason = "too many fields in h=";
    if (trial->reason != NULL)
        trial->state = TRIAL_BAD;
}

/* ---- the chain ---- */

/* The trials of the chain: the newest message signature, then the seals, the newest first. */
enum { TRIAL_SIGNATURE, TRIAL_FIRST_SEAL };

static void set_sealers(struct probe_run *run)
{
    const struct arc_message *message = run->stream;
    const struct arc_chain *chain = &message->chain;
    const char **names = arena_alloc(run->arena, chain->count * sizeof(names[0]));
    size_t count = 0;
    unsigned i;
    size_t j;

    for (i = chain->count; i-- > 0;) {
        for (j = 0; j < count; j++)
            if (strcmp(names[j], chain->sets[i].seal.domain) == 0)
                break;
        if (j == count)
            names[count++] = chain->sets[i].seal.domain;
    }
    probe_set(run, SEALERS, value_set(names, count));
}

static void set_dmarc_passed(struct probe_run *run, enum arc_result result)
{
    const struct arc_message *message = run->stream;
    enum arc_trust trust = ARC_TRUST_NO;

    if (result == ARC_RESULT_PASS || result == ARC_RESULT_TEMPERROR)
        trust = arc_dmarc_passed(&message->chain, message->state->sealers, run->arena);
    if (trust == ARC_TRUST_NO)
        probe_set(run, DMARC_PASSED, value_bool(false));
    else if (trust == ARC_TRUST_UNSURE || result == ARC_RESULT_TEMPERROR)
        probe_set_fault(run, DMARC_PASSED);
    else
        probe_set(run, DMARC_PASSED, value_bool(true));
}

/* The newest set is worth no more than its message signature. */
static const struct trial *worst_of_newest(const struct work *work)
{
    const struct trial *signature = &work->trials[TRIAL_SIGNATURE];
    const struct trial *seal = &work->trials[TRIAL_FIRST_SEAL];

    if (signature->state == TRIAL_BAD)
        return signature;
    return signature->state == TRIAL_FAULT && seal->state == TRIAL_GOOD ? signature : seal;
}

/* A row for each set; "none" where nothing was tried, since the chain had failed before. */
static void set_sets(struct probe_run *run)
{
    static const char *const words[] = {[TRIAL_PENDING] = "none",
                                        [TRIAL_GOOD] = "pass",
                                        [TRIAL_BAD] = "fail",
                                        [TRIAL_FAULT] = "temperror"};
    const struct work *work = run->work;
    unsigned sets = work->count - TRIAL_FIRST_SEAL;
    const char **cells = arena_alloc(run->arena, sets * SETS_COLUMNS * sizeof(cells[0]));
    unsigned i;

    for (i = 0; i < sets; i++) {
        const struct trial *seal = &work->trials[TRIAL_FIRST_SEAL + i];
        const struct trial *shown = i == 0 ? worst_of_newest(work) : seal;
        const char **row = &cells[i * SETS_COLUMNS];

        row[0] = arena_printf(run->arena, "%u", sets - i);
        row[1] = seal->signature->domain;
        row[2] = seal->signature->selector;
        row[3] = words[shown->state];
        row[4] = shown->reason == NULL ? "" : shown->reason;
    }
    probe_set(run, SETS, value_set(cells, sets * SETS_COLUMNS));
}

/* "ARC-Seal i=2 of example.org: there is no key" */
static const char *reason_of(struct probe_run *run, unsigned number)
{
    const struct work *work = run->work;
    const struct trial *trial = &work->trials[number];
    unsigned sets = work->count - TRIAL_FIRST_SEAL;

    if (number == TRIAL_SIGNATURE)
        return arena_printf(run->arena, "ARC-Message-Signature i=%u of %s: %s", sets,
                            trial->signature->domain, trial->reason);
    return arena_printf(run->arena, "ARC-Seal i=%u of %s: %s", sets + TRIAL_FIRST_SEAL - number,
                        trial->signature->domain, trial->reason);
}

/* The chain passes when all do; it has failed when one has, whatever could not be found out of the
 * others. */
static void conclude_chain(struct probe_run *run)
{
    struct arc_message *message = run->stream;
    const struct work *work = run->work;
    enum arc_result result = ARC_RESULT_PASS;
    struct value reason = value_text("");
    unsigned i;

    for (i = 0; i < work->count && result != ARC_RESULT_FAIL; i++) {
        enum trial_state state = work->trials[i].state;

        if (state == TRIAL_BAD || (state == TRIAL_FAULT && result == ARC_RESULT_PASS)) {
            result = state == TRIAL_BAD ? ARC_RESULT_FAIL : ARC_RESULT_TEMPERROR;
            reason = value_text(reason_of(run, i));
        }
    }
    if (result == ARC_RESULT_TEMPERROR)
        reason.state = VALUE_FAULT;
    message->result = result;
    probe_set_word(run, RESULT, result);
    if (result == ARC_RESULT_PASS)
        set_sealers(run);
    else if (result == ARC_RESULT_FAIL)
        probe_set(run, SEALERS, value_set(NULL, 0));
    else
        probe_set_fault(run, SEALERS);
    set_dmarc_passed(run, result);
    probe_set(run, REASON, reason);
    set_sets(run);
    probe_finish(run);
}

/* There is no chain, or one that nothing can mend. */
static void finish_without(struct probe_run *run, enum arc_result result, const char *reason)
{
    probe_set_word(run, RESULT, result);
    probe_set(run, SEALERS, value_set(NULL, 0));
    probe_set(run, DMARC_PASSED, value_bool(false));
    probe_set_text(run, REASON, reason);
    probe_set(run, SETS, value_set(NULL, 0));
    probe_finish(run);
}

static void start_chain(struct probe_run *run)
{
    struct arc_message *message = run->stream;
    const unsigned char(*digests)[BODY_HASH_SIZE];
    struct work *work;
    unsigned i;

    if (message == NULL) {
        finish_without(run, ARC_RESULT_NONE, "");
        return;
    }
    arc_message_end(message);
    if (message->chain.shape != ARC_WHOLE) {
        message->result = message->chain.shape == ARC_ABSENT ? ARC_RESULT_NONE : ARC_RESULT_FAIL;
        finish_without(run, message->result, message->chain.reason);
        return;
    }
    work = run->work = arena_alloc(run->arena, sizeof(*work));
    work->conclude = conclude_chain;
    work->count = TRIAL_FIRST_SEAL + message->chain.count;
    work->trials = arena_alloc(run->arena, work->count * sizeof(work->trials[0]));
    prepare_signature(run, &work->trials[TRIAL_SIGNATURE],
                      &message->chain.sets[message->chain.count - 1].signature);
    /* A text that was changed needs no keys to be told from the one that was signed. */
    if (work->trials[TRIAL_SIGNATURE].state == TRIAL_BAD) {
        for (i = 0; i < message->chain.count; i++)
            work->trials[TRIAL_FIRST_SEAL + i].signature =
                &message->chain.sets[message->chain.count - 1 - i].seal;
        conclude_chain(run);
        return;
    }
    digests = arc_seal_digests(&message->chain, run->arena);
    for (i = 0; i < message->chain.count; i++) {
        unsigned set = message->chain.count - 1 - i;
        struct trial *trial = &work->trials[TRIAL_FIRST_SEAL + i];

        trial->signature = &message->chain.sets[set].seal;
        memcpy(trial->digest, digests[set], BODY_HASH_SIZE);
    }
    ask_keys(run);
}

/* ---- since when the message is unchanged: RFC 8617 5.2, step 5 ---- */

/* The trials: the message signatures of the sets below the newest, the newest first. */
static void conclude_oldest(struct probe_run *run)
{
    const struct arc_message *message = run->stream;
    const struct work *work = run->work;
    unsigned oldest = message->chain.count;
    unsigned i;

    for (i = 0; i < work->count && work->trials[i].state == TRIAL_GOOD; i++)
        oldest--;
    if (i == work->count)
        probe_set(run, OLDEST_PASS, value_number(0));
    else if (work->trials[i].state == TRIAL_FAULT)
        probe_set(run, OLDEST_PASS, value_interval(0, oldest));
    else
        probe_set(run, OLDEST_PASS, value_number(oldest));
    probe_finish(run);
}

static void start_oldest(struct probe_run *run)
{
    const struct arc_message *message = run->stream;
    struct work *work;
    unsigned i;

    if (message != NULL && message->result == ARC_RESULT_TEMPERROR) {
        probe_finish(run);
        return;
    }
    if (message == NULL || message->result != ARC_RESULT_PASS) {
        probe_finish_absent(run);
        return;
    }
    work = run->work = arena_alloc(run->arena, sizeof(*work));
    work->conclude = conclude_oldest;
    work->trials = arena_alloc(run->arena, message->chain.count * sizeof(work->trials[0]));
    /* What lies below the first that is certainly bad does not matter. */
    for (i = message->chain.count - 1; i-- > 0;) {
        struct trial *trial = &work->trials[work->count++];

        prepare_signature(run, trial, &message->chain.sets[i].signature);
        if (trial->state == TRIAL_BAD)
            break;
    }
    ask_keys(run);
}

/* ---- the check ---- */

enum arc_probe { PROBE_CHAIN, PROBE_OLDEST };

static const char *const after_chain[] = {"arc.result", NULL};

static const struct probe probes[] = {
    [PROBE_CHAIN] = {.name = "arc",
                     .stage = STAGE_MESSAGE,
                     .scope = SCOPE_MESSAGE,
                     .first = RESULT,
                     .count = OLDEST_PASS - RESULT,
                     .start = start_chain,
                     .expire = expire},
    [PROBE_OLDEST] = {.name = "arc_oldest",
                      .stage = STAGE_MESSAGE,
                      .scope = SCOPE_MESSAGE,
                      .first = OLDEST_PASS,
                      .count = 1,
                      .after = after_chain,
                      .start = start_oldest,
                      .expire = expire},
};

static void *open_arc(const struct check_site *site)
{
    const struct arc_block *block =
        (const struct arc_block *)(const void *)site->blocks(site, "arc");
    struct arc_state *state = arena_alloc(site->arena, sizeof(*state));

    state->keys = key_store_new();
    state->max_sets = block != NULL ? (unsigned)block->max_sets : ARC_SETS_MAX;
    if (block != NULL && block->sealers != NULL)
        state->sealers = site->table(site, block->sealers);
    return state;
}

static void close_arc(void *state)
{
    if (state != NULL)
        key_store_free(((struct arc_state *)state)->keys);
}

static const char *cost(void *state, const struct probe *probe, struct arena *arena)
{
    const struct arc_state *arc = state;

    return probe == &probes[PROBE_CHAIN]
               ? arena_printf(arena, "1 to %u DNS questions where there is a chain",
                              arc->max_sets + 1)
               : "its message signatures' keys";
}

const struct check check_arc = {
    .name = "arc",
    .help = "the chain of seals of those who forwarded the message (ARC)",
    .facts = facts,
    .fact_count = COUNT_OF(facts),
    .blocks = blocks,
    .block_count = COUNT_OF(blocks),
    .probes = probes,
    .probe_count = COUNT_OF(probes),
    .stream = &arc_stream,
    .open = open_arc,
    .close = close_arc,
    .cost = cost,
};
