/* Measures one thing of one network and prints a JSON line; infer.py calls it, beside the peer.
 * usage: bench_infer latency MODEL SECONDS BATCH THREADS
 *        bench_infer throughput MODEL SECONDS CALLERS BATCH [int8]
 *        bench_infer plan MODEL
 *        bench_infer peak SECONDS SIDE
 * Times are those of the wall, in milliseconds. */
#include "data/base/clock.h"
#include "data/base/file.h"
#include "nn/calibrate.h"
#include "nn/plan.h"

#include <inttypes.h>
#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SAMPLES_MAX = 1 << 20, ROUNDS_MIN = 5, WARM_UP = 3 };

static void ok(enum err_code code, const struct err *e)
{
    if (code == ERR_OK)
        return;
    fprintf(stderr, "bench_infer: %s\n", e->message);
    exit(1);
}

static void *claim(size_t bytes)
{
    void *data = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!data) {
        fprintf(stderr, "bench_infer: no memory for %zu bytes\n", bytes);
        exit(1);
    }
    return data;
}

static struct network *load(const char *path)
{
    struct err e;
    struct network *n;
    struct buf bytes;
    buf_init(&bytes, NETWORK_BYTES_MAX);
    ok(file_read(path, &bytes, &e), &e);
    ok(network_load(bytes.data, bytes.len, &n, &e), &e);
    buf_fini(&bytes);
    return n;
}

/* The same numbers as the peer's. */
static float *picture(size_t count)
{
    float *x = claim(count * sizeof *x);
    for (size_t i = 0; i < count; i++)
        x[i] = (float)(i * 2654435761u % 1000) / 500 - 1;
    return x;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double since_ms(int64_t start)
{
    return (double)(clock_monotonic_us() - start) / 1000;
}

struct caller {
    const struct plan *plan;
    struct plan_scratch *scratch;
    float *in, *out;
    int64_t until; /* microseconds */
    int64_t runs;
    pthread_t thread;
};

static struct caller caller_new(const struct plan *p, int batch)
{
    struct err e;
    struct caller c = { .plan = p };
    ok(plan_scratch_new(p, &c.scratch, &e), &e);
    c.in = picture(plan_input_size(p) * (size_t)batch);
    c.out = claim(plan_output_size(p) * (size_t)batch * sizeof *c.out);
    for (int i = 0; i < WARM_UP; i++)
        ok(plan_run(p, c.scratch, c.in, c.out, &e), &e);
    return c;
}

static void caller_fini(struct caller *c)
{
    plan_scratch_free(c->scratch);
    free(c->in);
    free(c->out);
}

static struct plan *compile(const struct network *n, int batch, int threads)
{
    struct err e;
    struct plan *p;
    struct plan_options o = { .batch = batch, .threads = threads };
    ok(plan_new(n, &o, &p, &e), &e);
    return p;
}

/* One lane. Ranges are those of the picture that is measured with. */
static struct plan *compile_int8(const struct network *n, int batch)
{
    struct err e;
    struct plan *p;
    struct calibration *c;
    struct ranges ranges;
    struct plan_options o = { .batch = 1 };
    ok(plan_new(n, &o, &p, &e), &e);
    float *x = picture(plan_input_size(p));
    plan_free(p);
    ok(calibration_new(n, &o, &c, &e), &e);
    ok(calibration_add(c, x, NULL, &e), &e);
    ok(calibration_ranges(c, CALIBRATE_MSE, &ranges, &e), &e);
    calibration_free(c);
    o = (struct plan_options){ .batch = batch, .precision = PLAN_INT8, .ranges = &ranges };
    ok(plan_new(n, &o, &p, &e), &e);
    ranges_fini(&ranges);
    free(x);
    return p;
}

static void latency(const char *path, double seconds, int batch, int threads)
{
    struct err e;
    struct network *n = load(path);
    struct plan *p = compile(n, batch, threads);
    struct caller c = caller_new(p, batch);
    double *ms = claim(SAMPLES_MAX * sizeof *ms);
    int count = 0;
    int64_t start = clock_monotonic_us();
    while (count < SAMPLES_MAX && (since_ms(start) < seconds * 1000 || count < ROUNDS_MIN)) {
        int64_t t = clock_monotonic_us();
        ok(plan_run(p, c.scratch, c.in, c.out, &e), &e);
        ms[count++] = since_ms(t);
    }
    qsort(ms, (size_t)count, sizeof *ms, by_size);
    printf("{\"median_ms\": %.4f, \"min_ms\": %.4f, \"p99_ms\": %.4f, \"runs\": %d, "
           "\"plan_bytes\": %zu, \"scratch_bytes\": %zu, \"engine\": \"%s\"}\n",
           ms[count / 2], ms[0], ms[count * 99 / 100], count, plan_bytes(p), plan_scratch_bytes(p),
           plan_engine_text());
    free(ms);
    caller_fini(&c);
    plan_free(p);
    network_free(n);
}

/* Of all threads: what a busy neighbour takes is not in it. */
static double processor_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void *call(void *context)
{
    struct caller *c = context;
    struct err e;
    while (clock_monotonic_us() < c->until) {
        ok(plan_run(c->plan, c->scratch, c->in, c->out, &e), &e);
        c->runs++;
    }
    return NULL;
}

static void throughput(const char *path, double seconds, int callers, int batch, bool int8)
{
    struct network *n = load(path);
    struct plan *p = int8 ? compile_int8(n, batch) : compile(n, batch, 1);
    struct caller *list = claim((size_t)callers * sizeof *list);
    for (int i = 0; i < callers; i++)
        list[i] = caller_new(p, batch);
    int64_t start = clock_monotonic_us();
    double before = processor_ms();
    for (int i = 0; i < callers; i++) {
        list[i].until = start + (int64_t)(seconds * 1e6);
        if (pthread_create(&list[i].thread, NULL, call, &list[i]))
            exit(1);
    }
    int64_t runs = 0;
    for (int i = 0; i < callers; i++) {
        pthread_join(list[i].thread, NULL);
        runs += list[i].runs;
    }
    double pictures = (double)(runs * batch);
    printf("{\"images_per_s\": %.2f, \"processor_ms\": %.4f, \"callers\": %d, "
           "\"scratch_bytes\": %zu}\n",
           pictures * 1000 / since_ms(start), (processor_ms() - before) / pictures, callers,
           plan_scratch_bytes(p));
    for (int i = 0; i < callers; i++)
        caller_fini(&list[i]);
    free(list);
    plan_free(p);
    network_free(n);
}

/* The first plan of a process, one for the same network and batch, one for another batch. */
static void plan(const char *path)
{
    int64_t start = clock_monotonic_us();
    struct network *n = load(path);
    double load_ms = since_ms(start), ms[3];
    struct plan *p[3];
    static const int batch[] = { 1, 1, 4 };
    for (int i = 0; i < 3; i++) {
        start = clock_monotonic_us();
        p[i] = compile(n, batch[i], 1);
        ms[i] = since_ms(start);
    }
    printf("{\"load_ms\": %.2f, \"plan_ms\": %.2f, \"again_ms\": %.2f, \"batch4_ms\": %.2f}\n",
           load_ms, ms[0], ms[1], ms[2]);
    for (int i = 0; i < 3; i++)
        plan_free(p[i]);
    network_free(n);
}

static void peak(double seconds, int side)
{
    size_t count = (size_t)side * (size_t)side;
    float *a = picture(count), *b = picture(count), *c = claim(count * sizeof *c);
    omp_set_num_threads(1);
    double best = 0;
    int64_t start = clock_monotonic_us();
    for (int i = 0; i < WARM_UP || since_ms(start) < seconds * 1000; i++) {
        int64_t t = clock_monotonic_us();
        if (dnnl_sgemm('N', 'N', side, side, side, 1, a, side, b, side, 0, c, side) != dnnl_success)
            exit(1);
        double flops = 2e-6 * (double)count * side / since_ms(t);
        best = flops > best ? flops : best;
    }
    printf("{\"gflops\": %.1f, \"side\": %d}\n", best, side);
    free(a);
    free(b);
    free(c);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    double number = argc > 3 ? atof(argv[3]) : 0;
    int count = argc > 4 ? atoi(argv[4]) : 1;
    if (argc == 6 && strcmp(what, "latency") == 0 && count > 0)
        latency(argv[2], number, count, atoi(argv[5]));
    else if ((argc == 6 || (argc == 7 && strcmp(argv[6], "int8") == 0)) &&
             strcmp(what, "throughput") == 0 && count > 0 && atoi(argv[5]) > 0)
        throughput(argv[2], number, count, atoi(argv[5]), argc == 7);
    else if (argc == 3 && strcmp(what, "plan") == 0)
        plan(argv[2]);
    else if (argc == 4 && strcmp(what, "peak") == 0 && number > 0)
        peak(atof(argv[2]), (int)number);
    else
        return fprintf(stderr, "usage: bench_infer latency MODEL SECONDS BATCH THREADS\n"
                               "       bench_infer throughput MODEL SECONDS CALLERS BATCH [int8]\n"
                               "       bench_infer plan MODEL\n"
                               "       bench_infer peak SECONDS SIDE\n"),
               2;
    return 0;
}
