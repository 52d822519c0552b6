/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <postern/loop.h>

#include "fake_dns.h"

static const struct fake_dns_row rows[] = {
    {"example.org", DNS_MX, .data = {"10 mx.example.org", "20 mx2.example.org"}},
    {"null.example", DNS_MX, .data = {"0 ."}},
    {"mx.example.org", DNS_A, .data = {"192.0.2.1"}},
    {"www.example.org", DNS_CNAME, .data = {"mx.example.org"}},
    {"nowhere.example.org", DNS_CNAME, .data = {"nix.invalid"}},
    {"a.b.example.com", DNS_TXT, .secure = true, .data = {"v=spf1 -all"}},
    {"broken.example", DNS_TXT, .fault = "SERVFAIL"},
    {"empty.example", DNS_TXT, .data = {NULL}},
    {"late.example", DNS_A, .when = FAKE_DNS_LATER, .data = {"192.0.2.8"}},
    {"held.example", DNS_A, .when = FAKE_DNS_HELD, .data = {"192.0.2.9"}},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static const struct {
    const char *name;
    enum dns_type type;
    enum dns_status status;
    size_t count;
} asks[] = {
    {"Example.ORG.", DNS_MX, DNS_FOUND, 2},         {"example.org", DNS_A, DNS_NO_DATA, 0},
    {"null.example", DNS_MX, DNS_FOUND, 1},         {"www.example.org", DNS_A, DNS_FOUND, 1},
    {"www.example.org", DNS_CNAME, DNS_FOUND, 1},   {"www.example.org", DNS_TXT, DNS_NO_DATA, 0},
    {"nowhere.example.org", DNS_A, DNS_NO_NAME, 0}, {"b.example.com", DNS_TXT, DNS_NO_DATA, 0},
    {"x.example.com", DNS_TXT, DNS_NO_NAME, 0},     {"broken.example", DNS_TXT, DNS_FAULT, 0},
    {"empty.example", DNS_TXT, DNS_NO_DATA, 0},
};

struct seen {
    atomic_int calls;
    enum dns_status status;
    char problem[32];
};

static void note(void *arg, const struct dns_answer *answer)
{
    struct seen *seen = arg;

    seen->status = answer->status;
    strncpy(seen->problem, answer->problem, sizeof(seen->problem) - 1);
    atomic_fetch_add(&seen->calls, 1);
}

static void rows_answer(void **state)
{
    struct fake_dns *fake = fake_dns_new(rows, ROWS, NULL);
    struct dns_query *query = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
        const struct dns_answer *answer =
            dns_ask(fake_dns_dns(fake), asks[i].name, asks[i].type, 0, note, NULL, &query);

        if (answer->status != asks[i].status || answer->count != asks[i].count)
            fail_msg("%s: %s %zu", asks[i].name, dns_status_name(answer->status), answer->count);
        if (i == 0)
            assert_string_equal(answer->records[1].name, "mx2.example.org");
        if (i == 2)
            assert_string_equal(answer->records[0].name, "");
        dns_answer_unref(answer);
    }
    assert_int_equal(fake_dns_asked(fake, "www.example.org", DNS_A), 1);
    assert_int_equal(fake_dns_asked(fake, NULL, 0), sizeof(asks) / sizeof(asks[0]));
    fake_dns_free(fake);
}

static void later_and_held(void **state)
{
    struct fake_dns *fake = fake_dns_new(rows, ROWS, NULL);
    struct dns *dns = fake_dns_dns(fake);
    struct seen late = {0}, held = {0}, cancelled = {0}, left = {0};
    struct dns_query *query;

    (void)state;
    assert_null(dns_ask(dns, "late.example", DNS_A, 0, note, &late, &query));
    assert_null(dns_ask(dns, "late.example", DNS_A, 0, note, &cancelled, &query));
    assert_true(dns_cancel(dns, query));
    assert_null(dns_ask(dns, "held.example", DNS_A, 0, note, &held, &query));
    assert_int_equal(fake_dns_run(fake), 1);
    assert_int_equal(late.calls, 1);
    assert_int_equal(late.status, DNS_FOUND);
    assert_int_equal(held.calls, 0);
    assert_int_equal(fake_dns_release(fake, "other.example", DNS_A), 0);
    assert_int_equal(fake_dns_time_out(fake, "held.example", DNS_A), 1);
    assert_int_equal(held.calls, 1);
    assert_string_equal(held.problem, "time-out");
    fake_dns_all_later(fake, true);
    assert_null(dns_ask(dns, "nix.example", DNS_A, 0, note, &left, &query));
    assert_int_equal(fake_dns_open(fake), 1);
    fake_dns_free(fake);
    assert_int_equal(left.calls, 1);
    assert_int_equal(cancelled.calls, 0);
}

static void on_a_loop(void **state)
{
    struct loop *loop = loop_new();
    struct fake_dns *fake = fake_dns_new(rows, ROWS, loop);
    struct dns *dns = fake_dns_dns(fake);
    struct seen held = {0}, late = {0}, cancelled = {0};
    struct dns_query *query;

    (void)state;
    assert_null(dns_ask(dns, "held.example", DNS_A, 0, note, &held, &query));
    assert_null(dns_ask(dns, "held.example", DNS_A, 0, note, &cancelled, &query));
    assert_true(dns_cancel(dns, query));
    assert_null(dns_ask(dns, "late.example", DNS_A, 0, note, &late, &query));
    assert_int_equal(fake_dns_release(fake, NULL, 0), 1);
    fake_dns_free(fake);
    loop_free(loop);
    assert_int_equal(held.calls, 1);
    assert_int_equal(late.calls, 1);
    assert_int_equal(cancelled.calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_answer),
        cmocka_unit_test(later_and_held),
        cmocka_unit_test(on_a_loop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
