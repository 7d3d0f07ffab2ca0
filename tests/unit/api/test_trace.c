#include "api/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ID "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"

/* The specification's own examples. */
static void test_well_formed(void **context)
{
    (void)context;
    struct trace t;
    trace_parse("00-" ID "-" PARENT "-01", &t);
    assert_string_equal(t.id, ID);
    assert_string_equal(t.parent, PARENT);
    assert_true(t.sampled);
    trace_parse("00-" ID "-" PARENT "-00", &t);
    assert_string_equal(t.id, ID);
    assert_false(t.sampled);
    trace_parse("00-" ID "-" PARENT "-fe", &t);
    assert_false(t.sampled);
    trace_parse("00-" ID "-" PARENT "-0b", &t);
    assert_true(t.sampled);
    trace_parse("cc-" ID "-" PARENT "-01", &t);
    assert_string_equal(t.id, ID);
    trace_parse("cc-" ID "-" PARENT "-01-what-the-future-will-be-like", &t);
    assert_string_equal(t.id, ID);
}

static void test_everything_else_is_none(void **context)
{
    (void)context;
    static const char *const bad[] = {
        NULL,
        "",
        "00",
        "00-" ID "-" PARENT,
        "00-" ID "-" PARENT "-0",
        "00-" ID "-" PARENT "-0g",
        "00-" ID "-" PARENT "-01-",
        "00-" ID "-" PARENT "-01-extra",
        "cc-" ID "-" PARENT "-01.extra",
        "ff-" ID "-" PARENT "-01",
        "0g-" ID "-" PARENT "-01",
        "00_" ID "-" PARENT "-01",
        "00-" ID "_" PARENT "-01",
        "00-" ID "-" PARENT "_01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473-" PARENT "-001",
        "00-00000000000000000000000000000000-" PARENT "-01",
        "00-" ID "-0000000000000000-01",
        "00-" ID "-00F067AA0BA902B7-01",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct trace t = { .id = "x", .sampled = true };
        trace_parse(bad[i], &t);
        assert_string_equal(t.id, "");
        assert_string_equal(t.parent, "");
        assert_false(t.sampled);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_well_formed),
        cmocka_unit_test(test_everything_else_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
