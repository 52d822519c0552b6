/* SPDX-License-Identifier: MIT */
#include <postern/addr.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

static const struct addr NO_ADDR = {.family = ADDR_NONE};

static const uint8_t MAPPED_PREFIX[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static unsigned family_bits(const struct addr *addr)
{
    switch (addr->family) {
    case ADDR_IPV4:
        return 32;
    case ADDR_IPV6:
        return 128;
    default:
        return 0;
    }
}

static struct addr from_ipv4(const uint8_t bytes[4])
{
    struct addr addr = {.family = ADDR_IPV4};

    memcpy(addr.bytes, bytes, 4);
    return addr;
}

/* Without turning mapped addresses into IPv4. */
static struct addr from_ipv6_as_is(const uint8_t bytes[16])
{
    struct addr addr = {.family = ADDR_IPV6};

    memcpy(addr.bytes, bytes, 16);
    return addr;
}

static struct addr from_ipv6(const uint8_t bytes[16])
{
    if (memcmp(bytes, MAPPED_PREFIX, sizeof(MAPPED_PREFIX)) == 0)
        return from_ipv4(bytes + 12);
    return from_ipv6_as_is(bytes);
}

/* Reads LENGTH bytes; a mapped address stays IPv6.  inet_pton(3) is as strict as we want to be:
 * four decimal octets without leading zeros, no zone, nothing behind the address. */
static bool parse_as_is(const char *text, size_t length, struct addr *addr)
{
    static const char tag[] = "IPv6:";
    char copy[INET6_ADDRSTRLEN + 1];
    uint8_t bytes[16];
    bool tagged = false;

    *addr = NO_ADDR;
    if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
        text++;
        length -= 2;
    }
    if (length >= sizeof(tag) - 1 && strncasecmp(text, tag, sizeof(tag) - 1) == 0) {
        text += sizeof(tag) - 1;
        length -= sizeof(tag) - 1;
        tagged = true;
    }
    if (length >= sizeof(copy))
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (!tagged && inet_pton(AF_INET, copy, bytes) == 1) {
        *addr = from_ipv4(bytes);
        return true;
    }
    if (inet_pton(AF_INET6, copy, bytes) == 1) {
        *addr = from_ipv6_as_is(bytes);
        return true;
    }
    return false;
}

bool addr_parse(const char *text, struct addr *addr)
{
    if (!parse_as_is(text, strlen(text), addr))
        return false;
    if (addr->family == ADDR_IPV6)
        *addr = from_ipv6(addr->bytes);
    return true;
}

struct addr addr_from_sockaddr(const struct sockaddr *sa)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    uint8_t bytes[16];

    if (sa == NULL)
        return NO_ADDR;
    switch (sa->sa_family) {
    case AF_INET:
        memcpy(&in, sa, sizeof(in));
        memcpy(bytes, &in.sin_addr, 4);
        return from_ipv4(bytes);
    case AF_INET6:
        memcpy(&in6, sa, sizeof(in6));
        memcpy(bytes, &in6.sin6_addr, 16);
        return from_ipv6(bytes);
    default:
        return NO_ADDR;
    }
}

/* RFC 5952 4.2: the longest run of at least two zero groups, the first of equals.  Writes where it
 * begins and returns its length, 0 when there is none. */
static int zero_run(const unsigned groups[8], int *begin)
{
    int best = 0;
    int run = 0;
    int i;

    for (i = 0; i < 8; i++) {
        run = groups[i] == 0 ? run + 1 : 0;
        if (run > best) {
            best = run;
            *begin = i - run + 1;
        }
    }
    return best >= 2 ? best : 0;
}

static void format_ipv6(const uint8_t bytes[16], char text[ADDR_TEXT_SIZE])
{
    unsigned groups[8];
    char *end = text + ADDR_TEXT_SIZE;
    char *at = text;
    int begin = 0;
    int run, i;

    for (i = 0; i < 8; i++)
        groups[i] = (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1];
    run = zero_run(groups, &begin);
    for (i = 0; i < 8; i++) {
        if (run != 0 && i == begin) {
            at += snprintf(at, (size_t)(end - at), "::");
            i += run - 1;
            continue;
        }
        if (i != 0 && at[-1] != ':')
            *at++ = ':';
        at += snprintf(at, (size_t)(end - at), "%x", groups[i]);
    }
}

static char *format_octet(char *to, unsigned octet)
{
    if (octet >= 100)
        *to++ = (char)('0' + octet / 100);
    if (octet >= 10)
        *to++ = (char)('0' + octet / 10 % 10);
    *to++ = (char)('0' + octet % 10);
    return to;
}

/* Every record and many questions name an address. */
static void format_ipv4(const uint8_t *b, char *to)
{
    for (int i = 0; i < 4; i++) {
        to = format_octet(to, b[i]);
        *to++ = i < 3 ? '.' : '\0';
    }
}

const char *addr_format(const struct addr *addr, char text[ADDR_TEXT_SIZE])
{
    text[0] = '\0';
    if (addr->family == ADDR_IPV4)
        format_ipv4(addr->bytes, text);
    else if (addr->family == ADDR_IPV6)
        format_ipv6(addr->bytes, text);
    return text;
}

int addr_compare(const struct addr *a, const struct addr *b)
{
    if (a->family != b->family)
        return a->family < b->family ? -1 : 1;
    return memcmp(a->bytes, b->bytes, family_bits(a) / 8);
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
    return addr_compare(a, b) == 0;
}

struct addr addr_mask(const struct addr *addr, unsigned bits)
{
    struct addr masked = {.family = addr->family};
    unsigned whole;

    if (bits > family_bits(addr))
        bits = family_bits(addr);
    whole = bits / 8;
    memcpy(masked.bytes, addr->bytes, whole);
    if (bits % 8 != 0)
        masked.bytes[whole] = (uint8_t)(addr->bytes[whole] & (0xff00u >> bits % 8));
    return masked;
}

const char *addr_reverse(const struct addr *addr, char text[ADDR_REVERSE_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *b = addr->bytes;
    char *at = text;
    int i;

    text[0] = '\0';
    if (addr->family == ADDR_IPV4)
        format_ipv4((const uint8_t[]){b[3], b[2], b[1], b[0]}, text);
    if (addr->family != ADDR_IPV6)
        return text;
    /* RFC 5782 2.4: the low nibble of the last octet comes first. */
    for (i = 15; i >= 0; i--) {
        *at++ = digits[b[i] & 0x0f];
        *at++ = '.';
        *at++ = digits[b[i] >> 4];
        *at++ = i > 0 ? '.' : '\0';
    }
    return text;
}

bool addr_is_loopback(const struct addr *addr)
{
    static const uint8_t one[16] = {[15] = 1};

    if (addr->family == ADDR_IPV4)
        return addr->bytes[0] == 127;
    return addr->family == ADDR_IPV6 && memcmp(addr->bytes, one, sizeof(one)) == 0;
}

/* One to three digits without a leading zero and nothing behind them, at most LIMIT. */
static bool parse_bits(const char *text, unsigned limit, unsigned *bits)
{
    size_t length = strlen(text);
    size_t i;

    if (length == 0 || length > 3 || (length > 1 && text[0] == '0'))
        return false;
    *bits = 0;
    for (i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *bits = *bits * 10 + (unsigned)(text[i] - '0');
    }
    return *bits <= limit;
}

bool net_parse(const char *text, struct net *net, bool *had_host_bits)
{
    const char *slash = strchr(text, '/');
    struct addr addr;
    unsigned bits;

    *net = (struct net){.addr = NO_ADDR};
    if (had_host_bits != NULL)
        *had_host_bits = false;
    if (!parse_as_is(text, slash != NULL ? (size_t)(slash - text) : strlen(text), &addr))
        return false;
    bits = family_bits(&addr);
    if (slash != NULL && !parse_bits(slash + 1, bits, &bits))
        return false;
    /* ::ffff:192.0.2.0/120 is 192.0.2.0/24; a shorter prefix is not all mapped and stays IPv6. */
    if (addr.family == ADDR_IPV6 && bits >= 96 &&
        memcmp(addr.bytes, MAPPED_PREFIX, sizeof(MAPPED_PREFIX)) == 0) {
        addr = from_ipv4(addr.bytes + 12);
        bits -= 96;
    }
    net->addr = addr_mask(&addr, bits);
    net->bits = (uint8_t)bits;
    if (had_host_bits != NULL)
        *had_host_bits = !addr_equal(&net->addr, &addr);
    return true;
}

const char *net_format(const struct net *net, char text[NET_TEXT_SIZE])
{
    char *end;

    addr_format(&net->addr, text);
    end = text + strlen(text);
    *end++ = '/';
    *format_octet(end, net->bits) = '\0';
    return text;
}

bool net_contains(const struct net *net, const struct addr *addr)
{
    struct addr masked;

    if (addr->family == ADDR_NONE || addr->family != net->addr.family)
        return false;
    masked = addr_mask(addr, net->bits);
    return addr_equal(&masked, &net->addr);
}
