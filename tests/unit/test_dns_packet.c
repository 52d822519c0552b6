/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/dns/packet.h"

enum { NOW = 1000, MS = 1000, PACKET_MAX = 65535 };

struct packet {
    size_t length;
    uint8_t bytes[PACKET_MAX];
};

static void put(struct packet *packet, const void *bytes, size_t length)
{
    assert_true(packet->length + length <= PACKET_MAX);
    memcpy(packet->bytes + packet->length, bytes, length);
    packet->length += length;
}

static void put8(struct packet *packet, unsigned value)
{
    put(packet, &(uint8_t){(uint8_t)value}, 1);
}

static void put16(struct packet *packet, unsigned value)
{
    put8(packet, value >> 8);
    put8(packet, value & 0xff);
}

static void put32(struct packet *packet, uint32_t value)
{
    put16(packet, value >> 16);
    put16(packet, value & 0xffff);
}

static void put_name(struct packet *packet, const char *name)
{
    while (*name) {
        size_t length = strcspn(name, ".");

        put8(packet, (unsigned)length);
        put(packet, name, length);
        name += length + (name[length] == '.');
    }
    put8(packet, 0);
}

static void put_question(struct packet *packet, unsigned flags, unsigned answers,
                         unsigned authorities, const char *name, unsigned type)
{
    packet->length = 0;
    put16(packet, 0x1234);
    put16(packet, flags);
    put16(packet, 1);
    put16(packet, answers);
    put16(packet, authorities);
    put16(packet, 0);
    put_name(packet, name);
    put16(packet, type);
    put16(packet, 1);
}

/* A record: of TYPE, with DATA as a name behind an MX preference of 10, a name, or bytes. */
struct rr {
    const char *owner;
    unsigned type;
    uint32_t ttl;
    const char *data;
    size_t size; /* 0: DATA is a name */
};

static void put_rr(struct packet *packet, const struct rr *rr)
{
    put_name(packet, rr->owner);
    put16(packet, rr->type);
    put16(packet, 1);
    put32(packet, rr->ttl);
    size_t at = packet->length;

    put16(packet, 0);
    if (rr->type == DNS_MX)
        put16(packet, 10);
    if (rr->size)
        put(packet, rr->data, rr->size);
    else
        put_name(packet, rr->data);
    size_t size = packet->length - at - 2;

    packet->bytes[at] = (uint8_t)(size >> 8);
    packet->bytes[at + 1] = (uint8_t)size;
}

enum { SOA = 6, TTL_ANY = 77, QR = 0x8180, NXDOMAIN = QR | 3, DAY = 86400 };

static const char soa_60[] = "\0\0"
                             "\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\x3c";
static const char soa_9000[] = "\0\0"
                               "\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\x23\x28";
#define BYTES(text) text, sizeof(text) - 1

static const struct {
    const char *title;
    unsigned flags;
    enum dns_type type;
    struct rr answers[4];
    struct rr authority;
    enum dns_status status;
    const char *problem;
    size_t count;
    const char *data; /* of the first record */
    unsigned ttl;
} rows[] = {
    {"an address",
     QR,
     DNS_A,
     {{"a.example", DNS_A, 60, BYTES("\300\0\2\1")}},
     {0},
     DNS_FOUND,
     "",
     1,
     "192.0.2.1",
     60},
    {"owner in capitals",
     QR,
     DNS_A,
     {{"A.eXample", DNS_A, 60, BYTES("\300\0\2\1")}},
     {0},
     DNS_FOUND,
     "",
     1,
     "192.0.2.1",
     60},
    {"an IPv6 address",
     QR,
     DNS_AAAA,
     {{"a.example", DNS_AAAA, 60, BYTES("\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1")}},
     {0},
     DNS_FOUND,
     "",
     1,
     "2001:db8::1",
     60},
    {"mapped is IPv4",
     QR,
     DNS_AAAA,
     {{"a.example", DNS_AAAA, 60, BYTES("\0\0\0\0\0\0\0\0\0\0\xff\xff\300\0\2\7")}},
     {0},
     DNS_FOUND,
     "",
     1,
     "192.0.2.7",
     60},
    {"TTL over a day",
     QR,
     DNS_A,
     {{"a.example", DNS_A, 900000, BYTES("\300\0\2\1")}},
     {0},
     DNS_FOUND,
     "",
     1,
     "192.0.2.1",
     DAY},
    {"TTL with the top bit",
     QR,
     DNS_A,
     {{"a.example", DNS_A, 0x80000001, BYTES("\300\0\2\1")}},
     {0},
     DNS_FOUND,
     "",
     1,
     "192.0.2.1",
     0},
    {"least TTL counts",
     QR,
     DNS_A,
     {{"a.example", DNS_A, 60, BYTES("\300\0\2\1")}, {"a.example", DNS_A, 30, BYTES("\300\0\2\2")}},
     {0},
     DNS_FOUND,
     "",
     2,
     "192.0.2.1",
     30},
    {"records of others are no answer",
     QR,
     DNS_A,
     {{"b.example", DNS_A, 60, BYTES("\300\0\2\1")}},
     {"example", SOA, 100, BYTES(soa_60)},
     DNS_NO_DATA,
     "",
     0,
     "",
     60},
    {"a chain",
     QR,
     DNS_A,
     {{"a.example", DNS_CNAME, 20, "B.example", 0},
      {"b.example", DNS_CNAME, 50, "c.example", 0},
      {"c.example", DNS_A, 60, BYTES("\300\0\2\3")}},
     {0},
     DNS_FOUND,
     "",
     1,
     "192.0.2.3",
     20},
    {"a chain out of order",
     QR,
     DNS_A,
     {{"c.example", DNS_A, 60, BYTES("\300\0\2\3")},
      {"b.example", DNS_CNAME, 50, "c.example", 0},
      {"a.example", DNS_CNAME, 20, "b.example", 0}},
     {0},
     DNS_FOUND,
     "",
     1,
     "192.0.2.3",
     20},
    {"a chain that leads nowhere",
     NXDOMAIN,
     DNS_A,
     {{"a.example", DNS_CNAME, 20, "b.example", 0}},
     {"example", SOA, 100, BYTES(soa_60)},
     DNS_NO_NAME,
     "",
     0,
     "",
     20},
    {"a loop",
     QR,
     DNS_A,
     {{"a.example", DNS_CNAME, 20, "b.example", 0}, {"b.example", DNS_CNAME, 20, "a.example", 0}},
     {0},
     DNS_FAULT,
     "malformed answer",
     0,
     "",
     1},
    {"the CNAME itself",
     QR,
     DNS_CNAME,
     {{"a.example", DNS_CNAME, 20, "B.example", 0}},
     {0},
     DNS_FOUND,
     "",
     1,
     "b.example",
     20},
    {"MX",
     QR,
     DNS_MX,
     {{"a.example", DNS_MX, 60, "MX.Example", 0}},
     {0},
     DNS_FOUND,
     "",
     1,
     "mx.example",
     60},
    {"null MX", QR, DNS_MX, {{"a.example", DNS_MX, 60, "", 0}}, {0}, DNS_FOUND, "", 1, "", 60},
    {"MX without a name",
     QR,
     DNS_MX,
     {{"a.example", DNS_MX, 60, BYTES("\3")}},
     {0},
     DNS_FAULT,
     "malformed answer",
     0,
     "",
     1},
    {"MX with a tail",
     QR,
     DNS_MX,
     {{"a.example", DNS_MX, 60, BYTES("\1a\0x")}},
     {0},
     DNS_FAULT,
     "malformed answer",
     0,
     "",
     1},
    {"strings are joined",
     QR,
     DNS_TXT,
     {{"a.example", DNS_TXT, 60, BYTES("\3v=s\4pf1 \0\4-all")}},
     {0},
     DNS_FOUND,
     "",
     1,
     "v=spf1 -all",
     60},
    {"empty TXT",
     QR,
     DNS_TXT,
     {{"a.example", DNS_TXT, 60, BYTES("\0")}},
     {0},
     DNS_FOUND,
     "",
     1,
     "",
     60},
    {"TXT that overruns",
     QR,
     DNS_TXT,
     {{"a.example", DNS_TXT, 60, BYTES("\5v=s")}},
     {0},
     DNS_FAULT,
     "malformed answer",
     0,
     "",
     1},
    {"a dot in a label",
     QR,
     DNS_PTR,
     {{"a.example", DNS_PTR, 60, BYTES("\4mx.a\7example\0")}},
     {0},
     DNS_FOUND,
     "",
     1,
     "mx\\046a.example",
     60},
    {"odd bytes",
     QR,
     DNS_PTR,
     {{"a.example", DNS_PTR, 60, BYTES("\4\0 \\\xff\7example\0")}},
     {0},
     DNS_FOUND,
     "",
     1,
     "\\000\\032\\092\\255.example",
     60},
    {"address of three bytes",
     QR,
     DNS_A,
     {{"a.example", DNS_A, 60, BYTES("\300\0\2")}},
     {0},
     DNS_FAULT,
     "malformed answer",
     0,
     "",
     1},
    {"no data", QR, DNS_A, {{0}}, {"example", SOA, 100, BYTES(soa_60)}, DNS_NO_DATA, "", 0, "", 60},
    {"no name",
     NXDOMAIN,
     DNS_A,
     {{0}},
     {"example", SOA, 40, BYTES(soa_60)},
     DNS_NO_NAME,
     "",
     0,
     "",
     40},
    {"negative for long",
     NXDOMAIN,
     DNS_A,
     {{0}},
     {"example", SOA, 9000, BYTES(soa_9000)},
     DNS_NO_NAME,
     "",
     0,
     "",
     300},
    {"negative without SOA", NXDOMAIN, DNS_A, {{0}}, {0}, DNS_NO_NAME, "", 0, "", 0},
    {"a short SOA",
     NXDOMAIN,
     DNS_A,
     {{0}},
     {"example", SOA, 40, BYTES("\0\0\0")},
     DNS_FAULT,
     "malformed answer",
     0,
     "",
     1},
    {"SERVFAIL", QR | 2, DNS_A, {{0}}, {0}, DNS_FAULT, "SERVFAIL", 0, "", 1},
    {"REFUSED", QR | 5, DNS_A, {{0}}, {0}, DNS_FAULT, "REFUSED", 0, "", 1},
    {"RCODE 15", QR | 15, DNS_A, {{0}}, {0}, DNS_FAULT, "odd RCODE", 0, "", 1},
    {"truncated",
     QR | 0x0200,
     DNS_A,
     {{"a.example", DNS_A, 60, BYTES("\300\0\2\1")}},
     {0},
     DNS_FAULT,
     "truncated answer",
     0,
     "",
     1},
    {"a question", 0x0100, DNS_A, {{0}}, {0}, DNS_FAULT, "malformed answer", 0, "", 1},
};

static const char *data_of(const struct dns_answer *answer, char text[ADDR_TEXT_SIZE])
{
    if (answer->count == 0)
        return "";
    const struct dns_record *record = &answer->records[0];

    if (answer->type == DNS_A || answer->type == DNS_AAAA)
        return addr_format(&record->addr, text);
    if (answer->type != DNS_TXT)
        return record->name;
    assert_int_equal(strlen(record->text), record->length);
    return record->text;
}

static void build(struct packet *packet, size_t row)
{
    unsigned answers = 0, authorities = rows[row].authority.owner != NULL;

    while (answers < 4 && rows[row].answers[answers].owner)
        answers++;
    put_question(packet, rows[row].flags, answers, authorities, "a.Example", rows[row].type);
    for (unsigned i = 0; i < answers; i++)
        put_rr(packet, &rows[row].answers[i]);
    if (authorities)
        put_rr(packet, &rows[row].authority);
}

static void answers(void **state)
{
    struct packet *packet = test_malloc(sizeof(*packet));
    char text[ADDR_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        build(packet, i);
        const struct dns_answer *answer =
            packet_answer("a.example", rows[i].type, packet->bytes, packet->length, true, NOW);

        if (answer->status != rows[i].status || strcmp(answer->problem, rows[i].problem) != 0 ||
            answer->count != rows[i].count || strcmp(data_of(answer, text), rows[i].data) != 0 ||
            answer->expires != NOW + (int64_t)rows[i].ttl * MS)
            fail_msg("%s: %s \"%s\" %zu \"%s\" %lld", rows[i].title,
                     dns_status_name(answer->status), answer->problem, answer->count,
                     data_of(answer, text), (long long)answer->expires);
        assert_string_equal(answer->name, "a.example");
        assert_int_equal(answer->secure, answer->status != DNS_FAULT);
        dns_answer_unref(answer);
    }
    test_free(packet);
}

static void other_question(void **state)
{
    struct packet *packet = test_malloc(sizeof(*packet));

    (void)state;
    put_question(packet, NXDOMAIN, 0, 0, "b.example", DNS_A);
    for (int i = 0; i < 2; i++) {
        const struct dns_answer *answer =
            packet_answer(i ? "b.example" : "a.example", i ? DNS_MX : DNS_A, packet->bytes,
                          packet->length, false, NOW);

        assert_int_equal(answer->status, DNS_FAULT);
        dns_answer_unref(answer);
    }
    test_free(packet);
}

/* Each packet is cut at every byte, in a block of just that size, and each byte is changed. */
static void damaged(void **state)
{
    static const uint8_t changes[] = {0x01, 0x3f, 0x40, 0x80, 0xc0, 0xff};
    struct packet *packet = test_malloc(sizeof(*packet));

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        build(packet, i);
        for (size_t length = 0; length < packet->length; length++) {
            uint8_t *cut = malloc(length + 1);

            memcpy(cut, packet->bytes, length);
            uint8_t *exact = realloc(cut, length ? length : 1);
            const struct dns_answer *answer =
                packet_answer("a.example", rows[i].type, exact, length, false, NOW);

            /* RCODEs are told even when the rest is missing. */
            assert_true(answer->status == DNS_FAULT);
            dns_answer_unref(answer);
            free(exact);
        }
        for (size_t at = 0; at < packet->length; at++) {
            for (size_t c = 0; c < sizeof(changes); c++) {
                packet->bytes[at] ^= changes[c];
                dns_answer_unref(packet_answer("a.example", rows[i].type, packet->bytes,
                                               packet->length, false, NOW));
                packet->bytes[at] ^= changes[c];
            }
        }
    }
    test_free(packet);
}

static void many_records(void **state)
{
    enum { MANY = 600 };
    struct packet *packet = test_malloc(sizeof(*packet));

    (void)state;
    put_question(packet, QR, MANY, 0, "a.example", DNS_A);
    for (unsigned i = 0; i < MANY; i++) {
        char data[] = {10, 0, (char)(i >> 8), (char)i};

        put_rr(packet, &(struct rr){"a.example", DNS_A, 60, data, sizeof(data)});
    }
    const struct dns_answer *answer =
        packet_answer("a.example", DNS_A, packet->bytes, packet->length, false, NOW);

    assert_int_equal(answer->count, DNS_RECORDS_MAX);
    assert_int_equal(answer->records[511].addr.bytes[2], 1);
    assert_int_equal(answer->records[511].addr.bytes[3], 0xff);
    dns_answer_unref(answer);
    test_free(packet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(other_question),
        cmocka_unit_test(damaged),
        cmocka_unit_test(many_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
