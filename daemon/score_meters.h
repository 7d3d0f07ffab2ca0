/* score_meters.h -- what is counted of scoring, of what serves and of rollouts. data/base/meter.h
 * says how.
 * Threads: constant. */
#ifndef KENNEL_SCORE_METERS_H
#define KENNEL_SCORE_METERS_H

#include "data/base/meter.h"

enum score_meter {
    SCORE_QUEUE_SECONDS,   /* {model} */
    SCORE_DECODE_SECONDS,  /* {model} */
    SCORE_COMPUTE_SECONDS, /* {model} */
    SCORE_BATCH_PICTURES,  /* {model} */
    SCORE_PREDICTIONS,     /* {model, label} */
    SCORE_DROPPED,         /* {reason}: error code */
    SERVE_SWAPS,           /* {model} */
    SERVE_BORROWS,         /* {result}: hit, miss */
    SERVE_LOADS,           /* {model, result}: ok, failed */
    SERVE_UNLOADS,         /* {model} */
    ROLLOUT_ANSWERS,       /* {model, arm}: production, canary, shadow */
    ROLLOUT_DECISIONS,     /* {model, decision, reason}: daemon/rollouts.h */
    SCORE_METERS
};

enum err_code score_meters_new(struct meters **ret, struct err *e) MUST_USE;

#endif
