/* SPDX-License-Identifier: MIT */
#include "config_private.h"

#include <postern/version.h>

/* The effective configuration, written as a configuration. */
enum { COMMENT_COLUMN = 40 };

static void print_place(const struct place *at, FILE *out)
{
    fprintf(out, "%s:%u", at->source->path, at->line);
}

/* One option.  Where nothing was written and there is no default, nothing could be written that
 * means the same. */
static void print_option(struct arena *arena, const struct option_row *row,
                         const struct block_head *block, size_t index, const char *indent,
                         FILE *out)
{
    bool set = (block->set & UINT64_C(1) << index) != 0;
    if (!set && row->fallback == NULL) {
        fprintf(out, "%s# %s is not set: %s\n", indent, row->name, row->help);
        return;
    }
    int width = fprintf(out, "%s%s %s;", indent, row->name, options_format(arena, row, block));
    fprintf(out, "%*s # ", width < COMMENT_COLUMN ? COMMENT_COLUMN - width : 0, "");
    if (set)
        print_place(&block->places[index], out);
    else
        fputs("default", out);
    fputc('\n', out);
}

static void print_options(const struct option_block *kind, const struct block_head *block,
                          const char *indent, FILE *out)
{
    struct arena *arena = arena_new();
    for (size_t i = 0; i < kind->row_count; i++)
        print_option(arena, &kind->rows[i], block, i, indent, out);
    arena_free(arena);
}

/* A block that was not written is a comment: that it stands there can mean something. */
static void print_block(const struct option_block *kind, const struct block_head *block, FILE *out)
{
    const struct option_row name = {.name = "", .type = OPTION_TEXT};
    bool written = block->at.source != NULL;
    fputs("\n# ", out);
    if (written)
        print_place(&block->at, out);
    else
        fprintf(out, "there is no %s block; these are its defaults:", kind->kind);
    fprintf(out, "\n%s%s ", written ? "" : "# ", kind->kind);
    if (kind->named) {
        struct arena *arena = arena_new();
        fprintf(out, "%s ", options_format(arena, &name, &block->name));
        arena_free(arena);
    }
    fputs("{\n", out);
    print_options(kind, block, written ? "    " : "#     ", out);
    fputs(written ? "}\n" : "# }\n", out);
}

/* Where a place stands in the text of its source. */
static size_t offset_of(const struct place *at)
{
    const struct source *source = at->source;
    size_t offset = 0;
    for (uint32_t line = 1; line < at->line; line++) {
        const char *end = memchr(source->text + offset, '\n', source->length - offset);
        if (end == NULL)
            break;
        offset = (size_t)(end - source->text) + 1;
    }
    offset += at->column - 1;
    return offset < source->length ? offset : source->length;
}

static void print_written(const struct written *written, FILE *out)
{
    size_t from = offset_of(&written->from), to = offset_of(&written->to);
    fputs("\n# ", out);
    print_place(&written->from, out);
    fprintf(out, "\n%.*s\n", (int)(to - from), written->from.source->text + from);
}

void config_print_effective(const struct config *config, FILE *out)
{
    const struct config_all *all = (const struct config_all *)(const void *)config;
    fprintf(out,
            "# The effective configuration of %s, read by postern " POSTERN_VERSION ".\n"
            "# Behind each value stands where it comes from.  Paths that do not begin with / are\n"
            "# relative to the folder of the configuration.  Keys stay in their files.\n\n",
            config->path);
    print_options(all->kinds[0].kind, &all->globals->head, "", out);
    for (size_t i = 1; i < all->kind_count; i++)
        for (const struct block_head *block = all->kinds[i].first; block != NULL;
             block = block->next)
            print_block(all->kinds[i].kind, block, out);
    for (size_t i = 0; i < all->written_count; i++)
        print_written(&all->written[i], out);
}
