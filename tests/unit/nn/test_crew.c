#include "nn/crew.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { TASKS = 200 };

struct job {
    atomic_int runs[TASKS];
    atomic_int in_worker[4]; /* tasks at the same time under one worker's number */
    atomic_bool shared;
    size_t fail_at, also_fail_at;
    bool wait_for_stop;
    size_t stop_at, told, last_total;
    pthread_t caller;
};

static enum err_code run(void *context, int worker, size_t task, const atomic_bool *stop,
                         struct err *e)
{
    struct job *j = context;
    if (atomic_fetch_add(&j->in_worker[worker], 1) > 0)
        atomic_store(&j->shared, true);
    atomic_fetch_add(&j->runs[task], 1);
    while (j->wait_for_stop && task != j->fail_at && !atomic_load(stop))
        sched_yield();
    atomic_fetch_sub(&j->in_worker[worker], 1);
    if (task == j->fail_at || task == j->also_fail_at)
        return err_set(e, ERR_DNN, "task %zu", task);
    return j->wait_for_stop ? err_set(e, ERR_CANCELLED, "told to stop") : ERR_OK;
}

static bool progress(void *context, size_t done, size_t total)
{
    struct job *j = context;
    assert_true(pthread_equal(pthread_self(), j->caller));
    assert_true(done >= j->told && done <= total);
    j->told = done;
    j->last_total = total;
    return done >= j->stop_at;
}

static struct crew_options options(struct job *j, int threads, size_t tasks)
{
    j->caller = pthread_self();
    return (struct crew_options){ .name = "test-crew",
                                  .threads = threads,
                                  .tasks = tasks,
                                  .task = run,
                                  .progress = progress,
                                  .context = j };
}

static void each_task_runs_once(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        struct job j = { .fail_at = SIZE_MAX, .also_fail_at = SIZE_MAX, .stop_at = SIZE_MAX };
        struct crew_options o = options(&j, threads, TASKS);
        assert_int_equal(crew_run(&o, NULL), ERR_OK);
        for (int i = 0; i < TASKS; i++)
            assert_int_equal(atomic_load(&j.runs[i]), 1);
        assert_false(atomic_load(&j.shared));
        assert_int_equal(j.told, TASKS);
        assert_int_equal(j.last_total, TASKS);
    }
}

static void nothing_to_do(void **state)
{
    (void)state;
    struct job j = { .stop_at = SIZE_MAX };
    struct crew_options o = options(&j, 3, 0);
    assert_int_equal(crew_run(&o, NULL), ERR_OK);
}

static void first_failure_is_told(void **state)
{
    (void)state;
    struct job j = { .fail_at = 7, .also_fail_at = 9, .stop_at = SIZE_MAX };
    struct err e = { 0 };
    struct crew_options o = options(&j, 1, TASKS);
    assert_int_equal(crew_run(&o, &e), ERR_DNN);
    assert_string_equal(e.message, "task 7");
    assert_int_equal(atomic_load(&j.runs[8]), 0);
}

/* The tasks that are told to stop because of the failure do not hide it. */
static void failure_stops_the_others(void **state)
{
    (void)state;
    struct job j = {
        .fail_at = 1, .also_fail_at = SIZE_MAX, .stop_at = SIZE_MAX, .wait_for_stop = true
    };
    struct err e = { 0 };
    struct crew_options o = options(&j, 3, TASKS);
    assert_int_equal(crew_run(&o, &e), ERR_DNN);
    assert_string_equal(e.message, "task 1");
}

static void caller_stops_a_long_task(void **state)
{
    (void)state;
    struct job j = {
        .fail_at = SIZE_MAX, .also_fail_at = SIZE_MAX, .stop_at = 0, .wait_for_stop = true
    };
    struct crew_options o = options(&j, 2, TASKS);
    assert_int_equal(crew_run(&o, NULL), ERR_CANCELLED);
    assert_int_equal(atomic_load(&j.runs[TASKS - 1]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_task_runs_once),      cmocka_unit_test(nothing_to_do),
        cmocka_unit_test(first_failure_is_told),    cmocka_unit_test(failure_stops_the_others),
        cmocka_unit_test(caller_stops_a_long_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
