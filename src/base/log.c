/* SPDX-License-Identifier: MIT */
#include <postern/log.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

enum { MESSAGE_MAX = 2048, IDENT_MAX = 64 };

static const struct {
    const char *word;
    int priority;
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error", LOG_ERR},
    [LOG_LEVEL_WARNING] = {"warning", LOG_WARNING},
    [LOG_LEVEL_INFO] = {"info", LOG_INFO},
    [LOG_LEVEL_DEBUG] = {"debug", LOG_DEBUG},
};

/* The process has one log: this is the only state that does not hang off somebody's struct.  It is
 * written by log_open() before there are threads; only the level changes later.  openlog(3) keeps
 * the pointer to the ident. */
static char log_ident[IDENT_MAX] = "postern";
static bool log_to_stderr = true;
static bool log_to_syslog = false;
static atomic_int log_level = LOG_LEVEL_INFO;

void log_open(const char *ident, enum log_level level, int to_stderr, int to_syslog)
{
    snprintf(log_ident, sizeof(log_ident), "%s", ident);
    log_to_stderr = to_stderr != 0;
    if (log_to_syslog)
        closelog();
    log_to_syslog = to_syslog != 0;
    if (log_to_syslog)
        openlog(log_ident, LOG_PID | LOG_NDELAY, LOG_MAIL);
    log_set_level(level);
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

/* Writes TEXT to OUT with \xNN for everything but printable ASCII, and "..." where it was cut. */
static void clean(const char *text, char out[MESSAGE_MAX], bool cut)
{
    static const char digits[] = "0123456789abcdef";
    size_t room = MESSAGE_MAX - sizeof("...");
    size_t used = 0;

    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        bool printable = c >= 0x20 && c < 0x7f;

        if (used + (printable ? 1 : 4) > room) {
            cut = true;
            break;
        }
        if (printable) {
            out[used++] = (char)c;
            continue;
        }
        out[used++] = '\\';
        out[used++] = 'x';
        out[used++] = digits[c >> 4];
        out[used++] = digits[c & 0x0f];
    }
    memcpy(out + used, cut ? "..." : "", cut ? sizeof("...") : 1);
}

/* One write(2) a line, so that the lines of several threads do not mix. */
static void write_stderr(const char *word, const char *text)
{
    char line[IDENT_MAX + MESSAGE_MAX + 32];
    int length = snprintf(line, sizeof(line), "%s: %s: %s\n", log_ident, word, text);
    ssize_t written = write(STDERR_FILENO, line, (size_t)length);

    /* There is nobody left to tell when standard error fails. */
    (void)written;
}

static void log_message(enum log_level level, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void log_message(enum log_level level, const char *format, va_list args)
{
    int saved_errno = errno;
    char raw[MESSAGE_MAX];
    char text[MESSAGE_MAX];
    int length;

    if ((int)level > atomic_load_explicit(&log_level, memory_order_relaxed))
        return;
    length = vsnprintf(raw, sizeof(raw), format, args);
    if (length < 0)
        snprintf(raw, sizeof(raw), "message could not be formatted: %s", format);
    clean(raw, text, length >= (int)sizeof(raw));
    if (log_to_stderr)
        write_stderr(levels[level].word, text);
    /* Log files do not show the priority, so trouble says what it is. */
    if (log_to_syslog && level <= LOG_LEVEL_WARNING)
        syslog(levels[level].priority, "%s: %s", levels[level].word, text);
    else if (log_to_syslog)
        syslog(levels[level].priority, "%s", text);
    errno = saved_errno;
}

void log_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_message(LOG_LEVEL_ERROR, format, args);
    va_end(args);
}

void log_warning(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_message(LOG_LEVEL_WARNING, format, args);
    va_end(args);
}

void log_info(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_message(LOG_LEVEL_INFO, format, args);
    va_end(args);
}

void log_debug(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_message(LOG_LEVEL_DEBUG, format, args);
    va_end(args);
}
