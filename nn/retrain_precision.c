/* Which precision a version is served in.
 *
 * Both are judged by the same head, fitted on fp32 features, on the same holdout. int8 was the
 * faster one on every processor and network measured (nn/README.md), so that "the fastest that
 * keeps the margin" needs no clock, which would make the file depend on the hour. */
#include "nn/retrain_parts.h"

#include "data/base/cleanup.h"
#include "data/base/clock.h"
#include "nn/sample.h"

/* Accuracies are ratios of counts: a difference below this is rounding. */
#define COUNT_EPSILON 1e-9

const struct integers *retrain_served(const struct retrain *run)
{
    static const struct integers none = { 0 };
    return run->precision.served == PRECISION_INT8 ? &run->precision.integers : &none;
}

const float *retrain_holdout(const struct retrain *run)
{
    return run->precision.served == PRECISION_INT8 ? run->precision.x
           : run->own_x                            ? run->own_x
                        : run->x + run->set.train * (size_t)run->backbone.width;
}

static enum err_code accuracy_of(const struct retrain *run, const float *x, double *ret,
                                 struct err *e)
{
    size_t rows = retrain_holdout_count(run);
    CLEANUP(metrics_fini) struct metrics m = { 0 };
    CLEANUP(cleanup_free)
    float *p = calloc(rows, (size_t)retrain_fitted(run)->classes * sizeof *p);
    if (!p)
        return err_set(e, ERR_NOMEM, "no memory to score %zu pictures", rows);
    head_apply(retrain_fitted(run), x, (int)rows, p);
    enum err_code r = metrics_of(p, run->set.y + run->set.train, (int64_t)rows,
                                 retrain_fitted(run)->classes, &m, e);
    if (!r)
        *ret = m.accuracy;
    return r;
}

static enum err_code find_integers(struct retrain *run, struct err *e)
{
    struct features_item items[SAMPLE_PICTURES];
    size_t views = run->set.train / run->set.train_pictures, count = 0;
    for (; count < SAMPLE_PICTURES && count < run->set.train_pictures; count++)
        items[count] = run->set.items[count * views];
    const struct sample_request q = { .backbone = retrain_body(run),
                                      .blobs = run->places.blobs,
                                      .folder = run->places.features,
                                      .items = items,
                                      .count = count,
                                      .threads = run->spec->threads,
                                      .limits = run->spec->limits };
    return sample_integers(&q, retrain_tell, run, &run->precision.integers, &run->precision.passes,
                           e);
}

static enum err_code try_int8(struct retrain *run, struct err *e)
{
    struct retrain_precision *p = &run->precision;
    size_t passes = 0;
    enum err_code r = find_integers(run, e);
    if (!r)
        r = retrain_features(run, retrain_body(run), &p->integers, run->set.items + run->set.train,
                             retrain_holdout_count(run), &p->x, &passes, e);
    p->passes += passes;
    return r ? r : accuracy_of(run, p->x, &p->int8_accuracy, e);
}

enum err_code retrain_choose_precision(struct retrain *run, struct err *e)
{
    struct retrain_precision *p = &run->precision;
    const struct recipe *recipe = &run->spec->recipe;
    int64_t start = clock_monotonic_us();
    enum err_code r = accuracy_of(run, retrain_holdout(run), &p->fp32_accuracy, e);
    if (r || recipe->precision == PRECISION_FP32)
        return r;
    r = try_int8(run, e);
    if (r)
        return r;
    double least = p->fp32_accuracy - recipe->precision_margin - COUNT_EPSILON;
    if (recipe->precision == PRECISION_INT8 || p->int8_accuracy >= least)
        p->served = PRECISION_INT8;
    p->seconds = (double)(clock_monotonic_us() - start) / 1e6;
    return ERR_OK;
}

json_t *retrain_precision_json(const struct retrain *run)
{
    const struct retrain_precision *p = &run->precision;
    const struct recipe *recipe = &run->spec->recipe;
    json_t *int8 = p->integers.text ? json_real(p->int8_accuracy) : json_null();
    /* json_pack() takes it, also where it fails. */
    return json_pack("{s:s, s:s, s:f, s:o, s:f, s:I, s:f}", "asked",
                     precision_text(recipe->precision), "served", precision_text(p->served),
                     "fp32_accuracy", p->fp32_accuracy, "int8_accuracy", int8, "margin",
                     recipe->precision_margin, "forward_passes", (json_int_t)p->passes, "seconds",
                     p->seconds);
}
