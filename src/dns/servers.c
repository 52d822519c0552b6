/* SPDX-License-Identifier: MIT */
#include "servers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <postern/log.h>
#include <postern/str.h>

static const char blanks[] = " \t\r\n";

/* A decimal number from 1 to 65535 and nothing else. */
static bool is_port(const char *text)
{
    enum { DIGITS_MAX = 5, PORT_MAX = 65535 };
    size_t length = strlen(text);

    return length >= 1 && length <= DIGITS_MAX && strspn(text, "0123456789") == length &&
           strtol(text, NULL, 10) >= 1 && strtol(text, NULL, 10) <= PORT_MAX;
}

bool servers_add(struct servers *servers, const char *text, bool port)
{
    char copy[SERVERS_TEXT_SIZE], plain[ADDR_TEXT_SIZE];
    struct addr addr;

    if (strlen(text) >= sizeof(copy) || servers->count == SERVERS_MAX)
        return false;
    memcpy(copy, text, strlen(text) + 1);

    char *at = strchr(copy, '@');

    if (at) {
        *at++ = '\0';
        if (!port || !is_port(at))
            return false;
    }
    char *scope = strchr(copy, '%');

    if (scope)
        *scope++ = '\0';
    if (!addr_parse(copy, &addr))
        return false;
    /* RFC 4007 11: a scope belongs to an IPv6 address; libunbound takes an unknown one for none. */
    if (scope && (addr.family != ADDR_IPV6 || if_nametoindex(scope) == 0))
        return false;
    snprintf(servers->texts[servers->count++], SERVERS_TEXT_SIZE, "%s%s%s%s%s",
             addr_format(&addr, plain), scope ? "%" : "", scope ? scope : "", at ? "@" : "",
             at ? at : "");
    return true;
}

static int refuse(struct str *problem, char **error)
{
    *error = problem->data;
    return -1;
}

int servers_from_list(struct servers *servers, const char *const *texts, size_t count, char **error)
{
    struct str problem = {0};

    servers->count = 0;
    if (count > SERVERS_MAX) {
        str_add_format(&problem, "%zu servers are more than the %d that are taken", count,
                       SERVERS_MAX);
        return refuse(&problem, error);
    }
    for (size_t i = 0; i < count; i++) {
        if (!servers_add(servers, texts[i], true)) {
            str_add_format(&problem,
                           "server \"%s\" is no address (192.0.2.53, 127.0.0.1@5353, ::1)",
                           texts[i]);
            return refuse(&problem, error);
        }
    }
    return 0;
}

/* Reads one line, which it cuts into words. */
static void read_line(struct servers *servers, char *line, const char *path, unsigned number)
{
    char *rest = NULL;
    const char *word = strtok_r(line, blanks, &rest);

    if (!word || strcmp(word, "nameserver") != 0)
        return;
    word = strtok_r(NULL, blanks, &rest);
    if (!servers_add(servers, word ? word : "", false))
        log_warning("%s:%u: nameserver \"%s\" is no usable address and is left out", path, number,
                    word ? word : "");
}

int servers_from_file(struct servers *servers, const char *path, char **error)
{
    struct str problem = {0};
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;

    servers->count = 0;
    if (!file) {
        str_add_format(&problem, "%s: %s", path, strerror(errno));
        return refuse(&problem, error);
    }
    for (unsigned number = 1; servers->count < SERVERS_MAX && getline(&line, &room, file) >= 0;
         number++)
        read_line(servers, line, path, number);
    int failure = ferror(file) ? errno : 0;

    free(line);
    fclose(file);
    if (failure)
        str_add_format(&problem, "%s: %s", path, strerror(failure));
    else if (servers->count == 0)
        str_add_format(&problem, "%s names no nameserver", path);
    else
        return 0;
    return refuse(&problem, error);
}
