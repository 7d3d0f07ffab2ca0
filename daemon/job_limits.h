/* job_limits.h -- what one training job may take.
 *
 *   seconds   that the job runs, by the wall clock, all its attempts together (not the time in the
 *             queue); past it the job fails, `deadline`
 *   memory    bytes of the worker's data (RLIMIT_DATA); past it the job fails, `no_memory`
 *   threads   that compute; no more than the daemon gives it anyway. Where pictures are looked at
 *             anew in each epoch, as many again decode them ahead
 *   nice      0..19: ordinary scheduling with that niceness; null: idle priority, below
 *             everybody's
 *
 * As JSON every member is a number or null, which is no limit. They do not change what is trained:
 * the same job with other limits gives the same bits.
 * Threads: any; plain data. */
#ifndef KENNEL_JOB_LIMITS_H
#define KENNEL_JOB_LIMITS_H

#include "data/base/err.h"

#include <jansson.h>
#include <stdint.h>

enum { JOB_SECONDS_MAX = 30 * 24 * 3600, JOB_THREADS_MAX = 1024, JOB_MEMORY_MIN = 16 << 20 };

struct job_limits {
    int64_t seconds, memory, threads; /* 0: none */
    int64_t nice;                     /* -1: idle priority */
};

/* The members of change over those of base; either may be NULL or null. What they say is checked,
 * members that are not known are refused: ERR_JSON_TYPE, ERR_FIELD_UNKNOWN, ERR_FIELD_RANGE. */
enum err_code job_limits_merge(const json_t *base, const json_t *change, struct job_limits *ret,
                               struct err *e) MUST_USE;
/* Every member spelled out. New reference; NULL without memory. */
json_t *job_limits_json(const struct job_limits *l);

#endif
