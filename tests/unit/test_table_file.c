/* SPDX-License-Identifier: MIT */
#include "test_table.h"

#include <malloc.h>

#include <postern/clock.h>

#include "../../src/tables/keyset.h"

struct row {
    const char *what, *want;
};

static void expect_rows(struct fixture *fixture, struct table *table, const struct row *rows,
                        size_t count)
{
    for (size_t i = 0; i < count; i++)
        EXPECT(fixture, table, rows[i].what, rows[i].want);
}

static void test_inline(void **state)
{
    static const char *const entries[] = {
        "127.0.0.0/8",        "::1",          "192.0.2.0/26", "10.1",
        "2001:db8::/32",      ".Example.org", "example.net",  "Bob@ex.test.",
        "EX\xc3\x84MPLE.org", "postmaster",   "@At.test",
    };
    static const struct row rows[] = {
        {"addr:127.1.2.3", "127.0.0.0/8="},
        {"addr:::1", "::1="},
        {"addr:::2", "absent"},
        {"addr:192.0.2.63", "192.0.2.0/26="},
        {"addr:192.0.2.64", "absent"},
        {"addr:::ffff:192.0.2.1", "192.0.2.0/26="},
        {"addr:10.1.200.3", "10.1="},
        {"addr:10.11.2.3", "absent"},
        {"addr:2001:db8:1::5", "2001:db8::/32="},
        {"domain:example.org", ".example.org="},
        {"domain:a.b.example.org", ".example.org="},
        {"domain:xexample.org", "absent"},
        {"domain:example.net", "example.net="},
        {"domain:a.example.net", "absent"},
        {"domain:xn--exmple-cua.org", "xn--exmple-cua.org="},
        {"address:Bob@ex.test", "bob@ex.test="},
        {"address:bob+x@ex.test", "bob@ex.test="},
        {"address:carol@ex.test", "absent"},
        {"address:any@example.org", ".example.org="},
        {"address:any@sub.example.org", ".example.org="},
        {"address:any@at.test", "@at.test="},
        {"address:any@a.at.test", "absent"},
        {"domain:at.test", "absent"},
        {"rcpt:bob@ex.test", "bob@ex.test="},
        {"rcpt:any@example.net", "absent"},
        {"text:postmaster", "postmaster="},
        {"text:POSTMASTER", "postmaster="},
        {"text:a.example.org", "absent"},
    };
    static const char *const wrong[] = {"192.0.2.0/33", "a b",     "example.org",
                                        "192.0.2.1/24", "",        "192.0.2.1-5",
                                        "*.a.test",     "*@a.test"};
    struct fixture *fixture = *state;
    struct table *table = table_open_inline("t", entries, NULL, LENGTH(entries), fixture->diag);

    assert_non_null(table);
    expect_rows(fixture, table, rows, LENGTH(rows));
    assert_int_equal(table_count(table), LENGTH(entries));
    assert_string_equal(table_type(table), "inline");
    table_refresh(table);
    table_unref(table_ref(table));
    table_unref(table);

    table = table_open_inline("t", NULL, NULL, 0, fixture->diag);
    EXPECT(fixture, table, "text:a", "absent");
    table_unref(table);
    assert_null(table_open_inline("t", wrong, NULL, LENGTH(wrong), fixture->diag));
    assert_int_equal(diag_errors(fixture->diag), 6);
    assert_int_equal(diag_warnings(fixture->diag), 1);
    EXPECT_LOG(fixture, NULL);
}

static void test_file(void **state)
{
    static const char text[] = "# users\n"
                               "\n"
                               "Bob@Example.org\n"
                               "carol@example.org.\tcarol@example.net   \r\n"
                               "@catch.test  all of it # a comment\n"
                               "   # a comment\n"
                               "dave\n"
                               "user#x@example.org 1\n"
                               "spam@ REJECT; now\n"
                               "example.com OK\n"
                               ".example.com SUB\n"
                               "192.0.2.1 host\n"
                               "192.0.2.0/25 net25\n"
                               "192.0.2 net24\n"
                               "192.0 net16\n"
                               "192.0.0.0/12 net12\n"
                               "2001:db8:1 v48\n"
                               "2001:db8:1:2::/64 v64\n"
                               "2001:db8:9::/48 nine\n"
                               "<> null\n"
                               "EX\xc3\x84MPLE.org idn\n"
                               "twice 1\n"
                               "twice 2\n";
    static const struct row rows[] = {
        {"rcpt:bob@example.org", "bob@example.org="},
        {"rcpt:BOB+ext@example.org", "bob@example.org="},
        {"rcpt:bobby@example.org", "absent"},
        {"rcpt:carol@example.org", "carol@example.org=carol@example.net"},
        {"rcpt:anybody@catch.test", "@catch.test=all of it"},
        {"rcpt:x@example.com", "absent"},
        {"rcpt:dave@example.net", "absent"},
        {"user:dave@example.net", "dave="},
        {"user:Dave+x@example.net", "dave="},
        {"user:example.com@example.net", "example.com=OK"},
        {"rcpt:user#x@example.org", "user#x@example.org=1"},
        {"address:spam@foo.test", "spam@=REJECT; now"},
        {"address:spam@example.com", "example.com=OK"},
        {"address:x@a.b.example.com", ".example.com=SUB"},
        {"address:@", "<>=null"},
        {"domain:example.com", "example.com=OK"},
        {"domain:a.example.com", ".example.com=SUB"},
        {"domain:xn--exmple-cua.org", "xn--exmple-cua.org=idn"},
        {"addr:192.0.2.1", "192.0.2.1=host"},
        {"addr:192.0.2.2", "192.0.2.0/25=net25"},
        {"addr:192.0.2.200", "192.0.2=net24"},
        {"addr:192.0.3.1", "192.0=net16"},
        {"addr:192.1.3.1", "192.0.0.0/12=net12"},
        {"addr:192.16.3.1", "absent"},
        {"addr:2001:db8:1:2::7", "2001:db8:1=v48"},
        {"addr:2001:db8:9:2::7", "2001:db8:9::/48=nine"},
        {"addr:2001:db8:2::7", "absent"},
        {"text:twice", "twice=1"},
        {"text:Twice", "twice=1"},
    };
    struct fixture *fixture = *state;
    put_text(fixture, "users", text);
    struct table *table = open_table(fixture, "file:users");

    EXPECT_LOG(fixture, "table t: 19 entries from ");
    expect_rows(fixture, table, rows, LENGTH(rows));
    assert_int_equal(table_count(table), 19);
    assert_string_equal(table_type(table), "file");
    assert_string_equal(table_name(table), "t");
    assert_null(table_problem(table, fixture->arena));
    assert_string_equal(look_with(fixture, table, "rcpt:bob+ext@example.org", ""), "absent");
    assert_string_equal(look_with(fixture, table, "rcpt:bob-ext@example.org", "+-"),
                        "bob@example.org=");
    table_unref(table);
}

/* A key that begins with a mark that nobody can see would be another key. */
static void test_byte_order_mark(void **state)
{
    static const struct row rows[] = {
        {"rcpt:bob@example.org", "bob@example.org="},
        {"rcpt:carol@example.org", "carol@example.org="},
        {"rcpt:dave@example.org", "dave@example.org="},
        {"rcpt:\xef\xbb\xbf"
         "bob@example.org",
         "absent"},
    };
    struct fixture *fixture = *state;

    put_text(fixture, "users",
             "\xef\xbb\xbf"
             "bob@example.org\r\ncarol@example.org\r\n"
             "\xef\xbb\xbf# a file put behind another\n"
             "\xef\xbb\xbf"
             "dave@example.org\n\xef\xbb\xbf");
    struct table *table = open_table(fixture, "file:users");

    expect_rows(fixture, table, rows, LENGTH(rows));
    assert_int_equal(table_count(table), 3);
    table_unref(table);
}

static void test_notes(void **state)
{
    static const char text[] = "old@example.org ; until=2000-01-31 owner=eve note=was here; once\n"
                               "new@example.org; until=9999-12-31\n"
                               "val@example.org some text; here ; until=9999-12-31 owner=eve\n"
                               "own@example.org ;owner=eve note=until=never\n"
                               "again@example.org first ; until=2000-01-31\n"
                               "again@example.org second ; until=9999-12-31\n"
                               "again@example.org third ; until=9999-12-30\n"
                               "again@example.org fourth\n";
    static const struct row rows[] = {
        {"rcpt:old@example.org", "absent"},
        {"rcpt:new@example.org", "new@example.org="},
        {"rcpt:val@example.org", "val@example.org=some text; here"},
        {"rcpt:own@example.org", "own@example.org="},
        {"rcpt:again@example.org", "again@example.org=second"},
    };
    struct fixture *fixture = *state;
    put_text(fixture, "users", text);
    struct table *table = open_table(fixture, "file:users");

    expect_rows(fixture, table, rows, LENGTH(rows));
    assert_int_equal(table_count(table), 5);
    table_unref(table);
}

/* An entry counts to the end of its day. */
static void test_expiry(void **state)
{
    struct keyset *set = keyset_new(0);
    struct keyset_hit hit;
    struct key key;
    char problem[128];

    (void)state;
    assert_true(key_parse("a", 1, &key, problem));
    assert_int_equal(keyset_add(set, &key, "x", 1, 20261231), KEYSET_OK);
    assert_int_equal(keyset_add(set, &key, "x", 1, 20261230), KEYSET_DUPLICATE);
    assert_true(keyset_find(set, "a", 20261230, &hit));
    assert_true(keyset_find(set, "a", 20261231, &hit));
    assert_false(keyset_find(set, "a", 20270101, &hit));
    assert_int_equal(keyset_count(set, 20261231), 1);
    assert_int_equal(keyset_count(set, 20270101), 0);
    for (int32_t i = 1; i < 16; i++)
        assert_int_equal(keyset_add(set, &key, "x", 1, 20261231 + i * 10000), KEYSET_OK);
    assert_int_equal(keyset_add(set, &key, "x", 1, 0), KEYSET_FULL);
    keyset_free(set);
}

static void test_bad_lines(void **state)
{
    static const struct row rows[] = {
        {"bob@exa mple.org\nbob@a..b\n", ":2: 'bob@a..b' "},
        {"a@b.c\n x@b.c\n", ":2: an entry may not begin with blanks"},
        {"x@b.c; until=2026-02-30\n", ":1: '2026-02-30' is no date"},
        {"x@b.c; untill=2026-02-20\n", ":1: 'untill=2026-02-20' is not understood"},
        {"x@b.c; until=2026-02-20 until=2026-02-20\n", "is not understood"},
        {"x@b.c; owner=a owner=b\n", "is not understood"},
        {"x@b.c; owner=a b\n", ":1: 'b' is not understood"},
        {"x@b.c;\n", ":1: a key cannot hold ';'"},
        {"192.0.2.1/24\n", "write 192.0.2.0/24"},
        {"@\n", ":1: '@' has nothing"},
        {"\x01\x02\n", "' holds a control character"},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < LENGTH(rows); i++) {
        put_text(fixture, "users", rows[i].what);
        struct table *table = open_table(fixture, "file:users");
        const char *problem = table_problem(table, fixture->arena);
        if (problem == NULL || strstr(problem, rows[i].want) == NULL ||
            strstr(problem, fixture->folder) != problem)
            fail_msg("row %zu: %s", i, problem != NULL ? problem : "no problem");
        EXPECT_LOG(fixture, rows[i].want);
        EXPECT(fixture, table, "text:a", "unavailable");
        assert_int_equal(table_count(table), -1);
        table_unref(table);
    }
}

/* Which lines no lookup of a kind can find; the first of them, as "LINE:KEY". */
static void test_vain_lines(void **state)
{
    static const struct {
        const char *text;
        enum table_key_kind kind;
        bool bare_user;
        size_t count;
        const char *first; /* NULL: none */
        const char *found; /* by a lookup, to show that a line is not in vain; or NULL */
    } rows[] = {
        {"# all\nbob@a.test\n@a.test\n\"b c\"@a.test\n", TABLE_KEY_RECIPIENT, false, 1, "4:\"b",
         "rcpt:bob@a.test"},
        {"\"bob\"@a.test\n\"b..c\"@a.test x\n", TABLE_KEY_RECIPIENT, false, 0, NULL,
         "rcpt:b..c@a.test"},
        {"b..c@a.test\n", TABLE_KEY_RECIPIENT, false, 0, NULL, "rcpt:b..c@a.test"},
        {"b@c@a.test\n", TABLE_KEY_RECIPIENT, false, 0, NULL, "rcpt:b@c@a.test"},
        {"ok@a.test\n\n@@ bad\nbob@\n", TABLE_KEY_RECIPIENT, true, 2, "3:@@", NULL},
        {"b\\ob@a.test\n\"bob@a.test\n", TABLE_KEY_RECIPIENT, true, 2, "1:b\\ob@a.test", NULL},
        {"bob\nb.c\nb smith@a.test\n", TABLE_KEY_RECIPIENT, false, 3, "1:bob", NULL},
        {"bob\nb.c\nb smith@a.test\n", TABLE_KEY_RECIPIENT, true, 0, NULL, "user:b.c@a.test"},
        {"a.test\n.a.test\n10.0.0.0/8\n", TABLE_KEY_RECIPIENT, false, 3, "1:a.test", NULL},
        {".a.test\n", TABLE_KEY_RECIPIENT, true, 1, "1:.a.test", NULL},
        {"a.test; until=2020-01-01\n.a.test\nlocalhost\n", TABLE_KEY_DOMAIN, false, 0, NULL,
         "domain:localhost"},
        {"a.test\n@a.test\nbob@a.test\n192.0.2.1\n<>\n", TABLE_KEY_DOMAIN, false, 4, "2:@a.test",
         "domain:a.test"},
        /* What is an error is told elsewhere. */
        {"bob@a..b\n@@\n", TABLE_KEY_RECIPIENT, false, 1, "2:@@", NULL},
        {"", TABLE_KEY_RECIPIENT, false, 0, NULL, NULL},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < LENGTH(rows); i++) {
        print_message("row %zu\n", i);
        const char *path = put_text(fixture, "users", rows[i].text);
        struct table *table = open_table(fixture, "file:users");
        const struct table_vain vain =
            table_vain_lines(table, rows[i].kind, rows[i].bare_user, fixture->arena);
        assert_int_equal(vain.count, rows[i].count);
        if (rows[i].first != NULL)
            assert_string_equal(arena_printf(fixture->arena, "%u:%s", vain.line, vain.key),
                                rows[i].first);
        assert_string_equal(vain.path, path);
        if (rows[i].found != NULL)
            assert_string_not_equal(look(fixture, table, rows[i].found), "absent");
        table_unref(table);
    }
    unlink(path_in(fixture, "users"));
    struct table *gone = open_table(fixture, "file:users");
    assert_int_equal(table_vain_lines(gone, TABLE_KEY_DOMAIN, false, fixture->arena).count, 0);
    table_unref(gone);
    log_since(fixture, NULL);
}

/* All errors are told, up to a limit. */
static void test_many_errors(void **state)
{
    struct fixture *fixture = *state;
    struct str text = {0};

    for (int i = 0; i < 50; i++)
        str_add(&text, "a@b..c\n");
    put_text(fixture, "users", str_text(&text));
    struct table *table = open_table(fixture, "file:users");
    const char *problem = table_problem(table, fixture->arena);
    assert_non_null(strstr(problem, "users:1: "));
    assert_non_null(strstr(problem, "users:20: "));
    assert_null(strstr(problem, "users:21: "));
    EXPECT_LOG(fixture, "(and 19 more errors)");
    table_unref(table);
    str_free(&text);
}

static void test_hostile(void **state)
{
    struct fixture *fixture = *state;
    static const char nul[] = "a@b.c\na\0b@b.c\n";
    char *bytes = test_malloc(1 << 20);
    const char *const types[] = {"file:users", "cidr:users", "regex:users", "lmdb:users"};
    uint32_t random = 1;

    put_bytes(fixture, "users", nul, sizeof(nul) - 1, true);
    struct table *table = open_table(fixture, "file:users");
    EXPECT_LOG(fixture, "users:2: the line holds a NUL byte");
    table_unref(table);

    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < 1 << 20; i++) {
            random = random * 1664525 + 1013904223;
            bytes[i] = round == 0   ? 'a'
                       : round == 1 ? '\0'
                       : round == 2 ? (char)(random >> 24)
                                    : '/';
        }
        put_bytes(fixture, "users", bytes, 1 << 20, true);
        for (size_t i = 0; i < LENGTH(types); i++) {
            table = open_table(fixture, types[i]);
            assert_non_null(table_problem(table, fixture->arena));
            EXPECT(fixture, table, "rcpt:a@b.c", "unavailable");
            int lines;
            log_since(fixture, &lines);
            assert_int_equal(lines, 1);
            table_unref(table);
        }
    }
    test_free(bytes);
}

static void test_open(void **state)
{
    static const struct row rows[] = {
        {"flie:users", "unknown type of table 'flie'; did you mean 'file'?"},
        {"zzzzz:users", "there are file, cidr,"},
        {"inline:users", "entries stand in braces"},
        {"hash:/etc/postfix/users", "write file:PATH, without .db"},
        {"pcre:/etc/postfix/users", "are regex:PATH"},
        {"regexp:/etc/postfix/users", "are regex:PATH"},
        {"mysql:/etc/postfix/users.cf", "no database is asked"},
        {"/etc/postfix/users", "has no type in front of it; write file:/etc/postfix/users"},
        {"../users", "has no type in front of it; write file:../users"},
        {"file:", "which file?"},
        {"file", "which file?"},
        {"passwd:x", "takes nothing"},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < LENGTH(rows); i++) {
        assert_null(table_open("t", rows[i].what, "/", NULL, fixture->diag));
        const char *line = diag_line(fixture->diag, (unsigned)i);
        if (line == NULL || strstr(line, rows[i].want) == NULL)
            fail_msg("%s: %s", rows[i].what, line != NULL ? line : "no error");
    }
    assert_true(table_type_known("lmdb:/x"));
    assert_false(table_type_known("lmd:/x"));
    assert_string_equal(table_type_nearest("lmd:/x"), "lmdb");
}

static void test_passwd(void **state)
{
    struct fixture *fixture = *state;
    struct table *table = open_table(fixture, "passwd:");

    EXPECT(fixture, table, "user:root@example.org", "root=");
    EXPECT(fixture, table, "user:Root+x@example.org", "root=");
    EXPECT(fixture, table, "rcpt:root@example.org", "absent");
    EXPECT(fixture, table, "user:no-such-user-here@example.org", "absent");
    EXPECT(fixture, table, "user:a/b@example.org", "absent");
    EXPECT(fixture, table, "text:root", "absent");
    assert_int_equal(table_count(table), -1);
    table_refresh(table);
    table_unref(table);
}

static void test_large(void **state)
{
    struct fixture *fixture = *state;
    struct str text = {0};

    for (int i = 0; i < 100000; i++)
        str_add_format(&text, "firstname.lastname%d@department%d.example.org\n", i, i % 97);
    put_bytes(fixture, "users", text.data, text.length, true);
    str_free(&text);
    struct mallinfo2 before = mallinfo2();
    struct table *table = open_table(fixture, "file:users");
    struct mallinfo2 after = mallinfo2();
    assert_int_equal(table_count(table), 100000);
    assert_true(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd < 8 * 1024 * 1024);
    for (int i = 0; i < 100000; i += 1000) {
        const char *name = arena_printf(fixture->arena,
                                        "firstname.lastname%d@department%d.example.org", i, i % 97);
        EXPECT(fixture, table, arena_printf(fixture->arena, "rcpt:%s", name),
               arena_printf(fixture->arena, "%s=", name));
    }
    EXPECT(fixture, table, "rcpt:firstname.lastname1@department0.example.org", "absent");
    table_unref(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_inline, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_file, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_byte_order_mark, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_notes, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_expiry, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_bad_lines, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_vain_lines, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_many_errors, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_hostile, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_open, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_passwd, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_large, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests_name("table file", tests, NULL, NULL);
}
