/* SPDX-License-Identifier: MIT */
#include <postern/front.h>

#include "socket.h"

#include <string.h>

static const struct front_kind *kind_of(const struct config *config)
{
    return config->front == FRONT_WIRE ? &front_wire : &front_libmilter;
}

/* ---- what the configuration asks for, held against what the front can do ---- */

/* Where the option `socket` stands, which every listen block has. */
static const struct place *socket_place(const struct listen_options *listen)
{
    size_t count;
    const struct option_block *blocks = config_core_blocks(&count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(blocks[i].kind, "listen") == 0 && listen->head.places != NULL)
            return &listen->head.places[options_find(&blocks[i], "socket") - blocks[i].rows];
    return &listen->head.at;
}

static const struct place *allow_place(const struct listen_options *listen, size_t i)
{
    return listen->allow.places != NULL ? &listen->allow.places[i] : &listen->head.at;
}

static void check_networks(const struct listen_options *listen, struct diag *diag)
{
    for (size_t i = 0; i < listen->allow.count; i++) {
        const char *text = listen->allow.items[i];
        struct net net;
        bool had_host_bits = false;
        if (!net_parse(text, &net, &had_host_bits))
            diag_error(diag, allow_place(listen, i),
                       "'%s' is no network; allow takes addresses and networks such as "
                       "192.0.2.0/24",
                       text);
        else if (had_host_bits)
            diag_warning(diag, allow_place(listen, i),
                         "'%s' has bits set behind its prefix; the whole network may connect",
                         text);
    }
}

static void check_reach(const struct front_kind *kind, const struct listen_options *listen,
                        const struct socket_name *name, struct diag *diag)
{
    struct addr addr;
    bool given = listen->allow.count > 0;
    if (given && name->kind == SOCKET_UNIX)
        diag_error(diag, allow_place(listen, 0),
                   "allow is for inet sockets; who may connect to a unix socket is said by owner, "
                   "group and perm");
    else if (given && !kind->allow)
        diag_error(diag, allow_place(listen, 0),
                   "allow cannot be kept by this front, since libmilter does not show who "
                   "connects; write 'front wire;', or listen on loopback or a unix socket");
    else if (given)
        check_networks(listen, diag);
    else if ((name->kind == SOCKET_INET || name->kind == SOCKET_INET6) &&
             (!addr_parse(name->host, &addr) || !addr_is_loopback(&addr)))
        diag_error(diag, socket_place(listen),
                   "an inet socket that is not on loopback is refused%s: whoever reaches it could "
                   "claim any client address%s",
                   kind->allow ? " without 'allow { NETWORKS }'" : "",
                   kind->allow ? ""
                               : ", and libmilter does not show who connects; write 'front wire;' "
                                 "and name the MTA's networks with allow");
}

static void check_listen(const struct front_kind *kind, const struct config *config,
                         const struct listen_options *listen, struct diag *diag)
{
    struct socket_name name = socket_parse(listen->socket);
    if (name.kind == SOCKET_BAD) {
        diag_error(diag, socket_place(listen), "%s, not '%s'", name.problem, listen->socket);
        return;
    }
    if (listen != config->listens && !kind->many) {
        diag_error(diag, &listen->head.at,
                   "libmilter serves one socket a process; remove this listen block or write "
                   "'front wire;'");
        return;
    }
    for (const struct block_head *head = &config->listens->head; head != &listen->head;
         head = head->next) {
        struct socket_name other =
            socket_parse(((const struct listen_options *)(const void *)head)->socket);
        if (socket_same(&other, &name))
            diag_error(diag, socket_place(listen), "listen %s has the same socket", head->name);
    }
    check_reach(kind, listen, &name, diag);
}

bool front_check(const struct config *config, struct diag *diag)
{
    unsigned before = diag_errors(diag);
    if (config->listens == NULL)
        diag_error(diag, NULL, "%s: no listen block: the MTA could not reach the daemon",
                   config->path);
    for (const struct block_head *head = config->listens != NULL ? &config->listens->head : NULL;
         head != NULL; head = head->next)
        check_listen(kind_of(config), config, (const struct listen_options *)(const void *)head,
                     diag);
    return diag_errors(diag) == before;
}

const char *front_unix_path(const struct listen_options *listen)
{
    return socket_parse(listen->socket).kind == SOCKET_UNIX ? strchr(listen->socket, '/') : NULL;
}

/* ---- the one that was chosen ---- */

struct front *front_open(struct engine *engine, const struct config *config, char **error)
{
    return kind_of(config)->open(engine, config->listens, error);
}

int front_start(struct front *front)
{
    return front->kind->start(front);
}

bool front_ended(const struct front *front)
{
    return front->kind->ended(front);
}

unsigned front_busy(const struct front *front)
{
    return front->kind->busy(front);
}

bool front_close(struct front *front, unsigned grace_ms)
{
    return front == NULL || front->kind->close(front, grace_ms);
}
