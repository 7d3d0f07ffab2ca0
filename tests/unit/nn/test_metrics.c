#include "nn/metrics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void assert_near(double value, double wanted)
{
    if (!(fabs(value - wanted) < 1e-6))
        fail_msg("%.9g is not %.9g", value, wanted);
}

/* Five rows of three classes; class 2 is never true.
 * predicted: 0, 1, 1, 2, 0 (a tie of 0 and 1); true: 0, 0, 1, 1, 0. */
static const float p[] = {
    0.7f, 0.2f, 0.1f, 0.25f, 0.5f, 0.25f, 0.0f, 0.9f, 0.1f, 0.3f, 0.1f, 0.6f, 0.5f, 0.5f, 0.0f,
};
static const int y[] = { 0, 0, 1, 1, 0 };

static void hand_computed(void **state)
{
    (void)state;
    struct metrics m;
    struct err e;
    assert_int_equal(metrics_of(p, y, 5, 3, &m, &e), ERR_OK);
    assert_int_equal(m.rows, 5);
    assert_near(m.accuracy, 3.0 / 5);
    const int64_t confusion[] = { 2, 1, 0, 0, 1, 1, 0, 0, 0 };
    for (int i = 0; i < 9; i++)
        assert_int_equal(m.confusion[i], confusion[i]);
    const double precision[] = { 1, 0.5, 0 }, recall[] = { 2.0 / 3, 0.5, 0 };
    const double f1[] = { 0.8, 0.5, 0 };
    const int64_t support[] = { 3, 2, 0 };
    for (int c = 0; c < 3; c++) {
        assert_near(m.precision[c], precision[c]);
        assert_near(m.recall[c], recall[c]);
        assert_near(m.f1[c], f1[c]);
        assert_int_equal(m.support[c], support[c]);
    }
    assert_near(m.macro_f1, (0.8 + 0.5) / 2); /* class 2 does not occur */
    assert_near(m.log_loss, -(log(0.7) + log(0.25) + log(0.9) + log(0.1) + log(0.5)) / 5);
    /* Bins of 1/15: 0.7 alone (right); 0.5 twice (one right); 0.9 alone (right); 0.6 alone (wrong).
     */
    assert_near(m.calibration_error,
                (fabs(1 - 0.7) + fabs(1 - 1.0) + fabs(1 - 0.9) + fabs(0 - 0.6)) / 5);
    metrics_fini(&m);
}

static void probability_of_zero_is_clipped(void **state)
{
    (void)state;
    const float q[] = { 0, 1 };
    const int truth[] = { 0 };
    struct metrics m;
    assert_int_equal(metrics_of(q, truth, 1, 2, &m, NULL), ERR_OK);
    assert_near(m.log_loss, -log(1e-15));
    assert_near(m.calibration_error, 1);
    metrics_fini(&m);
}

static void no_rows(void **state)
{
    (void)state;
    struct metrics m;
    assert_int_equal(metrics_of(NULL, NULL, 0, 2, &m, NULL), ERR_OK);
    assert_near(m.accuracy, 0);
    assert_near(m.log_loss, 0);
    assert_near(m.calibration_error, 0);
    assert_near(m.macro_f1, 0);
    metrics_fini(&m);
}

static void json(void **state)
{
    (void)state;
    const char *const labels[] = { "ant", "bee", "cat" };
    struct metrics m;
    assert_int_equal(metrics_of(p, y, 5, 3, &m, NULL), ERR_OK);
    json_t *object = metrics_json(&m, labels);
    assert_non_null(object);
    assert_int_equal(json_object_size(object), 7);
    assert_near(json_real_value(json_object_get(object, "accuracy")), 0.6);
    assert_int_equal(json_integer_value(json_object_get(object, "count")), 5);
    json_t *bee = json_array_get(json_object_get(object, "per_class"), 1);
    assert_string_equal(json_string_value(json_object_get(bee, "label")), "bee");
    assert_near(json_real_value(json_object_get(bee, "f1")), 0.5);
    assert_int_equal(json_integer_value(json_object_get(bee, "support")), 2);
    json_t *matrix = json_object_get(object, "confusion_matrix");
    assert_int_equal(json_array_size(matrix), 3);
    assert_int_equal(json_integer_value(json_array_get(json_array_get(matrix, 1), 2)), 1);
    json_decref(object);
    metrics_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hand_computed),
        cmocka_unit_test(probability_of_zero_is_clipped),
        cmocka_unit_test(no_rows),
        cmocka_unit_test(json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
