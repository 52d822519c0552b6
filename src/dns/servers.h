/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_DNS_SERVERS_H
#define POSTERN_DNS_SERVERS_H

#include <stdbool.h>
#include <stddef.h>

#include <net/if.h>

#include <postern/addr.h>

/* Which servers are asked: addresses, in the form that libunbound reads. */
enum {
    SERVERS_MAX = 16,
    SERVERS_TEXT_SIZE = ADDR_TEXT_SIZE + 1 + IF_NAMESIZE + sizeof("@65535"),
};

struct servers {
    size_t count;
    char texts[SERVERS_MAX][SERVERS_TEXT_SIZE]; /* "192.0.2.53", "127.0.0.1@5353", "fe80::1%eth0" */
};

/* Adds one server: an address, with "%interface" behind an IPv6 one and, when PORT is allowed,
 * "@port". False when TEXT is no such thing; then nothing is added. */
bool servers_add(struct servers *servers, const char *text, bool port);

/* Takes the servers that were named.  0, or -1 and a text in *error (to be freed). */
int servers_from_list(struct servers *servers, const char *const *texts, size_t count,
                      char **error);

/* Takes the nameserver lines of a resolv.conf(5).  Lines that name no address are logged and
 * skipped, as all readers of that file do.  0, or -1 and a text in *error (to be freed) when the
 * file cannot be read or leaves no server. */
int servers_from_file(struct servers *servers, const char *path, char **error);

#endif
