/* SPDX-License-Identifier: MIT */
#include "config_private.h"

#include <postern/version.h>
#include <postern/words.h>

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Files, includes and statements.  What stands inside rules, tables and blocks is read by their
 * owners. */

static struct source *read_source(struct reading *reading, const char *path, const struct place *at)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) {
        diag_error(reading->diag, at, "cannot read %s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    if (!S_ISREG(status.st_mode) || status.st_size > CONFIG_FILE_MAX) {
        diag_error(reading->diag, at, "%s is %s", path,
                   S_ISREG(status.st_mode) ? "larger than 64 MB" : "not a file");
        close(fd);
        return NULL;
    }
    size_t room = (size_t)status.st_size;
    char *text = arena_alloc(reading->arena, room + 1);
    size_t length = 0;
    while (length < room) {
        ssize_t n = read(fd, text + length, room - length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        length += (size_t)n;
    }
    close(fd);
    struct source *source = arena_alloc(reading->arena, sizeof(*source));
    source->path = arena_strdup(reading->arena, path);
    source->text = text;
    source->length = length;
    reading->version = hash_bytes(text, length, reading->version);
    return source;
}

static void include_one(struct reading *reading, const char *path, const struct place *at)
{
    if (reading->depth == sizeof(reading->stack) / sizeof(reading->stack[0])) {
        diag_error(reading->diag, at, "includes are nested more than %zu deep", reading->depth);
        return;
    }
    char *real = realpath(path, NULL);
    const char *name = arena_strdup(reading->arena, real != NULL ? real : path);
    free(real);
    for (size_t i = 0; i < reading->depth; i++) {
        if (strcmp(reading->stack[i], name) == 0) {
            diag_error(reading->diag, at, "%s includes itself", path);
            return;
        }
    }
    reading->stack[reading->depth++] = name;
    config_read_file(reading, path, at);
    reading->depth--;
}

static void parse_include(struct reading *reading, struct lexer *lexer, const char *from)
{
    struct token name = lexer_next(lexer);
    if (name.kind != TOKEN_WORD && name.kind != TOKEN_STRING) {
        if (name.kind != TOKEN_BAD)
            diag_error(reading->diag, &name.at, "expected the name of a file after include");
        lexer_skip_statement(lexer);
        return;
    }
    if (!lexer_expect(lexer, TOKEN_SEMICOLON, "';'")) {
        lexer_skip_statement(lexer);
        return;
    }
    /* Relative to the file that includes. */
    const char *pattern = name.text;
    const char *slash = strrchr(from, '/');
    if (pattern[0] != '/' && slash != NULL)
        pattern = arena_printf(reading->arena, "%.*s/%s", (int)(slash - from), from, pattern);
    bool wild = strpbrk(pattern, "*?[") != NULL;
    glob_t found;
    int result = glob(pattern, GLOB_ERR, NULL, &found);
    if (result == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            include_one(reading, found.gl_pathv[i], &name.at);
        globfree(&found);
    } else if (result != GLOB_NOMATCH) {
        diag_error(reading->diag, &name.at, "cannot look for %s: %s", pattern, strerror(errno));
    } else if (!wild) {
        diag_error(reading->diag, &name.at, "cannot read %s: no such file", pattern);
    }
}

static void parse_names(struct reading *reading, struct lexer *lexer,
                        void (*each)(struct policy_builder *, const struct token *))
{
    do {
        struct token name = lexer_next(lexer);
        if (name.kind != TOKEN_WORD && name.kind != TOKEN_STRING) {
            if (name.kind != TOKEN_BAD)
                diag_error(reading->diag, &name.at, "expected the name of a rule");
            lexer_skip_statement(lexer);
            return;
        }
        each(reading->builder, &name);
        lexer_accept(lexer, TOKEN_COMMA);
    } while (lexer_peek(lexer)->kind == TOKEN_WORD || lexer_peek(lexer)->kind == TOKEN_STRING);
    if (!lexer_expect(lexer, TOKEN_SEMICOLON, "';'"))
        lexer_skip_statement(lexer);
}

static void parse_block(struct reading *reading, struct lexer *lexer, struct kind_blocks *kind,
                        const struct token *head)
{
    const char *name = "";
    struct place name_at = head->at;
    if (kind->kind->named) {
        struct token token = lexer_next(lexer);
        if (token.kind != TOKEN_WORD && token.kind != TOKEN_STRING) {
            if (token.kind != TOKEN_BAD)
                diag_error(reading->diag, &token.at, "expected a name after %s: %s NAME { ... }",
                           kind->kind->kind, kind->kind->kind);
            lexer_skip_statement(lexer);
            return;
        }
        name = token.text;
        name_at = token.at;
    }
    struct block_head *block = options_parse_block(lexer, kind->kind, head, name);
    if (kind->kind->named) {
        const struct block_head *before = map_get(kind->names, name);
        if (before != NULL) {
            diag_error(reading->diag, &name_at, "%s '%s' stands already in line %u of %s",
                       kind->kind->kind, name, before->at.line, before->at.source->path);
            return;
        }
        map_set(kind->names, block->name, block);
    } else if (kind->first != NULL) {
        diag_error(reading->diag, &name_at, "a second %s block; the first is in line %u of %s",
                   kind->kind->kind, kind->first->at.line, kind->first->at.source->path);
        return;
    }
    if (kind->last != NULL)
        kind->last->next = block;
    else
        kind->first = block;
    kind->last = block;
}

/* An option outside blocks.  True when NAME was one. */
static bool parse_global(struct reading *reading, struct lexer *lexer, const struct token *head)
{
    size_t count;
    const struct option_block *block = &config_core_blocks(&count)[0];
    struct globals *globals = reading->all->globals;
    for (size_t i = 0; i < block->row_count; i++) {
        const struct option_row *row = &block->rows[i];
        if (!token_is(head, row->name))
            continue;
        if ((globals->head.set & (UINT64_C(1) << i)) != 0)
            diag_error(reading->diag, &head->at, "%s is set twice", row->name);
        globals->head.set |= UINT64_C(1) << i;
        reading->global_places[i] = lexer_peek(lexer)->at;
        options_parse_value(lexer, row, (char *)globals + row->offset);
        return true;
    }
    return false;
}

static struct kind_blocks *find_kind(struct reading *reading, const struct token *head)
{
    for (size_t i = 1; i < reading->all->kind_count; i++)
        if (token_is(head, reading->all->kinds[i].kind->kind))
            return &reading->all->kinds[i];
    return NULL;
}

/* The kind of block that has an option of this name, or NULL. */
static const char *block_with(const struct reading *reading, const char *option)
{
    for (size_t i = 1; i < reading->all->kind_count; i++)
        if (options_find(reading->all->kinds[i].kind, option) != NULL)
            return reading->all->kinds[i].kind->kind;
    return NULL;
}

/* Of what there is no block, though one could be expected. */
static const char *statement_advice(const char *word)
{
    static const struct {
        const char *word, *advice;
    } rows[] = {
        {"spf", "SPF has no options; rules ask spf.result"},
        {"dmarc", "DMARC has no options; rules ask dmarc.result and dmarc.policy"},
        {"helo", "it is a fact, for the conditions of rules"},
        {"accept", "it stands in a rule: rule NAME { when CONDITION; accept; }"},
        {"reply", "it stands in a rule: rule NAME { when CONDITION; reply 550 5.7.1 \"why\"; }"},
        {"when", "it stands in a rule: rule NAME { when CONDITION; ... }"},
        {"user", "the daemon runs as the user who starts it; the unit names one"},
        {"mynetworks", "clients that are trusted stand in a table: table trusted { NETWORK; }"},
        {"mydestination", "our domains stand in a table: table ours { DOMAIN; }"},
        {"relay_domains", "our domains stand in a table: table ours { DOMAIN; }"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(rows[i].word, word) == 0)
            return rows[i].advice;
    return NULL;
}

static void unknown_statement(struct reading *reading, const struct token *head)
{
    const char *words[128] = {"include", "table", "condition", "rule", "disable", "observe"};
    size_t count = 6;
    size_t cores;
    const struct option_block *globals = &config_core_blocks(&cores)[0];
    for (size_t i = 0; i < globals->row_count; i++)
        words[count++] = globals->rows[i].name;
    for (size_t i = 1; i < reading->all->kind_count && count < 128; i++)
        words[count++] = reading->all->kinds[i].kind->kind;
    const char *near = words_nearest(head->text, words, count);
    const char *advice = statement_advice(head->text);
    if (advice != NULL)
        diag_error(reading->diag, &head->at, "unknown statement '%s'; %s", head->text, advice);
    else if (near != NULL)
        diag_error(reading->diag, &head->at, "unknown statement '%s'; did you mean '%s'?",
                   head->text, near);
    else if (block_with(reading, head->text) != NULL)
        diag_error(reading->diag, &head->at, "'%s' stands inside of a block: %s { %s ...; }",
                   head->text, block_with(reading, head->text), head->text);
    else
        diag_error(reading->diag, &head->at, "unknown statement '%s'", head->text);
}

static void keep_written(struct reading *reading, const struct token *head,
                         const struct lexer *lexer)
{
    struct config_all *all = reading->all;
    if (all->written_count == all->written_room) {
        size_t room = all->written_room == 0 ? 64 : 2 * all->written_room;
        struct written *more = arena_alloc(reading->arena, room * sizeof(more[0]));
        if (all->written_count > 0)
            memcpy(more, all->written, all->written_count * sizeof(more[0]));
        all->written = more;
        all->written_room = room;
    }
    all->written[all->written_count++] = (struct written){head->at, lexer_behind(lexer)};
}

/* What is not made of option rows; HEAD is taken.  False when it is none of these. */
static bool parse_other(struct reading *reading, struct lexer *lexer, const struct token *head)
{
    if (token_is(head, "table"))
        config_parse_table(reading, lexer, head);
    else if (token_is(head, "condition"))
        policy_parse_named(reading->builder, lexer, head);
    else if (token_is(head, "rule"))
        policy_parse_rule(reading->builder, lexer, head);
    else if (token_is(head, "disable"))
        parse_names(reading, lexer, policy_disable);
    else if (token_is(head, "observe"))
        parse_names(reading, lexer, policy_observe);
    else
        return false;
    keep_written(reading, head, lexer);
    return true;
}

static void parse_statement(struct reading *reading, struct lexer *lexer, const char *path)
{
    struct token head = lexer_next(lexer);
    struct kind_blocks *kind;
    if (head.kind != TOKEN_WORD) {
        if (head.kind != TOKEN_BAD)
            diag_error(reading->diag, &head.at, "expected a statement, not %s",
                       token_kind_name(head.kind));
        /* A stray closing brace would stop the skipping where it stands. */
        if (head.kind != TOKEN_CLOSE && head.kind != TOKEN_SEMICOLON)
            lexer_skip_statement(lexer);
    } else if (token_is(&head, "include")) {
        parse_include(reading, lexer, path);
    } else if (parse_other(reading, lexer, &head)) {
        /* kept as it was written */
    } else if ((kind = find_kind(reading, &head)) != NULL) {
        parse_block(reading, lexer, kind, &head);
    } else if (!parse_global(reading, lexer, &head)) {
        unknown_statement(reading, &head);
        lexer_skip_statement(lexer);
    }
    /* "};" is as good as "}". */
    while (lexer_accept(lexer, TOKEN_SEMICOLON)) {
    }
}

/* ---- the version ---- */

/* The version that a file says it is written in, with its place; 0 when it says none that can be
 * read.  What is wrong with the file is no matter here. */
static long stated_version(const struct source *source, struct place *at)
{
    static const char word[] = "config_version";
    if (memmem(source->text, source->length, word, sizeof(word) - 1) == NULL)
        return 0;
    struct arena *arena = arena_new();
    struct diag *nobody = diag_new();
    struct lexer *lexer = lexer_new(source, arena, nobody);
    long version = 0;
    while (version == 0 && lexer_peek(lexer)->kind != TOKEN_END) {
        struct token head = lexer_next(lexer);
        const struct token *number = lexer_peek(lexer);
        if (token_is(&head, word) && number->kind == TOKEN_WORD) {
            char *end;
            *at = number->at;
            version = strtol(number->text, &end, 10);
            version = *end == '\0' ? version : 0;
        }
        if (head.kind != TOKEN_CLOSE && head.kind != TOKEN_SEMICOLON)
            lexer_skip_statement(lexer);
    }
    lexer_free(lexer);
    diag_free(nobody);
    arena_free(arena);
    return version;
}

/* A file from the future is not read at all: what it says may mean something else today. */
static bool too_new(struct reading *reading, const struct source *source)
{
    struct place at;
    long version = stated_version(source, &at);
    if (version <= CONFIG_VERSION)
        return false;
    diag_error(reading->diag, &at,
               "%s is written for config_version %ld, and postern " POSTERN_VERSION
               " understands %d; upgrade postern, or go back to the configuration of before",
               source->path, version, CONFIG_VERSION);
    reading->too_new = true;
    return true;
}

void config_read_file(struct reading *reading, const char *path, const struct place *at)
{
    struct source *source = read_source(reading, path, at);
    if (source == NULL || too_new(reading, source))
        return;
    struct lexer *lexer = lexer_new(source, reading->arena, reading->diag);
    while (lexer_peek(lexer)->kind != TOKEN_END)
        parse_statement(reading, lexer, path);
    lexer_free(lexer);
}
