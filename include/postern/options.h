/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_OPTIONS_H
#define POSTERN_OPTIONS_H

#include <postern/lexer.h>

/*
 * Options as rows.  Each block of the configuration (resolver, recipients, dnsbl NAME ...) is
 * described by one table of rows; the parser, the printed effective configuration and the manual's
 * lint all read it. The values land in a struct of the owner at each row's offset.  A row stands at
 * most once in a block, lists too. A list without braces may go over several lines, but ends with
 * an error where the next line begins with the name of another option (its ';' was forgotten).
 */
enum option_type {
    OPTION_BOOL,     /* yes | no            -> bool */
    OPTION_NUMBER,   /* integer             -> int64_t, in minimum..maximum */
    OPTION_PERCENT,  /* 20%                 -> int64_t 0..100 */
    OPTION_DURATION, /* 3s 500ms 15m 1h 1d  -> int64_t milliseconds */
    OPTION_SIZE,     /* 32M 64K 100         -> int64_t bytes */
    OPTION_OCTAL,    /* 0660                -> int64_t */
    OPTION_TEXT,     /* word or string      -> const char * */
    OPTION_WORD,     /* one of words        -> int64_t, its index */
    OPTION_LIST, /* one or more texts up to ';', or in { } separated by ';' -> struct option_list */
    OPTION_TABLE, /* the name of a table -> const char *; that it exists is checked when all is read
                   */
};

struct option_list {
    const char **items; /* NULL-terminated too */
    size_t count;
    const struct place *places; /* one each */
};

struct option_row {
    const char *name;
    enum option_type type;
    const char *fallback;     /* default as it would be written ("\"\"" is the empty text; a list
                               * without braces);     NULL: none, the member stays zero */
    int64_t minimum, maximum; /* in the unit of the value; both 0: any */
    const char *unit;         /* for the manual; NULL where the type says it */
    const char *words;        /* OPTION_WORD: "mail rcpt" */
    size_t offset;            /* of the member */
    bool required;
    const char *help; /* one line */
};

/* A kind of block.  The struct behind it begins with its struct block_head. */
struct block_head {
    const char *name; /* "" for a block without a name */
    struct place at;
    uint64_t set; /* bit i: row i was written in the file (rows past 63 are not allowed) */
    const struct place *places; /* by row: where, of those that are set; NULL when none is */
    struct block_head *next;    /* blocks of one kind, in order of the file */
};

struct option_block {
    const char *kind; /* the keyword */
    bool named;       /* dnsbl NAME { } */
    bool repeatable;  /* several (with different names) */
    const struct option_row *rows;
    size_t row_count;
    size_t size; /* of the struct */
    /* Looks at a block that was read without errors; reports what is wrong with it.  May be NULL.
     */
    void (*check)(void *block, struct arena *arena, struct diag *diag);
    const char *help;
};

/* Reads "{ row; row; }" after the keyword and the name have been taken.  Always returns a block,
 * with the defaults filled in (a block may stand there without being written: see
 * options_defaults). */
void *options_parse_block(struct lexer *lexer, const struct option_block *kind,
                          const struct token *head, const char *name);

/* The row of the option NAME, or NULL. */
const struct option_row *options_find(const struct option_block *kind, const char *name);

/* A block of this kind with nothing but defaults. */
void *options_defaults(const struct option_block *kind, struct arena *arena);

/* Reads the values of one row, the name taken, up to and with its ';' into DEST (the member). False
 * and a report when they do not fit (the statement is then skipped). */
bool options_parse_value(struct lexer *lexer, const struct option_row *row, void *dest);

/* The value at ROW of BLOCK as it would be written, in the arena. */
const char *options_format(struct arena *arena, const struct option_row *row, const void *block);

#endif
