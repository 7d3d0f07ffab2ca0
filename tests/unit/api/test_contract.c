#include "api/contract.h"

#include "api/openapi.h"
#include "api/request.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs those above */

static const struct route table[] = {
    { "POST", "/things/{t}", BODY_JSON, RUN_TASK, NULL, "", ACCESS_ADMIN },
    { "GET", "/things/{t}", BODY_NONE, RUN_TASK, NULL, "", ACCESS_ADMIN },
    { 0 },
};
static const struct route *const tables[] = { table, NULL };
static const struct route *const post = &table[0], *const get = &table[1];

static const char document[] =
    "{'paths': {'/things/{t}': {"
    " 'get': {'x-kennel-any-query': true},"
    " 'post': {"
    "  'parameters': ["
    "   {'name': 'limit', 'in': 'query', 'schema': {'type': 'integer', 'minimum': 1, 'maximum': "
    "9}},"
    "   {'name': 'rate', 'in': 'query', 'schema': {'type': 'number', 'minimum': 0}},"
    "   {'name': 'dry', 'in': 'query', 'schema': {'type': 'boolean'}},"
    "   {'name': 'of', 'in': 'query', 'required': true, 'schema': {'$ref': '#/schemas/Kind'}},"
    "   {'name': 'X-Wait', 'in': 'header', 'schema': {'type': 'integer', 'maximum': 5}},"
    "   {'name': 't', 'in': 'path', 'schema': {'type': 'string'}}],"
    "  'requestBody': {'required': true, 'content': {'application/json': {'schema': {"
    "   'type': 'object', 'required': ['name'], 'additionalProperties': false, 'properties': {"
    "    'name': {'$ref': '#/schemas/Name'},"
    "    'size': {'type': ['integer', 'null'], 'minimum': -2, 'maximum': 2},"
    "    'kind': {'$ref': '#/schemas/Kind'},"
    "    'share': {'type': 'number', 'maximum': 1},"
    "    'text': {'type': 'string', 'minLength': 2, 'maxLength': 3},"
    "    'tags': {'type': 'object', 'additionalProperties': {'type': 'string'}},"
    "    'steps': {'type': 'array', 'minItems': 1, 'maxItems': 2, 'items': {'type': 'integer'}},"
    "    'how': {'oneOf': [{'enum': ['fast']}, {'type': 'boolean'}, {'type': 'object',"
    "      'x-kennel-code': 'recipe', 'properties': {'depth': {'type': 'integer', 'maximum': 3}},"
    "      'additionalProperties': false}]}"
    "   }}}}}}}},"
    " 'schemas': {'Kind': {'enum': ['cat', 'dog']},"
    "  'Name': {'type': 'string', 'pattern': '^[a-z]+$', 'x-kennel-code': 'name_syntax'}}}";

/* JSON with ' for ". */
static size_t quoted(const char *text, char *ret, size_t size)
{
    size_t n = strlen(text);
    assert_true(n < size);
    for (size_t i = 0; i <= n; i++)
        ret[i] = text[i] == '\'' ? '"' : text[i];
    return n;
}

static struct contract *made(void)
{
    char text[4096];
    struct err e;
    struct contract *c = NULL;
    if (contract_new(text, quoted(document, text, sizeof text), tables, &c, &e))
        fail_msg("%s", e.message);
    return c;
}

static struct err err;

static const char *body(const struct contract *c, const char *json)
{
    char text[1024];
    json_t *value = NULL;
    assert_int_equal(json_read(text, quoted(json, text, sizeof text), &value, NULL), ERR_OK);
    err.message[0] = 0;
    enum err_code code = contract_check_body(c, post, value, &err);
    json_decref(value);
    return err_slug(code);
}

static void test_bodies(void **state)
{
    (void)state;
    static const struct {
        const char *json, *slug, *message;
    } rows[] = {
        { "{'name': 'a'}", "ok", "" },
        { "{'name': 'a', 'size': null, 'kind': 'cat', 'share': 1, 'text': 'äöü', 'tags': {'x': "
          "'y'}, 'steps': [1, 2], 'how': 'fast'}",
          "ok", "" },
        { "[]", "json_type", "the request must be an object, is []" },
        { "{}", "field_missing", "the request: field \"name\" is missing" },
        { "{'name': 'a', 'more': 1}", "field_unknown", "the request: unknown field \"more\"" },
        { "{'name': 1}", "json_type", "the request: name must be a string, is 1" },
        { "{'name': null}", "json_type", "the request: name must be a string, is null" },
        { "{'name': 'A'}", "name_syntax", "the request: name must match ^[a-z]+$, is \"A\"" },
        { "{'name': 'a', 'size': -2}", "ok", "" },
        { "{'name': 'a', 'size': 2}", "ok", "" },
        { "{'name': 'a', 'size': 3}", "field_range",
          "the request: size must be an integer from -2 to 2, is 3" },
        { "{'name': 'a', 'size': -3}", "field_range", NULL },
        { "{'name': 'a', 'size': 1.5}", "json_type",
          "the request: size must be one of an integer, null from -2 to 2, is 1.5" },
        { "{'name': 'a', 'kind': 'cow'}", "field_range",
          "the request: kind must be one of cat, dog, is \"cow\"" },
        { "{'name': 'a', 'kind': 1}", "json_type", NULL },
        { "{'name': 'a', 'share': 1.0001}", "field_range", NULL },
        { "{'name': 'a', 'text': 'ä'}", "field_range",
          "the request: text must have from 2 to 3 characters" },
        { "{'name': 'a', 'text': 'four'}", "field_range", NULL },
        { "{'name': 'a', 'tags': {'x': 1}}", "json_type",
          "the request: tags.x must be a string, is 1" },
        { "{'name': 'a', 'steps': []}", "field_range",
          "the request: steps must have from 1 to 2 items" },
        { "{'name': 'a', 'steps': [1, 2, 3]}", "field_range", NULL },
        { "{'name': 'a', 'steps': [1, true]}", "json_type",
          "the request: steps[1] must be an integer, is true" },
        { "{'name': 'a', 'how': 'slow'}", "field_range", NULL },
        { "{'name': 'a', 'how': true}", "ok", "" },
        { "{'name': 'a', 'how': []}", "json_type",
          "the request: how must be one of fast, true or false, an object, is []" },
        { "{'name': 'a', 'how': {'depth': 4}}", "recipe", NULL },
        { "{'name': 'a', 'how': {'depth': '4'}}", "json_type", NULL },
        { "{'name': 'a', 'how': {'width': 4}}", "field_unknown",
          "the request: how: unknown field \"width\"" },
    };
    struct contract *c = made();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_string_equal(body(c, rows[i].json), rows[i].slug);
        if (rows[i].message)
            assert_string_equal(err.message, rows[i].message);
    }
    assert_true(contract_needs_body(c, post));
    assert_false(contract_needs_body(c, get));
    contract_free(c);
}

static const char *query(const struct contract *c, const struct route *route, const char *name,
                         const char *value)
{
    struct request_pair pairs[] = { { (char *)"of", (char *)"dog" },
                                    { (char *)name, (char *)value } };
    return err_slug(contract_check_query(c, route, pairs, name ? 2 : 1, &err));
}

static void test_queries(void **state)
{
    (void)state;
    struct contract *c = made();
    assert_string_equal(query(c, post, NULL, NULL), "ok");
    assert_string_equal(query(c, post, "limit", "1"), "ok");
    assert_string_equal(query(c, post, "limit", "9"), "ok");
    static const char *const bad[] = { "0", "10", "", "x", "1x", " 1", "+1", "1.0", "1e0" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_string_equal(query(c, post, "limit", bad[i]), "field_range");
    query(c, post, "limit", "x");
    assert_string_equal(err.message,
                        "query parameter \"limit\" must be an integer from 1 to 9, is \"x\"");
    assert_string_equal(query(c, post, "limit", "99999999999999999999"), "field_range");
    assert_string_equal(query(c, post, "rate", "0.5"), "ok");
    assert_string_equal(query(c, post, "rate", "-0.5"), "field_range");
    assert_string_equal(query(c, post, "rate", "inf"), "field_range");
    assert_string_equal(query(c, post, "dry", "true"), "ok");
    assert_string_equal(query(c, post, "dry", "yes"), "field_range");
    assert_string_equal(query(c, post, "of", "\xff"), "field_range");
    assert_string_equal(query(c, post, "t", "x"), "field_unknown");
    assert_string_equal(query(c, post, "Limit", "1"), "field_unknown");
    assert_string_equal(query(c, get, "anything", "x"), "ok");
    assert_int_equal(contract_check_query(c, post, NULL, 0, &err), ERR_FIELD_MISSING);
    assert_string_equal(err.message, "query parameter \"of\" is missing");
    contract_free(c);
}

static const char *header(void *context, const char *name)
{
    return strcmp(name, "X-Wait") == 0 ? context : NULL;
}

static void test_headers(void **state)
{
    (void)state;
    struct contract *c = made();
    char five[] = "5", six[] = "6";
    assert_int_equal(contract_check_headers(c, post, header, NULL, &err), ERR_OK);
    assert_int_equal(contract_check_headers(c, post, header, five, &err), ERR_OK);
    assert_int_equal(contract_check_headers(c, get, header, six, &err), ERR_OK);
    assert_int_equal(contract_check_headers(c, post, header, six, &err), ERR_FIELD_RANGE);
    assert_string_equal(err.message, "X-Wait must be an integer at most 5, is 6");
    contract_free(c);
}

/* What cannot be checked is refused when the document is read, not passed over later. */
static void test_documents(void **state)
{
    (void)state;
    static const struct {
        const char *body, *message;
    } rows[] = {
        { "{'type': 'object', 'minProperties': 1}",
          "the description of GET /things/{t}: unknown keyword \"minProperties\" in a schema" },
        { "{'properties': {'x': {'allOf': []}}}",
          "the description of GET /things/{t}: unknown keyword \"allOf\" in a schema" },
        { "{'items': {'$ref': '#/nowhere'}}",
          "the description of GET /things/{t}: a schema that leads nowhere, or is too deep" },
        { "{'$ref': '#/loop'}",
          "the description of GET /things/{t}: a schema that leads nowhere, or is too deep" },
        { "{'type': 'text'}", "the description of GET /things/{t}: no type \"text\"" },
        { "{'pattern': '('}", "the pattern ( is no regular expression" },
    };
    static const struct route *const one[] = { &table[1], NULL };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char json[1024], text[1024];
        struct contract *c = NULL;
        snprintf(json, sizeof json,
                 "{'loop': {'$ref': '#/loop'}, 'paths': {'/things/{t}': {'get': {'requestBody': "
                 "{'content': {'application/json': {'schema': %s}}}}}}}",
                 rows[i].body);
        size_t len = quoted(json, text, sizeof text);
        assert_int_equal(contract_new(text, len, one, &c, &err), ERR_INTERNAL);
        assert_string_equal(err.message, rows[i].message);
        assert_null(c);
    }
    struct contract *c = NULL;
    assert_int_equal(contract_new("{}", 2, tables, &c, &err), ERR_INTERNAL);
    assert_string_equal(err.message, "the description has no POST /things/{t}");
}

static void test_own_document(void **state)
{
    (void)state;
    struct contract *c = NULL;
    if (contract_new(openapi_json, (size_t)(openapi_json_end - openapi_json), routes(), &c, &err))
        fail_msg("%s", err.message);
    contract_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),       cmocka_unit_test(test_queries),
        cmocka_unit_test(test_headers),      cmocka_unit_test(test_documents),
        cmocka_unit_test(test_own_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
