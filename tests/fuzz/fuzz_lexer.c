/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <postern/arena.h>
#include <postern/options.h>

/*
 * Any bytes as a configuration file: read as tokens, then as one block of options, then as
 * statements of which each is wrong.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct block {
    struct block_head head;
    bool flag;
    int64_t number, time, size, word;
    const char *text;
    struct option_list list;
};

static const struct option_row rows[] = {
    {"flag", OPTION_BOOL, "yes", 0, 0, NULL, NULL, offsetof(struct block, flag), false, ""},
    {"number", OPTION_NUMBER, "5", -10, 10, NULL, NULL, offsetof(struct block, number), false, ""},
    {"time", OPTION_DURATION, "3s", 0, 0, NULL, NULL, offsetof(struct block, time), false, ""},
    {"size", OPTION_SIZE, "1M", 0, 0, NULL, NULL, offsetof(struct block, size), false, ""},
    {"word", OPTION_WORD, "a", 0, 0, NULL, "a bc", offsetof(struct block, word), false, ""},
    {"text", OPTION_TEXT, NULL, 0, 0, NULL, NULL, offsetof(struct block, text), true, ""},
    {"list", OPTION_LIST, NULL, 0, 0, NULL, NULL, offsetof(struct block, list), false, ""},
};

static const struct option_block kind = {
    .kind = "block", .rows = rows, .row_count = 7, .size = sizeof(struct block)};

struct input {
    struct source source;
    struct arena *arena;
    struct diag *diag;
    struct lexer *lexer;
};

static void input_open(struct input *input, const char *text, size_t size)
{
    input->source = (struct source){.path = "fuzz", .text = text, .length = size};
    input->arena = arena_new();
    input->diag = diag_new();
    input->lexer = lexer_new(&input->source, input->arena, input->diag);
}

static void input_close(struct input *input, FILE *out)
{
    diag_print(input->diag, out);
    lexer_free(input->lexer);
    diag_free(input->diag);
    arena_free(input->arena);
}

static void read_tokens(struct lexer *lexer, size_t size)
{
    size_t count = 0;

    for (;;) {
        enum token_kind kinds[2] = {lexer_peek(lexer)->kind, lexer_peek2(lexer)->kind};
        struct token token = lexer_next(lexer);
        assert(token.kind == kinds[0] && lexer_peek(lexer)->kind == kinds[1]);
        if (token.kind == TOKEN_END)
            break;
        assert(++count <= size && token.length == strlen(token.text));
        assert(token.at.line >= 1 && token.at.column >= 1 && token.at.width >= 1);
        assert(token.kind != TOKEN_WORD || lexer_is_bare_word(token.text));
    }
}

/* What was read is printed, and what was printed reads as the same. */
static void read_block(struct input *input)
{
    struct token head = lexer_next(input->lexer);
    const struct block *block = options_parse_block(input->lexer, &kind, &head, "");

    if (diag_errors(input->diag) > 0)
        return;
    for (size_t i = 0; i < kind.row_count; i++) {
        const char *written = options_format(input->arena, &rows[i], block);
        char *statement = arena_printf(input->arena, "%s;", written);
        struct input again;
        struct block other = {0};
        input_open(&again, statement, strlen(statement));
        bool good = options_parse_value(again.lexer, &rows[i], (char *)&other + rows[i].offset);
        assert(good && strcmp(options_format(again.arena, &rows[i], &other), written) == 0);
        (void)good;
        input_close(&again, stderr);
    }
}

static void skip_all(struct lexer *lexer, size_t size)
{
    for (size_t i = 0; lexer_peek(lexer)->kind != TOKEN_END; i++) {
        assert(i <= 2 * size);
        lexer_expect(lexer, TOKEN_SEMICOLON, "';'");
        lexer_skip_statement(lexer);
        lexer_accept(lexer, TOKEN_CLOSE);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input;
    char *printed = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&printed, &length);

    for (int pass = 0; pass < 3; pass++) {
        input_open(&input, (const char *)data, size);
        if (pass == 0)
            read_tokens(input.lexer, size);
        else if (pass == 1)
            read_block(&input);
        else
            skip_all(input.lexer, size);
        input_close(&input, out);
    }
    fclose(out);
    for (size_t i = 0; i < length; i++)
        assert(printed[i] == '\n' || printed[i] == '\t' ||
               (printed[i] >= ' ' && printed[i] <= '~'));
    free(printed);
    return 0;
}
