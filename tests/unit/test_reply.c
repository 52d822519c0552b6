/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <postern/arena.h>
#include <postern/reply.h>
#include <postern/str.h>

static const int user_unknown[3] = {5, 1, 1};

static const struct {
    int code;
    int enhanced[3];
    const char *text, *id;
    const char *wire, *oneline;
} replies[] = {
    {550,
     {5, 1, 1},
     "<bob@example.org>: User unknown",
     NULL,
     "550 5.1.1 <bob@example.org>: User unknown",
     "550 5.1.1 <bob@example.org>: User unknown"},
    {550,
     {5, 1, 1},
     "User unknown",
     "AB12",
     "550 5.1.1 User unknown (ref AB12)",
     "550 5.1.1 User unknown (ref AB12)"},
    {451,
     {4, 3, 0},
     "one\ntwo",
     "X",
     "451-4.3.0 one\r\n451 4.3.0 two (ref X)",
     "451 4.3.0 one / two (ref X)"},
    {556, {5, 1, 10}, "a\n\n  b  \n", NULL, "556-5.1.10 a\r\n556 5.1.10 b", "556 5.1.10 a / b"},
    {599, {5, 999, 999}, "x", NULL, "599 5.999.999 x", "599 5.999.999 x"},
    {550, {5, 7, 1}, "100% a\\nb", NULL, "550 5.7.1 100% a\\nb", "550 5.7.1 100% a\\nb"},
    {550, {5, 7, 1}, "", "X", "550 5.7.1 (ref X)", "550 5.7.1 (ref X)"},
    {550, {5, 7, 1}, " \n ", NULL, "550 5.7.1 Refused by policy", "550 5.7.1 Refused by policy"},
    /* Bytes that no reply may hold, in the text and in the id. */
    {550,
     {5, 7, 1},
     "a\r\nb\tc\x1b\xc3\xbc",
     "\n\xff",
     "550-5.7.1 a?\r\n550 5.7.1 b?c??? (ref ?"
     "?)",
     "550 5.7.1 a? / b?c??? (ref ?"
     "?)"},
    /* Texts that could be read as a code. */
    {550,
     {5, 7, 1},
     "127.0.0.1 is listed",
     NULL,
     "550 5.7.1 - 127.0.0.1 is listed",
     "550 5.7.1 - 127.0.0.1 is listed"},
    {550, {5, 7, 1}, "4.1.1 x", NULL, "550 5.7.1 - 4.1.1 x", "550 5.7.1 - 4.1.1 x"},
    {550,
     {5, 7, 1},
     "450 x\n550-x\n250",
     NULL,
     "550-5.7.1 - 450 x\r\n550-5.7.1 - 550-x\r\n550 5.7.1 - 250",
     "550 5.7.1 - 450 x / - 550-x / - 250"},
    {550, {5, 7, 1}, "555\nx", NULL, "550-5.7.1 - 555\r\n550 5.7.1 x", "550 5.7.1 - 555 / x"},
    {550,
     {5, 7, 1},
     "3 hits\n1.5 points\n2025 was\n12.",
     NULL,
     "550-5.7.1 3 hits\r\n550-5.7.1 1.5 points\r\n550-5.7.1 2025 was\r\n550 5.7.1 12.",
     "550 5.7.1 3 hits / 1.5 points / 2025 was / 12."},
};

static void test_reply(void **state)
{
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        const struct reply *reply =
            reply_new(arena, replies[i].code, replies[i].enhanced, replies[i].text, replies[i].id);
        assert_true(reply_valid(reply));
        assert_string_equal(reply_format(arena, reply), replies[i].wire);
        assert_string_equal(reply_oneline(arena, reply), replies[i].oneline);
    }
    arena_free(arena);
}

static char *repeated(struct arena *arena, const char *piece, size_t count)
{
    struct str out = {0};
    for (size_t i = 0; i < count; i++)
        str_add(&out, piece);
    char *text = arena_strdup(arena, str_text(&out));
    str_free(&out);
    return text;
}

/* RFC 5321 4.5.3.1.5: 512 octets a line with code and CRLF; libmilter takes 980 octets with %
 * doubled. */
static void check_limits(struct arena *arena, const struct reply *reply)
{
    const char *wire = reply_format(arena, reply);

    assert_true(reply_valid(reply));
    assert_true(strlen(wire) < 16384);
    for (const char *line = wire; line != NULL;) {
        const char *end = strstr(line, "\r\n");
        assert_true((end != NULL ? (size_t)(end - line) : strlen(line)) + 2 <= 512);
        line = end != NULL ? end + 2 : NULL;
    }
    for (size_t i = 0; i < reply->line_count; i++)
        assert_true(strlen(reply_line_doubled(arena, reply, i)) <= 980);
}

static void test_fold(void **state)
{
    struct arena *arena = arena_new();

    (void)state;
    /* A line of exactly the limit stays whole, one more is folded at a blank. */
    const char *whole = repeated(arena, "x", REPLY_LINE_MAX);
    const struct reply *reply = reply_new(arena, 554, user_unknown, whole, NULL);
    assert_int_equal(reply->line_count, 1);
    check_limits(arena, reply);

    reply = reply_new(arena, 554, user_unknown, repeated(arena, "word ", 200), NULL);
    assert_int_equal(reply->line_count, 3);
    assert_int_equal(strlen(reply->lines[0]), 479);
    assert_int_equal(strlen(reply->lines[1]), 479);
    assert_string_equal(reply->lines[2], "word word word word word word word word");
    check_limits(arena, reply);

    /* Nowhere to fold: cut. */
    reply = reply_new(arena, 554, user_unknown, repeated(arena, "x", REPLY_LINE_MAX + 1), NULL);
    assert_int_equal(reply->line_count, 2);
    assert_string_equal(reply->lines[1], "x");

    /* The id is never torn apart, and has its own line where the last one is full. */
    reply = reply_new(arena, 554, user_unknown, whole, "AB12");
    assert_int_equal(reply->line_count, 2);
    assert_string_equal(reply->lines[1], "(ref AB12)");
    reply = reply_new(arena, 554, user_unknown, whole + 11, "AB12");
    assert_int_equal(reply->line_count, 1);
    assert_int_equal(strlen(reply->lines[0]), REPLY_LINE_MAX);

    /* What folding brings to the front of a line can look like a code too. */
    struct str text = {0};
    str_add_format(&text, "%s 550 x", whole);
    reply = reply_new(arena, 554, user_unknown, str_text(&text), NULL);
    assert_int_equal(reply->line_count, 2);
    assert_string_equal(reply->lines[1], "- 550 x");
    check_limits(arena, reply);
    str_free(&text);

    /* Before the first line of some codes Sendmail names the address. */
    static const int named[] = {450, 550, 553};
    static const int come_again[] = {4, 2, 1};
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        const int *enhanced = named[i] == 450 ? come_again : user_unknown;
        whole = repeated(arena, "x", REPLY_NAMED_MAX);
        reply = reply_new(arena, named[i], enhanced, whole, NULL);
        assert_int_equal(reply->line_count, 1);
        reply = reply_new(arena, named[i], enhanced, whole, "AB12");
        assert_int_equal(reply->line_count, 2);
        reply = reply_new(arena, named[i], enhanced, repeated(arena, "x", 1000), NULL);
        assert_int_equal(reply->line_count, 3);
        assert_int_equal(strlen(reply->lines[0]), REPLY_NAMED_MAX);
        assert_int_equal(strlen(reply->lines[1]), REPLY_LINE_MAX);
        check_limits(arena, reply);
    }
    /* "550-5.999.999 ", the most that it says, the text and CRLF. */
    assert_true(14 + strlen("...") + 200 + strlen("... ") + REPLY_NAMED_MAX + 2 <= 512);

    /* The worst in % and digits. */
    check_limits(arena, reply_new(arena, 554, user_unknown, repeated(arena, "%", 20000), "AB12"));
    check_limits(arena, reply_new(arena, 554, user_unknown, repeated(arena, "5.1.1.", 9000), "A"));
    arena_free(arena);
}

/* More lines than libmilter takes: the end says where the rest is. */
static void test_too_many_lines(void **state)
{
    static const struct {
        size_t lines;
        const char *id;
        size_t count;
        const char *last;
    } rows[] = {
        {32, NULL, 32, "x"},
        {32, "AB12", 32, "x (ref AB12)"},
        {33, "AB12", 32, "... (ref AB12)"},
        {33, NULL, 32, "..."},
        {5000, "AB12", 32, "... (ref AB12)"},
    };
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct reply *reply =
            reply_new(arena, 554, user_unknown, repeated(arena, "x\n", rows[i].lines), rows[i].id);
        assert_int_equal(reply->line_count, rows[i].count);
        assert_string_equal(reply->lines[reply->line_count - 1], rows[i].last);
        check_limits(arena, reply);
    }
    /* 32 full lines: the id replaces the last one. */
    struct str text = {0};
    for (int i = 0; i < 32; i++)
        str_add_format(&text, "%s\n", repeated(arena, "x", REPLY_LINE_MAX));
    const struct reply *reply = reply_new(arena, 554, user_unknown, str_text(&text), "AB12");
    assert_int_equal(reply->line_count, 32);
    assert_string_equal(reply->lines[31], "... (ref AB12)");
    check_limits(arena, reply);
    str_free(&text);
    arena_free(arena);
}

static void test_long_id(void **state)
{
    struct arena *arena = arena_new();
    const struct reply *reply =
        reply_new(arena, 550, user_unknown, "x", repeated(arena, "i", 10000));

    (void)state;
    assert_int_equal(reply->line_count, 1);
    assert_true(strlen(reply->lines[0]) < 100);
    arena_free(arena);
}

static void test_doubled(void **state)
{
    struct arena *arena = arena_new();
    const struct reply *reply = reply_new(arena, 550, user_unknown, "100% a%%b\n%", NULL);

    (void)state;
    assert_string_equal(reply_line_doubled(arena, reply, 0), "100%% a%%%%b");
    assert_string_equal(reply_line_doubled(arena, reply, 1), "%%");
    arena_free(arena);
}

static void test_parse_enhanced(void **state)
{
    static const struct {
        const char *text;
        bool good;
        int numbers[3];
    } rows[] = {
        {"5.1.1", true, {5, 1, 1}},
        {"4.0.0", true, {4, 0, 0}},
        {"2.1.5", true, {2, 1, 5}},
        {"5.1.10", true, {5, 1, 10}},
        {"5.999.999", true, {5, 999, 999}},
        {"", false, {0}},
        {"5", false, {0}},
        {"5.7", false, {0}},
        {"5.7.", false, {0}},
        {"5..1", false, {0}},
        {".7.1", false, {0}},
        {"5.7.1.1", false, {0}},
        {"5.7.1 ", false, {0}},
        {" 5.7.1", false, {0}},
        {"5.7.1x", false, {0}},
        {"5.7.-1", false, {0}},
        {"5.7.01", false, {0}},
        {"5.07.1", false, {0}},
        {"05.7.1", false, {0}},
        {"5.7.1000", false, {0}},
        {"3.7.1", false, {0}},
        {"1.7.1", false, {0}},
        {"0.7.1", false, {0}},
        {"50.7.1", false, {0}},
        {"five.7.1", false, {0}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int numbers[3] = {0};
        if (reply_parse_enhanced(rows[i].text, numbers) != rows[i].good)
            fail_msg("row %zu: '%s'", i, rows[i].text);
        if (rows[i].good)
            assert_memory_equal(numbers, rows[i].numbers, sizeof(numbers));
    }
}

/* Each row spoils one thing of a good reply. */
static void test_valid(void **state)
{
    static const struct {
        int code, class, subject, detail;
        size_t count;
        const char *line;
        bool valid;
    } rows[] = {
        {550, 5, 7, 1, 1, "fine", true},
        {550, 5, 7, 1, 1, "100% fine ~", true},
        {250, 2, 0, 0, 1, "fine", false},
        {399, 3, 0, 0, 1, "fine", false},
        {600, 6, 0, 0, 1, "fine", false},
        {550, 4, 7, 1, 1, "fine", false},
        {450, 5, 7, 1, 1, "fine", false},
        {550, 5, 1000, 1, 1, "fine", false},
        {550, 5, 7, -1, 1, "fine", false},
        {550, 5, 7, 1, 0, "fine", false},
        {550, 5, 7, 1, 33, "fine", false},
        {550, 5, 7, 1, 1, NULL, false},
        {550, 5, 7, 1, 1, "", false},
        {550, 5, 7, 1, 1, "a\r\nb", false},
        {550, 5, 7, 1, 1, "a\nb", false},
        {550, 5, 7, 1, 1, "a\tb", false},
        {550, 5, 7, 1, 1, "\xc3\xbc", false},
        {550, 5, 7, 1, 1, "450 later", false},
        {550, 5, 7, 1, 1, "5.1.1 unknown", false},
    };
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct reply reply = {
            .code = rows[i].code,
            .enhanced = {rows[i].class, rows[i].subject, rows[i].detail},
            .line_count = rows[i].count,
            .lines = {rows[i].line},
        };
        if (reply_valid(&reply) != rows[i].valid)
            fail_msg("row %zu", i);
    }
    for (int code = 550; code <= 554; code += 4) {
        struct reply reply = {.code = code, .enhanced = {5, 7, 1}, .line_count = 2};
        size_t first = code == 550 ? REPLY_NAMED_MAX : REPLY_LINE_MAX;
        reply.lines[0] = repeated(arena, "x", first);
        reply.lines[1] = repeated(arena, "x", REPLY_LINE_MAX);
        assert_true(reply_valid(&reply));
        reply.lines[0] = repeated(arena, "x", first + 1);
        assert_false(reply_valid(&reply));
        reply.lines[0] = "x";
        reply.lines[1] = repeated(arena, "x", REPLY_LINE_MAX + 1);
        assert_false(reply_valid(&reply));
    }
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reply),          cmocka_unit_test(test_fold),
        cmocka_unit_test(test_too_many_lines), cmocka_unit_test(test_long_id),
        cmocka_unit_test(test_doubled),        cmocka_unit_test(test_parse_enhanced),
        cmocka_unit_test(test_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
