/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/checks/checks_private.h"
#include "probe_bench.h"

#define LENGTH(rows) (sizeof(rows) / sizeof((rows)[0]))

#define PTR4 "9.2.0.192.in-addr.arpa"
#define PTR6 "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"

static void test_session(void **state)
{
    struct bench *bench = bench_new(&check_client, NULL, "", NULL);
    struct inputs inputs = bench_inputs();

    (void)state;
    assert_string_equal(bench_run(bench, "client", &inputs, false),
                        "ip= local=no listener= daemon=");
    assert_string_equal(bench_run(bench, "session", &inputs, false), "version= user= type=");
    assert_true(addr_parse("2001:DB8::9", &inputs.client));
    inputs.listener = "mx";
    inputs.daemon = "smtpd";
    inputs.local = true;
    inputs.tls_version = "TLSv1.3";
    inputs.auth_user = "Joe";
    inputs.auth_type = "PLAIN";
    assert_string_equal(bench_run(bench, "client", &inputs, false),
                        "ip=2001:db8::9 local=yes listener=mx daemon=smtpd");
    assert_string_equal(bench_run(bench, "session", &inputs, false),
                        "version=TLSv1.3 user=Joe type=PLAIN");
    bench_free(bench);
}

/* CLAIM: what the MTA says of the name.  ASKED NULL: whatever is asked. */
static void test_rdns(void **state)
{
    static const struct {
        const char *client, *claim;
        struct bench_answer dns[6];
        const char *facts, *asked;
    } rows[] = {
        {"192.0.2.9",
         "",
         {{PTR4, DNS_PTR, "mail.d.test"}, {"mail.d.test", DNS_A, "192.0.2.9"}},
         "ptr=mail.d.test name=mail.d.test rdns=pass",
         "PTR " PTR4 ", A mail.d.test"},
        {"2001:db8::9",
         "",
         {{PTR6, DNS_PTR, "Mail.D.test"}, {"mail.d.test", DNS_AAAA, "2001:db8::8, 2001:db8::9"}},
         "ptr=mail.d.test name=mail.d.test rdns=pass",
         "PTR " PTR6 ", AAAA mail.d.test"},
        /* The name leads elsewhere, nowhere, does not exist, or is no name. */
        {"192.0.2.9",
         "",
         {{PTR4, DNS_PTR, "mail.d.test"}, {"mail.d.test", DNS_A, "192.0.2.8"}},
         "ptr=mail.d.test name= rdns=fail",
         NULL},
        {"192.0.2.9",
         "",
         {{PTR4, DNS_PTR, "mail.d.test"}, {"mail.d.test", DNS_A, "!nodata"}},
         "ptr=mail.d.test name= rdns=fail",
         NULL},
        {"192.0.2.9",
         "",
         {{PTR4, DNS_PTR, "mail.d.test"}},
         "ptr=mail.d.test name= rdns=fail",
         NULL},
        {"192.0.2.9", "", {{PTR4, DNS_PTR, "192.0.2.9"}}, "ptr= name= rdns=fail", "PTR " PTR4},
        {"192.0.2.9", "", {{PTR4, DNS_PTR, "."}}, "ptr= name= rdns=fail", "PTR " PTR4},
        /* No PTR. */
        {"192.0.2.9", "", {{0}}, "ptr= name= rdns=none", "PTR " PTR4},
        {"192.0.2.9", "", {{PTR4, DNS_PTR, "!nodata"}}, "ptr= name= rdns=none", "PTR " PTR4},
        /* What the MTA says is never confirmed by that. */
        {"192.0.2.9", "Mail.D.test", {{0}}, "ptr=mail.d.test name= rdns=none", "PTR " PTR4},
        {"192.0.2.9",
         "other.test",
         {{PTR4, DNS_PTR, "mail.d.test"}, {"other.test", DNS_A, "192.0.2.9"}},
         "ptr=mail.d.test name= rdns=fail",
         NULL},
        {"192.0.2.9", "unknown", {{0}}, "ptr= name= rdns=none", NULL},
        {"192.0.2.9", "[192.0.2.9]", {{0}}, "ptr= name= rdns=none", NULL},
        /* Not found out. */
        {"192.0.2.9", "", {{PTR4, DNS_PTR, "!fault"}}, "ptr=~ name=~ rdns=~temperror", NULL},
        {"192.0.2.9", "", {{PTR4, DNS_PTR, "!silent"}}, "ptr=~ name=~ rdns=~temperror", NULL},
        {"192.0.2.9",
         "mail.d.test",
         {{PTR4, DNS_PTR, "!fault"}},
         "ptr=mail.d.test name=~ rdns=~temperror",
         NULL},
        {"192.0.2.9",
         "",
         {{PTR4, DNS_PTR, "mail.d.test"}, {"mail.d.test", DNS_A, "!fault"}},
         "ptr=mail.d.test name=~ rdns=~temperror",
         NULL},
        {"192.0.2.9",
         "",
         {{PTR4, DNS_PTR, "mail.d.test"}, {"mail.d.test", DNS_A, "!silent"}},
         "ptr=mail.d.test name=~ rdns=~temperror",
         NULL},
        /* Several names: the first confirmed one in their order, not in that of the answers. */
        {"192.0.2.9",
         "",
         {{PTR4, DNS_PTR, "c.test, b.test, a.test"},
          {"a.test", DNS_A, "192.0.2.1"},
          {"b.test", DNS_A, "192.0.2.9"},
          {"c.test", DNS_A, "192.0.2.9"}},
         "ptr=b.test name=b.test rdns=pass",
         "PTR " PTR4 ", A a.test, A b.test, A c.test"},
        {"192.0.2.9",
         "",
         {{PTR4, DNS_PTR, "a.test, b.test, A.test"},
          {"a.test", DNS_A, "!fault"},
          {"b.test", DNS_A, "192.0.2.9"}},
         "ptr=b.test name=b.test rdns=pass",
         "PTR " PTR4 ", A a.test, A b.test"},
        {"192.0.2.9",
         "",
         {{PTR4, DNS_PTR, "a.test, b.test"},
          {"a.test", DNS_A, "!silent"},
          {"b.test", DNS_A, "192.0.2.9"}},
         "ptr=b.test name=b.test rdns=pass",
         NULL},
        {"192.0.2.9",
         "",
         {{PTR4, DNS_PTR, "a.test, b.test"},
          {"a.test", DNS_A, "!fault"},
          {"b.test", DNS_A, "192.0.2.1"}},
         "ptr=a.test name=~ rdns=~temperror",
         NULL},
        /* No more than ten names are tried; what the others would say is not known. */
        {"192.0.2.9",
         "",
         {{PTR4, DNS_PTR,
           "a0.test, a1.test, a2.test, a3.test, a4.test, a5.test, a6.test, a7.test, a8.test, "
           "a9.test, b.test"},
          {"b.test", DNS_A, "192.0.2.9"}},
         "ptr=a0.test name=~ rdns=~temperror",
         "PTR " PTR4 ", A a0.test, A a1.test, A a2.test, A a3.test, A a4.test, A a5.test, "
         "A a6.test, A a7.test, A a8.test, A a9.test"},
        {"192.0.2.9",
         "",
         {{PTR4, DNS_PTR,
           "a0.test, a1.test, a2.test, a3.test, a4.test, a5.test, a6.test, a7.test, a8.test, "
           "a9.test, A9.test"}},
         "ptr=a0.test name= rdns=fail",
         NULL},
        {"192.0.2.9",
         "",
         {{PTR4, DNS_PTR,
           "a0.test, a1.test, a2.test, a3.test, a4.test, a5.test, a6.test, a7.test, a8.test, "
           "a9.test, b.test"},
          {"a9.test", DNS_A, "192.0.2.9"}},
         "ptr=a9.test name=a9.test rdns=pass",
         NULL},
        {NULL, "mail.d.test", {{0}}, "ptr= name= rdns=pass", ""},
    };
    struct bench *bench = bench_new(&check_client, NULL, "", NULL);
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows) * 2; i++) {
        struct inputs inputs = bench_inputs();
        const char *found;

        if (rows[i / 2].client != NULL)
            assert_true(addr_parse(rows[i / 2].client, &inputs.client));
        inputs.client_ptr = rows[i / 2].claim;
        bench_dns(bench, rows[i / 2].dns);
        found = bench_run(bench, "rdns", &inputs, i % 2 != 0);
        if (strcmp(found, rows[i / 2].facts) != 0)
            fail_msg("row %zu:\n  found    %s\n  expected %s", i / 2, found, rows[i / 2].facts);
        if (rows[i / 2].asked != NULL && strcmp(bench_asked(bench), rows[i / 2].asked) != 0)
            fail_msg("row %zu: asked %s", i / 2, bench_asked(bench));
    }
    bench_free(bench);
}

static void test_local(void **state)
{
    struct bench *bench = bench_new(&check_client, NULL, "", NULL);
    struct inputs inputs = bench_inputs();

    (void)state;
    assert_true(addr_parse("127.0.0.1", &inputs.client));
    inputs.client_ptr = "localhost";
    inputs.local = true;
    assert_string_equal(bench_run(bench, "rdns", &inputs, false), "ptr= name= rdns=pass");
    assert_string_equal(bench_asked(bench), "");
    bench_free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session),
        cmocka_unit_test(test_rdns),
        cmocka_unit_test(test_local),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
