/* SPDX-License-Identifier: MIT */
#include "config_private.h"

#include <postern/diag.h>
#include <postern/resolver.h>
#include <postern/results.h>

#include <stdlib.h>

/* The core's own options, one row each.  What a check needs stands with the check. */

static const struct option_row global_rows[] = {
    {"config_version", OPTION_NUMBER, "1", 1, CONFIG_VERSION, NULL, NULL,
     offsetof(struct globals, version), false,
     "the version of the language that the configuration is written in"},
    {"hostname", OPTION_TEXT, NULL, 0, 0, NULL, NULL, offsetof(struct globals, hostname), false,
     "name of this host in replies and headers; default: what the MTA calls itself"},
    {"help_url", OPTION_TEXT, NULL, 0, 0, NULL, NULL, offsetof(struct globals, help_url), false,
     "address of the help pages, for %{help} in replies"},
    {"front", OPTION_WORD, "wire", 0, 0, NULL, "wire libmilter", offsetof(struct globals, front),
     false, "who speaks the milter protocol: postern itself, or the library"},
    {"speak_at", OPTION_WORD, "rcpt", 0, 0, NULL, "mail rcpt", offsetof(struct globals, speak_at),
     false, "earliest stage at which a verdict is spoken (a 521: always mail)"},
    {"mixed_recipients", OPTION_WORD, "late", 0, 0, NULL, "late strictest lenient",
     offsetof(struct globals, mixed), false,
     "what to do when recipients of one message have different outcomes at its end"},
    {"state_dir", OPTION_TEXT, "/var/lib/postern", 0, 0, NULL, NULL,
     offsetof(struct globals, state_dir), false,
     "folder for what must survive a restart (counts of guarded tables)"},
};

static const struct option_row listen_rows[] = {
    {"socket", OPTION_TEXT, NULL, 0, 0, NULL, NULL, offsetof(struct listen_options, socket), true,
     "unix:PATH, inet:HOST:PORT, inet6:[HOST]:PORT or fd:NUMBER (socket activation)"},
    {"owner", OPTION_TEXT, NULL, 0, 0, NULL, NULL, offsetof(struct listen_options, owner), false,
     "owner of the unix socket"},
    {"group", OPTION_TEXT, NULL, 0, 0, NULL, NULL, offsetof(struct listen_options, group), false,
     "group of the unix socket"},
    {"perm", OPTION_OCTAL, "0660", 0, 0777, NULL, NULL, offsetof(struct listen_options, perm),
     false, "permissions of the unix socket"},
    {"mode", OPTION_WORD, "enforce", 0, 0, NULL, "enforce observe",
     offsetof(struct listen_options, mode), false,
     "observe: decide and record as usual, but refuse, hold and change nothing"},
    {"allow", OPTION_LIST, NULL, 0, 0, NULL, NULL, offsetof(struct listen_options, allow), false,
     "networks that may connect to an inet socket (front wire)"},
};

static const struct option_row resolver_rows[] = {
    {"servers", OPTION_LIST, NULL, 0, 0, NULL, NULL, offsetof(struct resolver_block, servers),
     false, "addresses of recursive servers, ADDRESS or ADDRESS@PORT; default: /etc/resolv.conf"},
    {"recursive", OPTION_BOOL, "no", 0, 0, NULL, NULL, offsetof(struct resolver_block, recursive),
     false, "ask the root servers and on, without any forwarder"},
    {"dnssec", OPTION_BOOL, "no", 0, 0, NULL, NULL, offsetof(struct resolver_block, dnssec), false,
     "validate answers; bogus data is then a fault"},
    {"timeout", OPTION_DURATION, "3s", 100, 60000, NULL, NULL,
     offsetof(struct resolver_block, timeout), false,
     "time for one question, after which its answer is a fault"},
    {"cache", OPTION_SIZE, "32M", 65536, 4294967296, NULL, NULL,
     offsetof(struct resolver_block, cache), false, "memory for parsed answers"},
};

static const struct option_row budget_rows[] = {
    {"mail", OPTION_DURATION, "8s", 0, 300000, NULL, NULL, offsetof(struct budget_block, mail),
     false, "time that MAIL may take; what is not known then is a fault"},
    {"rcpt", OPTION_DURATION, "8s", 0, 300000, NULL, NULL, offsetof(struct budget_block, rcpt),
     false, "time that one RCPT may take"},
    {"message", OPTION_DURATION, "8s", 0, 300000, NULL, NULL,
     offsetof(struct budget_block, message), false, "time that the end of the message may take"},
};

static const struct option_row audit_rows[] = {
    {"to", OPTION_LIST, "syslog", 0, 0, NULL, NULL, offsetof(struct audit_block, to), false,
     "where records go: syslog, journal, file:PATH, one or more"},
    {"accepted", OPTION_BOOL, "yes", 0, 0, NULL, NULL, offsetof(struct audit_block, accepted),
     false, "one record per accepted message, too"},
};

static const struct option_row log_rows[] = {
    {"level", OPTION_WORD, "info", 0, 0, NULL, "error warning info debug",
     offsetof(struct log_block, level), false, "the daemon's own messages from this level on"},
    {"ident", OPTION_TEXT, "postern", 0, 0, NULL, NULL, offsetof(struct log_block, ident), false,
     "name in syslog, of messages and records"},
};

static const struct option_row results_rows[] = {
    {"authserv_id", OPTION_TEXT, NULL, 0, 0, NULL, NULL,
     offsetof(struct results_block, authserv_id), false,
     "name that results are given under; default: hostname"},
    {"add", OPTION_LIST, NULL, 0, 0, NULL, NULL, offsetof(struct results_block, add), false,
     "results to add in one Authentication-Results field: spf dkim dmarc arc iprev dnswl"},
    {"received_spf", OPTION_BOOL, "no", 0, 0, NULL, NULL,
     offsetof(struct results_block, received_spf), false, "add a Received-SPF field, too"},
    {"remove_forged", OPTION_BOOL, "yes", 0, 0, NULL, NULL,
     offsetof(struct results_block, remove_forged), false,
     "remove fields that came with the message and claim to be from this host"},
};

/* What the daemon could not start with is known here, where nothing depends on it yet. */
static void check_resolver(void *memory, struct arena *arena, struct diag *diag)
{
    const struct resolver_block *block = memory;
    const struct option_list *servers = &block->servers;
    struct resolver_options options = {.recursive = block->recursive};
    char *problem = NULL;
    (void)arena;
    for (size_t i = 0; i < servers->count && problem == NULL; i++) {
        const struct place *at = servers->places != NULL ? &servers->places[i] : &block->head.at;
        options.servers = &servers->items[i];
        options.server_count = 1;
        if (resolver_check(&options, &problem) != 0)
            diag_error(diag, at, "%s", problem);
    }
    options.servers = servers->items;
    options.server_count = servers->count;
    if (problem == NULL && resolver_check(&options, &problem) != 0)
        diag_error(diag, &block->head.at, "%s", problem);
    free(problem);
}

static void check_budget(void *memory, struct arena *arena, struct diag *diag)
{
    const struct budget_block *block = memory;
    (void)arena;
    /* Sendmail waits 10 s for a milter's reply unless it was told otherwise, Postfix 30 s. */
    if (block->mail > 9000 || block->rcpt > 9000 || block->message > 9000)
        diag_warning(diag, &block->head.at,
                     "a budget over 9s is longer than Sendmail waits (10 s unless its T option "
                     "says more); Postfix waits 30 s at MAIL and RCPT");
}

static void check_audit(void *memory, struct arena *arena, struct diag *diag)
{
    const struct audit_block *block = memory;
    (void)arena;
    for (size_t i = 0; i < block->to.count; i++) {
        const char *to = block->to.items[i];
        const struct place *at = block->to.places != NULL ? &block->to.places[i] : &block->head.at;
        if (strncmp(to, "file:", 5) == 0) {
            if (to[5] != '/')
                diag_error(diag, at, "the file of '%s' must be named from / on", to);
        } else if (strcmp(to, "syslog") != 0 && strcmp(to, "journal") != 0) {
            diag_error(diag, at,
                       "unknown place for records '%s'; write syslog, journal or "
                       "file:/PATH",
                       to);
        }
        for (size_t j = 0; j < i; j++)
            if (strcmp(to, block->to.items[j]) == 0)
                diag_error(diag, at, "'%s' is named twice", to);
    }
}

static unsigned method_of(const char *word)
{
    const char *known;

    for (unsigned i = 0; (known = results_word(i)) != NULL; i++)
        if (strcmp(word, known) == 0)
            return 1U << i;
    return 0;
}

static void check_results(void *memory, struct arena *arena, struct diag *diag)
{
    struct results_block *block = memory;
    const char *id = block->authserv_id;
    (void)arena;
    for (size_t i = 0; i < block->add.count; i++) {
        unsigned method = method_of(block->add.items[i]);
        const struct place *at =
            block->add.places != NULL ? &block->add.places[i] : &block->head.at;
        if (method == 0)
            diag_error(diag, at, "unknown result '%s'; write spf, dkim, dmarc, arc, iprev or dnswl",
                       block->add.items[i]);
        else if ((block->methods & method) != 0)
            diag_error(diag, at, "'%s' is named twice", block->add.items[i]);
        block->methods |= method;
    }
    if (id != NULL && (id[0] == '\0' || id[strcspn(id, " \t;\"()\\")] != '\0'))
        diag_error(diag, &block->head.at, "authserv_id '%s' is no name", id);
    else if (id != NULL && strchr(id, '.') == NULL)
        diag_warning(diag, &block->head.at,
                     "authserv_id '%s' has no dot in it: others may call themselves so, too", id);
}

static const struct option_block blocks[] = {
    {"", false, false, global_rows, sizeof(global_rows) / sizeof(global_rows[0]),
     sizeof(struct globals), NULL, "options of the whole daemon"},
    {"listen", true, true, listen_rows, sizeof(listen_rows) / sizeof(listen_rows[0]),
     sizeof(struct listen_options), NULL, "a socket for the MTA to talk to"},
    {"resolver", false, false, resolver_rows, sizeof(resolver_rows) / sizeof(resolver_rows[0]),
     sizeof(struct resolver_block), check_resolver, "whom to ask for DNS"},
    {"budget", false, false, budget_rows, sizeof(budget_rows) / sizeof(budget_rows[0]),
     sizeof(struct budget_block), check_budget, "time that a stage may take"},
    {"audit", false, false, audit_rows, sizeof(audit_rows) / sizeof(audit_rows[0]),
     sizeof(struct audit_block), check_audit, "where records go"},
    {"log", false, false, log_rows, sizeof(log_rows) / sizeof(log_rows[0]),
     sizeof(struct log_block), NULL, "the daemon's own messages"},
    {"results", false, false, results_rows, sizeof(results_rows) / sizeof(results_rows[0]),
     sizeof(struct results_block), check_results,
     "header fields that tell those who read the message what was found out"},
};

const struct option_block *config_core_blocks(size_t *count)
{
    *count = sizeof(blocks) / sizeof(blocks[0]);
    return blocks;
}
