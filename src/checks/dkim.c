/* SPDX-License-Identifier: MIT */
#include "checks_private.h"

#include <string.h>

#include <postern/arena.h>

#include "dkim_stream.h"

/*
 * DKIM signatures (RFC 6376).
 *
 * While the message passes by, its header is kept and its body hashed; the keys are asked for as
 * soon as a signature tells where they are, so that they are there at its end.  Only the first
 * signatures that can be read are tried (RFC 6376 6.1 allows a limit); the others are counted.
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
                    "domain selector algorithm bits result reason identity",
                    "the signatures that were looked at, one by one"},
};

enum { COLUMNS = 7, KEYS_MAX = 4 /* records of one name that are tried */ };

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
     .help = "how many signatures of a message are tried, from the top; the others are counted"},
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

/* ---- one signature and its keys ---- */

struct trial {
    enum dkim_result result;
    const char *reason;
    unsigned bits;
};

struct work {
    struct dkim_stream *stream;
    struct trial *trials; /* one for each signature; RESULT_NONE: the key is awaited */
    size_t awaited;
};

static struct trial found(enum dkim_result result, const char *reason, unsigned bits)
{
    return (struct trial){.result = result, .reason = reason, .bits = bits};
}

/* RFC 6376 8.2: who appends to a message whose signature stops short of its end can say anything,
 * so that l= has to reach the end. */
static struct trial judge_body(const struct dkim_stream *stream,
                               const struct dkim_signature *signature, unsigned bits)
{
    uint64_t length = stream->body_length[signature->body_canon];
    const unsigned char *digest = stream->body_digest[signature->body_canon];

    if (signature->body_limit >= 0 && (uint64_t)signature->body_limit < length)
        return found(RESULT_POLICY, "leaves the end of the body unsigned", bits);
    if (signature->body_limit >= 0 && (uint64_t)signature->body_limit > length)
        return found(RESULT_FAIL, "signs more body than there is", bits);
    if (memcmp(digest, signature->body_hash, BODY_HASH_SIZE) != 0)
        return found(RESULT_FAIL, "does not fit the body, which was changed", bits);
    return found(RESULT_PASS, "", bits);
}

static struct trial try_key(const struct dkim_stream *stream, size_t number,
                            const struct dkim_key *key, struct arena *arena)
{
    const struct dkim_signature *signature = &stream->signatures[number];
    const struct dkim_state *state = stream->state;
    unsigned bits = 0;

    if (key->problem != NULL)
        return found(RESULT_PERMERROR, arena_printf(arena, "has a key that %s", key->problem), 0);
    if (key->type != signature->key_type)
        return found(RESULT_PERMERROR, "has a key of another type", 0);
    if (key->exact && !signature->exact)
        return found(RESULT_PERMERROR, "has a key that is not for subdomains", 0);
    switch (key_verify(state->keys, key->type, key->bytes, key->length, state->min_key_bits,
                       stream->digests[number], signature->bytes, signature->length, &bits)) {
    case KEY_GOOD:
        return judge_body(stream, signature, bits);
    case KEY_NO_MATCH:
        return found(RESULT_FAIL, "does not fit the header or the key", bits);
    case KEY_UNREADABLE:
        return found(RESULT_PERMERROR, "has a key that cannot be read", bits);
    case KEY_SHORT:
        return found(RESULT_FAIL, arena_printf(arena, "has a key of only %u bits", bits), bits);
    default:
        return found(RESULT_FAIL, arena_printf(arena, "has a key of %u bits, too costly", bits),
                     bits);
    }
}

/* From good to bad: the best result of several, of signatures and of keys.  What could not be found
 * out may be as good as any. */
static int rank(enum dkim_result result)
{
    static const int ranks[RESULT_COUNT] = {
        [RESULT_PASS] = 0,      [RESULT_TEMPERROR] = 1, [RESULT_POLICY] = 2, [RESULT_FAIL] = 3,
        [RESULT_PERMERROR] = 4, [RESULT_NEUTRAL] = 5,   [RESULT_NONE] = 6};

    return ranks[result];
}

/* RFC 6376 3.6.1: with t=y a message is never treated worse than an unsigned one. */
static void soften(struct trial *trial, struct arena *arena)
{
    if (trial->result == RESULT_PASS)
        return;
    trial->result = RESULT_NEUTRAL;
    trial->reason = arena_printf(arena, "%s (its domain is testing)", trial->reason);
}

/* RFC 6376 6.1.2: where there are several records any of them may do. */
static struct trial try_records(const struct dkim_stream *stream, size_t number,
                                const struct dns_answer *answer, struct arena *arena)
{
    struct trial best = {.result = RESULT_NONE};
    bool testing = false;
    size_t i;

    for (i = 0; i < answer->count && i < KEYS_MAX; i++) {
        struct dkim_key key;
        struct trial trial;

        dkim_key_read(&key, answer->records[i].text, answer->records[i].length, arena);
        trial = try_key(stream, number, &key, arena);
        testing = testing || key.testing;
        if (rank(trial.result) < rank(best.result))
            best = trial;
    }
    if (testing)
        soften(&best, arena);
    return best;
}

static struct trial judge_answer(const struct dkim_stream *stream, size_t number,
                                 const struct dns_answer *answer, struct arena *arena)
{
    switch (answer->status) {
    case DNS_FOUND:
        return try_records(stream, number, answer, arena);
    case DNS_FAULT:
        return found(
            RESULT_TEMPERROR,
            arena_printf(arena, "has a key that cannot be fetched now: %s", answer->problem), 0);
    default:
        return found(RESULT_PERMERROR, "has no key", 0);
    }
}

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

static void set_rows(struct probe_run *run)
{
    const struct work *work = run->work;
    const struct dkim_stream *stream = work->stream;
    const char **cells = arena_alloc(run->arena, (stream->count * COLUMNS + 1) * sizeof(*cells));
    const char **cell = cells;
    size_t i;

    for (i = 0; i < stream->count; i++) {
        const struct dkim_signature *signature = &stream->signatures[i];
        const struct trial *trial = &work->trials[i];

        *cell++ = arena_strdup(run->arena, signature->domain);
        *cell++ = arena_strdup(run->arena, signature->selector);
        *cell++ = signature->algorithm_name;
        *cell++ = trial->bits > 0 ? arena_printf(run->arena, "%u", trial->bits) : "";
        *cell++ = result_word(run, trial->result);
        *cell++ = trial->reason;
        *cell++ = arena_strdup(run->arena, signature->identity);
    }
    probe_set(run, SIGNATURES, value_set(cells, stream->count * COLUMNS));
}

/* "the signature of example.org does not fit the body, which was changed" */
static const char *reason_of(struct probe_run *run, size_t number)
{
    const struct work *work = run->work;
    const struct trial *trial = &work->trials[number];
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
        if (rank(work->trials[i].result) >= rank(best))
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
        if (work->trials[i].result != RESULT_NONE ||
            strcmp(stream->signatures[i].key_name, stream->signatures[tag].key_name) != 0)
            continue;
        work->trials[i] = judge_answer(stream, i, answer, run->arena);
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
        if (work->trials[i].result == RESULT_NONE &&
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
        work->trials[i] = found(stream->signatures[i].result, stream->signatures[i].reason, 0);
        work->awaited += work->trials[i].result == RESULT_NONE;
    }
    for (i = 0; i < stream->count; i++)
        if (work->trials[i].result == RESULT_NONE && !is_asked(work, i))
            probe_ask(run, stream->signatures[i].key_name, DNS_TXT, got, i);
    if (work->awaited == 0)
        conclude(run);
}

static void expire(struct probe_run *run)
{
    struct work *work = run->work;
    size_t i;

    for (i = 0; i < work->stream->count; i++)
        if (work->trials[i].result == RESULT_NONE)
            work->trials[i] = found(RESULT_TEMPERROR, "has a key that did not come in time", 0);
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
