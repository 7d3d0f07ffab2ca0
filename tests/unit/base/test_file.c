#include "data/base/file.h"

#include "data/base/cleanup.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

struct fixture {
    char folder[64];
    char path[80]; /* of a file in it that is not there yet */
};

static int set_up(void **state)
{
    static struct fixture f;
    strcpy(f.folder, "/tmp/kennel-file-XXXXXX");
    if (!mkdtemp(f.folder))
        return -1;
    snprintf(f.path, sizeof f.path, "%s/file", f.folder);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    return file_remove_tree(f->folder, NULL) == ERR_OK ? 0 : -1;
}

static int count_files(const char *folder)
{
    int count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *d = readdir(dir); d; d = readdir(dir))
        count += d->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void assert_content(const char *path, const char *text)
{
    struct buf b;
    buf_init(&b, 100);
    assert_int_equal(file_read(path, &b, NULL), ERR_OK);
    assert_string_equal((char *)b.data, text);
    buf_fini(&b);
}

static void written_whole_and_replaced(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(file_write_atomic(f->path, "one", 3, NULL), ERR_OK);
    assert_content(f->path, "one");
    assert_int_equal(file_write_atomic(f->path, "", 0, NULL), ERR_OK);
    assert_content(f->path, "");
    assert_int_equal(file_write_atomic(f->path, "three", 5, NULL), ERR_OK);
    assert_content(f->path, "three");
    assert_int_equal(count_files(f->folder), 1);
}

static void a_failed_write_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct err e;
    char below[100];
    snprintf(below, sizeof below, "%s/absent/file", f->folder);
    assert_int_equal(file_write_atomic(below, "x", 1, &e), ERR_IO);
    assert_non_null(strstr(e.message, "absent"));
    /* A folder cannot be replaced by a file. */
    assert_int_equal(mkdir(f->path, 0700), 0);
    assert_int_equal(file_write_atomic(f->path, "x", 1, &e), ERR_IO);
    assert_int_equal(count_files(f->folder), 1);
}

static void read_appends_up_to_the_limit(void **state)
{
    struct fixture *f = *state;
    static const size_t sizes[] = { 0, 1, 255, 256, 257, 511, 512, 65536, 65537, 200000 };
    char *bytes = malloc(200001);
    assert_non_null(bytes);
    for (size_t i = 0; i < 200001; i++)
        bytes[i] = (char)(i * 31 + i / 256);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t len = sizes[i];
        assert_int_equal(file_write_atomic(f->path, bytes, len, NULL), ERR_OK);
        struct buf b;
        buf_init(&b, len + 2);
        assert_int_equal(buf_append(&b, "ab", 2, NULL), ERR_OK);
        assert_int_equal(file_read(f->path, &b, NULL), ERR_OK);
        assert_int_equal(b.len, len + 2);
        assert_memory_equal(b.data, "ab", 2);
        assert_memory_equal(b.data + 2, bytes, len);
        assert_int_equal(b.data[b.len], 0);
        buf_fini(&b);
        if (!len)
            continue;
        struct err e;
        buf_init(&b, len + 1);
        assert_int_equal(buf_append(&b, "ab", 2, NULL), ERR_OK);
        assert_int_equal(file_read(f->path, &b, &e), ERR_BODY_TOO_LARGE);
        assert_string_equal((char *)b.data, "ab");
        buf_fini(&b);
    }
    free(bytes);
}

static void *feed(void *context)
{
    const char *path = context;
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    char block[1000];
    memset(block, 'p', sizeof block);
    for (int i = 0; i < 100; i++)
        if (write(fd, block, sizeof block) < 0)
            break;
    close(fd);
    return NULL;
}

/* A file whose size is not known beforehand: nothing of it stays when it proves too long. */
static void read_of_unknown_size(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mkfifo(f->path, 0600), 0);
    static const struct {
        size_t max;
        enum err_code r;
    } cases[] = { { 100000, ERR_OK }, { 99999, ERR_BODY_TOO_LARGE }, { 1 << 20, ERR_OK } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pthread_t feeder;
        /* The reader of a pipe may go before its writer is done. */
        assert_int_equal(pthread_create(&feeder, NULL, feed, f->path), 0);
        struct buf b;
        buf_init(&b, cases[i].max);
        assert_int_equal(file_read(f->path, &b, NULL), cases[i].r);
        assert_int_equal(b.len, cases[i].r ? 0 : 100000);
        buf_fini(&b);
        pthread_join(feeder, NULL);
    }
}

static void read_of_what_is_no_file(void **state)
{
    struct fixture *f = *state;
    struct buf b;
    struct err e;
    buf_init(&b, 100);
    assert_int_equal(file_read(f->path, &b, &e), ERR_IO);
    assert_non_null(strstr(e.message, f->path));
    buf_init(&b, 1 << 20);
    assert_int_equal(file_read(f->folder, &b, &e), ERR_IO);
    buf_fini(&b);
}

static void mkdirs_makes_what_is_missing(void **state)
{
    struct fixture *f = *state;
    char path[120];
    struct stat st;
    static const char *const below[] = { "a", "a/b/c", "a/b/c/", "d//e", "" };
    for (size_t i = 0; i < sizeof below / sizeof *below; i++) {
        snprintf(path, sizeof path, "%s/%s", f->folder, below[i]);
        assert_int_equal(file_mkdirs(path, NULL), ERR_OK);
        assert_int_equal(stat(path, &st), 0);
        assert_true(S_ISDIR(st.st_mode));
    }
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(file_mkdirs("/", NULL), ERR_OK);
    assert_int_equal(file_mkdirs("", NULL), ERR_IO);
}

static void mkdirs_refuses_a_file_in_the_way(void **state)
{
    struct fixture *f = *state;
    struct err e;
    char below[100];
    assert_int_equal(file_write_atomic(f->path, "x", 1, NULL), ERR_OK);
    assert_int_equal(file_mkdirs(f->path, &e), ERR_IO);
    assert_non_null(strstr(e.message, f->path));
    snprintf(below, sizeof below, "%s/x", f->path);
    assert_int_equal(file_mkdirs(below, &e), ERR_IO);
}

static void remove_tree_does_not_follow_links(void **state)
{
    struct fixture *f = *state;
    char inner[100], kept[100], link[120];
    snprintf(inner, sizeof inner, "%s/tree/x/y", f->folder);
    snprintf(kept, sizeof kept, "%s/kept", f->folder);
    snprintf(link, sizeof link, "%s/link", inner);
    assert_int_equal(file_mkdirs(inner, NULL), ERR_OK);
    assert_int_equal(file_mkdirs(kept, NULL), ERR_OK);
    assert_int_equal(symlink(kept, link), 0);
    snprintf(inner, sizeof inner, "%s/tree", f->folder);
    assert_int_equal(file_remove_tree(inner, NULL), ERR_OK);
    assert_int_equal(access(inner, F_OK), -1);
    assert_int_equal(access(kept, F_OK), 0);
    assert_int_equal(file_remove_tree(inner, NULL), ERR_OK);
}

static void write_all_names_what_failed(void **state)
{
    struct fixture *f = *state;
    struct err e;
    CLEANUP(cleanup_fd) int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_int_equal(file_write_all(fd, "x", 1, f->path, &e), ERR_DISK_FULL);
    assert_non_null(strstr(e.message, f->path));
    assert_int_equal(file_sync_dir(f->folder, NULL), ERR_OK);
    assert_int_equal(file_sync_dir(f->path, NULL), ERR_IO);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(written_whole_and_replaced),       TEST(a_failed_write_leaves_nothing),
        TEST(read_appends_up_to_the_limit),     TEST(read_of_unknown_size),
        TEST(read_of_what_is_no_file),          TEST(mkdirs_makes_what_is_missing),
        TEST(mkdirs_refuses_a_file_in_the_way), TEST(remove_tree_does_not_follow_links),
        TEST(write_all_names_what_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
