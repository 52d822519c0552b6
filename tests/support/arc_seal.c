/* SPDX-License-Identifier: MIT */
#include "arc_seal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <postern/arena.h>
#include <postern/str.h>

#include "../../src/checks/dkim_canon.h"

enum { FIELDS_MAX = 1024, SIGNATURE_MAX = 1024, RECORD_MAX = 8192, TEXT_MAX = 2048 };

struct seal_key {
    EVP_PKEY *key;
    bool rsa;
    char record[RECORD_MAX];
};

struct seal_key *seal_key_new(const char *type, unsigned bits)
{
    struct seal_key *key = xcalloc(1, sizeof(*key));
    unsigned char raw[TEXT_MAX];
    unsigned char *at = raw;
    size_t length = sizeof(raw);
    char text[2 * TEXT_MAX];

    key->rsa = strcmp(type, "rsa") == 0;
    key->key = key->rsa ? EVP_RSA_gen(bits) : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (key->key == NULL)
        abort();
    if (key->rsa)
        length = (size_t)i2d_PUBKEY(key->key, &at);
    else if (EVP_PKEY_get_raw_public_key(key->key, raw, &length) != 1)
        abort();
    EVP_EncodeBlock((unsigned char *)text, raw, (int)length);
    snprintf(key->record, sizeof(key->record), "v=DKIM1; k=%s; p=%s", type, text);
    return key;
}

void seal_key_free(struct seal_key *key)
{
    EVP_PKEY_free(key->key);
    free(key);
}

const char *seal_key_record(const struct seal_key *key)
{
    return key->record;
}

static const char *sign(struct arena *arena, const struct seal_key *key, const struct str *data)
{
    unsigned char digest[BODY_HASH_SIZE];
    unsigned char signature[SIGNATURE_MAX];
    char text[2 * SIGNATURE_MAX];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const unsigned char *bytes = (const unsigned char *)data->data;
    size_t size = data->length;
    size_t length = sizeof(signature);

    if (!key->rsa) { /* RFC 8463: what is signed is the hash */
        if (EVP_Digest(bytes, size, digest, NULL, EVP_sha256(), NULL) != 1)
            abort();
        bytes = digest;
        size = sizeof(digest);
    }
    if (EVP_DigestSignInit(context, NULL, key->rsa ? EVP_sha256() : NULL, NULL, key->key) != 1 ||
        EVP_DigestSign(context, signature, &length, bytes, size) != 1)
        abort();
    EVP_MD_CTX_free(context);
    EVP_EncodeBlock((unsigned char *)text, signature, (int)length);
    return arena_strdup(arena, text);
}

/* ---- the message ---- */

struct field {
    const char *name, *value;
};

static size_t split(struct arena *arena, const char *message, struct field *fields,
                    const char **body)
{
    size_t count = 0;

    while (*message != '\0' && *message != '\n') {
        size_t length = strcspn(message, "\n");
        size_t name = strcspn(message, ":");

        while (message[length] == '\n' &&
               (message[length + 1] == ' ' || message[length + 1] == '\t'))
            length += 1 + strcspn(message + length + 1, "\n");
        assert(name < length && count < FIELDS_MAX);
        fields[count++] =
            (struct field){arena_strndup(arena, message, name),
                           arena_strndup(arena, message + name + 1, length - name - 1)};
        message += length + (message[length] == '\n');
    }
    *body = *message == '\n' ? message + 1 : message;
    return count;
}

static const char *hash_body(struct arena *arena, const char *body, enum canon canon)
{
    struct body_hash *hash = body_hash_new(canon);
    unsigned char digest[BODY_HASH_SIZE];
    char text[2 * BODY_HASH_SIZE];

    for (; *body != '\0'; body++)
        if (*body == '\n')
            body_hash_add(hash, (const unsigned char *)"\r\n", 2);
        else
            body_hash_add(hash, (const unsigned char *)body, 1);
    body_hash_end(hash, digest);
    body_hash_free(hash);
    EVP_EncodeBlock((unsigned char *)text, digest, sizeof(digest));
    return arena_strdup(arena, text);
}

static void add_field(struct str *data, enum canon canon, const char *name, const char *value)
{
    canon_header(data, canon, name, value, strlen(value));
}

/* The fields that h= names, each name's from the bottom up. */
static void add_named(struct str *data, enum canon canon, const char *names,
                      const struct field *fields, size_t count)
{
    bool used[FIELDS_MAX] = {false};

    while (*names != '\0') {
        size_t length = strcspn(names, ":");
        size_t i;

        for (i = count; i-- > 0;)
            if (!used[i] && strlen(fields[i].name) == length &&
                strncasecmp(fields[i].name, names, length) == 0) {
                used[i] = true;
                add_field(data, canon, fields[i].name, fields[i].value);
                str_add(data, "\r\n");
                break;
            }
        names += length + (names[length] == ':');
    }
}

/* The sets below INSTANCE, from the first on, in the order of RFC 8617 5.1.1. */
static void add_sets(struct str *data, unsigned instance, const struct field *fields, size_t count)
{
    static const char *const names[] = {"ARC-Authentication-Results", "ARC-Message-Signature",
                                        "ARC-Seal"};
    char start[32];
    unsigned i;
    size_t part, j;

    for (i = 1; i < instance; i++) {
        snprintf(start, sizeof(start), " i=%u;", i);
        for (part = 0; part < 3; part++)
            for (j = 0; j < count; j++)
                if (strcmp(fields[j].name, names[part]) == 0 &&
                    strncmp(fields[j].value, start, strlen(start)) == 0) {
                    add_field(data, CANON_RELAXED, fields[j].name, fields[j].value);
                    str_add(data, "\r\n");
                }
    }
}

static const char * or (const char *text, const char *fallback)
{
    return text != NULL ? text : fallback;
}

const char *arc_seal(struct arena *arena, const char *message, const struct seal *seal)
{
    struct field fields[FIELDS_MAX];
    const char *body;
    size_t count = split(arena, message, fields, &body);
    unsigned instance = seal->instance != 0 ? seal->instance : 1;
    const char *domain = or (seal->domain, "example.org");
    const char *selector = or (seal->selector, "s");
    const char *names = or (seal->fields, "from:subject:date");
    const char *canon = or (seal->canon, "relaxed/relaxed");
    const char *algorithm = or (seal->algorithm, seal->key->rsa ? "rsa-sha256" : "ed25519-sha256");
    const char *results, *signature, *sealed;
    enum canon header_canon, body_canon;
    struct str data = {0};

    if (!canon_read(canon, &header_canon, &body_canon))
        abort();
    results = arena_printf(
        arena, " i=%u; %s", instance,
        or (seal->results,
            arena_printf(arena, "mx.%s; dmarc=pass header.from=author.example", domain)));
    signature = arena_printf(
        arena, " i=%u; a=%s; c=%s; d=%s; s=%s;\n\th=%s%s;\n\tbh=%s;\n\tb=", instance, algorithm,
        canon, domain, selector, names, or (seal->signature_tags, ""),
        seal->body_hash != NULL ? seal->body_hash : hash_body(arena, body, body_canon));
    add_named(&data, header_canon, names, fields, count);
    add_field(&data, header_canon, "ARC-Message-Signature", signature);
    signature = arena_printf(arena, "%s%s", signature, sign(arena, seal->key, &data));
    sealed = arena_printf(arena, " i=%u; a=%s; cv=%s; d=%s; s=%s%s;\n b=", instance, algorithm,
                          or (seal->cv, instance == 1 ? "none" : "pass"), domain, selector,
                          or (seal->seal_tags, ""));
    str_clear(&data);
    add_sets(&data, instance, fields, count);
    add_field(&data, CANON_RELAXED, "ARC-Authentication-Results", results);
    str_add(&data, "\r\n");
    add_field(&data, CANON_RELAXED, "ARC-Message-Signature", signature);
    str_add(&data, "\r\n");
    add_field(&data, CANON_RELAXED, "ARC-Seal", sealed);
    sealed = arena_printf(arena, "%s%s", sealed, sign(arena, seal->key, &data));
    str_free(&data);
    return arena_printf(arena,
                        "ARC-Seal:%s\nARC-Message-Signature:%s\n"
                        "ARC-Authentication-Results:%s\n%s",
                        sealed, signature, results, message);
}
