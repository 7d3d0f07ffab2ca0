/* problem.h -- error codes to HTTP, the one place that does so (RFC 9457).
 *
 * A refusal is told to the caller in its own words. A fault is logged once, with the request's id,
 * and the caller is told that id and nothing of the inside (no paths, no SQL). Threads: any. */
#ifndef KENNEL_PROBLEM_H
#define KENNEL_PROBLEM_H

#include "api/reply.h"

struct problem {
    const struct err *err;
    const char *request_id;
    const char *route;      /* "POST /score"; for the log */
    const char *allow;      /* the Allow header's value, or NULL */
    const char *extra_name; /* an extra member, or NULL */
    json_t *extra;          /* borrowed */
};

int problem_status(enum err_code code);
/* Fills the reply, whatever was in it; logs a fault. Never fails: without memory the answer is a
 * static text. */
void problem_reply(const struct problem *p, struct reply *ret);

#endif
