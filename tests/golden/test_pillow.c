/* Our pictures against Pillow's: pillow.json, made by pillow.py. */
#include "data/base/cleanup.h"
#include "data/preprocess.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <zlib.h>

enum { SKIPPED = 77, GRID = 16, TAR_BLOCK = 512, PATH_BYTES = 4096 };

struct fixture {
    json_t *golden;
    const char *shared; /* NULL: not there */
    struct preprocess_scratch *scratch;
};

struct bytes {
    uint8_t *data;
    size_t len;
};

static const struct image_limits limits = { IMAGE_MAX_PIXELS_DEFAULT };

static struct bytes read_rest(FILE *f, size_t len)
{
    struct bytes b = { malloc(len ? len : 1), len };
    assert_non_null(b.data);
    assert_int_equal(fread(b.data, 1, len, f), len);
    return b;
}

static struct bytes read_file(const char *path)
{
    CLEANUP(cleanup_file) FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    long len = ftell(f);
    assert_true(len >= 0);
    rewind(f);
    return read_rest(f, (size_t)len);
}

/* A member of a plain ustar archive. */
static struct bytes read_member(const char *path, const char *name)
{
    CLEANUP(cleanup_file) FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char head[TAR_BLOCK];
    while (fread(head, 1, sizeof head, f) == sizeof head && head[0]) {
        char found[300], number[13] = { 0 };
        snprintf(found, sizeof found, "%.155s%s%.100s", head + 345, head[345] ? "/" : "", head);
        memcpy(number, head + 124, 12);
        long len = strtol(number, NULL, 8);
        if (strcmp(found, name) == 0)
            return read_rest(f, (size_t)len);
        assert_int_equal(fseek(f, (len + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK, SEEK_CUR), 0);
    }
    fail_msg("%s has no %s", path, name);
    return (struct bytes){ NULL, 0 };
}

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    assert_non_null(value);
    return value;
}

static int number(const json_t *object, const char *key)
{
    return (int)json_integer_value(json_object_get(object, key));
}

static struct bytes read_picture(const struct fixture *f, const json_t *picture)
{
    char path[PATH_BYTES];
    const char *archive = text(picture, "archive"), *name = text(picture, "name");
    bool folder = !strstr(archive, ".tar");
    snprintf(path, sizeof path, "%s/datasets/%s%s%s", f->shared, archive, folder ? "/" : "",
             folder ? name : "");
    return folder ? read_file(path) : read_member(path, name);
}

static float *tensor_of(int size)
{
    float *ret = malloc(sizeof *ret * 3 * (size_t)size * (size_t)size);
    assert_non_null(ret);
    return ret;
}

static int hex_byte(const char *at)
{
    char digits[3] = { at[0], at[1], 0 };
    return (int)strtol(digits, NULL, 16);
}

struct difference {
    double mean, largest; /* of the pixels that the golden file has */
    double of_means;      /* largest of the three channels */
};

static struct difference compare(const json_t *golden, const float *tensor)
{
    int size = number(golden, "size"), step = size / GRID;
    size_t plane = (size_t)size * (size_t)size;
    const char *hex = text(golden, "pixels");
    assert_int_equal(strlen(hex), GRID * GRID * 3 * 2);
    struct difference d = { 0, 0, 0 };
    for (int y = 0; y < GRID; y++)
        for (int x = 0; x < GRID; x++)
            for (int c = 0; c < 3; c++, hex += 2) {
                float ours = tensor[(size_t)c * plane +
                                    (size_t)((step / 2 + y * step) * size + step / 2 + x * step)];
                double off = fabs((double)ours - hex_byte(hex));
                d.mean += off / (GRID * GRID * 3);
                d.largest = fmax(d.largest, off);
            }
    for (size_t c = 0; c < 3; c++) {
        double mean = 0;
        for (size_t i = 0; i < plane; i++)
            mean += (double)tensor[c * plane + i] / (double)plane;
        double theirs = json_number_value(json_array_get(json_object_get(golden, "mean"), c));
        d.of_means = fmax(d.of_means, fabs(mean - theirs));
    }
    return d;
}

/* Full decode: the very bytes. As served: DCT-scaled where that is allowed, below 1 of 255. */
static void check_crop(const struct fixture *f, const struct bytes *b, const struct image *img,
                       const json_t *golden, int *ret_scaled)
{
    const struct preprocess p = { .size = number(golden, "size"),
                                  .resize = number(golden, "resize"),
                                  .std = { 1, 1, 1 } };
    struct err e;
    float *tensor = tensor_of(p.size);
    assert_int_equal(preprocess_run(&p, f->scratch, img, 0, tensor, &e), ERR_OK);
    struct difference d = compare(golden, tensor);
    assert_true(d.largest == 0);
    assert_true(d.of_means < 1e-3);

    assert_int_equal(preprocess_file(&p, f->scratch, b->data, b->len, &limits, 0, tensor, &e),
                     ERR_OK);
    d = compare(golden, tensor);
    assert_true(d.mean < 1);
    assert_true(d.of_means < 0.5);
    *ret_scaled += d.largest > 0;
    free(tensor);
}

static void test_accepted_pictures(void **state)
{
    const struct fixture *f = *state;
    if (!f->shared)
        skip();
    int scaled = 0, count = 0;
    size_t i;
    json_t *picture, *crop;
    json_array_foreach (json_object_get(f->golden, "pictures"), i, picture) {
        if (json_object_get(picture, "refused"))
            continue;
        struct bytes b = read_picture(f, picture);
        struct image img = { 0 };
        struct err e;
        if (image_decode(b.data, b.len, &limits, 0, &img, &e) != ERR_OK)
            fail_msg("%s: %s", text(picture, "name"), e.message);
        assert_int_equal(img.width, number(picture, "width"));
        assert_int_equal(img.height, number(picture, "height"));
        size_t k;
        json_array_foreach (json_object_get(picture, "crops"), k, crop) {
            check_crop(f, &b, &img, crop, &scaled);
        }
        image_fini(&img);
        free(b.data);
        count++;
    }
    assert_int_equal(count, 8 + 4 + 33);
    assert_true(scaled > 0);
}

static void test_refused_pictures(void **state)
{
    static const struct {
        const char *name;
        enum err_code code;
    } reasons[] = {
        { "imageNotFound.gif", ERR_PICTURE_FORMAT },
        { "jpeg_lossless_sel1-8bit.jpg", ERR_PICTURE_UNSUPPORTED },
        { "missing-sof.jpg", ERR_PICTURE_TRUNCATED },
        { "monkey12.jpg", ERR_PICTURE_UNSUPPORTED },
        { "null_height.jpg", ERR_PICTURE_CORRUPT },
        { "truncated_jpeg.jpg", ERR_PICTURE_TRUNCATED },
    };
    const struct fixture *f = *state;
    if (!f->shared)
        skip();
    size_t i, refused = 0;
    json_t *picture;
    json_array_foreach (json_object_get(f->golden, "pictures"), i, picture) {
        if (!json_object_get(picture, "refused"))
            continue;
        assert_true(refused < sizeof reasons / sizeof *reasons);
        assert_string_equal(text(picture, "name"), reasons[refused].name);
        struct bytes b = read_picture(f, picture);
        struct image img = { 0 };
        struct err e;
        assert_int_equal(image_decode(b.data, b.len, &limits, 0, &img, &e), reasons[refused].code);
        image_fini(&img);
        free(b.data);
        refused++;
    }
    assert_int_equal(refused, sizeof reasons / sizeof *reasons);
}

static void test_made_up_pictures(void **state)
{
    const struct fixture *f = *state;
    size_t i;
    json_t *made;
    json_array_foreach (json_object_get(f->golden, "formula"), i, made) {
        const struct preprocess p = { .size = number(made, "size"),
                                      .resize = number(made, "resize"),
                                      .std = { 1, 1, 1 } };
        struct image img = { .width = number(made, "width"), .height = number(made, "height") };
        img.rgb = malloc((size_t)(img.width * img.height * 3));
        assert_non_null(img.rgb);
        uint8_t *at = img.rgb;
        for (int y = 0; y < img.height; y++)
            for (int x = 0; x < img.width; x++)
                for (int c = 0; c < 3; c++)
                    *at++ = (uint8_t)(x * 7 + y * 13 + c * 50 + x * y % 17);

        float *tensor = tensor_of(p.size);
        struct err e;
        assert_int_equal(preprocess_run(&p, f->scratch, &img, 0, tensor, &e), ERR_OK);
        size_t plane = (size_t)p.size * (size_t)p.size;
        unsigned long crc = 0;
        for (size_t k = 0; k < plane * 3; k++) {
            uint8_t byte = (uint8_t)tensor[k % 3 * plane + k / 3];
            crc = crc32(crc, &byte, 1);
        }
        assert_int_equal(crc, json_integer_value(json_object_get(made, "crc32")));
        free(tensor);
        image_fini(&img);
    }
    assert_int_equal(i, 14);
}

int main(void)
{
    struct fixture f = { .shared = getenv("KENNEL_SHARED") };
    const char *source = getenv("KENNEL_SOURCE");
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/tests/golden/pillow.json", source ? source : ".");
    json_error_t error;
    f.golden = json_load_file(path, 0, &error);
    struct err e;
    if (!f.golden || preprocess_scratch_new(&f.scratch, &e) != ERR_OK) {
        fprintf(stderr, "%s: %s\n", path, f.golden ? e.message : error.text);
        return 1;
    }
    char datasets[PATH_BYTES];
    snprintf(datasets, sizeof datasets, "%s/datasets", f.shared ? f.shared : "");
    if (f.shared && access(datasets, R_OK) != 0)
        f.shared = NULL;

    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_made_up_pictures, &f),
        cmocka_unit_test_prestate(test_accepted_pictures, &f),
        cmocka_unit_test_prestate(test_refused_pictures, &f),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    preprocess_scratch_free(f.scratch);
    json_decref(f.golden);
    return failed ? 1 : f.shared ? 0 : SKIPPED;
}
