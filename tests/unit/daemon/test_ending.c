#include "daemon/ending.h"

#include "daemon/outcome.h"
#include "serving_fixture.h"

static bool never_again(void *context)
{
    (void)context;
    return true;
}

/* A finished attempt, as its worker left it. */
static void make_result(struct fixture *f, const char *id, char ret_folder[200])
{
    static const char report[] =
        "{\"labels\":[\"p\",\"q\"],\"holdout\":{\"split\":\"val\",\"count\":4,\"digest\":\"00\"},"
        "\"metrics\":{\"accuracy\":0.75,\"macro_f1\":0.5,\"log_loss\":0.25,"
        "\"calibration_error\":0.125,\"per_class\":[]},\"majority_accuracy\":0.5,\"forward_"
        "passes\":7,"
        "\"champion_metrics\":null,\"paired\":null}";
    struct err e = { 0 };
    char path[300];
    snprintf(ret_folder, 200, "%s/jobs/%s", f->dir, id);
    assert_ok(file_mkdirs(ret_folder, &e));
    snprintf(path, sizeof path, "%s/model.onnx", ret_folder);
    assert_ok(file_write_atomic(path, "fake p,q", 8, &e));
    snprintf(path, sizeof path, "%s/report.json", ret_folder);
    assert_ok(file_write_atomic(path, report, strlen(report), &e));
}

static void add_running_job(struct fixture *f)
{
    add_base(f);
    add_model(f, 1, "m");
    fixture_script(
        f, "INSERT INTO job (id, model, state, dataset, dataset_version, backbone, mode, recipe,"
           " gate, seed, tags, requested_by, created_ms, started_ms, attempt) VALUES ('j', 1,"
           " 'running', 1, 1, 1, 'head', '{}', '{}', 0, '{}', 'me', 1, 1, 1)");
}

/* Compared with no champion, while version 1 went into production: the next attempt has that as its
 * champion, and a crash right behind its claim must not find this result. */
static void test_stale_result_is_not_kept(void **context)
{
    struct fixture *f = *context;
    char folder[200];
    add_running_job(f);
    add_version(f, 1, 1, "fake p,q", "{}", true);
    set_production(f, 1, 1);
    make_result(f, "j", folder);
    const struct ending x = { .state = f->state, .wait = never_again };
    const struct job j = { .id = "j", .attempt = 1, .model = 1 };
    ending_store(&x, &j, folder);
    assert_int_equal(
        fixture_number(f, "SELECT count(*) FROM job WHERE id = 'j' AND state = 'queued'"), 1);
    assert_false(outcome_is_complete(folder));
}

/* Its worker was killed, by the daemon's stop, after its last write. */
static void test_result_of_a_stopped_attempt_is_not_kept(void **context)
{
    struct fixture *f = *context;
    char folder[200];
    add_running_job(f);
    make_result(f, "j", folder);
    const struct ending x = { .state = f->state, .wait = never_again };
    const struct job j = { .id = "j", .attempt = 1, .model = 1 };
    ending_stop(&x, &j, folder);
    assert_int_equal(
        fixture_number(f, "SELECT count(*) FROM job WHERE id = 'j' AND state = 'queued'"), 1);
    assert_false(outcome_is_complete(folder));
}

/* Two restarts are no deaths of its worker: the first of those is not the last. */
static void test_restarts_do_not_use_up_deaths(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    char folder[200];
    add_running_job(f);
    snprintf(folder, sizeof folder, "%s/jobs/j", f->dir);
    fixture_script(f, "UPDATE job SET state = 'queued', attempt = 2 WHERE id = 'j'");
    const struct ending x = { .state = f->state, .wait = never_again };
    for (int death = 1; death <= JOB_DEATHS_MAX; death++) {
        struct job j = { 0 };
        bool found = false;
        assert_ok(queue_claim(f->state, &j, &found, &e));
        assert_true(found);
        ending_death(&x, &j, "it was killed", folder);
        assert_int_equal(fixture_number(f, "SELECT state = 'failed' FROM job WHERE id = 'j'"),
                         death == JOB_DEATHS_MAX);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(test_stale_result_is_not_kept),
        T(test_result_of_a_stopped_attempt_is_not_kept),
        T(test_restarts_do_not_use_up_deaths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
