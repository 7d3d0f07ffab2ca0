/* network.h -- an ONNX file, read, checked and understood.
 *
 * Loading refuses what cannot be run, naming the node: not protobuf (ERR_ONNX_SYNTAX), an
 * unsupported operator, attribute form or opset (ERR_ONNX_OPERATOR), no float32 image input
 * [N,3,H,W] (ERR_ONNX_INPUT), cycles, undefined values, shapes that do not fit or overflow,
 * initialisers that are shorter than their shape, external data (ERR_ONNX_GRAPH), sizes over
 * our limits (ERR_ONNX_LIMIT). Shapes are known for every value after loading; N is free.
 * Threads: a network is immutable after network_load(); any number of readers. */
#ifndef KENNEL_NETWORK_H
#define KENNEL_NETWORK_H

#include "data/base/buf.h"

#include <stdint.h>

struct network;

enum { NETWORK_RANK_MAX = 6, NETWORK_BYTES_MAX = 1 << 30 };

/* Copies what it needs; bytes may go afterwards. */
enum err_code network_load(const void *bytes, size_t len, struct network **ret, struct err *e)
    MUST_USE;
void network_free(struct network *n);

/* A metadata_props value, or NULL. Borrowed. */
const char *network_meta(const struct network *n, const char *key);
/* Floats in all initialisers. */
int64_t network_parameters(const struct network *n);
/* Of the image input: pixels; the name is borrowed. */
const char *network_input(const struct network *n, int *ret_height, int *ret_width);
/* The first graph output's name. Borrowed. */
const char *network_output(const struct network *n);

/* Shape of a value without its leading N: returns the rank (dims behind N), or -1 when there is no
 * such value. dims may be NULL. */
int network_value_shape(const struct network *n, const char *value, int64_t dims[NETWORK_RANK_MAX]);

/* The tensor to put a new head on: `hint` if given (else metadata feature_tensor, else the
 * input of the last Gemm, MatMul or 1x1 Conv with nothing but pooling, flattening, bias
 * and softmax behind it, else the output itself when it is a pooled vector). ret_width: its
 * channels. ERR_ONNX_FEATURE naming the tensor. The name is borrowed. */
enum err_code network_feature(const struct network *n, const char *hint, const char **ret_tensor,
                              int *ret_width, struct err *e) MUST_USE;

/* A new ONNX file: everything up to `feature` kept as it is, then global average pooling
 * where the feature is still spatial, flattening, Gemm with weight[classes][width] and
 * bias[classes], Softmax to `probabilities` [N,classes]; metadata_props are exactly the
 * count key/value pairs given. Equal arguments give equal bytes. */
struct network_meta_pair {
    const char *key, *value;
};
enum err_code network_export(const struct network *n, const char *feature, const float *weight,
                             const float *bias, int classes, const struct network_meta_pair *meta,
                             size_t meta_count, struct buf *ret, struct err *e) MUST_USE;

/* The weight [classes][width] and bias [classes] of the Gemm that network_export() wrote; the
 * caller owns both arrays. ERR_ONNX_GRAPH when the file has no such head. */
enum err_code network_head(const struct network *n, float **ret_weight, float **ret_bias,
                           int *ret_classes, int *ret_width, struct err *e) MUST_USE;

#endif
