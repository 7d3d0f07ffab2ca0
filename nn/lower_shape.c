/* What chooses entries or puts some around them. */
#include "nn/lower.h"

#include <string.h>

void lower_inputs(struct step *p, const struct node *n, int count)
{
    p->in_count = count;
    memcpy(p->in, n->in, (size_t)count * sizeof *p->in);
}

enum err_code lower_slice(struct step *p, const struct op_call *c, struct err *e)
{
    struct slice_range range;
    enum err_code r = slice_ranges(c, &range, e);
    if (r)
        return r;
    for (int d = 0; d < c->in[0]->rank; d++) {
        if (range.step[d] < 0)
            return ERR_OK;
        p->start[d] = range.start[d];
        p->by[d] = range.step[d];
    }
    p->kind = STEP_SLICE;
    lower_inputs(p, c->node, 1);
    return ERR_OK;
}

/* Nothing to pad: the same value. Noughts around a picture: a convolution may take them. */
enum err_code lower_pad(struct step *p, const struct op_call *c, struct err *e)
{
    const struct tensor *x = c->in[0], *value = c->node->in_count > 2 ? c->in[2] : NULL;
    int64_t pads[2 * TENSOR_RANK_MAX];
    enum err_code r = pad_amounts(c, pads, e);
    if (r)
        return r;
    if (tensor_same_shape(x, c->out[0])) {
        for (int d = 0; d < 2 * x->rank; d++)
            if (pads[d])
                return ERR_OK;
        p->kind = STEP_VIEW;
        lower_inputs(p, c->node, 1);
        return ERR_OK;
    }
    if (strcmp(node_string(c->node, "mode", "constant"), "constant") != 0 ||
        (value && (!value->data || tensor_real(value, 0) != 0)) ||
        (!value && node_float(c->node, "value", 0) != 0))
        return ERR_OK;
    for (int d = 0; d < x->rank; d++) {
        p->start[d] = pads[d];
        p->by[d] = pads[x->rank + d];
        if (p->start[d] < 0 || p->by[d] < 0 || (d < 2 && (p->start[d] || p->by[d])))
            return ERR_OK;
    }
    p->zero_pad = true;
    return ERR_OK;
}

void lower_split(struct step *p, const struct op_call *c)
{
    for (int k = 0; k < c->node->out_count; k++)
        if (!c->out[k] || !tensor_count(c->out[k]))
            return;
    if (!op_axis(node_int(c->node, "axis", 0), c->in[0]->rank, &p->axis))
        return;
    p->kind = STEP_SPLIT;
    lower_inputs(p, c->node, 1);
}
