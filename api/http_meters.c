#include "api/http_meters.h"

/* There are about a hundred routes; versions come and go. */
enum { REQUESTS_MAX = 4000, ROUTES_MAX = 200, REASONS_MAX = 200 };

static const struct meter_spec specs[HTTP_METERS] = {
    [HTTP_REQUESTS] = { .name = "kennel_requests_total",
                        .help = "Requests by pattern of the route (none: no such path), status "
                                "(499: the client went away before its reply), and the model "
                                "version that answered.",
                        .labels = { "method", "route", "code", "model", "version" },
                        .unit = 1,
                        .series_max = REQUESTS_MAX },
    [HTTP_SECONDS] = { .name = "kennel_request_duration_seconds",
                       .help = "From a request's headers to its reply's last byte.",
                       .labels = { "route" },
                       .bounds = meter_times,
                       .bound_count = METER_TIMES,
                       .unit = 1e-6,
                       .series_max = ROUTES_MAX },
    [HTTP_REJECTS] = { .name = "kennel_rejects_total",
                       .help = "Requests answered with a problem, by its code.",
                       .labels = { "reason" },
                       .unit = 1,
                       .series_max = REASONS_MAX },
    [HTTP_REQUEST_BYTES] = { .name = "kennel_request_body_bytes_total",
                             .help = "Bytes of bodies that came in.",
                             .unit = 1 },
    [HTTP_REPLY_BYTES] = { .name = "kennel_reply_body_bytes_total",
                           .help = "Bytes of bodies that went out.",
                           .unit = 1 },
    [HTTP_LOG_LINES] = { .name = "kennel_log_lines_total",
                         .help = "Lines of the access log: written, sampled_out (beyond "
                                 "--access-log-rate), dropped (nobody reads standard error).",
                         .labels = { "result" },
                         .unit = 1,
                         .series_max = REASONS_MAX },
    [HTTP_SPANS] = { .name = "kennel_spans_total",
                     .help = "Spans of traces: sent, failed (the collector did not take them), "
                             "dropped (too many waited).",
                     .labels = { "result" },
                     .unit = 1,
                     .series_max = REASONS_MAX },
};

enum err_code http_meters_new(struct meters **ret, struct err *e)
{
    return meters_new(specs, HTTP_METERS, ret, e);
}
