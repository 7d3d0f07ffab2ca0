#include "data/feature_cache.h"

#include "data/base/buf.h"
#include "data/base/cleanup.h"
#include "data/base/file.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { WIDTH = 5, HEADER = 64, RECORD = 40 + 4 * WIDTH };

struct fixture {
    char folder[64];
    char path[160];
    struct digest key;
};

static int set_up(void **state)
{
    static struct fixture f;
    strcpy(f.folder, "/tmp/kennel-features-XXXXXX");
    if (!mkdtemp(f.folder) || digest_of("key", 3, &f.key, NULL))
        return -1;
    char hex[DIGEST_HEX + 1];
    digest_hex(&f.key, hex);
    snprintf(f.path, sizeof f.path, "%s/%s", f.folder, hex);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    return file_remove_tree(f->folder, NULL) == ERR_OK ? 0 : -1;
}

static struct feature_cache *open_cache(struct fixture *f)
{
    struct feature_cache *c = NULL;
    assert_int_equal(feature_cache_open(f->folder, &f->key, WIDTH, 0, &c, NULL), ERR_OK);
    return c;
}

static struct digest picture(int i)
{
    struct digest d;
    assert_int_equal(digest_of(&i, sizeof i, &d, NULL), ERR_OK);
    return d;
}

static float number(int i, int view, int at)
{
    return (float)(i * 10 + view) + (float)at / 8;
}

static enum err_code put(struct feature_cache *c, int i, int view)
{
    struct digest d = picture(i);
    float vector[WIDTH];
    for (int k = 0; k < WIDTH; k++)
        vector[k] = number(i, view, k);
    return feature_cache_put(c, &d, view, vector, NULL);
}

/* There and right, or not there; anything else fails the test. */
static bool get(struct feature_cache *c, int i, int view)
{
    struct digest d = picture(i);
    float vector[WIDTH] = { -1, -1, -1, -1, -1 };
    bool found = feature_cache_get(c, &d, view, vector);
    for (int k = 0; k < WIDTH; k++)
        assert_true(vector[k] == (found ? number(i, view, k) : -1));
    return found;
}

static void fill(struct fixture *f, int count)
{
    struct feature_cache *c = open_cache(f);
    for (int i = 0; i < count; i++)
        assert_int_equal(put(c, i, i % 2), ERR_OK);
    assert_int_equal(feature_cache_flush(c, NULL), ERR_OK);
    feature_cache_close(c);
}

static off_t size_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static void flip(const char *path, off_t at)
{
    CLEANUP(cleanup_fd) int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

static void kept_across_openings(void **state)
{
    struct fixture *f = *state;
    struct feature_cache *c = open_cache(f);
    assert_int_equal(feature_cache_count(c), 0);
    assert_false(get(c, 0, 0));
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(put(c, i, 0), ERR_OK);
        assert_int_equal(put(c, i, 1), ERR_OK);
        assert_true(get(c, i, 1)); /* also before it is written */
    }
    assert_int_equal(feature_cache_count(c), 6000);
    feature_cache_close(c); /* writes out what is pending */

    c = open_cache(f);
    assert_int_equal(feature_cache_count(c), 6000);
    for (int i = 0; i < 3000; i++)
        assert_true(get(c, i, 0) && get(c, i, 1) && !get(c, i, 2));
    assert_false(get(c, 3000, 0));
    assert_int_equal(size_of(f->path), HEADER + 6000 * RECORD);
    feature_cache_close(c);
    feature_cache_close(NULL);
}

static void every_float_comes_back_bit_for_bit(void **state)
{
    struct fixture *f = *state;
    const float vector[WIDTH] = { -0.0f, INFINITY, NAN, 1e-45f, 16777217.0f };
    float got[WIDTH];
    struct digest d = picture(1);
    struct feature_cache *c = open_cache(f);
    assert_int_equal(feature_cache_put(c, &d, 0, vector, NULL), ERR_OK);
    assert_int_equal(feature_cache_flush(c, NULL), ERR_OK);
    assert_true(feature_cache_get(c, &d, 0, got));
    assert_memory_equal(got, vector, sizeof vector);
    feature_cache_close(c);
}

static void the_file_is_what_is_promised(void **state)
{
    struct fixture *f = *state;
    fill(f, 2);
    CLEANUP(buf_fini) struct buf b;
    buf_init(&b, 1000);
    assert_int_equal(file_read(f->path, &b, NULL), ERR_OK);
    assert_int_equal(b.len, HEADER + 2 * RECORD);
    assert_memory_equal(b.data, "KNLFEAT\n\1\0\0\0\5\0\0\0", 16);
    assert_memory_equal(b.data + 16, f->key.bytes, DIGEST_BYTES);
    struct digest d = picture(1);
    const uint8_t *record = b.data + HEADER + RECORD;
    assert_memory_equal(record, d.bytes, DIGEST_BYTES);
    assert_memory_equal(record + 32, "\1\0\0\0", 4);
    assert_memory_equal(record + 36, "\0\0\x30\x41", 4); /* 11.0f */
}

static void the_later_of_two_counts(void **state)
{
    struct fixture *f = *state;
    float got[WIDTH] = { 0 };
    const float second[WIDTH] = { 7, 7, 7, 7, 7 };
    struct digest d = picture(1);
    fill(f, 5);
    struct feature_cache *c = open_cache(f);
    assert_int_equal(feature_cache_put(c, &d, 1, second, NULL), ERR_OK);
    assert_int_equal(feature_cache_count(c), 5);
    feature_cache_close(c);
    c = open_cache(f);
    assert_int_equal(feature_cache_count(c), 5);
    assert_true(feature_cache_get(c, &d, 1, got));
    assert_memory_equal(got, second, sizeof got);
    feature_cache_close(c);
}

static void a_torn_tail_is_cut_off(void **state)
{
    struct fixture *f = *state;
    for (off_t cut = 1; cut < RECORD; cut++) {
        fill(f, 3);
        assert_int_equal(truncate(f->path, HEADER + 3 * RECORD - cut), 0);
        struct feature_cache *c = open_cache(f);
        assert_int_equal(size_of(f->path), HEADER + 2 * RECORD);
        assert_true(get(c, 0, 0) && get(c, 1, 1) && !get(c, 2, 0));
        assert_int_equal(put(c, 2, 0), ERR_OK);
        feature_cache_close(c);
        c = open_cache(f);
        assert_true(get(c, 0, 0) && get(c, 1, 1) && get(c, 2, 0));
        feature_cache_close(c);
    }
}

static void a_flipped_byte_costs_its_record_only(void **state)
{
    struct fixture *f = *state;
    for (off_t at = 0; at < RECORD; at++) {
        fill(f, 3);
        flip(f->path, HEADER + RECORD + at);
        struct feature_cache *c = open_cache(f);
        assert_true(get(c, 0, 0) && get(c, 2, 0));
        assert_false(get(c, 1, 1));
        assert_false(get(c, 1, 1));
        assert_int_equal(put(c, 1, 1), ERR_OK);
        assert_true(get(c, 1, 1));
        feature_cache_close(c);
        c = open_cache(f);
        assert_true(get(c, 0, 0) && get(c, 1, 1) && get(c, 2, 0));
        feature_cache_close(c);
        assert_int_equal(unlink(f->path), 0);
    }
}

static void the_count_forgets_what_proves_unsound(void **state)
{
    struct fixture *f = *state;
    fill(f, 3);
    flip(f->path, HEADER + RECORD + 40);
    struct feature_cache *c = open_cache(f);
    assert_false(get(c, 1, 1));
    assert_int_equal(feature_cache_count(c), 2);
    assert_int_equal(put(c, 1, 1), ERR_OK);
    assert_int_equal(feature_cache_count(c), 3);
    feature_cache_close(c);
}

static void a_foreign_header_begins_the_file_anew(void **state)
{
    struct fixture *f = *state;
    for (off_t at = 0; at < HEADER; at++) {
        fill(f, 3);
        flip(f->path, at);
        struct feature_cache *c = open_cache(f);
        assert_int_equal(feature_cache_count(c), 0);
        assert_int_equal(size_of(f->path), HEADER);
        assert_int_equal(put(c, 7, 0), ERR_OK);
        feature_cache_close(c);
        c = open_cache(f);
        assert_true(get(c, 7, 0));
        feature_cache_close(c);
    }
    for (off_t size = 0; size < HEADER; size++) {
        assert_int_equal(truncate(f->path, size), 0);
        struct feature_cache *c = open_cache(f);
        assert_int_equal(feature_cache_count(c), 0);
        feature_cache_close(c);
    }
    struct feature_cache *wider;
    fill(f, 3);
    assert_int_equal(feature_cache_open(f->folder, &f->key, WIDTH + 1, 0, &wider, NULL), ERR_OK);
    assert_int_equal(feature_cache_count(wider), 0);
    feature_cache_close(wider);
}

static void keys_and_widths(void **state)
{
    struct fixture *f = *state;
    fill(f, 3);
    struct digest other = { { 1 } };
    struct feature_cache *c = NULL;
    assert_int_equal(feature_cache_open(f->folder, &other, WIDTH, 0, &c, NULL), ERR_OK);
    assert_int_equal(feature_cache_count(c), 0);
    feature_cache_close(c);
    assert_int_equal(feature_cache_open(f->folder, &other, 0, 0, &c, NULL), ERR_INTERNAL);
    assert_int_equal(feature_cache_open(f->folder, &other, -1, 0, &c, NULL), ERR_INTERNAL);
    assert_int_equal(feature_cache_open(f->path, &other, 1, 0, &c, NULL), ERR_IO);
    c = open_cache(f);
    assert_int_equal(feature_cache_count(c), 3);
    feature_cache_close(c);
}

/* RLIMIT_FSIZE gives a full disk's short writes. */
static void a_full_disk_loses_nothing(void **state)
{
    struct fixture *f = *state;
    fill(f, 3);
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = HEADER + 4 * RECORD + RECORD / 2;
    signal(SIGXFSZ, SIG_IGN);

    struct feature_cache *c = open_cache(f);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct err e;
    int count = 3;
    while (put(c, count, 0) == ERR_OK && count < 1 << 20)
        count++;
    enum err_code r = feature_cache_flush(c, &e);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(count > 1000 && count < 1 << 20);
    assert_int_equal(r, ERR_DISK_FULL);
    assert_non_null(strstr(e.message, f->path));
    /* What was there and what is pending can be read; only the refused one is missing. */
    assert_int_equal(size_of(f->path), HEADER + 3 * RECORD);
    assert_int_equal(feature_cache_count(c), count);
    assert_true(get(c, 0, 0) && get(c, 1, 1) && get(c, 3, 0) && get(c, count - 1, 0));
    assert_false(get(c, count, 0));
    /* With room again it goes on. */
    assert_int_equal(feature_cache_flush(c, NULL), ERR_OK);
    assert_int_equal(put(c, count, 0), ERR_OK);
    feature_cache_close(c);
    c = open_cache(f);
    assert_int_equal(feature_cache_count(c), count + 1);
    assert_true(get(c, 0, 0) && get(c, 3, 0) && get(c, count, 0));
    feature_cache_close(c);
}

/* The holder is another process, which says when it has the lock and goes when told. */
static void the_second_process_waits(void **state)
{
    struct fixture *f = *state;
    int ready[2], go[2];
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(go), 0);
    pid_t holder = fork();
    assert_true(holder >= 0);
    char byte;
    if (holder == 0) {
        struct feature_cache *c = NULL;
        if (feature_cache_open(f->folder, &f->key, WIDTH, 0, &c, NULL) || put(c, 1, 0) ||
            write(ready[1], "", 1) != 1 || read(go[0], &byte, 1) != 1)
            _exit(1);
        feature_cache_close(c);
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    struct feature_cache *c = NULL;
    struct err e;
    assert_int_equal(feature_cache_open(f->folder, &f->key, WIDTH, 0, &c, &e), ERR_BUSY);
    assert_int_equal(feature_cache_open(f->folder, &f->key, WIDTH, 30, &c, &e), ERR_BUSY);
    assert_non_null(strstr(e.message, "30 ms"));
    assert_null(c);
    assert_int_equal(write(go[1], "", 1), 1);
    assert_int_equal(feature_cache_open(f->folder, &f->key, WIDTH, 60000, &c, &e), ERR_OK);
    assert_true(get(c, 1, 0));
    feature_cache_close(c);
    int status;
    assert_int_equal(waitpid(holder, &status, 0), holder);
    assert_int_equal(status, 0);
    for (int i = 0; i < 2; i++) {
        close(ready[i]);
        close(go[i]);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(kept_across_openings),
        TEST(every_float_comes_back_bit_for_bit),
        TEST(the_file_is_what_is_promised),
        TEST(the_later_of_two_counts),
        TEST(a_torn_tail_is_cut_off),
        TEST(a_flipped_byte_costs_its_record_only),
        TEST(the_count_forgets_what_proves_unsound),
        TEST(a_foreign_header_begins_the_file_anew),
        TEST(keys_and_widths),
        TEST(a_full_disk_loses_nothing),
        TEST(the_second_process_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
