/* SPDX-License-Identifier: MIT */
#ifndef DNSBL_CODES_H
#define DNSBL_CODES_H

#include <postern/addr.h>
#include <postern/dns.h>

/*
 * Return codes of DNS lists (RFC 5782 2.3): which addresses in an answer mean that the subject is
 * listed, and which mean that the list did not answer at all.
 */

/* One pattern: an address lies in it when each octet lies in its range.  "127.0.*.1-3" */
struct dnsbl_range {
    uint8_t low[4], high[4];
};

struct dnsbl_ranges {
    const struct dnsbl_range *items;
    size_t count;
};

/* Reads "127.0.0.2", "127.0.0.2-11", "127.0.*.1-3".  False, with the reason in *problem (a
 * constant), for what is no pattern, lies outside 127/8, or can match nothing but codes that are
 * never listings. */
bool dnsbl_codes_parse(const char *text, struct dnsbl_range *range, const char **problem);

bool dnsbl_codes_match(const struct dnsbl_ranges *ranges, const struct addr *code);

enum dnsbl_code {
    DNSBL_CODE_LISTING, /* says something of the subject */
    DNSBL_CODE_REFUSED, /* the list refuses to answer us: 127.255.255.x and its kin */
    DNSBL_CODE_ALIEN,   /* outside 127/8: whoever answers is no list (RFC 6471 3.3) */
};

/* What an address in an answer is.  OWN are the codes that any block names for the zone: 127.0.0.1,
 * 127.0.0.255 and 127.0.1.255, with which some lists refuse a query, are listings only where one of
 * them is named by itself, not as part of a range. */
enum dnsbl_code dnsbl_codes_meaning(const struct dnsbl_ranges *own, const struct addr *code);

/* The first address in the answer that is no listing, or NULL: a single one spoils the whole
 * answer. */
const struct addr *dnsbl_codes_odd(const struct dnsbl_ranges *own, const struct dns_answer *answer);

#endif
