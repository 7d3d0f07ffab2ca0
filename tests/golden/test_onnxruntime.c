/* Our features against ONNX Runtime's: backbones.txt, made by backbones.py. */
#include "data/base/cleanup.h"
#include "nn/backbone.h"
#include "nn/plan.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SKIPPED = 77, STEP = 8, TOP = 5, TAR_BLOCK = 512, PATH_BYTES = 4096 };

static const struct image_limits limits = { IMAGE_MAX_PIXELS_DEFAULT };

struct bytes {
    uint8_t *data;
    size_t len;
};

struct subject {
    struct backbone backbone;
    struct plan *feature_plan, *class_plan; /* class_plan NULL: no classifier */
    struct plan_scratch *feature_scratch, *class_scratch;
    float *input, *features, *logits;
};

static const char *shared(void)
{
    return getenv("KENNEL_SHARED");
}

static struct bytes read_file(const char *path)
{
    CLEANUP(cleanup_file) FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    struct bytes b = { NULL, (size_t)ftell(f) };
    rewind(f);
    b.data = malloc(b.len + 1);
    assert_non_null(b.data);
    assert_int_equal(fread(b.data, 1, b.len, f), b.len);
    b.data[b.len] = 0;
    return b;
}

/* A member of a plain ustar archive. */
static struct bytes read_member(const char *archive, const char *name)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/datasets/%s", shared(), archive);
    CLEANUP(cleanup_file) FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char head[TAR_BLOCK];
    while (fread(head, 1, sizeof head, f) == sizeof head && head[0]) {
        char found[300], number[13] = { 0 };
        snprintf(found, sizeof found, "%.155s%s%.100s", head + 345, head[345] ? "/" : "", head);
        memcpy(number, head + 124, 12);
        size_t len = strtoul(number, NULL, 8);
        if (strcmp(found, name) == 0) {
            struct bytes b = { malloc(len + 1), len };
            assert_non_null(b.data);
            assert_int_equal(fread(b.data, 1, len, f), len);
            return b;
        }
        assert_int_equal(fseek(f, (long)((len + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK), SEEK_CUR),
                         0);
    }
    fail_msg("%s is not in %s", name, archive);
    return (struct bytes){ 0 };
}

static void ok(enum err_code code, const struct err *e)
{
    if (code)
        fail_msg("%s: %s", err_slug(code), e->message);
}

static void subject_open(struct subject *s, const char *file, const char *feature, int width)
{
    char path[PATH_BYTES];
    struct err e;
    snprintf(path, sizeof path, "%s/backbones/%s", shared(), file);
    struct bytes b = read_file(path);
    ok(backbone_open(b.data, b.len, NULL, &s->backbone, &e), &e);
    free(b.data);
    assert_string_equal(s->backbone.feature, feature);
    assert_int_equal(s->backbone.width, width);

    struct plan_options o = { .output = feature, .pool = true, .batch = 1 };
    ok(plan_new(s->backbone.network, &o, &s->feature_plan, &e), &e);
    assert_int_equal(plan_output_size(s->feature_plan), width);
    ok(plan_scratch_new(s->feature_plan, &s->feature_scratch, &e), &e);
    o = (struct plan_options){ .batch = 1 };
    ok(plan_new(s->backbone.network, &o, &s->class_plan, &e), &e);
    ok(plan_scratch_new(s->class_plan, &s->class_scratch, &e), &e);
    s->input = calloc(plan_input_size(s->feature_plan), sizeof *s->input);
    s->features = calloc((size_t)width, sizeof *s->features);
    s->logits = calloc(plan_output_size(s->class_plan), sizeof *s->logits);
    assert_true(s->input && s->features && s->logits);
}

static void subject_close(struct subject *s)
{
    plan_scratch_free(s->feature_scratch);
    plan_scratch_free(s->class_scratch);
    plan_free(s->feature_plan);
    plan_free(s->class_plan);
    if (s->backbone.network)
        backbone_fini(&s->backbone);
    free(s->input);
    free(s->features);
    free(s->logits);
    *s = (struct subject){ 0 };
}

/* At full size: the DCT scaling of preprocess_file() may change a pixel by one. */
static void prepare(struct subject *s, const char *archive, const char *member)
{
    struct err e;
    struct image image = { 0 };
    struct preprocess_scratch *scratch;
    struct bytes b = read_member(archive, member);
    ok(image_decode(b.data, b.len, &limits, 0, &image, &e), &e);
    ok(preprocess_scratch_new(&scratch, &e), &e);
    ok(preprocess_run(&s->backbone.pre, scratch, &image, 0, s->input, &e), &e);
    preprocess_scratch_free(scratch);
    image_fini(&image);
    free(b.data);
}

static double next_number(char **at)
{
    char *word = strtok_r(NULL, " ", at);
    assert_non_null(word);
    return strtod(word, NULL);
}

/* max |a - b| <= 1e-3 max |b|, over every STEP-th value; the norm stands for the others. */
static double check_features(const struct subject *s, char **at)
{
    double largest = next_number(at), norm = next_number(at), worst = 0, sum = 0;
    for (int i = 0; i < s->backbone.width; i++) {
        double ours = (double)s->features[i];
        sum += ours * ours;
        if (i % STEP == 0)
            worst = fmax(worst, fabs(ours - next_number(at)));
    }
    assert_true(worst <= 1e-3 * largest);
    assert_true(fabs(sqrt(sum) - norm) <= 1e-3 * norm);
    return worst / largest;
}

static void check_top(const struct subject *s, char **at)
{
    char *word = strtok_r(NULL, " ", at);
    if (!word)
        return;
    assert_string_equal(word, "top");
    size_t count = plan_output_size(s->class_plan);
    for (int k = 0; k < TOP; k++) {
        int want = (int)next_number(at), rank = 0;
        for (size_t i = 0; i < count; i++)
            rank += s->logits[i] > s->logits[want];
        assert_int_equal(rank, k);
    }
}

static void check_picture(struct subject *s, char **at)
{
    struct err e;
    const char *archive = strtok_r(NULL, " ", at), *member = strtok_r(NULL, " ", at);
    assert_true(archive && member);
    prepare(s, archive, member);
    ok(plan_run(s->feature_plan, s->feature_scratch, s->input, s->features, &e), &e);
    ok(plan_run(s->class_plan, s->class_scratch, s->input, s->logits, &e), &e);
    double worst = check_features(s, at);
    print_message("%s: largest difference %.1e of the largest feature\n", member, worst);
    check_top(s, at);
}

static void features_agree(void **state)
{
    (void)state;
    char path[PATH_BYTES], *line_at;
    snprintf(path, sizeof path, "%s/tests/golden/backbones.txt", getenv("KENNEL_SOURCE"));
    struct bytes golden = read_file(path);
    struct subject s = { 0 };
    int pictures = 0;
    for (char *line = strtok_r((char *)golden.data, "\n", &line_at); line;
         line = strtok_r(NULL, "\n", &line_at)) {
        char *at, *word = strtok_r(line, " ", &at);
        if (strcmp(word, "backbone") == 0) {
            const char *file = strtok_r(NULL, " ", &at), *feature = strtok_r(NULL, " ", &at);
            subject_close(&s);
            print_message("%s\n", file);
            subject_open(&s, file, feature, (int)next_number(&at));
        } else {
            check_picture(&s, &at);
            pictures++;
        }
    }
    subject_close(&s);
    free(golden.data);
    assert_int_equal(pictures, 5 * 8);
}

int main(void)
{
    if (!shared() || !getenv("KENNEL_SOURCE") || access(shared(), R_OK) != 0)
        return SKIPPED;
    const struct CMUnitTest tests[] = { cmocka_unit_test(features_agree) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
