#include "data/base/log_queue.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROOM = 8 << 20 };

/* Standard error is a pipe's end while a test runs. */
struct fixture {
    int saved, read_end;
    char *text; /* [ROOM + 1] */
    size_t len;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    int ends[2];
    if (!f || !(f->text = calloc(1, ROOM + 1)) || pipe(ends))
        return -1;
    f->saved = dup(STDERR_FILENO);
    f->read_end = ends[0];
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    dup2(f->saved, STDERR_FILENO);
    close(f->saved);
    close(f->read_end);
    free(f->text);
    free(f);
    return 0;
}

/* Until nobody holds the pipe's other end any more. */
static void *read_all(void *context)
{
    struct fixture *f = context;
    ssize_t got;
    while ((got = read(f->read_end, f->text + f->len, ROOM - f->len)) > 0)
        f->len += (size_t)got;
    return NULL;
}

static void close_pipe(struct fixture *f)
{
    dup2(f->saved, STDERR_FILENO);
}

static int count(const char *text, const char *what)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
        n++;
    return n;
}

static struct log_queue *new_queue(void)
{
    struct err e = { 0 };
    struct log_queue *q = NULL;
    assert_int_equal(log_queue_new(&q, &e), ERR_OK);
    return q;
}

static void test_lines_come_whole_and_in_order(void **state)
{
    enum { LINES = 5000 };
    struct fixture *f = *state;
    struct log_queue *q = new_queue();
    pthread_t reader;
    assert_int_equal(pthread_create(&reader, NULL, read_all, f), 0);
    for (int i = 0; i < LINES; i++) {
        char line[32];
        int len = snprintf(line, sizeof line, "line %d\n", i);
        assert_true(log_queue_put(q, line, (size_t)len));
        if (i % 1000 == 0) /* beside a round of the writer's, not all before it */
            usleep(1000);
    }
    log_queue_free(q);
    close_pipe(f);
    pthread_join(reader, NULL);
    const char *at = f->text;
    for (int i = 0; i < LINES; i++) {
        int number = -1, len = 0;
        assert_int_equal(sscanf(at, "line %d\n%n", &number, &len), 1);
        assert_int_equal(number, i);
        at += len;
    }
    assert_int_equal(*at, 0);
}

static void test_what_does_not_fit_is_dropped_and_told(void **state)
{
    struct fixture *f = *state;
    struct log_queue *q = new_queue();
    char line[LOG_LINE_MAX];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    int taken = 0, dropped = 0;
    for (; dropped < 5; dropped++)
        assert_false(log_queue_put(q, line, sizeof line + 1));
    /* The writer is in its first round, which knows of those, while the rest is lost. */
    taken += log_queue_put(q, line, sizeof line);
    assert_int_equal(poll(&(struct pollfd){ .fd = f->read_end, .events = POLLIN }, 1, 60000), 1);
    /* Nobody reads: the pipe fills, then both halves. */
    for (int i = 0; i < 4 * LOG_QUEUE_BYTES / LOG_LINE_MAX; i++) {
        bool fits = log_queue_put(q, line, sizeof line);
        taken += fits;
        dropped += !fits;
    }
    assert_true(dropped > 5);
    assert_true(taken > LOG_QUEUE_BYTES / LOG_LINE_MAX / 2);
    pthread_t reader;
    assert_int_equal(pthread_create(&reader, NULL, read_all, f), 0);
    log_queue_free(q);
    close_pipe(f);
    pthread_join(reader, NULL);
    assert_int_equal(count(f->text, "xxx\n"), taken);
    int told = 0;
    for (const char *at = f->text; (at = strstr(at, "log_lines_dropped")); at++) {
        int more = 0;
        assert_int_equal(sscanf(at, "log_lines_dropped\",\"count\":\"%d\"", &more), 1);
        told += more;
    }
    assert_int_equal(told, dropped);
}

/* A reader that has stalled holds up the end for seconds, not for ever. */
static void test_end_without_a_reader(void **state)
{
    (void)state;
    struct log_queue *q = new_queue();
    char line[LOG_LINE_MAX];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    for (int i = 0; i < LOG_QUEUE_BYTES / LOG_LINE_MAX; i++)
        (void)log_queue_put(q, line, sizeof line);
    log_queue_free(q);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_lines_come_whole_and_in_order),
        TEST(test_what_does_not_fit_is_dropped_and_told),
        TEST(test_end_without_a_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
