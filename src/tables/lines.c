/* SPDX-License-Identifier: MIT */
#include "lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <postern/arena.h>

enum {
    ERRORS_MAX = 20,
    ERROR_LENGTH = 300,
    LINE_MAX_BYTES = 64 * 1024,
    FILE_MAX_BYTES = 1 << 30,
    READ_STEP = 64 * 1024,
};

static void report_text(struct table_report *report, unsigned line, const char *format,
                        va_list args)
{
    struct str text = {0};

    if (report->errors++ >= ERRORS_MAX)
        return;
    if (report->text.length != 0)
        str_add_char(&report->text, '\n');
    str_add(&report->text, report->path);
    if (line != 0)
        str_add_format(&report->text, ":%u", line);
    str_add(&report->text, ": ");
    /* What is quoted from the file may be long, and anything. */
    str_add_vformat(&text, format, args);
    for (size_t i = 0; i < text.length && i < ERROR_LENGTH; i++)
        str_add_char(&report->text,
                     text.data[i] >= ' ' && text.data[i] <= '~' ? text.data[i] : '?');
    str_free(&text);
}

void report_line(struct table_report *report, unsigned line, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report_text(report, line, format, args);
    va_end(args);
}

void report_file(struct table_report *report, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report_text(report, 0, format, args);
    va_end(args);
}

bool report_full(const struct table_report *report)
{
    return report->errors >= ERRORS_MAX;
}

bool lines_open(struct lines *lines, int fd, bool logical, struct table_report *report)
{
    struct stat status;
    size_t room;
    ssize_t got = 0;

    *lines = (struct lines){.logical = logical, .report = report};
    if (fstat(fd, &status) != 0) {
        report_file(report, "%s", strerror(errno));
        return false;
    }
    if (status.st_size > FILE_MAX_BYTES) {
        report_file(report, "the file is larger than %d MB", FILE_MAX_BYTES >> 20);
        return false;
    }
    room = (size_t)status.st_size + 2;
    lines->data = xmalloc(room);
    for (;;) {
        if (room - lines->length < 2) {
            room += READ_STEP;
            lines->data = xrealloc(lines->data, room);
        }
        got = read(fd, lines->data + lines->length, room - lines->length - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || lines->length > FILE_MAX_BYTES)
            break;
        lines->length += (size_t)got;
    }
    if (got != 0) {
        report_file(report, "%s", got < 0 ? strerror(errno) : "the file is too large");
        lines_close(lines);
        return false;
    }
    lines->data[lines->length] = '\0';
    report->incomplete = lines->length != 0 && lines->data[lines->length - 1] != '\n';
    return true;
}

void lines_close(struct lines *lines)
{
    free(lines->data);
    lines->data = NULL;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Cuts the physical line at lines->next; returns its length without its line end and the blanks
 * before that.  The byte order mark that some editors put in front is no part of it, or a key in
 * the first line, or in that of a file put behind another, would be one that nobody can see. */
static size_t take_physical(struct lines *lines, char **text)
{
    static const char mark[] = "\xef\xbb\xbf";
    char *start = lines->data + lines->next;
    size_t left = lines->length - lines->next;
    char *end = memchr(start, '\n', left);
    size_t length = end != NULL ? (size_t)(end - start) : left;

    lines->next += length + (end != NULL ? 1 : 0);
    lines->number++;
    if (length >= strlen(mark) && memcmp(start, mark, strlen(mark)) == 0) {
        start += strlen(mark);
        length -= strlen(mark);
    }
    while (length != 0 && (is_blank(start[length - 1]) || start[length - 1] == '\r'))
        length--;
    *text = start;
    return length;
}

static bool is_comment(const char *text, size_t length)
{
    size_t i = 0;

    while (i < length && is_blank(text[i]))
        i++;
    return i == length || text[i] == '#';
}

/* Adds the physical lines that go on with LINE; the text moves together in its own place. */
static void join(struct lines *lines, struct line *line)
{
    while (lines->next < lines->length) {
        size_t before = lines->next;
        unsigned number = lines->number;
        char *text;
        size_t length = take_physical(lines, &text);
        if (is_comment(text, length))
            continue;
        if (!is_blank(text[0])) {
            lines->next = before;
            lines->number = number;
            return;
        }
        memmove(line->text + line->length, text, length);
        line->length += length;
    }
}

bool lines_next(struct lines *lines, struct line *line)
{
    while (lines->next < lines->length && !report_full(lines->report)) {
        line->length = take_physical(lines, &line->text);
        line->number = lines->number;
        if (is_comment(line->text, line->length))
            continue;
        if (is_blank(line->text[0])) {
            report_line(lines->report, line->number,
                        lines->logical ? "the first line begins with blanks"
                                       : "an entry may not begin with blanks");
            continue;
        }
        if (lines->logical)
            join(lines, line);
        if (line->length > LINE_MAX_BYTES) {
            report_line(lines->report, line->number, "the line is longer than %d bytes",
                        LINE_MAX_BYTES);
        } else if (memchr(line->text, '\0', line->length) != NULL) {
            report_line(lines->report, line->number, "the line holds a NUL byte: no text file?");
        } else {
            line->text[line->length] = '\0';
            return true;
        }
    }
    return false;
}

char *lines_skip(char *text)
{
    while (is_blank(*text))
        text++;
    return text;
}

char *lines_split(char *text)
{
    char *end = text + strcspn(text, " \t");

    if (*end == '\0')
        return end;
    *end = '\0';
    return lines_skip(end + 1);
}
