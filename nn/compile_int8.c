/* The numbers of a convolution on integers.
 *
 * With x = sx X, y = sy Y (integers in capitals, scales by channel) and weights sx w = sw W, a
 * scale for each output channel: Y = round(posts(sum(X W) sw / sy + b / sy)), saturated to Y's
 * type. Where the posts are not ones that a factor passes through (anything but ReLU and Clip),
 * they see real units and a product with 1 / sy is put behind them. A float result is the case sy
 * = 1. */
#include "nn/compile_int8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void int8_conv_fini(struct int8_conv *q)
{
    free(q->weight);
    free(q->scales);
    free(q->bias);
    *q = (struct int8_conv){ 0 };
}

/* posts(f x) = f posts(x), with Clip's bounds times f. */
static bool posts_scale(const struct step *step)
{
    for (int i = 0; i < step->post_count; i++)
        if (step->posts[i].kind == POST_UNARY && step->posts[i].unary != DNN_RELU &&
            step->posts[i].unary != DNN_CLIP)
            return false;
    return true;
}

/* The type that the result can have: integers when they are wanted and the posts can be had. */
static enum dnn_type result_type(const struct steps *s, const struct step *step)
{
    const struct quant *out = &s->quants[step->out];
    if (!out->held || (!posts_scale(step) && step->post_count == DNN_POSTS_MAX))
        return DNN_F32;
    for (int i = 0; i < step->post_count; i++)
        if (step->posts[i].kind == POST_SUM && s->quants[step->posts[i].value].scale == 0)
            return DNN_F32;
    return out->type;
}

static float scale_of(const struct quant *q, int64_t channel)
{
    return q->channels ? q->channels[channel] : q->scale;
}

/* One output channel's weights on their way to integers. */
struct row {
    float *w;    /* [inputs][taps] in steps of the integers */
    float *rest; /* likewise: w less its integer */
    int64_t inputs, taps, count;
    const struct quant *in;
    int64_t first; /* channel of the source that input 0 is */
    int most;
};

static float mean_of(const struct row *r, int64_t entry)
{
    return r->in->means ? r->in->means[r->first + entry / r->taps] : 0;
}

static float square_of(const struct row *r, int64_t entry)
{
    return r->in->squares ? r->in->squares[r->first + entry / r->taps] : 0;
}

/* Rounding errors d_i of weights add sum(d_i x_i) to the result. Sources are far from independent:
 * most are never negative and rise and fall together, so what counts most is sum(d_i mean(x_i)).
 * Weights near the middle between two integers are rounded the other way as long as that lowers
 * (sum(d_i mean_i))^2 + sum(d_i^2 square_i). */
static void balance(struct row *r, int8_t *ret)
{
    double sum = 0;
    if (!r->in->means)
        return;
    for (int64_t i = 0; i < r->count; i++)
        sum += (double)(r->rest[i] * mean_of(r, i));
    for (int64_t moves = 0; moves < r->count; moves++) {
        int64_t best = -1;
        double most = 0;
        for (int64_t i = 0; i < r->count; i++) {
            /* Up when the rest is positive: the integer was too small. */
            double way = r->rest[i] > 0 ? 1 : -1, mean = (double)mean_of(r, i);
            if (way * mean * sum <= 0 || abs(ret[i] + (int)way) > r->most)
                continue;
            double moved = sum - way * mean, rest = (double)r->rest[i];
            double gain =
                sum * sum - moved * moved - (1 - 2 * fabs(rest)) * (double)square_of(r, i);
            if (gain > most) {
                most = gain;
                best = i;
            }
        }
        if (best < 0)
            return;
        int way = r->rest[best] > 0 ? 1 : -1;
        sum -= way * (double)mean_of(r, best);
        ret[best] = (int8_t)(ret[best] + way);
        r->rest[best] -= (float)way;
    }
}

/* r->w holds the weights; returns the scale. */
static float quantise_row(struct row *r, int8_t *ret)
{
    float bound = 0;
    for (int64_t i = 0; i < r->count; i++) {
        r->w[i] *= scale_of(r->in, r->first + i / r->taps);
        bound = fmaxf(bound, fabsf(r->w[i]));
    }
    float scale = bound / (float)r->most;
    if (!isnormal(scale)) {
        memset(ret, 0, (size_t)r->count);
        return r->in->scale;
    }
    for (int64_t i = 0; i < r->count; i++) {
        r->w[i] /= scale;
        ret[i] = (int8_t)lrintf(r->w[i]);
        r->rest[i] = r->w[i] - (float)ret[i];
    }
    balance(r, ret);
    return scale;
}

/* Fills what has room already; false when the numbers do not fit. */
static bool fill(const struct steps *s, const struct step *step, struct int8_conv *q, float *row)
{
    const struct tensor *w = &s->values[step->node->in[1]];
    const struct quant *in = &s->quants[step->in[0]], *out = &s->quants[step->out];
    int64_t taps = tensor_span(w, 1, w->rank);
    struct row r = { .w = row,
                     .rest = row + taps,
                     .inputs = w->dims[1],
                     .taps = tensor_span(w, 2, w->rank),
                     .count = taps,
                     .in = in,
                     /* Of s8 sources oneDNN takes care itself. */
                     .most = q->src == DNN_U8 ? dnn_weight_max() : INT8_MAX };
    for (int64_t o = 0; o < w->dims[0]; o++) {
        float unit = q->in_units ? scale_of(out, o) : 1;
        memcpy(row, step->weight.data + o * taps, (size_t)taps * sizeof *row);
        r.first = o / (w->dims[0] / step->group) * r.inputs;
        q->scales[o] = quantise_row(&r, q->weight + o * taps) / unit;
        if (step->bias.data)
            q->bias[o] = dnn_conv_bias(step->bias.data[o] / unit, q->scales[o]);
        if (!isnormal(q->scales[o]) || !isfinite(q->bias[o]))
            return false;
    }
    return true;
}

enum err_code int8_conv_init(const struct steps *s, const struct step *step, struct int8_conv *ret,
                             struct err *e)
{
    const struct tensor *w = &s->values[step->node->in[1]];
    const struct quant *in = &s->quants[step->in[0]], *out = &s->quants[step->out];
    *ret = (struct int8_conv){ 0 };
    if (in->scale == 0 || step->window.spatial > 2)
        return ERR_OK;
    size_t channels = (size_t)w->dims[0], taps = (size_t)tensor_span(w, 1, w->rank);
    struct int8_conv q = { .on = true, .src = in->type, .dst = result_type(s, step) };
    q.in_units = q.dst != DNN_F32 && posts_scale(step);
    q.last_factor = q.dst != DNN_F32 && !q.in_units ? 1 / out->scale : 0;
    q.weight = malloc(channels * taps + 1);
    q.scales = calloc(channels + 1, sizeof *q.scales);
    q.bias = calloc(channels + 1, sizeof *q.bias);
    CLEANUP(cleanup_free) float *row = calloc(2 * taps + 1, sizeof *row);
    if (!q.weight || !q.scales || !q.bias || !row) {
        int8_conv_fini(&q);
        return err_set(e, ERR_NOMEM, "no memory to quantise weights");
    }
    if (fill(s, step, &q, row))
        *ret = q;
    else
        int8_conv_fini(&q);
    return ERR_OK;
}

/* Saturation does what the last post would do. A Clip of scales by channel always is one
 * (quantise.c). */
static bool is_saturation(const struct int8_conv *q, const struct quant *out,
                          const struct dnn_post *post)
{
    if (q->dst != DNN_U8 || post->kind != DNN_POST_UNARY)
        return false;
    if (post->unary == DNN_RELU)
        return post->alpha == 0;
    return post->unary == DNN_CLIP && post->alpha <= 0 && (out->channels || post->beta >= 255);
}

void int8_conv_posts(const struct steps *s, const struct step *step, const struct int8_conv *q,
                     struct dnn_posts *posts)
{
    const struct quant *out = &s->quants[step->out];
    if (q->dst == DNN_F32)
        return;
    float unit = q->in_units ? out->scale : 1;
    for (int i = 0; i < posts->count; i++) {
        struct dnn_post *post = &posts->post[i];
        if (post->kind == DNN_POST_SUM) {
            /* Of the same group: in proportion in every channel. */
            const struct quant *other = &s->quants[step->posts[i].value];
            post->scale = other->scale / unit;
            post->type = other->type;
        } else if (post->unary == DNN_CLIP) {
            post->alpha /= unit;
            post->beta /= unit;
        }
    }
    if (q->last_factor != 0)
        posts->post[posts->count++] = (struct dnn_post){ .kind = DNN_POST_UNARY,
                                                         .unary = DNN_LINEAR,
                                                         .alpha = q->last_factor };
    while (posts->count && is_saturation(q, out, &posts->post[posts->count - 1]))
        posts->count--;
}
