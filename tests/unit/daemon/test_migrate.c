#include "registry_fixture.h"

#include "daemon/migrate.h"

static void test_new_database_gets_every_migration(void **context)
{
    struct fixture *f = *context;
    assert_int_equal(fixture_number(f, "PRAGMA user_version"), migrate_latest());
    assert_true(fixture_number(f, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'") > 10);
}

static void test_second_run_changes_nothing(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    int64_t before = fixture_number(f, "PRAGMA schema_version");
    assert_ok(migrate(state_db(f->state), &e));
    assert_int_equal(fixture_number(f, "PRAGMA schema_version"), before);
}

static void test_newer_database_is_refused(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    fixture_script(f, "PRAGMA user_version = 9999");
    assert_int_equal(migrate(state_db(f->state), &e), ERR_DATABASE);
    assert_non_null(strstr(e.message, "9999"));
    assert_int_equal(fixture_number(f, "PRAGMA user_version"), 9999);
    fixture_close(f);
    struct state *s = NULL;
    assert_int_equal(state_open(f->dir, &f->limits, &s, &e), ERR_DATABASE);
    assert_null(s);
}

static void test_a_foreign_database_is_refused(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    char path[100];
    snprintf(path, sizeof path, "%s/other.db", f->dir);
    struct db *db = NULL;
    assert_ok(db_open(path, &db, &e));
    {
        CLEANUP(db_end_p) struct db_tx *t = NULL;
        assert_ok(db_write(db, &t, &e));
        assert_ok(db_script(t, "CREATE TABLE theirs (a INTEGER)", &e));
        assert_ok(db_commit(&t, &e));
    }
    assert_int_equal(migrate(db, &e), ERR_DATABASE);
    db_close(db);
}

static void test_not_a_database_is_refused(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    char path[100];
    static const char text[] = "this is a text that is no database at all, and longer than a "
                               "hundred bytes, which is what SQLite reads first of a file.";
    snprintf(path, sizeof path, "%s/text.db", f->dir);
    assert_ok(file_write_atomic(path, text, sizeof text, &e));
    struct db *db = NULL;
    assert_int_equal(db_open(path, &db, &e), ERR_DATABASE);
    assert_null(db);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(test_new_database_gets_every_migration), T(test_second_run_changes_nothing),
        T(test_newer_database_is_refused),         T(test_a_foreign_database_is_refused),
        T(test_not_a_database_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
