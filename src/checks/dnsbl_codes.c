/* SPDX-License-Identifier: MIT */
#include "dnsbl_codes.h"

#include <stddef.h>
#include <string.h>

/* What lists say instead of an answer: URIBL and SURBL 127.0.0.1, dnswl.org 127.0.0.255, the
 * Spamhaus DBL 127.0.1.255 (an address was asked for).  A broken resolver, too, is known for
 * 127.0.0.1. */
static const struct addr refusals[] = {
    {ADDR_IPV4, {127, 0, 0, 1}},
    {ADDR_IPV4, {127, 0, 0, 255}},
    {ADDR_IPV4, {127, 0, 1, 255}},
};

enum { REFUSALS = sizeof(refusals) / sizeof(refusals[0]) };

/* A decimal number of at most three digits up to 255; moves *at behind it. */
static bool read_octet(const char **at, uint8_t *octet)
{
    unsigned number = 0;
    unsigned digits = 0;

    while (**at >= '0' && **at <= '9' && digits < 4) {
        number = number * 10 + (unsigned)(**at - '0');
        digits++;
        (*at)++;
    }
    if (digits == 0 || digits > 3 || number > 255)
        return false;
    *octet = (uint8_t)number;
    return true;
}

/* "7", "2-11" or "*". */
static bool read_part(const char **at, uint8_t *low, uint8_t *high)
{
    if (**at == '*') {
        (*at)++;
        *low = 0;
        *high = 255;
        return true;
    }
    if (!read_octet(at, low))
        return false;
    *high = *low;
    if (**at != '-')
        return true;
    (*at)++;
    return read_octet(at, high) && *low <= *high;
}

static bool range_has(const struct dnsbl_range *range, const struct addr *code)
{
    size_t i;

    for (i = 0; i < 4; i++)
        if (code->bytes[i] < range->low[i] || code->bytes[i] > range->high[i])
            return false;
    return code->family == ADDR_IPV4;
}

bool dnsbl_codes_parse(const char *text, struct dnsbl_range *range, const char **problem)
{
    const char *at = text;
    size_t i;

    *problem = "is no return code such as 127.0.0.2, 127.0.0.2-11 or 127.0.*.1-3";
    for (i = 0; i < 4; i++) {
        if (i > 0 && *at++ != '.')
            return false;
        if (!read_part(&at, &range->low[i], &range->high[i]))
            return false;
    }
    if (*at != '\0')
        return false;
    *problem = "lies outside 127/8, where no list answers";
    if (range->low[0] != 127 || range->high[0] != 127)
        return false;
    *problem = "is what lists answer when they refuse a query, never a listing";
    return !(range->low[1] == 255 && range->low[2] == 255);
}

bool dnsbl_codes_match(const struct dnsbl_ranges *ranges, const struct addr *code)
{
    size_t i;

    for (i = 0; i < ranges->count; i++)
        if (range_has(&ranges->items[i], code))
            return true;
    return false;
}

/* Whether one of RANGES is this code and nothing else. */
static bool is_named(const struct dnsbl_ranges *ranges, const struct addr *code)
{
    size_t i;

    for (i = 0; i < ranges->count; i++)
        if (memcmp(ranges->items[i].low, code->bytes, 4) == 0 &&
            memcmp(ranges->items[i].high, code->bytes, 4) == 0)
            return true;
    return false;
}

enum dnsbl_code dnsbl_codes_meaning(const struct dnsbl_ranges *own, const struct addr *code)
{
    size_t i;

    if (code->family != ADDR_IPV4 || code->bytes[0] != 127)
        return DNSBL_CODE_ALIEN;
    if (code->bytes[1] == 255 && code->bytes[2] == 255)
        return DNSBL_CODE_REFUSED;
    for (i = 0; i < REFUSALS; i++)
        if (addr_equal(code, &refusals[i]) && !is_named(own, code))
            return DNSBL_CODE_REFUSED;
    return DNSBL_CODE_LISTING;
}

const struct addr *dnsbl_codes_odd(const struct dnsbl_ranges *own, const struct dns_answer *answer)
{
    size_t i;

    for (i = 0; i < answer->count; i++)
        if (dnsbl_codes_meaning(own, &answer->records[i].addr) != DNSBL_CODE_LISTING)
            return &answer->records[i].addr;
    return NULL;
}
