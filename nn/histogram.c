#include "nn/histogram.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Runs of RUN entries, a new one every STEP: STEP is prime, so that runs fall on all channels
 * alike. */
enum { BINS = HISTOGRAM_BINS, EXPONENT_LEAST = -100, RUN = 16, STEP = 83, WHOLE_MAX = 1 << 14 };

void histogram_fini(struct histogram *h)
{
    free(h->bins);
    *h = (struct histogram){ 0 };
}

/* Makes the bins reach up to 2^exponent. Halving whole numbers of bins is exact. */
static bool widen(struct histogram *h, int exponent)
{
    if (!h->bins) {
        h->bins = calloc(BINS, sizeof *h->bins);
        h->exponent = exponent;
        return h->bins != NULL;
    }
    for (; h->exponent < exponent; h->exponent++) {
        for (int b = 0; b < BINS / 2; b++)
            h->bins[b] = h->bins[2 * b] + h->bins[2 * b + 1];
        memset(h->bins + BINS / 2, 0, BINS / 2 * sizeof *h->bins);
    }
    return true;
}

/* Bins first, then counts: conversions are vectors then. */
static void count_run(struct histogram *h, const float *data, size_t count, float factor)
{
    int at[RUN];
    for (size_t i = 0; i < count; i++) {
        float x = fabsf(data[i]) * factor;
        at[i] = x < BINS ? (int)x : 0; /* what is not finite: as zeros */
    }
    for (size_t i = 0; i < count; i++)
        if (data[i] != 0.0f && fabsf(data[i]) <= h->most)
            h->bins[at[i]]++;
}

bool histogram_count(struct histogram *h, const float *data, size_t count, float low, float high)
{
    float most = fmaxf(-low, high);
    h->below = h->below || low < 0;
    if (most == 0)
        return true;
    int exponent;
    frexpf(most, &exponent); /* most < 2^exponent */
    if (!widen(h, exponent < EXPONENT_LEAST ? EXPONENT_LEAST : exponent))
        return false;
    h->most = fmaxf(h->most, most);
    float factor = ldexpf(BINS, -h->exponent);
    size_t step = count > WHOLE_MAX ? STEP : RUN;
    for (size_t i = 0; i < count; i += step)
        count_run(h, data + i, count - i < RUN ? count - i : RUN, factor);
    return true;
}

bool histogram_add(struct histogram *h, const struct histogram *other)
{
    h->below = h->below || other->below;
    h->most = fmaxf(h->most, other->most);
    if (!other->bins)
        return true;
    if (!widen(h, other->exponent))
        return false;
    int shift = h->exponent - other->exponent;
    for (int b = 0; b < BINS; b++)
        h->bins[shift > 11 ? 0 : b >> shift] += other->bins[b];
    return true;
}

static double bin_width(const struct histogram *h)
{
    return ldexp(1.0 / BINS, h->exponent);
}

/* Entries within a bound cost a twelfth of a step's square, those outside the square of their
 * distance (n x^2 - 2 bound n x + bound^2 n, summed from the last bin down). */
double histogram_least_error(const struct histogram *h, int steps)
{
    if (!h->bins)
        return 0;
    double inside = 0, count = 0, first = 0, second = 0, least = INFINITY;
    int last = BINS, best;
    while (last > 1 && !h->bins[last - 1])
        last--;
    for (int b = 0; b < last; b++)
        inside += (double)h->bins[b];
    if (inside == 0) /* only seen where nothing was counted */
        return (double)h->most;
    best = last;
    for (int bins = last; bins > last / 8 && bins > 0; bins--) {
        double step = (double)bins / steps;
        double here =
            inside * step * step / 12 + second - 2 * bins * first + (double)bins * bins * count;
        if (here < least) {
            least = here;
            best = bins;
        }
        double n = (double)h->bins[bins - 1], x = bins - 0.5;
        inside -= n;
        count += n;
        first += n * x;
        second += n * x * x;
    }
    return best * bin_width(h);
}

double histogram_percentile(const struct histogram *h)
{
    if (!h->bins)
        return 0;
    uint64_t all = 0, outside = 0;
    for (int b = 0; b < BINS; b++)
        all += h->bins[b];
    int bins = BINS;
    while (bins > 1 && outside + h->bins[bins - 1] <= all / 10000)
        outside += h->bins[--bins];
    return bins * bin_width(h);
}
