/* SPDX-License-Identifier: MIT */
#include <postern/reply.h>

#include <assert.h>
#include <string.h>

#include <postern/arena.h>
#include <postern/str.h>

enum { ID_MAX = 64 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_printable(char c)
{
    return c >= ' ' && c <= '~';
}

static size_t count_digits(const char *text)
{
    size_t count = 0;

    while (is_digit(text[count]))
        count++;
    return count;
}

/* Whether TEXT begins like "550 ", "550-" or "5.1.1": a client that reads codes from the text, or a
 * server that passes the reply on, could take it for the reply's own.  An IPv4 address begins so
 * too. */
static bool looks_like_code(const char *text)
{
    size_t first = count_digits(text);

    if (first == 3 && (text[3] == ' ' || text[3] == '-' || text[3] == '\0'))
        return true;
    if (first == 0 || text[first] != '.')
        return false;
    text += first + 1;
    size_t second = count_digits(text);
    return second > 0 && text[second] == '.' && is_digit(text[second + 1]);
}

/* ---- making ---- */

/* Between the codes and a text that looks like one. */
static const char apart[] = "- ";

/* Printable bytes, and '\n' between lines. */
static void add_clean(struct str *out, const char *text)
{
    for (; *text != '\0'; text++)
        str_add_char(out, *text == '\n' || is_printable(*text) ? *text : '?');
}

/* How many bytes of the LENGTH at TEXT fill one line of at most ROOM: up to the last blank that
 * fits, or ROOM where there is none. */
static size_t fold_at(const char *text, size_t length, size_t room)
{
    if (length <= room)
        return length;
    for (size_t i = room; i > 0; i--) {
        if (text[i] == ' ')
            return i;
    }
    return room;
}

/* How much text line I may have. */
static size_t line_room(const struct reply *reply, size_t i)
{
    bool named = reply->code == 450 || reply->code == 550 || reply->code == 553;

    return i == 0 && named ? REPLY_NAMED_MAX : REPLY_LINE_MAX;
}

/* The length of TEXT without the blanks at its end. */
static size_t without_blanks(const char *text, size_t length)
{
    while (length > 0 && text[length - 1] == ' ')
        length--;
    return length;
}

static void add_line(struct reply *reply, const char *line)
{
    if (reply->line_count < REPLY_LINES_MAX)
        reply->lines[reply->line_count] = line;
    /* Counted all the same, so that the caller sees what did not fit. */
    reply->line_count++;
}

/* Adds one line of the text, folded; an empty one is left out (RFC 5321 4.2: a line's text, where
 * there is one, is at least one character). */
static void add_folded(struct arena *arena, struct reply *reply, const char *text, size_t length)
{
    for (;;) {
        while (length > 0 && text[0] == ' ') {
            text++;
            length--;
        }
        length = without_blanks(text, length);
        if (length == 0)
            return;
        size_t room = line_room(reply, reply->line_count);
        size_t taken = fold_at(text, length, room);
        const char *line = arena_strndup(arena, text, without_blanks(text, taken));
        if (looks_like_code(line)) {
            taken = fold_at(text, length, room - strlen(apart));
            line = arena_printf(arena, "%s%.*s", apart, (int)without_blanks(text, taken), text);
        }
        add_line(reply, line);
        text += taken;
        length -= taken;
    }
}

static void check_codes(int code, const int enhanced[3])
{
    assert(code >= 400 && code <= 599 && enhanced[0] == code / 100);
    assert(enhanced[1] >= 0 && enhanced[1] <= 999 && enhanced[2] >= 0 && enhanced[2] <= 999);
    (void)code;
    (void)enhanced;
}

/* The id goes behind the last line where there is room, never apart from its "ref"; where the text
 * was too long for a reply it leads to the rest. */
static void add_id(struct arena *arena, struct reply *reply, const char *id)
{
    size_t count = reply->line_count;

    if (count > REPLY_LINES_MAX) {
        reply->line_count = REPLY_LINES_MAX;
        reply->lines[REPLY_LINES_MAX - 1] =
            arena_printf(arena, "...%s%s", id[0] != '\0' ? " " : "", id);
    } else if (id[0] == '\0') {
        return;
    } else if (count > 0 &&
               strlen(reply->lines[count - 1]) + 1 + strlen(id) <= line_room(reply, count - 1)) {
        reply->lines[count - 1] = arena_printf(arena, "%s %s", reply->lines[count - 1], id);
    } else if (count < REPLY_LINES_MAX) {
        add_line(reply, arena_strdup(arena, id));
    } else {
        reply->lines[count - 1] = arena_printf(arena, "... %s", id);
    }
}

struct reply *reply_new(struct arena *arena, int code, const int enhanced[3], const char *text,
                        const char *append_id)
{
    struct reply *reply = arena_alloc(arena, sizeof(*reply));
    struct str clean = {0};
    struct str id = {0};

    check_codes(code, enhanced);
    reply->code = code;
    memcpy(reply->enhanced, enhanced, sizeof(reply->enhanced));
    add_clean(&clean, text);
    for (const char *line = str_text(&clean); line != NULL;) {
        const char *end = strchr(line, '\n');
        add_folded(arena, reply, line, end != NULL ? (size_t)(end - line) : strlen(line));
        line = end != NULL ? end + 1 : NULL;
    }
    if (append_id != NULL) {
        str_add(&id, "(ref ");
        for (size_t i = 0; i < ID_MAX && append_id[i] != '\0'; i++)
            str_add_char(&id, is_printable(append_id[i]) ? append_id[i] : '?');
        str_add_char(&id, ')');
    } else if (reply->line_count == 0) {
        str_add(&id, "Refused by policy");
    }
    add_id(arena, reply, str_text(&id));
    str_free(&clean);
    str_free(&id);
    assert(reply_valid(reply));
    return reply;
}

bool reply_valid(const struct reply *reply)
{
    if (reply->code < 400 || reply->code > 599 || reply->enhanced[0] != reply->code / 100)
        return false;
    for (int i = 1; i < 3; i++) {
        if (reply->enhanced[i] < 0 || reply->enhanced[i] > 999)
            return false;
    }
    if (reply->line_count < 1 || reply->line_count > REPLY_LINES_MAX)
        return false;
    for (size_t i = 0; i < reply->line_count; i++) {
        const char *line = reply->lines[i];
        if (line == NULL || line[0] == '\0' || looks_like_code(line))
            return false;
        size_t length = 0;
        while (is_printable(line[length]))
            length++;
        if (line[length] != '\0' || length > line_room(reply, i))
            return false;
    }
    return true;
}

/* ---- showing ---- */

const char *reply_format(struct arena *arena, const struct reply *reply)
{
    struct str out = {0};

    /* RFC 2034 section 4: the enhanced code stands on each line. */
    for (size_t i = 0; i < reply->line_count; i++) {
        bool last = i + 1 == reply->line_count;
        str_add_format(&out, "%d%c%d.%d.%d %s%s", reply->code, last ? ' ' : '-', reply->enhanced[0],
                       reply->enhanced[1], reply->enhanced[2], reply->lines[i], last ? "" : "\r\n");
    }
    const char *text = arena_strdup(arena, str_text(&out));
    str_free(&out);
    return text;
}

const char *reply_oneline(struct arena *arena, const struct reply *reply)
{
    struct str out = {0};

    str_add_format(&out, "%d %d.%d.%d", reply->code, reply->enhanced[0], reply->enhanced[1],
                   reply->enhanced[2]);
    for (size_t i = 0; i < reply->line_count; i++)
        str_add_format(&out, "%s%s", i == 0 ? " " : " / ", reply->lines[i]);
    const char *text = arena_strdup(arena, str_text(&out));
    str_free(&out);
    return text;
}

const char *reply_line_doubled(struct arena *arena, const struct reply *reply, size_t i)
{
    assert(i < reply->line_count);
    const char *line = reply->lines[i];
    char *doubled = arena_alloc(arena, 2 * strlen(line) + 1);
    char *end = doubled;

    for (; *line != '\0'; line++) {
        *end++ = *line;
        if (*line == '%')
            *end++ = '%';
    }
    return doubled;
}

bool reply_parse_enhanced(const char *text, int numbers[3])
{
    for (int i = 0; i < 3; i++) {
        size_t digits = count_digits(text);
        if (digits < 1 || digits > 3 || (digits > 1 && text[0] == '0'))
            return false;
        numbers[i] = 0;
        for (size_t j = 0; j < digits; j++)
            numbers[i] = 10 * numbers[i] + (text[j] - '0');
        text += digits;
        if (*text != (i < 2 ? '.' : '\0'))
            return false;
        text += i < 2;
    }
    return numbers[0] == 2 || numbers[0] == 4 || numbers[0] == 5;
}
