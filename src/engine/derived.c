/* SPDX-License-Identifier: MIT */
#include "engine_private.h"

#include <string.h>
#include <strings.h>

#include <postern/str.h>
#include <postern/table.h>

/*
 * Derived facts: `X in TABLE`, `matches`, `lookup()`, `header()`.  Found as soon as their subject
 * is known and somebody needs them; what cannot be found out is a fault, never "no".
 */

/* How a value of this type is looked up.  False: the value is empty, which no table holds. */
static bool key_of_value(struct engine_session *session, const struct slot *slot,
                         const struct value *value, struct table_key *key)
{
    struct mailbox mailbox;

    *key = (struct table_key){
        .text = "", .local = "", .domain = "", .delimiter = session->wiring->delimiter};
    switch ((enum fact_type)slot->type) {
    case FACT_IP:
        key->kind = TABLE_KEY_ADDR;
        key->addr = value->ip;
        return value->ip.family != ADDR_NONE;
    case FACT_DOMAIN:
        key->kind = TABLE_KEY_DOMAIN;
        key->text = value->text;
        return value->text[0] != '\0';
    case FACT_ADDRESS:
        /* Not cut at an '@': a quoted local part can hold another. */
        mailbox = mailbox_parse(session->scratch, value->text);
        key->kind = TABLE_KEY_ADDRESS;
        key->local = mailbox.local;
        key->domain = mailbox.domain;
        return value->text[0] != '\0';
    case FACT_TEXT:
    case FACT_LOCAL_PART:
        key->kind = TABLE_KEY_TEXT;
        key->text = value->text;
        return value->text[0] != '\0';
    case FACT_BOOL:
    case FACT_NUMBER:
    case FACT_WORD:
        key->kind = TABLE_KEY_TEXT;
        key->text = value_show(session->scratch, slot, value);
        return true;
    case FACT_SET:
    case FACT_ROWS:
        break;
    }
    return false;
}

/* Any member of a set; one that could not be looked up is a fault unless another one is found. */
static struct table_answer find_member(struct engine_session *session, struct table *table,
                                       const struct text_set *set, struct arena *arena)
{
    struct table_answer result = {.status = TABLE_ABSENT, .value = ""};

    for (size_t i = 0; i < set->count; i++) {
        const struct table_key key = {.kind = TABLE_KEY_DOMAIN,
                                      .text = set->items[i],
                                      .local = "",
                                      .domain = "",
                                      .delimiter = session->wiring->delimiter};
        struct table_answer answer = table_find(table, &key, arena);
        if (answer.status == TABLE_FOUND)
            return answer;
        if (answer.status == TABLE_UNAVAILABLE)
            result = answer;
    }
    return result;
}

static struct table_answer find_value(struct engine_session *session, struct table *table,
                                      const struct slot *slot, const struct value *value,
                                      struct arena *arena)
{
    struct table_key key;

    if (table == NULL)
        return (struct table_answer){.status = TABLE_UNAVAILABLE};
    if (slot->type == FACT_SET)
        return find_member(session, table, &value->set, arena);
    if (!key_of_value(session, slot, value, &key))
        return (struct table_answer){.status = TABLE_ABSENT};
    return table_find(table, &key, arena);
}

static struct value match(struct engine_session *session, const struct derived *derived,
                          const struct slot *slot, const struct value *value,
                          const struct slot *self)
{
    int found = 0;

    if (slot->type == FACT_SET) {
        for (size_t i = 0; i < value->set.count && found != 1; i++) {
            int one = pattern_match(derived->pattern, value->set.items[i]);
            found = one != 0 ? one : found;
        }
    } else if (slot->type == FACT_TEXT || slot->type == FACT_DOMAIN ||
               slot->type == FACT_LOCAL_PART || slot->type == FACT_ADDRESS) {
        found = pattern_match(derived->pattern, value->text);
    } else {
        found = pattern_match(derived->pattern, value_show(session->scratch, slot, value));
    }
    return found < 0 ? value_fault(self) : value_bool(found == 1);
}

static struct value of_subject(struct engine_session *session, struct recipient *recipient,
                               uint32_t number)
{
    const struct wiring *wiring = session->wiring;
    const struct derived *derived = &wiring->policy->derived[number];
    const struct slot *self = &wiring->layout->slots[derived->slot];
    const struct slot *slot = &wiring->layout->slots[derived->subject];
    const struct value *value = session_cell(session, recipient, derived->subject);
    struct arena *arena = session->scratch;
    struct table_answer answer;

    if (value->state == VALUE_FAULT)
        return value_fault(self);
    if (derived->kind == DERIVED_MATCHES)
        return match(session, derived, slot, value, self);
    if (derived->kind == DERIVED_LOOKUP)
        arena = session_span(session, recipient, wiring->span_of[derived->slot])->arena;
    answer = find_value(session, wiring->tables[number], slot, value, arena);
    if (answer.status == TABLE_UNAVAILABLE)
        return value_fault(self);
    if (derived->kind == DERIVED_LOOKUP)
        return value_text(answer.status == TABLE_FOUND ? answer.value : "");
    return value_bool(answer.status == TABLE_FOUND);
}

void derived_find(struct engine_session *session, struct recipient *recipient, uint32_t number)
{
    const struct derived *derived = &session->wiring->policy->derived[number];
    struct value *cell = session_cell(session, recipient, derived->slot);

    if (derived->kind == DERIVED_HEADER)
        *cell = value_text(session->tx.headers[number]);
    else
        *cell = of_subject(session, recipient, number);
    arena_reset(session->scratch);
}

/* RFC 5322 2.2.3: unfolding removes the line breaks; the blanks behind them stay. */
static const char *unfold(struct arena *arena, const char *value)
{
    char *text = arena_alloc(arena, strnlen(value, HEADER_VALUE_MAX) + 1);
    size_t length = 0;

    while (*value == ' ' || *value == '\t' || *value == '\r' || *value == '\n')
        value++;
    for (size_t i = 0; i < HEADER_VALUE_MAX && value[i] != '\0'; i++)
        if (value[i] != '\r' && value[i] != '\n')
            text[length++] = value[i];
    while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t'))
        text[--length] = '\0';
    return text;
}

void derived_header(struct engine_session *session, const char *name, const char *value)
{
    const struct policy *policy = session->wiring->policy;
    const char *text = NULL;

    for (size_t i = 0; i < policy->derived_count; i++) {
        if (policy->derived[i].kind != DERIVED_HEADER || session->tx.headers[i] != NULL ||
            strcasecmp(policy->derived[i].header, name) != 0)
            continue;
        if (text == NULL)
            text = unfold(session->spans[SPAN_TRANSACTION].arena, value);
        session->tx.headers[i] = text;
    }
}
