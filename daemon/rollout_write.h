/* rollout_write.h -- a rollout's changes, each with its aliases in one transaction.
 *
 * While it is open the aliases canary and shadow point at its versions; with its end they go.
 * Whoever calls holds serve_moves_lock().
 * Threads: any. */
#ifndef KENNEL_ROLLOUT_WRITE_H
#define KENNEL_ROLLOUT_WRITE_H

#include "daemon/rollout_row.h"
#include "daemon/state.h"

/* Fills row's model_id and baseline (the version in production), and what its plan left open of
 * disagreement. ERR_MODEL_UNKNOWN, ERR_NOT_PROMOTED, ERR_VERSION_UNKNOWN, ERR_FIELD_RANGE. */
enum err_code rollout_check(struct state *s, struct rollout_row *row, struct err *e) MUST_USE;

/* As rollout_row_add() and rollout_row_move(). */
enum err_code rollout_write_start(struct state *s, struct rollout_row *row, const char *reason,
                                  struct err *e) MUST_USE;
enum err_code rollout_write_move(struct state *s, const struct rollout_row *from,
                                 const struct rollout_row *to, const char *what, const char *who,
                                 const char *reason, const json_t *analysis, struct err *e)
    MUST_USE;

#endif
