/* SPDX-License-Identifier: MIT */
#include "keyset.h"

#include <stdlib.h>
#include <string.h>

#include <postern/arena.h>
#include <postern/clock.h>
#include <postern/hash.h>

enum {
    SAME_KEY_MAX = 16, /* entries of one key that differ in their dates */
    ENTRY_GUESS = 40,  /* bytes of text an entry takes, to begin with */
};

/*
 * An entry in the block: a byte that says whether a date follows, the date, the key and its NUL,
 * the value and its NUL.  A slot holds the offset of an entry plus one, so that 0 is a free slot.
 */
struct keyset {
    char *block;
    size_t used;
    size_t room;
    uint32_t *slots;
    size_t slot_count; /* a power of two, more than half of it free */
    size_t entries;
    size_t dated;
    bool bits4[33]; /* which lengths of networks there are */
    bool bits6[129];
};

struct entry {
    const char *key;
    const char *value;
    int32_t until;
    size_t size;
};

struct keyset *keyset_new(size_t entries)
{
    struct keyset *set = xcalloc(1, sizeof(*set));

    if (entries > SIZE_MAX / 1024)
        entries = 0;
    set->slot_count = 16;
    while (set->slot_count < entries * 2)
        set->slot_count *= 2;
    set->slots = xcalloc(set->slot_count, sizeof(set->slots[0]));
    set->room = entries * ENTRY_GUESS + 64;
    set->block = xmalloc(set->room);
    return set;
}

void keyset_free(struct keyset *set)
{
    if (set == NULL)
        return;
    free(set->block);
    free(set->slots);
    free(set);
}

static struct entry entry_at(const struct keyset *set, size_t offset)
{
    const char *at = set->block + offset;
    struct entry entry = {.until = 0};

    if (*at++ != 0) {
        memcpy(&entry.until, at, sizeof(entry.until));
        at += sizeof(entry.until);
    }
    entry.key = at;
    entry.value = at + strlen(at) + 1;
    entry.size = (size_t)(entry.value + strlen(entry.value) + 1 - (set->block + offset));
    return entry;
}

static size_t first_slot(const struct keyset *set, const char *key)
{
    return (size_t)hash_secret(key, strlen(key)) & (set->slot_count - 1);
}

static void put(struct keyset *set, const char *key, size_t offset)
{
    size_t at = first_slot(set, key);

    while (set->slots[at] != 0)
        at = (at + 1) & (set->slot_count - 1);
    set->slots[at] = (uint32_t)(offset + 1);
}

/* Entries go back in the order of the block: of the same key, the first one added stays the first
 * one found. */
static void resize(struct keyset *set, size_t slot_count)
{
    struct entry entry;

    free(set->slots);
    set->slot_count = slot_count;
    set->slots = xcalloc(slot_count, sizeof(set->slots[0]));
    for (size_t offset = 0; offset < set->used; offset += entry.size) {
        entry = entry_at(set, offset);
        put(set, entry.key, offset);
    }
}

static void append(struct keyset *set, const void *bytes, size_t length)
{
    memcpy(set->block + set->used, bytes, length);
    set->used += length;
}

/* Whether an entry of this key that is there already outlives a new one. */
static enum keyset_added has_same(const struct keyset *set, const char *key, int32_t until)
{
    unsigned same = 0;

    for (size_t at = first_slot(set, key); set->slots[at] != 0;
         at = (at + 1) & (set->slot_count - 1)) {
        struct entry entry = entry_at(set, set->slots[at] - 1);
        if (strcmp(entry.key, key) != 0)
            continue;
        if (entry.until == 0 || (until != 0 && entry.until >= until))
            return KEYSET_DUPLICATE;
        if (++same == SAME_KEY_MAX)
            return KEYSET_FULL;
    }
    return KEYSET_OK;
}

enum keyset_added keyset_add(struct keyset *set, const struct key *key, const char *value,
                             size_t length, int32_t until)
{
    size_t key_size = strlen(key->text) + 1;
    size_t need = 1 + sizeof(until) + key_size + length + 1;
    size_t offset = set->used;
    enum keyset_added same = has_same(set, key->text, until);

    if (same != KEYSET_OK)
        return same;
    if (need >= UINT32_MAX - set->used)
        return KEYSET_FULL;
    while (set->room - set->used < need) {
        set->room += set->room / 2;
        set->block = xrealloc(set->block, set->room);
    }
    append(set, until != 0 ? "\1" : "\0", 1);
    if (until != 0)
        append(set, &until, sizeof(until));
    append(set, key->text, key_size);
    append(set, value, length);
    append(set, "", 1);
    set->entries++;
    if (until != 0)
        set->dated++;
    if (key->class == KEY_NET && key->net.addr.family == ADDR_IPV4)
        set->bits4[key->net.bits] = true;
    if (key->class == KEY_NET && key->net.addr.family == ADDR_IPV6)
        set->bits6[key->net.bits] = true;
    if (set->entries * 2 > set->slot_count)
        resize(set, set->slot_count * 2);
    else
        put(set, key->text, offset);
    return KEYSET_OK;
}

void keyset_finish(struct keyset *set)
{
    set->room = set->used + 1;
    set->block = xrealloc(set->block, set->room);
}

bool keyset_find(const struct keyset *set, const char *key, int32_t today, struct keyset_hit *hit)
{
    for (size_t at = first_slot(set, key); set->slots[at] != 0;
         at = (at + 1) & (set->slot_count - 1)) {
        struct entry entry = entry_at(set, set->slots[at] - 1);
        if ((entry.until == 0 || today <= entry.until) && strcmp(entry.key, key) == 0) {
            hit->key = entry.key;
            hit->value = entry.value;
            return true;
        }
    }
    return false;
}

static bool find_net(const struct keyset *set, const struct addr *addr, unsigned bits,
                     int32_t today, struct keyset_hit *hit)
{
    const struct net net = {addr_mask(addr, bits), (uint8_t)bits};
    char text[NET_TEXT_SIZE];

    return keyset_find(set, net_format(&net, text), today, hit);
}

/* Cuts the last part off the text of an address. */
static bool cut(char *text, char mark)
{
    char *last = strrchr(text, mark);

    if (last == NULL)
        return false;
    *last = '\0';
    return true;
}

static bool find_addr4(const struct keyset *set, const struct addr *addr, char *text, int32_t today,
                       struct keyset_hit *hit)
{
    for (unsigned bits = 32; bits-- > 0;) {
        if (set->bits4[bits] && find_net(set, addr, bits, today, hit))
            return true;
        if (bits % 8 == 0 && bits != 0 && cut(text, '.') && keyset_find(set, text, today, hit))
            return true;
    }
    return false;
}

/* The shortened text of an IPv6 address is no network of a certain length where "::" stood in it:
 * these keys come first, as Postfix has no other ones. */
static bool find_addr6(const struct keyset *set, const struct addr *addr, char *text, int32_t today,
                       struct keyset_hit *hit)
{
    while (cut(text, ':')) {
        if (text[0] != '\0' && keyset_find(set, text, today, hit))
            return true;
    }
    for (unsigned bits = 128; bits-- > 0;) {
        if (set->bits6[bits] && find_net(set, addr, bits, today, hit))
            return true;
    }
    return false;
}

bool keyset_find_addr(const struct keyset *set, const struct addr *addr, int32_t today,
                      struct keyset_hit *hit)
{
    char text[ADDR_TEXT_SIZE];

    addr_format(addr, text);
    if (keyset_find(set, text, today, hit))
        return true;
    return addr->family == ADDR_IPV4 ? find_addr4(set, addr, text, today, hit)
                                     : find_addr6(set, addr, text, today, hit);
}

size_t keyset_count(const struct keyset *set, int32_t today)
{
    struct entry entry;
    size_t expired = 0;

    if (set->dated == 0)
        return set->entries;
    for (size_t offset = 0; offset < set->used; offset += entry.size) {
        entry = entry_at(set, offset);
        if (entry.until != 0 && today > entry.until)
            expired++;
    }
    return set->entries - expired;
}

void keyset_each(const struct keyset *set, void (*each)(void *arg, const char *key), void *arg)
{
    struct entry entry;

    for (size_t offset = 0; offset < set->used; offset += entry.size) {
        entry = entry_at(set, offset);
        each(arg, entry.key);
    }
}

void keyset_backend_free(void *image)
{
    keyset_free(image);
}

enum table_status keyset_backend_find(const void *image, const struct table_probe *probe,
                                      struct table_answer *answer)
{
    const struct keyset *set = image;
    const int32_t today = set->dated > 0 ? clock_day(probe->now) : 0;
    struct keyset_hit hit;
    bool found = probe->form == PROBE_ADDR ? keyset_find_addr(set, probe->addr, today, &hit)
                                           : keyset_find(set, probe->text, today, &hit);

    if (!found)
        return TABLE_ABSENT;
    answer->key = arena_strdup(probe->arena, hit.key);
    answer->value = arena_strdup(probe->arena, hit.value);
    return TABLE_FOUND;
}

size_t keyset_backend_count(const void *image, int32_t today)
{
    return keyset_count(image, today);
}

void keyset_backend_each(const void *image, void (*each)(void *arg, const char *key), void *arg)
{
    keyset_each(image, each, arg);
}
