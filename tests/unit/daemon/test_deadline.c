#include "daemon/deadline.h"

#include "data/base/cleanup.h"
#include "data/base/clock.h"
#include "data/base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Writes to a pipe, so that the test can wait for it. */
static void passed(void *context)
{
    assert_int_equal(write(*(const int *)context, "x", 1), 1);
}

static char folder[] = "/tmp/kennel-deadline-XXXXXX", path[64];

static int make_folder(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/spent", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return file_remove_tree(folder, NULL) ? -1 : 0;
}

static int64_t spent(void)
{
    CLEANUP(buf_fini) struct buf bytes;
    int64_t us;
    buf_init(&bytes, sizeof us);
    assert_int_equal(file_read(path, &bytes, NULL), ERR_OK);
    assert_int_equal(bytes.len, sizeof us);
    memcpy(&us, bytes.data, sizeof us);
    return us;
}

static void tells_when_the_time_is_over(void **state)
{
    (void)state;
    struct deadline *d = NULL;
    int ends[2];
    char byte;
    int64_t start = clock_monotonic_us();
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(deadline_start(1, path, passed, &ends[1], &d, NULL), ERR_OK);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_true(clock_monotonic_us() - start >= 1000000);
    deadline_stop(d);
    close(ends[0]);
    close(ends[1]);
    assert_true(spent() >= 1000000 - DEADLINE_TICK_MS * 1000);
}

static void stopped_in_time_it_tells_nothing(void **state)
{
    (void)state;
    struct deadline *d = NULL;
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(deadline_start(3600, path, passed, &ends[1], &d, NULL), ERR_OK);
    deadline_stop(d);
    deadline_stop(NULL);
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 0);
    close(ends[0]);
}

/* What earlier attempts took counts: 3599 of 3600 seconds leave one. */
static void goes_on_from_what_was_spent(void **state)
{
    (void)state;
    struct deadline *d = NULL;
    int ends[2];
    char byte;
    const int64_t before = INT64_C(3599000000);
    int64_t start = clock_monotonic_us();
    assert_int_equal(file_write_atomic(path, &before, sizeof before, NULL), ERR_OK);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(deadline_start(3600, path, passed, &ends[1], &d, NULL), ERR_OK);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_true(clock_monotonic_us() - start >= 1000000);
    deadline_stop(d);
    close(ends[0]);
    close(ends[1]);
}

static void a_file_that_makes_no_sense_counts_as_none(void **state)
{
    (void)state;
    static const int64_t odd[] = { -1, INT64_MIN, 7 };
    for (size_t i = 0; i < 3; i++) {
        struct deadline *d = NULL;
        size_t len = i < 2 ? sizeof odd[i] : 3;
        assert_int_equal(file_write_atomic(path, &odd[i], len, NULL), ERR_OK);
        assert_int_equal(deadline_start(3600, path, passed, NULL, &d, NULL), ERR_OK);
        deadline_stop(d);
        assert_true(spent() >= 0 && spent() < INT64_C(1800000000));
    }
    struct deadline *none = NULL;
    assert_int_equal(deadline_start(1, "/nowhere/spent", passed, NULL, &none, NULL), ERR_IO);
    assert_null(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_when_the_time_is_over),
        cmocka_unit_test(stopped_in_time_it_tells_nothing),
        cmocka_unit_test(goes_on_from_what_was_spent),
        cmocka_unit_test(a_file_that_makes_no_sense_counts_as_none),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
