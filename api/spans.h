/* spans.h -- the stages of traced requests, sent to an OpenTelemetry collector (OTLP/HTTP, JSON).
 *
 * A thread of its own sends what has come together; a collector that is slow or away fills a
 * bounded queue, and what does not fit, or is not taken, is dropped and counted. Nothing is sent
 * twice. Threads: spans_put() any; it holds a lock for a copy. */
#ifndef KENNEL_SPANS_H
#define KENNEL_SPANS_H

#include "api/trace.h"
#include "data/base/err.h"

#include <stdint.h>

struct spans;
struct meters;

enum { SPANS_QUEUE = 1024, SPANS_STAGES = 3, SPANS_MODEL = 65 };

/* A request: a span of its own, and one below it for each stage. Times in microseconds, UTC. */
struct span_record {
    struct trace trace;
    const char *method, *route; /* static */
    int status;
    char model[SPANS_MODEL]; /* "" when none */
    int64_t version;
    int64_t begun, ended;
    int stages;
    struct {
        const char *name; /* static */
        int64_t begun, ended;
    } stage[SPANS_STAGES];
};

/* endpoint: "http://collector:4318"; /v1/traces is put behind it, as with
 * OTEL_EXPORTER_OTLP_ENDPOINT. meters: api/http_meters.h, borrowed. ERR_FIELD_RANGE. */
enum err_code spans_new(const char *endpoint, struct meters *meters, struct spans **ret,
                        struct err *e) MUST_USE;
/* Sends what is left, for two seconds at most. */
void spans_free(struct spans *s);

/* False: dropped. */
bool spans_put(struct spans *s, const struct span_record *record);

#endif
