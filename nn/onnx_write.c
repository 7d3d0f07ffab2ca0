#include "nn/onnx.h"

#include "nn/ops.h"

#include "onnx.pb-c.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Initialisers outside of the inputs need IR version 4, operator set 13 says 7. */
enum { IR_VERSION_MIN = 7 };

/* All messages of one file, freed together. Once an allocation has failed every later one is
 * NULL, and failed says so: the caller asks once, at the end. */
struct block {
    struct block *next;
    max_align_t data[];
};
struct arena {
    struct block *blocks;
    bool failed;
};

static void *take(struct arena *a, size_t count, size_t size)
{
    struct block *b = a->failed ? NULL : calloc(1, sizeof *b + (count ? count : 1) * size);
    if (!b) {
        a->failed = true;
        return NULL;
    }
    b->next = a->blocks;
    a->blocks = b;
    return b->data;
}

static void arena_fini(struct arena *a)
{
    while (a->blocks) {
        struct block *next = a->blocks->next;
        free(a->blocks);
        a->blocks = next;
    }
}

/* The messages point into the graph; nothing is written to through them. */
#define NEW(a, ret, init)                                                                          \
    do {                                                                                           \
        (ret) = take((a), 1, sizeof *(ret));                                                       \
        if (ret)                                                                                   \
            init(ret);                                                                             \
    } while (0)

static Onnx__TensorProto *tensor_proto(struct arena *a, const char *name, const struct tensor *t)
{
    Onnx__TensorProto *p;
    NEW(a, p, onnx__tensor_proto__init);
    if (!p)
        return NULL;
    p->name = (char *)name;
    p->has_data_type = 1;
    p->data_type = (int32_t)t->type;
    p->n_dims = (size_t)t->rank;
    p->dims = (int64_t *)t->dims;
    p->has_raw_data = 1;
    p->raw_data = (ProtobufCBinaryData){ tensor_bytes(t), t->data };
    return p;
}

static Onnx__AttributeProto *attr_proto(struct arena *a, const struct attr *from)
{
    Onnx__AttributeProto *p;
    NEW(a, p, onnx__attribute_proto__init);
    if (!p)
        return NULL;
    p->name = from->name;
    p->has_type = 1;
    p->type = (Onnx__AttributeProto__AttributeType)from->kind;
    switch (from->kind) {
    case ATTR_FLOAT:
        p->has_f = 1;
        p->f = from->f;
        break;
    case ATTR_INT:
        p->has_i = 1;
        p->i = from->i;
        break;
    case ATTR_STRING:
        p->has_s = 1;
        p->s = (ProtobufCBinaryData){ strlen(from->s), (uint8_t *)from->s };
        break;
    case ATTR_TENSOR:
        p->t = tensor_proto(a, NULL, &from->t);
        break;
    case ATTR_FLOATS:
        p->n_floats = from->count;
        p->floats = from->floats;
        break;
    case ATTR_INTS:
        p->n_ints = from->count;
        p->ints = from->ints;
        break;
    }
    return p;
}

static char **names_of(struct arena *a, const struct graph *g, const int *values, int count)
{
    char **names = take(a, (size_t)count, sizeof *names);
    for (int i = 0; i < count && names; i++)
        names[i] = values[i] >= 0 ? g->values[values[i]].name : (char *)"";
    return names;
}

static Onnx__NodeProto *node_proto(struct arena *a, const struct graph *g, const struct node *n)
{
    Onnx__NodeProto *p;
    NEW(a, p, onnx__node_proto__init);
    if (!p)
        return NULL;
    p->op_type = (char *)n->op->name;
    p->name = n->name[0] ? n->name : NULL;
    p->n_input = (size_t)n->in_count;
    p->input = names_of(a, g, n->in, n->in_count);
    p->n_output = (size_t)n->out_count;
    p->output = names_of(a, g, n->out, n->out_count);
    p->n_attribute = n->attr_count;
    p->attribute = take(a, n->attr_count, sizeof *p->attribute);
    for (size_t i = 0; i < n->attr_count && p->attribute; i++)
        p->attribute[i] = attr_proto(a, &n->attrs[i]);
    return p;
}

static Onnx__NodeProto *tail_proto(struct arena *a, const struct onnx_node *n)
{
    Onnx__NodeProto *p;
    NEW(a, p, onnx__node_proto__init);
    if (!p)
        return NULL;
    p->op_type = (char *)n->op;
    p->name = (char *)n->name;
    p->input = (char **)n->in;
    while (p->n_input < sizeof n->in / sizeof n->in[0] && n->in[p->n_input])
        p->n_input++;
    p->n_output = 1;
    p->output = (char **)&n->out;
    if (!n->attr_name)
        return p;
    p->n_attribute = 1;
    p->attribute = take(a, 1, sizeof *p->attribute);
    Onnx__AttributeProto *attr;
    NEW(a, attr, onnx__attribute_proto__init);
    if (!p->attribute || !attr)
        return NULL;
    attr->name = (char *)n->attr_name;
    attr->has_type = attr->has_i = 1;
    attr->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
    attr->i = n->attr;
    p->attribute[0] = attr;
    return p;
}

/* A dim of -1 is written as N. */
static Onnx__ValueInfoProto *value_proto(struct arena *a, const char *name, const struct tensor *t)
{
    Onnx__ValueInfoProto *p;
    Onnx__TypeProto *type;
    Onnx__TypeProto__Tensor *tensor;
    Onnx__TensorShapeProto *shape;
    NEW(a, p, onnx__value_info_proto__init);
    NEW(a, type, onnx__type_proto__init);
    NEW(a, tensor, onnx__type_proto__tensor__init);
    NEW(a, shape, onnx__tensor_shape_proto__init);
    if (!p || !type || !tensor || !shape)
        return NULL;
    p->name = (char *)name;
    p->type = type;
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    tensor->has_elem_type = 1;
    tensor->elem_type = (int32_t)t->type;
    tensor->shape = shape;
    shape->n_dim = (size_t)t->rank;
    shape->dim = take(a, shape->n_dim, sizeof *shape->dim);
    for (int i = 0; i < t->rank && shape->dim; i++) {
        Onnx__TensorShapeProto__Dimension *d;
        NEW(a, d, onnx__tensor_shape_proto__dimension__init);
        if (!d)
            return NULL;
        shape->dim[i] = d;
        if (t->dims[i] < 0) {
            d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            d->dim_param = (char *)"N";
        } else {
            d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            d->dim_value = t->dims[i];
        }
    }
    return p;
}

static void add_initialisers(struct arena *a, const struct graph *g, const bool *keep,
                             const struct onnx_tail *tail, Onnx__GraphProto *p)
{
    p->initializer = take(a, (size_t)g->value_count + tail->constant_count, sizeof *p->initializer);
    bool *used = take(a, (size_t)g->value_count, sizeof *used);
    if (!p->initializer || !used)
        return;
    for (int i = 0; i < g->node_count; i++)
        for (int j = 0; keep[i] && j < g->nodes[i].in_count; j++)
            if (g->nodes[i].in[j] >= 0)
                used[g->nodes[i].in[j]] = true;
    for (int v = 0; v < g->value_count; v++)
        if (used[v] && g->values[v].constant.data)
            p->initializer[p->n_initializer++] =
                tensor_proto(a, g->values[v].name, &g->values[v].constant);
    for (size_t i = 0; i < tail->constant_count; i++) {
        const struct onnx_constant *c = &tail->constants[i];
        struct tensor *t = take(a, 1, sizeof *t);
        if (!t)
            return;
        *t = (struct tensor){ .type = TENSOR_F32, .rank = c->rank, .data = (float *)c->data };
        t->dims[0] = c->dims[0];
        t->dims[1] = c->dims[1];
        p->initializer[p->n_initializer++] = tensor_proto(a, c->name, t);
    }
}

static Onnx__GraphProto *graph_proto(struct arena *a, const struct graph *g, const bool *keep,
                                     const struct onnx_tail *tail)
{
    Onnx__GraphProto *p;
    NEW(a, p, onnx__graph_proto__init);
    if (!p)
        return NULL;
    p->name = (char *)"kennel";
    p->node = take(a, (size_t)g->node_count + tail->node_count, sizeof *p->node);
    p->input = take(a, (size_t)g->input_count, sizeof *p->input);
    p->output = take(a, 1, sizeof *p->output);
    if (!p->node || !p->input || !p->output)
        return NULL;
    for (int i = 0; i < g->node_count; i++)
        if (keep[i])
            p->node[p->n_node++] = node_proto(a, g, &g->nodes[i]);
    for (size_t i = 0; i < tail->node_count; i++)
        p->node[p->n_node++] = tail_proto(a, &tail->nodes[i]);
    add_initialisers(a, g, keep, tail, p);
    for (; p->n_input < (size_t)g->input_count; p->n_input++)
        p->input[p->n_input] =
            value_proto(a, g->values[g->inputs[p->n_input]].name, &g->input_types[p->n_input]);
    struct tensor out = { .type = TENSOR_F32,
                          .rank = 2,
                          .dims = { g->input_types[0].dims[0], tail->classes } };
    p->output[p->n_output++] = value_proto(a, tail->output, &out);
    return p;
}

static Onnx__ModelProto *model_proto(struct arena *a, const struct graph *g, const bool *keep,
                                     const struct onnx_tail *tail,
                                     const struct network_meta_pair *meta, size_t meta_count)
{
    Onnx__ModelProto *m;
    Onnx__OperatorSetIdProto *opset;
    NEW(a, m, onnx__model_proto__init);
    NEW(a, opset, onnx__operator_set_id_proto__init);
    if (!m || !opset)
        return NULL;
    m->has_ir_version = 1;
    m->ir_version = g->ir_version > IR_VERSION_MIN ? g->ir_version : IR_VERSION_MIN;
    m->producer_name = (char *)"kennel";
    opset->domain = (char *)"";
    opset->has_version = 1;
    opset->version = g->opset;
    m->opset_import = take(a, 1, sizeof *m->opset_import);
    m->metadata_props = take(a, meta_count, sizeof *m->metadata_props);
    if (!m->opset_import || !m->metadata_props)
        return NULL;
    m->opset_import[m->n_opset_import++] = opset;
    for (size_t i = 0; i < meta_count; i++) {
        Onnx__StringStringEntryProto *pair;
        NEW(a, pair, onnx__string_string_entry_proto__init);
        if (!pair)
            return NULL;
        pair->key = (char *)meta[i].key;
        pair->value = (char *)meta[i].value;
        m->metadata_props[m->n_metadata_props++] = pair;
    }
    m->graph = graph_proto(a, g, keep, tail);
    return m;
}

enum err_code onnx_write(const struct graph *g, const bool *keep, const struct onnx_tail *tail,
                         const struct network_meta_pair *meta, size_t meta_count, struct buf *ret,
                         struct err *e)
{
    struct arena a = { 0 };
    enum err_code r;
    Onnx__ModelProto *m = model_proto(&a, g, keep, tail, meta, meta_count);
    if (a.failed) {
        r = err_set(e, ERR_NOMEM, "no memory to write the network");
    } else {
        size_t size = onnx__model_proto__get_packed_size(m);
        r = buf_reserve(ret, size, e);
        if (!r) {
            ret->len += onnx__model_proto__pack(m, ret->data + ret->len);
            buf_terminate(ret);
        }
    }
    arena_fini(&a);
    return r;
}
