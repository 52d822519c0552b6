/* SPDX-License-Identifier: MIT */
#include "eyes.h"

#include "cli.h"
#include "term.h"

#include <postern/arena.h>
#include <postern/front.h>
#include <postern/log.h>
#include <postern/table.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Whose eyes, and what they have seen. */
struct eyes {
    const struct config *config; /* as root read it */
    const struct passwd *user;
    bool named; /* by the administrator */
    unsigned found;
    struct arena *arena;
};

/* ---- telling ---- */

static void print_severity(bool error, FILE *out)
{
    fprintf(out, "%s%s:%s", term_style(out, error ? TERM_BAD : TERM_DOUBT),
            error ? "error" : "warning", term_style(out, TERM_PLAIN));
}

static void tell(struct eyes *eyes, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The first one comes with a heading. */
static void tell(struct eyes *eyes, const char *format, ...)
{
    va_list args;
    if (eyes->found++ == 0) {
        fprintf(stderr, "%s: ", eyes->config->path);
        print_severity(eyes->named, stderr);
        fprintf(stderr,
                " as user %s%s%s the daemon would be in trouble (chgrp %s and chmod g+r let "
                "it read a file%s):\n",
                eyes->user->pw_name, eyes->named ? "" : ", to whom state_dir belongs",
                eyes->named ? "" : ",", eyes->user->pw_name,
                eyes->named ? "" : "; --user names another user");
    }
    fputs("    ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static void tell_at(struct eyes *eyes, const struct place *at, const char *what,
                    const char *problem)
{
    if (at != NULL && at->source != NULL)
        tell(eyes, "%s:%u: %s: %s", at->source->path, at->line, what, problem);
    else
        tell(eyes, "%s: %s", what, problem);
}

/* ---- looking ---- */

static bool become(const struct passwd *user)
{
    return initgroups(user->pw_name, user->pw_gid) == 0 && setgid(user->pw_gid) == 0 &&
           setuid(user->pw_uid) == 0;
}

static const char *folder_of(struct eyes *eyes, const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL  ? "."
           : slash > path ? arena_strndup(eyes->arena, path, (size_t)(slash - path))
                          : "/";
}

/* A folder that is not there is another matter: the service manager may make it. */
static void look_at_folder(struct eyes *eyes, const struct place *at, const char *what,
                           const char *path)
{
    if (access(path, W_OK | X_OK) != 0 && errno != ENOENT)
        tell_at(eyes, at, arena_printf(eyes->arena, "%s %s cannot be written", what, path),
                strerror(errno));
}

static void look_at_records(struct eyes *eyes)
{
    const struct audit_block *audit = eyes->config->audit;
    for (size_t i = 0; i < audit->to.count; i++) {
        const char *to = audit->to.items[i];
        const struct place *at = audit->to.places != NULL ? &audit->to.places[i] : NULL;
        if (strncmp(to, "file:", 5) != 0 || access(to + 5, W_OK) == 0)
            continue;
        if (errno == ENOENT)
            look_at_folder(eyes, at, "the folder of records", folder_of(eyes, to + 5));
        else
            tell_at(eyes, at, arena_printf(eyes->arena, "records cannot be written to %s", to + 5),
                    strerror(errno));
    }
}

static void look_at_sockets(struct eyes *eyes)
{
    const struct block_head *head =
        eyes->config->listens != NULL ? &eyes->config->listens->head : NULL;
    for (; head != NULL; head = head->next) {
        const char *path = front_unix_path((const struct listen_options *)(const void *)head);
        if (path != NULL)
            look_at_folder(eyes, &head->at, "the socket's folder", folder_of(eyes, path));
    }
}

static void look_at_tables(struct eyes *eyes)
{
    for (size_t i = 0; i < eyes->config->table_count; i++) {
        const struct config_table *table = &eyes->config->tables[i];
        const char *path = table_path(table->table);
        /* What root cannot find either has been told. */
        if (path != NULL && access(path, R_OK) != 0 && errno != ENOENT)
            tell_at(eyes, &table->at,
                    arena_printf(eyes->arena, "table %s cannot be read from %s", table->name, path),
                    strerror(errno));
    }
}

/* Root has read it all without an error. */
static void look(struct eyes *eyes)
{
    struct diag *diag = diag_new();
    struct config *config = config_load(eyes->config->path, cli_schema(), diag);
    const char *line;
    for (unsigned i = 0; (line = diag_line(diag, i)) != NULL; i++)
        if (diag_is_error(diag, i))
            tell(eyes, "%s", line);
    config_unref(config);
    diag_free(diag);
    look_at_tables(eyes);
    look_at_records(eyes);
    look_at_folder(eyes, NULL, "state_dir", eyes->config->state_dir);
    look_at_sockets(eyes);
}

/* ---- in a process of its own ---- */

enum { SAW_NOTHING, SAW_TROUBLE, SAW_NO_WAY };

static int look_as(struct eyes *eyes)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        /* What cannot be read is told below. */
        log_open("postern", LOG_LEVEL_ERROR, 0, 0);
        eyes->arena = arena_new();
        if (geteuid() != eyes->user->pw_uid && !become(eyes->user))
            _exit(SAW_NO_WAY);
        look(eyes);
        fflush(stderr);
        _exit(eyes->found > 0 ? SAW_TROUBLE : SAW_NOTHING);
    }
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : SAW_NO_WAY;
}

static bool refuse(const char *name, const char *why)
{
    fprintf(stderr, "postern: --user %s: %s\n", name, why);
    return false;
}

bool eyes_check(const struct config *config, const char *name)
{
    struct stat status;
    uid_t self = geteuid();
    struct eyes eyes = {.config = config, .named = name != NULL};
    if (name != NULL)
        eyes.user = getpwnam(name);
    else if (self == 0 && stat(config->state_dir, &status) == 0)
        eyes.user = getpwuid(status.st_uid);
    if (eyes.user == NULL)
        return name == NULL || refuse(name, "there is no such user");
    if (self != 0 && self != eyes.user->pw_uid)
        return refuse(name, "only root can look with another's eyes; run this as root");
    /* Root can read all, and nothing else was found above. */
    if (eyes.user->pw_uid == 0)
        return true;
    int saw = look_as(&eyes);
    if (saw == SAW_NO_WAY && name != NULL)
        return refuse(name, "this process cannot take on another user");
    return saw == SAW_NOTHING || name == NULL;
}
