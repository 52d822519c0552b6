/* SPDX-License-Identifier: MIT */
#include "nsd.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FOLDER_SIZE = 256 };

struct nsd {
    pid_t pid; /* and its process group */
    unsigned port;
    char server[32];
    char folder[FOLDER_SIZE];
};

enum { READY_TRIES = 100, READY_WAIT_MS = 100, PATH_SIZE = FOLDER_SIZE + 32 };

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static struct sockaddr_in loopback(unsigned port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* Binds a socket; returns it, or -1. */
static int bound_socket(int type, unsigned port)
{
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    struct sockaddr_in sa = loopback(port);

    if (fd < 0)
        die("socket");
    if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
        return fd;
    close(fd);
    return -1;
}

unsigned free_port(void)
{
    enum { TRIES = 100 };

    for (int i = 0; i < TRIES; i++) {
        int tcp = bound_socket(SOCK_STREAM, 0);
        struct sockaddr_in sa;
        socklen_t size = sizeof(sa);

        if (tcp < 0 || getsockname(tcp, (struct sockaddr *)&sa, &size) != 0)
            die("free port");
        int udp = bound_socket(SOCK_DGRAM, ntohs(sa.sin_port));

        close(tcp);
        if (udp >= 0) {
            close(udp);
            return ntohs(sa.sin_port);
        }
    }
    die("no free port");
    return 0;
}

static void write_file(const struct nsd *nsd, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void write_file(const struct nsd *nsd, const char *name, const char *format, ...)
{
    char path[PATH_SIZE];
    va_list args;

    snprintf(path, sizeof(path), "%s/%s", nsd->folder, name);
    FILE *file = fopen(path, "we");

    if (!file)
        die(path);
    va_start(args, format);
    vfprintf(file, format, args);
    va_end(args);
    if (fclose(file) != 0)
        die(path);
}

/* Whether it answers a question for the root's SOA. */
static int answers(const struct nsd *nsd)
{
    static const unsigned char question[] = {1, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 1};
    int fd = bound_socket(SOCK_DGRAM, 0);
    struct sockaddr_in sa = loopback(nsd->port);
    char answer[512];
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    int good = 0;

    if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 &&
        send(fd, question, sizeof(question), 0) > 0 && poll(&poller, 1, READY_WAIT_MS) == 1)
        good = recv(fd, answer, sizeof(answer), 0) > 0;
    close(fd);
    if (!good)
        usleep(READY_WAIT_MS * 1000 / 4);
    return good;
}

static void run(const struct nsd *nsd)
{
    char config[PATH_SIZE];

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(config, sizeof(config), "%s/nsd.conf", nsd->folder);
    execlp("/usr/sbin/nsd", "nsd", "-d", "-c", config, (char *)NULL);
    die("/usr/sbin/nsd (Debian package nsd)");
}

struct nsd *nsd_start_zone(const char *name, const char *text, unsigned port)
{
    struct nsd *nsd = calloc(1, sizeof(*nsd));

    if (!nsd)
        die("calloc");
    const char *parent = getenv("TMPDIR");

    snprintf(nsd->folder, sizeof(nsd->folder), "%s/nsd-XXXXXX", parent ? parent : "/tmp");
    if (!mkdtemp(nsd->folder))
        die("mkdtemp");
    nsd->port = port ? port : free_port();
    snprintf(nsd->server, sizeof(nsd->server), "127.0.0.1@%u", nsd->port);
    write_file(nsd, "zone", "%s", text);
    write_file(nsd, "nsd.conf",
               "server:\n  ip-address: 127.0.0.1\n  port: %u\n  username: \"\"\n  zonesdir: \"\"\n"
               "  database: \"\"\n  pidfile: \"\"\n  logfile: \"%s/log\"\n  xfrdir: \"%s\"\n"
               "  xfrdfile: \"%s/xfrd.state\"\n  zonelistfile: \"%s/zone.list\"\n"
               "  server-count: 1\n  rrl-ratelimit: 0\n"
               "remote-control:\n  control-enable: no\n"
               "zone:\n  name: \"%s\"\n  zonefile: \"%s/zone\"\n",
               nsd->port, nsd->folder, nsd->folder, nsd->folder, nsd->folder, name, nsd->folder);

    nsd->pid = fork();
    if (nsd->pid < 0)
        die("fork");
    if (nsd->pid == 0)
        run(nsd);
    setpgid(nsd->pid, nsd->pid);
    for (int i = 0; i < READY_TRIES; i++) {
        if (answers(nsd))
            return nsd;
        if (waitpid(nsd->pid, NULL, WNOHANG) != 0)
            break;
    }
    fprintf(stderr, "nsd does not answer on port %u; see %s/log\n", nsd->port, nsd->folder);
    kill(-nsd->pid, SIGKILL);
    exit(1);
}

struct nsd *nsd_start(const char *records, unsigned port)
{
    static const char head[] = "$ORIGIN .\n$TTL 300\n"
                               "@ SOA ns.test. host.test. 1 3600 600 86400 60\n"
                               "@ NS ns.test.\nns.test. A 127.0.0.1\n";
    char *text = malloc(sizeof(head) + strlen(records));

    if (!text)
        die("malloc");
    strcpy(text, head);
    strcat(text, records);
    struct nsd *nsd = nsd_start_zone(".", text, port);

    free(text);
    return nsd;
}

unsigned nsd_port(const struct nsd *nsd)
{
    return nsd->port;
}

const char *nsd_server(const struct nsd *nsd)
{
    return nsd->server;
}

void nsd_signal(struct nsd *nsd, int number)
{
    if (kill(-nsd->pid, number) != 0)
        die("kill nsd");
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void nsd_stop(struct nsd *nsd)
{
    enum { DESCRIPTORS = 8 };

    kill(-nsd->pid, SIGKILL);
    waitpid(nsd->pid, NULL, 0);
    if (nftw(nsd->folder, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS) != 0)
        die(nsd->folder);
    free(nsd);
}
