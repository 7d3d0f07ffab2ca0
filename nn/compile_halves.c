/* Convolutions as two halves of their output channels, for plans with two lanes, where tensors lie
 * in blocks of channels: all on machines whose convolutions want them (AVX2), there rows do not
 * follow one another in memory; and Winograd's with AVX-512. Direct ones with AVX-512 are faster
 * as halves of rows (split.h) on every network measured, even where 7 rows are 4 and 3. */
#include "nn/compile.h"

#include "data/base/cleanup.h"

#include <string.h>

static bool is_depthwise(const struct steps *s, const struct step *step)
{
    return step->group > 1 && step->group == s->values[step->in[0]].dims[1] &&
           step->group == s->values[step->out].dims[1];
}

/* The half's share of the table's channels is not looked at: measured, a half pays where the whole
 * does. */
static bool is_winograd(const struct steps *s, const struct step *step)
{
    return compile_winograd_pays(step, s->values[step->in[0]].dims, s->values[step->out].dims[1]);
}

bool compile_conv_has_halves(const struct plan *p, const struct steps *s, const struct step *step)
{
    const struct tensor *x = &s->values[step->in[0]], *y = &s->values[step->out];
    int block = dnn_block();
    if (p->threads < 2 || y->rank != 4 || y->dims[0] != 1)
        return false;
    if (block > 8 && !is_winograd(s, step))
        return false;
    return (step->group == 1 || is_depthwise(s, step)) && y->dims[1] % (2 * block) == 0 &&
           x->dims[1] % block == 0;
}

/* What both halves of a convolution share. */
struct whole {
    const struct step *step;
    const struct tensor *x, *y;
    bool depthwise, in_place, winograd;
    struct dnn_layout *src, *dst;           /* borrowed */
    struct dnn_layout *half_src, *half_dst; /* borrowed; as a half sees them */
    struct dnn_primitive *conv[2];          /* owned until they are emitted */
    struct operand in, other;
};

static bool sums_in_place(const struct plan *p, const struct step *step)
{
    int sum = compile_sum_post(step);
    return sum >= 0 && compile_is_last_use(p, step->posts[sum].value);
}

/* The other operand of a sum in the blocks of the result, to be written over if that is allowed. */
static enum err_code fetch_other(struct plan *p, struct whole *w, struct err *e)
{
    int sum = compile_sum_post(w->step);
    if (sum < 0)
        return ERR_OK;
    int other = w->step->posts[sum].value;
    LAYOUT there = compile_layout(p, other);
    if (!there)
        return compile_no_memory(e);
    return plan_fetch(p, other, w->dst, w->in_place && !dnn_layout_same(there, w->dst), &w->other,
                      e);
}

static enum err_code half_weights(struct plan *p, const struct whole *w, int64_t from,
                                  int64_t count, const struct dnn_layout *to, struct operand *ret,
                                  struct err *e)
{
    const struct step *step = w->step;
    const int64_t *kernel = step->window.kernel;
    int64_t inputs = w->depthwise ? 1 : w->x->dims[1];
    const int64_t grouped[] = { count, 1, 1, kernel[0], kernel[1] };
    const int64_t dense[] = { count, inputs, kernel[0], kernel[1] };
    LAYOUT plain =
        w->depthwise ? dnn_layout_new(5, grouped, DNN_PLAIN) : dnn_layout_new(4, dense, DNN_PLAIN);
    const float *data = step->weight.data + from * inputs * kernel[0] * kernel[1];
    return plain ? plan_param(p, data, plain, to, ret, e) : compile_no_memory(e);
}

static enum err_code make_half(struct plan *p, const struct whole *w, struct dnn_primitive **ret,
                               struct err *e)
{
    const int64_t *kernel = w->step->window.kernel;
    const int64_t count = w->y->dims[1] / 2;
    const int64_t grouped[] = { count, 1, 1, kernel[0], kernel[1] };
    const int64_t dense[] = { count, w->x->dims[1], kernel[0], kernel[1] };
    LAYOUT weight =
        w->depthwise ? dnn_layout_new(5, grouped, DNN_ANY) : dnn_layout_new(4, dense, DNN_ANY);
    LAYOUT bias = dnn_layout_new(1, &count, DNN_PLAIN);
    if (!weight || !bias)
        return compile_no_memory(e);
    struct dnn_conv c = compile_conv_geometry(w->step, w->in_place ? NULL : w->half_dst);
    c.src = w->half_src;
    c.dst = w->half_dst;
    c.weight = weight;
    c.bias = w->step->bias.data ? bias : NULL;
    c.winograd = w->winograd;
    enum err_code r = compile_conv_new(p, &c, ret, e);
    if (r || !w->winograd || strstr(dnn_primitive_text(*ret), "wino"))
        return r;
    dnn_primitive_free(STEAL(*ret));
    return err_set(e, ERR_DNN, "no half by Winograd's method");
}

static enum err_code emit_half(struct plan *p, const struct steps *s, struct whole *w, int lane,
                               struct err *e)
{
    const struct step *step = w->step;
    int64_t count = w->y->dims[1] / 2, from = lane * count;
    const struct dnn_layout *src = w->half_src, *dst = w->half_dst;
    struct operand weight;
    struct instr *i;
    LAYOUT to = dnn_primitive_layout(w->conv[lane], DNN_WEIGHT);
    enum err_code r = to ? half_weights(p, w, from, count, to, &weight, e) : compile_no_memory(e);
    if (r)
        return r;
    r = plan_emit(p, STEAL(w->conv[lane]), compile_name(s, step), &i, e);
    if (r)
        return r;
    i->lane = lane;
    r = plan_arg(p, i, DNN_SRC, w->in, src, e);
    if (!r && w->depthwise)
        i->args[0].offset = (size_t)lane * dnn_layout_bytes(src);
    if (!r)
        r = plan_arg(p, i, DNN_DST, compile_at(step->out), dst, e);
    if (!r)
        i->args[1].offset = (size_t)lane * dnn_layout_bytes(dst);
    if (!r)
        r = plan_arg(p, i, DNN_WEIGHT, weight, to, e);
    if (!r && step->bias.data)
        r = compile_vector(p, p->instr_count - 1, DNN_BIAS, step->bias.data + from, count, e);
    if (!r && w->other.value >= 0 && !w->in_place) {
        r = plan_arg(p, i, DNN_POST_FIRST + compile_sum_post(step), w->other, dst, e);
        if (!r)
            i->args[i->arg_count - 1].offset = (size_t)lane * dnn_layout_bytes(dst);
    }
    return r;
}

static enum err_code emit_halves(struct plan *p, const struct steps *s, struct whole *w,
                                 struct err *e)
{
    const struct step *step = w->step;
    enum err_code r = plan_fetch(p, step->in[0], w->src, false, &w->in, e);
    if (!r)
        r = fetch_other(p, w, e);
    if (!r)
        r = plan_define(p, step->out, dnn_layout_copy(w->dst), e);
    if (!r && w->in_place) {
        compile_forget_copies(p, w->other.value);
        compile_share_room(p, step->out, w->other.value, 0);
    }
    for (int lane = 0; lane < 2 && !r; lane++)
        r = emit_half(p, s, w, lane, e);
    return r;
}

enum err_code compile_conv_halves(struct plan *p, const struct steps *s, const struct step *step,
                                  struct err *e)
{
    const struct tensor *x = &s->values[step->in[0]], *y = &s->values[step->out];
    bool depthwise = is_depthwise(s, step);
    int64_t in_dims[4], out_dims[4];
    memcpy(in_dims, x->dims, sizeof in_dims);
    memcpy(out_dims, y->dims, sizeof out_dims);
    out_dims[1] /= 2;
    if (depthwise)
        in_dims[1] /= 2;
    LAYOUT src = dnn_layout_blocked(4, x->dims);
    LAYOUT dst = dnn_layout_blocked(4, y->dims);
    LAYOUT half_src = dnn_layout_blocked(4, in_dims);
    LAYOUT half_dst = dnn_layout_blocked(4, out_dims);
    struct whole w = { .step = step,
                       .x = x,
                       .y = y,
                       .depthwise = depthwise,
                       .in_place = sums_in_place(p, step),
                       .winograd = dnn_block() > 8,
                       .src = src,
                       .dst = dst,
                       .half_src = half_src,
                       .half_dst = half_dst,
                       .other = { -1, -1 } };
    enum err_code r = src && dst && half_src && half_dst ? ERR_OK : compile_no_memory(e);
    /* Before anything is emitted, so that a refusal leaves the plan as it was. */
    for (int lane = 0; lane < 2 && !r; lane++)
        r = make_half(p, &w, &w.conv[lane], e);
    if (!r)
        r = emit_halves(p, s, &w, e);
    dnn_primitive_free(w.conv[0]);
    dnn_primitive_free(w.conv[1]);
    return r;
}
