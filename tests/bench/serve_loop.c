/* What serving costs without HTTP: threads that decode pictures and run them through a version, one
 * after the other. serve.py calls it and prints the requests over HTTP beside it.
 * usage: bench_serve_loop MODEL SECONDS THREADS PICTURE...
 * Prints a JSON line; MODEL is a version's ONNX file. */
#include "data/base/clock.h"
#include "data/base/file.h"
#include "nn/classifier.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { SAMPLES_MAX = 1 << 20, WARM_UP = 5, PICTURE_BYTES_MAX = 64 << 20 };

struct loop {
    struct classifier *classifier;
    struct buf *pictures;
    size_t count;
    int64_t until_us;
};

struct worker {
    const struct loop *loop;
    size_t first; /* picture; each worker starts at another one */
    pthread_t thread;
    double *ms; /* [SAMPLES_MAX] */
    size_t runs;
};

static void must(enum err_code code, const struct err *e)
{
    if (!code)
        return;
    fprintf(stderr, "bench_serve_loop: %s\n", e->message);
    exit(1);
}

static void *need(void *p)
{
    if (!p) {
        fprintf(stderr, "bench_serve_loop: no memory\n");
        exit(1);
    }
    return p;
}

static void *run(void *context)
{
    struct worker *w = context;
    const struct loop *l = w->loop;
    const struct image_limits limits = { .max_pixels = IMAGE_MAX_PIXELS_DEFAULT };
    struct classifier_scratch *scratch;
    struct err e;
    must(classifier_scratch_new(l->classifier, &scratch, &e), &e);
    float *probabilities =
        need(calloc((size_t)classifier_classes(l->classifier), sizeof *probabilities));
    for (size_t i = 0; w->runs < SAMPLES_MAX && (i < WARM_UP || clock_monotonic_us() < l->until_us);
         i++) {
        const struct buf *p = &l->pictures[(w->first + i) % l->count];
        int64_t start = clock_monotonic_us();
        must(classifier_score(l->classifier, scratch, p->data, p->len, &limits, probabilities, &e),
             &e);
        if (i >= WARM_UP)
            w->ms[w->runs++] = (double)(clock_monotonic_us() - start) / 1000;
    }
    free(probabilities);
    classifier_scratch_free(scratch);
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct buf read_file(const char *path, size_t max)
{
    struct err e;
    struct buf b;
    buf_init(&b, max);
    must(file_read(path, &b, &e), &e);
    return b;
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: bench_serve_loop MODEL SECONDS THREADS PICTURE...\n");
        return 2;
    }
    struct err e;
    struct loop l = { .count = (size_t)argc - 4 };
    double seconds = atof(argv[2]);
    int threads = atoi(argv[3]);
    if (threads < 1 || threads > 1024 || seconds <= 0)
        return 2;
    struct buf model = read_file(argv[1], NETWORK_BYTES_MAX);
    must(classifier_load(model.data, model.len, &l.classifier, &e), &e);
    buf_fini(&model);
    l.pictures = need(calloc(l.count, sizeof *l.pictures));
    for (size_t i = 0; i < l.count; i++)
        l.pictures[i] = read_file(argv[4 + i], PICTURE_BYTES_MAX);

    struct worker *workers = need(calloc((size_t)threads, sizeof *workers));
    int64_t start = clock_monotonic_us();
    l.until_us = start + (int64_t)(seconds * 1e6);
    for (int i = 0; i < threads; i++) {
        workers[i] = (struct worker){ .loop = &l, .first = (size_t)i * l.count / (size_t)threads };
        workers[i].ms = need(malloc(SAMPLES_MAX * sizeof(double)));
        if (pthread_create(&workers[i].thread, NULL, run, &workers[i]))
            return 1;
    }
    size_t runs = 0;
    for (int i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        runs += workers[i].runs;
    }
    double took = (double)(clock_monotonic_us() - start) / 1e6;
    double *all = need(malloc((runs + 1) * sizeof *all));
    size_t at = 0;
    for (int i = 0; i < threads; i++) {
        for (size_t k = 0; k < workers[i].runs; k++)
            all[at++] = workers[i].ms[k];
        free(workers[i].ms);
    }
    if (!runs) {
        fprintf(stderr, "bench_serve_loop: nothing was scored in %g s\n", seconds);
        return 1;
    }
    qsort(all, runs, sizeof *all, by_size);
    printf("{\"runs\": %zu, \"per_s\": %.2f, \"median_ms\": %.4f, \"p99_ms\": %.4f}\n", runs,
           (double)runs / took, all[runs / 2], all[runs * 99 / 100]);
    free(all);
    free(workers);
    for (size_t i = 0; i < l.count; i++)
        buf_fini(&l.pictures[i]);
    free(l.pictures);
    classifier_free(l.classifier);
    return 0;
}
