#include "daemon/rollout_plan.h"

#include "data/base/cleanup.h"
#include "data/base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static enum err_code read_plan(const char *text, struct rollout_plan *ret)
{
    struct err e;
    const char *reason;
    CLEANUP(json_decref_p) json_t *body = json_loads(text, 0, NULL);
    assert_non_null(body);
    return rollout_plan_read(body, ret, &reason, &e);
}

static void test_defaults(void **context)
{
    (void)context;
    struct rollout_plan p;
    assert_int_equal(read_plan("{\"canary\":{\"version\":3}}", &p), ERR_OK);
    assert_int_equal(p.canary, 3);
    assert_int_equal(p.shadow, 0);
    assert_int_equal(p.step_count, 4);
    assert_int_equal(p.steps[0], 5);
    assert_int_equal(p.steps[3], 100);
    assert_false(p.manual || p.force);
    assert_int_equal(read_plan("{\"shadow\":{\"version\":3}}", &p), ERR_OK);
    assert_int_equal(p.step_count, 0);
}

static void test_percent_is_where_it_begins(void **context)
{
    (void)context;
    struct rollout_plan p;
    assert_int_equal(read_plan("{\"canary\":{\"version\":3,\"percent\":30}}", &p), ERR_OK);
    assert_int_equal(p.step_count, 3);
    assert_int_equal(p.steps[0], 30);
    assert_int_equal(p.steps[1], 50);
    assert_int_equal(
        read_plan("{\"canary\":{\"version\":3,\"percent\":25},\"steps\":[25,100]}", &p), ERR_OK);
    assert_int_equal(p.step_count, 2);
}

static void test_refusals(void **context)
{
    (void)context;
    static const struct {
        const char *body;
        enum err_code code;
    } cases[] = {
        { "{}", ERR_FIELD_MISSING },
        { "{\"canary\":{}}", ERR_FIELD_MISSING },
        { "{\"canary\":{\"version\":0}}", ERR_FIELD_RANGE },
        { "{\"canary\":{\"version\":1,\"percent\":100}}", ERR_FIELD_RANGE },
        { "{\"canary\":{\"version\":1},\"steps\":[]}", ERR_FIELD_RANGE },
        { "{\"canary\":{\"version\":1},\"steps\":[100]}", ERR_FIELD_RANGE },
        { "{\"canary\":{\"version\":1},\"steps\":[5,50]}", ERR_FIELD_RANGE },
        { "{\"canary\":{\"version\":1},\"steps\":[50,5,100]}", ERR_FIELD_RANGE },
        { "{\"canary\":{\"version\":1},\"steps\":[\"5\",100]}", ERR_FIELD_RANGE },
        { "{\"canary\":{\"version\":1},\"steps\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,100]}",
          ERR_FIELD_RANGE },
        { "{\"canary\":{\"version\":1,\"percent\":1},"
          "\"steps\":[2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,100]}",
          ERR_FIELD_RANGE },
        { "{\"canary\":{\"version\":1},\"approve\":\"perhaps\"}", ERR_FIELD_RANGE },
        { "{\"canary\":{\"version\":1},\"force\":true}", ERR_FIELD_MISSING },
        { "{\"canary\":{\"version\":1},\"rules\":{\"alpha\":0}}", ERR_FIELD_RANGE },
        { "{\"canary\":{\"version\":1},\"rules\":{\"beta\":0.5}}", ERR_FIELD_RANGE },
        { "{\"canary\":{\"version\":1},\"rules\":{\"gamma\":1}}", ERR_FIELD_UNKNOWN },
        { "{\"canary\":{\"version\":1},\"speed\":1}", ERR_FIELD_UNKNOWN },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rollout_plan p = { .canary = 77 };
        assert_int_equal(read_plan(cases[i].body, &p), cases[i].code);
        assert_int_equal(p.canary, 77);
    }
}

static void test_expected_disagreement(void **context)
{
    (void)context;
    struct rollout_plan p;
    struct err e;
    assert_int_equal(read_plan("{\"canary\":{\"version\":3}}", &p), ERR_OK);
    struct rollout_plan q = p;
    assert_int_equal(rollout_plan_expect(&q, 0.1, &e), ERR_OK);
    assert_float_equal(q.expected_disagreement, 0.15, 1e-9);
    assert_float_equal(q.max_disagreement, 0.3, 1e-9);
    q = p; /* the worst of versions leaves room for a test */
    assert_int_equal(rollout_plan_expect(&q, 1.9, &e), ERR_OK);
    assert_float_equal(q.expected_disagreement, 0.8, 1e-9);
    assert_float_equal(q.max_disagreement, 0.95, 1e-9);
    q = p;
    q.max_disagreement = 0.15;
    assert_int_equal(rollout_plan_expect(&q, 0.1, &e), ERR_FIELD_RANGE);
    q.expected_disagreement = 0.1499; /* a test of so close ones takes for ever */
    assert_int_equal(rollout_plan_expect(&q, 0.1, &e), ERR_FIELD_RANGE);
    q.expected_disagreement = 0.1;
    assert_int_equal(rollout_plan_expect(&q, 0.1, &e), ERR_OK);
    assert_float_equal(q.expected_disagreement, 0.1, 1e-9);
}

/* What is stored reads back as the same. */
#define FIFTEEN "[2,3,4,5,6,7,8,9,10,11,12,13,14,15,100]"
static void test_stored_and_read_back(void **context)
{
    (void)context;
    static const char *const bodies[] = {
        "{\"canary\":{\"version\":3,\"percent\":30},\"shadow\":{\"version\":4},\"min_requests\":7,"
        "\"min_seconds\":0,\"approve\":\"manual\",\"force\":true,\"reason\":\"so\",\"rules\":{"
        "\"alpha\":0.01,\"beta\":0.2,\"max_error_rate\":0.1,\"max_p99_ratio\":2,"
        "\"max_feedback_losses\":0.6,\"min_feedback\":9}}",
        "{\"shadow\":{\"version\":4}}",
        "{\"canary\":{\"version\":3,\"percent\":1},\"steps\":" FIFTEEN "}",
        "{\"canary\":{\"version\":3},\"steps\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,100]}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct rollout_plan p, q;
        struct err e;
        assert_int_equal(read_plan(bodies[i], &p), ERR_OK);
        assert_int_equal(rollout_plan_expect(&p, 0.1, &e), ERR_OK);
        CLEANUP(json_decref_p) json_t *stored = rollout_plan_json(&p);
        assert_int_equal(rollout_plan_parse(stored, &q, &e), ERR_OK);
        CLEANUP(json_decref_p) json_t *again = rollout_plan_json(&q);
        assert_true(json_equal(stored, again));
        assert_int_equal(q.step_count, p.step_count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_percent_is_where_it_begins),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_expected_disagreement),
        cmocka_unit_test(test_stored_and_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
