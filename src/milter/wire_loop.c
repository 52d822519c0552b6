/* SPDX-License-Identifier: MIT */
#include "wire_loop.h"

#include "wire_session.h"

#include <postern/arena.h>
#include <postern/clock.h>
#include <postern/log.h>
#include <postern/loop.h>

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

/*
 * Bytes are read into one buffer of the loop and taken from there; a connection keeps only what is
 * left of them: the beginning of a packet, or what came while it waits.  Replies go from a buffer
 * of the loop straight to the socket; a connection keeps what the socket does not take, and then
 * reads no more until it has.
 */
enum {
    SCRATCH = 98304,       /* a full chunk of a body and more */
    GROWTH = 65536,        /* a packet that is on its way gets room as it comes */
    KEPT_STEP = 4096,      /* what comes while a connection waits; MTAs send nothing then */
    KEPT_WAITING = 131072, /* that it may send */
    SPOKEN_MAX = 65536,    /* of replies before they are sent */
    ROUNDS = 4,            /* reads, before others get their turn */
};

struct wire_link;

/* Connections in the order in which their time is up. */
struct links {
    struct wire_link *first, *last;
};

struct wire_loop {
    struct engine *engine;
    struct loop *loop;
    struct wire_times times;
    struct links quiet;   /* nothing is due from either side */
    struct links pressed; /* a part of a packet, or of a reply, is under way */
    struct event *tick;
    int64_t tick_at; /* 0: not set */
    char *scratch;
    struct str out;
    bool finishing;
    atomic_uint count, busy;
};

struct wire_link {
    struct wire_session wire;
    struct wire_loop *home;
    struct wire_link *next, *prev;
    struct links *list; /* NULL: none any more, the connection is closed */
    int64_t since;      /* clock_ms() */
    struct event event; /* something to read */
    struct event *room; /* in the socket; NULL unless out is to be sent */
    char *in;           /* octets that are not taken yet; NULL when there are none */
    size_t in_length, in_room;
    char *out; /* octets that the socket did not take; NULL when there are none */
    size_t out_length, out_sent;
    int fd;
    enum wire_state state;
    bool gone;    /* the peer */
    bool paused;  /* not read from */
    bool took;    /* a packet since the last settle() */
    bool counted; /* among the busy */
};

/* ---- lists and times ---- */

static void unlist(struct wire_link *link)
{
    struct links *list = link->list;
    *(link->prev != NULL ? &link->prev->next : &list->first) = link->next;
    *(link->next != NULL ? &link->next->prev : &list->last) = link->prev;
    link->list = NULL;
}

static void enlist(struct wire_link *link, struct links *list, int64_t now)
{
    if (link->list != NULL)
        unlist(link);
    link->list = list;
    link->since = now;
    link->next = NULL;
    link->prev = list->last;
    *(list->last != NULL ? &list->last->next : &list->first) = link;
    list->last = link;
}

static void set_tick(struct wire_loop *home, int64_t at, int64_t now)
{
    int64_t wait = at > now ? at - now : 1;
    struct timeval span = {.tv_sec = wait / 1000, .tv_usec = wait % 1000 * 1000};
    if (home->tick_at != 0 && home->tick_at <= at)
        return;
    home->tick_at = at;
    event_add(home->tick, &span);
}

/* ---- the end of a connection ---- */

static void link_free(struct wire_link *link)
{
    struct wire_loop *home = link->home;
    wire_session_fini(&link->wire);
    free(link->in);
    free(link->out);
    free(link);
    atomic_fetch_sub(&home->count, 1);
}

static void note_busy(struct wire_link *link, bool busy)
{
    if (busy && !link->counted)
        atomic_fetch_add(&link->home->busy, 1);
    else if (!busy && link->counted)
        atomic_fetch_sub(&link->home->busy, 1);
    link->counted = busy;
}

/* WHY: for the log; NULL where it is as it should be.  A session whose answer is on its way lives
 * until it comes, which the engine's budgets bound: at this moment another thread may be writing
 * the record of it. */
static void link_end(struct wire_link *link, const char *why)
{
    if (why != NULL)
        log_warning("a connection of the MTA at listen %s is closed: %s", link->wire.listener, why);
    note_busy(link, false);
    unlist(link);
    event_del(&link->event);
    if (link->room != NULL)
        event_free(link->room);
    link->room = NULL;
    close(link->fd);
    link->fd = -1;
    if (!link->wire.waits)
        link_free(link);
}

/* ---- writing ---- */

static void settle(struct wire_link *link);
static void resume(struct wire_link *link);

static void on_room(evutil_socket_t fd, short what, void *arg)
{
    struct wire_link *link = arg;
    (void)what;
    ssize_t n =
        send(fd, link->out + link->out_sent, link->out_length - link->out_sent, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        link->gone = true;
    else if (n > 0)
        link->out_sent += (size_t)n;
    if (!link->gone && link->out_sent < link->out_length)
        return;
    event_free(link->room);
    free(link->out);
    link->room = NULL;
    link->out = NULL;
    link->out_length = link->out_sent = 0;
    link->took = true;
    resume(link);
}

/* Keeps what the socket does not take. */
static void keep_out(struct wire_link *link, const char *bytes, size_t length)
{
    link->out = xrealloc(link->out, link->out_length + length);
    memcpy(link->out + link->out_length, bytes, length);
    link->out_length += length;
    if (link->room != NULL)
        return;
    link->room =
        event_new(loop_base(link->home->loop), link->fd, EV_WRITE | EV_PERSIST, on_room, link);
    if (link->room == NULL)
        abort(); /* libevent refuses only when malloc does */
    event_add(link->room, NULL);
}

/* Sends what was said. */
static void flush(struct wire_link *link)
{
    struct str *out = &link->home->out;
    size_t sent = 0;
    while (!link->gone && link->out == NULL && sent < out->length) {
        ssize_t n = send(link->fd, out->data + sent, out->length - sent, MSG_NOSIGNAL);
        if (n >= 0)
            sent += (size_t)n;
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            link->gone = true;
    }
    if (!link->gone && sent < out->length)
        keep_out(link, out->data + sent, out->length - sent);
    str_clear(out);
}

/* ---- taking packets ---- */

static bool ready(const struct wire_link *link)
{
    return link->state == WIRE_READY && link->out == NULL && !link->gone;
}

/* Takes whole packets as long as none must wait; returns how many octets they had. */
static size_t digest(struct wire_link *link, const char *bytes, size_t length)
{
    size_t used = 0, size;
    struct wire_packet packet;
    while (ready(link)) {
        enum wire_next next = wire_next(bytes + used, length - used, &packet, &size);
        if (next == WIRE_PART)
            break;
        if (next == WIRE_REFUSED) {
            link->wire.trouble = "a packet of an impossible length";
            link->state = WIRE_BROKEN;
            break;
        }
        used += size;
        link->took = true;
        link->state = wire_session_take(&link->wire, &packet, &link->home->out);
        if (link->home->out.length > SPOKEN_MAX)
            flush(link);
    }
    return used;
}

static void keep_in(struct wire_link *link, const char *bytes, size_t length)
{
    if (length == 0)
        return;
    if (link->in_length + length > link->in_room) {
        link->in_room = link->in_length + length;
        link->in = xrealloc(link->in, link->in_room);
    }
    memcpy(link->in + link->in_length, bytes, length);
    link->in_length += length;
}

/* Takes what was kept. */
static void digest_kept(struct wire_link *link)
{
    size_t used = digest(link, link->in, link->in_length);
    link->in_length -= used;
    if (link->in_length == 0) {
        free(link->in);
        link->in = NULL;
        link->in_room = 0;
    } else if (used > 0) {
        memmove(link->in, link->in + used, link->in_length);
    }
}

/* What follows from what was taken: replies go out, the connection ends, or its time begins. */
static void settle(struct wire_link *link)
{
    struct wire_loop *home = link->home;
    int64_t now = clock_ms();
    flush(link);
    bool busy = wire_session_busy(&link->wire);
    note_busy(link, busy);
    if (link->gone || link->state == WIRE_OVER || link->state == WIRE_BROKEN) {
        link_end(link, link->state == WIRE_BROKEN ? link->wire.trouble : NULL);
        return;
    }
    if (home->finishing && ready(link) && !busy) {
        link_end(link, NULL);
        return;
    }
    bool waits = link->state == WIRE_WAITS;
    bool pressed = link->out != NULL || (link->in != NULL && !waits);
    bool paused = link->out != NULL || (waits && link->in_length >= KEPT_WAITING);
    if (paused && !link->paused)
        event_del(&link->event);
    else if (!paused && link->paused)
        event_add(&link->event, NULL);
    link->paused = paused;
    if (pressed && (link->list != &home->pressed || link->took)) {
        enlist(link, &home->pressed, now);
        set_tick(home, now + home->times.part_ms, now);
    } else if (!pressed) {
        enlist(link, &home->quiet, now);
    }
    link->took = false;
}

static void resume(struct wire_link *link)
{
    if (link->in != NULL)
        digest_kept(link);
    settle(link);
}

/* ---- reading ---- */

/* How much of what comes next belongs to what is kept: the rest of a packet, in steps, so that
 * memory is only given for octets that do come; while the connection waits, all. */
static size_t want_kept(struct wire_link *link)
{
    struct wire_packet packet;
    size_t size, want = KEPT_STEP;
    if (link->state != WIRE_WAITS) {
        if (link->in == NULL)
            return 0;
        wire_next(link->in, link->in_length, &packet, &size);
        want = size - link->in_length < GROWTH ? size - link->in_length : GROWTH;
    }
    if (link->in_length + want > link->in_room) {
        link->in_room = link->in_length + want;
        link->in = xrealloc(link->in, link->in_room);
    }
    return want;
}

/* One read; whether there may be more. */
static bool read_once(struct wire_link *link)
{
    size_t kept = want_kept(link);
    struct iovec parts[2] = {
        {.iov_base = link->in != NULL ? link->in + link->in_length : NULL, .iov_len = kept},
        {.iov_base = link->home->scratch, .iov_len = link->state != WIRE_WAITS ? SCRATCH : 0},
    };
    ssize_t n = readv(link->fd, parts, 2);
    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            link->gone = true;
        return false;
    }
    size_t length = (size_t)n, first = length < kept ? length : kept, rest = length - first;
    link->in_length += first;
    if (first > 0)
        digest_kept(link);
    if (link->in == NULL) {
        size_t used = digest(link, link->home->scratch, rest);
        keep_in(link, link->home->scratch + used, rest - used);
    } else if (rest > 0) {
        keep_in(link, link->home->scratch, rest);
        digest_kept(link);
    }
    return length == kept + parts[1].iov_len && ready(link);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct wire_link *link = arg;
    (void)fd;
    (void)what;
    for (int i = 0; i < ROUNDS && read_once(link); i++)
        continue;
    if (link->in != NULL && link->in_length == 0) {
        free(link->in);
        link->in = NULL;
        link->in_room = 0;
    }
    settle(link);
}

/* ---- answers that come later ---- */

static bool is_here(void *arg)
{
    return loop_is_here(((const struct wire_link *)arg)->home->loop);
}

static void on_late(void *arg)
{
    struct wire_link *link = arg;
    link->state = wire_session_answered(&link->wire, &link->home->out);
    if (link->list == NULL) {
        str_clear(&link->home->out);
        link_free(link);
    } else {
        link->took = true;
        resume(link);
    }
}

static void answered(void *arg)
{
    struct wire_link *link = arg;
    loop_post(link->home->loop, on_late, link);
}

static const struct wire_host host = {is_here, answered};

/* ---- the loop ---- */

/* Ends those that were enlisted up to LIMIT; returns since when the oldest of the others is there,
 * or -1. */
static int64_t expire(struct wire_loop *home, const struct links *list, int64_t limit,
                      const char *why)
{
    struct wire_link *link, *next;
    int64_t oldest = -1;
    for (link = list->first; link != NULL && link->since <= limit; link = next) {
        next = link->next;
        if (link->state != WIRE_WAITS || link->out != NULL) {
            link_end(link, why);
            continue;
        }
        /* The engine has limits of its own. */
        oldest = limit + home->times.idle_ms;
        enlist(link, &home->quiet, oldest);
    }
    return link != NULL ? link->since : oldest;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct wire_loop *home = arg;
    int64_t now = clock_ms();
    (void)fd;
    (void)what;
    home->tick_at = 0;
    int64_t pressed =
        expire(home, &home->pressed, now - home->times.part_ms, "half a packet, and then nothing");
    int64_t quiet =
        expire(home, &home->quiet, now - home->times.idle_ms, "it was silent for too long");
    if (pressed >= 0)
        set_tick(home, pressed + home->times.part_ms, now);
    if (quiet >= 0)
        set_tick(home, quiet + home->times.idle_ms, now);
}

struct adoption {
    struct wire_loop *home;
    const char *listener;
    int fd;
};

static void adopt(void *arg)
{
    struct adoption *adoption = arg;
    struct wire_loop *home = adoption->home;
    int64_t now = clock_ms();
    if (home->finishing) {
        close(adoption->fd);
        atomic_fetch_sub(&home->count, 1);
        return;
    }
    struct wire_link *link = xcalloc(1, sizeof(*link));
    link->home = home;
    link->fd = adoption->fd;
    link->state = WIRE_READY;
    wire_session_init(&link->wire, home->engine, adoption->listener, &host, link);
    if (event_assign(&link->event, loop_base(home->loop), link->fd, EV_READ | EV_PERSIST,
                     on_readable, link) != 0 ||
        event_add(&link->event, NULL) != 0)
        abort(); /* libevent refuses only when malloc does */
    enlist(link, &home->quiet, now);
    set_tick(home, now + home->times.idle_ms, now);
}

static void adopt_later(void *arg)
{
    adopt(arg);
    free(arg);
}

void wire_loop_adopt(struct wire_loop *home, int fd, const char *listener)
{
    struct adoption adoption = {.home = home, .listener = listener, .fd = fd};
    atomic_fetch_add(&home->count, 1);
    if (loop_is_here(home->loop)) {
        adopt(&adoption);
    } else {
        struct adoption *copy = xmalloc(sizeof(*copy));
        *copy = adoption;
        loop_post(home->loop, adopt_later, copy);
    }
}

static void each(struct links *list, void (*fn)(struct wire_link *link))
{
    struct wire_link *next;
    for (struct wire_link *link = list->first; link != NULL; link = next) {
        next = link->next;
        fn(link);
    }
}

static void finish_link(struct wire_link *link)
{
    if (ready(link) && !link->counted)
        link_end(link, NULL);
}

static void drop_link(struct wire_link *link)
{
    link_end(link, NULL);
}

static void finish(void *arg)
{
    struct wire_loop *home = arg;
    home->finishing = true;
    each(&home->quiet, finish_link);
    each(&home->pressed, finish_link);
}

static void drop(void *arg)
{
    struct wire_loop *home = arg;
    home->finishing = true;
    each(&home->quiet, drop_link);
    each(&home->pressed, drop_link);
}

void wire_loop_finish(struct wire_loop *home)
{
    loop_post(home->loop, finish, home);
}

void wire_loop_drop(struct wire_loop *home)
{
    loop_post(home->loop, drop, home);
}

unsigned wire_loop_count(const struct wire_loop *home)
{
    return atomic_load(&home->count);
}

unsigned wire_loop_busy(const struct wire_loop *home)
{
    return atomic_load(&home->busy);
}

struct loop *wire_loop_events(const struct wire_loop *home)
{
    return home->loop;
}

static void begin(void *arg)
{
    struct wire_loop *home = arg;
    home->tick = evtimer_new(loop_base(home->loop), on_tick, home);
    if (home->tick == NULL)
        abort(); /* libevent refuses only when malloc does */
}

struct wire_loop *wire_loop_new(struct engine *engine, const struct wire_times *times)
{
    struct loop *loop = loop_new();
    if (loop == NULL)
        return NULL;
    struct wire_loop *home = xcalloc(1, sizeof(*home));
    home->engine = engine;
    home->loop = loop;
    home->times = *times;
    home->scratch = xmalloc(SCRATCH);
    loop_post(loop, begin, home);
    return home;
}

static void end(void *arg)
{
    struct wire_loop *home = arg;
    event_free(home->tick);
}

void wire_loop_free(struct wire_loop *home)
{
    if (home == NULL)
        return;
    assert(wire_loop_count(home) == 0);
    loop_post(home->loop, end, home);
    loop_free(home->loop);
    free(home->scratch);
    str_free(&home->out);
    free(home);
}
