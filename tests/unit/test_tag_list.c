/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>

#include <postern/arena.h>

#include "../../src/checks/tag_list.h"

enum { OCTETS_MAX = 70 };

static bool decode(struct arena *arena, const char *text, size_t length,
                   const unsigned char **bytes, size_t *count)
{
    const struct tag tag = {.value = text, .value_length = length};

    return tag_base64(&tag, arena, bytes, count);
}

static void check(struct arena *arena, const char *text, const unsigned char *octets, size_t count)
{
    const unsigned char *bytes;
    size_t length;

    assert_true(decode(arena, text, strlen(text), &bytes, &length));
    assert_int_equal(length, count);
    assert_memory_equal(bytes, octets, count);
}

/* TEXT with WHAT put in before place I. */
static const char *with(struct arena *arena, const char *text, size_t i, const char *what)
{
    return arena_printf(arena, "%.*s%s%s", (int)i, text, what, text + i);
}

/* What another decoder's encoder made, with white space and with odd bytes at every place. */
static void test_base64(void **state)
{
    static const char *const odd[] = {"=A", "-", "\x80", "\xff", "\x7f", "_", "\v", "*"};
    unsigned char octets[OCTETS_MAX];
    char text[2 * OCTETS_MAX];

    (void)state;
    for (size_t count = 0; count <= OCTETS_MAX; count++) {
        struct arena *arena = arena_new();
        const unsigned char *bytes;
        size_t length, got;

        for (size_t i = 0; i < count; i++)
            octets[i] = (unsigned char)(i * 151 + count * 29);
        length = (size_t)EVP_EncodeBlock((unsigned char *)text, octets, (int)count);
        check(arena, text, octets, count);
        for (size_t i = 0; i <= length; i++) {
            check(arena, with(arena, text, i, " "), octets, count);
            check(arena, with(arena, text, i, "\r\n\t"), octets, count);
            for (size_t j = 0; j < sizeof(odd) / sizeof(odd[0]); j++) {
                const char *bad = with(arena, text, i, odd[j]);
                assert_false(decode(arena, bad, strlen(bad), &bytes, &got));
            }
        }
        /* Padding may be left out; a group of one digit is none. */
        length = strcspn(text, "=");
        assert_true(decode(arena, text, length, &bytes, &got));
        assert_int_equal(got, count);
        if (length % 4 == 2)
            assert_false(decode(arena, text, length - 1, &bytes, &got));
        arena_free(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
