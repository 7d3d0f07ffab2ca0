/* submission.h -- private to jobs: from a retrain request to a queued row that holds everything the
 * job will do, so that a later change of its model or dataset does not touch it.
 * Threads: any. */
#ifndef KENNEL_SUBMISSION_H
#define KENNEL_SUBMISSION_H

#include "daemon/jobs.h"

/* Checks the request against the model and the dataset version's counts, and inserts the row under
 * that id. Errors as jobs_submit(). */
enum err_code submission_add(struct state *s, const char *id, const char *model,
                             const struct retrain_request *q, const char *who, struct err *e)
    MUST_USE;

#endif
