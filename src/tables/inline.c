/* SPDX-License-Identifier: MIT */
#include "keyset.h"

#include <string.h>

#include <postern/arena.h>

/*
 * A table whose entries stand in the configuration: networks, addresses, names, mail addresses.
 * Here, unlike in a file,
 * ".example.org" is the domain itself and all below it.
 */
static enum table_status find(const void *image, const struct table_probe *probe,
                              struct table_answer *answer)
{
    enum table_status status = keyset_backend_find(image, probe, answer);

    if (status != TABLE_ABSENT || probe->form != PROBE_DOMAIN)
        return status;
    struct table_probe below = *probe;
    below.form = PROBE_PARENT;
    below.text = arena_join(probe->arena, ".", probe->text, "");
    return keyset_backend_find(image, &below, answer);
}

/* What an entry that cannot stand in a table in braces was meant to be. */
static const char *advice(const char *entry)
{
    if (entry[0] == '*' && entry[1] == '.')
        return "; a domain with all names below it begins with the dot";
    return "";
}

/* "192.0.2.1-5" could be the name of a domain, as far as its form goes; nobody means it. */
static bool is_range(const struct key *key)
{
    return key->class == KEY_DOMAIN && strchr(key->text, '.') != NULL &&
           key->text[strspn(key->text, "0123456789.-")] == '\0';
}

void *inline_load(const char *const *entries, const struct place *places, size_t count,
                  struct diag *diag)
{
    struct keyset *set = keyset_new(count);
    bool good = true;

    for (size_t i = 0; i < count; i++) {
        const struct place *at = places != NULL ? &places[i] : NULL;
        struct key key;
        char problem[128];

        if (strncmp(entries[i], "*@", 2) == 0)
            diag_warning(diag, at, "'*' is no pattern; all addresses of the domain are '%s'",
                         entries[i] + 1);

        if (!key_parse(entries[i], strlen(entries[i]), &key, problem)) {
            diag_error(diag, at, "'%s' %s", entries[i], problem);
            good = false;
        } else if (key.class == KEY_TEXT) {
            diag_error(diag, at, "'%s' is no network, address, domain name or mail address%s",
                       entries[i], advice(entries[i]));
            good = false;
        } else if (is_range(&key)) {
            diag_error(diag, at,
                       "'%s' is no address; a range is written as networks, such as "
                       "192.0.2.0/29",
                       entries[i]);
            good = false;
        } else if (keyset_add(set, &key, "", 0, 0) == KEYSET_FULL) {
            diag_error(diag, at, "the table is too large");
            good = false;
            break;
        }
    }
    if (!good) {
        keyset_free(set);
        return NULL;
    }
    keyset_finish(set);
    return set;
}

const struct table_backend table_backend_inline = {
    .name = "inline",
    .free = keyset_backend_free,
    .find = find,
    .count = keyset_backend_count,
    .each = keyset_backend_each,
};
