/* follow_splits.h -- the open rollouts of a follower's rows as traffic.
 *
 * Clients are dealt out by the rollout's number and their own key (daemon/traffic.h), which are the
 * trainer's, so a client gets the same version everywhere. Threads: one at a time. */
#ifndef KENNEL_FOLLOW_SPLITS_H
#define KENNEL_FOLLOW_SPLITS_H

#include "daemon/state.h"
#include "daemon/traffic.h"

struct follow_split;

struct follow_splits {
    struct state *state; /* borrowed, as all three */
    struct serve *serve;
    struct traffic *traffic;
    struct follow_split *list; /* owned */
    bool failed;               /* not all of them are split: call follow_splits_set() again */
};

/* From the rows to the traffic; what is no longer open goes to production alone. */
enum err_code follow_splits_set(struct follow_splits *s, struct err *e) MUST_USE;
void follow_splits_fini(struct follow_splits *s);

#endif
