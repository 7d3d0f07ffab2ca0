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

enum { RETRAIN_BLOB_MAX = NETWORK_BYTES_MAX, RETRAIN_PHASES = 4 };

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
    struct blobs *blobs;
    const char *feature_folder;
    retrain_progress progress;
    void *context;
    const char *phase;

    struct trainset set;
    struct backbone backbone;
    float *x; /* [rows][width] */
    size_t passes, champion_passes;
    struct head head;
    struct head_report fit;
    struct metrics metrics, champion_metrics;
    bool balanced; /* as decided */
    struct retrain_precision precision;
    int64_t paired[2][2]; /* [challenger right][champion right] */
    json_t *metrics_report, *champion_report;
    double seconds[RETRAIN_PHASES];
};

extern const char *const retrain_phases[RETRAIN_PHASES];

/* Told to the caller under the run's phase (struct retrain *context); true asks to stop. */
bool retrain_tell(void *context, size_t done, size_t total);

size_t retrain_holdout_count(const struct retrain *run);

/* retrain_head.c. integers NULL or zeroed: in fp32. *ret [count][b->width], owned by the caller. */
enum err_code retrain_features(struct retrain *run, const struct backbone *b,
                               const struct integers *integers, const struct features_item *items,
                               size_t count, float **ret, size_t *ret_passes, struct err *e)
    MUST_USE;
enum err_code retrain_fit_head(struct retrain *run, struct err *e) MUST_USE;

/* retrain_precision.c: holdout rows in int8 too when the recipe allows it, and which precision is
 * served; then the features and integers that it means. */
enum err_code retrain_choose_precision(struct retrain *run, struct err *e) MUST_USE;
const float *retrain_holdout(const struct retrain *run);
const struct integers *retrain_served(const struct retrain *run);
json_t *retrain_precision_json(const struct retrain *run);

/* retrain_judge.c: head and champion on the holdout rows, in the precisions that are served. */
enum err_code retrain_judge(struct retrain *run, struct err *e) MUST_USE;

/* retrain_report.c: *ret is a new object. */
enum err_code retrain_report(struct retrain *run, json_t **ret, struct err *e) MUST_USE;

#endif
