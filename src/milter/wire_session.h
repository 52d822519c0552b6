/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_MILTER_WIRE_SESSION_H
#define POSTERN_MILTER_WIRE_SESSION_H

#include "protocol.h"
#include "wire_packet.h"

/*
 * One connection of an MTA, as the protocol sees it: packets become events of a session, its
 * answers become packets.  No socket here, and no waiting: where an answer is not there at once,
 * the connection is left alone until it is.
 *
 * All functions are called by one thread, the connection's own.  Only answers may come from others:
 * those go through the host.
 */
struct wire_host {
    /* Whether the calling thread is the connection's own. */
    bool (*is_here)(void *arg);
    /* From another thread: wire_session_answered() is to be called by the connection's own, soon.
     */
    void (*answered)(void *arg);
};

/* How far the conversation has come. */
enum wire_stage {
    WIRE_NEW,       /* nothing was negotiated */
    WIRE_IDLE,      /* no SMTP session */
    WIRE_SESSION,   /* between transactions */
    WIRE_MAIL,      /* in a transaction, without a recipient */
    WIRE_RECIPIENT, /* with one, be it refused */
    WIRE_HEADER,
    WIRE_BODY,
};

enum wire_state {
    WIRE_READY,  /* for the next packet */
    WIRE_WAITS,  /* for an answer; packets must wait with it */
    WIRE_OVER,   /* the MTA has said so */
    WIRE_BROKEN, /* trouble says why; the connection is to be closed */
};

struct wire_session {
    struct engine *engine;
    const char *listener; /* borrowed */
    const struct wire_host *host;
    void *host_arg;
    struct session *session; /* NULL before its first event */
    struct wire_macros macros;
    struct choice choice;
    uint32_t offered; /* steps */
    uint64_t version; /* of the configuration under which that was negotiated */
    enum wire_stage stage;
    char command; /* whose answer is awaited */
    bool waits;
    bool skips; /* the rest of a body is not needed, and its answer says so */
    const struct session_answer *answer; /* NULL: none yet */
    const struct session_answer *late;   /* that came from another thread */
    const char *trouble;                 /* BROKEN: why; a constant */
};

/* HOST and LISTENER are borrowed. */
void wire_session_init(struct wire_session *wire, struct engine *engine, const char *listener,
                       const struct wire_host *host, void *host_arg);

/* Takes one packet (its data must live during the call only) and adds what is to be said to *out.
 * Not while it waits. */
enum wire_state wire_session_take(struct wire_session *wire, const struct wire_packet *packet,
                                  struct str *out);

/* The host's part of an answer that came late. */
enum wire_state wire_session_answered(struct wire_session *wire, struct str *out);

/* Whether a transaction is under way. */
bool wire_session_busy(const struct wire_session *wire);

/* Drops a transaction that is under way.  Not while it waits: its answer would have nowhere to go.
 */
void wire_session_fini(struct wire_session *wire);

#endif
