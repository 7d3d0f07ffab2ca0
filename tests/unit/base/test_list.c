#include "data/base/list.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void keeps_what_it_holds(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    int *list = NULL, max = 0;
    for (int i = 0; i < COUNT; i++) {
        assert_true(list_grow((void **)&list, i, &max, sizeof *list));
        assert_true(max > i && max <= 2 * (i > 32 ? i : 32));
        list[i] = i;
    }
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(list[i], i);
    free(list);
}

static void refuses_what_cannot_be(void **state)
{
    (void)state;
    void *list = NULL;
    int max = 0;
    assert_false(list_grow(&list, 0, &max, SIZE_MAX / 2));
    assert_null(list);
    assert_int_equal(max, 0);
    max = INT_MAX;
    assert_false(list_grow(&list, INT_MAX, &max, 1));
    assert_int_equal(max, INT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_what_it_holds),
        cmocka_unit_test(refuses_what_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
