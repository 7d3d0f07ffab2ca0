#include "nn/optimiser.h"

#include "data/base/cleanup.h"

#include <math.h>
#include <string.h>

/* ARRAYS a parameter: velocity or first moment, second moment, average. */
enum { ARRAYS = 3, LANES = 8, MOMENTS = 2, AVERAGE = 2 };
static const double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, norm_epsilon = 1e-6;

struct array {
    float *data; /* owned; NULL when this optimiser has no use for it */
    size_t count;
};

struct optimiser {
    struct optimiser_options options;
    struct optimiser_param *params; /* owned, [count] */
    size_t count;
    struct array (*arrays)[ARRAYS]; /* owned, [count] */
    struct array *state;            /* owned, [state_count]: those of arrays that are there */
    size_t state_count;
    int64_t steps;
};

CLEANUP_DEFINE(struct optimiser, optimiser_free);

static bool needs(const struct optimiser *o, const struct optimiser_param *p, int array)
{
    if (array == AVERAGE)
        return o->options.average > 0;
    if (!p->gradient)
        return false;
    if (o->options.kind == OPTIMISER_ADAMW)
        return array < MOMENTS;
    return array == 0 && o->options.momentum > 0;
}

static enum err_code make_arrays(struct optimiser *o, struct err *e)
{
    for (size_t i = 0; i < o->count; i++) {
        const struct optimiser_param *p = &o->params[i];
        for (int k = 0; k < ARRAYS; k++) {
            if (!needs(o, p, k) || p->count == 0)
                continue;
            float *data = calloc(p->count, sizeof *data);
            if (!data)
                return err_set(e, ERR_NOMEM, "no memory for the optimiser's %zu numbers of %s",
                               p->count, p->name);
            o->arrays[i][k] = (struct array){ data, p->count };
            o->state[o->state_count++] = o->arrays[i][k];
        }
        if (o->arrays[i][AVERAGE].data)
            memcpy(o->arrays[i][AVERAGE].data, p->value, p->count * sizeof *p->value);
    }
    return ERR_OK;
}

enum err_code optimiser_new(const struct optimiser_param *params, size_t count,
                            const struct optimiser_options *options, struct optimiser **ret,
                            struct err *e)
{
    CLEANUP(optimiser_free_p) struct optimiser *o = calloc(1, sizeof *o);
    if (!o)
        return err_set(e, ERR_NOMEM, "no memory for an optimiser");
    o->options = *options;
    o->params = calloc(count + 1, sizeof *o->params);
    o->arrays = calloc(count + 1, sizeof *o->arrays);
    o->state = calloc(count * ARRAYS + 1, sizeof *o->state);
    if (!o->params || !o->arrays || !o->state)
        return err_set(e, ERR_NOMEM, "no memory for an optimiser of %zu parameters", count);
    o->count = count;
    for (size_t i = 0; i < count; i++)
        o->params[i] = params[i];
    enum err_code r = make_arrays(o, e);
    if (!r)
        *ret = STEAL(o);
    return r;
}

void optimiser_free(struct optimiser *o)
{
    if (!o)
        return;
    for (size_t i = 0; o->arrays && i < o->count; i++)
        for (int k = 0; k < ARRAYS; k++)
            free(o->arrays[i][k].data);
    free(o->arrays);
    free(o->state);
    free(o->params);
    free(o);
}

/* Lanes of float64, so that neither digits nor the order of the sum depend on how it is compiled.
 */
static double sum_of_squares(const float *x, size_t count)
{
    double lane[LANES] = { 0 }, total = 0;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            lane[k] += (double)x[i + k] * (double)x[i + k];
    for (; i < count; i++)
        lane[i % LANES] += (double)x[i] * (double)x[i];
    for (size_t k = 0; k < LANES; k++)
        total += lane[k];
    return total;
}

static enum err_code find_norm(const struct optimiser *o, double *ret, struct err *e)
{
    double total = 0;
    for (size_t i = 0; i < o->count; i++) {
        const struct optimiser_param *p = &o->params[i];
        double own = p->gradient ? sum_of_squares(p->gradient, p->count) : 0;
        if (!isfinite(own))
            return err_set(e, ERR_DIVERGED, "the gradient of %.200s is not finite", p->name);
        total += own;
    }
    *ret = sqrt(total);
    return ERR_OK;
}

static void step_sgd(const struct optimiser *o, size_t index, float rate, float scale, float decay)
{
    const struct optimiser_param *p = &o->params[index];
    float *w = p->value, *v = o->arrays[index][0].data;
    const float *gradient = p->gradient;
    float momentum = (float)o->options.momentum;
    bool nesterov = o->options.nesterov;
    if (!v) {
        for (size_t i = 0; i < p->count; i++)
            w[i] -= rate * (scale * gradient[i] + decay * w[i]);
        return;
    }
    for (size_t i = 0; i < p->count; i++) {
        float g = scale * gradient[i] + decay * w[i];
        v[i] = momentum * v[i] + g; /* zeros before the first step */
        w[i] -= rate * (nesterov ? g + momentum * v[i] : v[i]);
    }
}

static void step_adamw(const struct optimiser *o, size_t index, double rate, float scale,
                       double decay)
{
    const struct optimiser_param *p = &o->params[index];
    float *w = p->value, *m = o->arrays[index][0].data, *v = o->arrays[index][1].data;
    const float *gradient = p->gradient;
    double t = (double)(o->steps + 1);
    float keep = (float)(1 - rate * decay);
    float size = (float)(rate / (1 - pow(beta1, t)));
    float root = (float)(1 / sqrt(1 - pow(beta2, t)));
    float b1 = (float)beta1, b2 = (float)beta2, c1 = (float)(1 - beta1), c2 = (float)(1 - beta2);
    float small = (float)epsilon;
    for (size_t i = 0; i < p->count; i++) {
        float g = scale * gradient[i];
        m[i] = b1 * m[i] + c1 * g;
        v[i] = b2 * v[i] + c2 * g * g;
        w[i] = keep * w[i] - size * m[i] / (sqrtf(v[i]) * root + small);
    }
}

static void step_average(const struct optimiser *o, double decay)
{
    float part = (float)(1 - decay);
    for (size_t k = 0; k < o->count; k++) {
        float *average = o->arrays[k][AVERAGE].data;
        const float *value = o->params[k].value;
        for (size_t i = 0; average && i < o->params[k].count; i++)
            average[i] += part * (value[i] - average[i]);
    }
}

enum err_code optimiser_step(struct optimiser *o, double rate, double *ret_norm, struct err *e)
{
    const struct optimiser_options *q = &o->options;
    double norm = 0;
    enum err_code r = find_norm(o, &norm, e);
    if (r)
        return r;
    double scale = q->clip > 0 ? fmin(1, q->clip / (norm + norm_epsilon)) : 1;
    for (size_t i = 0; i < o->count; i++) {
        const struct optimiser_param *p = &o->params[i];
        double own = rate * p->rate_factor, decay = p->decay ? q->weight_decay : 0;
        if (!p->gradient)
            continue;
        if (q->kind == OPTIMISER_ADAMW)
            step_adamw(o, i, own, (float)scale, decay);
        else
            step_sgd(o, i, (float)own, (float)scale, (float)decay);
    }
    o->steps++;
    double t = (double)o->steps;
    step_average(o, fmin(q->average, (1 + t) / (10 + t)));
    if (ret_norm)
        *ret_norm = norm;
    return ERR_OK;
}

void optimiser_swap_average(struct optimiser *o)
{
    for (size_t k = 0; k < o->count; k++) {
        float *average = o->arrays[k][AVERAGE].data, *value = o->params[k].value;
        for (size_t i = 0; average && i < o->params[k].count; i++) {
            float kept = value[i];
            value[i] = average[i];
            average[i] = kept;
        }
    }
}

size_t optimiser_state_count(const struct optimiser *o)
{
    return o->state_count;
}

float *optimiser_state(const struct optimiser *o, size_t i, size_t *ret_count)
{
    *ret_count = o->state[i].count;
    return o->state[i].data;
}

int64_t optimiser_steps(const struct optimiser *o)
{
    return o->steps;
}

void optimiser_set_steps(struct optimiser *o, int64_t steps)
{
    o->steps = steps;
}
