#include "daemon/cron.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>
#include <time.h>

static int64_t ms(const char *text)
{
    struct tm t = { 0 };
    assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &t));
    return (int64_t)timegm(&t) * 1000;
}

static void check(const char *cron, const char *after, const char *wanted)
{
    struct err e = { 0 };
    struct cron c;
    if (cron_parse(cron, &c, &e))
        fail_msg("%s: %s", cron, e.message);
    time_t got = (time_t)(cron_next(&c, ms(after)) / 1000);
    char text[40];
    struct tm t;
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", gmtime_r(&got, &t));
    if (strcmp(text, wanted) != 0)
        fail_msg("%s after %s: %s, wanted %s", cron, after, text, wanted);
}

/* 2026-11-22 is a Sunday. */
static void test_times(void **context)
{
    (void)context;
    check("* * * * *", "2026-11-22 14:00:00", "2026-11-22 14:01:00");
    check("* * * * *", "2026-11-22 14:00:59", "2026-11-22 14:01:00");
    check("0 3 * * 1", "2026-11-22 14:00:00", "2026-11-23 03:00:00");
    check("0 3 * * 1", "2026-11-23 03:00:00", "2026-11-30 03:00:00");
    check("0 3 * * mon", "2026-11-23 02:59:59", "2026-11-23 03:00:00");
    check("*/15 * * * *", "2026-11-22 14:46:00", "2026-11-22 15:00:00");
    check("5,50 9-17/4 * * *", "2026-11-22 13:05:00", "2026-11-22 13:50:00");
    check("5,50 9-17/4 * * *", "2026-11-22 17:50:00", "2026-11-23 09:05:00");
    check("59 23 31 12 *", "2026-12-31 23:59:00", "2027-12-31 23:59:00");
    check("0 0 * * 7", "2026-11-22 00:00:00", "2026-11-29 00:00:00");
    check("0 0 * * 5-7", "2026-11-28 12:00:00", "2026-11-29 00:00:00");
    check("0 0 * JAN-MAR Sun", "2026-11-22 00:00:00", "2027-01-03 00:00:00");
    check("  0   12 * * *  ", "2026-11-22 00:00:00", "2026-11-22 12:00:00");
}

static void test_ends_of_months(void **context)
{
    (void)context;
    check("0 0 31 * *", "2026-01-31 00:00:00", "2026-03-31 00:00:00");
    check("0 0 30 * *", "2027-01-30 00:00:00", "2027-03-30 00:00:00");
    check("0 0 1 * *", "2026-12-01 00:00:00", "2027-01-01 00:00:00");
    check("30 4 29 2 *", "2026-11-22 00:00:00", "2028-02-29 04:30:00");
    check("0 0 29 2 *", "2096-02-29 00:00:00", "2104-02-29 00:00:00");   /* 2100 has none */
    check("0 0 29 2 */7", "2026-11-22 00:00:00", "2032-02-29 00:00:00"); /* both: a Sunday */
}

/* Neither begins with a star: either of them is enough; else both must fit. */
static void test_day_or_weekday(void **context)
{
    (void)context;
    check("0 0 13 * 5", "2026-11-22 00:00:00", "2026-11-27 00:00:00");
    check("0 0 13 * 5", "2026-12-12 00:00:00", "2026-12-13 00:00:00");
    check("0 0 13 * *", "2026-11-22 00:00:00", "2026-12-13 00:00:00");
    check("0 0 */2 * 1", "2026-11-24 00:00:00", "2026-12-07 00:00:00");
}

static void refused(const char *cron, const char *word)
{
    struct err e = { 0 };
    struct cron c;
    if (cron_parse(cron, &c, &e) != ERR_CRON)
        fail_msg("\"%s\" is taken", cron);
    if (!strstr(e.message, word))
        fail_msg("\"%s\": %s", cron, e.message);
}

static void test_refusals(void **context)
{
    (void)context;
    refused("", "minute is missing");
    refused("* * * *", "weekday is missing");
    refused("* * * * * *", "behind the weekday");
    refused("60 * * * *", "minute");
    refused("* 24 * * *", "hour");
    refused("* * 0 * *", "day");
    refused("* * 32 * *", "day");
    refused("* * * 13 *", "month");
    refused("* * * 0 *", "month");
    refused("* * * * 8", "weekday");
    refused("* * * * mo", "weekday");
    refused("-1 * * * *", "minute");
    refused("5- * * * *", "minute");
    refused("9-5 * * * *", "minute");
    refused("1,,2 * * * *", "minute");
    refused("1, * * * *", "minute");
    refused("*/0 * * * *", "minute");
    refused("*/ * * * *", "minute");
    refused("*/60 * * * *", "minute");
    refused("5/10 * * * *", "minute");
    refused("*5 * * * *", "minute");
    refused("x * * * *", "minute");
    refused("00001 * * * *", "minute");
    refused("@daily", "minute");
    refused("0 0 30 2 *", "never");
    refused("0 0 31 4,6,9,11 *", "never");
    char text[CRON_TEXT_MAX + 2];
    memset(text, ' ', sizeof text);
    memcpy(text, "0 0 * * *", 9);
    text[CRON_TEXT_MAX + 1] = 0;
    refused(text, "101 bytes");
    text[CRON_TEXT_MAX] = 0;
    check(text, "2026-11-22 00:00:00", "2026-11-23 00:00:00");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_ends_of_months),
        cmocka_unit_test(test_day_or_weekday),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
