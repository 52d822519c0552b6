/* SPDX-License-Identifier: MIT */
#include "dkim_keys.h"

#include <assert.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <postern/arena.h>
#include <postern/hash.h>

enum {
    SETS = 256,                /* of keys with the same hash */
    WAYS = 4,                  /* places of each */
    KEY_BYTES_MAX = 16 * 1024, /* KEY_BITS_MAX fits several times */
    ED25519_SIZE = 32,
    ED25519_BITS = 256,
};

/* A key as it was read, and made ready to be verified with, which costs as much as verifying. */
struct read_key {
    EVP_PKEY *key;         /* NULL: none */
    EVP_PKEY_CTX *context; /* RSA: ready to verify, for one at a time; NULL: to be made */
    unsigned bits;
    bool costly; /* RSA: too many bits, or too large an exponent */
};

struct place {
    struct read_key read;
    enum key_type type;
    unsigned char *bytes;
    size_t length;
};

/* A set holds the keys that were used last, the latest first. */
struct key_store {
    pthread_mutex_t lock;
    struct place sets[SETS][WAYS];
};

struct key_store *key_store_new(void)
{
    struct key_store *store = xcalloc(1, sizeof(*store));

    pthread_mutex_init(&store->lock, NULL);
    return store;
}

static void empty(struct place *place)
{
    EVP_PKEY_CTX_free(place->read.context);
    EVP_PKEY_free(place->read.key);
    free(place->bytes);
    *place = (struct place){0};
}

void key_store_free(struct key_store *store)
{
    size_t i, j;

    if (store == NULL)
        return;
    for (i = 0; i < SETS; i++)
        for (j = 0; j < WAYS; j++)
            empty(&store->sets[i][j]);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

/* ---- reading ---- */

static EVP_PKEY *read_bare_rsa(const unsigned char *bytes, size_t length)
{
    const unsigned char *at = bytes;
    EVP_PKEY *key = d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, (long)length);

    if (key != NULL && at != bytes + length) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

/* The key within SubjectPublicKeyInfo (RFC 5280 4.1), NULL when it is no such thing.  The caller
 * owns it. */
static ASN1_BIT_STRING *unwrap_rsa(const unsigned char *bytes, size_t length)
{
    const unsigned char *at = bytes, *end = bytes + length;
    ASN1_BIT_STRING *key = NULL;
    X509_ALGOR *algorithm;
    int tag, class;
    long size;

    if (ASN1_get_object(&at, &size, &tag, &class, (long)length) != V_ASN1_CONSTRUCTED ||
        class != V_ASN1_UNIVERSAL || tag != V_ASN1_SEQUENCE || size != end - at)
        return NULL;
    algorithm = d2i_X509_ALGOR(NULL, &at, size);
    if (algorithm != NULL && OBJ_obj2nid(algorithm->algorithm) == NID_rsaEncryption)
        key = d2i_ASN1_BIT_STRING(NULL, &at, end - at);
    X509_ALGOR_free(algorithm);
    if (key != NULL && at != end) {
        ASN1_BIT_STRING_free(key);
        key = NULL;
    }
    return key;
}

/* RFC 6376 3.6.1 shows SubjectPublicKeyInfo and speaks of RSAPublicKey; both are published.
 * d2i_PUBKEY(3) would read the former as well, but it first seeks a decoder among those of all
 * kinds of keys, which takes a hundred times as long as all the rest. */
static EVP_PKEY *read_rsa(const unsigned char *bytes, size_t length)
{
    ASN1_BIT_STRING *wrapped = unwrap_rsa(bytes, length);
    EVP_PKEY *key;

    if (wrapped == NULL)
        return read_bare_rsa(bytes, length);
    key = read_bare_rsa(ASN1_STRING_get0_data(wrapped), (size_t)ASN1_STRING_length(wrapped));
    ASN1_BIT_STRING_free(wrapped);
    return key;
}

static bool exponent_is_small(const EVP_PKEY *key)
{
    uint64_t exponent;
    OSSL_PARAM wanted[] = {OSSL_PARAM_construct_uint64(OSSL_PKEY_PARAM_RSA_E, &exponent),
                           OSSL_PARAM_END};

    /* One that has more bits is refused. */
    static_assert(sizeof(exponent) * CHAR_BIT == KEY_EXPONENT_BITS_MAX, "the exponent fits");
    return EVP_PKEY_get_params(key, wanted) == 1;
}

static struct read_key read_key(enum key_type type, const unsigned char *bytes, size_t length)
{
    struct read_key read = {.bits = ED25519_BITS};
    int bits;

    if (type == KEY_ED25519) {
        /* RFC 8463 4.2: the bare key, without a wrapping in ASN.1. */
        if (length == ED25519_SIZE)
            read.key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, bytes, length);
        return read;
    }
    read.key = read_rsa(bytes, length);
    if (read.key == NULL)
        return read;
    bits = EVP_PKEY_get_bits(read.key);
    read.bits = bits > 0 ? (unsigned)bits : 0;
    read.costly = read.bits > KEY_BITS_MAX || !exponent_is_small(read.key);
    return read;
}

static bool holds(const struct place *place, enum key_type type, const unsigned char *bytes,
                  size_t length)
{
    return place->read.key != NULL && place->type == type && place->length == length &&
           memcmp(place->bytes, bytes, length) == 0;
}

/* Makes PLACE the first of its set. */
static void move_to_front(struct place *set, size_t way, struct place place)
{
    memmove(&set[1], &set[0], way * sizeof(*set));
    set[0] = place;
}

static struct read_key look_up(struct key_store *store, struct place *set, enum key_type type,
                               const unsigned char *bytes, size_t length)
{
    struct read_key found = {0};
    size_t way = 0;

    pthread_mutex_lock(&store->lock);
    while (way < WAYS && !holds(&set[way], type, bytes, length))
        way++;
    if (way < WAYS && EVP_PKEY_up_ref(set[way].read.key) == 1) {
        found = set[way].read;
        set[way].read.context = NULL;
        move_to_front(set, way, set[way]);
    }
    pthread_mutex_unlock(&store->lock);
    return found;
}

static void keep(struct key_store *store, struct place *set, struct place place)
{
    pthread_mutex_lock(&store->lock);
    empty(&set[WAYS - 1]);
    move_to_front(set, WAYS - 1, place);
    pthread_mutex_unlock(&store->lock);
}

/* The key with a reference for the caller, from the store or into it; none when it cannot be read.
 */
static struct read_key find_key(struct key_store *store, struct place *set, enum key_type type,
                                const unsigned char *bytes, size_t length)
{
    struct read_key read = look_up(store, set, type, bytes, length);
    unsigned char *copy;

    if (read.key != NULL)
        return read;
    read = read_key(type, bytes, length);
    if (read.key == NULL || EVP_PKEY_up_ref(read.key) != 1)
        return read;
    copy = memcpy(xmalloc(length), bytes, length);
    keep(store, set, (struct place){read, type, copy, length});
    return read;
}

/* Gives back what look_up() or read_key() gave. */
static void give_back(struct key_store *store, struct place *set, struct read_key read)
{
    size_t way = 0;

    if (read.context != NULL) {
        pthread_mutex_lock(&store->lock);
        while (way < WAYS && set[way].read.key != read.key)
            way++;
        if (way < WAYS && set[way].read.context == NULL) {
            set[way].read.context = read.context;
            read.context = NULL;
        }
        pthread_mutex_unlock(&store->lock);
    }
    EVP_PKEY_CTX_free(read.context);
    EVP_PKEY_free(read.key);
}

/* ---- verifying ---- */

static EVP_PKEY_CTX *rsa_context(EVP_PKEY *key)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);

    if (context != NULL && EVP_PKEY_verify_init(context) == 1 &&
        EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1 &&
        EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) == 1)
        return context;
    EVP_PKEY_CTX_free(context);
    return NULL;
}

/* To make a context costs as much as RSA itself does for an eighth of a signature of 2048 bits. One
 * is used again only when all went well. */
static bool verify_rsa(struct read_key *read, const unsigned char *digest,
                       const unsigned char *signature, size_t length)
{
    if (read->context == NULL)
        read->context = rsa_context(read->key);
    if (read->context != NULL &&
        EVP_PKEY_verify(read->context, signature, length, digest, KEY_DIGEST_SIZE) == 1)
        return true;
    EVP_PKEY_CTX_free(read->context);
    read->context = NULL;
    return false;
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

static enum key_verdict judge(struct read_key *read, enum key_type type, unsigned min_bits,
                              const unsigned char *digest, const unsigned char *signature,
                              size_t length)
{
    if (type == KEY_ED25519)
        return verify_ed25519(read->key, digest, signature, length) ? KEY_GOOD : KEY_NO_MATCH;
    if (read->bits < min_bits)
        return KEY_SHORT;
    if (read->costly)
        return KEY_LONG;
    return verify_rsa(read, digest, signature, length) ? KEY_GOOD : KEY_NO_MATCH;
}

enum key_verdict key_verify(struct key_store *store, enum key_type type, const unsigned char *key,
                            size_t key_length, unsigned min_bits,
                            const unsigned char digest[KEY_DIGEST_SIZE],
                            const unsigned char *signature, size_t length, unsigned *bits)
{
    enum key_verdict verdict = KEY_UNREADABLE;
    struct place *set;
    struct read_key read;

    *bits = 0;
    if (key_length > KEY_BYTES_MAX)
        return KEY_LONG;
    set = store->sets[hash_secret(key, key_length) % SETS];
    read = find_key(store, set, type, key, key_length);
    if (read.key != NULL) {
        *bits = read.bits;
        verdict = judge(&read, type, min_bits, digest, signature, length);
    }
    give_back(store, set, read);
    ERR_clear_error();
    return verdict;
}
