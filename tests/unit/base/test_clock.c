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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_of_known_times),
        cmocka_unit_test(clocks_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
