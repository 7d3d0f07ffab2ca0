#include "data/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void text_of_known_times(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        { 0, "1970-01-01T00:00:00.000Z" },
        { 1769850000123, "2026-01-31T09:00:00.123Z" },
        { 951782399999, "2000-02-28T23:59:59.999Z" },
        { -1, "1969-12-31T23:59:59.999Z" },
        { -62167219200000, "0000-01-01T00:00:00.000Z" },
        { 253402300799999, "9999-12-31T23:59:59.999Z" },
        { INT64_MAX, "9999-12-31T23:59:59.999Z" },
        { INT64_MIN, "0000-01-01T00:00:00.000Z" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[CLOCK_TEXT];
        clock_text(cases[i].ms, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void clocks_run(void **state)
{
    (void)state;
    assert_true(clock_utc_ms() > INT64_C(1700000000000));
    int64_t before = clock_monotonic_us();
    while (clock_monotonic_us() == before) {
    }
    assert_true(clock_monotonic_us() > before);
}

struct signalled {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    bool rung;
};

static void *ring(void *context)
{
    struct signalled *s = context;
    pthread_mutex_lock(&s->mu);
    s->rung = true;
    pthread_cond_signal(&s->cond);
    pthread_mutex_unlock(&s->mu);
    return NULL;
}

static void waits_end(void **state)
{
    (void)state;
    struct signalled s = { .mu = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };
    pthread_mutex_lock(&s.mu);
    int64_t until = clock_monotonic_us() + 20000;
    while (clock_wait(&s.cond, &s.mu, until))
        continue; /* woken for nothing */
    assert_true(clock_monotonic_us() >= until);

    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, ring, &s), 0);
    bool in_time = true;
    while (!s.rung && in_time)
        in_time = clock_wait(&s.cond, &s.mu, clock_monotonic_us() + 60000000);
    assert_true(s.rung && in_time);
    pthread_mutex_unlock(&s.mu);
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_of_known_times),
        cmocka_unit_test(clocks_run),
        cmocka_unit_test(waits_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
