/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_DNS_PACKET_H
#define POSTERN_DNS_PACKET_H

#include <postern/dns.h>

/* Longest time an answer is kept: a day; a negative one five minutes, so that a name that was just
 * published is soon seen; a fault of the servers one second, so that they are not hammered. */
enum {
    PACKET_TTL_MAX_S = 86400,
    PACKET_NEGATIVE_TTL_MAX_S = 300,
    PACKET_FAULT_TTL_S = 1,
};

/* Parses a DNS message (RFC 1035 4) that answers the question NAME (as names_read() writes it),
 * TYPE: follows CNAMEs from NAME and takes the records of TYPE at the end of the chain.  NOW is
 * clock_ms(); SECURE is what validation found.  A message that is malformed, cut short, or answers
 * another question is DNS_FAULT. Never NULL; the caller owns the reference.  Safe from any thread.
 */
const struct dns_answer *packet_answer(const char *name, enum dns_type type, const uint8_t *packet,
                                       size_t length, bool secure, int64_t now);

/* "SERVFAIL" for 2, ...; "odd RCODE" for what has no name. */
const char *packet_rcode_name(unsigned rcode);

#endif
