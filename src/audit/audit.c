/* SPDX-License-Identifier: MIT */
#include "audit_private.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <postern/arena.h>
#include <postern/clock.h>
#include <postern/log.h>

/*
 * A bounded queue and the thread that writes what stands in it: a full disk or a syslog daemon that
 * has stopped never delays a reply.  Waking the thread costs more than a record does: while there
 * are many, it sleeps for a moment after the first one and takes all that came meanwhile.
 */
enum {
    GATHER_MS = 25,
    GATHER_FROM = 16, /* records in such a time; fewer are written at once */
    BATCH_RECORDS = 64,
    QUEUE_RECORDS = 8192,
    QUEUE_OCTETS = 32 * 1024 * 1024,
    VALUE_OCTETS = 4096, /* of one value; lines show less */
    CLOSE_WAIT_MS = 5000,
    HANG_WAIT_S = 8, /* at the end, for a sink that takes nothing and does not say so */
    WARN_EVERY_MS = 60 * 1000,
};

struct audit {
    pthread_t thread;
    pthread_mutex_t lock; /* guards the queue, next and the end */
    pthread_cond_t more;
    struct queued *first, **last;
    size_t count, octets; /* with those that the thread has taken and not yet written */
    struct sinks *next;   /* to be used from the next record on */
    bool closing, ended;
    bool abandoned; /* the thread frees it all */
    int64_t close_by, warned;
    /* The thread's. */
    struct sinks *sinks;
    int64_t window;   /* when it began to count; clock_ms() */
    size_t in_window; /* records since then */
    bool busy;        /* there were many in the last one */
    /* Any thread's. */
    atomic_bool fields_wanted; /* by the sinks that are used next */
    atomic_uint_fast64_t written, failed, dropped;
};

/* ---- the queue ---- */

static size_t value_length(const char *value)
{
    return strnlen(value, VALUE_OCTETS);
}

/* The copies of the fields with their texts behind them. */
static void copy_fields(struct queued *record, const struct audit_field *fields, char *text)
{
    for (size_t i = 0; i < record->count; i++) {
        size_t key = strlen(fields[i].key) + 1, value = value_length(fields[i].value);
        record->fields[i].key = memcpy(text, fields[i].key, key);
        text += key;
        record->fields[i].value = memcpy(text, fields[i].value, value);
        text[value] = '\0';
        text += value + 1;
    }
}

static size_t fields_size(const struct audit_field *fields, size_t count)
{
    size_t size = count * sizeof(fields[0]);

    for (size_t i = 0; i < count; i++)
        size += strlen(fields[i].key) + value_length(fields[i].value) + 2;
    return size;
}

/* The record's line and, where they are WANTED, its fields in one block. */
static struct queued *make_record(const struct audit_field *fields, size_t count, bool wanted)
{
    size_t before = sizeof(struct queued) + (wanted ? fields_size(fields, count) : 0);
    struct queued *record = xmalloc(before + audit_line_room(fields, count));
    char *line = (char *)record + before;
    size_t length = (size_t)(audit_line_write(line, fields, count) - line);

    /* Few values need as much room as they might. */
    record = xrealloc(record, before + length + 1);
    record->next = NULL;
    record->size = before + length + 1;
    record->line = (char *)record + before;
    record->length = length;
    record->failed = false;
    record->count = wanted ? count : 0;
    copy_fields(record, fields, (char *)&record->fields[record->count]);
    clock_gettime(CLOCK_REALTIME, &record->when);
    return record;
}

static bool half_full(const struct audit *audit)
{
    return audit->count >= QUEUE_RECORDS / 2 || audit->octets >= QUEUE_OCTETS / 2;
}

void audit_write(struct audit *audit, const struct audit_field *fields, size_t count)
{
    struct queued *record = make_record(fields, count, atomic_load(&audit->fields_wanted));
    size_t size = record->size;
    bool warn = false;

    pthread_mutex_lock(&audit->lock);
    if (audit->count >= QUEUE_RECORDS || audit->octets + size > QUEUE_OCTETS) {
        atomic_fetch_add(&audit->dropped, 1);
        warn = clock_ms() - audit->warned >= WARN_EVERY_MS;
        if (warn)
            audit->warned = clock_ms();
    } else {
        bool first = audit->first == NULL, half = half_full(audit);
        *audit->last = record;
        audit->last = &record->next;
        audit->count++;
        audit->octets += size;
        record = NULL;
        if (first || (!half && half_full(audit)))
            pthread_cond_signal(&audit->more);
    }
    pthread_mutex_unlock(&audit->lock);
    free(record);
    if (warn)
        log_warning("the audit queue is full: %llu records were lost so far",
                    (unsigned long long)atomic_load(&audit->dropped));
}

/* ---- the writer ---- */

static bool is_urgent(const struct audit *audit)
{
    return audit->closing || audit->next != NULL || half_full(audit);
}

/* Lets records gather, unless one of the reasons not to wait comes up. */
static void gather(struct audit *audit)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += GATHER_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    while (!is_urgent(audit) && pthread_cond_timedwait(&audit->more, &audit->lock, &until) == 0)
        continue;
}

/* Whether records come so fast that it pays to let them gather. */
static bool is_busy(struct audit *audit)
{
    int64_t now = clock_ms();

    if (now - audit->window >= GATHER_MS) {
        audit->busy = audit->in_window >= GATHER_FROM && now - audit->window < 2 * GATHER_MS;
        audit->window = now;
        audit->in_window = 0;
    }
    return audit->busy;
}

/* Waits until there is something to do.  All records that are queued, and the sinks they go to;
 * false at the end. */
static bool take(struct audit *audit, struct queued **records)
{
    struct sinks *old = NULL;
    bool more;

    pthread_mutex_lock(&audit->lock);
    while (audit->first == NULL && audit->next == NULL && !audit->closing)
        pthread_cond_wait(&audit->more, &audit->lock);
    if (is_busy(audit))
        gather(audit);
    *records = audit->first;
    audit->first = NULL;
    audit->last = &audit->first;
    if (audit->next != NULL) {
        old = audit->sinks;
        audit->sinks = audit->next;
        audit->next = NULL;
    }
    more = *records != NULL || !audit->closing;
    pthread_mutex_unlock(&audit->lock);
    sinks_close(old);
    return more;
}

/* Whether there is no time left to wait for a sink that hangs. */
static bool out_of_time(struct audit *audit)
{
    bool late;

    pthread_mutex_lock(&audit->lock);
    late = audit->closing && clock_ms() > audit->close_by;
    pthread_mutex_unlock(&audit->lock);
    return late;
}

/* Counts and frees the first COUNT records; returns the next one. */
static struct queued *done_with(struct audit *audit, struct queued *records, size_t count,
                                bool dropped)
{
    size_t octets = 0, failed = 0;

    for (size_t i = 0; i < count; i++) {
        struct queued *next = records->next;
        octets += records->size;
        failed += records->failed;
        free(records);
        records = next;
    }
    atomic_fetch_add(&audit->dropped, dropped ? count : 0);
    atomic_fetch_add(&audit->failed, dropped ? 0 : failed);
    atomic_fetch_add(&audit->written, dropped ? 0 : count - failed);
    pthread_mutex_lock(&audit->lock);
    audit->count -= count;
    audit->octets -= octets;
    pthread_mutex_unlock(&audit->lock);
    return records;
}

static void audit_free(struct audit *audit)
{
    sinks_close(audit->sinks);
    sinks_close(audit->next);
    pthread_cond_destroy(&audit->more);
    pthread_mutex_destroy(&audit->lock);
    free(audit);
}

static void *write_records(void *arg)
{
    struct audit *audit = arg;
    struct queued *records;

    while (take(audit, &records)) {
        while (records != NULL) {
            size_t count = 0;
            bool late = out_of_time(audit);
            for (struct queued *at = records; at != NULL && count < BATCH_RECORDS; at = at->next)
                count++;
            if (!late)
                sinks_write(audit->sinks, records, count);
            records = done_with(audit, records, count, late);
            audit->in_window += count;
        }
    }
    pthread_mutex_lock(&audit->lock);
    bool abandoned = audit->abandoned;
    audit->ended = true;
    pthread_cond_broadcast(&audit->more);
    pthread_mutex_unlock(&audit->lock);
    if (abandoned)
        audit_free(audit);
    return NULL;
}

/* ---- opening and closing ---- */

struct audit *audit_open(const struct audit_options *options, char **error)
{
    struct sinks *sinks = sinks_open(options, error);
    struct audit *audit;
    pthread_condattr_t monotonic;
    sigset_t all, before;
    int refused;

    if (sinks == NULL)
        return NULL;
    audit = xcalloc(1, sizeof(*audit));
    audit->sinks = sinks;
    atomic_init(&audit->fields_wanted, sinks_want_fields(sinks));
    audit->last = &audit->first;
    audit->warned = clock_ms() - WARN_EVERY_MS;
    pthread_mutex_init(&audit->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&audit->more, &monotonic);
    pthread_condattr_destroy(&monotonic);
    /* Signals are for the thread that waits for them. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    refused = pthread_create(&audit->thread, NULL, write_records, audit);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (refused != 0) {
        log_error("no thread for audit records: %s", strerror(refused));
        abort();
    }
    return audit;
}

void audit_close(struct audit *audit)
{
    struct timespec until;

    if (audit == NULL)
        return;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += HANG_WAIT_S;
    pthread_mutex_lock(&audit->lock);
    audit->closing = true;
    audit->close_by = clock_ms() + CLOSE_WAIT_MS;
    pthread_cond_broadcast(&audit->more);
    while (!audit->ended && pthread_cond_timedwait(&audit->more, &audit->lock, &until) == 0)
        continue;
    bool abandoned = audit->abandoned = !audit->ended;
    size_t left = audit->count;
    pthread_t thread = audit->thread;
    pthread_mutex_unlock(&audit->lock);
    /* The library of the journal waits for a journal that has stopped. */
    if (abandoned) {
        log_warning("audit records are not taken any more: up to %zu are lost", left);
        pthread_detach(thread);
    } else {
        pthread_join(thread, NULL);
        audit_free(audit);
    }
}

int audit_reopen(struct audit *audit, const struct audit_options *options, char **error)
{
    struct sinks *sinks = sinks_open(options, error);
    struct sinks *unused;

    if (sinks == NULL)
        return -1;
    /* Of what is queued by now the journal is given the lines. */
    atomic_store(&audit->fields_wanted, sinks_want_fields(sinks));
    pthread_mutex_lock(&audit->lock);
    unused = audit->next;
    audit->next = sinks;
    pthread_cond_signal(&audit->more);
    pthread_mutex_unlock(&audit->lock);
    sinks_close(unused);
    return 0;
}

void audit_count(const struct audit *audit, struct audit_counters *counters)
{
    counters->written = atomic_load(&audit->written);
    counters->failed = atomic_load(&audit->failed);
    counters->dropped = atomic_load(&audit->dropped);
}
