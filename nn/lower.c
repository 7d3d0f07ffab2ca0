/* Which oneDNN operation a node is. A form that oneDNN lacks stays STEP_PLAIN. */
#include "nn/lower.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "no memory to lower a node");
}

static bool constant_f32(const struct tensor *t)
{
    return t && t->data && t->type == TENSOR_F32;
}

static void add_unary(struct step *p, enum dnn_unary kind, double alpha, double beta)
{
    p->kind = STEP_UNARY;
    p->posts[p->post_count++] = (struct step_post){
        .kind = POST_UNARY, .unary = kind, .alpha = (float)alpha, .beta = (float)beta
    };
}

static void lower_clip(struct step *p, const struct op_call *c)
{
    double low, high;
    if (!clip_bounds(c, &low, &high) || low > high)
        return;
    lower_inputs(p, c->node, 1);
    if (low == 0 && high > (double)FLT_MAX)
        add_unary(p, DNN_RELU, 0, 0);
    else
        add_unary(p, DNN_CLIP, fmax(low, -(double)FLT_MAX), fmin(high, (double)FLT_MAX));
}

static void lower_unary(struct step *p, const struct op_call *c)
{
    double a, b;
    unary_params(c->node, &a, &b);
    switch (c->node->op->kind) {
    case OP_RELU:
    case OP_LEAKY_RELU:
        add_unary(p, DNN_RELU, a, 0);
        break;
    case OP_ELU:
        add_unary(p, DNN_ELU, a, 0);
        break;
    case OP_SIGMOID:
        add_unary(p, DNN_LOGISTIC, 0, 0);
        break;
    case OP_HARD_SIGMOID:
        add_unary(p, DNN_LINEAR, a, b);
        add_unary(p, DNN_CLIP, 0, 1);
        break;
    case OP_HARD_SWISH:
        add_unary(p, DNN_HARD_SWISH, 0, 0);
        break;
    case OP_TANH:
        add_unary(p, DNN_TANH, 0, 0);
        break;
    case OP_GELU:
        add_unary(p, a != 0 ? DNN_GELU_TANH : DNN_GELU_ERF, 0, 0);
        break;
    case OP_SQRT:
        add_unary(p, DNN_SQRT, 0, 0);
        break;
    case OP_EXP:
        add_unary(p, DNN_EXP, 0, 0);
        break;
    case OP_LOG:
        add_unary(p, DNN_LOG, 0, 0);
        break;
    case OP_ABS:
        add_unary(p, DNN_ABS, 0, 0);
        break;
    case OP_NEG:
        add_unary(p, DNN_LINEAR, -1, 0);
        break;
    case OP_RECIPROCAL:
        add_unary(p, DNN_POW, 1, -1);
        break;
    default:
        return;
    }
    lower_inputs(p, c->node, 1);
}

/* x op number, or number op x, as a function of x. */
static bool lower_scalar(struct step *p, const struct op_call *c, int which)
{
    const struct tensor *t = c->in[which], *x = c->in[!which];
    if (!constant_f32(t) || tensor_count(t) != 1 || !tensor_same_shape(x, c->out[0]))
        return false;
    double k = tensor_real(t, 0);
    switch (c->node->op->kind) {
    case OP_ADD:
        add_unary(p, DNN_LINEAR, 1, k);
        break;
    case OP_SUB:
        add_unary(p, DNN_LINEAR, which ? 1 : -1, which ? -k : k);
        break;
    case OP_MUL:
        add_unary(p, DNN_LINEAR, k, 0);
        break;
    case OP_DIV:
        if (which)
            add_unary(p, DNN_LINEAR, 1 / k, 0);
        else
            add_unary(p, DNN_POW, k, -1);
        break;
    case OP_POW:
        if (!which)
            return false;
        add_unary(p, DNN_POW, 1, k);
        break;
    case OP_PRELU:
        if (!which)
            return false;
        add_unary(p, DNN_RELU, k, 0);
        break;
    default:
        return false;
    }
    p->in[0] = c->node->in[!which];
    p->in_count = 1;
    return true;
}

static void lower_binary(struct step *p, const struct op_call *c)
{
    if (c->node->in_count != 2)
        return;
    if (lower_scalar(p, c, 1) || lower_scalar(p, c, 0))
        return;
    switch (c->node->op->kind) {
    case OP_ADD:
        p->binary = DNN_ADD;
        break;
    case OP_SUB:
        p->binary = DNN_SUB;
        break;
    case OP_MUL:
        p->binary = DNN_MUL;
        break;
    case OP_DIV:
        p->binary = DNN_DIV;
        break;
    case OP_MIN:
        p->binary = DNN_MIN;
        break;
    case OP_MAX:
        p->binary = DNN_MAX;
        break;
    case OP_PRELU:
        p->binary = DNN_PRELU;
        break;
    default:
        return;
    }
    /* oneDNN broadcasts the second operand only. */
    bool first = tensor_same_shape(c->in[0], c->out[0]);
    bool second = tensor_same_shape(c->in[1], c->out[0]);
    bool commutes = p->binary != DNN_SUB && p->binary != DNN_DIV && p->binary != DNN_PRELU;
    if (!first && !second)
        return;
    lower_inputs(p, c->node, 2);
    if (!first || (commutes && second && c->in[0]->data)) {
        p->in[0] = c->node->in[1];
        p->in[1] = c->node->in[0];
    }
    p->kind = STEP_BINARY;
    /* a - b = -(b - a), a / b = 1 / (b / a) */
    if (!first && !commutes)
        p->posts[p->post_count++] = (struct step_post){
            .kind = POST_UNARY,
            .unary = p->binary == DNN_SUB ? DNN_LINEAR : DNN_POW,
            .alpha = p->binary == DNN_SUB ? -1.0f : 1.0f,
            .beta = p->binary == DNN_SUB ? 0.0f : -1.0f,
        };
}

static enum err_code lower_conv(struct step *p, const struct op_call *c, struct err *e)
{
    const struct tensor *w = c->in[1], *b = c->node->in_count > 2 ? c->in[2] : NULL;
    if (!constant_f32(w) || (b && !constant_f32(b)))
        return ERR_OK;
    enum err_code r = window_init(&p->window, c, w->dims + 2, e);
    if (r)
        return r;
    p->kind = STEP_CONV;
    p->group = node_int(c->node, "group", 1);
    p->weight.data = w->data;
    p->bias.data = b ? b->data : NULL;
    lower_inputs(p, c->node, 1);
    return ERR_OK;
}

static void lower_norm(struct step *p, const struct op_call *c)
{
    for (int i = 1; i < 5; i++)
        if (!constant_f32(c->in[i]))
            return;
    if (c->in[0]->rank > 5)
        return;
    p->kind = STEP_NORM;
    p->scale = c->in[1]->data;
    p->shift = c->in[2]->data;
    p->mean = c->in[3]->data;
    p->variance = c->in[4]->data;
    p->epsilon = node_float(c->node, "epsilon", 1e-5f);
    lower_inputs(p, c->node, 1);
}

/* weight as [width][depth], times alpha. */
static enum err_code set_inner_weight(struct step *p, const struct tensor *w, bool transposed,
                                      float alpha, struct err *e)
{
    const float *from = w->data;
    p->weight.data = from;
    if (transposed && alpha == 1.0f)
        return ERR_OK;
    float *to = malloc(tensor_bytes(w) + 1);
    if (!to)
        return no_memory(e);
    for (int64_t i = 0; i < p->width; i++)
        for (int64_t k = 0; k < p->depth; k++)
            to[i * p->depth + k] =
                alpha * (transposed ? from[i * p->depth + k] : from[k * p->width + i]);
    p->weight.data = p->weight.owned = to;
    return ERR_OK;
}

static enum err_code lower_gemm(struct step *p, const struct op_call *c, struct err *e)
{
    const struct tensor *w = c->in[1], *b = c->node->in_count > 2 ? c->in[2] : NULL;
    if (!constant_f32(w) || (b && !constant_f32(b)) || node_int(c->node, "transA", 0) ||
        !tensor_count(c->out[0]))
        return ERR_OK;
    p->rows = c->out[0]->dims[0];
    p->width = c->out[0]->dims[1];
    p->depth = c->in[0]->dims[1];
    if (!p->depth || (b && b->rank == 2 && b->dims[0] != 1))
        return ERR_OK;
    enum err_code r = set_inner_weight(p, w, node_int(c->node, "transB", 0) != 0,
                                       node_float(c->node, "alpha", 1), e);
    if (r)
        return r;
    if (b) {
        float beta = node_float(c->node, "beta", 1);
        p->bias.data = p->bias.owned = malloc((size_t)p->width * sizeof(float));
        if (!p->bias.owned)
            return no_memory(e);
        for (int64_t i = 0; i < p->width; i++)
            p->bias.owned[i] = beta * ((const float *)b->data)[tensor_count(b) == 1 ? 0 : i];
    }
    p->kind = STEP_INNER;
    lower_inputs(p, c->node, 1);
    return ERR_OK;
}

static enum err_code lower_matmul(struct step *p, const struct op_call *c, struct err *e)
{
    const struct tensor *a = c->in[0], *b = c->in[1];
    if (!tensor_count(a) || !tensor_count(b) || a->rank < 2 || b->rank < 2)
        return ERR_OK;
    if (constant_f32(b) && b->rank == 2) {
        p->rows = tensor_span(a, 0, a->rank - 1);
        p->depth = b->dims[0];
        p->width = b->dims[1];
        p->kind = STEP_INNER;
        lower_inputs(p, c->node, 1);
        return set_inner_weight(p, b, false, 1, e);
    }
    p->kind = STEP_MATMUL;
    lower_inputs(p, c->node, 2);
    return ERR_OK;
}

static enum err_code lower_pool(struct step *p, const struct op_call *c, struct err *e)
{
    if (c->node->out_count > 1 && c->out[1])
        return ERR_OK;
    enum err_code r = window_init(&p->window, c, NULL, e);
    if (r)
        return r;
    bool is_max = c->node->op->kind == OP_MAX_POOL;
    bool all = node_int(c->node, "count_include_pad", 0) != 0;
    for (int d = 0; d < p->window.spatial; d++) {
        int64_t excess = window_excess(&p->window, d);
        int64_t extent = (p->window.kernel[d] - 1) * p->window.dilation[d] + 1;
        if ((excess && all && !is_max) || p->window.low[d] >= extent ||
            p->window.high[d] + excess >= extent)
            return ERR_OK;
        p->window.high[d] += excess;
    }
    p->kind = STEP_POOL;
    p->pool_kind = is_max ? DNN_POOL_MAX : all ? DNN_POOL_MEAN_ALL : DNN_POOL_MEAN_INSIDE;
    lower_inputs(p, c->node, 1);
    return ERR_OK;
}

/* Over every dim behind the channels. */
static void lower_global_pool(struct step *p, const struct op_call *c, enum dnn_pool_kind kind)
{
    const struct tensor *x = c->in[0];
    if (x->rank < 3 || x->rank > 5)
        return;
    p->window.spatial = x->rank - 2;
    for (int d = 0; d < x->rank - 2; d++) {
        p->window.in[d] = p->window.kernel[d] = x->dims[2 + d];
        p->window.out[d] = p->window.stride[d] = p->window.dilation[d] = 1;
    }
    p->kind = STEP_POOL;
    p->pool_kind = kind;
    lower_inputs(p, c->node, 1);
}

static enum err_code lower_mean(struct step *p, const struct op_call *c, struct err *e)
{
    const struct tensor *x = c->in[0];
    int64_t axes[TENSOR_RANK_MAX];
    int count, mask = 0;
    enum err_code r = op_ints(c, "axes", 1, axes, TENSOR_RANK_MAX, &count, e);
    if (r || x->rank != 4 || count != 2)
        return r;
    for (int i = 0; i < count; i++) {
        int d;
        mask |= op_axis(axes[i], x->rank, &d) ? 1 << d : 0;
    }
    if (mask == (1 << 2 | 1 << 3))
        lower_global_pool(p, c, DNN_POOL_MEAN_INSIDE);
    return ERR_OK;
}

static void lower_softmax(struct step *p, const struct op_call *c)
{
    const struct tensor *x = c->in[0];
    int axis;
    bool to_end;
    if (!softmax_axis(c, &axis, &to_end) || !tensor_count(x) || axis == x->rank)
        return;
    p->kind = STEP_SOFTMAX;
    p->log = c->node->op->kind == OP_LOG_SOFTMAX;
    p->rows = tensor_span(x, 0, axis);
    p->depth = to_end ? tensor_span(x, axis, x->rank) : x->dims[axis];
    p->width = to_end ? 1 : tensor_span(x, axis + 1, x->rank);
    lower_inputs(p, c->node, 1);
}

static void lower_layer_norm(struct step *p, const struct op_call *c)
{
    const struct tensor *x = c->in[0], *scale = c->in[1];
    const struct tensor *shift = c->node->in_count > 2 ? c->in[2] : NULL;
    int axis;
    if (!constant_f32(scale) || !constant_f32(shift) ||
        !op_axis(node_int(c->node, "axis", -1), x->rank, &axis) || !tensor_count(x))
        return;
    for (int i = 1; i < c->node->out_count; i++)
        if (c->out[i])
            return;
    p->depth = tensor_span(x, axis, x->rank);
    if (tensor_count(scale) != p->depth || tensor_count(shift) != p->depth)
        return;
    p->kind = STEP_LAYER_NORM;
    p->rows = tensor_span(x, 0, axis);
    p->scale = scale->data;
    p->shift = shift->data;
    p->epsilon = node_float(c->node, "epsilon", 1e-5f);
    lower_inputs(p, c->node, 1);
}

static void lower_lrn(struct step *p, const struct op_call *c)
{
    int64_t size = node_int(c->node, "size", 1);
    if (size % 2 == 0 || c->in[0]->rank != 4)
        return;
    p->kind = STEP_LRN;
    p->depth = size;
    p->alpha = node_float(c->node, "alpha", 1e-4f);
    p->beta = node_float(c->node, "beta", 0.75f);
    p->k = node_float(c->node, "bias", 1);
    lower_inputs(p, c->node, 1);
}

enum err_code steps_lower(struct steps *s, const struct op_call *c, struct step *p, struct err *e)
{
    (void)s;
    lower_inputs(p, c->node, c->node->in_count);
    for (int i = 0; i < c->node->in_count; i++)
        if (c->in[i] && !tensor_count(c->in[i]))
            return ERR_OK;
    enum op_kind kind = c->node->op->kind;
    if (kind == OP_FLATTEN || kind == OP_RESHAPE || kind == OP_SQUEEZE || kind == OP_UNSQUEEZE ||
        kind == OP_IDENTITY || (kind == OP_DROPOUT && (c->node->out_count < 2 || !c->out[1])) ||
        (kind == OP_CAST && c->in[0]->type == c->out[0]->type)) {
        p->kind = STEP_VIEW;
        lower_inputs(p, c->node, 1);
        return ERR_OK;
    }
    if (c->out[0]->type != TENSOR_F32 || c->in[0]->type != TENSOR_F32)
        return ERR_OK;
    switch (kind) {
    case OP_CONV:
        return lower_conv(p, c, e);
    case OP_BATCH_NORM:
        lower_norm(p, c);
        return ERR_OK;
    case OP_GEMM:
        return lower_gemm(p, c, e);
    case OP_MATMUL:
        return lower_matmul(p, c, e);
    case OP_CLIP:
        lower_clip(p, c);
        return ERR_OK;
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_DIV:
    case OP_POW:
    case OP_MIN:
    case OP_MAX:
    case OP_PRELU:
        lower_binary(p, c);
        return ERR_OK;
    case OP_MAX_POOL:
    case OP_AVERAGE_POOL:
        return lower_pool(p, c, e);
    case OP_GLOBAL_AVERAGE_POOL:
        lower_global_pool(p, c, DNN_POOL_MEAN_INSIDE);
        return ERR_OK;
    case OP_GLOBAL_MAX_POOL:
        lower_global_pool(p, c, DNN_POOL_MAX);
        return ERR_OK;
    case OP_REDUCE_MEAN:
        return lower_mean(p, c, e);
    case OP_SOFTMAX:
    case OP_LOG_SOFTMAX:
        lower_softmax(p, c);
        return ERR_OK;
    case OP_LAYER_NORM:
        lower_layer_norm(p, c);
        return ERR_OK;
    case OP_LRN:
        lower_lrn(p, c);
        return ERR_OK;
    case OP_CONCAT:
        p->kind = c->node->in_count == 1 ? STEP_VIEW : STEP_CONCAT;
        op_axis(node_int(c->node, "axis", 0), c->out[0]->rank, &p->axis);
        return ERR_OK;
    case OP_TRANSPOSE:
        if (c->in[0]->rank <= 6 && c->in[0]->rank > 0)
            p->kind = STEP_TRANSPOSE;
        return ERR_OK;
    case OP_SLICE:
        return tensor_count(c->out[0]) ? lower_slice(p, c, e) : ERR_OK;
    case OP_PAD:
        return lower_pad(p, c, e);
    case OP_SPLIT:
        lower_split(p, c);
        return ERR_OK;
    default:
        lower_unary(p, c);
        return ERR_OK;
    }
}
