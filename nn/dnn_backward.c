#include "nn/dnn_backward.h"

#include "nn/dnn_parts.h"

struct geometry {
    dnnl_dims_t stride, gap, low, high; /* oneDNN counts the gaps, ONNX the steps */
};

static void read_geometry(const struct dnn_conv *c, struct geometry *g)
{
    dnn_copy_dims(g->stride, c->stride, c->spatial, 0);
    dnn_copy_dims(g->gap, c->dilation, c->spatial, 1);
    dnn_copy_dims(g->low, c->low, c->spatial, 0);
    dnn_copy_dims(g->high, c->high, c->spatial, 0);
}

/* Backward descriptors are made with the forward one as a hint. */
static dnnl_status_t forward_desc(struct dnn_engine *d, const struct dnn_conv *c,
                                  const struct geometry *g, dnnl_primitive_desc_t *ret)
{
#if DNN_3
    return dnnl_convolution_forward_primitive_desc_create(
        ret, d->engine, dnnl_forward_training, dnnl_convolution_direct, MD(c->src), MD(c->weight),
        NULL, MD(c->dst), g->stride, g->gap, g->low, g->high, NULL);
#else
    dnnl_convolution_desc_t op;
    dnnl_status_t s = dnnl_dilated_convolution_forward_desc_init(
        &op, dnnl_forward_training, dnnl_convolution_direct, MD(c->src), MD(c->weight), NULL,
        MD(c->dst), g->stride, g->gap, g->low, g->high);
    return s == dnnl_success ? dnnl_primitive_desc_create(ret, &op, NULL, d->engine, NULL) : s;
#endif
}

static dnnl_status_t backward_desc(struct dnn_engine *d, const struct dnn_conv *c, bool weight,
                                   const struct geometry *g, dnnl_primitive_desc_t hint,
                                   dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *ret)
{
#if DNN_3
    return weight ? dnnl_convolution_backward_weights_primitive_desc_create(
                        ret, d->engine, dnnl_convolution_direct, MD(c->src), MD(c->weight), NULL,
                        MD(c->dst), g->stride, g->gap, g->low, g->high, hint, attr)
                  : dnnl_convolution_backward_data_primitive_desc_create(
                        ret, d->engine, dnnl_convolution_direct, MD(c->src), MD(c->weight),
                        MD(c->dst), g->stride, g->gap, g->low, g->high, hint, attr);
#else
    dnnl_convolution_desc_t op;
    dnnl_status_t s = weight ? dnnl_dilated_convolution_backward_weights_desc_init(
                                   &op, dnnl_convolution_direct, MD(c->src), MD(c->weight), NULL,
                                   MD(c->dst), g->stride, g->gap, g->low, g->high)
                             : dnnl_dilated_convolution_backward_data_desc_init(
                                   &op, dnnl_convolution_direct, MD(c->src), MD(c->weight),
                                   MD(c->dst), g->stride, g->gap, g->low, g->high);
    return s == dnnl_success ? dnnl_primitive_desc_create(ret, &op, attr, d->engine, hint) : s;
#endif
}

static enum err_code backward_new(struct dnn_engine *d, const struct dnn_conv *c, bool weight,
                                  const char *what, struct dnn_primitive **ret, struct err *e)
{
    struct geometry g;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t hint = NULL, desc = NULL;
    read_geometry(c, &g);
    dnnl_status_t s = dnnl_primitive_attr_create(&attr);
    if (s == dnnl_success)
        s = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (s == dnnl_success)
        s = forward_desc(d, c, &g, &hint);
    if (s == dnnl_success)
        s = backward_desc(d, c, weight, &g, hint, attr, &desc);
    if (hint)
        dnnl_primitive_desc_destroy(hint);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return dnn_finish(s, desc, what, ret, e);
}

enum err_code dnn_conv_backward_data_new(struct dnn_engine *d, const struct dnn_conv *c,
                                         struct dnn_primitive **ret, struct err *e)
{
    return backward_new(d, c, false, "backward convolution", ret, e);
}

enum err_code dnn_conv_backward_weight_new(struct dnn_engine *d, const struct dnn_conv *c,
                                           struct dnn_primitive **ret, struct err *e)
{
    return backward_new(d, c, true, "convolution's weight gradient", ret, e);
}
