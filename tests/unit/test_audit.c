/* SPDX-License-Identifier: MIT */
#include "../../src/audit/audit_private.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <postern/arena.h>

/* ---- lines ---- */

struct line_row {
    const char *value, *shown;
};

static const struct line_row line_rows[] = {
    {"plain", "plain"},
    {"a.b:c@d/e_f+g<h>i%j,k=l-m", "a.b:c@d/e_f+g<h>i%j,k=l-m"},
    {"", "\"\""},
    {"=x", "\"=x\""},
    {"two words", "\"two words\""},
    {" ", "\" \""},
    {"say \"hi\"", "\"say \\\"hi\\\"\""},
    {"back\\slash", "\"back\\\\slash\""},
    {"a\r\nid=FORGED", "\"a\\x0d\\x0aid=FORGED\""},
    {"\t\x1b[2J\x7f", "\"\\x09\\x1b[2J\\x7f\""},
    {"gr\xc3\xbc\xc3\x9f", "\"gr\\xc3\\xbc\\xc3\\x9f\""},
    {"(paren)", "\"(paren)\""},
    {"x\" verdict=accept", "\"x\\\" verdict=accept\""},
};

static void quotes_what_needs_it(void **state)
{
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < sizeof(line_rows) / sizeof(line_rows[0]); i++) {
        struct audit_field fields[] = {{"first", line_rows[i].value}, {"second", "2"}};
        const char *line = audit_line(arena, fields, 2);
        const char *expected = arena_printf(arena, "first=%s second=2", line_rows[i].shown);
        if (strcmp(line, expected) != 0)
            fail_msg("row %zu: %s", i, line);
    }
    arena_free(arena);
}

static void cuts_at_a_thousand(void **state)
{
    struct arena *arena = arena_new();
    char value[1102];
    struct audit_field field = {"k", value};

    (void)state;
    memset(value, 'x', sizeof(value) - 1);
    value[1000] = '\0';
    assert_int_equal(strlen(audit_line(arena, &field, 1)), 2 + 1000);
    value[1000] = 'x';
    value[1001] = '\0';
    assert_int_equal(strlen(audit_line(arena, &field, 1)), 2 + 1 + 1000 + 3 + 1);
    assert_non_null(strstr(audit_line(arena, &field, 1), "x...\""));
    arena_free(arena);
}

/* ---- files ---- */

struct place {
    char folder[64], path[128], to[160];
    const char *list[1];
    struct audit_options options;
};

static int make_place(void **state)
{
    struct place *place = xcalloc(1, sizeof(*place));

    strcpy(place->folder, "/tmp/postern-audit-XXXXXX");
    if (mkdtemp(place->folder) == NULL)
        return -1;
    snprintf(place->path, sizeof(place->path), "%s/audit.log", place->folder);
    snprintf(place->to, sizeof(place->to), "file:%s", place->path);
    place->list[0] = place->to;
    place->options = (struct audit_options){.to = place->list, .to_count = 1, .ident = "postern"};
    *state = place;
    return 0;
}

static int remove_place(void **state)
{
    struct place *place = *state;
    char command[128];
    int status;

    snprintf(command, sizeof(command), "rm -rf %s", place->folder);
    status = system(command);
    free(place);
    return status;
}

static char *read_file(const char *path)
{
    char *text = xcalloc(1, 4 * 1024 * 1024);
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    assert_true(fread(text, 1, 4 * 1024 * 1024 - 1, file) < 4 * 1024 * 1024 - 1);
    fclose(file);
    return text;
}

static void expect_file(const char *path, const char *pattern)
{
    char *text = read_file(path);
    regex_t regex;

    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED), 0);
    if (regexec(&regex, text, 0, NULL, 0) != 0)
        fail_msg("%s is not like %s", text, pattern);
    regfree(&regex);
    free(text);
}

static void write_one(struct audit *audit, const char *id)
{
    struct audit_field fields[] = {{"id", id}, {"verdict", "re ject"}};

    audit_write(audit, fields, 2);
}

#define LINE_HEAD                                                                                  \
    "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}[-+][0-9]{2}:[0-9]{2} "       \
    "postern\\[[0-9]+\\]: "

static void writes_files(void **state)
{
    struct place *place = *state;
    struct audit_counters counters;
    char *error = NULL;
    struct audit *audit = audit_open(&place->options, &error);
    struct stat status;

    assert_non_null(audit);
    write_one(audit, "A");
    write_one(audit, "B");
    audit_close(audit);
    expect_file(place->path,
                "^" LINE_HEAD "id=A verdict=\"re ject\"\n" LINE_HEAD "id=B verdict=\"re ject\"\n$");
    assert_int_equal(stat(place->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
    /* Appended to, never cut. */
    audit = audit_open(&place->options, &error);
    write_one(audit, "C");
    for (int i = 0; i < 1000; i++) {
        audit_count(audit, &counters);
        if (counters.written == 1)
            break;
        usleep(5000);
    }
    assert_int_equal(counters.written, 1);
    assert_int_equal(counters.failed + counters.dropped, 0);
    audit_close(audit);
    expect_file(place->path, "id=B[^\n]*\n[^\n]*id=C[^\n]*\n$");
}

static void says_what_cannot_be_opened(void **state)
{
    struct place *place = *state;
    char *error = NULL;

    snprintf(place->to, sizeof(place->to), "file:%s/missing/audit.log", place->folder);
    assert_null(audit_open(&place->options, &error));
    assert_non_null(strstr(error, "missing/audit.log"));
    assert_non_null(strstr(error, strerror(ENOENT)));
    free(error);
    place->list[0] = "nowhere";
    assert_null(audit_open(&place->options, &error));
    assert_non_null(strstr(error, "'nowhere'"));
    free(error);
}

static void reopens_after_a_rotation(void **state)
{
    struct place *place = *state;
    char old[160];
    char *error = NULL;
    struct audit *audit = audit_open(&place->options, &error);
    const char *bad[] = {"file:/nonexistent/x"};
    const struct audit_options wrong = {.to = bad, .to_count = 1, .ident = "postern"};
    struct audit_counters counters = {0};

    write_one(audit, "A");
    for (int i = 0; i < 1000 && counters.written == 0; i++) {
        usleep(5000);
        audit_count(audit, &counters);
    }
    snprintf(old, sizeof(old), "%s.1", place->path);
    assert_int_equal(rename(place->path, old), 0);
    /* New files that cannot be opened leave the old ones in place. */
    assert_int_equal(audit_reopen(audit, &wrong, &error), -1);
    assert_non_null(error);
    free(error);
    write_one(audit, "B");
    for (int i = 0; i < 1000 && counters.written == 1; i++) {
        usleep(5000);
        audit_count(audit, &counters);
    }
    assert_int_equal(audit_reopen(audit, &place->options, &error), 0);
    write_one(audit, "C");
    audit_close(audit);
    expect_file(old, "^[^\n]*id=A[^\n]*\n[^\n]*id=B[^\n]*\n$");
    expect_file(place->path, "^[^\n]*id=C[^\n]*\n$");
}

/* A disk that is full for a while: what was torn is ended, and later records stand on lines of
 * their own. */
static void counts_what_a_full_disk_refuses(void **state)
{
    struct place *place = *state;
    char *error = NULL;
    struct rlimit before, small = {0};
    struct audit_counters counters = {0};
    struct audit *audit = audit_open(&place->options, &error);

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_cur = 100;
    small.rlim_max = before.rlim_max;
    write_one(audit, "A");
    for (int i = 0; i < 1000 && counters.written == 0; i++) {
        usleep(5000);
        audit_count(audit, &counters);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    write_one(audit, "B");
    write_one(audit, "C");
    for (int i = 0; i < 1000 && counters.failed < 2; i++) {
        usleep(5000);
        audit_count(audit, &counters);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(counters.failed, 2);
    write_one(audit, "D");
    audit_close(audit);
    expect_file(place->path, "id=A verdict=\"re ject\"\n[^\n]*\n" LINE_HEAD "id=D[^\n]*\n$");
}

/* The disk is full in the middle of many records that are written together: as many stand in the
 * file as are counted, and one of the others is there in part. */
static void counts_the_lines_of_a_batch(void **state)
{
    struct place *place = *state;
    char *error = NULL, *text, *next;
    struct rlimit before, small;
    struct audit_counters counters = {0};
    struct audit *audit = audit_open(&place->options, &error);
    unsigned whole = 0, torn = 0;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){.rlim_cur = 1000, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 200; i++)
        write_one(audit, "A");
    for (int i = 0; i < 1000 && counters.written + counters.failed < 200; i++) {
        usleep(5000);
        audit_count(audit, &counters);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(counters.written + counters.failed, 200);
    assert_int_equal(counters.dropped, 0);
    write_one(audit, "D");
    audit_close(audit);
    text = read_file(place->path);
    for (char *line = text; (next = strchr(line, '\n')) != NULL; line = next + 1) {
        *next = '\0';
        if (strstr(line, ": id=A verdict=\"re ject\"") != NULL)
            whole++;
        else if (next[1] != '\0')
            torn++;
        else
            assert_non_null(strstr(line, ": id=D verdict=\"re ject\""));
    }
    assert_true(whole > 5);
    assert_int_equal(whole, counters.written);
    assert_int_equal(torn, 1);
    free(text);
}

/* Whoever was stopped while the disk was full left half a line. */
static void ends_the_half_line_of_another(void **state)
{
    struct place *place = *state;
    char *error = NULL;
    FILE *file = fopen(place->path, "w");

    fputs("whole\nid=A verd", file);
    fclose(file);
    for (int i = 0; i < 2; i++) {
        struct audit *audit = audit_open(&place->options, &error);
        write_one(audit, "B");
        audit_close(audit);
    }
    expect_file(place->path,
                "^whole\nid=A verd\n" LINE_HEAD "id=B[^\n]*\n" LINE_HEAD "id=B[^\n]*\n$");
}

/* Nobody waits for the reader of a FIFO: not to be there, nor to read on. */
static void a_fifo_holds_nobody_up(void **state)
{
    struct place *place = *state;
    struct audit_counters counters = {0};
    char octets[4096], *error = NULL;

    assert_int_equal(mkfifo(place->path, 0600), 0);
    assert_null(audit_open(&place->options, &error));
    assert_non_null(strstr(error, strerror(ENXIO)));
    free(error);
    int reader = open(place->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct audit *audit = audit_open(&place->options, &error);
    assert_non_null(audit);
    for (int i = 0; i < 3000; i++)
        write_one(audit, "A");
    for (int i = 0; i < 1000 && counters.written + counters.failed < 3000; i++) {
        usleep(10000);
        audit_count(audit, &counters);
    }
    assert_int_equal(counters.written + counters.failed, 3000);
    assert_true(counters.failed > 0);
    /* It reads again. */
    while (read(reader, octets, sizeof(octets)) > 0)
        continue;
    write_one(audit, "B");
    audit_close(audit);
    assert_true(read(reader, octets, sizeof(octets)) > 0);
    close(reader);
}

/* ---- the queue ---- */

enum { WRITERS = 4, EACH = 500 };

static void *write_many(void *arg)
{
    for (int i = 0; i < EACH; i++)
        write_one(arg, "X");
    return NULL;
}

static void loses_nothing_under_load(void **state)
{
    struct place *place = *state;
    char *error = NULL;
    struct audit *audit = audit_open(&place->options, &error);
    pthread_t threads[WRITERS];
    char *text, *next;
    int lines = 0;

    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, audit), 0);
    assert_int_equal(audit_reopen(audit, &place->options, &error), 0);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    audit_close(audit);
    text = read_file(place->path);
    for (char *line = text; (next = strchr(line, '\n')) != NULL; line = next + 1) {
        *next = '\0';
        assert_non_null(strstr(line, "postern["));
        assert_non_null(strstr(line, ": id=X verdict=\"re ject\""));
        lines++;
    }
    assert_int_equal(lines, WRITERS * EACH);
    free(text);
}

/* A reader that does not read: records are dropped and counted, the caller goes on. */
static void drops_when_the_queue_is_full(void **state)
{
    struct place *place = *state;
    char *error = NULL;
    struct audit_counters counters;
    struct audit *audit;
    int reader;

    assert_int_equal(mkfifo(place->path, 0600), 0);
    reader = open(place->path, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    audit = audit_open(&place->options, &error);
    for (int i = 0; i < 20000; i++)
        write_one(audit, "X");
    audit_count(audit, &counters);
    assert_true(counters.dropped > 5000);
    close(reader); /* the write that hangs fails now */
    audit_close(audit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotes_what_needs_it),
        cmocka_unit_test(cuts_at_a_thousand),
        cmocka_unit_test_setup_teardown(writes_files, make_place, remove_place),
        cmocka_unit_test_setup_teardown(says_what_cannot_be_opened, make_place, remove_place),
        cmocka_unit_test_setup_teardown(reopens_after_a_rotation, make_place, remove_place),
        cmocka_unit_test_setup_teardown(counts_what_a_full_disk_refuses, make_place, remove_place),
        cmocka_unit_test_setup_teardown(counts_the_lines_of_a_batch, make_place, remove_place),
        cmocka_unit_test_setup_teardown(ends_the_half_line_of_another, make_place, remove_place),
        cmocka_unit_test_setup_teardown(a_fifo_holds_nobody_up, make_place, remove_place),
        cmocka_unit_test_setup_teardown(loses_nothing_under_load, make_place, remove_place),
        cmocka_unit_test_setup_teardown(drops_when_the_queue_is_full, make_place, remove_place),
    };

    /* Writing past the size limit and to a pipe without a reader are errors here, not deaths. */
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}
