/* Any text as the ranges of a file's metadata; what is taken is written to the same text again and
 * compiles to a plan of integers that runs. Needs KENNEL_SOURCE, the folder of the sources. */
#include "data/base/cleanup.h"
#include "data/base/file.h"
#include "nn/plan.h"
#include "nn/precision.h"

#include <stdlib.h>
#include <string.h>

enum { INPUT_MAX = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct network *load(void)
{
    struct network *n = NULL;
    const char *source = getenv("KENNEL_SOURCE");
    CLEANUP(cleanup_free) char *path = NULL;
    CLEANUP(buf_fini) struct buf bytes;
    buf_init(&bytes, 1 << 20);
    if (file_path(&path, NULL, "%s/tests/unit/nn/tiny.onnx", source ? source : ".") ||
        file_read(path, &bytes, NULL) || network_load(bytes.data, bytes.len, &n, NULL))
        abort();
    return n;
}

static void run(const struct network *n, const struct ranges *ranges)
{
    struct plan *p;
    struct plan_scratch *s;
    struct err e;
    struct plan_options o = { .batch = 1, .precision = PLAN_INT8, .ranges = ranges };
    if (plan_new(n, &o, &p, &e))
        abort();
    float *in = calloc(plan_input_size(p), sizeof *in);
    float *out = calloc(plan_output_size(p), sizeof *out);
    for (size_t i = 0; in && i < plan_input_size(p); i++)
        in[i] = (float)(i % 17) / 8 - 1;
    if (!in || !out || plan_scratch_new(p, &s, &e) || plan_run(p, s, in, out, &e))
        abort();
    plan_scratch_free(s);
    plan_free(p);
    free(in);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct network *n;
    struct integers first, second;
    struct err e = { 0 };
    CLEANUP(cleanup_free) char *text = strndup((const char *)data, size);
    if (!text || size > INPUT_MAX)
        return 0;
    if (integers_parse(text, &first, &e)) {
        if (!e.message[0])
            abort();
        return 0;
    }
    if (integers_from(&first.ranges, &second, &e))
        abort();
    struct integers third;
    if (integers_from(&second.ranges, &third, &e) || strcmp(second.text, third.text) != 0)
        abort();
    if (!n)
        n = load();
    run(n, &first.ranges);
    integers_fini(&first);
    integers_fini(&second);
    integers_fini(&third);
    return 0;
}
