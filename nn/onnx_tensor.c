#include "nn/onnx_tensor.h"

#include "data/base/cleanup.h"
#include "nn/onnx.h"
#include "nn/onnx_wire.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static enum err_code read_shape(const Onnx__TensorProto *p, const char *what, struct tensor *ret,
                                struct err *e)
{
    struct tensor t = { .type = (enum tensor_type)p->data_type };
    if (!tensor_type_size(t.type))
        return err_set(e, ERR_ONNX_OPERATOR,
                       "%s has element type %" PRId32 ", which is not supported", what,
                       p->data_type);
    if (p->n_dims > TENSOR_RANK_MAX)
        return err_set(e, ERR_ONNX_LIMIT, "%s has %zu dimensions, the limit is %d", what, p->n_dims,
                       TENSOR_RANK_MAX);
    t.rank = (int)p->n_dims;
    for (int i = 0; i < t.rank; i++) {
        t.dims[i] = p->dims[i];
        if (t.dims[i] < 0)
            return err_set(e, ERR_ONNX_GRAPH, "%s has dimension %" PRId64, what, t.dims[i]);
    }
    if (!tensor_check(&t))
        return err_set(e, ERR_ONNX_LIMIT, "%s is larger than the limit of %d bytes", what,
                       TENSOR_BYTES_MAX);
    *ret = t;
    return ERR_OK;
}

/* Which of the typed lists holds numbers of this type. */
static const void *typed_data(const Onnx__TensorProto *p, enum tensor_type type, size_t *ret_count,
                              enum tensor_type *ret_type)
{
    switch (type) {
    case TENSOR_F32:
        *ret_count = p->n_float_data;
        *ret_type = TENSOR_F32;
        return p->float_data;
    case TENSOR_F64:
        *ret_count = p->n_double_data;
        *ret_type = TENSOR_F64;
        return p->double_data;
    case TENSOR_I64:
        *ret_count = p->n_int64_data;
        *ret_type = TENSOR_I64;
        return p->int64_data;
    case TENSOR_U32:
    case TENSOR_U64:
        *ret_count = p->n_uint64_data;
        *ret_type = TENSOR_U64;
        return p->uint64_data;
    default:
        *ret_count = p->n_int32_data;
        *ret_type = TENSOR_I32;
        return p->int32_data;
    }
}

static enum err_code read_typed(const Onnx__TensorProto *p, const char *what, struct tensor *t,
                                struct err *e)
{
    struct tensor list = { .rank = 1 };
    size_t count;
    list.data = (void *)typed_data(p, t->type, &count, &list.type);
    if (count != (size_t)tensor_count(t))
        return err_set(e, ERR_ONNX_GRAPH, "%s holds %zu numbers, its shape asks for %" PRId64, what,
                       count, tensor_count(t));
    enum err_code r = tensor_alloc(t, e);
    if (r)
        return r;
    if (t->type == list.type && count)
        memcpy(t->data, list.data, tensor_bytes(t));
    else if (t->type == TENSOR_F16) /* the bits, in an integer's low half */
        for (size_t i = 0; i < count; i++)
            ((uint16_t *)t->data)[i] = (uint16_t)((const int32_t *)list.data)[i];
    else
        for (size_t i = 0; i < count; i++)
            tensor_set_int(t, (int64_t)i, tensor_int(&list, (int64_t)i));
    return ERR_OK;
}

enum err_code onnx_tensor(Onnx__TensorProto *p, const char *what, struct tensor *ret, struct err *e)
{
    if (p->n_external_data || p->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
        return err_set(e, ERR_ONNX_GRAPH, "%s keeps its numbers outside the file", what);
    if (p->segment)
        return err_set(e, ERR_ONNX_GRAPH, "%s is only a segment of a tensor", what);
    struct tensor t;
    enum err_code r = read_shape(p, what, &t, e);
    if (r)
        return r;
    if (!p->has_raw_data) {
        r = read_typed(p, what, &t, e);
    } else if (p->raw_data.len != tensor_bytes(&t)) {
        r = err_set(e, ERR_ONNX_GRAPH, "%s holds %zu bytes, its shape asks for %zu", what,
                    p->raw_data.len, tensor_bytes(&t));
    } else if (p->raw_data.len == 0) {
        r = tensor_alloc(&t, e);
    } else {
        t.data = STEAL(p->raw_data.data);
        p->raw_data.len = 0;
    }
    if (!r)
        *ret = t;
    return r;
}

enum err_code onnx_read_tensor(const void *bytes, size_t len, struct tensor *ret, struct err *e)
{
    enum err_code r = wire_check(&onnx__tensor_proto__descriptor, bytes, len, e);
    if (r)
        return r;
    struct wire_allocator allocator;
    wire_allocator_init(&allocator, len * 16 + 65536);
    Onnx__TensorProto *p = onnx__tensor_proto__unpack(&allocator.base, len, bytes);
    if (!p)
        return err_set(e, ERR_ONNX_SYNTAX, "not a TensorProto");
    r = onnx_tensor(p, "tensor", ret, e);
    onnx__tensor_proto__free_unpacked(p, &allocator.base);
    return r;
}
