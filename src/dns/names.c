/* SPDX-License-Identifier: MIT */
#include "names.h"

#include <string.h>

enum { LABEL_MAX = 63, POINTER = 0xc0 };

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

size_t names_read(const char *text, char out[NAMES_TEXT_SIZE])
{
    size_t length = 0, label = 0;

    for (; *text; text++) {
        if (*text == '.') {
            if (label == 0)
                return 0;
            if (!text[1])
                break;
            label = 0;
        } else if (++label > LABEL_MAX) {
            return 0;
        }
        if (length + 1 >= NAMES_TEXT_SIZE)
            return 0;
        out[length++] = lower(*text);
    }
    out[length] = '\0';
    return length;
}

/* Writes one byte of a label; returns how many characters it took. */
static size_t put_byte(uint8_t byte, char *out)
{
    if (byte > ' ' && byte < 0x7f && byte != '.' && byte != '\\') {
        *out = lower((char)byte);
        return 1;
    }
    out[0] = '\\';
    out[1] = (char)('0' + byte / 100);
    out[2] = (char)('0' + byte / 10 % 10);
    out[3] = (char)('0' + byte % 10);
    return 4;
}

size_t names_escape(const char *name, char out[NAMES_ESCAPED_SIZE])
{
    size_t length = 0;

    for (; *name; name++) {
        if (*name == '.')
            out[length++] = '.';
        else
            length += put_byte((uint8_t)*name, out + length);
    }
    out[length] = '\0';
    return length;
}

size_t names_from_wire(const uint8_t *packet, size_t length, size_t offset,
                       char out[NAMES_ESCAPED_SIZE])
{
    size_t at = offset, start = offset, end = 0, written = 0, wire = 1;

    for (;;) {
        if (at >= length)
            return 0;
        uint8_t size = packet[at];

        if ((size & POINTER) == POINTER) {
            if (at + 1 >= length)
                return 0;
            if (end == 0)
                end = at + 2;
            at = (size_t)(size & ~POINTER) << 8 | packet[at + 1];
            /* RFC 1035 4.1.4: a prior occurrence.  Each jump goes to before the last, so they end.
             */
            if (at >= start)
                return 0;
            start = at;
            continue;
        }
        if (size > LABEL_MAX)
            return 0;
        at++;
        if (size == 0)
            break;
        wire += (size_t)size + 1;
        if (wire > NAMES_WIRE_MAX || length - at < size)
            return 0;
        if (written > 0)
            out[written++] = '.';
        for (size_t i = 0; i < size; i++)
            written += put_byte(packet[at + i], out + written);
        at += size;
    }
    out[written] = '\0';
    return end ? end : at;
}
