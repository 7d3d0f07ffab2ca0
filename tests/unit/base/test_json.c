#include "data/base/json.h"

#include "data/base/cleanup.h"

#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static json_t *parse(const char *text)
{
    json_t *value;
    assert_int_equal(json_read(text, strlen(text), &value, NULL), ERR_OK);
    return value;
}

static enum err_code try_parse(const char *text, size_t len, struct err *e)
{
    json_t *value = (json_t *)e; /* any value that is not touched */
    enum err_code r = json_read(text, len, &value, e);
    if (r)
        assert_ptr_equal(value, e);
    else
        json_decref(value);
    return r;
}

static void not_json_is_refused_with_its_place(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "{]",
        "[1,]",
        "{\"a\":1,}",
        "nul",
        "'a'",
        "{a:1}",
        "\"\x01\"",
        "\"\xff\"",
        "1 2",
        "[1] x",
        "01",
        "1.",
        "+1",
        "NaN",
        "1e999",
        "\"\\ud800\"",
        "\"\\x\"",
        "\"abc",
        "\"\\",
        "[\"\\\"",
        "\xef\xbb\xbf{}",
        "99999999999999999999",
        "{\"a\":1,\"a\":2}",
    };
    struct err e;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(try_parse(texts[i], strlen(texts[i]), &e), ERR_JSON_SYNTAX);
    assert_int_equal(try_parse("{\n  1", 5, &e), ERR_JSON_SYNTAX);
    assert_non_null(strstr(e.message, "line 2"));
}

static void zero_bytes_are_refused(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(try_parse("\"a\0b\"", 5, &e), ERR_JSON_SYNTAX);
    assert_int_equal(try_parse("{}\0", 3, &e), ERR_JSON_SYNTAX);
    assert_int_equal(try_parse("\"a\\u0000b\"", 10, &e), ERR_JSON_SYNTAX);
    assert_int_equal(try_parse("{\"a\\u0000b\":1}", 14, &e), ERR_JSON_SYNTAX);
}

static enum err_code nested(int depth, const char *open, const char *close, struct err *e)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < depth; i++)
        assert_int_equal(buf_append(&b, open, strlen(open), NULL), ERR_OK);
    for (int i = 0; i < depth; i++)
        assert_int_equal(buf_append(&b, close, strlen(close), NULL), ERR_OK);
    enum err_code r = try_parse((char *)b.data, b.len, e);
    buf_fini(&b);
    return r;
}

static void depth_is_limited(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(nested(JSON_DEPTH_MAX, "[", "]", &e), ERR_OK);
    assert_int_equal(nested(JSON_DEPTH_MAX + 1, "[", "]", &e), ERR_JSON_DEPTH);
    assert_non_null(strstr(e.message, "32"));
    assert_int_equal(nested(JSON_DEPTH_MAX - 1, "{\"a\":[],\"b\":", "}", &e), ERR_JSON_SYNTAX);
    assert_int_equal(nested(100000, "[", "]", &e), ERR_JSON_DEPTH);
    assert_int_equal(nested(100000, "]", "[", &e), ERR_JSON_SYNTAX);
    /* Brackets in a string are no nesting, escaped quotes do not end one. */
    assert_int_equal(try_parse("\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[[[\"", 51, &e),
                     ERR_OK);
}

struct taken {
    const char *name;
    int64_t count;
    double rate;
    bool flag;
    json_t *object, *array;
};

static enum err_code take(const char *text, struct taken *t, struct err *e)
{
    CLEANUP(json_decref_p) json_t *value = parse(text);
    const struct json_field fields[] = {
        { "name", JSON_KIND_STRING, true, &t->name, 1, 5 },
        { "count", JSON_KIND_INT, false, &t->count, -2, 10 },
        { "rate", JSON_KIND_REAL, false, &t->rate, 0, 0 },
        { "flag", JSON_KIND_BOOL, false, &t->flag, 0, 0 },
        { "object", JSON_KIND_OBJECT, false, &t->object, 0, 0 },
        { "array", JSON_KIND_ARRAY, true, &t->array, 0, 0 },
    };
    enum err_code r = json_take(value, "the thing", fields, 6, e);
    t->name = t->name ? "seen" : NULL; /* it was borrowed */
    return r;
}

static void members_are_taken(void **state)
{
    (void)state;
    struct taken t = { 0 };
    assert_int_equal(take("{\"name\":\"abcde\",\"count\":-2,\"rate\":3,\"flag\":true,\"array\":[],"
                          "\"object\":{}}",
                          &t, NULL),
                     ERR_OK);
    assert_string_equal(t.name, "seen");
    assert_int_equal(t.count, -2);
    assert_true(t.rate == 3.0 && t.flag && t.object && t.array);

    t = (struct taken){ .count = 77, .rate = 0.5 };
    assert_int_equal(take("{\"name\":\"a\",\"count\":null,\"array\":[1]}", &t, NULL), ERR_OK);
    assert_int_equal(t.count, 77);
    assert_true(t.rate == 0.5);
}

static void a_refusal_names_the_member_and_touches_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err_code code;
        const char *named;
    } cases[] = {
        { "[]", ERR_JSON_TYPE, "the thing" },
        { "{\"name\":\"a\",\"array\":[],\"extra\":1}", ERR_FIELD_UNKNOWN, "extra" },
        { "{\"name\":\"a\",\"array\":[],\"extra\":null}", ERR_FIELD_UNKNOWN, "extra" },
        { "{\"name\":\"a\"}", ERR_FIELD_MISSING, "array" },
        { "{\"name\":\"a\",\"array\":null}", ERR_FIELD_MISSING, "array" },
        { "{\"name\":1,\"array\":[]}", ERR_JSON_TYPE, "name" },
        { "{\"name\":\"\",\"array\":[]}", ERR_FIELD_RANGE, "name" },
        { "{\"name\":\"abcdef\",\"array\":[]}", ERR_FIELD_RANGE, "name" },
        { "{\"name\":\"a\",\"array\":[],\"count\":11}", ERR_FIELD_RANGE, "count" },
        { "{\"name\":\"a\",\"array\":[],\"count\":-3}", ERR_FIELD_RANGE, "count" },
        { "{\"name\":\"a\",\"array\":[],\"count\":1.0}", ERR_JSON_TYPE, "count" },
        { "{\"name\":\"a\",\"array\":[],\"rate\":\"1\"}", ERR_JSON_TYPE, "rate" },
        { "{\"name\":\"a\",\"array\":[],\"flag\":1}", ERR_JSON_TYPE, "flag" },
        { "{\"name\":\"a\",\"array\":{}}", ERR_JSON_TYPE, "array" },
        { "{\"name\":\"a\",\"array\":[],\"object\":[]}", ERR_JSON_TYPE, "object" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct taken t = { .count = 5 };
        struct err e;
        assert_int_equal(take(cases[i].text, &t, &e), cases[i].code);
        assert_non_null(strstr(e.message, cases[i].named));
        assert_null(t.name);
        assert_null(t.array);
        assert_int_equal(t.count, 5);
    }
}

static void equal_values_have_equal_text(void **state)
{
    (void)state;
    CLEANUP(json_decref_p) json_t *a = parse("{\"b\": 0.1, \"a\": [1, true, \"\xc3\xa9\"]}");
    CLEANUP(json_decref_p) json_t *b = parse(" {\"a\":[1,true,\"\\u00e9\"],\"b\":1e-1}");
    struct buf x, y;
    buf_init(&x, 1000);
    buf_init(&y, 1000);
    assert_int_equal(json_write(a, &x, NULL), ERR_OK);
    assert_int_equal(json_write(b, &y, NULL), ERR_OK);
    assert_string_equal((char *)x.data, "{\"a\":[1,true,\"\xc3\xa9\"],\"b\":0.10000000000000001}");
    assert_string_equal((char *)x.data, (char *)y.data);

    /* Past the limit nothing of it is left. */
    buf_fini(&y);
    buf_init(&y, 20);
    assert_int_equal(buf_append(&y, "ab", 2, NULL), ERR_OK);
    assert_int_equal(json_write(a, &y, NULL), ERR_BODY_TOO_LARGE);
    assert_string_equal((char *)y.data, "ab");
    buf_fini(&x);
    buf_fini(&y);
}

static void put_takes_and_reports(void **state)
{
    (void)state;
    CLEANUP(json_decref_p) json_t *o = json_object();
    assert_int_equal(json_put(o, "a", json_integer(1), NULL), ERR_OK);
    assert_int_equal(json_put(o, "b", NULL, NULL), ERR_NOMEM);
    assert_int_equal(json_put(o, "c", json_string("\xff"), NULL), ERR_NOMEM);
    assert_int_equal(json_object_size(o), 1);
}

static void values_are_counted(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t values;
    } rows[] = { { "7", 1 },
                 { "[1,2,3]", 4 },
                 { "{\"a\":[1,2],\"b\":{}}", 6 },
                 { "\",,[[\"", 1 },
                 { "[\"a,b\",\"c\\\",\"]", 3 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *value = NULL;
        struct err e;
        size_t len = strlen(rows[i].text);
        assert_int_equal(json_read_values(rows[i].text, len, rows[i].values, &value, &e), ERR_OK);
        json_decref(value);
        assert_int_equal(json_read_values(rows[i].text, len, rows[i].values - 1, &value, &e),
                         ERR_JSON_VALUES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(not_json_is_refused_with_its_place),
        cmocka_unit_test(zero_bytes_are_refused),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(values_are_counted),
        cmocka_unit_test(members_are_taken),
        cmocka_unit_test(a_refusal_names_the_member_and_touches_nothing),
        cmocka_unit_test(equal_values_have_equal_text),
        cmocka_unit_test(put_takes_and_reports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
