#include "nn/lbfgs.h"

#include "data/base/cleanup.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { MEMORY = 10, SEARCH_MAX = 20, ALIGN = 64, LANES = 16 };
static const double sufficient_decrease = 1e-4, curvature = 0.9, rounding = 1e-6;

struct lbfgs {
    size_t n, padded; /* padded: to whole vectors, zeros behind n */
    float *x, *gradient, *direction, *trial, *trial_gradient;
    float *s[MEMORY], *y[MEMORY]; /* differences of x and of gradients, a ring */
    double rho[MEMORY];           /* 1 / (y . s) */
    int held, next;
    float *block; /* owns all of the arrays */
};

CLEANUP_DEFINE(struct lbfgs, lbfgs_free);

enum err_code lbfgs_new(size_t n, struct lbfgs **ret, struct err *e)
{
    CLEANUP(lbfgs_free_p) struct lbfgs *s = calloc(1, sizeof *s);
    size_t padded = (n + LANES - 1) / LANES * LANES;
    size_t arrays = 5 + 2 * MEMORY;
    if (!s || n == 0 || padded > SIZE_MAX / sizeof(float) / arrays)
        return err_set(e, ERR_NOMEM, "no memory for %zu variables", n);
    s->block = aligned_alloc(ALIGN, arrays * padded * sizeof(float));
    if (!s->block)
        return err_set(e, ERR_NOMEM, "no memory for %zu variables", n);
    memset(s->block, 0, arrays * padded * sizeof(float));
    s->n = n;
    s->padded = padded;
    float *at = s->block;
    float **own[] = { &s->x, &s->gradient, &s->direction, &s->trial, &s->trial_gradient };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++, at += padded)
        *own[i] = at;
    for (int i = 0; i < MEMORY; i++, at += 2 * padded) {
        s->s[i] = at;
        s->y[i] = at + padded;
    }
    *ret = STEAL(s);
    return ERR_OK;
}

void lbfgs_free(struct lbfgs *s)
{
    if (!s)
        return;
    free(s->block);
    free(s);
}

/* Four vectors of partial sums, taken to float64 before float32 could lose digits. */
static double dot(const float *a, const float *b, size_t padded)
{
    typedef float vec __attribute__((vector_size(16)));
    enum { CHUNK = 1024 };
    double total = 0;
    for (size_t from = 0; from < padded; from += CHUNK) {
        size_t to = from + CHUNK < padded ? from + CHUNK : padded;
        vec sum[4] = { 0 };
        for (size_t i = from; i < to; i += LANES) {
            const vec *p = (const vec *)(a + i), *q = (const vec *)(b + i);
            sum[0] += p[0] * q[0];
            sum[1] += p[1] * q[1];
            sum[2] += p[2] * q[2];
            sum[3] += p[3] * q[3];
        }
        vec all = (sum[0] + sum[1]) + (sum[2] + sum[3]);
        total += (double)((all[0] + all[1]) + (all[2] + all[3]));
    }
    return total;
}

/* ret = a + k b */
static void add_scaled(float *ret, const float *a, double k, const float *b, size_t padded)
{
    float factor = (float)k;
    for (size_t i = 0; i < padded; i++)
        ret[i] = a[i] + factor * b[i];
}

static double largest_entry(const float *a, size_t n)
{
    float largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fabsf(a[i]) > largest ? fabsf(a[i]) : largest;
    return (double)largest;
}

/* Algorithm 7.4: direction = -H gradient. */
static void find_direction(struct lbfgs *s)
{
    double alpha[MEMORY];
    for (size_t i = 0; i < s->padded; i++)
        s->direction[i] = -s->gradient[i];
    for (int k = 1; k <= s->held; k++) {
        int i = (s->next - k + MEMORY) % MEMORY;
        alpha[i] = s->rho[i] * dot(s->s[i], s->direction, s->padded);
        add_scaled(s->direction, s->direction, -alpha[i], s->y[i], s->padded);
    }
    if (s->held) {
        int i = (s->next - 1 + MEMORY) % MEMORY;
        double scale = 1 / (s->rho[i] * dot(s->y[i], s->y[i], s->padded));
        for (size_t j = 0; j < s->padded; j++)
            s->direction[j] *= (float)scale;
    }
    for (int k = s->held; k >= 1; k--) {
        int i = (s->next - k + MEMORY) % MEMORY;
        double beta = s->rho[i] * dot(s->y[i], s->direction, s->padded);
        add_scaled(s->direction, s->direction, alpha[i] - beta, s->s[i], s->padded);
    }
}

static void remember(struct lbfgs *s)
{
    int i = s->next;
    add_scaled(s->s[i], s->trial, -1, s->x, s->padded);
    add_scaled(s->y[i], s->trial_gradient, -1, s->gradient, s->padded);
    double sy = dot(s->s[i], s->y[i], s->padded);
    double yy = dot(s->y[i], s->y[i], s->padded);
    /* A pair without curvature would make H indefinite. */
    if (!(sy > 1e-10 * yy))
        return;
    s->rho[i] = 1 / sy;
    s->next = (i + 1) % MEMORY;
    if (s->held < MEMORY)
        s->held++;
}

struct point {
    double step, value, slope;
};

/* The minimum of the cubic through two points with slopes (N&W 3.59), kept off the interval's
 * ends; its middle where there is none. */
static double interpolate(const struct point *a, const struct point *b)
{
    double low = fmin(a->step, b->step), high = fmax(a->step, b->step);
    double d1 = a->slope + b->slope - 3 * (a->value - b->value) / (a->step - b->step);
    double square = d1 * d1 - a->slope * b->slope;
    double t = (low + high) / 2;
    if (square >= 0) {
        double d2 = copysign(sqrt(square), b->step - a->step);
        double candidate =
            b->step - (b->step - a->step) * (b->slope + d2 - d1) / (b->slope - a->slope + 2 * d2);
        if (isfinite(candidate))
            t = candidate;
    }
    double margin = 0.1 * (high - low);
    return fmin(fmax(t, low + margin), high - margin);
}

struct search {
    struct lbfgs *s;
    lbfgs_function f;
    void *context;
    struct point start;
    int evaluations;
    bool stopped;
};

/* Leaves trial and trial_gradient at the point. */
static struct point look(struct search *q, double step)
{
    struct lbfgs *s = q->s;
    struct point p = { .step = step, .value = NAN };
    add_scaled(s->trial, s->x, step, s->direction, s->padded);
    q->evaluations++;
    if (!q->f(q->context, s->trial, &p.value, s->trial_gradient))
        q->stopped = true;
    p.slope = dot(s->trial_gradient, s->direction, s->padded);
    return p;
}

static bool decreases(const struct search *q, const struct point *p)
{
    double wanted = q->start.value + sufficient_decrease * p->step * q->start.slope;
    return p->value <= wanted || (fabs(p->slope) <= -curvature * q->start.slope &&
                                  p->value <= q->start.value + rounding * fabs(q->start.value));
}

/* Algorithms 3.5 and 3.6 in one loop: the interval grows until it holds a good step, then
 * shrinks around it. True with the trial arrays at the accepted point. */
static bool search_step(struct search *q, double step, struct point *ret)
{
    struct point low = q->start, high = { 0 };
    bool bracketed = false;
    for (int i = 0; i < SEARCH_MAX && !q->stopped; i++) {
        struct point p = look(q, step);
        if (q->stopped)
            return false;
        if (!isfinite(p.value) || !isfinite(p.slope)) {
            /* Too far out to know anything: come back. */
            step = low.step + (step - low.step) / 10;
            continue;
        }
        bool rises = !decreases(q, &p) || (low.step > 0 && p.value > low.value);
        if (!rises && fabs(p.slope) <= -curvature * q->start.slope) {
            *ret = p;
            return true;
        }
        if (rises) {
            high = p;
            bracketed = true;
        } else {
            if (bracketed ? p.slope * (high.step - low.step) >= 0 : p.slope >= 0) {
                high = low;
                bracketed = true;
            }
            low = p;
        }
        step = bracketed ? interpolate(&low, &high) : 2.5 * p.step;
    }
    if (q->stopped || low.step <= 0)
        return false;
    /* No step meets both conditions; one that makes f smaller is still progress. */
    *ret = look(q, low.step);
    return !q->stopped && isfinite(ret->value) && ret->value < q->start.value;
}

static void swap(float **a, float **b)
{
    float *t = *a;
    *a = *b;
    *b = t;
}

enum err_code lbfgs_run(struct lbfgs *s, lbfgs_function f, void *context, int max_iterations,
                        double tolerance, float *x, struct lbfgs_result *ret, struct err *e)
{
    struct search q = { .s = s, .f = f, .context = context };
    struct lbfgs_result result = { 0 };
    s->held = s->next = 0;
    memcpy(s->x, x, s->n * sizeof *x);
    q.evaluations++;
    if (!f(context, s->x, &q.start.value, s->gradient))
        return err_set(e, ERR_CANCELLED, "the fit was cancelled");
    for (;;) {
        double norm = sqrt(dot(s->gradient, s->gradient, s->padded));
        if (!isfinite(q.start.value) || !isfinite(norm))
            return err_set(e, ERR_DIVERGED, "the loss is not finite after %d iterations",
                           result.iterations);
        result.converged = largest_entry(s->gradient, s->n) < tolerance;
        if (result.converged || result.iterations >= max_iterations)
            break;
        find_direction(s);
        q.start.slope = dot(s->gradient, s->direction, s->padded);
        if (!(q.start.slope < 0)) {
            s->held = 0;
            find_direction(s);
            q.start.slope = -norm * norm;
        }
        struct point p;
        if (!search_step(&q, s->held ? 1 : fmin(1, 1 / norm), &p)) {
            if (q.stopped)
                return err_set(e, ERR_CANCELLED, "the fit was cancelled");
            /* Stale curvature may be to blame; without any there is nothing left to try. */
            if (s->held == 0)
                break;
            s->held = 0;
            continue;
        }
        remember(s);
        swap(&s->x, &s->trial);
        swap(&s->gradient, &s->trial_gradient);
        q.start.value = p.value;
        result.iterations++;
    }
    memcpy(x, s->x, s->n * sizeof *x);
    result.value = q.start.value;
    result.evaluations = q.evaluations;
    *ret = result;
    return ERR_OK;
}
