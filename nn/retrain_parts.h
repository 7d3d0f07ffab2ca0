/* retrain_parts.h -- private to retrain*.c: one run of a training job and its phases.
 *
 * Threads: one run on its caller's; the phases make and join their own helpers. */
#ifndef KENNEL_RETRAIN_PARTS_H
#define KENNEL_RETRAIN_PARTS_H

#include "nn/champion.h"
#include "nn/metrics.h"
#include "nn/precision.h"
#include "nn/retrain.h"
#include "nn/trainset.h"

struct training;

enum { RETRAIN_BLOB_MAX = NETWORK_BYTES_MAX, RETRAIN_PHASES_MAX = 5 };

/* As decided, and what it was decided by. */
struct retrain_precision {
    enum precision served;
    struct integers integers; /* zeroed: int8 was not tried */
    float *x;                 /* [holdout rows][width] in int8 */
    double fp32_accuracy, int8_accuracy;
    size_t passes; /* in int8, and of the calibration */
    double seconds;
};

struct retrain {
    const struct retrain_spec *spec;
    struct retrain_places places;
    retrain_progress progress;
    void *context;
    const char *phase;

    struct trainset set;
    struct backbone backbone;
    float *x; /* [rows][width] */
    size_t passes, champion_passes;
    struct head head;
    bool has_fit; /* fit is of a head */
    struct head_report fit;
    struct training *training; /* nn/retrain_training.h; NULL for a head by lbfgs */
    struct buf artifact;

    struct champion own; /* what was trained as a file read again; no network: a head by lbfgs */
    float *own_x;        /* [holdout][own.backbone.width] */
    struct metrics metrics, champion_metrics;
    bool balanced; /* as decided */
    struct retrain_precision precision;
    int64_t paired[2][2]; /* [challenger right][champion right] */
    json_t *metrics_report, *champion_report;
    const char *phases[RETRAIN_PHASES_MAX];
    double seconds[RETRAIN_PHASES_MAX];
    int phase_count;
};

/* Told to the caller under the run's phase (struct retrain *context); true asks to stop. */
bool retrain_tell(void *context, size_t done, size_t total);

size_t retrain_holdout_count(const struct retrain *run);

/* --- retrain_values.c: pictures to what the frozen part makes of them */

struct retrain_caches {
    struct feature_cache *plain, *augmented; /* augmented NULL without augment */
};
void retrain_caches_fini(struct retrain_caches *c);

/* integers NULL or zeroed: in fp32. *ret [count][b->width], owned by the caller. */
enum err_code retrain_features(struct retrain *run, const struct backbone *b,
                               const struct integers *integers, const struct features_item *items,
                               size_t count, float **ret, size_t *ret_passes, struct err *e)
    MUST_USE;
/* Into the caches, which stay open to be read, in pieces of bounded memory. b->feature is the value
 * and b->width its floats. */
enum err_code retrain_values(struct retrain *run, const struct backbone *b,
                             const struct features_item *items, size_t count,
                             struct retrain_caches *ret, size_t *ret_passes, struct err *e)
    MUST_USE;

/* --- retrain_head.c */

bool retrain_is_balanced(const struct retrain *run);
/* x [rows][width], y [rows], group [rows] -> run->head, run->fit. */
enum err_code retrain_fit_head(struct retrain *run, const float *x, const int *y, const int *group,
                               size_t rows, struct err *e) MUST_USE;

/* --- retrain_start.c, retrain_train.c: the phases of what has epochs */

enum err_code retrain_train_features(struct retrain *run, struct err *e) MUST_USE;
enum err_code retrain_train_start(struct retrain *run, struct err *e) MUST_USE;
enum err_code retrain_train_epochs(struct retrain *run, struct err *e) MUST_USE;
/* What was trained as a file in memory, read again into run->own with its features of the holdout:
 * it is judged as it was written and will be served. */
enum err_code retrain_train_reread(struct retrain *run, struct err *e) MUST_USE;
/* extra: as for classifier_export(). */
enum err_code retrain_train_export(const struct retrain *run, const struct network_meta_pair *extra,
                                   size_t extra_count, struct buf *ret, struct err *e) MUST_USE;
json_t *retrain_train_json(const struct retrain *run); /* "training" of the report; null: none */
void retrain_train_fini(struct retrain *run);

/* --- retrain_precision.c: holdout rows in int8 too when the recipe allows it, and which precision
 * is served; then the features and integers that it means. */
enum err_code retrain_choose_precision(struct retrain *run, struct err *e) MUST_USE;
const float *retrain_holdout(const struct retrain *run);
const struct integers *retrain_served(const struct retrain *run);
json_t *retrain_precision_json(const struct retrain *run);

/* --- retrain_judge.c: head and champion on the holdout rows, in the precisions that are served. */

/* The body and the head that are judged. */
const struct backbone *retrain_body(const struct retrain *run);
const struct head *retrain_fitted(const struct retrain *run);
enum err_code retrain_judge(struct retrain *run, struct err *e) MUST_USE;

/* --- retrain_report.c: *ret is a new object. */
enum err_code retrain_report(struct retrain *run, json_t **ret, struct err *e) MUST_USE;

#endif
