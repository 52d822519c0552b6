/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/dns/names.h"

static void reads_names(void **state)
{
    static char label64[65 + 9], name253[256], name254[256];
    const struct {
        const char *text, *read; /* NULL: cannot be asked */
    } names[] = {
        {"Example.ORG", "example.org"},
        {"example.org.", "example.org"},
        {"com", "com"},
        {"", NULL},
        {".", NULL},
        {"a..b", NULL},
        {".a", NULL},
        {"a..", NULL},
        {"_dmarc.x", "_dmarc.x"},
        {"a b\\.c", "a b\\.c"},
        {label64, NULL},
        {name253, name253},
        {name254, NULL},
    };
    char out[NAMES_TEXT_SIZE];

    (void)state;
    memset(label64, 'a', 64);
    for (size_t i = 0; i < 253; i++)
        name253[i] = name254[i] = i % 50 == 49 ? '.' : 'a';
    strcpy(name254 + 253, "a");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t length = names_read(names[i].text, out);

        if (names[i].read ? length != strlen(names[i].read) || strcmp(out, names[i].read) != 0
                          : length != 0)
            fail_msg("\"%s\": %zu \"%s\"", names[i].text, length, out);
    }
}

static void wire_names(void **state)
{
    /* At 0: "ab."; at 4: "c" and a pointer to 0; at 8: a pointer to itself; at 10: one forward; at
     * 14: a pointer to 4, which holds another. */
    static const uint8_t packet[] = "\2AB\0\1c\300\0\300\10\300\14\0\0\300\4";
    static const struct {
        size_t offset, end;
        const char *name;
    } names[] = {{0, 4, "ab"},     {4, 8, "c.ab"}, {8, 0, NULL}, {10, 0, NULL},
                 {14, 16, "c.ab"}, {3, 4, ""},     {99, 0, NULL}};
    char out[NAMES_ESCAPED_SIZE];
    uint8_t longest[300] = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(names_from_wire(packet, sizeof(packet) - 1, names[i].offset, out),
                         names[i].end);
        if (names[i].name)
            assert_string_equal(out, names[i].name);
    }
    /* RFC 1035 2.3.4: 255 octets and no more; each of them escaped fits. */
    for (size_t i = 0; i < 4; i++)
        longest[i * 64] = 63;
    assert_int_equal(names_from_wire(longest, sizeof(longest), 0, out), 0);
    longest[192] = 61;
    assert_int_equal(names_from_wire(longest, sizeof(longest), 0, out), 255);
    assert_int_equal(strlen(out), 4 * 250 + 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_names),
        cmocka_unit_test(wire_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
