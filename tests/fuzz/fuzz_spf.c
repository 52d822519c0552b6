/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <postern/arena.h>
#include <postern/domain.h>

#include "../../src/checks/spf_guard.h"

/*
 * The input is a client, a sender and a DNS, all hostile:
 *
 *     192.0.2.3 bob example.org mail.example.org
 *     TXT example.org v=spf1 include:%{i}._spf.example.org -all
 *     A * 192.0.2.3
 *     FAULT slow.example
 *
 * A row with the name * is for every name.  What no row is for does not exist.  Whatever it is, a
 * check comes to an end, within the limits of RFC 7208, and to the same end whenever and in
 * whichever order the answers come.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS_MAX = 64, ROUNDS_MAX = 64, INPUT_MAX = 65536, MEMORY_MAX = 24 << 20 };

struct row {
    char *type, *name, *data;
    size_t length;
};

struct zone {
    struct arena *arena;
    struct row rows[ROWS_MAX];
    size_t count;
};

/* Takes the next word off *rest: the text up to the next space, which becomes its NUL. */
static char *word(char **rest)
{
    char *start = *rest;
    char *end = start + strcspn(start, " ");

    *rest = end + (*end != '\0');
    *end = '\0';
    return start;
}

/* Lines hold any bytes but the line feed. */
static void read_rows(struct zone *zone, char *text, size_t length)
{
    while (length > 0 && zone->count < ROWS_MAX) {
        struct row *row = &zone->rows[zone->count++];
        char *end = memchr(text, '\n', length);
        size_t line = end != NULL ? (size_t)(end - text) : length;

        text[line] = '\0'; /* the input was copied with a NUL behind it */
        row->data = text;
        row->type = word(&row->data);
        row->name = word(&row->data);
        row->length = (size_t)(text + line - row->data);
        if (end == NULL)
            return;
        length -= line + 1;
        text += line + 1;
    }
}

static void add_record(struct dns_answer *draft, struct dns_record *records, const struct row *row)
{
    struct dns_record *record = &records[draft->count];

    *record = (struct dns_record){.name = row->data, .text = row->data, .length = row->length};
    if (draft->type == DNS_A || draft->type == DNS_AAAA) {
        if (!addr_parse(row->data, &record->addr) ||
            (record->addr.family == ADDR_IPV4) != (draft->type == DNS_A))
            return;
    }
    draft->count++;
    draft->status = DNS_FOUND;
}

static const struct dns_answer *answer(const struct zone *zone, const char *name,
                                       enum dns_type type)
{
    struct dns_record records[ROWS_MAX];
    struct dns_answer draft = {
        .status = DNS_NO_NAME, .type = type, .name = name, .problem = "", .records = records};

    assert(strlen(name) <= DNS_NAME_MAX || type != DNS_TXT);
    for (size_t i = 0; i < zone->count; i++) {
        const struct row *row = &zone->rows[i];

        if (strcmp(row->name, "*") != 0 && strcasecmp(row->name, name) != 0)
            continue;
        if (strcmp(row->type, "FAULT") == 0) {
            draft.status = DNS_FAULT;
            draft.problem = "SERVFAIL";
            draft.count = 0;
            break;
        }
        if (draft.status == DNS_NO_NAME)
            draft.status = DNS_NO_DATA;
        if (strcmp(row->type, dns_type_name(type)) == 0)
            add_record(&draft, records, row);
    }
    return dns_answer_new(&draft);
}

static void give(struct spf_guard *guard, const struct zone *zone, size_t number)
{
    enum dns_type type;
    const char *name = spf_guard_question(guard, number, &type);
    const struct dns_answer *given = answer(zone, name, type);

    spf_guard_answer(guard, number, given);
    dns_answer_unref(given);
}

static bool is_shown(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

static void give_now(void *arg, struct spf_guard *guard, size_t number)
{
    give(guard, arg, number);
}

enum order { FIRST_FIRST, LAST_FIRST, AT_ONCE };

static const struct spf_verdict *check(struct zone *zone, const struct spf_subject *subject,
                                       enum order order)
{
    struct spf_guard *guard =
        spf_guard_new(zone->arena, subject, order == AT_ONCE ? give_now : NULL, zone);
    const struct spf_verdict *verdict;
    unsigned rounds = 0;
    size_t done = 0;

    while (!spf_guard_run(guard, 0)) {
        size_t count = spf_guard_question_count(guard);

        assert(order != AT_ONCE && count > done && ++rounds < ROUNDS_MAX);
        for (size_t i = done; i < count; i++)
            give(guard, zone, order == LAST_FIRST ? done + count - 1 - i : i);
        done = count;
    }
    verdict = spf_guard_verdict(guard);
    assert(verdict->lookups <= 10 && is_shown(verdict->mechanism) && is_shown(verdict->path) &&
           is_shown(verdict->explanation) && strlen(verdict->explanation) <= 1000);
    assert(verdict->explanation[0] == '\0' || verdict->word == SPF_WORD_FAIL);
    return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct zone zone = {.arena = arena_new()};
    struct spf_subject subject = {.receiver = "mx.example.net", .now = 1000000000};
    const struct spf_verdict *first, *second, *third;
    char domain[DOMAIN_SIZE];
    char *text, *line, *end;

    if (size > INPUT_MAX)
        size = INPUT_MAX;
    text = arena_strndup(zone.arena, (const char *)data, size);
    line = text;
    end = memchr(text, '\n', size);
    if (end != NULL) {
        *end = '\0';
        read_rows(&zone, end + 1, (size_t)(text + size - end - 1));
    }
    if (!addr_parse(word(&line), &subject.client))
        addr_parse("2001:db8::1", &subject.client);
    subject.local = word(&line);
    subject.domain = word(&line);
    subject.helo = line;
    domain_canonical(subject.domain, strlen(subject.domain), domain);
    subject.domain = domain;
    first = check(&zone, &subject, FIRST_FIRST);
    second = check(&zone, &subject, LAST_FIRST);
    third = check(&zone, &subject, AT_ONCE);
    assert(first->word == second->word && strcmp(first->path, second->path) == 0);
    assert(first->word == third->word && strcmp(first->path, third->path) == 0);
    (void)first, (void)second, (void)third;
    assert(arena_used(zone.arena) < MEMORY_MAX);
    arena_free(zone.arena);
    return 0;
}
