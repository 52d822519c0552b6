/* SPDX-License-Identifier: MIT */
#include "explain.h"

#include <postern/arena.h>
#include <postern/str.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A message file as an MTA would show it to a milter: header fields one by one, folded lines with
 * LF, the body with CRLF. */
enum { MESSAGE_MAX = 256 * 1024 * 1024 };

static bool read_all(const char *path, struct str *text)
{
    FILE *file = fopen(path, "rbe");
    char chunk[65536];
    size_t n;
    if (file == NULL) {
        fprintf(stderr, "postern: %s: %s\n", path, strerror(errno));
        return false;
    }
    while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0 && text->length < MESSAGE_MAX)
        str_add_bytes(text, chunk, n);
    bool ok = ferror(file) == 0 && text->length < MESSAGE_MAX;
    if (!ok)
        fprintf(stderr, "postern: %s: cannot be read, or is larger than 256 MB\n", path);
    fclose(file);
    return ok;
}

/* The line at *AT without its line end; moves *AT behind it. */
static const char *next_line(const struct str *text, size_t *at, size_t *length)
{
    const char *start = text->data + *at;
    const char *end = memchr(start, '\n', text->length - *at);
    size_t n = end != NULL ? (size_t)(end - start) : text->length - *at;
    *at += end != NULL ? n + 1 : n;
    if (n > 0 && start[n - 1] == '\r')
        n--;
    *length = n;
    return start;
}

static void end_field(struct arena *arena, struct message *message, struct str *field, size_t *room)
{
    char *colon = field->length > 0 ? strchr(field->data, ':') : NULL;
    if (colon != NULL) {
        if (message->header_count == *room) {
            size_t more = *room == 0 ? 32 : *room * 2;
            struct message_header *headers = arena_alloc(arena, more * sizeof(headers[0]));
            if (message->header_count > 0)
                memcpy(headers, message->headers, message->header_count * sizeof(headers[0]));
            message->headers = headers;
            *room = more;
        }
        size_t name = (size_t)(colon - field->data);
        message->headers[message->header_count++] = (struct message_header){
            .name = arena_strndup(arena, field->data, name),
            .value = arena_strdup(arena, colon + 1),
        };
    }
    str_clear(field);
}

static void read_headers(struct arena *arena, struct message *message, const struct str *text,
                         size_t *at)
{
    struct str field = {0};
    size_t room = 0;
    while (*at < text->length) {
        size_t length;
        const char *line = next_line(text, at, &length);
        if (length == 0)
            break;
        if (line[0] != ' ' && line[0] != '\t')
            end_field(arena, message, &field, &room);
        else
            str_add_char(&field, '\n');
        str_add_bytes(&field, line, length);
    }
    end_field(arena, message, &field, &room);
    str_free(&field);
}

struct message *message_read(struct arena *arena, const char *path)
{
    struct str text = {0}, body = {0};
    if (!read_all(path, &text)) {
        str_free(&text);
        return NULL;
    }
    struct message *message = arena_alloc(arena, sizeof(*message));
    size_t at = 0;
    read_headers(arena, message, &text, &at);
    while (at < text.length) {
        size_t length;
        const char *line = next_line(&text, &at, &length);
        str_add_bytes(&body, line, length);
        str_add(&body, "\r\n");
    }
    message->body = arena_strndup(arena, str_text(&body), body.length);
    message->body_length = body.length;
    str_free(&body);
    str_free(&text);
    return message;
}
