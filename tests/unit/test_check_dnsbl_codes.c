/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/checks/dnsbl_codes.h"

#define LENGTH(rows) (sizeof(rows) / sizeof((rows)[0]))

static struct addr addr_of(const char *text)
{
    struct addr addr;

    assert_true(addr_parse(text, &addr));
    return addr;
}

static void test_match(void **state)
{
    static const struct {
        const char *range, *code;
        bool match;
    } rows[] = {
        {"127.0.0.2", "127.0.0.2", true},     {"127.0.0.2", "127.0.0.3", false},
        {"127.0.0.2-11", "127.0.0.1", false}, {"127.0.0.2-11", "127.0.0.2", true},
        {"127.0.0.2-11", "127.0.0.11", true}, {"127.0.0.2-11", "127.0.0.12", false},
        {"127.0.0.2-11", "127.0.1.4", false}, {"127.0.*.1-3", "127.0.5.2", true},
        {"127.0.*.1-3", "127.0.0.1", true},   {"127.0.*.1-3", "127.0.255.3", true},
        {"127.0.*.1-3", "127.0.5.0", false},  {"127.0.*.1-3", "127.1.5.2", false},
        {"127.0.2-4.*", "127.0.3.77", true},  {"127.0.2-4.*", "127.0.5.77", false},
        {"127.0.0.2", "::2", false},
    };
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        struct dnsbl_range range;
        struct addr code = addr_of(rows[i].code);
        const char *problem;

        if (!dnsbl_codes_parse(rows[i].range, &range, &problem))
            fail_msg("row %zu: %s", i, problem);
        if (dnsbl_codes_match(&(struct dnsbl_ranges){&range, 1}, &code) != rows[i].match)
            fail_msg("row %zu", i);
    }
}

static void test_wrong(void **state)
{
    static const struct {
        const char *range, *problem;
    } rows[] = {
        {"", "no return code"},
        {"127", "no return code"},
        {"127.0.0", "no return code"},
        {"127.0.0.", "no return code"},
        {"127.0.0.2.", "no return code"},
        {"127.0.0.2.3", "no return code"},
        {"127.0.0.256", "no return code"},
        {"127.0.0.2-", "no return code"},
        {"127.0.0.-2", "no return code"},
        {"127.0.0.11-2", "no return code"},
        {"127.0.0.2-300", "no return code"},
        {"127.0.0.0002", "no return code"},
        {"127.0.0.2/31", "no return code"},
        {"127.0.0.[2..4]", "no return code"},
        {"127.0.0.2,3", "no return code"},
        {"127..0.2", "no return code"},
        {"::2", "no return code"},
        {"10.0.0.2", "outside 127/8"},
        {"*.0.0.2", "outside 127/8"},
        {"126-128.0.0.2", "outside 127/8"},
        {"127.255.255.254", "refuse"},
        {"127.255.255.*", "refuse"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        struct dnsbl_range range;
        const char *problem;

        if (dnsbl_codes_parse(rows[i].range, &range, &problem) ||
            strstr(problem, rows[i].problem) == NULL)
            fail_msg("row %zu: '%s'", i, rows[i].range);
    }
}

/* OWN: the range that a block of the zone names. */
static void test_meaning(void **state)
{
    static const struct {
        const char *own, *code;
        enum dnsbl_code meaning;
    } rows[] = {
        {"127.0.0.2", "127.0.0.2", DNSBL_CODE_LISTING},
        {"127.0.0.2", "127.0.0.10", DNSBL_CODE_LISTING}, /* of a sublist that nobody wants */
        {"127.0.0.2", "127.255.255.252", DNSBL_CODE_REFUSED},
        {"127.0.0.2", "127.255.255.254", DNSBL_CODE_REFUSED},
        {"127.0.0.2", "127.255.255.255", DNSBL_CODE_REFUSED},
        {"127.*.*.*", "127.255.255.254", DNSBL_CODE_REFUSED},
        {"127.*.*.*", "127.255.254.254", DNSBL_CODE_LISTING},
        {"127.0.0.2", "127.0.0.1", DNSBL_CODE_REFUSED},
        {"127.0.0.1", "127.0.0.1", DNSBL_CODE_LISTING},
        {"127.0.*.1-3", "127.0.0.1", DNSBL_CODE_REFUSED},
        {"127.0.*.*", "127.0.0.255", DNSBL_CODE_REFUSED},
        {"127.0.1.2-199", "127.0.1.255", DNSBL_CODE_REFUSED},
        {"127.0.1.255", "127.0.1.255", DNSBL_CODE_LISTING},
        {"127.*.*.*", "128.0.0.2", DNSBL_CODE_ALIEN},
        {"127.*.*.*", "198.51.100.7", DNSBL_CODE_ALIEN},
        {"127.*.*.*", "0.0.0.0", DNSBL_CODE_ALIEN},
        {"127.*.*.*", "::1", DNSBL_CODE_ALIEN},
    };
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        struct dnsbl_range range;
        struct addr code = addr_of(rows[i].code);
        const char *problem;

        assert_true(dnsbl_codes_parse(rows[i].own, &range, &problem));
        if (dnsbl_codes_meaning(&(struct dnsbl_ranges){&range, 1}, &code) != rows[i].meaning)
            fail_msg("row %zu: %s", i, rows[i].code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_meaning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
