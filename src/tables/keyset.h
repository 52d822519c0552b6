/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_TABLE_KEYSET_H
#define POSTERN_TABLE_KEYSET_H

#include "keys.h"

/*
 * A set of keys with values, small enough to keep whole tables in memory: all text stands in one
 * block, and a table of 4-byte offsets with open addressing finds it.  100,000 mail addresses take
 * about 4 MB.
 *
 * Built by one thread, then constant and safe from any.
 */
struct keyset;

enum keyset_added {
    KEYSET_OK,
    KEYSET_DUPLICATE, /* an entry of the same key that outlives this one was there: it counts */
    KEYSET_FULL,      /* more than 4 GB of text, or the same key with too many dates */
};

struct keyset_hit {
    const char *key; /* both in the set */
    const char *value;
};

/* An empty set with room for about ENTRIES; never NULL. */
struct keyset *keyset_new(size_t entries);
void keyset_free(struct keyset *set);

/* Adds a canonical key (keys.h).  It counts to the end of the day UNTIL (yyyymmdd), or for good
 * when that is 0. */
enum keyset_added keyset_add(struct keyset *set, const struct key *key, const char *value,
                             size_t length, int32_t until);

/* Gives back what room was not needed. */
void keyset_finish(struct keyset *set);

/* Whether there is an entry of exactly this key that has not expired by TODAY; the first one then
 * stands in *HIT. */
bool keyset_find(const struct keyset *set, const char *key, int32_t today, struct keyset_hit *hit);

/* The entry for an address: itself, then the narrowest of the networks and of the shortened
 * addresses of access(5)
 * ("192.0.2", "2001:db8") that hold it. */
bool keyset_find_addr(const struct keyset *set, const struct addr *addr, int32_t today,
                      struct keyset_hit *hit);

/* Entries that have not expired by TODAY. */
size_t keyset_count(const struct keyset *set, int32_t today);

/* Calls EACH for every entry, expired or not, in the order in which they were added. */
void keyset_each(const struct keyset *set, void (*each)(void *arg, const char *key), void *arg);

/* The members of a backend whose image is a set. */
void keyset_backend_free(void *image);
enum table_status keyset_backend_find(const void *image, const struct table_probe *probe,
                                      struct table_answer *answer);
size_t keyset_backend_count(const void *image, int32_t today);
void keyset_backend_each(const void *image, void (*each)(void *arg, const char *key), void *arg);

#endif
