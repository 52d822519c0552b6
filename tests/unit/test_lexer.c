/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <postern/arena.h>
#include <postern/lexer.h>
#include <postern/str.h>

struct fixture {
    struct source source;
    struct arena *arena;
    struct diag *diag;
    struct lexer *lexer;
};

static struct fixture *open_bytes(const char *text, size_t length)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char *copy = malloc(length + 1);

    assert_non_null(f);
    assert_non_null(copy);
    /* Without a NUL behind it, so that a read past the end is seen. */
    copy = realloc(copy, length > 0 ? length : 1);
    assert_non_null(copy);
    memcpy(copy, text, length);
    f->source = (struct source){.path = "f", .text = copy, .length = length};
    f->arena = arena_new();
    f->diag = diag_new();
    f->lexer = lexer_new(&f->source, f->arena, f->diag);
    return f;
}

static struct fixture *open_text(const char *text)
{
    return open_bytes(text, strlen(text));
}

static void close_fixture(struct fixture *f)
{
    lexer_free(f->lexer);
    diag_free(f->diag);
    arena_free(f->arena);
    free((void *)(uintptr_t)f->source.text);
    free(f);
}

/* All tokens in one line: words as they are, strings in "", raw strings in '', bad ones as BAD. */
static void render(struct lexer *lexer, struct str *out)
{
    for (;;) {
        struct token token = lexer_next(lexer);
        if (token.kind == TOKEN_END)
            return;
        if (out->length > 0)
            str_add_char(out, ' ');
        if (token.kind == TOKEN_STRING)
            str_add_format(out, "\"%s\"", token.text);
        else if (token.kind == TOKEN_RAW)
            str_add_format(out, "'%s'", token.text);
        else
            str_add(out, token.kind == TOKEN_BAD ? "BAD" : token.text);
        assert_true(token.kind == TOKEN_BAD || token.length == strlen(token.text));
    }
}

static const struct {
    const char *text;
    const char *tokens;
} good[] = {
    {"", ""},
    {" \t\r\n", ""},
    {"# only a comment", ""},
    {"a b;c", "a b ; c"},
    {"speak_at rcpt; # why\n}", "speak_at rcpt ; }"},
    {"a#b\nc", "a c"},
    {"a\r\nb # x\r\nc\r\n", "a b c"},
    {"unix:/var/spool/x.sock 127.0.0.1@5353 127.0.*.1-3 20% ::1/128 .example.org",
     "unix:/var/spool/x.sock 127.0.0.1@5353 127.0.*.1-3 20% ::1/128 .example.org"},
    {"user+tag@example.org [1.2.3.4] ~x ?y &z", "user+tag@example.org [1.2.3.4] ~x ?y &z"},
    {"a==b!=c<d<=e>f>=g", "a == b != c < d <= e > f >= g"},
    {"not(a in{b,c})", "not ( a in { b , c } )"},
    {"-2 <= -1", "-2 <= -1"},
    {"\"a b\" 'c d' \"\" ''", "\"a b\" 'c d' \"\" ''"},
    {"\"say \\\"hi\\\" \\\\ there\"", "\"say \"hi\" \\ there\""},
    /* Other backslashes are themselves, in raw strings all are. */
    {"\"one\\ntwo\\d\" '\\d\\\\\\n' '\"'", "\"one\\ntwo\\d\" '\\d\\\\\\n' '\"'"},
    {"\"# no comment\" 'it; {'", "\"# no comment\" 'it; {'"},
    {"a\"b\"c", "a \"b\" c"},
    {"\"J\xc3\xbcrgen \xe2\x82\xac \xf0\x9f\x93\xab\ttab\" # Gr\xc3\xbc\xc3\x9f"
     "e, Latin-1 \xfc",
     "\"J\xc3\xbcrgen \xe2\x82\xac \xf0\x9f\x93\xab\ttab\""},
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct fixture *f = open_text(good[i].text);
        struct str out = {0};
        render(f->lexer, &out);
        if (strcmp(str_text(&out), good[i].tokens) != 0)
            print_message("row %zu\n", i);
        assert_string_equal(str_text(&out), good[i].tokens);
        assert_int_equal(diag_errors(f->diag), 0);
        str_free(&out);
        close_fixture(f);
    }
}

#define BYTES(text) text, sizeof(text) - 1

/* One error each; its place and a part of its text; what is read all the same. */
static const struct {
    const char *text;
    size_t length;
    const char *error;
    const char *tokens;
} bad[] = {
    {BYTES("a \"b c;\nd;"), "f:1:3: error: the string has no closing \"", "a BAD d ;"},
    {BYTES("a 'b\r\nd;"), "f:1:3: error: the string has no closing '", "a BAD d ;"},
    {BYTES("\""), "f:1:1: error: the string has no closing", "BAD"},
    {BYTES("\"a\\"), "f:1:1: error: the string has no closing", "BAD"},
    {BYTES("\"a\\\""), "f:1:1: error: the string has no closing", "BAD"},
    {BYTES("a = b;"), "f:1:3: error: unexpected '='; equality is '=='", "a BAD b ;"},
    {BYTES("!a"), "f:1:1: error: unexpected '!'; negation is 'not'", "BAD a"},
    {BYTES("a || b"), "f:1:3: error: unexpected '|'; conditions are joined with 'or'", "a BAD b"},
    {BYTES("a && b"), "f:1:3: error: unexpected '&&'; conditions are joined with 'and'", "a BAD b"},
    {BYTES("a $b"), "f:1:3: error: unexpected '$'", "a BAD b"},
    {BYTES("a\n  \0\0\0 b"), "f:2:3: error: NUL byte", "a BAD"},
    {BYTES("\"a\0b\" c"), "f:1:3: error: control character 0x00 in a string", "BAD c"},
    {BYTES("# x\0y\nb"), "f:1:4: error: NUL byte in a comment", "b"},
    {BYTES("\"a\x1b[0m\""), "f:1:3: error: control character 0x1b in a string", "BAD"},
    {BYTES("\"a\x7f\""), "f:1:3: error: control character 0x7f", "BAD"},
    {BYTES("a\rb"), "f:1:2: error: control character 0x0d", "a BAD b"},
    {BYTES("a\fb"), "f:1:2: error: control character 0x0c", "a BAD b"},
    {BYTES("\xef\xbb\xbfhostname x;"), "f:1:1: error: byte order mark", "BAD hostname x ;"},
    {BYTES("\xff\xfeh\0o\0"), "f:1:1: error: this is UTF-16; save the file in UTF-8", "BAD"},
    {BYTES("\xfe\xff\0h\0o"), "f:1:1: error: this is UTF-16; save the file in UTF-8", "BAD"},
    {BYTES("\0h\0o"), "f:1:1: error: NUL byte", "BAD"},
    {BYTES("a \xff\xfeh"), "f:1:3: error: byte 0xff is not UTF-8", "a BAD h"},
    {BYTES("b\xc3\xbc"
           "cher"),
     "f:1:2: error: character outside ASCII", "b BAD cher"},
    {BYTES("\xe2\x80\x9c"
           "a"),
     "f:1:1: error: typographic quote", "BAD a"},
    /* Not UTF-8: a stray byte, overlong forms, a surrogate, past U+10FFFF, cut short. */
    {BYTES("\"\x80\""), "f:1:2: error: byte 0x80 is not UTF-8", "BAD"},
    {BYTES("'\xfc'"), "f:1:2: error: byte 0xfc is not UTF-8", "BAD"},
    {BYTES("'\xc0\x80'"), "f:1:2: error: byte 0xc0 is not UTF-8", "BAD"},
    {BYTES("'\xe0\x80\xaf'"), "f:1:2: error: byte 0xe0 is not UTF-8", "BAD"},
    {BYTES("'\xed\xa0\x80'"), "f:1:2: error: byte 0xed is not UTF-8", "BAD"},
    {BYTES("'\xf0\x80\x80\x80'"), "f:1:2: error: byte 0xf0 is not UTF-8", "BAD"},
    {BYTES("'\xf4\x90\x80\x80'"), "f:1:2: error: byte 0xf4 is not UTF-8", "BAD"},
    {BYTES("'\xe2\x82'"), "f:1:2: error: byte 0xe2 is not UTF-8", "BAD"},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct fixture *f = open_bytes(bad[i].text, bad[i].length);
        struct str out = {0};
        render(f->lexer, &out);
        const char *line = diag_line(f->diag, 0);
        assert_non_null(line);
        if (strncmp(line, bad[i].error, strlen(bad[i].error)) != 0)
            fail_msg("row %zu: %s", i, line);
        assert_string_equal(str_text(&out), bad[i].tokens);
        if (diag_errors(f->diag) != 1)
            fail_msg("row %zu: %u errors", i, diag_errors(f->diag));
        str_free(&out);
        close_fixture(f);
    }
}

/* A UTF-8 character that the end of the file cuts. */
static void test_cut(void **state)
{
    static const char text[] = "'\xf0\x9f\x93\xab";

    (void)state;
    for (size_t length = 1; length < sizeof(text); length++) {
        struct fixture *f = open_bytes(text, length);
        assert_int_equal(lexer_next(f->lexer).kind, TOKEN_BAD);
        assert_int_equal(lexer_next(f->lexer).kind, TOKEN_END);
        assert_true(diag_errors(f->diag) >= 1);
        close_fixture(f);
    }
}

static void test_places(void **state)
{
    static const struct {
        uint32_t line, column, width;
    } wanted[] = {{1, 1, 4}, {1, 6, 1}, {2, 3, 5}, {2, 9, 2}, {4, 2, 3}, {4, 5, 0}};
    struct fixture *f = open_text("rule {\r\n  \"a\\\\\" ==\n# x\n\tabc");

    (void)state;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        struct token token = lexer_next(f->lexer);
        assert_ptr_equal(token.at.source, &f->source);
        assert_int_equal(token.at.line, wanted[i].line);
        assert_int_equal(token.at.column, wanted[i].column);
        assert_int_equal(token.at.width, wanted[i].width);
    }
    close_fixture(f);
}

/* The limit holds for words, strings and what escapes make of them; a huge word is one error. */
static void test_limit(void **state)
{
    (void)state;
    for (int row = 0; row < 6; row++) {
        struct str text = {0};
        size_t length = TOKEN_MAX + (row % 2 == 0 ? 0 : 1);
        const char *quote = row < 2 ? "" : row < 4 ? "\"" : "'";
        str_add(&text, quote);
        for (size_t i = 0; i < length; i++)
            str_add(&text, row == 2 ? "\\\"" : "a");
        str_add_format(&text, "%s;", quote);
        struct fixture *f = open_bytes(text.data, text.length);
        struct token token = lexer_next(f->lexer);
        assert_int_equal(token.kind == TOKEN_BAD, row % 2);
        assert_int_equal(diag_errors(f->diag), row % 2);
        if (row % 2 == 0)
            assert_int_equal(token.length, length);
        assert_int_equal(lexer_next(f->lexer).kind, TOKEN_SEMICOLON);
        close_fixture(f);
        str_free(&text);
    }
}

static void test_peek(void **state)
{
    struct fixture *f = open_text("a b");

    (void)state;
    assert_true(token_is(lexer_peek2(f->lexer), "b"));
    assert_true(token_is(lexer_peek(f->lexer), "a"));
    assert_false(lexer_accept(f->lexer, TOKEN_OPEN));
    assert_true(lexer_accept(f->lexer, TOKEN_WORD));
    assert_true(token_is(lexer_peek(f->lexer), "b"));
    assert_int_equal(lexer_peek2(f->lexer)->kind, TOKEN_END);
    assert_string_equal(lexer_next(f->lexer).text, "b");
    for (int i = 0; i < 5; i++)
        assert_int_equal(lexer_next(f->lexer).kind, TOKEN_END);
    assert_ptr_equal(lexer_diag(f->lexer), f->diag);
    assert_ptr_equal(lexer_arena(f->lexer), f->arena);
    close_fixture(f);
}

/* The first word is taken, then ';' is expected. */
static const struct {
    const char *text;
    const char *error;
} expected[] = {
    {"a b;", "f:1:3: error: expected ';', found 'b'"},
    {"a {", "f:1:3: error: expected ';', found '{'"},
    {"a \"x\"", "f:1:3: error: expected ';', found a string"},
    {"abc # x\n  b;", "f:1:4: error: expected ';'"},
    {"abc", "f:1:4: error: expected ';', found the end of the file"},
    {"abc\n\n", "f:1:4: error: expected ';', found the end of the file"},
    {"a $;", "f:1:3: error: unexpected '$'; a text with it stands in quotes"},
};

static void test_expect(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        struct fixture *f = open_text(expected[i].text);
        lexer_next(f->lexer);
        enum token_kind before = lexer_peek(f->lexer)->kind;
        assert_false(lexer_expect(f->lexer, TOKEN_SEMICOLON, "';'"));
        assert_int_equal(lexer_peek(f->lexer)->kind, before);
        assert_string_equal(diag_line(f->diag, 0), expected[i].error);
        assert_int_equal(diag_errors(f->diag), 1);
        close_fixture(f);
    }
}

/* The first word is taken, then the statement is skipped; the rest of the tokens. */
static const struct {
    const char *text;
    const char *rest;
} skipped[] = {
    {"a b c; d", "d"},
    {"a { b; c; } d", "d"},
    {"a { b { c; } d; }; e", "e"},
    {"a b } c", "} c"},
    {"a } c", "} c"},
    {"a b", ""},
    {"a { b", ""},
    {"when x in { a, b } and y == z; d", "d"},
    {"when (x in { a, b }) and y; d", "d"},
    {"a \"; \" '}' ; d", "d"},
    {"a ) ; d", "d"},
};

static void test_skip(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(skipped) / sizeof(skipped[0]); i++) {
        struct fixture *f = open_text(skipped[i].text);
        struct str out = {0};
        lexer_next(f->lexer);
        lexer_skip_statement(f->lexer);
        render(f->lexer, &out);
        if (strcmp(str_text(&out), skipped[i].rest) != 0)
            print_message("row %zu\n", i);
        assert_string_equal(str_text(&out), skipped[i].rest);
        str_free(&out);
        close_fixture(f);
    }
}

/* A ';' missing at the end of a line costs only its own statement, and the skip goes forward in the
 * end. */
static void test_skip_at_line_end(void **state)
{
    struct fixture *f = open_text("timeout 3s\ncache 32M;\n");

    (void)state;
    lexer_next(f->lexer);
    lexer_next(f->lexer);
    assert_false(lexer_expect(f->lexer, TOKEN_SEMICOLON, "';'"));
    lexer_skip_statement(f->lexer);
    assert_true(token_is(lexer_peek(f->lexer), "cache"));
    assert_false(lexer_expect(f->lexer, TOKEN_SEMICOLON, "';'"));
    lexer_skip_statement(f->lexer);
    assert_int_equal(lexer_peek(f->lexer)->kind, TOKEN_END);
    close_fixture(f);
}

static void test_names(void **state)
{
    (void)state;
    for (int kind = TOKEN_END; kind <= TOKEN_BAD; kind++)
        assert_true(strlen(token_kind_name((enum token_kind)kind)) > 0);
    assert_string_equal(token_kind_name(TOKEN_SEMICOLON), "';'");
    assert_string_equal(token_kind_name(TOKEN_WORD), "a word");
    assert_true(lexer_is_bare_word("127.0.0.1@53"));
    assert_false(lexer_is_bare_word(""));
    assert_false(lexer_is_bare_word("a b"));
    assert_false(lexer_is_bare_word("\xc3\xbc"));
}

/* Noise: ends, and finds something wrong. */
static void test_noise(void **state)
{
    uint32_t seed = 1;

    (void)state;
    for (int run = 0; run < 200; run++) {
        char text[512];
        for (size_t i = 0; i < sizeof(text); i++) {
            seed = seed * 1664525 + 1013904223;
            text[i] = (char)(seed >> 24);
        }
        struct fixture *f = open_bytes(text, sizeof(text));
        size_t tokens = 0;
        while (lexer_next(f->lexer).kind != TOKEN_END)
            assert_true(++tokens <= sizeof(text));
        assert_true(diag_errors(f->diag) > 0);
        close_fixture(f);
    }
}

/* An inline table of 100,000 entries: the bound is CPU time and a hundred times what it takes. */
static void test_speed(void **state)
{
    struct str text = {0};

    (void)state;
    for (unsigned i = 0; i < 100000; i++)
        str_add_format(&text, "    user%u@host%u.example.org;\n", i, i % 977);
    struct fixture *f = open_bytes(text.data, text.length);
    clock_t start = clock();
    size_t words = 0;
    for (struct token token; (token = lexer_next(f->lexer)).kind != TOKEN_END;)
        words += token.kind == TOKEN_WORD;
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    print_message("# 100000 entries: %.1f ms\n", 1000 * seconds);
    assert_int_equal(words, 100000);
    assert_true(seconds < 2);
    close_fixture(f);
    str_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_peek),
        cmocka_unit_test(test_expect),
        cmocka_unit_test(test_skip),
        cmocka_unit_test(test_skip_at_line_end),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_speed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
