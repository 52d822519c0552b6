/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/checks/dmarc_record.h"

#define LENGTH(rows) (sizeof(rows) / sizeof((rows)[0]))

/* "reject/none/none" are p, sp and np; then what else is said. */
static const char *describe(const char *text, size_t length, char out[128])
{
    static const char *const policies[] = {"none", "quarantine", "reject"};
    static const char *const psd[] = {"", " psd=y", " psd=n"};
    struct dmarc_record record;

    if (!dmarc_record_parse(text, length, &record))
        return "no record";
    snprintf(out, 128, "%s/%s/%s%s%s%s%s%s", policies[record.p], policies[record.sp],
             policies[record.np], record.usable ? "" : " unusable",
             record.strict_dkim ? " adkim=s" : "", record.strict_spf ? " aspf=s" : "",
             record.testing ? " t=y" : "", psd[record.psd]);
    return out;
}

/* clang-format off */
static const struct {
    const char *text;
    const char *expected;
} rows[] = {
    {"v=DMARC1; p=reject", "reject/reject/reject"},
    {"v=DMARC1; p=none;", "none/none/none"},
    {"v=DMARC1;p=quarantine;sp=reject", "quarantine/reject/reject"},
    {"v=DMARC1; p=reject; sp=none", "reject/none/none"},
    {"v=DMARC1; p=none; np=reject", "none/none/reject"},
    {"v=DMARC1; p=reject; sp=quarantine; np=none", "reject/quarantine/none"},
    {"v=DMARC1; p=reject; adkim=s; aspf=s", "reject/reject/reject adkim=s aspf=s"},
    {"v=DMARC1; p=reject; adkim=r; aspf=r", "reject/reject/reject"},
    {"v=DMARC1; p=reject; adkim=strict", "reject/reject/reject"},
    {"v=DMARC1; p=reject; t=y", "reject/reject/reject t=y"},
    {"v=DMARC1; p=reject; t=n", "reject/reject/reject"},
    {"v=DMARC1; p=reject; t=yes", "reject/reject/reject"},
    {"v=DMARC1; p=reject; psd=y", "reject/reject/reject psd=y"},
    {"v=DMARC1; p=reject; psd=n", "reject/reject/reject psd=n"},
    {"v=DMARC1; p=reject; psd=u", "reject/reject/reject"},
    {"v=DMARC1; p=reject; psd=maybe", "reject/reject/reject"},

    /* The tags come in any order, in any case, with blanks about them; the version does not. */
    {"v=DMARC1; aspf=s; sp=none; p=reject", "reject/none/none aspf=s"},
    {"v = DMARC1 ; p = reject ;", "reject/reject/reject"},
    {"v\t=\tDMARC1\t;\tp\t=\treject\t", "reject/reject/reject"},
    {"V=DMARC1; P=Reject; ASPF=S; T=Y; PSD=N", "reject/reject/reject aspf=s t=y psd=n"},
    {"v=DMARC1", "none/none/none"},
    {"v=dmarc1; p=reject", "no record"},
    {"v=DMARC10; p=reject", "no record"},
    {"v=DMARC; p=reject", "no record"},
    {"v=DMARC1 p=reject", "no record"},
    {"v=DMARC1, p=reject", "no record"},
    {" v=DMARC1; p=reject", "no record"},
    {"p=reject; v=DMARC1", "no record"},
    {"x; v=DMARC1; p=reject", "no record"},
    {";v=DMARC1; p=reject", "no record"},
    {"v; p=reject", "no record"},
    {"v=; p=reject", "no record"},
    {"=DMARC1; p=reject", "no record"},
    {"v=spf1 -all", "no record"},
    {"", "no record"},
    {";", "no record"},
    {"=", "no record"},

    /* What is not understood is passed over. */
    {"v=DMARC1; p=reject; pct=0; rf=afrf; ri=86400; fo=1; x=y", "reject/reject/reject"},
    {"v=DMARC1;;; p=reject;;", "reject/reject/reject"},
    {"v=DMARC1; what; p=reject; =; =x; y=", "reject/reject/reject"},
    {"v=DMARC1; pp=none; p=reject; p =none", "reject/reject/reject"},
    {"v=DMARC1; p=reject; p=none", "reject/reject/reject"},
    {"v=DMARC1; p=reject; sp=reject=none; rua=mailto:a@b", "none/none/none"},
    {"v=DMARC1; p=reject; rua=mailto:d@example.org!10m,mailto:e@example.org", "reject/reject/reject"},

    /* Without a policy none is asked for, below the domain either. */
    {"v=DMARC1;", "none/none/none"},
    {"v=DMARC1; rua=mailto:d@example.org", "none/none/none"},
    {"v=DMARC1; rua=nowhere", "none/none/none"},
    {"v=DMARC1; sp=reject; np=reject", "none/none/none"},
    {"v=DMARC1; sp=reject; rua=mailto:d@example.org", "none/none/none"},
    {"v=DMARC1; psd=n; aspf=s", "none/none/none aspf=s psd=n"},
    {"v=DMARC1; psd=y; np=reject; t=y", "none/none/none t=y psd=y"},
    {"v=DMARC1; sp=no", "none/none/none unusable"},
    {"v=DMARC1; np=no; rua=mailto:d@example.org", "none/none/none"},

    /* Without a good policy all hangs on where reports go. */
    {"v=DMARC1; p=no; rua=mailto:d@example.org", "none/none/none"},
    {"v=DMARC1; p=; rua=mailto:d@example.org", "none/none/none"},
    {"v=DMARC1; p=\"reject\"; rua=mailto:d@example.org", "none/none/none"},
    {"v=DMARC1; p=reject; sp=no; rua=mailto:d@example.org", "none/none/none"},
    {"v=DMARC1; p=reject; np=no; rua=mailto:d@example.org", "none/none/none"},
    {"v=DMARC1; p=reject; sp=no", "none/none/none unusable"},
    {"v=DMARC1; p=reject; np=", "none/none/none unusable"},
    {"v=DMARC1; p=no", "none/none/none unusable"},
    {"v=DMARC1; p=no; psd=n", "none/none/none unusable psd=n"},
    {"v=DMARC1; p=no; rua=", "none/none/none unusable"},
    {"v=DMARC1; p=no; rua=d@example.org", "none/none/none unusable"},
    {"v=DMARC1; p=no; rua=mailto:", "none/none/none unusable"},
    {"v=DMARC1; p=no; rua=mailto:d", "none/none/none unusable"},
    {"v=DMARC1; p=no; rua=mailto:@example.org", "none/none/none unusable"},
    {"v=DMARC1; p=no; rua=mailto:d@", "none/none/none unusable"},
    {"v=DMARC1; p=no; rua=mailto:d e@example.org", "none/none/none unusable"},
    {"v=DMARC1; p=no; rua=:d@example.org", "none/none/none unusable"},
    {"v=DMARC1; p=no; rua=1a:b", "none/none/none unusable"},
    {"v=DMARC1; p=no; rua=,, MAILTO:d@example.org ,", "none/none/none"},
    {"v=DMARC1; p=no; rua=d, https://example.org/r", "none/none/none"},
    {"v=DMARC1; p=no; ruf=mailto:d@example.org", "none/none/none unusable"},
    {"v=DMARC1; p=r\xc3\xa9ject", "none/none/none unusable"},
};
/* clang-format on */

static void test_records(void **state)
{
    char out[128];
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        const char *found = describe(rows[i].text, strlen(rows[i].text), out);

        if (strcmp(found, rows[i].expected) != 0)
            print_error("%s\n", rows[i].text);
        assert_string_equal(found, rows[i].expected);
    }
}

static void test_nul(void **state)
{
    static const char in_policy[] = "v=DMARC1; p=reject\0; sp=none";
    static const char in_version[] = "v=DMARC1\0; p=reject";
    char out[128];

    (void)state;
    assert_string_equal(describe(in_policy, sizeof(in_policy) - 1, out), "none/none/none unusable");
    assert_string_equal(describe(in_version, sizeof(in_version) - 1, out), "no record");
}

static void test_tested(void **state)
{
    (void)state;
    assert_int_equal(dmarc_policy_tested(DMARC_REJECT), DMARC_QUARANTINE);
    assert_int_equal(dmarc_policy_tested(DMARC_QUARANTINE), DMARC_NONE);
    assert_int_equal(dmarc_policy_tested(DMARC_NONE), DMARC_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_tested),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
