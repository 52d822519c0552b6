/* SPDX-License-Identifier: MIT */
#include "policy_fixture.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <postern/lexer.h>

static const struct fact_row rows[] = {
    {"client.ip", FACT_IP, STAGE_CONNECT, SCOPE_CONNECTION, NULL, "address"},
    {"client.name", FACT_DOMAIN, STAGE_CONNECT, SCOPE_CONNECTION, NULL, "confirmed name"},
    {"client.ptr", FACT_DOMAIN, STAGE_CONNECT, SCOPE_CONNECTION, NULL, "claimed name"},
    {"client.local", FACT_BOOL, STAGE_CONNECT, SCOPE_CONNECTION, NULL, "local submission"},
    {"client.rate", FACT_NUMBER, STAGE_CONNECT, SCOPE_CONNECTION, NULL, "messages an hour"},
    {"dnsbl.score", FACT_NUMBER, STAGE_CONNECT, SCOPE_CONNECTION, NULL, "sum of weights"},
    {"dnsbl.faults", FACT_NUMBER, STAGE_CONNECT, SCOPE_CONNECTION, NULL, "lists in fault"},
    {"helo", FACT_TEXT, STAGE_HELO, SCOPE_CONNECTION, NULL, "HELO name"},
    {"helo.kind", FACT_WORD, STAGE_HELO, SCOPE_CONNECTION, "name literal bare invalid", "its kind"},
    {"auth.user", FACT_TEXT, STAGE_MAIL, SCOPE_TRANSACTION, NULL, "authenticated user"},
    {"sender", FACT_ADDRESS, STAGE_MAIL, SCOPE_TRANSACTION, NULL, "sender"},
    {"sender.local", FACT_LOCAL_PART, STAGE_MAIL, SCOPE_TRANSACTION, NULL, "its local part"},
    {"sender.domain", FACT_DOMAIN, STAGE_MAIL, SCOPE_TRANSACTION, NULL, "its domain"},
    {"spf.result", FACT_WORD, STAGE_MAIL, SCOPE_TRANSACTION,
     "none pass fail softfail temperror! permerror", "SPF"},
    {"rcpt", FACT_ADDRESS, STAGE_RCPT, SCOPE_RECIPIENT, NULL, "recipient"},
    {"rcpt.domain", FACT_DOMAIN, STAGE_RCPT, SCOPE_RECIPIENT, NULL, "its domain"},
    {"rcpt.local", FACT_LOCAL_PART, STAGE_RCPT, SCOPE_RECIPIENT, NULL, "its local part"},
    {"rcpt.status", FACT_WORD, STAGE_RCPT, SCOPE_RECIPIENT, "known unknown moved unavailable!",
     "status"},
    {"rcpt.moved_to", FACT_ADDRESS, STAGE_RCPT, SCOPE_RECIPIENT, NULL, "new address"},
    {"dkim.domains", FACT_SET, STAGE_MESSAGE, SCOPE_MESSAGE, NULL, "passing signers"},
    {"dmarc.result", FACT_WORD, STAGE_MESSAGE, SCOPE_MESSAGE, "none pass fail temperror!", "DMARC"},
    {"message.size", FACT_NUMBER, STAGE_MESSAGE, SCOPE_MESSAGE, NULL, "octets"},
};

static const char *const tables[] = {"trusted", "ours", "users", "forwarders", "forwarder_domains"};

static bool table_known(void *arg, const char *name)
{
    size_t i;

    (void)arg;
    for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        if (strcmp(tables[i], name) == 0)
            return true;
    }
    return false;
}

static const char *table_nearest(void *arg, const char *name)
{
    (void)arg;
    return strncmp(name, "trust", 5) == 0 ? "trusted" : NULL;
}

static void read_statements(struct fixture *fixture, struct policy_builder *builder)
{
    struct lexer *lexer = lexer_new(&fixture->source, fixture->arena, fixture->diag);

    while (lexer_peek(lexer)->kind != TOKEN_END) {
        struct token head = lexer_next(lexer);

        if (token_is(&head, "rule")) {
            policy_parse_rule(builder, lexer, &head);
        } else if (token_is(&head, "condition")) {
            policy_parse_named(builder, lexer, &head);
        } else if (token_is(&head, "disable") || token_is(&head, "observe")) {
            struct token name = lexer_next(lexer);

            (token_is(&head, "disable") ? policy_disable : policy_observe)(builder, &name);
            lexer_accept(lexer, TOKEN_SEMICOLON);
        } else {
            diag_error(fixture->diag, &head.at, "no statement: '%s'", head.text);
            lexer_skip_statement(lexer);
            lexer_accept(lexer, TOKEN_CLOSE);
        }
    }
    lexer_free(lexer);
}

static void print_messages(struct fixture *fixture)
{
    size_t size;
    FILE *out = open_memstream(&fixture->messages, &size);

    assert(out != NULL);
    diag_print(fixture->diag, out);
    fclose(out);
}

struct fixture *fixture_new_at(const char *text, enum stage speak_at, int32_t today)
{
    const struct fact_part part = {rows, sizeof(rows) / sizeof(rows[0])};
    const struct policy_names names = {table_known, table_nearest, NULL};
    struct arena *arena = arena_new();
    struct fixture *fixture = arena_alloc(arena, sizeof(*fixture));
    struct policy_builder *builder;
    int scope;

    fixture->arena = arena;
    fixture->diag = diag_new();
    fixture->source = (struct source){"test.conf", text, strlen(text)};
    fixture->facts = layout_new(arena, &part, 1);
    builder = policy_builder_new(arena, fixture->facts, fixture->diag);
    read_statements(fixture, builder);
    fixture->policy = policy_build(builder, &names, speak_at, MIXED_LATE, today);
    print_messages(fixture);
    if (fixture->policy == NULL)
        return fixture;
    for (scope = 0; scope < SCOPE_COUNT; scope++) {
        fixture->values[scope] =
            arena_alloc(arena, fixture->policy->layout->scope_count[scope] * sizeof(struct value));
        fixture->view.scope[scope] = fixture->values[scope];
    }
    fixture->modes = arena_alloc(arena, fixture->policy->rule_count);
    fixture_modes(fixture, false);
    return fixture;
}

struct fixture *fixture_new(const char *text)
{
    return fixture_new_at(text, STAGE_RCPT, 20260701);
}

void fixture_free(struct fixture *fixture)
{
    policy_fini(fixture->policy);
    free(fixture->messages);
    diag_free(fixture->diag);
    arena_free(fixture->arena);
}

void fixture_clear(struct fixture *fixture)
{
    int scope;

    for (scope = 0; scope < SCOPE_COUNT; scope++)
        memset(fixture->values[scope], 0,
               fixture->policy->layout->scope_count[scope] * sizeof(struct value));
}

void fixture_modes(struct fixture *fixture, bool local)
{
    const struct mode_inputs inputs = {.today = 20260701, .local = local, .sender_domain = ""};

    policy_modes(fixture->policy, &inputs, fixture->modes);
}

static struct value set_value(struct arena *arena, const char *text)
{
    const char **items = arena_alloc(arena, 16 * sizeof(*items));
    size_t count = 0;
    char *save;
    char *item;

    for (item = strtok_r(arena_strdup(arena, text), ",", &save); item != NULL;
         item = strtok_r(NULL, ",", &save))
        items[count++] = item;
    return value_set(items, count);
}

/* "3", "1..3", "1..", "..3", ".." */
static struct value number_value(const char *text)
{
    const char *dots = strstr(text, "..");
    int64_t low = INT64_MIN;
    int64_t high = INT64_MAX;

    if (dots == NULL)
        return value_number(strtoll(text, NULL, 10));
    if (dots != text)
        low = strtoll(text, NULL, 10);
    if (dots[2] != '\0')
        high = strtoll(dots + 2, NULL, 10);
    return value_interval(low, high);
}

struct value fixture_value(struct fixture *fixture, const struct slot *slot, const char *text)
{
    struct addr addr;
    int word;

    if (strcmp(text, "?") == 0)
        return (struct value){.state = VALUE_OPEN};
    if (strcmp(text, "!") == 0)
        return value_fault(slot);
    switch ((enum fact_type)slot->type) {
    case FACT_BOOL:
        return value_bool(strcmp(text, "yes") == 0);
    case FACT_NUMBER:
        return number_value(text);
    case FACT_IP:
        addr_parse(text, &addr);
        return value_ip(addr);
    case FACT_WORD:
        word = slot_word(slot, text);
        assert(word >= 0);
        return value_word(slot, (unsigned)word);
    case FACT_SET:
        return set_value(fixture->arena, text);
    default:
        return value_text(text);
    }
}

void fixture_set(struct fixture *fixture, const char *assignments)
{
    const struct layout *layout = fixture->policy->layout;
    char *text = arena_strdup(fixture->arena, assignments);
    char *save, *name;

    for (name = strtok_r(text, " ", &save); name != NULL; name = strtok_r(NULL, " ", &save)) {
        char *equals = strrchr(name, '=');
        slot_t slot;
        char *c;

        assert(equals != NULL);
        *equals = '\0';
        slot = layout_find(layout, name);
        for (c = name; slot == SLOT_NONE && *c != '\0'; c++) {
            if (*c == '_')
                *c = ' ';
        }
        if (slot == SLOT_NONE)
            slot = layout_find(layout, name);
        assert(slot != SLOT_NONE);
        fixture->values[layout->slots[slot].scope][layout->slots[slot].index] =
            fixture_value(fixture, &layout->slots[slot], equals + 1);
    }
}

int fixture_rule(const struct fixture *fixture, const char *name)
{
    size_t i;

    for (i = 0; i < fixture->policy->rule_count; i++) {
        if (strcmp(fixture->policy->rules[i].name, name) == 0)
            return (int)i;
    }
    assert(i < fixture->policy->rule_count);
    return -1;
}

const char *fixture_verdict(struct fixture *fixture, const struct verdict *verdict)
{
    const struct rule *rules = fixture->policy->rules;
    const char *name = verdict->rule >= 0 ? rules[verdict->rule].name : "";

    if (!verdict->certain)
        return "wait";
    switch (verdict->kind) {
    case VERDICT_NONE:
        return "none";
    case VERDICT_OPEN:
        return "open";
    case VERDICT_ACCEPT:
        return arena_printf(fixture->arena, "accept %s", name);
    case VERDICT_QUARANTINE:
        return arena_printf(fixture->arena, "quarantine %s", name);
    case VERDICT_REPLY:
        return arena_printf(fixture->arena, "reply %s", name);
    case VERDICT_FAULT:
        return arena_printf(fixture->arena, "fault %s by %s", name,
                            rules[verdict->fault_rule].name);
    }
    return "";
}
