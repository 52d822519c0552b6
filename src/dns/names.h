/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_DNS_NAMES_H
#define POSTERN_DNS_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Names as the resolver sees them (RFC 1035 3.1, 4.1.4).  A question's name is plain text: labels
 * between dots, every other byte stands for itself, since macros of SPF put any byte into names.
 * Names from packets are written unambiguously: a byte that is no printable ASCII, a space, a
 * backslash, or a dot within a label is \DDD there, so that no such name passes for another one.
 * All functions are pure.
 */
enum {
    NAMES_TEXT_SIZE = 254, /* a question's name and its NUL */
    NAMES_ESCAPED_SIZE =
        4 * 255,          /* the longest name of a packet, every byte escaped, and its NUL */
    NAMES_WIRE_MAX = 255, /* RFC 1035 2.3.4 */
};

/* Writes TEXT in lower case without a trailing dot; returns its length.  0 when it cannot be asked:
 * the root, an empty label, a label over 63 octets, a name over 253. */
size_t names_read(const char *text, char out[NAMES_TEXT_SIZE]);

/* Writes NAME, the output of names_read(), the way names of packets are written; returns its
 * length. */
size_t names_escape(const char *name, char out[NAMES_ESCAPED_SIZE]);

/* Reads the name at OFFSET of a packet into OUT: lower case, no trailing dot, "" for the root.
 * Returns the offset behind it, or 0 when it is malformed; OUT is then undefined. */
size_t names_from_wire(const uint8_t *packet, size_t length, size_t offset,
                       char out[NAMES_ESCAPED_SIZE]);

#endif
