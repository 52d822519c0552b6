/* SPDX-License-Identifier: MIT */
#include "engine_private.h"

/*
 * The daemon's own replies.  All are temporary: what is refused for good is refused by a rule. Each
 * ends in
 * "(ref ID)" on the wire.
 */
static const struct {
    const char *rule; /* what stands for a rule in the record */
    int code;
    int enhanced[3];
    const char *text;
} replies[] = {
    /* RFC 3463 3.5: directory server failure, the nearest to "could not be found out". */
    [OWN_FAULT] = {"postern:fault",
                   451,
                   {4, 4, 3},
                   "Temporary failure: what decides about this message could not be found out, "
                   "please try again later"},
    /* RFC 3463 3.6: too many recipients, which is what the message has for one answer. */
    [OWN_SPLIT_MESSAGE] = {"postern:split",
                           451,
                           {4, 5, 3},
                           "The recipients of this message have different policies, please try "
                           "again later: they will be taken one by one"},
    [OWN_SPLIT_RECIPIENT] = {"postern:split",
                             452,
                             {4, 5, 3},
                             "This recipient has another policy than the first one, please send "
                             "to it in a transaction of its own"},
    [OWN_BUSY] = {"postern:busy",
                  452,
                  {4, 5, 3},
                  "Too many recipients in one transaction, please send to the others in another"},
    /* RFC 3463 3.4: other mail system status. */
    [OWN_CROWDED] = {"postern:busy",
                     451,
                     {4, 3, 0},
                     "Too many header fields of one name that would have to be removed from this "
                     "message"},
};

const struct reply *own_reply(struct arena *arena, enum own_reply which, const char *id)
{
    return reply_new(arena, replies[which].code, replies[which].enhanced, replies[which].text, id);
}

const char *own_rule(enum own_reply which)
{
    return replies[which].rule;
}
