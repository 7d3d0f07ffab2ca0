#include "nn/calibrate.h"

#include "data/base/cleanup.h"
#include "nn/network_parts.h"
#include "nn/plan_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Absolute entries: bin b counts those in [b, b + 1) 2^exponent / BINS. Zeros are not counted: they
 * cost nothing at any bound. */
enum { BINS = 2048, EXPONENT_NONE = -200, EXPONENT_LEAST = -100, EXPONENT_MOST = 100 };

struct channel {
    float most; /* the largest absolute entry */
    double sum, squares;
};

struct histogram {
    int exponent;             /* EXPONENT_NONE: nothing was counted */
    bool below;               /* an entry below 0 was seen */
    float most;               /* the largest absolute entry */
    uint64_t *bins;           /* owned; [BINS], NULL before the first entry */
    struct channel *channels; /* owned; [dim 1]; NULL: not known by channel */
    double entries;           /* of one channel */
};

struct calibration {
    const struct network *network;
    struct plan *plan;
    struct plan_scratch *scratch;
    struct histogram *values; /* owned; [value_count] */
    int value_count;
    float *output; /* owned */
    bool no_memory;
    bool seen;
};

CLEANUP_DEFINE(struct calibration, calibration_free);

static void histogram_fini(struct histogram *h)
{
    free(h->bins);
    free(h->channels);
}

void calibration_free(struct calibration *c)
{
    if (!c)
        return;
    for (int v = 0; c->values && v < c->value_count; v++)
        histogram_fini(&c->values[v]);
    free(c->values);
    plan_scratch_free(c->scratch);
    plan_free(c->plan);
    free(c->output);
    free(c);
}

enum err_code calibration_new(const struct network *n, const struct plan_options *options,
                              struct calibration **ret, struct err *e)
{
    CLEANUP(calibration_free_p) struct calibration *c = calloc(1, sizeof *c);
    if (!c)
        return err_set(e, ERR_NOMEM, "no memory to calibrate");
    struct plan_options o = *options;
    o.batch = 1;
    o.precision = PLAN_FP32;
    o.threads = 1; /* a value is shown when it is whole */
    enum err_code r = plan_new(n, &o, &c->plan, e);
    if (!r)
        r = plan_scratch_new(c->plan, &c->scratch, e);
    if (r)
        return r;
    c->network = n;
    c->value_count = n->graph.value_count;
    c->values = calloc((size_t)c->value_count + 1, sizeof *c->values);
    c->output = calloc(plan_output_size(c->plan), sizeof *c->output);
    if (!c->values || !c->output)
        return err_set(e, ERR_NOMEM, "no memory to calibrate");
    for (int v = 0; v < c->value_count; v++)
        c->values[v].exponent = EXPONENT_NONE;
    *ret = STEAL(c);
    return ERR_OK;
}

/* Makes the bins reach up to 2^exponent. */
static void widen(struct histogram *h, int exponent)
{
    if (h->exponent == EXPONENT_NONE)
        h->exponent = exponent;
    for (; h->exponent < exponent; h->exponent++) {
        for (int b = 0; b < BINS / 2; b++)
            h->bins[b] = h->bins[2 * b] + h->bins[2 * b + 1];
        memset(h->bins + BINS / 2, 0, BINS / 2 * sizeof *h->bins);
    }
}

/* An overflow of the network's own is not a range. */
static float bounded(float x)
{
    float limit = ldexpf(1, EXPONENT_MOST - 1);
    return isfinite(x) ? fminf(fabsf(x), limit) : 0;
}

static void count_channels(struct calibration *c, struct histogram *h, const struct plan_view *v)
{
    if (!v->block || v->channels > RANGES_MAX)
        return;
    if (!h->channels && !(h->channels = calloc((size_t)v->channels, sizeof *h->channels))) {
        c->no_memory = true;
        return;
    }
    size_t block = (size_t)v->block, rows = v->count / block, channels = (size_t)v->channels;
    size_t blocks = (channels + block - 1) / block, inner = (size_t)v->inner;
    for (size_t row = 0; row < rows; row++) {
        size_t first = row / inner % blocks * block;
        struct channel *to = h->channels + first;
        const float *data = v->data + row * block;
        size_t width = block < channels - first ? block : channels - first;
        for (size_t i = 0; i < width; i++) {
            float size = bounded(data[i]);
            to[i].most = fmaxf(to[i].most, size);
            to[i].sum += (double)copysignf(size, data[i]);
            to[i].squares += (double)size * (double)size;
        }
    }
    size_t entries = rows / blocks; /* of each channel */
    h->entries += (double)entries;
}

static void count(void *context, const struct plan_view *v)
{
    struct calibration *c = context;
    struct histogram *h = &c->values[v->value];
    float most = 0, least = 0;
    for (size_t i = 0; i < v->count; i++) {
        most = fmaxf(most, bounded(v->data[i]));
        least = fminf(least, v->data[i]);
    }
    h->below = h->below || least < 0;
    count_channels(c, h, v);
    if (most == 0)
        return;
    if (!h->bins && !(h->bins = calloc(BINS, sizeof *h->bins))) {
        c->no_memory = true;
        return;
    }
    int exponent;
    frexpf(most, &exponent); /* most < 2^exponent */
    widen(h, exponent < EXPONENT_LEAST ? EXPONENT_LEAST : exponent);
    h->most = fmaxf(h->most, most);
    float factor = ldexpf(BINS, -h->exponent);
    for (size_t i = 0; i < v->count; i++)
        if (v->data[i] != 0.0f)
            h->bins[(int)(bounded(v->data[i]) * factor)]++;
}

enum err_code calibration_add(struct calibration *c, const float *picture, float *ret_output,
                              struct err *e)
{
    const void *in = picture;
    enum err_code r = plan_execute_watched(c->plan, c->scratch, &in, c->output, count, c, e);
    if (r)
        return r;
    if (c->no_memory)
        return err_set(e, ERR_NOMEM, "no memory to calibrate");
    if (ret_output)
        memcpy(ret_output, c->output, plan_output_size(c->plan) * sizeof *ret_output);
    c->seen = true;
    return ERR_OK;
}

static double bin_width(const struct histogram *h)
{
    return ldexp(1.0 / BINS, h->exponent);
}

/* Mean square error, but for a factor, of cutting at `bins` bins and rounding to that many steps:
 * entries within cost a twelfth of a step's square, those outside their distance. */
static double cost(const struct histogram *h, int bins, int steps)
{
    double step = (double)bins / steps, sum = 0;
    for (int b = 0; b < bins; b++)
        sum += (double)h->bins[b] * step * step / 12;
    for (int b = bins; b < BINS; b++)
        sum += (double)h->bins[b] * ((double)b + 0.5 - bins) * ((double)b + 0.5 - bins);
    return sum;
}

static double least_cost_bound(const struct histogram *h)
{
    int last = BINS, steps = h->below ? 127 : 255, best;
    while (last > 1 && !h->bins[last - 1])
        last--;
    best = last;
    double least = cost(h, last, steps);
    for (int bins = last - 1; bins > last / 8; bins--) {
        double here = cost(h, bins, steps);
        if (here < least) {
            least = here;
            best = bins;
        }
    }
    return best * bin_width(h);
}

static double percentile_bound(const struct histogram *h)
{
    uint64_t all = 0, outside = 0;
    for (int b = 0; b < BINS; b++)
        all += h->bins[b];
    int bins = BINS;
    while (bins > 1 && outside + h->bins[bins - 1] <= all / 10000)
        outside += h->bins[--bins];
    return bins * bin_width(h);
}

static struct range range_of(const struct histogram *h, enum calibrate_method method)
{
    double bound = method == CALIBRATE_MSE          ? least_cost_bound(h)
                   : method == CALIBRATE_PERCENTILE ? percentile_bound(h)
                                                    : (double)h->most;
    float high = fminf((float)bound, h->most);
    return (struct range){ .low = h->below ? -high : 0, .high = high };
}

static bool set_channels(struct range *r, const struct histogram *h, int64_t count)
{
    if (!h->channels)
        return true;
    r->channels = calloc((size_t)count + 1, sizeof *r->channels);
    if (!r->channels)
        return false;
    double bound = (double)r->high;
    for (; r->count < count; r->count++) {
        const struct channel *c = &h->channels[r->count];
        double mean = c->sum / h->entries / bound, size = sqrt(c->squares / h->entries) / bound;
        r->channels[r->count] = (struct range_channel){
            .most = (uint8_t)fmin(fmax(ceil((double)c->most / bound * 255), 1), 255),
            .mean = (int8_t)fmin(fmax(round(mean * 127), -127), 127),
            .size = (uint8_t)fmin(round(size * 255), 255),
        };
    }
    return true;
}

static int by_name(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return strcmp(x->name, y->name);
}

enum err_code calibration_ranges(const struct calibration *c, enum calibrate_method method,
                                 struct ranges *ret, struct err *e)
{
    CLEANUP(ranges_fini) struct ranges r = { 0 };
    if (!c->seen)
        return err_set(e, ERR_INTERNAL, "ranges were asked for before the first picture");
    r.list = calloc((size_t)c->value_count + 1, sizeof *r.list);
    if (!r.list)
        return err_set(e, ERR_NOMEM, "no memory for ranges");
    for (int v = 0; v < c->value_count; v++) {
        if (!c->values[v].bins)
            continue;
        r.list[r.count] = range_of(&c->values[v], method);
        r.list[r.count].name = strdup(c->network->graph.values[v].name);
        if (!set_channels(&r.list[r.count], &c->values[v], c->network->shapes[v].dims[1]) ||
            !r.list[r.count++].name)
            return err_set(e, ERR_NOMEM, "no memory for ranges");
    }
    qsort(r.list, (size_t)r.count, sizeof *r.list, by_name);
    *ret = r;
    r = (struct ranges){ 0 };
    return ERR_OK;
}
