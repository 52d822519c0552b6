/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_CONFIG_PRIVATE_H
#define POSTERN_CONFIG_PRIVATE_H

#include <postern/arena.h>
#include <postern/check.h>
#include <postern/config.h>
#include <postern/hash.h>
#include <postern/str.h>

#include <stdatomic.h>
#include <string.h>

/* The options that stand outside any block. */
struct globals {
    struct block_head head;
    const char *hostname, *help_url, *state_dir;
    int64_t front, speak_at, mixed, version;
};

/* A statement that is no option and no block, as it was written. */
struct written {
    struct place from, to; /* TO: right behind its last token */
};

/* The blocks of one kind, as they were read. */
struct kind_blocks {
    const struct option_block *kind;
    struct block_head *first, *last;
    struct map *names;
};

/* A table as it was declared; opened when all is read. */
struct table_statement {
    const char *name;
    struct place at;
    const char *spec; /* NULL: inline */
    struct place spec_at;
    const char **entries; /* inline */
    struct place *places;
    size_t count;
};

struct config_all {
    struct config config; /* first: what users see */
    atomic_uint references;
    struct globals *globals;
    struct kind_blocks *kinds;
    size_t kind_count;
    struct map *tables_by_name;
    struct written *written; /* in the order of reading */
    size_t written_count, written_room;
};

/* One reading of the file, while it goes on. */
struct reading {
    struct config_all *all;
    struct arena *arena;
    struct diag *diag;
    struct policy_builder *builder;
    struct table_statement *tables;
    size_t table_count, table_room;
    struct map *table_names;
    const char *stack[16]; /* files being read, by their real path */
    size_t depth;
    uint64_t version;
    struct place *global_places; /* of the values of options outside blocks */
    bool too_new;                /* the file itself says that it is for a later postern */
};

enum { CONFIG_FILE_MAX = 64 * 1024 * 1024 };

/* load.c */
void config_read_file(struct reading *reading, const char *path, const struct place *at);

/* names.c: hostname and help_url */
void config_check_names(struct reading *reading);

/* tables.c */
void config_parse_table(struct reading *reading, struct lexer *lexer, const struct token *head);
void config_open_tables(struct reading *reading, const char *base_dir);

/* texts.c: templates of rules and their lint */
void config_compile_texts(struct reading *reading, struct policy *policy);

/* warnings.c: what is no error, but surely not what was meant */
void config_warn(struct reading *reading, const struct policy *policy);

#endif
