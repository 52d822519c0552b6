/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../src/checks/checks_private.h"
#include "probe_bench.h"

#define LENGTH(rows) (sizeof(rows) / sizeof((rows)[0]))

static void test_cost(void **state)
{
    struct bench *bench =
        bench_new(&check_dnsbl, NULL,
                  "dnsbl zen { zone zen.test; listed 127.0.0.2-11; }"
                  "dnsbl cop { zone cop.test; listed 127.0.0.2; }"
                  "dnsbl pbl { zone zen.test; listed 127.0.0.10; ask client.ip helo; }",
                  NULL);

    (void)state;
    assert_string_equal(bench_cost(bench, "dnsbl"), "3 lists in 2 zones: zen, cop, pbl");
    assert_string_equal(bench_cost(bench, "rhsbl_helo"), "1 list: pbl");
    assert_string_equal(bench_cost(bench, "rhsbl_sender"), "");
    bench_free(bench);
}

/* ---- keys ---- */

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

#define PAID(key)                                                                                  \
    "dnsbl paid { zone \"%{key}.zen.dq.test\"; " key " listed 127.0.0.2; weight 3; probe none; }"

/* TEXT NULL: no file.  PROBLEM "": none. */
static void test_key(void **state)
{
    static const struct {
        const char *config, *text;
        mode_t mode;
        const char *problem;
    } rows[] = {
        {PAID("key file:key;"), "S3cretKey\n", 0600, ""},
        {PAID("key file:key;"), "S3cretKey", 0640, ""},
        {PAID("key file:key;"), "S3cretKey\n", 0644, "everybody can read"},
        {PAID("key file:key;"), NULL, 0600, "cannot read the key in"},
        {PAID("key file:key;"), "", 0600, "does not begin with a key"},
        {PAID("key file:key;"), "two words\n", 0600, "does not begin with a key"},
        {PAID("key file:key;"), "dot.ted\n", 0600, "does not begin with a key"},
        {PAID("key file:key;"),
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", 0600,
         "does not begin with a key"},
        {PAID(""), NULL, 0600, "no key is set"},
        {PAID("key S3cretKey;"), NULL, 0600, "write key file:PATH"},
        {"dnsbl paid { zone zen.test; key file:key; listed 127.0.0.2; }", "S3cretKey\n", 0600,
         "has no %{key}"},
    };
    static const struct bench_answer dns[] = {
        {"99.2.0.192.s3cretkey.zen.dq.test", DNS_A, "127.0.0.2"},
        {"99.2.0.192.s3cretkey.zen.dq.test", DNS_TXT, "query s3CRETkey.zen.dq.test was listed"},
        {0},
    };
    char dir[] = "/tmp/postern-test-XXXXXX";
    char path[64];
    size_t i;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/key", dir);
    for (i = 0; i < LENGTH(rows); i++) {
        struct bench *bench;
        const char *problems;

        if (rows[i].text != NULL)
            write_file(path, rows[i].text, rows[i].mode);
        bench = bench_new(&check_dnsbl, NULL, rows[i].config, dir);
        problems = bench_problems(bench);
        if (rows[i].problem[0] == '\0' ? problems[0] != '\0'
                                       : strstr(problems, rows[i].problem) == NULL)
            fail_msg("row %zu: '%s'", i, problems);
        if (rows[i].text != NULL && strstr(problems, "S3cretKey") != NULL)
            fail_msg("row %zu shows the key: '%s'", i, problems);
        if (problems[0] == '\0') {
            struct inputs inputs = bench_inputs();

            /* A text that repeats the key is not taken. */
            assert_true(addr_parse("192.0.2.99", &inputs.client));
            bench_dns(bench, dns);
            assert_string_equal(bench_run(bench, "dnsbl", &inputs, false),
                                "score=3 name=paid reason= code=127.0.0.2 lists=paid faults=0");
            assert_non_null(strstr(bench_asked(bench), "A 99.2.0.192.s3cretkey.zen.dq.test"));
            assert_null(strcasestr(bench_cost(bench, "dnsbl"), "s3cretkey"));
        }
        bench_free(bench);
        unlink(path);
    }
    rmdir(dir);
}

static void test_wrong(void **state)
{
    static const struct {
        const char *config, *problem;
    } rows[] = {
        {"dnsbl a { zone \"no..name\"; listed 127.0.0.2; }", "no domain name"},
        {"dnsbl a { zone single; listed 127.0.0.2; }", "no domain name"},
        {"dnsbl a { zone a.test; listed 127.0.0.2 zen; }", "'zen' is no return code"},
        {"dnsbl a { zone a.test; listed 127.255.255.254; }", "refuse a query"},
        {"dnsbl a { zone a.test; listed 10.0.0.2; }", "outside 127/8"},
        {"dnsbl a { zone a.test; }", "listed"},
        {"dnsbl a { listed 127.0.0.2; }", "zone"},
        {"dnsbl a { zone a.test; listed 127.0.0.2; ask sender.domian; }",
         "did you mean 'sender.domain'?"},
        {"dnsbl a { zone a.test; listed 127.0.0.2; ask rcpt; }", "cannot be asked about 'rcpt'"},
        {"dnsbl a { zone a.test; listed 127.0.0.2; weight 5000; }", "weight"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        struct bench *bench = bench_new(&check_dnsbl, NULL, rows[i].config, NULL);

        if (strstr(bench_problems(bench), rows[i].problem) == NULL)
            fail_msg("row %zu: '%s'", i, bench_problems(bench));
        bench_free(bench);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cost),
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
