/* The pixels of each operation are compared with torchvision's in tests/golden/test_transforms.c;
 * here are the laws by which they are drawn. */
#include "data/augment.h"

#include "data/mix.h"
#include "data/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIZE = 32, PICTURE = 3 * SIZE * SIZE, DRAWS = 4000 };

static const struct preprocess plain = { .size = SIZE, .resize = 36, .std = { 1, 1, 1 } };
static const struct augment workshop = AUGMENT_WORKSHOP;

/* Left half dark, right half light; all three channels differ. */
static uint8_t pixels[60 * 40 * 3];
static const struct image halves = {
    .width = 60, .height = 40, .rgb = pixels, .full_width = 60, .full_height = 40
};

static int setup(void **state)
{
    for (int i = 0; i < 60 * 40; i++)
        for (int c = 0; c < 3; c++)
            pixels[i * 3 + c] = (uint8_t)((i % 60 < 30 ? 40 : 180) + 20 * c);
    struct augment_scratch *s;
    if (augment_scratch_new(&s, NULL) != ERR_OK)
        return 1;
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    augment_scratch_free(*state);
    return 0;
}

static void run(struct augment_scratch *s, const struct augment *a, const struct preprocess *p,
                uint64_t seed, uint64_t epoch, uint64_t item, float *ret)
{
    assert_int_equal(augment_run(a, p, s, &halves, seed, epoch, item, ret, NULL), ERR_OK);
}

static void test_nothing_is_scoring(void **state)
{
    static float a[PICTURE], b[PICTURE];
    const struct augment none = { 0 };
    struct preprocess_scratch *pre;
    assert_int_equal(preprocess_scratch_new(&pre, NULL), ERR_OK);
    assert_int_equal(preprocess_run(&plain, pre, &halves, 0, b, NULL), ERR_OK);
    run(*state, &none, &plain, 1, 2, 3, a);
    assert_memory_equal(a, b, sizeof a);
    preprocess_scratch_free(pre);
}

static void test_depends_on_all_three(void **state)
{
    static float first[PICTURE], again[PICTURE];
    const uint64_t other[3][3] = { { 2, 1, 1 }, { 1, 2, 1 }, { 1, 1, 2 } };
    run(*state, &workshop, &plain, 1, 1, 1, first);
    for (int i = 0; i < 3; i++) {
        run(*state, &workshop, &plain, other[i][0], other[i][1], other[i][2], again);
        assert_memory_not_equal(first, again, sizeof first);
    }
    run(*state, &workshop, &plain, 1, 1, 1, again);
    assert_memory_equal(first, again, sizeof first);
}

/* Passing through bytes and colours that change nothing gives the same bits, in either order of
 * channels. */
static void test_colour_path_is_the_same(void **state)
{
    static float direct[PICTURE], coloured[PICTURE];
    struct augment idle = workshop;
    idle.hue = 1e-9; /* less than a step of a byte */
    for (int bgr = 0; bgr < 2; bgr++) {
        struct preprocess p = { .size = SIZE,
                                .resize = 36,
                                .mean = { 123.675F, 116.28F, 103.53F },
                                .std = { 58.395F, 57.12F, 57.375F },
                                .bgr = bgr };
        for (uint64_t item = 0; item < 8; item++) {
            run(*state, &workshop, &p, 1, 1, item, direct);
            run(*state, &idle, &p, 1, 1, item, coloured);
            for (size_t i = 0; i < PICTURE; i++) /* through HSV and back */
                assert_true(fabsf(direct[i] - coloured[i]) < 3.1F / 57.0F);
        }
    }
}

static void test_flip_is_even(void **state)
{
    static float out[PICTURE];
    const struct augment flips = { .flip = 0.5 };
    int flipped = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        run(*state, &flips, &plain, 11, 0, i, out);
        flipped += out[0] > out[SIZE - 1];
    }
    assert_in_range(flipped, 420, 580);
}

static void test_box_law(void **state)
{
    (void)state;
    double area = 0, ratio = 0;
    int fallbacks = 0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        struct random r = random_stream(5, i, 0, 0);
        struct preprocess_box b;
        augment_draw_box(&workshop, &r, 500, 500, &b);
        assert_true(b.width > 0 && b.left >= 0 && b.left + b.width <= 500);
        assert_true(b.height > 0 && b.top >= 0 && b.top + b.height <= 500);
        fallbacks += b.width == 500 && b.height == 500;
        area += (double)b.width * b.height / 250000;
        ratio += log((double)b.width / b.height);
        double one = (double)b.width / b.height;
        assert_true(one > 0.72 && one < 1.38);
    }
    /* torchvision's RandomResizedCrop.get_params(): 0.4793 over 20000 draws. Less than the middle
     * of the scale, because large ones that do not fit are drawn again. */
    assert_true(fabs(area / DRAWS - 0.4793) < 0.02);
    assert_true(fabs(ratio / DRAWS) < 0.02);
    assert_true(fallbacks < 5);
}

/* No box of such a ratio fits: the largest part in the middle, as torchvision has it. */
static void test_box_fallback(void **state)
{
    (void)state;
    struct augment whole = workshop;
    whole.scale_low = 1;
    struct random r = random_stream(1, 0, 0, 0);
    struct preprocess_box b;
    augment_draw_box(&whole, &r, 900, 300, &b);
    assert_int_equal(b.width, 400);
    assert_int_equal(b.height, 300);
    assert_int_equal(b.left, 250);
    assert_int_equal(b.top, 0);
    augment_draw_box(&whole, &r, 1, 4096, &b);
    assert_int_equal(b.width, 1);
    assert_int_equal(b.height, 1);
}

/* A bright and a dark channel sum: each strength stays in its interval and fills it. */
static void test_brightness_law(void **state)
{
    static float out[PICTURE];
    const struct augment a = { .brightness = 0.4 };
    double low = 9, high = 0, sum = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        run(*state, &a, &plain, 3, 0, i, out);
        double factor = (double)out[0] / 40; /* the dark half's red */
        low = factor < low ? factor : low;
        high = factor > high ? factor : high;
        sum += factor;
    }
    assert_true(low >= 0.55 && low < 0.65);
    assert_true(high <= 1.4 && high > 1.35);
    assert_true(fabs(sum / 1000 - 0.99) < 0.04); /* bytes are cut off, half a step on average */
}

static void test_erasing_law(void **state)
{
    static float out[PICTURE];
    struct preprocess p = plain;
    for (int c = 0; c < 3; c++)
        p.mean[c] = -1; /* so that no pixel is 0 by itself */
    const struct augment a = { .erasing = 0.3 };
    int erased = 0;
    double area = 0;
    for (uint64_t i = 0; i < 2000; i++) {
        run(*state, &a, &p, 3, 0, i, out);
        int zeros = 0;
        for (int k = 0; k < SIZE * SIZE; k++)
            zeros += out[k] == 0;
        erased += zeros > 0;
        area += (double)zeros / (SIZE * SIZE);
    }
    assert_in_range(erased, 520, 680);
    assert_true(area / erased > 0.14 && area / erased < 0.20);
}

static void test_limits(void **state)
{
    (void)state;
    struct err e;
    struct augment a = workshop;
    assert_int_equal(augment_check(&a, &e), ERR_OK);
    a.hue = 0.5;
    assert_int_equal(augment_check(&a, &e), ERR_OK);
    a.hue = 0.51;
    assert_int_equal(augment_check(&a, &e), ERR_FIELD_RANGE);
    assert_non_null(strstr(e.message, "hue"));
    a = workshop;
    a.rand_count = 9;
    assert_int_equal(augment_check(&a, &e), ERR_FIELD_RANGE);
    assert_non_null(strstr(e.message, "count"));
    a = workshop;
    a.mixup = NAN;
    assert_int_equal(augment_check(&a, &e), ERR_FIELD_RANGE);
    a = workshop;
    a.scale_low = 0;
    assert_int_equal(augment_check(&a, &e), ERR_FIELD_RANGE);
    a = workshop;
    a.ratio_low = 0;
    assert_int_equal(augment_check(&a, &e), ERR_FIELD_RANGE);
    assert_non_null(strstr(e.message, "ratio"));
}

/* Picture i is all i, class i: what came from where can be read off. */
enum { COUNT = 5 };
struct batch {
    float pictures[COUNT * PICTURE], targets[COUNT * COUNT], spare[PICTURE];
};

static void mix(struct batch *b, const struct augment *a, uint64_t step)
{
    for (int i = 0; i < COUNT; i++) {
        for (int k = 0; k < PICTURE; k++)
            b->pictures[i * PICTURE + k] = (float)i;
        for (int c = 0; c < COUNT; c++)
            b->targets[i * COUNT + c] = c == i;
    }
    mix_batch(a, 1, 0, step, COUNT, SIZE, COUNT, b->pictures, b->targets, b->spare);
}

/* The targets say which share of the pixels came from where; ret_share is the picture's own. */
static void check_batch(const struct batch *b, float *ret_share)
{
    for (int i = 0; i < COUNT; i++) {
        int before = (i + COUNT - 1) % COUNT;
        float own = b->targets[i * COUNT + i], other = b->targets[i * COUNT + before];
        assert_true(fabsf(own + other - 1) < 1e-6F);
        double sum = 0;
        for (int k = 0; k < PICTURE; k++)
            sum += (double)b->pictures[i * PICTURE + k];
        double mean = (double)own * i + (double)other * before;
        assert_true(fabs(sum / PICTURE - mean) < 1e-4);
        *ret_share = own;
    }
}

static void test_mixup_and_cutmix(void **state)
{
    (void)state;
    static struct batch b;
    const struct augment mixup = { .mixup = 0.2 }, cutmix = { .cutmix = 1 },
                         both = { .mixup = 0.2, .cutmix = 1 };
    double sum = 0;
    int whole = 0, cut = 0;
    for (uint64_t step = 0; step < 200; step++) {
        float share;
        mix(&b, &mixup, step);
        check_batch(&b, &share);
        sum += (double)share;
        mix(&b, &cutmix, step);
        check_batch(&b, &share);
        float first = b.pictures[PICTURE];
        for (int k = 0; k < PICTURE; k++) /* nothing in between */
            assert_true(b.pictures[PICTURE + k] == 0 || b.pictures[PICTURE + k] == 1);
        whole += first == 1;
        mix(&b, &both, step);
        check_batch(&b, &share);
        bool between = false;
        for (int k = 0; k < PICTURE; k++)
            between |= b.pictures[PICTURE + k] != 0 && b.pictures[PICTURE + k] != 1;
        cut += !between;
    }
    assert_true(fabs(sum / 200 - 0.5) < 0.15);
    assert_true(whole > 20);
    assert_in_range(cut, 60, 140);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_scoring),
        cmocka_unit_test(test_depends_on_all_three),
        cmocka_unit_test(test_colour_path_is_the_same),
        cmocka_unit_test(test_flip_is_even),
        cmocka_unit_test(test_box_law),
        cmocka_unit_test(test_box_fallback),
        cmocka_unit_test(test_brightness_law),
        cmocka_unit_test(test_erasing_law),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_mixup_and_cutmix),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
