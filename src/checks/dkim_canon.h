/* SPDX-License-Identifier: MIT */
#ifndef CHECKS_DKIM_CANON_H
#define CHECKS_DKIM_CANON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str;

/*
 * Canonicalisation of header fields and bodies (RFC 6376 3.4), and the SHA-256 of a body as it
 * passes by.  Nothing of a body is kept: a chunk of any size costs the same memory.
 */
enum canon { CANON_SIMPLE, CANON_RELAXED };

/* Reads a c= tag without white space: "relaxed/simple", "relaxed" (the body is then simple), ""
 * (both are simple).  Words in any case.  False when it is none. */
bool canon_read(const char *text, enum canon *header, enum canon *body);

/* Adds the field to OUT without a CRLF behind it.  VALUE is all that stood behind the colon, LENGTH
 * bytes; lines folded with LF alone are taken as folded with CRLF. */
void canon_header(struct str *out, enum canon canon, const char *name, const char *value,
                  size_t length);

/* The hash of a body.  One owner, any thread. */
struct body_hash;

enum { BODY_HASH_SIZE = 32 };

/* Never NULL; free with body_hash_free(), which takes NULL. */
struct body_hash *body_hash_new(enum canon canon);
void body_hash_free(struct body_hash *hash);

/* The next bytes of the body, cut anywhere.  Lines end with CRLF; a CR or LF alone is a byte like
 * others. */
void body_hash_add(struct body_hash *hash, const unsigned char *bytes, size_t length);

/* The body is over.  Writes its hash and returns the length of the canonical body (what l= counts).
 * Once. */
uint64_t body_hash_end(struct body_hash *hash, unsigned char digest[BODY_HASH_SIZE]);

#endif
