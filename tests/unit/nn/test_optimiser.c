#include "nn/optimiser.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT = 21, STEPS = 8 };

struct problem {
    float value[COUNT], gradient[COUNT], mean[2];
    struct optimiser *optimiser;
};

static void begin(struct problem *p, const struct optimiser_options *o)
{
    for (int i = 0; i < COUNT; i++)
        p->value[i] = (float)(i % 7) - 3;
    p->mean[0] = p->mean[1] = 0;
    const struct optimiser_param params[] = { { "weight", p->value, p->gradient, COUNT, true, 1 },
                                              { "mean", p->mean, NULL, 2, false, 1 } };
    assert_int_equal(optimiser_new(params, 2, o, &p->optimiser, NULL), ERR_OK);
}

static void make_steps(struct problem *p, int from, int to)
{
    for (int s = from; s < to; s++) {
        for (int i = 0; i < COUNT; i++)
            p->gradient[i] = sinf((float)(s * COUNT + i));
        p->mean[0] = (float)s;
        assert_int_equal(optimiser_step(p->optimiser, 0.1, NULL, NULL), ERR_OK);
    }
}

static const struct optimiser_options kinds[] = {
    { .kind = OPTIMISER_SGD },
    { .kind = OPTIMISER_SGD, .momentum = 0.9, .weight_decay = 0.01, .average = 0.99 },
    { .kind = OPTIMISER_ADAMW, .weight_decay = 0.01, .clip = 1, .average = 0.5 },
};

static void goes_on_from_its_state_bit_for_bit(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        struct problem whole, first, second;
        begin(&whole, &kinds[k]);
        make_steps(&whole, 0, STEPS);
        begin(&first, &kinds[k]);
        make_steps(&first, 0, 3);
        begin(&second, &kinds[k]);
        memcpy(second.value, first.value, sizeof second.value);
        assert_int_equal(optimiser_state_count(first.optimiser),
                         optimiser_state_count(second.optimiser));
        for (size_t i = 0; i < optimiser_state_count(first.optimiser); i++) {
            size_t count, other;
            const float *from = optimiser_state(first.optimiser, i, &count);
            float *to = optimiser_state(second.optimiser, i, &other);
            assert_int_equal(count, other);
            memcpy(to, from, count * sizeof *to);
        }
        optimiser_set_steps(second.optimiser, optimiser_steps(first.optimiser));
        make_steps(&second, 3, STEPS);
        for (int swapped = 0; swapped < 2; swapped++) {
            assert_memory_equal(second.value, whole.value, sizeof whole.value);
            assert_memory_equal(second.mean, whole.mean, sizeof whole.mean);
            optimiser_swap_average(second.optimiser);
            optimiser_swap_average(whole.optimiser);
        }
        optimiser_free(whole.optimiser);
        optimiser_free(first.optimiser);
        optimiser_free(second.optimiser);
    }
}

static void running_statistics_are_averaged_and_not_trained(void **state)
{
    (void)state;
    struct problem p;
    begin(&p, &kinds[1]);
    make_steps(&p, 0, 2);
    assert_true(p.mean[0] == 1 && p.mean[1] == 0);
    optimiser_swap_average(p.optimiser);
    /* d is 2/11 and 3/12: 0, then 0 + (1 - 1/4) * 1 */
    assert_true(fabsf(p.mean[0] - 0.75f) < 1e-6f);
    optimiser_free(p.optimiser);
}

static void refuses_a_gradient_that_is_not_finite(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        struct problem p;
        struct err e;
        float before[COUNT];
        begin(&p, &kinds[k]);
        make_steps(&p, 0, 1);
        memcpy(before, p.value, sizeof before);
        p.gradient[COUNT - 1] = k ? NAN : INFINITY;
        assert_int_equal(optimiser_step(p.optimiser, 0.1, NULL, &e), ERR_DIVERGED);
        assert_non_null(strstr(e.message, "weight"));
        assert_memory_equal(before, p.value, sizeof before);
        assert_int_equal(optimiser_steps(p.optimiser), 1);
        optimiser_free(p.optimiser);
    }
}

static void tells_the_norm_before_clipping(void **state)
{
    (void)state;
    struct problem p;
    double norm = 0;
    begin(&p, &kinds[2]);
    for (int i = 0; i < COUNT; i++)
        p.gradient[i] = 3;
    assert_int_equal(optimiser_step(p.optimiser, 0.1, &norm, NULL), ERR_OK);
    assert_true(fabs(norm - 3 * sqrt(COUNT)) < 1e-9);
    optimiser_free(p.optimiser);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_on_from_its_state_bit_for_bit),
        cmocka_unit_test(running_statistics_are_averaged_and_not_trained),
        cmocka_unit_test(refuses_a_gradient_that_is_not_finite),
        cmocka_unit_test(tells_the_norm_before_clipping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
