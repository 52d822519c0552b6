/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>

#include <postern/str.h>

#include "../../src/checks/dkim_canon.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void test_read(void **state)
{
    static const struct {
        const char *text;
        bool good;
        enum canon header, body;
    } rows[] = {
        {"", true, CANON_SIMPLE, CANON_SIMPLE},
        {"simple", true, CANON_SIMPLE, CANON_SIMPLE},
        {"relaxed", true, CANON_RELAXED, CANON_SIMPLE},
        {"relaxed/relaxed", true, CANON_RELAXED, CANON_RELAXED},
        {"simple/relaxed", true, CANON_SIMPLE, CANON_RELAXED},
        {"Relaxed/SIMPLE", true, CANON_RELAXED, CANON_SIMPLE},
        {"nowsp", false, 0, 0},
        {"relaxed/", false, 0, 0},
        {"/relaxed", false, 0, 0},
        {"relaxed/relaxed/relaxed", false, 0, 0},
        {"relaxe", false, 0, 0},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        enum canon header, body;
        bool good = canon_read(rows[i].text, &header, &body);

        if (good != rows[i].good || (good && (header != rows[i].header || body != rows[i].body)))
            fail_msg("row %zu: '%s'", i, rows[i].text);
    }
}

static void test_header(void **state)
{
    static const struct {
        const char *name, *value, *relaxed, *simple;
    } rows[] = {
        /* RFC 6376 3.4.5, example 1 */
        {"A", " X", "a:X", "A: X"},
        {"B ", " Y\t\r\n\tZ  ", "b:Y Z", "B : Y\t\r\n\tZ  "},
        /* as a milter gets it: LF alone */
        {"B ", " Y\t\n\tZ  ", "b:Y Z", "B : Y\t\r\n\tZ  "},
        {"Subject", "x", "subject:x", "Subject:x"},
        {"Subject", "", "subject:", "Subject:"},
        {"Subject", " \t ", "subject:", "Subject: \t "},
        {"X", "\n a\n b", "x:a b", "X:\r\n a\r\n b"},
        {"X", " a\r\n b\n c\n", "x:a b c", "X: a\r\n b\r\n c\r\n"},
        {"X", "a\rb", "x:a\rb", "X:a\rb"},
        {"X", "a \r b", "x:a \r b", "X:a \r b"},
        {"X-\xc3\xa4", "\xc3\xa4  \xc3\xb6", "x-\xc3\xa4:\xc3\xa4 \xc3\xb6",
         "X-\xc3\xa4:\xc3\xa4  \xc3\xb6"},
    };
    struct str out = {0};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        str_clear(&out);
        canon_header(&out, CANON_RELAXED, rows[i].name, rows[i].value, strlen(rows[i].value));
        assert_string_equal(str_text(&out), rows[i].relaxed);
        str_clear(&out);
        canon_header(&out, CANON_SIMPLE, rows[i].name, rows[i].value, strlen(rows[i].value));
        assert_string_equal(str_text(&out), rows[i].simple);
    }
    str_free(&out);
}

static const struct {
    const char *body, *relaxed, *simple;
} bodies[] = {
    /* RFC 6376 3.4.5 */
    {" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n", " C \r\nD \t E\r\n"},
    /* 3.4.3, 3.4.4: the empty body */
    {"", "", "\r\n"},
    {"\r\n", "", "\r\n"},
    {"\r\n\r\n\r\n", "", "\r\n"},
    {" \t\r\n \r\n", "", " \t\r\n \r\n"},
    {"  ", "", "  \r\n"},
    /* no CRLF at the end */
    {"a", "a\r\n", "a\r\n"},
    {"a \t", "a\r\n", "a \t\r\n"},
    {"a\r\n\r\n ", "a\r\n", "a\r\n\r\n \r\n"},
    /* lines of white space only are empty in relaxed */
    {"a\r\n \r\n\t\r\n", "a\r\n", "a\r\n \r\n\t\r\n"},
    {"a\r\n \r\nb\r\n", "a\r\n\r\nb\r\n", "a\r\n \r\nb\r\n"},
    {"\r\n\r\na\r\n", "\r\n\r\na\r\n", "\r\n\r\na\r\n"},
    {" a\tb  c\r\n", " a b c\r\n", " a\tb  c\r\n"},
    /* CR and LF alone end no line */
    {"a\nb\r\n", "a\nb\r\n", "a\nb\r\n"},
    {"a\rb\r\n", "a\rb\r\n", "a\rb\r\n"},
    {"a\r\r\nb", "a\r\r\nb\r\n", "a\r\r\nb\r\n"},
    {"a \rb", "a \rb\r\n", "a \rb\r\n"},
    {"a\r", "a\r\r\n", "a\r\r\n"},
    {"a\n", "a\n\r\n", "a\n\r\n"},
    {"\r", "\r\r\n", "\r\r\n"},
    {"a\r\n\r", "a\r\n\r\r\n", "a\r\n\r\r\n"},
    {"a\r\n \r \r\n", "a\r\n \r\r\n", "a\r\n \r \r\n"},
};

static void hash_of(const char *text, unsigned char digest[BODY_HASH_SIZE])
{
    assert_int_equal(EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL), 1);
}

static void check_body(struct body_hash *hash, const char *canonical, size_t row, size_t cut)
{
    unsigned char got[BODY_HASH_SIZE];
    unsigned char wanted[BODY_HASH_SIZE];
    uint64_t length = body_hash_end(hash, got);

    body_hash_free(hash);
    hash_of(canonical, wanted);
    if (length != strlen(canonical) || memcmp(got, wanted, sizeof(got)) != 0)
        fail_msg("row %zu cut at %zu: %llu octets", row, cut, (unsigned long long)length);
}

static void test_body(void **state)
{
    size_t i, cut, second, canon;

    (void)state;
    for (i = 0; i < COUNT_OF(bodies); i++) {
        const unsigned char *body = (const unsigned char *)bodies[i].body;
        size_t length = strlen(bodies[i].body);

        for (canon = CANON_SIMPLE; canon <= CANON_RELAXED; canon++)
            for (cut = 0; cut <= length; cut++)
                for (second = cut; second <= length; second++) {
                    struct body_hash *hash = body_hash_new((enum canon)canon);

                    body_hash_add(hash, body, cut);
                    body_hash_add(hash, body + cut, second - cut);
                    body_hash_add(hash, body + second, length - second);
                    check_body(hash, canon == CANON_SIMPLE ? bodies[i].simple : bodies[i].relaxed,
                               i, cut);
                }
    }
}

/* Hashes that are printed in RFCs and known to all implementations. */
static void test_known(void **state)
{
    static const struct {
        enum canon canon;
        const char *body, *base64;
    } rows[] = {
        /* RFC 6376 3.4.3 and 3.4.4: the hash of the empty body */
        {CANON_SIMPLE, "", "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY="},
        {CANON_RELAXED, "", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="},
        /* RFC 6376 appendix A and RFC 8463 appendix A */
        {CANON_SIMPLE, "Hi.\r\n\r\nWe lost the game. Are you hungry yet?\r\n\r\nJoe.\r\n",
         "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="},
        {CANON_RELAXED, "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n",
         "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        struct body_hash *hash = body_hash_new(rows[i].canon);
        unsigned char digest[BODY_HASH_SIZE];
        char text[2 * BODY_HASH_SIZE];

        body_hash_add(hash, (const unsigned char *)rows[i].body, strlen(rows[i].body));
        body_hash_end(hash, digest);
        body_hash_free(hash);
        EVP_EncodeBlock((unsigned char *)text, digest, sizeof(digest));
        assert_string_equal(text, rows[i].base64);
    }
}

/* Held back line ends and long lines pass the buffer's end at every place. */
static void test_long(void **state)
{
    struct str body = {0};
    struct str relaxed = {0};
    size_t i, j, chunk;

    (void)state;
    for (i = 0; i < 40; i++) {
        for (j = 0; j < i * 97; j++)
            str_add(&body, j % 7 == 0 ? " \t" : "x");
        str_add(&body, " y  \r\n");
        for (j = 0; j < i * 97; j++)
            str_add(&relaxed, j % 7 == 0 ? " " : "x");
        /* A run of white space is one blank, also where the line's end meets it. */
        str_add(&relaxed, i > 0 && (i * 97 - 1) % 7 == 0 ? "y\r\n" : " y\r\n");
        for (j = 0; j < i * i * 5; j++) {
            str_add(&body, " \r\n");
            str_add(&relaxed, "\r\n");
        }
    }
    str_add(&body, "end");
    str_add(&relaxed, "end\r\n");
    for (i = 0; i < 20000; i++)
        str_add(&body, "\r\n");
    for (chunk = 1; chunk < 70000; chunk = chunk * 3 + 1) {
        struct body_hash *hash = body_hash_new(CANON_RELAXED);

        for (i = 0; i < body.length; i += chunk)
            body_hash_add(hash, (const unsigned char *)body.data + i,
                          body.length - i < chunk ? body.length - i : chunk);
        check_body(hash, str_text(&relaxed), 0, chunk);
    }
    str_free(&body);
    str_free(&relaxed);
}

/* RFC 6376 3.4.4, one byte after the other. */
static void relax(struct str *out, const char *body, size_t length)
{
    size_t ends = 0, i;
    bool blank = false;

    for (i = 0; i < length; i++) {
        if (body[i] == ' ' || body[i] == '\t') {
            blank = true;
        } else if (body[i] == '\r' && i + 1 < length && body[i + 1] == '\n') {
            blank = false;
            ends++;
            i++;
        } else {
            for (; ends > 0; ends--)
                str_add(out, "\r\n");
            str_add(out, blank ? " " : "");
            str_add_char(out, body[i]);
            blank = false;
        }
    }
    if (out->length > 0)
        str_add(out, "\r\n");
}

/* RFC 6376 3.4.3. */
static void simplify(struct str *out, const char *body, size_t length)
{
    while (length > 1 && body[length - 1] == '\n' && body[length - 2] == '\r')
        length -= 2;
    str_add_bytes(out, body, length);
    str_add(out, "\r\n");
}

/* White space and line ends at every place of a block, in lines of all lengths, of which some are
 * longer than what is gathered before it is hashed. */
static void test_mixed(void **state)
{
    static const char *const pieces[] = {" ",     "  ", "\t", " \t", "\r\n",   " \r\n",
                                         "\r\n ", "x ", ".",  "\r",  "\r\r\n", "\n"};
    struct str body = {0}, canonical = {0};
    uint32_t random = 1;
    size_t round, i, chunk;

    (void)state;
    for (round = 0; round < 1200; round++) {
        const size_t longest = round % 8 == 0 ? 1500 : round % 60 + 1;
        const enum canon canon = round % 5 == 0 ? CANON_SIMPLE : CANON_RELAXED;
        struct body_hash *hash = body_hash_new(canon);

        str_clear(&body);
        str_clear(&canonical);
        while (body.length < 4000) {
            random = random * 1103515245 + 12345;
            for (i = (random >> 16) % longest; i > 0; i--)
                str_add_char(&body, (char)('a' + i % 26));
            random = random * 1103515245 + 12345;
            str_add(&body, pieces[(random >> 16) % COUNT_OF(pieces)]);
        }
        (canon == CANON_SIMPLE ? simplify : relax)(&canonical, body.data, body.length);
        chunk = round % 3 == 0 ? body.length : round % 97 + 1;
        for (i = 0; i < body.length; i += chunk)
            body_hash_add(hash, (const unsigned char *)body.data + i,
                          body.length - i < chunk ? body.length - i : chunk);
        check_body(hash, str_text(&canonical), round, chunk);
    }
    str_free(&body);
    str_free(&canonical);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),  cmocka_unit_test(test_header), cmocka_unit_test(test_body),
        cmocka_unit_test(test_known), cmocka_unit_test(test_long),   cmocka_unit_test(test_mixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
