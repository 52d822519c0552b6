/* SPDX-License-Identifier: MIT */
#include <postern/facts.h>

#include <assert.h>
#include <string.h>

#include <postern/arena.h>
#include <postern/words.h>

/* No fact has more words than this; the registry is ours, so more is a mistake of ours. */
enum { WORDS_MAX = 64 };

static struct layout *layout_empty(struct arena *arena, size_t room)
{
    struct layout *layout = arena_alloc(arena, sizeof(*layout));

    layout->arena = arena;
    layout->room = room;
    layout->slots = arena_alloc(arena, room * sizeof(*layout->slots));
    layout->names = name_index_new(arena, room);
    return layout;
}

static void make_room(struct layout *layout)
{
    struct slot *slots;

    if (layout->count < layout->room)
        return;
    layout->room = 2 * layout->room + 8;
    slots = arena_alloc(layout->arena, layout->room * sizeof(*slots));
    if (layout->count != 0)
        memcpy(slots, layout->slots, layout->count * sizeof(*slots));
    layout->slots = slots;
}

slot_t layout_add(struct layout *layout, const char *name, enum fact_type type, enum stage stage,
                  enum scope scope)
{
    slot_t number = (slot_t)layout->count;
    struct slot *slot;
    bool added;

    make_room(layout);
    slot = &layout->slots[layout->count++];
    slot->name = name;
    slot->type = (uint8_t)type;
    slot->stage = (uint8_t)stage;
    slot->scope = (uint8_t)scope;
    slot->index = (uint32_t)layout->scope_count[scope]++;
    added = name_index_add(layout->names, name, number);
    assert(added);
    (void)added;
    return number;
}

/* "known unknown unavailable!": the words without their marks. */
static void take_words(struct layout *layout, struct slot *slot, const char *text)
{
    const char *split[WORDS_MAX];
    size_t count = words_split(layout->arena, text, split, WORDS_MAX);
    const char **words = arena_alloc(layout->arena, count * sizeof(*words));
    size_t i;

    assert(count > 0 && count < WORDS_MAX);
    slot->word_count = (uint16_t)count;
    slot->fault_word = slot->brief_count = slot->word_count;
    for (i = 0; i < count; i++) {
        size_t length = strlen(split[i]);

        words[i] = split[i];
        if (split[i][length - 1] == '!') {
            assert(slot->fault_word == slot->word_count);
            words[i] = arena_strndup(layout->arena, split[i], length - 1);
            slot->fault_word = (uint16_t)i;
        } else if (split[i][length - 1] == '*') {
            words[i] = arena_strndup(layout->arena, split[i], length - 1);
            if (slot->brief_count == slot->word_count)
                slot->brief_count = (uint16_t)i;
        } else {
            assert(slot->brief_count == slot->word_count);
        }
    }
    slot->words = words;
}

struct layout *layout_new(struct arena *arena, const struct fact_part *parts, size_t part_count)
{
    struct layout *layout;
    size_t rows = 0;
    size_t i, j;

    for (i = 0; i < part_count; i++)
        rows += parts[i].count;
    layout = layout_empty(arena, rows);
    for (i = 0; i < part_count; i++) {
        for (j = 0; j < parts[i].count; j++) {
            const struct fact_row *row = &parts[i].rows[j];
            slot_t slot = layout_add(layout, row->name, row->type, row->stage, row->scope);

            layout->slots[slot].row = row;
            if (row->type == FACT_WORD || row->type == FACT_ROWS)
                take_words(layout, &layout->slots[slot], row->words);
        }
    }
    return layout;
}

struct layout *layout_extend(struct arena *arena, const struct layout *base, size_t extra)
{
    struct layout *layout = layout_empty(arena, base->count + extra);
    size_t i;

    layout->count = base->count;
    memcpy(layout->scope_count, base->scope_count, sizeof(layout->scope_count));
    for (i = 0; i < base->count; i++) {
        layout->slots[i] = base->slots[i];
        name_index_add(layout->names, base->slots[i].name, (uint32_t)i);
    }
    return layout;
}

slot_t layout_find(const struct layout *layout, const char *name)
{
    uint32_t number = name_index_find(layout->names, name);

    return number != NAME_NONE ? number : SLOT_NONE;
}

int slot_word(const struct slot *slot, const char *word)
{
    int i;

    for (i = 0; i < slot->word_count; i++) {
        if (strcmp(slot->words[i], word) == 0)
            return i;
    }
    return -1;
}

const struct value *view_value(const struct layout *layout, const struct view *view, slot_t slot)
{
    static const struct value open;
    const struct slot *info = &layout->slots[slot];
    const struct value *values = view->scope[info->scope];

    return values != NULL ? &values[info->index] : &open;
}
