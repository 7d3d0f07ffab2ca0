/* The worker is a shell script that the test writes: it does what DIR/plan says (or plan-N in
 * attempt N), with the reports that the test lays out. Nothing is trained. */
#include "daemon/jobs.h"

#include "data/base/clock.h"
#include "serving_fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#define PASSED "{\"passed\":true,\"reasons\":[],\"champion\":null}"

static const char script[] =
    "#!/bin/sh\n"
    "[ \"$1 $2 $4\" = 'worker --state --job' ] || exit 9\n"
    "dir=$3 out=$3/jobs/$5\n"
    "echo run >>\"$dir/runs\"\n"
    "attempt=$(wc -l <\"$dir/runs\" | tr -d ' ')\n"
    "plan=$(cat \"$dir/plan-$attempt\" 2>/dev/null || cat \"$dir/plan\")\n"
    "cp \"$out/spec.json\" \"$dir/spec-$attempt.json\"\n"
    "finish() {\n"
    "    printf 'fake p,q' >\"$out/model.onnx\"\n"
    "    report=$dir/report-first\n"
    "    grep -q '\"champion\":null' \"$out/spec.json\" || report=$dir/report-next\n"
    "    cp \"$report\" \"$out/report.tmp\" && mv \"$out/report.tmp\" \"$out/report.json\"\n"
    "}\n"
    "hold() {\n"
    "    echo $$ >\"$dir/pid.tmp\" && mv \"$dir/pid.tmp\" \"$dir/pid\"\n"
    "    echo '{\"phase\":\"features\",\"done\":3,\"total\":9}'\n"
    "    while [ ! -e \"$dir/go\" ]; do sleep 0.02; done\n"
    "}\n"
    "case $plan in\n"
    "ok) echo '{\"phase\":\"fit\",\"done\":1,\"total\":2}'; finish ;;\n"
    "garbage) printf '{\"phase\":7}\\n\\377\\376 not json\\n[1]\\n\\n'\n"
    "    head -c 200000 /dev/zero | tr '\\0' x; echo\n"
    "    echo '{\"phase\":\"fit\",\"done\":1,\"total\":2}'; finish ;;\n"
    "error) echo '{\"error\":{\"code\":\"diverged\",\"message\":\"the loss in '$3'/x is not "
    "finite\"}}'\n"
    "    exit 1 ;;\n"
    "silent) exit 0 ;;\n"
    "longline) head -c 65536 /dev/zero | tr '\\0' x\n"
    "    echo '{\"error\":{\"code\":\"diverged\",\"message\":\"behind the limit\"}}'; exit 1 ;;\n"
    "status) exit 3 ;;\n"
    "killed) kill -KILL $$ ;;\n"
    "crash) kill -SEGV $$ ;;\n"
    "badreport) finish; echo '{\"labels\":[]}' >\"$out/report.json\" ;;\n"
    "brokenreport) finish; echo '{\"labels\":' >\"$out/report.json\" ;;\n"
    "nomodel) finish; rm \"$out/model.onnx\" ;;\n"
    "hang) hold ;;\n"
    "hold) hold; finish ;;\n"
    "big) finish; head -c 8000000 /dev/zero >\"$out/model.onnx\"; hold ;;\n"
    "esac\n";

#define REPORT(accuracy, rest)                                                                     \
    "{\"labels\":[\"p\",\"q\"],\"holdout\":{\"split\":\"val\",\"count\":4,\"digest\":\"00\"},"     \
    "\"metrics\":{\"accuracy\":" accuracy ",\"macro_f1\":0.5,\"log_loss\":0.25,"                   \
    "\"calibration_error\":0.125,\"per_class\":[]},\"majority_accuracy\":0.5,\"forward_passes\":"  \
    "7," rest "}"

struct test {
    struct fixture *f;
    struct jobs *jobs;
    char worker[100];
    pthread_mutex_t mu;
    pthread_cond_t changed;
    uint64_t changes; /* guarded by mu */
};

static void on_change(void *context, const char *id)
{
    struct test *t = context;
    assert_true(strlen(id) > 0);
    pthread_mutex_lock(&t->mu);
    t->changes++;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->mu);
}

static void write_file(struct test *t, const char *name, const char *text)
{
    struct err e = { 0 };
    char path[200];
    snprintf(path, sizeof path, "%s/%s", t->f->dir, name);
    assert_ok(file_write_atomic(path, text, strlen(text), &e));
}

static bool file_is_there(struct test *t, const char *format, const char *part)
{
    char name[200], path[300];
    snprintf(name, sizeof name, format, part);
    snprintf(path, sizeof path, "%s/%s", t->f->dir, name);
    return access(path, F_OK) == 0;
}

static void new_jobs(struct test *t, int runners)
{
    struct err e = { 0 };
    const struct jobs_options o = { .executable = t->worker, .threads = 2, .runners = runners };
    assert_ok(jobs_new(t->f->state, &o, &t->jobs, &e));
    jobs_listen(t->jobs, on_change, t);
}

static void start(struct test *t, int runners)
{
    struct err e = { 0 };
    new_jobs(t, runners);
    assert_ok(jobs_start(t->jobs, &e));
}

static void stop(struct test *t)
{
    jobs_free(STEAL(t->jobs));
}

static int setup(void **context)
{
    struct test *t = calloc(1, sizeof *t);
    assert_non_null(t);
    fixture_setup((void **)&t->f);
    pthread_mutex_init(&t->mu, NULL);
    pthread_cond_init(&t->changed, NULL);
    snprintf(t->worker, sizeof t->worker, "%s/worker.sh", t->f->dir);
    write_file(t, "worker.sh", script);
    assert_int_equal(chmod(t->worker, 0700), 0);
    write_file(t, "report-first", REPORT("0.75", "\"champion_metrics\":null,\"paired\":null"));
    write_file(t, "report-next",
               REPORT("0.75", "\"champion_metrics\":{\"accuracy\":0.75},\"paired\":{\"both\":3,"
                              "\"only_challenger\":0,\"only_champion\":0,\"neither\":1}"));
    write_file(t, "plan", "ok");
    add_base(t->f);
    add_model(t->f, 1, "m");
    *context = t;
    return 0;
}

static int teardown(void **context)
{
    struct test *t = *context;
    stop(t);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->mu);
    fixture_teardown((void **)&t->f);
    free(t);
    return 0;
}

static json_t *show(struct test *t, const char *id)
{
    struct err e = { 0 };
    json_t *job = NULL;
    assert_ok(jobs_show(t->jobs, id, &job, &e));
    return job;
}

static const char *text_of(const json_t *job, const char *member)
{
    const char *text = json_string_value(json_object_get(job, member));
    return text ? text : "(none)";
}

/* Until the listener brings news, a second at most. */
static void await_change(struct test *t, uint64_t seen)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    pthread_mutex_lock(&t->mu);
    int ended = 0;
    while (t->changes == seen && !ended)
        ended = pthread_cond_timedwait(&t->changed, &t->mu, &until);
    pthread_mutex_unlock(&t->mu);
}

/* Until check says so of the job; 30 s at most. */
static json_t *await(struct test *t, const char *id, bool (*check)(const json_t *job, const char *),
                     const char *wanted)
{
    int64_t limit = clock_monotonic_us() + 30000000;
    for (;;) {
        pthread_mutex_lock(&t->mu);
        uint64_t seen = t->changes;
        pthread_mutex_unlock(&t->mu);
        json_t *job = show(t, id);
        if (check(job, wanted))
            return job;
        if (clock_monotonic_us() > limit)
            fail_msg("still not %s: %s", wanted, json_dumps(job, 0));
        json_decref(job);
        await_change(t, seen);
    }
}

static bool has_state(const json_t *job, const char *wanted)
{
    return strcmp(text_of(job, "state"), wanted) == 0;
}

static bool has_phase(const json_t *job, const char *wanted)
{
    return strcmp(text_of(json_object_get(job, "progress"), "phase"), wanted) == 0;
}

static json_t *await_state(struct test *t, const char *id, const char *state)
{
    return await(t, id, has_state, state);
}

static char *submit(struct test *t, const char *model)
{
    struct err e = { 0 };
    json_t *job = NULL;
    assert_ok(jobs_submit(t->jobs, model, &(struct retrain_request){ .seed = 5 }, "me", &job, &e));
    char *id = strdup(text_of(job, "id"));
    json_decref(job);
    return id;
}

/* Submits, waits for that state, and checks that the folder has gone. */
static json_t *run_to(struct test *t, const char *state)
{
    CLEANUP(cleanup_free) char *id = submit(t, "m");
    json_t *job = await_state(t, id, state);
    /* The row ends before the folder goes; the last news comes after both. */
    int64_t limit = clock_monotonic_us() + 30000000;
    while (file_is_there(t, "jobs/%s", id)) {
        assert_true(clock_monotonic_us() < limit);
        pthread_mutex_lock(&t->mu);
        uint64_t seen = t->changes;
        pthread_mutex_unlock(&t->mu);
        if (file_is_there(t, "jobs/%s", id))
            await_change(t, seen);
    }
    return job;
}

/* --- a job that ends well -------------------------------------------------------------------- */

static void test_success_makes_a_version(void **context)
{
    struct test *t = *context;
    start(t, 1);
    CLEANUP(json_decref_p) json_t *job = run_to(t, "succeeded");
    assert_int_equal(fixture_int(job, "version"), 1);
    assert_int_equal(fixture_int(job, "forward_passes"), 7);
    assert_int_equal(fixture_int(job, "attempt"), 1);
    assert_int_equal(fixture_int(job, "seed"), 5);
    assert_int_equal(fixture_int(job, "dataset_version"), 1);
    assert_string_equal(text_of(job, "requested_by"), "me");
    assert_string_equal(text_of(job, "mode"), "head");
    assert_true(json_is_string(json_object_get(job, "started")));
    assert_true(json_is_string(json_object_get(job, "ended")));
    assert_true(json_is_null(json_object_get(job, "progress")));
    assert_true(json_is_null(json_object_get(job, "error")));
    assert_true(json_is_true(json_object_get(json_object_get(job, "gate"), "passed")));
    assert_int_equal(fixture_number(t->f, "SELECT passed FROM version WHERE number = 1"), 1);
    assert_int_equal(fixture_number(t->f, "SELECT bytes FROM version WHERE number = 1"), 8);
    assert_int_equal(fixture_number(t->f, "SELECT log_loss = 0.25 AND macro_f1 = 0.5 AND "
                                          "calibration_error = 0.125 AND holdout_count = 4 "
                                          "FROM version"),
                     1);
    struct digest d;
    struct err e = { 0 };
    assert_ok(digest_of("fake p,q", 8, &d, &e));
    assert_true(blobs_has(state_blobs(t->f->state), &d));
}

static void test_spec_is_what_was_asked(void **context)
{
    struct test *t = *context;
    start(t, 1);
    json_decref(run_to(t, "succeeded"));
    char path[200];
    snprintf(path, sizeof path, "%s/spec-1.json", t->f->dir);
    CLEANUP(json_decref_p) json_t *spec = json_load_file(path, 0, NULL);
    assert_int_equal(fixture_int(spec, "seed"), 5);
    assert_int_equal(fixture_int(spec, "threads"), 2);
    assert_int_equal(fixture_int(spec, "max_pixels"), IMAGE_MAX_PIXELS_DEFAULT);
    assert_int_equal(fixture_int(json_object_get(spec, "overrides"), "resize"), 250);
    assert_int_equal(fixture_int(json_object_get(spec, "recipe"), "folds"), 3);
    assert_true(json_is_null(json_object_get(spec, "champion")));
    assert_string_equal(text_of(spec, "manifest"),
                        "0101010101010101010101010101010101010101010101010101010101010101");
}

static void test_not_better_is_rejected_and_kept(void **context)
{
    struct test *t = *context;
    add_version(t->f, 1, 1, "fake r,s", PASSED, true);
    set_production(t->f, 1, 1);
    start(t, 1);
    CLEANUP(json_decref_p) json_t *job = run_to(t, "rejected");
    assert_int_equal(fixture_int(job, "version"), 2);
    const json_t *gate = json_object_get(job, "gate");
    assert_true(json_is_false(json_object_get(gate, "passed")));
    assert_int_equal(fixture_int(gate, "champion"), 1);
    assert_int_equal(json_array_size(json_object_get(gate, "reasons")), 1);
    assert_int_equal(fixture_number(t->f, "SELECT passed FROM version WHERE number = 2"), 0);
    assert_int_equal(fixture_number(t->f, "SELECT version FROM alias"), 1);
}

static void test_garbage_lines_are_dropped(void **context)
{
    struct test *t = *context;
    write_file(t, "plan", "garbage");
    start(t, 1);
    json_decref(run_to(t, "succeeded"));
}

static void test_progress_is_shown(void **context)
{
    struct test *t = *context;
    write_file(t, "plan", "hold");
    start(t, 1);
    CLEANUP(cleanup_free) char *id = submit(t, "m");
    CLEANUP(json_decref_p) json_t *job = await(t, id, has_phase, "features");
    fixture_expect(json_object_get(job, "progress"),
                   "{\"phase\":\"features\",\"done\":3,\"total\":9}");
    assert_string_equal(text_of(job, "state"), "running");
    assert_true(json_is_null(json_object_get(job, "forward_passes")));
    write_file(t, "go", "");
    json_decref(await_state(t, id, "succeeded"));
}

/* --- a job that fails ------------------------------------------------------------------------ */

static void expect_error(struct test *t, const char *plan, const char *code, const char *message)
{
    write_file(t, "plan", plan);
    CLEANUP(json_decref_p) json_t *job = run_to(t, "failed");
    const json_t *error = json_object_get(job, "error");
    assert_string_equal(text_of(error, "code"), code);
    if (!strstr(text_of(error, "message"), message))
        fail_msg("\"%s\" lacks \"%s\"", text_of(error, "message"), message);
    assert_true(json_is_null(json_object_get(job, "version")));
}

static void test_error_line_fails_the_job(void **context)
{
    struct test *t = *context;
    start(t, 1);
    /* The state folder is left out of what users see. */
    expect_error(t, "error", "diverged", "the loss in x is not finite");
    assert_int_equal(fixture_number(t->f, "SELECT attempt FROM job"), 1);
}

static void test_death_is_tried_three_times(void **context)
{
    struct test *t = *context;
    start(t, 1);
    expect_error(t, "killed", "worker_died", "SIGKILL, probably because memory ran out");
    assert_int_equal(fixture_number(t->f, "SELECT attempt FROM job"), 3);
    expect_error(t, "crash", "worker_died", "SIGSEGV");
    expect_error(t, "silent", "worker_died", "status 0 and left no report");
    expect_error(t, "status", "worker_died", "status 3");
    expect_error(t, "longline", "worker_died", "status 1");
    assert_int_equal(fixture_number(t->f, "SELECT count(*) FROM job WHERE attempt = 3"), 5);
}

static void test_death_then_success(void **context)
{
    struct test *t = *context;
    write_file(t, "plan-1", "killed");
    write_file(t, "plan-2", "crash");
    start(t, 1);
    CLEANUP(json_decref_p) json_t *job = run_to(t, "succeeded");
    assert_int_equal(fixture_int(job, "attempt"), 3);
}

static void test_bad_output_fails_the_job(void **context)
{
    struct test *t = *context;
    start(t, 1);
    expect_error(t, "badreport", "internal", "report is incomplete");
    expect_error(t, "brokenreport", "internal", "not JSON");
    expect_error(t, "nomodel", "io", "model.onnx");
    assert_int_equal(fixture_number(t->f, "SELECT count(*) FROM version"), 0);
}

static void test_worker_that_cannot_start(void **context)
{
    struct test *t = *context;
    assert_int_equal(unlink(t->worker), 0);
    start(t, 1);
    expect_error(t, "ok", "worker_died", "cannot start the worker");
}

/* --- cancel ---------------------------------------------------------------------------------- */

static bool is_gone(struct test *t)
{
    char path[200];
    CLEANUP(buf_fini) struct buf text;
    struct err e = { 0 };
    snprintf(path, sizeof path, "%s/pid", t->f->dir);
    buf_init(&text, 100);
    assert_ok(file_read(path, &text, &e));
    pid_t pid = (pid_t)atoi((const char *)text.data);
    assert_true(pid > 1);
    return kill(pid, 0) < 0 && errno == ESRCH;
}

static void test_cancel_running(void **context)
{
    struct test *t = *context;
    struct err e = { 0 };
    write_file(t, "plan", "hang");
    start(t, 1);
    CLEANUP(cleanup_free) char *id = submit(t, "m");
    json_decref(await(t, id, has_phase, "features"));
    int64_t from = clock_monotonic_us(), limit = from + 1000000;
    CLEANUP(json_decref_p) json_t *job = NULL;
    assert_ok(jobs_cancel(t->jobs, id, "you", &job, &e));
    assert_string_equal(text_of(job, "state"), "cancelled");
    while (!is_gone(t) || file_is_there(t, "jobs/%s", id))
        assert_true(clock_monotonic_us() < limit);
    json_t *untouched = NULL;
    assert_int_equal(jobs_cancel(t->jobs, id, "you", &untouched, &e), ERR_JOB_STATE);
    assert_null(untouched);
    /* The runner is free again. */
    write_file(t, "plan", "ok");
    json_decref(run_to(t, "succeeded"));
    json_t *after = show(t, id);
    assert_string_equal(text_of(after, "state"), "cancelled");
    json_decref(after);
}

static void test_cancel_queued(void **context)
{
    struct test *t = *context;
    struct err e = { 0 };
    new_jobs(t, 1);
    CLEANUP(cleanup_free) char *id = submit(t, "m");
    CLEANUP(json_decref_p) json_t *job = NULL;
    assert_ok(jobs_cancel(t->jobs, id, "you", &job, &e));
    assert_string_equal(text_of(job, "state"), "cancelled");
    assert_ok(jobs_start(t->jobs, &e));
    json_decref(run_to(t, "succeeded"));
    assert_int_equal(fixture_number(t->f, "SELECT count(*) FROM job WHERE started_ms IS NULL"), 1);
    json_t *untouched = NULL;
    assert_int_equal(jobs_cancel(t->jobs, "nobody", "you", &untouched, &e), ERR_JOB_UNKNOWN);
    assert_null(untouched);
}

/* --- order ----------------------------------------------------------------------------------- */

static void test_one_job_a_model_at_a_time(void **context)
{
    struct test *t = *context;
    add_model(t->f, 2, "other");
    write_file(t, "plan", "hold");
    start(t, 3);
    CLEANUP(cleanup_free) char *first = submit(t, "m");
    CLEANUP(cleanup_free) char *second = submit(t, "m");
    CLEANUP(cleanup_free) char *other = submit(t, "other");
    assert_true(strcmp(first, second) < 0 && strcmp(second, other) < 0);
    json_decref(await(t, first, has_phase, "features"));
    json_decref(await(t, other, has_phase, "features"));
    assert_int_equal(fixture_number(t->f, "SELECT count(*) FROM job WHERE state = 'queued'"), 1);
    CLEANUP(json_decref_p) json_t *waiting = show(t, second);
    assert_string_equal(text_of(waiting, "state"), "queued");
    write_file(t, "go", "");
    json_decref(await_state(t, first, "succeeded"));
    json_decref(await_state(t, other, "succeeded"));
    json_decref(await_state(t, second, "succeeded"));
}

/* --- a change of production while the job runs ----------------------------------------------- */

static void test_moved_production_is_compared_again(void **context)
{
    struct test *t = *context;
    add_version(t->f, 1, 1, "fake r,s", PASSED, true);
    write_file(t, "plan-1", "hold");
    start(t, 1);
    CLEANUP(cleanup_free) char *id = submit(t, "m");
    json_decref(await(t, id, has_phase, "features"));
    set_production(t->f, 1, 1);
    write_file(t, "go", "");
    CLEANUP(json_decref_p) json_t *job = await_state(t, id, "rejected");
    assert_int_equal(fixture_int(json_object_get(job, "gate"), "champion"), 1);
    assert_int_equal(fixture_int(job, "attempt"), 1);
    assert_int_equal(fixture_int(job, "version"), 2);
    assert_true(file_is_there(t, "%s", "spec-2.json"));
}

/* --- restarts -------------------------------------------------------------------------------- */

static void test_stop_puts_the_job_back(void **context)
{
    struct test *t = *context;
    write_file(t, "plan", "hang");
    start(t, 1);
    CLEANUP(cleanup_free) char *id = submit(t, "m");
    json_decref(await(t, id, has_phase, "features"));
    stop(t);
    assert_true(is_gone(t));
    assert_int_equal(
        fixture_number(t->f, "SELECT count(*) FROM job WHERE state = 'queued' AND attempt = 0"), 1);
    write_file(t, "plan", "ok");
    start(t, 1);
    CLEANUP(json_decref_p) json_t *job = await_state(t, id, "succeeded");
    assert_int_equal(fixture_int(job, "attempt"), 1);
}

/* As a kill -9 of the daemon leaves it: running, with the worker's files or without. */
static char *leave_running(struct test *t, bool complete, int attempt)
{
    struct err e = { 0 };
    new_jobs(t, 1);
    char *id = submit(t, "m"), name[200], sql[100];
    stop(t);
    snprintf(sql, sizeof sql, "UPDATE job SET state = 'running', attempt = %d", attempt);
    fixture_script(t->f, sql);
    snprintf(name, sizeof name, "%s/jobs/%s", t->f->dir, id);
    assert_ok(file_mkdirs(name, &e));
    snprintf(name, sizeof name, "jobs/%s/model.onnx", id);
    write_file(t, name, "fake p,q");
    if (complete) {
        snprintf(name, sizeof name, "jobs/%s/report.json", id);
        write_file(t, name, REPORT("0.75", "\"champion_metrics\":null,\"paired\":null"));
    }
    return id;
}

static void test_finished_output_is_used_after_a_crash(void **context)
{
    struct test *t = *context;
    CLEANUP(cleanup_free) char *id = leave_running(t, true, 1);
    new_jobs(t, 1);
    CLEANUP(json_decref_p) json_t *job = show(t, id);
    assert_string_equal(text_of(job, "state"), "succeeded");
    assert_int_equal(fixture_int(job, "version"), 1);
    assert_false(file_is_there(t, "jobs/%s", id));
    assert_false(file_is_there(t, "%s", "runs"));
}

static void test_unfinished_is_queued_again_after_a_crash(void **context)
{
    struct test *t = *context;
    struct err e = { 0 };
    CLEANUP(cleanup_free) char *id = leave_running(t, false, 5);
    new_jobs(t, 1);
    CLEANUP(json_decref_p) json_t *job = show(t, id);
    assert_string_equal(text_of(job, "state"), "queued");
    assert_ok(jobs_start(t->jobs, &e));
    json_decref(await_state(t, id, "succeeded"));
}

static void test_crashes_without_end_fail(void **context)
{
    struct test *t = *context;
    CLEANUP(cleanup_free) char *id = leave_running(t, false, 10);
    new_jobs(t, 1);
    CLEANUP(json_decref_p) json_t *job = show(t, id);
    assert_string_equal(text_of(job, "state"), "failed");
    assert_string_equal(text_of(json_object_get(job, "error"), "code"), "worker_died");
}

/* --- a full disk, played by a limit on the size of files ------------------------------------- */

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Standard error as a pipe, to wait for an event in the log. */
struct log {
    int old;
    FILE *lines;
};

static struct log log_capture(void)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct log log = { .old = dup(STDERR_FILENO), .lines = fdopen(ends[0], "r") };
    assert_non_null(log.lines);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    close(ends[1]);
    return log;
}

static void log_restore(struct log *log)
{
    dup2(log->old, STDERR_FILENO);
    close(log->old);
    fclose(log->lines);
}

static void log_await(struct log *log, const char *event)
{
    char line[2000];
    do
        assert_non_null(fgets(line, sizeof line, log->lines));
    while (!strstr(line, event));
}

static void test_disk_full_fails_the_job(void **context)
{
    struct test *t = *context;
    write_file(t, "plan", "big");
    start(t, 1);
    CLEANUP(cleanup_free) char *id = submit(t, "m");
    json_decref(await(t, id, has_phase, "features"));
    limit_files(4000000);
    char path[200];
    snprintf(path, sizeof path, "%s/go", t->f->dir);
    assert_int_equal(symlink("/", path), 0);
    CLEANUP(json_decref_p) json_t *job = await_state(t, id, "failed");
    limit_files(RLIM_INFINITY);
    assert_string_equal(text_of(json_object_get(job, "error"), "code"), "disk_full");
    assert_int_equal(fixture_number(t->f, "SELECT count(*) FROM version"), 0);
    write_file(t, "plan", "ok");
    json_decref(run_to(t, "succeeded"));
}

static void test_disk_too_full_for_the_row(void **context)
{
    struct test *t = *context;
    CLEANUP(log_restore) struct log log = log_capture();
    write_file(t, "plan", "big");
    start(t, 1);
    CLEANUP(cleanup_free) char *id = submit(t, "m");
    json_decref(await(t, id, has_phase, "features"));
    limit_files(1000);
    char path[200];
    snprintf(path, sizeof path, "%s/go", t->f->dir);
    assert_int_equal(symlink("/", path), 0);
    /* The worker's end is seen, but cannot be written: the job stays running. */
    log_await(&log, "job_end_not_written");
    CLEANUP(json_decref_p) json_t *job = show(t, id);
    assert_string_equal(text_of(job, "state"), "running");
    limit_files(RLIM_INFINITY);
    CLEANUP(json_decref_p) json_t *ended = await_state(t, id, "failed");
    assert_string_equal(text_of(json_object_get(ended, "error"), "code"), "disk_full");
}

/* --- what a submit refuses ------------------------------------------------------------------- */

static enum err_code try_submit(struct test *t, const char *model, const struct retrain_request *q,
                                struct err *e)
{
    json_t *job = NULL;
    enum err_code r = jobs_submit(t->jobs, model, q, "me", &job, e);
    json_decref(job);
    return r;
}

static void add_counts(struct test *t, int number, const char *counts, int pictures)
{
    char sql[1000];
    snprintf(sql, sizeof sql,
             "INSERT INTO dataset_version (dataset, number, digest, cause, who, created_ms, "
             "pictures, labels, counts, added, removed, duplicates, rejected) "
             "VALUES (1, %d, x'0303030303030303030303030303030303030303030303030303030303030303', "
             "'import', 'me', 1, %d, 1, '%s', 1, 0, 0, 0)",
             number, pictures, counts);
    fixture_script(t->f, sql);
}

static void test_dataset_is_checked(void **context)
{
    struct test *t = *context;
    struct err e = { 0 };
    struct retrain_request q = { 0 };
    new_jobs(t, 1);
    static const struct {
        const char *counts;
        enum err_code code;
        const char *says;
    } cases[] = {
        { "{\"a\":{\"train\":0,\"val\":0,\"test\":0}}", ERR_DATASET_EMPTY, "version 2" },
        { "{\"a\":{\"train\":9,\"val\":9,\"test\":0},\"b\":{\"train\":0,\"val\":0,\"test\":0}}",
          ERR_DATASET_ONE_CLASS, "1 label" },
        { "{\"a\":{\"train\":9,\"val\":9,\"test\":0},\"b\":{\"train\":1,\"val\":1,\"test\":0}}",
          ERR_CLASS_TOO_SMALL, "\"b\" has 1 pictures" },
        { "{\"a\":{\"train\":9,\"val\":9,\"test\":0},\"b\":{\"train\":0,\"val\":1,\"test\":0}}",
          ERR_CLASS_TOO_SMALL, "\"b\" has 0 pictures" },
        { "{\"a\":{\"train\":9,\"val\":0,\"test\":0},\"b\":{\"train\":2,\"val\":0,\"test\":0}}",
          ERR_HOLDOUT_EMPTY, "test and val" },
        { "{\"a\":{\"train\":2,\"val\":0,\"test\":1},\"b\":{\"train\":2,\"val\":0,\"test\":0}}",
          ERR_OK, "" },
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        add_counts(t, i + 2, cases[i].counts, i == 0 ? 0 : 9);
        assert_int_equal(try_submit(t, "m", &q, &e), cases[i].code);
        assert_non_null(strstr(e.message, cases[i].says));
    }
    q.dataset_version = 1;
    assert_int_equal(try_submit(t, "m", &q, &e), ERR_OK);
    q.dataset_version = 99;
    assert_int_equal(try_submit(t, "m", &q, &e), ERR_VERSION_UNKNOWN);
    q.dataset_version = -1;
    assert_int_equal(try_submit(t, "m", &q, &e), ERR_FIELD_RANGE);
    fixture_script(t->f, "INSERT INTO dataset (id, name, created_ms, who) VALUES (9, 'e', 1, 'me');"
                         "UPDATE model SET dataset = 9 WHERE id = 1");
    q.dataset_version = 0;
    assert_int_equal(try_submit(t, "m", &q, &e), ERR_DATASET_EMPTY);
    assert_int_equal(fixture_number(t->f, "SELECT count(*) FROM job"), 2);
}

static enum err_code submit_with(struct test *t, const char *recipe, const char *tags,
                                 const char *mode)
{
    struct err e = { 0 };
    CLEANUP(json_decref_p) json_t *r = recipe ? json_loads(recipe, JSON_DECODE_ANY, NULL) : NULL;
    CLEANUP(json_decref_p) json_t *g = tags ? json_loads(tags, JSON_DECODE_ANY, NULL) : NULL;
    return try_submit(t, "m", &(struct retrain_request){ .recipe = r, .tags = g, .mode = mode },
                      &e);
}

static void test_request_is_checked(void **context)
{
    struct test *t = *context;
    struct err e = { 0 };
    new_jobs(t, 1);
    assert_int_equal(try_submit(t, "x", &(struct retrain_request){ 0 }, &e), ERR_MODEL_UNKNOWN);
    assert_int_equal(submit_with(t, "{\"flods\":3}", NULL, NULL), ERR_FIELD_UNKNOWN);
    assert_int_equal(submit_with(t, "{\"folds\":11}", NULL, NULL), ERR_FIELD_RANGE);
    assert_int_equal(submit_with(t, "[]", NULL, NULL), ERR_JSON_TYPE);
    assert_int_equal(submit_with(t, NULL, NULL, "foot"), ERR_RECIPE);
    assert_int_equal(submit_with(t, NULL, "[]", NULL), ERR_JSON_TYPE);
    assert_int_equal(submit_with(t, NULL, "{\"a\":1}", NULL), ERR_JSON_TYPE);
    char tags[1100], value[1002];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = 0;
    snprintf(tags, sizeof tags, "{\"a\":\"%s\"}", value);
    assert_int_equal(submit_with(t, NULL, tags, NULL), ERR_FIELD_RANGE);
    value[1000] = 0;
    snprintf(tags, sizeof tags, "{\"a\":\"%s\"}", value);
    assert_int_equal(fixture_number(t->f, "SELECT count(*) FROM job"), 0);
    assert_int_equal(submit_with(t, NULL, tags, NULL), ERR_OK);
    assert_int_equal(submit_with(t, "{\"folds\":4}", "{\"a\":\"b\"}", "head"), ERR_OK);
    CLEANUP(json_decref_p) json_t *list = NULL;
    assert_ok(jobs_list(t->jobs, NULL, NULL, 1, &list, &e));
    fixture_expect(json_object_get(json_array_get(list, 0), "tags"), "{\"a\":\"b\"}");
    assert_int_equal(fixture_number(t->f, "SELECT recipe ->> 'folds' FROM job ORDER BY id DESC"),
                     4);
}

static void test_frozen_at_submit(void **context)
{
    struct test *t = *context;
    struct err e = { 0 };
    new_jobs(t, 1);
    CLEANUP(cleanup_free) char *id = submit(t, "m");
    add_counts(t, 2, "{}", 0);
    fixture_script(t->f, "UPDATE model SET recipe = '{\"folds\":9}', gate = '{\"margin\":1}'");
    assert_ok(jobs_start(t->jobs, &e));
    CLEANUP(json_decref_p) json_t *job = await_state(t, id, "succeeded");
    assert_int_equal(fixture_int(job, "dataset_version"), 1);
    assert_int_equal(fixture_number(t->f, "SELECT recipe ->> 'folds' FROM job"), 3);
}

/* --- the listener ---------------------------------------------------------------------------- */

struct slow {
    pthread_mutex_t mu;
    pthread_cond_t changed;
    bool is_in, may_leave, is_over; /* guarded by mu */
};

static void on_change_slowly(void *context, const char *id)
{
    struct slow *s = context;
    (void)id;
    pthread_mutex_lock(&s->mu);
    assert_false(s->is_over);
    s->is_in = true;
    pthread_cond_broadcast(&s->changed);
    while (!s->may_leave)
        pthread_cond_wait(&s->changed, &s->mu);
    pthread_mutex_unlock(&s->mu);
}

static void *stop_listening(void *context)
{
    jobs_listen(context, NULL, NULL);
    return NULL;
}

static void test_no_call_after_the_listener_ended(void **context)
{
    struct test *t = *context;
    struct err e = { 0 };
    struct slow s = { .mu = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
    new_jobs(t, 1);
    jobs_listen(t->jobs, on_change_slowly, &s);
    /* A submit would tell on this thread; a row made by hand is told of by its runner. */
    fixture_script(t->f, "INSERT INTO job (id, model, state, dataset, dataset_version, backbone, "
                         "mode, recipe, gate, seed, tags, requested_by, created_ms) VALUES "
                         "('by-hand', 1, 'queued', 1, 1, 1, 'head', '{}', '{}', 0, '{}', 'me', 1)");
    assert_ok(jobs_start(t->jobs, &e));
    pthread_mutex_lock(&s.mu);
    while (!s.is_in)
        pthread_cond_wait(&s.changed, &s.mu);
    pthread_mutex_unlock(&s.mu);
    pthread_t stopper;
    assert_int_equal(pthread_create(&stopper, NULL, stop_listening, t->jobs), 0);
    /* It cannot return while the call is under way; a tenth of a second shows that it does not. */
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 100000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    assert_int_equal(pthread_timedjoin_np(stopper, NULL, &until), ETIMEDOUT);
    pthread_mutex_lock(&s.mu);
    s.may_leave = true;
    pthread_cond_broadcast(&s.changed);
    pthread_mutex_unlock(&s.mu);
    pthread_join(stopper, NULL);
    pthread_mutex_lock(&s.mu);
    s.is_over = true;
    pthread_mutex_unlock(&s.mu);
    json_decref(await_state(t, "by-hand", "succeeded"));
}

/* --- lists ----------------------------------------------------------------------------------- */

static size_t count_jobs(struct test *t, const char *state, const char *model, int limit)
{
    struct err e = { 0 };
    json_t *list = NULL;
    assert_ok(jobs_list(t->jobs, state, model, limit, &list, &e));
    size_t count = json_array_size(list);
    json_decref(list);
    return count;
}

static void test_list(void **context)
{
    struct test *t = *context;
    struct err e = { 0 };
    add_model(t->f, 2, "other");
    new_jobs(t, 1);
    char *ids[4];
    for (int i = 0; i < 4; i++)
        ids[i] = submit(t, i < 3 ? "m" : "other");
    CLEANUP(json_decref_p) json_t *first = show(t, ids[0]);
    assert_string_equal(text_of(first, "state"), "queued");
    json_t *cancelled = NULL;
    assert_ok(jobs_cancel(t->jobs, ids[0], "me", &cancelled, &e));
    json_decref(cancelled);
    CLEANUP(json_decref_p) json_t *list = NULL;
    assert_ok(jobs_list(t->jobs, NULL, NULL, 100, &list, &e));
    assert_int_equal(json_array_size(list), 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(text_of(json_array_get(list, i), "id"), ids[3 - i]);
        assert_int_equal(strlen(ids[3 - i]), 26);
        free(ids[3 - i]);
    }
    assert_int_equal(count_jobs(t, "queued", NULL, 100), 3);
    assert_int_equal(count_jobs(t, "cancelled", NULL, 100), 1);
    assert_int_equal(count_jobs(t, NULL, "m", 100), 3);
    assert_int_equal(count_jobs(t, "queued", "m", 100), 2);
    assert_int_equal(count_jobs(t, NULL, NULL, 2), 2);
    json_t *untouched = NULL;
    assert_int_equal(jobs_list(t->jobs, "done", NULL, 1, &untouched, &e), ERR_FIELD_RANGE);
    assert_int_equal(jobs_list(t->jobs, NULL, "x", 1, &untouched, &e), ERR_MODEL_UNKNOWN);
    assert_int_equal(jobs_show(t->jobs, "x", &untouched, &e), ERR_JOB_UNKNOWN);
    assert_null(untouched);
}

static void test_final_states(void **context)
{
    (void)context;
    static const char *const final[] = { "succeeded", "rejected", "failed", "cancelled" };
    for (size_t i = 0; i < sizeof final / sizeof *final; i++)
        assert_true(jobs_state_is_final(final[i]));
    assert_false(jobs_state_is_final("queued"));
    assert_false(jobs_state_is_final("running"));
    assert_false(jobs_state_is_final("unheard of"));
}

int main(void)
{
    signal(SIGXFSZ, SIG_IGN); /* a write past the limit is to fail, not to kill */
    signal(SIGPIPE, SIG_IGN);
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_success_makes_a_version),
        TEST(test_spec_is_what_was_asked),
        TEST(test_not_better_is_rejected_and_kept),
        TEST(test_garbage_lines_are_dropped),
        TEST(test_progress_is_shown),
        TEST(test_error_line_fails_the_job),
        TEST(test_death_is_tried_three_times),
        TEST(test_death_then_success),
        TEST(test_bad_output_fails_the_job),
        TEST(test_worker_that_cannot_start),
        TEST(test_cancel_running),
        TEST(test_cancel_queued),
        TEST(test_one_job_a_model_at_a_time),
        TEST(test_moved_production_is_compared_again),
        TEST(test_stop_puts_the_job_back),
        TEST(test_finished_output_is_used_after_a_crash),
        TEST(test_unfinished_is_queued_again_after_a_crash),
        TEST(test_crashes_without_end_fail),
        TEST(test_disk_full_fails_the_job),
        TEST(test_disk_too_full_for_the_row),
        TEST(test_dataset_is_checked),
        TEST(test_request_is_checked),
        TEST(test_frozen_at_submit),
        TEST(test_no_call_after_the_listener_ended),
        TEST(test_list),
        TEST(test_final_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
