#include "daemon/score_stats.h"

#include "daemon/scorer.h"
#include "data/base/cleanup.h"
#include "data/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>

CLEANUP_DEFINE(struct score_stats, score_stats_free);

static struct score_stats *stats_new(void)
{
    struct err e = { 0 };
    struct score_stats *s = NULL;
    assert_false(score_stats_new(&s, &e));
    return s;
}

static void picture(struct score_stats *s, const char *model, int64_t version, bool decoded,
                    bool computed)
{
    int64_t now = clock_monotonic_us();
    const struct score_result r = { .model = model,
                                    .version = version,
                                    .count = computed,
                                    .times = { .submitted = now - 60,
                                               .taken = now - 50,
                                               .decoded = decoded ? now - 30 : 0,
                                               .computed = computed ? now : 0 } };
    score_stats_picture(s, &r);
}

static size_t read_rows(struct score_stats *s, const char *model, int64_t version,
                        struct score_stats_row **ret)
{
    struct err e = { 0 };
    size_t count = 99;
    assert_false(score_stats_read(s, model, version, ret, &count, &e));
    return count;
}

static void expect(const struct score_duration *d, uint64_t count, uint64_t us)
{
    assert_int_equal(d->count, count);
    assert_int_equal(d->us, us);
}

static void test_stages_and_requests(void **context)
{
    (void)context;
    CLEANUP(score_stats_free_p) struct score_stats *s = stats_new();
    CLEANUP(cleanup_free) struct score_stats_row *row = NULL;
    assert_int_equal(read_rows(s, "m", 0, &row), 0);
    assert_null(row);
    int64_t before = clock_utc_ms();
    picture(s, "m", 1, true, true);
    picture(s, "m", 1, true, false);
    picture(s, "m", 1, false, false);
    score_stats_request(s, "m", 1, true, 500);
    score_stats_request(s, "m", 1, true, 700);
    score_stats_request(s, "m", 1, false, 30);
    assert_int_equal(read_rows(s, "m", 1, &row), 1);
    assert_string_equal(row->model, "m");
    assert_int_equal(row->scored, 1);
    assert_in_range(row->last_ms, before, clock_utc_ms());
    expect(&row->queue, 3, 30);
    expect(&row->decode, 2, 40);
    expect(&row->compute, 1, 30);
    assert_int_equal(row->rank.count, 1);
    expect(&row->succeeded, 2, 1200);
    expect(&row->failed, 1, 30);
}

static void test_versions_in_their_order(void **context)
{
    (void)context;
    CLEANUP(score_stats_free_p) struct score_stats *s = stats_new();
    CLEANUP(cleanup_free) struct score_stats_row *rows = NULL;
    CLEANUP(cleanup_free) struct score_stats_row *none = NULL;
    for (int64_t version = 40; version > 0; version--) {
        picture(s, "m", version, true, true);
        picture(s, "ma", version, true, true);
        picture(s, "l", version, true, true);
    }
    picture(s, "m", 7, true, true);
    assert_int_equal(read_rows(s, "m", 0, &rows), 40);
    for (int i = 0; i < 40; i++) {
        assert_string_equal(rows[i].model, "m");
        assert_int_equal(rows[i].version, i + 1);
        assert_int_equal(rows[i].scored, i + 1 == 7 ? 2 : 1);
    }
    assert_int_equal(read_rows(s, "m", 41, &none), 0);
    assert_int_equal(read_rows(s, "", 0, &none), 0);
    assert_null(none);
}

enum { THREADS = 4, EACH = 1000 };

static void *count_many(void *context)
{
    for (int i = 0; i < EACH; i++) {
        picture(context, "m", 1 + i % 50, true, true);
        score_stats_request(context, "m", 1 + i % 50, i % 2, 1);
    }
    return NULL;
}

static void test_threads_lose_nothing(void **context)
{
    (void)context;
    CLEANUP(score_stats_free_p) struct score_stats *s = stats_new();
    CLEANUP(cleanup_free) struct score_stats_row *rows = NULL;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_many, s), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(read_rows(s, "m", 0, &rows), 50);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(rows[i].scored, THREADS * EACH / 50);
        assert_int_equal(rows[i].succeeded.count + rows[i].failed.count, THREADS * EACH / 50);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stages_and_requests),
        cmocka_unit_test(test_versions_in_their_order),
        cmocka_unit_test(test_threads_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
