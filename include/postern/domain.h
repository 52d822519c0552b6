/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_DOMAIN_H
#define POSTERN_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Domain names in canonical form: lower case, no trailing dot, A-labels (RFC 5891, through
 * libidn2), at most 253 octets.  Pure; safe from any thread.
 */
enum { DOMAIN_SIZE = 254 };

/* Writes the canonical form of the LENGTH bytes at TEXT.  Returns false, with OUT "", when they
 * are no domain name: empty, empty label, label over 63 or name over 253 octets, a byte that is
 * no letter, digit, '-' or '_' after conversion, invalid UTF-8, an address literal.
 * A name of digits and dots only (192.0.2.1) is no domain name. */
bool domain_canonical(const char *text, size_t length, char out[DOMAIN_SIZE]);

/* Whether NAME is PARENT or lies below it.  Both canonical; nothing lies below "". */
bool domain_within(const char *name, const char *parent);

/* The name without its first label, or NULL when it has only one. */
const char *domain_parent(const char *name);

/* Number of labels of a canonical name; 0 for "". */
size_t domain_labels(const char *name);

#endif
