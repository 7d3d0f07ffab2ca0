/* Operators between element types. */
#include "nn/ops.h"

#include <math.h>

enum err_code cast_infer(const struct op_call *c, struct err *e)
{
    enum tensor_type to = (enum tensor_type)node_int(c->node, "to", 0);
    if (!tensor_type_size(to))
        return op_refuse(c, e, ERR_ONNX_OPERATOR, "element type %d is not supported", (int)to);
    *c->out[0] = *c->in[0];
    c->out[0]->data = NULL;
    c->out[0]->type = to;
    return ERR_OK;
}

enum err_code cast_eval(const struct op_call *c, struct err *e)
{
    (void)e;
    int64_t count = tensor_count(c->out[0]);
    bool whole = !tensor_is_float(c->in[0]->type) && c->out[0]->type != TENSOR_U64;
    for (int64_t i = 0; i < count; i++)
        if (whole)
            tensor_set_int(c->out[0], i, tensor_int(c->in[0], i));
        else
            tensor_set_real(c->out[0], i, tensor_real(c->in[0], i));
    return ERR_OK;
}

/* The scale is one number, or one for each entry of the axis. */
static enum err_code check_scale(const struct op_call *c, enum tensor_type quantized, struct err *e)
{
    const struct tensor *x = c->in[0], *scale = c->in[1];
    const struct tensor *zero = c->node->in_count > 2 ? c->in[2] : NULL;
    int axis;
    bool one = scale->rank == 0 || (scale->rank == 1 && scale->dims[0] == 1);
    if (scale->type != TENSOR_F32 || (zero && zero->type != quantized))
        return op_refuse(c, e, ERR_ONNX_OPERATOR, "the types of its scale and zero do not fit");
    if (zero && tensor_count(zero) != tensor_count(scale))
        return op_refuse(c, e, ERR_ONNX_GRAPH, "its scale and zero do not fit each other");
    if (!one && (scale->rank != 1 || !op_axis(node_int(c->node, "axis", 1), x->rank, &axis) ||
                 x->dims[axis] != scale->dims[0]))
        return op_refuse(c, e, ERR_ONNX_GRAPH, "its scale does not fit the input");
    *c->out[0] = *x;
    c->out[0]->data = NULL;
    return ERR_OK;
}

struct scales {
    const struct tensor *scale, *zero;
    int64_t inner, count;
};

static struct scales scales_of(const struct op_call *c)
{
    struct scales s = { c->in[1], c->node->in_count > 2 ? c->in[2] : NULL, 1, 1 };
    int axis;
    if (tensor_count(s.scale) > 1 && op_axis(node_int(c->node, "axis", 1), c->in[0]->rank, &axis)) {
        s.count = s.scale->dims[0];
        s.inner = tensor_span(c->in[0], axis + 1, c->in[0]->rank);
    }
    return s;
}

enum err_code quantize_infer(const struct op_call *c, struct err *e)
{
    const struct tensor *zero = c->node->in_count > 2 ? c->in[2] : NULL;
    enum tensor_type to = zero ? zero->type : TENSOR_U8;
    if ((to != TENSOR_U8 && to != TENSOR_I8) ||
        (c->in[0]->type != TENSOR_F32 && c->in[0]->type != TENSOR_I32))
        return op_refuse(c, e, ERR_ONNX_OPERATOR, "%s to %s is not supported",
                         tensor_type_text(c->in[0]->type), tensor_type_text(to));
    enum err_code r = check_scale(c, to, e);
    if (!r)
        c->out[0]->type = to;
    return r;
}

enum err_code quantize_eval(const struct op_call *c, struct err *e)
{
    (void)e;
    struct scales s = scales_of(c);
    bool is_signed = c->out[0]->type == TENSOR_I8;
    int64_t count = tensor_count(c->out[0]);
    for (int64_t i = 0; i < count; i++) {
        int64_t k = i / s.inner % s.count;
        double zero = s.zero ? tensor_real(s.zero, k) : 0;
        double q = rint(tensor_real(c->in[0], i) / tensor_real(s.scale, k)) + zero;
        tensor_set_real(c->out[0], i, fmin(is_signed ? 127 : 255, fmax(is_signed ? -128 : 0, q)));
    }
    return ERR_OK;
}

enum err_code dequantize_infer(const struct op_call *c, struct err *e)
{
    enum tensor_type from = c->in[0]->type;
    if (from != TENSOR_U8 && from != TENSOR_I8 && from != TENSOR_I32)
        return op_refuse(c, e, ERR_ONNX_OPERATOR, "element type %s is not supported",
                         tensor_type_text(from));
    enum err_code r = check_scale(c, from, e);
    if (!r)
        c->out[0]->type = TENSOR_F32;
    return r;
}

enum err_code dequantize_eval(const struct op_call *c, struct err *e)
{
    (void)e;
    struct scales s = scales_of(c);
    int64_t count = tensor_count(c->out[0]);
    for (int64_t i = 0; i < count; i++) {
        int64_t k = i / s.inner % s.count;
        double zero = s.zero ? tensor_real(s.zero, k) : 0;
        tensor_set_real(c->out[0], i, (tensor_real(c->in[0], i) - zero) * tensor_real(s.scale, k));
    }
    return ERR_OK;
}
