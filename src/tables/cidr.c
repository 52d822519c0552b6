/* SPDX-License-Identifier: MIT */
#include "keys.h"
#include "ordered.h"

#include <stdlib.h>
#include <string.h>

#include <postern/arena.h>

/*
 * Networks in order, as Postfix's cidr_table(5): "[!]NETWORK value", "if [!]NETWORK" ... "endif".
 * The first match wins.
 */
struct cidr {
    struct ordered ordered; /* its patterns are struct net */
};

static const struct net *net_of(const struct cidr *cidr, size_t i)
{
    return &((const struct net *)cidr->ordered.patterns)[i];
}

static void cidr_free(void *image)
{
    struct cidr *cidr = image;

    if (cidr == NULL)
        return;
    ordered_free(&cidr->ordered);
    free(cidr);
}

static bool read_network(void *arg, char *text, unsigned line, struct ordered_rule *rule,
                         void *pattern, struct table_report *report)
{
    struct key key;
    char problem[128];

    (void)arg;
    rule->negate = text[0] == '!';
    if (rule->negate)
        text = lines_skip(text + 1);
    rule->value = lines_split(text);
    if (!key_parse(text, strlen(text), &key, problem)) {
        report_line(report, line, "'%s' %s", text, problem);
        return false;
    }
    if (key.class != KEY_NET && key.class != KEY_ADDR) {
        report_line(report, line, "'%s' is no network and no IP address", text);
        return false;
    }
    *(struct net *)pattern = key.net;
    return true;
}

static void *load(int fd, struct table_report *report)
{
    struct cidr *cidr = xcalloc(1, sizeof(*cidr));

    cidr->ordered.pattern_size = sizeof(struct net);
    if (ordered_load(&cidr->ordered, fd, read_network, NULL, report))
        return cidr;
    cidr_free(cidr);
    return NULL;
}

static bool holds(const struct net *net, bool negate, const struct addr *addr)
{
    /* A rule says nothing about the other family, not even with '!'. */
    return net->addr.family == addr->family && net_contains(net, addr) != negate;
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
    while (i < cidr->ordered.count) {
        const struct ordered_rule *rule = &cidr->ordered.rules[i];
        const struct net *net = net_of(cidr, i);
        bool match = holds(net, rule->negate, &addr);
        if (match && !rule->is_if) {
            answer->key = arena_printf(probe->arena, "%s%s/%u", rule->negate ? "!" : "",
                                       addr_format(&net->addr, text), net->bits);
            answer->value = arena_strdup(probe->arena, rule->value);
            return TABLE_FOUND;
        }
        i = ordered_next(&cidr->ordered, i, match);
    }
    return TABLE_ABSENT;
}

static size_t count(const void *image, int32_t today)
{
    (void)today;
    return ((const struct cidr *)image)->ordered.matches;
}

static void each_entry(const void *image, void (*each)(void *arg, const char *key), void *arg)
{
    ordered_each(&((const struct cidr *)image)->ordered, each, arg);
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
