/* SPDX-License-Identifier: MIT */
#include "table_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <postern/arena.h>
#include <postern/clock.h>
#include <postern/log.h>

enum {
    /* A file that was written to within the last second may still be being written. */
    SETTLED_MS = 1000,
    /* How often such a file may be bad before that is believed. */
    POSTPONED_MAX = 5,
};

/* One reading of the file. */
struct reading {
    struct stamp stamp;
    struct table_report report;
    struct counts *counts;
    void *data;     /* NULL: it could not be read */
    bool unsettled; /* it changed a moment ago, or under our hands */
    bool refused;   /* by the guard */
};

static struct stamp stamp_of(const struct stat *status)
{
    return (struct stamp){.device = status->st_dev,
                          .inode = status->st_ino,
                          .size = status->st_size,
                          .modified = status->st_mtim,
                          .changed = status->st_ctim};
}

static bool time_equal(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool stamp_equal(const struct stamp *a, const struct stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           time_equal(&a->modified, &b->modified) && time_equal(&a->changed, &b->changed);
}

static bool is_recent(const struct timespec *when)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    int64_t age =
        ((int64_t)now.tv_sec - when->tv_sec) * 1000 + (now.tv_nsec - when->tv_nsec) / (1000 * 1000);
    /* A time that lies further ahead was set by hand. */
    return age < SETTLED_MS && age > -SETTLED_MS;
}

/* Without a file at the path the stamp is all zero. */
static void read_file(struct table *table, struct reading *reading)
{
    struct stat before, after;
    int fd = open(table->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    reading->report.path = table->path;
    if (fd < 0 || fstat(fd, &before) != 0) {
        report_file(&reading->report, "%s", strerror(errno));
    } else {
        reading->stamp = stamp_of(&before);
        bool regular = S_ISREG(before.st_mode);
        if (regular)
            reading->data = table->backend->load(fd, &reading->report);
        else
            report_file(&reading->report, "not a regular file");
        if (regular && fstat(fd, &after) == 0) {
            struct stamp stamp = stamp_of(&after);
            reading->unsettled =
                is_recent(&stamp.modified) || !stamp_equal(&reading->stamp, &stamp);
        }
    }
    if (fd >= 0)
        close(fd);
}

static void judge(struct table *table, struct reading *reading)
{
    struct str why = {0};

    if (reading->data == NULL || table->guard == NULL)
        return;
    reading->counts = counts_new(table->backend, reading->data);
    if (!guard_allows(table->guard, reading->counts, &why)) {
        reading->refused = true;
        report_file(&reading->report, "%s", str_text(&why));
    }
    str_free(&why);
}

static void reading_free(const struct table *table, struct reading *reading)
{
    if (reading->data != NULL)
        table->backend->free(reading->data);
    counts_free(reading->counts);
    str_free(&reading->report.text);
}

static size_t entries(const struct table_backend *backend, const void *data)
{
    return backend->count(data, clock_day(clock_wall()));
}

/* Puts DATA (NULL: what there is) into force under STATE; the problem is copied. */
static void put(struct table *table, void *data, enum table_state state, const char *problem)
{
    struct image *image = data != NULL ? image_new(table->backend, data) : NULL;
    char *text = problem != NULL ? xstrdup(problem) : NULL;

    pthread_mutex_lock(&table->lock);
    struct image *old_image = image != NULL ? table->image : NULL;
    char *old_text = table->problem;
    if (image != NULL)
        table->image = image;
    table->state = state;
    table->problem = text;
    pthread_mutex_unlock(&table->lock);
    image_unref(old_image);
    free(old_text);
}

static void take(struct table *table, struct reading *reading)
{
    bool again = table->state == STATE_KEPT || table->state == STATE_OUT;
    bool same = table->state == STATE_WELL && stamp_equal(&table->stamp, &reading->stamp);
    size_t count = entries(table->backend, reading->data);

    if (table->guard != NULL && reading->counts != NULL) {
        guard_take(table->guard, reading->counts);
        reading->counts = NULL;
    }
    put(table, reading->data, STATE_WELL, NULL);
    reading->data = NULL;
    if (!same)
        log_info("table %s: %zu entr%s from %s%s", table->name, count, count == 1 ? "y" : "ies",
                 table->path, again ? ": all is well again" : "");
}

/* The file is bad: the last good image stays, or the table has no answer. */
static void reject(struct table *table, const struct reading *reading)
{
    bool keep = table->image != NULL && (table->backend->keeps_last || !reading->refused);
    enum table_state state = keep ? STATE_KEPT : STATE_OUT;
    const char *problem = str_text(&reading->report.text);

    if (table->state == state && strcmp(table->problem, problem) == 0)
        return;
    put(table, NULL, state, problem);

    int length = (int)strcspn(problem, "\n");
    unsigned more = reading->report.errors > 1 ? reading->report.errors - 1 : 0;
    struct str others = {0};
    if (more != 0)
        str_add_format(&others, " (and %u more error%s)", more, more == 1 ? "" : "s");
    if (keep)
        log_warning("table %s: %.*s%s; the last good image, of %zu entries, stays in force",
                    table->name, length, problem, str_text(&others),
                    entries(table->backend, table->image->data));
    else
        log_error("table %s: %.*s%s; the table has no answer until this is mended", table->name,
                  length, problem, str_text(&others));
    str_free(&others);
}

/* Whether the reading is bad, or may be, only because somebody is writing the file. */
static bool is_too_early(struct table *table, const struct reading *reading)
{
    if (!reading->unsettled || table->image == NULL || table->postponed >= POSTPONED_MAX)
        return false;
    return reading->data == NULL || reading->refused || reading->report.incomplete ||
           entries(table->backend, reading->data) == 0;
}

void table_read(struct table *table)
{
    struct reading reading = {.data = NULL};

    read_file(table, &reading);
    judge(table, &reading);
    if (is_too_early(table, &reading)) {
        table->postponed++;
        table->unsettled = true;
        reading_free(table, &reading);
        return;
    }
    table->postponed = 0;
    if (reading.data != NULL && !reading.refused)
        take(table, &reading);
    else
        reject(table, &reading);
    table->stamp = reading.stamp;
    table->unsettled = reading.unsettled;
    table->refused = reading.refused;
    reading_free(table, &reading);
}

void table_refresh(struct table *table)
{
    struct stamp stamp = {.size = 0};
    struct stat status;

    if (table->path == NULL)
        return;
    if (stat(table->path, &status) == 0)
        stamp = stamp_of(&status);
    /* A file without a stamp is one that could not be opened: why may have changed. */
    if (table->unsettled || stamp.inode == 0 || !stamp_equal(&stamp, &table->stamp) ||
        (table->refused && guard_reread(table->guard)))
        table_read(table);
}

void table_guard(struct table *table, const struct table_guard *guard)
{
    if (table->path == NULL || table->backend->each == NULL || guard->shrink_percent == 0)
        return;
    guard_free(table->guard);
    table->guard = guard_new(table->name, guard);
    if (table->state == STATE_OUT)
        return;

    /* The image was read before it was guarded: nothing shows yet that it is good. */
    struct reading reading = {.report = {.path = table->path}};
    struct str why = {0};
    struct counts *counts = counts_new(table->backend, table->image->data);
    /* Where one entry was known, it may well have been taken out while nobody ran. */
    bool begins_empty =
        guard->may_begin_empty && table_count(table) == 0 && guard_known(table->guard) <= 1;
    reading.refused = !begins_empty && !guard_allows(table->guard, counts, &why);
    if (reading.refused) {
        report_file(&reading.report, "%s", str_text(&why));
        counts_free(counts);
        image_unref(table->image);
        table->image = NULL;
        table->refused = true;
        reject(table, &reading);
    } else {
        guard_take(table->guard, counts);
    }
    str_free(&why);
    reading_free(table, &reading);
}

int table_accept(struct table *table, const char **problem, struct arena *arena)
{
    struct reading reading = {.data = NULL};

    if (table->guard == NULL) {
        *problem = "it is not guarded, so any size is right; guarded are tables in "
                   "files that the recipients block names";
        return -1;
    }
    read_file(table, &reading);
    if (reading.data == NULL) {
        *problem = arena_strdup(arena, str_text(&reading.report.text));
        reading_free(table, &reading);
        return -1;
    }
    reading.counts = counts_new(table->backend, reading.data);
    take(table, &reading);
    table->stamp = reading.stamp;
    table->unsettled = reading.unsettled;
    table->refused = false;
    reading_free(table, &reading);
    return 0;
}

void table_inherit(struct table *table, struct table *old)
{
    if (table->path == NULL || old->path == NULL || table->backend != old->backend ||
        strcmp(table->path, old->path) != 0)
        return;
    bool counts =
        table->guard != NULL && old->guard != NULL && guard_inherit(table->guard, old->guard);
    /* What was read of a file that somebody is writing is judged against the image that there was.
     */
    if (table->image != NULL && !counts && !table->unsettled)
        return;
    struct image *image = table_image(old);
    if (image == NULL)
        return;
    pthread_mutex_lock(&table->lock);
    struct image *former = table->image;
    table->image = image;
    table->state = STATE_NEW;
    pthread_mutex_unlock(&table->lock);
    image_unref(former);
    table_read(table);
}
