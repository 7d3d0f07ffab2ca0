/* schedules.h -- when models are retrained without being asked: at times (cron text), after so many
 * new pictures, or so long after the last job.
 *
 * Pictures and age are counted from the model's latest job, whoever asked for it; without one from
 * the empty dataset and from the schedule's making. What a schedule knows is in its row, so a
 * restart changes nothing; a time that passed meanwhile is made up for once. Threads: any. */
#ifndef KENNEL_SCHEDULES_H
#define KENNEL_SCHEDULES_H

#include "daemon/state.h"

#include <jansson.h>

struct jobs;

struct schedule_request { /* at least one of the first three */
    const char *cron;     /* daemon/cron.h; or NULL */
    int64_t new_pictures; /* 0: none */
    const char *max_age;  /* "90m", "12h", "7d"; or NULL */
    int64_t priority;     /* of its jobs */
};

/* Replaces what was there. *ret as schedules_show(). ERR_MODEL_UNKNOWN, ERR_CRON, ERR_FIELD_*. */
enum err_code schedules_set(struct state *s, const char *model, const struct schedule_request *q,
                            const char *who, json_t **ret, struct err *e) MUST_USE;
/* {"model", "cron", "new_pictures", "max_age", "priority", "next" (time or null), "pictures" (new
 * since the latest job), "last", "last_job", "last_error", "requested_by", "created"}.
 * ERR_MODEL_UNKNOWN, ERR_SCHEDULE_UNKNOWN, as the next. */
enum err_code schedules_show(struct state *s, const char *model, json_t **ret, struct err *e)
    MUST_USE;
enum err_code schedules_remove(struct state *s, const char *model, const char *who, struct err *e)
    MUST_USE;

/* The scheduler's: submits what is due at that time. *ret_next: when to ask again, if nothing
 * rings. */
enum err_code schedules_run(struct state *s, struct jobs *jobs, int64_t now, int64_t *ret_next,
                            struct err *e) MUST_USE;

#endif
