/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_CLOCK_H
#define POSTERN_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Monotonic time in milliseconds and microseconds; the wall clock for records and dates. */
int64_t clock_ms(void);
int64_t clock_us(void);
time_t clock_wall(void);

/* The local calendar day of WHEN as yyyymmdd (-1 beyond what the calendar holds), for comparing
 * with dates in the configuration. */
int32_t clock_day(time_t when);

/* Reads "2026-12-31" into 20261231; -1 when it is no date of the calendar. */
int32_t clock_parse_day(const char *text);

#endif
