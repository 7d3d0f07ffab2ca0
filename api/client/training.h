/* training.h -- how to train, from the command line: the flags that a recipe and limits are put
 * together from, and the epochs as they end. */
#ifndef KENNEL_CLIENT_TRAINING_H
#define KENNEL_CLIENT_TRAINING_H

#include "api/client/args.h"

#include <jansson.h>

/* Rows for a table of flags: what training_put() reads. */
#define TRAINING_FLAGS                                                                             \
    { "recipe", "FILE|JSON|workshop", "how to train: members over those of the model's recipe" },  \
        { "epochs", "N", "recipe.epochs" }, { "batch", "N", "recipe.batch" },                      \
        { "learning-rate", "X", "recipe.learning_rate" },                                          \
        { "limit-seconds", "N", "the job fails when it runs longer" },                             \
        { "limit-memory", "BYTES", "the job fails when it needs more" },                           \
        { "limit-threads", "N", "of the worker" },                                                 \
    {                                                                                              \
        "nice", "0..19", "ordinary scheduling so nice; otherwise idle priority"                    \
    }

/* The members recipe and limits of a request, where a flag asks for them; false after a message. */
bool training_put(json_t *body, const struct args *a);

/* "epoch 3 of 10: loss 0.4132, accuracy 87.30 %, validation 90.10 %, rate 0.001, 21.4 img/s" on
 * standard error, when progress has another epoch than *told. */
struct progress;
void training_show_epoch(struct progress *p, const json_t *progress, int64_t *told);

#endif
