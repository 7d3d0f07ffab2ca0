/* tfs_request.h -- the body of TensorFlow Serving's :predict.
 *
 *   {"instances": [...]}  row form, one element a picture; {"inputs": ...} columnar form
 *   a picture is {"b64": "..."}, a tensor lists in lists [3][S][S]; either may stand under its
 *   name, as the only member of an object
 *
 * The signature "serving_default" takes pictures, "serving_tensor" tensors; without a name the
 * value tells which.
 * Threads: one owner. */
#ifndef KENNEL_TFS_REQUEST_H
#define KENNEL_TFS_REQUEST_H

#include "api/score_batch.h"
#include "api/tensors.h"

#define TFS_PICTURES "serving_default"
#define TFS_TENSORS "serving_tensor"

struct tfs_request {
    bool columnar;                            /* the answer is in the form of the question */
    struct score_item items[SCORE_BATCH_MAX]; /* into own */
    int count;
    struct buf own;
};

/* *ret goes to _fini() after success. ERR_JSON_*, ERR_FIELD_*, ERR_TENSOR_*, ERR_BATCH_TOO_LARGE,
 * ERR_PICTURE_BYTES, ERR_BASE64_SYNTAX. */
enum err_code tfs_request_read(const struct tensors *t, const uint8_t *body, size_t len,
                               struct tfs_request *ret, struct err *e) MUST_USE;
void tfs_request_fini(struct tfs_request *q);

#endif
