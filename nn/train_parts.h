/* train_parts.h -- private to train.c and train_checkpoint.c: a training that is under way.
 *
 * Threads: as nn/train.h. */
#ifndef KENNEL_TRAIN_PARTS_H
#define KENNEL_TRAIN_PARTS_H

#include "nn/checkpoint.h"
#include "nn/optimiser.h"
#include "nn/train.h"

/* What a checkpoint's header holds. */
struct train_place {
    int64_t epoch, step;          /* epochs ended; steps made in the one that goes on */
    double loss, right;           /* sums over the epoch so far */
    double seen;                  /* pictures of it */
    double seconds;               /* spent on its steps */
    double best_loss, least_loss; /* of the weights that are kept; of any epoch */
    int64_t best, stale;          /* epochs since the least */
    bool finished;
};

struct train_run {
    const struct train_options *o;
    struct optimiser *optimiser;
    struct schedule schedule;
    struct train_place at;
    int64_t per_epoch;
    size_t param_count;
    float **best; /* owned, [param_count], each owned; NULL without validation */
    struct checkpoint_array *arrays;
    size_t array_count;
    float *p; /* owned; [batch][classes] */
    /* Owned, [validation_count]: each picture's log loss now, and at the start. NULL without
     * validation. */
    float *losses, *start_losses;
    json_t *epochs; /* owned */
    int64_t saved_us, save_cost_us;
    double pace; /* seconds a step, lately */
};

/* What a checkpoint holds, once all of it stands where it stays. */
enum err_code train_make_arrays(struct train_run *run, struct err *e) MUST_USE;
/* Nothing where no checkpoint is wanted. */
enum err_code train_save(struct train_run *run, struct err *e) MUST_USE;
enum err_code train_save_sometimes(struct train_run *run, struct err *e) MUST_USE;
/* ret_found: the run stands where the checkpoint of the same training was made. */
enum err_code train_resume(struct train_run *run, bool *ret_found, struct err *e) MUST_USE;

#endif
