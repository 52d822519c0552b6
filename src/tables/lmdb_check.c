/* SPDX-License-Identifier: MIT */
#include "lmdb_check.h"

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Format 1.  Page numbers and sizes have the machine's word size, as LMDB has them. */
enum {
    MAGIC = (int)0xBEEFC0DE,
    VERSION = 1,
    DEPTH_MAX = 32,
    PAGE_MIN = 512,
    PAGE_MAX = 32768,
    PAGE_BRANCH = 0x01,
    PAGE_LEAF = 0x02,
    PAGE_OVERFLOW = 0x04,
    PAGE_META = 0x08,
    PAGE_KINDS = 0x6f,
    NODE_BIG = 0x01,
    NODE_FLAGS = 0x07,
    ENV_FIXED_MAP = 0x01,
    DB_DUPLICATES = 0x74,
};

struct page {
    size_t number;
    uint16_t pad;
    uint16_t flags;
    union {
        struct {
            uint16_t lower, upper;
        } node;
        uint32_t overflow_pages;
    } u;
};

struct node {
    uint16_t words[2]; /* the low word first on little-endian machines */
    uint16_t flags;
    uint16_t key_size;
};

struct tree {
    uint32_t pad; /* of the first tree, of free pages: the size of a page */
    uint16_t flags;
    uint16_t depth;
    size_t branches, leaves, overflows;
    size_t entries;
    size_t root;
};

struct meta {
    uint32_t magic;
    uint32_t version;
    void *address;
    size_t map_size;
    struct tree trees[2];
    size_t last_page;
    size_t transaction;
};

struct walk {
    const unsigned char *file;
    size_t size;
    size_t page_size;
    struct meta meta;
    size_t visited;
    size_t entries;
};

static bool read_page(const struct walk *walk, size_t number, struct page *page)
{
    if (number > walk->meta.last_page)
        return false;
    memcpy(page, walk->file + number * walk->page_size, sizeof(*page));
    return page->number == number;
}

static bool read_meta(const struct walk *walk, size_t offset, struct meta *meta)
{
    struct page page;

    if (offset + sizeof(page) + sizeof(*meta) > walk->size)
        return false;
    memcpy(&page, walk->file + offset, sizeof(page));
    memcpy(meta, walk->file + offset + sizeof(page), sizeof(*meta));
    return (page.flags & PAGE_META) != 0 && meta->magic == (uint32_t)MAGIC;
}

static uint32_t node_size(const struct node *node)
{
    bool little = __BYTE_ORDER == __LITTLE_ENDIAN;

    return node->words[little ? 0 : 1] | (uint32_t)node->words[little ? 1 : 0] << 16;
}

static size_t node_child(const struct node *node)
{
    size_t child = node_size(node);

    if (sizeof(child) > 4)
        child |= (size_t)((uint64_t)node->flags << 32);
    return child;
}

/* A value of its own pages: BYTES of it from page NUMBER on. */
static bool check_overflow(struct walk *walk, size_t number, size_t bytes)
{
    struct page page;

    if (!read_page(walk, number, &page) || (page.flags & PAGE_KINDS) != PAGE_OVERFLOW)
        return false;
    size_t pages = page.u.overflow_pages;
    if (pages == 0 || pages > walk->meta.last_page + 1 - number)
        return false;
    return bytes <= pages * walk->page_size - sizeof(page);
}

static bool check_leaf_node(struct walk *walk, const unsigned char *data, size_t room,
                            const struct node *node)
{
    size_t bytes = node_size(node), number;

    walk->entries++;
    if ((node->flags & NODE_FLAGS & ~NODE_BIG) != 0)
        return false;
    if ((node->flags & NODE_BIG) == 0)
        return bytes <= room;
    if (room < sizeof(number))
        return false;
    memcpy(&number, data, sizeof(number));
    return check_overflow(walk, number, bytes);
}

static bool check_page(struct walk *walk, size_t number, unsigned level)
{
    bool leaf = level == walk->meta.trees[1].depth;
    struct page page;

    if (!read_page(walk, number, &page) || ++walk->visited > walk->meta.last_page + 1)
        return false;
    if ((page.flags & PAGE_KINDS) != (leaf ? PAGE_LEAF : PAGE_BRANCH))
        return false;
    const unsigned char *start = walk->file + number * walk->page_size;
    size_t lower = page.u.node.lower;
    if (lower < sizeof(page) || lower > walk->page_size || page.u.node.upper < lower ||
        page.u.node.upper > walk->page_size)
        return false;
    size_t count = (lower - sizeof(page)) / sizeof(uint16_t);
    if (count < (leaf ? 1 : 2))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct node node;
        uint16_t at;
        memcpy(&at, start + sizeof(page) + i * sizeof(at), sizeof(at));
        if (at < lower || at + sizeof(node) > walk->page_size)
            return false;
        memcpy(&node, start + at, sizeof(node));
        size_t data = at + sizeof(node) + node.key_size;
        if (data > walk->page_size)
            return false;
        if (!(leaf ? check_leaf_node(walk, start + data, walk->page_size - data, &node)
                   : check_page(walk, node_child(&node), level + 1)))
            return false;
    }
    return true;
}

static const char *check_tree(struct walk *walk)
{
    static const char damaged[] = "the map is damaged, or only half of it was written";
    const struct tree *tree = &walk->meta.trees[1];

    if ((walk->meta.trees[0].flags & ENV_FIXED_MAP) != 0)
        return "the map wants a fixed address in memory (MDB_FIXEDMAP)";
    if ((tree->flags & DB_DUPLICATES) != 0)
        return "the map holds several values for one key (MDB_DUPSORT)";
    if (walk->meta.last_page >= walk->size / walk->page_size)
        return damaged;
    if (tree->root == SIZE_MAX)
        return tree->entries == 0 && tree->depth == 0 ? NULL : damaged;
    if (tree->depth == 0 || tree->depth > DEPTH_MAX || !check_page(walk, tree->root, 1))
        return damaged;
    return walk->entries == tree->entries ? NULL : damaged;
}

static const char *check(struct walk *walk)
{
    static const char stranger[] = "the file is no LMDB map";
    struct meta second;

    if (!read_meta(walk, 0, &walk->meta))
        return stranger;
    if (walk->meta.version != VERSION)
        return NULL;
    walk->page_size = walk->meta.trees[0].pad;
    if (walk->page_size < PAGE_MIN || walk->page_size > PAGE_MAX ||
        (walk->page_size & (walk->page_size - 1)) != 0)
        return stranger;
    if (!read_meta(walk, walk->page_size, &second) || second.version != VERSION ||
        second.trees[0].pad != walk->page_size)
        return stranger;
    if (second.transaction > walk->meta.transaction)
        walk->meta = second;
    return check_tree(walk);
}

const char *lmdb_check(int fd)
{
    struct walk walk = {.file = NULL};
    struct stat status;

    if (fstat(fd, &status) != 0 || status.st_size <= 0)
        return "the file is empty";
    walk.size = (size_t)status.st_size;
    void *file = mmap(NULL, walk.size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (file == MAP_FAILED)
        return "the file cannot be mapped";
    walk.file = file;
    const char *problem = check(&walk);
    munmap(file, walk.size);
    return problem;
}
