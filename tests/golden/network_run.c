/* network_run FILE BATCH INPUT OUTPUT RUNS: runs an ONNX file over pictures of float32 numbers.
 *
 * INPUT holds BATCH pictures [3][H][W]; OUTPUT gets what the network makes of them. Prints the
 * nodes of the file, and the milliseconds a picture of the best of RUNS runs on this thread. */
#include "data/base/cleanup.h"
#include "nn/network_parts.h"
#include "nn/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static bool read_file(const char *path, void **ret, size_t *ret_len)
{
    CLEANUP(cleanup_file) FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END))
        return false;
    size_t len = (size_t)ftell(f);
    rewind(f);
    void *data = malloc(len + 1);
    if (!data || fread(data, 1, len, f) != len) {
        free(data);
        return false;
    }
    *ret = data;
    *ret_len = len;
    return true;
}

static enum err_code run(const struct network *n, int batch, const char *in, const char *out,
                         int runs, struct err *e)
{
    struct plan *p = NULL;
    struct plan_scratch *s = NULL;
    CLEANUP(cleanup_free) float *input = NULL, *output = NULL;
    size_t len;
    struct plan_options o = { .batch = batch };
    enum err_code r = plan_new(n, &o, &p, e);
    if (!r)
        r = plan_scratch_new(p, &s, e);
    if (!r && (!read_file(in, (void **)&input, &len) ||
               len != plan_input_size(p) * (size_t)batch * sizeof *input))
        r = err_set(e, ERR_IO, "%s does not hold %d pictures", in, batch);
    size_t count = r ? 0 : plan_output_size(p) * (size_t)batch;
    if (!r && !(output = calloc(count, sizeof *output)))
        r = err_set(e, ERR_NOMEM, "no memory for the output");
    double best = 0;
    for (int i = 0; i < runs && !r; i++) {
        double begin = now();
        r = plan_run(p, s, input, output, e);
        double took = now() - begin;
        best = i == 0 || took < best ? took : best;
    }
    CLEANUP(cleanup_file) FILE *f = r ? NULL : fopen(out, "wb");
    if (!r && (!f || fwrite(output, sizeof *output, count, f) != count))
        r = err_set(e, ERR_IO, "%s cannot be written", out);
    if (!r)
        printf("%d %.3f\n", n->graph.node_count, best / batch);
    plan_scratch_free(s);
    plan_free(p);
    return r;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: %s FILE BATCH INPUT OUTPUT RUNS\n", argv[0]);
        return 2;
    }
    struct err e = { 0 };
    struct network *n = NULL;
    CLEANUP(cleanup_free) void *bytes = NULL;
    size_t len;
    enum err_code r = ERR_OK;
    if (!read_file(argv[1], &bytes, &len))
        r = err_set(&e, ERR_IO, "%s cannot be read", argv[1]);
    if (!r)
        r = network_load(bytes, len, &n, &e);
    if (!r)
        r = run(n, atoi(argv[2]), argv[3], argv[4], atoi(argv[5]), &e);
    network_free(n);
    if (r)
        fprintf(stderr, "%s: %s\n", err_slug(r), e.message);
    return r ? 1 : 0;
}
