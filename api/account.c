#include "api/account.h"

#include "api/http_meters.h"
#include "api/request.h"
#include "api/spans.h"
#include "daemon/score_stats.h"
#include "data/base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* nginx's number for it, which dashboards know. */
enum { STATUS_CLIENT_GONE = 499 };

static void count(const struct request *r, int status, int64_t now_us)
{
    struct meters *m = r->server->meters;
    const struct route *route = r->match.route;
    char code[16], version[24] = "";
    snprintf(code, sizeof code, "%d", status);
    if (r->scored.version)
        snprintf(version, sizeof version, "%" PRId64, r->scored.version);
    /* A method that no route has may be any text. */
    const char *const values[] = { route ? r->method : "other", route ? route->pattern : "none",
                                   code, r->scored.model, version };
    meter_add(m, HTTP_REQUESTS, values, 1);
    meter_observe(m, HTTP_SECONDS, &values[1], (uint64_t)(now_us - r->begun_us));
    meter_add(m, HTTP_REQUEST_BYTES, NULL, r->received);
    meter_add(m, HTTP_REPLY_BYTES, NULL, r->reply_bytes);
}

static void add_stage(struct span_record *span, const char *name, int64_t begun, int64_t ended)
{
    if (!ended)
        return;
    span->stage[span->stages].name = name;
    span->stage[span->stages].begun = begun;
    span->stage[span->stages++].ended = ended;
}

static void trace(const struct request *r, int status, int64_t now_us)
{
    const struct route *route = r->match.route;
    const struct score_times *t = &r->scored.times;
    struct span_record span = { .trace = r->trace,
                                .method = route ? route->method : "other",
                                .route = route ? route->pattern : "none",
                                .status = status,
                                .version = r->scored.version,
                                .begun = r->begun_us,
                                .ended = now_us };
    snprintf(span.model, sizeof span.model, "%s", r->scored.model);
    add_stage(&span, "queue", t->submitted, t->taken);
    add_stage(&span, "decode", t->taken, t->decoded);
    add_stage(&span, "compute", t->decoded, t->computed);
    int64_t offset = clock_utc_us() - now_us;
    span.begun += offset;
    span.ended += offset;
    for (int i = 0; i < span.stages; i++) {
        span.stage[i].begun += offset;
        span.stage[i].ended += offset;
    }
    spans_put(r->server->spans, &span);
}

void account_request(struct request *r, bool reached)
{
    int status = reached ? r->reply.status : STATUS_CLIENT_GONE;
    int64_t now_us = clock_monotonic_us();
    struct server *s = r->server;
    count(r, status, now_us);
    if (r->scored.version)
        score_stats_request(s->parts.stats, r->scored.model, r->scored.version, status < 400,
                            now_us - r->received_us);
    access_log_request(&s->access_log, s->log, s->meters, r, status, now_us);
    if (s->spans && r->trace.sampled)
        trace(r, status, now_us);
}
