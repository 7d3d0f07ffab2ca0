/* Batch normalisation: y = scale (x - mean) / sqrt(variance + epsilon) + shift for each channel,
 * with the statistics of the batch (Ioffe & Szegedy 2015) or running ones. */
#include "nn/learner_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SCALE, SHIFT, MEAN, VARIANCE };

struct norm {
    size_t channels;
    float epsilon;
    double *sums;               /* [shards][2][channels]: of x and x^2, or of g and g (x - mean) */
    float *a, *b;               /* y = a x + b */
    float *mean;                /* in use */
    float *by, *mean_g, *slope; /* of struct norm_back */
    double *rate;               /* 1 / sqrt(variance + epsilon) */
    double *batch_variance;     /* unbiased, of the batch */
};

static double *shard_sums(const struct norm *m, int shard)
{
    return m->sums + (size_t)shard * 2 * m->channels;
}

static void set_forward(const struct learner_step *p, struct norm *m, size_t c, double mean,
                        double variance)
{
    m->rate[c] = 1 / sqrt(variance + (double)m->epsilon);
    m->mean[c] = (float)mean;
    double a = (double)p->weights[SCALE].value[c] * m->rate[c];
    m->a[c] = (float)a;
    m->b[c] = (float)((double)p->weights[SHIFT].value[c] - a * mean);
}

/* With the running statistics, until those of the batch are known. */
static enum err_code norm_refresh(struct learner *l, struct learner_step *p, struct err *e)
{
    (void)l, (void)e;
    struct norm *m = p->state;
    for (size_t c = 0; c < m->channels; c++) {
        set_forward(p, m, c, (double)p->weights[MEAN].value[c],
                    (double)p->weights[VARIANCE].value[c]);
        m->by[c] = m->a[c];
        m->mean_g[c] = m->slope[c] = 0;
    }
    return ERR_OK;
}

static size_t rows_of(const struct learner *l, const struct learner_step *p, int items)
{
    return (size_t)items * (size_t)l->values[p->out].inner;
}

static enum err_code norm_forward(struct learner *l, const struct learner_step *p,
                                  const struct learner_job *j, struct err *e)
{
    (void)e;
    const struct norm *m = p->state;
    l->kernels->affine(rows_of(l, p, j->count), m->channels, learner_data(l, j, p->in[0]), m->a,
                       m->b, learner_data(l, j, p->out));
    return ERR_OK;
}

static void begin_sums(const struct norm *m, const struct learner_job *j)
{
    if (j->first)
        memset(shard_sums(m, j->shard), 0, 2 * m->channels * sizeof(double));
}

static void norm_stat(struct learner *l, const struct learner_step *p, const struct learner_job *j)
{
    const struct norm *m = p->state;
    double *sums = shard_sums(m, j->shard);
    begin_sums(m, j);
    l->kernels->norm_sums(rows_of(l, p, j->count), m->channels, learner_data(l, j, p->in[0]), sums,
                          sums + m->channels, (float *)(void *)j->scratch);
}

static void norm_backstat(struct learner *l, const struct learner_step *p,
                          const struct learner_job *j)
{
    const struct norm *m = p->state;
    double *sums = shard_sums(m, j->shard);
    begin_sums(m, j);
    l->kernels->norm_back_sums(rows_of(l, p, j->count), m->channels, learner_data(l, j, p->in[0]),
                               learner_gradient(l, j, p->out), m->mean, sums, sums + m->channels,
                               (float *)(void *)j->scratch);
}

static enum err_code norm_backward(struct learner *l, const struct learner_step *p,
                                   const struct learner_job *j, struct err *e)
{
    (void)e;
    const struct norm *m = p->state;
    if (!p->sums)
        norm_backstat(l, p, j);
    if (!learner_wants(l, p, 0))
        return ERR_OK;
    const struct norm_back k = { m->by, m->mean_g, m->mean, m->slope };
    l->kernels->norm_back(rows_of(l, p, j->count), m->channels, learner_data(l, j, p->in[0]),
                          learner_gradient(l, j, p->out), &k, learner_gradient(l, j, p->in[0]),
                          p->add[0]);
    return ERR_OK;
}

/* The shards' sums in order, of channel c. */
static void add_up(const struct learner *l, const struct norm *m, size_t c, double *first,
                   double *second)
{
    *first = *second = 0;
    for (int s = 0; s < l->run_shards; s++) {
        *first += shard_sums(m, s)[c];
        *second += shard_sums(m, s)[m->channels + c];
    }
}

static void use_batch(const struct learner *l, struct learner_step *p)
{
    struct norm *m = p->state;
    double count = (double)rows_of(l, p, l->count);
    for (size_t c = 0; c < m->channels; c++) {
        double sum, square;
        add_up(l, m, c, &sum, &square);
        double mean = sum / count, variance = square / count - mean * mean;
        variance = variance < 0 ? 0 : variance;
        set_forward(p, m, c, mean, variance);
        m->batch_variance[c] = count > 1 ? variance * count / (count - 1) : variance;
    }
}

static void put_gradient(const struct learner *l, const struct learner_weight *w, size_t c,
                         double value)
{
    if (w->param < 0)
        return;
    float *g = &l->params[w->param].gradient[c];
    *g = l->users[w->param] > 1 ? *g + (float)value : (float)value;
}

static void put_gradients(const struct learner *l, struct learner_step *p)
{
    struct norm *m = p->state;
    double count = (double)rows_of(l, p, l->count);
    for (size_t c = 0; c < m->channels; c++) {
        double sum, product;
        add_up(l, m, c, &sum, &product);
        put_gradient(l, &p->weights[SHIFT], c, sum);
        put_gradient(l, &p->weights[SCALE], c, product * m->rate[c]);
        if (!p->sums)
            continue;
        m->by[c] = m->a[c];
        m->mean_g[c] = (float)(sum / count);
        m->slope[c] = (float)(product * m->rate[c] * m->rate[c] / count);
    }
}

static enum err_code norm_combine(struct learner *l, struct learner_step *p, enum learner_moment w,
                                  struct err *e)
{
    (void)e;
    if (w == MOMENT_STAT)
        use_batch(l, p);
    else if (w == (p->sums ? MOMENT_BACKSTAT : MOMENT_BACKWARD))
        put_gradients(l, p);
    return ERR_OK;
}

static void norm_commit(struct learner *l, struct learner_step *p)
{
    const struct norm *m = p->state;
    float keep = 1 - l->momentum;
    if (!p->sums)
        return;
    float *mean = l->params[p->weights[MEAN].param].value;
    float *variance = l->params[p->weights[VARIANCE].param].value;
    for (size_t c = 0; c < m->channels; c++) {
        mean[c] = keep * mean[c] + l->momentum * m->mean[c];
        variance[c] = keep * variance[c] + l->momentum * (float)m->batch_variance[c];
    }
}

static void norm_free(const struct learner *l, struct learner_step *p)
{
    (void)l;
    struct norm *m = p->state;
    if (!m)
        return;
    free(m->sums);
    free(m->a);
    free(m->rate);
    free(m);
}

enum err_code learner_norm_init(struct learner *l, struct learner_step *p, float epsilon,
                                struct err *e)
{
    static const struct learner_op op = { .refresh = norm_refresh,
                                          .forward = norm_forward,
                                          .backward = norm_backward,
                                          .stat = norm_stat,
                                          .backstat = norm_backstat,
                                          .combine = norm_combine,
                                          .commit = norm_commit,
                                          .free = norm_free };
    enum { FLOATS = 6, DOUBLES = 2 };
    struct norm *m = calloc(1, sizeof *m);
    size_t channels = (size_t)l->values[p->out].channels;
    if (!m)
        return err_set(e, ERR_NOMEM, "no memory for a normalisation");
    p->op = &op;
    p->state = m;
    m->channels = channels;
    m->epsilon = epsilon;
    m->sums = calloc((size_t)l->shards * 2 * channels, sizeof *m->sums);
    m->a = calloc(FLOATS * channels, sizeof *m->a);
    m->rate = calloc(DOUBLES * channels, sizeof *m->rate);
    if (!m->sums || !m->a || !m->rate)
        return err_set(e, ERR_NOMEM, "no memory for %zu channels", channels);
    m->b = m->a + channels;
    m->mean = m->b + channels;
    m->by = m->mean + channels;
    m->mean_g = m->by + channels;
    m->slope = m->mean_g + channels;
    m->batch_variance = m->rate + channels;
    l->extra_bytes +=
        channels * (FLOATS * sizeof(float) + (DOUBLES + 2 * (size_t)l->shards) * sizeof(double));
    p->scratch = 2 * channels * sizeof(float);
    p->cheap = true;
    p->needs = NEEDS_IN;
    /* Where the running statistics are not the file's to change, the batch's must not be used: what
     * is served would be another function than what is trained. */
    p->sums = l->norm == LEARNER_NORM_BATCH && p->weights[MEAN].param >= 0 &&
              p->weights[VARIANCE].param >= 0;
    return ERR_OK;
}
