/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <postern/arena.h>

#include "../../src/checks/dmarc_walk.h"

/*
 * Any bytes as the DMARC records that a tree walk meets: a byte 1 ends a record, a byte 2 the
 * answer at one name.  However the records read, the walk ends in time, and what it finds lies
 * above where it began.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECORDS_MAX = 8 };

/* Cuts the next answer off *AT; its texts are copied, so that reading past one is seen. */
static const struct dns_answer *next_answer(const char **at, const char *end)
{
    struct dns_record records[RECORDS_MAX];
    struct dns_answer draft = {.type = DNS_TXT, .name = "", .records = records};
    const struct dns_answer *answer;

    while (*at < end && **at != 2 && draft.count < RECORDS_MAX) {
        struct dns_record *record = &records[draft.count++];
        size_t length = 0;

        while (*at + length < end && (*at)[length] != 1 && (*at)[length] != 2)
            length++;
        *record = (struct dns_record){.name = "", .text = *at, .length = length};
        *at += length;
        if (*at < end && **at == 1)
            (*at)++;
    }
    if (*at < end)
        (*at)++;
    draft.status = draft.count > 0 ? DNS_FOUND : DNS_NO_NAME;
    answer = dns_answer_new(&draft);
    return answer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    const char *at = (const char *)data;
    const char *end = at + size;
    struct dmarc_walk walk;
    char name[DMARC_NAME_SIZE];
    unsigned count = 0;

    dmarc_walk_init(&walk, "a.b.c.d.e.f.g.h.example.com");
    while (dmarc_walk_next(&walk, name) != NULL) {
        const struct dns_answer *answer = next_answer(&at, end);
        struct dmarc_answer read = dmarc_answer_read(arena, answer);

        assert(++count <= DMARC_QUERIES_MAX);
        assert(read.count == 1 || read.text[0] == '\0');
        assert(read.record.usable || read.record.p == DMARC_NONE);
        dmarc_walk_take(&walk, &read);
        dns_answer_unref(answer);
    }
    assert(domain_within(walk.domain, dmarc_walk_organization(&walk)));
    const struct dmarc_found *policy = dmarc_walk_policy(&walk);

    assert((policy == NULL) == (walk.count == 0));
    assert(policy == NULL || domain_within(walk.domain, policy->domain));
    (void)policy;
    arena_free(arena);
    return 0;
}
