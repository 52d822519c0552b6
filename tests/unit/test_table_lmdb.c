/* SPDX-License-Identifier: MIT */
#include "test_table.h"

#include <lmdb.h>

struct entry {
    const char *key, *value;
    size_t key_length, value_length; /* 0: as the strings are */
};

/* Writes a map through the library; adds to one that is there. */
static void put_map(struct fixture *fixture, const char *name, const struct entry *entries,
                    size_t count)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;

    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_mapsize(env, 64 << 20), 0);
    assert_int_equal(mdb_env_open(env, path_in(fixture, name), MDB_NOSUBDIR | MDB_NOSYNC, 0644), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
    for (size_t i = 0; i < count; i++) {
        const struct entry *entry = &entries[i];
        MDB_val key = {entry->key_length != 0 ? entry->key_length : strlen(entry->key),
                       (void *)(uintptr_t)entry->key};
        MDB_val value = {entry->value_length != 0 ? entry->value_length : strlen(entry->value),
                         (void *)(uintptr_t)entry->value};
        assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
    }
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void test_postmap(void **state)
{
    struct fixture *fixture = *state;
    put_text(fixture, "map",
             "Bob@Example.org  OK\ncarol@example.org\tcarol@example.net\n@catch.test all\n"
             "192.0.2 net\n192.0.2.1 host\n2001:db8 v6\nexample.com name\n.example.com sub\n"
             "spam@ no\ndave x\n<> null\n");
    run_postmap(fixture, "lmdb:map");
    struct table *table = open_table(fixture, "lmdb:map.lmdb");

    EXPECT_LOG(fixture, "table t: 11 entries from ");
    EXPECT(fixture, table, "rcpt:bob@example.org", "bob@example.org=OK");
    EXPECT(fixture, table, "rcpt:BOB+x@example.org", "bob@example.org=OK");
    EXPECT(fixture, table, "rcpt:carol@example.org", "carol@example.org=carol@example.net");
    EXPECT(fixture, table, "rcpt:x@catch.test", "@catch.test=all");
    EXPECT(fixture, table, "rcpt:x@example.com", "absent");
    EXPECT(fixture, table, "user:dave@example.com", "dave=x");
    EXPECT(fixture, table, "addr:192.0.2.1", "192.0.2.1=host");
    EXPECT(fixture, table, "addr:192.0.2.9", "192.0.2=net");
    EXPECT(fixture, table, "addr:2001:db8:5::1", "2001:db8=v6");
    EXPECT(fixture, table, "address:x@a.example.com", ".example.com=sub");
    EXPECT(fixture, table, "address:spam@x.test", "spam@=no");
    EXPECT(fixture, table, "address:@", "<>=null");
    EXPECT(fixture, table, "domain:example.com", "example.com=name");
    assert_string_equal(table_type(table), "lmdb");

    /* In place, as postmap does it. */
    put_text(fixture, "map", "eve@example.org new\n");
    run_postmap(fixture, "lmdb:map");
    EXPECT(fixture, table, "rcpt:bob@example.org", "bob@example.org=OK");
    table_refresh(table);
    EXPECT(fixture, table, "rcpt:bob@example.org", "absent");
    EXPECT(fixture, table, "rcpt:eve@example.org", "eve@example.org=new");
    EXPECT_LOG(fixture, "table t: 1 entry from ");

    /* One entry at a time, and by renaming. */
    run_command(arena_printf(fixture->arena,
                             "cd %s && echo fay@example.org 1 | /usr/sbin/postmap -c . -i lmdb:map",
                             fixture->folder));
    table_refresh(table);
    EXPECT(fixture, table, "rcpt:fay@example.org", "fay@example.org=1");
    EXPECT(fixture, table, "rcpt:eve@example.org", "eve@example.org=new");
    put_text(fixture, "other", "gus@example.org 1\n");
    run_postmap(fixture, "lmdb:other");
    assert_int_equal(rename(path_in(fixture, "other.lmdb"), path_in(fixture, "map.lmdb")), 0);
    table_refresh(table);
    EXPECT(fixture, table, "rcpt:gus@example.org", "gus@example.org=1");
    EXPECT(fixture, table, "rcpt:eve@example.org", "absent");
    table_unref(table);
}

static void test_library(void **state)
{
    struct fixture *fixture = *state;
    char *large = test_calloc(1, 30001);
    memset(large, 'v', 30000);
    const struct entry entries[] = {
        {"plain@a.b", "1", 0, 0},    {"nul@a.b", "2", 8, 2},
        {"BIG@A.B", "3", 0, 0},      {"only-value-nul@a.b", "4", 0, 2},
        {"large@a.b", large, 0, 0},  {"in\0side", "5", 7, 0},
        {"\0", "6", 1, 0},           {"user@EX\xc3\x84MPLE.org", "7", 0, 0},
        {"192.0.2.0/24", "8", 0, 0}, {"bad@a..b", "9", 0, 0},
        {"Some Text", "10", 0, 0},   {"cut@a.b", "1\0002", 0, 3},
    };

    put_map(fixture, "map.lmdb", entries, LENGTH(entries));
    struct table *table = open_table(fixture, "lmdb:map");
    assert_null(table_problem(table, fixture->arena));
    EXPECT(fixture, table, "rcpt:plain@a.b", "plain@a.b=1");
    EXPECT(fixture, table, "rcpt:nul@a.b", "nul@a.b=2");
    EXPECT(fixture, table, "rcpt:big@a.b", "big@a.b=3");
    EXPECT(fixture, table, "rcpt:only-value-nul@a.b", "only-value-nul@a.b=4");
    EXPECT(fixture, table, "rcpt:large@a.b", arena_printf(fixture->arena, "large@a.b=%s", large));
    EXPECT(fixture, table, "rcpt:user@xn--exmple-cua.org", "user@xn--exmple-cua.org=7");
    EXPECT(fixture, table, "addr:192.0.2.77", "192.0.2.0/24=8");
    EXPECT(fixture, table, "text:bad@a..b", "bad@a..b=9");
    EXPECT(fixture, table, "text:some text", "some text=10");
    EXPECT(fixture, table, "rcpt:cut@a.b", "cut@a.b=1");
    assert_int_equal(table_count(table), 10);
    table_unref(table);

    put_map(fixture, "empty.lmdb", NULL, 0);
    table = open_table(fixture, "lmdb:empty");
    EXPECT(fixture, table, "rcpt:a@a.b", "absent");
    assert_int_equal(table_count(table), 0);
    table_unref(table);
    test_free(large);
}

static struct entry *many(struct fixture *fixture, size_t count)
{
    struct entry *entries = arena_alloc(fixture->arena, count * sizeof(*entries));

    for (size_t i = 0; i < count; i++) {
        entries[i].key = arena_printf(fixture->arena, "user%zu@example.org", i);
        entries[i].value = i % 50 == 0 ? arena_printf(fixture->arena, "%05000zu", i) : "x";
    }
    return entries;
}

static char *read_bytes(const char *path, size_t *size)
{
    struct stat status;
    int fd = open(path, O_RDONLY);

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    *size = (size_t)status.st_size;
    char *bytes = test_malloc(*size);
    assert_int_equal(read(fd, bytes, *size), status.st_size);
    close(fd);
    return bytes;
}

/* Cut short, full of holes, with any byte changed: an answer or none, but nothing worse. */
static void test_damaged(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 4096, 8191, 8192, 12288, 40960};
    struct fixture *fixture = *state;
    uint32_t random = 7;
    size_t size;

    put_map(fixture, "map.lmdb", many(fixture, 2000), 2000);
    char *bytes = read_bytes(path_in(fixture, "map.lmdb"), &size);
    char *copy = test_malloc(size);
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        put_bytes(fixture, "bad.lmdb", bytes, sizes[i], true);
        struct table *table = open_table(fixture, "lmdb:bad");
        EXPECT(fixture, table, "rcpt:user1@example.org", "unavailable");
        table_unref(table);
        memcpy(copy, bytes, size);
        memset(copy + sizes[i], 0, size - sizes[i]);
        put_bytes(fixture, "bad.lmdb", copy, size, true);
        table = open_table(fixture, "lmdb:bad");
        EXPECT(fixture, table, "rcpt:user1@example.org", "unavailable");
        table_unref(table);
    }
    for (int round = 0; round < 400; round++) {
        memcpy(copy, bytes, size);
        for (int i = 0; i < 1 + round % 8; i++) {
            random = random * 1664525 + 1013904223;
            size_t at = random >> 8;
            /* The start of a page is where it hurts. */
            at = round % 2 == 0 ? at % size : at % (size / 4096) * 4096 + at % 160;
            random = random * 1664525 + 1013904223;
            copy[at % size] = (char)(random >> 24);
        }
        put_bytes(fixture, "bad.lmdb", copy, size, true);
        struct table *table = open_table(fixture, "lmdb:bad");
        look(fixture, table, "rcpt:user1@example.org");
        table_unref(table);
    }
    test_free(copy);
    test_free(bytes);

    /* Several values for one key. */
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(
        mdb_env_open(env, path_in(fixture, "dup.lmdb"), MDB_NOSUBDIR | MDB_NOSYNC, 0644), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, MDB_DUPSORT, &dbi), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    struct table *table = open_table(fixture, "lmdb:dup");
    assert_non_null(strstr(table_problem(table, fixture->arena), "several values"));
    table_unref(table);
}

/* A map overwritten by one that is no map: the last good image stays. */
static void test_overwritten(void **state)
{
    struct fixture *fixture = *state;
    static const struct entry entry = {"a@b.c", "x", 0, 0};

    put_map(fixture, "map.lmdb", &entry, 1);
    set_age(path_in(fixture, "map.lmdb"), true);
    struct table *table = open_table(fixture, "lmdb:map");
    EXPECT_LOG(fixture, "1 entry");
    put_text(fixture, "map.lmdb", "a@b.c x\n");
    table_refresh(table);
    EXPECT_LOG(fixture, "the file is no LMDB map; the last good image, of 1 entries, stays");
    table_refresh(table);
    EXPECT_LOG(fixture, NULL);
    EXPECT(fixture, table, "rcpt:a@b.c", "a@b.c=x");
    table_unref(table);
}

enum { STORM_IMAGES = 4, STORM_SECONDS = 300 };

static time_t seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* While somebody rewrites the map all the time, what is in every version of it is always found. A
 * refresh that finds no moment of rest keeps the last image, so that there must be one before.  The
 * child goes on until there is a file "enough", which is made when several versions were seen. */
static void storm(struct fixture *fixture, pid_t child, struct table *table)
{
    struct arena *kept = fixture->arena;
    time_t end = seconds() + STORM_SECONDS;
    bool running = true, enough = false;
    int status = 0, images = 0;
    char last[32] = "";

    while (running) {
        fixture->arena = arena_new();
        table_refresh(table);
        for (int i = 0; i < 50; i++) {
            EXPECT(fixture, table, "rcpt:first@example.org", "first@example.org=OK");
            EXPECT(fixture, table, "rcpt:zlast@example.org", "zlast@example.org=OK");
        }
        const char *now = look(fixture, table, "text:version");
        if (strcmp(now, last) != 0)
            images++;
        snprintf(last, sizeof(last), "%s", now);
        log_since(fixture, NULL);
        if (!enough && (images >= STORM_IMAGES || seconds() > end)) {
            put_text(fixture, "enough", "");
            enough = true;
        }
        arena_free(fixture->arena);
        running = waitpid(child, &status, WNOHANG) == 0;
    }
    fixture->arena = kept;
    assert_int_equal(status, 0);
    assert_true(images >= STORM_IMAGES);
    table_unref(table);
}

static void test_postmap_storm(void **state)
{
    struct fixture *fixture = *state;
    struct str text = {0};

    str_add(&text, "first@example.org OK\nzlast@example.org OK\n");
    for (int i = 0; i < 3000; i++)
        str_add_format(&text, "user%d@example.org OK\n", i);
    put_text(fixture, "map", str_text(&text));
    put_text(fixture, "text", str_text(&text));
    run_postmap(fixture, "lmdb:map");
    str_free(&text);
    struct table *table = open_table(fixture, "lmdb:map.lmdb");
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        execl("/bin/sh", "sh", "-c",
              arena_printf(fixture->arena,
                           "cd %s && i=0; while [ $i -lt 40 ] || [ ! -e enough ]; do i=$((i + 1)); "
                           "(cat text; echo version $i) >map && "
                           "/usr/sbin/postmap -c . lmdb:map || exit 1; done",
                           fixture->folder),
              NULL);
        _exit(127);
    }
    storm(fixture, child, table);
}

static void test_commit_storm(void **state)
{
    struct fixture *fixture = *state;
    struct entry *entries = many(fixture, 3000);

    entries[0] = (struct entry){"first@example.org", "OK", 0, 0};
    entries[1] = (struct entry){"zlast@example.org", "OK", 0, 0};
    entries[2] = (struct entry){"version", "", 0, 0};
    put_map(fixture, "map.lmdb", entries, 3000);
    struct table *table = open_table(fixture, "lmdb:map.lmdb");
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (int i = 0; i < 300 || access(path_in(fixture, "enough"), F_OK) != 0; i++) {
            entries[2].value = arena_printf(fixture->arena, "%d", i);
            put_map(fixture, "map.lmdb", entries, 3 + (size_t)i % 300);
        }
        _exit(0);
    }
    storm(fixture, child, table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_postmap, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_library, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_damaged, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_overwritten, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_postmap_storm, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_commit_storm, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests_name("table lmdb", tests, NULL, NULL);
}
