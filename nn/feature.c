/* Where a network's features end and its classifier begins. */
#include "nn/network_parts.h"

/* Behind the classifier's product stand only nodes that change no more than the form of its
 * numbers. -1: v's maker is none of these. */
static int pass_back(const struct network *n, const struct node *maker)
{
    switch (maker->op->kind) {
    case OP_SOFTMAX:
    case OP_LOG_SOFTMAX:
    case OP_SIGMOID:
    case OP_RELU: /* SqueezeNet has one between its last convolution and the pooling */
    case OP_FLATTEN:
    case OP_RESHAPE:
    case OP_SQUEEZE:
    case OP_UNSQUEEZE:
    case OP_IDENTITY:
    case OP_DROPOUT:
    case OP_CAST:
    case OP_GLOBAL_AVERAGE_POOL:
    case OP_GLOBAL_MAX_POOL:
    case OP_AVERAGE_POOL:
    case OP_REDUCE_MEAN:
        return maker->in[0];
    case OP_ADD:
        return n->constant[maker->in[1]]   ? maker->in[0]
               : n->constant[maker->in[0]] ? maker->in[1]
                                           : -1;
    default:
        return -1;
    }
}

static bool is_head(const struct network *n, const struct node *node)
{
    if (!(node->op->kind == OP_GEMM || node->op->kind == OP_MATMUL || node->op->kind == OP_CONV) ||
        !n->constant[node->in[1]] || n->constant[node->in[0]])
        return false;
    const struct tensor *w = &n->shapes[node->in[1]];
    return node->op->kind != OP_CONV ||
           (node_int(node, "group", 1) == 1 && tensor_span(w, 2, w->rank) == 1);
}

static int find_feature(const struct network *n)
{
    const struct graph *g = &n->graph;
    int v = g->outputs[0];
    while (v >= 0 && g->values[v].maker >= 0) {
        const struct node *maker = &g->nodes[g->values[v].maker];
        if (is_head(n, maker))
            return maker->in[0];
        v = pass_back(n, maker);
    }
    return g->outputs[0];
}

enum err_code network_feature(const struct network *n, const char *hint, const char **ret_tensor,
                              int *ret_width, struct err *e)
{
    const char *name = hint && hint[0] ? hint : network_meta(n, "feature_tensor");
    int v = name && name[0] ? graph_find(&n->graph, name) : find_feature(n);
    if (v < 0)
        return err_set(e, ERR_ONNX_FEATURE, "the network has no tensor \"%.120s\"", name);
    name = n->graph.values[v].name;
    const struct tensor *t = &n->shapes[v];
    char text[TENSOR_TEXT];
    if (n->constant[v] || t->type != TENSOR_F32 || (t->rank != 2 && t->rank != 4) ||
        t->dims[0] != 1 || !tensor_count(t))
        return err_set(e, ERR_ONNX_FEATURE,
                       "tensor \"%.120s\" is %s of %s, not a picture's features [N,C] or [N,C,H,W]",
                       name, tensor_text(t, text), tensor_type_text(t->type));
    *ret_tensor = name;
    *ret_width = (int)t->dims[1];
    return ERR_OK;
}
