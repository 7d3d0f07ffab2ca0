#include "api/media.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs those above */

static bool takes(enum route_body body, const char *type)
{
    struct err e;
    enum err_code code = media_check(body, type, &e);
    assert_true(code == ERR_OK || code == ERR_MEDIA_TYPE);
    return code == ERR_OK;
}

static void test_vague_types_are_taken_everywhere(void **state)
{
    (void)state;
    static const char *const vague[] = { "", "application/x-www-form-urlencoded",
                                         "application/octet-stream", "text/plain" };
    for (int body = BODY_NONE; body <= BODY_IMPORT; body++)
        for (size_t i = 0; i < 4; i++)
            assert_true(takes((enum route_body)body, vague[i]));
}

static void test_forms_with_parts_are_taken_nowhere(void **state)
{
    (void)state;
    for (int body = BODY_JSON; body <= BODY_IMPORT; body++) {
        assert_false(takes((enum route_body)body, "multipart/form-data"));
        assert_false(takes((enum route_body)body, "text/html"));
        assert_false(takes((enum route_body)body, "video/mp4"));
    }
}

static void test_fitting_types(void **state)
{
    (void)state;
    assert_true(takes(BODY_JSON, "application/json"));
    assert_true(takes(BODY_JSON, "application/merge-patch+json"));
    assert_false(takes(BODY_JSON, "image/jpeg"));
    assert_true(takes(BODY_SCORE, "image/jpeg"));
    assert_true(takes(BODY_SCORE, "application/json"));
    assert_false(takes(BODY_SCORE_JSON, "image/jpeg"));
    assert_true(takes(BODY_PICTURE, "image/png"));
    assert_false(takes(BODY_PICTURE, "application/json"));
    assert_true(takes(BODY_IMPORT, "application/x-tar"));
    assert_true(takes(BODY_IMPORT, "application/gzip"));
    assert_true(takes(BODY_IMPORT, "application/zip"));
    assert_true(takes(BODY_IMPORT, "application/json"));
    assert_false(takes(BODY_IMPORT, "image/jpeg"));
    assert_false(takes(BODY_BACKBONE, "application/json"));
}

static void test_json_types(void **state)
{
    (void)state;
    assert_true(media_is_json("application/json"));
    assert_true(media_is_json("application/problem+json"));
    assert_false(media_is_json("+json"));
    assert_false(media_is_json("application/jsonx"));
    assert_false(media_is_json(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vague_types_are_taken_everywhere),
        cmocka_unit_test(test_forms_with_parts_are_taken_nowhere),
        cmocka_unit_test(test_fitting_types),
        cmocka_unit_test(test_json_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
