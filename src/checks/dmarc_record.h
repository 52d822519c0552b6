/* SPDX-License-Identifier: MIT */
#ifndef DMARC_RECORD_H
#define DMARC_RECORD_H

#include <stdbool.h>
#include <stddef.h>

/*
 * One DMARC record: the TXT record at _dmarc.DOMAIN (RFC 9989 4.7), as far as it matters for a
 * verdict; reporting is left out.  Pure.
 */
enum dmarc_policy { DMARC_NONE, DMARC_QUARANTINE, DMARC_REJECT };

enum dmarc_psd {
    DMARC_PSD_UNSAID, /* psd=u or nothing */
    DMARC_PSD_YES,    /* the name is a public suffix */
    DMARC_PSD_NO,     /* the name is an organizational domain */
};

struct dmarc_record {
    /* What the owner asks for, before `t`: for the name itself, for existing names below it, and
     * for those that do not exist. Where sp or np are missing, np is as sp and sp as p. */
    enum dmarc_policy p, sp, np;
    bool usable; /* false: it asks for nothing that can be understood, so there is no DMARC (RFC
                    9989 4.10.1) */
    bool strict_dkim; /* adkim=s */
    bool strict_spf;  /* aspf=s */
    bool testing;     /* t=y */
    enum dmarc_psd psd;
};

/* Reads the LENGTH bytes at TEXT.  False when they are no DMARC record: they do not begin with the
 * tag v=DMARC1.  Whatever else is wrong in a record leaves it one: unknown tags, tags with bad
 * values and all but the first of several with one name are passed over. */
bool dmarc_record_parse(const char *text, size_t length, struct dmarc_record *record);

/* What t=y makes of a policy: one step less (RFC 9989 4.7). */
enum dmarc_policy dmarc_policy_tested(enum dmarc_policy policy);

#endif
