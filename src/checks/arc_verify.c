/* SPDX-License-Identifier: MIT */
#include "arc_verify.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include <postern/arena.h>
#include <postern/str.h>

/* Far above what signers use, and low enough that looking each up in the header is cheap. */
enum { NAMES_MAX = 300 };

/* SHA-256 is built in and cannot refuse its input: what fails here is memory. */
static void must(int result)
{
    if (result != 1)
        abort();
}

static EVP_MD_CTX *begin(void)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    must(context != NULL);
    must(EVP_DigestInit_ex(context, EVP_sha256(), NULL));
    return context;
}

static void hash_str(EVP_MD_CTX *context, const struct str *text)
{
    if (text->length > 0)
        must(EVP_DigestUpdate(context, text->data, text->length));
}

static void hash_field(EVP_MD_CTX *context, struct str *scratch, enum canon canon,
                       const struct header_field *field)
{
    str_clear(scratch);
    canon_header(scratch, canon, field->name, field->value, field->length);
    str_add(scratch, "\r\n");
    hash_str(context, scratch);
}

/* The signature's own field: without the text of b=, and without a CRLF (RFC 6376 3.7). */
static void hash_own(EVP_MD_CTX *context, struct str *scratch, enum canon canon,
                     const struct arc_signature *signature)
{
    const struct header_field *field = signature->field;
    size_t before = (size_t)(signature->b - field->value);
    struct str value = {0};

    str_add_bytes(&value, field->value, before);
    str_add_bytes(&value, signature->b + signature->b_length,
                  field->length - before - signature->b_length);
    str_clear(scratch);
    canon_header(scratch, canon, field->name, str_text(&value), value.length);
    hash_str(context, scratch);
    str_free(&value);
}

const unsigned char (*arc_seal_digests(const struct arc_chain *chain,
                                       struct arena *arena))[BODY_HASH_SIZE]
{
    unsigned char(*digests)[BODY_HASH_SIZE] = arena_alloc(arena, chain->count * sizeof(digests[0]));
    EVP_MD_CTX *all = begin();
    EVP_MD_CTX *one = EVP_MD_CTX_new();
    struct str scratch = {0};
    unsigned i;

    must(one != NULL);
    for (i = 0; i < chain->count; i++) {
        const struct arc_set *set = &chain->sets[i];

        hash_field(all, &scratch, CANON_RELAXED, set->part[ARC_RESULTS]);
        hash_field(all, &scratch, CANON_RELAXED, set->part[ARC_SIGNATURE]);
        must(EVP_MD_CTX_copy_ex(one, all));
        hash_own(one, &scratch, CANON_RELAXED, &set->seal);
        must(EVP_DigestFinal_ex(one, digests[i], NULL));
        hash_field(all, &scratch, CANON_RELAXED, set->part[ARC_SEAL]);
    }
    str_free(&scratch);
    EVP_MD_CTX_free(one);
    EVP_MD_CTX_free(all);
    return (const unsigned char(*)[BODY_HASH_SIZE])digests;
}

bool arc_signature_digest(const struct arc_signature *signature, const struct header_list *header,
                          struct arena *arena, unsigned char digest[BODY_HASH_SIZE])
{
    bool *used = arena_alloc(arena, header->count * sizeof(*used));
    const char *name = signature->fields;
    EVP_MD_CTX *context = begin();
    struct str scratch = {0};
    unsigned names = 0;

    while (name != NULL && names < NAMES_MAX) {
        size_t length = strcspn(name, ":");
        const struct header_field *field = header_list_take(header, used, name, length);

        /* RFC 6376 5.4.2: a field that is not there signs that it is not there.  The signature's
         * own field is never among those that it names. */
        while (field != NULL && field == signature->field)
            field = header_list_take(header, used, name, length);
        if (field != NULL)
            hash_field(context, &scratch, signature->header_canon, field);
        name = name[length] == ':' ? name + length + 1 : NULL;
        names++;
    }
    hash_own(context, &scratch, signature->header_canon, signature);
    must(EVP_DigestFinal_ex(context, digest, NULL));
    str_free(&scratch);
    EVP_MD_CTX_free(context);
    return name == NULL;
}

const char *arc_body_problem(const struct arc_signature *signature,
                             const unsigned char digest[BODY_HASH_SIZE], uint64_t length)
{
    if (signature->body_limit >= 0 && (uint64_t)signature->body_limit != length)
        return "only a part of the body is signed";
    if (memcmp(signature->body_hash, digest, BODY_HASH_SIZE) != 0)
        return "the body has been changed";
    return NULL;
}
