#include "registry_fixture.h"

#include "daemon/backbones.h"

/* tests/unit/nn/tiny.onnx: 32 x 32 pictures, 12 features (tests/unit/nn/tiny_onnx.py). */
struct upload {
    uint8_t *data;
    size_t len, read;
    bool fails;
};

static ssize_t upload_read(void *context, void *bytes, size_t len, struct err *e)
{
    struct upload *u = context;
    if (u->fails && u->read > u->len / 2) {
        err_set(e, ERR_BODY_INCOMPLETE, "the upload broke off");
        return -1;
    }
    size_t n = u->len - u->read < len ? u->len - u->read : len;
    n = n < 1000 ? n : 1000;
    memcpy(bytes, u->data + u->read, n);
    u->read += n;
    return (ssize_t)n;
}

static void load(const char *path, struct upload *ret)
{
    struct err e = { 0 };
    struct buf b;
    buf_init(&b, 1 << 28);
    assert_ok(file_read(path, &b, &e));
    *ret = (struct upload){ .data = b.data, .len = b.len };
}

static void load_tiny(struct upload *ret)
{
    const char *source = getenv("KENNEL_SOURCE");
    char path[500];
    snprintf(path, sizeof path, "%s/tests/unit/nn/tiny.onnx", source ? source : ".");
    load(path, ret);
}

static void upload_fini(struct upload *u)
{
    free(u->data);
}

static enum err_code add(struct fixture *f, const char *name, struct upload *u,
                         const struct backbone_overrides *o, json_t **ret, struct err *e)
{
    u->read = 0;
    return backbones_add(f->state, name, upload_read, u, o, "me", ret, e);
}

static int staged_files(struct fixture *f)
{
    char command[200];
    snprintf(command, sizeof command, "ls -A %s/staging | wc -l", f->dir);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    int count = -1;
    assert_int_equal(fscanf(pipe, "%d", &count), 1);
    pclose(pipe);
    return count;
}

static void test_add_show_list(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    CLEANUP(upload_fini) struct upload u = { 0 };
    load_tiny(&u);
    CLEANUP(json_decref_p) json_t *made = NULL;
    assert_ok(add(f, "tiny", &u, NULL, &made, &e));
    CLEANUP(json_decref_p) json_t *shown = NULL;
    assert_ok(backbones_show(f->state, "tiny", &shown, &e));
    assert_true(json_equal(made, shown));
    CLEANUP(json_decref_p) json_t *all = NULL;
    assert_ok(backbones_list(f->state, &all, &e));
    assert_int_equal(json_array_size(all), 1);
    assert_true(json_equal(json_array_get(all, 0), made));

    struct digest d;
    assert_true(digest_parse(json_string_value(json_object_get(made, "digest")), &d));
    assert_true(blobs_has(state_blobs(f->state), &d));
    assert_int_equal(fixture_int(made, "bytes"), u.len);
    assert_true(json_is_string(json_object_get(made, "created")));
    json_object_del(made, "digest");
    json_object_del(made, "created");
    json_object_del(made, "bytes");
    fixture_expect(made,
                   "{\"name\": \"tiny\", \"feature_tensor\": \"features\", \"feature_width\": 12,"
                   " \"input\": {\"name\": \"input\", \"height\": 32, \"width\": 32,"
                   " \"channels\": 3}, \"preprocess\": {\"resize\": 37, \"size\": 32,"
                   " \"mean\": [127.5, 127.5, 127.5], \"std\": [127.5, 127.5, 127.5],"
                   " \"color_order\": \"RGB\"}, \"parameters\": 1165}");
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM audit"
                                       " WHERE what = 'backbone.create'"),
                     1);
}

static void test_overrides_are_kept(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    CLEANUP(upload_fini) struct upload u = { 0 };
    load_tiny(&u);
    struct backbone_overrides o = {
        .feature = "r2", .mean = "123.675,116.28,103.53", .color = "BGR", .resize = 40
    };
    CLEANUP(json_decref_p) json_t *made = NULL;
    assert_ok(add(f, "tiny", &u, &o, &made, &e));
    assert_string_equal(json_string_value(json_object_get(made, "feature_tensor")), "r2");
    assert_int_equal(fixture_int(made, "feature_width"), 12);
    fixture_expect(json_object_get(made, "preprocess"),
                   "{\"resize\": 40, \"size\": 32, \"mean\": [123.675, 116.28, 103.53],"
                   " \"std\": [127.5, 127.5, 127.5], \"color_order\": \"BGR\"}");
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    CLEANUP(json_decref_p) json_t *kept = NULL;
    assert_ok(db_read(state_db(f->state), &t, &e));
    assert_ok(db_get(t, &row, &e, "SELECT overrides FROM backbone"));
    assert_ok(db_json(row, 0, &kept, &e));
    fixture_expect(kept, "{\"feature\": \"r2\", \"mean\": \"123.675,116.28,103.53\","
                         " \"color\": \"BGR\", \"resize\": 40}");
}

static void test_same_bytes_under_two_names(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    CLEANUP(upload_fini) struct upload u = { 0 };
    load_tiny(&u);
    CLEANUP(json_decref_p) json_t *a = NULL;
    CLEANUP(json_decref_p) json_t *b = NULL;
    json_t *none = NULL;
    assert_ok(add(f, "a", &u, NULL, &a, &e));
    assert_int_equal(add(f, "a", &u, NULL, &none, &e), ERR_NAME_TAKEN);
    assert_int_equal(fixture_blobs(f), 1);
    assert_ok(add(f, "b", &u, NULL, &b, &e));
    assert_true(json_equal(json_object_get(a, "digest"), json_object_get(b, "digest")));
    assert_int_equal(fixture_blobs(f), 1);
    /* A refusal of the same bytes does not take the blob away. */
    struct backbone_overrides o = { .feature = "no_such" };
    assert_int_equal(add(f, "c", &u, &o, &none, &e), ERR_ONNX_FEATURE);
    assert_int_equal(fixture_blobs(f), 1);
    assert_null(none);
}

static void assert_refused(struct fixture *f, const char *name, struct upload *u,
                           const struct backbone_overrides *o, enum err_code code)
{
    struct err e = { 0 };
    json_t *none = NULL;
    enum err_code r = add(f, name, u, o, &none, &e);
    if (r != code)
        fail_msg("%s instead of %s: %s", err_slug(r), err_slug(code), e.message);
    assert_int_equal(e.code, code);
    assert_true(strlen(e.message) > 0);
    assert_null(none);
    assert_int_equal(fixture_blobs(f), 0);
    assert_int_equal(staged_files(f), 0);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM backbone"), 0);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM audit"), 0);
}

static void test_refusals_store_nothing(void **context)
{
    struct fixture *f = *context;
    CLEANUP(upload_fini) struct upload u = { 0 };
    load_tiny(&u);
    struct backbone_overrides feature = { .feature = "no_such" }, mean = { .mean = "a,b" };
    struct upload text = { .data = (uint8_t *)"no network at all", .len = 17 };
    struct upload empty = { .data = (uint8_t *)"", .len = 0 };
    assert_refused(f, "a/b", &u, NULL, ERR_NAME_SYNTAX);
    assert_refused(f, "a", &u, &feature, ERR_ONNX_FEATURE);
    assert_refused(f, "a", &u, &mean, ERR_ONNX_PREPROCESS);
    assert_refused(f, "a", &text, NULL, ERR_ONNX_SYNTAX);
    assert_refused(f, "a", &empty, NULL, ERR_BODY_MISSING);
    u.fails = true;
    assert_refused(f, "a", &u, NULL, ERR_BODY_INCOMPLETE);
    struct err e = { 0 };
    json_t *none = NULL;
    assert_int_equal(backbones_show(f->state, "a", &none, &e), ERR_BACKBONE_UNKNOWN);
}

/* The error names the node. */
static void test_unsupported_operator(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    json_t *none = NULL;
    CLEANUP(upload_fini) struct upload u = { 0 };
    load_tiny(&u);
    char *type = memmem(u.data, u.len, "Relu", 4);
    assert_non_null(type);
    memcpy(type, "Rexu", 4);
    assert_refused(f, "a", &u, NULL, ERR_ONNX_OPERATOR);
    assert_int_equal(add(f, "a", &u, NULL, &none, &e), ERR_ONNX_OPERATOR);
    assert_non_null(strstr(e.message, "relu1"));
}

/* Well-formed, but what it computes is infinite: only a run can tell. */
static void test_a_run_proves_it(void **context)
{
    struct fixture *f = *context;
    CLEANUP(upload_fini) struct upload u = { 0 };
    load_tiny(&u);
    /* name (8) "b2" and raw_data (9) of 12 floats, as protobuf writes them */
    uint8_t *bias = memmem(u.data, u.len,
                           "\x42\x02"
                           "b2"
                           "\x4a\x30",
                           6);
    assert_non_null(bias);
    static const uint8_t infinity[] = { 0, 0, 0x80, 0x7f };
    for (int i = 0; i < 12; i++)
        memcpy(bias + 6 + 4 * i, infinity, 4);
    assert_refused(f, "a", &u, NULL, ERR_ONNX_GRAPH);
}

static void test_size_limit(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    CLEANUP(upload_fini) struct upload u = { 0 };
    load_tiny(&u);
    fixture_close(f);
    f->limits.max_backbone_bytes = u.len - 1;
    fixture_open(f);
    assert_refused(f, "a", &u, NULL, ERR_BODY_TOO_LARGE);
    fixture_close(f);
    f->limits.max_backbone_bytes = u.len;
    fixture_open(f);
    CLEANUP(json_decref_p) json_t *made = NULL;
    assert_ok(add(f, "a", &u, NULL, &made, &e));
}

/* The real ones, where they are. */
static void test_real_backbones(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    static const struct {
        const char *name, *feature;
        int width;
    } real[] = {
        { "mobilenet_v2_1.0_224", "features", 1280 },
        { "mobilenet_v1_0.75_224", "features", 768 },
        { "squeezenet1.1", "fire9", 512 },
        { "mobilenet_v2_1.0_bn_headless", "features", 1280 },
        { "resnet50v2_stage3", "features", 1024 },
    };
    const char *shared = getenv("KENNEL_SHARED");
    char path[500];
    snprintf(path, sizeof path, "%s/backbones", shared ? shared : "");
    if (!shared || access(path, R_OK) != 0)
        skip();
    for (size_t i = 0; i < sizeof real / sizeof *real; i++) {
        CLEANUP(upload_fini) struct upload u = { 0 };
        CLEANUP(json_decref_p) json_t *made = NULL;
        snprintf(path, sizeof path, "%s/backbones/%s.onnx", shared, real[i].name);
        load(path, &u);
        assert_ok(add(f, real[i].name, &u, NULL, &made, &e));
        assert_string_equal(json_string_value(json_object_get(made, "feature_tensor")),
                            real[i].feature);
        assert_int_equal(fixture_int(made, "feature_width"), real[i].width);
    }
    assert_int_equal(fixture_blobs(f), 5);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(test_add_show_list),
        T(test_overrides_are_kept),
        T(test_same_bytes_under_two_names),
        T(test_refusals_store_nothing),
        T(test_size_limit),
        T(test_a_run_proves_it),
        T(test_unsupported_operator),
        T(test_real_backbones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
