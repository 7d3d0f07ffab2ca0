/* follow_pull.h -- artifacts from the trainer to the follower's blobs, by digest.
 *
 * Threads: the link's. */
#ifndef KENNEL_FOLLOW_PULL_H
#define KENNEL_FOLLOW_PULL_H

#include "daemon/follow_link.h"
#include "daemon/replica.h"
#include "daemon/state.h"

/* Between state_put_begin() and _end(). ERR_TRAINER when what comes has another digest or more
 * bytes than the catalogue says: it is under its own digest then, which nothing names. */
enum err_code follow_pull(struct follow_link *l, struct state *s, const struct replica_version *v,
                          struct err *e) MUST_USE;

#endif
