/* SPDX-License-Identifier: MIT */
#include "keys.h"
#include "table_private.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <postern/arena.h>
#include <postern/mailbox.h>

/* Lines that are no error, since a file may serve several lookups, and yet can never be found by
 * the one that it is there for: a typing error that nobody would hear of. */

/* Whether the local part that an address like this one comes with is the key's: quotes and
 * backslashes that do not belong there leave another one. */
static bool finds_itself(const char *written, const struct key *key)
{
    struct arena *arena = arena_new();
    struct mailbox mailbox = mailbox_parse(arena, written);
    char local[KEY_MAX + 1];
    size_t length = strlen(key_fold(local, mailbox.local, strlen(mailbox.local)));
    bool same = mailbox.domain[0] != '\0' && length > 0 && strncmp(key->text, local, length) == 0 &&
                key->text[length] == '@' && strcmp(key->text + length + 1, mailbox.domain) == 0;

    arena_free(arena);
    return same;
}

static bool can_be_found(enum table_key_kind kind, bool bare_user, const char *written,
                         const struct key *key)
{
    bool domains = kind == TABLE_KEY_DOMAIN;

    switch (key->class) {
    case KEY_DOMAIN:
        return domains || bare_user;
    case KEY_PARENT:
        return domains;
    case KEY_MAILBOX:
        return !domains && finds_itself(written, key);
    case KEY_AT_DOMAIN:
        return !domains;
    case KEY_USER_AT:
        return false;
    case KEY_TEXT:
    case KEY_ADDR:
    case KEY_NET:
    case KEY_PREFIX:
        break;
    }
    return !domains && bare_user;
}

struct search {
    enum table_key_kind kind;
    bool bare_user;
    struct arena *arena;
    struct table_vain vain;
};

static void look_at(void *arg, unsigned line, const char *written, const struct key *key)
{
    struct search *search = arg;

    if (can_be_found(search->kind, search->bare_user, written, key))
        return;
    if (search->vain.count++ > 0)
        return;
    search->vain.line = line;
    search->vain.key = arena_strdup(search->arena, written);
}

struct table_vain table_vain_lines(const struct table *table, enum table_key_kind kind,
                                   bool bare_user, struct arena *arena)
{
    struct search search = {.kind = kind, .bare_user = bare_user, .arena = arena};

    if (table->path == NULL || table->backend->each_line == NULL)
        return search.vain;
    int fd = open(table->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return search.vain;
    table->backend->each_line(fd, look_at, &search);
    close(fd);
    search.vain.path = table->path;
    return search.vain;
}
