#include "data/base/name.h"

#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void good_names(void **state)
{
    (void)state;
    static const char *const names[] = { "a", "Z", "0", "mobilenet_v2", "a.b-c_d", "9..--__" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(name_check(names[i], "name", NULL), ERR_OK);
}

static void bad_names_are_refused_with_their_text(void **state)
{
    (void)state;
    static const char *const names[] = { "",    ".a",  "_a",       "-a",    "a b",
                                         "a/b", "a\n", "\xc3\xa9", "a\xff", "a\\b" };
    struct err e;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(name_check(names[i], "dataset name", &e), ERR_NAME_SYNTAX);
    assert_int_equal(name_check(".a", "dataset name", &e), ERR_NAME_SYNTAX);
    assert_non_null(strstr(e.message, "dataset name \".a\""));
}

static void sixty_four_bytes_at_most(void **state)
{
    (void)state;
    char name[66];
    memset(name, 'x', sizeof name);
    name[64] = 0;
    assert_int_equal(name_check(name, "name", NULL), ERR_OK);
    name[64] = 'x';
    name[65] = 0;
    assert_int_equal(name_check(name, "name", NULL), ERR_NAME_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_names),
        cmocka_unit_test(bad_names_are_refused_with_their_text),
        cmocka_unit_test(sixty_four_bytes_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
