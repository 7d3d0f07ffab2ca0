/* tasks.h -- the threads on which requests may wait for the disk.
 *
 * Uploads last as long as their senders like; they may take at most half of the threads, so that a
 * small control request always finds one. What does not fit is refused (ERR_BUSY), never queued
 * without bound.
 * Threads: tasks_submit() any; a task runs on a thread named task-N. */
#ifndef KENNEL_TASKS_H
#define KENNEL_TASKS_H

#include "data/base/err.h"

struct tasks;

enum { TASKS_QUEUE = 4096 };

enum task_kind { TASK_CONTROL, TASK_UPLOAD };
typedef void (*task_fn)(void *context);

/* threads: at least 2 are made. */
enum err_code tasks_new(int threads, struct tasks **ret, struct err *e) MUST_USE;
/* Runs what is queued, then joins. */
void tasks_free(struct tasks *t);

enum err_code tasks_submit(struct tasks *t, enum task_kind kind, task_fn fn, void *context,
                           struct err *e) MUST_USE;

/* Every upload's task calls this once, when nothing is left but to reply: so a client that has its
 * reply finds the place free. */
void tasks_upload_end(struct tasks *t);

#endif
