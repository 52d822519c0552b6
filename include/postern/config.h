/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_CONFIG_H
#define POSTERN_CONFIG_H

#include <postern/addr.h>
#include <postern/options.h>
#include <postern/policy.h>

struct table;

/*
 * The configuration: an immutable, reference-counted snapshot of everything in the file.  A reload
 * makes a new one; sessions under way keep theirs.
 */
enum { CONFIG_VERSION = 1 }; /* of the language; a change that old files do not survive adds one */

enum front_choice { FRONT_WIRE, FRONT_LIBMILTER };
enum listen_mode { LISTEN_ENFORCE, LISTEN_OBSERVE };
enum audit_mail { AUDIT_NO, AUDIT_YES };

struct listen_options {
    struct block_head head;
    const char *socket; /* unix:/path, inet:host:port, inet6:..., fd:N (also systemd's) */
    const char *owner, *group;
    int64_t perm;
    int64_t mode; /* enum listen_mode */
    struct option_list allow;
};

struct resolver_block {
    struct block_head head;
    struct option_list servers;
    bool recursive, dnssec;
    int64_t timeout, cache;
};

struct budget_block {
    struct block_head head;
    int64_t mail, rcpt, message; /* ms */
};

struct audit_block {
    struct block_head head;
    struct option_list to; /* syslog, journal, file:PATH */
    bool accepted;
};

struct results_block {
    struct block_head head;
    const char *authserv_id; /* NULL: the host's name */
    struct option_list add;  /* results_word() */
    bool received_spf, remove_forged;
    unsigned methods; /* of add: bits of enum results_method; filled when the block was read */
};

struct log_block {
    struct block_head head;
    int64_t level;
    const char *ident;
};

struct config_table {
    const char *name;
    struct table *table;
    struct place at;
};

struct config {
    const char *path;
    struct arena *arena;
    /* scalars at top level */
    const char *hostname; /* "" unless written */
    const char *help_url; /* "" unless written */
    const char *state_dir;
    int64_t front;    /* enum front_choice */
    int64_t speak_at; /* 0 mail, 1 rcpt */
    int64_t mixed;    /* enum mixed */
    /* blocks of the core */
    const struct listen_options *listens; /* a chain by head.next */
    const struct resolver_block *resolver;
    const struct budget_block *budget;
    const struct audit_block *audit;
    const struct log_block *log;
    const struct results_block *results;
    const struct config_table *tables;
    size_t table_count;
    const struct policy *policy;
    /* state of each check of the schema, as its open() made it */
    void **check_states;
    const struct config_schema *schema;
    uint64_t version; /* counts up with each snapshot of the process; in records */
};

/* What the checks bring: kept apart so that this module knows no check.  Built once per process (or
 * test). */
struct check;
struct config_schema {
    const struct check *const *checks;
    size_t check_count;
    const struct layout *layout; /* of the checks' facts */
    bool looks_only;             /* commands that must change nothing on disk */
    const slot_t *first_slot;
};

/* Reads PATH and all it includes, checks everything, opens tables and checks' states.  NULL when
 * there are errors in DIAG.  The caller owns one reference.  Sources of the messages live as long
 * as DIAG's user needs them: they are kept by the snapshot, or, on failure, leaked into DIAG. */
struct config *config_load(const char *path, const struct config_schema *schema, struct diag *diag);

struct config *config_ref(struct config *config);
void config_unref(struct config *config);

/* Writes the effective configuration as a configuration that means the same: every option of every
 * block, defaults too, each with a comment that says where its value comes from; tables, conditions
 * and rules as they were written.  Contents of key files are not in it. */
void config_print_effective(const struct config *config, FILE *out);

/* A table by name, or NULL. */
struct table *config_table(const struct config *config, const char *name);

/* Blocks of a kind in file order (a check's), or the defaults block when the kind is not named;
 * NULL when none. */
const struct block_head *config_blocks(const struct config *config, const char *kind);

/* The value of the text or table option OPTION in the first block of KIND, or "" when there is no
 * such block or nothing was set; for options that belong to a check.  Lives as long as CONFIG. */
const char *config_text(const struct config *config, const char *kind, const char *option);

/* Takes over what BEFORE, of the same schema, has learned: last good images of tables, and what its
 * checks know.  Once, before CONFIG goes live. */
void config_inherit(struct config *config, const struct config *before);

/* Refreshes changed table files; from the housekeeping thread. */
void config_refresh(struct config *config);

/* The core's rows (top-level scalars as a block named "", then the blocks), for printing and for
 * holding the manual against them; the checks' blocks are in the schema. */
const struct option_block *config_core_blocks(size_t *count);

#endif
