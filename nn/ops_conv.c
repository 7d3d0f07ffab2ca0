/* Operators with weights: convolution, batch normalisation, matrix products. */
#include "nn/window.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum err_code conv_infer(const struct op_call *c, struct err *e)
{
    const struct tensor *x = c->in[0], *w = c->in[1], *b = c->node->in_count > 2 ? c->in[2] : NULL;
    enum err_code r = op_same_type(c, e);
    if (r)
        return r;
    char tx[TENSOR_TEXT], tw[TENSOR_TEXT];
    int64_t group = node_int(c->node, "group", 1);
    if (x->rank < 3 || w->rank != x->rank || group < 1 || w->dims[0] < 1 || w->dims[1] < 1 ||
        w->dims[0] % group || x->dims[1] % group || x->dims[1] / group != w->dims[1])
        return op_refuse(c, e, ERR_ONNX_GRAPH,
                         "weight %s in %" PRId64 " groups does not fit the input %s",
                         tensor_text(w, tw), group, tensor_text(x, tx));
    if (b && (b->rank != 1 || b->dims[0] != w->dims[0]))
        return op_refuse(c, e, ERR_ONNX_GRAPH, "bias %s does not fit weight %s", tensor_text(b, tx),
                         tensor_text(w, tw));
    struct window win;
    r = window_init(&win, c, w->dims + 2, e);
    if (r)
        return r;
    c->out[0]->rank = x->rank;
    c->out[0]->dims[0] = x->dims[0];
    c->out[0]->dims[1] = w->dims[0];
    memcpy(c->out[0]->dims + 2, win.out, (size_t)win.spatial * sizeof win.out[0]);
    return ERR_OK;
}

/* Entry index of a position in [.., spatial dims]; false outside of the input. */
static bool input_index(const struct window *w, const int64_t *out, const int64_t *k, int64_t *ret)
{
    int64_t index = 0;
    for (int d = 0; d < w->spatial; d++) {
        int64_t at;
        if (!window_at(w, d, out[d], k[d], &at))
            return false;
        index = index * w->in[d] + at;
    }
    *ret = index;
    return true;
}

static bool step(int64_t *index, const int64_t *dims, int rank)
{
    for (int d = rank - 1; d >= 0; d--) {
        if (++index[d] < dims[d])
            return true;
        index[d] = 0;
    }
    return false;
}

enum err_code conv_eval(const struct op_call *c, struct err *e)
{
    const struct tensor *x = c->in[0], *w = c->in[1], *b = c->node->in_count > 2 ? c->in[2] : NULL;
    struct window win;
    enum err_code r = window_init(&win, c, w->dims + 2, e);
    if (r)
        return r;
    int64_t in_size = tensor_span(x, 2, x->rank), taps = tensor_span(w, 2, w->rank);
    int64_t per_group = w->dims[0] / node_int(c->node, "group", 1), i = 0;
    for (int64_t n = 0; n < x->dims[0]; n++)
        for (int64_t m = 0; m < w->dims[0]; m++) {
            int64_t out[WINDOW_SPATIAL_MAX] = { 0 };
            do {
                double sum = b ? tensor_real(b, m) : 0;
                int64_t k[WINDOW_SPATIAL_MAX] = { 0 }, tap = 0, at;
                do {
                    if (input_index(&win, out, k, &at))
                        for (int64_t ch = 0; ch < w->dims[1]; ch++) {
                            int64_t from = n * x->dims[1] + m / per_group * w->dims[1] + ch;
                            sum += tensor_real(x, from * in_size + at) *
                                   tensor_real(w, (m * w->dims[1] + ch) * taps + tap);
                        }
                    tap++;
                } while (step(k, win.kernel, win.spatial));
                tensor_set_real(c->out[0], i++, sum);
            } while (step(out, win.out, win.spatial));
        }
    return ERR_OK;
}

enum err_code batch_norm_infer(const struct op_call *c, struct err *e)
{
    const struct tensor *x = c->in[0];
    enum err_code r = op_same_type(c, e);
    if (r)
        return r;
    for (int i = 1; i < c->node->out_count; i++)
        if (c->out[i])
            return op_refuse(c, e, ERR_ONNX_OPERATOR, "its form for training is not supported");
    if (node_int(c->node, "training_mode", 0) || !node_int(c->node, "spatial", 1))
        return op_refuse(c, e, ERR_ONNX_OPERATOR, "its form for training is not supported");
    if (x->rank < 2)
        return op_refuse(c, e, ERR_ONNX_GRAPH, "its input has no channels");
    for (int i = 1; i < 5; i++)
        if (c->in[i]->rank != 1 || c->in[i]->dims[0] != x->dims[1])
            return op_refuse(c, e, ERR_ONNX_GRAPH, "input %d does not have %" PRId64 " numbers", i,
                             x->dims[1]);
    *c->out[0] = *x;
    c->out[0]->data = NULL;
    return ERR_OK;
}

enum err_code batch_norm_eval(const struct op_call *c, struct err *e)
{
    (void)e;
    const struct tensor *x = c->in[0];
    double epsilon = (double)node_float(c->node, "epsilon", 1e-5f);
    int64_t plane = tensor_span(x, 2, x->rank), count = tensor_count(x);
    for (int64_t i = 0; i < count; i++) {
        int64_t ch = i / plane % x->dims[1];
        double scale = tensor_real(c->in[1], ch) / sqrt(tensor_real(c->in[4], ch) + epsilon);
        tensor_set_real(c->out[0], i,
                        (tensor_real(x, i) - tensor_real(c->in[3], ch)) * scale +
                            tensor_real(c->in[2], ch));
    }
    return ERR_OK;
}

enum err_code gemm_infer(const struct op_call *c, struct err *e)
{
    const struct tensor *a = c->in[0], *b = c->in[1];
    const struct tensor *bias = c->node->in_count > 2 ? c->in[2] : NULL;
    enum err_code r = op_same_type(c, e);
    if (r)
        return r;
    int ta = node_int(c->node, "transA", 0) != 0, tb = node_int(c->node, "transB", 0) != 0;
    char xa[TENSOR_TEXT], xb[TENSOR_TEXT];
    if (a->rank != 2 || b->rank != 2 || a->dims[!ta] != b->dims[tb])
        return op_refuse(c, e, ERR_ONNX_GRAPH, "shapes %s and %s do not fit", tensor_text(a, xa),
                         tensor_text(b, xb));
    struct tensor want = { .rank = 2, .dims = { a->dims[ta], b->dims[!tb] } }, got;
    if (bias && (!broadcast_shape(&want, bias, &got) || !tensor_same_shape(&want, &got)))
        return op_refuse(c, e, ERR_ONNX_GRAPH, "bias %s does not fit", tensor_text(bias, xa));
    c->out[0]->rank = 2;
    memcpy(c->out[0]->dims, want.dims, sizeof want.dims);
    return ERR_OK;
}

enum err_code gemm_eval(const struct op_call *c, struct err *e)
{
    (void)e;
    const struct tensor *a = c->in[0], *b = c->in[1];
    const struct tensor *bias = c->node->in_count > 2 ? c->in[2] : NULL;
    bool ta = node_int(c->node, "transA", 0), tb = node_int(c->node, "transB", 0);
    double alpha = (double)node_float(c->node, "alpha", 1),
           beta = (double)node_float(c->node, "beta", 1);
    int64_t rows = c->out[0]->dims[0], cols = c->out[0]->dims[1], depth = a->dims[!ta];
    struct walk w;
    walk_init(&w, c->out[0]);
    if (bias)
        walk_add(&w, bias);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) {
            double sum = 0;
            for (int64_t k = 0; k < depth; k++)
                sum += tensor_real(a, ta ? k * rows + i : i * depth + k) *
                       tensor_real(b, tb ? j * depth + k : k * cols + j);
            double add = bias ? beta * tensor_real(bias, w.at[0]) : 0;
            tensor_set_real(c->out[0], i * cols + j, alpha * sum + add);
            walk_next(&w);
        }
    return ERR_OK;
}

/* numpy.matmul: a vector gains a dim that the result loses again. */
static bool matmul_shape(const struct tensor *a, const struct tensor *b, struct tensor *x,
                         struct tensor *y, struct tensor *ret)
{
    *x = *a;
    *y = *b;
    if (a->rank < 1 || b->rank < 1)
        return false;
    if (a->rank == 1)
        *x = (struct tensor){ a->type, 2, { 1, a->dims[0] }, a->data };
    if (b->rank == 1)
        *y = (struct tensor){ b->type, 2, { b->dims[0], 1 }, b->data };
    if (x->dims[x->rank - 1] != y->dims[y->rank - 2])
        return false;
    struct tensor xs = *x, ys = *y;
    xs.rank -= 2;
    ys.rank -= 2;
    if (!broadcast_shape(&xs, &ys, ret))
        return false;
    ret->dims[ret->rank] = x->dims[x->rank - 2];
    ret->dims[ret->rank + 1] = y->dims[y->rank - 1];
    ret->rank += 2;
    return true;
}

enum err_code matmul_infer(const struct op_call *c, struct err *e)
{
    const struct tensor *a = c->in[0], *b = c->in[1];
    struct tensor x, y, out = { 0 };
    enum err_code r = op_same_type(c, e);
    if (r)
        return r;
    char xa[TENSOR_TEXT], xb[TENSOR_TEXT];
    if (!matmul_shape(a, b, &x, &y, &out))
        return op_refuse(c, e, ERR_ONNX_GRAPH, "shapes %s and %s do not fit", tensor_text(a, xa),
                         tensor_text(b, xb));
    c->out[0]->rank = 0;
    for (int i = 0; i < out.rank; i++)
        if (!(a->rank == 1 && i == out.rank - 2) && !(b->rank == 1 && i == out.rank - 1))
            c->out[0]->dims[c->out[0]->rank++] = out.dims[i];
    return ERR_OK;
}

enum err_code matmul_eval(const struct op_call *c, struct err *e)
{
    (void)e;
    struct tensor x, y, out = { 0 };
    matmul_shape(c->in[0], c->in[1], &x, &y, &out);
    int64_t rows = x.dims[x.rank - 2], depth = x.dims[x.rank - 1], cols = y.dims[y.rank - 1];
    struct tensor outer = out, xo = x, yo = y;
    outer.rank -= 2;
    xo.rank -= 2;
    yo.rank -= 2;
    struct walk w;
    walk_init(&w, &outer);
    walk_add(&w, &xo);
    walk_add(&w, &yo);
    int64_t at = 0;
    if (!w.left)
        return ERR_OK;
    do {
        int64_t x0 = w.at[0] * rows * depth, y0 = w.at[1] * depth * cols;
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < cols; j++) {
                double sum = 0;
                for (int64_t k = 0; k < depth; k++)
                    sum += tensor_real(&x, x0 + i * depth + k) * tensor_real(&y, y0 + k * cols + j);
                tensor_set_real(c->out[0], at++, sum);
            }
    } while (walk_next(&w));
    return ERR_OK;
}
