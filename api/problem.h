/* problem.h -- error codes to HTTP, the one place that does so (RFC 9457).
 *
 * A refusal is told to the caller in its own words. A fault is logged once, with the request's id,
 * and the caller is told that id and nothing of the inside (no paths, no SQL). Threads: any. */
#ifndef KENNEL_PROBLEM_H
#define KENNEL_PROBLEM_H

#include "api/reply.h"

/* Who reads it: the other protocols have a form of their own, {"error": "text"}, and know few
 * statuses. The code is in a header then, X-Kennel-Error. */
enum problem_form { PROBLEM_DETAILS, PROBLEM_ERROR };

/* By the path's beginning, so that an unknown path below it is refused in its form too. */
enum problem_form problem_form(const char *path);

struct problem {
    const struct err *err;
    struct log_queue *log; /* for faults; NULL: they are written at once */
    const char *request_id;
    const char *route; /* "POST /score"; for the log */
    enum problem_form form;
    const char *allow;      /* the Allow header's value, or NULL */
    int retry_after;        /* seconds; of ERR_RATE */
    const char *extra_name; /* an extra member, or NULL */
    json_t *extra;          /* borrowed */
};

int problem_status(enum err_code code);
/* Fills the reply, whatever was in it; logs a fault. Never fails: without memory the answer is a
 * static text. */
void problem_reply(const struct problem *p, struct reply *ret);

#endif
