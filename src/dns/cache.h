/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_DNS_CACHE_H
#define POSTERN_DNS_CACHE_H

#include <postern/dns.h>

/*
 * The cache of parsed answers: bounded by bytes, in shards with a lock each, so that hits are
 * served in the asker's thread.  Within a shard what was used longest ago goes first.  Holds one
 * reference to each answer.  Safe from any thread.
 */
struct cache;

/* What an answer is found by; also the key of questions in flight. */
struct cache_key {
    uint64_t hash;
    enum dns_type type;
    size_t length;               /* of name */
    char name[DNS_NAME_MAX + 1]; /* lower case, no trailing dot */
};

struct cache_counters {
    uint64_t asked, hits, entries, bytes;
};

/* Fills the key.  False when the name cannot be asked. */
bool cache_key_init(struct cache_key *key, const char *name, enum dns_type type);

struct cache *cache_new(size_t bytes);
void cache_free(struct cache *cache);

/* The answer with a reference for the caller, or NULL when there is none that is valid at NOW.
 * COUNT says whether the counters shall see it. */
const struct dns_answer *cache_find(struct cache *cache, const struct cache_key *key, int64_t now,
                                    bool count);

/* Keeps the answer, in place of one with the same key; nothing happens when it has expired at NOW
 * or is larger than a shard may be. */
void cache_put(struct cache *cache, const struct cache_key *key, const struct dns_answer *answer,
               int64_t now);

void cache_flush(struct cache *cache);
void cache_count(struct cache *cache, struct cache_counters *counters);

#endif
