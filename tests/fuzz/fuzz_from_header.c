/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <postern/arena.h>
#include <postern/domain.h>

#include "../../src/checks/from_header.h"

/*
 * Any bytes as the From fields of a message, with a byte 1 between two fields.  Whatever is said of
 * them, a domain that is given is canonical, and that of every author.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_field(struct from_header *from, struct arena *arena, const char *text,
                      size_t length)
{
    char *copy = xmalloc(length + 1);

    memcpy(copy, text, length);
    from_header_add(from, arena, copy, length);
    free(copy);
}

static void check(const struct from_header *from)
{
    const char *domain = from_header_domain(from);
    char canonical[DOMAIN_SIZE];
    size_t i;

    assert(from->count > 0 || domain[0] == '\0');
    if (domain[0] != '\0') {
        assert(domain_canonical(domain, strlen(domain), canonical));
        assert(strcmp(domain, canonical) == 0);
    }
    for (i = 0; i < from->count && i < FROM_AUTHORS_KEPT; i++) {
        const struct from_author *author = &from->authors[i];
        size_t address = strlen(author->address);
        size_t length = strlen(author->domain);

        assert(strlen(author->sent) <= FROM_FIELD_MAX);
        assert(domain[0] == '\0' || strcmp(author->domain, domain) == 0);
        assert(from->bad || author->address[0] != '\0');
        assert(length == 0 || (address > length &&
                               strcmp(author->address + address - length, author->domain) == 0));
        (void)address;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct from_header from = {0};
    const char *at = (const char *)data;
    const char *end = at + size;

    while (at < end) {
        const char *next = memchr(at, 1, (size_t)(end - at));

        next = next != NULL ? next : end;
        add_field(&from, arena, at, (size_t)(next - at));
        check(&from);
        at = next + (next < end);
    }
    arena_free(arena);
    return 0;
}
