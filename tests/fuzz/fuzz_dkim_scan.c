/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <postern/arena.h>
#include <postern/domain.h>

#include "../../src/checks/dkim_scan.h"
#include "../../src/checks/dkim_verify.h"

/*
 * A header, one field a line ("Name: value", a line that begins with a blank goes on), and behind a
 * line with '=' alone a key record: whatever they are, what is read is well formed and bounded, and
 * where libopendkim hashes the header it does so as we do.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIGNATURES_MAX = 8, NOW = 1700000000 };

static void check_signature(const struct dkim_signature *signature, const struct header_list *list)
{
    const struct header_field *field = &list->fields[signature->field];

    assert(signature->result == RESULT_NONE || *signature->reason != '\0');
    assert(strlen(signature->domain) < DOMAIN_SIZE);
    if (signature->result != RESULT_NONE)
        return;
    assert(strlen(signature->key_name) < DOMAIN_SIZE);
    assert(strlen(signature->identity) <= DOMAIN_SIZE + DKIM_IDENTITY_MAX);
    assert(signature->length > 0 && signature->length < DKIM_FIELD_MAX);
    assert(signature->b_start + signature->b_length <= field->length);
    assert(field->value[signature->b_start - 1] == '=');
}

static void check_digests(struct dkim_verifier *verifier, const struct header_list *list,
                          const struct dkim_signature *signatures, size_t count,
                          struct arena *arena)
{
    unsigned char digests[SIGNATURES_MAX][HEADER_HASH_SIZE];
    unsigned char own[HEADER_HASH_SIZE];
    bool taken[SIGNATURES_MAX];
    size_t i;

    dkim_header_digests_library(verifier, list, signatures, count, digests, taken, arena);
    for (i = 0; i < count; i++) {
        if (signatures[i].result != RESULT_NONE)
            continue;
        dkim_header_digest_own(list, &signatures[i], own, arena);
        assert(!taken[i] || memcmp(own, digests[i], sizeof(own)) == 0);
    }
}

static void read_header(struct header_list *list, char *text)
{
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        char *colon;

        while (text[length] == '\n' && (text[length + 1] == ' ' || text[length + 1] == '\t'))
            length += 1 + strcspn(text + length + 1, "\n");
        char *next = text + length + (text[length] == '\n');

        text[length] = '\0';
        colon = strchr(text, ':');
        if (colon != NULL) {
            *colon = '\0';
            header_list_add(list, text, colon + 1);
        }
        text = next;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct dkim_verifier *verifier;
    const uint8_t *mark = memmem(data, size, "\n=\n", 3);
    size_t length = mark != NULL ? (size_t)(mark - data) : size;
    struct arena *arena = arena_new();
    struct dkim_signature signatures[SIGNATURES_MAX];
    struct header_list list;
    struct dkim_key key;
    size_t count = 0;
    size_t i;

    if (verifier == NULL)
        verifier = dkim_verifier_new();
    header_list_init(&list, arena);
    read_header(&list, arena_strndup(arena, (const char *)data, length));
    for (i = 0; i < list.count && count < SIGNATURES_MAX; i++) {
        if (!header_is(&list.fields[i], "DKIM-Signature"))
            continue;
        dkim_signature_read(&signatures[count], &list, i, NOW, arena);
        check_signature(&signatures[count++], &list);
    }
    check_digests(verifier, &list, signatures, count, arena);
    if (mark != NULL)
        dkim_key_read(&key, (const char *)mark + 3, size - length - 3, arena);
    arena_free(arena);
    return 0;
}
