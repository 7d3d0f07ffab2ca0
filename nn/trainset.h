/* trainset.h -- the pictures of a dataset version as rows: first those to train on, then the
 * holdout to judge by.
 *
 * The holdout is the split `test` where it has pictures, else `val`. Rows stand in the order of the
 * pictures' digests, the views of one picture together; holdout rows are view 0. Where the holdout
 * is `test`, the pictures of `val` stand behind it, to choose by while training. Threads: immutable
 * after loading; any number of readers. */
#ifndef KENNEL_TRAINSET_H
#define KENNEL_TRAINSET_H

#include "data/manifest.h"
#include "nn/features.h"

struct trainset {
    struct manifest manifest;
    enum split holdout;
    size_t largest, smallest;    /* training pictures of the largest and smallest class */
    size_t train, count;         /* rows: [0, train) train, [train, count) holdout */
    size_t all;                  /* rows: [count, all) val beside a holdout test, view 0 */
    size_t train_pictures;       /* train / views */
    struct features_item *items; /* owned, [all] */
    int *y;                      /* owned, [all] index of manifest.labels */
    int *picture;                /* owned, [all] index of manifest.items */
};

/* From a manifest's text. ERR_BLOB_CORRUPT, ERR_DATASET_EMPTY, ERR_DATASET_ONE_CLASS,
 * ERR_CLASS_TOO_SMALL naming the class, ERR_HOLDOUT_EMPTY. */
enum err_code trainset_load(const char *text, size_t len, int views, struct trainset *ret,
                            struct err *e) MUST_USE;
void trainset_fini(struct trainset *t);

/* Names the holdout: SHA-256 over its lines "PICTURE<TAB>LABEL\n". */
enum err_code trainset_holdout_digest(const struct trainset *t, struct digest *ret, struct err *e)
    MUST_USE;

#endif
