#include "nn/head.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { ROWS = 150, WIDTH = 4, CLASSES = 3 };

static const struct {
    double penalty;
    bool balanced;
    double weight[CLASSES][WIDTH];
    double bias[CLASSES];
} golden[] = {
#include "tests/golden/head_sklearn.inc"
};

/* The problem of head_sklearn.py; the balanced one lacks class 2 in its later rows. */
static int make_problem(bool balanced, float *x, int *y)
{
    uint32_t state = 12345;
    int rows = 0;
    for (int i = 0; i < ROWS; i++) {
        int class = i % CLASSES;
        float row[WIDTH];
        for (int j = 0; j < WIDTH; j++) {
            state = state * 1664525u + 1013904223u;
            float u = (float)(state >> 8) / 16777216.0f;
            row[j] = u * (float)(j + 1) + 0.25f * (float)((class + j) % CLASSES);
        }
        if (balanced && class == 2 && i >= 60)
            continue;
        for (int j = 0; j < WIDTH; j++)
            x[rows * WIDTH + j] = row[j];
        y[rows++] = class;
    }
    return rows;
}

static void agrees_with_scikit_learn(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof golden / sizeof *golden; k++) {
        float x[ROWS * WIDTH];
        int y[ROWS], rows = make_problem(golden[k].balanced, x, y);
        struct head_options o;
        struct head h;
        struct head_report report;
        head_options_default(&o);
        o.penalties = &golden[k].penalty;
        o.penalty_count = 1;
        o.balanced = golden[k].balanced;
        o.tolerance = 1e-6;
        assert_int_equal(
            head_fit(x, y, NULL, rows, WIDTH, CLASSES, &o, NULL, NULL, &h, &report, NULL), ERR_OK);
        assert_true(report.converged);
        for (int c = 0; c < CLASSES; c++) {
            for (int j = 0; j < WIDTH; j++) {
                double ours = (double)h.weight[c * WIDTH + j], theirs = golden[k].weight[c][j];
                if (!(fabs(ours - theirs) <= 1e-3 * fmax(1, fabs(theirs))))
                    fail_msg("penalty %g: weight[%d][%d] is %g, scikit-learn has %g",
                             golden[k].penalty, c, j, ours, theirs);
            }
            assert_true(fabs((double)h.bias[c] - golden[k].bias[c]) <= 2e-3);
        }
        head_fini(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(agrees_with_scikit_learn) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
