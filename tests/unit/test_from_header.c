/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <postern/arena.h>
#include <postern/domain.h>
#include <postern/mailbox.h>
#include <postern/str.h>

#include "../../src/checks/from_header.h"

#define LENGTH(rows) (sizeof(rows) / sizeof((rows)[0]))

/* What a From field says: addresses with commas between, "?" for one that cannot be told; the
 * common domain behind a '|', where it is not plain; then "bad", "unclear". */
static const char *describe(struct arena *arena, const struct from_header *from)
{
    struct str out = {0};
    const char *text;
    size_t i;

    for (i = 0; i < from->count && i < FROM_AUTHORS_KEPT; i++) {
        const char *address = from->authors[i].address;

        str_add_format(&out, "%s%s", i > 0 ? ", " : "", address[0] != '\0' ? address : "?");
    }
    str_add_format(&out, " | %s", from_header_domain(from));
    if (from->bad)
        str_add(&out, " bad");
    if (from->unclear)
        str_add(&out, " unclear");
    text = arena_strdup(arena, str_text(&out));
    str_free(&out);
    return text;
}

struct row {
    const char *field;
    const char *expected;
};

/* clang-format off */
static const struct row plain[] = {
    {"john@example.org", "john@example.org | example.org"},
    {" john@example.org", "john@example.org | example.org"},
    {"<john@example.org>", "john@example.org | example.org"},
    {"John Doe <john@example.org>", "john@example.org | example.org"},
    {"John Doe<john@example.org>", "john@example.org | example.org"},
    {"\"John Doe\" <john@example.org>", "john@example.org | example.org"},
    {"\"John Doe\"<john@example.org>", "john@example.org | example.org"},
    {"John\n Doe\n\t<john@example.org>", "john@example.org | example.org"},
    {"John\r\n Doe\r\n\t<john@example.org>\r\n", "john@example.org | example.org"},
    {"John Doe <John.Doe@EXAMPLE.Org>", "John.Doe@example.org | example.org"},
    {"John Doe <john@example.org.>", "john@example.org | example.org"},
    {"john@a", "john@a | a"},
    {"john@x.com", "john@x.com | x.com"},
    {"john_doe@mail_out.example.org", "john_doe@mail_out.example.org | mail_out.example.org"},
    {"John <\"john doe\"@example.org>", "\"john doe\"@example.org | example.org"},
    {"John <\"john\"@example.org>", "john@example.org | example.org"},
    {"\"john\"@example.org", "john@example.org | example.org"},
    {"John <\"a\\\"b\"@example.org>", "\"a\\\"b\"@example.org | example.org"},
    {"John <\"@\"@example.org>", "\"@\"@example.org | example.org"},
    {"John <\"a@bank.example\"@example.org>", "\"a@bank.example\"@example.org | example.org"},
    {"John <\">\"@example.org>", "\">\"@example.org | example.org"},
    {"John <a%bank.example@example.org>", "a%bank.example@example.org | example.org"},
    {"John <bank.example!a@example.org>", "bank.example!a@example.org | example.org"},
    {"john@[192.0.2.1]", "john@[192.0.2.1] | "},
    {"John <john@[IPv6:2001:db8::1]>", "john@[IPv6:2001:db8::1] | "},
};

/* Comments may stand between any two words, and nest. */
static const struct row comments[] = {
    {"john@example.org (John Doe)", "john@example.org | example.org"},
    {"john@example.org(John Doe)", "john@example.org | example.org"},
    {"(John) john@example.org", "john@example.org | example.org"},
    {"John (the \"one\") <john@example.org>", "john@example.org | example.org"},
    {"John (a@bank.example) <john@example.org>", "john@example.org | example.org"},
    {"John (<a@bank.example>) <john@example.org>", "john@example.org | example.org"},
    {"John (a (b) c, d) <john@example.org>", "john@example.org | example.org"},
    {"John (a \\) <a@bank.example>) <john@example.org>", "john@example.org | example.org"},
    {"John <john(comment)@(comment)example.org(comment)>", "john@example.org | example.org"},
    {"john@example(comment).org", "john@example.org | example.org"},
    {"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
     "pete@silly.test | silly.test"},
    {"\"not (a comment\" <john@example.org>", "john@example.org | example.org"},
    {"John <john@example.org> (a@bank.example", "john@example.org, a@bank.example | "},
    {"John <john@example.org> (and so on", "john@example.org | example.org"},
    {"John <john@example.org>)", "john@example.org | example.org"},
    {":-) John <john@example.org>", "john@example.org | example.org"},
    {"a@bank.example (x <y@evil.test>", "y@evil.test |  bad unclear"},
    {"a@bank.example(x)evil.test", "? |  bad"},
    {"a@bank.example@ (x <y@evil.test>", "y@evil.test |  bad unclear"},
    {"a@bank.example <y@evil.test> (x@", "y@evil.test | evil.test"},
    {"a@bank.example (x, <y@evil.test>", "a@bank.example, y@evil.test | "},
    {"a@bank.example (x@evil.test", "a@bank.example, x@evil.test | "},
    {"John (a@bank.example", "a@bank.example | bank.example"},
    {"John (a@evil.test <a@bank.example>", "a@bank.example | bank.example"},
    {"John (<a@bank.example> (<x@evil.test>)", "a@bank.example, x@evil.test | "},
};

/* Rubbish around an address in brackets does not take the author away; what could be the address of
 * another does. */
static const struct row rubbish[] = {
    {"CEO <ceo@bank.example> (@", "ceo@bank.example | bank.example"},
    {"CEO <ceo@bank.example> x@", "ceo@bank.example | bank.example"},
    {"CEO <ceo@bank.example> foo@", "ceo@bank.example | bank.example"},
    {"CEO <ceo@bank.example> @", "ceo@bank.example | bank.example"},
    {"CEO <ceo@bank.example>@", "ceo@bank.example | bank.example"},
    {"CEO <ceo@bank.example> \"@", "ceo@bank.example | bank.example"},
    {"CEO <ceo@bank.example> <x@", "ceo@bank.example | bank.example"},
    {"CEO <ceo@bank.example> <x@>", "ceo@bank.example | bank.example"},
    {"CEO <ceo@bank.example> (x", "ceo@bank.example | bank.example"},
    {"CEO (@ <ceo@bank.example>", "ceo@bank.example | bank.example"},
    {"CEO (@ <ceo@bank.example> (@", "ceo@bank.example | bank.example"},
    {"(@ <ceo@bank.example>", "ceo@bank.example | bank.example"},
    {"CEO x@ <ceo@bank.example>", "ceo@bank.example | bank.example"},
    {"CEO <ceo@bank.example>, x@", "ceo@bank.example, ? |  bad"},
    {"CEO <ceo@bank.example> x@y@", "ceo@bank.example, ? |  bad"},
    {"CEO <ceo@bank.example> x@@", "ceo@bank.example, ? |  bad"},
    {"CEO <ceo@bank.example> x@\"evil.test\"", "ceo@bank.example, ? |  bad"},
    {"CEO <ceo@bank.example> x@evil.test", "ceo@bank.example, x@evil.test | "},
    {"CEO <ceo@bank.example> (x <x@evil.test>", "ceo@bank.example, x@evil.test | "},
    {"CEO <ceo@> x@", "?, ? |  bad"},
    {"ceo@bank.example x@", "ceo@bank.example, ? |  bad"},
    {"ceo@bank.example (@", "? |  bad"},
    {"CEO <ceo@bank.example (x>", "? |  bad"},
};

/* RFC 5322 4.4, and what RFC 5322 A.6.3 shows of it. */
static const struct row obsolete[] = {
    {"john @ example . org", "john@example.org | example.org"},
    {"john . doe @ example.org", "john.doe@example.org | example.org"},
    {"<@relay.test:john@example.org>", "john@example.org | example.org"},
    {"John <@relay.test,@other.test:john@example.org>", "john@example.org | example.org"},
    {"John <@relay.test , @other.test : john@example.org>", "john@example.org | example.org"},
    {"Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
     "mary@example.net, jdoe@test.example | "},
    {"Joe Q. Public <john.q.public@example.com>", "john.q.public@example.com | example.com"},
    {", john@example.org", "john@example.org | example.org"},
    {"john@example.org,", "john@example.org | example.org"},
};

static const struct row several[] = {
    {"john@example.org, mary@example.org", "john@example.org, mary@example.org | example.org"},
    {"John <john@example.org>, Mary <mary@EXAMPLE.org>",
     "john@example.org, mary@example.org | example.org"},
    {"john@example.org, mary@example.net", "john@example.org, mary@example.net | "},
    {"john@example.org; mary@example.net", "john@example.org, mary@example.net | "},
    {"john@example.org mary@example.net", "john@example.org, mary@example.net | "},
    {"<john@example.org> <mary@example.net>", "john@example.org, mary@example.net | "},
    {"<john@example.org> mary@example.net", "john@example.org, mary@example.net | "},
    {"<john@example.org>mary@example.net", "john@example.org, mary@example.net | "},
    {"a@bank.example, <x@evil.test>", "a@bank.example, x@evil.test | "},
    {"a@bank.example: <x@evil.test>", "a@bank.example, x@evil.test | "},
    {"john@example.org, mary@[192.0.2.1]", "john@example.org, mary@[192.0.2.1] | "},
};

/* RFC 6854 allows groups. */
static const struct row groups[] = {
    {"Friends: john@example.org, Mary <mary@example.org>;",
     "john@example.org, mary@example.org | example.org"},
    {"Friends: john@example.org", "john@example.org | example.org"},
    {"A Group(Some people): Chris Jones <c@public.example>, joe@example.org, John <jdoe@one.test>;",
     "c@public.example, joe@example.org, jdoe@one.test | "},
    {"Undisclosed sender:;", " | "},
    {"\"support@bank.example\":;", " | "},
    {"Undisclosed sender: (nobody) ;", " | "},
    {"Undisclosed sender: somebody;", " |  bad"},
    {"Re: Your order <shop@example.org>", "shop@example.org | example.org"},
};

/* Display names that should have been quoted. */
static const struct row names[] = {
    {"\"Medtronic, Inc.\" <news@medtronic.test>", "news@medtronic.test | medtronic.test"},
    {"Medtronic, Inc. <news@medtronic.test>", "news@medtronic.test | medtronic.test"},
    {"\"Doe, John\" <john@example.org>", "john@example.org | example.org"},
    {"Doe, John <john@example.org>", "john@example.org | example.org"},
    {"\"Doe\\, John\" <john@example.org>", "john@example.org | example.org"},
    {"\"John \\\"Jack\\\" Doe, Jr.\" <john@example.org>", "john@example.org | example.org"},
    {"\"a@bank.example\" <x@evil.test>", "x@evil.test | evil.test"},
    {"a@bank.example <x@evil.test>", "x@evil.test | evil.test"},
    {"john@example.org <john@example.org>", "john@example.org | example.org"},
    {"john at example@home <john@example.org>", "john@example.org | example.org"},
    {"@john <john@example.org>", "john@example.org | example.org"},
    {"John @ Example <john@example.org>", "john@example.org | example.org"},
    {"a@b@c <john@example.org>", "john@example.org | example.org"},
    {"\"<a@bank.example>\" <x@evil.test>", "x@evil.test | evil.test"},
    {"\"a@bank.example\\\" <x@evil.test>\" <y@evil.test>", "y@evil.test | evil.test"},
    {"[List] John <john@example.org>", "john@example.org | example.org"},
    {"[a <john@example.org>", "john@example.org | example.org"},
    {"John's \\ <john@example.org>", "john@example.org | example.org"},
    {"J\xc3\xbcrgen <j@example.org>", "j@example.org | example.org"},
    {"J\xfcrgen, M\xfcller <j@example.org>", "j@example.org | example.org"},
    {"=?utf-8?q?J=C3=BCrgen?= <j@example.org>", "j@example.org | example.org"},
    {"=?utf-8?Q?Doe,_John?= <j@example.org>", "j@example.org | example.org"},
    {"=?utf-8?q?a@bank.example,?= <x@evil.test>", "x@evil.test | evil.test"},
    {"=?utf-8?q?<a@bank.example>?= <x@evil.test>", "x@evil.test | evil.test"},
    {"=?utf-8?q?a=40bank.example?=", " |  bad"},
    {"=?utf-8?B?YUBiYW5rLmV4YW1wbGU=?=", " |  bad"},
    {"=?utf-8?q?a@bank.example?=", " |  bad"},
    {"=?utf-8?q?a@bank.example <x@evil.test>", "x@evil.test | evil.test"},
    {"\"=?utf-8?q?a?=\" <x@evil.test>", "x@evil.test | evil.test"},
    {"=?utf-8?q?a?=@evil.test", "=?utf-8?q?a?=@evil.test | evil.test"},
};

/* RFC 6532: mail that is not ASCII. */
static const struct row eai[] = {
    {"J\xc3\xbcrgen <j\xc3\xbcrgen@b\xc3\xbc""cher.test>",
     "j\xc3\xbcrgen@xn--bcher-kva.test | xn--bcher-kva.test"},
    {"j@B\xc3\x9c""CHER.test", "j@xn--bcher-kva.test | xn--bcher-kva.test"},
    {"j@xn--bcher-kva.test, k@b\xc3\xbc""cher.test",
     "j@xn--bcher-kva.test, k@xn--bcher-kva.test | xn--bcher-kva.test"},
    {"j@b\xfc""cher.test", "? |  bad"},
    {"j@ex\xe2\x80\x8b""ample.test\xff", "? |  bad"},
};

static const struct row broken[] = {
    {"", " |  bad"},
    {" ", " |  bad"},
    {"<>", " |  bad"},
    {"Mailer-Daemon <>", " |  bad"},
    {"john", " |  bad"},
    {"John <john>", " |  bad"},
    {"\"john@example.org\"", " |  bad"},
    {"(john@example.org)", " |  bad"},
    {"John Doe john@example.org", "john@example.org | example.org"},
    {"\"John Doe\" john@example.org", "john@example.org | example.org"},
    {"John <john@example.org", "john@example.org | example.org"},
    {"John john@example.org>", "john@example.org | example.org"},
    {"\"John <john@example.org>", "john@example.org | example.org"},
    {"John\" <john@example.org>", "john@example.org | example.org"},
    {"\"John\\\" <john@example.org>", "john@example.org | example.org"},
    {"<mailto:john@example.org>", "john@example.org | example.org"},
    {"<John Doe john@example.org>", "john@example.org | example.org"},
    {"<<john@example.org>>", "john@example.org | example.org"},
    {"John <<john@example.org>", "john@example.org | example.org"},
    {"John <john@example.org> Doe", "john@example.org | example.org"},
    {"john..doe@example.org", "\"john..doe\"@example.org | example.org"},
    {"john.@example.org", "\"john.\"@example.org | example.org"},
    {".john@example.org", "\".john\"@example.org | example.org"},
    {"@example.org", "? |  bad"},
    {"<@example.org>", " |  bad"},
    {"john@", "? |  bad"},
    {"john@.", "? |  bad"},
    {"john@example..org", "? |  bad"},
    {"john@-", "john@- | -"},
    {"john@192.0.2.1", "? |  bad"},
    {"john@exa mple.org", "john@exa | exa"},
    {"<john@exa mple.org>", "? |  bad"},
    {"john@\"example.org\"", "? |  bad"},
    {"john@example\"x\".org", "? |  bad"},
    {"john@[192.0.2.1", "? |  bad"},
    {"a@bank.example@evil.test", "? |  bad"},
    {"<a@bank.example@evil.test>", "? |  bad"},
    {"John <a@bank.example>@evil.test>", "a@bank.example, ? |  bad"},
    {"a@bank.example\\@evil.test", "? |  bad"},
    {"<a@bank.example <x@evil.test>>", "? |  bad"},
    {"<a@bank.example x@evil.test>", "? |  bad"},
    {"<a@bank.example, x@evil.test>", "a@bank.example, x@evil.test | "},
    {"<a@bank.example;x@evil.test>", "a@bank.example, x@evil.test | "},
    {"<a@bank.example:x@evil.test>", "? |  bad"},
    {"<@bank.example:>", " |  bad"},
    {"<@bank.example:x>", " |  bad"},
    {"<@bank.example:@evil.test>", "? |  bad"},
    {"a@bank.example\\,x@evil.test", "?, x@evil.test |  bad"},
    {"John <j\x01@example.org>", "\"j\x01\"@example.org | example.org"},
    {"John <j@exa\x01mple.org>", "? |  bad"},
};

/* VERP, and local parts longer than RFC 5321 allows. */
static const struct row verp[] = {
    {"bounce+id=1234=user=example.net@lists.example.org",
     "bounce+id=1234=user=example.net@lists.example.org | lists.example.org"},
    {"<0123456789012345678901234567890123456789012345678901234567890123456789@example.org>",
     "0123456789012345678901234567890123456789012345678901234567890123456789@example.org | "
     "example.org"},
    {"prvs=12345abc=john@example.org", "prvs=12345abc=john@example.org | example.org"},
    {"SRS0=abcd=EF=example.net=john@example.org",
     "SRS0=abcd=EF=example.net=john@example.org | example.org"},
};
/* clang-format on */

static void check_rows(const struct row *rows, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        struct arena *arena = arena_new();
        struct from_header from = {0};
        const char *found;

        from_header_add(&from, arena, rows[i].field, strlen(rows[i].field));
        found = describe(arena, &from);
        if (strcmp(found, rows[i].expected) != 0)
            print_error("%s\n", rows[i].field);
        assert_string_equal(found, rows[i].expected);
        arena_free(arena);
    }
}

#define TABLE_TEST(name)                                                                           \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        check_rows(name, LENGTH(name));                                                            \
    }

TABLE_TEST(plain)
TABLE_TEST(comments)
TABLE_TEST(rubbish)
TABLE_TEST(obsolete)
TABLE_TEST(several)
TABLE_TEST(groups)
TABLE_TEST(names)
TABLE_TEST(eai)
TABLE_TEST(broken)
TABLE_TEST(verp)

/* What stands in the field is kept for replies and records. */
static void test_sent(void **state)
{
    static const char *const rows[][2] = {
        {"John <John@EXAMPLE.org>", "John@EXAMPLE.org"},
        {"john @ example . org (John)", "john @ example . org"},
        {"<@relay.test:john@example.org>", "john@example.org"},
        {"a@b@c, d@e", "a@b@c"},
        {"John <\"john doe\"@example.org >", "\"john doe\"@example.org"},
    };
    struct arena *arena = arena_new();
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        struct from_header from = {0};

        from_header_add(&from, arena, rows[i][0], strlen(rows[i][0]));
        assert_string_equal(from.authors[0].sent, rows[i][1]);
    }
    arena_free(arena);
}

static void test_several_fields(void **state)
{
    struct arena *arena = arena_new();
    struct from_header from = {0};

    (void)state;
    assert_string_equal(describe(arena, &from), " | ");
    from_header_add(&from, arena, "a@example.org", 13);
    from_header_add(&from, arena, "A <b@example.org>", 17);
    assert_int_equal(from.fields, 2);
    assert_string_equal(describe(arena, &from), "a@example.org, b@example.org | example.org");
    from_header_add(&from, arena, "c@evil.test", 11);
    assert_int_equal(from.fields, 3);
    assert_string_equal(describe(arena, &from), "a@example.org, b@example.org, c@evil.test | ");
    arena_free(arena);
}

static void test_nul(void **state)
{
    static const char field[] = "a@bank.example\0<x@evil.test>";
    struct arena *arena = arena_new();
    struct from_header from = {0};

    (void)state;
    from_header_add(&from, arena, field, sizeof(field) - 1);
    assert_true(from.bad);
    assert_string_equal(from_header_domain(&from), "");
    arena_free(arena);
}

/* The worst that fits into a field takes no longer than its length. */
static void test_huge(void **state)
{
    static const char *const pieces[] = {
        "a@b.example, ", "(", "\"", "\\\"", "<",     "@[",    "=?",        "=?u?q?", "a@",
        "<@a:",          ",", "a ", "a.",   "a@b<c", "(\\)(", "\"a\" ",    ":",      "<a@b",
        "a@\xc3\xbc.x,", "@", ">",  "();",  ".",     "a@b(",  "=?u?q?a?=", "[",      "<\"@"};
    struct arena *arena = arena_new();
    char *field = xmalloc(FROM_FIELD_MAX + 1);
    size_t i, used;

    (void)state;
    for (i = 0; i < LENGTH(pieces); i++) {
        struct from_header from = {0};

        for (used = 0; used + strlen(pieces[i]) <= FROM_FIELD_MAX; used += strlen(pieces[i]))
            memcpy(field + used, pieces[i], strlen(pieces[i]));
        from_header_add(&from, arena, field, used);
        assert_false(from.too_big);
        if (i == 0)
            assert_int_equal(from.count, used / strlen(pieces[i]));
        assert_true(arena_used(arena) < 8 * (size_t)FROM_FIELD_MAX);
        arena_reset(arena);
    }
    memset(field, 'a', FROM_FIELD_MAX + 1);
    struct from_header from = {0};

    from_header_add(&from, arena, field, FROM_FIELD_MAX + 1);
    assert_true(from.too_big);
    assert_int_equal(from.fields, 1);
    assert_string_equal(from_header_domain(&from), "");
    free(field);
    arena_free(arena);
}

static void test_field_name(void **state)
{
    (void)state;
    assert_true(from_header_is("From"));
    assert_true(from_header_is("FROM"));
    assert_true(from_header_is("from \t"));
    assert_false(from_header_is("From_"));
    assert_false(from_header_is("Fro"));
    assert_false(from_header_is("Resent-From"));
    assert_false(from_header_is("From x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),      cmocka_unit_test(test_comments),
        cmocka_unit_test(test_rubbish),    cmocka_unit_test(test_obsolete),
        cmocka_unit_test(test_several),    cmocka_unit_test(test_groups),
        cmocka_unit_test(test_names),      cmocka_unit_test(test_eai),
        cmocka_unit_test(test_broken),     cmocka_unit_test(test_verp),
        cmocka_unit_test(test_sent),       cmocka_unit_test(test_several_fields),
        cmocka_unit_test(test_nul),        cmocka_unit_test(test_huge),
        cmocka_unit_test(test_field_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
