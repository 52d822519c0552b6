/* SPDX-License-Identifier: MIT */
#include "policy_private.h"

#include <string.h>
#include <strings.h>

static struct cond *parse_or(struct policy_builder *builder, struct lexer *lexer);

struct cond *cond_new(struct policy_builder *builder, enum cond_kind kind, const struct place *at)
{
    struct cond *cond = arena_alloc(builder->arena, sizeof(*cond));

    cond->kind = kind;
    cond->at = *at;
    cond->slot = SLOT_NONE;
    return cond;
}

struct cond *cond_new_not(struct policy_builder *builder, struct cond *part)
{
    struct cond *cond = cond_new(builder, COND_NOT, &part->at);
    const struct cond **parts = arena_alloc(builder->arena, sizeof(struct cond *));

    parts[0] = part;
    cond->parts = parts;
    cond->part_count = 1;
    return cond;
}

/* ---- and, or, not ---- */

/* Whether WORD is next.  In capital letters it is an error, and is read as what it means. */
static bool next_is(struct policy_builder *builder, struct lexer *lexer, const char *word)
{
    const struct token *next = lexer_peek(lexer);

    if (next->kind != TOKEN_WORD || strcasecmp(next->text, word) != 0)
        return false;
    if (strcmp(next->text, word) != 0)
        builder_error(builder, &next->at, "'%s' is written in small letters: %s", next->text, word);
    return true;
}

static struct cond *parse_not(struct policy_builder *builder, struct lexer *lexer)
{
    const struct token *next = lexer_peek(lexer);
    struct cond *cond;

    if (next->kind != TOKEN_LEFT && !next_is(builder, lexer, "not"))
        return parse_test(builder, lexer);
    if (builder->depth == COND_DEPTH_MAX) {
        builder_error(builder, &next->at, "conditions cannot be nested more than %d deep",
                      COND_DEPTH_MAX);
        return NULL;
    }
    builder->depth++;
    if (lexer_accept(lexer, TOKEN_LEFT)) {
        cond = parse_or(builder, lexer);
        if (cond != NULL && !lexer_expect(lexer, TOKEN_RIGHT, "'and', 'or' or ')'")) {
            builder->failed = true;
            cond = NULL;
        }
    } else {
        lexer_next(lexer);
        cond = parse_not(builder, lexer);
        if (cond != NULL)
            cond = cond_new_not(builder, cond);
    }
    builder->depth--;
    return cond;
}

/* Parts with WORD between them. */
static struct cond *parse_parts(struct policy_builder *builder, struct lexer *lexer,
                                enum cond_kind kind, const char *word,
                                struct cond *(*parse)(struct policy_builder *, struct lexer *))
{
    struct list parts = {NULL, 0, 0};
    struct cond *part = parse(builder, lexer);
    struct cond *cond;

    if (part == NULL || !next_is(builder, lexer, word))
        return part;
    cond = cond_new(builder, kind, &part->at);
    *(struct cond **)list_add(builder->arena, &parts, sizeof(struct cond *)) = part;
    do {
        lexer_next(lexer);
        part = parse(builder, lexer);
        if (part == NULL)
            return NULL;
        *(struct cond **)list_add(builder->arena, &parts, sizeof(struct cond *)) = part;
    } while (next_is(builder, lexer, word));
    cond->parts = parts.items;
    cond->part_count = parts.count;
    return cond;
}

static struct cond *parse_and(struct policy_builder *builder, struct lexer *lexer)
{
    return parse_parts(builder, lexer, COND_AND, "and", parse_not);
}

static struct cond *parse_or(struct policy_builder *builder, struct lexer *lexer)
{
    return parse_parts(builder, lexer, COND_OR, "or", parse_and);
}

bool parse_condition(struct policy_builder *builder, struct lexer *lexer, struct reading_cond *cond)
{
    bool failed_before = builder->failed;

    builder->failed = false;
    builder->depth = 0;
    cond->first_reference = builder->references.count;
    cond->when = parse_or(builder, lexer);
    cond->references = builder->references.count - cond->first_reference;
    if (builder->failed) {
        cond->when = NULL;
        cond->references = 0;
        builder->references.count = cond->first_reference;
    }
    builder->failed = builder->failed || failed_before;
    return cond->when != NULL;
}

const struct cond *policy_parse_condition(struct policy_builder *builder, struct lexer *lexer)
{
    struct reading_cond cond;

    if (!parse_condition(builder, lexer, &cond))
        return NULL;
    *(struct reading_cond *)list_add(builder->arena, &builder->loose, sizeof(cond)) = cond;
    return cond.when;
}

static bool is_reserved(const char *name)
{
    static const char *const words[] = {"and",  "or",    "not",    "in",    "matches",
                                        "true", "false", "lookup", "header"};
    size_t i;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(name, words[i]) == 0)
            return true;
    }
    return false;
}

static bool name_condition(struct policy_builder *builder, const struct token *name)
{
    uint32_t number = (uint32_t)builder->conditions.count;
    struct named_cond *named;

    if (!good_name(name->text) || is_reserved(name->text)) {
        builder_error(builder, &name->at, "'%s' cannot be the name of a condition", name->text);
        return false;
    }
    if (layout_find(builder->facts, name->text) != SLOT_NONE) {
        builder_error(builder, &name->at, "'%s' is a fact; give the condition another name",
                      name->text);
        return false;
    }
    if (!name_index_add(builder->condition_names, name->text, number)) {
        number = name_index_find(builder->condition_names, name->text);
        named = (struct named_cond *)builder->conditions.items + number;
        builder_error(builder, &name->at, "there is a condition '%s' already, at %s", name->text,
                      place_text(builder->arena, &named->at));
        return false;
    }
    named = list_add(builder->arena, &builder->conditions, sizeof(*named));
    named->name = name->text;
    named->at = name->at;
    return true;
}

void policy_parse_named(struct policy_builder *builder, struct lexer *lexer,
                        const struct token *head)
{
    struct reading_cond cond;
    struct token name;

    (void)head;
    if (!take_text(builder, lexer, false, "the name of the condition", &name)) {
        lexer_skip_statement(lexer);
        return;
    }
    if (!name_condition(builder, &name)) {
        lexer_skip_statement(lexer);
        return;
    }
    if (!lexer_expect(lexer, TOKEN_OPEN, "'{'")) {
        builder->failed = true;
        lexer_skip_statement(lexer);
        return;
    }
    if (parse_condition(builder, lexer, &cond)) {
        struct named_cond *named = builder->conditions.items;

        named[builder->conditions.count - 1].cond = cond;
        lexer_accept(lexer, TOKEN_SEMICOLON);
    } else {
        lexer_skip_statement(lexer);
    }
    if (!lexer_expect(lexer, TOKEN_CLOSE, "'and', 'or' or '}'")) {
        builder->failed = true;
        lexer_skip_statement(lexer);
        lexer_accept(lexer, TOKEN_CLOSE);
    }
}
