/* Pooling over a window or over everything behind the channels. */
#include "nn/window.h"

#include <math.h>
#include <string.h>

enum err_code pool_infer(const struct op_call *c, struct err *e)
{
    const struct tensor *x = c->in[0];
    bool bytes = c->node->op->kind == OP_MAX_POOL && (x->type == TENSOR_U8 || x->type == TENSOR_I8);
    enum err_code r = bytes ? ERR_OK : op_same_type(c, e);
    struct window w;
    if (!r)
        r = window_init(&w, c, NULL, e);
    if (r)
        return r;
    c->out[0]->type = x->type;
    c->out[0]->rank = x->rank;
    memcpy(c->out[0]->dims, x->dims, 2 * sizeof x->dims[0]);
    memcpy(c->out[0]->dims + 2, w.out, (size_t)w.spatial * sizeof w.out[0]);
    if (c->node->out_count > 1 && c->out[1]) {
        *c->out[1] = *c->out[0];
        c->out[1]->type = TENSOR_I64;
    }
    return ERR_OK;
}

struct pooled {
    double sum, most;
    int64_t inside, counted, most_at; /* counted: in the input or its padding */
};

/* One window at out[] on the plane that begins at x0. by_column: most_at counts column-major. */
static struct pooled pool_window(const struct window *w, const struct tensor *x, int64_t x0,
                                 const int64_t *out, bool by_column)
{
    struct pooled p = { .most = -INFINITY, .most_at = -1 };
    int64_t k[WINDOW_SPATIAL_MAX] = { 0 };
    for (bool more = true; more;) {
        bool inside = true, padded = true;
        int64_t at = 0, column = 0, scale = 1, pos;
        for (int d = 0; d < w->spatial; d++) {
            inside = window_at(w, d, out[d], k[d], &pos) && inside;
            padded = padded && pos < w->in[d] + w->high[d];
            at = at * w->in[d] + pos;
            column += pos * scale;
            scale *= w->in[d];
        }
        p.counted += padded;
        if (inside) {
            double value = tensor_real(x, x0 + at);
            p.sum += value;
            p.inside++;
            if (value > p.most || isnan(value) || p.most_at < 0) {
                p.most = value;
                p.most_at = x0 + (by_column ? column : at);
            }
        }
        more = false;
        for (int d = w->spatial - 1; d >= 0 && !more; d--) {
            k[d] = k[d] + 1 < w->kernel[d] ? k[d] + 1 : 0;
            more = k[d] != 0;
        }
    }
    return p;
}

enum err_code pool_eval(const struct op_call *c, struct err *e)
{
    const struct tensor *x = c->in[0];
    struct window w;
    enum err_code r = window_init(&w, c, NULL, e);
    if (r)
        return r;
    bool is_max = c->node->op->kind == OP_MAX_POOL;
    bool with_pad = node_int(c->node, "count_include_pad", 0) != 0;
    bool by_column = node_int(c->node, "storage_order", 0) != 0;
    struct tensor *where = c->node->out_count > 1 ? c->out[1] : NULL;
    int64_t plane = tensor_span(x, 2, x->rank), planes = x->dims[0] * x->dims[1], i = 0;
    for (int64_t p = 0; p < planes; p++) {
        int64_t per_plane = tensor_span(c->out[0], 2, c->out[0]->rank);
        for (int64_t j = 0; j < per_plane; j++, i++) {
            int64_t out[WINDOW_SPATIAL_MAX], rest = j;
            for (int d = w.spatial - 1; d >= 0; d--) {
                out[d] = rest % w.out[d];
                rest /= w.out[d];
            }
            struct pooled a = pool_window(&w, x, p * plane, out, by_column);
            int64_t divisor = with_pad ? a.counted : a.inside;
            tensor_set_real(c->out[0], i, is_max ? a.most : divisor ? a.sum / (double)divisor : 0);
            if (where)
                tensor_set_int(where, i, a.most_at);
        }
    }
    return ERR_OK;
}

enum err_code global_pool_infer(const struct op_call *c, struct err *e)
{
    const struct tensor *x = c->in[0];
    enum err_code r = op_same_type(c, e);
    if (r)
        return r;
    if (x->rank < 3 || !tensor_count(x))
        return op_refuse(c, e, ERR_ONNX_GRAPH, "its input has nothing to pool");
    c->out[0]->rank = x->rank;
    for (int i = 0; i < x->rank; i++)
        c->out[0]->dims[i] = i < 2 ? x->dims[i] : 1;
    return ERR_OK;
}

enum err_code global_pool_eval(const struct op_call *c, struct err *e)
{
    (void)e;
    const struct tensor *x = c->in[0];
    bool is_max = c->node->op->kind == OP_GLOBAL_MAX_POOL;
    int64_t plane = tensor_span(x, 2, x->rank), count = tensor_count(c->out[0]);
    for (int64_t i = 0; i < count; i++) {
        double sum = 0, most = -INFINITY;
        for (int64_t j = 0; j < plane; j++) {
            double value = tensor_real(x, i * plane + j);
            sum += value;
            most = value > most || isnan(value) ? value : most;
        }
        tensor_set_real(c->out[0], i, is_max ? most : sum / (double)plane);
    }
    return ERR_OK;
}
