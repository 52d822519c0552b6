/* SPDX-License-Identifier: MIT */
#include "dkim_trial.h"

#include <string.h>

#include <postern/arena.h>

enum {
    KEYS_MAX = 4,       /* records of one name that are tried */
    KEY_TEXT_MAX = 2048 /* octets of a record that are kept to be shown */
};

static struct dkim_trial found(enum dkim_result result, const char *reason, unsigned bits)
{
    return (struct dkim_trial){.result = result, .reason = reason, .bits = bits, .key = ""};
}

/* RFC 6376 8.2: who appends to a message whose signature stops short of its end can say anything,
 * so that l= has to reach the end. */
static struct dkim_trial judge_body(const struct dkim_stream *stream,
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

static struct dkim_trial try_key(const struct dkim_stream *stream, size_t number,
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

int dkim_result_rank(enum dkim_result result)
{
    static const int ranks[RESULT_COUNT] = {
        [RESULT_PASS] = 0,      [RESULT_TEMPERROR] = 1, [RESULT_POLICY] = 2, [RESULT_FAIL] = 3,
        [RESULT_PERMERROR] = 4, [RESULT_NEUTRAL] = 5,   [RESULT_NONE] = 6};

    return ranks[result];
}

/* RFC 6376 3.6.1: with t=y a message is never treated worse than an unsigned one. */
static void soften(struct dkim_trial *trial, const char *why, struct arena *arena)
{
    if (trial->result == RESULT_PASS)
        return;
    trial->result = RESULT_NEUTRAL;
    trial->reason = arena_printf(arena, "%s (%s)", trial->reason, why);
}

static const char *record_text(const struct dns_record *record, struct arena *arena)
{
    size_t length = record->length < KEY_TEXT_MAX ? record->length : KEY_TEXT_MAX;
    char *text = arena_alloc(arena, length + 1);
    size_t i;

    memcpy(text, record->text, length);
    for (i = 0; i < length; i++)
        if (text[i] < ' ' || text[i] > '~')
            text[i] = '?';
    return text;
}

/* A signature that cannot be good whatever its key says stays as bad as it is. */
static struct dkim_trial try_record(const struct dkim_stream *stream, size_t number,
                                    const struct dkim_key *key, struct arena *arena)
{
    const struct dkim_signature *signature = &stream->signatures[number];

    if (signature->result != RESULT_NONE)
        return found(signature->result, signature->reason, 0);
    return try_key(stream, number, key, arena);
}

/* RFC 6376 6.1.2: where there are several records any of them may do. */
static struct dkim_trial try_records(const struct dkim_stream *stream, size_t number,
                                     const struct dns_answer *answer, struct arena *arena)
{
    struct dkim_trial best = found(RESULT_NONE, "", 0);
    bool testing = false;
    size_t i;

    for (i = 0; i < answer->count && i < KEYS_MAX; i++) {
        const struct dns_record *record = &answer->records[i];
        struct dkim_key key;
        struct dkim_trial trial;

        dkim_key_read(&key, record->text, record->length, arena);
        trial = try_record(stream, number, &key, arena);
        testing = testing || key.testing;
        if (dkim_result_rank(trial.result) >= dkim_result_rank(best.result))
            continue;
        best = trial;
        best.key = record_text(record, arena);
    }
    if (testing)
        soften(&best, "its domain is testing", arena);
    return best;
}

/* Whether the domain is testing cannot be told, so that it is not held against it. */
static struct dkim_trial judge_fault(const struct dkim_signature *signature, const char *problem,
                                     struct arena *arena)
{
    struct dkim_trial trial = found(signature->result, signature->reason, 0);

    if (signature->result == RESULT_NONE)
        return found(RESULT_TEMPERROR, arena_printf(arena, "has a key that %s", problem), 0);
    soften(&trial, arena_printf(arena, "and has a key that %s", problem), arena);
    return trial;
}

struct dkim_trial dkim_trial_begin(const struct dkim_stream *stream, size_t number)
{
    const struct dkim_signature *signature = &stream->signatures[number];
    struct dkim_trial trial = found(signature->result, signature->reason, 0);

    trial.awaited = dkim_signature_asks(signature);
    return trial;
}

struct dkim_trial dkim_trial_end(const struct dkim_stream *stream, size_t number,
                                 const struct dns_answer *answer, struct arena *arena)
{
    const struct dkim_signature *signature = &stream->signatures[number];

    if (answer == NULL)
        return judge_fault(signature, "did not come in time", arena);
    if (answer->status == DNS_FAULT)
        return judge_fault(
            signature, arena_printf(arena, "cannot be fetched now: %s", answer->problem), arena);
    if (answer->status == DNS_FOUND)
        return try_records(stream, number, answer, arena);
    if (signature->result != RESULT_NONE)
        return found(signature->result, signature->reason, 0);
    return found(RESULT_PERMERROR, "has no key", 0);
}
