/* trace.h -- the trace that a request belongs to (W3C Trace Context, Level 1).
 * Threads: any; pure functions. */
#ifndef KENNEL_TRACE_H
#define KENNEL_TRACE_H

#include <stdbool.h>

enum { TRACE_ID = 32, TRACE_SPAN_ID = 16 };

struct trace {
    char id[TRACE_ID + 1];          /* lower-case hexadecimal; "" when there is none */
    char parent[TRACE_SPAN_ID + 1]; /* the caller's span */
    bool sampled;                   /* the caller keeps its spans, and wants ours */
};

/* header: the value of traceparent, or NULL. What is not well-formed is as good as none: the
 * specification has a request that carries it handled as if it had come without. */
void trace_parse(const char *header, struct trace *ret);

#endif
