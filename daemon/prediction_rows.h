/* prediction_rows.h -- answers as rows of the registry, and what was told of them.
 * Threads: the transaction's. */
#ifndef KENNEL_PREDICTION_ROWS_H
#define KENNEL_PREDICTION_ROWS_H

#include "daemon/db.h"

enum { PREDICTIONS_KEPT = 100000 };

/* borrowed texts */
struct prediction_row {
    const char *id, *model, *label; /* model: its name */
    int64_t version, at_ms;
    double probability;
};

/* Nothing is written of a model or version that there is not, or of an id that there is. */
enum err_code prediction_rows_add(struct db_tx *t, const struct prediction_row *row, struct err *e)
    MUST_USE;
/* The answer of another version to the same picture. */
enum err_code prediction_rows_other(struct db_tx *t, const char *id, int64_t version,
                                    const char *label, struct err *e) MUST_USE;
/* All but the newest PREDICTIONS_KEPT go. */
enum err_code prediction_rows_trim(struct db_tx *t, struct err *e) MUST_USE;

/* What was told of a picture that two versions had answered. */
struct prediction_told {
    bool is_pair, is_first; /* first: nothing had been told of it before */
    char model[65];
    int64_t version, other_version;
    bool right, other_right;
    int64_t at_ms; /* of the answer */
};

/* The true label of a picture; the last one counts. *ret: {"prediction_id", "model", "version",
 * "predicted", "label", "right"}. ERR_PREDICTION_UNKNOWN. */
enum err_code prediction_rows_tell(struct db_tx *t, const char *id, const char *truth,
                                   const char *who, json_t **ret, struct prediction_told *ret_told,
                                   struct err *e) MUST_USE;

#endif
