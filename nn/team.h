/* team.h -- threads that stay, and share the tasks of one job after the other with their owner.
 *
 * Unlike a crew (nn/crew.h), which makes and joins threads for each call, a team is for jobs of
 * milliseconds. Tasks are taken in order, each by the thread that is free; whoever waits
 * sleeps. A task must not make its result depend on its worker.
 * Threads: one owner calls everything. */
#ifndef KENNEL_TEAM_H
#define KENNEL_TEAM_H

#include "data/base/err.h"

struct team;

/* threads >= 1, the owner's among them. name: of the threads, at most 15 bytes; borrowed. */
enum err_code team_new(const char *name, int threads, struct team **ret, struct err *e) MUST_USE;
/* Joins them. */
void team_free(struct team *t);

/* Runs task(context, worker, 0..tasks-1), worker 0..threads-1 (0: the owner), and returns when all
 * are done: the error of the first task by number that failed. After a failure no further
 * task begins. */
typedef enum err_code (*team_task)(void *context, int worker, int task, struct err *e);
enum err_code team_run(struct team *t, int tasks, team_task task, void *context, struct err *e)
    MUST_USE;

#endif
