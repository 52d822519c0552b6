/* SPDX-License-Identifier: MIT */
#ifndef ENGINE_RIG_H
#define ENGINE_RIG_H

#include <postern/engine.h>
#include <postern/loop.h>

/*
 * An engine with a real configuration, the real checks and one of its own, a loop, and a DNS that
 * answers from rows.
 *
 * The check `t` has a number for each kind of fact, found by asking for an address and taking its
 * last octet (0: no such name): t.client    A client.test              connect, connection;
 * t.reason is its TXT t.helo      A HELO.helo.test           helo, connection t.sender    A
 * LOCAL.sender.test        mail, transaction t.rcpt      A LOCAL.rcpt.test          rcpt, recipient
 *   t.message   A message.test             message, message
 * The checks `s` and `b` have a stream each, `b` takes bodies too: s.seen, b.seen are what passed
 * by ("from SENDER|NAME:VALUE|eoh|1000|234"); a field "Warm: NAME" warms A NAME.  s.after waits for
 * t.message and t.sender and shows them ("t.message=5 ~t.sender= ="); s.last, a number, waits for
 * s.after and asks A last.test.
 *
 * When time is up t.client is 0..10, the others are without bounds.
 */
struct rig;

struct rig_answer {
    const char *name;
    enum dns_type type;
    /* An address, or the text of a TXT record; "none", "fault"; "silent" (never answered); "hold
     * ANSWER" (when rig_release() is called).  With '!' before it the answer is known at once, else
     * it comes from the loop's thread. */
    const char *answer;
};

struct rig_options {
    const struct rig_answer *dns; /* ends with a row without name; NULL: no name exists */
    bool everything;
    const char *audit;       /* of the block of that name; NULL: "accepted yes;" */
    const char *listen_mode; /* NULL: enforce */
    const char *budget;      /* NULL: long */
    const char *values; /* contents of the file `values` beside the configuration; NULL: none */
};

/* CONFIG: scalars, tables, rules.  The listener's name is "mx".  Fails the test when the
 * configuration has errors. */
struct rig *rig_new(const struct rig_options *options, const char *config);
void rig_free(struct rig *rig);

struct engine *rig_engine(struct rig *rig);
/* Loads CONFIG and makes it the present one. */
void rig_configure(struct rig *rig, const char *config);

/* Answers what is held. */
void rig_release(struct rig *rig);
/* From now on row I is answered so; not while threads ask. */
void rig_answer(struct rig *rig, size_t i, const char *answer);
/* How often NAME was asked for with the type; questions in flight and not cancelled, of all names.
 */
size_t rig_asked(struct rig *rig, const char *name, enum dns_type type);
size_t rig_in_flight(struct rig *rig);

/* Waits until no question is under way and all that followed from the answers is done; false after
 * some seconds. */
bool rig_settle(struct rig *rig);

/* Starts a stage and waits until DONE (at most 20 seconds). The action as one line: "continue",
 * "550 5.7.1 text", "quarantine REASON", then "; Name: value" for headers, "; -Name 2" for removals
 * and " observed".  The id is shown as ID. */
const char *rig_stage(struct rig *rig, struct engine_session *session, enum stage stage);
/* Starts a stage; rig_wait() waits for DONE; rig_spoken() is what came so far, or NULL. */
void rig_start(struct rig *rig, struct engine_session *session, enum stage stage);
const char *rig_wait(struct rig *rig);
const char *rig_spoken(struct rig *rig);

/* A whole session up to MAIL: from 192.0.2.1, HELO name. */
struct engine_session *rig_session(struct rig *rig);
const char *rig_mail(struct rig *rig, struct engine_session *session, const char *path);
const char *rig_rcpt(struct rig *rig, struct engine_session *session, const char *path);
const char *rig_message(struct rig *rig, struct engine_session *session);

/* Record I (from 0) as its line, with the id as ID; NULL past the end. */
const char *rig_record(struct rig *rig, size_t i);
size_t rig_records(struct rig *rig);
/* The value of KEY in record I as the line shows it; NULL when the key is not there. */
const char *rig_field(struct rig *rig, size_t i, const char *key);
void rig_forget_records(struct rig *rig);

#endif
