/* A network with a new head, as an ONNX file, and the head of such a file. */
#include "nn/network_parts.h"

#include "data/base/cleanup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT_NAME "probabilities"

/* Marks what value v is made from. keep [node_count], used [value_count]. */
static void mark_needed(const struct graph *g, int v, bool *keep, bool *used)
{
    used[v] = true;
    for (int i = g->node_count - 1; i >= 0; i--) {
        const struct node *n = &g->nodes[i];
        for (int j = 0; j < n->out_count; j++)
            keep[i] = keep[i] || (n->out[j] >= 0 && used[n->out[j]]);
        for (int j = 0; j < n->in_count && keep[i]; j++)
            if (n->in[j] >= 0)
                used[n->in[j]] = true;
        for (int j = 0; j < n->out_count && keep[i]; j++)
            if (n->out[j] >= 0)
                used[n->out[j]] = true;
    }
}

/* A name that nothing kept has: the one asked for, or with the first number behind it. */
enum { NAME_TEXT = 64 };
static void free_name(const struct graph *g, const bool *used, const char *wish,
                      char ret[NAME_TEXT])
{
    snprintf(ret, NAME_TEXT, "%s", wish);
    for (int i = 2;; i++) {
        int v = graph_find(g, ret);
        if (v < 0 || !used[v])
            return;
        snprintf(ret, NAME_TEXT, "%s.%d", wish, i);
    }
}

enum err_code network_export(const struct network *n, const char *feature, const float *weight,
                             const float *bias, int classes, const struct network_meta_pair *meta,
                             size_t meta_count, struct buf *ret, struct err *e)
{
    const struct graph *g = &n->graph;
    const char *name;
    int width;
    enum err_code r = network_feature(n, feature, &name, &width, e);
    if (r)
        return r;
    if (classes < 1)
        return err_set(e, ERR_FIELD_RANGE, "a head needs at least one class, not %d", classes);
    int v = graph_find(g, name), output = graph_find(g, OUTPUT_NAME);
    CLEANUP(cleanup_free) bool *keep = calloc((size_t)g->node_count + 1, sizeof *keep);
    CLEANUP(cleanup_free) bool *used = calloc((size_t)g->value_count + 1, sizeof *used);
    if (!keep || !used)
        return err_set(e, ERR_NOMEM, "no memory to write the network");
    mark_needed(g, v, keep, used);
    if (output >= 0 && used[output])
        return err_set(e, ERR_ONNX_FEATURE,
                       "the part before \"%.120s\" has a tensor \"%s\" already", name, OUTPUT_NAME);

    char pooled[NAME_TEXT], flat[NAME_TEXT], logits[NAME_TEXT], w[NAME_TEXT], b[NAME_TEXT];
    free_name(g, used, "head.pooled", pooled);
    free_name(g, used, "head.features", flat);
    free_name(g, used, "head.logits", logits);
    free_name(g, used, "head.weight", w);
    free_name(g, used, "head.bias", b);
    bool spatial = n->shapes[v].rank == 4;
    const struct onnx_node nodes[] = {
        { "GlobalAveragePool", pooled, { name }, pooled, NULL, 0 },
        { "Flatten", flat, { pooled }, flat, "axis", 1 },
        { "Gemm", logits, { spatial ? flat : name, w, b }, logits, "transB", 1 },
        { "Softmax", OUTPUT_NAME, { logits }, OUTPUT_NAME, "axis", 1 },
    };
    const struct onnx_constant constants[] = { { w, 2, { classes, width }, weight },
                                               { b, 1, { classes }, bias } };
    struct onnx_tail tail = { .nodes = spatial ? nodes : nodes + 2,
                              .node_count = spatial ? 4 : 2,
                              .constants = constants,
                              .constant_count = 2,
                              .output = OUTPUT_NAME,
                              .classes = classes };
    return onnx_write(g, keep, &tail, meta, meta_count, ret, e);
}

/* The node that makes v when it is of that kind. */
static const struct node *maker_of(const struct graph *g, int v, enum op_kind kind)
{
    const struct node *n = g->values[v].maker >= 0 ? &g->nodes[g->values[v].maker] : NULL;
    return n && n->op->kind == kind ? n : NULL;
}

enum err_code network_head(const struct network *n, float **ret_weight, float **ret_bias,
                           int *ret_classes, int *ret_width, struct err *e)
{
    const struct graph *g = &n->graph;
    const struct node *softmax = maker_of(g, g->outputs[0], OP_SOFTMAX);
    const struct node *gemm = softmax ? maker_of(g, softmax->in[0], OP_GEMM) : NULL;
    if (!gemm || gemm->in_count < 3 || gemm->in[2] < 0 || !node_int(gemm, "transB", 0))
        return err_set(e, ERR_ONNX_GRAPH, "output \"%.120s\" is not the softmax of a Gemm",
                       g->values[g->outputs[0]].name);
    const struct tensor *w = &g->values[gemm->in[1]].constant;
    const struct tensor *b = &g->values[gemm->in[2]].constant;
    if (!w->data || !b->data || w->type != TENSOR_F32 || b->type != TENSOR_F32 || w->rank != 2 ||
        b->rank != 1 || b->dims[0] != w->dims[0])
        return err_set(e, ERR_ONNX_GRAPH,
                       "the head's weight and bias are not float32 initialisers");
    float *weight = malloc(tensor_bytes(w) + 1), *bias = malloc(tensor_bytes(b) + 1);
    if (!weight || !bias) {
        free(weight);
        free(bias);
        return err_set(e, ERR_NOMEM, "no memory for the head");
    }
    memcpy(weight, w->data, tensor_bytes(w));
    memcpy(bias, b->data, tensor_bytes(b));
    *ret_weight = weight;
    *ret_bias = bias;
    *ret_classes = (int)w->dims[0];
    *ret_width = (int)w->dims[1];
    return ERR_OK;
}
