#include "registry_fixture.h"

#include "daemon/import.h"
#include "data/manifest.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static int setup(void **context)
{
    struct err e = { 0 };
    CLEANUP(json_decref_p) json_t *value = NULL;
    assert_int_equal(fixture_setup(context), 0);
    struct fixture *f = *context;
    assert_ok(datasets_create(f->state, "d", "me", &value, &e));
    return 0;
}

static enum err_code try_import(struct fixture *f, struct tar *t, int threads, json_t **ret,
                                struct err *e)
{
    t->read = 0;
    struct import_source source = { .read = tar_read, .context = t };
    return import_run(f->state, "d", &source, threads, "me", ret, e);
}

static json_t *import(struct fixture *f, struct tar *t)
{
    struct err e = { 0 };
    json_t *reply = NULL;
    assert_ok(try_import(f, t, 2, &reply, &e));
    return reply;
}

static json_t *show_version(struct fixture *f, int64_t version)
{
    struct err e = { 0 };
    json_t *value = NULL;
    assert_ok(datasets_version_show(f->state, "d", version, &value, &e));
    return value;
}

static void test_one_version_of_an_archive(void **context)
{
    struct fixture *f = *context;
    CLEANUP(tar_fini) struct tar t = { 0 };
    tar_add_jpeg(&t, "set/train/cat/1.jpg", 1);
    tar_add_jpeg(&t, "set/train/dog/2.jpg", 2);
    tar_add_jpeg(&t, "set/val/dog/3.jpg", 3);
    tar_add(&t, "set/train/dog/.DS_Store", "x", 1);
    tar_end(&t);
    CLEANUP(json_decref_p) json_t *reply = import(f, &t);
    fixture_expect(reply, "{\"version\": 1, \"added\": 3, \"duplicates\": 0, \"rejected\": [],"
                          " \"rejected_count\": 0}");
    CLEANUP(json_decref_p) json_t *version = show_version(f, 1);
    fixture_expect(json_object_get(version, "counts"),
                   "{\"cat\": {\"train\": 1, \"val\": 0, \"test\": 0},"
                   " \"dog\": {\"train\": 1, \"val\": 1, \"test\": 0}}");
    assert_string_equal(json_string_value(json_object_get(version, "cause")), "import");
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM picture WHERE width = 24"
                                       " AND height = 16 AND format = 'jpeg'"),
                     3);
    assert_int_equal(fixture_blobs(f), 4);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM audit"
                                       " WHERE what = 'dataset.import'"),
                     1);
    CLEANUP(json_decref_p) json_t *again = import(f, &t);
    fixture_expect(again, "{\"version\": null, \"added\": 0, \"duplicates\": 3, \"rejected\": [],"
                          " \"rejected_count\": 0}");
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM dataset_version"), 1);
}

/* The first occurrence wins, by its place in the upload, not by which thread was quicker. */
static void test_duplicates_and_conflicts(void **context)
{
    struct fixture *f = *context;
    CLEANUP(tar_fini) struct tar first = { 0 };
    tar_add_jpeg(&first, "val/cat/1.jpg", 1);
    tar_end(&first);
    json_decref(import(f, &first));

    CLEANUP(tar_fini) struct tar t = { 0 };
    tar_add_jpeg(&t, "train/cat/same.jpg", 1);   /* keeps val */
    tar_add_jpeg(&t, "train/dog/other.jpg", 1);  /* the dataset says cat */
    tar_add_jpeg(&t, "test/dog/2.jpg", 2);       /* first: dog, test */
    tar_add_jpeg(&t, "train/dog/2again.jpg", 2); /* duplicate within the upload */
    tar_add_jpeg(&t, "train/cat/2cat.jpg", 2);   /* conflict within the upload */
    tar_add_jpeg(&t, "train/cat/3.jpg", 3);
    tar_end(&t);
    CLEANUP(json_decref_p) json_t *reply = import(f, &t);
    fixture_expect(
        reply,
        "{\"version\": 2, \"added\": 2, \"duplicates\": 2, \"rejected_count\": 2, \"rejected\": ["
        "{\"path\": \"train/dog/other.jpg\", \"code\": \"picture_label_conflict\","
        " \"reason\": \"the same picture has the label \\\"cat\\\" already\"},"
        "{\"path\": \"train/cat/2cat.jpg\", \"code\": \"picture_label_conflict\","
        " \"reason\": \"the same picture has the label \\\"dog\\\" already\"}]}");
    CLEANUP(json_decref_p) json_t *version = show_version(f, 2);
    fixture_expect(json_object_get(version, "counts"),
                   "{\"cat\": {\"train\": 1, \"val\": 1, \"test\": 0},"
                   " \"dog\": {\"train\": 0, \"val\": 0, \"test\": 1}}");
    assert_true(
        json_equal(json_object_get(version, "rejected"), json_object_get(reply, "rejected")));
    assert_int_equal(fixture_int(version, "rejected_count"), 2);
}

static void test_bad_files_are_quarantined(void **context)
{
    struct fixture *f = *context;
    fixture_close(f);
    CLEANUP(bytes_fini) struct bytes good = jpeg_make(1);
    f->limits.max_picture_bytes = good.len;
    fixture_open(f);
    CLEANUP(bytes_fini) struct bytes large = { calloc(1, good.len + 1), good.len + 1 };
    CLEANUP(tar_fini) struct tar t = { 0 };
    tar_add(&t, "cat/good.jpg", good.data, good.len); /* exactly at the limit */
    tar_add(&t, "cat/large.jpg", large.data, large.len);
    tar_add(&t, "cat/text.jpg", "hello", 5);
    tar_add(&t, "cat/empty.jpg", "", 0);
    tar_add(&t, "cat/cut.jpg", good.data, good.len / 2);
    tar_add(&t, "nolabel.jpg", good.data, good.len);
    tar_add(&t, "cat/\xff\xfe.jpg", "hello", 5);
    tar_end(&t);
    CLEANUP(json_decref_p) json_t *reply = import(f, &t);
    assert_int_equal(fixture_int(reply, "added"), 1);
    const json_t *rejected = json_object_get(reply, "rejected");
    static const char *const wanted[][2] = {
        { "cat/large.jpg", "picture_bytes" },
        { "cat/text.jpg", "picture_format" },
        { "cat/empty.jpg", "picture_format" },
        { "cat/cut.jpg", "picture_truncated" },
        { "nolabel.jpg", "layout" },
        { "cat/\xef\xbf\xbd\xef\xbf\xbd.jpg", "picture_format" },
    };
    assert_int_equal(json_array_size(rejected), 6);
    for (size_t i = 0; i < 6; i++) {
        const json_t *one = json_array_get(rejected, i);
        assert_string_equal(json_string_value(json_object_get(one, "path")), wanted[i][0]);
        assert_string_equal(json_string_value(json_object_get(one, "code")), wanted[i][1]);
        assert_true(json_string_length(json_object_get(one, "reason")) > 0);
    }
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM rejected"), 6);
}

static void test_only_bad_files_make_no_version(void **context)
{
    struct fixture *f = *context;
    CLEANUP(tar_fini) struct tar t = { 0 };
    tar_add(&t, "cat/text.jpg", "hello", 5);
    tar_end(&t);
    CLEANUP(json_decref_p) json_t *reply = import(f, &t);
    assert_true(json_is_null(json_object_get(reply, "version")));
    assert_int_equal(fixture_int(reply, "rejected_count"), 1);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM rejected"), 0);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM dataset_version"), 0);
}

static void assert_untouched(struct fixture *f)
{
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM dataset_version"), 0);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM member"), 0);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM picture"), 0);
    assert_int_equal(fixture_blobs(f), 0);
}

static void test_broken_off_upload(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    json_t *none = NULL;
    CLEANUP(tar_fini) struct tar t = { 0 };
    for (unsigned i = 0; i < 60; i++) {
        char path[60];
        snprintf(path, sizeof path, "cat/%u.jpg", i);
        tar_add_jpeg(&t, path, i);
    }
    t.fail_at = t.len - 700;
    assert_int_equal(try_import(f, &t, 2, &none, &e), ERR_BODY_INCOMPLETE);
    assert_string_equal(e.message, "the upload broke off");
    assert_null(none);
    assert_untouched(f);
}

/* More lines than the manifest's writer holds at once. */
static void test_long_manifest(void **context)
{
    enum { COUNT = 2500 };
    struct fixture *f = *context;
    struct err e = { 0 };
    CLEANUP(tar_fini) struct tar t = { 0 };
    for (unsigned i = 0; i < COUNT; i++) {
        char path[60];
        snprintf(path, sizeof path, "val/label%u/%u.jpg", i % 7, i);
        tar_add_jpeg(&t, path, i);
    }
    tar_end(&t);
    json_decref(import(f, &t));
    CLEANUP(json_decref_p) json_t *version = show_version(f, 1);
    struct digest d;
    assert_true(digest_parse(json_string_value(json_object_get(version, "digest")), &d));
    CLEANUP(buf_fini) struct buf text;
    CLEANUP(manifest_fini) struct manifest m = { 0 };
    buf_init(&text, 1 << 24);
    assert_ok(blobs_get(state_blobs(f->state), &d, true, &text, &e));
    assert_ok(manifest_parse((const char *)text.data, text.len, &m, &e));
    assert_int_equal(m.count, COUNT);
    assert_int_equal(m.label_count, 7);
    for (size_t i = 0; i < m.count; i++)
        assert_true(blobs_has(state_blobs(f->state), &m.items[i].picture));
}

static void test_hostile_archive_aborts(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    json_t *none = NULL;
    CLEANUP(tar_fini) struct tar t = { 0 };
    tar_add_jpeg(&t, "cat/1.jpg", 1);
    tar_add_jpeg(&t, "cat/../../2.jpg", 2);
    tar_end(&t);
    assert_int_equal(try_import(f, &t, 2, &none, &e), ERR_ARCHIVE_PATH);
    CLEANUP(tar_fini) struct tar text = { 0 };
    tar_grow(&text, "no archive at all", 17);
    assert_int_equal(try_import(f, &text, 2, &none, &e), ERR_ARCHIVE_FORMAT);
    assert_null(none);
    assert_untouched(f);
}

static void test_unknown_dataset_reads_nothing(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    json_t *none = NULL;
    struct tar t = { 0 };
    struct import_source source = { .read = tar_read, .context = &t };
    assert_int_equal(import_run(f->state, "x", &source, 2, "me", &none, &e), ERR_DATASET_UNKNOWN);
    assert_int_equal(t.read, 0);
}

static void test_label_limit(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    json_t *none = NULL;
    fixture_close(f);
    f->limits.max_labels = 3;
    fixture_open(f);
    CLEANUP(tar_fini) struct tar t = { 0 };
    tar_add_jpeg(&t, "a/1.jpg", 1);
    tar_add_jpeg(&t, "b/2.jpg", 2);
    tar_add_jpeg(&t, "c/3.jpg", 3);
    CLEANUP(tar_fini) struct tar more = { 0 };
    tar_add_jpeg(&more, "d/4.jpg", 4);
    tar_end(&t);
    tar_end(&more);
    CLEANUP(json_decref_p) json_t *reply = import(f, &t);
    assert_int_equal(fixture_int(reply, "added"), 3);
    assert_int_equal(try_import(f, &more, 2, &none, &e), ERR_LABELS_TOO_MANY);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM dataset_version"), 1);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM member"), 3);
}

static void test_rejected_list_is_cut(void **context)
{
    struct fixture *f = *context;
    CLEANUP(tar_fini) struct tar t = { 0 };
    tar_add_jpeg(&t, "cat/1.jpg", 1);
    for (unsigned i = 0; i < 1001; i++) {
        char path[60];
        snprintf(path, sizeof path, "cat/bad%u.jpg", i);
        tar_add(&t, path, "x", 1);
    }
    tar_end(&t);
    CLEANUP(json_decref_p) json_t *reply = import(f, &t);
    assert_int_equal(fixture_int(reply, "rejected_count"), 1001);
    assert_int_equal(json_array_size(json_object_get(reply, "rejected")), 1000);
    CLEANUP(json_decref_p) json_t *version = show_version(f, 1);
    assert_int_equal(fixture_int(version, "rejected_count"), 1001);
    assert_int_equal(json_array_size(json_object_get(version, "rejected")), 1000);
    /* In the order of the upload. */
    const json_t *last = json_array_get(json_object_get(reply, "rejected"), 999);
    assert_string_equal(json_string_value(json_object_get(last, "path")), "cat/bad999.jpg");
}

static void test_folder(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    char folder[200], path[300];
    snprintf(folder, sizeof folder, "%s/upload/train/cat", f->dir);
    assert_ok(file_mkdirs(folder, &e));
    for (unsigned i = 0; i < 3; i++) {
        CLEANUP(bytes_fini) struct bytes b = jpeg_make(i);
        snprintf(path, sizeof path, "%s/%u.jpg", folder, i);
        assert_ok(file_write_atomic(path, b.data, b.len, &e));
    }
    snprintf(folder, sizeof folder, "%s/upload", f->dir);
    struct import_source source = { .folder = folder };
    CLEANUP(json_decref_p) json_t *reply = NULL;
    assert_ok(import_run(f->state, "d", &source, 1, "me", &reply, &e));
    assert_int_equal(fixture_int(reply, "added"), 3);
}

struct one_import {
    struct fixture *f;
    unsigned from, to;
    int64_t added, duplicates;
    enum err_code r;
};

static void *run_one(void *context)
{
    struct one_import *o = context;
    struct err e = { 0 };
    CLEANUP(tar_fini) struct tar t = { 0 };
    for (unsigned i = o->from; i < o->to; i++) {
        char path[60];
        snprintf(path, sizeof path, "cat/%u.jpg", i);
        tar_add_jpeg(&t, path, i);
    }
    tar_end(&t);
    CLEANUP(json_decref_p) json_t *reply = NULL;
    o->r = try_import(o->f, &t, 2, &reply, &e);
    if (!o->r) {
        o->added = fixture_int(reply, "added");
        o->duplicates = fixture_int(reply, "duplicates");
    }
    return NULL;
}

/* Two imports of one dataset at once, with pictures in common. */
static void test_two_at_once(void **context)
{
    struct fixture *f = *context;
    struct one_import a = { .f = f, .from = 0, .to = 60 }, b = { .f = f, .from = 30, .to = 90 };
    pthread_t ta, tb;
    assert_int_equal(pthread_create(&ta, NULL, run_one, &a), 0);
    assert_int_equal(pthread_create(&tb, NULL, run_one, &b), 0);
    pthread_join(ta, NULL);
    pthread_join(tb, NULL);
    assert_int_equal(a.r, ERR_OK);
    assert_int_equal(b.r, ERR_OK);
    assert_int_equal(a.added + b.added, 90);
    assert_int_equal(a.duplicates + b.duplicates, 30);
    assert_int_equal(fixture_number(f, "SELECT max(number) FROM dataset_version"), 2);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM member WHERE removed IS NULL"), 90);
    assert_int_equal(fixture_number(f, "SELECT pictures FROM dataset_version WHERE number = 2"),
                     90);
}

/* Whatever the threads do, the version is the same. */
static void test_threads_do_not_matter(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    CLEANUP(tar_fini) struct tar t = { 0 };
    for (unsigned i = 0; i < 200; i++) {
        char path[60];
        snprintf(path, sizeof path, "%s/%u.jpg", i % 3 ? "cat" : "dog", i);
        tar_add_jpeg(&t, path, i % 50);
    }
    tar_end(&t);
    CLEANUP(json_decref_p) json_t *first = NULL;
    CLEANUP(json_decref_p) json_t *second = NULL;
    CLEANUP(json_decref_p) json_t *made = NULL;
    assert_ok(try_import(f, &t, 1, &first, &e));
    assert_ok(datasets_create(f->state, "e", "me", &made, &e));
    t.read = 0;
    struct import_source source = { .read = tar_read, .context = &t };
    assert_ok(import_run(f->state, "e", &source, 7, "me", &second, &e));
    assert_true(json_equal(first, second));
    assert_int_equal(fixture_number(f, "SELECT count(DISTINCT digest) FROM dataset_version"), 1);
}

/* A JPEG with comments in front, so that it is larger than the databases of the import. */
static void tar_add_large_jpeg(struct tar *t, const char *path)
{
    enum { COMMENT = 60000, COMMENTS = 4 };
    CLEANUP(bytes_fini) struct bytes b = jpeg_make(1);
    size_t len = b.len + (size_t)COMMENTS * (COMMENT + 2);
    CLEANUP(cleanup_free) uint8_t *large = calloc(1, len);
    assert_non_null(large);
    memcpy(large, b.data, 2);
    for (size_t i = 0; i < COMMENTS; i++) {
        uint8_t *comment = large + 2 + i * (COMMENT + 2);
        memcpy(comment, (const uint8_t[]){ 0xff, 0xfe, COMMENT >> 8, COMMENT & 0xff }, 4);
    }
    memcpy(large + 2 + (size_t)COMMENTS * (COMMENT + 2), b.data + 2, b.len - 2);
    tar_add(t, path, large, len);
}

/* What is wrong with the disk is never blamed on a picture. */
static void test_disk_full_for_a_picture(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    json_t *none = NULL;
    CLEANUP(tar_fini) struct tar t = { 0 };
    tar_add_large_jpeg(&t, "cat/1.jpg");
    tar_end(&t);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before;
    getrlimit(RLIMIT_FSIZE, &before);
    struct rlimit small = { .rlim_cur = 200000, .rlim_max = before.rlim_max };
    setrlimit(RLIMIT_FSIZE, &small);
    enum err_code r = try_import(f, &t, 2, &none, &e);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(r, ERR_DISK_FULL);
    assert_null(none);
    assert_untouched(f);
    CLEANUP(json_decref_p) json_t *reply = import(f, &t);
    assert_int_equal(fixture_int(reply, "added"), 1);
}

/* An upload that tells a pipe how far it was read. */
struct watched {
    struct tar tar;
    int pipe;
};

static ssize_t watched_read(void *context, void *bytes, size_t len, struct err *e)
{
    struct watched *w = context;
    ssize_t n = tar_read(&w->tar, bytes, len, e);
    return write(w->pipe, "x", 1) == 1 ? n : -1;
}

static void import_forever(struct fixture *f, int pipe)
{
    for (unsigned round = 0;; round++) {
        struct watched w = { .pipe = pipe };
        struct err e = { 0 };
        for (unsigned i = 0; i < 40; i++) {
            char path[60];
            snprintf(path, sizeof path, "cat/%u.jpg", i);
            tar_add_jpeg(&w.tar, path, 30 * round + i);
        }
        tar_end(&w.tar);
        struct import_source source = { .read = watched_read, .context = &w };
        json_t *reply = NULL;
        if (import_run(f->state, "d", &source, 2, "me", &reply, &e))
            _exit(1);
        json_decref(reply);
        tar_fini(&w.tar);
    }
}

/* Every version is whole, and every blob that a row names is there. */
static void assert_consistent(struct fixture *f)
{
    struct err e = { 0 };
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    bool more = false;
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM dataset_version v WHERE pictures <>"
                                       " (SELECT count(*) FROM member"
                                       "  WHERE dataset = v.dataset AND added <= v.number)"),
                     0);
    assert_ok(db_read(state_db(f->state), &t, &e));
    assert_ok(db_query(t, &rows, &e,
                       "SELECT digest FROM picture UNION SELECT digest FROM dataset_version"));
    int named = 0;
    while (db_next(rows, &more, &e) == ERR_OK && more) {
        struct digest d;
        assert_ok(db_digest(rows, 0, &d, &e));
        CLEANUP(buf_fini) struct buf bytes;
        buf_init(&bytes, 1 << 24);
        assert_ok(blobs_get(state_blobs(f->state), &d, true, &bytes, &e));
        named++;
    }
    assert_int_equal(fixture_blobs(f), named);
}

/* The limit falls on the scratch database, a picture, the manifest, the log of the database. */
static void test_disk_full(void **context)
{
    struct fixture *f = *context;
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before;
    getrlimit(RLIMIT_FSIZE, &before);
    int refused = 0, done = 0;
    for (rlim_t limit = 400; limit < 1000000; limit += limit / 3) {
        struct err e = { 0 };
        CLEANUP(json_decref_p) json_t *reply = NULL;
        CLEANUP(tar_fini) struct tar t = { 0 };
        for (unsigned i = 0; i < 40; i++) {
            char path[60];
            snprintf(path, sizeof path, "cat/%u.jpg", i);
            tar_add_jpeg(&t, path, (unsigned)limit + i);
        }
        tar_end(&t);
        int64_t versions = fixture_number(f, "SELECT count(*) FROM dataset_version");
        struct rlimit small = { .rlim_cur = limit, .rlim_max = before.rlim_max };
        setrlimit(RLIMIT_FSIZE, &small);
        enum err_code r = try_import(f, &t, 2, &reply, &e);
        setrlimit(RLIMIT_FSIZE, &before);
        if (r && r != ERR_DISK_FULL)
            fail_msg("%s: %s", err_slug(r), e.message);
        refused += r == ERR_DISK_FULL;
        done += r == ERR_OK;
        assert_int_equal(fixture_number(f, "SELECT count(*) FROM dataset_version"),
                         versions + (r == ERR_OK));
        fixture_close(f);
        fixture_open(f);
        assert_consistent(f);
    }
    assert_true(refused > 5);
    assert_true(done > 0);
}

static void kill_after(struct fixture *f, int reads)
{
    int progress[2];
    fixture_close(f);
    assert_int_equal(pipe(progress), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        /* An assertion that failed here would go on with the tests, in two processes. */
        struct err e;
        close(progress[0]);
        if (state_open(f->dir, &f->limits, &f->state, &e))
            _exit(1);
        import_forever(f, progress[1]);
    }
    close(progress[1]);
    int seen = 0;
    for (char c; seen < reads && read(progress[0], &c, 1) == 1; seen++)
        ;
    kill(child, SIGKILL);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(seen, reads);
    close(progress[0]);
    fixture_open(f);
}

static void test_killed_at_any_moment(void **context)
{
    struct fixture *f = *context;
    int64_t versions = 0;
    /* One upload is some 100 reads: the steps fall all over it and over the merge behind it. */
    for (int reads = 30; reads < 600; reads += 37) {
        kill_after(f, reads);
        assert_consistent(f);
        int64_t now = fixture_number(f, "SELECT count(*) FROM dataset_version");
        assert_true(now >= versions);
        versions = now;
    }
    assert_true(versions > 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(test_one_version_of_an_archive),
        T(test_duplicates_and_conflicts),
        T(test_bad_files_are_quarantined),
        T(test_only_bad_files_make_no_version),
        T(test_broken_off_upload),
        T(test_long_manifest),
        T(test_hostile_archive_aborts),
        T(test_unknown_dataset_reads_nothing),
        T(test_label_limit),
        T(test_rejected_list_is_cut),
        T(test_folder),
        T(test_two_at_once),
        T(test_threads_do_not_matter),
        T(test_disk_full),
        T(test_disk_full_for_a_picture),
        T(test_killed_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
