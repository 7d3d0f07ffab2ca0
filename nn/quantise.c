/* Which values are held as 8-bit integers, and by which scales.
 *
 * A value is worth it when a convolution reads it, directly or through what passes integers on as
 * they are (pooling, Concat). Zero is always the integer 0: padding needs no care then, and what is
 * never negative has all of u8.
 *
 * Scales by channel cost nothing: the convolution that makes a value scales each output channel
 * anyway, and the one that reads it takes them into its weights (Nagel et al. 2019, "Data-free
 * quantization through weight equalization"). A depthwise one undoes them in its own output scales,
 * so that nothing is lost; in a dense one channels of small range get small weights, so the scales
 * go only part of the way there.
 *
 * Values whose numbers must be counted alike form a group with one set of scales: what goes into a
 * pooling or Concat and what comes out; a residual sum and its operand. */
#include "nn/ranges.h"
#include "nn/steps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A channel that was quiet in the calibration may not be so in the next picture. */
static const float least_share = 1.0f / 32;
/* For the same reason a channel's bound is this much above the largest entry seen in it, as far as
 * the whole value's bound allows. */
static const float headroom = 1.5f;
/* How far scales go from one for all (0) to each its own (1) when a dense convolution reads them.
 */
static const float dense_power = 0.5f;

struct passes {
    struct steps *s;
    int *same;                   /* [value_max] parent: values of one type */
    int *group;                  /* [value_max] parent: values of one set of scales */
    const struct range **ranges; /* [value_max] or NULL */
    bool *wanted;                /* [value_max] */
    bool *below;                 /* [value_max] of the first of `same` */
    bool *flat;      /* [value_max] of a group's first value: one scale for all channels */
    bool *dense;     /* likewise: a dense convolution reads it */
    float *bound;    /* likewise */
    float **profile; /* likewise; [dim 1] bound of each channel */
};

static int first_of(const int *parent, int value)
{
    while (parent[value] != value)
        value = parent[value];
    return value;
}

static int group_of(const struct passes *p, int value)
{
    return first_of(p->group, value);
}

static bool has_range(const struct passes *p, int value)
{
    return p->bound[group_of(p, value)] > 0;
}

static void join_groups(struct passes *p, int a, int b)
{
    int x = group_of(p, a), y = group_of(p, b);
    if (x == y)
        return;
    p->group[y] = x;
    p->bound[x] = fmaxf(p->bound[x], p->bound[y]);
    p->flat[x] = p->flat[x] || p->flat[y];
}

static void join_all(struct passes *p, int a, int b)
{
    int x = first_of(p->same, a), y = first_of(p->same, b);
    if (x != y) {
        p->same[y] = x;
        p->below[x] = p->below[x] || p->below[y];
    }
    join_groups(p, a, b);
}

static bool passes_on(const struct step *step)
{
    return step->kind == STEP_POOL || step->kind == STEP_CONCAT;
}

static bool is_depthwise(const struct steps *s, const struct step *step)
{
    return step->kind == STEP_CONV && step->group > 1 &&
           s->values[step->node->in[1]].dims[1] == 1 &&
           s->values[step->node->in[1]].dims[0] == step->group;
}

/* The first convolution and a depthwise one right behind it stay in floats: a few channels of large
 * entries and nine weights for each leave nothing to average rounding errors, and all that follows
 * sees them. In MobileNets a third to a half of the whole error came from there, for a twentieth of
 * the time. */
static void leave_stem(struct passes *p)
{
    const struct steps *s = p->s;
    const struct step *first = NULL;
    for (int i = 0; i < s->count; i++) {
        const struct step *step = &s->list[i];
        if (step->dead || step->kind != STEP_CONV)
            continue;
        if (first && is_depthwise(s, step))
            p->bound[first->in[0]] = p->bound[step->in[0]] = 0;
        if (first)
            return;
        first = step;
    }
}

static void group_around(struct passes *p, const struct step *step)
{
    if (passes_on(step) || step->kind == STEP_VIEW) {
        for (int k = 0; k < step->in_count; k++)
            if (step->in[k] < 0 || !has_range(p, step->in[k]))
                return;
        for (int k = 0; k < step->in_count; k++)
            join_all(p, step->out, step->in[k]);
        if (step->kind != STEP_POOL)
            p->flat[group_of(p, step->out)] = true;
    }
    for (int i = 0; step->kind == STEP_CONV && i < step->post_count; i++)
        if (step->posts[i].kind == POST_SUM && has_range(p, step->out) &&
            has_range(p, step->posts[i].value))
            join_groups(p, step->out, step->posts[i].value);
}

/* A convolution's output may have scales by channel when its posts do not care: a Clip must be no
 * more than what the range does anyway. */
static void note_posts(struct passes *p, const struct step *step)
{
    int out = group_of(p, step->out);
    for (int i = 0; i < step->post_count; i++) {
        const struct step_post *post = &step->posts[i];
        bool cuts = post->kind == POST_UNARY && post->unary == DNN_CLIP &&
                    (post->alpha > 0 || post->beta < p->bound[out] ||
                     p->below[first_of(p->same, step->out)] || i < step->post_count - 1);
        bool bends = post->kind == POST_UNARY && post->unary != DNN_CLIP && post->unary != DNN_RELU;
        if (cuts || bends)
            p->flat[out] = true;
    }
}

/* Grouped convolutions have weights for some of the channels only; one that is not depthwise is
 * left with one scale. Whatever is no convolution sees floats and does not care. */
static void note_reader(struct passes *p, const struct step *step)
{
    if (step->kind != STEP_CONV)
        return;
    int in = group_of(p, step->in[0]);
    if (!is_depthwise(p->s, step))
        p->dense[in] = true;
    if (step->group > 1 && !is_depthwise(p->s, step))
        p->flat[in] = true;
    note_posts(p, step);
}

/* What the step's inputs are wanted as integers for. */
static void want_inputs(struct passes *p, const struct step *step)
{
    if (step->kind == STEP_CONV && step->window.spatial <= 2) {
        p->wanted[step->in[0]] = true;
        for (int i = 0; i < step->post_count; i++)
            if (step->posts[i].kind == POST_SUM && p->wanted[step->out])
                p->wanted[step->posts[i].value] = true;
    } else if (passes_on(step) && p->wanted[step->out]) {
        for (int k = 0; k < step->in_count; k++)
            p->wanted[step->in[k]] = true;
    }
}

static float range_bound(const struct range *r)
{
    return r ? fmaxf(-r->low, r->high) : 0;
}

/* The widest bound of each channel over the group's values. A value that is not known by channel
 * makes the group flat. */
static enum err_code widen_profile(struct passes *p, int v, struct err *e)
{
    int g = group_of(p, v);
    const struct tensor *t = &p->s->values[v];
    const struct range *r = p->ranges[v];
    if (!r || p->flat[g])
        return ERR_OK;
    if (t->rank != 4 || r->count != t->dims[1] || p->s->values[g].rank != 4 ||
        p->s->values[g].dims[1] != t->dims[1]) {
        p->flat[g] = true;
        return ERR_OK;
    }
    if (!p->profile[g])
        p->profile[g] = calloc((size_t)r->count, sizeof *p->profile[g]);
    if (!p->profile[g])
        return err_set(e, ERR_NOMEM, "no memory for scales");
    for (int c = 0; c < r->count; c++)
        p->profile[g][c] =
            fmaxf(p->profile[g][c], range_bound(r) * (float)r->channels[c].most / 255);
    return ERR_OK;
}

static enum err_code set_quant(struct passes *p, int v, struct err *e)
{
    int g = group_of(p, v);
    const struct tensor *t = &p->s->values[v];
    struct quant *q = &p->s->quants[v];
    bool below = p->below[first_of(p->same, v)];
    float levels = below ? 127.0f : 255.0f, scale = p->bound[g] / levels;
    /* A range so narrow that its scale has no inverse is as good as none. */
    if (!isnormal(scale * least_share) || !isnormal(1 / scale) || t->data || t->type != TENSOR_F32)
        return ERR_OK;
    *q = (struct quant){
        .type = below ? DNN_S8 : DNN_U8, .scale = scale, .held = p->wanted[v], .group = g
    };
    if (p->flat[g] || !p->profile[g])
        return ERR_OK;
    if (p->dense[g] && dense_power == 0)
        return ERR_OK;
    q->channels = calloc((size_t)t->dims[1], sizeof *q->channels);
    if (!q->channels)
        return err_set(e, ERR_NOMEM, "no memory for scales");
    for (int64_t c = 0; c < t->dims[1]; c++) {
        float share = headroom * p->profile[g][c] / p->bound[g];
        share = fminf(fmaxf(share, least_share), 1);
        q->channels[c] = scale * (p->dense[g] ? powf(share, dense_power) : share);
    }
    return ERR_OK;
}

static enum err_code set_moments(const struct passes *p, int v, struct err *e)
{
    const struct range *r = p->ranges[v];
    const struct tensor *t = &p->s->values[v];
    struct quant *q = &p->s->quants[v];
    if (q->scale == 0 || !r || t->rank != 4 || r->count != t->dims[1])
        return ERR_OK;
    q->means = calloc((size_t)r->count, sizeof *q->means);
    q->squares = calloc((size_t)r->count, sizeof *q->squares);
    if (!q->means || !q->squares)
        return err_set(e, ERR_NOMEM, "no memory for means");
    for (int c = 0; c < r->count; c++) {
        float unit = range_bound(r) / (q->channels ? q->channels[c] : q->scale);
        float size = unit * (float)r->channels[c].size / 255;
        q->means[c] = unit * (float)r->channels[c].mean / 127;
        q->squares[c] = size * size;
    }
    return ERR_OK;
}

static enum err_code decide(struct passes *p, const struct ranges *ranges, struct err *e)
{
    struct steps *s = p->s;
    const struct graph *g = s->frame->graph;
    for (int v = 0; v < s->value_max; v++) {
        p->ranges[v] = v < g->value_count ? ranges_find(ranges, g->values[v].name) : NULL;
        p->same[v] = p->group[v] = v;
        p->bound[v] = range_bound(p->ranges[v]);
        p->below[v] = p->ranges[v] && p->ranges[v]->low < 0;
    }
    leave_stem(p);
    for (int i = 0; i < s->count; i++)
        if (!s->list[i].dead)
            group_around(p, &s->list[i]);
    for (int i = s->count - 1; i >= 0; i--)
        if (!s->list[i].dead) {
            want_inputs(p, &s->list[i]);
            note_reader(p, &s->list[i]);
        }
    enum err_code r = ERR_OK;
    for (int v = 0; v < s->value_count && !r; v++)
        r = widen_profile(p, v, e);
    for (int v = 0; v < s->value_count && !r; v++)
        r = set_quant(p, v, e);
    for (int v = 0; v < s->value_count && !r; v++)
        r = set_moments(p, v, e);
    return r;
}

enum err_code steps_quantise(struct steps *s, const struct ranges *ranges, struct err *e)
{
    size_t count = (size_t)s->value_max + 1;
    struct passes p = { .s = s };
    p.same = calloc(count, sizeof *p.same);
    p.group = calloc(count, sizeof *p.group);
    p.ranges = calloc(count, sizeof *p.ranges);
    p.wanted = calloc(count, sizeof *p.wanted);
    p.below = calloc(count, sizeof *p.below);
    p.flat = calloc(count, sizeof *p.flat);
    p.dense = calloc(count, sizeof *p.dense);
    p.bound = calloc(count, sizeof *p.bound);
    p.profile = calloc(count, sizeof *p.profile);
    bool whole = p.same && p.group && p.ranges && p.wanted && p.below && p.flat && p.dense &&
                 p.bound && p.profile;
    enum err_code r = whole ? decide(&p, ranges, e)
                            : err_set(e, ERR_NOMEM, "no memory to quantise %zu values", count);
    for (int v = 0; p.profile && v < s->value_max; v++)
        free(p.profile[v]);
    free(p.same);
    free(p.group);
    free(p.ranges);
    free(p.wanted);
    free(p.below);
    free(p.flat);
    free(p.dense);
    free(p.bound);
    free(p.profile);
    return r;
}
