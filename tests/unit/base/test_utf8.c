#include "data/base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void well_formed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t point;
    } cases[] = {
        { "a", 'a' },
        { "\x7f", 0x7f },
        { "\xc2\x80", 0x80 },
        { "\xdf\xbf", 0x7ff },
        { "\xe0\xa0\x80", 0x800 },
        { "\xed\x9f\xbf", 0xd7ff },
        { "\xee\x80\x80", 0xe000 },
        { "\xef\xbf\xbf", 0xffff },
        { "\xf0\x90\x80\x80", 0x10000 },
        { "\xf4\x8f\xbf\xbf", 0x10ffff },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t point;
        size_t len = strlen(cases[i].text);
        assert_int_equal(utf8_next(cases[i].text, len, &point), len);
        assert_int_equal(point, cases[i].point);
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(utf8_next(cases[i].text, cut, &point), 0);
    }
}

static void ill_formed(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xe0\x9f\xbf",
        "\xed\xa0\x80",
        "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xff",
        "\xc3(",
        "\xe2\x82(",
        "\xe2(\xac",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t point = 77;
        assert_int_equal(utf8_next(cases[i], strlen(cases[i]), &point), 0);
        assert_int_equal(point, 77);
    }
}

static void controls(void **state)
{
    (void)state;
    assert_true(utf8_is_control(0) && utf8_is_control(0x1f) && utf8_is_control(0x7f) &&
                utf8_is_control(0x9f));
    assert_false(utf8_is_control(' ') || utf8_is_control('~') || utf8_is_control(0xa0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_formed),
        cmocka_unit_test(ill_formed),
        cmocka_unit_test(controls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
