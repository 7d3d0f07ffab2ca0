#include "data/base/buf.h"
#include "data/pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct bytes {
    struct buf buf;
    size_t at;
};

static enum err_code keep(void *context, const void *bytes, size_t len, struct err *e)
{
    struct bytes *b = context;
    return buf_append(&b->buf, bytes, len, e);
}

static ssize_t give(void *context, void *bytes, size_t len, struct err *e)
{
    (void)e;
    struct bytes *b = context;
    size_t left = b->buf.len - b->at;
    size_t n = left < len ? left : len;
    n = n < 777 ? n : 777;
    memcpy(bytes, b->buf.data + b->at, n);
    b->at += n;
    return (ssize_t)n;
}

static void write_all(struct bytes *b)
{
    CLEANUP(pack_writer_free_p) struct pack_writer *w = NULL;
    struct err e;
    buf_init(&b->buf, 1 << 20);
    assert_int_equal(pack_writer_new(keep, b, &w, &e), ERR_OK);
    assert_int_equal(pack_file(w, "one.json", 5, &e), ERR_OK);
    assert_int_equal(pack_add(w, "he", 2, &e), ERR_OK);
    assert_int_equal(pack_add(w, "llo", 3, &e), ERR_OK);
    assert_int_equal(pack_file(w, "empty", 0, &e), ERR_OK);
    assert_int_equal(pack_file(w, "a/block", PACK_BLOCK, &e), ERR_OK);
    char block[PACK_BLOCK];
    memset(block, 'x', sizeof block);
    assert_int_equal(pack_add(w, block, sizeof block, &e), ERR_OK);
    assert_int_equal(pack_end(w, &e), ERR_OK);
}

static void test_there_and_back(void **context)
{
    (void)context;
    struct bytes b = { 0 };
    struct err e;
    write_all(&b);
    assert_int_equal(b.buf.len, pack_file_bytes(5) + pack_file_bytes(0) +
                                    pack_file_bytes(PACK_BLOCK) + PACK_END_BYTES);
    CLEANUP(pack_reader_free_p) struct pack_reader *r = NULL;
    const char *path = NULL;
    uint64_t size = 0;
    char got[2 * PACK_BLOCK];
    size_t n = 0;
    assert_int_equal(pack_reader_new(give, &b, &r, &e), ERR_OK);
    assert_int_equal(pack_next(r, &path, &size, &e), ERR_OK);
    assert_string_equal(path, "one.json");
    assert_int_equal(size, 5);
    assert_int_equal(pack_read(r, got, sizeof got, &n, &e), ERR_OK);
    assert_int_equal(n, 5);
    assert_memory_equal(got, "hello", 5);
    assert_int_equal(pack_read(r, got, sizeof got, &n, &e), ERR_OK);
    assert_int_equal(n, 0);
    assert_int_equal(pack_next(r, &path, &size, &e), ERR_OK);
    assert_string_equal(path, "empty");
    /* What is not read is passed over. */
    assert_int_equal(pack_next(r, &path, &size, &e), ERR_OK);
    assert_string_equal(path, "a/block");
    assert_int_equal(size, PACK_BLOCK);
    assert_int_equal(pack_next(r, &path, &size, &e), ERR_OK);
    assert_null(path);
    buf_fini(&b.buf);
}

/* Reads all that there is of the first len bytes. */
static enum err_code read_cut(struct bytes *b, size_t len, struct err *e)
{
    CLEANUP(pack_reader_free_p) struct pack_reader *r = NULL;
    const char *path = "";
    uint64_t size = 0;
    char got[PACK_BLOCK];
    size_t whole = b->buf.len;
    b->buf.len = len;
    b->at = 0;
    enum err_code code = pack_reader_new(give, b, &r, e);
    while (!code && !(code = pack_next(r, &path, &size, e)) && path)
        for (size_t n = 1; !code && n;)
            code = pack_read(r, got, sizeof got, &n, e);
    b->buf.len = whole;
    return code;
}

static void test_cut_off_inside_a_file(void **context)
{
    (void)context;
    struct bytes b = { 0 };
    struct err e;
    write_all(&b);
    assert_int_equal(read_cut(&b, b.buf.len, &e), ERR_OK);
    assert_int_equal(read_cut(&b, PACK_BLOCK + 2, &e), ERR_ARCHIVE_TRUNCATED);
    assert_int_equal(read_cut(&b, 4 * PACK_BLOCK + 100, &e), ERR_ARCHIVE_TRUNCATED);
    memset(b.buf.data, 'z', b.buf.len);
    assert_int_equal(read_cut(&b, b.buf.len, &e), ERR_ARCHIVE_FORMAT);
    buf_fini(&b.buf);
}

static enum err_code fail_third(void *context, const void *bytes, size_t len, struct err *e)
{
    int *calls = context;
    (void)bytes, (void)len;
    return ++*calls == 3 ? err_set(e, ERR_CLIENT_GONE, "gone") : ERR_OK;
}

/* The writer's own error comes out, and nothing is written after it. */
static void test_a_writer_that_fails(void **context)
{
    (void)context;
    CLEANUP(pack_writer_free_p) struct pack_writer *w = NULL;
    struct err e;
    int calls = 0;
    enum err_code r = pack_writer_new(fail_third, &calls, &w, &e);
    for (int i = 0; !r && i < 10; i++) {
        r = pack_file(w, "file", 3, &e);
        if (!r)
            r = pack_add(w, "abc", 3, &e);
    }
    assert_int_equal(r, ERR_CLIENT_GONE);
    assert_string_equal(e.message, "gone");
    assert_int_equal(pack_end(w, &e), ERR_CLIENT_GONE);
    assert_int_equal(calls, 3);
}

/* Past eight GiB, where tar's octal digits end, one header is still enough. */
static void test_a_large_size(void **context)
{
    (void)context;
    CLEANUP(pack_writer_free_p) struct pack_writer *w = NULL;
    CLEANUP(pack_reader_free_p) struct pack_reader *r = NULL;
    struct bytes b = { 0 };
    struct err e;
    const char *path = NULL;
    uint64_t size = 0, large = UINT64_C(20) << 30;
    buf_init(&b.buf, 1 << 20);
    assert_int_equal(pack_writer_new(keep, &b, &w, &e), ERR_OK);
    assert_int_equal(pack_file(w, "large", large, &e), ERR_OK);
    assert_int_equal(b.buf.len, PACK_BLOCK);
    pack_writer_free(STEAL(w));
    assert_int_equal(b.buf.len, PACK_BLOCK);
    assert_int_equal(pack_reader_new(give, &b, &r, &e), ERR_OK);
    assert_int_equal(pack_next(r, &path, &size, &e), ERR_OK);
    assert_true(size == large);
    buf_fini(&b.buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_cut_off_inside_a_file),
        cmocka_unit_test(test_a_writer_that_fails),
        cmocka_unit_test(test_a_large_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
