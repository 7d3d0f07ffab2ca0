#include "registry_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

static void test_write_is_seen_only_after_commit(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    struct db *db = state_db(f->state);
    CLEANUP(db_end_p) struct db_tx *writer = NULL;
    assert_ok(db_write(db, &writer, &e));
    assert_ok(db_exec(writer, &e, "INSERT INTO dataset (name, created_ms, who) VALUES (?, ?, ?)",
                      DB_TEXT("a"), DB_INT(1), DB_TEXT("me")));
    assert_int_equal(db_changes(writer), 1);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM dataset"), 0);
    assert_ok(db_commit(&writer, &e));
    assert_null(writer);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM dataset"), 1);
}

static void test_end_without_commit_rolls_back(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    struct db_tx *t = NULL;
    assert_ok(db_write(state_db(f->state), &t, &e));
    assert_ok(db_exec(t, &e, "INSERT INTO dataset (name, created_ms, who) VALUES ('a', 1, 'me')"));
    db_end(t);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM dataset"), 0);
}

static void test_reader_sees_one_moment(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    CLEANUP(db_end_p) struct db_tx *reader = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    assert_ok(db_read(state_db(f->state), &reader, &e));
    assert_ok(db_get(reader, &row, &e, "SELECT count(*) FROM dataset"));
    assert_int_equal(db_int(row, 0), 0);
    db_rows_free(STEAL(row));
    fixture_script(f, "INSERT INTO dataset (name, created_ms, who) VALUES ('a', 1, 'me')");
    assert_ok(db_get(reader, &row, &e, "SELECT count(*) FROM dataset"));
    assert_int_equal(db_int(row, 0), 0);
}

static void test_reader_cannot_write(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    assert_ok(db_read(state_db(f->state), &t, &e));
    assert_int_equal(db_exec(t, &e, "DELETE FROM dataset"), ERR_INTERNAL);
}

static void test_values_come_back(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    struct digest digest, back;
    memset(&digest, 0xab, sizeof digest);
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    const char *no_text = NULL;
    assert_ok(db_read(state_db(f->state), &t, &e));
    assert_ok(db_get(t, &row, &e, "SELECT ?, ?, ?, ?, ?, ?, ?, ?", DB_INT(INT64_MIN), DB_REAL(0.1),
                     DB_TEXT("text"), DB_DIGEST(&digest), DB_TEXT(no_text), DB_INT_OR_NULL(0),
                     DB_INT(1234), DB_TEXT("{\"a\":[1]}")));
    assert_true(db_int(row, 0) == INT64_MIN);
    assert_true(db_real(row, 1) == 0.1);
    assert_string_equal(db_text(row, 2), "text");
    assert_ok(db_digest(row, 3, &back, &e));
    assert_memory_equal(&digest, &back, sizeof digest);
    assert_int_equal(db_digest(row, 2, &back, &e), ERR_DATABASE);
    assert_true(db_is_null(row, 4));
    assert_true(db_is_null(row, 5));
    CLEANUP(json_decref_p) json_t *json = NULL;
    assert_ok(db_json(row, 7, &json, &e));
    fixture_expect(json, "{\"a\": [1]}");
    assert_int_equal(db_json(row, 2, &json, &e), ERR_DATABASE);
    json_t *all = json_pack("[o, o, o, o, o, o]", db_json_int(row, 0), db_json_real(row, 1),
                            db_json_text(row, 2), db_json_text(row, 4), db_json_time(row, 6),
                            db_json_time(row, 4));
    fixture_expect(all, "[-9223372036854775808, 0.1, \"text\", null, "
                        "\"1970-01-01T00:00:01.234Z\", null]");
    json_decref(all);
}

static void test_wrong_number_of_values_is_a_bug(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    struct db_rows *row = NULL;
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    assert_ok(db_read(state_db(f->state), &t, &e));
    assert_int_equal(db_get(t, &row, &e, "SELECT ?, ?", DB_INT(1)), ERR_INTERNAL);
    assert_int_equal(db_get(t, &row, &e, "SELECT 1", DB_INT(1)), ERR_INTERNAL);
    assert_int_equal(db_get(t, &row, &e, "SELECT no_such_column"), ERR_DATABASE);
    assert_non_null(strstr(e.message, "no_such_column"));
    assert_null(row);
}

/* The same statement while it is being stepped: each caller gets one of its own. */
static void test_one_statement_twice_at_once(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    fixture_script(f, "INSERT INTO dataset (name, created_ms, who) VALUES ('a', 1, 'me'),"
                      " ('b', 2, 'me')");
    static const char sql[] = "SELECT name FROM dataset ORDER BY name";
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *outer = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *inner = NULL;
    bool more = false;
    assert_ok(db_read(state_db(f->state), &t, &e));
    assert_ok(db_query(t, &outer, &e, sql));
    assert_ok(db_next(outer, &more, &e));
    assert_ok(db_query(t, &inner, &e, sql));
    assert_ok(db_next(inner, &more, &e));
    assert_ok(db_next(outer, &more, &e));
    assert_string_equal(db_text(outer, 0), "b");
    assert_string_equal(db_text(inner, 0), "a");
    assert_ok(db_next(outer, &more, &e));
    assert_false(more);
}

/* More texts than the cache holds, some of them in use. */
static void test_many_statements(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    assert_ok(db_read(state_db(f->state), &t, &e));
    struct db_rows *rows[150];
    for (int i = 0; i < 150; i++) {
        char sql[40];
        snprintf(sql, sizeof sql, "SELECT %d", i);
        assert_ok(db_get(t, &rows[i], &e, sql));
    }
    for (int i = 0; i < 150; i++) {
        assert_int_equal(db_int(rows[i], 0), i);
        db_rows_free(rows[i]);
    }
}

struct counting {
    struct fixture *f;
    atomic_int *failures;
};

static void *count_up(void *context)
{
    struct counting *c = context;
    for (int i = 0; i < 20; i++) {
        struct err e = { 0 };
        CLEANUP(db_end_p) struct db_tx *t = NULL;
        CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
        enum err_code r = db_write(state_db(c->f->state), &t, &e);
        if (!r)
            r = db_get(t, &row, &e, "SELECT created_ms FROM dataset");
        if (!r)
            r = db_exec(t, &e, "UPDATE dataset SET created_ms = ?", DB_INT(db_int(row, 0) + 1));
        if (!r) {
            db_rows_free(STEAL(row));
            r = db_commit(&t, &e);
        }
        if (r)
            atomic_fetch_add(c->failures, 1);
    }
    return NULL;
}

static void test_writers_take_turns(void **context)
{
    struct fixture *f = *context;
    fixture_script(f, "INSERT INTO dataset (name, created_ms, who) VALUES ('a', 0, 'me')");
    atomic_int failures = 0;
    struct counting c = { f, &failures };
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, &c), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(failures, 0);
    assert_int_equal(fixture_number(f, "SELECT created_ms FROM dataset"), 80);
}

static void test_pragmas(void **context)
{
    struct fixture *f = *context;
    assert_int_equal(fixture_number(f, "PRAGMA foreign_keys"), 1);
    assert_int_equal(fixture_number(f, "PRAGMA synchronous"), 2);
    assert_int_equal(fixture_number(f, "PRAGMA trusted_schema"), 0);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM pragma_journal_mode"
                                       " WHERE journal_mode = 'wal'"),
                     1);
}

static void test_foreign_keys_and_checks(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    assert_ok(db_write(state_db(f->state), &t, &e));
    assert_int_equal(db_exec(t, &e, "INSERT INTO alias (model, name, version) VALUES (1, 'x', 1)"),
                     ERR_DATABASE);
    assert_int_equal(db_exec(t, &e,
                             "INSERT INTO dataset_version (dataset, number, digest, cause, who, "
                             "created_ms, pictures, "
                             "labels, counts, added, removed, duplicates, rejected) VALUES (1, 1, "
                             "x'00', 'import', 'me', 1,"
                             " 0, 0, '{}', 0, 0, 0, 0)"),
                     ERR_DATABASE);
}

static void test_history_is_append_only(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    assert_ok(db_write(state_db(f->state), &t, &e));
    CLEANUP(json_decref_p) json_t *after = json_pack("{s:i}", "a", 1);
    assert_ok(db_audit(t, "me", "test", "thing/1", NULL, after, &e));
    assert_int_equal(db_exec(t, &e, "DELETE FROM audit"), ERR_DATABASE);
    assert_int_equal(db_exec(t, &e, "UPDATE audit SET who = 'you'"), ERR_DATABASE);
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    assert_ok(db_get(t, &row, &e, "SELECT who, what, subject, before, after FROM audit"));
    assert_string_equal(db_text(row, 0), "me");
    assert_true(db_is_null(row, 3));
    assert_string_equal(db_text(row, 4), "{\"a\":1}");
}

/* Bytes of the database or its log, whichever is larger. */
static rlim_t largest_file(const struct fixture *f)
{
    static const char *const names[] = { "kennel.db", "kennel.db-wal" };
    rlim_t largest = 0;
    for (int i = 0; i < 2; i++) {
        char path[100];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", f->dir, names[i]);
        if (stat(path, &st) == 0 && (rlim_t)st.st_size > largest)
            largest = (rlim_t)st.st_size;
    }
    return largest;
}

/* A write that does not fit says so, loses nothing and leaves the database usable. */
static void test_disk_full(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before, small = { .rlim_cur = largest_file(f) + 200 * 1024 };
    getrlimit(RLIMIT_FSIZE, &before);
    small.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_FSIZE, &small);
    enum err_code r = ERR_OK;
    int64_t committed = 0;
    while (!r && committed < 1000) {
        CLEANUP(db_end_p) struct db_tx *t = NULL;
        r = db_write(state_db(f->state), &t, &e);
        if (!r)
            r = db_exec(t, &e,
                        "INSERT INTO audit (at_ms, who, what, subject, after)"
                        " VALUES (1, 'me', 'x', 'y', hex(zeroblob(20000)))");
        if (!r)
            r = db_commit(&t, &e);
        committed += !r;
    }
    setrlimit(RLIMIT_FSIZE, &before);
    if (r != ERR_DISK_FULL)
        fail_msg("%s", e.message);
    assert_true(committed > 0);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM audit"), committed);
    fixture_script(f, "INSERT INTO dataset (name, created_ms, who) VALUES ('a', 1, 'me')");
}

static void test_session(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    char path[100];
    snprintf(path, sizeof path, "%s/staging/session", f->dir);
    CLEANUP(db_end_p) struct db_tx *session = NULL;
    assert_ok(db_session(state_db(f->state), path, &session, &e));
    assert_ok(db_script(session, "CREATE TABLE scratch.name (name TEXT) STRICT", &e));
    assert_ok(db_exec(session, &e, "INSERT INTO scratch.name VALUES ('a'), ('b')"));
    /* Others write meanwhile. */
    fixture_script(f, "INSERT INTO dataset (name, created_ms, who) VALUES ('z', 1, 'me')");
    assert_ok(db_session_write(session, &e));
    assert_ok(db_exec(session, &e,
                      "INSERT INTO dataset (name, created_ms, who)"
                      " SELECT name, 2, 'me' FROM scratch.name"));
    assert_ok(db_commit(&session, &e));
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM dataset"), 3);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void test_session_may_not_write_the_registry_early(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    char path[100];
    snprintf(path, sizeof path, "%s/staging/session", f->dir);
    CLEANUP(db_end_p) struct db_tx *session = NULL;
    assert_ok(db_session(state_db(f->state), path, &session, &e));
    assert_int_equal(db_exec(session, &e, "DELETE FROM main.dataset"), ERR_INTERNAL);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(test_write_is_seen_only_after_commit),
        T(test_end_without_commit_rolls_back),
        T(test_reader_sees_one_moment),
        T(test_reader_cannot_write),
        T(test_values_come_back),
        T(test_wrong_number_of_values_is_a_bug),
        T(test_one_statement_twice_at_once),
        T(test_many_statements),
        T(test_writers_take_turns),
        T(test_pragmas),
        T(test_foreign_keys_and_checks),
        T(test_history_is_append_only),
        T(test_disk_full),
        T(test_session),
        T(test_session_may_not_write_the_registry_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
