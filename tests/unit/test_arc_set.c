/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <postern/arena.h>

#include "../../src/checks/arc_set.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char hash[] = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

/* Fields are written as "R1" (results), "M2" (message signature), "S3" (seal); "S2:cv=none" puts
 * other tags in the place of those of the same name, "S2:-b" leaves one out, "M1=TEXT" is the whole
 * value. */
struct default_tag {
    const char *name, *value;
};

static const char *make_value(struct arena *arena, char part, unsigned instance, const char *change)
{
    const struct default_tag tags[] = {
        {"i", arena_printf(arena, "%u", instance)},
        {"a", "rsa-sha256"},
        {"d", "Sealer.example"},
        {"s", "sel"},
        {"b", "QUJD\n RA=="},
        {part == 'S' ? "cv" : "h", part == 'M'     ? "From : to"
                                   : instance == 1 ? "none"
                                                   : "pass"},
        {part == 'S' ? NULL : "bh", hash},
    };
    size_t length = strcspn(change, "=");
    const char *value = "";
    bool changed = change[0] == '\0' || change[0] == '-';
    size_t i;

    for (i = 0; i < COUNT_OF(tags) && tags[i].name != NULL; i++) {
        const char *said = tags[i].value;

        if (change[0] == '-' && strcmp(change + 1, tags[i].name) == 0)
            continue;
        if (strlen(tags[i].name) == length && strncmp(tags[i].name, change, length) == 0) {
            said = change + length + 1;
            changed = true;
        }
        value = arena_printf(arena, "%s %s=%s;", value, tags[i].name, said);
    }
    return changed ? value : arena_printf(arena, "%s %s", value, change);
}

static void add(struct header_list *header, const char *word)
{
    static const char *const names[] = {"ARC-Authentication-Results", "arc-message-signature",
                                        "ARC-Seal "};
    struct arena *arena = header->arena;
    const char *name = names[word[0] == 'R' ? 0 : word[0] == 'M' ? 1 : 2];
    unsigned instance = 0;
    const char *at = word + 1;

    for (; *at >= '0' && *at <= '9'; at++)
        instance = instance * 10 + (unsigned)(*at - '0');
    if (*at == '=')
        header_list_add(header, name, at + 1);
    else if (word[0] == 'R')
        header_list_add(header, name, arena_printf(arena, " i=%u; mx.example; none", instance));
    else
        header_list_add(header, name,
                        make_value(arena, word[0], instance, *at == ':' ? at + 1 : ""));
}

static struct arc_chain read_chain(struct arena *arena, const char *words, unsigned max_sets)
{
    struct header_list header;
    struct arc_chain chain;
    char *rest = arena_strdup(arena, words);
    char *word;

    header_list_init(&header, arena);
    header_list_add(&header, "From", " a@example.org");
    while ((word = strsep(&rest, "|")) != NULL)
        if (word[0] != '\0')
            add(&header, word);
    header_list_add(&header, "ARC-Other", " x");
    arc_chain_read(&chain, &header, true, max_sets, arena);
    return chain;
}

static void test_structure(void **state)
{
    static const struct {
        const char *fields;
        const char *reason; /* NULL: whole */
        unsigned count;
    } rows[] = {
        {"R1|M1|S1", NULL, 1},
        {"S2|M2|R2|S1|M1|R1", NULL, 2},
        {"R1|R2|R3|M1|M2|M3|S3|S1|S2", NULL, 3}, /* their order does not matter */
        /* gaps and what is missing */
        {"S1|M1", "no ARC-Authentication-Results i=1", 0},
        {"S1|R1", "no ARC-Message-Signature i=1", 0},
        {"M1|R1", "no ARC-Seal i=1", 0},
        {"R1", "no ARC-Message-Signature i=1", 0},
        {"R1|M1|S1|R3|M3|S3", "no ARC-Authentication-Results i=2", 0},
        {"R2|M2|S2", "no ARC-Authentication-Results i=1", 0},
        {"R1|M1|S1|S2", "no ARC-Authentication-Results i=2", 0},
        /* duplicates */
        {"R1|M1|S1|S1", "two fields ARC-Seal i=1", 0},
        {"R1|R1|M1|S1", "two fields ARC-Authentication-Results i=1", 0},
        {"R1|M1|M1|S1", "two fields ARC-Message-Signature i=1", 0},
        /* instances */
        {"R0|M1|S1", "ARC-Authentication-Results without a valid i=", 0},
        {"R1|M1|S0", "ARC-Seal without a valid i=", 0},
        {"R1|M1|S1|S=x", "ARC-Seal without a valid i=", 0},
        {"R1|M1|S1|M=i=1", "two fields ARC-Message-Signature i=1", 0},
        {"R1|M=|S1", "ARC-Message-Signature without a valid i=", 0},
        {"R1|M=i=1; i=1; a=b|S1", "ARC-Message-Signature without a valid i=", 0},
        {"R1|M=i=-1; a=b|S1", "ARC-Message-Signature without a valid i=", 0},
        {"R1|M=i=100; a=b|S1", "ARC-Message-Signature without a valid i=", 0},
        {"R1|M1:i=1 1|S1", "ARC-Message-Signature without a valid i=", 0},
        {"R1|M1|S1|S51", "more than 50 sets", 0},
        /* cv= */
        {"R1|M1|S1:cv=pass", "ARC-Seal i=1 of sealer.example: wrong cv=", 0},
        {"R1|M1|S1:cv=fail", "sealer.example found the chain broken", 0},
        {"R1|M1|S1|R2|M2|S2:cv=none", "ARC-Seal i=2 of sealer.example: wrong cv=", 0},
        {"R1|M1|S1|R2|M2|S2:cv=fail", "sealer.example found the chain broken", 0},
        {"R1|M1|S1:cv=fail|R2|M2|S2", "ARC-Seal i=1 of sealer.example: wrong cv=", 0},
        {"R1|M1|S1|R2|M2|S2:cv=fail|R3|M3|S3", "ARC-Seal i=2 of sealer.example: wrong cv=", 0},
        {"R1|M1|S1:cv=maybe", "ARC-Seal i=1: bad cv=", 0},
        {"R1|M1|S1:-cv", "ARC-Seal i=1: bad cv=", 0},
        {"R1|M1|S1:cv=None", NULL, 1},
        /* seals that are none, at whichever place */
        {"R1|M1|S1:h=from", "ARC-Seal i=1: h= in a seal", 0},
        {"R1|M1|S1:-a", "ARC-Seal i=1: unknown a=", 0},
        {"R1|M1|S1:a=rsa-sha1", "ARC-Seal i=1: rsa-sha1 is not secure", 0},
        {"R1|M1|S1:a=none", "ARC-Seal i=1: unknown a=", 0},
        {"R1|M1|S1:a=ed25519-sha256", NULL, 1},
        {"R1|M1|S1:-b", "ARC-Seal i=1: bad b=", 0},
        {"R1|M1|S1:b=", "ARC-Seal i=1: bad b=", 0},
        {"R1|M1|S1:b=QUJD*", "ARC-Seal i=1: bad b=", 0},
        {"R1|M1|S1:-d", "ARC-Seal i=1: bad d=", 0},
        {"R1|M1|S1:d=a..b", "ARC-Seal i=1: bad d=", 0},
        {"R1|M1|S1:d=192.0.2.1", "ARC-Seal i=1: bad d=", 0},
        {"R1|M1|S1:-s", "ARC-Seal i=1: bad s=", 0},
        {"R1|M1|S1:s=a b/c", "ARC-Seal i=1: bad s=", 0},
        {"R1|M1|S1:s=2026._x.sel", NULL, 1},
        {"R1|M1|S1:x=y", NULL, 1},
        {"R1|M1|S1:cv=none; cv=none", "ARC-Seal without a valid i=", 0},
        /* a message signature that is none is its own affair: only the newest matters */
        {"R1|M1:-bh|S1", NULL, 1},
        {"R1|M1:a=rsa-sha1|S1", NULL, 1},
    };
    struct arena *arena = arena_new();
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        struct arc_chain chain = read_chain(arena, rows[i].fields, ARC_SETS_MAX);

        if (rows[i].reason == NULL
                ? chain.shape != ARC_WHOLE || chain.count != rows[i].count
                : chain.shape != ARC_BROKEN || strcmp(chain.reason, rows[i].reason) != 0)
            fail_msg("row %zu: shape %d, '%s'", i, chain.shape, chain.reason);
    }
    arena_free(arena);
}

static void test_signature(void **state)
{
    static const struct {
        const char *change, *problem;
    } rows[] = {
        {"", NULL},
        {"c=relaxed/simple", NULL},
        {"c=relaxed/nowsp", "unknown c="},
        {"bh=QUJD", "bad bh="},
        {"-bh", "bad bh="},
        {"l=0", NULL},
        {"l=-1", "bad l="},
        {"l=99999999999999999999", "bad l="},
        {"-h", "From is not signed"},
        {"h=to:subject", "From is not signed"},
        {"h=to: FROM :subject", NULL},
        {"h=from:Arc-Seal", "ARC-Seal is signed"},
        {"h=from:arc-message-signature", NULL},
        {"v=1", NULL},
        {"a=rsa-sha1", "rsa-sha1 is not secure"},
        {"b=", "bad b="},
        {"d=", "bad d="},
    };
    struct arena *arena = arena_new();
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        struct arc_chain chain =
            read_chain(arena, arena_printf(arena, "R1|M1:%s|S1", rows[i].change), 1);
        const char *problem = chain.shape == ARC_WHOLE ? chain.sets[0].signature.problem : "?";

        if (problem == NULL ? rows[i].problem != NULL
                            : rows[i].problem == NULL || strcmp(problem, rows[i].problem) != 0)
            fail_msg("row %zu: '%s'", i, problem != NULL ? problem : "");
    }
    arena_free(arena);
}

static void test_members(void **state)
{
    struct arena *arena = arena_new();
    struct arc_chain chain = read_chain(arena, "R1|M1:c=simple/relaxed|S1", 1);
    const struct arc_signature *signature = &chain.sets[0].signature;

    (void)state;
    assert_int_equal(chain.shape, ARC_WHOLE);
    assert_string_equal(signature->domain, "sealer.example");
    assert_string_equal(signature->selector, "sel");
    assert_string_equal(signature->key_name, "sel._domainkey.sealer.example");
    assert_int_equal(signature->length, 4);
    assert_memory_equal(signature->bytes, "ABCD", 4);
    assert_int_equal(signature->b_length, strlen("QUJD\n RA=="));
    assert_memory_equal(signature->b, "QUJD\n RA==", signature->b_length);
    assert_string_equal(signature->fields, "From:to");
    assert_int_equal(signature->header_canon, CANON_SIMPLE);
    assert_int_equal(signature->body_canon, CANON_RELAXED);
    assert_true(signature->body_limit == -1);
    assert_string_equal(chain.sets[0].results, "mx.example; none");
    chain = read_chain(arena, "R1|M1:l=12|S1:s=\xc3\xa4.x", 1);
    assert_true(chain.sets[0].signature.body_limit == 12);
    assert_string_equal(chain.sets[0].seal.key_name, "xn--4ca.x._domainkey.sealer.example");
    assert_string_equal(chain.sets[0].seal.selector, ".x");
    arena_free(arena);
}

static void test_limits(void **state)
{
    struct arena *arena = arena_new();
    const char *fields = "";
    struct header_list header;
    struct arc_chain chain;
    unsigned i;

    (void)state;
    for (i = 1; i <= 50; i++)
        fields = arena_printf(arena, "%s|R%u|M%u|S%u", fields, i, i, i);
    chain = read_chain(arena, fields, 50);
    assert_int_equal(chain.shape, ARC_WHOLE);
    assert_int_equal(chain.count, 50);
    chain = read_chain(arena, fields, 49);
    assert_int_equal(chain.shape, ARC_BROKEN);
    assert_string_equal(chain.reason, "more than 49 sets");
    chain = read_chain(arena, arena_printf(arena, "%s|R51|M51|S51", fields), 50);
    assert_int_equal(chain.shape, ARC_BROKEN);
    assert_string_equal(chain.reason, "more than 50 sets");

    /* no chain; and a header of which some was left out */
    header_list_init(&header, arena);
    arc_chain_read(&chain, &header, false, 50, arena);
    assert_int_equal(chain.shape, ARC_ABSENT);
    for (i = 0; i <= HEADER_FIELDS_MAX; i++)
        header_list_add(&header, "X", " y");
    assert_true(header.cut);
    assert_int_equal(header.count, HEADER_FIELDS_MAX);
    arc_chain_read(&chain, &header, false, 50, arena);
    assert_int_equal(chain.shape, ARC_ABSENT);
    arc_chain_read(&chain, &header, true, 50, arena);
    assert_int_equal(chain.shape, ARC_BROKEN);
    assert_string_equal(chain.reason, "the header is too large");
    arena_free(arena);
}

static void test_names(void **state)
{
    (void)state;
    assert_true(arc_is_field("ARC-Seal"));
    assert_true(arc_is_field("arc-message-signature"));
    assert_true(arc_is_field("ARC-AUTHENTICATION-RESULTS \t"));
    assert_false(arc_is_field("ARC-Seals"));
    assert_false(arc_is_field("ARC-Seal i1 "));
    assert_false(arc_is_field("X-ARC-Seal"));
    assert_false(arc_is_field("ARC-"));
    assert_false(arc_is_field(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_structure), cmocka_unit_test(test_signature),
        cmocka_unit_test(test_members),   cmocka_unit_test(test_limits),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
