/* rollout_row.h -- a rollout as a row: its states, its legal moves, its event and audit line.
 *
 *   running --> running (next step), waiting, completed, rolled_back, rejected, aborted
 *   waiting --> running, completed, rolled_back, rejected, aborted
 *
 * A move is compare-and-set on state and step.
 * Threads: the transaction's. */
#ifndef KENNEL_ROLLOUT_ROW_H
#define KENNEL_ROLLOUT_ROW_H

#include "daemon/db.h"
#include "daemon/rollout_plan.h"

enum rollout_state {
    ROLLOUT_RUNNING,
    ROLLOUT_WAITING, /* for a person's word */
    ROLLOUT_COMPLETED,
    ROLLOUT_ROLLED_BACK,
    ROLLOUT_REJECTED,
    ROLLOUT_ABORTED,
    ROLLOUT_STATES
};

const char *rollout_state_text(enum rollout_state s);
bool rollout_may_move(enum rollout_state from, enum rollout_state to);
static inline bool rollout_is_open(enum rollout_state s)
{
    return s == ROLLOUT_RUNNING || s == ROLLOUT_WAITING;
}

struct rollout_row {
    int64_t id, model_id, baseline, step_ms;
    char model[65], who[65];
    enum rollout_state state;
    int step;
    struct rollout_plan plan;
};

/* Per cent of the traffic at its step; 0 for a shadow alone. */
int rollout_row_percent(const struct rollout_row *r);

/* Writes a new one, running; fills r->id and r->step_ms. ERR_ROLLOUT_OPEN: the model has one. */
enum err_code rollout_row_add(struct db_tx *t, struct rollout_row *r, const char *reason,
                              struct err *e) MUST_USE;
/* Writes *to over *from, with event and audit line. what: "step", "waiting", "approved",
 * "completed", "rolled_back", "rejected", "aborted". analysis and reason may be NULL.
 * ERR_ROLLOUT_STATE: it has moved meanwhile. */
enum err_code rollout_row_move(struct db_tx *t, const struct rollout_row *from,
                               const struct rollout_row *to, const char *what, const char *who,
                               const char *reason, const json_t *analysis, struct err *e) MUST_USE;
/* Numbers to look at; no move. */
enum err_code rollout_row_keep(struct db_tx *t, int64_t id, const json_t *analysis, struct err *e)
    MUST_USE;

/* analysis: the numbers that were kept last; NULL: none. Borrowed. */
typedef enum err_code (*rollout_row_visit)(void *context, const struct rollout_row *r,
                                           const json_t *analysis, struct err *e);
/* Those that are open. */
enum err_code rollout_rows_open(struct db_tx *t, rollout_row_visit fn, void *context, struct err *e)
    MUST_USE;
/* The model's newest one as JSON. ERR_MODEL_UNKNOWN, ERR_ROLLOUT_UNKNOWN. */
enum err_code rollout_row_show(struct db_tx *t, const char *model, json_t **ret, struct err *e)
    MUST_USE;

#endif
