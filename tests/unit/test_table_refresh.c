/* SPDX-License-Identifier: MIT */
#include "test_table.h"

#include <pthread.h>
#include <stdatomic.h>

static void put_fresh(struct fixture *fixture, const char *name, const char *text)
{
    put_bytes(fixture, name, text, strlen(text), false);
}

static void test_states(void **state)
{
    struct fixture *fixture = *state;
    struct table *table = open_table(fixture, "file:users");

    EXPECT_LOG(fixture, "users: No such file or directory; the table has no answer");
    EXPECT(fixture, table, "rcpt:a@b.c", "unavailable");
    assert_int_equal(table_count(table), -1);
    for (int i = 0; i < 3; i++)
        table_refresh(table);
    EXPECT_LOG(fixture, NULL);

    put_text(fixture, "users", "a@b.c 1\n");
    table_refresh(table);
    EXPECT_LOG(fixture, "1 entry from");
    EXPECT(fixture, table, "rcpt:a@b.c", "a@b.c=1");
    table_refresh(table);
    EXPECT_LOG(fixture, NULL);

    /* A bad line, another one, the file gone: the last good image stays. */
    put_text(fixture, "users", "a@b.c 2\nx@b..c 1\n");
    table_refresh(table);
    EXPECT_LOG(fixture, "users:2: 'x@b..c' has no domain name");
    table_refresh(table);
    EXPECT_LOG(fixture, NULL);
    put_text(fixture, "users", "a@b.c 2\n\n\nx@b..c 1\n");
    table_refresh(table);
    EXPECT_LOG(fixture, "users:4: ");
    assert_int_equal(unlink(path_in(fixture, "users")), 0);
    table_refresh(table);
    EXPECT_LOG(fixture, "No such file or directory; the last good image, of 1 entries, stays");
    table_refresh(table);
    EXPECT_LOG(fixture, NULL);
    assert_int_equal(mkdir(path_in(fixture, "users"), 0755), 0);
    table_refresh(table);
    EXPECT_LOG(fixture, "not a regular file");
    EXPECT(fixture, table, "rcpt:a@b.c", "a@b.c=1");
    EXPECT(fixture, table, "rcpt:x@b.c", "absent");
    assert_int_equal(rmdir(path_in(fixture, "users")), 0);
    assert_int_equal(mkfifo(path_in(fixture, "users"), 0600), 0);
    table_refresh(table);
    EXPECT_LOG(fixture, NULL); /* for the same reason */
    assert_int_equal(unlink(path_in(fixture, "users")), 0);

    put_text(fixture, "users", "a@b.c 3\n");
    table_refresh(table);
    EXPECT_LOG(fixture, "all is well again");
    EXPECT(fixture, table, "rcpt:a@b.c", "a@b.c=3");
    assert_null(table_problem(table, fixture->arena));

    /* A table that is not guarded may become empty. */
    put_text(fixture, "users", "");
    table_refresh(table);
    EXPECT_LOG(fixture, "0 entries");
    EXPECT(fixture, table, "rcpt:a@b.c", "absent");
    table_unref(table);
}

/* The same size and the same time, but another file. */
static void test_rename(void **state)
{
    struct fixture *fixture = *state;
    struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    put_text(fixture, "users", "a@b.c 1\n");
    assert_int_equal(utimensat(AT_FDCWD, path_in(fixture, "users"), times, 0), 0);
    struct table *table = open_table(fixture, "file:users");

    put_text(fixture, "new", "a@b.c 2\n");
    assert_int_equal(utimensat(AT_FDCWD, path_in(fixture, "new"), times, 0), 0);
    assert_int_equal(rename(path_in(fixture, "new"), path_in(fixture, "users")), 0);
    table_refresh(table);
    EXPECT(fixture, table, "rcpt:a@b.c", "a@b.c=2");

    /* In place. */
    put_text(fixture, "users", "a@b.c 3\n");
    assert_int_equal(utimensat(AT_FDCWD, path_in(fixture, "users"), times, 0), 0);
    table_refresh(table);
    EXPECT(fixture, table, "rcpt:a@b.c", "a@b.c=3");

    /* Through a symbolic link. */
    put_text(fixture, "one", "a@b.c 4\n");
    put_text(fixture, "two", "a@b.c 5\n");
    assert_int_equal(unlink(path_in(fixture, "users")), 0);
    assert_int_equal(symlink("one", path_in(fixture, "users")), 0);
    table_refresh(table);
    EXPECT(fixture, table, "rcpt:a@b.c", "a@b.c=4");
    assert_int_equal(symlink("two", path_in(fixture, "link")), 0);
    assert_int_equal(rename(path_in(fixture, "link"), path_in(fixture, "users")), 0);
    table_refresh(table);
    EXPECT(fixture, table, "rcpt:a@b.c", "a@b.c=5");
    table_unref(table);
}

/* A file that is being written is given time. */
static void test_half_written(void **state)
{
    static const char *const halves[] = {
        "",                  /* cut off, not yet written */
        "a@b.c 9\nb@exam",   /* ends within a line */
        "a@b.c 9\nb@exam..", /* which is wrong too */
        "a@b.c 9\nb@b..c\n", /* an editor saved too early */
    };
    struct fixture *fixture = *state;
    put_fresh(fixture, "users", "a@b.c 1\n");
    struct table *table = open_table(fixture, "file:users");

    EXPECT_LOG(fixture, "1 entry");
    for (size_t i = 0; i < LENGTH(halves); i++) {
        put_fresh(fixture, "users", halves[i]);
        table_refresh(table);
        EXPECT_LOG(fixture, NULL);
        EXPECT(fixture, table, "rcpt:a@b.c", i == 0 ? "a@b.c=1" : "a@b.c=2");
        put_fresh(fixture, "users", "a@b.c 2\n");
        table_refresh(table);
        EXPECT_LOG(fixture, "1 entry");
        EXPECT(fixture, table, "rcpt:a@b.c", "a@b.c=2");
    }

    /* What was read within the second of its change is read again, though it looks the same. */
    put_fresh(fixture, "users", "a@b.c 3\n");
    table_refresh(table);
    EXPECT_LOG(fixture, "1 entry");
    table_refresh(table);
    table_refresh(table);
    EXPECT_LOG(fixture, NULL);

    /* When it stays as it is, it is believed. */
    put_text(fixture, "users", "a@b.c 4\nb@b.c 4");
    table_refresh(table);
    EXPECT(fixture, table, "rcpt:b@b.c", "b@b.c=4");
    put_text(fixture, "users", "");
    table_refresh(table);
    EXPECT(fixture, table, "rcpt:b@b.c", "absent");
    log_since(fixture, NULL);

    /* And so it is when it is bad and written to again and again. */
    put_text(fixture, "users", "a@b.c 5\n");
    table_refresh(table);
    log_since(fixture, NULL);
    for (int i = 0; i < 5; i++) {
        put_fresh(fixture, "users", "a@b..c\n");
        table_refresh(table);
        EXPECT_LOG(fixture, NULL);
    }
    put_fresh(fixture, "users", "a@b..c\n");
    table_refresh(table);
    EXPECT_LOG(fixture, "users:1: ");
    EXPECT(fixture, table, "rcpt:a@b.c", "a@b.c=5");
    table_unref(table);

    /* The first reading takes what there is. */
    put_fresh(fixture, "users", "a@b.c 6");
    table = open_table(fixture, "file:users");
    EXPECT(fixture, table, "rcpt:a@b.c", "a@b.c=6");
    table_unref(table);
}

/* The configuration is reloaded while a file is being written: the last good image goes over. */
static void test_reload(void **state)
{
    static const char *const halves[] = {"", "a@b.c 9\nb@exam", "a@b.c 9\nb@b..c\n"};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < LENGTH(halves); i++) {
        put_text(fixture, "users", "a@b.c 1\nb@b.c 1\n");
        struct table *old = open_table(fixture, "file:users");
        put_fresh(fixture, "users", halves[i]);
        struct table *new = open_table(fixture, "file:users");
        table_inherit(new, old);
        table_unref(old);
        EXPECT(fixture, new, "rcpt:a@b.c", "a@b.c=1");
        EXPECT(fixture, new, "rcpt:b@b.c", "b@b.c=1");
        table_refresh(new);
        EXPECT(fixture, new, "rcpt:b@b.c", "b@b.c=1");
        put_fresh(fixture, "users", "a@b.c 2\nb@b.c 2\n");
        table_refresh(new);
        EXPECT(fixture, new, "rcpt:b@b.c", "b@b.c=2");
        assert_null(table_problem(new, fixture->arena));
        table_unref(new);
    }

    /* What is whole is taken at once, and what is settled is believed. */
    put_text(fixture, "users", "a@b.c 1\n");
    struct table *old = open_table(fixture, "file:users");
    put_fresh(fixture, "users", "a@b.c 2\n");
    struct table *new = open_table(fixture, "file:users");
    table_inherit(new, old);
    EXPECT(fixture, new, "rcpt:a@b.c", "a@b.c=2");
    table_unref(new);
    put_text(fixture, "users", "");
    new = open_table(fixture, "file:users");
    table_inherit(new, old);
    EXPECT(fixture, new, "rcpt:a@b.c", "absent");
    table_unref(new);
    table_unref(old);
}

struct shared {
    struct table *table;
    atomic_bool done;
    atomic_long lookups, wrong;
};

static void *look_all_the_time(void *arg)
{
    static const char *const names[] = {"always", "first", "second", "never"};
    struct shared *shared = arg;
    struct arena *arena = arena_new();

    while (!atomic_load(&shared->done)) {
        for (size_t i = 0; i < LENGTH(names); i++) {
            struct table_key key = {.kind = TABLE_KEY_RECIPIENT,
                                    .text = "",
                                    .local = names[i],
                                    .domain = "example.org",
                                    .delimiter = "+"};
            struct table_answer answer = table_find(shared->table, &key, arena);
            bool good = i == 0   ? answer.status == TABLE_FOUND && strlen(answer.value) > 4
                        : i == 3 ? answer.status == TABLE_ABSENT
                                 : answer.status != TABLE_UNAVAILABLE;
            if (!good)
                atomic_fetch_add(&shared->wrong, 1);
            atomic_fetch_add(&shared->lookups, 1);
        }
        table_unref(table_ref(shared->table));
        if (table_count(shared->table) != 2)
            atomic_fetch_add(&shared->wrong, 1);
        table_problem(shared->table, arena);
        arena_reset(arena);
    }
    arena_free(arena);
    return NULL;
}

static void test_threads(void **state)
{
    static const char *const images[] = {
        "always@example.org value 1\nfirst@example.org 1\n",
        "always@example.org value 2\nsecond@example.org 1\n",
        "always@example.org value 3\nbad@b..c\n",
    };
    struct fixture *fixture = *state;
    struct shared shared = {.lookups = 0};
    const struct table_guard guard = {.state_dir = fixture->folder, .shrink_percent = 20};
    pthread_t threads[4];

    put_text(fixture, "users", images[0]);
    shared.table = open_table(fixture, "file:users");
    table_guard(shared.table, &guard);
    for (size_t i = 0; i < LENGTH(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, look_all_the_time, &shared), 0);
    for (int i = 0; i < 600; i++) {
        put_text(fixture, "users", images[i % 3]);
        table_refresh(shared.table);
        if (i % 100 == 0)
            log_since(fixture, NULL);
    }
    atomic_store(&shared.done, true);
    for (size_t i = 0; i < LENGTH(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&shared.wrong), 0);
    assert_true(atomic_load(&shared.lookups) > 0);
    table_unref(shared.table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_states, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_rename, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_half_written, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_reload, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_threads, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests_name("table refresh", tests, NULL, NULL);
}
