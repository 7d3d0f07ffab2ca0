#include "daemon/serve.h"

#include "serving_fixture.h"

#define PASSED "{\"passed\":true,\"reasons\":[],\"champion\":null}"

CLEANUP_DEFINE(struct serve, serve_free);
CLEANUP_DEFINE(struct serve_ref, serve_release);

static struct serve *serve_of(struct fixture *f, const char *default_model)
{
    struct err e = { 0 };
    struct serve *v = NULL;
    assert_ok(
        serve_new(f->state, &(struct serve_options){ .default_model = default_model }, &v, &e));
    return v;
}

/* "breeds" (two labelled versions, 1 in production) and "other" (a version, none in production). */
static void add_models(struct fixture *f)
{
    add_base(f);
    add_model(f, 1, "breeds");
    add_model(f, 2, "other");
    add_version(f, 1, 1, "fake n02091032-Italian_greyhound,n02085936-Maltese", PASSED, true);
    add_version(f, 1, 2, "fake n02091032-Italian_greyhound,cat", PASSED, true);
    add_version(f, 2, 1, "fake x,y", PASSED, true);
    set_production(f, 1, 1);
}

static void test_borrow_production_by_name_and_default(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    add_models(f);
    CLEANUP(serve_free_p) struct serve *v = serve_of(f, NULL);
    assert_true(serve_ready(v));
    CLEANUP(serve_release_p) struct serve_ref *named = NULL;
    CLEANUP(serve_release_p) struct serve_ref *only = NULL;
    assert_ok(serve_borrow(v, "breeds", 0, &named, &e));
    assert_ok(serve_borrow(v, NULL, 0, &only, &e));
    assert_ptr_equal(named, only);
    assert_string_equal(serve_ref_model(only), "breeds");
    assert_int_equal(serve_ref_version(only), 1);
    assert_int_equal(atomic_load(&fake_live), 1);
}

static void test_refusals(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    struct serve_ref *none = NULL;
    add_models(f);
    CLEANUP(serve_free_p) struct serve *v = serve_of(f, NULL);
    assert_int_equal(serve_borrow(v, "nobody", 0, &none, &e), ERR_MODEL_UNKNOWN);
    assert_int_equal(serve_borrow(v, "nobody", 1, &none, &e), ERR_MODEL_UNKNOWN);
    assert_int_equal(serve_borrow(v, "other", 0, &none, &e), ERR_NOT_PROMOTED);
    assert_int_equal(serve_borrow(v, "breeds", 3, &none, &e), ERR_VERSION_UNKNOWN);
    assert_null(none);
}

static void test_default_model(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    struct serve_ref *r = NULL;
    add_base(f);
    CLEANUP(serve_free_p) struct serve *empty = serve_of(f, NULL);
    assert_int_equal(serve_borrow(empty, NULL, 0, &r, &e), ERR_NOT_PROMOTED);
    assert_true(serve_ready(empty));
    add_model(f, 1, "breeds");
    add_model(f, 2, "other");
    add_version(f, 1, 1, "fake a,b", PASSED, true);
    add_version(f, 2, 1, "fake x,y", PASSED, true);
    set_production(f, 1, 1);
    set_production(f, 2, 1);
    CLEANUP(serve_free_p) struct serve *two = serve_of(f, NULL);
    assert_int_equal(serve_borrow(two, NULL, 0, &r, &e), ERR_MODEL_AMBIGUOUS);
    CLEANUP(serve_free_p) struct serve *named = serve_of(f, "other");
    assert_ok(serve_borrow(named, NULL, 0, &r, &e));
    assert_string_equal(serve_ref_model(r), "other");
    serve_release(r);
    CLEANUP(serve_free_p) struct serve *early = serve_of(f, "later");
    r = NULL;
    assert_int_equal(serve_borrow(early, NULL, 0, &r, &e), ERR_NOT_PROMOTED);
    assert_null(r);
}

static void expect_labels(struct serve *v, int version, const char *first, const char *second)
{
    struct err e = { 0 };
    CLEANUP(serve_release_p) struct serve_ref *r = NULL;
    assert_ok(serve_load(v, "breeds", version, &r, &e));
    assert_string_equal(serve_ref_labels(r)[0], first);
    assert_string_equal(serve_ref_labels(r)[1], second);
}

static void test_label_prefix(void **context)
{
    struct fixture *f = *context;
    add_models(f);
    CLEANUP(serve_free_p) struct serve *v = serve_of(f, NULL);
    expect_labels(v, 1, "Italian_greyhound", "Maltese");
    expect_labels(v, 2, "n02091032-Italian_greyhound", "cat");
    fixture_script(f, "UPDATE model SET strip_prefix = 1 WHERE id = 1");
    expect_labels(v, 2, "Italian_greyhound", "cat");
    fixture_script(f, "UPDATE model SET strip_prefix = 0 WHERE id = 1");
    expect_labels(v, 1, "n02091032-Italian_greyhound", "n02085936-Maltese");
    fixture_script(f, "UPDATE model SET strip_prefix = 1 WHERE id = 1");
    add_version(f, 1, 3, "fake n02091032-,n0209103-x", PASSED, true);
    expect_labels(v, 3, "n02091032-", "n0209103-x");
}

static void test_few_other_versions_are_kept(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    add_models(f);
    for (int n = 3; n <= 8; n++)
        add_version(f, 1, n, "fake a,b", PASSED, true);
    CLEANUP(serve_free_p) struct serve *v = serve_of(f, NULL);
    CLEANUP(serve_release_p) struct serve_ref *held = NULL;
    assert_ok(serve_borrow(v, NULL, 2, &held, &e));
    for (int n = 2; n <= 8; n++) {
        struct serve_ref *r = NULL, *again = NULL;
        assert_ok(serve_borrow(v, "breeds", n, &r, &e));
        assert_ok(serve_borrow(v, "breeds", n, &again, &e));
        assert_ptr_equal(r, again);
        assert_int_equal(serve_ref_version(r), n);
        serve_release(r);
        serve_release(again);
    }
    /* Production, four that are kept, and the oldest, which is still borrowed. */
    assert_int_equal(atomic_load(&fake_live), 6);
    assert_int_equal(serve_ref_version(held), 2);
    /* Production's number is served by the production snapshot. */
    CLEANUP(serve_release_p) struct serve_ref *one = NULL;
    assert_ok(serve_borrow(v, "breeds", 1, &one, &e));
    CLEANUP(serve_release_p) struct serve_ref *production = NULL;
    assert_ok(serve_borrow(v, "breeds", 0, &production, &e));
    assert_ptr_equal(one, production);
    assert_int_equal(atomic_load(&fake_live), 6);
}

static void test_replaced_snapshot_lives_to_its_last_borrow(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    add_models(f);
    CLEANUP(serve_free_p) struct serve *v = serve_of(f, NULL);
    struct serve_ref *old = NULL, *next = NULL, *now = NULL;
    assert_ok(serve_borrow(v, "breeds", 0, &old, &e));
    assert_ok(serve_load(v, "breeds", 2, &next, &e));
    serve_swap(v, next);
    assert_ok(serve_borrow(v, "breeds", 0, &now, &e));
    assert_int_equal(serve_ref_version(now), 2);
    assert_int_equal(serve_ref_version(old), 1);
    assert_string_equal(serve_ref_labels(old)[1], "Maltese");
    assert_int_equal(atomic_load(&fake_live), 2);
    serve_release(old);
    assert_int_equal(atomic_load(&fake_live), 1);
    serve_release(now);
    assert_int_equal(atomic_load(&fake_live), 1);
}

static void *give_back_later(void *ref)
{
    while (nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL))
        ;
    serve_release(ref);
    return NULL;
}

/* Freeing takes milliseconds, which whoever gives back last would spend on a request's time. */
static void test_who_swaps_frees_what_is_replaced(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    add_models(f);
    CLEANUP(serve_free_p) struct serve *v = serve_of(f, NULL);
    struct serve_ref *old = NULL, *next = NULL;
    assert_ok(serve_borrow(v, "breeds", 0, &old, &e));
    assert_ok(serve_load(v, "breeds", 2, &next, &e));
    pthread_t thread;
    atomic_store(&fake_freed_by, 0);
    assert_int_equal(pthread_create(&thread, NULL, give_back_later, old), 0);
    serve_swap(v, next);
    assert_int_equal(atomic_load(&fake_live), 1);
    assert_int_equal(atomic_load(&fake_freed_by), gettid());
    pthread_join(thread, NULL);
}

static void test_next_version_is_as_ready_as_the_last(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    add_models(f);
    CLEANUP(serve_free_p) struct serve *v = serve_of(f, NULL);
    struct serve_ref *r = NULL, *next = NULL;
    struct serve_scratch *busy[3] = { NULL };
    assert_ok(serve_borrow(v, "breeds", 0, &r, &e));
    for (int i = 0; i < 3; i++)
        assert_ok(serve_scratch_borrow(r, &busy[i], &e));
    for (int i = 0; i < 3; i++)
        serve_scratch_release(r, busy[i]);
    serve_release(r);
    atomic_store(&fake_scored, 0);
    assert_ok(serve_load(v, "breeds", 2, &next, &e));
    assert_int_equal(atomic_load(&fake_scored), 3);
    int made = atomic_load(&fake_scratches_made);
    for (int i = 0; i < 3; i++)
        assert_ok(serve_scratch_borrow(next, &busy[i], &e));
    assert_int_equal(atomic_load(&fake_scratches_made), made);
    for (int i = 0; i < 3; i++)
        serve_scratch_release(next, busy[i]);
    serve_swap(v, next);
}

static void test_first_swap_of_a_model(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    add_models(f);
    CLEANUP(serve_free_p) struct serve *v = serve_of(f, NULL);
    struct serve_ref *next = NULL, *r = NULL;
    assert_ok(serve_load(v, "other", 1, &next, &e));
    serve_swap(v, next);
    assert_ok(serve_borrow(v, "other", 0, &r, &e));
    serve_release(r);
    r = NULL;
    assert_int_equal(serve_borrow(v, NULL, 0, &r, &e), ERR_MODEL_AMBIGUOUS);
}

static void test_broken_version_leaves_the_others(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    add_models(f);
    add_version(f, 2, 2, "broken", PASSED, true);
    set_production(f, 2, 2);
    CLEANUP(serve_free_p) struct serve *v = NULL;
    assert_int_equal(serve_new(f->state, &(struct serve_options){ 0 }, &v, &e), ERR_ONNX_SYNTAX);
    assert_non_null(v);
    assert_non_null(strstr(e.message, "version 2 of model \"other\""));
    assert_false(serve_ready(v));
    struct serve_ref *r = NULL;
    assert_int_equal(serve_borrow(v, "other", 0, &r, &e), ERR_ONNX_SYNTAX);
    assert_null(r);
    assert_ok(serve_borrow(v, "breeds", 0, &r, &e));
    serve_release(r);
    assert_ok(serve_load(v, "other", 1, &r, &e));
    serve_swap(v, r);
    assert_true(serve_ready(v));
}

static void test_damaged_artifact_is_not_served(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    add_models(f);
    CLEANUP(serve_free_p) struct serve *v = serve_of(f, NULL);
    struct digest d;
    CLEANUP(cleanup_free) char *path = NULL;
    const char *file = "fake n02091032-Italian_greyhound,cat";
    assert_ok(digest_of(file, strlen(file), &d, &e));
    assert_ok(blobs_path(state_blobs(f->state), &d, &path, &e));
    assert_int_equal(chmod(path, 0600), 0);
    assert_ok(file_write_atomic(path, "fake other,labels", 17, &e));
    struct serve_ref *r = NULL;
    assert_int_equal(serve_load(v, "breeds", 2, &r, &e), ERR_BLOB_CORRUPT);
    assert_null(r);
}

/* --- swaps under load ------------------------------------------------------------------------ */

enum { BORROWERS = 4, SWAPS = 200 };

struct load {
    struct serve *serve;
    atomic_bool stop;
    atomic_int wrong, scored;
};

static void *borrow_and_score(void *context)
{
    struct load *l = context;
    while (!atomic_load(&l->stop)) {
        struct serve_ref *r = NULL;
        struct serve_scratch *s = NULL;
        float p[2];
        if (serve_borrow(l->serve, "breeds", 0, &r, NULL)) {
            atomic_fetch_add(&l->wrong, 1);
            continue;
        }
        bool is_first = serve_ref_version(r) == 1;
        /* Version and labels belong together, whatever is swapped meanwhile. */
        if (strcmp(serve_ref_labels(r)[1], is_first ? "Maltese" : "cat") != 0 ||
            serve_scratch_borrow(r, &s, NULL) ||
            classifier_score(serve_ref_classifier(r), serve_scratch_classifier(s), "x", 1, NULL, p,
                             NULL))
            atomic_fetch_add(&l->wrong, 1);
        if (s)
            serve_scratch_release(r, s);
        serve_release(r);
        atomic_fetch_add(&l->scored, 1);
    }
    return NULL;
}

static void test_swaps_under_load(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    add_models(f);
    struct load load = { .serve = serve_of(f, NULL) };
    pthread_t threads[BORROWERS];
    for (int i = 0; i < BORROWERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, borrow_and_score, &load), 0);
    for (int i = 0; i < SWAPS; i++) {
        struct serve_ref *next = NULL;
        assert_ok(serve_load(load.serve, "breeds", 1 + i % 2, &next, &e));
        serve_swap(load.serve, next);
    }
    atomic_store(&load.stop, true);
    for (int i = 0; i < BORROWERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&load.wrong), 0);
    assert_int_equal(atomic_load(&fake_live), 1);
    serve_free(load.serve);
}

static int teardown(void **context)
{
    fixture_teardown(context);
    assert_int_equal(atomic_load(&fake_live), 0);
    return 0;
}

/* -- the memory budget: room for two of the fakes with a scratch each -------------------------- */

enum { ROOM_FOR_TWO = 2 * (FAKE_BYTES + FAKE_SCRATCH_BYTES) };

static void test_least_recently_used_is_given_up(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    struct serve *v = NULL;
    add_base(f);
    for (int i = 1; i <= 3; i++) {
        char name[2] = { (char)('a' + i - 1), 0 };
        add_model(f, i, name);
        add_version(f, i, 1, "fake x,y", PASSED, true);
        set_production(f, i, 1);
    }
    const struct serve_options o = { .plan_memory = ROOM_FOR_TWO };
    assert_ok(serve_new(f->state, &o, &v, &e));
    assert_true(serve_ready(v));
    int versions;
    uint64_t bytes;
    serve_memory(v, &versions, &bytes);
    assert_int_equal(versions, 2);
    assert_int_equal(bytes, ROOM_FOR_TWO);
    assert_int_equal(atomic_load(&fake_live), 2);

    /* "a" was loaded first: it has gone, and who may not wait is told so. */
    struct serve_ref *r = NULL;
    assert_ok(serve_borrow_loaded(v, "a", 0, &r, &e));
    assert_null(r);
    assert_ok(serve_borrow_loaded(v, "b", 0, &r, &e));
    assert_non_null(r);
    serve_release(r);
    r = NULL;
    /* It comes back, and now "c" goes, which was used longest ago. */
    assert_ok(serve_borrow(v, "a", 0, &r, &e));
    assert_string_equal(serve_ref_model(r), "a");
    serve_release(r);
    assert_int_equal(atomic_load(&fake_live), 2);
    r = NULL;
    assert_ok(serve_borrow_loaded(v, "c", 0, &r, &e));
    assert_null(r);
    assert_true(serve_ready(v));

    /* What is in use is not freed, and of two in use none is missed by those who have them. */
    struct serve_ref *all[3];
    for (int i = 0; i < 3; i++)
        assert_ok(serve_borrow(v, (char[]){ (char)('a' + i), 0 }, 0, &all[i], &e));
    assert_int_equal(atomic_load(&fake_live), 3);
    for (int i = 0; i < 3; i++)
        serve_release(all[i]);
    assert_int_equal(atomic_load(&fake_live), 2);
    serve_free(v);
}

static void test_one_that_does_not_fit_serves(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    struct serve *v = NULL;
    add_models(f);
    const struct serve_options o = { .plan_memory = 1 };
    assert_ok(serve_new(f->state, &o, &v, &e));
    struct serve_ref *r = NULL;
    assert_ok(serve_borrow_loaded(v, "breeds", 0, &r, &e));
    assert_non_null(r);
    serve_release(r);
    assert_ok(serve_borrow(v, "breeds", 2, &r, &e));
    assert_int_equal(serve_ref_version(r), 2);
    serve_release(r);
    assert_int_equal(atomic_load(&fake_live), 1);
    char name[SERVE_NAME];
    assert_true(serve_default_name(v, name));
    assert_string_equal(name, "breeds");
    assert_ok(serve_borrow(v, NULL, 0, &r, &e));
    assert_int_equal(serve_ref_version(r), 1);
    serve_release(r);
    serve_free(v);
}

static void test_who_must_not_wait_is_told(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    add_models(f);
    CLEANUP(serve_free_p) struct serve *v = serve_of(f, NULL);
    struct serve_ref *r = NULL;
    const struct {
        const char *model;
        int64_t version;
    } unknown[] = {
        { "nobody", 0 }, { "nobody", 1 }, { "other", 0 }, { "breeds", 2 }, { NULL, 2 }
    };
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        assert_ok(serve_borrow_loaded(v, unknown[i].model, unknown[i].version, &r, &e));
        assert_null(r);
    }
}

/* Many threads, a budget for one of three, swaps between: every answer is of the model asked for.
 */
enum { BUDGET_THREADS = 4, BUDGET_EACH = 200 };

static void *borrow_all(void *context)
{
    struct serve *v = context;
    for (int i = 0; i < BUDGET_EACH; i++) {
        struct err e = { 0 };
        struct serve_ref *r = NULL;
        const char name[2] = { (char)('a' + i % 3), 0 };
        assert_ok(serve_borrow(v, name, 0, &r, &e));
        assert_string_equal(serve_ref_model(r), name);
        assert_string_equal(serve_ref_labels(r)[0], serve_ref_version(r) == 1 ? "x" : "z");
        serve_release(r);
    }
    return NULL;
}

static void test_budget_under_load(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    struct serve *v = NULL;
    add_base(f);
    for (int i = 1; i <= 3; i++) {
        const char name[2] = { (char)('a' + i - 1), 0 };
        add_model(f, i, name);
        add_version(f, i, 1, "fake x,y", PASSED, true);
        add_version(f, i, 2, "fake z,y", PASSED, true);
        set_production(f, i, 1);
    }
    const struct serve_options o = { .plan_memory = FAKE_BYTES + FAKE_SCRATCH_BYTES };
    assert_ok(serve_new(f->state, &o, &v, &e));
    pthread_t threads[BUDGET_THREADS];
    for (int i = 0; i < BUDGET_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, borrow_all, v), 0);
    for (int i = 0; i < 60; i++) {
        struct serve_ref *next = NULL;
        assert_ok(serve_load(v, (char[]){ (char)('a' + i % 3), 0 }, 1 + i / 3 % 2, &next, &e));
        serve_swap(v, next);
    }
    for (int i = 0; i < BUDGET_THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&fake_live), 1);
    serve_free(v);
    assert_int_equal(atomic_load(&fake_live), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_borrow_production_by_name_and_default),
        TEST(test_refusals),
        TEST(test_default_model),
        TEST(test_label_prefix),
        TEST(test_few_other_versions_are_kept),
        TEST(test_replaced_snapshot_lives_to_its_last_borrow),
        TEST(test_who_swaps_frees_what_is_replaced),
        TEST(test_next_version_is_as_ready_as_the_last),
        TEST(test_first_swap_of_a_model),
        TEST(test_broken_version_leaves_the_others),
        TEST(test_damaged_artifact_is_not_served),
        TEST(test_swaps_under_load),
        TEST(test_least_recently_used_is_given_up),
        TEST(test_one_that_does_not_fit_serves),
        TEST(test_who_must_not_wait_is_told),
        TEST(test_budget_under_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
