/* SPDX-License-Identifier: MIT */
#include "policy_private.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include <postern/words.h>

void *list_add(struct arena *arena, struct list *list, size_t size)
{
    if (list->count == list->room) {
        void *items;

        list->room = 2 * list->room + 8;
        items = arena_alloc(arena, list->room * size);
        if (list->count != 0)
            memcpy(items, list->items, list->count * size);
        list->items = items;
    }
    return (char *)list->items + list->count++ * size;
}

void builder_error(struct policy_builder *builder, const struct place *at, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    diag_error(builder->diag, at, "%s", arena_vprintf(builder->arena, format, args));
    va_end(args);
    builder->failed = true;
}

void builder_warning(struct policy_builder *builder, const struct place *at, const char *format,
                     ...)
{
    va_list args;

    va_start(args, format);
    diag_warning(builder->diag, at, "%s", arena_vprintf(builder->arena, format, args));
    va_end(args);
}

const char *builder_nearest(struct policy_builder *builder, const char *wrong, bool conditions)
{
    const struct named_cond *named = builder->conditions.items;
    size_t facts = builder->facts->count;
    size_t count = facts + (conditions ? builder->conditions.count : 0);
    const char **words = arena_alloc(builder->arena, count * sizeof(*words));
    const char *nearest;
    size_t i;

    if (strcasecmp(wrong, "subject") == 0 || strncasecmp(wrong, "header.", 7) == 0)
        return "; header fields are asked for as in header('Subject') matches 'x'";
    for (i = 0; i < count; i++)
        words[i] = i < facts ? builder->facts->slots[i].name : named[i - facts].name;
    nearest = fact_called(wrong);
    if (nearest == NULL || layout_find(builder->facts, nearest) == SLOT_NONE)
        nearest = words_nearest(wrong, words, count);
    if (nearest == NULL)
        return "; postern-policy(7) lists the facts";
    return arena_printf(builder->arena, "; did you mean '%s'?", nearest);
}

bool builder_has(const struct policy_builder *builder, const char *name)
{
    return layout_find(builder->layout, name) != SLOT_NONE;
}

slot_t builder_derive(struct policy_builder *builder, struct derived wanted, const char *name,
                      const struct place *at)
{
    slot_t slot = layout_find(builder->layout, name);
    enum fact_type type =
        wanted.kind == DERIVED_LOOKUP || wanted.kind == DERIVED_HEADER ? FACT_TEXT : FACT_BOOL;
    struct derived *derived;
    struct place *place;

    if (slot != SLOT_NONE)
        return slot;
    if (wanted.subject == SLOT_NONE) {
        wanted.slot = layout_add(builder->layout, name, type, STAGE_MESSAGE, SCOPE_MESSAGE);
    } else {
        const struct slot *subject = &builder->layout->slots[wanted.subject];

        wanted.slot = layout_add(builder->layout, name, type, subject->stage, subject->scope);
    }
    derived = list_add(builder->arena, &builder->derived, sizeof(*derived));
    *derived = wanted;
    place = list_add(builder->arena, &builder->derived_at, sizeof(*place));
    *place = *at;
    return wanted.slot;
}

const char *place_text(struct arena *arena, const struct place *at)
{
    if (at->source == NULL)
        return "";
    return arena_printf(arena, "%s:%u", at->source->path, (unsigned)at->line);
}

bool take_text(struct policy_builder *builder, struct lexer *lexer, bool strings, const char *what,
               struct token *token)
{
    enum token_kind kind = lexer_peek(lexer)->kind;

    if (kind == TOKEN_WORD || (strings && (kind == TOKEN_STRING || kind == TOKEN_RAW))) {
        *token = lexer_next(lexer);
        return true;
    }
    /* It is none: this reports it. */
    lexer_expect(lexer, TOKEN_WORD, what);
    builder->failed = true;
    return false;
}

bool good_name(const char *name)
{
    return name[0] != '\0' && name[strspn(name, "abcdefghijklmnopqrstuvwxyz"
                                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] == '\0';
}

struct policy_builder *policy_builder_new(struct arena *arena, const struct layout *layout,
                                          struct diag *diag)
{
    struct policy_builder *builder = arena_alloc(arena, sizeof(*builder));

    builder->arena = arena;
    builder->diag = diag;
    builder->facts = layout;
    builder->layout = layout_extend(arena, layout, 64);
    builder->condition_names = name_index_new(arena, 0);
    builder->rule_names = name_index_new(arena, 0);
    return builder;
}

void policy_disable(struct policy_builder *builder, const struct token *name)
{
    struct token *token = list_add(builder->arena, &builder->disabled, sizeof(*token));

    *token = *name;
}

void policy_observe(struct policy_builder *builder, const struct token *name)
{
    struct token *token = list_add(builder->arena, &builder->observed, sizeof(*token));

    *token = *name;
}
