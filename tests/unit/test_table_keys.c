/* SPDX-License-Identifier: MIT */
#include "test_table.h"

#include "../../src/tables/keys.h"

static void test_parse(void **state)
{
    static const struct {
        const char *text, *want; /* with the class in front; "!" and a part of the problem */
    } rows[] = {
        {"Bob@Example.ORG", "mailbox bob@example.org"},
        {"bob+x@example.org.", "mailbox bob+x@example.org"},
        {"\"Bob\"@example.org", "mailbox bob@example.org"},
        {"\"a b\"@example.org", "mailbox a b@example.org"},
        {"\"a@b\"@example.org", "mailbox a@b@example.org"},
        {"bob@ex\xc3\xa4mple.org", "mailbox bob@xn--exmple-cua.org"},
        {"@Example.org", "at_domain @example.org"},
        {"Bob@", "user_at bob@"},
        {".Example.org", "parent .example.org"},
        {"Example.org.", "domain example.org"},
        {"EX\xc3\x84MPLE.org", "domain xn--exmple-cua.org"},
        {"bob", "domain bob"},
        {"J\xc3\xb6rg", "domain j\xc3\xb6rg"},
        {"o'brien", "text o'brien"},
        {"<>", "text <>"},
        {"smtp:foo", "text smtp:foo"},
        {"12345", "text 12345"},
        {"192.0.2.1", "addr 192.0.2.1"},
        {"[192.0.2.1]", "addr 192.0.2.1"},
        {"192.0.2.1/32", "addr 192.0.2.1"},
        {"192.0.2.0/24", "net 192.0.2.0/24"},
        {"0.0.0.0/0", "net 0.0.0.0/0"},
        {"192.0.2", "prefix 192.0.2"},
        {"10.1", "prefix 10.1"},
        {"2001:DB8::0:1", "addr 2001:db8::1"},
        {"2001:DB8:0::/32", "net 2001:db8::/32"},
        {"::ffff:192.0.2.1", "addr 192.0.2.1"},
        {"2001:db8", "prefix 2001:db8"},
        {"2001:db8:", "prefix 2001:db8:"},
        {"", "!empty"},
        {"@", "!nothing"},
        {".", "!domain"},
        {"@a..b", "!domain"},
        {"bob@a..b", "!domain"},
        {"bob@[192.0.2.1]", "!literal"},
        {"192.0.2.300", "!IP address"},
        {"192.0.2.1.5", "!IP address"},
        {"300.1", "!IP address"},
        {"192.0.2.0/33", "!network"},
        {"192.0.2.1/24", "!192.0.2.0/24"},
        {"2001:db8::1/32", "!2001:db8::/32"},
        {"2001:db8::x1::", "text 2001:db8::x1::"},
        {"1:2:3:4:5:6:7:8:9", "!IP address"},
        {"a\tb", "!control"},
        {"a\x7f", "!control"},
    };
    static const char *const classes[] = {
        [KEY_TEXT] = "text",       [KEY_ADDR] = "addr",       [KEY_NET] = "net",
        [KEY_PREFIX] = "prefix",   [KEY_DOMAIN] = "domain",   [KEY_PARENT] = "parent",
        [KEY_MAILBOX] = "mailbox", [KEY_USER_AT] = "user_at", [KEY_AT_DOMAIN] = "at_domain",
    };
    char long_key[KEY_MAX + 2];
    struct key key;
    char problem[128], got[2048];

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        if (!key_parse(rows[i].text, strlen(rows[i].text), &key, problem)) {
            if (rows[i].want[0] != '!' || strstr(problem, rows[i].want + 1) == NULL)
                fail_msg("'%s' %s", rows[i].text, problem);
            continue;
        }
        snprintf(got, sizeof(got), "%s %s", classes[key.class], key.text);
        if (strcmp(got, rows[i].want) != 0)
            fail_msg("'%s' gives %s", rows[i].text, got);
    }
    memset(long_key, 'a', sizeof(long_key));
    assert_true(key_parse(long_key, KEY_MAX, &key, problem));
    assert_false(key_parse(long_key, KEY_MAX + 1, &key, problem));
    memcpy(long_key + KEY_MAX - 13, "@example.org", 12);
    assert_true(key_parse(long_key, KEY_MAX - 1, &key, problem));
    assert_false(key_parse("a\0b", 3, &key, problem));
}

static void test_extension(void **state)
{
    static const struct {
        const char *local, *delimiter, *base;
    } rows[] = {
        {"bob+x", "+", "bob"},
        {"bob+x+y", "+", "bob"},
        {"bob-x+y", "+-", "bob"},
        {"bob+x", "", "bob+x"},
        {"bob+x", "-", "bob+x"},
        {"+x", "+", "+x"},
        {"bob+", "+", "bob"},
        {"+", "+", "+"},
        {"bob", "+", "bob"},
        {"owner-list", "-", "owner-list"},
        {"List-Request", "-", "List-Request"},
        {"owner-list", "+", "owner-list"},
        {"double-bounce", "-", "double-bounce"},
        {"MAILER-DAEMON", "-", "MAILER-DAEMON"},
        {"my-list", "-", "my"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        size_t length = key_base_length(rows[i].local, rows[i].delimiter);
        if (length != strlen(rows[i].base))
            fail_msg("%s by '%s' has a base of %zu", rows[i].local, rows[i].delimiter, length);
    }
}

static bool note(void *arg, enum probe_form form, const char *text, const struct addr *addr)
{
    assert_true((form == PROBE_ADDR) == (addr != NULL));
    str_add_format(arg, "%s ", text);
    return false;
}

static void test_order(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        struct table_key key;
        const char *keys, *whole;
    } rows[] = {
        {{.kind = TABLE_KEY_TEXT, .text = "Some Text"}, "some text ", "Some Text "},
        {{.kind = TABLE_KEY_DOMAIN, .text = "a.Example.org"},
         "a.example.org .example.org .org ",
         "a.Example.org "},
        {{.kind = TABLE_KEY_DOMAIN, .text = "localhost"}, "localhost ", "localhost "},
        {{.kind = TABLE_KEY_DOMAIN, .text = ""}, "", " "},
        {{.kind = TABLE_KEY_ADDRESS, .local = "Bob", .domain = "example.org", .delimiter = ""},
         "bob@example.org example.org .org @example.org bob@ ",
         "Bob@example.org "},
        {{.kind = TABLE_KEY_ADDRESS, .local = "Bob+X", .domain = "example.org", .delimiter = "+"},
         "bob+x@example.org bob@example.org example.org .org @example.org bob+x@ bob@ ",
         "Bob+X@example.org "},
        {{.kind = TABLE_KEY_ADDRESS, .local = "", .domain = "", .delimiter = ""}, "<> ", "<> "},
        {{.kind = TABLE_KEY_ADDRESS, .local = "bob", .domain = "", .delimiter = ""},
         "bob@ ",
         "bob "},
        {{.kind = TABLE_KEY_RECIPIENT, .local = "Bob+X", .domain = "a.b", .delimiter = "+"},
         "bob+x@a.b bob@a.b @a.b ",
         "Bob+X@a.b "},
        {{.kind = TABLE_KEY_RECIPIENT,
          .local = "Bob+X",
          .domain = "a.b",
          .delimiter = "+",
          .bare_user = true},
         "bob+x@a.b bob@a.b bob+x bob @a.b ",
         "Bob+X@a.b "},
        {{.kind = TABLE_KEY_RECIPIENT,
          .local = "x@y.z",
          .domain = "a.b",
          .delimiter = "",
          .bare_user = true},
         "x@y.z@a.b @a.b ",
         "x@y.z@a.b "},
        {{.kind = TABLE_KEY_RECIPIENT,
          .local = ".a.b",
          .domain = "a.b",
          .delimiter = "",
          .bare_user = true},
         ".a.b@a.b @a.b ",
         ".a.b@a.b "},
    };
    struct table_key addr = {.kind = TABLE_KEY_ADDR};
    struct str text = {0};

    for (size_t i = 0; i < LENGTH(rows); i++) {
        keys_walk(&rows[i].key, false, fixture->arena, note, &text);
        if (strcmp(str_text(&text), rows[i].keys) != 0)
            fail_msg("row %zu tries %s", i, str_text(&text));
        str_clear(&text);
        keys_walk(&rows[i].key, true, fixture->arena, note, &text);
        if (strcmp(str_text(&text), rows[i].whole) != 0)
            fail_msg("row %zu tries whole %s", i, str_text(&text));
        str_clear(&text);
    }
    keys_walk(&addr, false, fixture->arena, note, &text);
    assert_string_equal(str_text(&text), "");
    assert_true(addr_parse("2001:DB8::1", &addr.addr));
    keys_walk(&addr, false, fixture->arena, note, &text);
    assert_string_equal(str_text(&text), "2001:db8::1 ");
    str_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_extension),
        cmocka_unit_test_setup_teardown(test_order, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests_name("table keys", tests, NULL, NULL);
}
