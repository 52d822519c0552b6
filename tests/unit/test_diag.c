/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <postern/diag.h>

static struct source source_of(const char *text)
{
    return (struct source){.path = "postern.conf", .text = text, .length = strlen(text)};
}

/* What diag_print() writes; to be freed. */
static char *printed(const struct diag *diag)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);

    assert_non_null(out);
    diag_print(diag, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static const struct {
    const char *text;
    uint32_t line, column, width;
    const char *wanted;
} places[] = {
    {"abc def;\nx;\n", 1, 5, 3, "postern.conf:1:5: error: oops\n    abc def;\n        ^~~\n"},
    {"abc def;\nx;\n", 2, 1, 0, "postern.conf:2:1: error: oops\n    x;\n    ^\n"},
    /* No line end, a CRLF, an empty line, a place behind the line. */
    {"abc", 1, 1, 1, "postern.conf:1:1: error: oops\n    abc\n    ^\n"},
    {"abc\r\nd\r\n", 1, 4, 1, "postern.conf:1:4: error: oops\n    abc\n       ^\n"},
    {"\n\n", 2, 1, 1, "postern.conf:2:1: error: oops\n    \n    ^\n"},
    {"abc\n", 1, 90, 2, "postern.conf:1:90: error: oops\n    abc\n       ^\n"},
    /* A tab stays a tab; what is not printable is one '?' a byte. */
    {"\tab\tc\n", 1, 5, 1, "postern.conf:1:5: error: oops\n    \tab\tc\n    \t  \t^\n"},
    {"\x1b[2J\xc3\xbc x\n", 1, 8, 1, "postern.conf:1:8: error: oops\n    ?[2J?? x\n           ^\n"},
    /* The underline ends with the line. */
    {"abc\n", 1, 2, 900, "postern.conf:1:2: error: oops\n    abc\n     ^~\n"},
    /* Lines that are not there, and no line at all. */
    {"abc\n", 7, 1, 1, "postern.conf:7:1: error: oops\n"},
    {"abc\n", 0, 0, 0, "postern.conf: error: oops\n"},
    {"", 1, 1, 0, "postern.conf:1:1: error: oops\n    \n    ^\n"},
};

static void test_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct diag *diag = diag_new();
        struct source source = source_of(places[i].text);
        struct place at = {&source, places[i].line, places[i].column, places[i].width};
        diag_error(diag, &at, "%s", "oops");
        char *text = printed(diag);
        if (strcmp(text, places[i].wanted) != 0)
            print_message("row %zu\n", i);
        assert_string_equal(text, places[i].wanted);
        free(text);
        diag_free(diag);
    }
}

static void test_no_place(void **state)
{
    struct diag *diag = diag_new();
    struct place nowhere = {0};

    (void)state;
    diag_error(diag, NULL, "number %d", 1);
    diag_warning(diag, &nowhere, "number %d", 2);
    char *text = printed(diag);
    assert_string_equal(text, "error: number 1\nwarning: number 2\n");
    free(text);
    assert_int_equal(diag_errors(diag), 1);
    assert_int_equal(diag_warnings(diag), 1);
    diag_free(diag);
    diag_free(NULL);
}

/* Of a long line the part around the caret is shown, and the caret stands below its column. */
static void test_long_line(void **state)
{
    char text[1001];
    struct source source = {.path = "f", .text = text, .length = 1000};

    (void)state;
    memset(text, '.', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    static const uint32_t columns[] = {1, 40, 81, 82, 500, 960, 1000};
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        struct diag *diag = diag_new();
        struct place at = {&source, 1, columns[i], 1};
        text[columns[i] - 1] = 'X';
        diag_error(diag, &at, "oops");
        text[columns[i] - 1] = '.';
        char *out = printed(diag);
        char *line = strchr(out, '\n') + 1;
        char *caret = strchr(line, '\n') + 1;
        assert_true(strlen(line) < 400);
        assert_int_equal(strchr(line, 'X') - line, strchr(caret, '^') - caret);
        free(out);
        diag_free(diag);
    }
}

/* The text of a file may lack a NUL at its end and hold some inside. */
static void test_bounds(void **state)
{
    char *text = malloc(8);
    struct diag *diag = diag_new();

    (void)state;
    assert_non_null(text);
    memcpy(text, "ab\0\nc\0de", 8);
    struct source source = {.path = "f", .text = text, .length = 8};
    struct place first = {&source, 1, 3, 1}, second = {&source, 2, 2, 9};
    diag_error(diag, &first, "one");
    diag_error(diag, &second, "two");
    free(text);
    char *out = printed(diag);
    assert_string_equal(out, "f:1:3: error: one\n    ab?\n      ^\n"
                             "f:2:2: error: two\n    c?de\n     ^~~\n");
    free(out);
    diag_free(diag);
}

static void test_cap(void **state)
{
    struct diag *diag = diag_new();

    (void)state;
    for (unsigned i = 0; i < 250; i++)
        diag_error(diag, NULL, "e%u", i);
    for (unsigned i = 0; i < 120; i++)
        diag_warning(diag, NULL, "w%u", i);
    assert_int_equal(diag_errors(diag), 250);
    assert_int_equal(diag_warnings(diag), 120);
    assert_string_equal(diag_line(diag, 99), "error: e99");
    assert_string_equal(diag_line(diag, 100), "warning: w0");
    assert_string_equal(diag_line(diag, 199), "warning: w99");
    assert_null(diag_line(diag, 200));
    char *out = printed(diag);
    assert_non_null(strstr(out, "\nand 150 more errors\nand 20 more warnings\n"));
    free(out);
    diag_free(diag);
}

/* A message that quotes what somebody wrote can neither move the cursor nor fill the screen. */
static void test_hostile_text(void **state)
{
    struct diag *diag = diag_new();
    char *huge = malloc(100001);

    (void)state;
    assert_non_null(huge);
    memset(huge, 'a', 100000);
    huge[100000] = '\0';
    diag_error(diag, NULL, "unknown '%s'", "\x1b[1m\n\xff");
    diag_error(diag, NULL, "unknown '%s'", huge);
    assert_string_equal(diag_line(diag, 0), "error: unknown '?[1m?"
                                            "?'");
    assert_in_range(strlen(diag_line(diag, 1)), 300, 500);
    free(huge);
    diag_free(diag);
}

/* Errors come before the warnings that follow from them; each part can be styled. */
static void test_order_and_style(void **state)
{
    const struct diag_style style = {"<p>", "<e>", "<w>", "<c>", "</>"};
    struct source source = source_of("abc\n");
    struct place at = {&source, 1, 2, 1};
    struct diag *diag = diag_new();
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);

    (void)state;
    assert_non_null(out);
    diag_warning(diag, NULL, "w1: x");
    diag_error(diag, &at, "e1");
    diag_warning(diag, NULL, "w2");
    diag_error(diag, NULL, "e2");
    static const char *const wanted[] = {"postern.conf:1:2: error: e1", "error: e2",
                                         "warning: w1: x", "warning: w2"};
    for (unsigned i = 0; i < 4; i++) {
        assert_string_equal(diag_line(diag, i), wanted[i]);
        assert_int_equal(diag_is_error(diag, i), i < 2);
    }
    assert_null(diag_line(diag, 4));
    assert_false(diag_is_error(diag, 4));
    diag_print_styled(diag, &style, out);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, "<p>postern.conf:1:2: </><e>error:</> e1\n    abc\n<c>     ^</>\n"
                              "<p></><e>error:</> e2\n<p></><w>warning:</> w1: x\n"
                              "<p></><w>warning:</> w2\n");
    free(text);
    diag_free(diag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_place),
        cmocka_unit_test(test_no_place),
        cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_order_and_style),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
