/* jobs.h -- training jobs: a queue in the database, one child process each.
 *
 * States and legal moves (compare-and-set inside BEGIN IMMEDIATE):
 *
 *   queued -> running -> succeeded | rejected (by the gate) | failed | cancelled
 *   queued -> cancelled
 *   running -> queued, when the worker died (from the third attempt on: failed, worker_died), the
 *   daemon died (from the tenth: failed), the daemon stopped, or another version went into
 *   production meanwhile, which must be compared with; the last two count as no attempt
 *
 * A runner thread takes the queued job of the highest priority, among equals the oldest, whose
 * model has none running, writes
 * jobs/ID/spec.json, starts `kenneld worker` with posix_spawn, follows its progress lines, and
 * on success stores the artifact, then makes the version, decides the gate and ends the job in one
 * transaction. The worker dies with the daemon (PR_SET_PDEATHSIG); a finished worker's output is
 * used even if the daemon died before it could.
 * Threads: any. */
#ifndef KENNEL_JOBS_H
#define KENNEL_JOBS_H

#include "daemon/state.h"

#include <jansson.h>

struct jobs;
struct webhook_secret;

struct jobs_options {
    const char *executable; /* of the worker: this program */
    int threads;            /* for each worker */
    int runners;            /* workers at once */
};

/* Takes up what an earlier daemon left running. No job starts before jobs_start(). */
enum err_code jobs_new(struct state *s, const struct jobs_options *o, struct jobs **ret,
                       struct err *e) MUST_USE;
enum err_code jobs_start(struct jobs *j, struct err *e) MUST_USE;
/* Ends running workers (their jobs go back to queued) and joins the runners. */
void jobs_free(struct jobs *j);

/* Told after every change of a job's state or progress, without any lock held, on the
 * thread that made it. One listener; set before jobs_start(). NULL ends it: once that returns, no
 * call is under way and none will come. Not to be called by the listener itself. */
typedef void (*jobs_listener)(void *context, const char *id);
void jobs_listen(struct jobs *j, jobs_listener fn, void *context);

/* What a retrain request may say; zero and NULL mean "as the model has it". */
struct retrain_request {
    int64_t dataset_version; /* 0: the latest */
    const json_t *recipe;    /* object or "workshop"; members override the model's recipe */
    const json_t *tags;      /* object of strings */
    int64_t seed;            /* default 0 */
    const char *mode;        /* same as recipe.mode */
    const json_t *limits;    /* daemon/job_limits.h; members override the model's */
    int64_t priority;        /* JOBS_PRIORITY_MIN to _MAX; the highest is claimed first */
    bool coalesce;           /* an identical job that is still queued is the answer */
    const char *key;         /* Idempotency-Key, or NULL; ... */
    struct digest request;   /* ... then of all that was asked */
    const char *callback;    /* URL to be told of the job's end, checked; or NULL */
    const struct webhook_secret *callback_secret; /* with callback */
};
enum { JOBS_PRIORITY_MIN = -10, JOBS_PRIORITY_MAX = 10 };

/* *ret as jobs_show(), and "repeated": true when an earlier request with that key made the job, or
 * "coalesced": true when it was queued already (it takes the higher of the two priorities).
 * ERR_IDEMPOTENCY_REUSED, ERR_MODEL_UNKNOWN, ERR_DATASET_EMPTY, ERR_DATASET_ONE_CLASS,
 * ERR_CLASS_TOO_SMALL, ERR_HOLDOUT_EMPTY, ERR_RECIPE, ERR_FIELD_*. */
enum err_code jobs_submit(struct jobs *j, const char *model, const struct retrain_request *q,
                          const char *who, json_t **ret, struct err *e) MUST_USE;

/* {"id", "model", "state", "mode", "created", "started", "ended" (null until then), "requested_by",
 * "seed", "priority", "dataset_version", "tags", "attempt", "progress": {"phase", "done", "total"}
 * or null, "forward_passes" (null until ended), "version" (null or number), "error": {"code",
 * "message"} or null, "gate": decision or null} */
enum err_code jobs_show(struct jobs *j, const char *id, json_t **ret, struct err *e) MUST_USE;
/* Newest first; state and model may be NULL. At most limit. */
enum err_code jobs_list(struct jobs *j, const char *state, const char *model, int limit,
                        json_t **ret, struct err *e) MUST_USE;
/* {"states": {STATE: n, ...}, "pictures": n, "forward_passes": n}: how many jobs are in each state,
 * and of those that made a version the pictures of their dataset versions and what they computed.
 */
enum err_code jobs_count(struct jobs *j, json_t **ret, struct err *e) MUST_USE;
/* True for the four terminal states. */
bool jobs_state_is_final(const char *state);
/* ERR_JOB_STATE when it has ended already. */
enum err_code jobs_cancel(struct jobs *j, const char *id, const char *who, json_t **ret,
                          struct err *e) MUST_USE;

#endif
