#include "nn/features.h"

#include "tests/unit/nn/tiny.h"

#include <math.h>
#include <signal.h>
#include <sys/wait.h>

enum { PICTURES = 24 };

struct fixture {
    struct tiny tiny;
    struct backbone backbone;
    struct features_item items[PICTURES];
    float clean[PICTURES][TINY_WIDTH];
};

static void open_cache(struct fixture *f, const char *name, struct feature_cache **ret)
{
    char folder[128];
    struct digest key;
    struct err e = { 0 };
    snprintf(folder, sizeof folder, "%s/%s", f->tiny.features, name);
    assert_int_equal(backbone_feature_key(&f->backbone, &key, &e), ERR_OK);
    if (feature_cache_open(folder, &key, TINY_WIDTH, 1000, ret, &e))
        fail_msg("%s", e.message);
}

static enum err_code compute_some(struct fixture *f, struct feature_cache *cache, size_t count,
                                  int threads, features_progress progress, void *context,
                                  float *ret, size_t *passes, struct err *e)
{
    const struct features_request q = { .backbone = &f->backbone,
                                        .blobs = f->tiny.blobs,
                                        .cache = cache,
                                        .items = f->items,
                                        .count = count,
                                        .threads = threads,
                                        .limits = { IMAGE_MAX_PIXELS_DEFAULT } };
    return features_compute(&q, progress, context, ret, passes, e);
}

static enum err_code compute(struct fixture *f, const char *name, int threads,
                             features_progress progress, void *context,
                             float ret[PICTURES][TINY_WIDTH], size_t *passes, struct err *e)
{
    struct feature_cache *cache = NULL;
    open_cache(f, name, &cache);
    enum err_code r =
        compute_some(f, cache, PICTURES, threads, progress, context, ret[0], passes, e);
    feature_cache_close(cache);
    return r;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err e = { 0 };
    size_t passes = 0;
    assert_non_null(f);
    tiny_init(&f->tiny);
    if (backbone_open(f->tiny.onnx.data, f->tiny.onnx.len, NULL, &f->backbone, &e))
        fail_msg("%s", e.message);
    for (int i = 0; i < PICTURES; i++) {
        f->items[i].picture = tiny_put_picture(&f->tiny, i % 4, i / 2);
        f->items[i].view = i % 5 == 0;
    }
    if (compute(f, "clean", 1, NULL, NULL, f->clean, &passes, &e))
        fail_msg("%s", e.message);
    assert_int_equal(passes, PICTURES);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    backbone_fini(&f->backbone);
    tiny_fini(&f->tiny);
    free(f);
    return 0;
}

static void assert_clean(const struct fixture *f, float x[PICTURES][TINY_WIDTH])
{
    assert_memory_equal(x, f->clean, sizeof f->clean);
}

static void backbone_is_understood(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(f->backbone.feature, "features");
    assert_int_equal(f->backbone.width, TINY_WIDTH);
    assert_int_equal(f->backbone.pre.size, 32);
    assert_int_equal(f->backbone.pre.resize, 37); /* 32 * 256 / 224, rounded */
    assert_true(f->backbone.pre.mean[1] == 127.5f && !f->backbone.pre.bgr);
    assert_memory_equal(&f->backbone.digest, &f->tiny.backbone, sizeof(struct digest));
    for (int i = 0; i < PICTURES; i++) {
        bool differs = false;
        for (int j = 0; j < TINY_WIDTH; j++) {
            assert_true(isfinite(f->clean[i][j]));
            differs |= f->clean[i][j] != f->clean[(i + 1) % PICTURES][j];
        }
        assert_true(differs);
    }
}

static void overrides_go_before_metadata(void **state)
{
    struct fixture *f = *state;
    const struct backbone_overrides o = {
        .feature = "r2", .mean = "1, 2,3", .std = "4", .color = "BGR", .resize = 50
    };
    struct backbone b;
    struct err e = { 0 };
    struct digest key, plain;
    if (backbone_open(f->tiny.onnx.data, f->tiny.onnx.len, &o, &b, &e))
        fail_msg("%s", e.message);
    assert_string_equal(b.feature, "r2");
    assert_int_equal(b.width, TINY_WIDTH);
    assert_true(b.pre.mean[0] == 1 && b.pre.mean[1] == 2 && b.pre.mean[2] == 3);
    assert_true(b.pre.std[2] == 4 && b.pre.bgr && b.pre.resize == 50);
    assert_int_equal(backbone_feature_key(&b, &key, &e), ERR_OK);
    assert_int_equal(backbone_feature_key(&f->backbone, &plain, &e), ERR_OK);
    assert_int_not_equal(digest_compare(&key, &plain), 0);
    backbone_fini(&b);

    static const struct {
        struct backbone_overrides overrides;
        const char *said;
    } bad[] = {
        { { .mean = "1,2" }, "mean" },   { { .mean = "1,2,3,4" }, "mean" },
        { { .mean = "1,x,3" }, "mean" }, { { .std = "" }, "std" },
        { { .std = "0" }, "std" },       { { .color = "rgb" }, "colour" },
        { { .resize = 16 }, "resize" },  { { .std = "1,1,1 1" }, "std" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        e = (struct err){ 0 };
        enum err_code r =
            backbone_open(f->tiny.onnx.data, f->tiny.onnx.len, &bad[i].overrides, &b, &e);
        if (r != ERR_ONNX_PREPROCESS || !strstr(e.message, bad[i].said))
            fail_msg("case %zu: %s: %s", i, err_slug(r), e.message);
    }
}

static void same_bits_with_any_threads(void **state)
{
    struct fixture *f = *state;
    for (int threads = 2; threads <= 3; threads++) {
        float x[PICTURES][TINY_WIDTH];
        size_t passes = 0;
        const char *name = threads == 2 ? "two" : "three";
        assert_int_equal(compute(f, name, threads, NULL, NULL, x, &passes, NULL), ERR_OK);
        assert_int_equal(passes, PICTURES);
        assert_clean(f, x);
    }
}

static void cached_is_not_computed(void **state)
{
    struct fixture *f = *state;
    float x[PICTURES][TINY_WIDTH] = { 0 };
    size_t passes = 99;
    assert_int_equal(compute(f, "clean", 2, NULL, NULL, x, &passes, NULL), ERR_OK);
    assert_int_equal(passes, 0);
    assert_clean(f, x);
}

static bool stop_after_five(void *context, size_t done, size_t total)
{
    assert_int_equal(total, PICTURES);
    *(size_t *)context = done;
    return done >= 5;
}

static void cancelled_goes_on_from_there(void **state)
{
    struct fixture *f = *state;
    float x[PICTURES][TINY_WIDTH] = { 0 };
    size_t passes = 0, first = 0, done = 0;
    enum err_code r = compute(f, "cancelled", 1, stop_after_five, &done, x, &first, NULL);
    /* The watcher may be told of the fifth when all are done already. */
    assert_true(r == ERR_CANCELLED || done == PICTURES);
    assert_true(first >= 5);
    assert_int_equal(compute(f, "cancelled", 2, NULL, NULL, x, &passes, NULL), ERR_OK);
    assert_int_equal(first + passes, PICTURES);
    assert_clean(f, x);
}

/* On the caller's thread, which owns the cache: what is in it by now is on the disk, then dead. */
static bool die_after_three(void *context, size_t done, size_t total)
{
    (void)total;
    if (done >= 3 && feature_cache_flush(context, NULL) == ERR_OK)
        kill(getpid(), SIGKILL);
    return false;
}

static void killed_goes_on_from_there(void **state)
{
    struct fixture *f = *state;
    pid_t child = fork();
    if (child == 0) {
        struct feature_cache *cache = NULL;
        float some[PICTURES][TINY_WIDTH];
        size_t passes = 0;
        open_cache(f, "killed", &cache);
        enum err_code r =
            compute_some(f, cache, PICTURES, 2, die_after_three, cache, some[0], &passes, NULL);
        _exit(r ? 1 : 2);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    float x[PICTURES][TINY_WIDTH] = { 0 };
    size_t passes = 0;
    assert_int_equal(compute(f, "killed", 2, NULL, NULL, x, &passes, NULL), ERR_OK);
    assert_true(passes <= PICTURES - 3);
    assert_clean(f, x);
}

static void mirrored_view_is_another_vector(void **state)
{
    struct fixture *f = *state;
    const struct features_item kept = f->items[1];
    struct feature_cache *cache = NULL;
    float x[2][TINY_WIDTH];
    size_t passes = 0;
    f->items[1] = f->items[0];
    f->items[1].view = !f->items[0].view;
    open_cache(f, "views", &cache);
    assert_int_equal(compute_some(f, cache, 2, 1, NULL, NULL, x[0], &passes, NULL), ERR_OK);
    feature_cache_close(cache);
    f->items[1] = kept;
    assert_int_equal(passes, 2);
    assert_memory_equal(x[0], f->clean[0], sizeof x[0]);
    assert_memory_not_equal(x[0], x[1], sizeof x[0]);
}

static void key_is_all_that_decides_the_numbers(void **state)
{
    struct fixture *f = *state;
    static const struct backbone_overrides other[] = {
        { 0 },
        { .feature = "r2" },
        { .mean = "127" },
        { .std = "127" },
        { .color = "BGR" },
        { .resize = 36 },
    };
    enum { COUNT = sizeof other / sizeof *other };
    struct digest keys[COUNT], again;
    struct err e = { 0 };
    for (int i = 0; i < COUNT; i++) {
        struct backbone b;
        assert_int_equal(backbone_open(f->tiny.onnx.data, f->tiny.onnx.len, &other[i], &b, &e),
                         ERR_OK);
        assert_int_equal(backbone_feature_key(&b, &keys[i], &e), ERR_OK);
        for (int k = 0; k < i; k++)
            if (digest_compare(&keys[i], &keys[k]) == 0)
                fail_msg("keys %d and %d are the same", k, i);
        backbone_fini(&b);
    }
    assert_int_equal(backbone_feature_key(&f->backbone, &again, &e), ERR_OK);
    assert_int_equal(digest_compare(&again, &keys[0]), 0);
}

static void missing_picture_is_named(void **state)
{
    struct fixture *f = *state;
    struct digest d = tiny_put_picture(&f->tiny, 3, 777);
    struct features_item kept = f->items[20];
    char hex[DIGEST_HEX + 1];
    struct err e = { 0 };
    float x[PICTURES][TINY_WIDTH];
    size_t passes = 0;
    digest_hex(&d, hex);
    assert_int_equal(blobs_remove(f->tiny.blobs, &d, NULL), ERR_OK);
    f->items[20].picture = d;
    assert_int_equal(compute(f, "missing", 1, NULL, NULL, x, &passes, &e), ERR_BLOB_MISSING);
    assert_non_null(strstr(e.message, hex));
    /* What came before is kept. */
    f->items[20] = kept;
    assert_int_equal(passes, 20);
    assert_int_equal(compute(f, "missing", 1, NULL, NULL, x, &passes, &e), ERR_OK);
    assert_int_equal(passes, PICTURES - 20);
    assert_clean(f, x);
}

static void undecodable_picture_is_a_fault(void **state)
{
    struct fixture *f = *state;
    struct features_item kept = f->items[3];
    char hex[DIGEST_HEX + 1];
    struct err e = { 0 };
    float x[PICTURES][TINY_WIDTH];
    size_t passes = 0;
    assert_int_equal(blobs_put(f->tiny.blobs, "no picture", 10, &f->items[3].picture, NULL),
                     ERR_OK);
    digest_hex(&f->items[3].picture, hex);
    assert_int_equal(compute(f, "undecodable", 2, NULL, NULL, x, &passes, &e), ERR_BLOB_CORRUPT);
    assert_non_null(strstr(e.message, hex));
    f->items[3] = kept;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backbone_is_understood),
        cmocka_unit_test(overrides_go_before_metadata),
        cmocka_unit_test(same_bits_with_any_threads),
        cmocka_unit_test(cached_is_not_computed),
        cmocka_unit_test(cancelled_goes_on_from_there),
        cmocka_unit_test(killed_goes_on_from_there),
        cmocka_unit_test(mirrored_view_is_another_vector),
        cmocka_unit_test(key_is_all_that_decides_the_numbers),
        cmocka_unit_test(missing_picture_is_named),
        cmocka_unit_test(undecodable_picture_is_a_fault),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
