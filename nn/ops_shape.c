/* Operators that move entries without looking at them, by shape alone. */
#include "nn/ops.h"

#include <inttypes.h>
#include <string.h>

static enum err_code flatten_shape(const struct op_call *c, struct tensor *out, struct err *e)
{
    const struct tensor *x = c->in[0];
    int64_t axis = node_int(c->node, "axis", 1);
    if (axis < -x->rank || axis > x->rank)
        return op_refuse(c, e, ERR_ONNX_GRAPH, "axis %" PRId64 " does not fit %d dimensions", axis,
                         x->rank);
    int at = (int)(axis < 0 ? axis + x->rank : axis);
    out->rank = 2;
    out->dims[0] = tensor_span(x, 0, at);
    out->dims[1] = tensor_span(x, at, x->rank);
    return ERR_OK;
}

static enum err_code reshape_shape(const struct op_call *c, struct tensor *out, struct err *e)
{
    const struct tensor *x = c->in[0];
    int64_t want[TENSOR_RANK_MAX], known = 1;
    int count, open = -1;
    enum err_code r = op_ints(c, "shape", 1, want, TENSOR_RANK_MAX, &count, e);
    if (r)
        return r;
    bool zero_is_zero = node_int(c->node, "allowzero", 0) != 0;
    for (int i = 0; i < count; i++) {
        if (want[i] == 0 && !zero_is_zero && i < x->rank)
            want[i] = x->dims[i];
        if (want[i] == -1 && open < 0) {
            open = i;
            continue;
        }
        if (want[i] < 0 || __builtin_mul_overflow(known, want[i], &known))
            return op_refuse(c, e, ERR_ONNX_GRAPH, "its shape holds %" PRId64, want[i]);
    }
    int64_t total = tensor_count(x);
    if (open >= 0)
        want[open] = known > 0 ? total / known : 0;
    if (open >= 0 ? known * want[open] != total : known != total)
        return op_refuse(c, e, ERR_ONNX_GRAPH, "%" PRId64 " entries do not fit its shape", total);
    out->rank = count > 0 ? count : 0;
    memcpy(out->dims, want, (size_t)out->rank * sizeof want[0]);
    return ERR_OK;
}

static enum err_code squeeze_shape(const struct op_call *c, struct tensor *out, struct err *e)
{
    const struct tensor *x = c->in[0];
    bool adds = c->node->op->kind == OP_UNSQUEEZE, marked[2 * TENSOR_RANK_MAX] = { false };
    int64_t axes[TENSOR_RANK_MAX];
    int count;
    enum err_code r = op_ints(c, "axes", 1, axes, TENSOR_RANK_MAX, &count, e);
    if (r)
        return r;
    int rank = x->rank + (adds && count > 0 ? count : 0);
    if (rank > TENSOR_RANK_MAX)
        return op_refuse(c, e, ERR_ONNX_LIMIT, "more than %d dimensions", TENSOR_RANK_MAX);
    for (int i = 0; i < count; i++) {
        int d;
        if (!op_axis(axes[i], rank, &d) || marked[d] || (!adds && x->dims[d] != 1))
            return op_refuse(c, e, ERR_ONNX_GRAPH, "axis %" PRId64 " does not fit", axes[i]);
        marked[d] = true;
    }
    if (count < 0 && !adds)
        for (int d = 0; d < rank; d++)
            marked[d] = x->dims[d] == 1;
    out->rank = 0;
    for (int d = 0, from = 0; d < rank; d++) {
        if (adds)
            out->dims[out->rank++] = marked[d] ? 1 : x->dims[from++];
        else if (!marked[d])
            out->dims[out->rank++] = x->dims[d];
    }
    return ERR_OK;
}

enum err_code reshape_infer(const struct op_call *c, struct err *e)
{
    c->out[0]->type = c->in[0]->type;
    switch (c->node->op->kind) {
    case OP_FLATTEN:
        return flatten_shape(c, c->out[0], e);
    case OP_RESHAPE:
        return reshape_shape(c, c->out[0], e);
    default:
        return squeeze_shape(c, c->out[0], e);
    }
}

enum err_code reshape_eval(const struct op_call *c, struct err *e)
{
    (void)e;
    memcpy(c->out[0]->data, c->in[0]->data, tensor_bytes(c->out[0]));
    return ERR_OK;
}

static bool permutation(const struct op_call *c, int perm[TENSOR_RANK_MAX])
{
    const struct attr *a = node_attr(c->node, "perm");
    int rank = c->in[0]->rank;
    bool seen[TENSOR_RANK_MAX] = { false };
    if (a && (a->kind != ATTR_INTS || a->count != (size_t)rank))
        return false;
    for (int i = 0; i < rank; i++) {
        int64_t from = a ? a->ints[i] : rank - 1 - i;
        if (from < 0 || from >= rank || seen[from])
            return false;
        seen[from] = true;
        perm[i] = (int)from;
    }
    return true;
}

enum err_code transpose_infer(const struct op_call *c, struct err *e)
{
    int perm[TENSOR_RANK_MAX];
    if (!permutation(c, perm))
        return op_refuse(c, e, ERR_ONNX_GRAPH, "its perm is not an order of %d dimensions",
                         c->in[0]->rank);
    c->out[0]->type = c->in[0]->type;
    c->out[0]->rank = c->in[0]->rank;
    for (int i = 0; i < c->in[0]->rank; i++)
        c->out[0]->dims[i] = c->in[0]->dims[perm[i]];
    return ERR_OK;
}

/* Copies into out, in order, the entries of x that the walk's first tensor points to. */
static void copy_walk(struct walk *w, const struct tensor *x, int64_t first, struct tensor *out)
{
    size_t size = tensor_type_size(x->type);
    char *to = out->data;
    if (!w->left)
        return;
    do {
        memcpy(to, (const char *)x->data + (size_t)(first + w->at[0]) * size, size);
        to += size;
    } while (walk_next(w));
}

enum err_code transpose_eval(const struct op_call *c, struct err *e)
{
    (void)e;
    int perm[TENSOR_RANK_MAX];
    permutation(c, perm);
    int64_t strides[TENSOR_RANK_MAX];
    tensor_strides(c->in[0], strides);
    struct walk w;
    walk_init(&w, c->out[0]);
    w.tensors = 1;
    for (int i = 0; i < w.rank; i++)
        w.stride[0][i] = strides[perm[i]];
    copy_walk(&w, c->in[0], 0, c->out[0]);
    return ERR_OK;
}

enum err_code concat_infer(const struct op_call *c, struct err *e)
{
    const struct tensor *x = c->in[0];
    int axis;
    const struct attr *a = node_attr(c->node, "axis");
    if (!a || !op_axis(a->i, x->rank, &axis))
        return op_refuse(c, e, ERR_ONNX_GRAPH, "its axis does not fit %d dimensions", x->rank);
    *c->out[0] = *x;
    c->out[0]->data = NULL;
    for (int i = 1; i < c->node->in_count; i++) {
        const struct tensor *y = c->in[i];
        if (!y)
            return op_refuse(c, e, ERR_ONNX_GRAPH, "input %d is missing", i);
        struct tensor want = *x;
        want.dims[axis] = y->rank > axis ? y->dims[axis] : 0;
        if (y->type != x->type || !tensor_same_shape(&want, y))
            return op_refuse(c, e, ERR_ONNX_GRAPH, "input %d does not fit the first", i);
        c->out[0]->dims[axis] += y->dims[axis];
    }
    return ERR_OK;
}

enum err_code concat_eval(const struct op_call *c, struct err *e)
{
    (void)e;
    const struct tensor *out = c->out[0];
    int axis;
    op_axis(node_int(c->node, "axis", 0), out->rank, &axis);
    size_t size = tensor_type_size(out->type);
    int64_t outer = tensor_span(out, 0, axis);
    char *to = out->data;
    for (int64_t i = 0; i < outer; i++)
        for (int k = 0; k < c->node->in_count; k++) {
            size_t bytes = (size_t)tensor_span(c->in[k], axis, out->rank) * size;
            memcpy(to, (const char *)c->in[k]->data + (size_t)i * bytes, bytes);
            to += bytes;
        }
    return ERR_OK;
}

enum err_code split_infer(const struct op_call *c, struct err *e)
{
    const struct tensor *x = c->in[0];
    enum { PARTS_MAX = 4096 };
    int64_t parts[PARTS_MAX];
    int axis, count, want = c->node->out_count;
    if (!op_axis(node_int(c->node, "axis", 0), x->rank, &axis))
        return op_refuse(c, e, ERR_ONNX_GRAPH, "its axis does not fit %d dimensions", x->rank);
    enum err_code r = op_ints(c, "split", 1, parts, PARTS_MAX, &count, e);
    if (r)
        return r;
    int64_t each = (x->dims[axis] + want - 1) / want, sum = 0;
    if (count >= 0 && count != want)
        return op_refuse(c, e, ERR_ONNX_GRAPH, "%d parts for %d outputs", count, want);
    for (int i = 0; i < want; i++) {
        if (count < 0)
            parts[i] = i + 1 < want ? each : x->dims[axis] - sum;
        if (parts[i] < 0 || parts[i] > x->dims[axis] - sum)
            return op_refuse(c, e, ERR_ONNX_GRAPH, "its parts do not fit %" PRId64, x->dims[axis]);
        sum += parts[i];
        if (c->out[i]) {
            *c->out[i] = *x;
            c->out[i]->data = NULL;
            c->out[i]->dims[axis] = parts[i];
        }
    }
    if (sum != x->dims[axis])
        return op_refuse(c, e, ERR_ONNX_GRAPH, "its parts do not fit %" PRId64, x->dims[axis]);
    return ERR_OK;
}

enum err_code split_eval(const struct op_call *c, struct err *e)
{
    const struct tensor *x = c->in[0];
    int axis;
    op_axis(node_int(c->node, "axis", 0), x->rank, &axis);
    size_t size = tensor_type_size(x->type), row = (size_t)tensor_span(x, axis, x->rank) * size;
    size_t at = 0;
    for (int k = 0; k < c->node->out_count; k++) {
        if (!c->out[k])
            return op_refuse(c, e, ERR_ONNX_OPERATOR, "an output without a name is not supported");
        size_t bytes = (size_t)tensor_span(c->out[k], axis, x->rank) * size;
        for (int64_t i = 0; i < tensor_span(x, 0, axis); i++)
            memcpy((char *)c->out[k]->data + (size_t)i * bytes,
                   (const char *)x->data + (size_t)i * row + at, bytes);
        at += bytes;
    }
    return ERR_OK;
}

enum err_code expand_infer(const struct op_call *c, struct err *e)
{
    int64_t dims[TENSOR_RANK_MAX];
    int count;
    enum err_code r = op_ints(c, "shape", 1, dims, TENSOR_RANK_MAX, &count, e);
    if (r)
        return r;
    struct tensor want = { .rank = count > 0 ? count : 0 };
    memcpy(want.dims, dims, (size_t)want.rank * sizeof dims[0]);
    if (!broadcast_shape(c->in[0], &want, c->out[0]))
        return op_refuse(c, e, ERR_ONNX_GRAPH, "its input does not fit its shape");
    c->out[0]->type = c->in[0]->type;
    return ERR_OK;
}

enum err_code expand_eval(const struct op_call *c, struct err *e)
{
    (void)e;
    struct walk w;
    walk_init(&w, c->out[0]);
    walk_add(&w, c->in[0]);
    copy_walk(&w, c->in[0], 0, c->out[0]);
    return ERR_OK;
}

enum err_code identity_infer(const struct op_call *c, struct err *e)
{
    const struct tensor *training = c->node->in_count > 2 ? c->in[2] : NULL;
    if (training && (!training->data || tensor_count(training) != 1 || tensor_int(training, 0)))
        return op_refuse(c, e, ERR_ONNX_OPERATOR, "its form for training is not supported");
    for (int i = 0; i < c->node->out_count; i++)
        if (c->out[i]) {
            *c->out[i] = *c->in[0];
            c->out[i]->data = NULL;
            if (i == 1)
                c->out[i]->type = TENSOR_BOOL;
        }
    return ERR_OK;
}

enum err_code identity_eval(const struct op_call *c, struct err *e)
{
    (void)e;
    memcpy(c->out[0]->data, c->in[0]->data, tensor_bytes(c->out[0]));
    if (c->node->out_count > 1 && c->out[1])
        memset(c->out[1]->data, 1, tensor_bytes(c->out[1]));
    return ERR_OK;
}
