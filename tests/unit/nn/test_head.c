#include "data/base/cleanup.h"
#include "nn/folds.h"
#include "nn/head.h"
#include "nn/lbfgs.h"
#include "nn/softmax.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Deterministic noise, about normal: the sum of four uniform numbers. */
static float noise(uint32_t *state)
{
    float sum = 0;
    for (int i = 0; i < 4; i++) {
        *state = *state * 1664525u + 1013904223u;
        sum += (float)(*state >> 8) / 16777216.0f - 0.5f;
    }
    return sum * 1.73f;
}

enum { ROWS = 90, WIDTH = 37, CLASSES = 3 };

struct problem {
    float x[ROWS * WIDTH];
    int y[ROWS];
};

static void make_problem(struct problem *p, float distance)
{
    uint32_t state = 7;
    for (int i = 0; i < ROWS; i++) {
        p->y[i] = i % CLASSES;
        for (int j = 0; j < WIDTH; j++)
            p->x[i * WIDTH + j] =
                5 + (float)(j + 1) * (noise(&state) + (j % CLASSES == p->y[i] ? distance : 0));
    }
}

static enum err_code fit(const struct problem *p, const struct head_options *o, struct head *ret,
                         struct head_report *report, struct err *e)
{
    return head_fit(p->x, p->y, NULL, ROWS, WIDTH, CLASSES, o, NULL, NULL, ret, report, e);
}

enum { CLASS_COUNT = 5, STRIDE = 112, USED = 101, COUNT = 21 };

struct slopes {
    _Alignas(64) float x[COUNT * STRIDE];
    _Alignas(64) float w[CLASS_COUNT * STRIDE];
    _Alignas(64) float gradient[CLASS_COUNT * STRIDE];
    int y[COUNT], rows[COUNT];
};

static const double class_scale[CLASS_COUNT] = { 0.1, 0.02, 0.05, 0.07, 0.03 };

/* The loss by its definition, in float64; its gradient too. */
static double defined_loss(const struct slopes *p, double gradient[CLASS_COUNT * STRIDE],
                           double *ret_log_loss)
{
    double loss = 0;
    *ret_log_loss = 0;
    for (int i = 0; i < COUNT; i++) {
        double z[CLASS_COUNT] = { 0 }, sum = 0;
        for (int c = 0; c < CLASS_COUNT; c++) {
            for (int j = 0; j < STRIDE; j++)
                z[c] += (double)p->x[i * STRIDE + j] * (double)p->w[c * STRIDE + j];
            sum += exp(z[c]);
        }
        double own = log(sum) - z[p->y[i]], scale = class_scale[p->y[i]];
        loss += scale * own;
        *ret_log_loss += own;
        for (int c = 0; c < CLASS_COUNT; c++)
            for (int j = 0; j < STRIDE; j++)
                gradient[c * STRIDE + j] +=
                    scale * (exp(z[c]) / sum - (c == p->y[i])) * (double)p->x[i * STRIDE + j];
    }
    return loss;
}

static void check_vectors(struct slopes *p, const double *gradient, double loss, double log_loss,
                          enum softmax_vectors v)
{
    const struct softmax_data d = {
        .x = p->x, .stride = STRIDE, .y = p->y, .class_scale = class_scale, .classes = CLASS_COUNT
    };
    struct softmax_scratch *s = NULL;
    double judged = 0;
    int correct = 0;
    assert_int_equal(softmax_scratch_new(&d, v, &s, NULL), ERR_OK);
    for (int again = 0; again < 2; again++) { /* a scratch keeps nothing */
        double value = softmax_loss(&d, s, p->rows, COUNT, p->w, p->gradient);
        if (fabs(value - loss) > 1e-6 * loss)
            fail_msg("vectors %d: loss %.9g, wanted %.9g", (int)v, value, loss);
        for (int i = 0; i < CLASS_COUNT * STRIDE; i++)
            if (fabs((double)p->gradient[i] - gradient[i]) > 1e-6)
                fail_msg("vectors %d: entry %d is %g, wanted %g", (int)v, i, (double)p->gradient[i],
                         gradient[i]);
        softmax_score(&d, s, p->rows, COUNT, p->w, &judged, &correct);
        assert_true(fabs(judged - log_loss) < 1e-5 * log_loss);
    }
    softmax_scratch_free(s);
}

static void softmax_is_its_definition(void **state)
{
    (void)state;
    static struct slopes p;
    static double gradient[CLASS_COUNT * STRIDE], ignored[CLASS_COUNT * STRIDE];
    double log_loss = 0, dummy = 0;
    uint32_t random = 3;
    for (int i = 0; i < COUNT; i++) {
        p.y[i] = i % CLASS_COUNT;
        p.rows[i] = COUNT - 1 - i;
        for (int j = 0; j < USED; j++)
            p.x[i * STRIDE + j] = noise(&random);
    }
    for (int i = 0; i < CLASS_COUNT * STRIDE; i++)
        p.w[i] = i % STRIDE < USED ? 0.2f * noise(&random) : 0;
    double loss = defined_loss(&p, gradient, &log_loss);
    /* The gradient of the definition is its slope, by differences. */
    for (int i = 0; i < CLASS_COUNT * STRIDE; i += 7) {
        const float step = 1.0f / 1024, keep = p.w[i];
        p.w[i] = keep + step;
        double up = defined_loss(&p, ignored, &dummy), at = (double)p.w[i];
        p.w[i] = keep - step;
        double slope = (up - defined_loss(&p, ignored, &dummy)) / (at - (double)p.w[i]);
        p.w[i] = keep;
        assert_true(fabs(slope - gradient[i]) < 1e-5);
    }
    static const enum softmax_vectors all[] = { SOFTMAX_WIDEST, SOFTMAX_PLAIN, SOFTMAX_AVX2,
                                                SOFTMAX_AVX512 };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (softmax_has(all[i]))
            check_vectors(&p, gradient, loss, log_loss, all[i]);
}

/* Rosenbrock's valley: curved, ill-conditioned, minimum 0 at (1, 1). */
static bool valley(void *context, const float *x, double *ret, float *g)
{
    int *calls = context;
    double a = (double)x[0], b = (double)x[1];
    *ret = 100 * (b - a * a) * (b - a * a) + (1 - a) * (1 - a);
    g[0] = (float)(-400 * a * (b - a * a) - 2 * (1 - a));
    g[1] = (float)(200 * (b - a * a));
    return --*calls > 0;
}

static void lbfgs_finds_the_minimum(void **state)
{
    (void)state;
    struct lbfgs *s = NULL;
    struct lbfgs_result result;
    float x[] = { -1.2f, 1 };
    int calls = 1000;
    assert_int_equal(lbfgs_new(2, &s, NULL), ERR_OK);
    assert_int_equal(lbfgs_run(s, valley, &calls, 200, 1e-3, x, &result, NULL), ERR_OK);
    assert_true(result.converged);
    assert_true(result.iterations < 80);
    assert_true(fabsf(x[0] - 1) < 5e-3f && fabsf(x[1] - 1) < 5e-3f);

    float again[] = { -1.2f, 1 };
    calls = 3;
    assert_int_equal(lbfgs_run(s, valley, &calls, 200, 1e-3, again, &result, NULL), ERR_CANCELLED);
    again[0] = NAN;
    calls = 1000;
    assert_int_equal(lbfgs_run(s, valley, &calls, 200, 1e-3, again, &result, NULL), ERR_DIVERGED);
    lbfgs_free(s);
}

/* Two classes, one feature that is -1 or +1: with standardised x the optimum is w1 = -w0 = w where
 * penalty * 2w = 1 - tanh... solved here by bisection on the derivative. */
static void known_optimum(void **state)
{
    (void)state;
    const float x[] = { 3, 3, 3, 3, 7, 7, 7, 7 }; /* standardised: -1 and +1 */
    const int y[] = { 0, 0, 0, 0, 1, 1, 1, 1 };
    const double penalty = 0.25;
    struct head_options o;
    struct head h;
    struct head_report report;
    head_options_default(&o);
    o.penalties = &penalty;
    o.penalty_count = 1;
    o.tolerance = 1e-7;
    assert_int_equal(head_fit(x, y, NULL, 8, 1, 2, &o, NULL, NULL, &h, &report, NULL), ERR_OK);
    /* f(w) = log(1 + exp(-2w)) + penalty/2 * 2 w^2; f' = 0. */
    double low = 0, high = 10;
    for (int i = 0; i < 100; i++) {
        double w = (low + high) / 2;
        double slope = -2 / (1 + exp(2 * w)) + 2 * penalty * w;
        *(slope > 0 ? &high : &low) = w;
    }
    assert_true(report.converged);
    /* raw scale: x' = (x - 5) / 2 */
    assert_true(fabs((double)h.weight[1] - low / 2) < 1e-4);
    assert_true(fabs((double)h.weight[0] + low / 2) < 1e-4);
    assert_true(fabs((double)h.bias[1] + low * 2.5) < 1e-3);
    assert_true(fabs(report.train_log_loss - log(1 + exp(-2 * low))) < 1e-5);

    float p[4];
    const float at[] = { 3, 5 };
    head_apply(&h, at, 2, p);
    assert_true(fabs((double)p[0] - 1 / (1 + exp(-2 * low))) < 1e-4);
    assert_true(fabsf(p[2] - 0.5f) < 1e-4f && fabsf(p[2] + p[3] - 1) < 1e-6f);
    head_fini(&h);
}

static void same_bits_with_any_threads(void **state)
{
    (void)state;
    struct problem p;
    struct head first = { 0 };
    struct head_report first_report;
    make_problem(&p, 0.7f);
    for (int threads = 1; threads <= 3; threads++) {
        struct head_options o;
        struct head h;
        struct head_report report;
        head_options_default(&o);
        o.threads = threads;
        o.seed = 5;
        assert_int_equal(fit(&p, &o, &h, &report, NULL), ERR_OK);
        if (threads == 1) {
            first = h;
            first_report = report;
            continue;
        }
        assert_memory_equal(h.weight, first.weight, sizeof(float) * WIDTH * CLASSES);
        assert_memory_equal(h.bias, first.bias, sizeof(float) * CLASSES);
        assert_true(report.cv_log_loss == first_report.cv_log_loss);
        assert_true(report.train_log_loss == first_report.train_log_loss);
        assert_int_equal(report.iterations, first_report.iterations);
        head_fini(&h);
    }
    head_fini(&first);
}

/* Noise calls for a strong penalty, well-separated classes for a weaker one. */
static void penalty_follows_the_data(void **state)
{
    (void)state;
    struct problem p;
    struct head_options o;
    struct head h;
    struct head_report noisy, clear;
    head_options_default(&o);
    make_problem(&p, 0.02f);
    assert_int_equal(fit(&p, &o, &h, &noisy, NULL), ERR_OK);
    head_fini(&h);
    make_problem(&p, 1.5f);
    assert_int_equal(fit(&p, &o, &h, &clear, NULL), ERR_OK);
    head_fini(&h);
    assert_true(noisy.penalty >= 1);
    assert_true(clear.penalty < 0.5);
    assert_true(clear.cv_accuracy > 0.9 && noisy.cv_accuracy < 0.6);
    assert_int_equal(clear.folds, 5);
}

static void folds_are_even_and_keep_groups(void **state)
{
    (void)state;
    /* 3 classes of 20, 30 and 11 groups; two rows a group, far apart. */
    enum { GROUPS = 61 };
    int y[2 * GROUPS], group[2 * GROUPS], fold[2 * GROUPS], other[2 * GROUPS], folds = 0;
    for (int i = 0; i < GROUPS; i++) {
        y[i] = y[i + GROUPS] = i < 20 ? 0 : i < 50 ? 1 : 2;
        group[i] = group[i + GROUPS] = 1000 - 7 * i;
    }
    assert_int_equal(folds_deal(y, group, 2 * GROUPS, 3, 5, 1, fold, &folds, NULL), ERR_OK);
    assert_int_equal(folds, 5);
    int sizes[5][3] = { 0 };
    for (int i = 0; i < GROUPS; i++) {
        assert_in_range(fold[i], 0, 4);
        assert_int_equal(fold[i], fold[i + GROUPS]);
        sizes[fold[i]][y[i]]++;
    }
    for (int k = 0; k < 5; k++) {
        assert_int_equal(sizes[k][0], 4);
        assert_int_equal(sizes[k][1], 6);
        assert_in_range(sizes[k][2], 2, 3);
    }
    assert_int_equal(folds_deal(y, group, 2 * GROUPS, 3, 5, 1, other, &folds, NULL), ERR_OK);
    assert_memory_equal(fold, other, sizeof fold);
    assert_int_equal(folds_deal(y, group, 2 * GROUPS, 3, 5, 2, other, &folds, NULL), ERR_OK);
    assert_memory_not_equal(fold, other, sizeof fold);
}

static void small_classes(void **state)
{
    (void)state;
    const int y[] = { 0, 0, 0, 0, 1, 1, 1, 2, 2 };
    const int one[] = { 0, 1, 2, 3, 4, 5, 6, 7, 7 };
    int fold[9], folds = 0;
    struct err e;
    assert_int_equal(folds_deal(y, NULL, 9, 3, 5, 0, fold, &folds, NULL), ERR_OK);
    assert_int_equal(folds, 2);
    assert_int_equal(folds_deal(y, one, 9, 3, 5, 0, fold, &folds, &e), ERR_CLASS_TOO_SMALL);
    assert_non_null(strstr(e.message, "class 2"));
    assert_int_equal(folds_deal(y, NULL, 9, 4, 5, 0, fold, &folds, &e), ERR_CLASS_TOO_SMALL);
    assert_non_null(strstr(e.message, "class 3"));
}

static void not_a_number_diverges(void **state)
{
    (void)state;
    struct problem p;
    struct head_options o;
    struct head h = { 0 };
    struct head_report report;
    struct err e;
    head_options_default(&o);
    make_problem(&p, 1);
    p.x[17] = NAN;
    assert_int_equal(fit(&p, &o, &h, &report, &e), ERR_DIVERGED);
    assert_null(h.weight);
    assert_non_null(strstr(e.message, "feature 17"));
    p.x[17] = INFINITY;
    assert_int_equal(fit(&p, &o, &h, &report, &e), ERR_DIVERGED);
}

static void constant_features_have_no_weight(void **state)
{
    (void)state;
    struct problem p;
    struct head_options o;
    struct head h;
    struct head_report report;
    head_options_default(&o);
    make_problem(&p, 1);
    for (int i = 0; i < ROWS; i++)
        p.x[i * WIDTH + 4] = i % 2 ? 0.1f : nextafterf(0.1f, 1); /* rounding, not news */
    assert_int_equal(fit(&p, &o, &h, &report, NULL), ERR_OK);
    for (int c = 0; c < CLASSES; c++) {
        assert_true(h.weight[c * WIDTH + 4] == 0);
        assert_true(isfinite(h.bias[c]));
    }
    head_fini(&h);
}

/* Nine rows of class 0, three of class 1, at the same place: only the weights decide. */
static void balanced_classes_weigh_the_same(void **state)
{
    (void)state;
    float x[12], p[2];
    int y[12];
    for (int i = 0; i < 12; i++) {
        x[i] = (float)(i % 3);
        y[i] = i >= 9;
    }
    struct head_options o;
    struct head h;
    struct head_report report;
    head_options_default(&o);
    const float at = 1;
    assert_int_equal(head_fit(x, y, NULL, 12, 1, 2, &o, NULL, NULL, &h, &report, NULL), ERR_OK);
    head_apply(&h, &at, 1, p);
    assert_true(fabsf(p[0] - 0.75f) < 0.01f);
    head_fini(&h);
    o.balanced = true;
    assert_int_equal(head_fit(x, y, NULL, 12, 1, 2, &o, NULL, NULL, &h, &report, NULL), ERR_OK);
    head_apply(&h, &at, 1, p);
    assert_true(fabsf(p[0] - 0.5f) < 0.01f);
    head_fini(&h);
}

static bool stop_at_once(void *context, int done, int total)
{
    (void)total;
    *(int *)context = done;
    return true;
}

static void cancelled(void **state)
{
    (void)state;
    enum { MANY = 4000, WIDE = 300 };
    float *x = calloc(MANY * WIDE, sizeof *x);
    int *y = calloc(MANY, sizeof *y), done = -1;
    uint32_t random = 1;
    assert_true(x && y);
    for (int i = 0; i < MANY * WIDE; i++)
        x[i] = noise(&random);
    for (int i = 0; i < MANY; i++)
        y[i] = i % 40;
    struct head_options o;
    struct head h = { 0 };
    struct head_report report;
    head_options_default(&o);
    o.tolerance = 1e-12;
    o.max_iterations = 1000000;
    assert_int_equal(
        head_fit(x, y, NULL, MANY, WIDE, 40, &o, stop_at_once, &done, &h, &report, NULL),
        ERR_CANCELLED);
    assert_true(done >= 0);
    assert_null(h.weight);
    free(x);
    free(y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softmax_is_its_definition),
        cmocka_unit_test(lbfgs_finds_the_minimum),
        cmocka_unit_test(known_optimum),
        cmocka_unit_test(same_bits_with_any_threads),
        cmocka_unit_test(penalty_follows_the_data),
        cmocka_unit_test(folds_are_even_and_keep_groups),
        cmocka_unit_test(small_classes),
        cmocka_unit_test(not_a_number_diverges),
        cmocka_unit_test(constant_features_have_no_weight),
        cmocka_unit_test(balanced_classes_weigh_the_same),
        cmocka_unit_test(cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
