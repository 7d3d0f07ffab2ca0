#include "daemon/rollouts.h"

#include "serving_fixture.h"

#include <sched.h>

struct rolling {
    struct fixture *f;
    struct serve *serve;
    struct predictions *predictions;
    struct rollouts *rollouts;
};

static void open_parts(struct rolling *r)
{
    struct err e = { 0 };
    assert_ok(serve_new(r->f->state, &(struct serve_options){ 0 }, &r->serve, &e));
    assert_ok(predictions_new(r->f->state, NULL, &r->predictions, &e));
    const struct rollouts_parts parts = { .state = r->f->state,
                                          .serve = r->serve,
                                          .predictions = r->predictions };
    assert_ok(rollouts_new(&parts, &r->rollouts, &e));
}

static void close_parts(struct rolling *r)
{
    rollouts_free(r->rollouts);
    predictions_free(r->predictions);
    serve_free(r->serve);
    assert_int_equal(atomic_load(&fake_live), 0);
}

/* Version 1 in production; 2 answers the same, 3 has permuted labels; both passed their gate. */
static void start(struct rolling *r, struct fixture *f)
{
    *r = (struct rolling){ .f = f };
    add_base(f);
    add_model(f, 1, "m");
    add_version(f, 1, 1, "fake a,b,c", "{\"passed\":true,\"champion\":null}", true);
    add_version(f, 1, 2, "fake a,b,c,d", "{\"passed\":true,\"champion\":1}", true);
    add_version(f, 1, 3, "fake b,c,a", "{\"passed\":true,\"champion\":1}", true);
    set_production(f, 1, 1);
    open_parts(r);
}

static enum err_code begin(struct rolling *r, const char *body, json_t **ret)
{
    struct err e = { 0 };
    json_t *decision = NULL;
    CLEANUP(json_decref_p) json_t *asked = json_loads(body, 0, NULL);
    enum err_code code = rollouts_start(r->rollouts, "m", asked, "me", ret, &decision, &e);
    json_decref(decision);
    return code;
}

static void begin_and_drop(struct rolling *r, const char *body)
{
    json_t *shown = NULL;
    assert_int_equal(begin(r, body, &shown), ERR_OK);
    json_decref(shown);
}

/* What scoring does: asks who answers, scores, tells. */
static int64_t score(struct rolling *r, const char *client)
{
    struct err e = { 0 };
    struct serve_ref *ref = NULL;
    struct traffic *t = rollouts_traffic(r->rollouts);
    assert_ok(serve_borrow(r->serve, "m", 0, &ref, &e));
    ref = traffic_route(t, ref, client);
    const struct prediction p = { .label = serve_ref_labels(ref)[1] };
    const struct score_result result = { .model = "m",
                                         .version = serve_ref_version(ref),
                                         .predictions = &p,
                                         .count = 1,
                                         .times = { .taken = 1, .computed = 1001 } };
    const struct traffic_answer a = { .result = &result, .bytes = "\1", .len = 1 };
    traffic_answered(t, &a);
    serve_release(ref);
    return result.version;
}

static void state_of(struct rolling *r, char ret[32])
{
    struct err e = { 0 };
    CLEANUP(json_decref_p) json_t *shown = NULL;
    assert_ok(rollouts_show(r->rollouts, "m", &shown, &e));
    snprintf(ret, 32, "%s", json_string_value(json_object_get(shown, "state")));
}

/* Scores for ever new clients until it is so. */
static void score_until(struct rolling *r, const char *wanted)
{
    char state[32] = "";
    for (int i = 0; strcmp(state, wanted) != 0; i++) {
        char client[32];
        snprintf(client, sizeof client, "c%d", i);
        score(r, client);
        assert_true(i < 1000000);
        if (i % 16 == 0) {
            sched_yield(); /* to the mirror */
            state_of(r, state);
        }
    }
}

static int64_t count(struct rolling *r, const char *type)
{
    char sql[100];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM event WHERE type = '%s'", type);
    return fixture_number(r->f, sql);
}

#define QUICK "\"min_seconds\":0,\"min_requests\":10"

static void test_steps_to_production(void **context)
{
    struct rolling r;
    start(&r, *context);
    begin_and_drop(&r, "{\"canary\":{\"version\":2}," QUICK ",\"steps\":[30,60,100]}");
    assert_int_equal(fixture_number(r.f, "SELECT version FROM alias WHERE name = 'canary'"), 2);
    score_until(&r, "completed");
    assert_int_equal(fixture_number(r.f, "SELECT version FROM alias WHERE name = 'production'"), 2);
    assert_int_equal(fixture_number(r.f, "SELECT count(*) FROM alias"), 1);
    assert_int_equal(score(&r, "anybody"), 2);
    assert_int_equal(count(&r, "rollout.started"), 1);
    assert_int_equal(count(&r, "rollout.step"), 1);
    assert_int_equal(count(&r, "rollout.completed"), 1);
    close_parts(&r);
}

static void test_rolled_back(void **context)
{
    struct rolling r;
    start(&r, *context);
    begin_and_drop(&r, "{\"canary\":{\"version\":3}," QUICK "}");
    score_until(&r, "rolled_back");
    assert_int_equal(fixture_number(r.f, "SELECT version FROM alias WHERE name = 'production'"), 1);
    assert_int_equal(fixture_number(r.f, "SELECT count(*) FROM alias"), 1);
    assert_int_equal(count(&r, "rollout.rolled_back"), 1);
    for (int i = 0; i < 100; i++)
        assert_int_equal(score(&r, NULL), 1);
    assert_int_equal(fixture_number(r.f, "SELECT reason LIKE 'disagreement: %' FROM rollout"), 1);
    close_parts(&r);
}

static void test_a_word_is_waited_for(void **context)
{
    struct rolling r;
    struct err e = { 0 };
    start(&r, *context);
    begin_and_drop(&r, "{\"canary\":{\"version\":2}," QUICK ",\"approve\":\"manual\"}");
    json_t *shown = NULL;
    assert_int_equal(rollouts_approve(r.rollouts, "m", "boss", &shown, &e), ERR_ROLLOUT_STATE);
    score_until(&r, "waiting");
    assert_ok(rollouts_approve(r.rollouts, "m", "boss", &shown, &e));
    assert_int_equal(json_integer_value(json_object_get(shown, "percent")), 25);
    json_decref(STEAL(shown));
    assert_ok(rollouts_reject(r.rollouts, "m", "no", "boss", &shown, &e));
    assert_string_equal(json_string_value(json_object_get(shown, "reason")), "no");
    json_decref(STEAL(shown));
    assert_int_equal(rollouts_abort(r.rollouts, "m", "boss", &shown, &e), ERR_ROLLOUT_STATE);
    assert_int_equal(count(&r, "rollout.approved"), 1);
    close_parts(&r);
}

/* The step is in the database, and the numbers of it. */
static void test_after_a_restart(void **context)
{
    struct rolling r;
    struct err e = { 0 };
    start(&r, *context);
    begin_and_drop(&r, "{\"canary\":{\"version\":2,\"percent\":40}}");
    bool was_in[50];
    for (int i = 0; i < 50; i++)
        was_in[i] = score(&r, (char[]){ (char)('A' + i), 0 }) == 2;
    CLEANUP(json_decref_p) json_t *before = NULL;
    do { /* the mirror has its own pace */
        json_decref(before);
        before = NULL;
        assert_ok(rollouts_show(r.rollouts, "m", &before, &e));
    } while (!json_integer_value(json_object_get(json_object_get(before, "analysis"), "requests")));
    close_parts(&r);
    open_parts(&r);
    CLEANUP(json_decref_p) json_t *shown = NULL;
    assert_ok(rollouts_show(r.rollouts, "m", &shown, &e));
    assert_int_equal(json_integer_value(json_object_get(shown, "percent")), 40);
    assert_true(
        json_equal(json_object_get(shown, "step_began"), json_object_get(before, "step_began")));
    const json_t *analysis = json_object_get(shown, "analysis");
    assert_true(json_integer_value(json_object_get(analysis, "requests")) > 0);
    assert_true(
        json_integer_value(json_object_get(analysis, "requests")) >=
        json_integer_value(json_object_get(json_object_get(before, "analysis"), "requests")));
    const json_t *test = json_array_get(json_object_get(analysis, "tests"), 0);
    assert_true(json_real_value(json_object_get(test, "ratio")) < 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(was_in[i], score(&r, (char[]){ (char)('A' + i), 0 }) == 2);
    close_parts(&r);
}

/* Killed between the promotion and the rollout's end. */
static void test_promoted_but_not_ended(void **context)
{
    struct rolling r;
    start(&r, *context);
    begin_and_drop(&r, "{\"canary\":{\"version\":2}}");
    close_parts(&r);
    set_production(r.f, 1, 2);
    open_parts(&r);
    score_until(&r, "completed");
    close_parts(&r);
}

static void test_another_version_goes_into_production(void **context)
{
    struct rolling r;
    start(&r, *context);
    begin_and_drop(&r, "{\"canary\":{\"version\":2}}");
    set_production(r.f, 1, 3);
    score_until(&r, "aborted");
    close_parts(&r);
}

static void test_refusals(void **context)
{
    struct rolling r;
    start(&r, *context);
    json_t *shown = NULL;
    assert_int_equal(begin(&r, "{\"canary\":{\"version\":9}}", &shown), ERR_VERSION_UNKNOWN);
    assert_int_equal(begin(&r, "{\"canary\":{\"version\":1}}", &shown), ERR_FIELD_RANGE);
    begin_and_drop(&r, "{\"shadow\":{\"version\":3}}");
    assert_int_equal(begin(&r, "{\"canary\":{\"version\":2}}", &shown), ERR_ROLLOUT_OPEN);
    fixture_script(r.f, "DELETE FROM alias WHERE name = 'production'");
    assert_int_equal(begin(&r, "{\"canary\":{\"version\":2}}", &shown), ERR_NOT_PROMOTED);
    assert_null(shown);
    close_parts(&r);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(test_steps_to_production),
        T(test_rolled_back),
        T(test_a_word_is_waited_for),
        T(test_after_a_restart),
        T(test_promoted_but_not_ended),
        T(test_another_version_goes_into_production),
        T(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
