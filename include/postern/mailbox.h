/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_MAILBOX_H
#define POSTERN_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

/*
 * A mail address as an SMTP client or a local program gave it (RFC 5321 4.1.2), and its canonical
 * form: source route dropped, needless quotes removed, domain canonical (domain.h).  The local
 * part keeps its case; whoever compares it does so without case.
 */
struct mailbox {
    /* As the client sent it, without the angle brackets; may hold any byte but NUL. */
    const char *sent;
    /* local@domain, local alone when there is no domain, "" for the null path; quoted where RFC
     * 5321 needs it.  A domain that is none stands here as it was sent, so that "root@" or
     * "root@.." never pass for the local "root". */
    const char *address;
    const char *local;  /* unquoted local part; "" for the null path */
    const char *domain; /* canonical; "" when there is none, or it is a literal or no domain name */
    const char *literal; /* "[192.0.2.1]" when the domain is an address literal, else "" */
    bool null;           /* the null reverse-path <>, or nothing at all (from a local program) */
    /* Obeys the grammar; the other members are best effort where it does not.  Angle brackets may
     * be missing, a trailing dot and '_' in the domain are forgiven, UTF-8 is taken as RFC 6531 has
     * it, and only postmaster may stand without a domain. */
    bool well_formed;
};

/* Longer input is cut to this, before its domain, and not well formed. */
enum { MAILBOX_MAX = 1024 };

/* Reads TEXT: "<a@example.org>", "a@example.org", "<>", "<@relay:a@example.org>", "<\"a\"@b>",
 * "<bob@example.org.>", "<postmaster>".  Never fails: hostile input gives a mailbox that is not
 * well formed.  All strings live in ARENA (or are constants). */
struct mailbox mailbox_parse(struct arena *arena, const char *text);

/* Whether LOCAL is one of the local parts that Postfix treats as its own, whatever tables say:
 * postmaster, mailer-daemon, double-bounce.  Pure. */
bool mailbox_is_reserved(const char *local);

/* LOCAL@DOMAIN with the local part (unquoted) quoted where RFC 5321 needs it; local alone when
 * there is no domain, "" when there is neither.  Lives in ARENA or is one of the arguments. */
const char *mailbox_format(struct arena *arena, const char *local, const char *domain);

#endif
