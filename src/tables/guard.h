/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_TABLE_GUARD_H
#define POSTERN_TABLE_GUARD_H

#include "table_backend.h"

/*
 * The shrink guard: how many entries each domain had in the last image that was trusted, and
 * whether a new image may be trusted too.  The counts outlive the process in STATE_DIR/NAME.counts.
 * From one thread.
 */
struct guard;
struct counts;

/* The entries of an image per domain; what has no domain is counted together.  Owned by the caller.
 */
struct counts *counts_new(const struct table_backend *backend, const void *image);
void counts_free(struct counts *counts);

/* Reads the counts that were kept.  A state file that makes no sense is logged and counts as none.
 * Never NULL. */
struct guard *guard_new(const char *table, const struct table_guard *config);
void guard_free(struct guard *guard);

/* Whether an image of these COUNTS may be taken: false, with the reason in PROBLEM, when it is
 * empty though no empty one was ever accepted, or smaller in one domain by more than the share. */
bool guard_allows(const struct guard *guard, const struct counts *counts, struct str *problem);

/* How many entries the last image had that was trusted; 0 where there was none. */
size_t guard_known(const struct guard *guard);

/* These are the right counts from now on.  Takes COUNTS over; writes the state file when something
 * changed.  One log line when that fails, and not again until it has worked. */
void guard_take(struct guard *guard, struct counts *counts);

/* Whether another process has changed the state file (`postern table NAME --accept`): its counts
 * then hold. */
bool guard_reread(struct guard *guard);

/* Takes the counts of OLD over when GUARD has no state file to know them from.  Whether it did. */
bool guard_inherit(struct guard *guard, const struct guard *old);

#endif
