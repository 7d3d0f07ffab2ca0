/* rollout_analysis.h -- is the canary as good as production? Decided while the answers come.
 *
 * Four rules, each a watch (daemon/sprt.h) on a proportion that may fail at any moment:
 *
 *   errors        the canary failed on a picture on which production did not
 *                 p0 = max_error_rate / 10, p1 = max_error_rate
 *   latency       the canary took longer than max_p99_ratio times production's 99th percentile
 *                 p0 = 0.02 (by definition 0.01; the percentile is estimated), p1 = 0.1
 *   disagreement  canary and production gave a picture different labels
 *                 p0 = expected_disagreement, p1 = max_disagreement
 *   feedback      a sign test: of the pictures on which just one of the two was right, as somebody
 *                 told, those on which it was production
 *                 p0 = 0.5, p1 = max_feedback_losses
 *
 * The rollout's alpha is divided among its steps and the rules, so that a canary that is as good as
 * p0 says in all of them is rolled back in the whole rollout with a probability of at most alpha.
 * That holds for answers that say something each on their own: one client who sends one picture a
 * thousand times is one observation, counted a thousand times. After a restart it goes on from the
 * numbers that were kept, so that no part of alpha is spent twice.
 * Threads: one at a time. */
#ifndef KENNEL_ROLLOUT_ANALYSIS_H
#define KENNEL_ROLLOUT_ANALYSIS_H

#include "daemon/rollout_plan.h"
#include "daemon/sprt.h"

enum rollout_rule { RULE_ERRORS, RULE_LATENCY, RULE_DISAGREEMENT, RULE_FEEDBACK, ROLLOUT_RULES };

/* The latest latencies of production: the 99th percentile of fewer than LATENCY_LEAST means little.
 */
enum { LATENCY_WINDOW = 512, LATENCY_LEAST = 100, ROLLOUT_REASON = 256 };

struct rollout_analysis {
    struct sprt_watch rules[ROLLOUT_RULES];
    int64_t requests; /* answered by both */
    int64_t told;     /* of those of which the true label was told */
    int64_t min_requests, min_feedback;
    double max_p99_ratio;
    int64_t latency[LATENCY_WINDOW]; /* microseconds, a ring */
    int64_t latency_seen;            /* ever */
    int64_t p99_us;                  /* of the window; 0: not known yet */
};

enum rollout_verdict { ROLLOUT_GOES_ON, ROLLOUT_PASSES, ROLLOUT_FAILS };

/* For a new step: all counts are 0. Production's latencies stay, but for the first step's call
 * (first), before which *a is anything. */
void rollout_analysis_begin(struct rollout_analysis *a, const struct rollout_plan *p, bool first);

/* After rollout_analysis_begin(): goes on from what rollout_analysis_json() said of that step.
 * False, with *a as it was, when it did not say that. Production's latencies are gathered anew. */
bool rollout_analysis_restore(struct rollout_analysis *a, const json_t *kept);

/* A picture that production answered. */
void rollout_analysis_pair(struct rollout_analysis *a, bool canary_failed, bool differs);
void rollout_analysis_production_us(struct rollout_analysis *a, int64_t us);
void rollout_analysis_canary_us(struct rollout_analysis *a, int64_t us);
/* Somebody told what was on a picture that both had answered. */
void rollout_analysis_feedback(struct rollout_analysis *a, bool canary_right,
                               bool production_right);

/* Passes when errors and disagreement have passed, latency has or nothing could be said of it, and
 * the least numbers are there. ret_reason, when it fails: which rule, and its numbers. */
enum rollout_verdict rollout_analysis_verdict(const struct rollout_analysis *a,
                                              char ret_reason[ROLLOUT_REASON]);
/* The name of the rule that failed; NULL: none did. */
const char *rollout_analysis_failed(const struct rollout_analysis *a);
/* {"requests", "feedback", "production_p99_us": n or null, "tests": [{"rule", "p0", "p1", "alpha",
 * "beta", "count", "hits", "runs", "ratio": of the present run, "state": "undecided", "passed" or
 * "failed", "fastest_rejection"}...]}. NULL without memory. */
json_t *rollout_analysis_json(const struct rollout_analysis *a);

#endif
