/* SPDX-License-Identifier: MIT */
#include "checks_private.h"

#include <string.h>

#include <postern/arena.h>

#include "dkim_trial.h"

/*
 * DKIM signatures (RFC 6376).
 *
 * While the message passes by, its header is kept and its body hashed; the keys are asked for as
 * soon as a signature tells where they are, so that they are there at its end.  Only so many
 * signatures are tried (RFC 6376 6.1 allows a limit), those of the author's domain and its kin
 * first; the others are counted.
 */
enum dkim_fact { RESULT, DOMAINS, COUNT, REASON, SIGNATURES };

static const struct fact_row facts[] = {
    [RESULT] = {"dkim.result", FACT_WORD, STAGE_MESSAGE, SCOPE_MESSAGE,
                "none pass fail policy neutral temperror! permerror",
                "the best result of the message's DKIM signatures"},
    [DOMAINS] = {"dkim.domains", FACT_SET, STAGE_MESSAGE, SCOPE_MESSAGE, NULL,
                 "domains whose signatures pass"},
    [COUNT] = {"dkim.count", FACT_NUMBER, STAGE_MESSAGE, SCOPE_MESSAGE, NULL,
               "number of DKIM-Signature fields"},
    [REASON] = {"dkim.reason", FACT_TEXT, STAGE_MESSAGE, SCOPE_MESSAGE, NULL,
                "why the result is not pass: what is wrong with the best signature"},
    [SIGNATURES] = {"dkim.signatures", FACT_ROWS, STAGE_MESSAGE, SCOPE_MESSAGE,
                    "domain selector algorithm bits result reason identity* b* key*",
                    "the signatures that were looked at, one by one"},
};

enum { COLUMNS = 9 };

struct dkim_block {
    struct block_head head;
    int64_t max_signatures, min_key_bits;
};

static const struct option_row rows[] = {
    {.name = "max_signatures",
     .type = OPTION_NUMBER,
     .fallback = "10",
     .minimum = 1,
     .maximum = 100,
     .offset = offsetof(struct dkim_block, max_signatures),
     .help = "how many signatures of a message are tried, those of the author's domain first; the "
             "others are counted"},
    {.name = "min_key_bits",
     .type = OPTION_NUMBER,
     .fallback = "1024",
     .minimum = 1024,
     .maximum = 4096,
     .unit = "bits",
     .offset = offsetof(struct dkim_block, min_key_bits),
     .help = "RSA keys that are shorter are refused"},
};

static const struct option_block blocks[] = {
    {.kind = "dkim",
     .rows = rows,
     .row_count = COUNT_OF(rows),
     .size = sizeof(struct dkim_block),
     .help = "limits of DKIM signatures"},
};

struct work {
    struct dkim_stream *stream;
    struct dkim_trial *trials; /* one for each signature */
    size_t awaited;
};

/* ---- the facts ---- */

static const char *result_word(const struct probe_run *run, enum dkim_result result)
{
    return probe_slot(run, RESULT)->words[result];
}

static void set_domains(struct probe_run *run)
{
    const struct work *work = run->work;
    const struct dkim_stream *stream = work->stream;
    const char **names = arena_alloc(run->arena, (stream->count + 1) * sizeof(*names));
    struct value value;
    bool fault = false;
    size_t count = 0;
    size_t i, j;

    for (i = 0; i < stream->count; i++) {
        fault = fault || work->trials[i].result == RESULT_TEMPERROR;
        if (work->trials[i].result != RESULT_PASS)
            continue;
        for (j = 0; j < count && strcmp(names[j], stream->signatures[i].domain) != 0; j++) {
        }
        if (j == count)
            names[count++] = arena_strdup(run->arena, stream->signatures[i].domain);
    }
    value = value_set(names, count);
    if (fault)
        value.state = VALUE_FAULT;
    probe_set(run, DOMAINS, value);
}

/* RFC 6008 4: the first characters of b=, at least eight, and as many as tell it from the others.
 */
static const char *short_b(struct probe_run *run, size_t number)
{
    enum { B_LENGTH_MIN = 8 };
    const struct work *work = run->work;
    const struct dkim_stream *stream = work->stream;
    const char *b = stream->signatures[number].b_text;
    size_t length = B_LENGTH_MIN;
    size_t i;

    for (i = 0; i < stream->count; i++) {
        const char *other = stream->signatures[i].b_text;

        if (strcmp(b, other) != 0)
            while (strncmp(b, other, length) == 0)
                length++;
    }
    return arena_strndup(run->arena, b, strnlen(b, length));
}

static void set_rows(struct probe_run *run)
{
    const struct work *work = run->work;
    const struct dkim_stream *stream = work->stream;
    const char **cells = arena_alloc(run->arena, (stream->count * COLUMNS + 1) * sizeof(*cells));
    const char **cell = cells;
    size_t i;

    for (i = 0; i < stream->count; i++) {
        const struct dkim_signature *signature = &stream->signatures[i];
        const struct dkim_trial *trial = &work->trials[i];

        *cell++ = arena_strdup(run->arena, signature->domain);
        *cell++ = arena_strdup(run->arena, signature->selector);
        *cell++ = signature->algorithm_name;
        *cell++ = trial->bits > 0 ? arena_printf(run->arena, "%u", trial->bits) : "";
        *cell++ = result_word(run, trial->result);
        *cell++ = trial->reason;
        *cell++ = arena_strdup(run->arena, signature->identity);
        *cell++ = short_b(run, i);
        *cell++ = trial->key;
    }
    probe_set(run, SIGNATURES, value_set(cells, stream->count * COLUMNS));
}

/* "the signature of example.org does not fit the body, which was changed" */
static const char *reason_of(struct probe_run *run, size_t number)
{
    const struct work *work = run->work;
    const struct dkim_trial *trial = &work->trials[number];
    const char *domain = work->stream->signatures[number].domain;

    if (trial->result == RESULT_PASS)
        return "";
    return arena_printf(run->arena, "the signature%s%s %s", domain[0] != '\0' ? " of " : "", domain,
                        trial->reason);
}

static void conclude(struct probe_run *run)
{
    const struct work *work = run->work;
    const struct dkim_stream *stream = work->stream;
    enum dkim_result best = RESULT_NONE;
    struct value reason = value_text(stream->header.cut && stream->seen > 0
                                         ? "the signature is in a header that is too long"
                                         : "");
    size_t i;

    /* Signatures that lie behind the limit of the header are as unreadable as those in front. */
    if (stream->seen > stream->count && stream->header.cut)
        best = RESULT_POLICY;
    for (i = 0; i < stream->count; i++) {
        if (dkim_result_rank(work->trials[i].result) >= dkim_result_rank(best))
            continue;
        best = work->trials[i].result;
        reason = value_text(reason_of(run, i));
    }
    if (best == RESULT_TEMPERROR)
        reason.state = VALUE_FAULT;
    probe_set_word(run, RESULT, best);
    set_domains(run);
    probe_set(run, COUNT, value_number((int64_t)stream->seen));
    probe_set(run, REASON, reason);
    set_rows(run);
    probe_finish(run);
}

/* ---- the probe ---- */

/* All signatures that wait for this key. */
static void got(struct probe_run *run, const struct dns_answer *answer, uintptr_t tag)
{
    struct work *work = run->work;
    const struct dkim_stream *stream = work->stream;
    size_t i;

    for (i = tag; i < stream->count; i++) {
        if (!work->trials[i].awaited ||
            strcmp(stream->signatures[i].key_name, stream->signatures[tag].key_name) != 0)
            continue;
        work->trials[i] = dkim_trial_end(stream, i, answer, run->arena);
        work->awaited--;
    }
    if (work->awaited == 0)
        conclude(run);
}

/* Each key is asked for once, for the first signature that needs it. */
static bool is_asked(const struct work *work, size_t number)
{
    const struct dkim_signature *signatures = work->stream->signatures;
    size_t i;

    for (i = 0; i < number; i++)
        if (work->trials[i].awaited &&
            strcmp(signatures[i].key_name, signatures[number].key_name) == 0)
            return true;
    return false;
}

static void start(struct probe_run *run)
{
    struct dkim_stream *stream = run->stream;
    struct work *work;
    size_t i;

    if (stream == NULL || stream->seen == 0) {
        probe_finish_absent(run);
        return;
    }
    dkim_stream_end(stream);
    work = arena_alloc(run->arena, sizeof(*work));
    work->stream = stream;
    work->trials = arena_alloc(run->arena, stream->count * sizeof(*work->trials));
    run->work = work;
    for (i = 0; i < stream->count; i++) {
        work->trials[i] = dkim_trial_begin(stream, i);
        work->awaited += work->trials[i].awaited;
    }
    for (i = 0; i < stream->count; i++)
        if (work->trials[i].awaited && !is_asked(work, i))
            probe_ask(run, stream->signatures[i].key_name, DNS_TXT, got, i);
    if (work->awaited == 0)
        conclude(run);
}

static void expire(struct probe_run *run)
{
    struct work *work = run->work;
    size_t i;

    for (i = 0; i < work->stream->count; i++)
        if (work->trials[i].awaited)
            work->trials[i] = dkim_trial_end(work->stream, i, NULL, run->arena);
    conclude(run);
}

static const struct probe probes[] = {
    {.name = "dkim",
     .stage = STAGE_MESSAGE,
     .scope = SCOPE_MESSAGE,
     .first = RESULT,
     .count = COUNT_OF(facts),
     .start = start,
     .expire = expire},
};

/* ---- the check ---- */

static void *open_state(const struct check_site *site)
{
    const struct dkim_block *block =
        (const struct dkim_block *)(const void *)site->blocks(site, "dkim");
    struct dkim_state *state = arena_alloc(site->arena, sizeof(*state));

    state->max_signatures = (size_t)block->max_signatures;
    state->min_key_bits = (unsigned)block->min_key_bits;
    state->verifier = dkim_verifier_new();
    state->keys = key_store_new();
    return state;
}

static void close_state(void *arg)
{
    struct dkim_state *state = arg;

    if (state == NULL)
        return;
    dkim_verifier_free(state->verifier);
    key_store_free(state->keys);
}

static const char *cost(void *arg, const struct probe *probe, struct arena *arena)
{
    const struct dkim_state *state = arg;

    (void)probe;
    return arena_printf(arena, "1 DNS question for each signature, at most %zu",
                        state->max_signatures);
}

const struct check check_dkim = {
    .name = "dkim",
    .help = "DKIM signatures of the message",
    .facts = facts,
    .fact_count = COUNT_OF(facts),
    .blocks = blocks,
    .block_count = COUNT_OF(blocks),
    .probes = probes,
    .probe_count = COUNT_OF(probes),
    .stream = &dkim_stream,
    .open = open_state,
    .close = close_state,
    .cost = cost,
};
