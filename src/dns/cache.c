/* SPDX-License-Identifier: MIT */
#include "cache.h"

#include <assert.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include <postern/arena.h>
#include <postern/hash.h>

#include "answer.h"
#include "names.h"

enum {
    SHARDS = 16,
    CACHE_LINE = 64,
    ENTRY_TYPICAL = 512,  /* bytes; sets the number of buckets */
    MALLOC_OVERHEAD = 16, /* of one allocation */
    BUCKETS_MIN = 16,
};

static_assert((int)NAMES_TEXT_SIZE == (int)DNS_NAME_MAX + 1, "a key holds any name");

struct entry {
    struct entry *next;          /* in the bucket */
    struct entry *newer, *older; /* by last use */
    uint64_t hash;
    const struct dns_answer *answer;
    size_t bytes;
};

struct shard {
    alignas(CACHE_LINE) pthread_mutex_t lock;
    struct entry **buckets;
    struct entry *newest, *oldest;
    struct cache_counters counters;
};

struct cache {
    size_t shard_bytes; /* bound of each shard */
    size_t buckets;     /* of each shard; a power of two */
    struct shard shards[SHARDS];
};

bool cache_key_init(struct cache_key *key, const char *name, enum dns_type type)
{
    key->length = names_read(name, key->name);
    if (key->length == 0)
        return false;
    key->type = type;
    /* A large odd factor spreads the types of one name. */
    key->hash = hash_secret(key->name, key->length) + (uint64_t)type * 0x9e3779b97f4a7c15U;
    return true;
}

struct cache *cache_new(size_t bytes)
{
    struct cache *cache = aligned_alloc(CACHE_LINE, sizeof(*cache));

    if (!cache)
        abort();
    memset(cache, 0, sizeof(*cache));
    cache->shard_bytes = bytes / SHARDS;
    cache->buckets = BUCKETS_MIN;
    while (cache->buckets < cache->shard_bytes / ENTRY_TYPICAL)
        cache->buckets *= 2;
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &cache->shards[i];

        pthread_mutex_init(&shard->lock, NULL);
        shard->buckets = xcalloc(cache->buckets, sizeof(struct entry *));
    }
    return cache;
}

void cache_free(struct cache *cache)
{
    if (!cache)
        return;
    cache_flush(cache);
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_destroy(&cache->shards[i].lock);
        free(cache->shards[i].buckets);
    }
    free(cache);
}

/* The low bits choose the shard, those above them the bucket. */
static struct shard *shard_of(struct cache *cache, uint64_t hash)
{
    return &cache->shards[hash % SHARDS];
}

static struct entry **bucket_of(struct cache *cache, struct shard *shard, uint64_t hash)
{
    return &shard->buckets[hash / SHARDS & (cache->buckets - 1)];
}

/* The link that points to the entry, or to NULL at the end of the bucket. */
static struct entry **find_link(struct cache *cache, struct shard *shard,
                                const struct cache_key *key)
{
    struct entry **link = bucket_of(cache, shard, key->hash);

    for (; *link; link = &(*link)->next) {
        const struct entry *entry = *link;

        if (entry->hash == key->hash && entry->answer->type == key->type &&
            strcmp(entry->answer->name, key->name) == 0)
            break;
    }
    return link;
}

static void used_remove(struct shard *shard, struct entry *entry)
{
    *(entry->newer ? &entry->newer->older : &shard->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &shard->oldest) = entry->newer;
}

static void used_add(struct shard *shard, struct entry *entry)
{
    entry->newer = NULL;
    entry->older = shard->newest;
    *(shard->newest ? &shard->newest->newer : &shard->oldest) = entry;
    shard->newest = entry;
}

static void drop(struct shard *shard, struct entry **link)
{
    struct entry *entry = *link;

    *link = entry->next;
    used_remove(shard, entry);
    shard->counters.entries--;
    shard->counters.bytes -= entry->bytes;
    dns_answer_unref(entry->answer);
    free(entry);
}

static void drop_oldest(struct cache *cache, struct shard *shard)
{
    struct entry **link = bucket_of(cache, shard, shard->oldest->hash);

    while (*link != shard->oldest)
        link = &(*link)->next;
    drop(shard, link);
}

const struct dns_answer *cache_find(struct cache *cache, const struct cache_key *key, int64_t now,
                                    bool count)
{
    struct shard *shard = shard_of(cache, key->hash);
    const struct dns_answer *answer = NULL;

    pthread_mutex_lock(&shard->lock);
    struct entry **link = find_link(cache, shard, key);

    if (*link && (*link)->answer->expires <= now) {
        drop(shard, link);
    } else if (*link) {
        struct entry *entry = *link;

        used_remove(shard, entry);
        used_add(shard, entry);
        answer = dns_answer_ref(entry->answer);
    }
    if (count) {
        shard->counters.asked++;
        shard->counters.hits += answer != NULL;
    }
    pthread_mutex_unlock(&shard->lock);
    return answer;
}

void cache_put(struct cache *cache, const struct cache_key *key, const struct dns_answer *answer,
               int64_t now)
{
    struct shard *shard = shard_of(cache, key->hash);
    size_t bytes = answer_bytes(answer) + sizeof(struct entry) + (size_t)2 * MALLOC_OVERHEAD;

    assert(answer->type == key->type && strcmp(answer->name, key->name) == 0);
    if (answer->expires <= now || bytes > cache->shard_bytes)
        return;

    struct entry *entry = xmalloc(sizeof(*entry));

    entry->hash = key->hash;
    entry->answer = dns_answer_ref(answer);
    entry->bytes = bytes;

    pthread_mutex_lock(&shard->lock);
    struct entry **link = find_link(cache, shard, key);

    if (*link)
        drop(shard, link);
    while (shard->counters.bytes + bytes > cache->shard_bytes)
        drop_oldest(cache, shard);
    /* The bucket may have lost entries: its first link is always there. */
    link = bucket_of(cache, shard, key->hash);
    entry->next = *link;
    *link = entry;
    used_add(shard, entry);
    shard->counters.entries++;
    shard->counters.bytes += bytes;
    pthread_mutex_unlock(&shard->lock);
}

void cache_flush(struct cache *cache)
{
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &cache->shards[i];

        pthread_mutex_lock(&shard->lock);
        while (shard->oldest)
            drop_oldest(cache, shard);
        pthread_mutex_unlock(&shard->lock);
    }
}

void cache_count(struct cache *cache, struct cache_counters *counters)
{
    *counters = (struct cache_counters){0};
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &cache->shards[i];

        pthread_mutex_lock(&shard->lock);
        counters->asked += shard->counters.asked;
        counters->hits += shard->counters.hits;
        counters->entries += shard->counters.entries;
        counters->bytes += shard->counters.bytes;
        pthread_mutex_unlock(&shard->lock);
    }
}
