/* Numbers of torchvision and Pillow, made by transforms.py. */
#include "data/augment.h"
#include "data/colour.h"
#include "data/rand_augment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

struct golden_colour {
    const char *name;
    double value;
    uint32_t crc;
};

struct golden_op {
    enum rand_augment_op op;
    int magnitude;
    bool negative;
    uint32_t crc;
};

struct golden_crop {
    struct preprocess_box box;
    int size;
    uint32_t crc;
};

#include "tests/golden/transforms.inc"

enum { BYTES_MAX = 3 * 150 * 97 };

static uint8_t formula(int x, int y, int c)
{
    return (uint8_t)((x * 7 + y * 13 + c * 50 + x * y % 17) % 256);
}

static void fill(int width, int height, uint8_t *rgb)
{
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                *rgb++ = formula(x, y, c);
}

static uint32_t crc_of(const uint8_t *rgb, size_t count)
{
    uLong crc = crc32(0, NULL, 0);
    for (size_t i = 0; i < count; i++) {
        const uint8_t pixel[3] = { rgb[i], rgb[count + i], rgb[2 * count + i] };
        crc = crc32(crc, pixel, 3);
    }
    return (uint32_t)crc;
}

static void apply(const char *name, double value, int width, int height, uint8_t *rgb,
                  uint8_t *spare)
{
    size_t count = (size_t)width * (size_t)height;
    if (strcmp(name, "brightness") == 0)
        colour_brightness(rgb, count, (float)value);
    else if (strcmp(name, "contrast") == 0)
        colour_contrast(rgb, count, (float)value);
    else if (strcmp(name, "saturation") == 0)
        colour_saturation(rgb, count, (float)value);
    else if (strcmp(name, "hue") == 0)
        colour_hue(rgb, count, value);
    else if (strcmp(name, "sharpness") == 0)
        colour_sharpness(rgb, width, height, (float)value, spare);
    else if (strcmp(name, "posterize") == 0)
        colour_posterize(rgb, count, (int)value);
    else if (strcmp(name, "solarize") == 0)
        colour_solarize(rgb, count, value);
    else if (strcmp(name, "autocontrast") == 0)
        colour_autocontrast(rgb, count);
    else if (strcmp(name, "equalize") == 0)
        colour_equalize(rgb, count);
    else
        fail_msg("no function %s", name);
}

static void test_colours(void **state)
{
    (void)state;
    static uint8_t rgb[BYTES_MAX], spare[BYTES_MAX];
    for (size_t i = 0; i < sizeof golden_colours / sizeof *golden_colours; i++) {
        const struct golden_colour *g = &golden_colours[i];
        fill(61, 47, rgb);
        apply(g->name, g->value, 61, 47, rgb, spare);
        uint32_t crc = crc_of(rgb, (size_t)61 * 47);
        if (crc != g->crc)
            fail_msg("%s %g: %08x, torchvision has %08x", g->name, g->value, crc, g->crc);
    }
}

static void test_rand_augment(void **state)
{
    (void)state;
    static uint8_t rgb[BYTES_MAX], spare[BYTES_MAX];
    for (size_t i = 0; i < sizeof golden_ops / sizeof *golden_ops; i++) {
        const struct golden_op *g = &golden_ops[i];
        fill(64, 64, rgb);
        rand_augment_apply(g->op, g->magnitude, g->negative, rgb, 64, spare);
        uint32_t crc = crc_of(rgb, (size_t)64 * 64);
        if (crc != g->crc)
            fail_msg("operation %d, magnitude %d%s: %08x, torchvision has %08x", (int)g->op,
                     g->magnitude, g->negative ? ", negative" : "", crc, g->crc);
    }
}

static void test_resized_crop(void **state)
{
    (void)state;
    static uint8_t interleaved[BYTES_MAX], rgb[3 * 64 * 64];
    static float out[3 * 64 * 64];
    struct image img = {
        .width = 150, .height = 97, .rgb = interleaved, .full_width = 150, .full_height = 97
    };
    for (int y = 0; y < 97; y++)
        for (int x = 0; x < 150; x++)
            for (int c = 0; c < 3; c++)
                interleaved[(y * 150 + x) * 3 + c] = formula(x, y, c);
    struct preprocess_scratch *s;
    assert_int_equal(preprocess_scratch_new(&s, NULL), ERR_OK);
    for (size_t i = 0; i < sizeof golden_crops / sizeof *golden_crops; i++) {
        const struct golden_crop *g = &golden_crops[i];
        struct preprocess p = { .size = g->size, .resize = g->size, .std = { 1, 1, 1 } };
        size_t count = (size_t)g->size * (size_t)g->size;
        assert_int_equal(preprocess_part(&p, s, &img, &g->box, false, out, NULL), ERR_OK);
        for (size_t j = 0; j < 3 * count; j++)
            rgb[j] = (uint8_t)out[j];
        uint32_t crc = crc_of(rgb, count);
        if (crc != g->crc)
            fail_msg("crop %zu: %08x, torchvision has %08x", i, crc, g->crc);
    }
    preprocess_scratch_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_colours),
        cmocka_unit_test(test_rand_augment),
        cmocka_unit_test(test_resized_crop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
