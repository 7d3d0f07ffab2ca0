/* trigger.h -- from the body of a trigger to a job and the 202 that names it.
 * Threads: a handler's, on a task thread. */
#ifndef KENNEL_TRIGGER_H
#define KENNEL_TRIGGER_H

#include "api/request.h"

/* body: a retrain request's members (borrowed). Obeys Idempotency-Key, and sets the headers
 * Location and Retry-After. The caller owns *ret, the job. */
enum err_code trigger_submit(struct request *r, const char *model, const json_t *body, json_t **ret,
                             struct err *e) MUST_USE;

#endif
