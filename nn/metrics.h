/* metrics.h -- how good a classifier's answers are.
 *
 * Definitions: accuracy = share of rows whose most probable class is the true one (ties: the
 * lower index). Precision, recall, F1 per class with 0 where undefined; macro F1 = their mean
 * over the classes that occur in y. Log loss = mean of -ln p[y], p clipped to [1e-15, 1].
 * Calibration error = expected calibration error with 15 equal-width bins on the top
 * probability (Guo et al. 2017).
 * Threads: any; plain data. */
#ifndef KENNEL_METRICS_H
#define KENNEL_METRICS_H

#include "data/base/err.h"

#include <jansson.h>
#include <stdint.h>

struct metrics {
    int classes;
    int64_t rows;
    double accuracy, macro_f1, log_loss, calibration_error;
    double *precision, *recall, *f1; /* owned, [classes] */
    int64_t *support;                /* owned, [classes] */
    int64_t *confusion;              /* owned, [classes][classes]: [true][predicted] */
};

/* p [rows][classes], y [rows]. rows may be 0: all figures 0. */
enum err_code metrics_of(const float *p, const int *y, int64_t rows, int classes,
                         struct metrics *ret, struct err *e) MUST_USE;
void metrics_fini(struct metrics *m);

/* {"accuracy":, "macro_f1":, "log_loss":, "calibration_error":, "count":, "per_class":[{"label":,
 * "precision":, "recall":, "f1":, "support":}], "confusion_matrix":[[...]]}; NULL without
 * memory. labels [classes]. */
json_t *metrics_json(const struct metrics *m, const char *const *labels);

#endif
