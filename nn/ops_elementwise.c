/* Operators that work entry by entry, with broadcasting. */
#include "nn/ops.h"

#include <math.h>
#include <string.h>

void unary_params(const struct node *n, double *ret_a, double *ret_b)
{
    float a = 0, b = 0;
    switch (n->op->kind) {
    case OP_LEAKY_RELU:
        a = node_float(n, "alpha", 0.01f);
        break;
    case OP_ELU:
        a = node_float(n, "alpha", 1.0f);
        break;
    case OP_HARD_SIGMOID:
        a = node_float(n, "alpha", 0.2f);
        b = node_float(n, "beta", 0.5f);
        break;
    case OP_GELU: /* a: by tanh */
        a = strcmp(node_string(n, "approximate", "none"), "tanh") == 0;
        break;
    default:
        break;
    }
    *ret_a = (double)a;
    *ret_b = (double)b;
}

double unary_value(enum op_kind kind, double x, double a, double b)
{
    switch (kind) {
    case OP_RELU:
        return x < 0 ? 0 : x;
    case OP_LEAKY_RELU:
        return x < 0 ? a * x : x;
    case OP_ELU:
        return x < 0 ? a * expm1(x) : x;
    case OP_SIGMOID:
        return 1 / (1 + exp(-x));
    case OP_HARD_SIGMOID:
        return fmax(0, fmin(1, a * x + b));
    case OP_HARD_SWISH:
        return x * fmax(0, fmin(1, x / 6 + 0.5));
    case OP_TANH:
        return tanh(x);
    case OP_GELU:
        return a != 0 ? 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))
                      : 0.5 * x * (1 + erf(x * M_SQRT1_2));
    case OP_ERF:
        return erf(x);
    case OP_SQRT:
        return sqrt(x);
    case OP_EXP:
        return exp(x);
    case OP_LOG:
        return log(x);
    case OP_ABS:
        return fabs(x);
    case OP_NEG:
        return -x;
    case OP_FLOOR:
        return floor(x);
    case OP_CEIL:
        return ceil(x);
    case OP_RECIPROCAL:
        return 1 / x;
    case OP_NOT:
        return x == 0;
    case OP_SOFTPLUS:
        return x > 30 ? x : log1p(exp(x));
    default:
        return x;
    }
}

enum err_code unary_infer(const struct op_call *c, struct err *e)
{
    bool whole = c->node->op->kind == OP_ABS || c->node->op->kind == OP_NEG;
    enum tensor_type type = c->in[0]->type;
    bool fits = c->node->op->kind == OP_NOT ? type == TENSOR_BOOL
                                            : type == TENSOR_F32 || type == TENSOR_F64 || whole;
    if (!fits)
        return op_refuse(c, e, ERR_ONNX_OPERATOR, "element type %s is not supported",
                         tensor_type_text(type));
    *c->out[0] = *c->in[0];
    c->out[0]->data = NULL;
    return ERR_OK;
}

enum err_code unary_eval(const struct op_call *c, struct err *e)
{
    (void)e;
    double a, b;
    unary_params(c->node, &a, &b);
    enum op_kind kind = c->node->op->kind;
    int64_t count = tensor_count(c->out[0]);
    for (int64_t i = 0; i < count; i++)
        tensor_set_real(c->out[0], i, unary_value(kind, tensor_real(c->in[0], i), a, b));
    return ERR_OK;
}

static double binary_value(enum op_kind kind, double x, double y)
{
    switch (kind) {
    case OP_ADD:
        return x + y;
    case OP_SUB:
        return x - y;
    case OP_MUL:
        return x * y;
    case OP_DIV:
        return x / y;
    case OP_POW:
        return pow(x, y);
    case OP_MIN:
        return x < y || isnan(x) ? x : y;
    case OP_MAX:
        return x > y || isnan(x) ? x : y;
    case OP_EQUAL:
        return x == y;
    case OP_LESS:
        return x < y;
    case OP_GREATER:
        return x > y;
    case OP_PRELU:
        return x < 0 ? x * y : x;
    default:
        return x;
    }
}

/* Wraps like the type does instead of being undefined. */
static int64_t binary_int(enum op_kind kind, int64_t x, int64_t y)
{
    switch (kind) {
    case OP_ADD:
        return (int64_t)((uint64_t)x + (uint64_t)y);
    case OP_SUB:
        return (int64_t)((uint64_t)x - (uint64_t)y);
    case OP_MUL:
        return (int64_t)((uint64_t)x * (uint64_t)y);
    case OP_DIV:
        return y == 0 ? 0 : y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y;
    case OP_MIN:
        return x < y ? x : y;
    case OP_MAX:
        return x > y ? x : y;
    case OP_EQUAL:
        return x == y;
    case OP_LESS:
        return x < y;
    case OP_GREATER:
        return x > y;
    case OP_PRELU:
        return x < 0 ? (int64_t)((uint64_t)x * (uint64_t)y) : x;
    default:
        return x;
    }
}

static bool is_comparison(enum op_kind kind)
{
    return kind == OP_EQUAL || kind == OP_LESS || kind == OP_GREATER;
}

enum err_code binary_infer(const struct op_call *c, struct err *e)
{
    const struct tensor *a = c->in[0], *b = c->in[1];
    enum op_kind kind = c->node->op->kind;
    if (a->type != b->type && kind != OP_POW)
        return op_refuse(c, e, ERR_ONNX_GRAPH, "its inputs are %s and %s",
                         tensor_type_text(a->type), tensor_type_text(b->type));
    if (a->type == TENSOR_F16 || (a->type == TENSOR_BOOL && kind != OP_EQUAL))
        return op_refuse(c, e, ERR_ONNX_OPERATOR, "element type %s is not supported",
                         tensor_type_text(a->type));
    if (!broadcast_shape(a, b, c->out[0]) ||
        (kind == OP_PRELU && !tensor_same_shape(a, c->out[0]))) {
        char ta[TENSOR_TEXT], tb[TENSOR_TEXT];
        return op_refuse(c, e, ERR_ONNX_GRAPH, "shapes %s and %s do not fit", tensor_text(a, ta),
                         tensor_text(b, tb));
    }
    c->out[0]->type = is_comparison(kind) ? TENSOR_BOOL : a->type;
    return ERR_OK;
}

enum err_code binary_eval(const struct op_call *c, struct err *e)
{
    (void)e;
    enum op_kind kind = c->node->op->kind;
    const struct tensor *a = c->in[0], *b = c->in[1];
    struct tensor *out = c->out[0];
    bool whole = !tensor_is_float(a->type) && !tensor_is_float(b->type) && kind != OP_POW;
    struct walk w;
    walk_init(&w, out);
    walk_add(&w, a);
    walk_add(&w, b);
    if (!w.left)
        return ERR_OK;
    int64_t i = 0;
    do {
        if (whole)
            tensor_set_int(out, i,
                           binary_int(kind, tensor_int(a, w.at[0]), tensor_int(b, w.at[1])));
        else
            tensor_set_real(out, i,
                            binary_value(kind, tensor_real(a, w.at[0]), tensor_real(b, w.at[1])));
        i++;
    } while (walk_next(&w));
    return ERR_OK;
}

/* Min and Max take any number of operands. */
enum err_code extreme_infer(const struct op_call *c, struct err *e)
{
    struct tensor so_far = *c->in[0];
    for (int i = 1; i < c->node->in_count; i++) {
        struct tensor both = { 0 };
        if (!c->in[i] || c->in[i]->type != so_far.type ||
            !broadcast_shape(&so_far, c->in[i], &both))
            return op_refuse(c, e, ERR_ONNX_GRAPH, "input %d does not fit those before", i);
        so_far.rank = both.rank;
        memcpy(so_far.dims, both.dims, sizeof so_far.dims);
    }
    if (so_far.type == TENSOR_BOOL)
        return op_refuse(c, e, ERR_ONNX_OPERATOR, "element type %s is not supported",
                         tensor_type_text(so_far.type));
    *c->out[0] = so_far;
    c->out[0]->data = NULL;
    return ERR_OK;
}

enum err_code extreme_eval(const struct op_call *c, struct err *e)
{
    (void)e;
    enum op_kind kind = c->node->op->kind;
    struct tensor *out = c->out[0];
    bool real = tensor_is_float(out->type);
    for (int k = 0; k < c->node->in_count; k++) {
        const struct tensor *in = c->in[k];
        struct walk w;
        walk_init(&w, out);
        walk_add(&w, in);
        if (!w.left)
            return ERR_OK;
        int64_t i = 0;
        do {
            if (real)
                tensor_set_real(
                    out, i,
                    k ? binary_value(kind, tensor_real(out, i), tensor_real(in, w.at[0]))
                      : tensor_real(in, w.at[0]));
            else
                tensor_set_int(out, i,
                               k ? binary_int(kind, tensor_int(out, i), tensor_int(in, w.at[0]))
                                 : tensor_int(in, w.at[0]));
            i++;
        } while (walk_next(&w));
    }
    return ERR_OK;
}

enum err_code where_infer(const struct op_call *c, struct err *e)
{
    struct tensor both = { 0 };
    if (c->in[0]->type != TENSOR_BOOL || c->in[1]->type != c->in[2]->type)
        return op_refuse(c, e, ERR_ONNX_GRAPH, "types %s, %s, %s do not fit",
                         tensor_type_text(c->in[0]->type), tensor_type_text(c->in[1]->type),
                         tensor_type_text(c->in[2]->type));
    if (!broadcast_shape(c->in[1], c->in[2], &both) || !broadcast_shape(c->in[0], &both, c->out[0]))
        return op_refuse(c, e, ERR_ONNX_GRAPH, "its shapes do not fit");
    c->out[0]->type = c->in[1]->type;
    return ERR_OK;
}

enum err_code where_eval(const struct op_call *c, struct err *e)
{
    (void)e;
    size_t size = tensor_type_size(c->out[0]->type);
    struct walk w;
    walk_init(&w, c->out[0]);
    for (int i = 0; i < 3; i++)
        walk_add(&w, c->in[i]);
    if (!w.left)
        return ERR_OK;
    char *out = c->out[0]->data;
    do {
        int from = ((const uint8_t *)c->in[0]->data)[w.at[0]] ? 1 : 2;
        memcpy(out, (const char *)c->in[from]->data + (size_t)w.at[from] * size, size);
        out += size;
    } while (walk_next(&w));
    return ERR_OK;
}

bool clip_bounds(const struct op_call *c, double *ret_low, double *ret_high)
{
    *ret_low = -INFINITY;
    *ret_high = INFINITY;
    if (c->graph->opset < 11) {
        *ret_low = (double)node_float(c->node, "min", -INFINITY);
        *ret_high = (double)node_float(c->node, "max", INFINITY);
        return true;
    }
    for (int i = 1; i < c->node->in_count; i++) {
        if (!c->in[i])
            continue;
        if (!c->in[i]->data || tensor_count(c->in[i]) != 1)
            return false;
        *(i == 1 ? ret_low : ret_high) = tensor_real(c->in[i], 0);
    }
    return true;
}

enum err_code clip_infer(const struct op_call *c, struct err *e)
{
    if (c->in[0]->type == TENSOR_F16 || c->in[0]->type == TENSOR_BOOL)
        return op_refuse(c, e, ERR_ONNX_OPERATOR, "element type %s is not supported",
                         tensor_type_text(c->in[0]->type));
    for (int i = 1; i < c->node->in_count; i++)
        if (c->in[i] && (c->in[i]->type != c->in[0]->type || tensor_count(c->in[i]) != 1))
            return op_refuse(c, e, ERR_ONNX_GRAPH, "a bound is not one number of type %s",
                             tensor_type_text(c->in[0]->type));
    *c->out[0] = *c->in[0];
    c->out[0]->data = NULL;
    return ERR_OK;
}

enum err_code clip_eval(const struct op_call *c, struct err *e)
{
    double low, high;
    if (!clip_bounds(c, &low, &high))
        return op_refuse(c, e, ERR_ONNX_OPERATOR, "its bounds are not known");
    int64_t count = tensor_count(c->out[0]);
    for (int64_t i = 0; i < count; i++) {
        double x = tensor_real(c->in[0], i);
        double y = x < low ? low : x;
        y = y > high ? high : y;
        if (y == x && !tensor_is_float(c->out[0]->type)) /* whole numbers past 2^53 stay exact */
            tensor_set_int(c->out[0], i, tensor_int(c->in[0], i));
        else
            tensor_set_real(c->out[0], i, y);
    }
    return ERR_OK;
}
