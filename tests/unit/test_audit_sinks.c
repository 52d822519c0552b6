/* SPDX-License-Identifier: MIT */
#include <postern/audit.h>

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/*
 * Syslog and journal at the places where their daemons listen, in a mount namespace where /dev and
 * /run are ours.
 */
static int own_places(void **state)
{
    (void)state;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", "/dev", "tmpfs", 0, NULL) != 0 ||
        mount("none", "/run", "tmpfs", 0, NULL) != 0) {
        print_error("no private mounts: %s\n", strerror(errno));
        return -1;
    }
    return mkdir("/run/systemd", 0755) | mkdir("/run/systemd/journal", 0755);
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval wait = {.tv_sec = 10};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, path);
    unlink(path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    return fd;
}

static const char *hear(int fd)
{
    static char text[65536];
    ssize_t length = recv(fd, text, sizeof(text) - 1, 0);

    assert_true(length >= 0);
    text[length] = '\0';
    return text;
}

static struct audit *open_audit(const char *to)
{
    const char *list[] = {to};
    char *error = NULL;
    struct audit *audit =
        audit_open(&(struct audit_options){.to = list, .to_count = 1, .ident = "postern"}, &error);

    assert_non_null(audit);
    return audit;
}

static void write_one(struct audit *audit, const char *id)
{
    const struct audit_field fields[] = {{"id", id}, {"spf.result", "two words\nPOSTERN_ID=X"}};

    audit_write(audit, fields, 2);
}

static void speaks_to_syslog(void **state)
{
    struct audit *audit = open_audit("syslog");
    struct audit_counters counters = {0};
    const char *heard, *end;
    int fd;

    (void)state;
    /* Nobody listens yet: counted, not waited for. */
    write_one(audit, "A");
    for (int i = 0; i < 1000 && counters.failed == 0; i++) {
        usleep(5000);
        audit_count(audit, &counters);
    }
    assert_int_equal(counters.failed, 1);
    fd = listen_at("/dev/log");
    write_one(audit, "B");
    heard = hear(fd);
    assert_memory_equal(heard, "<22>", 4); /* mail.info */
    end = strstr(heard, " postern[");
    assert_non_null(end);
    assert_int_equal(end - heard, 4 + strlen("Nov 22 04:20:00"));
    assert_non_null(strstr(heard, "]: id=B spf.result=\"two words\\x0aPOSTERN_ID=X\""));
    /* The daemon is started anew: another socket of the same name. */
    close(fd);
    fd = listen_at("/dev/log");
    write_one(audit, "C");
    assert_non_null(strstr(hear(fd), "]: id=C "));
    audit_close(audit);
    close(fd);
}

static void a_stuck_syslog_holds_nobody_up(void **state)
{
    struct audit *audit = open_audit("syslog");
    int fd = listen_at("/dev/log");
    struct audit_counters counters = {0};

    (void)state;
    /* The kernel queues a few datagrams for a daemon that does not read. */
    for (int i = 0; i < 1000; i++)
        write_one(audit, "A");
    for (int i = 0; i < 1000 && counters.failed == 0; i++) {
        usleep(10000);
        audit_count(audit, &counters);
    }
    assert_true(counters.written > 0);
    assert_true(counters.failed > 0);
    /* It reads again. */
    for (int i = 0; i < 1000 && counters.written + counters.failed < 1000; i++) {
        usleep(10000);
        audit_count(audit, &counters);
    }
    for (uint64_t i = 0; i < counters.written; i++)
        hear(fd);
    write_one(audit, "B");
    assert_non_null(strstr(hear(fd), "]: id=B "));
    audit_close(audit);
    close(fd);
}

static void speaks_to_the_journal(void **state)
{
    int fd = listen_at("/run/systemd/journal/socket");
    struct audit *audit = open_audit("journal");
    const char *heard;

    (void)state;
    write_one(audit, "B");
    heard = hear(fd);
    assert_non_null(strstr(heard, "MESSAGE=id=B spf.result=\"two words\\x0aPOSTERN_ID=X\"\n"));
    assert_non_null(strstr(heard, "PRIORITY=6\n"));
    assert_non_null(strstr(heard, "SYSLOG_FACILITY=2\n"));
    assert_non_null(strstr(heard, "SYSLOG_IDENTIFIER=postern\n"));
    assert_non_null(strstr(heard, "\nPOSTERN_ID=B\n"));
    /* A value with a line break is sent with its length, which no text in it can end. */
    assert_non_null(strstr(heard, "\nPOSTERN_SPF_RESULT\n"));
    audit_close(audit);
    close(fd);
}

static void a_missing_journal_is_noticed(void **state)
{
    struct audit_counters counters = {0};
    struct audit *audit;

    (void)state;
    unlink("/run/systemd/journal/socket");
    audit = open_audit("journal");
    write_one(audit, "A");
    for (int i = 0; i < 1000 && counters.failed == 0; i++) {
        usleep(5000);
        audit_count(audit, &counters);
    }
    assert_int_equal(counters.failed, 1);
    audit_close(audit);
}

/* The journal's library waits for ever for a daemon that has stopped; the end of ours does not. */
static void a_stuck_journal_does_not_hold_up_the_end(void **state)
{
    int fd = listen_at("/run/systemd/journal/socket");
    struct audit *audit = open_audit("journal");

    (void)state;
    for (int i = 0; i < 1000; i++)
        write_one(audit, "A");
    audit_close(audit);
    /* What hangs fails when the daemon goes, and its thread ends. */
    close(fd);
    unlink("/run/systemd/journal/socket");
    usleep(200000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speaks_to_syslog),
        cmocka_unit_test(a_stuck_syslog_holds_nobody_up),
        cmocka_unit_test(speaks_to_the_journal),
        cmocka_unit_test(a_missing_journal_is_noticed),
        cmocka_unit_test(a_stuck_journal_does_not_hold_up_the_end),
    };

    return cmocka_run_group_tests_name("audit_sinks", tests, own_places, NULL);
}
