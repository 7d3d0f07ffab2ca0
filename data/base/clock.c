#include "data/base/clock.h"

#include <stdio.h>
#include <time.h>

static struct timespec read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return t;
}

int64_t clock_utc_ms(void)
{
    struct timespec t = read_clock(CLOCK_REALTIME);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_utc_us(void)
{
    struct timespec t = read_clock(CLOCK_REALTIME);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_monotonic_us(void)
{
    struct timespec t = read_clock(CLOCK_MONOTONIC);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

bool clock_wait(pthread_cond_t *cond, pthread_mutex_t *mu, int64_t until_us)
{
    struct timespec at = { .tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000 };
    return pthread_cond_clockwait(cond, mu, CLOCK_MONOTONIC, &at) == 0;
}

void clock_text(int64_t utc_ms, char ret[CLOCK_TEXT])
{
    /* Years 0000 to 9999 are what RFC 3339 has. */
    const int64_t first = -62167219200000, last = 253402300799999;
    utc_ms = utc_ms < first ? first : utc_ms > last ? last : utc_ms;
    int ms = (int)(utc_ms % 1000);
    ms += ms < 0 ? 1000 : 0;
    time_t seconds = (time_t)((utc_ms - ms) / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    snprintf(ret, CLOCK_TEXT, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
             (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
             (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
             (unsigned)tm.tm_sec % 100, (unsigned)ms % 1000);
}
