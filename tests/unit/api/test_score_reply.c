#include "api/score_reply.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs those above */

/* NumPy 1.24: str(numpy.float32(x)). */
static const struct {
    float x;
    const char *text;
} floats[] = {
    { 0.0f, "0.0" },
    { 1.0f, "1.0" },
    { 0.5147553086280823f, "0.5147553" },
    { 9.999999747378752e-06f, "1e-05" },
    { 9.999999747378752e-05f, "1e-04" },
    { 9.99999901978299e-05f, "9.999999e-05" },
    { 0.10000000149011612f, "0.1" },
    { 0.5f, "0.5" },
    { 0.25f, "0.25" },
    { 0.3333333432674408f, "0.33333334" },
    { 0.6666666865348816f, "0.6666667" },
    { 0.9999999403953552f, "0.99999994" },
    { 1.401298464324817e-45f, "1e-45" },
    { 1.1754943508222875e-38f, "1.1754944e-38" },
    { 123456.703125f, "123456.7" },
    { 999999986991104.0f, "1000000000000000.0" },
    { 1.0000000272564224e+16f, "1e+16" },
    { 16777216.0f, "16777216.0" },
    { 0.0010000000474974513f, "0.001" },
    { 0.0001234499941347167f, "0.00012345" },
    { 3.4028234663852886e+38f, "3.4028235e+38" },
    { 5.960464477539063e-08f, "5.9604645e-08" },
    { 0.0001220703125f, "0.00012207031" },
    { 9.5367431640625e-07f, "9.536743e-07" },
    { 0.23796463012695312f, "0.23796463" },
    { 0.5442292094230652f, "0.5442292" },
    { 0.3699551522731781f, "0.36995515" },
    { 0.603920042514801f, "0.60392004" },
    { 0.6257203221321106f, "0.6257203" },
    { 0.06552886217832565f, "0.06552886" },
    { 0.013167991302907467f, "0.013167991" },
    { 0.8374691009521484f, "0.8374691" },
    { 0.25935402512550354f, "0.25935403" },
    { 0.23433096706867218f, "0.23433097" },
    { 0.9956448078155518f, "0.9956448" },
    { 0.4702635109424591f, "0.4702635" },
    { 0.03374062106013298f, "0.03374062" },
    { 1.9372197129996493e-05f, "1.9372197e-05" },
    { 0.0005644340999424458f, "0.0005644341" },
    { 2.2675026301044454e-08f, "2.2675026e-08" },
    { 0.0005173041136004031f, "0.0005173041" },
    { 0.06492437422275543f, "0.064924374" },
    { 5.1124712626915425e-05f, "5.1124713e-05" },
    { 0.004691013600677252f, "0.0046910136" },
    { 0.0011033245828002691f, "0.0011033246" },
    { 3.76949316205355e-09f, "3.769493e-09" },
    { 0.006669176742434502f, "0.0066691767" },
    { 0.00020887970458716154f, "0.0002088797" },
    { 0x1p-96f, "1.2621775e-29" }, /* powers of two whose shortest decimal is not the nearest */
    { 0x1p87f, "1.5474251e+26" },
    { 0x1p90f, "1.2379401e+27" },
    { -0.5f, "-0.5" },
};

static void test_floats(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        char text[FLOAT_TEXT];
        float_text(floats[i].x, text);
        assert_string_equal(text, floats[i].text);
    }
}

static const char *ascii(const char *text, struct buf *b)
{
    buf_reset(b);
    assert_int_equal(json_ascii(text, b, NULL), ERR_OK);
    return (const char *)b->data;
}

/* Python 3.11: json.dumps(text). */
static void test_strings(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    assert_string_equal(ascii("", &b), "\"\"");
    assert_string_equal(ascii("a \"b\" \\ /", &b), "\"a \\\"b\\\" \\\\ /\"");
    assert_string_equal(ascii("\b\f\n\r\t\x01\x1f\x7f", &b),
                        "\"\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f\"");
    assert_string_equal(ascii("\xc3\xa9", &b), "\"\\u00e9\"");
    assert_string_equal(ascii("\xe7\x8a\xac", &b), "\"\\u72ac\"");
    assert_string_equal(ascii("\xf0\x9f\x90\x95", &b), "\"\\ud83d\\udc15\"");
    buf_fini(&b);
}

static void test_bytes_that_are_no_text(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    assert_string_equal(ascii("a\xff", &b), "\"a\\ufffd\"");
    assert_string_equal(ascii("\xc3", &b), "\"\\ufffd\"");                       /* cut off */
    assert_string_equal(ascii("\xc0\xaf", &b), "\"\\ufffd\\ufffd\"");            /* overlong */
    assert_string_equal(ascii("\xed\xa0\x80", &b), "\"\\ufffd\\ufffd\\ufffd\""); /* surrogate */
    assert_string_equal(ascii("\xf4\x90\x80\x80", &b), "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
    buf_fini(&b);
}

static void test_limit(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4);
    assert_int_equal(json_ascii("ab", &b, NULL), ERR_OK);
    buf_reset(&b);
    assert_int_equal(json_ascii("abc", &b, NULL), ERR_BODY_TOO_LARGE);
    buf_fini(&b);
}

static const char *workshop(const char *label, float probability, struct buf *b)
{
    struct prediction p = { .label = label, .probability = probability };
    buf_reset(b);
    assert_int_equal(score_reply_workshop(&p, b, NULL), ERR_OK);
    return (const char *)b->data;
}

/* Python 3.11: json.dumps(json.dumps({"label": label, "probability": str(probability)})). */
static void test_workshop(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    assert_string_equal(workshop("Italian_greyhound", 0.5147553f, &b),
                        "\"{\\\"label\\\": \\\"Italian_greyhound\\\", "
                        "\\\"probability\\\": \\\"0.5147553\\\"}\"");
    assert_string_equal(workshop("b\"\xc3\xa9", 1, &b),
                        "\"{\\\"label\\\": \\\"b\\\\\\\"\\\\u00e9\\\", "
                        "\\\"probability\\\": \\\"1.0\\\"}\"");
    buf_fini(&b);
}

static void test_predictions(void **state)
{
    (void)state;
    const struct prediction two[] = { { "a\"", 0.75f, 0 }, { "b", 1e-5f, 1 } };
    struct score_result result = { .model = "m", .version = 3, .predictions = two, .count = 2 };
    struct buf b;
    buf_init(&b, 1000);
    assert_int_equal(score_reply_predictions(&result, "ID", &b, NULL), ERR_OK);
    assert_string_equal((const char *)b.data,
                        "{\"model\":\"m\",\"version\":3,\"prediction_id\":\"ID\",\"predictions\":["
                        "{\"label\":\"a\\\"\",\"probability\":0.75},"
                        "{\"label\":\"b\",\"probability\":1e-05}]}\n");
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_bytes_that_are_no_text),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_workshop),
        cmocka_unit_test(test_predictions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
