/* SPDX-License-Identifier: MIT */
#include <postern/arena.h>

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <postern/log.h>

/* Under AddressSanitizer, bytes that were not handed out are poisoned, so that a pointer kept over
 * arena_reset() or a write past an allocation is caught.  Elsewhere these macros do nothing. */
#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size)   ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

struct chunk {
    struct chunk *next;
    size_t size;
    size_t used;
    alignas(max_align_t) unsigned char data[];
};

struct arena {
    struct chunk *chunks; /* the head is the one with room */
    size_t used;
    size_t typical; /* of the first chunk; 0: as others */
    unsigned grown; /* chunks so far, up to GROWN_MAX */
};

enum { ALIGNMENT = alignof(max_align_t) };

/* Chunks double from the second one on: a session that says little should cost little, and there
 * may be thousands of them.  With its head and malloc's own, a full-grown chunk fills two pages. */
enum { FIRST_CHUNK = 1024, GROWN_KEPT = 1, GROWN_MAX = 4 };

enum { SMALL = 1024 };

static size_t chunk_size(unsigned grown)
{
    return ((size_t)FIRST_CHUNK << (grown > 1 ? grown - 1 : 0)) - sizeof(struct chunk) - 16;
}

static size_t next_size(const struct arena *arena)
{
    return arena->chunks == NULL && arena->typical > 0 ? arena->typical : chunk_size(arena->grown);
}

/* The machine has no memory: a mail policy daemon that limps is worse than one that is restarted.
 */
static _Noreturn void out_of_memory(size_t size)
{
    log_error("out of memory: %zu bytes refused", size);
    abort();
}

void *xmalloc(size_t size)
{
    void *memory = malloc(size != 0 ? size : 1);

    if (memory == NULL)
        out_of_memory(size);
    return memory;
}

void *xcalloc(size_t count, size_t size)
{
    void *memory;

    if (count == 0 || size == 0)
        count = size = 1;
    /* calloc(3) of glibc takes nothing from the cache of small pieces that each thread has. */
    if (count <= SMALL / size)
        return memset(xmalloc(count * size), 0, count * size);
    memory = calloc(count, size);
    if (memory == NULL)
        out_of_memory(size);
    return memory;
}

void *xrealloc(void *memory, size_t size)
{
    void *moved = realloc(memory, size != 0 ? size : 1);

    if (moved == NULL)
        out_of_memory(size);
    return moved;
}

char *xstrdup(const char *text)
{
    size_t size = strlen(text) + 1;

    return memcpy(xmalloc(size), text, size);
}

static struct chunk *chunk_new(size_t size)
{
    struct chunk *chunk;

    if (size > SIZE_MAX - sizeof(*chunk))
        out_of_memory(size);
    chunk = xmalloc(sizeof(*chunk) + size);
    chunk->next = NULL;
    chunk->size = size;
    chunk->used = 0;
    ASAN_POISON_MEMORY_REGION(chunk->data, size);
    return chunk;
}

static void chunk_free(struct chunk *chunk)
{
    ASAN_UNPOISON_MEMORY_REGION(chunk->data, chunk->size);
    free(chunk);
}

struct arena *arena_new(void)
{
    return xcalloc(1, sizeof(struct arena));
}

struct arena *arena_new_for(size_t typical)
{
    struct arena *arena = arena_new();

    arena->typical = typical;
    return arena;
}

void arena_reset(struct arena *arena)
{
    struct chunk *kept = NULL;
    struct chunk *chunk, *next;

    /* What was needed once is not kept for ever: the owner may have nothing to do for hours. */
    for (chunk = arena->chunks; chunk != NULL; chunk = next) {
        next = chunk->next;
        if (chunk->size <= chunk_size(GROWN_KEPT) && (kept == NULL || chunk->size > kept->size)) {
            if (kept != NULL)
                chunk_free(kept);
            kept = chunk;
        } else {
            chunk_free(chunk);
        }
    }
    if (kept != NULL) {
        kept->next = NULL;
        kept->used = 0;
        ASAN_POISON_MEMORY_REGION(kept->data, kept->size);
    }
    arena->grown = kept != NULL ? GROWN_KEPT : 0;
    arena->chunks = kept;
    arena->used = 0;
}

void arena_free(struct arena *arena)
{
    struct chunk *chunk, *next;

    if (arena == NULL)
        return;
    for (chunk = arena->chunks; chunk != NULL; chunk = next) {
        next = chunk->next;
        chunk_free(chunk);
    }
    free(arena);
}

/* A chunk with room for SIZE bytes.  What would fill more than a quarter of a chunk gets one of its
 * own behind the head, so that the room left in the head is not lost. */
static struct chunk *chunk_with_room(struct arena *arena, size_t size)
{
    struct chunk *head = arena->chunks;
    struct chunk *chunk;
    bool own;

    if (head != NULL && head->size - head->used >= size)
        return head;
    own = size > next_size(arena) / 4;
    chunk = chunk_new(own ? size : next_size(arena));
    if (!own && arena->grown < GROWN_MAX)
        arena->grown++;
    if (own) {
        if (head != NULL) {
            chunk->next = head->next;
            head->next = chunk;
        } else {
            arena->chunks = chunk;
        }
        return chunk;
    }
    chunk->next = head;
    arena->chunks = chunk;
    return chunk;
}

/* Memory with anything in it. */
static void *take(struct arena *arena, size_t size)
{
    struct chunk *chunk;
    size_t rounded;
    void *memory;

    if (size > SIZE_MAX - ALIGNMENT)
        out_of_memory(size);
    rounded = size == 0 ? ALIGNMENT : (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    chunk = chunk_with_room(arena, rounded);
    memory = chunk->data + chunk->used;
    chunk->used += rounded;
    arena->used += rounded;
    ASAN_UNPOISON_MEMORY_REGION(memory, size);
    return memory;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    return memset(take(arena, size), 0, size);
}

char *arena_strndup(struct arena *arena, const char *text, size_t length)
{
    char *copy;

    if (length == SIZE_MAX)
        out_of_memory(length);
    copy = take(arena, length + 1);
    if (length != 0)
        memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return arena_strndup(arena, text, strlen(text));
}

char *arena_join(struct arena *arena, const char *a, const char *b, const char *c)
{
    char *joined = take(arena, strlen(a) + strlen(b) + strlen(c) + 1);

    stpcpy(stpcpy(stpcpy(joined, a), b), c);
    return joined;
}

/* Prints into what is left of the head, where the text nearly always fits.  Returns its length, and
 * in *text where it is; NULL where it did not fit. */
static int print_in_head(struct arena *arena, char **text, const char *format, va_list args)
{
    struct chunk *head = arena->chunks;
    size_t room = head != NULL ? head->size - head->used : 0;
    char *memory = room > 0 ? (char *)head->data + head->used : NULL;
    size_t rounded;
    int length;

    if (room > 0)
        ASAN_UNPOISON_MEMORY_REGION(memory, room);
    length = vsnprintf(memory, room, format, args);
    *text = length >= 0 && (size_t)length < room ? memory : NULL;
    rounded = *text != NULL ? ((size_t)length + ALIGNMENT) / ALIGNMENT * ALIGNMENT : 0;
    if (room > 0) {
        head->used += rounded;
        arena->used += rounded;
        ASAN_POISON_MEMORY_REGION(head->data + head->used, head->size - head->used);
    }
    return length;
}

char *arena_vprintf(struct arena *arena, const char *format, va_list args)
{
    va_list again;
    char *text;
    int length;

    va_copy(again, args);
    length = print_in_head(arena, &text, format, again);
    va_end(again);
    if (length < 0)
        out_of_memory(SIZE_MAX);
    if (text != NULL)
        return text;
    text = arena_alloc(arena, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, args);
    return text;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    text = arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}

const char *arena_number(struct arena *arena, int64_t number)
{
    char text[24];
    size_t at = sizeof(text) - 1;
    uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;

    text[at] = '\0';
    do
        text[--at] = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    if (number < 0)
        text[--at] = '-';
    return arena_strndup(arena, text + at, sizeof(text) - 1 - at);
}

size_t arena_used(const struct arena *arena)
{
    return arena->used;
}
