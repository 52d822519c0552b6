/* SPDX-License-Identifier: MIT */
#include <postern/facts.h>

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include <postern/arena.h>

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
        return arena_printf(arena, "%" PRId64, value->low);
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

/* "domain=a.example result=pass; domain=b.example result=fail": cells that are empty are left out.
 */
static const char *show_rows(struct arena *arena, const struct slot *slot,
                             const struct text_set *cells)
{
    const char *text = "";

    for (size_t i = 0; i < cells->count; i++) {
        bool first = i % slot->word_count == 0;
        const char *gap = i == 0 ? "" : first ? "; " : " ";

        if (cells->items[i][0] != '\0')
            text = arena_printf(arena, "%s%s%s=%s", text, gap, slot->words[i % slot->word_count],
                                cells->items[i]);
        else if (first && i > 0)
            text = arena_printf(arena, "%s;", text);
    }
    return text;
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
