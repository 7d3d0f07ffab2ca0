/* rollout_split.h -- a rollout's row to the traffic that goes so, on a trainer and on its
 * followers. Threads: any. */
#ifndef KENNEL_ROLLOUT_SPLIT_H
#define KENNEL_ROLLOUT_SPLIT_H

#include "daemon/rollout_row.h"
#include "daemon/traffic.h"

/* Loads the row's versions. On failure the traffic goes as before. */
enum err_code rollout_split(struct serve *serve, struct traffic *traffic,
                            const struct rollout_row *row, struct err *e) MUST_USE;

#endif
