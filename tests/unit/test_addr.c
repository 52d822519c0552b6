/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include <postern/addr.h>

#define LENGTH(rows) (sizeof(rows) / sizeof((rows)[0]))

static void test_parse(void **state)
{
    /* NULL: no address. */
    static const struct {
        const char *text, *canonical;
    } rows[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"[192.0.2.1]", "192.0.2.1"},
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"2001:db8::1", "2001:db8::1"},
        {"[2001:db8::1]", "2001:db8::1"},
        {"IPv6:2001:db8::1", "2001:db8::1"},
        {"[IPv6:2001:db8::1]", "2001:db8::1"},
        {"[ipv6:2001:DB8::1]", "2001:db8::1"},
        {"::", "::"},
        {"::1", "::1"},
        {"1::", "1::"},
        /* RFC 5952 4.1 to 4.3 */
        {"2001:0db8:0000:0000:0000:0000:0002:0001", "2001:db8::2:1"},
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
        {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
        {"2001:DB8::ABCD", "2001:db8::abcd"},
        {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
        {"1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"},
        {"0:0:3:4:5:6:7:8", "::3:4:5:6:7:8"},
        {"::1:2", "::1:2"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
        /* Mapped addresses are IPv4. */
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"IPv6:::ffff:192.0.2.1", "192.0.2.1"},
        {"::ffff:c000:201", "192.0.2.1"},
        {"::192.0.2.1", "::c000:201"},
        {"64:ff9b::192.0.2.1", "64:ff9b::c000:201"},
        {"", NULL},
        {"[]", NULL},
        {"[", NULL},
        {"IPv6:", NULL},
        {"1.2.3", NULL},
        {"1.2.3.4.5", NULL},
        {"1.2.3.256", NULL},
        {"01.2.3.4", NULL},
        {"1.2.3.00", NULL},
        {"0x7f.0.0.1", NULL},
        {"2130706433", NULL},
        {"1.2.3.4 ", NULL},
        {" 1.2.3.4", NULL},
        {"1.2.3.4x", NULL},
        {"1.2.3.4/32", NULL},
        {"1.2.3.-4", NULL},
        {"[1.2.3.4", NULL},
        {"1.2.3.4]", NULL},
        {"[[1.2.3.4]]", NULL},
        {"[1.2.3.4]x", NULL},
        {"IPv6:192.0.2.1", NULL},
        {"IPv4:192.0.2.1", NULL},
        {"IPv6:[2001:db8::1]", NULL},
        {"2001:db8", NULL},
        {"2001:db8:::1", NULL},
        {"1::2::3", NULL},
        {"1:2:3:4:5:6:7:8:9", NULL},
        {"12345::", NULL},
        {"fe80::1%eth0", NULL},
        {"2001:db8::1 ", NULL},
        {"2001:db8::g", NULL},
        {"::ffff:192.0.2.01", NULL},
        {"mx.example.org", NULL},
        {"2001:0db8:0000:0000:0000:0000:0002:0001:2001:0db8:0000:0000:0000:0000:0002:0001", NULL},
    };
    char text[ADDR_TEXT_SIZE];
    struct addr addr, again;
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        memset(&addr, 0xaa, sizeof(addr));
        if (addr_parse(rows[i].text, &addr) != (rows[i].canonical != NULL))
            fail_msg("row %zu: %s", i, rows[i].text);
        if (rows[i].canonical == NULL) {
            assert_int_equal(addr.family, ADDR_NONE);
            assert_string_equal(addr_format(&addr, text), "");
            continue;
        }
        assert_string_equal(addr_format(&addr, text), rows[i].canonical);
        assert_true(addr_parse(text, &again));
        assert_true(addr_equal(&addr, &again));
        assert_memory_equal(&addr, &again, sizeof(addr));
    }
}

static void test_from_sockaddr(void **state)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char text[ADDR_TEXT_SIZE];
    struct addr addr;

    (void)state;
    assert_int_equal(inet_pton(AF_INET, "192.0.2.1", &in.sin_addr), 1);
    addr = addr_from_sockaddr((const struct sockaddr *)&in);
    assert_string_equal(addr_format(&addr, text), "192.0.2.1");
    assert_int_equal(inet_pton(AF_INET6, "2001:db8::1", &in6.sin6_addr), 1);
    addr = addr_from_sockaddr((const struct sockaddr *)&in6);
    assert_string_equal(addr_format(&addr, text), "2001:db8::1");
    assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.1", &in6.sin6_addr), 1);
    addr = addr_from_sockaddr((const struct sockaddr *)&in6);
    assert_int_equal(addr.family, ADDR_IPV4);
    assert_string_equal(addr_format(&addr, text), "192.0.2.1");
    assert_int_equal(addr_from_sockaddr((const struct sockaddr *)&un).family, ADDR_NONE);
    assert_int_equal(addr_from_sockaddr(NULL).family, ADDR_NONE);
}

static void test_compare(void **state)
{
    static const char *const sorted[] = {
        "0.0.0.0", "9.255.255.255", "10.0.0.0", "192.0.2.1",  "255.0.0.0",
        "::",      "::1",           "1::",      "2001:db8::", "ff00::",
    };
    struct addr a, b;
    size_t i, j;

    (void)state;
    for (i = 0; i < LENGTH(sorted); i++) {
        for (j = 0; j < LENGTH(sorted); j++) {
            assert_true(addr_parse(sorted[i], &a));
            assert_true(addr_parse(sorted[j], &b));
            assert_int_equal(addr_compare(&a, &b) < 0, i < j);
            assert_int_equal(addr_compare(&a, &b) > 0, i > j);
            assert_int_equal(addr_equal(&a, &b), i == j);
        }
    }
}

static void test_mask(void **state)
{
    static const struct {
        const char *text;
        unsigned bits;
        const char *masked;
    } rows[] = {
        {"192.0.2.255", 32, "192.0.2.255"},
        {"192.0.2.255", 31, "192.0.2.254"},
        {"192.0.2.255", 25, "192.0.2.128"},
        {"192.0.2.255", 24, "192.0.2.0"},
        {"192.0.2.255", 23, "192.0.2.0"},
        {"255.255.255.255", 1, "128.0.0.0"},
        {"255.255.255.255", 0, "0.0.0.0"},
        {"255.255.255.255", 99, "255.255.255.255"},
        {"2001:db8::ffff", 128, "2001:db8::ffff"},
        {"2001:db8::ffff", 127, "2001:db8::fffe"},
        {"2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::"},
        {"ffff::", 3, "e000::"},
        {"ffff::", 0, "::"},
        {"2001:db8::1", 1000, "2001:db8::1"},
    };
    char text[ADDR_TEXT_SIZE];
    struct addr addr;
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        assert_true(addr_parse(rows[i].text, &addr));
        addr = addr_mask(&addr, rows[i].bits);
        assert_string_equal(addr_format(&addr, text), rows[i].masked);
    }
    addr = (struct addr){0};
    addr = addr_mask(&addr, 24);
    assert_int_equal(addr.family, ADDR_NONE);
}

static void test_reverse(void **state)
{
    static const struct {
        const char *text, *reversed;
    } rows[] = {
        /* RFC 5782 2.1 and 2.4 */
        {"192.0.2.99", "99.2.0.192"},
        {"2001:db8:1:2:3:4:567:89ab",
         "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2"},
        {"::ffff:127.0.0.2", "2.0.0.127"},
        {"::1", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"},
        /* Each nibble is another one. */
        {"123:4567:89ab:cdef:fedc:ba98:7654:3210",
         "0.1.2.3.4.5.6.7.8.9.a.b.c.d.e.f.f.e.d.c.b.a.9.8.7.6.5.4.3.2.1.0"},
    };
    char text[ADDR_REVERSE_SIZE];
    struct addr addr;
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        assert_true(addr_parse(rows[i].text, &addr));
        assert_string_equal(addr_reverse(&addr, text), rows[i].reversed);
    }
    addr = (struct addr){0};
    assert_string_equal(addr_reverse(&addr, text), "");
}

static void test_loopback(void **state)
{
    static const struct {
        const char *text;
        bool loopback;
    } rows[] = {
        {"127.0.0.1", true},  {"127.255.255.255", true},
        {"::1", true},        {"::ffff:127.0.0.1", true},
        {"128.0.0.1", false}, {"126.0.0.1", false},
        {"::", false},        {"::2", false},
        {"1::1", false},      {"7f00::", false},
        {"::7f00:1", false},
    };
    struct addr addr;
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        assert_true(addr_parse(rows[i].text, &addr));
        assert_int_equal(addr_is_loopback(&addr), rows[i].loopback);
    }
    addr = (struct addr){0};
    assert_false(addr_is_loopback(&addr));
}

static void test_net_parse(void **state)
{
    static const struct {
        const char *text, *addr; /* NULL: no network */
        unsigned bits;
        bool had_host_bits;
    } rows[] = {
        {"192.0.2.0/24", "192.0.2.0", 24, false},
        {"192.0.2.1/24", "192.0.2.0", 24, true},
        {"192.0.2.1", "192.0.2.1", 32, false},
        {"192.0.2.1/32", "192.0.2.1", 32, false},
        {"0.0.0.0/0", "0.0.0.0", 0, false},
        {"10.0.0.0/0", "0.0.0.0", 0, true},
        {"2001:db8::/32", "2001:db8::", 32, false},
        {"2001:db8::1/32", "2001:db8::", 32, true},
        {"2001:db8::1", "2001:db8::1", 128, false},
        {"::/0", "::", 0, false},
        {"::1/128", "::1", 128, false},
        {"[2001:db8::]/32", "2001:db8::", 32, false},
        {"::ffff:192.0.2.0/120", "192.0.2.0", 24, false},
        {"::ffff:192.0.2.1/120", "192.0.2.0", 24, true},
        {"::ffff:192.0.2.1", "192.0.2.1", 32, false},
        {"::ffff:0:0/96", "0.0.0.0", 0, false},
        {"::ffff:0:0/95", "::fffe:0:0", 95, true},
        {"", NULL, 0, false},
        {"/", NULL, 0, false},
        {"/24", NULL, 0, false},
        {"192.0.2.0/", NULL, 0, false},
        {"192.0.2.0/33", NULL, 0, false},
        {"192.0.2.0/024", NULL, 0, false},
        {"192.0.2.0/00", NULL, 0, false},
        {"192.0.2.0/+8", NULL, 0, false},
        {"192.0.2.0/ 8", NULL, 0, false},
        {"192.0.2.0/24 ", NULL, 0, false},
        {"192.0.2.0/24/24", NULL, 0, false},
        {"192.0.2.0/255.255.255.0", NULL, 0, false},
        {"192.0.2.0/4294967320", NULL, 0, false},
        {"192.0.2/24", NULL, 0, false},
        {"[192.0.2.0/24]", NULL, 0, false},
        {"2001:db8::/129", NULL, 0, false},
        {"example.org/24", NULL, 0, false},
    };
    char text[ADDR_TEXT_SIZE], whole[NET_TEXT_SIZE];
    struct net net;
    bool had, good;
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        good = net_parse(rows[i].text, &net, &had);
        if (good != (rows[i].addr != NULL))
            fail_msg("row %zu: %s", i, rows[i].text);
        assert_int_equal(good, net_parse(rows[i].text, &net, NULL));
        assert_int_equal(had, rows[i].had_host_bits);
        if (!good)
            continue;
        assert_string_equal(addr_format(&net.addr, text), rows[i].addr);
        assert_int_equal(net.bits, rows[i].bits);
        net_format(&net, whole);
        assert_memory_equal(whole, text, strlen(text));
        snprintf(text, sizeof(text), "/%u", rows[i].bits);
        assert_string_equal(strchr(whole, '/'), text);
    }
}

static void test_net_contains(void **state)
{
    static const struct {
        const char *net, *addr;
        bool contains;
    } rows[] = {
        {"192.0.2.0/26", "192.0.2.0", true},
        {"192.0.2.0/26", "192.0.2.63", true},
        {"192.0.2.0/26", "192.0.2.64", false},
        {"192.0.2.0/26", "192.0.1.255", false},
        {"0.0.0.0/0", "203.0.113.1", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "192.0.2.1", false},
        {"2001:db8::/32", "2001:db8:ffff::", true},
        {"2001:db8::/32", "2001:db9::", false},
        {"2001:db8::1", "2001:db8::1", true},
        {"2001:db8::1", "2001:db8::2", false},
        {"::ffff:192.0.2.0/120", "192.0.2.9", true},
        {"192.0.2.0/24", "::ffff:192.0.2.9", true},
        {"127.0.0.0/8", "127.1.2.3", true},
    };
    struct addr addr, none = {0};
    struct net net;
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        assert_true(net_parse(rows[i].net, &net, NULL));
        assert_true(addr_parse(rows[i].addr, &addr));
        if (net_contains(&net, &addr) != rows[i].contains)
            fail_msg("row %zu: %s in %s", i, rows[i].addr, rows[i].net);
        assert_false(net_contains(&net, &none));
    }
    assert_false(net_parse("nonsense", &net, NULL));
    assert_false(net_contains(&net, &addr));
    assert_false(net_contains(&net, &none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),     cmocka_unit_test(test_from_sockaddr),
        cmocka_unit_test(test_compare),   cmocka_unit_test(test_mask),
        cmocka_unit_test(test_reverse),   cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_net_parse), cmocka_unit_test(test_net_contains),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
