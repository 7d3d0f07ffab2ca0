/* tensor.h -- a typed, dense, row-major array, and its shape alone while the numbers are not known.
 *
 * Invariants: every dim >= 0; the product of the dims and the bytes fit TENSOR_BYTES_MAX once
 * tensor_check() has said so; data, when not NULL, holds that many bytes.
 * Threads: plain data. */
#ifndef KENNEL_TENSOR_H
#define KENNEL_TENSOR_H

#include "nn/network.h"

/* The numbers are those of ONNX's TensorProto.DataType. */
enum tensor_type {
    TENSOR_NONE = 0,
    TENSOR_F32 = 1,
    TENSOR_U8 = 2,
    TENSOR_I8 = 3,
    TENSOR_U16 = 4,
    TENSOR_I16 = 5,
    TENSOR_I32 = 6,
    TENSOR_I64 = 7,
    TENSOR_BOOL = 9,
    TENSOR_F16 = 10,
    TENSOR_F64 = 11,
    TENSOR_U32 = 12,
    TENSOR_U64 = 13,
};

enum { TENSOR_RANK_MAX = NETWORK_RANK_MAX + 1, TENSOR_BYTES_MAX = NETWORK_BYTES_MAX };

struct tensor {
    enum tensor_type type;
    int rank;
    int64_t dims[TENSOR_RANK_MAX];
    void *data; /* NULL: known only when the network runs */
};

/* 0 for a type that is not supported. */
size_t tensor_type_size(enum tensor_type type);
const char *tensor_type_text(enum tensor_type type);
bool tensor_is_float(enum tensor_type type);

/* False when a dim is negative or the bytes pass TENSOR_BYTES_MAX. */
bool tensor_check(const struct tensor *t);
/* After tensor_check(). */
int64_t tensor_count(const struct tensor *t);
size_t tensor_bytes(const struct tensor *t);
/* Product of dims[from..to). */
int64_t tensor_span(const struct tensor *t, int from, int to);
bool tensor_same_shape(const struct tensor *a, const struct tensor *b);
void tensor_strides(const struct tensor *t, int64_t ret[TENSOR_RANK_MAX]);

/* Entry i in row-major order; the whole range of the type passes through. */
double tensor_real(const struct tensor *t, int64_t i);
int64_t tensor_int(const struct tensor *t, int64_t i);
/* Rounds toward zero, saturates nothing: a value that does not fit is cut as a C cast cuts it, and
 * a real that fits no integer becomes 0. */
void tensor_set_real(struct tensor *t, int64_t i, double value);
void tensor_set_int(struct tensor *t, int64_t i, int64_t value);

/* Gives t->data room for its shape, zeroed; the caller frees it. */
enum err_code tensor_alloc(struct tensor *t, struct err *e) MUST_USE;

/* "[1,3,224,224]" */
enum { TENSOR_TEXT = 160 };
const char *tensor_text(const struct tensor *t, char ret[TENSOR_TEXT]);

float tensor_half_to_float(uint16_t half);
uint16_t tensor_float_to_half(float value);

#endif
