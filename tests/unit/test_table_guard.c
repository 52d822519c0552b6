/* SPDX-License-Identifier: MIT */
#include "test_table.h"

/* A file of A users at a.test, B users at b.test and C bare ones. */
static void put_users(struct fixture *fixture, const char *name, int a, int b, int c)
{
    struct str text = {0};

    for (int i = 0; i < a; i++)
        str_add_format(&text, "user%d@a.test 1\n", i);
    for (int i = 0; i < b; i++)
        str_add_format(&text, "user%d@b.test 1\n", i);
    for (int i = 0; i < c; i++)
        str_add_format(&text, "user%d 1\n", i);
    put_text(fixture, name, str_text(&text));
    str_free(&text);
}

static struct table *open_guarded(struct fixture *fixture, const char *spec, unsigned percent)
{
    const struct table_guard guard = {.state_dir = fixture->folder, .shrink_percent = percent};
    struct table *table = open_table(fixture, spec);

    table_guard(table, &guard);
    return table;
}

static const char *state_file(struct fixture *fixture, const char *name)
{
    char *text = arena_alloc(fixture->arena, 4096);
    FILE *file = fopen(path_in(fixture, name), "r");

    if (file == NULL)
        return "none";
    assert_true(fread(text, 1, 4095, file) < 4095);
    fclose(file);
    return text;
}

static void accept_size(struct fixture *fixture, struct table *table)
{
    const char *problem = NULL;

    if (table_accept(table, &problem, fixture->arena) != 0)
        fail_msg("%s", problem);
}

/* Changes of the file while the table is open. */
static void test_running(void **state)
{
    static const struct {
        int a, b, c;
        bool taken;
        const char *log; /* NULL: no line */
    } rows[] = {
        {100, 10, 10, true, NULL}, /* the first one */
        {80, 10, 10, true, "100 entries"},
        {63, 10, 10, false,
         "a.test has 63 entries where there were 80, more than 20% fewer; 'postern table t "
         "--accept'"},
        {63, 10, 10, false, NULL},
        {64, 10, 10, true, "84 entries from"},
        {1000, 7, 10, false, "b.test has 7 entries where there were 10"},
        {1000, 10, 7, false, "there are 7 entries where there were 10"},
        {10, 0, 0, false,
         "a.test has 10 entries where there were 64, more than 20% fewer (and 2 more"},
        {0, 0, 0, false, "it holds no entry at all"},
        {1000, 10, 10, true, "1020 entries"},
        {800, 10, 10, true, "820 entries"},
        {799, 8, 8, true, "815 entries"},
        {600, 8, 8, false, "a.test has 600 entries where there were 799"},
    };
    struct fixture *fixture = *state;
    struct table *table = NULL;
    int last_a = 0;

    for (size_t i = 0; i < LENGTH(rows); i++) {
        put_users(fixture, "users", rows[i].a, rows[i].b, rows[i].c);
        if (table == NULL) {
            table = open_guarded(fixture, "file:users", 20);
            log_since(fixture, NULL);
        } else {
            table_refresh(table);
        }
        EXPECT_LOG(fixture, rows[i].log);
        if (rows[i].taken)
            last_a = rows[i].a;
        EXPECT(fixture, table, "rcpt:user0@a.test", "user0@a.test=1");
        EXPECT(fixture, table, arena_printf(fixture->arena, "rcpt:user%d@a.test", last_a - 1),
               arena_printf(fixture->arena, "user%d@a.test=1", last_a - 1));
        EXPECT(fixture, table, arena_printf(fixture->arena, "rcpt:user%d@a.test", last_a),
               "absent");
        assert_true((table_problem(table, fixture->arena) == NULL) == rows[i].taken);
    }
    accept_size(fixture, table);
    EXPECT_LOG(fixture, "616 entries");
    EXPECT(fixture, table, "rcpt:user600@a.test", "absent");
    assert_null(table_problem(table, fixture->arena));
    table_refresh(table);
    EXPECT_LOG(fixture, NULL);
    table_unref(table);
}

/* A table that may begin empty is guarded from its first entry on, and an emptied one can be
 * accepted by a command that opens it anew. */
static void test_begins_empty(void **state)
{
    struct fixture *fixture = *state;
    const struct table_guard guard = {
        .state_dir = fixture->folder, .shrink_percent = 20, .may_begin_empty = true};

    put_users(fixture, "users", 0, 0, 0);
    struct table *table = open_table(fixture, "file:users");
    table_guard(table, &guard);
    EXPECT(fixture, table, "rcpt:user0@a.test", "absent");
    put_users(fixture, "users", 10, 0, 0);
    table_refresh(table);
    log_since(fixture, NULL);
    put_users(fixture, "users", 0, 0, 0);
    table_refresh(table);
    EXPECT_LOG(fixture, "it holds no entry at all; 'postern table t --accept'");
    EXPECT(fixture, table, "rcpt:user0@a.test", "user0@a.test=1");

    /* A restart forgets nothing. */
    struct table *again = open_table(fixture, "file:users");
    table_guard(again, &guard);
    EXPECT(fixture, again, "rcpt:user0@a.test", "unavailable");
    table_unref(again);

    struct table *command = open_table(fixture, "file:users");
    table_guard(command, &guard);
    accept_size(fixture, command);
    table_unref(command);
    table_refresh(table);
    EXPECT(fixture, table, "rcpt:user0@a.test", "absent");
    assert_null(table_problem(table, fixture->arena));
    table_unref(table);

    /* The only entry may go while nobody runs. */
    put_users(fixture, "users", 1, 0, 0);
    table = open_table(fixture, "file:users");
    table_guard(table, &guard);
    EXPECT(fixture, table, "rcpt:user0@a.test", "user0@a.test=1");
    table_unref(table);
    put_users(fixture, "users", 0, 0, 0);
    table = open_table(fixture, "file:users");
    table_guard(table, &guard);
    EXPECT(fixture, table, "rcpt:user0@a.test", "absent");
    table_unref(table);
}

/* Changes while nobody ran. */
static void test_restart(void **state)
{
    struct fixture *fixture = *state;
    const char *problem;

    /* Never any image: an empty one is not believed, a full one is. */
    put_text(fixture, "users", "# nobody\n");
    struct table *table = open_guarded(fixture, "file:users", 20);
    EXPECT(fixture, table, "rcpt:user0@a.test", "unavailable");
    assert_string_equal(state_file(fixture, "t.counts"), "none");
    put_users(fixture, "users", 10, 0, 1);
    table_refresh(table);
    EXPECT(fixture, table, "rcpt:user0@a.test", "user0@a.test=1");
    table_unref(table);
    const char *text = state_file(fixture, "t.counts");
    assert_non_null(strstr(text, "postern counts 1\n"));
    assert_non_null(strstr(text, "\n10 a.test\n"));
    assert_non_null(strstr(text, "\n1 .\n"));
    assert_non_null(strstr(text, "\nend 2\n"));
    log_since(fixture, NULL);

    /* Emptied. */
    put_text(fixture, "users", "");
    table = open_guarded(fixture, "file:users", 20);
    EXPECT(fixture, table, "rcpt:user0@a.test", "unavailable");
    EXPECT(fixture, table, "rcpt:nobody@a.test", "unavailable");
    assert_non_null(strstr(log_since(fixture, NULL), "the table has no answer"));
    table_refresh(table);
    EXPECT_LOG(fixture, NULL);
    put_users(fixture, "users", 10, 0, 1);
    table_refresh(table);
    EXPECT_LOG(fixture, "all is well again");
    EXPECT(fixture, table, "rcpt:user0@a.test", "user0@a.test=1");
    EXPECT(fixture, table, "rcpt:nobody@a.test", "absent");
    table_unref(table);

    /* Shrunken, then accepted by another process: the running one sees it. */
    put_users(fixture, "users", 5, 0, 1);
    table = open_guarded(fixture, "file:users", 20);
    EXPECT(fixture, table, "rcpt:user0@a.test", "unavailable");
    struct table *command = open_guarded(fixture, "file:users", 20);
    accept_size(fixture, command);
    EXPECT(fixture, command, "rcpt:user0@a.test", "user0@a.test=1");
    table_unref(command);
    table_refresh(table);
    EXPECT(fixture, table, "rcpt:user0@a.test", "user0@a.test=1");
    table_unref(table);

    /* An empty one can be accepted, and is then right after a restart too. */
    put_text(fixture, "users", "");
    table = open_guarded(fixture, "file:users", 20);
    accept_size(fixture, table);
    EXPECT(fixture, table, "rcpt:user0@a.test", "absent");
    table_unref(table);
    table = open_guarded(fixture, "file:users", 20);
    EXPECT(fixture, table, "rcpt:user0@a.test", "absent");

    /* What cannot be read cannot be accepted. */
    put_text(fixture, "users", "a@b..c\n");
    assert_int_equal(table_accept(table, &problem, fixture->arena), -1);
    assert_non_null(strstr(problem, "users:1: "));
    table_unref(table);
    table = open_table(fixture, "file:users");
    assert_int_equal(table_accept(table, &problem, fixture->arena), -1);
    assert_non_null(strstr(problem, "not guarded"));
    table_unref(table);

    /* A state file that makes no sense is said to be so and counts as none. */
    static const char *const broken[] = {"",
                                         "postern counts 2\n",
                                         "postern counts 1\n10 a.test\n",
                                         "postern counts 1\n10 a.test\nend 2\n",
                                         "postern counts 1\nx a.test\nend 1\n",
                                         "postern counts 1\n10 a.test\nend 1"};
    for (size_t i = 0; i < LENGTH(broken); i++) {
        put_text(fixture, "t.counts", broken[i]);
        put_users(fixture, "users", 5, 0, 0);
        log_since(fixture, NULL);
        table = open_guarded(fixture, "file:users", 20);
        assert_non_null(strstr(log_since(fixture, NULL), "t.counts makes no sense"));
        EXPECT(fixture, table, "rcpt:user0@a.test", "user0@a.test=1");
        assert_non_null(strstr(state_file(fixture, "t.counts"), "\n5 a.test\nend 1\n"));
        table_unref(table);
    }
}

static void test_names(void **state)
{
    static const struct {
        const char *name, *file;
    } rows[] = {
        {"plain-1_x.y", "plain-1_x.y.counts"},
        {"../up", "%2E.%2Fup.counts"},
        {"a b", "a%20b.counts"},
        {"100%", "100%25.counts"},
    };
    struct fixture *fixture = *state;
    const struct table_guard guard = {.state_dir = fixture->folder, .shrink_percent = 20};
    char name[400];

    put_users(fixture, "users", 1, 0, 0);
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct table *table =
            table_open(rows[i].name, "file:users", fixture->folder, NULL, fixture->diag);
        table_guard(table, &guard);
        if (strstr(state_file(fixture, rows[i].file), "1 a.test") == NULL)
            fail_msg("'%s' has no %s", rows[i].name, rows[i].file);
        table_unref(table);
    }
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    log_since(fixture, NULL);
    struct table *table = table_open(name, "file:users", fixture->folder, NULL, fixture->diag);
    table_guard(table, &guard);
    assert_null(strstr(log_since(fixture, NULL), "cannot keep"));
    table_unref(table);
}

static void test_no_folder(void **state)
{
    struct fixture *fixture = *state;
    const char *folder = path_in(fixture, "missing");
    const struct table_guard guard = {.state_dir = folder, .shrink_percent = 20};
    const struct table_guard none = {.state_dir = folder, .shrink_percent = 0};
    const struct table_guard memory = {.shrink_percent = 50};

    put_users(fixture, "users", 10, 0, 0);
    struct table *table = open_table(fixture, "file:users");
    log_since(fixture, NULL);
    table_guard(table, &guard);
    EXPECT_LOG(fixture, "cannot keep its size in");
    put_users(fixture, "users", 11, 0, 0);
    table_refresh(table);
    EXPECT_LOG(fixture, "11 entries");
    put_users(fixture, "users", 1, 0, 0);
    table_refresh(table);
    EXPECT_LOG(fixture, "a.test has 1 entry where");
    assert_int_equal(mkdir(folder, 0755), 0);
    put_users(fixture, "users", 12, 0, 0);
    table_refresh(table);
    assert_non_null(strstr(state_file(fixture, "missing/t.counts"), "12 a.test"));
    table_unref(table);

    table = open_table(fixture, "file:users");
    table_guard(table, &none);
    put_text(fixture, "users", "");
    table_refresh(table);
    EXPECT(fixture, table, "rcpt:user0@a.test", "absent");
    table_unref(table);

    put_users(fixture, "users", 12, 0, 0);
    table = open_table(fixture, "file:users");
    table_guard(table, &memory);
    put_users(fixture, "users", 5, 0, 0);
    table_refresh(table);
    EXPECT(fixture, table, "rcpt:user11@a.test", "user11@a.test=1");
    table_unref(table);
}

/* The only entry of a domain, a catch-all perhaps, is the domain. */
static void test_last_entry(void **state)
{
    struct fixture *fixture = *state;

    put_text(fixture, "users", "@a.test 1\nx@b.test 1\ny@b.test 1\n");
    struct table *table = open_guarded(fixture, "file:users", 20);
    log_since(fixture, NULL);
    put_text(fixture, "users", "x@b.test 1\ny@b.test 1\n");
    table_refresh(table);
    EXPECT_LOG(fixture, "a.test has 0 entries where there were 1");
    EXPECT(fixture, table, "rcpt:any@a.test", "@a.test=1");
    put_text(fixture, "users", "@a.test 1\nx@b.test 1\n");
    table_refresh(table);
    EXPECT_LOG(fixture, "2 entries");
    EXPECT(fixture, table, "rcpt:y@b.test", "absent");
    put_text(fixture, "users", "@a.test 1\n");
    table_refresh(table);
    EXPECT_LOG(fixture, "b.test has 0 entries where there were 1");
    accept_size(fixture, table);
    EXPECT(fixture, table, "rcpt:x@b.test", "absent");
    table_unref(table);
}

static void test_lmdb(void **state)
{
    struct fixture *fixture = *state;

    put_users(fixture, "map", 10, 0, 0);
    run_postmap(fixture, "lmdb:map");
    struct table *table = open_guarded(fixture, "lmdb:map.lmdb", 20);
    EXPECT(fixture, table, "rcpt:user0@a.test", "user0@a.test=1");
    put_users(fixture, "map", 5, 0, 0);
    run_postmap(fixture, "lmdb:map");
    set_age(path_in(fixture, "map.lmdb"), true);
    table_refresh(table);
    EXPECT(fixture, table, "rcpt:user0@a.test", "unavailable");
    EXPECT(fixture, table, "rcpt:user7@a.test", "unavailable");
    accept_size(fixture, table);
    EXPECT(fixture, table, "rcpt:user0@a.test", "user0@a.test=1");
    EXPECT(fixture, table, "rcpt:user7@a.test", "absent");
    table_unref(table);
}

static void test_patterns(void **state)
{
    struct fixture *fixture = *state;
    const char *const types[] = {"regex:rules", "cidr:rules"};
    const char *const full[] = {"/^a/ x\n/^b/ y\n/^c/ z\n/^d/ w\n",
                                "192.0.2.1 x\n192.0.2.2 y\n192.0.2.3 z\n192.0.2.4 w\n"};
    const char *const less[] = {"/^a/ x\n/^b/ y\n", "192.0.2.1 x\n192.0.2.2 y\n"};

    for (size_t i = 0; i < LENGTH(types); i++) {
        unlink(path_in(fixture, "t.counts"));
        put_text(fixture, "rules", full[i]);
        struct table *table = open_guarded(fixture, types[i], 20);
        put_text(fixture, "rules", less[i]);
        table_refresh(table);
        assert_non_null(
            strstr(table_problem(table, fixture->arena), "there are 2 entries where there were 4"));
        assert_int_equal(table_count(table), 4);
        table_unref(table);
    }
}

/* A reload of the configuration opens everything anew. */
static void test_inherit(void **state)
{
    struct fixture *fixture = *state;
    const struct table_guard memory = {.shrink_percent = 20};

    put_users(fixture, "users", 10, 0, 0);
    struct table *old = open_guarded(fixture, "file:users", 20);
    put_users(fixture, "users", 1, 0, 0);
    table_refresh(old);
    struct table *new = open_guarded(fixture, "file:users", 20);
    EXPECT(fixture, new, "rcpt:user9@a.test", "unavailable");
    log_since(fixture, NULL);
    table_inherit(new, old);
    EXPECT_LOG(fixture, "the last good image, of 10 entries, stays in force");
    table_unref(old);
    EXPECT(fixture, new, "rcpt:user9@a.test", "user9@a.test=1");
    table_refresh(new);
    EXPECT_LOG(fixture, NULL);
    table_unref(new);

    put_users(fixture, "users", 10, 0, 0);
    old = open_table(fixture, "file:users");
    table_guard(old, &memory);
    put_users(fixture, "users", 1, 0, 0);
    new = open_table(fixture, "file:users");
    table_guard(new, &memory);
    EXPECT(fixture, new, "rcpt:user9@a.test", "absent");
    table_inherit(new, old);
    EXPECT(fixture, new, "rcpt:user9@a.test", "user9@a.test=1");
    table_unref(old);
    table_unref(new);

    /* Nothing passes between different files, nor when all is well. */
    put_users(fixture, "users", 10, 0, 0);
    put_users(fixture, "others", 3, 0, 0);
    old = open_table(fixture, "file:users");
    new = open_table(fixture, "file:others");
    table_inherit(new, old);
    assert_int_equal(table_count(new), 3);
    table_unref(old);
    table_unref(new);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_running, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_begins_empty, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_restart, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_names, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_no_folder, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_last_entry, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_lmdb, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_patterns, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_inherit, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests_name("table guard", tests, NULL, NULL);
}
