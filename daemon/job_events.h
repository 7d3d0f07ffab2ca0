/* job_events.h -- private to jobs: what a job's row has become, as an event.
 * Threads: the transaction's. */
#ifndef KENNEL_JOB_EVENTS_H
#define KENNEL_JOB_EVENTS_H

#include "daemon/db.h"

/* job.queued, .started, .succeeded, .rejected, .failed or .cancelled, from the row as it is now.
 * Data:
 * {"job", "model", "state", "attempt", "dataset_version", "version" (or null), "error": {"code",
 * "message"} or null}. */
enum err_code job_event_add(struct db_tx *t, const char *id, struct err *e) MUST_USE;

/* version.created and gate.decided, of a version whose row is there. */
enum err_code job_event_add_version(struct db_tx *t, int64_t model, int64_t version,
                                    const json_t *decision, struct err *e) MUST_USE;

#endif
