#include "daemon/rollout_analysis.h"

#include "data/base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

static double draw(uint64_t stream, uint64_t at)
{
    uint64_t x = stream * 0x9e3779b97f4a7c15u + at * 0xbf58476d1ce4e5b9u + 1;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return (double)((x ^ x >> 31) >> 11) * 0x1p-53;
}

/* The defaults, for versions that differ on 2 % of the holdout. */
static struct rollout_plan usual_plan(void)
{
    struct rollout_plan p;
    struct err e;
    const char *reason;
    json_t *body = json_pack("{s:{s:i}}", "canary", "version", 2);
    assert_int_equal(rollout_plan_read(body, &p, &reason, &e), ERR_OK);
    assert_int_equal(rollout_plan_expect(&p, 0.02, &e), ERR_OK);
    json_decref(body);
    return p;
}

/* What two versions do in a stream of pictures. */
struct stream {
    double differ, fail, slow, losses, told; /* shares */
};

/* A whole rollout: each step until it is decided, and at least `least` pictures. */
static enum rollout_verdict roll_out(const struct rollout_plan *p, const struct stream *s,
                                     uint64_t number, int least, int64_t *ret_requests)
{
    struct rollout_analysis a;
    char reason[ROLLOUT_REASON];
    enum rollout_verdict verdict = ROLLOUT_GOES_ON;
    uint64_t at = 0;
    *ret_requests = 0;
    for (int step = 0; step < p->step_count - 1; step++) {
        rollout_analysis_begin(&a, p, step == 0);
        for (int i = 0; i < 200000; i++) {
            double d = draw(number, at++), us = 1000 + 1000 * draw(number, at++);
            bool differs = draw(number, at++) < s->differ;
            rollout_analysis_production_us(&a, 1000 + (int64_t)(1000 * draw(number, at++)));
            rollout_analysis_canary_us(&a, (int64_t)(d < s->slow ? 20 * us : us));
            rollout_analysis_pair(&a, draw(number, at++) < s->fail, differs);
            if (differs && draw(number, at++) < s->told) {
                bool lost = draw(number, at++) < s->losses;
                rollout_analysis_feedback(&a, !lost, lost);
            }
            ++*ret_requests;
            verdict = rollout_analysis_verdict(&a, reason);
            if (verdict == ROLLOUT_FAILS || (verdict == ROLLOUT_PASSES && i >= least))
                break;
        }
        if (verdict == ROLLOUT_FAILS)
            return verdict;
    }
    return verdict;
}

static int rolled_back(const struct rollout_plan *p, const struct stream *s, int rollouts,
                       int least)
{
    int count = 0;
    for (int i = 0; i < rollouts; i++) {
        int64_t requests;
        count += roll_out(p, s, (uint64_t)i + 1, least, &requests) == ROLLOUT_FAILS;
    }
    return count;
}

/* Equally good: as different as is expected at most, and told as often right as wrong. */
static const struct stream equal = {
    .differ = 0.07, .fail = 0.005, .slow = 0.01, .losses = 0.5, .told = 0.5
};

/* Of 100 rollouts at most alpha: 5, with three standard errors 11. Each step is watched for much
 * longer than its tests need. */
static void test_of_100_a_a_rollouts_few_roll_back(void **context)
{
    (void)context;
    struct rollout_plan p = usual_plan();
    assert_true(rolled_back(&p, &equal, 100, 1500) <= 5);
    p.alpha = 0.3; /* the share is a matter of alpha, so the check above is one */
    int many = rolled_back(&p, &equal, 100, 1500);
    assert_in_range(many, 1, 30);
}

static void test_of_100_that_never_differ_none_rolls_back(void **context)
{
    (void)context;
    struct rollout_plan p = usual_plan();
    const struct stream same = { 0 };
    assert_int_equal(rolled_back(&p, &same, 100, 100), 0);
}

/* A model whose labels are permuted differs always: after exactly so many requests. */
static void test_permuted_labels_roll_back_at_the_stated_request(void **context)
{
    (void)context;
    struct rollout_plan p = usual_plan();
    struct rollout_analysis a;
    char reason[ROLLOUT_REASON] = "";
    rollout_analysis_begin(&a, &p, true);
    int64_t stated = sprt_watch_fastest(&a.rules[RULE_DISAGREEMENT]);
    /* log(12 * 2 / 0.05) / log(0.22 / 0.07) = 5.39 */
    assert_int_equal(stated, 6);
    for (int64_t i = 0; i < stated; i++) {
        assert_int_equal(rollout_analysis_verdict(&a, reason), ROLLOUT_GOES_ON);
        rollout_analysis_pair(&a, false, true);
    }
    assert_int_equal(rollout_analysis_verdict(&a, reason), ROLLOUT_FAILS);
    assert_non_null(strstr(reason, "disagreement: 6 of the canary's 6 answers"));
}

/* Each rule alone, at its p1: a step passes it with a chance of at most beta, so of three steps
 * together nearly none does; watched for longer than a test needs it fails the sooner. */
static void test_each_rule_finds_what_it_is_for(void **context)
{
    (void)context;
    struct rollout_plan p = usual_plan();
    const struct stream bad[] = {
        { .differ = 0.22 },
        { .fail = 0.05 },
        { .slow = 0.1 },
        { .differ = 0.07, .told = 1, .losses = 0.75 },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        p.min_feedback = bad[i].told > 0 ? 150 : 0;
        assert_in_range(rolled_back(&p, &bad[i], 50, 300), 45, 50);
    }
}

static void test_what_a_step_waits_for(void **context)
{
    (void)context;
    struct rollout_plan p = usual_plan();
    p.min_requests = 200;
    p.min_feedback = 2;
    struct rollout_analysis a;
    char reason[ROLLOUT_REASON];
    rollout_analysis_begin(&a, &p, true);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(rollout_analysis_verdict(&a, reason), ROLLOUT_GOES_ON);
        rollout_analysis_pair(&a, false, false);
    }
    rollout_analysis_feedback(&a, true, true);
    assert_int_equal(rollout_analysis_verdict(&a, reason), ROLLOUT_GOES_ON);
    rollout_analysis_feedback(&a, false, false);
    /* Production has answered nothing alone: of latency nothing can be said. */
    assert_int_equal(rollout_analysis_verdict(&a, reason), ROLLOUT_PASSES);
    for (int i = 0; i < LATENCY_LEAST; i++)
        rollout_analysis_production_us(&a, 1000 + i);
    assert_int_equal(a.p99_us, 1098);
    rollout_analysis_canary_us(&a, 1000);
    assert_int_equal(rollout_analysis_verdict(&a, reason), ROLLOUT_GOES_ON);
    for (int i = 0; i < 100; i++)
        rollout_analysis_canary_us(&a, 1000);
    assert_int_equal(rollout_analysis_verdict(&a, reason), ROLLOUT_PASSES);
    /* The next step begins with nothing but production's latencies. */
    rollout_analysis_begin(&a, &p, false);
    assert_int_equal(rollout_analysis_verdict(&a, reason), ROLLOUT_GOES_ON);
    assert_int_equal(a.p99_us, 1098);
}

/* A stream that is told to two of them: one goes through, the other is written down and read back
 * at every turn. They say the same, up to the last bit of what is kept. */
static void test_kept_and_restored(void **context)
{
    (void)context;
    struct rollout_plan p = usual_plan();
    struct rollout_analysis whole, broken;
    char reason[ROLLOUT_REASON];
    rollout_analysis_begin(&whole, &p, true);
    rollout_analysis_begin(&broken, &p, true);
    for (uint64_t i = 0; i < 2000; i++) {
        bool differs = draw(3, i) < (i < 1500 ? 0.05 : 0.9);
        rollout_analysis_pair(&whole, false, differs);
        rollout_analysis_pair(&broken, false, differs);
        rollout_analysis_feedback(&whole, !differs, true);
        rollout_analysis_feedback(&broken, !differs, true);
        json_t *kept = rollout_analysis_json(&broken);
        rollout_analysis_begin(&broken, &p, true);
        assert_true(rollout_analysis_restore(&broken, kept));
        json_decref(kept);
        assert_int_equal(rollout_analysis_verdict(&broken, reason),
                         rollout_analysis_verdict(&whole, reason));
    }
    assert_int_equal(rollout_analysis_verdict(&whole, reason), ROLLOUT_FAILS);
    assert_true(whole.rules[RULE_ERRORS].run > 2);
    json_t *one = rollout_analysis_json(&whole), *other = rollout_analysis_json(&broken);
    for (size_t i = 0; i < ROLLOUT_RULES; i++) { /* rounded to 17 digits and back: the same */
        json_t *rule = json_array_get(json_object_get(one, "tests"), i);
        assert_true(json_equal(rule, json_array_get(json_object_get(other, "tests"), i)));
    }
    assert_true(json_equal(one, other));
    json_decref(one);
    json_decref(other);
}

static void test_what_cannot_be_restored(void **context)
{
    (void)context;
    static const struct {
        const char *member;
        json_int_t value;
    } wrong[] = { { "runs", 0 }, { "hits", -1 }, { "hits", 3 }, { "count", 0 } };
    struct rollout_plan p = usual_plan();
    struct rollout_analysis a, before;
    rollout_analysis_begin(&a, &p, true);
    rollout_analysis_pair(&a, false, true);
    before = a;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        json_t *kept = rollout_analysis_json(&a);
        json_t *test = json_array_get(json_object_get(kept, "tests"), RULE_DISAGREEMENT);
        json_object_set_new(test, wrong[i].member, json_integer(wrong[i].value));
        assert_false(rollout_analysis_restore(&a, kept));
        json_decref(kept);
    }
    json_t *kept = rollout_analysis_json(&a);
    json_t *test = json_array_get(json_object_get(kept, "tests"), RULE_DISAGREEMENT);
    json_object_set_new(test, "ratio", json_real(-100)); /* such a run has ended */
    assert_false(rollout_analysis_restore(&a, kept));
    json_object_del(test, "ratio"); /* as earlier programs kept it */
    assert_false(rollout_analysis_restore(&a, kept));
    json_object_del(kept, "tests");
    assert_false(rollout_analysis_restore(&a, kept));
    json_decref(kept);
    assert_memory_equal(&a, &before, sizeof a);
}

static void test_json(void **context)
{
    (void)context;
    struct rollout_plan p = usual_plan();
    struct rollout_analysis a;
    rollout_analysis_begin(&a, &p, true);
    rollout_analysis_pair(&a, false, true);
    json_t *shown = rollout_analysis_json(&a);
    assert_int_equal(json_integer_value(json_object_get(shown, "requests")), 1);
    const json_t *test = json_array_get(json_object_get(shown, "tests"), RULE_DISAGREEMENT);
    assert_string_equal(json_string_value(json_object_get(test, "rule")), "disagreement");
    assert_int_equal(json_integer_value(json_object_get(test, "hits")), 1);
    assert_int_equal(json_integer_value(json_object_get(test, "fastest_rejection")), 6);
    json_decref(shown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_100_a_a_rollouts_few_roll_back),
        cmocka_unit_test(test_of_100_that_never_differ_none_rolls_back),
        cmocka_unit_test(test_permuted_labels_roll_back_at_the_stated_request),
        cmocka_unit_test(test_each_rule_finds_what_it_is_for),
        cmocka_unit_test(test_what_a_step_waits_for),
        cmocka_unit_test(test_kept_and_restored),
        cmocka_unit_test(test_what_cannot_be_restored),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
