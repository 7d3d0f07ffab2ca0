/* The PNGs are put together here byte by byte; their rows are stored with filter 0. */
#include "data/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <zlib.h>

enum { GREY = 0, RGB = 2, PALETTE = 3, GREY_ALPHA = 4, RGB_ALPHA = 6 };

struct png {
    uint8_t *data;
    size_t len;
};

static void put32(uint8_t *p, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void add(struct png *p, const char *name, const void *data, size_t len)
{
    p->data = realloc(p->data, p->len + len + 12);
    assert_non_null(p->data);
    uint8_t *at = p->data + p->len;
    put32(at, (uint32_t)len);
    memcpy(at + 4, name, 4);
    if (len)
        memcpy(at + 8, data, len);
    put32(at + 8 + len, (uint32_t)crc32(0, at + 4, (uInt)(len + 4)));
    p->len += len + 12;
}

static struct png begin(uint32_t width, uint32_t height, int depth, int colour, int interlace)
{
    struct png p = { malloc(8), 8 };
    assert_non_null(p.data);
    memcpy(p.data, "\x89PNG\r\n\x1a\n", 8);
    uint8_t head[13] = { 0 };
    put32(head, width);
    put32(head + 4, height);
    head[8] = (uint8_t)depth;
    head[9] = (uint8_t)colour;
    head[12] = (uint8_t)interlace;
    add(&p, "IHDR", head, sizeof head);
    return p;
}

/* What zlib makes of prefix bytes and then zeros times a zero byte. */
static uint8_t *packed(const void *prefix, size_t len, size_t zeros, size_t *ret_len)
{
    uint8_t *plain = calloc(1, len + zeros + 1);
    uLongf size = compressBound((uLong)(len + zeros));
    uint8_t *ret = malloc(size);
    assert_non_null(plain);
    assert_non_null(ret);
    memcpy(plain, prefix, len);
    assert_int_equal(compress(ret, &size, plain, (uLong)(len + zeros)), Z_OK);
    free(plain);
    *ret_len = size;
    return ret;
}

static void add_image(struct png *p, const void *rows, size_t len)
{
    size_t size;
    uint8_t *data = packed(rows, len, 0, &size);
    add(p, "IDAT", data, size);
    free(data);
}

static enum err_code decode(const struct png *p, uint64_t max_pixels, struct image *img)
{
    const struct image_limits l = { max_pixels };
    struct err e = { ERR_OK, "" };
    enum err_code code = image_decode(p->data, p->len, &l, 0, img, &e);
    assert_int_equal(code, e.code);
    return code;
}

static void drop(struct png *p)
{
    free(p->data);
    *p = (struct png){ NULL, 0 };
}

static void assert_code(const struct png *p, enum err_code expected)
{
    struct image img = { 0 };
    assert_int_equal(decode(p, 1000, &img), expected);
    image_fini(&img);
}

/* Ends the picture, decodes it and compares all pixels. */
static void assert_pixels(struct png *p, const void *rows, size_t rows_len, int width, int height,
                          const void *rgb)
{
    add_image(p, rows, rows_len);
    add(p, "IEND", NULL, 0);
    struct image img = { 0 };
    assert_int_equal(decode(p, 1000, &img), ERR_OK);
    assert_int_equal(img.format, IMAGE_PNG);
    assert_int_equal(img.width, width);
    assert_int_equal(img.height, height);
    assert_int_equal(img.full_width, width);
    assert_int_equal(img.full_height, height);
    assert_memory_equal(img.rgb, rgb, (size_t)width * (size_t)height * 3);
    image_fini(&img);
    drop(p);
}

static void test_grey_of_each_depth(void **state)
{
    (void)state;
    struct png p = begin(3, 1, 1, GREY, 0);
    assert_pixels(&p, "\0\xa0", 2, 3, 1, "\xff\xff\xff\0\0\0\xff\xff\xff");
    p = begin(3, 1, 2, GREY, 0);
    assert_pixels(&p, "\0\x6c", 2, 3, 1, "\x55\x55\x55\xaa\xaa\xaa\xff\xff\xff");
    p = begin(2, 1, 4, GREY, 0);
    assert_pixels(&p, "\0\x3f", 2, 2, 1, "\x33\x33\x33\xff\xff\xff");
    p = begin(2, 1, 8, GREY, 0);
    assert_pixels(&p, "\0\x12\xfe", 3, 2, 1, "\x12\x12\x12\xfe\xfe\xfe");
    /* The high byte, not Pillow's cut at 255. */
    p = begin(2, 1, 16, GREY, 0);
    assert_pixels(&p, "\0\x12\xff\x80\0", 5, 2, 1, "\x12\x12\x12\x80\x80\x80");
}

static void test_colour_and_alpha(void **state)
{
    (void)state;
    struct png p = begin(1, 2, 8, RGB, 0);
    assert_pixels(&p, "\0\1\2\3\0\4\5\6", 8, 1, 2, "\1\2\3\4\5\6");
    p = begin(1, 1, 16, RGB, 0);
    assert_pixels(&p, "\0\1\xff\2\xff\3\xff", 7, 1, 1, "\1\2\3");
    /* Alpha is dropped, not blended. */
    p = begin(2, 1, 8, RGB_ALPHA, 0);
    assert_pixels(&p, "\0\1\2\3\0\4\5\6\x80", 9, 2, 1, "\1\2\3\4\5\6");
    p = begin(1, 1, 16, RGB_ALPHA, 0);
    assert_pixels(&p, "\0\1\0\2\0\3\0\0\0", 9, 1, 1, "\1\2\3");
    p = begin(2, 1, 8, GREY_ALPHA, 0);
    assert_pixels(&p, "\0\7\0\x09\xff", 5, 2, 1, "\7\7\7\x09\x09\x09");
    p = begin(1, 1, 16, GREY_ALPHA, 0);
    assert_pixels(&p, "\0\7\x99\0\0", 5, 1, 1, "\7\7\7");
    p = begin(1, 1, 8, RGB, 0);
    add(&p, "tRNS", "\0\1\0\2\0\3", 6);
    assert_pixels(&p, "\0\1\2\3", 4, 1, 1, "\1\2\3");
}

static void test_palettes(void **state)
{
    (void)state;
    struct png p = begin(3, 1, 8, PALETTE, 0);
    add(&p, "PLTE", "\1\2\3\4\5\6\7\x08\x09", 9);
    add(&p, "tRNS", "\0\x80", 2);
    assert_pixels(&p, "\0\2\0\1", 4, 3, 1, "\7\x08\x09\1\2\3\4\5\6");
    p = begin(4, 1, 2, PALETTE, 0);
    add(&p, "PLTE", "\1\2\3\4\5\6", 6);
    /* Past the palette's end Pillow has grey. */
    assert_pixels(&p, "\0\x1b", 2, 4, 1, "\1\2\3\4\5\6\2\2\2\3\3\3");
    p = begin(1, 1, 8, PALETTE, 0);
    assert_pixels(&p, "\0\x64", 2, 1, 1, "ddd");
}

/* 3 x 2 pixels: passes 1 (one pixel), 4 (one), 6 (one), 7 (the second row). */
static void test_interlaced(void **state)
{
    (void)state;
    struct png p = begin(3, 2, 8, GREY, 1);
    assert_pixels(&p, "\0\1\0\3\0\2\0\4\5\6", 10, 3, 2, "\1\1\1\2\2\2\3\3\3\4\4\4\5\5\5\6\6\6");
}

static void test_orientation(void **state)
{
    (void)state;
    /* Stored: 1 2 3 over 4 5 6. */
    static const char *upright[] = { "123456", "321654", "654321", "456123",
                                     "142536", "415263", "635241", "362514" };
    for (int orientation = 1; orientation <= 8; orientation++)
        for (int behind = 0; behind < 2; behind++) {
            uint8_t exif[26] = { 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1 };
            exif[19] = (uint8_t)orientation;
            struct png p = begin(3, 2, 8, GREY, 0);
            if (!behind)
                add(&p, "eXIf", exif, sizeof exif);
            const uint8_t rows[] = { 0, '1', '2', '3', 0, '4', '5', '6' };
            add_image(&p, rows, sizeof rows);
            if (behind)
                add(&p, "eXIf", exif, sizeof exif);
            add(&p, "IEND", NULL, 0);
            struct image img = { 0 };
            assert_int_equal(decode(&p, 6, &img), ERR_OK);
            assert_int_equal(img.width, orientation >= 5 ? 2 : 3);
            assert_int_equal(img.height, orientation >= 5 ? 3 : 2);
            for (int i = 0; i < 6; i++)
                assert_int_equal(img.rgb[3 * i + 1], upright[orientation - 1][i]);
            image_fini(&img);
            drop(&p);
        }
}

static void test_every_cut_is_truncated(void **state)
{
    (void)state;
    static const uint8_t rows[8 * 25] = { 0 };
    for (int interlace = 0; interlace < 2; interlace++) {
        struct png p = begin(8, 8, 8, RGB, interlace);
        add(&p, "tEXt", "a\0b", 3);
        add_image(&p, rows, sizeof rows);
        /* All pixels are there well before the end of the checksum. */
        for (size_t len = 8; len + 20 < p.len; len++) {
            struct png cut = { malloc(len), len };
            assert_non_null(cut.data);
            memcpy(cut.data, p.data, len);
            assert_code(&cut, ERR_PICTURE_TRUNCATED);
            drop(&cut);
        }
        drop(&p);
    }
    /* Fewer rows than the header says. */
    struct png p = begin(8, 9, 8, RGB, 0);
    add_image(&p, rows, sizeof rows);
    add(&p, "IEND", NULL, 0);
    assert_code(&p, ERR_PICTURE_TRUNCATED);
    drop(&p);
    p = begin(8, 9, 8, RGB, 0);
    add(&p, "IEND", NULL, 0);
    assert_code(&p, ERR_PICTURE_TRUNCATED);
    drop(&p);
}

/* The pixels' stream a byte a chunk, with empty chunks between, then a text of which `missing`
 * bytes are cut off. */
static struct png in_many_chunks(const char *between, size_t missing)
{
    size_t len;
    uint8_t *stream = packed("\0\1\2\0\3\4", 6, 0, &len);
    struct png p = begin(2, 2, 8, GREY, 0);
    for (size_t i = 0; i < len; i++) {
        add(&p, "IDAT", stream + i, 1);
        add(&p, i == 4 ? between : "IDAT", NULL, 0);
    }
    free(stream);
    add(&p, "tEXt", "a\0b", 3);
    p.len -= missing;
    return p;
}

static void test_pixels_in_many_chunks(void **state)
{
    (void)state;
    struct png p = in_many_chunks("IDAT", 0);
    struct image img = { 0 };
    assert_int_equal(decode(&p, 4, &img), ERR_OK);
    assert_memory_equal(img.rgb, "\1\1\1\2\2\2\3\3\3\4\4\4", 12);
    image_fini(&img);
    drop(&p);
    /* Only what stands in a row belongs to the pixels. */
    p = in_many_chunks("tEXt", 0);
    assert_code(&p, ERR_PICTURE_TRUNCATED);
    drop(&p);
    /* Behind the pixels a chunk's checksum may miss, but not its data. */
    static const struct {
        size_t missing;
        enum err_code code;
    } cuts[] = { { 4, ERR_OK },
                 { 5, ERR_PICTURE_TRUNCATED },
                 { 7, ERR_PICTURE_TRUNCATED },
                 { 8, ERR_OK },
                 { 15, ERR_OK } };
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        p = in_many_chunks("IDAT", cuts[i].missing);
        assert_code(&p, cuts[i].code);
        drop(&p);
    }
}

static void test_damage_is_corrupt(void **state)
{
    (void)state;
    struct png p = begin(1, 1, 8, GREY, 0);
    add(&p, "tEXt", "a\0b", 3);
    add_image(&p, "\0\1", 2);
    static const size_t at[] = { 12 /* IHDR's name */, 20 /* width */, 32 /* checksum */,
                                 37 /* text's name */, 42 /* text */ };
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        p.data[at[i]] ^= 0x80;
        assert_code(&p, ERR_PICTURE_CORRUPT);
        p.data[at[i]] ^= 0x80;
    }
    assert_code(&p, ERR_OK);
    drop(&p);

    p = begin(1, 1, 7, GREY, 0);
    add_image(&p, "\0\1", 2);
    assert_code(&p, ERR_PICTURE_CORRUPT);
    drop(&p);
    p = begin(1, 1, 8, GREY, 0);
    add_image(&p, "\x09\1", 2); /* no such filter */
    assert_code(&p, ERR_PICTURE_CORRUPT);
    drop(&p);
    p = begin(1, 1, 8, GREY, 0);
    add(&p, "IDAT", "this is not zlib", 16);
    assert_code(&p, ERR_PICTURE_CORRUPT);
    drop(&p);
    p = begin(0, 1, 8, GREY, 0);
    add_image(&p, "\0", 1);
    assert_code(&p, ERR_PICTURE_CORRUPT);
    drop(&p);
}

static void test_pixel_limit(void **state)
{
    (void)state;
    const uint8_t rows[12] = { 0 };
    struct png p = begin(3, 3, 8, GREY, 0);
    add_image(&p, rows, sizeof rows);
    struct image img = { 0 };
    assert_int_equal(decode(&p, 9, &img), ERR_OK);
    image_fini(&img);
    assert_int_equal(decode(&p, 8, &img), ERR_PICTURE_PIXELS);
    drop(&p);
    static const uint32_t sides[][2] = {
        { 0x7fffffff, 0x7fffffff }, { 0xffffffff, 0xffffffff }, { 50000001, 1 }, { 1, 50000001 }
    };
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        p = begin(sides[i][0], sides[i][1], 8, RGB_ALPHA, 0);
        add_image(&p, rows, sizeof rows);
        assert_int_equal(decode(&p, IMAGE_MAX_PIXELS_DEFAULT, &img), ERR_PICTURE_PIXELS);
        assert_null(img.rgb);
        drop(&p);
    }
}

/* A chunk of `head` and a stream that unpacks to `zeros` bytes. */
static enum err_code with_packed(const char *name, const void *head, size_t head_len, size_t zeros,
                                 bool behind)
{
    struct png p = begin(1, 1, 8, GREY, 0);
    if (behind)
        add_image(&p, "\0\1", 2);
    size_t len;
    uint8_t *stream = packed("", 0, zeros, &len);
    uint8_t *chunk = malloc(head_len + len);
    assert_non_null(chunk);
    memcpy(chunk, head, head_len);
    memcpy(chunk + head_len, stream, len);
    add(&p, name, chunk, head_len + len);
    if (!behind)
        add_image(&p, "\0\1", 2);
    add(&p, "IEND", NULL, 0);
    struct image img = { 0 };
    enum err_code code = decode(&p, 9, &img);
    image_fini(&img);
    free(chunk);
    free(stream);
    drop(&p);
    return code;
}

static void test_text_and_profile_bombs(void **state)
{
    (void)state;
    static const struct {
        const char *name, *head;
        size_t len;
    } kinds[] = { { "zTXt", "a\0", 3 }, { "iCCP", "a\0", 3 }, { "iTXt", "a\0\1\0x\0y", 8 } };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (int behind = 0; behind < 2; behind++) {
            const char *name = kinds[i].name, *head = kinds[i].head;
            size_t len = kinds[i].len;
            assert_int_equal(with_packed(name, head, len, 1 << 20, behind), ERR_OK);
            assert_int_equal(with_packed(name, head, len, (1 << 20) + 1, behind), ERR_PICTURE_BOMB);
            assert_int_equal(with_packed(name, head, len, 40 << 20, behind), ERR_PICTURE_BOMB);
        }
    assert_int_equal(with_packed("zTXt", "a\0\1", 3, 5, false), ERR_PICTURE_CORRUPT);

    /* Many chunks that are each within the limit. */
    size_t len;
    uint8_t *stream = packed("", 0, 1 << 20, &len);
    uint8_t *chunk = calloc(1, len + 3);
    assert_non_null(chunk);
    chunk[0] = 'a';
    memcpy(chunk + 3, stream, len);
    struct png p = begin(1, 1, 8, GREY, 0);
    for (int i = 0; i < 64; i++)
        add(&p, "zTXt", chunk, len + 3);
    size_t at = p.len;
    add_image(&p, "\0\1", 2);
    assert_code(&p, ERR_OK);
    p.len = at;
    add(&p, "zTXt", chunk, len + 3);
    add_image(&p, "\0\1", 2);
    assert_code(&p, ERR_PICTURE_BOMB);
    drop(&p);
    free(chunk);
    free(stream);
}

/* A few bytes, and then blocks that unpack to `megabytes` without end. */
static uint8_t *endless(const void *prefix, size_t len, int megabytes, size_t *ret_len)
{
    enum { BLOCK = 1 << 20 };
    uint8_t *zeros = calloc(1, BLOCK);
    uint8_t *ret = malloc((size_t)(megabytes + 1) * 2048);
    assert_non_null(zeros);
    assert_non_null(ret);
    z_stream z = { 0 };
    assert_int_equal(deflateInit(&z, 9), Z_OK);
    z.next_in = (z_const Bytef *)(uintptr_t)prefix;
    z.avail_in = (uInt)len;
    z.next_out = ret;
    z.avail_out = 4096;
    assert_int_equal(deflate(&z, Z_FULL_FLUSH), Z_OK);
    const uint8_t *block = z.next_out;
    z.next_in = zeros;
    z.avail_in = BLOCK;
    assert_int_equal(deflate(&z, Z_FULL_FLUSH), Z_OK);
    size_t block_len = (size_t)(z.next_out - block), begin = (size_t)(block - ret);
    assert_true(z.avail_in == 0 && block_len < 2048);
    deflateEnd(&z);
    for (int i = 1; i < megabytes; i++)
        memcpy(ret + begin + (size_t)i * block_len, block, block_len);
    *ret_len = begin + (size_t)megabytes * block_len;
    free(zeros);
    return ret;
}

/* 16 GB behind the last row are not unpacked, which would take many seconds. */
static void test_data_behind_the_last_row_costs_nothing(void **state)
{
    (void)state;
    size_t len;
    uint8_t *stream = endless("\0\1", 2, 16000, &len);
    for (int interlace = 0; interlace < 2; interlace++) {
        struct png p = begin(1, 1, 8, GREY, interlace);
        add(&p, "IDAT", stream, len);
        add(&p, "IEND", NULL, 0);
        clock_t begun = clock();
        assert_code(&p, ERR_OK);
        assert_true(clock() - begun < CLOCKS_PER_SEC);
        drop(&p);
    }
    free(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grey_of_each_depth),
        cmocka_unit_test(test_colour_and_alpha),
        cmocka_unit_test(test_palettes),
        cmocka_unit_test(test_interlaced),
        cmocka_unit_test(test_orientation),
        cmocka_unit_test(test_every_cut_is_truncated),
        cmocka_unit_test(test_pixels_in_many_chunks),
        cmocka_unit_test(test_damage_is_corrupt),
        cmocka_unit_test(test_pixel_limit),
        cmocka_unit_test(test_text_and_profile_bombs),
        cmocka_unit_test(test_data_behind_the_last_row_costs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
