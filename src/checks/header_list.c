/* SPDX-License-Identifier: MIT */
#include "header_list.h"

#include <string.h>
#include <strings.h>

#include <postern/arena.h>

enum { FIRST_ROOM = 32 };

/* Only a short cut before names are compared: nothing is lost when names are made to collide but
 * the short cut, and the list is bounded. */
static uint32_t hash_name(const char *name, size_t length)
{
    uint32_t hash = 2166136261U;
    size_t i;

    for (i = 0; i < length; i++)
        hash = (hash ^ ((unsigned char)name[i] | 0x20U)) * 16777619U;
    return hash;
}

size_t header_name_length(const char *name)
{
    size_t length = strlen(name);

    while (length > 0 && (name[length - 1] == ' ' || name[length - 1] == '\t'))
        length--;
    return length;
}

void header_list_init(struct header_list *list, struct arena *arena)
{
    *list = (struct header_list){.arena = arena};
}

static void make_room(struct header_list *list)
{
    size_t room = list->room != 0 ? 2 * list->room : FIRST_ROOM;
    struct header_field *fields = arena_alloc(list->arena, room * sizeof(*fields));

    if (list->count > 0)
        memcpy(fields, list->fields, list->count * sizeof(*fields));
    list->fields = fields;
    list->room = room;
}

void header_list_add(struct header_list *list, const char *name, const char *value)
{
    size_t name_length = strlen(name);
    size_t length = strlen(value);
    struct header_field *field;

    if (list->cut || list->count == HEADER_FIELDS_MAX || name_length > HEADER_BYTES_MAX ||
        length > HEADER_BYTES_MAX || list->bytes + name_length + length > HEADER_BYTES_MAX) {
        list->cut = true;
        return;
    }
    if (list->count == list->room)
        make_room(list);
    list->bytes += name_length + length;
    field = &list->fields[list->count++];
    field->name = arena_strndup(list->arena, name, name_length);
    field->value = arena_strndup(list->arena, value, length);
    field->length = length;
    field->name_length = header_name_length(name);
    field->hash = hash_name(name, field->name_length);
}

bool header_is(const struct header_field *field, const char *name)
{
    return field->name_length == strlen(name) &&
           strncasecmp(field->name, name, field->name_length) == 0;
}

void header_list_mark(const struct header_list *list, const char *names, bool *named)
{
    while (*names != '\0') {
        size_t length = strcspn(names, ":");
        uint32_t hash = hash_name(names, length);
        size_t i;

        for (i = 0; i < list->count; i++)
            named[i] |= list->fields[i].hash == hash && list->fields[i].name_length == length;
        names += length + (names[length] == ':');
    }
}

const struct header_field *header_list_take(const struct header_list *list, bool *used,
                                            const char *name, size_t length)
{
    uint32_t hash = hash_name(name, length);
    size_t i;

    for (i = list->count; i-- > 0;) {
        const struct header_field *field = &list->fields[i];

        if (field->hash == hash && !used[i] && field->name_length == length &&
            strncasecmp(field->name, name, length) == 0) {
            used[i] = true;
            return field;
        }
    }
    return NULL;
}
