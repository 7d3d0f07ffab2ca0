/* scheduler.h -- the thread that submits what schedules ask for (daemon/schedules.h): it sleeps
 * until the next time or until the bell rings. The thread is named scheduler. */
#ifndef KENNEL_SCHEDULER_H
#define KENNEL_SCHEDULER_H

#include "daemon/state.h"

struct jobs;
struct scheduler;

/* Both are borrowed. */
enum err_code scheduler_new(struct state *s, struct jobs *jobs, struct scheduler **ret,
                            struct err *e) MUST_USE;
void scheduler_free(struct scheduler *s);

#endif
