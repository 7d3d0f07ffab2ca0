/* deadline.h -- private to worker: the end of a job that has taken too long.
 *
 * A thread of its own, so that it also ends what looks at nothing: a long step, a slow disk.
 * Everything that the worker writes is written by rename, so that it may end anywhere.
 * Threads: deadline_start() once; deadline_stop() from the same thread. */
#ifndef KENNEL_DEADLINE_H
#define KENNEL_DEADLINE_H

#include "data/base/err.h"

struct deadline;

/* After seconds calls passed(context) on its own thread, which does not return. */
enum err_code deadline_start(int seconds, void (*passed)(void *context), void *context,
                             struct deadline **ret, struct err *e) MUST_USE;
/* After it nothing is called any more. NULL is fine. */
void deadline_stop(struct deadline *d);

#endif
