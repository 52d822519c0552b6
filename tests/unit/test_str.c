/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <postern/str.h>

static void test_empty(void **state)
{
    struct str str = {0};

    (void)state;
    assert_string_equal(str_text(&str), "");
    str_clear(&str);
    assert_string_equal(str_text(&str), "");
    str_add(&str, "");
    assert_string_equal(str_text(&str), "");
    assert_int_equal(str.length, 0);
    str_free(&str);
    assert_null(str.data);
    assert_string_equal(str_text(&str), "");
    str_free(&str);
}

static void test_adding(void **state)
{
    struct str str = {0};

    (void)state;
    str_add(&str, "550");
    str_add_char(&str, ' ');
    str_add_format(&str, "%d.%d.%d", 5, 1, 1);
    str_add_bytes(&str, " User unknown", 5);
    assert_string_equal(str_text(&str), "550 5.1.1 User");
    assert_int_equal(str.length, strlen("550 5.1.1 User"));
    str_clear(&str);
    assert_string_equal(str_text(&str), "");
    str_add_bytes(&str, "a\0b", 3);
    assert_int_equal(str.length, 3);
    assert_memory_equal(str.data, "a\0b\0", 4);
    char *text = str_printf("%s at %u", "mx.example.org", 25U);
    assert_string_equal(text, "mx.example.org at 25");
    free(text);
    text = str_printf("%s", "");
    assert_string_equal(text, "");
    free(text);
    str_free(&str);
}

/* Every length around the points where the memory grows. */
static void test_growing(void **state)
{
    struct str one = {0};
    struct str all = {0};
    int i, j;

    (void)state;
    for (i = 0; i < 600; i++) {
        str_add_char(&one, (char)('a' + i % 26));
        assert_int_equal(strlen(str_text(&one)), i + 1);
        str_clear(&all);
        str_add_format(&all, "%s%c", str_text(&one), '.');
        assert_int_equal(all.length, i + 2);
        assert_int_equal(all.data[i + 1], '.');
        str_free(&all);
        str_add_format(&all, "%*s", i, "");
        assert_int_equal(strlen(str_text(&all)), i);
        str_free(&all);
    }
    for (j = 0; j < 600; j++)
        assert_int_equal(one.data[j], 'a' + j % 26);
    str_free(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_adding),
        cmocka_unit_test(test_growing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
