/* backbone.h -- a pretrained network with the place for a new head and the way its pictures are
 * prepared.
 * Threads: immutable after opening; any number of readers. */
#ifndef KENNEL_BACKBONE_H
#define KENNEL_BACKBONE_H

#include "data/base/digest.h"
#include "data/preprocess.h"
#include "nn/network.h"

/* What the request may say instead of the file's metadata_props; zeroed: nothing. */
struct backbone_overrides {
    const char *feature; /* tensor name */
    const char *mean;    /* "123.675,116.28,103.53" or one number, on 0..255 */
    const char *std;
    const char *color; /* "RGB" or "BGR" */
    int resize;        /* shorter side before the crop */
};

struct backbone {
    struct network *network; /* owned */
    char *feature;           /* owned: tensor name */
    int width;               /* floats a feature vector, after pooling */
    struct preprocess pre;
    struct digest digest; /* of the file's bytes */
};

/* Reads preprocessing from metadata_props (mean, std, color_order, input_size, resize) or
 * the overrides; neither is ERR_ONNX_PREPROCESS. *ret is to be given to _fini() only after
 * success. overrides may be NULL. */
enum err_code backbone_open(const void *bytes, size_t len,
                            const struct backbone_overrides *overrides, struct backbone *ret,
                            struct err *e) MUST_USE;
void backbone_fini(struct backbone *b);

/* The feature cache's key: digest over backbone digest, feature tensor, preprocessing and
 * plan_engine_text(). */
enum err_code backbone_feature_key(const struct backbone *b, struct digest *ret, struct err *e)
    MUST_USE;

#endif
