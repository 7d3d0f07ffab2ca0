#include "data/base/digest.h"

#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

/* FIPS 180-4 example values. */
static const char empty_hex[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
static const char abc_hex[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

static void known_values(void **state)
{
    (void)state;
    struct digest d;
    char hex[DIGEST_HEX + 1];
    assert_int_equal(digest_of("abc", 3, &d, NULL), ERR_OK);
    digest_hex(&d, hex);
    assert_string_equal(hex, abc_hex);
    assert_int_equal(digest_of(NULL, 0, &d, NULL), ERR_OK);
    digest_hex(&d, hex);
    assert_string_equal(hex, empty_hex);
}

static void a_stream_equals_the_whole(void **state)
{
    (void)state;
    struct digest d;
    char hex[DIGEST_HEX + 1];
    struct digest_stream *s;
    assert_int_equal(digest_stream_new(&s, NULL), ERR_OK);
    assert_int_equal(digest_stream_add(s, "a", 1, NULL), ERR_OK);
    assert_int_equal(digest_stream_add(s, "", 0, NULL), ERR_OK);
    assert_int_equal(digest_stream_add(s, "bc", 2, NULL), ERR_OK);
    digest_stream_end(s, &d);
    digest_stream_free(s);
    digest_hex(&d, hex);
    assert_string_equal(hex, abc_hex);

    assert_int_equal(digest_stream_new(&s, NULL), ERR_OK);
    digest_stream_end(s, &d);
    digest_stream_free(s);
    digest_hex(&d, hex);
    assert_string_equal(hex, empty_hex);
    digest_stream_free(NULL);
}

static void text_is_parsed_strictly(void **state)
{
    (void)state;
    struct digest d, abc;
    char text[DIGEST_HEX + 2];
    assert_int_equal(digest_of("abc", 3, &abc, NULL), ERR_OK);
    assert_true(digest_parse(abc_hex, &d));
    assert_int_equal(digest_compare(&d, &abc), 0);

    memset(&d, 7, sizeof d);
    struct digest before = d;
    for (size_t len = 0; len < DIGEST_HEX; len++) {
        memcpy(text, abc_hex, len);
        text[len] = 0;
        assert_false(digest_parse(text, &d));
    }
    memcpy(text, abc_hex, DIGEST_HEX);
    memcpy(text + DIGEST_HEX, "0", 2);
    assert_false(digest_parse(text, &d));
    const char bad[] = { 'A', 'F', 'g', ' ', '/', ':', '`', '\n' };
    for (size_t i = 0; i < sizeof bad; i++) {
        memcpy(text, abc_hex, sizeof abc_hex);
        text[i * 9] = bad[i];
        assert_false(digest_parse(text, &d));
    }
    assert_memory_equal(&d, &before, sizeof d);
}

static void order_is_that_of_the_text(void **state)
{
    (void)state;
    struct digest a = { { 0 } }, b = { { 0 } };
    b.bytes[31] = 1;
    assert_true(digest_compare(&a, &b) < 0);
    a.bytes[0] = 0x80;
    assert_true(digest_compare(&a, &b) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(a_stream_equals_the_whole),
        cmocka_unit_test(text_is_parsed_strictly),
        cmocka_unit_test(order_is_that_of_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
