/* SPDX-License-Identifier: MIT */
#ifndef FROM_HEADER_H
#define FROM_HEADER_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

/*
 * The authors of a message: the addresses in its From fields (RFC 5322 3.4 and 4.4, RFC 6532, RFC
 * 6854) as mail programs really write them.
 *
 * Display names, comments and encoded words never give an address.  What breaks the grammar but has
 * only one meaning is read (a comma or an '@' in a display name that should have been quoted, a
 * missing bracket, closing quote or end of a comment, an '@' with nothing behind it after an
 * address in brackets).  Where two readers could see two addresses, both are counted; where it
 * cannot be told what the domain is, the author has none and the field is bad.  So nobody is given
 * a domain that a mail program would not show.
 *
 * Pure; each field takes time in proportion to its length.
 */
struct from_author {
    const char *sent;    /* as it stands in the field */
    const char *address; /* canonical: local@domain, local@[literal]; "" when it cannot be told */
    const char *domain;  /* canonical; "" for literals, and when it cannot be told */
};

enum {
    FROM_AUTHORS_KEPT = 8,   /* further ones are counted only */
    FROM_FIELD_MAX = 1 << 15 /* octets; a longer field is not read */
};

/* A zeroed struct is a message without any From field. */
struct from_header {
    size_t fields; /* From fields */
    size_t count;  /* author addresses of all fields */
    struct from_author authors[FROM_AUTHORS_KEPT];
    bool several_domains; /* the authors do not share one domain */
    bool bad;             /* a field has no address, or one that has no certain meaning */
    bool unclear;         /* nobody can tell which addresses a field has */
    bool too_big;         /* a field is longer than FROM_FIELD_MAX */
};

/* Reads one more From field: LENGTH bytes at TEXT, its body, folded lines and all.  Never fails.
 * What is kept lives in ARENA. */
void from_header_add(struct from_header *from, struct arena *arena, const char *text,
                     size_t length);

/* The one domain that all authors share, or "" when there is none such. */
const char *from_header_domain(const struct from_header *from);

/* Whether NAME, which may have blanks behind it (RFC 5322 4.5), is that of a From field. */
bool from_header_is(const char *name);

#endif
