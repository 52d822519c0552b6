/* SPDX-License-Identifier: MIT */
#include <postern/facts.h>

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include <postern/arena.h>
#include <postern/str.h>

struct value value_bool(bool yes)
{
    return (struct value){.state = VALUE_KNOWN, .text = "", .low = yes, .high = yes};
}

struct value value_number(int64_t number)
{
    return (struct value){.state = VALUE_KNOWN, .text = "", .low = number, .high = number};
}

struct value value_interval(int64_t low, int64_t high)
{
    struct value value = value_number(low);

    assert(low <= high);
    value.high = high;
    if (low != high)
        value.state = VALUE_FAULT;
    return value;
}

struct value value_text(const char *text)
{
    return (struct value){.state = VALUE_KNOWN, .text = text != NULL ? text : ""};
}

struct value value_ip(struct addr ip)
{
    return (struct value){.state = VALUE_KNOWN, .text = "", .ip = ip};
}

struct value value_set(const char *const *items, size_t count)
{
    return (struct value){
        .state = VALUE_KNOWN, .text = "", .set = {.count = count, .items = items}};
}

struct value value_word(const struct slot *slot, unsigned word)
{
    assert(slot->type == FACT_WORD && word < slot->word_count);
    return (struct value){.state = word == slot->fault_word ? VALUE_FAULT : VALUE_KNOWN,
                          .text = "",
                          .word = (uint16_t)word};
}

struct value value_fault(const struct slot *slot)
{
    struct value value = {.state = VALUE_FAULT, .text = "", .word = slot->fault_word};

    if (slot->type == FACT_NUMBER) {
        value.low = INT64_MIN;
        value.high = INT64_MAX;
    }
    return value;
}

struct value value_absent(const struct slot *slot)
{
    (void)slot;
    return (struct value){.state = VALUE_KNOWN, .text = ""};
}

/* "3", "1..5"; an end without a bound is left out. */
static const char *show_number(struct arena *arena, const struct value *value)
{
    if (value->low == value->high)
        return arena_number(arena, value->low);
    if (value->low == INT64_MIN && value->high == INT64_MAX)
        return "..";
    if (value->low == INT64_MIN)
        return arena_printf(arena, "..%" PRId64, value->high);
    if (value->high == INT64_MAX)
        return arena_printf(arena, "%" PRId64 "..", value->low);
    return arena_printf(arena, "%" PRId64 "..%" PRId64, value->low, value->high);
}

static const char *show_set(struct arena *arena, const struct text_set *set)
{
    size_t length = 1;
    char *text, *end;
    size_t i;

    for (i = 0; i < set->count; i++)
        length += strlen(set->items[i]) + 2;
    text = end = arena_alloc(arena, length);
    for (i = 0; i < set->count; i++) {
        if (i != 0)
            end = stpcpy(end, ", ");
        end = stpcpy(end, set->items[i]);
    }
    return text;
}

/* One row: "domain=a.example result=pass".  Cells that are empty are left out, long ones are cut.
 */
static void show_row(struct str *out, const struct slot *slot, const char *const *cells)
{
    enum { CELL_MAX = 200 };
    const char *gap = "";

    for (size_t i = 0; i < slot->brief_count; i++) {
        size_t length = strlen(cells[i]);

        if (length == 0)
            continue;
        str_add(out, gap);
        str_add(out, slot->words[i]);
        str_add_char(out, '=');
        str_add_bytes(out, cells[i], length > CELL_MAX ? CELL_MAX : length);
        str_add(out, length > CELL_MAX ? "..." : "");
        gap = " ";
    }
}

/* Whole rows, up to what a record has room for, and how many are left out. */
static const char *show_rows(struct arena *arena, const struct slot *slot,
                             const struct text_set *cells)
{
    enum { ROWS_LENGTH_MAX = 960 };
    size_t count = cells->count / slot->word_count;
    struct str text = {0};
    const char *shown;

    for (size_t i = 0; i < count; i++) {
        struct str row = {0};

        show_row(&row, slot, &cells->items[i * slot->word_count]);
        if (i > 0 && text.length + row.length > ROWS_LENGTH_MAX) {
            str_free(&row);
            str_add_format(&text, "; %zu more", count - i);
            break;
        }
        if (i > 0)
            str_add(&text, row.length > 0 ? "; " : ";");
        str_add(&text, str_text(&row));
        str_free(&row);
    }
    shown = arena_strdup(arena, str_text(&text));
    str_free(&text);
    return shown;
}

const char *value_show(struct arena *arena, const struct slot *slot, const struct value *value)
{
    char ip[ADDR_TEXT_SIZE];

    if (value->state == VALUE_OPEN)
        return "";
    switch ((enum fact_type)slot->type) {
    case FACT_BOOL:
        if (value->state == VALUE_FAULT)
            return "";
        return value->low != 0 ? "yes" : "no";
    case FACT_NUMBER:
        return show_number(arena, value);
    case FACT_TEXT:
    case FACT_DOMAIN:
    case FACT_LOCAL_PART:
    case FACT_ADDRESS:
        return value->shown != NULL ? value->shown : value->text;
    case FACT_IP:
        return arena_strdup(arena, addr_format(&value->ip, ip));
    case FACT_WORD:
        return value->word < slot->word_count ? slot->words[value->word] : "";
    case FACT_SET:
        return show_set(arena, &value->set);
    case FACT_ROWS:
        return show_rows(arena, slot, &value->set);
    }
    return "";
}

const char *stage_name(enum stage stage)
{
    static const char *const names[] = {"connect", "helo", "mail", "rcpt", "data", "message"};

    return names[stage];
}

const char *scope_name(enum scope scope)
{
    static const char *const names[] = {"connection", "transaction", "recipient", "message"};

    return names[scope];
}

const char *fact_type_name(enum fact_type type)
{
    static const char *const names[] = {"yes or no", "number",     "text", "domain", "local part",
                                        "address",   "IP address", "word", "set",    "table"};

    return names[type];
}
