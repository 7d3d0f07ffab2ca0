#include "api/park.h"

#include "data/base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs those above */

struct visitor {
    atomic_int visits, lasts;
    atomic_bool ready; /* answers at its next visit */
};

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t visited = PTHREAD_COND_INITIALIZER;

static bool visit(void *context, bool last)
{
    struct visitor *v = context;
    bool done = last || atomic_load(&v->ready);
    pthread_mutex_lock(&mu);
    v->lasts += last;
    v->visits++;
    pthread_cond_broadcast(&visited);
    pthread_mutex_unlock(&mu);
    return done;
}

static void wait_visits(struct visitor *v, int count)
{
    pthread_mutex_lock(&mu);
    while (v->visits < count)
        pthread_cond_wait(&visited, &mu);
    pthread_mutex_unlock(&mu);
}

static const int64_t far = INT64_MAX / 2;

static void test_looked_at_once_after_parking(void **state)
{
    (void)state;
    struct park *p;
    struct visitor v = { .ready = true };
    assert_int_equal(park_new(&p, NULL), ERR_OK);
    assert_int_equal(park_add(p, "a", far, visit, &v, NULL), ERR_OK);
    wait_visits(&v, 1);
    park_free(p);
    assert_int_equal(v.visits, 1);
    assert_int_equal(v.lasts, 0);
}

static void test_notified(void **state)
{
    (void)state;
    struct park *p;
    struct visitor a = { 0 }, b = { 0 };
    assert_int_equal(park_new(&p, NULL), ERR_OK);
    assert_int_equal(park_add(p, "a", far, visit, &a, NULL), ERR_OK);
    assert_int_equal(park_add(p, "b", far, visit, &b, NULL), ERR_OK);
    wait_visits(&a, 1);
    wait_visits(&b, 1);
    atomic_store(&a.ready, true);
    park_notify(p, "a");
    wait_visits(&a, 2);
    assert_int_equal(a.lasts, 0);
    park_free(p);
    assert_int_equal(a.lasts, 0);
    assert_int_equal(b.lasts, 1); /* the end of the park is its last call */
}

static void test_time_over(void **state)
{
    (void)state;
    struct park *p;
    struct visitor late = { 0 }, past = { 0 };
    assert_int_equal(park_new(&p, NULL), ERR_OK);
    int64_t now = clock_monotonic_us();
    assert_int_equal(park_add(p, "a", now + 50000, visit, &late, NULL), ERR_OK);
    assert_int_equal(park_add(p, "a", now - 1, visit, &past, NULL), ERR_OK);
    wait_visits(&past, 1);
    assert_int_equal(past.lasts, 1);
    for (int visits = 1; !late.lasts; visits++)
        wait_visits(&late, visits);
    assert_int_equal(late.lasts, 1);
    assert_true(clock_monotonic_us() >= now + 50000);
    park_free(p);
}

/* No change is lost, however visits and notices fall together. */
static void test_no_lost_notice(void **state)
{
    (void)state;
    struct park *p;
    assert_int_equal(park_new(&p, NULL), ERR_OK);
    for (int i = 0; i < 200; i++) {
        struct visitor v = { 0 };
        assert_int_equal(park_add(p, "a", far, visit, &v, NULL), ERR_OK);
        if (i % 2)
            wait_visits(&v, 1);
        atomic_store(&v.ready, true);
        park_notify(p, "a");
        /* Whether or not the first visit saw it ready, one does. */
        wait_visits(&v, 1);
        park_notify(p, "a");
        struct visitor gone = { .ready = true };
        assert_int_equal(park_add(p, "b", far, visit, &gone, NULL), ERR_OK);
        wait_visits(&gone, 1);
        if (i % 2)
            wait_visits(&v, 2);
    }
    park_free(p);
}

static void test_nothing_parks_after_the_stop(void **state)
{
    (void)state;
    struct park *p;
    struct visitor v = { 0 };
    char key[PARK_KEY + 2];
    memset(key, 'k', sizeof key);
    key[PARK_KEY + 1] = 0;
    assert_int_equal(park_new(&p, NULL), ERR_OK);
    assert_int_equal(park_add(p, key, far, visit, &v, NULL), ERR_INTERNAL);
    park_stop(p);
    assert_int_equal(park_add(p, "a", far, visit, &v, NULL), ERR_BUSY);
    park_free(p);
    assert_int_equal(v.visits, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_looked_at_once_after_parking),
        cmocka_unit_test(test_notified),
        cmocka_unit_test(test_time_over),
        cmocka_unit_test(test_no_lost_notice),
        cmocka_unit_test(test_nothing_parks_after_the_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
