/* The JPEGs are written here with libjpeg, so that each is exactly what its test says. */
#include "data/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jpeglib.h>

enum { BLOCK = 16 };

static const struct image_limits limits = { IMAGE_MAX_PIXELS_DEFAULT };

struct jpeg {
    unsigned char *data;
    unsigned long len;
};

struct recipe {
    int width, height;
    J_COLOR_SPACE in, stored;
    int components;
    bool progressive, arithmetic;
    int orientation; /* 0: no EXIF */
};

/* Pixel (x, y) in blocks of one colour: BLOCK pixels a side. */
typedef void (*colour_fn)(int x, int y, uint8_t *ret);

static void quadrants(int x, int y, uint8_t *ret)
{
    static const uint8_t colours[4][3] = {
        { 200, 30, 40 }, { 20, 190, 30 }, { 30, 20, 210 }, { 220, 210, 20 }
    };
    memcpy(ret, colours[(x >= BLOCK) + 2 * (y >= BLOCK)], 3);
}

static void grain(int x, int y, uint8_t *ret)
{
    for (int c = 0; c < 3; c++)
        ret[c] = (uint8_t)(128 + (x * (7 + c) + y * 5 + (x * y) % 31) % 60);
}

static void write_exif(j_compress_ptr c, int orientation)
{
    uint8_t block[] = { 'E', 'x',  'i', 'f', 0,
                        0,   'I',  'I', 42,  0,
                        8,   0,    0,   0,   1,
                        0,   0x12, 1,   3,   0,
                        1,   0,    0,   0,   (uint8_t)orientation,
                        0,   0,    0,   0,   0,
                        0,   0 };
    jpeg_write_marker(c, JPEG_APP0 + 1, block, sizeof block);
}

static struct jpeg encode(const struct recipe *r, colour_fn colour)
{
    struct jpeg ret = { NULL, 0 };
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &ret.data, &ret.len);
    c.image_width = (JDIMENSION)r->width;
    c.image_height = (JDIMENSION)r->height;
    c.input_components = r->components;
    c.in_color_space = r->in;
    jpeg_set_defaults(&c);
    jpeg_set_colorspace(&c, r->stored);
    jpeg_set_quality(&c, 95, TRUE);
    for (int i = 0; i < c.num_components; i++)
        c.comp_info[i].h_samp_factor = c.comp_info[i].v_samp_factor = 1;
    if (r->progressive)
        jpeg_simple_progression(&c);
    c.arith_code = r->arithmetic;
    jpeg_start_compress(&c, TRUE);
    if (r->orientation)
        write_exif(&c, r->orientation);
    uint8_t *row = malloc((size_t)r->width * 4);
    assert_non_null(row);
    while (c.next_scanline < c.image_height) {
        for (int x = 0; x < r->width; x++) {
            uint8_t rgb[3], *to = row + x * r->components;
            colour(x, (int)c.next_scanline, rgb);
            if (r->components == 4) { /* as Adobe stores ink: inverted */
                memcpy(to, rgb, 3);
                to[3] = 255;
            } else {
                memcpy(to, rgb, (size_t)r->components);
            }
        }
        jpeg_write_scanlines(&c, &row, 1);
    }
    free(row);
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    return ret;
}

static const struct recipe plain = { 2 * BLOCK, 2 * BLOCK, JCS_RGB, JCS_YCbCr, 3, false, false, 0 };

static enum err_code code_of(const void *bytes, size_t len, uint64_t max_pixels)
{
    struct image img = { 0 };
    struct err e = { ERR_OK, "" };
    const struct image_limits l = { max_pixels };
    enum err_code code = image_decode(bytes, len, &l, 0, &img, &e);
    assert_int_equal(e.code, code);
    if (code != ERR_OK) {
        assert_true(e.message[0] != 0);
        assert_int_equal(img.width, 0);
        assert_int_equal(img.height, 0);
    }
    image_fini(&img);
    return code;
}

static void assert_near(const uint8_t *pixel, const uint8_t *expected, int tolerance)
{
    for (int c = 0; c < 3; c++)
        assert_true(abs(pixel[c] - expected[c]) <= tolerance);
}

static const uint8_t *pixel(const struct image *img, int x, int y)
{
    return img->rgb + ((size_t)y * (size_t)img->width + (size_t)x) * 3;
}

static struct image decode(const struct jpeg *j, int shorter_side)
{
    struct image img = { 0 };
    struct err e;
    assert_int_equal(image_decode(j->data, j->len, &limits, shorter_side, &img, &e), ERR_OK);
    assert_int_equal(img.format, IMAGE_JPEG);
    return img;
}

static void test_other_formats_are_refused(void **state)
{
    (void)state;
    assert_int_equal(code_of("", 0, 100), ERR_PICTURE_FORMAT);
    assert_int_equal(code_of("GIF89a\1\0\1\0", 10, 100), ERR_PICTURE_FORMAT);
    assert_int_equal(code_of("\xff\xd8", 2, 100), ERR_PICTURE_FORMAT);
    assert_int_equal(code_of("\x89PNG\r\n\x1a", 7, 100), ERR_PICTURE_FORMAT);
    assert_int_equal(code_of("\xff\xd8\xff", 3, 100), ERR_PICTURE_TRUNCATED);
}

static void test_colours_of_every_colour_space(void **state)
{
    (void)state;
    static const struct recipe recipes[] = {
        { 32, 32, JCS_RGB, JCS_YCbCr, 3, false, false, 0 },
        { 32, 32, JCS_RGB, JCS_RGB, 3, false, false, 0 },
        { 32, 32, JCS_CMYK, JCS_CMYK, 4, false, false, 0 },
        { 32, 32, JCS_CMYK, JCS_YCCK, 4, false, false, 0 },
    };
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++) {
        struct jpeg j = encode(&recipes[i], quadrants);
        struct image img = decode(&j, 0);
        assert_int_equal(img.width, 32);
        assert_int_equal(img.height, 32);
        for (int y = 0; y < 32; y += 5)
            for (int x = 0; x < 32; x += 5) {
                uint8_t expected[3];
                quadrants(x, y, expected);
                assert_near(pixel(&img, x, y), expected, 3);
            }
        image_fini(&img);
        free(j.data);
    }
}

static void test_grey_is_repeated(void **state)
{
    (void)state;
    const struct recipe grey = { 32, 32, JCS_GRAYSCALE, JCS_GRAYSCALE, 1, false, false, 0 };
    struct jpeg j = encode(&grey, quadrants);
    struct image img = decode(&j, 0);
    const uint8_t expected[3] = { 220, 220, 220 };
    assert_near(pixel(&img, 20, 20), expected, 2);
    assert_true(pixel(&img, 3, 3)[0] == pixel(&img, 3, 3)[2]);
    image_fini(&img);
    free(j.data);
}

/* Coefficients are the same however they are packed, so the pixels must be too. */
static void test_progressive_and_arithmetic_equal_baseline(void **state)
{
    (void)state;
    struct recipe r = { 61, 43, JCS_RGB, JCS_YCbCr, 3, false, false, 0 };
    struct jpeg baseline = encode(&r, grain);
    struct image expected = decode(&baseline, 0);
    for (int kind = 1; kind < 4; kind++) {
        r.progressive = kind & 1;
        r.arithmetic = kind & 2;
        struct jpeg j = encode(&r, grain);
        struct image img = decode(&j, 0);
        assert_memory_equal(img.rgb, expected.rgb, 61 * 43 * 3);
        image_fini(&img);
        free(j.data);
    }
    image_fini(&expected);
    free(baseline.data);
}

/* Where the stored corner quadrants 0 1 / 2 3 stand after each orientation. */
static void test_orientation_is_applied(void **state)
{
    (void)state;
    static const int upright[9][4] = {
        { 0, 1, 2, 3 }, { 0, 1, 2, 3 }, { 1, 0, 3, 2 }, { 3, 2, 1, 0 }, { 2, 3, 0, 1 },
        { 0, 2, 1, 3 }, { 2, 0, 3, 1 }, { 3, 1, 2, 0 }, { 1, 3, 0, 2 },
    };
    static const J_COLOR_SPACE spaces[] = { JCS_RGB, JCS_CMYK };
    for (int orientation = 0; orientation <= 8; orientation++)
        for (int s = 0; s < 2; s++) {
            struct recipe r = { 48,    32,    spaces[s], s ? JCS_CMYK : JCS_YCbCr,
                                3 + s, false, false,     orientation };
            struct jpeg j = encode(&r, quadrants);
            struct image img = decode(&j, 0);
            bool swapped = orientation >= 5;
            assert_int_equal(img.width, swapped ? 32 : 48);
            assert_int_equal(img.height, swapped ? 48 : 32);
            assert_int_equal(img.full_width, img.width);
            assert_int_equal(img.full_height, img.height);
            for (int q = 0; q < 4; q++) {
                int from = upright[orientation][q];
                uint8_t expected[3];
                quadrants(from % 2 * 20, from / 2 * 20, expected);
                assert_near(pixel(&img, q % 2 ? img.width - 3 : 2, q / 2 ? img.height - 3 : 2),
                            expected, 3);
            }
            image_fini(&img);
            free(j.data);
        }
}

static void test_broken_exif_is_ignored(void **state)
{
    (void)state;
    struct recipe r = plain;
    r.orientation = 77;
    struct jpeg j = encode(&r, quadrants);
    assert_int_equal(code_of(j.data, j.len, 5000), ERR_OK);
    for (unsigned long at = 0; at + 6 < j.len; at++)
        if (memcmp(j.data + at, "Exif", 4) == 0) {
            memset(j.data + at + 6, 0xee, 20);
            assert_int_equal(code_of(j.data, j.len, 5000), ERR_OK);
        }
    free(j.data);
}

static void test_every_cut_is_truncated(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        struct recipe r = plain;
        r.progressive = kind == 1;
        r.arithmetic = kind == 2;
        struct jpeg j = encode(&r, grain);
        /* Exact copies, so that a sanitizer sees a byte read too far. */
        for (unsigned long len = 3; len + 8 < j.len; len++) {
            uint8_t *cut = malloc(len);
            assert_non_null(cut);
            memcpy(cut, j.data, len);
            assert_int_equal(code_of(cut, len, 5000), ERR_PICTURE_TRUNCATED);
            free(cut);
        }
        free(j.data);
    }
}

/* As in Pillow: the decoder looks ahead past the last pixel. */
static void test_end_marker_is_needed_and_the_rest_is_not_read(void **state)
{
    (void)state;
    struct jpeg j = encode(&plain, quadrants);
    assert_int_equal(code_of(j.data, j.len - 2, 5000), ERR_PICTURE_TRUNCATED);
    uint8_t *longer = malloc(j.len * 2);
    assert_non_null(longer);
    memcpy(longer, j.data, j.len);
    memset(longer + j.len, 0xff, j.len);
    assert_int_equal(code_of(longer, j.len * 2, 5000), ERR_OK);
    free(longer);
    free(j.data);
}

static uint8_t *frame_header(const struct jpeg *j)
{
    for (unsigned long at = 2; at + 4 < j->len;
         at += 2ul + j->data[at + 2] * 256ul + j->data[at + 3])
        if (j->data[at + 1] == 0xc0)
            return j->data + at;
    fail_msg("no frame header");
    return NULL;
}

static void test_unsupported_kinds(void **state)
{
    (void)state;
    struct jpeg j = encode(&plain, quadrants);
    uint8_t *frame = frame_header(&j);
    frame[4] = 12; /* bits a sample */
    assert_int_equal(code_of(j.data, j.len, 5000), ERR_PICTURE_UNSUPPORTED);
    frame[4] = 8;
    frame[1] = 0xc3; /* lossless */
    assert_int_equal(code_of(j.data, j.len, 5000), ERR_PICTURE_UNSUPPORTED);
    frame[1] = 0xc0;
    frame[5] = frame[6] = 0; /* height */
    assert_int_equal(code_of(j.data, j.len, 5000), ERR_PICTURE_CORRUPT);
    free(j.data);
}

static void test_pixel_limit(void **state)
{
    (void)state;
    struct jpeg j = encode(&plain, quadrants);
    assert_int_equal(code_of(j.data, j.len, 32 * 32), ERR_OK);
    assert_int_equal(code_of(j.data, j.len, 32 * 32 - 1), ERR_PICTURE_PIXELS);
    uint8_t *frame = frame_header(&j);
    memcpy(frame + 5, "\xff\x00\xff\x00", 4); /* 65280 x 65280 */
    struct image img = { 0 };
    struct err e;
    assert_int_equal(image_decode(j.data, j.len, &limits, 0, &img, &e), ERR_PICTURE_PIXELS);
    assert_non_null(strstr(e.message, "65280 x 65280"));
    assert_non_null(strstr(e.message, "50000000"));
    assert_null(img.rgb);
    memcpy(frame + 5, "\xff\xff\xff\xff", 4);
    assert_int_equal(code_of(j.data, j.len, IMAGE_MAX_PIXELS_DEFAULT), ERR_PICTURE_PIXELS);
    memcpy(frame + 5, "\x00\x01\xff\xff", 4); /* libjpeg's limit of a side is 65500 */
    assert_int_equal(code_of(j.data, j.len, IMAGE_MAX_PIXELS_DEFAULT), ERR_PICTURE_UNSUPPORTED);
    free(j.data);
}

/* The last scan of a progressive file, again and again. */
static void test_endless_scans_are_a_bomb(void **state)
{
    (void)state;
    struct recipe r = plain;
    r.progressive = true;
    struct jpeg j = encode(&r, quadrants);
    unsigned long scan = j.len;
    while (memcmp(j.data + scan - 2, "\xff\xda", 2) != 0)
        scan--;
    scan -= 2;
    size_t len = j.len - 2 - scan, total = scan;
    uint8_t *bomb = malloc(scan + 600 * len + 2);
    assert_non_null(bomb);
    memcpy(bomb, j.data, scan);
    for (int i = 0; i < 600; i++) {
        if (i == 400) {
            memcpy(bomb + total, "\xff\xd9", 2);
            assert_int_equal(code_of(bomb, total + 2, 5000), ERR_OK);
        }
        memcpy(bomb + total, j.data + scan, len);
        total += len;
    }
    memcpy(bomb + total, "\xff\xd9", 2);
    assert_int_equal(code_of(bomb, total + 2, 5000), ERR_PICTURE_BOMB);
    free(bomb);
    free(j.data);
}

static void test_scaling_keeps_the_shorter_side(void **state)
{
    (void)state;
    static const struct {
        int shorter, width, height;
    } cases[] = { { 0, 205, 163 }, { 163, 205, 163 }, { 82, 103, 82 }, { 83, 205, 163 },
                  { 41, 52, 41 },  { 42, 103, 82 },   { 21, 26, 21 },  { 1, 26, 21 } };
    struct recipe r = plain;
    r.width = 205;
    r.height = 163;
    for (int orientation = 1; orientation <= 6; orientation += 5) {
        r.orientation = orientation;
        struct jpeg j = encode(&r, grain);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            struct image img = decode(&j, cases[i].shorter);
            assert_int_equal(orientation == 6 ? img.height : img.width, cases[i].width);
            assert_int_equal(orientation == 6 ? img.width : img.height, cases[i].height);
            assert_int_equal(orientation == 6 ? img.full_height : img.full_width, 205);
            assert_int_equal(orientation == 6 ? img.full_width : img.full_height, 163);
            image_fini(&img);
        }
        free(j.data);
    }
}

static void test_memory_is_used_again(void **state)
{
    (void)state;
    struct recipe small = plain;
    small.width = 5;
    struct jpeg a = encode(&plain, quadrants), b = encode(&small, quadrants);
    struct image img = decode(&a, 0);
    const uint8_t *memory = img.rgb;
    size_t cap = img.cap;
    struct err e;
    assert_int_equal(image_decode(b.data, b.len / 2, &limits, 0, &img, &e), ERR_PICTURE_TRUNCATED);
    assert_int_equal(img.width, 0);
    assert_int_equal(image_decode(b.data, b.len, &limits, 0, &img, &e), ERR_OK);
    assert_int_equal(img.width, 5);
    assert_int_equal(image_decode(a.data, a.len, &limits, 0, &img, &e), ERR_OK);
    assert_ptr_equal(img.rgb, memory);
    assert_int_equal(img.cap, cap);
    image_fini(&img);
    assert_null(img.rgb);
    free(a.data);
    free(b.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_formats_are_refused),
        cmocka_unit_test(test_colours_of_every_colour_space),
        cmocka_unit_test(test_grey_is_repeated),
        cmocka_unit_test(test_progressive_and_arithmetic_equal_baseline),
        cmocka_unit_test(test_orientation_is_applied),
        cmocka_unit_test(test_broken_exif_is_ignored),
        cmocka_unit_test(test_every_cut_is_truncated),
        cmocka_unit_test(test_end_marker_is_needed_and_the_rest_is_not_read),
        cmocka_unit_test(test_unsupported_kinds),
        cmocka_unit_test(test_pixel_limit),
        cmocka_unit_test(test_endless_scans_are_a_bomb),
        cmocka_unit_test(test_scaling_keeps_the_shorter_side),
        cmocka_unit_test(test_memory_is_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
