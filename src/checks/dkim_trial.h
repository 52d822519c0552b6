/* SPDX-License-Identifier: MIT */
#ifndef CHECKS_DKIM_TRIAL_H
#define CHECKS_DKIM_TRIAL_H

#include "dkim_stream.h"

/*
 * What becomes of one signature of a message once the DNS has said what its key is (RFC 6376 6.1).
 * No DNS here: answers come in.
 */
struct dkim_trial {
    enum dkim_result result;
    const char *reason; /* "" for RESULT_PASS; goes on behind "the signature of example.org" */
    unsigned bits;      /* of the key; 0 when that is not known */
    const char *key;    /* the key record that it comes from, printable; "" for none */
    bool awaited;       /* the key is not there yet */
};

/* Signature NUMBER of the message before there is an answer: awaited where a key is asked for. */
struct dkim_trial dkim_trial_begin(const struct dkim_stream *stream, size_t number);

/* Its end.  STREAM is over.  ANSWER is that to the question for its key; NULL: there was none in
 * time.  Texts live in ARENA or are constants. */
struct dkim_trial dkim_trial_end(const struct dkim_stream *stream, size_t number,
                                 const struct dns_answer *answer, struct arena *arena);

/* From good to bad, 0 for RESULT_PASS: which is the best result of several, of signatures and of
 * keys.  What could not be found out may be as good as any. */
int dkim_result_rank(enum dkim_result result);

#endif
