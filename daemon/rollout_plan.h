/* rollout_plan.h -- what a rollout was asked to do: versions, steps, rules.
 * Threads: any; pure functions of their arguments. */
#ifndef KENNEL_ROLLOUT_PLAN_H
#define KENNEL_ROLLOUT_PLAN_H

#include "data/base/err.h"

#include <jansson.h>
#include <stdint.h>

enum { ROLLOUT_STEPS = 16 };

struct rollout_plan {
    int64_t canary, shadow;   /* versions; 0: none */
    int steps[ROLLOUT_STEPS]; /* per cent of the traffic, rising, the last is 100: promotion */
    int step_count;           /* 0: a shadow alone */
    int64_t min_requests, min_seconds; /* of each step */
    bool manual;                       /* a person approves each step */
    bool force; /* although the gate would not let the canary into production */

    /* The rules: daemon/rollout_analysis.h. Shares of 0..1. */
    double alpha, beta;
    double expected_disagreement, max_disagreement;
    double max_error_rate;
    double max_p99_ratio;
    double max_feedback_losses;
    int64_t min_feedback;
};

/* body: {"canary": {"version", "percent"?}, "shadow": {"version"}, "steps": [5, 25, 50, 100],
 * "min_requests": 100, "min_seconds": 60, "approve": "auto" | "manual", "force": false, "reason",
 * "rules": {"alpha": 0.05, "beta": 0.1, "expected_disagreement", "max_disagreement",
 * "max_error_rate": 0.05, "max_p99_ratio": 3, "max_feedback_losses": 0.75, "min_feedback": 0}},
 * canary or shadow required. percent is where it begins: lower steps fall away. What is not said of
 * disagreement is negative until rollout_plan_expect(). *ret_reason: borrowed from body, or NULL.
 */
enum err_code rollout_plan_read(const json_t *body, struct rollout_plan *ret,
                                const char **ret_reason, struct err *e) MUST_USE;

/* disagreement: the share of answers in which canary and production differ on the holdout. It is
 * expected in traffic with 5 points more, and too much with another 15. ERR_FIELD_RANGE when the
 * maximum that was asked for is not above 1.01 times what is expected. */
enum err_code rollout_plan_expect(struct rollout_plan *p, double disagreement, struct err *e)
    MUST_USE;

/* As the body, with every member; for the row and for replies. NULL without memory. */
json_t *rollout_plan_json(const struct rollout_plan *p);
/* Of that. */
enum err_code rollout_plan_parse(const json_t *stored, struct rollout_plan *ret, struct err *e)
    MUST_USE;

#endif
