/* Each kind of step as instructions. */
#include "nn/plan_parts.h"

#include "data/base/cleanup.h"

#include <stdlib.h>
#include <string.h>

CLEANUP_DEFINE(struct dnn_layout, dnn_layout_free);
#define LAYOUT CLEANUP(dnn_layout_free_p) struct dnn_layout *

enum { NAME_TEXT = 128, BLOCK_MIN = 4 };

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "no memory to compile a step");
}

static const char *step_name(const struct steps *s, const struct step *step)
{
    const struct graph *g = s->frame->graph;
    return step->out < g->value_count ? g->values[step->out].name : "pooled";
}

static struct operand at_value(int value)
{
    return (struct operand){ value, -1 };
}

/* A constant has no layout until it is fetched; it is read as it stands. */
static struct dnn_layout *layout_in(const struct plan *p, int value)
{
    const struct plan_value *v = &p->values[value];
    return v->layout ? dnn_layout_copy(v->layout) : plan_plain(&v->shape);
}

/* out's numbers take the place of in's, in the same room. */
static void share_room(struct plan *p, int out, int in, size_t offset)
{
    size_t ignored;
    p->values[out].parent = in;
    p->values[out].offset = offset;
    p->values[plan_root(p, in, &ignored)].uses_left += p->values[out].uses;
}

/* Posts as oneDNN wants them. with: layout for a binary in place of a sum, or NULL. */
static struct dnn_posts posts_of(const struct step *step, const struct dnn_layout *with)
{
    struct dnn_posts posts = { .count = step->post_count };
    for (int i = 0; i < step->post_count; i++) {
        const struct step_post *from = &step->posts[i];
        struct dnn_post *to = &posts.post[i];
        to->unary = from->unary;
        to->alpha = from->alpha;
        to->beta = from->beta;
        to->kind = from->kind == POST_UNARY ? DNN_POST_UNARY
                   : with                   ? DNN_POST_BINARY
                                            : DNN_POST_SUM;
        to->binary = DNN_ADD;
        to->with = with;
    }
    return posts;
}

static int sum_post(const struct step *step)
{
    for (int i = 0; i < step->post_count; i++)
        if (step->posts[i].kind == POST_SUM)
            return i;
    return -1;
}

/* ---- convolution ---- */

/* The primitive for given source and destination forms. sum_with: NULL when a sum is in place. */
static enum err_code make_conv(struct plan *p, const struct steps *s, const struct step *step,
                               const struct dnn_layout *dst, const struct dnn_layout *sum_with,
                               struct dnn_primitive **ret, struct err *e)
{
    const struct tensor *x = &s->values[step->in[0]], *w = &s->values[step->node->in[1]];
    int64_t dims[DNN_RANK_MAX] = { step->group, w->dims[0] / step->group };
    memcpy(dims + 2, w->dims + 1, (size_t)(w->rank - 1) * sizeof dims[0]);
    LAYOUT src = dnn_layout_new(x->rank, x->dims, DNN_ANY);
    LAYOUT weight = step->group > 1 ? dnn_layout_new(w->rank + 1, dims, DNN_ANY)
                                    : dnn_layout_new(w->rank, w->dims, DNN_ANY);
    LAYOUT bias = step->bias.data ? dnn_layout_new(1, w->dims, DNN_PLAIN) : NULL;
    if (!src || !weight || (step->bias.data && !bias))
        return no_memory(e);
    struct dnn_conv c = { .src = src,
                          .weight = weight,
                          .bias = bias,
                          .dst = dst,
                          .spatial = step->window.spatial,
                          .posts = posts_of(step, sum_with) };
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
    return dnn_conv_new(p->engine, &c, ret, e);
}

/* Chooses between a sum in place and a binary post-op, and makes the primitive. *ret_other is the
 * operand of the sum. */
static enum err_code choose_conv(struct plan *p, const struct steps *s, const struct step *step,
                                 struct dnn_primitive **ret, struct operand *ret_other,
                                 bool *ret_in_place, struct err *e)
{
    const struct tensor *y = &s->values[step->out];
    LAYOUT any = dnn_layout_new(y->rank, y->dims, DNN_ANY);
    if (!any)
        return no_memory(e);
    int sum = sum_post(step);
    if (sum < 0)
        return make_conv(p, s, step, any, NULL, ret, e);

    int other = step->posts[sum].value;
    size_t offset;
    const struct plan_value *root = &p->values[plan_root(p, other, &offset)];
    LAYOUT there = layout_in(p, other);
    if (!there)
        return no_memory(e);
    bool mine = root->room == ROOM_ARENA && root->uses_left == 1;
    if (mine && dnn_layout_block(there) >= BLOCK_MIN) {
        *ret_in_place = true;
        *ret_other = at_value(other);
        return make_conv(p, s, step, there, NULL, ret, e);
    }
    enum err_code r = make_conv(p, s, step, any, NULL, ret, e);
    if (r)
        return r;
    LAYOUT want = dnn_primitive_layout(*ret, DNN_DST);
    dnn_primitive_free(STEAL(*ret));
    if (!want)
        return no_memory(e);
    r = plan_fetch(p, other, want, mine && !dnn_layout_same(there, want), ret_other, e);
    if (r)
        return r;
    *ret_in_place = mine;
    return make_conv(p, s, step, want, mine ? NULL : want, ret, e);
}

static enum err_code conv_params(struct plan *p, const struct steps *s, const struct step *step,
                                 const struct dnn_primitive *conv, struct operand *ret_weight,
                                 struct operand *ret_bias, struct err *e)
{
    const struct tensor *w = &s->values[step->node->in[1]];
    int64_t dims[DNN_RANK_MAX] = { step->group, w->dims[0] / step->group };
    memcpy(dims + 2, w->dims + 1, (size_t)(w->rank - 1) * sizeof dims[0]);
    LAYOUT from = step->group > 1 ? dnn_layout_new(w->rank + 1, dims, DNN_PLAIN)
                                  : dnn_layout_new(w->rank, w->dims, DNN_PLAIN);
    LAYOUT to = dnn_primitive_layout(conv, DNN_WEIGHT);
    LAYOUT bias = dnn_layout_new(1, w->dims, DNN_PLAIN);
    if (!from || !to || !bias)
        return no_memory(e);
    enum err_code r = plan_param(p, step->weight.data, from, to, ret_weight, e);
    if (!r && step->bias.data)
        r = plan_param(p, step->bias.data, bias, bias, ret_bias, e);
    return r;
}

static enum err_code compile_conv(struct plan *p, const struct steps *s, const struct step *step,
                                  struct err *e)
{
    struct dnn_primitive *conv = NULL;
    struct operand other = { -1, -1 }, src, weight, bias;
    bool in_place = false;
    enum err_code r = choose_conv(p, s, step, &conv, &other, &in_place, e);
    if (r)
        return r;
    LAYOUT src_layout = dnn_primitive_layout(conv, DNN_SRC);
    LAYOUT dst_layout = dnn_primitive_layout(conv, DNN_DST);
    LAYOUT weight_layout = dnn_primitive_layout(conv, DNN_WEIGHT);
    LAYOUT bias_layout = dnn_primitive_layout(conv, DNN_BIAS);
    r = src_layout && dst_layout && weight_layout ? ERR_OK : no_memory(e);
    if (!r)
        r = plan_fetch(p, step->in[0], src_layout, false, &src, e);
    if (!r)
        r = conv_params(p, s, step, conv, &weight, &bias, e);
    if (r) {
        dnn_primitive_free(conv);
        return r;
    }
    struct instr *i;
    r = plan_emit(p, conv, step_name(s, step), &i, e);
    if (!r)
        r = plan_arg(p, i, DNN_SRC, src, src_layout, e);
    if (!r)
        r = plan_arg(p, i, DNN_WEIGHT, weight, weight_layout, e);
    if (!r && step->bias.data)
        r = plan_arg(p, i, DNN_BIAS, bias, bias_layout, e);
    if (!r && other.value >= 0 && !in_place)
        r = plan_arg(p, i, DNN_POST_FIRST + sum_post(step), other, dst_layout, e);
    if (!r)
        r = plan_define(p, step->out, dnn_layout_copy(dst_layout), e);
    if (!r && in_place)
        share_room(p, step->out, other.value, 0);
    if (!r)
        r = plan_arg(p, i, DNN_DST, at_value(step->out), dst_layout, e);
    return r;
}

/* ---- one operand in, one out, on the layout that is there ---- */

/* Emits primitive (taken) from in to step->out; both in these layouts. */
static enum err_code emit_simple(struct plan *p, const struct steps *s, const struct step *step,
                                 struct dnn_primitive *primitive, struct operand in,
                                 const struct dnn_layout *from, const struct dnn_layout *to,
                                 struct dnn_layout *defined, struct instr **ret, struct err *e)
{
    enum err_code r = plan_emit(p, primitive, step_name(s, step), ret, e);
    if (!r)
        r = plan_arg(p, *ret, DNN_SRC, in, from, e);
    if (r) {
        dnn_layout_free(defined);
        return r;
    }
    r = plan_define(p, step->out, defined, e);
    if (!r)
        r = plan_arg(p, *ret, DNN_DST, at_value(step->out), to, e);
    return r;
}

static enum err_code add_vector(struct plan *p, int instr, int role, const float *data,
                                int64_t count, struct err *e)
{
    LAYOUT l = dnn_layout_new(1, &count, DNN_PLAIN);
    struct operand of;
    enum err_code r = l ? plan_param(p, data, l, l, &of, e) : no_memory(e);
    return r ? r : plan_arg(p, &p->instrs[instr], role, of, l, e);
}

static enum err_code compile_norm(struct plan *p, const struct steps *s, const struct step *step,
                                  struct err *e)
{
    LAYOUT l = layout_in(p, step->in[0]);
    struct dnn_primitive *norm;
    struct operand in;
    struct instr *i;
    int64_t channels = s->values[step->in[0]].dims[1];
    enum err_code r = l ? plan_fetch(p, step->in[0], l, false, &in, e) : no_memory(e);
    if (!r)
        r = dnn_norm_new(p->engine, l, step->epsilon, step->relu, &norm, e);
    if (!r)
        r = emit_simple(p, s, step, norm, in, l, l, dnn_layout_copy(l), &i, e);
    const float *numbers[] = { step->scale, step->shift, step->mean, step->variance };
    static const int roles[] = { DNN_SCALE, DNN_SHIFT, DNN_MEAN, DNN_VARIANCE };
    for (int k = 0; k < 4 && !r; k++)
        r = add_vector(p, p->instr_count - 1, roles[k], numbers[k], channels, e);
    return r;
}

static enum err_code compile_unary(struct plan *p, const struct steps *s, const struct step *step,
                                   struct err *e)
{
    LAYOUT l = layout_in(p, step->in[0]);
    struct operand in;
    struct instr *i;
    enum err_code r = l ? plan_fetch(p, step->in[0], l, false, &in, e) : no_memory(e);
    for (int k = 0; k < step->post_count && !r; k++) {
        const struct step_post *post = &step->posts[k];
        struct dnn_primitive *unary;
        r = dnn_unary_new(p->engine, l, post->unary, post->alpha, post->beta, &unary, e);
        if (!r && k == 0)
            r = emit_simple(p, s, step, unary, in, l, l, dnn_layout_copy(l), &i, e);
        else if (!r)
            r = plan_emit(p, unary, step_name(s, step), &i, e);
        if (!r && k > 0)
            r = plan_arg(p, i, DNN_SRC, at_value(step->out), l, e);
        if (!r && k > 0)
            r = plan_arg(p, i, DNN_DST, at_value(step->out), l, e);
    }
    return r;
}

static enum err_code compile_pool(struct plan *p, const struct steps *s, const struct step *step,
                                  struct err *e)
{
    const struct window *w = &step->window;
    const struct tensor *y = &s->values[step->out];
    LAYOUT src = layout_in(p, step->in[0]);
    LAYOUT any = dnn_layout_new(y->rank, y->dims, DNN_ANY);
    struct operand in;
    struct instr *i;
    struct dnn_primitive *pool;
    if (!src || !any)
        return no_memory(e);
    struct dnn_pool c = { .kind = step->pool_kind, .src = src, .dst = any, .spatial = w->spatial };
    memcpy(c.kernel, w->kernel, sizeof c.kernel);
    memcpy(c.stride, w->stride, sizeof c.stride);
    memcpy(c.dilation, w->dilation, sizeof c.dilation);
    memcpy(c.low, w->low, sizeof c.low);
    for (int d = 0; d < c.spatial; d++)
        c.high[d] = (w->kernel[d] - 1) * w->dilation[d] + 1 + (w->out[d] - 1) * w->stride[d] -
                    w->in[d] - w->low[d];
    enum err_code r = plan_fetch(p, step->in[0], src, false, &in, e);
    if (!r)
        r = dnn_pool_new(p->engine, &c, &pool, e);
    if (r)
        return r;
    LAYOUT dst = dnn_primitive_layout(pool, DNN_DST);
    if (!dst) {
        dnn_primitive_free(pool);
        return no_memory(e);
    }
    return emit_simple(p, s, step, pool, in, src, dst, dnn_layout_copy(dst), &i, e);
}

static enum err_code compile_lrn(struct plan *p, const struct steps *s, const struct step *step,
                                 struct err *e)
{
    LAYOUT l = layout_in(p, step->in[0]);
    struct operand in;
    struct instr *i;
    struct dnn_primitive *lrn;
    enum err_code r = l ? plan_fetch(p, step->in[0], l, false, &in, e) : no_memory(e);
    if (!r)
        r = dnn_lrn_new(p->engine, l, step->depth, step->alpha, step->beta, step->k, &lrn, e);
    return r ? r : emit_simple(p, s, step, lrn, in, l, l, dnn_layout_copy(l), &i, e);
}

/* ---- on plain layouts, seen under another shape ---- */

/* The value in row-major order. */
static enum err_code fetch_plain(struct plan *p, int value, struct operand *ret, struct err *e)
{
    LAYOUT plain = plan_plain(&p->values[value].shape);
    return plain ? plan_fetch(p, value, plain, false, ret, e) : no_memory(e);
}

static enum err_code compile_softmax(struct plan *p, const struct steps *s, const struct step *step,
                                     struct err *e)
{
    const int64_t dims[] = { step->rows, step->depth, step->width };
    LAYOUT l = dnn_layout_new(step->width == 1 ? 2 : 3, dims, DNN_PLAIN);
    struct operand in;
    struct instr *i;
    struct dnn_primitive *softmax;
    enum err_code r = l ? fetch_plain(p, step->in[0], &in, e) : no_memory(e);
    if (!r)
        r = dnn_softmax_new(p->engine, l, 1, step->log, &softmax, e);
    return r ? r
             : emit_simple(p, s, step, softmax, in, l, l, plan_plain(&s->values[step->out]), &i, e);
}

static enum err_code compile_layer_norm(struct plan *p, const struct steps *s,
                                        const struct step *step, struct err *e)
{
    const int64_t dims[] = { step->rows, step->depth };
    LAYOUT l = dnn_layout_new(2, dims, DNN_PLAIN);
    struct operand in;
    struct instr *i;
    struct dnn_primitive *norm;
    enum err_code r = l ? fetch_plain(p, step->in[0], &in, e) : no_memory(e);
    if (!r)
        r = dnn_layer_norm_new(p->engine, l, step->epsilon, &norm, e);
    if (!r)
        r = emit_simple(p, s, step, norm, in, l, l, plan_plain(&s->values[step->out]), &i, e);
    if (!r)
        r = add_vector(p, p->instr_count - 1, DNN_SCALE, step->scale, step->depth, e);
    if (!r)
        r = add_vector(p, p->instr_count - 1, DNN_SHIFT, step->shift, step->depth, e);
    return r;
}

static enum err_code compile_inner(struct plan *p, const struct steps *s, const struct step *step,
                                   struct err *e)
{
    const int64_t in_dims[] = { step->rows, step->depth }, out_dims[] = { step->rows, step->width };
    const int64_t weight_dims[] = { step->width, step->depth };
    LAYOUT src = dnn_layout_new(2, in_dims, DNN_PLAIN);
    LAYOUT dst = dnn_layout_new(2, out_dims, DNN_PLAIN);
    LAYOUT any = dnn_layout_new(2, weight_dims, DNN_ANY);
    LAYOUT from = dnn_layout_new(2, weight_dims, DNN_PLAIN);
    LAYOUT bias = dnn_layout_new(1, weight_dims, DNN_PLAIN);
    struct operand in, weight;
    struct instr *i;
    struct dnn_primitive *inner;
    struct dnn_posts posts = posts_of(step, NULL);
    if (!src || !dst || !any || !from || !bias)
        return no_memory(e);
    enum err_code r = fetch_plain(p, step->in[0], &in, e);
    if (!r)
        r = dnn_inner_new(p->engine, src, any, step->bias.data ? bias : NULL, dst, &posts, &inner,
                          e);
    if (r)
        return r;
    LAYOUT to = dnn_primitive_layout(inner, DNN_WEIGHT);
    r = to ? plan_param(p, step->weight.data, from, to, &weight, e) : no_memory(e);
    if (r) {
        dnn_primitive_free(inner);
        return r;
    }
    r = emit_simple(p, s, step, inner, in, src, dst, plan_plain(&s->values[step->out]), &i, e);
    if (!r)
        r = plan_arg(p, &p->instrs[p->instr_count - 1], DNN_WEIGHT, weight, to, e);
    if (!r && step->bias.data)
        r = add_vector(p, p->instr_count - 1, DNN_BIAS, step->bias.data, step->width, e);
    return r;
}

/* [outer][rows][cols] of a batched matrix. */
static struct dnn_layout *matrix_layout(const struct tensor *t)
{
    const int64_t dims[] = { tensor_span(t, 0, t->rank - 2), t->dims[t->rank - 2],
                             t->dims[t->rank - 1] };
    return dnn_layout_new(3, dims, DNN_PLAIN);
}

static enum err_code compile_matmul(struct plan *p, const struct steps *s, const struct step *step,
                                    struct err *e)
{
    LAYOUT a = matrix_layout(&s->values[step->in[0]]);
    LAYOUT b = matrix_layout(&s->values[step->in[1]]);
    LAYOUT y = matrix_layout(&s->values[step->out]);
    struct operand x, w;
    struct instr *i;
    struct dnn_primitive *matmul;
    struct dnn_posts posts = posts_of(step, NULL);
    enum err_code r = a && b && y ? fetch_plain(p, step->in[0], &x, e) : no_memory(e);
    if (!r)
        r = fetch_plain(p, step->in[1], &w, e);
    if (!r)
        r = dnn_matmul_new(p->engine, a, b, y, &posts, &matmul, e);
    if (!r)
        r = emit_simple(p, s, step, matmul, x, a, y, plan_plain(&s->values[step->out]), &i, e);
    return r ? r : plan_arg(p, i, DNN_WEIGHT, w, b, e);
}

static enum err_code compile_transpose(struct plan *p, const struct steps *s,
                                       const struct step *step, struct err *e)
{
    const struct tensor *x = &s->values[step->in[0]], *y = &s->values[step->out];
    const struct attr *perm = node_attr(step->node, "perm");
    int64_t strides[TENSOR_RANK_MAX], moved[TENSOR_RANK_MAX];
    tensor_strides(x, strides);
    for (int d = 0; d < x->rank; d++)
        moved[d] = strides[perm ? perm->ints[d] : x->rank - 1 - d];
    LAYOUT from = dnn_layout_strided(x->rank, y->dims, moved);
    LAYOUT to = plan_plain(y);
    struct operand in;
    struct instr *i;
    struct dnn_primitive *reorder;
    enum err_code r = from && to ? fetch_plain(p, step->in[0], &in, e) : no_memory(e);
    if (!r)
        r = dnn_reorder_new(p->engine, from, to, &reorder, e);
    return r ? r : emit_simple(p, s, step, reorder, in, from, to, dnn_layout_copy(to), &i, e);
}

/* ---- several operands ---- */

/* The second operand of a binary step under as many dims as the first has. */
static enum err_code fetch_second(struct plan *p, const struct steps *s, const struct step *step,
                                  const struct dnn_layout *like, struct operand *ret,
                                  struct dnn_layout **ret_layout, struct err *e)
{
    const struct tensor *a = &s->values[step->in[0]], *b = &s->values[step->in[1]];
    int64_t dims[TENSOR_RANK_MAX] = { 1 };
    int rank = a->rank > 0 ? a->rank : 1;
    for (int d = 0; d < rank; d++)
        dims[d] = d < rank - b->rank ? 1 : b->dims[d - (rank - b->rank)];
    LAYOUT plain = dnn_layout_new(rank, dims, DNN_PLAIN);
    LAYOUT want = like ? dnn_layout_like(like, dims) : dnn_layout_new(rank, dims, DNN_PLAIN);
    if (!plain || !want)
        return no_memory(e);
    enum err_code r;
    if (b->data)
        r = plan_param(p, b->data, plain, want, ret, e);
    else if (b->rank == a->rank)
        r = plan_fetch(p, step->in[1], want, false, ret, e);
    else
        r = fetch_plain(p, step->in[1], ret, e);
    if (!r)
        *ret_layout = STEAL(want);
    return r;
}

static enum err_code compile_binary(struct plan *p, const struct steps *s, const struct step *step,
                                    struct err *e)
{
    const struct tensor *a = &s->values[step->in[0]], *b = &s->values[step->in[1]];
    LAYOUT first = layout_in(p, step->in[0]);
    LAYOUT second = NULL;
    if (!first)
        return no_memory(e);
    bool blocked = dnn_layout_block(first) >= BLOCK_MIN && a->rank >= 3 && a->rank <= 5 &&
                   (b->data || a->rank == b->rank);
    int skip = a->rank - b->rank;
    if (blocked && (skip > 1 || b->dims[1 - skip] != a->dims[1]))
        blocked = false;
    if (!blocked) {
        dnn_layout_free(first);
        first = plan_plain(a);
    }
    struct operand x, y;
    struct instr *i;
    struct dnn_primitive *binary;
    struct dnn_posts posts = posts_of(step, NULL);
    enum err_code r = first ? plan_fetch(p, step->in[0], first, false, &x, e) : no_memory(e);
    if (!r)
        r = fetch_second(p, s, step, blocked ? first : NULL, &y, &second, e);
    if (!r)
        r = dnn_binary_new(p->engine, step->binary, first, second, first, &posts, &binary, e);
    if (!r)
        r = emit_simple(p, s, step, binary, x, first, first, dnn_layout_copy(first), &i, e);
    return r ? r : plan_arg(p, i, DNN_SRC1, y, second, e);
}

/* Inputs may be written straight into the output when they follow one another in memory there. */
static bool concat_in_place(const struct plan *p, const struct steps *s, const struct step *step,
                            struct dnn_layout **ret)
{
    const struct tensor *y = &s->values[step->out];
    if (step->axis > 1 || tensor_span(y, 0, step->axis) != 1 || y->type != TENSOR_F32)
        return false;
    int64_t block = -1;
    for (int k = 0; k < step->in_count; k++) {
        const struct plan_value *v = &p->values[step->in[k]];
        size_t offset;
        if (v->shape.data || plan_root(p, step->in[k], &offset) != step->in[k] ||
            v->room != ROOM_ARENA || !v->layout)
            return false;
        int64_t here =
            dnn_layout_is_plain(v->layout) && block == 1 ? 1 : dnn_layout_block(v->layout);
        block = block < 0 ? here : block;
        if (!here || here != block || (here > 1 && (step->axis != 1 || v->shape.dims[1] % here)))
            return false;
        for (int j = 0; j < k; j++)
            if (step->in[j] == step->in[k])
                return false;
    }
    *ret = block > 1 ? dnn_layout_like(p->values[step->in[0]].layout, y->dims) : plan_plain(y);
    return *ret && dnn_layout_bytes(*ret) == tensor_bytes(y);
}

static enum err_code compile_concat(struct plan *p, const struct steps *s, const struct step *step,
                                    struct err *e)
{
    LAYOUT there = NULL;
    if (concat_in_place(p, s, step, &there)) {
        enum err_code r = plan_define(p, step->out, STEAL(there), e);
        size_t at = 0;
        for (int k = 0; k < step->in_count && !r; k++) {
            struct plan_value *v = &p->values[step->in[k]];
            v->parent = step->out;
            v->offset = at;
            at += tensor_bytes(&v->shape);
            p->values[step->out].uses_left += v->uses_left;
        }
        return r;
    }
    size_t count = (size_t)step->in_count;
    CLEANUP(cleanup_free) struct dnn_layout **layouts = calloc(count, sizeof *layouts);
    CLEANUP(cleanup_free) struct operand *ins = calloc(count, sizeof *ins);
    if (!layouts || !ins)
        return no_memory(e);
    enum err_code r = ERR_OK;
    for (size_t k = 0; k < count && !r; k++) {
        layouts[k] = layout_in(p, step->in[k]);
        r = layouts[k] ? plan_fetch(p, step->in[k], layouts[k], false, &ins[k], e) : no_memory(e);
    }
    const struct tensor *y = &s->values[step->out];
    LAYOUT any = dnn_layout_new(y->rank, y->dims, DNN_ANY);
    struct dnn_primitive *concat;
    struct instr *i = NULL;
    if (!r)
        r = any ? dnn_concat_new(p->engine, (const struct dnn_layout *const *)layouts,
                                 step->in_count, step->axis, any, &concat, e)
                : no_memory(e);
    if (!r)
        r = plan_emit(p, concat, step_name(s, step), &i, e);
    LAYOUT dst = r ? NULL : dnn_primitive_layout(concat, DNN_DST);
    for (size_t k = 0; k < count && !r; k++)
        r = plan_arg(p, i, DNN_SRC_FIRST + (int)k, ins[k], layouts[k], e);
    if (!r)
        r = plan_define(p, step->out, dst ? dnn_layout_copy(dst) : NULL, e);
    if (!r)
        r = plan_arg(p, i, DNN_DST, at_value(step->out), dst, e);
    for (size_t k = 0; k < count; k++)
        dnn_layout_free(layouts[k]);
    return r;
}

static enum err_code compile_loop(struct plan *p, const struct steps *s, const struct step *step,
                                  struct err *e);

static enum err_code compile_view(struct plan *p, const struct steps *s, const struct step *step,
                                  struct err *e)
{
    const struct plan_value *v = &p->values[step->in[0]];
    const struct tensor *y = &s->values[step->out];
    if (v->shape.data)
        return compile_loop(p, s, step, e);
    struct operand in = at_value(step->in[0]);
    struct dnn_layout *layout = NULL;
    if (v->layout && tensor_same_shape(&v->shape, y)) {
        layout = dnn_layout_copy(v->layout);
    } else if (v->layout) {
        enum err_code r = fetch_plain(p, step->in[0], &in, e);
        if (r)
            return r;
        layout = plan_plain(y);
    }
    enum err_code r = plan_define(p, step->out, layout, e);
    if (!r)
        share_room(p, step->out, in.value, 0);
    return r;
}

/* ---- the operator's own loop ---- */

static bool copy_attr(const struct attr *from, struct attr *to)
{
    *to = *from;
    to->name = strdup(from->name);
    to->s = from->s ? strdup(from->s) : NULL;
    to->ints = NULL;
    to->floats = NULL;
    to->t.data = NULL;
    bool whole = to->name && (to->s || !from->s);
    if (from->ints && (to->ints = malloc((from->count + 1) * sizeof *to->ints)))
        memcpy(to->ints, from->ints, from->count * sizeof *to->ints);
    if (from->floats && (to->floats = malloc((from->count + 1) * sizeof *to->floats)))
        memcpy(to->floats, from->floats, from->count * sizeof *to->floats);
    if (from->t.data && (to->t.data = malloc(tensor_bytes(&from->t) + 1)))
        memcpy(to->t.data, from->t.data, tensor_bytes(&from->t));
    return whole && !from->ints == !to->ints && !from->floats == !to->floats &&
           !from->t.data == !to->t.data;
}

/* The plan outlives the graph. Inputs and outputs keep their numbers, not their indices. */
static enum err_code copy_node(const struct node *from, const char *name, struct node **ret,
                               struct err *e)
{
    struct node *n = *ret = calloc(1, sizeof *n);
    if (!n)
        return no_memory(e);
    n->op = from->op;
    n->in_count = from->in_count;
    n->out_count = from->out_count;
    n->name = strdup(from->name[0] ? from->name : name);
    n->attrs = calloc(from->attr_count + 1, sizeof *n->attrs);
    bool whole = n->name && n->attrs;
    for (; whole && n->attr_count < from->attr_count; n->attr_count++)
        whole = copy_attr(&from->attrs[n->attr_count], &n->attrs[n->attr_count]);
    return whole ? ERR_OK : no_memory(e);
}

static enum err_code loop_args(struct plan *p, const struct steps *s, const struct step *step,
                               const struct operand *ins, struct instr *i, struct err *e)
{
    const struct node *n = step->node;
    enum err_code r = ERR_OK;
    for (int k = 0; k < n->in_count + n->out_count && !r; k++) {
        bool is_in = k < n->in_count;
        int v = is_in ? n->in[k] : n->out[k - n->in_count];
        struct operand of = is_in ? ins[k] : at_value(v);
        if (v >= 0) {
            i->tensors[k] = s->values[v];
            i->tensors[k].data = NULL;
        }
        if (v >= 0 && !is_in)
            r = plan_define(p, v,
                            s->values[v].type == TENSOR_F32 ? plan_plain(&s->values[v]) : NULL, e);
        if (!r)
            r = plan_arg(p, i, k, of, NULL, e);
    }
    return r;
}

static enum err_code compile_loop(struct plan *p, const struct steps *s, const struct step *step,
                                  struct err *e)
{
    const struct node *n = step->node;
    CLEANUP(cleanup_free) struct operand *ins = calloc((size_t)n->in_count + 1, sizeof *ins);
    if (!ins)
        return no_memory(e);
    enum err_code r = ERR_OK;
    for (int k = 0; k < n->in_count && !r; k++) {
        ins[k] = (struct operand){ -1, -1 };
        if (n->in[k] < 0)
            continue;
        r = s->values[n->in[k]].data ? plan_fetch(p, n->in[k], NULL, false, &ins[k], e)
                                     : fetch_plain(p, n->in[k], &ins[k], e);
    }
    struct instr *i;
    if (!r)
        r = plan_emit(p, NULL, step_name(s, step), &i, e);
    if (r)
        return r;
    i->kind = INSTR_LOOP;
    i->tensors = calloc((size_t)(n->in_count + n->out_count) + 1, sizeof *i->tensors);
    if (!i->tensors)
        return no_memory(e);
    r = copy_node(n, step_name(s, step), &i->node, e);
    return r ? r : loop_args(p, s, step, ins, i, e);
}

enum err_code plan_compile_step(struct plan *p, const struct steps *s, const struct step *step,
                                struct err *e)
{
    switch (step->kind) {
    case STEP_CONV:
        return compile_conv(p, s, step, e);
    case STEP_INNER:
        return compile_inner(p, s, step, e);
    case STEP_NORM:
        return compile_norm(p, s, step, e);
    case STEP_UNARY:
        return compile_unary(p, s, step, e);
    case STEP_BINARY:
        return compile_binary(p, s, step, e);
    case STEP_POOL:
        return compile_pool(p, s, step, e);
    case STEP_SOFTMAX:
        return compile_softmax(p, s, step, e);
    case STEP_LAYER_NORM:
        return compile_layer_norm(p, s, step, e);
    case STEP_LRN:
        return compile_lrn(p, s, step, e);
    case STEP_MATMUL:
        return compile_matmul(p, s, step, e);
    case STEP_CONCAT:
        return compile_concat(p, s, step, e);
    case STEP_TRANSPOSE:
        return compile_transpose(p, s, step, e);
    case STEP_VIEW:
        return compile_view(p, s, step, e);
    case STEP_PLAIN:
        return compile_loop(p, s, step, e);
    }
    return err_set(e, ERR_INTERNAL, "a step of no kind");
}
