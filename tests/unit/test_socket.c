/* SPDX-License-Identifier: MIT */
#include "../../src/milter/socket.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static const struct {
    const char *text;
    enum socket_kind kind;
    const char *libmilter; /* NULL: a problem */
} names[] = {
    {"unix:/run/postern/postern.sock", SOCKET_UNIX, "unix:/run/postern/postern.sock"},
    {"local:/run/x", SOCKET_UNIX, "unix:/run/x"},
    {"unix:run/x", SOCKET_BAD, NULL},
    {"unix:/0123456789012345678901234567890123456789012345678901234567890123456789"
     "0123456789012345678901234567890123456789",
     SOCKET_BAD, NULL},
    {"inet:127.0.0.1:8895", SOCKET_INET, "inet:8895@127.0.0.1"},
    {"inet:8895@127.0.0.1", SOCKET_INET, "inet:8895@127.0.0.1"},
    {"inet:localhost:8895", SOCKET_INET, "inet:8895@127.0.0.1"},
    {"inet6:[::1]:8895", SOCKET_INET6, "inet6:8895@::1"},
    {"inet:::1:8895", SOCKET_INET6, "inet6:8895@::1"},
    {"inet:8895", SOCKET_BAD, NULL},
    {"inet:127.0.0.1:0", SOCKET_BAD, NULL},
    {"inet:127.0.0.1:65536", SOCKET_BAD, NULL},
    {"inet:127.0.0.1:", SOCKET_BAD, NULL},
    {"inet::8895", SOCKET_BAD, NULL},
    {"inet:mx.example.org:25", SOCKET_BAD, NULL},
    {"fd:3", SOCKET_FD, "fd:3"},
    {"fd:", SOCKET_BAD, NULL},
    {"fd:3x", SOCKET_BAD, NULL},
    {"/run/postern.sock", SOCKET_BAD, NULL},
    {"", SOCKET_BAD, NULL},
};

static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct socket_name name = socket_parse(names[i].text);
        char out[512];
        if (name.kind != names[i].kind)
            fail_msg("row %zu: %s", i, names[i].text);
        if (names[i].libmilter == NULL) {
            assert_non_null(name.problem);
            continue;
        }
        socket_libmilter_name(&name, out, sizeof(out));
        assert_string_equal(out, names[i].libmilter);
    }
}

struct place_on_disk {
    char dir[64];
    char path[96];
};

static struct socket_name at(struct place_on_disk *place)
{
    char text[128];
    strcpy(place->dir, "/tmp/postern-socket-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    snprintf(place->path, sizeof(place->path), "%s/sock", place->dir);
    snprintf(text, sizeof(text), "unix:%s", place->path);
    return socket_parse(text);
}

static void away(struct place_on_disk *place)
{
    unlink(place->path);
    assert_int_equal(rmdir(place->dir), 0);
}

static int listen_at(const char *path)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    strcpy(sun.sun_path, path);
    assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static void assert_problem(char *problem, const char *part)
{
    assert_non_null(problem);
    if (strstr(problem, part) == NULL)
        fail_msg("'%s' does not say '%s'", problem, part);
    free(problem);
}

static void test_live_is_not_stolen(void **state)
{
    struct place_on_disk place;
    struct socket_name name = at(&place);
    (void)state;
    int fd = listen_at(place.path);
    assert_problem(socket_prepare(&name), "another process is listening");
    assert_int_equal(access(place.path, F_OK), 0);
    close(fd);
    /* The same file is stale now that nobody listens. */
    assert_null(socket_prepare(&name));
    assert_int_equal(access(place.path, F_OK), -1);
    away(&place);
}

static void test_other_things_stay(void **state)
{
    struct place_on_disk place;
    struct socket_name name = at(&place);
    (void)state;
    FILE *file = fopen(place.path, "w");
    assert_non_null(file);
    fclose(file);
    assert_problem(socket_prepare(&name), "is no socket");
    assert_int_equal(access(place.path, F_OK), 0);
    away(&place);
    assert_problem(socket_prepare(&name), "the folder");
}

static void test_permissions(void **state)
{
    struct place_on_disk place;
    struct socket_name name = at(&place);
    struct listen_options listen = {.perm = 0640};
    struct stat status;
    (void)state;
    int fd = listen_at(place.path);
    assert_null(socket_own(&name, &listen));
    assert_int_equal(stat(place.path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
    listen.group = "no-such-group-here";
    assert_problem(socket_own(&name, &listen), "no group 'no-such-group-here'");
    listen.group = NULL;
    listen.owner = "no-such-user-here";
    assert_problem(socket_own(&name, &listen), "no user 'no-such-user-here'");
    close(fd);
    away(&place);
}

static void test_inherited(void **state)
{
    struct place_on_disk place;
    struct socket_name name = at(&place);
    (void)state;
    int fd = listen_at(place.path);
    name = (struct socket_name){.kind = SOCKET_FD, .fd = fd};
    assert_null(socket_prepare(&name));
    close(fd);
    assert_problem(socket_prepare(&name), "is no socket");
    away(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_live_is_not_stolen),
        cmocka_unit_test(test_other_things_stay),
        cmocka_unit_test(test_permissions),
        cmocka_unit_test(test_inherited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
