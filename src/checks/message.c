/* SPDX-License-Identifier: MIT */
#include "checks_private.h"

/*
 * The message as a whole: how large it is and how many hops it has seen.
 */
enum message_fact { MESSAGE_SIZE, RECEIVED_COUNT };

static const struct fact_row facts[] = {
    [MESSAGE_SIZE] = {"message.size", FACT_NUMBER, STAGE_MESSAGE, SCOPE_MESSAGE, NULL,
                      "octets of the message, header and body"},
    [RECEIVED_COUNT] = {"received.count", FACT_NUMBER, STAGE_MESSAGE, SCOPE_MESSAGE, NULL,
                        "Received fields in the header, without the one of this host"},
};

static int64_t number_of(uint64_t count)
{
    return count > INT64_MAX ? INT64_MAX : (int64_t)count;
}

static void start(struct probe_run *run)
{
    probe_set(run, MESSAGE_SIZE, value_number(number_of(run->inputs->message_size)));
    probe_set(run, RECEIVED_COUNT, value_number(run->inputs->received_count));
    probe_finish(run);
}

static const struct probe probes[] = {
    {.name = "message",
     .stage = STAGE_MESSAGE,
     .scope = SCOPE_MESSAGE,
     .first = MESSAGE_SIZE,
     .count = COUNT_OF(facts),
     .start = start},
};

const struct check check_message = {
    .name = "message",
    .help = "size of the message and number of its hops",
    .facts = facts,
    .fact_count = COUNT_OF(facts),
    .probes = probes,
    .probe_count = COUNT_OF(probes),
};
