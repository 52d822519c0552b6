/* SPDX-License-Identifier: MIT */
#include "test_table.h"

struct row {
    const char *what, *want;
};

static const char cidr_text[] = "# comment\n"
                                "192.0.2.1 REJECT one\n"
                                "192.0.2.0/24\n"
                                "\tOK all\n"
                                "  # a comment between\n"
                                "    of them\n"
                                "if 10.0.0.0/8\n"
                                "!10.1.0.0/16 DUNNO not one\n"
                                "IF !10.1.2.0/24\n"
                                "10.1.0.0/17 low\n"
                                "ENDIF\n"
                                "10.1.2.3 host\n"
                                "endif\n"
                                "2001:db8::/32 v6\n"
                                "!2001:db9::/32 other v6\n"
                                "::/0 rest\n"
                                "10.0.0.0/8 ten\n";

static const struct row cidr_rows[] = {
    {"192.0.2.1", "REJECT one"},   {"192.0.2.2", "OK all    of them"},
    {"10.2.3.4", "DUNNO not one"}, {"10.1.3.4", "low"},
    {"10.1.2.3", "host"},          {"10.1.2.4", "ten"},
    {"10.1.200.4", "ten"},         {"11.1.2.4", ""},
    {"2001:db8::1", "v6"},         {"2001:dba::1", "other v6"},
    {"2001:db9::1", "rest"},
};

static const char *value_of(struct fixture *fixture, struct table *table, const char *what)
{
    const char *got = look(fixture, table, what);
    const char *equals = strrchr(got, '=');

    return equals != NULL ? equals + 1 : "";
}

static void test_cidr(void **state)
{
    struct fixture *fixture = *state;
    put_text(fixture, "nets", cidr_text);
    struct table *table = open_table(fixture, "cidr:nets");

    EXPECT_LOG(fixture, "9 entries");
    for (size_t i = 0; i < LENGTH(cidr_rows); i++) {
        const char *what = arena_printf(fixture->arena, "addr:%s", cidr_rows[i].what);
        const char *got = value_of(fixture, table, what);
        if (strcmp(got, cidr_rows[i].want) != 0)
            fail_msg("%s gives '%s'", what, got);
    }
    EXPECT(fixture, table, "addr:192.0.2.2", "192.0.2.0/24=OK all    of them");
    EXPECT(fixture, table, "addr:10.2.3.4", "!10.1.0.0/16=DUNNO not one");
    EXPECT(fixture, table, "text:192.0.2.1", "192.0.2.1/32=REJECT one");
    EXPECT(fixture, table, "text:some text", "absent");
    EXPECT(fixture, table, "domain:example.org", "absent");
    EXPECT(fixture, table, "rcpt:a@example.org", "absent");
    table_unref(table);
}

/* Postfix itself gives the same answers. */
static void test_cidr_postfix(void **state)
{
    struct fixture *fixture = *state;
    char line[256];

    put_text(fixture, "nets", cidr_text);
    put_text(fixture, "main.cf", "compatibility_level = 3.6\n");
    for (size_t i = 0; i < LENGTH(cidr_rows); i++) {
        FILE *pipe =
            popen(arena_printf(fixture->arena, "/usr/sbin/postmap -c %s -q %s cidr:%s/nets",
                               fixture->folder, cidr_rows[i].what, fixture->folder),
                  "r");
        assert_non_null(pipe);
        if (fgets(line, sizeof(line), pipe) == NULL)
            line[0] = '\0';
        line[strcspn(line, "\n")] = '\0';
        pclose(pipe);
        if (strcmp(line, cidr_rows[i].want) != 0)
            fail_msg("postmap gives '%s' for %s", line, cidr_rows[i].what);
    }
}

static void test_regex(void **state)
{
    static const char text[] = "/^postmaster@/ OK\n"
                               "/^(.*)\\.old@example\\.(org|net)$/  $1@example.$(2) \\ 5$$ ${2}\n"
                               "!/@example\\.(org|net|com)$/ REJECT foreign\n"
                               "/^CaSe@/i exact\n"
                               "/^case@/ folded\n"
                               "if /@example.net$/\n"
                               "if !/^a/\n"
                               "/^b/ net b\n"
                               "endif\n"
                               "|^a\\|a| net a\n"
                               "/^x  y@/x net x\n"
                               "endif\n"
                               "/^b(z)?@example\\.com/ [$1]\n"
                               "/^(a+)+@@@/ slow\n"
                               "/^$/ empty\n";
    static const struct row rows[] = {
        {"rcpt:Postmaster@example.org", "/^postmaster@/=OK"},
        {"rcpt:bob.OLD@example.net",
         "/^(.*)\\.old@example\\.(org|net)$/=bob@example.net \\ 5$ net"},
        {"rcpt:bob@foreign.org", "!/@example\\.(org|net|com)$/=REJECT foreign"},
        {"rcpt:CaSe@example.org", "/^CaSe@/=exact"},
        {"rcpt:CASE@example.org", "/^case@/=folded"},
        {"rcpt:bob@example.net", "/^b/=net b"},
        {"rcpt:bob@example.org", "absent"},
        {"rcpt:a|a@example.net", "/^a\\|a/=net a"},
        {"rcpt:axx@example.net", "absent"},
        {"rcpt:xy@example.net", "/^x  y@/=net x"},
        {"rcpt:bz@example.com", "/^b(z)?@example\\.com/=[z]"},
        {"rcpt:b@example.com", "/^b(z)?@example\\.com/=[]"},
        {"rcpt:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@example.com", "unavailable"},
        {"rcpt:c+x@example.com", "absent"},
    };
    struct fixture *fixture = *state;
    put_text(fixture, "re", text);
    struct table *table = open_table(fixture, "regex:re");

    assert_null(table_problem(table, fixture->arena));
    assert_int_equal(table_count(table), 11);
    for (size_t i = 0; i < LENGTH(rows); i++)
        EXPECT(fixture, table, rows[i].what, rows[i].want);
    table_unref(table);

    put_text(fixture, "re", "/^192\\.0\\.2\\./ net\n/^$/ empty\n/^a$/s dot\n/^.*$/ $0\n");
    table = open_table(fixture, "regex:re");
    assert_non_null(table_problem(table, fixture->arena));
    table_unref(table);
    put_text(fixture, "re", "/^192\\.0\\.2\\./ net\n/^$/ empty\n/^mail/ name\n");
    table = open_table(fixture, "regex:re");
    EXPECT(fixture, table, "addr:192.0.2.7", "/^192\\.0\\.2\\./=net");
    EXPECT(fixture, table, "text:", "/^$/=empty");
    EXPECT(fixture, table, "domain:mail.example.org", "/^mail/=name");
    EXPECT(fixture, table, "domain:a.mail.example.org", "absent");
    table_unref(table);
}

static void test_bad_lines(void **state)
{
    static const struct row rows[] = {
        {"cidr 192.0.2.0/33 x\n", ":1: '192.0.2.0/33' is no network"},
        {"cidr 192.0.2.1/24 x\n",
         ":1: '192.0.2.1/24' has bits set behind its length: write 192.0.2.0/24"},
        {"cidr example.org x\n", ":1: 'example.org' is no network and no IP address"},
        {"cidr 192.0.2 x\n", "is no network and no IP address"},
        {"cidr \t192.0.2.1 x\n", ":1: the first line begins with blanks"},
        {"cidr endif\n", ":1: 'endif' without 'if'"},
        {"cidr endif x\n", ":1: there is something behind 'endif'"},
        {"cidr if 192.0.2.1 x\nendif\n", ":1: there is something behind the pattern of 'if'"},
        {"cidr \nif 192.0.2.1\n", ":2: this 'if' has no 'endif'"},
        {"regex /abc x\n", ":1: expected /PATTERN/ and a value: '/abc x'"},
        {"regex abc x\n", ":1: expected /PATTERN/"},
        {"regex /abc\\/ x\n", ":1: expected /PATTERN/"},
        {"regex /a\\", ":1: expected /PATTERN/"},
        {"regex /(/ x\n", ":1: missing closing parenthesis, at byte 2"},
        {"regex /a/q x\n", ":1: unknown flag 'q'"},
        {"regex /a/ $1\n", ":1: the value names group $1; the pattern has 0"},
        {"regex /(a)/ $0\n", ":1: the value names group $0"},
        {"regex /(a)/ $(1\n", ":1: '$' in the value is not understood"},
        {"regex /(a)/ cost 5 $\n", ":1: '$' in the value is not understood"},
        {"regex !/(a)/ $1\n", ":1: a pattern with '!' has no groups to name"},
        {"regex if /a/ b\nendif\n", ":1: there is something behind the pattern of 'if'"},
        {"regex if /a/\n/b/ x\n", ":1: this 'if' has no 'endif'"},
        {"regex /a\\C/ x\n", "using \\C is disabled"},
    };
    struct fixture *fixture = *state;
    struct str deep = {0};

    for (size_t i = 0; i < LENGTH(rows); i++) {
        const char *space = strchr(rows[i].what, ' ');
        put_text(fixture, "f", space + 1);
        struct table *table =
            open_table(fixture, arena_printf(fixture->arena, "%.*s:f", (int)(space - rows[i].what),
                                             rows[i].what));
        const char *problem = table_problem(table, fixture->arena);
        if (problem == NULL || strstr(problem, rows[i].want) == NULL)
            fail_msg("%s: %s", rows[i].what, problem != NULL ? problem : "no problem");
        EXPECT(fixture, table, "addr:192.0.2.1", "unavailable");
        table_unref(table);
    }
    for (int i = 0; i < 65; i++)
        str_add(&deep, "if 10.0.0.0/8\n");
    put_text(fixture, "f", str_text(&deep));
    struct table *table = open_table(fixture, "cidr:f");
    assert_non_null(strstr(table_problem(table, fixture->arena), ":65: 'if' is nested"));
    table_unref(table);
    str_free(&deep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cidr, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_cidr_postfix, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_regex, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_bad_lines, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests_name("table patterns", tests, NULL, NULL);
}
