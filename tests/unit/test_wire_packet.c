/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/milter/wire_packet.h"

#define BYTES(text) text, sizeof(text) - 1

static void test_next(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        enum wire_next next;
        size_t size;
        char command;
        size_t data;
    } rows[] = {
        {BYTES(""), WIRE_PART, 5, 0, 0},
        {BYTES("\0\0\0"), WIRE_PART, 5, 0, 0},
        {BYTES("\0\0\0\0"), WIRE_REFUSED, 5, 0, 0},
        {BYTES("\0\0\0\1"), WIRE_PART, 5, 0, 0},
        {BYTES("\0\0\0\1Q"), WIRE_WHOLE, 5, 'Q', 0},
        {BYTES("\0\0\0\1QX"), WIRE_WHOLE, 5, 'Q', 0},
        {BYTES("\0\0\0\3Ha"), WIRE_PART, 7, 0, 0},
        {BYTES("\0\0\0\3Ha\0"), WIRE_WHOLE, 7, 'H', 2},
        {BYTES("\0\x0f\xff\xff"), WIRE_PART, 1048579, 0, 0},
        {BYTES("\0\x10\0\0"), WIRE_PART, 1048580, 0, 0},
        {BYTES("\0\x10\0\1"), WIRE_REFUSED, 5, 0, 0},
        {BYTES("\xff\xff\xff\xff"), WIRE_REFUSED, 5, 0, 0},
        {BYTES("GET / HTTP/1.1\r\n"), WIRE_REFUSED, 5, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct wire_packet packet = {0};
        size_t size;
        enum wire_next next = wire_next(rows[i].bytes, rows[i].length, &packet, &size);
        if (next != rows[i].next || size != rows[i].size || packet.command != rows[i].command ||
            packet.length != rows[i].data)
            fail_msg("row %zu: %d, %zu octets, '%c' with %zu", i, (int)next, size, packet.command,
                     packet.length);
    }
}

static struct wire_packet of(const char *data, size_t length)
{
    return (struct wire_packet){.command = 'X', .data = data, .length = length};
}

static void test_offer(void **state)
{
    struct wire_packet packet = of(BYTES("\0\0\0\6\0\0\1\xff\0\x1f\xff\xff"));
    struct wire_offer offer;
    (void)state;
    assert_true(wire_read_offer(&packet, &offer));
    assert_int_equal(offer.version, 6);
    assert_int_equal(offer.actions, 0x1ff);
    assert_int_equal(offer.steps, 0x1fffff);
    packet.length--;
    assert_false(wire_read_offer(&packet, &offer));
    packet = of(BYTES("\0\0\0\2\0\0\0\0\0\0\0\0"));
    assert_true(wire_read_offer(&packet, &offer));
    assert_int_equal(offer.actions, 0xf);
    assert_int_equal(offer.steps, 0x3f);
    packet = of(BYTES("\0\0\0\1\0\0\0\0\0\0\0\0"));
    assert_false(wire_read_offer(&packet, &offer));
}

static void test_client(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        const char *addr; /* NULL: refused */
        unsigned port;
    } rows[] = {
        {BYTES("host\0"
               "4\x9c\x40"
               "192.0.2.1\0"),
         "192.0.2.1", 40000},
        {BYTES("host\0"
               "6\0\0IPv6:2001:db8::1\0"),
         "2001:db8::1", 0},
        {BYTES("host\0"
               "6\0\1::ffff:192.0.2.1\0"),
         "192.0.2.1", 1},
        {BYTES("localhost\0U"), "", 0},
        {BYTES("localhost\0L\0\0/run/x\0"), "", 0},
        {BYTES("\0U"), "", 0},
        {BYTES("host\0"
               "4\0\1"
               "192.0.2.1"),
         NULL, 0},
        {BYTES("host\0"
               "4\0\1"
               "2001:db8::1\0"),
         NULL, 0},
        {BYTES("host\0"
               "4\0\1\0"),
         NULL, 0},
        {BYTES("host\0"
               "4\0"),
         NULL, 0},
        {BYTES("host\0"), NULL, 0},
        {BYTES("host"), NULL, 0},
        {BYTES(""), NULL, 0},
        {BYTES("host\0Z\0\1x\0"), NULL, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct wire_packet packet = of(rows[i].bytes, rows[i].length);
        struct wire_client client;
        char text[ADDR_TEXT_SIZE] = "";
        bool good = wire_read_client(&packet, &client);
        if (good != (rows[i].addr != NULL) ||
            (good && (strcmp(addr_format(&client.addr, text), rows[i].addr) != 0 ||
                      client.port != rows[i].port || client.host != rows[i].bytes)))
            fail_msg("row %zu: %d '%s'", i, good, text);
    }
}

static void test_strings(void **state)
{
    const char *argv[WIRE_STRINGS_MAX + 1], *name, *value;
    char many[2 * WIRE_STRINGS_MAX + 2] = {0};
    struct wire_packet packet = of(BYTES("<a@b>\0SIZE=1\0"));
    (void)state;
    assert_true(wire_read_strings(&packet, argv));
    assert_string_equal(argv[0], "<a@b>");
    assert_string_equal(argv[1], "SIZE=1");
    assert_null(argv[2]);
    packet = of(BYTES("<a@b>"));
    assert_false(wire_read_strings(&packet, argv));
    assert_false(wire_read_text(&packet, &name));
    packet = of(BYTES(""));
    assert_false(wire_read_strings(&packet, argv));
    assert_false(wire_read_text(&packet, &name));
    packet = of(many, WIRE_STRINGS_MAX);
    assert_true(wire_read_strings(&packet, argv));
    packet = of(many, WIRE_STRINGS_MAX + 1);
    assert_false(wire_read_strings(&packet, argv));
    packet = of(BYTES("Name\0 value\0"));
    assert_true(wire_read_field(&packet, &name, &value));
    assert_string_equal(name, "Name");
    assert_string_equal(value, " value");
    packet = of(BYTES("Name\0\0"));
    assert_true(wire_read_field(&packet, &name, &value));
    assert_string_equal(value, "");
    packet = of(BYTES("Name\0"));
    assert_false(wire_read_field(&packet, &name, &value));
    packet = of(BYTES("Name\0value"));
    assert_false(wire_read_field(&packet, &name, &value));
    packet = of(BYTES("\0value\0"));
    assert_false(wire_read_field(&packet, &name, &value));
}

static bool take(struct wire_macros *macros, const char *data, size_t length)
{
    struct wire_packet packet = of(data, length);
    return wire_macros_take(macros, &packet);
}

static void test_macros(void **state)
{
    struct wire_macros macros = {0};
    (void)state;
    assert_null(wire_macro(&macros, "i"));
    assert_true(take(&macros, BYTES("Cj\0mx\0{daemon_name}\0smtpd\0")));
    assert_true(take(&macros, BYTES("M{i}\0QID\0{auth_authen}\0\0")));
    assert_string_equal(wire_macro(&macros, "j"), "mx");
    assert_string_equal(wire_macro(&macros, "{j}"), "mx");
    assert_string_equal(wire_macro(&macros, "i"), "QID");
    assert_string_equal(wire_macro(&macros, "{i}"), "QID");
    assert_string_equal(wire_macro(&macros, "{daemon_name}"), "smtpd");
    assert_string_equal(wire_macro(&macros, "{auth_authen}"), "");
    assert_null(wire_macro(&macros, "daemon_name"));
    assert_null(wire_macro(&macros, "mx"));
    /* The later stage hides the earlier one, a new list the old one. */
    assert_true(take(&macros, BYTES("Ri\0SECOND\0")));
    assert_string_equal(wire_macro(&macros, "i"), "SECOND");
    assert_true(take(&macros, BYTES("R")));
    assert_string_equal(wire_macro(&macros, "i"), "QID");
    wire_macros_clear(&macros, WIRE_AT_HELO);
    assert_null(wire_macro(&macros, "i"));
    assert_string_equal(wire_macro(&macros, "j"), "mx");
    /* Stages that keep none; lists of no form. */
    assert_true(take(&macros, BYTES("Ux\0y\0")));
    assert_null(wire_macro(&macros, "x"));
    assert_false(take(&macros, BYTES("")));
    assert_false(take(&macros, BYTES("Cx\0")));
    assert_false(take(&macros, BYTES("Cx\0y")));
    assert_false(take(&macros, BYTES("Cx\0y\0z\0")));
    assert_string_equal(wire_macro(&macros, "j"), "mx");
    wire_macros_free(&macros);
    assert_null(wire_macro(&macros, "j"));
}

static void test_macros_are_bounded(void **state)
{
    struct wire_macros macros = {0};
    char *big = calloc(1, WIRE_MACROS_MAX + 2);
    (void)state;
    assert_non_null(big);
    big[0] = 'C';
    assert_true(take(&macros, big, WIRE_MACROS_MAX + 1));
    big[0] = 'H';
    assert_false(take(&macros, big, 3));
    big[0] = 'C';
    assert_true(take(&macros, big, 3));
    assert_true(macros.sets[WIRE_AT_CONNECT].room < 100);
    big[0] = 'H';
    assert_true(take(&macros, big, WIRE_MACROS_MAX - 1));
    wire_macros_free(&macros);
    free(big);
}

static void expect(struct str *out, const char *bytes, size_t length)
{
    assert_int_equal(out->length, length);
    assert_memory_equal(out->data, bytes, length);
    str_clear(out);
}

static void test_writing(void **state)
{
    static const char *const lines[] = {"one", "two", "three"};
    static const struct session_change changes[] = {
        {.kind = CHANGE_DELETE, .name = "X", .index = 258},
        {.kind = CHANGE_INSERT, .name = "X", .value = " y", .index = 0},
        {.kind = CHANGE_QUARANTINE, .value = "why"},
    };
    struct reply reply = {.code = 550, .line_count = 1};
    struct session_answer answer = {
        .verb = SESSION_REPLY, .reply = &reply, .lines = lines, .enhanced = "5.1.1"};
    const struct wire_offer choice = {6, 0x111, 0x80};
    struct engine_needs needs = {0};
    struct str out = {0};
    (void)state;
    wire_put(&out, 'c', NULL, 0);
    expect(&out, BYTES("\0\0\0\1c"));
    wire_put_choice(&out, &choice, NULL);
    expect(&out, BYTES("\0\0\0\x0dO\0\0\0\6\0\0\1\x11\0\0\0\x80"));
    for (int i = 0; i < STAGE_COUNT; i++)
        needs.macros[i] = "";
    needs.macros[STAGE_CONNECT] = "j {a}";
    needs.macros[STAGE_MESSAGE] = "i";
    wire_put_choice(&out, &choice, &needs);
    expect(&out, BYTES("\0\0\0\x1dO\0\0\0\6\0\0\1\x11\0\0\0\x80"
                       "\0\0\0\0j {a}\0\0\0\0\5i\0"));
    wire_put_reply(&out, &answer);
    expect(&out, BYTES("\0\0\0\x0fy550 5.1.1 one\0"));
    reply.line_count = 3;
    wire_put_reply(&out, &answer);
    expect(&out, BYTES("\0\0\0\x2fy550-5.1.1 one\r\n550-5.1.1 two\r\n550 5.1.1 three\0"));
    wire_put_change(&out, &changes[0]);
    expect(&out, BYTES("\0\0\0\x08m\0\0\1\2X\0\0"));
    wire_put_change(&out, &changes[1]);
    expect(&out, BYTES("\0\0\0\x0ai\0\0\0\0X\0 y\0"));
    wire_put_change(&out, &changes[2]);
    expect(&out, BYTES("\0\0\0\x05qwhy\0"));
    str_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next),    cmocka_unit_test(test_offer),
        cmocka_unit_test(test_client),  cmocka_unit_test(test_strings),
        cmocka_unit_test(test_macros),  cmocka_unit_test(test_macros_are_bounded),
        cmocka_unit_test(test_writing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
