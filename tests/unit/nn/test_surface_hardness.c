/* The surface set must ask for shape: a classifier that sees colours alone, however well it is
 * fitted, stays below 60 %. */
#include "data/render/surface.h"

#include "nn/head.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
    TRAIN = 900,
    TEST = 300,
    SIZE = 64, /* colours do not need more */
    BINS = 8,
    CUBE = 4,
    RANKS = 7,
    WIDTH = 6 + 3 * BINS + CUBE * CUBE * CUBE + RANKS,
};

/* The brightness below which so many pixels in a thousand are. */
static const int ranks[RANKS] = { 2, 10, 50, 500, 950, 990, 998 };

static void rank(const size_t seen[256], size_t pixels, float *ret)
{
    size_t below = 0;
    int r = 0;
    for (int v = 0; v < 256; v++) {
        below += seen[v];
        for (; r < RANKS && below * 1000 >= pixels * (size_t)ranks[r]; r++)
            ret[r] = (float)v;
    }
}

/* Means, deviations, each channel's histogram, that of all three together, ranks of green. */
static void describe(const struct canvas *c, float *ret)
{
    size_t pixels = (size_t)c->size * (size_t)c->size;
    float share = 1.0F / (float)pixels, *histogram = ret + 6, *cube = histogram + 3 * BINS;
    double sum[3] = { 0 }, squares[3] = { 0 };
    size_t seen[256] = { 0 };
    for (int k = 0; k < WIDTH; k++)
        ret[k] = 0;
    for (size_t i = 0; i < pixels; i++) {
        size_t cell = 0;
        for (size_t k = 0; k < 3; k++) {
            uint8_t v = c->bytes[3 * i + k];
            sum[k] += v;
            squares[k] += (double)v * v;
            histogram[k * BINS + v / (256 / BINS)] += share;
            cell = cell * CUBE + v / (256 / CUBE);
        }
        cube[cell] += share;
        seen[c->bytes[3 * i + 1]]++;
    }
    rank(seen, pixels, cube + CUBE * CUBE * CUBE);
    for (size_t k = 0; k < 3; k++) {
        double mean = sum[k] / (double)pixels;
        ret[k] = (float)mean;
        ret[3 + k] = (float)sqrt(fmax(0, squares[k] / (double)pixels - mean * mean));
    }
}

static double accuracy(const float *x, const int *y, int classes)
{
    static const double penalties[] = { 0.1, 0.01, 0.001 };
    struct head_options o;
    head_options_default(&o);
    o.folds = 3;
    o.penalties = penalties;
    o.penalty_count = 3;
    o.max_iterations = 100;
    o.threads = 2;
    struct head head;
    struct head_report report;
    struct err e;
    if (head_fit(x, y, NULL, TRAIN, WIDTH, classes, &o, NULL, NULL, &head, &report, &e) != ERR_OK)
        fail_msg("%s", e.message);
    static float p[TEST * DEFECTS];
    head_apply(&head, x + (size_t)TRAIN * WIDTH, TEST, p);
    int right = 0;
    for (int i = 0; i < TEST; i++) {
        int best = 0;
        for (int k = 1; k < classes; k++)
            best = p[i * classes + k] > p[i * classes + best] ? k : best;
        right += best == y[TRAIN + i];
    }
    head_fini(&head);
    return (double)right / TEST;
}

static void test_colour_statistics_are_not_enough(void **state)
{
    (void)state;
    static float x[(TRAIN + TEST) * WIDTH];
    static int y[TRAIN + TEST], ruddy[TRAIN + TEST];
    struct surface_painter p;
    assert_int_equal(surface_painter_init(SIZE, &p, NULL), ERR_OK);
    for (int i = 0; i < TRAIN + TEST; i++) {
        surface_draw(&p, 1, (uint64_t)i);
        describe(&p.canvas, x + (size_t)i * WIDTH);
        y[i] = (int)surface_class((uint64_t)i);
        ruddy[i] = x[(size_t)i * WIDTH] > x[(size_t)i * WIDTH + 2];
    }
    surface_painter_fini(&p);
    double right = accuracy(x, y, DEFECTS);
    print_message("%.1f %% by colours alone, chance is %.1f %%\n", 100 * right, 100.0 / DEFECTS);
    assert_true(right < 0.6);
    /* The same classifier does see what is in the colours. */
    assert_true(accuracy(x, ruddy, 2) > 0.9);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_colour_statistics_are_not_enough) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
