/* SPDX-License-Identifier: MIT */
#include "guard.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <postern/arena.h>
#include <postern/domain.h>
#include <postern/hash.h>
#include <postern/log.h>

enum { FILE_NAME_MAX = 200, LINE_SIZE = DOMAIN_SIZE + 32 };

static const char first_line[] = "postern counts 1\n";
static const char no_domain[] = "."; /* stands for "" in the file */

struct counts {
    struct arena *arena;
    struct map *domains; /* name -> size_t * */
    size_t total;
};

struct guard {
    char *table;
    char *path; /* NULL: kept in memory only */
    unsigned percent;
    struct counts *last; /* NULL: no image was ever trusted */
    struct stat written; /* the state file as it was last read or written */
    bool write_failed;
    bool read_only;
};

static struct counts *counts_empty(void)
{
    struct counts *counts = xcalloc(1, sizeof(*counts));

    counts->arena = arena_new();
    counts->domains = map_new(64);
    return counts;
}

void counts_free(struct counts *counts)
{
    if (counts == NULL)
        return;
    map_free(counts->domains);
    arena_free(counts->arena);
    free(counts);
}

static void counts_add(struct counts *counts, const char *domain, size_t more)
{
    size_t *count = map_get(counts->domains, domain);

    if (count == NULL) {
        count = arena_alloc(counts->arena, sizeof(*count));
        map_set(counts->domains, arena_strdup(counts->arena, domain), count);
    }
    *count += more;
    counts->total += more;
}

static void count_key(void *arg, const char *key)
{
    const char *at = strrchr(key, '@');
    const char *domain = at != NULL ? at + 1 : "";
    char canonical[DOMAIN_SIZE];

    if (domain[0] != '\0' && !domain_canonical(domain, strlen(domain), canonical))
        domain = "";
    counts_add(arg, domain, 1);
}

struct counts *counts_new(const struct table_backend *backend, const void *image)
{
    struct counts *counts = counts_empty();

    backend->each(image, count_key, counts);
    return counts;
}

/* One pass over the old counts, against the new ones. */
struct comparison {
    const struct counts *now;
    unsigned percent;
    unsigned shrunk; /* domains that lost too much */
    bool differs;
    const char *worst;
    size_t worst_before, worst_now;
};

static void compare(const char *domain, void *value, void *arg)
{
    struct comparison *comparison = arg;
    const size_t *found = map_get(comparison->now->domains, domain);
    size_t before = *(const size_t *)value;
    size_t now = found != NULL ? *found : 0;

    if (now != before)
        comparison->differs = true;
    /* Where a domain has a handful of entries, the loss of one is more than any share; but the last
     * one is the domain itself, and may be its catch-all. */
    bool is_one_of_several = before - now == 1 && now > 0;
    if (now >= before || is_one_of_several || (before - now) * 100 <= before * comparison->percent)
        return;
    comparison->shrunk++;
    if (comparison->worst == NULL ||
        before - now > comparison->worst_before - comparison->worst_now) {
        comparison->worst = domain;
        comparison->worst_before = before;
        comparison->worst_now = now;
    }
}

bool guard_allows(const struct guard *guard, const struct counts *counts, struct str *problem)
{
    struct comparison comparison = {.now = counts, .percent = guard->percent};

    if (guard->percent == 0)
        return true;
    if (counts->total == 0 && (guard->last == NULL || guard->last->total != 0)) {
        str_add(problem, "it holds no entry at all");
    } else {
        if (guard->last != NULL)
            map_each(guard->last->domains, compare, &comparison);
        if (comparison.shrunk == 0)
            return true;
        if (comparison.worst[0] != '\0')
            str_add_format(problem, "%s has %zu entr%s", comparison.worst, comparison.worst_now,
                           comparison.worst_now == 1 ? "y" : "ies");
        else
            str_add_format(
                problem, comparison.worst_now == 1 ? "there is %zu entry" : "there are %zu entries",
                comparison.worst_now);
        str_add_format(problem, " where there were %zu, more than %u%% fewer",
                       comparison.worst_before, guard->percent);
        if (comparison.shrunk > 1)
            str_add_format(problem, " (and %u more domains)", comparison.shrunk - 1);
    }
    str_add_format(problem, "; 'postern table %s --accept' takes that as right", guard->table);
    return false;
}

size_t guard_known(const struct guard *guard)
{
    return guard->last != NULL ? guard->last->total : 0;
}

static char *state_path(const char *dir, const char *table)
{
    struct str path = {0};

    str_add_format(&path, "%s/", dir);
    for (size_t i = 0; table[i] != '\0'; i++) {
        if (isalnum((unsigned char)table[i]) || table[i] == '-' || table[i] == '_' ||
            (table[i] == '.' && i != 0))
            str_add_char(&path, table[i]);
        else
            str_add_format(&path, "%%%02X", (unsigned char)table[i]);
        if (path.length - strlen(dir) > FILE_NAME_MAX) {
            str_add_format(&path, "%%%016" PRIx64, hash_bytes(table, strlen(table), 0));
            break;
        }
    }
    str_add(&path, ".counts");
    char *copy = xstrdup(str_text(&path));
    str_free(&path);
    return copy;
}

/* "COUNT DOMAIN", or "end COUNT" with DOMAIN NULL; without its line end. */
static bool read_count(char *line, size_t *count, const char **domain)
{
    char *number = line, *end;

    *domain = NULL;
    if (strncmp(line, "end ", 4) == 0)
        number += 4;
    if (*number < '0' || *number > '9')
        return false;
    errno = 0;
    unsigned long long value = strtoull(number, &end, 10);
    if (errno != 0 || value > SIZE_MAX / 200)
        return false;
    *count = (size_t)value;
    if (number != line)
        return *end == '\0';
    *domain = end + 1;
    return *end == ' ' && end[1] != '\0';
}

/* Reads the state file; NULL when it makes no sense. */
static struct counts *read_state(FILE *file)
{
    struct counts *counts = counts_empty();
    char line[LINE_SIZE];
    bool end = false;

    bool good = fgets(line, sizeof(line), file) != NULL && strcmp(line, first_line) == 0;
    while (good && !end && fgets(line, sizeof(line), file) != NULL) {
        const char *domain;
        size_t count = 0;
        char *newline = strchr(line, '\n');
        if (newline != NULL)
            *newline = '\0';
        good = newline != NULL && read_count(line, &count, &domain);
        if (!good)
            break;
        end = domain == NULL;
        if (end)
            good = count == map_count(counts->domains);
        else
            counts_add(counts, strcmp(domain, no_domain) == 0 ? "" : domain, count);
    }
    if (good && end)
        return counts;
    counts_free(counts);
    return NULL;
}

static void load_state(struct guard *guard)
{
    FILE *file = guard->path != NULL ? fopen(guard->path, "re") : NULL;

    if (file == NULL) {
        if (guard->path != NULL && errno != ENOENT)
            log_warning("table %s: %s: %s; its former size is not known", guard->table, guard->path,
                        strerror(errno));
        return;
    }
    struct counts *counts = read_state(file);
    if (counts == NULL) {
        log_warning("table %s: %s makes no sense; its former size is not known", guard->table,
                    guard->path);
    } else {
        counts_free(guard->last);
        guard->last = counts;
    }
    if (fstat(fileno(file), &guard->written) != 0)
        memset(&guard->written, 0, sizeof(guard->written));
    fclose(file);
}

struct guard *guard_new(const char *table, const struct table_guard *config)
{
    struct guard *guard = xcalloc(1, sizeof(*guard));

    guard->table = xstrdup(table);
    guard->percent = config->shrink_percent;
    guard->read_only = config->read_only;
    if (config->state_dir != NULL)
        guard->path = state_path(config->state_dir, table);
    load_state(guard);
    return guard;
}

void guard_free(struct guard *guard)
{
    if (guard == NULL)
        return;
    counts_free(guard->last);
    free(guard->path);
    free(guard->table);
    free(guard);
}

static void write_count(const char *domain, void *value, void *arg)
{
    fprintf(arg, "%zu %s\n", *(const size_t *)value, domain[0] != '\0' ? domain : no_domain);
}

static void sync_folder(const char *path)
{
    char *folder = xstrdup(path);
    char *slash = strrchr(folder, '/');

    slash[slash == folder ? 1 : 0] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(folder);
}

/* Writes the state file whole or not at all.  False with errno. */
static bool write_state(struct guard *guard)
{
    struct str path = {0};
    bool good = false;

    str_add_format(&path, "%s.XXXXXX", guard->path);
    int fd = mkostemp(path.data, O_CLOEXEC);
    if (fd < 0) {
        str_free(&path);
        return false;
    }
    FILE *file = fdopen(fd, "w");
    if (file == NULL)
        abort();
    fputs(first_line, file);
    map_each(guard->last->domains, write_count, file);
    fprintf(file, "end %zu\n", map_count(guard->last->domains));
    good = fflush(file) == 0 && fchmod(fd, 0644) == 0 && fsync(fd) == 0 &&
           fstat(fd, &guard->written) == 0 && rename(path.data, guard->path) == 0;
    int error = errno;
    fclose(file);
    if (good)
        sync_folder(guard->path);
    else
        unlink(path.data);
    str_free(&path);
    errno = error;
    return good;
}

void guard_take(struct guard *guard, struct counts *counts)
{
    struct comparison comparison = {.now = counts};

    if (guard->last != NULL) {
        map_each(guard->last->domains, compare, &comparison);
        if (map_count(guard->last->domains) != map_count(counts->domains))
            comparison.differs = true;
    }
    bool changed = guard->last == NULL || comparison.differs;
    counts_free(guard->last);
    guard->last = counts;
    if (guard->path == NULL || guard->read_only || (!changed && !guard->write_failed))
        return;
    if (write_state(guard)) {
        guard->write_failed = false;
    } else if (!guard->write_failed) {
        log_warning("table %s: cannot keep its size in %s: %s", guard->table, guard->path,
                    strerror(errno));
        guard->write_failed = true;
    }
}

bool guard_reread(struct guard *guard)
{
    struct stat status;
    const struct stat *written = &guard->written;

    if (guard->path == NULL || stat(guard->path, &status) != 0)
        return false;
    if (status.st_ino == written->st_ino && status.st_size == written->st_size &&
        status.st_mtim.tv_sec == written->st_mtim.tv_sec &&
        status.st_mtim.tv_nsec == written->st_mtim.tv_nsec)
        return false;
    load_state(guard);
    return true;
}

static void copy_count(const char *domain, void *value, void *arg)
{
    counts_add(arg, domain, *(const size_t *)value);
}

bool guard_inherit(struct guard *guard, const struct guard *old)
{
    if (old->last == NULL || (guard->last != NULL && guard->path != NULL))
        return false;
    counts_free(guard->last);
    guard->last = counts_empty();
    map_each(old->last->domains, copy_count, guard->last);
    return true;
}
