/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_LOG_H
#define POSTERN_LOG_H

#include <stdarg.h>

/*
 * The daemon's own messages (not the audit records): to standard error and, once the daemon
 * serves, to syslog (facility mail).  Safe from any thread.  Text from outside is cleaned: control
 * characters and 8-bit bytes are written as \xNN, so that no line can be forged; what is longer
 * than about 2 kB ends in "...".  errno is kept.  Before log_open() messages of level info and
 * above go to standard error.  A line there reads "postern: warning: text".
 */
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Where messages go from now on.  IDENT is copied.  Call before threads are started, or on reload
 * (level only changes then).  Messages go to standard error when TO_STDERR, to syslog when
 * TO_SYSLOG. */
void log_open(const char *ident, enum log_level level, int to_stderr, int to_syslog);
void log_set_level(enum log_level level);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
