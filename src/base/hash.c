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

/* LENGTH octets, at most 8, as a little-endian number. */
static uint64_t load(const unsigned char *bytes, size_t length)
{
    uint64_t number = 0;
    size_t i;

    for (i = 0; i < length; i++)
        number |= (uint64_t)bytes[i] << (8 * i);
    return number;
}

static void sip_rounds(uint64_t v[4], int count)
{
    while (count-- > 0) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] = rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] = rotate(v[2], 32);
    }
}

static void sip_absorb(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_rounds(v, 2);
    v[0] ^= word;
}

uint64_t hash_keyed(const unsigned char key[16], const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    uint64_t k0 = load(key, 8);
    uint64_t k1 = load(key + 8, 8);
    uint64_t v[4] = {
        k0 ^ UINT64_C(0x736f6d6570736575),
        k1 ^ UINT64_C(0x646f72616e646f6d),
        k0 ^ UINT64_C(0x6c7967656e657261),
        k1 ^ UINT64_C(0x7465646279746573),
    };
    size_t left;

    for (left = length; left >= 8; left -= 8, at += 8)
        sip_absorb(v, load(at, 8));
    sip_absorb(v, load(at, left) | (uint64_t)(length & 0xff) << 56);
    v[2] ^= 0xff;
    sip_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
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
