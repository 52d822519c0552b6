/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_ENGINE_PRIVATE_H
#define POSTERN_ENGINE_PRIVATE_H

#include <postern/engine.h>

#include <postern/arena.h>
#include <postern/clock.h>
#include <postern/loop.h>

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

/*
 * How the engine is built.  A session has one lock; events of the SMTP session, answers of the DNS
 * and deadlines take it. Whatever they change is followed by session_leave(), which starts what is
 * needed now, looks whether the stage that waits has its outcome, and speaks after the lock was
 * given back.
 */
enum {
    ID_LENGTH = 6,
    HEADER_VALUE_MAX = 8192, /* octets of a header field that a condition can see */
    RECIPIENTS_MAX = 5000,   /* taken in one transaction; each costs some 10 kB while it lasts */
    SPLITS_MAX = 5,          /* recipients of one session refused with 452 4.5.3 */
    REMOVALS_MAX = 200,      /* fields; the MTA walks the whole header for each */
    SPLIT_ENTRIES = 10000,
    SPARE_ARENAS = 2, /* kept by a session, for recipients */
    /* What a signed message of one recipient takes with all checks: together, since each piece
     * costs more than using it does. */
    TRANSACTION_TYPICAL = 20 * 1024,
    MESSAGE_TYPICAL = 12 * 1024,
    SPEECH_TYPICAL = 6 * 1024,
    SCRATCH_TYPICAL = 4 * 1024,
    SPLIT_DAY_MS = 24 * 60 * 60 * 1000,
};

/* ---- split.c: who sent a message with recipients of different policies ---- */
struct split_memory;
struct split_memory *split_new(size_t room);
void split_free(struct split_memory *memory);
/* Remembers the pair for LASTS milliseconds from NOW (clock_ms()); the oldest entry makes room. Any
 * thread. */
void split_note(struct split_memory *memory, const struct addr *client, const char *sender,
                int64_t now, int64_t lasts);
bool split_known(struct split_memory *memory, const struct addr *client, const char *sender,
                 int64_t now);
/* Forgets what is over. */
void split_expire(struct split_memory *memory, int64_t now);
size_t split_count(struct split_memory *memory);

/* ---- wiring.c: a configuration snapshot as the engine uses it ---- */

/* What dies together: facts, texts and lookups of a connection, of its HELO, of a transaction (and
 * its message), of one recipient. */
enum span_kind { SPAN_CONNECTION, SPAN_HELO, SPAN_TRANSACTION, SPAN_RECIPIENT };
enum { SESSION_SPANS = 3 };

/* No probe, no derived fact, no entry. */
#define NOBODY UINT32_MAX

struct wired_probe {
    const struct check *check;
    const struct probe *probe;
    void *state;
    slot_t check_slot; /* of the check's fact 0 */
    slot_t first;      /* its own slots */
    enum span_kind span;
    uint32_t place;       /* among the probes of the session, or of a recipient */
    bool used;            /* false: its facts are absent, it never runs */
    bool wanted;          /* some rule, text or field may look for its facts */
    uint32_t stream;      /* that it looks at, or NOBODY */
    const char *time_key; /* in records */
    /* Facts that must be settled before it starts: those it names, and those that they rest on. */
    const slot_t *after, *behind;
    size_t after_count, behind_count;
};

/* A check that looks at messages. */
struct wired_stream {
    const struct check_stream *stream;
    void *state;
};

/* What the text of a rule shows. */
struct wired_text {
    uint32_t rule;
    const slot_t *slots;
    size_t count;
};

struct wiring {
    atomic_uint refs;
    struct engine *engine;       /* that lists it; NULL: none */
    struct wiring *next, **link; /* in that list; under the engine's lock */
    struct arena *arena;
    struct config *config;
    const struct policy *policy;
    const struct layout *layout;
    struct wired_probe *probes;
    size_t probe_count;
    size_t session_probes, recipient_probes;
    struct wired_stream *streams;
    size_t stream_count;
    struct wired_text *texts; /* of rules that show facts */
    size_t text_count;
    struct engine_needs needs;
    bool sizes;              /* the size of messages is wanted */
    struct results *results; /* fields to add; NULL: none */
    const slot_t *shown_slots;
    size_t shown_count; /* facts that they show */
    bool removes;       /* fields that claim to be ours */
    const slot_t *late; /* facts whose probe waits for others, and facts derived from them */
    size_t late_count;
    uint8_t *leads;        /* per slot: whether something waits for it: a derived fact, a probe */
    slot_t *root_of;       /* per slot: the fact that a derived one rests on, or itself */
    uint32_t *probe_of;    /* per slot: the probe that sets it, or NOBODY */
    uint32_t *derived_of;  /* per slot: the derived fact, or NOBODY */
    uint8_t *span_of;      /* per slot: enum span_kind */
    const char **key_of;   /* per slot: its key in records */
    struct table **tables; /* per derived fact */
    const char *delimiter; /* of address extensions */
    /* What the head of a record shows: client name helo sender rcpt listener. */
    slot_t shown[6];
};

struct wiring *wiring_new(struct config *config);
struct wiring *wiring_ref(struct wiring *wiring);
void wiring_unref(struct wiring *wiring);

/* order.c: parts of wiring_new(). */
void wire_order(struct wiring *wiring);
void wire_texts(struct wiring *wiring);
/* negotiate.c: the last one. */
void wire_needs(struct wiring *wiring);
/* results.c: another one. */
void wire_results(struct wiring *wiring);

/* ---- the session ---- */
struct run;
struct question;

struct span {
    struct arena *arena;
    struct arena *scratch; /* of lookups; NULL: none, and for what ends with its transaction */
    struct run *runs;
    size_t going;          /* runs that have not finished */
    struct inputs *inputs; /* as runs see them that began with event `seen` */
    unsigned seen;
};

struct recipient {
    struct span span;
    struct mailbox mailbox;
    struct value *values;
    struct run **runs; /* by place */
    struct recipient *next;
    struct recipient *next_touched;
    bool touched; /* in the session's list of those about whom something was learnt */
    bool decided; /* the verdict at the end of the message is certain */
    struct verdict verdict;
    bool taken;   /* it is in the list of those taken */
    bool refused; /* it is not, and nothing more is looked up for it */
};

struct record; /* record.c */

/* The stage that waits for its outcome. */
struct wait {
    bool active;
    bool expired;   /* the budget is used up */
    bool cancelled; /* the transaction or the session has ended meanwhile */
    enum stage stage;
    engine_done *done;
    void *arg;
    struct deadline *deadline;
};

struct transaction {
    bool open;
    bool over;  /* refused as a whole, or would have been: nothing more is decided */
    bool split; /* its recipients are to be split (an earlier attempt ended with 451 4.5.3) */
    char id[ID_LENGTH + 1];
    const char *qid;
    struct recipient *taken, **tail;
    struct recipient
        *undecided; /* at the end of the message: the first of those without a certain verdict */
    struct recipient *last; /* the recipient given last; in the list once it is taken */
    unsigned taken_count, refused_count;
    const char **headers;      /* per derived fact: the field it asks for */
    struct message *message;   /* NULL before its first field */
    unsigned result_fields[2]; /* Authentication-Results, Received-SPF that came */
    struct claim *claims;      /* those of them that are to be removed, the last first */
    size_t claim_count;
    unsigned *same; /* per rule that sets a field: those of its name that came; NULL: none yet */
};

struct engine_session {
    struct engine *engine;
    struct wiring *wiring;
    pthread_mutex_t lock;
    atomic_uint refs;
    const char *listener; /* the name, in the connection's arena */
    const char *mta_hostname;
    const char *client_text; /* the client's address, for records */
    unsigned events;         /* so far */
    bool observe;
    bool connected, greeted;
    bool learnt;               /* something was learnt that may make lookups needless */
    bool changed;              /* something was learnt that may start lookups for anybody */
    struct recipient *touched; /* those about whom alone something was learnt */
    size_t going;              /* probes under way */
    bool unsettled;            /* something was learnt that may settle the stage that waits */
    enum stage stage;          /* reached */
    struct inputs inputs;      /* without a recipient */
    struct span spans[SESSION_SPANS];
    struct value
        *values[SCOPE_COUNT]; /* all but SCOPE_RECIPIENT; NULL where the scope is not open */
    struct run **runs;        /* by place */
    struct transaction tx;
    unsigned splits;         /* recipients refused for the sake of a split */
    uint8_t *modes, *needed; /* scratch: per rule, per slot */
    /* Since which event, and for whom, nothing but what is marked in `needed` can be needed. */
    unsigned marked_event;
    const struct recipient *marked_for;
    bool marked;
    uint8_t *settled;                     /* per rule: as in struct view */
    struct question *ready, **ready_tail; /* questions whose answer was known at once */
    struct arena *spare[SPARE_ARENAS];    /* of recipients, for the next ones */
    struct arena *scratch;
    struct arena *speech; /* action and records of the last stage */
    struct wait wait;
    struct action action;
    struct record *records, **record_tail; /* to be sent when the lock was given back */
    unsigned recording;                    /* threads that send some */
    pthread_cond_t recorded;
};

/* ---- session.c: its lock and its life ---- */

/* Takes the lock, and a reference for as long as it is held and DONE may run. */
void session_enter(struct engine_session *session);
/* events.c: Does what follows from what was learnt, gives back lock and reference; may call DONE.
 */
void session_leave(struct engine_session *session);
/* Only gives back lock and reference. */
void session_quit(struct engine_session *session);
/* What belongs to a transaction is forgotten. */
void inputs_without_transaction(struct inputs *inputs);
/* events.c: Counts the recipient given last among those taken, unless it was refused. */
void session_take_last(struct engine_session *session);
/* Takes over the reference to WIRING. */
struct engine_session *session_new(struct engine *engine, struct wiring *wiring,
                                   const char *listener);
struct engine_session *session_ref(struct engine_session *session);
void session_unref(struct engine_session *session);

/* ---- spans.c: what lives how long ---- */
struct view session_view(const struct engine_session *session, const struct recipient *recipient);
/* The value of slot NUMBER; NULL where its scope is not open.  Here, because every message asks for
 * a thousand. */
static inline struct value *session_cell(const struct engine_session *session,
                                         const struct recipient *recipient, slot_t number)
{
    const struct slot *slot = &session->wiring->layout->slots[number];
    struct value *values = session->values[slot->scope];

    if (slot->scope == SCOPE_RECIPIENT)
        values = recipient != NULL ? recipient->values : NULL;
    return values != NULL ? &values[slot->index] : NULL;
}
struct span *session_span(struct engine_session *session, struct recipient *recipient,
                          enum span_kind kind);
/* Facts that no probe of the configuration finds are absent from the beginning. */
void session_fill_absent(struct engine_session *session, struct recipient *recipient,
                         enum span_kind kind);
/* Ends the lookups of a span of the session, forgets its facts and texts. */
void session_clear_span(struct engine_session *session, enum span_kind kind);
/* Facts of the connection that could not be found out are looked up anew for the next transaction.
 */
void session_forget_faults(struct engine_session *session);
struct recipient *recipient_new(struct engine_session *session, const char *path);
void recipient_free(struct engine_session *session, struct recipient *recipient);
/* An empty arena, and one that is not needed any more. */
struct arena *session_arena(struct engine_session *session);
void session_spare(struct engine_session *session, struct arena *arena);

/* ---- run.c: probes under way ---- */
struct run {
    struct probe_run pub; /* first: what the probe sees */
    struct engine_session *session;
    const struct wired_probe *wired;
    struct recipient *recipient; /* NULL unless it is a recipient's */
    struct span *span;
    struct question *questions;
    struct run *next;      /* in its span */
    int64_t started, took; /* us */
    bool finished;
    bool late;      /* ended because time was up */
    bool forgotten; /* another run looks for its facts again */
};

void run_start(struct engine_session *session, struct recipient *recipient,
               const struct wired_probe *wired);
/* Time is up for it. */
void run_expire(struct run *run);
/* Answers known at once go to their probes; returns whether there were any. */
bool run_ready(struct engine_session *session);
/* Nothing of the lookups of a session's span is wanted any more, unless some go on. */
void span_rest(struct span *span);
/* Drops the questions of all runs of a span. */
void span_cancel(struct span *span);
/* Ends a run whose facts nobody needs any more; it may be started anew. */
void run_drop(struct run *run);
/* The run of a probe, or NULL. */
struct run *run_of(const struct engine_session *session, const struct recipient *recipient,
                   const struct wired_probe *wired);

/* Ready to start: what it waits for is settled. */
bool run_may_start(const struct engine_session *session, const struct recipient *recipient,
                   const struct wired_probe *wired);

/* needs.c: marks in session->needed what is or may still be needed for RECIPIENT (or NULL). */
void session_mark_needed(struct engine_session *session, const struct recipient *recipient);
/* needs.c: the same for what STAGE waits for, which is less. */
void session_mark_waited(struct engine_session *session, const struct recipient *recipient,
                         enum stage stage);
/* Starts what is needed now; returns when nothing more can be done at once. */
void session_advance(struct engine_session *session);
/* Does what it takes to know SLOT for RECIPIENT (or NULL); returns whether anything was started or
 * found. */
bool session_fetch(struct engine_session *session, struct recipient *recipient, slot_t slot);
/* Whether SLOT may still become known at this stage. */
bool session_pending(const struct engine_session *session, const struct recipient *recipient,
                     slot_t slot);
/* Ends the lookups behind SLOT; returns whether anything changed. */
bool session_expire(struct engine_session *session, struct recipient *recipient, slot_t slot);
/* SLOT was found out, for RECIPIENT where it is a recipient's. */
void session_learnt(struct engine_session *session, struct recipient *recipient, slot_t slot);
/* Ends all lookups that a stage could wait for; returns whether there were any. */
bool session_expire_all(struct engine_session *session);

/* ---- derived.c ---- */

/* Sets derived fact NUMBER, whose subject is known (or which has none). */
void derived_find(struct engine_session *session, struct recipient *recipient, uint32_t number);
/* Keeps a header field if a derived fact asks for it. */
void derived_header(struct engine_session *session, const char *name, const char *value);

/* ---- streams.c: checks that look at the message as it passes by ---- */

/* Opens the streams of this message whose checks may be needed, unless that was done; under the
 * lock. */
void streams_open(struct engine_session *session);
/* Each feeds what is open; without the lock, since a message is fed between stages by one caller.
 */
void streams_header(struct engine_session *session, const char *name, const char *value);
void streams_eoh(struct engine_session *session);
void streams_chunk(struct engine_session *session, const unsigned char *bytes, size_t length);
/* Whether one of them would look at more of the body. */
bool streams_want_body(const struct engine_session *session);
/* Ends them with the transaction. */
void streams_close(struct engine_session *session);
/* Whether stream NUMBER is open; *stream gets what it made. */
bool stream_open(const struct engine_session *session, uint32_t number, void **stream);

/* ---- results.c: fields that tell what was found out ---- */

/* Whether this message gets any. */
bool results_wanted(const struct engine_session *session);
/* Looks whether a field that came with the message claims to be ours, or would be replaced. */
void results_note(struct engine_session *session, const char *name, const char *value);
/* As stage_slots_known(), for the facts that are shown. */
bool results_known(struct engine_session *session);
/* Adds the fields to the action; CHANGES has room for two. */
void results_add(struct engine_session *session, struct header_change *changes);
/* Whether more fields would have to go than can be asked of the MTA.  MARKED: the rules that set
 * fields, per rule. */
bool results_crowded(const struct engine_session *session, const uint8_t *marked);
/* Adds the removals to the action. */
void results_remove(struct engine_session *session);

/* ---- stage.c ---- */

/* Tries to find the outcome of the stage that waits; true: session->action is set. */
bool stage_settle(struct engine_session *session);
/* Whether this client's messages may be split by recipients: neither local submissions nor
 * authenticated clients. */
bool stage_may_split(const struct engine_session *session);
enum speak stage_speak(const struct engine_session *session, enum stage stage);
unsigned stage_budget(const struct engine_session *session, enum stage stage);
/* Ends the lookups that the stage waits for. */
void stage_expire(struct engine_session *session);

/* A verdict that stays uncertain: true, with a 451, when nothing is left to wait for; false: wait,
 * or look again. */
bool stage_give_up(struct engine_session *session, struct verdict *verdict);
struct template_values stage_texts(struct engine_session *session, const struct view *view,
                                   const char *rule);
/* Whether these facts are known; starts what is not, or ends it when time is up. */
bool stage_slots_known(struct engine_session *session, struct recipient *recipient,
                       const slot_t *slots, size_t count);
/* The same for all that the text of a rule shows. */
bool stage_texts_known(struct engine_session *session, struct recipient *recipient,
                       const struct rule *rule);
const struct reply *stage_reply(struct engine_session *session, const struct recipient *recipient,
                                const struct verdict *verdict);
struct record_what;
void stage_name_rule(const struct policy *policy, const struct verdict *verdict,
                     struct record_what *what);

/* ---- outcome.c: the end of the message ---- */
bool stage_settle_message(struct engine_session *session);

/* ---- own_replies.c ---- */
enum own_reply { OWN_FAULT, OWN_SPLIT_MESSAGE, OWN_SPLIT_RECIPIENT, OWN_BUSY, OWN_CROWDED };
const struct reply *own_reply(struct arena *arena, enum own_reply which, const char *id);
const char *own_rule(enum own_reply which);

/* ---- record.c ---- */
struct record {
    struct audit_field *fields;
    size_t count;
    struct record *next;
};

struct record_what {
    const char *verdict; /* "reject"; before it stands "would-" when nothing is enforced */
    enum stage stage;
    const char *rule;                   /* its name, or postern:... */
    const struct rule *at;              /* whose file and line are shown; may be NULL */
    const char *fault;                  /* name of the rule in fault; NULL */
    const char *reply;                  /* one line; "" */
    const struct recipient *recipients; /* a list by next, or NULL */
    bool one;                           /* only the first of them */
    const char *rcpt;                   /* instead of recipients; NULL */
    const uint8_t *observed, *marked;   /* per rule; NULL */
    const char *mixed;                  /* NULL */
};
void record_add(struct engine_session *session, const struct record_what *what);
void records_send(struct engine *engine, const struct record *records);

/* ---- engine.c ---- */

/* A listener that some configuration has named, and its mode when one last did. */
struct known_listener {
    struct known_listener *next;
    bool observes;
    char name[];
};

struct engine {
    struct engine_options options;
    pthread_mutex_t lock; /* guards wiring, wirings, listeners and sessions */
    pthread_cond_t idle;
    struct wiring *wiring;  /* the present one */
    struct wiring *wirings; /* all that somebody refers to, as sessions keep theirs */
    size_t wiring_count;
    struct known_listener *listeners;
    size_t sessions;
    struct split_memory *split;
    unsigned char random[256]; /* octets for ids, from the kernel; under the lock */
    size_t random_left;
};
/* Whether sessions of LISTENER observe.  A socket stays open when its listen block goes, and must
 * not begin to refuse mail for that. */
bool engine_observes(struct engine *engine, const struct wiring *wiring, const char *listener);
/* Fills TO with COUNT (at most 256) random octets. */
void engine_random(struct engine *engine, unsigned char *to, size_t count);
void engine_session_gone(struct engine *engine);
/* Nobody refers to WIRING any more: it leaves the list. */
void engine_wiring_gone(struct engine *engine, struct wiring *wiring);

#endif
