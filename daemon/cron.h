/* cron.h -- times as cron says them, in UTC: "MINUTE HOUR DAY MONTH WEEKDAY" (POSIX crontab, with
 * names of months and weekdays, and steps).
 *
 * A field is a list of *, N, N-N, each with a step as in *-slash-15. Weekdays are 0 to 7, both ends
 * being Sunday. When neither day nor weekday begins with a *, a day that fits either of them fits.
 * Threads: any; nothing is shared. */
#ifndef KENNEL_CRON_H
#define KENNEL_CRON_H

#include "data/base/err.h"

#include <stdint.h>

enum { CRON_TEXT_MAX = 100 };

struct cron {
    uint64_t minutes, hours, days, months, weekdays; /* bit n: n fits */
    bool either_day;
};

/* ERR_CRON names the field and what is wrong; also for what never comes ("0 0 30 2 *"). */
enum err_code cron_parse(const char *text, struct cron *ret, struct err *e) MUST_USE;

/* The first fitting minute after that time, both in UTC milliseconds. */
int64_t cron_next(const struct cron *c, int64_t after_ms);

#endif
