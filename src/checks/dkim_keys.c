/* SPDX-License-Identifier: MIT */
#include "dkim_keys.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <postern/arena.h>
#include <postern/hash.h>

enum {
    PLACES = 1024,             /* a power of two */
    KEY_BYTES_MAX = 16 * 1024, /* KEY_BITS_MAX fits several times */
    ED25519_SIZE = 32,
    ED25519_BITS = 256,
};

struct place {
    EVP_PKEY *key; /* NULL: empty */
    enum key_type type;
    unsigned char *bytes;
    size_t length;
};

struct key_store {
    pthread_mutex_t lock;
    struct place places[PLACES];
};

struct key_store *key_store_new(void)
{
    struct key_store *store = xcalloc(1, sizeof(*store));

    pthread_mutex_init(&store->lock, NULL);
    return store;
}

static void empty(struct place *place)
{
    EVP_PKEY_free(place->key);
    free(place->bytes);
    *place = (struct place){0};
}

void key_store_free(struct key_store *store)
{
    size_t i;

    if (store == NULL)
        return;
    for (i = 0; i < PLACES; i++)
        empty(&store->places[i]);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

/* ---- reading ---- */

/* RFC 6376 3.6.1 shows SubjectPublicKeyInfo and speaks of RSAPublicKey; both are published. */
static EVP_PKEY *read_rsa(const unsigned char *bytes, size_t length)
{
    const unsigned char *at = bytes;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)length);

    if (key == NULL) {
        at = bytes;
        key = d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, (long)length);
    }
    if (key != NULL && (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || at != bytes + length)) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

static EVP_PKEY *read_key(enum key_type type, const unsigned char *bytes, size_t length)
{
    if (type == KEY_RSA)
        return read_rsa(bytes, length);
    /* RFC 8463 4.2: the bare key, without a wrapping in ASN.1. */
    if (length != ED25519_SIZE)
        return NULL;
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, bytes, length);
}

/* The key with a reference for the caller, from the store or into it; NULL when it cannot be read.
 */
static EVP_PKEY *find_key(struct key_store *store, enum key_type type, const unsigned char *bytes,
                          size_t length)
{
    struct place *place = &store->places[hash_secret(bytes, length) % PLACES];
    EVP_PKEY *key = NULL;

    pthread_mutex_lock(&store->lock);
    if (place->key != NULL && place->type == type && place->length == length &&
        memcmp(place->bytes, bytes, length) == 0 && EVP_PKEY_up_ref(place->key) == 1)
        key = place->key;
    pthread_mutex_unlock(&store->lock);
    if (key != NULL)
        return key;
    key = read_key(type, bytes, length);
    if (key == NULL || EVP_PKEY_up_ref(key) != 1)
        return key;
    pthread_mutex_lock(&store->lock);
    empty(place);
    *place = (struct place){key, type, xmalloc(length), length};
    memcpy(place->bytes, bytes, length);
    pthread_mutex_unlock(&store->lock);
    return key;
}

/* ---- verifying ---- */

static bool exponent_is_small(const EVP_PKEY *key)
{
    BIGNUM *exponent = NULL;
    bool small = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 &&
                 BN_num_bits(exponent) <= KEY_EXPONENT_BITS_MAX;

    BN_free(exponent);
    return small;
}

static bool verify_rsa(EVP_PKEY *key, const unsigned char *digest, const unsigned char *signature,
                       size_t length)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    bool good = context != NULL && EVP_PKEY_verify_init(context) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1 &&
                EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) == 1 &&
                EVP_PKEY_verify(context, signature, length, digest, KEY_DIGEST_SIZE) == 1;

    EVP_PKEY_CTX_free(context);
    return good;
}

/* RFC 8463 3: the SHA-256 is the message that Ed25519 signs. */
static bool verify_ed25519(EVP_PKEY *key, const unsigned char *digest,
                           const unsigned char *signature, size_t length)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context != NULL && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestVerify(context, signature, length, digest, KEY_DIGEST_SIZE) == 1;

    EVP_MD_CTX_free(context);
    return good;
}

static enum key_verdict judge(EVP_PKEY *key, enum key_type type, unsigned min_bits,
                              const unsigned char *digest, const unsigned char *signature,
                              size_t length, unsigned bits)
{
    if (type == KEY_ED25519)
        return verify_ed25519(key, digest, signature, length) ? KEY_GOOD : KEY_NO_MATCH;
    if (bits < min_bits)
        return KEY_SHORT;
    if (bits > KEY_BITS_MAX || !exponent_is_small(key))
        return KEY_LONG;
    return verify_rsa(key, digest, signature, length) ? KEY_GOOD : KEY_NO_MATCH;
}

enum key_verdict key_verify(struct key_store *store, enum key_type type, const unsigned char *key,
                            size_t key_length, unsigned min_bits,
                            const unsigned char digest[KEY_DIGEST_SIZE],
                            const unsigned char *signature, size_t length, unsigned *bits)
{
    enum key_verdict verdict = KEY_UNREADABLE;
    EVP_PKEY *read = NULL;
    int size;

    *bits = 0;
    if (key_length > KEY_BYTES_MAX)
        return KEY_LONG;
    read = find_key(store, type, key, key_length);
    if (read != NULL) {
        size = EVP_PKEY_get_bits(read);
        *bits = type == KEY_ED25519 ? ED25519_BITS : size > 0 ? (unsigned)size : 0;
        verdict = judge(read, type, min_bits, digest, signature, length, *bits);
    }
    EVP_PKEY_free(read);
    ERR_clear_error();
    return verdict;
}
