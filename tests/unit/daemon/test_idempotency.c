#include "daemon/idempotency.h"

#include "serving_fixture.h"

static int setup(void **context)
{
    fixture_setup(context);
    add_base(*context);
    add_model(*context, 1, "m");
    fixture_script(*context,
                   "INSERT INTO job (id, model, state, dataset, dataset_version, backbone, mode, "
                   "recipe, gate, seed, tags, requested_by, created_ms) VALUES "
                   "('j', 1, 'queued', 1, 1, 1, 'head', '{}', '{}', 0, '{}', 'me', 1)");
    return 0;
}

static enum err_code find(struct fixture *f, const struct idempotency *i, char ret[ULID_TEXT])
{
    struct err e = { 0 };
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    assert_ok(db_write(state_db(f->state), &t, &e));
    return idempotency_find(t, i, ret, &e);
}

static void add(struct fixture *f, const struct idempotency *i)
{
    struct err e = { 0 };
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    assert_ok(db_write(state_db(f->state), &t, &e));
    assert_ok(idempotency_add(t, i, "j", &e));
    assert_ok(db_commit(&t, &e));
}

static void test_found_by_who_and_key(void **context)
{
    struct fixture *f = *context;
    struct idempotency mine = { .who = "me", .key = "k" }, theirs = { .who = "you", .key = "k" };
    char job[ULID_TEXT] = "x";
    assert_int_equal(find(f, &mine, job), ERR_OK);
    assert_string_equal(job, "");
    add(f, &mine);
    assert_int_equal(find(f, &mine, job), ERR_OK);
    assert_string_equal(job, "j");
    assert_int_equal(find(f, &theirs, job), ERR_OK);
    assert_string_equal(job, "");
}

static void test_another_request(void **context)
{
    struct fixture *f = *context;
    struct idempotency i = { .who = "me", .key = "k" };
    char job[ULID_TEXT] = "x";
    add(f, &i);
    i.request.bytes[31] = 1;
    assert_int_equal(find(f, &i, job), ERR_IDEMPOTENCY_REUSED);
    assert_string_equal(job, "x");
}

/* A second more than 7 days is forgotten, a second less is not. */
static void test_forgotten(void **context)
{
    struct fixture *f = *context;
    struct idempotency i = { .who = "me", .key = "k" }, other = { .who = "me", .key = "l" };
    char job[ULID_TEXT];
    add(f, &i);
    fixture_script(f, "UPDATE idempotency SET created_ms = created_ms - 7 * 86400000 + 1000");
    assert_int_equal(find(f, &i, job), ERR_OK);
    assert_string_equal(job, "j");
    fixture_script(f, "UPDATE idempotency SET created_ms = created_ms - 2000");
    assert_int_equal(find(f, &i, job), ERR_OK);
    assert_string_equal(job, "");
    add(f, &other);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM idempotency"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_found_by_who_and_key, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_another_request, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_forgotten, setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
