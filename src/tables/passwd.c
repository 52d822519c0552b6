/* SPDX-License-Identifier: MIT */
#include "table_backend.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include <postern/arena.h>

/*
 * The users of this machine, through the name service.  Only a user name by itself is looked up: a
 * recipient whose domain is a local one, with and without its extension.
 */
enum {
    NAME_LENGTH_MAX = 255,
    BUFFER_FIRST = 1024,
    BUFFER_MAX = 1 << 20,
};

static bool is_user_name(const char *name)
{
    size_t length = strlen(name);

    if (length == 0 || length > NAME_LENGTH_MAX)
        return false;
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)name[i] <= ' ' || name[i] == 0x7f || name[i] == ':' || name[i] == '/')
            return false;
    }
    return true;
}

static enum table_status find(const void *image, const struct table_probe *probe,
                              struct table_answer *answer)
{
    struct passwd entry, *result = NULL;
    size_t size = BUFFER_FIRST;
    int error;

    (void)image;
    if (probe->form != PROBE_USER || !is_user_name(probe->text))
        return TABLE_ABSENT;
    do {
        char *buffer = xmalloc(size);
        error = getpwnam_r(probe->text, &entry, buffer, size, &result);
        free(buffer);
        size *= 4;
    } while (error == EINTR || (error == ERANGE && size <= BUFFER_MAX));
    if (result != NULL) {
        answer->key = arena_strdup(probe->arena, probe->text);
        answer->value = "";
        return TABLE_FOUND;
    }
    /* The other errors that getpwnam_r(3) lists for "not found" also stand for a service or a file
     * that is not there to be asked. */
    if (error == 0 || error == ESRCH)
        return TABLE_ABSENT;
    answer->problem = arena_strdup(probe->arena, strerror(error));
    return TABLE_UNAVAILABLE;
}

const struct table_backend table_backend_passwd = {
    .name = "passwd",
    .find = find,
};
