/* submission.h -- private to jobs: from a retrain request to a queued row that holds everything the
 * job will do, so that a later change of its model or dataset does not touch it.
 * Threads: any. */
#ifndef KENNEL_SUBMISSION_H
#define KENNEL_SUBMISSION_H

#include "daemon/jobs.h"
#include "daemon/ulid.h"

enum submitted_how { SUBMITTED_NEW, SUBMITTED_COALESCED, SUBMITTED_REPEATED };

struct submitted {
    char id[ULID_TEXT]; /* in: of a new job; out: of the job that answers the request */
    enum submitted_how how;
};

/* Checks the request against the model and the dataset version's counts, and inserts the row under
 * that id, unless an earlier request or an identical queued job answers it. Errors as
 * jobs_submit(). */
enum err_code submission_add(struct state *s, const char *model, const struct retrain_request *q,
                             const char *who, struct submitted *ret, struct err *e) MUST_USE;

#endif
