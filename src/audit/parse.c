/* SPDX-License-Identifier: MIT */
#include <postern/audit.h>

#include <string.h>

#include <postern/arena.h>

/* Reading records back: the inverse of audit_line(), behind whatever syslog puts before it. */

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The byte behind a backslash at *AT; moves *AT past it. */
static char unescape(const char **at)
{
    const char *c = *at + 1;
    if (c[0] == 'x' && digit_of(c[1]) >= 0 && digit_of(c[2]) >= 0) {
        *at = c + 3;
        return (char)(digit_of(c[1]) * 16 + digit_of(c[2]));
    }
    *at = c[0] != '\0' ? c + 1 : c;
    return c[0];
}

/* Reads a quoted value, the quote taken.  NULL when its end is missing. */
static const char *quoted(struct arena *arena, const char **at)
{
    char *value = arena_alloc(arena, strlen(*at) + 1);
    size_t length = 0;
    while (**at != '"') {
        if (**at == '\0')
            return NULL;
        if (**at == '\\')
            value[length++] = unescape(at);
        else
            value[length++] = *(*at)++;
    }
    ++*at;
    return value;
}

/* Where the record begins: at the start, or behind the first "]: ", where syslog puts what a
 * program says.  Further on, in a line of any program, it may be what a client has said. */
static const char *start_of(const char *line)
{
    const char *mark = strncmp(line, "id=", 3) == 0 ? NULL : strstr(line, "]: ");
    const char *start = mark != NULL ? mark + 3 : line;

    return strncmp(start, "id=", 3) == 0 ? start : NULL;
}

size_t audit_parse(struct arena *arena, const char *line, struct audit_field *fields, size_t room)
{
    const char *at = start_of(line);
    size_t count = 0;
    while (at != NULL && *at != '\0' && *at != '\n' && count < room) {
        size_t length = strcspn(at, "= \n");
        if (length == 0 || at[length] != '=')
            return 0;
        fields[count].key = arena_strndup(arena, at, length);
        at += length + 1;
        if (*at == '"') {
            at++;
            fields[count].value = quoted(arena, &at);
            if (fields[count].value == NULL)
                return 0;
        } else {
            length = strcspn(at, " \n");
            fields[count].value = arena_strndup(arena, at, length);
            at += length;
        }
        count++;
        if (*at == ' ')
            at++;
    }
    return count;
}
