#include "daemon/scorer.h"

#include "daemon/score_meters.h"
#include "data/base/clock.h"
#include "serving_fixture.h"

#include <sched.h>

#define PASSED "{\"passed\":true,\"reasons\":[],\"champion\":null}"

CLEANUP_DEFINE(struct meters, meters_free);

enum { TOLD_MAX = 4096 };

/* What done() was told, by request. */
struct told {
    pthread_mutex_t mu;
    pthread_cond_t changed;
    int total; /* guarded by mu, as is all below */
    struct one {
        struct told *owner;
        int number;
        int times;
        enum err_code code;
        int64_t version;
        int count;
        char labels[3][32];
        float probabilities[3];
        int indices[3];
        float in_order[4];
        char thread[16];
    } one[TOLD_MAX];
};

static void done(void *context, const struct score_result *result)
{
    struct one *o = context;
    struct told *t = o->owner;
    pthread_mutex_lock(&t->mu);
    o->times++;
    o->code = result->code;
    o->version = result->version;
    o->count = result->count;
    for (int i = 0; i < result->count && i < 3; i++) {
        snprintf(o->labels[i], sizeof o->labels[i], "%s", result->predictions[i].label);
        o->probabilities[i] = result->predictions[i].probability;
        o->indices[i] = result->predictions[i].index;
    }
    for (int i = 0; i < result->classes && i < 4; i++)
        o->in_order[i] = result->probabilities[i];
    pthread_getname_np(pthread_self(), o->thread, sizeof o->thread);
    t->total++;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->mu);
}

static void await(struct told *t, int total)
{
    pthread_mutex_lock(&t->mu);
    while (t->total < total)
        pthread_cond_wait(&t->changed, &t->mu);
    pthread_mutex_unlock(&t->mu);
}

struct scoring {
    struct fixture *f;
    struct serve *serve;
    struct scorer *scorer;
    struct told *told;
    bool (*gone)(void *context);
    bool is_stopping; /* what the last refusal said; one submitter */
};

static void scoring_start_with(struct scoring *s, struct fixture *f, struct scorer_options o)
{
    struct err e = { 0 };
    *s = (struct scoring){ .f = f, .told = calloc(1, sizeof *s->told) };
    assert_non_null(s->told);
    pthread_mutex_init(&s->told->mu, NULL);
    pthread_cond_init(&s->told->changed, NULL);
    for (int i = 0; i < TOLD_MAX; i++)
        s->told->one[i] = (struct one){ .owner = s->told, .number = i };
    add_base(f);
    add_model(f, 1, "m");
    add_version(f, 1, 1, "fake a,b,c,d", PASSED, true);
    add_version(f, 1, 2, "fake w,x,y,z", PASSED, true);
    set_production(f, 1, 1);
    assert_ok(serve_new(f->state, &(struct serve_options){ 0 }, &s->serve, &e));
    assert_ok(scorer_new(&o, &s->scorer, &e));
    atomic_store(&fake_scratches_made, 0);
    atomic_store(&fake_scored, 0);
    fake_set_open(false);
}

static void scoring_start(struct scoring *s, struct fixture *f, int threads, int queue)
{
    scoring_start_with(s, f, (struct scorer_options){ .threads = threads, .queue = queue });
}

static void scoring_stop(struct scoring *s)
{
    fake_set_open(true);
    scorer_free(s->scorer);
    serve_free(s->serve);
    assert_int_equal(atomic_load(&fake_live), 0);
    pthread_cond_destroy(&s->told->changed);
    pthread_mutex_destroy(&s->told->mu);
    free(s->told);
}

static enum err_code submit(struct scoring *s, int number, const char *picture, int top,
                            int64_t deadline_us)
{
    struct err e = { 0 };
    struct score_request q = { .bytes = picture,
                               .len = strlen(picture),
                               .top = top,
                               .deadline_us = deadline_us,
                               .gone = s->gone,
                               .done = done,
                               .context = &s->told->one[number] };
    assert_ok(serve_borrow(s->serve, NULL, 0, &q.ref, &e));
    enum err_code r = scorer_submit(s->scorer, &q, &e);
    if (r) {
        serve_release(q.ref);
        if (strstr(e.message, "stopping"))
            s->is_stopping = true;
    }
    return r;
}

static void test_most_probable_first(void **context)
{
    struct scoring s;
    scoring_start(&s, *context, 2, 8);
    /* 'c' % 4 is 3. Of equal probabilities the lower class stands first. */
    assert_int_equal(submit(&s, 0, "c", 0, 0), ERR_OK);
    assert_int_equal(submit(&s, 1, "c", 1, 0), ERR_OK);
    assert_int_equal(submit(&s, 2, "b", 3, 0), ERR_OK);
    assert_int_equal(submit(&s, 3, "b", 99, 0), ERR_OK);
    await(s.told, 4);
    const struct one *o = s.told->one;
    assert_int_equal(o[0].code, ERR_OK);
    assert_int_equal(o[0].count, 4);
    assert_string_equal(o[0].labels[0], "d");
    assert_string_equal(o[0].labels[1], "a");
    assert_string_equal(o[0].labels[2], "b");
    assert_float_equal(o[0].probabilities[0], 0.5, 0);
    assert_int_equal(o[1].count, 1);
    assert_string_equal(o[1].labels[0], "d");
    assert_int_equal(o[2].count, 3);
    assert_string_equal(o[2].labels[0], "c");
    assert_string_equal(o[2].labels[1], "a");
    assert_string_equal(o[2].labels[2], "b");
    assert_int_equal(o[3].count, 4);
    assert_memory_equal(o[0].thread, "score-", 6);
    scoring_stop(&s);
}

static void test_tensors(void **context)
{
    static const float tensor[] = { 0.125f, 0.5f, 0.0625f, 0.3125f };
    struct scoring s;
    struct err e;
    scoring_start(&s, *context, 2, 8);
    struct score_request q = { .input = SCORE_TENSOR,
                               .bytes = tensor,
                               .len = sizeof tensor,
                               .top = 2,
                               .done = done,
                               .context = &s.told->one[0] };
    assert_ok(serve_borrow(s.serve, NULL, 0, &q.ref, &e));
    assert_ok(scorer_submit(s.scorer, &q, &e));
    await(s.told, 1);
    const struct one *o = s.told->one;
    assert_int_equal(o->code, ERR_OK);
    assert_int_equal(o->count, 2);
    assert_memory_equal(o->in_order, tensor, sizeof tensor);
    assert_string_equal(o->labels[0], "b");
    assert_int_equal(o->indices[0], 1);
    assert_string_equal(o->labels[1], "d");
    assert_int_equal(o->indices[1], 3);
    scoring_stop(&s);
}

static void test_bad_picture(void **context)
{
    struct scoring s;
    scoring_start(&s, *context, 1, 8);
    assert_int_equal(submit(&s, 0, "bad", 0, 0), ERR_OK);
    await(s.told, 1);
    assert_int_equal(s.told->one[0].code, ERR_PICTURE_FORMAT);
    assert_int_equal(s.told->one[0].count, 0);
    assert_int_equal(s.told->one[0].version, 1);
    scoring_stop(&s);
}

static void test_full_queue_refuses(void **context)
{
    struct scoring s;
    scoring_start(&s, *context, 1, 2);
    assert_int_equal(submit(&s, 0, "wait", 0, 0), ERR_OK);
    fake_await_waiting(1);
    assert_int_equal(submit(&s, 1, "a", 0, 0), ERR_OK);
    assert_int_equal(submit(&s, 2, "a", 0, 0), ERR_OK);
    assert_int_equal(submit(&s, 3, "a", 0, 0), ERR_BUSY);
    fake_set_open(true);
    await(s.told, 3);
    assert_int_equal(submit(&s, 4, "a", 0, 0), ERR_OK);
    await(s.told, 4);
    assert_int_equal(s.told->one[3].times, 0);
    scoring_stop(&s);
}

static void test_past_deadline_is_not_computed(void **context)
{
    struct scoring s;
    scoring_start(&s, *context, 1, 8);
    assert_int_equal(submit(&s, 0, "wait", 0, 0), ERR_OK);
    fake_await_waiting(1);
    assert_int_equal(submit(&s, 1, "a", 0, clock_monotonic_us() - 1), ERR_OK);
    assert_int_equal(submit(&s, 2, "a", 0, clock_monotonic_us() + 60000000), ERR_OK);
    fake_set_open(true);
    await(s.told, 3);
    assert_int_equal(s.told->one[1].code, ERR_DEADLINE);
    assert_int_equal(s.told->one[2].code, ERR_OK);
    assert_int_equal(atomic_load(&fake_scored), 2);
    scoring_stop(&s);
}

static bool is_gone(void *context)
{
    const struct one *o = context;
    return o->number % 2;
}

/* Asked only of what had to wait. */
static void test_what_nobody_reads_is_not_computed(void **context)
{
    struct scoring s;
    scoring_start(&s, *context, 1, 8);
    s.gone = is_gone;
    assert_int_equal(submit(&s, 1, "wait", 0, 0), ERR_OK);
    fake_await_waiting(1);
    for (int i = 2; i < 6; i++)
        assert_int_equal(submit(&s, i, "a", 0, 0), ERR_OK);
    int64_t enough = clock_monotonic_us() + 6000;
    while (clock_monotonic_us() < enough)
        sched_yield();
    fake_set_open(true);
    await(s.told, 5);
    assert_int_equal(s.told->one[1].code, ERR_OK);
    for (int i = 2; i < 6; i++)
        assert_int_equal(s.told->one[i].code, i % 2 ? ERR_CLIENT_GONE : ERR_OK);
    assert_int_equal(atomic_load(&fake_scored), 3);
    scoring_stop(&s);
}

/* -- batches ---------------------------------------------------------------------------------- */

static uint64_t batches(struct meters *m, const char *line)
{
    struct err e = { 0 };
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, 1 << 20);
    assert_ok(meters_write(m, &text, &e));
    const char *at = strstr((const char *)text.data, line);
    return at ? strtoull(at + strlen(line), NULL, 10) : 0;
}

static void test_batches(void **context)
{
    struct err e = { 0 };
    struct scoring s;
    CLEANUP(meters_free_p) struct meters *m = NULL;
    assert_ok(score_meters_new(&m, &e));
    scoring_start_with(
        &s, *context,
        (struct scorer_options){ .threads = 1, .queue = 16, .max_batch = 4, .meters = m });
    assert_int_equal(submit(&s, 0, "wait", 0, 0), ERR_OK);
    fake_await_waiting(1);
    for (int i = 1; i <= 6; i++)
        assert_int_equal(submit(&s, i, "a", 0, 0), ERR_OK);
    /* Another snapshot ends a batch. */
    struct serve_ref *next = NULL;
    assert_ok(serve_load(s.serve, "m", 2, &next, &e));
    serve_swap(s.serve, next);
    assert_int_equal(submit(&s, 7, "a", 0, 0), ERR_OK);
    assert_int_equal(scorer_depth(s.scorer), 7);
    fake_set_open(true);
    await(s.told, 8);
    for (int i = 1; i <= 7; i++) {
        assert_int_equal(s.told->one[i].code, ERR_OK);
        assert_string_equal(s.told->one[i].labels[0], i < 7 ? "b" : "x");
    }
    /* 1, 4, 2 and 1 */
    assert_int_equal(batches(m, "kennel_score_batch_pictures_bucket{model=\"m\",le=\"1\"} "), 2);
    assert_int_equal(batches(m, "kennel_score_batch_pictures_bucket{model=\"m\",le=\"2\"} "), 3);
    assert_int_equal(batches(m, "kennel_score_batch_pictures_count{model=\"m\"} "), 4);
    assert_int_equal(batches(m, "kennel_predictions_total{model=\"m\",label=\"b\"} "), 6);
    scoring_stop(&s);
}

/* With a delay far longer than the test they all come in one batch, and the stop does not wait. */
static void test_a_batch_waits_for_more(void **context)
{
    struct err e = { 0 };
    struct scoring s;
    CLEANUP(meters_free_p) struct meters *m = NULL;
    assert_ok(score_meters_new(&m, &e));
    scoring_start_with(
        &s, *context,
        (struct scorer_options){
            .threads = 2, .queue = 16, .max_batch = 3, .max_delay_us = 60000000, .meters = m });
    for (int i = 0; i < 3; i++)
        assert_int_equal(submit(&s, i, "a", 0, 0), ERR_OK);
    await(s.told, 3);
    assert_int_equal(submit(&s, 3, "a", 0, 0), ERR_OK);
    scorer_free(s.scorer);
    s.scorer = NULL;
    assert_int_equal(s.told->one[3].code, ERR_CANCELLED);
    assert_int_equal(batches(m, "kennel_score_dropped_total{reason=\"cancelled\"} "), 1);
    scoring_stop(&s);
}

static void *free_scorer(void *context)
{
    scorer_free(context);
    return NULL;
}

static void test_stop_answers_what_is_queued(void **context)
{
    struct scoring s;
    scoring_start(&s, *context, 1, 8);
    assert_int_equal(submit(&s, 0, "wait", 0, 0), ERR_OK);
    fake_await_waiting(1);
    for (int i = 1; i < 6; i++)
        assert_int_equal(submit(&s, i, "a", 0, 0), ERR_OK);
    pthread_t stopper;
    assert_int_equal(pthread_create(&stopper, NULL, free_scorer, s.scorer), 0);
    /* Until it has begun to stop it takes more, or says that it is full. */
    int more = 6;
    while (!s.is_stopping)
        more += submit(&s, more, "a", 0, 0) == ERR_OK;
    fake_set_open(true);
    pthread_join(stopper, NULL);
    s.scorer = NULL;
    assert_int_equal(s.told->one[0].code, ERR_OK);
    for (int i = 1; i < more; i++) {
        assert_int_equal(s.told->one[i].times, 1);
        assert_true(s.told->one[i].code == ERR_CANCELLED);
    }
    scoring_stop(&s);
}

/* A request in flight finishes on the model it began with, and the old one dies with it. */
static void test_request_keeps_its_model(void **context)
{
    struct err e = { 0 };
    struct scoring s;
    scoring_start(&s, *context, 1, 8);
    assert_int_equal(submit(&s, 0, "wait", 0, 0), ERR_OK);
    assert_int_equal(submit(&s, 1, "a", 0, 0), ERR_OK);
    fake_await_waiting(1);
    struct serve_ref *next = NULL;
    assert_ok(serve_load(s.serve, "m", 2, &next, &e));
    serve_swap(s.serve, next);
    assert_int_equal(submit(&s, 2, "a", 0, 0), ERR_OK);
    assert_int_equal(atomic_load(&fake_live), 2);
    fake_set_open(true);
    await(s.told, 3);
    assert_int_equal(s.told->one[0].version, 1);
    assert_int_equal(s.told->one[1].version, 1);
    assert_string_equal(s.told->one[1].labels[0], "b");
    assert_int_equal(s.told->one[2].version, 2);
    assert_string_equal(s.told->one[2].labels[0], "x");
    scorer_free(s.scorer);
    s.scorer = NULL;
    assert_int_equal(atomic_load(&fake_live), 1);
    scoring_stop(&s);
}

/* --- many submitters, with swaps between --------------------------------------------------- */

enum { SUBMITTERS = 4, EACH = 500, THREADS = 3 };

struct submitter {
    struct scoring *s;
    int first, accepted;
};

static void *submit_many(void *context)
{
    struct submitter *me = context;
    for (int i = 0; i < EACH; i++)
        me->accepted += submit(me->s, me->first + i, "a", 1, 0) == ERR_OK;
    return NULL;
}

static void test_every_request_is_told_once(void **context)
{
    struct err e = { 0 };
    struct scoring s;
    scoring_start(&s, *context, THREADS, 16);
    struct submitter submitters[SUBMITTERS];
    pthread_t threads[SUBMITTERS];
    for (int i = 0; i < SUBMITTERS; i++) {
        submitters[i] = (struct submitter){ &s, i * EACH, 0 };
        assert_int_equal(pthread_create(&threads[i], NULL, submit_many, &submitters[i]), 0);
    }
    for (int i = 0; i < 20; i++) {
        struct serve_ref *next = NULL;
        assert_ok(serve_load(s.serve, "m", 2 - i % 2, &next, &e));
        serve_swap(s.serve, next);
    }
    int accepted = 0;
    for (int i = 0; i < SUBMITTERS; i++) {
        pthread_join(threads[i], NULL);
        accepted += submitters[i].accepted;
    }
    await(s.told, accepted);
    int told = 0;
    for (int i = 0; i < SUBMITTERS * EACH; i++) {
        const struct one *o = &s.told->one[i];
        assert_true(o->times <= 1);
        told += o->times;
        if (o->times) {
            assert_int_equal(o->code, ERR_OK);
            assert_string_equal(o->labels[0], o->version == 1 ? "b" : "x");
        }
    }
    assert_int_equal(told, accepted);
    scoring_stop(&s);
}

static void test_steady_state_makes_no_scratch(void **context)
{
    struct scoring s;
    scoring_start(&s, *context, THREADS, 64);
    int told = 0;
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 50; i++)
            assert_int_equal(submit(&s, told++, "a", 0, 0), ERR_OK);
        await(s.told, told);
    }
    /* The warm-up made one of them before the count began. */
    assert_true(atomic_load(&fake_scratches_made) <= THREADS - 1);
    assert_int_equal(atomic_load(&fake_scored), told);
    scoring_stop(&s);
}

static void test_options_are_checked(void **context)
{
    (void)context;
    struct err e = { 0 };
    struct scorer *none = NULL;
    assert_int_equal(scorer_new(&(struct scorer_options){ .threads = 0, .queue = 1 }, &none, &e),
                     ERR_FIELD_RANGE);
    assert_int_equal(scorer_new(&(struct scorer_options){ .threads = 1, .queue = 0 }, &none, &e),
                     ERR_FIELD_RANGE);
    assert_null(none);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_most_probable_first),
        TEST(test_bad_picture),
        TEST(test_tensors),
        TEST(test_full_queue_refuses),
        TEST(test_past_deadline_is_not_computed),
        TEST(test_stop_answers_what_is_queued),
        TEST(test_request_keeps_its_model),
        TEST(test_every_request_is_told_once),
        TEST(test_steady_state_makes_no_scratch),
        TEST(test_options_are_checked),
        TEST(test_what_nobody_reads_is_not_computed),
        TEST(test_batches),
        TEST(test_a_batch_waits_for_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
