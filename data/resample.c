#include "data/resample.h"

#include "data/resample_kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double triangle(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static bool span_equal(const struct resample_span *a, const struct resample_span *b)
{
    return a->origin == b->origin && a->in == b->in && a->extent == b->extent && a->out == b->out &&
           a->first == b->first && a->count == b->count && a->mirrored == b->mirrored;
}

static enum err_code reserve(int32_t **table, size_t *cap, size_t need, struct err *e)
{
    if (need <= *cap)
        return ERR_OK;
    free(*table);
    *cap = 0;
    *table = malloc(need * sizeof **table);
    if (!*table)
        return err_set(e, ERR_NOMEM, "no memory for %zu resize weights", need);
    *cap = need;
    return ERR_OK;
}

/* Where output i's window begins and ends. The expressions are Pillow's, rounding included. */
struct window {
    double centre;
    int64_t begin, end;
};

static struct window window_of(const struct resample_span *s, double scale, double support,
                               int64_t i)
{
    struct window w = { .centre = ((double)i + 0.5) * scale };
    w.begin = (int64_t)(w.centre - support + 0.5);
    if (w.begin < 0)
        w.begin = 0;
    w.end = (int64_t)(w.centre + support + 0.5);
    if (w.end > s->in)
        w.end = s->in;
    return w;
}

/* The weights of window w into weight[], which is zero before. */
static void weigh(const struct window *w, double filterscale, int32_t *weight)
{
    double factor = 1.0 / filterscale, sum = 0.0;
    for (int64_t x = w->begin; x < w->end; x++)
        sum += triangle(((double)x - w->centre + 0.5) * factor);
    for (int64_t x = w->begin; x < w->end; x++) {
        double k = triangle(((double)x - w->centre + 0.5) * factor);
        if (sum != 0.0)
            k /= sum;
        weight[x - w->begin] = (int32_t)(0.5 + k * (1 << RESAMPLE_PRECISION));
    }
}

enum err_code resample_axis_set(struct resample_axis *a, const struct resample_span *span,
                                struct err *e)
{
    if (a->taps > 0 && span_equal(&a->span, span))
        return ERR_OK;
    a->taps = 0;

    double scale = span->extent / (double)span->out;
    double filterscale = scale < 1.0 ? 1.0 : scale;
    int64_t taps = 1;
    for (int i = 0; i < span->count; i++) {
        struct window w = window_of(span, scale, filterscale, span->first + i);
        if (w.end - w.begin > taps)
            taps = w.end - w.begin;
    }

    size_t padded = ((size_t)span->count + RESAMPLE_LANES - 1) / RESAMPLE_LANES * RESAMPLE_LANES;
    enum err_code code = reserve(&a->start, &a->start_cap, padded, e);
    if (code == ERR_OK)
        code = reserve(&a->weight, &a->weight_cap, padded * (size_t)taps, e);
    if (code != ERR_OK)
        return code;
    memset(a->weight, 0, padded * (size_t)taps * sizeof *a->weight);
    memset(a->start, 0, padded * sizeof *a->start);

    int64_t low = span->in, high = 0;
    for (int i = 0; i < span->count; i++) {
        struct window w = window_of(span, scale, filterscale, span->first + i);
        size_t at = (size_t)(span->mirrored ? span->count - 1 - i : i);
        /* Every output reads `taps` pixels: near the end that means beginning earlier, with
         * zeros in front. */
        int64_t start = w.begin + taps <= span->in ? w.begin : span->in - taps;
        if (start < low)
            low = start;
        if (start + taps > high)
            high = start + taps;
        a->start[at] = (int32_t)(span->origin + start);
        weigh(&w, filterscale, a->weight + at * (size_t)taps + (w.begin - start));
    }
    a->span = *span;
    a->padded = (int)padded;
    a->taps = (int)taps;
    a->low = span->origin + (int)low;
    a->high = span->origin + (int)high;
    return ERR_OK;
}

void resample_axis_fini(struct resample_axis *a)
{
    free(a->start);
    free(a->weight);
    *a = (struct resample_axis){ 0 };
}

static void row_plain(const struct resample_axis *x, const uint8_t *row, uint8_t *ret)
{
    size_t taps = (size_t)x->taps, padded = (size_t)x->padded;
    for (size_t i = 0; i < padded; i++) {
        const int32_t *weight = x->weight + i * taps;
        const uint8_t *from = row + (size_t)x->start[i] * 3;
        int32_t sum[3] = { RESAMPLE_HALF, RESAMPLE_HALF, RESAMPLE_HALF };
        for (size_t t = 0; t < taps; t++)
            for (size_t c = 0; c < 3; c++)
                sum[c] += from[3 * t + c] * weight[t];
        for (size_t c = 0; c < 3; c++)
            ret[c * padded + i] = (uint8_t)(sum[c] >> RESAMPLE_PRECISION);
    }
}

static void row_pair_plain(const struct resample_axis *x, const uint8_t *upper,
                           const uint8_t *lower, uint8_t *ret_upper, uint8_t *ret_lower)
{
    row_plain(x, upper, ret_upper);
    if (lower != upper)
        row_plain(x, lower, ret_lower);
}

static void column_plain(const int32_t *weight, int taps, const uint8_t *rows, size_t stride,
                         int width, float mean, float std, float *ret)
{
    for (int j = 0; j < width; j += RESAMPLE_LANES) {
        const uint8_t *from = rows + j;
        int32_t sum[RESAMPLE_LANES];
        for (int k = 0; k < RESAMPLE_LANES; k++)
            sum[k] = RESAMPLE_HALF;
        for (int t = 0; t < taps; t++, from += stride)
            for (int k = 0; k < RESAMPLE_LANES; k++)
                sum[k] += from[k] * weight[t];
        for (int k = 0; k < RESAMPLE_LANES && j + k < width; k++)
            ret[j + k] = ((float)(sum[k] >> RESAMPLE_PRECISION) - mean) / std;
    }
}

const struct resample_kernels resample_plain = { row_pair_plain, column_plain };

static const struct resample_kernels *kernels(void)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2"))
        return &resample_avx2;
#endif
    return &resample_plain;
}

void resample_rows(const struct resample_axis *x, const struct resample_axis *y, const uint8_t *rgb,
                   int width, int height, uint8_t *slack, uint8_t *ret)
{
    resample_row_pair_fn row_pair = kernels()->row_pair;
    size_t stride = (size_t)width * 3, out = (size_t)x->padded * 3;
    for (int r = y->low; r < y->high; r += 2) {
        int second = r + 1 < y->high ? r + 1 : r;
        const uint8_t *upper = rgb + (size_t)r * stride, *lower = rgb + (size_t)second * stride;
        if (second == height - 1) {
            memcpy(slack, lower, stride);
            if (upper == lower)
                upper = slack;
            lower = slack;
        }
        row_pair(x, upper, lower, ret + (size_t)(r - y->low) * out,
                 ret + (size_t)(second - y->low) * out);
    }
}

void resample_columns(const struct resample_axis *x, const struct resample_axis *y,
                      const uint8_t *rows, const int plane[3], const float mean[3],
                      const float std[3], float *ret)
{
    resample_column_fn column = kernels()->column;
    size_t padded = (size_t)x->padded, width = (size_t)x->span.count;
    size_t height = (size_t)y->span.count, stride = padded * 3;
    for (size_t i = 0; i < height; i++) {
        const int32_t *weight = y->weight + i * (size_t)y->taps;
        const uint8_t *window = rows + (size_t)(y->start[i] - y->low) * stride;
        for (size_t c = 0; c < 3; c++)
            column(weight, y->taps, window + c * padded, stride, (int)width, mean[c], std[c],
                   ret + ((size_t)plane[c] * height + i) * width);
    }
}
