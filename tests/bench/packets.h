/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_BENCH_PACKETS_H
#define POSTERN_BENCH_PACKETS_H

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/*
 * Packets of the milter protocol: four bytes of length, one of command, data.  A packet stands
 * between begin_packet() and end_packet().
 */
struct buffer {
    char *data;
    size_t length, room;
};

static inline void reserve(struct buffer *buffer, size_t more)
{
    if (buffer->length + more <= buffer->room)
        return;
    size_t room = buffer->room * 2 > 512 ? buffer->room * 2 : 512;
    while (room < buffer->length + more)
        room *= 2;
    buffer->data = realloc(buffer->data, room);
    if (buffer->data == NULL)
        abort();
    buffer->room = room;
}

static inline void add(struct buffer *buffer, const void *bytes, size_t length)
{
    reserve(buffer, length);
    memcpy(buffer->data + buffer->length, bytes, length);
    buffer->length += length;
}

static inline void add_text(struct buffer *buffer, const char *text)
{
    add(buffer, text, strlen(text) + 1);
}

static inline void add_number(struct buffer *buffer, uint32_t number)
{
    number = htonl(number);
    add(buffer, &number, sizeof(number));
}

/* Begins a packet; end_packet() fills in its length. */
static inline size_t begin_packet(struct buffer *buffer, char command)
{
    size_t at = buffer->length;
    add_number(buffer, 0);
    add(buffer, &command, 1);
    return at;
}

static inline void end_packet(struct buffer *buffer, size_t at)
{
    uint32_t length = htonl((uint32_t)(buffer->length - at - 4));
    memcpy(buffer->data + at, &length, sizeof(length));
}

/* TEXTS: name, value, name, value ..., NULL. */
static inline void add_macros(struct buffer *buffer, char command, const char *const *texts)
{
    size_t at = begin_packet(buffer, 'D');
    add(buffer, &command, 1);
    for (; *texts != NULL; texts++)
        add_text(buffer, *texts);
    end_packet(buffer, at);
}

#endif
