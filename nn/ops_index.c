/* Operators that choose entries by numbers, and those that make tensors out of numbers. */
#include "nn/ops.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static int64_t clamp(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

/* starts, ends, axes, steps: attributes before operator set 10, inputs since. */
enum err_code slice_ranges(const struct op_call *c, struct slice_range *ret, struct err *e)
{
    const struct tensor *x = c->in[0];
    static const char *const names[4] = { "starts", "ends", "axes", "steps" };
    int64_t list[4][TENSOR_RANK_MAX];
    int count[4];
    bool seen[TENSOR_RANK_MAX] = { false };
    for (int i = 0; i < 4; i++) {
        enum err_code r = op_ints(c, names[i], i + 1, list[i], TENSOR_RANK_MAX, &count[i], e);
        if (r)
            return r;
    }
    if (count[0] < 0 || count[1] != count[0] || (count[2] >= 0 && count[2] != count[0]) ||
        (count[3] >= 0 && count[3] != count[0]) || count[0] > x->rank)
        return op_refuse(c, e, ERR_ONNX_GRAPH, "its starts, ends, axes and steps do not fit");
    for (int d = 0; d < x->rank; d++) {
        ret->start[d] = 0;
        ret->step[d] = 1;
        ret->count[d] = x->dims[d];
    }
    for (int i = 0; i < count[0]; i++) {
        int d;
        int64_t step = count[3] >= 0 ? list[3][i] : 1;
        if (!op_axis(count[2] >= 0 ? list[2][i] : i, x->rank, &d) || seen[d] || step == 0)
            return op_refuse(c, e, ERR_ONNX_GRAPH, "its axes or steps do not fit");
        seen[d] = true;
        int64_t size = x->dims[d], start = list[0][i], end = list[1][i];
        /* No step is longer than the tensor; this keeps the sums below from overflowing. */
        step = clamp(step, -TENSOR_BYTES_MAX, TENSOR_BYTES_MAX);
        start += start < 0 ? size : 0;
        end += end < 0 ? size : 0;
        start = step > 0 ? clamp(start, 0, size) : clamp(start, 0, size - 1);
        end = step > 0 ? clamp(end, 0, size) : clamp(end, -1, size - 1);
        int64_t span = step > 0 ? end - start : start - end, by = step > 0 ? step : -step;
        ret->start[d] = start;
        ret->step[d] = step;
        ret->count[d] = span > 0 ? (span + by - 1) / by : 0;
    }
    return ERR_OK;
}

enum err_code slice_infer(const struct op_call *c, struct err *e)
{
    struct slice_range range;
    enum err_code r = slice_ranges(c, &range, e);
    if (r)
        return r;
    c->out[0]->type = c->in[0]->type;
    c->out[0]->rank = c->in[0]->rank;
    memcpy(c->out[0]->dims, range.count, (size_t)c->in[0]->rank * sizeof range.count[0]);
    return ERR_OK;
}

enum err_code slice_eval(const struct op_call *c, struct err *e)
{
    const struct tensor *x = c->in[0];
    struct slice_range range;
    enum err_code r = slice_ranges(c, &range, e);
    if (r)
        return r;
    size_t size = tensor_type_size(x->type);
    int64_t strides[TENSOR_RANK_MAX], first = 0;
    tensor_strides(x, strides);
    struct walk w;
    walk_init(&w, c->out[0]);
    w.tensors = 1;
    for (int d = 0; d < x->rank; d++) {
        first += range.start[d] * strides[d];
        w.stride[0][d] = range.step[d] * strides[d];
    }
    char *to = c->out[0]->data;
    if (!w.left)
        return ERR_OK;
    do {
        memcpy(to, (const char *)x->data + (size_t)(first + w.at[0]) * size, size);
        to += size;
    } while (walk_next(&w));
    return ERR_OK;
}

/* pads [2*rank] from the attribute (before operator set 11) or the input, spread over the axes. */
enum err_code pad_amounts(const struct op_call *c, int64_t ret[2 * TENSOR_RANK_MAX], struct err *e)
{
    const struct tensor *x = c->in[0];
    int64_t pads[2 * TENSOR_RANK_MAX], axes[TENSOR_RANK_MAX];
    int count, axis_count;
    enum err_code r = op_ints(c, "pads", 1, pads, 2 * TENSOR_RANK_MAX, &count, e);
    if (!r)
        r = op_ints(c, "axes", 3, axes, TENSOR_RANK_MAX, &axis_count, e);
    if (r)
        return r;
    int named = axis_count >= 0 ? axis_count : x->rank;
    if (count != 2 * named)
        return op_refuse(c, e, ERR_ONNX_GRAPH, "its pads do not fit %d dimensions", x->rank);
    memset(ret, 0, 2 * TENSOR_RANK_MAX * sizeof *ret);
    for (int i = 0; i < named; i++) {
        int d = i;
        if ((axis_count >= 0 && !op_axis(axes[i], x->rank, &d)) || pads[i] < -TENSOR_BYTES_MAX ||
            pads[i] > TENSOR_BYTES_MAX || pads[named + i] < -TENSOR_BYTES_MAX ||
            pads[named + i] > TENSOR_BYTES_MAX)
            return op_refuse(c, e, ERR_ONNX_GRAPH, "its axes or pads do not fit");
        ret[d] = pads[i];
        ret[x->rank + d] = pads[named + i];
    }
    return ERR_OK;
}

enum err_code pad_infer(const struct op_call *c, struct err *e)
{
    const struct tensor *x = c->in[0];
    int64_t pads[2 * TENSOR_RANK_MAX];
    enum err_code r = pad_amounts(c, pads, e);
    if (r)
        return r;
    const char *mode = node_string(c->node, "mode", "constant");
    bool reflect = strcmp(mode, "reflect") == 0, edge = strcmp(mode, "edge") == 0;
    bool wrap = strcmp(mode, "wrap") == 0;
    if (!reflect && !edge && !wrap && strcmp(mode, "constant") != 0)
        return op_refuse(c, e, ERR_ONNX_OPERATOR, "mode \"%.40s\" is not supported", mode);
    const struct tensor *value = c->node->in_count > 2 ? c->in[2] : NULL;
    if (value && (value->type != x->type || tensor_count(value) != 1))
        return op_refuse(c, e, ERR_ONNX_GRAPH, "its value is not one number of its input's type");
    *c->out[0] = *x;
    c->out[0]->data = NULL;
    for (int d = 0; d < x->rank; d++) {
        int64_t most = pads[d] > pads[x->rank + d] ? pads[d] : pads[x->rank + d];
        c->out[0]->dims[d] += pads[d] + pads[x->rank + d];
        if (c->out[0]->dims[d] < 0 || (reflect && most >= x->dims[d] && most > 0) ||
            ((edge || wrap) && x->dims[d] == 0))
            return op_refuse(c, e, ERR_ONNX_GRAPH, "its pads do not fit a dimension of %" PRId64,
                             x->dims[d]);
    }
    return ERR_OK;
}

enum err_code pad_eval(const struct op_call *c, struct err *e)
{
    const struct tensor *x = c->in[0];
    struct tensor *out = c->out[0];
    int64_t pads[2 * TENSOR_RANK_MAX], strides[TENSOR_RANK_MAX];
    enum err_code r = pad_amounts(c, pads, e);
    if (r)
        return r;
    const char *mode = node_string(c->node, "mode", "constant");
    bool reflect = mode[0] == 'r', edge = mode[0] == 'e', wrap = mode[0] == 'w';
    const struct tensor *value = c->node->in_count > 2 ? c->in[2] : NULL;
    double fill = value ? tensor_real(value, 0) : (double)node_float(c->node, "value", 0);
    size_t size = tensor_type_size(x->type);
    tensor_strides(x, strides);
    struct walk w;
    walk_init(&w, out);
    if (!w.left)
        return ERR_OK;
    int64_t i = 0;
    do {
        int64_t from = 0;
        bool inside = true;
        for (int d = 0; d < x->rank; d++) {
            int64_t at = w.index[d] - pads[d], last = x->dims[d] - 1;
            if (reflect)
                at = at < 0 ? -at : at > last ? 2 * last - at : at;
            if (edge)
                at = clamp(at, 0, last);
            if (wrap)
                at = (at % (last + 1) + last + 1) % (last + 1);
            inside = inside && at >= 0 && at <= last;
            from += at * strides[d];
        }
        if (inside)
            memcpy((char *)out->data + (size_t)i * size,
                   (const char *)x->data + (size_t)from * size, size);
        else
            tensor_set_real(out, i, fill);
        i++;
    } while (walk_next(&w));
    return ERR_OK;
}

enum err_code gather_infer(const struct op_call *c, struct err *e)
{
    const struct tensor *x = c->in[0], *index = c->in[1];
    int axis;
    if (!op_axis(node_int(c->node, "axis", 0), x->rank, &axis) ||
        (index->type != TENSOR_I64 && index->type != TENSOR_I32))
        return op_refuse(c, e, ERR_ONNX_GRAPH, "its axis or its indices' type does not fit");
    if (x->rank - 1 + index->rank > TENSOR_RANK_MAX)
        return op_refuse(c, e, ERR_ONNX_LIMIT, "more than %d dimensions", TENSOR_RANK_MAX);
    struct tensor *out = c->out[0];
    out->type = x->type;
    out->rank = 0;
    for (int d = 0; d < x->rank; d++) {
        if (d != axis)
            out->dims[out->rank++] = x->dims[d];
        for (int i = 0; d == axis && i < index->rank; i++)
            out->dims[out->rank++] = index->dims[i];
    }
    return ERR_OK;
}

enum err_code gather_eval(const struct op_call *c, struct err *e)
{
    const struct tensor *x = c->in[0], *index = c->in[1];
    int axis;
    op_axis(node_int(c->node, "axis", 0), x->rank, &axis);
    int64_t outer = tensor_span(x, 0, axis), size = x->dims[axis], picks = tensor_count(index);
    size_t bytes = (size_t)tensor_span(x, axis + 1, x->rank) * tensor_type_size(x->type);
    char *to = c->out[0]->data;
    for (int64_t i = 0; i < outer; i++)
        for (int64_t k = 0; k < picks; k++) {
            int64_t at = tensor_int(index, k);
            at += at < 0 ? size : 0;
            if (at < 0 || at >= size)
                return op_refuse(c, e, ERR_ONNX_GRAPH, "index %" PRId64 " is not below %" PRId64,
                                 tensor_int(index, k), size);
            memcpy(to, (const char *)x->data + (size_t)(i * size + at) * bytes, bytes);
            to += bytes;
        }
    return ERR_OK;
}

static void shape_range(const struct op_call *c, int64_t *ret_start, int64_t *ret_end)
{
    int64_t rank = c->in[0]->rank, start = node_int(c->node, "start", 0);
    int64_t end = node_int(c->node, "end", rank);
    *ret_start = clamp(start < 0 ? start + rank : start, 0, rank);
    *ret_end = clamp(end < 0 ? end + rank : end, *ret_start, rank);
}

enum err_code shape_infer(const struct op_call *c, struct err *e)
{
    (void)e;
    int64_t start, end;
    shape_range(c, &start, &end);
    *c->out[0] = (struct tensor){ .type = TENSOR_I64, .rank = 1, .dims = { end - start } };
    return ERR_OK;
}

enum err_code shape_eval(const struct op_call *c, struct err *e)
{
    (void)e;
    int64_t start, end;
    shape_range(c, &start, &end);
    for (int64_t i = start; i < end; i++)
        tensor_set_int(c->out[0], i - start, c->in[0]->dims[i]);
    return ERR_OK;
}

enum err_code constant_of_shape_infer(const struct op_call *c, struct err *e)
{
    const struct attr *value = node_attr(c->node, "value");
    int64_t dims[TENSOR_RANK_MAX];
    int count;
    enum err_code r = op_ints(c, "shape", 0, dims, TENSOR_RANK_MAX, &count, e);
    if (r)
        return r;
    if (value && (value->kind != ATTR_TENSOR || tensor_count(&value->t) != 1))
        return op_refuse(c, e, ERR_ONNX_GRAPH, "its value is not one number");
    c->out[0]->type = value ? value->t.type : TENSOR_F32;
    c->out[0]->rank = count > 0 ? count : 0;
    memcpy(c->out[0]->dims, dims, (size_t)c->out[0]->rank * sizeof dims[0]);
    return ERR_OK;
}

enum err_code constant_of_shape_eval(const struct op_call *c, struct err *e)
{
    (void)e;
    const struct attr *value = node_attr(c->node, "value");
    size_t size = tensor_type_size(c->out[0]->type);
    int64_t count = tensor_count(c->out[0]);
    for (int64_t i = 0; i < count && value; i++)
        memcpy((char *)c->out[0]->data + (size_t)i * size, value->t.data, size);
    return ERR_OK;
}

enum err_code range_infer(const struct op_call *c, struct err *e)
{
    for (int i = 0; i < 3; i++)
        if (!c->in[i]->data || tensor_count(c->in[i]) != 1 || c->in[i]->type != c->in[0]->type)
            return op_refuse(c, e, ERR_ONNX_OPERATOR, "its numbers must be constant");
    double start = tensor_real(c->in[0], 0), end = tensor_real(c->in[1], 0);
    double count = ceil((end - start) / tensor_real(c->in[2], 0));
    if (!(count <= TENSOR_BYTES_MAX))
        return op_refuse(c, e, ERR_ONNX_LIMIT, "it makes too many numbers");
    *c->out[0] = (struct tensor){ .type = c->in[0]->type,
                                  .rank = 1,
                                  .dims = { count > 0 ? (int64_t)count : 0 } };
    return ERR_OK;
}

enum err_code range_eval(const struct op_call *c, struct err *e)
{
    (void)e;
    bool real = tensor_is_float(c->out[0]->type);
    int64_t start = tensor_int(c->in[0], 0), step = tensor_int(c->in[2], 0);
    for (int64_t i = 0; i < c->out[0]->dims[0]; i++)
        if (real)
            tensor_set_real(c->out[0], i,
                            tensor_real(c->in[0], 0) + (double)i * tensor_real(c->in[2], 0));
        else
            tensor_set_int(c->out[0], i, (int64_t)((uint64_t)start + (uint64_t)i * (uint64_t)step));
    return ERR_OK;
}

enum err_code constant_infer(const struct op_call *c, struct err *e)
{
    if (c->node->attr_count != 1)
        return op_refuse(c, e, ERR_ONNX_GRAPH, "it needs one attribute");
    const struct attr *a = &c->node->attrs[0];
    struct tensor *out = c->out[0];
    out->type = a->kind == ATTR_INT || a->kind == ATTR_INTS ? TENSOR_I64 : TENSOR_F32;
    out->rank = a->kind == ATTR_INTS || a->kind == ATTR_FLOATS;
    out->dims[0] = (int64_t)a->count;
    if (a->kind == ATTR_TENSOR) {
        *out = a->t;
        out->data = NULL;
    } else if (a->kind == ATTR_STRING) {
        return op_refuse(c, e, ERR_ONNX_OPERATOR, "a constant text is not supported");
    }
    return ERR_OK;
}

enum err_code constant_eval(const struct op_call *c, struct err *e)
{
    (void)e;
    const struct attr *a = &c->node->attrs[0];
    const void *from = a->kind == ATTR_TENSOR  ? a->t.data
                       : a->kind == ATTR_INT   ? (const void *)&a->i
                       : a->kind == ATTR_FLOAT ? (const void *)&a->f
                       : a->kind == ATTR_INTS  ? (const void *)a->ints
                                               : (const void *)a->floats;
    memcpy(c->out[0]->data, from, tensor_bytes(c->out[0]));
    return ERR_OK;
}
