/* Reading, checking and writing ONNX: what a network says about itself, and what is refused. */
#include "data/base/cleanup.h"
#include "nn/network.h"
#include "nn/onnx.h"
#include "onnx_maker.h"

#include <math.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CLASSES = 4, WIDTH = 6 };

static const int64_t input_dims[] = { -1, 3, 8, 8 };

static void ok(enum err_code code, const struct err *e)
{
    if (code)
        fail_msg("%s: %s", err_slug(code), e->message);
}

static void add_weight(struct maker *m, const char *name, int rank, const int64_t *dims)
{
    float data[4096];
    uint32_t state = 9;
    for (size_t i = 0; i < sizeof data / sizeof *data; i++)
        data[i] = maker_number(&state);
    maker_floats(m, name, rank, dims, data);
}

static struct maker begin(void)
{
    struct maker m = maker_new(13);
    maker_input(&m, "x", 4, input_dims);
    return m;
}

/* conv -> relu -> pool -> flatten -> gemm. */
static struct maker begin_classifier(void)
{
    struct maker m = begin();
    add_weight(&m, "w", 4, (int64_t[]){ WIDTH, 3, 3, 3 });
    add_weight(&m, "fc", 2, (int64_t[]){ CLASSES, WIDTH });
    maker_node(&m, "Conv", "conv1", "x w", "a", "");
    maker_node(&m, "Relu", "relu1", "a", "b", "");
    maker_node(&m, "GlobalAveragePool", "pool", "b", "c", "");
    maker_node(&m, "Flatten", "flat", "c", "d", "");
    maker_node(&m, "Gemm", "fc", "d fc", "e", "i:transB=1");
    maker_node(&m, "Softmax", "soft", "e", "y", "");
    maker_output(&m, "y");
    return m;
}

static struct network *load(struct maker *m)
{
    struct network *n;
    struct err e;
    struct buf b = maker_bytes(m);
    ok(network_load(b.data, b.len, &n, &e), &e);
    buf_fini(&b);
    return n;
}

/* The maker's file is refused with that code and a message that holds `part`. */
static void refuse(struct maker *m, enum err_code code, const char *part)
{
    struct network *n = NULL;
    struct err e = { 0 };
    struct buf b = maker_bytes(m);
    enum err_code r = network_load(b.data, b.len, &n, &e);
    buf_fini(&b);
    if (r != code)
        fail_msg("%s instead of %s: %s", err_slug(r), err_slug(code), r ? e.message : "");
    assert_null(n);
    if (!strstr(e.message, part))
        fail_msg("\"%s\" does not say \"%s\"", e.message, part);
}

/* ---- what it says about itself ---- */

static void describes(void **state)
{
    (void)state;
    struct maker m = begin_classifier();
    maker_meta(&m, "mean", "1,2,3");
    struct network *n = load(&m);
    int height, width;
    int64_t dims[NETWORK_RANK_MAX];
    assert_string_equal(network_input(n, &height, &width), "x");
    assert_int_equal(height, 8);
    assert_int_equal(width, 8);
    assert_string_equal(network_output(n), "y");
    assert_string_equal(network_meta(n, "mean"), "1,2,3");
    assert_null(network_meta(n, "std"));
    assert_int_equal(network_parameters(n), WIDTH * 27 + CLASSES * WIDTH);
    assert_int_equal(network_value_shape(n, "a", dims), 3);
    assert_int_equal(dims[0], WIDTH);
    assert_int_equal(dims[1], 6);
    assert_int_equal(dims[2], 6);
    assert_int_equal(network_value_shape(n, "y", NULL), 1);
    assert_int_equal(network_value_shape(n, "none", dims), -1);
    assert_int_equal(network_value_shape(n, "w", dims), -1);
    network_free(n);
    network_free(NULL);
}

static void check_feature(struct network *n, const char *hint, const char *want, int want_width)
{
    const char *name;
    int width;
    struct err e;
    ok(network_feature(n, hint, &name, &width, &e), &e);
    assert_string_equal(name, want);
    assert_int_equal(width, want_width);
}

static void finds_features(void **state)
{
    (void)state;
    const char *name;
    int width;
    struct err e;
    struct maker m = begin_classifier();
    struct network *n = load(&m);
    check_feature(n, NULL, "d", WIDTH);
    check_feature(n, "b", "b", WIDTH);
    check_feature(n, "", "d", WIDTH);
    assert_int_equal(network_feature(n, "none", &name, &width, &e), ERR_ONNX_FEATURE);
    assert_non_null(strstr(e.message, "none"));
    assert_int_equal(network_feature(n, "w", &name, &width, &e), ERR_ONNX_FEATURE);
    network_free(n);

    m = begin_classifier();
    maker_meta(&m, "feature_tensor", "a");
    n = load(&m);
    check_feature(n, NULL, "a", WIDTH);
    check_feature(n, "d", "d", WIDTH);
    network_free(n);

    /* A 1x1 convolution as the classifier, as SqueezeNet has it. */
    m = begin();
    add_weight(&m, "w", 4, (int64_t[]){ WIDTH, 3, 3, 3 });
    add_weight(&m, "v", 4, (int64_t[]){ CLASSES, WIDTH, 1, 1 });
    maker_node(&m, "Conv", "conv1", "x w", "a", "");
    maker_node(&m, "Relu", "relu1", "a", "b", "");
    maker_node(&m, "Conv", "conv2", "b v", "c", "");
    maker_node(&m, "Relu", "relu2", "c", "d", "");
    maker_node(&m, "GlobalAveragePool", "pool", "d", "e", "");
    maker_node(&m, "Flatten", "flat", "e", "y", "");
    maker_output(&m, "y");
    n = load(&m);
    check_feature(n, NULL, "b", WIDTH);
    network_free(n);

    /* No classifier: the pooled vector itself. */
    m = begin();
    add_weight(&m, "w", 4, (int64_t[]){ WIDTH, 3, 3, 3 });
    maker_node(&m, "Conv", "conv1", "x w", "a", "");
    maker_node(&m, "ReduceMean", "pool", "a", "y", "l:axes=2,3 i:keepdims=0");
    maker_output(&m, "y");
    n = load(&m);
    check_feature(n, NULL, "y", WIDTH);
    network_free(n);

    /* A MatMul and a bias. */
    m = begin();
    add_weight(&m, "w", 2, (int64_t[]){ 3, CLASSES });
    add_weight(&m, "b", 1, (int64_t[]){ CLASSES });
    maker_node(&m, "GlobalAveragePool", "", "x", "a", "");
    maker_node(&m, "Flatten", "", "a", "c", "");
    maker_node(&m, "MatMul", "", "c w", "d", "");
    maker_node(&m, "Add", "", "b d", "y", "");
    maker_output(&m, "y");
    n = load(&m);
    check_feature(n, NULL, "c", 3);
    network_free(n);
}

/* ---- writing ---- */

static struct buf export(const struct network *n, const char *feature, const float *weight,
                         const float *bias)
{
    static const struct network_meta_pair meta[] = { { "labels", "[\"a\"]" }, { "empty", "" } };
    struct err e;
    struct buf b;
    buf_init(&b, 1 << 20);
    ok(network_export(n, feature, weight, bias, CLASSES, meta, 2, &b, &e), &e);
    return b;
}

static void exports(void **state)
{
    (void)state;
    static const char *const features[] = { "d", "b" };
    float weight[CLASSES * WIDTH], bias[CLASSES];
    for (int i = 0; i < CLASSES * WIDTH; i++)
        weight[i] = (float)i / 7;
    for (int i = 0; i < CLASSES; i++)
        bias[i] = (float)i / 3;
    struct maker m = begin_classifier();
    maker_meta(&m, "old", "gone");
    struct network *n = load(&m);
    for (int k = 0; k < 2; k++) {
        struct buf first = export(n, features[k], weight, bias);
        struct buf second = export(n, features[k], weight, bias);
        assert_int_equal(first.len, second.len);
        assert_memory_equal(first.data, second.data, first.len);
        struct network *again;
        struct err e;
        ok(network_load(first.data, first.len, &again, &e), &e);
        assert_string_equal(network_output(again), "probabilities");
        assert_string_equal(network_meta(again, "labels"), "[\"a\"]");
        assert_string_equal(network_meta(again, "empty"), "");
        assert_null(network_meta(again, "old"));
        assert_int_equal(network_value_shape(again, "e", NULL), -1);
        assert_int_equal(network_value_shape(again, "b", NULL), 3);
        int64_t classes[NETWORK_RANK_MAX];
        assert_int_equal(network_value_shape(again, "probabilities", classes), 1);
        assert_int_equal(classes[0], CLASSES);

        CLEANUP(cleanup_free) float *w = NULL;
        CLEANUP(cleanup_free) float *b = NULL;
        int count, width;
        ok(network_head(again, &w, &b, &count, &width, &e), &e);
        assert_int_equal(count, CLASSES);
        assert_int_equal(width, WIDTH);
        assert_memory_equal(w, weight, sizeof weight);
        assert_memory_equal(b, bias, sizeof bias);
        /* A head can take the place of a head. */
        struct buf third = export(again, features[k], weight, bias);
        assert_memory_equal(third.data, first.data, first.len);
        buf_fini(&first);
        buf_fini(&second);
        buf_fini(&third);
        network_free(again);
    }
    float *w = NULL, *b = NULL;
    int count, width;
    struct err e;
    assert_int_equal(network_head(n, &w, &b, &count, &width, &e), ERR_ONNX_GRAPH);
    network_free(n);
}

/* Names that the head would have are taken already. */
static void export_avoids_names(void **state)
{
    (void)state;
    float weight[CLASSES * 3] = { 0 }, bias[CLASSES] = { 0 };
    struct maker m = begin();
    maker_node(&m, "Relu", "", "x", "head.weight", "");
    maker_node(&m, "Relu", "", "head.weight", "head.pooled", "");
    maker_output(&m, "head.pooled");
    struct network *n = load(&m), *again;
    struct buf b = export(n, "head.pooled", weight, bias);
    struct err e;
    ok(network_load(b.data, b.len, &again, &e), &e);
    assert_int_equal(network_value_shape(again, "head.pooled.2", NULL), 3);
    network_free(again);
    network_free(n);
    buf_fini(&b);

    m = begin();
    maker_node(&m, "Relu", "", "x", "probabilities", "");
    maker_output(&m, "probabilities");
    n = load(&m);
    buf_init(&b, 1 << 20);
    assert_int_equal(network_export(n, "probabilities", weight, bias, CLASSES, NULL, 0, &b, &e),
                     ERR_ONNX_FEATURE);
    assert_int_equal(b.len, 0);
    network_free(n);
}

/* ---- refusals ---- */

static void refuses_what_is_no_network(void **state)
{
    (void)state;
    struct network *n = NULL;
    struct err e;
    assert_int_equal(network_load("", 0, &n, &e), ERR_ONNX_SYNTAX);
    assert_int_equal(network_load("hello world, hello", 18, &n, &e), ERR_ONNX_SYNTAX);
    /* Every shorter file is refused or, cut between two fields, is another network. */
    struct maker m = begin_classifier();
    struct buf b = maker_bytes(&m);
    for (size_t len = 0; len < b.len; len++) {
        n = NULL;
        CLEANUP(cleanup_free) uint8_t *cut = malloc(len ? len : 1);
        assert_non_null(cut);
        memcpy(cut, b.data, len);
        enum err_code r = network_load(cut, len, &n, &e);
        assert_true(r != ERR_OK);
        assert_null(n);
        assert_true(e.message[0] != 0);
    }
    buf_fini(&b);
}

static void refuses_deep_messages(void **state)
{
    (void)state;
    struct buf b = maker_open();
    for (int i = 0; i < 10000; i++) { /* GraphProto.node.attribute.g ... */
        static const int fields[] = { 1, 6, 5 };
        struct buf outer = maker_open();
        maker_close(&outer, fields[i % 3], &b);
        b = outer;
    }
    struct buf model = maker_open();
    maker_close(&model, 7, &b);
    struct network *n = NULL;
    struct err e;
    assert_int_equal(network_load(model.data, model.len, &n, &e), ERR_ONNX_LIMIT);
    assert_non_null(strstr(e.message, "24"));
    buf_fini(&model);
}

static void refuses_operators(void **state)
{
    (void)state;
    struct maker m = begin();
    maker_node(&m, "Einsum", "strange", "x", "y", "");
    maker_output(&m, "y");
    refuse(&m, ERR_ONNX_OPERATOR, "strange");

    m = begin();
    maker_node(&m, "Relu", "curious", "x", "y", "i:what=1");
    maker_output(&m, "y");
    refuse(&m, ERR_ONNX_OPERATOR, "what");

    m = begin();
    maker_node(&m, "Flatten", "flat", "x", "y", "f:axis=1");
    maker_output(&m, "y");
    struct buf b = maker_bytes(&m); /* of the wrong form: the default is taken or it is refused */
    struct network *n = NULL;
    struct err e;
    if (network_load(b.data, b.len, &n, &e) == ERR_OK)
        network_free(n);
    buf_fini(&b);

    m = begin();
    m.opset = 21;
    maker_node(&m, "Relu", "", "x", "y", "");
    maker_output(&m, "y");
    refuse(&m, ERR_ONNX_OPERATOR, "21");

    m = begin(); /* LayerNormalization came with 17 */
    maker_node(&m, "LayerNormalization", "ln", "x x", "y", "");
    maker_output(&m, "y");
    refuse(&m, ERR_ONNX_OPERATOR, "ln");

    m = begin();
    maker_node(&m, "Reshape", "by itself", "x x", "y", "");
    maker_output(&m, "y");
    refuse(&m, ERR_ONNX_OPERATOR, "constant");
}

static void refuses_inputs(void **state)
{
    (void)state;
    static const struct {
        int rank;
        int64_t dims[4];
        enum err_code code;
    } list[] = {
        { 4, { -1, 1, 8, 8 }, ERR_ONNX_INPUT },   { 4, { -1, 3, -1, -1 }, ERR_ONNX_INPUT },
        { 3, { 3, 8, 8 }, ERR_ONNX_INPUT },       { 4, { 0, 3, 8, 8 }, ERR_ONNX_INPUT },
        { 4, { 1, 3, 0, 8 }, ERR_ONNX_INPUT },    { 4, { 1, 3, 4097, 8 }, ERR_ONNX_LIMIT },
        { 4, { 1, 3, 8, 4097 }, ERR_ONNX_LIMIT },
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        struct maker m = maker_new(13);
        maker_input(&m, "x", list[i].rank, list[i].dims);
        maker_node(&m, "Relu", "", "x", "y", "");
        maker_output(&m, "y");
        refuse(&m, list[i].code, "x");
    }
    struct maker m = maker_new(13); /* at the limit */
    maker_input(&m, "x", 4, (int64_t[]){ 1, 3, 4096, 1 });
    maker_node(&m, "Relu", "", "x", "y", "");
    maker_output(&m, "y");
    network_free(load(&m));

    m = begin();
    maker_input(&m, "z", 4, input_dims);
    maker_node(&m, "Relu", "", "x", "y", "");
    maker_output(&m, "y");
    refuse(&m, ERR_ONNX_INPUT, "2 inputs");

    m = maker_new(13);
    maker_value(&m, 11, "x", MAKER_I64, 4, input_dims);
    maker_node(&m, "Relu", "", "x", "y", "");
    maker_output(&m, "y");
    refuse(&m, ERR_ONNX_INPUT, "int64");
}

static void refuses_graphs(void **state)
{
    (void)state;
    struct maker m = begin();
    maker_node(&m, "Add", "one", "x c", "b", "");
    maker_node(&m, "Relu", "two", "b", "c", "");
    maker_output(&m, "c");
    refuse(&m, ERR_ONNX_GRAPH, "cycle");

    m = begin();
    maker_node(&m, "Add", "self", "x y", "y", "");
    maker_output(&m, "y");
    refuse(&m, ERR_ONNX_GRAPH, "self");

    m = begin();
    maker_node(&m, "Add", "lonely", "x missing", "y", "");
    maker_output(&m, "y");
    refuse(&m, ERR_ONNX_GRAPH, "missing");

    m = begin();
    maker_node(&m, "Relu", "", "x", "y", "");
    maker_node(&m, "Abs", "second", "x", "y", "");
    maker_output(&m, "y");
    refuse(&m, ERR_ONNX_GRAPH, "second");

    m = begin();
    maker_node(&m, "Relu", "", "x", "x", "");
    maker_output(&m, "x");
    refuse(&m, ERR_ONNX_GRAPH, "\"x\"");

    m = begin();
    maker_node(&m, "Relu", "", "x", "y", "");
    maker_output(&m, "z");
    refuse(&m, ERR_ONNX_GRAPH, "\"z\"");

    m = begin();
    maker_node(&m, "Relu", "", "x", "y", "");
    refuse(&m, ERR_ONNX_GRAPH, "no output");

    m = begin();
    maker_node(&m, "Add", "short", "x", "y", "");
    maker_output(&m, "y");
    refuse(&m, ERR_ONNX_GRAPH, "short");

    m = begin();
    maker_node(&m, "Add", "left out", "x -", "y", "");
    maker_output(&m, "y");
    refuse(&m, ERR_ONNX_GRAPH, "left out");

    m = begin();
    add_weight(&m, "w", 4, (int64_t[]){ 4, 5, 3, 3 });
    maker_node(&m, "Conv", "misfit", "x w", "y", "");
    maker_output(&m, "y");
    refuse(&m, ERR_ONNX_GRAPH, "misfit");

    m = begin();
    add_weight(&m, "w", 1, (int64_t[]){ 4 });
    maker_node(&m, "Relu", "", "w", "y", "");
    maker_output(&m, "y");
    refuse(&m, ERR_ONNX_GRAPH, "depend");
}

/* Nodes may stand in any order. */
static void sorts(void **state)
{
    (void)state;
    struct maker m = begin();
    maker_node(&m, "Abs", "", "c", "y", "");
    maker_node(&m, "Add", "", "a b", "c", "");
    maker_node(&m, "Relu", "", "a", "b", "");
    maker_node(&m, "Neg", "", "x", "a", "");
    maker_output(&m, "y");
    struct network *n = load(&m);
    assert_int_equal(network_value_shape(n, "y", NULL), 3);
    network_free(n);
}

static void refuses_numbers(void **state)
{
    (void)state;
    float data[16] = { 0 };
    struct maker m = begin();
    maker_constant(&m, "w", MAKER_F32, 2, (int64_t[]){ 4, 5 }, data, sizeof data);
    maker_node(&m, "Relu", "", "x", "y", "");
    maker_output(&m, "y");
    refuse(&m, ERR_ONNX_GRAPH, "initialiser \"w\"");

    m = begin(); /* and more than it needs */
    maker_constant(&m, "w", MAKER_F32, 1, (int64_t[]){ 3 }, data, sizeof data);
    maker_node(&m, "Relu", "", "x", "y", "");
    maker_output(&m, "y");
    refuse(&m, ERR_ONNX_GRAPH, "\"w\"");

    m = begin();
    maker_constant(&m, "w", MAKER_F32, 3, (int64_t[]){ 1 << 30, 1 << 30, 1 << 30 }, data, 64);
    maker_node(&m, "Relu", "", "x", "y", "");
    maker_output(&m, "y");
    refuse(&m, ERR_ONNX_LIMIT, "\"w\"");

    m = begin(); /* a zero does not hide what stands beside it */
    maker_constant(&m, "w", MAKER_F32, 3, (int64_t[]){ 0, INT64_MAX, INT64_MAX }, data, 0);
    maker_node(&m, "Relu", "", "x", "y", "");
    maker_output(&m, "y");
    refuse(&m, ERR_ONNX_LIMIT, "\"w\"");

    m = begin();
    maker_constant(&m, "w", MAKER_F32, 1, (int64_t[]){ -4 }, data, 16);
    maker_node(&m, "Relu", "", "x", "y", "");
    maker_output(&m, "y");
    refuse(&m, ERR_ONNX_GRAPH, "\"w\"");

    m = begin();
    maker_constant(&m, "w", 99, 1, (int64_t[]){ 4 }, data, 16);
    maker_node(&m, "Relu", "", "x", "y", "");
    maker_output(&m, "y");
    refuse(&m, ERR_ONNX_OPERATOR, "99");

    m = begin();
    struct buf tensor = maker_open(), where = maker_open();
    maker_int(&tensor, 1, 4);
    maker_int(&tensor, 2, MAKER_F32);
    maker_text(&tensor, 8, "w");
    maker_text(&where, 1, "location");
    maker_text(&where, 2, "/etc/passwd");
    maker_close(&tensor, 13, &where);
    maker_int(&tensor, 14, 1);
    maker_close(&m.graph, 5, &tensor);
    maker_node(&m, "Relu", "", "x", "y", "");
    maker_output(&m, "y");
    refuse(&m, ERR_ONNX_GRAPH, "outside the file");
}

static void refuses_sizes(void **state)
{
    (void)state;
    struct maker m = begin(); /* one value */
    maker_ints(&m, "n", 4, (int64_t[]){ 1, 3, 20000, 20000 });
    maker_node(&m, "GlobalAveragePool", "", "x", "a", "");
    maker_node(&m, "Expand", "large", "a n", "y", "");
    maker_output(&m, "y");
    refuse(&m, ERR_ONNX_LIMIT, "large");

    m = begin(); /* an overflow */
    maker_ints(&m, "n", 4, (int64_t[]){ INT64_MAX, 3, INT64_MAX, 1 });
    maker_node(&m, "GlobalAveragePool", "", "x", "a", "");
    maker_node(&m, "Expand", "huge", "a n", "y", "");
    maker_output(&m, "y");
    refuse(&m, ERR_ONNX_LIMIT, "huge");

    m = begin(); /* many values that are large together */
    maker_ints(&m, "n", 4, (int64_t[]){ 1, 3, 4000, 4000 });
    maker_node(&m, "GlobalAveragePool", "", "x", "a", "");
    maker_node(&m, "Expand", "", "a n", "v0", "");
    char names[2][8] = { "v0" };
    for (int i = 1; i < 10; i++) {
        snprintf(names[i % 2], sizeof names[0], "v%d", i);
        maker_node(&m, "Relu", "", names[(i + 1) % 2], names[i % 2], "");
    }
    maker_output(&m, "v9");
    refuse(&m, ERR_ONNX_LIMIT, "all values");

    m = begin();
    maker_node(&m, "Conv", "wide", "x w", "y", "l:pads=65537,0,0,0");
    add_weight(&m, "w", 4, (int64_t[]){ 4, 3, 3, 3 });
    maker_output(&m, "y");
    refuse(&m, ERR_ONNX_OPERATOR, "wide");
}

/* A chain as long as the limit neither recurses nor takes long; one more is refused. */
static void long_chains(void **state)
{
    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        struct maker m = begin();
        char names[2][16] = { "x" };
        for (int i = 1; i <= ONNX_NODES_MAX + extra; i++) {
            snprintf(names[i % 2], sizeof names[0], "v%d", i);
            maker_node(&m, "Identity", "", names[(i + 1) % 2], names[i % 2], "");
        }
        maker_output(&m, names[extra]);
        if (extra)
            refuse(&m, ERR_ONNX_LIMIT, "20000");
        else
            network_free(load(&m));
    }
}

/* Where memory runs out while a file is unpacked, that is said; the file is in order. In a process
 * of its own, as a limit cannot be lifted. */
static void without_memory_it_says_so(void **state)
{
    (void)state;
    if (!getenv("KENNEL_FAULT_SHIM")) /* a sanitizer's shadow counts as memory too */
        return;
    struct maker m = begin();
    static float data[1 << 20];
    maker_floats(&m, "unused", 1, (int64_t[]){ 1 << 20 }, data);
    maker_node(&m, "Relu", "", "x", "y", "");
    maker_output(&m, "y");
    struct buf b = maker_bytes(&m);
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit none = { 0, 0 };
        struct network *n;
        _exit(setrlimit(RLIMIT_DATA, &none) ? 99 : (int)network_load(b.data, b.len, &n, NULL));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), ERR_NOMEM);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_it_says_so),
        cmocka_unit_test(describes),
        cmocka_unit_test(finds_features),
        cmocka_unit_test(exports),
        cmocka_unit_test(export_avoids_names),
        cmocka_unit_test(refuses_what_is_no_network),
        cmocka_unit_test(refuses_deep_messages),
        cmocka_unit_test(refuses_operators),
        cmocka_unit_test(refuses_inputs),
        cmocka_unit_test(refuses_graphs),
        cmocka_unit_test(sorts),
        cmocka_unit_test(refuses_numbers),
        cmocka_unit_test(refuses_sizes),
        cmocka_unit_test(long_chains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
