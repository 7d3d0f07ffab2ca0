/* rollout_expect.h -- how often two versions of a model are expected to differ, from what is known
 * of them.
 *
 * Where the canary's gate compared it with the version in production, on the same pictures: the
 * share that just one had right, and those that both had wrong (perhaps differently). Else the sum
 * of both shares of wrong answers, each on its own holdout. Both are upper bounds of the share on
 * the holdout in which the labels differ.
 * Threads: the transaction's. */
#ifndef KENNEL_ROLLOUT_EXPECT_H
#define KENNEL_ROLLOUT_EXPECT_H

#include "daemon/db.h"

enum err_code rollout_expect(struct db_tx *t, int64_t model_id, int64_t production, int64_t canary,
                             double *ret, struct err *e) MUST_USE;

#endif
