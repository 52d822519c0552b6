/* SPDX-License-Identifier: MIT */
#include "engine_private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <postern/hash.h>
#include <postern/str.h>

/*
 * Pairs of client network and sender whose last message had recipients of different policies.  A
 * ring in order of age with a chained index over it: bounded, and the oldest goes first.  Keys are
 * kept as 64-bit hashes under the secret of the process: two pairs that meet would at worst be
 * asked to send to their recipients one by one.
 */
struct entry {
    uint64_t key;
    int64_t until;
    uint32_t next; /* in its chain; NOBODY ends it */
};

struct split_memory {
    pthread_mutex_t lock;
    struct entry *entries;
    uint32_t *chains;
    size_t room;
    size_t first, count; /* the ring */
};

struct split_memory *split_new(size_t room)
{
    struct split_memory *memory = xcalloc(1, sizeof(*memory));

    pthread_mutex_init(&memory->lock, NULL);
    memory->room = room;
    memory->entries = xcalloc(room, sizeof(memory->entries[0]));
    memory->chains = xcalloc(room, sizeof(memory->chains[0]));
    for (size_t i = 0; i < room; i++)
        memory->chains[i] = NOBODY;
    return memory;
}

void split_free(struct split_memory *memory)
{
    if (memory == NULL)
        return;
    pthread_mutex_destroy(&memory->lock);
    free(memory->entries);
    free(memory->chains);
    free(memory);
}

/* A sender's retry may come from another host of its network, and in another case. */
static uint64_t pair_key(const struct addr *client, const char *sender)
{
    struct addr network = addr_mask(client, client->family == ADDR_IPV4 ? 24 : 64);
    struct str text = {0};
    uint64_t key;

    str_add_char(&text, (char)network.family);
    str_add_bytes(&text, (const char *)network.bytes, sizeof(network.bytes));
    for (; *sender != '\0'; sender++)
        str_add_char(&text, (char)tolower((unsigned char)*sender));
    key = hash_secret(text.data, text.length);
    str_free(&text);
    return key;
}

static uint32_t *chain_of(struct split_memory *memory, uint64_t key)
{
    return &memory->chains[key % memory->room];
}

static struct entry *find(struct split_memory *memory, uint64_t key)
{
    uint32_t at = *chain_of(memory, key);

    while (at != NOBODY && memory->entries[at].key != key)
        at = memory->entries[at].next;
    return at != NOBODY ? &memory->entries[at] : NULL;
}

static void drop_oldest(struct split_memory *memory)
{
    uint32_t *link = chain_of(memory, memory->entries[memory->first].key);

    while (*link != memory->first)
        link = &memory->entries[*link].next;
    *link = memory->entries[memory->first].next;
    memory->first = (memory->first + 1) % memory->room;
    memory->count--;
}

void split_note(struct split_memory *memory, const struct addr *client, const char *sender,
                int64_t now, int64_t lasts)
{
    uint64_t key = pair_key(client, sender);
    struct entry *entry;

    pthread_mutex_lock(&memory->lock);
    entry = find(memory, key);
    if (entry != NULL) {
        entry->until = now + lasts;
    } else {
        uint32_t *chain = chain_of(memory, key);
        uint32_t at;
        if (memory->count == memory->room)
            drop_oldest(memory);
        at = (uint32_t)((memory->first + memory->count++) % memory->room);
        memory->entries[at] = (struct entry){.key = key, .until = now + lasts, .next = *chain};
        *chain = at;
    }
    pthread_mutex_unlock(&memory->lock);
}

bool split_known(struct split_memory *memory, const struct addr *client, const char *sender,
                 int64_t now)
{
    uint64_t key = pair_key(client, sender);
    const struct entry *entry;
    bool known;

    pthread_mutex_lock(&memory->lock);
    entry = find(memory, key);
    known = entry != NULL && entry->until > now;
    pthread_mutex_unlock(&memory->lock);
    return known;
}

void split_expire(struct split_memory *memory, int64_t now)
{
    pthread_mutex_lock(&memory->lock);
    while (memory->count > 0 && memory->entries[memory->first].until <= now)
        drop_oldest(memory);
    pthread_mutex_unlock(&memory->lock);
}

size_t split_count(struct split_memory *memory)
{
    size_t count;

    pthread_mutex_lock(&memory->lock);
    count = memory->count;
    pthread_mutex_unlock(&memory->lock);
    return count;
}
