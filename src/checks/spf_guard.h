/* SPDX-License-Identifier: MIT */
#ifndef SPF_GUARD_H
#define SPF_GUARD_H

#include <postern/dns.h>

struct arena;

/*
 * check_host() of RFC 7208 on libspf2, which never waits and never sees a byte from outside.
 *
 * libspf2 walks the terms, compares addresses, follows includes and redirects and combines their
 * results.  What it reads are records that the guard writes: a few terms each, whose domains are
 * marks ("t0-3.spf").  What it asks of its resolver comes back here under these marks, and the
 * guard looks up what they stand for.  So records of any length are evaluated whole, syntax, macros
 * and networks are judged by our own grammar, the limits of RFC 7208 4.6.4 are counted over the
 * whole tree, the last mark asked for tells which term decided, and libspf2's parser and its macros
 * never meet a stranger's text.
 *
 * A run that lacks an answer is given up; it is started again, from the beginning, when the answers
 * are there.  Each such run has come to something new and there is a limit on what can be asked, so
 * the runs come to an end.  What the terms behind may ask is asked beside it, within bounds
 * (spf_ahead.h); no run waits for that before it has come to it.
 *
 * One thread at a time.
 */
enum spf_word { /* RFC 7208 2.6 */
                SPF_WORD_NONE,
                SPF_WORD_NEUTRAL,
                SPF_WORD_PASS,
                SPF_WORD_FAIL,
                SPF_WORD_SOFTFAIL,
                SPF_WORD_TEMPERROR,
                SPF_WORD_PERMERROR,
};

enum { SPF_DEADLINE_MS = 20000 }; /* RFC 7208 4.6.4 */

/* Whom the check is about.  No member is NULL. */
struct spf_subject {
    struct addr client;   /* IPv4-mapped addresses are IPv4 already; not ADDR_NONE */
    const char *local;    /* local part of the sender; "" for postmaster */
    const char *domain;   /* canonical domain of the sender; "" when there is none */
    const char *helo;     /* as sent */
    const char *receiver; /* our name; "" when it is not known */
    int64_t now;          /* seconds since 1970 */
};

/* Texts live in the arena of the check or are constants. */
struct spf_verdict {
    enum spf_word word;
    const char *mechanism; /* the term that decided, as written: "-all"; "default"; "" when the
                              result is none or an error */
    const char *path;      /* how it was reached: "include:a.example > ip4:192.0.2.1"; for an error
                              where it came up */
    const char *explanation; /* of a fail, in the words of the sender's domain; "" */
    const char *problem;     /* what was wrong, or which question failed; "" */
    const char *doubt; /* a question about the client's name that failed, which RFC 7208 5.5 takes
                          for no match, but without which the result could be another; "" */
    unsigned lookups;  /* terms that asked the DNS, of which there may be 10 */
};

struct spf_guard;

/* Told of a question when it comes up, in the midst of a run: an answer that is given within this
 * call saves one. */
typedef void spf_guard_ask(void *arg, struct spf_guard *guard, size_t number);

/* A check of SUBJECT (borrowed with its texts).  All memory is ARENA's: nothing is to be freed. ASK
 * may be NULL. */
struct spf_guard *spf_guard_new(struct arena *arena, const struct spf_subject *subject,
                                spf_guard_ask *ask, void *arg);

/* Goes on, ELAPSED_MS after the check began.  True: the verdict stands.  False: there are questions
 * without an answer; call again when spf_guard_waits() says no. */
bool spf_guard_run(struct spf_guard *guard, int64_t elapsed_ms);

/* Whether a question that the last run came to has no answer yet.  Others may have none either. */
bool spf_guard_waits(const struct spf_guard *guard);

/* Time is up: the verdict is temperror, or what it is without the explanation where only that is
 * missing. */
void spf_guard_expire(struct spf_guard *guard);

/* After true, or after spf_guard_expire(). */
const struct spf_verdict *spf_guard_verdict(const struct spf_guard *guard);

/* Questions are numbered from 0 in the order in which they came up: each is asked once. */
size_t spf_guard_question_count(const struct spf_guard *guard);
const char *spf_guard_question(const struct spf_guard *guard, size_t number, enum dns_type *type);

/* The answer to question NUMBER, once.  ANSWER is borrowed for the call. */
void spf_guard_answer(struct spf_guard *guard, size_t number, const struct dns_answer *answer);

#endif
