#include "data/feature_folder.h"

#include "data/base/cleanup.h"
#include "data/base/file.h"
#include "data/feature_cache.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int set_up(void **state)
{
    static char folder[64];
    strcpy(folder, "/tmp/kennel-features-XXXXXX");
    *state = folder;
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    return file_remove_tree(*state, NULL) == ERR_OK ? 0 : -1;
}

/* A file of 100 bytes, last used at that second. */
static void put(const char *folder, const char *name, time_t used)
{
    static const char bytes[100] = "";
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(file_write_atomic(path, bytes, sizeof bytes, NULL), ERR_OK);
    const struct timespec times[2] = { { .tv_sec = used }, { .tv_sec = used } };
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static bool is_there(const char *folder, const char *name)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static void expect(const char *folder, uint64_t max, bool dry_run, int64_t files, int64_t removed)
{
    struct feature_folder f;
    struct err e;
    assert_int_equal(feature_folder_trim(folder, max, dry_run, &f, &e), ERR_OK);
    assert_int_equal(f.files, files);
    assert_int_equal(f.bytes, 100 * files);
    assert_int_equal(f.removed_files, removed);
    assert_int_equal(f.removed_bytes, 100 * removed);
}

static void test_what_was_used_longest_ago_goes(void **context)
{
    const char *folder = *context;
    put(folder, "b", 1000);
    put(folder, "a", 3000);
    put(folder, "c", 2000);
    expect(folder, 300, false, 3, 0);
    expect(folder, 299, true, 2, 1);
    assert_true(is_there(folder, "b"));
    expect(folder, 299, false, 2, 1);
    assert_false(is_there(folder, "b"));
    expect(folder, 100, false, 1, 1);
    assert_true(is_there(folder, "a"));
    expect(folder, 0, false, 0, 1);
    expect(folder, 0, false, 0, 0);
}

static void test_what_is_written_stays(void **context)
{
    const char *folder = *context;
    char path[160];
    put(folder, "old", 1000);
    put(folder, "new", 2000);
    snprintf(path, sizeof path, "%s/old", folder);
    int fd = open(path, O_RDWR);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    expect(folder, 0, true, 1, 1);
    expect(folder, 0, false, 1, 1);
    assert_true(is_there(folder, "old"));
    close(fd);
    expect(folder, 0, false, 0, 1);
}

static void test_other_things(void **context)
{
    const char *folder = *context;
    char path[160];
    snprintf(path, sizeof path, "%s/folder", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    expect(folder, 0, false, 0, 0);
    assert_true(is_there(folder, "folder"));
    expect(path, 0, false, 0, 0);
    snprintf(path, sizeof path, "%s/none", folder);
    expect(path, 0, false, 0, 0);
    put(folder, "file", 1);
    struct feature_folder f = { .files = 7 };
    snprintf(path, sizeof path, "%s/file", folder);
    assert_int_equal(feature_folder_trim(path, 0, false, &f, NULL), ERR_IO);
    assert_int_equal(f.files, 7);
}

static void test_opening_is_a_use(void **context)
{
    const char *folder = *context;
    struct feature_cache *c = NULL;
    struct digest key;
    char hex[DIGEST_HEX + 1];
    assert_int_equal(digest_of("key", 3, &key, NULL), ERR_OK);
    digest_hex(&key, hex);
    assert_int_equal(feature_cache_open(folder, &key, 5, 0, &c, NULL), ERR_OK);
    feature_cache_close(c);
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, hex);
    const struct timespec long_ago[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
    assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
    put(folder, "other", 1000);
    assert_int_equal(feature_cache_open(folder, &key, 5, 0, &c, NULL), ERR_OK);
    feature_cache_close(c);
    struct feature_folder f;
    assert_int_equal(feature_folder_trim(folder, 100, false, &f, NULL), ERR_OK);
    assert_true(is_there(folder, hex));
    assert_false(is_there(folder, "other"));
}

struct writer {
    const char *folder;
    struct digest key;
    enum err_code code;
};

static void *write_one(void *context)
{
    static const float vector[5] = { 1, 2, 3, 4, 5 };
    struct writer *w = context;
    struct feature_cache *c = NULL;
    w->code = feature_cache_open(w->folder, &w->key, 5, 60000, &c, NULL);
    if (!w->code)
        w->code = feature_cache_put(c, &w->key, 0, vector, NULL);
    if (!w->code)
        w->code = feature_cache_flush(c, NULL);
    feature_cache_close(c);
    return NULL;
}

/* Waits until somebody else has the file open: proc(5), fd. */
static void wait_for_another(const char *path)
{
    for (int open_ones = 0; open_ones < 2;) {
        open_ones = 0;
        for (int fd = 0; fd < 64; fd++) {
            char link[64], target[160];
            snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
            ssize_t n = readlink(link, target, sizeof target - 1);
            if (n > 0) {
                target[n] = 0;
                open_ones += strcmp(target, path) == 0;
            }
        }
    }
}

static void test_who_waited_for_what_went_opens_it_anew(void **context)
{
    struct writer w = { .folder = *context };
    struct feature_cache *c = NULL;
    char hex[DIGEST_HEX + 1], path[160];
    pthread_t thread;
    float vector[5];
    assert_int_equal(digest_of("key", 3, &w.key, NULL), ERR_OK);
    digest_hex(&w.key, hex);
    snprintf(path, sizeof path, "%s/%s", w.folder, hex);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(pthread_create(&thread, NULL, write_one, &w), 0);
    wait_for_another(path);
    assert_int_equal(unlink(path), 0);
    close(fd);
    pthread_join(thread, NULL);
    assert_int_equal(w.code, ERR_OK);
    assert_int_equal(feature_cache_open(w.folder, &w.key, 5, 0, &c, NULL), ERR_OK);
    assert_true(feature_cache_get(c, &w.key, 0, vector));
    assert_true(vector[4] > 4.5F);
    feature_cache_close(c);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_what_was_used_longest_ago_goes),
        T(test_what_is_written_stays),
        T(test_other_things),
        T(test_opening_is_a_use),
        T(test_who_waited_for_what_went_opens_it_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
