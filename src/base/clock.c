/* SPDX-License-Identifier: MIT */
#include <postern/clock.h>

#include <string.h>

int64_t clock_us(void)
{
    struct timespec now;

    /* CLOCK_MONOTONIC exists on every system that runs this; the call cannot fail. */
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_ms(void)
{
    return clock_us() / 1000;
}

time_t clock_wall(void)
{
    return time(NULL);
}

int32_t clock_day(time_t when)
{
    struct tm day;

    if (localtime_r(&when, &day) == NULL)
        return -1;
    return (day.tm_year + 1900) * 10000 + (day.tm_mon + 1) * 100 + day.tm_mday;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (month == 2 && (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)))
        return 29;
    return days[month - 1];
}

int32_t clock_parse_day(const char *text)
{
    static const char shape[] = "dddd-dd-dd";
    int number = 0;
    int year, month, day;
    size_t i;

    if (strlen(text) != sizeof(shape) - 1)
        return -1;
    for (i = 0; shape[i] != '\0'; i++) {
        if (shape[i] == 'd' && text[i] >= '0' && text[i] <= '9')
            number = number * 10 + (text[i] - '0');
        else if (shape[i] == 'd' || text[i] != shape[i])
            return -1;
    }
    year = number / 10000;
    month = number / 100 % 100;
    day = number % 100;
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
        return -1;
    return number;
}
