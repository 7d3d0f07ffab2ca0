#include "nn/window.h"

#include <inttypes.h>
#include <string.h>

static enum err_code read_list(const struct op_call *c, const char *name, int64_t *ret, int count,
                               int64_t otherwise, int64_t low, struct err *e)
{
    int given;
    enum err_code r = op_ints(c, name, -1, ret, count, &given, e);
    if (r)
        return r;
    if (given >= 0 && given != count)
        return op_refuse(c, e, ERR_ONNX_GRAPH, "its %s has %d entries instead of %d", name, given,
                         count);
    for (int i = 0; i < count; i++) {
        if (given < 0)
            ret[i] = otherwise;
        if (ret[i] < low || ret[i] > WINDOW_SIZE_MAX)
            return op_refuse(c, e, ERR_ONNX_OPERATOR, "its %s holds %" PRId64, name, ret[i]);
    }
    return ERR_OK;
}

static enum err_code set_out(struct window *w, const struct op_call *c, const char *auto_pad,
                             bool ceil_mode, struct err *e)
{
    bool same = strncmp(auto_pad, "SAME_", 5) == 0;
    for (int i = 0; i < w->spatial; i++) {
        int64_t extent = (w->kernel[i] - 1) * w->dilation[i] + 1;
        if (same) {
            w->out[i] = (w->in[i] + w->stride[i] - 1) / w->stride[i];
            int64_t pad = (w->out[i] - 1) * w->stride[i] + extent - w->in[i];
            pad = pad > 0 ? pad : 0;
            w->low[i] = strcmp(auto_pad, "SAME_LOWER") == 0 ? (pad + 1) / 2 : pad / 2;
            w->high[i] = pad - w->low[i];
            continue;
        }
        int64_t room = w->in[i] + w->low[i] + w->high[i] - extent;
        if (room < 0)
            return op_refuse(c, e, ERR_ONNX_GRAPH,
                             "its window of %" PRId64 " is larger than the input of %" PRId64,
                             extent, w->in[i]);
        w->out[i] = room / w->stride[i] + 1;
        /* A window that would begin behind the input and its low padding is dropped. */
        if (ceil_mode && room % w->stride[i] && w->out[i] * w->stride[i] < w->in[i] + w->low[i])
            w->out[i]++;
    }
    return ERR_OK;
}

enum err_code window_init(struct window *w, const struct op_call *c, const int64_t *kernel,
                          struct err *e)
{
    *w = (struct window){ .spatial = c->in[0]->rank - 2 };
    if (w->spatial < 1 || w->spatial > WINDOW_SPATIAL_MAX)
        return op_refuse(c, e, ERR_ONNX_OPERATOR, "an input with %d dimensions is not supported",
                         c->in[0]->rank);
    memcpy(w->in, c->in[0]->dims + 2, (size_t)w->spatial * sizeof w->in[0]);
    int64_t pads[2 * WINDOW_SPATIAL_MAX];
    enum err_code r = read_list(c, "strides", w->stride, w->spatial, 1, 1, e);
    if (!r)
        r = read_list(c, "dilations", w->dilation, w->spatial, 1, 1, e);
    if (!r)
        r = read_list(c, "kernel_shape", w->kernel, w->spatial, 0, 0, e);
    if (!r)
        r = read_list(c, "pads", pads, 2 * w->spatial, 0, 0, e);
    if (r)
        return r;
    const char *auto_pad = node_string(c->node, "auto_pad", "NOTSET");
    bool by_pads = strcmp(auto_pad, "NOTSET") == 0;
    if (!by_pads && strcmp(auto_pad, "VALID") != 0 && strcmp(auto_pad, "SAME_UPPER") != 0 &&
        strcmp(auto_pad, "SAME_LOWER") != 0)
        return op_refuse(c, e, ERR_ONNX_OPERATOR, "auto_pad \"%.40s\" is not supported", auto_pad);
    for (int i = 0; i < w->spatial; i++) {
        w->low[i] = by_pads ? pads[i] : 0;
        w->high[i] = by_pads ? pads[w->spatial + i] : 0;
        if (kernel && w->kernel[i] && w->kernel[i] != kernel[i])
            return op_refuse(c, e, ERR_ONNX_GRAPH,
                             "kernel_shape %" PRId64 " does not fit a weight of %" PRId64,
                             w->kernel[i], kernel[i]);
        if (kernel)
            w->kernel[i] = kernel[i];
        if (w->kernel[i] < 1 || w->kernel[i] > WINDOW_SIZE_MAX || w->in[i] < 1)
            return op_refuse(c, e, ERR_ONNX_GRAPH, "its window or its input is empty");
    }
    return set_out(w, c, auto_pad, node_int(c->node, "ceil_mode", 0) != 0, e);
}

int64_t window_excess(const struct window *w, int dim)
{
    int64_t end = (w->out[dim] - 1) * w->stride[dim] + (w->kernel[dim] - 1) * w->dilation[dim] + 1;
    int64_t excess = end - (w->in[dim] + w->low[dim] + w->high[dim]);
    return excess > 0 ? excess : 0;
}

bool window_at(const struct window *w, int dim, int64_t out, int64_t k, int64_t *ret)
{
    *ret = out * w->stride[dim] + k * w->dilation[dim] - w->low[dim];
    return *ret >= 0 && *ret < w->in[dim];
}
