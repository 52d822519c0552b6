/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_MILTER_SOCKET_H
#define POSTERN_MILTER_SOCKET_H

#include <postern/config.h>

/*
 * The listening socket as it is written in the configuration, in libmilter's words, and what must
 * be right about it before libmilter sees it: libmilter itself tells its reasons to syslog only.
 */
enum socket_kind { SOCKET_BAD, SOCKET_UNIX, SOCKET_INET, SOCKET_INET6, SOCKET_FD };

struct socket_name {
    enum socket_kind kind;
    char path[256]; /* unix */
    char host[128]; /* inet, inet6 */
    unsigned port;
    int fd;
    const char *problem; /* SOCKET_BAD: a constant sentence */
};

/* Reads "unix:PATH" ("local:PATH"), "inet:HOST:PORT" or "inet:PORT@HOST", "inet6:[HOST]:PORT",
 * "fd:N". */
struct socket_name socket_parse(const char *text);

/* Whether both are the same socket, however each is written. */
bool socket_same(const struct socket_name *one, const struct socket_name *other);

/* The same for smfi_setconn(3). */
void socket_libmilter_name(const struct socket_name *name, char *out, size_t size);

/* Makes the way free: a stale unix socket is removed, a live one, or something else at its path, is
 * a problem. Returns NULL or a sentence (to be freed). */
char *socket_prepare(const struct socket_name *name);

/* Opens the socket and listens at it; who may connect to a unix socket is nobody yet.  The
 * descriptor does not block.  -1 and a sentence in *problem (to be freed). */
int socket_listen(const struct socket_name *name, char **problem);

/* Gives a unix socket its owner, group and permissions.  NULL or a sentence (to be freed). */
char *socket_own(const struct socket_name *name, const struct listen_options *listen);

/* One connection to the own socket and away, to wake an accept loop. */
void socket_poke(const struct socket_name *name);

#endif
