/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_ARENA_H
#define POSTERN_ARENA_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Memory that dies together: one arena per configuration snapshot, per connection and per
 * transaction.  An arena belongs to one owner at a time and takes no lock.  When the machine
 * refuses memory of a bounded size the process ends (and the service manager restarts it);
 * callers cap sizes that come from the network before they ask.
 */
struct arena;

/* A new, empty arena.  Never NULL. */
struct arena *arena_new(void);

/* The same for what takes about TYPICAL bytes, which are asked of malloc(3) together when the first
 * of them is, and given back by arena_reset(). */
struct arena *arena_new_for(size_t typical);

/* Frees the arena and all that was allocated from it.  arena_free(NULL) is fine. */
void arena_free(struct arena *arena);

/* Forgets all allocations, keeps one small chunk for the next use. */
void arena_reset(struct arena *arena);

/* SIZE bytes, zeroed, aligned for any type; a unique pointer even for 0.  Never NULL. */
void *arena_alloc(struct arena *arena, size_t size);

/* Copies of a string, or of LENGTH bytes with a NUL behind them. */
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t length);

/* A, B and C, one behind the other; what printing "%s%s%s" gives, at a tenth of its cost. */
char *arena_join(struct arena *arena, const char *a, const char *b, const char *c);

char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *arena, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* NUMBER in decimal. */
const char *arena_number(struct arena *arena, int64_t number);

/* Bytes handed out since arena_new() or the last arena_reset(). */
size_t arena_used(const struct arena *arena);

/* malloc(3) and friends that end the process instead of returning NULL; free with free(3). */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *memory, size_t size);
char *xstrdup(const char *text);

#endif
