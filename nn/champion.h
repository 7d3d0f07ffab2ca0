/* champion.h -- a model version taken apart again: its backbone, its head, its labels.
 *
 * Its backbone has the digest (a trained body its own), feature tensor and preprocessing of the one
 * that it was trained on, and its precision is the one it is served in, so its features are found
 * in the feature cache under the same key, and scoring it on pictures that were seen before costs
 * no forward pass. Threads: immutable after opening; any number of readers. */
#ifndef KENNEL_CHAMPION_H
#define KENNEL_CHAMPION_H

#include "nn/backbone.h"
#include "nn/head.h"
#include "nn/labels.h"
#include "nn/precision.h"

struct champion {
    struct backbone backbone;
    struct head head;
    struct labels labels;
    struct integers integers; /* what its features are computed with, as they are served */
};

/* bytes: what classifier_export() wrote. ERR_ONNX_* when it is not such a file. *ret is to be given
 * to _fini() only after success. */
enum err_code champion_open(const void *bytes, size_t len, struct champion *ret, struct err *e)
    MUST_USE;
void champion_fini(struct champion *c);

/* The labels of both sides: first those of the dataset, then the champion's other ones. */
struct champion_map {
    int *at;            /* owned; [champion's labels] index in names */
    const char **names; /* owned array of borrowed names; [count] */
    int count;
};
enum err_code champion_map_init(const struct champion *c, char *const *dataset_labels, int count,
                                struct champion_map *ret, struct err *e) MUST_USE;
void champion_map_fini(struct champion_map *m);

/* x [rows][backbone.width] -> *ret [rows][map's count], owned by the caller; 0 for labels that the
 * champion does not know. */
enum err_code champion_score(const struct champion *c, const struct champion_map *m, const float *x,
                             size_t rows, float **ret, struct err *e) MUST_USE;

#endif
