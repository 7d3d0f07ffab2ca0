#include "data/base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void set_fills_and_returns(void **state)
{
    (void)state;
    struct err e = { 0 };
    assert_int_equal(err_set(&e, ERR_LAYOUT, "%s at %d", "x", 3), ERR_LAYOUT);
    assert_int_equal(e.code, ERR_LAYOUT);
    assert_string_equal(e.message, "x at 3");
    assert_int_equal(err_set(NULL, ERR_IO, "nobody %d", 1), ERR_IO);
}

static void a_long_message_is_cut_between_characters(void **state)
{
    (void)state;
    struct err e;
    char text[700];
    for (int shift = 0; shift < 3; shift++) {
        memset(text, 'a', sizeof text);
        for (size_t i = (size_t)shift; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "\xe2\x82\xac", 3);
        text[sizeof text - 1] = 0;
        err_set(&e, ERR_LAYOUT, "%s", text);
        size_t len = strlen(e.message);
        assert_true(len >= sizeof e.message - 4 && len < sizeof e.message);
        assert_int_equal((len - (size_t)shift) % 3, 0);
        assert_memory_equal(e.message, text, len);
    }
}

static void a_message_is_utf8_in_one_line(void **state)
{
    (void)state;
    struct err e;
    err_set(&e, ERR_LAYOUT, "%s", "caf\xe9/\xed\xa0\x80\n\x7f\xc3\xa9");
    assert_string_equal(e.message, "caf?/???  \xc3\xa9");
}

static void the_old_message_may_be_an_argument(void **state)
{
    (void)state;
    struct err e;
    err_set(&e, ERR_IO, "inner");
    err_set(&e, ERR_BLOB_CORRUPT, "outer: %s", e.message);
    assert_string_equal(e.message, "outer: inner");
}

static void errno_decides_the_code(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(err_errno(&e, ENOSPC, "cannot write %s", "f"), ERR_DISK_FULL);
    assert_string_equal(e.message, "cannot write f: No space left on device");
    assert_int_equal(err_errno(NULL, EDQUOT, "x"), ERR_DISK_FULL);
    assert_int_equal(err_errno(NULL, EFBIG, "x"), ERR_DISK_FULL);
    assert_int_equal(err_errno(NULL, ENOMEM, "x"), ERR_NOMEM);
    assert_int_equal(err_errno(NULL, EIO, "x"), ERR_IO);

    char text[600];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    err_errno(&e, EIO, "%s", text);
    assert_int_equal(strlen(e.message), sizeof e.message - 1);
}

static void slugs_are_unique_and_come_back(void **state)
{
    (void)state;
    for (int i = 0; i <= ERR_INTERNAL; i++) {
        assert_non_null(err_slug((enum err_code)i));
        assert_int_equal(err_from_slug(err_slug((enum err_code)i)), i);
    }
    assert_int_equal(err_from_slug("no_such_code"), ERR_INTERNAL);
    assert_false(err_is_fault(ERR_CANCELLED));
    assert_true(err_is_fault(ERR_NOMEM));
    assert_true(err_is_fault(ERR_INTERNAL));
    assert_false(err_is_fault(ERR_OK));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_fills_and_returns),
        cmocka_unit_test(a_long_message_is_cut_between_characters),
        cmocka_unit_test(a_message_is_utf8_in_one_line),
        cmocka_unit_test(the_old_message_may_be_an_argument),
        cmocka_unit_test(errno_decides_the_code),
        cmocka_unit_test(slugs_are_unique_and_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
