#include "api/problem.h"

#include "data/base/json.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs those above */

static struct reply reply;

static json_t *problem(enum err_code code, const char *message)
{
    struct err e;
    err_set(&e, code, "%s", message);
    struct problem p = { .err = &e, .request_id = "id-1", .route = "GET /x" };
    problem_reply(&p, &reply);
    json_t *o;
    assert_int_equal(json_read((const char *)reply.body.data, reply.body.len, &o, NULL), ERR_OK);
    return o;
}

static const char *text(const json_t *o, const char *name)
{
    return json_string_value(json_object_get(o, name));
}

static int setup(void **state)
{
    (void)state;
    reply_init(&reply);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    reply_fini(&reply);
    return 0;
}

/* A refusal is the caller's doing, a fault is ours; but "not now" is a refusal with a 5xx. */
static void test_every_code_has_a_fitting_status(void **state)
{
    (void)state;
#define X(name, slug, fault)                                                                       \
    {                                                                                              \
        int status = problem_status(ERR_##name);                                                   \
        if (ERR_##name == ERR_OK)                                                                  \
            assert_int_equal(status, 200);                                                         \
        else if (fault)                                                                            \
            assert_true(status == 500 || status == 507);                                           \
        else                                                                                       \
            assert_true((status >= 400 && status < 500) || status == 503 || status == 504);        \
    }
    ERR_TABLE(X)
#undef X
}

static void test_refusal_is_told(void **state)
{
    (void)state;
    json_t *o = problem(ERR_DATASET_UNKNOWN, "no dataset \"dogs\"");
    assert_int_equal(reply.status, 404);
    assert_string_equal(reply.type, "application/problem+json");
    assert_string_equal(text(o, "type"), "about:blank");
    assert_string_equal(text(o, "title"), "Not Found");
    assert_int_equal(json_integer_value(json_object_get(o, "status")), 404);
    assert_string_equal(text(o, "code"), "dataset_unknown");
    assert_string_equal(text(o, "detail"), "no dataset \"dogs\"");
    assert_string_equal(text(o, "request_id"), "id-1");
    json_decref(o);
}

static void test_fault_hides_the_inside(void **state)
{
    (void)state;
    json_t *o = problem(ERR_IO, "cannot open /var/lib/kennel/secret: Permission denied");
    assert_int_equal(reply.status, 500);
    assert_null(strstr((const char *)reply.body.data, "secret"));
    assert_non_null(strstr(text(o, "detail"), "request_id"));
    json_decref(o);
    o = problem(ERR_DISK_FULL, "cannot write /var/lib/kennel/x");
    assert_int_equal(reply.status, 507);
    assert_non_null(strstr(text(o, "detail"), "disk is full"));
    json_decref(o);
}

static void test_what_the_caller_sent_need_not_be_text(void **state)
{
    (void)state;
    json_t *o = problem(ERR_ROUTE_UNKNOWN, "no such path: /\xff\xfe");
    assert_string_equal(text(o, "code"), "route_unknown");
    assert_non_null(text(o, "detail"));
    json_decref(o);
}

static const char *header(const char *name)
{
    for (int i = 0; i < reply.header_count; i++)
        if (strcmp(reply.headers[i].name, name) == 0)
            return reply.headers[i].value;
    return NULL;
}

static void test_headers(void **state)
{
    (void)state;
    json_decref(problem(ERR_BUSY, "full"));
    assert_string_equal(header("Retry-After"), "1");
    json_decref(problem(ERR_NOT_PROMOTED, "nothing"));
    assert_non_null(header("Retry-After"));
    json_decref(problem(ERR_JSON_SYNTAX, "no"));
    assert_null(header("Retry-After"));

    struct err e;
    err_set(&e, ERR_METHOD_NOT_ALLOWED, "no");
    struct problem p = { .err = &e, .request_id = "x", .route = "", .allow = "GET, HEAD" };
    problem_reply(&p, &reply);
    assert_string_equal(header("Allow"), "GET, HEAD");
}

/* The other protocols: text alone, few statuses, the code in a header. */
static void test_error_form(void **state)
{
    (void)state;
    assert_int_equal(problem_form("/v2/models/x"), PROBLEM_ERROR);
    assert_int_equal(problem_form("/v2"), PROBLEM_ERROR);
    assert_int_equal(problem_form("/v1/models/x:predict"), PROBLEM_ERROR);
    assert_int_equal(problem_form("/v20"), PROBLEM_DETAILS);
    assert_int_equal(problem_form("/api/v1/models"), PROBLEM_DETAILS);
    assert_int_equal(problem_form(""), PROBLEM_DETAILS);
    static const struct {
        enum err_code code;
        int status;
    } rows[] = {
        { ERR_PICTURE_FORMAT, 400 }, { ERR_MEDIA_TYPE, 400 },  { ERR_MODEL_AMBIGUOUS, 400 },
        { ERR_MODEL_UNKNOWN, 404 },  { ERR_BODY_BOMB, 413 },   { ERR_BUSY, 503 },
        { ERR_PATH_FORBIDDEN, 403 }, { ERR_TENSOR_DATA, 400 }, { ERR_IO, 500 }
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e;
        err_set(&e, rows[i].code, "it is \"so\"");
        struct problem p = { .err = &e, .request_id = "x", .route = "", .form = PROBLEM_ERROR };
        problem_reply(&p, &reply);
        assert_int_equal(reply.status, rows[i].status);
        assert_string_equal(reply.type, "application/json");
        assert_string_equal(header("X-Kennel-Error"), err_slug(rows[i].code));
        if (rows[i].code != ERR_IO)
            assert_string_equal((const char *)reply.body.data,
                                "{\"error\":\"it is \\\"so\\\"\"}\n");
        else
            assert_null(strstr((const char *)reply.body.data, "so"));
    }
}

static void test_extra_member(void **state)
{
    (void)state;
    struct err e;
    err_set(&e, ERR_GATE_REFUSED, "no better");
    json_t *gate = json_pack("{s:f}", "accuracy", 0.5);
    struct problem p = {
        .err = &e, .request_id = "x", .route = "", .extra_name = "gate", .extra = gate
    };
    problem_reply(&p, &reply);
    json_decref(gate);
    assert_int_equal(reply.status, 409);
    assert_non_null(strstr((const char *)reply.body.data, "\"gate\":{\"accuracy\":0.5}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code_has_a_fitting_status),
        cmocka_unit_test_setup_teardown(test_refusal_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fault_hides_the_inside, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_the_caller_sent_need_not_be_text, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_extra_member, setup, teardown),
        cmocka_unit_test_setup_teardown(test_error_form, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
