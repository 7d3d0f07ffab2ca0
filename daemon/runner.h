/* runner.h -- private to jobs: the threads that run training jobs, one worker process each.
 *
 * Threads: any, except where said. No lock of the runner is held while the database, the disk or
 * the listener is used. */
#ifndef KENNEL_RUNNER_H
#define KENNEL_RUNNER_H

#include "daemon/jobs.h"

struct runner;

/* Copies the options. */
enum err_code runner_new(struct state *s, const struct jobs_options *o, struct runner **ret,
                         struct err *e) MUST_USE;
/* Ends what an earlier daemon left running: finished output is used, the rest is queued again. What
 * cannot be written now is tried again by the first runner thread. */
void runner_recover(struct runner *r);
enum err_code runner_start(struct runner *r, struct err *e) MUST_USE;
/* Kills the workers, puts their jobs back and joins the threads. */
void runner_free(struct runner *r);

/* As jobs_listen(). */
void runner_listen(struct runner *r, jobs_listener fn, void *context);
/* Calls the listener. */
void runner_tell(struct runner *r, const char *id);
/* There may be a job to claim. */
void runner_wake(struct runner *r);
/* Kills the job's worker if there is one. The row is cancelled already. */
void runner_kill(struct runner *r, const char *id);
/* The latest progress of a running job, a new reference; NULL when there is none. */
json_t *runner_progress(struct runner *r, const char *id);

#endif
