/* SPDX-License-Identifier: MIT */
#include "filter_process.h"
#include "load_options.h"
#include "load_report.h"
#include "mta.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/*
 * Load on a filter without an MTA: many milter connections (protocol version 6) in one epoll loop.
 * It behaves as Postfix does: steps that the filter does not want are not sent, where the filter
 * has said that it will not reply nothing is waited for, and what needs no reply leaves in one
 * write with the next command that does.  Prints one JSON object.
 */

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("bench_milter_load: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

/* ---- connections ---- */

/* To be told when the socket has room again costs the filter: each of its reads would wake us.  An
 * MTA waits for room only when there is none. */
static void want_room(struct load *load, struct peer *peer, bool wanted)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET | (wanted ? EPOLLOUT : 0),
                                .data.ptr = peer};
    if (wanted != peer->wants_room && epoll_ctl(load->epoll, EPOLL_CTL_MOD, peer->fd, &event) != 0)
        fail("epoll: %s", strerror(errno));
    peer->wants_room = wanted;
}

/* Returns whether all was written; what was not stays. */
static bool flush(struct load *load, struct peer *peer)
{
    size_t sent = 0;
    while (sent < peer->out.length) {
        ssize_t n = send(peer->fd, peer->out.data + sent, peer->out.length - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break; /* EAGAIN; a closed connection is seen when it is read */
        sent += (size_t)n;
    }
    memmove(peer->out.data, peer->out.data + sent, peer->out.length - sent);
    peer->out.length -= sent;
    want_room(load, peer, peer->out.length > 0);
    return peer->out.length == 0;
}

static void peer_close(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
    peer->waiting = peer->wants_room = false;
    peer->out.length = peer->in.length = 0;
}

/* Opens it, or tries again in a millisecond while the filter's backlog is full. */
static void peer_open(struct load *load, struct peer *peer)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, load->options.socket, sizeof(address.sun_path) - 1);
    if (load->options.each && load->next_serial >= load->options.messages) {
        peer->due = 0; /* each message is sent once */
        return;
    }
    peer->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (peer->fd < 0)
        fail("socket: %s", strerror(errno));
    peer->due = now_ns();
    if (connect(peer->fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        if (errno != EAGAIN)
            fail("%s: %s", load->options.socket, strerror(errno));
        peer_close(peer);
        peer->due += 1000000;
        return;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = peer};
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, peer->fd, &event) != 0)
        fail("epoll: %s", strerror(errno));
    peer->step = STEP_NEGOTIATE;
    peer->negotiated = 0;
    peer->messages = 0;
    peer->serial = load->next_serial++;
    peer->opened_at = now_ns();
    peer->waited = 0;
    load->idle_open += peer->idle;
    if (load->letters.count > 0)
        peer->letter = &load->letters.list[peer->serial % load->letters.count];
}

static void measure_from_here(struct load *load)
{
    memset(load->latency, 0, sizeof(load->latency));
    memset(&load->message, 0, sizeof(load->message));
    memset(&load->session, 0, sizeof(load->session));
    memset(&load->wait, 0, sizeof(load->wait));
    load->unexpected = load->replies = load->accepted = load->refused = load->deferred =
        load->rcpt_refused = 0;
    load->warm_done = load->done;
    load->cpu_started = cpu_of(&load->options);
    load->started = now_ns();
}

/* CODE: first digit of what ended the message; 0 where it went through. */
static void message_done(struct load *load, struct peer *peer, char code)
{
    *(code == '5' ? &load->refused : code == '4' ? &load->deferred : &load->accepted) += 1;
    histogram_add(&load->message, now_ns() - peer->mail_at);
    if (peer->messages == 0)
        histogram_add(&load->session, now_ns() - peer->opened_at);
    histogram_add(&load->wait, peer->waited);
    if (load->options.each) {
        load->waits[peer->serial] = peer->waited;
        load->envelope_waits[peer->serial] =
            peer->step < STEP_HEADER ? peer->waited : peer->waited_before_content;
    }
    peer->waited = 0;
    load->unexpected += peer->expected != (1U << load->options.expect_count) - 1;
    if (++load->done == load->options.warmup)
        measure_from_here(load);
    peer->step = STEP_MAIL;
    if (++peer->messages >= load->options.per_connection && load->options.per_connection != 0) {
        end_packet(&peer->out, begin_packet(&peer->out, 'Q'));
        flush(load, peer);
        peer_close(peer);
        peer->due = now_ns();
    }
}

/* ---- the conversation ---- */

static bool step_repeats(const struct load *load, const struct peer *peer)
{
    switch (peer->step) {
    case STEP_RCPT:
        return peer->rcpt_sent < load->options.recipients;
    case STEP_HEADER:
        return peer->headers_sent < header_count(load, peer);
    case STEP_BODY:
        return peer->body_sent < body_length(load, peer) && !peer->skip_body;
    default:
        return false;
    }
}

static void end_message(struct load *load, struct peer *peer, char code)
{
    if (peer->step != STEP_EOM)
        end_packet(&peer->out, begin_packet(&peer->out, 'A'));
    message_done(load, peer, code);
}

/* After a step has had its reply, or needed none. */
static void step_over(struct load *load, struct peer *peer)
{
    if (step_repeats(load, peer))
        return;
    if (peer->step == STEP_RCPT && peer->rcpt_taken == 0)
        end_message(load, peer, '5');
    else if (peer->step == STEP_EOM)
        message_done(load, peer, 0);
    else
        peer->step++;
}

static void begin_message(struct load *load, struct peer *peer)
{
    peer->number = load->next_number++;
    peer->rcpt_sent = peer->rcpt_taken = peer->headers_sent = 0;
    peer->body_sent = 0;
    peer->skip_body = false;
    peer->expected = 0;
    peer->mail_at = now_ns();
}

/* A step that the filter does not want happens not once, however often it would. */
static void leave_out(const struct load *load, struct peer *peer)
{
    if (peer->step == STEP_RCPT)
        peer->rcpt_sent = load->options.recipients;
    else if (peer->step == STEP_HEADER)
        peer->headers_sent = UINT_MAX;
    else if (peer->step == STEP_BODY)
        peer->skip_body = true;
}

/* Milliseconds that pass before this step: --think before each command to the filter, --round-trip
 * before each command of the SMTP client, whether the filter hears of it or not. */
static double pause_before(const struct load *load, const struct peer *peer, bool to_be_sent)
{
    const struct options *options = &load->options;
    bool first = !(peer->step == STEP_RCPT && peer->rcpt_sent > 0) &&
                 !(peer->step == STEP_HEADER && peer->headers_sent > 0);
    bool together = peer->step == STEP_RCPT || peer->step == STEP_DATA;
    if (peer->step < STEP_HELO || peer->idle)
        return 0;
    if (options->round_trip > 0 && peer->step <= STEP_HEADER && first &&
        !(together && options->pipelined))
        return options->round_trip;
    return to_be_sent ? options->think : 0;
}

/* Says what comes next, up to a command that is replied to or a pause. */
static void go_on(struct load *load, struct peer *peer, bool rested)
{
    while (peer->fd >= 0 && !peer->waiting) {
        if (peer->idle && peer->step == STEP_MAIL) {
            flush(load, peer);
            load->idle_up += !peer->up;
            peer->up = true;
            return;
        }
        bool sent = (peer->negotiated & steps[peer->step].not_sent) == 0;
        bool none = (peer->step == STEP_HEADER && header_count(load, peer) == 0) ||
                    (peer->step == STEP_BODY && body_length(load, peer) == 0);
        double pause = rested ? 0 : pause_before(load, peer, sent && !none);
        if (pause > 0) {
            peer->due = now_ns() + (int64_t)(pause * 1e6);
            return;
        }
        rested = false;
        if (peer->step == STEP_MAIL)
            begin_message(load, peer);
        if (peer->step == STEP_HEADER && peer->headers_sent == 0)
            peer->waited_before_content = peer->waited;
        if (sent && !none)
            put_command(load, peer);
        if (sent && !none && (peer->negotiated & steps[peer->step].no_reply) == 0) {
            peer->waiting = true;
            peer->sent_at = now_ns();
            flush(load, peer);
            return;
        }
        if (load->options.flush)
            flush(load, peer);
        if (peer->step == STEP_RCPT)
            peer->rcpt_taken++;
        if (!sent)
            leave_out(load, peer);
        step_over(load, peer);
    }
}

/* What ends a connection early ends its message too. */
static void peer_lost(struct load *load, struct peer *peer)
{
    if (peer->idle)
        fail("the filter closed an idle connection");
    load->broken++;
    peer_close(peer);
    peer->due = now_ns() + 1000000;
}

static void on_refusal(struct load *load, struct peer *peer, char code)
{
    if (peer->step < STEP_MAIL) {
        peer_lost(load, peer);
    } else if (peer->step == STEP_RCPT) {
        load->rcpt_refused++;
        step_over(load, peer);
    } else {
        end_message(load, peer, code);
    }
}

/* A header field that the filter adds ('h': name, value) or inserts ('i': index, name, value). */
static void on_added_field(const struct load *load, struct peer *peer, const char *packet,
                           size_t length)
{
    for (unsigned i = 0; i < load->options.expect_count; i++) {
        const char *text = load->options.expect[i];
        if (memmem(packet, length, text, strlen(text)) != NULL)
            peer->expected |= 1U << i;
    }
}

/* One packet of the filter. */
static void on_packet(struct load *load, struct peer *peer, const char *packet, size_t length)
{
    char command = packet[0];
    if (command == 'h' || command == 'i')
        on_added_field(load, peer, packet, length);
    if (strchr("+2-ehimbqp", command) != NULL)
        return; /* changes of the message, signs of life */
    if (!peer->waiting)
        fail("the filter says '%c' where it had promised silence", command);
    peer->waiting = false;
    load->replies++;
    histogram_add(&load->latency[peer->step], now_ns() - peer->sent_at);
    if (peer->step != STEP_NEGOTIATE)
        peer->waited += now_ns() - peer->sent_at;
    if (command == 'O' && length >= 13) {
        uint32_t bits;
        memcpy(&bits, packet + 9, sizeof(bits));
        peer->negotiated = load->negotiated = ntohl(bits);
        peer->step = STEP_CONNECT;
    } else if (command == 'c' || command == 's') {
        peer->skip_body |= command == 's';
        peer->rcpt_taken += peer->step == STEP_RCPT;
        step_over(load, peer);
    } else if (command == 'y' || command == 'r' || command == 't') {
        on_refusal(load, peer, command == 'y' ? packet[1] : command == 'r' ? '5' : '4');
    } else if ((command == 'a' || command == 'd') && peer->step >= STEP_MAIL) {
        message_done(load, peer, 0);
    } else {
        peer_lost(load, peer);
    }
}

static void receive(struct load *load, struct peer *peer)
{
    bool end = false;
    while (peer->fd >= 0 && !end) {
        reserve(&peer->in, 256);
        ssize_t n =
            recv(peer->fd, peer->in.data + peer->in.length, peer->in.room - peer->in.length, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        end = n <= 0;
        peer->in.length += n > 0 ? (size_t)n : 0;
    }
    size_t at = 0;
    while (peer->fd >= 0 && peer->in.length - at >= 5) {
        uint32_t length;
        memcpy(&length, peer->in.data + at, sizeof(length));
        length = ntohl(length);
        if (length == 0 || length > PACKET_MAX)
            fail("a packet of %u bytes", length);
        if (peer->in.length - at < 4 + length)
            break;
        on_packet(load, peer, peer->in.data + at + 4, length);
        at += 4 + length;
    }
    if (peer->fd < 0)
        return;
    memmove(peer->in.data, peer->in.data + at, peer->in.length - at);
    peer->in.length -= at;
    if (end)
        peer_lost(load, peer);
}

/* ---- the loop ---- */

/* Peers whose time has come; returns the nanoseconds to the next one, at most 100 ms. */
static int64_t run_due(struct load *load)
{
    int64_t now = now_ns();
    int64_t next = now + 100000000;
    bool all_idle_up = load->idle_up == load->options.idle;
    for (unsigned i = all_idle_up ? load->options.idle : 0; i < load->peer_count; i++) {
        struct peer *peer = &load->peers[i];
        if (peer->due == 0 || (!peer->idle && !all_idle_up))
            continue;
        /* Few at a time, as a backlog would hold: others wait for those under way. */
        if (peer->idle && peer->fd < 0 && load->idle_open >= load->idle_up + OPENING_MAX)
            break;
        if (peer->due <= now) {
            peer->due = 0;
            if (peer->fd < 0)
                peer_open(load, peer);
            else
                go_on(load, peer, true);
        }
        if (peer->due != 0 && peer->due < next)
            next = peer->due;
    }
    return next <= now ? 0 : next - now;
}

static void note_idle(struct load *load)
{
    if (load->options.idle == 0 || load->rss_idle != 0 || load->idle_up < load->options.idle)
        return;
    usleep(500000); /* what was said last may still be under way */
    load->rss_idle = rss_of(&load->options);
    if (load->options.warmup == 0)
        measure_from_here(load);
}

static bool enough(const struct load *load, int64_t begun)
{
    int64_t now = now_ns();
    if (load->broken > 1000)
        fail("the filter keeps closing connections");
    if (now - begun >
        (int64_t)((load->options.seconds * 2 + 30 + load->options.idle / 100.0) * 1e9))
        return true;
    if (load->options.connections == 0)
        return load->rss_idle != 0;
    if (load->done < load->options.warmup)
        return false;
    return now - load->started > (int64_t)(load->options.seconds * 1e9) ||
           load->done - load->warm_done >= load->options.messages;
}

static void run(struct load *load)
{
    struct epoll_event events[256];
    int64_t begun = now_ns();
    measure_from_here(load);
    /* Clients that pause do not all do so at once. */
    double pause = (load->options.think + load->options.round_trip) * 1e6;
    for (unsigned i = 0; i < load->peer_count; i++)
        load->peers[i].due = begun + (int64_t)(pause * i / load->peer_count);
    while (!enough(load, begun)) {
        struct timespec rest = {.tv_nsec = run_due(load)};
        int count = epoll_pwait2(load->epoll, events, 256, &rest, NULL);
        for (int i = 0; i < count; i++) {
            struct peer *peer = events[i].data.ptr;
            if (peer->fd < 0)
                continue;
            if (peer->out.length > 0 && peer->waiting)
                flush(load, peer);
            if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0)
                receive(load, peer);
            if (peer->due == 0)
                go_on(load, peer, false);
        }
        note_idle(load);
    }
    load->ended = now_ns();
    load->cpu_ended = cpu_of(&load->options);
    load->rss = rss_of(&load->options);
}

static void allow_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    static struct load load = {
        .options = {.connections = 1,
                    .messages = UINT_MAX,
                    .seconds = 5,
                    .recipients = 1,
                    .headers = 12,
                    .body = 8192,
                    .clients = 200,
                    .senders = 200,
                    .users = 100000},
    };
    struct options *options = &load.options;
    int letter;
    while ((letter = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        if (!take(options, letter))
            return usage();
    if (options->socket == NULL || optind != argc || options->recipients == 0 ||
        options->clients == 0 || options->clients > 60000 || options->senders == 0 ||
        options->users == 0 || (options->mail != NULL && options->per_connection != 1) ||
        (options->each &&
         (options->messages > EACH_MAX || options->idle > 0 || options->per_connection != 1)))
        return usage();
    if (options->mail != NULL && !letters_read(&load.letters, options->mail))
        fail("message %u of %s cannot be read", load.letters.count + 1, options->mail);
    allow_files();
    load.chunk = calloc(1, CHUNK);
    load.peer_count = options->idle + options->connections;
    load.peers = calloc(load.peer_count > 0 ? load.peer_count : 1, sizeof(*load.peers));
    load.waits = calloc(options->each ? 2 * options->messages : 1, sizeof(*load.waits));
    load.envelope_waits = load.waits + (options->each ? options->messages : 0);
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load.chunk == NULL || load.peers == NULL || load.waits == NULL || load.epoll < 0)
        fail("no memory or no epoll");
    memset(load.chunk, 'x', CHUNK);
    for (size_t i = 76; i + 2 < CHUNK; i += 78)
        memcpy(load.chunk + i, "\r\n", 2);
    for (unsigned i = 0; i < load.peer_count; i++) {
        load.peers[i].fd = -1;
        load.peers[i].idle = i < options->idle;
    }
    run(&load);
    print_report(&load);
    return load.done == 0 && options->connections > 0;
}
