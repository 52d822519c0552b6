/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_CHECK_H
#define POSTERN_CHECK_H

#include <postern/dns.h>
#include <postern/facts.h>
#include <postern/mailbox.h>
#include <postern/options.h>

struct arena;
struct table;
struct loop;

/*
 * A check is one constant: its facts, its options, and its probes.  A probe finds facts out of the
 * inputs and the DNS; it never rejects, never blocks and knows nothing of rules.  Adding a check is
 * one file in src/checks and one row in checks.def.
 */

/* ---- what is known of the SMTP session: the inputs of all probes, filled by the engine ---- */
struct inputs {
    /* connection */
    struct addr client;      /* ADDR_NONE when there is none */
    const char *client_ptr;  /* what the MTA knows of the client's name, unverified; "" */
    const char *listener;    /* name of the listen block */
    const char *daemon;      /* {daemon_name}; "" */
    bool local;              /* a local submission (sendmail(1)) */
    const char *helo;        /* as sent; "" before */
    const char *tls_version; /* "" without TLS */
    /* transaction */
    struct mailbox sender;
    const char *auth_user, *auth_type; /* "" when not authenticated */
    /* recipient: only where the probe's scope is SCOPE_RECIPIENT */
    struct mailbox recipient;
    unsigned recipients_taken; /* before this one */
    /* message */
    uint64_t message_size;
    unsigned received_count;
};

/* ---- a probe under way ---- */
struct probe;
struct probe_run; /* the engine's; the members below are for the probe */

struct probe_run {
    const struct probe *probe;
    void *state;                 /* what the check's open() made */
    const struct inputs *inputs; /* do not change while the probe runs */
    struct arena *arena;         /* of the probe's scope: results live there */
    struct arena
        *scratch; /* for what is of no use once the probe has finished; till then it lives */
    void *stream; /* what the check's stream made of the message; NULL where there is none */
    void *work;   /* free for the probe */
};

typedef void probe_got(struct probe_run *run, const struct dns_answer *answer, uintptr_t tag);

/* Asks; GOT is called later, never inside this call, once per question, with the answer borrowed.
 * The engine serialises all calls for one session, so a probe needs no lock. */
void probe_ask(struct probe_run *run, const char *name, enum dns_type type, probe_got *got,
               uintptr_t tag);

/* The same, but an answer that is known at once, from the cache, is returned, with a reference that
 * the caller owns; GOT is not called for it.  NULL: it is called later. */
const struct dns_answer *probe_look_up(struct probe_run *run, const char *name, enum dns_type type,
                                       probe_got *got, uintptr_t tag);

/* Sets fact NUMBER of the check (its place among the check's rows), which must be among the
 * probe's.  Texts must live in run->arena or be constants. */
void probe_set(struct probe_run *run, unsigned number, struct value value);
void probe_set_word(struct probe_run *run, unsigned number, unsigned word);
void probe_set_text(struct probe_run *run, unsigned number, const char *text);
void probe_set_fault(struct probe_run *run, unsigned number); /* value_fault() of its slot */

/* The value of another check's fact, by name ("spf.result"): one that a probe named in `after`
 * finds. It is known or in fault; absent facts of checks that are not used are known.  *slot (may
 * be NULL) gets its slot. */
const struct value *probe_value(const struct probe_run *run, const char *name,
                                const struct slot **slot);

/* The slot behind fact NUMBER (for its words). */
const struct slot *probe_slot(const struct probe_run *run, unsigned number);

/* All is said: facts of the probe that were not set are in fault.  Questions still open are
 * dropped.  Call exactly once, in start() or in a GOT (or in expire()). */
void probe_finish(struct probe_run *run);

struct probe {
    const char *name;         /* key of its time in the record: "dnsbl" */
    enum stage stage;         /* from which its inputs are there */
    enum scope scope;         /* of its facts */
    unsigned first, count;    /* its facts, by number */
    const char *const *after; /* facts that must be known, or in fault, before start():
                                 NULL-terminated names; NULL for none */
    bool instant; /* finishes inside start(), asks nothing: run even when nobody needs it yet */
    void (*start)(struct probe_run *run);
    /* Time is up: set what is known of it (partial sums) and finish; NULL: everything not set is in
     * fault. */
    void (*expire)(struct probe_run *run);
};

/* ---- the message as it passes by ---- */

/* For checks that look at the message itself.  A stream is opened with the first header field of a
 * message when some rule (or header to be added) may need a fact of the check, fed with every field
 * and, where BODY is set, every chunk as the MTA sends them, and closed when the transaction ends.
 * The calls of one session come one after the other; none blocks. The check's probe at
 * STAGE_MESSAGE finds it in run->stream. */
struct check_stream {
    bool body;
    /* ARENA is the transaction's.  DNS is for questions whose answers will be wanted later: see
     * stream_warm(). */
    void *(*open)(void *state, const struct inputs *inputs, struct arena *arena, struct dns *dns);
    /* VALUE is as it was sent: with the blank behind the colon, folded lines with LF alone. */
    void (*header)(void *stream, const char *name, const char *value);
    void (*eoh)(void *stream);
    void (*chunk)(void *stream, const unsigned char *bytes, size_t length);
    /* Whether more of the body would be looked at; asked once the header is over.  NULL: yes. */
    bool (*wants_body)(void *stream);
    void (*close)(void *stream);
};

/* Asks so that the answer will be in the cache when a probe asks the same; nobody waits for it. */
void stream_warm(struct dns *dns, const char *name, enum dns_type type);

/* ---- a check ---- */
struct check_site {
    struct arena *arena;   /* of the configuration snapshot */
    const char *hostname;  /* "" when not configured */
    const char *base_dir;  /* folder of the configuration file */
    const char *state_dir; /* for what must survive a restart */
    bool looks_only;       /* a command that must change nothing on disk */
    /* Blocks of a kind, in file order; NULL when none (or the defaults block of a kind that is not
     * named). */
    const struct block_head *(*blocks)(const struct check_site *site, const char *kind);
    /* A table by name; NULL when there is none (already reported). Borrowed: lives as long as the
     * snapshot. */
    struct table *(*table)(const struct check_site *site, const char *name);
    struct diag *diag;
};

struct check {
    const char *name; /* "dnsbl" */
    const char *help; /* one line */
    const struct fact_row *facts;
    size_t fact_count;
    const struct option_block *blocks;
    size_t block_count;
    const struct probe *probes;
    size_t probe_count;
    const struct check_stream *stream; /* NULL: does not look at messages */
    /* Makes the check's state for one configuration snapshot; reports errors to site->diag.  May be
     * NULL. */
    void *(*open)(const struct check_site *site);
    void (*close)(void *state);
    /* Takes over from the state of the configuration before what a reload need not find out again.
     * Called once, before the new snapshot goes live; FROM may still be in use.  May be NULL. */
    void (*inherit)(void *state, void *from);
    /* Work that goes on beside sessions (probing lists): called once when the snapshot goes live
     * and again every TICK seconds from the housekeeping thread; must not block.  May be NULL. */
    void (*tick)(void *state, struct dns *dns, struct loop *loop);
    /* Whether this configuration can ever make the probe's facts anything but absent (a dnsbl probe
     * without blocks need not run).  NULL: yes. */
    bool (*used)(void *state, const struct probe *probe);
    /* What probe NUMBER costs, for `postern check`: "2 lists", "1 table, 3 questions".  NULL:
     * nothing to say. In the arena. */
    const char *(*cost)(void *state, const struct probe *probe, struct arena *arena);
};

/* The checks of checks.def, in order. */
extern const struct check *const checks_all[];
extern const size_t checks_count;

/* The layout of all checks' facts; *first_slot[i] is the slot of check i's fact 0.  In ARENA. */
struct layout *checks_layout(struct arena *arena, slot_t *first_slot);

#endif
