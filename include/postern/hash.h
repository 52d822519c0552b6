/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_HASH_H
#define POSTERN_HASH_H

#include <stddef.h>
#include <stdint.h>

struct arena;

/* A 64-bit hash of bytes, stable over runs and machines (FNV-1a); not for hostile keys. */
uint64_t hash_bytes(const void *bytes, size_t length, uint64_t seed);

/* SipHash-2-4 under KEY, for what must not be guessed and must survive a restart. */
uint64_t hash_keyed(const unsigned char key[16], const void *bytes, size_t length);

/* The same under a secret of this process (the kernel's random octets, AT_RANDOM), for maps keyed
 * by what comes from the network.  Differs from run to run. */
uint64_t hash_secret(const void *bytes, size_t length);

/*
 * A map from strings to pointers with open addressing, for names and table images; hashed with
 * hash_secret(), so hostile keys do no harm.  17 octets a place, 21 an entry when the count is
 * known at map_new().  Keys are not copied: they must live as long as the map.  Entries are never
 * removed.  One writer; readers may share it once it no longer changes.
 */
struct map;

/* An empty map with room for EXPECTED entries; it grows as needed.  Never NULL. */
struct map *map_new(size_t expected);

/* Frees the map, neither keys nor values.  map_free(NULL) is fine. */
void map_free(struct map *map);

/* Sets KEY to VALUE (not NULL); returns the value it had before, or NULL. */
void *map_set(struct map *map, const char *key, void *value);

/* The value, or NULL. */
void *map_get(const struct map *map, const char *key);

/* Number of entries. */
size_t map_count(const struct map *map);

/* Calls EACH for every entry, in no particular order. */
void map_each(const struct map *map, void (*each)(const char *key, void *value, void *arg),
              void *arg);

#endif
