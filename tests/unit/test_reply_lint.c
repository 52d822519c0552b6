/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <postern/reply.h>

enum { GOOD, WARNS, FAILS };

static const struct {
    int code;
    int enhanced[3];
    enum stage speaks;
    bool recipient;
    int result;
    const char *text; /* a part of the first message */
} rows[] = {
    /* What rules usually say. */
    {550, {5, 1, 1}, STAGE_RCPT, true, GOOD, NULL},
    {550, {5, 1, 2}, STAGE_RCPT, true, GOOD, NULL},
    {550, {5, 1, 6}, STAGE_RCPT, true, GOOD, NULL},
    {551, {5, 1, 6}, STAGE_RCPT, true, GOOD, NULL},
    {551, {5, 7, 1}, STAGE_RCPT, true, GOOD, NULL},
    {556, {5, 1, 10}, STAGE_RCPT, true, GOOD, NULL},
    {553, {5, 1, 3}, STAGE_RCPT, true, GOOD, NULL},
    {452, {4, 2, 2}, STAGE_RCPT, true, GOOD, NULL},
    {552, {5, 2, 3}, STAGE_RCPT, true, GOOD, NULL},
    {452, {4, 5, 3}, STAGE_RCPT, false, GOOD, NULL},
    {450, {4, 1, 2}, STAGE_RCPT, true, GOOD, NULL},
    {451, {4, 3, 0}, STAGE_RCPT, true, GOOD, NULL},
    {554, {5, 7, 1}, STAGE_RCPT, false, GOOD, NULL},
    {550, {5, 7, 1}, STAGE_MAIL, false, GOOD, NULL},
    {550, {5, 1, 8}, STAGE_RCPT, false, GOOD, NULL},
    {553, {5, 1, 7}, STAGE_MAIL, false, GOOD, NULL},
    {550, {5, 7, 27}, STAGE_RCPT, false, GOOD, NULL},
    {550, {5, 7, 23}, STAGE_RCPT, false, GOOD, NULL},
    {550, {5, 7, 24}, STAGE_RCPT, false, GOOD, NULL},
    {451, {4, 7, 24}, STAGE_RCPT, false, GOOD, NULL},
    {550, {5, 7, 25}, STAGE_RCPT, false, GOOD, NULL},
    {450, {4, 7, 25}, STAGE_RCPT, false, GOOD, NULL},
    {450, {4, 7, 28}, STAGE_RCPT, false, GOOD, NULL},
    {550, {5, 7, 20}, STAGE_MESSAGE, false, GOOD, NULL},
    {451, {4, 7, 5}, STAGE_MESSAGE, false, GOOD, NULL},
    {550, {5, 7, 26}, STAGE_MESSAGE, false, GOOD, NULL},
    {550, {5, 7, 26}, STAGE_MESSAGE, true, GOOD, NULL},
    {554, {5, 6, 0}, STAGE_MESSAGE, false, GOOD, NULL},
    {554, {5, 4, 6}, STAGE_MESSAGE, false, GOOD, NULL},
    {552, {5, 3, 4}, STAGE_MESSAGE, false, GOOD, NULL},
    {521, {5, 3, 2}, STAGE_MAIL, false, GOOD, NULL},
    {550, {5, 0, 0}, STAGE_MAIL, false, GOOD, NULL},

    /* No refusal at all. */
    {250, {2, 1, 5}, STAGE_RCPT, true, FAILS, "250 refuses nothing"},
    {251, {2, 1, 5}, STAGE_RCPT, true, FAILS, "251 refuses nothing"},
    {354, {3, 0, 0}, STAGE_DATA, false, FAILS, "354 refuses nothing"},
    {399, {4, 0, 0}, STAGE_MAIL, false, FAILS, "399 refuses nothing"},
    {600, {6, 0, 0}, STAGE_MAIL, false, FAILS, "600 refuses nothing"},
    {0, {0, 0, 0}, STAGE_MAIL, false, FAILS, "0 refuses nothing"},
    /* What Postfix calls malformed. */
    {550, {4, 7, 1}, STAGE_RCPT, false, FAILS, "550 with 4.7.1: their first digits must agree"},
    {450, {5, 7, 1}, STAGE_RCPT, false, FAILS, "450 with 5.7.1: their first digits must agree"},
    {550, {2, 0, 0}, STAGE_RCPT, false, FAILS, "550 with 2.0.0: their first digits must agree"},
    {550, {5, 1000, 0}, STAGE_RCPT, false, FAILS, "5.1000.0 is no enhanced code"},
    {550, {5, 1, -1}, STAGE_RCPT, false, FAILS, "5.1.-1 is no enhanced code"},
    /* Codes that end the session or answer RCPT alone. */
    {421, {4, 3, 2}, STAGE_MAIL, false, FAILS, "421 closes the whole session"},
    {551, {5, 1, 6}, STAGE_RCPT, false, FAILS, "asks for no fact of the recipient"},
    {556, {5, 1, 10}, STAGE_RCPT, false, FAILS, "asks for no fact of the recipient"},
    {551,
     {5, 1, 6},
     STAGE_MESSAGE,
     true,
     FAILS,
     "answers RCPT alone, but the rule speaks at message"},
    {556, {5, 1, 10}, STAGE_DATA, true, FAILS, "answers RCPT alone, but the rule speaks at data"},

    /* Codes of other parts of SMTP, or of none. */
    {500, {5, 7, 1}, STAGE_RCPT, false, WARNS, "500 says that the client does not speak SMTP"},
    {504, {5, 7, 1}, STAGE_RCPT, false, WARNS, "a refusal by policy is 550"},
    {455, {4, 7, 1}, STAGE_RCPT, false, WARNS, "a refusal by policy is 450"},
    {555, {5, 7, 1}, STAGE_RCPT, false, WARNS, "555 says that a parameter"},
    {530, {5, 7, 0}, STAGE_MAIL, false, WARNS, "530 asks the client to authenticate"},
    {535, {5, 7, 8}, STAGE_MAIL, false, WARNS, "535 is an answer to AUTH"},
    {454, {4, 7, 0}, STAGE_MAIL, false, WARNS, "454 is an answer to AUTH or STARTTLS"},
    {499, {4, 7, 1}, STAGE_MAIL, false, WARNS, "SMTP knows no code 499"},
    {557, {5, 7, 1}, STAGE_MAIL, false, WARNS, "SMTP knows no code 557"},
    {553, {5, 1, 7}, STAGE_MESSAGE, false, WARNS, "553 answers MAIL and RCPT"},

    /* Odd pairs. */
    {521, {5, 7, 1}, STAGE_MAIL, false, WARNS, "goes with 5.3.2 (RFC 7504)"},
    {551, {5, 1, 1}, STAGE_RCPT, true, WARNS, "goes with 5.1.6"},
    {556, {5, 1, 2}, STAGE_RCPT, true, WARNS, "goes with 5.1.10 (RFC 7505)"},
    {550, {5, 1, 10}, STAGE_RCPT, true, WARNS, "goes with 556 (RFC 7505)"},
    {552, {5, 7, 1}, STAGE_RCPT, false, WARNS, "552 speaks of size or space"},
    {553, {5, 7, 1}, STAGE_RCPT, false, WARNS, "553 speaks of how an address is written"},
    {552, {5, 2, 2}, STAGE_RCPT, true, WARNS, "may have room tomorrow"},
    {550, {5, 1, 5}, STAGE_RCPT, true, WARNS, "says that the address is valid"},
    {451, {4, 7, 20}, STAGE_MESSAGE, false, WARNS, "451 4.7.5"},
    {451, {4, 7, 23}, STAGE_RCPT, false, WARNS, "451 4.7.24"},
    {451, {4, 7, 26}, STAGE_MESSAGE, false, WARNS, "X.7.26 is permanent"},
    {451, {4, 7, 27}, STAGE_MAIL, false, WARNS, "null MX, which is permanent"},
    {554, {5, 4, 5}, STAGE_MAIL, false, WARNS, "congestion passes"},
    {550, {5, 7, 40}, STAGE_MESSAGE, false, WARNS, "not registered"},
    {550, {5, 8, 0}, STAGE_MESSAGE, false, WARNS, "not registered"},
    {550, {5, 999, 999}, STAGE_MESSAGE, false, WARNS, "not registered"},

    /* Blaming the recipient for what others did. */
    {550, {5, 1, 1}, STAGE_RCPT, false, WARNS, "asks for no fact of it"},
    {550, {5, 1, 1}, STAGE_MESSAGE, false, WARNS, "asks for no fact of it"},
    {550, {5, 2, 1}, STAGE_MAIL, false, WARNS, "asks for no fact of it"},
    {550, {5, 1, 1}, STAGE_MESSAGE, true, WARNS, "answers the whole message"},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct diag *diag = diag_new();
        reply_lint(diag, NULL, "r1", rows[i].code, rows[i].enhanced, rows[i].speaks,
                   rows[i].recipient);
        const char *line = diag_line(diag, 0);
        unsigned errors = diag_errors(diag);
        unsigned warnings = diag_warnings(diag);
        if (errors != (rows[i].result == FAILS) || warnings != (rows[i].result == WARNS))
            fail_msg("row %zu (%d): %u errors, %u warnings, %s", i, rows[i].code, errors, warnings,
                     line != NULL ? line : "nothing");
        if (rows[i].text != NULL && strstr(line, rows[i].text) == NULL)
            fail_msg("row %zu: %s", i, line);
        if (line != NULL && strstr(line, "rule 'r1': ") == NULL)
            fail_msg("row %zu names no rule: %s", i, line);
        diag_free(diag);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
