/* retrain_training.h -- private to retrain_start.c and retrain_train.c: a run that has epochs.
 *
 * Threads: as retrain_parts.h. */
#ifndef KENNEL_RETRAIN_TRAINING_H
#define KENNEL_RETRAIN_TRAINING_H

#include "nn/cut.h"
#include "nn/retrain_parts.h"
#include "nn/train.h"

/* Pictures to train on, or to choose by. */
struct pictures {
    struct digest *pictures; /* owned, [count] */
    int *labels;             /* owned, [count] */
    size_t count;
    struct blobs *blobs;
};

struct training {
    struct pictures train, validation;
    const char *validation_from; /* "val", "train" or "none" */
    bool *held;                  /* owned, [set.train]: kept for validation */
    struct cut cut;              /* name NULL: none */
    struct backbone at_cut;      /* borrows from the run's backbone and from cut */
    struct retrain_caches caches;
    struct learner *learner;
    struct batches *batches, *judging;
    float *class_weight; /* owned; NULL: equal */
    struct train_report report;
    bool is_body_kept; /* the artifact's body is the backbone's */
};

/* --- retrain_start.c */

bool training_starts_from_head(const struct retrain *run);
/* Steps are fed with cached values of a cut: partial, head. */
bool training_has_cut(const struct retrain *run);
/* The views of a picture that epochs look at in turn. */
int training_first_view(const struct recipe *r);
int training_view_count(const struct recipe *r);
/* run->x: the features of the rows that are trained on. */
enum err_code training_features(struct retrain *run, struct err *e) MUST_USE;

#endif
