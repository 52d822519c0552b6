/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_TABLE_KEYS_H
#define POSTERN_TABLE_KEYS_H

#include "table_backend.h"

/*
 * Keys on both sides: the form in which a table keeps them, and the order in which a lookup tries
 * them (access(5) and virtual(5) of Postfix).  Pure; safe from any thread.
 */
enum { KEY_MAX = 1000 };

enum key_class {
    KEY_TEXT,      /* any other word */
    KEY_ADDR,      /* 192.0.2.1 */
    KEY_NET,       /* 192.0.2.0/24 */
    KEY_PREFIX,    /* 192.0.2 or 2001:db8: the first parts of an address */
    KEY_DOMAIN,    /* example.org */
    KEY_PARENT,    /* .example.org */
    KEY_MAILBOX,   /* user@example.org */
    KEY_USER_AT,   /* user@ */
    KEY_AT_DOMAIN, /* @example.org */
};

struct key {
    enum key_class class;
    char text[KEY_MAX + 1]; /* canonical: lower case, A-labels, addresses as RFC 5952 has them */
    struct net net;         /* KEY_NET, KEY_ADDR */
};

/* Reads a key as an administrator wrote it.  False when it is none, with the reason in PROBLEM (a
 * sentence that goes on after the key: "is no network"). */
bool key_parse(const char *text, size_t length, struct key *key, char problem[static 128]);

/* Lower case, ASCII only; at most KEY_MAX bytes.  Returns TO. */
char *key_fold(char to[static KEY_MAX + 1], const char *text, size_t length);

/* The length of LOCAL without its address extension, as Postfix splits it: at the first of the
 * characters in DELIMITER, unless nothing stands before it; postmaster, mailer-daemon and
 * double-bounce have none, nor, with '-', owner-X and X-request.  The length of LOCAL when it has
 * none. */
size_t key_base_length(const char *local, const char *delimiter);

/* Takes one probe; true ends the walk. */
typedef bool key_probe_fn(void *arg, enum probe_form form, const char *text,
                          const struct addr *addr);

/* Calls PROBE with each key that a lookup of KEY tries, in order, until it returns true.  With
 * WHOLE, only with the first one, in its own case. */
void keys_walk(const struct table_key *key, bool whole, struct arena *arena, key_probe_fn *probe,
               void *arg);

#endif
