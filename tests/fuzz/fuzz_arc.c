/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <postern/arena.h>

#include "../../src/checks/arc_key.h"
#include "../../src/checks/arc_trust.h"
#include "../../src/checks/arc_verify.h"

/*
 * A whole message, and as its last line the key record that all its signers have.  A chain is
 * absent, broken with a reason, or whole, and then each of its signatures gets its verdict.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_fields(struct header_list *header, char *text, bool *seen)
{
    while (*text != '\0') {
        char *end = text;
        char *colon;
        bool last;

        do
            end += strcspn(end, "\n") + 1;
        while (end[-1] == '\n' && (*end == ' ' || *end == '\t'));
        last = end[-1] == '\0';
        end[-1] = '\0';
        colon = strchr(text, ':');
        if (colon != NULL) {
            *colon = '\0';
            *seen |= arc_is_field(text);
            header_list_add(header, text, colon + 1);
        }
        if (last)
            return;
        text = end;
    }
}

static void check_text(const char *text)
{
    assert(text != NULL && strlen(text) < 400);
}

static void verify(const struct arc_signature *signature, const unsigned char *digest,
                   const char *key, struct key_store *store, struct arena *arena)
{
    const struct dns_record record = {.name = "", .text = key, .length = strlen(key)};
    const struct dns_answer answer = {
        .status = DNS_FOUND, .type = DNS_TXT, .count = 1, .records = &record};
    const char *problem = arc_key_verify(store, &answer, signature, digest, arena);

    if (problem != NULL)
        check_text(problem);
}

static void check_chain(const struct arc_chain *chain, const struct header_list *header,
                        const unsigned char *body, size_t length, const char *key,
                        struct arena *arena)
{
    const unsigned char(*seals)[BODY_HASH_SIZE] = arc_seal_digests(chain, arena);
    struct key_store *store = key_store_new();

    assert(chain->count >= 1 && chain->count <= ARC_SETS_MAX);
    for (unsigned i = 0; i < chain->count; i++) {
        const struct arc_signature *signature = &chain->sets[i].signature;
        unsigned char digest[BODY_HASH_SIZE];
        struct body_hash *hash;
        uint64_t canonical;

        assert(chain->sets[i].seal.problem == NULL);
        check_text(chain->sets[i].seal.key_name);
        verify(&chain->sets[i].seal, seals[i], key, store, arena);
        if (signature->problem != NULL)
            continue;
        hash = body_hash_new(signature->body_canon);
        body_hash_add(hash, body, length);
        canonical = body_hash_end(hash, digest);
        assert(canonical <= length + 2);
        body_hash_free(hash);
        arc_body_problem(signature, digest, canonical);
        if (arc_signature_digest(signature, header, arena, digest))
            verify(signature, digest, key, store, arena);
    }
    assert(arc_dmarc_passed(chain, NULL, arena) == ARC_TRUST_NO);
    key_store_free(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    char *text = arena_strndup(arena, (const char *)data, size);
    char *body = strstr(text, "\n\n");
    char *key = strrchr(text, '\n');
    struct header_list header;
    struct arc_chain chain;
    bool seen = false;

    if (body != NULL)
        *body = '\0';
    body = body != NULL ? body + 2 : text + strlen(text);
    key = key != NULL ? key + 1 : text + strlen(text);
    header_list_init(&header, arena);
    add_fields(&header, text, &seen);
    arc_chain_read(&chain, &header, seen, ARC_SETS_MAX, arena);
    assert((chain.shape == ARC_ABSENT) == !seen);
    if (chain.shape == ARC_BROKEN)
        check_text(chain.reason);
    if (chain.shape == ARC_WHOLE)
        check_chain(&chain, &header, (const unsigned char *)body, strlen(body), key, arena);
    arena_free(arena);
    return 0;
}
