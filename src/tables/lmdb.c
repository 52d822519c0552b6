/* SPDX-License-Identifier: MIT */
#include "keyset.h"
#include "lmdb_check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lmdb.h>

#include <postern/arena.h>

/*
 * Maps as `postmap lmdb:` writes them: one file, keys and values with or without a NUL behind them.
 *
 * postmap rewrites the map in place, in one transaction, under a lock of its own that LMDB does not
 * know of (MDB_NOLOCK): pages that a reader still looks at may be used again after two more runs,
 * and a file that is cut short under a memory map ends the process.  So the file is never mapped.
 * It is copied when it changes, and the copy is read once into a set of keys.  LMDB never
 * overwrites a page of the last committed state, and a commit ends with a write to one of the two
 * meta pages at the start: a copy before and after which these are the same holds that state whole,
 * whatever else was being written, and needs no lock.
 */
enum {
    COPY_TRIES = 5,
    COPY_STEP = 256 * 1024,
    META_MAX = 2 * 64 * 1024, /* two pages of the largest kind of machine */
};

static const off_t size_max = (off_t)2 << 30;

/* Copies what is not a hole.  0, or an errno. */
static int copy_data(int from, int to, off_t size, char *buffer)
{
    off_t at = 0;

    if (ftruncate(to, 0) != 0 || ftruncate(to, size) != 0)
        return errno;
    while (at < size && (at = lseek(from, at, SEEK_DATA)) >= 0 && at < size) {
        off_t hole = lseek(from, at, SEEK_HOLE);
        if (hole < 0)
            return errno;
        while (at < hole && at < size) {
            size_t step = hole - at < COPY_STEP ? (size_t)(hole - at) : COPY_STEP;
            ssize_t got = pread(from, buffer, step, at);
            if (got < 0)
                return errno;
            if (got == 0)
                return 0;
            if (pwrite(to, buffer, (size_t)got, at) != got)
                return errno != 0 ? errno : EIO;
            at += got;
        }
    }
    /* ENXIO: nothing but a hole is left. */
    return at < 0 && errno != ENXIO ? errno : 0;
}

/* Copies the map to the memory file TO.  False with the reason in REPORT. */
static bool copy_map(int from, int to, struct table_report *report)
{
    size_t meta_size = 2 * (size_t)sysconf(_SC_PAGESIZE);
    char *buffer = xmalloc(COPY_STEP);
    char *before = xcalloc(2, META_MAX);
    char *after = before + META_MAX;
    struct stat status;
    bool good = false, moving = true;

    if (meta_size > META_MAX)
        meta_size = META_MAX;
    for (int i = 0; i < COPY_TRIES && moving; i++) {
        int error = 0;
        ssize_t first = pread(from, before, meta_size, 0);
        if (first < 0 || fstat(from, &status) != 0)
            error = errno;
        else if (status.st_size > size_max)
            error = EFBIG;
        else
            error = copy_data(from, to, status.st_size, buffer);
        if (error != 0) {
            report_file(report, "%s", strerror(error));
            moving = false;
            break;
        }
        ssize_t second = pread(from, after, meta_size, 0);
        moving = second != first || memcmp(before, after, (size_t)first) != 0;
        good = !moving;
    }
    if (moving)
        report_file(report, "the map is being rewritten all the time");
    free(before);
    free(buffer);
    return good;
}

/* LENGTH without one NUL at the end. */
static size_t bare_length(const MDB_val *value)
{
    const char *bytes = value->mv_data;

    if (value->mv_size != 0 && bytes[value->mv_size - 1] == '\0')
        return value->mv_size - 1;
    return value->mv_size;
}

static bool add_entry(struct keyset *set, const MDB_val *name, const MDB_val *value)
{
    size_t length = bare_length(name);
    size_t value_length = bare_length(value);
    char problem[128];
    struct key key;

    /* A key that cannot be asked for. */
    if (length == 0 || length > KEY_MAX || memchr(name->mv_data, '\0', length) != NULL)
        return true;
    /* A map holds whatever somebody may look up: what is no address and no name is text. */
    if (!key_parse(name->mv_data, length, &key, problem)) {
        key.class = KEY_TEXT;
        key_fold(key.text, name->mv_data, length);
    }
    return keyset_add(set, &key, value->mv_data, strnlen(value->mv_data, value_length), 0) !=
           KEYSET_FULL;
}

/* Reads all entries of the map behind ENV into a set.  0, or an error of LMDB. */
static int read_entries(MDB_env *env, struct keyset **out)
{
    struct keyset *set = NULL;
    MDB_cursor *cursor = NULL;
    MDB_txn *txn;
    MDB_stat stat;
    MDB_dbi dbi;
    MDB_val name, value;
    int error = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);

    if (error != 0)
        return error;
    if ((error = mdb_dbi_open(txn, NULL, 0, &dbi)) != 0 ||
        (error = mdb_stat(txn, dbi, &stat)) != 0 ||
        (error = mdb_cursor_open(txn, dbi, &cursor)) != 0)
        goto out;
    set = keyset_new(stat.ms_entries);
    while ((error = mdb_cursor_get(cursor, &name, &value, MDB_NEXT)) == 0) {
        if (!add_entry(set, &name, &value)) {
            error = EFBIG;
            goto out;
        }
    }
    if (error == MDB_NOTFOUND) {
        error = 0;
        keyset_finish(set);
        *out = set;
        set = NULL;
    }
out:
    keyset_free(set);
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    return error;
}

static struct keyset *read_copy(int fd, struct table_report *report)
{
    struct keyset *set = NULL;
    MDB_env *env = NULL;
    char path[64];
    int error;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if ((error = mdb_env_create(&env)) == 0 &&
        (error = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK, 0)) == 0)
        error = read_entries(env, &set);
    mdb_env_close(env);
    if (error != 0)
        report_file(report, "%s", mdb_strerror(error));
    return set;
}

static void *load(int fd, struct table_report *report)
{
    struct keyset *set = NULL;
    const char *problem;
    int copy = memfd_create("postern-lmdb", MFD_CLOEXEC);

    if (copy < 0) {
        report_file(report, "memfd_create: %s", strerror(errno));
        return NULL;
    }
    if (copy_map(fd, copy, report)) {
        if ((problem = lmdb_check(copy)) != NULL)
            report_file(report, "%s", problem);
        else
            set = read_copy(copy, report);
    }
    close(copy);
    return set;
}

const struct table_backend table_backend_lmdb = {
    .name = "lmdb",
    .takes_file = true,
    .suffix = ".lmdb",
    .load = load,
    .free = keyset_backend_free,
    .find = keyset_backend_find,
    .count = keyset_backend_count,
    .each = keyset_backend_each,
};
