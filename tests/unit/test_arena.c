/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <postern/arena.h>

static void test_allocations_are_zeroed_aligned_and_apart(void **state)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 100, 2047, 2048, 8000, 8192, 100000, 3};
    enum { COUNT = sizeof(sizes) / sizeof(sizes[0]), ROUNDS = 50 };
    static unsigned char *memory[ROUNDS][COUNT];
    struct arena *arena = arena_new();
    int pass, round;
    size_t i, j;

    (void)state;
    /* The second pass gets used memory back and must not see what was in it. */
    for (pass = 0; pass < 2; pass++) {
        for (round = 0; round < ROUNDS; round++) {
            for (i = 0; i < COUNT; i++) {
                memory[round][i] = arena_alloc(arena, sizes[i]);
                assert_non_null(memory[round][i]);
                assert_int_equal((uintptr_t)memory[round][i] % alignof(max_align_t), 0);
                for (j = 0; j < sizes[i]; j++)
                    assert_int_equal(memory[round][i][j], 0);
                memset(memory[round][i], round + (int)i + 1, sizes[i]);
            }
        }
        for (round = 0; round < ROUNDS; round++) {
            for (i = 0; i < COUNT; i++) {
                for (j = 0; j < sizes[i]; j++)
                    assert_int_equal(memory[round][i][j], round + (int)i + 1);
            }
        }
        arena_reset(arena);
    }
    assert_ptr_not_equal(arena_alloc(arena, 0), arena_alloc(arena, 0));
    arena_free(arena);
}

static void test_used_counts_and_reset_forgets(void **state)
{
    struct arena *arena = arena_new();
    size_t used;

    (void)state;
    assert_int_equal(arena_used(arena), 0);
    arena_alloc(arena, 100);
    used = arena_used(arena);
    assert_in_range(used, 100, 100 + alignof(max_align_t));
    arena_alloc(arena, 100000);
    assert_true(arena_used(arena) >= used + 100000);
    arena_reset(arena);
    assert_int_equal(arena_used(arena), 0);
    arena_reset(arena);
    arena_free(arena);
    arena_free(NULL);
}

static void test_reset_keeps_one_chunk(void **state)
{
    struct arena *arena = arena_new();
    void *first = arena_alloc(arena, 10);
    int i;

    (void)state;
    arena_reset(arena);
    assert_ptr_equal(arena_alloc(arena, 10), first);
    /* Many rounds of the same work take no more memory; ASan's leak check watches the chunks. */
    for (i = 0; i < 1000; i++) {
        arena_alloc(arena, 2000);
        arena_alloc(arena, 2000);
        arena_alloc(arena, 20000);
        arena_reset(arena);
    }
    arena_free(arena);
}

static void test_strings(void **state)
{
    struct arena *arena = arena_new();
    const char *text = "mx.example.org";
    char *copy = arena_strdup(arena, text);
    char *big;

    (void)state;
    assert_string_equal(copy, text);
    assert_ptr_not_equal(copy, text);
    assert_string_equal(arena_strdup(arena, ""), "");
    assert_string_equal(arena_strndup(arena, text, 2), "mx");
    assert_string_equal(arena_strndup(arena, NULL, 0), "");
    assert_memory_equal(arena_strndup(arena, "a\0b", 3), "a\0b\0", 4);
    assert_string_equal(arena_join(arena, "user", "@", "example.org"), "user@example.org");
    assert_string_equal(arena_join(arena, "", "", ""), "");
    assert_string_equal(arena_printf(arena, "%s:%d", "x", 25), "x:25");
    assert_string_equal(arena_printf(arena, "%s", ""), "");
    assert_string_equal(arena_number(arena, 0), "0");
    assert_string_equal(arena_number(arena, -70), "-70");
    assert_string_equal(arena_number(arena, INT64_MAX), "9223372036854775807");
    assert_string_equal(arena_number(arena, INT64_MIN), "-9223372036854775808");
    big = arena_printf(arena, "%020000d.", 7);
    assert_int_equal(strlen(big), 20001);
    assert_string_equal(big + 19999, "7.");
    arena_free(arena);
}

/* What is printed into the rest of a chunk, and what does not fit there, harms no neighbour. */
static void test_printing_at_the_end_of_a_chunk(void **state)
{
    enum { COUNT = 400 };
    static char *texts[COUNT], *neighbours[COUNT];
    struct arena *arena = arena_new();
    size_t length;
    int pass;

    (void)state;
    for (pass = 0; pass < 2; pass++) {
        for (length = 0; length < COUNT; length++) {
            texts[length] = arena_printf(arena, "%0*d", (int)length + 1, pass);
            neighbours[length] = arena_alloc(arena, 1 + length % 7);
            assert_int_equal(neighbours[length][length % 7], 0);
            memset(neighbours[length], 'n', 1 + length % 7);
        }
        for (length = 0; length < COUNT; length++) {
            assert_int_equal(strlen(texts[length]), length + 1);
            assert_int_equal(strspn(texts[length], pass == 0 ? "0" : "01"), length + 1);
            assert_int_equal(neighbours[length][0], 'n');
        }
        arena_reset(arena);
    }
    arena_free(arena);
}

static void test_x_functions(void **state)
{
    char *text = xstrdup("abc");
    unsigned char *zeroes = xcalloc(10, 10);
    size_t i;

    (void)state;
    assert_string_equal(text, "abc");
    text = xrealloc(text, 10000);
    assert_string_equal(text, "abc");
    free(text);
    for (i = 0; i < 100; i++)
        assert_int_equal(zeroes[i], 0);
    free(zeroes);
    text = xmalloc(0);
    assert_non_null(text);
    text = xrealloc(text, 0);
    assert_non_null(text);
    free(text);
    text = xcalloc(0, 8);
    assert_non_null(text);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allocations_are_zeroed_aligned_and_apart),
        cmocka_unit_test(test_used_counts_and_reset_forgets),
        cmocka_unit_test(test_reset_keeps_one_chunk),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_printing_at_the_end_of_a_chunk),
        cmocka_unit_test(test_x_functions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
