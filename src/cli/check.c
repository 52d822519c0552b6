/* SPDX-License-Identifier: MIT */
#include "cli.h"
#include "eyes.h"
#include "term.h"

#include <postern/arena.h>
#include <postern/check.h>
#include <postern/engine.h>
#include <postern/front.h>
#include <postern/log.h>
#include <postern/policy.h>
#include <postern/table.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* `postern check`: what the configuration means, without serving anybody. */

static void warn(const struct block_head *block, const char *kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* KIND and name of the block stand in front. */
static void warn(const struct block_head *block, const char *kind, const char *format, ...)
{
    va_list args;
    const char *name = block->name != NULL ? block->name : "";
    fprintf(stderr, "%s:%u: %swarning:%s %s%s%s: ", block->at.source->path, block->at.line,
            term_style(stderr, TERM_DOUBT), term_style(stderr, TERM_PLAIN), kind,
            name[0] != '\0' ? " " : "", name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

/* What would keep the daemon from making its socket, as far as it can be seen from here. */
static void warn_of_socket(const struct listen_options *listen)
{
    const char *path = front_unix_path(listen);
    struct stat status;
    if (path == NULL)
        return;
    struct arena *arena = arena_new();
    const char *slash = strrchr(path, '/');
    const char *place = slash > path ? arena_strndup(arena, path, (size_t)(slash - path)) : "/";
    if (stat(place, &status) != 0)
        warn(&listen->head, "listen",
             "the socket's folder %s: %s; /run/postern is made when the service starts, "
             "another by install -d",
             place, strerror(errno));
    else if (!S_ISDIR(status.st_mode))
        warn(&listen->head, "listen", "the socket's folder %s is no folder", place);
    if (listen->group != NULL && getgrnam(listen->group) == NULL)
        warn(&listen->head, "listen",
             "there is no group '%s' for the socket; groupadd --system %s makes it", listen->group,
             listen->group);
    if (listen->owner != NULL && getpwnam(listen->owner) == NULL)
        warn(&listen->head, "listen", "there is no user '%s' to own the socket", listen->owner);
    arena_free(arena);
}

/* A daemon that cannot open a file of records does not start. */
static void warn_of_audit(const struct audit_block *audit)
{
    struct arena *arena = arena_new();
    for (size_t i = 0; audit != NULL && i < audit->to.count; i++) {
        const char *to = audit->to.items[i];
        const char *slash = strrchr(to, '/');
        if (strncmp(to, "file:/", 6) != 0)
            continue;
        const char *path = to + 5;
        const char *place = slash > path ? arena_strndup(arena, path, (size_t)(slash - path)) : "/";
        struct stat status;
        if (stat(place, &status) != 0)
            warn(&audit->head, "audit",
                 "the folder %s: %s; the daemon's user must be able to write there", place,
                 strerror(errno));
        else if (!S_ISDIR(status.st_mode))
            warn(&audit->head, "audit", "%s is no folder", place);
    }
    arena_free(arena);
}

static void print_listens(const struct config *config)
{
    const struct block_head *head = config->listens != NULL ? &config->listens->head : NULL;
    for (; head != NULL; head = head->next) {
        const struct listen_options *listen = (const struct listen_options *)(const void *)head;
        printf("listen %s: %s, %s\n", head->name, listen->socket,
               listen->mode == LISTEN_OBSERVE ? "observes only" : "enforces");
        warn_of_socket(listen);
    }
}

/* Whether all tables could be read. */
static bool print_tables(const struct config *config)
{
    struct arena *arena = arena_new();
    bool good = true;
    for (size_t i = 0; i < config->table_count; i++) {
        struct table *table = config->tables[i].table;
        const struct place *at = &config->tables[i].at;
        const char *problem = table_problem(table, arena);
        if (problem != NULL) {
            fprintf(stderr, "%s:%u: %serror:%s table %s cannot be used: %s\n", at->source->path,
                    at->line, term_style(stderr, TERM_BAD), term_style(stderr, TERM_PLAIN),
                    table_name(table), problem);
            good = false;
        }
        long count = table_count(table);
        if (count < 0)
            printf("table %s: %s\n", table_name(table), table_type(table));
        else
            printf("table %s: %s, %ld entr%s\n", table_name(table), table_type(table), count,
                   count == 1 ? "y" : "ies");
    }
    arena_free(arena);
    return good;
}

/* Whether a rule of the policy needs a fact of the probe, itself or as what a derived fact is
 * about. */
static bool probe_needed(const struct policy *policy, slot_t first, unsigned count)
{
    for (size_t i = 0; i < policy->rule_count; i++) {
        const struct rule *rule = &policy->rules[i];
        for (size_t j = 0; j < rule->slot_count; j++) {
            slot_t slot = rule->slots[j];
            for (size_t k = 0; k < policy->derived_count; k++)
                if (policy->derived[k].slot == slot && policy->derived[k].subject != SLOT_NONE)
                    slot = policy->derived[k].subject;
            if (slot >= first && slot < first + count)
                return true;
        }
    }
    return false;
}

static void print_lookups(const struct config *config)
{
    struct arena *arena = arena_new();
    const struct config_schema *schema = config->schema;
    for (size_t i = 0; i < schema->check_count; i++) {
        const struct check *check = schema->checks[i];
        void *state = config->check_states[i];
        for (size_t j = 0; j < check->probe_count; j++) {
            const struct probe *probe = &check->probes[j];
            slot_t first = schema->first_slot[i] + probe->first;
            const char *cost = check->cost != NULL ? check->cost(state, probe, arena) : NULL;
            if (cost == NULL || !probe_needed(config->policy, first, probe->count))
                continue;
            printf("lookup %s: at %s, %s\n", probe->name, stage_name(probe->stage), cost);
        }
    }
    arena_free(arena);
}

struct check_options {
    const char *config, *user;
    bool explain_defaults;
};

/* The names of the rules stand out, their places do not. */
static void print_rules(const struct policy *policy)
{
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (memory == NULL)
        abort();
    policy_print(policy, memory);
    fclose(memory);
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        size_t name = line[0] != ' ' ? strcspn(line, " \n") : 0;
        printf("%s%.*s%s%.*s\n", name > 0 ? term_style(stdout, TERM_STRONG) : "", (int)name, line,
               name > 0 ? term_style(stdout, TERM_PLAIN) : "", (int)((size_t)(end - line) - name),
               line + name);
    }
    free(text);
}

static const char *asked_text(enum asked asked)
{
    static const char *const texts[] = {[ASKED_NOT] = "not sent",
                                        [ASKED_SILENT] = "sent, not replied to",
                                        [ASKED_REPLY] = "sent and replied to"};
    return texts[asked];
}

/* What is negotiated with the MTA under this policy. */
static void print_milter(struct config *config)
{
    struct arena *arena = arena_new();
    const struct engine_needs needs = engine_needs_of(config, arena);
    for (enum stage stage = STAGE_CONNECT; stage <= STAGE_MESSAGE; stage++) {
        if (stage == STAGE_MESSAGE) {
            printf("milter header: %s\n", asked_text(needs.headers ? ASKED_SILENT : ASKED_NOT));
            printf("milter body: %s\n", asked_text(needs.body ? ASKED_SILENT : ASKED_NOT));
        }
        printf("milter %s: %s", stage_name(stage), asked_text(needs.stages[stage]));
        if (needs.macros[stage][0] != '\0')
            printf(", with %s", needs.macros[stage]);
        putchar('\n');
    }
    printf("milter changes: %s%s%s\n", needs.changes ? "header fields" : "",
           needs.changes && needs.holds ? ", " : "",
           needs.holds ? "quarantine" : (needs.changes ? "" : "none"));
    arena_free(arena);
}

static int run_check(const struct command *command, void *memory, char **words)
{
    const struct check_options *options = memory;
    const char *path = options->config;
    (void)command;
    (void)words;
    log_open("postern", LOG_LEVEL_WARNING, 1, 0);
    struct config *config = cli_load(path, true);
    if (config == NULL)
        return EXIT_TROUBLE;
    if (options->explain_defaults) {
        config_print_effective(config, stdout);
        config_unref(config);
        return EXIT_DONE;
    }
    int result = EXIT_DONE;
    if (!cli_check_front(config))
        result = EXIT_TROUBLE;
    print_listens(config);
    warn_of_audit(config->audit);
    if (!print_tables(config))
        result = EXIT_TROUBLE;
    if (!eyes_check(config, options->user))
        result = EXIT_TROUBLE;
    print_rules(config->policy);
    print_lookups(config);
    print_milter(config);
    config_unref(config);
    if (result != EXIT_DONE) {
        fflush(stdout);
        fprintf(stderr, "postern: %s: there are errors; they stand above the list of rules\n",
                path);
    }
    return result;
}

static const struct cli_option rows[] = {
    CLI_CONFIG(struct check_options),
    {"explain-defaults", '\0', CLI_FLAG, NULL, NULL, NULL,
     offsetof(struct check_options, explain_defaults),
     "print the effective configuration instead: every option with its value and where that "
     "comes from"},
    {"user", 'u', CLI_VALUE, "NAME", NULL, NULL, offsetof(struct check_options, user),
     "the user that the daemon runs as, whose permissions are tried; to root it is the owner of "
     "state_dir unless it is named"},
};

const struct command command_check = {
    .name = "check",
    .arguments = "[-c FILE] [-u NAME] [--explain-defaults]",
    .summary =
        "Reads the configuration and prints each rule with where it speaks and what it costs",
    CLI_OPTIONS(rows),
    .size = sizeof(struct check_options),
    .run = run_check,
};
