/* Each kind of step as instructions. */
#include "nn/compile.h"

#include "data/base/cleanup.h"
#include "nn/split.h"

#include <string.h>

enum err_code compile_no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "no memory to compile a step");
}

const char *compile_name(const struct steps *s, const struct step *step)
{
    const struct graph *g = s->frame->graph;
    return step->out < g->value_count ? g->values[step->out].name : "pooled";
}

struct operand compile_at(int value)
{
    return (struct operand){ value, -1 };
}

struct dnn_layout *compile_layout(const struct plan *p, int value)
{
    const struct plan_value *v = &p->values[value];
    return v->layout ? dnn_layout_as(v->layout, DNN_F32) : plan_plain(&v->shape);
}

struct dnn_layout *compile_any(const struct tensor *t, enum dnn_type type)
{
    LAYOUT any = dnn_layout_new(t->rank, t->dims, DNN_ANY);
    return any ? dnn_layout_as(any, type) : NULL;
}

bool compile_stays_integer(const struct plan *p, const struct steps *s, const struct step *step)
{
    const struct quant *out = &s->quants[step->out];
    bool same = out->held;
    for (int k = 0; k < step->in_count && same; k++) {
        const struct dnn_layout *l = p->values[step->in[k]].layout;
        same = l && dnn_layout_type(l) == out->type && dnn_layout_type(l) != DNN_F32 &&
               s->quants[step->in[k]].group == out->group;
    }
    return same;
}

/* out's numbers take the place of in's, in the same room. */
void compile_share_room(struct plan *p, int out, int in, size_t offset)
{
    size_t ignored;
    p->values[out].parent = in;
    p->values[out].offset = offset;
    p->values[plan_root(p, in, &ignored)].uses_left += p->values[out].uses;
}

/* Posts as oneDNN wants them. with: layout for a binary in place of a sum, or NULL. */
struct dnn_posts compile_posts(const struct step *step, const struct dnn_layout *with)
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

/* ---- one operand in, one out, on the layout that is there ---- */

/* Emits primitive (taken) from in to step->out; both in these layouts. */
enum err_code compile_emit(struct plan *p, const struct steps *s, const struct step *step,
                           struct dnn_primitive *primitive, struct operand in,
                           const struct dnn_layout *from, const struct dnn_layout *to,
                           struct dnn_layout *defined, struct instr **ret, struct err *e)
{
    enum err_code r = plan_emit(p, primitive, compile_name(s, step), ret, e);
    if (!r)
        r = plan_arg(p, *ret, DNN_SRC, in, from, e);
    if (r) {
        dnn_layout_free(defined);
        return r;
    }
    r = plan_define(p, step->out, defined, e);
    if (!r)
        r = plan_arg(p, *ret, DNN_DST, compile_at(step->out), to, e);
    return r;
}

enum err_code compile_vector(struct plan *p, int instr, int role, const float *data, int64_t count,
                             struct err *e)
{
    LAYOUT l = dnn_layout_new(1, &count, DNN_PLAIN);
    struct operand of;
    enum err_code r = l ? plan_param(p, data, l, l, &of, e) : compile_no_memory(e);
    return r ? r : plan_arg(p, &p->instrs[instr], role, of, l, e);
}

static enum err_code compile_norm(struct plan *p, const struct steps *s, const struct step *step,
                                  struct err *e)
{
    LAYOUT l = compile_settled(p, step->in[0]);
    struct dnn_primitive *norm;
    struct operand in;
    struct instr *i;
    int64_t channels = s->values[step->in[0]].dims[1];
    enum err_code r = l ? plan_fetch(p, step->in[0], l, false, &in, e) : compile_no_memory(e);
    if (!r)
        r = dnn_norm_new(p->engine, l, step->epsilon, step->relu, &norm, e);
    if (!r)
        r = compile_emit(p, s, step, norm, in, l, l, dnn_layout_copy(l), &i, e);
    const float *numbers[] = { step->scale, step->shift, step->mean, step->variance };
    static const int roles[] = { DNN_SCALE, DNN_SHIFT, DNN_MEAN, DNN_VARIANCE };
    for (int k = 0; k < 4 && !r; k++)
        r = compile_vector(p, p->instr_count - 1, roles[k], numbers[k], channels, e);
    return r ? r : split_norm(p, step->epsilon, step->relu, e);
}

static enum err_code compile_unary(struct plan *p, const struct steps *s, const struct step *step,
                                   struct err *e)
{
    LAYOUT l = compile_settled(p, step->in[0]);
    struct operand in;
    struct instr *i;
    enum err_code r = l ? plan_fetch(p, step->in[0], l, false, &in, e) : compile_no_memory(e);
    for (int k = 0; k < step->post_count && !r; k++) {
        const struct step_post *post = &step->posts[k];
        struct dnn_primitive *unary;
        r = dnn_unary_new(p->engine, l, post->unary, post->alpha, post->beta, &unary, e);
        if (!r && k == 0)
            r = compile_emit(p, s, step, unary, in, l, l, dnn_layout_copy(l), &i, e);
        else if (!r)
            r = plan_emit(p, unary, compile_name(s, step), &i, e);
        if (!r && k > 0)
            r = plan_arg(p, i, DNN_SRC, compile_at(step->out), l, e);
        if (!r && k > 0)
            r = plan_arg(p, i, DNN_DST, compile_at(step->out), l, e);
    }
    return r;
}

/* The value in row-major order. */
enum err_code compile_fetch_plain(struct plan *p, int value, struct operand *ret, struct err *e)
{
    LAYOUT plain = plan_plain(&p->values[value].shape);
    return plain ? plan_fetch(p, value, plain, false, ret, e) : compile_no_memory(e);
}

/* The pooled shape with the input's rank; a mean without kept dims is that, seen as less. */
static struct tensor pooled_shape(const struct steps *s, const struct step *step)
{
    struct tensor y = s->values[step->in[0]];
    y.data = NULL;
    memcpy(y.dims + 2, step->window.out, (size_t)step->window.spatial * sizeof y.dims[0]);
    return y;
}

/* Emits the pooling from in to a value of its own; *ret is that value in row-major order. */
static enum err_code pool_to_view(struct plan *p, const struct steps *s, const struct step *step,
                                  struct dnn_primitive *pool, struct operand in,
                                  const struct dnn_layout *src, const struct dnn_layout *dst,
                                  struct err *e)
{
    struct tensor y = pooled_shape(s, step);
    struct dnn_layout *own = dnn_layout_copy(dst);
    int value = own ? plan_add_value(p, &y, own) : -1;
    if (value < 0) {
        dnn_primitive_free(pool);
        return compile_no_memory(e);
    }
    p->values[value].defined = true;
    struct instr *i;
    struct operand plain;
    enum err_code r = plan_emit(p, pool, compile_name(s, step), &i, e);
    if (!r)
        r = plan_arg(p, i, DNN_SRC, in, src, e);
    if (!r)
        r = plan_arg(p, i, DNN_DST, compile_at(value), dst, e);
    if (!r)
        r = compile_fetch_plain(p, value, &plain, e);
    if (!r)
        r = plan_define(p, step->out, plan_plain(&s->values[step->out]), e);
    if (!r)
        compile_share_room(p, step->out, plain.value, 0);
    return r;
}

static enum err_code compile_pool(struct plan *p, const struct steps *s, const struct step *step,
                                  struct err *e)
{
    const struct window *w = &step->window;
    struct tensor y = pooled_shape(s, step);
    bool integers =
        compile_stays_integer(p, s, step) && tensor_same_shape(&y, &s->values[step->out]);
    LAYOUT src =
        integers ? dnn_layout_copy(p->values[step->in[0]].layout) : compile_settled(p, step->in[0]);
    LAYOUT any = compile_any(&y, integers ? s->quants[step->out].type : DNN_F32);
    struct operand in;
    struct instr *i;
    struct dnn_primitive *pool;
    if (!src || !any)
        return compile_no_memory(e);
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
        return compile_no_memory(e);
    }
    if (!tensor_same_shape(&y, &s->values[step->out]))
        return pool_to_view(p, s, step, pool, in, src, dst, e);
    r = compile_emit(p, s, step, pool, in, src, dst, dnn_layout_copy(dst), &i, e);
    return r ? r : split_pool(p, &c, e);
}

static enum err_code compile_lrn(struct plan *p, const struct steps *s, const struct step *step,
                                 struct err *e)
{
    LAYOUT l = compile_settled(p, step->in[0]);
    struct operand in;
    struct instr *i;
    struct dnn_primitive *lrn;
    enum err_code r = l ? plan_fetch(p, step->in[0], l, false, &in, e) : compile_no_memory(e);
    if (!r)
        r = dnn_lrn_new(p->engine, l, step->depth, step->alpha, step->beta, step->k, &lrn, e);
    return r ? r : compile_emit(p, s, step, lrn, in, l, l, dnn_layout_copy(l), &i, e);
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
    case STEP_SLICE:
        return compile_slice(p, s, step, e);
    case STEP_SPLIT:
        return compile_split(p, s, step, e);
    case STEP_VIEW:
        return compile_view(p, s, step, e);
    case STEP_PLAIN:
        return compile_loop(p, s, step, e);
    }
    return err_set(e, ERR_INTERNAL, "a step of no kind");
}
