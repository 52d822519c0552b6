/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_BENCH_MTA_H
#define POSTERN_BENCH_MTA_H

#include "histogram.h"
#include "letters.h"
#include "packets.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

/*
 * The MTA's side of the milter protocol for bench_milter_load: its steps, the state of its
 * connections, and the packets that it sends.
 */

enum step {
    STEP_NEGOTIATE,
    STEP_CONNECT,
    STEP_HELO,
    STEP_MAIL,
    STEP_RCPT,
    STEP_DATA,
    STEP_HEADER,
    STEP_EOH,
    STEP_BODY,
    STEP_EOM,
    STEP_COUNT,
};

static const struct {
    const char *name;
    char command;
    uint32_t not_sent, no_reply; /* bits of the negotiation */
} steps[STEP_COUNT] = {
    {"negotiate", 'O', 0, 0},    {"connect", 'C', 0x1, 0x1000}, {"helo", 'H', 0x2, 0x2000},
    {"mail", 'M', 0x4, 0x4000},  {"rcpt", 'R', 0x8, 0x8000},    {"data", 'T', 0x200, 0x10000},
    {"header", 'L', 0x20, 0x80}, {"eoh", 'N', 0x40, 0x40000},   {"body", 'B', 0x10, 0x80000},
    {"eom", 'E', 0, 0},
};

enum {
    ALL_STEPS = 0x1fffff,
    LEADING_BLANK = 0x100000, /* header values keep the blank after the colon */
    ALL_ACTIONS = 0x1ff,
    CHUNK = 65535,
    PACKET_MAX = 1 << 20,
    EXPECT_MAX = 4,
    PID_MAX = 32,
    EACH_MAX = 1 << 20,
    OPENING_MAX = 100,
};

struct options {
    const char *socket, *mail;
    const char *expect[EXPECT_MAX]; /* in the fields that are added */
    unsigned expect_count;
    pid_t pids[PID_MAX];
    unsigned pid_count;
    unsigned connections, idle, per_connection, warmup, messages;
    unsigned recipients, headers, body, clients, senders, users, unknown;
    double seconds, think, round_trip; /* s, ms, ms */
    bool flush, pipelined, each;
};

struct peer {
    int fd; /* -1: not open */
    bool idle, waiting, up, skip_body;
    bool wants_room; /* in the socket, and is to be told of it */
    enum step step;
    uint32_t negotiated;
    unsigned serial;             /* of the SMTP session */
    unsigned expected;           /* which texts were seen, a bit for each */
    const struct letter *letter; /* NULL: made up */
    unsigned messages;           /* on this connection */
    unsigned number;             /* of the message, over all connections */
    unsigned rcpt_sent, rcpt_taken, headers_sent;
    size_t body_sent;
    int64_t waited;                      /* for replies since the session, or message, began */
    int64_t waited_before_content;       /* as it was when the header began */
    int64_t due;                         /* when to go on by itself; 0: not */
    int64_t opened_at, sent_at, mail_at; /* ns */
    struct buffer out, in;
};

struct load {
    struct options options;
    int epoll;
    struct peer *peers; /* the idle ones first */
    unsigned peer_count, idle_open, idle_up;
    unsigned next_serial, next_number;
    unsigned done, warm_done; /* messages; those before the measured ones */
    uint64_t replies, accepted, refused, deferred, rcpt_refused;
    uint64_t broken;     /* connections that the filter closed */
    uint64_t unexpected; /* messages without all the texts that were to be added */
    struct histogram latency[STEP_COUNT], message;
    struct histogram session; /* from connecting to the end of its first message */
    struct histogram wait;    /* for replies, in all, of each message */
    int64_t *waits;           /* the same of each session, with --each */
    int64_t *envelope_waits;  /* what of it was before the header */
    struct letters letters;
    int64_t started, ended; /* of the measured part, ns */
    int64_t cpu_started, cpu_ended;
    long rss_idle, rss; /* kB */
    uint32_t negotiated;
    char *chunk;
};

/* ---- what the MTA says ---- */

static inline void put_connect(const struct load *load, const struct peer *peer, struct buffer *out)
{
    static const char *const macros[] = {
        "j", "mx.bench.example", "{daemon_name}", "smtpd", "v", "Postfix 3.7.11", NULL};
    unsigned client = peer->serial % load->options.clients;
    char addr[32];
    char name[64];
    snprintf(addr, sizeof(addr), "198.18.%u.%u", client / 250, client % 250 + 1);
    snprintf(name, sizeof(name), "c%u.bench.example", client);
    if (peer->letter != NULL) {
        snprintf(addr, sizeof(addr), "%s", peer->letter->address);
        snprintf(name, sizeof(name), "%s", peer->letter->client);
    }
    uint16_t port = htons((uint16_t)(20000 + peer->serial % 40000));
    add_macros(out, 'C', macros);
    size_t at = begin_packet(out, 'C');
    add_text(out, name);
    add(out, "4", 1);
    add(out, &port, sizeof(port));
    add_text(out, addr);
    end_packet(out, at);
}

static inline void put_text_command(struct buffer *out, char command, const char *text)
{
    size_t at = begin_packet(out, command);
    add_text(out, text);
    end_packet(out, at);
}

static inline void put_mail(const struct load *load, const struct peer *peer, struct buffer *out)
{
    char sender[96];
    snprintf(sender, sizeof(sender), "<user@s%u.bench.example>",
             peer->number % load->options.senders);
    if (peer->letter != NULL)
        snprintf(sender, sizeof(sender), "<%s>", peer->letter->sender);
    const char *macros[] = {"{mail_addr}",
                            peer->letter != NULL ? peer->letter->sender : "user@bench.example",
                            "{mail_host}",
                            "bench.example",
                            "{mail_mailer}",
                            "smtp",
                            NULL};
    add_macros(out, 'M', macros);
    size_t at = begin_packet(out, 'M');
    add_text(out, sender);
    add_text(out, "SIZE=4096");
    end_packet(out, at);
}

static inline void put_rcpt(const struct load *load, const struct peer *peer, struct buffer *out)
{
    /* A multiplier without a factor in common walks over all users in no order. */
    uint64_t which = (uint64_t)peer->number * load->options.recipients + peer->rcpt_sent;
    unsigned user = (unsigned)(which * 7919 % load->options.users);
    bool unknown = which * 37 % 100 < load->options.unknown;
    char address[96];
    snprintf(address, sizeof(address), "<%s%u@example.org>", unknown ? "nobody" : "user", user);
    if (peer->letter != NULL)
        snprintf(address, sizeof(address), "<%s>", peer->letter->recipient);
    const char *macros[] = {"i",           "4XyZ1234567",   "{rcpt_addr}", address, "{rcpt_host}",
                            "example.org", "{rcpt_mailer}", "local",       NULL};
    add_macros(out, 'R', macros);
    put_text_command(out, 'R', address);
}

static inline unsigned header_count(const struct load *load, const struct peer *peer)
{
    return peer->letter != NULL ? peer->letter->field_count : load->options.headers;
}

static inline size_t body_length(const struct load *load, const struct peer *peer)
{
    return peer->letter != NULL ? peer->letter->body_length : load->options.body;
}

/* A field of a real message, as Postfix gives it to this filter. */
static inline void put_field(const struct peer *peer, struct buffer *out)
{
    const struct letter_field *field = &peer->letter->fields[peer->headers_sent];
    bool cut = (peer->negotiated & LEADING_BLANK) == 0 && field->value[0] == ' ';
    size_t at = begin_packet(out, 'L');

    add_text(out, field->name);
    add_text(out, field->value + cut);
    end_packet(out, at);
}

static inline void put_header(const struct peer *peer, struct buffer *out)
{
    char value[128];
    static const char *const names[] = {"From", "To", "Subject", "Date", "Message-ID"};
    size_t at = begin_packet(out, 'L');
    if (peer->headers_sent < sizeof(names) / sizeof(names[0]))
        add_text(out, names[peer->headers_sent]);
    else
        add_text(out, "Received");
    snprintf(value, sizeof(value), " user@s%u.bench.example %u ABCDEFGHIJKLMNOPQRSTUVWXYZ",
             peer->number, peer->headers_sent);
    add_text(out, value);
    end_packet(out, at);
}

static inline void put_body(const struct load *load, struct peer *peer, struct buffer *out)
{
    size_t left = body_length(load, peer) - peer->body_sent;
    size_t part = left < CHUNK ? left : CHUNK;
    size_t at = begin_packet(out, 'B');
    add(out, peer->letter != NULL ? peer->letter->body + peer->body_sent : load->chunk, part);
    end_packet(out, at);
    peer->body_sent += part;
}

static inline void put_plain(struct buffer *out, char command)
{
    static const char *const macros[] = {"i", "4XyZ1234567", NULL};
    if (command == 'E')
        add_macros(out, command, macros);
    end_packet(out, begin_packet(out, command));
}

static inline void put_command(const struct load *load, struct peer *peer)
{
    struct buffer *out = &peer->out;
    size_t at;
    switch (peer->step) {
    case STEP_NEGOTIATE:
        at = begin_packet(out, 'O');
        add_number(out, 6);
        add_number(out, ALL_ACTIONS);
        add_number(out, ALL_STEPS);
        end_packet(out, at);
        break;
    case STEP_CONNECT:
        put_connect(load, peer, out);
        break;
    case STEP_HELO:
        put_text_command(out, 'H',
                         peer->letter != NULL ? peer->letter->helo : "client.bench.example");
        break;
    case STEP_MAIL:
        put_mail(load, peer, out);
        break;
    case STEP_RCPT:
        put_rcpt(load, peer, out);
        peer->rcpt_sent++;
        break;
    case STEP_HEADER:
        if (peer->letter != NULL)
            put_field(peer, out);
        else
            put_header(peer, out);
        peer->headers_sent++;
        break;
    case STEP_BODY:
        put_body(load, peer, out);
        break;
    default:
        put_plain(out, steps[peer->step].command);
        break;
    }
}

#endif
