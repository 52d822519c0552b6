/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_TEST_FAKE_DNS_H
#define POSTERN_TEST_FAKE_DNS_H

#include <postern/dns.h>

struct loop;

/*
 * A struct dns that answers from rows, for unit tests:
 *
 *     static const struct fake_dns_row rows[] = {
 *         {"example.org", DNS_MX, .data = {"10 mx.example.org", "20 mx2.example.org"}},
 *         {"mx.example.org", DNS_A, .data = {"192.0.2.1"}},
 *         {"broken.example", DNS_TXT, .fault = "SERVFAIL"},
 *         {"slow.example", DNS_A, .when = FAKE_DNS_HELD, .data = {"192.0.2.9"}},
 *     };
 *
 * A name that has a row, or below which one has, exists: other types of it are DNS_NO_DATA, as is a
 * row without data.  Every other name is DNS_NO_NAME.  A CNAME row is followed, unless the type
 * asked for is CNAME.
 */
enum fake_dns_when {
    FAKE_DNS_AT_ONCE, /* returned by dns_ask() itself, as from a cache */
    FAKE_DNS_LATER,   /* by done: from the loop, or where there is none from fake_dns_run() */
    FAKE_DNS_HELD,    /* by done, after fake_dns_release() or at the end; never by itself */
};

enum { FAKE_DNS_DATA_MAX = 16 };

struct fake_dns_row {
    const char *name; /* lower case, no trailing dot */
    enum dns_type type;
    enum fake_dns_when when;
    const char *fault; /* DNS_FAULT with this problem */
    bool secure;
    /* A, AAAA: an address; MX: "10 mx.example.org", a null MX is "0 ."; TXT: the text; else a name.
     */
    const char *data[FAKE_DNS_DATA_MAX];
};

struct fake_dns;

/* The rows are borrowed.  LOOP may be NULL: then done is called by fake_dns_run() and
 * fake_dns_release(), in the thread that calls them. A row that cannot be read ends the program. */
struct fake_dns *fake_dns_new(const struct fake_dns_row *rows, size_t count, struct loop *loop);

/* Answers what is still open with DNS_FAULT "shutting down", frees.  With a loop: not from its
 * thread, and before loop_free(). */
void fake_dns_free(struct fake_dns *fake);

struct dns *fake_dns_dns(struct fake_dns *fake);

/* From now on all that would be answered at once is answered later: a test should pass both ways.
 */
void fake_dns_all_later(struct fake_dns *fake, bool later);

/* Without a loop: answers all questions that are due, also those asked meanwhile.  Returns how
 * many. */
size_t fake_dns_run(struct fake_dns *fake);

/* Lets go the held questions for NAME and TYPE; NULL means all.  With a loop they are answered
 * there soon, without one inside this call.  Returns how many there were. */
size_t fake_dns_release(struct fake_dns *fake, const char *name, enum dns_type type);

/* The same, but they are answered DNS_FAULT "time-out". */
size_t fake_dns_time_out(struct fake_dns *fake, const char *name, enum dns_type type);

/* How often NAME and TYPE were asked so far; NULL: how many questions in all. */
size_t fake_dns_asked(struct fake_dns *fake, const char *name, enum dns_type type);

/* Questions that are neither answered nor cancelled. */
size_t fake_dns_open(struct fake_dns *fake);

#endif
