/* The ONNX project's own tests of single operators and small networks, as Debian's libonnx-testdata
 * has them: every one either passes, or is not supported for a reason that stands in the table
 * below. */
#include "data/base/cleanup.h"
#include "nn/onnx.h"
#include "nn/ops.h"
#include "nn/plan_parts.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROOT "/usr/share/libonnx-testdata/data"

enum { SKIPPED = 77, PATH_BYTES = 1024, INPUTS_MAX = 16 };

/* The operators that the engine promises. A test that is refused because one of them is missing
 * fails.
 */
static const char *const promised[] = {
    "Add",           "AveragePool", "BatchNormalization",
    "Cast",          "Clip",        "Concat",
    "Constant",      "Conv",        "DequantizeLinear",
    "Div",           "Dropout",     "Elu",
    "Erf",           "Flatten",     "Gather",
    "Gelu",          "Gemm",        "GlobalAveragePool",
    "GlobalMaxPool", "HardSigmoid", "HardSwish",
    "Identity",      "LRN",         "LayerNormalization",
    "LeakyRelu",     "LogSoftmax",  "MatMul",
    "MaxPool",       "Mul",         "PRelu",
    "Pad",           "Pow",         "QuantizeLinear",
    "ReduceMean",    "Relu",        "Reshape",
    "Shape",         "Sigmoid",     "Slice",
    "Softmax",       "Split",       "Sqrt",
    "Squeeze",       "Sub",         "Tanh",
    "Transpose",     "Unsqueeze",
};

enum { NO_OPERATOR, OLD_SET, TRAINING, TEXT, BFLOAT16, NO_TENSOR, REASONS };
static const char *const reason_text[REASONS] = {
    [NO_OPERATOR] = "an operator that is not promised",
    [OLD_SET] = "an operator set before 7 or after 20, or none",
    [TRAINING] = "a form for training",
    [TEXT] = "text",
    [BFLOAT16] = "bfloat16, which onnx 1.12 stores as uint16",
    [NO_TENSOR] = "sequences and optional values",
};

/* Tests of promised operators in a form that we do not have: what the name begins with. */
static const struct {
    const char *prefix;
    int reason;
} reasons[] = {
    { "test_batchnorm_epsilon_training_mode", TRAINING },
    { "test_batchnorm_example_training_mode", TRAINING },
    { "test_training_dropout", TRAINING },
    { "test_cast_FLOAT_to_STRING", TEXT },
    { "test_cast_STRING_to_FLOAT", TEXT },
    { "test_castlike_FLOAT_to_STRING_expanded", TEXT },
    { "test_equal_string", TEXT },
    { "test_castlike_STRING_to_FLOAT_expanded", TEXT },
    { "test_cast_FLOAT_to_BFLOAT16", BFLOAT16 },
    { "test_castlike_FLOAT_to_BFLOAT16_expanded", BFLOAT16 },
    { "test_cast_BFLOAT16_to_FLOAT", BFLOAT16 },
    { "test_castlike_BFLOAT16_to_FLOAT_expanded", BFLOAT16 },
    { "test_reduce_max_bool_inputs", NO_OPERATOR },
    { "test_reduce_min_bool_inputs", NO_OPERATOR },
    { "test_identity_opt", NO_TENSOR },
    { "test_identity_sequence", NO_TENSOR },
    { "test_loop1", NO_TENSOR },
    { "test_optional_", NO_TENSOR },
    { "test_sequence_", NO_TENSOR },
};

static bool is_promised(const char *operator)
{
    size_t len = strcspn(operator, " ");
    for (size_t i = 0; i < sizeof promised / sizeof *promised; i++)
        if (strlen(promised[i]) == len && strncmp(promised[i], operator, len) == 0)
            return true;
    return false;
}

/* Index of reason_text, or -1. */
static int reason_for(const char *name, const struct err *e)
{
    static const char unknown[] = ": operator ";
    const char *at = strstr(e->message, unknown);
    if (at)
        return is_promised(at + strlen(unknown)) ? -1 : NO_OPERATOR;
    if (strncmp(e->message, "operator set ", 13) == 0)
        return OLD_SET;
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (strncmp(name, reasons[i].prefix, strlen(reasons[i].prefix)) == 0)
            return reasons[i].reason;
    return -1;
}

struct tally {
    int passed, unsupported, failed;
    int reasons[REASONS];
};

struct bytes {
    uint8_t *data;
    size_t len;
};

static bool read_file(const char *path, struct bytes *ret)
{
    CLEANUP(cleanup_file) FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    ret->len = (size_t)ftell(f);
    rewind(f);
    ret->data = malloc(ret->len + 1);
    assert_non_null(ret->data);
    assert_int_equal(fread(ret->data, 1, ret->len, f), ret->len);
    return true;
}

static enum err_code read_tensor(const char *folder, const char *kind, int index,
                                 struct tensor *ret, struct err *e)
{
    char path[PATH_BYTES * 4];
    struct bytes b;
    snprintf(path, sizeof path, "%s/test_data_set_0/%s_%d.pb", folder, kind, index);
    if (!read_file(path, &b))
        return err_set(e, ERR_IO, "%s: not there", path);
    enum err_code r = onnx_read_tensor(b.data, b.len, ret, e);
    free(b.data);
    return r;
}

static bool agree(const struct tensor *ours, const struct tensor *want, struct err *e)
{
    char a[TENSOR_TEXT], b[TENSOR_TEXT];
    if (ours->type != want->type || !tensor_same_shape(ours, want)) {
        err_set(e, ERR_INTERNAL, "made %s %s instead of %s %s", tensor_type_text(ours->type),
                tensor_text(ours, a), tensor_type_text(want->type), tensor_text(want, b));
        return false;
    }
    for (int64_t i = 0; i < tensor_count(want); i++) {
        double x = tensor_real(ours, i), y = tensor_real(want, i);
        if (x == y || (isnan(x) && isnan(y)) || fabs(x - y) <= 1e-5 + 1e-3 * fabs(y))
            continue;
        err_set(e, ERR_INTERNAL, "entry %lld is %g instead of %g", (long long)i, x, y);
        return false;
    }
    return true;
}

/* One output by way of a plan: what is not constant in the frame is given when it runs. */
static enum err_code run_plan(const struct frame *f, int output, const struct tensor *inputs,
                              struct tensor *ret, struct err *e)
{
    struct plan *p;
    struct plan_scratch *s = NULL;
    const void *data[INPUTS_MAX];
    enum err_code r = plan_compile(f, output, false, 1, NULL, &p, e);
    if (r)
        return r;
    const struct graph *g = f->graph;
    for (int i = 0; i < p->input_count; i++)
        for (int k = 0; k < g->input_count; k++)
            if (g->inputs[k] == p->inputs[i])
                data[i] = inputs[k].data;
    *ret = f->values[output];
    ret->data = NULL;
    r = tensor_alloc(ret, e);
    if (!r)
        r = plan_scratch_new(p, &s, e);
    /* Twice: a second run must not see what the first left behind. */
    for (int i = 0; i < 2 && !r; i++)
        r = plan_execute(p, s, data, ret->data, e);
    plan_scratch_free(s);
    plan_free(p);
    return r;
}

/* constants: how much of the input is known beforehand. 0: nothing, 1: what is not float32, 2: all
 * but the first, 3: all. */
static enum err_code run_graph(const struct graph *g, const struct tensor *inputs,
                               const char *folder, int constants, struct err *e)
{
    struct tensor given[INPUTS_MAX];
    for (int i = 0; i < g->input_count; i++) {
        given[i] = inputs[i];
        bool known = (constants == 1 && inputs[i].type != TENSOR_F32) ||
                     (constants == 2 && i > 0) || constants == 3;
        if (!known)
            given[i].data = NULL;
    }
    struct frame f;
    enum err_code r = frame_new(g, given, 1, &f, e);
    if (r)
        return r;
    for (int k = 0; k < g->output_count && !r; k++) {
        struct tensor want = { 0 }, ours = f.values[g->outputs[k]];
        r = read_tensor(folder, "output", k, &want, e);
        if (!r && !ours.data)
            r = run_plan(&f, g->outputs[k], inputs, &ours, e);
        if (!r && !agree(&ours, &want, e))
            r = ERR_INTERNAL;
        if (ours.data != f.values[g->outputs[k]].data)
            free(ours.data);
        free(want.data);
    }
    frame_fini(&f);
    return r;
}

static enum err_code run_folder(const char *folder, struct err *e)
{
    char path[PATH_BYTES * 4];
    struct bytes b;
    struct graph g;
    struct onnx_meta meta;
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    if (!read_file(path, &b))
        return err_set(e, ERR_ONNX_OPERATOR, "no model");
    enum err_code r = onnx_read(b.data, b.len, &g, &meta, e);
    free(b.data);
    if (r)
        return r;
    struct tensor inputs[INPUTS_MAX] = { 0 };
    if (g.input_count > INPUTS_MAX)
        r = err_set(e, ERR_ONNX_OPERATOR, "more than %d inputs", INPUTS_MAX);
    for (int i = 0; i < g.input_count && !r; i++)
        r = read_tensor(folder, "input", i, &inputs[i], e);
    for (int constants = 0; constants <= 3 && !r; constants++) {
        r = run_graph(&g, inputs, folder, constants, e);
        /* A shape that is only known when the network runs is not for us. */
        if (r == ERR_ONNX_OPERATOR && constants < 3)
            r = ERR_OK;
    }
    for (int i = 0; i < INPUTS_MAX; i++)
        free(inputs[i].data);
    graph_fini(&g);
    onnx_meta_fini(&meta);
    return r;
}

static void run_all(const char *kind, struct tally *t)
{
    char root[PATH_BYTES], folder[PATH_BYTES * 2];
    snprintf(root, sizeof root, ROOT "/%s", kind);
    struct dirent **names;
    int count = scandir(root, &names, NULL, alphasort);
    assert_true(count > 0);
    for (int i = 0; i < count; i++) {
        struct err e = { 0 };
        snprintf(folder, sizeof folder, "%s/%s", root, names[i]->d_name);
        if (names[i]->d_name[0] != '.') {
            enum err_code r = run_folder(folder, &e);
            int reason = r ? reason_for(names[i]->d_name, &e) : -1;
            t->passed += !r;
            t->unsupported += reason >= 0;
            t->failed += r && reason < 0;
            if (reason >= 0)
                t->reasons[reason]++;
            if (r)
                print_message("%s %s/%s: %s: %s\n", reason >= 0 ? "unsupported" : "FAILED", kind,
                              names[i]->d_name, reason >= 0 ? reason_text[reason] : err_slug(r),
                              e.message);
        }
        free(names[i]);
    }
    free(names);
}

static void all_pass_or_have_a_reason(void **state)
{
    (void)state;
    struct tally t = { 0 };
    int saved = dnn_thread_enter();
    static const char *const kinds[] = { "node", "pytorch-converted", "pytorch-operator",
                                         "simple" };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        run_all(kinds[i], &t);
    dnn_thread_leave(saved);
    for (int i = 0; i < REASONS; i++)
        print_message("unsupported %4d: %s\n", t.reasons[i], reason_text[i]);
    print_message("%d passed, %d unsupported, %d failed\n", t.passed, t.unsupported, t.failed);
    assert_int_equal(t.failed, 0);
}

int main(void)
{
    if (access(ROOT "/node", R_OK) != 0)
        return SKIPPED;
    const struct CMUnitTest tests[] = { cmocka_unit_test(all_pass_or_have_a_reason) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
