/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <postern/log.h>

#include "../../src/checks/checks_private.h"
#include "probe_bench.h"

#define LENGTH(rows) (sizeof(rows) / sizeof((rows)[0]))

#define OURS                                                                                       \
    "hostname MX.example.org; table ours { example.org; .example.net; }"                           \
    "recipients { domains ours; }"

static void test_kinds(void **state)
{
    static const struct {
        const char *config, *helo, *facts;
    } rows[] = {
        {OURS, "mail.example.com", "helo=mail.example.com domain=mail.example.com kind=name"},
        {OURS, "Mail.Example.COM.", "helo=Mail.Example.COM. domain=mail.example.com kind=name"},
        {OURS, "under_score.example.com",
         "helo=under_score.example.com domain=under_score.example.com kind=name"},
        {OURS,
         "b\xc3\xbc"
         "cher.example",
         "helo=b\xc3\xbc"
         "cher.example domain=xn--bcher-kva.example kind=name"},
        {OURS, "localhost", "helo=localhost domain=localhost kind=bare"},
        {OURS, "DESKTOP-1", "helo=DESKTOP-1 domain=desktop-1 kind=bare"},
        {OURS, "[192.0.2.1]", "helo=[192.0.2.1] domain= kind=literal"},
        {OURS, "[IPv6:2001:db8::1]", "helo=[IPv6:2001:db8::1] domain= kind=literal"},
        {OURS, "[192.0.2.]", "helo=[192.0.2.] domain= kind=invalid"},
        {OURS, "[]", "helo=[] domain= kind=invalid"},
        {OURS, "192.0.2.1", "helo=192.0.2.1 domain= kind=invalid"},
        {OURS, "2001:db8::1", "helo=2001:db8::1 domain= kind=invalid"},
        {OURS, "no..name", "helo=no..name domain= kind=invalid"},
        {OURS, "two words", "helo=two words domain= kind=invalid"},
        {OURS, ".", "helo=. domain= kind=invalid"},
        /* Never said: nothing can be said of it. */
        {OURS, "", "helo= domain= kind=name"},
        {OURS, "mx.EXAMPLE.org", "helo=mx.EXAMPLE.org domain=mx.example.org kind=ours"},
        {OURS, "Example.Org", "helo=Example.Org domain=example.org kind=ours"},
        {OURS, "a.example.net", "helo=a.example.net domain=a.example.net kind=ours"},
        {OURS, "mx2.example.org", "helo=mx2.example.org domain=mx2.example.org kind=name"},
        {"", "mail.example.com", "helo=mail.example.com domain=mail.example.com kind=name"},
        {"hostname mx.example.org;", "mx.example.org",
         "helo=mx.example.org domain=mx.example.org kind=ours"},
        /* Whether it is ours cannot be found out; the hostname needs no table. */
        {"hostname mx.example.org; table ours file:/nonexistent/ours;"
         "recipients { domains ours; }",
         "mail.example.com", "helo=mail.example.com domain=mail.example.com kind=~"},
        {"hostname mx.example.org; table ours file:/nonexistent/ours;"
         "recipients { domains ours; }",
         "mx.example.org", "helo=mx.example.org domain=mx.example.org kind=ours"},
        {"table ours file:/nonexistent/ours; recipients { domains ours; }", "[192.0.2.1]",
         "helo=[192.0.2.1] domain= kind=literal"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        struct bench *bench = bench_new(&check_helo, &check_recipient, rows[i].config, NULL);
        struct inputs inputs = bench_inputs();
        const char *found;

        inputs.helo = rows[i].helo;
        found = bench_run(bench, "helo", &inputs, false);
        if (strcmp(found, rows[i].facts) != 0)
            fail_msg("row %zu:\n  found    %s\n  expected %s", i, found, rows[i].facts);
        bench_free(bench);
    }
}

/* `helo == mx.example.org` means the host, however it writes its name. */
static void test_case(void **state)
{
    (void)state;
    assert_string_equal(check_helo.facts[0].name, "helo");
    assert_int_equal(check_helo.facts[0].type, FACT_LOCAL_PART);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_case),
    };

    /* A table without a file is logged, which is no matter of these tests. */
    log_open("test", LOG_LEVEL_ERROR, 0, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
