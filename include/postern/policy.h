/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_POLICY_H
#define POSTERN_POLICY_H

#include <postern/diag.h>
#include <postern/facts.h>

struct arena;
struct lexer;
struct token;

/*
 * The policy: rules with typed conditions over facts, compiled and analysed.  Immutable after
 * policy_build(); safe to share between threads.
 */

/*
 * ---- derived facts: what a condition asks of a fact that needs more than a comparison ----
 *
 * The engine fills them in.  A derived fact is in fault when its subject is (whatever its fault
 * word), when its table is unavailable, or when a pattern ran into its limits.  A subject may
 * itself be derived (`header('X') matches
 * '...'`); it then stands earlier in policy->derived.  For a set, IN_TABLE is true when any member
 * is in the table.
 */
enum derived_kind {
    DERIVED_IN_TABLE, /* bool: subject in table */
    DERIVED_MATCHES,  /* bool: subject matches pattern */
    DERIVED_LOOKUP,   /* text: value of the entry, or "" */
    DERIVED_HEADER,   /* text: first header field of that name, unfolded, or ""; stage message */
};

struct derived {
    enum derived_kind kind;
    slot_t slot;             /* of the derived fact itself; stage and scope are the subject's */
    slot_t subject;          /* the fact asked about; SLOT_NONE for DERIVED_HEADER */
    const char *table;       /* IN_TABLE, LOOKUP */
    const char *header;      /* HEADER */
    struct pattern *pattern; /* MATCHES */
    uint32_t table_index;    /* free for the owner: filled by policy_bind_tables() */
};

/* Whether TEXT matches (PCRE2, bounded by match limits).  1, 0, or -1 when the limit was hit (a
 * fault). */
int pattern_match(const struct pattern *pattern, const char *text);

/* ---- conditions ---- */
enum cond_kind { COND_TRUE, COND_FALSE, COND_NOT, COND_AND, COND_OR, COND_TEST };

enum test_kind {
    TEST_TRUE, /* a boolean fact */
    TEST_EQ,   /* NE is a NOT around it */
    TEST_LT,   /* number */
    TEST_LE,
    TEST_GT,
    TEST_GE,
    TEST_IN,  /* one of the operands; IPs: in one of the networks */
    TEST_HAS, /* "x" in set */
};

struct operand {
    int64_t number;   /* NUMBER, BOOL; WORD: index of the word */
    const char *text; /* texts, canonical for the fact's type */
    struct net net;   /* IP */
};

/* Evaluated by decide.c alone; made by the parser.  Named conditions are shared, so this is a DAG;
 * seen as a tree it has at most COND_NODES_MAX nodes and is at most COND_DEPTH_MAX deep. */
enum { COND_DEPTH_MAX = 100, COND_NODES_MAX = 20000 };

struct cond {
    /* What is looked at for every decision comes first. */
    enum cond_kind kind;
    enum test_kind test;
    slot_t slot;
    const struct cond *const *parts; /* NOT: 1, AND and OR: 2 or more */
    size_t part_count;
    const struct operand
        *operands; /* TEST_IN with texts: sorted as facts of this type are compared */
    size_t operand_count;
    struct place at;
    const char *reference; /* the name of the condition it was put in place of; until it is
                              resolved, kind means nothing */
    uint32_t nodes, depth; /* as a tree */
};

/* ---- rules ---- */
enum outcome_kind { OUTCOME_ACCEPT, OUTCOME_REPLY, OUTCOME_QUARANTINE, OUTCOME_HEADER };

struct rule {
    const char *name;
    struct place at;
    const char *file; /* and line: for records ("postern.conf:42") */
    unsigned line;
    const struct cond *when;
    enum outcome_kind outcome;
    int code;         /* REPLY: 400..599 */
    int enhanced[3];  /* REPLY */
    const char *text; /* REPLY text, QUARANTINE reason, HEADER "Name: value"; as written */
    struct place text_at;
    const void *compiled; /* the reply module's template of text; policy never looks inside */
    bool observe, late, local, on_fault_defer;
    unsigned share; /* percent; 100 = all */
    int32_t until;  /* yyyymmdd, 0 = no end */
    const char *owner, *note;

    /* Filled by policy_build(): */
    uint32_t index;
    enum stage own_stage; /* the latest stage of the facts in its condition */
    enum stage speaks;    /* where a verdict by it can fall at the earliest for certain */
    int held_by; /* index of the rule above that holds it there; -1: its own facts or speak_at */
    bool uses_recipient; /* a recipient fact in its condition */
    const slot_t *slots; /* the facts its condition needs, derived facts' subjects not included */
    size_t slot_count;
};

enum mixed { MIXED_LATE, MIXED_STRICTEST, MIXED_LENIENT };

struct policy {
    const struct layout *layout; /* registry slots first, derived behind them */
    struct rule *rules; /* the owner attaches `compiled` once, before the policy is shared */
    size_t rule_count;
    const struct derived *derived;
    size_t derived_count;
    enum stage speak_at; /* STAGE_MAIL or STAGE_RCPT */
    enum mixed mixed;
    bool has_521, has_headers;
};

/* ---- building ---- */
struct policy_builder;

struct policy_names {
    bool (*table_known)(void *arg, const char *name);
    const char *(*table_nearest)(void *arg, const char *name);
    void *arg;
};

/* LAYOUT is the registry's.  All memory goes to ARENA. */
struct policy_builder *policy_builder_new(struct arena *arena, const struct layout *layout,
                                          struct diag *diag);

/*
 * The language of conditions:
 *
 *     or    := and { "or" and }
 *     and   := not { "and" not }
 *     not   := "not" not | "(" or ")" | test
 *     test  := "true" | "false" | NAME                      a boolean fact or a named condition
 *            | SUBJECT ( == | != | < | <= | > | >= ) VALUE
 *            | SUBJECT [ "not" ] "in" ( TABLE | "{" VALUE { "," VALUE } "}" )
 *            | SUBJECT "matches" 'regex'
 *            | VALUE [ "not" ] "in" SET-FACT
 *     SUBJECT := FACT | "lookup" "(" TABLE "," FACT ")" | "header" "(" 'Name' ")"
 *
 * A VALUE is a bare word or a string and must suit the type of the fact: a bare word that names a
 * fact is refused, since facts cannot be compared with facts.  Domains and addresses are brought
 * into canonical form.  `X != v` and `X not in S` are `not (X == v)` and `not (X in S)`.  A set
 * fact is `in` something when any of its members is. `matches` has no case for domains, local parts
 * and addresses, and for other texts it has.
 */

/* Parses a condition up to (not with) the ';' or '}' behind it.  NULL after an error, reported.
 * Named conditions and tables may be defined later in the file: policy_build() resolves them, in
 * place. */
const struct cond *policy_parse_condition(struct policy_builder *builder, struct lexer *lexer);

/* `condition NAME { COND }`: the keyword is taken. */
void policy_parse_named(struct policy_builder *builder, struct lexer *lexer,
                        const struct token *head);

/* `rule NAME { ... }`: the keyword is taken. */
void policy_parse_rule(struct policy_builder *builder, struct lexer *lexer,
                       const struct token *head);

/* `disable NAME NAME;` and `observe NAME;` outside rules, for one NAME; the rule may come later in
 * the file. A disabled rule is read, and its errors are reported, but it is no part of the policy.
 */
void policy_disable(struct policy_builder *builder, const struct token *name);
void policy_observe(struct policy_builder *builder, const struct token *name);

/*
 * Resolves, compiles and analyses; reports every refusal and warning (`postern check`).
 *
 * Refused: unknown facts, words, tables, conditions and rules; a condition that uses itself; a 521
 * that is not certain by MAIL, because it or a final rule above it needs a later fact; a 5xx where
 * a test names the fault word of its fact (that something could not be found out is no reason to
 * refuse for good); replies that test rcpt.status without one for its fault word (or on_fault
 * defer); a final rule that needs a fact of the message above a reply that could be given by RCPT,
 * unless it says `late;` or has a guard: a part of its top-level `and`, through named conditions
 * too, that is known by RCPT and without `not`. Warned of: rules that can never speak (always
 * false, ended, below a rule that is always true); a 4xx whose condition names no fault word and no
 * fact with "faults", "rate" or "age" in its dotted name; accept rules by client.ptr; conditions
 * that no rule uses.
 *
 * TODAY is yyyymmdd.  NULL when the policy has errors.  Ends the builder in either case; call it
 * also after errors in other parts of the file, so that all are reported and what an arena cannot
 * free is freed.
 */
struct policy *policy_build(struct policy_builder *builder, const struct policy_names *names,
                            enum stage speak_at, enum mixed mixed, int32_t today);

/* Frees what an arena cannot (compiled patterns).  policy_fini(NULL) is fine. */
void policy_fini(struct policy *policy);

/* For whoever builds the snapshot, before it is shared: puts INDEX(ARG, name) into the table_index
 * of every derived fact that asks a table; hands a rule the reply module's template. */
void policy_bind_tables(struct policy *policy, uint32_t (*index)(void *arg, const char *table),
                        void *arg);
void policy_bind_text(struct policy *policy, size_t rule, const void *compiled);

/* Writes for each rule where it speaks, what holds it there and which facts it costs; NULL-safe. */
void policy_print(const struct policy *policy, FILE *out);

/* ---- modes: what each rule may do in one transaction ---- */
enum rule_mode { RULE_OFF, RULE_OBSERVES, RULE_ENFORCES };

struct mode_inputs {
    int32_t today;      /* yyyymmdd */
    bool local;         /* a local submission: reply rules are off unless they say `local;` */
    struct addr client; /* for share: its /24 or /64 */
    const char *sender_domain; /* for share; "" before MAIL */
};

/* Fills MODES (rule_count bytes).  A share is that of hash_bytes over rule name, client network and
 * sender domain: the same sender at the same client meets the same rules whenever it comes back. */
void policy_modes(const struct policy *policy, const struct mode_inputs *inputs, uint8_t *modes);

#endif
