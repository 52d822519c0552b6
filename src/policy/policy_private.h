/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_POLICY_PRIVATE_H
#define POSTERN_POLICY_PRIVATE_H

#include <postern/arena.h>
#include <postern/lexer.h>
#include <postern/policy.h>

/*
 * The policy while it is being read.  Conditions are typed as they are parsed, since the facts are
 * known; names of other conditions and of tables are resolved when everything has been read.
 */

/* A condition that was read, as part of a rule or under a name of its own. */
struct reading_cond {
    struct cond *when;                  /* NULL after an error */
    size_t first_reference, references; /* its own, among the builder's */
};

/* A bare name in a condition that is no fact: the node becomes a copy of the condition's root. */
struct reference {
    struct cond *node;
    struct place at;
};

enum visit { VISIT_NOT_YET, VISIT_UNDER_WAY, VISIT_DONE };

struct named_cond {
    const char *name;
    struct place at;
    struct reading_cond cond;
    enum visit visit;
    bool used;
};

struct rule_entry {
    struct rule rule;
    struct reading_cond cond;
    bool complete; /* read without errors */
    bool disabled;
};

/* Growing arrays in the arena. */
struct list {
    void *items;
    size_t count;
    size_t room;
};

struct policy_builder {
    struct arena *arena;
    struct diag *diag;
    const struct layout *facts; /* the registry */
    struct layout *layout;      /* with the derived facts behind it */
    struct list derived;        /* struct derived */
    struct list derived_at;     /* struct place: where each was asked first */
    struct list references;     /* struct reference */
    struct list conditions;     /* struct named_cond */
    struct name_index *condition_names;
    struct list rules; /* struct rule_entry */
    struct list loose; /* struct reading_cond: conditions that stand in no rule and have no name */
    struct name_index *rule_names;
    struct list disabled, observed; /* struct token */
    unsigned depth;                 /* of the condition being parsed */
    bool failed;                    /* an error was reported */
    bool rule_lost;                 /* a rule could not be read whole */
};

/* ---- builder.c ---- */

/* Room for one more item of SIZE bytes, zeroed; pointers to earlier ones do not survive it. */
void *list_add(struct arena *arena, struct list *list, size_t size);

void builder_error(struct policy_builder *builder, const struct place *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void builder_warning(struct policy_builder *builder, const struct place *at, const char *format,
                     ...) __attribute__((format(printf, 3, 4)));

/* "; did you mean 'X'?" for the nearest fact, or also condition, or "". */
const char *builder_nearest(struct policy_builder *builder, const char *wrong, bool conditions);

/* The slot of a derived fact; KIND, TABLE, HEADER and PATTERN as in struct derived. */
slot_t builder_derive(struct policy_builder *builder, struct derived wanted, const char *name,
                      const struct place *at);
bool builder_has(const struct policy_builder *builder, const char *name);

/* "file.conf:12", or "". */
const char *place_text(struct arena *arena, const struct place *at);

/* Takes a bare word (or, with STRINGS, any string) or reports "expected WHAT". */
bool take_text(struct policy_builder *builder, struct lexer *lexer, bool strings, const char *what,
               struct token *token);

/* What may be the name of a rule or condition: letters, digits and . _ - */
bool good_name(const char *name);

/* ---- cond.c: and, or, not, and conditions with a name ---- */
struct cond *cond_new(struct policy_builder *builder, enum cond_kind kind, const struct place *at);
struct cond *cond_new_not(struct policy_builder *builder, struct cond *part);
bool parse_condition(struct policy_builder *builder, struct lexer *lexer,
                     struct reading_cond *cond);

/* ---- cond_test.c ---- */

/* One test, typed.  NULL after an error that leaves the parser inside the statement; an error of
 * meaning gives a stand-in and builder->failed, so that the errors behind it are found, too. */
struct cond *parse_test(struct policy_builder *builder, struct lexer *lexer);

/* ---- operand.c ---- */

/* Reads a value as one of SLOT's type; false after a report.  NETWORK: an IP network will do, too.
 */
bool operand_read(struct policy_builder *builder, slot_t slot, const struct token *token,
                  bool network, struct operand *operand);

/* Sorts operands as decide.c wants them and drops doubles. */
size_t operands_sort(enum fact_type type, struct operand *operands, size_t count);

/* ---- pattern.c ---- */

/* NULL with a message in *PROBLEM (in ARENA) and the offset of the trouble. */
struct pattern *pattern_new(struct arena *arena, const char *text, bool caseless,
                            const char **problem, size_t *offset);
void pattern_free(struct pattern *pattern);

/* ---- resolve.c ---- */
void resolve(struct policy_builder *builder, const struct policy_names *names);

/* ---- plan.c ---- */

/* What the constants in a condition make of it. */
enum constant { CONSTANT_NOT, CONSTANT_TRUE, CONSTANT_FALSE };
enum constant cond_constant(const struct cond *cond);

/* Fills in what policy_build() says about each of RULES, and the summary in POLICY. */
void plan(struct arena *arena, struct policy *policy, struct rule *rules, int32_t today);

/* Whether the rule's last day is over. */
bool plan_ended(const struct rule *rule, int32_t today);

/* Whether the rule may speak, and so may hold what is below it. */
bool plan_holds(const struct rule *rule, int32_t today);

/* The first fact of the condition that is known only after STAGE, or NULL. */
const struct slot *plan_later(const struct policy *policy, const struct rule *rule,
                              enum stage stage);

/* ---- plan_faults.c ---- */

/* A test in COND that names the fault word of its fact (SLOT, or any fact where that is SLOT_NONE).
 * NEGATED: whether COND stands under a `not`; WANTED: under how many such tests are looked for: 0
 * even, 1 odd, -1 either. */
const struct cond *plan_fault_word(const struct layout *layout, const struct cond *cond,
                                   slot_t slot, bool negated, int wanted);

/* Reports where a refusal for good would rest on a fault because of RULE. */
void plan_lint_faults(struct policy_builder *builder, const struct policy *policy,
                      const struct rule *rule, int32_t today);

/* ---- implies.c ---- */

/* Whether UPPER is true wherever LOWER is, and LOWER false wherever UPPER is, as far as their form
 * shows it; both resolved.  False, too, when *STEPS, which is counted down, is used up: two
 * conditions of N nodes can take N * N of them. */
bool cond_implies(const struct layout *layout, const struct cond *lower, const struct cond *upper,
                  unsigned *steps);

/* ---- plan_lint.c ---- */
void plan_lint(struct policy_builder *builder, const struct policy *policy, int32_t today);

#endif
