/* SPDX-License-Identifier: MIT */
#include "policy_private.h"

#include <string.h>

/* The left side of a test.  UNKNOWN: no such fact; reported, and what follows is read without being
 * typed. */
struct subject {
    slot_t slot;
    bool unknown;
    struct place at;
};

/* What stands for a test with an error in it, so that parsing can go on. */
static struct cond *no_test(struct policy_builder *builder, const struct place *at)
{
    builder->failed = true;
    return cond_new(builder, COND_FALSE, at);
}

static struct cond *new_test(struct policy_builder *builder, const struct subject *subject,
                             enum test_kind test, struct operand *operands, size_t count)
{
    struct cond *cond = cond_new(builder, COND_TEST, &subject->at);
    enum fact_type type = builder->layout->slots[subject->slot].type;

    cond->test = test;
    cond->slot = subject->slot;
    cond->operand_count = operands_sort(type, operands, count);
    cond->operands = operands;
    return cond;
}

static const struct slot *slot_of(const struct policy_builder *builder, slot_t slot)
{
    return &builder->layout->slots[slot];
}

static bool is_textual(const struct slot *slot)
{
    return slot->type == FACT_TEXT || slot->type == FACT_DOMAIN || slot->type == FACT_LOCAL_PART ||
           slot->type == FACT_ADDRESS;
}

/* ---- comparisons ---- */

static bool comparison(enum token_kind kind, enum test_kind *test)
{
    switch (kind) {
    case TOKEN_EQ:
    case TOKEN_NE:
        *test = TEST_EQ;
        return true;
    case TOKEN_LT:
        *test = TEST_LT;
        return true;
    case TOKEN_LE:
        *test = TEST_LE;
        return true;
    case TOKEN_GT:
        *test = TEST_GT;
        return true;
    case TOKEN_GE:
        *test = TEST_GE;
        return true;
    default:
        return false;
    }
}

static bool comparable(struct policy_builder *builder, const struct subject *subject,
                       const struct token *operation)
{
    const struct slot *slot = slot_of(builder, subject->slot);

    if (slot->type == FACT_SET) {
        builder_error(builder, &operation->at,
                      "'%s' is a set; write '\"x\" in %s' or '%s in TABLE'", slot->name, slot->name,
                      slot->name);
        return false;
    }
    if (slot->type != FACT_NUMBER && operation->kind != TOKEN_EQ && operation->kind != TOKEN_NE) {
        builder_error(builder, &operation->at, "'%s' compares numbers only, and '%s' is a%s %s",
                      operation->text, slot->name, slot->type == FACT_ADDRESS ? "n" : "",
                      fact_type_name(slot->type));
        return false;
    }
    return true;
}

static struct cond *parse_comparison(struct policy_builder *builder, struct lexer *lexer,
                                     const struct subject *subject, enum test_kind test)
{
    struct token operation = lexer_next(lexer);
    struct operand *operand;
    struct token value;
    struct cond *cond;

    if (!take_text(builder, lexer, true, "a value", &value))
        return NULL;
    if (subject->unknown || !comparable(builder, subject, &operation))
        return no_test(builder, &subject->at);
    operand = arena_alloc(builder->arena, sizeof(*operand));
    if (!operand_read(builder, subject->slot, &value, false, operand))
        return no_test(builder, &subject->at);
    cond = new_test(builder, subject, test, operand, 1);
    return operation.kind == TOKEN_NE ? cond_new_not(builder, cond) : cond;
}

/* ---- in ---- */

/* Past the end of a set in which something else than values stands. */
static void skip_set(struct lexer *lexer)
{
    enum token_kind kind = lexer_peek(lexer)->kind;

    while (kind != TOKEN_CLOSE && kind != TOKEN_SEMICOLON && kind != TOKEN_END &&
           kind != TOKEN_OPEN) {
        lexer_next(lexer);
        kind = lexer_peek(lexer)->kind;
    }
    lexer_accept(lexer, TOKEN_CLOSE);
}

/* "{ a, b }"; its brace is taken. */
static struct cond *parse_set(struct policy_builder *builder, struct lexer *lexer,
                              const struct subject *subject)
{
    struct list operands = {NULL, 0, 0};
    bool good = !subject->unknown;
    struct token value;

    do {
        struct operand operand;

        if (!take_text(builder, lexer, true, "a value", &value)) {
            skip_set(lexer);
            return NULL;
        }
        if (subject->unknown)
            continue;
        if (operand_read(builder, subject->slot, &value, true, &operand))
            *(struct operand *)list_add(builder->arena, &operands, sizeof(operand)) = operand;
        else
            good = false;
    } while (lexer_accept(lexer, TOKEN_COMMA));
    if (!lexer_expect(lexer, TOKEN_CLOSE, "',' or '}'")) {
        builder->failed = true;
        skip_set(lexer);
        return NULL;
    }
    if (!good)
        return no_test(builder, &subject->at);
    return new_test(builder, subject, TEST_IN, operands.items, operands.count);
}

static struct cond *in_table(struct policy_builder *builder, const struct subject *subject,
                             const struct token *table)
{
    const struct slot *slot = slot_of(builder, subject->slot);
    struct subject derived = *subject;
    struct net net;
    bool had_host_bits;

    if (layout_find(builder->facts, table->text) != SLOT_NONE) {
        builder_error(builder, &table->at,
                      "'%s' is a fact, and facts cannot be compared with each other", table->text);
        return no_test(builder, &subject->at);
    }
    if (slot->type == FACT_IP && net_parse(table->text, &net, &had_host_bits)) {
        builder_error(builder, &table->at, "one network stands in braces, too: '%s in { %s }'",
                      slot->name, table->text);
        return no_test(builder, &subject->at);
    }
    if (!is_textual(slot) && slot->type != FACT_IP && slot->type != FACT_SET) {
        builder_error(builder, &table->at,
                      "'%s' is a %s and cannot be looked up in a table; write '%s in { ... }'",
                      slot->name, fact_type_name(slot->type), slot->name);
        return no_test(builder, &subject->at);
    }
    derived.slot = builder_derive(
        builder,
        (struct derived){.kind = DERIVED_IN_TABLE, .subject = subject->slot, .table = table->text},
        arena_printf(builder->arena, "%s in %s", slot->name, table->text), &table->at);
    return new_test(builder, &derived, TEST_TRUE, NULL, 0);
}

/* What follows "in". */
static struct cond *parse_in(struct policy_builder *builder, struct lexer *lexer,
                             const struct subject *subject)
{
    struct token table;

    if (lexer_accept(lexer, TOKEN_OPEN))
        return parse_set(builder, lexer, subject);
    if (!take_text(builder, lexer, false, "a table or '{'", &table))
        return NULL;
    if (subject->unknown)
        return no_test(builder, &subject->at);
    return in_table(builder, subject, &table);
}

/* Whether the fact is a table of several columns, which no test can ask; reports it. */
static bool is_rows(struct policy_builder *builder, slot_t slot, const struct token *name)
{
    if (slot_of(builder, slot)->type != FACT_ROWS)
        return false;
    builder_error(builder, &name->at,
                  "'%s' is a table for records and explain; no condition can test it", name->text);
    return true;
}

/* `"x" in SET-FACT`: the value is taken. */
static struct cond *parse_has(struct policy_builder *builder, struct lexer *lexer,
                              const struct token *value)
{
    struct operand *operand = arena_alloc(builder->arena, sizeof(*operand));
    struct subject subject = {.at = value->at};
    struct token name;

    if (!token_is(lexer_peek(lexer), "in")) {
        lexer_expect(lexer, TOKEN_BAD, "'in' and a set fact");
        builder->failed = true;
        return NULL;
    }
    lexer_next(lexer);
    if (!take_text(builder, lexer, false, "a set fact", &name))
        return NULL;
    subject.slot = layout_find(builder->facts, name.text);
    if (subject.slot == SLOT_NONE) {
        builder_error(builder, &name.at, "unknown fact '%s'%s", name.text,
                      builder_nearest(builder, name.text, false));
        return no_test(builder, &value->at);
    }
    if (is_rows(builder, subject.slot, &name))
        return no_test(builder, &value->at);
    if (slot_of(builder, subject.slot)->type != FACT_SET) {
        builder_error(builder, &name.at, "'%s' is no set; write '%s == \"%s\"'", name.text,
                      name.text, value->text);
        return no_test(builder, &value->at);
    }
    operand_read(builder, subject.slot, value, false, operand);
    return new_test(builder, &subject, TEST_HAS, operand, 1);
}

/* ---- matches ---- */

/* Whether a pattern is written as Postfix's and Perl's are, /.../ with flags behind it. */
static bool stands_in_slashes(const char *text)
{
    const char *last = strrchr(text, '/');

    return text[0] == '/' && last > text && strspn(last + 1, "imsx") == strlen(last + 1);
}

static struct cond *parse_matches(struct policy_builder *builder, struct lexer *lexer,
                                  const struct subject *subject)
{
    struct subject derived = *subject;
    struct derived wanted = {.kind = DERIVED_MATCHES, .subject = subject->slot};
    struct token text;
    const struct slot *slot;
    const char *problem, *name;
    size_t offset;

    if (!take_text(builder, lexer, true, "a regular expression in single quotes", &text))
        return NULL;
    if (subject->unknown)
        return no_test(builder, &subject->at);
    slot = slot_of(builder, subject->slot);
    if (!is_textual(slot)) {
        builder_error(builder, &text.at, "'%s' is a %s, and patterns match texts only%s",
                      slot->name, fact_type_name(slot->type),
                      slot->type == FACT_IP ? "; write 'in { NETWORK }'" : "");
        return no_test(builder, &subject->at);
    }
    name = arena_printf(builder->arena, "%s matches '%s'", slot->name, text.text);
    if (!builder_has(builder, name)) {
        wanted.pattern =
            pattern_new(builder->arena, text.text, slot->type != FACT_TEXT, &problem, &offset);
        if (wanted.pattern == NULL) {
            builder_error(builder, &text.at, "bad regular expression at its character %zu: %s",
                          offset + 1, problem);
            return no_test(builder, &subject->at);
        }
    }
    if (stands_in_slashes(text.text))
        builder_warning(builder, &text.at,
                        "the slashes of '%s' are part of the expression, and must stand in the "
                        "text; leave them out, and begin with (?i) to match without case",
                        text.text);
    derived.slot = builder_derive(builder, wanted, name, &text.at);
    return new_test(builder, &derived, TEST_TRUE, NULL, 0);
}

/* ---- subjects ---- */

static void unknown_fact(struct policy_builder *builder, const struct token *name)
{
    if (name_index_find(builder->condition_names, name->text) != NAME_NONE)
        builder_error(builder, &name->at, "'%s' is a condition and can only stand alone",
                      name->text);
    else
        builder_error(builder, &name->at, "unknown fact '%s'%s", name->text,
                      builder_nearest(builder, name->text, false));
}

static void find_subject(struct policy_builder *builder, const struct token *name,
                         struct subject *subject)
{
    subject->at = name->at;
    subject->slot = layout_find(builder->facts, name->text);
    subject->unknown = subject->slot == SLOT_NONE;
    if (subject->unknown) {
        unknown_fact(builder, name);
    } else {
        subject->unknown = is_rows(builder, subject->slot, name);
    }
}

/* lookup(TABLE, FACT); the word is taken. */
static bool parse_lookup(struct policy_builder *builder, struct lexer *lexer,
                         struct subject *subject)
{
    struct token table, name;
    const struct slot *slot;

    lexer_next(lexer);
    if (!take_text(builder, lexer, false, "a table", &table))
        return false;
    if (!lexer_expect(lexer, TOKEN_COMMA, "',' and a fact") ||
        !take_text(builder, lexer, false, "a fact", &name) ||
        !lexer_expect(lexer, TOKEN_RIGHT, "')'")) {
        builder->failed = true;
        return false;
    }
    find_subject(builder, &name, subject);
    if (subject->unknown)
        return true;
    slot = slot_of(builder, subject->slot);
    if (!is_textual(slot) && slot->type != FACT_IP) {
        builder_error(builder, &name.at, "'%s' is a %s and cannot be looked up in a table",
                      name.text, fact_type_name(slot->type));
        subject->unknown = true;
        return true;
    }
    subject->slot = builder_derive(
        builder,
        (struct derived){.kind = DERIVED_LOOKUP, .subject = subject->slot, .table = table.text},
        arena_printf(builder->arena, "lookup(%s, %s)", table.text, name.text), &table.at);
    return true;
}

/* header('Name'); the word is taken. */
static bool parse_header(struct policy_builder *builder, struct lexer *lexer,
                         struct subject *subject)
{
    struct token name;
    char *lower;
    size_t i;

    lexer_next(lexer);
    if (!take_text(builder, lexer, true, "the name of a header field", &name))
        return false;
    if (!lexer_expect(lexer, TOKEN_RIGHT, "')'")) {
        builder->failed = true;
        return false;
    }
    lower = arena_strdup(builder->arena, name.text);
    for (i = 0; lower[i] != '\0'; i++) {
        if (lower[i] <= ' ' || lower[i] > '~' || lower[i] == ':') {
            builder_error(builder, &name.at, "'%s' is no name of a header field", name.text);
            subject->unknown = true;
            return true;
        }
        if (lower[i] >= 'A' && lower[i] <= 'Z')
            lower[i] = (char)(lower[i] - 'A' + 'a');
    }
    if (i == 0) {
        builder_error(builder, &name.at, "the name of a header field is missing");
        subject->unknown = true;
        return true;
    }
    subject->slot = builder_derive(
        builder,
        (struct derived){.kind = DERIVED_HEADER, .subject = SLOT_NONE, .header = name.text},
        arena_printf(builder->arena, "header('%s')", lower), &name.at);
    return true;
}

/* ---- tests ---- */

/* Whether a word stands where a comparison would. */
static bool is_stray(const struct token *next)
{
    return next->kind == TOKEN_WORD && !token_is(next, "and") && !token_is(next, "or") &&
           !token_is(next, "not");
}

/* Names what is written for it here. */
static void report_stray(struct policy_builder *builder, const struct token *word)
{
    static const struct {
        const char *word, *remedy;
    } rows[] = {
        {"is", "; equality is '=='"},
        {"eq", "; equality is '=='"},
        {"equals", "; equality is '=='"},
        {"contains", "; write: matches 'REGEX'"},
        {"like", "; write: matches 'REGEX'"},
        {"match", "; write: matches 'REGEX'"},
        {"exists", "; what is not there is the empty text: != \"\""},
        {"+", "; facts are not added up"},
        {"-", "; facts are not added up"},
        {"*", "; facts are not added up"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (token_is(word, rows[i].word)) {
            builder_error(builder, &word->at, "'%s' is no comparison%s", word->text,
                          rows[i].remedy);
            return;
        }
    }
    builder_error(builder, &word->at,
                  "expected ==, !=, <, <=, >, >=, in, not in or matches, found '%s'", word->text);
}

/* A fact that stands alone. */
static struct cond *bare_fact(struct policy_builder *builder, struct lexer *lexer,
                              const struct subject *subject)
{
    const struct slot *slot;

    if (subject->unknown)
        return no_test(builder, &subject->at);
    slot = slot_of(builder, subject->slot);
    if (slot->type == FACT_BOOL)
        return new_test(builder, subject, TEST_TRUE, NULL, 0);
    if (is_stray(lexer_peek(lexer))) {
        report_stray(builder, lexer_peek(lexer));
        builder->failed = true;
        return NULL;
    }
    builder_error(builder, &subject->at,
                  "'%s' is a%s %s and says neither true nor false; compare it with something",
                  slot->name, slot->type == FACT_ADDRESS || slot->type == FACT_IP ? "n" : "",
                  fact_type_name(slot->type));
    return no_test(builder, &subject->at);
}

/* Takes the "not" of "not in". */
static bool take_not(struct lexer *lexer)
{
    if (!token_is(lexer_peek(lexer), "not") || !token_is(lexer_peek2(lexer), "in"))
        return false;
    lexer_next(lexer);
    return true;
}

static struct cond *negate(struct policy_builder *builder, struct cond *cond, bool negated)
{
    return cond != NULL && negated ? cond_new_not(builder, cond) : cond;
}

/* What follows the subject of a test; NEGATED: "not" was taken. */
static struct cond *parse_rest(struct policy_builder *builder, struct lexer *lexer,
                               const struct subject *subject, bool negated)
{
    const struct token *next = lexer_peek(lexer);
    enum test_kind test;

    if (comparison(next->kind, &test))
        return parse_comparison(builder, lexer, subject, test);
    negated = negated || take_not(lexer);
    next = lexer_peek(lexer);
    if (token_is(next, "in")) {
        lexer_next(lexer);
        return negate(builder, parse_in(builder, lexer, subject), negated);
    }
    if (token_is(next, "matches")) {
        lexer_next(lexer);
        return parse_matches(builder, lexer, subject);
    }
    return bare_fact(builder, lexer, subject);
}

/* A bare word that is no fact and stands alone: the name of a condition. */
static struct cond *refer(struct policy_builder *builder, const struct token *name)
{
    struct cond *cond = cond_new(builder, COND_TEST, &name->at);
    struct reference *reference;

    reference = list_add(builder->arena, &builder->references, sizeof(*reference));
    reference->node = cond;
    reference->at = name->at;
    cond->reference = name->text;
    return cond;
}

static bool is_set_fact(const struct policy_builder *builder, const struct token *token)
{
    slot_t slot = token->kind == TOKEN_WORD ? layout_find(builder->facts, token->text) : SLOT_NONE;

    return slot != SLOT_NONE && slot_of(builder, slot)->type == FACT_SET;
}

/* A test that begins with a bare word that is no fact. */
static struct cond *parse_other_word(struct policy_builder *builder, struct lexer *lexer,
                                     const struct token *word)
{
    struct subject subject = {.slot = SLOT_NONE, .unknown = true, .at = word->at};
    bool negated = take_not(lexer);
    const struct token *next = lexer_peek(lexer);
    enum test_kind test;

    if (token_is(next, "in") && is_set_fact(builder, lexer_peek2(lexer)))
        return negate(builder, parse_has(builder, lexer, word), negated);
    if (!comparison(next->kind, &test) && !token_is(next, "in") && !token_is(next, "matches"))
        return refer(builder, word);
    unknown_fact(builder, word);
    return parse_rest(builder, lexer, &subject, negated);
}

static struct cond *parse_word(struct policy_builder *builder, struct lexer *lexer)
{
    struct token word = lexer_next(lexer);
    struct subject subject = {.at = word.at};
    bool call = lexer_peek(lexer)->kind == TOKEN_LEFT;

    if (call && token_is(&word, "lookup"))
        return parse_lookup(builder, lexer, &subject) ? parse_rest(builder, lexer, &subject, false)
                                                      : NULL;
    if (call && token_is(&word, "header"))
        return parse_header(builder, lexer, &subject) ? parse_rest(builder, lexer, &subject, false)
                                                      : NULL;
    if (token_is(&word, "true") || token_is(&word, "false"))
        return cond_new(builder, token_is(&word, "true") ? COND_TRUE : COND_FALSE, &word.at);
    if (lexer_peek(lexer)->kind == TOKEN_BAD) {
        /* `helo = x`: that has been reported, and says enough. */
        builder->failed = true;
        return NULL;
    }
    subject.slot = layout_find(builder->facts, word.text);
    if (subject.slot != SLOT_NONE) {
        subject.unknown = is_rows(builder, subject.slot, &word);
        return parse_rest(builder, lexer, &subject, false);
    }
    return parse_other_word(builder, lexer, &word);
}

struct cond *parse_test(struct policy_builder *builder, struct lexer *lexer)
{
    const struct token *next = lexer_peek(lexer);
    struct token value;
    bool negated;

    if (next->kind == TOKEN_STRING || next->kind == TOKEN_RAW) {
        value = lexer_next(lexer);
        negated = take_not(lexer);
        return negate(builder, parse_has(builder, lexer, &value), negated);
    }
    if (next->kind != TOKEN_WORD || token_is(next, "and") || token_is(next, "or") ||
        token_is(next, "in") || token_is(next, "matches")) {
        lexer_expect(lexer, TOKEN_BAD, "a condition");
        builder->failed = true;
        return NULL;
    }
    return parse_word(builder, lexer);
}
