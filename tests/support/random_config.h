/* SPDX-License-Identifier: MIT */
#ifndef RANDOM_CONFIG_H
#define RANDOM_CONFIG_H

#include "engine_rig.h"

#include <stdint.h>

#include <postern/str.h>

/*
 * Random configurations for the engine rig: real facts and the rig's own, tables, lists, results,
 * and rules that `postern check` does not refuse.  All of it follows from the state that it begins
 * with.
 */
struct random_config {
    uint64_t state;
    struct str text;
};

/* Names that the facts are looked up under, none of which exists; ends with a row without name. */
extern const struct rig_answer random_config_dns[];

/* CONFIG->text is a new one. */
void random_config_make(struct random_config *config);
void random_config_free(struct random_config *config);

/* What a row may answer: data or "none". */
const char *random_config_data(struct random_config *config, const struct rig_answer *row);

/* 0 to LIMIT - 1, from the same source; true in PERCENT of the cases; one of an array. */
unsigned random_config_below(struct random_config *config, unsigned limit);
bool random_config_chance(struct random_config *config, unsigned percent);
#define RANDOM_PICK(CONFIG, LIST)                                                                  \
    ((LIST)[random_config_below((CONFIG), sizeof(LIST) / sizeof((LIST)[0]))])

#endif
