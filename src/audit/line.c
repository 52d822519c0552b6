/* SPDX-License-Identifier: MIT */
#include <postern/audit.h>

#include <string.h>

#include <postern/arena.h>
#include <postern/str.h>

/* One record as one line that nothing from outside can forge. */
enum { VALUE_MAX = 1000 };

static bool is_plain(const char *value)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                ".:@/_+<>%,=-";

    return value[0] != '=' && value[0] != '\0' && value[strspn(value, plain)] == '\0';
}

static void add_quoted(struct str *line, const char *value, size_t length)
{
    str_add_char(line, '"');
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)value[i];
        if (c == '"' || c == '\\')
            str_add_format(line, "\\%c", c);
        else if (c < 0x20 || c > 0x7e)
            str_add_format(line, "\\x%02x", c);
        else
            str_add_char(line, (char)c);
    }
}

static void add_value(struct str *line, const char *value)
{
    size_t length = strnlen(value, VALUE_MAX + 1);
    bool cut = length > VALUE_MAX;

    if (!cut && is_plain(value)) {
        str_add(line, value);
        return;
    }
    add_quoted(line, value, cut ? VALUE_MAX : length);
    str_add(line, cut ? "...\"" : "\"");
}

/* Keys are made of names in the configuration; none of them can end a key here. */
static void add_key(struct str *line, const char *key)
{
    for (; *key != '\0'; key++)
        str_add_char(line, *key > 0x20 && *key < 0x7f && *key != '=' && *key != '"' ? *key : '_');
}

const char *audit_line(struct arena *arena, const struct audit_field *fields, size_t count)
{
    struct str line = {0};
    const char *result;

    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            str_add_char(&line, ' ');
        add_key(&line, fields[i].key);
        str_add_char(&line, '=');
        add_value(&line, fields[i].value);
    }
    result = arena_strdup(arena, str_text(&line));
    str_free(&line);
    return result;
}
