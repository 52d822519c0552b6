/* SPDX-License-Identifier: MIT */
#ifndef SPF_GRAMMAR_H
#define SPF_GRAMMAR_H

#include <postern/addr.h>

/*
 * The grammar of SPF records (RFC 7208 12), term by term.  A record may be as long as a DNS answer
 * and may have tens of thousands of terms, so nothing is stored here: whoever reads a record keeps
 * the terms that matter to him.  Pure; no locks.
 */
enum spf_kind {
    SPF_KIND_ALL,
    SPF_KIND_INCLUDE,
    SPF_KIND_A,
    SPF_KIND_MX,
    SPF_KIND_PTR,
    SPF_KIND_IP4,
    SPF_KIND_IP6,
    SPF_KIND_EXISTS,
    SPF_KIND_REDIRECT, /* the modifiers from here on */
    SPF_KIND_EXP,
    SPF_KIND_OTHER, /* an unknown modifier, to be ignored */
};

/* Texts point into the record. */
struct spf_term {
    enum spf_kind kind;
    char qualifier;   /* '+' '-' '~' '?'; 0 for modifiers */
    const char *text; /* as written */
    size_t length;
    const char *spec;     /* domain-spec; of an unknown modifier its value */
    size_t spec_length;   /* 0: none, which means the domain whose record it is */
    struct net net;       /* ip4, ip6 */
    uint8_t bits4, bits6; /* a, mx: prefix lengths, 32 and 128 when not given */
};

struct spf_scan {
    const char *next, *end;
    const char *problem; /* what is wrong with the last term; "" */
    bool redirect, exp;  /* has been seen */
};

enum spf_scan_result {
    SPF_SCAN_TERM, /* *term is set */
    SPF_SCAN_END,  /* no more terms */
    SPF_SCAN_BAD,  /* scan->problem says why; term->text and length are what is wrong */
};

/* Whether a TXT record is an SPF record at all: "v=spf1" in any case, then a space or the end
 * (RFC 7208 4.5). */
bool spf_is_record(const char *text, size_t length);

/* TEXT is such a record. It is borrowed. */
void spf_scan_begin(struct spf_scan *scan, const char *text, size_t length);

/* The next term.  After SPF_SCAN_BAD the rest is not looked at: a record with one syntax error
 * anywhere is a permerror (RFC 7208 4.6), so it must be read to its end before a term of it is
 * used. */
enum spf_scan_result spf_scan_next(struct spf_scan *scan, struct spf_term *term);

/* Whether TEXT is a domain-spec. */
bool spf_domain_spec_valid(const char *text, size_t length);

#endif
