/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_ENGINE_H
#define POSTERN_ENGINE_H

#include <postern/audit.h>
#include <postern/check.h>
#include <postern/config.h>
#include <postern/decide.h>
#include <postern/reply.h>

/*
 * The engine: stages of SMTP sessions become facts, facts become outcomes.  Asynchronous by
 * contract: engine_stage() starts what open rules need and calls DONE when the outcome is certain,
 * perhaps at once, inside the call; it never blocks its caller. A session's calls come one after
 * the other (from any threads); answers of lookups arrive in between from the loop.  One lock per
 * session is inside; callers hold none, and DONE is called without it.
 */
struct engine;
struct engine_session;
struct resolver;

struct engine_options {
    struct dns *dns;
    struct loop *loop;   /* deadlines */
    struct audit *audit; /* NULL: no records (the sink below may be set) */
    bool everything;     /* find out all facts, needed or not, and wait for them (explain) */
    /* Sees each record before it goes out; may be NULL.  Called without locks. */
    void (*recorded)(void *arg, const struct audit_field *fields, size_t count);
    void *arg;
};

struct engine *engine_new(const struct engine_options *options, struct config *config);

/* Sessions must be closed before; late answers are waited for. */
void engine_free(struct engine *engine);

/* New sessions use CONFIG from now on; those under way keep theirs. */
void engine_configure(struct engine *engine, struct config *config);

/* The present snapshot, with a reference for the caller. */
struct config *engine_config(struct engine *engine);

/* Once a second from the housekeeping thread: tables are refreshed, checks' ticks run, old split
 * memories dropped. */
void engine_tick(struct engine *engine);

/* ---- a session ---- */
struct engine_session *engine_open(struct engine *engine, const char *listener);
void engine_close(struct engine_session *session); /* ends a transaction under way, too */

const struct config *engine_session_config(const struct engine_session *session);

/* Each takes copies of what it is given.  Strings are as the client sent them; NULL is "". */
void engine_connect(struct engine_session *session, const struct addr *client, const char *ptr,
                    const char *daemon, bool local, const char *mta_hostname);
void engine_helo(struct engine_session *session, const char *helo);
void engine_tls(struct engine_session *session, const char *version);
void engine_mail(struct engine_session *session, const char *path, const char *auth_user,
                 const char *auth_type);
void engine_rcpt(struct engine_session *session, const char *path);
void engine_queue_id(struct engine_session *session, const char *qid);
/* VALUE is as it was sent: with the blank behind the colon, folded lines with LF alone. */
void engine_header(struct engine_session *session, const char *name, const char *value);
/* May be left out: it is taken as said before the first octets of the body and at the end. */
void engine_eoh(struct engine_session *session);
void engine_body(struct engine_session *session, const unsigned char *bytes, size_t length);
/* Whether what is still to come of the body matters: asked when the header is over, and again after
 * any chunk, so that a front can let the MTA skip the rest.  Between events, as they are. */
bool engine_wants_body(struct engine_session *session);

/* What the MTA is asked for, compiled from the policy: what no rule, no field to be added and no
 * record needs is not sent, and where no verdict can fall the MTA need not wait for a reply. */
enum asked {
    ASKED_NOT,    /* not sent */
    ASKED_SILENT, /* sent, not replied to */
    ASKED_REPLY,  /* sent and replied to */
};

struct engine_needs {
    enum asked stages[STAGE_COUNT];
    bool headers, body;              /* header fields, chunks of the body: never replied to */
    bool changes;                    /* header fields may be added and removed */
    bool holds;                      /* a message may be quarantined */
    const char *macros[STAGE_COUNT]; /* names of the MTA's macros with blanks between; "" */
};

/* Under the configuration of the session; its texts live as long as the session. */
struct engine_needs engine_needs(const struct engine_session *session);
/* The same under a configuration that nobody uses yet; texts in ARENA. */
struct engine_needs engine_needs_of(struct config *config, struct arena *arena);

/* The transaction is over (accepted, rejected, aborted); facts of the connection stay.  Lookups of
 * it are dropped. */
void engine_end(struct engine_session *session);

/* The MTA itself refused this recipient (SMFIP_RCPT_REJ): recorded, nothing else.  CODE is the
 * enhanced code; "" or NULL where the MTA gave none, or TEXT holds it. */
void engine_mta_refused(struct engine_session *session, const char *path, const char *code,
                        const char *text);

/* ---- outcomes ---- */
enum action_kind {
    ACTION_CONTINUE,
    ACTION_REPLY,      /* say `reply` */
    ACTION_QUARANTINE, /* end of message: hold, with `reason`, then go on */
};

/* A field to add on top, in order. */
struct header_change {
    const char *name, *value; /* without the blank behind the colon; folded with LF */
    bool beside;              /* fields of this name that came with the message stay; else they are
                               * removed */
};

/* A field that came with the message, to be removed. */
struct header_removal {
    const char *name;
    unsigned index; /* among the fields of this name as they came, from 1 */
};

struct action {
    enum action_kind kind;
    const struct reply *reply;
    const char *reason;
    const struct header_change *headers; /* end of message, CONTINUE and QUARANTINE */
    size_t header_count;
    const struct header_removal *removals; /* end of message; of one name: from the last up */
    size_t removal_count;
    bool observed; /* mode observe: kind is CONTINUE, the record says what it would have been */
    struct verdict
        verdict; /* what the rules gave at this stage, for explain; certain is always true */
    const uint8_t *fired; /* per rule: whether it only observes and was true; NULL where that was
                             not asked */
    const char
        *rule; /* name of the rule that decided, or postern:fault, postern:split; "" for none */
};

typedef void engine_done(void *arg, const struct action *action);

/* Decides STAGE: STAGE_RCPT speaks of the recipient given last.  Calls DONE exactly once; *action
 * and all it points to live until the next call for the session. At stages where nothing can be
 * said it calls DONE at once.  At STAGE_MESSAGE the record of an accepted message is written; the
 * caller then calls engine_end().
 *
 * While a stage waits, engine_end() and engine_close() may be called (the peer is gone): DONE then
 * hears ACTION_CONTINUE, inside that call, or, where the outcome has just fallen, a moment later
 * from the loop's thread. Other events must wait for DONE. */
void engine_stage(struct engine_session *session, enum stage stage, engine_done *done, void *arg);

/* The transaction's short id (6 letters and digits), as it stands in replies and records; ""
 * outside a transaction. */
const char *engine_id(const struct engine_session *session);

/* For explain: the values of the facts as they stand (connection, transaction, last recipient,
 * message). */
void engine_view(const struct engine_session *session, struct view *view);

#endif
