/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include <postern/arena.h>
#include <postern/mailbox.h>

#define LENGTH(rows) (sizeof(rows) / sizeof((rows)[0]))

struct row {
    const char *text;
    const char *sent, *address, *local, *domain, *literal;
    bool null, well_formed;
};

static const struct row good_rows[] = {
    {"<alice@example.org>", "alice@example.org", "alice@example.org", "alice", "example.org", "",
     false, true},
    {"alice@example.org", "alice@example.org", "alice@example.org", "alice", "example.org", "",
     false, true},
    {"<Alice@EXAMPLE.org>", "Alice@EXAMPLE.org", "Alice@example.org", "Alice", "example.org", "",
     false, true},
    {"<>", "", "", "", "", "", true, true},
    {"", "", "", "", "", "", true, true},
    {"<bob@example.org.>", "bob@example.org.", "bob@example.org", "bob", "example.org", "", false,
     true},
    {"<postmaster>", "postmaster", "postmaster", "postmaster", "", "", false, true},
    {"PostMaster", "PostMaster", "PostMaster", "PostMaster", "", "", false, true},
    {"<a+b=c.d_e/f!#$%&'*-?^`{|}~@x.org>", "a+b=c.d_e/f!#$%&'*-?^`{|}~@x.org",
     "a+b=c.d_e/f!#$%&'*-?^`{|}~@x.org", "a+b=c.d_e/f!#$%&'*-?^`{|}~", "x.org", "", false, true},
    /* Source routes: RFC 5321 4.1.2 and C */
    {"<@relay.example:alice@example.org>", "@relay.example:alice@example.org", "alice@example.org",
     "alice", "example.org", "", false, true},
    {"<@a.example,@b.example:alice@example.org>", "@a.example,@b.example:alice@example.org",
     "alice@example.org", "alice", "example.org", "", false, true},
    {"<@hop:\"a:b\"@example.org>", "@hop:\"a:b\"@example.org", "\"a:b\"@example.org", "a:b",
     "example.org", "", false, true},
    /* Needless quotes go, needed ones stay. */
    {"<\"alice\"@example.org>", "\"alice\"@example.org", "alice@example.org", "alice",
     "example.org", "", false, true},
    {"<\"al\\ice\"@example.org>", "\"al\\ice\"@example.org", "alice@example.org", "alice",
     "example.org", "", false, true},
    {"<\"al ice\"@example.org>", "\"al ice\"@example.org", "\"al ice\"@example.org", "al ice",
     "example.org", "", false, true},
    {"<\"a@b\"@example.org>", "\"a@b\"@example.org", "\"a@b\"@example.org", "a@b", "example.org",
     "", false, true},
    {"<\"<a>\"@example.org>", "\"<a>\"@example.org", "\"<a>\"@example.org", "<a>", "example.org",
     "", false, true},
    {"\"<a>\"@example.org", "\"<a>\"@example.org", "\"<a>\"@example.org", "<a>", "example.org", "",
     false, true},
    {"<\"a\\\"b\\\\\"@example.org>", "\"a\\\"b\\\\\"@example.org", "\"a\\\"b\\\\\"@example.org",
     "a\"b\\", "example.org", "", false, true},
    {"<\"\"@example.org>", "\"\"@example.org", "\"\"@example.org", "", "example.org", "", false,
     true},
    {"<\"postmaster\">", "\"postmaster\"", "postmaster", "postmaster", "", "", false, true},
    /* Literals: RFC 5321 4.1.3 */
    {"<a@[192.0.2.1]>", "a@[192.0.2.1]", "a@[192.0.2.1]", "a", "", "[192.0.2.1]", false, true},
    {"<a@[ipv6:2001:DB8::1]>", "a@[ipv6:2001:DB8::1]", "a@[IPv6:2001:db8::1]", "a", "",
     "[IPv6:2001:db8::1]", false, true},
    {"<a@[IPv6:::ffff:192.0.2.1]>", "a@[IPv6:::ffff:192.0.2.1]", "a@[192.0.2.1]", "a", "",
     "[192.0.2.1]", false, true},
    /* UTF-8: RFC 6531 3.3 */
    {"<j\xc3\xbcrgen@m\xc3\xbcnchen.example>", "j\xc3\xbcrgen@m\xc3\xbcnchen.example",
     "j\xc3\xbcrgen@xn--mnchen-3ya.example", "j\xc3\xbcrgen", "xn--mnchen-3ya.example", "", false,
     true},
    {"<\"j \xf0\x9f\x93\xa8\"@x.org>", "\"j \xf0\x9f\x93\xa8\"@x.org",
     "\"j \xf0\x9f\x93\xa8\"@x.org", "j \xf0\x9f\x93\xa8", "x.org", "", false, true},
};

/* Not well formed: what is read out of them is the best that can be done, and an address without a
 * good domain never looks like a local name. */
static const struct row bad_rows[] = {
    {"<alice>", "alice", "alice", "alice", "", "", false, false},
    {"<alice@>", "alice@", "alice@", "alice", "", "", false, false},
    {"<postmaster@>", "postmaster@", "postmaster@", "postmaster", "", "", false, false},
    {"<@>", "@", "@", "", "", "", false, false},
    {"<@example.org>", "@example.org", "\"\"@example.org", "", "example.org", "", false, false},
    {"<@relay:>", "@relay:", "", "", "", "", false, false},
    {"<@relay,alice@example.org>", "@relay,alice@example.org", "\"@relay,alice\"@example.org",
     "@relay,alice", "example.org", "", false, false},
    {"<@a,b:c@example.org>", "@a,b:c@example.org", "\"b:c\"@example.org", "b:c", "example.org", "",
     false, false},
    {"<@a:@b:c@example.org>", "@a:@b:c@example.org", "c@example.org", "c", "example.org", "", false,
     false},
    {"<@-$:c@example.org>", "@-$:c@example.org", "c@example.org", "c", "example.org", "", false,
     false},
    {"<alice@example..org>", "alice@example..org", "alice@example..org", "alice", "", "", false,
     false},
    {"<alice@192.0.2.1>", "alice@192.0.2.1", "alice@192.0.2.1", "alice", "", "", false, false},
    {"<alice@[2001:db8::1]>", "alice@[2001:db8::1]", "alice@[IPv6:2001:db8::1]", "alice", "",
     "[IPv6:2001:db8::1]", false, false},
    {"<alice@[nonsense]>", "alice@[nonsense]", "alice@[nonsense]", "alice", "", "[nonsense]", false,
     false},
    {"<alice@[]>", "alice@[]", "alice@[]", "alice", "", "[]", false, false},
    {"<.alice@x.org>", ".alice@x.org", "\".alice\"@x.org", ".alice", "x.org", "", false, false},
    {"<alice.@x.org>", "alice.@x.org", "\"alice.\"@x.org", "alice.", "x.org", "", false, false},
    {"<a..b@x.org>", "a..b@x.org", "\"a..b\"@x.org", "a..b", "x.org", "", false, false},
    {"<a@b@x.org>", "a@b@x.org", "\"a@b\"@x.org", "a@b", "x.org", "", false, false},
    {"<a b@x.org>", "a b@x.org", "\"a b\"@x.org", "a b", "x.org", "", false, false},
    {"<\"a\"b@x.org>", "\"a\"b@x.org", "ab@x.org", "ab", "x.org", "", false, false},
    {"<\"a\".b@x.org>", "\"a\".b@x.org", "a.b@x.org", "a.b", "x.org", "", false, false},
    {"<a\\b@x.org>", "a\\b@x.org", "ab@x.org", "ab", "x.org", "", false, false},
    {"<a\\@x.org>", "a\\@x.org", "\"a@x.org\"", "a@x.org", "", "", false, false},
    {"<\"a@x.org>", "\"a@x.org", "a@x.org", "a", "x.org", "", false, false},
    {"<\"a\\\"@x.org>", "\"a\\\"@x.org", "\"a\\\"\"@x.org", "a\"", "x.org", "", false, false},
    {"<a\tb@x.org>", "a\tb@x.org", "\"a\tb\"@x.org", "a\tb", "x.org", "", false, false},
    {"<\"a\r\nb\"@x.org>", "\"a\r\nb\"@x.org", "\"a\r\nb\"@x.org", "a\r\nb", "x.org", "", false,
     false},
    {"<\xff@x.org>", "\xff@x.org", "\"\xff\"@x.org", "\xff", "x.org", "", false, false},
    {"<\xc0\xaf@x.org>", "\xc0\xaf@x.org", "\"\xc0\xaf\"@x.org", "\xc0\xaf", "x.org", "", false,
     false},
    {"<\xed\xa0\x80@x.org>", "\xed\xa0\x80@x.org", "\"\xed\xa0\x80\"@x.org", "\xed\xa0\x80",
     "x.org", "", false, false},
    {"<\xf4\x90\x80\x80@x.org>", "\xf4\x90\x80\x80@x.org", "\"\xf4\x90\x80\x80\"@x.org",
     "\xf4\x90\x80\x80", "x.org", "", false, false},
    {"<alice@m\xfcnchen.example>", "alice@m\xfcnchen.example", "alice@m\xfcnchen.example", "alice",
     "", "", false, false},
    /* Brackets that do not match, and what stands around them */
    {"<", "", "", "", "", "", false, false},
    {">", "", "", "", "", "", false, false},
    {"< >", " ", "", "", "", "", false, false},
    {"<a@x.org", "a@x.org", "a@x.org", "a", "x.org", "", false, false},
    {"a@x.org>", "a@x.org", "a@x.org", "a", "x.org", "", false, false},
    {" <a@x.org>", "a@x.org", "a@x.org", "a", "x.org", "", false, false},
    {"<a@x.org> ", "a@x.org", "a@x.org", "a", "x.org", "", false, false},
    {"< a@x.org >", " a@x.org ", "a@x.org", "a", "x.org", "", false, false},
    {"Alice <a@x.org>", "a@x.org", "a@x.org", "a", "x.org", "", false, false},
    {"<a@x.org>x", "a@x.org", "a@x.org", "a", "x.org", "", false, false},
    {"<<a@x.org>>", "<a@x.org>", "\"<a\"@x.org>", "<a", "", "", false, false},
    {"foo<>", "", "", "", "", "", false, false},
    {"\"", "\"", "", "", "", "", false, false},
    {"\\", "\\", "\"\\\\\"", "\\", "", "", false, false},
    {"@", "@", "@", "", "", "", false, false},
};

static void check_text(const struct row *row, const char *member, const char *got, const char *want)
{
    if (strcmp(got, want) != 0)
        fail_msg("%s: %s is '%s', not '%s'", row->text, member, got, want);
}

static void check_rows(const struct row *rows, size_t count)
{
    struct arena *arena = arena_new();
    struct mailbox got;
    size_t i;

    for (i = 0; i < count; i++) {
        const struct row *row = &rows[i];

        got = mailbox_parse(arena, row->text);
        check_text(row, "sent", got.sent, row->sent);
        check_text(row, "address", got.address, row->address);
        check_text(row, "local", got.local, row->local);
        check_text(row, "domain", got.domain, row->domain);
        check_text(row, "literal", got.literal, row->literal);
        check_text(row, "null", got.null ? "yes" : "no", row->null ? "yes" : "no");
        check_text(row, "well_formed", got.well_formed ? "yes" : "no",
                   row->well_formed ? "yes" : "no");
    }
    arena_free(arena);
}

static void test_well_formed(void **state)
{
    (void)state;
    check_rows(good_rows, LENGTH(good_rows));
}

static void test_not_well_formed(void **state)
{
    (void)state;
    check_rows(bad_rows, LENGTH(bad_rows));
}

/* The canonical form of a good address is a good address, with the same canonical form. */
static void test_canonical_form_is_stable(void **state)
{
    struct arena *arena = arena_new();
    struct mailbox once, twice;
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(good_rows); i++) {
        once = mailbox_parse(arena, good_rows[i].text);
        twice = mailbox_parse(arena, once.address);
        assert_string_equal(twice.address, once.address);
        assert_string_equal(twice.local, once.local);
        assert_string_equal(twice.domain, once.domain);
        assert_true(twice.well_formed);
    }
    arena_free(arena);
}

static void test_too_long(void **state)
{
    struct arena *arena = arena_new();
    char *text = malloc(100001);
    struct mailbox got;

    (void)state;
    assert_non_null(text);
    memset(text, 'a', 100000);
    memcpy(text + 100000 - 10, "@x.example", 10);
    text[100000] = '\0';
    got = mailbox_parse(arena, text);
    assert_false(got.well_formed);
    assert_int_equal(strlen(got.sent), MAILBOX_MAX);
    assert_string_equal(got.domain, "x.example");
    assert_int_equal(strlen(got.local), MAILBOX_MAX - 10);
    /* At the limit itself nothing is cut. */
    got = mailbox_parse(arena, text + 100000 - MAILBOX_MAX);
    assert_true(got.well_formed);
    assert_string_equal(got.domain, "x.example");
    got = mailbox_parse(arena, text + 100000 - MAILBOX_MAX - 1);
    assert_false(got.well_formed);
    assert_string_equal(got.domain, "x.example");
    /* A quote that is never closed, and brackets. */
    memcpy(text, "<\"", 2);
    memcpy(text + 100000 - 12, "\"@x.example>", 12);
    got = mailbox_parse(arena, text);
    assert_false(got.well_formed);
    assert_string_equal(got.domain, "x.example");
    /* What is too long behind the '@', or has none. */
    text[1] = '@';
    text[100000 - 11] = 'a';
    got = mailbox_parse(arena, text);
    assert_false(got.well_formed);
    assert_string_equal(got.domain, "");
    text[1] = 'a';
    got = mailbox_parse(arena, text);
    assert_false(got.well_formed);
    assert_int_equal(strlen(got.local), MAILBOX_MAX - 1);
    free(text);
    arena_free(arena);
}

/* What holds whatever the text is. */
static void check_invariants(struct arena *arena, const char *text)
{
    struct mailbox got = mailbox_parse(arena, text);

    assert_non_null(got.sent);
    assert_true(strlen(got.sent) <= strlen(text));
    assert_true(strlen(got.local) <= strlen(got.sent));
    if (got.null)
        assert_string_equal(got.address, "");
    if (got.well_formed && !got.null && strcasecmp(got.local, "postmaster") != 0)
        assert_true(got.domain[0] != '\0' || got.literal[0] != '\0');
    if (got.domain[0] != '\0')
        assert_string_equal(strrchr(got.address, '@') + 1, got.domain);
    assert_true(got.domain[0] == '\0' || got.literal[0] == '\0');
}

/* Every text of up to five of the characters that mean something. */
static void test_every_short_text(void **state)
{
    static const char alphabet[] = "a.@<>\"\\:,[] ";
    enum { LETTERS = sizeof(alphabet) - 1, MOST = 5 };
    struct arena *arena = arena_new();
    char text[MOST + 1];
    unsigned long limit = 1;
    unsigned long number, left;
    int length, i;

    (void)state;
    for (length = 0; length <= MOST; length++, limit *= LETTERS) {
        for (number = 0; number < limit; number++) {
            for (i = 0, left = number; i < length; i++, left /= LETTERS)
                text[i] = alphabet[left % LETTERS];
            text[length] = '\0';
            check_invariants(arena, text);
            arena_reset(arena);
        }
    }
    arena_free(arena);
}

static void test_random_bytes(void **state)
{
    static const char likely[] = "a@.<>\"\\:[],\xc3\xbc";
    struct arena *arena = arena_new();
    uint32_t random = 1;
    char text[1200];
    int round;
    size_t i, length;

    (void)state;
    for (round = 0; round < 5000; round++) {
        random = random * 1664525 + 1013904223;
        length = random >> 8 & (round % 8 == 0 ? 1023 : 31);
        for (i = 0; i < length; i++) {
            random = random * 1664525 + 1013904223;
            if (random >> 30 != 0)
                text[i] = likely[(random >> 16) % (sizeof(likely) - 1)];
            else
                text[i] = (char)(1 + (random >> 16) % 255);
        }
        text[length] = '\0';
        check_invariants(arena, text);
        arena_reset(arena);
    }
    arena_free(arena);
}

static void test_format(void **state)
{
    static const struct {
        const char *local, *domain, *address;
    } rows[] = {
        {"alice", "example.org", "alice@example.org"},
        {"alice", "", "alice"},
        {"", "", ""},
        {"", "example.org", "\"\"@example.org"},
        {"a b", "example.org", "\"a b\"@example.org"},
        {"a\"b\\c", "example.org", "\"a\\\"b\\\\c\"@example.org"},
        {"a.", "", "\"a.\""},
        {"a", "[192.0.2.1]", "a@[192.0.2.1]"},
    };
    struct arena *arena = arena_new();
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++)
        assert_string_equal(mailbox_format(arena, rows[i].local, rows[i].domain), rows[i].address);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_well_formed),
        cmocka_unit_test(test_not_well_formed),
        cmocka_unit_test(test_canonical_form_is_stable),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_every_short_text),
        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
