/* ending.h -- private to jobs: how a job that was running ends, or goes back into the queue.
 *
 * Each function writes one row, logs it, and removes jobs/ID when the job has ended. A row that
 * cannot be written (full disk) is tried again for as long as wait() returns false; then it stays
 * running and the next start of the daemon takes it up. Threads: any; on the runner's threads,
 * without any lock held. */
#ifndef KENNEL_ENDING_H
#define KENNEL_ENDING_H

#include "daemon/jobs.h"
#include "daemon/queue.h"

struct ending {
    struct state *state;         /* borrowed */
    bool (*wait)(void *context); /* before another try; true: no more, the daemon stops */
    void *context;
};

/* The worker's files are there: makes the version. Where production has moved since the job
 * started, it is queued again and compared with the new champion. */
void ending_store(const struct ending *x, const struct job *j, const char *folder);
void ending_fail(const struct ending *x, const struct job *j, enum err_code code,
                 const char *message, const char *folder);
/* The worker died, or could not be started; how is a clause. Queued again, but for the third death.
 */
void ending_death(const struct ending *x, const struct job *j, const char *how, const char *folder);
/* The daemon stops: queued again, the attempt does not count. */
void ending_stop(const struct ending *x, const struct job *j, const char *folder);

/* Takes up every running row, before any worker runs. False when one could not be written; the
 * others are done then. tell is called for each. */
bool ending_recover(const struct ending *x, int threads, jobs_listener tell, void *context);

/* A fault on the edge, with its job. */
void ending_log(const char *event, const char *id, const struct err *e);

#endif
