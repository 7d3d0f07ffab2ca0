#include "nn/onnx.h"

#include "data/base/cleanup.h"
#include "nn/onnx_tensor.h"
#include "nn/onnx_wire.h"
#include "nn/ops.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for the small messages of a file whose weights are few. */
enum { UNPACK_BYTES_BESIDE = 64 << 20, NODE_INPUTS_MAX = 4096, ATTRS_MAX = 64 };

void onnx_meta_fini(struct onnx_meta *m)
{
    for (size_t i = 0; i < m->count; i++) {
        free((char *)m->pairs[i].key);
        free((char *)m->pairs[i].value);
    }
    free(m->pairs);
    *m = (struct onnx_meta){ 0 };
}

static const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "no memory to read the network");
}

static enum err_code read_meta(const Onnx__ModelProto *m, struct onnx_meta *ret, struct err *e)
{
    if (!m->n_metadata_props)
        return ERR_OK;
    ret->pairs = calloc(m->n_metadata_props, sizeof *ret->pairs);
    if (!ret->pairs)
        return no_memory(e);
    for (; ret->count < m->n_metadata_props; ret->count++) {
        const Onnx__StringStringEntryProto *p = m->metadata_props[ret->count];
        char *key = strdup(text_or_empty(p->key)), *value = strdup(text_or_empty(p->value));
        ret->pairs[ret->count] = (struct network_meta_pair){ key, value };
        if (!key || !value) {
            free(key);
            free(value);
            return no_memory(e);
        }
    }
    return ERR_OK;
}

static enum err_code read_opset(const Onnx__ModelProto *m, struct graph *g, struct err *e)
{
    for (size_t i = 0; i < m->n_opset_import; i++) {
        const char *domain = text_or_empty(m->opset_import[i]->domain);
        if (!domain[0] || strcmp(domain, "ai.onnx") == 0)
            g->opset = m->opset_import[i]->version;
    }
    g->ir_version = m->ir_version;
    if (g->opset < ONNX_OPSET_MIN || g->opset > ONNX_OPSET_MAX)
        return err_set(e, ERR_ONNX_OPERATOR, "operator set %" PRId64 " is not one of %d to %d",
                       g->opset, ONNX_OPSET_MIN, ONNX_OPSET_MAX);
    return ERR_OK;
}

static enum err_code read_initialisers(Onnx__GraphProto *p, struct graph *g, struct err *e)
{
    if (p->n_sparse_initializer)
        return err_set(e, ERR_ONNX_OPERATOR, "sparse initialisers are not supported");
    int64_t total = 0;
    for (size_t i = 0; i < p->n_initializer; i++) {
        const char *name = text_or_empty(p->initializer[i]->name);
        char what[160];
        snprintf(what, sizeof what, "initialiser \"%.120s\"", name);
        if (!name[0] || graph_find(g, name) >= 0)
            return err_set(e, ERR_ONNX_GRAPH, "%s stands twice or has no name", what);
        struct tensor t;
        enum err_code r = onnx_tensor(p->initializer[i], what, &t, e);
        if (r)
            return r;
        int v = graph_value(g, name);
        if (v < 0) {
            free(t.data);
            return no_memory(e);
        }
        g->values[v].constant = t;
        total += (int64_t)tensor_bytes(&t);
        if (total > NETWORK_BYTES_MAX)
            return err_set(e, ERR_ONNX_LIMIT, "the initialisers take more than %d bytes",
                           NETWORK_BYTES_MAX);
    }
    return ERR_OK;
}

static enum err_code read_input(const Onnx__ValueInfoProto *p, struct graph *g, struct err *e)
{
    const char *name = text_or_empty(p->name);
    const Onnx__TypeProto__Tensor *type =
        p->type && p->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ? p->type->tensor_type
                                                                              : NULL;
    if (!name[0] || !type || !type->shape || type->shape->n_dim > TENSOR_RANK_MAX)
        return err_set(e, ERR_ONNX_INPUT,
                       "input \"%.120s\" is not a tensor with at most %d dimensions", name,
                       TENSOR_RANK_MAX);
    if (graph_find(g, name) >= 0)
        return err_set(e, ERR_ONNX_GRAPH, "input \"%.120s\" stands twice", name);
    struct tensor t = { .type = (enum tensor_type)type->elem_type,
                        .rank = (int)type->shape->n_dim };
    for (int i = 0; i < t.rank; i++) {
        const Onnx__TensorShapeProto__Dimension *d = type->shape->dim[i];
        t.dims[i] = d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE
                        ? d->dim_value
                        : -1;
    }
    int v = graph_value(g, name);
    if (v < 0)
        return no_memory(e);
    g->inputs[g->input_count] = v;
    g->input_types[g->input_count++] = t;
    return ERR_OK;
}

static enum err_code read_inputs(const Onnx__GraphProto *p, struct graph *g, struct err *e)
{
    g->inputs = calloc(p->n_input + 1, sizeof *g->inputs);
    g->input_types = calloc(p->n_input + 1, sizeof *g->input_types);
    if (!g->inputs || !g->input_types)
        return no_memory(e);
    for (size_t i = 0; i < p->n_input; i++) {
        int v = graph_find(g, text_or_empty(p->input[i]->name));
        if (v >= 0 && g->values[v].constant.data)
            continue; /* files of IR version 3 list initialisers among the inputs */
        enum err_code r = read_input(p->input[i], g, e);
        if (r)
            return r;
    }
    return ERR_OK;
}

static bool known_attr(const struct op *op, const char *name)
{
    size_t len = strlen(name);
    if (!len)
        return false;
    for (const char *at = op->attrs; (at = strstr(at, name)); at += len)
        if ((at == op->attrs || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
            return true;
    return false;
}

static enum err_code read_attr(Onnx__AttributeProto *p, const char *what, struct attr *a,
                               struct err *e)
{
    a->name = strdup(text_or_empty(p->name));
    if (!a->name)
        return no_memory(e);
    a->kind = (enum attr_kind)p->type;
    a->i = p->i;
    a->f = p->f;
    switch (a->kind) {
    case ATTR_FLOAT:
    case ATTR_INT:
        return ERR_OK;
    case ATTR_STRING:
        a->s = strndup(p->has_s && p->s.data ? (const char *)p->s.data : "", p->s.len);
        return a->s ? ERR_OK : no_memory(e);
    case ATTR_TENSOR:
        if (!p->t)
            break;
        return onnx_tensor(p->t, what, &a->t, e);
    case ATTR_FLOATS:
        a->count = p->n_floats;
        a->floats = calloc(a->count + 1, sizeof *a->floats);
        if (!a->floats)
            return no_memory(e);
        if (a->count)
            memcpy(a->floats, p->floats, a->count * sizeof *a->floats);
        return ERR_OK;
    case ATTR_INTS:
        a->count = p->n_ints;
        a->ints = calloc(a->count + 1, sizeof *a->ints);
        if (!a->ints)
            return no_memory(e);
        if (a->count)
            memcpy(a->ints, p->ints, a->count * sizeof *a->ints);
        return ERR_OK;
    }
    return err_set(e, ERR_ONNX_OPERATOR, "%s: attribute \"%.60s\" has a form that is not supported",
                   what, a->name);
}

static enum err_code read_attrs(const Onnx__NodeProto *p, const char *what, struct node *n,
                                struct err *e)
{
    if (p->n_attribute > ATTRS_MAX)
        return err_set(e, ERR_ONNX_LIMIT, "%s has more than %d attributes", what, ATTRS_MAX);
    n->attrs = calloc(p->n_attribute + 1, sizeof *n->attrs);
    if (!n->attrs)
        return no_memory(e);
    for (size_t i = 0; i < p->n_attribute; i++) {
        const char *name = text_or_empty(p->attribute[i]->name);
        if (!known_attr(n->op, name))
            return err_set(e, ERR_ONNX_OPERATOR, "%s: attribute \"%.60s\" is not supported", what,
                           name);
        n->attr_count++;
        enum err_code r = read_attr(p->attribute[i], what, &n->attrs[i], e);
        if (r)
            return r;
    }
    return ERR_OK;
}

static enum err_code read_names(struct graph *g, char **names, size_t count, int **ret,
                                int *ret_count, struct err *e)
{
    *ret = calloc(count + 1, sizeof **ret);
    if (!*ret)
        return no_memory(e);
    for (size_t i = 0; i < count; i++) {
        int v = names[i] && names[i][0] ? graph_value(g, names[i]) : -1;
        if (v < 0 && names[i] && names[i][0])
            return no_memory(e);
        (*ret)[(*ret_count)++] = v;
    }
    return ERR_OK;
}

static enum err_code read_node(const Onnx__NodeProto *p, struct graph *g, struct err *e)
{
    const char *type = text_or_empty(p->op_type), *domain = text_or_empty(p->domain);
    const char *name = p->name && p->name[0]         ? p->name
                       : p->n_output && p->output[0] ? p->output[0]
                                                     : "";
    char what[NODE_TEXT];
    snprintf(what, sizeof what, "node %.60s \"%.120s\"", type, name);
    const struct op *op = op_find(type);
    if (!op || (domain[0] && strcmp(domain, "ai.onnx") != 0))
        return err_set(e, ERR_ONNX_OPERATOR, "%s: operator %.60s%s%.60s is not supported", what,
                       domain, domain[0] ? "." : "", type);
    if (g->opset < op->since)
        return err_set(e, ERR_ONNX_OPERATOR, "%s: operator set %" PRId64 " does not have it", what,
                       g->opset);
    if (p->n_input < (size_t)op->in_min || p->n_input > (size_t)op->in_max || !p->n_output ||
        p->n_output > (size_t)op->out_max || p->n_input > NODE_INPUTS_MAX)
        return err_set(e, ERR_ONNX_GRAPH,
                       "%s has %zu inputs and %zu outputs, which does not fit %s", what, p->n_input,
                       p->n_output, op->name);

    struct node *n = &g->nodes[g->node_count++];
    n->op = op;
    n->name = strdup(text_or_empty(p->name));
    if (!n->name)
        return no_memory(e);
    enum err_code r = read_names(g, p->input, p->n_input, &n->in, &n->in_count, e);
    if (!r)
        r = read_names(g, p->output, p->n_output, &n->out, &n->out_count, e);
    if (r)
        return r;
    for (int i = 0; i < op->in_min; i++)
        if (n->in[i] < 0)
            return err_set(e, ERR_ONNX_GRAPH, "%s: input %d is missing", what, i);
    if (n->out[0] < 0)
        return err_set(e, ERR_ONNX_GRAPH, "%s has no output", what);
    if (g->value_count > ONNX_VALUES_MAX)
        return err_set(e, ERR_ONNX_LIMIT, "more than %d values", ONNX_VALUES_MAX);
    return read_attrs(p, what, n, e);
}

static enum err_code read_outputs(const Onnx__GraphProto *p, struct graph *g, struct err *e)
{
    g->outputs = calloc(p->n_output + 1, sizeof *g->outputs);
    if (!g->outputs)
        return no_memory(e);
    for (size_t i = 0; i < p->n_output; i++) {
        const char *name = text_or_empty(p->output[i]->name);
        int v = graph_find(g, name);
        if (v < 0)
            return err_set(e, ERR_ONNX_GRAPH, "nothing makes the output \"%.120s\"", name);
        g->outputs[g->output_count++] = v;
    }
    if (!g->output_count)
        return err_set(e, ERR_ONNX_GRAPH, "the network has no output");
    return ERR_OK;
}

static enum err_code read_graph(Onnx__GraphProto *p, struct graph *g, struct err *e)
{
    if (p->n_node > ONNX_NODES_MAX || p->n_initializer > ONNX_NODES_MAX ||
        p->n_input > ONNX_NODES_MAX || p->n_output > ONNX_NODES_MAX)
        return err_set(e, ERR_ONNX_LIMIT, "more than %d nodes, initialisers, inputs or outputs",
                       ONNX_NODES_MAX);
    enum err_code r = read_initialisers(p, g, e);
    if (!r)
        r = read_inputs(p, g, e);
    if (r)
        return r;
    g->nodes = calloc(p->n_node + 1, sizeof *g->nodes);
    if (!g->nodes)
        return no_memory(e);
    for (size_t i = 0; i < p->n_node && !r; i++)
        r = read_node(p->node[i], g, e);
    if (!r)
        r = read_outputs(p, g, e);
    if (!r)
        r = graph_sort(g, e);
    return r;
}

enum err_code onnx_read(const void *bytes, size_t len, struct graph *ret,
                        struct onnx_meta *ret_meta, struct err *e)
{
    if (len > NETWORK_BYTES_MAX)
        return err_set(e, ERR_ONNX_LIMIT, "%zu bytes, the limit is %d", len, NETWORK_BYTES_MAX);
    enum err_code r = wire_check(&onnx__model_proto__descriptor, bytes, len, e);
    if (r)
        return r;
    struct wire_allocator allocator;
    wire_allocator_init(&allocator, len * 2 + UNPACK_BYTES_BESIDE);
    Onnx__ModelProto *m = onnx__model_proto__unpack(&allocator.base, len, bytes);
    if (!m && allocator.refused)
        return err_set(e, ERR_ONNX_LIMIT, "unpacking %zu bytes takes too much memory", len);
    if (!m && allocator.starved)
        return err_set(e, ERR_NOMEM, "no memory to unpack %zu bytes", len);
    if (!m)
        return err_set(e, ERR_ONNX_SYNTAX, "not an ONNX model");

    struct graph g = { 0 };
    struct onnx_meta meta = { 0 };
    if (!m->graph)
        r = err_set(e, ERR_ONNX_SYNTAX, "not an ONNX model: it has no graph");
    if (!r)
        r = read_opset(m, &g, e);
    if (!r)
        r = read_meta(m, &meta, e);
    if (!r)
        r = read_graph(m->graph, &g, e);
    onnx__model_proto__free_unpacked(m, &allocator.base);
    if (r) {
        graph_fini(&g);
        onnx_meta_fini(&meta);
        return r;
    }
    *ret = g;
    *ret_meta = meta;
    return ERR_OK;
}
