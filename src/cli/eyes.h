/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_CLI_EYES_H
#define POSTERN_CLI_EYES_H

#include <postern/config.h>

/*
 * The configuration with the daemon's eyes: root can read every file, the user that the daemon runs
 * as may not, and then the daemon does not start, or has a table that never answers.
 */

/* What user NAME could not read or write of CONFIG and its tables, on standard error; nothing
 * where all is well.  NAME NULL: the user to whom state_dir belongs, where that is not root;
 * without one, nothing is looked at.  Only root can look with another's eyes.
 *
 * False when NAME was given and something is amiss, NAME itself included.  Forks: there must be no
 * threads yet. */
bool eyes_check(const struct config *config, const char *name);

#endif
