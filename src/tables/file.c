/* SPDX-License-Identifier: MIT */
#include "keyset.h"
#include "lines.h"

#include <string.h>

#include <postern/clock.h>

/*
 * Text: one entry a line, "key [value] [; until=DATE owner=NAME note=TEXT]".  A '#' at the start of
 * a line or behind a blank begins a comment.
 */
struct notes {
    int32_t until;
    bool owner;
};

static void cut_comment(char *text)
{
    for (char *mark = text; (mark = strchr(mark, '#')) != NULL; mark++) {
        if (mark[-1] == ' ' || mark[-1] == '\t') {
            *mark = '\0';
            return;
        }
    }
}

static void cut_blanks(char *text)
{
    size_t length = strlen(text);

    while (length != 0 && (text[length - 1] == ' ' || text[length - 1] == '\t'))
        text[--length] = '\0';
}

/* The ';' that begins the notes: the first one before something like `word=`; NULL when there is
 * none. */
static char *notes_start(char *text)
{
    for (char *mark = text; (mark = strchr(mark, ';')) != NULL; mark++) {
        const char *word = lines_skip(mark + 1);
        size_t length = strspn(word, "abcdefghijklmnopqrstuvwxyz");
        if (length != 0 && word[length] == '=')
            return mark;
    }
    return NULL;
}

static bool read_notes(char *text, struct notes *notes, unsigned line, struct table_report *report)
{
    while (*text != '\0') {
        if (strncmp(text, "note=", 5) == 0)
            return true;
        char *word = text;
        text = lines_split(text);
        if (strncmp(word, "owner=", 6) == 0 && !notes->owner) {
            notes->owner = true;
        } else if (strncmp(word, "until=", 6) == 0 && notes->until == 0) {
            notes->until = clock_parse_day(word + 6);
            if (notes->until > 0)
                continue;
            report_line(report, line, "'%s' is no date: write until=2026-12-31", word + 6);
            return false;
        } else {
            report_line(report, line,
                        "'%s' is not understood: '; until=DATE owner=NAME note=TEXT', each at most "
                        "once, the note last",
                        word);
            return false;
        }
    }
    return true;
}

/* One line, read. */
struct entry {
    struct key key;
    const char *written, *value; /* of the line, which holds the text */
    int32_t until;
};

/* Whether the line holds an entry; what is wrong with it is reported. */
static bool parse_entry(const struct line *line, struct entry *entry, struct table_report *report)
{
    struct notes notes = {.until = 0};
    char problem[128];

    cut_comment(line->text);
    char *mark = notes_start(line->text);
    if (mark != NULL) {
        *mark = '\0';
        if (!read_notes(lines_skip(mark + 1), &notes, line->number, report))
            return false;
    }
    cut_blanks(line->text);
    entry->written = line->text;
    entry->value = lines_split(line->text);
    entry->until = notes.until;
    if (strchr(line->text, ';') != NULL) {
        report_line(report, line->number, "a key cannot hold ';': '%s'", line->text);
        return false;
    }
    if (!key_parse(line->text, strlen(line->text), &entry->key, problem)) {
        report_line(report, line->number, "'%s' %s", line->text, problem);
        return false;
    }
    return true;
}

static void read_entry(struct keyset *set, const struct line *line, struct table_report *report)
{
    struct entry entry;

    if (!parse_entry(line, &entry, report))
        return;
    if (keyset_add(set, &entry.key, entry.value, strlen(entry.value), entry.until) == KEYSET_FULL)
        report_line(report, line->number, "too many entries, or too many of '%s'", line->text);
}

static void *load(int fd, struct table_report *report)
{
    struct lines lines;
    struct line line;

    if (!lines_open(&lines, fd, false, report))
        return NULL;
    size_t count = 1;
    for (const char *at = lines.data; (at = strchr(at, '\n')) != NULL; at++)
        count++;
    struct keyset *set = keyset_new(count);
    while (lines_next(&lines, &line))
        read_entry(set, &line, report);
    lines_close(&lines);
    if (report->errors != 0) {
        keyset_free(set);
        return NULL;
    }
    keyset_finish(set);
    return set;
}

static void each_line(int fd, table_line_fn *each, void *arg)
{
    struct table_report report = {.path = ""};
    struct lines lines;
    struct line line;
    struct entry entry;

    if (lines_open(&lines, fd, false, &report)) {
        while (lines_next(&lines, &line))
            if (parse_entry(&line, &entry, &report))
                each(arg, line.number, entry.written, &entry.key);
        lines_close(&lines);
    }
    str_free(&report.text);
}

const struct table_backend table_backend_file = {
    .name = "file",
    .takes_file = true,
    .keeps_last = true,
    .load = load,
    .free = keyset_backend_free,
    .find = keyset_backend_find,
    .count = keyset_backend_count,
    .each = keyset_backend_each,
    .each_line = each_line,
};
