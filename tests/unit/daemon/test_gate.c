#include "daemon/gate.h"
#include "daemon/mcnemar.h"
#include "daemon/paired_score.h"

#include "data/base/cleanup.h"
#include "data/base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

/* A report of `count` holdout pictures in which only the paired counts matter. */
static json_t *report_of(int both, int only_challenger, int only_champion, int neither,
                         double majority)
{
    int count = both + only_challenger + only_champion + neither;
    json_t *report = json_pack(
        "{s:{s:s, s:i, s:s}, s:{s:f, s:f, s:[{s:s, s:f, s:i}, {s:s, s:f, s:i}, {s:s, s:f, "
        "s:i}]}, s:{s:f}, s:f, s:{s:i, s:i, s:i, s:i}}",
        "holdout", "split", "val", "count", count, "digest", "abc", "metrics", "accuracy",
        (double)(both + only_challenger) / count, "calibration_error", 0.125, "per_class", "label",
        "cat", "recall", 0.75, "support", 4, "label", "none", "recall", 0.0, "support", 0, "label",
        "dog", "recall", 0.875, "support", 8, "champion_metrics", "accuracy",
        (double)(both + only_champion) / count, "majority_accuracy", majority, "paired", "both",
        both, "only_challenger", only_challenger, "only_champion", only_champion, "neither",
        neither);
    assert_non_null(report);
    return report;
}

static json_t *text(const char *json)
{
    json_t *value = json_loads(json, 0, NULL);
    assert_non_null(value);
    return value;
}

static json_t *decide(const char *gate, json_t *report, int64_t champion)
{
    struct err e = { 0 };
    CLEANUP(json_decref_p) json_t *rules = text(gate);
    json_t *decision = NULL;
    enum err_code r = gate_decide(rules, report, champion, 1000, &decision, &e);
    json_decref(report);
    if (r)
        fail_msg("%s: %s", err_slug(r), e.message);
    return decision;
}

static bool passes(const char *gate, json_t *report, int64_t champion)
{
    CLEANUP(json_decref_p) json_t *decision = decide(gate, report, champion);
    bool passed = json_is_true(json_object_get(decision, "passed"));
    assert_int_equal(json_array_size(json_object_get(decision, "reasons")) == 0, passed);
    return passed;
}

static double p_of(int b, int c)
{
    CLEANUP(json_decref_p) json_t *decision = decide("{}", report_of(5, b, c, 3, 0.1), 1);
    return json_real_value(json_object_get(decision, "mcnemar_p"));
}

static void test_exact_p(void **context)
{
    (void)context;
    /* Bentur et al. 2009, airway hyper-responsiveness before and after stem cell transplantation in
     * 21 children: 1 and 7 discordant pairs; the worked example of Fagerland, Lydersen & Laake,
     * "The McNemar test for binary matched-pairs data", BMC Medical Research Methodology 13:91
     * (2013): exact p = 2 binomcdf(1, 8, 0.5) = 0.0703. */
    assert_float_equal(p_of(1, 7), 0.0703125, 1e-12);
    assert_float_equal(p_of(7, 1), 0.0703125, 1e-12);
    /* The rest in exact integer arithmetic (Python's math.comb). */
    assert_float_equal(p_of(6, 16), 0.052478790283203125, 1e-12);
    assert_float_equal(p_of(86, 150), 3.715936139571442e-05, 1e-15);
    assert_float_equal(p_of(121, 59), 4.434449263755176e-06, 1e-16);
    assert_float_equal(p_of(3, 3), 1, 0);
    assert_float_equal(p_of(0, 0), 1, 0);
    assert_float_equal(p_of(0, 5), 0.0625, 1e-15);
    /* 2^-2000 underflows as a double's power; the sum in logarithms does not lose the tail. */
    assert_float_equal(p_of(900, 1100), 8.457089535503927e-06, 1e-15);
    assert_true(p_of(0, 4000) >= 0 && p_of(0, 4000) < 1e-300);
}

static void test_superiority(void **context)
{
    (void)context;
    assert_true(passes("{}", report_of(80, 6, 5, 9, 0.1), 3));
    assert_false(passes("{}", report_of(80, 5, 5, 10, 0.1), 3));
    assert_false(passes("{}", report_of(80, 4, 5, 11, 0.1), 3));
    /* At the margin of 7 of 100 pictures and one past it; 0.07 * 100 is above 7 in doubles. */
    assert_false(passes("{\"margin\":0.07}", report_of(80, 9, 2, 9, 0.1), 3));
    assert_true(passes("{\"margin\":0.07}", report_of(80, 10, 2, 8, 0.1), 3));
}

static void test_non_inferiority(void **context)
{
    (void)context;
    const char *gate = "{\"rule\":\"non_inferiority\",\"margin\":0.07}";
    assert_true(passes(gate, report_of(80, 2, 9, 9, 0.1), 3));
    assert_false(passes(gate, report_of(80, 2, 10, 8, 0.1), 3));
    assert_true(passes("{\"rule\":\"non_inferiority\"}", report_of(80, 5, 5, 10, 0.1), 3));
}

/* max_p is held with either rule: 1,000 pictures tell what 100 do not. */
static void test_non_inferiority_by_a_test(void **context)
{
    (void)context;
    const char *gate = "{\"rule\":\"non_inferiority\",\"margin\":0.02,\"max_p\":0.05}";
    assert_false(passes(gate, report_of(80, 3, 3, 14, 0.1), 3));
    assert_true(passes(gate, report_of(800, 30, 30, 140, 0.1), 3));
    assert_false(passes(gate, report_of(800, 25, 35, 140, 0.1), 3));
    CLEANUP(json_decref_p) json_t *decision = decide(gate, report_of(80, 3, 3, 14, 0.1), 3);
    const char *why = json_string_value(json_array_get(json_object_get(decision, "reasons"), 0));
    assert_non_null(strstr(why, "100 pictures cannot tell"));
    assert_float_equal(json_real_value(json_object_get(decision, "non_inferiority_p")),
                       paired_score_p(3, 3, 100, 0.02), 0);
}

/* A bound of a 95 % score interval is the margin whose one-sided p is 0.025. From chapter 8 of
 * Fagerland, Lydersen & Laake, "Statistical Analysis of Contingency Tables" (2017), with its R
 * package contingencytables: Cavo et al. 2012, 6 and 16 discordant of 161 pairs, -0.1240 to
 * -0.0054; Bentur et al. 2009 (as above), 1 and 7 of 21, -0.517 to -0.026. Rounded there, hence the
 * two sides of each. */
static void test_score_intervals(void **context)
{
    (void)context;
    static const struct {
        int b, c, n;
        double lower, upper, rounding; /* of the margin, so with the other sign */
    } cases[] = { { 6, 16, 161, 0.1240, 0.0054, 0.00005 }, { 1, 7, 21, 0.517, 0.026, 0.0005 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int b = cases[i].b, c = cases[i].c, n = cases[i].n;
        double r = cases[i].rounding;
        assert_true(paired_score_p(b, c, n, cases[i].lower - r) > 0.025);
        assert_true(paired_score_p(b, c, n, cases[i].lower + r) < 0.025);
        assert_true(paired_score_p(b, c, n, cases[i].upper - r) > 0.975);
        assert_true(paired_score_p(b, c, n, cases[i].upper + r) < 0.975);
    }
    /* At a margin of 0: McNemar's (b - c) / sqrt(b + c), and the other way round the rest to 1. */
    double better = paired_score_p(16, 6, 161, 0), worse = paired_score_p(6, 16, 161, 0);
    assert_true(fabs(better - erfc(10 / sqrt(44)) / 2) < 1e-12);
    assert_true(fabs(better + worse - 1) < 1e-12);
    /* Nothing discordant: sqrt(n m / (1 - m)). */
    double same = paired_score_p(0, 0, 100, 0.05);
    assert_true(fabs(same - erfc(sqrt(5 / 0.95 / 2)) / 2) < 1e-12);
    assert_true(paired_score_p(0, 0, 100, 0) >= 1);
    assert_true(paired_score_p(0, 0, 100, 1) <= 0);
}

static void test_first_version_beats_majority(void **context)
{
    (void)context;
    assert_true(passes("{}", report_of(40, 11, 0, 49, 0.5), 0));
    assert_false(passes("{}", report_of(40, 10, 0, 50, 0.5), 0));
}

static void test_minimum_is_inclusive(void **context)
{
    (void)context;
    assert_true(passes("{\"min_accuracy\":0.75}", report_of(60, 15, 2, 23, 0.5), 0));
    assert_false(passes("{\"min_accuracy\":0.75}", report_of(60, 14, 2, 24, 0.5), 0));
    assert_false(passes("{\"min_accuracy\":0.75}", report_of(60, 14, 2, 24, 0.5), 9));
}

static void test_decision_has_all_numbers(void **context)
{
    (void)context;
    CLEANUP(json_decref_p)
    json_t *decision =
        decide("{\"margin\":0.02,\"min_accuracy\":0.9}", report_of(80, 4, 5, 11, 0.25), 3);
    CLEANUP(json_decref_p) json_t *reasons = json_incref(json_object_get(decision, "reasons"));
    assert_int_equal(json_array_size(reasons), 2);
    const char *first = json_string_value(json_array_get(reasons, 0));
    assert_non_null(strstr(first, "0.8400"));
    assert_non_null(strstr(first, "0.8500 of version 3"));
    assert_non_null(strstr(first, "4 pictures of 100 right by the challenger alone, 5 by the "
                                  "champion alone"));
    json_object_del(decision, "reasons");
    CLEANUP(json_decref_p)
    json_t *expected =
        text("{\"passed\":false,\"rule\":\"superiority\",\"margin\":0.02,\"min_accuracy\":0.9,"
             "\"max_p\":1.0,\"min_recall\":0.0,\"max_calibration_error\":1.0,\"min_holdout\":0,"
             "\"max_latency_ms\":null,\"max_bytes\":null,\"smallest_difference\":0.07,"
             "\"worst_recall\":{\"label\":\"cat\",\"recall\":0.75,\"support\":4},"
             "\"calibration_error\":0.125,\"latency_ms\":null,\"bytes\":1000,"
             "\"champion\":3,\"holdout\":{\"split\":\"val\",\"count\":100,\"digest\":\"abc\"},"
             "\"accuracy\":0.84,\"champion_accuracy\":0.85,\"majority_accuracy\":0.25,"
             "\"paired\":{\"both\":80,\"only_challenger\":4,\"only_champion\":5,\"neither\":11},"
             "\"mcnemar_p\":1.0,\"non_inferiority_p\":null}");
    char *shown = json_dumps(decision, JSON_SORT_KEYS);
    if (!json_equal(decision, expected))
        fail_msg("%s", shown);
    free(shown);
}

static void test_without_champion_no_comparison(void **context)
{
    (void)context;
    CLEANUP(json_decref_p)
    json_t *decision = decide("{}", report_of(80, 4, 5, 11, 0.25), 0);
    static const char *const absent[] = { "champion", "champion_accuracy", "paired", "mcnemar_p",
                                          "smallest_difference" };
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        assert_true(json_is_null(json_object_get(decision, absent[i])));
}

static enum err_code check(const char *gate, json_t **ret)
{
    struct err e;
    CLEANUP(json_decref_p) json_t *value = text(gate);
    return gate_check(value, ret, &e);
}

static void test_check_spells_out_defaults(void **context)
{
    (void)context;
    json_t *full = NULL;
    assert_int_equal(check("{\"margin\":1}", &full), ERR_OK);
    CLEANUP(json_decref_p)
    json_t *expected =
        text("{\"rule\":\"superiority\",\"margin\":1.0,\"min_accuracy\":0.0,\"max_p\":1.0,"
             "\"min_recall\":0.0,\"max_calibration_error\":1.0,\"min_holdout\":0,"
             "\"max_latency_ms\":null,\"max_bytes\":null}");
    assert_true(json_equal(full, expected));
    json_decref(full);
    assert_int_equal(gate_check(NULL, &full, NULL), ERR_OK);
    json_decref(full);
}

static void test_check_refuses(void **context)
{
    (void)context;
    json_t *untouched = NULL;
    assert_int_equal(check("{\"magin\":0.1}", &untouched), ERR_FIELD_UNKNOWN);
    assert_int_equal(check("{\"margin\":1.01}", &untouched), ERR_FIELD_RANGE);
    assert_int_equal(check("{\"margin\":-0.01}", &untouched), ERR_FIELD_RANGE);
    assert_int_equal(check("{\"min_accuracy\":2}", &untouched), ERR_FIELD_RANGE);
    assert_int_equal(check("{\"rule\":\"best\"}", &untouched), ERR_FIELD_RANGE);
    assert_int_equal(check("{\"rule\":1}", &untouched), ERR_JSON_TYPE);
    assert_null(untouched);
}

static void test_p_ceiling(void **context)
{
    (void)context;
    assert_true(passes("{\"max_p\":0.0704}", report_of(80, 7, 1, 12, 0.1), 3));
    assert_false(passes("{\"max_p\":0.0703}", report_of(80, 7, 1, 12, 0.1), 3));
    assert_false(
        passes("{\"rule\":\"non_inferiority\",\"max_p\":0}", report_of(80, 5, 5, 10, 0.1), 3));
    assert_true(passes("{\"max_p\":0}", report_of(60, 15, 2, 23, 0.5), 0));
}

static void test_floors_and_ceilings_at_the_limit_and_past_it(void **context)
{
    (void)context;
    static const struct {
        const char *at, *past;
    } cases[] = {
        { "{\"min_recall\":0.75}", "{\"min_recall\":0.7501}" },
        { "{\"max_calibration_error\":0.125}", "{\"max_calibration_error\":0.1249}" },
        { "{\"min_holdout\":100}", "{\"min_holdout\":101}" },
        { "{\"max_bytes\":1000}", "{\"max_bytes\":999}" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int champion = 0; champion < 2; champion++) {
            assert_true(passes(cases[i].at, report_of(80, 10, 2, 8, 0.1), champion));
            assert_false(passes(cases[i].past, report_of(80, 10, 2, 8, 0.1), champion));
        }
}

static void test_latency(void **context)
{
    (void)context;
    json_t *report = report_of(80, 10, 2, 8, 0.1);
    json_object_set_new(report, "latency_ms", json_real(4.5));
    assert_true(passes("{\"max_latency_ms\":4.5}", json_incref(report), 1));
    assert_false(passes("{\"max_latency_ms\":4.4}", report, 1));
    assert_false(passes("{\"max_latency_ms\":4.5}", report_of(80, 10, 2, 8, 0.1), 1));
    CLEANUP(json_decref_p) json_t *gate = text("{\"max_latency_ms\":4.5}");
    assert_true(gate_wants_latency(gate));
    assert_false(gate_wants_latency(NULL));
}

/* By trying every difference. */
static int64_t smallest_by_search(int64_t discordant)
{
    while (mcnemar_p(discordant, 0) > 0.05)
        discordant++;
    int64_t best = discordant;
    for (int64_t b = 0; 2 * b <= discordant; b++)
        if (mcnemar_p(b, discordant - b) <= 0.05)
            best = discordant - 2 * b;
    return best;
}

static void test_smallest_difference(void **context)
{
    (void)context;
    /* 2 / 2^6 is the first below 0.05. */
    assert_int_equal(mcnemar_smallest(0, 0.05), 6);
    assert_int_equal(mcnemar_smallest(6, 0.05), 6);
    for (int64_t n = 0; n < 300; n++)
        assert_int_equal(mcnemar_smallest(n, 0.05), smallest_by_search(n));
}

static void test_incomplete_report_is_a_fault(void **context)
{
    (void)context;
    struct err e = { 0 };
    json_t *untouched = NULL;
    CLEANUP(json_decref_p) json_t *report = report_of(8, 1, 1, 0, 0.1);
    json_object_set_new(report, "paired", json_null());
    assert_int_equal(gate_decide(NULL, report, 1, 1000, &untouched, &e), ERR_INTERNAL);
    json_object_del(report, "metrics");
    assert_int_equal(gate_decide(NULL, report, 0, 1000, &untouched, &e), ERR_INTERNAL);
    CLEANUP(json_decref_p) json_t *wrong = report_of(8, 1, 1, 0, 0.1);
    json_object_set_new(json_object_get(wrong, "paired"), "both", json_integer(7));
    assert_int_equal(gate_decide(NULL, wrong, 1, 1000, &untouched, &e), ERR_INTERNAL);
    assert_null(untouched);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_p),
        cmocka_unit_test(test_superiority),
        cmocka_unit_test(test_non_inferiority),
        cmocka_unit_test(test_first_version_beats_majority),
        cmocka_unit_test(test_minimum_is_inclusive),
        cmocka_unit_test(test_decision_has_all_numbers),
        cmocka_unit_test(test_without_champion_no_comparison),
        cmocka_unit_test(test_check_spells_out_defaults),
        cmocka_unit_test(test_check_refuses),
        cmocka_unit_test(test_p_ceiling),
        cmocka_unit_test(test_floors_and_ceilings_at_the_limit_and_past_it),
        cmocka_unit_test(test_latency),
        cmocka_unit_test(test_smallest_difference),
        cmocka_unit_test(test_non_inferiority_by_a_test),
        cmocka_unit_test(test_score_intervals),
        cmocka_unit_test(test_incomplete_report_is_a_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
