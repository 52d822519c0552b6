/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <glob.h>

#include <postern/arena.h>
#include <postern/help.h>
#include <postern/reply.h>

#include "../../src/engine/engine_private.h"

#define LENGTH(rows) (sizeof(rows) / sizeof((rows)[0]))

/* Each language has an entry for KEY with all FIELDS. */
static void assert_entry(const char *key, enum help_kind kind, const enum help_field *fields,
                         size_t count)
{
    for (size_t i = 0; i < help_language_count; i++) {
        const struct help_language *language = &help_languages[i];
        const struct help_entry *entry = help_find(language, key);
        if (entry == NULL)
            fail_msg("%s.txt has no [%s]", language->tag, key);
        assert_int_equal(entry->kind, kind);
        for (size_t j = 0; j < count; j++) {
            const char *text = entry->fields[fields[j]];
            if (text == NULL || text[0] == '\0')
                fail_msg("%s.txt: [%s] has no field %d", language->tag, key, (int)fields[j]);
        }
    }
}

static const enum help_field of_codes[] = {HELP_TITLE, HELP_SAYS, HELP_WHEN, HELP_SENDER,
                                           HELP_ADMIN, HELP_GO,   HELP_NEAR, HELP_USE};
static const enum help_field of_enhanced[] = {HELP_TITLE,  HELP_SAYS,  HELP_WHEN,
                                              HELP_SENDER, HELP_ADMIN, HELP_NEAR};
static const enum help_field of_rules[] = {HELP_TITLE, HELP_SAYS, HELP_ADMIN, HELP_SENDER};

static void assert_code(const char *code)
{
    assert_entry(code, HELP_KIND_CODE, of_codes, LENGTH(of_codes));
}

static void test_codes(void **state)
{
    static const char *const codes[] = {"354", "421", "450", "451", "452", "521",
                                        "550", "551", "552", "553", "554", "556"};
    (void)state;
    for (size_t i = 0; i < LENGTH(codes); i++)
        assert_code(codes[i]);
}

static void test_languages_have_the_same_keys(void **state)
{
    static const char *const tags[] = {"en", "zh", "vi", "ar"};
    const struct help_language *first = &help_languages[0];

    (void)state;
    assert_string_equal(first->tag, "en");
    for (size_t i = 0; i < LENGTH(tags); i++)
        assert_non_null(help_language(tags[i]));
    for (size_t i = 0; i < help_language_count; i++) {
        const struct help_language *language = &help_languages[i];
        assert_int_equal(language->entry_count, first->entry_count);
        assert_int_equal(language->label_count, first->label_count);
        assert_int_equal(language->right_to_left, strcmp(language->tag, "ar") == 0);
        for (size_t j = 0; j < first->entry_count; j++) {
            assert_string_equal(language->entries[j].key, first->entries[j].key);
            for (size_t k = 0; k < HELP_FIELDS; k++) {
                const char *text = language->entries[j].fields[k];
                assert_int_equal(text != NULL, first->entries[j].fields[k] != NULL);
                /* What was forgotten stands there in English. */
                if (i > 0 && text != NULL && strcmp(text, first->entries[j].fields[k]) == 0)
                    fail_msg("%s.txt: [%s] is not translated: %s", language->tag,
                             first->entries[j].key, text);
            }
        }
    }
}

/* ---- what is shipped ---- */

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 1 << 16);

    if (file == NULL)
        fail_msg("%s cannot be read", path);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 16) - 1, file) > 0);
    fclose(file);
    return text;
}

static void check_reply(const char *rule, const char *line)
{
    char enhanced[16], code[8], text[1024];

    if (sscanf(line, "reply %7[0-9] %15[0-9.] \"%1023[^\"]\"", code, enhanced, text) != 3)
        fail_msg("rule %s: cannot be read: %s", rule, line);
    assert_code(code);
    assert_entry(enhanced, HELP_KIND_ENHANCED, of_enhanced, LENGTH(of_enhanced));
    assert_entry(rule, HELP_KIND_RULE, of_rules, LENGTH(of_rules));
    for (size_t i = 0; i < help_reply_count; i++) {
        const struct help_reply *reply = &help_replies[i];
        if (strcmp(reply->rule, rule) == 0 && reply->code == atoi(code) &&
            strcmp(reply->enhanced, enhanced) == 0 && strcmp(reply->source, text) == 0) {
            assert_null(strstr(reply->text, "%{"));
            return;
        }
    }
    fail_msg("rule %s: its reply is not among the help's", rule);
}

/* Each rule of a file, also those that are comments, and each reply in it. */
static size_t check_file(const char *path)
{
    char *text = read_file(path), *rest = NULL;
    char rule[64] = "";
    size_t count = 0;

    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        bool off = line[0] == '#';
        line += strspn(line, "# ");
        if (strncmp(line, "rule ", 5) == 0 && strchr(line, '{') != NULL) {
            assert_int_equal(sscanf(line, "rule %63s", rule), 1);
            const struct help_rule *known = help_rule(rule);
            if (known == NULL)
                fail_msg("%s: rule %s has no help", path, rule);
            assert_int_equal(known->off, off);
            assert_entry(rule, HELP_KIND_RULE, of_rules, 3);
            count++;
        }
        char *reply = strstr(line, "reply ");
        if (reply != NULL && reply[6] >= '1' && reply[6] <= '9' && rule[0] != '\0')
            check_reply(rule, reply);
        if (strchr(line, '}') == line)
            rule[0] = '\0';
    }
    free(text);
    return count;
}

static void test_shipped_rules(void **state)
{
    size_t count = check_file("etc/postern.conf"), own = 0;
    glob_t found;

    (void)state;
    assert_int_equal(glob("etc/rules.d/*.conf", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        count += check_file(found.gl_pathv[i]);
    globfree(&found);
    assert_true(count > 20);
    for (size_t i = 0; i < help_rule_count; i++)
        own += strncmp(help_rules[i].name, "postern:", 8) == 0;
    assert_int_equal(help_rule_count - own, count);
}

static void test_own_replies(void **state)
{
    static const enum own_reply all[] = {OWN_FAULT, OWN_SPLIT_MESSAGE, OWN_SPLIT_RECIPIENT,
                                         OWN_BUSY, OWN_CROWDED};
    struct arena *arena = arena_new();
    size_t rows = 0;

    (void)state;
    for (size_t i = 0; i < LENGTH(all); i++) {
        const struct reply *reply = own_reply(arena, all[i], NULL);
        const char *enhanced = arena_printf(arena, "%d.%d.%d", reply->enhanced[0],
                                            reply->enhanced[1], reply->enhanced[2]);
        bool found = false;
        for (size_t j = 0; j < help_reply_count; j++)
            found |= strcmp(help_replies[j].rule, own_rule(all[i])) == 0 &&
                     help_replies[j].code == reply->code &&
                     strcmp(help_replies[j].enhanced, enhanced) == 0 &&
                     strcmp(help_replies[j].source, reply->lines[0]) == 0;
        if (!found)
            fail_msg("%s: %s is not in own.conf", own_rule(all[i]), reply->lines[0]);
        assert_code(arena_printf(arena, "%d", reply->code));
        assert_entry(enhanced, HELP_KIND_ENHANCED, of_enhanced, LENGTH(of_enhanced));
        assert_entry(own_rule(all[i]), HELP_KIND_OWN, of_rules, LENGTH(of_rules));
    }
    for (size_t j = 0; j < help_reply_count; j++)
        rows += strncmp(help_replies[j].rule, "postern:", 8) == 0;
    assert_int_equal(rows, LENGTH(all));
    arena_free(arena);
}

/* ---- looking up ---- */

static void test_look_up(void **state)
{
    static const struct {
        const char *tag, *found; /* NULL: none */
    } rows[] = {
        {"en", "en"},       {"en_GB.UTF-8", "en"}, {"zh-Hans", "zh"}, {"zh_CN", "zh"},
        {"vi.UTF-8", "vi"}, {"ar@x", "ar"},        {"", NULL},        {"C", NULL},
        {"zhx", NULL},      {"z", NULL},           {"fr_FR", NULL},   {"ZH", NULL},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        const struct help_language *language = help_language(rows[i].tag);
        if (rows[i].found == NULL)
            assert_null(language);
        else
            assert_string_equal(language->tag, rows[i].found);
    }
    assert_null(help_find(&help_languages[0], "555"));
    assert_null(help_find(&help_languages[0], ""));
    assert_null(help_rule("page"));
    assert_non_null(strstr(help_field_label(&help_languages[0], HELP_GO), "354"));
}

/* ---- lines ---- */

static void test_columns(void **state)
{
    static const struct {
        const char *text;
        size_t columns;
    } rows[] = {
        {"", 0},
        {"abc", 3},
        {"`5.1.1`", 5},
        {"\xe4\xbd\xa0\xe5\xa5\xbd", 4}, /* two wide characters */
        {"\xef\xbc\x8c", 2},             /* a full-width comma */
        {"Ti\xe1\xba\xbfng", 5},         /* Vietnamese, composed */
        {"e\xcc\x81", 1},                /* a combining accent */
        {"\xd8\xb1\xd9\x8f\xd9\x81", 2}, /* Arabic with a vowel mark */
        {"\xff\xc3(", 3},                /* no UTF-8 at all */
        {"\xf0\x9f\x98", 3},             /* cut short */
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++)
        assert_int_equal(help_columns(rows[i].text, strlen(rows[i].text)), rows[i].columns);
}

static void test_lines(void **state)
{
    static const struct {
        const char *text;
        size_t width;
        const char *lines; /* with a | behind each */
    } rows[] = {
        {"", 10, "|"},
        {"one", 10, "one|"},
        {"one two three", 7, "one two|three|"},
        {"one two three", 8, "one two|three|"},
        {"one   two", 4, "one|two|"},
        {"abcdefghij", 4, "abcd|efgh|ij|"},
        {"a abcdefghij", 4, "a|abcd|efgh|ij|"},
        {"one\ntwo", 10, "one|two|"},
        {"one\n\ntwo", 10, "one||two|"},
        {"see `550` and", 7, "see `550`|and|"},
        {"see `550` and", 6, "see|`550`|and|"},
        {"\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xbd\xa0", 4, "\xe4\xbd\xa0\xe5\xa5\xbd|\xe4\xbd\xa0|"},
        /* A closing mark takes the character before it along. */
        {"\xe4\xbd\xa0\xe5\xa5\xbd\xe3\x80\x82", 4, "\xe4\xbd\xa0|\xe5\xa5\xbd\xe3\x80\x82|"},
        {"\xe4\xbd\xa0", 1, "\xe4\xbd\xa0|"},
        {"\xe4\xbd\xa0 550 \xe5\xa5\xbd", 5, "\xe4\xbd\xa0|550|\xe5\xa5\xbd|"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        const char *text = rows[i].text;
        char got[256] = "";
        size_t next;
        do {
            size_t length = help_line(text, rows[i].width, &next);
            strncat(got, text, length);
            strcat(got, "|");
            text += next;
        } while (*text != '\0' && strlen(got) < 200);
        assert_string_equal(got, rows[i].lines);
    }
}

/* Whatever the width is, lines fit, nothing is lost but blanks, and it ends. */
static void test_lines_of_all_texts(void **state)
{
    static const size_t widths[] = {1, 2, 7, 24, 38, 100, 100000};

    (void)state;
    for (size_t i = 0; i < help_language_count; i++) {
        for (size_t j = 0; j < help_languages[i].entry_count * HELP_FIELDS; j++) {
            const char *all = help_languages[i].entries[j / HELP_FIELDS].fields[j % HELP_FIELDS];
            for (size_t k = 0; all != NULL && k < LENGTH(widths); k++) {
                size_t next, letters = 0, wanted = 0;
                for (const char *text = all; *text != '\0'; text += next) {
                    size_t length = help_line(text, widths[k], &next);
                    assert_true(next > 0 && next >= length);
                    assert_true(widths[k] == 1 || help_columns(text, length) <= widths[k]);
                    for (size_t c = 0; c < length; c++)
                        letters += text[c] != ' ';
                }
                for (const char *text = all; *text != '\0'; text++)
                    wanted += *text != ' ';
                assert_int_equal(letters, wanted);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes),         cmocka_unit_test(test_languages_have_the_same_keys),
        cmocka_unit_test(test_shipped_rules), cmocka_unit_test(test_own_replies),
        cmocka_unit_test(test_look_up),       cmocka_unit_test(test_columns),
        cmocka_unit_test(test_lines),         cmocka_unit_test(test_lines_of_all_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
