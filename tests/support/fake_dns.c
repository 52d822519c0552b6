/* SPDX-License-Identifier: MIT */
#include "fake_dns.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <postern/arena.h>
#include <postern/clock.h>
#include <postern/loop.h>

enum { CHAIN_MAX = 8, TTL_MS = 300 * 1000 };

enum stage { WAITS_HELD, WAITS_DUE };

struct fake_query {
    struct fake_query *next;
    char *name;
    enum dns_type type;
    enum stage stage;
    bool posted; /* the loop will call due_on_loop() with it */
    bool cancelled;
    const char *problem; /* instead of the rows' answer */
    dns_done *done;
    void *arg;
    struct fake_dns *fake;
};

struct asked {
    struct asked *next;
    char *name;
    enum dns_type type;
};

struct fake_dns {
    struct dns dns; /* first: ask is handed it */
    const struct fake_dns_row *rows;
    size_t row_count;
    struct loop *loop;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t drained;
    bool all_later;
    struct fake_query *queries; /* in the order in which they were asked */
    size_t posted;
    struct asked *asked;
};

static void bad_row(const struct fake_dns_row *row, const char *data)
{
    fprintf(stderr, "fake_dns: row %s %s: bad data \"%s\"\n", row->name, dns_type_name(row->type),
            data);
    abort();
}

static char *copy_name(const char *name)
{
    char *copy = xstrdup(name);
    size_t length = strlen(copy);

    for (char *c = copy; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    if (length > 1 && copy[length - 1] == '.')
        copy[length - 1] = '\0';
    return copy;
}

static void read_data(const struct fake_dns_row *row, const char *data, struct dns_record *record)
{
    char *end;
    long preference;

    switch (row->type) {
    case DNS_A:
    case DNS_AAAA:
        if (!addr_parse(data, &record->addr))
            bad_row(row, data);
        break;
    case DNS_MX:
        preference = strtol(data, &end, 10);
        if (end == data || *end != ' ' || preference < 0 || preference > UINT16_MAX)
            bad_row(row, data);
        record->preference = (uint16_t)preference;
        record->name = strcmp(end + 1, ".") == 0 ? "" : end + 1;
        break;
    case DNS_TXT:
        record->text = data;
        record->length = strlen(data);
        break;
    case DNS_CNAME:
    case DNS_PTR:
        record->name = data;
        break;
    }
}

static const struct fake_dns_row *find_row(const struct fake_dns *fake, const char *name,
                                           enum dns_type type)
{
    for (size_t i = 0; i < fake->row_count; i++)
        if (fake->rows[i].type == type && strcasecmp(fake->rows[i].name, name) == 0)
            return &fake->rows[i];
    return NULL;
}

static bool exists(const struct fake_dns *fake, const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < fake->row_count; i++) {
        size_t row_length = strlen(fake->rows[i].name);

        if (row_length < length)
            continue;
        const char *tail = fake->rows[i].name + row_length - length;

        if (strcasecmp(tail, name) == 0 && (row_length == length || tail[-1] == '.'))
            return true;
    }
    return false;
}

/* The row that answers, at the end of the CNAMEs; NULL when there is none, with *name the last
 * name. */
static const struct fake_dns_row *resolve(const struct fake_dns *fake, const char **name,
                                          enum dns_type type)
{
    for (int hops = 0; hops < CHAIN_MAX; hops++) {
        const struct fake_dns_row *row = find_row(fake, *name, type);
        const struct fake_dns_row *alias = find_row(fake, *name, DNS_CNAME);

        if (row || !alias || alias->fault || !alias->data[0])
            return row ? row : alias;
        *name = alias->data[0];
    }
    return NULL;
}

static const struct dns_answer *make_answer(const struct fake_dns *fake, const char *name,
                                            enum dns_type type, const char *problem)
{
    struct dns_record records[FAKE_DNS_DATA_MAX] = {{.preference = 0}};
    const char *last = name;
    const struct fake_dns_row *row = resolve(fake, &last, type);
    struct dns_answer draft = {.name = name,
                               .type = type,
                               .problem = problem ? problem
                                          : row   ? row->fault
                                                  : NULL,
                               .secure = row && row->secure,
                               .expires = clock_ms() + TTL_MS,
                               .records = records};

    if (draft.problem) {
        draft.status = DNS_FAULT;
        return dns_answer_new(&draft);
    }
    while (row && draft.count < FAKE_DNS_DATA_MAX && row->data[draft.count]) {
        read_data(row, row->data[draft.count], &records[draft.count]);
        draft.count++;
    }
    draft.status = draft.count > 0 ? DNS_FOUND : exists(fake, last) ? DNS_NO_DATA : DNS_NO_NAME;
    return dns_answer_new(&draft);
}

static void query_free(struct fake_query *query)
{
    free(query->name);
    free(query);
}

/* Takes the query out of the list; under lock. */
static void unlink_query(struct fake_query *query)
{
    struct fake_query **link = &query->fake->queries;

    while (*link != query)
        link = &(*link)->next;
    *link = query->next;
}

/* Answers a query that is in no list; not under lock. */
static void deliver(struct fake_query *query)
{
    if (!query->cancelled) {
        const struct dns_answer *answer =
            make_answer(query->fake, query->name, query->type, query->problem);

        query->done(query->arg, answer);
        dns_answer_unref(answer);
    }
    query_free(query);
}

static void due_on_loop(void *arg)
{
    struct fake_query *query = arg;
    struct fake_dns *fake = query->fake;

    pthread_mutex_lock(&fake->lock);
    if (!query->cancelled)
        unlink_query(query);
    pthread_mutex_unlock(&fake->lock);
    deliver(query);

    pthread_mutex_lock(&fake->lock);
    fake->posted--;
    /* Under lock: the fake may be gone once fake_dns_free() sees it. */
    pthread_cond_broadcast(&fake->drained);
    pthread_mutex_unlock(&fake->lock);
}

/* Under lock. */
static void make_due(struct fake_query *query)
{
    query->stage = WAITS_DUE;
    if (!query->fake->loop)
        return;
    query->posted = true;
    query->fake->posted++;
    loop_post(query->fake->loop, due_on_loop, query);
}

/* Whether it is returned at once, comes later, or is held.  Under lock. */
static enum fake_dns_when when_due(const struct fake_dns *fake, const char *name,
                                   enum dns_type type)
{
    const struct fake_dns_row *row = resolve(fake, &name, type);
    enum fake_dns_when when = row ? row->when : FAKE_DNS_AT_ONCE;

    return when == FAKE_DNS_AT_ONCE && fake->all_later ? FAKE_DNS_LATER : when;
}

/* Adds to the end of the list.  Under lock. */
static struct fake_query *add_query(struct fake_dns *fake, const char *name, enum dns_type type,
                                    dns_done *done, void *arg)
{
    struct fake_query *query = xcalloc(1, sizeof(*query));
    struct fake_query **link = &fake->queries;

    query->fake = fake;
    query->name = xstrdup(name);
    query->type = type;
    query->done = done;
    query->arg = arg;
    while (*link)
        link = &(*link)->next;
    *link = query;
    return query;
}

static const struct dns_answer *ask(struct dns *dns, const char *name, enum dns_type type,
                                    unsigned timeout_ms, dns_done *done, void *arg,
                                    struct dns_query **query)
{
    struct fake_dns *fake = (struct fake_dns *)dns;
    struct asked *asked = xcalloc(1, sizeof(*asked));
    const struct dns_answer *answer = NULL;

    (void)timeout_ms;
    asked->name = copy_name(name);
    asked->type = type;
    pthread_mutex_lock(&fake->lock);
    asked->next = fake->asked;
    fake->asked = asked;

    enum fake_dns_when when = when_due(fake, asked->name, type);

    if (when == FAKE_DNS_AT_ONCE) {
        answer = make_answer(fake, asked->name, type, NULL);
    } else {
        struct fake_query *added = add_query(fake, asked->name, type, done, arg);

        *query = (struct dns_query *)added;
        if (when == FAKE_DNS_LATER)
            make_due(added);
    }
    pthread_mutex_unlock(&fake->lock);
    return answer;
}

static bool cancel(struct dns *dns, struct dns_query *dns_query)
{
    struct fake_dns *fake = (struct fake_dns *)dns;
    bool posted = false;

    pthread_mutex_lock(&fake->lock);
    struct fake_query *query = fake->queries;

    while (query && query != (struct fake_query *)dns_query)
        query = query->next;
    if (query) {
        unlink_query(query);
        query->cancelled = true;
        posted = query->posted;
    }
    pthread_mutex_unlock(&fake->lock);
    if (query && !posted)
        query_free(query);
    return query != NULL;
}

static const struct dns_ops fake_ops = {.ask = ask, .cancel = cancel};

struct fake_dns *fake_dns_new(const struct fake_dns_row *rows, size_t count, struct loop *loop)
{
    struct fake_dns *fake = xcalloc(1, sizeof(*fake));

    fake->dns.ops = &fake_ops;
    fake->rows = rows;
    fake->row_count = count;
    fake->loop = loop;
    pthread_mutex_init(&fake->lock, NULL);
    pthread_cond_init(&fake->drained, NULL);
    /* Bad rows show here, not in the middle of a test. */
    for (size_t i = 0; i < count; i++)
        dns_answer_unref(make_answer(fake, rows[i].name, rows[i].type, NULL));
    return fake;
}

struct dns *fake_dns_dns(struct fake_dns *fake)
{
    return &fake->dns;
}

void fake_dns_all_later(struct fake_dns *fake, bool later)
{
    pthread_mutex_lock(&fake->lock);
    fake->all_later = later;
    pthread_mutex_unlock(&fake->lock);
}

size_t fake_dns_run(struct fake_dns *fake)
{
    size_t count = 0;

    for (;; count++) {
        pthread_mutex_lock(&fake->lock);
        struct fake_query *query = fake->queries;

        while (query && (query->stage != WAITS_DUE || query->posted))
            query = query->next;
        if (query)
            unlink_query(query);
        pthread_mutex_unlock(&fake->lock);
        if (!query)
            return count;
        deliver(query);
    }
}

static size_t let_go(struct fake_dns *fake, const char *name, enum dns_type type,
                     const char *problem)
{
    size_t count = 0;

    pthread_mutex_lock(&fake->lock);
    for (struct fake_query *query = fake->queries; query; query = query->next) {
        if (query->stage != WAITS_HELD)
            continue;
        if (name && (strcasecmp(query->name, name) != 0 || query->type != type))
            continue;
        query->problem = problem;
        make_due(query);
        count++;
    }
    pthread_mutex_unlock(&fake->lock);
    if (!fake->loop)
        fake_dns_run(fake);
    return count;
}

size_t fake_dns_release(struct fake_dns *fake, const char *name, enum dns_type type)
{
    return let_go(fake, name, type, NULL);
}

size_t fake_dns_time_out(struct fake_dns *fake, const char *name, enum dns_type type)
{
    return let_go(fake, name, type, "time-out");
}

size_t fake_dns_asked(struct fake_dns *fake, const char *name, enum dns_type type)
{
    size_t count = 0;

    pthread_mutex_lock(&fake->lock);
    for (const struct asked *asked = fake->asked; asked; asked = asked->next)
        count += !name || (asked->type == type && strcasecmp(asked->name, name) == 0);
    pthread_mutex_unlock(&fake->lock);
    return count;
}

size_t fake_dns_open(struct fake_dns *fake)
{
    size_t count = 0;

    pthread_mutex_lock(&fake->lock);
    for (const struct fake_query *query = fake->queries; query; query = query->next)
        count++;
    pthread_mutex_unlock(&fake->lock);
    return count;
}

void fake_dns_free(struct fake_dns *fake)
{
    /* What is asked while the rest is answered is answered too, a bounded number of times. */
    for (int rounds = 0; rounds < CHAIN_MAX && fake_dns_open(fake) > 0; rounds++) {
        let_go(fake, NULL, DNS_A, "shutting down");
        pthread_mutex_lock(&fake->lock);
        while (fake->posted > 0)
            pthread_cond_wait(&fake->drained, &fake->lock);
        pthread_mutex_unlock(&fake->lock);
    }
    /* A cancelled query may still be on its way through the loop. */
    pthread_mutex_lock(&fake->lock);
    while (fake->posted > 0)
        pthread_cond_wait(&fake->drained, &fake->lock);
    pthread_mutex_unlock(&fake->lock);

    while (fake->asked) {
        struct asked *asked = fake->asked;

        fake->asked = asked->next;
        free(asked->name);
        free(asked);
    }
    pthread_cond_destroy(&fake->drained);
    pthread_mutex_destroy(&fake->lock);
    free(fake);
}
