#include "api/access_log.h"

#include "api/http_meters.h"
#include "api/request.h"
#include "data/base/clock.h"
#include "data/base/log_queue.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { COUNT_BITS = 24, LINE = 1024 };

static bool within_rate(struct access_log *a, int64_t second)
{
    if (!a->rate)
        return false;
    long long was = atomic_load(&a->second_count), next;
    do {
        bool same = was >> COUNT_BITS == second;
        if (same && (was & ((1 << COUNT_BITS) - 1)) >= a->rate)
            return false;
        next = same ? was + 1 : (long long)(second << COUNT_BITS) + 1;
    } while (!atomic_compare_exchange_weak(&a->second_count, &was, next));
    return true;
}

struct line {
    char text[LINE];
    size_t len;
};

/* Every text that goes in is our own or was checked to need no escapes. */
static __attribute__((format(printf, 2, 3))) void add(struct line *l, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(l->text + l->len, LINE - l->len, format, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < LINE - l->len)
        l->len += (size_t)n;
}

static void add_stage(struct line *l, const char *name, int64_t from, int64_t to)
{
    if (to)
        add(l, ",\"%s_ms\":%.3f", name, (double)(to - from) / 1000);
}

static void compose(const struct request *r, int status, int64_t now_us, struct line *ret)
{
    char time[CLOCK_TEXT];
    clock_text(clock_utc_ms(), time);
    const struct route *route = r->match.route;
    const struct score_times *t = &r->scored.times;
    add(ret, "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"request\",\"request_id\":\"%s\"", time,
        status >= 500 ? "error" : "info", r->id);
    add(ret, ",\"method\":\"%s\",\"route\":\"%s\",\"status\":%d", route ? r->method : "other",
        route ? route->pattern : "none", status);
    add(ret, ",\"bytes_in\":%" PRIu64 ",\"bytes\":%" PRIu64, r->received, r->reply_bytes);
    add_stage(ret, "total", r->begun_us, now_us);
    add_stage(ret, "receive", r->begun_us, r->received_us);
    add_stage(ret, "queue", t->submitted, t->taken);
    add_stage(ret, "decode", t->taken, t->decoded);
    add_stage(ret, "compute", t->decoded, t->computed);
    if (r->scored.version)
        add(ret, ",\"model\":\"%s\",\"version\":%" PRId64, r->scored.model, r->scored.version);
    if (r->trace.id[0])
        add(ret, ",\"trace_id\":\"%s\"", r->trace.id);
    add(ret, "}\n");
}

void access_log_request(struct access_log *a, struct log_queue *out, struct meters *meters,
                        const struct request *r, int status, int64_t now_us)
{
    struct line line = { .len = 0 };
    const char *result = "sampled_out";
    if (status >= 400 || within_rate(a, clock_utc_ms() / 1000)) {
        compose(r, status, now_us, &line);
        result = log_queue_put(out, line.text, line.len) ? "written" : "dropped";
    }
    meter_add(meters, HTTP_LOG_LINES, (const char *[]){ result }, 1);
}
