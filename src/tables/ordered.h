/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_TABLE_ORDERED_H
#define POSTERN_TABLE_ORDERED_H

#include "lines.h"

/*
 * Rules in order, as in Postfix's cidr and regular-expression tables: "PATTERN value", "if PATTERN"
 * ... "endif".  The first match wins; an `if` that does not hold leads behind its `endif`.  What a
 * pattern is, its backend knows.
 */
struct ordered_rule {
    const char *value; /* in the rules' text; "" for none */
    bool is_if;
    bool negate;
    size_t after; /* an if: the rule behind its endif */
};

struct ordered {
    char *text; /* the file, cut up */
    struct ordered_rule *rules;
    void *patterns; /* the backend's, one for each rule, of pattern_size octets */
    size_t pattern_size;
    size_t count, room;
    size_t matches; /* rules that are no if */
};

/* Reads the pattern at TEXT, which it may cut up, into *PATTERN (zeros), and sets rule->negate and
 * rule->value.  False with an error in REPORT; it keeps nothing then. */
typedef bool ordered_read(void *arg, char *text, unsigned line, struct ordered_rule *rule,
                          void *pattern, struct table_report *report);

/* Reads the file into *ORDERED (zeros but for pattern_size).  False with the reasons in REPORT;
 * what was read is to be freed all the same. */
bool ordered_load(struct ordered *ordered, int fd, ordered_read *read, void *arg,
                  struct table_report *report);

/* Frees what the patterns do not hold themselves. */
void ordered_free(struct ordered *ordered);

/* The rule to look at after rule I, whose pattern holds (negation counted) or does not. */
size_t ordered_next(const struct ordered *ordered, size_t i, bool holds);

/* As table backends count and list; rules have no keys. */
void ordered_each(const struct ordered *ordered, void (*each)(void *arg, const char *key),
                  void *arg);

#endif
