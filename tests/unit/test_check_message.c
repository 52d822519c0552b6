/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <postern/arena.h>

#include "../../src/checks/checks_private.h"
#include "../../src/checks/header_list.h"
#include "probe_bench.h"

static void test_size(void **state)
{
    struct bench *bench = bench_new(&check_message, NULL, "", NULL);
    struct inputs inputs = bench_inputs();

    (void)state;
    assert_string_equal(bench_run(bench, "message", &inputs, false), "size=0");
    inputs.message_size = 5000000000;
    assert_string_equal(bench_run(bench, "message", &inputs, false), "size=5000000000");
    inputs.message_size = UINT64_MAX;
    assert_string_equal(bench_run(bench, "message", &inputs, false), "size=9223372036854775807");
    bench_free(bench);
}

/* What the header says must not make the MTA send the body. */
static void test_no_body(void **state)
{
    (void)state;
    assert_non_null(check_message.stream);
    assert_false(check_message.stream->body);
}

/* "count" stands for received.count, then for from.count. */
static const struct {
    const char *message;
    const char *facts;
} headers[] = {
    {"From: John <John@Example.ORG>\nTo: x@example.net\n\nFrom: y@example.net\n",
     "count=3 from=John@example.org[John@Example.ORG] domain=example.org count=1 fault=none id="},
    {"From: a@example.org, b@example.org\n",
     "count=3 from= domain=example.org count=2 fault=none id="},
    {"From: a@example.org, b@example.net\n", "count=3 from= domain= count=2 fault=many_from id="},
    {"From: a@example.org\nFrom: b@example.net\n",
     "count=3 from= domain= count=2 fault=many_from id="},
    {"From: a@example.org\nfrom : a@example.org\n",
     "count=3 from= domain=example.org count=2 fault=many_from id="},
    {"From: a@example.org\nFrom:\n",
     "count=3 from=a@example.org domain=example.org count=1 fault=many_from id="},
    {"To: a@example.org\n", "count=3 from= domain= count=0 fault=no_from id="},
    {"Resent-From: a@example.org\nSender: b@example.org\n",
     "count=3 from= domain= count=0 fault=no_from id="},
    {"From:\n", "count=3 from= domain= count=0 fault=unclear_from id="},
    {"From: nobody\n", "count=3 from= domain= count=0 fault=unclear_from id="},
    {"From: Nobody:;\n", "count=3 from= domain= count=0 fault=none id="},
    {"From: a@b@c\n", "count=3 from=[a@b@c] domain= count=1 fault=unclear_from id="},
    {"From: a@example.org (b@example.net\n", "count=3 from= domain= count=2 fault=many_from id="},
    {"From: a@example.org (b <c@example.net>\n",
     "count=3 from= domain= count=1 fault=unclear_from id="},
    {"From: CEO <a@example.org> (@\n",
     "count=3 from=a@example.org domain=example.org count=1 fault=none id="},
    {"From: CEO <a@example.org> x@\n",
     "count=3 from=a@example.org domain=example.org count=1 fault=none id="},
    {"From: CEO (@ <a@example.org>\n",
     "count=3 from=a@example.org domain=example.org count=1 fault=none id="},
    {"From: CEO <a@example.org>, x@\n", "count=3 from= domain= count=2 fault=unclear_from id="},
    {"X y: z\nFrom: a@example.org, b@example.net\n",
     "count=3 from= domain= count=2 fault=many_from id="},
    {"X y: z\nFrom: a@b@c\n", "count=3 from=[a@b@c] domain= count=1 fault=unclear_from id="},
    {"From: a@[192.0.2.1]\n", "count=3 from=a@[192.0.2.1] domain= count=1 fault=none id="},
    {"From: a@example.org\nX\xe4: y\n",
     "count=3 from=a@example.org domain=example.org count=1 fault=bad id="},
    {"From: a@example.org\nX y: z\n",
     "count=3 from=a@example.org domain=example.org count=1 fault=bad id="},
    {"From: Doe,\n John <a@example.org>\nList-Id: The List\n <The-List.Example.ORG>\n",
     "count=3 from=a@example.org domain=example.org count=1 fault=none "
     "id=the-list.example.org"},
    {"list-id: list.example.org\nFrom: a@example.org\nList-Id: <other.example.org>\n",
     "count=3 from=a@example.org domain=example.org count=1 fault=none id=list.example.org"},
    {"From: a@example.org\nList-Id: <a> (b) < c.localhost > d\n",
     "count=3 from=a@example.org domain=example.org count=1 fault=none id=c.localhost"},
    {"From: a@example.org\nList-Id: some text\n",
     "count=3 from=a@example.org domain=example.org count=1 fault=none id="},
};

static void test_header(void **state)
{
    struct bench *bench = bench_new(&check_message, NULL, "", NULL);
    struct inputs inputs = bench_inputs();
    size_t i;

    (void)state;
    inputs.received_count = 3;
    assert_string_equal(bench_run(bench, "header", &inputs, false),
                        "count=3 from= domain= count=0 fault=no_from id=");
    for (i = 0; i < COUNT_OF(headers); i++) {
        bench_message(bench, &inputs, headers[i].message);
        const char *facts = bench_run(bench, "header", &inputs, false);

        if (strcmp(facts, headers[i].facts) != 0)
            print_error("%s\n", headers[i].message);
        assert_string_equal(facts, headers[i].facts);
    }
    bench_free(bench);
}

static void test_too_big(void **state)
{
    struct bench *bench = bench_new(&check_message, NULL, "", NULL);
    struct inputs inputs = bench_inputs();
    char *field = xmalloc(100001);
    int i;

    (void)state;
    memset(field, 'a', 100000);
    field[100000] = '\0';
    bench_stream(bench, &inputs);
    bench_header(bench, "From", " a@example.org");
    for (i = 0; i < 10; i++)
        bench_header(bench, "To", field);
    bench_run(bench, "header", &inputs, false);
    assert_string_equal(bench_fact(bench, "header.fault"), "none");
    bench_header(bench, "To", field);
    bench_run(bench, "header", &inputs, false);
    assert_string_equal(bench_fact(bench, "header.fault"), "too_big");
    bench_stream(bench, &inputs);
    bench_header(bench, "From", field);
    bench_run(bench, "header", &inputs, false);
    assert_string_equal(bench_fact(bench, "header.fault"), "too_big");
    assert_string_equal(bench_fact(bench, "from.domain"), "");
    /* What comes first does not hide the author. */
    bench_stream(bench, &inputs);
    for (i = 0; i < 11; i++)
        bench_header(bench, "X", field);
    bench_header(bench, "From", " a@example.org");
    bench_run(bench, "header", &inputs, false);
    assert_string_equal(bench_fact(bench, "header.fault"), "too_big");
    assert_string_equal(bench_fact(bench, "from.domain"), "example.org");
    bench_header(bench, "From", " b@example.net");
    bench_run(bench, "header", &inputs, false);
    assert_string_equal(bench_fact(bench, "from.domain"), "");
    assert_string_equal(bench_fact(bench, "from.count"), "2");
    /* No signature is read in a header of so many fields. */
    bench_stream(bench, &inputs);
    bench_header(bench, "From", " a@example.org");
    for (i = 1; i < HEADER_FIELDS_MAX; i++)
        bench_header(bench, "X", "");
    bench_run(bench, "header", &inputs, false);
    assert_string_equal(bench_fact(bench, "header.fault"), "none");
    bench_header(bench, "X", "");
    bench_run(bench, "header", &inputs, false);
    assert_string_equal(bench_fact(bench, "header.fault"), "too_big");
    bench_free(bench);
    free(field);
}

/* The slots of all checks stand one behind the other, each where checks_layout() says. */
static void test_layout(void **state)
{
    struct arena *arena = arena_new();
    slot_t *first = arena_alloc(arena, checks_count * sizeof(*first));
    struct layout *layout = checks_layout(arena, first);
    slot_t next = 0;
    size_t i, j;

    (void)state;
    for (i = 0; i < checks_count; i++) {
        assert_int_equal(first[i], next);
        for (j = 0; j < checks_all[i]->fact_count; j++)
            assert_int_equal(layout_find(layout, checks_all[i]->facts[j].name), next + j);
        next += (slot_t)j;
    }
    assert_int_equal(layout->count, next);
    arena_free(arena);
}

/* What the engine counts on: each fact belongs to exactly one probe, which has its stage and its
 * scope; each fact, option and block has its line of help. */
static void test_rows(void **state)
{
    size_t i, j, k;

    (void)state;
    for (i = 0; i < checks_count; i++) {
        const struct check *check = checks_all[i];
        unsigned next = 0;

        assert_non_null(check->help);
        for (j = 0; j < check->probe_count; j++) {
            const struct probe *probe = &check->probes[j];

            assert_int_equal(probe->first, next);
            next += probe->count;
            for (k = probe->first; k < next; k++) {
                assert_int_equal(check->facts[k].stage, probe->stage);
                assert_int_equal(check->facts[k].scope, probe->scope);
                assert_non_null(check->facts[k].help);
            }
        }
        assert_int_equal(next, check->fact_count);
        for (j = 0; j < check->block_count; j++) {
            assert_non_null(check->blocks[j].help);
            for (k = 0; k < check->blocks[j].row_count; k++)
                assert_non_null(check->blocks[j].rows[k].help);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size),   cmocka_unit_test(test_no_body),
        cmocka_unit_test(test_header), cmocka_unit_test(test_too_big),
        cmocka_unit_test(test_layout), cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
