/* http_meters.h -- what is counted of requests. data/base/meter.h says how. Threads: constant. */
#ifndef KENNEL_HTTP_METERS_H
#define KENNEL_HTTP_METERS_H

#include "data/base/meter.h"

enum http_meter {
    HTTP_REQUESTS, /* {method, route, code, model, version} */
    HTTP_SECONDS,  /* {route} */
    HTTP_REJECTS,  /* {reason}: error code */
    HTTP_REQUEST_BYTES,
    HTTP_REPLY_BYTES,
    HTTP_LOG_LINES, /* {result}: written, sampled_out, dropped */
    HTTP_SPANS,     /* {result}: sent, failed, dropped */
    HTTP_METERS
};

enum err_code http_meters_new(struct meters **ret, struct err *e) MUST_USE;

#endif
