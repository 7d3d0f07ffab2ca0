/* What a file's metadata say of its precision, what they may not say, and ranges seen on a sample.
 */
#include "nn/precision.h"

#include "nn/classifier.h"
#include "nn/head.h"
#include "nn/sample.h"
#include "tests/unit/nn/tiny.h"

#include <math.h>

enum { CLASSES = 2, PICTURES = SAMPLE_PICTURES + 5 };

static const char *const labels[CLASSES] = { "a", "b" };
static const struct image_limits limits = { IMAGE_MAX_PIXELS_DEFAULT };

struct fixture {
    struct tiny tiny;
    struct backbone backbone;
    struct features_item items[PICTURES];
};

static int by_digest(const void *a, const void *b)
{
    const struct features_item *x = a, *y = b;
    return digest_compare(&x->picture, &y->picture);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    tiny_init(&f->tiny);
    assert_int_equal(backbone_open(f->tiny.onnx.data, f->tiny.onnx.len, NULL, &f->backbone, NULL),
                     ERR_OK);
    for (int i = 0; i < PICTURES; i++)
        f->items[i].picture = tiny_put_picture(&f->tiny, i % 4, i);
    qsort(f->items, PICTURES, sizeof f->items[0], by_digest);
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

static struct sample_request request(const struct fixture *f, size_t count, int threads)
{
    return (struct sample_request){ .backbone = &f->backbone,
                                    .blobs = f->tiny.blobs,
                                    .folder = f->tiny.features,
                                    .items = f->items,
                                    .count = count,
                                    .threads = threads,
                                    .limits = limits };
}

static size_t sample(const struct sample_request *q, struct integers *ret)
{
    struct err e = { 0 };
    size_t passes = 77;
    if (sample_integers(q, NULL, NULL, ret, &passes, &e))
        fail_msg("%s", e.message);
    return passes;
}

static void same_sample_same_bits(void **state)
{
    struct fixture *f = *state;
    CLEANUP(integers_fini) struct integers first = { 0 };
    struct sample_request q = request(f, PICTURES, 1);
    assert_int_equal(sample(&q, &first), SAMPLE_PICTURES);
    for (int threads = 1; threads <= 9; threads += 2) {
        CLEANUP(integers_fini) struct integers kept = { 0 };
        CLEANUP(integers_fini) struct integers made = { 0 };
        char folder[128];
        snprintf(folder, sizeof folder, "%s/%d", f->tiny.folder, threads);
        q = request(f, PICTURES - (size_t)threads % 5, threads);
        /* Pictures behind the sample do not matter. */
        assert_int_equal(sample(&q, &kept), 0);
        assert_string_equal(kept.text, first.text);
        q.folder = folder;
        assert_int_equal(sample(&q, &made), SAMPLE_PICTURES);
        assert_string_equal(made.text, first.text);
        assert_int_equal(digest_compare(&made.digest, &first.digest), 0);
    }
    /* Those within it do. */
    for (size_t count = 3; count < SAMPLE_PICTURES; count += 20) {
        CLEANUP(integers_fini) struct integers few = { 0 };
        q = request(f, count, 2);
        assert_int_equal(sample(&q, &few), count);
        assert_true(strcmp(few.text, first.text) != 0);
    }
}

static char *kept_file(const struct fixture *f)
{
    char command[256], line[300] = "";
    snprintf(command, sizeof command, "ls %s/*.ranges", f->tiny.features);
    FILE *p = popen(command, "re");
    assert_non_null(p);
    assert_non_null(fgets(line, sizeof line, p));
    pclose(p);
    line[strcspn(line, "\n")] = '\0';
    return strdup(line);
}

static void damaged_files_are_made_again(void **state)
{
    struct fixture *f = *state;
    CLEANUP(integers_fini) struct integers first = { 0 };
    struct sample_request q = request(f, PICTURES, 2);
    assert_int_equal(file_remove_tree(f->tiny.features, NULL), ERR_OK);
    sample(&q, &first);
    CLEANUP(cleanup_free) char *path = kept_file(f);
    CLEANUP(buf_fini) struct buf sound;
    buf_init(&sound, 1 << 20);
    assert_int_equal(file_read(path, &sound, NULL), ERR_OK);
    for (int damage = 0; damage < 4; damage++) {
        CLEANUP(integers_fini) struct integers again = { 0 };
        size_t len = damage == 0 ? 0 : damage == 1 ? 40 : sound.len;
        CLEANUP(cleanup_free) uint8_t *bytes = malloc(sound.len);
        assert_non_null(bytes);
        memcpy(bytes, sound.data, sound.len);
        if (damage > 1) /* the digest; a digit of the text */
            bytes[damage == 2 ? 5 : sound.len - 4] ^= 1;
        assert_int_equal(file_write_atomic(path, bytes, len, NULL), ERR_OK);
        assert_int_equal(sample(&q, &again), SAMPLE_PICTURES);
        assert_string_equal(again.text, first.text);
    }
}

static bool stop(void *context, size_t done, size_t total)
{
    (void)context;
    (void)done;
    (void)total;
    return true;
}

static void errors_name_the_picture(void **state)
{
    struct fixture *f = *state;
    struct integers i;
    struct err e = { 0 };
    size_t passes = 0;
    struct sample_request q = request(f, 9, 2);
    enum err_code r = sample_integers(&q, stop, NULL, &i, &passes, &e);
    /* All may be done before the watcher can say so. */
    assert_true(r == ERR_CANCELLED || r == ERR_OK);
    if (!r)
        integers_fini(&i);
    struct features_item items[2] = { f->items[0], f->items[1] };
    memset(&items[1].picture, 7, sizeof items[1].picture);
    q.items = items;
    q.count = 2;
    assert_int_equal(sample_integers(&q, NULL, NULL, &i, &passes, &e), ERR_BLOB_MISSING);
    assert_non_null(strstr(e.message, "0707"));
}

static void export(const struct fixture *f, const struct network_meta_pair *extra, size_t count,
                   struct buf *ret)
{
    float weight[CLASSES * TINY_WIDTH], bias[CLASSES] = { 0.1f, -0.1f };
    for (int i = 0; i < CLASSES * TINY_WIDTH; i++)
        weight[i] = (float)sin(i * 12.9898);
    const struct head head = {
        .classes = CLASSES, .width = TINY_WIDTH, .weight = weight, .bias = bias
    };
    buf_init(ret, 1 << 20);
    assert_int_equal(classifier_export(&f->backbone, &head, labels, extra, count, ret, NULL),
                     ERR_OK);
}

static void score(const struct buf *file, float *ret)
{
    struct classifier *c = NULL;
    struct classifier_scratch *s = NULL;
    struct err e = { 0 };
    CLEANUP(buf_fini) struct buf png;
    if (classifier_load(file->data, file->len, &c, &e))
        fail_msg("%s", e.message);
    assert_int_equal(classifier_scratch_new(c, &s, NULL), ERR_OK);
    tiny_picture(1, 500, &png);
    assert_int_equal(classifier_score(c, s, png.data, png.len, &limits, ret, NULL), ERR_OK);
    classifier_scratch_free(s);
    classifier_free(c);
}

static void files_are_served_as_they_say(void **state)
{
    struct fixture *f = *state;
    CLEANUP(integers_fini) struct integers i = { 0 };
    CLEANUP(buf_fini) struct buf plain;
    CLEANUP(buf_fini) struct buf floats;
    CLEANUP(buf_fini) struct buf integers;
    struct sample_request q = request(f, PICTURES, 2);
    sample(&q, &i);
    const struct network_meta_pair fp32[] = { { PRECISION_META, "fp32" },
                                              { PRECISION_META_RANGES, i.text } };
    const struct network_meta_pair int8[] = { { PRECISION_META, "int8" },
                                              { PRECISION_META_RANGES, i.text } };
    float a[CLASSES], b[CLASSES], c[CLASSES];
    export(f, NULL, 0, &plain);
    export(f, fp32, 2, &floats);
    export(f, int8, 2, &integers);
    score(&plain, a);
    score(&floats, b);
    score(&integers, c);
    assert_memory_equal(a, b, sizeof a);
    assert_true(a[0] != c[0]);
    assert_true(fabsf(a[0] - c[0]) < 0.05f);
}

static void broken_metadata_is_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *precision, *ranges, *said;
    } cases[] = {
        { "int4", NULL, "\"fp32\" or \"int8\"" },
        { "auto", NULL, "\"fp32\" or \"int8\"" },
        { "", NULL, "\"fp32\" or \"int8\"" },
        { "int8", NULL, "no " PRECISION_META_RANGES },
        { "int8", "", "object" },
        { "int8", "{}", "1 to" },
        { "int8", "[1]", "object" },
        { "int8", "{\"r1\":[0,1]}", "\"r1\": must be [low, high, channels]" },
        { "int8", "{\"r1\":[0,1,\"\",2]}", "must be [low, high, channels]" },
        { "int8", "{\"r1\":[\"0\",1,\"\"]}", "must be [low, high, channels]" },
        { "int8", "{\"r1\":[1,2,\"\"]}", "low <= 0 <= high" },
        { "int8", "{\"r1\":[-2,-1,\"\"]}", "low <= 0 <= high" },
        { "int8", "{\"r1\":[0,1e39,\"\"]}", "finite" },
        { "int8", "{\"r1\":[0,0,\"\"]}", "must not be 0" },
        { "int8", "{\"r1\":[0,1,\"12345\"]}", "six hex digits" },
        { "int8", "{\"r1\":[0,1,\"12345G\"]}", "six hex digits" },
        { "int8", "{\"r1\":[0,1,\"001122\"]}", "at least 1" },
        { "int8", "{\"r1\":[0,1,7]}", "six hex digits" },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const struct network_meta_pair pairs[] = { { PRECISION_META, cases[k].precision },
                                                   { PRECISION_META_RANGES, cases[k].ranges } };
        CLEANUP(buf_fini) struct buf file;
        struct classifier *c = NULL;
        struct err e = { 0 };
        export(f, pairs, cases[k].ranges ? 2 : 1, &file);
        enum err_code r = classifier_load(file.data, file.len, &c, &e);
        if (r != ERR_ONNX_GRAPH || !strstr(e.message, cases[k].said) || c)
            fail_msg("%s %s: %s: %s", cases[k].precision, cases[k].ranges ? cases[k].ranges : "-",
                     err_slug(r), e.message);
    }
}

static void texts(void **state)
{
    (void)state;
    enum precision p = PRECISION_AUTO;
    for (int i = PRECISION_FP32; i <= PRECISION_AUTO; i++) {
        assert_true(precision_parse(precision_text((enum precision)i), &p));
        assert_int_equal(p, i);
    }
    assert_false(precision_parse("INT8", &p));
    assert_int_equal(p, PRECISION_AUTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(same_sample_same_bits),
        cmocka_unit_test(damaged_files_are_made_again),
        cmocka_unit_test(errors_name_the_picture),
        cmocka_unit_test(files_are_served_as_they_say),
        cmocka_unit_test(broken_metadata_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
