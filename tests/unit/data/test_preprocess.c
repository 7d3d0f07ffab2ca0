/* The reference here is Pillow's algorithm written plainly: whole pictures, doubles to fixed
 * point, no windows. Numbers of Pillow itself are in tests/golden. */
#include "data/preprocess.h"

#include "data/resample_kernels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct preprocess plain = { .size = 32, .resize = 36, .std = { 1, 1, 1 } };

static int setup(void **state)
{
    struct preprocess_scratch *s;
    if (preprocess_scratch_new(&s, NULL) != ERR_OK)
        return 1;
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    preprocess_scratch_free(*state);
    return 0;
}

static struct image noise(int width, int height)
{
    struct image img = { .width = width,
                         .height = height,
                         .rgb = malloc((size_t)width * (size_t)height * 3),
                         .full_width = width,
                         .full_height = height };
    assert_non_null(img.rgb);
    unsigned seed = (unsigned)(width * 1000 + height);
    for (int i = 0; i < width * height * 3; i++) {
        seed = seed * 1103515245u + 12345u;
        unsigned value = seed >> 16 & 0x1ff;
        img.rgb[i] = (uint8_t)(value > 255 ? (value & 1) * 255 : value); /* many extremes */
    }
    return img;
}

/* One axis of a picture in[rows][in_len][step] -> out_len, for each of `step` neighbours. */
static uint8_t *resize_axis(const uint8_t *in, int rows, int in_len, int out_len, int step)
{
    uint8_t *ret = malloc((size_t)rows * (size_t)out_len * (size_t)step);
    int *weight = malloc(sizeof *weight * (size_t)in_len);
    double *share = malloc(sizeof *share * (size_t)in_len);
    assert_non_null(ret);
    assert_non_null(weight);
    assert_non_null(share);
    double scale = (double)in_len / out_len, support = scale < 1 ? 1 : scale;
    for (int o = 0; o < out_len; o++) {
        double centre = (o + 0.5) * scale, sum = 0;
        int begin = (int)(centre - support + 0.5), end = (int)(centre + support + 0.5);
        begin = begin < 0 ? 0 : begin;
        end = end > in_len ? in_len : end;
        for (int i = begin; i < end; i++) {
            double off = fabs((i - centre + 0.5) * (1.0 / support));
            share[i] = off < 1 ? 1 - off : 0;
            sum += share[i];
        }
        for (int i = begin; i < end; i++)
            weight[i] = (int)(0.5 + share[i] / sum * (1 << 22));
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < step; c++) {
                int value = 1 << 21;
                for (int i = begin; i < end; i++)
                    value +=
                        in[((size_t)r * (size_t)in_len + (size_t)i) * (size_t)step + (size_t)c] *
                        weight[i];
                ret[((size_t)r * (size_t)out_len + (size_t)o) * (size_t)step + (size_t)c] =
                    (uint8_t)(value >> 22);
            }
    }
    free(weight);
    free(share);
    return ret;
}

static int half_to_even(int difference)
{
    return (int)nearbyint(difference / 2.0);
}

/* The crop's pixel bytes as floats, planes of red, green, blue. */
static float *reference(const struct image *img, int size, int resize)
{
    bool wide = img->width > img->height;
    int shorter = wide ? img->height : img->width, longer = wide ? img->width : img->height;
    int other = (int)((double)resize * longer / shorter);
    int width = wide ? other : resize, height = wide ? resize : other;
    uint8_t *across = resize_axis(img->rgb, img->height, img->width, width, 3);
    uint8_t *down = resize_axis(across, 1, img->height, height, width * 3);
    float *ret = malloc(sizeof *ret * 3 * (size_t)size * (size_t)size);
    assert_non_null(ret);
    int left = half_to_even(width - size), top = half_to_even(height - size);
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < size; y++)
            for (int x = 0; x < size; x++)
                ret[(c * size + y) * size + x] = down[((top + y) * width + left + x) * 3 + c];
    free(across);
    free(down);
    return ret;
}

static const struct {
    int width, height, size, resize;
} sizes[] = {
    { 50, 40, 32, 36 },   { 40, 50, 32, 37 },     { 33, 97, 32, 32 },  { 97, 33, 33, 34 },
    { 32, 32, 32, 32 },   { 36, 36, 32, 36 },     { 1, 1, 32, 33 },    { 1, 40, 32, 36 },
    { 40, 1, 45, 45 },    { 333, 500, 224, 256 }, { 700, 90, 47, 50 }, { 641, 479, 64, 71 },
    { 2, 3, 1024, 1024 }, { 91, 90, 32, 33 },
};

static void test_equals_the_plain_algorithm(void **state)
{
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct image img = noise(sizes[i].width, sizes[i].height);
        struct preprocess p = plain;
        p.size = sizes[i].size;
        p.resize = sizes[i].resize;
        size_t floats = 3 * (size_t)p.size * (size_t)p.size;
        float *expected = reference(&img, p.size, p.resize);
        float *tensor = malloc(sizeof *tensor * (floats + 1));
        assert_non_null(tensor);
        tensor[floats] = -7;
        struct err e;
        assert_int_equal(preprocess_run(&p, *state, &img, 0, tensor, &e), ERR_OK);
        assert_memory_equal(tensor, expected, sizeof *tensor * floats);
        assert_true(tensor[floats] == -7);
        free(tensor);
        free(expected);
        image_fini(&img);
    }
}

static void test_views_channels_and_scaling(void **state)
{
    enum { SIDE = 35 };
    static const float mean[3] = { 123.675f, 116.28f, 103.53f }, std[3] = { 58.4f, 57.1f, 57.4f };
    struct image img = noise(61, 47);
    struct preprocess p = plain;
    p.size = SIDE;
    p.resize = 40;
    float *expected = reference(&img, SIDE, p.resize);
    memcpy(p.mean, mean, sizeof mean);
    memcpy(p.std, std, sizeof std);
    for (int view = 0; view < PREPROCESS_VIEWS_MAX; view++)
        for (int bgr = 0; bgr < 2; bgr++) {
            p.bgr = bgr;
            float tensor[3][SIDE][SIDE];
            struct err e;
            assert_int_equal(preprocess_run(&p, *state, &img, view, &tensor[0][0][0], &e), ERR_OK);
            for (int c = 0; c < 3; c++)
                for (int y = 0; y < SIDE; y++)
                    for (int x = 0; x < SIDE; x++) {
                        int from = view ? SIDE - 1 - x : x;
                        float value = expected[((bgr ? 2 - c : c) * SIDE + y) * SIDE + from];
                        assert_true(tensor[c][y][x] == (value - mean[c]) / std[c]);
                    }
        }
    free(expected);
    image_fini(&img);
}

static void test_both_kernels_agree(void **state)
{
    (void)state;
#ifdef __x86_64__
    if (!__builtin_cpu_supports("avx2"))
        skip();
    enum { IN = 97, COUNT = 45, ROWS = 5 };
    struct resample_axis x = { 0 };
    const struct resample_span span = {
        .in = IN, .extent = IN, .out = 61, .first = 7, .count = COUNT, .mirrored = true
    };
    assert_int_equal(resample_axis_set(&x, &span, NULL), ERR_OK);
    struct image img = noise(IN, ROWS + 1); /* one row more: the byte behind the last pixel */
    size_t out = (size_t)x.padded * 3;
    uint8_t *rows[2];
    for (int k = 0; k < 2; k++) {
        rows[k] = calloc(ROWS + 1, out);
        assert_non_null(rows[k]);
        const struct resample_kernels *kernels = k ? &resample_avx2 : &resample_plain;
        for (int r = 0; r < ROWS; r += 2) {
            size_t a = (size_t)r, b = r + 1 < ROWS ? a + 1 : a;
            kernels->row_pair(&x, img.rgb + a * IN * 3, img.rgb + b * IN * 3, rows[k] + a * out,
                              rows[k] + b * out);
        }
    }
    assert_memory_equal(rows[0], rows[1], ROWS * out);

    static const int32_t weight[ROWS] = { 1 << 20, 1 << 21, 0, 99, (1 << 20) - 99 };
    float done[2][COUNT + 1];
    for (int k = 0; k < 2; k++) {
        done[k][COUNT] = -7;
        (k ? resample_avx2 : resample_plain)
            .column(weight, ROWS, rows[k], out, COUNT, 103.53f, 57.375f, done[k]);
        assert_true(done[k][COUNT] == -7);
    }
    assert_memory_equal(done[0], done[1], sizeof done[0]);
    free(rows[0]);
    free(rows[1]);
    image_fini(&img);
    resample_axis_fini(&x);
#endif
}

/* A picture of half the size stands for one whose last column and row are half there: a ramp
 * must come out where it was. */
static void test_scaled_pictures_keep_their_place(void **state)
{
    enum { FULL = 301, HALF = 151, SIDE = 100 };
    struct image full = noise(FULL, FULL), half = noise(HALF, HALF);
    half.full_width = half.full_height = FULL;
    for (int y = 0; y < FULL; y++)
        for (int x = 0; x < FULL; x++)
            memset(full.rgb + (y * FULL + x) * 3, (x + y) * 255 / (2 * FULL), 3);
    for (int y = 0; y < HALF; y++)
        for (int x = 0; x < HALF; x++)
            memset(half.rgb + (y * HALF + x) * 3, (2 * x + 2 * y + 1) * 255 / (2 * FULL), 3);
    struct preprocess p = plain;
    p.size = p.resize = SIDE;
    float *a = malloc(sizeof *a * 3 * SIDE * SIDE), *b = malloc(sizeof *b * 3 * SIDE * SIDE);
    assert_non_null(a);
    assert_non_null(b);
    struct err e;
    assert_int_equal(preprocess_run(&p, *state, &full, 0, a, &e), ERR_OK);
    assert_int_equal(preprocess_run(&p, *state, &half, 0, b, &e), ERR_OK);
    for (int i = 0; i < 3 * SIDE * SIDE; i++)
        assert_true(fabsf(a[i] - b[i]) <= 1);
    free(a);
    free(b);
    image_fini(&full);
    image_fini(&half);
}

static void test_scratch_has_no_memory_of_other_pictures(void **state)
{
    struct image img[] = { noise(90, 70), noise(33, 200), noise(90, 70), noise(34, 34) };
    float tensor[4][3 * 32 * 32];
    struct err e;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(preprocess_run(&plain, *state, &img[i], 0, tensor[i], &e), ERR_OK);
        image_fini(&img[i]);
    }
    assert_memory_equal(tensor[0], tensor[2], sizeof tensor[0]);
    assert_memory_not_equal(tensor[0], tensor[3], sizeof tensor[0]);
}

static void test_file_errors_pass_through(void **state)
{
    static const struct image_limits limits = { 100 };
    float tensor[3 * 32 * 32];
    tensor[0] = -7;
    struct err e;
    assert_int_equal(preprocess_file(&plain, *state, "x", 1, &limits, 0, tensor, &e),
                     ERR_PICTURE_FORMAT);
    assert_true(tensor[0] == -7);
}

static enum err_code check_of(const struct preprocess *p, const char *field)
{
    struct err e = { ERR_OK, "" };
    enum err_code code = preprocess_check(p, &e);
    if (code != ERR_OK)
        assert_int_equal(strncmp(e.message, field, strlen(field)), 0);
    return code;
}

static void test_check_names_the_field(void **state)
{
    (void)state;
    static const struct {
        int size, resize;
        float mean, std;
        const char *field; /* NULL: right */
    } cases[] = {
        { 32, 32, 0, 1, NULL },     { 1024, 4096, -1, 1e-6f, NULL },
        { 31, 36, 0, 1, "size" },   { 1025, 1100, 0, 1, "size" },
        { 32, 31, 0, 1, "resize" }, { 32, 4097, 0, 1, "resize" },
        { 32, 32, NAN, 1, "mean" }, { 32, 32, INFINITY, 1, "mean" },
        { 32, 32, 0, 0, "std" },    { 32, 32, 0, -1, "std" },
        { 32, 32, 0, NAN, "std" },  { 32, 32, 0, INFINITY, "std" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct preprocess p = { .size = cases[i].size,
                                .resize = cases[i].resize,
                                .mean = { 0, 0, cases[i].mean },
                                .std = { 1, 1, cases[i].std } };
        assert_int_equal(check_of(&p, cases[i].field),
                         cases[i].field ? ERR_ONNX_PREPROCESS : ERR_OK);
    }
}

static void test_text_tells_differences(void **state)
{
    (void)state;
    struct preprocess other[6];
    for (int i = 0; i < 6; i++)
        other[i] = plain;
    other[0].size++;
    other[1].resize++;
    other[2].mean[2] = nextafterf(0, 1);
    other[3].std[0] = nextafterf(1, 2);
    other[4].bgr = true;
    char text[PREPROCESS_TEXT], text_other[PREPROCESS_TEXT];
    preprocess_text(&plain, text);
    for (int i = 0; i < 6; i++) {
        preprocess_text(&other[i], text_other);
        assert_int_equal(strcmp(text, text_other) == 0, i == 5);
        assert_true(strlen(text_other) < PREPROCESS_TEXT - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_equals_the_plain_algorithm, setup, teardown),
        cmocka_unit_test_setup_teardown(test_views_channels_and_scaling, setup, teardown),
        cmocka_unit_test(test_both_kernels_agree),
        cmocka_unit_test_setup_teardown(test_scaled_pictures_keep_their_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_scratch_has_no_memory_of_other_pictures, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_file_errors_pass_through, setup, teardown),
        cmocka_unit_test(test_check_names_the_field),
        cmocka_unit_test(test_text_tells_differences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
