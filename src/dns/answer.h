/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_DNS_ANSWER_H
#define POSTERN_DNS_ANSWER_H

#include <postern/dns.h>

/* DNS_FAULT for the question, to be kept until EXPIRES.  The caller owns the reference. */
const struct dns_answer *answer_fault(const char *name, enum dns_type type, const char *problem,
                                      int64_t expires);

/* The memory an answer takes. */
size_t answer_bytes(const struct dns_answer *answer);

#endif
