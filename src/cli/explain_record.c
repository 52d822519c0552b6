/* SPDX-License-Identifier: MIT */
#include "explain.h"

#include <postern/arena.h>
#include <postern/audit.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* `postern explain --id`: the same from the record of a verdict as from a transaction that is
 * played. */
enum { FIELDS_MAX = 1024 };

struct record_view {
    const struct audit_field *fields;
    size_t count;
};

static const char *get(const struct record_view *record, const char *key)
{
    for (size_t i = 0; i < record->count; i++)
        if (strcmp(record->fields[i].key, key) == 0)
            return record->fields[i].value;
    return "";
}

static void print_pair(const char *key, const char *value, FILE *out)
{
    const char *quote = value[0] == '\0' || strchr(value, ' ') != NULL ? "\"" : "";
    fprintf(out, "  %-22s %s", key, quote);
    cli_put_clean(value, out);
    fprintf(out, "%s\n", quote);
}

static void print_record(const struct record_view *record, FILE *out)
{
    static const char *const head[] = {"client", "name", "helo",    "sender",
                                       "rcpt",   "qid",  "listener"};
    static const char *const sometimes[] = {"observed", "marked", "mixed",
                                            "fault",    "forged", "late"};
    fprintf(out, "%s: %s at %s", get(record, "id"), get(record, "verdict"), get(record, "stage"));
    if (get(record, "rule")[0] != '\0')
        fprintf(out, " by %s", get(record, "rule"));
    if (get(record, "at")[0] != '\0')
        fprintf(out, " (%s)", get(record, "at"));
    fputc('\n', out);
    if (get(record, "reply")[0] != '\0') {
        bool held = strstr(get(record, "verdict"), "quarantine") != NULL;
        fputs(held ? "  held: " : "  < ", out);
        cli_put_clean(get(record, "reply"), out);
        fputc('\n', out);
    }
    for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++)
        print_pair(head[i], get(record, head[i]), out);
    for (size_t i = 0; i < sizeof(sometimes) / sizeof(sometimes[0]); i++)
        if (get(record, sometimes[i])[0] != '\0')
            print_pair(sometimes[i], get(record, sometimes[i]), out);
    if (get(record, "faults")[0] != '\0')
        fprintf(out, "could not be found out: %s\n", get(record, "faults"));
    fputs("facts and times\n", out);
    bool behind = false;
    for (size_t i = 0; i < record->count; i++) {
        if (behind)
            print_pair(record->fields[i].key, record->fields[i].value, out);
        behind |= strcmp(record->fields[i].key, "faults") == 0;
    }
}

/* Ids have capital letters only; queue ids of Postfix may have both, which differ. */
static bool is_asked_for(const struct record_view *record, const char *id)
{
    return strcasecmp(get(record, "id"), id) == 0 || strcmp(get(record, "qid"), id) == 0;
}

/* Prints the records with this id or queue id in FILE; returns how many. */
static size_t search(FILE *file, const char *id)
{
    char *line = NULL;
    size_t room = 0, found = 0;
    struct arena *arena = arena_new();
    struct audit_field *fields = xcalloc(FIELDS_MAX, sizeof(fields[0]));
    while (getline(&line, &room, file) >= 0) {
        /* Most lines are not it: a look is cheaper than a parse. */
        if (strcasestr(line, id) == NULL)
            continue;
        arena_reset(arena);
        struct record_view record = {fields, audit_parse(arena, line, fields, FIELDS_MAX)};
        if (record.count == 0 || !is_asked_for(&record, id))
            continue;
        if (found++ > 0)
            fputc('\n', stdout);
        print_record(&record, stdout);
    }
    free(fields);
    free(line);
    arena_free(arena);
    return found;
}

int explain_record(const char *id, char **paths)
{
    size_t found = 0;
    if (paths[0] == NULL)
        found = search(stdin, id);
    for (; *paths != NULL; paths++) {
        FILE *file = fopen(*paths, "re");
        if (file == NULL) {
            fprintf(stderr, "postern: %s: %s\n", *paths, strerror(errno));
            return EXIT_TROUBLE;
        }
        found += search(file, id);
        fclose(file);
    }
    if (found == 0)
        fprintf(stderr, "postern: no record with the id or queue id '%s'\n", id);
    return found > 0 ? EXIT_DONE : EXIT_TROUBLE;
}
