/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_FACTS_H
#define POSTERN_FACTS_H

#include <postern/addr.h>

struct arena;

/*
 * Facts: what checks find out about an SMTP transaction, typed.  A fact has a stage from which it
 * can be known and a scope it belongs to.  The registry is built once from the rows of all checks;
 * a policy adds derived facts behind them (`X in TABLE`, `matches`, `header()`).  A position in the
 * registry or layout is a slot.
 *
 * Everything here is pure data: no I/O, no locks.
 */
enum stage {
    STAGE_CONNECT,
    STAGE_HELO,
    STAGE_MAIL,
    STAGE_RCPT, /* once per recipient */
    STAGE_DATA,
    STAGE_MESSAGE, /* end of message */
};
enum { STAGE_COUNT = 6 };

enum scope {
    SCOPE_CONNECTION,
    SCOPE_TRANSACTION,
    SCOPE_RECIPIENT,
    SCOPE_MESSAGE,
};
enum { SCOPE_COUNT = 4 };

enum fact_type {
    FACT_BOOL,
    FACT_NUMBER,     /* an interval while it is in fault */
    FACT_TEXT,       /* compared byte by byte */
    FACT_DOMAIN,     /* canonical domain name; compared without case */
    FACT_LOCAL_PART, /* compared without case */
    FACT_ADDRESS,    /* local@domain; compared without case */
    FACT_IP,
    FACT_WORD, /* one of the fact's own words */
    FACT_SET,  /* set of names, compared without case */
    FACT_ROWS, /* a table for records and explain (one row a signature, say); no condition tests it
                */
};

struct fact_row {
    const char *name; /* "rcpt.status" */
    enum fact_type type;
    enum stage stage;
    enum scope scope;
    /* FACT_WORD: "known unknown unavailable!"; a word with ! is the fact's fault.  FACT_ROWS: its
     * columns; those with * come last and are too long for a record. */
    const char *words;
    const char *help; /* one line for the manual */
};

enum value_state {
    VALUE_OPEN, /* not known yet: the stage has not come, or the lookup is under way */
    VALUE_KNOWN,
    VALUE_FAULT, /* could not be found out; final */
};

struct text_set {
    size_t count;
    const char *const *items;
};

/* A zeroed value is VALUE_OPEN.  Texts are never NULL in a value that is not open; they live in the
 * arena of the value's scope.  A value in fault may still carry what is known, for texts. */
struct value {
    uint8_t state;  /* enum value_state */
    uint16_t word;  /* FACT_WORD: index among the row's words, in fault too */
    struct addr ip; /* FACT_IP */
    int64_t
        low; /* FACT_NUMBER: the number, or the least it can be while in fault; FACT_BOOL: 0 or 1 */
    int64_t high;        /* FACT_NUMBER: the most it can be (= low unless in fault) */
    const char *text;    /* TEXT, DOMAIN, LOCAL_PART, ADDRESS: canonical */
    const char *shown;   /* as the client sent it, for replies and records; NULL: as text */
    struct text_set set; /* FACT_SET; FACT_ROWS: the cells row by row, "" where there is none */
};

/* ---- slots ---- */

typedef uint32_t slot_t;
#define SLOT_NONE ((slot_t)-1)

struct slot {
    const char *name; /* as written in a condition; for derived facts a rendering ("client.ip in
                         trusted") */
    uint8_t type;     /* enum fact_type */
    uint8_t stage;    /* enum stage */
    uint8_t scope;    /* enum scope */
    uint16_t word_count;
    uint16_t fault_word;  /* FACT_WORD: index of the fault word, or word_count when it has none */
    uint16_t brief_count; /* FACT_ROWS: columns without *, which records show */
    const char *const *words;   /* without the ! or * */
    uint32_t index;             /* position among the slots of its scope */
    const struct fact_row *row; /* NULL for a derived fact */
};

struct name_index;

struct layout {
    struct slot *slots;
    size_t count;
    size_t scope_count[SCOPE_COUNT];
    size_t room; /* of slots */
    struct arena *arena;
    struct name_index *names; /* name -> slot */
};

/* The values of one scope: layout->scope_count[scope] of them, at slot->index.  What the decision
 * sees is one array per scope; those whose time has not come may be NULL (all open). */
struct view {
    const struct value *scope[SCOPE_COUNT];
    /* One octet for each rule, which a decision reads and writes: what is settled of it, whoever
     * the recipient is, is not worked out again.  To be zeroed when a value is taken back.  NULL:
     * not kept. */
    uint8_t *settled;
};

/* What a fact is called here that Postfix's policy protocol or another mail filter calls NAME
 * ("client_address": "client.ip"), for error messages; NULL where nothing is known.  Pure. */
const char *fact_called(const char *name);

/* ---- the registry ---- */

/* Rows of several checks in order; the slot of row j of part i is the sum of the counts before it +
 * j. */
struct fact_part {
    const struct fact_row *rows;
    size_t count;
};

/* A layout with one slot per row.  Names are unique (asserted).  Lives in ARENA. */
struct layout *layout_new(struct arena *arena, const struct fact_part *parts, size_t part_count);

/* A copy with room for EXTRA further slots (added by layout_add, which makes more room when it is
 * used up: slots keep their numbers, but pointers to them do not survive it). */
struct layout *layout_extend(struct arena *arena, const struct layout *base, size_t extra);

/* Adds a slot; returns its number.  NAME is not copied and is not there yet (asserted).  Not
 * FACT_WORD: words come from rows. */
slot_t layout_add(struct layout *layout, const char *name, enum fact_type type, enum stage stage,
                  enum scope scope);

/* The slot of a name, or SLOT_NONE.  Takes the same time however many there are. */
slot_t layout_find(const struct layout *layout, const char *name);

/* The index of WORD among a slot's words, or -1. */
int slot_word(const struct slot *slot, const char *word);

/* The value of SLOT as VIEW sees it; an open value where the scope is NULL.  Never NULL. */
const struct value *view_value(const struct layout *layout, const struct view *view, slot_t slot);

/* ---- making values ---- */

struct value value_bool(bool yes);
struct value value_number(int64_t number);
struct value value_interval(int64_t low, int64_t high); /* in fault unless low == high */
struct value value_text(const char *text);              /* not copied; NULL as "" */
struct value value_ip(struct addr ip);
struct value value_set(const char *const *items, size_t count); /* not copied */
/* A word by index; in fault when it is the slot's fault word. */
struct value value_word(const struct slot *slot, unsigned word);
/* What a fact of this slot is when it could not be found out: fault word, interval without bounds
 * (INT64_MIN..INT64_MAX), "", empty set, all in fault. */
struct value value_fault(const struct slot *slot);
/* What a fact that does not apply is: "", 0, false, empty set, no address, the first word; known.
 */
struct value value_absent(const struct slot *slot);

/* How a value is shown in replies and records: shown text, number ("3" or "1..5"), "yes"/"no",
 * word, address, set joined with ", ", rows as "column=cell column=cell; ..." as far as a record
 * has room for them, then "; 5 more".  In ARENA or constant.  An open value is "". */
const char *value_show(struct arena *arena, const struct slot *slot, const struct value *value);

/* ---- names to numbers ---- */

/* An index of names in an arena: it grows there and dies with it, so nobody frees it. Names are not
 * copied. */
struct name_index *name_index_new(struct arena *arena, size_t expected);

/* Sets NAME to NUMBER (not NAME_NONE).  False, and nothing is changed, when it is there already. */
#define NAME_NONE ((uint32_t)-1)
bool name_index_add(struct name_index *index, const char *name, uint32_t number);
uint32_t name_index_find(const struct name_index *index, const char *name); /* or NAME_NONE */

const char *stage_name(enum stage stage); /* "connect" "helo" "mail" "rcpt" "data" "message" */
const char *scope_name(enum scope scope);
const char *fact_type_name(enum fact_type type);

#endif
