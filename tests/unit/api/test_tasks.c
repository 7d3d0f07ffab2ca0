#include "api/tasks.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs those above */

static sem_t gate, begun;
static atomic_int ran;

static void count(void *context)
{
    (void)context;
    atomic_fetch_add(&ran, 1);
}

static void block(void *context)
{
    (void)context;
    sem_post(&begun);
    sem_wait(&gate);
    atomic_fetch_add(&ran, 1);
}

/* Uploads; context: the tasks. */
static void count_upload(void *context)
{
    tasks_upload_end(context);
    count(NULL);
}

static void block_upload(void *context)
{
    sem_post(&begun);
    sem_wait(&gate);
    tasks_upload_end(context);
    count(NULL);
}

static int setup(void **state)
{
    (void)state;
    sem_init(&gate, 0, 0);
    sem_init(&begun, 0, 0);
    atomic_store(&ran, 0);
    return 0;
}

static void test_everything_submitted_runs(void **state)
{
    (void)state;
    struct tasks *t;
    assert_int_equal(tasks_new(3, &t, NULL), ERR_OK);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(tasks_submit(t, TASK_CONTROL, count, NULL, NULL), ERR_OK);
    tasks_free(t);
    assert_int_equal(ran, 1000);
}

static void test_uploads_leave_half_of_the_threads(void **state)
{
    (void)state;
    struct tasks *t;
    assert_int_equal(tasks_new(4, &t, NULL), ERR_OK);
    assert_int_equal(tasks_submit(t, TASK_UPLOAD, block_upload, t, NULL), ERR_OK);
    assert_int_equal(tasks_submit(t, TASK_UPLOAD, block_upload, t, NULL), ERR_OK);
    sem_wait(&begun);
    sem_wait(&begun);
    struct err e;
    assert_int_equal(tasks_submit(t, TASK_UPLOAD, count_upload, t, &e), ERR_BUSY);
    assert_int_equal(tasks_submit(t, TASK_CONTROL, block, NULL, NULL), ERR_OK);
    sem_wait(&begun); /* a control task runs although every upload is stuck */
    for (int i = 0; i < 3; i++)
        sem_post(&gate);
    tasks_free(t);
    assert_int_equal(ran, 3);
}

static void test_an_upload_gives_its_place_back(void **state)
{
    (void)state;
    struct tasks *t;
    assert_int_equal(tasks_new(2, &t, NULL), ERR_OK);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(tasks_submit(t, TASK_UPLOAD, block_upload, t, NULL), ERR_OK);
        sem_wait(&begun);
        assert_int_equal(tasks_submit(t, TASK_UPLOAD, count_upload, t, NULL), ERR_BUSY);
        sem_post(&gate);
        /* What a task does last is to be seen by its client; from then on its place is free. */
        while (atomic_load(&ran) != i + 1)
            sched_yield();
    }
    tasks_free(t);
}

static void test_queue_is_bounded(void **state)
{
    (void)state;
    struct tasks *t;
    assert_int_equal(tasks_new(2, &t, NULL), ERR_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(tasks_submit(t, TASK_CONTROL, block, NULL, NULL), ERR_OK);
    sem_wait(&begun);
    sem_wait(&begun);
    for (int i = 0; i < TASKS_QUEUE; i++)
        assert_int_equal(tasks_submit(t, TASK_CONTROL, count, NULL, NULL), ERR_OK);
    assert_int_equal(tasks_submit(t, TASK_CONTROL, count, NULL, NULL), ERR_BUSY);
    sem_post(&gate);
    sem_post(&gate);
    tasks_free(t);
    assert_int_equal(ran, TASKS_QUEUE + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_everything_submitted_runs, setup),
        cmocka_unit_test_setup(test_uploads_leave_half_of_the_threads, setup),
        cmocka_unit_test_setup(test_an_upload_gives_its_place_back, setup),
        cmocka_unit_test_setup(test_queue_is_bounded, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
