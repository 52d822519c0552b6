/* SPDX-License-Identifier: MIT */
#include <postern/front.h>

#include "socket.h"
#include "wire_loop.h"

#include <postern/arena.h>
#include <postern/clock.h>
#include <postern/log.h>
#include <postern/loop.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

/*
 * The front that speaks the milter protocol itself: a few loops, among which connections are
 * shared out, and any number of listening sockets, each watched by one of the loops.
 */
enum {
    LOOPS_MAX = 4,
    ACCEPTS = 64, /* at a time, before others get their turn */
    /* libmilter's, which MTAs are used to. */
    IDLE_MS = 7210 * 1000,
    PART_MS = 60 * 1000,
    STARVED_MS = 500,    /* without a descriptor to spare */
    LINE_MS = 60 * 1000, /* one line in the log for all that happens meanwhile */
    /* Descriptors that connections leave to others, without which none of them could be answered:
     * the resolver's sockets (512 for UDP, 64 for TCP: dns/upstream.c), and some for tables,
     * record files, syslog and what the C library reads. */
    SPARE = 512 + 64 + 64,
    OWN_MAX = 1024, /* looked at, of what is open before the first connection */
};

struct listener {
    struct wire_front *front;
    struct wire_loop *home;
    const char *name;
    struct socket_name socket;
    int fd; /* -1: none */
    struct net *allow;
    size_t allow_count;
    struct event *event, *again;
    int64_t starved_at, refused_at; /* the last line about that; 0: none */
    unsigned refused;               /* since then */
};

struct wire_front {
    struct front front; /* first */
    struct engine *engine;
    struct config *config; /* keeps names alive */
    struct listener *listeners;
    size_t listener_count;
    struct wire_loop *loops[LOOPS_MAX];
    size_t loop_count;
    unsigned own;       /* descriptors open before the first connection */
    atomic_uint closed; /* listeners */
};

static struct wire_front *of(const struct front *front)
{
    return (struct wire_front *)(uintptr_t)front;
}

static unsigned connections(const struct wire_front *front)
{
    unsigned count = 0;
    for (size_t i = 0; i < front->loop_count; i++)
        count += wire_loop_count(front->loops[i]);
    return count;
}

/* ---- descriptors ---- */

static unsigned count_open(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < OWN_MAX; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* How many connections there may be: the limit may be changed while we run, by prlimit(1). */
static rlim_t room_for_connections(const struct wire_front *front, rlim_t *limit)
{
    struct rlimit now;
    if (getrlimit(RLIMIT_NOFILE, &now) != 0)
        now.rlim_cur = RLIM_INFINITY;
    *limit = now.rlim_cur;
    rlim_t free = now.rlim_cur > front->own ? now.rlim_cur - front->own : 0;
    /* Where there are few, both sides have half. */
    return free - (free / 2 < SPARE ? free / 2 : SPARE);
}

/* ---- accepting ---- */

/* The least used of the loops, and among equals the one that is awake. */
static struct wire_loop *least_used(const struct listener *listener)
{
    const struct wire_front *front = listener->front;
    struct wire_loop *least = listener->home;
    for (size_t i = 0; i < front->loop_count; i++)
        if (wire_loop_count(front->loops[i]) < wire_loop_count(least))
            least = front->loops[i];
    return least;
}

/* Whether it is time for another line, the last one having been at *LAST. */
static bool is_due(int64_t *last)
{
    int64_t now = clock_ms();
    if (*last != 0 && now - *last < LINE_MS)
        return false;
    *last = now;
    return true;
}

/* A unix socket has permissions instead. */
static bool may_connect(struct listener *listener, const struct sockaddr_storage *peer)
{
    struct addr addr = addr_from_sockaddr((const struct sockaddr *)peer);
    char text[ADDR_TEXT_SIZE];
    if (addr.family == ADDR_NONE || listener->allow_count == 0)
        return true;
    for (size_t i = 0; i < listener->allow_count; i++)
        if (net_contains(&listener->allow[i], &addr))
            return true;
    listener->refused++;
    if (is_due(&listener->refused_at)) {
        log_warning("listen %s: %s may not connect (%u refused since the last such line)",
                    listener->name, addr_format(&addr, text), listener->refused);
        listener->refused = 0;
    }
    return false;
}

#define MORE_DESCRIPTORS "more descriptors help (LimitNOFILE= in the unit, ulimit -Hn elsewhere)"

/* Without a descriptor the socket would be ready for ever: it rests for a moment, connections wait
 * in its queue. */
static void rest(struct listener *listener)
{
    const struct timeval moment = {.tv_usec = STARVED_MS * 1000};
    event_del(listener->event);
    event_add(listener->again, &moment);
}

static void starve(struct listener *listener, int error)
{
    if (is_due(&listener->starved_at))
        log_error("listen %s: no connection can be taken: %s; new ones wait%s", listener->name,
                  strerror(error), error == EMFILE ? ": " MORE_DESCRIPTORS : "");
    rest(listener);
}

/* Whether enough descriptors are left to answer those that are there. */
static bool has_room(struct listener *listener)
{
    rlim_t limit;
    unsigned count = connections(listener->front);
    if (count < room_for_connections(listener->front, &limit))
        return true;
    if (is_due(&listener->starved_at))
        log_error("listen %s: %u connections are open, and what is left of %ju descriptors is kept "
                  "for DNS, tables and records; new ones wait: " MORE_DESCRIPTORS,
                  listener->name, count, (uintmax_t)limit);
    rest(listener);
    return false;
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
    struct listener *listener = arg;
    (void)fd;
    (void)what;
    event_add(listener->event, NULL);
}

/* Whether there may be another one. */
static bool accept_one(struct listener *listener)
{
    struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof(peer);
    int on = 1;
    if (!has_room(listener))
        return false;
    int fd = accept4(listener->fd, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        int error = errno;
        if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM)
            starve(listener, error);
        return error == ECONNABORTED || error == EINTR;
    }
    if (!may_connect(listener, &peer)) {
        close(fd);
        return true;
    }
    if (peer.ss_family == AF_INET || peer.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    wire_loop_adopt(least_used(listener), fd, listener->name);
    return true;
}

static void on_connection(evutil_socket_t fd, short what, void *arg)
{
    struct listener *listener = arg;
    (void)fd;
    (void)what;
    for (int i = 0; i < ACCEPTS && accept_one(listener); i++)
        continue;
}

/* On its loop's thread. */
static void watch(void *arg)
{
    struct listener *listener = arg;
    struct event_base *base = loop_base(wire_loop_events(listener->home));
    listener->event = event_new(base, listener->fd, EV_READ | EV_PERSIST, on_connection, listener);
    listener->again = evtimer_new(base, on_again, listener);
    if (listener->event == NULL || listener->again == NULL || event_add(listener->event, NULL) != 0)
        abort(); /* libevent refuses only when malloc does */
}

static void unwatch(void *arg)
{
    struct listener *listener = arg;
    event_free(listener->event);
    event_free(listener->again);
    close(listener->fd);
    listener->fd = -1;
    atomic_fetch_add(&listener->front->closed, 1);
}

/* ---- opening ---- */

static bool reached_from_far(int fd)
{
    struct sockaddr_storage own = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof(own);
    if (getsockname(fd, (struct sockaddr *)&own, &length) != 0)
        return false;
    struct addr addr = addr_from_sockaddr((const struct sockaddr *)&own);
    return addr.family != ADDR_NONE && !addr_is_loopback(&addr);
}

/* Returns NULL or a sentence (to be freed). */
static char *open_listener(struct listener *listener, const struct listen_options *listen)
{
    char *problem = NULL;
    listener->name = listen->head.name;
    listener->socket = socket_parse(listen->socket);
    listener->allow = xcalloc(listen->allow.count, sizeof(listener->allow[0]));
    for (size_t i = 0; i < listen->allow.count; i++)
        if (net_parse(listen->allow.items[i], &listener->allow[listener->allow_count], NULL))
            listener->allow_count++;
    listener->fd = socket_listen(&listener->socket, &problem);
    if (listener->fd < 0)
        return problem;
    if (listener->allow_count == 0 && reached_from_far(listener->fd))
        return xstrdup("an inherited socket that is not on loopback needs 'allow { NETWORKS }'");
    return socket_own(&listener->socket, listen);
}

/* For sockets that no loop watches. */
static void close_sockets(struct wire_front *front)
{
    for (size_t i = 0; i < front->listener_count; i++) {
        struct listener *listener = &front->listeners[i];
        if (listener->fd >= 0)
            close(listener->fd);
        if (listener->fd >= 0 && listener->socket.kind == SOCKET_UNIX)
            unlink(listener->socket.path);
        listener->fd = -1;
    }
}

static void free_front(struct wire_front *front)
{
    close_sockets(front);
    for (size_t i = 0; i < front->listener_count; i++)
        free(front->listeners[i].allow);
    free(front->listeners);
    config_unref(front->config);
    free(front);
}

static struct front *wire_open(struct engine *engine, const struct listen_options *listens,
                               char **error)
{
    struct wire_front *front = xcalloc(1, sizeof(*front));
    size_t count = 0;
    front->front.kind = &front_wire;
    front->engine = engine;
    front->config = engine_config(engine);
    for (const struct block_head *head = &listens->head; head != NULL; head = head->next)
        count++;
    front->listeners = xcalloc(count, sizeof(front->listeners[0]));
    for (const struct block_head *head = &listens->head; head != NULL; head = head->next) {
        struct listener *listener = &front->listeners[front->listener_count++];
        listener->front = front;
        *error = open_listener(listener, (const struct listen_options *)(const void *)head);
        if (*error != NULL) {
            free_front(front);
            return NULL;
        }
    }
    return &front->front;
}

/* ---- serving ---- */

static size_t processors(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    return count < 1 ? 1 : count > LOOPS_MAX ? LOOPS_MAX : (size_t)count;
}

static int wire_start(struct front *base)
{
    static const struct wire_times times = {.idle_ms = IDLE_MS, .part_ms = PART_MS};
    struct wire_front *front = of(base);
    size_t count = processors();
    for (size_t i = 0; i < count; i++) {
        struct wire_loop *loop = wire_loop_new(front->engine, &times);
        if (loop == NULL)
            return -1;
        front->loops[front->loop_count++] = loop;
    }
    front->own = count_open();
    for (size_t i = 0; i < front->listener_count; i++) {
        front->listeners[i].home = front->loops[i % count];
        loop_post(wire_loop_events(front->listeners[i].home), watch, &front->listeners[i]);
    }
    return 0;
}

static bool wire_ended(const struct front *base)
{
    (void)base;
    return false;
}

static unsigned wire_busy(const struct front *base)
{
    const struct wire_front *front = of(base);
    unsigned busy = 0;
    for (size_t i = 0; i < front->loop_count; i++)
        busy += wire_loop_busy(front->loops[i]);
    return busy;
}

/* ---- stopping ---- */

/* Whether no connection is left. */
static bool wait_for_connections(const struct wire_front *front, int64_t until)
{
    while (connections(front) > 0 && clock_ms() < until)
        usleep(10000);
    return connections(front) == 0;
}

/* From then on no loop is given a connection any more. */
static void stop_listening(struct wire_front *front)
{
    for (size_t i = 0; i < front->listener_count; i++) {
        struct listener *listener = &front->listeners[i];
        if (listener->socket.kind == SOCKET_UNIX)
            unlink(listener->socket.path);
        loop_post(wire_loop_events(listener->home), unwatch, listener);
    }
    while (atomic_load(&front->closed) < front->listener_count)
        usleep(1000);
}

static bool wire_close(struct front *base, unsigned grace_ms)
{
    struct wire_front *front = of(base);
    bool listens = front->listener_count > 0 && front->listeners[0].home != NULL;
    if (listens)
        stop_listening(front);
    for (size_t i = 0; i < front->loop_count; i++)
        wire_loop_finish(front->loops[i]);
    if (!wait_for_connections(front, clock_ms() + grace_ms)) {
        for (size_t i = 0; i < front->loop_count; i++)
            wire_loop_drop(front->loops[i]);
        if (!wait_for_connections(front, clock_ms() + grace_ms))
            return false;
    }
    for (size_t i = 0; i < front->loop_count; i++)
        wire_loop_free(front->loops[i]);
    free_front(front);
    return true;
}

const struct front_kind front_wire = {
    .name = "wire",
    .many = true,
    .allow = true,
    .open = wire_open,
    .start = wire_start,
    .ended = wire_ended,
    .busy = wire_busy,
    .close = wire_close,
};
