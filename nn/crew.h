/* crew.h -- independent tasks on several threads, watched by the caller's.
 *
 * Tasks are taken in order, each by the thread that is free. The caller's thread runs none of
 * them: it waits, tells how far they are and passes on the wish to stop, so that no callback
 * runs on two threads or under a lock. What a task writes must be its own (or guarded by itself);
 * a task must not make its result depend on its worker.
 * Threads: any; one call makes and joins its own threads. */
#ifndef KENNEL_CREW_H
#define KENNEL_CREW_H

#include "data/base/err.h"

#include <stdatomic.h>

struct crew_options {
    const char *name; /* of the threads, at most 15 bytes */
    int threads;      /* >= 1; no more are made than there are tasks */
    size_t tasks;
    /* worker: 0..threads-1. A failure ends the crew after the tasks in hand. *stop is set then, and
     * when progress asks to stop; a long task looks at it and returns ERR_CANCELLED. */
    enum err_code (*task)(void *context, int worker, size_t task, const atomic_bool *stop,
                          struct err *e);
    /* NULL is fine. After tasks, every 100 ms and at the end; true asks to stop. */
    bool (*progress)(void *context, size_t done, size_t total);
    void *context; /* of both */
};

/* ERR_OK when every task succeeded; the error of the first task (by number) that failed of itself;
 * ERR_CANCELLED. No task runs any more when it returns. */
enum err_code crew_run(const struct crew_options *o, struct err *e) MUST_USE;

#endif
