/* Operators that sum over axes: reductions, normalisations, softmax. */
#include "nn/ops.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* mask[d]: dim d is summed over. ReduceSum takes its axes as an input from operator set 13 on, the
 * others from 18 on. */
static enum err_code reduced_dims(const struct op_call *c, bool mask[TENSOR_RANK_MAX],
                                  struct err *e)
{
    int64_t axes[TENSOR_RANK_MAX];
    int count;
    enum err_code r = op_ints(c, "axes", 1, axes, TENSOR_RANK_MAX, &count, e);
    if (r)
        return r;
    int rank = c->in[0]->rank;
    bool all = count <= 0 && !node_int(c->node, "noop_with_empty_axes", 0);
    for (int d = 0; d < TENSOR_RANK_MAX; d++)
        mask[d] = all && d < rank;
    for (int i = 0; i < count; i++) {
        int d;
        if (!op_axis(axes[i], rank, &d) || mask[d])
            return op_refuse(c, e, ERR_ONNX_GRAPH, "axis %" PRId64 " does not fit %d dimensions",
                             axes[i], rank);
        mask[d] = true;
    }
    return ERR_OK;
}

enum err_code reduce_infer(const struct op_call *c, struct err *e)
{
    const struct tensor *x = c->in[0];
    bool mask[TENSOR_RANK_MAX], keep = node_int(c->node, "keepdims", 1) != 0;
    enum err_code r = reduced_dims(c, mask, e);
    if (r)
        return r;
    if (x->type == TENSOR_BOOL || x->type == TENSOR_F16)
        return op_refuse(c, e, ERR_ONNX_OPERATOR, "element type %s is not supported",
                         tensor_type_text(x->type));
    struct tensor *out = c->out[0];
    out->type = x->type;
    out->rank = 0;
    for (int d = 0; d < x->rank; d++)
        if (!mask[d] || keep)
            out->dims[out->rank++] = mask[d] ? 1 : x->dims[d];
    return ERR_OK;
}

static double reduce_step(enum op_kind kind, double so_far, double value)
{
    switch (kind) {
    case OP_REDUCE_MAX:
        return value > so_far || isnan(value) ? value : so_far;
    case OP_REDUCE_MIN:
        return value < so_far || isnan(value) ? value : so_far;
    case OP_REDUCE_PROD:
        return so_far * value;
    default:
        return so_far + value;
    }
}

enum err_code reduce_eval(const struct op_call *c, struct err *e)
{
    const struct tensor *x = c->in[0];
    bool mask[TENSOR_RANK_MAX];
    enum err_code r = reduced_dims(c, mask, e);
    if (r)
        return r;
    enum op_kind kind = c->node->op->kind;
    double first = kind == OP_REDUCE_MAX    ? -INFINITY
                   : kind == OP_REDUCE_MIN  ? INFINITY
                   : kind == OP_REDUCE_PROD ? 1
                                            : 0;
    struct tensor kept = *x, summed = *x;
    for (int d = 0; d < x->rank; d++) {
        kept.dims[d] = mask[d] ? 1 : x->dims[d];
        summed.dims[d] = mask[d] ? x->dims[d] : 1;
    }
    int64_t strides[TENSOR_RANK_MAX], summed_count = tensor_count(&summed), i = 0;
    tensor_strides(x, strides);
    struct walk outer;
    walk_init(&outer, &kept);
    memcpy(outer.stride[0], strides, sizeof strides);
    outer.tensors = 1;
    if (!outer.left)
        return ERR_OK;
    do {
        double value = first;
        struct walk inner;
        walk_init(&inner, &summed);
        memcpy(inner.stride[0], strides, sizeof strides);
        inner.tensors = 1;
        if (inner.left)
            do
                value = reduce_step(kind, value, tensor_real(x, outer.at[0] + inner.at[0]));
            while (walk_next(&inner));
        if (kind == OP_REDUCE_MEAN)
            value /= (double)summed_count;
        tensor_set_real(c->out[0], i++, value);
    } while (walk_next(&outer));
    return ERR_OK;
}

bool softmax_axis(const struct op_call *c, int *ret_axis, bool *ret_to_end)
{
    bool old = c->graph->opset < 13;
    *ret_to_end = old;
    int rank = c->in[0]->rank;
    int64_t axis = node_int(c->node, "axis", old ? 1 : -1);
    if (old && axis == rank) { /* groups of one */
        *ret_axis = rank;
        return true;
    }
    return op_axis(axis, rank, ret_axis);
}

enum err_code softmax_infer(const struct op_call *c, struct err *e)
{
    int axis;
    bool to_end;
    enum err_code r = op_same_type(c, e);
    if (r)
        return r;
    if (!softmax_axis(c, &axis, &to_end))
        return op_refuse(c, e, ERR_ONNX_GRAPH, "its axis does not fit %d dimensions",
                         c->in[0]->rank);
    *c->out[0] = *c->in[0];
    c->out[0]->data = NULL;
    return ERR_OK;
}

enum err_code softmax_eval(const struct op_call *c, struct err *e)
{
    (void)e;
    const struct tensor *x = c->in[0];
    int axis;
    bool to_end, is_log = c->node->op->kind == OP_LOG_SOFTMAX;
    softmax_axis(c, &axis, &to_end);
    int64_t outer = tensor_span(x, 0, axis);
    int64_t len = to_end ? tensor_span(x, axis, x->rank) : x->dims[axis];
    int64_t inner = to_end ? 1 : tensor_span(x, axis + 1, x->rank);
    for (int64_t i = 0; i < outer * inner; i++) {
        int64_t at = i / inner * len * inner + i % inner;
        double most = -INFINITY, sum = 0;
        for (int64_t j = 0; j < len; j++)
            most = fmax(most, tensor_real(x, at + j * inner));
        for (int64_t j = 0; j < len; j++)
            sum += exp(tensor_real(x, at + j * inner) - most);
        for (int64_t j = 0; j < len; j++) {
            double shifted = tensor_real(x, at + j * inner) - most;
            tensor_set_real(c->out[0], at + j * inner,
                            is_log ? shifted - log(sum) : exp(shifted) / sum);
        }
    }
    return ERR_OK;
}

enum err_code layer_norm_infer(const struct op_call *c, struct err *e)
{
    const struct tensor *x = c->in[0];
    int axis;
    enum err_code r = op_same_type(c, e);
    if (r)
        return r;
    if (!op_axis(node_int(c->node, "axis", -1), x->rank, &axis))
        return op_refuse(c, e, ERR_ONNX_GRAPH, "its axis does not fit %d dimensions", x->rank);
    struct tensor norm = { .rank = x->rank - axis }, both;
    memcpy(norm.dims, x->dims + axis, (size_t)norm.rank * sizeof norm.dims[0]);
    for (int i = 1; i < c->node->in_count; i++)
        if (c->in[i] &&
            (!broadcast_shape(&norm, c->in[i], &both) || !tensor_same_shape(&norm, &both)))
            return op_refuse(c, e, ERR_ONNX_GRAPH, "its scale or bias does not fit the input");
    *c->out[0] = *x;
    c->out[0]->data = NULL;
    for (int i = 1; i < c->node->out_count; i++)
        if (c->out[i]) {
            *c->out[i] = *x;
            c->out[i]->data = NULL;
            for (int d = axis; d < x->rank; d++)
                c->out[i]->dims[d] = 1;
        }
    return ERR_OK;
}

enum err_code layer_norm_eval(const struct op_call *c, struct err *e)
{
    (void)e;
    const struct tensor *x = c->in[0], *scale = c->in[1];
    const struct tensor *bias = c->node->in_count > 2 ? c->in[2] : NULL;
    double epsilon = (double)node_float(c->node, "epsilon", 1e-5f);
    int axis;
    op_axis(node_int(c->node, "axis", -1), x->rank, &axis);
    struct tensor norm = { .rank = x->rank - axis };
    memcpy(norm.dims, x->dims + axis, (size_t)norm.rank * sizeof norm.dims[0]);
    int64_t len = tensor_count(&norm), rows = tensor_span(x, 0, axis);
    for (int64_t i = 0; i < rows; i++) {
        double mean = 0, variance = 0;
        for (int64_t j = 0; j < len; j++)
            mean += tensor_real(x, i * len + j) / (double)len;
        for (int64_t j = 0; j < len; j++) {
            double d = tensor_real(x, i * len + j) - mean;
            variance += d * d / (double)len;
        }
        double inverse = 1 / sqrt(variance + epsilon);
        struct walk w;
        walk_init(&w, &norm);
        walk_add(&w, scale);
        if (bias)
            walk_add(&w, bias);
        for (int64_t j = 0; j < len; j++, walk_next(&w))
            tensor_set_real(c->out[0], i * len + j,
                            (tensor_real(x, i * len + j) - mean) * inverse *
                                    tensor_real(scale, w.at[0]) +
                                (bias ? tensor_real(bias, w.at[1]) : 0));
        if (c->node->out_count > 1 && c->out[1])
            tensor_set_real(c->out[1], i, mean);
        if (c->node->out_count > 2 && c->out[2])
            tensor_set_real(c->out[2], i, inverse);
    }
    return ERR_OK;
}

enum err_code lrn_infer(const struct op_call *c, struct err *e)
{
    enum err_code r = op_same_type(c, e);
    if (r)
        return r;
    int64_t size = node_int(c->node, "size", 0);
    if (c->in[0]->rank < 3 || size < 1 || size > 4096)
        return op_refuse(c, e, ERR_ONNX_GRAPH, "size %" PRId64 " does not fit", size);
    *c->out[0] = *c->in[0];
    c->out[0]->data = NULL;
    return ERR_OK;
}

enum err_code lrn_eval(const struct op_call *c, struct err *e)
{
    (void)e;
    const struct tensor *x = c->in[0];
    double alpha = (double)node_float(c->node, "alpha", 1e-4f);
    double beta = (double)node_float(c->node, "beta", 0.75f);
    double bias = (double)node_float(c->node, "bias", 1);
    int64_t size = node_int(c->node, "size", 1), channels = x->dims[1];
    int64_t plane = tensor_span(x, 2, x->rank), count = tensor_count(x);
    for (int64_t i = 0; i < count; i++) {
        int64_t ch = i / plane % channels, low = ch - (size - 1) / 2, high = ch + size / 2;
        double sum = 0;
        for (int64_t k = low < 0 ? 0 : low; k <= high && k < channels; k++) {
            double value = tensor_real(x, i + (k - ch) * plane);
            sum += value * value;
        }
        tensor_set_real(c->out[0], i,
                        tensor_real(x, i) / pow(bias + alpha / (double)size * sum, beta));
    }
    return ERR_OK;
}
