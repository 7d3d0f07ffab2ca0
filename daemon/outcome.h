/* outcome.h -- private to jobs: from a finished worker's files to a model version.
 *
 * The artifact and the report become durable blobs; then, in one transaction, the gate decides
 * against the version that is in production at that moment, the version row is written and the job
 * ends. Safe to repeat after a crash at any point: a second run finds the job ended, or does it
 * all. Threads: any. */
#ifndef KENNEL_OUTCOME_H
#define KENNEL_OUTCOME_H

#include "daemon/queue.h"

enum outcome {
    OUTCOME_SUCCEEDED,
    OUTCOME_REJECTED,
    OUTCOME_STALE, /* production moved since the job started; nothing was written */
    OUTCOME_LOST,  /* the row is not running that attempt any more; nothing was written */
};

/* True when the worker's files are there: the report is written last. */
bool outcome_is_complete(const char *folder);

/* Afterwards it is not complete any more. No such file is fine. */
enum err_code outcome_discard(const char *folder, struct err *e) MUST_USE;

/* folder: jobs/ID. ERR_DISK_FULL and other faults; ERR_INTERNAL when the report is not what
 * nn/retrain.h says. */
enum err_code outcome_store(struct state *s, const struct job *j, const char *folder,
                            enum outcome *ret, struct err *e) MUST_USE;

#endif
