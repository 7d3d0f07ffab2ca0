#include "daemon/predictions.h"

#include "serving_fixture.h"

static void id_of(int number, char ret[PREDICTION_ID + 1])
{
    snprintf(ret, PREDICTION_ID + 1, "%032d", number);
}

static struct predictions *start(struct fixture *f)
{
    struct err e = { 0 };
    struct predictions *p = NULL;
    add_base(f);
    add_model(f, 1, "m");
    add_version(f, 1, 1, "fake a,b", "{}", true);
    assert_ok(predictions_new(f->state, NULL, &p, &e));
    return p;
}

/* A feedback finds an answer that has not been written yet; the last one counts. */
static void test_feedback(void **context)
{
    struct fixture *f = *context;
    struct predictions *p = start(f);
    struct err e = { 0 };
    struct prediction_told told;
    char id[PREDICTION_ID + 1];
    id_of(7, id);
    predictions_add(p, id, "m", 1, "a", 0.5f);
    predictions_add_other(p, id, 2, "b");
    json_t *reply = NULL;
    assert_ok(predictions_feedback(p, id, "b", "me", &reply, &told, &e));
    fixture_expect(reply, "{\"prediction_id\":\"00000000000000000000000000000007\",\"model\":\"m\","
                          "\"version\":1,\"predicted\":\"a\",\"label\":\"b\",\"right\":false}");
    json_decref(STEAL(reply));
    assert_true(told.is_pair && told.is_first && !told.right && told.other_right);
    assert_int_equal(told.other_version, 2);
    assert_ok(predictions_feedback(p, id, "a", "me", &reply, &told, &e));
    json_decref(STEAL(reply));
    assert_true(told.right && !told.is_first);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM prediction WHERE truth = 'a'"), 1);

    id_of(8, id);
    predictions_add(p, id, "m", 1, "a", 0.5f);
    assert_int_equal(predictions_feedback(p, "nobody", "a", "me", &reply, &told, &e),
                     ERR_PREDICTION_UNKNOWN);
    assert_null(reply);
    /* What waited meanwhile is not lost. */
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM prediction"), 2);
    predictions_free(p);
}

static void test_the_end_writes_what_waits(void **context)
{
    struct fixture *f = *context;
    struct predictions *p = start(f);
    char id[PREDICTION_ID + 1];
    for (int i = 0; i < 1000; i++) {
        id_of(i, id);
        predictions_add(p, id, "m", 1, "a", 0.5f);
    }
    predictions_add(p, "other", "gone", 1, "a", 0.5f); /* of no model */
    predictions_free(p);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM prediction"), 1000);
}

/* The writer's lock is held elsewhere: nobody waits, and what is too much is counted. */
static void test_a_full_queue_drops(void **context)
{
    struct fixture *f = *context;
    struct predictions *p = start(f);
    struct err e = { 0 };
    struct db_tx *t = NULL;
    assert_ok(db_write(state_db(f->state), &t, &e));
    char id[PREDICTION_ID + 1];
    for (int i = 0; i < 3 * PREDICTIONS_QUEUE; i++) {
        id_of(i, id);
        predictions_add(p, id, "m", 1, "a", 0.5f);
    }
    int64_t dropped = predictions_dropped(p);
    assert_true(dropped >= PREDICTIONS_QUEUE);
    db_end(t);
    predictions_free(p);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM prediction"),
                     3 * PREDICTIONS_QUEUE - dropped);
}

/* The oldest go. */
static void test_retention(void **context)
{
    struct fixture *f = *context;
    struct predictions *p = start(f);
    fixture_script(f, "INSERT INTO prediction (seq, id, model, version, label, probability, at_ms) "
                      "VALUES (1, 'old', 1, 1, 'a', 0.5, 1), (100001, 'new', 1, 1, 'a', 0.5, 1)");
    char id[PREDICTION_ID + 1];
    id_of(1, id);
    predictions_add(p, id, "m", 1, "a", 0.5f);
    predictions_free(p);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM prediction WHERE id = 'old'"), 0);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM prediction"), 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(test_feedback),
        T(test_the_end_writes_what_waits),
        T(test_a_full_queue_drops),
        T(test_retention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
