#include "nn/calibrate.h"

#include "data/base/cleanup.h"
#include "nn/histogram.h"
#include "nn/network_parts.h"
#include "nn/plan_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct channel {
    float most; /* the largest absolute entry */
    double sum, squares;
};

struct seen {
    struct histogram histogram;
    struct channel *channels; /* owned; [dim 1]; NULL: not known by channel */
    double entries;           /* of one channel */
};

/* Of one picture, by channel: float arrays of width entries each. */
struct sums {
    float *low, *high, *sum, *squares; /* in one piece that low owns */
    size_t width;
};

struct calibration {
    const struct network *network;
    struct plan *plan; /* owned by the first, borrowed by its branches */
    bool is_branch;
    struct plan_scratch *scratch;
    struct seen *values; /* owned; [value_count] */
    int value_count;
    float *output; /* owned */
    struct sums sums;
    bool no_memory;
    bool seen;
};

CLEANUP_DEFINE(struct calibration, calibration_free);

void calibration_free(struct calibration *c)
{
    if (!c)
        return;
    for (int v = 0; c->values && v < c->value_count; v++) {
        histogram_fini(&c->values[v].histogram);
        free(c->values[v].channels);
    }
    free(c->values);
    plan_scratch_free(c->scratch);
    if (!c->is_branch)
        plan_free(c->plan);
    free(c->output);
    free(c->sums.low);
    free(c);
}

/* Takes plan unless it is a branch's, also on failure. */
static enum err_code make(const struct network *n, struct plan *plan, bool is_branch,
                          struct calibration **ret, struct err *e)
{
    CLEANUP(calibration_free_p) struct calibration *c = calloc(1, sizeof *c);
    if (!c) {
        if (!is_branch)
            plan_free(plan);
        return err_set(e, ERR_NOMEM, "no memory to calibrate");
    }
    c->network = n;
    c->plan = plan;
    c->is_branch = is_branch;
    enum err_code r = plan_scratch_new(plan, &c->scratch, e);
    if (r)
        return r;
    c->value_count = n->graph.value_count;
    c->values = calloc((size_t)c->value_count + 1, sizeof *c->values);
    c->output = calloc(plan_output_size(plan), sizeof *c->output);
    if (!c->values || !c->output)
        return err_set(e, ERR_NOMEM, "no memory to calibrate");
    *ret = STEAL(c);
    return ERR_OK;
}

enum err_code calibration_new(const struct network *n, const struct plan_options *options,
                              struct calibration **ret, struct err *e)
{
    struct plan_options o = *options;
    struct plan *plan = NULL;
    o.batch = 1;
    o.precision = PLAN_FP32;
    o.threads = 1; /* a value is shown when it is whole */
    enum err_code r = plan_new(n, &o, &plan, e);
    return r ? r : make(n, plan, false, ret, e);
}

enum err_code calibration_branch(const struct calibration *c, struct calibration **ret,
                                 struct err *e)
{
    return make(c->network, c->plan, true, ret, e);
}

/* What is not finite counts as 0, and what is beyond reason as the limit: an overflow of the
 * network's own is not a range. The compiler makes vectors of it; squares of the limit still add
 * up. */
static float bounded(float x)
{
    const float limit = 0x1p49f;
    x = x - x == 0 ? x : 0;
    x = x > limit ? limit : x;
    return x < -limit ? -limit : x;
}

static bool sums_reset(struct sums *s, size_t width)
{
    if (s->width < width) {
        float *room = calloc(width, 4 * sizeof *room);
        if (!room)
            return false;
        free(s->low);
        s->low = room;
        s->width = width;
        s->high = room + width;
        s->sum = room + 2 * width;
        s->squares = room + 3 * width;
    }
    memset(s->low, 0, 4 * s->width * sizeof *s->low);
    return true;
}

static void sum_row(const float *data, size_t width, float *restrict low, float *restrict high,
                    float *restrict sum, float *restrict squares)
{
    for (size_t i = 0; i < width; i++) {
        float x = bounded(data[i]), least = low[i], most = high[i];
        low[i] = x < least ? x : least;
        high[i] = x > most ? x : most;
        sum[i] += x;
        squares[i] += x * x;
    }
}

/* Sums of one picture are made in floats, those over pictures in doubles. */
static bool count_channels(struct seen *to, const struct sums *s, size_t channels, size_t entries)
{
    if (!to->channels && !(to->channels = calloc(channels, sizeof *to->channels)))
        return false;
    for (size_t i = 0; i < channels; i++) {
        struct channel *c = &to->channels[i];
        c->most = fmaxf(c->most, fmaxf(-s->low[i], s->high[i]));
        c->sum += (double)s->sum[i];
        c->squares += (double)s->squares[i];
    }
    to->entries += (double)entries;
    return true;
}

static bool count_value(struct calibration *c, const struct plan_view *v)
{
    enum { LANES = 64 };
    struct seen *to = &c->values[v->value];
    bool by_channel = v->block && v->channels <= RANGES_MAX;
    size_t block = by_channel ? (size_t)v->block : LANES, rows = v->count / block, blocks = 1;
    size_t inner = by_channel ? (size_t)v->inner : 1;
    if (by_channel)
        blocks = ((size_t)v->channels + block - 1) / block;
    struct sums *s = &c->sums;
    if (!sums_reset(s, blocks * block))
        return false;
    for (size_t row = 0; row < rows; row++) {
        size_t first = row / inner % blocks * block;
        sum_row(v->data + row * block, block, s->low + first, s->high + first, s->sum + first,
                s->squares + first);
    }
    sum_row(v->data + rows * block, v->count - rows * block, s->low, s->high, s->sum, s->squares);
    float low = 0, high = 0;
    for (size_t i = 0; i < blocks * block; i++) {
        low = fminf(low, s->low[i]);
        high = fmaxf(high, s->high[i]);
    }
    return histogram_count(&to->histogram, v->data, v->count, low, high) &&
           (!by_channel || count_channels(to, s, (size_t)v->channels, rows / blocks));
}

static void count(void *context, const struct plan_view *v)
{
    struct calibration *c = context;
    c->no_memory = c->no_memory || !count_value(c, v);
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

static bool add_channels(const struct calibration *c, int v, struct seen *to,
                         const struct seen *from)
{
    size_t channels = (size_t)c->network->shapes[v].dims[1];
    if (!from->channels)
        return true;
    if (!to->channels && !(to->channels = calloc(channels, sizeof *to->channels)))
        return false;
    for (size_t i = 0; i < channels; i++) {
        to->channels[i].most = fmaxf(to->channels[i].most, from->channels[i].most);
        to->channels[i].sum += from->channels[i].sum;
        to->channels[i].squares += from->channels[i].squares;
    }
    to->entries += from->entries;
    return true;
}

enum err_code calibration_add_all(struct calibration *c, const struct calibration *branch,
                                  struct err *e)
{
    for (int v = 0; v < c->value_count; v++)
        if (!histogram_add(&c->values[v].histogram, &branch->values[v].histogram) ||
            !add_channels(c, v, &c->values[v], &branch->values[v]))
            return err_set(e, ERR_NOMEM, "no memory to calibrate");
    c->seen = c->seen || branch->seen;
    return ERR_OK;
}

static struct range range_of(const struct histogram *h, enum calibrate_method method)
{
    int steps = h->below ? 127 : 255;
    double bound = method == CALIBRATE_MSE          ? histogram_least_error(h, steps)
                   : method == CALIBRATE_PERCENTILE ? histogram_percentile(h)
                                                    : (double)h->most;
    float high = fminf((float)bound, h->most);
    return (struct range){ .low = h->below ? -high : 0, .high = high };
}

static bool set_channels(struct range *r, const struct seen *h, int64_t count)
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
        if (!c->values[v].histogram.bins)
            continue;
        r.list[r.count] = range_of(&c->values[v].histogram, method);
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
