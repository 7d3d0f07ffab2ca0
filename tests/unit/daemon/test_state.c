#include "registry_fixture.h"

#include "daemon/datasets.h"

#include <signal.h>
#include <sys/wait.h>

static void path_of(struct fixture *f, const char *name, char ret[200])
{
    snprintf(ret, 200, "%s/%s", f->dir, name);
}

static bool exists(struct fixture *f, const char *name)
{
    char path[200];
    path_of(f, name, path);
    return access(path, F_OK) == 0;
}

static void test_folders_are_private(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    char path[200];
    path_of(f, "deep/er", path);
    struct state *s = NULL;
    assert_ok(state_open(path, &f->limits, &s, &e));
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_string_equal(state_dir(s), path);
    assert_true(exists(f, "deep/er/kennel.db"));
    assert_true(exists(f, "deep/er/jobs"));
    assert_true(exists(f, "deep/er/features"));
    assert_true(exists(f, "deep/er/blobs"));
    state_close(s);
}

static void test_a_second_owner_is_refused(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    struct state *s = NULL;
    assert_int_equal(state_open(f->dir, &f->limits, &s, &e), ERR_STATE_LOCKED);
    assert_non_null(strstr(e.message, f->dir));
    assert_null(s);
    fixture_close(f);
    fixture_open(f);
}

/* The lock goes with the process, however it ends. */
static void test_lock_of_a_killed_owner_is_free(void **context)
{
    struct fixture *f = *context;
    fixture_close(f);
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct state *s;
        struct err e;
        bool ok = state_open(f->dir, &f->limits, &s, &e) == ERR_OK;
        if (write(ready[1], ok ? "y" : "n", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    char answer = 0;
    ssize_t told = read(ready[0], &answer, 1);
    struct err e = { 0 };
    struct state *s = NULL;
    enum err_code r = state_open(f->dir, &f->limits, &s, &e);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(told, 1);
    assert_int_equal(answer, 'y');
    assert_int_equal(r, ERR_STATE_LOCKED);
    close(ready[0]);
    close(ready[1]);
    fixture_open(f);
}

static struct digest put_blob(struct fixture *f, const char *text)
{
    struct err e = { 0 };
    struct digest d;
    assert_ok(blobs_put(state_blobs(f->state), text, strlen(text), &d, &e));
    return d;
}

/* Each kind of row that names a blob keeps it; what no row names goes. */
static void test_sweep_of_blobs(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    struct digest picture = put_blob(f, "picture"), manifest = put_blob(f, "manifest"),
                  backbone = put_blob(f, "backbone"), artifact = put_blob(f, "artifact"),
                  report = put_blob(f, "report"), left = put_blob(f, "left by a crash");
    {
        CLEANUP(db_end_p) struct db_tx *t = NULL;
        assert_ok(db_write(state_db(f->state), &t, &e));
        assert_ok(db_exec(t, &e,
                          "INSERT INTO picture (digest, bytes, format, width, height) VALUES (?, "
                          "1, 'jpeg', 1, 1)",
                          DB_DIGEST(&picture)));
        assert_ok(db_exec(
            t, &e, "INSERT INTO dataset (id, name, created_ms, who) VALUES (1, 'd', 1, 'me')"));
        assert_ok(db_exec(t, &e,
                          "INSERT INTO dataset_version (dataset, number, digest, cause, who, "
                          "created_ms, pictures, "
                          "labels, counts, added, removed, duplicates, rejected) VALUES (1, 1, ?, "
                          "'import', 'me', 1, 0, 0,"
                          " '{}', 0, 0, 0, 0)",
                          DB_DIGEST(&manifest)));
        assert_ok(db_exec(t, &e,
                          "INSERT INTO backbone VALUES (1, 'b', ?, 1, 'f', 1, 'i', 1, 1, '{}', 1,"
                          " '{}', 1, 'me')",
                          DB_DIGEST(&backbone)));
        assert_ok(db_exec(
            t, &e,
            "INSERT INTO model (id, name, dataset, backbone, recipe, gate, strip_prefix, "
            "created_ms, who, limits) VALUES (1, 'm', 1, 1, '{}', '{}', NULL, 1, 'me', '{}')"));
        assert_ok(db_exec(t, &e,
                          "INSERT INTO job (id, model, state, dataset, dataset_version, backbone,"
                          " mode, recipe, gate, seed, tags, requested_by, created_ms)"
                          " VALUES ('J1', 1, 'running', 1, 1, 1, 'head', '{}', '{}', 0, '{}',"
                          " 'me', 1)"));
        assert_ok(db_exec(
            t, &e,
            "INSERT INTO version (model, number, job, artifact, bytes, report, decision, "
            "passed, accuracy, macro_f1, log_loss, calibration_error, "
            "holdout_count, created_ms) VALUES (1, 1, 'J1', ?, 1, ?, '{}', 1, 1, 1, 0, 0, 1,"
            " 1)",
            DB_DIGEST(&artifact), DB_DIGEST(&report)));
        assert_ok(db_commit(&t, &e));
    }
    fixture_close(f);
    fixture_open(f);
    struct blobs *b = state_blobs(f->state);
    assert_true(blobs_has(b, &picture));
    assert_true(blobs_has(b, &manifest));
    assert_true(blobs_has(b, &backbone));
    assert_true(blobs_has(b, &artifact));
    assert_true(blobs_has(b, &report));
    assert_false(blobs_has(b, &left));
    assert_int_equal(fixture_blobs(f), 5);
}

/* A refused upload's blobs go without a restart, but not while another may be about to name them.
 */
static void test_sweep_between_puts(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    struct blobs *b = state_blobs(f->state);
    state_put_begin(f->state);
    state_put_begin(f->state);
    struct digest left = put_blob(f, "left by a refusal"), picture = put_blob(f, "picture");
    state_put_end(f->state, false);
    assert_true(blobs_has(b, &left));
    assert_true(blobs_has(b, &picture));
    {
        CLEANUP(db_end_p) struct db_tx *t = NULL;
        assert_ok(db_write(state_db(f->state), &t, &e));
        assert_ok(db_exec(t, &e,
                          "INSERT INTO picture (digest, bytes, format, width, height) VALUES (?, "
                          "1, 'jpeg', 1, 1)",
                          DB_DIGEST(&picture)));
        assert_ok(db_commit(&t, &e));
    }
    state_put_end(f->state, true);
    assert_false(blobs_has(b, &left));
    assert_true(blobs_has(b, &picture));
}

static void make_file(struct fixture *f, const char *folder, const char *name)
{
    struct err e = { 0 };
    char path[200], file[300];
    path_of(f, folder, path);
    assert_ok(file_mkdirs(path, &e));
    snprintf(file, sizeof file, "%s/%s", path, name);
    assert_ok(file_write_atomic(file, "x", 1, &e));
}

static void test_sweep_of_jobs_and_staging(void **context)
{
    struct fixture *f = *context;
    static const char digest[] =
        "x'0000000000000000000000000000000000000000000000000000000000000000'";
    char sql[2000];
    snprintf(
        sql, sizeof sql,
        "INSERT INTO dataset (id, name, created_ms, who) VALUES (1, 'd', 1, 'me');"
        "INSERT INTO dataset_version (dataset, number, digest, cause, who, created_ms, pictures, "
        "labels, counts, added, removed, duplicates, rejected) VALUES (1, 1, %s, 'import', 'me', "
        "1, 0, 0, '{}', 0, 0, 0,"
        " 0);"
        "INSERT INTO backbone VALUES (1, 'b', %s, 1, 'f', 1, 'i', 1, 1, '{}', 1, '{}', 1,"
        " 'me');"
        "INSERT INTO model (id, name, dataset, backbone, recipe, gate, strip_prefix, "
        "created_ms, who, limits) VALUES (1, 'm', 1, 1, '{}', '{}', NULL, 1, 'me', '{}');"
        "INSERT INTO job (id, model, state, dataset, dataset_version, backbone, mode, recipe,"
        " gate, seed, tags, requested_by, created_ms, ended_ms) VALUES"
        " ('RUNNING', 1, 'running', 1, 1, 1, 'head', '{}', '{}', 0, '{}', 'me', 1, NULL),"
        " ('ENDED', 1, 'cancelled', 1, 1, 1, 'head', '{}', '{}', 0, '{}', 'me', 1, 2)",
        digest, digest);
    fixture_script(f, sql);
    make_file(f, "jobs/RUNNING", "spec.json");
    make_file(f, "jobs/ENDED", "spec.json");
    make_file(f, "jobs/NEVER", "spec.json");
    make_file(f, "staging", "import-abc");
    fixture_close(f);
    fixture_open(f);
    assert_true(exists(f, "jobs/RUNNING/spec.json"));
    assert_false(exists(f, "jobs/ENDED"));
    assert_false(exists(f, "jobs/NEVER"));
    assert_true(exists(f, "staging"));
    assert_false(exists(f, "staging/import-abc"));
}

static void test_folder_that_cannot_be(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    char path[200];
    make_file(f, ".", "file");
    path_of(f, "file/state", path);
    struct state *s = NULL;
    assert_int_equal(state_open(path, &f->limits, &s, &e), ERR_IO);
    assert_null(s);
}

static void test_limits(void **context)
{
    struct fixture *f = *context;
    assert_int_equal(f->limits.image.max_pixels, 50000000);
    assert_int_equal(f->limits.max_labels, 10000);
    assert_memory_equal(state_limits(f->state), &f->limits, sizeof f->limits);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(test_folders_are_private),
        T(test_a_second_owner_is_refused),
        T(test_lock_of_a_killed_owner_is_free),
        T(test_sweep_of_blobs),
        T(test_sweep_between_puts),
        T(test_sweep_of_jobs_and_staging),
        T(test_folder_that_cannot_be),
        T(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
