#include "data/exif.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Header, one directory of two tags (a width, then the orientation), end. */
static const uint8_t little[] = {
    'I', 'I', 42, 0,    8,    0, 0, 0, 2, 0, 0x00, 0x01, 3, 0, 1, 0, 0, 0, 9,
    0,   0,   0,  0x12, 0x01, 3, 0, 1, 0, 0, 0,    6,    0, 0, 0, 0, 0, 0, 0,
};
static const uint8_t big[] = {
    'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0,
};
enum { LITTLE_TYPE = 24, LITTLE_COUNT = 26, LITTLE_VALUE = 30 };

static void test_reads_both_byte_orders(void **state)
{
    (void)state;
    assert_int_equal(exif_orientation(little, sizeof little), 6);
    assert_int_equal(exif_orientation(big, sizeof big), 8);
}

static void test_takes_whole_number_types_only(void **state)
{
    (void)state;
    static const struct {
        uint8_t type;
        int orientation;
    } cases[] = { { 1, 1 }, { 2, 1 }, { 3, 6 }, { 4, 6 }, { 5, 1 }, { 8, 6 }, { 9, 6 }, { 12, 1 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t block[sizeof little];
        memcpy(block, little, sizeof block);
        block[LITTLE_TYPE] = cases[i].type;
        assert_int_equal(exif_orientation(block, sizeof block), cases[i].orientation);
    }
    uint8_t block[sizeof little];
    memcpy(block, little, sizeof block);
    block[LITTLE_COUNT] = 2;
    assert_int_equal(exif_orientation(block, sizeof block), 1);
}

static void test_every_value_outside_1_to_8_means_upright(void **state)
{
    (void)state;
    for (int value = 0; value < 256; value++) {
        uint8_t block[sizeof little];
        memcpy(block, little, sizeof block);
        block[LITTLE_VALUE] = (uint8_t)value;
        assert_int_equal(exif_orientation(block, sizeof block),
                         value >= 1 && value <= 8 ? value : 1);
    }
}

static void test_broken_blocks_mean_upright(void **state)
{
    (void)state;
    for (size_t len = 0; len < LITTLE_VALUE + 4; len++)
        assert_int_equal(exif_orientation(little, len), 1);
    uint8_t block[sizeof little];
    for (size_t at = 0; at < 8; at++) {
        memcpy(block, little, sizeof block);
        block[at] ^= 0xff;
        assert_int_equal(exif_orientation(block, sizeof block), 1);
    }
    /* A directory that says it has more tags than there are still gives those that there are. */
    memcpy(block, little, sizeof block);
    block[8] = block[9] = 0xff;
    assert_int_equal(exif_orientation(block, sizeof block), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_both_byte_orders),
        cmocka_unit_test(test_takes_whole_number_types_only),
        cmocka_unit_test(test_every_value_outside_1_to_8_means_upright),
        cmocka_unit_test(test_broken_blocks_mean_upright),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
