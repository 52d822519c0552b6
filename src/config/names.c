/* SPDX-License-Identifier: MIT */
#include "config_private.h"

#include <postern/domain.h>

#include <strings.h>

/* Options of the whole daemon that go into replies and header fields as they are: what is wrong
 * there would be seen by every client. */

/* Where the value of an option outside blocks stands; NULL when it was not written. */
static const struct place *place_of(const struct reading *reading, const char *option)
{
    size_t count;
    const struct option_block *globals = &config_core_blocks(&count)[0];
    size_t row = (size_t)(options_find(globals, option) - globals->rows);
    bool set = (reading->all->globals->head.set & (UINT64_C(1) << row)) != 0;
    return set ? &reading->global_places[row] : NULL;
}

static void check_hostname(struct reading *reading, const char *name)
{
    const struct place *at = place_of(reading, "hostname");
    char canonical[DOMAIN_SIZE];
    size_t length = strlen(name);
    if (!domain_canonical(name, length, canonical)) {
        diag_error(reading->diag, at,
                   "hostname '%s' is no host name; write the name that this host has in the DNS, "
                   "such as mx.example.org, of letters, digits, '-' and '.', up to 253 of them",
                   name);
        return;
    }
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)name[i] < 0x80)
            continue;
        /* RFC 5321 2.3.5 and 4.2: neither a name nor a reply has other characters. */
        diag_error(reading->diag, at, "hostname must be in ASCII; write %s", canonical);
        return;
    }
}

static bool is_address_of_pages(const char *url)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (strncasecmp(url, schemes[i], strlen(schemes[i])) == 0)
            return url[strlen(schemes[i])] != '\0' && url[strlen(schemes[i])] != '/';
    return false;
}

static void check_help_url(struct reading *reading, const char *url)
{
    const struct place *at = place_of(reading, "help_url");
    if (!is_address_of_pages(url))
        diag_error(reading->diag, at,
                   "help_url '%s' is no address of web pages; write it whole, as "
                   "https://mx.example.org/postern",
                   url);
    /* RFC 3986 2: what an address may hold. */
    for (const char *c = url; *c != '\0'; c++) {
        if (*c > ' ' && *c < 0x7f && strchr("\"<>\\^`{|}", *c) == NULL)
            continue;
        diag_error(reading->diag, at,
                   "help_url holds a character that no web address has, '%c'; write %%%02X for it",
                   *c, (unsigned)(unsigned char)*c);
        return;
    }
}

void config_check_names(struct reading *reading)
{
    const struct config *config = &reading->all->config;
    if (config->hostname[0] != '\0')
        check_hostname(reading, config->hostname);
    if (config->help_url[0] != '\0')
        check_help_url(reading, config->help_url);
    /* The daemon's own folder is another one than that of a command in a shell. */
    if (config->state_dir[0] != '/')
        diag_error(reading->diag, place_of(reading, "state_dir"),
                   "state_dir '%s' must be named from / on", config->state_dir);
}
