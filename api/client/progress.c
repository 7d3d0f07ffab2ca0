#include "api/client/progress.h"

#include "data/base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { REDRAW_US = 100 * 1000, LINE_US = 5 * 1000 * 1000, BAR = 24, TEXT = 32 };

void progress_init(struct progress *p)
{
    *p = (struct progress){ .terminal = isatty(STDERR_FILENO) == 1 };
}

static void size_text(double n, bool bytes, char ret[TEXT])
{
    static const char *const units[] = { "B", "KB", "MB", "GB", "TB" };
    int unit = 0;
    while (bytes && n >= 1000 && unit < 4) {
        n /= 1000;
        unit++;
    }
    if (unit)
        snprintf(ret, TEXT, "%.1f %s", n, units[unit]);
    else
        snprintf(ret, TEXT, "%.0f%s", n, bytes ? " B" : "");
}

static void left_text(double seconds, char ret[TEXT])
{
    int64_t s = (int64_t)(seconds + 0.5);
    if (s >= 3600)
        snprintf(ret, TEXT, "%" PRId64 "h%02" PRId64 "m left", s / 3600, s / 60 % 60);
    else
        snprintf(ret, TEXT, "%" PRId64 ":%02" PRId64 " left", s / 60, s % 60);
}

static void draw(struct progress *p, int64_t done, int64_t total, bool bytes, int64_t now)
{
    char have[TEXT], all[TEXT] = "", speed[TEXT], left[TEXT] = "";
    double seconds = (double)(now - p->began_us) / 1e6;
    double rate = seconds > 0.2 ? (double)(done - p->first_done) / seconds : 0;
    size_text((double)done, bytes, have);
    size_text((double)total, bytes, all);
    size_text(rate, bytes, speed);
    if (rate > 0 && total > done)
        left_text((double)(total - done) / rate, left);
    if (p->terminal) {
        char bar[BAR + 1];
        int full = total > 0 ? (int)(done < total ? done * BAR / total : BAR) : 0;
        memset(bar, ' ', BAR);
        memset(bar, '#', (size_t)full);
        bar[BAR] = 0;
        fprintf(stderr, "\r\033[K%-10s ", p->phase);
        if (total > 0)
            fprintf(stderr, "[%s] %3d%% %s of %s", bar,
                    (int)(done < total ? done * 100 / total : 100), have, all);
        else
            fprintf(stderr, "%s", have);
    } else {
        fprintf(stderr, "%s: %s%s%s", p->phase, have, total > 0 ? " of " : "",
                total > 0 ? all : "");
    }
    if (rate > 0)
        fprintf(stderr, ", %s/s%s%s", speed, left[0] ? ", " : "", left);
    if (!p->terminal)
        fputc('\n', stderr);
    fflush(stderr);
    p->dirty = p->terminal;
}

static void show(struct progress *p, const char *phase, int64_t done, int64_t total, bool bytes)
{
    if (!p)
        return;
    int64_t now = clock_monotonic_us();
    bool changed = strncmp(p->phase, phase, sizeof p->phase - 1) != 0;
    if (changed) {
        snprintf(p->phase, sizeof p->phase, "%s", phase);
        p->began_us = now;
        p->first_done = done;
    }
    if (!changed && now - p->shown_us < (p->terminal ? REDRAW_US : LINE_US))
        return;
    p->shown_us = now;
    draw(p, done, total, bytes, now);
}

void progress_show(struct progress *p, const char *phase, int64_t done, int64_t total)
{
    show(p, phase, done, total, false);
}

void progress_bytes(struct progress *p, const char *phase, int64_t done, int64_t total)
{
    show(p, phase, done, total, true);
}

void progress_end(struct progress *p)
{
    if (p && p->dirty)
        fputs("\r\033[K", stderr);
    if (p)
        p->dirty = false;
}
