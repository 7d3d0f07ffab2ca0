#include "daemon/aliases.h"

#include "daemon/promotion.h"
#include "serving_fixture.h"

#define PASSED "{\"passed\":true,\"reasons\":[],\"champion\":null}"
#define REFUSED "{\"passed\":false,\"reasons\":[\"low\"],\"champion\":1}"

/* Version 1 passed its gate, 2 did not. */
static struct serve *start(struct fixture *f)
{
    struct err e = { 0 };
    struct serve *serve = NULL;
    add_base(f);
    add_model(f, 1, "m");
    add_version(f, 1, 1, "fake a,b", PASSED, true);
    add_version(f, 1, 2, "fake a,b", REFUSED, false);
    assert_ok(serve_new(f->state, &(struct serve_options){ 0 }, &serve, &e));
    return serve;
}

static enum err_code set(struct fixture *f, struct serve *s, const char *alias, int version)
{
    struct err e = { 0 };
    CLEANUP(json_decref_p) json_t *reply = NULL;
    return aliases_set(f->state, s, "m", alias, version, "why", "me", &reply, &e);
}

static enum err_code drop(struct fixture *f, struct serve *s, const char *alias)
{
    struct err e = { 0 };
    CLEANUP(json_decref_p) json_t *reply = NULL;
    return aliases_remove(f->state, s, "m", alias, "me", &reply, &e);
}

static void expect_list(struct fixture *f, const char *wanted)
{
    struct err e = { 0 };
    CLEANUP(json_decref_p) json_t *list = NULL;
    assert_ok(aliases_list(f->state, "m", &list, &e));
    fixture_expect(list, wanted);
}

static void test_set_move_remove_and_history(void **context)
{
    struct fixture *f = *context;
    struct serve *s = start(f);
    struct err e = { 0 };
    expect_list(f, "[]");
    /* No gate for names. */
    assert_int_equal(set(f, s, "canary", 2), ERR_OK);
    assert_int_equal(set(f, s, "best.of-2024", 1), ERR_OK);
    assert_int_equal(set(f, s, "canary", 1), ERR_OK);
    assert_int_equal(set(f, s, "canary", 1), ERR_OK); /* is there already: no history */
    expect_list(f, "[{\"alias\":\"best.of-2024\",\"version\":1},"
                   "{\"alias\":\"canary\",\"version\":1}]");
    assert_int_equal(drop(f, s, "canary"), ERR_OK);
    assert_int_equal(drop(f, s, "canary"), ERR_ALIAS_UNKNOWN);
    expect_list(f, "[{\"alias\":\"best.of-2024\",\"version\":1}]");

    CLEANUP(json_decref_p) json_t *history = NULL;
    const struct state_page all = { .limit = 100 };
    assert_ok(promotion_history(f->state, "m", NULL, all, &history, &e));
    assert_int_equal(json_array_size(history), 4);
    const json_t *last = json_array_get(history, 0);
    assert_string_equal(json_string_value(json_object_get(last, "cause")), "remove");
    assert_true(json_is_null(json_object_get(last, "version")));
    assert_int_equal(json_integer_value(json_object_get(last, "previous")), 1);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM audit"), 4);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM event"), 4);
    serve_free(s);
}

static void test_refusals(void **context)
{
    struct fixture *f = *context;
    struct serve *s = start(f);
    struct err e = { 0 };
    json_t *reply = NULL;
    assert_int_equal(set(f, s, "production", 2), ERR_ALIAS_KEPT);
    assert_int_equal(drop(f, s, "production"), ERR_ALIAS_KEPT);
    assert_int_equal(set(f, s, "a b", 1), ERR_NAME_SYNTAX);
    assert_int_equal(set(f, s, "canary", 9), ERR_VERSION_UNKNOWN);
    assert_int_equal(aliases_set(f->state, s, "x", "canary", 1, NULL, "me", &reply, &e),
                     ERR_MODEL_UNKNOWN);
    assert_int_equal(aliases_list(f->state, "x", &reply, &e), ERR_MODEL_UNKNOWN);
    assert_null(reply);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM alias_history"), 0);
    serve_free(s);
}

/* A rollback of production goes past moves of other aliases. */
static void test_rollback_sees_production_alone(void **context)
{
    struct fixture *f = *context;
    struct serve *s = start(f);
    struct err e = { 0 };
    json_t *reply = NULL, *decision = NULL;
    assert_ok(promotion_promote(f->state, s, "m", 1, false, NULL, "me", &reply, &decision, &e));
    json_decref(STEAL(reply));
    assert_ok(promotion_promote(f->state, s, "m", 2, true, "so", "me", &reply, &decision, &e));
    json_decref(STEAL(reply));
    assert_int_equal(set(f, s, "canary", 2), ERR_OK);
    assert_ok(promotion_rollback(f->state, s, "m", NULL, "me", &reply, &e));
    json_decref(reply);
    expect_list(f, "[{\"alias\":\"canary\",\"version\":2},"
                   "{\"alias\":\"production\",\"version\":1}]");
    serve_free(s);
}

/* What 0009 made anew is as it was. */
static void test_history_is_append_only(void **context)
{
    struct fixture *f = *context;
    struct serve *s = start(f);
    struct err e = { 0 };
    assert_int_equal(set(f, s, "canary", 1), ERR_OK);
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    assert_ok(db_write(state_db(f->state), &t, &e));
    assert_int_equal(db_exec(t, &e, "DELETE FROM alias_history"), ERR_DATABASE);
    assert_non_null(strstr(e.message, "append-only"));
    assert_int_equal(db_exec(t, &e, "UPDATE alias_history SET who = 'x'"), ERR_DATABASE);
    assert_int_equal(db_exec(t, &e,
                             "INSERT INTO alias_history (model, alias, cause, forced, who, "
                             "at_ms) VALUES (1, 'production', 'remove', 0, 'me', 1)"),
                     ERR_DATABASE);
    serve_free(s);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(test_set_move_remove_and_history),
        T(test_refusals),
        T(test_rollback_sees_production_alone),
        T(test_history_is_append_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
