/* SPDX-License-Identifier: MIT */
#include <postern/facts.h>

#include <assert.h>
#include <string.h>

#include <postern/arena.h>
#include <postern/hash.h>

/* Open addressing; at most half of the entries are taken, and their count is a power of two. */
struct entry {
    const char *name; /* NULL: free */
    uint32_t number;
};

struct name_index {
    struct arena *arena;
    struct entry *entries;
    size_t size;
    size_t count;
};

enum { SMALLEST = 16 };

struct name_index *name_index_new(struct arena *arena, size_t expected)
{
    struct name_index *index = arena_alloc(arena, sizeof(*index));

    index->arena = arena;
    index->size = SMALLEST;
    while (index->size < 2 * expected)
        index->size *= 2;
    index->entries = arena_alloc(arena, index->size * sizeof(*index->entries));
    return index;
}

/* The entry that holds NAME, or the free one where it belongs. */
static struct entry *place_of(const struct name_index *index, const char *name)
{
    size_t at = (size_t)hash_bytes(name, strlen(name), 0) & (index->size - 1);

    while (index->entries[at].name != NULL && strcmp(index->entries[at].name, name) != 0)
        at = (at + 1) & (index->size - 1);
    return &index->entries[at];
}

static void grow(struct name_index *index)
{
    const struct entry *old = index->entries;
    size_t old_size = index->size;
    size_t i;

    index->size *= 2;
    index->entries = arena_alloc(index->arena, index->size * sizeof(*index->entries));
    for (i = 0; i < old_size; i++) {
        if (old[i].name != NULL)
            *place_of(index, old[i].name) = old[i];
    }
}

bool name_index_add(struct name_index *index, const char *name, uint32_t number)
{
    struct entry *entry = place_of(index, name);

    assert(number != NAME_NONE);
    if (entry->name != NULL)
        return false;
    if (2 * (index->count + 1) > index->size) {
        grow(index);
        entry = place_of(index, name);
    }
    entry->name = name;
    entry->number = number;
    index->count++;
    return true;
}

uint32_t name_index_find(const struct name_index *index, const char *name)
{
    const struct entry *entry = place_of(index, name);

    return entry->name != NULL ? entry->number : NAME_NONE;
}
