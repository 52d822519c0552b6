/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <postern/arena.h>

#include "../../src/checks/dkim_keys.h"

enum { KEYS = 3, THREADS = 4, TIMES = 100, BYTES_MAX = 1024, MANY = 1500 };

struct pair {
    enum key_type type;
    unsigned bits;
    unsigned char key[BYTES_MAX], signature[BYTES_MAX];
    size_t key_length, length;
};

struct fixture {
    struct key_store *store;
    struct pair pairs[KEYS];
};

static const unsigned char digest[KEY_DIGEST_SIZE] = "the digest that is signed";

static void make_rsa(struct pair *pair, unsigned bits)
{
    EVP_PKEY *key = EVP_RSA_gen(bits);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    unsigned char *at = pair->key;

    pair->type = KEY_RSA;
    pair->bits = bits;
    pair->key_length = (size_t)i2d_PUBKEY(key, &at);
    pair->length = BYTES_MAX;
    assert_int_equal(EVP_PKEY_sign_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING), 1);
    assert_int_equal(EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()), 1);
    assert_int_equal(EVP_PKEY_sign(context, pair->signature, &pair->length, digest, sizeof(digest)),
                     1);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
}

static void make_ed25519(struct pair *pair)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    pair->type = KEY_ED25519;
    pair->bits = 256;
    pair->key_length = pair->length = BYTES_MAX;
    assert_int_equal(EVP_PKEY_get_raw_public_key(key, pair->key, &pair->key_length), 1);
    assert_int_equal(EVP_DigestSignInit(context, NULL, NULL, NULL, key), 1);
    assert_int_equal(
        EVP_DigestSign(context, pair->signature, &pair->length, digest, sizeof(digest)), 1);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
}

static enum key_verdict verify(struct key_store *store, const struct pair *pair, unsigned min_bits,
                               unsigned *bits)
{
    return key_verify(store, pair->type, pair->key, pair->key_length, min_bits, digest,
                      pair->signature, pair->length, bits);
}

/* The second time a key comes from the store, and must say the same. */
static void test_verdicts(void **state)
{
    const struct fixture *fixture = *state;
    unsigned bits;
    size_t i;
    int again;

    for (again = 0; again < 2; again++)
        for (i = 0; i < KEYS; i++) {
            struct pair pair = fixture->pairs[i];

            assert_int_equal(verify(fixture->store, &pair, 1024, &bits), KEY_GOOD);
            assert_int_equal(bits, pair.bits);
            assert_int_equal(verify(fixture->store, &pair, 1536, &bits),
                             pair.bits == 1024 ? KEY_SHORT : KEY_GOOD);
            pair.signature[3] ^= 1;
            assert_int_equal(verify(fixture->store, &pair, 1024, &bits), KEY_NO_MATCH);
            pair.signature[3] ^= 1;
            pair.length--;
            assert_int_equal(verify(fixture->store, &pair, 1024, &bits), KEY_NO_MATCH);
            pair.length++;
            pair.key_length--;
            assert_int_equal(verify(fixture->store, &pair, 1024, &bits), KEY_UNREADABLE);
            assert_int_equal(bits, 0);
            pair.key_length++;
            pair.type = pair.type == KEY_RSA ? KEY_ED25519 : KEY_RSA;
            assert_int_equal(verify(fixture->store, &pair, 1024, &bits), KEY_UNREADABLE);
        }
}

static void *verify_often(void *arg)
{
    const struct fixture *fixture = arg;
    uintptr_t bad = 0;
    unsigned bits;
    size_t i;

    for (i = 0; i < TIMES; i++)
        bad += verify(fixture->store, &fixture->pairs[i % KEYS], 1024, &bits) != KEY_GOOD;
    return (void *)bad;
}

static void test_threads(void **state)
{
    struct fixture *fixture = *state;
    struct fixture fresh = *fixture;
    pthread_t threads[THREADS];
    void *bad;
    size_t i;

    fresh.store = key_store_new();
    for (i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, verify_often, &fresh), 0);
    for (i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], &bad), 0);
        assert_null(bad);
    }
    key_store_free(fresh.store);
}

/* More keys than the store has room for: what has to go is read again. */
static void test_many(void **state)
{
    struct key_store *store = key_store_new();
    struct pair *pairs = xcalloc(MANY, sizeof(*pairs));
    unsigned bits;
    size_t i, again;

    (void)state;
    for (i = 0; i < MANY; i++)
        make_ed25519(&pairs[i]);
    for (again = 0; again < 2; again++)
        for (i = 0; i < MANY; i++) {
            assert_int_equal(verify(store, &pairs[i], 1024, &bits), KEY_GOOD);
            assert_int_equal(verify(store, &pairs[0], 1024, &bits), KEY_GOOD);
        }
    free(pairs);
    key_store_free(store);
}

static int set_up(void **state)
{
    static struct fixture fixture;

    fixture.store = key_store_new();
    make_rsa(&fixture.pairs[0], 1024);
    make_rsa(&fixture.pairs[1], 2048);
    make_ed25519(&fixture.pairs[2]);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    key_store_free(fixture->store);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
