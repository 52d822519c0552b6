/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_SESSION_H
#define POSTERN_SESSION_H

#include <postern/engine.h>

/*
 * One SMTP session as an MTA tells it through the milter protocol: what it says becomes facts and
 * stages, what is decided becomes replies and header changes.  Knows nothing of libmilter; a front
 * (milter/libmilter.c) feeds it.
 *
 * The events of one session come one after the other, from any thread.  Each of the deciding events
 * calls DONE exactly once, perhaps inside the call; until then the front sends no further event of
 * this session.
 */
struct session;

/* The value of an MTA's macro ("i", "{auth_authen}"), or NULL. */
typedef const char *session_macro(void *arg, const char *name);

struct session_macros {
    session_macro *get;
    void *arg;
};

enum session_verb {
    SESSION_CONTINUE,
    SESSION_REPLY, /* code, enhanced, lines */
};

/* Changes at the end of message, in the order in which the front must make them. */
enum change_kind {
    CHANGE_DELETE,     /* header field NAME, occurrence INDEX (from 1) */
    CHANGE_INSERT,     /* header field NAME: VALUE at position INDEX (0: above all) */
    CHANGE_QUARANTINE, /* reason in VALUE */
};

struct session_change {
    enum change_kind kind;
    const char *name, *value;
    unsigned index;
};

struct session_answer {
    enum session_verb verb;
    const struct reply *reply; /* REPLY; always valid (reply_valid) */
    const char *const *lines;  /* REPLY: its lines with % doubled, reply->line_count of them */
    const char *enhanced;      /* REPLY: "5.1.1" */
    const struct session_change *changes;
    size_t change_count;
    const struct action *action; /* the engine's, for explain; NULL where nothing was decided */
};

/* *answer lives until the next event of the session. */
typedef void session_done(void *arg, const struct session_answer *answer);

struct session *session_open(struct engine *engine, const char *listener);
void session_close(struct session *session);

/* The engine's session behind it; borrowed. */
struct engine_session *session_engine(struct session *session);

/* The front has negotiated that header values come and go with the blank behind the colon
 * (SMFIP_HDR_LEADSPC); without this call one blank is taken away by the MTA and put back by it. */
void session_leading_space(struct session *session, bool yes);

/* Whether a transaction is under way (MAIL taken, neither ended nor aborted). */
bool session_busy(const struct session *session);

/* What the configuration of this session asks of the MTA. */
struct engine_needs session_needs(const struct session *session);

/* HOST is the client's name as the MTA says it ("[192.0.2.1]" when it has none); ADDR NULL or
 * ADDR_NONE where there is none; PORT in host order (0 with a local submission). */
void session_connect(struct session *session, const char *host, const struct addr *addr,
                     unsigned port, const struct session_macros *macros, session_done *done,
                     void *arg);
void session_helo(struct session *session, const char *helo, const struct session_macros *macros,
                  session_done *done, void *arg);
/* ARGV as the protocol gives it: the path, then the ESMTP parameters; NULL-terminated.  A path that
 * is not well formed (mailbox.h) is taken for what {mail_addr} or {rcpt_addr} says. */
void session_mail(struct session *session, const char *const *argv,
                  const struct session_macros *macros, session_done *done, void *arg);
void session_rcpt(struct session *session, const char *const *argv,
                  const struct session_macros *macros, session_done *done, void *arg);
void session_data(struct session *session, const struct session_macros *macros, session_done *done,
                  void *arg);
/* These three decide nothing. */
void session_header(struct session *session, const char *name, const char *value);
void session_eoh(struct session *session, const struct session_macros *macros);
void session_body(struct session *session, const unsigned char *bytes, size_t length);
void session_eom(struct session *session, const struct session_macros *macros, session_done *done,
                 void *arg);
void session_abort(struct session *session);

#endif
