/* split.h -- one instruction as two, of which each makes one half of the result.
 *
 * The halves are bands of rows of a single picture that lies channels last (they follow one
 * another in memory), or halves of a vector. Lane 0 runs on the caller's thread, lane 1 on whoever
 * comes first (duo.h); the numbers are the same either way.
 * Each function is called when the last instruction of the plan is complete, and leaves it as it
 * is where a split is not possible. Threads: one owner of the plan that is being made. */
#ifndef KENNEL_SPLIT_H
#define KENNEL_SPLIT_H

#include "nn/plan_parts.h"

/* c, o: the whole; layouts in it are not read. ERR_NOMEM. */
enum err_code split_conv(struct plan *p, const struct dnn_conv *c, struct err *e) MUST_USE;
enum err_code split_pool(struct plan *p, const struct dnn_pool *o, struct err *e) MUST_USE;
enum err_code split_norm(struct plan *p, float epsilon, bool relu, struct err *e) MUST_USE;
enum err_code split_concat(struct plan *p, struct err *e) MUST_USE;
/* From row-major order to channels last; between that and blocks of channels. */
enum err_code split_reorder(struct plan *p, struct err *e) MUST_USE;

#endif
