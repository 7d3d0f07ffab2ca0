/* train.h -- the training loop: batches, learner, optimiser, schedule, validation, checkpoints.
 *
 *   per step    batch -> forward, loss, backward -> optimiser at the schedule's rate
 *   per epoch   log loss and accuracy on the validation pictures, with the averaged weights where
 *               there are some; the best are kept, where the start was judged only once they are
 *               better than it by more than two standard errors; patience
 *   about every half second, and never for more than a twentieth of the time: a checkpoint
 *
 * Invariants:
 * 1. The weights at the end are a function of the options and the learner's weights at the start,
 *    on one instruction set and oneDNN version. Times and speeds are told but decide nothing.
 * 2. A checkpoint holds all that the rest of the run depends on: going on from one gives the bits
 *    of a run that was not broken.
 * Threads: the caller's; learner and loader have their own. */
#ifndef KENNEL_TRAIN_H
#define KENNEL_TRAIN_H

#include "data/base/digest.h"
#include "nn/batches.h"
#include "nn/learner.h"
#include "nn/recipe.h"

#include <jansson.h>

struct train_progress {
    int64_t step, steps; /* of the whole training */
    /* Of the last epoch that has ended, as in train_report; NULL before the first. Borrowed. */
    const json_t *epoch;
    double images_per_second, seconds_left; /* 0: not known yet */
};
/* After every step and epoch; true asks to stop (ERR_CANCELLED). */
typedef bool (*train_watch)(void *context, const struct train_progress *p);

struct train_options {
    const struct recipe *recipe; /* borrowed, as is all else */
    struct learner *learner;     /* with the weights to start from */
    struct batches *train;
    struct batches *validation;            /* NULL: the last epoch's weights are kept */
    const int *labels, *validation_labels; /* of the items of both */
    size_t count, validation_count;        /* items */
    const float *class_weight;             /* [classes], NULL: equal */
    int classes;
    bool judge_start;       /* the weights at the start may be the best */
    const char *checkpoint; /* file; NULL: none */
    const struct digest
        *identity;     /* of all that decides the bits: another's checkpoint is not used */
    train_watch watch; /* NULL is fine */
    void *context;
};

struct train_report {
    /* Array of {"epoch", "loss", "accuracy", "learning_rate", "images_per_second", "seconds",
     * "validation": {"loss", "accuracy"} or null}; owned. Epoch 0 is the start, judged alone, with
     * null for what there is not. */
    json_t *epochs;
    int64_t best;    /* epoch whose weights the learner has now */
    int64_t steps;   /* made */
    int64_t resumed; /* step that this run began at; 0: at the beginning */
};

/* ERR_DIVERGED naming step and epoch; ERR_CANCELLED; what learner and batches say. */
enum err_code train_run(const struct train_options *o, struct train_report *ret, struct err *e)
    MUST_USE;
void train_report_fini(struct train_report *r);

#endif
