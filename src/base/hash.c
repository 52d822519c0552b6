/* SPDX-License-Identifier: MIT */
#include <postern/hash.h>

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include <postern/arena.h>
#include <postern/log.h>

uint64_t hash_bytes(const void *bytes, size_t length, uint64_t seed)
{
    const unsigned char *at = bytes;
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ seed;
    size_t i;

    for (i = 0; i < length; i++) {
        hash ^= at[i];
        hash *= UINT64_C(0x100000001b3);
    }
    return hash;
}

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

/* Eight octets as a little-endian number: one instruction where the machine is of that kind. */
static uint64_t load(const unsigned char *b)
{
    return (uint64_t)b[0] | (uint64_t)b[1] << 8 | (uint64_t)b[2] << 16 | (uint64_t)b[3] << 24 |
           (uint64_t)b[4] << 32 | (uint64_t)b[5] << 40 | (uint64_t)b[6] << 48 |
           (uint64_t)b[7] << 56;
}

/* The last octets, fewer than 8, under the length of all. */
static uint64_t load_last(const unsigned char *bytes, size_t left, size_t length)
{
    uint64_t number = (uint64_t)(length & 0xff) << 56;
    size_t i;

    for (i = 0; i < left; i++)
        number |= (uint64_t)bytes[i] << (8 * i);
    return number;
}

struct sip {
    uint64_t v0, v1, v2, v3;
};

/* By value, so that it stays in registers. */
static inline struct sip sip_round(struct sip s)
{
    s.v0 += s.v1;
    s.v2 += s.v3;
    s.v1 = rotate(s.v1, 13) ^ s.v0;
    s.v3 = rotate(s.v3, 16) ^ s.v2;
    s.v0 = rotate(s.v0, 32);
    s.v2 += s.v1;
    s.v0 += s.v3;
    s.v1 = rotate(s.v1, 17) ^ s.v2;
    s.v3 = rotate(s.v3, 21) ^ s.v0;
    s.v2 = rotate(s.v2, 32);
    return s;
}

static inline struct sip sip_absorb(struct sip s, uint64_t word)
{
    s.v3 ^= word;
    s = sip_round(sip_round(s));
    s.v0 ^= word;
    return s;
}

uint64_t hash_keyed(const unsigned char key[16], const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    uint64_t k0 = load(key);
    uint64_t k1 = load(key + 8);
    struct sip s = {
        k0 ^ UINT64_C(0x736f6d6570736575),
        k1 ^ UINT64_C(0x646f72616e646f6d),
        k0 ^ UINT64_C(0x6c7967656e657261),
        k1 ^ UINT64_C(0x7465646279746573),
    };
    size_t left;

    for (left = length; left >= 8; left -= 8, at += 8)
        s = sip_absorb(s, load(at));
    s = sip_absorb(s, load_last(at, left, length));
    s.v2 ^= 0xff;
    s = sip_round(sip_round(sip_round(sip_round(s))));
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* The kernel hands every process 16 random octets when it starts (getauxval(3), AT_RANDOM): a
 * secret that needs no lock and no first call.  Where they stand never changes; looking for it
 * costs as much as a short hash. */
uint64_t hash_secret(const void *bytes, size_t length)
{
    static atomic_ulong found;
    unsigned long address = atomic_load_explicit(&found, memory_order_relaxed);

    if (address == 0) {
        address = getauxval(AT_RANDOM);
        if (address == 0) {
            log_error("the system gives no random octets (AT_RANDOM)");
            abort();
        }
        atomic_store_explicit(&found, address, memory_order_relaxed);
    }
    return hash_keyed((const unsigned char *)address, bytes, length);
}

/*
 * The map: an array of entries and an array of one-octet tags beside it, 17 octets an entry.  A tag
 * is 0 for a free entry, else the high bit and seven bits of the hash, so that probing reads the
 * dense tags and touches a key only where it is almost certainly the right one.  Keys are never
 * removed.
 */
struct entry {
    const char *key;
    void *value;
};

struct map {
    struct entry *entries;
    uint8_t *tags;
    size_t room;
    size_t count;
};

enum { ROOM_MIN = 8 };

/* At most four of five entries are taken: misses then probe some 13 tags in the mean. */
static size_t room_for(size_t count)
{
    assert(count < UINT32_MAX / 2);
    return count + count / 4 + ROOM_MIN;
}

static void map_allocate(struct map *map, size_t room)
{
    map->entries = xcalloc(room, sizeof(*map->entries));
    map->tags = xcalloc(room, 1);
    map->room = room;
}

struct map *map_new(size_t expected)
{
    struct map *map = xcalloc(1, sizeof(*map));

    map_allocate(map, room_for(expected));
    return map;
}

void map_free(struct map *map)
{
    if (map == NULL)
        return;
    free(map->entries);
    free(map->tags);
    free(map);
}

static uint8_t tag_of(uint64_t hash)
{
    return (uint8_t)(0x80 | hash >> 57);
}

/* Where KEY stands, or the free entry where it would go. */
static size_t find(const struct map *map, const char *key, uint64_t hash)
{
    /* The low 32 bits, scaled to the room: no division, any size. */
    size_t at = (size_t)((hash & UINT32_MAX) * map->room >> 32);
    uint8_t tag = tag_of(hash);

    while (map->tags[at] != 0) {
        if (map->tags[at] == tag && strcmp(map->entries[at].key, key) == 0)
            break;
        if (++at == map->room)
            at = 0;
    }
    return at;
}

static void put(struct map *map, size_t at, const char *key, void *value, uint64_t hash)
{
    map->entries[at] = (struct entry){key, value};
    map->tags[at] = tag_of(hash);
    map->count++;
}

static uint64_t key_hash(const char *key)
{
    return hash_secret(key, strlen(key));
}

static void grow(struct map *map)
{
    struct map old = *map;
    size_t i;

    map_allocate(map, room_for(old.count + old.count / 2 + 1));
    map->count = 0;
    for (i = 0; i < old.room; i++) {
        if (old.tags[i] != 0) {
            uint64_t hash = key_hash(old.entries[i].key);

            put(map, find(map, old.entries[i].key, hash), old.entries[i].key, old.entries[i].value,
                hash);
        }
    }
    free(old.entries);
    free(old.tags);
}

void *map_set(struct map *map, const char *key, void *value)
{
    uint64_t hash = key_hash(key);
    size_t at = find(map, key, hash);
    void *before;

    assert(value != NULL);
    if (map->tags[at] != 0) {
        before = map->entries[at].value;
        map->entries[at].value = value;
        return before;
    }
    if (room_for(map->count + 1) > map->room) {
        grow(map);
        at = find(map, key, hash);
    }
    put(map, at, key, value, hash);
    return NULL;
}

void *map_get(const struct map *map, const char *key)
{
    size_t at = find(map, key, key_hash(key));

    return map->tags[at] != 0 ? map->entries[at].value : NULL;
}

size_t map_count(const struct map *map)
{
    return map->count;
}

void map_each(const struct map *map, void (*each)(const char *key, void *value, void *arg),
              void *arg)
{
    size_t i;

    for (i = 0; i < map->room; i++) {
        if (map->tags[i] != 0)
            each(map->entries[i].key, map->entries[i].value, arg);
    }
}
