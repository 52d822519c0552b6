/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_MILTER_PROTOCOL_H
#define POSTERN_MILTER_PROTOCOL_H

#include <postern/session.h>

#include <stdint.h>

/*
 * What both fronts have in common: the words of the milter protocol's negotiation, and what postern
 * chooses from what an MTA offers.
 */
enum {
    ACTION_ADD_HEADER = 0x1,
    ACTION_CHANGE_HEADER = 0x10,
    ACTION_HOLD = 0x20, /* quarantine */
    ACTION_SYMBOLS = 0x100,
};

enum {
    STEP_NO_CONNECT = 0x1,
    STEP_NO_HELO = 0x2,
    STEP_NO_MAIL = 0x4,
    STEP_NO_RCPT = 0x8,
    STEP_NO_BODY = 0x10,
    STEP_NO_HEADERS = 0x20,
    STEP_NO_EOH = 0x40,
    STEP_NO_UNKNOWN = 0x100,
    STEP_NO_DATA = 0x200,
    STEP_SKIP = 0x400,         /* a chunk of the body may be answered: no more of it */
    STEP_REFUSED_RCPT = 0x800, /* recipients that the MTA refuses by itself are told, too */
    STEP_LEADING_SPACE = 0x100000,
    /* No reply at this stage. */
    STEP_QUIET_HEADER = 0x80,
    STEP_QUIET_CONNECT = 0x1000,
    STEP_QUIET_HELO = 0x2000,
    STEP_QUIET_MAIL = 0x4000,
    STEP_QUIET_RCPT = 0x8000,
    STEP_QUIET_DATA = 0x10000,
    STEP_QUIET_UNKNOWN = 0x20000,
    STEP_QUIET_EOH = 0x40000,
    STEP_QUIET_BODY = 0x80000,
    STEPS_QUIET = 0xff080, /* all of these */
};

struct choice {
    uint32_t actions;
    uint32_t steps; /* with quiet stages that the MTA does not know: there it waits for a "continue"
                     * and nothing else */
};

/* What is wanted of what the MTA offers.  To skip the rest of a body takes an answer, and one for
 * each chunk would cost nearly every message a round trip, since it has just one: STEP_SKIP is
 * chosen only where the MTA waits after each chunk anyway.  libmilter hides from a filter whether
 * it does, so that it is never chosen there. */
struct choice protocol_choose(const struct engine_needs *needs, uint32_t actions, uint32_t steps);

/* The macros to ask for, from entry *I on: the protocol's number of the place, and their names;
 * false past the last.  Places without any are left out, as libmilter does. */
bool protocol_symbols(const struct engine_needs *needs, unsigned *i, unsigned *place,
                      const char **names);

/* Whether the MTA may be asked for this change; false is logged. */
bool protocol_may_change(uint32_t actions, const struct session_change *change);
void protocol_change_failed(const struct session_change *change);

#endif
