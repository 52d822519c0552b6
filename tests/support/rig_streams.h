/* SPDX-License-Identifier: MIT */
#ifndef RIG_STREAMS_H
#define RIG_STREAMS_H

#include <postern/check.h>

/* The engine rig's checks that look at messages and wait for other facts: see engine_rig.h. */
extern const struct check rig_s_check, rig_b_check;

#endif
