#include "registry_fixture.h"

#include "daemon/datasets.h"
#include "data/manifest.h"

static void create(struct fixture *f, const char *name)
{
    struct err e = { 0 };
    CLEANUP(json_decref_p) json_t *value = NULL;
    assert_ok(datasets_create(f->state, name, "me", &value, &e));
}

static enum err_code try_put(struct fixture *f, const char *label, enum split split, unsigned seed,
                             json_t **ret, struct err *e)
{
    CLEANUP(bytes_fini) struct bytes b = jpeg_make(seed);
    return datasets_put_picture(f->state, "d", label, split, b.data, b.len, "me", ret, e);
}

static void put(struct fixture *f, const char *label, enum split split, unsigned seed)
{
    struct err e = { 0 };
    CLEANUP(json_decref_p) json_t *value = NULL;
    assert_ok(try_put(f, label, split, seed, &value, &e));
}

static struct digest digest_of_jpeg(unsigned seed)
{
    struct err e = { 0 };
    struct digest d;
    CLEANUP(bytes_fini) struct bytes b = jpeg_make(seed);
    assert_ok(digest_of(b.data, b.len, &d, &e));
    return d;
}

static json_t *show_version(struct fixture *f, int64_t version)
{
    struct err e = { 0 };
    json_t *value = NULL;
    assert_ok(datasets_version_show(f->state, "d", version, &value, &e));
    return value;
}

/* The manifest blob that a version names. */
static void read_manifest(struct fixture *f, int64_t version, struct manifest *ret)
{
    struct err e = { 0 };
    CLEANUP(json_decref_p) json_t *value = show_version(f, version);
    struct digest d;
    assert_true(digest_parse(json_string_value(json_object_get(value, "digest")), &d));
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, 1 << 20);
    assert_ok(blobs_get(state_blobs(f->state), &d, true, &text, &e));
    assert_ok(manifest_parse((const char *)text.data, text.len, ret, &e));
}

static void test_create_list_show(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    CLEANUP(json_decref_p) json_t *made = NULL;
    assert_ok(datasets_create(f->state, "d", "me", &made, &e));
    assert_true(json_is_string(json_object_get(made, "created")));
    json_object_del(made, "created");
    fixture_expect(made, "{\"name\": \"d\", \"version\": null, \"pictures\": 0, \"labels\": 0}");
    create(f, "a");
    CLEANUP(json_decref_p) json_t *all = NULL;
    assert_ok(datasets_list(f->state, &all, &e));
    assert_int_equal(json_array_size(all), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(all, 0), "name")), "a");
    CLEANUP(json_decref_p) json_t *versions = NULL;
    assert_ok(datasets_versions(f->state, "d", (struct state_page){ .limit = 100 }, &versions, &e));
    assert_int_equal(json_array_size(versions), 0);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM audit"
                                       " WHERE what = 'dataset.create'"),
                     2);
}

static void test_names(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    json_t *value = NULL;
    create(f, "d");
    assert_int_equal(datasets_create(f->state, "d", "me", &value, &e), ERR_NAME_TAKEN);
    assert_int_equal(datasets_create(f->state, "no/such", "me", &value, &e), ERR_NAME_SYNTAX);
    assert_int_equal(datasets_show(f->state, "x", &value, &e), ERR_DATASET_UNKNOWN);
    assert_int_equal(
        datasets_versions(f->state, "x", (struct state_page){ .limit = 100 }, &value, &e),
        ERR_DATASET_UNKNOWN);
    assert_int_equal(datasets_version_show(f->state, "x", 1, &value, &e), ERR_DATASET_UNKNOWN);
    assert_int_equal(datasets_version_show(f->state, "d", 1, &value, &e), ERR_VERSION_UNKNOWN);
    assert_null(value);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM audit"), 1);
}

static void test_put_makes_versions(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    create(f, "d");
    CLEANUP(json_decref_p) json_t *reply = NULL;
    assert_ok(try_put(f, "cat", SPLIT_VAL, 1, &reply, &e));
    char hex[DIGEST_HEX + 1], wanted[300];
    struct digest d = digest_of_jpeg(1);
    digest_hex(&d, hex);
    snprintf(wanted, sizeof wanted,
             "{\"version\": 1, \"digest\": \"%s\", \"added\": 1, \"duplicate\": false}", hex);
    fixture_expect(reply, wanted);
    put(f, "dog", SPLIT_TRAIN, 2);

    CLEANUP(json_decref_p) json_t *version = show_version(f, 2);
    fixture_expect(json_object_get(version, "counts"),
                   "{\"cat\": {\"train\": 0, \"val\": 1, \"test\": 0},"
                   " \"dog\": {\"train\": 1, \"val\": 0, \"test\": 0}}");
    assert_int_equal(fixture_int(version, "pictures"), 2);
    assert_int_equal(fixture_int(version, "added"), 1);
    assert_string_equal(json_string_value(json_object_get(version, "cause")), "put");
    CLEANUP(json_decref_p) json_t *shown = NULL;
    assert_ok(datasets_show(f->state, "d", &shown, &e));
    assert_int_equal(fixture_int(shown, "version"), 2);
    assert_int_equal(fixture_int(shown, "labels"), 2);
    CLEANUP(manifest_fini) struct manifest m = { 0 };
    read_manifest(f, 2, &m);
    assert_int_equal(m.count, 2);
    assert_int_equal(m.label_count, 2);
    CLEANUP(json_decref_p) json_t *versions = NULL;
    assert_ok(datasets_versions(f->state, "d", (struct state_page){ .limit = 100 }, &versions, &e));
    assert_int_equal(fixture_int(json_array_get(versions, 0), "version"), 2);
    assert_int_equal(fixture_int(json_array_get(versions, 1), "rejected"), 0);
}

/* The same picture again: never twice, never in another split, never under another label. */
static void test_put_again(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    create(f, "d");
    put(f, "cat", SPLIT_VAL, 1);
    CLEANUP(json_decref_p) json_t *reply = NULL;
    assert_ok(try_put(f, "cat", SPLIT_TRAIN, 1, &reply, &e));
    assert_int_equal(fixture_int(reply, "version"), 1);
    assert_int_equal(fixture_int(reply, "added"), 0);
    assert_true(json_is_true(json_object_get(reply, "duplicate")));
    json_t *none = NULL;
    assert_int_equal(try_put(f, "dog", SPLIT_TRAIN, 1, &none, &e), ERR_PICTURE_LABEL_CONFLICT);
    assert_non_null(strstr(e.message, "cat"));
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM member"), 1);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM member WHERE split = 'val'"), 1);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM dataset_version"), 1);
}

static void test_split_is_by_content(void **context)
{
    struct fixture *f = *context;
    create(f, "d");
    int val = 0;
    for (unsigned seed = 1; seed <= 20; seed++) {
        put(f, "cat", SPLIT_AUTO, seed);
        struct digest d = digest_of_jpeg(seed);
        val += layout_auto_split(&d) == SPLIT_VAL;
    }
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM member WHERE split = 'val'"), val);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM member WHERE split = 'train'"),
                     20 - val);
}

/* A version is what it was, whatever is deleted later; a deleted picture may come back. */
static void test_versions_are_immutable(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    create(f, "d");
    put(f, "cat", SPLIT_TRAIN, 1);
    put(f, "dog", SPLIT_TRAIN, 2);
    CLEANUP(json_decref_p) json_t *before = show_version(f, 2);
    struct digest gone = digest_of_jpeg(1);
    CLEANUP(json_decref_p) json_t *reply = NULL;
    assert_ok(datasets_delete_picture(f->state, "d", &gone, "me", &reply, &e));
    fixture_expect(reply, "{\"version\": 3, \"removed\": 1}");
    CLEANUP(json_decref_p) json_t *after = show_version(f, 2);
    assert_true(json_equal(before, after));
    CLEANUP(manifest_fini) struct manifest second = { 0 };
    CLEANUP(manifest_fini) struct manifest third = { 0 };
    read_manifest(f, 2, &second);
    read_manifest(f, 3, &third);
    assert_int_equal(second.count, 2);
    assert_int_equal(third.count, 1);
    json_t *none = NULL;
    assert_int_equal(datasets_delete_picture(f->state, "d", &gone, "me", &none, &e),
                     ERR_PICTURE_UNKNOWN);

    put(f, "puma", SPLIT_TRAIN, 1);
    CLEANUP(json_decref_p) json_t *fourth = show_version(f, 4);
    assert_int_equal(fixture_int(fourth, "pictures"), 2);
    put(f, "cat", SPLIT_TRAIN, 3);
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    assert_ok(db_write(state_db(f->state), &t, &e));
    assert_int_equal(db_exec(t, &e, "UPDATE dataset_version SET pictures = 7"), ERR_DATABASE);
    assert_int_equal(db_exec(t, &e, "DELETE FROM dataset_version"), ERR_DATABASE);
    assert_int_equal(db_exec(t, &e, "UPDATE member SET split = 'val'"), ERR_DATABASE);
}

/* The last picture may go: a version of nothing. */
static void test_empty_version(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    create(f, "d");
    put(f, "cat", SPLIT_TRAIN, 1);
    struct digest d = digest_of_jpeg(1);
    CLEANUP(json_decref_p) json_t *reply = NULL;
    assert_ok(datasets_delete_picture(f->state, "d", &d, "me", &reply, &e));
    CLEANUP(json_decref_p) json_t *version = show_version(f, 2);
    assert_int_equal(fixture_int(version, "pictures"), 0);
    fixture_expect(json_object_get(version, "counts"), "{}");
    CLEANUP(manifest_fini) struct manifest m = { 0 };
    read_manifest(f, 2, &m);
    assert_int_equal(m.count, 0);
}

/* Equal content, equal digest, however it came about. */
static void test_digest_is_of_the_content(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    create(f, "d");
    put(f, "cat", SPLIT_TRAIN, 1);
    put(f, "dog", SPLIT_TRAIN, 2);
    struct digest d = digest_of_jpeg(2);
    CLEANUP(json_decref_p) json_t *reply = NULL;
    assert_ok(datasets_delete_picture(f->state, "d", &d, "me", &reply, &e));
    CLEANUP(json_decref_p) json_t *first = show_version(f, 1);
    CLEANUP(json_decref_p) json_t *third = show_version(f, 3);
    assert_true(json_equal(json_object_get(first, "digest"), json_object_get(third, "digest")));
}

static void test_refused_pictures_leave_nothing(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    json_t *none = NULL;
    create(f, "d");
    int blobs = fixture_blobs(f);
    assert_int_equal(
        datasets_put_picture(f->state, "d", "cat", SPLIT_AUTO, "text", 4, "me", &none, &e),
        ERR_PICTURE_FORMAT);
    assert_int_not_equal(try_put(f, "a/b", SPLIT_AUTO, 1, &none, &e), ERR_OK);
    CLEANUP(bytes_fini) struct bytes b = jpeg_make(1);
    assert_int_equal(
        datasets_put_picture(f->state, "x", "cat", SPLIT_AUTO, b.data, b.len, "me", &none, &e),
        ERR_DATASET_UNKNOWN);
    assert_int_equal(fixture_blobs(f), blobs);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM dataset_version"), 0);
    assert_null(none);
}

static void test_limits(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    json_t *none = NULL;
    CLEANUP(json_decref_p) json_t *reply = NULL;
    CLEANUP(bytes_fini) struct bytes b = jpeg_make(1);
    create(f, "d");
    fixture_close(f);
    f->limits.max_picture_bytes = b.len - 1;
    f->limits.max_labels = 2;
    fixture_open(f);
    assert_int_equal(
        datasets_put_picture(f->state, "d", "a", SPLIT_TRAIN, b.data, b.len, "me", &none, &e),
        ERR_PICTURE_BYTES);
    fixture_close(f);
    f->limits.max_picture_bytes = b.len;
    fixture_open(f);
    assert_ok(
        datasets_put_picture(f->state, "d", "a", SPLIT_TRAIN, b.data, b.len, "me", &reply, &e));
    fixture_close(f);
    f->limits.max_picture_bytes = 1 << 20;
    fixture_open(f);
    put(f, "b", SPLIT_TRAIN, 2);
    assert_int_equal(try_put(f, "c", SPLIT_TRAIN, 3, &none, &e), ERR_LABELS_TOO_MANY);
    assert_non_null(strstr(e.message, "2"));
    put(f, "a", SPLIT_TRAIN, 3);
    assert_null(none);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(test_create_list_show),
        T(test_names),
        T(test_put_makes_versions),
        T(test_put_again),
        T(test_split_is_by_content),
        T(test_versions_are_immutable),
        T(test_empty_version),
        T(test_digest_is_of_the_content),
        T(test_refused_pictures_leave_nothing),
        T(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
