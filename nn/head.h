/* head.h -- L2-regularised multinomial logistic regression on feature vectors.
 *
 * Features are standardised one by one (mean and deviation of the rows given); the loss is
 *     sum_i c[y_i] * -log softmax(W x_i + b)[y_i] / sum_i c[y_i]  +  penalty/2 * |W|^2
 * (the bias is not penalised), minimised by L-BFGS (nn/lbfgs.h) until the gradient's largest
 * entry is below tolerance. c is 1, or inverse to the class's frequency. (scikit-learn's C is
 * 1 / (penalty * rows).)
 *
 * The penalty is chosen by stratified k-fold cross-validation on the rows given alone, by mean
 * log loss; ties go to the larger one. Log loss and not accuracy, because accuracy on some hundred
 * rows is a coarse staircase that picks by chance, and because the probabilities are part of the
 * answer. With fewer than 1000 rows the cross-validation is repeated with other folds, up to 5
 * times, until about 1000 held-out answers were judged. The standardisation does not look at
 * labels, so it is done once for all folds. A fold starts each penalty from the solution of the
 * next stronger one and gives up when its log loss is twice its best; the final fit starts from
 * the mean of the folds' best.
 *
 * Equal arguments give equal bits, whatever `threads` is: each fit runs on one thread.
 * Threads: any; no shared state. */
#ifndef KENNEL_HEAD_H
#define KENNEL_HEAD_H

#include "data/base/err.h"

#include <stdint.h>

struct head_options {
    int folds;               /* default 5; fewer when the smallest class has fewer groups */
    const double *penalties; /* candidates, any order; NULL: half decades from 1 to 1e-5 */
    int penalty_count;
    bool balanced;      /* class weights inverse to frequency */
    int max_iterations; /* per fit, default 500 */
    double tolerance;   /* default 1e-5 */
    int threads;        /* >= 1 */
    uint64_t seed;      /* shuffles rows into folds */
};

void head_options_default(struct head_options *o);

/* On raw (not standardised) features: logits = weight . x + bias. */
struct head {
    int classes, width;
    float *weight; /* owned, [classes][width] */
    float *bias;   /* owned, [classes] */
};

struct head_report {
    double penalty;     /* chosen */
    double cv_log_loss; /* mean over held-out rows at that penalty */
    double cv_accuracy;
    int folds;
    int iterations; /* of the final fit */
    bool converged;
    double train_log_loss;
};

/* Told now and then, on the caller's thread (done of total: folds times repeats, and the final
 * fit); a return of true asks to stop: ERR_CANCELLED. */
typedef bool (*head_progress)(void *context, int done, int total);

/* x [rows][width], y [rows] in 0..classes-1 (classes >= 2), group [rows]: rows of one group (views
 * of one picture) stand in the same fold; NULL: each row its own. Each class needs two groups
 * (ERR_CLASS_TOO_SMALL). ERR_DIVERGED when the loss is not finite. */
enum err_code head_fit(const float *x, const int *y, const int *group, int rows, int width,
                       int classes, const struct head_options *o, head_progress progress,
                       void *context, struct head *ret, struct head_report *ret_report,
                       struct err *e) MUST_USE;
void head_fini(struct head *h);

/* x [rows][width] -> probabilities [rows][classes]. */
void head_apply(const struct head *h, const float *x, int rows, float *ret);

#endif
