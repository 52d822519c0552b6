/* SPDX-License-Identifier: MIT */
#ifndef DNSBL_HEALTH_H
#define DNSBL_HEALTH_H

#include "dnsbl_codes.h"

#include <postern/dns.h>

/*
 * Whether DNS lists are alive: their test entries (RFC 5782 5, RFC 6471 3.3) are asked at start,
 * every 15 minutes, and every minute while something is wrong.  A list that fails is set aside with
 * one line in the log and taken back with one.  A list whose test entries cannot be asked keeps the
 * state that it has.
 *
 * Safe from any thread; shared by reference count, because questions outlive a configuration.
 */
struct dnsbl_health;

enum dnsbl_state {
    DNSBL_UNTRIED, /* no test has been answered yet: whoever asks the list asks its test entries,
                      too */
    DNSBL_ALIVE,
    DNSBL_ASIDE, /* failed: counts as not there */
};

/* Which test entries a zone has: both bits may be set. */
enum { DNSBL_TEST_IP = 1, DNSBL_TEST_NAME = 2, DNSBL_TEST_IP6 = 4, DNSBL_TESTS_MAX = 6 };

/* No zones yet; one reference for the caller. */
struct dnsbl_health *dnsbl_health_new(void);
void dnsbl_health_unref(struct dnsbl_health *health);

/* Adds a zone and returns its number, from 0.  ZONE is what is asked and never shown (it may hold a
 * key); LABEL is shown.  OWN: the codes that mean a listing.  All are copied.  Only before the
 * first use of the zones. */
size_t dnsbl_health_add(struct dnsbl_health *health, const char *zone, const char *label,
                        unsigned tests, const struct dnsbl_ranges *own);

/* Takes over the states of the zones that FROM, which may be in use, tests in the same way.  They
 * are tested again at once, but the log hears of changes only.  Before the first tick of HEALTH. */
void dnsbl_health_inherit(struct dnsbl_health *health, struct dnsbl_health *from);

enum dnsbl_state dnsbl_health_state(struct dnsbl_health *health, size_t zone);

/* ---- one trial of a zone ---- */

enum dnsbl_test { DNSBL_TEST_OPEN, DNSBL_TEST_GOOD, DNSBL_TEST_WRONG, DNSBL_TEST_FAULT };

/* Zeroed at the beginning. */
struct dnsbl_trial {
    enum dnsbl_test tests[DNSBL_TESTS_MAX];
    char problem[96]; /* what was wrong or in fault; never the zone */
};

/* Number of test entries of a zone, and the name of one.  The name lives as long as HEALTH. */
size_t dnsbl_health_tests(const struct dnsbl_health *health, size_t zone);
const char *dnsbl_health_test_name(const struct dnsbl_health *health, size_t zone, size_t test);

/* Takes the answer to a test entry. */
void dnsbl_health_take(const struct dnsbl_health *health, size_t zone, struct dnsbl_trial *trial,
                       size_t test, const struct dns_answer *answer);

/* The trial as a whole: WRONG as soon as one test is, OPEN while answers are missing, else FAULT
 * when one could not be found out, else GOOD. */
enum dnsbl_test dnsbl_health_result(const struct dnsbl_health *health, size_t zone,
                                    const struct dnsbl_trial *trial);

/* Notes the result of a trial that is no longer open, and logs a change. */
void dnsbl_health_learn(struct dnsbl_health *health, size_t zone, const struct dnsbl_trial *trial);

/* Starts the trials that are due at NOW (clock_ms); their answers come on the loop's thread. */
void dnsbl_health_tick(struct dnsbl_health *health, struct dns *dns, int64_t now);

#endif
