/* SPDX-License-Identifier: MIT */
#include "audit_private.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <systemd/sd-journal.h>

#include <postern/arena.h>
#include <postern/log.h>
#include <postern/str.h>

/*
 * The sinks: syslog by a socket of our own (so that the daemon's messages keep their own identity
 * and a syslog daemon that has stopped cannot hold them up), the journal, files.
 */
enum { SEND_WAIT_S = 2, WARN_EVERY_S = 60 };

static const char DEVICE[] = "/dev/log";
static const char JOURNAL[] = "/run/systemd/journal/socket";

enum sink_kind { SINK_SYSLOG, SINK_JOURNAL, SINK_FILE };

struct sink {
    enum sink_kind kind;
    const char *name; /* for messages: "syslog", "journal", the path */
    int fd;           /* -1: not open */
    bool regular;     /* the file is one: it takes as much at once as its disk has room for */
    bool begun;       /* the file was written to since it was opened */
    bool torn;        /* the file ends in half a line */
    bool stuck;       /* the reader did not read in time: not waited for again until it does */
    time_t warned;    /* monotonic */
    uint64_t failed;  /* since then */
};

struct sinks {
    struct arena *arena;   /* of names */
    struct arena *line;    /* of what is being written */
    struct str text;       /* the same, as files have them */
    time_t date_of;        /* what date and tail say */
    struct str date, tail; /* of a line's head, before and behind the milliseconds */
    const char *ident;
    int pid;
    struct sink *sinks;
    size_t count;
};

/* ---- opening ---- */

static bool open_sink(struct sinks *sinks, const char *to, char **error)
{
    struct sink *sink = &sinks->sinks[sinks->count];

    *sink =
        (struct sink){.name = arena_strdup(sinks->arena, to), .fd = -1, .warned = -WARN_EVERY_S};
    sinks->count++;
    if (strcmp(to, "syslog") == 0) {
        sink->kind = SINK_SYSLOG;
    } else if (strcmp(to, "journal") == 0) {
        sink->kind = SINK_JOURNAL;
    } else if (strncmp(to, "file:", 5) == 0) {
        sink->kind = SINK_FILE;
        sink->name += 5;
        /* O_NONBLOCK is for a FIFO: without a reader it is refused, and none can hold us up. */
        sink->fd = open(sink->name,
                        O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
        if (sink->fd < 0) {
            *error =
                str_printf("cannot open %s for audit records: %s", sink->name, strerror(errno));
            return false;
        }
        struct stat status;
        sink->regular = fstat(sink->fd, &status) == 0 && S_ISREG(status.st_mode);
    } else {
        *error = str_printf("audit: '%s' is neither syslog, journal nor file:PATH", to);
        return false;
    }
    return true;
}

struct sinks *sinks_open(const struct audit_options *options, char **error)
{
    struct arena *arena = arena_new();
    struct sinks *sinks = arena_alloc(arena, sizeof(*sinks));

    sinks->arena = arena;
    sinks->line = arena_new();
    sinks->ident = arena_strdup(arena, options->ident);
    sinks->pid = (int)getpid();
    sinks->text = (struct str){0};
    sinks->sinks = arena_alloc(arena, options->to_count * sizeof(sinks->sinks[0]));
    for (size_t i = 0; i < options->to_count; i++) {
        if (!open_sink(sinks, options->to[i], error)) {
            sinks_close(sinks);
            return NULL;
        }
    }
    return sinks;
}

void sinks_close(struct sinks *sinks)
{
    if (sinks == NULL)
        return;
    for (size_t i = 0; i < sinks->count; i++)
        if (sinks->sinks[i].fd >= 0)
            close(sinks->sinks[i].fd);
    str_free(&sinks->text);
    str_free(&sinks->date);
    str_free(&sinks->tail);
    arena_free(sinks->line);
    arena_free(sinks->arena);
}

bool sinks_want_fields(const struct sinks *sinks)
{
    for (size_t i = 0; i < sinks->count; i++)
        if (sinks->sinks[i].kind == SINK_JOURNAL)
            return true;
    return false;
}

/* ---- syslog ---- */

static bool connect_syslog(struct sink *sink)
{
    const struct timeval wait = {.tv_sec = SEND_WAIT_S};
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (sink->fd >= 0)
        close(sink->fd);
    memcpy(address.sun_path, DEVICE, sizeof(DEVICE));
    sink->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (sink->fd < 0)
        return false;
    setsockopt(sink->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    if (connect(sink->fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return true;
    int saved = errno;
    close(sink->fd);
    sink->fd = -1;
    errno = saved;
    return false;
}

static bool send_text(struct sink *sink, const char *text)
{
    bool sent =
        send(sink->fd, text, strlen(text), MSG_NOSIGNAL | (sink->stuck ? MSG_DONTWAIT : 0)) >= 0;

    sink->stuck = !sent && errno == EAGAIN;
    return sent;
}

/* RFC 3164 as local daemons write it: the time in English words whatever the locale, no host name.
 */
static bool write_syslog(struct sinks *sinks, struct sink *sink, const struct queued *record)
{
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm tm;
    const char *text;

    localtime_r(&record->when.tv_sec, &tm);
    text = arena_printf(sinks->line, "<%d>%s %2d %02d:%02d:%02d %s[%d]: %s", LOG_MAIL | LOG_INFO,
                        months[tm.tm_mon], tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                        sinks->ident, sinks->pid, record->line);
    if (sink->fd >= 0 && send_text(sink, text))
        return true;
    /* A syslog daemon that was started anew has another socket behind the name; one that does not
     * read in time would not do so now. */
    if (sink->fd >= 0 && (errno == EAGAIN || errno == EMSGSIZE))
        return false;
    return connect_syslog(sink) && send_text(sink, text);
}

/* ---- journal ---- */

/* Keys of journal fields are capital letters, digits and '_'. */
static struct iovec journal_field(struct arena *arena, const char *key, const char *value)
{
    char *text = arena_printf(arena, "POSTERN_%s=%.4000s", key, value);

    for (char *c = text; *c != '='; c++)
        *c = isalnum((unsigned char)*c) ? (char)toupper((unsigned char)*c) : '_';
    return (struct iovec){.iov_base = text, .iov_len = strlen(text)};
}

static struct iovec plain_field(const char *text)
{
    return (struct iovec){.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
}

static bool write_journal(struct sinks *sinks, const struct queued *record)
{
    struct iovec *fields = arena_alloc(sinks->line, (record->count + 4) * sizeof(fields[0]));
    size_t count = 0;
    int result;

    /* The library takes a machine without a journal for one that wants no messages. */
    if (access(JOURNAL, F_OK) != 0)
        return false;
    fields[count++] = plain_field(arena_printf(sinks->line, "MESSAGE=%s", record->line));
    fields[count++] = plain_field(arena_printf(sinks->line, "PRIORITY=%d", LOG_INFO));
    fields[count++] = plain_field(arena_printf(sinks->line, "SYSLOG_FACILITY=%d", LOG_MAIL >> 3));
    fields[count++] = plain_field(arena_printf(sinks->line, "SYSLOG_IDENTIFIER=%s", sinks->ident));
    for (size_t i = 0; i < record->count; i++)
        fields[count++] =
            journal_field(sinks->line, record->fields[i].key, record->fields[i].value);
    result = sd_journal_sendv(fields, (int)count);
    if (result < 0)
        errno = -result;
    return result >= 0;
}

/* ---- failures ---- */

/* One line a minute, not one per record: whatever is full may be what the messages go to, too. */
static void count_failure(struct sink *sink, int error)
{
    struct timespec now;

    sink->failed++;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec - sink->warned < WARN_EVERY_S)
        return;
    log_warning("%llu audit records could not be written to %s: %s",
                (unsigned long long)sink->failed, sink->name, strerror(error));
    sink->warned = now.tv_sec;
    sink->failed = 0;
}

static void lose(struct sink *sink, struct queued *record, int error)
{
    record->failed = true;
    count_failure(sink, error);
}

/* ---- files ---- */

/* Whether whoever wrote to the file before left half a line at its end.  A file that cannot be read
 * is taken to be as it should. */
static bool ends_torn(const struct sink *sink)
{
    struct stat status;
    char last = '\n';

    if (fstat(sink->fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0)
        return false;
    int fd = open(sink->name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return false;
    if (pread(fd, &last, 1, status.st_size - 1) != 1)
        last = '\n';
    close(fd);
    return last != '\n';
}

static ssize_t write_once(const struct sink *sink, const struct iovec *parts, int count)
{
    ssize_t written;

    do
        written = writev(sink->fd, parts, count);
    while (written < 0 && errno == EINTR);
    return written;
}

/* A disk takes at once what it takes; the reader of a FIFO is given a moment. */
static ssize_t write_parts(struct sink *sink, const struct iovec *parts, int count)
{
    struct pollfd room = {.fd = sink->fd, .events = POLLOUT};
    ssize_t written = write_once(sink, parts, count);

    if (written < 0 && errno == EAGAIN && !sink->stuck && poll(&room, 1, SEND_WAIT_S * 1000) == 1)
        written = write_once(sink, parts, count);
    if (written < 0)
        sink->stuck = errno == EAGAIN;
    else if (sink->stuck)
        /* A short line may have found its place behind others that nobody has read. */
        sink->stuck = poll(&room, 1, 0) != 1;
    return written;
}

/* RFC 3339: the offset has a colon. */
static void set_date(struct sinks *sinks, time_t when)
{
    char date[32], zone[8];
    struct tm tm;

    localtime_r(&when, &tm);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    strftime(zone, sizeof(zone), "%z", &tm);
    str_clear(&sinks->date);
    str_clear(&sinks->tail);
    str_add(&sinks->date, date);
    str_add_format(&sinks->tail, "%.3s:%s %s[%d]: ", zone, zone + 3, sinks->ident, sinks->pid);
    sinks->date_of = when;
}

static void add_head(struct sinks *sinks, const struct queued *record)
{
    const long ms = record->when.tv_nsec / 1000000;
    const char digits[] = {'.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10),
                           (char)('0' + ms % 10)};

    if (sinks->date.length == 0 || sinks->date_of != record->when.tv_sec)
        set_date(sinks, record->when.tv_sec);
    str_add_bytes(&sinks->text, sinks->date.data, sinks->date.length);
    str_add_bytes(&sinks->text, digits, sizeof(digits));
    str_add_bytes(&sinks->text, sinks->tail.data, sinks->tail.length);
}

/* Writes COUNT lines, LENGTH octets in all, with one call.  Returns how many are in the file or
 * lost, which is more than none. */
static size_t write_lines(struct sink *sink, const char *text, size_t length,
                          struct queued **records, const size_t *lengths, size_t count)
{
    /* A line that was torn by a full disk is ended first. */
    struct iovec parts[2] = {{.iov_base = (void *)(uintptr_t) "\n", .iov_len = sink->torn},
                             {.iov_base = (void *)(uintptr_t)text, .iov_len = length}};
    ssize_t result = write_parts(sink, parts, 2);
    int error = result < 0 ? errno : ENOSPC;
    size_t whole = 0, written = 0;

    if (result <= 0) {
        for (size_t i = 0; i < count; i++)
            lose(sink, records[i], error);
        return count;
    }
    written = (size_t)result - sink->torn;
    for (; whole < count && lengths[whole] <= written; whole++)
        written -= lengths[whole];
    sink->torn = written > 0;
    /* What is left of the line is not written later: there may be no room for long. */
    if (whole < count && (written > 0 || whole == 0))
        lose(sink, records[whole++], error);
    return whole;
}

static void write_file(struct sinks *sinks, struct sink *sink, struct queued **records,
                       const size_t *lengths, size_t count)
{
    const char *text = str_text(&sinks->text);

    if (!sink->begun)
        sink->torn = ends_torn(sink);
    sink->begun = true;
    for (size_t i = 0; i < count;) {
        size_t lines = 1, length = lengths[i], done;
        /* A FIFO takes up to PIPE_BUF octets or none; of more it may take a part. */
        while (i + lines < count &&
               (sink->regular || sink->torn + length + lengths[i + lines] <= PIPE_BUF))
            length += lengths[i + lines++];
        done = write_lines(sink, text, length, &records[i], &lengths[i], lines);
        while (done-- > 0)
            text += lengths[i++];
    }
}

/* ---- all ---- */

/* Files are given their lines together. */
static void write_files(struct sinks *sinks, struct queued *records, size_t count)
{
    struct queued **list = arena_alloc(sinks->line, count * sizeof(list[0]));
    size_t *lengths = arena_alloc(sinks->line, count * sizeof(lengths[0]));

    str_clear(&sinks->text);
    for (size_t i = 0; i < count; i++, records = records->next) {
        size_t before = sinks->text.length;
        add_head(sinks, records);
        str_add_bytes(&sinks->text, records->line, records->length);
        str_add_char(&sinks->text, '\n');
        list[i] = records;
        lengths[i] = sinks->text.length - before;
    }
    for (size_t i = 0; i < sinks->count; i++)
        if (sinks->sinks[i].kind == SINK_FILE)
            write_file(sinks, &sinks->sinks[i], list, lengths, count);
}

static void write_message(struct sinks *sinks, struct sink *sink, struct queued *record)
{
    errno = 0;
    if (!(sink->kind == SINK_SYSLOG ? write_syslog(sinks, sink, record)
                                    : write_journal(sinks, record)))
        lose(sink, record, errno);
}

void sinks_write(struct sinks *sinks, struct queued *records, size_t count)
{
    struct queued *record = records;
    bool files = false;

    for (size_t i = 0; i < count; i++, record = record->next)
        for (size_t k = 0; k < sinks->count; k++)
            if (sinks->sinks[k].kind != SINK_FILE)
                write_message(sinks, &sinks->sinks[k], record);
    for (size_t k = 0; k < sinks->count; k++)
        files = files || sinks->sinks[k].kind == SINK_FILE;
    if (files)
        write_files(sinks, records, count);
    arena_reset(sinks->line);
}
