/* SPDX-License-Identifier: MIT */
#ifndef SPF_EVAL_H
#define SPF_EVAL_H

#include "spf_guard.h"
#include "spf_known.h"
#include "spf_macro.h"

/*
 * The state of a check, and what RFC 7208 says of it that does not concern libspf2: limits, macros,
 * validated names, which record a domain has, explanations.  Part of the guard.
 */
enum {
    SPF_VOIDS_MAX = 2, /* RFC 7208 4.6.4 */
    SPF_FRAMES_MAX = SPF_TERMS_MAX + 1,
};

/* A record that is being evaluated, and the term that led to it. */
struct spf_frame {
    const struct spf_record *record;
    const char *domain;
    const struct spf_frame *parent; /* NULL for the first */
    const struct spf_step *by;      /* the include or redirect in the parent */
};

struct spf_guard {
    struct arena *arena;
    const struct spf_subject *subject;
    bool odd_local; /* the local part is not ASCII */
    struct spf_known known;
    spf_guard_ask *ask; /* or NULL */
    void *ask_arg;
    struct spf_verdict verdict;
    const char *exp; /* the domain-spec of the explanation that is still to be fetched, or NULL */
    size_t exp_length;
    const char *exp_domain;

    /* One run. */
    struct spf_frame frames[SPF_FRAMES_MAX];
    size_t frame_count;
    const struct spf_frame *frame; /* where libspf2 is */
    const struct spf_step *step;
    const struct spf_answer *mx; /* of the current term */
    unsigned terms, voids;
    bool void_counted; /* for this term */
    const char *doubt; /* as in the verdict, whatever that becomes */
    bool missing;      /* an answer is not there yet */
    bool forced;       /* verdict.word and .problem are set, whatever libspf2 says */
};

/* Whether the run can come to nothing more: an answer is missing or the verdict is forced. */
bool spf_eval_stopped(const struct spf_guard *guard);

/* Sets the verdict, unless the run has stopped. */
void spf_eval_force(struct spf_guard *guard, enum spf_word word, const char *problem);

/* The answer to a question, or NULL when it is missing (which is noted). */
const struct spf_answer *spf_eval_look_up(struct spf_guard *guard, enum spf_ask ask,
                                          const char *name);

/* The same for a question that the run may come to later; asks it if there is room. */
const struct spf_answer *spf_eval_look_ahead(struct spf_guard *guard, enum spf_ask ask,
                                             const char *name);

/* The answer to a question that the current term asks: NULL as well when there is nothing (which
 * is a void lookup) or it could not be found out (temperror). */
const struct spf_answer *spf_eval_ask(struct spf_guard *guard, enum spf_ask ask, const char *name);

/* A or AAAA, as the client is. */
enum spf_ask spf_eval_address(const struct spf_guard *guard);

/* libspf2 has come to STEP of FRAME: counts it. */
void spf_eval_enter(struct spf_guard *guard, const struct spf_frame *frame,
                    const struct spf_step *step);

/* Whether the client has a validated name that is DOMAIN or lies below it (RFC 7208 5.5). False
 * also when an answer is missing. */
bool spf_eval_ptr(struct spf_guard *guard, const char *domain);

/* The name that the current term is about, "" when it comes to none; NULL: an answer is missing. */
const char *spf_eval_target(struct spf_guard *guard);

/* RFC 8616 4: a local part that is not ASCII cannot stand in a name; the term matches nothing. */
bool spf_eval_hopeless(const struct spf_guard *guard);

/* The record of the sender's domain; NULL when the run has stopped. */
const struct spf_record *spf_eval_first(struct spf_guard *guard);

/* The record that the current include or redirect leads to; NULL when the run has stopped.  DOMAIN
 * may be NULL then. */
const struct spf_record *spf_eval_included(struct spf_guard *guard, const char *domain);

/* "include:a.example > ip4:192.0.2.1": how the current term was reached.  In the arena. */
const char *spf_eval_path(const struct spf_guard *guard);

/* The current term says fail: finds the exp= that explains it. */
void spf_eval_find_exp(struct spf_guard *guard);

/* Fetches the explanation.  False: an answer is missing.  Whatever goes wrong, there is none
 * (RFC 7208 6.2). */
bool spf_eval_explain(struct spf_guard *guard);

#endif
