/* Every step that can fail fails once: the Nth write, sync, rename, open, allocation of the ground
 * floor, for all N until the fault no longer strikes. Runs itself under the shim of
 * tests/fault/README.md; each case is a process of its own, because some end in SIGKILL. */
#include "data/archive.h"
#include "data/base/cleanup.h"
#include "data/base/file.h"
#include "data/base/json.h"
#include "data/blob.h"
#include "data/feature_cache.h"
#include "data/image.h"
#include "data/manifest.h"
#include "tests/fault/shim.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { SKIPPED = 77, CASES_MAX = 20000 };

/* What a case's process says with its exit status; with REFUSED + code: that error. None is what
 * a library's exit() would say. */
enum { NOT_STRUCK = 50, STRUCK, WRONG, REFUSED = 100 };

struct work {
    const char *name;
    enum err_code (*run)(const char *folder, struct err *e); /* what is made to fail */
    void (*prepare)(const char *folder);                     /* before each case */
    void (*check)(const char *folder, enum err_code r);      /* after it; ERR_CANCELLED: killed */
    bool may_exit;      /* without memory a library ends the process */
    long leaks;         /* blocks that libraries lose without memory */
    enum err_code also; /* what may be said instead of ERR_NOMEM */
};

static void fresh_folder(char ret[64])
{
    strcpy(ret, "/tmp/kennel-fault-XXXXXX");
    assert_non_null(mkdtemp(ret));
}

static int run_case(const struct work *w, const char *folder, const char *spec)
{
    struct err e = { 0 };
    if (!fault_arm(spec))
        return WRONG;
    enum err_code r = w->run(folder, &e);
    bool struck = fault_disarm();
    if (r == ERR_OK)
        return struck ? REFUSED + ERR_OK : NOT_STRUCK;
    if (!struck || e.code != r || !e.message[0]) {
        print_error("%s: %s: %s\n", spec, err_slug(r), e.message);
        return WRONG;
    }
    return REFUSED + (int)r;
}

/* The wait status of a process that runs one case. */
static int fork_case(const struct work *w, const char *folder, const char *spec,
                     int (*run)(const struct work *, const char *, const char *))
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        /* cmocka would go on with the next test in this process. */
        signal(SIGSEGV, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
        _exit(run(w, folder, spec));
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* True while the fault strikes. */
static bool try_case(const struct work *w, const char *spec, enum err_code expected)
{
    char folder[64];
    fresh_folder(folder);
    if (w->prepare)
        w->prepare(folder);
    int status = fork_case(w, folder, spec, run_case);
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    int verdict = WIFEXITED(status) ? WEXITSTATUS(status) : WRONG;
    enum err_code r = killed ? ERR_CANCELLED : ERR_OK;
    if (verdict >= REFUSED)
        r = (enum err_code)(verdict - REFUSED);
    bool is_right = killed || verdict == NOT_STRUCK || verdict == REFUSED ||
                    (verdict > REFUSED && r == expected);
    if (!is_right)
        print_error("%s: status %#x, %s\n", spec, (unsigned)status, err_slug(r));
    assert_true(is_right);
    if (w->check)
        w->check(folder, r);
    assert_int_equal(file_remove_tree(folder, NULL), ERR_OK);
    return verdict != NOT_STRUCK;
}

static void fail_each(const struct work *w, const char *const *calls, size_t count)
{
    static const struct {
        const char *action;
        enum err_code expected;
    } actions[] = { { "enospc", ERR_DISK_FULL },
                    { "eio", ERR_IO },
                    { "kill", ERR_OK },
                    { "torn", ERR_DISK_FULL } };
    for (size_t c = 0; c < count; c++) {
        for (size_t a = 0; a < sizeof actions / sizeof *actions; a++) {
            if (strcmp(actions[a].action, "torn") == 0 && strcmp(calls[c], "write") != 0)
                continue;
            int n = 1;
            char spec[60];
            do {
                assert_true(n < CASES_MAX);
                snprintf(spec, sizeof spec, "%s:%d:%s", calls[c], n++, actions[a].action);
            } while (try_case(w, spec, actions[a].expected));
            /* It struck at least once, else nothing was tested. */
            assert_true(n > 2);
        }
    }
}

/* ---- file_write_atomic() */

static const char old_text[] = "the old content";
static const char new_text[] = "the new content, which is longer";

static void prepare_file(const char *folder)
{
    CLEANUP(cleanup_free) char *path = NULL;
    assert_int_equal(file_path(&path, NULL, "%s/file", folder), ERR_OK);
    assert_int_equal(file_write_atomic(path, old_text, strlen(old_text), NULL), ERR_OK);
}

static enum err_code replace_file(const char *folder, struct err *e)
{
    CLEANUP(cleanup_free) char *path = NULL;
    enum err_code r = file_path(&path, e, "%s/file", folder);
    return r ? r : file_write_atomic(path, new_text, strlen(new_text), e);
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

static void check_file(const char *folder, enum err_code r)
{
    CLEANUP(cleanup_free) char *path = NULL;
    CLEANUP(buf_fini) struct buf b;
    buf_init(&b, 1000);
    assert_int_equal(file_path(&path, NULL, "%s/file", folder), ERR_OK);
    assert_int_equal(file_read(path, &b, NULL), ERR_OK);
    bool is_new = strcmp((char *)b.data, new_text) == 0;
    assert_true(is_new || (r && strcmp((char *)b.data, old_text) == 0));
    assert_true(r == ERR_CANCELLED || count_files(folder) == 1);
}

static void a_file_is_old_or_new(void **state)
{
    (void)state;
    static const char *const calls[] = { "write", "fsync", "rename", "open" };
    fail_each(&(struct work){ .run = replace_file, .prepare = prepare_file, .check = check_file },
              calls, 4);
}

/* ---- blobs */

enum { BLOBS = 4 };

static void blob_text(int i, char ret[3000])
{
    memset(ret, 'a' + i, 2999);
    ret[2999] = 0;
}

static enum err_code put_blobs(const char *folder, struct err *e)
{
    struct blobs *b;
    enum err_code r = blobs_open(folder, true, &b, e);
    if (r)
        return r;
    char text[3000];
    struct digest d;
    for (int i = 0; i < BLOBS - 1 && !r; i++) {
        blob_text(i, text);
        r = blobs_put(b, text, strlen(text), &d, e);
    }
    struct blob_writer *w = NULL;
    if (!r)
        r = blob_writer_new(b, &w, e);
    blob_text(BLOBS - 1, text);
    for (int i = 0; i < 3 && !r; i++)
        r = blob_writer_add(w, text + i * 1000, i < 2 ? 1000 : 999, e);
    if (!r) {
        r = blob_writer_end(w, &d, e);
        w = NULL;
    }
    blob_writer_abort(w);
    if (!r)
        r = blobs_sync(b, e);
    blobs_close(b);
    return r;
}

static void prepare_blobs(const char *folder)
{
    struct blobs *b;
    struct digest d;
    char text[3000];
    assert_int_equal(blobs_open(folder, true, &b, NULL), ERR_OK);
    blob_text(0, text);
    assert_int_equal(blobs_put(b, text, strlen(text), &d, NULL), ERR_OK);
    blobs_close(b);
}

static enum err_code count_sound(void *context, const struct digest *d, struct err *e)
{
    struct {
        struct blobs *b;
        int count;
    } *c = context;
    CLEANUP(buf_fini) struct buf got;
    buf_init(&got, 10000);
    c->count++;
    return blobs_get(c->b, d, true, &got, e);
}

static void check_blobs(const char *folder, enum err_code r)
{
    struct {
        struct blobs *b;
        int count;
    } c = { 0 };
    CLEANUP(cleanup_free) char *temporaries = NULL;
    assert_int_equal(file_path(&temporaries, NULL, "%s/tmp", folder), ERR_OK);
    assert_true(r == ERR_CANCELLED || count_files(temporaries) == 0);
    assert_int_equal(blobs_open(folder, true, &c.b, NULL), ERR_OK);
    assert_int_equal(count_files(temporaries), 0);
    assert_int_equal(blobs_walk(c.b, count_sound, &c, NULL), ERR_OK);
    assert_in_range(c.count, r ? 1 : BLOBS, BLOBS);
    struct err e;
    assert_int_equal(put_blobs(folder, &e), ERR_OK);
    blobs_close(c.b);
}

static void blobs_are_whole_or_absent(void **state)
{
    (void)state;
    static const char *const calls[] = { "write", "syncfs", "rename", "open", "mkdir" };
    fail_each(&(struct work){ .run = put_blobs, .prepare = prepare_blobs, .check = check_blobs },
              calls, 5);
}

/* ---- the feature cache */

enum { WIDTH = 20000, OLD_RECORDS = 3, RECORDS = 40 };

static const struct digest cache_key = { { 1 } };

static enum err_code add_records(const char *folder, int from, int to, struct err *e)
{
    struct feature_cache *c;
    enum err_code r = feature_cache_open(folder, &cache_key, WIDTH, 0, &c, e);
    if (r)
        return r;
    float *vector = calloc(WIDTH, sizeof *vector);
    if (!vector)
        r = err_set(e, ERR_NOMEM, "no memory for a vector");
    for (int i = from; i < to && !r; i++) {
        struct digest d = { { (uint8_t)i, 7 } };
        for (int k = 0; k < WIDTH; k++)
            vector[k] = (float)(i * 1000 + k);
        r = feature_cache_put(c, &d, i & 1, vector, e);
    }
    if (!r)
        r = feature_cache_flush(c, e);
    free(vector);
    feature_cache_close(c);
    return r;
}

static void prepare_cache(const char *folder)
{
    assert_int_equal(add_records(folder, 0, OLD_RECORDS, NULL), ERR_OK);
}

static enum err_code extend_cache(const char *folder, struct err *e)
{
    return add_records(folder, OLD_RECORDS, RECORDS, e);
}

static void check_cache(const char *folder, enum err_code r)
{
    struct feature_cache *c;
    assert_int_equal(feature_cache_open(folder, &cache_key, WIDTH, 0, &c, NULL), ERR_OK);
    float *vector = calloc(WIDTH, sizeof *vector);
    assert_non_null(vector);
    for (int i = 0; i < RECORDS; i++) {
        struct digest d = { { (uint8_t)i, 7 } };
        bool found = feature_cache_get(c, &d, i & 1, vector);
        assert_true(found || (r && i >= OLD_RECORDS));
        for (int k = 0; k < WIDTH && found; k++)
            assert_true(vector[k] == (float)(i * 1000 + k));
    }
    free(vector);
    feature_cache_close(c);
    assert_int_equal(extend_cache(folder, NULL), ERR_OK);
}

static void what_the_cache_had_it_keeps(void **state)
{
    (void)state;
    static const char *const calls[] = { "write", "fsync", "open" };
    fail_each(&(struct work){ .run = extend_cache, .prepare = prepare_cache, .check = check_cache },
              calls, 3);
}

/* ---- memory */

static struct buf archives[3];
static struct buf pictures[8];
static size_t picture_count;

static la_ssize_t to_buf(struct archive *a, void *context, const void *bytes, size_t len)
{
    (void)a;
    return buf_append(context, bytes, len, NULL) ? -1 : (la_ssize_t)len;
}

static void make_archive(struct buf *ret, int kind)
{
    buf_init(ret, 1 << 20);
    struct archive *a = archive_write_new();
    if (kind == 2)
        archive_write_set_format_zip(a);
    else
        archive_write_set_format_pax(a);
    if (kind == 1)
        archive_write_add_filter_gzip(a);
    assert_int_equal(archive_write_open(a, ret, NULL, to_buf, NULL), ARCHIVE_OK);
    static const char *const paths[] = { "train/a/1.jpg", "train/b/2.jpg", "val/caf\xc3\xa9/3" };
    for (int i = 0; i < 3; i++) {
        struct archive_entry *entry = archive_entry_new();
        archive_entry_set_pathname(entry, paths[i]);
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_size(entry, 1000);
        assert_true(archive_write_header(a, entry) >= ARCHIVE_WARN);
        char bytes[1000] = "some bytes";
        assert_int_equal(archive_write_data(a, bytes, sizeof bytes), sizeof bytes);
        archive_entry_free(entry);
    }
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
}

struct feed {
    const struct buf *from;
    size_t at;
};

static ssize_t read_feed(void *context, void *bytes, size_t len, struct err *e)
{
    (void)e;
    struct feed *f = context;
    size_t left = f->from->len - f->at;
    size_t n = left < len ? left : len;
    memcpy(bytes, f->from->data + f->at, n);
    f->at += n;
    return (ssize_t)n;
}

static enum err_code take_path(void *context, const char *path, const uint8_t *bytes, size_t len,
                               struct err *e)
{
    (void)context, (void)bytes, (void)len;
    struct layout l;
    bool skip;
    return layout_parse(path, &l, &skip, e);
}

static const struct archive_limits limits = { 100, 1 << 20, 1 << 24 };

static enum err_code walk_tar(const char *folder, struct err *e)
{
    (void)folder;
    return archive_walk(read_feed, &(struct feed){ &archives[0], 0 }, &limits, take_path, NULL, e);
}

static enum err_code walk_tar_gz(const char *folder, struct err *e)
{
    (void)folder;
    return archive_walk(read_feed, &(struct feed){ &archives[1], 0 }, &limits, take_path, NULL, e);
}

static enum err_code walk_zip(const char *folder, struct err *e)
{
    (void)folder;
    return archive_walk(read_feed, &(struct feed){ &archives[2], 0 }, &limits, take_path, NULL, e);
}

static void prepare_folder(const char *folder)
{
    CLEANUP(cleanup_free) char *path = NULL;
    assert_int_equal(file_path(&path, NULL, "%s/train/a/b", folder), ERR_OK);
    assert_int_equal(file_mkdirs(path, NULL), ERR_OK);
    prepare_file(folder);
}

static enum err_code ignore_file(void *context, const char *path, const uint8_t *bytes, size_t len,
                                 struct err *e)
{
    (void)context, (void)path, (void)bytes, (void)len, (void)e;
    return ERR_OK;
}

static enum err_code walk_folder(const char *folder, struct err *e)
{
    return archive_walk_folder(folder, &limits, ignore_file, NULL, e);
}

static enum err_code read_and_write_json(const char *folder, struct err *e)
{
    (void)folder;
    static const char text[] = "{\"name\":\"dogs\",\"list\":[1,2.5,\"\\u00e9\",null,{\"a\":{}}]}";
    CLEANUP(json_decref_p) json_t *value = NULL;
    enum err_code r = json_read(text, sizeof text - 1, &value, e);
    if (r)
        return r;
    r = json_put(value, "more", json_string("text"), e);
    CLEANUP(buf_fini) struct buf b;
    buf_init(&b, 1000);
    return r ? r : json_write(value, &b, e);
}

static enum err_code write_and_parse_manifest(const char *folder, struct err *e)
{
    (void)folder;
    CLEANUP(buf_fini) struct buf b;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < 200; i++) {
        char label[20];
        snprintf(label, sizeof label, "label %d", i % 90);
        struct digest d = { { (uint8_t)i } };
        enum err_code r = manifest_line(&b, &d, SPLIT_TRAIN, label, e);
        if (r)
            return r;
    }
    struct manifest m;
    enum err_code r = manifest_parse((char *)b.data, b.len, &m, e);
    if (!r)
        manifest_fini(&m);
    return r;
}

static enum err_code decode_pictures(const char *folder, struct err *e)
{
    (void)folder;
    const struct image_limits pixels = { .max_pixels = 1 << 20 };
    enum err_code r = ERR_OK;
    for (size_t i = 0; i < picture_count && r != ERR_NOMEM; i++) {
        struct image img = { 0 };
        r = image_decode(pictures[i].data, pictures[i].len, &pixels, 0, &img, e);
        image_fini(&img);
    }
    return r == ERR_NOMEM ? r : ERR_OK;
}

static enum err_code stream_digest(const char *folder, struct err *e)
{
    (void)folder;
    struct digest_stream *s;
    struct digest d;
    enum err_code r = digest_stream_new(&s, e);
    if (r)
        return r;
    r = digest_stream_add(s, "abc", 3, e);
    digest_stream_end(s, &d);
    digest_stream_free(s);
    return r ? r : digest_of("abc", 3, &d, e);
}

static void load_pictures(void)
{
    const char *source = getenv("KENNEL_SOURCE");
    CLEANUP(cleanup_free) char *folder = NULL;
    if (!source || file_path(&folder, NULL, "%s/tests/fuzz/corpus/image", source))
        return;
    DIR *dir = opendir(folder);
    for (struct dirent *d = dir ? readdir(dir) : NULL; d && picture_count < 8; d = readdir(dir)) {
        CLEANUP(cleanup_free) char *path = NULL;
        struct buf *b = &pictures[picture_count];
        buf_init(b, 1 << 16);
        if (d->d_name[0] != '.' && file_path(&path, NULL, "%s/%s", folder, d->d_name) == ERR_OK &&
            file_read(path, b, NULL) == ERR_OK)
            picture_count++;
        else
            buf_fini(b);
    }
    if (dir)
        closedir(dir);
}

/* Also that nothing leaks: what is allocated after arming is freed again. */
static int run_memory_case(const struct work *w, const char *folder, const char *spec)
{
    struct err e = { 0 };
    if (!fault_arm(spec))
        return WRONG;
    enum err_code r = w->run(folder, &e);
    bool struck = fault_disarm();
    long live = fault_live();
    if (live > w->leaks || (r && (!struck || e.code != r)) ||
        (r && r != ERR_NOMEM && r != w->also)) {
        print_message("%s: %s: %s, %ld blocks leaked\n", spec, err_slug(r), e.message, live);
        return WRONG;
    }
    return struck ? STRUCK : NOT_STRUCK;
}

/* As run_memory_case(), without the last words of libarchive, which ends the process with status
 * 1 when it has no memory for a few bytes of a name. */
static int run_archive_case(const struct work *w, const char *folder, const char *spec)
{
    if (!freopen("/dev/null", "w", stderr))
        return WRONG;
    return run_memory_case(w, folder, spec);
}

static bool try_memory_case(const struct work *w, const char *spec)
{
    char folder[64];
    fresh_folder(folder);
    if (w->prepare)
        w->prepare(folder);
    int status = fork_case(w, folder, spec, w->may_exit ? run_archive_case : run_memory_case);
    int verdict = WIFEXITED(status) ? WEXITSTATUS(status) : WRONG;
    if (w->may_exit && verdict == EXIT_FAILURE)
        verdict = STRUCK;
    if (verdict != STRUCK && verdict != NOT_STRUCK)
        print_error("%s: %s: status %#x\n", w->name, spec, (unsigned)status);
    assert_in_range(verdict, NOT_STRUCK, STRUCK);
    assert_int_equal(file_remove_tree(folder, NULL), ERR_OK);
    return verdict == STRUCK;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    /* glibc's newlocale() and gnutls_hash_fast() lose a block when they run out of memory;
     * libarchive takes a format whose reader had none for no format. */
#define ARCHIVE .may_exit = true, .leaks = 1, .also = ERR_ARCHIVE_FORMAT
    static const struct work works[] = {
        { .name = "tar", .run = walk_tar, ARCHIVE },
        { .name = "tar.gz", .run = walk_tar_gz, ARCHIVE },
        { .name = "zip", .run = walk_zip, ARCHIVE },
        { .name = "folder", .run = walk_folder, .prepare = prepare_folder },
        { .name = "json", .run = read_and_write_json },
        { .name = "manifest", .run = write_and_parse_manifest },
        { .name = "digest", .run = stream_digest, .leaks = 1 },
        { .name = "file", .run = replace_file, .prepare = prepare_file },
        { .name = "blobs", .run = put_blobs, .prepare = prepare_blobs, .leaks = 1 },
        { .name = "features", .run = extend_cache, .prepare = prepare_cache },
        { .name = "pictures", .run = decode_pictures },
    };
    for (int i = 0; i < 3; i++)
        make_archive(&archives[i], i);
    load_pictures();
    for (size_t i = 0; i < sizeof works / sizeof *works; i++) {
        /* Once without a fault, so that what libraries keep for good is there. */
        char folder[64];
        fresh_folder(folder);
        if (works[i].prepare)
            works[i].prepare(folder);
        assert_int_equal(works[i].run(folder, NULL), ERR_OK);
        assert_int_equal(file_remove_tree(folder, NULL), ERR_OK);
        for (int and_later = 0; and_later < 2; and_later++) {
            char spec[40];
            int n = 0;
            do {
                assert_true(++n < CASES_MAX);
                snprintf(spec, sizeof spec, "malloc:%d%s:enomem", n, and_later ? "+" : "");
            } while (try_memory_case(&works[i], spec));
            assert_true(n > 1 || (works[i].run == decode_pictures && picture_count == 0));
        }
    }
    for (int i = 0; i < 3; i++)
        buf_fini(&archives[i]);
    for (size_t i = 0; i < picture_count; i++)
        buf_fini(&pictures[i]);
}

int main(int argc, char **argv)
{
    (void)argc;
    const char *shim = getenv("KENNEL_FAULT_SHIM");
    if (!fault_arm && (!shim || getenv("LD_PRELOAD"))) {
        fprintf(stderr, "KENNEL_FAULT_SHIM names no library\n");
        return SKIPPED;
    }
    if (!fault_arm) {
        setenv("LD_PRELOAD", shim, 1);
        execv("/proc/self/exe", argv);
        perror(argv[0]);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_old_or_new),
        cmocka_unit_test(blobs_are_whole_or_absent),
        cmocka_unit_test(what_the_cache_had_it_keeps),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
