/* What only puts numbers elsewhere: the picture, copies, permutations and parts, Concat. */
#include "nn/learner_parts.h"

#include <stdlib.h>
#include <string.h>

static void free_state(const struct learner *l, struct learner_step *p)
{
    (void)l;
    free(p->state);
}

/* ---- the picture, or the cut: row-major -> channels last ---- */

static enum err_code load_forward(struct learner *l, const struct learner_step *p,
                                  const struct learner_job *j, struct err *e)
{
    (void)e;
    const struct learner_value *v = &l->values[p->out];
    float *y = learner_data(l, j, p->out);
    size_t channels = (size_t)v->channels, inner = (size_t)v->inner;
    for (int i = 0; i < j->count; i++, y += v->count) {
        const float *x = l->x + ((size_t)j->item + (size_t)i) * v->count;
        /* A few channels of a few rows at a time, so that both sides stay in the cache. */
        enum { TILE = 16 };
        for (size_t r = 0; r < inner; r += TILE)
            for (size_t c = 0; c < channels; c += TILE)
                for (size_t a = r; a < r + TILE && a < inner; a++)
                    for (size_t b = c; b < c + TILE && b < channels; b++)
                        y[a * channels + b] = x[b * inner + a];
    }
    return ERR_OK;
}

static enum err_code no_backward(struct learner *l, const struct learner_step *p,
                                 const struct learner_job *j, struct err *e)
{
    (void)l, (void)p, (void)j, (void)e;
    return ERR_OK;
}

enum err_code learner_load_init(struct learner *l, struct learner_step *p, struct err *e)
{
    (void)l, (void)e;
    static const struct learner_op op = { .forward = load_forward, .backward = no_backward };
    p->op = &op;
    p->cheap = true;
    return ERR_OK;
}

/* ---- the same numbers ---- */

static enum err_code copy_forward(struct learner *l, const struct learner_step *p,
                                  const struct learner_job *j, struct err *e)
{
    (void)e;
    memcpy(learner_data(l, j, p->out), learner_data(l, j, p->in[0]),
           (size_t)j->count * l->values[p->out].count * sizeof(float));
    return ERR_OK;
}

static enum err_code copy_backward(struct learner *l, const struct learner_step *p,
                                   const struct learner_job *j, struct err *e)
{
    (void)e;
    size_t count = (size_t)j->count * l->values[p->out].count;
    const float *dy = learner_gradient(l, j, p->out);
    float *dx = learner_gradient(l, j, p->in[0]);
    if (p->add[0])
        l->kernels->add(count, dy, dx);
    else
        memcpy(dx, dy, count * sizeof *dx);
    return ERR_OK;
}

enum err_code learner_copy_init(struct learner *l, struct learner_step *p, struct err *e)
{
    (void)l, (void)e;
    static const struct learner_op op = { .forward = copy_forward, .backward = copy_backward };
    p->op = &op;
    p->cheap = true;
    return ERR_OK;
}

/* ---- any order ---- */

/* Where entry i (row-major) of an item stands. */
static size_t place_of(const struct learner_value *v, size_t i)
{
    size_t c = i / (size_t)v->inner, r = i % (size_t)v->inner;
    return r * (size_t)v->channels + c;
}

static enum err_code move_forward(struct learner *l, const struct learner_step *p,
                                  const struct learner_job *j, struct err *e)
{
    (void)e;
    const int64_t *from = p->state;
    const float *x = learner_data(l, j, p->in[0]);
    float *y = learner_data(l, j, p->out);
    size_t count = l->values[p->out].count, step = l->values[p->in[0]].count;
    for (int k = 0; k < j->count; k++, x += step, y += count)
        for (size_t i = 0; i < count; i++)
            y[i] = from[i] < 0 ? 0 : x[from[i]];
    return ERR_OK;
}

static enum err_code move_backward(struct learner *l, const struct learner_step *p,
                                   const struct learner_job *j, struct err *e)
{
    (void)e;
    const int64_t *from = p->state;
    const float *dy = learner_gradient(l, j, p->out);
    float *dx = learner_gradient(l, j, p->in[0]);
    size_t count = l->values[p->out].count, step = l->values[p->in[0]].count;
    if (!p->add[0])
        memset(dx, 0, (size_t)j->count * step * sizeof *dx);
    for (int k = 0; k < j->count; k++, dx += step, dy += count)
        for (size_t i = 0; i < count; i++)
            if (from[i] >= 0)
                dx[from[i]] += dy[i];
    return ERR_OK;
}

enum err_code learner_move_init(struct learner *l, struct learner_step *p, int64_t *from,
                                struct err *e)
{
    static const struct learner_op op = { .forward = move_forward,
                                          .backward = move_backward,
                                          .free = free_state };
    const struct learner_value *x = &l->values[p->in[0]], *y = &l->values[p->out];
    int64_t *at = malloc(y->count * sizeof *at);
    if (!at) {
        free(from);
        return err_set(e, ERR_NOMEM, "no memory for %zu indices", y->count);
    }
    for (size_t i = 0; i < y->count; i++)
        at[place_of(y, i)] = from[i] < 0 ? -1 : (int64_t)place_of(x, (size_t)from[i]);
    free(from);
    l->extra_bytes += y->count * sizeof *at;
    p->op = &op;
    p->state = at;
    p->cheap = true;
    return ERR_OK;
}

/* ---- Concat ---- */

/* Along any axis an input's entries are runs in the output: `rows` of `width` entries, `stride`
 * apart. */
struct run {
    size_t rows, width, stride, at;
};

static void copy_rows(const struct run *r, const float *x, float *y)
{
    for (size_t i = 0; i < r->rows; i++)
        memcpy(y + r->at + i * r->stride, x + i * r->width, r->width * sizeof *y);
}

static enum err_code concat_forward(struct learner *l, const struct learner_step *p,
                                    const struct learner_job *j, struct err *e)
{
    (void)e;
    const struct run *runs = p->state;
    for (int i = 0; i < p->in_count; i++) {
        const float *x = learner_data(l, j, p->in[i]);
        float *y = learner_data(l, j, p->out);
        for (int k = 0; k < j->count; k++)
            copy_rows(&runs[i], x + (size_t)k * l->values[p->in[i]].count,
                      y + (size_t)k * l->values[p->out].count);
    }
    return ERR_OK;
}

static void back_rows(const struct learner *l, const struct run *r, bool add, const float *dy,
                      float *dx)
{
    for (size_t i = 0; i < r->rows; i++)
        if (add)
            l->kernels->add(r->width, dy + r->at + i * r->stride, dx + i * r->width);
        else
            memcpy(dx + i * r->width, dy + r->at + i * r->stride, r->width * sizeof *dx);
}

static enum err_code concat_backward(struct learner *l, const struct learner_step *p,
                                     const struct learner_job *j, struct err *e)
{
    (void)e;
    const struct run *runs = p->state;
    for (int i = 0; i < p->in_count; i++) {
        if (!learner_wants(l, p, i))
            continue;
        const float *dy = learner_gradient(l, j, p->out);
        float *dx = learner_gradient(l, j, p->in[i]);
        for (int k = 0; k < j->count; k++)
            back_rows(l, &runs[i], p->add[i], dy + (size_t)k * l->values[p->out].count,
                      dx + (size_t)k * l->values[p->in[i]].count);
    }
    return ERR_OK;
}

enum err_code learner_concat_init(struct learner *l, struct learner_step *p, int axis,
                                  struct err *e)
{
    static const struct learner_op op = { .forward = concat_forward,
                                          .backward = concat_backward,
                                          .free = free_state };
    struct run *runs = calloc((size_t)p->in_count, sizeof *runs);
    if (!runs)
        return err_set(e, ERR_NOMEM, "no memory for a concatenation");
    const struct tensor *y = &l->values[p->out].shape;
    /* In memory the dims are 2, 3, ..., 1: what is inside of the axis, and what is outside. */
    size_t inside = axis == 1 ? 1 : (size_t)y->dims[1], outside = 1, at = 0;
    for (int d = 2; d < y->rank; d++) {
        if (axis == 1 || d < axis)
            outside *= (size_t)y->dims[d];
        else if (d > axis)
            inside *= (size_t)y->dims[d];
    }
    for (int i = 0; i < p->in_count; i++) {
        size_t width = (size_t)l->values[p->in[i]].shape.dims[axis] * inside;
        runs[i] = (struct run){ outside, width, (size_t)y->dims[axis] * inside, at };
        at += width;
    }
    p->op = &op;
    p->state = runs;
    return ERR_OK;
}
