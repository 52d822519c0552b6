/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_ADDR_H
#define POSTERN_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockaddr;

/*
 * IP addresses and networks as values.  An IPv4-mapped IPv6 address (::ffff:0:0/96) is the
 * IPv4 address everywhere.  All functions are pure and safe from any thread.
 */
enum addr_family { ADDR_NONE = 0, ADDR_IPV4 = 4, ADDR_IPV6 = 6 };

struct addr {
    uint8_t family;    /* enum addr_family */
    uint8_t bytes[16]; /* network order; the first 4 for IPv4, the rest zero */
};

struct net {
    struct addr addr; /* host bits are zero */
    uint8_t bits;
};

enum { ADDR_TEXT_SIZE = 46, ADDR_REVERSE_SIZE = 80, NET_TEXT_SIZE = ADDR_TEXT_SIZE + 4 };

/* Reads "192.0.2.1", "2001:db8::1", also "IPv6:2001:db8::1" and either in square brackets.
 * False for anything else; *addr is then ADDR_NONE. */
bool addr_parse(const char *text, struct addr *addr);

/* From a socket address; anything but AF_INET and AF_INET6 (or NULL) gives ADDR_NONE. */
struct addr addr_from_sockaddr(const struct sockaddr *sa);

/* Writes the canonical text (RFC 5952 for IPv6), "" for ADDR_NONE; returns TEXT. */
const char *addr_format(const struct addr *addr, char text[ADDR_TEXT_SIZE]);

bool addr_equal(const struct addr *a, const struct addr *b);

/* <0, 0, >0: a total order, IPv4 before IPv6. */
int addr_compare(const struct addr *a, const struct addr *b);

/* The address with all but the first BITS bits cleared (BITS is capped to the family's). */
struct addr addr_mask(const struct addr *addr, unsigned bits);

/* The name to ask a DNS list or a reverse zone, without the zone and without a trailing dot:
 * octets reversed for IPv4, 32 nibbles reversed for IPv6 (RFC 5782 2.1 and 2.4). Returns TEXT. */
const char *addr_reverse(const struct addr *addr, char text[ADDR_REVERSE_SIZE]);

/* 127/8 and ::1. */
bool addr_is_loopback(const struct addr *addr);

/* Reads "192.0.2.0/24", "2001:db8::/32" or a single address.  False for anything else, also for
 * bits out of range.  Host bits that are set are cleared, and *had_host_bits (may be NULL) says so.
 */
bool net_parse(const char *text, struct net *net, bool *had_host_bits);

/* Writes "192.0.2.0/24", "192.0.2.1/32"; returns TEXT. */
const char *net_format(const struct net *net, char text[NET_TEXT_SIZE]);

bool net_contains(const struct net *net, const struct addr *addr);

#endif
