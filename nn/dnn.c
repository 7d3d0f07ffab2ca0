/* Primitives, memories and calls: one table of operations, each written for oneDNN 2.6 and for 3.x
 * side by side (dnn_parts.h says what differs). */
#include "nn/dnn_parts.h"

#include <stdlib.h>
#include <string.h>

static enum err_code failed(struct err *e, const char *what, dnnl_status_t status)
{
    if (status == dnnl_out_of_memory)
        return err_set(e, ERR_NOMEM, "no memory for a %s primitive", what);
    return err_set(e, ERR_DNN, "oneDNN refused a %s primitive: status %d", what, (int)status);
}

/* ---- primitives ---- */

static dnnl_alg_kind_t unary_alg(enum dnn_unary kind)
{
    switch (kind) {
    case DNN_RELU:
        return dnnl_eltwise_relu;
    case DNN_ELU:
        return dnnl_eltwise_elu;
    case DNN_CLIP:
        return dnnl_eltwise_clip;
    case DNN_LOGISTIC:
        return dnnl_eltwise_logistic;
    case DNN_TANH:
        return dnnl_eltwise_tanh;
    case DNN_SQRT:
        return dnnl_eltwise_sqrt;
    case DNN_EXP:
        return dnnl_eltwise_exp;
    case DNN_LOG:
        return dnnl_eltwise_log;
    case DNN_ABS:
        return dnnl_eltwise_abs;
    case DNN_LINEAR:
        return dnnl_eltwise_linear;
    case DNN_GELU_ERF:
        return dnnl_eltwise_gelu_erf;
    case DNN_GELU_TANH:
        return dnnl_eltwise_gelu_tanh;
    case DNN_HARD_SWISH:
        return dnnl_eltwise_hardswish;
    case DNN_SWISH:
        return dnnl_eltwise_swish;
    case DNN_POW:
        return dnnl_eltwise_pow;
    }
    return dnnl_alg_kind_undef;
}

static dnnl_alg_kind_t binary_alg(enum dnn_binary kind)
{
    switch (kind) {
    case DNN_ADD:
        return dnnl_binary_add;
    case DNN_SUB:
        return dnnl_binary_sub;
    case DNN_MUL:
        return dnnl_binary_mul;
    case DNN_DIV:
        return dnnl_binary_div;
    case DNN_MIN:
        return dnnl_binary_min;
    case DNN_MAX:
        return dnnl_binary_max;
    case DNN_PRELU:
        break;
    }
    return dnnl_alg_kind_undef;
}

/* 3.x takes the slope and offset of the hard sigmoid within; 2.x has them fixed. */
static float unary_alpha(enum dnn_unary kind, float alpha)
{
    return kind == DNN_HARD_SWISH ? 1.0f / 6 : alpha;
}

static float unary_beta(enum dnn_unary kind, float beta)
{
    return kind == DNN_HARD_SWISH ? 0.5f : beta;
}

static dnnl_data_type_t sum_type(enum dnn_type type)
{
    return type == DNN_U8 ? dnnl_u8 : type == DNN_S8 ? dnnl_s8 : dnnl_data_type_undef;
}

static dnnl_status_t append_post(dnnl_post_ops_t ops, const struct dnn_post *p)
{
    float alpha = unary_alpha(p->unary, p->alpha), beta = unary_beta(p->unary, p->beta);
    switch (p->kind) {
    case DNN_POST_SUM:
#if DNN_3
        return dnnl_post_ops_append_sum(ops, p->scale == 0 ? 1 : p->scale, 0, sum_type(p->type));
#else
        return dnnl_post_ops_append_sum_v2(ops, p->scale == 0 ? 1 : p->scale, sum_type(p->type));
#endif
    case DNN_POST_BINARY:
        return dnnl_post_ops_append_binary(ops, binary_alg(p->binary), MD(p->with));
    case DNN_POST_UNARY:
        break;
    }
#if DNN_3
    return dnnl_post_ops_append_eltwise(ops, unary_alg(p->unary), alpha, beta);
#else
    return dnnl_post_ops_append_eltwise(ops, 1.0f, unary_alg(p->unary), alpha, beta);
#endif
}

/* Factors of a result: 2.x takes the numbers here, 3.x only what they are of. */
struct factors {
    const float *data; /* NULL: none */
    /* The last two are of a convolution, whose weights may have a dim for the group. */
    enum { FACTORS_ALL, FACTORS_EACH, FACTORS_WEIGHTS, FACTORS_GROUPED } of;
    int64_t count;
};

static dnnl_status_t set_factors(dnnl_primitive_attr_t attr, const struct factors *f)
{
    if (!f || !f->data)
        return dnnl_success;
#if DNN_3
    static const int masks[] = { 0, 1 << 1, 1 << 0, 1 << 0 | 1 << 1 };
    int arg = f->of == FACTORS_ALL || f->of == FACTORS_EACH ? DNNL_ARG_SRC : DNNL_ARG_WEIGHTS;
    return dnnl_primitive_attr_set_scales_mask(attr, arg, masks[f->of]);
#else
    int mask = f->of == FACTORS_ALL ? 0 : 1 << 1; /* dim 1 of the destination */
    return dnnl_primitive_attr_set_output_scales(attr, f->count, mask, f->data);
#endif
}

static dnnl_status_t make_attr(const struct dnn_posts *posts, const struct factors *factors,
                               dnnl_primitive_attr_t *ret)
{
    dnnl_primitive_attr_t attr;
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t s = dnnl_primitive_attr_create(&attr);
    if (s != dnnl_success)
        return s;
    s = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (s == dnnl_success)
        s = set_factors(attr, factors);
    if (s == dnnl_success && posts && posts->count) {
        s = dnnl_post_ops_create(&ops);
        for (int i = 0; i < posts->count && s == dnnl_success; i++)
            s = append_post(ops, &posts->post[i]);
        if (s == dnnl_success)
            s = dnnl_primitive_attr_set_post_ops(attr, ops);
        if (ops)
            dnnl_post_ops_destroy(ops);
    }
    if (s == dnnl_success)
        *ret = attr;
    else
        dnnl_primitive_attr_destroy(attr);
    return s;
}

enum err_code dnn_finish(dnnl_status_t status, dnnl_primitive_desc_t desc, const char *what,
                         struct dnn_primitive **ret, struct err *e)
{
    if (status != dnnl_success)
        return failed(e, what, status);
    struct dnn_primitive *p = calloc(1, sizeof *p);
    if (!p) {
        dnnl_primitive_desc_destroy(desc);
        return err_set(e, ERR_NOMEM, "no memory for a %s primitive", what);
    }
    status = dnnl_primitive_create(&p->primitive, desc);
    if (status != dnnl_success) {
        dnnl_primitive_desc_destroy(desc);
        free(p);
        return failed(e, what, status);
    }
    p->desc = desc;
    p->what = what;
    *ret = p;
    return ERR_OK;
}

/* call is the 3.x function's call with attr and desc; init fills op in 2.x. */
#if DNN_3
#define MAKE(what, posts, factors, type, init, call)                                               \
    do {                                                                                           \
        dnnl_primitive_attr_t attr;                                                                \
        dnnl_primitive_desc_t desc = NULL;                                                         \
        dnnl_status_t s = make_attr(posts, factors, &attr);                                        \
        if (s != dnnl_success)                                                                     \
            return failed(e, what, s);                                                             \
        s = call;                                                                                  \
        dnnl_primitive_attr_destroy(attr);                                                         \
        return dnn_finish(s, desc, what, ret, e);                                                  \
    } while (0)
#else
#define MAKE(what, posts, factors, type, init, call)                                               \
    do {                                                                                           \
        dnnl_primitive_attr_t attr;                                                                \
        dnnl_primitive_desc_t desc = NULL;                                                         \
        type op;                                                                                   \
        dnnl_status_t s = make_attr(posts, factors, &attr);                                        \
        if (s != dnnl_success)                                                                     \
            return failed(e, what, s);                                                             \
        s = init;                                                                                  \
        if (s == dnnl_success)                                                                     \
            s = dnnl_primitive_desc_create(&desc, &op, attr, d->engine, NULL);                     \
        dnnl_primitive_attr_destroy(attr);                                                         \
        return dnn_finish(s, desc, what, ret, e);                                                  \
    } while (0)
#endif

enum err_code dnn_conv_new(struct dnn_engine *d, const struct dnn_conv *c,
                           struct dnn_primitive **ret, struct err *e)
{
    dnnl_dims_t stride, gap, low, high; /* oneDNN counts the gaps, ONNX the steps */
    dnn_copy_dims(stride, c->stride, c->spatial, 0);
    dnn_copy_dims(gap, c->dilation, c->spatial, 1);
    dnn_copy_dims(low, c->low, c->spatial, 0);
    dnn_copy_dims(high, c->high, c->spatial, 0);
    const struct factors factors = { c->scales, c->grouped ? FACTORS_GROUPED : FACTORS_WEIGHTS,
                                     c->scale_count };
    dnnl_alg_kind_t alg = c->winograd ? dnnl_convolution_winograd : dnnl_convolution_direct;
    MAKE("convolution", &c->posts, &factors, dnnl_convolution_desc_t,
         dnnl_dilated_convolution_forward_desc_init(&op, dnnl_forward_inference, alg, MD(c->src),
                                                    MD(c->weight), MD(c->bias), MD(c->dst), stride,
                                                    gap, low, high),
         dnnl_convolution_forward_primitive_desc_create(&desc, d->engine, dnnl_forward_inference,
                                                        alg, MD(c->src), MD(c->weight), MD(c->bias),
                                                        MD(c->dst), stride, gap, low, high, attr));
}

enum err_code dnn_pool_new(struct dnn_engine *d, const struct dnn_pool *p,
                           struct dnn_primitive **ret, struct err *e)
{
    dnnl_alg_kind_t alg = p->kind == DNN_POOL_MAX           ? dnnl_pooling_max
                          : p->kind == DNN_POOL_MEAN_INSIDE ? dnnl_pooling_avg_exclude_padding
                                                            : dnnl_pooling_avg_include_padding;
    dnnl_dims_t kernel, stride, gap, low, high;
    dnn_copy_dims(kernel, p->kernel, p->spatial, 0);
    dnn_copy_dims(stride, p->stride, p->spatial, 0);
    dnn_copy_dims(gap, p->dilation, p->spatial, 1);
    dnn_copy_dims(low, p->low, p->spatial, 0);
    dnn_copy_dims(high, p->high, p->spatial, 0);
    MAKE("pooling", NULL, NULL, dnnl_pooling_v2_desc_t,
         dnnl_pooling_v2_forward_desc_init(&op, dnnl_forward_inference, alg, MD(p->src), MD(p->dst),
                                           stride, kernel, gap, low, high),
         dnnl_pooling_forward_primitive_desc_create(&desc, d->engine, dnnl_forward_inference, alg,
                                                    MD(p->src), MD(p->dst), stride, kernel, gap,
                                                    low, high, attr));
}

enum err_code dnn_inner_new(struct dnn_engine *d, const struct dnn_layout *src,
                            const struct dnn_layout *weight, const struct dnn_layout *bias,
                            const struct dnn_layout *dst, const struct dnn_posts *posts,
                            struct dnn_primitive **ret, struct err *e)
{
    MAKE("inner product", posts, NULL, dnnl_inner_product_desc_t,
         dnnl_inner_product_forward_desc_init(&op, dnnl_forward_inference, MD(src), MD(weight),
                                              MD(bias), MD(dst)),
         dnnl_inner_product_forward_primitive_desc_create(&desc, d->engine, dnnl_forward_inference,
                                                          MD(src), MD(weight), MD(bias), MD(dst),
                                                          attr));
}

enum err_code dnn_matmul_new(struct dnn_engine *d, const struct dnn_layout *a,
                             const struct dnn_layout *b, const struct dnn_layout *dst,
                             const struct dnn_posts *posts, struct dnn_primitive **ret,
                             struct err *e)
{
    MAKE("matrix product", posts, NULL, dnnl_matmul_desc_t,
         dnnl_matmul_desc_init(&op, MD(a), MD(b), NULL, MD(dst)),
         dnnl_matmul_primitive_desc_create(&desc, d->engine, MD(a), MD(b), NULL, MD(dst), attr));
}

enum err_code dnn_norm_new(struct dnn_engine *d, const struct dnn_layout *data, float epsilon,
                           bool relu, struct dnn_primitive **ret, struct err *e)
{
    unsigned flags = dnnl_use_global_stats | dnnl_use_scale | dnnl_use_shift;
    struct dnn_posts posts = { 0 };
    if (relu)
        posts = (struct dnn_posts){ 1, { { .kind = DNN_POST_UNARY, .unary = DNN_RELU } } };
    MAKE("normalisation", &posts, NULL, dnnl_batch_normalization_desc_t,
         dnnl_batch_normalization_forward_desc_init(&op, dnnl_forward_inference, MD(data), epsilon,
                                                    flags),
         dnnl_batch_normalization_forward_primitive_desc_create(
             &desc, d->engine, dnnl_forward_inference, MD(data), MD(data), epsilon, flags, attr));
}

enum err_code dnn_layer_norm_new(struct dnn_engine *d, const struct dnn_layout *data, float epsilon,
                                 struct dnn_primitive **ret, struct err *e)
{
    unsigned flags = dnnl_use_scale | dnnl_use_shift;
    MAKE("layer normalisation", NULL, NULL, dnnl_layer_normalization_desc_t,
         dnnl_layer_normalization_forward_desc_init(&op, dnnl_forward_inference, MD(data), NULL,
                                                    epsilon, flags),
         dnnl_layer_normalization_forward_primitive_desc_create(
             &desc, d->engine, dnnl_forward_inference, MD(data), MD(data), NULL, epsilon, flags,
             attr));
}

enum err_code dnn_unary_new(struct dnn_engine *d, const struct dnn_layout *data,
                            enum dnn_unary kind, float alpha, float beta,
                            struct dnn_primitive **ret, struct err *e)
{
    alpha = unary_alpha(kind, alpha);
    beta = unary_beta(kind, beta);
    MAKE("element-wise", NULL, NULL, dnnl_eltwise_desc_t,
         dnnl_eltwise_forward_desc_init(&op, dnnl_forward_inference, unary_alg(kind), MD(data),
                                        alpha, beta),
         dnnl_eltwise_forward_primitive_desc_create(&desc, d->engine, dnnl_forward_inference,
                                                    unary_alg(kind), MD(data), MD(data), alpha,
                                                    beta, attr));
}

static enum err_code prelu_new(struct dnn_engine *d, const struct dnn_layout *a,
                               const struct dnn_layout *slope, const struct dnn_layout *dst,
                               struct dnn_primitive **ret, struct err *e)
{
    (void)dst; /* 2.x takes a's */
    MAKE("slope below nought", NULL, NULL, dnnl_prelu_desc_t,
         dnnl_prelu_forward_desc_init(&op, dnnl_forward_inference, MD(a), MD(slope)),
         dnnl_prelu_forward_primitive_desc_create(&desc, d->engine, dnnl_forward_inference, MD(a),
                                                  MD(slope), MD(dst), attr));
}

enum err_code dnn_binary_new(struct dnn_engine *d, enum dnn_binary kind, const struct dnn_layout *a,
                             const struct dnn_layout *b, const struct dnn_layout *dst,
                             const struct dnn_posts *posts, struct dnn_primitive **ret,
                             struct err *e)
{
    if (kind == DNN_PRELU)
        return prelu_new(d, a, b, dst, ret, e);
    MAKE("binary", posts, NULL, dnnl_binary_desc_t,
         dnnl_binary_desc_init(&op, binary_alg(kind), MD(a), MD(b), MD(dst)),
         dnnl_binary_primitive_desc_create(&desc, d->engine, binary_alg(kind), MD(a), MD(b),
                                           MD(dst), attr));
}

enum err_code dnn_softmax_new(struct dnn_engine *d, const struct dnn_layout *data, int axis,
                              bool log, struct dnn_primitive **ret, struct err *e)
{
    dnnl_alg_kind_t alg = log ? dnnl_softmax_log : dnnl_softmax_accurate;
    MAKE("softmax", NULL, NULL, dnnl_softmax_v2_desc_t,
         dnnl_softmax_v2_forward_desc_init(&op, dnnl_forward_inference, alg, MD(data), MD(data),
                                           axis),
         dnnl_softmax_forward_primitive_desc_create(&desc, d->engine, dnnl_forward_inference, alg,
                                                    MD(data), MD(data), axis, attr));
}

enum err_code dnn_lrn_new(struct dnn_engine *d, const struct dnn_layout *data, int64_t size,
                          float alpha, float beta, float k, struct dnn_primitive **ret,
                          struct err *e)
{
    MAKE("response normalisation", NULL, NULL, dnnl_lrn_desc_t,
         dnnl_lrn_forward_desc_init(&op, dnnl_forward_inference, dnnl_lrn_across_channels, MD(data),
                                    size, alpha, beta, k),
         dnnl_lrn_forward_primitive_desc_create(&desc, d->engine, dnnl_forward_inference,
                                                dnnl_lrn_across_channels, MD(data), MD(data), size,
                                                alpha, beta, k, attr));
}

enum err_code dnn_concat_new(struct dnn_engine *d, const struct dnn_layout *const *src, int count,
                             int axis, const struct dnn_layout *dst, struct dnn_primitive **ret,
                             struct err *e)
{
    dnnl_primitive_attr_t attr;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_memory_desc_t *list = calloc((size_t)count, sizeof *list);
    if (!list)
        return err_set(e, ERR_NOMEM, "no memory for a concat primitive");
    for (int i = 0; i < count; i++)
        list[i] = src[i]->md;
    dnnl_status_t s = make_attr(NULL, NULL, &attr);
    if (s == dnnl_success) {
#if DNN_3
        s = dnnl_concat_primitive_desc_create(&desc, d->engine, MD(dst), count, axis,
                                              (const_dnnl_memory_desc_t *)list, attr);
#else
        s = dnnl_concat_primitive_desc_create(&desc, MD(dst), count, axis, list, attr, d->engine);
#endif
        dnnl_primitive_attr_destroy(attr);
    }
    free(list);
    return dnn_finish(s, desc, "concat", ret, e);
}

bool dnn_concat_reads_gaps(void)
{
    return !DNN_3;
}

enum err_code dnn_reorder_new(struct dnn_engine *d, const struct dnn_layout *src,
                              const struct dnn_layout *dst, const float *scales,
                              int64_t scale_count, struct dnn_primitive **ret, struct err *e)
{
    dnnl_primitive_attr_t attr;
    dnnl_primitive_desc_t desc = NULL;
    const struct factors factors = { scales, scale_count == 1 ? FACTORS_ALL : FACTORS_EACH,
                                     scale_count };
    dnnl_status_t s = make_attr(NULL, &factors, &attr);
    if (s == dnnl_success) {
        s = dnnl_reorder_primitive_desc_create(&desc, MD(src), d->engine, MD(dst), d->engine, attr);
        dnnl_primitive_attr_destroy(attr);
    }
    return dnn_finish(s, desc, "reorder", ret, e);
}

bool dnn_scales_are_arguments(void)
{
    return DNN_3;
}

float dnn_conv_bias(float bias, float scale)
{
    return DNN_3 ? bias : bias / scale;
}

int dnn_weight_max(void)
{
    switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41:
    case dnnl_cpu_isa_avx:
    case dnnl_cpu_isa_avx2:
    case dnnl_cpu_isa_avx512_core:
        return 64;
    default:
        return INT8_MAX;
    }
}

void dnn_primitive_free(struct dnn_primitive *p)
{
    if (!p)
        return;
    dnnl_primitive_destroy(p->primitive);
    dnnl_primitive_desc_destroy(p->desc);
    free(p);
}

struct dnn_layout *dnn_primitive_layout(const struct dnn_primitive *p, enum dnn_role role)
{
    switch (role) {
    case DNN_SRC:
        return dnn_layout_of(dnnl_primitive_desc_query_md(p->desc, dnnl_query_src_md, 0));
    case DNN_SRC1:
        return dnn_layout_of(dnnl_primitive_desc_query_md(p->desc, dnnl_query_src_md, 1));
    case DNN_WEIGHT:
        return dnn_layout_of(dnnl_primitive_desc_query_md(p->desc, dnnl_query_weights_md, 0));
    case DNN_BIAS:
        return dnn_layout_of(dnnl_primitive_desc_query_md(p->desc, dnnl_query_weights_md, 1));
    case DNN_DST:
        return dnn_layout_of(dnnl_primitive_desc_query_md(p->desc, dnnl_query_dst_md, 0));
    case DNN_DIFF_WEIGHT:
        return dnn_layout_of(dnnl_primitive_desc_query_md(p->desc, dnnl_query_diff_weights_md, 0));
    case DNN_SCRATCHPAD:
        return dnn_layout_of(dnnl_primitive_desc_query_md(p->desc, dnnl_query_scratchpad_md, 0));
    default:
        return NULL;
    }
}

size_t dnn_primitive_scratchpad(const struct dnn_primitive *p)
{
    return dnnl_memory_desc_get_size(
        dnnl_primitive_desc_query_md(p->desc, dnnl_query_scratchpad_md, 0));
}

const char *dnn_primitive_text(const struct dnn_primitive *p)
{
    const char *text = NULL;
    dnnl_primitive_desc_query(p->desc, dnnl_query_impl_info_str, 0, &text);
    return text ? text : "";
}

const char *dnn_primitive_kind(const struct dnn_primitive *p)
{
    return p->what;
}

/* ---- memories and calls ---- */

enum err_code dnn_memory_new(struct dnn_engine *d, const struct dnn_layout *l, void *data,
                             struct dnn_memory **ret, struct err *e)
{
    struct dnn_memory *m = calloc(1, sizeof *m);
    if (!m)
        return err_set(e, ERR_NOMEM, "no memory for a memory object");
    /* Made without an address first: with one, 2.x writes zeros into the padding there and then,
     * which may be another value's at the moment. */
    dnnl_status_t s = dnnl_memory_create(&m->memory, MD(l), d->engine, DNNL_MEMORY_NONE);
    if (s == dnnl_success && data)
        s = dnnl_memory_set_data_handle(m->memory, data);
    if (s != dnnl_success) {
        dnn_memory_free(m);
        return failed(e, "memory", s);
    }
    *ret = m;
    return ERR_OK;
}

void dnn_memory_free(struct dnn_memory *m)
{
    if (!m)
        return;
    if (m->memory)
        dnnl_memory_destroy(m->memory);
    free(m);
}

enum err_code dnn_memory_point(struct dnn_memory *m, void *data, struct err *e)
{
    dnnl_status_t s = dnnl_memory_set_data_handle(m->memory, data);
    return s == dnnl_success ? ERR_OK : failed(e, "memory", s);
}

enum err_code dnn_call_new(struct dnn_engine *d, const struct dnn_primitive *p, int args,
                           struct dnn_call **ret, struct err *e)
{
    struct dnn_call *c = calloc(1, sizeof *c + (size_t)args * sizeof c->args[0]);
    if (!c)
        return err_set(e, ERR_NOMEM, "no memory for a call");
    c->primitive = p->primitive;
    c->count = args;
    dnnl_status_t s = dnnl_stream_create(&c->stream, d->engine, dnnl_stream_default_flags);
    if (s != dnnl_success) {
        free(c);
        return failed(e, "stream", s);
    }
    *ret = c;
    return ERR_OK;
}

void dnn_call_free(struct dnn_call *c)
{
    if (!c)
        return;
    dnnl_stream_destroy(c->stream);
    free(c);
}

static int arg_of(int role)
{
    static const int args[] = {
        DNNL_ARG_SRC,
        DNNL_ARG_SRC_1,
        DNNL_ARG_WEIGHTS,
        DNNL_ARG_BIAS,
        DNNL_ARG_DST,
        DNNL_ARG_SCALE,
        DNNL_ARG_SHIFT,
        DNNL_ARG_MEAN,
        DNNL_ARG_VARIANCE,
        DNNL_ARG_SCRATCHPAD,
        DNNL_ARG_DIFF_SRC,
        DNNL_ARG_DIFF_WEIGHTS,
        DNNL_ARG_DIFF_DST,
#if DNN_3
        DNNL_ARG_ATTR_SCALES | DNNL_ARG_SRC,
        DNNL_ARG_ATTR_SCALES | DNNL_ARG_WEIGHTS
#endif
    };
    if (role < DNN_POST_FIRST)
        return args[role];
    if (role < DNN_SRC_FIRST)
        return DNNL_ARG_ATTR_MULTIPLE_POST_OP(role - DNN_POST_FIRST) | DNNL_ARG_SRC_1;
    return DNNL_ARG_MULTIPLE_SRC + role - DNN_SRC_FIRST;
}

void dnn_call_set(struct dnn_call *c, int index, int role, struct dnn_memory *m)
{
    c->args[index] = (dnnl_exec_arg_t){ arg_of(role), m->memory };
}

enum err_code dnn_call_run(const struct dnn_call *c, struct err *e)
{
    dnnl_status_t s = dnnl_primitive_execute(c->primitive, c->stream, c->count, c->args);
    return s == dnnl_success ? ERR_OK : failed(e, "running", s);
}
