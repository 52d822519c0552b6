/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_RESOLVER_H
#define POSTERN_RESOLVER_H

#include <postern/dns.h>

/*
 * The resolver: libunbound's event interface on a loop, one bounded cache of parsed answers in
 * front of it, identical questions in flight shared.  It answers for test., private and
 * documentation zones from its servers like for any other name, treats bogus data as a fault, and
 * never falls back to the root servers unless recursion was asked for by name.
 */
struct resolver_options {
    const char *const *servers; /* "192.0.2.53", "127.0.0.1@5353", "::1@53"; none: resolv_conf */
    size_t server_count;
    bool recursive;           /* ask the root servers and on; no forwarders */
    bool dnssec;              /* validate (trust anchor from trust_anchor); bogus is then a fault */
    const char *trust_anchor; /* file; NULL: /usr/share/dns/root.key */
    const char *resolv_conf;  /* NULL: /etc/resolv.conf */
    unsigned timeout_ms; /* for a question whose asker names none; 0: 3 s; none waits over 30 s */
    size_t cache_bytes;  /* bound of the cache of parsed answers */
};

struct resolver;

struct resolver_counters {
    uint64_t questions, hits, shared, sent, faults, timeouts;
    uint64_t in_flight; /* now */
    uint64_t cached;    /* entries now */
    uint64_t cached_bytes;
};

/* Whether the servers that are named can be used: reads no file and asks nobody.  0, or -1 and a
 * text in *error (to be freed). */
int resolver_check(const struct resolver_options *options, char **error);

/* NULL and a text in *error (to be freed) when the servers cannot be used: a server that is no
 * address, an unreadable resolv_conf, one without a nameserver (which libunbound would take for
 * recursion). */
struct resolver *resolver_new(struct loop *loop, const struct resolver_options *options,
                              char **error);

/* Ends it: every question in flight is answered with DNS_FAULT "shutting down" first.  The loop
 * still runs. Not from the loop's thread. */
void resolver_free(struct resolver *resolver);

/* The interface to ask through; lives as long as the resolver. */
struct dns *resolver_dns(struct resolver *resolver);

/* Asks and waits at most TIMEOUT_MS; for commands and tests.  Not from the loop's thread.  Returns
 * an answer with a reference that the caller owns, never NULL. */
const struct dns_answer *resolver_wait(struct resolver *resolver, const char *name,
                                       enum dns_type type, unsigned timeout_ms);

void resolver_count(const struct resolver *resolver, struct resolver_counters *counters);

/* Forgets all cached answers. */
void resolver_flush(struct resolver *resolver);

#endif
