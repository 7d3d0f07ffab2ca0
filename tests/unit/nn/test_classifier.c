#include "nn/classifier.h"

#include "nn/champion.h"
#include "nn/features.h"
#include "nn/head.h"
#include "tests/unit/nn/tiny.h"

#include <math.h>

enum { CLASSES = 3 };

static const char *const labels[CLASSES] = { "ant", "n02-\"bee\"", "K\xc3\xa4mel" };

struct fixture {
    struct tiny tiny;
    struct backbone backbone;
    struct head head;
    struct buf file;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const struct backbone_overrides o = { .std = "58.395,57.12,57.375", .color = "BGR" };
    const struct network_meta_pair extra[] = { { CLASSIFIER_META_SEED, "7" } };
    struct err e = { 0 };
    assert_non_null(f);
    tiny_init(&f->tiny);
    if (backbone_open(f->tiny.onnx.data, f->tiny.onnx.len, &o, &f->backbone, &e))
        fail_msg("%s", e.message);
    f->head = (struct head){ .classes = CLASSES, .width = TINY_WIDTH };
    f->head.weight = calloc(CLASSES * TINY_WIDTH, sizeof(float));
    f->head.bias = calloc(CLASSES, sizeof(float));
    assert_true(f->head.weight && f->head.bias);
    for (int i = 0; i < CLASSES * TINY_WIDTH; i++)
        f->head.weight[i] = (float)sin(i * 12.9898) * 1.5f;
    for (int c = 0; c < CLASSES; c++)
        f->head.bias[c] = 0.1f * (float)c - 0.1f;
    buf_init(&f->file, 1 << 20);
    if (classifier_export(&f->backbone, &f->head, labels, extra, 1, &f->file, &e))
        fail_msg("%s", e.message);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    backbone_fini(&f->backbone);
    head_fini(&f->head);
    buf_fini(&f->file);
    tiny_fini(&f->tiny);
    free(f);
    return 0;
}

static void file_says_what_it_is(void **state)
{
    struct fixture *f = *state;
    struct classifier *c = NULL;
    struct err e = { 0 };
    if (classifier_load(f->file.data, f->file.len, &c, &e))
        fail_msg("%s", e.message);
    assert_int_equal(classifier_classes(c), CLASSES);
    for (int i = 0; i < CLASSES; i++)
        assert_string_equal(classifier_labels(c)[i], labels[i]);
    const struct preprocess *p = classifier_preprocess(c), *q = &f->backbone.pre;
    assert_memory_equal(p->mean, q->mean, sizeof p->mean);
    assert_memory_equal(p->std, q->std, sizeof p->std);
    assert_true(p->size == q->size && p->resize == q->resize && p->bgr && q->bgr);
    classifier_free(c);

    struct network *n = NULL;
    char hex[DIGEST_HEX + 1];
    digest_hex(&f->tiny.backbone, hex);
    assert_int_equal(network_load(f->file.data, f->file.len, &n, &e), ERR_OK);
    assert_string_equal(network_meta(n, CLASSIFIER_META_BACKBONE), hex);
    assert_string_equal(network_meta(n, CLASSIFIER_META_FEATURE), "features");
    assert_string_equal(network_meta(n, CLASSIFIER_META_SEED), "7");
    network_free(n);
}

/* Scores through the whole file equal the head on the features. */
static void scores_are_the_heads(void **state)
{
    struct fixture *f = *state;
    struct classifier *c = NULL;
    struct classifier_scratch *s = NULL;
    struct feature_cache *cache = NULL;
    struct digest key;
    const struct image_limits limits = { IMAGE_MAX_PIXELS_DEFAULT };
    assert_int_equal(classifier_load(f->file.data, f->file.len, &c, NULL), ERR_OK);
    assert_int_equal(classifier_scratch_new(c, &s, NULL), ERR_OK);
    assert_int_equal(backbone_feature_key(&f->backbone, &key, NULL), ERR_OK);
    assert_int_equal(feature_cache_open(f->tiny.features, &key, TINY_WIDTH, 1000, &cache, NULL),
                     ERR_OK);
    for (int k = 0; k < 8; k++) {
        CLEANUP(buf_fini) struct buf png;
        const struct features_item item = { .picture = tiny_put_picture(&f->tiny, k, k) };
        const struct features_request q = { .backbone = &f->backbone,
                                            .blobs = f->tiny.blobs,
                                            .cache = cache,
                                            .items = &item,
                                            .count = 1,
                                            .threads = 1,
                                            .limits = limits };
        float x[TINY_WIDTH], wanted[CLASSES], p[CLASSES], again[CLASSES];
        size_t passes = 0;
        assert_int_equal(features_compute(&q, NULL, NULL, x, &passes, NULL), ERR_OK);
        head_apply(&f->head, x, 1, wanted);
        tiny_picture(k, k, &png);
        assert_int_equal(classifier_score(c, s, png.data, png.len, &limits, p, NULL), ERR_OK);
        assert_int_equal(classifier_score(c, s, png.data, png.len, &limits, again, NULL), ERR_OK);
        assert_memory_equal(p, again, sizeof p);
        float sum = 0;
        for (int i = 0; i < CLASSES; i++) {
            sum += p[i];
            if (!(fabsf(p[i] - wanted[i]) < 1e-5f))
                fail_msg("picture %d class %d: %g, wanted %g", k, i, (double)p[i],
                         (double)wanted[i]);
        }
        assert_true(fabsf(sum - 1) < 1e-5f);
    }
    feature_cache_close(cache);
    classifier_scratch_free(s);
    classifier_free(c);
}

/* The picture's tensor, from the same place that makes it, gives the picture's answer. */
static void tensors_score_as_their_pictures(void **state)
{
    struct fixture *f = *state;
    struct classifier *c = NULL;
    struct classifier_scratch *s = NULL;
    struct preprocess_scratch *pre = NULL;
    CLEANUP(buf_fini) struct buf png;
    const struct image_limits limits = { IMAGE_MAX_PIXELS_DEFAULT };
    float wanted[CLASSES], p[CLASSES];
    struct err e = { 0 };
    assert_int_equal(classifier_load(f->file.data, f->file.len, &c, NULL), ERR_OK);
    assert_int_equal(classifier_scratch_new(c, &s, NULL), ERR_OK);
    assert_int_equal(preprocess_scratch_new(&pre, NULL), ERR_OK);
    assert_string_equal(classifier_input(c), "input");
    assert_string_equal(classifier_output(c), "probabilities");
    size_t size = (size_t)classifier_preprocess(c)->size, count = 3 * size * size;
    uint8_t *odd = malloc(count * sizeof(float) + 1); /* of no alignment */
    float *tensor = calloc(count, sizeof *tensor);
    assert_non_null(odd);
    assert_non_null(tensor);
    tiny_picture(1, 3, &png);
    assert_int_equal(
        preprocess_file(classifier_preprocess(c), pre, png.data, png.len, &limits, 0, tensor, NULL),
        ERR_OK);
    assert_int_equal(classifier_score(c, s, png.data, png.len, &limits, wanted, NULL), ERR_OK);
    memcpy(odd + 1, tensor, count * sizeof *tensor);
    assert_int_equal(classifier_score_tensor(c, s, odd + 1, p, NULL), ERR_OK);
    assert_memory_equal(p, wanted, sizeof p);

    static const float bad[] = { INFINITY, -INFINITY, NAN };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tensor[count - 1] = bad[i];
        assert_int_equal(classifier_score_tensor(c, s, tensor, p, &e), ERR_TENSOR_DATA);
    }
    preprocess_scratch_free(pre);
    classifier_scratch_free(s);
    classifier_free(c);
    free(tensor);
    free(odd);
}

static void bad_picture_is_refused(void **state)
{
    struct fixture *f = *state;
    struct classifier *c = NULL;
    struct classifier_scratch *s = NULL;
    struct err e = { 0 };
    float p[CLASSES] = { 5, 5, 5 };
    const struct image_limits limits = { IMAGE_MAX_PIXELS_DEFAULT }, tight = { 100 };
    assert_int_equal(classifier_load(f->file.data, f->file.len, &c, NULL), ERR_OK);
    assert_int_equal(classifier_scratch_new(c, &s, NULL), ERR_OK);
    assert_int_equal(classifier_score(c, s, "hello, world", 12, &limits, p, &e),
                     ERR_PICTURE_FORMAT);
    CLEANUP(buf_fini) struct buf png;
    tiny_picture(0, 0, &png);
    assert_int_equal(classifier_score(c, s, png.data, png.len, &tight, p, &e), ERR_PICTURE_PIXELS);
    assert_int_equal(classifier_score(c, s, png.data, png.len, &limits, p, &e), ERR_OK);
    classifier_scratch_free(s);
    classifier_free(c);
}

static void backbone_is_no_classifier(void **state)
{
    struct fixture *f = *state;
    struct classifier *c = NULL;
    struct champion champion;
    struct err e = { 0 };
    assert_int_equal(classifier_load(f->tiny.onnx.data, f->tiny.onnx.len, &c, &e), ERR_ONNX_GRAPH);
    assert_non_null(strstr(e.message, "labels"));
    assert_null(c);
    assert_int_equal(champion_open(f->tiny.onnx.data, f->tiny.onnx.len, &champion, &e),
                     ERR_ONNX_GRAPH);
    assert_int_equal(classifier_load("x", 1, &c, &e), ERR_ONNX_SYNTAX);
}

static void champion_is_taken_apart(void **state)
{
    struct fixture *f = *state;
    struct champion c;
    struct err e = { 0 };
    struct digest own, other;
    if (champion_open(f->file.data, f->file.len, &c, &e))
        fail_msg("%s", e.message);
    assert_int_equal(c.head.width, TINY_WIDTH);
    assert_memory_equal(c.head.weight, f->head.weight, sizeof(float) * CLASSES * TINY_WIDTH);
    assert_memory_equal(c.head.bias, f->head.bias, sizeof(float) * CLASSES);
    assert_int_equal(backbone_feature_key(&c.backbone, &own, &e), ERR_OK);
    assert_int_equal(backbone_feature_key(&f->backbone, &other, &e), ERR_OK);
    assert_int_equal(digest_compare(&own, &other), 0);

    char one[] = "n02-\"bee\"", two[] = "zebra";
    char *const dataset[] = { one, two };
    struct champion_map map;
    assert_int_equal(champion_map_init(&c, dataset, 2, &map, &e), ERR_OK);
    assert_int_equal(map.count, 4);
    assert_string_equal(map.names[0], one);
    assert_string_equal(map.names[1], two);
    assert_string_equal(map.names[2], "ant");
    const float x[TINY_WIDTH] = { 0 };
    float *p = NULL, own_p[CLASSES];
    assert_int_equal(champion_score(&c, &map, x, 1, &p, &e), ERR_OK);
    head_apply(&f->head, x, 1, own_p);
    assert_true(p[0] == own_p[1] && p[1] == 0 && p[2] == own_p[0] && p[3] == own_p[2]);
    free(p);
    champion_map_fini(&map);
    champion_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_says_what_it_is),
        cmocka_unit_test(scores_are_the_heads),
        cmocka_unit_test(bad_picture_is_refused),
        cmocka_unit_test(backbone_is_no_classifier),
        cmocka_unit_test(champion_is_taken_apart),
        cmocka_unit_test(tensors_score_as_their_pictures),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
