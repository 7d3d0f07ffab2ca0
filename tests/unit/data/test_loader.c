#include "data/loader.h"

#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <cmocka.h>

enum { FILES = 7, CLASSES = 3, SIZE = 32, PICTURE = 3 * SIZE * SIZE, ITEMS_MAX = 4000 };

static struct file {
    unsigned char *bytes;
    unsigned long len;
} files[FILES];
static int labels[ITEMS_MAX];

struct source {
    size_t bad;        /* ITEMS_MAX: none */
    atomic_int inside; /* calls at this moment */
    atomic_int most;
};

static void make_file(int number, struct file *ret)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &ret->bytes, &ret->len);
    c.image_width = 50 + (unsigned)number;
    c.image_height = 40;
    c.input_components = 3;
    c.in_color_space = JCS_RGB;
    jpeg_set_defaults(&c);
    jpeg_start_compress(&c, TRUE);
    for (int y = 0; y < 40; y++) {
        unsigned char row[3 * 60], *rows = row;
        for (int i = 0; i < 180; i++)
            row[i] = (unsigned char)(number * 31 + y * 3 + i * (number + 1));
        jpeg_write_scanlines(&c, &rows, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
}

static int setup(void **state)
{
    (void)state;
    for (int i = 0; i < FILES; i++)
        make_file(i, &files[i]);
    for (int i = 0; i < ITEMS_MAX; i++)
        labels[i] = i % CLASSES;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < FILES; i++)
        free(files[i].bytes);
    return 0;
}

static enum err_code fetch(void *context, size_t item, struct buf *ret, struct err *e)
{
    struct source *s = context;
    int inside = atomic_fetch_add(&s->inside, 1) + 1, most = atomic_load(&s->most);
    while (inside > most && !atomic_compare_exchange_weak(&s->most, &most, inside))
        ;
    const struct file *f = &files[item % FILES];
    size_t len = item == s->bad ? f->len / 2 : f->len;
    enum err_code code = buf_append(ret, f->bytes, len, e);
    atomic_fetch_sub(&s->inside, 1);
    return code;
}

static const struct preprocess pre = { .size = SIZE, .resize = 36, .std = { 1, 1, 1 } };
static const struct augment augment = { .scale_low = 0.3,
                                        .scale_high = 1,
                                        .ratio_low = 0.75,
                                        .ratio_high = 1.33,
                                        .flip = 0.5,
                                        .hue = 0.1,
                                        .rand_count = 1,
                                        .rand_magnitude = 9,
                                        .mixup = 0.5,
                                        .cutmix = 0.5,
                                        .erasing = 0.2 };

static struct loader_options options_of(struct source *s, size_t count, int threads)
{
    *s = (struct source){ .bad = ITEMS_MAX };
    return (struct loader_options){ .fetch = fetch,
                                    .context = s,
                                    .count = count,
                                    .labels = labels,
                                    .classes = CLASSES,
                                    .batch = 8,
                                    .ahead = 2,
                                    .threads = threads,
                                    .preprocess = &pre,
                                    .augment = &augment,
                                    .shuffle = true,
                                    .seed = 4,
                                    .smoothing = 0.1F,
                                    .limits = { .max_pixels = 1 << 20 },
                                    .max_bytes = 1 << 20 };
}

static struct loader *new_loader(const struct loader_options *o)
{
    struct loader *l;
    struct err e = { 0 };
    if (loader_new(o, &l, &e) != ERR_OK)
        fail_msg("%s", e.message);
    return l;
}

static uint64_t fold(uint64_t hash, const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3u;
    return hash;
}

static uint64_t fold_batch(uint64_t hash, const struct loader_batch *b)
{
    size_t n = (size_t)b->count;
    hash = fold(hash, b->pictures, n * PICTURE * sizeof(float));
    hash = fold(hash, b->targets, n * CLASSES * sizeof(float));
    return fold(hash, b->items, n * sizeof(size_t));
}

/* Two epochs as one number. */
static uint64_t run(const struct loader_options *o)
{
    struct loader *l = new_loader(o);
    uint64_t hash = 0xcbf29ce484222325u;
    for (int64_t epoch = 0; epoch < 2; epoch++) {
        assert_int_equal(loader_seek(l, epoch, 0, NULL), ERR_OK);
        int64_t steps = 0;
        for (struct loader_batch b;; steps++) {
            assert_int_equal(loader_next(l, &b, NULL), ERR_OK);
            if (b.count == 0)
                break;
            hash = fold_batch(hash, &b);
        }
        assert_int_equal(steps, loader_steps(l));
    }
    loader_free(l);
    return hash;
}

static void test_threads_do_not_matter(void **state)
{
    (void)state;
    struct source s;
    struct loader_options o = options_of(&s, 61, 1);
    uint64_t one = run(&o);
    for (int threads = 2; threads <= 4; threads += 2) {
        o = options_of(&s, 61, threads);
        o.ahead = threads;
        assert_true(run(&o) == one);
    }
    o.seed++;
    assert_true(run(&o) != one);
}

/* Each item once an epoch, in another order each time, the last batch with what is left. */
static void test_epoch(void **state)
{
    (void)state;
    struct source s;
    struct loader_options o = options_of(&s, 61, 2);
    struct loader *l = new_loader(&o);
    size_t first[2] = { 0 };
    for (int64_t epoch = 0; epoch < 2; epoch++) {
        int seen[61] = { 0 }, last = 0;
        assert_int_equal(loader_seek(l, epoch, 0, NULL), ERR_OK);
        for (struct loader_batch b;;) {
            assert_int_equal(loader_next(l, &b, NULL), ERR_OK);
            if (b.count == 0)
                break;
            for (int i = 0; i < b.count; i++) {
                seen[b.items[i]]++;
                first[epoch] = first[epoch] * 31 + b.items[i];
            }
            last = b.count;
        }
        for (int i = 0; i < 61; i++)
            assert_int_equal(seen[i], 1);
        assert_int_equal(last, 5);
    }
    assert_true(first[0] != first[1]);
    struct loader_batch b;
    assert_int_equal(loader_next(l, &b, NULL), ERR_OK);
    assert_int_equal(b.count, 0);
    loader_free(l);

    o.drop_last = true;
    l = new_loader(&o);
    assert_int_equal(loader_steps(l), 7);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(loader_next(l, &b, NULL), ERR_OK);
        assert_int_equal(b.count, i < 7 ? 8 : 0);
    }
    loader_free(l);
}

static void test_seek(void **state)
{
    (void)state;
    struct source s;
    struct loader_options o = options_of(&s, 61, 3);
    struct loader *l = new_loader(&o);
    struct loader_batch b;
    uint64_t straight[8];
    assert_int_equal(loader_seek(l, 3, 0, NULL), ERR_OK);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(loader_next(l, &b, NULL), ERR_OK);
        straight[i] = fold_batch(0, &b);
    }
    for (int64_t step = 7; step >= 0; step -= 2) {
        assert_int_equal(loader_seek(l, 3, step, NULL), ERR_OK);
        for (int64_t i = step; i < 8; i++) {
            assert_int_equal(loader_next(l, &b, NULL), ERR_OK);
            assert_true(fold_batch(0, &b) == straight[i]);
        }
    }
    struct err e;
    assert_int_equal(loader_seek(l, 3, 9, &e), ERR_FIELD_RANGE);
    assert_int_equal(loader_seek(l, -1, 0, &e), ERR_FIELD_RANGE);
    loader_free(l);
}

static void test_targets(void **state)
{
    (void)state;
    struct source s;
    struct loader_options o = options_of(&s, 10, 1);
    o.augment = NULL;
    o.shuffle = false;
    o.smoothing = 0.3F;
    struct loader *l = new_loader(&o);
    struct loader_batch b;
    assert_int_equal(loader_next(l, &b, NULL), ERR_OK);
    for (int i = 0; i < b.count; i++) {
        assert_int_equal(b.items[i], i);
        for (int c = 0; c < CLASSES; c++) {
            float share = c == labels[i] ? 0.8F : 0.1F;
            assert_float_equal(b.targets[i * CLASSES + c], share, 1e-6F);
        }
    }
    /* The same pixels as in scoring. */
    static float scored[PICTURE];
    struct preprocess_scratch *scratch;
    assert_int_equal(preprocess_scratch_new(&scratch, NULL), ERR_OK);
    assert_int_equal(
        preprocess_file(&pre, scratch, files[3].bytes, files[3].len, &o.limits, 0, scored, NULL),
        ERR_OK);
    assert_memory_equal(scored, b.pictures + (size_t)3 * PICTURE, sizeof scored);
    preprocess_scratch_free(scratch);
    loader_free(l);

    const struct augment mixup = { .mixup = 1 };
    o.augment = &mixup;
    l = new_loader(&o);
    assert_int_equal(loader_next(l, &b, NULL), ERR_OK);
    assert_true(b.targets[labels[0]] < 0.79F);
    assert_true(b.targets[labels[b.count - 1]] > 0.11F);
    assert_memory_not_equal(scored, b.pictures + (size_t)3 * PICTURE, sizeof scored);
    loader_free(l);
}

/* The bad item's batch is the one that fails, each time, and a seek gets over it. */
static void test_errors(void **state)
{
    (void)state;
    struct source s;
    struct loader_options o = options_of(&s, 61, 4);
    o.shuffle = false;
    s.bad = 19;
    struct loader *l = new_loader(&o);
    struct loader_batch b;
    struct err e;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(loader_next(l, &b, &e), ERR_OK);
        assert_int_equal(b.count, 8);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(loader_next(l, &b, &e), ERR_PICTURE_TRUNCATED);
        assert_non_null(strstr(e.message, "item 19: "));
    }
    assert_int_equal(loader_seek(l, 0, 3, &e), ERR_OK);
    assert_int_equal(loader_next(l, &b, &e), ERR_OK);
    assert_int_equal(b.items[0], 24);
    loader_free(l);

    o.max_bytes = files[0].len - 1;
    s.bad = ITEMS_MAX;
    l = new_loader(&o);
    assert_int_equal(loader_next(l, &b, &e), ERR_BODY_TOO_LARGE);
    assert_non_null(strstr(e.message, "item 0: "));
    loader_free(l);
}

static void test_limits(void **state)
{
    (void)state;
    struct source s;
    struct loader *l = NULL;
    struct err e;
    struct loader_options o = options_of(&s, 7, 1);
    o.drop_last = true;
    assert_int_equal(loader_new(&o, &l, &e), ERR_FIELD_RANGE);
    o = options_of(&s, 8, 0);
    assert_int_equal(loader_new(&o, &l, &e), ERR_FIELD_RANGE);
    assert_non_null(strstr(e.message, "threads"));
    o = options_of(&s, 8, 1);
    o.classes = 2;
    assert_int_equal(loader_new(&o, &l, &e), ERR_FIELD_RANGE);
    assert_non_null(strstr(e.message, "item 2"));
    o = options_of(&s, 8, 1);
    o.smoothing = 1.5F;
    assert_int_equal(loader_new(&o, &l, &e), ERR_FIELD_RANGE);
    assert_null(l);
}

struct memory {
    size_t held;      /* what the loader says */
    size_t allocated; /* what malloc says, most at any batch; 0 where a sanitizer replaced it */
};

static size_t allocated(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

static struct memory measure(size_t count)
{
    struct source s;
    struct loader_options o = options_of(&s, count, 3);
    struct memory ret = { 0 };
    size_t before = allocated();
    struct loader *l = new_loader(&o);
    for (struct loader_batch b = { .count = 1 }; b.count > 0;) {
        assert_int_equal(loader_next(l, &b, NULL), ERR_OK);
        size_t now = allocated() - before;
        ret.allocated = now > ret.allocated ? now : ret.allocated;
    }
    ret.held = loader_bytes(l);
    loader_free(l);
    assert_true(atomic_load(&s.most) <= 3);
    return ret;
}

static void test_memory_does_not_grow(void **state)
{
    (void)state;
    struct memory one = measure(ITEMS_MAX / 10), ten = measure(ITEMS_MAX);
    print_message("%d pictures: %zu bytes held, %zu allocated at most; %d pictures: %zu, %zu\n",
                  ITEMS_MAX / 10, one.held, one.allocated, ITEMS_MAX, ten.held, ten.allocated);
    /* Which thread sees the largest picture differs, and decoders take some for a moment. */
    assert_true(ten.held < one.held + one.held / 100);
    assert_true(ten.allocated <= one.allocated + one.allocated / 4);
    assert_true(ten.held > (size_t)3 * 8 * PICTURE * sizeof(float));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_do_not_matter),
        cmocka_unit_test(test_epoch),
        cmocka_unit_test(test_seek),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_memory_does_not_grow),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
