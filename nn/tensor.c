#include "nn/tensor.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t tensor_type_size(enum tensor_type type)
{
    switch (type) {
    case TENSOR_U8:
    case TENSOR_I8:
    case TENSOR_BOOL:
        return 1;
    case TENSOR_U16:
    case TENSOR_I16:
    case TENSOR_F16:
        return 2;
    case TENSOR_F32:
    case TENSOR_I32:
    case TENSOR_U32:
        return 4;
    case TENSOR_I64:
    case TENSOR_F64:
    case TENSOR_U64:
        return 8;
    case TENSOR_NONE:
        return 0;
    }
    return 0;
}

const char *tensor_type_text(enum tensor_type type)
{
    switch (type) {
    case TENSOR_F32:
        return "float32";
    case TENSOR_U8:
        return "uint8";
    case TENSOR_I8:
        return "int8";
    case TENSOR_U16:
        return "uint16";
    case TENSOR_I16:
        return "int16";
    case TENSOR_I32:
        return "int32";
    case TENSOR_I64:
        return "int64";
    case TENSOR_BOOL:
        return "bool";
    case TENSOR_F16:
        return "float16";
    case TENSOR_F64:
        return "float64";
    case TENSOR_U32:
        return "uint32";
    case TENSOR_U64:
        return "uint64";
    case TENSOR_NONE:
        return "none";
    }
    return "an unknown type";
}

bool tensor_is_float(enum tensor_type type)
{
    return type == TENSOR_F32 || type == TENSOR_F64 || type == TENSOR_F16;
}

bool tensor_check(const struct tensor *t)
{
    if (t->rank < 0 || t->rank > TENSOR_RANK_MAX)
        return false;
    int64_t bytes = (int64_t)tensor_type_size(t->type);
    for (int i = 0; i < t->rank; i++) {
        if (t->dims[i] < 0 || t->dims[i] > TENSOR_BYTES_MAX)
            return false;
        /* A zero dim must not hide the size of the others. */
        if (t->dims[i] > 0 && bytes > TENSOR_BYTES_MAX / t->dims[i])
            return false;
        bytes *= t->dims[i] > 0 ? t->dims[i] : 1;
    }
    return bytes <= TENSOR_BYTES_MAX;
}

int64_t tensor_span(const struct tensor *t, int from, int to)
{
    int64_t n = 1;
    for (int i = from; i < to; i++)
        n *= t->dims[i];
    return n;
}

int64_t tensor_count(const struct tensor *t)
{
    return tensor_span(t, 0, t->rank);
}

size_t tensor_bytes(const struct tensor *t)
{
    return (size_t)tensor_count(t) * tensor_type_size(t->type);
}

bool tensor_same_shape(const struct tensor *a, const struct tensor *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) == 0;
}

void tensor_strides(const struct tensor *t, int64_t ret[TENSOR_RANK_MAX])
{
    int64_t n = 1;
    for (int i = t->rank - 1; i >= 0; i--) {
        ret[i] = n;
        n *= t->dims[i];
    }
}

float tensor_half_to_float(uint16_t half)
{
    int exponent = half >> 10 & 31;
    float fraction = (float)(half & 1023);
    float value = exponent == 31  ? (fraction != 0 ? NAN : INFINITY)
                  : exponent == 0 ? ldexpf(fraction, -24)
                                  : ldexpf(fraction + 1024, exponent - 25);
    return half & 0x8000 ? -value : value;
}

uint16_t tensor_float_to_half(float value)
{
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    float size = fabsf(value);
    if (isnan(value))
        return (uint16_t)(sign | 0x7e00);
    if (size >= 65520.0f)
        return (uint16_t)(sign | 0x7c00);
    if (size < 6.103515625e-05f)
        return (uint16_t)(sign | (uint16_t)rintf(ldexpf(size, 24)));
    int exponent;
    float fraction = frexpf(size, &exponent); /* 0.5 <= fraction < 1 */
    int bits = (int)rintf(ldexpf(fraction, 11)) - 1024;
    return (uint16_t)(sign | (((exponent + 14) << 10) + bits));
}

double tensor_real(const struct tensor *t, int64_t i)
{
    switch (t->type) {
    case TENSOR_F32:
        return (double)((const float *)t->data)[i];
    case TENSOR_F64:
        return ((const double *)t->data)[i];
    case TENSOR_F16:
        return (double)tensor_half_to_float(((const uint16_t *)t->data)[i]);
    case TENSOR_U64:
        return (double)((const uint64_t *)t->data)[i];
    default:
        return (double)tensor_int(t, i);
    }
}

static int64_t real_to_int(double value)
{
    return value > -9.2e18 && value < 9.2e18 ? (int64_t)value : 0;
}

int64_t tensor_int(const struct tensor *t, int64_t i)
{
    switch (t->type) {
    case TENSOR_U8:
        return ((const uint8_t *)t->data)[i];
    case TENSOR_I8:
        return ((const int8_t *)t->data)[i];
    case TENSOR_BOOL:
        return ((const uint8_t *)t->data)[i] != 0;
    case TENSOR_U16:
        return ((const uint16_t *)t->data)[i];
    case TENSOR_I16:
        return ((const int16_t *)t->data)[i];
    case TENSOR_I32:
        return ((const int32_t *)t->data)[i];
    case TENSOR_U32:
        return ((const uint32_t *)t->data)[i];
    case TENSOR_I64:
        return ((const int64_t *)t->data)[i];
    case TENSOR_U64:
        return (int64_t)((const uint64_t *)t->data)[i];
    case TENSOR_F32:
    case TENSOR_F64:
    case TENSOR_F16:
        return real_to_int(tensor_real(t, i));
    case TENSOR_NONE:
        break;
    }
    return 0;
}

void tensor_set_real(struct tensor *t, int64_t i, double value)
{
    switch (t->type) {
    case TENSOR_F32:
        ((float *)t->data)[i] = (float)value;
        break;
    case TENSOR_F64:
        ((double *)t->data)[i] = value;
        break;
    case TENSOR_F16:
        ((uint16_t *)t->data)[i] = tensor_float_to_half((float)value);
        break;
    case TENSOR_BOOL:
        ((uint8_t *)t->data)[i] = value != 0;
        break;
    case TENSOR_U64:
        ((uint64_t *)t->data)[i] =
            value >= 0 && value < 1.8e19 ? (uint64_t)value : (uint64_t)real_to_int(value);
        break;
    default:
        tensor_set_int(t, i, real_to_int(value));
    }
}

void tensor_set_int(struct tensor *t, int64_t i, int64_t value)
{
    switch (t->type) {
    case TENSOR_U8:
        ((uint8_t *)t->data)[i] = (uint8_t)value;
        break;
    case TENSOR_I8:
        ((int8_t *)t->data)[i] = (int8_t)value;
        break;
    case TENSOR_BOOL:
        ((uint8_t *)t->data)[i] = value != 0;
        break;
    case TENSOR_U16:
        ((uint16_t *)t->data)[i] = (uint16_t)value;
        break;
    case TENSOR_I16:
        ((int16_t *)t->data)[i] = (int16_t)value;
        break;
    case TENSOR_I32:
        ((int32_t *)t->data)[i] = (int32_t)value;
        break;
    case TENSOR_U32:
        ((uint32_t *)t->data)[i] = (uint32_t)value;
        break;
    case TENSOR_I64:
        ((int64_t *)t->data)[i] = value;
        break;
    case TENSOR_U64:
        ((uint64_t *)t->data)[i] = (uint64_t)value;
        break;
    case TENSOR_F32:
    case TENSOR_F64:
    case TENSOR_F16:
        tensor_set_real(t, i, (double)value);
        break;
    case TENSOR_NONE:
        break;
    }
}

enum err_code tensor_alloc(struct tensor *t, struct err *e)
{
    size_t bytes = tensor_bytes(t);
    t->data = calloc(1, bytes ? bytes : 1);
    if (!t->data)
        return err_set(e, ERR_NOMEM, "no memory for a tensor of %zu bytes", bytes);
    return ERR_OK;
}

const char *tensor_text(const struct tensor *t, char ret[TENSOR_TEXT])
{
    size_t len = 1;
    ret[0] = '[';
    for (int i = 0; i < t->rank; i++)
        len += (size_t)snprintf(ret + len, TENSOR_TEXT - len, i ? ",%" PRId64 : "%" PRId64,
                                t->dims[i]);
    snprintf(ret + len, TENSOR_TEXT - len, "]");
    return ret;
}
