/* tiny.h -- what the tests of nn's training half share: a state folder of their own, pictures made
 * of noise around a colour of their class, and the backbone tiny.onnx. Asserts instead of
 * returning errors. */
#ifndef KENNEL_TESTS_TINY_H
#define KENNEL_TESTS_TINY_H

#include "data/base/cleanup.h"
#include "data/base/file.h"
#include "data/blob.h"
#include "data/manifest.h"

#include <png.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { TINY_WIDTH = 12, TINY_SIDE = 40 };

struct tiny {
    char folder[64], features[80];
    struct blobs *blobs;
    struct buf onnx;
    struct digest backbone; /* of the blob of onnx */
};

static inline void tiny_init(struct tiny *t)
{
    char path[128];
    struct err e = { 0 };
    const char *source = getenv("KENNEL_SOURCE");
    snprintf(t->folder, sizeof t->folder, "/tmp/kennel-test-XXXXXX");
    assert_non_null(mkdtemp(t->folder));
    snprintf(t->features, sizeof t->features, "%s/features", t->folder);
    snprintf(path, sizeof path, "%s/blobs", t->folder);
    assert_int_equal(blobs_open(path, true, &t->blobs, &e), ERR_OK);
    CLEANUP(cleanup_free) char *file = NULL;
    assert_int_equal(file_path(&file, &e, "%s/tests/unit/nn/tiny.onnx", source ? source : "."),
                     ERR_OK);
    buf_init(&t->onnx, 1 << 20);
    if (file_read(file, &t->onnx, &e))
        fail_msg("%s", e.message);
    assert_int_equal(blobs_put(t->blobs, t->onnx.data, t->onnx.len, &t->backbone, &e), ERR_OK);
}

static inline void tiny_fini(struct tiny *t)
{
    blobs_close(t->blobs);
    buf_fini(&t->onnx);
    assert_int_equal(file_remove_tree(t->folder, NULL), ERR_OK);
}

/* A PNG of TINY_SIDE x TINY_SIDE, different for each (class, number). */
static inline void tiny_picture(int class, int number, struct buf *ret)
{
    static const unsigned char colors[4][3] = {
        { 190, 60, 60 }, { 60, 190, 60 }, { 60, 60, 190 }, { 160, 160, 60 }
    };
    unsigned char rgb[TINY_SIDE * TINY_SIDE * 3];
    uint32_t state = (uint32_t)(class * 1000 + number) * 2654435761u + 1;
    for (size_t i = 0; i < sizeof rgb; i++) {
        state = state * 1664525u + 1013904223u;
        rgb[i] = (unsigned char)(colors[class % 4][i % 3] + (int)(state >> 26) - 32);
    }
    png_image image = { .version = PNG_IMAGE_VERSION,
                        .width = TINY_SIDE,
                        .height = TINY_SIDE,
                        .format = PNG_FORMAT_RGB };
    png_alloc_size_t size = 0;
    assert_true(png_image_write_to_memory(&image, NULL, &size, 0, rgb, 0, NULL));
    buf_init(ret, 1 << 20);
    assert_int_equal(buf_reserve(ret, size, NULL), ERR_OK);
    assert_true(png_image_write_to_memory(&image, ret->data, &size, 0, rgb, 0, NULL));
    ret->len = size;
    buf_terminate(ret);
}

static inline struct digest tiny_put_picture(struct tiny *t, int class, int number)
{
    CLEANUP(buf_fini) struct buf png;
    struct digest d;
    tiny_picture(class, number, &png);
    assert_int_equal(blobs_put(t->blobs, png.data, png.len, &d, NULL), ERR_OK);
    return d;
}

/* How many pictures of one label to put into one split: numbers first..first+count-1. */
struct tiny_part {
    const char *label;
    int class; /* what the pictures look like */
    enum split split;
    int first, count;
};

struct tiny_line {
    struct digest picture;
    const struct tiny_part *part;
};

static inline int tiny_compare_lines(const void *a, const void *b)
{
    return digest_compare(&((const struct tiny_line *)a)->picture,
                          &((const struct tiny_line *)b)->picture);
}

/* Puts the pictures and their manifest; returns its digest. */
static inline struct digest tiny_dataset(struct tiny *t, const struct tiny_part *parts,
                                         size_t part_count)
{
    struct tiny_line lines[400];
    size_t count = 0;
    for (size_t i = 0; i < part_count; i++)
        for (int k = 0; k < parts[i].count; k++) {
            assert_true(count < sizeof lines / sizeof *lines);
            lines[count++] =
                (struct tiny_line){ tiny_put_picture(t, parts[i].class, parts[i].first + k),
                                    &parts[i] };
        }
    qsort(lines, count, sizeof *lines, tiny_compare_lines);
    CLEANUP(buf_fini) struct buf text;
    struct digest d;
    buf_init(&text, 1 << 20);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(manifest_line(&text, &lines[i].picture, lines[i].part->split,
                                       lines[i].part->label, NULL),
                         ERR_OK);
    assert_int_equal(
        blobs_put(t->blobs, text.data ? text.data : (const void *)"", text.len, &d, NULL), ERR_OK);
    return d;
}

#endif
