/* Convolutions, with what is fused into them. */
#include "nn/compile_int8.h"

#include "data/base/cleanup.h"
#include "nn/split.h"

#include <stdlib.h>
#include <string.h>

int compile_sum_post(const struct step *step)
{
    for (int i = 0; i < step->post_count; i++)
        if (step->posts[i].kind == POST_SUM)
            return i;
    return -1;
}

void compile_forget_copies(struct plan *p, int value)
{
    size_t offset;
    int root = plan_root(p, value, &offset);
    for (int v = 0; v < p->value_count; v++)
        if (p->values[v].copy >= 0 && plan_root(p, p->values[v].copy, &offset) == root)
            p->values[v].copy = -1;
}

/* ---- convolution ---- */

/* Everything of a convolution but its layouts. */
struct dnn_conv compile_conv_geometry(const struct step *step, const struct dnn_layout *sum_with)
{
    struct dnn_conv c = { .spatial = step->window.spatial, .posts = compile_posts(step, sum_with) };
    memcpy(c.stride, step->window.stride, sizeof c.stride);
    memcpy(c.dilation, step->window.dilation, sizeof c.dilation);
    memcpy(c.low, step->window.low, sizeof c.low);
    for (int d = 0; d < c.spatial; d++) {
        /* What is left over by the stride needs no padding; oneDNN wants the exact fit. */
        int64_t reach = (c.dilation[d] * (step->window.kernel[d] - 1) + 1) +
                        (step->window.out[d] - 1) * c.stride[d];
        c.high[d] = reach - step->window.in[d] - c.low[d];
        if (c.high[d] < 0)
            c.high[d] = step->window.high[d];
    }
    return c;
}

bool compile_is_last_use(const struct plan *p, int value)
{
    size_t offset;
    const struct plan_value *root = &p->values[plan_root(p, value, &offset)];
    return root->room == ROOM_ARENA && root->uses_left == 1;
}

/* Winograd's primitives have no other sum than one in place. */
static bool is_winograd(const struct plan *p, const struct steps *s, const struct step *step)
{
    int sum = compile_sum_post(step);
    return p->threads < 2 && (sum < 0 || compile_is_last_use(p, step->posts[sum].value)) &&
           compile_winograd_pays(step, s->values[step->in[0]].dims,
                                 s->values[step->node->in[1]].dims[0]);
}

/* The primitive for given source and destination forms. sum_with: NULL when a sum is in place. */
static enum err_code make_conv(struct plan *p, const struct steps *s, const struct step *step,
                               const struct int8_conv *q, const struct dnn_layout *dst,
                               const struct dnn_layout *sum_with, struct dnn_primitive **ret,
                               struct err *e)
{
    const struct tensor *x = &s->values[step->in[0]], *w = &s->values[step->node->in[1]];
    int64_t dims[DNN_RANK_MAX] = { step->group, w->dims[0] / step->group };
    memcpy(dims + 2, w->dims + 1, (size_t)(w->rank - 1) * sizeof dims[0]);
    LAYOUT src = compile_any(x, q->src);
    LAYOUT floats = step->group > 1 ? dnn_layout_new(w->rank + 1, dims, DNN_ANY)
                                    : dnn_layout_new(w->rank, w->dims, DNN_ANY);
    LAYOUT weight = floats ? dnn_layout_as(floats, q->on ? DNN_S8 : DNN_F32) : NULL;
    LAYOUT bias = step->bias.data ? dnn_layout_new(1, w->dims, DNN_PLAIN) : NULL;
    if (!src || !weight || (step->bias.data && !bias))
        return compile_no_memory(e);
    struct dnn_conv c = compile_conv_geometry(step, sum_with);
    c.src = src;
    c.weight = weight;
    c.bias = bias;
    c.dst = dst;
    c.scales = q->scales;
    c.scale_count = w->dims[0];
    c.grouped = step->group > 1;
    if (q->on)
        int8_conv_posts(s, step, q, &c.posts);
    c.winograd = !q->on && is_winograd(p, s, step);
    enum err_code r = compile_conv_new(p, &c, ret, e);
    if (!r && q->on && strncmp(dnn_primitive_text(*ret), "ref", 3) == 0) {
        dnn_primitive_free(STEAL(*ret));
        return err_set(e, ERR_DNN, "no fast convolution of integers");
    }
    return r;
}

/* Chooses between a sum in place and a binary post-op, and makes the primitive. *ret_other is the
 * operand of the sum. Integers are always summed in place, as only that has a scale. */
static enum err_code choose_conv(struct plan *p, const struct steps *s, const struct step *step,
                                 const struct int8_conv *q, struct dnn_primitive **ret,
                                 struct operand *ret_other, bool *ret_in_place, struct err *e)
{
    LAYOUT any = compile_any(&s->values[step->out], q->dst);
    if (!any)
        return compile_no_memory(e);
    int sum = compile_sum_post(step);
    if (sum < 0)
        return make_conv(p, s, step, q, any, NULL, ret, e);

    int other = step->posts[sum].value;
    enum dnn_type type = q->dst == DNN_F32 ? DNN_F32 : s->quants[other].type;
    LAYOUT there = p->values[other].layout ? dnn_layout_copy(p->values[other].layout)
                                           : compile_layout(p, other);
    if (!there)
        return compile_no_memory(e);
    bool mine = compile_is_last_use(p, other);
    if (mine && q->dst == DNN_F32 && dnn_layout_type(there) == DNN_F32 &&
        dnn_layout_block(there) >= BLOCK_MIN) {
        *ret_in_place = true;
        *ret_other = compile_at(other);
        return make_conv(p, s, step, q, there, NULL, ret, e);
    }
    enum err_code r = make_conv(p, s, step, q, any, NULL, ret, e);
    if (r)
        return r;
    LAYOUT dst = dnn_primitive_layout(*ret, DNN_DST);
    dnn_primitive_free(STEAL(*ret));
    LAYOUT want = dst ? dnn_layout_as(dst, type) : NULL;
    if (!want)
        return compile_no_memory(e);
    bool in_place = mine || q->dst != DNN_F32;
    bool as_it_is = mine && dnn_layout_same(there, want);
    r = plan_fetch(p, other, want, in_place && !as_it_is, ret_other, e);
    if (r)
        return r;
    *ret_in_place = in_place;
    return make_conv(p, s, step, q, dst, in_place ? NULL : dst, ret, e);
}

static enum err_code conv_params(struct plan *p, const struct steps *s, const struct step *step,
                                 const struct int8_conv *q, const struct dnn_primitive *conv,
                                 struct operand *ret_weight, struct operand *ret_bias,
                                 struct err *e)
{
    const struct tensor *w = &s->values[step->node->in[1]];
    int64_t dims[DNN_RANK_MAX] = { step->group, w->dims[0] / step->group };
    memcpy(dims + 2, w->dims + 1, (size_t)(w->rank - 1) * sizeof dims[0]);
    LAYOUT floats = step->group > 1 ? dnn_layout_new(w->rank + 1, dims, DNN_PLAIN)
                                    : dnn_layout_new(w->rank, w->dims, DNN_PLAIN);
    LAYOUT from = floats ? dnn_layout_as(floats, q->on ? DNN_S8 : DNN_F32) : NULL;
    LAYOUT to = dnn_primitive_layout(conv, DNN_WEIGHT);
    LAYOUT bias = dnn_layout_new(1, w->dims, DNN_PLAIN);
    if (!from || !to || !bias)
        return compile_no_memory(e);
    const void *weight = q->on ? (const void *)q->weight : step->weight.data;
    enum err_code r = plan_param(p, weight, from, to, ret_weight, e);
    if (!r && step->bias.data)
        r = plan_param(p, q->on ? q->bias : step->bias.data, bias, bias, ret_bias, e);
    return r;
}

static enum err_code emit_conv(struct plan *p, const struct steps *s, const struct step *step,
                               const struct int8_conv *q, struct err *e)
{
    struct dnn_primitive *conv = NULL;
    struct operand other = { -1, -1 }, src, weight, bias;
    bool in_place = false;
    enum err_code r = choose_conv(p, s, step, q, &conv, &other, &in_place, e);
    if (r)
        return r;
    LAYOUT src_layout = dnn_primitive_layout(conv, DNN_SRC);
    LAYOUT dst_layout = dnn_primitive_layout(conv, DNN_DST);
    LAYOUT weight_layout = dnn_primitive_layout(conv, DNN_WEIGHT);
    LAYOUT bias_layout = dnn_primitive_layout(conv, DNN_BIAS);
    r = src_layout && dst_layout && weight_layout ? ERR_OK : compile_no_memory(e);
    if (!r)
        r = plan_fetch(p, step->in[0], src_layout, false, &src, e);
    if (!r)
        r = conv_params(p, s, step, q, conv, &weight, &bias, e);
    if (r) {
        dnn_primitive_free(conv);
        return r;
    }
    struct instr *i;
    r = plan_emit(p, conv, compile_name(s, step), &i, e);
    if (!r)
        r = plan_arg(p, i, DNN_SRC, src, src_layout, e);
    if (!r)
        r = plan_arg(p, i, DNN_WEIGHT, weight, weight_layout, e);
    if (!r && step->bias.data)
        r = plan_arg(p, i, DNN_BIAS, bias, bias_layout, e);
    if (!r && other.value >= 0 && !in_place)
        r = plan_arg(p, i, DNN_POST_FIRST + compile_sum_post(step), other, dst_layout, e);
    if (!r)
        r = plan_define(p, step->out, dnn_layout_copy(dst_layout), e);
    if (!r && in_place) {
        compile_forget_copies(p, other.value);
        compile_share_room(p, step->out, other.value, 0);
    }
    if (!r)
        r = plan_arg(p, i, DNN_DST, compile_at(step->out), dst_layout, e);
    if (!r && q->on && dnn_scales_are_arguments())
        r = compile_vector(p, p->instr_count - 1, DNN_WEIGHT_SCALE, q->scales,
                           s->values[step->node->in[1]].dims[0], e);
    struct dnn_conv c = compile_conv_geometry(step, in_place ? NULL : dst_layout);
    return r ? r : split_conv(p, &c, e);
}

enum err_code compile_conv(struct plan *p, const struct steps *s, const struct step *step,
                           struct err *e)
{
    CLEANUP(int8_conv_fini) struct int8_conv q = { 0 };
    const struct int8_conv floats = { 0 };
    enum err_code r = ERR_DNN;
    if (compile_conv_has_halves(p, s, step))
        r = compile_conv_halves(p, s, step, e);
    if (r != ERR_DNN)
        return r;
    r = int8_conv_init(s, step, &q, e);
    if (!r)
        r = emit_conv(p, s, step, &q, e);
    return r == ERR_DNN && q.on ? emit_conv(p, s, step, &floats, e) : r;
}
