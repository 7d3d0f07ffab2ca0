#include "daemon/sprt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>

/* NIST/SEMATECH e-Handbook of Statistical Methods, 6.2.6 "What is a sequential sampling plan?":
 * p1 = 0.01, p2 = 0.10, alpha = 0.05, beta = 0.10 gives xa = -0.939 + 0.0397 n and
 * xr = 1.205 + 0.0397 n; its table: nothing can be accepted before n = 24, then 0 defectives are;
 * from n = 2 on 2 defectives are rejected, from n = 20 on (there 1.205 + 0.0397 n passes 2) 3 are.
 */
static void test_nist_sequential_sampling_plan(void **context)
{
    (void)context;
    struct sprt s;
    sprt_init(&s, 0.01, 0.10, 0.05, 0.10);
    double k = s.hit - s.miss;
    assert_true(fabs(s.accept / k - -0.939) < 0.0005);
    assert_true(fabs(s.reject / k - 1.205) < 0.0005);
    assert_true(fabs(-s.miss / k - 0.0397) < 0.0001);

    int n = 0;
    while (sprt_verdict(&s) == SPRT_GOES_ON) {
        sprt_add(&s, false);
        n++;
    }
    assert_int_equal(sprt_verdict(&s), SPRT_ACCEPTS);
    assert_int_equal(n, 24);

    sprt_init(&s, 0.01, 0.10, 0.05, 0.10);
    assert_int_equal(sprt_add(&s, true), SPRT_GOES_ON);
    assert_int_equal(sprt_add(&s, true), SPRT_REJECTS);
    /* As the 19th the second defective still rejects: 2 >= 1.2054 + 0.03975 * 19 = 1.961; as the
     * 20th it does not: 2.0003. */
    for (int last = 19; last <= 20; last++) {
        sprt_init(&s, 0.01, 0.10, 0.05, 0.10);
        sprt_add(&s, true);
        for (int i = 2; i < last; i++)
            assert_int_equal(sprt_add(&s, false), SPRT_GOES_ON);
        assert_int_equal(sprt_add(&s, true), last == 19 ? SPRT_REJECTS : SPRT_GOES_ON);
    }
}

static void test_a_verdict_stays(void **context)
{
    (void)context;
    struct sprt s;
    sprt_init(&s, 0.1, 0.5, 0.05, 0.05);
    while (sprt_add(&s, true) == SPRT_GOES_ON)
        continue;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(sprt_add(&s, false), SPRT_REJECTS);
}

static bool chance(uint64_t seed, uint64_t stream, uint64_t at, double p)
{
    /* splitmix64 of the three: the same draws on every machine. */
    uint64_t x = seed * 0x9e3779b97f4a7c15u + stream * 0xbf58476d1ce4e5b9u + at + 1;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    return (double)(x >> 11) * 0x1p-53 < p;
}

/* Share of 4000 tests that reject. */
static double reject_share(double p)
{
    int rejected = 0;
    for (uint64_t run = 0; run < 4000; run++) {
        struct sprt s;
        sprt_init(&s, 0.05, 0.15, 0.05, 0.1);
        for (uint64_t i = 0; sprt_verdict(&s) == SPRT_GOES_ON; i++)
            sprt_add(&s, chance(1, run, i, p));
        rejected += sprt_verdict(&s) == SPRT_REJECTS;
    }
    return rejected / 4000.0;
}

/* Three standard errors of 4000 draws are at most 0.015 here. */
static void test_error_rates_of_the_test(void **context)
{
    (void)context;
    assert_true(reject_share(0.05) <= 0.05 / 0.9 + 0.011);
    assert_true(1 - reject_share(0.15) <= 0.1 / 0.95 + 0.015);
    /* Halfway it decides as well, either way. */
    double middle = reject_share(0.0905);
    assert_true(middle > 0.2 && middle < 0.8);
}

/* Over 3000 observations, dozens of runs: the error rate is of all of them together. */
static void test_a_watch_keeps_its_error_rate_for_ever(void **context)
{
    (void)context;
    int failed = 0, passed = 0;
    for (uint64_t run = 0; run < 1000; run++) {
        struct sprt_watch w;
        sprt_watch_init(&w, 0.1, 0.2, 0.1, 0.1);
        for (uint64_t i = 0; i < 3000; i++)
            sprt_watch_add(&w, chance(2, run, i, 0.1));
        failed += w.failed;
        passed += w.passed;
    }
    assert_true(failed <= 100 + 28); /* 0.1 and three standard errors */
    assert_true(failed > 0);         /* or the test would say nothing */
    assert_true(passed > 900);
}

/* What was good for long and then turns bad is noticed. */
static void test_a_watch_goes_on_after_it_passed(void **context)
{
    (void)context;
    struct sprt_watch w;
    sprt_watch_init(&w, 0.05, 0.2, 0.05, 0.1);
    for (int i = 0; i < 5000; i++)
        sprt_watch_add(&w, i % 40 == 0);
    assert_true(w.passed && !w.failed && w.run > 10);
    int more = 0;
    for (; !w.failed && more < 100; more++)
        sprt_watch_add(&w, true);
    assert_in_range(more, 5, 30);
    int64_t count = w.count;
    sprt_watch_add(&w, false);
    assert_int_equal(w.count, count);
}

/* ceil(log(1 / alpha_1) / log(p1 / p0)), alpha_1 = alpha / 2. */
static void test_fastest_rejection(void **context)
{
    (void)context;
    struct sprt_watch w;
    sprt_watch_init(&w, 0.05, 0.2, 0.05, 0.1);
    assert_int_equal(sprt_watch_fastest(&w), (int64_t)ceil(log(40) / log(4)));
    for (int i = 0; i < 7; i++)
        sprt_watch_add(&w, false);
    assert_int_equal(sprt_watch_fastest(&w), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nist_sequential_sampling_plan),
        cmocka_unit_test(test_a_verdict_stays),
        cmocka_unit_test(test_error_rates_of_the_test),
        cmocka_unit_test(test_a_watch_keeps_its_error_rate_for_ever),
        cmocka_unit_test(test_a_watch_goes_on_after_it_passed),
        cmocka_unit_test(test_fastest_rejection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
