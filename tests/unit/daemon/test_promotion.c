#include "daemon/promotion.h"

#include "serving_fixture.h"

#define PASSED_FIRST "{\"passed\":true,\"reasons\":[],\"champion\":null,\"accuracy\":0.9}"
#define PASSED_AGAINST_1 "{\"passed\":true,\"reasons\":[],\"champion\":1,\"accuracy\":0.95}"
#define REFUSED "{\"passed\":false,\"reasons\":[\"accuracy 0.8 is low\"],\"champion\":1}"

struct promoting {
    struct fixture *f;
    struct serve *serve;
};

/* Version 1 passed as the first, 2 and 4 against 1, 3 was refused; none is in production. */
static const struct state_page page_of_all = { .limit = 100 };

static void start(struct promoting *p, struct fixture *f)
{
    struct err e = { 0 };
    *p = (struct promoting){ .f = f };
    add_base(f);
    add_model(f, 1, "m");
    add_version(f, 1, 1, "fake a1,b", PASSED_FIRST, true);
    add_version(f, 1, 2, "fake a2,b", PASSED_AGAINST_1, true);
    add_version(f, 1, 3, "fake a3,b", REFUSED, false);
    add_version(f, 1, 4, "fake a4,b", PASSED_AGAINST_1, true);
    assert_ok(serve_new(f->state, &(struct serve_options){ 0 }, &p->serve, &e));
}

static void stop(struct promoting *p)
{
    serve_free(p->serve);
    assert_int_equal(atomic_load(&fake_live), 0);
}

static enum err_code promote(struct promoting *p, int version, const char *force_reason,
                             json_t **ret, json_t **ret_decision)
{
    struct err e = { 0 };
    return promotion_promote(p->f->state, p->serve, "m", version, force_reason != NULL,
                             force_reason, "me", ret, ret_decision, &e);
}

/* Promotes and drops the reply. */
static enum err_code move(struct promoting *p, int version, const char *force_reason)
{
    json_t *reply = NULL, *decision = NULL;
    enum err_code r = promote(p, version, force_reason, &reply, &decision);
    json_decref(reply);
    json_decref(decision);
    return r;
}

static enum err_code back(struct promoting *p)
{
    struct err e = { 0 };
    json_t *reply = NULL;
    enum err_code r =
        promotion_rollback(p->f->state, p->serve, "m", "it is worse", "me", &reply, &e);
    json_decref(reply);
    return r;
}

/* The alias and what is served agree. */
static void expect_production(struct promoting *p, int version)
{
    struct err e = { 0 };
    struct serve_ref *r = NULL;
    assert_int_equal(fixture_number(p->f, "SELECT version FROM alias WHERE model = 1"), version);
    assert_ok(serve_borrow(p->serve, "m", 0, &r, &e));
    assert_int_equal(serve_ref_version(r), version);
    serve_release(r);
}

static void test_promote(void **context)
{
    struct promoting p;
    start(&p, *context);
    CLEANUP(json_decref_p) json_t *reply = NULL;
    json_t *decision = NULL;
    assert_int_equal(promote(&p, 1, NULL, &reply, &decision), ERR_OK);
    expect_production(&p, 1);
    assert_null(decision);
    assert_true(json_is_string(json_object_get(reply, "at")));
    json_object_del(reply, "at");
    fixture_expect(reply, "{\"model\":\"m\",\"alias\":\"production\",\"version\":1,"
                          "\"previous\":null,\"forced\":false,\"reason\":null,\"who\":\"me\"}");
    assert_int_equal(move(&p, 2, NULL), ERR_OK);
    expect_production(&p, 2);
    assert_int_equal(fixture_number(p.f, "SELECT count(*) FROM audit"), 2);
    stop(&p);
}

static void test_gate_refuses_with_numbers(void **context)
{
    struct promoting p;
    start(&p, *context);
    assert_int_equal(move(&p, 1, NULL), ERR_OK);
    json_t *reply = NULL;
    CLEANUP(json_decref_p) json_t *decision = NULL;
    assert_int_equal(promote(&p, 3, NULL, &reply, &decision), ERR_GATE_REFUSED);
    assert_null(reply);
    fixture_expect(decision, REFUSED);
    expect_production(&p, 1);
    assert_int_equal(move(&p, 3, ""), ERR_FIELD_MISSING);
    assert_int_equal(move(&p, 3, "the holdout is stale"), ERR_OK);
    expect_production(&p, 3);
    assert_int_equal(fixture_number(p.f, "SELECT forced FROM alias_history ORDER BY id DESC"), 1);
    stop(&p);
}

static void test_force_needs_a_reason(void **context)
{
    struct promoting p;
    struct err e = { 0 };
    json_t *reply = NULL, *decision = NULL;
    start(&p, *context);
    assert_int_equal(
        promotion_promote(p.f->state, p.serve, "m", 3, true, NULL, "me", &reply, &decision, &e),
        ERR_FIELD_MISSING);
    assert_non_null(strstr(e.message, "\"reason\""));
    stop(&p);
}

static void expect_refusal(struct promoting *p, int version, const char *says)
{
    struct err e = { 0 };
    json_t *reply = NULL;
    CLEANUP(json_decref_p) json_t *decision = NULL;
    assert_int_equal(promotion_promote(p->f->state, p->serve, "m", version, false, NULL, "me",
                                       &reply, &decision, &e),
                     ERR_GATE_REFUSED);
    assert_null(reply);
    assert_non_null(decision);
    assert_non_null(strstr(e.message, says));
}

static void test_stale_decision_is_refused(void **context)
{
    struct promoting p;
    start(&p, *context);
    /* Passed against 1, but nothing is in production. */
    assert_int_equal(move(&p, 2, NULL), ERR_GATE_REFUSED);
    assert_int_equal(move(&p, 1, NULL), ERR_OK);
    assert_int_equal(move(&p, 2, NULL), ERR_OK);
    expect_refusal(&p, 4, "against version 1, which is not in production any more");
    expect_refusal(&p, 1, "when nothing was in production, but version 2 is now");
    expect_production(&p, 2);
    stop(&p);
}

static void test_promote_again_changes_nothing(void **context)
{
    struct promoting p;
    start(&p, *context);
    assert_int_equal(move(&p, 1, NULL), ERR_OK);
    assert_int_equal(move(&p, 1, NULL), ERR_OK);
    expect_production(&p, 1);
    assert_int_equal(fixture_number(p.f, "SELECT count(*) FROM alias_history"), 1);
    stop(&p);
}

static void test_unknown(void **context)
{
    struct promoting p;
    struct err e = { 0 };
    json_t *reply = NULL, *decision = NULL;
    start(&p, *context);
    assert_int_equal(move(&p, 9, NULL), ERR_VERSION_UNKNOWN);
    assert_int_equal(move(&p, 0, "why"), ERR_VERSION_UNKNOWN);
    assert_int_equal(
        promotion_promote(p.f->state, p.serve, "x", 1, false, NULL, "me", &reply, &decision, &e),
        ERR_MODEL_UNKNOWN);
    assert_int_equal(promotion_rollback(p.f->state, p.serve, "x", NULL, "me", &reply, &e),
                     ERR_MODEL_UNKNOWN);
    assert_int_equal(promotion_history(p.f->state, "x", NULL, page_of_all, &reply, &e),
                     ERR_MODEL_UNKNOWN);
    assert_null(reply);
    assert_null(decision);
    stop(&p);
}

static void test_what_cannot_be_loaded_is_not_promoted(void **context)
{
    struct promoting p;
    start(&p, *context);
    add_version(p.f, 1, 5, "broken", PASSED_AGAINST_1, true);
    assert_int_equal(move(&p, 1, NULL), ERR_OK);
    assert_int_equal(move(&p, 5, NULL), ERR_ONNX_SYNTAX);
    expect_production(&p, 1);
    assert_int_equal(fixture_number(p.f, "SELECT count(*) FROM alias_history"), 1);
    stop(&p);
}

static void test_rollback_goes_back_step_by_step(void **context)
{
    struct promoting p;
    start(&p, *context);
    assert_int_equal(back(&p), ERR_ROLLBACK_EMPTY);
    assert_int_equal(move(&p, 1, NULL), ERR_OK);
    assert_int_equal(back(&p), ERR_ROLLBACK_EMPTY);
    assert_int_equal(move(&p, 2, NULL), ERR_OK);
    assert_int_equal(move(&p, 3, "try"), ERR_OK);
    assert_int_equal(back(&p), ERR_OK);
    expect_production(&p, 2);
    assert_int_equal(back(&p), ERR_OK);
    expect_production(&p, 1);
    assert_int_equal(back(&p), ERR_ROLLBACK_EMPTY);
    assert_int_equal(move(&p, 4, NULL), ERR_OK);
    assert_int_equal(back(&p), ERR_OK);
    expect_production(&p, 1);
    assert_int_equal(back(&p), ERR_ROLLBACK_EMPTY);
    stop(&p);
}

static void test_history(void **context)
{
    struct promoting p;
    struct err e = { 0 };
    start(&p, *context);
    assert_int_equal(move(&p, 1, NULL), ERR_OK);
    assert_int_equal(move(&p, 3, "try"), ERR_OK);
    assert_int_equal(back(&p), ERR_OK);
    CLEANUP(json_decref_p) json_t *list = NULL;
    assert_ok(promotion_history(p.f->state, "m", NULL, page_of_all, &list, &e));
    assert_int_equal(json_array_size(list), 3);
    json_t *one;
    size_t i;
    json_array_foreach (list, i, one)
        assert_true(json_is_string(json_object_get(one, "at")) && json_object_del(one, "at") == 0);
    fixture_expect(list, "[{\"id\":3,\"alias\":\"production\",\"version\":1,\"previous\":3,"
                         "\"cause\":\"rollback\",\"forced\":false,\"reason\":\"it is worse\","
                         "\"who\":\"me\",\"gate\":" PASSED_FIRST "},"
                         "{\"id\":2,\"alias\":\"production\",\"version\":3,\"previous\":1,"
                         "\"cause\":\"promote\",\"forced\":true,\"reason\":\"try\",\"who\":\"me\","
                         "\"gate\":" REFUSED "},"
                         "{\"id\":1,\"alias\":\"production\",\"version\":1,\"previous\":null,"
                         "\"cause\":\"promote\",\"forced\":false,\"reason\":null,\"who\":\"me\","
                         "\"gate\":" PASSED_FIRST "}]");
    stop(&p);
}

/* --- moves at once --------------------------------------------------------------------------- */

enum { MOVERS = 3, MOVES = 20 };

struct mover {
    struct promoting *p;
    int number;
};

static void *move_about(void *context)
{
    struct mover *m = context;
    for (int i = 0; i < MOVES; i++) {
        if (move(m->p, 1 + (m->number + i) % 4, "because") != ERR_OK)
            abort();
        if (i % 4 == 3)
            (void)back(m->p);
    }
    return NULL;
}

static void test_moves_at_once_end_in_agreement(void **context)
{
    struct promoting p;
    start(&p, *context);
    pthread_t threads[MOVERS];
    struct mover movers[MOVERS];
    for (int i = 0; i < MOVERS; i++) {
        movers[i] = (struct mover){ &p, i };
        assert_int_equal(pthread_create(&threads[i], NULL, move_about, &movers[i]), 0);
    }
    for (int i = 0; i < MOVERS; i++)
        pthread_join(threads[i], NULL);
    expect_production(&p, (int)fixture_number(p.f, "SELECT version FROM alias WHERE model = 1"));
    /* The history is a chain: each move began where the one before it ended. */
    assert_int_equal(fixture_number(p.f, "SELECT count(*) FROM (SELECT previous, lag(version) OVER "
                                         "(ORDER BY id) AS was FROM alias_history) "
                                         "WHERE previous IS NOT was"),
                     0);
    stop(&p);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_promote),
        TEST(test_gate_refuses_with_numbers),
        TEST(test_force_needs_a_reason),
        TEST(test_stale_decision_is_refused),
        TEST(test_promote_again_changes_nothing),
        TEST(test_unknown),
        TEST(test_what_cannot_be_loaded_is_not_promoted),
        TEST(test_rollback_goes_back_step_by_step),
        TEST(test_history),
        TEST(test_moves_at_once_end_in_agreement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
