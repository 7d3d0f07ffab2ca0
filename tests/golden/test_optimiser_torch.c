#include "nn/optimiser.h"
#include "nn/schedule.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The problem of optimiser_torch.py: two parameters, of FIRST and of ALL - FIRST numbers. */
enum { FIRST = 11, ALL = 16, STEPS = 6, RATES = 30 };
static const double rate = 0.05, second_factor = 0.1;

static const struct {
    enum optimiser_kind kind;
    double momentum;
    bool nesterov;
    double decay, clip, average;
    double weights[ALL], averages[ALL];
} optimisers[] = {
#include "tests/golden/optimiser_torch.inc"
};

static const struct {
    enum schedule_kind kind;
    int64_t every, warmup, steps;
    double last, rates[RATES];
} schedules[] = {
#include "tests/golden/schedule_torch.inc"
};

static void take_numbers(uint32_t *state, float *ret)
{
    for (int i = 0; i < ALL; i++) {
        *state = *state * 1664525u + 1013904223u;
        ret[i] = (float)(*state >> 8) / 8388608.0f - 1;
    }
}

static void expect_near(size_t row, const char *what, const float *ours, const double *theirs)
{
    for (int i = 0; i < ALL; i++)
        if (!(fabs((double)ours[i] - theirs[i]) <= 1e-6))
            fail_msg("row %zu: %s %d is %.9g, PyTorch has %.9g", row, what, i, (double)ours[i],
                     theirs[i]);
}

static void optimisers_agree_with_pytorch(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof optimisers / sizeof *optimisers; k++) {
        float value[ALL], gradient[ALL];
        uint32_t numbers = 12345;
        const struct optimiser_param params[] = {
            { "first", value, gradient, FIRST, true, 1 },
            { "second", value + FIRST, gradient + FIRST, ALL - FIRST, false, second_factor },
        };
        const struct optimiser_options o = { .kind = optimisers[k].kind,
                                             .momentum = optimisers[k].momentum,
                                             .nesterov = optimisers[k].nesterov,
                                             .weight_decay = optimisers[k].decay,
                                             .clip = optimisers[k].clip,
                                             .average = optimisers[k].average };
        struct optimiser *x;
        take_numbers(&numbers, value);
        assert_int_equal(optimiser_new(params, 2, &o, &x, NULL), ERR_OK);
        for (int s = 0; s < STEPS; s++) {
            take_numbers(&numbers, gradient);
            assert_int_equal(optimiser_step(x, rate, NULL, NULL), ERR_OK);
        }
        expect_near(k, "weight", value, optimisers[k].weights);
        optimiser_swap_average(x);
        expect_near(k, "average", value,
                    o.average > 0 ? optimisers[k].averages : optimisers[k].weights);
        optimiser_swap_average(x);
        expect_near(k, "weight", value, optimisers[k].weights);
        optimiser_free(x);
    }
}

static void schedules_agree_with_pytorch(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof schedules / sizeof *schedules; k++) {
        const struct schedule s = { .kind = schedules[k].kind,
                                    .rate = rate,
                                    .last = schedules[k].last,
                                    .factor = 0.1,
                                    .every = schedules[k].every,
                                    .warmup = schedules[k].warmup,
                                    .steps = schedules[k].steps };
        for (int64_t t = 0; t < s.steps; t++) {
            double ours = schedule_rate(&s, t), theirs = schedules[k].rates[t];
            if (!(fabs(ours - theirs) <= 1e-8 * rate))
                fail_msg("row %zu: step %d has rate %.10g, PyTorch has %.10g", k, (int)t, ours,
                         theirs);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(optimisers_agree_with_pytorch),
                                        cmocka_unit_test(schedules_agree_with_pytorch) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
