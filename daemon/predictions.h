/* predictions.h -- what was answered, for those who later tell what was right.
 *
 * Answers wait in a bounded queue and are written in batches by a thread of their own, so that
 * scoring never waits for the disk; one that finds the queue full is not kept, and counted. The
 * newest PREDICTIONS_KEPT are kept.
 * Threads: any; predictions_free() alone, last. No lock of it is held while the database is
 * written, but for the batches' own order. */
#ifndef KENNEL_PREDICTIONS_H
#define KENNEL_PREDICTIONS_H

#include "daemon/state.h"
#include "data/layout.h"

#include <jansson.h>

struct predictions;

enum { PREDICTIONS_KEPT = 100000, PREDICTIONS_QUEUE = 4096, PREDICTION_ID = 32 };

enum err_code predictions_new(struct state *s, struct predictions **ret, struct err *e) MUST_USE;
/* Writes what waits. NULL is fine. */
void predictions_free(struct predictions *p);

/* id: PREDICTION_ID characters; model: its name. */
void predictions_add(struct predictions *p, const char *id, const char *model, int64_t version,
                     const char *label, float probability);
/* The answer of another version to the same picture. */
void predictions_add_other(struct predictions *p, const char *id, int64_t version,
                           const char *label);
/* What waits, for who reads the table right after an answer. */
enum err_code predictions_write(struct predictions *p, struct err *e) MUST_USE;
/* Answers that were not kept. */
int64_t predictions_dropped(struct predictions *p);

/* What was told of a picture that two versions had answered. */
struct prediction_told {
    bool is_pair, is_first; /* first: nothing had been told of it before */
    char model[65];
    int64_t version, other_version;
    bool right, other_right;
    int64_t at_ms; /* of the answer */
};

/* Keeps what somebody says was on the picture; the last one counts. *ret: {"prediction_id",
 * "model", "version", "predicted", "label", "right"}. ERR_PREDICTION_UNKNOWN: it never was, or is
 * not kept any more. */
enum err_code predictions_feedback(struct predictions *p, const char *id, const char *label,
                                   const char *who, json_t **ret, struct prediction_told *ret_told,
                                   struct err *e) MUST_USE;

#endif
