/* onnx_maker.h -- ONNX files for tests, written field by field, so that a test can also write what
 * no exporter would.
 *
 * A maker is filled in any order and closed once: maker_bytes(). Asserts instead of returning
 * errors. Attributes are given as text: "i:group=2 l:pads=1,1,1,1 f:alpha=0.5 s:auto_pad=VALID". */
#ifndef KENNEL_TESTS_ONNX_MAKER_H
#define KENNEL_TESTS_ONNX_MAKER_H

#include "data/base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAKER_BYTES_MAX = 1 << 26, MAKER_F32 = 1, MAKER_I64 = 7 };

struct maker {
    struct buf graph, model, meta;
    int opset;
};

static inline void maker_put(struct buf *b, const void *bytes, size_t len)
{
    struct err e;
    assert_int_equal(buf_append(b, bytes, len, &e), ERR_OK);
}

static inline void maker_varint(struct buf *b, uint64_t value)
{
    do {
        uint8_t byte = (uint8_t)((value & 127) | (value > 127 ? 128 : 0));
        maker_put(b, &byte, 1);
        value >>= 7;
    } while (value);
}

static inline void maker_int(struct buf *b, int field, int64_t value)
{
    maker_varint(b, (uint64_t)field << 3);
    maker_varint(b, (uint64_t)value);
}

static inline void maker_bytes_field(struct buf *b, int field, const void *bytes, size_t len)
{
    maker_varint(b, (uint64_t)field << 3 | 2);
    maker_varint(b, len);
    maker_put(b, bytes, len);
}

static inline void maker_text(struct buf *b, int field, const char *text)
{
    maker_bytes_field(b, field, text, strlen(text));
}

static inline void maker_float(struct buf *b, int field, float value)
{
    maker_varint(b, (uint64_t)field << 3 | 5);
    maker_put(b, &value, sizeof value);
}

/* A message written into its own buffer becomes a field; the buffer is freed. */
static inline void maker_close(struct buf *b, int field, struct buf *message)
{
    maker_bytes_field(b, field, message->data ? (void *)message->data : "", message->len);
    buf_fini(message);
}

static inline struct buf maker_open(void)
{
    struct buf b;
    buf_init(&b, MAKER_BYTES_MAX);
    return b;
}

static inline struct maker maker_new(int opset)
{
    return (struct maker){ maker_open(), maker_open(), maker_open(), opset };
}

static inline void maker_value(struct maker *m, int field, const char *name, int type, int rank,
                               const int64_t *dims)
{
    struct buf info = maker_open(), types = maker_open(), tensor = maker_open(),
               shape = maker_open();
    for (int i = 0; i < rank; i++) {
        struct buf dim = maker_open();
        if (dims[i] >= 0)
            maker_int(&dim, 1, dims[i]);
        else
            maker_text(&dim, 2, "N");
        maker_close(&shape, 1, &dim);
    }
    maker_int(&tensor, 1, type);
    maker_close(&tensor, 2, &shape);
    maker_close(&types, 1, &tensor);
    maker_text(&info, 1, name);
    maker_close(&info, 2, &types);
    maker_close(&m->graph, field, &info);
}

static inline void maker_input(struct maker *m, const char *name, int rank, const int64_t *dims)
{
    maker_value(m, 11, name, MAKER_F32, rank, dims);
}

static inline void maker_output(struct maker *m, const char *name)
{
    maker_value(m, 12, name, MAKER_F32, 0, NULL);
}

/* bytes may be fewer than the shape asks for. */
static inline void maker_constant(struct maker *m, const char *name, int type, int rank,
                                  const int64_t *dims, const void *data, size_t bytes)
{
    struct buf tensor = maker_open();
    for (int i = 0; i < rank; i++)
        maker_int(&tensor, 1, dims[i]);
    maker_int(&tensor, 2, type);
    maker_text(&tensor, 8, name);
    maker_bytes_field(&tensor, 9, data, bytes);
    maker_close(&m->graph, 5, &tensor);
}

static inline void maker_floats(struct maker *m, const char *name, int rank, const int64_t *dims,
                                const float *data)
{
    size_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    maker_constant(m, name, MAKER_F32, rank, dims, data, count * sizeof *data);
}

static inline void maker_ints(struct maker *m, const char *name, int count, const int64_t *data)
{
    maker_constant(m, name, MAKER_I64, 1, (int64_t[]){ count }, data, (size_t)count * sizeof *data);
}

static inline void maker_attr(struct buf *node, char *word)
{
    static const struct {
        char letter;
        int kind;
    } kinds[] = { { 'f', 1 }, { 'i', 2 }, { 's', 3 }, { 'l', 7 } };
    struct buf attr = maker_open();
    char kind = word[0], *name = word + 2, *value = strchr(word, '=');
    assert_non_null(value);
    *value++ = 0;
    maker_text(&attr, 1, name);
    if (kind == 'f')
        maker_float(&attr, 2, strtof(value, NULL));
    else if (kind == 'i')
        maker_int(&attr, 3, strtoll(value, NULL, 10));
    else if (kind == 's')
        maker_text(&attr, 4, value);
    for (char *end = value; kind == 'l' && *end; value = end + 1)
        maker_int(&attr, 8, strtoll(value, &end, 10));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].letter == kind)
            maker_int(&attr, 20, kinds[i].kind);
    maker_close(node, 5, &attr);
}

/* in, out: names with a blank between; "-" stands for one that is left out. */
static inline void maker_node(struct maker *m, const char *op, const char *name, const char *in,
                              const char *out, const char *attrs)
{
    struct buf node = maker_open();
    char text[3][512], *at;
    snprintf(text[0], sizeof text[0], "%s", in);
    snprintf(text[1], sizeof text[1], "%s", out);
    snprintf(text[2], sizeof text[2], "%s", attrs);
    for (int k = 0; k < 2; k++)
        for (char *w = strtok_r(text[k], " ", &at); w; w = strtok_r(NULL, " ", &at))
            maker_text(&node, k + 1, strcmp(w, "-") == 0 ? "" : w);
    maker_text(&node, 3, name);
    maker_text(&node, 4, op);
    for (char *w = strtok_r(text[2], " ", &at); w; w = strtok_r(NULL, " ", &at))
        maker_attr(&node, w);
    maker_close(&m->graph, 1, &node);
}

static inline void maker_meta(struct maker *m, const char *key, const char *value)
{
    struct buf pair = maker_open();
    maker_text(&pair, 1, key);
    maker_text(&pair, 2, value);
    maker_close(&m->meta, 14, &pair);
}

/* The file, for the caller to buf_fini(). The maker is done. */
static inline struct buf maker_bytes(struct maker *m)
{
    struct buf opset = maker_open();
    maker_text(&m->graph, 2, "made");
    maker_int(&m->model, 1, 8);
    maker_int(&opset, 2, m->opset);
    maker_close(&m->model, 8, &opset);
    maker_close(&m->model, 7, &m->graph);
    if (m->meta.len)
        maker_put(&m->model, m->meta.data, m->meta.len);
    buf_fini(&m->meta);
    return m->model;
}

/* Numbers in -1..1 that do not repeat soon; the same on every machine. */
static inline float maker_number(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / 8388608.0f - 1.0f;
}

#endif
