#include "daemon/queue.h"

#include "serving_fixture.h"

static void add_job(struct fixture *f, const char *id, int model)
{
    char sql[400];
    snprintf(sql, sizeof sql,
             "INSERT INTO job (id, model, state, dataset, dataset_version, backbone, mode, recipe, "
             "gate, seed, tags, requested_by, created_ms) VALUES "
             "('%s', %d, 'queued', 1, 1, 1, 'head', '{}', '{}', 0, '{}', 'me', 1)",
             id, model);
    fixture_script(f, sql);
}

static int setup(void **context)
{
    fixture_setup(context);
    add_base(*context);
    add_model(*context, 1, "m");
    add_model(*context, 2, "n");
    return 0;
}

static bool claim(struct fixture *f, struct job *ret)
{
    struct err e = { 0 };
    bool found = false;
    assert_ok(queue_claim(f->state, ret, &found, &e));
    return found;
}

static bool end(struct fixture *f, const struct job *j, enum job_state state)
{
    struct err e = { 0 };
    bool moved = false;
    const struct job_end x = { .state = state, .code = "io", .message = "m" };
    assert_ok(queue_end(f->state, j->id, j->attempt, &x, &moved, &e));
    return moved;
}

static int64_t count(struct fixture *f, const char *state)
{
    char sql[100];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM job WHERE state = '%s'", state);
    return fixture_number(f, sql);
}

static void test_moves(void **context)
{
    (void)context;
    /* [from][to] */
    static const char *const legal[JOB_STATES] = {
        [JOB_QUEUED] = "-r---c",   [JOB_RUNNING] = "q-srfc", [JOB_SUCCEEDED] = "------",
        [JOB_REJECTED] = "------", [JOB_FAILED] = "------",  [JOB_CANCELLED] = "------",
    };
    for (int from = 0; from < JOB_STATES; from++) {
        for (int to = 0; to < JOB_STATES; to++)
            assert_int_equal(job_move_is_legal((enum job_state)from, (enum job_state)to),
                             legal[from][to] != '-');
        assert_int_equal(job_state_is_final((enum job_state)from),
                         strcmp(legal[from], "------") == 0);
        enum job_state parsed = JOB_STATES;
        assert_true(job_state_parse(job_state_text((enum job_state)from), &parsed));
        assert_int_equal(parsed, from);
    }
}

static void test_claims_oldest_whose_model_is_free(void **context)
{
    struct fixture *f = *context;
    struct job j = { 0 };
    assert_false(claim(f, &j));
    add_job(f, "c", 2);
    add_job(f, "b", 1);
    add_job(f, "a", 1);
    assert_true(claim(f, &j));
    assert_string_equal(j.id, "a");
    assert_int_equal(j.attempt, 1);
    assert_true(claim(f, &j));
    assert_string_equal(j.id, "c");
    assert_false(claim(f, &j));
    assert_int_equal(count(f, "running"), 2);
    assert_true(end(f, &j, JOB_QUEUED));
    assert_true(claim(f, &j));
    assert_string_equal(j.id, "c");
    assert_int_equal(j.attempt, 2);
}

static void test_late_end_changes_nothing(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    struct job j = { 0 };
    enum job_state was;
    add_job(f, "a", 1);
    assert_true(claim(f, &j));
    assert_ok(queue_cancel(f->state, "a", "me", &was, &e));
    assert_int_equal(was, JOB_RUNNING);
    assert_false(end(f, &j, JOB_FAILED));
    assert_false(end(f, &j, JOB_QUEUED));
    bool running = true;
    assert_ok(queue_is_running(f->state, "a", 1, &running, &e));
    assert_false(running);
    assert_int_equal(count(f, "cancelled"), 1);
    assert_int_equal(fixture_number(f, "SELECT error_code IS NULL FROM job"), 1);
}

static void test_end_of_an_earlier_attempt_changes_nothing(void **context)
{
    struct fixture *f = *context;
    struct job first = { 0 }, second = { 0 };
    add_job(f, "a", 1);
    assert_true(claim(f, &first));
    assert_true(end(f, &first, JOB_QUEUED));
    assert_true(claim(f, &second));
    assert_false(end(f, &first, JOB_FAILED));
    assert_false(end(f, &first, JOB_QUEUED));
    assert_int_equal(count(f, "running"), 1);
    assert_true(end(f, &second, JOB_FAILED));
    assert_int_equal(count(f, "failed"), 1);
}

/* A row that cannot be read does not stop the queue: it is claimed, and its reading fails. */
static void test_unreadable_job(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    struct job j = { 0 };
    add_job(f, "a", 1);
    fixture_script(f, "UPDATE job SET recipe = '{\"mode\":\"gone\"}'");
    assert_true(claim(f, &j));
    assert_int_equal(queue_read(f->state, 1, &j, &e), ERR_RECIPE);
    job_fini(&j);
}

static void test_champion_is_that_of_the_claim(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    struct job j = { 0 };
    add_version(f, 1, 1, "fake a,b", "{}", true);
    add_version(f, 1, 2, "fake c,d", "{}", true);
    set_production(f, 1, 2);
    add_job(f, "a", 1);
    assert_true(claim(f, &j));
    set_production(f, 1, 1);
    assert_ok(queue_read(f->state, 3, &j, &e));
    assert_int_equal(j.champion, 2);
    assert_true(j.spec.has_champion);
    assert_int_equal(j.spec.threads, 3);
    struct digest d;
    assert_ok(digest_of("fake c,d", 8, &d, &e));
    assert_int_equal(digest_compare(&d, &j.spec.champion), 0);
    job_fini(&j);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves),        TEST(test_claims_oldest_whose_model_is_free),
        TEST(test_late_end_changes_nothing), TEST(test_end_of_an_earlier_attempt_changes_nothing),
        TEST(test_unreadable_job),           TEST(test_champion_is_that_of_the_claim),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
