/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_RESULTS_H
#define POSTERN_RESULTS_H

#include <postern/facts.h>
#include <postern/mailbox.h>

struct arena;

/*
 * Facts as header fields for those who read the message later: Authentication-Results (RFC 8601)
 * and Received-SPF (RFC 7208 9.1).  Pure: finds nothing out, and reads no fields.
 *
 * A fact that the program does not know is left out, and a method whose result it does not know.
 */
enum results_method {
    RESULTS_SPF = 1,    /* smtp.mailfrom or smtp.helo */
    RESULTS_DKIM = 2,   /* one a signature: header.d, .s, .a, .i, .b */
    RESULTS_DMARC = 4,  /* header.from, policy.dmarc */
    RESULTS_ARC = 8,    /* smtp.remote-ip, header.oldest-pass */
    RESULTS_IPREV = 16, /* policy.iprev */
    RESULTS_DNSWL = 32, /* one a list: dns.zone, policy.ip (RFC 8904) */
};

/* Method number I's word ("spf" is 0), in the order of the enum; NULL past the last. */
const char *results_word(unsigned i);

/* A list of good senders. */
struct results_list {
    const char *name; /* as dnsbl.lists names it */
    const char *zone; /* as it is shown */
};

struct results;

/* METHODS: bits of enum results_method.  LISTS, for dnswl, is borrowed.  In ARENA. */
struct results *results_new(struct arena *arena, const struct layout *layout, unsigned methods,
                            bool received_spf, const struct results_list *lists, size_t list_count);

/* The facts that are shown: what must be known (or in fault) before a field is made. */
size_t results_slots(const struct results *results, const slot_t **slots);

struct results_values {
    const struct view *view;
    const char *id; /* authserv-id: the name of this host */
    struct addr client;
    const char *helo; /* as sent */
    const struct mailbox *sender;
};

/* The value of the Authentication-Results field, without the blank behind the colon, folded so that
 * no line is longer than 77 columns unless one word of it is; NULL where no method is to be shown.
 * What comes from outside is cleaned, cut and quoted.  In ARENA. */
const char *results_field(struct arena *arena, const struct results *results,
                          const struct results_values *values);

/* The same of Received-SPF; NULL where it is not to be shown. */
const char *results_received_spf(struct arena *arena, const struct results *results,
                                 const struct results_values *values);

/* Whether a Received-SPF field with this value says to be from ID. */
bool results_spf_claims(const char *value, const char *id);

#endif
