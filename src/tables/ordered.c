/* SPDX-License-Identifier: MIT */
#include "ordered.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <postern/arena.h>

enum { NEST_MAX = 64 };

/* The ifs that are open. */
struct nest {
    size_t rules[NEST_MAX];
    unsigned lines[NEST_MAX];
    unsigned depth;
};

struct reading {
    struct ordered *ordered;
    ordered_read *read;
    void *arg;
    struct nest nest;
    struct table_report *report;
};

/* Whether TEXT begins with WORD, in any case, and no letter or digit behind it. */
static bool has_keyword(const char *text, const char *word)
{
    size_t length = strlen(word);

    return strncasecmp(text, word, length) == 0 && !isalnum((unsigned char)text[length]);
}

static void *pattern_at(const struct ordered *ordered, size_t i)
{
    return (char *)ordered->patterns + i * ordered->pattern_size;
}

static void make_room(struct ordered *ordered)
{
    if (ordered->count < ordered->room)
        return;
    ordered->room = ordered->room == 0 ? 64 : ordered->room * 2;
    ordered->rules = xrealloc(ordered->rules, ordered->room * sizeof(ordered->rules[0]));
    ordered->patterns = xrealloc(ordered->patterns, ordered->room * ordered->pattern_size);
}

static void read_rule(struct reading *reading, bool is_if, char *text, unsigned line)
{
    struct ordered *ordered = reading->ordered;
    struct ordered_rule rule = {.is_if = is_if, .value = ""};

    if (is_if && reading->nest.depth == NEST_MAX) {
        report_line(reading->report, line, "'if' is nested more than %d deep", NEST_MAX);
        return;
    }
    make_room(ordered);
    memset(pattern_at(ordered, ordered->count), 0, ordered->pattern_size);
    if (!reading->read(reading->arg, text, line, &rule, pattern_at(ordered, ordered->count),
                       reading->report))
        return;
    if (is_if) {
        reading->nest.rules[reading->nest.depth] = ordered->count;
        reading->nest.lines[reading->nest.depth++] = line;
        if (rule.value[0] != '\0')
            report_line(reading->report, line,
                        "there is something behind the pattern of 'if': '%s'", rule.value);
    }
    ordered->matches += !is_if;
    ordered->rules[ordered->count++] = rule;
}

static void read_endif(struct reading *reading, const struct line *line)
{
    struct nest *nest = &reading->nest;

    if (line->text[strlen("endif")] != '\0')
        report_line(reading->report, line->number, "there is something behind 'endif'");
    else if (nest->depth == 0)
        report_line(reading->report, line->number, "'endif' without 'if'");
    else
        reading->ordered->rules[nest->rules[--nest->depth]].after = reading->ordered->count;
}

static void read_line(struct reading *reading, const struct line *line)
{
    if (has_keyword(line->text, "if"))
        read_rule(reading, true, lines_skip(line->text + strlen("if")), line->number);
    else if (has_keyword(line->text, "endif"))
        read_endif(reading, line);
    else
        read_rule(reading, false, line->text, line->number);
}

bool ordered_load(struct ordered *ordered, int fd, ordered_read *read, void *arg,
                  struct table_report *report)
{
    struct reading reading = {.ordered = ordered, .read = read, .arg = arg, .report = report};
    struct lines lines;
    struct line line;

    if (!lines_open(&lines, fd, true, report))
        return false;
    ordered->text = lines.data;
    while (lines_next(&lines, &line))
        read_line(&reading, &line);
    for (unsigned i = 0; i < reading.nest.depth; i++)
        report_line(report, reading.nest.lines[i], "this 'if' has no 'endif'");
    return report->errors == 0;
}

void ordered_free(struct ordered *ordered)
{
    free(ordered->text);
    free(ordered->rules);
    free(ordered->patterns);
}

size_t ordered_next(const struct ordered *ordered, size_t i, bool holds)
{
    return ordered->rules[i].is_if && !holds ? ordered->rules[i].after : i + 1;
}

void ordered_each(const struct ordered *ordered, void (*each)(void *arg, const char *key),
                  void *arg)
{
    for (size_t i = 0; i < ordered->matches; i++)
        each(arg, "");
}
