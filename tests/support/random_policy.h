/* SPDX-License-Identifier: MIT */
#ifndef RANDOM_POLICY_H
#define RANDOM_POLICY_H

#include "naive.h"

#include <stdint.h>

#include <postern/str.h>

/*
 * A random policy that `postern check` does not refuse, for the naive evaluator and as text for the
 * parser, and random final values of all facts.  All of it follows from the seed.
 */
enum { RANDOM_FACTS = 17, RANDOM_PARTS = 400 };

extern const struct naive_fact random_facts[RANDOM_FACTS];

struct random_policy {
    uint64_t state;
    struct naive_case naive;
    struct str text;
    bool once;      /* no fact is tested twice: then certainty is exact */
    bool own_fault; /* some test names a fault word */

    struct naive_cond parts[RANDOM_PARTS];
    int part_count;
    bool used[RANDOM_FACTS];
    struct str rules;
    int named;
};

/* POLICY is zeroed or was used before. */
void random_policy_make(struct random_policy *policy, uint64_t seed);
void random_policy_free(struct random_policy *policy);

/* 0 to LIMIT - 1, from the same source; true in PERCENT of the cases. */
int random_below(struct random_policy *policy, int limit);
bool random_chance(struct random_policy *policy, int percent);

#endif
