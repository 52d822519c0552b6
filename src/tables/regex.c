/* SPDX-License-Identifier: MIT */
#define PCRE2_CODE_UNIT_WIDTH 8

#include "keys.h"
#include "ordered.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <pcre2.h>

#include <postern/arena.h>

/*
 * Regular expressions in order, as Postfix's pcre_table(5): "[!]/PATTERN/FLAGS value", "if
 * [!]/PATTERN/FLAGS" ... "endif".  The first match wins; $1, ${1} and $(1) in the value stand for
 * groups, $$ for a dollar sign.  Keys are bytes, not characters, and are compared without case
 * unless the flag `i` turns that off.
 */
enum {
    /* One pattern gives up after some milliseconds: what it would have said is then unknown. */
    MATCH_LIMIT = 100000,
    DEPTH_LIMIT = 10000,
    HEAP_LIMIT_KB = 4096,
};

struct pattern {
    pcre2_code *code;
    const char *text; /* in the rules' text */
    bool groups;      /* the value has $1 and the like */
};

struct regex {
    struct ordered ordered; /* its patterns are struct pattern */
    pcre2_match_context *limits;
    uint32_t groups_max;
};

static const struct pattern *pattern_of(const struct regex *regex, size_t i)
{
    return &((const struct pattern *)regex->ordered.patterns)[i];
}

static void regex_free(void *image)
{
    struct regex *regex = image;

    if (regex == NULL)
        return;
    for (size_t i = 0; i < regex->ordered.count; i++)
        pcre2_code_free(pattern_of(regex, i)->code);
    pcre2_match_context_free(regex->limits);
    ordered_free(&regex->ordered);
    free(regex);
}

/* The options that FLAGS ask for; each letter turns one over.  False with the wrong letter in
 * *WRONG. */
static bool read_flags(const char *flags, uint32_t *options, char *wrong)
{
    static const struct {
        char letter;
        uint32_t option;
    } rows[] = {
        {'i', PCRE2_CASELESS}, {'m', PCRE2_MULTILINE}, {'s', PCRE2_DOTALL},
        {'x', PCRE2_EXTENDED}, {'A', PCRE2_ANCHORED},  {'E', PCRE2_DOLLAR_ENDONLY},
        {'U', PCRE2_UNGREEDY},
    };
    enum { COUNT = sizeof(rows) / sizeof(rows[0]) };

    *options = PCRE2_CASELESS | PCRE2_DOTALL | PCRE2_NEVER_BACKSLASH_C;
    for (; *flags != '\0'; flags++) {
        size_t i = 0;
        while (i < COUNT && rows[i].letter != *flags)
            i++;
        if (i == COUNT) {
            *wrong = *flags;
            return false;
        }
        *options ^= rows[i].option;
    }
    return true;
}

/* What stands for something at a '$': the length of it, with the group's number in *GROUP (-1: a
 * dollar sign).  0 when it is none. */
static size_t read_reference(const char *at, int *group)
{
    char close = at[1] == '{' ? '}' : at[1] == '(' ? ')' : '\0';
    const char *digits = at + (close != '\0' ? 2 : 1);
    size_t length = strspn(digits, "0123456789");

    *group = -1;
    if (at[1] == '$')
        return 2;
    if (length == 0 || length > 3 || (close != '\0' && digits[length] != close))
        return 0;
    *group = 0;
    for (size_t i = 0; i < length; i++)
        *group = *group * 10 + (digits[i] - '0');
    return (size_t)(digits - at) + length + (close != '\0' ? 1 : 0);
}

static bool check_value(const struct ordered_rule *rule, struct pattern *pattern, uint32_t groups,
                        unsigned line, struct table_report *report)
{
    for (const char *at = rule->value; (at = strchr(at, '$')) != NULL;) {
        int group;
        size_t length = read_reference(at, &group);
        if (length == 0) {
            report_line(report, line, "'$' in the value is not understood: $1, ${1}, or $$");
            return false;
        }
        if (group == 0 || group > (int)groups) {
            report_line(report, line, "the value names group $%d; the pattern has %u", group,
                        (unsigned)groups);
            return false;
        }
        if (group > 0 && rule->negate) {
            report_line(report, line, "a pattern with '!' has no groups to name");
            return false;
        }
        pattern->groups = true;
        at += length;
    }
    return true;
}

static bool compile(struct regex *regex, const struct ordered_rule *rule, struct pattern *pattern,
                    const char *flags, unsigned line, struct table_report *report)
{
    uint32_t options, groups = 0;
    PCRE2_SIZE offset;
    PCRE2_UCHAR message[160];
    char wrong;
    int error;

    if (!read_flags(flags, &options, &wrong)) {
        report_line(report, line, "unknown flag '%c'; there are i m s x A E U", wrong);
        return false;
    }
    pattern->code = pcre2_compile((PCRE2_SPTR)pattern->text, PCRE2_ZERO_TERMINATED, options, &error,
                                  &offset, NULL);
    if (pattern->code == NULL) {
        pcre2_get_error_message(error, message, sizeof(message));
        report_line(report, line, "%s, at byte %zu of the pattern", (const char *)message,
                    (size_t)offset + 1);
        return false;
    }
    pcre2_pattern_info(pattern->code, PCRE2_INFO_CAPTURECOUNT, &groups);
    if (groups > regex->groups_max)
        regex->groups_max = groups;
    if (check_value(rule, pattern, groups, line, report))
        return true;
    pcre2_code_free(pattern->code);
    return false;
}

/* The end of the pattern: the delimiter that no backslash escapes; NULL when there is none. */
static char *pattern_end(char *pattern, char delimiter)
{
    for (char *at = pattern; *at != '\0'; at++) {
        if (*at == delimiter)
            return at;
        if (*at == '\\' && *++at == '\0')
            return NULL;
    }
    return NULL;
}

static bool read_pattern(void *arg, char *text, unsigned line, struct ordered_rule *rule,
                         void *place, struct table_report *report)
{
    struct pattern *pattern = place;
    char *end = NULL;

    for (; *text == '!'; text = lines_skip(text + 1))
        rule->negate = !rule->negate;
    if (ispunct((unsigned char)*text) && *text != '\\')
        end = pattern_end(text + 1, *text);
    if (end == NULL) {
        report_line(report, line, "expected /PATTERN/ and a value: '%s'", text);
        return false;
    }
    *end = '\0';
    pattern->text = text + 1;
    rule->value = lines_split(end + 1);
    return compile(arg, rule, pattern, end + 1, line, report);
}

static void *load(int fd, struct table_report *report)
{
    struct regex *regex = xcalloc(1, sizeof(*regex));

    regex->ordered.pattern_size = sizeof(struct pattern);
    regex->limits = pcre2_match_context_create(NULL);
    if (regex->limits == NULL)
        abort();
    pcre2_set_match_limit(regex->limits, MATCH_LIMIT);
    pcre2_set_depth_limit(regex->limits, DEPTH_LIMIT);
    pcre2_set_heap_limit(regex->limits, HEAP_LIMIT_KB);
    if (ordered_load(&regex->ordered, fd, read_pattern, regex, report))
        return regex;
    regex_free(regex);
    return NULL;
}

/* The value with what the groups have matched; GROUPS 0: it names none. */
static const char *expand(const char *text_of_rule, const char *subject, pcre2_match_data *match,
                          int groups, struct arena *arena)
{
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(match);
    struct str value = {0};
    const char *at = text_of_rule;

    if (groups == 0)
        return arena_strdup(arena, text_of_rule);
    while (*at != '\0') {
        size_t plain = strcspn(at, "$");
        int group;
        str_add_bytes(&value, at, plain);
        at += plain;
        if (*at == '\0')
            break;
        at += read_reference(at, &group);
        if (group < 0)
            str_add_char(&value, '$');
        else if (group < groups && ends[2 * group] != PCRE2_UNSET)
            str_add_bytes(&value, subject + ends[2 * group], ends[2 * group + 1] - ends[2 * group]);
    }
    const char *text = arena_strdup(arena, str_text(&value));
    str_free(&value);
    return text;
}

static enum table_status walk(const struct regex *regex, const struct table_probe *probe,
                              pcre2_match_data *match, struct table_answer *answer)
{
    size_t length = strlen(probe->text);
    size_t i = 0;

    while (i < regex->ordered.count) {
        const struct ordered_rule *rule = &regex->ordered.rules[i];
        const struct pattern *pattern = pattern_of(regex, i);
        int groups =
            pcre2_match(pattern->code, (PCRE2_SPTR)probe->text, length, 0, 0, match, regex->limits);
        if (groups < 0 && groups != PCRE2_ERROR_NOMATCH) {
            PCRE2_UCHAR message[160];
            pcre2_get_error_message(groups, message, sizeof(message));
            answer->problem =
                arena_printf(probe->arena, "/%s/: %s", pattern->text, (const char *)message);
            return TABLE_UNAVAILABLE;
        }
        bool holds = (groups >= 0) != rule->negate;
        if (holds && !rule->is_if) {
            answer->key =
                arena_printf(probe->arena, "%s/%s/", rule->negate ? "!" : "", pattern->text);
            answer->value =
                expand(rule->value, probe->text, match, pattern->groups ? groups : 0, probe->arena);
            return TABLE_FOUND;
        }
        i = ordered_next(&regex->ordered, i, holds);
    }
    return TABLE_ABSENT;
}

static enum table_status find(const void *image, const struct table_probe *probe,
                              struct table_answer *answer)
{
    const struct regex *regex = image;
    pcre2_match_data *match = pcre2_match_data_create(regex->groups_max + 1, NULL);

    if (match == NULL)
        abort();
    enum table_status status = walk(regex, probe, match, answer);
    pcre2_match_data_free(match);
    return status;
}

static size_t count(const void *image, int32_t today)
{
    (void)today;
    return ((const struct regex *)image)->ordered.matches;
}

static void each_entry(const void *image, void (*each)(void *arg, const char *key), void *arg)
{
    ordered_each(&((const struct regex *)image)->ordered, each, arg);
}

const struct table_backend table_backend_regex = {
    .name = "regex",
    .takes_file = true,
    .whole_keys = true,
    .keeps_last = true,
    .load = load,
    .free = regex_free,
    .find = find,
    .count = count,
    .each = each_entry,
};
