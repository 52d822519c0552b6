/* SPDX-License-Identifier: MIT */
#ifndef SPF_AHEAD_H
#define SPF_AHEAD_H

struct spf_guard;

/*
 * Asks ahead.  An evaluation comes to one term after the other, and each may need an answer: "a mx
 * include:a.example include:b.example" would wait four times.  So when it has come to a halt, the
 * terms that it comes to next unless one matches are asked side by side: a, mx, include and
 * redirect, through all records that are known, as far as RFC 7208 4.6.4 lets it come.  Left out
 * is what depends on the message (macros: their questions tell the domain something), and ptr.
 *
 * A domain's record decides what is asked here, so there is a limit of its own: SPF_AHEAD_MAX.
 */
void spf_ahead(struct spf_guard *guard);

#endif
