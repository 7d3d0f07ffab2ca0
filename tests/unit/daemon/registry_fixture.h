/* registry_fixture.h -- a state folder of a test's own, and uploads made by hand. */
#ifndef KENNEL_REGISTRY_FIXTURE_H
#define KENNEL_REGISTRY_FIXTURE_H

#include "daemon/db.h"
#include "daemon/state.h"
#include "data/base/cleanup.h"
#include "data/base/file.h"
#include "data/base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jpeglib.h>

/* Fails the test with the error's text. */
#define assert_ok(call)                                                                            \
    do {                                                                                           \
        enum err_code ok_ = (call);                                                                \
        if (ok_)                                                                                   \
            fail_msg("%s: %s: %s", #call, err_slug(ok_), e.message);                               \
    } while (0)

struct fixture {
    char dir[64]; /* the state folder */
    struct limits limits;
    struct state *state;
};

static inline void fixture_open(struct fixture *f)
{
    struct err e = { 0 };
    assert_ok(state_open(f->dir, &f->limits, &f->state, &e));
}

static inline void fixture_close(struct fixture *f)
{
    state_close(STEAL(f->state));
}

static inline int fixture_setup(void **context)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    strcpy(f->dir, "/tmp/kennel-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    limits_default(&f->limits);
    fixture_open(f);
    *context = f;
    return 0;
}

static inline int fixture_teardown(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    fixture_close(f);
    assert_ok(file_remove_tree(f->dir, &e));
    free(f);
    return 0;
}

/* The number that a query gives. */
static inline int64_t fixture_number(struct fixture *f, const char *sql)
{
    struct err e = { 0 };
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    assert_ok(db_read(state_db(f->state), &t, &e));
    assert_ok(db_get(t, &row, &e, sql));
    return row ? db_int(row, 0) : -1;
}

static inline void fixture_script(struct fixture *f, const char *sql)
{
    struct err e = { 0 };
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    assert_ok(db_write(state_db(f->state), &t, &e));
    assert_ok(db_script(t, sql, &e));
    assert_ok(db_commit(&t, &e));
}

static inline enum err_code fixture_count_blob(void *context, const struct digest *d, struct err *e)
{
    (void)d;
    (void)e;
    ++*(int *)context;
    return ERR_OK;
}

static inline int fixture_blobs(struct fixture *f)
{
    struct err e = { 0 };
    int count = 0;
    assert_ok(blobs_walk(state_blobs(f->state), fixture_count_blob, &count, &e));
    return count;
}

/* json_equal() with a text that says what is wanted. */
static inline void fixture_expect(const json_t *value, const char *wanted)
{
    json_error_t error;
    json_t *expected = json_loads(wanted, JSON_DECODE_ANY, &error);
    assert_non_null(expected);
    bool equal = json_equal(value, expected);
    json_decref(expected);
    if (!equal) {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_SORT_KEYS);
        fail_msg("%s\ninstead of\n%s", text, wanted);
    }
}

static inline int64_t fixture_int(const json_t *value, const char *member)
{
    const json_t *found = json_object_get(value, member);
    assert_true(json_is_integer(found));
    return json_integer_value(found);
}

/* --- pictures and uploads ------------------------------------------------------------------ */

struct bytes {
    uint8_t *data;
    size_t len;
};

static inline void bytes_fini(struct bytes *b)
{
    free(b->data);
}

/* A small JPEG; other seeds give other bytes. */
static inline struct bytes jpeg_make(unsigned seed)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    unsigned char *out = NULL;
    unsigned long len = 0;
    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &out, &len);
    c.image_width = 24;
    c.image_height = 16;
    c.input_components = 3;
    c.in_color_space = JCS_RGB;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, 95, TRUE);
    jpeg_start_compress(&c, TRUE);
    JSAMPLE row[24 * 3];
    JSAMPROW rows[] = { row };
    for (unsigned y = 0; y < 16; y++) {
        for (unsigned x = 0; x < sizeof row; x++)
            row[x] = (JSAMPLE)(seed * 2654435761U >> (8 * ((x / 12 + y / 4) % 4)));
        jpeg_write_scanlines(&c, rows, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    return (struct bytes){ out, len };
}

/* A ustar archive that grows. */
struct tar {
    uint8_t *data;
    size_t len, cap, read;
    size_t fail_at; /* reading past this is an error; 0: never */
};

static inline void tar_fini(struct tar *t)
{
    free(t->data);
}

static inline void tar_grow(struct tar *t, const void *bytes, size_t len)
{
    size_t padded = (len + 511) / 512 * 512;
    if (t->len + padded > t->cap) {
        t->cap = 2 * (t->len + padded);
        t->data = realloc(t->data, t->cap);
        assert_non_null(t->data);
    }
    memset(t->data + t->len, 0, padded);
    if (len)
        memcpy(t->data + t->len, bytes, len);
    t->len += padded;
}

static inline void tar_add(struct tar *t, const char *path, const void *bytes, size_t len)
{
    char header[512] = { 0 };
    assert_true(strlen(path) < 100);
    memcpy(header, path, strlen(path));
    memcpy(header + 100, "0000644", 8);
    memcpy(header + 108, "0000000", 8);
    memcpy(header + 116, "0000000", 8);
    snprintf(header + 124, 12, "%011zo", len);
    memcpy(header + 136, "00000000000", 12);
    memset(header + 148, ' ', 8);
    header[156] = '0';
    memcpy(header + 257, "ustar", 6);
    memcpy(header + 263, "00", 2);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof header; i++)
        sum += (unsigned char)header[i];
    snprintf(header + 148, 8, "%06o", sum);
    tar_grow(t, header, sizeof header);
    tar_grow(t, bytes, len);
}

static inline void tar_add_jpeg(struct tar *t, const char *path, unsigned seed)
{
    CLEANUP(bytes_fini) struct bytes b = jpeg_make(seed);
    tar_add(t, path, b.data, b.len);
}

static inline void tar_end(struct tar *t)
{
    static const uint8_t zeros[1024];
    tar_grow(t, zeros, sizeof zeros);
}

static inline ssize_t tar_read(void *context, void *bytes, size_t len, struct err *e)
{
    struct tar *t = context;
    if (t->fail_at && t->read >= t->fail_at) {
        err_set(e, ERR_BODY_INCOMPLETE, "the upload broke off");
        return -1;
    }
    size_t end = t->fail_at && t->fail_at < t->len ? t->fail_at : t->len;
    size_t n = end - t->read < len ? end - t->read : len;
    n = n < 1000 ? n : 1000; /* in small pieces, as a network brings it */
    memcpy(bytes, t->data + t->read, n);
    t->read += n;
    return (ssize_t)n;
}

#endif
