/* SPDX-License-Identifier: MIT */
#include <postern/facts.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include <postern/arena.h>

static const struct fact_row client_rows[] = {
    {"client.ip", FACT_IP, STAGE_CONNECT, SCOPE_CONNECTION, NULL, "address"},
    {"client.name", FACT_DOMAIN, STAGE_CONNECT, SCOPE_CONNECTION, NULL, "name"},
};

static const struct fact_row other_rows[] = {
    {"rcpt.status", FACT_WORD, STAGE_RCPT, SCOPE_RECIPIENT, "known unknown unavailable!", "status"},
    {"helo.kind", FACT_WORD, STAGE_HELO, SCOPE_CONNECTION, "name literal", "kind"},
    {"dnsbl.score", FACT_NUMBER, STAGE_CONNECT, SCOPE_CONNECTION, NULL, "score"},
    {"dkim.domains", FACT_SET, STAGE_MESSAGE, SCOPE_MESSAGE, NULL, "signers"},
    {"client.local", FACT_BOOL, STAGE_CONNECT, SCOPE_CONNECTION, NULL, "local"},
    {"dkim.signatures", FACT_ROWS, STAGE_MESSAGE, SCOPE_MESSAGE, "domain result b* key*", "all"},
};

static const struct fact_part parts[] = {{client_rows, 2}, {other_rows, 6}};

static int setup(void **state)
{
    *state = arena_new();
    return 0;
}

static int teardown(void **state)
{
    arena_free(*state);
    return 0;
}

static void test_layout(void **state)
{
    const struct layout *layout = layout_new(*state, parts, 2);
    const struct slot *status;

    assert_int_equal(layout->count, 8);
    assert_int_equal(layout_find(layout, "client.ip"), 0);
    assert_int_equal(layout_find(layout, "rcpt.status"), 2);
    assert_int_equal(layout_find(layout, "rcpt.statu"), SLOT_NONE);
    assert_int_equal(layout_find(layout, ""), SLOT_NONE);
    assert_int_equal(layout->scope_count[SCOPE_CONNECTION], 5);
    assert_int_equal(layout->scope_count[SCOPE_TRANSACTION], 0);
    assert_int_equal(layout->scope_count[SCOPE_RECIPIENT], 1);
    assert_int_equal(layout->slots[layout_find(layout, "client.local")].index, 4);
    status = &layout->slots[2];
    assert_ptr_equal(status->row, &other_rows[0]);
    assert_int_equal(status->word_count, 3);
    assert_int_equal(status->fault_word, 2);
    assert_string_equal(status->words[2], "unavailable");
    assert_int_equal(slot_word(status, "unknown"), 1);
    assert_int_equal(slot_word(status, "unavailable!"), -1);
    assert_int_equal(layout->slots[3].fault_word, layout->slots[3].word_count);
}

static void test_layout_grows(void **state)
{
    struct layout *base = layout_new(*state, parts, 2);
    struct layout *layout = layout_extend(*state, base, 1);
    char name[32];
    slot_t slot;
    int i;

    for (i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "derived %d", i);
        slot = layout_add(layout, arena_strdup(*state, name), FACT_BOOL, STAGE_MAIL,
                          SCOPE_TRANSACTION);
        assert_int_equal(slot, 8 + i);
    }
    for (i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "derived %d", i);
        slot = layout_find(layout, name);
        assert_int_equal(slot, 8 + i);
        assert_int_equal(layout->slots[slot].index, i);
        assert_null(layout->slots[slot].row);
    }
    assert_int_equal(layout_find(layout, "rcpt.status"), 2);
    assert_string_equal(layout->slots[2].words[0], "known");
    assert_int_equal(base->count, 8);
    assert_int_equal(layout_find(base, "derived 0"), SLOT_NONE);
}

static void test_names(void **state)
{
    struct name_index *index = name_index_new(*state, 0);

    assert_int_equal(name_index_find(index, "a"), NAME_NONE);
    assert_true(name_index_add(index, "a", 7));
    assert_false(name_index_add(index, "a", 8));
    assert_int_equal(name_index_find(index, "a"), 7);
    assert_int_equal(name_index_find(index, "A"), NAME_NONE);
}

static void test_view(void **state)
{
    const struct layout *layout = layout_new(*state, parts, 2);
    struct value connection[5] = {{0}};
    struct view view = {.scope = {connection, NULL, NULL, NULL}};
    slot_t score = layout_find(layout, "dnsbl.score");

    connection[layout->slots[score].index] = value_number(3);
    assert_int_equal(view_value(layout, &view, score)->low, 3);
    assert_int_equal(view_value(layout, &view, score)->state, VALUE_KNOWN);
    assert_int_equal(view_value(layout, &view, 0)->state, VALUE_OPEN);
    assert_int_equal(view_value(layout, &view, layout_find(layout, "rcpt.status"))->state,
                     VALUE_OPEN);
}

static void test_values(void **state)
{
    const struct layout *layout = layout_new(*state, parts, 2);
    const struct slot *status = &layout->slots[layout_find(layout, "rcpt.status")];
    const struct slot *kind = &layout->slots[layout_find(layout, "helo.kind")];
    const struct slot *score = &layout->slots[layout_find(layout, "dnsbl.score")];
    struct value value;

    assert_int_equal(value_word(status, 1).state, VALUE_KNOWN);
    assert_int_equal(value_word(status, 2).state, VALUE_FAULT);
    assert_int_equal(value_word(status, 2).word, 2);
    assert_int_equal(value_fault(status).word, 2);
    assert_int_equal(value_fault(kind).state, VALUE_FAULT);
    assert_int_equal(value_fault(kind).word, kind->word_count);
    value = value_fault(score);
    assert_int_equal(value.state, VALUE_FAULT);
    assert_true(value.low == INT64_MIN && value.high == INT64_MAX);
    assert_int_equal(value_interval(2, 2).state, VALUE_KNOWN);
    assert_int_equal(value_interval(2, 3).state, VALUE_FAULT);
    assert_string_equal(value_text(NULL).text, "");
    value = value_absent(status);
    assert_int_equal(value.state, VALUE_KNOWN);
    assert_int_equal(value.word, 0);
    assert_string_equal(value_fault(&layout->slots[1]).text, "");
    assert_string_equal(value_absent(&layout->slots[1]).text, "");
}

static void test_show(void **state)
{
    static const char *const members[] = {"a.example", "b.example"};
    const struct layout *layout = layout_new(*state, parts, 2);
    struct value sent = value_text("example.org");
    struct addr ip;
    size_t i;

    assert_true(addr_parse("2001:db8::1", &ip));
    sent.shown = "Example.ORG.";
    struct {
        const char *name;
        struct value value;
        const char *shown;
    } rows[] = {
        {"client.ip", value_ip(ip), "2001:db8::1"},
        {"client.name", value_text("example.org"), "example.org"},
        {"client.name", sent, "Example.ORG."},
        {"client.name", {.state = VALUE_OPEN}, ""},
        {"rcpt.status", {.state = VALUE_KNOWN, .word = 1}, "unknown"},
        {"rcpt.status", value_fault(&layout->slots[2]), "unavailable"},
        {"helo.kind", value_fault(&layout->slots[3]), ""},
        {"dnsbl.score", value_number(-3), "-3"},
        {"dnsbl.score", value_interval(1, 5), "1..5"},
        {"dnsbl.score", value_interval(1, INT64_MAX), "1.."},
        {"dnsbl.score", value_interval(INT64_MIN, 5), "..5"},
        {"dnsbl.score", value_fault(&layout->slots[4]), ".."},
        {"dkim.domains", value_set(members, 2), "a.example, b.example"},
        {"dkim.domains", value_set(NULL, 0), ""},
        {"client.local", value_bool(true), "yes"},
        {"client.local", value_bool(false), "no"},
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(
            value_show(*state, &layout->slots[layout_find(layout, rows[i].name)], &rows[i].value),
            rows[i].shown);
    assert_string_equal(stage_name(STAGE_MESSAGE), "message");
    assert_string_equal(scope_name(SCOPE_RECIPIENT), "recipient");
    assert_string_equal(fact_type_name(FACT_SET), "set");
}

/* A record shows what it has room for: whole rows, and of them no more than the columns without
 * mark. */
static void test_show_rows(void **state)
{
    enum { COLUMNS = 4, ROWS = 100 };
    static char long_cell[301];
    const struct layout *layout = layout_new(*state, parts, 2);
    const struct slot *slot = &layout->slots[layout_find(layout, "dkim.signatures")];
    const char *cells[ROWS * COLUMNS] = {"a.example", "pass", "b", "key", "", "fail",
                                         "",          "",     "",  "",    "", "key"};
    struct value value = value_set(cells, 3 * COLUMNS);
    const char *text;

    assert_int_equal(slot->word_count, COLUMNS);
    assert_int_equal(slot->brief_count, 2);
    assert_string_equal(slot->words[3], "key");
    assert_string_equal(value_show(*state, slot, &value),
                        "domain=a.example result=pass; result=fail;");
    for (size_t i = 0; i < ROWS * COLUMNS; i++)
        cells[i] = "123456789";
    value = value_set(cells, ROWS * COLUMNS);
    text = value_show(*state, slot, &value);
    assert_int_equal(strlen(text), 27 * 33 + 26 * 2 + strlen("; 73 more"));
    assert_string_equal(text + strlen(text) - 19, "=123456789; 73 more");
    memset(long_cell, 'x', 300);
    cells[0] = long_cell;
    value = value_set(cells, COLUMNS);
    text = value_show(*state, slot, &value);
    assert_int_equal(strlen(text), strlen("domain=... result=123456789") + 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_layout, setup, teardown),
        cmocka_unit_test_setup_teardown(test_layout_grows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_view, setup, teardown),
        cmocka_unit_test_setup_teardown(test_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_show, setup, teardown),
        cmocka_unit_test_setup_teardown(test_show_rows, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
