/* SPDX-License-Identifier: MIT */
#include "socket.h"

#include <postern/addr.h>
#include <postern/str.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- reading the name ---- */

static struct socket_name bad(const char *problem)
{
    return (struct socket_name){.kind = SOCKET_BAD, .problem = problem};
}

static struct socket_name parse_unix(const char *path)
{
    struct socket_name name = {.kind = SOCKET_UNIX};
    if (path[0] != '/')
        return bad("the path of a unix socket begins with /");
    if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
        return bad("the path of a unix socket may have 106 bytes at most");
    snprintf(name.path, sizeof(name.path), "%s", path);
    return name;
}

static bool parse_port(const char *text, unsigned *port)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || value == 0 || value > 65535)
        return false;
    *port = (unsigned)value;
    return true;
}

static struct socket_name parse_inet(enum socket_kind kind, const char *text)
{
    struct socket_name name = {.kind = kind};
    const char *at = strchr(text, '@');
    const char *colon = strrchr(text, ':');
    const char *host, *port;
    size_t length;
    char number[8] = "";
    if (at != NULL) { /* libmilter's own order, PORT@HOST */
        length = (size_t)(at - text);
        if (length >= sizeof(number))
            return bad("the port of the socket is a number from 1 to 65535");
        memcpy(number, text, length);
        port = number;
        host = at + 1;
        length = strlen(host);
    } else if (colon != NULL) {
        host = text;
        length = (size_t)(colon - text);
        port = colon + 1;
    } else {
        return bad("an inet socket is written inet:HOST:PORT, such as inet:127.0.0.1:8895");
    }
    if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
        host++;
        length -= 2;
    }
    if (length == 0 || length >= sizeof(name.host))
        return bad("an inet socket is written inet:HOST:PORT, such as inet:127.0.0.1:8895");
    memcpy(name.host, host, length);
    if (!parse_port(port, &name.port))
        return bad("the port of the socket is a number from 1 to 65535");
    if (strcmp(name.host, "localhost") == 0)
        snprintf(name.host, sizeof(name.host), "%s", kind == SOCKET_INET6 ? "::1" : "127.0.0.1");
    struct addr addr;
    if (!addr_parse(name.host, &addr))
        return bad("the host of an inet socket must be an address");
    name.kind = addr.family == ADDR_IPV6 ? SOCKET_INET6 : SOCKET_INET;
    char written[ADDR_TEXT_SIZE];
    snprintf(name.host, sizeof(name.host), "%s", addr_format(&addr, written));
    return name;
}

struct socket_name socket_parse(const char *text)
{
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5);
    if (strncmp(text, "local:", 6) == 0)
        return parse_unix(text + 6);
    if (strncmp(text, "inet:", 5) == 0)
        return parse_inet(SOCKET_INET, text + 5);
    if (strncmp(text, "inet6:", 6) == 0)
        return parse_inet(SOCKET_INET6, text + 6);
    if (strncmp(text, "fd:", 3) == 0) {
        char *end;
        long fd = strtol(text + 3, &end, 10);
        if (text[3] < '0' || text[3] > '9' || *end != '\0' || fd > 65535)
            return bad("an inherited socket is written fd:NUMBER, with systemd fd:3");
        return (struct socket_name){.kind = SOCKET_FD, .fd = (int)fd};
    }
    return bad("a socket is written unix:PATH, inet:HOST:PORT, inet6:[HOST]:PORT or fd:NUMBER");
}

bool socket_same(const struct socket_name *one, const struct socket_name *other)
{
    return one->kind == other->kind && strcmp(one->path, other->path) == 0 &&
           strcmp(one->host, other->host) == 0 && one->port == other->port && one->fd == other->fd;
}

void socket_libmilter_name(const struct socket_name *name, char *out, size_t size)
{
    int n = -1;
    switch (name->kind) {
    case SOCKET_UNIX:
        n = snprintf(out, size, "unix:%s", name->path);
        break;
    case SOCKET_INET:
        n = snprintf(out, size, "inet:%u@%s", name->port, name->host);
        break;
    case SOCKET_INET6:
        n = snprintf(out, size, "inet6:%u@%s", name->port, name->host);
        break;
    case SOCKET_FD:
        n = snprintf(out, size, "fd:%d", name->fd);
        break;
    case SOCKET_BAD:
        break;
    }
    if (n < 0 || (size_t)n >= size)
        out[0] = '\0';
}

/* ---- before and after libmilter opens it ---- */

static int connect_unix(const char *path)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    strncpy(sun.sun_path, path, sizeof(sun.sun_path) - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) != 0 && errno != EAGAIN) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static char *prepare_unix(const char *path)
{
    struct stat status;
    if (lstat(path, &status) != 0) {
        if (errno == ENOENT) {
            char folder[256];
            snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path), path);
            if (folder[0] != '\0' && stat(folder, &status) != 0)
                return str_printf(
                    "the folder %s of the socket: %s; make it, writable for postern and "
                    "open to the MTA's group",
                    folder, strerror(errno));
            return NULL;
        }
        return str_printf("the socket %s: %s", path, strerror(errno));
    }
    if (!S_ISSOCK(status.st_mode))
        return str_printf("%s is there already and is no socket; remove it or name another path",
                          path);
    int fd = connect_unix(path);
    if (fd >= 0) {
        close(fd);
        return str_printf("another process is listening at %s; stop it first", path);
    }
    if (errno != ECONNREFUSED)
        return str_printf("cannot tell whether someone is listening at %s: %s", path,
                          strerror(errno));
    if (unlink(path) != 0)
        return str_printf("cannot remove the stale socket %s: %s", path, strerror(errno));
    return NULL;
}

static socklen_t inet_address(const struct socket_name *name, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    if (name->kind == SOCKET_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)name->port);
        inet_pton(AF_INET, name->host, &in->sin_addr);
        return sizeof(*in);
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons((uint16_t)name->port);
    inet_pton(AF_INET6, name->host, &in6->sin6_addr);
    return sizeof(*in6);
}

/* libmilter would only say "opensocket failed"; a trial bind finds the reason. */
static char *prepare_inet(const struct socket_name *name)
{
    struct sockaddr_storage address;
    socklen_t length = inet_address(name, &address);
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    char *problem = NULL;
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0)
        problem =
            str_printf("cannot listen at %s port %u: %s", name->host, name->port, strerror(errno));
    if (fd >= 0)
        close(fd);
    return problem;
}

static char *prepare_fd(int fd)
{
    int type = 0, listening = 0;
    socklen_t length = sizeof(type);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0)
        return str_printf("fd:%d is no socket (%s); is the unit started through its .socket unit?",
                          fd, strerror(errno));
    /* When nothing was inherited, the number may by now be a socket of the daemon's own. */
    length = sizeof(listening);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) != 0)
        listening = 0;
    if (type != SOCK_STREAM || listening == 0)
        return str_printf(
            "fd:%d is no socket that listens; is the unit started through its .socket "
            "unit?",
            fd);
    return NULL;
}

char *socket_prepare(const struct socket_name *name)
{
    switch (name->kind) {
    case SOCKET_UNIX:
        return prepare_unix(name->path);
    case SOCKET_INET:
    case SOCKET_INET6:
        return prepare_inet(name);
    case SOCKET_FD:
        return prepare_fd(name->fd);
    case SOCKET_BAD:
        break;
    }
    return str_printf("%s", name->problem);
}

static int bind_unix(const char *path)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    memcpy(sun.sun_path, path, strnlen(path, sizeof(sun.sun_path) - 1));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    mode_t before = umask(0177);
    int result = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
    umask(before);
    if (result == 0)
        return fd;
    close(fd);
    return -1;
}

static int bind_inet(const struct socket_name *name)
{
    struct sockaddr_storage address;
    socklen_t length = inet_address(name, &address);
    int on = 1;
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&address, length) == 0)
        return fd;
    close(fd);
    return -1;
}

int socket_listen(const struct socket_name *name, char **problem)
{
    /* Where all descriptors are in use, connections wait here for a while. */
    enum { BACKLOG = 4096 };
    int fd = -1;
    *problem = socket_prepare(name);
    if (*problem != NULL)
        return -1;
    if (name->kind == SOCKET_FD) {
        fd = name->fd;
        if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0)
            return fd;
    } else {
        fd = name->kind == SOCKET_UNIX ? bind_unix(name->path) : bind_inet(name);
        if (fd >= 0 && listen(fd, BACKLOG) == 0)
            return fd;
    }
    if (name->kind == SOCKET_UNIX)
        *problem = str_printf("cannot listen at %s: %s", name->path, strerror(errno));
    else
        *problem = str_printf("cannot listen: %s", strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

char *socket_own(const struct socket_name *name, const struct listen_options *listen)
{
    if (name->kind != SOCKET_UNIX)
        return NULL;
    uid_t uid = (uid_t)-1;
    gid_t gid = (gid_t)-1;
    if (listen->owner != NULL) {
        const struct passwd *user = getpwnam(listen->owner);
        if (user == NULL)
            return str_printf("there is no user '%s' to own the socket", listen->owner);
        uid = user->pw_uid;
    }
    if (listen->group != NULL) {
        const struct group *group = getgrnam(listen->group);
        if (group == NULL)
            return str_printf("there is no group '%s' for the socket", listen->group);
        gid = group->gr_gid;
    }
    if ((uid != (uid_t)-1 || gid != (gid_t)-1) && chown(name->path, uid, gid) != 0)
        return str_printf(
            "cannot give the socket %s to %s:%s: %s; postern must be root or a member of "
            "the group",
            name->path, listen->owner != NULL ? listen->owner : "",
            listen->group != NULL ? listen->group : "", strerror(errno));
    if (chmod(name->path, (mode_t)listen->perm) != 0)
        return str_printf("cannot set the permissions of %s: %s", name->path, strerror(errno));
    return NULL;
}

void socket_poke(const struct socket_name *name)
{
    int fd = -1;
    if (name->kind == SOCKET_UNIX) {
        fd = connect_unix(name->path);
    } else if (name->kind == SOCKET_INET || name->kind == SOCKET_INET6) {
        struct sockaddr_storage address;
        socklen_t length = inet_address(name, &address);
        fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0)
            (void)!connect(fd, (struct sockaddr *)&address, length);
    } else if (name->kind == SOCKET_FD) {
        struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
        socklen_t length = sizeof(address);
        if (getsockname(name->fd, (struct sockaddr *)&address, &length) == 0)
            fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0)
            (void)!connect(fd, (struct sockaddr *)&address, length);
    }
    if (fd >= 0)
        close(fd);
}
