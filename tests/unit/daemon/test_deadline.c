#include "daemon/deadline.h"

#include "data/base/cleanup.h"
#include "data/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Writes to a pipe, so that the test can wait for it. */
static void passed(void *context)
{
    assert_int_equal(write(*(const int *)context, "x", 1), 1);
}

static void tells_when_the_time_is_over(void **state)
{
    (void)state;
    struct deadline *d = NULL;
    int ends[2];
    char byte;
    int64_t start = clock_monotonic_us();
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(deadline_start(1, passed, &ends[1], &d, NULL), ERR_OK);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_true(clock_monotonic_us() - start >= 1000000);
    deadline_stop(d);
    close(ends[0]);
    close(ends[1]);
}

static void stopped_in_time_it_tells_nothing(void **state)
{
    (void)state;
    struct deadline *d = NULL;
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(deadline_start(3600, passed, &ends[1], &d, NULL), ERR_OK);
    deadline_stop(d);
    deadline_stop(NULL);
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 0);
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(tells_when_the_time_is_over),
                                        cmocka_unit_test(stopped_in_time_it_tells_nothing) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
