/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <postern/arena.h>

#include "../../src/checks/checks_private.h"
#include "probe_bench.h"

#define LENGTH(rows) (sizeof(rows) / sizeof((rows)[0]))

static void test_sender(void **state)
{
    static const struct {
        const char *path, *facts;
    } rows[] = {
        {"<Alice@Example.COM>",
         "sender=Alice@example.com[Alice@Example.COM] local=Alice domain=example.com null=no"},
        {"<>", "sender= local= domain= null=yes"},
        {"<\"a\"@example.com.>",
         "sender=a@example.com[\"a\"@example.com.] local=a domain=example.com null=no"},
        {"<@hop.example:a@example.com>",
         "sender=a@example.com[@hop.example:a@example.com] local=a domain=example.com null=no"},
        {"<a@[192.0.2.1]>", "sender=a@[192.0.2.1] local=a domain= null=no"},
        {"root", "sender=root local=root domain= null=no"},
    };
    struct bench *bench = bench_new(&check_sender, NULL, "", NULL);
    struct arena *arena = arena_new();
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        struct inputs inputs = bench_inputs();
        const char *found;

        inputs.sender = mailbox_parse(arena, rows[i].path);
        found = bench_run(bench, "sender", &inputs, false);
        if (strcmp(found, rows[i].facts) != 0)
            fail_msg("row %zu:\n  found    %s\n  expected %s", i, found, rows[i].facts);
    }
    arena_free(arena);
    bench_free(bench);
}

/* ASKED NULL: whatever is asked. */
static void test_domain_status(void **state)
{
    static const struct {
        const char *path;
        struct bench_answer dns[4];
        const char *status, *asked;
    } rows[] = {
        {"<a@d.test>", {{"d.test", DNS_MX, "10 mx.d.test"}}, "exists", "MX d.test"},
        {"<a@d.test>", {{"d.test", DNS_MX, "0 mx.d.test"}}, "exists", "MX d.test"},
        {"<a@D.Test.>", {{"d.test", DNS_MX, "10 mx.d.test, 20 mx2.d.test"}}, "exists", NULL},
        /* RFC 7505 3: one record, preference 0, "." */
        {"<a@d.test>", {{"d.test", DNS_MX, "0 ."}}, "null_mx", "MX d.test"},
        {"<a@d.test>", {{"d.test", DNS_MX, "10 ."}}, "exists", NULL},
        {"<a@d.test>", {{"d.test", DNS_MX, "0 ., 10 mx.d.test"}}, "exists", NULL},
        {"<a@d.test>", {{"d.test", DNS_MX, "10 mx.d.test, 0 ."}}, "exists", NULL},
        {"<a@d.test>", {{"d.test", DNS_MX, "0 ., 0 ."}}, "exists", NULL},
        /* A null MX blocks the fallback to addresses. */
        {"<a@d.test>",
         {{"d.test", DNS_MX, "0 ."}, {"d.test", DNS_A, "192.0.2.1"}},
         "null_mx",
         "MX d.test"},
        /* RFC 5321 5.1: the implicit MX */
        {"<a@d.test>",
         {{"d.test", DNS_MX, "!nodata"},
          {"d.test", DNS_A, "192.0.2.1"},
          {"d.test", DNS_AAAA, "!nodata"}},
         "exists",
         "MX d.test, A d.test, AAAA d.test"},
        {"<a@d.test>",
         {{"d.test", DNS_MX, "!nodata"},
          {"d.test", DNS_A, "!nodata"},
          {"d.test", DNS_AAAA, "2001:db8::1"}},
         "exists",
         NULL},
        {"<a@d.test>",
         {{"d.test", DNS_MX, "!nodata"},
          {"d.test", DNS_A, "!nodata"},
          {"d.test", DNS_AAAA, "!nodata"}},
         "missing",
         NULL},
        /* NXDOMAIN is of the name, whatever the type. */
        {"<a@d.test>", {{0}}, "missing", "MX d.test"},
        /* Not found out. */
        {"<a@d.test>",
         {{"d.test", DNS_MX, "!fault"}, {"d.test", DNS_A, "192.0.2.1"}},
         "~temperror",
         "MX d.test"},
        {"<a@d.test>", {{"d.test", DNS_MX, "!silent"}}, "~temperror", "MX d.test"},
        {"<a@d.test>",
         {{"d.test", DNS_MX, "!nodata"},
          {"d.test", DNS_A, "!fault"},
          {"d.test", DNS_AAAA, "!nodata"}},
         "~temperror",
         NULL},
        {"<a@d.test>",
         {{"d.test", DNS_MX, "!nodata"},
          {"d.test", DNS_A, "!nodata"},
          {"d.test", DNS_AAAA, "!silent"}},
         "~temperror",
         NULL},
        {"<a@d.test>",
         {{"d.test", DNS_MX, "!nodata"},
          {"d.test", DNS_A, "!fault"},
          {"d.test", DNS_AAAA, "2001:db8::1"}},
         "exists",
         NULL},
        {"<a@d.test>",
         {{"d.test", DNS_MX, "!nodata"},
          {"d.test", DNS_A, "192.0.2.1"},
          {"d.test", DNS_AAAA, "!silent"}},
         "exists",
         NULL},
        /* RFC 7505 4.2, and no domain at all. */
        {"<>", {{0}}, "exists", ""},
        {"<a@[192.0.2.1]>", {{0}}, "exists", ""},
        {"<a@[IPv6:2001:db8::1]>", {{0}}, "exists", ""},
        {"root", {{0}}, "exists", ""},
        {"<a@no..name>", {{0}}, "exists", ""},
    };
    struct bench *bench = bench_new(&check_sender, NULL, "", NULL);
    struct arena *arena = arena_new();
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows) * 2; i++) {
        struct inputs inputs = bench_inputs();
        const char *found;

        inputs.sender = mailbox_parse(arena, rows[i / 2].path);
        bench_dns(bench, rows[i / 2].dns);
        found = bench_run(bench, "sender_dns", &inputs, i % 2 != 0);
        if (strcmp(found + strlen("domain_status="), rows[i / 2].status) != 0)
            fail_msg("row %zu: %s, expected %s", i / 2, found, rows[i / 2].status);
        if (rows[i / 2].asked != NULL && strcmp(bench_asked(bench), rows[i / 2].asked) != 0)
            fail_msg("row %zu: asked %s", i / 2, bench_asked(bench));
    }
    arena_free(arena);
    bench_free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sender),
        cmocka_unit_test(test_domain_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
