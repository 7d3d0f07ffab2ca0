/* Bounds of histograms against what they say they minimise, and that histograms add up exactly. */
#include "nn/histogram.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT = 10000, LONG = 300000 };

static float number(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / (float)(1 << 24);
}

/* Products of numbers: many small ones, few large. */
static void fill(float *ret, size_t count, uint32_t seed, float scale)
{
    for (size_t i = 0; i < count; i++)
        ret[i] = i % 3 ? scale * number(&seed) * number(&seed) * number(&seed) : 0;
}

static void count(struct histogram *h, const float *x, size_t n)
{
    float low = 0, high = 0;
    for (size_t i = 0; i < n; i++) {
        low = fminf(low, x[i]);
        high = fmaxf(high, x[i]);
    }
    assert_true(histogram_count(h, x, n, low, high));
}

static double error_at(const float *x, size_t n, double bound, int steps)
{
    double sum = 0, step = bound / steps;
    for (size_t i = 0; i < n; i++) {
        double size = fabs((double)x[i]);
        double kept = size > bound ? bound : round(size / step) * step;
        sum += (size - kept) * (size - kept);
    }
    return sum;
}

static void least_error_is_least(void **state)
{
    (void)state;
    static float x[COUNT];
    for (int steps = 15; steps <= 255; steps *= 2) {
        struct histogram h = { 0 };
        fill(x, COUNT, 1, 3);
        count(&h, x, COUNT);
        double bound = histogram_least_error(&h, steps), here = error_at(x, COUNT, bound, steps);
        assert_true(bound > 0 && bound <= 3.01);
        for (double factor = 0.3; factor < 2; factor *= 1.1)
            assert_true(here <= 1.05 * error_at(x, COUNT, factor * bound, steps));
        histogram_fini(&h);
    }
}

static void percentile_leaves_out_what_it_says(void **state)
{
    (void)state;
    static float x[COUNT];
    struct histogram h = { 0 };
    for (int i = 0; i < COUNT; i++)
        x[i] = (float)(i % 1000) / 1000 + 0.001f;
    x[5] = -50; /* one in ten thousand */
    count(&h, x, COUNT);
    assert_true(h.below && h.most == 50);
    double bound = histogram_percentile(&h);
    assert_true(bound >= 1 && bound < 1.1);
    histogram_fini(&h);
}

static void sums_are_exact(void **state)
{
    (void)state;
    static float x[COUNT], y[COUNT];
    struct histogram one = { 0 }, a = { 0 }, b = { 0 };
    fill(x, COUNT, 1, 3);
    fill(y, COUNT, 2, 800); /* eight powers of two above */
    y[7] = -1;
    count(&one, x, COUNT);
    count(&one, y, COUNT);
    count(&a, x, COUNT);
    count(&b, y, COUNT);
    struct histogram both = { 0 };
    assert_true(histogram_add(&both, &b) && histogram_add(&both, &a));
    assert_true(histogram_add(&a, &b));
    const struct histogram *sums[] = { &a, &both };
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sums[i]->exponent, one.exponent);
        assert_true(sums[i]->most == one.most && sums[i]->below);
        assert_memory_equal(sums[i]->bins, one.bins, HISTOGRAM_BINS * sizeof *one.bins);
    }
    histogram_fini(&one);
    histogram_fini(&a);
    histogram_fini(&b);
    histogram_fini(&both);
}

static void a_part_of_many_stands_for_all(void **state)
{
    (void)state;
    float *x = calloc(LONG, sizeof *x);
    assert_non_null(x);
    fill(x, LONG, 3, 1);
    x[LONG - 1] = 7; /* wherever it stands */
    struct histogram h = { 0 };
    count(&h, x, LONG);
    assert_true(h.most == 7);
    double bound = histogram_least_error(&h, 255);
    assert_true(error_at(x, LONG, bound, 255) < 1.2 * error_at(x, LONG, 1, 255));
    histogram_fini(&h);
    /* Seen only where nothing was counted. */
    memset(x, 0, LONG * sizeof *x);
    x[16] = 2;
    struct histogram rare = { 0 };
    count(&rare, x, LONG);
    assert_true(histogram_least_error(&rare, 255) == 2);
    histogram_fini(&rare);
    free(x);
}

static void odd_numbers(void **state)
{
    (void)state;
    float x[] = { NAN, INFINITY, -INFINITY, 0, 0.5f, 1e30f };
    struct histogram h = { 0 }, empty = { 0 };
    assert_true(histogram_count(&h, x, 6, 0, 0.5f));
    uint64_t all = 0;
    for (int b = 0; b < HISTOGRAM_BINS; b++)
        all += h.bins[b];
    assert_int_equal(all, 1);
    assert_true(histogram_count(&empty, x, 4, 0, 0));
    assert_null(empty.bins);
    assert_true(histogram_least_error(&empty, 255) == 0 && histogram_percentile(&empty) == 0);
    histogram_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(least_error_is_least),
        cmocka_unit_test(percentile_leaves_out_what_it_says),
        cmocka_unit_test(sums_are_exact),
        cmocka_unit_test(a_part_of_many_stands_for_all),
        cmocka_unit_test(odd_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
