/* SPDX-License-Identifier: MIT */
#include "wire_packet.h"

#include "protocol.h"

#include <postern/arena.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t get32(const char *bytes)
{
    const unsigned char *octets = (const unsigned char *)bytes;
    return (uint32_t)octets[0] << 24 | (uint32_t)octets[1] << 16 | (uint32_t)octets[2] << 8 |
           octets[3];
}

static void put32(char *bytes, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (char)(value >> (24 - 8 * i));
}

enum wire_next wire_next(const char *bytes, size_t length, struct wire_packet *packet, size_t *size)
{
    *size = WIRE_HEAD;
    if (length < 4)
        return WIRE_PART;
    uint32_t said = get32(bytes);
    if (said == 0 || said > WIRE_DATA_MAX + 1)
        return WIRE_REFUSED;
    *size = 4 + (size_t)said;
    if (length < *size)
        return WIRE_PART;
    *packet =
        (struct wire_packet){.command = bytes[4], .data = bytes + WIRE_HEAD, .length = said - 1};
    return WIRE_WHOLE;
}

/* ---- reading ---- */

static bool ends_with_nul(const struct wire_packet *packet)
{
    return packet->length > 0 && packet->data[packet->length - 1] == '\0';
}

bool wire_read_offer(const struct wire_packet *packet, struct wire_offer *offer)
{
    /* An MTA of the time before versions were counted says 0 and means what there was. */
    const uint32_t first_actions = 0xf, first_steps = 0x3f;
    if (packet->length < 12)
        return false;
    offer->version = get32(packet->data);
    offer->actions = get32(packet->data + 4);
    offer->steps = get32(packet->data + 8);
    if (offer->actions == 0)
        offer->actions = first_actions;
    if (offer->steps == 0)
        offer->steps = first_steps;
    return offer->version >= 2;
}

bool wire_read_client(const struct wire_packet *packet, struct wire_client *client)
{
    const char *end = memchr(packet->data, '\0', packet->length);
    *client = (struct wire_client){.host = packet->data, .addr = {.family = ADDR_NONE}};
    if (end == NULL || end + 1 == packet->data + packet->length)
        return false;
    char family = end[1];
    if (family == 'U')
        return true;
    size_t left = packet->length - (size_t)(end + 2 - packet->data);
    if (left < 3 || !ends_with_nul(packet) || (family != '4' && family != '6' && family != 'L'))
        return false;
    if (family == 'L')
        return true;
    client->port = (unsigned)(unsigned char)end[2] << 8 | (unsigned char)end[3];
    return addr_parse(end + 4, &client->addr) &&
           (family == '6' || client->addr.family == ADDR_IPV4);
}

bool wire_read_text(const struct wire_packet *packet, const char **text)
{
    *text = packet->data;
    return ends_with_nul(packet);
}

bool wire_read_field(const struct wire_packet *packet, const char **name, const char **value)
{
    if (!ends_with_nul(packet) || packet->data[0] == '\0')
        return false;
    *name = packet->data;
    *value = packet->data + strlen(packet->data) + 1;
    return *value < packet->data + packet->length;
}

bool wire_read_strings(const struct wire_packet *packet, const char *argv[WIRE_STRINGS_MAX + 1])
{
    size_t count = 0;
    if (!ends_with_nul(packet))
        return false;
    const char *end = packet->data + packet->length;
    for (const char *at = packet->data; at < end; at += strlen(at) + 1) {
        if (count == WIRE_STRINGS_MAX)
            return false;
        argv[count++] = at;
    }
    argv[count] = NULL;
    return true;
}

/* ---- macros ---- */

/* Where the macros of a command are kept; WIRE_PLACES: nowhere. */
static enum wire_place place_of(char command)
{
    static const char commands[WIRE_PLACES + 1] = "CHMRTNE";
    const char *found = command != '\0' ? strchr(commands, command) : NULL;
    return found != NULL ? (enum wire_place)(found - commands) : WIRE_PLACES;
}

/* Names and values, all of them terminated, in pairs. */
static bool is_pairs(const char *bytes, size_t length)
{
    size_t strings = 0;
    for (size_t i = 0; i < length; i++)
        strings += bytes[i] == '\0';
    return strings % 2 == 0 && (length == 0 || bytes[length - 1] == '\0');
}

static size_t kept(const struct wire_macros *macros)
{
    size_t all = 0;
    for (int i = 0; i < WIRE_PLACES; i++)
        all += macros->sets[i].length;
    return all;
}

bool wire_macros_take(struct wire_macros *macros, const struct wire_packet *packet)
{
    if (packet->length == 0 || !is_pairs(packet->data + 1, packet->length - 1))
        return false;
    enum wire_place place = place_of(packet->data[0]);
    if (place == WIRE_PLACES)
        return true;
    struct wire_macro_set *set = &macros->sets[place];
    uint32_t length = (uint32_t)(packet->length - 1);
    if (kept(macros) - set->length + length > WIRE_MACROS_MAX)
        return false;
    if (length > set->room || length < set->room / 4) {
        set->room = length;
        set->bytes = xrealloc(set->bytes, length);
    }
    set->length = length;
    if (length > 0)
        memcpy(set->bytes, packet->data + 1, length);
    return true;
}

void wire_macros_clear(struct wire_macros *macros, enum wire_place place)
{
    for (int i = (int)place; i < WIRE_PLACES; i++)
        macros->sets[i].length = 0;
}

void wire_macros_free(struct wire_macros *macros)
{
    for (int i = 0; i < WIRE_PLACES; i++)
        free(macros->sets[i].bytes);
    *macros = (struct wire_macros){0};
}

/* "i" and "{i}" are one macro. */
static bool same_macro(const char *a, const char *b)
{
    if (a[0] == '{' && a[1] != '\0' && a[2] == '}' && a[3] == '\0')
        return (b[0] == a[1] && b[1] == '\0') || strcmp(a, b) == 0;
    if (a[0] != '\0' && a[1] == '\0' && b[0] == '{')
        return b[1] == a[0] && b[2] == '}' && b[3] == '\0';
    return strcmp(a, b) == 0;
}

const char *wire_macro(void *arg, const char *name)
{
    const struct wire_macros *macros = arg;
    for (int i = WIRE_PLACES; i-- > 0;) {
        const struct wire_macro_set *set = &macros->sets[i];
        const char *end = set->length > 0 ? set->bytes + set->length : set->bytes;
        for (const char *at = set->bytes; at < end;) {
            const char *value = at + strlen(at) + 1;
            if (same_macro(name, at))
                return value;
            at = value + strlen(value) + 1;
        }
    }
    return NULL;
}

/* ---- writing ---- */

static void put_head(struct str *out, char command, size_t length)
{
    char head[WIRE_HEAD];
    put32(head, (uint32_t)(length + 1));
    head[4] = command;
    str_add_bytes(out, head, sizeof(head));
}

void wire_put(struct str *out, char command, const char *data, size_t length)
{
    put_head(out, command, length);
    str_add_bytes(out, data, length);
}

/* Begins a packet whose length is not known yet; returns where it begins. */
static size_t begin(struct str *out, char command)
{
    size_t at = out->length;
    put_head(out, command, 0);
    return at;
}

static void finish(struct str *out, size_t at)
{
    put32(out->data + at, (uint32_t)(out->length - at - 4));
}

static void add32(struct str *out, uint32_t value)
{
    char bytes[4];
    put32(bytes, value);
    str_add_bytes(out, bytes, sizeof(bytes));
}

static void add_string(struct str *out, const char *text)
{
    str_add_bytes(out, text, strlen(text) + 1);
}

void wire_put_choice(struct str *out, const struct wire_offer *choice,
                     const struct engine_needs *symbols)
{
    size_t at = begin(out, 'O');
    unsigned place;
    const char *names;
    add32(out, choice->version);
    add32(out, choice->actions);
    add32(out, choice->steps);
    for (unsigned i = 0; symbols != NULL && protocol_symbols(symbols, &i, &place, &names); i++) {
        add32(out, place);
        add_string(out, names);
    }
    finish(out, at);
}

void wire_put_reply(struct str *out, const struct session_answer *answer)
{
    size_t at = begin(out, 'y');
    size_t lines = answer->reply->line_count;
    for (size_t i = 0; i < lines; i++)
        str_add_format(out, "%d%c%s %s%s", answer->reply->code, i + 1 < lines ? '-' : ' ',
                       answer->enhanced, answer->lines[i], i + 1 < lines ? "\r\n" : "");
    str_add_char(out, '\0');
    finish(out, at);
}

void wire_put_change(struct str *out, const struct session_change *change)
{
    static const char commands[] = {
        [CHANGE_DELETE] = 'm', [CHANGE_INSERT] = 'i', [CHANGE_QUARANTINE] = 'q'};
    size_t at = begin(out, commands[change->kind]);
    if (change->kind != CHANGE_QUARANTINE) {
        add32(out, change->index);
        add_string(out, change->name);
    }
    /* A field without a value is removed. */
    add_string(out, change->kind == CHANGE_DELETE ? "" : change->value);
    finish(out, at);
}
