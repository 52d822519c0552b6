/* SPDX-License-Identifier: MIT */
#include "words.h"

#include <stdbool.h>
#include <string.h>

enum { COLUMNS = 77, INDENT = 4, VALUE_MAX = 320 };

void folded_start(struct folded *folded, size_t column)
{
    *folded = (struct folded){.column = column};
}

void folded_break(struct folded *folded)
{
    folded->column = COLUMNS;
}

void folded_word(struct folded *folded, const char *word)
{
    size_t length = strlen(word);

    if (folded->text.length == 0) {
        folded->column += length;
    } else if (folded->column + 1 + length > COLUMNS) {
        str_add(&folded->text, "\n    ");
        folded->column = INDENT + length;
    } else {
        str_add_char(&folded->text, ' ');
        folded->column += 1 + length;
    }
    str_add(&folded->text, word);
}

/* MIME tokens have no tspecials, but a value may be an address. */
static bool is_token(const char *value)
{
    static const char odd[] = "()<>,;:\\\"/[]?=";
    size_t length = strcspn(value, odd);

    for (size_t i = 0; i < length; i++)
        if (value[i] <= ' ' || value[i] >= 0x7f)
            return false;
    return length > 0 && value[length] == '\0';
}

static void add_quoted(struct str *text, const char *value)
{
    str_add_char(text, '"');
    for (size_t i = 0; i < VALUE_MAX && value[i] != '\0'; i++) {
        char c = value[i];
        if (c == '"' || c == '\\')
            str_add_char(text, '\\');
        str_add_char(text, c >= ' ' && c < 0x7f ? c : '?');
    }
    str_add_char(text, '"');
}

void folded_comment(struct folded *folded, const char *text)
{
    struct str word = {0};

    str_add_char(&word, '(');
    for (size_t i = 0; i < VALUE_MAX && text[i] != '\0'; i++)
        str_add_char(&word, text[i] > ' ' && text[i] < 0x7f && strchr("()\\", text[i]) == NULL
                                ? text[i]
                                : '?');
    str_add_char(&word, ')');
    folded_word(folded, str_text(&word));
    str_free(&word);
}

void folded_pair(struct folded *folded, const char *key, const char *value, const char *end)
{
    struct str word = {0};

    str_add(&word, key);
    if (key[0] != '\0')
        str_add_char(&word, '=');
    if (is_token(value) && strnlen(value, VALUE_MAX + 1) <= VALUE_MAX)
        str_add(&word, value);
    else
        add_quoted(&word, value);
    str_add(&word, end);
    folded_word(folded, str_text(&word));
    str_free(&word);
}
