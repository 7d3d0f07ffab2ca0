#include "daemon/cron.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* The longest gap there is: 29 February on a given weekday, around a year 2100. */
enum { YEARS_MAX = 41 };

struct field {
    const char *name;
    int min, max;
    const char *const *names; /* of min, min + 1, ...; or NULL */
};

static const char *const month_names[] = { "jan", "feb", "mar", "apr", "may", "jun", "jul",
                                           "aug", "sep", "oct", "nov", "dec", NULL };
static const char *const day_names[] = { "sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL };

static const struct field fields[] = {
    { "minute", 0, 59, NULL },       { "hour", 0, 23, NULL },        { "day", 1, 31, NULL },
    { "month", 1, 12, month_names }, { "weekday", 0, 7, day_names },
};
enum { FIELDS = sizeof fields / sizeof *fields };

/* Digits or a name; moves *at behind it. */
static bool take_value(const struct field *f, const char **at, int *ret)
{
    int value = 0, digits = 0;
    for (; **at >= '0' && **at <= '9' && digits < 4; digits++)
        value = value * 10 + *(*at)++ - '0';
    for (int i = 0; !digits && f->names && f->names[i]; i++)
        if (strncasecmp(*at, f->names[i], 3) == 0) {
            *at += 3;
            *ret = f->min + i;
            return true;
        }
    *ret = value;
    return digits > 0;
}

/* "*", "N", "N-N", each perhaps with "/STEP"; false when it is none or out of range. */
static bool take_range(const struct field *f, const char **at, uint64_t *bits)
{
    int first = f->min, last = f->max, step = 1;
    bool all = **at == '*', single = false;
    if (all) {
        ++*at;
    } else {
        if (!take_value(f, at, &first))
            return false;
        single = **at != '-';
        last = first;
        if (!single) {
            ++*at;
            if (!take_value(f, at, &last))
                return false;
        }
    }
    if (**at == '/') {
        const struct field steps = { .min = 1, .max = f->max };
        ++*at;
        if (single || !take_value(&steps, at, &step) || step < 1 || step > f->max)
            return false;
    }
    if (first < f->min || last > f->max || first > last)
        return false;
    for (int i = first; i <= last; i += step)
        *bits |= UINT64_C(1) << i;
    return true;
}

static enum err_code parse_field(const struct field *f, const char *text, size_t len, uint64_t *ret,
                                 struct err *e)
{
    const char *at = text;
    uint64_t bits = 0;
    for (;;) {
        if (!take_range(f, &at, &bits) || (at < text + len && *at != ','))
            return err_set(e, ERR_CRON,
                           "cron: %s \"%.*s\" is not a list of *, N, N-N with N from %d to %d, "
                           "or of these but N with a /STEP",
                           f->name, (int)len, text, f->min, f->max);
        if (at >= text + len)
            break;
        at++;
    }
    *ret = bits;
    return ERR_OK;
}

static bool has(uint64_t bits, int n)
{
    return bits >> n & 1;
}

static bool day_fits(const struct cron *c, const struct tm *t)
{
    bool day = has(c->days, t->tm_mday), weekday = has(c->weekdays, t->tm_wday);
    return c->either_day ? day || weekday : day && weekday;
}

/* -1: not within YEARS_MAX. timegm() sets the fields right that run over. */
static int64_t next_second(const struct cron *c, int64_t after)
{
    time_t at = (time_t)(after / 60 + 1) * 60;
    struct tm t;
    gmtime_r(&at, &t);
    for (int last = t.tm_year + YEARS_MAX; t.tm_year <= last;) {
        if (!has(c->months, t.tm_mon + 1))
            t = (struct tm){ .tm_year = t.tm_year, .tm_mon = t.tm_mon + 1, .tm_mday = 1 };
        else if (!day_fits(c, &t))
            t = (struct tm){ .tm_year = t.tm_year, .tm_mon = t.tm_mon, .tm_mday = t.tm_mday + 1 };
        else if (!has(c->hours, t.tm_hour))
            t = (struct tm){ .tm_year = t.tm_year,
                             .tm_mon = t.tm_mon,
                             .tm_mday = t.tm_mday,
                             .tm_hour = t.tm_hour + 1 };
        else if (!has(c->minutes, t.tm_min))
            t.tm_min++;
        else
            return (int64_t)timegm(&t);
        at = timegm(&t);
        gmtime_r(&at, &t);
    }
    return -1;
}

int64_t cron_next(const struct cron *c, int64_t after_ms)
{
    return next_second(c, after_ms / 1000) * 1000;
}

enum err_code cron_parse(const char *text, struct cron *ret, struct err *e)
{
    struct cron c = { 0 };
    uint64_t *const bits[FIELDS] = { &c.minutes, &c.hours, &c.days, &c.months, &c.weekdays };
    bool starred[FIELDS] = { false };
    if (strlen(text) > CRON_TEXT_MAX)
        return err_set(e, ERR_CRON, "cron: the text has %zu bytes, at most %d are taken",
                       strlen(text), CRON_TEXT_MAX);
    const char *at = text + strspn(text, " ");
    for (int i = 0; i < FIELDS; i++) {
        size_t len = strcspn(at, " ");
        if (!len)
            return err_set(e, ERR_CRON,
                           "cron: the %s is missing; minute, hour, day, month and "
                           "weekday are needed",
                           fields[i].name);
        enum err_code r = parse_field(&fields[i], at, len, bits[i], e);
        if (r)
            return r;
        starred[i] = at[0] == '*';
        at += len;
        at += strspn(at, " ");
    }
    if (*at)
        return err_set(e, ERR_CRON, "cron: \"%.40s\" stands behind the weekday", at);
    if (has(c.weekdays, 7))
        c.weekdays |= 1;
    c.either_day = !starred[2] && !starred[4];
    if (next_second(&c, 0) < 0)
        return err_set(e, ERR_CRON, "cron: \"%.100s\" is a day that never comes", text);
    *ret = c;
    return ERR_OK;
}
