/* worker.h -- the child process that runs one training job.
 *
 * A pure function of jobs/ID/spec.json, the blobs and the feature cache; it never opens the
 * database. It writes jobs/ID/model.onnx, then jobs/ID/report.json (both atomically; the report's
 * presence means "done"), and one JSON line per progress step on standard output:
 * {"phase":"features","done":120,"total":1479}, with what nn/retrain.h adds while it trains. On
 * failure the last line is
 * {"error":{"code":"disk_full","message":"..."}} and the exit status 1.
 * Keeps to the job's limits (daemon/job_limits.h). Without `nice` it runs at idle CPU priority
 * (SCHED_IDLE); where memory runs out it is what the kernel ends first. jobs/ID/checkpoint is where
 * a training that was killed goes on, jobs/ID/spent the time that it has taken (daemon/deadline.h).
 */
#ifndef KENNEL_WORKER_H
#define KENNEL_WORKER_H

/* state_dir/jobs/job is the folder. Returns the exit status. */
int worker_main(const char *state_dir, const char *job);

#endif
