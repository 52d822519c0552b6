/* SPDX-License-Identifier: MIT */
#include "packet.h"

#include <netinet/in.h>
#include <string.h>

#include <postern/arena.h>

#include "answer.h"
#include "names.h"

enum {
    HEADER_SIZE = 12,
    FLAG_QR = 0x80,
    FLAG_TC = 0x02,
    RCODE_NXDOMAIN = 3,
    CLASS_IN = 1,
    TYPE_SOA = 6,
    CHAIN_MAX = 16, /* CNAMEs followed; resolvers stop at about as many */
    IPV4_SIZE = 4,
    IPV6_SIZE = 16,
};

/* One resource record of a section; data lies within the packet. */
struct rr {
    char owner[NAMES_ESCAPED_SIZE];
    unsigned type, class;
    uint32_t ttl;
    size_t data, size;
};

/* A packet that is read from front to back. */
struct reader {
    const uint8_t *packet;
    size_t length, at;
};

struct parse {
    struct reader reader; /* at the first record of the answer section */
    struct arena *scratch;
    unsigned answers, authorities;
    char owner[NAMES_ESCAPED_SIZE]; /* where the chain of CNAMEs has got to */
    uint32_t ttl;
    struct dns_answer draft;
    struct dns_record *records; /* room for as many as the section may have, once it is read */
};

static unsigned get16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static bool read_rr(struct reader *reader, struct rr *rr)
{
    enum { FIXED = 10 };
    size_t at = names_from_wire(reader->packet, reader->length, reader->at, rr->owner);

    if (at == 0 || reader->length - at < FIXED)
        return false;
    const uint8_t *fixed = reader->packet + at;

    rr->type = get16(fixed);
    rr->class = get16(fixed + 2);
    rr->ttl = get32(fixed + 4);
    /* RFC 2181 8: a TTL with its top bit set is zero. */
    if (rr->ttl > INT32_MAX)
        rr->ttl = 0;
    rr->size = get16(fixed + 8);
    rr->data = at + FIXED;
    if (reader->length - rr->data < rr->size)
        return false;
    reader->at = rr->data + rr->size;
    return true;
}

/* Header and question; leaves the reader at the answer section. */
static bool read_question(struct parse *parse, const char *name, enum dns_type type)
{
    struct reader *reader = &parse->reader;
    char asked[NAMES_ESCAPED_SIZE];

    if (reader->length < HEADER_SIZE || !(reader->packet[2] & FLAG_QR) ||
        get16(reader->packet + 4) != 1)
        return false;
    parse->answers = get16(reader->packet + 6);
    parse->authorities = get16(reader->packet + 8);
    reader->at = names_from_wire(reader->packet, reader->length, HEADER_SIZE, asked);
    if (reader->at == 0 || reader->length - reader->at < 4)
        return false;
    const uint8_t *rest = reader->packet + reader->at;

    reader->at += 4;
    names_escape(name, parse->owner);
    return strcmp(asked, parse->owner) == 0 && get16(rest) == (unsigned)type &&
           get16(rest + 2) == CLASS_IN;
}

static bool read_addr(const struct parse *parse, const struct rr *rr, struct addr *addr)
{
    const uint8_t *data = parse->reader.packet + rr->data;

    if (rr->type == DNS_A) {
        struct sockaddr_in sa = {.sin_family = AF_INET};

        if (rr->size != IPV4_SIZE)
            return false;
        memcpy(&sa.sin_addr, data, IPV4_SIZE);
        *addr = addr_from_sockaddr((const struct sockaddr *)&sa);
    } else {
        struct sockaddr_in6 sa = {.sin6_family = AF_INET6};

        if (rr->size != IPV6_SIZE)
            return false;
        memcpy(&sa.sin6_addr, data, IPV6_SIZE);
        *addr = addr_from_sockaddr((const struct sockaddr *)&sa);
    }
    return true;
}

/* The name that makes up the record's data from OFFSET to its end. */
static bool read_name(const struct parse *parse, const struct rr *rr, size_t offset,
                      char out[NAMES_ESCAPED_SIZE])
{
    size_t end = rr->data + rr->size;

    return names_from_wire(parse->reader.packet, end, rr->data + offset, out) == end;
}

/* RFC 7208 3.3, RFC 6376 3.6.2.2: the strings of one record are joined without a gap. */
static bool read_text(const struct parse *parse, const struct rr *rr, struct dns_record *record)
{
    const uint8_t *at = parse->reader.packet + rr->data, *end = at + rr->size;
    char *text = arena_alloc(parse->scratch, rr->size + 1);

    record->text = text;
    while (at < end) {
        size_t size = *at++;

        if ((size_t)(end - at) < size)
            return false;
        memcpy(text + record->length, at, size);
        record->length += size;
        at += size;
    }
    return true;
}

static bool read_data(const struct parse *parse, const struct rr *rr, struct dns_record *record)
{
    enum { PREFERENCE_SIZE = 2 };
    char name[NAMES_ESCAPED_SIZE];
    bool good = false;

    switch ((enum dns_type)rr->type) {
    case DNS_A:
    case DNS_AAAA:
        return read_addr(parse, rr, &record->addr);
    case DNS_TXT:
        return read_text(parse, rr, record);
    case DNS_MX:
        if (rr->size <= PREFERENCE_SIZE)
            return false;
        record->preference = (uint16_t)get16(parse->reader.packet + rr->data);
        good = read_name(parse, rr, PREFERENCE_SIZE, name);
        break;
    case DNS_PTR:
    case DNS_CNAME:
        good = read_name(parse, rr, 0, name);
        break;
    }
    if (good)
        record->name = arena_strdup(parse->scratch, name);
    return good;
}

/* Moves the owner one CNAME on.  False when the section holds none for it; *good tells malformed.
 */
static bool follow_cname(struct parse *parse, bool *good)
{
    struct reader reader = parse->reader;
    struct rr rr;

    for (unsigned i = 0; i < parse->answers; i++) {
        *good = read_rr(&reader, &rr);
        if (!*good)
            return false;
        if (rr.type != DNS_CNAME || rr.class != CLASS_IN || strcmp(rr.owner, parse->owner) != 0)
            continue;
        *good = read_name(parse, &rr, 0, parse->owner);
        parse->ttl = least(parse->ttl, rr.ttl);
        return *good;
    }
    return false;
}

static bool follow_chain(struct parse *parse)
{
    bool good = true;

    if (parse->draft.type == DNS_CNAME)
        return true;
    for (unsigned hops = 0; hops < CHAIN_MAX; hops++)
        if (!follow_cname(parse, &good))
            return good;
    return false; /* a loop */
}

/* The records of the type at the end of the chain; leaves the reader at the authority section. */
static bool collect(struct parse *parse)
{
    struct rr rr;
    size_t room = parse->answers < DNS_RECORDS_MAX ? parse->answers : DNS_RECORDS_MAX;

    parse->records = arena_alloc(parse->scratch, room * sizeof(*parse->records));
    parse->draft.records = parse->records;
    for (unsigned i = 0; i < parse->answers; i++) {
        if (!read_rr(&parse->reader, &rr))
            return false;
        if (rr.type != (unsigned)parse->draft.type || rr.class != CLASS_IN ||
            strcmp(rr.owner, parse->owner) != 0 || parse->draft.count == DNS_RECORDS_MAX)
            continue;
        if (!read_data(parse, &rr, &parse->records[parse->draft.count]))
            return false;
        parse->draft.count++;
        parse->ttl = least(parse->ttl, rr.ttl);
    }
    return true;
}

/* RFC 2308 5: a negative answer is kept for the lesser of the SOA's TTL and its MINIMUM, the last
 * of its fields, and not at all without a SOA. */
static bool negative_ttl(struct parse *parse)
{
    enum { MINIMUM_SIZE = 4, SOA_SIZE_MIN = 22 };
    struct rr rr;

    parse->ttl = least(parse->ttl, PACKET_NEGATIVE_TTL_MAX_S);
    for (unsigned i = 0; i < parse->authorities; i++) {
        if (!read_rr(&parse->reader, &rr))
            return false;
        if (rr.type != TYPE_SOA || rr.class != CLASS_IN)
            continue;
        if (rr.size < SOA_SIZE_MIN)
            return false;
        uint32_t minimum = get32(parse->reader.packet + rr.data + rr.size - MINIMUM_SIZE);

        parse->ttl = least(parse->ttl, least(rr.ttl, minimum));
        return true;
    }
    parse->ttl = 0;
    return true;
}

/* Returns the problem, or NULL when draft holds the answer. */
static const char *parse_packet(struct parse *parse)
{
    static const char malformed[] = "malformed answer";

    if (!read_question(parse, parse->draft.name, parse->draft.type))
        return malformed;
    unsigned rcode = parse->reader.packet[3] & 0x0f;

    if (rcode != 0 && rcode != RCODE_NXDOMAIN)
        return packet_rcode_name(rcode);
    if (parse->reader.packet[2] & FLAG_TC)
        return "truncated answer";
    if (!follow_chain(parse) || !collect(parse))
        return malformed;
    if (parse->draft.count > 0) {
        parse->draft.status = DNS_FOUND;
        return NULL;
    }
    parse->draft.status = rcode == RCODE_NXDOMAIN ? DNS_NO_NAME : DNS_NO_DATA;
    return negative_ttl(parse) ? NULL : malformed;
}

const struct dns_answer *packet_answer(const char *name, enum dns_type type, const uint8_t *packet,
                                       size_t length, bool secure, int64_t now)
{
    enum { MS = 1000 };
    const struct dns_answer *answer;
    struct parse parse = {.reader = {.packet = packet, .length = length},
                          .scratch = arena_new(),
                          .ttl = PACKET_TTL_MAX_S,
                          .draft = {.type = type, .name = name, .secure = secure}};
    const char *problem = parse_packet(&parse);

    if (problem) {
        answer = answer_fault(name, type, problem, now + PACKET_FAULT_TTL_S * MS);
    } else {
        parse.draft.expires = now + (int64_t)parse.ttl * MS;
        answer = dns_answer_new(&parse.draft);
    }
    arena_free(parse.scratch);
    return answer;
}

const char *packet_rcode_name(unsigned rcode)
{
    static const char *const names[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
                                        "NOTIMP",  "REFUSED", "YXDOMAIN", "YXRRSET",
                                        "NXRRSET", "NOTAUTH", "NOTZONE"};

    return rcode < sizeof(names) / sizeof(names[0]) ? names[rcode] : "odd RCODE";
}
