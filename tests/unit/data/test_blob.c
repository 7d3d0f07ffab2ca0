#include "data/blob.h"

#include "data/base/cleanup.h"
#include "data/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

struct fixture {
    char root[64];
    struct blobs *b;
};

static int set_up(void **state)
{
    static struct fixture f;
    strcpy(f.root, "/tmp/kennel-blob-XXXXXX");
    *state = &f;
    return mkdtemp(f.root) && blobs_open(f.root, false, &f.b, NULL) == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    blobs_close(f->b);
    return file_remove_tree(f->root, NULL) == ERR_OK ? 0 : -1;
}

static struct digest put(struct blobs *b, const char *text)
{
    struct digest d;
    assert_int_equal(blobs_put(b, text, strlen(text), &d, NULL), ERR_OK);
    return d;
}

static void assert_content(struct blobs *b, const struct digest *d, const char *text)
{
    struct buf got;
    buf_init(&got, 1000);
    assert_int_equal(blobs_get(b, d, true, &got, NULL), ERR_OK);
    assert_string_equal((char *)got.data, text);
    buf_fini(&got);
}

static int temporaries(struct fixture *f)
{
    char path[80];
    snprintf(path, sizeof path, "%s/tmp", f->root);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    int count = 0;
    for (struct dirent *d = readdir(dir); d; d = readdir(dir))
        count += d->d_name[0] != '.';
    closedir(dir);
    return count;
}

static struct stat stat_of(struct blobs *b, const struct digest *d)
{
    CLEANUP(cleanup_free) char *path = NULL;
    struct stat st;
    assert_int_equal(blobs_path(b, d, &path, NULL), ERR_OK);
    assert_int_equal(stat(path, &st), 0);
    return st;
}

static void spoil(struct blobs *b, const struct digest *d, const char *text)
{
    CLEANUP(cleanup_free) char *path = NULL;
    assert_int_equal(blobs_path(b, d, &path, NULL), ERR_OK);
    CLEANUP(cleanup_file) FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
}

static void put_and_get(void **state)
{
    struct fixture *f = *state;
    struct digest abc = put(f->b, "abc");
    struct digest empty = put(f->b, "");
    assert_content(f->b, &abc, "abc");
    assert_content(f->b, &empty, "");
    assert_true(blobs_has(f->b, &abc) && blobs_has(f->b, &empty));
    CLEANUP(cleanup_free) char *path = NULL;
    assert_int_equal(blobs_path(f->b, &abc, &path, NULL), ERR_OK);
    assert_non_null(strstr(path, "/sha256/ba/ba7816bf8f01cfea414140de5dae2223"));
    assert_int_equal(temporaries(f), 0);
    assert_int_equal(blobs_sync(f->b, NULL), ERR_OK);

    /* Another store on the same folder sees them. */
    struct blobs *other;
    assert_int_equal(blobs_open(f->root, true, &other, NULL), ERR_OK);
    assert_content(other, &abc, "abc");
    blobs_close(other);
}

static void what_is_there_is_not_written_again(void **state)
{
    struct fixture *f = *state;
    struct digest d = put(f->b, "abc");
    struct stat first = stat_of(f->b, &d);
    put(f->b, "abc");
    assert_int_equal(stat_of(f->b, &d).st_ino, first.st_ino);

    struct blob_writer *w;
    assert_int_equal(blob_writer_new(f->b, &w, NULL), ERR_OK);
    assert_int_equal(blob_writer_add(w, "abc", 3, NULL), ERR_OK);
    assert_int_equal(blob_writer_end(w, &d, NULL), ERR_OK);
    assert_int_equal(stat_of(f->b, &d).st_ino, first.st_ino);
    assert_int_equal(temporaries(f), 0);
}

/* What a power cut leaves of a file that was renamed and not synced. */
static void a_torn_file_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct digest d = put(f->b, "abcdef");
    spoil(f->b, &d, "");
    put(f->b, "abcdef");
    assert_content(f->b, &d, "abcdef");
    spoil(f->b, &d, "abc");
    struct blob_writer *w;
    assert_int_equal(blob_writer_new(f->b, &w, NULL), ERR_OK);
    assert_int_equal(blob_writer_add(w, "abcdef", 6, NULL), ERR_OK);
    assert_int_equal(blob_writer_end(w, &d, NULL), ERR_OK);
    assert_content(f->b, &d, "abcdef");
}

static void a_stream_is_one_blob(void **state)
{
    struct fixture *f = *state;
    struct blob_writer *w;
    struct digest d;
    assert_int_equal(blob_writer_new(f->b, &w, NULL), ERR_OK);
    for (int i = 0; i < 100; i++)
        assert_int_equal(blob_writer_add(w, "0123456789", (size_t)i % 11, NULL), ERR_OK);
    assert_int_equal(temporaries(f), 1);
    assert_int_equal(blob_writer_end(w, &d, NULL), ERR_OK);
    assert_int_equal(temporaries(f), 0);
    struct buf got;
    buf_init(&got, 1000);
    assert_int_equal(blobs_get(f->b, &d, true, &got, NULL), ERR_OK);
    assert_int_equal(got.len, 9 * 55);
    buf_fini(&got);

    assert_int_equal(blob_writer_new(f->b, &w, NULL), ERR_OK);
    assert_int_equal(blob_writer_add(w, "dropped", 7, NULL), ERR_OK);
    blob_writer_abort(w);
    blob_writer_abort(NULL);
    assert_int_equal(temporaries(f), 0);
}

static void get_says_what_is_wrong(void **state)
{
    struct fixture *f = *state;
    struct digest d = put(f->b, "abcdef"), absent = { { 1 } };
    struct buf got;
    struct err e;
    buf_init(&got, 8);
    assert_int_equal(buf_append(&got, "xy", 2, NULL), ERR_OK);
    assert_int_equal(blobs_get(f->b, &absent, false, &got, &e), ERR_BLOB_MISSING);
    assert_non_null(strstr(e.message, "0100000000"));
    assert_false(blobs_has(f->b, &absent));

    spoil(f->b, &d, "abcdeX");
    assert_int_equal(blobs_get(f->b, &d, true, &got, &e), ERR_BLOB_CORRUPT);
    assert_string_equal((char *)got.data, "xy");
    assert_int_equal(got.len, 2);
    assert_int_equal(blobs_get(f->b, &d, false, &got, &e), ERR_OK);
    assert_string_equal((char *)got.data, "xyabcdeX");

    got.len = 3;
    assert_int_equal(blobs_get(f->b, &d, false, &got, &e), ERR_BODY_TOO_LARGE);
    assert_int_equal(got.len, 3);
    buf_fini(&got);
}

static void removed_is_gone(void **state)
{
    struct fixture *f = *state;
    struct digest d = put(f->b, "abc");
    assert_int_equal(blobs_remove(f->b, &d, NULL), ERR_OK);
    assert_false(blobs_has(f->b, &d));
    assert_int_equal(blobs_remove(f->b, &d, NULL), ERR_OK);
    struct digest never = { { 3 } };
    assert_int_equal(blobs_remove(f->b, &never, NULL), ERR_OK);
}

static void only_the_owner_sweeps(void **state)
{
    struct fixture *f = *state;
    struct blob_writer *w;
    assert_int_equal(blob_writer_new(f->b, &w, NULL), ERR_OK);
    struct blobs *other;
    assert_int_equal(blobs_open(f->root, false, &other, NULL), ERR_OK);
    assert_int_equal(temporaries(f), 1);
    blobs_close(other);
    assert_int_equal(blobs_open(f->root, true, &other, NULL), ERR_OK);
    assert_int_equal(temporaries(f), 0);
    blobs_close(other);
    blob_writer_abort(w);
}

struct visited {
    struct blobs *b;
    int count;
    int stop_at;
};

static enum err_code visit(void *context, const struct digest *d, struct err *e)
{
    struct visited *v = context;
    assert_true(blobs_has(v->b, d));
    assert_int_equal(blobs_remove(v->b, d, e), ERR_OK);
    return ++v->count == v->stop_at ? err_set(e, ERR_CANCELLED, "enough") : ERR_OK;
}

static void a_walk_sees_each_once_and_may_remove(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 600; i++) {
        char text[20];
        snprintf(text, sizeof text, "blob %d", i);
        put(f->b, text);
    }
    /* What is no blob is none of ours. */
    char path[120];
    snprintf(path, sizeof path, "%s/sha256/ba/README", f->root);
    assert_int_equal(file_write_atomic(path, "x", 1, NULL), ERR_OK);
    struct visited v = { .b = f->b, .stop_at = 100 };
    struct err e;
    assert_int_equal(blobs_walk(f->b, visit, &v, &e), ERR_CANCELLED);
    assert_string_equal(e.message, "enough");
    assert_int_equal(v.count, 100);
    v.stop_at = 0;
    assert_int_equal(blobs_walk(f->b, visit, &v, NULL), ERR_OK);
    assert_int_equal(v.count, 600);
    v.count = 0;
    assert_int_equal(blobs_walk(f->b, visit, &v, NULL), ERR_OK);
    assert_int_equal(v.count, 0);
    assert_int_equal(access(path, F_OK), 0);
}

/* RLIMIT_FSIZE gives a full disk's short writes. */
static void a_full_disk_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 10;
    signal(SIGXFSZ, SIG_IGN);
    struct digest d = { { 9 } };
    struct blob_writer *w;
    assert_int_equal(blob_writer_new(f->b, &w, NULL), ERR_OK);

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum err_code put_result = blobs_put(f->b, "0123456789abc", 13, &d, NULL);
    enum err_code first = blob_writer_add(w, "0123456789", 10, NULL);
    enum err_code second = blob_writer_add(w, "abc", 3, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);

    assert_int_equal(put_result, ERR_DISK_FULL);
    assert_int_equal(first, ERR_OK);
    assert_int_equal(second, ERR_DISK_FULL);
    /* A writer that failed once cannot end well, even if there is room again. */
    assert_int_equal(blob_writer_end(w, &d, NULL), ERR_IO);
    assert_int_equal(d.bytes[0], 9);
    assert_int_equal(temporaries(f), 0);
    struct visited v = { .b = f->b };
    assert_int_equal(blobs_walk(f->b, visit, &v, NULL), ERR_OK);
    assert_int_equal(v.count, 0);
}

static void *put_many(void *context)
{
    struct blobs *b = context;
    for (int i = 0; i < 300; i++) {
        char text[20];
        struct digest d;
        snprintf(text, sizeof text, "shared %d", i);
        if (blobs_put(b, text, strlen(text), &d, NULL) != ERR_OK)
            return b;
    }
    return NULL;
}

static void threads_and_stores_put_the_same(void **state)
{
    struct fixture *f = *state;
    struct blobs *other;
    assert_int_equal(blobs_open(f->root, false, &other, NULL), ERR_OK);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, put_many, i % 2 ? other : f->b), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    blobs_close(other);
    assert_int_equal(temporaries(f), 0);
    struct visited v = { .b = f->b };
    assert_int_equal(blobs_walk(f->b, visit, &v, NULL), ERR_OK);
    assert_int_equal(v.count, 300);
}

static void a_store_needs_a_folder(void **state)
{
    struct fixture *f = *state;
    char path[80];
    snprintf(path, sizeof path, "%s/file", f->root);
    assert_int_equal(file_write_atomic(path, "x", 1, NULL), ERR_OK);
    struct blobs *b = NULL;
    struct err e;
    assert_int_equal(blobs_open(path, false, &b, &e), ERR_IO);
    assert_non_null(strstr(e.message, path));
    assert_null(b);
    blobs_close(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(put_and_get),
        TEST(what_is_there_is_not_written_again),
        TEST(a_torn_file_is_replaced),
        TEST(a_stream_is_one_blob),
        TEST(get_says_what_is_wrong),
        TEST(removed_is_gone),
        TEST(only_the_owner_sweeps),
        TEST(a_walk_sees_each_once_and_may_remove),
        TEST(a_full_disk_leaves_nothing),
        TEST(threads_and_stores_put_the_same),
        TEST(a_store_needs_a_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
