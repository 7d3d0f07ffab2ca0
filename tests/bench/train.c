/* Full training steps of one network: what tests/bench/train.py measures.
 * usage: bench_train FILE.onnx BATCH THREADS STEPS [CUT] */
#include "data/base/cleanup.h"
#include "nn/learner.h"
#include "nn/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { CLASSES = 10, STEPS_MAX = 1000 };

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct network *load(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END)) {
        perror(path);
        exit(1);
    }
    size_t len = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(len);
    struct network *n = NULL;
    struct err e = { 0 };
    if (!bytes || fread(bytes, 1, len, f) != len || network_load(bytes, len, &n, &e)) {
        fprintf(stderr, "%s: %s\n", path, e.message);
        exit(1);
    }
    free(bytes);
    (void)fclose(f);
    return n;
}

/* SGD, as the peer does it in its step. */
static void descend(struct learner *l)
{
    for (size_t i = 0; i < learner_param_count(l); i++) {
        const struct learner_param *p = learner_param(l, i);
        for (size_t k = 0; k < p->count && p->gradient; k++)
            p->value[k] -= 1e-4f * p->gradient[k];
    }
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: bench_train FILE.onnx BATCH THREADS STEPS [CUT]\n");
        return 2;
    }
    struct network *n = load(argv[1]);
    int batch = (int)strtol(argv[2], NULL, 10), steps = (int)strtol(argv[4], NULL, 10);
    const struct learner_options o = { .input = argc > 5 ? argv[5] : NULL,
                                       .classes = CLASSES,
                                       .batch = batch,
                                       .norm = LEARNER_NORM_BATCH,
                                       .norm_momentum = 0.1f,
                                       .threads = (int)strtol(argv[3], NULL, 10) };
    struct learner *l;
    struct err e = { 0 };
    double begun = seconds(CLOCK_MONOTONIC), times[STEPS_MAX], loss = 0;
    if (steps < 1 || steps > STEPS_MAX || learner_new(n, &o, &l, &e)) {
        fprintf(stderr, "%s\n", e.message);
        return 1;
    }
    double made = seconds(CLOCK_MONOTONIC) - begun;
    size_t size = learner_input_size(l);
    float *x = malloc((size_t)batch * size * sizeof *x);
    float *target = calloc((size_t)batch * CLASSES, sizeof *target);
    if (!x || !target)
        return 1;
    for (size_t i = 0; i < (size_t)batch * size; i++)
        x[i] = (float)(i * 2654435761u % 1000) / 500 - 1;
    for (int i = 0; i < batch; i++)
        target[i * CLASSES + i % CLASSES] = 1;
    double cpu = 0;
    for (int i = -1; i < steps; i++) { /* the first one warms up */
        double from = seconds(CLOCK_MONOTONIC), used = seconds(CLOCK_PROCESS_CPUTIME_ID);
        if (learner_step(l, batch, x, target, NULL, &loss, NULL, &e)) {
            fprintf(stderr, "%s\n", e.message);
            return 1;
        }
        descend(l);
        if (i >= 0) {
            times[i] = seconds(CLOCK_MONOTONIC) - from;
            cpu += seconds(CLOCK_PROCESS_CPUTIME_ID) - used;
        }
    }
    qsort(times, (size_t)steps, sizeof *times, by_size);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"step_ms\": %.1f, \"least_ms\": %.1f, \"cpu_ms\": %.1f, \"images_per_s\": %.2f, "
           "\"new_ms\": %.0f, \"bytes\": %zu, \"resident_kb\": %ld, \"loss\": %.6f, \"engine\": "
           "\"%s\"}\n",
           times[steps / 2] * 1e3, times[0] * 1e3, cpu / steps * 1e3, batch / times[steps / 2],
           made * 1e3, learner_bytes(l), usage.ru_maxrss, loss, plan_engine_text());
    free(x);
    free(target);
    learner_free(l);
    network_free(n);
    return 0;
}
