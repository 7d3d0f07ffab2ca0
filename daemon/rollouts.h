/* rollouts.h -- a new version gets its traffic step by step, and loses it when it is worse.
 *
 * One rollout a model at a time. A thread looks at each one's analysis when an answer has decided
 * something, and every second: it moves to the next step, asks for a person's word (approve:
 * manual), takes the traffic back, or promotes the canary at 100 %. The traffic goes back before
 * that is written. What runs is in the database, and of its numbers those of at most ten seconds
 * ago: after a restart the present step goes on.
 * Lock order: `work` (one change at a time), the moves' lock, the database's writer; `mu` (the
 * analyses) is a leaf.
 *
 * Counted (daemon/score_meters.h) are answers by their arm, a follower's as it tells of them, and
 * decisions by reason: started, step, waiting, approved, completed, rolled_back, rejected, aborted;
 * passed (the rules), the rule that failed (daemon/rollout_analysis.h), refused (the promotion
 * was), not_loaded, moved (production did, by somebody else), person. Threads: any; rollouts_free()
 * alone, before traffic's and serve's. */
#ifndef KENNEL_ROLLOUTS_H
#define KENNEL_ROLLOUTS_H

#include "daemon/predictions.h"
#include "daemon/serve.h"
#include "daemon/state.h"
#include "daemon/traffic.h"

struct meters;
struct rollouts;

struct rollouts_parts { /* borrowed */
    struct state *state;
    struct serve *serve;
    struct predictions *predictions;
    struct meters *meters;      /* NULL: nothing is counted */
    struct image_limits limits; /* of mirrored pictures */
};

/* Goes on with what was open. */
enum err_code rollouts_new(const struct rollouts_parts *p, struct rollouts **ret, struct err *e)
    MUST_USE;
/* NULL is fine. */
void rollouts_free(struct rollouts *r);

/* Where scoring asks who answers. */
struct traffic *rollouts_traffic(struct rollouts *r);

/* body: rollout_plan.h. *ret: as rollouts_show(). ERR_ROLLOUT_OPEN, ERR_NOT_PROMOTED,
 * ERR_VERSION_UNKNOWN; ERR_GATE_REFUSED when the canary could not be promoted in the end:
 * *ret_decision (new reference) is what the gate said. */
enum err_code rollouts_start(struct rollouts *r, const char *model, const json_t *body,
                             const char *who, json_t **ret, json_t **ret_decision, struct err *e)
    MUST_USE;
/* The newest one. ERR_ROLLOUT_UNKNOWN. */
enum err_code rollouts_show(struct rollouts *r, const char *model, json_t **ret, struct err *e)
    MUST_USE;
/* ERR_ROLLOUT_STATE: none waits for that. */
enum err_code rollouts_approve(struct rollouts *r, const char *model, const char *who, json_t **ret,
                               struct err *e) MUST_USE;
/* reason may be NULL. ERR_ROLLOUT_STATE: none is open. */
enum err_code rollouts_reject(struct rollouts *r, const char *model, const char *reason,
                              const char *who, json_t **ret, struct err *e) MUST_USE;
enum err_code rollouts_abort(struct rollouts *r, const char *model, const char *who, json_t **ret,
                             struct err *e) MUST_USE;

struct rollout_figures {
    char model[65];
    bool waiting; /* for a person */
    int step;     /* from 0 */
    int percent;  /* of the clients */
};
/* Of those that are open, in no order; at most max. How many were filled. */
size_t rollouts_look(struct rollouts *r, struct rollout_figures *ret, size_t max);

/* What a follower saw of a rollout: for its analysis alone. */
void rollouts_seen(struct rollouts *r, const struct traffic_seen *seen);
void rollouts_told(struct rollouts *r, const struct prediction_told *told);

#endif
