/* Gradients against differences of the loss, operator by operator; bits against threads; running
 * statistics; cuts; export. */
#include "data/base/cleanup.h"
#include "nn/learner_parts.h"
#include "nn/plan.h"
#include "tests/unit/nn/subject.h"

#include <math.h>

enum { SIDE = 7, PICTURE = SUBJECT_CHANNELS * SIDE * SIDE, CLASSES = 4 };

static struct network *make(const struct subject *s)
{
    return subject_network(s, SIDE, NULL);
}

/* A batch of any size: pictures and soft targets. */
struct batch {
    int count;
    float *x, *target;
};

static struct batch batch_new(int count, size_t size)
{
    struct batch b = { count, calloc((size_t)count * size, sizeof(float)),
                       calloc((size_t)count * CLASSES, sizeof(float)) };
    assert_non_null(b.x);
    assert_non_null(b.target);
    uint32_t state = 5;
    for (size_t i = 0; i < (size_t)count * size; i++)
        b.x[i] = maker_number(&state);
    for (int i = 0; i < count; i++)
        for (int c = 0; c < CLASSES; c++)
            b.target[i * CLASSES + c] = c == i % CLASSES ? 0.7f : 0.1f;
    return b;
}

static void batch_free(struct batch *b)
{
    free(b->x);
    free(b->target);
}

static const float class_weight[CLASSES] = { 1, 2, 0.5f, 1.5f };

static struct learner *learner_of(const struct network *n, const char *input, int batch,
                                  enum learner_norm norm, int threads)
{
    const struct learner_options o = { .input = input,
                                       .feature = "y",
                                       .classes = CLASSES,
                                       .batch = batch,
                                       .norm = norm,
                                       .norm_momentum = 0.1f,
                                       .threads = threads,
                                       .seed = 3 };
    struct learner *l;
    struct err e;
    ok(learner_new(n, &o, &l, &e), &e);
    return l;
}

/* The mean loss; the head is made larger, so that the loss depends on it well. */
static double loss_of(struct learner *l, const struct batch *b)
{
    struct err e;
    double loss;
    ok(learner_step(l, b->count, b->x, b->target, class_weight, &loss, NULL, &e), &e);
    return loss;
}

/* Difference quotient of the loss when p goes along d, of fourth order. */
static double quotient(struct learner *l, const struct batch *b, struct learner_param *p,
                       const float *d, double step)
{
    double at[4];
    static const double by[4] = { -2, -1, 1, 2 };
    CLEANUP(cleanup_free) float *saved = malloc(p->count * sizeof *saved);
    assert_non_null(saved);
    memcpy(saved, p->value, p->count * sizeof *saved);
    for (int k = 0; k < 4; k++) {
        for (size_t i = 0; i < p->count; i++)
            p->value[i] = (float)((double)saved[i] + by[k] * step * (double)d[i]);
        at[k] = loss_of(l, b);
    }
    memcpy(p->value, saved, p->count * sizeof *saved);
    return (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * step);
}

/* Each parameter goes along a direction of random signs; a kink on the way asks for smaller steps.
 */
static void check_param(const struct subject *s, struct learner *l, const struct batch *b,
                        struct learner_param *p)
{
    static const double steps[] = { 1e-2, 3e-3, 1e-3 };
    CLEANUP(cleanup_free) float *d = malloc(p->count * sizeof *d);
    assert_non_null(d);
    uint32_t state = 11;
    double dot = 0, length = 0, best = INFINITY, closest = 0;
    (void)loss_of(l, b);
    for (size_t i = 0; i < p->count; i++) {
        d[i] = maker_number(&state) / sqrtf((float)p->count);
        dot += (double)d[i] * (double)p->gradient[i];
        length += (double)p->gradient[i] * (double)p->gradient[i];
    }
    for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
        double q = quotient(l, b, p, d, steps[k]), off = fabs(q - dot);
        closest = off < best ? q : closest;
        best = off < best ? off : best;
    }
    double allowed = 3e-5 + 4e-3 * sqrt(length) / sqrt((double)p->count);
    if (!(best <= allowed))
        fail_msg("%s: %s goes with %.6g, the loss with %.6g (off by %.2g, allowed %.2g)", s->name,
                 p->name, dot, closest, best, allowed);
}

/* What it predicts is what the plan of its export computes. */
static void check_forward(const struct subject *s, struct learner *l, const struct batch *b)
{
    struct network *n;
    struct plan *p;
    struct plan_scratch *scratch;
    struct err e;
    struct buf bytes;
    float ours[3 * CLASSES], theirs[3 * CLASSES];
    const struct plan_options options = { .batch = 3 };
    buf_init(&bytes, 1 << 24);
    ok(learner_export(l, NULL, 0, &bytes, &e), &e);
    ok(network_load(bytes.data, bytes.len, &n, &e), &e);
    ok(plan_new(n, &options, &p, &e), &e);
    ok(plan_scratch_new(p, &scratch, &e), &e);
    ok(plan_run(p, scratch, b->x, theirs, &e), &e);
    ok(learner_predict(l, 3, b->x, ours, &e), &e);
    for (int i = 0; i < 3 * CLASSES; i++)
        if (!(fabsf(ours[i] - theirs[i]) <= 2e-5f))
            fail_msg("%s: predicts %g, its export %g", s->name, (double)ours[i], (double)theirs[i]);
    plan_scratch_free(scratch);
    plan_free(p);
    network_free(n);
    buf_fini(&bytes);
}

static void check(const struct subject *s, enum learner_norm norm)
{
    struct network *n = make(s);
    struct learner *l = learner_of(n, NULL, 3, norm, 1);
    struct batch b = batch_new(3, PICTURE);
    int checked = 0;
    for (size_t i = 0; i < learner_param_count(l); i++) {
        struct learner_param *p = learner_param(l, i);
        for (size_t k = 0; k < p->count && p->head; k++)
            p->value[k] *= 3;
    }
    for (size_t i = 0; i < learner_param_count(l); i++) {
        struct learner_param *p = learner_param(l, i);
        if (!p->gradient)
            continue;
        check_param(s, l, &b, p);
        checked++;
    }
    assert_true(checked >= 3); /* the head and something before it */
    check_forward(s, l, &b);
    batch_free(&b);
    learner_free(l);
    network_free(n);
}

#define C1                                                                                         \
    {                                                                                              \
        "Conv", "x w:8,3,3,3", "c", "l:pads=1,1,1,1"                                               \
    }
#define NEXT                                                                                       \
    {                                                                                              \
        "Conv", "d wb:6,8,1,1", "y"                                                                \
    }
#define ONE(name, ...)                                                                             \
    {                                                                                              \
        name, 0,                                                                                   \
        {                                                                                          \
            C1, { __VA_ARGS__ }, NEXT                                                              \
        }                                                                                          \
    }

static const struct subject subjects[] = {
    { "conv", 0, { C1, { "Conv", "c w:6,8,3,3 q:6", "y", "l:strides=2,2 l:pads=1,1,1,1" } } },
    { "conv with odd padding",
      0,
      { C1, { "Conv", "c w:6,8,3,3", "y", "l:strides=2,2 l:pads=0,1,2,1" } } },
    { "dilated conv", 0, { C1, { "Conv", "c w:6,8,3,2", "y", "l:dilations=2,3" } } },
    { "grouped conv", 0, { C1, { "Conv", "c w:6,4,3,3 q:6", "y", "i:group=2" } } },
    { "depthwise conv", 0, { C1, { "Conv", "c w:8,1,3,3 q:8", "y", "i:group=8 l:pads=1,1,1,1" } } },
    { "depthwise conv of 16",
      0,
      { { "Conv", "x w:16,3,3,3", "c", "l:pads=1,1,1,1" },
        { "Conv", "c w:16,1,3,3", "y", "i:group=16 l:pads=1,1,1,1 l:strides=2,2" } } },
    { "depthwise conv that multiplies", 0, { C1, { "Conv", "c w:16,1,3,3", "y", "i:group=8" } } },
    ONE("norm", "BatchNormalization", "c p:8 w:8 q:8 pv:8", "d"),
    { "norm of the picture",
      0,
      { { "BatchNormalization", "x p:3 w:3 q:3 pv:3", "d" }, { "Conv", "d w:6,3,1,1", "y" } } },
    { "residual",
      0,
      { C1,
        { "BatchNormalization", "c p:8 w:8 q:8 pv:8", "n" },
        { "Relu", "n", "r" },
        { "Conv", "r wc:8,8,3,3", "e", "l:pads=1,1,1,1" },
        { "BatchNormalization", "e pb:8 wn:8 qb:8 pw:8", "f" },
        { "Add", "f r", "g" },
        { "Relu", "g", "d" },
        { "Conv", "d wd:6,8,1,1", "h" },
        { "BatchNormalization", "h pc:6 wo:6 qc:6 px:6", "y" } } },
    ONE("relu", "Relu", "c", "d"),
    ONE("clip", "Clip", "c k:-0.4 k:0.3", "d"),
    ONE("relu6 on a side", "Clip", "c k:0", "d"),
    ONE("leaky relu", "LeakyRelu", "c", "d", "f:alpha=0.2"),
    ONE("elu", "Elu", "c", "d", "f:alpha=0.7"),
    ONE("sigmoid", "Sigmoid", "c", "d"),
    ONE("hard sigmoid", "HardSigmoid", "c", "d"),
    { "hard swish", 14, { C1, { "HardSwish", "c", "d" }, NEXT } },
    { "swish", 0, { C1, { "Sigmoid", "c", "s" }, { "Mul", "c s", "d" }, NEXT } },
    ONE("tanh", "Tanh", "c", "d"),
    { "gelu", 20, { C1, { "Gelu", "c", "d" }, NEXT } },
    { "gelu by tanh", 20, { C1, { "Gelu", "c", "d", "s:approximate=tanh" }, NEXT } },
    ONE("prelu", "PRelu", "c w:8,1,1", "d"),
    ONE("prelu with one slope", "PRelu", "c w:1", "d"),
    ONE("negation", "Neg", "c", "d"),
    ONE("absolute value", "Abs", "c", "d"),
    { "exp and log", 0, { C1, { "Exp", "c", "e" }, { "Log", "e", "d" }, NEXT } },
    { "root", 0, { C1, { "Exp", "c", "e" }, { "Sqrt", "e", "d" }, NEXT } },
    { "reciprocal", 0, { C1, { "Exp", "c", "e" }, { "Reciprocal", "e", "d" }, NEXT } },
    ONE("sum with itself", "Add", "c c", "d"),
    ONE("square", "Mul", "c c", "d"),
    ONE("constant for a channel", "Add", "c w:8,1,1", "d"),
    ONE("constant for a pixel", "Mul", "c w:7,7", "d"),
    ONE("constant for a row", "Mul", "c w:7,1", "d"),
    ONE("constant for an entry", "Sub", "w:1,8,7,7 c", "d"),
    ONE("a number", "Mul", "c k:0.5", "d"),
    ONE("constant over it", "Div", "c p:8,1,1", "d"),
    { "difference", 0, { C1, { "Tanh", "c", "t" }, { "Sub", "t c", "d" }, NEXT } },
    { "quotient", 0, { C1, { "Exp", "c", "t" }, { "Div", "c t", "d" }, NEXT } },
    { "squeeze and excite",
      0,
      { C1,
        { "GlobalAveragePool", "c", "g" },
        { "Conv", "g w:8,8,1,1 q:8", "s" },
        { "Sigmoid", "s", "t" },
        { "Mul", "c t", "d" },
        NEXT } },
    { "pixels times channels",
      0,
      { C1, { "Conv", "c w:1,8,1,1", "p" }, { "Div", "c p", "t" }, { "Tanh", "t", "d" }, NEXT } },
    ONE("max pool", "MaxPool", "c", "d", "l:kernel_shape=3,3 l:strides=2,2 l:pads=1,1,1,1"),
    ONE("max pool that hangs over", "MaxPool", "c", "d",
        "l:kernel_shape=2,2 l:strides=2,2 i:ceil_mode=1"),
    ONE("mean pool", "AveragePool", "c", "d", "l:kernel_shape=3,3 l:strides=2,2 l:pads=1,1,1,1"),
    ONE("mean pool with its padding", "AveragePool", "c", "d",
        "l:kernel_shape=3,2 l:pads=1,0,1,1 i:count_include_pad=1"),
    ONE("mean over the picture", "ReduceMean", "c", "d", "l:axes=2,3"),
    { "gemm",
      0,
      { C1,
        { "GlobalAveragePool", "c", "g" },
        { "Flatten", "g", "f" },
        { "Gemm", "f w:5,8 q:5", "y", "i:transB=1" } } },
    { "gemm of a picture, matmul",
      0,
      { { "Conv", "x w:2,3,3,3", "c", "l:strides=2,2" },
        { "Flatten", "c", "f" },
        { "Gemm", "f w:18,6 q:6", "g" },
        { "Tanh", "g", "h" },
        { "MatMul", "h wm:6,5", "m" },
        { "Add", "m q:5", "y" } } },
    { "reshape and transpose",
      0,
      { C1,
        { "Reshape", "c n:0,2,4,7,7", "r" },
        { "Transpose", "r", "t", "l:perm=0,2,1,3,4" },
        { "Reshape", "t n:0,8,7,7", "d" },
        NEXT } },
    { "concat",
      0,
      { C1,
        { "Conv", "c w:4,8,1,1", "e" },
        { "Concat", "c e c", "f", "i:axis=1" },
        { "Concat", "f f", "d", "i:axis=3" },
        { "Conv", "d wd:6,20,1,1", "y" } } },
    { "split",
      0,
      { C1,
        { "Split", "c n:3,5", "a b", "i:axis=1" },
        { "Conv", "a w:5,3,1,1", "e" },
        { "Mul", "e b", "d" },
        { "Conv", "d w:6,5,1,1", "y" } } },
    { "slice and pad",
      0,
      { C1,
        { "Slice", "c n:1,0 n:7,5 n:3,2 n:2,1", "s" },
        { "Pad", "s n:0,0,1,0,0,0,1,2", "d" },
        NEXT } },
    { "squeeze and unsqueeze",
      0,
      { C1,
        { "GlobalAveragePool", "c", "g" },
        { "Squeeze", "g n:2,3", "s" },
        { "Dropout", "s", "t" },
        { "Identity", "t", "u" },
        { "Gemm", "u w:8,5", "y" } } },
    { "an initialiser twice",
      0,
      { C1,
        { "Conv", "c wt:8,8,1,1", "d" },
        { "Tanh", "d", "e" },
        { "Conv", "e wt:8,8,1,1", "y" } } },
    { "a frozen start",
      0,
      { { "Mul", "x w:3,1,1", "a" },
        { "Sub", "a q:3,1,1", "b" },
        { "Conv", "b w:6,3,3,3", "y" } } },
};

static void test_gradients(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++) {
        check(&subjects[i], LEARNER_NORM_BATCH);
        check(&subjects[i], LEARNER_NORM_FROZEN);
    }
}

/* A bit of everything, in a batch that is cut into shards. */
static const struct subject mixed = { "mixed",
                                      14,
                                      { { "Conv", "x w:24,3,3,3", "a", "l:pads=1,1,1,1" },
                                        { "BatchNormalization", "a p:24 w:24 q:24 pv:24", "b" },
                                        { "HardSwish", "b", "c" },
                                        { "Conv", "c w:24,1,3,3", "d",
                                          "i:group=24 l:pads=1,1,1,1" },
                                        { "BatchNormalization", "d pb:24 wn:24 qb:24 pw:24", "e" },
                                        { "Add", "e c", "f" },
                                        { "MaxPool", "f", "g", "l:kernel_shape=2,2 l:strides=2,2" },
                                        { "Conv", "g wg:20,24,1,1 q:20", "h" },
                                        { "BatchNormalization", "h pc:20 wo:20 qc:20 px:20", "i" },
                                        { "Relu", "i", "y" } } };

static void descend(struct learner *l)
{
    for (size_t i = 0; i < learner_param_count(l); i++) {
        struct learner_param *p = learner_param(l, i);
        for (size_t k = 0; k < p->count && p->gradient; k++)
            p->value[k] -= 0.1f * p->gradient[k];
    }
}

static void assert_same_params(struct learner *a, struct learner *b)
{
    for (size_t i = 0; i < learner_param_count(a); i++) {
        const struct learner_param *p = learner_param(a, i), *q = learner_param(b, i);
        assert_memory_equal(p->value, q->value, p->count * sizeof(float));
        if (p->gradient)
            assert_memory_equal(p->gradient, q->gradient, p->count * sizeof(float));
    }
}

/* Two steps, a whole batch and a smaller one, with 1, 2 and 3 threads; another learner once more.
 */
static void test_threads(void **state)
{
    (void)state;
    struct network *n = make(&mixed);
    struct batch b = batch_new(37, PICTURE), part = b;
    part.count = 19;
    struct learner *one = learner_of(n, NULL, 37, LEARNER_NORM_BATCH, 1);
    double whole = loss_of(one, &b);
    descend(one);
    double smaller = loss_of(one, &part);
    for (int threads = 1; threads <= 3; threads++) {
        struct learner *l = learner_of(n, NULL, 37, LEARNER_NORM_BATCH, threads);
        assert_true(loss_of(l, &b) == whole);
        descend(l);
        assert_true(loss_of(l, &part) == smaller);
        assert_same_params(one, l);
        learner_free(l);
    }
    learner_free(one);
    batch_free(&b);
    network_free(n);
}

/* A batch of 32 in four shards has the gradients of one in any other order of its items. */
static void test_shards(void **state)
{
    (void)state;
    struct network *n = make(&mixed);
    struct batch b = batch_new(32, PICTURE), turned = batch_new(32, PICTURE);
    for (int i = 0; i < 32; i++) {
        memcpy(turned.x + i * PICTURE, b.x + (31 - i) * PICTURE, PICTURE * sizeof(float));
        memcpy(turned.target + i * CLASSES, b.target + (31 - i) * CLASSES, CLASSES * sizeof(float));
    }
    struct learner *l = learner_of(n, NULL, 32, LEARNER_NORM_BATCH, 2);
    struct learner *other = learner_of(n, NULL, 32, LEARNER_NORM_BATCH, 2);
    assert_float_equal((float)loss_of(l, &b), (float)loss_of(other, &turned), 1e-5f);
    for (size_t i = 0; i < learner_param_count(l); i++) {
        const struct learner_param *p = learner_param(l, i), *q = learner_param(other, i);
        for (size_t k = 0; k < p->count && p->gradient; k++)
            assert_float_equal(p->gradient[k], q->gradient[k], 1e-4f);
    }
    batch_free(&b);
    batch_free(&turned);
    learner_free(l);
    learner_free(other);
    network_free(n);
}

static struct learner_param *param_of(struct learner *l, const char *name)
{
    for (size_t i = 0; i < learner_param_count(l); i++)
        if (strcmp(learner_param(l, i)->name, name) == 0)
            return learner_param(l, i);
    fail_msg("no parameter %s", name);
    return NULL;
}

/* Running statistics: of the picture itself, worked out here; frozen ones stay. */
static void test_running(void **state)
{
    (void)state;
    const struct subject s = { "running",
                               0,
                               { { "BatchNormalization", "x p:3 w:3 q:3 pv:3", "d" },
                                 { "Conv", "d w:6,3,1,1", "y" } } };
    struct network *n = make(&s);
    struct batch b = batch_new(9, PICTURE);
    enum { PIXELS = SIDE * SIDE };
    for (int frozen = 0; frozen < 2; frozen++) {
        struct learner *l =
            learner_of(n, NULL, 9, frozen ? LEARNER_NORM_FROZEN : LEARNER_NORM_BATCH, 1);
        float before[2][3];
        memcpy(before[0], param_of(l, "q:3")->value, sizeof before[0]);
        memcpy(before[1], param_of(l, "pv:3")->value, sizeof before[1]);
        loss_of(l, &b);
        for (int c = 0; c < 3; c++) {
            double sum = 0, square = 0, count = 9 * PIXELS;
            for (int i = 0; i < 9; i++)
                for (int k = 0; k < PIXELS; k++) {
                    double v = (double)b.x[i * PICTURE + c * PIXELS + k];
                    sum += v;
                    square += v * v;
                }
            double mean = sum / count;
            double variance = (square / count - mean * mean) * count / (count - 1);
            double by = frozen ? 0 : 0.1;
            assert_float_equal(param_of(l, "q:3")->value[c],
                               (float)((1 - by) * (double)before[0][c] + by * mean), 1e-6f);
            assert_float_equal(param_of(l, "pv:3")->value[c],
                               (float)((1 - by) * (double)before[1][c] + by * variance), 1e-6f);
        }
        learner_free(l);
    }
    batch_free(&b);
    network_free(n);
}

/* The output of a plan; output NULL: the network's. */
static void answer(const struct network *n, const char *output, const struct batch *b, float *ret)
{
    struct plan *p;
    struct plan_scratch *scratch;
    struct err e;
    const struct plan_options options = { .output = output, .batch = b->count };
    ok(plan_new(n, &options, &p, &e), &e);
    ok(plan_scratch_new(p, &scratch, &e), &e);
    ok(plan_run(p, scratch, b->x, ret, &e), &e);
    plan_scratch_free(scratch);
    plan_free(p);
}

/* Trained for some steps behind the cut (NULL: from the picture on), of `size` numbers, what is
 * exported answers as the learner does. The caller frees it. */
static struct network *exported(const struct subject *s, const char *cut, size_t size)
{
    struct network *n = make(s), *again;
    struct batch b = batch_new(6, PICTURE), values = batch_new(6, cut ? size : PICTURE);
    struct learner *l = learner_of(n, cut, 6, LEARNER_NORM_BATCH, 2);
    struct err e;
    if (cut)
        answer(n, cut, &b, values.x);
    for (int i = 0; i < 3; i++) {
        loss_of(l, &values);
        descend(l);
    }
    float ours[6 * CLASSES], theirs[6 * CLASSES];
    ok(learner_predict(l, 6, values.x, ours, &e), &e);
    const struct network_meta_pair meta = { "key", "value" };
    struct buf bytes;
    buf_init(&bytes, 1 << 24);
    ok(learner_export(l, &meta, 1, &bytes, &e), &e);
    ok(network_load(bytes.data, bytes.len, &again, &e), &e);
    answer(again, NULL, &b, theirs);
    for (int i = 0; i < 6 * CLASSES; i++)
        if (!(fabsf(ours[i] - theirs[i]) <= 1e-5f))
            fail_msg("%s: predicts %g, its export %g", s->name, (double)ours[i], (double)theirs[i]);
    buf_fini(&bytes);
    batch_free(&b);
    batch_free(&values);
    learner_free(l);
    network_free(n);
    return again;
}

static void test_export(void **state)
{
    (void)state;
    struct network *n = exported(&mixed, NULL, 0);
    assert_string_equal(network_meta(n, "key"), "value");
    network_free(n);
}

/* Exporters merge initialisers of equal numbers. What one is to two nodes, or to two inputs of a
 * node, is trained apart; what is before the cut stays as it was. */
static void test_merged_initialisers(void **state)
{
    (void)state;
    static const struct subject norms = { "norms",
                                          0,
                                          { { "BatchNormalization", "x p:3 w:3 w:3 p:3", "a" },
                                            { "Conv", "a w:3,3,1,1 w:3", "b" },
                                            { "BatchNormalization", "b p:3 w:3 w:3 p:3", "c" },
                                            { "Relu", "c", "y" } } };
    static const struct subject across = { "across the cut",
                                           0,
                                           { { "Conv", "x w:3,3,1,1 w:3", "a" },
                                             { "Conv", "a w:3,3,1,1 w:3", "b" },
                                             { "Relu", "b", "y" } } };
    network_free(exported(&norms, NULL, 0));
    network_free(exported(&across, "a", PICTURE));
    /* One more of each use, and none of the names stands twice (or it would not have loaded). */
    struct network *n = make(&norms);
    struct learner *l = learner_of(n, NULL, 6, LEARNER_NORM_BATCH, 1);
    assert_int_equal(learner_param_count(l), 4 + 2 + 4 + 2);
    learner_free(l);
    network_free(n);
}

/* Statistics that are not the file's initialisers cannot follow: they are used as they are. */
static void test_norm_of_constants(void **state)
{
    (void)state;
    static const struct subject s = { "constants",
                                      0,
                                      { { "Exp", "w:3", "m" },
                                        { "BatchNormalization", "x p:3 q:3 m pv:3", "b" },
                                        { "Conv", "b w:6,3,1,1", "y" } } };
    network_free(exported(&s, NULL, 0));
    struct network *n = make(&s);
    struct batch b = batch_new(6, PICTURE);
    struct learner *frozen = learner_of(n, NULL, 6, LEARNER_NORM_FROZEN, 1);
    struct learner *l = learner_of(n, NULL, 6, LEARNER_NORM_BATCH, 1);
    assert_true(loss_of(l, &b) == loss_of(frozen, &b));
    learner_free(frozen);
    learner_free(l);
    batch_free(&b);
    network_free(n);
}

/* Behind a cut: the same probabilities and gradients as from the picture on. */
static void test_cut(void **state)
{
    (void)state;
    struct network *n = make(&mixed);
    struct batch b = batch_new(8, PICTURE);
    struct learner *whole = learner_of(n, NULL, 8, LEARNER_NORM_FROZEN, 1);
    struct learner *part = learner_of(n, "g", 8, LEARNER_NORM_FROZEN, 1);
    assert_int_equal(learner_input_size(part), 24 * 3 * 3);
    struct plan *p;
    struct plan_scratch *scratch;
    struct err e;
    const struct plan_options options = { .output = "g", .batch = 8 };
    ok(plan_new(n, &options, &p, &e), &e);
    ok(plan_scratch_new(p, &scratch, &e), &e);
    struct batch cut = batch_new(8, 24 * 3 * 3);
    ok(plan_run(p, scratch, b.x, cut.x, &e), &e);
    assert_float_equal((float)loss_of(whole, &b), (float)loss_of(part, &cut), 1e-5f);
    for (size_t i = 0; i < learner_param_count(part); i++) {
        const struct learner_param *q = learner_param(part, i), *r = param_of(whole, q->name);
        for (size_t k = 0; k < q->count && q->gradient; k++)
            assert_float_equal(q->gradient[k], r->gradient[k], 1e-4f);
    }
    assert_true(learner_param_count(part) < learner_param_count(whole));
    plan_scratch_free(scratch);
    plan_free(p);
    batch_free(&b);
    batch_free(&cut);
    learner_free(whole);
    learner_free(part);
    network_free(n);
}

static void test_diverged(void **state)
{
    (void)state;
    struct network *n = make(&mixed);
    struct batch b = batch_new(8, PICTURE);
    struct learner *l = learner_of(n, NULL, 8, LEARNER_NORM_BATCH, 2);
    struct err e;
    double loss = 5;
    float mean = param_of(l, "q:24")->value[0];
    b.x[PICTURE + 3] = NAN;
    assert_int_equal(learner_step(l, 8, b.x, b.target, NULL, &loss, NULL, &e), ERR_DIVERGED);
    assert_true(loss == 5);
    assert_true(param_of(l, "q:24")->value[0] == mean);
    b.x[PICTURE + 3] = 0;
    ok(learner_step(l, 8, b.x, b.target, NULL, &loss, NULL, &e), &e);
    assert_true(isfinite(loss));
    batch_free(&b);
    learner_free(l);
    network_free(n);
}

static void refused(const struct network *n, struct learner_options o, enum err_code code,
                    const char *text)
{
    struct learner *l = NULL;
    struct err e;
    assert_int_equal(learner_new(n, &o, &l, &e), code);
    assert_null(l);
    if (!strstr(e.message, text))
        fail_msg("\"%s\" does not say \"%s\"", e.message, text);
}

static void test_refusals(void **state)
{
    (void)state;
    const struct subject floor = { "floor", 0, { C1, { "Floor", "c", "d" }, NEXT } };
    struct network *n = make(&mixed), *unknown = make(&floor);
    const struct learner_options o = {
        .feature = "y", .classes = CLASSES, .batch = 8, .threads = 1, .norm_momentum = 0.1f
    };
    struct learner_options bad = o;
    refused(unknown, o, ERR_ONNX_OPERATOR, "Floor");
    bad.classes = 0;
    refused(n, bad, ERR_FIELD_RANGE, "not 0");
    bad = o;
    bad.batch = LEARNER_BATCH_MAX + 1;
    refused(n, bad, ERR_FIELD_RANGE, "4097");
    bad = o;
    bad.threads = 0;
    refused(n, bad, ERR_FIELD_RANGE, "0 threads");
    bad = o;
    bad.norm_momentum = 1.5f;
    refused(n, bad, ERR_FIELD_RANGE, "1.5");
    bad = o;
    bad.input = "nowhere";
    refused(n, bad, ERR_ONNX_FEATURE, "nowhere");
    bad.input = "i";
    bad.feature = "d";
    refused(n, bad, ERR_ONNX_FEATURE, "\"i\"");
    struct learner *l = learner_of(n, NULL, 8, LEARNER_NORM_BATCH, 1);
    struct batch b = batch_new(9, PICTURE);
    struct err e;
    double loss;
    float zero[CLASSES] = { 0 };
    assert_int_equal(learner_step(l, 9, b.x, b.target, NULL, &loss, NULL, &e), ERR_FIELD_RANGE);
    assert_int_equal(learner_step(l, 0, b.x, b.target, NULL, &loss, NULL, &e), ERR_FIELD_RANGE);
    assert_int_equal(learner_step(l, 8, b.x, b.target, zero, &loss, NULL, &e), ERR_FIELD_RANGE);
    batch_free(&b);
    learner_free(l);
    network_free(n);
    network_free(unknown);
}

/* Seeds decide, and only they. */
static void test_reset(void **state)
{
    (void)state;
    struct network *n = make(&mixed);
    struct learner *a = learner_of(n, NULL, 8, LEARNER_NORM_BATCH, 1);
    struct learner *b = learner_of(n, NULL, 8, LEARNER_NORM_BATCH, 1);
    assert_same_params(a, b);
    learner_reset(a, 9);
    learner_reset(b, 9);
    assert_same_params(a, b);
    const struct learner_param *w = param_of(a, "w:24,3,3,3");
    double square = 0;
    for (size_t i = 0; i < w->count; i++)
        square += (double)w->value[i] * (double)w->value[i];
    assert_float_equal((float)(square / (double)w->count), 2.0f / (24 * 9), 0.4f / (24 * 9));
    assert_true(param_of(a, "p:24")->value[5] == 1 && param_of(a, "w:24")->value[5] == 0);
    learner_reset(b, 10);
    assert_memory_not_equal(w->value, param_of(b, "w:24,3,3,3")->value, w->count * sizeof(float));
    assert_memory_not_equal(param_of(a, "head.weight")->value, param_of(b, "head.weight")->value,
                            20 * CLASSES * sizeof(float));
    assert_true(learner_bytes(a) > 8 * 24 * 49 * sizeof(float));
    learner_free(a);
    learner_free(b);
    network_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_shards),
        cmocka_unit_test(test_running),
        cmocka_unit_test(test_export),
        cmocka_unit_test(test_merged_initialisers),
        cmocka_unit_test(test_norm_of_constants),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_diverged),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
