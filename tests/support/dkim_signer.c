/* SPDX-License-Identifier: MIT */
#include "dkim_signer.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <opendkim/dkim.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <postern/arena.h>
#include <postern/str.h>

struct signer {
    struct arena *arena;
    EVP_PKEY *key;
    bool rsa;
};

static void must(bool good)
{
    if (!good)
        abort();
}

static const char *base64(struct arena *arena, const unsigned char *bytes, size_t length)
{
    unsigned char *out = arena_alloc(arena, (length + 2) / 3 * 4 + 1);

    EVP_EncodeBlock(out, bytes, (int)length);
    return (const char *)out;
}

/* ---- keys ---- */

struct signer *signer_new(struct arena *arena, const char *kind)
{
    struct signer *signer = arena_alloc(arena, sizeof(*signer));

    signer->arena = arena;
    signer->rsa = strncmp(kind, "rsa", 3) == 0;
    signer->key = signer->rsa ? EVP_RSA_gen((unsigned)atoi(kind + 3))
                              : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    must(signer->key != NULL);
    return signer;
}

void signer_free(struct signer *signer)
{
    EVP_PKEY_free(signer->key);
}

static const char *encode(struct arena *arena, EVP_PKEY *key,
                          int (*write)(const EVP_PKEY *, unsigned char **))
{
    unsigned char *bytes = NULL;
    int length = write(key, &bytes);
    const char *text;

    must(length > 0);
    text = base64(arena, bytes, (size_t)length);
    OPENSSL_free(bytes);
    return text;
}

const char *signer_key(const struct signer *signer)
{
    unsigned char raw[32];
    size_t length = sizeof(raw);

    if (signer->rsa)
        return encode(signer->arena, signer->key, i2d_PUBKEY);
    must(EVP_PKEY_get_raw_public_key(signer->key, raw, &length) == 1);
    return base64(signer->arena, raw, length);
}

const char *signer_bare_key(const struct signer *signer)
{
    return encode(signer->arena, signer->key, i2d_PublicKey);
}

const char *signer_record(const struct signer *signer)
{
    return arena_printf(signer->arena, "v=DKIM1; k=%s; p=%s", signer->rsa ? "rsa" : "ed25519",
                        signer_key(signer));
}

static size_t put_length(unsigned char *at, size_t length)
{
    at[0] = 0x82;
    at[1] = (unsigned char)(length >> 8);
    at[2] = (unsigned char)length;
    return 3;
}

/* An INTEGER of DER whose highest bit is bit BITS - 1. */
static size_t put_integer(unsigned char *at, unsigned bits)
{
    size_t octets = bits / 8 + 1;
    size_t used = 0;

    at[used++] = 0x02;
    used += put_length(at + used, octets);
    memset(at + used, 0, octets);
    if (bits > 0) {
        at[used + octets - 1 - (bits - 1) / 8] = (unsigned char)(1U << (bits - 1) % 8);
        at[used + octets - 1] |= 1;
    }
    return used + octets;
}

const char *signer_fake_key(struct arena *arena, unsigned bits, unsigned exponent_bits)
{
    unsigned char *numbers = arena_alloc(arena, (bits + exponent_bits) / 8 + 16);
    size_t length = put_integer(numbers, bits);
    unsigned char *whole;
    size_t used = 1;

    length += put_integer(numbers + length, exponent_bits);
    whole = arena_alloc(arena, length + 4);
    whole[0] = 0x30;
    used += put_length(whole + used, length);
    memcpy(whole + used, numbers, length);
    return base64(arena, whole, used + length);
}

/* ---- by libopendkim ---- */

static char *private_key(const struct signer *signer)
{
    BIO *memory = BIO_new(BIO_s_mem());
    char *text;
    long length;
    char *copy;

    must(memory != NULL &&
         PEM_write_bio_PrivateKey_traditional(memory, signer->key, NULL, NULL, 0, NULL, NULL) == 1);
    length = BIO_get_mem_data(memory, &text);
    copy = arena_strndup(signer->arena, text, (size_t)length);
    BIO_free(memory);
    return copy;
}

static const char *with_crlf(struct arena *arena, const char *text)
{
    struct str out = {0};
    const char *copy;

    for (; *text != '\0'; text++) {
        if (*text == '\n')
            str_add_char(&out, '\r');
        str_add_char(&out, *text);
    }
    copy = arena_strdup(arena, str_text(&out));
    str_free(&out);
    return copy;
}

static void add(DKIM *message, const struct signer *signer, const char *field)
{
    char *text = arena_strdup(signer->arena, with_crlf(signer->arena, field));

    must(dkim_header(message, (unsigned char *)text, strlen(text)) == DKIM_STAT_OK);
}

static const char *take_value(struct arena *arena, DKIM *message)
{
    unsigned char *text;
    size_t length;
    struct str out = {0};
    const char *copy;
    size_t i;

    must(dkim_getsighdr_d(message, strlen("DKIM-Signature: "), &text, &length) == DKIM_STAT_OK);
    str_add_char(&out, ' ');
    for (i = 0; i < length; i++)
        if (text[i] != '\r')
            str_add_char(&out, (char)text[i]);
    copy = arena_strdup(arena, str_text(&out));
    str_free(&out);
    return copy;
}

const char *signer_by_library(const struct signer *signer, const char *domain, const char *canon,
                              const char *const *fields, const char *body, size_t length)
{
    DKIM_LIB *library = dkim_init(NULL, NULL);
    dkim_canon_t header = canon[0] == 'r' ? DKIM_CANON_RELAXED : DKIM_CANON_SIMPLE;
    dkim_canon_t of_body = strchr(canon, '/')[1] == 'r' ? DKIM_CANON_RELAXED : DKIM_CANON_SIMPLE;
    char *key = private_key(signer);
    char *copy = arena_alloc(signer->arena, length + 1);
    DKIM_STAT status;
    DKIM *message;
    const char *value;

    must(library != NULL);
    message = dkim_sign(library, (const unsigned char *)"test", NULL, (dkim_sigkey_t)key,
                        (const unsigned char *)"sel", (const unsigned char *)domain, header,
                        of_body, DKIM_SIGN_RSASHA256, -1, &status);
    must(message != NULL);
    for (; *fields != NULL; fields++)
        add(message, signer, *fields);
    memcpy(copy, body, length);
    must(dkim_eoh(message) == DKIM_STAT_OK);
    must(length == 0 || dkim_body(message, (unsigned char *)copy, length) == DKIM_STAT_OK);
    must(dkim_eom(message, NULL) == DKIM_STAT_OK);
    value = take_value(signer->arena, message);
    dkim_free(message);
    dkim_close(library);
    return value;
}

/* ---- by hand ---- */

static const char *replace(struct arena *arena, const char *text, const char *mark,
                           const char *with)
{
    const char *at = strstr(text, mark);

    if (at == NULL)
        return text;
    return arena_printf(arena, "%.*s%s%s", (int)(at - text), text, with, at + strlen(mark));
}

/* RFC 6376 3.7: all between the '=' and the ';' of b= is left out. */
static const char *without_signature(struct arena *arena, const char *value)
{
    const char *mark = strstr(value, "@B");
    const char *start = mark;
    const char *end = mark + strcspn(mark, ";");

    while (start[-1] != '=')
        start--;
    return arena_printf(arena, "%.*s%s", (int)(start - value), value, end);
}

static const char *body_hash(struct arena *arena, const char *body, size_t length)
{
    unsigned char digest[32];
    char *whole = arena_alloc(arena, length + 3);

    memcpy(whole, body, length);
    while (length >= 2 && memcmp(whole + length - 2, "\r\n", 2) == 0)
        length -= 2;
    memcpy(whole + length, "\r\n", 2);
    must(EVP_Digest(whole, length + 2, digest, NULL, EVP_sha256(), NULL) == 1);
    return base64(arena, digest, sizeof(digest));
}

static const char *sign_text(const struct signer *signer, const char *text)
{
    unsigned char digest[32];
    unsigned char out[1024];
    size_t length = sizeof(out);
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    must(EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL) == 1);
    if (signer->rsa)
        must(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, signer->key) == 1 &&
             EVP_DigestSign(context, out, &length, (const unsigned char *)text, strlen(text)) == 1);
    else
        must(EVP_DigestSignInit(context, NULL, NULL, NULL, signer->key) == 1 &&
             EVP_DigestSign(context, out, &length, digest, sizeof(digest)) == 1);
    EVP_MD_CTX_free(context);
    return base64(signer->arena, out, length);
}

const char *signer_by_hand(const struct signer *signer, const char *value,
                           const char *const *fields, const char *body, size_t length)
{
    struct arena *arena = signer->arena;
    const char *text = "";

    value = replace(arena, value, "@BH", body_hash(arena, body, length));
    for (; *fields != NULL; fields++)
        text = arena_printf(arena, "%s%s\r\n", text, with_crlf(arena, *fields));
    text = arena_printf(arena, "%sDKIM-Signature:%s", text,
                        with_crlf(arena, without_signature(arena, value)));
    return replace(arena, value, "@B", sign_text(signer, text));
}

/* ---- a group's keys ---- */

int signers_set_up(void **state)
{
    struct signers *signers = xcalloc(1, sizeof(*signers));

    signers->arena = arena_new();
    signers->rsa = signer_new(signers->arena, "rsa2048");
    signers->other = signer_new(signers->arena, "rsa1024");
    signers->small = signer_new(signers->arena, "rsa512");
    signers->ed25519 = signer_new(signers->arena, "ed25519");
    *state = signers;
    return 0;
}

int signers_tear_down(void **state)
{
    struct signers *signers = *state;

    signer_free(signers->rsa);
    signer_free(signers->other);
    signer_free(signers->small);
    signer_free(signers->ed25519);
    arena_free(signers->arena);
    free(signers);
    return 0;
}
