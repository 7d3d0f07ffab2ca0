#include "daemon/spool.h"

#include "registry_fixture.h"

static enum err_code add(struct fixture *f, struct spool *s, int items, size_t bytes, bool feedback,
                         struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(json_decref_p) json_t *list = json_array();
    CLEANUP(cleanup_free) char *text = calloc(1, bytes + 1);
    assert_non_null(text);
    memset(text, 'x', bytes);
    for (int i = 0; i < items; i++)
        assert_int_equal(json_array_append_new(list, json_pack("{s:i, s:s}", "n", i, "x", text)),
                         0);
    enum err_code r = db_write(state_db(f->state), &t, e);
    if (!r)
        r = spool_add(s, t, list, feedback, e);
    return r ? r : db_commit(&t, e);
}

/* Batches come back in order, each once, until they are acknowledged. */
static void test_in_order(void **context)
{
    struct fixture *f = *context;
    struct db *db = state_db(f->state);
    struct spool s = { .max = 1 << 30 };
    struct err e = { 0 };
    for (int i = 0; i < 3; i++)
        assert_ok(add(f, &s, 2, 1, false, &e));
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, 1 << 20);
    int count = 0;
    assert_ok(spool_read(db, &text, &count, &e));
    assert_int_equal(count, 3);
    assert_string_equal((const char *)text.data,
                        "[{\"seq\":1,\"items\":[{\"n\":0,\"x\":\"x\"},{\"n\":1,\"x\":\"x\"}]},"
                        "{\"seq\":2,\"items\":[{\"n\":0,\"x\":\"x\"},{\"n\":1,\"x\":\"x\"}]},"
                        "{\"seq\":3,\"items\":[{\"n\":0,\"x\":\"x\"},{\"n\":1,\"x\":\"x\"}]}]");
    assert_ok(spool_acknowledge(db, 3, &e));
    assert_ok(add(f, &s, 1, 1, true, &e));
    buf_reset(&text);
    assert_ok(spool_read(db, &text, &count, &e));
    /* A number is not used again, although the table was empty. */
    assert_string_equal((const char *)text.data, "[{\"seq\":4,\"items\":[{\"n\":0,\"x\":\"x\"}]}]");
}

/* Many items are several batches, and no more is read than fits into a request. */
static void test_sizes(void **context)
{
    struct fixture *f = *context;
    struct spool s = { .max = 1 << 30 };
    struct spool_figures figures;
    struct err e = { 0 };
    assert_ok(add(f, &s, 4000, 300, false, &e));
    assert_ok(spool_look(state_db(f->state), &figures, &e));
    assert_true(figures.batches >= 9 && figures.batches <= 11);
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, 1 << 20);
    int count = 0;
    assert_ok(spool_read(state_db(f->state), &text, &count, &e));
    assert_true(count >= 2 && text.len < SPOOL_SEND + 2 * SPOOL_BATCH);
}

static void test_bound(void **context)
{
    struct fixture *f = *context;
    struct spool s = { .max = 4000 };
    struct err e = { 0 };
    assert_ok(add(f, &s, 1, 3000, false, &e)); /* passes three quarters with its one item */
    assert_int_equal(s.dropped, 0);
    assert_ok(add(f, &s, 5, 10, false, &e));
    assert_int_equal(s.dropped, 5);
    assert_ok(add(f, &s, 1, 1000, true, &e));
    assert_int_equal(add(f, &s, 1, 10, true, &e), ERR_SPOOL_FULL);
    assert_int_equal(s.dropped, 5);
    assert_ok(spool_acknowledge(state_db(f->state), 2, &e));
    assert_ok(add(f, &s, 1, 10, true, &e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_in_order, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_sizes, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_bound, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
