/* SPDX-License-Identifier: MIT */
#include "keys.h"
#include "table_private.h"

#include <stdlib.h>
#include <string.h>

#include <postern/arena.h>
#include <postern/clock.h>
#include <postern/domain.h>
#include <postern/words.h>

/* Every type of table.  The inline one is written in braces and has no name to be opened by. */
static const struct table_backend *const backends[] = {
    &table_backend_file,   &table_backend_cidr, &table_backend_regex,
    &table_backend_passwd, &table_backend_lmdb,
};

enum { BACKENDS = sizeof(backends) / sizeof(backends[0]) };

struct image *image_new(const struct table_backend *backend, void *data)
{
    struct image *image = xcalloc(1, sizeof(*image));

    atomic_init(&image->refs, 1);
    image->backend = backend;
    image->data = data;
    return image;
}

struct image *image_ref(struct image *image)
{
    atomic_fetch_add_explicit(&image->refs, 1, memory_order_relaxed);
    return image;
}

void image_unref(struct image *image)
{
    if (image == NULL || atomic_fetch_sub_explicit(&image->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (image->data != NULL)
        image->backend->free(image->data);
    free(image);
}

static struct table *table_new(const char *name, const struct table_backend *backend)
{
    struct table *table = xcalloc(1, sizeof(*table));

    atomic_init(&table->refs, 1);
    table->backend = backend;
    table->name = xstrdup(name);
    pthread_mutex_init(&table->lock, NULL);
    return table;
}

static const struct table_backend *backend_of(const char *spec, const char **argument)
{
    size_t length = strcspn(spec, ":");

    *argument = spec[length] == ':' ? spec + length + 1 : "";
    for (size_t i = 0; i < BACKENDS; i++) {
        if (strlen(backends[i]->name) == length && strncmp(backends[i]->name, spec, length) == 0)
            return backends[i];
    }
    return NULL;
}

bool table_type_known(const char *spec)
{
    const char *argument;

    return backend_of(spec, &argument) != NULL;
}

const char *table_type_nearest(const char *spec)
{
    const char *names[BACKENDS];
    char type[32];
    size_t length = strcspn(spec, ":");

    for (size_t i = 0; i < BACKENDS; i++)
        names[i] = backends[i]->name;
    if (length >= sizeof(type))
        return NULL;
    memcpy(type, spec, length);
    type[length] = '\0';
    return words_nearest(type, names, BACKENDS);
}

/* What other programs call tables, Postfix above all. */
static const char *type_advice(const char *type, size_t length)
{
    static const struct {
        const char *type, *advice;
    } rows[] = {
        {"hash", "postern reads the text that postmap was given: write file:PATH, without .db"},
        {"btree", "postern reads the text that postmap was given: write file:PATH, without .db"},
        {"dbm", "postern reads the text that postmap was given: write file:PATH"},
        {"cdb", "postern reads the text that postmap was given: write file:PATH, without .cdb"},
        {"texthash", "such a file is file:PATH"},
        {"text", "such a file is file:PATH"},
        {"pcre", "patterns in the form of pcre_table(5) are regex:PATH"},
        {"regexp", "patterns in the form of pcre_table(5) are regex:PATH"},
        {"unix", "the users of this host are passwd:"},
        {"proxy", "tables are read without a proxy; the users of this host are passwd:"},
        {"inline", "entries stand in braces: table NAME { ENTRY; ENTRY; }"},
        {"mysql", "no database is asked; export the addresses to a file, and write file:PATH"},
        {"pgsql", "no database is asked; export the addresses to a file, and write file:PATH"},
        {"sqlite", "no database is asked; export the addresses to a file, and write file:PATH"},
        {"ldap", "no directory is asked; export the addresses to a file, and write file:PATH"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strlen(rows[i].type) == length && strncasecmp(rows[i].type, type, length) == 0)
            return rows[i].advice;
    return NULL;
}

static void unknown_type(const char *spec, const struct place *at, struct diag *diag)
{
    const char *near = table_type_nearest(spec);
    int length = (int)strcspn(spec, ":");
    const char *known = type_advice(spec, (size_t)length);

    if (known != NULL)
        diag_error(diag, at, "unknown type of table '%.*s'; %s", length, spec, known);
    else if (spec[length] == '\0' && strchr(spec, '/') != NULL)
        diag_error(diag, at, "'%s' has no type in front of it; write file:%s", spec, spec);
    else if (near != NULL)
        diag_error(diag, at, "unknown type of table '%.*s'; did you mean '%s'?", length, spec,
                   near);
    else
        diag_error(
            diag, at,
            "unknown type of table '%.*s'; there are file, cidr, regex, passwd and lmdb, and "
            "entries in { }",
            length, spec);
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);

    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static char *absolute(const char *path, const char *base_dir, const char *suffix)
{
    struct str text = {0};

    if (path[0] != '/' && base_dir != NULL && base_dir[0] != '\0')
        str_add_format(&text, "%s/", base_dir);
    str_add(&text, path);
    if (suffix != NULL && !ends_with(path, suffix))
        str_add(&text, suffix);
    char *copy = xstrdup(str_text(&text));
    str_free(&text);
    return copy;
}

struct table *table_open(const char *name, const char *spec, const char *base_dir,
                         const struct place *at, struct diag *diag)
{
    const char *argument;
    const struct table_backend *backend = backend_of(spec, &argument);

    if (backend == NULL) {
        unknown_type(spec, at, diag);
        return NULL;
    }
    if (backend->takes_file && argument[0] == '\0') {
        diag_error(diag, at, "which file? write %s:/path/of/the/file", backend->name);
        return NULL;
    }
    if (!backend->takes_file && argument[0] != '\0') {
        diag_error(diag, at, "a table of type %s takes nothing behind '%s:'", backend->name,
                   backend->name);
        return NULL;
    }
    struct table *table = table_new(name, backend);
    if (backend->takes_file) {
        table->path = absolute(argument, base_dir, backend->suffix);
        table_read(table);
    } else {
        table->image = image_new(backend, NULL);
        table->state = STATE_WELL;
    }
    return table;
}

static char *find_first_domain(const char *const *entries, size_t count)
{
    char name[DOMAIN_SIZE];

    for (size_t i = 0; i < count; i++)
        if (domain_canonical(entries[i], strlen(entries[i]), name))
            return xstrdup(name);
    return NULL;
}

/* What kinds of entries the table has.  They can all be read. */
static void note_kinds(struct table *table, const char *const *entries, size_t count)
{
    size_t addresses = 0;

    for (size_t i = 0; i < count; i++) {
        struct key key;
        char problem[128];
        addresses += key_parse(entries[i], strlen(entries[i]), &key, problem) &&
                     (key.class == KEY_ADDR || key.class == KEY_NET || key.class == KEY_PREFIX);
    }
    table->only_names = count > 0 && addresses == 0;
    table->only_addresses = count > 0 && addresses == count;
}

struct table *table_open_inline(const char *name, const char *const *entries,
                                const struct place *places, size_t count, struct diag *diag)
{
    void *data = inline_load(entries, places, count, diag);

    if (data == NULL)
        return NULL;
    struct table *table = table_new(name, &table_backend_inline);
    table->first_domain = find_first_domain(entries, count);
    note_kinds(table, entries, count);
    table->image = image_new(&table_backend_inline, data);
    table->state = STATE_WELL;
    return table;
}

struct table *table_ref(struct table *table)
{
    atomic_fetch_add_explicit(&table->refs, 1, memory_order_relaxed);
    return table;
}

void table_unref(struct table *table)
{
    if (table == NULL || atomic_fetch_sub_explicit(&table->refs, 1, memory_order_acq_rel) != 1)
        return;
    image_unref(table->image);
    guard_free(table->guard);
    pthread_mutex_destroy(&table->lock);
    free(table->problem);
    free(table->path);
    free(table->first_domain);
    free(table->name);
    free(table);
}

const char *table_first_domain(const struct table *table)
{
    return table->first_domain;
}

bool table_could_hold(const struct table *table, bool addresses)
{
    return addresses ? !table->only_names : !table->only_addresses;
}

const char *table_name(const struct table *table)
{
    return table->name;
}

const char *table_type(const struct table *table)
{
    return table->backend->name;
}

const char *table_path(const struct table *table)
{
    return table->path;
}

/* The lock is no part of what a constant table holds. */
static struct table *lockable(const struct table *table)
{
    return (struct table *)(uintptr_t)table;
}

struct image *table_image(struct table *table)
{
    pthread_mutex_lock(&table->lock);
    struct image *image = table->image != NULL ? image_ref(table->image) : NULL;
    pthread_mutex_unlock(&table->lock);
    return image;
}

const char *table_problem(const struct table *table, struct arena *arena)
{
    const char *problem = NULL;

    pthread_mutex_lock(&lockable(table)->lock);
    if (table->problem != NULL)
        problem = arena_strdup(arena, table->problem);
    pthread_mutex_unlock(&lockable(table)->lock);
    return problem;
}

long table_count(const struct table *table)
{
    struct image *image = table->backend->count != NULL ? table_image(lockable(table)) : NULL;

    if (image == NULL)
        return -1;
    size_t count = table->backend->count(image->data, clock_day(clock_wall()));
    image_unref(image);
    return (long)count;
}

/* One lookup under way. */
struct lookup {
    const struct image *image;
    struct table_probe probe;
    struct table_answer answer;
};

static bool probe_image(void *arg, enum probe_form form, const char *text, const struct addr *addr)
{
    struct lookup *lookup = arg;

    lookup->probe.form = form;
    lookup->probe.text = text;
    lookup->probe.addr = addr;
    lookup->answer.status =
        lookup->image->backend->find(lookup->image->data, &lookup->probe, &lookup->answer);
    return lookup->answer.status != TABLE_ABSENT;
}

struct table_answer table_find(struct table *table, const struct table_key *key,
                               struct arena *arena)
{
    struct lookup lookup = {.answer = {.status = TABLE_ABSENT}};
    struct image *image = NULL;

    pthread_mutex_lock(&table->lock);
    if (table->state == STATE_OUT || table->image == NULL) {
        lookup.answer.status = TABLE_UNAVAILABLE;
        lookup.answer.problem = arena_printf(arena, "table %s: %s", table->name,
                                             table->problem != NULL ? table->problem : "not open");
    } else {
        image = image_ref(table->image);
    }
    pthread_mutex_unlock(&table->lock);
    if (image == NULL)
        return lookup.answer;

    lookup.image = image;
    lookup.probe.arena = arena;
    lookup.probe.now = clock_wall();
    keys_walk(key, table->backend->whole_keys, arena, probe_image, &lookup);
    if (lookup.answer.status == TABLE_UNAVAILABLE)
        lookup.answer.problem =
            arena_printf(arena, "table %s: %s", table->name, lookup.answer.problem);
    image_unref(image);
    return lookup.answer;
}
