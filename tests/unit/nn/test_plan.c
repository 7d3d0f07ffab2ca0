/* Plans against the operators' own plain loops, operator by operator and in the combinations that
 * the passes look for. */
#include "data/base/cleanup.h"
#include "nn/network_parts.h"
#include "nn/plan_parts.h"
#include "tests/unit/nn/subject.h"

#include <malloc.h>
#include <math.h>
#include <pthread.h>

enum { SIDE = 13, BATCH = 3, CHANNELS = SUBJECT_CHANNELS, PICTURE = CHANNELS * SIDE * SIDE };

static struct network *make(const struct subject *s)
{
    return subject_network(s, SIDE, NULL);
}

static void fill(float *x, size_t count, uint32_t state)
{
    for (size_t i = 0; i < count; i++)
        x[i] = 2 * maker_number(&state);
}

/* The network's output by the plain loops alone; the caller frees it. */
static float *reference(const struct network *n, int batch, float *x, size_t *ret_count)
{
    struct frame f;
    struct err e;
    ok(network_frame(n, batch, &f, &e), &e);
    f.values[n->graph.inputs[0]].data = x;
    for (int i = 0; i < n->graph.node_count; i++) {
        const struct tensor *in[64];
        struct tensor *out[64];
        const struct node *node = &n->graph.nodes[i];
        struct op_call c = frame_call(&f, node, in, out);
        if (node->out[0] >= 0 && f.values[node->out[0]].data)
            continue;
        for (int k = 0; k < node->out_count; k++)
            if (out[k]) {
                ok(tensor_alloc(out[k], &e), &e);
                f.owned[node->out[k]] = true;
            }
        ok(node->op->eval(&c, &e), &e);
    }
    struct tensor *y = &f.values[n->graph.outputs[0]];
    float *ret = y->data;
    *ret_count = (size_t)tensor_count(y);
    f.owned[n->graph.outputs[0]] = false;
    f.values[n->graph.inputs[0]].data = NULL;
    frame_fini(&f);
    return ret;
}

/* Winograd's method adds and takes away terms: its roundings are theirs, which may cancel. */
static const float winograd_rounding = 1e-5f;

/* rounding: of an entry, in parts of the largest one; on top of what every subject may have. */
static void check_run(const struct subject *s, const struct network *n, int batch, int threads,
                      bool all, float rounding)
{
    struct err e;
    struct plan *p;
    struct plan_scratch *scratch;
    struct plan_options o = { .batch = batch, .threads = threads };
    size_t count;
    float *x = calloc((size_t)(batch * PICTURE), sizeof *x);
    assert_non_null(x);
    fill(x, (size_t)(batch * PICTURE), 7);
    float *want = reference(n, batch, x, &count);
    enum err_code r = plan_new(n, &o, &p, &e);
    if (r)
        fail_msg("%s: %s", s->name, e.message);
    assert_int_equal(plan_input_size(p), PICTURE);
    assert_int_equal(plan_output_size(p) * (size_t)batch, count);
    ok(plan_scratch_new(p, &scratch, &e), &e);
    float *y = calloc(count + 1, sizeof *y);
    assert_non_null(y);
    float largest = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmaxf(largest, fabsf(want[i]));
    int loops = 0; /* on two threads there are halves and hand-overs beside */
    for (int i = 0; i < p->instr_count; i++)
        loops += all ? strcmp(p->instrs[i].name, "reorder") != 0 && p->instrs[i].kind != INSTR_COPY
                     : p->instrs[i].kind == INSTR_LOOP;
    if (threads == 1 && s->loops >= 0 && loops != s->loops)
        fail_msg("%s: %d instructions instead of %d", s->name, loops, s->loops);
    for (int run = 0; run < 2; run++) {
        memset(y, 0xff, count * sizeof *y);
        y[count] = 42;
        ok(plan_run(p, scratch, x, y, &e), &e);
        for (size_t i = 0; i < count; i++)
            if (!(fabsf(y[i] - want[i]) <= 1e-4f * (1 + fabsf(want[i])) + rounding * largest))
                fail_msg("%s, batch %d: entry %zu is %g instead of %g", s->name, batch, i,
                         (double)y[i], (double)want[i]);
        assert_true(y[count] == 42);
    }
    plan_scratch_free(scratch);
    plan_free(p);
    free(x);
    free(y);
    free(want);
}

static void check_batch(const struct subject *s, const struct network *n, int batch, int threads,
                        bool all)
{
    check_run(s, n, batch, threads, all, 0);
}

static void check(const struct subject *subjects, size_t count, bool all)
{
    for (size_t i = 0; i < count; i++) {
        struct network *n = make(&subjects[i]);
        check_batch(&subjects[i], n, 1, 1, all);
        check_batch(&subjects[i], n, BATCH, 1, all);
        check_batch(&subjects[i], n, 1, 2, all);
        network_free(n);
    }
}
#define CHECK(list) check(list, sizeof(list) / sizeof *(list), false)
#define CHECK_STEPS(list) check(list, sizeof(list) / sizeof *(list), true)

#define CONV "Conv"
#define K3 "l:pads=1,1,1,1"

static void convolutions(void **state)
{
    (void)state;
    static const struct subject list[] = {
        { "conv", 13, { { CONV, "x w:16,3,3,3 w:16", "y", "" } }, 0 },
        { "conv without bias", 13, { { CONV, "x w:5,3,3,3", "y", K3 } }, 0 },
        { "asymmetric pads",
          13,
          { { CONV, "x w:16,3,3,3", "y", "l:pads=0,1,2,1 l:strides=2,2" } },
          0 },
        { "pads larger than the kernel",
          13,
          { { CONV, "x w:4,3,1,1", "y", "l:pads=2,0,1,3" } },
          0 },
        { "dilated", 13, { { CONV, "x w:8,3,3,3", "y", "l:dilations=2,3 l:pads=2,3,2,3" } }, 0 },
        { "stride with a rest", 13, { { CONV, "x w:8,3,2,2", "y", "l:strides=3,3" } }, 0 },
        { "same upper",
          13,
          { { CONV, "x w:8,3,3,3", "y", "s:auto_pad=SAME_UPPER l:strides=2,2" } },
          0 },
        { "same lower",
          13,
          { { CONV, "x w:8,3,4,4", "y", "s:auto_pad=SAME_LOWER l:strides=2,2" } },
          0 },
        { "valid", 13, { { CONV, "x w:8,3,5,1", "y", "s:auto_pad=VALID" } }, 0 },
        { "depthwise", 13, { { CONV, "x w:3,1,3,3 w:3", "y", "i:group=3 " K3 } }, 0 },
        { "depthwise, two for each", 13, { { CONV, "x w:6,1,3,3", "y", "i:group=3" } }, 0 },
        { "grouped",
          13,
          { { CONV, "x w:32,3,1,1", "a", "" },
            { CONV, "a w:48,8,3,3 w:48", "y", "i:group=4 " K3 } },
          0 },
        { "depthwise of many channels",
          13,
          { { CONV, "x w:40,3,1,1", "a", "" },
            { CONV, "a w:40,1,5,5", "y", "i:group=40 l:pads=2,2,2,2 l:strides=2,2" } },
          0 },
    };
    CHECK(list);
}

static void fused(void **state)
{
    (void)state;
    static const struct subject list[] = {
        { "batch norm",
          13,
          { { CONV, "x w:24,3,3,3 w:24", "a", "" },
            { "BatchNormalization", "a p:24 w:24 w:24 p:24", "b", "f:epsilon=0.001" },
            { "Relu", "b", "y", "" } },
          0 },
        { "batch norm alone",
          13,
          { { "BatchNormalization", "x p:3 w:3 w:3 p:3", "b", "" }, { "Relu", "b", "y", "" } },
          0 },
        { "batch norm of a sum",
          13,
          { { CONV, "x w:16,3,1,1", "a", "" },
            { CONV, "a w:16,16,3,3", "b", K3 },
            { "Add", "a b", "c", "" },
            { "BatchNormalization", "c p:16 w:16 w:16 p:16", "d", "" },
            { "Relu", "d", "e", "" },
            { CONV, "e w:16,16,1,1", "f", "" },
            { "Add", "f c", "y", "" } },
          0 },
        { "residual",
          13,
          { { CONV, "x w:16,3,1,1", "a", "" },
            { "Relu", "a", "b", "" },
            { CONV, "b w:16,16,3,3", "c", K3 },
            { "Add", "c b", "d", "" },
            { "Relu", "d", "y", "" } },
          0 },
        { "residual that is used again",
          13,
          { { CONV, "x w:16,3,1,1", "b", "" },
            { CONV, "b w:16,16,3,3", "c", K3 },
            { "Add", "b c", "d", "" },
            { "Mul", "d b", "y", "" } },
          0 },
        { "residual of the input",
          13,
          { { CONV, "x w:3,3,3,3", "c", K3 }, { "Add", "x c", "y", "" } },
          0 },
        { "two convolutions summed",
          13,
          { { CONV, "x w:20,3,1,1", "a", "" },
            { CONV, "x w:20,3,3,3", "b", K3 },
            { "Add", "b a", "c", "" },
            { "Clip", "c k:0 k:6", "y", "" } },
          0 },
        { "a convolution's own sum",
          13,
          { { CONV, "x w:8,3,1,1", "a", "" }, { "Add", "a a", "y", "" } },
          0 },
        { "output that is also summed",
          13,
          { { CONV, "x w:8,3,1,1", "a", "" },
            { "Relu", "a", "b", "" },
            { CONV, "b w:8,8,1,1", "c", "" },
            { "Add", "b c", "d", "" },
            { "Concat", "b d", "y", "i:axis=1" } },
          0 },
        { "sum behind a view",
          13,
          { { CONV, "x w:16,3,1,1", "a", "" },
            { "Identity", "a", "b", "" },
            { CONV, "b w:16,16,1,1", "c", "" },
            { "Add", "b c", "d", "" },
            { "Add", "d a", "y", "" } },
          0 },
        { "relu6 of old",
          10,
          { { CONV, "x w:16,3,1,1", "a", "" }, { "Clip", "a", "y", "f:min=0 f:max=0.5" } },
          0 },
        { "hard swish",
          14,
          { { CONV, "x w:16,3,1,1", "a", "" },
            { "HardSwish", "a", "b", "" },
            { CONV, "b w:16,16,1,1", "c", "" },
            { "HardSigmoid", "c", "y", "f:alpha=0.3 f:beta=0.4" } },
          0 },
        { "squeeze and excite",
          13,
          { { CONV, "x w:24,3,3,3", "a", "" },
            { "GlobalAveragePool", "a", "b", "" },
            { CONV, "b w:6,24,1,1 w:6", "c", "" },
            { "Relu", "c", "d", "" },
            { CONV, "d w:24,6,1,1 w:24", "e", "" },
            { "Sigmoid", "e", "f", "" },
            { "Mul", "f a", "g", "" },
            { CONV, "g w:8,24,1,1", "y", "" } },
          0 },
        { "six in a row",
          13,
          { { CONV, "x w:8,3,1,1", "a", "" },
            { "Relu", "a", "b", "" },
            { "Sigmoid", "b", "c", "" },
            { "Tanh", "c", "d", "" },
            { "Abs", "d", "e", "" },
            { "Neg", "e", "f", "" },
            { "Exp", "f", "y", "" } },
          0 },
    };
    CHECK(list);
}

static void pools(void **state)
{
    (void)state;
    static const struct subject list[] = {
        { "max",
          13,
          { { "MaxPool", "x", "y", "l:kernel_shape=3,3 l:strides=2,2 l:pads=1,1,1,1" } },
          0 },
        { "max, ceil",
          13,
          { { "MaxPool", "x", "y", "l:kernel_shape=2,2 l:strides=2,2 i:ceil_mode=1" } },
          0 },
        { "max, ceil, window dropped",
          13,
          { { "MaxPool", "x", "y", "l:kernel_shape=1,1 l:strides=5,5 i:ceil_mode=1" } },
          0 },
        { "max, dilated",
          13,
          { { "MaxPool", "x", "y", "l:kernel_shape=3,3 l:dilations=2,2" } },
          0 },
        { "max behind a convolution",
          13,
          { { CONV, "x w:20,3,1,1", "a", "" },
            { "MaxPool", "a", "b", "l:kernel_shape=3,3 l:strides=2,2 i:ceil_mode=1" },
            { CONV, "b w:8,20,1,1", "y", "" } },
          0 },
        { "mean", 13, { { "AveragePool", "x", "y", "l:kernel_shape=3,2 l:pads=1,0,1,1" } }, 0 },
        { "mean with the padding",
          13,
          { { "AveragePool", "x", "y",
              "l:kernel_shape=3,3 l:pads=1,1,1,1 i:count_include_pad=1" } },
          0 },
        { "mean, ceil",
          13,
          { { "AveragePool", "x", "y", "l:kernel_shape=2,2 l:strides=2,2 i:ceil_mode=1" } },
          0 },
        { "mean, ceil, with the padding",
          13,
          { { "AveragePool", "x", "y",
              "l:kernel_shape=3,3 l:strides=3,3 l:pads=1,1,0,0 i:ceil_mode=1 "
              "i:count_include_pad=1" } },
          1 },
        { "same lower",
          13,
          { { "AveragePool", "x", "y", "l:kernel_shape=2,2 s:auto_pad=SAME_LOWER" } },
          0 },
        { "global",
          13,
          { { CONV, "x w:20,3,1,1", "a", "" }, { "GlobalAveragePool", "a", "y", "" } },
          0 },
        { "global max",
          13,
          { { CONV, "x w:16,3,1,1", "a", "" },
            { "GlobalMaxPool", "a", "b", "" },
            { "Flatten", "b", "y", "" } },
          0 },
        { "mean without dims",
          13,
          { { CONV, "x w:20,3,1,1", "a", "" },
            { "ReduceMean", "a", "y", "l:axes=2,-1 i:keepdims=0" } },
          0 },
        { "mean of 18", 18, { { "ReduceMean", "x n:1,2", "y", "" } }, -1 },
    };
    CHECK(list);
}

static void products(void **state)
{
    (void)state;
    static const struct subject list[] = {
        { "gemm",
          13,
          { { "GlobalAveragePool", "x", "a", "" },
            { "Flatten", "a", "b", "" },
            { "Gemm", "b w:10,3 w:10", "c", "i:transB=1 f:alpha=0.5 f:beta=2" },
            { "Softmax", "c", "y", "" } },
          0 },
        { "gemm of a picture",
          13,
          { { CONV, "x w:20,3,3,3", "a", "l:strides=4,4" },
            { "Flatten", "a", "b", "" },
            { "Gemm", "b w:180,10", "y", "" } },
          0 },
        { "gemm with one bias",
          13,
          { { "Flatten", "x", "b", "" },
            { "Gemm", "b w:507,4 w:1,1", "c", "" },
            { "Relu", "c", "y", "" } },
          0 },
        { "matmul",
          13,
          { { "Reshape", "x n:0,3,169", "a", "" },
            { "MatMul", "a w:169,7", "b", "" },
            { "Add", "b w:7", "y", "" } },
          0 },
        { "matmul of two",
          13,
          { { "Reshape", "x n:0,3,169", "a", "" },
            { "Transpose", "a", "b", "l:perm=0,2,1" },
            { "MatMul", "a b", "c", "" },
            { "Softmax", "c", "y", "i:axis=-1" } },
          0 },
        { "matmul, broadcast",
          13,
          { { "Reshape", "x n:0,3,13,13", "a", "" }, { "MatMul", "a w:3,13,5", "y", "" } },
          0 },
        { "matmul, a matrix over many",
          13,
          { { "Slice", "x n:0 n:1 n:1", "a", "" }, { "MatMul", "a x", "y", "" } },
          0 },
        { "softmax of old", 11, { { "Softmax", "x", "y", "i:axis=2" } }, 0 },
        { "softmax over channels", 13, { { "LogSoftmax", "x", "y", "i:axis=1" } }, 0 },
        { "layer norm", 17, { { "LayerNormalization", "x p:13 w:13", "y", "f:epsilon=0.01" } }, 0 },
        { "layer norm of a picture",
          17,
          { { "LayerNormalization", "x p:3,13,13 w:3,13,13", "y", "i:axis=1" } },
          0 },
        { "lrn",
          13,
          { { CONV, "x w:16,3,1,1", "a", "" },
            { "LRN", "a", "y", "i:size=5 f:alpha=0.1 f:beta=0.5 f:bias=2" } },
          0 },
        { "lrn, even", 13, { { "LRN", "x", "y", "i:size=2" } }, 1 },
    };
    CHECK(list);
}

static void elementwise(void **state)
{
    (void)state;
    static const struct subject list[] = {
        { "leaky", 13, { { "LeakyRelu", "x", "y", "f:alpha=0.2" } }, 0 },
        { "elu", 13, { { "Elu", "x", "y", "f:alpha=0.7" } }, 0 },
        { "prelu", 13, { { CONV, "x w:8,3,1,1", "a", "" }, { "PRelu", "a w:8,1,1", "y", "" } }, 0 },
        { "prelu of many forms",
          13,
          { { CONV, "x w:20,3,1,1", "a", "" },
            { "PRelu", "a w:20,1,1", "b", "" },
            { "Relu", "b", "c", "" },
            { "Sub", "b c", "d", "" },
            { "PRelu", "d w:1,13", "e", "" },
            { "PRelu", "e w:20,13,13", "f", "" },
            { "PRelu", "f k:0.3", "g", "" },
            { "PRelu", "g d", "h", "" },
            { CONV, "h w:16,20,1,1", "i", "" },
            { CONV, "i w:16,8,3,3", "j", K3 " i:group=2" },
            { "PRelu", "j w:16,1,1", "k", "" },
            { "Flatten", "k", "l", "" },
            { "PRelu", "l w:2704", "y", "" } },
          0 },
        { "gelu", 20, { { "Gelu", "x", "a", "" }, { "Gelu", "a", "y", "s:approximate=tanh" } }, 0 },
        { "erf", 13, { { "Erf", "x", "y", "" } }, 1 },
        { "clip, one side", 13, { { "Clip", "x - k:0.5", "y", "" } }, 0 },
        { "scalars",
          13,
          { { "Mul", "x k:0.5", "a", "" },
            { "Sub", "k:3 a", "b", "" },
            { "Div", "b k:2", "c", "" },
            { "Pow", "c k:3", "d", "" },
            { "Sqrt", "d", "e", "" },
            { "Sub", "e k:1", "y", "" } },
          0 },
        { "number over x",
          13,
          { { "Abs", "x", "a", "" }, { "Add", "a k:1", "b", "" }, { "Div", "k:1 b", "y", "" } },
          0 },
        { "reciprocal", 13, { { "Exp", "x", "a", "" }, { "Reciprocal", "a", "y", "" } }, 0 },
        { "small over large",
          13,
          { { "Exp", "x", "a", "" },
            { "GlobalAveragePool", "a", "b", "" },
            { "Div", "b a", "y", "" } },
          0 },
        { "per channel",
          13,
          { { CONV, "x w:20,3,1,1", "a", "" },
            { "Mul", "a w:20,1,1", "b", "" },
            { "Add", "w:1,20,1,1 b", "c", "" },
            { "Sub", "c w:20,1,1", "y", "" } },
          0 },
        { "per pixel",
          13,
          { { CONV, "x w:20,3,1,1", "a", "" },
            { "Mul", "a w:13,13", "b", "" },
            { "Div", "b p:1,1,13,1", "y", "" } },
          0 },
        { "one channel over all",
          13,
          { { CONV, "x w:20,3,1,1", "a", "" },
            { CONV, "x w:1,3,1,1", "b", "" },
            { "Mul", "a b", "y", "" } },
          0 },
        { "small under large",
          13,
          { { "GlobalAveragePool", "x", "a", "" }, { "Sub", "a x", "y", "" } },
          0 },
        { "max of three", 13, { { "Max", "x k:0 w:3,1,1", "y", "" } }, 1 },
        { "min of two", 13, { { "Min", "x w:3,13,13", "y", "" } }, 0 },
    };
    CHECK(list);
}

static void moves(void **state)
{
    (void)state;
    static const struct subject list[] = {
        { "concat in place",
          13,
          { { CONV, "x w:16,3,1,1", "a", "" },
            { CONV, "x w:32,3,3,3", "b", K3 },
            { "Concat", "a b", "c", "i:axis=1" },
            { CONV, "c w:8,48,1,1", "y", "" } },
          0 },
        { "concat of odd channels",
          13,
          { { CONV, "x w:5,3,1,1", "a", "" },
            { CONV, "x w:7,3,1,1", "b", "" },
            { "Concat", "a b x a", "y", "i:axis=1" } },
          0 },
        { "concat of parts of blocks",
          13,
          { { CONV, "x w:12,3,1,1", "a", "" },
            { CONV, "x w:20,3,3,3", "b", K3 },
            { "Concat", "a b", "c", "i:axis=1" },
            { CONV, "c w:8,32,1,1", "y", "" } },
          0 },
        { "concat of concats",
          13,
          { { CONV, "x w:16,3,1,1", "a", "" },
            { CONV, "a w:16,16,1,1", "b", "" },
            { "Concat", "a b", "c", "i:axis=1" },
            { CONV, "c w:16,32,1,1", "d", "" },
            { "Concat", "c d", "e", "i:axis=1" },
            { CONV, "e w:8,48,1,1", "y", "" } },
          0 },
        { "concat in height",
          13,
          { { "Concat", "x x", "a", "i:axis=2" }, { "Relu", "a", "y", "" } },
          0 },
        { "concat with a constant",
          13,
          { { "Reshape", "x n:0,3,169", "a", "" },
            { "Slice", "a n:0 n:1 n:1", "b", "" },
            { "Concat", "b a", "y", "i:axis=1" } },
          0 },
        { "concat of plain vectors",
          13,
          { { "GlobalAveragePool", "x", "a", "" },
            { "Flatten", "a", "b", "" },
            { "Gemm", "b w:3,5", "c", "" },
            { "Gemm", "b w:3,6", "d", "" },
            { "Concat", "c d", "y", "i:axis=1" } },
          0 },
        { "concat of plain vectors on the way",
          13,
          { { "GlobalAveragePool", "x", "a", "" },
            { "Flatten", "a", "b", "" },
            { "Gemm", "b w:3,5", "c", "" },
            { "Gemm", "b w:3,6", "d", "" },
            { "Concat", "c d", "e", "i:axis=1" },
            { "Gemm", "e w:11,4", "y", "" } },
          0 },
        { "channel shuffle",
          13,
          { { CONV, "x w:12,3,1,1", "a", "" },
            { "Reshape", "a n:0,2,6,13,13", "b", "" },
            { "Transpose", "b", "c", "l:perm=0,2,1,3,4" },
            { "Reshape", "c n:0,-1,13,13", "d", "" },
            { CONV, "d w:4,12,1,1", "y", "" } },
          0 },
        { "split",
          13,
          { { CONV, "x w:12,3,1,1", "a", "" },
            { "Split", "a n:4,8", "b c", "i:axis=1" },
            { CONV, "c w:4,8,1,1", "d", "" },
            { "Add", "b d", "y", "" } },
          0 },
        { "shuffle of many channels",
          13,
          { { CONV, "x w:32,3,1,1", "a", "" },
            { "Reshape", "a n:0,2,16,13,13", "b", "" },
            { "Transpose", "b", "c", "l:perm=0,2,1,3,4" },
            { "Reshape", "c n:0,32,13,13", "d", "" },
            { "Split", "d n:16,16", "e f", "i:axis=1" },
            { CONV, "f w:16,16,1,1", "g", "" },
            { "Concat", "e g", "h", "i:axis=1" },
            { "Relu", "h", "y", "" } },
          0 },
        { "parts that convolutions read",
          13,
          { { CONV, "x w:32,3,1,1", "a", "" },
            { "Split", "a n:8,16,8", "b c d", "i:axis=1" },
            { CONV, "b w:16,8,3,3", "e", K3 },
            { CONV, "c w:16,16,1,1", "f", "" },
            { CONV, "d w:16,8,1,1", "g", "" },
            { "Add", "e f", "h", "" },
            { "Add", "h g", "i", "" },
            { "Transpose", "i", "j", "l:perm=0,1,3,2" },
            { "Slice", "j n:2 n:14 n:1", "k", "" },
            { CONV, "k w:16,12,3,3", "y", "" } },
          0 },
        { "slices with steps",
          13,
          { { CONV, "x w:32,3,1,1", "a", "" },
            { "Slice", "a n:1,2 n:100,32 n:2,1 n:3,2", "b", "" },
            { "Slice", "a n:0,0 n:-1,15 n:2,1 n:3,1", "c", "" },
            { "Add", "b c", "d", "" },
            { "MaxPool", "d", "y", "l:kernel_shape=2,2" } },
          0 },
        { "slice with steps that interleave",
          13,
          { { "Slice", "x n:0 n:13 n:3 n:6", "a", "" }, { "Relu", "a", "y", "" } },
          1 },
        { "slices backwards", 13, { { "Slice", "x n:-1 n:-100 n:3 n:-2", "y", "" } }, 1 },
        { "slice of a slice of a transposed value",
          13,
          { { CONV, "x w:16,3,1,1", "a", "" },
            { "Transpose", "a", "b", "l:perm=0,3,1,2" },
            { "Slice", "b n:1 n:9 n:1", "c", "" },
            { "Slice", "c n:3 n:11 n:2", "d", "" },
            { "Flatten", "d", "e", "i:axis=2" },
            { "Tanh", "e", "f", "" },
            { "Reshape", "f n:0,-1,4", "y", "" } },
          0 },
        { "channels of three views",
          13,
          { { CONV, "x w:16,3,1,1", "a", "" },
            { "Transpose", "a", "b", "l:perm=0,2,1,3" },
            { "Relu", "b", "c", "" },
            { "Transpose", "b", "d", "l:perm=0,3,2,1" },
            { "GlobalAveragePool", "d", "e", "" },
            { "Sub", "d e", "f", "" },
            { "Transpose", "c", "g", "l:perm=0,3,2,1" },
            { "Concat", "f g", "y", "i:axis=1" } },
          0 },
        { "a copy that is written over",
          13,
          { { CONV, "x w:32,3,1,1", "a", "" },
            { "Reshape", "a n:0,2,16,13,13", "b", "" },
            { "Transpose", "b", "c", "l:perm=0,2,1,3,4" },
            { "Reshape", "c n:0,32,13,13", "d", "" },
            { CONV, "x w:32,3,3,3", "e", K3 },
            { "Add", "e d", "f", "" },
            { "Reshape", "c n:0,32,13,13", "g", "" },
            { "Mul", "f g", "y", "" } },
          0 },
        { "slice and pad",
          11,
          { { "Slice", "x n:1 n:12 n:3", "a", "" },
            { "Pad", "a n:0,0,1,0,0,0,0,2 k:0.5", "y", "" } },
          1 },
        { "pad, reflect", 11, { { "Pad", "x n:0,0,2,1,0,0,3,0", "y", "s:mode=reflect" } }, 1 },
        { "pad, wrap", 19, { { "Pad", "x n:0,0,15,1,0,0,3,-2", "y", "s:mode=wrap" } }, 1 },
        { "pad of named axes", 18, { { "Pad", "x n:2,1,0,3 k:0.5 n:3,-2", "y", "" } }, 1 },
        { "mean over given axes",
          18,
          { { "ReduceMean", "x n:2,3", "a", "" }, { "ReduceMean", "a n:1", "y", "i:keepdims=0" } },
          1 },
        { "split in a number of parts",
          18,
          { { "Split", "x", "a b", "i:axis=2 i:num_outputs=2" },
            { "Slice", "a n:0 n:6 n:2", "c", "" },
            { "Add", "c b", "y", "" } },
          0 },
        { "gather", 13, { { "Gather", "x n:2,0", "y", "i:axis=1" } }, 1 },
        { "shape arithmetic",
          13,
          { { "Shape", "x", "s", "" },
            { "Gather", "s n:0", "g", "i:axis=0" },
            { "Concat", "g n:-1", "t", "i:axis=0" },
            { "Reshape", "x t", "y", "" } },
          0 },
        { "squeeze",
          13,
          { { "GlobalAveragePool", "x", "a", "" },
            { "Squeeze", "a n:2,3", "b", "" },
            { "Unsqueeze", "b n:1", "y", "" } },
          0 },
        { "transpose",
          13,
          { { CONV, "x w:16,3,1,1", "a", "" },
            { "Transpose", "a", "b", "l:perm=0,2,3,1" },
            { "Relu", "b", "y", "" } },
          0 },
        { "dropout and identity",
          13,
          { { "Dropout", "x", "a", "" }, { "Identity", "a", "y", "" } },
          0 },
        { "expand",
          13,
          { { "GlobalAveragePool", "x", "a", "" }, { "Expand", "a n:1,3,4,5", "y", "" } },
          1 },
    };
    CHECK(list);
}

/* ---- what exporters spell out; loops is the number of all instructions but reorders ---- */

#define LAYER_NORM(x, len, out)                                                                    \
    { "ReduceMean", x, "m", "l:axes=-1" }, { "Sub", x " m", "s", "" },                             \
        { "Pow", "s k:2", "q", "" }, { "ReduceMean", "q", "v", "l:axes=-1" },                      \
        { "Add", "v k:0.01", "u", "" }, { "Sqrt", "u", "t", "" }, { "Div", "s t", "n", "" },       \
        { "Mul", "n p:" len, "o", "" },                                                            \
    {                                                                                              \
        "Add", "o w:" len, out, ""                                                                 \
    }

static void matched(void **state)
{
    (void)state;
    static const struct subject list[] = {
        { "layer norm", 13, { LAYER_NORM("x", "13", "y") }, 1 },
        { "layer norm of a product",
          13,
          { { "Sub", "x k:0.5", "a", "" },
            { "ReduceMean", "a", "m", "l:axes=-2,-1" },
            { "Sub", "a m", "s", "" },
            { "Mul", "s s", "q", "" },
            { "ReduceMean", "q", "v", "l:axes=2,3" },
            { "Add", "k:0.01 v", "u", "" },
            { "Sqrt", "u", "t", "" },
            { "Div", "s t", "n", "" },
            { "Mul", "p:13,13 n", "o", "" },
            { "Add", "w:13,13 o", "y", "" } },
          -1 },
        { "gelu",
          13,
          { { "Div", "x k:1.41421356", "a", "" },
            { "Erf", "a", "b", "" },
            { "Add", "b k:1", "c", "" },
            { "Mul", "x c", "d", "" },
            { "Mul", "d k:0.5", "y", "" } },
          1 },
        { "gelu, halved first",
          13,
          { { "Mul", "x k:0.70710678", "a", "" },
            { "Erf", "a", "b", "" },
            { "Add", "k:1 b", "c", "" },
            { "Mul", "k:0.5 x", "d", "" },
            { "Mul", "d c", "y", "" } },
          1 },
        { "gelu, halved between",
          13,
          { { "Mul", "x k:0.70710678", "a", "" },
            { "Erf", "a", "b", "" },
            { "Add", "b k:1", "c", "" },
            { "Mul", "c k:0.5", "d", "" },
            { "Mul", "d x", "y", "" } },
          1 },
        { "not gelu: another root",
          13,
          { { "Div", "x k:1.5", "a", "" },
            { "Erf", "a", "b", "" },
            { "Add", "b k:1", "c", "" },
            { "Mul", "x c", "d", "" },
            { "Mul", "d k:0.5", "y", "" } },
          4 },
        { "gelu that is read on the way",
          13,
          { { "Div", "x k:1.41421356", "a", "" },
            { "Erf", "a", "b", "" },
            { "Add", "b k:1", "c", "" },
            { "Mul", "x c", "d", "" },
            { "Mul", "d k:0.5", "e", "" },
            { "Add", "c e", "y", "" } },
          5 },
        { "product that is read without its bias",
          13,
          { { "MatMul", "x w:13,16", "a", "" },
            { "Add", "a w:16", "b", "" },
            { "Mul", "b a", "y", "" } },
          -1 },
        { "product that is read without its scale",
          13,
          { { "MatMul", "x w:13,16", "a", "" },
            { "Mul", "a w:16", "b", "" },
            { "Sub", "b a", "y", "" } },
          -1 },
        { "not layer norm: two lengths",
          13,
          { { "ReduceMean", "x", "m", "l:axes=-1" },
            { "Sub", "x m", "s", "" },
            { "Pow", "s k:2", "q", "" },
            { "ReduceMean", "q", "v", "l:axes=-3,-2,-1" },
            { "Add", "v k:0.01", "u", "" },
            { "Sqrt", "u", "t", "" },
            { "Div", "s t", "n", "" },
            { "Mul", "n p:13", "o", "" },
            { "Add", "o w:13", "y", "" } },
          -1 },
        { "swish", 13, { { "Sigmoid", "x", "a", "" }, { "Mul", "x a", "y", "" } }, 1 },
        { "swish of a convolution",
          13,
          { { CONV, "x w:8,3,3,3", "c", "" },
            { "HardSigmoid", "c", "a", "f:alpha=0.16666667 f:beta=0.5" },
            { "Mul", "a c", "d", "" },
            { "Sigmoid", "d", "e", "" },
            { "Mul", "e d", "y", "" } },
          1 },
        { "padding before a convolution",
          13,
          { { "Pad", "x n:0,0,1,2,0,0,2,0", "a", "" },
            { CONV, "a w:8,3,3,3", "b", "l:pads=1,0,0,1 l:strides=2,2" },
            { "Pad", "b n:0,0,0,0,0,0,0,0", "y", "" } },
          1 },
        { "padding that is too wide, or not nought",
          13,
          { { "Pad", "x n:0,0,3,0,0,0,0,0", "a", "" },
            { CONV, "a w:8,3,3,3", "b", "" },
            { "Pad", "b n:0,0,1,1,0,0,1,1 k:0.5", "c", "" },
            { CONV, "c w:8,8,3,3", "d", "" },
            { "Pad", "d n:0,0,-1,1,0,0,1,-1", "e", "" },
            { CONV, "e w:8,8,3,3", "y", "" } },
          6 },
        { "channels over the blocks of groups",
          13,
          { { CONV, "x w:16,3,1,1", "a", "" },
            { CONV, "a w:16,8,3,3", "b", K3 " i:group=2" },
            { "GlobalAveragePool", "b", "c", "" },
            { "Mul", "b c", "y", "" } },
          4 },
        { "bias behind a product",
          13,
          { { "Reshape", "x n:0,3,169", "a", "" },
            { "MatMul", "a w:169,16", "b", "" },
            { "Add", "w:16 b", "c", "" },
            { "Div", "c k:1.41421356", "d", "" },
            { "Erf", "d", "e", "" },
            { "Add", "e k:1", "f", "" },
            { "Mul", "c f", "g", "" },
            { "Mul", "g k:0.5", "y", "" } },
          1 },
        { "scale behind a product",
          13,
          { { "Transpose", "x", "a", "l:perm=0,2,3,1" },
            { "MatMul", "a w:3,16", "b", "" },
            { "Add", "b w:16", "c", "" },
            { "Transpose", "c", "d", "l:perm=0,3,1,2" },
            { "Mul", "p:16,1,1 d", "y", "" } },
          -1 },
        { "scale along another dim",
          13,
          { { "Transpose", "x", "a", "l:perm=0,2,3,1" },
            { "MatMul", "a w:3,13", "b", "" },
            { "Add", "b w:13", "c", "" },
            { "Mul", "c p:13,1", "y", "" } },
          -1 },
        { "a block of ConvNeXt",
          13,
          { { CONV, "x w:32,3,1,1", "i", "" },
            { CONV, "i w:32,1,3,3", "a", "l:pads=1,1,1,1 i:group=32" },
            { "Transpose", "a", "b", "l:perm=0,2,3,1" },
            LAYER_NORM("b", "32", "c"),
            { "MatMul", "c w:32,64", "d", "" },
            { "Add", "w:64 d", "e", "" },
            { "Relu", "e", "f", "" },
            { "MatMul", "f w:64,32", "g", "" },
            { "Transpose", "g", "h", "l:perm=0,3,1,2" },
            { "Mul", "w:32,1,1 h", "k", "" },
            { "Add", "k i", "y", "" } },
          -1 },
    };
    CHECK_STEPS(list);
}

/* ---- what a plan promises beside its numbers ---- */

static const struct subject residual = { "residual",
                                         13,
                                         { { CONV, "x w:16,3,3,3", "a", K3 },
                                           { "Relu", "a", "b", "" },
                                           { CONV, "b w:16,16,3,3", "c", K3 },
                                           { "Add", "c b", "d", "" },
                                           { "GlobalAveragePool", "d", "e", "" },
                                           { "Flatten", "e", "f", "" },
                                           { "Gemm", "f w:16,10", "y", "" } },
                                         0 };

static void passes_shorten(void **state)
{
    (void)state;
    struct network *n = make(&residual);
    struct err e;
    struct plan *p;
    struct plan_options o = { .batch = 1 };
    ok(plan_new(n, &o, &p, &e), &e);
    int reorders = 0, others = 0;
    for (int i = 0; i < p->instr_count; i++)
        *(strcmp(p->instrs[i].name, "reorder") == 0 ? &reorders : &others) += 1;
    assert_int_equal(others, 4); /* two convolutions, pooling, product */
    assert_true(reorders <= 1);
    plan_free(p);
    network_free(n);
}

static void pooled_output(void **state)
{
    (void)state;
    struct network *n = make(&residual);
    struct err e;
    struct plan *p;
    struct plan_scratch *s;
    float x[PICTURE], spatial[16 * SIDE * SIDE], pooled[16];
    fill(x, PICTURE, 3);
    struct plan_options o = { .output = "d", .batch = 1 };
    ok(plan_new(n, &o, &p, &e), &e);
    assert_int_equal(plan_output_size(p), 16 * SIDE * SIDE);
    ok(plan_scratch_new(p, &s, &e), &e);
    ok(plan_run(p, s, x, spatial, &e), &e);
    plan_scratch_free(s);
    plan_free(p);
    o.pool = true;
    ok(plan_new(n, &o, &p, &e), &e);
    assert_int_equal(plan_output_size(p), 16);
    ok(plan_scratch_new(p, &s, &e), &e);
    ok(plan_run(p, s, x, pooled, &e), &e);
    plan_scratch_free(s);
    plan_free(p);
    for (int c = 0; c < 16; c++) {
        double mean = 0;
        for (int i = 0; i < SIDE * SIDE; i++)
            mean += (double)spatial[c * SIDE * SIDE + i] / (SIDE * SIDE);
        assert_true(fabs(mean - (double)pooled[c]) < 1e-4);
    }
    network_free(n);
}

/* 3x3 convolutions by Winograd's method, where oneDNN has it: planes of an odd side that end within
 * a tile, a sum, few rows and many channels; and the neighbours that take over from it. */
static void winograd(void **state)
{
    (void)state;
    static const struct subject list[] = {
        { "winograd on a larger plane",
          13,
          { { CONV, "x w:64,3,1,1 w:64", "a", "l:pads=7,7,7,7" },
            { CONV, "a w:64,64,3,3 w:64", "b", K3 },
            { "Relu", "b", "c", "" },
            { CONV, "c w:64,64,3,3 w:64", "d", K3 },
            { "Add", "d a", "e", "" },
            { "Relu", "e", "f", "" },
            { CONV, "f w:16,64,1,1", "y", "" } },
          0 },
        { "winograd on a small plane",
          13,
          { { CONV, "x w:256,3,3,3 w:256", "a", "l:strides=2,2" },
            { CONV, "a w:256,256,3,3 w:256", "b", K3 },
            { "Relu", "b", "y", "" } },
          0 },
    };
    int met[2] = { 0 };
    for (size_t k = 0; k < sizeof list / sizeof *list; k++) {
        struct network *n = make(&list[k]);
        struct err e;
        struct plan *p;
        check_run(&list[k], n, BATCH, 1, false, winograd_rounding);
        for (int threads = 1; threads <= 2; threads++) {
            struct plan_options o = { .batch = 1, .threads = threads };
            check_run(&list[k], n, 1, threads, false, winograd_rounding);
            ok(plan_new(n, &o, &p, &e), &e);
            for (int i = 0; i < p->instr_count; i++)
                met[threads - 1] += p->instrs[i].primitive &&
                                    strstr(dnn_primitive_text(p->instrs[i].primitive), "wino");
            plan_free(p);
        }
        network_free(n);
    }
    if (strcmp(plan_engine_text(), "onednn-3") < 0 && strstr(plan_engine_text(), "avx512")) {
        assert_int_equal(met[0], 3);
        assert_int_equal(met[1], 6); /* halves */
    }
}

/* Where single calls do much, a batch is the same run for each picture, and so are its bits. */
static void batches_one_by_one(void **state)
{
    (void)state;
    static const struct subject heavy = { "heavy",
                                          13,
                                          { { CONV, "x w:256,3,3,3", "a", K3 },
                                            { CONV, "a w:256,256,3,3", "b", K3 },
                                            { CONV, "b w:8,256,1,1", "y", "" } },
                                          0 };
    enum { OUT = 8 * SIDE * SIDE };
    static float x[BATCH * PICTURE], want[BATCH * OUT], all[BATCH * OUT];
    struct network *n = make(&heavy);
    struct err e;
    struct plan *one, *many;
    struct plan_scratch *s;
    fill(x, BATCH * PICTURE, 5);
    ok(plan_new(n, &(struct plan_options){ .batch = 1 }, &one, &e), &e);
    ok(plan_scratch_new(one, &s, &e), &e);
    for (size_t k = 0; k < BATCH; k++)
        ok(plan_run(one, s, x + k * PICTURE, want + k * OUT, &e), &e);
    plan_scratch_free(s);
    ok(plan_new(n, &(struct plan_options){ .batch = BATCH }, &many, &e), &e);
    ok(plan_scratch_new(many, &s, &e), &e);
    ok(plan_run(many, s, x, all, &e), &e);
    assert_memory_equal(all, want, sizeof all);
    assert_int_equal(many->repeat, BATCH);
    plan_scratch_free(s);
    plan_free(one);
    plan_free(many);
    network_free(n);
}

/* Whoever takes the second lane's share, and however often: the same bits. */
static void two_lanes_are_deterministic(void **state)
{
    (void)state;
    static const struct subject wide = { "wide",
                                         13,
                                         { { CONV, "x w:64,3,3,3", "a", K3 },
                                           { CONV, "a w:64,64,1,1", "b", "" },
                                           { CONV, "b w:64,64,3,3", "c", K3 },
                                           { "Add", "c b", "d", "" },
                                           { "MaxPool", "d", "e",
                                             "l:kernel_shape=3,3 l:strides=2,2" },
                                           { CONV, "e w:64,64,3,3", "f", K3 },
                                           { "GlobalAveragePool", "f", "g", "" },
                                           { "Flatten", "g", "h", "" },
                                           { "Gemm", "h w:64,70", "y", "" } },
                                         0 };
    struct network *n = make(&wide);
    check_batch(&wide, n, 1, 2, false);
    struct err e;
    struct plan *p;
    struct plan_scratch *s;
    float x[PICTURE], first[70], again[70];
    fill(x, PICTURE, 11);
    struct plan_options o = { .batch = 1, .threads = 2 };
    ok(plan_new(n, &o, &p, &e), &e);
    int second = 0;
    for (int i = 0; i < p->instr_count; i++)
        second += p->instrs[i].lane;
    assert_true(second >= 2);
    for (int round = 0; round < 20; round++) {
        ok(plan_scratch_new(p, &s, &e), &e);
        for (int run = 0; run < 20; run++) {
            ok(plan_run(p, s, x, round + run ? again : first, &e), &e);
            if (round + run)
                assert_memory_equal(first, again, sizeof first);
        }
        plan_scratch_free(s);
    }
    plan_free(p);
    network_free(n);
}

/* Plans for other batches and outputs of one network hold its weights once. */
static void plans_share_weights(void **state)
{
    (void)state;
    struct network *n = make(&residual);
    struct err e;
    struct plan *first, *second;
    struct plan_options o = { .batch = 1 };
    ok(plan_new(n, &o, &first, &e), &e);
    size_t bytes = weights_bytes(n->weights);
    assert_true(bytes > 0);
    assert_int_equal(plan_bytes(first), bytes);
    ok(plan_new(n, &o, &second, &e), &e);
    assert_int_equal(weights_bytes(n->weights), bytes);
    assert_ptr_equal(first->params[0].data, second->params[0].data);
    plan_free(first);
    network_free(n);
    struct plan_scratch *s;
    float x[PICTURE], y[10];
    fill(x, PICTURE, 3);
    ok(plan_scratch_new(second, &s, &e), &e);
    ok(plan_run(second, s, x, y, &e), &e); /* from memory that is still there */
    plan_scratch_free(s);
    plan_free(second);
}

static void refusals(void **state)
{
    (void)state;
    struct network *n = make(&residual);
    struct err e;
    struct plan *p = NULL;
    struct plan_options o = { .batch = 0 };
    assert_int_equal(plan_new(n, &o, &p, &e), ERR_FIELD_RANGE);
    o = (struct plan_options){ .output = "none", .batch = 1 };
    assert_int_equal(plan_new(n, &o, &p, &e), ERR_ONNX_FEATURE);
    assert_non_null(strstr(e.message, "none"));
    o.output = "w:16,10";
    assert_int_equal(plan_new(n, &o, &p, &e), ERR_ONNX_FEATURE);
    assert_null(p);
    network_free(n);
}

/* A network that an exporter nailed to one picture still runs in batches. */
static void one_picture_networks(void **state)
{
    (void)state;
    static const struct subject nailed = { "nailed",
                                           13,
                                           { { CONV, "x w:8,3,3,3", "a", "l:strides=5,5" },
                                             { "Reshape", "a n:1,72", "b", "" },
                                             { "Gemm", "b w:72,5", "y", "" } },
                                           0 };
    struct network *n = make(&nailed);
    struct err e;
    struct plan *p;
    struct plan_scratch *s;
    float x[BATCH * PICTURE], all[BATCH * 5], one[5];
    fill(x, BATCH * PICTURE, 5);
    struct plan_options o = { .batch = BATCH };
    ok(plan_new(n, &o, &p, &e), &e);
    assert_int_equal(plan_output_size(p), 5);
    ok(plan_scratch_new(p, &s, &e), &e);
    ok(plan_run(p, s, x, all, &e), &e);
    plan_scratch_free(s);
    plan_free(p);
    o.batch = 1;
    ok(plan_new(n, &o, &p, &e), &e);
    ok(plan_scratch_new(p, &s, &e), &e);
    for (int i = 0; i < BATCH; i++) {
        ok(plan_run(p, s, x + (size_t)i * PICTURE, one, &e), &e);
        assert_memory_equal(one, all + (size_t)i * 5, sizeof one);
    }
    plan_scratch_free(s);
    plan_free(p);
    network_free(n);
}

struct runner {
    const struct plan *plan;
    float x[PICTURE], y[10];
    enum err_code result;
};

static void *run_many(void *context)
{
    struct runner *r = context;
    struct err e;
    struct plan_scratch *s;
    r->result = plan_scratch_new(r->plan, &s, &e);
    if (r->result)
        return NULL;
    r->result = plan_run(r->plan, s, r->x, r->y, &e);
    float first[10];
    memcpy(first, r->y, sizeof first);
    for (int i = 0; i < 50 && !r->result; i++) {
        float other[PICTURE];
        fill(other, PICTURE, (uint32_t)i);
        r->result = plan_run(r->plan, s, other, r->y, &e);
    }
    if (!r->result)
        r->result = plan_run(r->plan, s, r->x, r->y, &e);
    if (memcmp(first, r->y, sizeof first) != 0)
        r->result = ERR_INTERNAL;
    plan_scratch_free(s);
    return NULL;
}

/* The same bits on every thread, whatever ran before. */
static void threads_agree(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    struct network *n = make(&residual);
    struct err e;
    struct plan *p;
    struct plan_options o = { .batch = 1 };
    ok(plan_new(n, &o, &p, &e), &e);
    network_free(n);
    static struct runner runners[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        runners[i].plan = p;
        fill(runners[i].x, PICTURE, 11);
        assert_int_equal(pthread_create(&threads[i], NULL, run_many, &runners[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(runners[i].result, ERR_OK);
        assert_memory_equal(runners[i].y, runners[0].y, sizeof runners[0].y);
    }
    plan_free(p);
}

/* Whatever a run takes from the heap it has given back. (Once a block or two may stay behind in
 * glibc's cache of the thread; what each run kept would be as many as there are runs.) */
static void runs_keep_nothing(void **state)
{
    (void)state;
    enum { RUNS = 50, LEAST_BLOCK = 32 };
    struct network *n = make(&residual);
    struct err e;
    struct plan *p;
    struct plan_scratch *s;
    struct plan_options o = { .batch = 1 };
    float x[PICTURE], y[10];
    fill(x, PICTURE, 11);
    ok(plan_new(n, &o, &p, &e), &e);
    ok(plan_scratch_new(p, &s, &e), &e);
    ok(plan_run(p, s, x, y, &e), &e);
    struct mallinfo2 before = mallinfo2();
    for (int i = 0; i < RUNS; i++)
        ok(plan_run(p, s, x, y, &e), &e);
    assert_true(mallinfo2().uordblks < before.uordblks + (size_t)RUNS * LEAST_BLOCK / 2);
    plan_scratch_free(s);
    plan_free(p);
    network_free(n);
}

static void engine_text(void **state)
{
    (void)state;
    assert_int_equal(strncmp(plan_engine_text(), "onednn-", 7), 0);
    assert_ptr_equal(plan_engine_text(), plan_engine_text());
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions),
        cmocka_unit_test(fused),
        cmocka_unit_test(pools),
        cmocka_unit_test(products),
        cmocka_unit_test(elementwise),
        cmocka_unit_test(moves),
        cmocka_unit_test(passes_shorten),
        cmocka_unit_test(pooled_output),
        cmocka_unit_test(winograd),
        cmocka_unit_test(batches_one_by_one),
        cmocka_unit_test(two_lanes_are_deterministic),
        cmocka_unit_test(plans_share_weights),
        cmocka_unit_test(refusals),
        cmocka_unit_test(one_picture_networks),
        cmocka_unit_test(threads_agree),
        cmocka_unit_test(runs_keep_nothing),
        cmocka_unit_test(engine_text),
        cmocka_unit_test(matched),
    };
    (void)argc;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    /* Other instruction sets, other layouts: once more, as on a machine with AVX2 alone. */
    if (failed || getenv("ONEDNN_MAX_CPU_ISA"))
        return failed;
    if (setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 1) == 0)
        execv("/proc/self/exe", argv);
    return 1;
}
