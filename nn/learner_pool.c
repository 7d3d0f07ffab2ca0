/* Pooling over windows of one or two dims (three as a whole), channels last. */
#include "nn/learner_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct pool {
    struct window window; /* of two dims; a missing one is 1 */
    enum dnn_pool_kind kind;
};

/* What a window at one output position covers. */
struct span {
    int64_t first[2], count[2], step[2]; /* input index, in the picture */
    float weight;                        /* of a mean */
};

static struct span span_at(const struct pool *m, int64_t y, int64_t x)
{
    const struct window *w = &m->window;
    const int64_t out[2] = { y, x };
    struct span s;
    int64_t padded = 1, inside = 1;
    for (int d = 0; d < 2; d++) {
        int64_t low = out[d] * w->stride[d] - w->low[d], step = w->dilation[d], k = 0;
        while (low + k * step < 0)
            k++;
        int64_t end = k;
        while (end < w->kernel[d] && low + end * step < w->in[d])
            end++;
        s.first[d] = low + k * step;
        s.count[d] = end - k;
        s.step[d] = step;
        inside *= s.count[d];
        padded *= w->kernel[d];
    }
    s.weight = 1.0f / (float)(m->kind == DNN_POOL_MEAN_ALL ? padded : inside > 0 ? inside : 1);
    return s;
}

/* Entry (row, column) of the picture that x points to. */
static size_t at(const struct pool *m, const struct span *s, int64_t row, int64_t column)
{
    int64_t y = s->first[0] + row * s->step[0], x = s->first[1] + column * s->step[1];
    return (size_t)(y * m->window.in[1] + x);
}

static void forward_at(const struct learner *l, const struct pool *m, const struct span *s,
                       size_t channels, const float *x, float *y)
{
    bool max = m->kind == DNN_POOL_MAX;
    for (size_t c = 0; c < channels; c++)
        y[c] = max ? -INFINITY : 0;
    for (int64_t i = 0; i < s->count[0]; i++)
        for (int64_t k = 0; k < s->count[1]; k++) {
            const float *from = x + at(m, s, i, k) * channels;
            if (max)
                l->kernels->maximum(channels, from, y);
            else
                l->kernels->add(channels, from, y);
        }
    for (size_t c = 0; c < channels && !max; c++)
        y[c] *= s->weight;
}

static enum err_code pool_forward(struct learner *l, const struct learner_step *p,
                                  const struct learner_job *j, struct err *e)
{
    (void)e;
    const struct pool *m = p->state;
    const struct learner_value *v = &l->values[p->out], *u = &l->values[p->in[0]];
    size_t channels = (size_t)v->channels;
    float *y = learner_data(l, j, p->out);
    const float *x = learner_data(l, j, p->in[0]);
    for (int item = 0; item < j->count; item++, x += u->count)
        for (int64_t a = 0; a < m->window.out[0]; a++)
            for (int64_t b = 0; b < m->window.out[1]; b++, y += channels) {
                struct span s = span_at(m, a, b);
                forward_at(l, m, &s, channels, x, y);
            }
    return ERR_OK;
}

/* The first of several equal maxima takes the gradient. left: what no entry has taken yet. */
static void backward_at(const struct learner *l, const struct pool *m, const struct span *s,
                        size_t channels, const float *x, const float *y, const float *dy,
                        float *left, float *dx)
{
    bool max = m->kind == DNN_POOL_MAX;
    for (size_t c = 0; c < channels; c++)
        left[c] = max ? dy[c] : dy[c] * s->weight;
    for (int64_t i = 0; i < s->count[0]; i++)
        for (int64_t k = 0; k < s->count[1]; k++) {
            size_t place = at(m, s, i, k) * channels;
            if (max)
                l->kernels->maximum_back(channels, x + place, y, left, dx + place);
            else
                l->kernels->add(channels, left, dx + place);
        }
}

static enum err_code pool_backward(struct learner *l, const struct learner_step *p,
                                   const struct learner_job *j, struct err *e)
{
    (void)e;
    const struct pool *m = p->state;
    const struct learner_value *v = &l->values[p->out], *u = &l->values[p->in[0]];
    size_t channels = (size_t)v->channels;
    bool max = m->kind == DNN_POOL_MAX;
    const float *x = max ? learner_data(l, j, p->in[0]) : NULL;
    const float *y = max ? learner_data(l, j, p->out) : NULL;
    const float *dy = learner_gradient(l, j, p->out);
    float *dx = learner_gradient(l, j, p->in[0]);
    if (!p->add[0])
        memset(dx, 0, (size_t)j->count * u->count * sizeof *dx);
    for (int item = 0; item < j->count; item++, dx += u->count)
        for (int64_t a = 0; a < m->window.out[0]; a++)
            for (int64_t b = 0; b < m->window.out[1]; b++, dy += channels) {
                struct span s = span_at(m, a, b);
                size_t done = (size_t)(a * m->window.out[1] + b) * channels;
                backward_at(l, m, &s, channels, max ? x + (size_t)item * u->count : NULL,
                            max ? y + (size_t)item * v->count + done : NULL, dy,
                            (float *)(void *)j->scratch, dx);
            }
    return ERR_OK;
}

static void pool_free(const struct learner *l, struct learner_step *p)
{
    (void)l;
    free(p->state);
}

enum err_code learner_pool_init(struct learner *l, struct learner_step *p, const struct window *w,
                                enum dnn_pool_kind kind, struct err *e)
{
    static const struct learner_op op = { .forward = pool_forward,
                                          .backward = pool_backward,
                                          .free = pool_free };
    struct pool *m = calloc(1, sizeof *m);
    if (!m)
        return err_set(e, ERR_NOMEM, "no memory for a pooling");
    p->op = &op;
    p->state = m;
    m->kind = kind;
    m->window = *w;
    for (int d = w->spatial; d < 2; d++)
        m->window.in[d] = m->window.out[d] = m->window.kernel[d] = m->window.stride[d] =
            m->window.dilation[d] = 1;
    if (w->spatial < 2)
        m->window.low[1] = m->window.high[1] = 0;
    if (kind == DNN_POOL_MAX)
        p->needs = NEEDS_IN | NEEDS_OUT;
    p->scratch = (size_t)l->values[p->out].channels * sizeof(float);
    return ERR_OK;
}
