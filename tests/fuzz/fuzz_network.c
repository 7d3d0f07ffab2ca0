/* Any bytes as an ONNX file; what loads and is small is compiled, run and exported, and the export
 * loads again. */
#include "nn/network.h"
#include "nn/plan.h"

#include <stdlib.h>
#include <string.h>

enum { INPUT_MAX = 1 << 16, SCRATCH_MAX = 1 << 24, WIDTH_MAX = 1 << 14, CLASSES = 2 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(const struct network *n)
{
    struct plan *p;
    struct plan_scratch *s;
    struct err e;
    struct plan_options o = { .pool = true, .batch = 1 };
    if (plan_new(n, &o, &p, &e) != ERR_OK)
        return;
    if (plan_scratch_bytes(p) <= SCRATCH_MAX && plan_scratch_new(p, &s, &e) == ERR_OK) {
        float *in = calloc(plan_input_size(p), sizeof *in);
        float *out = calloc(plan_output_size(p), sizeof *out);
        if (in && out && plan_run(p, s, in, out, &e) != ERR_OK && !e.message[0])
            abort();
        free(in);
        free(out);
        plan_scratch_free(s);
    }
    plan_free(p);
}

static void export(const struct network *n)
{
    const char *feature;
    int width;
    struct err e;
    if (network_feature(n, NULL, &feature, &width, &e) != ERR_OK || width > WIDTH_MAX)
        return;
    float *weight = calloc((size_t)width * CLASSES, sizeof *weight), bias[CLASSES] = { 0 };
    struct buf b;
    struct network *again;
    buf_init(&b, 1 << 26);
    if (weight && network_export(n, feature, weight, bias, CLASSES, NULL, 0, &b, &e) == ERR_OK) {
        if (network_load(b.data, b.len, &again, &e) != ERR_OK)
            abort();
        network_free(again);
    }
    free(weight);
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct network *n;
    struct err e = { 0 };
    if (network_load(data, size, &n, &e) != ERR_OK) {
        if (!e.message[0])
            abort();
        return 0;
    }
    int height, width;
    network_input(n, &height, &width);
    if (height * width <= INPUT_MAX) {
        run(n);
        export(n);
    }
    network_free(n);
    return 0;
}
