/* tensors.h -- a classifier as the serving protocols see it: named tensors in and out, and how
 * JSON holds them.
 *
 *   in    image_bytes        [N]          encoded pictures, or
 *         the file's input   [N,3,S,S]    float32, what preprocessing makes of them
 *   out   the file's output  [N,classes]  float32 probabilities
 *
 * Threads: any; plain data. */
#ifndef KENNEL_TENSORS_H
#define KENNEL_TENSORS_H

#include "daemon/serve.h"
#include "data/base/buf.h"

#include <jansson.h>

#define TENSORS_PICTURES "image_bytes"

/* Numbers of a request in JSON, each of which takes tens of bytes while it is read. More go as
 * binary tensors. */
enum { TENSORS_JSON_VALUES = 2 << 20 };

struct tensors {
    const char *input, *output; /* borrowed from the snapshot */
    int size;                   /* S */
    int classes;
    uint64_t max_picture_bytes;
};

struct tensors tensors_of(const struct serve_ref *ref, uint64_t max_picture_bytes);
/* Bytes of one picture's float32. */
size_t tensors_input_bytes(const struct tensors *t);

/* Appends the float32 of a tensor of `shape`, given as lists in lists or as one flat list. what
 * names it in errors. ERR_TENSOR_SHAPE, ERR_TENSOR_DATA, ERR_JSON_VALUES. */
enum err_code tensors_floats(const json_t *list, const int64_t *shape, int rank, const char *what,
                             struct buf *ret, struct err *e) MUST_USE;

/* Appends the picture that a base64 text holds. ERR_PICTURE_BYTES, ERR_BODY_MISSING,
 * ERR_BASE64_SYNTAX. */
enum err_code tensors_picture(const struct tensors *t, const json_t *text, const char *what,
                              struct buf *ret, struct err *e) MUST_USE;
enum err_code tensors_picture_size(const struct tensors *t, size_t len, struct err *e) MUST_USE;

#endif
