/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/dns/names.h"
#include "../../src/dns/packet.h"

/*
 * The first byte chooses the type asked for, the rest is what a server sent when asked about
 * "a.example": whatever it is, the answer is well formed and bounded.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_record(enum dns_type type, const struct dns_record *record)
{
    assert(strlen(record->name) < NAMES_ESCAPED_SIZE);
    for (const char *c = record->name; *c; c++)
        assert(*c > ' ' && *c < 0x7f && !(*c >= 'A' && *c <= 'Z'));
    assert(record->text[record->length] == '\0');
    assert(record->length <= UINT16_MAX);
    assert((record->addr.family != ADDR_NONE) == (type == DNS_A || type == DNS_AAAA));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum dns_type types[] = {DNS_A, DNS_CNAME, DNS_PTR, DNS_MX, DNS_TXT, DNS_AAAA};
    enum { TYPES = sizeof(types) / sizeof(types[0]), DAY_MS = 86400 * 1000 };

    if (size == 0 || size > UINT16_MAX)
        return 0;
    enum dns_type type = types[data[0] % TYPES];
    const struct dns_answer *answer =
        packet_answer("a.example", type, data + 1, size - 1, false, 0);

    assert(answer->type == type && strcmp(answer->name, "a.example") == 0);
    assert((answer->status == DNS_FOUND) == (answer->count > 0));
    assert((answer->status == DNS_FAULT) == (*answer->problem != '\0'));
    assert(answer->count <= DNS_RECORDS_MAX);
    assert(answer->expires >= 0 && answer->expires <= DAY_MS);
    for (size_t i = 0; i < answer->count; i++)
        check_record(type, &answer->records[i]);
    dns_answer_unref(answer);
    return 0;
}
