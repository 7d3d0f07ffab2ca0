/* What works on rows of numbers: a value in row-major order, seen under another shape. */
#include "nn/compile.h"

#include "data/base/cleanup.h"

#include <stdlib.h>
#include <string.h>

enum { INNER_HALVES_MIN = 64 }; /* columns */

enum err_code compile_softmax(struct plan *p, const struct steps *s, const struct step *step,
                              struct err *e)
{
    const int64_t dims[] = { step->rows, step->depth, step->width };
    LAYOUT l = dnn_layout_new(step->width == 1 ? 2 : 3, dims, DNN_PLAIN);
    struct operand in;
    struct instr *i;
    struct dnn_primitive *softmax;
    enum err_code r = l ? compile_fetch_plain(p, step->in[0], &in, e) : compile_no_memory(e);
    if (!r)
        r = dnn_softmax_new(p->engine, l, 1, step->log, &softmax, e);
    return r ? r
             : compile_emit(p, s, step, softmax, in, l, l, plan_plain(&s->values[step->out]), &i,
                            e);
}

enum err_code compile_layer_norm(struct plan *p, const struct steps *s, const struct step *step,
                                 struct err *e)
{
    const int64_t dims[] = { step->rows, step->depth };
    LAYOUT l = dnn_layout_new(2, dims, DNN_PLAIN);
    struct operand in;
    struct instr *i;
    struct dnn_primitive *norm;
    enum err_code r = l ? compile_fetch_plain(p, step->in[0], &in, e) : compile_no_memory(e);
    if (!r)
        r = dnn_layer_norm_new(p->engine, l, step->epsilon, &norm, e);
    if (!r)
        r = compile_emit(p, s, step, norm, in, l, l, plan_plain(&s->values[step->out]), &i, e);
    if (!r)
        r = compile_vector(p, p->instr_count - 1, DNN_SCALE, step->scale, step->depth, e);
    if (!r)
        r = compile_vector(p, p->instr_count - 1, DNN_SHIFT, step->shift, step->depth, e);
    return r;
}

/* Entries [from, from + count) of each row of the result; lane 1 appends to what is defined. */
static enum err_code inner_part(struct plan *p, const struct steps *s, const struct step *step,
                                struct operand in, int64_t from, int64_t count, int lane,
                                struct err *e)
{
    const int64_t in_dims[] = { step->rows, step->depth }, out_dims[] = { step->rows, count };
    const int64_t weight_dims[] = { count, step->depth };
    LAYOUT src = dnn_layout_new(2, in_dims, DNN_PLAIN);
    LAYOUT dst = dnn_layout_new(2, out_dims, DNN_PLAIN);
    LAYOUT any = dnn_layout_new(2, weight_dims, DNN_ANY);
    LAYOUT plain = dnn_layout_new(2, weight_dims, DNN_PLAIN);
    LAYOUT bias = dnn_layout_new(1, weight_dims, DNN_PLAIN);
    struct operand weight;
    struct instr *i;
    struct dnn_primitive *inner;
    struct dnn_posts posts = compile_posts(step, NULL);
    if (!src || !dst || !any || !plain || !bias)
        return compile_no_memory(e);
    enum err_code r =
        dnn_inner_new(p->engine, src, any, step->bias.data ? bias : NULL, dst, &posts, &inner, e);
    if (r)
        return r;
    LAYOUT to = dnn_primitive_layout(inner, DNN_WEIGHT);
    r = to ? plan_param(p, step->weight.data + from * step->depth, plain, to, &weight, e)
           : compile_no_memory(e);
    if (r) {
        dnn_primitive_free(inner);
        return r;
    }
    r = plan_emit(p, inner, compile_name(s, step), &i, e);
    if (r)
        return r;
    i->lane = lane;
    r = plan_arg(p, i, DNN_SRC, in, src, e);
    if (!r)
        r = plan_arg(p, i, DNN_DST, compile_at(step->out), dst, e);
    if (!r)
        i->args[1].offset = (size_t)from * sizeof(float);
    if (!r)
        r = plan_arg(p, i, DNN_WEIGHT, weight, to, e);
    if (!r && step->bias.data)
        r = compile_vector(p, p->instr_count - 1, DNN_BIAS, step->bias.data + from, count, e);
    return r;
}

enum err_code compile_inner(struct plan *p, const struct steps *s, const struct step *step,
                            struct err *e)
{
    struct operand in;
    enum err_code r = compile_fetch_plain(p, step->in[0], &in, e);
    if (!r)
        r = plan_define(p, step->out, plan_plain(&s->values[step->out]), e);
    bool halves = p->threads > 1 && step->rows == 1 && step->width >= INNER_HALVES_MIN;
    /* A whole number of cache lines. */
    int64_t cut = halves ? (step->width / 2 + 15) / 16 * 16 : step->width;
    if (!r)
        r = inner_part(p, s, step, in, 0, cut, 0, e);
    if (!r && halves)
        r = inner_part(p, s, step, in, cut, step->width - cut, 1, e);
    return r;
}

/* A batched matrix as [outer][rows][cols], or with all dims, ones in front, where the outer dims of
 * the operands differ. */
static struct dnn_layout *matrix_layout(const struct tensor *t, int rank)
{
    int64_t dims[TENSOR_RANK_MAX];
    if (rank) {
        for (int d = 0; d < rank; d++)
            dims[d] = d < rank - t->rank ? 1 : t->dims[d - (rank - t->rank)];
        return dnn_layout_new(rank, dims, DNN_PLAIN);
    }
    dims[0] = tensor_span(t, 0, t->rank - 2);
    dims[1] = t->dims[t->rank - 2];
    dims[2] = t->dims[t->rank - 1];
    return dnn_layout_new(3, dims, DNN_PLAIN);
}

static bool same_outer(struct tensor a, struct tensor b)
{
    a.rank -= 2;
    b.rank -= 2;
    return tensor_same_shape(&a, &b);
}

enum err_code compile_matmul(struct plan *p, const struct steps *s, const struct step *step,
                             struct err *e)
{
    const struct tensor *first = &s->values[step->in[0]], *second = &s->values[step->in[1]];
    int rank = same_outer(*first, *second) ? 0 : s->values[step->out].rank;
    LAYOUT a = matrix_layout(first, rank);
    LAYOUT b = matrix_layout(second, rank);
    LAYOUT y = matrix_layout(&s->values[step->out], rank);
    struct operand x, w;
    struct instr *i;
    struct dnn_primitive *matmul;
    struct dnn_posts posts = compile_posts(step, NULL);
    enum err_code r =
        a && b && y ? compile_fetch_plain(p, step->in[0], &x, e) : compile_no_memory(e);
    if (!r)
        r = compile_fetch_plain(p, step->in[1], &w, e);
    if (!r)
        r = dnn_matmul_new(p->engine, a, b, y, &posts, &matmul, e);
    if (!r)
        r = compile_emit(p, s, step, matmul, x, a, y, plan_plain(&s->values[step->out]), &i, e);
    return r ? r : plan_arg(p, i, DNN_WEIGHT, w, b, e);
}
