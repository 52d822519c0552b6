/* SPDX-License-Identifier: MIT */
#ifndef NAIVE_H
#define NAIVE_H

#include <stdbool.h>

/*
 * A second evaluator of policies, as simple-minded as can be, to hold the real one against.  It
 * works on rules of its own and on values written as texts, computes with the letters T, F, O and X
 * (true, false, open, in fault), and finds out what is certain by trying everything that can still
 * come.
 */
enum {
    NAIVE_RULES = 10,
    NAIVE_FACTS = 24,
    NAIVE_RECIPIENTS = 3,
    NAIVE_OPERANDS = 3,
    NAIVE_PARTS = 4,
    NAIVE_EVENTS = 8,
};

enum naive_stage { AT_CONNECT, AT_HELO, AT_MAIL, AT_RCPT, AT_DATA, AT_MESSAGE };

/* Values: "!" is in fault; words and texts as they are; numbers "3", in fault "1..3", ends may be
 * missing; booleans "yes" and "no"; sets "a,b". */
struct naive_fact {
    const char *name;
    char type; /* b bool, n number, t text, d text without case, i IP, w word, s set */
    int stage;
    bool recipient;
    const char *own_fault;  /* the word that means fault, or NULL */
    const char *values[12]; /* all it can be, NULL behind the last */
};

enum naive_op {
    OP_TRUE,
    OP_FALSE,
    OP_NOT,
    OP_AND,
    OP_OR,
    OP_IS, /* a boolean fact */
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_IN,
    OP_NOT_IN,
    OP_HAS, /* "x" in fact */
};

struct naive_cond {
    enum naive_op op;
    int fact;
    const char *operands[NAIVE_OPERANDS]; /* IPs: an address, or "192.0.2." for all that begin so */
    int operand_count;
    struct naive_cond *parts[NAIVE_PARTS];
    int part_count;
};

struct naive_rule {
    struct naive_cond *when;
    char outcome; /* A accept, R reply, Q quarantine, H header */
    int code;
    bool observe, local, on_fault_defer, over;
};

/* One value of each fact (of recipient facts: for each recipient); NULL is not there yet. */
typedef const char *naive_values[NAIVE_FACTS][NAIVE_RECIPIENTS];

struct naive_case {
    const struct naive_fact *facts;
    int fact_count;
    struct naive_rule rules[NAIVE_RULES];
    int rule_count;
    bool speak_at_mail;
    char mixed; /* L late, S strictest, l lenient */
    bool local_submission;
    int recipients;
    naive_values final;
};

/* What the rules say: N none, O open, A, Q, R as above, D deferred for a fault. */
struct naive_outcome {
    char kind;
    int rule;          /* -1: none */
    int fault_rule;    /* of D, else -1 */
    unsigned headers;  /* bit per rule: header rules that were true on the way */
    unsigned observed; /* bit per rule: observing rules that were true on the way */
};

struct naive_outcome naive_decide(const struct naive_case *c, naive_values values, int recipient,
                                  int now);

/* What may be said: '-' nothing, '5' a 521, 'r' replies, 'a' all. */
char naive_may_say(const struct naive_case *c, int stage);
bool naive_said(const struct naive_case *c, const struct naive_outcome *outcome, char may_say);

/* Whether all that can still come makes no difference to what may be said.  1 certain, 0 not, -1
 * there are more than LIMIT ways. */
int naive_certain(const struct naive_case *c, naive_values values, int recipient, int now,
                  long limit);

/* How strict: 0 to 3. */
int naive_rank(const struct naive_case *c, const struct naive_outcome *outcome);

/* What is said in one transaction, in order.  Kind R or D or Q; S: the message is split. */
struct naive_event {
    int stage;
    int recipient; /* -1 where it holds for all */
    char kind;
    int rule;
};

int naive_play(const struct naive_case *c, struct naive_event events[NAIVE_EVENTS]);

#endif
