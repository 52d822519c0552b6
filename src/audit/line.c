/* SPDX-License-Identifier: MIT */
#include <postern/audit.h>

#include <string.h>

#include <postern/arena.h>
#include <postern/str.h>

/* One record as one line that nothing from outside can forge. */
enum { VALUE_MAX = 1000 };

/* What a byte is in a value: p as it is; q as it is, but only in quotes; e with a backslash before
 * it; x by its number.  A text of 256, so that it can be checked by eye. */
static const char kinds[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                            /* !"#$%&'()*+,-./0123456789:;<=>? */
                            "qqeqqpqqqqqppppppppppppppppqpppq"
                            /* @A-Z[\]^_ */
                            "pppppppppppppppppppppppppppqeqqp"
                            /* `a-z{|}~ and DEL */
                            "qppppppppppppppppppppppppppqqqqx"
                            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
_Static_assert(sizeof(kinds) == 256 + 1, "one for each byte");

static char kind_of(char byte)
{
    return kinds[(unsigned char)byte];
}

static void add_odd(struct str *line, char byte)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char number = (unsigned char)byte;
    const char coded[] = {'\\', 'x', digits[number >> 4], digits[number & 15]};
    const char escaped[] = {'\\', byte};

    if (kind_of(byte) == 'x')
        str_add_bytes(line, coded, sizeof(coded));
    else
        str_add_bytes(line, escaped, sizeof(escaped));
}

static void add_quoted(struct str *line, const char *value, size_t length)
{
    str_add_char(line, '"');
    for (size_t i = 0, run; i < length; i += run) {
        run = 0;
        while (i + run < length && kind_of(value[i + run]) != 'x' && kind_of(value[i + run]) != 'e')
            run++;
        str_add_bytes(line, value + i, run);
        if (i + run < length)
            add_odd(line, value[i + run++]);
    }
}

static void add_value(struct str *line, const char *value)
{
    size_t length = 0;
    bool cut;

    while (length <= VALUE_MAX && kind_of(value[length]) == 'p')
        length++;
    if (length > 0 && length <= VALUE_MAX && value[length] == '\0' && value[0] != '=') {
        str_add_bytes(line, value, length);
        return;
    }
    length += strnlen(value + length, VALUE_MAX + 1 - length);
    cut = length > VALUE_MAX;
    add_quoted(line, value, cut ? VALUE_MAX : length);
    str_add(line, cut ? "...\"" : "\"");
}

/* Keys are made of names in the configuration; none of them can end a key here. */
static void add_key(struct str *line, const char *key)
{
    size_t start = line->length;

    str_add(line, key);
    for (char *c = line->data + start; *c != '\0'; c++)
        if (*c <= 0x20 || *c >= 0x7f || *c == '=' || *c == '"')
            *c = '_';
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
    result = arena_strndup(arena, str_text(&line), line.length);
    str_free(&line);
    return result;
}
