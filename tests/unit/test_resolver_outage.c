/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nsd.h"
#include "resolver_rig.h"

enum { TIMEOUT_MS = 1000 };

static const char records[] = "*.wild.test. A 192.0.2.1\n";

static void long_silence(void **state)
{
    enum { OUTAGE_MS = 31 * 1000 };
    struct rig *rig = resolver_rig_new(nsd_start(records, 0), NULL);

    (void)state;
    assert_int_equal(rig_ask(rig, "before", 0, TIMEOUT_MS), DNS_FOUND);
    nsd_signal(rig->nsd, SIGSTOP);
    assert_true(rig_endure(rig, "long", TIMEOUT_MS, OUTAGE_MS));
    nsd_signal(rig->nsd, SIGCONT);
    assert_true(rig_recover(rig, "after", TIMEOUT_MS));
    /* What was asked in vain can be asked again. */
    assert_int_equal(rig_ask(rig, "long", 0, TIMEOUT_MS), DNS_FOUND);
    resolver_rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(long_silence)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
