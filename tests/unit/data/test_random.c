#include "data/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The published first numbers of SplitMix64 from state 1234567. */
static void test_splitmix(void **state)
{
    (void)state;
    struct random r = { .state = 1234567 };
    assert_true(random_next(&r) == 6457827717110365317u);
    assert_true(random_next(&r) == 3203168211198807973u);
    assert_true(random_next(&r) == 9817491932198370423u);
}

static void test_streams_differ(void **state)
{
    (void)state;
    uint64_t seen[5];
    const struct random streams[5] = { random_stream(1, 2, 3, 0), random_stream(2, 1, 3, 0),
                                       random_stream(1, 3, 2, 0), random_stream(1, 2, 3, 1),
                                       random_stream(0, 0, 0, 0) };
    for (size_t i = 0; i < 5; i++) {
        struct random r = streams[i];
        seen[i] = random_next(&r);
        for (size_t j = 0; j < i; j++)
            assert_true(seen[i] != seen[j]);
    }
}

/* Means and deviations within five standard errors. */
static void test_distributions(void **state)
{
    (void)state;
    enum { DRAWS = 40000 };
    struct random r = random_stream(7, 0, 0, 0);
    double sum[6] = { 0 }, squares[6] = { 0 };
    for (int i = 0; i < DRAWS; i++) {
        const double drawn[6] = { random_unit(&r),      random_between(&r, -3, 5),
                                  random_normal(&r),    random_beta(&r, 0.2),
                                  random_below(&r, 10), random_beta(&r, 3) };
        for (int j = 0; j < 6; j++) {
            sum[j] += drawn[j];
            squares[j] += drawn[j] * drawn[j];
        }
    }
    const double mean[6] = { 0.5, 1, 0, 0.5, 4.5, 0.5 };
    const double variance[6] = { 1.0 / 12, 64.0 / 12, 1, 0.25 / 1.4, 99.0 / 12, 0.25 / 7 };
    for (int j = 0; j < 6; j++) {
        double m = sum[j] / DRAWS, v = squares[j] / DRAWS - m * m;
        if (fabs(m - mean[j]) > 5 * sqrt(variance[j] / DRAWS))
            fail_msg("distribution %d: mean %g, not %g", j, m, mean[j]);
        if (fabs(v / variance[j] - 1) > 0.06)
            fail_msg("distribution %d: variance %g, not %g", j, v, variance[j]);
    }
}

/* With a small parameter the two Gamma numbers leave the range of a double. */
static void test_beta_of_little(void **state)
{
    (void)state;
    struct random r = random_stream(9, 0, 0, 0);
    int ones = 0;
    for (int i = 0; i < 2000; i++) {
        double x = random_beta(&r, 1e-4);
        assert_true(x >= 0 && x <= 1);
        ones += x > 0.5;
    }
    assert_in_range(ones, 850, 1150);
}

static void test_permutation_is_one(void **state)
{
    (void)state;
    bool seen[1000];
    for (uint64_t count = 1; count <= 1000; count = count * 3 + 1) {
        memset(seen, 0, sizeof seen);
        for (uint64_t i = 0; i < count; i++) {
            uint64_t to = random_permute(42, count, i);
            assert_true(to < count);
            assert_false(seen[to]);
            seen[to] = true;
        }
    }
    assert_true(random_permute(5, (uint64_t)1 << 40, 123456789) < (uint64_t)1 << 40);
}

/* All 120 orders of five things come up as often: chi-square with 119 degrees of freedom has mean
 * 119 and deviation 15.4. */
static void test_permutations_are_even(void **state)
{
    (void)state;
    enum { KEYS = 60000 };
    static int seen[3125];
    for (uint64_t key = 0; key < KEYS; key++) {
        size_t code = 0;
        for (uint64_t i = 0; i < 5; i++)
            code = code * 5 + (size_t)random_permute(random_stream(3, key, 0, 0).state, 5, i);
        seen[code]++;
    }
    double chi = 0, expected = KEYS / 120.0;
    int orders = 0;
    for (size_t i = 0; i < 3125; i++)
        if (seen[i] > 0) {
            orders++;
            chi += (seen[i] - expected) * (seen[i] - expected) / expected;
        }
    assert_int_equal(orders, 120);
    if (chi > 119 + 5 * 15.4)
        fail_msg("chi-square %g", chi);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splitmix),           cmocka_unit_test(test_streams_differ),
        cmocka_unit_test(test_distributions),      cmocka_unit_test(test_beta_of_little),
        cmocka_unit_test(test_permutation_is_one), cmocka_unit_test(test_permutations_are_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
