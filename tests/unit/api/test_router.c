#include "api/router.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs those above */

static enum err_code nothing(struct request *r, struct err *e)
{
    (void)r, (void)e;
    return ERR_OK;
}

static const struct route first[] = {
    { "GET", "/", BODY_NONE, RUN_INLINE, nothing, "root", ACCESS_SCORE },
    { "GET", "/a", BODY_NONE, RUN_INLINE, nothing, "a", ACCESS_SCORE },
    { "GET", "/b/fixed", BODY_NONE, RUN_INLINE, nothing, "fixed", ACCESS_SCORE },
    { "POST", "/a", BODY_JSON, RUN_TASK, nothing, "make a", ACCESS_SCORE },
    { 0 },
};
static const struct route second[] = {
    { "GET", "/a/{x}", BODY_NONE, RUN_INLINE, nothing, "one a", ACCESS_SCORE },
    { "GET", "/a/{x}/b/{y}", BODY_NONE, RUN_INLINE, nothing, "a's b", ACCESS_SCORE },
    { "GET", "/a/special", BODY_NONE, RUN_INLINE, nothing, "special", ACCESS_SCORE },
    { "GET", "/b/{x}", BODY_NONE, RUN_INLINE, nothing, "one b", ACCESS_SCORE },
    { "DELETE", "/a/{x}", BODY_NONE, RUN_INLINE, nothing, "remove", ACCESS_SCORE },
    { "POST", "/a/{x}:do", BODY_NONE, RUN_INLINE, nothing, "do a", ACCESS_SCORE },
    { "POST", "/a/{x}:undo", BODY_NONE, RUN_INLINE, nothing, "undo a", ACCESS_SCORE },
    { "POST", "/a/{x}/b/{y}:do", BODY_NONE, RUN_INLINE, nothing, "do a's b", ACCESS_SCORE },
    { 0 },
};
static const struct route *const tables[] = { first, second, NULL };

static struct route_match match;

static const char *find(const char *method, const char *path)
{
    struct err e;
    enum err_code code = router_find(tables, method, path, &match, &e);
    return code ? err_slug(code) : match.route->summary;
}

static void test_literals(void **state)
{
    (void)state;
    assert_string_equal(find("GET", "/"), "root");
    assert_string_equal(find("GET", "/a"), "a");
    assert_string_equal(find("POST", "/a"), "make a");
    assert_string_equal(find("HEAD", "/a"), "a");
}

static void test_parameters(void **state)
{
    (void)state;
    assert_string_equal(find("GET", "/a/left/b/right"), "a's b");
    assert_int_equal(match.count, 2);
    assert_string_equal(match.values[0], "left");
    assert_string_equal(match.values[1], "right");
    assert_memory_equal(match.names[1], "{y}", 3);
    assert_string_equal(find("DELETE", "/a/special"), "remove");
    assert_string_equal(match.values[0], "special");
    assert_string_equal(find("GET", "/a/special"), "special");
    assert_int_equal(match.count, 0);
    assert_string_equal(find("GET", "/b/fixed"), "fixed");
    assert_string_equal(find("GET", "/b/other"), "one b");
}

/* What ends with a verb is no name, so that the one cannot be taken for the other. */
static void test_verbs(void **state)
{
    (void)state;
    assert_string_equal(find("POST", "/a/left:do"), "do a");
    assert_string_equal(match.values[0], "left");
    assert_string_equal(find("POST", "/a/left:undo"), "undo a");
    assert_string_equal(find("POST", "/a/left/b/right:do"), "do a's b");
    assert_string_equal(match.values[0], "left");
    assert_string_equal(match.values[1], "right");
    assert_string_equal(find("GET", "/a/left:do"), "method_not_allowed");
    assert_string_equal(match.allow, "POST");
    static const char *const paths[] = { "/a/:do",      "/a/left:",  "/a/left:d",   "/a/left:doo",
                                         "/a/left:do:", "/a/l:e:do", "/a/left:do/", "/:do" };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        assert_string_equal(find("POST", paths[i]), "route_unknown");
}

static void test_unknown(void **state)
{
    (void)state;
    static const char *const paths[] = { "",        "a",   "/b",     "/a/",      "//",
                                         "/a//b/x", "/aa", "/a/x/b", "/a/x/c/y", "/a/x/b/y/" };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        assert_string_equal(find("GET", paths[i]), "route_unknown");
}

static void test_method_not_allowed(void **state)
{
    (void)state;
    assert_string_equal(find("DELETE", "/a"), "method_not_allowed");
    assert_string_equal(match.allow, "GET, HEAD, POST");
    assert_string_equal(find("POST", "/a/x"), "method_not_allowed");
    assert_string_equal(match.allow, "GET, HEAD, DELETE");
    assert_string_equal(find("get", "/a"), "method_not_allowed");
}

static void test_path_limit(void **state)
{
    (void)state;
    char path[ROUTE_PATH + 1];
    memset(path, 'x', sizeof path);
    memcpy(path, "/a/", 3);
    path[ROUTE_PATH - 1] = 0;
    assert_string_equal(find("GET", path), "one a");
    path[ROUTE_PATH - 1] = 'x';
    path[ROUTE_PATH] = 0;
    assert_string_equal(find("GET", path), "route_unknown");
}

/* No two routes of the server's own stand in each other's way. */
static void test_own_routes(void **state)
{
    (void)state;
    int count = 0;
    for (const struct route *const *table = routes(); *table; table++)
        for (const struct route *route = *table; route->method; route++, count++) {
            struct err e;
            assert_int_equal(router_find(routes(), route->method, route->pattern, &match, &e),
                             ERR_OK);
            assert_ptr_equal(match.route, route);
            assert_non_null(route->handler);
            assert_non_null(route->summary);
        }
    assert_true(count > 25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literals),   cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_unknown),    cmocka_unit_test(test_method_not_allowed),
        cmocka_unit_test(test_path_limit), cmocka_unit_test(test_own_routes),
        cmocka_unit_test(test_verbs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
