/* SPDX-License-Identifier: MIT */
#ifndef SPF_MACRO_H
#define SPF_MACRO_H

#include <postern/addr.h>

struct arena;

/*
 * The macros of SPF records and explanations (RFC 7208 7).  Text comes from the DNS of strangers:
 * it may be as long as an answer can be and hold any byte.  Work and memory are bounded by what can
 * be used of the result.  Pure; no locks.
 */

/* One piece of a macro-string: a literal byte, or a macro-expand. */
struct spf_unit {
    bool macro;     /* a macro-expand: %{...}, %%, %_, %- */
    char letter;    /* of %{...}, lower case; 0 for the others */
    bool escape;    /* the letter was upper case: escape as in URLs */
    bool reverse;   /* transformer r */
    unsigned parts; /* how many right-hand parts; 0: all */
    const char *delimiters;
    size_t delimiter_count; /* 0: "." */
    const char *literal;    /* where there is no letter: the text it stands for */
    size_t literal_length;
};

/* Reads the unit at TEXT (LENGTH > 0).  Returns how many bytes it takes, 0 when it breaks the
 * grammar.  Spaces are literals here. */
size_t spf_unit_read(const char *text, size_t length, struct spf_unit *unit);

enum spf_macro_use {
    SPF_MACRO_TERM,        /* in a record: visible characters only, no letters c, r, t */
    SPF_MACRO_EXPLANATION, /* an explain-string: spaces and all letters */
};

/* Whether TEXT is a macro-string (explain-string). */
bool spf_macro_valid(const char *text, size_t length, enum spf_macro_use use);

/* Whether one of LETTERS (lower case) is used in TEXT. */
bool spf_macro_uses(const char *text, size_t length, const char *letters);

/* What the letters stand for.  No member is NULL. */
struct spf_macro_values {
    struct addr client;
    const char *local;         /* l: local part of the sender */
    const char *sender_domain; /* o */
    const char *domain;        /* d: the domain whose record it is */
    const char *helo;          /* h */
    const char *receiver;      /* r */
    const char *validated;     /* p: validated name of the client, or "unknown" */
    int64_t now;               /* t: seconds since 1970 */
};

/* The domain name that a valid domain-spec stands for, without a trailing dot, cut from the left
 * to 253 octets, label by label (RFC 7208 7.3); "" when nothing is left.  It may still be a name
 * that cannot be asked (empty or long labels).  In ARENA. */
const char *spf_macro_name(struct arena *arena, const char *spec, size_t length,
                           const struct spf_macro_values *values);

/* The explanation that a valid explain-string stands for, cut after SPF_EXPLANATION_MAX octets;
 * NULL when a byte of it is not visible ASCII or a space (RFC 7208 6.2).  In ARENA. */
enum { SPF_EXPLANATION_MAX = 1000 };
const char *spf_macro_text(struct arena *arena, const char *text, size_t length,
                           const struct spf_macro_values *values);

#endif
