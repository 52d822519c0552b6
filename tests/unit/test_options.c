/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <postern/arena.h>
#include <postern/options.h>
#include <postern/str.h>

struct block {
    struct block_head head;
    bool flag;
    int64_t number, share, time, size, perm, word, any;
    const char *text, *zone, *table;
    struct option_list list, words;
    unsigned checked;
};

static const struct option_row rows[] = {
    {"flag", OPTION_BOOL, "yes", 0, 0, NULL, NULL, offsetof(struct block, flag), false, "a"},
    {"number", OPTION_NUMBER, "5", -10, 10, NULL, NULL, offsetof(struct block, number), false, "b"},
    {"share", OPTION_PERCENT, "20%", 0, 0, NULL, NULL, offsetof(struct block, share), false, "c"},
    {"time", OPTION_DURATION, "3s", 100, 86400000, NULL, NULL, offsetof(struct block, time), false,
     "d"},
    {"size", OPTION_SIZE, "32M", 1024, 0x7fffffffff, NULL, NULL, offsetof(struct block, size),
     false, "e"},
    {"perm", OPTION_OCTAL, "0660", 0, 0, NULL, NULL, offsetof(struct block, perm), false, "f"},
    {"word", OPTION_WORD, "rcpt", 0, 0, NULL, "mail rcpt", offsetof(struct block, word), false,
     "g"},
    {"text", OPTION_TEXT, "\"\"", 0, 0, NULL, NULL, offsetof(struct block, text), false, "h"},
    {"zone", OPTION_TEXT, NULL, 0, 0, NULL, NULL, offsetof(struct block, zone), true, "the zone"},
    {"table", OPTION_TABLE, "ours", 0, 0, NULL, NULL, offsetof(struct block, table), false, "i"},
    {"list", OPTION_LIST, NULL, 0, 0, NULL, NULL, offsetof(struct block, list), false, "j"},
    {"words", OPTION_LIST, "a b.c", 0, 0, NULL, NULL, offsetof(struct block, words), false, "k"},
    {"any", OPTION_NUMBER, NULL, 0, 0, NULL, NULL, offsetof(struct block, any), false, "l"},
};

enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]) };

static void check(void *block, struct arena *arena, struct diag *diag)
{
    (void)arena;
    (void)diag;
    ((struct block *)block)->checked++;
}

static const struct option_block kind = {
    .kind = "dnsbl",
    .named = true,
    .repeatable = true,
    .rows = rows,
    .row_count = ROW_COUNT,
    .size = sizeof(struct block),
    .check = check,
    .help = "a list",
};

struct fixture {
    struct source source;
    struct arena *arena;
    struct diag *diag;
    struct lexer *lexer;
};

static struct fixture *open_text(const char *text)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->source = (struct source){.path = "f", .text = text, .length = strlen(text)};
    f->arena = arena_new();
    f->diag = diag_new();
    f->lexer = lexer_new(&f->source, f->arena, f->diag);
    return f;
}

static void close_fixture(struct fixture *f)
{
    lexer_free(f->lexer);
    diag_free(f->diag);
    arena_free(f->arena);
    free(f);
}

/* Parses "dnsbl NAME { ... }". */
static struct block *parse(struct fixture *f)
{
    struct token head = lexer_next(f->lexer);
    const char *name = "";

    if (lexer_peek(f->lexer)->kind == TOKEN_WORD)
        name = lexer_next(f->lexer).text;
    return options_parse_block(f->lexer, &kind, &head, name);
}

static const struct option_row *row_of(const char *name)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    }
    fail_msg("no row %s", name);
    return NULL;
}

static void test_defaults(void **state)
{
    struct arena *arena = arena_new();
    const struct block *block = options_defaults(&kind, arena);

    (void)state;
    assert_string_equal(block->head.name, "");
    assert_int_equal(block->head.set, 0);
    assert_true(block->flag);
    assert_int_equal(block->number, 5);
    assert_int_equal(block->share, 20);
    assert_int_equal(block->time, 3000);
    assert_int_equal(block->size, 32 << 20);
    assert_int_equal(block->perm, 0660);
    assert_int_equal(block->word, 1);
    assert_string_equal(block->text, "");
    assert_null(block->zone);
    assert_string_equal(block->table, "ours");
    assert_int_equal(block->list.count, 0);
    assert_int_equal(block->words.count, 2);
    assert_string_equal(block->words.items[0], "a");
    assert_string_equal(block->words.items[1], "b.c");
    assert_null(block->words.items[2]);
    assert_int_equal(block->any, 0);
    arena_free(arena);
}

/* A statement, and the value as it would be written. */
static const struct {
    const char *row, *written, *formatted;
} values[] = {
    {"flag", "yes;", "yes"},
    {"flag", "no;", "no"},
    {"number", "-10;", "-10"},
    {"number", "10;", "10"},
    {"any", "-9223372036854775808;", "-9223372036854775808"},
    {"any", "9223372036854775807;", "9223372036854775807"},
    {"share", "0%;", "0%"},
    {"share", "100%;", "100%"},
    {"time", "100ms;", "100ms"},
    {"time", "1500ms;", "1500ms"},
    {"time", "3000ms;", "3s"},
    {"time", "90s;", "90s"},
    {"time", "120s;", "2m"},
    {"time", "60m;", "1h"},
    {"time", "24h;", "1d"},
    {"time", "1d;", "1d"},
    {"size", "1024;", "1K"},
    {"size", "1025;", "1025"},
    {"size", "64K;", "64K"},
    {"size", "1024M;", "1G"},
    {"perm", "0660;", "0660"},
    {"perm", "7777;", "07777"},
    {"perm", "0;", "00"},
    {"word", "mail;", "mail"},
    {"word", "rcpt;", "rcpt"},
    {"text", "bare.word;", "bare.word"},
    {"text", "\"a \\\"b\\\" \\\\c\";", "\"a \\\"b\\\" \\\\c\""},
    {"text", "'a\\b';", "\"a\\\\b\""},
    {"text", "\"\";", "\"\""},
    {"table", "users;", "users"},
    {"list", "127.0.0.2-11 127.0.0.20;", "127.0.0.2-11 127.0.0.20"},
    {"list", "one;", "one"},
    {"list", "a\n   b\n c;", "a b c"},
    {"list", "{ a; \"b c\"; 'd'; }", "a \"b c\" d"},
    {"list", "{ a; };", "a"},
    {"list", "{ }", "{ }"},
};

static void test_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct str text = {0};
        str_add_format(&text, "%s next", values[i].written);
        struct fixture *f = open_text(str_text(&text));
        const struct option_row *row = row_of(values[i].row);
        struct block block = {0};
        if (!options_parse_value(f->lexer, row, (char *)&block + row->offset))
            fail_msg("row %zu: %s", i, diag_line(f->diag, 0));
        assert_int_equal(diag_errors(f->diag), 0);
        assert_true(token_is(lexer_peek(f->lexer), "next"));
        const char *formatted = options_format(f->arena, row, &block);
        assert_string_equal(formatted, values[i].formatted);

        /* What was printed reads back as the same. */
        struct str again = {0};
        str_add_format(&again, "%s;", formatted);
        struct fixture *g = open_text(str_text(&again));
        struct block other = {0};
        assert_true(options_parse_value(g->lexer, row, (char *)&other + row->offset));
        assert_string_equal(options_format(g->arena, row, &other), formatted);
        close_fixture(g);
        close_fixture(f);
        str_free(&again);
        str_free(&text);
    }
}

static const struct {
    const char *row, *written, *error;
} wrong[] = {
    {"flag", "on;", "f:1:1: error: flag: expected yes or no, not 'on'"},
    {"flag", "\"yes\";", "f:1:1: error: expected yes or no, found a string"},
    {"flag", ";", "f:1:1: error: expected yes or no, found ';'"},
    {"number", "five;", "f:1:1: error: number: expected a whole number, not 'five'"},
    {"number", "5x;", "f:1:1: error: number: expected a whole number, not '5x'"},
    {"number", "+5;", "f:1:1: error: number: expected a whole number, not '+5'"},
    {"number", "-;", "f:1:1: error: number: expected a whole number, not '-'"},
    {"number", "11;", "f:1:1: error: number: 11 is out of range, which is -10 to 10"},
    {"number", "-11;", "f:1:1: error: number: -11 is out of range, which is -10 to 10"},
    {"any", "9223372036854775808;",
     "f:1:1: error: any: expected a whole number, not '9223372036854775808'"},
    {"share", "20;", "f:1:1: error: share: expected a percentage like 20%, not '20'"},
    {"share", "101%;", "f:1:1: error: share: 101% is out of range, which is 0% to 100%"},
    {"time", "3;",
     "f:1:1: error: time: expected a duration with its unit: ms, s, m, h or d, not '3'"},
    {"time", "3sec;",
     "f:1:1: error: time: expected a duration with its unit: ms, s, m, h or d, not '3sec'"},
    {"time", "-3s;",
     "f:1:1: error: time: expected a duration with its unit: ms, s, m, h or d, not '-3s'"},
    {"time", "99ms;", "f:1:1: error: time: 99ms is out of range, which is 100ms to 1d"},
    {"time", "0;", "f:1:1: error: time: 0 is out of range, which is 100ms to 1d"},
    {"time", "9223372036854775807d;",
     "f:1:1: error: time: expected a duration with its unit: ms, s, m, h or d, not "
     "'9223372036854775807d'"},
    {"size", "32MB;",
     "f:1:1: error: size: expected a size in bytes, or with K, M or G behind it, not '32MB'"},
    {"size", "1;", "f:1:1: error: size: 1 is out of range, which is 1K to 549755813887"},
    {"perm", "0680;",
     "f:1:1: error: perm: expected file permissions in octal like 0660, not '0680'"},
    {"perm", "10000;", "f:1:1: error: perm: 10000 is out of range, which is 00 to 07777"},
    {"word", "mial;", "f:1:1: error: word: unknown word 'mial'; did you mean 'mail'?"},
    {"word", "x;", "f:1:1: error: word: expected mail or rcpt, not 'x'"},
    {"text", "a b;", "f:1:3: error: expected ';', found 'b'"},
    {"text", "{ a; }", "f:1:1: error: expected a word or string, found '{'"},
    {"table", "\"a\";", "f:1:1: error: expected the name of a table, found a string"},
    {"list", ";", "f:1:1: error: expected at least one value, found ';'"},
    {"list", "a, b;", "f:1:2: error: values of a list stand side by side, without commas"},
    {"list", "{ a b; }", "f:1:5: error: expected ';' behind each value, found 'b'"},
    {"list", "{ a, b }", "f:1:4: error: expected ';' behind each value, found ','"},
    {"list", "{ { a; } }", "f:1:3: error: expected a value or '}', found '{'"},
};

/* Each is one error, the member keeps its value, and the parser stands at the next statement. */
static void test_wrong_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const struct option_row *row = row_of(wrong[i].row);
        struct fixture *f = open_text(wrong[i].written);
        struct block *block = options_defaults(&kind, f->arena);
        const char *before = options_format(f->arena, row, block);
        assert_false(options_parse_value(f->lexer, row, (char *)block + row->offset));
        assert_int_equal(diag_errors(f->diag), 1);
        assert_string_equal(diag_line(f->diag, 0), wrong[i].error);
        if (row->type != OPTION_TEXT)
            assert_string_equal(options_format(f->arena, row, block), before);
        enum token_kind rest = lexer_next(f->lexer).kind;
        assert_true(rest == TOKEN_END || rest == TOKEN_CLOSE);
        close_fixture(f);
    }
}

static void test_block(void **state)
{
    struct fixture *f = open_text("dnsbl zen { zone zen.example; flag no;\n"
                                  " list { a; b; } number -3; } after");
    const struct block *block = parse(f);

    (void)state;
    assert_int_equal(diag_errors(f->diag), 0);
    assert_string_equal(block->head.name, "zen");
    assert_int_equal(block->head.at.line, 1);
    assert_int_equal(block->head.set, 1u << 8 | 1u << 0 | 1u << 10 | 1u << 1);
    assert_string_equal(block->zone, "zen.example");
    assert_false(block->flag);
    assert_int_equal(block->number, -3);
    assert_int_equal(block->share, 20);
    assert_int_equal(block->list.count, 2);
    assert_string_equal(block->list.items[1], "b");
    assert_null(block->list.items[2]);
    assert_int_equal(block->list.places[1].line, 2);
    assert_int_equal(block->list.places[1].column, 12);
    assert_int_equal(block->checked, 1);
    assert_true(token_is(lexer_peek(f->lexer), "after"));
    close_fixture(f);
}

/* A block, its errors (each a part of the message, in order). */
static const struct {
    const char *text;
    const char *errors[4];
} blocks[] = {
    {"dnsbl z { }", {"f:1:1: error: dnsbl 'z' needs 'zone' (the zone)"}},
    {"dnsbl { }", {"f:1:1: error: dnsbl needs 'zone' (the zone)"}},
    {"dnsbl z { zone a; nubmer 5; }",
     {"f:1:19: error: unknown option 'nubmer' of 'dnsbl'; did you "
      "mean 'number'?"}},
    {"dnsbl z { zone a; xyzzy { q; r; } flag maybe; }",
     {"f:1:19: error: unknown option 'xyzzy' of 'dnsbl'", "flag: expected yes or no"}},
    {"dnsbl z { zone a; flag yes;\n flag yes; }",
     {"f:2:2: error: 'flag' is set twice; first in line "
      "1"}},
    {"dnsbl z { zone a; list b; list c; }",
     {"'list' is set twice; first in line 1; put all values "
      "into one statement"}},
    /* A value that does not fit is not missing too. */
    {"dnsbl z { zone ; }", {"expected a word or string, found ';'"}},
    {"dnsbl z { zone a; \"flag\" yes; number 99; }",
     {"expected the name of an option or '}', found a string", "number: 99 is out of range"}},
    /* A forgotten ';' at the end of a line costs nothing else. */
    {"dnsbl z { zone a\n number 99;\n list b c\n flag maybe;\n}",
     {"f:1:17: error: expected ';'", "f:2:9: error: number: 99", "f:3:10: error: expected ';'",
      "f:4:7: error: flag: expected yes or no"}},
    {"dnsbl z { zone a; flag yes",
     {"f:1:27: error: expected ';', found the end of the file",
      "f:1:1: error: the block of this 'dnsbl' has no closing '}'"}},
    {"dnsbl z zone a;", {"f:1:9: error: expected '{', found 'zone'"}},
};

static void test_block_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        struct fixture *f = open_text(blocks[i].text);
        const struct block *block = parse(f);
        unsigned count = 0;
        for (; count < 4 && blocks[i].errors[count] != NULL; count++) {
            const char *line = diag_line(f->diag, count);
            if (line == NULL || strstr(line, blocks[i].errors[count]) == NULL)
                fail_msg("row %zu: %s", i, line != NULL ? line : "too few errors");
        }
        if (diag_errors(f->diag) != count)
            fail_msg("row %zu: then %s", i, diag_line(f->diag, count));
        assert_int_equal(block->checked, 0);
        assert_int_equal(lexer_peek(f->lexer)->kind, TOKEN_END);
        close_fixture(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),     cmocka_unit_test(test_values),
        cmocka_unit_test(test_wrong_values), cmocka_unit_test(test_block),
        cmocka_unit_test(test_block_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
