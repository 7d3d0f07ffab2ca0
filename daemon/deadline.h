/* deadline.h -- private to worker: the end of a job that has taken too long.
 *
 * The time is that of all attempts together: what has passed stands in a file, written a few times
 * a second, from which the next attempt goes on. A kill costs at most DEADLINE_TICK_MS of it.
 * A thread of its own, so that it also ends what looks at nothing: a long step, a slow disk.
 * Everything that the worker writes is written by rename, so that it may end anywhere.
 * Threads: deadline_start() once; deadline_stop() from the same thread. */
#ifndef KENNEL_DEADLINE_H
#define KENNEL_DEADLINE_H

#include "data/base/err.h"

struct deadline;

enum { DEADLINE_TICK_MS = 200 };

/* After seconds, less those that the file at path tells of (made when there is none; what cannot
 * be read counts as none), calls passed(context) on its own thread, which does not return. The file
 * holds microseconds, an int64_t as the machine has it. ERR_DISK_FULL, ERR_IO: it cannot be kept;
 * ERR_NOMEM. */
enum err_code deadline_start(int seconds, const char *path, void (*passed)(void *context),
                             void *context, struct deadline **ret, struct err *e) MUST_USE;
/* After it nothing is called any more. NULL is fine. */
void deadline_stop(struct deadline *d);

#endif
