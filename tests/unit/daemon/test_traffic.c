#include "daemon/traffic.h"

#include "serving_fixture.h"

#include <sched.h>

static void test_raising_the_share_keeps_who_is_in(void **context)
{
    (void)context;
    static const int shares[] = { 1, 5, 25, 50, 99, 100 };
    int in[6] = { 0 }, both = 0;
    for (int client = 0; client < 4000; client++) {
        char key[32];
        snprintf(key, sizeof key, "client-%d", client);
        bool before = false;
        for (int i = 0; i < 6; i++) {
            bool now = traffic_includes(7, key, shares[i]);
            assert_true(now || !before);
            assert_int_equal(now, traffic_includes(7, key, shares[i]));
            in[i] += now;
            before = now;
        }
        both += traffic_includes(7, key, 50) && traffic_includes(8, key, 50);
        assert_false(traffic_includes(7, key, 0));
    }
    for (int i = 0; i < 6; i++) /* four standard errors of 4000 */
        assert_true(abs(in[i] - 40 * shares[i]) <= 130);
    assert_in_range(both, 870, 1130); /* another rollout, other clients */
}

static void test_nobody_in_particular_goes_by_chance(void **context)
{
    (void)context;
    int in = 0;
    for (int i = 0; i < 4000; i++)
        in += traffic_includes(7, NULL, 25);
    assert_in_range(in, 870, 1130);
}

struct routing {
    struct serve *serve;
    struct traffic *traffic;
    pthread_mutex_t mu;
    int first, pairs, differing;
};

static void see(void *context, const struct traffic_seen *seen)
{
    struct routing *r = context;
    pthread_mutex_lock(&r->mu);
    if (!seen->second.version)
        r->first++;
    else
        r->pairs++;
    r->differing += seen->second.version && strcmp(seen->first.label, seen->second.label) != 0;
    pthread_mutex_unlock(&r->mu);
}

/* Version 1 in production; 2 has other labels. */
static void start(struct routing *r, struct fixture *f)
{
    struct err e = { 0 };
    *r = (struct routing){ .mu = PTHREAD_MUTEX_INITIALIZER };
    add_base(f);
    add_model(f, 1, "m");
    add_version(f, 1, 1, "fake a,b,c", "{}", true);
    add_version(f, 1, 2, "fake b,a,c", "{}", true);
    set_production(f, 1, 1);
    assert_ok(serve_new(f->state, &(struct serve_options){ 0 }, &r->serve, &e));
    const struct traffic_options o = { .see = see, .context = r };
    assert_ok(traffic_new(&o, &r->traffic, &e));
}

static struct serve_ref *borrow(struct routing *r, int64_t version)
{
    struct err e = { 0 };
    struct serve_ref *ref = NULL;
    assert_ok(serve_borrow(r->serve, "m", version, &ref, &e));
    return ref;
}

static void set(struct routing *r, bool canary, bool shadow, int percent)
{
    struct err e = { 0 };
    const struct traffic_split split = { .rollout = 1,
                                         .production = borrow(r, 1),
                                         .canary = canary ? borrow(r, 2) : NULL,
                                         .shadow = shadow ? borrow(r, 2) : NULL,
                                         .percent = percent };
    assert_ok(traffic_set(r->traffic, &split, &e));
}

static int64_t who_answers(struct routing *r, const char *key)
{
    struct serve_ref *ref = traffic_route(r->traffic, borrow(r, 0), key);
    int64_t version = serve_ref_version(ref);
    serve_release(ref);
    return version;
}

static void answered(struct routing *r, int64_t version, const char *label, const char *picture)
{
    const struct prediction p = { .label = label, .probability = 0.5f };
    const struct score_result result = {
        .model = "m", .version = version, .predictions = &p, .count = 1
    };
    const struct traffic_answer a = { .result = &result, .bytes = picture, .len = strlen(picture) };
    traffic_answered(r->traffic, &a);
}

static void stop(struct routing *r)
{
    traffic_free(r->traffic);
    serve_free(r->serve);
    assert_int_equal(atomic_load(&fake_live), 0);
}

static void test_route(void **context)
{
    struct routing r;
    start(&r, *context);
    assert_int_equal(who_answers(&r, "x"), 1);
    set(&r, true, false, 100);
    assert_int_equal(who_answers(&r, "x"), 2);
    traffic_percent(r.traffic, "m", 0);
    assert_int_equal(who_answers(&r, "x"), 1);
    set(&r, true, false, 100); /* takes the place of the one before */
    assert_int_equal(who_answers(&r, "x"), 2);
    traffic_clear(r.traffic, "m");
    assert_int_equal(who_answers(&r, "x"), 1);
    set(&r, false, true, 0);
    assert_int_equal(who_answers(&r, "x"), 1);
    stop(&r);
}

/* The canary's answers go to production too, production's to the shadow, all others nowhere. */
static void test_mirror(void **context)
{
    struct routing r;
    start(&r, *context);
    answered(&r, 1, "a", "\1");
    set(&r, true, false, 50);
    answered(&r, 1, "b", "\1");
    answered(&r, 2, "a", "\1"); /* production says b */
    answered(&r, 2, "b", "\1");
    traffic_free(r.traffic); /* ends what waits */
    assert_int_equal(r.first, 3);
    assert_in_range(r.pairs, 0, 2);
    struct err e = { 0 };
    const struct traffic_options o = { .see = see, .context = &r };
    assert_ok(traffic_new(&o, &r.traffic, &e));
    set(&r, false, true, 0);
    r.pairs = r.differing = 0;
    answered(&r, 1, "b", "\1"); /* the shadow says a */
    for (bool seen = false; !seen; sched_yield()) {
        pthread_mutex_lock(&r.mu);
        seen = r.pairs == 1;
        pthread_mutex_unlock(&r.mu);
    }
    assert_int_equal(r.differing, 1);
    stop(&r);
}

/* The mirror hangs; whoever answers does not, and what finds no place is counted. */
static void test_a_slow_shadow_slows_nobody(void **context)
{
    struct routing r;
    start(&r, *context);
    set(&r, false, true, 0);
    fake_set_open(false);
    for (int i = 0; i < TRAFFIC_QUEUE + 10; i++)
        answered(&r, 1, "b", "wait");
    int64_t dropped = traffic_dropped(r.traffic, "m");
    assert_in_range(dropped, 9, 10); /* one may be with the mirror's thread */
    fake_set_open(true);
    stop(&r);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_raising_the_share_keeps_who_is_in),
        cmocka_unit_test(test_nobody_in_particular_goes_by_chance),
        T(test_route),
        T(test_mirror),
        T(test_a_slow_shadow_slows_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
