/* SPDX-License-Identifier: MIT */
#include "protocol.h"

#include <postern/log.h>

/* Stages that may be left out, or left without a reply, in the order in which the protocol counts
 * them where macros are asked for. */
static const struct {
    enum stage stage;
    uint32_t not_sent, quiet;
} places[] = {
    {STAGE_CONNECT, STEP_NO_CONNECT, STEP_QUIET_CONNECT},
    {STAGE_HELO, STEP_NO_HELO, STEP_QUIET_HELO},
    {STAGE_MAIL, STEP_NO_MAIL, STEP_QUIET_MAIL},
    {STAGE_RCPT, STEP_NO_RCPT, STEP_QUIET_RCPT},
    {STAGE_DATA, STEP_NO_DATA, STEP_QUIET_DATA},
    {STAGE_MESSAGE, 0, 0},
};
enum { PLACES = sizeof(places) / sizeof(places[0]) };

/* What the MTA need not send, and where it need not wait for a reply. */
static uint32_t wanted_steps(const struct engine_needs *needs, uint32_t offered)
{
    uint32_t steps = STEP_REFUSED_RCPT | STEP_LEADING_SPACE | STEP_NO_UNKNOWN | STEP_NO_EOH |
                     STEP_QUIET_HEADER | STEP_QUIET_EOH | STEP_QUIET_BODY;
    for (size_t i = 0; i < PLACES; i++) {
        enum asked asked = needs->stages[places[i].stage];
        steps |= asked == ASKED_NOT ? places[i].not_sent : 0;
        steps |= asked != ASKED_REPLY ? places[i].quiet : 0;
    }
    if (!needs->headers)
        steps |= STEP_NO_HEADERS;
    if (!needs->body)
        steps |= STEP_NO_BODY;
    else if ((offered & STEP_QUIET_BODY) == 0)
        steps |= STEP_SKIP;
    return steps;
}

static uint32_t wanted_actions(const struct engine_needs *needs)
{
    uint32_t actions = ACTION_SYMBOLS;
    if (needs->changes)
        actions |= ACTION_ADD_HEADER | ACTION_CHANGE_HEADER;
    if (needs->holds)
        actions |= ACTION_HOLD;
    return actions;
}

struct choice protocol_choose(const struct engine_needs *needs, uint32_t actions, uint32_t steps)
{
    return (struct choice){
        .actions = wanted_actions(needs) & actions,
        .steps = wanted_steps(needs, steps) & (steps | STEPS_QUIET),
    };
}

bool protocol_symbols(const struct engine_needs *needs, unsigned *i, unsigned *place,
                      const char **names)
{
    while (*i < PLACES && needs->macros[places[*i].stage][0] == '\0')
        ++*i;
    if (*i >= PLACES)
        return false;
    *place = *i;
    *names = needs->macros[places[*i].stage];
    return true;
}

bool protocol_may_change(uint32_t actions, const struct session_change *change)
{
    static const uint32_t needed[] = {
        [CHANGE_DELETE] = ACTION_CHANGE_HEADER,
        [CHANGE_INSERT] = ACTION_ADD_HEADER,
        [CHANGE_QUARANTINE] = ACTION_HOLD,
    };
    if ((actions & needed[change->kind]) != 0)
        return true;
    protocol_change_failed(change);
    return false;
}

void protocol_change_failed(const struct session_change *change)
{
    log_warning("the MTA did not take a change of the message (%s)",
                change->kind == CHANGE_QUARANTINE ? "quarantine" : change->name);
}
