/* SPDX-License-Identifier: MIT */
#include <postern/diag.h>

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <postern/arena.h>
#include <postern/str.h>

enum {
    KEPT_MAX = 100,     /* of errors, and of warnings */
    TEXT_MAX = 400,     /* of one message; it may quote a huge word */
    LINE_WINDOW = 160,  /* bytes of the line that are shown */
    WINDOW_BEFORE = 80, /* of them before the caret */
};

/* A message is a text of its own from the start: the source may be gone when it is printed. */
struct message {
    char *line;    /* "FILE:1:2: error: text" */
    char *snippet; /* the line and the caret below it, or NULL */
    size_t place;  /* bytes of "FILE:1:2: " */
    bool error;
};

struct diag {
    struct message *messages;
    unsigned count;
    unsigned room;
    unsigned errors;
    unsigned warnings;
};

struct diag *diag_new(void)
{
    return xcalloc(1, sizeof(struct diag));
}

void diag_free(struct diag *diag)
{
    if (diag == NULL)
        return;
    for (unsigned i = 0; i < diag->count; i++) {
        free(diag->messages[i].line);
        free(diag->messages[i].snippet);
    }
    free(diag->messages);
    free(diag);
}

static void add_clean(struct str *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        str_add_char(out, text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
}

/* Finds line NUMBER, without its line end.  False when the source has no such line. */
static bool find_line(const struct source *source, uint32_t number, const char **line,
                      size_t *length)
{
    const char *at = source->text;

    if (at == NULL || number == 0)
        return false;
    const char *end = at + source->length;
    for (uint32_t i = 1; i < number; i++) {
        at = memchr(at, '\n', (size_t)(end - at));
        if (at == NULL)
            return false;
        at++;
    }
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    if (stop == NULL)
        stop = end;
    if (stop > at && stop[-1] == '\r')
        stop--;
    *line = at;
    *length = (size_t)(stop - at);
    return true;
}

/* The line and below it the caret; of a long line only what is around the caret. */
static char *make_snippet(const struct place *at)
{
    const char *line;
    size_t length;
    struct str out = {0};

    if (at->column == 0 || !find_line(at->source, at->line, &line, &length))
        return NULL;
    size_t column = at->column - 1 < length ? at->column - 1 : length;
    size_t from = column > LINE_WINDOW - WINDOW_BEFORE ? column - WINDOW_BEFORE : 0;
    if (length <= LINE_WINDOW)
        from = 0;
    size_t to = length - from > LINE_WINDOW ? from + LINE_WINDOW : length;

    str_add(&out, from > 0 ? "    ..." : "    ");
    for (size_t i = from; i < to; i++)
        str_add_char(&out, line[i] == '\t' || (line[i] >= ' ' && line[i] <= '~') ? line[i] : '?');
    str_add(&out, to < length ? "...\n" : "\n");

    str_add(&out, from > 0 ? "       " : "    ");
    for (size_t i = from; i < column; i++)
        str_add_char(&out, line[i] == '\t' ? '\t' : ' ');
    str_add_char(&out, '^');
    for (size_t i = column + 1; i < to && i < column + at->width; i++)
        str_add_char(&out, '~');
    str_add_char(&out, '\n');
    return out.data;
}

static char *make_line(const struct place *at, const char *severity, const char *format,
                       va_list args, size_t *place)
{
    struct str text = {0};
    struct str out = {0};

    if (at != NULL && at->source != NULL && at->source->path != NULL) {
        add_clean(&out, at->source->path, strlen(at->source->path));
        if (at->line > 0)
            str_add_format(&out, ":%u", (unsigned)at->line);
        if (at->line > 0 && at->column > 0)
            str_add_format(&out, ":%u", (unsigned)at->column);
        str_add(&out, ": ");
    }
    *place = out.length;
    str_add(&out, severity);
    str_add(&out, ": ");
    str_add_vformat(&text, format, args);
    add_clean(&out, str_text(&text), text.length > TEXT_MAX ? TEXT_MAX : text.length);
    if (text.length > TEXT_MAX)
        str_add(&out, "...");
    str_free(&text);
    return out.data;
}

static void add(struct diag *diag, const struct place *at, bool error, const char *format,
                va_list args)
{
    if (diag->count == diag->room) {
        diag->room = diag->room == 0 ? 8 : 2 * diag->room;
        diag->messages = xrealloc(diag->messages, diag->room * sizeof(*diag->messages));
    }
    struct message *message = &diag->messages[diag->count++];
    message->error = error;
    message->line = make_line(at, error ? "error" : "warning", format, args, &message->place);
    message->snippet = at != NULL && at->source != NULL ? make_snippet(at) : NULL;
}

void diag_error(struct diag *diag, const struct place *at, const char *format, ...)
{
    if (diag->errors++ >= KEPT_MAX)
        return;
    va_list args;
    va_start(args, format);
    add(diag, at, true, format, args);
    va_end(args);
}

void diag_warning(struct diag *diag, const struct place *at, const char *format, ...)
{
    if (diag->warnings++ >= KEPT_MAX)
        return;
    va_list args;
    va_start(args, format);
    add(diag, at, false, format, args);
    va_end(args);
}

unsigned diag_errors(const struct diag *diag)
{
    return diag->errors;
}

unsigned diag_warnings(const struct diag *diag)
{
    return diag->warnings;
}

static void print_message(const struct message *message, const struct diag_style *style, FILE *out)
{
    const char *severity = message->line + message->place;
    int length = (int)strcspn(severity, ":") + 1;

    fprintf(out, "%s%.*s%s%s%.*s%s%s\n", style->place, (int)message->place, message->line,
            style->end, message->error ? style->error : style->warning, length, severity,
            style->end, severity + length);
    if (message->snippet == NULL)
        return;
    int line = (int)strcspn(message->snippet, "\n") + 1;
    int caret = (int)strcspn(message->snippet + line, "\n");
    fprintf(out, "%.*s%s%.*s%s\n", line, message->snippet, style->caret, caret,
            message->snippet + line, style->end);
}

/* The message that is shown as number I.  Errors come first: what follows from them, such as a rule
 * below that can never speak, would bury them. */
static const struct message *nth(const struct diag *diag, unsigned i)
{
    for (unsigned pass = 0; pass < 2; pass++)
        for (unsigned j = 0; j < diag->count; j++)
            if (diag->messages[j].error == (pass == 0) && i-- == 0)
                return &diag->messages[j];
    return NULL;
}

void diag_print_styled(const struct diag *diag, const struct diag_style *style, FILE *out)
{
    for (unsigned i = 0; i < diag->count; i++)
        print_message(nth(diag, i), style, out);
    if (diag->errors > KEPT_MAX)
        fprintf(out, "and %u more errors\n", diag->errors - KEPT_MAX);
    if (diag->warnings > KEPT_MAX)
        fprintf(out, "and %u more warnings\n", diag->warnings - KEPT_MAX);
}

void diag_print(const struct diag *diag, FILE *out)
{
    static const struct diag_style plain = {"", "", "", "", ""};

    diag_print_styled(diag, &plain, out);
}

const char *diag_line(const struct diag *diag, unsigned i)
{
    const struct message *message = nth(diag, i);

    return message != NULL ? message->line : NULL;
}

bool diag_is_error(const struct diag *diag, unsigned i)
{
    const struct message *message = nth(diag, i);

    return message != NULL && message->error;
}
