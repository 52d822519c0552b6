/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_TEST_TABLE_H
#define POSTERN_TEST_TABLE_H

/*
 * What the tests of tables share: a folder of their own, files in it with a chosen age, lookups as
 * text, and the log lines since last asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <postern/arena.h>
#include <postern/log.h>
#include <postern/str.h>
#include <postern/table.h>

#define LENGTH(rows) (sizeof(rows) / sizeof((rows)[0]))

struct fixture {
    char folder[64];
    struct arena *arena;
    struct diag *diag;
    int stderr_copy;
    int log;
};

static inline const char *path_in(struct fixture *fixture, const char *name)
{
    return arena_printf(fixture->arena, "%s/%s", fixture->folder, name);
}

static inline int fixture_setup(void **state)
{
    struct fixture *fixture = test_calloc(1, sizeof(*fixture));

    strcpy(fixture->folder, "/tmp/postern-table.XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    fixture->arena = arena_new();
    fixture->diag = diag_new();
    log_open("test", LOG_LEVEL_DEBUG, 1, 0);
    fixture->stderr_copy = dup(2);
    fixture->log = open(path_in(fixture, "log"), O_CREAT | O_RDWR | O_APPEND, 0600);
    assert_true(fixture->log >= 0);
    fflush(stderr);
    assert_true(dup2(fixture->log, 2) == 2);
    *state = fixture;
    return 0;
}

/* The log since last asked; *LINES how many lines it has (may be NULL). */
static inline const char *log_since(struct fixture *fixture, int *lines)
{
    static const size_t size = 64 * 1024;
    char *text = arena_alloc(fixture->arena, size);

    fflush(stderr);
    ssize_t got = pread(fixture->log, text, size - 1, 0);
    assert_true(got >= 0);
    assert_int_equal(ftruncate(fixture->log, 0), 0);
    if (lines != NULL) {
        *lines = 0;
        for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
            (*lines)++;
    }
    return text;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    char command[128];

    fflush(stderr);
    dup2(fixture->stderr_copy, 2);
    close(fixture->stderr_copy);
    /* What the test itself had to say went to the log as well. */
    const char *said = strstr(log_since(fixture, NULL), "ERROR: ");
    if (said != NULL)
        fputs(said, stderr);
    close(fixture->log);
    snprintf(command, sizeof(command), "rm -rf %s", fixture->folder);
    assert_int_equal(system(command), 0);
    diag_free(fixture->diag);
    arena_free(fixture->arena);
    test_free(fixture);
    return 0;
}

/* Exactly one line was logged since last asked, and it holds PART; with NULL, none was. */
static inline void expect_log(struct fixture *fixture, const char *part, int line)
{
    int lines;
    const char *text = log_since(fixture, &lines);

    if (lines != (part != NULL) || (part != NULL && strstr(text, part) == NULL))
        fail_msg("line %d: expected %s, logged %d lines: %s", line, part != NULL ? part : "nothing",
                 lines, text);
}
#define EXPECT_LOG(fixture, part) expect_log(fixture, part, __LINE__)

/* A file that was last written to an hour ago, or right now. */
static inline void set_age(const char *path, bool settled)
{
    struct timespec times[2];

    clock_gettime(CLOCK_REALTIME, &times[0]);
    if (settled)
        times[0].tv_sec -= 3600;
    else
        times[0].tv_nsec +=
            times[0].tv_nsec < 100000000 ? 899999999 : 0; /* a slow machine is given time */
    times[1] = times[0];
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static inline const char *put_bytes(struct fixture *fixture, const char *name, const void *bytes,
                                    size_t length, bool settled)
{
    const char *path = path_in(fixture, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), (ssize_t)length);
    close(fd);
    set_age(path, settled);
    return path;
}

static inline const char *put_text(struct fixture *fixture, const char *name, const char *text)
{
    return put_bytes(fixture, name, text, strlen(text), true);
}

/* Opens "TYPE:NAME", NAME in the fixture's folder. */
static inline struct table *open_table(struct fixture *fixture, const char *spec)
{
    struct table *table = table_open("t", spec, fixture->folder, NULL, fixture->diag);

    if (table == NULL)
        fail_msg("%s: %s", spec, diag_line(fixture->diag, 0));
    return table;
}

/*
 * A lookup in one word: "text:x", "addr:192.0.2.1", "domain:a.b", "address:l@d", "rcpt:l@d" (d not
 * local), "user:l@d" (d local).  The answer: "KEY=VALUE", "absent", or "unavailable".
 */
static inline const char *look_with(struct fixture *fixture, struct table *table, const char *what,
                                    const char *delimiter)
{
    struct table_key key = {.text = "", .local = "", .domain = "", .delimiter = delimiter};
    const char *text = strchr(what, ':') + 1;
    const char *at = strrchr(text, '@');

    if (at != NULL) {
        key.local = arena_strndup(fixture->arena, text, (size_t)(at - text));
        key.domain = at + 1;
    }
    if (strncmp(what, "text:", 5) == 0) {
        key.kind = TABLE_KEY_TEXT;
        key.text = text;
    } else if (strncmp(what, "addr:", 5) == 0) {
        key.kind = TABLE_KEY_ADDR;
        assert_true(addr_parse(text, &key.addr));
    } else if (strncmp(what, "domain:", 7) == 0) {
        key.kind = TABLE_KEY_DOMAIN;
        key.text = text;
    } else if (strncmp(what, "address:", 8) == 0) {
        key.kind = TABLE_KEY_ADDRESS;
    } else {
        assert_true(strncmp(what, "rcpt:", 5) == 0 || strncmp(what, "user:", 5) == 0);
        key.kind = TABLE_KEY_RECIPIENT;
        key.bare_user = what[0] == 'u';
    }
    struct table_answer answer = table_find(table, &key, fixture->arena);
    if (answer.status == TABLE_ABSENT)
        return "absent";
    if (answer.status == TABLE_UNAVAILABLE) {
        assert_non_null(answer.problem);
        return "unavailable";
    }
    return arena_printf(fixture->arena, "%s=%s", answer.key, answer.value);
}

static inline const char *look(struct fixture *fixture, struct table *table, const char *what)
{
    return look_with(fixture, table, what, "+");
}

static inline void expect_look(struct fixture *fixture, struct table *table, const char *what,
                               const char *want, int line)
{
    const char *got = look(fixture, table, what);

    if (strcmp(got, want) != 0)
        fail_msg("line %d: %s gives %s, not %s", line, what, got, want);
}
#define EXPECT(fixture, table, what, want) expect_look(fixture, table, what, want, __LINE__)

/* Runs a command with the shell; its output is added to the log file. */
static inline void run_command(const char *command)
{
    int status = system(command);

    if (status != 0)
        fail_msg("'%s' ended with status %d", command, status);
}

/* Runs `postmap TYPE:NAME` in the fixture's folder, with a configuration of its own. */
static inline void run_postmap(struct fixture *fixture, const char *arguments)
{
    put_text(fixture, "main.cf", "compatibility_level = 3.6\n");
    run_command(arena_printf(fixture->arena, "cd %s && /usr/sbin/postmap -c %s %s", fixture->folder,
                             fixture->folder, arguments));
}

#endif
