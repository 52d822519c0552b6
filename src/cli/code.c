/* SPDX-License-Identifier: MIT */
#include "cli.h"
#include "term.h"

#include <postern/arena.h>
#include <postern/help.h>
#include <postern/str.h>
#include <postern/words.h>

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* `postern code`: what a reply code, an enhanced code or a shipped rule means, and codes side by
 * side. */

#define LANGUAGES "en, zh, vi or ar"

enum {
    WIDTH_DEFAULT = 80,
    WIDTH_MIN = 20,
    WIDTH_MAX = 100, /* longer lines are hard to read */
    COLUMN_MIN = 24, /* narrower columns are worse than one after the other */
    GAP = 3,
    WORDS_MAX = 8
};

/* What is shown of an entry below its title, in this order. */
enum section { SECTION_REPLY = HELP_FIELDS, SECTION_NOTE, SECTION_USED, SECTION_END = -1 };
static const int sections[] = {SECTION_REPLY, SECTION_NOTE, HELP_SAYS,  HELP_WHEN,
                               HELP_SENDER,   HELP_ADMIN,   HELP_GO,    HELP_NEAR,
                               HELP_USE,      SECTION_USED, SECTION_END};

struct page {
    const struct help_language *language;
    struct arena *arena;
    size_t width;
};

/* ---- the terminal ---- */

static size_t terminal_width(void)
{
    const char *columns = getenv("COLUMNS");
    long width = columns != NULL ? strtol(columns, NULL, 10) : 0;
    struct winsize size;

    if (width <= 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        width = size.ws_col;
    if (width <= 0)
        width = WIDTH_DEFAULT;
    return width < WIDTH_MIN ? WIDTH_MIN : (size_t)width;
}

/* What the environment asks for, where the terminal can show it; else English. */
static const struct help_language *language_of_locale(void)
{
    static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    const char *locale = NULL;

    for (size_t i = 0; locale == NULL && i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = getenv(names[i]);
        locale = value != NULL && value[0] != '\0' ? value : NULL;
    }
    const struct help_language *language = locale != NULL ? help_language(locale) : NULL;
    if (language == NULL ||
        (strcasestr(locale, "utf-8") == NULL && strcasestr(locale, "utf8") == NULL))
        return &help_languages[0];
    return language;
}

/* ---- pieces ---- */

static void put(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] != '`')
            putchar(text[i]);
    }
}

static void pad(size_t columns)
{
    for (; columns > 0; columns--)
        putchar(' ');
}

/* TEXT in lines that begin at INDENT; the first line is there already as far as that. */
static void put_block(const struct page *page, const char *text, size_t indent)
{
    size_t width = page->width > WIDTH_MAX ? WIDTH_MAX : page->width;
    size_t next;

    width = width > indent + WIDTH_MIN / 2 ? width - indent : WIDTH_MIN / 2;
    for (;;) {
        size_t length = help_line(text, width, &next);
        put(text, length);
        putchar('\n');
        text += next;
        if (*text == '\0')
            return;
        pad(indent);
    }
}

static void put_heading(const struct page *page, const char *text)
{
    fputs(term_style(stdout, TERM_STRONG), stdout);
    put_block(page, text, 0);
    fputs(term_style(stdout, TERM_PLAIN), stdout);
}

/* ---- sections of an entry ---- */

static const char *text_of_replies(const struct page *page, const char *rule)
{
    struct str text = {0};

    for (size_t i = 0; i < help_reply_count; i++) {
        if (strcmp(help_replies[i].rule, rule) != 0)
            continue;
        if (text.length > 0)
            str_add_char(&text, '\n');
        str_add(&text, help_replies[i].text);
    }
    const char *copy = text.length > 0 ? arena_strdup(page->arena, str_text(&text)) : NULL;
    str_free(&text);
    return copy;
}

static const char *text_of_note(const struct page *page, const char *name)
{
    const struct help_rule *rule = help_rule(name);
    struct str text = {0};

    if (rule == NULL)
        return NULL;
    if (rule->outcome == HELP_ACCEPTS || rule->outcome == HELP_HOLDS)
        str_add(&text,
                help_label(page->language, rule->outcome == HELP_ACCEPTS ? "accepts" : "holds"));
    if (rule->off)
        str_add_format(&text, "%s%s", text.length > 0 ? "\n" : "",
                       help_label(page->language, "off"));
    if (rule->observes)
        str_add_format(&text, "%s%s", text.length > 0 ? "\n" : "",
                       help_label(page->language, "observes"));
    const char *copy = text.length > 0 ? arena_strdup(page->arena, str_text(&text)) : NULL;
    str_free(&text);
    return copy;
}

/* The rules that speak this code, each once. */
static const char *text_of_rules(const struct page *page, const char *key)
{
    struct str text = {0};
    const char *before = "";

    for (size_t i = 0; i < help_reply_count; i++) {
        const struct help_reply *reply = &help_replies[i];
        const char *code = arena_printf(page->arena, "%d", reply->code);
        bool same = strcmp(reply->enhanced, key) == 0 || strcmp(code, key) == 0;
        if (!same || strcmp(reply->rule, before) == 0)
            continue;
        str_add_format(&text, "%s%s", text.length > 0 ? ", " : "", reply->rule);
        before = reply->rule;
    }
    const char *copy = text.length > 0 ? arena_strdup(page->arena, str_text(&text)) : NULL;
    str_free(&text);
    return copy;
}

/* NULL where the entry has nothing of it. */
static const char *text_of_section(const struct page *page, const struct help_entry *entry,
                                   int section)
{
    bool rule = entry->kind == HELP_KIND_RULE || entry->kind == HELP_KIND_OWN;

    switch (section) {
    case SECTION_REPLY:
        return rule ? text_of_replies(page, entry->key) : NULL;
    case SECTION_NOTE:
        return rule ? text_of_note(page, entry->key) : NULL;
    case SECTION_USED:
        return rule ? NULL : text_of_rules(page, entry->key);
    default:
        return entry->fields[section];
    }
}

static const char *heading_of_section(const struct page *page, int section)
{
    switch (section) {
    case SECTION_REPLY:
        return help_label(page->language, "reply");
    case SECTION_NOTE:
        return NULL;
    case SECTION_USED:
        return help_label(page->language, "used");
    default:
        return help_field_label(page->language, (enum help_field)section);
    }
}

static const char *title_of(const struct page *page, const struct help_entry *entry)
{
    return arena_printf(page->arena, "%s  %s", entry->key, entry->fields[HELP_TITLE]);
}

/* ---- entries ---- */

static void print_entry(const struct page *page, const struct help_entry *entry)
{
    put_heading(page, title_of(page, entry));
    for (size_t i = 0; sections[i] != SECTION_END; i++) {
        const char *text = text_of_section(page, entry, sections[i]);
        const char *heading = heading_of_section(page, sections[i]);
        if (text == NULL)
            continue;
        putchar('\n');
        if (heading != NULL)
            put_heading(page, heading);
        pad(2);
        put_block(page, text, 2);
    }
}

/* One text a column; what has no more text is blank. */
static void put_columns(const char **texts, size_t count, size_t width)
{
    bool more = true;

    while (more) {
        size_t owed = 0; /* blanks that only a further column makes visible */
        more = false;
        for (size_t i = 0; i < count; i++) {
            size_t next = 0;
            size_t length = texts[i] != NULL ? help_line(texts[i], width, &next) : 0;
            if (length > 0) {
                pad(owed);
                owed = 0;
                put(texts[i], length);
            }
            owed += width + GAP - (length > 0 ? help_columns(texts[i], length) : 0);
            if (texts[i] != NULL)
                texts[i] += next;
            more |= texts[i] != NULL && *texts[i] != '\0';
        }
        putchar('\n');
    }
}

static void print_columns(const struct page *page, const struct help_entry **entries, size_t count,
                          size_t width)
{
    const char *texts[WORDS_MAX];

    for (size_t i = 0; i < count; i++)
        texts[i] = title_of(page, entries[i]);
    fputs(term_style(stdout, TERM_STRONG), stdout);
    put_columns(texts, count, width);
    fputs(term_style(stdout, TERM_PLAIN), stdout);
    for (size_t s = 0; sections[s] != SECTION_END; s++) {
        const char *heading = heading_of_section(page, sections[s]);
        bool any = false;
        for (size_t i = 0; i < count; i++) {
            texts[i] = text_of_section(page, entries[i], sections[s]);
            any |= texts[i] != NULL;
        }
        if (!any)
            continue;
        putchar('\n');
        if (heading != NULL)
            put_heading(page, heading);
        put_columns(texts, count, width);
    }
}

static void print_entries(const struct page *page, const struct help_entry **entries, size_t count)
{
    size_t gaps = (count - 1) * GAP;
    size_t width = page->width > gaps ? (page->width - gaps) / count : 0;

    /* Terminals that turn Arabic round do so by whole lines, which would mix the columns. */
    if (count > 1 && width >= COLUMN_MIN && !page->language->right_to_left) {
        print_columns(page, entries, count, width > WIDTH_MAX ? WIDTH_MAX : width);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            putchar('\n');
        print_entry(page, entries[i]);
    }
}

/* ---- the list ---- */

static void print_list(const struct page *page)
{
    static const char *const headings[] = {"codes", "enhanced", "rules", "own"};
    const struct help_language *language = page->language;

    for (int kind = HELP_KIND_CODE; kind <= HELP_KIND_OWN; kind++) {
        size_t longest = 0;
        if (kind != HELP_KIND_CODE)
            putchar('\n');
        put_heading(page, help_label(language, headings[kind]));
        for (size_t i = 0; i < language->entry_count; i++) {
            size_t length = strlen(language->entries[i].key);
            if ((int)language->entries[i].kind == kind && length > longest)
                longest = length;
        }
        for (size_t i = 0; i < language->entry_count; i++) {
            const struct help_entry *entry = &language->entries[i];
            if ((int)entry->kind != kind)
                continue;
            printf("  %-*s  ", (int)longest, entry->key);
            put_block(page, entry->fields[HELP_TITLE], longest + 4);
        }
    }
}

/* ---- the command ---- */

static void say_unknown(const struct page *page, const char *word)
{
    const struct help_language *language = page->language;
    const char **keys = arena_alloc(page->arena, language->entry_count * sizeof(*keys));

    for (size_t i = 0; i < language->entry_count; i++)
        keys[i] = language->entries[i].key;
    const char *nearest = words_nearest(word, keys, language->entry_count);
    fputs("postern: nothing is known of '", stderr);
    cli_put_clean(word, stderr);
    fputc('\'', stderr);
    if (nearest != NULL)
        fprintf(stderr, "; did you mean '%s'?", nearest);
    fputs(" ('postern code' lists all codes and rules)\n", stderr);
}

static int show(const struct help_language *language, char **words, size_t count)
{
    const struct help_entry *entries[WORDS_MAX];
    struct page page = {.language = language, .arena = arena_new(), .width = terminal_width()};
    int result = EXIT_DONE;

    for (size_t i = 0; i < count; i++) {
        entries[i] = help_find(language, words[i]);
        if (entries[i] == NULL) {
            say_unknown(&page, words[i]);
            result = EXIT_TROUBLE;
        }
    }
    if (result == EXIT_DONE && count == 0)
        print_list(&page);
    else if (result == EXIT_DONE)
        print_entries(&page, entries, count);
    arena_free(page.arena);
    return result;
}

struct code_options {
    const char *lang;
};

static int run_code(const struct command *command, void *memory, char **words)
{
    const struct code_options *options = memory;
    const struct help_language *language =
        options->lang != NULL ? help_language(options->lang) : language_of_locale();
    size_t count = 0;

    if (language == NULL)
        return cli_usage(command, "--lang takes " LANGUAGES ", not '%s'", options->lang);
    while (words[count] != NULL)
        count++;
    return show(language, words, count);
}

static const struct cli_option rows[] = {
    {"lang", 'l', CLI_VALUE, "LANG", "en zh vi ar", NULL, offsetof(struct code_options, lang),
     "the language: " LANGUAGES "; default: that of the locale"},
};

const struct command command_code = {
    .name = "code",
    .arguments = "[-l LANG] [CODE|RULE]...",
    .summary = "Tells what reply codes and the replies of shipped rules mean, side by side",
    CLI_OPTIONS(rows),
    .choices = CLI_CODES,
    .more = CLI_CODES,
    .max_words = WORDS_MAX,
    .size = sizeof(struct code_options),
    .run = run_code,
};
