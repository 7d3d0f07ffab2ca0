#include "nn/ops.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WINDOW "auto_pad dilations kernel_shape pads strides"

#define UNARY(id, name, since, attrs)                                                              \
    [OP_##id] = { name, OP_##id, 1, 1, 1, since, attrs, unary_infer, unary_eval, false }
#define BINARY(id, name)                                                                           \
    [OP_##id] = { name, OP_##id, 2, 2, 1, 1, "", binary_infer, binary_eval, false }
#define REDUCE(id, name)                                                                           \
    [OP_##id] = { name,         OP_##id,     1,    2, 1, 1, "axes keepdims noop_with_empty_axes",  \
                  reduce_infer, reduce_eval, false }

static const struct op table[OP_COUNT] = {
    BINARY(ADD, "Add"),
    BINARY(SUB, "Sub"),
    BINARY(MUL, "Mul"),
    BINARY(DIV, "Div"),
    BINARY(POW, "Pow"),
    [OP_MIN] = { "Min", OP_MIN, 1, 4096, 1, 1, "", extreme_infer, extreme_eval, false },
    [OP_MAX] = { "Max", OP_MAX, 1, 4096, 1, 1, "", extreme_infer, extreme_eval, false },
    BINARY(EQUAL, "Equal"),
    BINARY(LESS, "Less"),
    BINARY(GREATER, "Greater"),
    BINARY(PRELU, "PRelu"),
    [OP_WHERE] = { "Where", OP_WHERE, 3, 3, 1, 9, "", where_infer, where_eval, false },
    UNARY(RELU, "Relu", 1, ""),
    UNARY(LEAKY_RELU, "LeakyRelu", 1, "alpha"),
    UNARY(ELU, "Elu", 1, "alpha"),
    UNARY(SIGMOID, "Sigmoid", 1, ""),
    UNARY(HARD_SIGMOID, "HardSigmoid", 1, "alpha beta"),
    UNARY(HARD_SWISH, "HardSwish", 14, ""),
    UNARY(TANH, "Tanh", 1, ""),
    UNARY(GELU, "Gelu", 20, "approximate"),
    UNARY(ERF, "Erf", 9, ""),
    UNARY(SQRT, "Sqrt", 1, ""),
    UNARY(EXP, "Exp", 1, ""),
    UNARY(LOG, "Log", 1, ""),
    UNARY(ABS, "Abs", 1, ""),
    UNARY(NEG, "Neg", 1, ""),
    UNARY(FLOOR, "Floor", 1, ""),
    UNARY(CEIL, "Ceil", 1, ""),
    UNARY(RECIPROCAL, "Reciprocal", 1, ""),
    UNARY(NOT, "Not", 1, ""),
    UNARY(SOFTPLUS, "Softplus", 1, ""),
    [OP_CLIP] = { "Clip", OP_CLIP, 1, 3, 1, 1, "min max", clip_infer, clip_eval, false },
    [OP_CONV] = { "Conv", OP_CONV, 2, 3, 1, 1, WINDOW " group", conv_infer, conv_eval, true },
    [OP_BATCH_NORM] = { "BatchNormalization", OP_BATCH_NORM, 5, 5, 5, 1,
                        "epsilon momentum spatial training_mode", batch_norm_infer, batch_norm_eval,
                        false },
    [OP_GEMM] = { "Gemm", OP_GEMM, 2, 3, 1, 1, "alpha beta transA transB", gemm_infer, gemm_eval,
                  true },
    [OP_MATMUL] = { "MatMul", OP_MATMUL, 2, 2, 1, 1, "", matmul_infer, matmul_eval, true },
    [OP_MAX_POOL] = { "MaxPool", OP_MAX_POOL, 1, 1, 2, 1, WINDOW " ceil_mode storage_order",
                      pool_infer, pool_eval, true },
    [OP_AVERAGE_POOL] = { "AveragePool", OP_AVERAGE_POOL, 1, 1, 1, 1,
                          WINDOW " ceil_mode count_include_pad", pool_infer, pool_eval, true },
    [OP_GLOBAL_AVERAGE_POOL] = { "GlobalAveragePool", OP_GLOBAL_AVERAGE_POOL, 1, 1, 1, 1, "",
                                 global_pool_infer, global_pool_eval, false },
    [OP_GLOBAL_MAX_POOL] = { "GlobalMaxPool", OP_GLOBAL_MAX_POOL, 1, 1, 1, 1, "", global_pool_infer,
                             global_pool_eval, false },
    REDUCE(REDUCE_MEAN, "ReduceMean"),
    REDUCE(REDUCE_SUM, "ReduceSum"),
    REDUCE(REDUCE_MAX, "ReduceMax"),
    REDUCE(REDUCE_MIN, "ReduceMin"),
    REDUCE(REDUCE_PROD, "ReduceProd"),
    [OP_LAYER_NORM] = { "LayerNormalization", OP_LAYER_NORM, 2, 3, 3, 17, "axis epsilon stash_type",
                        layer_norm_infer, layer_norm_eval, false },
    [OP_LRN] = { "LRN", OP_LRN, 1, 1, 1, 1, "alpha beta bias size", lrn_infer, lrn_eval, true },
    [OP_SOFTMAX] = { "Softmax", OP_SOFTMAX, 1, 1, 1, 1, "axis", softmax_infer, softmax_eval,
                     false },
    [OP_LOG_SOFTMAX] = { "LogSoftmax", OP_LOG_SOFTMAX, 1, 1, 1, 1, "axis", softmax_infer,
                         softmax_eval, false },
    [OP_FLATTEN] = { "Flatten", OP_FLATTEN, 1, 1, 1, 1, "axis", reshape_infer, reshape_eval,
                     false },
    [OP_RESHAPE] = { "Reshape", OP_RESHAPE, 2, 2, 1, 5, "allowzero", reshape_infer, reshape_eval,
                     false },
    [OP_SQUEEZE] = { "Squeeze", OP_SQUEEZE, 1, 2, 1, 1, "axes", reshape_infer, reshape_eval,
                     false },
    [OP_UNSQUEEZE] = { "Unsqueeze", OP_UNSQUEEZE, 1, 2, 1, 1, "axes", reshape_infer, reshape_eval,
                       false },
    [OP_TRANSPOSE] = { "Transpose", OP_TRANSPOSE, 1, 1, 1, 1, "perm", transpose_infer,
                       transpose_eval, false },
    [OP_CONCAT] = { "Concat", OP_CONCAT, 1, 4096, 1, 4, "axis", concat_infer, concat_eval, false },
    [OP_SPLIT] = { "Split", OP_SPLIT, 1, 2, 4096, 2, "axis split num_outputs", split_infer,
                   split_eval, false },
    [OP_SLICE] = { "Slice", OP_SLICE, 1, 5, 1, 1, "axes starts ends", slice_infer, slice_eval,
                   false },
    [OP_PAD] = { "Pad", OP_PAD, 1, 4, 1, 2, "mode pads value", pad_infer, pad_eval, false },
    [OP_GATHER] = { "Gather", OP_GATHER, 2, 2, 1, 1, "axis", gather_infer, gather_eval, false },
    [OP_EXPAND] = { "Expand", OP_EXPAND, 2, 2, 1, 8, "", expand_infer, expand_eval, false },
    [OP_SHAPE] = { "Shape", OP_SHAPE, 1, 1, 1, 1, "start end", shape_infer, shape_eval, false },
    [OP_CONSTANT_OF_SHAPE] = { "ConstantOfShape", OP_CONSTANT_OF_SHAPE, 1, 1, 1, 9, "value",
                               constant_of_shape_infer, constant_of_shape_eval, false },
    [OP_RANGE] = { "Range", OP_RANGE, 3, 3, 1, 11, "", range_infer, range_eval, false },
    [OP_CONSTANT] = { "Constant", OP_CONSTANT, 0, 0, 1, 1,
                      "value value_float value_floats value_int value_ints", constant_infer,
                      constant_eval, false },
    [OP_IDENTITY] = { "Identity", OP_IDENTITY, 1, 1, 1, 1, "", identity_infer, identity_eval,
                      false },
    [OP_DROPOUT] = { "Dropout", OP_DROPOUT, 1, 3, 2, 7, "ratio seed", identity_infer, identity_eval,
                     false },
    [OP_CAST] = { "Cast", OP_CAST, 1, 1, 1, 6, "to saturate", cast_infer, cast_eval, false },
    [OP_QUANTIZE] = { "QuantizeLinear", OP_QUANTIZE, 2, 3, 1, 10, "axis saturate", quantize_infer,
                      quantize_eval, false },
    [OP_DEQUANTIZE] = { "DequantizeLinear", OP_DEQUANTIZE, 2, 3, 1, 10, "axis", dequantize_infer,
                        dequantize_eval, false },
};

const struct op *op_find(const char *name)
{
    for (int i = 0; i < OP_COUNT; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

enum err_code op_refuse(const struct op_call *c, struct err *e, enum err_code code,
                        const char *format, ...)
{
    char node[NODE_TEXT], text[256];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    return err_set(e, code, "%s: %s", node_text(c->graph, c->node, node), text);
}

enum err_code op_ints(const struct op_call *c, const char *attr, int input, int64_t *ret, int max,
                      int *ret_count, struct err *e)
{
    const struct attr *a = node_attr(c->node, attr);
    const struct tensor *t = input >= 0 && input < c->node->in_count ? c->in[input] : NULL;
    int64_t count = -1;
    if (t) {
        if (!t->data)
            return op_refuse(c, e, ERR_ONNX_OPERATOR, "its %s must be constant", attr);
        if (t->rank > 1 || (t->type != TENSOR_I64 && t->type != TENSOR_I32))
            return op_refuse(c, e, ERR_ONNX_GRAPH, "its %s must be a list of integers", attr);
        count = tensor_count(t);
    } else if (a && a->kind == ATTR_INTS) {
        count = (int64_t)a->count;
    } else if (a) {
        return op_refuse(c, e, ERR_ONNX_GRAPH, "its %s must be a list of integers", attr);
    }
    if (count > max)
        return op_refuse(c, e, ERR_ONNX_LIMIT, "its %s has more than %d entries", attr, max);
    for (int64_t i = 0; i < count; i++)
        ret[i] = t ? tensor_int(t, i) : a->ints[i];
    *ret_count = (int)count;
    return ERR_OK;
}

bool op_axis(int64_t axis, int rank, int *ret)
{
    if (axis < -rank || axis >= rank)
        return false;
    *ret = (int)(axis < 0 ? axis + rank : axis);
    return true;
}

enum err_code op_same_type(const struct op_call *c, struct err *e)
{
    enum tensor_type type = c->in[0]->type;
    if (type != TENSOR_F32 && type != TENSOR_F64)
        return op_refuse(c, e, ERR_ONNX_OPERATOR, "element type %s is not supported",
                         tensor_type_text(type));
    for (int i = 1; i < c->node->in_count; i++)
        if (c->in[i] && c->in[i]->type != type)
            return op_refuse(c, e, ERR_ONNX_GRAPH, "input %d has type %s, input 0 has %s", i,
                             tensor_type_text(c->in[i]->type), tensor_type_text(type));
    c->out[0]->type = type;
    return ERR_OK;
}

void walk_init(struct walk *w, const struct tensor *shape)
{
    *w = (struct walk){ .rank = shape->rank, .left = tensor_count(shape) };
    memcpy(w->dims, shape->dims, sizeof w->dims);
}

void walk_add(struct walk *w, const struct tensor *t)
{
    int64_t strides[TENSOR_RANK_MAX];
    tensor_strides(t, strides);
    int skip = w->rank - t->rank;
    for (int i = 0; i < t->rank; i++)
        w->stride[w->tensors][skip + i] = t->dims[i] == 1 ? 0 : strides[i];
    w->tensors++;
}

bool walk_next(struct walk *w)
{
    if (--w->left <= 0)
        return false;
    for (int d = w->rank - 1; d >= 0; d--) {
        bool carry = ++w->index[d] == w->dims[d];
        for (int t = 0; t < w->tensors; t++)
            w->at[t] += carry ? -w->stride[t][d] * (w->dims[d] - 1) : w->stride[t][d];
        if (!carry)
            break;
        w->index[d] = 0;
    }
    return true;
}

bool broadcast_shape(const struct tensor *a, const struct tensor *b, struct tensor *ret)
{
    int rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 1; i <= rank; i++) {
        int64_t x = i <= a->rank ? a->dims[a->rank - i] : 1;
        int64_t y = i <= b->rank ? b->dims[b->rank - i] : 1;
        if (x != y && x != 1 && y != 1)
            return false;
        ret->dims[rank - i] = x == 1 ? y : x;
    }
    ret->rank = rank;
    return true;
}
