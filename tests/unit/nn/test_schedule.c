#include "nn/schedule.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct schedule base = { .rate = 1, .factor = 0.1, .every = 1 };

static void names_come_back(void **state)
{
    (void)state;
    for (int k = 0; k < SCHEDULE_KINDS; k++) {
        enum schedule_kind kind;
        assert_true(schedule_parse(schedule_text((enum schedule_kind)k), &kind));
        assert_int_equal(kind, k);
    }
    enum schedule_kind untouched = SCHEDULE_STEP;
    assert_false(schedule_parse("Cosine", &untouched));
    assert_int_equal(untouched, SCHEDULE_STEP);
}

/* Whatever the lengths, a rate is a number between 0 and the largest. */
static void rates_stay_in_range(void **state)
{
    (void)state;
    for (int k = 0; k < SCHEDULE_KINDS; k++)
        for (int64_t steps = 0; steps < 9; steps++)
            for (int64_t warmup = 0; warmup <= steps + 1; warmup++)
                for (int64_t t = 0; t < steps + 3; t++) {
                    struct schedule s = base;
                    s.kind = (enum schedule_kind)k;
                    s.steps = steps;
                    s.warmup = warmup;
                    double rate = schedule_rate(&s, t);
                    if (!(rate >= 0 && rate <= 1))
                        fail_msg("%s, %d of %d steps, warm-up %d: rate %g", schedule_text(s.kind),
                                 (int)t, (int)steps, (int)warmup, rate);
                }
}

static void stays_where_it_ended(void **state)
{
    (void)state;
    struct schedule s = base;
    s.kind = SCHEDULE_COSINE;
    s.steps = 10;
    assert_true(schedule_rate(&s, 9) > 0);
    assert_true(schedule_rate(&s, 9) == schedule_rate(&s, 10));
    assert_true(schedule_rate(&s, 9) == schedule_rate(&s, 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_come_back),
        cmocka_unit_test(rates_stay_in_range),
        cmocka_unit_test(stays_where_it_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
