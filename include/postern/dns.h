/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_DNS_H
#define POSTERN_DNS_H

#include <postern/addr.h>

struct loop;

/*
 * DNS questions and typed answers.  A question is started and its answer comes later on the loop's
 * thread; nobody waits for DNS.  What could not be found out (SERVFAIL, REFUSED, time-out, bogus, a
 * malformed answer) is DNS_FAULT, never "no such name".
 *
 * struct dns is the interface: the resolver (resolver.h) is the real one, tests bring one that
 * answers from rows.
 */
enum dns_type { DNS_A = 1, DNS_CNAME = 5, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28 };

enum dns_status {
    DNS_FOUND,   /* at least one record of the type */
    DNS_NO_DATA, /* the name exists, but has no record of the type */
    DNS_NO_NAME, /* NXDOMAIN (RFC 8020) */
    DNS_FAULT,   /* could not be found out */
};

struct dns_record {
    struct addr addr; /* A, AAAA */
    const char
        *name;           /* PTR, CNAME target; MX exchange: lower case, no trailing dot, "." as "";
                            odd bytes, spaces and dots within a label are \DDD: no domain_canonical() */
    uint16_t preference; /* MX */
    const char *
        text; /* TXT: the strings of the record joined, NUL behind; may hold NULs and 8-bit bytes */
    size_t length; /* of text */
};

/* Immutable once given out; shared by reference count; safe from any thread. */
struct dns_answer {
    enum dns_status status;
    enum dns_type type;
    const char *name;    /* the question: lower case, no trailing dot */
    const char *problem; /* DNS_FAULT: "SERVFAIL", "time-out", "bogus: ..."; else "" */
    int64_t expires;     /* clock_ms() until which it may be reused */
    bool secure;         /* validated by DNSSEC */
    size_t count;        /* records, in the order in which they came; at most DNS_RECORDS_MAX */
    const struct dns_record *records;
};

enum { DNS_RECORDS_MAX = 512, DNS_NAME_MAX = 253 };

/* For those who implement struct dns: a copy of *draft, its name, its problem and its records, with
 * one reference that the caller owns.  NULL for name, problem, or a record's name means "". */
const struct dns_answer *dns_answer_new(const struct dns_answer *draft);
const struct dns_answer *dns_answer_ref(const struct dns_answer *answer);
void dns_answer_unref(const struct dns_answer *answer); /* NULL is fine */

/* Called exactly once on the loop's thread, unless the query was cancelled before.  The answer is
 * borrowed for the call (dns_answer_ref to keep it).  No lock of the resolver is held. */
typedef void dns_done(void *arg, const struct dns_answer *answer);

struct dns_query;
struct dns;

struct dns_ops {
    const struct dns_answer *(*ask)(struct dns *dns, const char *name, enum dns_type type,
                                    unsigned timeout_ms, dns_done *done, void *arg,
                                    struct dns_query **query);
    bool (*cancel)(struct dns *dns, struct dns_query *query);
};

struct dns {
    const struct dns_ops *ops;
};

/* Asks for NAME (canonical or not, with or without a trailing dot, every byte but a dot stands for
 * itself; a name that cannot be asked, the root, too long or with an empty label, is DNS_NO_NAME at
 * once). TIMEOUT_MS 0 means the resolver's own time-out; past it the answer is DNS_FAULT
 * "time-out", even when all servers are silent.  From any thread; never blocks.
 *
 * When the answer is known at once (cache), it is returned, with a reference that the caller owns,
 * and DONE is never called.  Otherwise NULL is returned, *query is set, and DONE will be called,
 * from another thread perhaps before this call returns (*query is set first). */
const struct dns_answer *dns_ask(struct dns *dns, const char *name, enum dns_type type,
                                 unsigned timeout_ms, dns_done *done, void *arg,
                                 struct dns_query **query);

/* Gives up on a query.  True: DONE was not and will not be called, and the query is freed.  False:
 * DONE was called or is just about to be.  The query is freed after DONE has returned, so a caller
 * that may race with DONE serialises by its own lock, which DONE takes.  From any thread; never
 * blocks on DONE. */
bool dns_cancel(struct dns *dns, struct dns_query *query);

/* "found", "no data", "no such name", "fault". */
const char *dns_status_name(enum dns_status status);
const char *dns_type_name(enum dns_type type);

#endif
