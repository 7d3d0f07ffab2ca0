#include "data/render/source.h"

#include "data/base/digest.h"
#include "data/image.h"
#include "data/render/stream.h"
#include "data/render/surface.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct source_options kinds[2] = {
    { .kind = SOURCE_SURFACE, .seed = 5, .size = 64, .classes = 2, .val_percent = 20 },
    { .kind = SOURCE_STREAM, .seed = 5, .size = 48, .classes = 7, .val_percent = 20 },
};
enum { COUNT = 84 }; /* both numbers of classes divide it */

struct file {
    char path[SOURCE_PATH];
    struct buf bytes;
};

static struct source *new_source(const struct source_options *o)
{
    struct source *s;
    struct err e = { 0 };
    if (source_new(o, &s, &e) != ERR_OK)
        fail_msg("%s", e.message);
    return s;
}

static void draw(struct source *s, uint64_t index, struct file *ret)
{
    buf_init(&ret->bytes, SOURCE_FILE_MAX);
    assert_int_equal(source_file(s, index, ret->path, &ret->bytes, NULL), ERR_OK);
}

static bool same(const struct file *a, const struct file *b)
{
    return a->bytes.len == b->bytes.len && memcmp(a->bytes.data, b->bytes.data, a->bytes.len) == 0;
}

/* A picture does not depend on those drawn before it, nor on its split; it does on its seed. */
static void test_a_function_of_seed_and_number(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct source_options other = kinds[k];
        struct source *first = new_source(&kinds[k]), *second = new_source(&kinds[k]);
        other.seed++;
        other.val_percent = 0;
        struct source *third = new_source(&other);
        for (uint64_t i = 0; i < 14; i++) {
            struct file a, b, c;
            draw(first, i, &a);
            draw(second, 13 - i, &b);
            buf_fini(&b.bytes);
            draw(second, i, &b);
            draw(third, i, &c);
            assert_string_equal(a.path, b.path);
            assert_true(same(&a, &b));
            assert_false(same(&a, &c));
            buf_fini(&a.bytes);
            buf_fini(&b.bytes);
            buf_fini(&c.bytes);
        }
        source_free(first);
        source_free(second);
        source_free(third);
    }
}

/* Another seed is another picture, not the same one in another quality. */
static void test_seeds(void **state)
{
    (void)state;
    enum { BYTES = 48 * 48 * 3 };
    struct surface_painter surface[2];
    struct stream_painter stream[2];
    for (int k = 0; k < 2; k++) {
        assert_int_equal(surface_painter_init(48, &surface[k], NULL), ERR_OK);
        assert_int_equal(stream_painter_init((uint64_t)k, 4, 48, &stream[k], NULL), ERR_OK);
    }
    for (uint64_t i = 0; i < 12; i++) {
        for (int k = 0; k < 2; k++) {
            surface_draw(&surface[k], (uint64_t)k, i);
            stream_draw(&stream[k], i);
        }
        int alike[2] = { 0 };
        for (int b = 0; b < BYTES; b++) {
            alike[0] += surface[0].canvas.bytes[b] == surface[1].canvas.bytes[b];
            alike[1] += stream[0].surface.canvas.bytes[b] == stream[1].surface.canvas.bytes[b];
        }
        assert_true(alike[0] < BYTES / 2);
        assert_true(alike[1] < BYTES / 2);
    }
    for (int k = 0; k < 2; k++) {
        surface_painter_fini(&surface[k]);
        stream_painter_fini(&stream[k]);
    }
}

/* No two pictures alike, every one decodes at its size, labels take turns, one in five is val. */
static void test_set(void **state)
{
    (void)state;
    static struct digest seen[COUNT];
    for (int k = 0; k < 2; k++) {
        struct source *s = new_source(&kinds[k]);
        struct image img = { 0 };
        const struct image_limits limits = { .max_pixels = 1 << 20 };
        int labels[16] = { 0 }, names = 0, val = 0;
        char name[16][24];
        for (uint64_t i = 0; i < COUNT; i++) {
            struct file f;
            draw(s, i, &f);
            char split[8], label[24];
            unsigned number;
            assert_int_equal(sscanf(f.path, "%7[^/]/%23[^/]/%u.jpg", split, label, &number), 3);
            assert_int_equal(number, i);
            val += strcmp(split, "val") == 0;
            int n = 0;
            while (n < names && strcmp(name[n], label) != 0)
                n++;
            if (n == names)
                snprintf(name[names++], sizeof name[0], "%s", label);
            assert_in_range(names, 1, 15);
            labels[n]++;
            assert_int_equal(image_decode(f.bytes.data, f.bytes.len, &limits, 0, &img, NULL),
                             ERR_OK);
            assert_int_equal(img.width, kinds[k].size);
            assert_int_equal(img.height, kinds[k].size);
            assert_int_equal(digest_of(f.bytes.data, f.bytes.len, &seen[i], NULL), ERR_OK);
            for (uint64_t j = 0; j < i; j++)
                assert_memory_not_equal(&seen[i], &seen[j], sizeof seen[i]);
            buf_fini(&f.bytes);
        }
        assert_int_equal(names, k == 0 ? 6 : 7);
        for (int n = 0; n < names; n++)
            assert_int_equal(labels[n], COUNT / names);
        assert_in_range(val, COUNT / 5 - names, COUNT / 5 + names);
        image_fini(&img);
        source_free(s);
    }
}

/* Far along, where products of 32 bits would have run over. */
static void test_far_along(void **state)
{
    (void)state;
    struct source *s = new_source(&kinds[1]);
    struct file a, b;
    draw(s, 1, &a);
    draw(s, 1 + 7 * ((uint64_t)1 << 40), &b);
    assert_non_null(strstr(b.path, "/c0001/"));
    assert_false(same(&a, &b));
    buf_fini(&a.bytes);
    buf_fini(&b.bytes);
    source_free(s);
}

static void test_limits(void **state)
{
    (void)state;
    const struct {
        int size, classes, val;
        const char *says; /* NULL: fine */
    } cases[] = {
        { 31, 2, 0, "size" },        { 32, 2, 0, NULL },      { 1024, 2, 0, NULL },
        { 1025, 2, 0, "size" },      { 64, 1, 0, "classes" }, { 64, 10000, 0, NULL },
        { 64, 10001, 0, "classes" }, { 64, 2, -1, "val" },    { 64, 2, 99, NULL },
        { 64, 2, 100, "val" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct source_options o = { .kind = SOURCE_STREAM,
                                          .size = cases[i].size,
                                          .classes = cases[i].classes,
                                          .val_percent = cases[i].val };
        struct source *s = NULL;
        struct err e = { 0 };
        enum err_code code = source_new(&o, &s, &e);
        assert_int_equal(code, cases[i].says ? ERR_FIELD_RANGE : ERR_OK);
        if (cases[i].says)
            assert_non_null(strstr(e.message, cases[i].says));
        source_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_function_of_seed_and_number),
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_far_along),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
