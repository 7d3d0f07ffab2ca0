/* What 8-bit inference costs and gains: accuracy beside fp32 with the same head, and speed.
 *
 *   int8 accuracy BACKBONE.onnx DATASET.tar [CALIBRATION_PICTURES]
 *   int8 speed BACKBONE.onnx [SECONDS]
 *
 * The data set has the members train/LABEL/PICTURE and val/LABEL/PICTURE. The head is fitted on
 * fp32 features of train; both kinds of val features are judged with it. Ranges come from the first
 * pictures of train in the order of their digests. Prints one JSON line a row. */
#include "data/base/cleanup.h"
#include "data/base/clock.h"
#include "data/base/digest.h"
#include "nn/backbone.h"
#include "nn/calibrate.h"
#include "nn/crew.h"
#include "nn/head.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAR_BLOCK = 512, PICTURES_MAX = 20000, CLASSES_MAX = 1000, THREADS = 2, METHODS = 3 };

static const char *const method_text[METHODS] = { "mse", "percentile", "extreme" };

struct picture {
    const uint8_t *bytes;
    size_t len;
    int label;
    bool train;
    struct digest digest;
};

struct bench {
    struct backbone backbone;
    uint8_t *tar;
    struct picture *pictures;
    int count, train, classes;
    char labels[CLASSES_MAX][100];
    struct plan *plan;
    struct plan_scratch *scratch[THREADS];
    struct preprocess_scratch *pre[THREADS];
    float *input[THREADS];
    float *features; /* [count][width] of the plan */
};

static void must(enum err_code code, const struct err *e)
{
    if (!code)
        return;
    fprintf(stderr, "%s: %s\n", err_slug(code), e->message);
    exit(1);
}

static void *need(void *p)
{
    if (!p)
        exit(1);
    return p;
}

static uint8_t *read_all(const char *path, size_t *ret_len)
{
    CLEANUP(cleanup_file) FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0) {
        perror(path);
        exit(1);
    }
    *ret_len = (size_t)ftell(f);
    rewind(f);
    uint8_t *bytes = need(malloc(*ret_len + 1));
    if (fread(bytes, 1, *ret_len, f) != *ret_len)
        exit(1);
    return bytes;
}

static int label_of(struct bench *b, const char *label)
{
    for (int i = 0; i < b->classes; i++)
        if (strcmp(b->labels[i], label) == 0)
            return i;
    snprintf(b->labels[b->classes], sizeof b->labels[0], "%s", label);
    return b->classes++;
}

static int by_split_and_digest(const void *a, const void *b)
{
    const struct picture *x = a, *y = b;
    return x->train != y->train ? y->train - x->train : digest_compare(&x->digest, &y->digest);
}

static void read_dataset(struct bench *b, const char *path)
{
    size_t len;
    struct err e;
    b->tar = read_all(path, &len);
    b->pictures = need(calloc(PICTURES_MAX, sizeof *b->pictures));
    for (size_t at = 0; at + TAR_BLOCK <= len && b->tar[at] && b->count < PICTURES_MAX;) {
        const char *head = (const char *)b->tar + at;
        char name[300], split[10], label[100], number[13] = { 0 };
        snprintf(name, sizeof name, "%.155s%s%.100s", head + 345, head[345] ? "/" : "", head);
        memcpy(number, head + 124, 12);
        size_t size = strtoul(number, NULL, 8);
        if (head[156] == '0' && sscanf(name, "%9[^/]/%99[^/]/", split, label) == 2) {
            struct picture *p = &b->pictures[b->count++];
            *p = (struct picture){ .bytes = b->tar + at + TAR_BLOCK, .len = size };
            p->label = label_of(b, label);
            p->train = strcmp(split, "train") == 0;
            b->train += p->train;
            must(digest_of(p->bytes, size, &p->digest, &e), &e);
        }
        at += TAR_BLOCK + (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
    }
    qsort(b->pictures, (size_t)b->count, sizeof *b->pictures, by_split_and_digest);
}

static void prepare(struct bench *b, int worker, int picture)
{
    static const struct image_limits limits = { IMAGE_MAX_PIXELS_DEFAULT };
    struct err e;
    const struct picture *p = &b->pictures[picture];
    must(preprocess_file(&b->backbone.pre, b->pre[worker], p->bytes, p->len, &limits, 0,
                         b->input[worker], &e),
         &e);
}

static enum err_code feature_task(void *context, int worker, size_t task, const atomic_bool *stop,
                                  struct err *e)
{
    struct bench *b = context;
    (void)stop;
    prepare(b, worker, (int)task);
    return plan_run(b->plan, b->scratch[worker], b->input[worker],
                    b->features + task * (size_t)b->backbone.width, e);
}

static struct plan *make_plan(const struct bench *b, const struct ranges *ranges)
{
    struct err e;
    struct plan *p;
    struct plan_options o = { .output = b->backbone.feature,
                              .pool = true,
                              .batch = 1,
                              .precision = ranges ? PLAN_INT8 : PLAN_FP32,
                              .ranges = ranges };
    must(plan_new(b->backbone.network, &o, &p, &e), &e);
    return p;
}

static float *all_features(struct bench *b, const struct ranges *ranges)
{
    struct err e;
    b->plan = make_plan(b, ranges);
    b->features = need(calloc((size_t)b->count * (size_t)b->backbone.width, sizeof(float)));
    for (int i = 0; i < THREADS; i++)
        must(plan_scratch_new(b->plan, &b->scratch[i], &e), &e);
    const struct crew_options crew = { .name = "bench",
                                       .threads = THREADS,
                                       .tasks = (size_t)b->count,
                                       .task = feature_task,
                                       .context = b };
    must(crew_run(&crew, &e), &e);
    for (int i = 0; i < THREADS; i++)
        plan_scratch_free(b->scratch[i]);
    plan_free(b->plan);
    return b->features;
}

static int right(const struct bench *b, const struct head *h, const float *features)
{
    int sum = 0;
    float *p = need(calloc((size_t)h->classes, sizeof *p));
    for (int i = b->train; i < b->count; i++) {
        head_apply(h, features + (size_t)i * (size_t)h->width, 1, p);
        int best = 0;
        for (int c = 1; c < h->classes; c++)
            best = p[c] > p[best] ? c : best;
        sum += best == b->pictures[i].label;
    }
    free(p);
    return sum;
}

/* |a - b| / |b| over all of val. */
static double relative_error(const struct bench *b, const float *a, const float *want)
{
    double difference = 0, size = 0;
    size_t width = (size_t)b->backbone.width;
    for (size_t i = (size_t)b->train * width; i < (size_t)b->count * width; i++) {
        difference += (double)(a[i] - want[i]) * (double)(a[i] - want[i]);
        size += (double)want[i] * (double)want[i];
    }
    return sqrt(difference / size);
}

static void fit(struct bench *b, const float *features, struct head *ret)
{
    struct err e;
    struct head_options o;
    struct head_report report;
    head_options_default(&o);
    o.threads = THREADS;
    o.seed = 1;
    int *y = need(calloc((size_t)b->count, sizeof *y));
    for (int i = 0; i < b->count; i++)
        y[i] = b->pictures[i].label;
    must(head_fit(features, y, NULL, b->train, b->backbone.width, b->classes, &o, NULL, NULL, ret,
                  &report, &e),
         &e);
    free(y);
}

static void accuracy(struct bench *b, const char *name, const char *tar, int pictures)
{
    struct err e;
    struct calibration *c;
    struct head head;
    struct plan_options o = { .output = b->backbone.feature, .pool = true, .batch = 1 };
    read_dataset(b, tar);
    int val = b->count - b->train;
    float *floats = all_features(b, NULL);
    fit(b, floats, &head);
    int fp32 = right(b, &head, floats);
    int64_t start = clock_monotonic_us();
    must(calibration_new(b->backbone.network, &o, &c, &e), &e);
    for (int i = 0; i < pictures && i < b->train; i++) {
        prepare(b, 0, i);
        must(calibration_add(c, b->input[0], NULL, &e), &e);
    }
    double seconds = (double)(clock_monotonic_us() - start) / 1e6;
    for (int m = 0; m < METHODS; m++) {
        struct ranges ranges;
        must(calibration_ranges(c, (enum calibrate_method)m, &ranges, &e), &e);
        float *integers = all_features(b, &ranges);
        int int8 = right(b, &head, integers);
        printf("{\"backbone\": \"%s\", \"dataset\": \"%s\", \"method\": \"%s\", \"pictures\": %d, "
               "\"calibrate_s\": %.2f, \"val\": %d, \"fp32_right\": %d, \"int8_right\": %d, "
               "\"points\": %.2f, \"relative_error\": %.4f}\n",
               name, tar, method_text[m], pictures, seconds, val, fp32, int8,
               100.0 * (int8 - fp32) / val, relative_error(b, integers, floats));
        fflush(stdout);
        free(integers);
        ranges_fini(&ranges);
    }
    free(floats);
    head_fini(&head);
    calibration_free(c);
    free(b->pictures);
    free(b->tar);
}

/* ---- speed ---- */

struct lane {
    const struct plan *plan;
    struct plan_scratch *scratch[THREADS];
    const float *input;
    int runs;
};

static enum err_code lane_task(void *context, int worker, size_t task, const atomic_bool *stop,
                               struct err *e)
{
    struct lane *lane = context;
    (void)stop;
    (void)task;
    float *out = need(calloc(plan_output_size(lane->plan), sizeof *out));
    enum err_code r = ERR_OK;
    for (int i = 0; i < lane->runs && !r; i++)
        r = plan_run(lane->plan, lane->scratch[worker], lane->input, out, e);
    free(out);
    return r;
}

/* Milliseconds of wall time a picture, `runs` on each of `threads` threads. */
static double time_lane(struct lane *lane, int threads)
{
    struct err e;
    const struct crew_options crew = { .name = "bench",
                                       .threads = threads,
                                       .tasks = (size_t)threads,
                                       .task = lane_task,
                                       .context = lane };
    int64_t start = clock_monotonic_us();
    must(crew_run(&crew, &e), &e);
    return (double)(clock_monotonic_us() - start) / 1e3 / lane->runs / threads;
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void speed(struct bench *b, const char *name, double seconds)
{
    enum { ROUNDS_MAX = 1000 };
    static double times[2][THREADS][ROUNDS_MAX];
    struct err e;
    struct calibration *c;
    struct ranges ranges;
    struct plan_options o = { .output = b->backbone.feature, .pool = true, .batch = 1 };
    size_t pixels = 3 * (size_t)b->backbone.pre.size * (size_t)b->backbone.pre.size;
    for (size_t i = 0; i < pixels; i++)
        b->input[0][i] = (float)((uint32_t)(i * 2654435761U) % 1000) / 500 - 1;
    must(calibration_new(b->backbone.network, &o, &c, &e), &e);
    must(calibration_add(c, b->input[0], NULL, &e), &e);
    must(calibration_ranges(c, CALIBRATE_MSE, &ranges, &e), &e);
    calibration_free(c);
    struct plan *plans[2] = { make_plan(b, NULL), make_plan(b, &ranges) };
    struct lane lanes[2] = { 0 };
    for (int k = 0; k < 2; k++) {
        lanes[k] = (struct lane){ .plan = plans[k], .input = b->input[0], .runs = 2 };
        for (int i = 0; i < THREADS; i++)
            must(plan_scratch_new(plans[k], &lanes[k].scratch[i], &e), &e);
        time_lane(&lanes[k], 1);
        lanes[k].runs = (int)fmax(1, 50 / time_lane(&lanes[k], 1));
    }
    int rounds = 0;
    int64_t end = clock_monotonic_us() + (int64_t)(seconds * 1e6);
    for (; rounds < 3 || (rounds < ROUNDS_MAX && clock_monotonic_us() < end); rounds++)
        for (int threads = 1; threads <= THREADS; threads++)
            for (int k = 0; k < 2; k++)
                times[k][threads - 1][rounds] = time_lane(&lanes[k], threads);
    for (int threads = 1; threads <= THREADS; threads++) {
        for (int k = 0; k < 2; k++)
            qsort(times[k][threads - 1], (size_t)rounds, sizeof(double), by_value);
        const double *fp32 = times[0][threads - 1], *int8 = times[1][threads - 1];
        printf("{\"backbone\": \"%s\", \"threads\": %d, \"engine\": \"%s\", \"fp32_ms\": "
               "%.3f, \"fp32_min_ms\": %.3f, \"int8_ms\": %.3f, \"int8_min_ms\": %.3f, \"ratio\": "
               "%.2f, \"ratio_of_min\": %.2f}\n",
               name, threads, plan_engine_text(), fp32[rounds / 2], fp32[0], int8[rounds / 2],
               int8[0], fp32[rounds / 2] / int8[rounds / 2], fp32[0] / int8[0]);
    }
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < THREADS; i++)
            plan_scratch_free(lanes[k].scratch[i]);
        plan_free(plans[k]);
    }
    ranges_fini(&ranges);
}

int main(int argc, char **argv)
{
    static struct bench b;
    struct err e;
    bool for_speed = argc > 2 && strcmp(argv[1], "speed") == 0;
    if (!for_speed && (argc < 4 || strcmp(argv[1], "accuracy") != 0)) {
        fprintf(stderr, "usage: int8 accuracy BACKBONE.onnx DATASET.tar [CALIBRATION_PICTURES]\n"
                        "       int8 speed BACKBONE.onnx [SECONDS]\n");
        return 2;
    }
    size_t len;
    uint8_t *bytes = read_all(argv[2], &len);
    must(backbone_open(bytes, len, NULL, &b.backbone, &e), &e);
    free(bytes);
    size_t pixels = 3 * (size_t)b.backbone.pre.size * (size_t)b.backbone.pre.size;
    for (int i = 0; i < THREADS; i++) {
        must(preprocess_scratch_new(&b.pre[i], &e), &e);
        b.input[i] = need(calloc(pixels, sizeof(float)));
    }
    const char *name = strrchr(argv[2], '/') ? strrchr(argv[2], '/') + 1 : argv[2];
    if (for_speed)
        speed(&b, name, argc > 3 ? strtod(argv[3], NULL) : 3);
    else
        accuracy(&b, name, argv[3], argc > 4 ? (int)strtol(argv[4], NULL, 10) : 64);
    for (int i = 0; i < THREADS; i++) {
        preprocess_scratch_free(b.pre[i]);
        free(b.input[i]);
    }
    backbone_fini(&b.backbone);
    return 0;
}
