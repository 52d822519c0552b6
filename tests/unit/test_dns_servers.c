/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../src/dns/servers.h"

static const struct {
    const char *text;
    bool port;
    const char *read; /* NULL: refused */
} rows[] = {
    {"192.0.2.53", true, "192.0.2.53"},
    {"127.0.0.1@5353", true, "127.0.0.1@5353"},
    {"127.0.0.1@5353", false, NULL},
    {"::1@53", true, "::1@53"},
    {"2001:DB8:0::1", false, "2001:db8::1"},
    {"fe80::1%lo", false, "fe80::1%lo"},
    {"fe80::1%lo@5353", true, "fe80::1%lo@5353"},
    {"fe80::1%nonesuch0", false, NULL},
    {"192.0.2.53%lo", false, NULL},
    {"192.0.2.53@0", true, NULL},
    {"192.0.2.53@65535", true, "192.0.2.53@65535"},
    {"192.0.2.53@65536", true, NULL},
    {"192.0.2.53@", true, NULL},
    {"192.0.2.53@5x", true, NULL},
    {"192.0.2.53@+5", true, NULL},
    {"192.0.2.53#53", true, NULL},
    {"192.0.2.53:53", true, NULL},
    {"192.0.2", true, NULL},
    {"ns.example.org", true, NULL},
    {"", true, NULL},
    {"192.0.2.53 ", true, NULL},
    {"1111:2222:3333:4444:5555:6666:7777:8888%interface-name-that-is-long@12345", true, NULL},
};

static void reads_servers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct servers servers = {0};
        bool good = servers_add(&servers, rows[i].text, rows[i].port);

        if (good != (rows[i].read != NULL) || servers.count != good ||
            (good && strcmp(servers.texts[0], rows[i].read) != 0))
            fail_msg("\"%s\": %s", rows[i].text, good ? servers.texts[0] : "refused");
    }
}

static void names_the_wrong_one(void **state)
{
    const char *const texts[] = {"192.0.2.53", "ns.example.org"};
    const char *many[SERVERS_MAX + 1];
    struct servers servers;
    char *error = NULL;

    (void)state;
    assert_int_equal(servers_from_list(&servers, texts, 1, &error), 0);
    assert_int_equal(servers.count, 1);
    assert_int_equal(servers_from_list(&servers, texts, 2, &error), -1);
    assert_non_null(strstr(error, "\"ns.example.org\""));
    free(error);
    for (size_t i = 0; i <= SERVERS_MAX; i++)
        many[i] = "192.0.2.53";
    assert_int_equal(servers_from_list(&servers, many, SERVERS_MAX, &error), 0);
    assert_int_equal(servers_from_list(&servers, many, SERVERS_MAX + 1, &error), -1);
    free(error);
}

static const struct {
    const char *text;
    size_t count;
    const char *first;
} files[] = {
    {"nameserver 192.0.2.53\n", 1, "192.0.2.53"},
    {"# nameserver 192.0.2.1\n;nameserver 192.0.2.2\nsearch example.org\n\n \tnameserver\t::1 # "
     "x\r\n"
     "options edns0\nnameserver 192.0.2.3",
     2, "::1"},
    {"nameserver 192.0.2.1@53\nnameserver fe80::1%lo\n", 1, "fe80::1%lo"},
    {"nameserver\nnameserver ns.example.org\nnameservers 192.0.2.1\n", 0, ""},
    {"search example.org\n", 0, ""},
    {"", 0, ""},
};

static void reads_resolv_conf(void **state)
{
    char path[] = "/tmp/postern-test-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        FILE *file = fopen(path, "w");
        struct servers servers;
        char *error = NULL;

        assert_non_null(file);
        fputs(files[i].text, file);
        assert_int_equal(fclose(file), 0);
        int result = servers_from_file(&servers, path, &error);

        if (result != (files[i].count ? 0 : -1) || servers.count != files[i].count ||
            (files[i].count && strcmp(servers.texts[0], files[i].first) != 0))
            fail_msg("file %zu: %d, %zu servers, %s", i, result, servers.count, servers.texts[0]);
        assert_true((error != NULL) == (result != 0));
        if (error)
            assert_non_null(strstr(error, path));
        free(error);
    }
    unlink(path);

    struct servers servers;
    char *error = NULL;

    assert_int_equal(servers_from_file(&servers, path, &error), -1);
    assert_non_null(strstr(error, "No such file"));
    free(error);
    assert_int_equal(servers_from_file(&servers, "/tmp", &error), -1);
    assert_non_null(strstr(error, "directory"));
    free(error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_servers),
        cmocka_unit_test(names_the_wrong_one),
        cmocka_unit_test(reads_resolv_conf),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
