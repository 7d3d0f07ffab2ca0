#include "data/base/buf.h"

#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static void appends_and_terminates(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    assert_null(b.data);
    assert_int_equal(buf_append(&b, NULL, 0, NULL), ERR_OK);
    assert_string_equal((char *)b.data, "");
    assert_int_equal(buf_append(&b, "abc", 3, NULL), ERR_OK);
    assert_int_equal(buf_printf(&b, NULL, "-%d-", 42), ERR_OK);
    assert_string_equal((char *)b.data, "abc-42-");
    assert_int_equal(b.len, 7);
    uint8_t *memory = b.data;
    buf_reset(&b);
    assert_int_equal(b.len, 0);
    assert_ptr_equal(b.data, memory);
    assert_string_equal((char *)b.data, "");
    buf_fini(&b);
    assert_null(b.data);
    assert_int_equal(b.max, 1000);
}

static void holds_exactly_max(void **state)
{
    (void)state;
    for (size_t max = 0; max < 600; max += 37) {
        struct buf b;
        struct err e;
        buf_init(&b, max);
        for (size_t i = 0; i < max; i++)
            assert_int_equal(buf_append(&b, &(char){ 'x' }, 1, &e), ERR_OK);
        assert_int_equal(b.len, max);
        assert_int_equal(buf_append(&b, "y", 1, &e), ERR_BODY_TOO_LARGE);
        assert_int_equal(b.len, max);
        assert_true(b.cap <= max);
        assert_int_equal(buf_append(&b, "", 0, &e), ERR_OK);
        assert_int_equal(b.data[max], 0);
        buf_fini(&b);
    }
}

static void a_refused_append_changes_nothing(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 10);
    assert_int_equal(buf_append(&b, "12345", 5, NULL), ERR_OK);
    assert_int_equal(buf_append(&b, "123456", 6, NULL), ERR_BODY_TOO_LARGE);
    assert_int_equal(buf_printf(&b, NULL, "%s", "123456"), ERR_BODY_TOO_LARGE);
    assert_string_equal((char *)b.data, "12345");
    buf_fini(&b);
}

/* Sums that would wrap around. */
static void enormous_sizes_are_refused(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, SIZE_MAX);
    assert_int_equal(buf_append(&b, "12345", 5, NULL), ERR_OK);
    assert_int_equal(buf_reserve(&b, SIZE_MAX, NULL), ERR_BODY_TOO_LARGE);
    assert_int_equal(buf_reserve(&b, SIZE_MAX - 4, NULL), ERR_BODY_TOO_LARGE);
    assert_int_equal(buf_reserve(&b, SIZE_MAX - 5, NULL), ERR_NOMEM);
    assert_string_equal((char *)b.data, "12345");
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_and_terminates),
        cmocka_unit_test(holds_exactly_max),
        cmocka_unit_test(a_refused_append_changes_nothing),
        cmocka_unit_test(enormous_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
