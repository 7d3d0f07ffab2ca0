/* Plans on 8-bit integers: exactly, where every number is one, and closely beside fp32; and the
 * ranges that they are scaled by. Run a second time with oneDNN held to AVX2 (CMakeLists.txt). */
#include "data/base/cleanup.h"
#include "nn/calibrate.h"
#include "nn/network_parts.h"
#include "nn/plan_parts.h"
#include "tests/unit/nn/subject.h"

#include <math.h>

enum { SIDE = 13, CHANNELS = SUBJECT_CHANNELS, PICTURE = CHANNELS * SIDE * SIDE, PICTURES = 4 };

/* "i:16,3,1,1": multiples of 1/64 of which the first of each output channel is the largest that
 * weights may be; the next channel is full of it. */
static bool add_integers(struct maker *m, const char *name)
{
    int64_t dims[8] = { 1 }, count = 1;
    int rank = subject_dims(name, dims), most = dnn_weight_max();
    uint32_t state = (uint32_t)strlen(name);
    if (name[0] != 'i')
        return false;
    for (int i = 0; i < rank; i++)
        count *= dims[i];
    float *data = calloc((size_t)count, sizeof *data);
    assert_non_null(data);
    int64_t row = count / dims[0];
    for (int64_t i = 0; i < count; i++) {
        float x = maker_number(&state);
        data[i] = (i % row == 0 || i / row == 1 ? (float)most : rintf(x * (float)(most - 1))) / 64;
    }
    maker_floats(m, name, rank, dims, data);
    free(data);
    return true;
}

static struct network *make(const struct subject *s)
{
    return subject_network(s, SIDE, add_integers);
}

static struct plan *plan_of(const struct network *n, const struct ranges *ranges)
{
    struct err e;
    struct plan *p;
    struct plan_options o = { .batch = 1,
                              .precision = ranges ? PLAN_INT8 : PLAN_FP32,
                              .ranges = ranges };
    ok(plan_new(n, &o, &p, &e), &e);
    return p;
}

/* The caller frees it. */
static float *run(const struct plan *p, const float *x)
{
    struct err e;
    struct plan_scratch *s;
    float *y = calloc(plan_output_size(p), sizeof *y);
    assert_non_null(y);
    ok(plan_scratch_new(p, &s, &e), &e);
    ok(plan_run(p, s, x, y, &e), &e);
    float *again = calloc(plan_output_size(p), sizeof *y);
    assert_non_null(again);
    ok(plan_run(p, s, x, again, &e), &e);
    assert_memory_equal(y, again, plan_output_size(p) * sizeof *y);
    free(again);
    plan_scratch_free(s);
    return y;
}

static void picture(float *x, uint32_t state)
{
    for (size_t i = 0; i < PICTURE; i++)
        x[i] = 2 * maker_number(&state);
}

static struct calibration *calibrated(const struct network *n, int pictures)
{
    struct err e;
    struct calibration *c;
    struct plan_options o = { .batch = 1 };
    float x[PICTURE];
    ok(calibration_new(n, &o, &c, &e), &e);
    for (int i = 0; i < pictures; i++) {
        picture(x, (uint32_t)i + 1);
        ok(calibration_add(c, x, NULL, &e), &e);
    }
    return c;
}

static int of_integers(const struct plan *p)
{
    int count = 0;
    for (int i = 0; i < p->instr_count; i++) {
        const struct instr *x = &p->instrs[i];
        for (int k = 0; k < x->arg_count; k++)
            if (x->args[k].role == DNN_WEIGHT && x->args[k].layout)
                count += dnn_layout_type(x->args[k].layout) == DNN_S8;
    }
    return count;
}

static int named(const struct plan *p, const char *name)
{
    int count = 0;
    for (int i = 0; i < p->instr_count; i++)
        count += strcmp(p->instrs[i].name, name) == 0;
    return count;
}

#define CONV "Conv"
#define K3 "l:pads=1,1,1,1"

/* Source 0..255 and weights as integers over 64, sums below 2^24: what fp32 computes is exact, and
 * so must be what integers do. Sources of 255 under full weights saturate where pairs of products
 * are summed in 16 bits. */
static void exact(void **state)
{
    (void)state;
    static const struct subject list[] = {
        { "first", 0, { { CONV, "x i:16,3,3,3", "y", K3 } } },
        { "strided", 0, { { CONV, "x i:32,3,3,3", "y", "l:strides=2,2 l:pads=0,0,1,1" } } },
        { "dense 1x1", 0, { { CONV, "x i:24,3,1,1", "y", "" } } },
        { "depthwise", 0, { { CONV, "x i:3,1,3,3", "y", "i:group=3 " K3 } } },
        { "dilated", 0, { { CONV, "x i:16,3,3,3", "y", "l:dilations=2,2 l:pads=2,2,2,2" } } },
    };
    struct range_channel *none = NULL;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        struct network *n = make(&list[i]);
        struct range range = { (char *)"x", 0, 255.0f / 64, 0, none };
        struct ranges ranges = { &range, 1 };
        struct plan *floats = plan_of(n, NULL), *integers = plan_of(n, &ranges);
        float x[PICTURE];
        uint32_t seed = 5;
        for (size_t k = 0; k < PICTURE; k++)
            x[k] = k % SIDE > 5 ? 255.0f / 64 : rintf((maker_number(&seed) + 1) * 127) / 64;
        float *want = run(floats, x), *got = run(integers, x);
        for (size_t k = 0; k < plan_output_size(floats); k++)
            if (want[k] != got[k])
                fail_msg("%s: entry %zu is %g instead of %g", list[i].name, k, (double)got[k],
                         (double)want[k]);
        if (of_integers(integers) != 1)
            fail_msg("%s was not computed from integers", list[i].name);
        plan_free(floats);
        plan_free(integers);
        free(want);
        free(got);
        network_free(n);
    }
}

/* |int8 - fp32| / |fp32| over a picture that the calibration did not see. */
static double error_of(const struct network *n, const struct ranges *ranges)
{
    float x[PICTURE];
    double difference = 0, size = 0;
    struct plan *floats = plan_of(n, NULL), *integers = plan_of(n, ranges);
    picture(x, 99);
    float *want = run(floats, x), *got = run(integers, x);
    for (size_t k = 0; k < plan_output_size(floats); k++) {
        difference += (double)(got[k] - want[k]) * (double)(got[k] - want[k]);
        size += (double)want[k] * (double)want[k];
    }
    plan_free(floats);
    plan_free(integers);
    free(want);
    free(got);
    return sqrt(difference / size);
}

static const struct subject residual = { "residual",
                                         0,
                                         { { CONV, "x w:32,3,3,3 w:32", "a", K3 },
                                           { "Relu", "a", "h", "" },
                                           { CONV, "h w:32,32,1,1 w:32", "i", "" },
                                           { "Relu", "i", "b", "" },
                                           { CONV, "b w:32,1,3,3 w:32", "c", "i:group=32 " K3 },
                                           { "Relu", "c", "d", "" },
                                           { CONV, "d w:32,32,1,1 w:32", "e", "" },
                                           { "Add", "e b", "f", "" },
                                           { "Relu", "f", "g", "" },
                                           { CONV, "g w:16,32,1,1", "y", "" } } };

static void close_to_floats(void **state)
{
    (void)state;
    static const struct subject list[] = {
        { "conv",
          0,
          { { CONV, "x w:16,3,3,3 w:16", "a", "" }, { CONV, "a w:8,16,1,1", "y", "" } } },
        { "linear residual",
          0,
          { { CONV, "x w:16,3,1,1 w:16", "a", "" },
            { CONV, "a w:16,16,3,3", "b", K3 },
            { "Add", "a b", "c", "" },
            { CONV, "c w:16,16,1,1", "d", "" },
            { "Add", "d c", "e", "" },
            { CONV, "e w:16,16,1,1", "y", "" } } },
        { "residual that is used again",
          0,
          { { CONV, "x w:16,3,1,1", "b", "" },
            { CONV, "b w:16,16,3,3", "c", K3 },
            { "Add", "b c", "d", "" },
            { CONV, "d w:16,16,1,1", "e", "" },
            { CONV, "b w:16,16,1,1", "f", "" },
            { "Add", "e f", "y", "" } } },
        { "views of integers",
          0,
          { { CONV, "x w:16,3,3,3 w:16", "a", "" },
            { "Relu", "a", "b", "" },
            { CONV, "b w:16,16,1,1", "c", "" },
            { "Split", "b", "d e", "i:axis=1" },
            { "Transpose", "e", "f", "l:perm=0,1,3,2" },
            { "Concat", "d f", "g", "i:axis=1" },
            { "Add", "c g", "h", "" },
            { CONV, "h w:16,16,1,1", "y", "" } } },
        { "hard swish",
          0,
          { { CONV, "x w:16,3,3,3 w:16", "a", "" },
            { "HardSwish", "a", "b", "" },
            { CONV, "b w:16,16,1,1", "c", "" },
            { "HardSwish", "c", "y", "" } } },
        { "leaky",
          0,
          { { CONV, "x w:16,3,3,3 w:16", "a", "" },
            { "LeakyRelu", "a", "b", "f:alpha=0.1" },
            { CONV, "b w:16,16,1,1", "y", "" } } },
        { "pools",
          0,
          { { CONV, "x w:16,3,3,3 w:16", "a", "" },
            { "Relu", "a", "b", "" },
            { "MaxPool", "b", "c", "l:kernel_shape=3,3 l:strides=2,2" },
            { "AveragePool", "c", "d", "l:kernel_shape=2,2" },
            { CONV, "d w:16,16,1,1", "e", "" },
            { "GlobalAveragePool", "e", "y", "" } } },
        { "concat",
          0,
          { { CONV, "x w:16,3,3,3 w:16", "a", "" },
            { "Relu", "a", "b", "" },
            { CONV, "b w:16,16,1,1", "c", "" },
            { CONV, "b w:16,16,3,3", "d", K3 },
            { "Relu", "d", "e", "" },
            { "Concat", "c e", "f", "i:axis=1" },
            { CONV, "f w:16,32,1,1", "y", "" } } },
        { "normalisation between",
          0,
          { { CONV, "x w:16,3,3,3 w:16", "a", "" },
            { "Relu", "a", "b", "" },
            { "BatchNormalization", "b p:16 w:16 w:16 p:16", "c", "" },
            { "Relu", "c", "d", "" },
            { CONV, "d w:16,16,1,1", "e", "" },
            { "Add", "e b", "f", "" },
            { CONV, "f w:16,16,1,1", "y", "" } } },
        { "grouped",
          0,
          { { CONV, "x w:32,3,1,1", "a", "" },
            { CONV, "a w:48,8,3,3 w:48", "b", "i:group=4 " K3 },
            { CONV, "b w:8,48,1,1", "y", "" } } },
        { "a product between",
          0,
          { { CONV, "x w:16,3,1,1", "a", "" },
            { "Sigmoid", "a", "b", "" },
            { "Mul", "a b", "c", "" },
            { CONV, "c w:16,16,3,3", "y", "" } } },
    };
    enum { COUNT = sizeof list / sizeof *list };
    for (size_t i = 0; i <= COUNT; i++) {
        const struct subject *s = i < COUNT ? &list[i] : &residual;
        struct err e;
        struct ranges ranges;
        struct network *n = make(s);
        struct calibration *c = calibrated(n, PICTURES);
        ok(calibration_ranges(c, CALIBRATE_MSE, &ranges, &e), &e);
        double error = error_of(n, &ranges);
        if (!(error > 0 && error < 0.08))
            fail_msg("%s: relative error %g", s->name, error);
        struct plan *p = plan_of(n, &ranges);
        assert_true(of_integers(p) > 0);
        plan_free(p);
        ranges_fini(&ranges);
        calibration_free(c);
        network_free(n);
    }
}

/* One reorder to integers at the input, none after it; five convolutions of integers. */
static void stays_integer(void **state)
{
    (void)state;
    struct err e;
    struct ranges ranges;
    struct network *n = make(&residual);
    struct calibration *c = calibrated(n, PICTURES);
    ok(calibration_ranges(c, CALIBRATE_MSE, &ranges, &e), &e);
    struct plan *p = plan_of(n, &ranges);
    assert_int_equal(of_integers(p), 5);
    /* The last result is brought into the output's order. */
    assert_true(named(p, "reorder") <= 2);
    plan_free(p);
    /* A value without a range is a float, and so is what reads it. */
    for (int i = 0; i < ranges.count; i++)
        if (strcmp(ranges.list[i].name, "d") == 0)
            ranges.list[i].low = ranges.list[i].high = 0;
    p = plan_of(n, &ranges);
    assert_int_equal(of_integers(p), 4);
    plan_free(p);
    struct plan_options o = { .batch = 1, .precision = PLAN_INT8 };
    assert_int_equal(plan_new(n, &o, &p, &e), ERR_INTERNAL);
    ranges_fini(&ranges);
    calibration_free(c);
    network_free(n);
}

static void write_ranges(const struct calibration *c, struct buf *ret)
{
    struct err e;
    struct ranges ranges;
    buf_init(ret, 1 << 20);
    ok(calibration_ranges(c, CALIBRATE_MSE, &ranges, &e), &e);
    ok(ranges_write(&ranges, ret, &e), &e);
    ranges_fini(&ranges);
}

/* A depthwise convolution right behind the first one: both stay in floats. */
static void stem_stays_in_floats(void **state)
{
    (void)state;
    static const struct subject stem = { "stem",
                                         0,
                                         { { CONV, "x w:32,3,3,3 w:32", "a", K3 },
                                           { CONV, "a w:32,1,3,3 w:32", "b", "i:group=32 " K3 },
                                           { CONV, "b w:16,32,1,1", "y", "" } } };
    struct err e;
    struct ranges ranges;
    struct network *n = make(&stem);
    struct calibration *c = calibrated(n, PICTURES);
    ok(calibration_ranges(c, CALIBRATE_MSE, &ranges, &e), &e);
    struct plan *p = plan_of(n, &ranges);
    assert_int_equal(of_integers(p), 1);
    plan_free(p);
    ranges_fini(&ranges);
    calibration_free(c);
    network_free(n);
}

/* Pictures shared out to branches count as if one calibration had seen them all. */
static void branches_add_up(void **state)
{
    (void)state;
    struct err e;
    struct network *n = make(&residual);
    struct calibration *all = calibrated(n, PICTURES), *sum, *one;
    struct plan_options o = { .batch = 1 };
    float x[PICTURE];
    ok(calibration_new(n, &o, &sum, &e), &e);
    for (int i = 0; i < PICTURES; i++) {
        ok(calibration_branch(sum, &one, &e), &e);
        picture(x, (uint32_t)i + 1);
        ok(calibration_add(one, x, NULL, &e), &e);
        ok(calibration_add_all(sum, one, &e), &e);
        calibration_free(one);
    }
    CLEANUP(buf_fini) struct buf want;
    CLEANUP(buf_fini) struct buf got;
    write_ranges(all, &want);
    write_ranges(sum, &got);
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.data, want.data, want.len);
    calibration_free(all);
    calibration_free(sum);
    network_free(n);
}

/* Two threads are not for integers; a calibration sees whole values. */
static void has_one_lane(void **state)
{
    (void)state;
    struct err e;
    struct ranges one, two;
    struct network *n = make(&residual);
    struct calibration *c = calibrated(n, PICTURES), *d;
    struct plan_options o = { .batch = 1, .threads = 2 };
    float x[PICTURE];
    ok(calibration_new(n, &o, &d, &e), &e);
    for (int i = 0; i < PICTURES; i++) {
        picture(x, (uint32_t)i + 1);
        ok(calibration_add(d, x, NULL, &e), &e);
    }
    ok(calibration_ranges(c, CALIBRATE_MSE, &one, &e), &e);
    ok(calibration_ranges(d, CALIBRATE_MSE, &two, &e), &e);
    assert_int_equal(one.count, two.count);
    for (int i = 0; i < one.count; i++)
        assert_true(one.list[i].low == two.list[i].low && one.list[i].high == two.list[i].high);
    struct plan *p = plan_of(n, &one), *q;
    o.precision = PLAN_INT8;
    o.ranges = &two;
    ok(plan_new(n, &o, &q, &e), &e);
    assert_int_equal(q->threads, 1);
    CLEANUP(cleanup_free) float *y = run(p, x);
    CLEANUP(cleanup_free) float *z = run(q, x);
    assert_memory_equal(y, z, plan_output_size(p) * sizeof *y);
    plan_free(p);
    plan_free(q);
    ranges_fini(&one);
    ranges_fini(&two);
    calibration_free(c);
    calibration_free(d);
    network_free(n);
}

/* What plans of one network share is told by its numbers, not by where they stood. */
static void plans_share_by_content(void **state)
{
    (void)state;
    struct err e;
    struct ranges first, second;
    struct network *n = make(&residual);
    struct calibration *c = calibrated(n, PICTURES);
    float x[PICTURE];
    picture(x, 1);
    ok(calibration_ranges(c, CALIBRATE_MSE, &first, &e), &e);
    ok(calibration_ranges(c, CALIBRATE_MSE, &second, &e), &e);
    for (int i = 0; i < second.count; i++) {
        second.list[i].low *= 3;
        second.list[i].high *= 3;
    }
    struct plan *p = plan_of(n, &first);
    CLEANUP(cleanup_free) float *before = run(p, x);
    size_t bytes = weights_bytes(n->weights);
    struct plan *same = plan_of(n, &first);
    assert_int_equal(weights_bytes(n->weights), bytes);
    struct plan *other = plan_of(n, &second);
    CLEANUP(cleanup_free) float *wide = run(other, x);
    CLEANUP(cleanup_free) float *after = run(p, x);
    CLEANUP(cleanup_free) float *again = run(same, x);
    size_t size = plan_output_size(p) * sizeof *before;
    assert_memory_equal(before, after, size);
    assert_memory_equal(before, again, size);
    assert_memory_not_equal(before, wide, size);
    /* Alone on a fresh network the other gives the same. */
    struct network *m = make(&residual);
    struct plan *alone = plan_of(m, &second);
    CLEANUP(cleanup_free) float *fresh = run(alone, x);
    assert_memory_equal(wide, fresh, size);
    plan_free(p);
    plan_free(same);
    plan_free(other);
    plan_free(alone);
    ranges_fini(&first);
    ranges_fini(&second);
    calibration_free(c);
    network_free(n);
    network_free(m);
}

static void bounds(void **state)
{
    (void)state;
    static const struct subject plain = { "plain", 0, { { "Relu", "x", "y", "" } } };
    struct err e;
    struct ranges r;
    struct network *n = make(&plain);
    struct calibration *c = calibrated(n, 0);
    float x[PICTURE] = { 0 }, y[PICTURE];
    assert_int_equal(calibration_ranges(c, CALIBRATE_MSE, &r, &e), ERR_INTERNAL);
    ok(calibration_add(c, x, y, &e), &e);
    ok(calibration_ranges(c, CALIBRATE_MSE, &r, &e), &e);
    assert_int_equal(r.count, 0);
    ranges_fini(&r);
    /* Channel 0 is never above 0; channel 1 has one entry far outside; channel 2 is 0.25. */
    for (int i = 0; i < SIDE * SIDE; i++) {
        x[i] = -(float)(i % 5) / 8;
        x[SIDE * SIDE + i] = i == 7 ? 8 : 0.5f;
        x[2 * SIDE * SIDE + i] = 0.25f;
    }
    ok(calibration_add(c, x, y, &e), &e);
    assert_true(y[0] == 0 && y[SIDE * SIDE] == 0.5f);
    ok(calibration_ranges(c, CALIBRATE_EXTREME, &r, &e), &e);
    assert_int_equal(r.count, 2);
    const struct range *in = ranges_find(&r, "x"), *out = ranges_find(&r, "y");
    assert_true(in && out && !ranges_find(&r, "z"));
    assert_true(in->low == -8 && in->high == 8 && out->low == 0 && out->high == 8);
    assert_int_equal(in->count, CHANNELS);
    assert_int_equal(in->channels[0].most, 16); /* 0.5 of 8, of 255, rounded up */
    assert_int_equal(out->channels[0].most, 1);
    assert_int_equal(out->channels[1].most, 255);
    assert_int_equal(out->channels[2].most, 8);
    /* Two pictures, the first all 0: half of 0.25, in 127ths of 8. */
    assert_int_equal(out->channels[2].mean, 2);
    assert_int_equal(out->channels[2].size, 6); /* 0.25 / sqrt(2), in 255ths of 8 */
    assert_true(in->channels[0].mean < 0);
    ranges_fini(&r);
    /* One entry of 338 does not set the scale of the others. */
    ok(calibration_ranges(c, CALIBRATE_MSE, &r, &e), &e);
    assert_true(ranges_find(&r, "y")->high <= 8);
    ranges_fini(&r);
    calibration_free(c);
    network_free(n);
}

static void text(void **state)
{
    (void)state;
    struct err e;
    struct ranges r, back;
    struct buf a, b;
    struct network *n = make(&residual);
    struct calibration *c = calibrated(n, PICTURES);
    ok(calibration_ranges(c, CALIBRATE_MSE, &r, &e), &e);
    buf_init(&a, 1 << 20);
    buf_init(&b, 1 << 20);
    ok(ranges_write(&r, &a, &e), &e);
    ok(ranges_read((const char *)a.data, &back, &e), &e);
    ok(ranges_write(&back, &b, &e), &e);
    assert_int_equal(r.count, back.count);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    assert_true(error_of(n, &r) == error_of(n, &back));
    ranges_fini(&r);
    ranges_fini(&back);
    buf_fini(&a);
    buf_fini(&b);
    calibration_free(c);
    network_free(n);
    static const char *const wrong[] = {
        "",
        "[]",
        "{}",
        "{\"a\":1}",
        "{\"a\":[0,1]}",
        "{\"a\":[0,1,1]}",
        "{\"a\":[0,0,\"\"]}",
        "{\"a\":[1,2,\"\"]}",
        "{\"a\":[-2,-1,\"\"]}",
        "{\"a\":[0,1e39,\"\"]}",
        "{\"a\":[0,1,\"0\"]}",
        "{\"a\":[0,1,\"01020g\"]}",
        "{\"a\":[0,1,\"000000\"]}",
        "{\"a\":[0,1,\"\"],\"b\":[0,1]}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (ranges_read(wrong[i], &back, &e) != ERR_ONNX_GRAPH)
            fail_msg("taken: %s", wrong[i]);
    ok(ranges_read("{\"a\":[0,1,\"01807f\"]}", &back, &e), &e);
    assert_int_equal(back.list[0].channels[0].mean, -128);
    ranges_fini(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact),
        cmocka_unit_test(close_to_floats),
        cmocka_unit_test(bounds),
        cmocka_unit_test(stays_integer),
        cmocka_unit_test(text),
        cmocka_unit_test(branches_add_up),
        cmocka_unit_test(stem_stays_in_floats),
        cmocka_unit_test(has_one_lane),
        cmocka_unit_test(plans_share_by_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
