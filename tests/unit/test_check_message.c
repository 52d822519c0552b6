/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <postern/arena.h>

#include "../../src/checks/checks_private.h"
#include "probe_bench.h"

static void test_message(void **state)
{
    struct bench *bench = bench_new(&check_message, NULL, "", NULL);
    struct inputs inputs = bench_inputs();

    (void)state;
    assert_string_equal(bench_run(bench, "message", &inputs, false), "size=0 count=0");
    inputs.message_size = 5000000000;
    inputs.received_count = 51;
    assert_string_equal(bench_run(bench, "message", &inputs, false), "size=5000000000 count=51");
    inputs.message_size = UINT64_MAX;
    assert_string_equal(bench_run(bench, "message", &inputs, false),
                        "size=9223372036854775807 count=51");
    bench_free(bench);
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
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
