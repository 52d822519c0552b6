/* SPDX-License-Identifier: MIT */
#include "keys.h"
#include "lines.h"

#include <stdlib.h>
#include <string.h>

#include <postern/arena.h>

/*
 * Networks in order, as Postfix's cidr_table(5): "[!]NETWORK value", "if [!]NETWORK" ... "endif".
 * The first match wins.
 */
enum op { OP_MATCH, OP_IF };

struct rule {
    enum op op;
    bool negate;
    struct net net;
    const char *value; /* in the rules' text; "" for none */
    size_t after;      /* OP_IF: the rule behind its endif */
};

struct cidr {
    char *text; /* the file, cut up */
    struct rule *rules;
    size_t count;
    size_t room;
    size_t matches;
};

static void cidr_free(void *image)
{
    struct cidr *cidr = image;

    if (cidr == NULL)
        return;
    free(cidr->text);
    free(cidr->rules);
    free(cidr);
}

static void read_pattern(struct cidr *cidr, enum op op, char *text, const struct line *line,
                         struct nest *nest, struct table_report *report)
{
    struct rule rule = {.op = op, .negate = text[0] == '!'};
    struct key key;
    char problem[128];

    if (rule.negate)
        text = lines_skip(text + 1);
    rule.value = lines_split(text);
    if (!key_parse(text, strlen(text), &key, problem)) {
        report_line(report, line->number, "'%s' %s", text, problem);
        return;
    }
    if (key.class != KEY_NET && key.class != KEY_ADDR) {
        report_line(report, line->number, "'%s' is no network and no IP address", text);
        return;
    }
    if (op == OP_IF && rule.value[0] != '\0') {
        report_line(report, line->number, "there is something behind the network of 'if': '%s'",
                    rule.value);
        return;
    }
    if (op == OP_IF && !nest_open(nest, cidr->count, line->number, report))
        return;
    rule.net = key.net;
    if (cidr->count == cidr->room) {
        cidr->room = cidr->room == 0 ? 64 : cidr->room * 2;
        cidr->rules = xrealloc(cidr->rules, cidr->room * sizeof(rule));
    }
    cidr->rules[cidr->count++] = rule;
    cidr->matches += op == OP_MATCH;
}

static void read_line(struct cidr *cidr, const struct line *line, struct nest *nest,
                      struct table_report *report)
{
    if (nest_keyword(line->text, "if")) {
        read_pattern(cidr, OP_IF, lines_skip(line->text + 2), line, nest, report);
    } else if (nest_keyword(line->text, "endif")) {
        if (line->text[5] != '\0') {
            report_line(report, line->number, "there is something behind 'endif'");
            return;
        }
        size_t rule = nest_close(nest, line->number, report);
        if (rule != SIZE_MAX)
            cidr->rules[rule].after = cidr->count;
    } else {
        read_pattern(cidr, OP_MATCH, line->text, line, nest, report);
    }
}

static void *load(int fd, struct table_report *report)
{
    struct lines lines;
    struct line line;
    struct nest nest = {.depth = 0};

    if (!lines_open(&lines, fd, true, report))
        return NULL;
    struct cidr *cidr = xcalloc(1, sizeof(*cidr));
    cidr->text = lines.data;
    while (lines_next(&lines, &line))
        read_line(cidr, &line, &nest, report);
    nest_end(&nest, report);
    if (report->errors == 0)
        return cidr;
    cidr_free(cidr);
    return NULL;
}

static bool holds(const struct rule *rule, const struct addr *addr)
{
    /* A rule says nothing about the other family, not even with '!'. */
    return rule->net.addr.family == addr->family && net_contains(&rule->net, addr) != rule->negate;
}

static enum table_status find(const void *image, const struct table_probe *probe,
                              struct table_answer *answer)
{
    const struct cidr *cidr = image;
    char text[ADDR_TEXT_SIZE];
    struct addr addr;
    size_t i = 0;

    if (probe->form == PROBE_ADDR)
        addr = *probe->addr;
    else if (probe->form != PROBE_TEXT || !addr_parse(probe->text, &addr))
        return TABLE_ABSENT;
    while (i < cidr->count) {
        const struct rule *rule = &cidr->rules[i];
        bool match = holds(rule, &addr);
        if (match && rule->op == OP_MATCH) {
            answer->key = arena_printf(probe->arena, "%s%s/%u", rule->negate ? "!" : "",
                                       addr_format(&rule->net.addr, text), rule->net.bits);
            answer->value = arena_strdup(probe->arena, rule->value);
            return TABLE_FOUND;
        }
        i = rule->op == OP_IF && !match ? rule->after : i + 1;
    }
    return TABLE_ABSENT;
}

static size_t count(const void *image, int32_t today)
{
    (void)today;
    return ((const struct cidr *)image)->matches;
}

static void each_entry(const void *image, void (*each)(void *arg, const char *key), void *arg)
{
    for (size_t i = 0; i < ((const struct cidr *)image)->matches; i++)
        each(arg, "");
}

const struct table_backend table_backend_cidr = {
    .name = "cidr",
    .takes_file = true,
    .whole_keys = true,
    .keeps_last = true,
    .load = load,
    .free = cidr_free,
    .find = find,
    .count = count,
    .each = each_entry,
};
