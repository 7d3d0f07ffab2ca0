#include "api/content_coding.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs those above */

enum { LIMIT = 100000 };

static void test_there_and_back(void **state)
{
    (void)state;
    static uint8_t bytes[LIMIT + 1];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * i >> 5);
    static const size_t sizes[] = { 0, 1, 65535, 65536, 65537, LIMIT, LIMIT + 1 };
    for (enum content_coding c = CODING_GZIP; c <= CODING_DEFLATE; c++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            struct buf packed, plain;
            struct err e;
            buf_init(&packed, 10 * LIMIT);
            buf_init(&plain, LIMIT);
            assert_int_equal(content_pack(c, bytes, sizes[i], &packed, &e), ERR_OK);
            enum err_code r = content_unpack(c, packed.data, packed.len, &plain, &e);
            assert_int_equal(r, sizes[i] > LIMIT ? ERR_BODY_BOMB : ERR_OK);
            assert_int_equal(plain.max, LIMIT);
            if (!r) {
                assert_int_equal(plain.len, sizes[i]);
                if (sizes[i])
                    assert_memory_equal(plain.data, bytes, sizes[i]);
            }
            buf_fini(&packed);
            buf_fini(&plain);
        }
}

/* Every cut and every flipped byte is told from the whole. */
static void test_damage(void **state)
{
    (void)state;
    static const char text[] = "a body, a body, a body";
    for (enum content_coding c = CODING_GZIP; c <= CODING_DEFLATE; c++) {
        struct buf packed, plain;
        struct err e;
        buf_init(&packed, 1000);
        buf_init(&plain, 1000);
        assert_int_equal(content_pack(c, text, sizeof text, &packed, &e), ERR_OK);
        for (size_t len = 0; len < packed.len; len++) {
            buf_reset(&plain);
            assert_int_equal(content_unpack(c, packed.data, len, &plain, &e), ERR_BODY_CODING);
        }
        packed.data[packed.len - 1] ^= 1;
        buf_reset(&plain);
        assert_int_equal(content_unpack(c, packed.data, packed.len, &plain, &e), ERR_BODY_CODING);
        packed.data[packed.len - 1] ^= 1;
        assert_int_equal(buf_append(&packed, "x", 1, &e), ERR_OK);
        buf_reset(&plain);
        assert_int_equal(content_unpack(c, packed.data, packed.len, &plain, &e), ERR_BODY_CODING);
        buf_fini(&packed);
        buf_fini(&plain);
    }
}

static void test_headers(void **state)
{
    (void)state;
    enum content_coding c = CODING_NONE;
    assert_int_equal(content_coding_read("GZIP", &c, NULL), ERR_OK);
    assert_int_equal(c, CODING_GZIP);
    assert_int_equal(content_coding_read("deflate", &c, NULL), ERR_OK);
    assert_int_equal(c, CODING_DEFLATE);
    assert_int_equal(content_coding_read("", &c, NULL), ERR_OK);
    assert_int_equal(c, CODING_NONE);
    assert_int_equal(content_coding_read("identity", &c, NULL), ERR_OK);
    assert_int_equal(content_coding_read("br", &c, NULL), ERR_MEDIA_TYPE);
    assert_int_equal(content_coding_read("gzip, gzip", &c, NULL), ERR_MEDIA_TYPE);

    static const struct {
        const char *header;
        enum content_coding coding;
    } rows[] = {
        { "", CODING_NONE },
        { "gzip", CODING_GZIP },
        { "deflate", CODING_DEFLATE },
        { "br;q=1, GZip;q=0.5", CODING_GZIP },
        { "gzip;q=0, deflate", CODING_DEFLATE },
        { "gzip; q=0.000,deflate ;q=0", CODING_NONE },
        { "gzip;q=0.001", CODING_GZIP },
        { "xgzip, gzipx, gz", CODING_NONE },
        { ",, ,gzip,", CODING_GZIP },
        { ";;;=", CODING_NONE },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(content_coding_accepted(rows[i].header), rows[i].coding);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
