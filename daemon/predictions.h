/* predictions.h -- what was answered, for those who later tell what was right.
 *
 * Answers wait in a bounded queue and are written in batches by a thread of their own, so that
 * scoring never waits for the disk; one that finds the queue full is not kept, and counted. On a
 * trainer they are rows (daemon/prediction_rows.h), on a follower they go into its spool
 * (daemon/spool.h), and what is told of them as well.
 * Threads: any; predictions_free() alone, last. No lock of it is held while the database is
 * written, but for the batches' own order. */
#ifndef KENNEL_PREDICTIONS_H
#define KENNEL_PREDICTIONS_H

#include "daemon/prediction_rows.h"
#include "daemon/state.h"
#include "data/layout.h"

#include <jansson.h>

struct predictions;
struct spool;
struct traffic_seen;

enum { PREDICTIONS_QUEUE = 4096, PREDICTION_ID = 36 };

/* spool: a follower's, borrowed; NULL: a trainer's. */
enum err_code predictions_new(struct state *s, struct spool *spool, struct predictions **ret,
                              struct err *e) MUST_USE;
/* Writes what waits. NULL is fine. */
void predictions_free(struct predictions *p);

/* id: at most PREDICTION_ID characters; model: its name. */
void predictions_add(struct predictions *p, const char *id, const char *model, int64_t version,
                     const char *label, float probability);
/* The answer of another version to the same picture. */
void predictions_add_other(struct predictions *p, const char *id, int64_t version,
                           const char *label);
/* A follower's: what a rollout's analysis is to be told. */
void predictions_add_seen(struct predictions *p, const struct traffic_seen *seen);
/* What waits, for who reads the table right after an answer. */
enum err_code predictions_write(struct predictions *p, struct err *e) MUST_USE;
/* Answers that were not kept. */
int64_t predictions_dropped(struct predictions *p);

/* Keeps what somebody says was on the picture; the last one counts. *ret: as
 * prediction_rows_tell(); on a follower {"prediction_id", "label"}, as no more is known there.
 * ERR_PREDICTION_UNKNOWN: it never was, or is not kept any more; ERR_SPOOL_FULL. */
enum err_code predictions_feedback(struct predictions *p, const char *id, const char *label,
                                   const char *who, json_t **ret, struct prediction_told *ret_told,
                                   struct err *e) MUST_USE;

/* A write transaction behind everything that was answered before: what waits is written first.
 * fn may be NULL. */
typedef enum err_code (*predictions_fn)(void *context, struct db_tx *t, struct err *e);
enum err_code predictions_after(struct predictions *p, predictions_fn fn, void *context,
                                struct err *e) MUST_USE;

#endif
