/* SPDX-License-Identifier: MIT */
#include "checks_private.h"
#include "from_header.h"
#include "header_list.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include <postern/arena.h>
#include <postern/domain.h>

/*
 * The message as a whole, and what its header says of its authors.
 *
 * The size is a probe of its own: it alone needs the body.
 */
enum message_fact {
    MESSAGE_SIZE,
    RECEIVED_COUNT,
    FROM,
    FROM_DOMAIN,
    FROM_COUNT,
    HEADER_FAULT,
    LIST_ID,
};

enum header_fault {
    FAULT_NONE,
    FAULT_NO_FROM,
    FAULT_MANY_FROM,
    FAULT_UNCLEAR_FROM,
    FAULT_BAD,
    FAULT_TOO_BIG,
};

static const struct fact_row facts[] = {
    [MESSAGE_SIZE] = {"message.size", FACT_NUMBER, STAGE_MESSAGE, SCOPE_MESSAGE, NULL,
                      "octets of the message, header and body"},
    [RECEIVED_COUNT] = {"received.count", FACT_NUMBER, STAGE_MESSAGE, SCOPE_MESSAGE, NULL,
                        "Received fields in the header, without the one of this host"},
    [FROM] = {"from", FACT_ADDRESS, STAGE_MESSAGE, SCOPE_MESSAGE, NULL,
              "address of the author in the From field; empty unless there is exactly one"},
    [FROM_DOMAIN] = {"from.domain", FACT_DOMAIN, STAGE_MESSAGE, SCOPE_MESSAGE, NULL,
                     "domain of the author; empty unless all authors share one"},
    [FROM_COUNT] = {"from.count", FACT_NUMBER, STAGE_MESSAGE, SCOPE_MESSAGE, NULL,
                    "author addresses in all From fields"},
    [HEADER_FAULT] = {"header.fault", FACT_WORD, STAGE_MESSAGE, SCOPE_MESSAGE,
                      "none no_from many_from unclear_from bad too_big",
                      "what is wrong with the header"},
    [LIST_ID] = {"list.id", FACT_DOMAIN, STAGE_MESSAGE, SCOPE_MESSAGE, NULL,
                 "identifier of the mailing list (List-Id), or empty"},
};

/* ---- the header as it passes by ---- */

struct header {
    struct arena *arena;
    struct from_header from;
    size_t octets, fields;
    bool bad_name;
    const char *list_id; /* NULL before there was one */
};

/* No signature is read in a longer header, so that it is refused for what it is. */
static bool is_too_big(const struct header *header)
{
    return header->octets > HEADER_BYTES_MAX || header->fields > HEADER_FIELDS_MAX;
}

/* RFC 5322 2.2: printable ASCII without a colon; RFC 5322 4.5: blanks may stand behind it. */
static bool is_field_name(const char *name)
{
    size_t length = 0;

    while (name[length] > ' ' && name[length] < 0x7f && name[length] != ':')
        length++;
    return length > 0 && name[length + strspn(name + length, " \t")] == '\0';
}

/* RFC 2919 2: what is in the last angle brackets; some write it without. */
static const char *read_list_id(struct arena *arena, const char *value)
{
    const char *open = strrchr(value, '<');
    const char *at = open != NULL ? open + 1 : value;
    size_t length = strcspn(at, ">");
    char name[DOMAIN_SIZE];

    while (length > 0 && isspace((unsigned char)at[0])) {
        at++;
        length--;
    }
    while (length > 0 && isspace((unsigned char)at[length - 1]))
        length--;
    return domain_canonical(at, length, name) ? arena_strdup(arena, name) : "";
}

static void *open_header(void *state, const struct inputs *inputs, struct arena *arena,
                         struct dns *dns)
{
    struct header *header = arena_alloc(arena, sizeof(*header));

    (void)state;
    (void)inputs;
    (void)dns;
    header->arena = arena;
    return header;
}

static void take_field(void *stream, const char *name, const char *value)
{
    struct header *header = stream;

    header->octets += strlen(name) + strlen(value) + strlen(":\r\n");
    header->fields++;
    /* A From field counts wherever it stands, or what comes before it could hide the author. */
    if (from_header_is(name))
        from_header_add(&header->from, header->arena, value, strlen(value));
    if (is_too_big(header))
        return;
    if (!is_field_name(name))
        header->bad_name = true;
    if (strcasecmp(name, "List-Id") == 0 && header->list_id == NULL)
        header->list_id = read_list_id(header->arena, value);
}

static const struct check_stream stream = {.open = open_header, .header = take_field};

/* ---- probes ---- */

static int64_t number_of(uint64_t count)
{
    return count > INT64_MAX ? INT64_MAX : (int64_t)count;
}

static void start_size(struct probe_run *run)
{
    probe_set(run, MESSAGE_SIZE, value_number(number_of(run->inputs->message_size)));
    probe_finish(run);
}

/* The harmless one comes last: it must not hide another. */
static enum header_fault fault_of(const struct header *header)
{
    const struct from_header *from = &header->from;

    if (from->fields > 1)
        return FAULT_MANY_FROM;
    if (is_too_big(header) || from->too_big)
        return FAULT_TOO_BIG;
    if (from->fields == 0)
        return FAULT_NO_FROM;
    if (from->bad)
        return FAULT_UNCLEAR_FROM;
    if (from->several_domains)
        return FAULT_MANY_FROM;
    return header->bad_name ? FAULT_BAD : FAULT_NONE;
}

static void start_header(struct probe_run *run)
{
    static const struct header no_fields;
    const struct header *header = run->stream != NULL ? run->stream : &no_fields;
    const struct from_header *from = &header->from;
    struct value address = value_text("");

    if (from->count == 1 && !from->unclear) {
        address.text = from->authors[0].address;
        address.shown = from->authors[0].sent;
    }
    probe_set(run, RECEIVED_COUNT, value_number(run->inputs->received_count));
    probe_set(run, FROM, address);
    probe_set_text(run, FROM_DOMAIN, from_header_domain(from));
    probe_set(run, FROM_COUNT, value_number(number_of(from->count)));
    probe_set_word(run, HEADER_FAULT, fault_of(header));
    probe_set_text(run, LIST_ID, header->list_id);
    probe_finish(run);
}

static const struct probe probes[] = {
    {.name = "message",
     .stage = STAGE_MESSAGE,
     .scope = SCOPE_MESSAGE,
     .first = MESSAGE_SIZE,
     .count = 1,
     .start = start_size},
    {.name = "header",
     .stage = STAGE_MESSAGE,
     .scope = SCOPE_MESSAGE,
     .first = RECEIVED_COUNT,
     .count = COUNT_OF(facts) - RECEIVED_COUNT,
     .start = start_header},
};

const struct check check_message = {
    .name = "message",
    .help = "size of the message, number of its hops, its authors",
    .facts = facts,
    .fact_count = COUNT_OF(facts),
    .probes = probes,
    .probe_count = COUNT_OF(probes),
    .stream = &stream,
};
