/* Steps that move no numbers when the layout can say it: the same room seen under other dims. What
 * a primitive cannot read like that is brought into order when somebody fetches it, once. */
#include "nn/compile.h"

#include "data/base/cleanup.h"

#include <stdlib.h>
#include <string.h>

struct dnn_layout *compile_settled(const struct plan *p, int value)
{
    LAYOUT there = compile_layout(p, value);
    return there ? dnn_layout_settled(there) : NULL;
}

/* step's output is seen in that layout (taken) from where `in` stands, so many entries on. */
static enum err_code see(struct plan *p, int out, struct operand in, struct dnn_layout *layout,
                         int64_t offset, struct err *e)
{
    enum err_code r = plan_define(p, out, layout, e);
    if (!r)
        compile_share_room(p, out, in.value, (size_t)offset * sizeof(float));
    return r;
}

/* x in the one order in which y, its entries under other dims, has its channels last. */
static struct dnn_layout *last_order(const struct dnn_layout *there, const struct tensor *x,
                                     const struct tensor *y)
{
    int innermost = dnn_layout_innermost(there), behind = x->rank - 1;
    while (behind > 0 && x->dims[behind] == 1)
        behind--;
    if (y->rank < 3 || innermost < 0 || innermost == behind)
        return NULL;
    LAYOUT last = dnn_layout_channels_last(y->rank, y->dims);
    return last ? dnn_layout_reshaped(last, x->rank, x->dims) : NULL;
}

static enum err_code reshape(struct plan *p, const struct step *step, const struct tensor *y,
                             struct err *e)
{
    const int64_t one = 1;
    const struct tensor x = p->values[step->in[0]].shape;
    int rank = y->rank ? y->rank : 1;
    const int64_t *dims = y->rank ? y->dims : &one;
    struct operand in;
    LAYOUT there = compile_layout(p, step->in[0]);
    enum err_code r =
        there ? plan_fetch(p, step->in[0], there, false, &in, e) : compile_no_memory(e);
    if (r)
        return r;
    if (dnn_layout_is_plain(there))
        return see(p, step->out, in, plan_plain(y), 0, e);
    struct dnn_layout *seen = dnn_layout_reshaped(there, rank, dims);
    if (seen)
        return see(p, step->out, in, seen, 0, e);
    LAYOUT want = last_order(there, &x, y);
    r = want ? plan_fetch(p, step->in[0], want, false, &in, e)
             : compile_fetch_plain(p, step->in[0], &in, e);
    if (r)
        return r;
    return see(p, step->out, in, want ? dnn_layout_channels_last(rank, dims) : plan_plain(y), 0, e);
}

enum err_code compile_view(struct plan *p, const struct steps *s, const struct step *step,
                           struct err *e)
{
    const struct plan_value *v = &p->values[step->in[0]];
    const struct tensor *y = &s->values[step->out];
    if (v->shape.data)
        return compile_loop(p, s, step, e);
    if (v->layout && !tensor_same_shape(&v->shape, y))
        return reshape(p, step, y, e);
    /* The one view of what lies as integers; the others fetch floats. */
    if (v->layout && dnn_layout_type(v->layout) != DNN_F32)
        p->values[step->out].quant = v->quant;
    return see(p, step->out, compile_at(step->in[0]), v->layout ? dnn_layout_copy(v->layout) : NULL,
               0, e);
}

enum err_code compile_transpose(struct plan *p, const struct steps *s, const struct step *step,
                                struct err *e)
{
    const struct tensor *y = &s->values[step->out];
    const struct attr *given = node_attr(step->node, "perm");
    int perm[TENSOR_RANK_MAX];
    for (int d = 0; d < y->rank; d++)
        perm[d] = given ? (int)given->ints[d] : y->rank - 1 - d;
    LAYOUT there = compile_layout(p, step->in[0]);
    LAYOUT from = there ? dnn_layout_permuted(there, perm) : NULL;
    LAYOUT to = plan_plain(y);
    if (!from || !to)
        return compile_no_memory(e);
    struct operand in;
    struct instr *i;
    struct dnn_primitive *reorder;
    enum err_code r = plan_fetch(p, step->in[0], there, false, &in, e);
    if (!r && in.value >= 0 && dnn_layout_is_strided(from))
        return see(p, step->out, in, STEAL(from), 0, e);
    if (!r)
        r = dnn_reorder_new(p->engine, from, to, NULL, 1, &reorder, e);
    return r ? r : compile_emit(p, s, step, reorder, in, from, to, dnn_layout_copy(to), &i, e);
}

/* y: the entries of the step's input from start on, every by-th. Where even row-major order cannot
 * say that (oneDNN takes strides that interleave for an overlap) the operator's loop copies them.
 */
static enum err_code see_part(struct plan *p, const struct steps *s, const struct step *step,
                              int out, const int64_t *start, const int64_t *by, struct err *e)
{
    const struct tensor *y = &s->values[out];
    int64_t offset = 0;
    struct operand in;
    LAYOUT there = compile_layout(p, step->in[0]);
    enum err_code r =
        there ? plan_fetch(p, step->in[0], there, false, &in, e) : compile_no_memory(e);
    if (r)
        return r;
    struct dnn_layout *part = dnn_layout_part(there, y->dims, start, by, &offset);
    if (part)
        return see(p, out, in, part, offset, e);
    LAYOUT plain = plan_plain(&p->values[step->in[0]].shape);
    part = plain ? dnn_layout_part(plain, y->dims, start, by, &offset) : NULL;
    if (!part)
        return compile_loop(p, s, step, e);
    r = compile_fetch_plain(p, step->in[0], &in, e);
    if (!r)
        return see(p, out, in, part, offset, e);
    dnn_layout_free(part);
    return r;
}

enum err_code compile_slice(struct plan *p, const struct steps *s, const struct step *step,
                            struct err *e)
{
    if (p->values[step->in[0]].shape.data)
        return compile_loop(p, s, step, e);
    return see_part(p, s, step, step->out, step->start, step->by, e);
}

enum err_code compile_split(struct plan *p, const struct steps *s, const struct step *step,
                            struct err *e)
{
    int64_t start[TENSOR_RANK_MAX] = { 0 }, by[TENSOR_RANK_MAX];
    for (int d = 0; d < TENSOR_RANK_MAX; d++)
        by[d] = 1;
    if (p->values[step->in[0]].shape.data)
        return compile_loop(p, s, step, e);
    enum err_code r = ERR_OK;
    for (int k = 0; k < step->node->out_count && !r; k++) {
        int out = step->node->out[k];
        r = see_part(p, s, step, out, start, by, e);
        start[step->axis] += s->values[out].dims[step->axis];
    }
    return r;
}
