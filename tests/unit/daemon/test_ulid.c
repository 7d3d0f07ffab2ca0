#include "daemon/ulid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void next(struct ulid_source *s, int64_t ms, char ret[ULID_TEXT])
{
    struct err e;
    assert_int_equal(ulid_next(s, ms, ret, &e), ERR_OK);
    assert_int_equal(strlen(ret), 26);
    assert_int_equal(strspn(ret, "0123456789abcdefghjkmnpqrstvwxyz"), 26);
}

/* The specification's example: 1469918176385 ms is 01ARYZ6S41. */
static void test_time_comes_first(void **context)
{
    (void)context;
    struct ulid_source s;
    char id[ULID_TEXT];
    ulid_source_init(&s);
    next(&s, 1469918176385, id);
    assert_memory_equal(id, "01aryz6s41", 10);
    ulid_source_fini(&s);
    ulid_source_init(&s);
    next(&s, (INT64_C(1) << 48) - 1, id);
    assert_memory_equal(id, "7zzzzzzzzz", 10);
    ulid_source_fini(&s);
}

static void test_names_only_rise(void **context)
{
    (void)context;
    struct ulid_source s;
    char last[ULID_TEXT] = "", id[ULID_TEXT];
    ulid_source_init(&s);
    for (int i = 0; i < 2000; i++) {
        /* The same millisecond, one back, one on. */
        next(&s, 1000000 + i / 100 - (i % 3 == 0), id);
        assert_true(strcmp(last, id) < 0);
        memcpy(last, id, sizeof last);
    }
    ulid_source_fini(&s);
}

static void test_carry(void **context)
{
    (void)context;
    struct ulid_source s;
    char id[ULID_TEXT];
    ulid_source_init(&s);
    memset(s.last, 0xff, sizeof s.last);
    memset(s.last, 0, 6);
    s.last[5] = 9;
    s.last[6] = 0;
    next(&s, 9, id);
    assert_string_equal(id, "00000000090400000000000000");
    ulid_source_fini(&s);
}

static void test_two_sources_differ(void **context)
{
    (void)context;
    struct ulid_source a, b;
    char first[ULID_TEXT], second[ULID_TEXT];
    ulid_source_init(&a);
    ulid_source_init(&b);
    next(&a, 5, first);
    next(&b, 5, second);
    assert_memory_equal(first, second, 10);
    assert_string_not_equal(first, second);
    ulid_source_fini(&a);
    ulid_source_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_comes_first),
        cmocka_unit_test(test_names_only_rise),
        cmocka_unit_test(test_carry),
        cmocka_unit_test(test_two_sources_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
